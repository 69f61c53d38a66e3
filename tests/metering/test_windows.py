"""The current window: created, rolled over, rebuilt, never taken for empty."""

import pytest

from metering.entries import Admitted, Refused
from metering.verify import verify
from tests.metering.books import Books


def test_a_new_period_is_a_new_window_and_the_old_row_goes(books: Books) -> None:
    limiter = books.limiter(100)
    books.spend(limiter, 100)
    assert isinstance(books.try_admit(limiter), Refused)
    books.at("2026-11-25T00:00:00Z")
    assert isinstance(books.try_admit(limiter), Admitted)
    assert books.rows("select count(*) from windows") == [(1,)]


@pytest.mark.parametrize(
    ("period", "last", "following"),
    [
        ("minute", "2028-02-29T23:59:59.999999Z", "2028-03-01T00:00:00Z"),
        ("hour", "2028-02-29T23:59:59.999999Z", "2028-03-01T00:00:00Z"),
        ("day", "2028-02-28T23:59:59.999999Z", "2028-02-29T00:00:00Z"),
        ("day", "2028-02-29T23:59:59.999999Z", "2028-03-01T00:00:00Z"),
        ("week", "2027-01-03T23:59:59.999999Z", "2027-01-04T00:00:00Z"),
        ("month", "2028-02-29T23:59:59.999999Z", "2028-03-01T00:00:00Z"),
        ("month", "2027-02-28T23:59:59.999999Z", "2027-03-01T00:00:00Z"),
        ("year", "2028-12-31T23:59:59.999999Z", "2029-01-01T00:00:00Z"),
    ],
)
def test_a_used_up_budget_is_whole_again_with_the_first_microsecond_of_the_next_window(
    books: Books, period: str, last: str, following: str
) -> None:
    limiter = books.limiter(100, period)
    books.at(last)
    books.spend(limiter, 100)
    refused = books.try_admit(limiter)
    assert isinstance(refused, Refused)
    assert refused.window is not None
    books.at(following)
    assert refused.window.end_us == books.now_us
    admitted = books.try_admit(limiter)
    assert isinstance(admitted, Admitted)
    assert admitted.used_nanousd == 100
    assert verify(books.database) == []


def test_a_week_across_new_year_is_one_window(books: Books) -> None:
    limiter = books.limiter(100, "week")
    books.at("2026-12-28T00:00:00Z")
    books.spend(limiter, 60)
    books.at("2027-01-01T00:00:00Z")
    books.spend(limiter, 40)
    assert isinstance(books.try_admit(limiter), Refused)


def test_a_week_of_downtime_needs_no_reset(books: Books) -> None:
    limiter = books.limiter(100, "week")
    books.spend(limiter, 100)
    books.at("2026-11-29T23:59:59.999999Z")
    assert isinstance(books.try_admit(limiter), Refused)
    books.at("2026-12-07T09:00:00Z")
    assert books.figures(limiter) == (0, 0, 0, 0)
    assert isinstance(books.try_admit(limiter), Admitted)


def test_a_call_is_charged_to_the_window_of_its_admission(books: Books) -> None:
    limiter = books.limiter(100)
    books.at("2026-11-24T23:59:59Z")
    across = books.admit(limiter, 80)
    books.at("2026-11-25T00:00:01Z")
    books.spend(limiter, 5)
    books.settle(across.request_id, 60)
    assert books.figures(limiter) == (5, 0, 1, 15)
    assert books.rows("select hour_us, cost_nanousd from model_hours order by hour_us") == [
        (across.admitted_at_us - across.admitted_at_us % 3_600_000_000, 60),
        (books.now_us - books.now_us % 3_600_000_000, 5),
    ]
    assert verify(books.database) == []


def test_a_window_in_which_something_is_held_is_kept_until_it_is_resolved(books: Books) -> None:
    limiter = books.limiter(1_000, "hour")
    held = books.admit(limiter, 80)
    books.at("2026-11-24T09:00:00Z")
    books.admit(limiter)
    assert books.rows("select count(*) from windows") == [(2,)]
    books.settle(held.request_id, 10)
    books.at("2026-11-24T10:00:00Z")
    books.admit(limiter)
    assert verify(books.database) == []


@pytest.mark.parametrize("period", ["minute", "hour", "day", "week", "month", "year"])
def test_changing_the_period_recomputes_the_window_calls_in_flight_included(
    books: Books, period: str
) -> None:
    limiter = books.limiter(1_000, "day" if period != "day" else "week")
    books.at("2026-01-05T12:00:00Z")
    books.spend(limiter, 1)
    books.at("2026-11-02T12:00:00Z")
    books.spend(limiter, 2)
    books.at("2026-11-23T12:00:00Z")
    books.spend(limiter, 4)
    books.at("2026-11-24T07:10:00Z")
    books.spend(limiter, 8)
    books.at("2026-11-24T08:10:00Z")
    books.spend(limiter, 16)
    books.at("2026-11-24T08:30:00Z")
    books.spend(limiter, 32)
    held = books.admit(limiter, 64)
    changed = books.limiters.update(limiter.id, period_type=period)
    spent = {"minute": 32, "hour": 48, "day": 56, "week": 60, "month": 62, "year": 63}[period]
    assert books.figures(limiter)[:2] == (spent, 64)
    assert books.rows("select count(*) from windows where limiter = ?", limiter.key) == [(1,)]
    assert isinstance(books.try_admit(changed, 1), Admitted)
    books.settle(held.request_id, 10)
    assert books.figures(limiter)[0] == spent + 10
    assert verify(books.database) == []


def test_a_minute_is_computed_from_calls_in_every_state(books: Books) -> None:
    """It has no hourly sum."""
    limiter = books.limiter(1_000, "hour")
    books.admit(limiter, 30)
    books.ledger.expire_worker(books.worker.name, books.now_us)
    books.ledger.release(books.admit(limiter, 100).request_id, 500, books.now_us)
    books.spend(limiter, 5)
    books.admit(limiter, 2)
    books.limiters.update(limiter.id, period_type="minute")
    assert books.figures(limiter) == (35, 2, 3, 15)
    assert verify(books.database) == []


def test_changing_the_period_there_and_back_is_neither_a_fresh_budget_nor_an_instant_refusal(
    books: Books,
) -> None:
    limiter = books.limiter(100)
    books.at("2026-11-23T12:00:00Z")
    books.spend(limiter, 60)
    books.at("2026-11-24T08:30:00Z")
    books.spend(limiter, 60)
    weekly = books.limiters.update(limiter.id, period_type="week")
    assert isinstance(books.try_admit(weekly), Refused)
    daily = books.limiters.update(limiter.id, period_type="day")
    answer = books.try_admit(daily, 10)
    assert isinstance(answer, Admitted)
    assert answer.used_nanousd == 70


def test_rotating_a_code_keeps_the_figures(books: Books) -> None:
    limiter = books.limiter(1_000)
    books.spend(limiter, 60)
    books.admit(limiter, 5)
    books.limiters.rotate_code(limiter.id)
    assert books.figures(limiter) == (60, 5, 2, 15)


@pytest.mark.parametrize("period", ["minute", "hour", "day", "week", "month", "year"])
def test_a_clock_that_steps_back_does_not_hand_out_a_budget_twice(books: Books, period: str) -> None:
    limiter = books.limiter(100, period)
    books.spend(limiter, 60)
    open_call = books.admit(limiter, 40)
    now_us = books.now_us
    books.at("2028-02-29T08:00:00Z")
    books.spend(limiter, 1)
    books.settle(open_call.request_id, 40)
    books.spend(limiter, 1)
    books.now_us = now_us
    refused = books.try_admit(limiter, 1)
    assert isinstance(refused, Refused)
    assert refused.used_nanousd == 100
    books.at("2028-02-29T08:00:00Z")
    assert books.figures(limiter)[0] == 2
    assert verify(books.database) == []


def test_a_window_is_computed_from_sums_that_are_still_in_the_same_batch(books: Books) -> None:
    limiter = books.limiter(100)
    held = books.admit(limiter, 100)
    with books.database.transaction("lose the window") as connection:
        connection.execute("delete from windows")
    with books.ledger.batch(books.clock) as batch:
        batch.settle(books.settlement(held.request_id, 100))
        assert isinstance(batch.admit(books.call(limiter, 1)), Refused)
    assert verify(books.database) == []


def test_a_window_that_nobody_has_used_yet_can_be_read(books: Books) -> None:
    limiter = books.limiter(100)
    window = books.window(limiter)
    assert books.now_us in window.window
    assert books.figures(limiter) == (0, 0, 0, 0)
    assert books.rows("select * from windows") == []
