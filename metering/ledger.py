"""The ledger's face: admit, settle, release, expire, and the current window.

Synchronous, one connection, one write transaction for each group of calls: the write lock first, then
`begin immediate`, then the clock, once. A second engine would stand beside this one behind the same face.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from metering.batch import Batch
from metering.clock import Clock
from metering.database import MOVED, MOVED_HINT, Database, immediate, storing
from metering.entries import (
    Admission,
    Admitted,
    Figures,
    LearnedFigures,
    Outcome,
    Refused,
    Settlement,
)
from metering.errors import LimiterNotFound, StoreError
from metering.locks import LockFile, make_directory
from metering.periods import Period
from metering.windows import WindowFigures, read_window

__all__ = ["Admission", "Admitted", "Figures", "Ledger", "Outcome", "Refused", "Settlement", "learned"]


class Ledger:
    """The books as one worker writes them. Used by one thread at a time; whoever opens it closes it."""

    def __init__(self, database: Database, worker: str) -> None:
        self.worker = worker
        self.database = database
        with storing("open the database"):
            self._lock = LockFile(database.locks / "write")
        try:
            self._file = database.identity()
            self._connection = database.open_writer()
        except BaseException:
            self._lock.close()
            raise

    @contextmanager
    def batch(self, clock: Clock) -> Iterator[Batch]:
        """One transaction: committed at the end, or nothing of it where anything raises.

        Raises what SQLite raises. Waits for the write lock as long as it takes.
        """
        self._lock.take()
        try:
            # SQLite goes on writing into a file that was deleted, and nobody would ever read it.
            if self._file != self.database.identity():
                raise StoreError("write to the ledger", MOVED, MOVED_HINT)
            with immediate(self._connection):
                batch = Batch(self._connection, self.worker, clock())
                yield batch
                batch.flush()
        finally:
            self._lock.give_back()

    def admit(self, call: Admission, now_us: int) -> Admitted | Refused:
        """Hold money for a call, or say why not. Raises StoreError."""
        with self._alone("admit a call", now_us) as batch:
            return batch.admit(call)

    def settle(self, settlement: Settlement, now_us: int) -> Outcome:
        """Charge a call. Raises StoreError."""
        with self._alone("settle a call", now_us) as batch:
            return batch.settle(settlement)

    def release(self, request_id: int, status: int | None, now_us: int) -> Outcome:
        """Give a hold back. Raises StoreError."""
        with self._alone("release a hold", now_us) as batch:
            return batch.release(request_id, status)

    def expire_worker(self, worker: str, now_us: int) -> int:
        """Charge all holds of a dead worker; returns how many. Raises StoreError."""
        with self._alone("expire holds", now_us) as batch:
            return batch.expire_worker(worker)

    def count_refusals(
        self,
        by_code: Mapping[tuple[int, str], int],
        now_us: int,
        by_model: Mapping[tuple[int, str], int] | None = None,
    ) -> None:
        """Add to the refusals of the hour, and to those for the want of a model's price. Raises StoreError."""
        with self._alone("count refusals", now_us) as batch:
            batch.count_refusals(by_code, by_model)

    def window(self, limiter_key: int, now_us: int) -> WindowFigures:
        """The current window as of the last commit. Raises LimiterNotFound, StoreError."""
        with storing("read a window"):
            found = self._connection.execute(
                "select period from limiters where key = ?", (limiter_key,)
            ).fetchone()
            if found is None:
                raise LimiterNotFound(str(limiter_key))
            return read_window(self._connection, limiter_key, Period(found[0]), now_us)

    def checkpoint(self) -> None:
        """Move the WAL into the database. Raises StoreError."""
        self._lock.take()
        try:
            with storing("checkpoint the database"):
                self.database.checkpoint(self._connection)
        finally:
            self._lock.give_back()

    def relock(self) -> None:
        """Queue with all others again where somebody has deleted the file of the write lock. Raises StoreError."""
        if not self._lock.is_in_place():
            make_directory(self.database.locks)
            with storing("lock the database"):
                fresh = LockFile(self._lock.path)
            self._lock.close()
            self._lock = fresh

    def reopen(self) -> None:
        """A fresh connection, after a failure that may have spoilt the old one. Raises StoreError."""
        fresh = self.database.open_writer()
        self._connection.close()
        self._connection = fresh

    def close(self) -> None:
        """Close the connection and the lock file."""
        self._connection.close()
        self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def connection(self) -> sqlite3.Connection:
        """For reads between transactions."""
        return self._connection

    @contextmanager
    def _alone(self, operation: str, now_us: int) -> Iterator[Batch]:
        with storing(operation), self.batch(lambda: now_us) as batch:
            yield batch


def learned(connection: sqlite3.Connection, limiter_key: int, model: str) -> LearnedFigures | None:
    """The moving averages of a limiter and model, read on any connection."""
    found = connection.execute(_LEARNED, (limiter_key, model)).fetchone()
    return LearnedFigures(*found) if found else None


def knows_key(connection: sqlite3.Connection, limiter_key: int, key: str) -> bool:
    """Whether a client key has ever had a 2xx through a limiter, read on any connection. `key` is a fingerprint."""
    return connection.execute(_KNOWS_KEY, (limiter_key, key)).fetchone() is not None


_LEARNED = "select output_tokens, input_ratio_ppm from learned where limiter = ? and model = ?"
_KNOWS_KEY = "select 1 from known_keys where limiter = ? and key = ?"
