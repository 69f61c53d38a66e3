"""The price book agrees with an oracle's list, or says why it does not."""

from pathlib import Path

import pytest

from metering.clock import parse_time
from scripts.check_prices import EXPLAINED, Difference, differences, main, unknown_names
from tests.prices import price_book

ROOT = Path(__file__).resolve().parents[2]
BOOK = price_book()
NOW_US = parse_time("2026-11-24T08:00:00Z")

MAIN_MODELS = (
    "gpt-6.1-sol",
    "gpt-6.1-terra",
    "gpt-6-astra",
    "gpt-6-sol",
    "gpt-6-luna",
    "gpt-5.6-sol",
    "gpt-5.6-terra",
    "gpt-5.6-luna",
    "gpt-5.5",
    "gpt-5.5-pro",
    "gpt-5.4",
    "gpt-5.4-mini",
    "gpt-5.4-nano",
    "gpt-5.2",
    "gpt-5.1",
    "gpt-5",
    "gpt-5-mini",
    "gpt-5-nano",
    "gpt-5-pro",
    "gpt-4.1",
    "gpt-4.1-mini",
    "gpt-4.1-nano",
    "gpt-4o",
    "gpt-4o-2024-05-13",
    "gpt-4o-mini",
    "gpt-4-turbo",
    "gpt-4",
    "gpt-3.5-turbo",
    "o1",
    "o3",
    "o3-mini",
    "o4-mini",
    "text-embedding-3-small",
    "text-embedding-3-large",
    "text-embedding-ada-002",
    "gpt-audio",
    "gpt-realtime",
    "gpt-realtime-2",
    "gpt-image-1",
    "gpt-image-2",
    "whisper-1",
    "tts-1",
    "claude-opus-5",
    "claude-sonnet-4-5",
    "gemini-2.5-pro",
)
KNOWN_ONLY_ELSEWHERE = ("gpt-6.2-sol", "gpt-6.2-astra")
"""Newer than the oracle."""


@pytest.fixture(scope="module")
def found() -> list[Difference]:
    return list(differences(BOOK, NOW_US))


@pytest.fixture(scope="module")
def strangers() -> list[str]:
    return unknown_names(BOOK, NOW_US)


@pytest.mark.parametrize("name", MAIN_MODELS)
def test_a_main_model_costs_what_the_oracle_says(
    name: str, found: list[Difference], strangers: list[str]
) -> None:
    assert name not in strangers
    # The oracle lists no twelve-hour cache writes at all.
    assert [each for each in found if each.name == name and each.field != "cache_write_long"] == []


def test_the_newest_models_are_priced_before_the_oracle_knows_them(strangers: list[str]) -> None:
    assert set(KNOWN_ONLY_ELSEWHERE) <= set(strangers)
    assert all(BOOK.find(name, NOW_US) is not None for name in KNOWN_ONLY_ELSEWHERE)


def test_every_difference_has_a_reason(found: list[Difference]) -> None:
    assert [each for each in found if each.reason is None] == []


def test_no_reason_outlives_its_difference(found: list[Difference]) -> None:
    given = {each.reason for each in found}
    assert [reason for _, _, reason in EXPLAINED if reason not in given] == []


def test_a_wrong_price_is_found_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    book = tmp_path / "pricing.yaml"
    text = (ROOT / "pricing.yaml").read_text()
    right = "standard: {input: 2, cached_input: 0.50, output: 8}"
    assert right in text
    book.write_text(text.replace(right, "standard: {input: 2, cached_input: 0.50, output: 9}", 1))
    assert main(["--prices", str(book)]) == 1
    assert "gpt-4.1 output (ordinary): $9 here, $8 there. NOT EXPLAINED" in capsys.readouterr().out
