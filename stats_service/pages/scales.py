"""Axes: round steps for amounts, and which times of a range deserve a label."""

from collections.abc import Sequence
from dataclasses import dataclass

from metering.clock import DAY_US, HOUR_US, at, since_epoch_us

_STEPS = (1, 2, 5, 10)


@dataclass(frozen=True, slots=True)
class Scale:
    """From zero to `top`, which is a whole number of steps."""

    top: int
    step: int

    @property
    def ticks(self) -> range:
        """Zero, each step and the top."""
        return range(0, self.top + 1, self.step)

    def height(self, value: int, pixels: float) -> float:
        """How high a value stands in so many pixels."""
        return min(max(value, 0), self.top) * pixels / self.top


def scale_for(largest: int, steps: int = 4) -> Scale:
    """The smallest round scale that holds the value in at most so many steps."""
    if largest <= 0:
        return Scale(steps, 1)
    rough = -(-largest // steps)
    power = 10 ** (len(str(rough)) - 1)
    step = next(power * factor for factor in _STEPS if power * factor >= rough)
    return Scale(step * -(-largest // step), step)


def time_label(us: int, bucket_us: int) -> str:
    """What stands under a bucket that starts then: `14:00` and at midnight `24 Nov`, `24 Nov`, `Nov 2026`."""
    moment = at(us)
    if bucket_us < DAY_US and us % DAY_US:
        return f"{moment:%H:%M}"
    if bucket_us > 27 * DAY_US:
        return f"{moment:%b %Y}"
    return f"{moment.day} {moment:%b}"


def bucket_title(us: int, bucket_us: int) -> str:
    """The same for a reader who points at it: `24 Nov 2026, 14:00–15:00 UTC`."""
    moment = at(us)
    day = f"{moment.day} {moment:%b %Y}"
    if bucket_us > 27 * DAY_US:
        return f"{moment:%B %Y}"
    if bucket_us == 7 * DAY_US:
        return f"week of {day}"
    if bucket_us >= DAY_US:
        return f"{day} UTC"
    end = at(us + bucket_us)
    return f"{day}, {moment:%H:%M}–{end:%H:%M} UTC"


def labelled(starts: Sequence[int], bucket_us: int, most: int = 7) -> list[int]:
    """The places that get a label: evenly spread, on round times where there are some."""
    if len(starts) <= most:
        return list(range(len(starts)))
    for every in _rounds(bucket_us):
        places = [place for place, start in enumerate(starts) if start % every == 0]
        if 2 <= len(places) <= most:
            return places
    every_nth = -(-len(starts) // most)
    return list(range(0, len(starts), every_nth))


def window_labels(begin_us: int, end_us: int) -> list[tuple[int, str]]:
    """A few moments of one window and their texts. The first clock time of all says that it is UTC."""
    whole = end_us - begin_us
    if whole > 300 * DAY_US:
        year = at(begin_us)
        starts = [since_epoch_us(year.replace(month=month)) for month in (1, 4, 7, 10)]
        return [(start, f"{at(start):%b}") for start in starts]
    if whole == 7 * DAY_US:
        return [(begin_us + day * DAY_US, f"{at(begin_us + day * DAY_US):%a}") for day in range(7)]
    parts = [begin_us + whole * part // 4 for part in range(5)]
    if whole <= DAY_US:
        form = "%H:%M:%S" if whole < HOUR_US else "%H:%M"
        return [(start, f"{at(start):{form}}{'' if place else ' UTC'}") for place, start in enumerate(parts)]
    days = [start - start % DAY_US for start in parts[:-1]]
    return [(start, time_label(start, DAY_US)) for start in days]


def _rounds(bucket_us: int) -> Sequence[int]:
    if bucket_us >= DAY_US:
        return ()
    return (HOUR_US, 3 * HOUR_US, 4 * HOUR_US, 6 * HOUR_US, 12 * HOUR_US, DAY_US, 2 * DAY_US, 7 * DAY_US)
