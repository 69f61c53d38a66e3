"""Opening, locking, migrating and refusing the one file."""

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

import metering
from metering import schema
from metering.clock import monotonic_s
from metering.database import Database, immediate, is_of_the_store
from metering.errors import StoreError
from metering.ledger import Ledger
from metering.locks import LockFile
from tests.metering.books import Books

ROOT = Path(metering.__file__).parents[1]


def raw(path: Path) -> closing[sqlite3.Connection]:
    """A connection of somebody else's program."""
    return closing(sqlite3.connect(path))


def run(code: str, *arguments: str) -> subprocess.Popen[str]:
    """Another process with this package."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], env=environment, stdout=subprocess.PIPE, text=True
    )


def test_the_file_is_durable_strict_and_for_its_owner_alone(books: Books) -> None:
    connection = books.ledger.connection
    pragmas = ("journal_mode", "synchronous", "foreign_keys", "wal_autocheckpoint")
    assert [connection.execute(f"pragma {name}").fetchone()[0] for name in pragmas] == ["wal", 2, 1, 0]
    tables = books.rows(
        "select name, strict from pragma_table_list where schema = 'main' and name not like 'sqlite%'"
    )
    assert {strict for _, strict in tables} == {1}
    assert len(tables) == 13
    assert books.database.path.stat().st_mode & 0o077 == 0
    assert books.database.locks.stat().st_mode & 0o077 == 0


def test_migrating_again_changes_nothing_and_keeps_all_figures(books: Books) -> None:
    limiter = books.limiter()
    books.spend(limiter, 40)
    held = books.admit(limiter, 7)
    before = books.figures(limiter)
    books.database.migrate()
    books.ledger.reopen()
    assert books.figures(limiter) == before == (40, 7, 2, 15)
    books.settle(held.request_id, 3)
    assert books.figures(limiter)[:2] == (43, 0)


def test_a_later_migration_runs_once_and_keeps_all_figures(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    limiter = books.limiter()
    books.spend(limiter, 40)

    def m900_note(tables: object) -> None:
        tables["limiters"].add_column("note", str)  # type: ignore[index]

    monkeypatch.setattr(schema, "MIGRATIONS", [*schema.MIGRATIONS, m900_note])
    books.database.migrate(books.clock)
    books.database.migrate(books.clock)
    books.ledger.reopen()
    assert books.figures(limiter) == (40, 0, 1, 15)
    assert books.rows("select note from limiters") == [(None,)]
    monkeypatch.undo()
    with pytest.raises(StoreError, match="changed by a newer version"):
        books.database.migrate()


def test_a_migration_that_fails_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(tmp_path / "new.db")

    def m900_half(tables: object) -> None:
        tables.conn.execute("create table half (x)")  # type: ignore[attr-defined]
        tables.conn.execute("create table half (x)")  # type: ignore[attr-defined]

    monkeypatch.setattr(schema, "MIGRATIONS", [*schema.MIGRATIONS, m900_half])
    with pytest.raises(StoreError, match="already exists"):
        database.migrate()
    monkeypatch.undo()
    database.migrate()
    with closing(database.open_reader()) as connection:
        assert connection.execute("select count(*) from sqlite_master where name = 'half'").fetchone() == (0,)


def test_another_programs_tables_are_refused_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    with raw(path) as connection:
        connection.execute("create table songs (title text)")
        connection.commit()
    with pytest.raises(StoreError) as refusal:
        Database(path).migrate()
    assert str(refusal.value) == (
        f"Cannot open the database: {path} holds another program's tables (songs). "
        "DATABASE_URL must name a file of its own."
    )
    with raw(path) as connection:
        assert connection.execute("select name from sqlite_master").fetchall() == [("songs",)]
        assert connection.execute("pragma journal_mode").fetchone() == ("delete",)


def make_text(path: Path) -> None:
    path.write_text("This is a letter and no database at all. " * 100)


def make_directory(path: Path) -> None:
    path.mkdir()


def make_nothing(path: Path) -> None:
    """Leaves the path's parent missing."""
    path.parent.rmdir()


@pytest.mark.parametrize(
    ("make", "hint"),
    [
        (make_text, "DATABASE_URL"),
        (make_directory, "directory"),
        (make_nothing, "parent directory must exist"),
    ],
)
def test_what_is_no_database_is_refused_with_a_hint(
    tmp_path: Path, make: Callable[[Path], None], hint: str
) -> None:
    path = tmp_path / "place" / "usage_data.db"
    path.parent.mkdir()
    make(path)
    with pytest.raises(StoreError) as refusal:
        Database(path).migrate()
    assert hint in str(refusal.value)


def test_opening_a_database_that_is_not_there_does_not_create_it(tmp_path: Path) -> None:
    database = Database(tmp_path / "missing.db")
    with pytest.raises(StoreError):
        database.open_reader()
    assert not database.path.exists()


READ_ONLY = """
import os, sys
from pathlib import Path
import sqlite_utils
from metering.database import Database
from metering.errors import StoreError
if os.geteuid() == 0:
    os.setgid(65534); os.setuid(65534)
try:
    Database(Path(sys.argv[1])).migrate()
    print("opened")
except StoreError as error:
    print(error)
"""


def test_a_directory_that_may_not_be_written_is_refused_with_a_hint() -> None:
    import tempfile  # pytest's own directories are closed to other users.

    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o555)
        with run(READ_ONLY, f"{directory}/usage_data.db") as process:
            said = process.stdout.read() if process.stdout else ""
        Path(directory).chmod(0o755)
    assert "Permission denied" in said
    assert "must exist and be writable" in said


def test_a_reader_cannot_write_and_sees_each_commit(books: Books) -> None:
    with closing(books.database.open_reader()) as reader:
        assert reader.execute("select count(*) from limiters").fetchone() == (0,)
        books.limiter()
        assert reader.execute("select count(*) from limiters").fetchone() == (1,)
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader.execute("delete from limiters")


FIRST_OPEN = """
import sys
from pathlib import Path
from metering.database import Database
sys.stdin.readline()
database = Database(Path(sys.argv[1]))
database.migrate()
with database.transaction("write") as connection:
    connection.execute("update retention set watermark_us = watermark_us + 1")
print("opened")
"""


@pytest.mark.parametrize("before", [0, 2])
def test_processes_that_open_a_new_or_an_older_database_at_once_all_succeed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    path = tmp_path / "usage_data.db"
    if before:
        with monkeypatch.context() as older:
            older.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:before])
            Database(path).migrate()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", FIRST_OPEN, str(path)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(8)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate()[0] for process in processes] == ["opened\n"] * 8
    with closing(Database(path).open_reader()) as connection:
        assert connection.execute("select watermark_us from retention").fetchone() == (8,)


def test_threads_that_open_a_new_database_at_once_all_succeed(tmp_path: Path) -> None:
    failures: list[BaseException] = []

    def first_open(path: Path, barrier: threading.Barrier) -> None:
        try:
            barrier.wait()
            Database(path).migrate()
        except StoreError as failure:
            failures.append(failure)

    for number in range(5):
        barrier = threading.Barrier(8)
        path = tmp_path / f"usage_data_{number}.db"
        threads = [threading.Thread(target=first_open, args=(path, barrier)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []


def test_a_lock_that_does_not_come_in_time_is_an_error_and_is_not_taken_later(books: Books) -> None:
    path = books.database.locks / "write"
    with LockFile(path) as holder:
        holder.take()
        with pytest.raises(StoreError, match=r"has held .*write for 0.01 s"), books.database.write_lock(0.01):
            pass
        holder.give_back()
        # The thread that nobody waits for any more gets the lock now, and has to hand it on.
        for thread in threading.enumerate():
            if thread.name == "lock-queue":
                thread.join()
        with books.database.write_lock(5.0):
            assert not holder.try_take()
        with books.database.write_lock(5.0):
            pass


def test_a_lock_that_comes_while_one_waits_is_taken(books: Books) -> None:
    holder = LockFile(books.database.locks / "write")
    holder.take()
    timer = threading.Timer(0.02, holder.close)
    timer.start()
    with books.database.write_lock(5.0), LockFile(books.database.locks / "write") as other:
        assert not other.try_take()
    timer.join()


def test_a_database_that_another_program_holds_is_locked_and_then_free_again(books: Books) -> None:
    limiter = books.limiter()
    with raw(books.database.path) as other:
        other.execute("begin immediate")
        with pytest.raises(StoreError, match="Another program holds the database"):
            books.admit(limiter)
        other.rollback()
    books.admit(limiter)


def test_a_checkpoint_moves_the_wal_into_the_database_and_cuts_a_large_one(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    limiter = books.limiter()
    books.spend(limiter, 10)
    assert books.database.wal_bytes() > 0
    books.ledger.checkpoint()
    with raw(books.database.path) as copy:
        assert copy.execute("select sum(cost_nanousd) from requests").fetchone() == (10,)
    monkeypatch.setattr("metering.database._WAL_LARGE_BYTES", 0)
    books.spend(limiter, 10)
    books.ledger.checkpoint()
    assert books.database.wal_bytes() == 0


def test_a_long_reader_keeps_nobody_waiting_and_his_wal_is_cut_when_he_is_gone(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    limiter = books.limiter()
    monkeypatch.setattr("metering.database._WAL_LARGE_BYTES", 0)
    started_s = monotonic_s()
    with Ledger(Database(books.database.path, busy_timeout_s=20), books.worker.name) as patient:
        with closing(books.database.open_reader()) as reader:
            reader.execute("begin")
            assert reader.execute("select count(*) from requests").fetchone() == (0,)
            for _ in range(3):
                books.spend(limiter, 10)
                patient.checkpoint()
            assert books.database.wal_bytes() > 0
            assert reader.execute("select count(*) from requests").fetchone() == (0,)
        patient.checkpoint()
    assert monotonic_s() - started_s < 20
    assert books.database.wal_bytes() == 0
    assert books.figures(limiter) == (30, 0, 3, 45)


def test_a_statement_that_is_wrong_is_not_a_failure_of_the_store(books: Books) -> None:
    with pytest.raises(sqlite3.Error) as wrong, immediate(books.ledger.connection):
        books.ledger.connection.execute("insert into windows values (99, 0, 0, 0, 0, 0, 0)")
    assert not is_of_the_store(wrong.value)
    assert is_of_the_store(StoreError("write", "the disk is full"))
