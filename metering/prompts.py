"""How many tokens the text of a request is, with what the model's template puts around it.

Images, audio and files are not text and not counted here. Whatever a body holds instead of what belongs there is
passed over.
"""

import json
from collections.abc import Iterator, Mapping

from metering.asks import Family
from metering.manners import Manner
from metering.pricing.row import Encoding
from metering.tokens import count_tokens

Json = Mapping[str, object]

_NO_TEXT = frozenset(
    {
        "type",
        "id",
        "status",
        "tool_call_id",
        "call_id",
        "tool_use_id",
        "cache_control",
        "detail",
        "image_url",
        "url",
        "input_audio",
        "data",
        "file_data",
        "inlineData",
        "inline_data",
        "images",
        "result",
        "encrypted_content",
        "signature",
        "thoughtSignature",
        "thought_signature",
        "reasoning_details",
        "reasoning_content",
    }
)
"""Members of a message that are no text to the model, or are counted elsewhere."""
_DEFINITIONS = ("tools", "functions", "response_format", "text", "output_config")
_DEPTH_MAX = 64


def prompt_tokens(family: Family, body: Json, encoding: Encoding, manner: Manner) -> int:
    """Tokens of the text in a parsed body. Never raises."""
    texts = _texts_of(family, body)
    around = 0
    messages = _messages(family, body)
    if messages is not None:
        around = manner.priming + manner.message * len(messages)
        texts = [*texts, *messages]
    words = sum(_count(text, encoding, manner) for text in texts) + _numbers(family, body)
    return (words * manner.text_percent + 50) // 100 + around + definition_tokens(body, encoding, manner)


def definition_tokens(body: Json, encoding: Encoding, manner: Manner) -> int:
    """Tokens of the definitions of tools and of the answer's form: near those of their JSON."""
    total = 0
    for name in _DEFINITIONS:
        if isinstance(value := body.get(name), dict | list) and value:
            tokens = count_tokens(_compact(value), encoding)
            total += (tokens * manner.tools_percent + 50) // 100
    return total + (manner.tools if body.get("tools") or body.get("functions") else 0)


def _texts_of(family: Family, body: Json) -> list[object]:
    """The texts beside the messages."""
    match family:
        case Family.CHAT:
            return []
        case Family.OLLAMA_CHAT:
            # Cohere's older chat has the same path.
            return [body.get(name) for name in ("message", "preamble", "chat_history")]
        case Family.RESPONSES | Family.COMPACT | Family.MESSAGES:
            return [body.get("system")]
        case Family.GEMINI_EMBED:
            requests = body.get("requests")
            holders = [body, *(requests if isinstance(requests, list) else [])]
            return [holder.get("content") for holder in holders if isinstance(holder, dict)]
        case Family.GEMINI:
            return [body.get("systemInstruction") or body.get("system_instruction")]
        case _:
            return [body.get(name) for name in ("prompt", "input", "instructions", "system", "suffix")]


def _messages(family: Family, body: Json) -> list[object] | None:
    """The messages, each as the texts that it consists of; None for a family that has none."""
    match family:
        case Family.CHAT | Family.OLLAMA_CHAT | Family.MESSAGES:
            return _listed(body.get("messages"))
        case Family.GEMINI:
            return _listed(body.get("contents"))
        case Family.RESPONSES | Family.COMPACT:
            instructions = body.get("instructions")
            before: list[object] = [{"role": "system", "content": instructions}] if instructions else []
            return before + _listed(body.get("input"))
        case Family.OLLAMA_GENERATE:
            return []
        case _:
            return None


def _listed(messages: object) -> list[object]:
    if isinstance(messages, str):
        return [{"role": "user", "content": messages}]
    if isinstance(messages, dict):
        return [messages]
    return messages if isinstance(messages, list) else []


def _numbers(family: Family, body: Json) -> int:
    """Tokens that a client counted out itself, as numbers."""
    if family is Family.COMPLETIONS:
        return _integers(body.get("prompt"))
    return _integers(body.get("input")) if family is Family.EMBEDDINGS else 0


def _integers(value: object) -> int:
    if isinstance(value, list):
        return sum(1 if isinstance(item, int) else _integers(item) for item in value)
    return 0


def _count(value: object, encoding: Encoding, manner: Manner) -> int:
    if isinstance(value, str):
        return count_tokens(value, encoding)
    named = isinstance(value, dict) and isinstance(value.get("name"), str) and "role" in value
    return sum(count_tokens(text, encoding) for text in _leaves(value, manner, 0)) + named


def _leaves(value: object, manner: Manner, depth: int) -> Iterator[str]:
    """Every text under a value but those that are no prompt: addresses, base64, ids."""
    if isinstance(value, str):
        yield value
    elif depth > _DEPTH_MAX:
        return
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key not in _NO_TEXT and (manner.roles or key != "role"):
                yield from _leaves(inner, manner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, manner, depth + 1)


def _compact(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except (ValueError, RecursionError):
        return ""
