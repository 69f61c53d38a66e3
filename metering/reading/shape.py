"""What a family's reader consists of.

An answer in one piece is read by `read`. A stream is folded, event by event, into what it amounts to as an
answer in one piece (`fold` changes that answer and says what the event meant), and then read in the same way.
In mid-stream only events with a usage object, or with one of the family's own marks (`needles`, `keys`), are
worth parsing.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from metering.reading.values import Wire, count, name
from metering.usage import Reading, Usage

Answer = dict[str, object]

ANSWERS = " answers"
"""A key that no wire format has: how many answers one stream carries, where it is more than one."""

_FINISHED = " finished"
"""A key that no wire format has: which of the answers have said why they ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one event of a stream meant."""

    output: bool = False
    """The provider has begun to produce what it bills."""
    closing: bool = False
    """The usage that the answer holds now counts, unless another one follows before the stream's end."""
    final: bool = False
    """The usage that the answer holds now is the last one."""
    failed: bool = False
    """An error, where an answer was to come."""


SILENT = Step()
OUTPUT = Step(output=True)
CLOSING = Step(output=True, closing=True)
FINAL = Step(output=True, closing=True, final=True)
FAILED = Step(failed=True)


def _no_partial(_answer: Wire) -> Usage | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The reader of one API family."""

    read: Callable[[Wire], Reading]
    fold: Callable[[Answer, Wire], Step]
    partial: Callable[[Wire], Usage | None] = field(default=_no_partial)
    """What an unfinished stream has told of its usage, for an estimate to build on."""
    needles: tuple[bytes, ...] = ()
    """An event with one of these is parsed."""
    keys: tuple[bytes, ...] = ()
    """An event whose last such key is not null is parsed."""


def finish(answer: Answer, choices: Iterable[Wire], reason: str) -> None:
    """Remember which answers of a stream have ended, by the field that tells why."""
    for choice in choices:
        if choice.get(reason):
            done = answer.setdefault(_FINISHED, set())
            if isinstance(done, set):
                done.add(count(choice.get("index")) or 0)


def finished(answer: Answer) -> bool:
    """Whether as many answers of the stream have ended as were asked for."""
    done = answer.get(_FINISHED)
    return isinstance(done, set) and len(done) >= (count(answer.get(ANSWERS)) or 1)


def keep_names(answer: Answer, event: Wire) -> None:
    """Keep the model and the tier that an event names; the last one named counts."""
    for key in ("model", "service_tier"):
        if stated := name(event.get(key)):
            answer[key] = stated


def tier(body: Wire, usage: Wire) -> str | None:
    """The tier that served the call: beside the usage, or inside it (Anthropic, Mistral).

    Anthropic's fast mode is a `speed` beside its tiers; the price book has it as the fastest of them.
    """
    if name(usage.get("speed")) == "fast":
        return "ultrafast"
    return name(body.get("service_tier")) or name(usage.get("service_tier"))


def is_error(event: Wire) -> bool:
    """Whether an event or a body is an error rather than an answer."""
    return bool(event.get("error")) or event.get("type") == "error" or event.get("object") == "error"
