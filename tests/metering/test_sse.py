from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metering.sse import EventSplitter, event_data, is_error_event

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A busy machine is no reason to fail."""


def split_in_pieces(pieces: list[bytes]) -> list[bytes]:
    splitter = EventSplitter()
    events = [event for piece in pieces for event in splitter.feed(piece)]
    return events + splitter.finish()


def test_each_complete_event_comes_out_at_once() -> None:
    splitter = EventSplitter()

    assert splitter.feed(b"data: 1\n\nda") == [b"data: 1\n\n"]
    assert splitter.feed(b"ta: 2\n") == []
    assert splitter.feed(b"\n") == [b"data: 2\n\n"]


def test_lines_may_end_in_lf_crlf_or_cr() -> None:
    assert split_in_pieces([b"data: 1\n\ndata: 2\r\n\r\ndata: 3\r\rdata: 4\r\n\n"]) == [
        b"data: 1\n\n",
        b"data: 2\r\n\r\n",
        b"data: 3\r\r",
        b"data: 4\r\n\n",
    ]


def test_one_line_end_is_no_event_end() -> None:
    assert split_in_pieces([b"event: a\r\ndata: 1\r\n"]) == [b"event: a\r\ndata: 1\r\n"]


def test_an_event_that_ends_in_cr_is_not_kept_waiting_for_a_line_feed() -> None:
    splitter = EventSplitter()

    assert splitter.feed(b"data: 1\r\n\r") == [b"data: 1\r\n\r"]
    assert splitter.feed(b"\ndata: 2\r\n\r\n") == [b"\n", b"data: 2\r\n\r\n"]


def test_a_stream_without_a_last_blank_line_gives_up_its_rest_at_the_end() -> None:
    splitter = EventSplitter()

    assert splitter.feed(b"data: 1") == []
    assert splitter.finish() == [b"data: 1"]
    assert splitter.finish() == []


def test_an_event_beyond_the_bound_comes_in_pieces_until_its_end() -> None:
    splitter = EventSplitter(event_bytes_max=8)

    first = splitter.feed(b"data: 0123456789")
    assert splitter.torn
    second = splitter.feed(b"0123456789\n")
    assert splitter.torn
    last = splitter.feed(b"\ndata: 1\n\n")

    assert not splitter.torn
    assert b"".join(first + second + last) == b"data: 01234567890123456789\n\ndata: 1\n\n"
    assert last[-1] == b"data: 1\n\n"


@unhurried
@given(
    st.lists(st.sampled_from([b"data: x", b"\n", b"\r", b"\r\n", b":", b"\xc3", b"\xa4"]), max_size=30),
    st.data(),
)
def test_no_byte_is_lost_however_a_stream_is_split(parts: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]

    assert b"".join(split_in_pieces(pieces)) == stream


def test_the_data_of_an_event_are_its_data_lines_joined() -> None:
    assert event_data(b"data: {}\n\n") == b"{}"
    assert event_data(b"data:{}\r\n\r\n") == b"{}"
    assert event_data(b'event: x\ndata: {"a":\ndata: 1}\nid: 7\n\n') == b'{"a":\n1}'


def test_comments_have_no_data_and_a_byte_order_mark_is_not_part_of_a_field() -> None:
    assert event_data(b": still working\n\n") == b""
    assert event_data(b"\xef\xbb\xbfdata: 1\n\n") == b"1"


def test_an_event_named_error_is_one_wherever_its_name_stands() -> None:
    assert is_error_event(b"event: error\ndata: {}\n\n")
    assert is_error_event(b"data: {}\r\nevent:error\r\n\r\n")
    assert not is_error_event(b"event: errors\ndata: event: error \n\n")
