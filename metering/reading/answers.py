"""Reads an answer that is there in one piece: a JSON document, or the whole body of a stream."""

import re
from dataclasses import replace

from metering.asks import Family
from metering.reading.families import shape_of
from metering.reading.framing import parse
from metering.reading.generic import GENERIC
from metering.reading.shape import is_error
from metering.reading.stream import StreamReader
from metering.sse import BOM
from metering.usage import Reading

_FIRST_ERROR_STATUS = 400
_EVENT_FIELD = re.compile(rb"(?:data|event|id|retry)?:")
_LOOKED_AT_BYTES = 4096


def read_answer(family: Family | None, status: int, content_type: str, body: bytes) -> Reading:
    """What the answer says of itself. Never raises; bodies that are neither JSON nor events say nothing."""
    failed = status >= _FIRST_ERROR_STATUS
    # Gateways send blanks for as long as they wait for a model.
    start = body.removeprefix(BOM).lstrip()[:_LOOKED_AT_BYTES]
    if start[:1] == b"{" and isinstance(document := parse(body), dict):
        reading = shape_of(family).read(document)
        if reading.usage is None:
            # An answer in another shape than its path promises.
            general = GENERIC.read(document)
            reading = general if general.usage is not None else reading
        if failed or (reading.usage is None and is_error(document)):
            reading = replace(reading, failed=True)
        return reading
    is_stream = content_type.lower().startswith("text/event-stream") or start[:1] in (b"{", b"[")
    if not is_stream and not _EVENT_FIELD.match(start):
        return Reading(failed=failed)
    reader = StreamReader(family, withhold_usage=False)
    reader.feed(body)
    reader.end()
    return replace(reader.reading, failed=failed or reader.reading.failed)
