"""Adds up, once a day and beside the work, what statistics show first: on a long history its first reader would wait."""

import threading
from contextlib import suppress

from metering.clock import DAY_US, Clock
from metering.errors import StoreError
from stats_service.sums import RangeReader

_LOOK_EVERY_S = 30.0
_DAYS = 30


class Warming:
    """A thread from `start` to `stop`."""

    def __init__(self, ranges: RangeReader, clock: Clock) -> None:
        self._ranges = ranges
        self._clock = clock
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="warming")

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """No more; a sum that has begun is not waited for."""
        self._stopping.set()

    def _run(self) -> None:
        warm_for_us = -1
        while not self._stopping.is_set():
            now_us = self._clock()
            tomorrow_us = now_us - now_us % DAY_US + DAY_US
            # Whatever is wrong with the database, the reader will be told when he asks.
            with suppress(StoreError):
                if tomorrow_us != warm_for_us:
                    self._ranges.sums(tomorrow_us - _DAYS * DAY_US, tomorrow_us, now_us)
                    warm_for_us = tomorrow_us
            self._stopping.wait(_LOOK_EVERY_S)
