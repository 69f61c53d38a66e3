"""Answers in the shapes of the OpenAI API, with usage that the caller can foresee.

Counts follow the request by a rule that a test can repeat: an input token for each word of
the input, an output token for each word of the answer; `reasoning`, `cached` and the like are
asked for through `metadata` ({"reasoning": "64", "cached": "8"}). An answer that has to be of a
JSON schema names a city. Field order, null fields, obfuscation padding and event framing are
those that OpenAI sends.
"""

from __future__ import annotations

import base64
import itertools
import json
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Any

from scripts.standin import Answer, Received

JSON_HEADERS = (
    ("content-type", "application/json"),
    ("openai-processing-ms", "120"),
    ("openai-version", "2020-10-01"),
    ("x-ratelimit-remaining-requests", "9999"),
)
SSE_HEADERS = (("content-type", "text/event-stream; charset=utf-8"), ("openai-version", "2020-10-01"))
SNAPSHOTS = {
    "gpt-4o": "gpt-4o-2024-08-06",
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    "gpt-5-mini": "gpt-5-mini-2025-08-07",
}
WORDS = ["The", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog", "and", "runs", "far", "away"]

Pace = Callable[[int], Awaitable[None]]
_numbers = itertools.count(1)


class FakeOpenAI:
    """A handler for `StandIn`. `pace(i)` is awaited before event `i` of a stream goes out."""

    def __init__(self, *, words: int = 8, pace: Pace | None = None) -> None:
        self.words = words
        self.pace = pace

    def __call__(self, received: Received) -> Answer:
        path = received.target.partition("?")[0]
        if received.method == "GET":
            return _json(
                {"object": "list", "data": [{"id": "gpt-4o", "object": "model", "owned_by": "openai"}]}
            )
        body = json.loads(received.body or b"{}")
        for suffix, answer in self._endpoints().items():
            if path.endswith(suffix):
                return answer(body)
        return _json({"error": {"message": f"Unknown path {path}", "type": "invalid_request_error"}}, 404)

    def _endpoints(self) -> dict[str, Callable[[Mapping[str, Any]], Answer]]:
        return {
            "/chat/completions": self._chat,
            "/completions": self._completions,
            "/responses": self._responses,
            "/embeddings": _embeddings,
        }

    def _stream(self, events: list[bytes]) -> Answer:
        return Answer(headers=SSE_HEADERS, chunks=self._paced(events))

    async def _paced(self, events: list[bytes]) -> AsyncIterator[bytes]:
        for number, event in enumerate(events):
            if self.pace is not None:
                await self.pace(number)
            yield event

    def _chat(self, body: Mapping[str, Any]) -> Answer:
        words = _answer_words(body, self.words)
        usage = chat_usage(body, len(words))
        head = {
            "id": f"chatcmpl-standin{next(_numbers):06d}",
            "object": "chat.completion",
            "created": 1772310478,
            "model": SNAPSHOTS.get(body["model"], body["model"]),
        }
        if body.get("stream"):
            include = bool((body.get("stream_options") or {}).get("include_usage"))
            return self._stream(list(_chat_events(body, head, words, usage if include else None)))
        message: dict[str, object] = {
            "role": "assistant",
            "content": " ".join(words),
            "refusal": None,
            "annotations": [],
        }
        finish = "stop"
        if body.get("tools"):
            message |= {"content": None, "tool_calls": [_tool_call(body)]}
            finish = "tool_calls"
        choices = [
            {"index": index, "message": message, "logprobs": None, "finish_reason": finish}
            for index in range(body.get("n") or 1)
        ]
        return _json(
            {
                **head,
                "choices": choices,
                "usage": usage,
                "service_tier": "default",
                "system_fingerprint": None,
            }
        )

    def _completions(self, body: Mapping[str, Any]) -> Answer:
        words = _answer_words(body, self.words)
        prompt = len(str(body.get("prompt", "")).split())
        usage = {
            "prompt_tokens": prompt,
            "completion_tokens": len(words),
            "total_tokens": prompt + len(words),
        }
        head = {
            "id": f"cmpl-standin{next(_numbers):06d}",
            "object": "text_completion",
            "created": 1772310478,
            "model": body["model"],
        }
        choice = {"text": " ".join(words), "index": 0, "logprobs": None, "finish_reason": "stop"}
        if not body.get("stream"):
            return _json({**head, "choices": [choice], "usage": usage})
        events = [
            _data({**head, "choices": [{**choice, "text": f"{word} ", "finish_reason": None}]})
            for word in words
        ]
        if (body.get("stream_options") or {}).get("include_usage"):
            events.append(_data({**head, "choices": [], "usage": usage}))
        return self._stream([*events, b"data: [DONE]\n\n"])

    def _responses(self, body: Mapping[str, Any]) -> Answer:
        words = _answer_words(body, self.words)
        response = _response(body, words)
        return (
            self._stream(list(_response_events(response, words))) if body.get("stream") else _json(response)
        )


def chat_usage(body: Mapping[str, Any], words: int) -> dict[str, Any]:
    """The usage that a chat call with this body reports for an answer of so many words."""
    asked = body.get("metadata") or {}
    prompt = len(" ".join(_texts(body.get("messages", []))).split())
    reasoning = int(asked.get("reasoning", 0))
    completion = words * (body.get("n") or 1) + reasoning
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {
            "cached_tokens": min(prompt, int(asked.get("cached", 0))),
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _texts(messages: list[Mapping[str, Any]]) -> Iterator[str]:
    for message in messages:
        content = message.get("content") or ""
        yield content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)


def _answer_words(body: Mapping[str, Any], default: int) -> list[str]:
    shape = body.get("response_format") or (body.get("text") or {}).get("format") or {}
    if shape.get("type") == "json_schema":
        return ['{"city":', '"Paris"}']
    wanted = int((body.get("metadata") or {}).get("words", default))
    limits = (body.get(name) for name in ("max_completion_tokens", "max_output_tokens", "max_tokens"))
    limit = next((value for value in limits if value is not None), wanted)
    return [WORDS[index % len(WORDS)] for index in range(min(wanted, limit))]


def _tool_call(body: Mapping[str, Any]) -> dict[str, Any]:
    function = body["tools"][0]["function"]["name"]
    return {
        "id": "call_standin",
        "type": "function",
        "function": {"name": function, "arguments": '{"city":"Paris"}'},
    }


def _chat_events(
    body: Mapping[str, Any], head: Mapping[str, Any], words: list[str], usage: Mapping[str, Any] | None
) -> Iterator[bytes]:
    head = {
        **head,
        "object": "chat.completion.chunk",
        "service_tier": "default",
        "system_fingerprint": "fp_standin",
    }
    tail = {"usage": None} if usage is not None else {}

    def chunk(delta: Mapping[str, Any], finish: str | None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _data({**head, "choices": [choice], **tail, "obfuscation": "2yD9IR8j"})

    yield chunk({"role": "assistant", "content": "", "refusal": None}, None)
    if body.get("tools"):
        yield chunk({"tool_calls": [{"index": 0, **_tool_call(body)}]}, None)
    else:
        for word in words:
            yield chunk({"content": f"{word} "}, None)
    yield chunk({}, "tool_calls" if body.get("tools") else "stop")
    if usage is not None:
        yield _data({**head, "choices": [], "usage": usage, "obfuscation": "4Fk4xNw3lV"})
    yield b"data: [DONE]\n\n"


def _response(body: Mapping[str, Any], words: list[str]) -> dict[str, Any]:
    asked = body.get("metadata") or {}
    given = body.get("input", "")
    prompt = len((given if isinstance(given, str) else " ".join(_texts(given))).split())
    reasoning = int(asked.get("reasoning", 0))
    part = {"type": "output_text", "annotations": [], "logprobs": [], "text": " ".join(words)}
    number = next(_numbers)
    message = {
        "id": f"msg_standin{number:06d}",
        "type": "message",
        "status": "completed",
        "content": [part],
        "role": "assistant",
    }
    usage = {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": min(prompt, int(asked.get("cached", 0)))},
        "output_tokens": len(words) + reasoning,
        "output_tokens_details": {"reasoning_tokens": reasoning},
        "total_tokens": prompt + len(words) + reasoning,
    }
    return {
        "id": f"resp_standin{number:06d}",
        "object": "response",
        "created_at": 1772310649,
        "status": "completed",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": body.get("max_output_tokens"),
        "model": SNAPSHOTS.get(body["model"], body["model"]),
        "output": [message],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "service_tier": "default",
        "tool_choice": "auto",
        "tools": [],
        "usage": usage,
        "metadata": asked,
    }


def _response_events(response: Mapping[str, Any], words: list[str]) -> Iterator[bytes]:
    opening = {**response, "status": "in_progress", "output": [], "usage": None, "service_tier": "auto"}
    item = response["output"][0]
    place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": opening},
        {"type": "response.in_progress", "response": opening},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {**item, "status": "in_progress", "content": []},
        },
        {"type": "response.content_part.added", **place, "part": {**item["content"][0], "text": ""}},
        *(
            {"type": "response.output_text.delta", **place, "delta": f"{word} ", "logprobs": []}
            for word in words
        ),
        {"type": "response.output_text.done", **place, "text": item["content"][0]["text"], "logprobs": []},
        {"type": "response.content_part.done", **place, "part": item["content"][0]},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": response},
    ]
    for number, event in enumerate(events):
        text = json.dumps({**event, "sequence_number": number}, separators=(",", ":"))
        yield f"event: {event['type']}\ndata: {text}\n\n".encode()


def _embeddings(body: Mapping[str, Any]) -> Answer:
    inputs = body["input"] if isinstance(body["input"], list) else [body["input"]]
    vector: Any = [0.25, -0.5, 0.125]
    if body.get("encoding_format") == "base64":
        vector = base64.b64encode(struct.pack("<3f", *vector)).decode()
    rows = [{"object": "embedding", "index": index, "embedding": vector} for index in range(len(inputs))]
    tokens = sum(len(str(text).split()) for text in inputs)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return _json({"object": "list", "data": rows, "model": body["model"], "usage": usage})


def _json(document: Mapping[str, Any], status: int = 200) -> Answer:
    return Answer(status=status, headers=JSON_HEADERS, body=json.dumps(document, indent=2).encode())


def _data(document: Mapping[str, Any]) -> bytes:
    return f"data: {json.dumps(document, separators=(',', ':'))}\n\n".encode()
