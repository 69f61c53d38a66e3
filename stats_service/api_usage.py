"""One limiter's figures over the API: where its current window stands, and its calls, newest first."""

from decimal import ROUND_HALF_UP, Decimal

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from metering.clock import rfc3339
from metering.periods import window_at
from metering.report_calls import CallRow, page_of_calls
from metering.windows import read_window
from stats_service import answers
from stats_service.answers import Fields
from stats_service.api_limiters import id_of
from stats_service.json_text import Dollars
from stats_service.reading import parameters, whole
from stats_service.services import ServiceParts

LIMIT = 50
LIMIT_MAX = 500
_ID_MAX = 2**63 - 1
_PERCENT_PLACES = Decimal("0.0001")


async def stats(parts: ServiceParts, request: Request) -> Response:
    """The current window: what is charged, what is held, what is left."""

    def read() -> Response:
        limiter = parts.limiters.get(id_of(request))
        now_us = parts.clock()
        with parts.ranges.reader() as connection:
            figures = read_window(connection, limiter.key, limiter.period, now_us)
        window = window_at(limiter.period, now_us)
        return answers.json(
            {
                "limiter_id": limiter.id,
                "limiter_name": limiter.name,
                "current_spend": Dollars(figures.spent_nanousd),
                "held": Dollars(figures.held_nanousd),
                "budget_limit": Dollars(limiter.budget_nanousd),
                "remaining_budget": Dollars(max(0, limiter.budget_nanousd - figures.used_nanousd)),
                "usage_percentage": percentage(figures.used_nanousd, limiter.budget_nanousd),
                "total_requests": figures.requests,
                "period_start": rfc3339(window.start_us),
                "period_end": rfc3339(window.end_us),
            }
        )

    return await run_in_threadpool(read)


async def usage(parts: ServiceParts, request: Request) -> Response:
    """A page of the limiter's calls."""
    given = parameters(request, ("limit", "before"))
    limit = whole(given, "limit", 1, LIMIT_MAX, LIMIT)
    before = whole(given, "before", 1, _ID_MAX, 0) or None

    def read() -> Response:
        limiter = parts.limiters.get(id_of(request))
        with parts.ranges.reader() as connection:
            page = page_of_calls(connection, limiter, limit, before)
        return answers.json({"data": [_worded(call) for call in page.calls], "next": page.following})

    return await run_in_threadpool(read)


def percentage(used_nanousd: int, budget_nanousd: int) -> Decimal:
    """Percent of the budget, four places, half up; whatever is used of nothing is all of it."""
    if budget_nanousd == 0:
        return Decimal(100 if used_nanousd else 0)
    exact = Decimal(100 * used_nanousd) / budget_nanousd
    return exact.quantize(_PERCENT_PLACES, ROUND_HALF_UP).normalize()


def _worded(call: CallRow) -> Fields:
    return {
        "id": call.id,
        "started_at": rfc3339(call.started_at_us),
        "finished_at": None if call.finished_at_us is None else rfc3339(call.finished_at_us),
        "user": call.user,
        "model": call.model,
        "endpoint": call.endpoint,
        "status": call.status,
        "streamed": call.streamed,
        "state": call.state,
        "prompt_tokens": call.prompt_tokens,
        "cached_tokens": call.cached_tokens,
        "completion_tokens": call.completion_tokens,
        "reasoning_tokens": call.reasoning_tokens,
        "total_tokens": call.prompt_tokens + call.completion_tokens,
        "cost": None if call.cost_nanousd is None else Dollars(call.cost_nanousd),
        "basis": call.basis,
    }
