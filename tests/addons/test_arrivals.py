"""What arrives on a connection goes to its layers at once, unless what goes out has to wait."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, Self

import pytest
from mitmproxy.connection import ConnectionState
from mitmproxy.proxy import events

from addons.arrivals import Arrivals
from scripts.standin import Answer, StandIn
from tests.addons.proxy import Proxied
from tests.addons.wire import chat

HIGH_WATER = 100


class Transport(asyncio.Transport):
    """A transport with as much to send as a test says."""

    def __init__(self) -> None:
        super().__init__()
        self.unsent = 0
        self.reads = True
        self.closing = False

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return 0, HIGH_WATER

    def is_closing(self) -> bool:
        return self.closing

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True


class Line:
    """One connection: its reader, its transport, and what its layers have heard."""

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self.heard: list[bytes] = []
        self.transport = Transport()
        self.reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(self.reader)
        writer = asyncio.StreamWriter(self.transport, protocol, self.reader, loop)
        self.protocol: Any = protocol
        self.connection: Any = SimpleNamespace(state=ConnectionState.OPEN)
        self.stream = SimpleNamespace(writer=writer)
        transports: Any = _Transports(self.connection, self.stream)
        self.handler: Any = SimpleNamespace(transports=transports, _drain_lock=asyncio.Lock())
        self.handler.turns = SimpleNamespace(take=self._take)
        self.arrivals = Arrivals(self.handler, self.connection, self.reader)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.transport.closing = True

    def _take(self, event: events.Event) -> None:
        assert isinstance(event, events.DataReceived)
        self.heard.append(event.data)

    async def read_on(self) -> "asyncio.Task[bytes]":
        task = asyncio.create_task(self.arrivals.read(65_535))
        await asyncio.sleep(0)
        return task


class _Transports:
    """A connection is no key here, so that it may be anything."""

    def __init__(self, connection: object, stream: object) -> None:
        self._connection, self._stream = connection, stream

    def get(self, connection: object) -> object:
        return self._stream if connection is self._connection else None

    def values(self) -> list[object]:
        return [self._stream]


@pytest.fixture
def line() -> Line:
    return Line()


async def test_what_came_before_anybody_waited_is_read_first(line: Line) -> None:
    line.reader.feed_data(b"early")

    assert await line.arrivals.read(65_535) == b"early"
    end = await line.read_on()
    line.reader.feed_data(b"late")
    line.reader.feed_eof()

    assert line.heard == [b"late"]
    assert await end == b""


@pytest.mark.parametrize("failure", [None, ConnectionResetError()])
async def test_the_end_is_read_however_the_connection_ends(line: Line, failure: Exception | None) -> None:
    end = await line.read_on()

    line.protocol.connection_lost(failure)

    assert await end == b""


async def test_a_connection_that_has_ended_already_is_read_to_its_end(line: Line) -> None:
    line.reader.feed_eof()

    assert await line.arrivals.read(65_535) == b""


async def test_who_is_to_be_closed_is_not_heard_any_more(line: Line) -> None:
    await line.read_on()
    line.connection.state = ConnectionState.CLOSED

    line.reader.feed_data(b"x")

    assert line.heard == []


async def test_nothing_is_read_while_a_socket_takes_no_more(line: Line) -> None:
    await line.read_on()
    line.protocol.pause_writing()
    line.transport.unsent = HIGH_WATER + 1

    line.reader.feed_data(b"x")
    assert line.heard == [b"x"]
    assert not line.transport.reads

    line.transport.unsent = 0
    line.protocol.resume_writing()
    async with asyncio.timeout(5):
        while not line.transport.reads:
            await asyncio.sleep(0)


async def test_a_client_that_does_not_read_holds_his_upstream_back(proxy: Proxied, upstream: StandIn) -> None:
    async def much() -> AsyncIterator[bytes]:
        for _ in range(60):
            yield b": " + b"x" * 1_000_000 + b"\n\n"

    upstream.handler = lambda _: Answer(headers=(("content-type", "text/event-stream"),), chunks=much())
    limiter = proxy.limiter(upstream)
    most = 0

    async with proxy.connected() as client:
        await client.send(chat(limiter.code, stream=True))
        quiet = 0
        while quiet < 200:
            (peer,) = (peer for _, peer in proxy.run.peers if peer.transport is not None)
            assert peer.transport is not None
            size = peer.transport.get_write_buffer_size()
            quiet = quiet + 1 if 0 < size == most else 0
            most = max(most, size)
            await asyncio.sleep(0.001)
    await proxy.at_rest(limiter)

    assert 0 < most < 3_000_000
