"""An HTTP/1.1 server that stands in for an upstream, byte by byte under the caller's control.

Tests, the benchmark, the replay and the demo talk to it instead of a paid API. It is an
`asyncio.Protocol` without a framework, so that it costs little beside the proxy under test
and can misbehave in ways that no framework allows: cut an answer, stall, send 103, lie about
its length. `StandIn` runs on the current loop, `ThreadedStandIn` on a thread of its own.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Self

Header = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it arrived: header names keep their case, the body is unframed."""

    method: str
    target: str
    headers: tuple[Header, ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """The first value of a header, its name compared without regard to case."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What goes back. `chunks` streams with chunked framing; `body` goes out with a length.

    `raw` replaces everything: those bytes are written as they are. `hang_up` cuts the
    connection after what was written, without the closing chunk.
    """

    status: int = 200
    headers: Sequence[Header] = (("content-type", "application/json"),)
    body: bytes = b""
    chunks: AsyncIterator[bytes] | None = None
    raw: bytes | None = None
    hang_up: bool = False


Handler = Callable[[Received], Answer | Awaitable[Answer]]


class StandIn:
    """Serves `handler` on a free loopback port and remembers what it received."""

    def __init__(self, handler: Handler, *, remember: bool = True) -> None:
        self.handler = handler
        self.remember = remember
        self.received: list[Received] = []
        self.disconnects = 0
        self.port = 0
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()

    @property
    def url(self) -> str:
        """The base URL without a path, as a limiter's `base_url` wants it."""
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self, port: int = 0) -> None:
        """Listen; `port` then holds the port that was bound."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", port, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close the listener and every connection."""
        for connection in list(self._connections):
            connection.close()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()


@dataclass(slots=True)
class ThreadedStandIn:
    """A `StandIn` on a thread and loop of its own, for tests that use a synchronous client."""

    handler: Handler
    standin: StandIn = field(init=False)
    _loop: asyncio.AbstractEventLoop = field(init=False)
    _thread: threading.Thread = field(init=False)

    def __enter__(self) -> StandIn:
        self.standin = StandIn(self.handler)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="stand-in", daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.standin.start(), self._loop).result(10)
        return self.standin

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _close(self) -> None:
        await self.standin.stop()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


class _Connection(asyncio.Protocol):
    """One client connection: requests are read whole and answered in order."""

    def __init__(self, standin: StandIn) -> None:
        self._standin = standin
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._busy: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._standin._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._standin._connections.discard(self)
        if self._busy is not None and not self._busy.done():
            self._standin.disconnects += 1
            self._busy.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._next()

    def close(self) -> None:
        """End the connection and whatever is being answered on it."""
        if self._busy is not None:
            self._busy.cancel()
        if self._transport is not None:
            self._transport.abort()

    def _next(self) -> None:
        if self._busy is not None:
            return
        received = _take_request(self._buffer)
        if received is None:
            return
        if self._standin.remember:
            self._standin.received.append(received)
        answer = self._standin.handler(received)
        if isinstance(answer, Answer) and answer.chunks is None:
            self._write_whole(answer)
            self._next()
        else:
            self._busy = asyncio.ensure_future(self._answer_slowly(answer))

    async def _answer_slowly(self, promised: Answer | Awaitable[Answer]) -> None:
        answer = promised if isinstance(promised, Answer) else await promised
        if answer.chunks is None:
            self._write_whole(answer)
        else:
            self._write(_head(answer.status, [*answer.headers, ("transfer-encoding", "chunked")]))
            async for chunk in answer.chunks:
                self._write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            if answer.hang_up:
                self._hang_up()
            else:
                self._write(b"0\r\n\r\n")
        self._busy = None
        self._next()

    def _write_whole(self, answer: Answer) -> None:
        if answer.raw is not None:
            self._write(answer.raw)
        else:
            length = ("content-length", str(len(answer.body)))
            self._write(_head(answer.status, [*answer.headers, length]) + answer.body)
        if answer.hang_up:
            self._hang_up()

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _hang_up(self) -> None:
        if self._transport is not None:
            self._transport.close()


def _take_request(buffer: bytearray) -> Received | None:
    """Cut one whole request off the buffer, or leave it alone when more is to come."""
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        return None
    first, *lines = bytes(buffer[:end]).decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
    named = {name.lower(): value for name, value in headers}
    start = end + 4
    if named.get("transfer-encoding", "").lower() == "chunked":
        taken = _take_chunked(buffer, start)
        if taken is None:
            return None
        body, stop = taken
    else:
        stop = start + int(named.get("content-length", "0"))
        if len(buffer) < stop:
            return None
        body = bytes(buffer[start:stop])
    del buffer[:stop]
    return Received(method, target, headers, body)


def _take_chunked(buffer: bytearray, at: int) -> tuple[bytes, int] | None:
    parts: list[bytes] = []
    while True:
        line_end = buffer.find(b"\r\n", at)
        if line_end < 0:
            return None
        size = int(bytes(buffer[at:line_end]).split(b";")[0], 16)
        start = line_end + 2
        if len(buffer) < start + size + 2:
            return None
        if size == 0:
            return b"".join(parts), start + 2
        parts.append(bytes(buffer[start : start + size]))
        at = start + size + 2


def _head(status: int, headers: Sequence[Header]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"HTTP/1.1 {status} Stand-in\r\n{lines}\r\n".encode("latin-1")
