"""The benchmark's upstream: one prepared answer for each kind of call, sent as fast as it goes.

Run as `python -m scripts.bench_upstream PORT WORDS PACE_MS`. With a pace, each streamed event
carries the time at which it was sent (CLOCK_MONOTONIC, which processes of one machine share).
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import AsyncIterator

from scripts.standin import Answer, Received, StandIn
from scripts.standin_openai import SSE_HEADERS, FakeOpenAI


def main() -> None:
    """Serve until the process is ended."""
    port, words, pace_ms = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    gc.disable()
    asyncio.run(_serve(port, words, pace_ms / 1000))


async def _serve(port: int, words: int, pace_s: float) -> None:
    openai = FakeOpenAI(words=words)
    ask = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "word " * 20}]}
    target = "/v1/chat/completions"
    plain = openai(Received("POST", target, (), json.dumps(ask).encode()))
    streamed = await _events(openai, ask | {"stream": True, "stream_options": {"include_usage": True}})
    whole_stream = b"".join(streamed)
    at_once = Answer(headers=SSE_HEADERS, body=whole_stream)

    async def paced() -> AsyncIterator[bytes]:
        for event in streamed:
            await asyncio.sleep(pace_s)
            yield event.replace(b'"obfuscation":"2yD9IR8j"', b'"sent":%d' % time.monotonic_ns())

    def answer(received: Received) -> Answer:
        if b'"stream": true' not in received.body and b'"stream":true' not in received.body:
            return plain
        return Answer(headers=SSE_HEADERS, chunks=paced()) if pace_s else at_once

    standin = StandIn(answer, remember=False)
    await standin.start(port)
    await asyncio.Event().wait()


async def _events(openai: FakeOpenAI, ask: dict[str, object]) -> list[bytes]:
    answer = openai(Received("POST", "/v1/chat/completions", (), json.dumps(ask).encode()))
    return [] if answer.chunks is None else [event async for event in answer.chunks]


if __name__ == "__main__":
    main()
