"""The SQL of reports reads ranges of keys alone, however long the history is, and sums can be cut anywhere."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from metering import report_calls, report_windows, reports
from metering.clock import DAY_US, HOUR_US, parse_time
from metering.database import Database
from metering.entries import Admission, Admitted, Settlement
from metering.ledger import Ledger
from metering.limiters import Limiters
from metering.usage import Usage

FIRST = parse_time("2026-11-20")


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Five days of two limiters, a call every five hours."""
    database = Database(tmp_path / "usage.db")
    database.migrate()
    limiters = [
        Limiters(database).create(name=name, budget_limit=1, period_type="month") for name in ("A", "B")
    ]
    with Ledger(database, "worker") as ledger:
        for number in range(24):
            limiter = limiters[number % 2]
            at_us = FIRST + number * 5 * HOUR_US
            held = ledger.admit(
                Admission(
                    limiter_key=limiter.key,
                    limiter_version=limiter.version,
                    user=f"user-{number % 3}",
                    model=f"model-{number % 4}",
                    endpoint="chat/completions",
                    hold_nanousd=1,
                    mode="observe",
                ),
                at_us,
            )
            assert isinstance(held, Admitted)
            settled = Settlement(
                request_id=held.request_id,
                cost_nanousd=1 << number,
                basis="reported",
                usage=Usage(input_tokens=number, output_tokens=1),
            )
            ledger.settle(settled, at_us)
    with closing(database.open_reader()) as reader:
        yield reader


@pytest.mark.parametrize("days", range(6))
def test_the_sums_of_two_ranges_are_the_sums_of_both_together(
    connection: sqlite3.Connection, days: int
) -> None:
    cut, end = FIRST + days * DAY_US, FIRST + 5 * DAY_US
    parts = [reports.read_sums(connection, FIRST, cut), reports.read_sums(connection, cut, end)]
    whole = reports.read_sums(connection, FIRST, end)
    both = reports.joined(*parts)
    for name in ("limiters", "models", "users", "last_us", "total", "active_users"):
        assert getattr(both, name) == getattr(whole, name)
    by_day: dict[int, int] = {}
    for start_us, cost in both.costs.items():
        by_day[start_us - start_us % DAY_US] = by_day.get(start_us - start_us % DAY_US, 0) + cost
    assert by_day == whole.costs
    assert whole.total[3] == (1 << 24) - 1


def plan(connection: sqlite3.Connection, sql: str) -> str:
    values = [1] * (sql.count("?") + 3)
    while True:
        try:
            found = connection.execute(f"explain query plan {sql}", values).fetchall()
            return "; ".join(str(row[-1]) for row in found)
        except sqlite3.ProgrammingError:
            values.pop()


@pytest.mark.parametrize(
    ("sql", "search"),
    [
        (reports._HOURS, "SEARCH model_hours USING PRIMARY KEY (limiter=? AND hour_us>? AND hour_us<?)"),
        (reports._USERS, "SEARCH user_days USING PRIMARY KEY (limiter=? AND day_us>? AND day_us<?)"),
        (reports._USER_COSTS, "SEARCH user_days USING PRIMARY KEY (limiter=? AND day_us>? AND day_us<?)"),
        (reports._DAY_COSTS, "SEARCH user_days USING PRIMARY KEY (limiter=? AND day_us>? AND day_us<?)"),
        (report_windows._REFUSALS, "SEARCH refusals USING PRIMARY KEY (limiter=? AND hour_us>?)"),
        (report_windows._IN_FLIGHT, "USING INDEX requests_held"),
        (report_calls._NEWEST, "SEARCH requests USING INDEX requests_by_time (limiter=?)"),
        (report_calls._OLDER, "SEARCH requests USING INDEX requests_by_time (limiter=?"),
    ],
)
def test_no_report_reads_more_than_its_range(connection: sqlite3.Connection, sql: str, search: str) -> None:
    steps = plan(connection, sql)
    assert search in steps
    for table in ("model_hours", "user_days", "refusals"):
        assert f"SCAN {table}" not in steps
    if "requests_by_time" in search:
        assert "SCAN" not in steps
        assert "TEMP B-TREE" not in steps
