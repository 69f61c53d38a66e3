"""One recorded exchange: what the client sends, what the upstream answers, where both meet."""

import base64
import gzip
import json
import random
import re
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import brotli
import zstandard

from scripts.standin import Answer, Header, Received

HOP_BY_HOP = frozenset(
    [
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "content-length",
        "content-encoding",
        "alt-svc",
        "set-cookie",
    ]
)
"""What the proxy is right not to pass on, and what belongs to one connection only."""
CODINGS: Mapping[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": lambda body: zstandard.ZstdCompressor().compress(body),
}

_KNOWN_ENDS = re.compile(
    r"/(chat/completions|completions|responses|embeddings|messages|rerank|moderations|images/|audio/|models/|"
    r"projects/|chat$|generate$|embed$|prompts/|openai/).*"
)
_BOUNDARY = re.compile(r"multipart/form-data;.*boundary=([^;\s]+)")
_SWITCHING = 101
_PIECES_MAX = 40


@dataclass(frozen=True, slots=True)
class Exchange:
    """A recorded exchange."""

    name: str
    record: Mapping[str, Any]

    @classmethod
    def load(cls, path: Path) -> Self:
        return cls(path.stem, json.loads(path.read_text()))

    @property
    def method(self) -> str:
        return str(self.record["method"])

    @property
    def status(self) -> int:
        return int(self.record["status"])

    @property
    def switches_protocols(self) -> bool:
        """A WebSocket, of which only the opening request is played."""
        return self.status == _SWITCHING

    @property
    def request_body(self) -> bytes:
        """The recorded body; a form that was left out of a recording is made up for."""
        body = self._body("request_body")
        boundary = _BOUNDARY.search(str((self.record["request_headers"] or {}).get("content-type")))
        if boundary is None or boundary[1].encode() in body:
            return body
        model = self.record.get("model_in_request") or "whisper-1"
        parts = [
            f'name="model"\r\n\r\n{model}',
            'name="file"; filename="a.wav"\r\ncontent-type: audio/wav\r\n\r\nRIFF',
        ]
        opening = f"--{boundary[1]}\r\ncontent-disposition: form-data; "
        return "".join([*(f"{opening}{part}\r\n" for part in parts), f"--{boundary[1]}--\r\n"]).encode()

    @property
    def response_body(self) -> bytes:
        return b"" if self.method == "HEAD" else self._body("response_body")

    @property
    def usage(self) -> Mapping[str, Any] | None:
        """The usage that the wire states for a call that creates something."""
        stated = self.record.get("expected_usage_merged") or self.record["expected_usage"]
        return stated if self.method == "POST" and isinstance(stated, dict) else None

    def response_headers(self) -> list[Header]:
        """The recorded headers that ought to reach the client."""
        headers = self.record["response_headers"] or {}
        return [(name, str(value)) for name, value in headers.items() if name.lower() not in HOP_BY_HOP]

    def place(self) -> tuple[str, str]:
        """The path of the upstream's base URL, and the rest that a client appends to it."""
        path = "/" + str(self.record["path"]).lstrip("/")
        if path.startswith("/v1/"):
            return "", path[4:]
        if path.startswith("/openai/deployments/"):
            return "", path[1:]
        found = _KNOWN_ENDS.search(path)
        cut = found.start() if found else path.rindex("/")
        return re.sub(r"[<>]", "", path[:cut]), path[cut + 1 :]

    def request(self, port: int, target: str) -> bytes:
        """The request as it goes to the proxy."""
        body = self.request_body
        dropped = {"host", "accept-encoding", "expect", "authorization", *HOP_BY_HOP}
        recorded = self.record["request_headers"] or {}
        # Some recorders have written the next header into the value of the last one.
        headers = {name.lower(): str(value).partition("\n")[0] for name, value in recorded.items()}
        headers = {name: value for name, value in headers.items() if name not in dropped}
        if body:
            headers.setdefault("content-type", "application/json")
        ways = {"connection": "close"}
        if self.switches_protocols:
            ways = {"connection": "Upgrade", "upgrade": "websocket"}
        headers |= ways | {
            "host": f"127.0.0.1:{port}",
            "authorization": "Bearer sk-replay",
            "content-length": str(len(body)),
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"{self.method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1", "replace") + body

    def answer(self, dice: random.Random, coding: str | None) -> Callable[[Received], Answer]:
        """What the upstream answers: a stream in random pieces, anything else at once."""
        body, headers = self.response_body, self.response_headers()
        if coding is not None and body:
            body = CODINGS[coding](body)
            headers.append(("content-encoding", coding))
        status = 200 if self.switches_protocols else self.status
        if not self.record["streaming"]:
            return lambda _: Answer(status=status, headers=headers, body=body)
        places = (dice.randrange(1, max(2, len(body))) for _ in range(min(_PIECES_MAX, len(body) // 50 + 1)))
        cuts = sorted(set(places))
        pieces = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
        return lambda _: Answer(status=status, headers=headers, chunks=_one_by_one(pieces))

    def _body(self, name: str) -> bytes:
        if self.record.get(f"{name}_b64"):
            return base64.b64decode(self.record[f"{name}_b64"])
        value = self.record.get(f"{name}_text", self.record.get(name))
        if value is None:
            return b""
        text = value if isinstance(value, str) else json.dumps(value)
        return text.encode("utf-8", "surrogateescape")


async def _one_by_one(pieces: list[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        if piece:
            yield piece
