"""Gemini's own format: `usageMetadata`, cumulative in every chunk of a stream, of which the last counts: older
models gave a reason to finish in every chunk as well.

Thoughts and the tokens of tool prompts stand beside the candidates' and the prompt's; cached content is part
of the prompt. Modalities are listed by name, or by number in older transcodings. Searches that grounded the
answer are billed apart: each query since Gemini 3, before it one for the whole answer.
"""

from collections.abc import Iterator
from dataclasses import replace

from metering.reading.shape import CLOSING, OUTPUT, SILENT, Answer, Shape, Step, finish, finished
from metering.reading.tokens import odd_counts
from metering.reading.values import Wire, count, first_count, name, record, records
from metering.usage import Reading, Usage

_IMAGE = ("IMAGE", 2)
_AUDIO = ("AUDIO", 4)


_SEARCHES = " searches"
"""A key that no wire format has: the queries that the chunks of a stream have named."""

_TRAFFIC = {"ON_DEMAND_PRIORITY": "priority", "ON_DEMAND_FLEX": "flex"}
_BILLED_BY_ANSWER = ("gemini-1", "gemini-2")


def _read(body: Wire) -> Reading:
    wire = record(body.get("usageMetadata"))
    usage, model = _usage(wire), name(body.get("modelVersion"))
    queries = {*_queries(body), *_known_queries(body)}
    if usage is not None and queries:
        by_answer = (model or "").removeprefix("models/").startswith(_BILLED_BY_ANSWER)
        usage = replace(usage, web_searches=1 if by_answer else len(queries))
    return Reading(usage=usage, model=model, service_tier=_tier(wire), odd=odd_counts(wire))


def _tier(wire: Wire) -> str | None:
    """Gemini's API names the tier that served; Google's cloud has it in the kind of traffic."""
    return name(wire.get("serviceTier")) or _TRAFFIC.get(name(wire.get("trafficType")) or "")


def _queries(body: Wire) -> Iterator[str]:
    for candidate in records(body.get("candidates")):
        named = record(candidate.get("groundingMetadata")).get("webSearchQueries")
        yield from (query for query in named if isinstance(query, str)) if isinstance(named, list) else ()


def _known_queries(answer: Wire) -> frozenset[str]:
    known = answer.get(_SEARCHES)
    return known if isinstance(known, frozenset) else frozenset()


def _usage(wire: Wire) -> Usage | None:
    prompt = count(wire.get("promptTokenCount"))
    candidates = first_count(wire, "candidatesTokenCount", "responseTokenCount")
    total = count(wire.get("totalTokenCount"))
    if prompt is None and candidates is None and total is None:
        return None
    thoughts = count(wire.get("thoughtsTokenCount")) or 0
    if prompt is None and candidates is None:
        # What is put into a cache has a total alone.
        prompt = max(0, (total or 0) - thoughts)
    taken = (prompt or 0) + (count(wire.get("toolUsePromptTokenCount")) or 0)
    # Whatever the total has above its parts is thinking that was not itemised.
    given = max((candidates or 0) + thoughts, (total or 0) - taken)
    cached = min(count(wire.get("cachedContentTokenCount")) or 0, taken)
    audio = min(_modality(wire, "promptTokensDetails", _AUDIO), taken)
    image = min(_modality(wire, "promptTokensDetails", _IMAGE), taken - audio)
    text = taken - audio - image
    cached_audio = min(
        max(_modality(wire, "cacheTokensDetails", _AUDIO), cached - text - image), audio, cached
    )
    cached_image = min(
        max(_modality(wire, "cacheTokensDetails", _IMAGE), cached - cached_audio - text),
        image,
        cached - cached_audio,
    )
    output_audio = min(_modality(wire, "candidatesTokensDetails", _AUDIO), given)
    return Usage(
        input_tokens=taken,
        cached_tokens=cached,
        input_audio_tokens=audio,
        input_image_tokens=image,
        cached_audio_tokens=cached_audio,
        cached_image_tokens=cached_image,
        output_tokens=given,
        reasoning_tokens=min(thoughts, given),
        output_audio_tokens=output_audio,
        output_image_tokens=min(_modality(wire, "candidatesTokensDetails", _IMAGE), given - output_audio),
    )


def _modality(wire: Wire, details: str, spellings: tuple[str, int]) -> int:
    parts = (part for part in records(wire.get(details)) if part.get("modality") in spellings)
    return sum(count(part.get("tokenCount")) or 0 for part in parts)


def _fold(answer: Answer, event: Wire) -> Step:
    if version := name(event.get("modelVersion")):
        answer["modelVersion"] = version
    usage = record(event.get("usageMetadata"))
    candidates = list(records(event.get("candidates")))
    finish(answer, candidates, "finishReason")
    if queries := frozenset(_queries(event)):
        answer[_SEARCHES] = _known_queries(answer) | queries
    if _usage(usage) is not None:
        answer["usageMetadata"] = usage
        if finished(answer):
            return CLOSING
    return OUTPUT if any(candidate.get("content") for candidate in candidates) else SILENT


GEMINI = Shape(read=_read, fold=_fold, needles=(b"sageMetadata", b"finishReason", b"webSearchQueries"))
