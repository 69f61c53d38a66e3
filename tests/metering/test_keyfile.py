"""Keys beside the database: random, made once, for their owner alone."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from metering.errors import StoreError
from metering.keyfile import beside, read_or_make


def test_a_key_is_made_once_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = beside(tmp_path / "usage.db", "users-key")

    first = read_or_make(path)

    assert len(bytes.fromhex(first)) == 32
    assert read_or_make(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [tmp_path / "usage.db.users-key"]


def test_many_who_start_at_once_read_the_same_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        keys = list(pool.map(lambda _: read_or_make(tmp_path / "key"), range(64)))

    assert len(set(keys)) == 1
    assert list(tmp_path.iterdir()) == [tmp_path / "key"]


def test_a_key_that_others_can_read_is_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "key"
    first = read_or_make(path)
    path.chmod(0o644)

    assert read_or_make(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="key"):
        read_or_make(tmp_path / "no" / "such" / "key")
