"""The service looks for dead workers, too: where the last proxy died, nobody else would expire what it held."""

import logging
import threading

from metering.clock import Clock
from metering.database import Database
from metering.errors import StoreError
from metering.expiry import expire_dead
from metering.ledger import Ledger
from metering.liveness import Worker

_log = logging.getLogger(__name__)
LOOK_EVERY_S = 2.0
_STOP_WITHIN_S = 2.0


class Expiring:
    """A thread that looks every two seconds, from `start` to `stop`."""

    def __init__(self, database: Database, clock: Clock, every_s: float = LOOK_EVERY_S) -> None:
        self._database = database
        self._clock = clock
        self._every_s = every_s
        self._stopping = threading.Event()
        # It may wait for the write lock when the service ends, and holds nothing of its own.
        self._thread = threading.Thread(target=self._look, daemon=True, name="expiring")
        self._failure = ""

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more. Waits a little for a look that has begun."""
        self._stopping.set()
        self._thread.join(_STOP_WITHIN_S)

    def _look(self) -> None:
        while True:
            try:
                self._look_while_it_goes_well()
                return
            except StoreError as failure:
                # Said once, not every two seconds.
                if str(failure) != self._failure:
                    _log.error("Holds of dead workers are not expired. %s", failure)
                self._failure = str(failure)
            if self._stopping.wait(self._every_s):
                return

    def _look_while_it_goes_well(self) -> None:
        worker = Worker.start(self._database, "service")
        try:
            with Ledger(self._database, worker.name) as ledger:
                missing: set[str] = set()
                while True:
                    ledger.relock()
                    for name, count in expire_dead(ledger, self._clock, missing).items():
                        _log.warning(
                            "Worker %s died: %d of its calls were charged at their holds.", name, count
                        )
                    self._failure = ""
                    if self._stopping.wait(self._every_s):
                        return
        finally:
            worker.stop()
