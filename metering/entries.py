"""What goes into the ledger and what it answers: the facts of one call, at its admission and at its end.

An admission is answered by `Admitted` (money is held) or `Refused` (with the facts that a message needs). What a
settle or a release did is an `Outcome`: neither ever refuses.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NamedTuple, Protocol

from metering.facts import fact
from metering.periods import Period, Window
from metering.usage import Usage

Mode = Literal["soft", "strict", "observe", "free"]
Basis = Literal["reported", "estimated", "fallback", "unmetered"]
RefusalCode = Literal["budget_exceeded", "limiter_inactive", "limiter_not_found", "limiter_changed"]


class LearnedLike(Protocol):
    """The moving averages that a settle stores for a limiter and model."""

    @property
    def output_tokens(self) -> int: ...

    @property
    def input_ratio_ppm(self) -> int: ...


class LearnedFigures(NamedTuple):
    """The moving averages as stored: output tokens a call, input tokens per million bytes of body."""

    output_tokens: int
    input_ratio_ppm: int


@fact
class Admission:
    """A call that asks to go upstream, priced by its caller."""

    limiter_key: int
    limiter_version: int
    """The version that the caller priced with; another one is answered by `limiter_changed`."""
    user: str
    model: str
    endpoint: str
    streamed: bool = False
    hold_nanousd: int
    at_least_nanousd: int | None = None
    """Strict alone: the smallest hold that still makes sense. None: the whole hold must fit."""
    mode: Mode = "soft"
    price_row: str = ""
    unmetered: bool = False
    """The call cannot be metered and its limiter allows that: the row's basis says so from the start."""


@fact
class Admitted:
    """The money is held, durably."""

    request_id: int
    admitted_at_us: int
    window: Window
    period: Period
    budget_nanousd: int
    used_nanousd: int
    """Spent and held in the window, this hold included."""
    held_nanousd: int
    """What is held for this call: in strict, possibly less than was asked."""
    over_budget: bool = False
    """Observe alone: soft would have refused the call."""


@fact
class Refused:
    """Nothing is held. Amounts, period and window are those that the decision saw (budget_exceeded only)."""

    code: RefusalCode
    budget_nanousd: int = 0
    used_nanousd: int = 0
    period: Period | None = None
    window: Window | None = None
    hold_nanousd: int = 0
    at_least_nanousd: int | None = None
    mode: Mode = "soft"
    at_us: int = 0
    """When it was decided, so that `Retry-After` counts from the same moment."""


@fact
class Settlement:
    """The end of a call that is to be charged."""

    request_id: int
    cost_nanousd: int
    basis: Basis
    usage: Usage
    model_served: str | None = None
    price_row: str | None = None
    """None keeps the row that the admission named."""
    status: int | None = None
    provider_cost_nanousd: int | None = None
    learned: LearnedLike | None = None


class Outcome(StrEnum):
    """What a settle or a release did."""

    SETTLED = "settled"
    SETTLED_LATE = "settled_late"
    """The hold had expired; the reported cost replaced it."""
    RELEASED = "released"
    UNCHANGED = "unchanged"
    """The request was resolved before, in a state that this call may not change."""
    UNKNOWN = "unknown"
    """There is no such request."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What is known of a limiter's current window."""

    budget_nanousd: int
    used_nanousd: int
    window: Window
