"""How the service logs: one line for each event, as text or as JSON, to standard output."""

import json
import logging
import sys
import traceback
from typing import IO

from metering.clock import now_us, rfc3339

_OURS = ("stats_service", "metering")
_FRAMES_MAX = 12


class TextFormat(logging.Formatter):
    """`2026-11-24T08:13:01Z info stats_service.access_log: …`."""

    def format(self, record: logging.LogRecord) -> str:
        head = f"{rfc3339(now_us())} {record.levelname.lower()} {record.name}: {record.getMessage()}"
        return "\n".join([head, *_failure(record)])


class JsonFormat(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": rfc3339(now_us()),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if failure := _failure(record):
            line["failure"] = failure
        return json.dumps(line, ensure_ascii=False)


def set_up(level: str, form: str, out: IO[str] | None = None) -> None:
    """Take over the root logger: WARNING for everybody but us."""
    handler = logging.StreamHandler(out or sys.stdout)
    handler.setFormatter(JsonFormat() if form == "json" else TextFormat())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in _OURS:
        logging.getLogger(name).setLevel(level.upper())


def _failure(record: logging.LogRecord) -> list[str]:
    """Type and places of an exception, never its text: that may hold what a client sent."""
    if not record.exc_info or record.exc_info[1] is None:
        return []
    failure = record.exc_info[1]
    frames = traceback.extract_tb(failure.__traceback__)[-_FRAMES_MAX:]
    return [
        type(failure).__qualname__,
        *(f"  {frame.filename}:{frame.lineno} {frame.name}" for frame in frames),
    ]
