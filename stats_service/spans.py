"""Sums of ranges of days in two parts: the days that are over, kept for a while, and today as of the last commit."""

from collections.abc import Callable

from stats_service.remembered import Remembered

_DAYS_KEPT_S = 60.0
_TODAY_KEPT_S = 3.0
Days = tuple[int, int]


class Spans[V]:
    """Used by any thread. `read` adds up the days `from <= t < to`; `join` adds two such sums."""

    def __init__(self, read: Callable[[Days], V], join: Callable[[V, V], V]) -> None:
        self._over = Remembered[Days, V](read, _DAYS_KEPT_S)
        self._today = Remembered[Days, V](read, _TODAY_KEPT_S)
        self._join = join

    def get(self, days: Days, today_us: int) -> V:
        """The sums of a range that is not empty."""
        from_us, to_us = days
        edge_us = min(max(today_us, from_us), to_us)
        if edge_us == to_us:
            return self._over.get(days)
        today = self._today.get((edge_us, to_us))
        return today if edge_us == from_us else self._join(self._over.get((from_us, edge_us)), today)
