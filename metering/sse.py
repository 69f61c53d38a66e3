"""Server-sent events out of bytes that come in any pieces.

`EventSplitter` cuts a stream after each blank line, whatever the line ends, and gives every byte back exactly
once: joined, its items are the stream. It never waits for the event after the one that is complete. An event
that exceeds a bound is handed out in pieces (`torn`), so that nothing is held or searched twice. `event_data`
reads one event.
"""

import re
from collections.abc import Iterator

EVENT_BYTES_MAX = 16 * 2**20

_SHORT_BYTES_MAX = 64 * 1024

BOM = b"\xef\xbb\xbf"

_END = re.compile(rb"\n\n|\n\r\n?|\r\r\n?")
"""Two line ends in a row; the first may be the second half of a CRLF."""

_LINE_END = re.compile(rb"\r\n|\n|\r")
_ERROR_NAME = re.compile(rb"(?:^|[\r\n])event: ?error[ \t]*[\r\n]")


class EventSplitter:
    """Cuts one stream into its events, terminators included."""

    __slots__ = ("_after_cr", "_bytes_max", "_held", "_searched", "torn")

    def __init__(self, event_bytes_max: int = EVENT_BYTES_MAX) -> None:
        self._bytes_max = event_bytes_max
        self._held = bytearray()
        self._searched = 0
        self._after_cr = False
        self.torn = False
        """The last item is not the end of its event; the next one continues it."""

    def feed(self, data: bytes) -> list[bytes]:
        """The events that these bytes complete.

        A lone LF after an event that ended in CR is an item of its own: the rest of that event's line end.
        """
        events: list[bytes] = []
        if self._after_cr and data:
            if data.startswith(b"\n"):
                events.append(b"\n")
                data = data[1:]
            self._after_cr = False
        if not data:
            return events
        if self._held:
            self._held += data
            data = bytes(self._held) if _END.search(self._held, max(0, self._searched - 1)) else b""
            if not data:
                self._searched = len(self._held)
                self._give_up_if_too_long(events)
                return events
            self._held.clear()
        cut = 0
        for end in _ends(data, max(0, self._searched - 1)):
            events.append(data[cut:end])
            cut = end
            self.torn = False
        if cut == len(data):
            self._searched = 0
            self._after_cr = data.endswith(b"\r")
            return events
        self._held += data[cut:]
        self._searched = len(self._held)
        self._give_up_if_too_long(events)
        return events

    def run(self, data: bytes) -> bytes | None:
        """The events that these bytes complete, in one piece; None where `feed` has to take them.

        That is where there are CRs, too many LFs, or an event that is long already.
        """
        if self.torn or self._after_cr or len(self._held) > _SHORT_BYTES_MAX or b"\r" in data:
            return None
        whole = bytes(self._held + data) if self._held else data
        if b"\n\n\n" in whole or b"\r" in self._held:
            return None
        end = whole.rfind(b"\n\n") + 2
        self._held = bytearray(whole[end:] if end > 1 else whole)
        self._searched = len(self._held)
        return whole[:end] if end > 1 else b""

    @staticmethod
    def split(run: bytes) -> list[bytes]:
        """The events of a run."""
        return [event + b"\n\n" for event in run.split(b"\n\n")[:-1]]

    def finish(self) -> list[bytes]:
        """What came after the last complete event: servers forget the last blank line."""
        rest = [bytes(self._held)] if self._held else []
        self._held.clear()
        self._searched = 0
        return rest

    def _give_up_if_too_long(self, events: list[bytes]) -> None:
        """Hand out an event that has no end yet. The last byte stays: it may be half of the end."""
        if self.torn or len(self._held) > self._bytes_max:
            if len(self._held) > 1:
                events.append(bytes(self._held[:-1]))
                del self._held[:-1]
                self._searched = 1
            self.torn = True

    @staticmethod
    def data(event: bytes) -> bytes:
        """The event's data; see `event_data`."""
        return event_data(event)


def _ends(data: bytes, start: int) -> Iterator[int]:
    """Where the events end that end at or after `start`. Nearly all streams have plain LFs: a search without
    regex.
    """
    if b"\r" in data:
        yield from (end.end() for end in _END.finditer(data, start))
        return
    while (found := data.find(b"\n\n", start)) >= 0:
        start = found + 2
        yield start


def event_data(event: bytes) -> bytes:
    """The data of one event: its `data` lines, joined by LF; empty for comments and events without data."""
    plain = event.startswith(b"data: ") and event.endswith(b"\n\n") and event.find(b"\n") == len(event) - 2
    if plain and b"\r" not in event:
        return event[6:-2]
    lines = _LINE_END.split(event.removeprefix(BOM))
    return b"\n".join(
        line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:") or line == b"data"
    )


def is_error_event(event: bytes) -> bool:
    """Whether the event is named `error`."""
    return _ERROR_NAME.search(event) is not None
