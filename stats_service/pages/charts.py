"""Charts as numbers: where each bar and label stands. `templates/_charts.html` turns them into SVG.

Across, places are percents of the width, so that a chart fits any screen without its text being scaled; upwards they are
pixels. Nothing needs a style attribute: colours are classes (`s0` … `s7`), places are SVG attributes. Amounts are
nanodollars throughout.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from stats_service.pages import formats
from stats_service.pages.scales import Scale, bucket_title, labelled, scale_for, time_label

HEIGHT = 200
SERIES_MAX = 7
OTHERS = "Others"
_TOP_PX = 8
_WIDEST = 7.0
"""Percent of the width: a single day is a bar, not a wall."""


@dataclass(frozen=True, slots=True)
class Series:
    """A name and one value for each bucket."""

    name: str
    values: Sequence[int]

    @property
    def total(self) -> int:
        return sum(self.values)


@dataclass(frozen=True, slots=True)
class Tick:
    """A line across, and what it says."""

    y: float
    label: str


@dataclass(frozen=True, slots=True)
class Label:
    """A text under the axis. `anchor` keeps the first and last inside."""

    x: float
    text: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a column."""

    series: int
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Column:
    """One bucket: its bar and the whole strip above it, which shows the title."""

    x: float
    width: float
    strip_x: float
    strip_width: float
    title: str
    segments: Sequence[Segment]


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the legend and of the text alternative."""

    series: int
    name: str
    total: str
    share: str


@dataclass(frozen=True, slots=True)
class StackedBars:
    """Amounts over time, stacked."""

    height: int
    ticks: Sequence[Tick]
    labels: Sequence[Label]
    columns: Sequence[Column]
    legend: Sequence[Entry]
    heads: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]
    """The text alternative: when, and each series' amount."""
    summary: str

    @property
    def is_empty(self) -> bool:
        return not self.legend


def stacked_bars(
    starts: Sequence[int],
    bucket_us: int,
    series: Sequence[Series],
) -> StackedBars:
    """Bars over time. The largest series stands at the bottom; what does not fit is added up as `Others`."""
    ranked = _ranked(series, len(starts))
    sums = [sum(one.values[place] for one in ranked) for place in range(len(starts))]
    scale = scale_for(max(sums, default=0))
    slot = 100 / max(len(starts), 1)
    width = min(slot * 0.7, _WIDEST)
    columns = []
    for place, start in enumerate(starts):
        title = _column_title(bucket_title(start, bucket_us), ranked, place, sums[place])
        columns.append(
            Column(
                x=places(slot * place + (slot - width) / 2),
                width=places(width),
                strip_x=places(slot * place),
                strip_width=places(slot),
                title=title,
                segments=_segments(ranked, place, scale),
            )
        )
    total = sum(sums)
    return StackedBars(
        height=HEIGHT,
        ticks=ticks(scale, HEIGHT),
        labels=[
            _label(starts[place], slot * (place + 0.5), bucket_us) for place in labelled(starts, bucket_us)
        ],
        columns=columns,
        legend=[
            Entry(place, one.name, formats.money(one.total), formats.percent(one.total, total))
            for place, one in enumerate(ranked)
        ],
        heads=[one.name for one in ranked],
        rows=[
            (bucket_title(start, bucket_us), [formats.money(one.values[place]) for one in ranked])
            for place, start in enumerate(starts)
        ],
        summary=_summary(starts, bucket_us, sums),
    )


def _ranked(series: Sequence[Series], buckets: int) -> list[Series]:
    ranked = sorted((one for one in series if one.total > 0), key=lambda one: (-one.total, one.name))
    if len(ranked) <= SERIES_MAX + 1:
        return ranked
    rest = ranked[SERIES_MAX:]
    values = [sum(one.values[place] for one in rest) for place in range(buckets)]
    return [*ranked[:SERIES_MAX], Series(f"{OTHERS} ({len(rest):,})", values)]


def _segments(ranked: Sequence[Series], place: int, scale: Scale) -> list[Segment]:
    segments = []
    below = 0
    for number, one in enumerate(ranked):
        value = one.values[place]
        if value > 0:
            low, high = at_height(scale, below, HEIGHT), at_height(scale, below + value, HEIGHT)
            segments.append(Segment(number, high, places(low - high)))
        below += value
    return segments


def _column_title(when: str, ranked: Sequence[Series], place: int, total: int) -> str:
    parts = [f"{one.name}: {formats.money(one.values[place])}" for one in ranked if one.values[place] > 0]
    lines = [when, formats.money(total), *(parts if len(ranked) > 1 else [])]
    return "\n".join(lines)


def ticks(scale: Scale, height: int) -> list[Tick]:
    """The lines across, zero included."""
    return [Tick(at_height(scale, value, height), formats.axis(value, scale.step)) for value in scale.ticks]


def _label(start: int, x: float, bucket_us: int) -> Label:
    return anchored(x, time_label(start, bucket_us))


def anchored(x: float, text: str) -> Label:
    """A label that stays inside the chart."""
    return Label(places(x), text, "start" if x < 4 else "end" if x > 96 else "middle")


def _summary(starts: Sequence[int], bucket_us: int, sums: Sequence[int]) -> str:
    if not any(sums):
        return "Nothing was spent in this range."
    peak = max(range(len(sums)), key=lambda place: sums[place])
    return f"{formats.money(sum(sums))} in all; most in {bucket_title(starts[peak], bucket_us)}: {formats.money(sums[peak])}."


def at_height(scale: Scale, value: int, height: int) -> float:
    """Where a value stands, from the top."""
    return places(height - scale.height(value, height - _TOP_PX))


def places(value: float) -> float:
    """Two decimals are enough for any screen."""
    return round(value, 2)
