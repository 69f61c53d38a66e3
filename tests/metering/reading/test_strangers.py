"""Anything at all may come from an upstream: nothing here raises, and what is read can be priced."""

import json
import re
from itertools import product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metering.asks import Family
from metering.reading import StreamReader, read_answer, streamed_text
from metering.usage import Reading, Usage

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A busy machine is no reason to fail."""

FAMILIES = st.sampled_from([None, *Family])

KEYS = st.sampled_from(
    re.findall(
        r"\S+",
        """usage response message choices delta content type object model service_tier error output item
    status tools prompt_tokens completion_tokens input_tokens output_tokens total_tokens
    reasoning_tokens cached_tokens audio_tokens image_tokens cache_write_tokens
    cache_read_input_tokens cache_creation_input_tokens cache_creation ephemeral_1h_input_tokens
    prompt_tokens_details completion_tokens_details input_tokens_details output_tokens_details
    cached_tokens_details seconds duration prompt_audio_seconds x_groq usageMetadata
    promptTokenCount candidatesTokenCount thoughtsTokenCount cachedContentTokenCount totalTokenCount
    promptTokensDetails modality tokenCount candidates finishReason parts prompt_eval_count
    eval_count done tool_usage image_gen web_search num_requests data size svg_usage cost
    cost_in_usd_ticks billed_units meta iterations finish_reason tool_calls function name arguments
    text server_tool_use action container_id delta content_block reasoning_details transcript audio
    inlineData mimeType functionCall args""",
    )
)
WORDS = st.sampled_from(
    re.findall(
        r"\S+",
        """response.completed response.created response.output_item.done message_start message_delta
    message message_stop content_block_delta error speech.audio.done transcript.text.done
    image_generation.completed web_search_call code_interpreter_call image_generation_call completed
    failed stop IMAGE AUDIO advisor_message compaction response 12 -3 1e3 NaN""",
    )
)
NUMBERS = st.integers(-3, 40) | st.integers() | st.floats() | st.booleans()
VALUES = st.recursive(
    st.none() | NUMBERS | WORDS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=7),
    max_leaves=40,
)


def require_order(usage: Usage) -> None:
    """Each part is within its whole, so that no share of a price is negative."""
    assert 0 <= usage.cached_tokens + usage.cache_write_tokens <= usage.input_tokens
    assert 0 <= usage.cache_write_long_tokens <= usage.cache_write_tokens
    assert 0 <= usage.input_audio_tokens + usage.input_image_tokens <= usage.input_tokens
    assert 0 <= usage.cached_audio_tokens <= usage.input_audio_tokens
    assert 0 <= usage.cached_image_tokens <= usage.input_image_tokens
    assert usage.cached_audio_tokens + usage.cached_image_tokens <= usage.cached_tokens
    cached_text = usage.cached_tokens - usage.cached_audio_tokens - usage.cached_image_tokens
    assert cached_text <= usage.input_tokens - usage.input_audio_tokens - usage.input_image_tokens
    assert 0 <= usage.reasoning_tokens <= usage.output_tokens
    assert 0 <= usage.output_audio_tokens + usage.output_image_tokens <= usage.output_tokens
    assert min(usage.duration_ms, usage.characters, usage.images) >= 0
    assert min(usage.web_searches, usage.file_searches, usage.code_sessions) >= 0
    assert usage.input_tokens + usage.output_tokens < 2**63


def require_sense(reading: Reading) -> None:
    for usage in [reading.usage or Usage(), *(extra for _, extra in reading.extras)]:
        require_order(usage)
    assert reading.model is None or (reading.model and reading.model.encode())
    assert reading.provider_cost_nanousd is None or 0 <= reading.provider_cost_nanousd < 2**63


@unhurried
@given(family=FAMILIES, body=VALUES)
def test_any_json_is_read_into_something_that_can_be_priced(family: Family | None, body: object) -> None:
    raw = json.dumps(body).encode()

    require_sense(read_answer(family, 200, "application/json", raw))
    streamed_text(family, [raw])


@unhurried
@given(family=FAMILIES, documents=st.lists(VALUES, max_size=6), withholds=st.booleans(), ends=st.booleans())
def test_any_events_are_read_into_something_that_can_be_priced(
    family: Family | None, documents: list[object], withholds: bool, ends: bool
) -> None:
    events = [f"data: {json.dumps(document)}\n\n".encode() for document in documents]
    reader = StreamReader(family, withhold_usage=withholds)

    for event in events:
        reader.feed(event)
    if ends:
        reader.end()

    require_sense(reader.reading)
    require_order(reader.partial_usage or Usage())
    assert reader.usage_seen == (reader.reading.usage is not None)
    streamed_text(family, events)


FIELDS = ("type", "object", "model", "done", "usage", "choices", "item", "response", "status")
ODD_VALUES: tuple[object, ...] = ({}, [], {"type": {}}, [{"type": []}], 1, True)


@pytest.mark.parametrize("family", [None, *Family])
def test_a_field_of_another_type_is_passed_over(family: Family | None) -> None:
    usage = {"usage": {"input_tokens": 1, "output_tokens": 1}}
    for key, value in product(FIELDS, ODD_VALUES):
        item = {"type": "response.output_item.done", "item": {key: value}}
        for document in ({key: value}, {**usage, key: value}, item):
            raw = json.dumps(document).encode()
            reader = StreamReader(family, withhold_usage=True)
            reader.feed(b"data: " + raw + b"\n\n")
            reader.end()
            require_sense(reader.reading)
            require_sense(read_answer(family, 200, "application/json", raw))
            streamed_text(family, [raw])


@unhurried
@given(family=FAMILIES, body=st.binary(), head=st.sampled_from([b"", b"{", b"[", b"data: ", b'{"usage":']))
def test_any_bytes_are_read(family: Family | None, body: bytes, head: bytes) -> None:
    for content_type in ("", "application/json", "text/event-stream; charset=x"):
        require_sense(read_answer(family, 200, content_type, head + body))
    streamed_text(family, [head + body])


def test_json_nested_beyond_all_reason_is_nothing() -> None:
    deep = b'{"usage":' + b"[" * 100_000

    assert read_answer(None, 200, "application/json", deep) == Reading()
    assert streamed_text(None, [b"data: " + deep + b"\n\n"]).text == ""
    assert read_answer(None, 200, "application/json", deep + b"]" * 100_000 + b"}") == Reading()


def test_lone_surrogates_in_a_model_s_name_do_not_reach_the_database() -> None:
    assert read_answer(Family.CHAT, 200, "application/json", b'{"model":"gpt-\\ud800"}').model is None
