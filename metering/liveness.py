"""Who is alive: each worker holds an exclusive lock on a file of its own for life.

Whoever can take that lock knows that the worker is dead, and only he may expire its holds. The kernel gives the lock
back however the worker ended, so that neither a pid nor a clock is ever trusted.
"""

import os
import secrets
from collections.abc import Generator, Iterable

from metering.database import Database, storing
from metering.locks import LockFile, make_directory

_PREFIX = "worker-"


class Worker:
    """A living process (or a part of one) that holds money for calls in flight."""

    def __init__(self, name: str, lock: LockFile) -> None:
        self.name = name
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
                    return cls(name, lock)
                lock.close()

    def stop(self) -> None:
        """Declare it gone. Holds that it leaves behind are expired by the others."""
        self._lock.path.unlink(missing_ok=True)
        self._lock.close()


def dead_workers(database: Database, names: Iterable[str]) -> Generator[str]:
    """Those of the workers that are dead. Their locks are ours while the caller looks at each of them.

    A lock file goes when the caller asks for the next name, after he has expired the holds.
    """
    for name in names:
        path = database.locks / (_PREFIX + name)
        with storing("look for dead workers"):
            try:
                lock = LockFile(path, create=False)
            except FileNotFoundError:
                yield name
                continue
            with lock:
                if lock.try_take():
                    yield name
                    path.unlink(missing_ok=True)


def remove_stale_files(database: Database) -> None:
    """Remove the files of all dead workers, so that restarts do not pile them up. A missing file means dead, too."""
    with storing("look for dead workers"):
        names = [entry.name for entry in os.scandir(database.locks) if entry.name.startswith(_PREFIX)]
    for _ in dead_workers(database, [name.removeprefix(_PREFIX) for name in names]):
        continue
