"""One row of the price book: a model's prices from one day on, and what is known of the model.

The service tiers of a row are complete: a discount tier that the list does not price costs as the default
does, a faster tier as much as the book says that such tiers cost at most. `assumed` names those.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import reduce
from typing import Literal

from metering.pricing.fees import Fees
from metering.pricing.rates import Rates

DEFAULT_TIER = "default"
DISCOUNT_TIERS = ("flex", "batch")
FASTER_TIERS = ("priority", "ultrafast")

_SPELLINGS = {
    None: DEFAULT_TIER,
    "": DEFAULT_TIER,
    "auto": DEFAULT_TIER,
    "standard": DEFAULT_TIER,
    "standard_only": DEFAULT_TIER,
    "unspecified": DEFAULT_TIER,
    "on_demand": DEFAULT_TIER,
    "scale": DEFAULT_TIER,
    "fast": "priority",
}

_ENUM_PREFIX = "service_tier_"
"""How protocol buffers spell the tiers of Gemini."""

Encoding = Literal["o200k", "cl100k"]


@dataclass(frozen=True, slots=True)
class TierRates:
    """A service tier's prices: the ordinary ones, and those of requests over the row's `long_over`."""

    ordinary: Rates
    long: Rates | None

    def ceiling(self, other: "TierRates") -> "TierRates":
        """Each price the dearer of both."""
        long = None
        if self.long is not None or other.long is not None:
            long = (self.long or self.ordinary).ceiling(other.long or other.ordinary)
        return TierRates(self.ordinary.ceiling(other.ordinary), long)


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRow:
    """What a model costs from `since` on. `None` as `since` is the first row of a model."""

    name: str
    since: date | None
    source: str
    checked: date
    line: int
    tiers: Mapping[str, TierRates]
    assumed: frozenset[str]
    """Tiers whose prices the list does not state."""
    long_over: int | None
    """Requests with more input tokens than this are billed whole at the long prices."""
    fees: Fees
    context_tokens: int | None
    output_tokens_max: int | None
    reasoning: bool
    encoding: Encoding

    key: str = field(init=False)
    """What a request records as its price: `gpt-4o@2024-10-02`, or the bare name of a first row."""
    free: bool = field(init=False)
    """The list says a price of 0. A price that is missing is never one."""

    def __post_init__(self) -> None:
        """What every call asks of its row is worked out once."""
        key = self.name if self.since is None else f"{self.name}@{self.since.isoformat()}"
        tiers = self.tiers.values()
        free = all(tier.ordinary.free and (tier.long is None or tier.long.free) for tier in tiers)
        object.__setattr__(self, "key", key)
        object.__setattr__(self, "free", free)

    @property
    def tier_names(self) -> tuple[str, ...]:
        """The service tiers that the list prices."""
        return tuple(name for name in self.tiers if name not in self.assumed)

    def tier(self, name: str | None) -> str | None:
        """The tier as this book calls it, or None where it knows no such tier."""
        lowered = None if name is None else name.strip().lower().removeprefix(_ENUM_PREFIX)
        known = _SPELLINGS.get(lowered, lowered)
        return known if known in self.tiers else None

    def rates(self, tier: str | None, input_tokens: int) -> Rates:
        """The prices of a request of this size; a tier that nobody knows is billed as the default."""
        prices = self.tiers[self.tier(tier) or DEFAULT_TIER]
        if prices.long is not None and self.long_over is not None and input_tokens > self.long_over:
            return prices.long
        return prices.ordinary

    def ceiling(self, others: "list[PriceRow]") -> "PriceRow":
        """The row with each price and bound the highest of all: what a call costs at most, whoever serves
        it.
        """
        rows = [self, *others]
        return replace(
            self,
            tiers={
                name: reduce(TierRates.ceiling, (row.tiers[name] for row in rows), prices)
                for name, prices in self.tiers.items()
            },
            long_over=min((row.long_over for row in rows if row.long_over is not None), default=None),
            context_tokens=max(row.context_tokens or 0 for row in rows) or None,
            output_tokens_max=max(row.output_tokens_max or 0 for row in rows) or None,
            reasoning=any(row.reasoning for row in rows),
        )
