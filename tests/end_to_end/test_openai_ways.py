"""Every way in which the OpenAI Python SDK makes a call: with the proxy it returns what it returns without, and is charged."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest
from openai import AsyncOpenAI, AzureOpenAI, OpenAI, pydantic_function_tool
from pydantic import BaseModel

from scripts.standin import StandIn
from tests.end_to_end.stack import Admin, Stack


class Place(BaseModel):
    """What a structured answer, or the arguments of a tool, are parsed into."""

    city: str


CHAT: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": "What is the capital of France?"}]}
ASKED: Any = CHAT | {"stream": True, "stream_options": {"include_usage": True}}
TOOLS: Any = {"tools": [pydantic_function_tool(Place, name="get_weather")]}
RESPONSE: Any = {"model": "gpt-4o", "input": "What is the capital of France?"}
LEGACY: Any = {"model": "davinci-002", "prompt": "What is the capital of France?"}
EMBED: Any = {"model": "text-embedding-3-small", "input": ["one two", "three four five"]}

# US dollars per token as the price book has them, times what the stand-in reports: six words in and eight out.
INPUT = Decimal("0.0000025") * 6
WORDS = INPUT + Decimal("0.00001") * 8
JSON = INPUT + Decimal("0.00001") * 2
BABBAGE = Decimal("0.000002") * 14
VECTORS = Decimal("0.00000002") * 5


def plain(value: Any) -> Any:
    """An object of the SDK as JSON; the stand-in numbers its answers, so ids are left out."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json", warnings=False)
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items() if key not in ("id", "item_id")}
    return [plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def chat_helper(client: OpenAI) -> Any:
    with client.chat.completions.stream(**CHAT) as stream:
        events = list(stream)
        return [*events, stream.get_final_completion()]


def chat_helper_parsed(client: OpenAI) -> Any:
    with client.chat.completions.stream(**CHAT, response_format=Place) as stream:
        return stream.get_final_completion()


def response_helper(client: OpenAI) -> Any:
    with client.responses.stream(**RESPONSE) as stream:
        events = list(stream)
        return [*events, stream.get_final_response()]


def raw(client: OpenAI) -> Any:
    answer = client.chat.completions.with_raw_response.create(**CHAT)
    return answer.status_code, answer.headers["openai-version"], answer.parse()


def raw_stream(client: OpenAI) -> Any:
    answer = client.chat.completions.with_raw_response.create(**CHAT, stream=True)
    return answer.headers["content-type"], list(answer.parse())


def streaming_body(client: OpenAI) -> Any:
    with client.chat.completions.with_streaming_response.create(**CHAT) as answer:
        return answer.json()


def streaming_lines(client: OpenAI) -> Any:
    """What is on the wire, line by line: ids are numbers there, so only the shape is compared."""
    with client.chat.completions.with_streaming_response.create(**ASKED) as answer:
        return [line[:6] for line in answer.iter_lines()]


WAYS: dict[str, tuple[Callable[[OpenAI], Any], Decimal]] = {
    "chat": (lambda one: one.chat.completions.create(**CHAT), WORDS),
    "chat, streamed": (lambda one: list(one.chat.completions.create(**CHAT, stream=True)), WORDS),
    "chat, streamed with usage": (lambda one: list(one.chat.completions.create(**ASKED)), WORDS),
    "chat, by the stream helper": (chat_helper, WORDS),
    "chat, parsed": (lambda one: one.chat.completions.parse(**CHAT, response_format=Place), JSON),
    "chat, parsed by the stream helper": (chat_helper_parsed, JSON),
    "tools": (lambda one: one.chat.completions.create(**CHAT, **TOOLS), WORDS),
    "tools, streamed": (lambda one: list(one.chat.completions.create(**CHAT, **TOOLS, stream=True)), WORDS),
    "tools, parsed": (lambda one: one.chat.completions.parse(**CHAT, **TOOLS), WORDS),
    "responses": (lambda one: one.responses.create(**RESPONSE), WORDS),
    "responses, streamed": (lambda one: list(one.responses.create(**RESPONSE, stream=True)), WORDS),
    "responses, by the stream helper": (response_helper, WORDS),
    "responses, parsed": (lambda one: one.responses.parse(**RESPONSE, text_format=Place), JSON),
    "legacy completions": (lambda one: one.completions.create(**LEGACY), BABBAGE),
    "legacy completions, streamed": (lambda one: list(one.completions.create(**LEGACY, stream=True)), BABBAGE),
    "embeddings": (lambda one: one.embeddings.create(**EMBED), VECTORS),
    "embeddings as numbers": (lambda one: one.embeddings.create(**EMBED, encoding_format="float"), VECTORS),
    "raw": (raw, WORDS),
    "raw, streamed": (raw_stream, WORDS),
    "a body that is read in pieces": (streaming_body, WORDS),
    "a stream that is read in lines": (streaming_lines, WORDS),
}  # fmt: skip


def test_each_way_returns_what_it_returns_without_the_proxy_and_is_charged(
    stack: Stack, admin: Admin, upstream: StandIn
) -> None:
    with OpenAI(api_key="sk-a-client", base_url=f"{upstream.url}/v1", max_retries=0) as direct:
        expected = {name: plain(way(direct)) for name, (way, _) in WAYS.items()}
    limiter = admin.create(upstream.url)
    with OpenAI(api_key="sk-a-client", base_url=stack.base_url(limiter), max_retries=0) as client:
        returned = {name: plain(way(client)) for name, (way, _) in WAYS.items()}

    for name, value in expected.items():
        assert returned[name] == value, name
    stack.at_rest(limiter["id"], admin)
    charged = [row["cost"] for row in reversed(admin.usage(limiter["id"]))]
    assert dict(zip(WAYS, charged, strict=True)) == {name: cost for name, (_, cost) in WAYS.items()}
    assert {row["basis"] for row in admin.usage(limiter["id"])} == {"reported"}


async def chat_async(client: AsyncOpenAI) -> Any:
    return await client.chat.completions.create(**CHAT)


async def chat_stream_async(client: AsyncOpenAI) -> Any:
    return [chunk async for chunk in await client.chat.completions.create(**CHAT, stream=True)]


async def chat_asked_async(client: AsyncOpenAI) -> Any:
    return [chunk async for chunk in await client.chat.completions.create(**ASKED)]


async def helper_async(client: AsyncOpenAI) -> Any:
    async with client.chat.completions.stream(**CHAT) as stream:
        return [event async for event in stream]


async def parse_async(client: AsyncOpenAI) -> Any:
    return await client.chat.completions.parse(**CHAT, response_format=Place)


async def response_async(client: AsyncOpenAI) -> Any:
    return await client.responses.create(**RESPONSE)


async def response_stream_async(client: AsyncOpenAI) -> Any:
    return [event async for event in await client.responses.create(**RESPONSE, stream=True)]


async def embeddings_async(client: AsyncOpenAI) -> Any:
    return await client.embeddings.create(**EMBED)


async def raw_async(client: AsyncOpenAI) -> Any:
    async with client.chat.completions.with_streaming_response.create(**CHAT) as answer:
        return await answer.json()


ASYNC_WAYS: dict[Callable[[AsyncOpenAI], Awaitable[Any]], Decimal] = {
    chat_async: WORDS,
    chat_stream_async: WORDS,
    chat_asked_async: WORDS,
    helper_async: WORDS,
    parse_async: JSON,
    response_async: WORDS,
    response_stream_async: WORDS,
    embeddings_async: VECTORS,
    raw_async: WORDS,
}


def test_each_way_of_the_async_client_does_the_same_all_at_once(
    stack: Stack, admin: Admin, upstream: StandIn
) -> None:
    async def all_of(base_url: str) -> list[Any]:
        async with AsyncOpenAI(api_key="sk-a-client", base_url=base_url, max_retries=0) as client:
            return [plain(one) for one in await asyncio.gather(*(way(client) for way in ASYNC_WAYS))]

    limiter = admin.create(upstream.url)
    returned = asyncio.run(all_of(stack.base_url(limiter)))
    expected = asyncio.run(all_of(f"{upstream.url}/v1"))

    for way, mine, other in zip(ASYNC_WAYS, returned, expected, strict=True):
        assert mine == other, way.__name__
    stats = stack.at_rest(limiter["id"], admin)
    assert stats["current_spend"] == sum(ASYNC_WAYS.values())
    assert stats["total_requests"] == len(ASYNC_WAYS)


@pytest.mark.parametrize("place", ["", "/openai", "/openai/deployments/gpt-4o"])
def test_the_azure_client_works_with_a_base_url_as_well(
    stack: Stack, admin: Admin, upstream: StandIn, place: str
) -> None:
    limiter = admin.create(upstream.url)
    key: Any = {"api_key": "a-key", "api_version": "2024-10-21", "max_retries": 0}
    with (
        AzureOpenAI(base_url=f"{stack.base_url(limiter)}{place}", **key) as client,
        AzureOpenAI(base_url=f"{upstream.url}{place}", **key) as direct,
    ):
        returned = [client.chat.completions.create(**CHAT), list(client.chat.completions.create(**ASKED))]
        expected = [direct.chat.completions.create(**CHAT), list(direct.chat.completions.create(**ASKED))]

    assert plain(returned) == plain(expected)
    assert {received.header("api-key") for received in upstream.received} == {"a-key"}
    assert stack.at_rest(limiter["id"], admin)["current_spend"] == 2 * WORDS
