"""Answers in one piece, family by family."""

import json

import pytest

from metering.asks import Family
from metering.reading import read_answer
from metering.usage import Reading, Usage

TOKENS = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}


def read(family: Family | None, body: object, status: int = 200) -> Reading:
    return read_answer(family, status, "application/json", json.dumps(body).encode())


def test_a_chat_completion_tells_usage_model_and_tier() -> None:
    body = {"model": "gpt-5-2025-08-07", "service_tier": "flex", "choices": [], "usage": TOKENS}

    assert read(Family.CHAT, body) == Reading(
        usage=Usage(input_tokens=5, output_tokens=7), model="gpt-5-2025-08-07", service_tier="flex"
    )


def test_usage_inside_groq_s_extension_counts_only_without_a_plain_one() -> None:
    inside = {"x_groq": {"usage": {"prompt_tokens": 1}}}

    assert read(Family.CHAT, inside).usage == Usage(input_tokens=1)
    assert read(Family.CHAT, {**inside, "usage": TOKENS}).usage == Usage(input_tokens=5, output_tokens=7)


@pytest.mark.parametrize("before", [b"\xef\xbb\xbf", b"\n         " * 2_000, b"\xef\xbb\xbf\r\n"])
def test_blanks_before_an_answer_hide_nothing(before: bytes) -> None:
    body = before + json.dumps({"usage": TOKENS}).encode()

    assert read_answer(Family.CHAT, 200, "application/json", body).usage is not None


def test_an_empty_model_is_none() -> None:
    assert read(Family.CHAT, {"model": "", "service_tier": "", "usage": TOKENS}).model is None


def test_a_usage_of_null_is_none_and_one_of_zeros_is_zero() -> None:
    assert read(Family.CHAT, {"usage": None}).usage is None
    assert read(Family.CHAT, {"usage": {"prompt_tokens": 0, "completion_tokens": 0}}).usage == Usage()


def test_a_cost_without_tokens_is_no_usage() -> None:
    reading = read(Family.IMAGE_GENERATION, {"data": [{}], "usage": {"cost_in_usd_ticks": 700}})

    assert (reading.usage, reading.provider_cost_nanousd) == (None, 70)


@pytest.mark.parametrize(
    ("place", "is_regional"),
    [("us", True), ("eu", True), ("global", False), ("not_available", False), (None, None)],
)
def test_anthropic_says_where_an_answer_was_computed(place: str | None, is_regional: bool | None) -> None:
    body = {"model": "m", "usage": {"input_tokens": 1, "output_tokens": 1, "inference_geo": place}}
    assert read(Family.MESSAGES, body).is_regional is is_regional


@pytest.mark.parametrize(
    ("usage", "served"),
    [
        ({"serviceTier": "priority", "trafficType": "ON_DEMAND"}, "priority"),
        ({"serviceTier": "standard"}, "standard"),
        ({"trafficType": "ON_DEMAND_PRIORITY"}, "priority"),
        ({"trafficType": "ON_DEMAND_FLEX"}, "flex"),
        ({"trafficType": "ON_DEMAND"}, None),
        ({"trafficType": 1}, None),
    ],
)
def test_google_says_which_tier_served(usage: dict[str, object], served: str | None) -> None:
    body = {"usageMetadata": {"promptTokenCount": 1, "totalTokenCount": 1, **usage}}
    assert read(Family.GEMINI, body).service_tier == served


def test_the_tier_may_stand_inside_the_usage() -> None:
    assert read(Family.CHAT, {"usage": {**TOKENS, "service_tier": "standard"}}).service_tier == "standard"
    fast = {"model": "m", "usage": {"input_tokens": 1, "speed": "fast", "service_tier": "standard"}}
    # Not OpenAI's `fast`, which is its priority tier: Anthropic has a priority of its own, bought ahead.
    assert read(Family.MESSAGES, fast).service_tier == "ultrafast"


def test_a_message_may_tell_what_its_gateway_billed() -> None:
    usage = {"input_tokens": 5, "output_tokens": 7, "cost": 0.0000123}

    assert read(Family.MESSAGES, {"type": "message", "usage": usage}).provider_cost_nanousd == 12_300


def test_embeddings_have_input_only() -> None:
    body = {"object": "list", "model": "e", "usage": {"prompt_tokens": 8, "total_tokens": 8}}

    assert read(Family.EMBEDDINGS, body).usage == Usage(input_tokens=8)


def response(**fields: object) -> dict[str, object]:
    usage = {"input_tokens": 9, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 3}
    return {"object": "response", "model": "gpt-5", "status": "completed", "usage": usage, **fields}


def test_hosted_tools_are_counted_from_the_items_that_completed() -> None:
    output = [
        {"type": "web_search_call", "status": "completed", "action": {"type": "search"}},
        {"type": "web_search_call", "status": "completed", "action": {"type": "open_page"}},
        {"type": "web_search_call", "status": "failed", "action": {"type": "search"}},
        {"type": "web_search_call", "status": "completed"},
        {"type": "file_search_call", "status": "completed"},
        {"type": "file_search_call", "status": "incomplete"},
        {"type": "code_interpreter_call", "status": "completed", "container_id": "c1"},
        {"type": "code_interpreter_call", "status": "completed", "container_id": "c1"},
        {"type": "code_interpreter_call", "status": "completed", "container_id": "c2"},
    ]

    usage = read(Family.RESPONSES, response(output=output)).usage

    assert usage == Usage(
        input_tokens=9, cached_tokens=4, output_tokens=3, web_searches=2, file_searches=1, code_sessions=2
    )


def test_a_container_of_more_memory_counts_as_many_sessions_as_it_has_gigabytes() -> None:
    tool = {"type": "code_interpreter", "container": {"type": "auto", "memory_limit": "4g"}}
    ran = {"type": "code_interpreter_call", "status": "completed", "container_id": "c1"}
    body = {"output": [ran, ran], "tools": [tool], "usage": {"input_tokens": 1, "output_tokens": 1}}
    usage = read(Family.RESPONSES, body).usage
    assert usage is not None
    assert usage.code_sessions == 4


def test_a_search_tool_that_was_offered_and_not_used_costs_nothing() -> None:
    body = response(tools=[{"type": "web_search"}], output=[], tool_usage={"web_search": {"num_requests": 0}})

    usage = read(Family.RESPONSES, body).usage

    assert usage is not None and usage.web_searches == 0


def test_the_provider_s_own_count_of_searches_comes_first() -> None:
    calls = [{"type": "web_search_call", "status": "completed", "action": {"type": "search"}}] * 2
    body = response(output=calls, tool_usage={"web_search": {"num_requests": 1}})

    usage = read(Family.RESPONSES, body).usage

    assert usage is not None and usage.web_searches == 1


def test_the_image_tool_is_billed_under_the_image_model() -> None:
    body = response(
        tools=[{"type": "image_generation", "model": "gpt-image-2"}],
        output=[
            {"type": "image_generation_call", "status": "completed", "size": "1024x1024", "quality": "low"}
        ],
        tool_usage={
            "image_gen": {
                "input_tokens": 30,
                "input_tokens_details": {"image_tokens": 20, "text_tokens": 10},
                "output_tokens": 272,
                "output_tokens_details": {"image_tokens": 272, "text_tokens": 0},
                "total_tokens": 302,
            }
        },
    )

    assert read(Family.RESPONSES, body).extras == (
        (
            "gpt-image-2",
            Usage(
                input_tokens=30,
                input_image_tokens=20,
                output_tokens=272,
                output_image_tokens=272,
                images=1,
                image_size="1024x1024",
                image_quality="low",
            ),
        ),
    )


def test_an_image_tool_that_was_not_used_leaves_no_extra() -> None:
    body = response(tool_usage={"image_gen": {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}})

    assert read(Family.RESPONSES, body).extras == ()


def test_a_compaction_is_read_like_a_response_though_it_has_no_model() -> None:
    body = {
        "object": "response.compaction",
        "output": [],
        "usage": {"input_tokens": 9, "output_tokens": 3},
    }

    assert read(Family.COMPACT, body) == Reading(usage=Usage(input_tokens=9, output_tokens=3))


def test_a_response_that_is_only_queued_has_no_usage_yet() -> None:
    assert read(Family.RESPONSES, response(status="queued", usage=None)).usage is None


def test_a_message_s_input_includes_its_cache() -> None:
    body = {
        "type": "message",
        "model": "claude",
        "usage": {
            "input_tokens": 2,
            "cache_read_input_tokens": 30,
            "cache_creation_input_tokens": 8,
            "output_tokens": 5,
            "output_tokens_details": {"thinking_tokens": 3},
            "server_tool_use": {"web_search_requests": 1},
        },
    }

    assert read(Family.MESSAGES, body).usage == Usage(
        input_tokens=40,
        cached_tokens=30,
        cache_write_tokens=8,
        output_tokens=5,
        reasoning_tokens=3,
        web_searches=1,
    )


def test_compacting_a_conversation_is_added_to_the_message_that_follows() -> None:
    steps = [
        {"type": "compaction", "input_tokens": 100, "output_tokens": 20},
        {"type": "message", "input_tokens": 5, "output_tokens": 7},
    ]
    body = {"type": "message", "usage": {"input_tokens": 5, "output_tokens": 7, "iterations": steps}}

    assert read(Family.MESSAGES, body).usage == Usage(input_tokens=105, output_tokens=27)


def test_an_adviser_s_tokens_are_billed_under_its_own_model() -> None:
    steps = [{"type": "advisor_message", "model": "claude-big", "input_tokens": 11, "output_tokens": 2}]
    body = {"type": "message", "usage": {"input_tokens": 5, "output_tokens": 7, "iterations": steps}}

    assert read(Family.MESSAGES, body).extras == (("claude-big", Usage(input_tokens=11, output_tokens=2)),)


def test_gemini_s_thoughts_and_tool_prompts_are_billed_beside_what_it_counts() -> None:
    body = {
        "modelVersion": "gemini-2.5-flash",
        "usageMetadata": {
            "promptTokenCount": 20,
            "cachedContentTokenCount": 12,
            "toolUsePromptTokenCount": 4,
            "candidatesTokenCount": 5,
            "thoughtsTokenCount": 30,
            "totalTokenCount": 59,
            "promptTokensDetails": [
                {"modality": "TEXT", "tokenCount": 9},
                {"modality": "IMAGE", "tokenCount": 8},
                {"modality": 4, "tokenCount": 3},
            ],
            "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 5}],
        },
    }

    assert read(Family.GEMINI, body) == Reading(
        model="gemini-2.5-flash",
        usage=Usage(
            input_tokens=24,
            cached_tokens=12,
            input_audio_tokens=3,
            input_image_tokens=8,
            output_tokens=35,
            reasoning_tokens=30,
            output_audio_tokens=5,
        ),
    )


def test_what_gemini_puts_into_a_cache_is_input() -> None:
    body = {"name": "cachedContents/c", "usageMetadata": {"totalTokenCount": 9_000}}

    assert read(None, body).usage == Usage(input_tokens=9_000)


def test_what_gemini_s_total_has_above_its_parts_is_output() -> None:
    body = {"usageMetadata": {"promptTokenCount": 9, "totalTokenCount": 40}}

    assert read(Family.GEMINI, body).usage == Usage(input_tokens=9, output_tokens=31)


def test_ollama_s_own_counts_are_read() -> None:
    body = {"model": "llama3.2", "done": True, "prompt_eval_count": 9, "eval_count": 4}

    assert read(Family.OLLAMA_CHAT, body) == Reading(
        usage=Usage(input_tokens=9, output_tokens=4), model="llama3.2"
    )


def test_the_output_of_an_image_model_is_image_tokens_unless_it_is_split() -> None:
    body = {
        "data": [{}, {}],
        "size": "1024x1024",
        "quality": "high",
        "usage": {
            "input_tokens": 50,
            "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
            "output_tokens": 8320,
            "total_tokens": 8370,
        },
    }

    assert read(Family.IMAGE_EDIT, body).usage == Usage(
        input_tokens=50,
        input_image_tokens=40,
        output_tokens=8320,
        output_image_tokens=8320,
        images=2,
        image_size="1024x1024",
        image_quality="high",
    )


def test_images_priced_by_the_piece_have_no_usage_on_the_wire() -> None:
    assert read(Family.IMAGE_VARIATION, {"created": 1, "data": [{"url": "https://x"}]}).usage is None


def test_an_svg_made_on_the_way_is_billed_under_its_own_model() -> None:
    svg = {"model": "gpt-6-luna", "input_tokens": 3, "output_tokens": 9}
    body = {"data": [{}], "usage": {"input_tokens": 1, "output_tokens": 2}, "svg_usage": svg}

    assert read(Family.IMAGE_GENERATION, body).extras == (
        ("gpt-6-luna", Usage(input_tokens=3, output_tokens=9)),
    )


def test_a_transcription_is_billed_by_tokens_or_by_time() -> None:
    by_tokens = {
        "type": "tokens",
        "input_tokens": 14,
        "input_token_details": {"text_tokens": 4, "audio_tokens": 10},
        "output_tokens": 45,
        "total_tokens": 59,
    }

    assert read(Family.TRANSCRIPTION, {"text": "a", "usage": by_tokens}).usage == Usage(
        input_tokens=14, input_audio_tokens=10, output_tokens=45
    )
    by_time = {"text": "a", "duration": 8.47, "usage": {"type": "duration", "seconds": 9}}
    assert read(Family.TRANSCRIPTION, by_time).usage == Usage(duration_ms=9000)


@pytest.mark.parametrize("duration", [8.470000267028809, "8.47"])
def test_a_verbose_transcript_tells_its_duration_when_nothing_else_does(duration: object) -> None:
    assert read(Family.TRANSLATION, {"text": "a", "duration": duration}).usage == Usage(duration_ms=8470)


@pytest.mark.parametrize(
    "body",
    [
        {"usage": {"total_tokens": 12}},
        {"meta": {"billed_units": {"input_tokens": 12}}},
        {"usage": {"billed_units": {"input_tokens": 12}, "tokens": {"input_tokens": 70}}},
        {"response": {"usage": {"input_tokens": 12}}},
        {"usageMetadata": {"promptTokenCount": 12}},
        {"prompt_eval_count": 12},
        {"type": "message", "usage": {"input_tokens": 2, "cache_read_input_tokens": 10}},
        {"object": "response", "usage": {"input_tokens": 12}},
        {"choices": [{"usage": {"prompt_tokens": 12}}]},
    ],
)
def test_the_usage_of_an_unknown_family_is_found_by_its_shape(body: dict[str, object]) -> None:
    usage = read(None, body).usage

    assert usage is not None and usage.input_tokens == 12


def test_an_error_with_a_usage_still_has_the_usage() -> None:
    reading = read(Family.CHAT, {"error": {"message": "cut"}, "usage": TOKENS}, status=500)

    assert reading.failed and reading.usage == Usage(input_tokens=5, output_tokens=7)


def test_a_json_error_in_a_200_has_failed() -> None:
    assert read(Family.CHAT, {"error": {"message": "no"}}).failed
    assert read(Family.GEMINI, [{"error": {"code": 400}}]).failed
    assert not read(Family.RESPONSES, response(error=None)).failed


@pytest.mark.parametrize("body", [b"", b"\xff\xfb\x90", b"<html>", b"{", b"[[[", b'"usage"', b"data"])
def test_a_body_that_is_neither_json_nor_events_says_nothing(body: bytes) -> None:
    assert read_answer(Family.SPEECH, 200, "audio/mpeg", body) == Reading()


def test_a_whole_stream_is_read_though_its_content_type_is_wrong() -> None:
    body = b'data: {"choices":[],"usage":{"prompt_tokens":5}}\n\ndata: [DONE]\n\n'

    assert read_answer(Family.CHAT, 200, "text/plain", body).usage == Usage(input_tokens=5)


def test_a_byte_order_mark_before_json_is_skipped() -> None:
    body = b'\xef\xbb\xbf{"usage":{"prompt_tokens":5}}'

    assert read_answer(Family.CHAT, 200, "application/json", body).usage == Usage(input_tokens=5)
