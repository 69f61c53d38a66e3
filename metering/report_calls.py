"""Pages of a limiter's calls, newest first, along an index: a page costs the same however long the history is."""

import sqlite3
from dataclasses import dataclass

from metering.limiters import Limiter


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRow:
    """One call as its row tells; cost and end are None while it is in flight."""

    id: int
    started_at_us: int
    finished_at_us: int | None
    user: str
    model_asked: str
    model_served: str | None
    endpoint: str
    status: int | None
    streamed: bool
    state: str
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    hold_nanousd: int
    cost_nanousd: int | None
    basis: str | None
    over_budget: bool
    bound_exceeded: bool

    @property
    def model(self) -> str:
        """The one that served it, once that is known."""
        return self.model_served or self.model_asked


@dataclass(frozen=True, slots=True)
class CallPage:
    """Some calls, and the id that older ones are asked for with."""

    calls: list[CallRow]
    following: int | None


def page_of_calls(
    connection: sqlite3.Connection, limiter: Limiter, limit: int, before: int | None = None
) -> CallPage:
    """The newest calls, or those before the call with this id. One that is not known has none before it."""
    # One more than wanted tells whether there are others.
    if before is None:
        found = connection.execute(_NEWEST, (limiter.key, limit + 1)).fetchall()
    else:
        found = connection.execute(_OLDER, (limiter.key, before, limit + 1)).fetchall()
    calls = [call_of(row) for row in found[:limit]]
    return CallPage(calls, calls[-1].id if len(found) > limit else None)


def call_of(row: tuple[object, ...]) -> CallRow:
    """The call that a row of `COLUMNS` is."""
    values = dict(zip(CallRow.__dataclass_fields__, row, strict=True))
    for flag in ("streamed", "over_budget", "bound_exceeded"):
        values[flag] = bool(values[flag])
    return CallRow(**values)  # type: ignore[arg-type]  # The table is STRICT.


COLUMNS = """id, admitted_at_us, finished_at_us, user, model, model_served, endpoint, status, streamed, state, input_tokens,
    cached_tokens, output_tokens, reasoning_tokens, hold_nanousd, cost_nanousd, basis, over_budget, bound_exceeded"""
_SELECT = f"select {COLUMNS} from requests where limiter = ?1"
_NEWEST = f"{_SELECT} order by admitted_at_us desc, id desc limit ?2"
_OLDER = f"""
    {_SELECT} and (admitted_at_us, id) < (select admitted_at_us, id from requests where id = ?2 and limiter = ?1)
    order by admitted_at_us desc, id desc limit ?3"""
