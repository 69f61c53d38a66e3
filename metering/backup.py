"""A consistent copy of the database while everything runs.

`vacuum into` copies one snapshot and blocks nobody. The copy is checked before it takes the place of an older one, so that a
backup file is always a whole one.
"""

import os
import secrets
from contextlib import closing
from pathlib import Path

from metering.database import Database, storing
from metering.disk import sync
from metering.errors import StoreError
from metering.origin import disown

_OPERATION = "back up the database"


def backup(database: Database, file: Path) -> int:
    """Copy the database to the file, replacing an older backup; returns its size in bytes. Raises StoreError."""
    file = file.absolute()
    _refuse_live(database, file)
    if file.is_dir():
        raise StoreError(_OPERATION, f"{file} is a directory", "Name a file.")
    partial = file.with_name(f"{file.name}.{secrets.token_hex(4)}.partial")
    with storing(_OPERATION):
        try:
            # Made first, so that nobody but its owner can read the codes in it at any time.
            os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            with closing(database.open_writer()) as connection:
                connection.execute("vacuum into ?", (str(partial),))
            disown(partial)
            _check(partial)
            sync(partial)
            partial.replace(file)
            sync(file.parent)
        finally:
            partial.unlink(missing_ok=True)
    return file.stat().st_size


def _refuse_live(database: Database, file: Path) -> None:
    live = [database.path.with_name(database.path.name + ending) for ending in ("", "-wal", "-shm")]
    same = file.resolve() in [path.resolve() for path in live] or any(
        file.exists() and path.exists() and file.samefile(path) for path in live
    )
    if same or database.locks.resolve() in file.resolve().parents:
        raise StoreError(_OPERATION, f"{file} is the database in use", "Name another file.")


def _check(copy: Path) -> None:
    with closing(Database(copy).open_reader()) as connection:
        verdict = connection.execute("pragma integrity_check(1)").fetchone()[0]
    if verdict != "ok":
        raise StoreError(
            _OPERATION, f"the copy is damaged ({verdict})", "Run scripts/verify on the database."
        )
