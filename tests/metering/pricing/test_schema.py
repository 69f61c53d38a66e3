"""The schema that editors check the price book with knows the same words as the loader, and refuses nothing that it takes."""

import copy
import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from metering.errors import PriceBookError
from metering.pricing import PriceBook, load, tariff
from metering.pricing.row import DISCOUNT_TIERS, FASTER_TIERS
from tests.metering.pricing.conftest import ROOT
from tests.metering.pricing.draft7 import accepts

SCHEMA: dict[str, Any] = json.loads((ROOT / "pricing.schema.json").read_text())
DEFINITIONS = SCHEMA["definitions"]


def test_the_schema_and_the_loader_know_the_same_keys() -> None:
    assert set(DEFINITIONS["rates"]["properties"]) == set(tariff.KEYS)
    assert set(DEFINITIONS["model"]["properties"]) == set(load.MODEL_KEYS)
    assert set(DEFINITIONS["long"]["properties"]) == {"over", *tariff.TOKEN_RATES}
    assert set(DEFINITIONS["tiers"]["properties"]) == {*DISCOUNT_TIERS, *FASTER_TIERS}
    row = DEFINITIONS["row"]
    assert set(row["properties"]) == {*load.ROW_KEYS, *load.ROW_REQUIRED}
    assert set(row["required"]) == set(load.ROW_REQUIRED)
    assert set(SCHEMA["required"]) == set(SCHEMA["properties"]) == set(load.SECTIONS)


def test_nothing_unknown_passes_the_schema() -> None:
    for name in ("rates", "long", "tiers", "model", "row", "fees"):
        assert DEFINITIONS[name]["additionalProperties"] is False
    assert SCHEMA["additionalProperties"] is False


GOOD = ROOT / "tests/metering/good_book.yaml"
BAD = sorted((ROOT / "tests/metering/bad_pricing").glob("*.yaml"))
ONLY_THE_LOADER_SEES = {
    # What one part says of another.
    "alias_of_another",
    "cached_above_fresh",
    "dates_out_of_order",
    "discount_above_standard",
    "faster_below_standard",
    "long_below_standard",
    "unknown_fees",
    "unknown_source",
    "write_below_input",
    # How a number is written, and what becomes of it in other units.
    "float_exponent",
    "minute_not_representable",
    "rate_not_representable",
}


def plain(path: Path) -> Any:
    """A file as an editor sees it: days are texts."""

    def days(value: Any) -> Any:
        if isinstance(value, dict):
            return {str(key): days(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [days(inner) for inner in value]
        return value.isoformat() if isinstance(value, date) else value

    return days(YAML(typ="safe", pure=True).load(path))


def loads(path: Path, document: Any) -> bool:
    path.write_text(json.dumps(document))
    with suppress(PriceBookError):
        PriceBook.load(path)
        return True
    return False


def test_the_schema_accepts_the_book() -> None:
    assert accepts(SCHEMA, plain(ROOT / "pricing.yaml"))
    assert accepts(SCHEMA, plain(GOOD))


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_the_schema_refuses_each_bad_book_that_it_can_see_through(path: Path) -> None:
    try:
        document = plain(path)
    except (YAMLError, ValueError):
        return  # No editor takes it for YAML, or for a date, either.
    assert accepts(SCHEMA, document) == (path.stem in ONLY_THE_LOADER_SEES)


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield from places(part, (*at, key))


BOOK = plain(GOOD)
PLACES = [place for place in places(BOOK) if place]
VALUES = st.sampled_from(
    [
        None,
        {},
        [],
        "",
        "x",
        "gpt",
        "2026-01-01",
        "o200k",
        "plain",
        0,
        0.001,
        0.5,
        1,
        2.5,
        100,
        20_000,
        -1,
        True,
        [1],
        {"a": 1},
    ]
)


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    place=st.sampled_from(PLACES),
    change=st.sampled_from(["replace", "remove", "add"]),
    name=st.sampled_from(
        ["since", "input", "cache_write", "cache_write_long", "minute", "batch", "over", "extra"]
    ),
    value=VALUES,
)
def test_what_the_loader_takes_the_schema_takes(
    tmp_path: Path, place: tuple[Any, ...], change: str, name: str, value: Any
) -> None:
    document = copy.deepcopy(BOOK)
    holder = document
    for key in place[:-1]:
        holder = holder[key]
    if change == "remove":
        del holder[place[-1]]
    elif change == "replace":
        holder[place[-1]] = value
    elif isinstance(holder, dict):
        holder[name] = value

    if loads(tmp_path / "book.yaml", document):
        # To the loader a number is a text where one is wanted: an alias may be 5.
        is_name = change != "remove" and ("sources" in place or "aliases" in place)
        assert accepts(SCHEMA, document) or (is_name and not isinstance(value, str))
