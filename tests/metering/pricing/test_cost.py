"""What a usage costs: exact, nothing twice, nothing dropped, rounded once."""

from dataclasses import fields, replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metering.clock import parse_time
from metering.pricing import Cost, PriceRow, cost
from metering.usage import Usage
from tests.prices import price_book

BOOK = price_book()
NOW_US = parse_time("2026-11-24T08:00:00Z")
FALLBACK = BOOK.fallback(NOW_US)


def row(name: str) -> PriceRow:
    found = BOOK.find(name, NOW_US)
    assert found is not None
    return found


def price(name: str, tier: str | None = None, *, preview_search: bool = True, **counts: object) -> Cost:
    return cost(row(name), Usage(**counts), tier, fallback=FALLBACK, preview_search=preview_search)  # type: ignore[arg-type]


def lines(part: Cost) -> dict[str, int]:
    return {line.what: line.quantity for line in part.lines}


def test_input_and_output_are_priced_by_the_million() -> None:
    assert price("gpt-4o", input_tokens=1_000_000, output_tokens=1_000_000).nanousd == 12_500_000_000
    assert price("gpt-4o-mini", input_tokens=11, output_tokens=3).nanousd == 3_450


def test_cached_tokens_are_charged_once_at_their_own_price() -> None:
    part = price("gpt-4o", input_tokens=1000, cached_tokens=600)
    assert lines(part) == {"input": 400, "cached input": 600}
    assert part.nanousd == 400 * 2500 + 600 * 1250


def test_cache_writes_are_not_dropped() -> None:
    """A recorded call: 4,020 tokens of input, 4,012 of them written, billed $0.025115 at the price of its day."""
    found = BOOK.find("gpt-5.6-sol", parse_time("2026-08-01"))
    assert found is not None
    usage = Usage(input_tokens=4020, cache_write_tokens=4012)
    part = cost(found, usage, fallback=FALLBACK)
    assert part.nanousd == 25_115_000
    assert lines(part) == {"input": 8, "cache write": 4012}


def test_long_lived_cache_writes_cost_more() -> None:
    part = price(
        "claude-sonnet-4-6",
        input_tokens=100,
        cache_write_tokens=60,
        cache_write_long_tokens=20,
        cached_tokens=30,
    )
    assert lines(part) == {"input": 10, "cached input": 30, "cache write": 40, "cache write, long": 20}
    assert part.nanousd == 10 * 3000 + 30 * 300 + 40 * 3750 + 20 * 6000


def test_audio_and_images_are_priced_apart_from_text() -> None:
    part = price(
        "gpt-realtime",
        input_tokens=100,
        input_audio_tokens=50,
        input_image_tokens=20,
        cached_tokens=40,
        cached_audio_tokens=30,
        cached_image_tokens=5,
        output_tokens=60,
        output_audio_tokens=45,
    )
    assert lines(part) == {
        "input": 25,
        "cached input": 5,
        "audio input": 20,
        "cached audio input": 30,
        "image input": 15,
        "cached image input": 5,
        "output": 15,
        "audio output": 45,
    }
    assert (
        part.nanousd
        == 25 * 4000 + 5 * 400 + 20 * 32000 + 30 * 400 + 15 * 5000 + 5 * 500 + 15 * 16000 + 45 * 64000
    )


def test_a_modality_without_a_price_of_its_own_costs_as_text() -> None:
    assert price("gpt-4o", input_tokens=100, input_image_tokens=90).nanousd == 250_000


def test_reasoning_is_part_of_the_output_and_not_added() -> None:
    with_reasoning = price("o3", output_tokens=500, reasoning_tokens=400)
    assert with_reasoning.nanousd == price("o3", output_tokens=500).nanousd


def test_a_long_request_is_priced_whole_and_its_cache_too() -> None:
    part = price("gpt-5.6-sol", input_tokens=300_000, output_tokens=1_000)
    assert part.nanousd == 2_430_000_000
    cached = price("gpt-5.6-sol", input_tokens=300_000, cached_tokens=200_000)
    assert cached.nanousd == 100_000 * 8_000 + 200_000 * 800
    assert any("272,000" in note for note in part.notes)


def test_flex_is_half_and_not_double() -> None:
    usage = {"input_tokens": 1000, "output_tokens": 1000}
    assert price("gpt-5", "flex", **usage).nanousd * 2 == price("gpt-5", **usage).nanousd


def test_an_unknown_tier_is_the_default_and_says_so() -> None:
    part = price("gpt-5", "warp", input_tokens=1000)
    assert part.nanousd == price("gpt-5", input_tokens=1000).nanousd
    assert part.notes == ("The price book knows no service tier 'warp': billed as the default.",)
    assert price("gpt-5.4-nano", "priority", input_tokens=1).notes
    assert not price("gpt-5", "scale", input_tokens=1000).notes


def test_tools_are_charged_by_what_they_did() -> None:
    assert price("gpt-5", web_searches=3).nanousd == 30_000_000
    assert price("gpt-5", file_searches=2, code_sessions=1).nanousd == 5_000_000 + 30_000_000
    assert price("gpt-5").nanousd == 0


def test_the_older_search_tool_costs_more_with_the_models_that_bill_it_so() -> None:
    assert price("gpt-4o", web_searches=1).nanousd == 25_000_000
    assert price("gpt-4o", web_searches=1, preview_search=False).nanousd == 10_000_000
    assert price("gpt-5", web_searches=1).nanousd == 10_000_000


def test_a_search_model_charges_its_search_with_every_call_and_only_once() -> None:
    part = price("gpt-4o-search-preview", input_tokens=10, output_tokens=10, web_searches=1)
    assert part.nanousd == 10 * 2500 + 10 * 10_000 + 25_000_000
    assert price("gpt-4o-search-preview").nanousd == 0


def test_audio_is_charged_by_time_and_speech_by_characters() -> None:
    assert price("whisper-1", duration_ms=60_000).nanousd == 6_000_000
    assert price("whisper-1", duration_ms=1).nanousd == 100
    assert price("tts-1", characters=1_000_000).nanousd == 15_000_000_000
    assert price("tts-1-hd", characters=1).nanousd == 30_000


@pytest.mark.parametrize(
    ("model", "size", "quality", "expected"),
    [
        ("dall-e-3", None, None, "0.04"),
        ("dall-e-3", "1024x1024", "standard", "0.04"),
        ("dall-e-3", "1792x1024", "standard", "0.08"),
        ("dall-e-3", "1024x1792", "HD", "0.12"),
        ("dall-e-2", "256x256", None, "0.016"),
        ("dall-e-2", None, None, "0.02"),
        # What is not listed costs as much as the dearest that it may be.
        ("dall-e-3", "4096x4096", "standard", "0.08"),
        ("dall-e-3", "1024x1024", "auto", "0.08"),
        ("gpt-image-1", "auto", "auto", "0.25"),
        ("gpt-image-1", "1024x1024", "medium", "0.042"),
    ],
)
def test_images_are_charged_by_size_and_quality(
    model: str, size: str | None, quality: str | None, expected: str
) -> None:
    part = price(model, images=3, image_size=size, image_quality=quality)
    assert part.nanousd == 3 * Fraction(expected) * 10**9


def test_images_and_time_are_not_charged_beside_the_tokens_that_stand_for_them() -> None:
    tokens = {"input_tokens": 20, "output_tokens": 4160, "output_image_tokens": 4160}
    assert price("gpt-image-1", images=1, **tokens).nanousd == 20 * 5000 + 4160 * 40_000
    part = price(
        "gpt-4o-transcribe", duration_ms=9_000, input_tokens=90, input_audio_tokens=90, output_tokens=10
    )
    assert part.nanousd == 90 * 6000 + 10 * 10_000
    assert not part.missing


@pytest.mark.parametrize(
    ("model", "counts", "missing", "expected"),
    [
        ("gpt-4o", {"duration_ms": 1000}, ("milliseconds",), 2_000_000),
        ("gpt-4o", {"characters": 10}, ("characters",), 1_000_000),
        ("gpt-4o", {"images": 1}, ("images",), 500_000_000),
        ("whisper-1", {"input_tokens": 10}, ("input",), 300_000),
        ("dall-e-3", {"output_tokens": 10, "output_image_tokens": 10}, ("image output",), 1_800_000),
        ("text-embedding-3-small", {"input_tokens": 10, "output_tokens": 5}, ("output",), 200 + 900_000),
    ],
)
def test_what_has_no_price_is_charged_at_the_fallbacks_and_named(
    model: str, counts: dict[str, int], missing: tuple[str, ...], expected: int
) -> None:
    part = price(model, **counts)
    assert part.missing == missing
    assert part.nanousd == expected


def test_one_rounding_upwards_at_the_end() -> None:
    # 0.02 dollars per million tokens are 20 nanodollars a token; an eighth of a nanodollar has to round up.
    assert price("gemini-1.5-flash", input_tokens=1, cached_tokens=1).nanousd == 19
    part = price("claude-haiku-5-5", cache_write_tokens=1, input_tokens=1)
    assert sum(line.amount_fusd for line in part.lines) == 125_000_000
    odd = price("deepseek-v4-flash", "batch", input_tokens=3)
    assert odd.nanousd == -(-sum(line.amount_fusd for line in odd.lines) // 10**6)


ROWS = BOOK.rows()
COUNTS = [
    field.name
    for field in fields(Usage)
    if field.name not in ("image_size", "image_quality", "reasoning_tokens", "cache_write_long_tokens")
]


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    """Usages as the readers give them: each subset within its superset."""
    # Around a long-context threshold as well as far from it.
    total = draw(
        st.one_of(st.integers(0, 2000), st.integers(199_990, 200_010), st.integers(271_990, 272_010))
    )
    audio = draw(st.integers(0, total))
    image = draw(st.integers(0, total - audio))
    cached = draw(st.integers(0, total))
    cached_audio = draw(st.integers(0, min(audio, cached)))
    cached_image = draw(st.integers(0, min(image, cached - cached_audio)))
    writes = draw(st.integers(0, total - cached))
    output = draw(st.integers(0, 2000))
    output_audio = draw(st.integers(0, output))
    return Usage(
        input_tokens=total,
        input_audio_tokens=audio,
        input_image_tokens=image,
        cached_tokens=cached,
        cached_audio_tokens=cached_audio,
        cached_image_tokens=cached_image,
        cache_write_tokens=writes,
        cache_write_long_tokens=draw(st.integers(0, writes)),
        output_tokens=output,
        output_audio_tokens=output_audio,
        output_image_tokens=draw(st.integers(0, output - output_audio)),
        duration_ms=draw(st.integers(0, 100_000)),
        characters=draw(st.integers(0, 10_000)),
        images=draw(st.integers(0, 4)),
        web_searches=draw(st.integers(0, 3)),
        file_searches=draw(st.integers(0, 3)),
        code_sessions=draw(st.integers(0, 3)),
    )


INPUT_LINES = frozenset(
    {
        "input",
        "cached input",
        "cache write",
        "cache write, long",
        "image cache write",
        "image cache write, long",
        "audio cache write, long",
        "audio cache write",
        "image input",
        "cached image input",
        "audio input",
        "cached audio input",
    }
)
TIERS = st.sampled_from([None, "flex", "priority", "ultrafast", "warp"])


def test_words_are_not_charged_beside_the_time_that_a_model_is_billed_by() -> None:
    """Groq counts the tokens of a transcript and bills its seconds."""
    part = price("whisper-large-v3", duration_ms=3_840, output_tokens=12)
    assert lines(part) == {"milliseconds": 3_840}
    assert not part.missing


@settings(max_examples=300, deadline=None)
@given(
    usage=usages(),
    priced=st.sampled_from([row for row in ROWS if row.rates(None, 0).bills_tokens]),
    tier=TIERS,
)
def test_every_token_of_input_and_output_is_charged_exactly_once(
    usage: Usage, priced: PriceRow, tier: str | None
) -> None:
    quantities = lines(cost(priced, usage, tier, fallback=FALLBACK))
    assert sum(quantities.get(what, 0) for what in INPUT_LINES) == usage.input_tokens
    assert (
        sum(quantities.get(what, 0) for what in ("output", "audio output", "image output"))
        == usage.output_tokens
    )
    cached = [
        quantities.get(what, 0) for what in ("cached input", "cached audio input", "cached image input")
    ]
    assert sum(cached) == usage.cached_tokens
    assert quantities.get("cache write, long", 0) <= usage.cache_write_long_tokens


@settings(max_examples=500, deadline=None)
@given(
    usage=usages(),
    priced=st.sampled_from(ROWS),
    tier=TIERS,
    more=st.integers(1, 1000),
    name=st.sampled_from(
        [
            "input_tokens",
            "output_tokens",
            "duration_ms",
            "characters",
            "images",
            "web_searches",
            "file_searches",
            "code_sessions",
        ]
    ),
)
def test_cost_never_falls_when_more_is_consumed(
    usage: Usage, priced: PriceRow, tier: str | None, more: int, name: str
) -> None:
    """With all other counts the same. Time, characters and images count where no tokens stand for them."""
    if name in ("duration_ms", "characters", "images"):
        usage = replace(usage, **dict.fromkeys(COUNTS, 0))
    elif not usage.total_tokens:
        # The first token would stand for what has been counted in another way until then.
        usage = replace(usage, duration_ms=0, characters=0, images=0)
    grown = replace(usage, **{name: getattr(usage, name) + more})
    assert (
        cost(priced, grown, tier, fallback=FALLBACK).nanousd
        >= cost(priced, usage, tier, fallback=FALLBACK).nanousd
    )


@settings(max_examples=500, deadline=None)
@given(usage=usages(), priced=st.sampled_from(ROWS), tier=TIERS, data=st.data())
def test_a_cached_token_never_costs_more_than_a_fresh_one_and_a_written_one_never_less(
    usage: Usage, priced: PriceRow, tier: str | None, data: st.DataObject
) -> None:
    base = cost(priced, usage, tier, fallback=FALLBACK).nanousd
    room = usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens
    more = data.draw(st.integers(0, room))
    cached = replace(usage, cached_tokens=usage.cached_tokens + more)
    assert cost(priced, cached, tier, fallback=FALLBACK).nanousd <= base
    written = replace(usage, cache_write_tokens=usage.cache_write_tokens + more)
    assert cost(priced, written, tier, fallback=FALLBACK).nanousd >= base
    longer = data.draw(st.integers(0, usage.cache_write_tokens - usage.cache_write_long_tokens))
    kept = replace(usage, cache_write_long_tokens=usage.cache_write_long_tokens + longer)
    assert cost(priced, kept, tier, fallback=FALLBACK).nanousd >= base


@settings(max_examples=200, deadline=None)
@given(usage=usages(), priced=st.sampled_from(ROWS), tier=TIERS)
def test_a_cost_is_the_sum_of_its_lines_rounded_up_once(
    usage: Usage, priced: PriceRow, tier: str | None
) -> None:
    part = cost(priced, usage, tier, fallback=FALLBACK)
    for line in part.lines:
        assert line.quantity > 0
        assert line.amount_fusd == line.quantity * line.rate_fusd
    total = sum(line.amount_fusd for line in part.lines)
    assert 0 <= part.nanousd * 10**6 - total < 10**6
    assert set(part.missing) <= {line.what for line in part.lines}


@given(name=st.sampled_from(COUNTS), priced=st.sampled_from(ROWS), count=st.integers(1, 1000))
def test_nothing_that_is_consumed_is_silently_free(name: str, priced: PriceRow, count: int) -> None:
    usage = Usage(**{name: count})  # type: ignore[arg-type]
    if name.startswith(("input_audio", "input_image", "cached", "cache_write")):
        usage = replace(usage, input_tokens=count)
    if name.startswith("output_"):
        usage = replace(usage, output_tokens=count)
    part = cost(priced, usage, fallback=FALLBACK)
    if not priced.free and priced.fees.name != "openai-included":
        assert part.nanousd > 0
