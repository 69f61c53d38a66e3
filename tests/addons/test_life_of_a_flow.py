"""Requests and answers of every shape: interim answers, trailers, old versions, many on one connection."""

import asyncio

import pytest

from scripts.standin import Answer, Received, StandIn
from tests.addons.proxy import Proxied
from tests.addons.wire import (
    COST_NANOUSD,
    USAGE,
    chat,
    chunked,
    delta,
    json_answer,
    request,
    stream,
    usage_chunk,
)

BODY = json_answer().body
LENGTH = b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(BODY)


@pytest.mark.parametrize(
    "interim", [b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"]
)
async def test_an_interim_answer_is_not_the_answer(proxy: Proxied, upstream: StandIn, interim: bytes) -> None:
    limiter = proxy.limiter(upstream)
    upstream.handler = lambda _: Answer(
        raw=interim + interim + b"HTTP/1.1 200 OK\r\n" + LENGTH + b"\r\n" + BODY
    )

    reply = await proxy.chat(limiter)

    assert (reply.status, reply.body) == (200, BODY)
    assert (await proxy.row())["cost_nanousd"] == COST_NANOUSD


async def test_an_upstream_cannot_switch_protocols(proxy: Proxied, upstream: StandIn) -> None:
    limiter = proxy.limiter(upstream)
    switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    upstream.handler = lambda _: Answer(raw=switch + b"anything")

    reply = await proxy.chat(limiter)
    free = await proxy.send(request("GET", f"/v1/{limiter.code}/models"))

    assert (reply.status, reply.code) == (502, "upstream_unreachable")
    assert free.status == 502
    assert (await proxy.row())["state"] == "released"


async def test_trailers_of_an_upstream_are_dropped(proxy: Proxied, upstream: StandIn) -> None:
    limiter = proxy.limiter(upstream)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n"
    upstream.handler = lambda _: Answer(raw=head + chunked(BODY, trailers=b"X: 1\r\n"))

    async with proxy.connected() as client:
        for _ in range(2):
            await client.send(chat(limiter.code))
            reply = await client.reply()
            assert (reply.status, reply.body) == (200, BODY)
            assert reply.headers["content-length"] == str(len(BODY))

    assert (await proxy.at_rest(limiter)).spent_nanousd == 2 * COST_NANOUSD


async def test_trailers_of_a_client_are_dropped(proxy: Proxied, upstream: StandIn) -> None:
    limiter = proxy.limiter(upstream)
    body = b'{"model": "plain", "messages": []}'
    data = request(
        "POST",
        f"/v1/{limiter.code}/chat/completions",
        "Transfer-Encoding: chunked",
        body=chunked(body[:10], body[10:], trailers=b"X-Trailer: 1\r\nAuthorization: Bearer other\r\n"),
    )

    reply = await proxy.send(data)

    assert reply.status == 200
    (received,) = upstream.received
    assert received.body == body
    assert received.header("content-length") == str(len(body))
    assert received.header("transfer-encoding") is None
    assert received.header("x-trailer") is None
    assert (await proxy.row())["state"] == "settled"


async def test_a_second_answer_is_not_taken_for_the_next_request(proxy: Proxied, upstream: StandIn) -> None:
    limiter = proxy.limiter(upstream)
    whole = b"HTTP/1.1 200 OK\r\n" + LENGTH + b"\r\n" + BODY
    smuggled = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled"
    upstream.handler = lambda _: Answer(raw=whole + smuggled)

    async with proxy.connected() as client:
        for _ in range(2):
            await client.send(chat(limiter.code))
            assert (await client.reply()).body == BODY

    assert len(upstream.received) == 2


@pytest.mark.parametrize(
    "raw",
    [
        b"no HTTP at all\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 400_000,
    ],
)
async def test_an_answer_that_is_no_http_is_a_502(proxy: Proxied, upstream: StandIn, raw: bytes) -> None:
    limiter = proxy.limiter(upstream)
    upstream.handler = lambda _: Answer(raw=raw)

    reply = await proxy.chat(limiter)

    assert (reply.status, reply.code) == (502, "upstream_unreachable")
    assert reply.headers["content-type"] == "application/json"
    await proxy.until(proxy.is_at_rest)


async def test_a_chunked_answer_that_breaks_is_charged(proxy: Proxied, upstream: StandIn) -> None:
    limiter = proxy.limiter(upstream)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    upstream.handler = lambda _: Answer(raw=head + b"zz\r\nnonsense")

    reply = await proxy.chat(limiter)

    assert reply.status == 502
    assert (await proxy.row())["state"] == "settled"


async def test_http_1_0_is_served_and_closed(proxy: Proxied, upstream: StandIn) -> None:
    limiter = proxy.limiter(upstream)
    upstream.handler = lambda _: stream(delta("a"), usage_chunk())

    async with proxy.connected() as client:
        await client.send(chat(limiter.code, stream=True).replace(b"HTTP/1.1", b"HTTP/1.0", 1))
        reply = await client.reply()

    assert reply.status == 200
    assert "transfer-encoding" not in reply.headers
    assert reply.body == delta("a")


async def test_an_upstream_of_http_1_0_is_passed_on_as_ours(proxy: Proxied, upstream: StandIn) -> None:
    limiter = proxy.limiter(upstream)
    head = b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    upstream.handler = lambda _: Answer(raw=head + delta("a") + usage_chunk(), hang_up=True)

    async with proxy.connected() as client:
        await client.send(chat(limiter.code, stream=True))
        # Whoever speaks HTTP/1.0 sends no chunks, and some clients would take them for a part of the body.
        assert await client.reader.readline() == b"HTTP/1.1 200 OK\r\n"
        rest = await client.reader.readuntil(b"0\r\n\r\n")

    assert b"transfer-encoding: chunked\r\n" in rest
    assert delta("a") in rest
    assert (await proxy.row())["cost_nanousd"] == COST_NANOUSD


@pytest.mark.parametrize(
    ("status", "state"), [(b"200 OK", "settled"), (b"201 Made", "settled"), (b"400 Bad", "released")]
)
@pytest.mark.parametrize(
    "framing",
    [b"Content-Length: 1\r\nContent-Length: 2\r\n", b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n"],
)
async def test_a_success_that_nobody_can_read_is_charged_at_its_hold(
    proxy: Proxied, upstream: StandIn, status: bytes, state: str, framing: bytes
) -> None:
    limiter = proxy.limiter(upstream)
    upstream.handler = lambda _: Answer(raw=b"HTTP/1.1 " + status + b"\r\n" + framing + b"\r\n" + BODY)

    reply = await proxy.chat(limiter)
    free = await proxy.send(request("GET", f"/v1/{limiter.code}/models"))

    assert (reply.status, reply.code, free.status) == (502, "upstream_unreachable", 502)
    row = await proxy.row()
    assert row["state"] == state
    assert row["cost_nanousd"] == (row["hold_nanousd"] if state == "settled" else 0)


async def test_a_client_that_wants_to_close_is_heard(proxy: Proxied, upstream: StandIn) -> None:
    limiter = proxy.limiter(upstream)

    async with proxy.connected() as client:
        await client.send(chat(limiter.code, "Connection: close"))
        reply = await client.reply()
        assert await client.is_closed()

    assert reply.headers["connection"] == "close"
    assert upstream.received[0].header("connection") is None


async def test_an_upstream_that_closes_is_dialled_again(proxy: Proxied, upstream: StandIn) -> None:
    limiter = proxy.limiter(upstream)
    upstream.handler = lambda _: Answer(
        raw=b"HTTP/1.1 200 OK\r\nConnection: close\r\n" + LENGTH + b"\r\n" + BODY, hang_up=True
    )

    async with proxy.connected() as client:
        for _ in range(3):
            await client.send(chat(limiter.code))
            reply = await client.reply()
            assert reply.status == 200
            assert "connection" not in reply.headers

    assert len(upstream.received) == 3


async def test_an_answer_until_the_connection_closes_has_a_length_for_the_client(
    proxy: Proxied, upstream: StandIn
) -> None:
    limiter = proxy.limiter(upstream)
    upstream.handler = lambda _: Answer(
        raw=b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + BODY, hang_up=True
    )

    reply = await proxy.chat(limiter)

    assert reply.headers["content-length"] == str(len(BODY))
    assert reply.body == BODY


async def test_one_connection_serves_several_limiters_apart(proxy: Proxied, upstream: StandIn) -> None:
    one, other = proxy.limiter(upstream), proxy.limiter(upstream)

    async with StandIn(lambda _: json_answer({"usage": USAGE, "model": "plain", "choices": []})) as second:
        third = proxy.limiter(second)
        async with proxy.connected() as client:
            for limiter in (one, third, other, third, one):
                await client.send(chat(limiter.code))
                assert (await client.reply()).status == 200

        await proxy.until(proxy.is_at_rest)
        assert [proxy.window(limiter).requests for limiter in (one, other, third)] == [2, 1, 2]
        assert (len(upstream.received), len(second.received)) == (3, 2)


async def test_pipelined_requests_are_answered_in_order(proxy: Proxied, upstream: StandIn) -> None:
    limiter = proxy.limiter(upstream)

    async def slowly(received: Received) -> Answer:
        await asyncio.sleep(0.01)
        return json_answer({"path": received.target})

    upstream.handler = slowly
    async with proxy.connected() as client:
        await client.send(b"".join(request("GET", f"/v1/{limiter.code}/files/{n}") for n in range(5)))
        bodies = [(await client.reply()).body for _ in range(5)]

    assert bodies == [b'{"path": "/v1/files/%d"}' % n for n in range(5)]


async def test_a_free_answer_streams_and_is_not_read(proxy: Proxied, upstream: StandIn) -> None:
    limiter = proxy.limiter(upstream)
    upstream.handler = lambda _: Answer(
        headers=[
            ("content-type", "application/octet-stream"),
            ("set-cookie", "a=b"),
            ("x-request-id", "req_1"),
        ],
        body=b"\0" * 300_000,
    )

    reply = await proxy.send(request("GET", f"/v1/{limiter.code}/files/f/content"))

    assert reply.body == b"\0" * 300_000
    assert reply.headers["x-request-id"] == "req_1"
    assert "set-cookie" not in reply.headers
    assert "x-budget-limit" not in reply.headers


async def test_speech_streams_and_is_charged_by_its_characters(proxy: Proxied, upstream: StandIn) -> None:
    limiter = proxy.limiter(upstream)
    upstream.handler = lambda _: Answer(headers=[("content-type", "audio/mpeg")], body=b"\xff\xfb" * 5_000)
    body = b'{"model": "speaker", "input": "Hello, world!", "voice": "alloy"}'

    reply = await proxy.send(request("POST", f"/v1/{limiter.code}/audio/speech", body=body))

    assert reply.body == b"\xff\xfb" * 5_000
    row = await proxy.row()
    assert (row["state"], row["characters"], row["cost_nanousd"]) == ("settled", 13, 13 * 15_000)


async def test_what_the_api_sends_reaches_the_client_as_it_is(proxy: Proxied, upstream: StandIn) -> None:
    limiter = proxy.limiter(upstream)
    body = (
        b'{ "usage":{"prompt_tokens":10,"completion_tokens":5},\r\n "model": "plain" , "caf\xc3\xa9":1.0e0}'
    )
    upstream.handler = lambda _: Answer(
        headers=[
            ("Content-Type", "application/json"),
            ("OpenAI-Processing-Ms", "12"),
            ("X-RateLimit-Remaining-Tokens", "99"),
            ("Alt-Svc", 'h3=":443"'),
            ("Set-Cookie", "a=b"),
        ],
        body=body,
    )

    reply = await proxy.chat(
        limiter, "X-Custom: 1", "X-User-Id: alice", "Cookie: a=b", "X-Forwarded-For: 1.1.1.1"
    )

    assert reply.body == body
    assert reply.headers["openai-processing-ms"] == "12"
    assert reply.headers["x-ratelimit-remaining-tokens"] == "99"
    assert {"alt-svc", "set-cookie", "server", "via"}.isdisjoint(reply.headers)
    (received,) = upstream.received
    assert received.target == "/v1/chat/completions"
    assert received.header("host") == f"127.0.0.1:{upstream.port}"
    assert received.header("x-custom") == "1"
    assert received.header("authorization") == "Bearer sk-client"
    assert received.header("accept-encoding") == "identity"
    assert all(received.header(name) is None for name in ("x-user-id", "cookie", "x-forwarded-for"))
    assert (await proxy.row())["user"] == "alice"


@pytest.mark.parametrize(
    ("fields", "user"),
    [
        ({"safety_identifier": "a", "user": "b"}, "a"),
        ({"user": "b"}, "b"),
        ({}, "header"),
    ],
)
async def test_the_user_of_a_call_is_recorded(
    proxy: Proxied, upstream: StandIn, fields: dict[str, object], user: str
) -> None:
    limiter = proxy.limiter(upstream)

    await proxy.chat(limiter, "X-User-Id: header", **fields)

    assert (await proxy.row())["user"] == user


async def test_a_preflight_of_a_browser_passes_and_is_free(proxy: Proxied, upstream: StandIn) -> None:
    limiter = proxy.limiter(upstream)
    upstream.handler = lambda _: Answer(status=204, headers=[("access-control-allow-origin", "*")])

    reply = await proxy.send(
        request("OPTIONS", f"/v1/{limiter.code}/chat/completions", "Access-Control-Request-Method: POST")
    )

    assert (reply.status, reply.headers["access-control-allow-origin"]) == (204, "*")
    assert proxy.rows() == []


async def test_the_deployment_in_an_azure_path_is_the_model(proxy: Proxied, upstream: StandIn) -> None:
    limiter = proxy.limiter(upstream, model_map={"my-deployment": "plain"})
    path = f"/v1/{limiter.code}/openai/deployments/my-deployment/chat/completions?api-version=2024-10-21"
    upstream.handler = lambda _: json_answer({"model": "my-deployment", "choices": [], "usage": USAGE})

    reply = await proxy.send(request("POST", path, body=b'{"messages": []}'))

    assert reply.status == 200
    assert upstream.received[0].target.startswith(
        "/openai/deployments/my-deployment/chat/completions?api-version"
    )
    row = await proxy.row()
    assert (row["model"], row["cost_nanousd"], row["basis"]) == ("my-deployment", COST_NANOUSD, "reported")


async def test_the_api_of_the_service_is_named(proxy: Proxied) -> None:
    reply = await proxy.send(request("GET", "/api/limiters"))

    assert reply.status == 404
    assert "http://127.0.0.1:3000" in reply.error["message"]
