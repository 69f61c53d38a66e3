"""Where each limiter stands in its current window, and how that reads: what cards, tables and the live stream show.

A standing is made of figures that one query reads for all limiters, so that sorting, filtering and the live stream see the
same numbers. Words are those of the API: spent, held, remaining, used.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from metering.clock import HOUR_US, SECOND_US, rfc3339
from metering.limiters import Limiter
from metering.periods import Period
from metering.windows import WindowFigures
from stats_service.pages import formats, lines

SPARK_HOURS = 24
_STATUS = {
    "ok": "Active",
    "warn": "Near its budget",
    "over": "Used up",
    "none": "No budget",
    "off": "Inactive",
}


@dataclass(frozen=True, slots=True)
class Pace:
    """What becomes of the budget at the pace of the window so far."""

    at_us: int | None = None
    """When it is used up, if that is before the reset."""
    amount_nanousd: int | None = None
    """What is spent by the reset, if the budget lasts until then."""

    @property
    def html(self) -> Markup:
        """The sentence, its time to be shown in the reader's zone; nothing where there is no forecast."""
        if self.amount_nanousd is not None:
            return Markup(
                '<span title="{amount} by the reset, at the pace so far">On pace for {amount}</span>'
            ).format(amount=formats.money(self.amount_nanousd))
        if self.at_us is None:
            return Markup()
        return Markup('Would run out <time datetime="{stamp}" data-clock>{text}</time>').format(
            stamp=rfc3339(self.at_us - self.at_us % SECOND_US), text=formats.moment(self.at_us)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A limiter and its current window."""

    limiter: Limiter
    spent_nanousd: int
    held_nanousd: int
    requests: int
    tokens: int
    start_us: int
    end_us: int
    last_call_us: int | None
    now_us: int
    proxy_url: str
    spark: lines.Sparkline | None = None

    @property
    def id(self) -> str:
        return self.limiter.id

    @property
    def key(self) -> int:
        return self.limiter.key

    @property
    def name(self) -> str:
        return self.limiter.name

    @property
    def base_url(self) -> str:
        return self.limiter.base_url

    @property
    def is_active(self) -> bool:
        return self.limiter.is_active

    @property
    def enforcement(self) -> str:
        return self.limiter.enforcement

    @property
    def period(self) -> Period:
        return self.limiter.period

    @property
    def budget_nanousd(self) -> int:
        return self.limiter.budget_nanousd

    @property
    def used_nanousd(self) -> int:
        """What the next call is measured against."""
        return self.spent_nanousd + self.held_nanousd

    @property
    def remaining_nanousd(self) -> int:
        return max(self.budget_nanousd - self.used_nanousd, 0)

    @property
    def used_permille(self) -> int:
        return formats.permille(self.used_nanousd, self.budget_nanousd)

    @property
    def percent(self) -> str:
        """As the API's `usage_percentage`, one decimal."""
        return formats.used(self.used_nanousd, self.budget_nanousd)

    @property
    def level(self) -> str:
        """`ok`, `warn`, `over`; `none` where nothing that costs may pass, and nothing has."""
        if self.budget_nanousd == 0 == self.used_nanousd:
            return "none"
        return lines.level(self.used_nanousd, self.budget_nanousd)

    @property
    def status(self) -> str:
        return self.level if self.is_active else "off"

    @property
    def status_text(self) -> str:
        if self.is_active and self.level == "over" and self.enforcement == "observe":
            return "Over its budget"
        return _STATUS[self.status]

    @property
    def bar(self) -> lines.UsageBar:
        return lines.usage_bar(self.budget_nanousd, self.spent_nanousd, self.held_nanousd)

    @property
    def bar_text(self) -> str:
        """The bar for those who do not see it."""
        return (
            f"{self.percent} used: {formats.money(self.spent_nanousd)} spent, {formats.money(self.held_nanousd)} held, "
            f"{formats.money(self.remaining_nanousd)} remaining of {formats.exact(self.budget_nanousd)}"
        )

    @property
    def summary(self) -> str:
        return formats.summary(self.budget_nanousd, self.period)

    @property
    def pace(self) -> Pace:
        return forecast(self)


@dataclass(frozen=True, slots=True)
class Figures:
    """What is read of a limiter."""

    current: WindowFigures
    last_call_us: int | None = None


def standing(limiter: Limiter, figures: Figures, now_us: int, proxy_url: str) -> Standing:
    """The limiter in its window of this moment."""
    current = figures.current
    return Standing(
        limiter=limiter,
        spent_nanousd=current.spent_nanousd,
        held_nanousd=current.held_nanousd,
        requests=current.requests,
        tokens=current.tokens,
        start_us=current.window.start_us,
        end_us=current.window.end_us,
        last_call_us=figures.last_call_us,
        now_us=now_us,
        proxy_url=proxy_url,
    )


def forecast(standing: Standing) -> Pace:
    """By the average of the window so far, once a twentieth of it has passed; nothing for who is over already."""
    passed = standing.now_us - standing.start_us
    whole = standing.end_us - standing.start_us
    spent = standing.spent_nanousd
    if not standing.is_active or spent <= 0 or passed * 20 < whole or standing.level in {"over", "none"}:
        return Pace()
    left_us = standing.remaining_nanousd * passed // spent
    if standing.now_us + left_us < standing.end_us:
        return Pace(at_us=standing.now_us + left_us)
    return Pace(amount_nanousd=spent * whole // passed)


def sparklines(
    hours: Mapping[int, Mapping[int, int]], keys: Sequence[int], now_us: int
) -> dict[int, lines.Sparkline]:
    """The last 24 hours of each limiter, from its cost by hour."""
    last = now_us - now_us % HOUR_US
    starts = [last - back * HOUR_US for back in range(SPARK_HOURS - 1, -1, -1)]
    found = {}
    for key in keys:
        costs = hours.get(key, {})
        values = [costs.get(start, 0) for start in starts]
        found[key] = lines.sparkline(values, f"{formats.money(sum(values))} in the last 24 hours")
    return found
