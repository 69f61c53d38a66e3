"""The schema that editors check the price book with knows the same words as the loader."""

import json
from typing import Any

from metering.pricing import load, tariff
from metering.pricing.row import DISCOUNT_TIERS, FASTER_TIERS
from tests.metering.pricing.conftest import ROOT

SCHEMA: dict[str, Any] = json.loads((ROOT / "pricing.schema.json").read_text())
DEFINITIONS = SCHEMA["definitions"]


def test_the_schema_and_the_loader_know_the_same_keys() -> None:
    assert set(DEFINITIONS["rates"]["properties"]) == set(tariff.KEYS)
    assert set(DEFINITIONS["model"]["properties"]) == set(load.MODEL_KEYS)
    assert set(DEFINITIONS["long"]["properties"]) == {"over", *tariff.TOKEN_RATES}
    assert set(DEFINITIONS["tiers"]["properties"]) == {*DISCOUNT_TIERS, *FASTER_TIERS}
    row = DEFINITIONS["model"]["properties"]["prices"]["items"]
    assert set(row["properties"]) == {*load.ROW_KEYS, *load.ROW_REQUIRED}
    assert set(row["required"]) == set(load.ROW_REQUIRED)
    assert set(SCHEMA["required"]) == set(SCHEMA["properties"]) == set(load.SECTIONS)


def test_nothing_unknown_passes_the_schema() -> None:
    for name in ("rates", "long", "tiers", "model", "fees"):
        assert DEFINITIONS[name]["additionalProperties"] is False
    assert SCHEMA["additionalProperties"] is False
