"""What the tests of the shared core have in common."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.metering.books import Books


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    """A ledger on a fresh database."""
    books = Books(tmp_path / "usage_data.db")
    with books.stack:
        yield books
