"""What the proxy writes: one line for each call, warnings, and nothing that anybody could use.

Never an API key, a limiter's code, a prompt or an answer. mitmproxy writes unfinished headers and whole messages into its own
lines, so the root logger starts at WARNING, and of an exception only its type and its places in the source are
written, unless its text is ours. What is left goes through a filter that takes out whatever looks like a key.
"""

import json
import logging
import re
import sys
import traceback
from collections.abc import Mapping
from functools import lru_cache
from typing import IO

from metering.clock import now_us, rfc3339
from metering.errors import MeteringError

CALLS = logging.getLogger("calls")
_OURS = ("addons", "metering", "calls")
_LEVELS = {"debug", "info", "warning", "error", "critical"}
_SECRETS = re.compile(
    r"(?i)(bearer\s+)[^\s'\",]+"
    r"|((?:proxy-)?authorization|x?-?(?:goog-)?api[-_]?key|cookie)(['\"]?\s*[:=,]\s*(?:b?['\"])?)(?:(?:bearer|basic)\s+)?[^\s'\",]+"
    r"|\b((?:sk|rk|pk|gsk|xai|key)-)[\w-]{8,}"
    r"|([?&](?:key|api[-_]?key|token)=)[^&\s'\"]+"
    r"|(/v1/)[a-z2-7]{26}"
    r"|(?<![\w-])[a-z2-7]{26}(?![\w-])"
)
_FINGERPRINT = re.compile(r"key-[0-9a-f]{12}\Z")


def redacted(text: str) -> str:
    """The text without what looks like a key."""
    return _SECRETS.sub(_blank, text)


def _blank(found: re.Match[str]) -> str:
    # The fingerprint of a key is made to be shown.
    if found[4] and _FINGERPRINT.match(found[0]):
        return found[0]
    return "".join(group for group in found.groups() if group) + "…"


class TextFormat(logging.Formatter):
    """`2026-11-24T08:13:01Z warning addons.limiter: …`, with the facts of a call as `name=value`."""

    def format(self, record: logging.LogRecord) -> str:
        facts: Mapping[str, object] | None = getattr(record, "facts", None)
        text = redacted(record.getMessage())
        if facts:
            text = " ".join([text, *(f"{name}={_plain(value)}" for name, value in facts.items())])
        lines = [f"{_moment()} {record.levelname.lower()} {record.name}: {text}", *_failure(record)]
        return "\n".join(lines)


class JsonFormat(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": _moment(),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        line["message"] = redacted(record.getMessage())
        facts: Mapping[str, object] = getattr(record, "facts", None) or {}
        line.update({name: _shown(value) for name, value in facts.items()})
        if failure := _failure(record):
            line["failure"] = failure
        return json.dumps(line, ensure_ascii=False)


def set_up(level: str, form: str, out: IO[str] | None = None) -> logging.Handler:
    """Take over the root logger: our handler, our format, WARNING for everybody but us."""
    handler = logging.StreamHandler(out or sys.stdout)
    handler.setFormatter(JsonFormat() if form == "json" else TextFormat())
    root = logging.getLogger()
    for other in list(root.handlers):
        # mitmproxy's terminal log would write the same lines without our care. Its error check stays.
        if type(other).__name__ in ("TermLogHandler", "_Ours") or isinstance(other, type(handler)):
            root.removeHandler(other)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    # What it has to say of a form is told to the client; here anybody could fill the log with it.
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)
    wanted = level.upper() if level.lower() in _LEVELS else "INFO"
    for name in _OURS:
        logging.getLogger(name).setLevel(wanted)
    return handler


def _moment() -> str:
    return rfc3339(now_us())


def _shown(value: object) -> object:
    """A client names its user, its model and its path as it likes: they are no place for a key either."""
    return _redacted_once(value) if isinstance(value, str) else value


# The same few names stand in line after line.
_redacted_once = lru_cache(maxsize=4_096)(redacted)


def _plain(value: object) -> str:
    return _quoted(_redacted_once(value)) if isinstance(value, str) else str(value)


@lru_cache(maxsize=4_096)
def _quoted(text: str) -> str:
    return text if text and text.isprintable() and not set(text) & set(' "=') else json.dumps(text)


def _failure(record: logging.LogRecord) -> list[str]:
    """Type and places of an exception; its text only where it is ours."""
    lines = []
    if record.exc_info and record.exc_info[1] is not None:
        failure = record.exc_info[1]
        text = f": {redacted(str(failure))}" if isinstance(failure, MeteringError) else ""
        lines.append(f"{type(failure).__qualname__}{text}")
        frames = traceback.extract_tb(failure.__traceback__)[-12:]
        lines += [f"  {frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    return lines
