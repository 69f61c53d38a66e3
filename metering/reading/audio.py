"""Speech and transcription.

Speech states its usage in an event stream only, and all it puts out is audio. Transcriptions are billed by
tokens or by time: `usage.seconds` is the billed time, the `duration` of a verbose answer the next best.
"""

from dataclasses import replace

from metering.reading.costs import provider_cost_nanousd
from metering.reading.shape import FINAL, OUTPUT, SILENT, Answer, Shape, Step, keep_names, tier
from metering.reading.tokens import odd_counts, read_tokens
from metering.reading.values import Wire, milliseconds, name, record
from metering.usage import Reading, Usage


def _read_transcript(body: Wire) -> Reading:
    wire = record(body.get("usage")) or record(record(body.get("x_groq")).get("usage"))
    usage = read_tokens(wire)
    spoken_ms = milliseconds(body.get("duration"))
    if spoken_ms is not None and not (usage and usage.duration_ms):
        usage = replace(usage or Usage(), duration_ms=spoken_ms)
    return _reading(body, wire, usage)


def _read_speech(body: Wire) -> Reading:
    wire = record(body.get("usage"))
    usage = read_tokens(wire)
    if usage is not None and not usage.output_audio_tokens:
        usage = replace(usage, output_audio_tokens=usage.output_tokens)
    return _reading(body, wire, usage)


def _reading(body: Wire, wire: Wire, usage: Usage | None) -> Reading:
    return Reading(
        usage=usage,
        model=name(body.get("model")),
        service_tier=tier(body, wire),
        provider_cost_nanousd=provider_cost_nanousd(wire),
        odd=odd_counts(wire),
    )


def _fold(answer: Answer, event: Wire) -> Step:
    """`speech.audio.delta` … `speech.audio.done`, `transcript.text.delta` … `transcript.text.done`."""
    keep_names(answer, event)
    kind = event.get("type")
    answer.update({key: event[key] for key in ("usage", "duration") if event.get(key) is not None})
    if "usage" in event and read_tokens(record(event.get("usage"))) is not None:
        return FINAL
    return OUTPUT if kind or event.get("text") else SILENT


TRANSCRIPT = Shape(read=_read_transcript, fold=_fold, needles=(b'.done"', b'"duration"'))
SPEECH = Shape(read=_read_speech, fold=_fold, needles=(b'.done"',))
