from collections.abc import Callable
from pathlib import Path

import pytest

from metering.clock import parse_time
from metering.pricing import PriceBook
from tests.prices import price_book

ROOT = Path(__file__).resolve().parent.parent.parent.parent


@pytest.fixture(scope="session")
def book() -> PriceBook:
    """The price book as it ships."""
    return price_book()


@pytest.fixture(scope="session")
def now_us() -> int:
    return parse_time("2026-11-24T08:00:00Z")


@pytest.fixture
def good_book_with(tmp_path: Path) -> Callable[[str], PriceBook]:
    """The small good book with more models."""

    def load(models: str) -> PriceBook:
        text = (ROOT / "tests/metering/good_book.yaml").read_text()
        (tmp_path / "book.yaml").write_text(text + models)
        return PriceBook.load(tmp_path / "book.yaml")

    return load
