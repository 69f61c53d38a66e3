"""Who is alive: each worker holds an exclusive lock on a file of its own for life.

Whoever can take that lock knows that the worker is dead, and only he may expire its holds. The kernel gives the lock
back however the worker ended, so that neither a pid nor a clock is ever trusted. Where somebody has deleted the files,
the living ones make theirs again within a second: a missing file means death only at the second look.
"""

import os
import secrets
from collections.abc import Callable, Container, Generator, Iterable

from metering.database import Database, storing
from metering.locks import LockFile, make_directory

_PREFIX = "worker-"


class Worker:
    """A living process (or a part of one) that holds money for calls in flight."""

    def __init__(self, name: str, database: Database, lock: LockFile) -> None:
        self.name = name
        self._database = database
        self._lock = lock

    @classmethod
    def start(cls, database: Database, kind: str) -> "Worker":
        """Declare a new worker alive. Its name is never used again, so that an old hold cannot be taken for its own."""
        make_directory(database.locks)
        while True:
            name = f"{kind}-{secrets.token_hex(6)}"
            with storing("start a worker"):
                lock = LockFile(database.locks / (_PREFIX + name))
                # Somebody who removes stale files may have come between the making and the locking.
                if lock.try_take() and lock.path.exists():
                    return cls(name, database, lock)
                lock.close()

    def stay(self) -> None:
        """Make the file again where somebody has deleted it. Belongs to be called each second. Raises StoreError."""
        if self._lock.is_in_place():
            return
        make_directory(self._database.locks)
        with storing("stay alive"):
            lock = LockFile(self._lock.path)
            # Somebody may be looking whether we are dead; then the next second will do.
            if not lock.try_take():
                lock.close()
                return
        self._lock.close()
        self._lock = lock

    def stop(self) -> None:
        """Declare it gone. Holds that it leaves behind are expired by the others."""
        self._lock.path.unlink(missing_ok=True)
        self._lock.close()


def dead_workers(database: Database, names: Iterable[str], missing: set[str]) -> Generator[str]:
    """Those of the workers that are dead. Their locks are ours while the caller looks at each of them.

    `missing` is the caller's memory: the names whose files were missing when he last looked, changed in place.
    """
    missed = set(missing)
    missing.clear()
    for name in names:
        with storing("look for dead workers"):
            try:
                lock = LockFile(database.locks / (_PREFIX + name), create=False)
            except FileNotFoundError:
                if name in missed:
                    yield name
                else:
                    missing.add(name)
                continue
            with lock:
                if lock.try_take():
                    yield name


def remove_stale_files(database: Database, needed: Callable[[], Container[str]]) -> None:
    """Remove the files of all dead workers but the needed, so that restarts do not pile them up."""
    with storing("look for dead workers"):
        names = [entry.name for entry in os.scandir(database.locks) if entry.name.startswith(_PREFIX)]
    for name in dead_workers(database, [name.removeprefix(_PREFIX) for name in names], set()):
        # Asked now, since who is dead will hold nothing more.
        if name not in needed():
            (database.locks / (_PREFIX + name)).unlink(missing_ok=True)
