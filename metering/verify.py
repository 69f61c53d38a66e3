"""Whether the sums agree with the rows: windows and rollups are computed again and every difference is named.

Reads one snapshot, so that a database in use can be verified; all adding up is SQL. Rows from before the retention watermark may be
gone, so the sums from before it are facts themselves. Repairing computes again just what differed, under the write lock.
"""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass

from metering import windows
from metering.clock import DAY_US, HOUR_US, rfc3339
from metering.database import Database, storing
from metering.periods import Period, Window, window_at
from metering.rollups import COUNTED, OTHERS
from metering.windows import Windows, recompute

DIFFERENCES_MAX = 1_000

Sums = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is stored and not true. `limiter` and `at_us` are None where no projection is to blame."""

    what: str
    limiter: int | None
    at_us: int | None
    detail: str

    def __str__(self) -> str:
        if self.limiter is None or self.at_us is None:
            return f"{self.what}: {self.detail}"
        return f"{self.what} of limiter {self.limiter} at {rfc3339(self.at_us)}: {self.detail}"


def verify(database: Database, *, repair: bool = False, integrity: bool = True) -> list[Difference]:
    """All differences found, at most 1,000 of a kind; with `repair` the projections among them are put right.

    `integrity` has SQLite check the file as well, constraints included. Raises StoreError.
    """
    with storing("verify the database"), closing(database.open_writer()) as connection:
        # A read transaction: everything is seen as of one commit.
        connection.execute("begin")
        differences = [
            *(_integrity(connection) if integrity else ()),
            *_rollups(connection, _HOURS),
            *_rollups(connection, _DAYS),
            *_windows(connection),
        ]
        connection.execute("rollback")
    if repair and differences:
        with database.transaction("repair the projections", timeout_s=60.0) as connection:
            _repair(connection, differences)
    return differences


@dataclass(frozen=True, slots=True)
class _Rollup:
    table: str
    unit_us: int
    moment: str
    name: str
    named: str
    last: str


_HOURS = _Rollup("model_hours", HOUR_US, "hour_us", "model", "coalesce(model_served, model)", "")
_DAYS = _Rollup(
    "user_days",
    DAY_US,
    "day_us",
    "user",
    f"case when user_grouped then '{OTHERS}' else user end",
    ", max(admitted_at_us) as last_request_at_us",
)


def _integrity(connection: sqlite3.Connection) -> Iterable[Difference]:
    for (text,) in connection.execute("pragma quick_check"):
        if text != "ok":
            yield Difference("database file", None, None, text)
    for table, row, parent, _ in connection.execute("pragma foreign_key_check"):
        yield Difference("database file", None, None, f"row {row} of {table} has no match in {parent}")
    for identity, wrong in connection.execute(_WRONG):
        yield Difference("request", None, None, f"{identity} is {wrong}")


def _rollups(connection: sqlite3.Connection, rollup: _Rollup) -> Iterable[Difference]:
    """Compares a rollup with the rows; leaves the true sums in a temporary table `true_<rollup>`."""
    table, moment, name = rollup.table, rollup.moment, rollup.name
    true = f"temp.true_{table}"
    connection.execute(f"create temp table true_{table} as {_summed(rollup, _SINCE_WATERMARK)}")
    columns = (
        f"limiter, {moment}, {name}, {', '.join(COUNTED)}{', last_request_at_us' if rollup.last else ''}"
    )
    stored = f"select {columns} from {table} where requests <> 0 and {moment} >= {_WATERMARK}"
    wrong = connection.execute(
        f"""select limiter, {moment}, {name} from (
                select * from (select {columns} from {true} except {stored})
                union all select * from ({stored} except select {columns} from {true}))
            group by 1, 2, 3 order by 1, 2, 3 limit {DIFFERENCES_MAX}"""
    ).fetchall()
    if wrong:
        # Looked into a thousand times, each time through millions of sums without it.
        connection.execute(f"create index temp.true_{table}_key on true_{table} (limiter, {moment}, {name})")
    for limiter, at_us, named in wrong:
        key = (limiter, at_us, named)
        where = f"where limiter = ? and {moment} = ? and {name} = ?"
        is_true = connection.execute(f"select {columns} from {true} {where}", key).fetchone()
        is_stored = connection.execute(f"select {columns} from {table} {where}", key).fetchone()
        yield Difference(table, limiter, at_us, f"{named} {_compared(columns, is_stored, is_true)}")


def _windows(connection: sqlite3.Connection) -> Iterable[Difference]:
    watermark_us = connection.execute(f"select {_WATERMARK}").fetchone()[0]
    limiters = connection.execute(
        "select distinct limiter, period from windows join limiters on limiters.key = windows.limiter"
    ).fetchall()
    names = "spent_nanousd, held_nanousd, requests, tokens"
    for limiter, period in limiters:
        for figures in Windows(connection).of(limiter):
            window = figures.window
            if window != window_at(Period(period), window.start_us):
                yield Difference("window", limiter, window.start_us, f"is not a {period}")
                continue
            is_true = _window_sums(connection, limiter, window, watermark_us)
            stored = (figures.spent_nanousd, figures.held_nanousd, figures.requests, figures.tokens)
            if is_true is not None and is_true != stored:
                yield Difference("window", limiter, window.start_us, _compared(names, stored, is_true))


def _window_sums(
    connection: sqlite3.Connection, limiter: int, window: Window, watermark_us: int
) -> Sums | None:
    """Spent, held, requests and tokens, from the rows as far as there are any; None where nobody can know."""
    computed = recompute(connection, limiter, window)
    if window.end_us - window.start_us < HOUR_US:
        known = (computed.spent_nanousd, computed.held_nanousd, computed.requests, computed.tokens)
        return known if window.start_us >= watermark_us else None
    # What is held comes from the rows in any case; what was charged comes from the rows since the watermark.
    span = {"limiter": limiter, "start": window.start_us, "end": window.end_us}
    by_hours = connection.execute(_CHARGED.format(table="model_hours"), span).fetchone()
    spent, requests, tokens = connection.execute(_CHARGED_TRULY, span).fetchone()
    return (
        spent,
        computed.held_nanousd,
        computed.requests - by_hours[1] + requests,
        tokens,
    )


def _repair(connection: sqlite3.Connection, differences: list[Difference]) -> None:
    watermark_us = connection.execute(f"select {_WATERMARK}").fetchone()[0]
    places = {(found.what, found.limiter, found.at_us) for found in differences if found.limiter is not None}
    for rollup in (_HOURS, _DAYS):
        columns = f"limiter, {rollup.moment}, {rollup.name}, {', '.join(COUNTED)}"
        columns += ", last_request_at_us" if rollup.last else ""
        if sum(found.what == rollup.table for found in differences) >= DIFFERENCES_MAX:
            # There are more than were counted: all of it anew.
            connection.execute(f"delete from {rollup.table} where {rollup.moment} >= {_WATERMARK}")
            connection.execute(f"insert into {rollup.table} ({columns}) {_summed(rollup, _SINCE_WATERMARK)}")
            continue
        for limiter, at_us in {(limiter, at_us) for what, limiter, at_us in places if what == rollup.table}:
            if at_us is None or at_us < watermark_us:
                # Retention has come in between: the rows are gone, and what is stored is all that is known.
                continue
            connection.execute(
                f"delete from {rollup.table} where limiter = ? and {rollup.moment} = ?", (limiter, at_us)
            )
            connection.execute(
                f"insert into {rollup.table} ({columns}) {_summed(rollup, _OF_ONE)}",
                {"limiter": limiter, "start": at_us, "end": at_us + rollup.unit_us},
            )
    for what, limiter, at_us in places:
        if what == "window" and at_us is not None:
            windows.repair(connection, limiter, at_us)


def _summed(rollup: _Rollup, which: str) -> str:
    unit = rollup.unit_us
    return f"""
        select limiter, admitted_at_us - ((admitted_at_us % {unit}) + {unit}) % {unit} as {rollup.moment},
            {rollup.named} as {rollup.name}, count(*) as requests, sum(input_tokens) as input_tokens,
            sum(cached_tokens) as cached_tokens, sum(output_tokens) as output_tokens,
            sum(reasoning_tokens) as reasoning_tokens, sum(cost_nanousd) as cost_nanousd,
            sum(basis = 'estimated') as estimated, sum(basis = 'fallback') as fallback,
            sum(basis = 'unmetered') as unmetered{rollup.last}
        from requests where state in ('settled', 'expired') and {which}
        group by 1, 2, 3"""


def _compared(columns: str, stored: tuple[object, ...] | None, true: tuple[object, ...] | None) -> str:
    if stored is None:
        return "is missing"
    if true is None:
        return "belongs to no request"
    names = columns.split(", ")
    return ", ".join(
        f"{name} is {is_stored} and should be {is_true}"
        for name, is_stored, is_true in zip(names, stored, true, strict=True)
        if is_stored != is_true
    )


_WATERMARK = "(select watermark_us from retention where id = 1)"
_SINCE_WATERMARK = f"admitted_at_us >= {_WATERMARK}"
_OF_ONE = "limiter = :limiter and admitted_at_us >= :start and admitted_at_us < :end"
_WRONG = f"""
    select id, wrong from (
        select id, case
            when state in ('settled', 'expired') and basis is null then 'charged without a basis'
            when state = 'expired' and cost_nanousd <> hold_nanousd then 'expired and not charged at its hold'
            when state = 'released' and cost_nanousd <> 0 then 'released and charged all the same'
            end as wrong
        from requests)
    where wrong is not null limit {DIFFERENCES_MAX}"""
_CHARGED = """
    select coalesce(sum(cost_nanousd), 0), coalesce(sum(requests), 0),
           coalesce(sum(input_tokens + output_tokens), 0)
    from {table} where limiter = :limiter and hour_us >= :start and hour_us < :end"""
_CHARGED_TRULY = f"""
    select coalesce(sum(cost_nanousd), 0), coalesce(sum(requests), 0),
           coalesce(sum(input_tokens + output_tokens), 0)
    from (
        select limiter, hour_us, requests, cost_nanousd, input_tokens, output_tokens from temp.true_model_hours
        union all
        select limiter, hour_us, requests, cost_nanousd, input_tokens, output_tokens
        from model_hours where hour_us < {_WATERMARK})
    where limiter = :limiter and hour_us >= :start and hour_us < :end"""
