"""HEAD is as GET, without the body: a body would be taken for the beginning of the next answer."""

import pytest

from scripts.standin import Answer, StandIn
from tests.addons.proxy import Proxied
from tests.addons.wire import request


@pytest.mark.parametrize(
    ("target", "status"),
    [("/healthz", 200), ("/", 404), ("/api/stats", 404), ("/v1/nobody/models", 404), ("/v1/x/a/../b", 400)],
)
async def test_an_answer_of_our_own_to_head_has_no_body(proxy: Proxied, target: str, status: int) -> None:
    async with proxy.connected() as client:
        await client.send(request("HEAD", target))
        head = await client.reply(has_body=False)
        await client.send(request("GET", target))
        whole = await client.reply()

    assert (head.status, whole.status) == (status, status)
    assert int(head.headers["content-length"]) == len(whole.body) > 0


async def test_head_passes_to_the_upstream_and_the_connection_goes_on(
    proxy: Proxied, upstream: StandIn
) -> None:
    limiter = proxy.limiter(upstream)
    upstream.handler = lambda received: (
        Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
        if received.method == "HEAD"
        else Answer(body=b"hello")
    )

    async with proxy.connected() as client:
        await client.send(request("HEAD", f"/v1/{limiter.code}/models"))
        head = await client.reply(has_body=False)
        await client.send(request("GET", f"/v1/{limiter.code}/models"))
        whole = await client.reply()

    assert (head.status, head.headers["content-length"]) == (200, "5")
    assert whole.body == b"hello"
    assert [received.method for received in upstream.received] == ["HEAD", "GET"]
