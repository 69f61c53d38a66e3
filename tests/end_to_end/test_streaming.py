"""Streaming is streaming: each event is with the client before the upstream sends the next one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import Any

from openai import OpenAI

from scripts.standin import ThreadedStandIn
from scripts.standin_openai import FakeOpenAI
from tests.end_to_end.stack import Admin, Stack

MESSAGES: Any = [{"role": "user", "content": "Tell me a story."}]


class Turnstile:
    """Lets event `i` of a stream out only once the client has confirmed `i` events."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.confirmed = 0

    def confirm(self) -> None:
        with self._changed:
            self.confirmed += 1
            self._changed.notify_all()

    def open(self) -> None:
        with self._changed:
            self.confirmed = 10**6
            self._changed.notify_all()

    async def __call__(self, event: int) -> None:
        await asyncio.to_thread(self._wait, event)

    def _wait(self, event: int) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: self.confirmed >= event, timeout=20):
                raise TimeoutError(
                    f"Event {event} was due, but the client had confirmed {self.confirmed} only."
                )


def test_a_chat_event_reaches_the_client_before_the_upstream_sends_the_next(
    stack: Stack, admin: Admin
) -> None:
    turnstile = Turnstile()
    with ThreadedStandIn(FakeOpenAI(words=12, pace=turnstile)) as upstream:
        limiter = admin.create(upstream.url)
        seen = 0
        with OpenAI(api_key="sk-a-client", base_url=stack.base_url(limiter), max_retries=0) as client:
            for chunk in client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True):
                seen += 1
                if chunk.choices[0].finish_reason:
                    turnstile.open()
                turnstile.confirm()
        assert seen == 14
        assert stack.at_rest(limiter["id"], admin)["current_spend"] > 0


def test_a_responses_event_reaches_the_client_before_the_upstream_sends_the_next(
    stack: Stack, admin: Admin
) -> None:
    turnstile = Turnstile()
    with ThreadedStandIn(FakeOpenAI(words=12, pace=turnstile)) as upstream:
        limiter = admin.create(upstream.url)
        kinds = []
        with OpenAI(api_key="sk-a-client", base_url=stack.base_url(limiter), max_retries=0) as client:
            for event in client.responses.create(model="gpt-4o", input="Tell me a story.", stream=True):
                kinds.append(event.type)
                turnstile.confirm()
        assert kinds.count("response.output_text.delta") == 12
        assert kinds[-1] == "response.completed"
        assert stack.at_rest(limiter["id"], admin)["current_spend"] > 0


def test_a_client_that_hangs_up_in_mid_stream_pays_for_input_and_what_was_streamed(
    stack: Stack, admin: Admin
) -> None:
    turnstile = Turnstile()
    with ThreadedStandIn(FakeOpenAI(words=200, pace=turnstile)) as upstream:
        limiter = admin.create(upstream.url)
        with OpenAI(api_key="sk-a-client", base_url=stack.base_url(limiter), max_retries=0) as client:
            stream = client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
            for number, _ in enumerate(stream):
                if number == 50:
                    break
                turnstile.confirm()
            stream.close()
        turnstile.open()
        stats = stack.at_rest(limiter["id"], admin)
        call = _only_call(admin, limiter)
        assert (call["state"], call["basis"]) == ("settled", "estimated")
        assert 45 <= call["completion_tokens"] <= 60
        assert call["prompt_tokens"] > 0
        assert stats["current_spend"] == call["cost"] > 0


def _only_call(admin: Admin, limiter: Mapping[str, Any]) -> Mapping[str, Any]:
    (call,) = admin.usage(limiter["id"])
    return call
