"""HTTP/1 on both sides, hardened: what mitmproxy's own classes need on a public proxy, whichever side it is.

The data of one network read is handed on at once, trailers are dropped, which would crash mitmproxy, and what may stand
between the chunks of a body is bounded. A request can carry the refusal that its client is told of when it ends
without an answer.
"""

import h11
from mitmproxy import http
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.layers.http._base import HttpEvent, ReceiveHttp
from mitmproxy.proxy.layers.http._http1 import Http1Connection, Http1Server

from addons.refusals import Refusal

Commands = layer.CommandGenerator[None]
BETWEEN_CHUNKS_BYTES_MAX = 65_536
"""Chunk extensions and trailers: nobody reads them."""


def attach(request: http.Request, refusal: Refusal) -> None:
    """What the client is told when this request ends without an answer."""
    vars(request)["refusal"] = refusal


def attached(request: http.Request) -> Refusal | None:
    """What was attached to the request."""
    refusal: Refusal | None = vars(request).get("refusal")
    return refusal


class JoinedReads(Http1Connection):
    """Hands on the data of one network read at once; mitmproxy would handle each chunk apart."""

    waiting = b""
    """The head of a message that is whole, until the first part of its body is sent."""

    def handle_event(self, event: events.Event) -> Commands:
        """Neither side ever waits for what it commands, so nothing has to be kept for later."""
        if isinstance(event, HttpEvent):
            return self.send(event)
        if isinstance(event, events.DataReceived):
            self.buf += event.data
        return self.state(event)

    def read_body(self, event: events.Event) -> Commands:
        pieces, has_ended, failure = [], False, None
        try:
            while True:
                part = (
                    self.body_reader(self.buf)
                    if isinstance(event, events.DataReceived)
                    else self.body_reader.read_eof()
                )
                if isinstance(part, h11.Data):
                    pieces.append(bytes(part.data))
                    continue
                # Trailers come with the end; nobody is told of them.
                has_ended = isinstance(part, h11.EndOfMessage)
                break
        except h11.ProtocolError as wrong:
            failure = str(wrong)
        if not has_ended and len(self.buf) > BETWEEN_CHUNKS_BYTES_MAX:
            failure = "too much between two chunks"
        data = b"".join(pieces)
        if data:
            yield from self.take(data)
        if self.stream_id is None or self.state != self.read_body:
            return
        if failure is not None:
            yield from self.broken(failure)
        elif has_ended:
            yield ReceiveHttp(self.ReceiveEndOfMessage(self.stream_id))
            is_request = isinstance(self, Http1Server)
            yield from self.mark_done(request=is_request, response=not is_request)

    def broken(self, failure: str) -> Commands:
        """The body is not framed as it has to be, or ends too early."""
        yield commands.CloseConnection(self.conn)
        if self.stream_id is not None:
            code = self.ReceiveProtocolError.code
            wrong = self.ReceiveProtocolError(self.stream_id, f"HTTP/1 protocol error: {failure}", code=code)
            yield ReceiveHttp(wrong)

    def with_waiting(self, data: bytes) -> bytes:
        """These bytes behind the head that waits for them: one packet, not two."""
        if not self.waiting:
            return data
        waiting, self.waiting = self.waiting, b""
        return waiting + data

    def take(self, data: bytes) -> Commands:
        """Hand on a part of the body."""
        if self.stream_id is not None:
            yield ReceiveHttp(self.ReceiveData(self.stream_id, data))
