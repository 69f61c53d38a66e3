"""Calls from the database: pages of a limiter's newest, and one with all that is known of it."""

import dataclasses
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from metering.limiters import Limiter
from metering.usage import Usage
from stats_service.pages.calls import Call

_USAGE = tuple(one.name for one in dataclasses.fields(Usage))


@dataclass(frozen=True, slots=True)
class FullCall:
    """A call and what its cost was made of."""

    call: Call
    usage: Usage
    price_row: str
    provider_cost_nanousd: int | None


def newest(
    connection: sqlite3.Connection, limiter: Limiter, limit: int, before: int | None = None
) -> list[Call]:
    """Newest first; `before` is the id of a call that older ones are wanted of."""
    if before is None:
        found = connection.execute(_NEWEST, (limiter.key, limit))
    else:
        found = connection.execute(_OLDER, (limiter.key, before, limit))
    return [_call(limiter.id, row) for row in found]


def one(connection: sqlite3.Connection, limiter: Limiter, call_id: int) -> FullCall | None:
    """The call of this limiter with this id, if there is one."""
    row = connection.execute(_ONE, (call_id, limiter.key)).fetchone()
    if row is None:
        return None
    own = len(_COLUMNS)
    price_row, provider, *usage = row[own:]
    counted: Mapping[str, object] = dict(zip(_USAGE, usage, strict=True))
    return FullCall(_call(limiter.id, row[:own]), Usage(**counted), price_row, provider)  # type: ignore[arg-type]  # The table is STRICT.


def _call(limiter_id: str, row: tuple[object, ...]) -> Call:
    values = dict(zip(_COLUMNS, row, strict=True))
    for flag in ("streamed", "over_budget", "bound_exceeded"):
        values[flag] = bool(values[flag])
    values["cost_nanousd"] = values["cost_nanousd"] or 0
    return Call(limiter_id=limiter_id, **values)  # type: ignore[arg-type]  # The table is STRICT.


_COLUMNS = {
    "id": "id",
    "state": "state",
    "started_at_us": "admitted_at_us",
    "finished_at_us": "finished_at_us",
    "user": "user",
    "model_asked": "model",
    "model_served": "model_served",
    "endpoint": "endpoint",
    "status": "status",
    "streamed": "streamed",
    "prompt_tokens": "input_tokens",
    "cached_tokens": "cached_tokens",
    "completion_tokens": "output_tokens",
    "reasoning_tokens": "reasoning_tokens",
    "hold_nanousd": "hold_nanousd",
    "cost_nanousd": "cost_nanousd",
    "basis": "basis",
    "over_budget": "over_budget",
    "bound_exceeded": "bound_exceeded",
}
"""Field of a `Call` → column."""
_SELECT = ", ".join(_COLUMNS.values())
_NEWEST = f"select {_SELECT} from requests where limiter = ? order by admitted_at_us desc, id desc limit ?"
_OLDER = f"""
    select {_SELECT} from requests
    where limiter = ?1 and (admitted_at_us, id) < (select admitted_at_us, id from requests where id = ?2)
    order by admitted_at_us desc, id desc limit ?3"""
_ONE = f"""
    select {_SELECT}, price_row, provider_cost_nanousd, {", ".join(_USAGE)}
    from requests where id = ? and limiter = ?"""
