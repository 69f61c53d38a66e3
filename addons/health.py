"""Whether a program answers: `GET /healthz` on its address."""

import asyncio
from contextlib import suppress

TRY_S = 2.0
PAUSE_S = 0.05


async def until_healthy(host: str, port: int) -> None:
    """Ask until the answer is 200."""
    while not await is_healthy(host, port):  # noqa: ASYNC110  # Another process cannot set an event.
        await asyncio.sleep(PAUSE_S)


async def is_healthy(host: str, port: int) -> bool:
    """Ask once."""
    with suppress(OSError, TimeoutError, asyncio.LimitOverrunError):
        async with asyncio.timeout(TRY_S):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                status = await reader.readline()
                return status.startswith(b"HTTP/1.1 200")
            finally:
                writer.close()
    return False
