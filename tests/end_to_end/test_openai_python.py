"""The OpenAI Python SDK, unmodified, through the real proxy: same answers, every token charged."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI

from scripts.standin import StandIn
from tests.end_to_end.stack import Admin, Stack

MESSAGES: Any = [{"role": "user", "content": "What is the capital of France?"}]
TOOLS: Any = [
    {
        "type": "function",
        "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}},
    }
]
INPUT_WORDS, OUTPUT_WORDS = 6, 8
# US dollars per token, input and output, as the price book has them.
GPT_4O = (Decimal("0.0000025"), Decimal("0.00001"))
GPT_4O_MINI = (Decimal("0.00000015"), Decimal("0.0000006"))
GPT_5_MINI_CACHED = Decimal("0.000000025")


@pytest.fixture
def limiter(admin: Admin, upstream: StandIn) -> Mapping[str, Any]:
    return admin.create(upstream.url)


@pytest.fixture
def client(stack: Stack, limiter: Mapping[str, Any]) -> Iterator[OpenAI]:
    with OpenAI(api_key="sk-a-client", base_url=stack.base_url(limiter)) as one:
        yield one


@pytest.fixture
def direct(upstream: StandIn) -> Iterator[OpenAI]:
    """The same SDK without the proxy."""
    with OpenAI(api_key="sk-a-client", base_url=f"{upstream.url}/v1") as one:
        yield one


def price(rates: tuple[Decimal, Decimal], input_tokens: int, output_tokens: int) -> Decimal:
    return rates[0] * input_tokens + rates[1] * output_tokens


def without_ids(value: Any) -> Any:
    """The stand-in numbers its answers; everything else must be equal."""
    if isinstance(value, dict):
        return {key: without_ids(inner) for key, inner in value.items() if key not in ("id", "item_id")}
    return [without_ids(inner) for inner in value] if isinstance(value, list) else value


def test_a_plain_chat_call_is_answered_as_without_the_proxy_and_charged_to_the_nanodollar(
    stack: Stack, admin: Admin, limiter: Mapping[str, Any], client: OpenAI, direct: OpenAI
) -> None:
    answer = client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    expected = direct.chat.completions.create(model="gpt-4o", messages=MESSAGES)

    assert without_ids(answer.model_dump()) == without_ids(expected.model_dump())
    stats = stack.at_rest(limiter["id"], admin)
    assert stats["current_spend"] == price(GPT_4O, INPUT_WORDS, OUTPUT_WORDS)
    (call,) = admin.usage(limiter["id"])
    assert (call["prompt_tokens"], call["completion_tokens"], call["total_tokens"]) == (6, 8, 14)
    assert (call["state"], call["basis"], call["status"], call["streamed"]) == (
        "settled",
        "reported",
        200,
        False,
    )
    assert call["endpoint"] == "chat/completions"
    assert call["cost"] == price(GPT_4O, INPUT_WORDS, OUTPUT_WORDS)


def test_a_stream_that_did_not_ask_for_usage_is_charged_and_shows_no_usage_chunk(
    stack: Stack, admin: Admin, limiter: Mapping[str, Any], client: OpenAI, direct: OpenAI, upstream: StandIn
) -> None:
    chunks = list(client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True))
    expected = list(direct.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True))

    assert b"include_usage" in upstream.received[0].body
    assert without_ids([one.model_dump() for one in chunks]) == without_ids(
        [one.model_dump() for one in expected]
    )
    assert all(chunk.choices for chunk in chunks)
    stats = stack.at_rest(limiter["id"], admin)
    assert stats["current_spend"] == price(GPT_4O, INPUT_WORDS, OUTPUT_WORDS)
    assert admin.usage(limiter["id"])[0]["streamed"] is True


def test_a_stream_that_asked_for_usage_gets_its_usage_chunk(
    stack: Stack, admin: Admin, limiter: Mapping[str, Any], client: OpenAI, direct: OpenAI
) -> None:
    ask: Any = {
        "model": "gpt-4o-mini",
        "messages": MESSAGES,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    chunks = list(client.chat.completions.create(**ask))
    expected = list(direct.chat.completions.create(**ask))

    assert without_ids([one.model_dump() for one in chunks]) == without_ids(
        [one.model_dump() for one in expected]
    )
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == INPUT_WORDS + OUTPUT_WORDS
    stats = stack.at_rest(limiter["id"], admin)
    assert stats["current_spend"] == price(GPT_4O_MINI, INPUT_WORDS, OUTPUT_WORDS)


def test_tool_calls_pass_and_are_charged_plain_and_streamed(
    stack: Stack, admin: Admin, limiter: Mapping[str, Any], client: OpenAI
) -> None:
    plain = client.chat.completions.create(model="gpt-4o", messages=MESSAGES, tools=TOOLS)
    chunks = list(client.chat.completions.create(model="gpt-4o", messages=MESSAGES, tools=TOOLS, stream=True))

    assert plain.choices[0].message.tool_calls is not None
    assert plain.choices[0].message.tool_calls[0].function.arguments == '{"city":"Paris"}'  # type: ignore[union-attr]
    calls = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or []]
    assert calls[0].function is not None
    assert calls[0].function.name == "get_weather"
    stats = stack.at_rest(limiter["id"], admin)
    assert stats["current_spend"] == 2 * price(GPT_4O, INPUT_WORDS, OUTPUT_WORDS)


def test_responses_plain_and_streamed_are_charged_with_cached_and_reasoning_tokens(
    stack: Stack, admin: Admin, limiter: Mapping[str, Any], client: OpenAI, direct: OpenAI
) -> None:
    ask: Any = {
        "model": "gpt-5-mini",
        "input": "one two three four",
        "metadata": {"cached": "3", "reasoning": "64"},
    }
    plain = client.responses.create(**ask)
    events = list(client.responses.create(**ask, stream=True))
    expected = list(direct.responses.create(**ask, stream=True))

    assert plain.output_text.split() == ["The", "quick", "brown", "fox", "jumps", "over", "the", "lazy"]
    assert without_ids([one.model_dump() for one in events]) == without_ids(
        [one.model_dump() for one in expected]
    )
    each = Decimal("0.00000025") * 1 + GPT_5_MINI_CACHED * 3 + Decimal("0.000002") * (8 + 64)
    nanodollars = (each * 10**9).to_integral_value(rounding="ROUND_CEILING")
    stats = stack.at_rest(limiter["id"], admin)
    assert stats["current_spend"] == 2 * nanodollars / 10**9
    newest = admin.usage(limiter["id"])[0]
    assert (newest["cached_tokens"], newest["reasoning_tokens"], newest["completion_tokens"]) == (3, 64, 72)


def test_embeddings_are_charged_by_their_input(
    stack: Stack, admin: Admin, limiter: Mapping[str, Any], client: OpenAI
) -> None:
    answer = client.embeddings.create(model="text-embedding-3-small", input=["one two", "three four five"])

    assert answer.data[0].embedding == [0.25, -0.5, 0.125]
    stats = stack.at_rest(limiter["id"], admin)
    assert stats["current_spend"] == Decimal("0.00000002") * 5


def test_the_async_client_runs_many_calls_at_once_and_each_is_charged(
    stack: Stack, admin: Admin, limiter: Mapping[str, Any]
) -> None:
    async def twenty() -> list[str | None]:
        async with AsyncOpenAI(api_key="sk-a-client", base_url=stack.base_url(limiter)) as client:
            calls = (client.chat.completions.create(model="gpt-4o", messages=MESSAGES) for _ in range(20))
            return [answer.choices[0].message.content for answer in await asyncio.gather(*calls)]

    assert asyncio.run(twenty()) == ["The quick brown fox jumps over the lazy"] * 20
    stats = stack.at_rest(limiter["id"], admin)
    assert stats["current_spend"] == 20 * price(GPT_4O, INPUT_WORDS, OUTPUT_WORDS)
    assert stats["total_requests"] == 20


def test_the_async_client_streams(stack: Stack, admin: Admin, limiter: Mapping[str, Any]) -> None:
    async def words() -> str:
        async with AsyncOpenAI(api_key="sk-a-client", base_url=stack.base_url(limiter)) as client:
            stream = await client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    assert asyncio.run(words()).split() == ["The", "quick", "brown", "fox", "jumps", "over", "the", "lazy"]
    stats = stack.at_rest(limiter["id"], admin)
    assert stats["current_spend"] == price(GPT_4O, INPUT_WORDS, OUTPUT_WORDS)


def test_the_client_reads_what_its_call_cost_from_the_headers(client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model="gpt-4o", messages=MESSAGES)

    cost = price(GPT_4O, INPUT_WORDS, OUTPUT_WORDS)
    assert Decimal(raw.headers["x-request-cost"]) == cost
    assert Decimal(raw.headers["x-budget-limit"]) == 20
    assert Decimal(raw.headers["x-budget-remaining"]) == 20 - cost
    assert raw.headers["x-budget-reset"].endswith("Z")
    assert raw.headers["openai-version"] == "2020-10-01"


def test_reading_the_models_again_is_free_and_leaves_no_row(
    admin: Admin, limiter: Mapping[str, Any], client: OpenAI
) -> None:
    assert client.models.list().data[0].id == "gpt-4o"
    assert admin.usage(limiter["id"]) == []


def test_users_are_named_by_the_body_then_the_header_then_the_key(
    stack: Stack, admin: Admin, limiter: Mapping[str, Any], client: OpenAI, upstream: StandIn
) -> None:
    ask: Any = {"model": "gpt-4o", "messages": MESSAGES}
    client.chat.completions.create(**ask, user="alice", extra_headers={"X-User-Id": "bob"})
    client.chat.completions.create(**ask, extra_headers={"X-User-Id": "bob"})
    client.chat.completions.create(**ask)

    stack.at_rest(limiter["id"], admin)
    third, second, first = (call["user"] for call in admin.usage(limiter["id"]))
    assert (first, second) == ("alice", "bob")
    assert third.startswith("key-")
    assert len(third) == 16
    assert all(received.header("x-user-id") is None for received in upstream.received)
