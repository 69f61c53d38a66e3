"""Admissions and the ends of calls, one ledger, one database."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from metering.entries import Admitted, LearnedFigures, Outcome, Refused, Settlement
from metering.errors import LimiterNotFound, StoreError
from metering.ledger import Ledger, knows_key, learned
from metering.usage import Usage
from metering.verify import verify
from tests.metering.books import Books


def test_an_admitted_call_is_a_held_row_and_counts_against_the_budget_at_once(books: Books) -> None:
    limiter = books.limiter(1_000)
    admitted = books.admit(limiter, 300)
    assert (admitted.used_nanousd, admitted.held_nanousd, admitted.budget_nanousd) == (300, 300, 1_000)
    assert books.row(admitted.request_id, "state, hold_nanousd, cost_nanousd, worker") == (
        "held",
        300,
        None,
        books.worker.name,
    )
    assert books.figures(limiter) == (0, 300, 1, 0)


def test_a_settled_call_is_charged_exactly_and_nothing_stays_held(books: Books) -> None:
    limiter = books.limiter(1_000)
    admitted = books.admit(limiter, 300)
    assert books.settle(admitted.request_id, 120) is Outcome.SETTLED
    assert books.figures(limiter) == (120, 0, 1, 15)
    assert verify(books.database) == []


def test_a_released_call_leaves_nothing_but_its_row(books: Books) -> None:
    limiter = books.limiter(1_000)
    admitted = books.admit(limiter, 300)
    assert books.ledger.release(admitted.request_id, 502, books.now_us) is Outcome.RELEASED
    assert books.figures(limiter) == (0, 0, 0, 0)
    assert books.row(admitted.request_id, "state, status, cost_nanousd") == ("released", 502, 0)
    assert books.rows("select * from model_hours") == []
    assert verify(books.database) == []


def test_a_cost_above_the_hold_is_recorded_as_it_is(books: Books) -> None:
    limiter = books.limiter(1_000)
    admitted = books.admit(limiter, 100)
    books.settle(admitted.request_id, 130)
    assert books.figures(limiter)[0] == 130
    assert books.row(admitted.request_id, "bound_exceeded") == (0,)


def test_a_strict_call_that_costs_more_than_its_bound_is_marked(books: Books) -> None:
    limiter = books.limiter(1_000)
    dear, exact = books.admit(limiter, 100, "strict"), books.admit(limiter, 100, "strict")
    books.settle(dear.request_id, 101)
    books.settle(exact.request_id, 100)
    assert books.row(dear.request_id, "bound_exceeded") == (1,)
    assert books.row(exact.request_id, "bound_exceeded") == (0,)


def test_soft_admits_the_call_that_crosses_the_line_and_refuses_the_next(books: Books) -> None:
    limiter = books.limiter(1_000)
    books.admit(limiter, 999)
    books.admit(limiter, 500)
    refused = books.try_admit(limiter, 1)
    assert isinstance(refused, Refused)
    assert (refused.code, refused.used_nanousd, refused.budget_nanousd) == ("budget_exceeded", 1_499, 1_000)
    assert refused.period == "day"
    assert refused.window is not None
    assert books.now_us in refused.window


def test_strict_admits_what_fits_to_the_nanodollar_and_no_more(books: Books) -> None:
    limiter = books.limiter(1_000)
    books.admit(limiter, 600, "strict")
    assert isinstance(books.try_admit(limiter, 401, "strict"), Refused)
    assert isinstance(books.try_admit(limiter, 400, "strict"), Admitted)
    assert isinstance(books.try_admit(limiter, 1, "strict"), Refused)


def test_strict_clamps_a_hold_to_what_is_left_when_that_is_enough(books: Books) -> None:
    limiter = books.limiter(1_000)
    books.admit(limiter, 700, "strict")
    clamped = books.try_admit(limiter, 900, "strict", at_least=200)
    assert isinstance(clamped, Admitted)
    assert (clamped.held_nanousd, clamped.used_nanousd) == (300, 1_000)


def test_strict_refuses_where_even_the_least_does_not_fit(books: Books) -> None:
    limiter = books.limiter(1_000)
    books.admit(limiter, 700, "strict")
    refused = books.try_admit(limiter, 900, "strict", at_least=301)
    assert isinstance(refused, Refused)
    assert (refused.used_nanousd, refused.hold_nanousd, refused.at_least_nanousd, refused.mode) == (700, 900, 301, "strict")  # fmt: skip


def test_observe_admits_everything_and_marks_what_soft_would_refuse(books: Books) -> None:
    limiter = books.limiter(100)
    first, second = books.admit(limiter, 100, "observe"), books.admit(limiter, 100, "observe")
    assert (first.over_budget, second.over_budget) == (False, True)
    assert books.row(second.request_id, "over_budget") == (1,)


def test_a_free_call_is_admitted_whatever_the_budget_while_the_limiter_is_active(books: Books) -> None:
    limiter = books.limiter(0)
    assert isinstance(books.try_admit(limiter, 1), Refused)
    assert isinstance(books.try_admit(limiter, 0, "free"), Admitted)
    paused = books.limiters.update(limiter.id, is_active=False)
    answer = books.try_admit(paused, 0, "free")
    assert isinstance(answer, Refused)
    assert answer.code == "limiter_inactive"


def test_a_limiter_that_is_deleted_or_unknown_admits_nothing(books: Books) -> None:
    limiter = books.limiter()
    books.limiters.delete(limiter.id)
    answer = books.try_admit(limiter)
    assert isinstance(answer, Refused)
    assert answer.code == "limiter_not_found"
    unknown = books.ledger.admit(
        books.call(limiter).__class__(
            limiter_key=99, limiter_version=1, user="u", model="m", endpoint="e", hold_nanousd=1
        ),
        books.now_us,
    )
    assert isinstance(unknown, Refused)
    assert unknown.code == "limiter_not_found"


def test_a_call_that_was_priced_on_old_terms_has_to_be_priced_again(books: Books) -> None:
    limiter = books.limiter()
    changed = books.limiters.update(limiter.id, enforcement="strict")
    answer = books.try_admit(limiter)
    assert isinstance(answer, Refused)
    assert answer.code == "limiter_changed"
    assert isinstance(books.try_admit(changed), Admitted)


def test_an_edited_budget_is_in_force_on_the_next_request(books: Books) -> None:
    limiter = books.limiter(100)
    books.spend(limiter, 100)
    assert isinstance(books.try_admit(limiter), Refused)
    raised = books.limiters.update(limiter.id, budget_limit=1)
    assert isinstance(books.try_admit(raised), Admitted)
    lowered = books.limiters.update(limiter.id, budget_limit=0)
    assert isinstance(books.try_admit(lowered), Refused)


def test_touching_one_limiter_leaves_the_figures_of_another_alone(books: Books) -> None:
    mine, other = books.limiter(1_000), books.limiter(1_000)
    books.spend(mine, 10)
    books.spend(other, 20)
    held = books.admit(other, 5)
    books.limiters.update(mine.id, period_type="hour", budget_limit=3)
    books.limiters.rotate_code(mine.id)
    books.limiters.delete(mine.id)
    assert books.figures(other) == (20, 5, 2, 15)
    books.ledger.release(held.request_id, None, books.now_us)
    assert verify(books.database) == []


@pytest.mark.parametrize(("mode", "admitted"), [("strict", 1), ("soft", 2)])
def test_parallel_calls_cannot_share_the_last_dollar(books: Books, mode: str, admitted: int) -> None:
    """Room for one in strict; in soft the call that crosses the line is the last."""
    limiter = books.limiter(1_000)
    books.spend(limiter, 300)
    workers = [books.start_worker("parallel") for _ in range(8)]
    ledgers = [books.open_ledger(worker) for worker in workers]
    call = books.call(limiter, 600, mode)  # type: ignore[arg-type]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda ledger: ledger.admit(call, books.now_us), ledgers))
    assert sum(isinstance(answer, Admitted) for answer in answers) == admitted


def test_parallel_first_calls_of_a_limiter_never_seen_before_share_one_window(books: Books) -> None:
    limiter = books.limiter(1_000)
    ledgers = [books.open_ledger(books.start_worker("parallel")) for _ in range(8)]
    call = books.call(limiter, 250, "strict")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda ledger: ledger.admit(call, books.now_us), ledgers))
    assert sum(isinstance(answer, Admitted) for answer in answers) == 4
    assert books.figures(limiter) == (0, 1_000, 4, 0)


def test_two_calls_in_one_batch_see_each_other(books: Books) -> None:
    limiter = books.limiter(1_000)
    with books.ledger.batch(books.clock) as batch:
        first = batch.admit(books.call(limiter, 600, "strict"))
        second = batch.admit(books.call(limiter, 600, "strict"))
    assert (type(first), type(second)) == (Admitted, Refused)


def test_a_batch_that_fails_leaves_nothing(books: Books) -> None:
    limiter = books.limiter(1_000)

    def admit_and_fail() -> None:
        with books.ledger.batch(books.clock) as batch:
            batch.admit(books.call(limiter))
            raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        admit_and_fail()
    assert books.rows("select * from requests") == []
    assert books.figures(limiter) == (0, 0, 0, 0)


def test_a_request_is_resolved_once(books: Books) -> None:
    limiter = books.limiter()
    settled, released = books.admit(limiter).request_id, books.admit(limiter).request_id
    books.settle(settled, 50)
    books.ledger.release(released, None, books.now_us)
    assert books.settle(settled, 99) is Outcome.UNCHANGED
    assert books.ledger.release(settled, None, books.now_us) is Outcome.UNCHANGED
    assert books.settle(released, 99) is Outcome.UNCHANGED
    assert books.ledger.release(released, None, books.now_us) is Outcome.UNCHANGED
    assert books.settle(999, 1) is Outcome.UNKNOWN
    assert books.ledger.release(999, None, books.now_us) is Outcome.UNKNOWN
    assert books.figures(limiter) == (50, 0, 1, 15)


def test_an_expired_hold_is_charged_and_yields_to_reported_usage_of_its_owner(books: Books) -> None:
    limiter = books.limiter()
    request_id = books.admit(limiter, 100).request_id
    assert books.ledger.expire_worker(books.worker.name, books.now_us) == 1
    assert books.figures(limiter) == (100, 0, 1, 0)
    assert books.row(request_id, "state, cost_nanousd, basis") == ("expired", 100, "estimated")
    assert books.settle(request_id, 70, served="gpt-4o-2024-08-06") is Outcome.SETTLED_LATE
    assert books.figures(limiter) == (70, 0, 1, 15)
    assert books.rows("select model, requests, cost_nanousd, estimated from model_hours") == [
        ("gpt-4o-2024-08-06", 1, 70, 0)
    ]
    assert verify(books.database) == []


def test_an_expired_hold_does_not_yield_to_an_estimate_to_a_release_or_to_a_stranger(books: Books) -> None:
    limiter = books.limiter()
    request_id = books.admit(limiter, 100).request_id
    books.ledger.expire_worker(books.worker.name, books.now_us)
    assert books.settle(request_id, 70, "estimated") is Outcome.UNCHANGED
    assert books.ledger.release(request_id, None, books.now_us) is Outcome.UNCHANGED
    stranger = books.open_ledger(books.start_worker("stranger"))
    assert stranger.settle(books.settlement(request_id, 70), books.now_us) is Outcome.UNCHANGED
    assert books.figures(limiter) == (100, 0, 1, 0)


def test_what_is_resolved_does_not_expire(books: Books) -> None:
    limiter = books.limiter()
    settled, released = books.spend(limiter, 30), books.admit(limiter, 40).request_id
    books.ledger.release(released, 500, books.now_us)
    books.admit(limiter, 50)
    books.ledger.expire_worker(books.worker.name, books.now_us)
    with books.ledger.batch(books.clock) as batch:
        assert [batch.expire(request) for request in (settled, released, 3, 4)] == [False] * 4
    assert books.figures(limiter) == (80, 0, 2, 15)
    assert verify(books.database) == []


def test_an_unmetered_call_that_expires_stays_unmetered(books: Books) -> None:
    limiter = books.limiter()
    answer = books.ledger.admit(books.call(limiter, 0, "free", unmetered=True), books.now_us)
    assert isinstance(answer, Admitted)
    books.ledger.expire_worker(books.worker.name, books.now_us)
    assert books.row(answer.request_id, "basis, cost_nanousd") == ("unmetered", 0)
    assert books.rows("select requests, unmetered, estimated from model_hours") == [(1, 1, 0)]


def test_the_row_keeps_every_count_and_the_prices_used(books: Books) -> None:
    limiter = books.limiter()
    request_id = books.admit(limiter).request_id
    usage = Usage(
        input_tokens=20,
        cached_tokens=8,
        output_tokens=7,
        reasoning_tokens=3,
        images=1,
        image_size="1024x1024",
    )
    settlement = Settlement(
        request_id=request_id,
        cost_nanousd=9,
        basis="fallback",
        usage=usage,
        model_served="gpt-4o-2024-08-06",
        price_row="fallback@2026-01-01",
        status=200,
        provider_cost_nanousd=8,
    )
    books.now_us += 5
    books.ledger.settle(settlement, books.now_us)
    columns = (
        "input_tokens, cached_tokens, output_tokens, reasoning_tokens, images, image_size, image_quality"
    )
    assert books.row(request_id, columns) == (20, 8, 7, 3, 1, "1024x1024", None)
    columns = "basis, price_row, model, model_served, status, provider_cost_nanousd, finished_at_us - admitted_at_us"
    assert books.row(request_id, columns) == ("fallback", "fallback@2026-01-01", "gpt-4o", "gpt-4o-2024-08-06", 200, 8, 5)  # fmt: skip


def test_figures_beyond_any_column_do_not_stop_a_settle(books: Books) -> None:
    limiter = books.limiter()
    request_id = books.admit(limiter).request_id
    settlement = Settlement(
        request_id=request_id,
        cost_nanousd=10**30,
        basis="reported",
        usage=Usage(input_tokens=10**30, output_tokens=-5),
        provider_cost_nanousd=-(10**30),
    )
    assert books.ledger.settle(settlement, books.now_us) is Outcome.SETTLED
    assert books.row(request_id, "cost_nanousd, input_tokens, output_tokens") == (10**15, 10**12, 0)


def test_thousands_of_figures_beyond_reason_can_still_be_summed(books: Books) -> None:
    limiter = books.limiter(10**9, "year")
    usage = Usage(input_tokens=10**30, output_tokens=10**30)
    with books.ledger.batch(books.clock) as batch:
        for _ in range(2_000):
            answer = batch.admit(books.call(limiter, 10**30, "observe"))
            assert isinstance(answer, Admitted)
            batch.settle(
                Settlement(request_id=answer.request_id, cost_nanousd=10**30, basis="reported", usage=usage)
            )
    assert books.figures(limiter) == (2_000 * 10**15, 0, 2_000, 4_000 * 10**12)
    assert verify(books.database) == []


def test_a_hold_beyond_reason_does_not_fill_the_window_for_ever(books: Books) -> None:
    limiter = books.limiter()
    assert books.admit(limiter, 10**30).held_nanousd == 10**15
    assert isinstance(books.try_admit(limiter, 10**30, "strict"), Refused)


def test_what_was_learned_is_kept_for_the_limiter_and_the_model_asked(books: Books) -> None:
    limiter = books.limiter()
    request_id = books.admit(limiter).request_id
    books.ledger.settle(
        Settlement(
            request_id=request_id,
            cost_nanousd=1,
            basis="reported",
            usage=Usage(),
            model_served="gpt-4o-2024-08-06",
            learned=LearnedFigures(640, 250_000),
        ),
        books.now_us,
    )
    assert learned(books.ledger.connection, limiter.key, "gpt-4o") == (640, 250_000)
    assert learned(books.ledger.connection, limiter.key, "gpt-4o-mini") is None


def test_refusals_are_counted_by_hour(books: Books) -> None:
    limiter = books.limiter()
    counts = {(limiter.key, "budget_exceeded"): 3, (limiter.key, "model_not_priced"): 1}
    books.ledger.count_refusals(counts, books.now_us)
    books.ledger.count_refusals(counts, books.now_us + 1)
    assert sorted(books.rows("select code, count from refusals")) == [
        ("budget_exceeded", 6),
        ("model_not_priced", 2),
    ]


def test_of_models_without_a_price_the_latest_are_kept(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metering.refused.MODELS_MAX", 2)
    limiter, other = books.limiter(), books.limiter()
    for models in ({"gpt-7": 1}, {"gpt-8": 2}, {"gpt-9": 3}, {"gpt-8": 4}):
        books.now_us += 1
        with books.ledger.batch(books.clock) as batch:
            batch.count_refusals({}, {(limiter.key, model): count for model, count in models.items()})
    with books.ledger.batch(books.clock) as batch:
        batch.count_refusals({}, {(other.key, "gpt-7"): 5})

    known = books.rows("select limiter, model, count, last_us from unpriced_models order by limiter, model")
    assert known == [
        (limiter.key, "gpt-8", 6, books.now_us),
        (limiter.key, "gpt-9", 3, books.now_us - 1),
        (other.key, "gpt-7", 5, books.now_us),
    ]


def test_a_limiter_learns_only_so_many_client_keys(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metering.batch.KNOWN_KEYS_MAX", 2)
    limiter, other = books.limiter(), books.limiter()
    with books.ledger.batch(books.clock) as batch:
        for key in ("key-1", "key-1", "key-2", "key-3"):
            batch.know_key(limiter.key, key)
        batch.know_key(other.key, "key-3")

    known = books.rows("select limiter, key from known_keys")
    assert known == [(limiter.key, "key-1"), (limiter.key, "key-2"), (other.key, "key-3")]
    assert knows_key(books.ledger.connection, other.key, "key-3")
    assert not knows_key(books.ledger.connection, limiter.key, "key-3")


def test_the_window_of_an_unknown_limiter_is_not_found(books: Books) -> None:
    with pytest.raises(LimiterNotFound):
        books.ledger.window(99, books.now_us)


def test_a_deleted_database_is_noticed_before_anything_is_written_into_nowhere(books: Books) -> None:
    limiter = books.limiter()
    moved = books.database.path.with_name("moved.db")
    books.database.path.rename(moved)
    with pytest.raises(StoreError, match="moved, replaced or deleted"):
        books.admit(limiter)
    moved.rename(books.database.path)
    books.admit(limiter)


def test_a_ledger_without_a_database_says_what_to_do(books: Books) -> None:
    missing = type(books.database)(books.database.path.with_name("missing.db"))
    with pytest.raises(StoreError, match="directory"):
        Ledger(missing, "nobody")
