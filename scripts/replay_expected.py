"""What ought to come of a recorded exchange, derived from the recording alone.

Nothing of the product's own readers is used here, so that the two can disagree.
"""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from decimal import ROUND_CEILING, Decimal
from typing import Any

COLUMNS = (
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "reasoning_tokens",
    "cache_write_tokens",
    "duration_ms",
    "provider_cost_nanousd",
)

_INPUT_DETAILS = (
    "prompt_tokens_details",
    "input_tokens_details",
    "prompt_token_details",
    "input_token_details",
)
_OUTPUT_DETAILS = ("completion_tokens_details", "output_tokens_details")
_USAGE_CHUNK = re.compile(rb'data: ?\{[^\n]*"choices": ?\[\][^\n]*"usage": ?\{[^\n]*\r?\n\r?\n')
_NULL_USAGE = re.compile(rb'("choices": ?\[.+), ?"usage": ?null')


def asks_for_usage(body: bytes) -> bool:
    """Whether a request itself asks for the usage of its stream."""
    with suppress(ValueError, AttributeError):
        return bool((json.loads(body).get("stream_options") or {}).get("include_usage"))
    return False


def client_body(body: bytes, *, proxy_asked: bool) -> bytes:
    """What of an upstream's body goes on: all of it, but for the usage that only the proxy has asked for."""
    return _NULL_USAGE.sub(rb"\1", _USAGE_CHUNK.sub(b"", body)) if proxy_asked else body


def counts(usage: Mapping[str, Any], body: bytes = b"") -> dict[str, int | None]:
    """What a raw usage object bills, by column; a verbose transcript tells its length beside it."""
    seconds = float(usage.get("seconds") or usage.get("prompt_audio_seconds") or _duration_s(body) or 0)
    taken = _number(usage, "prompt_tokens", "input_tokens", "promptTokenCount", "prompt_eval_count")
    given = _number(usage, "completion_tokens", "output_tokens", "candidatesTokenCount", "eval_count")
    total = _number(usage, "total_tokens", "totalTokenCount")
    inside, outside = _details(usage, _INPUT_DETAILS), _details(usage, _OUTPUT_DETAILS)
    cached = max(
        _number(inside, "cached_tokens"),
        _number(usage, "prompt_cache_hit_tokens", "cached_tokens", "cachedContentTokenCount"),
    )
    written = _number(inside, "cache_write_tokens")
    reasoning = max(
        _number(outside, "reasoning_tokens", "thinking_tokens"),
        _number(usage, "reasoning_tokens", "thoughtsTokenCount"),
    )
    if not taken and not given:
        taken = total
    is_anthropic = {"cache_read_input_tokens", "cache_creation_input_tokens"} & usage.keys()
    if is_anthropic and "prompt_tokens" not in usage:
        cached = _number(usage, "cache_read_input_tokens")
        written = _number(usage, "cache_creation_input_tokens")
        taken += cached + written
    if "thoughtsTokenCount" in usage:
        taken += _number(usage, "toolUsePromptTokenCount")
        given += reasoning
    elif reasoning > given and taken + reasoning <= total < taken + given + reasoning:
        given = total - taken
    elif reasoning and (total == taken + given + reasoning or reasoning > given):
        given += reasoning
    elif total > taken + given:
        if _number(inside, "audio_tokens") > taken or usage.get("prompt_audio_seconds"):
            taken = total - given
        else:
            given = total - taken
    cached = min(cached, taken)
    return {
        "input_tokens": taken,
        "cached_tokens": cached,
        "output_tokens": given,
        "reasoning_tokens": min(reasoning, given),
        "cache_write_tokens": min(written, taken - cached),
        "duration_ms": round(seconds * 1000),
        "provider_cost_nanousd": _cost_nanousd(usage),
    }


def _duration_s(body: bytes) -> float:
    with suppress(ValueError, AttributeError, TypeError):
        return float(json.loads(body).get("duration") or 0)
    return 0


def _cost_nanousd(usage: Mapping[str, Any]) -> int | None:
    cost = usage.get("cost")
    if isinstance(cost, dict):
        cost = cost.get("total_cost")
    if cost is not None:
        dollars = Decimal(str(cost))
        if usage.get("is_byok"):
            dollars += Decimal(str((usage.get("cost_details") or {}).get("upstream_inference_cost") or 0))
        return int((dollars * 10**9).to_integral_value(ROUND_CEILING))
    ticks = usage.get("cost_in_usd_ticks")
    return None if ticks is None else -(-int(ticks) // 10)


def _number(within: Mapping[str, Any], *names: str) -> int:
    return int(next((value for name in names if (value := within.get(name)) is not None), 0))


def _details(usage: Mapping[str, Any], names: tuple[str, ...]) -> Mapping[str, Any]:
    return next((usage[name] for name in names if isinstance(usage.get(name), dict)), {})
