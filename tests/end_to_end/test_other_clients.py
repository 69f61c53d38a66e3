"""Clients other than OpenAI's own address: the Azure client of the OpenAI SDK, and the Anthropic SDK."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import Any

import orjson
import pytest
from anthropic import Anthropic
from anthropic import RateLimitError as AnthropicRateLimitError
from openai import AzureOpenAI, BadRequestError

from scripts.standin import Answer, Received, StandIn, ThreadedStandIn
from tests.end_to_end.stack import Admin, Stack

ASK: Any = {"messages": [{"role": "user", "content": "What is the capital of France?"}]}
DEPLOYMENT = "the-office"
USAGE = {
    "input_tokens": 10,
    "cache_read_input_tokens": 100,
    "cache_creation_input_tokens": 50,
    "output_tokens": 5,
}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-haiku-4-5-20251001",
    "content": [{"type": "text", "text": "Paris."}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
}
MESSAGE_COST = Decimal("0.0001075")
"""10 fresh, 100 read from and 50 written to the cache, 5 put out, at $1, $0.10, $1.25 and $5 per million."""


def azure(stack: Stack, limiter: Any) -> AzureOpenAI:
    return AzureOpenAI(
        api_key="a-key", azure_endpoint=stack.base_url(limiter), api_version="2024-10-21", max_retries=0
    )


def test_the_azure_client_is_charged_by_the_model_that_its_deployment_is_mapped_to(
    stack: Stack, admin: Admin, upstream: StandIn
) -> None:
    # The stand-in echoes the name of a deployment, as Azure does in some of its answers.
    limiter = admin.create(upstream.url, model_map={DEPLOYMENT: "gpt-4o-mini"})
    with azure(stack, limiter) as client:
        answer = client.chat.completions.create(model=DEPLOYMENT, **ASK)
        chunks = list(client.chat.completions.create(model=DEPLOYMENT, stream=True, **ASK))

    assert answer.choices[0].message.content
    assert all(chunk.choices for chunk in chunks)
    path = f"/openai/deployments/{DEPLOYMENT}/chat/completions?api-version=2024-10-21"
    assert [received.target for received in upstream.received] == [path, path]
    stats = stack.at_rest(limiter["id"], admin)
    assert stats["current_spend"] == 2 * (6 * Decimal("0.00000015") + 8 * Decimal("0.0000006"))
    assert {row["basis"] for row in admin.usage(limiter["id"])} == {"reported"}


def test_a_deployment_that_nobody_has_mapped_is_refused_and_never_free(
    stack: Stack, admin: Admin, upstream: StandIn
) -> None:
    limiter = admin.create(upstream.url)
    with azure(stack, limiter) as client, pytest.raises(BadRequestError) as refusal:
        client.chat.completions.create(model=DEPLOYMENT, **ASK)
    assert refusal.value.code == "model_not_priced"

    assert upstream.received == []


def events() -> Iterator[dict[str, Any]]:
    start = {name: value for name, value in USAGE.items() if name != "output_tokens"} | {"output_tokens": 1}
    yield {"type": "message_start", "message": MESSAGE | {"content": [], "stop_reason": None, "usage": start}}
    yield {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    yield {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Paris."}}
    yield {"type": "content_block_stop", "index": 0}
    yield {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 5}}  # fmt: skip
    yield {"type": "message_stop"}


async def streamed() -> AsyncIterator[bytes]:
    for event in events():
        yield b"event: %s\ndata: %s\n\n" % (event["type"].encode(), orjson.dumps(event))


def claude(received: Received) -> Answer:
    assert received.target == "/v1/messages"
    if orjson.loads(received.body).get("stream"):
        return Answer(headers=[("content-type", "text/event-stream")], chunks=streamed())
    return Answer(body=orjson.dumps(MESSAGE | {"usage": USAGE}))


@pytest.fixture
def anthropic() -> Iterator[StandIn]:
    with ThreadedStandIn(claude) as standin:
        yield standin


def test_the_anthropic_sdk_is_charged_with_its_cache_and_refused_once(
    stack: Stack, admin: Admin, anthropic: StandIn
) -> None:
    ask: Any = {"model": "claude-haiku-4-5", "max_tokens": 64, **ASK}
    limiter = admin.create(anthropic.url, "0.0002")
    with Anthropic(api_key="sk-ant-a-client", base_url=stack.base_url(limiter)) as client:
        whole = client.messages.create(**ask)
        stack.at_rest(limiter["id"], admin)
        with client.messages.stream(**ask) as stream:
            text = stream.get_final_text()
        stats = stack.at_rest(limiter["id"], admin)
        with pytest.raises(AnthropicRateLimitError) as refusal:
            client.messages.create(**ask)

    assert whole.content[0].text == text == "Paris."  # type: ignore[union-attr]
    assert stats["current_spend"] == 2 * MESSAGE_COST
    newest, first = admin.usage(limiter["id"])
    for row in (newest, first):
        assert (row["prompt_tokens"], row["cached_tokens"], row["completion_tokens"]) == (160, 100, 5)
    assert len(anthropic.received) == 2, "no retry of what was refused goes upstream"
    assert refusal.value.response.headers["x-should-retry"] == "false"
