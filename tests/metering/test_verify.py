"""Differences between the sums and the rows are found, named and repaired."""

import sqlite3
from contextlib import AbstractContextManager

import pytest

from metering.clock import DAY_US
from metering.database import Database
from metering.report_windows import current_windows
from metering.retention import prune
from metering.verify import verify
from tests.metering.books import Books


@pytest.fixture
def spent(books: Books) -> Books:
    """Some calls of two users, models and days, in every state."""
    limiter = books.limiter(10**6, "month")
    for moment in ("2026-11-22T10:00:00Z", "2026-11-24T08:30:00Z"):
        books.at(moment)
        books.spend(limiter, 10, user="alice")
        books.spend(limiter, 20, user="bob", model="gpt-4o-mini")
        books.admit(limiter, 7)
        books.ledger.release(books.admit(limiter, 40).request_id, 500, books.now_us)
    books.ledger.expire_worker(books.worker.name, books.now_us)
    books.admit(limiter, 9)
    return books


def spoil(books: Books, statement: str) -> None:
    with books.database.transaction("spoil") as connection:
        connection.execute(statement)


def test_true_sums_have_no_difference(spent: Books) -> None:
    assert verify(spent.database) == []
    assert spent.rows("select spent_nanousd, held_nanousd, requests from windows") == [(74, 9, 7)]


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("update windows set spent_nanousd = spent_nanousd + 1", "window of limiter 1 at 2026-11-01T00:00:00Z: spent_nanousd is 75 and should be 74"),
        ("update windows set held_nanousd = 0", "held_nanousd is 0 and should be 9"),
        ("update windows set requests = 1", "requests is 1 and should be 7"),
        ("update windows set tokens = 1", "tokens is 1 and should be 60"),
        ("update windows set end_us = end_us + 1", "is not a month"),
        ("update model_hours set cost_nanousd = 0 where model = 'gpt-4o-mini'", "gpt-4o-mini cost_nanousd is 0 and should be 20"),
        ("update model_hours set input_tokens = 0 where model = 'gpt-4o-mini'", "input_tokens is 0 and should be 10"),
        ("delete from model_hours where model = 'gpt-4o-mini'", "gpt-4o-mini is missing"),
        ("update user_days set requests = requests + 1 where user = 'bob'", "bob requests is 2 and should be 1"),
        ("update user_days set last_request_at_us = 5 where user = 'bob'", "last_request_at_us is 5"),
        ("update user_days set user = 'carol' where user = 'bob'", "carol belongs to no request"),
        ("update requests set cost_nanousd = 21 where cost_nanousd = 20", "should be 21"),
        ("delete from requests where id = 1", "alice requests is 2 and should be 1"),
    ],
)  # fmt: skip
def test_a_difference_is_named_and_repaired(spent: Books, statement: str, what: str) -> None:
    spoil(spent, statement)
    assert any(what in str(difference) for difference in verify(spent.database, repair=True))
    assert verify(spent.database) == []


def test_more_differences_than_are_counted_are_all_repaired_at_once(
    spent: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("metering.verify.DIFFERENCES_MAX", 2)
    spoil(spent, "delete from model_hours")
    spoil(spent, "update user_days set requests = 0, cost_nanousd = 1")
    assert len(verify(spent.database, repair=True)) >= 4
    assert verify(spent.database) == []


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("update requests set cost_nanousd = 8 where state = 'expired'", "is expired and not charged at its hold"),
        ("update requests set cost_nanousd = 1 where state = 'released'", "is released and charged all the same"),
        ("update requests set basis = null where state = 'settled'", "is charged without a basis"),
    ],
)  # fmt: skip
def test_a_row_whose_charge_is_not_that_of_its_state_is_found(
    spent: Books, statement: str, what: str
) -> None:
    spoil(spent, statement)
    assert any(str(difference).endswith(what) for difference in verify(spent.database))


def test_a_wrong_sum_does_not_make_a_right_window_wrong(spent: Books) -> None:
    """A window is compared with the rows, not with the sums that it is computed from where it is missing."""
    spoil(spent, "update model_hours set requests = requests + 1, cost_nanousd = 0, input_tokens = 0")
    assert {difference.what for difference in verify(spent.database)} == {"model_hours"}


def test_a_repair_leaves_sums_alone_whose_rows_have_been_deleted_meanwhile(spent: Books) -> None:
    later_us = spent.now_us + 30 * DAY_US

    class Pruned(Database):
        """Retention comes between the look and the repair."""

        def transaction(
            self, operation: str, timeout_s: float = 10.0
        ) -> AbstractContextManager[sqlite3.Connection]:
            prune(spent.database, 2, later_us)
            return super().transaction(operation, timeout_s)

    spent.settle(int(str(spent.rows("select id from requests where state = 'held'")[0][0])), 9)
    spoil(spent, "update model_hours set cost_nanousd = cost_nanousd + 1")
    spoil(spent, "update user_days set cost_nanousd = cost_nanousd + 1")
    stored = spent.rows("select * from model_hours"), spent.rows("select * from user_days")

    assert len(verify(Pruned(spent.database.path), repair=True)) == 8
    assert (spent.rows("select * from model_hours"), spent.rows("select * from user_days")) == stored


def test_after_a_repair_the_window_counts_what_the_rows_say(spent: Books) -> None:
    limiter = spent.limiters.list()[0]
    spoil(spent, "update windows set spent_nanousd = 0, held_nanousd = 0")
    spoil(spent, "update model_hours set cost_nanousd = 0")
    verify(spent.database, repair=True)
    assert spent.figures(limiter) == (74, 9, 7, 60)
    shown = current_windows(spent.ledger.connection, [limiter], spent.now_us)[limiter.key]
    assert (shown.spent_nanousd, shown.held_nanousd) == (74, 9)


def test_a_row_that_breaks_a_rule_is_found_by_the_integrity_check(spent: Books) -> None:
    with spent.database.transaction("spoil") as connection:
        connection.execute("pragma ignore_check_constraints = on")
        connection.execute("update requests set state = 'paid' where state = 'released'")
        connection.execute("update requests set basis = null where id = 1")
    found = [str(difference) for difference in verify(spent.database)]
    assert any("CHECK constraint failed in requests" in text for text in found)
    assert any("1 is charged without a basis" in text for text in found)
    assert not any("CHECK" in str(difference) for difference in verify(spent.database, integrity=False))


def test_a_row_without_its_limiter_is_found(spent: Books) -> None:
    connection = spent.ledger.connection
    connection.execute("pragma foreign_keys = off")
    connection.execute("update codes set limiter = 99")
    assert any("has no match in limiters" in str(difference) for difference in verify(spent.database))
