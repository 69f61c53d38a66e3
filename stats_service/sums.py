"""The figures of a range of days as all readers share them: days that are over are kept for a while, today is read afresh."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from metering.clock import DAY_US
from metering.database import Database, storing
from metering.reports import RangeSums, joined, joined_costs, read_day_costs, read_sums, read_user_costs
from stats_service.spans import Days, Spans

UserCosts = dict[tuple[str, int], int]


class RangeReader:
    """One for each service, used by any thread. Ranges are of whole days; all raise StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sums = Spans[RangeSums](self._reading(read_sums), joined)
        self._user_costs = Spans[UserCosts](self._reading(read_user_costs), joined_costs)
        self._day_costs = Spans[dict[int, int]](self._reading(read_day_costs), joined_costs)

    def sums(self, from_us: int, to_us: int, now_us: int) -> RangeSums:
        """All sums, with costs over time as far apart as `bucket_us` tells, or less."""
        return self._sums.get((from_us, to_us), now_us - now_us % DAY_US)

    def user_costs(self, from_us: int, to_us: int, now_us: int) -> UserCosts:
        """The cost of each user by day or week."""
        return self._user_costs.get((from_us, to_us), now_us - now_us % DAY_US)

    def day_costs(self, from_us: int, to_us: int, now_us: int) -> dict[int, int]:
        """The cost of all together by day, also where the range is long."""
        return self._day_costs.get((from_us, to_us), now_us - now_us % DAY_US)

    @contextmanager
    def reader(self) -> Iterator[sqlite3.Connection]:
        """A connection on which all selects see one commit. Raises StoreError."""
        with storing("read the figures"), closing(self._database.open_reader()) as connection:
            connection.execute("begin")
            yield connection

    def _reading[V](self, read: Callable[[sqlite3.Connection, int, int], V]) -> Callable[[Days], V]:
        def of_days(days: Days) -> V:
            with self.reader() as connection:
                return read(connection, *days)

        return of_days
