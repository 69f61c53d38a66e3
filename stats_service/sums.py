"""The sums of a range of days as all readers share them: days that are over are kept for a while, today is read afresh."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

from metering.clock import DAY_US
from metering.database import Database, storing
from metering.reports import RangeSums, joined, read_sums
from stats_service.pages.remembered import Remembered

_DAYS_KEPT_S = 60.0
_TODAY_KEPT_S = 3.0
"""Both only where adding up takes long: figures of small installations are always those of the last commit."""
Days = tuple[int, int]


class RangeReader:
    """Used by any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._days_over = Remembered[Days, RangeSums](self._read, _DAYS_KEPT_S)
        self._today = Remembered[Days, RangeSums](self._read, _TODAY_KEPT_S)

    def sums(self, from_us: int, to_us: int, now_us: int) -> RangeSums:
        """A range of whole days. Raises StoreError."""
        today_us = now_us - now_us % DAY_US
        edge_us = min(max(today_us, from_us), to_us)
        sums = self._days_over.get((from_us, edge_us)) if from_us < edge_us else RangeSums()
        return joined(sums, self._today.get((edge_us, to_us))) if edge_us < to_us else sums

    @contextmanager
    def reader(self) -> Iterator[sqlite3.Connection]:
        """A connection on which all selects see one commit. Raises StoreError."""
        with storing("read the figures"), closing(self._database.open_reader()) as connection:
            connection.execute("begin")
            yield connection

    def _read(self, days: Days) -> RangeSums:
        with self.reader() as connection:
            return read_sums(connection, *days)
