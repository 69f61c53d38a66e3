"""The only place that reads the clock, and the text forms of time.

Time is an `int` of microseconds since the epoch in UTC (`…_us`). Everything else takes `now_us` or a `Clock`, so that
tests can pass a time in. `monotonic_s` is for time-outs alone, never for anything that is stored.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], int]

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def now_us() -> int:
    """Microseconds since the epoch."""
    return time.time_ns() // 1_000


def monotonic_s() -> float:
    """Seconds on a clock that never steps, for time-outs."""
    return time.monotonic()


def worked_s() -> float:
    """Seconds that a core has worked for this thread: what others do on a busy machine is not in it, nor is waiting."""
    return time.thread_time()


def at(us: int) -> datetime:
    """The moment as an aware datetime in UTC, without the rounding of a float."""
    return _EPOCH + timedelta(microseconds=us)


def since_epoch_us(moment: datetime) -> int:
    """Microseconds since the epoch of an aware datetime."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def rfc3339(us: int) -> str:
    """RFC 3339 in UTC: `2026-11-24T08:13:01.123456Z`, and `2026-11-24T08:13:01Z` for a whole second."""
    return at(us).isoformat().removesuffix("+00:00") + "Z"


def parse_time(text: str) -> int:
    """Microseconds of an RFC 3339 time or of a date, which means its midnight in UTC. Raises ValueError."""
    text = text.strip()
    if len(text) > 40 or not text.isascii():
        raise ValueError("not a time")
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        if len(text) > len("2026-11-24"):
            raise ValueError("a time needs Z or an offset")
        moment = moment.replace(tzinfo=UTC)
    return since_epoch_us(moment)
