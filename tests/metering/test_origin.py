"""A backup takes the place of a database whose process was killed: its own calls are there, and no others."""

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from metering import origin
from metering.backup import backup
from metering.database import Database
from metering.errors import StoreError
from metering.liveness import Worker
from metering.verify import verify
from tests.metering.test_database import ROOT

SPEND_AND_DIE = """
import os, signal, sys
from pathlib import Path
from tests.metering.books import Books
books = Books(Path(sys.argv[1]))
limiters = books.limiters.list()
limiter = limiters[0] if limiters else books.limiter(10**9, "year")
for _ in range(int(sys.argv[2])):
    books.spend(limiter, 7)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def killed(tmp_path: Path) -> Database:
    """A database whose process was killed: what it wrote last is in the -wal alone."""
    Database(tmp_path / "usage.db").migrate()
    spend_and_die(tmp_path / "usage.db", 20)
    database = Database(tmp_path / "usage.db")
    assert database.wal_bytes() > 0
    return database


def spend_and_die(path: Path, calls: int) -> None:
    subprocess.run(
        [sys.executable, "-c", SPEND_AND_DIE, str(path), str(calls)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )


def restore(copy: Path, database: Database) -> None:
    """As an administrator does: into the same file."""
    database.path.write_bytes(copy.read_bytes())


def calls(database: Database) -> int:
    with closing(Database(database.path).open_reader()) as connection:
        assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
        return int(connection.execute("select count(*) from requests").fetchone()[0])


def test_what_a_killed_process_has_committed_is_there_at_the_next_start(killed: Database) -> None:
    Database(killed.path).migrate()
    assert calls(killed) == 20


def test_a_backup_can_be_put_in_the_place_of_a_killed_database_again_and_again(
    killed: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy = tmp_path / "copy.db"
    backup(killed, copy)
    for _ in range(2):
        spend_and_die(killed.path, 40)
        restore(copy, killed)
        caplog.clear()
        Database(killed.path).migrate()
        assert calls(killed) == 20
        assert verify(Database(killed.path)) == []
        assert "was replaced since it was last used" in caplog.text
    assert (tmp_path / "usage.db-wal.aside").stat().st_size > 0


def test_a_backup_is_not_put_under_those_who_still_write(killed: Database, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    backup(killed, copy)
    Database(killed.path).migrate()
    living = Worker.start(killed, "living")
    spend_and_die(killed.path, 1)
    restore(copy, killed)
    with pytest.raises(StoreError, match="was replaced while it was in use"):
        Database(killed.path).migrate()
    living.stop()
    Database(killed.path).migrate()
    assert calls(killed) == 20


def test_a_checkpoint_that_readers_hold_up_leaves_nothing_to_go_wrong(
    killed: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    (killed.locks / "origin").unlink()
    with closing(killed.open_reader()) as reader:
        reader.execute("begin")
        reader.execute("select count(*) from requests").fetchone()
        Database(killed.path).migrate()
        assert not (killed.locks / "origin").exists()
    Database(killed.path).migrate()
    assert (killed.locks / "origin").exists()
    assert calls(killed) == 20


def test_a_number_is_kept_from_one_start_to_the_next_and_never_shared_with_a_copy(
    killed: Database, tmp_path: Path
) -> None:
    kept = (killed.locks / "origin").read_text()
    Database(killed.path).migrate()
    assert (killed.locks / "origin").read_text() == kept
    backup(killed, tmp_path / "copy.db")
    assert origin._number(killed.path) == int(kept)
    assert origin._number(tmp_path / "copy.db") is None


def test_a_process_that_ends_while_it_gives_a_number_leaves_none_that_is_wrong(
    killed: Database, tmp_path: Path
) -> None:
    """Else the next start would put a -wal aside that belongs to the file."""
    copy = tmp_path / "copy.db"
    backup(killed, copy)
    restore(copy, killed)

    class Ended(Exception):
        pass

    class Connection:
        def execute(self, _: str) -> None:
            assert not (killed.locks / "origin").exists()
            raise Ended

    assert (killed.locks / "origin").exists()
    with pytest.raises(Ended):
        origin.adopt(Connection(), killed.path, killed.locks)  # type: ignore[arg-type]
    assert not (killed.locks / "origin").exists()
