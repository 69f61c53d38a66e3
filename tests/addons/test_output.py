"""Lines are marked with the process that wrote them, and stay lines."""

import io
import json

import pytest

from addons.output import LINE_BYTES_MAX, Lines, Output, marked

AT = "1970-01-01T00:00:01Z"


def test_a_line_of_text_begins_with_the_name_of_its_process() -> None:
    assert marked("proxy-1", b"hello", 9, 0, as_json=False) == b"proxy-1   | hello\n"


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        (b'{"time": "now", "message": "hello"}', {"process": "proxy-1", "time": "now", "message": "hello"}),
        (b"Traceback:", {"process": "proxy-1", "time": AT, "message": "Traceback:"}),
        (b"\xff{", {"process": "proxy-1", "time": AT, "message": "\ufffd{"}),
        (b"{}", {"process": "proxy-1", "time": AT, "message": "{}"}),
    ],
)
def test_a_line_of_json_stays_one_object(line: bytes, fields: dict[str, str]) -> None:
    out = marked("proxy-1", line, 9, 10**6, as_json=True)
    assert out.endswith(b"\n")
    assert json.loads(out) == fields


def test_what_comes_in_pieces_is_written_in_lines() -> None:
    written: list[tuple[str, bytes]] = []
    lines = Lines("service", lambda name, line: written.append((name, line)))
    for piece in (b"on", b"e\ntwo\n\nthr", b"ee"):
        lines.feed(piece)
    assert written == [("service", b"one"), ("service", b"two"), ("service", b"")]
    lines.end()
    lines.end()
    assert written[3:] == [("service", b"three")]


def test_a_line_without_end_does_not_fill_the_memory() -> None:
    written: list[bytes] = []
    lines = Lines("service", lambda _, line: written.append(line))
    for _ in range(100):
        lines.feed(b"x" * 10_000)
    assert max(map(len, written)) < LINE_BYTES_MAX + 10_000
    lines.end()
    assert b"".join(written) == b"x" * 1_000_000


def test_a_reader_who_has_gone_stops_nobody() -> None:
    stream = io.BytesIO()
    write = Output(stream, width=5)
    write("serve", b"one")
    assert stream.getvalue() == b"serve | one\n"
    stream.close()
    write("serve", b"two")
