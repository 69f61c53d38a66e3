"""A call on its way, and what its end means for the money that is held for it.

A call ends once, whoever says so first: its answer is whole, the client left, the upstream broke off, our timer fired, we
shut down, or we have a fault. `end` says what is to be charged, and None to everybody who comes later; mitmproxy may
report two ends of one call, in any order.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from metering.asks import Ask, Family
from metering.charging import own_figure
from metering.entries import Admitted
from metering.estimates import Bound
from metering.limiters import Limiter
from metering.pricing import PriceRow
from metering.reading import StreamReader
from metering.usage import Reading


class End(Enum):
    """How a call ends."""

    ANSWERED = "answered"
    CLIENT_LEFT = "client left"
    UPSTREAM_BROKE = "upstream broke off"
    TIMED_OUT = "timed out"
    SHUTDOWN = "shutdown"
    FAULT = "fault"


class Verdict(Enum):
    """What happens to the hold."""

    REPORTED = "reported"
    """Charge what the answer says."""
    ESTIMATE = "estimate"
    """Charge the input and what was put out, counted by us."""
    ESTIMATE_OR_HOLD = "estimate or hold"
    """The same, but at least the hold: a part of the output was never seen."""
    HOLD = "hold"
    RELEASE = "release"


@dataclass(slots=True, eq=False, kw_only=True)
class Call:
    """One metered call, from its admission to its end."""

    limiter: Limiter
    admitted: Admitted
    endpoint: str
    family: Family | None
    ask: Ask | None
    """None where an endpoint is not metered and its body says nothing."""
    asked_model: str
    model: str
    """The asked model after the limiter's map: what it was priced as."""
    row: PriceRow | None
    """What it was priced by; at its end, the row of the model that the answer names, where there is one."""
    bound: Bound | None = None
    is_unmetered: bool
    user: str
    key: str
    is_known_key: Callable[[], bool]
    """Whether this client key has ever had a 2xx through this limiter; asked at the end, where it matters."""
    base_host: str
    body: bytes
    started_s: float
    parsed: Mapping[str, object] | None = None
    """The body as JSON, until it has been sent."""
    asks_for_stream: bool = False
    injected_usage: bool = False
    clamped_to: int | None = None
    is_sent: bool = False
    """The request has gone to the upstream as a whole."""
    status: int | None = None
    content_type: str = ""
    is_streamed: bool = False
    reader: StreamReader | None = None
    reading: Reading | None = None
    """What the whole answer, or the stream up to its usage, says of itself."""
    kept: bytes = b""
    """The body of a buffered answer that says nothing of its usage."""
    passed_bytes: int = 0
    """How much of a binary answer has gone to the client."""
    is_unread: bool = False
    """The answer is in a coding that is not known here, or not what its coding says."""
    ending: End | None = None
    duration_s: float = 0.0

    @property
    def said(self) -> Reading | None:
        """What the answer says of itself, as far as it has come."""
        return self.reader.reading if self.reading is None and self.reader is not None else self.reading

    @property
    def is_over(self) -> bool:
        """Whether the call has ended."""
        return self.ending is not None

    def end(self, ending: End) -> Verdict | None:
        """The call ends. None where it had ended before."""
        if self.ending is not None:
            return None
        self.ending = ending
        return verdict(self, ending)


def verdict(call: Call, ending: End) -> Verdict:
    """What is charged for a call that ends like this."""
    reading = call.said
    if reading is not None and (reading.usage is not None or own_figure(reading, call.base_host) is not None):
        return Verdict.REPORTED
    if call.status is not None and not 200 <= call.status < 300:
        return Verdict.RELEASE
    if reading is not None and reading.failed:
        return Verdict.RELEASE
    if call.status is not None and (ending is End.ANSWERED or _has_output(call)):
        return _estimate(call, ending)
    if not call.is_sent or ending is End.UPSTREAM_BROKE:
        return Verdict.RELEASE
    # A 2xx status is the upstream's word that it takes the key.
    if ending in (End.SHUTDOWN, End.FAULT) or call.status is not None or call.is_known_key():
        return Verdict.HOLD
    # A stranger who knows the code, but no key, must not burn the budget.
    return Verdict.RELEASE


def _has_output(call: Call) -> bool:
    if call.reader is not None:
        return call.reader.saw_output
    return call.passed_bytes > 0 or not call.is_streamed


def _estimate(call: Call, ending: End) -> Verdict:
    cut_unseen = call.is_unread or (ending is not End.ANSWERED and not call.is_streamed)
    hidden = call.row is not None and call.row.reasoning
    if call.ask is not None and (call.ask.hidden_input or call.ask.hosted_tools):
        # Most of what was billed is neither in the request nor in the answer.
        hidden = True
    return Verdict.ESTIMATE_OR_HOLD if cut_unseen or hidden else Verdict.ESTIMATE
