"""The story of a request, hook by hook. What each chapter does is in a module of its own.

    client_connected → requestheaders → request → server_connect → responseheaders → response | error → client_disconnected

Runs as `mitmdump -s addons/limiter.py` without any flag, and in our own workers. mitmproxy forwards a request whose hook has
raised, so every hook that guards money is wrapped: whatever goes wrong in it, the request is refused with 503.
"""
# ruff: noqa: E402  # As a script this file comes first, and has to make its own package importable.

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if __name__.startswith("__mitmproxy_script__"):
    # mitmproxy puts this file's directory first, where our modules would stand in for other top-level ones.
    sys.path[:] = [str(ROOT), *(entry for entry in sys.path if Path(entry).resolve() != ROOT / "addons")]

import socket
from collections.abc import Awaitable, Coroutine, Sequence
from functools import partial

from mitmproxy import ctx, http
from mitmproxy.addonmanager import Loader
from mitmproxy.connection import Client, ConnectionState
from mitmproxy.proxy.layer import NextLayer
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from addons import answers, gate, refusals
from addons.calls import Call, End
from addons.client_side import ClientSide
from addons.conversation import Conversation
from addons.endpoints import Kind
from addons.exposure import Phase
from addons.forwarding import forward
from addons.guards import guarded
from addons.http1 import attach
from addons.lighter import with_plain_options
from addons.paths import PathError, Place, Route, read_path
from addons.refusals import Refusal
from addons.running import Running
from metering.clock import Clock, now_us
from metering.limiters import Limiter as Tenant
from metering.settings import Settings

CALL = "call"
"""In a flow's metadata: the metered call, or None for a free one; absent for an answer of our own."""
FAILED = "failed"
"""In a flow's metadata where one of our hooks had a fault."""


class Limiter:
    """The addon."""

    def __init__(
        self,
        settings: Settings | None = None,
        sockets: Sequence[socket.socket] | None = None,
        clock: Clock = now_us,
    ) -> None:
        """`sockets`: listening ones, where somebody else has bound them."""
        self._given = (settings, sockets, clock)

    def load(self, _loader: Loader) -> None:
        """Take the settings, and mitmproxy's options, in hand before anything listens."""
        if str(ROOT) not in sys.path:
            sys.path.append(str(ROOT))
        self.run = Running.prepare(ctx.master, ROOT, *self._given)

    async def running(self) -> None:
        """Open the books, then the doors."""
        await self.run.start(self)

    async def done(self) -> None:
        """Let calls in flight finish, settle the rest, close the books."""
        await self.run.stop()

    def client_connected(self, client: Client) -> None:
        """One more connection, unless there are too many."""
        client.error = "There are too many connections."
        if self.run.enter(client):
            client.error = None

    def next_layer(self, layer: NextLayer) -> None:
        """HTTP, with our own side towards the client, and nothing else: no TLS, no raw TCP."""
        context = layer.context
        peer = self.run.peers.find(context.client.id)
        if layer.layer is None and peer is not None:
            with_plain_options(context)
            layer.layer = Conversation(context, ClientSide(context.fork(), peer))

    @guarded
    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """The headers have come: refuse what can be refused before the body is read."""
        if flow.error:
            return
        answer = self._gate(flow)
        if isinstance(answer, Refusal):
            gate.refuse(flow, answer)
        elif isinstance(answer, http.Response):
            flow.response = answer

    def _gate(self, flow: http.HTTPFlow) -> Refusal | http.Response | None:
        run = self.run
        if run.is_closing:
            return refusals.limiter_unavailable("The proxy is shutting down. Try again.")
        refusal = gate.refusal_of(flow.request, run.peers.bounds)
        if refusal is not None:
            return refusal
        try:
            route = read_path(flow.request.method, flow.request.path)
        except PathError as wrong:
            return refusals.invalid_path(str(wrong))
        if isinstance(route, Place):
            return gate.elsewhere(route, run.settings)
        tenant = run.desk.gate(route)
        if isinstance(tenant, Refusal):
            return tenant
        flow.metadata["route"] = route, tenant
        return None

    @guarded
    async def request(self, flow: http.HTTPFlow) -> None:
        """The request is whole: hold its money, then let it go."""
        if flow.response or flow.error:
            return
        raw = flow.request.raw_content or b""
        route: Route = flow.metadata["route"][0].asked(raw)
        tenant: Tenant = flow.metadata["route"][1]
        peer = self.run.peers.find(flow.client_conn.id)
        if peer is None:
            flow.kill()
            return
        if route.endpoint.kind is Kind.FREE:
            flow.metadata[CALL] = None
            forward(flow, tenant, route.rest, peer)
            return
        call = await self.run.desk.admit(tenant, route, flow.request.headers, raw)
        if isinstance(call, Refusal):
            flow.response = refusals.answer(call)
            return
        # From here on there is a hold, and every way out of the call resolves it.
        flow.metadata[CALL] = peer.call = call
        if self.run.peers.find(flow.client_conn.id) is not peer:
            self.run.settling.finish(call, End.CLIENT_LEFT)
            flow.kill()
            return
        forward(flow, call.limiter, route.rest, peer, self.run.bodies.changed(call))

    def server_connect(self, data: ServerConnectionHookData) -> None:
        """Only the upstream that a request of this very client was directed to may be dialled."""
        before, data.server.error = data.server.error, "No request was directed there."
        peer, address = self.run.peers.find(data.client.id), data.server.address
        if peer is not None and address is not None and peer.upstream == (*address[:2], data.server.tls):
            data.server.error = before

    @guarded
    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """The answer begins: let it stream, or hold it until it is whole."""
        if CALL not in flow.metadata or flow.response is None:
            return
        call: Call | None = flow.metadata[CALL]
        if call is None:
            answers.pass_through(flow, flow.response)
        elif not call.is_over:
            call.is_sent = True
            answers.begin(call, flow.response, self._settle_stream, partial(self._break_off, flow))

    def _settle_stream(self, call: Call) -> None:
        """The usage of a stream is known, and has not gone to the client yet."""
        self.run.settling.finish(call, End.ANSWERED)

    def _break_off(self, flow: http.HTTPFlow) -> None:
        """The rest of a stream cannot be decoded: the client must not take what it has for the whole answer."""
        if flow.killable:
            flow.kill()
        self.run.cut_upstream(flow.client_conn)

    @guarded
    def response(self, flow: http.HTTPFlow) -> Coroutine[object, object, None] | None:
        """The answer is whole: charge it, before the client has any of it unless it was streamed."""
        call: Call | None = flow.metadata.get(CALL)
        if call is None or flow.response is None:
            return None
        if FAILED in flow.metadata:
            # mitmproxy has put the upstream's body into our refusal.
            flow.response = refusals.answer(refusals.limiter_unavailable())
        elif call.is_streamed:
            self.run.settling.finish(call, End.ANSWERED)
        elif not call.is_over:
            reading = answers.read(call, flow.response)
            if reading is not None:
                return self._charge_once_read(call, flow.response, reading)
            self._charge(call, flow.response)
        return None

    async def _charge_once_read(self, call: Call, response: http.Response, reading: Awaitable[None]) -> None:
        await reading
        self._charge(call, response)

    def _charge(self, call: Call, response: http.Response) -> None:
        settlement = self.run.settling.finish(call, End.ANSWERED)
        answers.finish(call, response, self.run.figures(call), settlement)
        if answers.refuses_usage(call):
            self.run.bodies.refused_usage(call, response)

    @guarded
    def error(self, flow: http.HTTPFlow) -> None:
        """No whole answer: the client left, the upstream broke off or was never reached, or our timer fired."""
        call: Call | None = flow.metadata.get(CALL)
        peer = self.run.peers.find(flow.client_conn.id)
        timed_out = peer is not None and peer.timed_out
        if timed_out:
            attach(flow.request, refusals.upstream_timeout())
        if call is None or call.is_over:
            return
        if call.status is None:
            is_written = peer is not None and peer.is_sent
            call.is_sent = is_written and not self.run.has_unsent_bytes(flow.client_conn)
        if timed_out:
            ending = End.TIMED_OUT
        elif flow.client_conn.state & ConnectionState.CAN_READ:
            ending = End.UPSTREAM_BROKE
        else:
            ending = End.CLIENT_LEFT
        self.run.settling.finish(call, ending)

    def client_disconnected(self, client: Client) -> None:
        """Nobody is left to answer: resolve what no other hook has resolved."""
        self.run.leave(client)

    def fail(self, flow: http.HTTPFlow) -> None:
        """A hook has a fault: whatever the flow was about to do, it does not; what it holds is charged or given back."""
        flow.request.stream = False
        call: Call | None = flow.metadata.get(CALL)
        peer = self.run.peers.find(flow.client_conn.id)
        if peer is not None and call is None:
            peer.upstream = None
        if call is not None and not call.is_over:
            call.is_sent = call.is_sent or (peer is not None and peer.phase is Phase.WAITING)
            self.run.settling.finish(call, End.FAULT)
        flow.metadata[FAILED] = True
        flow.response = refusals.answer(refusals.limiter_unavailable())


addons = [Limiter()]
