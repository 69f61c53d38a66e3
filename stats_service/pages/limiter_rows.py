"""What the page of one limiter reads: its sums by hour, by model and by user, and its refusals. All from rollups, except
windows of an hour or less, which have no sums and few rows.
"""

import sqlite3
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from metering.clock import DAY_US, HOUR_US
from metering.limiters import Limiter
from metering.periods import Window

REFUSALS_US = 30 * DAY_US


@dataclass(frozen=True, slots=True)
class Sums:
    """What a model or a user adds up to."""

    name: str
    requests: int
    tokens: int
    cost_nanousd: int


def window_costs(
    connection: sqlite3.Connection, limiter: Limiter, window: Window, step_us: int
) -> dict[int, int]:
    """Cost of the window by steps from its start."""
    sql = _BY_STEP if step_us % HOUR_US == 0 else _BY_STEP_OF_ROWS
    return dict(
        connection.execute(sql, (window.start_us, step_us, limiter.key, window.start_us, window.end_us))
    )


def model_costs(
    connection: sqlite3.Connection, limiter: Limiter, starts: Sequence[int], end_us: int, step_us: int
) -> dict[str, list[int]]:
    """Cost of each model in the buckets that start then. Steps no longer than a bucket are what SQL adds up."""
    found: dict[str, list[int]] = {}
    for model, moment, cost in connection.execute(
        _BY_MODEL_AND_STEP, (step_us, limiter.key, starts[0], end_us)
    ):
        values = found.setdefault(model, [0] * len(starts))
        values[bisect_right(starts, moment) - 1] += cost
    return found


def by_model(connection: sqlite3.Connection, limiter: Limiter, from_us: int, to_us: int) -> list[Sums]:
    """Each model in a range that begins with an hour, or in a minute."""
    sql = _BY_MODEL_OF_ROWS if from_us % HOUR_US else _BY_MODEL
    return [Sums(*row) for row in connection.execute(sql, (limiter.key, from_us, to_us))]


def by_user(connection: sqlite3.Connection, limiter: Limiter, from_us: int, to_us: int) -> list[Sums]:
    """Each user in a range of whole days."""
    return [Sums(*row) for row in connection.execute(_BY_USER, (limiter.key, from_us, to_us))]


def refusals(connection: sqlite3.Connection, limiter: Limiter, now_us: int) -> list[tuple[str, int, int]]:
    """Code, how often today, and how often in the last 30 days."""
    today = now_us - now_us % DAY_US
    return connection.execute(_REFUSALS, (today, limiter.key, now_us - REFUSALS_US)).fetchall()


_BY_STEP = """
    select ?1 + (hour_us - ?1) / ?2 * ?2 as step, sum(cost_nanousd) from model_hours
    where limiter = ?3 and hour_us >= ?4 and hour_us < ?5 group by step"""
_BY_STEP_OF_ROWS = """
    select ?1 + (admitted_at_us - ?1) / ?2 * ?2 as step, sum(cost_nanousd) from requests
    where limiter = ?3 and admitted_at_us >= ?4 and admitted_at_us < ?5 and state in ('settled', 'expired')
    group by step"""
_BY_MODEL_AND_STEP = """
    select model, hour_us - hour_us % ?1 as step, sum(cost_nanousd) from model_hours
    where limiter = ?2 and hour_us >= ?3 and hour_us < ?4 group by model, step"""
_BY_MODEL = """
    select model, sum(requests), sum(input_tokens + output_tokens), sum(cost_nanousd) from model_hours
    where limiter = ? and hour_us >= ? and hour_us < ? group by model having sum(requests) > 0"""
_BY_MODEL_OF_ROWS = """
    select coalesce(model_served, model) as name, count(*), sum(input_tokens + output_tokens), sum(cost_nanousd)
    from requests where limiter = ? and admitted_at_us >= ? and admitted_at_us < ? and state in ('settled', 'expired')
    group by name"""
_BY_USER = """
    select user, sum(requests), sum(input_tokens + output_tokens), sum(cost_nanousd) from user_days
    where limiter = ? and day_us >= ? and day_us < ? group by user having sum(requests) > 0"""
_REFUSALS = """
    select code, sum(case when hour_us >= ?1 then count else 0 end), sum(count) as month from refusals
    where limiter = ?2 and hour_us >= ?3 group by code order by month desc, code"""
