"""A copy of the database in use."""

from pathlib import Path

import pytest

from metering import backup as backups
from metering.backup import backup
from metering.database import Database
from metering.errors import StoreError
from metering.ledger import Ledger
from metering.verify import verify
from tests.metering.books import Books


def test_a_copy_taken_in_the_middle_of_a_transaction_has_what_was_committed(
    books: Books, tmp_path: Path
) -> None:
    limiter = books.limiter(10**6)
    books.spend(limiter, 30)
    books.admit(limiter, 4)
    file = tmp_path / "copy.db"
    with books.ledger.batch(books.clock) as batch:
        batch.admit(books.call(limiter, 500))
        assert backup(books.database, file) == file.stat().st_size
    copy = Database(file)
    copy.migrate()
    assert verify(copy) == []
    with Ledger(copy, "reader") as ledger:
        window = ledger.window(limiter.key, books.now_us)
    assert (window.spent_nanousd, window.held_nanousd) == (30, 4)
    assert file.stat().st_mode & 0o077 == 0
    assert list(tmp_path.glob("*.partial")) == []


def test_an_older_backup_is_replaced(books: Books, tmp_path: Path) -> None:
    file = tmp_path / "copy.db"
    backup(books.database, file)
    books.limiter()
    backup(books.database, file)
    with Ledger(opened(file), "reader") as ledger:
        assert ledger.connection.execute("select count(*) from limiters").fetchone() == (1,)


def opened(file: Path) -> Database:
    """The copy, migrated."""
    database = Database(file)
    database.migrate()
    return database


@pytest.mark.parametrize("ending", ["", "-wal", "-shm", ".locks/write"])
def test_the_database_in_use_is_never_overwritten(books: Books, ending: str) -> None:
    books.limiter()
    target = Path(f"{books.database.path}{ending}")
    with pytest.raises(StoreError, match="is the database in use"):
        backup(books.database, target)
    assert len(books.limiters.list()) == 1


def test_the_database_in_use_is_recognized_behind_a_link(books: Books, tmp_path: Path) -> None:
    symbolic, hard = tmp_path / "symbolic.db", tmp_path / "hard.db"
    symbolic.symlink_to(books.database.path)
    hard.hardlink_to(books.database.path)
    for link in (symbolic, hard):
        with pytest.raises(StoreError, match="is the database in use"):
            backup(books.database, link)


def test_a_place_that_cannot_be_written_is_an_error_with_a_hint(books: Books, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="must exist and be writable"):
        backup(books.database, tmp_path / "missing" / "copy.db")
    with pytest.raises(StoreError, match="is a directory"):
        backup(books.database, tmp_path)


def test_a_copy_that_is_damaged_does_not_replace_a_good_one(
    books: Books, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "copy.db"
    file.write_text("the older one")

    def damaged(copy: Path) -> None:
        raise StoreError("back up the database", f"{copy} is damaged")

    monkeypatch.setattr(backups, "_check", damaged)
    with pytest.raises(StoreError, match="is damaged"):
        backup(books.database, file)
    assert file.read_text() == "the older one"
    assert list(tmp_path.glob("*.partial")) == []
