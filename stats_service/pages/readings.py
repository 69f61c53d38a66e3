"""What the list of limiters and the live stream read, in one pass over small tables: never over the requests themselves.

A window's row is written at the first admission in it, so a limiter whose newest row is of an older window has spent nothing
in the current one. Only where the clock was set back that is not so; then the window is computed from the sums.
"""

import sqlite3
from collections.abc import Mapping, Sequence

from metering.clock import HOUR_US
from metering.limiters import Limiter
from metering.periods import Period, Window
from metering.windows import read_window
from stats_service.pages.standing import SPARK_HOURS, Figures


def figures(
    connection: sqlite3.Connection,
    limiters: Sequence[Limiter],
    windows: Mapping[Period, Window],
    now_us: int,
) -> dict[int, Figures]:
    """The current window and the last call of each limiter. `windows` are those of this moment."""
    stored = {
        (limiter, start): (spent, held, requests, tokens)
        for limiter, start, spent, held, requests, tokens in connection.execute(_WINDOWS)
    }
    last_calls: dict[int, int | None] = dict(connection.execute(_LAST_CALLS))
    found = {}
    for limiter in limiters:
        start = windows[limiter.period].start_us
        last_us = last_calls.get(limiter.key)
        row = stored.get((limiter.key, start))
        if row is None and last_us is not None and last_us >= start:
            computed = read_window(connection, limiter.key, limiter.period, now_us)
            row = (computed.spent_nanousd, computed.held_nanousd, computed.requests, computed.tokens)
        spent, held, requests, tokens = row or (0, 0, 0, 0)
        found[limiter.key] = Figures(start, spent, held, requests, tokens, last_us)
    return found


def hourly_costs(
    connection: sqlite3.Connection, keys: Sequence[int], now_us: int
) -> dict[int, dict[int, int]]:
    """Cost by hour of the last 24 hours, for the limiters of one page."""
    since = now_us - now_us % HOUR_US - (SPARK_HOURS - 1) * HOUR_US
    places = ", ".join("?" * len(keys))
    found: dict[int, dict[int, int]] = {}
    for key, hour, cost in connection.execute(_HOURS.format(places=places), (*keys, since)):
        found.setdefault(key, {})[hour] = cost
    return found


_WINDOWS = "select limiter, start_us, spent_nanousd, held_nanousd, requests, tokens from windows"
_LAST_CALLS = """
    select key, (select max(admitted_at_us) from requests where limiter = limiters.key)
    from limiters where deleted_at_us is null"""
_HOURS = """
    select limiter, hour_us, sum(cost_nanousd) from model_hours
    where limiter in ({places}) and hour_us >= ? group by limiter, hour_us"""
