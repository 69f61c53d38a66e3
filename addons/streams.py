"""What mitmproxy calls with each part of a streamed answer: bytes in, bytes out, usage seen on the way.

It must not raise, since that would end the connection's processing for ever, and it must not return `b""` before the
last part, since that would end the body. When the usage is complete it says so before the bytes that carry it go on, so
that the settle is queued before the client can have the end of its answer.
"""

import logging
from collections.abc import Callable

from addons.calls import Call
from addons.codings import Decoder

log = logging.getLogger(__name__)

Parts = list[bytes]


class Stream:
    """The answer of one call, on its way to the client."""

    def __init__(
        self,
        call: Call,
        decode: Decoder | None,
        on_usage: Callable[[Call], None],
        on_break: Callable[[], None],
    ) -> None:
        """`on_break` hears that what is left of the answer cannot be decoded, and ends it as broken."""
        self._call = call
        self._decode = decode
        self._on_usage = on_usage
        self._on_break = on_break
        self._is_blind = call.reader is None
        self._is_broken = False

    def __call__(self, data: bytes) -> Parts | bytes:
        """A part of the answer, and `b""` at its end."""
        if self._is_broken:
            return []
        is_end = not data
        if self._decode is not None and not is_end:
            try:
                data = self._decode(data)
            except Exception as wrong:  # noqa: BLE001  # Whatever the coding's library raises.
                self._is_broken = True
                log.warning("A stream is not what its content-encoding says: %s.", wrong)
                self._on_break()
                return []
        try:
            return self._end() if is_end else self._take(data)
        except Exception:
            # The answer goes on as it comes; what is known by now, or else the hold, will be charged.
            log.exception("A stream cannot be read any further.")
            self._is_blind = True
            return [data] if data else []

    def _take(self, data: bytes) -> Parts:
        reader = self._call.reader
        if not data:
            return []
        self._call.passed_bytes += len(data)
        if self._is_blind or reader is None:
            return [data]
        parts = reader.feed(data)
        if reader.usage_seen and not self._call.is_over:
            self._on_usage(self._call)
        return parts

    def _end(self) -> Parts:
        reader = self._call.reader
        if self._is_blind or reader is None:
            return []
        return [part for part in reader.end() if part]
