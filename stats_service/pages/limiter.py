"""The page of one limiter, its stats dialog, and the details of one of its calls."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from metering.clock import DAY_US, HOUR_US, MINUTE_US, at, since_epoch_us
from metering.periods import Period, Window
from stats_service.pages import call_rows, charts, forms, limiter_rows, lines, rendering
from stats_service.pages.calls import explain
from stats_service.pages.faults import NoSuchPage
from stats_service.pages.live import CALLS
from stats_service.pages.query import Query
from stats_service.pages.site import Site
from stats_service.pages.standing import Standing

SHARES = 8
_DEFAULTS = {"by": "day", "before": ""}
_STEPS = {
    # Resolution: how many buckets, in which words, and how the range reads.
    "hour": (48, "Hour", "last 48 hours"),
    "day": (30, "Day", "last 30 days"),
    "month": (12, "Month", "last 12 months"),
}
_USER_DAYS = 30
_FINE = {
    # In which steps the spend of a window is drawn.
    Period.MINUTE: MINUTE_US // 12,
    Period.HOUR: MINUTE_US,
    Period.DAY: HOUR_US,
    Period.WEEK: 6 * HOUR_US,
    Period.MONTH: DAY_US,
    Period.YEAR: 7 * DAY_US,
}
REFUSALS = {
    "budget_exceeded": "The budget was used up.",
    "limiter_inactive": "The limiter was inactive.",
    "model_not_priced": "The model has no price.",
    "endpoint_not_metered": "The endpoint cannot be metered.",
    "websocket_not_supported": "WebSockets cannot be metered.",
    "invalid_request": "The request was malformed.",
    "invalid_path": "The path was not acceptable.",
    "unsupported_encoding": "The request was compressed.",
    "body_too_large": "The request was too large.",
    "limiter_unavailable": "The limiter itself had a fault.",
    "upstream_unreachable": "The upstream could not be reached.",
    "upstream_timeout": "The upstream was silent for too long.",
}


@dataclass(frozen=True, slots=True)
class Step:
    """A resolution to choose."""

    text: str
    href: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class Share:
    """A model or user with its part of the cost, in thousandths of the largest."""

    name: str
    requests: int
    tokens: int
    cost_nanousd: int
    permille: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reason for refusals and how often it was given."""

    code: str
    text: str
    today: int
    month: int


def page(site: Site, request: Request) -> Response:
    """Everything about a limiter."""
    limiter = site.services.limiters.get(request.path_params["id"])
    query = Query.read(f"/limiters/{limiter.id}", request.query_params, _DEFAULTS)
    by = query.one_of("by", tuple(_STEPS))
    _, _, range_text = _STEPS[by]
    now_us = site.now_us()
    starts = buckets(by, now_us)
    users_from = max(starts[0] - starts[0] % DAY_US, now_us - now_us % DAY_US - (_USER_DAYS - 1) * DAY_US)
    before = query.get("before")
    with site.reader() as connection:
        standing = site.standings(connection, [limiter], now_us)[0]
        budget_chart = _budget_chart(connection, standing)
        over_time = limiter_rows.model_costs(connection, limiter, starts, now_us + 1, min(_size(by), DAY_US))
        models = limiter_rows.by_model(connection, limiter, starts[0], now_us + 1)
        users = limiter_rows.by_user(connection, limiter, users_from, now_us + 1)
        calls, older = call_rows.newest(connection, limiter, CALLS, call_rows.known_id(before))
        refusals = limiter_rows.refusals(connection, limiter, now_us)
    series = [charts.Series(name, values) for name, values in over_time.items()]
    return site.page(
        request,
        "limiter.html",
        section="Limiters",
        live=f"/live?limiter={limiter.id}",
        now_us=now_us,
        limiter=standing,
        enforcement_text=forms.ENFORCEMENT_TEXTS[limiter.enforcement],
        budget_chart=budget_chart,
        over_time=charts.stacked_bars(starts, _size(by), series),
        range_text=range_text,
        users_text="last 3 days" if by == "hour" else "last 30 days",
        steps=[
            Step(text, query.href(by=name, before=None), name == by) for name, (_, text, _) in _STEPS.items()
        ],
        models=shares(models),
        models_more=max(len(models) - SHARES, 0),
        users=shares(users),
        users_more=max(len(users) - SHARES, 0),
        calls=calls,
        calls_most=CALLS,
        calls_live=not before,
        older_href=query.href(before=str(older)) if older else "",
        newest_href=query.href(before=None) if before else "",
        refusals=[Refusal(code, REFUSALS.get(code, ""), today, month) for code, today, month in refusals],
    )


def stats(site: Site, request: Request) -> Response:
    """The current window and its models: what the dialog shows."""
    limiter = site.services.limiters.get(request.path_params["id"])
    now_us = site.now_us()
    with site.reader() as connection:
        standing = site.standings(connection, [limiter], now_us)[0]
        budget_chart = _budget_chart(connection, standing)
        models = limiter_rows.by_model(connection, limiter, standing.start_us, now_us + 1)
    return site.page(
        request,
        "limiter_stats.html",
        section="Limiters",
        live="/live",
        now_us=now_us,
        limiter=standing,
        budget_chart=budget_chart,
        models=shares(models),
        back=rendering.local_path(request.query_params.get("back", "/")),
    )


def call(site: Site, request: Request) -> Response:
    """One call and how its cost came about."""
    limiter = site.services.limiters.get(request.path_params["id"])
    call_id = call_rows.known_id(request.path_params["call"])
    if call_id is None:
        raise NoSuchPage
    with site.reader() as connection:
        full = call_rows.one(connection, limiter, call_id)
    if full is None:
        raise NoSuchPage
    book = site.services.prices.current()
    explanation = explain(full.call, full.usage, full.price_row, full.provider_cost_nanousd, book)
    return site.page(
        request,
        "call.html",
        section="Limiters",
        call=full.call,
        limiter_name=limiter.name,
        lines=explanation.lines,
        rounded=explanation.rounded,
        notes=explanation.notes,
    )


def shares(rows: Sequence[limiter_rows.Sums]) -> list[Share]:
    """The largest first, each with a bar as long as its part of the first."""
    ranked = sorted(rows, key=lambda row: (-row.cost_nanousd, -row.requests, row.name))[:SHARES]
    most = max((row.cost_nanousd for row in ranked), default=0)
    return [
        Share(
            row.name,
            row.requests,
            row.tokens,
            row.cost_nanousd,
            row.cost_nanousd * 1000 // most if most else 0,
        )
        for row in ranked
    ]


def buckets(by: str, now_us: int) -> list[int]:
    """The starts of the buckets of a resolution, the current one last."""
    number = _STEPS[by][0]
    if by != "month":
        size = _size(by)
        last = now_us - now_us % size
        return [last - back * size for back in range(number - 1, -1, -1)]
    now = at(now_us)
    months = [now.year * 12 + now.month - 1 - back for back in range(number - 1, -1, -1)]
    return [
        since_epoch_us(now.replace(year=month // 12, month=month % 12 + 1, day=1, hour=0, minute=0, second=0, microsecond=0))
        for month in months
    ]  # fmt: skip


def _size(by: str) -> int:
    return {"hour": HOUR_US, "day": DAY_US, "month": 30 * DAY_US}[by]


def _budget_chart(connection: sqlite3.Connection, standing: Standing) -> lines.BudgetLine:
    window = Window(standing.start_us, standing.end_us)
    step = _FINE[standing.period]
    costs = limiter_rows.window_costs(connection, standing.limiter, window, step)
    starts = list(range(window.start_us, min(standing.now_us + 1, window.end_us), step))
    return lines.budget_line(
        starts,
        step,
        [costs.get(start, 0) for start in starts],
        end_us=window.end_us,
        now_us=standing.now_us,
        budget_nanousd=standing.budget_nanousd,
    )
