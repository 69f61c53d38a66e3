"""A browser asks before it sends: it may always send what is refused, because otherwise it could not read why."""

import pytest

from scripts.standin import Answer, StandIn
from tests.addons.proxy import Proxied
from tests.addons.wire import request

ASKS = ("Origin: https://page.example", "Access-Control-Request-Method: POST")


@pytest.mark.parametrize("path", ["/v1/nosuchcode/chat/completions", "/v1/x/a/../b"])
async def test_a_page_may_send_what_is_refused_and_reads_the_reason(
    proxy: Proxied, upstream: StandIn, path: str
) -> None:
    async with proxy.connected() as client:
        await client.send(request("OPTIONS", path, *ASKS, "Access-Control-Request-Headers: authorization"))
        allowed = await client.reply(has_body=False)
        await client.send(request("POST", path, "Origin: https://page.example", "Content-Length: 0"))
        refused = await client.reply()

    assert allowed.status == 204
    assert "content-length" not in allowed.headers
    assert allowed.headers["access-control-allow-origin"] == "*"
    assert allowed.headers["access-control-allow-methods"] == "POST"
    assert allowed.headers["access-control-allow-headers"] == "authorization"
    assert refused.status in (400, 404)
    assert refused.headers["access-control-allow-origin"] == "*"
    assert upstream.received == []


async def test_for_an_active_limiter_the_upstream_answers(proxy: Proxied, upstream: StandIn) -> None:
    limiter = proxy.limiter(upstream)
    upstream.handler = lambda _: Answer(status=204, headers=(("access-control-allow-origin", "https://own"),))

    reply = await proxy.send(request("OPTIONS", f"/v1/{limiter.code}/chat/completions", *ASKS))

    assert reply.headers["access-control-allow-origin"] == "https://own"
    assert [received.method for received in upstream.received] == ["OPTIONS"]


async def test_any_other_options_request_is_refused_as_it_is(proxy: Proxied) -> None:
    assert (await proxy.send(request("OPTIONS", "/v1/nosuchcode/models"))).status == 404
