from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metering.asks import Ask, Family, ImageInput
from metering.estimates import Bound, Unboundable, counted_input, expected_cost, upper_bound
from metering.pricing import PriceRow, cost
from metering.usage import Usage
from tests.metering.asking import ask_of, chat, encoded, fallback, responses, row

DOLLAR = 10**9


def refusal_of(row: PriceRow, ask: Ask) -> str:
    with pytest.raises(Unboundable) as refused:
        upper_bound(row, ask)
    return refused.value.reason


def test_a_plain_chat_is_bounded_by_its_bytes_and_the_models_longest_answer() -> None:
    ask = chat()

    bound = upper_bound(row("gpt-4o"), ask)

    assert bound.input_nanousd == (ask.body_bytes + 64) * 2_000
    assert bound.output_tokens == 16_384
    assert bound.output_unit_fusd == 10_000 * 10**6
    assert bound.nanousd == bound.input_nanousd + 16_384 * 10_000
    assert bound.clampable
    assert bound.floor_tokens == 16


def test_a_declared_limit_bounds_the_answer_times_the_answers() -> None:
    one = upper_bound(row("gpt-4o"), chat(max_tokens=100))
    three = upper_bound(row("gpt-4o"), chat(max_tokens=100, n=3))

    assert one.output_tokens == three.output_tokens == 100
    assert three.output_unit_fusd == 3 * one.output_unit_fusd


def test_a_limit_above_what_the_model_can_do_counts_as_what_it_can() -> None:
    assert upper_bound(row("gpt-4o"), chat(max_tokens=10**8)).output_tokens == 16_384


def test_some_providers_bill_sixteen_tokens_whatever_smaller_limit_is_declared() -> None:
    assert upper_bound(row("gpt-4o"), chat(max_tokens=1)).output_tokens == 16
    assert upper_bound(row("gpt-4o"), chat(max_tokens=0)).output_tokens == 16


def test_every_candidate_of_every_legacy_prompt_is_bounded() -> None:
    ask = ask_of(Family.COMPLETIONS, model="m", prompt=["a", "b"], best_of=5, n=2, max_tokens=100)

    assert upper_bound(row("gpt-3.5-turbo-instruct"), ask).output_unit_fusd == 10 * 2_000 * 10**6


def test_a_legacy_prompt_without_a_limit_is_not_clamped_because_that_would_raise_it() -> None:
    bare = ask_of(Family.COMPLETIONS, model="m", prompt="a")
    limited = ask_of(Family.COMPLETIONS, model="m", prompt="a", max_tokens=50)

    assert not upper_bound(row("gpt-3.5-turbo-instruct"), bare).clampable
    assert upper_bound(row("gpt-3.5-turbo-instruct"), limited).clampable


def test_input_is_priced_at_the_dearer_of_fresh_and_cache_write() -> None:
    ask = responses()

    assert upper_bound(row("gpt-5"), ask).input_nanousd == (ask.body_bytes + 64) * 2_500
    kept = responses(prompt_cache_retention="24h")
    assert upper_bound(row("gpt-5"), kept).input_nanousd == (kept.body_bytes + 64) * 5_000


def test_input_of_other_vendors_may_always_be_written_to_their_long_lived_cache() -> None:
    ask = chat(model="claude-sonnet", max_tokens=10)

    assert upper_bound(row("claude-sonnet"), ask).input_nanousd == (ask.body_bytes + 2_048) * 6_000


def test_the_long_prices_hold_for_the_whole_call_where_the_bound_reaches_them() -> None:
    short = upper_bound(row("gpt-5"), responses("a" * 271_000))
    long = upper_bound(row("gpt-5"), responses("a" * 272_000))

    assert short.output_unit_fusd == 10_000 * 10**6
    assert long.output_unit_fusd == 15_000 * 10**6
    assert long.input_nanousd > 272_000 * 5_000


def test_no_more_input_than_the_context_window_is_bounded() -> None:
    assert upper_bound(row("gpt-4o"), chat("a" * 1_000_000)).input_nanousd == 128_000 * 2_000


def test_a_reasoning_model_needs_a_higher_limit_to_be_of_use() -> None:
    assert upper_bound(row("gpt-5"), responses()).floor_tokens == 1_024


def test_the_tier_that_is_asked_for_is_bounded() -> None:
    default = upper_bound(row("gpt-4o"), chat())

    assert upper_bound(row("gpt-4o"), chat(service_tier="priority")).output_unit_fusd == 20_000 * 10**6
    assert upper_bound(row("gpt-4o"), chat(service_tier="fast")).output_unit_fusd == 20_000 * 10**6
    # Who asks for the discount may be served at the default.
    assert upper_bound(row("gpt-4o"), chat(service_tier="flex")).output_unit_fusd == default.output_unit_fusd


def test_a_tier_that_nobody_knows_is_bounded_by_the_dearest() -> None:
    assert upper_bound(row("gpt-4o"), chat(service_tier="warp")).output_unit_fusd == 60_000 * 10**6


@pytest.mark.parametrize(
    "ask",
    [
        responses(previous_response_id="resp_1"),
        responses(conversation="conv_1"),
        responses(prompt={"id": "pmpt_1"}),
        responses([{"type": "item_reference", "id": "msg_1"}]),
        responses([{"type": "reasoning", "id": "rs_1", "summary": []}]),
        responses([{"role": "user", "content": [{"type": "input_file", "file_id": "file_1"}]}]),
    ],
)
def test_hidden_input_counts_as_a_full_context_window(ask: Ask) -> None:
    # 400,000 tokens are over the threshold of the long prices.
    assert upper_bound(row("gpt-5"), ask).input_nanousd == 400_000 * 5_000


def test_hidden_input_without_a_known_context_window_is_refused() -> None:
    ask = responses(previous_response_id="resp_1", max_output_tokens=10)

    assert "no context window" in refusal_of(row("gpt-4-unlimited"), ask)


def test_hosted_tools_read_a_context_window_for_each_call_and_one_more_and_cost_their_fee() -> None:
    ask = responses(tools=[{"type": "web_search"}], max_tool_calls=3)

    assert upper_bound(row("gpt-4o"), ask).input_nanousd == 4 * 128_000 * 2_000 + 3 * DOLLAR * 25 // 1_000


def test_the_dearest_of_several_tools_may_be_called_each_time() -> None:
    ask = responses(tools=[{"type": "file_search"}, {"type": "code_interpreter"}], max_tool_calls=2)

    assert upper_bound(row("gpt-4o"), ask).input_nanousd == 3 * 128_000 * 2_000 + 2 * DOLLAR * 3 // 100


@pytest.mark.parametrize(
    ("ask", "reason"),
    [
        (responses(tools=[{"type": "web_search"}]), "set `max_tool_calls`"),
        (responses(tools=[{"type": "mcp"}], max_tool_calls=1), "nothing limits how often `mcp` is called"),
        (responses(tools=[{"type": "image_generation"}], max_tool_calls=1), "`image_generation` costs"),
        (chat(web_search_options={}, max_tool_calls=1), "nothing limits how often `web_search`"),
        (chat(model="openai/gpt-4o:online"), "nothing limits how often `web_search`"),
        (chat(preset="writer"), "several models"),
        (responses(context_management=[{"type": "compaction"}], max_tool_calls=1), "shortening"),
        (chat(web_search_options={"search_context_size": "low"}, max_tool_calls=1), "nothing limits"),
        (chat(models=["a", "b"]), "several models"),
        (responses(background=True), "background"),
        (
            ask_of(
                Family.MESSAGES,
                model="claude-sonnet",
                max_tokens=10,
                messages=[],
                tools=[{"type": "web_search_20250305"}],
            ),
            "set its `max_uses`",
        ),
        (
            ask_of(
                Family.MESSAGES,
                model="claude-sonnet",
                max_tokens=10,
                messages=[],
                tools=[{"type": "web_search_20250305", "max_uses": 1}],
                mcp_servers=[{"url": "https://example.com"}],
            ),
            "nothing limits how often `mcp` is called",
        ),
    ],
)
def test_what_nothing_bounds_is_refused_with_the_reason(ask: Ask, reason: str) -> None:
    assert reason in refusal_of(row("gpt-4o"), ask)


def test_a_larger_container_costs_as_many_times_its_gigabytes() -> None:
    tool = {"type": "code_interpreter", "container": {"type": "auto", "memory_limit": "64g"}}
    ask = responses(tools=[tool], max_tool_calls=2)

    assert upper_bound(row("gpt-4o"), ask).input_nanousd == 3 * 128_000 * 2_000 + 2 * 64 * DOLLAR * 3 // 100


def test_a_search_that_is_part_of_each_call_needs_no_limit_of_its_own() -> None:
    asked = chat(web_search_options={}, model="gpt-4o-search-preview")

    bound = upper_bound(row("gpt-4o-search-preview"), asked)

    assert bound.input_nanousd == 128_000 * 2_000 + 3 * DOLLAR // 100
    # The tool of the responses may search many times.
    tool = responses(tools=[{"type": "web_search"}], model="gpt-4o-search-preview")
    assert "set `max_tool_calls`" in refusal_of(row("gpt-4o-search-preview"), tool)


def test_a_limit_below_what_is_set_aside_for_thinking_is_of_no_use() -> None:
    asked = ask_of(
        Family.MESSAGES,
        model="claude-sonnet",
        max_tokens=20_000,
        thinking={"type": "enabled", "budget_tokens": 8_000},
        messages=[],
    )

    assert upper_bound(row("claude-sonnet"), asked).floor_tokens == 8_001
    assert upper_bound(row("claude-sonnet"), replace(asked, thinking_tokens=0)).floor_tokens == 16


def test_no_limit_of_tokens_is_relied_on_where_the_answer_may_be_a_picture() -> None:
    bound = upper_bound(row("gemini-draws"), chat(max_tokens=100))

    assert bound.output_tokens == 32_768
    assert bound.nanousd - bound.input_nanousd == 32_768 * 30_000
    assert not bound.clampable


def test_a_call_for_one_region_is_bounded_at_what_that_adds() -> None:
    given = row("claude-sonnet")
    dearer = replace(given, fees=replace(given.fees, regional_percent=10))
    body = {"model": "claude-sonnet", "max_tokens": 10, "messages": []}
    at_large = ask_of(Family.MESSAGES, **body, inference_geo="global")
    in_one = replace(at_large, is_regional=True)

    assert ask_of(Family.MESSAGES, **body, inference_geo="us").is_regional
    assert upper_bound(dearer, at_large) == upper_bound(given, at_large)
    assert upper_bound(dearer, in_one).output_unit_fusd == 16_500 * 10**6
    assert upper_bound(dearer, in_one).input_nanousd == upper_bound(given, at_large).input_nanousd * 11 // 10


def test_the_fast_mode_of_anthropic_is_bounded_at_its_price() -> None:
    fast = ask_of(Family.MESSAGES, model="claude-sonnet", max_tokens=10, messages=[], speed="fast")

    assert upper_bound(row("claude-sonnet"), fast).output_unit_fusd == 6 * 15_000 * 10**6


def test_a_model_without_a_known_maximum_needs_a_declared_limit() -> None:
    assert "declare one" in refusal_of(row("gpt-4-unlimited"), chat())
    assert upper_bound(row("gpt-4-unlimited"), chat(max_tokens=50)).output_tokens == 50


def test_a_model_without_a_price_for_tokens_is_refused_for_a_chat() -> None:
    assert "no price for input" in refusal_of(row("tts-1"), chat())


def test_a_model_that_always_searches_may_fill_its_context_window() -> None:
    bound = upper_bound(row("gpt-4o-search-preview"), chat())

    assert bound.input_nanousd == 128_000 * 2_000 + 3 * DOLLAR // 100


def test_pictures_are_bounded_by_the_rule_of_the_model() -> None:
    picture = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    ask = chat([picture, picture])

    text = (ask.body_bytes + 64) * 2_000
    assert upper_bound(row("gpt-4o"), ask).input_nanousd == text + 2 * (85 + 8 * 170) * 2_000


def test_a_picture_without_a_documented_rule_may_fill_the_context_window() -> None:
    ask = chat([{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}])

    assert upper_bound(fallback(), ask).input_nanousd == 1_000_000 * 30_000


def test_audio_is_bounded_by_its_length_and_priced_as_the_dearest_modality() -> None:
    ask = replace(chat(), audio_inputs=1, audio_ms=9_000, audio_most_ms=10_000, audio_bytes=160_000)

    bound = upper_bound(row("gpt-audio"), ask)

    assert bound.input_nanousd == (ask.body_bytes + 64 + 11 * 32) * 32_000
    assert bound.output_unit_fusd == 64_000 * 10**6


def test_audio_of_unknown_length_may_fill_the_context_window() -> None:
    ask = replace(chat(), audio_inputs=1, audio_ms=5_000, audio_most_ms=None, audio_bytes=10)

    assert upper_bound(row("gpt-audio"), ask).input_nanousd == 128_000 * 32_000


def test_a_predicted_output_may_be_billed_whole_beside_the_answer() -> None:
    plain, predicted = chat(), chat(prediction={"type": "content", "content": "x" * 1_000})

    least = upper_bound(row("gpt-4o"), plain).input_nanousd + 1_000 * 10_000
    assert upper_bound(row("gpt-4o"), predicted).input_nanousd >= least


def test_embeddings_have_no_output_to_bound() -> None:
    ask = ask_of(Family.EMBEDDINGS, model="m", input=["a", "b"])

    bound = upper_bound(row("text-embedding-3-small"), ask)

    assert (bound.output_unit_fusd, bound.clampable) == (0, False)
    assert bound.nanousd == (ask.body_bytes + 64) * 2_000


def test_images_by_the_piece_cost_the_listed_price_times_their_number() -> None:
    ask = ask_of(Family.IMAGE_GENERATION, prompt="a", n=2, size="1024x1792", quality="hd")

    assert upper_bound(row("dall-e-3"), ask).nanousd == 240_000_000


def test_images_by_tokens_are_bounded_by_the_published_table() -> None:
    small = ask_of(Family.IMAGE_GENERATION, prompt="a", size="1024x1024", quality="low", partial_images=2)
    unknown = ask_of(Family.IMAGE_GENERATION, prompt="a", size="auto", quality="auto")

    text = (small.body_bytes + 64) * 5_000
    assert upper_bound(row("gpt-image-1"), small).nanousd == text + (272 + 200) * 40_000
    assert upper_bound(row("gpt-image-1"), unknown).nanousd > 6_240 * 40_000
    assert "is not published" in refusal_of(row("gpt-image-2"), small)


def test_the_pictures_that_an_edit_starts_from_are_bounded_too() -> None:
    ask = replace(ask_of(Family.IMAGE_EDIT, prompt="a"), image_inputs=(ImageInput(10, 10),))

    assert upper_bound(row("gpt-image-1"), ask).nanousd > (65 + 8 * 129 + 6_240) * 10_000


def test_speech_by_the_character_costs_exactly_its_characters() -> None:
    ask = ask_of(Family.SPEECH, model="m", input="Grüße" * 100)

    assert upper_bound(row("tts-1"), ask).nanousd == 500 * 15_000


def test_speech_by_tokens_is_bounded_by_what_the_model_may_say() -> None:
    ask = ask_of(Family.SPEECH, model="m", input="hello")

    assert upper_bound(row("gpt-4o-mini-tts"), ask).nanousd == (ask.body_bytes + 64) * 600 + 2_000 * 12_000
    unlimited = replace(row("gpt-4o-mini-tts"), output_tokens_max=None)
    assert "how long" in refusal_of(unlimited, ask)


def test_transcriptions_are_bounded_by_the_length_of_the_audio_in_whole_seconds() -> None:
    ask = Ask(
        family=Family.TRANSCRIPTION,
        model="m",
        body_bytes=100,
        audio_inputs=1,
        audio_ms=1_000,
        audio_most_ms=59_100,
        media_bytes=90,
    )

    assert upper_bound(row("whisper-1"), ask).nanousd == 60_100 * 100
    by_tokens = upper_bound(row("gpt-4o-transcribe"), ask).nanousd
    assert by_tokens == (10 + 64 + -(-60_100 * 32 // 1_000)) * 6_000 + 2_000 * 10_000
    assert "nothing in the file proves" in refusal_of(row("whisper-1"), replace(ask, audio_most_ms=None))


def test_a_free_model_is_bounded_by_nothing() -> None:
    assert upper_bound(row("llama3.1"), chat()).nanousd == 0


def test_models_of_others_are_bounded_with_room_for_the_template_of_their_host() -> None:
    ask = ask_of(Family.MESSAGES, model="claude-sonnet", max_tokens=10, messages=[])

    assert upper_bound(row("claude-sonnet"), ask).input_nanousd == (ask.body_bytes + 2_048) * 6_000


def test_tools_that_the_provider_describes_itself_have_room_of_their_own() -> None:
    computer = {"type": "computer_use_preview", "display_width": 1, "display_height": 1}
    ask = responses(tools=[computer])

    assert upper_bound(row("gpt-5"), ask).input_nanousd == (ask.body_bytes + 64 + 1_024) * 2_500


def test_the_count_of_the_tokenizer_is_the_tighter_bound_of_a_text() -> None:
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "All the world's a stage. " * 400}]}
    ask = ask_of(Family.CHAT, **body)

    counted = counted_input(row("gpt-4o"), ask, encoded(body))

    assert counted is not None
    assert counted < ask.body_bytes / 3
    assert upper_bound(row("gpt-4o"), ask, counted).input_nanousd == counted * 2_000
    # A count can only make the bound tighter.
    assert upper_bound(row("gpt-4o"), ask, 10**9) == upper_bound(row("gpt-4o"), ask)


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        ("claude-sonnet", {}),
        ("gpt-5", {"previous_response_id": "resp_1"}),
        ("gpt-5", {"tools": [{"type": "computer_use_preview"}]}),
        ("gpt-5", {"input": [{"type": "mcp_list_tools", "tools": [{"input_schema": {"a": {}}}]}]}),
        ("gpt-5", {"input": [{"type": "reasoning", "encrypted_content": "gAAA", "summary": []}]}),
    ],
)
def test_what_no_tokenizer_knows_for_sure_is_not_counted(model: str, fields: dict[str, object]) -> None:
    body = {"model": model, "input": "hello", **fields}

    assert counted_input(row(model), ask_of(Family.RESPONSES, **body), encoded(body)) is None


def test_a_body_that_cannot_be_parsed_is_not_counted() -> None:
    assert counted_input(row("gpt-4o"), chat(), b"\xff{") is None
    assert counted_input(row("gpt-4o"), chat(), b"[]") is None


unhurried = settings(deadline=None, max_examples=150)
tokens = st.integers(0, 200_000)
limits = st.none() | st.integers(0, 20_000)
MODELS = ("gpt-4o", "gpt-5", "gpt-audio", "claude-sonnet")


@st.composite
def asks(draw: Callable[[st.SearchStrategy[object]], object]) -> Ask:
    size = draw(st.integers(0, 300_000))
    return Ask(
        family=draw(st.sampled_from((Family.CHAT, Family.RESPONSES, Family.MESSAGES))),
        model=None,
        body_bytes=size,
        n=draw(st.integers(1, 4)),
        output_limit=draw(limits),
        service_tier=draw(st.sampled_from((None, "auto", "priority", "flex", "warp"))),
        long_cache=draw(st.booleans()),
        hidden_input=draw(st.booleans()),
    )


@unhurried
@given(asks(), st.sampled_from(MODELS), st.data())
def test_no_usage_within_the_limits_costs_more_than_the_bound(
    ask: Ask, model: str, data: st.DataObject
) -> None:
    priced = row(model)
    bound = upper_bound(priced, ask)
    whole = priced.context_tokens or 0
    given = data.draw(st.integers(0, whole if ask.hidden_input else min(whole, ask.text_bytes)))
    cached = data.draw(st.integers(0, given))
    written = data.draw(st.integers(0, given - cached))
    made = data.draw(st.integers(0, ask.answers * bound.output_tokens))
    usage = Usage(
        input_tokens=given,
        cached_tokens=cached,
        cache_write_tokens=written,
        cache_write_long_tokens=data.draw(st.integers(0, written)) if ask.long_cache else 0,
        output_tokens=made,
        reasoning_tokens=data.draw(st.integers(0, made)),
        output_audio_tokens=data.draw(st.integers(0, made)),
    )

    assert cost(priced, usage, ask.service_tier, fallback=fallback()).nanousd <= bound.nanousd


@unhurried
@given(asks(), st.sampled_from(MODELS))
def test_the_expected_cost_is_never_above_the_bound_and_never_nothing(ask: Ask, model: str) -> None:
    expected = expected_cost(row(model), ask, None)

    assert 0 < expected <= upper_bound(row(model), ask).nanousd


@unhurried
@given(asks(), st.sampled_from(MODELS), st.integers(0, 10_000), st.integers(0, 3))
def test_the_bound_never_falls_as_a_request_grows(ask: Ask, model: str, more: int, answers: int) -> None:
    bound = upper_bound(row(model), ask).nanousd

    assert upper_bound(row(model), replace(ask, body_bytes=ask.body_bytes + more)).nanousd >= bound
    assert upper_bound(row(model), replace(ask, n=ask.n + answers)).nanousd >= bound
    if ask.output_limit is not None:
        assert upper_bound(row(model), replace(ask, output_limit=ask.output_limit + more)).nanousd >= bound


@unhurried
@given(asks(), st.sampled_from(MODELS), st.integers(0, 10**12))
def test_a_lowered_limit_costs_no_more_than_what_is_held(ask: Ask, model: str, held: int) -> None:
    bound = upper_bound(row(model), ask)
    held = min(held, bound.nanousd)
    tokens = max(0, (held - bound.input_nanousd) * 10**6 // bound.output_unit_fusd)

    if tokens >= bound.floor_tokens and tokens <= bound.output_tokens:
        lowered: Bound = upper_bound(row(model), replace(ask, output_limit=tokens))
        assert lowered.nanousd <= held


def test_a_limit_that_already_fits_is_left_as_it_is() -> None:
    bound = upper_bound(row("gpt-4o"), chat(max_tokens=777, n=3))

    assert (bound.nanousd - bound.input_nanousd) * 10**6 // bound.output_unit_fusd == 777
