"""The database locked, full, read-only or damaged: refused, loud, and recovered without a restart."""

import os
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import pytest

from metering.backup import backup
from metering.database import Database
from metering.entries import Admitted
from metering.errors import StoreError
from metering.ledger import knows_key
from metering.limiters import Limiter
from metering.verify import verify
from metering.writer import LedgerWriter
from tests.metering.books import Books
from tests.metering.test_database import ROOT, raw
from tests.metering.test_writer import admitted, run, running


async def admitted_again(writer: LedgerWriter, books: Books, limiter: Limiter, hold: int) -> Admitted:
    """The first admission after a fault is over. One that joins a try from before it is over is still refused."""
    for _ in range(50):
        with suppress(StoreError):
            return await admitted(writer, books, limiter, hold)
    raise AssertionError("Calls are still refused.")


def test_while_the_database_is_locked_calls_are_refused_and_ends_are_kept_in_order(books: Books) -> None:
    limiter = books.limiter(10**6)

    async def body() -> None:
        async with running(books) as writer:
            calls = [await admitted(writer, books, limiter, 10) for _ in range(5)]
            with raw(books.database.path) as other:
                other.execute("begin immediate")
                for cost, call in enumerate(calls[:4]):
                    writer.settle(books.settlement(call.request_id, cost))
                writer.release(calls[4].request_id)
                writer.know_key(limiter.key, "key-1")
                with pytest.raises(StoreError, match="locked"):
                    await writer.admit(books.call(limiter))
                figures = writer.figures(limiter.key)
                assert figures is not None
                assert figures.used_nanousd == 6
                other.rollback()
            again = await admitted(writer, books, limiter, 100)
            assert again.used_nanousd == 106
            writer.release(again.request_id)

    run(body)
    assert books.figures(limiter) == (6, 0, 4, 60)
    assert knows_key(books.ledger.connection, limiter.key, "key-1")
    assert verify(books.database) == []


def test_refusals_are_not_forgotten_while_the_database_is_locked(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("metering.writer_thread.REFUSAL_PATIENCE_S", 0)
    limiter = books.limiter(10**6)

    async def body() -> None:
        async with running(books, look_every_s=0.001) as writer:
            with raw(books.database.path) as other:
                other.execute("begin immediate")
                writer.refused(limiter.key, "model_not_priced")
                with pytest.raises(StoreError):
                    await writer.admit(books.call(limiter))
                other.rollback()

    run(body)
    assert books.rows("select code, count from refusals") == [("model_not_priced", 1)]


def test_what_cannot_be_written_before_the_deadline_is_counted_and_expires_later(books: Books) -> None:
    limiter = books.limiter(10**6)

    async def body() -> None:
        async with running(books) as writer:
            call = await admitted(writer, books, limiter, 10)
            with raw(books.database.path) as other:
                other.execute("begin immediate")
                writer.settle(books.settlement(call.request_id, 5))
                assert not await writer.drain(0.1)

    run(body)
    assert books.figures(limiter) == (0, 10, 1, 0)


def test_a_writer_stuck_in_the_kernel_does_not_hang_the_shutdown(books: Books) -> None:
    code = """
import asyncio, sys
from pathlib import Path
from metering.database import Database
from metering.entries import Admission
from metering.locks import LockFile
from metering.writer import LedgerWriter
database = Database(Path(sys.argv[1]))
async def main():
    lock = LockFile(database.locks / "write")
    lock.take()
    writer = LedgerWriter(database, "stuck", admit_timeout_s=0.05, look_every_s=None)
    writer.start(asyncio.get_running_loop())
    call = Admission(limiter_key=1, limiter_version=1, user="u", model="m", endpoint="e", hold_nanousd=1)
    try:
        await writer.admit(call)
    except Exception as error:
        print(type(error).__name__)
    print(await writer.drain(0.05))
asyncio.run(main())
"""
    ended = subprocess.run(
        [sys.executable, "-c", code, str(books.database.path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        timeout=20,
        check=True,
    )
    assert ended.stdout.split() == ["StoreError", "False"]


FULL_DISK = """
import asyncio, logging, resource, signal, sys
from pathlib import Path
from metering.database import Database
from metering.entries import Admission, Settlement
from metering.errors import StoreError
from metering.usage import Usage
from metering.writer import LedgerWriter
logging.disable()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
database = Database(Path(sys.argv[1]))
call = Admission(limiter_key=1, limiter_version=1, user="u", model="m", endpoint="e", hold_nanousd=1)
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
async def main():
    writer = LedgerWriter(database, sys.argv[2], lambda: int(sys.argv[3]), look_every_s=None)
    writer.start(asyncio.get_running_loop())
    held = [await writer.admit(call) for _ in range(3)]
    resource.setrlimit(resource.RLIMIT_FSIZE, (database.wal_bytes(), hard))
    for admitted in held:
        writer.settle(Settlement(request_id=admitted.request_id, cost_nanousd=1, basis="reported", usage=Usage()))
    for _ in range(2):
        try:
            await writer.admit(call)
            print("admitted")
        except StoreError as error:
            print("refused:", error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    await writer.admit(call)
    print("admitted", await writer.drain(5))
asyncio.run(main())
"""


def test_a_full_disk_refuses_calls_loses_no_settle_and_is_over_when_there_is_space(books: Books) -> None:
    limiter = books.limiter()
    # The limiter's version was raised to none by its small budget: the other process asks with version 1.
    ended = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(books.database.path), books.worker.name, str(books.now_us)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        timeout=30,
        check=True,
    )
    first, second, last = ended.stdout.splitlines()
    assert first.startswith("refused: Cannot ")
    assert second.startswith("refused: Cannot ")
    assert last == "admitted True"
    assert books.figures(limiter) == (3, 1, 4, 0)
    assert verify(books.database) == []


def test_a_database_that_was_damaged_refuses_calls_until_it_is_restored(books: Books) -> None:
    limiter = books.limiter(10**6)
    path = books.database.path

    async def body() -> None:
        async with running(books) as writer:
            first = await admitted(writer, books, limiter, 10)
            with books.database.write_lock(), closing(books.database.open_writer()) as connection:
                connection.execute("pragma wal_checkpoint(truncate)").fetchall()
            whole = path.read_bytes()
            with path.open("r+b") as file:
                file.write(b"\x00" * len(whole))
            writer.settle(books.settlement(first.request_id, 5))
            with pytest.raises(StoreError) as refusal:
                await writer.admit(books.call(limiter))
            assert "Stop everything and restore" in str(refusal.value) or "must name a database" in str(
                refusal.value
            )
            with path.open("r+b") as file:
                file.write(whole)
            answer = await admitted_again(writer, books, limiter, 1)
            assert answer.used_nanousd == 6

    run(body)
    assert verify(books.database) == []


def test_a_database_that_was_deleted_refuses_calls_until_it_is_back(books: Books) -> None:
    limiter = books.limiter(10**6)
    path = books.database.path

    async def body() -> None:
        async with running(books) as writer:
            await admitted(writer, books, limiter, 10)
            path.rename(path.with_name("aside.db"))
            with pytest.raises(StoreError, match="moved, replaced or deleted"):
                await writer.admit(books.call(limiter))
            assert not path.exists()
            path.with_name("aside.db").rename(path)
            await admitted_again(writer, books, limiter, 10)

    run(body)
    assert books.figures(limiter)[1] == 20


def test_a_database_that_was_replaced_is_left_alone_until_the_right_one_is_back(
    books: Books, tmp_path: Path
) -> None:
    """The other file knows nothing of the calls in flight: their ids may mean other calls there."""
    limiter = books.limiter(10**6)
    books.spend(limiter, 5)
    path, copy = books.database.path, tmp_path / "copy.db"
    backup(books.database, copy)

    async def body() -> None:
        async with running(books) as writer:
            first = await admitted(writer, books, limiter, 10)
            path.rename(path.with_name("aside.db"))
            copy.rename(path)
            writer.settle(books.settlement(first.request_id, 7))
            for _ in range(2):
                with pytest.raises(StoreError, match="moved, replaced or deleted"):
                    await writer.admit(books.call(limiter))
            with pytest.raises(StoreError, match="moved, replaced or deleted"):
                books.limiters.update(limiter.id, budget_limit=1)
            path.rename(copy)
            path.with_name("aside.db").rename(path)
            await admitted_again(writer, books, limiter, 10)

    run(body)
    assert books.figures(limiter)[:2] == (12, 10)
    with closing(Database(copy).open_reader()) as connection:
        assert connection.execute("select count(*) from requests").fetchone() == (1,)
