"""What the list of limiters and the live stream read, in one pass over small tables: never over the requests themselves."""

import json
import sqlite3
from collections.abc import Sequence

from metering.clock import HOUR_US
from metering.limiters import Limiter
from metering.report_windows import current_windows
from stats_service.pages.standing import SPARK_HOURS, Figures


def figures(connection: sqlite3.Connection, limiters: Sequence[Limiter], now_us: int) -> dict[int, Figures]:
    """The current window and the last call of each limiter."""
    windows = current_windows(connection, limiters, now_us)
    last_calls: dict[int, int | None] = dict(connection.execute(_LAST_CALLS))
    return {one.key: Figures(windows[one.key], last_calls.get(one.key)) for one in limiters}


def hourly_costs(
    connection: sqlite3.Connection, keys: Sequence[int], now_us: int
) -> dict[int, dict[int, int]]:
    """Cost by hour of the last 24 hours, for the limiters of one page or those that moved: as many as there are."""
    since = now_us - now_us % HOUR_US - (SPARK_HOURS - 1) * HOUR_US
    found: dict[int, dict[int, int]] = {}
    for key, hour, cost in connection.execute(_HOURS, (json.dumps(list(keys)), since)):
        found.setdefault(key, {})[hour] = cost
    return found


_LAST_CALLS = """
    select key, (select max(admitted_at_us) from requests where limiter = limiters.key)
    from limiters where deleted_at_us is null"""
_HOURS = """
    select limiter, hour_us, sum(cost_nanousd) from model_hours
    where limiter in (select value from json_each(?)) and hour_us >= ? group by limiter, hour_us"""
