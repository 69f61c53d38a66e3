"""Where limiters stand, for many of them at once: their windows in one pass, and what was refused of late.

A window's row is written at the first admission in it, so a limiter whose newest row is of an older window has spent
nothing in the current one. Only where the clock was set back that is not so: then the window is computed from the sums.
"""

import sqlite3
from collections.abc import Sequence

from metering.limiters import Limiter
from metering.periods import Window, window_at
from metering.windows import WindowFigures, read_window


def current_windows(
    connection: sqlite3.Connection, limiters: Sequence[Limiter], now_us: int
) -> dict[int, WindowFigures]:
    """The current window of each limiter, by its key."""
    stored = {(row[0], row[1]): row for row in connection.execute(_WINDOWS)}
    newest: dict[int, int] = {}
    for limiter, start_us in stored:
        newest[limiter] = max(start_us, newest.get(limiter, start_us))
    found = {}
    for limiter in limiters:
        window = window_at(limiter.period, now_us)
        row = stored.get((limiter.key, window.start_us))
        if row is not None:
            found[limiter.key] = _figures(row)
        elif newest.get(limiter.key, -1) > window.start_us:
            found[limiter.key] = read_window(connection, limiter.key, limiter.period, now_us)
        else:
            found[limiter.key] = WindowFigures(limiter=limiter.key, window=window)
    return found


def refusals_since(connection: sqlite3.Connection, hour_us: int) -> list[tuple[int, str, int]]:
    """Limiter's key, code and how often, from the start of an hour on."""
    return connection.execute(_REFUSALS, (hour_us,)).fetchall()


def calls_in_flight(connection: sqlite3.Connection) -> int:
    """How many calls are held."""
    count: int = connection.execute(_IN_FLIGHT).fetchone()[0]
    return count


def _figures(row: tuple[int, ...]) -> WindowFigures:
    limiter, start_us, end_us, spent, held, requests, tokens = row
    return WindowFigures(
        limiter=limiter,
        window=Window(start_us, end_us),
        spent_nanousd=spent,
        held_nanousd=held,
        requests=requests,
        tokens=tokens,
    )


_WINDOWS = "select limiter, start_us, end_us, spent_nanousd, held_nanousd, requests, tokens from windows"
# The cross join makes SQLite look up each limiter's hours in the primary key.
_REFUSALS = """
    select key, refusals.code, sum(count) from limiters cross join refusals on limiter = key
    where hour_us >= ? and deleted_at_us is null group by key, refusals.code"""
_IN_FLIGHT = "select count(*) from requests indexed by requests_held where state = 'held'"
