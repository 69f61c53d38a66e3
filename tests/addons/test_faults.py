"""The database fails, and comes back: nothing is forwarded that is not accounted for, and nothing has to be restarted."""

import asyncio
import resource
import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from metering.locks import LockFile
from metering.verify import verify
from scripts.standin import Answer, Received, StandIn
from tests.addons.proxy import Proxied
from tests.addons.wire import COST_NANOUSD, json_answer


@pytest.fixture
def hurried(proxy: Proxied, monkeypatch: pytest.MonkeyPatch) -> Proxied:
    """A proxy that does not wait ten seconds for its database."""
    from addons import books
    from metering.writer import LedgerWriter

    class Hurried(LedgerWriter):
        def __init__(self, *arguments: object, **named: object) -> None:
            super().__init__(*arguments, **{"admit_timeout_s": 0.3, **named})  # type: ignore[arg-type]

    monkeypatch.setattr(books, "LedgerWriter", Hurried)
    return proxy


async def test_a_locked_database_refuses_calls_until_the_lock_is_gone(
    hurried: Proxied, upstream: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    proxy = hurried
    limiter = proxy.limiter(upstream)

    with LockFile(proxy.database.locks / "write") as lock:
        assert lock.take_within(5)
        refused = await proxy.chat(limiter)
        health = await proxy.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")

    assert (refused.status, refused.code) == (503, "limiter_unavailable")
    assert health.status == 200
    assert upstream.received == []
    assert (await proxy.chat(limiter)).status == 200
    window = await proxy.at_rest(limiter)
    assert (window.spent_nanousd, window.held_nanousd) == (COST_NANOUSD, 0)
    assert verify(proxy.database) == []


async def test_an_answer_that_comes_while_the_database_is_locked_is_charged_afterwards(
    hurried: Proxied, upstream: StandIn
) -> None:
    proxy = hurried
    limiter = proxy.limiter(upstream)
    lock = LockFile(proxy.database.locks / "write")

    def answer(_: Received) -> Answer:
        assert lock.take_within(5)
        return json_answer()

    upstream.handler = answer
    with lock:
        reply = await proxy.chat(limiter)
        assert reply.status == 200
        assert proxy.rows()[0]["state"] == "held"

    assert (await proxy.row())["cost_nanousd"] == COST_NANOUSD


async def test_a_full_disk_refuses_calls_until_there_is_space(
    hurried: Proxied, upstream: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    """SQLite says the same of a database that may not grow as of a disk that is full."""
    proxy = hurried
    limiter = proxy.limiter(upstream)
    assert (await proxy.chat(limiter)).status == 200
    await proxy.at_rest(limiter)
    wal = proxy.database.path.with_name(f"{proxy.database.path.name}-wal")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (wal.stat().st_size, hard))
    try:
        refused = await proxy.chat(limiter)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)

    assert (refused.status, refused.code) == (503, "limiter_unavailable")
    assert len(upstream.received) == 1
    assert "error metering.writer_thread: Cannot write to the ledger" in capsys.readouterr().out

    async with asyncio.timeout(10):
        while (await proxy.chat(limiter)).status != 200:
            await asyncio.sleep(0.05)
    await proxy.at_rest(limiter)
    assert verify(proxy.database) == []


async def test_a_database_that_is_read_only_refuses_calls_until_it_is_writable(
    hurried: Proxied, upstream: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may write everything, so the connections are made read-only instead of the file."""
    from metering.database import Database

    proxy = hurried
    limiter = proxy.limiter(upstream)
    real = Database.open_writer

    def read_only(database: Database) -> sqlite3.Connection:
        connection = real(database)
        connection.execute("pragma query_only = on")
        return connection

    with monkeypatch.context() as patch:
        patch.setattr(Database, "open_writer", read_only)
        await proxy.stop()
        await proxy.start()
        refused = await proxy.chat(limiter)

    assert (refused.status, refused.code) == (503, "limiter_unavailable")
    assert upstream.received == []
    async with asyncio.timeout(10):
        while (await proxy.chat(limiter)).status != 200:
            await asyncio.sleep(0.05)


async def test_a_corrupt_database_refuses_calls(hurried: Proxied, upstream: StandIn) -> None:
    proxy = hurried
    limiter = proxy.limiter(upstream)
    await proxy.stop()
    with closing(sqlite3.connect(proxy.database.path)) as connection:
        (page,) = connection.execute("select rootpage from sqlite_master where name = 'windows'").fetchone()
        (size,) = connection.execute("pragma page_size").fetchone()
        connection.execute("pragma wal_checkpoint(truncate)")
    with proxy.database.path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    await proxy.start()

    refused = await proxy.chat(limiter)

    assert (refused.status, refused.code) == (503, "limiter_unavailable")
    assert upstream.received == []


async def test_a_dead_writer_ends_the_process_instead_of_hanging_it(
    proxy: Proxied, upstream: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    from addons import running
    from metering.writer_thread import WriterThread

    ended: list[bool] = []
    monkeypatch.setattr(running, "_die", lambda: ended.append(True))
    await proxy.stop()
    await proxy.start()
    limiter = proxy.limiter(upstream)

    class Death(BaseException):
        pass

    def dies(*_: object) -> None:
        raise Death

    monkeypatch.setattr(WriterThread, "_write", dies)
    refused = await proxy.chat(limiter)

    assert (refused.status, refused.code) == (503, "limiter_unavailable")
    await proxy.until(lambda: ended == [True])
    assert (await proxy.chat(limiter)).status == 503
    assert upstream.received == []


async def test_a_clock_that_steps_back_loses_nothing(proxy: Proxied, upstream: StandIn) -> None:
    limiter = proxy.limiter(upstream)

    def answer(_: Received) -> Answer:
        proxy.at("2026-11-24T07:30:00Z")
        return json_answer()

    upstream.handler = answer
    assert (await proxy.chat(limiter)).status == 200
    assert (await proxy.chat(limiter)).status == 200

    window = await proxy.at_rest(limiter)
    assert (window.spent_nanousd, window.held_nanousd) == (2 * COST_NANOUSD, 0)
    assert verify(proxy.database) == []


async def test_lock_files_that_somebody_deleted_are_made_again(
    proxy: Proxied, upstream: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    from addons import running

    monkeypatch.setattr(running, "_SWEEP_EVERY_S", 0.01)
    await proxy.stop()
    await proxy.start()
    limiter = proxy.limiter(upstream)
    shutil.rmtree(proxy.database.locks)

    await proxy.until(lambda: any(proxy.database.locks.glob("worker-*")))

    assert (await proxy.chat(limiter)).status == 200
    await proxy.at_rest(limiter)
    assert [row["state"] for row in proxy.rows()] == ["settled"]


async def test_holds_of_a_dead_process_are_charged_by_the_next(proxy: Proxied, tmp_path: Path) -> None:
    from metering.entries import Admission, Admitted
    from metering.ledger import Ledger

    limiter = proxy.limiter("http://127.0.0.1:1")
    (proxy.database.locks / "worker-proxy-dead").touch()
    with Ledger(proxy.database, "proxy-dead") as ledger:
        call = Admission(
            limiter_key=limiter.key,
            limiter_version=limiter.version,
            user="alice",
            model="plain",
            endpoint="chat/completions",
            hold_nanousd=1_000,
        )
        assert isinstance(ledger.admit(call, proxy.now_us), Admitted)

    await proxy.stop()
    await proxy.start()
    await proxy.until(proxy.is_at_rest)

    assert [(row["state"], row["cost_nanousd"]) for row in proxy.rows()] == [("expired", 1_000)]
