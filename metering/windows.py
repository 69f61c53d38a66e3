"""What is spent and held in the current window of each limiter, inside one write transaction.

A row is read once a transaction, changed in memory and written before the commit. A missing row is never taken for an
empty window: it is computed from the hourly sums and the calls in flight, so that a clock that stepped, a changed period
and retention cannot hand out a budget twice. (Hourly sums rather than rows: a year of rows would take seconds under the
write lock. A minute has no hourly sum and is computed from its rows.) A limiter's rows all belong to its current
period: changing the period replaces them.
"""

import sqlite3
from dataclasses import dataclass

from metering.clock import HOUR_US
from metering.periods import Period, Window, window_at


@dataclass(slots=True, kw_only=True)
class WindowFigures:
    """The sums of one window. `requests` counts what was admitted and not released."""

    limiter: int
    window: Window
    spent_nanousd: int = 0
    held_nanousd: int = 0
    requests: int = 0
    tokens: int = 0
    is_new: bool = False
    is_changed: bool = False

    @property
    def used_nanousd(self) -> int:
        """The one number that is enforced and shown."""
        return self.spent_nanousd + self.held_nanousd


class Windows:
    """The windows that one transaction touches."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._known: dict[int, list[WindowFigures]] = {}

    def containing(self, limiter: int, at_us: int) -> WindowFigures | None:
        """The stored window that contains the moment, if there is one."""
        for figures in self.of(limiter):
            if at_us in figures.window:
                return figures
        return None

    def create(self, limiter: int, window: Window) -> WindowFigures:
        """A window that is not stored yet. The hourly sums in the database must be up to date."""
        figures = recompute(self._connection, limiter, window)
        figures.is_new = figures.is_changed = True
        self.of(limiter).append(figures)
        return figures

    def touched(self) -> list[int]:
        """The limiters whose windows were asked for."""
        return list(self._known)

    def flush(self) -> None:
        """Write what has changed; a new window sweeps away older ones in which nothing is held."""
        changed = [figures for known in self._known.values() for figures in known if figures.is_changed]
        if not changed:
            return
        self._connection.executemany(_WRITE, [_stored(figures) for figures in changed])
        for figures in changed:
            if figures.is_new:
                self._connection.execute(_SWEEP, (figures.limiter, figures.window.start_us))

    def of(self, limiter: int) -> list[WindowFigures]:
        """All stored windows of the limiter: the current one, and older ones in which something was held."""
        known = self._known.get(limiter)
        if known is None:
            known = self._known[limiter] = [
                WindowFigures(
                    limiter=limiter,
                    window=Window(start, end),
                    spent_nanousd=spent,
                    held_nanousd=held,
                    requests=requests,
                    tokens=tokens,
                )
                for start, end, spent, held, requests, tokens in self._connection.execute(_READ, (limiter,))
            ]
        return known


def rebuild(connection: sqlite3.Connection, limiter: int, period: Period, now_us: int) -> None:
    """Drop the limiter's windows and compute the current one, for a period that changes in this transaction."""
    connection.execute("delete from windows where limiter = ?", (limiter,))
    _write_computed(connection, limiter, window_at(period, now_us))


def repair(connection: sqlite3.Connection, limiter: int, start_us: int) -> None:
    """Compute a stored window again, or drop it where the limiter's period has none that starts then."""
    connection.execute("delete from windows where limiter = ? and start_us = ?", (limiter, start_us))
    period = connection.execute("select period from limiters where key = ?", (limiter,)).fetchone()[0]
    window = window_at(Period(period), start_us)
    if window.start_us == start_us:
        _write_computed(connection, limiter, window)


def read_window(connection: sqlite3.Connection, limiter: int, period: Period, now_us: int) -> WindowFigures:
    """The current window for those who only look: stored or computed, nothing is written."""
    window = window_at(period, now_us)
    for figures in Windows(connection).of(limiter):
        if figures.window == window:
            return figures
    return recompute(connection, limiter, window)


def recompute(connection: sqlite3.Connection, limiter: int, window: Window) -> WindowFigures:
    """The window's sums from what the database holds."""
    span = (limiter, window.start_us, window.end_us)
    aligned = window.start_us % HOUR_US == 0 and window.end_us % HOUR_US == 0
    charged = _CHARGED_BY_HOUR if aligned else _CHARGED_BY_ROW
    spent, requests, tokens = connection.execute(charged, span).fetchone()
    held, in_flight = connection.execute(_IN_FLIGHT, span).fetchone()
    return WindowFigures(
        limiter=limiter,
        window=window,
        spent_nanousd=spent,
        held_nanousd=held,
        requests=requests + in_flight,
        tokens=tokens,
    )


def _write_computed(connection: sqlite3.Connection, limiter: int, window: Window) -> None:
    connection.execute(_WRITE, _stored(recompute(connection, limiter, window)))


def _stored(figures: WindowFigures) -> tuple[int, ...]:
    return (
        figures.limiter,
        figures.window.start_us,
        figures.window.end_us,
        figures.spent_nanousd,
        figures.held_nanousd,
        figures.requests,
        figures.tokens,
    )


_READ = """
    select start_us, end_us, spent_nanousd, held_nanousd, requests, tokens from windows where limiter = ?"""
_WRITE = """
    insert into windows (limiter, start_us, end_us, spent_nanousd, held_nanousd, requests, tokens)
    values (?, ?, ?, ?, ?, ?, ?)
    on conflict (limiter, start_us) do update set
        end_us = excluded.end_us, spent_nanousd = excluded.spent_nanousd, held_nanousd = excluded.held_nanousd,
        requests = excluded.requests, tokens = excluded.tokens"""
_SWEEP = "delete from windows where limiter = ? and start_us < ? and held_nanousd = 0"
_CHARGED_BY_HOUR = """
    select coalesce(sum(cost_nanousd), 0), coalesce(sum(requests), 0),
           coalesce(sum(input_tokens + output_tokens), 0)
    from model_hours where limiter = ? and hour_us >= ? and hour_us < ?"""
_CHARGED_BY_ROW = """
    select coalesce(sum(cost_nanousd), 0), count(*), coalesce(sum(input_tokens + output_tokens), 0)
    from requests
    where limiter = ? and admitted_at_us >= ? and admitted_at_us < ? and state in ('settled', 'expired')"""
_IN_FLIGHT = """
    select coalesce(sum(hold_nanousd), 0), count(*)
    from requests indexed by requests_held
    where state = 'held' and limiter = ? and admitted_at_us >= ? and admitted_at_us < ?"""
