"""mitmproxy fails open; each of its ways to do so ends in a refusal here, and nothing reaches the upstream."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from mitmproxy import http
from mitmproxy.connection import Server
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from addons import admission, answers, gate, limiter, settling
from addons.running import Running
from metering.verify import verify
from scripts.standin import StandIn
from tests.addons.proxy import Proxied
from tests.addons.wire import chat, chunked, delta, json_answer, request, stream, usage_chunk


class Bug(BaseException):
    """Not even an Exception."""


def failing(fault: BaseException) -> Callable[..., object]:
    """A function with a bug."""

    def fails(*_: object, **__: object) -> object:
        raise fault

    return fails


BEFORE_THE_CALL = [
    (limiter, "read_path"),
    (gate, "refusal_of"),
    (admission, "read_ask"),
    (admission, "terms_of"),
    (admission, "fingerprint"),
    (limiter, "forward"),
]


@pytest.mark.parametrize("fault", [RuntimeError("a bug"), Bug("a bug")], ids=["exception", "base exception"])
@pytest.mark.parametrize(("module", "name"), BEFORE_THE_CALL, ids=[name for _, name in BEFORE_THE_CALL])
async def test_a_bug_in_metering_refuses_the_request(
    proxy: Proxied,
    upstream: StandIn,
    monkeypatch: pytest.MonkeyPatch,
    module: object,
    name: str,
    fault: BaseException,
) -> None:
    tenant = proxy.limiter(upstream)
    with monkeypatch.context() as patch:
        patch.setattr(module, name, failing(fault))
        reply = await proxy.chat(tenant)

    assert (reply.status, reply.code) == (503, "limiter_unavailable")
    assert upstream.received == []
    window = await proxy.at_rest(tenant)
    assert (window.spent_nanousd, window.held_nanousd) == (0, 0)
    assert (await proxy.chat(tenant)).status == 200, "and the next call goes through"


async def test_a_bug_in_a_body_that_is_on_its_way_refuses_the_request(
    proxy: Proxied, upstream: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = proxy.limiter(upstream)
    monkeypatch.setattr(gate, "refusal_of", failing(RuntimeError()))
    head = request(
        "POST", f"/v1/{tenant.code}/chat/completions", "Transfer-Encoding: chunked", body=chunked(b"{}")
    )

    reply = await proxy.send(head)

    assert reply.status in (0, 503)
    assert upstream.received == []


@pytest.mark.parametrize(
    ("module", "name"),
    [(answers, "begin"), (answers, "read"), (answers, "finish"), (Running, "figures")],
    ids=["begin", "read", "finish", "figures"],
)
async def test_a_bug_after_the_call_charges_it_and_hides_nothing(
    proxy: Proxied, upstream: StandIn, monkeypatch: pytest.MonkeyPatch, module: object, name: str
) -> None:
    tenant = proxy.limiter(upstream)
    monkeypatch.setattr(module, name, failing(RuntimeError("a bug")))

    reply = await proxy.chat(tenant)

    assert (reply.status, reply.code) == (503, "limiter_unavailable")
    row = await proxy.row()
    assert row["state"] == "settled"
    assert row["cost_nanousd"] > 0
    assert verify(proxy.database) == []


@pytest.mark.parametrize("name", ["charge", "learn"])
async def test_a_bug_in_pricing_charges_the_hold(
    proxy: Proxied, upstream: StandIn, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    tenant = proxy.limiter(upstream)
    monkeypatch.setattr(settling, name, failing(RuntimeError("a bug")))

    reply = await proxy.chat(tenant)

    assert reply.status == 200
    row = await proxy.row()
    assert (row["state"], row["cost_nanousd"]) == ("settled", row["hold_nanousd"])


async def test_a_bug_in_counting_tokens_charges_the_hold(
    proxy: Proxied, upstream: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = proxy.limiter(upstream)
    monkeypatch.setattr(settling, "estimate_usage", failing(RuntimeError("a bug")))
    upstream.handler = lambda _: json_answer({"choices": []})

    assert (await proxy.chat(tenant)).status == 200

    row = await proxy.row()
    assert (row["state"], row["cost_nanousd"]) == ("settled", row["hold_nanousd"])


async def test_a_bug_in_reading_a_stream_lets_it_go_on_and_charges_it(
    proxy: Proxied, upstream: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    from metering.reading import StreamReader

    tenant = proxy.limiter(upstream)
    monkeypatch.setattr(StreamReader, "feed", failing(RuntimeError("a bug")))
    upstream.handler = lambda _: stream(delta("one"), delta("two"), usage_chunk())

    reply = await proxy.chat(tenant, stream=True)

    assert reply.body == delta("one") + delta("two") + usage_chunk()
    row = await proxy.row()
    assert row["state"] == "settled"
    assert row["cost_nanousd"] > 0


async def test_an_upstream_that_nobody_directed_a_request_to_is_not_dialled(
    proxy: Proxied, upstream: StandIn
) -> None:
    tenant = proxy.limiter("http://127.0.0.1:1")
    async with proxy.connected() as client:
        await client.send(request("GET", "/healthz"))
        await client.reply()
        ((identity, peer),) = list(proxy.run.peers)
        handler = proxy.master.addons.get("proxyserver").connections[identity]
        before = Server(address=("127.0.0.1", upstream.port))
        proxy.addon.server_connect(ServerConnectionHookData(server=before, client=handler.client))
        peer.upstream = ("127.0.0.1", upstream.port, True)
        plain = Server(address=("127.0.0.1", upstream.port))
        proxy.addon.server_connect(ServerConnectionHookData(server=plain, client=handler.client))
        peer.upstream = ("127.0.0.1", upstream.port, False)
        allowed = Server(address=("127.0.0.1", upstream.port))
        proxy.addon.server_connect(ServerConnectionHookData(server=allowed, client=handler.client))

    assert before.error
    assert plain.error, "TLS was asked for"
    assert allowed.error is None
    assert tenant.key


async def test_a_request_that_another_hook_directs_elsewhere_goes_nowhere(
    proxy: Proxied, upstream: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `server_connect` is for: a flow that has slipped past everything else."""
    tenant = proxy.limiter("http://127.0.0.1:1")
    real = limiter.forward

    def astray(flow: http.HTTPFlow, *arguments: object) -> None:
        real(flow, *arguments)  # type: ignore[arg-type]
        flow.request.port = upstream.port

    monkeypatch.setattr(limiter, "forward", astray)

    assert (await proxy.chat(tenant)).status == 502
    assert upstream.received == []
    assert (await proxy.row())["state"] == "released"


async def test_the_default_upstream_is_dead(proxy: Proxied, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that no hook of ours has seen would go there."""
    from addons import hardening

    tenant = proxy.limiter("http://127.0.0.1:1")
    monkeypatch.setattr(limiter, "forward", lambda *_: None)

    assert hardening.MODE == "reverse:http://127.0.0.1:9"
    reply = await proxy.chat(tenant)
    assert (reply.status, reply.code) == (502, "upstream_unreachable")


async def test_a_fault_does_not_hang_its_flow(
    proxy: Proxied, upstream: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A BaseException that left a hook would hang the flow for ever."""
    tenant = proxy.limiter(upstream)
    monkeypatch.setattr(admission, "read_ask", failing(asyncio.CancelledError()))

    async with asyncio.timeout(5):
        reply = await proxy.chat(tenant)

    assert reply.status == 503


async def test_a_body_is_never_forwarded_before_it_was_checked(proxy: Proxied, upstream: StandIn) -> None:
    tenant = proxy.limiter(upstream)
    data = chat(tenant.code)

    async with proxy.connected() as client:
        await client.send(data[:-1])
        await proxy.until(lambda: any(peer.requests for _, peer in proxy.run.peers))
        assert upstream.received == []
        assert proxy.rows() == []
        await client.send(data[-1:])
        assert (await client.reply()).status == 200


ODD = [
    "CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET http://127.0.0.1:{port}/v1/models HTTP/1.1\r\nHost: x\r\n\r\n",
    "POST http://127.0.0.1:{port}/v1/{code}/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
    "GET http://mitm.it/ HTTP/1.1\r\nHost: mitm.it\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: mitm.it\r\n\r\n",
    "GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n",
    "GET /v1/{code}/../x HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET /v1/{code}/a%2fb HTTP/1.1\r\nHost: x\r\n\r\n",
    (
        "GET /v1/{code}/realtime HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ),
    "GET /v1/{code}/models HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    "GET /v1/{code}/models HTTP/1.1\r\nHost: x\r\nUpgrade: anything\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "GET /v1/{code}/models HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n",
    "GET /v1/{code}/models HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "GET /v1/{code}/models HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "POST /v1/{code}/files HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "POST /v1/{code}/files HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "GET /v1/{code}/models HTTP/1.1\r\nHost : x\r\n\r\n",
    "GET /v1/{code}/models\r\n\r\n",
    "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "POST /v1/nosuchcodenosuchcodenosuch/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
    "POST /v1//chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
]


@pytest.mark.parametrize("data", ODD)
async def test_an_odd_request_reaches_no_upstream(proxy: Proxied, upstream: StandIn, data: str) -> None:
    tenant = proxy.limiter(upstream)

    reply = await proxy.send(
        data.replace("{port}", str(upstream.port)).replace("{code}", tenant.code).encode("latin-1")
    )

    assert upstream.received == []
    assert 400 <= reply.status < 500
    assert reply.error["message"]
    assert b"mitmproxy" not in reply.body


@pytest.mark.parametrize(
    ("target", "headers", "code"),
    [
        ("/v1/{code}/realtime", ["Connection: Upgrade", "Upgrade: websocket"], "websocket_not_supported"),
        ("/v1/{code}/responses", ["Connection: Upgrade", "Upgrade: websocket"], "websocket_not_supported"),
        ("/v1/nobody/models", ["Upgrade: websocket"], "websocket_not_supported"),
        ("/v1/{code}/a/../b", [], "invalid_path"),
        ("/v1/nobody/models", [], "limiter_not_found"),
    ],
)
async def test_a_refused_request_says_why(
    proxy: Proxied, upstream: StandIn, target: str, headers: list[str], code: str
) -> None:
    tenant = proxy.limiter(upstream)

    reply = await proxy.send(request("GET", target.replace("{code}", tenant.code), *headers))

    assert reply.code == code


@pytest.mark.parametrize(
    "path",
    [
        "batches",
        "fine_tuning/jobs",
        "videos",
        "containers",
        "realtime/client_secrets",
        "threads/t/runs",
        "new",
    ],
)
async def test_what_cannot_be_metered_is_refused_unless_it_is_allowed(
    proxy: Proxied, upstream: StandIn, path: str
) -> None:
    tenant = proxy.limiter(upstream)
    data = request("POST", f"/v1/{tenant.code}/{path}", body=b'{"model": "plain", "user": "alice"}')

    refused = await proxy.send(data)
    proxy.limiters.update(tenant.id, allow_unmetered=True)
    allowed = await proxy.send(data)

    assert (refused.status, refused.code) == (403, "endpoint_not_metered")
    assert allowed.status == 200
    assert len(upstream.received) == 1
    row = await proxy.row()
    assert (row["basis"], row["cost_nanousd"], row["user"]) == ("unmetered", 0, "alice")


async def test_a_background_response_is_refused_unless_it_is_allowed(
    proxy: Proxied, upstream: StandIn
) -> None:
    tenant = proxy.limiter(upstream)
    upstream.handler = lambda _: json_answer({"id": "r", "status": "queued", "usage": None})
    body = b'{"model": "plain", "input": "x", "background": true}'
    data = request("POST", f"/v1/{tenant.code}/responses", body=body)

    refused = await proxy.send(data)
    proxy.limiters.update(tenant.id, allow_unmetered=True)
    allowed = await proxy.send(data)
    proxy.limiters.update(tenant.id, allow_unmetered=False)
    again = await proxy.send(data)

    assert [reply.status for reply in (refused, allowed, again)] == [403, 200, 403]
    assert refused.code == "endpoint_not_metered"
    assert (await proxy.row())["basis"] == "unmetered"


async def test_what_a_model_answers_under_a_free_path_is_refused_unless_it_is_allowed(
    proxy: Proxied, upstream: StandIn
) -> None:
    tenant = proxy.limiter(upstream)
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    upstream.handler = lambda _: json_answer({"object": "conversation.response", "usage": usage})
    path = f"/v1/{tenant.code}/conversations"
    data = request("POST", path, body=b'{"model": "plain", "inputs": "x"}')

    refused = await proxy.send(data)
    kept = await proxy.send(request("POST", path, body=b'{"items": []}'))
    proxy.limiters.update(tenant.id, allow_unmetered=True)
    allowed = await proxy.send(data)

    assert (refused.status, refused.code) == (403, "endpoint_not_metered")
    assert (kept.status, allowed.status) == (200, 200)
    row = await proxy.row()
    assert (row["basis"], row["endpoint"], row["output_tokens"]) == ("unmetered", "conversations", 4)


async def test_reading_an_answer_again_is_free_and_leaves_no_row(proxy: Proxied, upstream: StandIn) -> None:
    tenant = proxy.limiter(upstream, 0)

    for method in ("GET", "DELETE", "OPTIONS"):
        reply = await proxy.send(request(method, f"/v1/{tenant.code}/responses/resp_1"))
        assert reply.status == 200
    head = await proxy.send(request("HEAD", f"/v1/{tenant.code}/models"), has_body=False)

    assert head.status == 200
    assert proxy.rows() == []
    assert [received.method for received in upstream.received] == ["GET", "DELETE", "OPTIONS", "HEAD"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[1]",
        b'{"model": "plain", "model": "gift", "messages": []}',
        b'{"model": "plain", "messages": ' + b"[" * 200 + b"]" * 200 + b"}",
        b'{"model": "plain", "max_tokens": -1}',
        b'{"model": "plain", "n": true}',
        b'{"model": "plain\xff"}',
        b'{"model": "\\ud800"}',
        b'{"messages": []}',
        b'{"model": 5}',
    ],
)
async def test_a_body_that_cannot_be_understood_is_refused(
    proxy: Proxied, upstream: StandIn, body: bytes
) -> None:
    tenant = proxy.limiter(upstream)

    reply = await proxy.send(request("POST", f"/v1/{tenant.code}/chat/completions", body=body))

    assert (reply.status, reply.code) == (400, "invalid_request")
    assert upstream.received == []
    assert proxy.rows() == []


async def test_a_compressed_request_is_refused(proxy: Proxied, upstream: StandIn) -> None:
    tenant = proxy.limiter(upstream)

    reply = await proxy.chat(tenant, "Content-Encoding: gzip")

    assert (reply.status, reply.code) == (415, "unsupported_encoding")
    assert upstream.received == []


async def test_a_moved_price_book_leaves_the_last_good_one_in_force(
    proxy: Proxied, upstream: StandIn, tmp_path: Path
) -> None:
    await proxy.stop()
    book = tmp_path / "prices.yaml"
    book.write_text(proxy.settings.pricing_file.read_text())
    proxy.set(pricing_file=book)
    await proxy.start()
    tenant = proxy.limiter(upstream)
    book.write_text("models: [nonsense")
    proxy.at("2026-11-24T08:31:00Z")

    for _ in range(3):
        assert (await proxy.chat(tenant)).status == 200

    book.unlink()
    proxy.at("2026-11-24T08:32:00Z")
    assert (await proxy.chat(tenant)).status == 200
