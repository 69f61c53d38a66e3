"""A plain HTTP/1.1 client that shows an answer as it came over the wire."""

import asyncio
import gzip
import json
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import brotli
import zstandard

from scripts.standin import Header

_DECODERS = {
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "br": brotli.decompress,
    "zstd": lambda body: zstandard.ZstdDecompressor().decompressobj().decompress(body),
}
_BODILESS = (101, 204, 304)
_LIMIT_BYTES = 2**26


@dataclass(frozen=True, slots=True)
class Reply:
    """Status, headers in order, unframed body."""

    status: int
    headers: Sequence[Header]
    body: bytes

    @property
    def decoded(self) -> bytes:
        """The body as a client reads it: an answer that passes untouched may be compressed."""
        codings = [value for name, value in self.headers if name.lower() == "content-encoding"]
        return _DECODERS[codings[0]](self.body) if codings and self.body else self.body

    @property
    def error_code(self) -> str | None:
        """The code of an error in OpenAI's shape."""
        with suppress(ValueError, KeyError, TypeError):
            return str(json.loads(self.body)["error"]["code"])
        return None


async def send(port: int, request: bytes) -> Reply:
    """Send one request on a connection of its own. Raises OSError, EOFError or ValueError where no whole
    answer comes.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=_LIMIT_BYTES)
    try:
        writer.write(request)
        return await _read(reader, has_body=not request.startswith(b"HEAD "))
    finally:
        writer.close()


async def _read(reader: asyncio.StreamReader, *, has_body: bool) -> Reply:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in head[1:] if line)]
    status = int(head[0].split(" ")[1])
    named = {name.lower(): value for name, value in headers}
    if not has_body or status in _BODILESS:
        body = b""
    elif named.get("transfer-encoding") == "chunked":
        body = await _read_chunks(reader)
    elif "content-length" in named:
        body = await reader.readexactly(int(named["content-length"]))
    else:
        body = await reader.read()
    return Reply(status, headers, body)


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    parts = []
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)
    return b"".join(parts)
