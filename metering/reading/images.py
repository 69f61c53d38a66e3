"""Images: generations, edits and variations. Models priced by the image state no usage: None, not an empty
one.

Replies have no model; an SVG made on the way is billed under a name of its own.
"""

from dataclasses import replace

from metering.reading.costs import provider_cost_nanousd
from metering.reading.shape import CLOSING, OUTPUT, SILENT, Answer, Shape, Step, keep_names, tier
from metering.reading.tokens import odd_counts, read_tokens
from metering.reading.tools import as_image_output
from metering.reading.values import Wire, count, name, record
from metering.usage import Reading, Usage

_MADE = " made"
"""A key that no wire format has: how many images a stream has completed."""
_KEPT = ("size", "quality", "svg_usage")


def _read(body: Wire) -> Reading:
    wire = record(body.get("usage"))
    usage = read_tokens(wire)
    return Reading(
        usage=None if usage is None else _with_images(as_image_output(usage, wire), body),
        model=name(body.get("model")),
        service_tier=tier(body, wire),
        extras=_svg(record(body.get("svg_usage"))),
        provider_cost_nanousd=provider_cost_nanousd(wire),
        odd=odd_counts(wire),
    )


def _with_images(usage: Usage, body: Wire) -> Usage:
    made = body.get("data")
    images = len(made) if isinstance(made, list) else count(body.get(_MADE)) or 0
    return replace(
        usage, images=images, image_size=name(body.get("size")), image_quality=name(body.get("quality"))
    )


def _svg(wire: Wire) -> tuple[tuple[str, Usage], ...]:
    model, usage = name(wire.get("model")), read_tokens(wire)
    return ((model, usage),) if model and usage else ()


def _fold(answer: Answer, event: Wire) -> Step:
    kind = event.get("type")
    keep_names(answer, event)
    if isinstance(kind, str) and kind.endswith(".partial_image"):
        return OUTPUT
    if isinstance(kind, str) and kind.endswith(".completed"):
        answer[_MADE] = (count(answer.get(_MADE)) or 0) + 1
    elif "data" not in event and "usage" not in event:
        return SILENT
    answer.update({key: event[key] for key in (*_KEPT, "data") if event.get(key) is not None})
    if read_tokens(record(event.get("usage"))) is None:
        return OUTPUT
    answer["usage"] = event["usage"]
    return CLOSING


IMAGES = Shape(read=_read, fold=_fold, needles=(b'.completed"',))
