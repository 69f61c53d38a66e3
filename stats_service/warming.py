"""Adds up, from the start and again after each UTC midnight, what statistics show first: on a long history it takes a while.

It runs beside the work. A reader who comes meanwhile waits for the sums that are being made, and makes none himself.
"""

import threading
from collections.abc import Callable
from contextlib import suppress

from metering.clock import DAY_US, Clock
from metering.errors import StoreError

_LOOK_EVERY_S = 30.0


class Warming:
    """A thread from `start` to `stop`. `warm_up` is told the moment."""

    def __init__(self, warm_up: Callable[[int], None], clock: Clock) -> None:
        self._warm_up = warm_up
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
            today_us = now_us - now_us % DAY_US
            # Whatever is wrong with the database, the reader will be told when he asks.
            with suppress(StoreError):
                if today_us != warm_for_us:
                    self._warm_up(now_us)
                    warm_for_us = today_us
            self._stopping.wait(_LOOK_EVERY_S)
