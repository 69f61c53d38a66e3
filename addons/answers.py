"""What becomes of an upstream's answer: streamed or held back, decoded, read, and given its budget headers.

A stream goes on event by event. A buffered answer waits until it is whole, because its headers tell what it cost.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import lru_cache

from mitmproxy import http

from addons import headers
from addons.calls import Call
from addons.codings import CodingError, decoder_for, is_coded
from addons.streams import Stream
from metering.asks import Family
from metering.clock import rfc3339
from metering.entries import Figures, Settlement
from metering.money import dollars
from metering.reading import StreamReader, read_answer

log = logging.getLogger(__name__)

_EVENTS = (
    "text/event-stream",
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/x-jsonlines",
    "application/stream+json",
)
_VAGUE = "application/octet-stream"
_BINARY = ("audio/", "video/", "image/", _VAGUE)
_LARGE_BYTES = 1_048_576
_BODILESS = (204, 304)
_ASKING_FIELD = b"stream_options"


def pass_through(flow: http.HTTPFlow, response: http.Response) -> None:
    """A free answer: cleaned headers, the body as it comes."""
    fields = headers.for_client(response.data.headers.fields)
    response.data.headers.fields = tuple(fields)
    response.stream = True
    if flow.request.method != "HEAD":
        _frame(response)


def begin(
    call: Call, response: http.Response, on_usage: Callable[[Call], None], on_break: Callable[[], None]
) -> None:
    """The headers of a metered answer have come."""
    wire = response.data
    call.status = wire.status_code
    call.content_type = wire.headers.get("content-type", "").lower()
    coding = wire.headers.get("content-encoding", "")
    fields = headers.for_client(wire.headers.fields)
    kind = _kind(call)
    if kind == "buffered":
        wire.headers.fields = tuple(fields)
        return
    call.is_streamed = True
    decode = decoder_for(coding) if is_coded(coding) else None
    is_readable = kind == "events" and (decode is not None or not is_coded(coding))
    call.is_unread = kind == "events" and not is_readable
    if is_readable:
        expected = 1 if call.ask is None else call.ask.answers
        call.reader = StreamReader(call.family, withhold_usage=call.injected_usage, answers=expected)
    if decode is not None:
        fields = headers.without(fields, b"content-encoding", b"content-length")
    elif call.injected_usage:
        fields = headers.without(fields, b"content-length")
    figures = Figures(call.admitted.budget_nanousd, call.admitted.used_nanousd, call.admitted.window)
    wire.headers.fields = tuple(fields + budget_fields(call, figures, None))
    _frame(response)
    response.stream = Stream(call, decode, on_usage, on_break)


def read(call: Call, response: http.Response) -> Awaitable[None] | None:
    """A buffered answer is whole: read what it says of itself, and leave a body that the client can read.

    What is too large for that is read in a thread: then there is something to await.
    """
    wire = response.data
    body = wire.content or b""
    coding = wire.headers.get("content-encoding", "")
    call.is_unread = is_coded(coding)
    if call.is_unread and (decode := decoder_for(coding)) is not None:
        try:
            body = wire.content = decode(body)
            wire.headers.fields = tuple(headers.without(wire.headers.fields, b"content-encoding"))
            call.is_unread = False
        except CodingError as wrong:
            log.warning("An answer is not what its content-encoding says: %s.", wrong)
    if len(body) > _LARGE_BYTES:
        return asyncio.to_thread(_read, call, body)
    _read(call, body)
    return None


def _read(call: Call, body: bytes) -> None:
    call.reading = read_answer(call.family, call.status or 0, call.content_type, body)
    call.kept = body if call.reading.usage is None else b""


def finish(
    call: Call, response: http.Response, figures: Figures | None, settlement: Settlement | None
) -> None:
    """Give a buffered answer its length and its budget headers."""
    wire = response.data
    fields = headers.without(wire.headers.fields, b"content-length", b"transfer-encoding")
    if wire.status_code not in _BODILESS:
        fields.append((b"content-length", b"%d" % len(wire.content or b"")))
    cost_nanousd = None if settlement is None else settlement.cost_nanousd
    wire.headers.fields = tuple(fields + budget_fields(call, figures, cost_nanousd))


def refuses_usage(call: Call) -> bool:
    """Whether the upstream has refused the field that asks for usage."""
    return call.injected_usage and call.status in (400, 422) and _ASKING_FIELD in call.kept


def budget_fields(call: Call, figures: Figures | None, cost_nanousd: int | None) -> list[tuple[bytes, bytes]]:
    """`x-budget-…` and `x-request-cost`; without amounts where the limiter hides them."""
    fields = []
    if call.clamped_to is not None:
        fields.append((b"x-budget-clamped", b"%d" % call.clamped_to))
    if figures is not None:
        if not call.limiter.hide_amounts:
            left = max(0, figures.budget_nanousd - figures.used_nanousd)
            fields.append((b"x-budget-limit", _amount(figures.budget_nanousd)))
            fields.append((b"x-budget-remaining", dollars(left).encode()))
        fields.append((b"x-budget-reset", _moment(figures.window.end_us)))
    if cost_nanousd is not None and not call.limiter.hide_amounts:
        fields.append((b"x-request-cost", dollars(cost_nanousd).encode()))
    return fields


@lru_cache(maxsize=1_024)
def _amount(nanousd: int) -> bytes:
    """Budgets are the same from call to call, as the ends of windows are."""
    return dollars(nanousd).encode()


@lru_cache(maxsize=1_024)
def _moment(us: int) -> bytes:
    return rfc3339(us).encode()


def _kind(call: Call) -> str:
    if call.status is None or not 200 <= call.status < 300:
        return "buffered"
    if call.content_type.startswith(_EVENTS):
        return "events"
    if call.content_type.startswith(_BINARY) and not _is_mislabelled(call):
        return "binary"
    # Gemini streams an array of JSON objects, and some upstreams name no type for events, or a wrong one. What is one
    # object all the same is read as one.
    return "events" if call.asks_for_stream else "buffered"


def _is_mislabelled(call: Call) -> bool:
    """Bytes of no type, where only speech is not text: some gateways name no other type for anything."""
    return call.content_type.startswith(_VAGUE) and call.family not in (None, Family.SPEECH)


def _frame(response: http.Response) -> None:
    """A streamed answer without a length is sent in chunks, so that its end can be told from a break."""
    given = response.data.headers
    if "content-length" in given or "transfer-encoding" in given or response.data.status_code in _BODILESS:
        return
    given["transfer-encoding"] = "chunked"
