"""`scripts/backup` and what it says."""

import subprocess
from pathlib import Path

import pytest

from metering.database import Database
from metering.limiters import Limiters
from scripts.backup import main
from tests.scripts.product import ROOT, environ


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A database with one limiter, which the settings name."""
    database = Database(tmp_path / "usage.db")
    database.migrate()
    Limiters(database).create(
        name="Customer A", budget_limit=20, period_type="day", base_url="https://api.openai.com"
    )
    for name, value in environ(tmp_path).items():
        monkeypatch.setenv(name, value)
    return database


def names(path: Path) -> list[str]:
    return [limiter.name for limiter in Limiters(Database(path)).list()]


def test_the_copy_is_named_with_its_size(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "copy.db"
    assert main([str(file)]) == 0
    assert (
        capsys.readouterr().out
        == f"{file} is a whole copy of {database.path} ({file.stat().st_size:,} bytes).\n"
    )
    assert names(file) == ["Customer A"]


def test_without_a_name_the_copy_lies_beside_the_database(database: Database, tmp_path: Path) -> None:
    assert main([]) == 0
    (copy,) = tmp_path.glob("usage-2*Z.db")
    assert names(copy) == names(database.path)


def test_what_cannot_be_done_is_one_sentence(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(database.path)]) == 1
    assert main([str(tmp_path / "missing" / "copy.db")]) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert "is the database in use" in said[0]


def test_a_database_that_is_not_there_is_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"sqlite:{tmp_path / 'none.db'}")
    assert main([]) == 1
    assert "there is no" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_command_names_files_from_where_it_is_called(database: Database, tmp_path: Path) -> None:
    here = tmp_path / "elsewhere"
    here.mkdir()
    run = subprocess.run(
        [ROOT / "scripts" / "backup", "copy.db"],
        cwd=here,
        env=environ(tmp_path),
        capture_output=True,
        text=True,
    )
    assert (run.returncode, run.stdout.startswith("copy.db is a whole copy of")) == (0, True), run.stderr
    assert names(here / "copy.db") == names(database.path)
