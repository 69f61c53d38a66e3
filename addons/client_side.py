"""The connection to a client.

It bounds headers, chunked bodies and pipelining, answers errors in JSON, answers a refusal without reading the body,
and knows when the connection has to close.
"""

import re

from mitmproxy.connection import ConnectionState
from mitmproxy.net.http import http1
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http._base import HttpEvent, ReceiveHttp
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    RequestHeaders,
    RequestProtocolError,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
)
from mitmproxy.proxy.layers.http._http1 import Http1Server, make_body_reader

from addons import refusals
from addons.exposure import LINGERED_BYTES_MAX, PIPELINED_BYTES_MAX, Peer, Phase
from addons.http1 import Commands, JoinedReads, attached
from addons.refusals import Refusal

_MEGABYTE = 1_048_576
_CONTROL = re.compile(rb"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]")
"""mitmproxy takes some of these for blanks around a value, and another reader for a part of it."""
_FOREIGN = re.compile(rb"[^!-~\r\n]")
"""How no request begins, but TLS does: whoever takes us for a server of https is told at once, and not after a timeout."""
_REFUSALS = {
    ErrorCode.GENERIC_CLIENT_ERROR: refusals.invalid_request("The request is not valid HTTP/1.1."),
    ErrorCode.REQUEST_VALIDATION_FAILED: refusals.invalid_request("The request is not valid HTTP/1.1."),
    ErrorCode.DESTINATION_UNKNOWN: refusals.invalid_request("The request has no target."),
    ErrorCode.CONNECT_FAILED: refusals.upstream_unreachable(),
    ErrorCode.GENERIC_SERVER_ERROR: refusals.upstream_unreachable(),
    ErrorCode.RESPONSE_VALIDATION_FAILED: refusals.upstream_unreachable(),
}


class ClientSide(JoinedReads, Http1Server):
    """Reads requests, writes answers."""

    def __init__(self, context: Context, peer: Peer) -> None:
        super().__init__(context)
        self._peer = peer
        self._closes = False
        self._is_http10 = self._is_chunked = False
        self._body_bytes = 0
        self._discarded = 0

    def read_headers(self, event: events.ConnectionEvent) -> Commands:
        if not isinstance(event, events.DataReceived):
            # What was sent of the headers is not logged: there are keys in it.
            yield commands.CloseConnection(self.conn)
            return
        before = len(self.buf)
        head = self.buf.maybe_extract_lines()
        while head == [] and self.buf:
            head = self.buf.maybe_extract_lines()
        if max(before - len(self.buf), before if head is None else 0) > self._peer.bounds.header_bytes:
            yield from self._refuse(refusals.headers_too_large(self._peer.bounds.header_bytes))
        elif not head:
            if before == len(event.data) and _FOREIGN.match(event.data):
                yield from self._refuse(_REFUSALS[ErrorCode.GENERIC_CLIENT_ERROR])
            elif before and self._peer.phase is Phase.IDLE:
                self._peer.enter(Phase.HEADERS)
        else:
            yield from self._begin([bytes(line) for line in head], event)

    def _begin(self, head: list[bytes], event: events.DataReceived) -> Commands:
        if _CONTROL.search(b"\n".join(head)):
            yield from self._refuse(_REFUSALS[ErrorCode.GENERIC_CLIENT_ERROR])
            return
        try:
            self.request = request = http1.read_request_head(head)
            expected_bytes = http1.expected_http_body_size(request)
        except ValueError:
            yield from self._refuse(_REFUSALS[ErrorCode.GENERIC_CLIENT_ERROR])
            return
        self._peer.begin_request()
        self._is_http10 = not request.is_http11
        self._closes = http1.connection_close(request.data.http_version, request.headers)
        self._body_bytes = 0
        yield ReceiveHttp(RequestHeaders(self.stream_id, request, expected_bytes == 0))
        if self.state == self.read_headers:
            self.body_reader = make_body_reader(expected_bytes)
            self.state = self.read_body
            yield from self.state(event)

    def take(self, data: bytes) -> Commands:
        self._body_bytes += len(data)
        bound = self._peer.bounds.body_bytes
        if self._body_bytes > bound:
            yield from self._give_up(refusals.body_too_large(bound // _MEGABYTE))
        else:
            yield from super().take(data)

    def broken(self, failure: str) -> Commands:
        if self.conn.state & ConnectionState.CAN_READ:
            yield from self._give_up(_REFUSALS[ErrorCode.GENERIC_CLIENT_ERROR])
        else:
            yield from super().broken(failure)

    def _give_up(self, refusal: Refusal) -> Commands:
        """Refuse a request while its body comes."""
        yield from self._refuse(refusal)
        code = ErrorCode.GENERIC_CLIENT_ERROR
        yield ReceiveHttp(RequestProtocolError(self.stream_id, refusal.message, code))

    def wait(self, event: events.Event) -> Commands:
        if isinstance(event, events.DataReceived) and len(self.buf) > PIPELINED_BYTES_MAX:
            yield commands.CloseConnection(self.conn)
            code = ErrorCode.CLIENT_DISCONNECTED
            yield ReceiveHttp(RequestProtocolError(self.stream_id, "too much was pipelined", code))
        else:
            yield from super().wait(event)

    def send(self, event: HttpEvent) -> Commands:
        if isinstance(event, ResponseHeaders):
            yield from self._send_head(event)
        elif isinstance(event, ResponseData):
            # Answers of our own have a body; after HEAD a client would take it for the next answer.
            if event.data and not self._is_head:
                chunk = b"%x\r\n%b\r\n" % (len(event.data), event.data) if self._is_chunked else event.data
                yield commands.SendData(self.conn, self.with_waiting(chunk))
        elif isinstance(event, ResponseEndOfMessage):
            if self._is_chunked and not self._is_head:
                yield commands.SendData(self.conn, b"0\r\n\r\n")
            yield from self.mark_done(response=True)
        elif isinstance(event, ResponseProtocolError):
            yield from self._end_badly(event.code)

    def _send_head(self, event: ResponseHeaders) -> Commands:
        self.response = response = event.response
        fields = response.headers
        self._is_chunked = "chunked" in fields.get("transfer-encoding", "").lower()
        waits = False
        if response.status_code >= 200:
            self._closes = self._closes or self._peer.is_last
            if self._closes:
                fields["connection"] = "close"
            if self._is_http10 and "transfer-encoding" in fields:
                del fields["transfer-encoding"]
                self._is_chunked = False
            waits = not (event.end_stream or response.stream or self._is_head)
        head = http1.assemble_response_head(response)
        if waits:
            self.waiting = head
        else:
            yield commands.SendData(self.conn, head)

    @property
    def _is_head(self) -> bool:
        return self.request is not None and self.request.data.method == b"HEAD"

    def mark_done(self, *, request: bool = False, response: bool = False) -> Commands:
        self.request_done = self.request_done or request
        self.response_done = self.response_done or response
        if not (self.request_done and self.response_done):
            if self.request_done:
                self._peer.enter(Phase.BUSY)
                self.state = self.wait
            return
        if self._closes or self._reads_until_closed():
            yield commands.CloseConnection(self.conn)
            self.state = self.done
            return
        self.request_done = self.response_done = False
        self.request = self.response = None
        self.stream_id += 2
        self.state = self.read_headers
        self._peer.enter(Phase.IDLE)
        if self.buf:
            yield from self.state(events.DataReceived(self.conn, b""))

    def _reads_until_closed(self) -> bool:
        if self.request is None or self.response is None:
            return True
        given = self.response.headers
        if "content-length" in given and "transfer-encoding" not in given:
            return False
        try:
            return http1.expected_http_body_size(self.request, self.response) == -1
        except ValueError:
            return True

    def _end_badly(self, code: ErrorCode) -> Commands:
        """The request ends without an answer of the upstream: say why, unless an answer has begun."""
        if not self.conn.state & ConnectionState.CAN_WRITE:
            return
        refusal = (attached(self.request) if self.request else None) or _REFUSALS.get(code)
        if refusal is None or (self.response is not None and self.response.status_code >= 200):
            yield commands.CloseConnection(self.conn)
        else:
            yield from self._refuse(refusal)

    def _refuse(self, refusal: Refusal) -> Commands:
        """Answer now and close; what else the client sends is thrown away for a moment, so that he can read it."""
        answer = refusals.answer(refusal)
        answer.headers["connection"] = "close"
        yield commands.SendData(self.conn, http1.assemble_response(answer))
        if self.request_done:
            yield commands.CloseConnection(self.conn)
            self.state = self.done
        else:
            self._peer.enter(Phase.LINGERING)
            self.state = self.discard
            yield commands.CloseTcpConnection(self.conn, half_close=True)

    def discard(self, event: events.Event) -> Commands:
        """Throw away what comes after a refusal."""
        self._discarded += len(self.buf)
        self.buf.maybe_extract_at_most(len(self.buf))
        if isinstance(event, events.ConnectionClosed) or self._discarded > LINGERED_BYTES_MAX:
            yield commands.CloseConnection(self.conn)
