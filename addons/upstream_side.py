"""The connection to an upstream.

It skips interim answers, lets nothing upgrade, bounds the headers of an answer, reports when a request was sent, and takes
nothing for an answer that nobody asked for.
"""

from collections.abc import Callable

from mitmproxy import http
from mitmproxy.connection import ConnectionState
from mitmproxy.net.http import http1
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http._base import HttpEvent, ReceiveHttp
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    RequestData,
    RequestEndOfMessage,
    RequestHeaders,
    ResponseHeaders,
    ResponseProtocolError,
)
from mitmproxy.proxy.layers.http._http1 import Http1Client, make_body_reader

from addons.exposure import HEAD_MAX_BYTES_OF_AN_ANSWER, Bounds, Peer, Phase
from addons.http1 import Commands, JoinedReads


class UpstreamSide(JoinedReads, Http1Client):
    """Writes requests, reads answers."""

    def __init__(self, find_peer: Callable[[str], Peer | None], context: Context) -> None:
        super().__init__(context)
        self._peer = find_peer(context.client.id) or Peer(Bounds())
        self._closes = False

    def send(self, event: HttpEvent) -> Commands:
        if isinstance(event, RequestHeaders):
            self.stream_id, self.request = event.stream_id, event.request
            self._peer.enter(Phase.WAITING)
            head = http1.assemble_request_head(event.request)
            if event.end_stream:
                yield commands.SendData(self.conn, head)
            else:
                self.waiting = head
        elif isinstance(event, RequestData):
            yield commands.SendData(self.conn, self.with_waiting(event.data))
        elif isinstance(event, RequestEndOfMessage):
            yield from self.mark_done(request=True)
            self._peer.is_sent = True
        else:
            yield commands.CloseConnection(self.conn)

    def read_headers(self, event: events.ConnectionEvent) -> Commands:
        if not isinstance(event, events.DataReceived):
            yield from super().read_headers(event)
            return
        if self.request is None:
            # An answer that nobody asked for.
            yield commands.CloseConnection(self.conn)
            return
        self._peer.heard()
        before = len(self.buf)
        head = self.buf.maybe_extract_lines()
        while head is not None:
            response = self._read(head)
            if response is None or response.status_code == 101:
                yield from self._fail()
                return
            if response.status_code >= 200:
                yield from self._begin(response, event)
                return
            before = len(self.buf)
            head = self.buf.maybe_extract_lines()
        if before > HEAD_MAX_BYTES_OF_AN_ANSWER:
            yield from self._fail()

    def _read(self, head: list[bytearray]) -> http.Response | None:
        try:
            return http1.read_response_head([bytes(line) for line in head])
        except (ValueError, IndexError):
            return None

    def _begin(self, response: http.Response, event: events.DataReceived) -> Commands:
        if self.request is None or self.stream_id is None:
            return
        call = self._peer.call
        if call is not None and not call.is_over:
            # Even where nobody can read on, a 2xx says that there is something to pay for.
            call.status = response.status_code
        try:
            expected_bytes = http1.expected_http_body_size(self.request, response)
        except ValueError:
            yield from self._fail()
            return
        self.response = response
        # Hooks will change these headers, so what they say of this connection is read now.
        self._closes = expected_bytes == -1 or http1.connection_close(
            response.data.http_version, response.headers
        )
        # The client talks with us, who may send it chunks.
        response.data.http_version = b"HTTP/1.1"
        yield ReceiveHttp(ResponseHeaders(self.stream_id, response, expected_bytes == 0))
        self.body_reader = make_body_reader(expected_bytes)
        self.state = self.read_body
        yield from self.state(event)

    def read_body(self, event: events.Event) -> Commands:
        self._peer.heard()
        if isinstance(event, events.ConnectionClosed) and self.conn.state is ConnectionState.CLOSED:
            # Where the end of the connection ends an answer, only the upstream may end it, and not our timer.
            yield from self.broken("closed on this side")
        else:
            yield from super().read_body(event)

    def mark_done(self, *, request: bool = False, response: bool = False) -> Commands:
        self.request_done = self.request_done or request
        self.response_done = self.response_done or response
        if not (self.request_done and self.response_done):
            return
        if self._closes or self.buf:
            # What comes after an answer would be taken for the answer to the next request.
            yield commands.CloseConnection(self.conn)
            self.state = self.done
            return
        self.request_done = self.response_done = False
        self.request = self.response = None
        self.stream_id = None
        self.state = self.read_headers

    def _fail(self) -> Commands:
        yield commands.CloseConnection(self.conn)
        if self.stream_id is not None:
            code = ErrorCode.GENERIC_SERVER_ERROR
            yield ReceiveHttp(
                ResponseProtocolError(self.stream_id, "the upstream's answer is not valid", code)
            )
