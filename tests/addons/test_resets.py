"""Connections that are reset instead of closed, at every stage of a call: nothing hangs, nothing stays held."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from metering.verify import verify
from scripts.standin import Answer, StandIn
from tests.addons.proxy import Proxied
from tests.addons.test_endings import never, stalled
from tests.addons.wire import COST_NANOUSD, Connection, chat, chunked, connected, delta, usage_chunk

JSON_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n"
EVENTS_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def piece(data: bytes) -> bytes:
    """One chunk, without the end of the body."""
    return chunked(data).removesuffix(b"0\r\n\r\n")


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with RST."""
    one = writer.get_extra_info("socket")
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@asynccontextmanager
async def resetting(answer: bytes, *, at_once: bool = False) -> AsyncIterator[str]:
    """An upstream that takes a request, begins to answer, waits until that has arrived, and resets."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not at_once:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
        if answer:
            writer.write(answer)
            await writer.drain()
            # What is sent and not read yet would be thrown away by the reset.
            await asyncio.sleep(0.05)
        reset(writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    ("answer", "streamed", "state", "basis"),
    [
        (b"", False, "released", None),
        (b"HTTP/1.1 200 O", False, "released", None),
        (b"HTTP/1.1 200 OK\r\nContent-Type: appl", True, "released", None),
        (JSON_HEAD, False, "settled", "estimated"),
        (JSON_HEAD + b'{"choices": [', False, "settled", "estimated"),
        (EVENTS_HEAD, True, "released", None),
        (EVENTS_HEAD + piece(delta("one two")), True, "settled", "estimated"),
        (EVENTS_HEAD + piece(delta("one two")) + piece(usage_chunk()), True, "settled", "reported"),
    ],
    ids=["request", "status", "headers", "no body", "body", "no event", "event", "usage"],
)
async def test_an_upstream_that_resets_its_connection_leaves_no_hold(
    proxy: Proxied, answer: bytes, streamed: bool, state: str, basis: str | None
) -> None:
    async with resetting(answer) as url:
        limiter = proxy.limiter(url)
        reply = await proxy.chat(limiter, stream=streamed)

    assert (reply.status, reply.is_whole) in ((502, True), (200, False))
    row = await proxy.row()
    assert (row["state"], row["basis"]) == (state, basis)
    if basis == "reported":
        assert row["cost_nanousd"] == COST_NANOUSD
    assert proxy.window(limiter).held_nanousd == 0
    assert verify(proxy.database) == []


async def test_an_upstream_that_resets_at_once_costs_nothing(proxy: Proxied) -> None:
    async with resetting(b"", at_once=True) as url:
        reply = await proxy.chat(proxy.limiter(url))

    assert (reply.status, reply.code) == (502, "upstream_unreachable")
    assert (await proxy.row())["state"] == "released"


async def resets(client: Connection) -> None:
    """The client ends its connection with RST."""
    reset(client.writer)
    await asyncio.sleep(0)


@pytest.mark.parametrize("part", [1, 30, -10], ids=["request line", "headers", "body"])
async def test_a_client_that_resets_before_its_request_is_whole_holds_nothing(
    proxy: Proxied, upstream: StandIn, part: int
) -> None:
    limiter = proxy.limiter(upstream)
    async with connected(proxy.port) as client:
        await client.send(chat(limiter.code)[:part])
        await proxy.until(lambda: len(proxy.run.peers) == 1)
        await resets(client)
    await proxy.until(lambda: len(proxy.run.peers) == 0)

    assert proxy.rows() == []
    assert upstream.received == []


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_client_that_resets_while_the_upstream_thinks_leaves_no_hold(
    proxy: Proxied, upstream: StandIn, streamed: bool
) -> None:
    limiter = proxy.limiter(upstream)
    upstream.handler = never
    async with connected(proxy.port) as client:
        await client.send(chat(limiter.code, stream=streamed))
        await proxy.until(lambda: bool(upstream.received))
        await resets(client)

    assert (await proxy.row())["state"] == "released", "nobody knows this key"
    await proxy.until(lambda: upstream.disconnects == 1)


@pytest.mark.parametrize(
    ("parts", "basis"), [([delta("one two")], "estimated"), ([delta("a"), usage_chunk()], "reported")]
)
async def test_a_client_that_resets_in_a_stream_pays_for_what_was_streamed(
    proxy: Proxied, upstream: StandIn, parts: list[bytes], basis: str
) -> None:
    limiter = proxy.limiter(upstream)

    def answer(_: object) -> Answer:
        return stalled(*parts)

    upstream.handler = answer
    async with connected(proxy.port) as client:
        await client.send(chat(limiter.code, stream=True))
        await client.head()
        await client.chunk()
        if basis == "reported":
            await proxy.until(proxy.is_at_rest)
        await resets(client)

    row = await proxy.row()
    assert (row["state"], row["basis"]) == ("settled", basis)
    assert proxy.window(limiter).held_nanousd == 0
