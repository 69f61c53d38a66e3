"""What arrives on a connection, handed to its layers as it comes.

asyncio puts it into a buffer and wakes the task that waits there, which fetches it. Here nothing lies in between, as long as
what goes out goes out: where a socket takes no more, what comes in waits as well.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

from mitmproxy.connection import Connection, ConnectionState
from mitmproxy.proxy import events
from mitmproxy.proxy.mode_servers import ProxyConnectionHandler

from addons.turns import run, turns_of

_READ_BYTES = 65_536
"""At once: asyncio asks for a quarter of a megabyte, which is mapped and unmapped each time."""


class Arrivals:
    """In place of a connection's `StreamReader`, for the one who reads it to its end."""

    def __init__(
        self, handler: ProxyConnectionHandler, connection: Connection, reader: asyncio.StreamReader
    ) -> None:
        self._handler = handler
        self._connection = connection
        self._reader = reader
        self._end: asyncio.Future[None] | None = None

    async def read(self, most: int) -> bytes:
        """What has come before anybody waited; then nothing but the end, as `b""`."""
        reader = self._reader
        if self._end is None and (_buffered(reader) or reader.at_eof() or reader.exception()):
            return await reader.read(most)
        if self._end is None:
            self._end = asyncio.get_running_loop().create_future()
            vars(reader).update(feed_data=self._take, feed_eof=self._finish, set_exception=self._finish)
            if (transport := self._transport()) is not None:
                vars(transport)["max_size"] = _READ_BYTES
        await self._end
        return b""

    def _take(self, data: bytes) -> None:
        # Who is to be closed is not heard any more.
        if not self._connection.state & ConnectionState.CAN_READ:
            return
        turns_of(self._handler).take(events.DataReceived(self._connection, data))
        if _is_full(self._handler):
            if (transport := self._transport()) is not None:
                transport.pause_reading()
            run(self._wait())

    async def _wait(self) -> None:
        try:
            await _drain(self._handler)
        finally:
            if (transport := self._transport()) is not None:
                transport.resume_reading()

    def _transport(self) -> asyncio.Transport | None:
        stream = self._handler.transports.get(self._connection)
        if stream is None or not isinstance(stream.writer, asyncio.StreamWriter):
            return None
        return cast("asyncio.Transport", stream.writer.transport)

    def _finish(self, _failure: BaseException | None = None) -> None:
        if self._end is not None and not self._end.done():
            self._end.set_result(None)


async def handle_connection(handler: ProxyConnectionHandler, connection: Connection) -> None:
    """Before the method of the same name: it goes on reading, but there is only the end to read."""
    stream = handler.transports[connection]
    if isinstance(stream.reader, asyncio.StreamReader):
        vars(stream)["reader"] = Arrivals(handler, connection, stream.reader)
    await _handle(handler, connection)


def _buffered(reader: asyncio.StreamReader) -> bool:
    return bool(vars(reader)["_buffer"])


def _is_full(handler: ProxyConnectionHandler) -> bool:
    """Whether some socket of the connection takes no more for now."""
    for stream in handler.transports.values():
        writer = stream.writer
        if isinstance(writer, asyncio.StreamWriter):
            transport = writer.transport
            if (size := transport.get_write_buffer_size()) and size > transport.get_write_buffer_limits()[1]:
                return True
    return False


_handle: Callable[[ProxyConnectionHandler, Connection], Awaitable[None]] = (
    ProxyConnectionHandler.handle_connection
)
_drain: Callable[[ProxyConnectionHandler], Awaitable[None]] = ProxyConnectionHandler.drain_writers
