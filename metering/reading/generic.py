"""Answers of no known family: the shape is told from the keys, event by event.

What fits no shape is read by the general rule: the last usage object on the wire, at the top level, in a
`response`, a `message`, a `delta`, Gemini's `interaction` or Cloudflare's `result`, in Cohere's `billed_units` or Groq's `x_groq`.
"""

from collections.abc import Callable

from metering.reading.audio import SPEECH, TRANSCRIPT
from metering.reading.chat import CHAT
from metering.reading.gemini import GEMINI
from metering.reading.images import IMAGES
from metering.reading.messages import MESSAGES
from metering.reading.ollama import OLLAMA
from metering.reading.responses import RESPONSES
from metering.reading.shape import OUTPUT, SILENT, Answer, Shape, Step, keep_names
from metering.reading.tokens import read_tokens
from metering.reading.values import Wire, record
from metering.usage import Reading, Usage

_SHAPE = " shape"
"""A key that no wire format has: the shape that the events of a stream showed."""


def _typed(*beginnings: str) -> Callable[[Wire], bool]:
    def fits(event: Wire) -> bool:
        kind = event.get("type")
        return isinstance(kind, str) and kind.startswith(beginnings)

    return fits


def _has(*keys: str) -> Callable[[Wire], bool]:
    return lambda event: any(key in event for key in keys)


_SHAPES: tuple[tuple[Callable[[Wire], bool], Shape], ...] = (
    (_typed("response."), RESPONSES),
    (_typed("message_", "content_block"), MESSAGES),
    (lambda event: event.get("type") == "message", MESSAGES),
    (_typed("speech."), SPEECH),
    (_typed("transcript."), TRANSCRIPT),
    (_typed("image_generation.", "image_edit."), IMAGES),
    (lambda event: event.get("object") in ("response", "response.compaction"), RESPONSES),
    (_has("choices", "x_groq"), CHAT),
    (_has("usageMetadata", "candidates"), GEMINI),
    (_has("prompt_eval_count", "eval_count"), OLLAMA),
)


def _shape_of(event: Wire) -> Shape | None:
    return next((shape for fits, shape in _SHAPES if fits(event)), None)


def _read(body: Wire) -> Reading:
    shape = body.get(_SHAPE)
    if not isinstance(shape, Shape):
        shape = _shape_of(body)
    return (shape or _PLAIN).read(body)


def _fold(answer: Answer, event: Wire) -> Step:
    shape = _shape_of(event)
    if shape is None:
        return _plain_fold(answer, event)
    answer[_SHAPE] = shape
    return shape.fold(answer, event)


def _partial(answer: Wire) -> Usage | None:
    shape = answer.get(_SHAPE)
    return shape.partial(answer) if isinstance(shape, Shape) else None


_PLACES = ("response", "message", "delta", "interaction", "result")


def _plain_usage(body: Wire) -> Wire:
    for place in (body, *(record(body.get(key)) for key in _PLACES)):
        usage = record(place.get("usage"))
        if read_tokens(usage) is not None or "cost_in_usd_ticks" in usage or "cost" in usage:
            return usage
        if units := record(usage.get("billed_units")) or record(
            record(place.get("meta")).get("billed_units")
        ):
            return units
    return {}


def _plain_read(body: Wire) -> Reading:
    return CHAT.read({**body, "usage": _plain_usage(body)})


def _plain_fold(answer: Answer, event: Wire) -> Step:
    """No finality here: what an unknown stream says last is known at its end."""
    keep_names(answer, event)
    if usage := _plain_usage(event):
        answer["usage"] = usage
    return OUTPUT if event else SILENT


_PLAIN = Shape(read=_plain_read, fold=_plain_fold)

GENERIC = Shape(
    read=_read,
    fold=_fold,
    partial=_partial,
    needles=tuple(
        dict.fromkeys([b'"billed_units"', *(mark for _, shape in _SHAPES for mark in shape.needles)])
    ),
    keys=CHAT.keys,
)
