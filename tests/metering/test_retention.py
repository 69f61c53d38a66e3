"""Old rows go, totals stay."""

import pytest

from metering.retention import prune
from metering.verify import verify
from tests.metering.books import Books


def test_whole_days_go_in_small_steps_and_the_totals_do_not_change(books: Books) -> None:
    limiter = books.limiter(10**6, "year")
    other = books.limiter(10**6, "month")
    for day in (1, 2, 3, 20, 22, 23):
        books.at(f"2026-11-{day:02d}T23:59:59.999999Z")
        for _ in range(3):
            books.spend(limiter, day)
            books.spend(other, 1)
    books.at("2026-11-24T08:30:00Z")
    before = (
        books.figures(limiter),
        books.figures(other),
        books.rows("select sum(cost_nanousd) from user_days"),
    )
    assert prune(books.database, 2, books.now_us, step_rows=4) == 24
    assert prune(books.database, 2, books.now_us) == 0
    assert books.rows("select count(*) from requests") == [(12,)]
    assert books.rows("select watermark_us from retention") == [(books.now_us - books.now_us % 86_400_000_000 - 2 * 86_400_000_000,)]  # fmt: skip
    assert verify(books.database) == []
    with books.database.transaction("lose the windows") as connection:
        connection.execute("delete from windows")
    after = (
        books.figures(limiter),
        books.figures(other),
        books.rows("select sum(cost_nanousd) from user_days"),
    )
    assert after == before


def test_changing_the_period_after_retention_counts_what_is_gone(books: Books) -> None:
    limiter = books.limiter(10**6, "day")
    books.at("2026-11-01T10:00:00Z")
    books.spend(limiter, 40)
    books.at("2026-11-24T08:30:00Z")
    books.spend(limiter, 2)
    prune(books.database, 2, books.now_us)
    books.limiters.update(limiter.id, period_type="month")
    assert books.figures(limiter)[0] == 42
    assert verify(books.database) == []


def test_a_call_in_flight_is_never_deleted_and_can_still_be_settled(books: Books) -> None:
    limiter = books.limiter(10**6, "year")
    held = books.admit(limiter, 50)
    books.spend(limiter, 1)
    books.at("2026-12-24T08:30:00Z")
    assert prune(books.database, 2, books.now_us) == 0
    books.spend(limiter, 0)
    assert prune(books.database, 2, books.now_us) == 1
    books.settle(held.request_id, 30)
    assert books.figures(limiter) == (31, 0, 3, 45)
    assert verify(books.database) == []
    assert prune(books.database, 2, books.now_us) == 1
    assert books.figures(limiter) == (31, 0, 3, 45)


def test_the_id_of_a_deleted_request_is_never_given_to_another(books: Books) -> None:
    limiter = books.limiter()
    last = [books.spend(limiter, 1) for _ in range(3)][-1]
    books.at("2027-12-24T08:30:00Z")
    prune(books.database, 2, books.now_us)
    assert books.rows("select id from requests") == [(last,)]
    assert books.spend(limiter, 1) > last


def test_a_longer_retention_later_does_not_move_the_watermark_back(books: Books) -> None:
    limiter = books.limiter()
    books.spend(limiter, 1)
    books.at("2026-12-24T08:30:00Z")
    prune(books.database, 2, books.now_us)
    watermark = books.rows("select watermark_us from retention")
    prune(books.database, 300, books.now_us)
    assert books.rows("select watermark_us from retention") == watermark


def test_calls_are_kept_after_a_clock_that_was_a_year_ahead_is_right_again(books: Books) -> None:
    limiter = books.limiter(10**6, "year")
    books.at("2027-11-24T08:30:00Z")
    books.spend(limiter, 1)
    prune(books.database, 2, books.now_us)
    books.at("2026-11-24T08:30:00Z")
    kept = [books.spend(limiter, 10) for _ in range(3)]
    assert prune(books.database, 2, books.now_us) == 0
    books.at("2026-11-27T08:30:00Z")
    assert prune(books.database, 2, books.now_us) == len(kept[:-1])
    assert books.figures(limiter)[0] == 30


def test_less_than_two_days_are_not_a_retention(books: Books) -> None:
    with pytest.raises(ValueError, match="at least 2"):
        prune(books.database, 1, books.now_us)
