"""Streams while they pass."""

import json
from itertools import pairwise

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from metering.asks import Family
from metering.reading import StreamReader
from metering.reading.stream import KEPT_BYTES_MAX
from metering.sse import EventSplitter
from metering.usage import Reading, Usage

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A busy machine is no reason to fail."""

DONE = b"data: [DONE]\n\n"


def event(document: object, name: str | None = None) -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(document, separators=(',', ':'))}\n\n".encode()


def chunk(text: str | None = None, finish: str | None = None, **fields: object) -> bytes:
    delta = {} if text is None else {"content": text}
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    return event({"id": "c", "model": "gpt-4o", "choices": choices, **fields})


def counts(prompt: int, completion: int) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def reader_of(family: Family | None, *pieces: bytes, ends: bool = True) -> StreamReader:
    reader = StreamReader(family, withhold_usage=False)
    for piece in pieces:
        if reader.feed(piece) != [piece]:
            raise AssertionError("bytes were changed or held")
    if ends and reader.end():
        raise AssertionError("bytes were held until the end")
    return reader


def test_usage_in_a_last_chunk_without_choices_is_final_before_it_goes_on() -> None:
    reader = StreamReader(Family.CHAT, withhold_usage=False)
    reader.feed(chunk("Hi"))
    assert not reader.usage_seen

    last = event({"model": "gpt-4o-2024-08-06", "choices": [], "usage": counts(3, 4)})
    assert reader.feed(last) == [last]

    assert reader.usage_seen
    assert reader.reading == Reading(usage=Usage(input_tokens=3, output_tokens=4), model="gpt-4o-2024-08-06")


def test_a_chunk_with_null_usage_after_the_usage_changes_nothing() -> None:
    usage = event({"choices": [], "usage": counts(3, 4)})
    moderation = event({"choices": [], "usage": None, "moderation": {}})

    assert reader_of(Family.CHAT, chunk("Hi"), usage, moderation, DONE).reading.usage == Usage(
        input_tokens=3, output_tokens=4
    )


def test_cumulative_usage_in_every_chunk_is_not_summed() -> None:
    pieces = [
        chunk("a", usage=counts(9, 1)),
        chunk("b", usage=counts(9, 2)),
        chunk("", "stop", usage=counts(9, 3)),
    ]

    reader = reader_of(Family.CHAT, *pieces)

    assert reader.reading.usage == Usage(input_tokens=9, output_tokens=3)


def test_cumulative_usage_counts_only_when_a_choice_has_finished() -> None:
    reader = reader_of(Family.CHAT, chunk("a", usage=counts(9, 1)), ends=False)
    assert not reader.usage_seen
    assert reader.reading.usage is None
    assert reader.partial_usage == Usage(input_tokens=9, output_tokens=1)

    reader.feed(chunk("", "stop", usage=counts(9, 2)))
    assert reader.reading.usage == Usage(input_tokens=9, output_tokens=2)


def test_usage_beside_choices_after_the_finish_counts_even_where_the_stream_is_cut_behind_it() -> None:
    reader = reader_of(Family.CHAT, chunk("a"), chunk("", "stop"), chunk("", usage=counts(9, 2)), ends=False)

    assert reader.reading.usage == Usage(input_tokens=9, output_tokens=2)


@pytest.mark.parametrize("first", [counts(0, 0), counts(9, 1)])
def test_usage_beside_the_finish_may_be_corrected_behind_it(first: dict[str, int]) -> None:
    reader = reader_of(Family.CHAT, chunk("a"), chunk("", "stop", usage=first), ends=False)
    assert not reader.usage_seen

    reader.feed(event({"choices": [], "usage": counts(9, 2)}))

    assert reader.usage_seen
    assert reader.reading.usage == Usage(input_tokens=9, output_tokens=2)


def test_usage_in_groq_s_extension_is_read_and_its_repetition_is_not_added() -> None:
    inside = chunk("", "stop", x_groq={"id": "r", "usage": counts(3, 4)})
    again = event({"choices": [], "usage": counts(3, 4)})

    assert reader_of(Family.CHAT, inside, again, DONE).reading.usage == Usage(input_tokens=3, output_tokens=4)


def test_a_missing_done_does_not_lose_the_usage() -> None:
    reader = reader_of(Family.CHAT, chunk("a", usage=counts(9, 1)))

    assert reader.usage_seen
    assert reader.reading.usage == Usage(input_tokens=9, output_tokens=1)


def test_done_makes_the_last_usage_final() -> None:
    assert reader_of(Family.CHAT, chunk("a", usage=counts(9, 1)), DONE, ends=False).usage_seen


def test_an_empty_model_in_the_first_chunk_is_passed_over() -> None:
    azure = event({"choices": [], "id": "", "model": "", "prompt_filter_results": []})

    assert reader_of(Family.CHAT, azure, chunk("a"), DONE).reading.model == "gpt-4o"


def test_comments_blank_lines_and_a_byte_order_mark_are_passed_over() -> None:
    reader = reader_of(Family.CHAT, b"\xef\xbb\xbf: waiting\n\n\n\n", chunk("a", "stop", usage=counts(1, 1)))

    assert reader.usage_seen


def test_an_event_over_several_data_lines_is_read() -> None:
    spread = (
        b'data: {"choices":[],\r\ndata: "usage":{"prompt_tokens":3,\r\ndata: "completion_tokens":4}}\r\n\r\n'
    )

    assert reader_of(Family.CHAT, spread).reading.usage == Usage(input_tokens=3, output_tokens=4)


def test_a_last_event_without_a_blank_line_counts() -> None:
    assert reader_of(Family.CHAT, event({"choices": [], "usage": counts(3, 4)})[:-2]).usage_seen


def test_text_that_looks_like_usage_is_not_usage() -> None:
    text = '"usage":{"prompt_tokens":9} "finish_reason":"stop" data: [DONE]'

    assert reader_of(Family.CHAT, chunk(text), chunk(text), DONE).reading.usage is None


def test_usage_deeper_inside_a_chunk_is_not_the_call_s() -> None:
    nested = event({"choices": [{"delta": {"content": "a", "meta": {"usage": counts(99, 99)}}}]})

    assert reader_of(Family.CHAT, nested, DONE).reading.usage is None


def test_an_error_as_the_first_event_has_failed() -> None:
    error = event({"error": {"message": "overloaded"}})

    assert reader_of(Family.CHAT, error).reading.failed
    assert reader_of(Family.CHAT, b": hello\n\n", chunk(""), error).reading.failed
    assert reader_of(None, event({"message": "no"}, name="error")).reading.failed


def test_an_error_after_some_output_is_not_a_failed_answer() -> None:
    reader = reader_of(Family.CHAT, chunk("Hi"), event({"error": {"message": "cut"}}))

    assert reader.saw_output
    assert not reader.reading.failed


def test_an_error_chunk_dressed_as_a_choice_is_no_output() -> None:
    error = event({"error": {"code": 429}, "choices": [{"delta": {"content": ""}, "finish_reason": "error"}]})

    reader = reader_of(Family.CHAT, error)

    assert reader.reading.failed and not reader.saw_output


def test_a_json_error_instead_of_a_stream_has_failed() -> None:
    reader = reader_of(Family.CHAT, b'{"error": {"mess', b'age": "no"}}')

    assert reader.reading.failed and not reader.saw_output


def test_a_role_alone_is_no_output_and_any_kind_of_content_is() -> None:
    role = event({"choices": [{"delta": {"role": "assistant", "content": ""}, "finish_reason": None}]})
    assert not reader_of(Family.CHAT, role).saw_output

    for delta in ({"reasoning_content": "hm"}, {"tool_calls": [{"index": 0}]}, {"refusal": "no"}):
        assert reader_of(Family.CHAT, role, event({"choices": [{"delta": delta}]})).saw_output


def test_legacy_completions_are_read_like_chat() -> None:
    text = event({"model": "davinci-002", "choices": [{"text": "a", "finish_reason": None}]})
    reader = reader_of(Family.COMPLETIONS, text, event({"choices": [], "usage": {"prompt_tokens": 5}}))

    assert reader.saw_output
    assert reader.reading == Reading(usage=Usage(input_tokens=5), model="davinci-002")


def responses_event(kind: str, **response: object) -> bytes:
    return event({"type": kind, "response": {"model": "gpt-5", "usage": None, **response}}, name=kind)


CREATED = responses_event("response.created", service_tier="auto")
TEXT = event({"type": "response.output_text.delta", "delta": "a"})
SPENT = {"input_tokens": 3, "output_tokens": 4}


@pytest.mark.parametrize("end", ["completed", "incomplete", "failed"])
def test_a_response_is_read_from_its_terminal_event(end: str) -> None:
    last = responses_event(
        f"response.{end}", model="gpt-5-2025-08-07", service_tier="priority", usage=SPENT, output=[]
    )

    assert reader_of(Family.RESPONSES, CREATED, TEXT, last).reading == Reading(
        usage=Usage(input_tokens=3, output_tokens=4), model="gpt-5-2025-08-07", service_tier="priority"
    )


def test_a_terminal_event_by_another_name_is_known_by_the_answer_s_status() -> None:
    zeros = responses_event("response.in_progress", status="in_progress", usage={"input_tokens": 0})
    last = responses_event("response.finished", status="completed", usage=SPENT, output=[])

    cut = reader_of(Family.RESPONSES, CREATED, zeros, TEXT, ends=False)
    assert cut.reading.usage is None
    cut.feed(last)
    assert cut.usage_seen
    assert cut.reading.usage == Usage(input_tokens=3, output_tokens=4)


def test_an_image_that_a_stream_leaves_generating_is_there() -> None:
    item = {"type": "image_generation_call", "status": "generating", "size": "1024x1024", "quality": "low"}
    done = event({"type": "response.output_item.done", "item": {**item, "result": "AAAA"}})
    last = responses_event("response.completed", usage=SPENT, output=[])

    extras = reader_of(Family.RESPONSES, CREATED, done, last).reading.extras

    assert extras == (("gpt-image-1", Usage(images=1, image_size="1024x1024", image_quality="low")),)


def test_tools_that_ran_are_counted_though_the_terminal_event_does_not_repeat_them() -> None:
    call = {"type": "web_search_call", "status": "completed", "action": {"type": "search"}}
    item = event({"type": "response.output_item.done", "item": call})

    cut = reader_of(Family.RESPONSES, CREATED, item, ends=False)
    assert cut.partial_usage == Usage(web_searches=1)
    cut.feed(responses_event("response.completed", usage=SPENT, output=[]))
    assert cut.reading.usage == Usage(input_tokens=3, output_tokens=4, web_searches=1)


def test_a_response_that_fails_without_output_or_usage_has_failed() -> None:
    failed = responses_event("response.failed", status="failed", error={"code": "server_error"})

    assert reader_of(Family.RESPONSES, CREATED, failed).reading.failed
    assert not reader_of(Family.RESPONSES, CREATED, TEXT, failed).reading.failed


START = event(
    {
        "type": "message_start",
        "message": {
            "model": "claude",
            "usage": {
                "input_tokens": 3,
                "cache_read_input_tokens": 20,
                "cache_creation_input_tokens": 10,
                "cache_creation": {"ephemeral_5m_input_tokens": 6, "ephemeral_1h_input_tokens": 4},
                "output_tokens": 1,
            },
        },
    },
    name="message_start",
)
BLOCK = event({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "a"}})


def test_a_message_s_start_and_end_are_merged() -> None:
    delta = event(
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 15}}
    )

    reader = reader_of(Family.MESSAGES, START, BLOCK, delta, ends=False)

    assert reader.reading.usage == Usage(
        input_tokens=33, cached_tokens=20, cache_write_tokens=10, cache_write_long_tokens=4, output_tokens=15
    )
    reader.feed(event({"type": "message_stop"}))
    assert reader.usage_seen


def test_a_gateway_s_second_delta_tells_what_the_first_did_not_know() -> None:
    start = event({"type": "message_start", "message": {"model": "m", "usage": {"input_tokens": 0}}})
    stop = event({"type": "message_delta", "delta": {"stop_reason": "x"}, "usage": {"output_tokens": 0}})
    told = event({"type": "message_delta", "delta": {}, "usage": {"input_tokens": 9, "output_tokens": 4}})

    reader = reader_of(Family.MESSAGES, start, BLOCK, stop, told, event({"type": "message_stop"}))

    assert reader.reading.usage == Usage(input_tokens=9, output_tokens=4)


def test_a_message_cut_before_its_end_has_its_input_only_as_partial_usage() -> None:
    reader = reader_of(Family.MESSAGES, START, BLOCK)

    assert reader.reading.usage is None and not reader.usage_seen
    assert reader.partial_usage is not None and reader.partial_usage.input_tokens == 33


def test_gemini_s_last_metadata_counts() -> None:
    def part(tokens: dict[str, int], **end: str) -> bytes:
        candidate = {"content": {"parts": [{"text": "a"}]}, **end}
        return event({"candidates": [candidate], "usageMetadata": tokens, "modelVersion": "gemini"})

    first, last = part({"promptTokenCount": 5}), part({"promptTokenCount": 9}, finishReason="STOP")

    assert reader_of(Family.GEMINI, first, last).reading == Reading(
        usage=Usage(input_tokens=9), model="gemini"
    )


def test_gemini_s_last_metadata_counts_though_every_chunk_says_stop() -> None:
    def part(given: int) -> bytes:
        tokens = {"promptTokenCount": 5, "candidatesTokenCount": given, "totalTokenCount": 5 + given}
        return event({"candidates": [{"content": {}, "finishReason": "STOP"}], "usageMetadata": tokens})

    reader = reader_of(Family.GEMINI, part(1), part(16), part(20))

    assert reader.reading.usage == Usage(input_tokens=5, output_tokens=20)


@pytest.mark.parametrize(("version", "billed"), [("gemini-3-pro-preview", 3), ("models/gemini-2.5-pro", 1)])
def test_searches_that_ground_a_gemini_answer_are_counted_as_they_are_billed(
    version: str, billed: int
) -> None:
    def part(queries: list[str], **end: str) -> bytes:
        candidate = {"content": {}, "groundingMetadata": {"webSearchQueries": queries}, **end}
        tokens = {"promptTokenCount": 5}
        return event({"candidates": [candidate], "usageMetadata": tokens, "modelVersion": version})

    reader = reader_of(Family.GEMINI, part(["a", "b"]), part(["b", "c"], finishReason="STOP"))

    assert reader.reading.usage == Usage(input_tokens=5, web_searches=billed)


def test_the_end_of_one_answer_is_not_the_end_of_all() -> None:
    def part(index: int, finish: str | None, completion: int) -> bytes:
        choices = [{"index": index, "delta": {"content": "a"}, "finish_reason": finish}]
        return event({"model": "m", "choices": choices, "usage": counts(3, completion)})

    reader = StreamReader(Family.CHAT, withhold_usage=False, answers=2)
    for piece in (part(0, None, 1), part(0, "stop", 2), part(1, None, 3)):
        reader.feed(piece)
        assert not reader.usage_seen
        assert reader.reading.usage is None
    reader.feed(part(1, "stop", 4))

    assert reader.reading.usage == Usage(input_tokens=3, output_tokens=4)


def test_an_answer_that_never_says_why_it_ended_is_final_at_done() -> None:
    choices = [{"index": 0, "delta": {"content": "a"}}]
    reader = StreamReader(Family.CHAT, withhold_usage=False, answers=2)
    reader.feed(event({"choices": choices, "usage": counts(3, 1)}))
    assert not reader.usage_seen

    reader.feed(DONE)

    assert reader.usage_seen


def test_usage_before_anything_was_put_out_is_not_the_last() -> None:
    reader = StreamReader(Family.CHAT, withhold_usage=False)
    reader.feed(event({"choices": [], "usage": counts(0, 0)}))
    assert not reader.usage_seen

    for piece in (chunk("Hi"), chunk(None, "stop"), event({"choices": [], "usage": counts(3, 4)})):
        reader.feed(piece)

    assert reader.usage_seen
    assert reader.reading.usage == Usage(input_tokens=3, output_tokens=4)


def test_gemini_s_array_of_chunks_is_read_element_by_element() -> None:
    first = b'[{"candidates":[{"content":{}}],"usageMetadata":{"promptTokenCount":5}}'
    last = b',\r\n{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":7}}\n]'

    reader = reader_of(Family.GEMINI, first, last, ends=False)

    assert reader.reading.usage == Usage(input_tokens=7)


def test_ollama_s_lines_are_read_up_to_the_done_one() -> None:
    reader = reader_of(
        Family.OLLAMA_CHAT,
        b'{"model":"llama3.2","message":{"role":"assistant","content":"a"},"done":false}\n{"model":"ll',
        b'ama3.2","done":true,"prompt_eval_count":9,"eval_count":4}\n',
        ends=False,
    )

    assert reader.saw_output and reader.usage_seen
    assert reader.reading.usage == Usage(input_tokens=9, output_tokens=4)


def test_speech_events_end_with_audio_output() -> None:
    audio = event({"type": "speech.audio.delta", "audio": "AAAA"})
    done = event({"type": "speech.audio.done", "usage": {"input_tokens": 3, "output_tokens": 50}})

    assert reader_of(Family.SPEECH, audio, done).reading.usage == Usage(
        input_tokens=3, output_tokens=50, output_audio_tokens=50
    )


def test_a_streamed_transcript_ends_with_its_usage() -> None:
    delta = b'data: {"type":"transcript.text.delta","delta":"a"}\r\n\r\n'
    done = b'data: {"type":"transcript.text.done","usage":{"type":"duration","seconds":3}}\r\n\r\n'

    assert reader_of(Family.TRANSCRIPTION, delta, done).reading.usage == Usage(duration_ms=3000)


def test_a_streamed_image_ends_with_its_usage() -> None:
    partial = event({"type": "image_generation.partial_image", "b64_json": "AAAA"})
    done = event(
        {"type": "image_generation.completed", "size": "1024x1024", "quality": "low", "usage": SPENT}
    )

    assert reader_of(Family.IMAGE_GENERATION, partial, done).reading.usage == Usage(
        input_tokens=3,
        output_tokens=4,
        output_image_tokens=4,
        images=1,
        image_size="1024x1024",
        image_quality="low",
    )


def test_a_stream_of_an_unknown_family_is_read_by_its_shape() -> None:
    delta = event({"type": "message_delta", "delta": {"stop_reason": "x"}, "usage": {"output_tokens": 15}})
    assert reader_of(None, START, BLOCK, delta).reading.usage is not None
    run = event({"object": "thread.run", "model": "gpt-4o", "usage": counts(3, 4)})
    assert reader_of(None, run, DONE).reading == Reading(
        usage=Usage(input_tokens=3, output_tokens=4), model="gpt-4o"
    )


def test_what_was_streamed_is_kept_until_the_usage_is_final() -> None:
    reader = reader_of(Family.CHAT, chunk("a"), chunk("b"), ends=False)
    assert reader.kept == [chunk("a"), chunk("b")]

    reader.feed(event({"choices": [], "usage": counts(3, 4)}))
    assert reader.kept == []


def test_what_is_kept_is_bounded_and_the_rest_is_counted() -> None:
    reader = StreamReader(Family.CHAT, withhold_usage=False)
    long = chunk("x" * 2**20)

    for _ in range(10):
        reader.feed(long)

    assert sum(map(len, reader.kept)) <= KEPT_BYTES_MAX
    assert sum(map(len, reader.kept)) + reader.kept_truncated_bytes == 10 * len(long)


@pytest.mark.parametrize("withholds", [False, True])
def test_an_endless_event_passes_and_still_tells_its_usage(withholds: bool) -> None:
    reader = StreamReader(Family.IMAGE_GENERATION, withhold_usage=withholds)
    pieces = [b'data: {"type":"image_generation.completed","b64_json":"', *[b"A" * 2**20] * 20]
    pieces += [b'","usage":{"input_tokens":3,', b'"output_tokens":4}}\n', b"\n", b": end\n\n"]

    passed = [part for piece in pieces for part in reader.feed(piece)]
    passed += reader.end()

    assert b"".join(passed) == b"".join(pieces)
    assert reader.reading.usage == Usage(input_tokens=3, output_tokens=4, output_image_tokens=4, images=1)


@pytest.mark.parametrize("family", [Family.IMAGE_GENERATION, Family.RESPONSES, None])
def test_an_endless_json_answer_passes_and_still_tells_its_usage(family: Family | None) -> None:
    pieces = [b'{"data":[{"b64_json":"', *[b"A" * 2**20] * 20, b'"}],"usage":{"input_tokens":3}}']

    usage = reader_of(family, *pieces).reading.usage

    assert usage is not None and usage.input_tokens == 3


def test_an_endless_event_that_is_cut_has_no_usage() -> None:
    reader = reader_of(Family.CHAT, b'data: {"choices":[', b" " * 17 * 2**20, b" ")

    assert reader.reading.usage is None and reader.saw_output


def test_chunks_that_cannot_carry_usage_or_model_are_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[bytes] = []
    loads = orjson.loads

    def counted(raw: bytes) -> object:
        parsed.append(raw)
        return loads(raw)

    monkeypatch.setattr(orjson, "loads", counted)

    reader = reader_of(Family.CHAT, *[chunk(str(index), usage=None) for index in range(500)], ends=False)
    reader.feed(event({"choices": [], "usage": counts(3, 4)}) + DONE)

    assert reader.usage_seen
    assert len(parsed) == 2


STREAMS = [
    (
        Family.CHAT,
        chunk("Grüße", usage=None) + chunk("", "stop") + event({"choices": [], "usage": counts(3, 4)}) + DONE,
    ),
    (
        Family.CHAT,
        b": ping\r\n\r\n" + (chunk("a", "stop", usage=counts(3, 4)) + DONE).replace(b"\n", b"\r\n"),
    ),
    (
        Family.CHAT,
        (chunk("a", usage=None) + event({"choices": [], "usage": counts(3, 4)})).replace(b"\n", b"\r"),
    ),
    (Family.CHAT, b"\xef\xbb\xbf" + chunk("\u2603") + event({"choices": [], "usage": counts(3, 4)})[:-1]),
    (Family.RESPONSES, CREATED + TEXT + responses_event("response.completed", usage=SPENT)),
    (Family.MESSAGES, START + BLOCK + event({"type": "message_delta", "usage": {"output_tokens": 4}})),
    (
        Family.GEMINI,
        b'[{"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":4}}\n,\n{"a":"\xc3\xbc"}]',
    ),
    (Family.OLLAMA_CHAT, b'{"done":false}\n{"done":true,"prompt_eval_count":3,"eval_count":4}\n'),
]


@pytest.mark.parametrize("withholds", [False, True])
@pytest.mark.parametrize(("family", "stream"), STREAMS)
@unhurried
@given(data=st.data())
def test_any_split_of_a_stream_gives_the_same_usage_and_the_same_bytes(
    family: Family, stream: bytes, withholds: bool, data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    whole, split = (StreamReader(family, withhold_usage=withholds) for _ in range(2))
    expected = b"".join([*whole.feed(stream), *whole.end()])

    parts: list[bytes] = []
    for start, stop in pairwise([0, *cuts, len(stream)]):
        parts += split.feed(stream[start:stop])
    parts += split.end()

    assert b"" not in parts
    assert b"".join(parts) == expected
    assert withholds or expected == stream
    assert split.reading == whole.reading
    assert split.reading.usage is not None and split.reading.usage.output_tokens == 4


USAGE_CHUNK = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n'
EVENTS = st.lists(
    st.sampled_from(
        [
            chunk("a"),
            chunk("b", usage=None),
            b'data: {"choices":[{"index":0,"delta":{"content":"c"}}],"usage":null,"obfuscation":"x"}\n\n',
            b'data: {"usage":null,"choices":[{"delta":{"content":"d"},"usage":null}]}\n\n',
            b'data: {"choices":[{"delta":{"content":"\\"usage\\":null"}}] , "usage" : null }\n\n',
            USAGE_CHUNK,
            b'data: {"choices":[{"delta":{},"finish_reason":"stop"}],"usage":null}\n\n',
            b"data: [DONE]\n\n",
            b': a comment,"usage":null}\n\n',
            b"\n",
            b"data: {}\r\n\r\n",
            b'event: x\ndata: {"a":1,\ndata: "usage":null}\n\n',
        ]
    ),
    max_size=12,
)


@example(events=[USAGE_CHUNK, b"\n"], size=1, withhold=True)
@given(events=EVENTS, size=st.sampled_from([1, 7, 100, 1_400, 10_000]), withhold=st.booleans())
def test_a_run_of_events_is_read_as_they_are_one_by_one(
    events: list[bytes], size: int, withhold: bool
) -> None:
    body = chunk("first") + b"".join(events)

    def played() -> tuple[bytes, object, object, bytes]:
        reader = StreamReader(Family.CHAT, withhold_usage=withhold)
        parts = [part for at in range(0, len(body), size) for part in reader.feed(body[at : at + size])]
        passed = b"".join(parts + reader.end())
        return passed, reader.reading, reader.partial_usage, b"".join(reader.kept)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EventSplitter, "run", lambda _splitter, _data: None)
        one_by_one = played()

    assert played() == one_by_one
