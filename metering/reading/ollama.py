"""Ollama's own API: one JSON object a line, the counts in the last one. A prompt served from cache has no
count.
"""

from metering.reading.shape import FINAL, OUTPUT, SILENT, Answer, Shape, Step, keep_names
from metering.reading.tokens import odd_counts
from metering.reading.values import Wire, count, name, record
from metering.usage import Reading, Usage

_COUNTS = ("prompt_eval_count", "eval_count")


def _read(body: Wire) -> Reading:
    taken, given = (count(body.get(key)) for key in _COUNTS)
    usage = None
    if taken is not None or given is not None:
        usage = Usage(input_tokens=taken or 0, output_tokens=given or 0)
    return Reading(usage=usage, model=name(body.get("model")), odd=odd_counts(body))


def _fold(answer: Answer, event: Wire) -> Step:
    keep_names(answer, event)
    answer.update({key: event[key] for key in _COUNTS if count(event.get(key)) is not None})
    if event.get("done") is True and any(key in answer for key in _COUNTS):
        return FINAL
    message = record(event.get("message"))
    spoken = any(value for key, value in message.items() if key != "role")
    return OUTPUT if spoken or event.get("response") or event.get("thinking") else SILENT


OLLAMA = Shape(read=_read, fold=_fold, needles=(b'"done":true', b'"done": true', b"eval_count"))
