"""Reads a streamed answer while it passes.

Nothing is delayed: without withholding, bytes go on as they came, chunk for chunk. With it, complete events
go on at once, and only the beginning of an event whose end has not come is held, since it might be the usage
chunk. Events are parsed until the answer has begun and its model is known; from then on only those that can
carry usage or an end. What was streamed is kept for an estimate, up to a bound, until a final usage makes it
worthless.

A stream that is cut is not ended: call `end` only where the upstream has ended its answer. Before a final
usage or the end, the reading has no usage; `partial_usage` tells what the stream has said so far.
"""

import json
import re
from collections import deque
from contextlib import suppress
from dataclasses import replace

from metering.asks import Family
from metering.reading.families import shape_of
from metering.reading.framing import JsonSplitter, parse, splitter_for
from metering.reading.shape import ANSWERS, Answer, is_error
from metering.reading.values import Wire, record
from metering.reading.withholding import is_usage_chunk, without_null_usage, without_null_usages
from metering.sse import EventSplitter, is_error_event
from metering.usage import Reading, Usage

KEPT_BYTES_MAX = 8 * 2**20

_USAGE_KEY = b'"usage"'
_IS_NULL = b":null"
_USAGE = re.compile(rb'"usage"\s*:\s*(?=\{)')
_NULL = re.compile(rb"\s*:\s*null\b")
_DONE = b"[DONE]"
_DONE_BYTES_MAX = 64
_WATCHED_EVENTS_MAX = 16
_ENDS_BYTES_MAX = 256 * 1024
_USAGE_BYTES_MAX = 16 * 1024
_KIND = re.compile(rb'(?:"type"\s*:\s*"|\Aevent: ?)([\w.]+)')


class StreamReader:
    """What one streamed answer says of itself, and what of it goes on to the client."""

    def __init__(self, family: Family | None, *, withhold_usage: bool, answers: int = 1) -> None:
        """`answers`: how many were asked for, so that the end of one is not taken for the end of all."""
        self._shape = shape_of(family)
        self._withholds = withhold_usage
        self._splitter: EventSplitter | JsonSplitter | None = None
        self._opening = b""
        self._answer: Answer = {ANSWERS: answers}
        self._failed = False
        self._watched = 0
        self._watching = True
        self._dropped = False
        self._ended = False
        self._is_closing = False
        self._torn = bytearray()
        self.saw_output = False
        self.usage_seen = False
        self.kept: list[bytes] = []
        self._kept_bytes = 0
        self.kept_truncated_bytes = 0
        """Size of the whole events that were not kept any more."""

    def feed(self, data: bytes) -> list[bytes]:
        """What goes on to the client now; `usage_seen` is set before the usage's bytes are in it."""
        if not data or self._ended:
            return [data] if data else []
        if self._splitter is None:
            self._opening += data
            self._splitter = splitter_for(self._opening)
            if self._splitter is None:
                return [] if self._withholds else [data]
        whole, self._opening = self._opening or data, b""
        passed = self._take(self._splitter, whole)
        if isinstance(self._splitter, JsonSplitter):
            return [whole if self._withholds else data]
        if not self._withholds:
            return [data]
        joined = b"".join(passed)
        return [joined] if joined else []

    def end(self) -> list[bytes]:
        """The upstream has ended its answer: what was held goes on, and the last usage stands."""
        if self._ended:
            return []
        self._ended = True
        held, self._opening = self._opening, b""
        if self._splitter is not None:
            events = self._splitter.finish()
            if self._splitter.torn or self._torn:
                passed = [self._pass_torn(event) for event in events]
                self._salvage()
            else:
                passed = [self._pass(self._splitter, event) for event in events]
            if isinstance(self._splitter, EventSplitter):
                held = b"".join(passed)
        if not self.usage_seen and self._shape.read(self._answer).usage is not None:
            self._settle()
        return [held] if held and self._withholds else []

    @property
    def reading(self) -> Reading:
        """What the answer has said of itself up to now; its usage only when it may be the last."""
        reading = self._shape.read(self._answer)
        return replace(
            reading,
            usage=reading.usage if self.usage_seen or self._is_closing else None,
            failed=self._failed and not self.saw_output,
        )

    @property
    def partial_usage(self) -> Usage | None:
        """What an unfinished stream has said of its usage: cumulative counts, its input, its tool calls."""
        return self._shape.read(self._answer).usage or self._shape.partial(self._answer)

    def _take(self, splitter: EventSplitter | JsonSplitter, data: bytes) -> list[bytes]:
        was_torn = splitter.torn
        if isinstance(splitter, EventSplitter) and (run := splitter.run(data)) is not None:
            passed_whole = self._pass_whole(run)
            if passed_whole is not None:
                return [passed_whole]
            events = splitter.split(run)
        else:
            events = splitter.feed(data)
        passed = []
        for index, event in enumerate(events):
            is_open = splitter.torn and index == len(events) - 1
            if not is_open and not was_torn:
                passed.append(self._pass(splitter, event))
                continue
            passed.append(self._pass_torn(event))
            if not is_open:
                self._salvage()
            was_torn = is_open
        return passed

    def _pass_whole(self, run: bytes) -> bytes | None:
        """What goes on of a run of events, of which none may matter; None where one may."""
        if not run:
            return run
        if self._watching or _DONE in run or any(needle in run for needle in self._shape.needles):
            return None
        for key in self._shape.keys:
            if run.count(key) != run.count(key + _IS_NULL):
                return None
        usages = run.count(_USAGE_KEY)
        if usages != run.count(_USAGE_KEY + _IS_NULL):
            return None
        passed = without_null_usages(run) if usages and self._withholds else run
        if passed is not None:
            self._keep(run)
            self._dropped = False
        return passed

    def _pass(self, splitter: EventSplitter | JsonSplitter, event: bytes) -> bytes:
        if event == b"\n":
            return b"" if self._dropped else event
        document = self._observe(splitter, event)
        self._keep(event)
        self._dropped = self._withholds and document is not None and is_usage_chunk(document)
        if self._dropped:
            return b""
        return without_null_usage(event) if self._withholds and b'"usage"' in event else event

    def _observe(self, splitter: EventSplitter | JsonSplitter, event: bytes) -> Wire | None:
        if not (self._watching or self._may_matter(event)):
            return None
        data = splitter.data(event)
        if data.startswith(_DONE):
            if not self.usage_seen and self._shape.read(self._answer).usage is not None:
                self._settle()
            return None
        document = parse(data) if data else None
        if not isinstance(document, dict):
            return None
        self._fold(document, is_error(document) or is_error_event(event))
        return document

    def _may_matter(self, event: bytes) -> bool:
        if len(event) <= _DONE_BYTES_MAX and _DONE in event:
            return True
        for needle in self._shape.needles:
            if needle in event:
                return True
        for key in self._shape.keys:
            if (found := event.rfind(key)) >= 0 and not _NULL.match(event, found + len(key)):
                return True
        found = event.find(_USAGE_KEY)
        return found >= 0 and _USAGE.search(event, found) is not None

    def _fold(self, document: Wire, is_an_error: bool) -> None:
        step = self._shape.fold(self._answer, document)
        if step.output and not is_an_error:
            self.saw_output = True
        elif is_an_error or step.failed:
            self._failed = True
        self._is_closing = self._is_closing or step.closing
        if step.final:
            self._settle()
        self._watched += 1
        named = "model" in self._answer or "modelVersion" in self._answer
        self._watching = not self.saw_output or not (named or self._watched >= _WATCHED_EVENTS_MAX)

    def _settle(self) -> None:
        self.usage_seen = True
        self.kept.clear()
        self._kept_bytes = 0

    def _keep(self, event: bytes) -> None:
        if self.usage_seen:
            return
        if self._kept_bytes + len(event) > KEPT_BYTES_MAX:
            self.kept_truncated_bytes += len(event)
            return
        self.kept.append(event)
        self._kept_bytes += len(event)

    def _pass_torn(self, piece: bytes) -> bytes:
        """A piece of an event that is too long to hold: only its two ends are remembered."""
        self._torn += piece
        if len(self._torn) > 16 * _ENDS_BYTES_MAX:
            self._torn = self._torn[:_ENDS_BYTES_MAX] + self._torn[-_ENDS_BYTES_MAX:]
        return piece

    def _salvage(self) -> None:
        """Read the usage at the end of an event that was too long to parse."""
        ends, self._torn = bytes(self._torn), bytearray()
        kind = _KIND.search(ends)
        document: dict[str, object] = {"type": kind[1].decode()} if kind else {}
        last = deque(_USAGE.finditer(ends), maxlen=1)
        if last:
            text = ends[last[0].end() :][:_USAGE_BYTES_MAX].decode("utf-8", "replace")
            with suppress(ValueError, RecursionError):
                usage, _ = json.JSONDecoder().raw_decode(text)
                document |= {"usage": record(usage), "response": {"usage": record(usage)}}
        self.saw_output = True
        self._fold(document, is_an_error=False)
