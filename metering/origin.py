"""Whether the -wal file beside a database is its own.

After a crash the -wal holds commits that are not in the database file yet. A backup that is then copied over the file
meets that -wal, and SQLite would mix the two into something damaged. So each database in use has a random number in its header
(`user_version`), which is kept among the lock files, too, and a backup has none. Where they differ, the file was
replaced, and the -wal is put aside. All of this happens under the write lock, before anybody has opened the database.
"""

import logging
import secrets
import sqlite3
from pathlib import Path

from metering.disk import sync
from metering.errors import StoreError
from metering.locks import LockFile

log = logging.getLogger(__name__)

_KEPT_IN = "origin"
_NUMBER_AT = slice(60, 64)
"""Where the header of a database file has `user_version`: https://sqlite.org/fileformat2.html#the_database_header"""
_NUMBER_MAX = 2**31 - 1


def put_foreign_wal_aside(path: Path, locks: Path) -> None:
    """Rename the -wal of a former file of this name. Raises StoreError where somebody still uses that file, and OSError."""
    wal = path.with_name(f"{path.name}-wal")
    if _kept(locks) in (None, _number(path)) or not wal.exists() or wal.stat().st_size == 0:
        return
    if _is_in_use(locks):
        reason = f"{path} was replaced while it was in use"
        raise StoreError("open the database", reason, "Stop everything, and put the file there again.")
    aside = wal.with_name(f"{wal.name}.aside")
    wal.replace(aside)
    path.with_name(f"{path.name}-shm").unlink(missing_ok=True)
    log.warning("%s was replaced since it was last used. What its -wal held is now in %s.", path, aside)


def adopt(connection: sqlite3.Connection, path: Path, locks: Path) -> None:
    """Give a database that is new here a number of its own. Raises what SQLite and the file system raise."""
    if _kept(locks) is not None and _kept(locks) == _number(path):
        return
    # First of all forgotten: what is kept must never differ from the file because of us, whenever we are ended.
    (locks / _KEPT_IN).unlink(missing_ok=True)
    sync(locks)
    number = 1 + secrets.randbelow(_NUMBER_MAX)
    connection.execute(f"pragma user_version = {number}")
    connection.execute("pragma wal_checkpoint(passive)").fetchall()
    # A reader may have kept the checkpoint from its end: then the next start tries again.
    if _number(path) == number:
        fresh = locks / f"{_KEPT_IN}.new"
        fresh.write_text(str(number), "ascii")
        sync(fresh)
        fresh.replace(locks / _KEPT_IN)


def disown(copy: Path) -> None:
    """Take the number out of a copy. Raises what SQLite and the file system raise."""
    with copy.open("r+b") as file:
        file.seek(_NUMBER_AT.start)
        file.write(b"\0\0\0\0")


def _number(path: Path) -> int | None:
    """What the file itself says, without its -wal; None where it is no database with a number."""
    try:
        with path.open("rb") as file:
            header = file.read(_NUMBER_AT.stop)
    except FileNotFoundError:
        return None
    return int.from_bytes(header[_NUMBER_AT], "big") or None


def _kept(locks: Path) -> int | None:
    try:
        text = (locks / _KEPT_IN).read_text("ascii", "replace")
    except FileNotFoundError:
        return None
    return int(text) if text.isdecimal() else None


def _is_in_use(locks: Path) -> bool:
    for path in locks.glob("worker-*"):
        with LockFile(path) as lock:
            if not lock.try_take():
                return True
    return False
