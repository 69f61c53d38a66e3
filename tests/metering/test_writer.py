"""The ledger as the event loop sees it: group commit, headers, time-outs, the end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from metering.entries import Admitted, Figures, Refused
from metering.errors import StoreError
from metering.inbox import AdmitJob
from metering.liveness import Worker
from metering.locks import LockFile
from metering.periods import Period, window_at
from metering.verify import verify
from metering.writer import LedgerWriter
from tests.metering.books import Books


@asynccontextmanager
async def running(books: Books, **options: Any) -> AsyncIterator[LedgerWriter]:
    """A writer for the books' worker, drained at the end."""
    writer = LedgerWriter(books.database, books.worker.name, books.clock, **{"look_every_s": None, **options})
    writer.start(asyncio.get_running_loop())
    try:
        yield writer
    finally:
        await writer.drain(5.0)


async def admitted(writer: LedgerWriter, books: Books, *arguments: Any) -> Admitted:
    """A call that has to be admitted."""
    answer = await writer.admit(books.call(*arguments))
    assert isinstance(answer, Admitted), answer
    return answer


async def until(is_so: Callable[[], bool]) -> None:
    """Let the loop run until something is so; a test that never gets there is ended."""
    async with asyncio.timeout(10):
        while not is_so():
            await asyncio.sleep(0)


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run an asynchronous test body."""

    async def body() -> None:
        async with asyncio.timeout(30):
            await test()

    asyncio.run(body())


def test_a_call_is_held_settled_and_drained(books: Books) -> None:
    limiter = books.limiter()

    async def body() -> None:
        async with running(books) as writer:
            call = await admitted(writer, books, limiter, 100)
            assert call.used_nanousd == 100
            writer.settle(books.settlement(call.request_id, 60))
            other = await admitted(writer, books, limiter, 50)
            assert other.used_nanousd == 110
            writer.release(other.request_id, 502)
            assert await writer.drain(5.0)
            assert not writer.alive

    run(body)
    assert books.figures(limiter) == (60, 0, 1, 15)
    assert verify(books.database) == []


@pytest.mark.parametrize(("mode", "fitting"), [("strict", 25), ("soft", 25)])
def test_of_200_calls_at_once_exactly_those_are_admitted_that_fit(
    books: Books, mode: str, fitting: int
) -> None:
    limiter = books.limiter(25 * 40)

    async def body() -> None:
        async with running(books) as writer:
            answers = await asyncio.gather(*[writer.admit(books.call(limiter, 40, mode)) for _ in range(200)])  # type: ignore[arg-type]
            calls = [answer for answer in answers if isinstance(answer, Admitted)]
            assert len(calls) == fitting
            for call in calls:
                writer.settle(books.settlement(call.request_id, 40))

    run(body)
    assert books.figures(limiter)[:3] == (1_000, 0, fitting)
    assert verify(books.database) == []


def test_calls_of_a_moment_share_a_commit(books: Books) -> None:
    limiter = books.limiter(10**6)

    async def body() -> None:
        async with running(books) as writer:
            await asyncio.gather(*[writer.admit(books.call(limiter, 1)) for _ in range(100)])

    ticks = iter(range(books.now_us, books.now_us + 10**6))
    books.clock = lambda: next(ticks)  # type: ignore[method-assign]
    run(body)
    times = books.rows("select count(*), count(distinct admitted_at_us) from requests")
    assert times[0][0] == 100
    assert int(str(times[0][1])) < 20


def test_headers_include_the_settle_that_is_still_queued(books: Books) -> None:
    limiter = books.limiter(1_000)
    window = window_at(Period.DAY, books.now_us)

    async def body() -> None:
        async with running(books) as writer:
            assert writer.figures(limiter.key) is None
            first = await admitted(writer, books, limiter, 100)
            second = await admitted(writer, books, limiter, 100)
            assert writer.figures(limiter.key) == Figures(1_000, 200, window)
            writer.settle(books.settlement(first.request_id, 30))
            assert writer.figures(limiter.key) == Figures(1_000, 130, window)
            writer.release(second.request_id)
            assert writer.figures(limiter.key) == Figures(1_000, 30, window)
            await writer.written()
            assert writer.figures(limiter.key) == Figures(1_000, 30, window)

    run(body)


def test_settles_are_written_without_an_admission_to_ride_along_with(books: Books) -> None:
    limiter = books.limiter(1_000)

    async def body() -> None:
        async with running(books) as writer:
            call = await admitted(writer, books, limiter, 100)
            writer.settle(books.settlement(call.request_id, 30))
            async with asyncio.timeout(10):
                while books.figures(limiter)[0] != 30:
                    await asyncio.sleep(0.001)

    run(body)


def test_refusals_are_added_up_and_written_at_the_end_at_the_latest(books: Books) -> None:
    limiter = books.limiter(0)

    async def body() -> None:
        async with running(books) as writer:
            for _ in range(50):
                answer = await writer.admit(books.call(limiter, 1))
                assert isinstance(answer, Refused)
                writer.refused(limiter.key, answer.code)
            writer.refused(limiter.key, "model_not_priced")

    run(body)
    assert sorted(books.rows("select code, count from refusals")) == [
        ("budget_exceeded", 50),
        ("model_not_priced", 1),
    ]
    assert books.rows("select count(*) from requests") == [(0,)]


def test_models_without_a_price_are_written_by_name(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metering.inbox.MODELS_MAX", 2)
    limiter = books.limiter()

    async def body() -> None:
        async with running(books) as writer:
            for model in ("gpt-9", "gpt-10", "made-up", "gpt-9"):
                writer.refused(limiter.key, "model_not_priced", model)

    run(body)
    assert books.rows("select code, count from refusals") == [("model_not_priced", 4)]
    assert books.rows("select model, count from unpriced_models order by model") == [
        ("gpt-10", 1),
        ("gpt-9", 2),
    ]


def test_refusals_ride_along_with_the_next_batch(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metering.writer_thread.REFUSAL_PATIENCE_S", 0.0)
    limiter = books.limiter()

    async def body() -> None:
        async with running(books) as writer:
            writer.refused(limiter.key, "model_not_priced")
            await admitted(writer, books, limiter, 100)
            await until(lambda: books.rows("select count from refusals") == [(1,)])

    run(body)


def test_a_client_key_that_cannot_be_kept_costs_nobody_else_his_write(books: Books) -> None:
    limiter = books.limiter()

    async def body() -> None:
        async with running(books) as writer:
            writer.know_key(99, "key-1")
            writer.know_key(limiter.key, "key-1")
            await admitted(writer, books, limiter, 100)

    run(body)
    assert books.figures(limiter)[1] == 100
    assert books.rows("select * from known_keys") == [(limiter.key, "key-1")]


def test_a_refusal_of_an_unknown_limiter_costs_nobody_else_his_write(books: Books) -> None:
    limiter = books.limiter()

    async def body() -> None:
        async with running(books) as writer:
            writer.refused(99, "model_not_priced")
            await admitted(writer, books, limiter, 100)

    run(body)
    assert books.figures(limiter)[1] == 100
    assert books.rows("select * from refusals") == []


def test_an_admission_waits_no_longer_than_its_time_out_and_its_hold_is_released_later(books: Books) -> None:
    limiter = books.limiter()

    async def body() -> None:
        with LockFile(books.database.locks / "write") as lock:
            async with running(books, admit_timeout_s=0.05) as writer:
                lock.take()
                with pytest.raises(StoreError, match=r"did not answer within 0.05 s"):
                    await writer.admit(books.call(limiter, 100))
                lock.give_back()
                await until(lambda: not writer._waiting)
                await writer.written()

    run(body)
    assert books.figures(limiter) == (0, 0, 0, 0)


def test_an_admission_that_was_abandoned_before_it_was_tried_is_not_tried(books: Books) -> None:
    limiter = books.limiter()

    async def body() -> None:
        with LockFile(books.database.locks / "write") as lock:
            async with running(books) as writer:
                lock.take()
                first = asyncio.create_task(writer.admit(books.call(limiter, 100)))
                await asyncio.sleep(0.05)
                second = asyncio.create_task(writer.admit(books.call(limiter, 100)))
                await asyncio.sleep(0)
                first.cancel()
                second.cancel()
                await asyncio.gather(first, second, return_exceptions=True)
                lock.give_back()
                await until(lambda: not writer._waiting)

    run(body)
    assert books.rows("select state from requests") == [("released",)]


def test_a_caller_that_is_cancelled_just_as_its_answer_comes_holds_nothing(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    limiter = books.limiter()

    async def body() -> None:
        async with running(books) as writer:
            task = asyncio.create_task(writer.admit(books.call(limiter, 100)))
            answer = writer._answer

            def answer_and_cancel(job: AdmitJob, found: object) -> None:
                answer(job, found)
                task.cancel()

            monkeypatch.setattr(writer, "_answer", answer_and_cancel)
            with pytest.raises(asyncio.CancelledError):
                await task

    run(body)
    assert books.rows("select state from requests") == [("released",)]


def test_too_many_waiting_calls_are_refused_at_once(books: Books) -> None:
    limiter = books.limiter()

    async def body() -> None:
        with LockFile(books.database.locks / "write") as lock:
            async with running(books, waiting_max=2) as writer:
                lock.take()
                waiting = [asyncio.create_task(writer.admit(books.call(limiter, 1))) for _ in range(2)]
                await until(lambda: len(writer._waiting) == 2)
                with pytest.raises(StoreError, match="2 calls wait"):
                    await writer.admit(books.call(limiter, 1))
                lock.give_back()
                await asyncio.gather(*waiting)

    run(body)


def test_a_fault_of_one_call_costs_that_call_alone(books: Books) -> None:
    limiter = books.limiter(10**6)

    async def body() -> None:
        async with running(books) as writer:
            faulty = books.call(limiter, 5, model=b"not text")  # type: ignore[arg-type]
            calls = [books.call(limiter, 10), faulty, books.call(limiter, 20)]
            first, fault, second = await asyncio.gather(*map(writer.admit, calls), return_exceptions=True)
            assert isinstance(first, Admitted)
            assert isinstance(second, Admitted)
            assert isinstance(fault, StoreError)

    run(body)
    assert books.figures(limiter) == (0, 30, 2, 0)
    assert verify(books.database) == []


def test_the_end_of_a_call_that_cannot_be_recorded_is_charged_at_its_hold(books: Books) -> None:
    limiter = books.limiter(10**6)

    async def body() -> None:
        async with running(books) as writer:
            call, other = (
                await admitted(writer, books, limiter, 10),
                await admitted(writer, books, limiter, 20),
            )
            writer.settle(books.settlement(call.request_id, 3, served=b"not text"))  # type: ignore[arg-type]
            writer.settle(books.settlement(other.request_id, 4))
            await writer.written()

    run(body)
    assert books.figures(limiter) == (14, 0, 2, 15)
    assert books.rows("select state from requests order by id") == [("expired",), ("settled",)]
    assert verify(books.database) == []


def test_a_batch_whose_sums_cannot_be_written_is_taken_apart(books: Books) -> None:
    limiter, full = books.limiter(10**6), books.limiter(10**6)
    books.admit(full, 1)
    with books.database.transaction("fill the window") as connection:
        connection.execute(
            "update windows set held_nanousd = 9223372036854775800 where limiter = ?", (full.key,)
        )

    async def body() -> None:
        async with running(books) as writer:
            calls = [books.call(limiter, 10), books.call(full, 100, "free"), books.call(limiter, 20)]
            first, fault, second = await asyncio.gather(*map(writer.admit, calls), return_exceptions=True)
            assert isinstance(first, Admitted)
            assert isinstance(second, Admitted)
            assert isinstance(fault, StoreError)

    run(body)
    assert books.figures(limiter) == (0, 30, 2, 0)


def test_a_cost_that_cannot_be_charged_is_an_alarm(books: Books, caplog: pytest.LogCaptureFixture) -> None:
    limiter = books.limiter()
    taken = books.admit(limiter, 30).request_id
    books.ledger.expire_worker(books.worker.name, books.now_us)

    async def body() -> None:
        async with running(books) as writer:
            writer.settle(books.settlement(taken, 7, "estimated"))
            writer.settle(books.settlement(99, 8))
            writer.settle(books.settlement((await admitted(writer, books, limiter, 5)).request_id, 9))

    run(body)
    assert [record.getMessage() for record in caplog.records] == [
        f"Request {taken} was resolved by somebody else: its cost of 7 nanodollars (estimated) is not charged.",
        "Request 99 has no row: its cost of 8 nanodollars (reported) is not charged.",
    ]
    assert books.figures(limiter)[:2] == (39, 0)


def test_a_wal_that_others_have_filled_is_cut_while_nobody_calls(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Retention deletes millions of rows in a row, and proxies may have nothing to do meanwhile."""
    books.limiter()
    monkeypatch.setattr("metering.database._WAL_LARGE_BYTES", 1_000)
    assert books.database.is_wal_large()

    async def body() -> None:
        async with running(books, look_every_s=0.001):
            await until(lambda: books.database.wal_bytes() == 0)

    run(body)


def test_holds_of_dead_workers_are_expired_between_batches(books: Books) -> None:
    limiter = books.limiter()
    lost = Worker.start(books.database, "lost")
    books.open_ledger(lost).admit(books.call(limiter, 30), books.now_us)
    lost.stop()

    async def body() -> None:
        async with running(books, look_every_s=0.01):
            async with asyncio.timeout(10):
                while books.figures(limiter)[0] != 30:
                    await asyncio.sleep(0.001)

    run(body)


def test_a_writer_that_has_died_refuses_every_call_and_says_so_once(books: Books) -> None:
    limiter = books.limiter()
    deaths: list[str] = []

    def broken() -> int:
        raise SystemExit

    async def body() -> None:
        writer = LedgerWriter(
            books.database,
            books.worker.name,
            broken,
            look_every_s=None,
            on_death=lambda: deaths.append("died"),
        )
        writer.start(asyncio.get_running_loop())
        answers = await asyncio.gather(
            writer.admit(books.call(limiter)), writer.admit(books.call(limiter)), return_exceptions=True
        )
        assert [type(answer) for answer in answers] == [StoreError, StoreError]
        assert not writer.alive
        assert deaths == ["died"]
        with pytest.raises(StoreError, match="not being written"):
            await writer.admit(books.call(limiter))
        with pytest.raises(StoreError, match="not being written"):
            await writer.written()
        writer.release(1)
        assert await writer.drain(1.0)

    run(body)
    assert books.rows("select * from requests") == []


def test_a_writer_that_never_started_has_nothing_to_drain(books: Books) -> None:
    async def body() -> None:
        writer = LedgerWriter(books.database, books.worker.name)
        assert not writer.alive
        assert await writer.drain(1.0)

    run(body)


def test_a_writer_does_not_start_on_a_database_that_is_not_there(books: Books) -> None:
    missing = type(books.database)(books.database.path.with_name("missing.db"))

    async def body() -> None:
        with pytest.raises(StoreError):
            LedgerWriter(missing, "nobody").start(asyncio.get_running_loop())

    run(body)
