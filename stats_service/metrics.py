"""`GET /metrics`: where each limiter stands, in the text form of Prometheus.

Figures of a window start anew with it, as a counter does that was reset: `increase()` adds them up across windows. No
code of a limiter is here, since it is a key.
"""

from collections.abc import Callable, Iterator

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from metering.clock import DAY_US, SECOND_US
from metering.limiters import Limiter
from metering.money import dollars
from metering.report_windows import calls_in_flight, current_windows, refusals_since
from metering.windows import WindowFigures
from stats_service.services import ServiceParts

_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "usage_limiter_"
Sample = tuple[str, str]
"""Labels and value."""


async def metrics(parts: ServiceParts, _: Request) -> Response:
    """All samples."""

    def read() -> Response:
        return Response("".join(_lines(parts)), media_type=_TYPE)

    return await run_in_threadpool(read)


def _lines(parts: ServiceParts) -> Iterator[str]:
    now_us = parts.clock()
    limiters = parts.limiters.list()
    with parts.ranges.reader() as connection:
        windows = current_windows(connection, limiters, now_us)
        refused = refusals_since(connection, now_us - now_us % DAY_US)
        in_flight = calls_in_flight(connection)
    for name, text, value in _OF_LIMITERS:
        samples = [(_named(limiter), value(limiter, windows[limiter.key])) for limiter in limiters]
        yield from _family(name, text, samples)
    identities = {limiter.key: limiter.id for limiter in limiters}
    samples = [
        (_labels(limiter_id=identities[key], code=code), str(count))
        for key, code, count in refused
        if key in identities
    ]
    yield from _family("refusals_today", "Calls refused since midnight UTC, by the refusal's code.", samples)
    for name, text, number in (
        ("calls_in_flight", "Calls that money is held for.", in_flight),
        ("price_rows", "Rows of the price book in force.", len(list(parts.prices.current().rows()))),
        ("database_bytes", "Size of the database file.", parts.database.path.stat().st_size),
        ("wal_bytes", "Size of the database's write-ahead log.", parts.database.wal_bytes()),
    ):
        yield from _family(name, text, [("", str(number))])


def _family(name: str, text: str, samples: list[Sample]) -> Iterator[str]:
    yield f"# HELP {PREFIX}{name} {text}\n# TYPE {PREFIX}{name} gauge\n"
    for labels, value in samples:
        yield f"{PREFIX}{name}{labels} {value}\n"


def _named(limiter: Limiter) -> str:
    return _labels(limiter_id=limiter.id, limiter=limiter.name, period=limiter.period.value)


def _labels(**labels: str) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


_OF_LIMITERS: tuple[tuple[str, str, Callable[[Limiter, WindowFigures], str]], ...] = (
    ("budget_dollars", "The budget of a period.", lambda one, _: dollars(one.budget_nanousd)),
    ("spent_dollars", "Charged in the current window.", lambda _, at: dollars(at.spent_nanousd)),
    ("held_dollars", "Held for calls in flight in it.", lambda _, at: dollars(at.held_nanousd)),
    ("window_requests", "Calls in it, admitted and not released.", lambda _, at: str(at.requests)),
    ("window_tokens", "Tokens of the calls charged in it.", lambda _, at: str(at.tokens)),
    (
        "window_end_seconds",
        "When it ends, since the epoch.",
        lambda _, at: str(at.window.end_us // SECOND_US),
    ),
    ("active", "1 while the limiter admits calls.", lambda one, _: str(int(one.is_active))),
)
