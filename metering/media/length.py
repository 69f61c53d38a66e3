"""How long audio is: what its header says, and what its contents play.

A header may lie, and a stranger's file that says one second may hold an hour. So the frames, packets or samples are
counted wherever the container allows it. Where they cannot be counted, only the header's word is known, and nothing
bounds the length.
"""

from dataclasses import dataclass
from typing import TypeGuard

_DAYS_MS = 30 * 86_400_000
"""No upload that a provider takes is longer; a header that says more is wrong."""
_AGREED_MS = 1_000
"""Encoders pad the first and the last frame and state the length without the padding."""


@dataclass(frozen=True, slots=True)
class Length:
    """In milliseconds, rounded up."""

    ms: int
    """What the file most likely plays."""
    most_ms: int | None
    """What it plays at most; None where nothing in it proves that."""


class Overfull(ValueError):
    """More frames than a recording of this size has: a file that is made to be counted."""


def length_of(stated_ms: int | None, counted_ms: int | None) -> Length | None:
    """The length by a header and by a count of the contents, each None where there is none; None where neither tells."""
    stated, counted = (ms if is_possible(ms) else None for ms in (stated_ms, counted_ms))
    if counted is None:
        return None if stated is None else Length(stated, None)
    if stated is None:
        return Length(counted, counted)
    is_agreed = abs(stated - counted) <= _AGREED_MS
    return Length(stated if is_agreed else counted, max(stated, counted))


def is_possible(ms: int | None) -> TypeGuard[int]:
    """Whether an upload can be so long."""
    return ms is not None and 0 < ms <= _DAYS_MS


def ms_of(units: int, per_second: int) -> int | None:
    """Milliseconds of so many samples or ticks, rounded up; None where there is no rate."""
    return -(-units * 1_000 // per_second) if per_second else None
