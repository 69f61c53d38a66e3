"""From what a price list states, in dollars, to complete rates, in femtodollars per unit.

A tariff is one set of stated prices. Arithmetic is exact, in fractions; a rate that is not a whole number of
femtodollars is refused rather than rounded. The plausibility rules catch what slips into such files: a figure
per thousand tokens among figures per million, a cached price above the fresh one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from metering.pricing.document import Entry
from metering.pricing.rates import TOKEN_RATES, ImageRates, Rates

_MILLION_TOKENS = Fraction(10**15, 10**6)
_UNITS: Mapping[str, tuple[str, Fraction, int]] = {
    **{name: (name, _MILLION_TOKENS, 10_000) for name in TOKEN_RATES},
    "minute": ("millisecond", Fraction(10**15, 60_000), 10),
    "million_characters": ("character", Fraction(10**15, 10**6), 10_000),
    "call": ("call", Fraction(10**15), 10),
}
"""Key in the file → field of the rates, femtodollars per unit for a dollar, and the most that is plausible.
"""
_IMAGE_MAX = 10
_LOOKS_PER_THOUSAND = {"input": Fraction(4, 1000), "output": Fraction(30, 1000)}
"""No provider lists less than this per million tokens; per thousand, these are ordinary prices."""
_NOT_ABOVE = (
    ("cached_input", "input"),
    ("cached_audio", "input_audio"),
    ("cached_image", "input_image"),
    ("input", "cache_write"),
    ("cache_write", "cache_write_long"),
)

KEYS = (*_UNITS, "images")
TIMES_MAX = 20


@dataclass(frozen=True, slots=True)
class Tariff:
    """Prices as stated, by the field of the rates that they set, with the entry to blame for each."""

    entry: Entry
    prices: Mapping[str, Fraction]
    """Femtodollars per unit, not yet known to be whole."""
    blame: Mapping[str, Entry]
    images: ImageRates | None = None

    def times(self, factor: Fraction, entry: Entry) -> "Tariff":
        """The same with every price of a token multiplied; prices by time, text or image stay."""
        scaled = {
            name: price * factor if name in TOKEN_RATES else price for name, price in self.prices.items()
        }
        return Tariff(entry, scaled, dict.fromkeys(scaled, entry), self.images)

    def over(self, base: "Tariff") -> "Tariff":
        """These prices where stated, and those of `base` elsewhere, except the cached ones.

        A tier that lists no cached price gives no discount on cached tokens.
        """
        kept = {name: price for name, price in base.prices.items() if not name.startswith("cached_")}
        return Tariff(
            self.entry, kept | dict(self.prices), {**base.blame, **self.blame}, self.images or base.images
        )

    def rates(self) -> Rates:
        """The complete rates. Raises PriceBookError where one is not a whole number of femtodollars."""
        whole = {}
        for name, price in self.prices.items():
            if price.denominator != 1:
                self.blame[name].refuse(
                    "is not a whole number of femtodollars per unit; state a rounder price"
                )
            whole[name] = price.numerator
        return Rates.resolve(whole, self.images)


def read_tariff(entry: Entry, *, plausible: bool = True) -> Tariff:
    """One set of prices. `plausible=False` leaves out the per-thousand check, for discount tiers."""
    prices: dict[str, Fraction] = {}
    blame: dict[str, Entry] = {}
    images = None
    for key, field in entry.fields(KEYS).items():
        if key == "images":
            images = _read_images(field)
            continue
        name, unit, most = _UNITS[key]
        dollars = Fraction(field.number())
        if dollars > most:
            field.refuse(f"is more than ${most:,}, which cannot be a price in this unit")
        if plausible and 0 < dollars < _LOOKS_PER_THOUSAND.get(key, 0):
            field.refuse("looks like a price per thousand tokens; prices here are per million")
        prices[name] = dollars * unit
        blame[name] = field
    if not prices and images is None:
        entry.refuse("states no price")
    if "cache_write" in prices and "cache_write_long" not in prices:
        entry.refuse("states cache_write but not cache_write_long")
    for less, more in _NOT_ABOVE:
        if less in prices and more in prices and prices[less] > prices[more]:
            blame[less].refuse(f"is above {more}, which cannot be")
    return Tariff(entry, prices, blame, images)


def check_not_below(dearer: Tariff, base: Tariff) -> None:
    """Long requests and faster tiers never cost less than the ordinary."""
    for name, price in dearer.prices.items():
        if name in base.prices and price < base.prices[name]:
            dearer.blame[name].refuse("is below the standard price, which cannot be")


def check_not_above(cheaper: Tariff, base: Tariff) -> None:
    """Discount tiers never cost more than the ordinary."""
    for name, price in cheaper.prices.items():
        if name in base.prices and price > base.prices[name]:
            cheaper.blame[name].refuse("is above the standard price, which cannot be")


def _read_images(entry: Entry) -> ImageRates:
    """`{1024x1024: {standard: 0.04, hd: 0.08}, …}`; the first size and quality are the API's defaults."""
    by_size: dict[str, dict[str, int]] = {}
    for size, qualities in entry.items():
        by_size[size.lower()] = {name.lower(): _image_rate(field) for name, field in qualities.items()}
        if not by_size[size.lower()]:
            qualities.refuse("names no quality")
    if not by_size:
        entry.refuse("names no size")
    size = next(iter(by_size))
    return ImageRates(by_size, size, next(iter(by_size[size])))


def _image_rate(field: Entry) -> int:
    dollars = Fraction(field.number())
    if dollars > _IMAGE_MAX:
        field.refuse(f"is more than ${_IMAGE_MAX}, which cannot be the price of an image")
    fusd = dollars * 10**15
    if fusd.denominator != 1:
        field.refuse("is not a whole number of femtodollars per image; state a rounder price")
    return fusd.numerator
