"""Ranges of whole UTC days, as the rollups are, so that figures equal those of the API for the same dates."""

from dataclasses import dataclass

from metering.clock import DAY_US, parse_time
from stats_service.pages import formats
from stats_service.pages.query import Query

DAYS_MAX = 3_660
_LAST_US = parse_time("9999-01-01")
"""As in the API; what lies beyond the year 9999 has no date."""
RANGES = (
    ("today", "Today", 1),
    ("7d", "7 days", 7),
    ("30d", "30 days", 30),
    ("90d", "90 days", 90),
    ("365d", "12 months", 365),
)


@dataclass(frozen=True, slots=True)
class Range:
    """Whole days `from_us <= t < to_us`, and the words for them."""

    from_us: int
    to_us: int
    name: str

    @property
    def days(self) -> int:
        return (self.to_us - self.from_us) // DAY_US

    @property
    def text(self) -> str:
        last = self.to_us - DAY_US
        if self.days == 1:
            return f"{formats.day(last)} (UTC)"
        return f"{formats.day(self.from_us)} to {formats.day(last)} (UTC)"


def read_range(query: Query, now_us: int) -> tuple[Range, str]:
    """The days that were asked for; the default and a sentence where they make no sense."""
    tomorrow = now_us - now_us % DAY_US + DAY_US
    name = query.one_of("range", [name for name, _, _ in RANGES])
    days = next(days for known, _, days in RANGES if known == name)
    default = Range(tomorrow - days * DAY_US, tomorrow, name)
    given = query.get("from"), query.get("to")
    if not any(given):
        return default, ""
    try:
        from_us, to_us = (parse_time(text) for text in given)
    except (ValueError, OverflowError):
        return default, "The range needs two dates, such as 2026-11-01 and 2026-11-24."
    from_us, to_us = from_us - from_us % DAY_US, to_us - to_us % DAY_US + DAY_US
    if not 0 <= from_us < to_us <= _LAST_US or to_us - from_us > DAYS_MAX * DAY_US:
        return default, "The first day has to be before the last, and ten years are the most that is shown."
    return Range(from_us, to_us, ""), ""
