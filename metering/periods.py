"""Periods and their windows: half-open, calendar-true, in UTC. Weeks are ISO weeks and start on Monday.

A window is computed from the clock. A new period is a new key, so that nothing ever has to be reset.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from metering.clock import DAY_US, HOUR_US, MINUTE_US, at, since_epoch_us

# 1970-01-01 was a Thursday: the first Monday came four days later.
_FIRST_MONDAY_US = 4 * DAY_US
_FIXED = {
    "minute": (MINUTE_US, 0),
    "hour": (HOUR_US, 0),
    "day": (DAY_US, 0),
    "week": (7 * DAY_US, _FIRST_MONDAY_US),
}


class Period(StrEnum):
    """How often a budget starts anew."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"

    @property
    def phrase(self) -> str:
        """As messages say it: `per day`."""
        return f"per {self.value}"


@dataclass(frozen=True, slots=True)
class Window:
    """The moments `start_us <= t < end_us`."""

    start_us: int
    end_us: int

    def __contains__(self, at_us: int) -> bool:
        return self.start_us <= at_us < self.end_us


def window_at(period: Period, at_us: int) -> Window:
    """The window of this period that contains the moment."""
    fixed = _FIXED.get(period.value)
    if fixed is not None:
        length, offset = fixed
        start = at_us - (at_us - offset) % length
        return Window(start, start + length)
    moment = at(at_us)
    first = datetime(moment.year, moment.month if period is Period.MONTH else 1, 1, tzinfo=moment.tzinfo)
    following = _month_after(first) if period is Period.MONTH else first.replace(year=first.year + 1)
    return Window(since_epoch_us(first), since_epoch_us(following))


def _month_after(first: datetime) -> datetime:
    if first.month == 12:
        return first.replace(year=first.year + 1, month=1)
    return first.replace(month=first.month + 1)
