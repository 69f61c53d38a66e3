"""What a client connection keeps of its requests and upstreams, and what becomes of it when a part of it has a fault."""

import pytest
from mitmproxy.proxy.layers.http._base import HttpEvent
from mitmproxy.proxy.layers.http._events import RequestData, ResponseHeaders

from addons.client_side import ClientSide
from addons.connections import connections
from addons.conversation import Conversation
from addons.http1 import Commands
from addons.turns import turns_of
from addons.upstream_side import UpstreamSide
from scripts.standin import Answer, StandIn
from tests.addons.proxy import Proxied
from tests.addons.wire import COST_NANOUSD, chat, json_answer

BODY = json_answer().body
CLOSING = Answer(
    headers=(("content-type", "application/json"), ("connection", "close")), body=BODY, hang_up=True
)


def conversation(proxy: Proxied) -> Conversation:
    """That of the only client."""
    (handler,) = connections(proxy.master).values()
    found = turns_of(handler)._conversation  # Nothing else shows what is kept.
    assert found is not None
    return found


@pytest.mark.parametrize("closes", [True, False])
async def test_a_connection_keeps_nothing_of_the_requests_that_are_over(
    proxy: Proxied, upstream: StandIn, closes: bool
) -> None:
    if closes:
        upstream.handler = lambda _: CLOSING
    limiter = proxy.limiter(upstream)

    async with proxy.connected() as client:
        for _ in range(10):
            await client.send(chat(limiter.code))
            assert (await client.reply()).status == 200
        kept = conversation(proxy)
        await proxy.until(lambda: len(kept.connections) == (1 if closes else 2))

    assert (kept.streams, kept.command_sources, dict(kept.waiting_for_establishment)) == ({}, {}, {})
    assert len(upstream.received) == 10
    assert (await proxy.at_rest(limiter)).spent_nanousd == 10 * COST_NANOUSD


@pytest.mark.parametrize(
    ("side", "kind", "charged"),
    [(UpstreamSide, RequestData, False), (ClientSide, ResponseHeaders, True)],
)
async def test_a_fault_in_a_layer_closes_the_connection_and_resolves_the_call(
    proxy: Proxied,
    upstream: StandIn,
    monkeypatch: pytest.MonkeyPatch,
    side: type[ClientSide | UpstreamSide],
    kind: type[HttpEvent],
    charged: bool,
) -> None:
    send = side.send

    def fails(self: ClientSide | UpstreamSide, event: HttpEvent) -> Commands:
        if isinstance(event, kind):
            raise TypeError("a bug")
        return send(self, event)  # type: ignore[arg-type]  # It is the same class.

    limiter = proxy.limiter(upstream)
    with monkeypatch.context() as patched:
        patched.setattr(side, "send", fails)
        reply = await proxy.chat(limiter)

    assert reply.status == 0
    assert ((await proxy.row())["state"], len(upstream.received)) == (
        ("settled", 1) if charged else ("released", 0)
    )
    await proxy.until(lambda: len(proxy.run.peers) == 0)
    assert (await proxy.chat(limiter)).status == 200
