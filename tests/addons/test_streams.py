"""What mitmproxy calls with each part of a streamed answer, whatever the parts are."""

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from addons.streams import Stream
from metering.asks import Family
from metering.reading import StreamReader
from tests.addons.wire import DONE, delta, usage_chunk

WHOLE = b": comment\r\n\r\n" + delta("a") + delta("b\u2028", usage=None) + usage_chunk() + DONE
CRLF = WHOLE.replace(b"\n\n", b"\r\n\r\n")


def play(whole: bytes, cuts: list[int], *, withhold: bool) -> tuple[bytes, Any, list[int]]:
    """Feed the bytes, cut at these places: what came out, the usage, and how much was out when it was seen."""
    call: Any = SimpleNamespace(
        reader=StreamReader(Family.CHAT, withhold_usage=withhold), passed_bytes=0, is_over=False
    )
    out: list[bytes] = []
    seen: list[int] = []

    def on_usage(one: Any) -> None:
        one.is_over = True
        seen.append(sum(map(len, out)))

    pass_on = Stream(call, None, on_usage, lambda: None)
    edges = [0, *sorted(cuts), len(whole)]
    for start, end in pairwise(edges):
        if start < end:
            passed = pass_on(whole[start:end])
            assert passed != b"", "that would end the body"
            out += [passed] if isinstance(passed, bytes) else passed
    last = pass_on(b"")
    out += [last] if isinstance(last, bytes) else last
    return b"".join(out), call.reader.reading.usage, seen


@given(st.sampled_from([WHOLE, CRLF]), st.lists(st.integers(0, len(WHOLE)), max_size=12), st.booleans())
def test_any_split_of_a_stream_gives_the_same_bytes_and_usage(
    whole: bytes, cuts: list[int], withhold: bool
) -> None:
    expected, usage, _ = play(whole, [], withhold=withhold)

    out, seen_usage, seen = play(whole, cuts, withhold=withhold)

    assert out == expected
    assert seen_usage == usage is not None
    assert (usage.input_tokens, usage.output_tokens) == (10, 5)
    assert len(seen) == 1
    if not withhold:
        assert out == whole
    assert seen[0] < len(out), "the settle is queued before the end goes on"


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=8))
def test_no_bytes_of_an_upstream_raise_or_get_lost(whole: bytes, cuts: list[int]) -> None:
    out, _, _ = play(whole, [cut for cut in cuts if cut <= len(whole)], withhold=False)

    assert out == whole
