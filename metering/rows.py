"""The requests table: one row per call, inserted held, resolved once, and once more from expired to settled.

Each change names the state that it starts from, so that a row which somebody else resolved is left alone. A count or an
amount that no database column could hold is cut to what it can: the end of a call must always be recordable.
"""

import sqlite3
from dataclasses import fields
from operator import attrgetter
from typing import NamedTuple

from metering.entries import Admission, Settlement
from metering.usage import Usage

COUNT_MAX = 10**12
AMOUNT_MAX_NANOUSD = 10**15
"""A million dollars for one call. An upstream that claims more is lying, and thousands of such claims still can be summed: a
sum that no column can hold would keep every later call of its limiter, and its worker's holds, from being resolved."""
HOLD_MAX_NANOUSD = AMOUNT_MAX_NANOUSD
_SIZES = ("image_size", "image_quality")
_COUNTS = tuple(field.name for field in fields(Usage) if field.name not in _SIZES)
_sizes = attrgetter(*_SIZES)
_counts = attrgetter(*_COUNTS)


class Row(NamedTuple):
    """What the ledger needs to know of a request in order to resolve it."""

    limiter: int
    worker: str
    state: str
    mode: str
    admitted_at_us: int
    user: str
    grouped: bool
    model: str
    hold_nanousd: int
    basis: str | None


def insert_held(
    connection: sqlite3.Connection, call: Admission, worker: str, hold_nanousd: int, over: bool, now_us: int
) -> int:
    """Store a call that was admitted; returns its id."""
    basis = "unmetered" if call.unmetered else None
    row = (
        call.limiter_key,
        worker,
        call.mode,
        now_us,
        call.user,
        call.model,
        call.endpoint,
        int(call.streamed),
        hold_nanousd,
        basis,
        call.price_row,
        int(over),
    )
    identity = connection.execute(_INSERT, row).lastrowid
    if identity is None:
        raise sqlite3.InternalError("an insert gave no row id")
    return identity


def read(connection: sqlite3.Connection, request_id: int) -> Row | None:
    """The request, if there is one."""
    found = connection.execute(_READ, (request_id,)).fetchone()
    if found is None:
        return None
    limiter, worker, state, mode, admitted_at_us, user, grouped, model, hold, basis = found
    return Row(limiter, worker, state, mode, admitted_at_us, user, bool(grouped), model, hold, basis)


def bounded(usage: Usage) -> Usage:
    """The usage itself, unless one of its counts is beyond anything that can be stored and summed."""
    counts = _counts(usage)
    if min(counts) >= 0 and max(counts) <= COUNT_MAX:
        return usage
    sizes = {name: getattr(usage, name) for name in _SIZES}
    return Usage(
        **{name: min(max(count, 0), COUNT_MAX) for name, count in zip(_COUNTS, counts, strict=True)}, **sizes
    )


def settle(
    connection: sqlite3.Connection,
    settlement: Settlement,
    row: Row,
    grouped: bool,
    cost_nanousd: int,
    now_us: int,
) -> None:
    """Write the real end of a call over its hold, or over its expiry. The usage has to be bounded."""
    provider = settlement.provider_cost_nanousd
    usage = settlement.usage
    connection.execute(
        _SETTLE,
        (
            now_us,
            int(grouped),
            settlement.model_served,
            settlement.status,
            cost_nanousd,
            settlement.basis,
            settlement.price_row,
            int(row.mode == "strict" and cost_nanousd > row.hold_nanousd),
            None if provider is None else min(max(provider, 0), AMOUNT_MAX_NANOUSD),
            *_counts(usage),
            *_sizes(usage),
            settlement.request_id,
            row.state,
        ),
    )


def release(connection: sqlite3.Connection, request_id: int, status: int | None, now_us: int) -> None:
    """Record that a held call consumed nothing."""
    connection.execute(_RELEASE, (now_us, status, request_id))


def expire(connection: sqlite3.Connection, request_id: int, basis: str, grouped: bool, now_us: int) -> None:
    """Charge a held call at its hold."""
    connection.execute(_EXPIRE, (now_us, int(grouped), basis, request_id))


def held_of(connection: sqlite3.Connection, worker: str) -> list[int]:
    """The requests that this worker holds."""
    return [identity for (identity,) in connection.execute(_HELD_OF, (worker,))]


def holding_workers(connection: sqlite3.Connection) -> list[str]:
    """The names of all workers that hold something."""
    return [name for (name,) in connection.execute(_HOLDING)]


_INSERT = """
    insert into requests (limiter, worker, state, mode, admitted_at_us, user, model, endpoint, streamed,
                          hold_nanousd, basis, price_row, over_budget)
    values (?, ?, 'held', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_READ = """
    select limiter, worker, state, mode, admitted_at_us, user, user_grouped, model, hold_nanousd, basis
    from requests where id = ?"""
_SETTLE = f"""
    update requests set state = 'settled', finished_at_us = ?, user_grouped = ?, model_served = ?, status = ?,
        cost_nanousd = ?, basis = ?, price_row = coalesce(?, price_row), bound_exceeded = ?,
        provider_cost_nanousd = ?, {", ".join(f"{name} = ?" for name in (*_COUNTS, *_SIZES))}
    where id = ? and state = ?"""
_RELEASE = """
    update requests set state = 'released', finished_at_us = ?, status = ?, cost_nanousd = 0
    where id = ? and state = 'held'"""
_EXPIRE = """
    update requests set state = 'expired', finished_at_us = ?, user_grouped = ?, basis = ?, cost_nanousd = hold_nanousd
    where id = ? and state = 'held'"""
_HELD_OF = "select id from requests indexed by requests_held where state = 'held' and worker = ?"
_HOLDING = "select distinct worker from requests indexed by requests_held where state = 'held'"
