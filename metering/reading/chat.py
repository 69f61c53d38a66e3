"""Chat completions and legacy completions, as all the compatible providers send them.

In a stream the last usage that is not null counts, whether its chunk has choices or not; usage in every chunk
is cumulative. It is final in a chunk without choices, or once a choice has finished.
"""

from metering.reading.costs import provider_cost_nanousd
from metering.reading.shape import FINAL, OUTPUT, SILENT, Answer, Shape, Step, keep_names, tier
from metering.reading.tokens import read_tokens
from metering.reading.values import Wire, name, record, records
from metering.usage import Reading

_FINISHED = " finished"
"""A key that no wire format has: some choice said why it ended."""


def _read(body: Wire) -> Reading:
    usage = _usage(body)
    return Reading(
        usage=read_tokens(usage),
        model=name(body.get("model")),
        service_tier=tier(body, usage),
        provider_cost_nanousd=provider_cost_nanousd(usage),
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
    if any(name(choice.get("finish_reason")) for choice in choices):
        answer[_FINISHED] = True
    usage = _usage(event)
    if read_tokens(usage) is not None:
        answer["usage"] = usage
        if not choices or _FINISHED in answer:
            return FINAL
    elif usage:
        # A cost without tokens is worth knowing, but no usage.
        answer.setdefault("usage", usage)
    return OUTPUT if any(map(_is_output, choices)) else SILENT


def _is_output(choice: Wire) -> bool:
    delta = record(choice.get("delta")) or record(choice.get("message"))
    spoken = any(value for key, value in delta.items() if key not in ("role", "token_id"))
    return spoken or bool(choice.get("text")) or bool(name(choice.get("finish_reason")))


CHAT = Shape(read=_read, fold=_fold, keys=(b'"finish_reason"',))
