"""What has been put out, for counting it."""

import json

from metering.asks import Family
from metering.reading import Streamed, streamed_text


def streamed(family: Family | None, *documents: object) -> Streamed:
    return streamed_text(family, [f"data: {json.dumps(document)}\n\n".encode() for document in documents])


def choice(**delta: object) -> dict[str, object]:
    return {"choices": [{"index": 0, "delta": delta}]}


def test_chat_content_reasoning_tool_calls_and_refusals_are_all_counted() -> None:
    assert streamed(
        Family.CHAT,
        choice(role="assistant", content=""),
        choice(reasoning_content="hm", reasoning="hm"),
        choice(content="Hel"),
        choice(content="lo"),
        choice(refusal="No."),
        choice(tool_calls=[{"index": 0, "function": {"name": "f", "arguments": ""}}]),
        choice(tool_calls=[{"index": 0, "function": {"arguments": '{"a":1}'}}]),
        choice(audio={"transcript": " Hi", "data": "AAAAAAAA"}),
    ) == Streamed(text="HelloNo. Hi", reasoning_text="hm", tool_text='f{"a":1}', tool_calls=1, audio_bytes=6)


def test_a_message_repeated_beside_its_delta_is_counted_once() -> None:
    both = {"choices": [{"delta": {"content": "lo"}, "message": {"content": "Hello"}, "text": "lo"}]}

    assert streamed(Family.CHAT, both).text == "lo"


def test_a_whole_chat_answer_is_counted_like_a_stream() -> None:
    body = {"choices": [{"message": {"content": "Hello", "function_call": {"name": "f", "arguments": "{}"}}}]}

    assert streamed_text(Family.CHAT, [json.dumps(body).encode()]) == Streamed(
        text="Hello", tool_text="f{}", tool_calls=1
    )


def test_content_that_is_a_value_and_no_text_is_counted_as_its_json() -> None:
    body = {"choices": [{"message": {"content": {"title": "Äpfel", "pages": 3}}}]}

    assert streamed(Family.CHAT, body).text == '{"title":"Äpfel","pages":3}'


def test_legacy_completions_have_text() -> None:
    assert streamed(Family.COMPLETIONS, {"choices": [{"text": "a"}, {"text": "b"}]}).text == "ab"


def test_responses_deltas_are_sorted_by_what_they_are() -> None:
    def delta(kind: str, text: str) -> dict[str, str]:
        return {"type": f"response.{kind}.delta", "delta": text}

    assert streamed(
        Family.RESPONSES,
        {
            "type": "response.output_item.added",
            "item": {"type": "function_call", "name": "f", "arguments": ""},
        },
        delta("function_call_arguments", "{}"),
        delta("reasoning_summary_text", "hm"),
        delta("output_text", "a"),
        delta("refusal", "b"),
        {"type": "response.output_text.done", "text": "a"},
        {"type": "response.image_generation_call.partial_image", "partial_image_b64": "AAAA"},
    ) == Streamed(text="ab", reasoning_text="hm", tool_text="f{}", tool_calls=1, partial_images=1)


def test_a_whole_response_is_counted_by_its_items() -> None:
    body = {
        "output": [
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
            {"type": "message", "content": [{"type": "output_text", "text": "a"}]},
            {"type": "custom_tool_call", "name": "g", "input": "1+1"},
        ]
    }

    assert streamed_text(Family.RESPONSES, [json.dumps(body).encode()]) == Streamed(
        text="a", reasoning_text="hm", tool_text="g1+1", tool_calls=1
    )


def test_message_blocks_are_counted_as_they_grow() -> None:
    assert streamed(
        Family.MESSAGES,
        {"type": "content_block_start", "content_block": {"type": "tool_use", "name": "f", "input": {}}},
        {"type": "content_block_delta", "delta": {"type": "input_json_delta", "partial_json": '{"a":1}'}},
        {"type": "content_block_delta", "delta": {"type": "thinking_delta", "thinking": "hm"}},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "a"}},
    ) == Streamed(text="a", reasoning_text="hm", tool_text='f{"a":1}', tool_calls=1)


def test_gemini_s_parts_are_counted_even_when_the_array_is_cut() -> None:
    parts = [
        {"text": "a"},
        {"text": "hm", "thought": True},
        {"functionCall": {"name": "f", "args": {"a": 1}}},
    ]
    whole = json.dumps({"candidates": [{"content": {"parts": parts}}]})

    assert streamed_text(Family.GEMINI, [b"[", whole.encode(), b',\n{"candid']) == Streamed(
        text="a", reasoning_text="hm", tool_text='f{"a":1}', tool_calls=1
    )


def test_ollama_s_lines_are_counted() -> None:
    lines = b'{"message":{"content":"a","thinking":"hm"}}\n{"message":{"content":"b"}}\n'

    assert streamed_text(Family.OLLAMA_CHAT, [lines]) == Streamed(text="ab", reasoning_text="hm")
    assert streamed_text(Family.OLLAMA_GENERATE, [b'{"response":"a"}\n']).text == "a"


def test_images_are_counted_whole_and_in_part() -> None:
    assert streamed(
        Family.IMAGE_GENERATION,
        {"type": "image_generation.partial_image"},
        {"type": "image_generation.completed"},
    ) == Streamed(images=1, partial_images=1)


def test_speech_is_counted_in_bytes_and_a_transcript_in_its_deltas() -> None:
    assert streamed(Family.SPEECH, {"type": "speech.audio.delta", "audio": "AAAA"}).audio_bytes == 3
    deltas = {"type": "transcript.text.delta", "delta": "a"}, {"type": "transcript.text.done", "text": "a"}
    assert streamed(Family.TRANSCRIPTION, *deltas).text == "a"


def test_an_unknown_family_is_counted_by_its_shape() -> None:
    assert streamed(None, choice(content="a")).text == "a"
    assert streamed(None, {"type": "response.output_text.delta", "delta": "a"}).text == "a"
    assert streamed(None, {"type": "content_block_delta", "delta": {"text": "a"}}).text == "a"
    assert streamed(None, {"candidates": [{"content": {"parts": [{"text": "a"}]}}]}).text == "a"
