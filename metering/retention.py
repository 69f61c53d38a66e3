"""Delete old requests in small steps. Totals stay: what they were made of is in the hourly and daily sums already.

Only whole UTC days go, never a call in flight, and the watermark that says so moves in the same transaction. The newest
row of all stays: SQLite would give its id to another call, which a late settle or a page of requests would then mean.
"""

import sqlite3

from metering.clock import DAY_US
from metering.database import Database

DAYS_MIN = 2
STEP_ROWS = 1_000
"""About a hundredth of a second: no call waits longer for the lock."""


def prune(database: Database, days: int, now_us: int, *, step_rows: int = STEP_ROWS) -> int:
    """Delete the requests of whole days that are older than `days`; returns how many. Raises StoreError."""
    deleted = 0
    while step := prune_step(database, days, now_us, step_rows):
        deleted += step
    return deleted


def prune_step(database: Database, days: int, now_us: int, rows: int = STEP_ROWS) -> int:
    """Delete at most `rows` of them; 0 once all are gone. Raises StoreError.

    A transaction of its own, so that calls get in between, and nobody who wants to stop has to wait for the rest.
    """
    if days < DAYS_MIN:
        raise ValueError(f"days must be at least {DAYS_MIN}")
    wanted_us = now_us - days * DAY_US
    wanted_us -= wanted_us % DAY_US
    with database.transaction("delete old requests") as connection:
        connection.execute(_MOVE, (wanted_us, wanted_us))
        # What an interrupted step has left behind the watermark goes too. But a clock that was a year ahead for a while has left a
        # watermark that is still to come, and calls from before it are not old.
        watermark_us = connection.execute("select watermark_us from retention where id = 1").fetchone()[0]
        before_us = min(watermark_us, wanted_us)
        deleted = 0
        for (limiter,) in connection.execute("select key from limiters").fetchall():
            deleted += _delete(connection, limiter, before_us, rows - deleted)
            if deleted >= rows:
                break
        return deleted


def _delete(connection: sqlite3.Connection, limiter: int, before_us: int, rows: int) -> int:
    return connection.execute(_DELETE, (limiter, before_us, rows)).rowcount


_MOVE = "update retention set watermark_us = ? where id = 1 and watermark_us < ?"
_DELETE = """
    delete from requests where id in (
        select id from requests indexed by requests_by_time
        where limiter = ? and admitted_at_us < ? and state <> 'held'
            and id < (select max(id) from requests)
        order by admitted_at_us limit ?)"""
