"""Streams of realistic size and framing for measuring the stream reader alone."""

from __future__ import annotations

import asyncio
import json

from scripts.standin import Received
from scripts.standin_openai import FakeOpenAI


def chat_stream(words: int = 2000) -> bytes:
    """A chat stream that carries usage, as when the proxy asked for it."""
    return _stream(
        "/v1/chat/completions",
        {"messages": [{"role": "user", "content": "hello"}], "stream_options": {"include_usage": True}},
        words,
    )


def responses_stream(words: int = 2000) -> bytes:
    """A stream of the responses API; usage is in its last event."""
    return _stream("/v1/responses", {"input": "hello"}, words)


def _stream(target: str, ask: dict[str, object], words: int) -> bytes:
    body = json.dumps({"model": "gpt-4o", "stream": True, **ask}).encode()
    answer = FakeOpenAI(words=words)(Received("POST", target, (), body))

    async def whole() -> bytes:
        if answer.chunks is None:
            raise TypeError("The stand-in did not stream.")
        return b"".join([event async for event in answer.chunks])

    return asyncio.run(whole())
