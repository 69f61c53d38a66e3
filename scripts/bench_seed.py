"""A database with a long history: what a busy installation has after half a year.

Rows are written in the order of their admission, as they would have come, with durability off;
windows and rollups are then computed by `verify`, so that they agree with the rows by construction.
"""

from __future__ import annotations

import random
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from metering.clock import DAY_US, now_us
from metering.database import Database
from metering.limiters import Limiters
from metering.periods import Period, window_at
from metering.verify import verify

LIMITERS = 1_000
USERS = 40
DAYS = 180
CHUNK = 50_000
MODELS = (("gpt-4o", 5), ("gpt-4o-mini", 10), ("gpt-5-mini", 8), ("text-embedding-3-small", 2), ("o3", 1))
BAR_WIDTH = 40


def seed(path: Path, rows: int) -> None:
    """Write `rows` settled requests of 1,000 limiters to a new file. Exits where the file exists."""
    if path.exists():
        sys.exit(f"{path} exists: name a file that does not.")
    database = Database(path)
    database.migrate()
    limiters = Limiters(database)
    keys = [
        limiters.create(name=f"Customer {number:04}", budget_limit=1_000_000, period_type="month").key
        for number in range(LIMITERS)
    ]
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("pragma synchronous = off")
        connection.execute("pragma cache_size = -200000")
        for start in range(0, rows, CHUNK):
            count = min(CHUNK, rows - start)
            connection.execute("begin")
            connection.executemany(INSERT, _requests(keys, start, count, rows))
            connection.execute("commit")
            _show(start + count, rows)
    month = window_at(Period.MONTH, now_us())
    print("\nAdding up windows and rollups …", flush=True)
    verify(database, repair=True, integrity=False)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(WINDOWS, {"start": month.start_us, "end": month.end_us})
        connection.execute("pragma wal_checkpoint(truncate)")
        connection.execute("pragma optimize = 0x10002")
    print(f"{path}: {rows:,} requests, {path.stat().st_size / 2**30:.1f} GiB.")


def _requests(keys: list[int], start: int, count: int, rows: int) -> Iterator[tuple[object, ...]]:
    dice = random.Random(start)
    first_us = now_us() - DAYS * DAY_US
    step_us = DAYS * DAY_US // rows
    names, weights = [name for name, _ in MODELS], [weight for _, weight in MODELS]
    for place, model in enumerate(dice.choices(names, weights, k=count), start):
        admitted = first_us + place * step_us
        # A few limiters have most of the traffic.
        limiter = keys[int(LIMITERS * dice.random() ** 3)]
        tokens, out = dice.randrange(50, 4000), dice.randrange(1, 800)
        cost = tokens * 2_500 + out * 10_000
        yield (
            limiter,
            admitted,
            admitted + 1_500_000,
            f"user-{dice.randrange(USERS)}",
            model,
            model,
            place & 1,
            cost + 1_000_000,
            cost,
            model,
            tokens,
            out,
        )


def _show(done: int, rows: int) -> None:
    filled = BAR_WIDTH * done // rows
    bar = "█" * filled + "░" * (BAR_WIDTH - filled)
    print(f"\r{bar} {done:,} of {rows:,} requests", end="", flush=True)


INSERT = """
    insert into requests (limiter, worker, state, mode, admitted_at_us, finished_at_us, user, model, model_served,
        endpoint, streamed, status, hold_nanousd, cost_nanousd, basis, price_row, input_tokens, output_tokens)
    values (?, 'seed', 'settled', 'soft', ?, ?, ?, ?, ?, 'chat/completions', ?, 200, ?, ?, 'reported', ?, ?, ?)"""
WINDOWS = """
    insert or replace into windows
    select limiter, :start, :end, sum(cost_nanousd), 0, sum(requests), sum(input_tokens + output_tokens)
    from model_hours where hour_us >= :start group by limiter"""
