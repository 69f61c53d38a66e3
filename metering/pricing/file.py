"""The price book on disk: read again when the file changes, the last good one kept when it cannot be used.

The file is looked at, not opened, at most once a second. Reading takes some tenths of a second of computing,
so a caller with an event loop passes a `start` that runs it elsewhere; until then the old book stays in
force.
"""

from collections.abc import Callable
from pathlib import Path

from metering.clock import SECOND_US, Clock, now_us
from metering.errors import PriceBookError
from metering.pricing.book import PriceBook

_LOOK_EVERY_US = SECOND_US
Signature = tuple[int, int, int]


def run_now(work: Callable[[], None]) -> None:
    """Do the work at once, in the caller's thread."""
    work()


class PriceBookFile:
    """Holds the current book. The first reading raises PriceBookError; later faults go to `on_error`."""

    def __init__(
        self,
        path: Path | str,
        *,
        clock: Clock = now_us,
        on_error: Callable[[PriceBookError], None] = lambda _: None,
        on_reload: Callable[[PriceBook], None] = lambda _: None,
        start: Callable[[Callable[[], None]], None] = run_now,
    ) -> None:
        self._path = Path(path)
        self._clock = clock
        self._on_error = on_error
        self._on_reload = on_reload
        self._start = start
        self._reading = False
        self.fault: PriceBookError | None = None
        """Why the file as it is now is not the book in force."""
        self._seen = _signature(self._path)
        self._looked_at_us = clock()
        self._book = PriceBook.load(self._path, self._looked_at_us)

    def current(self) -> PriceBook:
        """The book in force, after a look at the file if the last one is a second old."""
        now = self._clock()
        # A clock that was set back must not stop the looking.
        if not self._reading and not 0 <= now - self._looked_at_us < _LOOK_EVERY_US:
            self._looked_at_us = now
            signature = _signature(self._path)
            if signature != self._seen:
                self._seen = signature
                self._reading = True
                self._start(lambda: self._read(now))
        return self._book

    def _read(self, now: int) -> None:
        try:
            self._book = PriceBook.load(self._path, now)
        except PriceBookError as error:
            self.fault = error
            self._on_error(error)
        else:
            self.fault = None
            self._on_reload(self._book)
        finally:
            self._reading = False


def _signature(path: Path) -> Signature | None:
    """What changes when the file does; None while there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
