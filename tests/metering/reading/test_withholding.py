"""What the proxy asked for and the client did not, taken out to the byte."""

import pytest

from metering.asks import Family
from metering.reading import StreamReader
from metering.reading.withholding import without_null_usage


def client_gets(*pieces: bytes) -> bytes:
    reader = StreamReader(Family.CHAT, withhold_usage=True)
    passed = [part for piece in pieces for part in reader.feed(piece)]
    return b"".join([*passed, *reader.end()])


def test_the_usage_chunk_is_dropped_and_null_usage_is_cut() -> None:
    assert client_gets(
        b'data: {"choices":[{"delta":{"content":"a"}}],"usage":null}\n\n'
        b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}\n\n'
        b"data: [DONE]\n\n"
    ) == (b'data: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: [DONE]\n\n')


def test_a_usage_chunk_whose_choices_are_null_is_dropped_and_one_that_is_no_chunk_is_not() -> None:
    assert client_gets(b'data: {"choices":null,"usage":{"prompt_tokens":3}}\n\n') == b""
    other = b'data: {"error":{"message":"cut"},"usage":{"prompt_tokens":3}}\n\n'
    assert client_gets(other) == other


def test_a_usage_chunk_cut_in_two_is_dropped_whole() -> None:
    assert (
        client_gets(b'data: {"choices":[],"usa', b'ge":{"prompt_tokens":3}}\n', b"\n", b": x\n\n")
        == b": x\n\n"
    )


def test_the_line_feed_of_a_dropped_event_is_dropped_though_it_comes_late() -> None:
    assert (
        client_gets(b'data: {"choices":[],"usage":{"prompt_tokens":3}}\r\n\r', b"\n: x\r\n\r\n")
        == b": x\r\n\r\n"
    )


def test_usage_beside_choices_goes_on_since_nobody_asked_for_it() -> None:
    chunk = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":3}}\n\n'

    assert client_gets(chunk) == chunk


def test_complete_events_go_on_at_once_and_only_an_unfinished_one_is_held() -> None:
    reader = StreamReader(Family.CHAT, withhold_usage=True)

    assert reader.feed(b'data: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: {"ch') == [
        b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'
    ]
    assert reader.feed(b'oices":[]') == []
    assert reader.end() == [b'data: {"choices":[]']
    assert reader.end() == []


def test_a_usage_chunk_without_its_blank_line_is_dropped_at_the_end() -> None:
    assert client_gets(b'data: {"choices":[],"usage":{"prompt_tokens":3}}') == b""


def test_a_json_error_instead_of_a_stream_goes_on_as_it_came() -> None:
    assert (
        client_gets(b"  ", b'{"error":{"message":"no"},"usage":null}')
        == b'  {"error":{"message":"no"},"usage":null}'
    )


@pytest.mark.parametrize(
    ("event", "cut"),
    [
        (b'data: {"id":"c","usage":null}\n\n', b'data: {"id":"c"}\n\n'),
        (b'data: {"id": "c", "usage": null}\r\n\r\n', b'data: {"id": "c"}\r\n\r\n'),
        (
            b'data: {"id":"c","usage":null,"obfuscation":"x,y"}\n\n',
            b'data: {"id":"c","obfuscation":"x,y"}\n\n',
        ),
        (b'data: {"usage":null,"choices":[{"a":1}]}\n\n', b'data: {"choices":[{"a":1}]}\n\n'),
        (b'data: {"usage": null, "a": 1}\n\n', b'data: {"a": 1}\n\n'),
        (b'data: {"usage":null}\n\n', b"data: {}\n\n"),
        (b'data: {"a":1,"usage":null,"choices":[{"b":"}"}]}\n\n', b'data: {"a":1,"choices":[{"b":"}"}]}\n\n'),
    ],
)
def test_null_usage_is_cut_with_one_of_its_commas(event: bytes, cut: bytes) -> None:
    assert without_null_usage(event) == cut


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"choices":[{"usage":null}]}\n\n',
        b'data: {"choices":[{"delta":{"content":"\\"usage\\":null"}}]}\n\n',
        b'data: {"choices":[{"delta":{"content":",\\"usage\\":null}"}}]}\n\n',
        b'data: {"x":"usage","y":null}\n\n',
        b'data: {"\\"usage":null}\n\n',
        b'data: {"usage":nullable}\n\n',
        b'data: {"a":1,\ndata: "usage":null}\n\n',
        b'"usage":null',
    ],
)
def test_what_is_not_the_chunk_s_own_null_usage_stays(event: bytes) -> None:
    assert without_null_usage(event) == event
