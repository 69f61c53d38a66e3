"""HTTP as bytes: for requests that no well-behaved client sends and answers that none should need."""

from __future__ import annotations

import contextlib
import json
import socket
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back before the connection closed or the answer was whole. `status` 0: nothing came."""

    status: int
    headers: dict[str, str]
    body: bytes

    def error(self) -> dict[str, Any]:
        """The error object of an answer in OpenAI's shape."""
        return json.loads(self.body)["error"]  # type: ignore[no-any-return]


def exchange(port: int, request: bytes, *, timeout_s: float = 20) -> Reply:
    """Send these bytes on a new connection and read one answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as connection:
        connection.sendall(request)
        return read_reply(connection)


def read_reply(connection: socket.socket) -> Reply:
    """Read one answer, or what there is of it when the peer closes."""
    buffer = b""
    with contextlib.suppress(ConnectionError):
        while b"\r\n\r\n" not in buffer:
            piece = connection.recv(65536)
            if not piece:
                break
            buffer += piece
    if b"\r\n\r\n" not in buffer:
        return Reply(0, {}, buffer)
    head, _, body = buffer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    with contextlib.suppress(ConnectionError):
        while not _whole(headers, body):
            piece = connection.recv(65536)
            if not piece:
                break
            body += piece
    return Reply(int(first.split(" ")[1]), headers, body)


def _whole(headers: dict[str, str], body: bytes) -> bool:
    if headers.get("transfer-encoding") == "chunked":
        return body.endswith(b"0\r\n\r\n")
    return "content-length" in headers and len(body) >= int(headers["content-length"])


def post(target: str, body: bytes, *headers: str, host: str = "localhost") -> bytes:
    """The bytes of a POST with a JSON body."""
    lines = [f"POST {target} HTTP/1.1", f"Host: {host}", "Content-Type: application/json", *headers]
    if not any(line.lower().startswith(("content-length", "transfer-encoding")) for line in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
