"""`scripts/verify`: the verdict, the differences, the repair, and the exit codes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from metering import schema
from metering.backup import backup
from scripts.verify import main
from tests.metering.books import Books


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    """A ledger with one call that has cost something."""
    books = Books(tmp_path / "usage.db")
    with books.stack:
        books.spend(books.limiter(10**6), 30)
        yield books


def spoil(books: Books) -> None:
    with books.database.transaction("spoil") as connection:
        connection.execute("update windows set spent_nanousd = 31")


def test_a_true_database_has_a_verdict_of_one_line(books: Books, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(books.database.path)]) == 0
    assert capsys.readouterr().out == f"{books.database.path}: every total agrees with the rows.\n"


def test_differences_are_named_and_repaired_on_request(
    books: Books, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"sqlite:{books.database.path}")
    spoil(books)
    assert main([]) == 1
    found, verdict = capsys.readouterr().out.splitlines()
    assert "spent_nanousd is 31 and should be 30" in found
    assert "1 differences" in verdict
    assert main(["--repair"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("1 differences found, 0 left after the repair.")
    assert main([]) == 0


def test_what_cannot_be_looked_at_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    garbage = tmp_path / "garbage.db"
    garbage.write_bytes(b"This is no database. " * 1_000)
    assert main([str(garbage)]) == 2
    assert main([str(tmp_path / "none.db")]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert "there is no" in said[1]


def test_a_look_at_a_backup_changes_nothing_of_it(
    books: Books, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "elsewhere" / "copy.db"
    copy.parent.mkdir()
    backup(books.database, copy)
    before = copy.read_bytes()
    assert main([str(copy)]) == 0
    assert "every total agrees" in capsys.readouterr().out
    assert copy.read_bytes() == before
    assert list(copy.parent.iterdir()) == [copy]


def test_a_look_at_the_database_of_an_older_version_does_not_bring_it_up_to_date(
    books: Books, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(schema, "MIGRATIONS", [*schema.MIGRATIONS, lambda _: None])
    assert main([str(books.database.path)]) == 2
    assert "was last used by an older version" in capsys.readouterr().err
    assert len(books.rows("select name from metering_migrations")) == len(schema.MIGRATIONS) - 1
    assert main([str(books.database.path), "--repair"]) == 0
    assert len(books.rows("select name from metering_migrations")) == len(schema.MIGRATIONS)
