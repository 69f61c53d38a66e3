"""Small charts of one limiter: its budget line, its sparkline, its usage bar. As in `charts`, numbers only."""

from collections.abc import Sequence
from dataclasses import dataclass

from stats_service.pages import formats
from stats_service.pages.charts import Label, Tick, anchored, at_height, places, ticks
from stats_service.pages.scales import scale_for, window_labels

_SPARK_HEIGHT = 28
_SPARK_STEP = 4


@dataclass(frozen=True, slots=True)
class BudgetLine:
    """Spend adding up over a window, under the line of its budget."""

    height: int
    ticks: Sequence[Tick]
    labels: Sequence[Label]
    line: str
    """A path in a box of 1000 by `height`."""
    area: str
    budget_y: float
    budget_label: str
    now_x: float
    summary: str


def budget_line(
    starts: Sequence[int],
    bucket_us: int,
    spent: Sequence[int],
    *,
    end_us: int,
    now_us: int,
    budget_nanousd: int,
    height: int = 160,
) -> BudgetLine:
    """The window's spend as it added up until now. `spent` is per bucket; the window ends at `end_us`."""
    begin_us = starts[0]
    whole = max(end_us - begin_us, 1)
    reached = 0
    points = [(0.0, 0)]
    for start, value in zip(starts, spent, strict=True):
        reached += value
        points.append((min((min(start + bucket_us, now_us) - begin_us) / whole, 1.0), reached))
    scale = scale_for(max(reached, budget_nanousd))
    path = " ".join(f"{places(x * 1000)},{places(at_height(scale, value, height))}" for x, value in points)
    last_x = points[-1][0]
    return BudgetLine(
        height=height,
        ticks=ticks(scale, height),
        labels=[
            anchored((start - begin_us) / whole * 100, text)
            for start, text in window_labels(begin_us, end_us)
        ],
        line=f"M{path}",
        area=f"M0,{height} L{path} L{places(last_x * 1000)},{height} Z",
        budget_y=at_height(scale, budget_nanousd, height),
        budget_label=f"budget {formats.money(budget_nanousd)}",
        now_x=places(last_x * 100),
        summary=f"{formats.money(reached)} of {formats.money(budget_nanousd)} spent so far in this window.",
    )


@dataclass(frozen=True, slots=True)
class Sparkline:
    """A column for each value in a box of its own; a few hundred bytes."""

    path: str
    width: int
    height: int
    label: str


def sparkline(values: Sequence[int], label: str) -> Sparkline:
    """Small bars without axes. A value that is not zero can always be seen."""
    top = max(values, default=0)
    strokes = []
    for place, value in enumerate(values):
        size = max(round(value * (_SPARK_HEIGHT - 2) / top), 1) if top and value > 0 else 0
        if size:
            strokes.append(f"M{place * _SPARK_STEP + 2} {_SPARK_HEIGHT}v-{size}")
    return Sparkline("".join(strokes), max(len(values), 1) * _SPARK_STEP, _SPARK_HEIGHT, label)


@dataclass(frozen=True, slots=True)
class UsageBar:
    """How full a budget is: percents of the width, and the class of its colour."""

    spent: float
    held: float
    level: str


def usage_bar(budget_nanousd: int, spent_nanousd: int, held_nanousd: int) -> UsageBar:
    """`ok`, `warn` from 80 %, `over` from 100 %: spent and held count alike, as they do for the next call."""
    used = spent_nanousd + held_nanousd
    if budget_nanousd <= 0:
        return UsageBar(100.0, 0.0, "over") if used else UsageBar(0.0, 0.0, "none")
    spent = min(spent_nanousd * 100 / budget_nanousd, 100.0)
    held = min(held_nanousd * 100 / budget_nanousd, 100.0 - spent)
    return UsageBar(places(spent), places(held), level(used, budget_nanousd))


def level(used_nanousd: int, budget_nanousd: int) -> str:
    """The colour of a usage."""
    if used_nanousd >= budget_nanousd:
        return "over"
    return "warn" if used_nanousd * 5 >= budget_nanousd * 4 else "ok"
