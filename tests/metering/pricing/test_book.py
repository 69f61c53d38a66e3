"""What the shipped book says: prices by date, tiers, sizes, free models, metadata."""

import sys
import time
from decimal import Decimal

import pytest

from metering.clock import parse_time
from metering.pricing import PriceBook
from metering.pricing.row import DEFAULT_TIER
from tests.metering.pricing.conftest import ROOT

PER_MILLION = 10**9


def dollars(rate_fusd: int | None) -> str:
    return "-" if rate_fusd is None else f"{Decimal(rate_fusd) / PER_MILLION:f}"


@pytest.mark.parametrize(
    ("name", "day", "expected"),
    [
        ("gpt-4o", "2024-06-01", "5/15"),
        ("gpt-4o", "2024-10-01T23:59:59Z", "5/15"),
        ("gpt-4o", "2024-10-02", "2.5/10"),
        ("gpt-5.6-sol", "2026-08-20", "5/30"),
        ("gpt-5.6-sol", "2026-08-21", "4/20"),
        ("gpt-5.6-luna", "2026-07-29", "1/6"),
        ("gpt-5.6-luna", "2026-07-30", "0.2/1.2"),
        ("o3", "2025-06-09", "10/40"),
        ("o3", "2025-06-10", "2/8"),
        ("gpt-3.5-turbo", "2023-03-01", "2/2"),
        ("gpt-3.5-turbo", "2026-11-24", "0.5/1.5"),
        ("gemini-4-argon", "2026-11-30", "2/10"),
        ("gemini-4-argon", "2026-12-01", "4/20"),
    ],
)
def test_a_call_is_priced_by_the_row_of_its_day(book: PriceBook, name: str, day: str, expected: str) -> None:
    row = book.find(name, parse_time(day))
    assert row is not None
    rates = row.rates(None, 1)
    assert f"{dollars(rates.input)}/{dollars(rates.output)}" == expected


def test_a_row_is_recorded_by_its_name_and_date(book: PriceBook, now_us: int) -> None:
    keys = [row.key for name in ("gpt-4o", "gpt-4o-mini", "gpt-4") if (row := book.find(name, now_us))]
    assert keys == ["gpt-4o@2024-10-02", "gpt-4o-mini@2024-10-01", "gpt-4"]
    every = [row.key for row in book.rows()]
    assert len(every) == len(set(every))


@pytest.mark.parametrize(
    ("name", "tier", "expected"),
    [
        ("gpt-5.4", None, "2.5/15"),
        ("gpt-5.4", "default", "2.5/15"),
        ("gpt-5.4", "auto", "2.5/15"),
        ("gpt-5.4", "scale", "2.5/15"),
        ("gpt-5.4", "flex", "1.25/7.5"),
        ("gpt-5.4", "batch", "1.25/7.5"),
        ("gpt-5.4", "priority", "5/30"),
        ("gpt-5.4", "fast", "5/30"),
        ("gpt-5.4", " Priority ", "5/30"),
        ("gpt-5.5", "priority", "12.5/75"),
        ("gpt-4o-mini", "priority", "0.25/1"),
        ("gpt-6.1-sol", "ultrafast", "12/60"),
        ("gpt-6.2-sol", "ultrafast", "6/30"),
        # No price for the tier: a discount is not assumed, a surcharge is taken at the most that is known.
        ("gpt-4o", "flex", "2.5/10"),
        ("gpt-5.4-nano", "priority", "0.5/3.125"),
        ("gpt-5.4", "ultrafast", "15/90"),
        # Anthropic's priority is bought ahead, and its fast mode is the fastest tier.
        ("claude-opus-5", "priority", "5/25"),
        ("claude-opus-5", "ultrafast", "10/50"),
        ("claude-opus-4-7", "ultrafast", "30/150"),
        ("gemini-3.5-flash", "SERVICE_TIER_PRIORITY", "3/18"),
        ("gemini-3.5-flash", "SERVICE_TIER_UNSPECIFIED", "1.5/9"),
        ("gemini-3.5-flash", "flex", "0.75/4.5"),
        # Nobody knows this tier.
        ("gpt-5.4", "warp", "2.5/15"),
    ],
)
def test_the_service_tier_decides_the_price(
    book: PriceBook, now_us: int, name: str, tier: str | None, expected: str
) -> None:
    row = book.find(name, now_us)
    assert row is not None
    rates = row.rates(tier, 1)
    assert f"{dollars(rates.input)}/{dollars(rates.output)}" == expected


def test_the_introductory_price_of_a_tier_ends_on_its_day(book: PriceBook) -> None:
    before, after = (book.find("gpt-6.2-sol", parse_time(day)) for day in ("2027-02-28", "2027-03-01"))
    assert before is not None
    assert after is not None
    assert dollars(before.rates("ultrafast", 1).input) == "6"
    assert dollars(after.rates("ultrafast", 1).input) == "12"


def test_a_long_request_is_priced_whole_at_the_long_prices_of_its_tier(book: PriceBook, now_us: int) -> None:
    row = book.find("gpt-5.6-sol", now_us)
    assert row is not None
    assert dollars(row.rates(None, 272_000).input) == "4"
    long = row.rates(None, 272_001)
    assert [dollars(rate) for rate in (long.input, long.cached_input, long.cache_write, long.output)] == [
        "8",
        "0.8",
        "10",
        "30",
    ]
    assert dollars(row.rates("flex", 272_001).input) == "4"


def test_free_is_a_price_of_zero_and_never_a_missing_one(book: PriceBook, now_us: int) -> None:
    free = {row.name for row in book.rows() if row.free}
    assert free == {"omni-moderation-latest"}
    moderation = book.find("text-moderation-007", now_us)
    assert moderation is not None
    assert moderation.rates("priority", 10**6).output == 0


def test_an_alias_is_bounded_by_its_dearest_snapshot(book: PriceBook, now_us: int) -> None:
    alias = book.dearest("gpt-4o", now_us)
    assert alias is not None
    assert (dollars(alias.rates(None, 1).input), dollars(alias.rates(None, 1).output)) == ("5", "15")
    assert alias.output_tokens_max == 16384
    dated = book.dearest("gpt-4o-2024-08-06", now_us)
    assert dated is book.find("gpt-4o-2024-08-06", now_us)


def test_every_row_has_what_it_needs(book: PriceBook) -> None:
    for row in book.rows():
        rates = row.tiers[DEFAULT_TIER].ordinary
        assert row.source, row.name
        assert row.checked.year >= 2026, row.name
        assert set(row.tiers) == {DEFAULT_TIER, "flex", "batch", "priority", "ultrafast"}
        whole = rates.millisecond is not None or rates.character is not None or rates.images is not None
        assert rates.bills_tokens or whole, row.name
        if rates.output and not whole and rates.input_image == rates.input and row.fees.name != "other":
            assert row.context_tokens, row.name
            assert row.output_tokens_max, row.name


def test_faster_tiers_never_cost_less_and_discounts_never_more(book: PriceBook) -> None:
    for row in book.rows():
        for size in (1, 10**7):
            default = row.rates(None, size)
            for tier, sign in (("flex", -1), ("batch", -1), ("priority", 1), ("ultrafast", 1)):
                rates = row.rates(tier, size)
                for name in ("input", "output", "input_audio", "output_audio", "cache_write"):
                    mine, base = getattr(rates, name), getattr(default, name)
                    assert (mine is None) == (base is None)
                    assert mine is None or sign * (mine - base) >= 0, (row.key, tier, name)


def test_the_fallback_has_a_price_for_everything_and_is_dearer_than_current_text_models(
    book: PriceBook, now_us: int
) -> None:
    fallback = book.fallback(now_us).rates(None, 1)
    for name in ("gpt-6-astra", "gpt-5.5-pro", "gpt-6-cyber", "claude-fable-5", "gpt-audio", "gpt-image-2"):
        row = book.find(name, now_us)
        assert row is not None
        rates = row.rates(None, 1)
        for rate in ("input", "cached_input", "output", "input_audio", "output_audio", "output_image"):
            assert getattr(fallback, rate) >= getattr(rates, rate), (name, rate)
    assert fallback.millisecond
    assert fallback.character
    assert fallback.images


def test_encodings_are_the_older_one_for_older_models_only(book: PriceBook, now_us: int) -> None:
    old = {row.name for row in book.rows() if row.encoding == "cl100k"}
    assert {"gpt-4", "gpt-3.5-turbo", "text-embedding-3-small", "ft:gpt-3.5-turbo"} <= old
    assert not {"gpt-4o", "gpt-4.1", "gpt-5", "o3", "claude-sonnet-5"} & old


def test_the_whole_book_is_read_in_less_than_a_second() -> None:
    # Coverage makes it three times as slow, and threads of other tests work beside it: neither is measured.
    coverage = sys.gettrace()
    sys.settrace(None)
    try:
        started_s = time.thread_time()
        PriceBook.load(ROOT / "pricing.yaml")
        took_s = time.thread_time() - started_s
    finally:
        sys.settrace(coverage)
    assert took_s < 1


def test_the_book_points_editors_to_its_schema() -> None:
    first = (ROOT / "pricing.yaml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=pricing.schema.json"
    assert (ROOT / "pricing.schema.json").is_file()
