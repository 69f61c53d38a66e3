"""docs/PRICES.md: its example is a row that loads, and the keys it explains are those that exist."""

import re
from pathlib import Path

from metering.clock import parse_time
from metering.pricing import PriceBook
from metering.pricing.tariff import KEYS
from tests.metering.pricing.conftest import ROOT

TEXT = (ROOT / "docs" / "PRICES.md").read_text()


def test_the_example_is_a_model_that_loads(tmp_path: Path) -> None:
    example = re.search(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    assert example is not None
    file = tmp_path / "pricing.yaml"
    file.write_text((ROOT / "tests" / "metering" / "good_book.yaml").read_text() + example[1])
    book = PriceBook.load(file)
    row = book.find("example-model-latest", parse_time("2027-01-01"))
    assert row is not None
    assert row.key == "example-model@2027-01-01"
    assert row.tier_names == ("default", "flex", "batch", "priority")


def test_every_key_of_a_price_is_explained() -> None:
    assert [key for key in KEYS if f"`{key}`" not in TEXT] == []
