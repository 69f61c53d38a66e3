"""HTTP as bytes, for requests that no client library would send and answers that none should need."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from scripts.standin import Answer

USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
COST_NANOUSD = 10 * 10_000 + 5 * 20_000
"""What `USAGE` costs by the prices of these tests."""
EVENTS = (("content-type", "text/event-stream"),)


@dataclass(slots=True)
class Reply:
    """One answer. `status` is 0 where the connection closed without one."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    is_whole: bool = False

    @property
    def error(self) -> dict[str, Any]:
        """The error object of a refusal."""
        return json.loads(self.body)["error"]  # type: ignore[no-any-return]

    @property
    def code(self) -> str:
        """The code of a refusal."""
        return str(self.error["code"])


class Connection:
    """A client's connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> Reply:
        """Status and headers of the next answer."""
        try:
            raw = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return Reply()
        first, *lines = raw.decode("latin-1").rstrip("\r\n").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        return Reply(int(first.split(" ")[1]), headers)

    async def chunk(self) -> bytes:
        """The next chunk of a chunked answer; empty at its end."""
        size = int((await self.reader.readuntil(b"\r\n")).split(b";")[0], 16)
        data = await self.reader.readexactly(size + 2)
        return data[:-2]

    async def reply(self, *, has_body: bool = True) -> Reply:
        """The next answer, or what there is of it when the connection closes."""
        reply = await self.head()
        if not reply.status:
            return reply
        try:
            if not has_body or reply.status in (204, 304):
                reply.is_whole = True
            elif reply.headers.get("transfer-encoding") == "chunked":
                while chunk := await self.chunk():
                    reply.body += chunk
                reply.is_whole = True
            elif "content-length" in reply.headers:
                reply.body = await self.reader.readexactly(int(reply.headers["content-length"]))
                reply.is_whole = True
            else:
                reply.body = await self.reader.read()
        except asyncio.IncompleteReadError as cut:
            reply.body += cut.partial
        except ConnectionError:
            pass
        return reply

    async def is_closed(self) -> bool:
        """Whether the other side has closed, after what is still to be read."""
        with suppress(ConnectionError):
            return await self.reader.read(1) == b""
        return True

    async def close(self) -> None:
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Connection]:
    """A connection to a port of this machine."""
    connection = Connection(*await asyncio.open_connection("127.0.0.1", port))
    try:
        yield connection
    finally:
        await connection.close()


def request(method: str, target: str, *headers: str, body: bytes | None = None) -> bytes:
    """The bytes of a request."""
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", *headers]
    named = {line.partition(":")[0].lower() for line in headers}
    if body is not None and not named & {"content-length", "transfer-encoding"}:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


def chat(code: str, *headers: str, **fields: object) -> bytes:
    """The bytes of a chat call."""
    body = {"model": "plain", "messages": [{"role": "user", "content": "Hello"}], **fields}
    return request(
        "POST",
        f"/v1/{code}/chat/completions",
        "Content-Type: application/json",
        "Authorization: Bearer sk-client",
        *headers,
        body=json.dumps(body).encode(),
    )


def chunked(*pieces: bytes, trailers: bytes = b"") -> bytes:
    """A body in chunks."""
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n" + trailers + b"\r\n"


def json_answer(document: object = None, status: int = 200) -> Answer:
    """A JSON answer; a chat completion unless said otherwise."""
    if document is None:
        message = {"role": "assistant", "content": "one two three four five"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        document = {
            "id": "1",
            "object": "chat.completion",
            "model": "plain",
            "choices": [choice],
            "usage": USAGE,
        }
    return Answer(status=status, body=json.dumps(document).encode())


def event(document: object) -> bytes:
    """A server-sent event."""
    return b"data: %s\n\n" % (document if isinstance(document, bytes) else json.dumps(document).encode())


def delta(text: str, **more: object) -> bytes:
    """A piece of a streamed chat answer."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return event(
        {"id": "1", "object": "chat.completion.chunk", "model": "plain", "choices": [choice], **more}
    )


def usage_chunk(usage: object = None) -> bytes:
    """The chunk that a stream has for its usage."""
    return event(
        {
            "id": "1",
            "object": "chat.completion.chunk",
            "model": "plain",
            "choices": [],
            "usage": usage or USAGE,
        }
    )


DONE = event(b"[DONE]")


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    """The parts of a streamed answer, as fast as they go."""
    for part in parts:
        yield part
        await asyncio.sleep(0)


def stream(*parts: bytes, hang_up: bool = False) -> Answer:
    """A streamed answer."""
    return Answer(headers=EVENTS, chunks=pieces(*parts), hang_up=hang_up)
