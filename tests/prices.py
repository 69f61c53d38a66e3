"""The price book as it ships, read once in a process: it takes a third of a second, and a whole one where coverage looks on."""

from functools import cache
from pathlib import Path

from metering.pricing import PriceBook, PriceBookFile

PRICING = Path(__file__).resolve().parents[1] / "pricing.yaml"


@cache
def price_book() -> PriceBook:
    """What every test asks that does not test the reading; nobody can change it."""
    return price_book_file().current()


@cache
def price_book_file() -> PriceBookFile:
    """The same for a service."""
    return PriceBookFile(PRICING)
