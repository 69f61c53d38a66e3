"""Answers in another shape than their path promises."""

import json

import pytest

from metering.asks import Family
from metering.reading import StreamReader, read_answer
from metering.usage import Usage


@pytest.mark.parametrize(
    ("family", "answer"),
    [
        # Cohere's chat answers under a path that is Ollama's elsewhere.
        (
            Family.OLLAMA_CHAT,
            {"usage": {"billed_units": {"input_tokens": 3, "output_tokens": 4}, "tokens": {}}},
        ),
        (Family.OLLAMA_GENERATE, {"meta": {"billed_units": {"input_tokens": 3, "output_tokens": 4}}}),
        (Family.CHAT, {"object": "response", "usage": {"input_tokens": 3, "output_tokens": 4}}),
        (Family.CHAT, {"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4}}),
        (
            Family.RESPONSES,
            {"choices": [], "x_groq": {"usage": {"prompt_tokens": 3, "completion_tokens": 4}}},
        ),
        (None, {"interaction": {"usage": {"total_input_tokens": 3, "total_output_tokens": 4}}}),
        (None, {"success": True, "result": {"usage": {"prompt_tokens": 3, "completion_tokens": 4}}}),
        (None, {"output": {"message": {}}, "usage": {"inputTokens": 3, "outputTokens": 4, "totalTokens": 7}}),
    ],
)
def test_a_usage_is_found_whatever_the_path_promised(
    family: Family | None, answer: dict[str, object]
) -> None:
    body = json.dumps(answer).encode()
    assert read_answer(family, 200, "application/json", body).usage == Usage(input_tokens=3, output_tokens=4)


def test_a_stream_under_ollama_s_path_may_be_cohere_s() -> None:
    end = {
        "delta": {
            "finish_reason": "COMPLETE",
            "usage": {"billed_units": {"input_tokens": 3, "output_tokens": 4}},
        }
    }
    events = [
        {"type": "message-start", "delta": {"message": {"role": "assistant"}}},
        {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "Hi"}}}},
        {"type": "message-end", **end},
    ]
    reader = StreamReader(Family.OLLAMA_CHAT, withhold_usage=False)
    for event in events:
        reader.feed(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
    reader.end()
    assert reader.reading.usage == Usage(input_tokens=3, output_tokens=4)


def test_cohere_s_older_stream_tells_its_units_at_its_end() -> None:
    words = [{"is_finished": False, "event_type": "text-generation", "text": "a"}] * 30
    end = {
        "is_finished": True,
        "event_type": "stream-end",
        "response": {"meta": {"billed_units": {"input_tokens": 3, "output_tokens": 4}}},
    }
    reader = StreamReader(Family.OLLAMA_CHAT, withhold_usage=False)
    for event in [*words, end]:
        reader.feed(json.dumps(event).encode() + b"\n")
    reader.end()
    assert reader.reading.usage == Usage(input_tokens=3, output_tokens=4)


def test_a_zero_after_a_count_does_not_undo_it() -> None:
    """Some servers fill in the fields that they do not repeat at a message's end."""
    start = {
        "type": "message_start",
        "message": {"model": "m", "usage": {"input_tokens": 9, "output_tokens": 1}},
    }
    end = {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn"},
        "usage": {"input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 5},
    }
    reader = StreamReader(Family.MESSAGES, withhold_usage=False)
    for event in (start, end):
        reader.feed(f"data: {json.dumps(event)}\n\n".encode())
    assert reader.reading.usage == Usage(input_tokens=9, output_tokens=5)
