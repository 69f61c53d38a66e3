"""The one SQLite file: how it is opened, locked, migrated and checkpointed.

WAL with `synchronous=FULL`. Whoever writes takes the write lock (a file in `<database>.locks/`) first and then
`begin immediate`; first opens, migrations and checkpoints happen under the same lock, because SQLite's busy handler
starves under load and two checkpointers at once can damage a WAL of SQLite 3.40. No connection checkpoints by itself.
Everything that goes wrong leaves here as a StoreError with the operation, the reason and what to do.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal

from metering import origin, schema
from metering.clock import Clock, now_us
from metering.errors import StoreError
from metering.locks import LockFile, make_directory

_HINTS = {
    sqlite3.SQLITE_BUSY: "Another program holds the database; this is tried again.",
    sqlite3.SQLITE_LOCKED: "Another program holds the database; this is tried again.",
    sqlite3.SQLITE_PROTOCOL: "Another program holds the database; this is tried again.",
    sqlite3.SQLITE_FULL: "The disk or its quota is full: free some space.",
    sqlite3.SQLITE_IOERR: "The disk does not do as it is asked: look at its space, its quota and its health.",
    sqlite3.SQLITE_READONLY: "The database, its directory and its -wal file must be writable for this user.",
    sqlite3.SQLITE_PERM: "The database, its directory and its -wal file must be writable for this user.",
    sqlite3.SQLITE_CANTOPEN: "The directory must exist and be writable for this user.",
    sqlite3.SQLITE_CORRUPT: "Stop everything and restore the last backup.",
    sqlite3.SQLITE_NOTADB: "DATABASE_URL must name a database of this program, or a new file.",
    sqlite3.SQLITE_NOMEM: "The machine is out of memory.",
}
MOVED = "the database file was moved, replaced or deleted while it was in use"
MOVED_HINT = "Put it back, or restart."
_PRIMARY = 0xFF
_WAL_LARGE_BYTES = 64 * 1024 * 1024
_CACHED_STATEMENTS = 256


class Database:
    """The file and the rules of access to it. Opening connections is cheap; nothing is open between calls."""

    def __init__(self, path: Path | str, *, busy_timeout_s: float = 5.0) -> None:
        self.path = Path(path).absolute()
        self.locks = self.path.with_name(self.path.name + ".locks")
        self._busy_timeout_s = busy_timeout_s
        self._file: tuple[int, int] | None = None

    def migrate(self, clock: Clock = now_us) -> None:
        """Create the file or bring its tables up to date; whichever process starts first does it."""
        make_directory(self.locks)
        with self.write_lock(), storing("open the database", self.path):
            if self._file not in (None, self.identity()):
                raise StoreError("open the database", MOVED, MOVED_HINT)
            # The file holds the codes of all limiters, which are keys: it is for its owner alone.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            is_new = self.path.stat().st_size == 0
            origin.put_foreign_wal_aside(self.path, self.locks)
            with closing(self._connect("rw")) as connection:
                schema.refuse_foreign(connection, self.path)
                mode = connection.execute("pragma journal_mode = wal").fetchone()[0]
                if mode != "wal":
                    raise StoreError(
                        "open the database", "its file system cannot do WAL", "Put it on a local disk."
                    )
                schema.migrate(connection, clock)
                if not is_new:
                    # A new file has no copies yet, and the next process that starts does it: the worker of a supervisor.
                    origin.adopt(connection, self.path, self.locks)

    def refuse_older(self) -> None:
        """Raise StoreError where the tables are not those of this version; nothing is changed."""
        with storing("open the database", self.path), closing(self._connect("rw")) as connection:
            schema.refuse_foreign(connection, self.path)
            if schema.pending_migrations(connection):
                reason = f"{self.path} was last used by an older version of this program"
                raise StoreError("open the database", reason, "Start the product on it once.")

    def open_writer(self) -> sqlite3.Connection:
        """A connection for transactions under the write lock. It may move between threads, one at a time."""
        with storing("open the database", self.path):
            return self._connect("rw")

    def open_reader(self) -> sqlite3.Connection:
        """A connection that cannot write. Each select sees the last commit."""
        with storing("open the database", self.path):
            connection = self._connect("rw")
            connection.execute("pragma query_only = on")
            return connection

    @contextmanager
    def write_lock(self, timeout_s: float = 10.0) -> Iterator[None]:
        """Hold the write lock; raises StoreError where it does not come in time."""
        with storing("lock the database"), LockFile(self.locks / "write") as lock:
            if not lock.take_within(timeout_s):
                raise StoreError(
                    "lock the database",
                    f"another process has held {lock.path} for {timeout_s:g} s",
                    "It is tried again; a process that hangs has to be ended.",
                )
            yield

    @contextmanager
    def transaction(self, operation: str, timeout_s: float = 10.0) -> Iterator[sqlite3.Connection]:
        """One write transaction on a connection of its own, under the write lock. Commits unless it raises."""
        with (
            storing(operation),
            self.write_lock(timeout_s),
            closing(self._connect("rw")) as connection,
            immediate(connection),
        ):
            yield connection

    def checkpoint(self, connection: sqlite3.Connection) -> None:
        """Move the WAL into the database, without waiting for readers. Only under the write lock.

        A long reader lets the WAL grow; once he is gone the file is cut back to nothing.
        """
        mode: Literal["truncate", "passive"] = "truncate" if self.is_wal_large() else "passive"
        # Truncating would wait for readers with everybody else waiting for us.
        connection.execute("pragma busy_timeout = 0")
        try:
            connection.execute(f"pragma wal_checkpoint({mode})").fetchall()
        finally:
            connection.execute(f"pragma busy_timeout = {round(self._busy_timeout_s * 1000)}")

    def is_wal_large(self) -> bool:
        """Whether the WAL has grown so much that it should be cut back to nothing."""
        return self.wal_bytes() > _WAL_LARGE_BYTES

    def wal_bytes(self) -> int:
        """Size of the WAL file."""
        try:
            return self.path.with_name(f"{self.path.name}-wal").stat().st_size
        except FileNotFoundError:
            return 0

    def identity(self) -> tuple[int, int]:
        """Which file it is now; zeros where there is none."""
        try:
            found = self.path.stat()
        except OSError:
            return (0, 0)
        return (found.st_dev, found.st_ino)

    def _connect(self, mode: str) -> sqlite3.Connection:
        file = self.identity()
        # Another file's calls are others, and the -wal beside it may not be its own. Of a missing one SQLite says so.
        if self._file not in (None, file) and any(file):
            raise StoreError("open the database", MOVED, MOVED_HINT)
        connection = sqlite3.connect(
            f"{self.path.as_uri()}?mode={mode}",
            uri=True,
            timeout=self._busy_timeout_s,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=_CACHED_STATEMENTS,
        )
        try:
            connection.execute("pragma synchronous = full")
            connection.execute("pragma foreign_keys = on")
            connection.execute("pragma wal_autocheckpoint = 0")
            connection.execute("pragma cache_size = -16000")
            # Where connecting succeeds on anything, reading the schema tells whether it is a database.
            connection.execute("select count(*) from sqlite_master").fetchone()
        except BaseException:
            connection.close()
            raise
        self._file = file
        return connection


@contextmanager
def immediate(connection: sqlite3.Connection) -> Iterator[None]:
    """`begin immediate` to commit; rolled back where anything raises."""
    connection.execute("begin immediate")
    try:
        yield
        connection.execute("commit")
    except BaseException:
        # SQLite ends the transaction by itself on some errors, a full disk among them.
        if connection.in_transaction:
            connection.execute("rollback")
        raise


@contextmanager
def storing(operation: str, path: Path | None = None) -> Iterator[None]:
    """Turn what SQLite and the file system raise into StoreError, which names the file where it is known."""
    try:
        yield
    except sqlite3.Error as failure:
        raise store_error(operation, failure, path) from failure
    except OSError as failure:
        reason = f"{failure.filename}: {failure.strerror}" if failure.filename else str(failure)
        raise StoreError(operation, reason, _HINTS[sqlite3.SQLITE_CANTOPEN]) from failure


def store_error(operation: str, failure: Exception, path: Path | None = None) -> StoreError:
    """The StoreError that says what a failure of SQLite means."""
    code = getattr(failure, "sqlite_errorcode", None)
    hint = _HINTS.get(code & _PRIMARY, "") if isinstance(code, int) else ""
    return StoreError(operation, str(failure) if path is None else f"{path}: {failure}", hint)


def is_of_the_store(failure: BaseException) -> bool:
    """Whether the database as a whole failed, rather than the statement that it was given."""
    if isinstance(failure, StoreError | OSError | MemoryError):
        return True
    code = getattr(failure, "sqlite_errorcode", None)
    return isinstance(code, int) and code & _PRIMARY in _HINTS
