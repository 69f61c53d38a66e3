"""Chat completions and legacy completions, as all the compatible providers send them.

In a stream the last usage that is not null counts, whether its chunk has choices or not; usage in every chunk
is cumulative. It is the last one in a chunk without choices that comes after output; one that comes with the
finish itself may be repeated, or corrected, behind it.
"""

from metering.reading.costs import provider_cost_nanousd
from metering.reading.shape import (
    CLOSING,
    FINAL,
    OUTPUT,
    SILENT,
    Answer,
    Shape,
    Step,
    finish,
    finished,
    keep_names,
    tier,
)
from metering.reading.tokens import odd_counts, read_tokens
from metering.reading.values import Wire, name, record, records
from metering.usage import Reading

_SPOKEN = " spoken"
"""A key that no wire format has: some chunk has had output."""


def _read(body: Wire) -> Reading:
    usage = _usage(body)
    return Reading(
        usage=read_tokens(usage),
        model=name(body.get("model")),
        service_tier=tier(body, usage),
        provider_cost_nanousd=provider_cost_nanousd(usage),
        odd=odd_counts(usage),
    )


def _usage(body: Wire) -> Wire:
    """The usage object: Groq has had it under `x_groq` alone, Moonshot in the choice that ends."""
    if usage := record(body.get("usage")):
        return usage
    if usage := record(record(body.get("x_groq")).get("usage")):
        return usage
    return next(
        (usage for choice in records(body.get("choices")) if (usage := record(choice.get("usage")))), {}
    )


def _fold(answer: Answer, event: Wire) -> Step:
    keep_names(answer, event)
    choices = list(records(event.get("choices")))
    finish(answer, choices, "finish_reason")
    usage = _usage(event)
    if read_tokens(usage) is not None:
        answer["usage"] = usage
        if not choices and (finished(answer) or _SPOKEN in answer):
            return FINAL
        if finished(answer):
            return CLOSING
    elif usage:
        # A cost without tokens is worth knowing, but no usage.
        answer.setdefault("usage", usage)
    if any(map(_is_output, choices)):
        answer[_SPOKEN] = True
        return OUTPUT
    return SILENT


def _is_output(choice: Wire) -> bool:
    delta = record(choice.get("delta")) or record(choice.get("message"))
    spoken = any(value for key, value in delta.items() if key not in ("role", "token_id"))
    return spoken or bool(choice.get("text")) or bool(name(choice.get("finish_reason")))


CHAT = Shape(read=_read, fold=_fold, keys=(b'"finish_reason"',))
