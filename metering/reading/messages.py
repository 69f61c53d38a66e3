"""Anthropic's messages.

A stream tells the input at its start and the output at its end: later fields replace earlier ones, field by
field, and only the end makes the usage final. Cache reads and writes are never part of `input_tokens`.
"""

from dataclasses import replace

from metering.reading.costs import provider_cost_nanousd
from metering.reading.shape import CLOSING, FINAL, OUTPUT, SILENT, Answer, Shape, Step, keep_names, tier
from metering.reading.tokens import odd_counts, read_tokens
from metering.reading.values import Wire, name, record, records
from metering.usage import Reading, Usage

_OPENING = " opening"
"""A key that no wire format has: the usage of `message_start`, which knows nothing of the output yet."""

_ANYWHERE = ("global", "not_available")
"""Places of a computation that cost nothing more; models of before the choice have none."""


def _read(body: Wire) -> Reading:
    wire = record(body.get("usage"))
    return Reading(
        usage=_usage(wire),
        model=name(body.get("model")),
        service_tier=tier(body, wire),
        is_regional=_is_regional(wire),
        extras=_advisors(wire),
        provider_cost_nanousd=provider_cost_nanousd(wire),
        odd=odd_counts(wire),
    )


def _is_regional(wire: Wire) -> bool | None:
    place = name(wire.get("inference_geo"))
    return None if place is None else place not in _ANYWHERE


def _usage(wire: Wire) -> Usage | None:
    usage = read_tokens(wire, cache_beside_input=True)
    if usage is None:
        return None
    # The top-level counts leave out what compacting the conversation consumed.
    for step in records(wire.get("iterations")):
        if step.get("type") == "compaction":
            usage = _sum(usage, read_tokens(step, cache_beside_input=True) or Usage())
    return usage


def _sum(usage: Usage, more: Usage) -> Usage:
    return replace(
        usage,
        input_tokens=usage.input_tokens + more.input_tokens,
        cached_tokens=usage.cached_tokens + more.cached_tokens,
        cache_write_tokens=usage.cache_write_tokens + more.cache_write_tokens,
        cache_write_long_tokens=usage.cache_write_long_tokens + more.cache_write_long_tokens,
        output_tokens=usage.output_tokens + more.output_tokens,
    )


def _advisors(wire: Wire) -> tuple[tuple[str, Usage], ...]:
    """Steps that another model took, which the top-level counts leave out too."""
    return tuple(
        (model, usage)
        for step in records(wire.get("iterations"))
        if step.get("type") == "advisor_message"
        and (model := name(step.get("model")))
        and (usage := read_tokens(step, cache_beside_input=True))
    )


def _fold(answer: Answer, event: Wire) -> Step:
    kind = event.get("type")
    if kind == "message_start":
        message = record(event.get("message"))
        keep_names(answer, message)
        answer[_OPENING] = record(message.get("usage"))
        return SILENT
    if kind in ("message_delta", "message"):
        keep_names(answer, event)
        _merge(answer, record(event.get("usage")))
        ended = record(event.get("delta")).get("stop_reason") or kind == "message"
        return CLOSING if ended and "usage" in answer else OUTPUT
    if kind == "message_stop":
        return FINAL if "usage" in answer else OUTPUT
    return OUTPUT if isinstance(kind, str) and kind.startswith("content_block") else SILENT


def _merge(answer: Answer, usage: Wire) -> None:
    if usage:
        known = {**record(answer.get(_OPENING)), **record(answer.get("usage"))}
        # Counts are cumulative: a zero after a count only says that the server does not repeat it.
        later = {key: value for key, value in usage.items() if value or (value == 0 and not known.get(key))}
        answer["usage"] = known | later


def _partial(answer: Wire) -> Usage | None:
    return _usage(record(answer.get(_OPENING)))


MESSAGES = Shape(read=_read, fold=_fold, partial=_partial, needles=(b"message_stop",))
