"""How a streamed answer is framed: server-sent events, or JSON values one after the other.

Ollama sends an object a line, Gemini an array of objects, and a provider that fails sends one object instead
of a stream; `JsonSplitter` finds the top-level objects of all three. Its items are for reading only:
separators are dropped.
"""

import json

import orjson

from metering.sse import BOM, EVENT_BYTES_MAX, EventSplitter

_OPENING_BYTES_MAX = 4096
_EAGER_BYTES_MAX = 64 * 1024
"""Up to here an incomplete object is tried again with each piece; above, only when it has doubled."""


class JsonSplitter:
    """Cuts a sequence of JSON objects, with whatever stands between them."""

    __slots__ = ("_bytes_max", "_failed_at", "_held", "torn")

    def __init__(self, event_bytes_max: int = EVENT_BYTES_MAX) -> None:
        self._bytes_max = event_bytes_max
        self._held = bytearray()
        self._failed_at = 0
        self.torn = False

    def feed(self, data: bytes) -> list[bytes]:
        """The objects that these bytes complete."""
        self._held += data
        is_worth_a_try = not self.torn and b"}" in data and self._is_small_or_doubled()
        objects = self._cut() if is_worth_a_try else []
        if self.torn or len(self._held) > self._bytes_max:
            self.torn = True
            objects.append(bytes(self._held))
            self._held.clear()
        return objects

    def finish(self) -> list[bytes]:
        """The objects that were not tried yet, and what is left of an incomplete one."""
        objects = self._cut()
        if self._held:
            objects.append(bytes(self._held))
        self._held.clear()
        return objects

    @staticmethod
    def data(event: bytes) -> bytes:
        """The object itself."""
        return event

    def _is_small_or_doubled(self) -> bool:
        return len(self._held) <= _EAGER_BYTES_MAX or len(self._held) >= 2 * self._failed_at

    def _cut(self) -> list[bytes]:
        text = self._held.decode("utf-8", "surrogateescape")
        objects, start = [], text.find("{")
        while start >= 0:
            try:
                _, end = _DECODER.raw_decode(text, start)
            except (ValueError, RecursionError):
                break
            objects.append(text[start:end].encode("utf-8", "surrogateescape"))
            start = text.find("{", end)
        self._held = bytearray(text[start:].encode("utf-8", "surrogateescape") if start >= 0 else b"")
        self._failed_at = len(self._held)
        return objects


_DECODER = json.JSONDecoder()


def splitter_for(opening: bytes) -> EventSplitter | JsonSplitter | None:
    """The framing that the first bytes show; None while they show nothing."""
    start = opening.removeprefix(BOM).lstrip()
    if (not start or BOM.startswith(start)) and len(opening) < _OPENING_BYTES_MAX:
        return None
    return JsonSplitter() if start[:1] in (b"{", b"[") else EventSplitter()


def parse(raw: bytes) -> object:
    """The JSON value, None for what is none. Tolerates NaN and bytes that are not UTF-8, as some servers send
    them.
    """
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(raw.removeprefix(BOM).decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
