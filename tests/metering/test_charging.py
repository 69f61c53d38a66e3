"""From an answer to a charge: whose model, whose tier, whose figure, and that nothing is free by a gap."""

import logging
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metering.asks import Ask, Family, read_ask
from metering.charging import Charge, charge
from metering.clock import parse_time
from metering.estimates import estimate_usage
from metering.reading import read_answer, streamed_text
from metering.usage import Reading, Usage
from tests.prices import price_book

BOOK = price_book()
NOW_US = parse_time("2026-11-24T08:00:00Z")
TEN = Usage(input_tokens=10, output_tokens=10)
SEVEN_DOLLARS = 7_000_000_000


def ask_for(model: str | None = "gpt-4o", family: Family = Family.CHAT, **more: object) -> Ask:
    body: dict[str, object] = {"messages": []} if model is None else {"model": model, "messages": []}
    return read_ask(family, body | more, 100)


def charged(
    reading: Reading,
    ask: Ask | None = None,
    *,
    asked_model: str | None = None,
    model_map: Mapping[str, str] | None = None,
    base_host: str = "api.openai.com",
    at: str = "2026-11-24T08:00:00Z",
    estimate: Usage | None = None,
) -> Charge:
    ask = ask or ask_for()
    return charge(
        BOOK,
        reading=reading,
        ask=ask,
        asked_model=asked_model or ask.model or "",
        model_map=model_map or {},
        base_host=base_host,
        at_us=parse_time(at),
        estimate=estimate,
    )


def test_the_model_of_the_answer_comes_before_that_of_the_request() -> None:
    found = charged(Reading(usage=TEN, model="gpt-4o-2024-05-13"), ask_for("gpt-4o"))
    assert (found.price_row, found.model_served) == ("gpt-4o-2024-05-13", "gpt-4o-2024-05-13")
    assert found.cost_nanousd == 10 * 5_000 + 10 * 15_000


def test_without_a_model_in_the_answer_that_of_the_request_counts() -> None:
    found = charged(Reading(usage=TEN), ask_for("gpt-4o-mini"))
    assert found.price_row == "gpt-4o-mini@2024-10-01"
    assert found.model_served == "gpt-4o-mini"
    assert not found.notes


def test_a_served_model_without_a_price_is_billed_as_the_asked_one_and_says_so() -> None:
    found = charged(Reading(usage=TEN, model="gpt-4o-experimental-cluster-7"), ask_for("gpt-4o"))
    assert found.price_row == "gpt-4o@2024-10-02"
    assert found.notes == ("gpt-4o-experimental-cluster-7 has no price of its own: billed as gpt-4o.",)
    assert found.basis == "reported"


def test_a_deployment_goes_through_the_map_before_the_model_of_the_body() -> None:
    ask = ask_for("gpt-4")
    mapped = charged(Reading(usage=TEN), ask, asked_model="team-a", model_map={"team-a": "gpt-4o-mini"})
    assert mapped.price_row == "gpt-4o-mini@2024-10-01"
    assert mapped.model_served == "gpt-4o-mini"
    # Without a map the deployment is nobody's name, and the body's model is the next best.
    assert charged(Reading(usage=TEN), ask, asked_model="team-a").price_row == "gpt-4"


def test_a_deployment_that_the_answer_echoes_goes_through_the_map_too() -> None:
    """Azure's responses name the deployment, which may be called like another model."""
    reading = Reading(usage=TEN, model="gpt-4")
    found = charged(reading, ask_for("gpt-4"), model_map={"gpt-4": "gpt-4o-mini"})
    assert found.price_row == "gpt-4o-mini@2024-10-01"
    assert found.model_served == "gpt-4o-mini"


def test_a_real_model_in_the_answer_comes_before_the_map_of_the_request() -> None:
    reading = Reading(usage=TEN, model="gpt-4.1-mini-2025-04-14")
    found = charged(reading, ask_for("team-a"), model_map={"team-a": "gpt-4o"})
    assert found.price_row == "gpt-4.1-mini"


@pytest.mark.parametrize(
    ("asked", "served", "tier"),
    [
        ("priority", "default", None),
        ("priority", "priority", "priority"),
        ("fast", "priority", "priority"),
        ("auto", "priority", "priority"),
        (None, "flex", "flex"),
        ("flex", "default", None),
        # Where the answer names none, a faster tier that was asked for is the ceiling; a discount is not given.
        ("priority", None, "priority"),
        ("fast", None, "priority"),
        ("priority", "auto", "priority"),
        ("flex", None, None),
        ("auto", None, None),
        (None, None, None),
    ],
)
def test_the_served_tier_decides_the_price(asked: str | None, served: str | None, tier: str | None) -> None:
    ask = ask_for("gpt-5.1") if asked is None else ask_for("gpt-5.1", service_tier=asked)
    found = charged(Reading(usage=TEN, model="gpt-5.1-2025-11-13", service_tier=served), ask)
    row = BOOK.find("gpt-5.1", NOW_US)
    assert row is not None
    rates = row.rates(tier, 10)
    assert found.cost_nanousd * 10**6 == 10 * ((rates.input or 0) + (rates.output or 0))


def test_a_call_is_charged_at_the_price_of_its_admission() -> None:
    reading = Reading(usage=Usage(input_tokens=1_000_000), model="gpt-5.6-sol")
    before = charged(reading, ask_for("gpt-5.6-sol"), at="2026-08-20T23:59:59Z")
    after = charged(reading, ask_for("gpt-5.6-sol"), at="2026-08-21T00:00:00Z")
    assert (before.price_row, before.cost_nanousd) == ("gpt-5.6-sol", 10_000_000_000)
    assert (after.price_row, after.cost_nanousd) == ("gpt-5.6-sol@2026-08-21", 8_000_000_000)


def test_a_model_without_a_price_is_charged_at_the_fallback_row_and_flagged() -> None:
    found = charged(Reading(usage=TEN, model="model-of-tomorrow"), ask_for("model-of-tomorrow"))
    assert found.basis == "fallback"
    assert found.price_row == "fallback"
    assert found.cost_nanousd == 10 * 30_000 + 10 * 180_000
    assert found.notes[0] == "model-of-tomorrow has no price: billed as the fallback row."


def test_a_part_without_a_price_makes_the_whole_a_fallback() -> None:
    found = charged(Reading(usage=Usage(images=1), model="gpt-4o"))
    assert (found.basis, found.cost_nanousd) == ("fallback", 500_000_000)


def test_an_estimate_stands_in_where_the_answer_has_no_usage() -> None:
    found = charged(Reading(model="gpt-4o-2024-08-06"), estimate=TEN)
    assert (found.basis, found.cost_nanousd, found.usage) == ("estimated", 125_000, TEN)


def test_an_explicit_zero_is_a_usage_and_no_reason_to_estimate() -> None:
    found = charged(Reading(usage=Usage(), model="gpt-4o"), estimate=TEN)
    assert (found.basis, found.cost_nanousd) == ("reported", 0)


def test_nothing_to_charge_by_is_an_error_and_not_zero() -> None:
    with pytest.raises(ValueError, match="needs a usage"):
        charged(Reading(model="gpt-4o"))


@pytest.mark.parametrize("host", ["openrouter.ai", "OpenRouter.AI", "openrouter.ai.", "api.x.ai"])
def test_a_provider_s_own_figure_is_the_charge_at_that_provider(host: str) -> None:
    reading = Reading(usage=TEN, model="gpt-4o", provider_cost_nanousd=SEVEN_DOLLARS)
    found = charged(reading, base_host=host)
    assert found.cost_nanousd == SEVEN_DOLLARS
    assert found.basis == "reported"
    assert found.price_row == host.lower().rstrip(".")
    assert sum(line.amount_fusd for line in found.lines) == SEVEN_DOLLARS * 10**6


@pytest.mark.parametrize(
    "host",
    [
        "api.openai.com",
        "openrouter.ai.example.com",
        "eu.openrouter.ai",
        "notopenrouter.ai",
        "openrouter.ai@example.com",
        "x.ai",
        "api.x.ai.example.com",
        "",
    ],
)
def test_elsewhere_a_provider_s_own_figure_is_only_kept_beside_ours(host: str) -> None:
    reading = Reading(usage=TEN, model="gpt-4o-2024-08-06", provider_cost_nanousd=0)
    found = charged(reading, base_host=host)
    assert found.cost_nanousd == 125_000
    assert found.provider_cost_nanousd == 0


def test_a_provider_s_own_figure_needs_no_price_and_no_usage() -> None:
    """Images at xAI tell nothing but what they cost."""
    reading = Reading(model="grok-imagine", provider_cost_nanousd=20_000_000)
    found = charged(reading, ask_for("grok-imagine"), base_host="api.x.ai")
    assert (found.cost_nanousd, found.basis) == (20_000_000, "reported")


def test_a_free_model_at_openrouter_costs_what_openrouter_says() -> None:
    reading = Reading(usage=TEN, model="meta-llama/llama-3:free", provider_cost_nanousd=0)
    assert charged(reading, base_host="openrouter.ai").cost_nanousd == 0


def test_at_openrouter_an_answer_without_a_figure_is_priced_by_the_book() -> None:
    found = charged(
        Reading(usage=TEN, model="openai/gpt-4o"), ask_for("openai/gpt-4o"), base_host="openrouter.ai"
    )
    assert found.cost_nanousd == 125_000


def test_an_image_tool_is_billed_under_its_own_model() -> None:
    image = Usage(input_tokens=20, output_tokens=1_000, output_image_tokens=1_000)
    reading = Reading(usage=TEN, model="gpt-5", extras=(("gpt-image-1", image),))
    found = charged(reading, ask_for("gpt-5", Family.RESPONSES))
    assert found.cost_nanousd == (10 * 1_250 + 10 * 10_000) + (20 * 5_000 + 1_000 * 40_000)
    assert {line.what for line in found.lines} >= {"gpt-image-1: image output", "output"}


@pytest.mark.parametrize("model", ["gpt-image-1", "gpt-image-2", "image-model-of-tomorrow"])
def test_an_image_that_tells_no_tokens_is_never_free(model: str) -> None:
    reading = Reading(usage=TEN, model="gpt-5", extras=((model, Usage(images=1)),))
    tokens_only = charged(Reading(usage=TEN, model="gpt-5")).cost_nanousd
    assert charged(reading, ask_for("gpt-5", Family.RESPONSES)).cost_nanousd > tokens_only + 100_000_000


def test_all_parts_are_summed_before_the_one_rounding() -> None:
    # A quarter of a nanodollar short in each part would round up twice.
    odd = Usage(input_tokens=1, cached_tokens=1)
    reading = Reading(usage=odd, model="gemini-1.5-flash", extras=(("gemini-1.5-flash", odd),))
    found = charged(reading, ask_for("gemini-1.5-flash"))
    assert sum(line.amount_fusd for line in found.lines) == 2 * 18_750_000
    assert found.cost_nanousd == 38


@pytest.mark.parametrize(
    ("tool", "fee"),
    [
        ("web_search", 10_000_000),
        ("web_search_2025_08_26", 10_000_000),
        ("web_search_preview", 25_000_000),
        ("web_search_preview_2025_03_11", 25_000_000),
        (None, 25_000_000),
    ],
)
def test_a_search_costs_what_the_tool_that_made_it_costs(tool: str | None, fee: int) -> None:
    tools = [] if tool is None else [{"type": tool}]
    reading = Reading(usage=Usage(web_searches=2), model="gpt-4o")
    found = charged(reading, ask_for("gpt-4o", Family.RESPONSES, tools=tools))
    assert found.cost_nanousd == 2 * fee


def test_a_search_tool_that_did_not_search_costs_nothing() -> None:
    ask = ask_for("gpt-5", Family.RESPONSES, tools=[{"type": "web_search"}])
    assert charged(Reading(usage=TEN, model="gpt-5"), ask).cost_nanousd == 10 * 1_250 + 10 * 10_000


@pytest.mark.parametrize(
    ("wanted", "dollars"),
    [
        ({"model": "dall-e-3"}, "0.04"),
        ({"model": "dall-e-3", "quality": "hd", "size": "1792x1024"}, "0.12"),
        ({"model": "dall-e-3", "quality": "hd"}, "0.08"),
        ({"model": "dall-e-2", "size": "256x256", "n": 3}, "0.048"),
        ({"model": "dall-e-2", "n": 2}, "0.04"),
    ],
)
def test_an_image_without_usage_is_charged_by_number_size_and_quality(
    wanted: dict[str, object], dollars: str
) -> None:
    """Such an answer has nothing but pictures: what was asked for is what was made."""
    ask = read_ask(Family.IMAGE_GENERATION, {"prompt": "a cat", **wanted}, 60)
    number = wanted.get("n", 1)
    assert isinstance(number, int)
    body = b'{"created":1,"data":[' + b",".join([b'{"url":"https://example.com/a.png"}'] * number) + b"]}"
    reading = read_answer(Family.IMAGE_GENERATION, 200, "application/json", body)
    assert reading.usage is None
    row = BOOK.find(str(wanted["model"]), NOW_US)
    assert row is not None
    put_out = streamed_text(Family.IMAGE_GENERATION, [body])
    estimate = estimate_usage(row, ask, b'{"prompt": "a cat"}', put_out)
    found = charged(reading, ask, estimate=estimate)
    assert found.cost_nanousd == round(float(dollars) * 10**9)
    assert found.basis == "estimated"


def test_odd_counts_are_logged_by_name_and_never_by_content(caplog: pytest.LogCaptureFixture) -> None:
    body = b'{"model":"gpt-4o","choices":[],"usage":{"prompt_tokens":"my secret","completion_tokens":5,"x":true}}'
    reading = read_answer(Family.CHAT, 200, "application/json", body)
    with caplog.at_level(logging.WARNING, logger="metering.charging"):
        charged(reading)
    assert "prompt_tokens" in caplog.text
    assert "secret" not in caplog.text


counts = st.integers(0, 5_000)


@settings(max_examples=200, deadline=None)
@given(
    fresh=counts,
    cached=counts,
    output=counts,
    more=st.integers(1, 1_000),
    grown=st.sampled_from(
        ["input_tokens", "output_tokens", "web_searches", "file_searches", "code_sessions"]
    ),
    model=st.sampled_from(["gpt-4o", "gpt-5.6-sol", "claude-sonnet-4-5", "gemini-2.5-pro", "no-such-model"]),
    tier=st.sampled_from([None, "flex", "priority", "auto"]),
)
def test_a_charge_never_falls_when_more_is_consumed(
    fresh: int, cached: int, output: int, more: int, grown: str, model: str, tier: str | None
) -> None:
    usage = Usage(input_tokens=fresh + cached, cached_tokens=cached, output_tokens=output)
    less = charged(Reading(usage=usage, model=model, service_tier=tier))
    larger = replace(usage, **{grown: getattr(usage, grown) + more})
    assert charged(Reading(usage=larger, model=model, service_tier=tier)).cost_nanousd >= less.cost_nanousd


@settings(max_examples=200, deadline=None)
@given(fresh=counts, cached=counts, model=st.sampled_from(["gpt-4o", "gpt-5", "claude-sonnet-4-5"]))
def test_cached_and_fresh_tokens_add_up_to_the_input(fresh: int, cached: int, model: str) -> None:
    usage = Usage(input_tokens=fresh + cached, cached_tokens=cached)
    quantities = {line.what: line.quantity for line in charged(Reading(usage=usage, model=model)).lines}
    assert quantities.get("input", 0) == fresh
    assert quantities.get("cached input", 0) == cached


@pytest.mark.parametrize(
    ("asked", "served", "factor"), [(None, True, 110), ("us", None, 110), ("us", False, 100)]
)
def test_a_call_that_one_region_computed_costs_a_tenth_more(
    asked: str | None, served: bool | None, factor: int
) -> None:
    ask = read_ask(Family.MESSAGES, {"model": "claude-opus-5", "inference_geo": asked}, 100)
    usage = Usage(input_tokens=1_000, cached_tokens=400, output_tokens=10, web_searches=1)
    found = charged(Reading(usage=usage, model="claude-opus-5", is_regional=served), ask)
    tokens = 600 * 5_000 + 400 * 500 + 10 * 25_000
    assert found.cost_nanousd == tokens * factor // 100 + 10_000_000
    assert ("surcharge for one region" in [line.what for line in found.lines]) == (factor == 110)


def test_no_region_is_dearer_where_the_list_does_not_say_so() -> None:
    usage = Usage(input_tokens=1_000)
    found = charged(Reading(usage=usage, model="gpt-5", is_regional=True), ask_for("gpt-5"))
    assert found.cost_nanousd == 1_000 * 1_250
