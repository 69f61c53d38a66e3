"""Responses, compaction included.

The terminal event of a stream holds the whole answer; all earlier ones have no usage, or zeros, and a tier that
is not yet decided. Some gateways name it in their own way, but then the answer's status tells. Finished tool
items are kept on the way, for streams that end without one.
"""

from metering.reading.costs import provider_cost_nanousd
from metering.reading.shape import FINAL, OUTPUT, SILENT, Answer, Shape, Step, keep_names, tier
from metering.reading.tokens import odd_counts, read_tokens
from metering.reading.tools import TOOL_ITEMS, image_usage, with_tool_calls
from metering.reading.values import Wire, name, record
from metering.usage import Reading, Usage

_TERMINAL = frozenset(
    {"response.completed", "response.incomplete", "response.failed", "response.cancelled", "response.done"}
)
_ENDED = frozenset({"completed", "incomplete", "failed", "cancelled"})
_BEFORE_OUTPUT = frozenset({"response.created", "response.queued", "response.in_progress"})
_KEPT = ("usage", "tool_usage", "tools", "status", "error")


def _read(body: Wire) -> Reading:
    wire = record(body.get("usage"))
    usage = read_tokens(wire)
    return Reading(
        usage=None if usage is None else with_tool_calls(usage, body),
        model=name(body.get("model")),
        service_tier=tier(body, wire),
        extras=image_usage(body),
        provider_cost_nanousd=provider_cost_nanousd(wire),
        odd=odd_counts(wire),
    )


def _fold(answer: Answer, event: Wire) -> Step:
    kind, inner = name(event.get("type")), record(event.get("response"))
    is_end = kind in _TERMINAL or name(inner.get("status")) in _ENDED
    if is_end or (kind is None and ("output" in event or "usage" in event)):
        return _end(answer, inner or event)
    if inner:
        keep_names(answer, inner)
    if kind == "response.output_item.done":
        _keep_item(answer, record(event.get("item")))
    if kind in _BEFORE_OUTPUT:
        return SILENT
    return OUTPUT if kind is not None and kind.startswith("response.") else SILENT


def _end(answer: Answer, body: Wire) -> Step:
    keep_names(answer, body)
    answer.update({key: body[key] for key in _KEPT if body.get(key) is not None})
    if output := body.get("output"):
        answer["output"] = output
    if read_tokens(record(body.get("usage"))) is not None:
        return FINAL
    failed = body.get("status") == "failed" or bool(body.get("error"))
    return Step(output=bool(output), failed=failed)


def _keep_item(answer: Answer, item: Wire) -> None:
    if name(item.get("type")) in TOOL_ITEMS:
        done = answer.setdefault("output", [])
        if isinstance(done, list):
            done.append({key: value for key, value in item.items() if key not in ("result", "results")})


def _partial(answer: Wire) -> Usage | None:
    calls = with_tool_calls(Usage(), answer)
    return calls if calls != Usage() else None


RESPONSES = Shape(
    read=_read,
    fold=_fold,
    partial=_partial,
    needles=(*(kind.encode() for kind in sorted(_TERMINAL)), b"response.output_item.done"),
)
