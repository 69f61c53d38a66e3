"""One usage object, in every dialect that is spoken."""

import pytest

from metering.reading.costs import provider_cost_nanousd
from metering.reading.tokens import odd_counts, read_tokens
from metering.usage import Usage


def tokens(**wire: object) -> Usage:
    usage = read_tokens(wire)
    if usage is None:
        raise AssertionError("no usage was read")
    return usage


def test_both_spellings_of_input_and_output_are_read() -> None:
    assert tokens(prompt_tokens=5, completion_tokens=7) == Usage(input_tokens=5, output_tokens=7)
    assert tokens(input_tokens=5, output_tokens=7) == Usage(input_tokens=5, output_tokens=7)


def test_the_spelling_that_a_gateway_leaves_at_zero_does_not_hide_the_other() -> None:
    assert tokens(prompt_tokens=0, input_tokens=5, completion_tokens=0, output_tokens=7).total_tokens == 12


def test_an_explicit_zero_is_a_usage() -> None:
    assert tokens(prompt_tokens=0, completion_tokens=0, total_tokens=0) == Usage()


@pytest.mark.parametrize("wire", [{}, {"prompt_tokens": None}, {"queue_time": 0.1}, {"type": "tokens"}])
def test_an_object_without_counts_is_no_usage(wire: dict[str, object]) -> None:
    assert read_tokens(wire) is None


@pytest.mark.parametrize("value", [7.0, "7", " 7 ", "7.0"])
def test_integral_floats_and_numeric_strings_are_counts(value: object) -> None:
    assert tokens(prompt_tokens=value).input_tokens == 7


@pytest.mark.parametrize(
    "value", [-7, "-7", 7.5, float("nan"), float("inf"), True, "seven", "\u0667", [7], 10**13]
)
def test_what_is_no_count_is_absent(value: object) -> None:
    assert read_tokens({"prompt_tokens": value}) is None


def test_cached_tokens_are_part_of_the_input_and_never_more_than_it() -> None:
    assert tokens(prompt_tokens=9, prompt_tokens_details={"cached_tokens": 4}).cached_tokens == 4
    assert tokens(prompt_tokens=9, prompt_tokens_details={"cached_tokens": 40}).cached_tokens == 9


def test_details_may_be_null_or_misspelt() -> None:
    assert tokens(prompt_tokens=9, prompt_tokens_details=None).cached_tokens == 0
    assert tokens(prompt_tokens=9, prompt_token_details={"cached_tokens": 4}).cached_tokens == 4


def test_cache_hits_stated_twice_are_counted_once() -> None:
    usage = tokens(
        prompt_tokens=9,
        prompt_cache_hit_tokens=4,
        prompt_cache_miss_tokens=5,
        prompt_tokens_details={"cached_tokens": 4},
    )

    assert (usage.input_tokens, usage.cached_tokens) == (9, 4)


def test_top_level_cache_hits_are_read_when_they_stand_alone() -> None:
    assert tokens(prompt_tokens=9, prompt_cache_hit_tokens=4).cached_tokens == 4
    assert tokens(prompt_tokens=9, cached_tokens=4).cached_tokens == 4


def test_cache_writes_are_part_of_the_input_that_was_not_cached() -> None:
    usage = tokens(
        input_tokens=100,
        input_tokens_details={
            "cached_tokens": 60,
            "cache_write_tokens": 70,
            "cache_write_tokens_details": {"ttl_30m_tokens": 20, "ttl_12h_tokens": 50},
        },
    )

    assert (usage.cached_tokens, usage.cache_write_tokens, usage.cache_write_long_tokens) == (60, 40, 40)


def test_anthropic_s_cache_counts_are_added_to_its_input() -> None:
    usage = read_tokens(
        {
            "input_tokens": 3,
            "cache_read_input_tokens": 20,
            "cache_creation_input_tokens": 10,
            "cache_creation": {"ephemeral_5m_input_tokens": 6, "ephemeral_1h_input_tokens": 4},
            "output_tokens": 5,
        },
        cache_beside_input=True,
    )

    assert usage == Usage(
        input_tokens=33, cached_tokens=20, cache_write_tokens=10, cache_write_long_tokens=4, output_tokens=5
    )


def test_the_total_tells_whether_foreign_cache_counts_stand_inside_the_prompt() -> None:
    inside = tokens(prompt_tokens=30, completion_tokens=5, total_tokens=35, cache_read_input_tokens=20)
    beside = tokens(prompt_tokens=30, completion_tokens=5, total_tokens=55, cache_read_input_tokens=20)

    assert (inside.input_tokens, inside.cached_tokens, inside.output_tokens) == (30, 20, 5)
    assert (beside.input_tokens, beside.cached_tokens, beside.output_tokens) == (50, 20, 5)


def test_cache_counts_above_the_prompt_cannot_be_inside_it() -> None:
    assert (
        tokens(prompt_tokens=3, completion_tokens=5, total_tokens=8, cache_read_input_tokens=20).input_tokens
        == 23
    )


def test_without_a_total_foreign_cache_counts_are_beside_unless_the_details_repeat_them() -> None:
    assert tokens(input_tokens=30, output_tokens=5, cache_read_input_tokens=20).input_tokens == 50
    repeated = tokens(
        prompt_tokens=30, cache_read_input_tokens=20, prompt_tokens_details={"cached_tokens": 20}
    )
    assert repeated.input_tokens == 30


def test_bedrock_s_cache_counts_are_beside_its_input() -> None:
    usage = tokens(
        inputTokens=3, outputTokens=5, cacheReadInputTokens=20, cacheWriteInputTokens=10, totalTokens=38
    )

    assert usage == Usage(input_tokens=33, cached_tokens=20, cache_write_tokens=10, output_tokens=5)


def test_gemini_s_interactions_count_thoughts_and_tool_prompts_apart() -> None:
    usage = tokens(
        total_input_tokens=60,
        total_cached_tokens=16,
        total_tool_use_tokens=40,
        total_output_tokens=20,
        total_thought_tokens=144,
        total_tokens=264,
    )

    assert usage == Usage(input_tokens=100, cached_tokens=16, output_tokens=164, reasoning_tokens=144)


def test_reasoning_is_part_of_the_output() -> None:
    usage = tokens(
        prompt_tokens=5,
        completion_tokens=9,
        total_tokens=14,
        completion_tokens_details={"reasoning_tokens": 6},
    )

    assert (usage.output_tokens, usage.reasoning_tokens) == (9, 6)


def test_reasoning_outside_the_output_is_added_when_the_total_says_so() -> None:
    usage = tokens(
        prompt_tokens=5,
        completion_tokens=9,
        total_tokens=20,
        completion_tokens_details={"reasoning_tokens": 6},
    )

    assert (usage.output_tokens, usage.reasoning_tokens) == (15, 6)


def test_more_reasoning_than_output_cannot_be_inside_it() -> None:
    usage = tokens(
        prompt_tokens=5,
        completion_tokens=2,
        total_tokens=7,
        completion_tokens_details={"reasoning_tokens": 6},
    )

    assert usage.output_tokens == 8


def test_a_completion_count_that_misses_a_token_of_its_reasoning_is_not_added_to_it() -> None:
    usage = tokens(
        prompt_tokens=951,
        completion_tokens=6000,
        total_tokens=6952,
        completion_tokens_details={"reasoning_tokens": 6001},
    )

    assert (usage.output_tokens, usage.reasoning_tokens) == (6001, 6001)


def test_a_gap_below_the_total_is_output() -> None:
    assert tokens(prompt_tokens=5, completion_tokens=2, total_tokens=30).output_tokens == 25


def test_audio_outside_the_prompt_closes_the_gap_on_the_input_side() -> None:
    usage = tokens(
        prompt_tokens=5,
        completion_tokens=2,
        total_tokens=107,
        prompt_tokens_details={"audio_tokens": 100},
    )
    assert (usage.input_tokens, usage.input_audio_tokens, usage.output_tokens) == (105, 100, 2)

    heard = tokens(prompt_tokens=5, completion_tokens=2, total_tokens=107, prompt_audio_seconds=8)
    assert (heard.input_tokens, heard.input_audio_tokens, heard.duration_ms) == (105, 100, 8000)


def test_a_total_alone_is_input() -> None:
    assert tokens(total_tokens=12) == Usage(input_tokens=12)


def test_a_missing_prompt_count_is_what_the_total_leaves() -> None:
    assert tokens(completion_tokens=2, total_tokens=7) == Usage(input_tokens=5, output_tokens=2)


def test_modalities_are_parts_of_the_input_and_output() -> None:
    usage = tokens(
        prompt_tokens=20,
        completion_tokens=10,
        total_tokens=30,
        prompt_tokens_details={"audio_tokens": 8, "image_tokens": 40, "text_tokens": 2},
        completion_tokens_details={"audio_tokens": 7, "image_tokens": 9},
    )

    assert (usage.input_audio_tokens, usage.input_image_tokens) == (8, 12)
    assert (usage.output_audio_tokens, usage.output_image_tokens) == (7, 3)


def test_cached_tokens_that_text_cannot_explain_are_cached_images_and_audio() -> None:
    usage = tokens(
        input_tokens=20, input_tokens_details={"cached_tokens": 15, "audio_tokens": 8, "image_tokens": 6}
    )

    assert (usage.cached_audio_tokens, usage.cached_image_tokens) == (3, 6)


def test_the_cached_modalities_are_read_where_they_are_stated() -> None:
    usage = tokens(
        input_tokens=20,
        input_token_details={
            "cached_tokens": 6,
            "audio_tokens": 8,
            "image_tokens": 6,
            "cached_tokens_details": {"text_tokens": 1, "audio_tokens": 3, "image_tokens": 2},
        },
    )

    assert (usage.cached_tokens, usage.cached_audio_tokens, usage.cached_image_tokens) == (6, 3, 2)


def test_a_transcription_may_be_billed_by_time() -> None:
    assert tokens(type="duration", seconds=12.5) == Usage(duration_ms=12_500)


@pytest.mark.parametrize(
    "wire",
    [
        {"server_tool_use": {"web_search_requests": 2}},
        {"server_tool_use_details": {"web_search_requests": 2}},
        {"server_side_tool_usage_details": {"web_search_calls": 2}},
        {"num_search_queries": 2},
    ],
)
def test_searches_that_a_usage_object_counts_are_read(wire: dict[str, object]) -> None:
    assert tokens(prompt_tokens=1, **wire).web_searches == 2


@pytest.mark.parametrize(
    ("wire", "nanousd"),
    [
        ({"cost": 0.000971}, 971_000),
        ({"cost": "0.000971"}, 971_000),
        ({"cost": 1e-10}, 1),
        ({"cost": 0}, 0),
        ({"cost": {"input_tokens_cost": 0.1, "total_cost": 0.006}}, 6_000_000),
        # With a key of the customer's own, the model's provider bills beside OpenRouter.
        ({"cost": 0, "is_byok": True, "cost_details": {"upstream_inference_cost": 6.3e-6}}, 6_300),
        ({"cost": 0.1, "is_byok": True, "cost_details": {"upstream_inference_cost": None}}, 100_000_000),
        ({"cost": 0.1, "is_byok": True}, 100_000_000),
        ({"cost": 0.1, "is_byok": False, "cost_details": {"upstream_inference_cost": 0.1}}, 100_000_000),
        ({"cost_in_usd_ticks": 1_918_250}, 191_825),
        ({"cost_in_usd_ticks": 11}, 2),
        ({"cost": None}, None),
        ({"cost": -1}, None),
        ({"cost": float("nan")}, None),
        ({"cost": True}, None),
        ({}, None),
    ],
)
def test_a_provider_s_own_figure_is_rounded_up_to_a_nanodollar(
    wire: dict[str, object], nanousd: int | None
) -> None:
    assert provider_cost_nanousd(wire) == nanousd


def test_counts_that_are_none_are_named_and_strangers_keys_are_not() -> None:
    wire = {
        "prompt_tokens": -1,
        "completion_tokens": float("nan"),
        "total_tokens": True,
        "prompt_tokens_details": {"cached_tokens": "many", "audio_tokens": None, "my secret": "x"},
        "secret_tokens": "x",
        "cost": "free",
    }
    assert odd_counts(wire) == ("prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens")
    assert odd_counts({"prompt_tokens": 3, "completion_tokens": 4.0, "total_tokens": "7"}) == ()
