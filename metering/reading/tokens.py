"""One usage object of the OpenAI kind, in any provider's dialect, as billed.

The dialects: `prompt_tokens` or `input_tokens`; details under four names; cached tokens inside the input or,
in Anthropic's way, beside it; reasoning inside the output or outside; audio outside the prompt. The sum that
the provider gives (`total_tokens`) decides where it can. Subsets are clamped to their supersets, so that a
price can be put on each part without charging anything twice.
"""

from dataclasses import dataclass
from typing import NamedTuple

from metering.reading.values import Wire, count, first_count, milliseconds, record
from metering.usage import Usage

_INPUT_DETAILS = (
    "prompt_tokens_details",
    "input_tokens_details",
    "prompt_token_details",
    "input_token_details",
)
_OUTPUT_DETAILS = (
    "completion_tokens_details",
    "output_tokens_details",
    "completion_token_details",
    "output_token_details",
)
_COUNTS = frozenset(
    {
        "prompt_tokens",
        "input_tokens",
        "completion_tokens",
        "output_tokens",
        "total_tokens",
        "reasoning_tokens",
        "cached_tokens",
        "audio_tokens",
        "image_tokens",
        "cache_write_tokens",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
        "prompt_cache_hit_tokens",
        "promptTokenCount",
        "candidatesTokenCount",
        "totalTokenCount",
        "thoughtsTokenCount",
        "cachedContentTokenCount",
        "prompt_eval_count",
        "eval_count",
    }
)
_BESIDE_READ = ("cache_read_input_tokens", "cacheReadInputTokens")
_BESIDE_WRITE = ("cache_creation_input_tokens", "cacheWriteInputTokens")
"""Anthropic's and Bedrock's, which may stand beside the prompt count."""
_SEARCH_COUNTS = (
    ("server_tool_use", "web_search_requests"),
    ("server_tool_use_details", "web_search_requests"),
    ("server_side_tool_usage_details", "web_search_calls"),
)


def read_tokens(wire: Wire, *, cache_beside_input: bool = False) -> Usage | None:
    """The usage that the object states, None if it states none.

    `cache_beside_input`: the answer is Anthropic's own, where cache reads and writes are never part of the
    input.
    """
    inside, outside = _details(wire, _INPUT_DETAILS), _details(wire, _OUTPUT_DETAILS)
    stated = _stated(wire, inside, outside)
    if stated is None:
        return None
    cache = _cache(wire, inside)
    if cache.read + cache.write and (cache_beside_input or _is_beside(wire, stated, cache)):
        stated.input += cache.read + cache.write
    _bring_reasoning_in(stated)
    _close_the_gap(wire, stated)
    return _clamped(wire, inside, outside, stated, cache)


def odd_counts(wire: Wire) -> tuple[str, ...]:
    """The fields that ought to be counts and are not, by their own well-known names."""
    places = (wire, _details(wire, _INPUT_DETAILS), _details(wire, _OUTPUT_DETAILS))
    odd = [
        key
        for place in places
        for key, value in place.items()
        if key in _COUNTS and value is not None and count(value) is None
    ]
    return tuple(dict.fromkeys(odd))


@dataclass(slots=True)
class _Stated:
    input: int
    output: int
    total: int | None
    reasoning: int
    audio: int


class _Cache(NamedTuple):
    read: int
    write: int
    long: int


def _stated(wire: Wire, inside: Wire, outside: Wire) -> _Stated | None:
    taken = first_count(wire, "prompt_tokens", "input_tokens", "inputTokens", "total_input_tokens")
    given = first_count(wire, "completion_tokens", "output_tokens", "outputTokens", "total_output_tokens")
    total = first_count(wire, "total_tokens", "totalTokens")
    if taken is None and given is None and total is None and not (_duration_ms(wire) or _characters(wire)):
        return None
    if taken is not None:
        # Gemini's interactions count what its tools put into the prompt apart.
        taken += count(wire.get("total_tool_use_tokens")) or 0
    else:
        # Embedding and rerank servers may give the sum alone.
        taken = max(0, (total or 0) - (given or 0))
    reasoning = first_count(outside, "reasoning_tokens", "thinking_tokens")
    if reasoning is None:
        reasoning = first_count(wire, "reasoning_tokens", "total_thought_tokens")
    audio = count(inside.get("audio_tokens"))
    return _Stated(taken, given or 0, total, reasoning or 0, audio or 0)


def _details(wire: Wire, names: tuple[str, ...]) -> Wire:
    for key in names:
        if key in wire and (found := record(wire[key])):
            return found
    return {}


def _duration_ms(wire: Wire) -> int:
    """`seconds` is OpenAI's transcription by time, `prompt_audio_seconds` Mistral's."""
    return milliseconds(wire.get("seconds")) or milliseconds(wire.get("prompt_audio_seconds")) or 0


def _characters(wire: Wire) -> int:
    return count(wire.get("characters")) or 0


def _cache(wire: Wire, details: Wire) -> _Cache:
    read = first_count(details, "cached_tokens", "cache_read_tokens", "cache_read_input_tokens")
    if not read:
        read = first_count(
            wire, *_BESIDE_READ, "prompt_cache_hit_tokens", "cached_tokens", "total_cached_tokens"
        )
    write = first_count(details, "cache_write_tokens", "cache_creation_tokens", "cache_creation_input_tokens")
    if not write:
        write = first_count(wire, *_BESIDE_WRITE, "cache_write_tokens")
    spans = record(wire.get("cache_creation")) or record(details.get("cache_creation"))
    spans = spans or record(details.get("cache_write_tokens_details"))
    long = first_count(spans, "ephemeral_1h_input_tokens", "ttl_12h_tokens") or 0
    short = first_count(spans, "ephemeral_5m_input_tokens", "ttl_30m_tokens") or 0
    return _Cache(read or 0, max(write or 0, short + long), long)


def _is_beside(wire: Wire, stated: _Stated, cache: _Cache) -> bool:
    """Whether Anthropic's cache counts stand beside the prompt count, in a foreign usage object."""
    if not first_count(wire, *_BESIDE_READ, *_BESIDE_WRITE):
        return False
    both = cache.read + cache.write
    if both > stated.input:
        return True
    sums = (stated.input + stated.output, stated.input + stated.output + stated.reasoning)
    if stated.total is not None and stated.total in sums:
        return False
    if stated.total is not None and stated.total - both in sums:
        return True
    return not count(_details(wire, _INPUT_DETAILS).get("cached_tokens"))


def _bring_reasoning_in(stated: _Stated) -> None:
    """XAI's and some gateways' completion count leaves out the reasoning that they bill.

    More reasoning than output stands outside it too, unless the total has room for the reasoning alone: then the
    completion count misses a token or two, which the total has.
    """
    whole = stated.input + stated.output + stated.reasoning
    is_more = stated.reasoning > stated.output
    if is_more and stated.total is not None and whole - stated.output <= stated.total < whole:
        return
    if is_more or stated.total == whole:
        stated.output += stated.reasoning


def _close_the_gap(wire: Wire, stated: _Stated) -> None:
    """A total above its parts: audio that is not in the prompt count, or thinking that is not in the
    completion's.
    """
    audio_is_outside = stated.audio > stated.input or bool(milliseconds(wire.get("prompt_audio_seconds")))
    if stated.total is None:
        stated.input += stated.audio if stated.audio > stated.input else 0
        return
    gap = max(0, stated.total - stated.input - stated.output)
    if audio_is_outside:
        stated.input += gap
        stated.audio = max(stated.audio, gap)
    else:
        stated.output += gap


def _clamped(wire: Wire, inside: Wire, outside: Wire, stated: _Stated, cache: _Cache) -> Usage:
    audio = min(stated.audio, stated.input)
    image = min(count(inside.get("image_tokens")) or 0, stated.input - audio)
    cached = min(cache.read, stated.input)
    write = min(cache.write, stated.input - cached)
    cached_audio, cached_image = _cached_modalities(inside, cached, stated.input, audio, image)
    output_audio = min(count(outside.get("audio_tokens")) or 0, stated.output)
    return Usage(
        input_tokens=stated.input,
        cached_tokens=cached,
        cache_write_tokens=write,
        cache_write_long_tokens=min(cache.long, write),
        input_audio_tokens=audio,
        input_image_tokens=image,
        cached_audio_tokens=cached_audio,
        cached_image_tokens=cached_image,
        output_tokens=stated.output,
        reasoning_tokens=min(stated.reasoning, stated.output),
        output_audio_tokens=output_audio,
        output_image_tokens=min(count(outside.get("image_tokens")) or 0, stated.output - output_audio),
        duration_ms=_duration_ms(wire),
        characters=_characters(wire),
        web_searches=_searches(wire),
    )


def _cached_modalities(inside: Wire, cached: int, whole: int, audio: int, image: int) -> tuple[int, int]:
    """The cached audio and image tokens: as stated, and as many as the cached text cannot explain."""
    if not cached:
        return 0, 0
    split = record(inside.get("cached_tokens_details"))
    cached_audio = min(count(split.get("audio_tokens")) or 0, audio, cached)
    cached_image = min(count(split.get("image_tokens")) or 0, image, cached - cached_audio)
    unexplained = max(0, cached - cached_audio - cached_image - (whole - audio - image))
    more_image = min(unexplained, image - cached_image)
    return cached_audio + unexplained - more_image, cached_image + more_image


def _searches(wire: Wire) -> int:
    for place, key in _SEARCH_COUNTS:
        if place in wire and (found := count(record(wire[place]).get(key))):
            return found
    return count(wire.get("num_search_queries")) or 0
