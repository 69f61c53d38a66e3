"""The sums by model and hour and by user and day."""

from metering.rollups import OTHERS, USERS_A_DAY
from metering.verify import verify
from tests.metering.books import Books


def test_sums_are_kept_by_the_model_served_and_by_the_user(books: Books) -> None:
    limiter = books.limiter(10_000)
    first = books.admit(limiter, 10, user="alice").request_id
    books.settle(first, 10, served="gpt-4o-2024-08-06")
    books.spend(limiter, 20, user="bob")
    books.now_us += 3_600_000_000
    books.spend(limiter, 40, user="bob")
    assert books.rows(
        "select model, sum(cost_nanousd), sum(requests) from model_hours group by 1 order by 1"
    ) == [
        ("gpt-4o", 60, 2),
        ("gpt-4o-2024-08-06", 10, 1),
    ]
    assert books.rows(
        "select user, cost_nanousd, requests, last_request_at_us from user_days order by 1"
    ) == [
        ("alice", 10, 1, books.now_us - 3_600_000_000),
        ("bob", 60, 2, books.now_us),
    ]
    assert verify(books.database) == []


def test_users_beyond_the_thousandth_of_a_day_are_counted_together(books: Books) -> None:
    limiter = books.limiter(10**9)
    with books.ledger.batch(books.clock) as batch:
        for number in range(USERS_A_DAY + 5):
            call = books.call(limiter, 1, user=f"user-{number}")
            batch.settle(books.settlement(batch.admit(call).request_id, 1))  # type: ignore[union-attr]
    books.spend(limiter, 7, user="user-1")
    late = books.spend(limiter, 8, user="one more")
    assert books.rows("select count(*) from user_days") == [(USERS_A_DAY + 1,)]
    assert books.rows("select requests, cost_nanousd from user_days where user = ?", OTHERS) == [(6, 13)]
    assert books.rows("select cost_nanousd from user_days where user = 'user-1'") == [(8,)]
    assert books.row(late, "user, user_grouped") == ("one more", 1)
    assert verify(books.database) == []
    books.at("2026-11-25T00:00:00Z")
    assert books.row(books.spend(limiter, 8, user="one more"), "user_grouped") == (0,)
    assert verify(books.database) == []


def test_a_user_who_calls_himself_others_is_counted_with_them(books: Books) -> None:
    limiter = books.limiter(10**9)
    books.spend(limiter, 3, user=OTHERS)
    assert books.rows("select user, cost_nanousd from user_days") == [(OTHERS, 3)]
    assert verify(books.database) == []


def test_a_late_settle_in_the_batch_of_other_calls_moves_just_its_own_share(books: Books) -> None:
    limiter = books.limiter(10_000)
    lost = [books.admit(limiter, 10).request_id for _ in range(3)]
    books.ledger.expire_worker(books.worker.name, books.now_us)
    fresh = books.admit(limiter, 10).request_id
    with books.ledger.batch(books.clock) as batch:
        batch.settle(books.settlement(lost[0], 4, served="gpt-4o-mini"))
        batch.settle(books.settlement(fresh, 5))
    assert books.rows("select model, requests, cost_nanousd, estimated from model_hours order by model") == [
        ("gpt-4o", 3, 25, 2),
        ("gpt-4o-mini", 1, 4, 0),
    ]
    assert books.figures(limiter) == (29, 0, 4, 30)
    assert verify(books.database) == []


def test_a_late_settle_under_another_model_leaves_the_other_calls_of_its_hour(books: Books) -> None:
    limiter = books.limiter(10_000)
    lost = [books.admit(limiter, 10).request_id for _ in range(2)]
    books.ledger.expire_worker(books.worker.name, books.now_us)
    for left, request in ((1, lost[0]), (0, lost[1])):
        books.settle(request, 4, served="gpt-4o-mini")
        assert books.rows("select requests from model_hours where model = 'gpt-4o'") == [(1,)] * left
        assert verify(books.database) == []


def test_the_last_request_of_a_user_is_the_one_that_was_admitted_last(books: Books) -> None:
    """Whatever the order in which they end, in one transaction or in several."""
    limiter = books.limiter(10_000)
    calls = []
    for _ in range(4):
        calls.append(books.admit(limiter, 1).request_id)
        books.now_us += 1
    with books.ledger.batch(books.clock) as batch:
        for request in (calls[3], calls[2]):
            batch.settle(books.settlement(request, 1))
    for request in (calls[1], calls[0]):
        books.settle(request, 1)
        assert books.rows("select last_request_at_us from user_days") == [(books.now_us - 1,)]
    assert verify(books.database) == []


def test_sums_that_are_written_in_the_middle_of_a_transaction_are_not_written_again(books: Books) -> None:
    limiter, other = books.limiter(10_000), books.limiter(10_000)
    calls = [books.admit(limiter, 10).request_id for _ in range(2)]
    with books.ledger.batch(books.clock) as batch:
        batch.settle(books.settlement(calls[0], 3))
        # Its first window is computed from the sums, which are written for that.
        batch.admit(books.call(other, 1))
        batch.settle(books.settlement(calls[1], 4))
    assert books.rows("select requests, cost_nanousd from user_days") == [(2, 7)]
    assert books.rows("select requests, cost_nanousd from model_hours") == [(2, 7)]
    assert verify(books.database) == []
