"""What the client did not ask for: the usage that the proxy requested, taken out of a stream to the byte.

Asked for usage, a chat stream has one more chunk (no `choices` in it, `usage` set) and `"usage":null` in all the
others. The first is dropped; the second is cut out of its event so that the rest stays as the upstream wrote
it.
"""

import re

from metering.reading.values import Wire

_KEY = b'"usage"'
_AT_THE_END = re.compile(rb',"usage":null((?:,"[^"\\\n]*":(?:"[^"\\\n]*"|[\w.+-]+))*\}\n\n)')
"""The member before none but plain ones, up to the end of its event: it stands at the top level."""
_FLAT_TAIL = re.compile(rb'(?:\s*,\s*"[^"\\]*"\s*:\s*(?:"[^"\\]*"|[\w.+-]+))*\s*}\s*\Z')
"""Plain members up to the end of an event: what stands before them is at the top level."""

_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]]', re.DOTALL)
_NULL = re.compile(rb"\s*:\s*null\b")
_COMMA_AFTER = re.compile(rb"\s*,\s*")


def is_usage_chunk(document: Wire) -> bool:
    """Whether the chunk carries usage and nothing to show: its choices are empty, null in some servers."""
    return document.get("choices", 0) in ([], None) and isinstance(document.get("usage"), dict)


def without_null_usage(event: bytes) -> bytes:
    """The event without a top-level `"usage": null`; unchanged if it has none."""
    last = event.rfind(_KEY)
    null = _NULL.match(event, last + len(_KEY)) if last > 0 else None
    if null and _FLAT_TAIL.match(event, null.end()):
        return _without(event, last, null.end())
    depth = 0
    for token in _TOKEN.finditer(event):
        if token[0] in (b"{", b"["):
            depth += 1
        elif token[0] in (b"}", b"]"):
            depth -= 1
        elif depth == 1 and token[0] == _KEY and (null := _NULL.match(event, token.end())):
            return _without(event, token.start(), null.end())
    return event


def without_null_usages(run: bytes) -> bytes | None:
    """The same of a run of events; None where each has to be looked at by itself."""
    cut, count = _AT_THE_END.subn(rb"\1", run)
    return cut if count == run.count(_KEY) else None


def _without(event: bytes, start: int, end: int) -> bytes:
    """The event without one member and one of the commas around it."""
    before = event[:start].rstrip()
    if before.endswith(b","):
        return before[:-1] + event[end:]
    if not before.endswith(b"{"):
        return event
    after = _COMMA_AFTER.match(event, end)
    return event[:start] + event[after.end() if after else end :]
