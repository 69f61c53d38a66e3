"""Lock files: `flock` on a file that is never written. The kernel gives the lock back when its holder dies.

SQLite's own busy handler starves writers under contention, and cannot tell whether a process is alive; an flock queues
its waiters and answers both. A `LockFile` belongs to one thread at a time.
"""

import fcntl
import os
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from metering.errors import StoreError


class LockFile:
    """An open lock file, held or not."""

    def __init__(self, path: Path, *, create: bool = True) -> None:
        """Raises FileNotFoundError where the file is missing and is not to be created, else OSError."""
        self.path = path
        flags = os.O_RDWR | (os.O_CREAT if create else 0)
        self._descriptor = os.open(path, flags, 0o600)

    def try_take(self) -> bool:
        """Take the lock if nobody has it."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def take(self) -> None:
        """Wait in the kernel's queue until the lock is ours."""
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def take_within(self, timeout_s: float) -> bool:
        """Wait in the kernel's queue, but not for ever. After False this object cannot be used any more.

        Polling would lose against those who queue, and flock knows no time-out: so a thread queues for us, on a
        descriptor of its own, and hands the lock back if it comes too late.
        """
        if self.try_take():
            return True
        queued = _Queued(self._descriptor)
        if queued.wait(timeout_s):
            return True
        self._descriptor = -1
        return False

    def is_in_place(self) -> bool:
        """Whether the path still means this file: who opens it anew would queue for the same lock."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), self.path.stat())
        except OSError:
            return False

    def give_back(self) -> None:
        """Release the lock; the file stays open."""
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Release the lock and the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Queued:
    """A thread that waits for a lock, and closes the file if nobody wants the lock any more."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._decision = threading.Lock()
        self._taken = threading.Event()
        self._abandoned = False
        self._failure: OSError | None = None
        threading.Thread(target=self._queue, name="lock-queue", daemon=True).start()

    def wait(self, timeout_s: float) -> bool:
        self._taken.wait(timeout_s)
        with self._decision:
            if not self._taken.is_set():
                self._abandoned = True
                return False
        if self._failure is not None:
            raise self._failure
        return True

    def _queue(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        except OSError as failure:
            self._failure = failure
        with self._decision:
            if self._abandoned:
                os.close(self._descriptor)
            else:
                self._taken.set()


def make_directory(path: Path) -> None:
    """Create the directory of lock files, for its owner alone. Raises StoreError."""
    try:
        path.mkdir(mode=0o700, exist_ok=True)
    except OSError as failure:
        raise StoreError(
            "open the database",
            f"the directory {path} cannot be made ({failure.strerror})",
            "Its parent directory must exist and be writable for the user who runs this.",
        ) from failure
