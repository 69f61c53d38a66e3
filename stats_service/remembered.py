"""Sums that were much work to add up, kept while somebody looks at them.

Days that are over change only by calls that were in flight at midnight, so their sums are served again and refreshed behind
the reader's back once they are a minute old; those of today, once they are some seconds old. What is little work
is never kept: small installations always see the last commit, on a machine that is busy with other things as well. What takes very long is refreshed accordingly rarely, and
is made once for all who wait for it.
"""

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from metering.clock import monotonic_s, worked_s
from metering.errors import StoreError

SLOW_S = 0.02
"""More work than this is kept."""
WAIT_S = 1.0
"""So is what a disk was waited for longer than this."""
ENTRIES_MAX = 12
_KEPT_TIMES = 30


@dataclass(slots=True)
class _Entry[V]:
    value: V
    made_at_s: float
    kept_s: float
    is_refreshing: bool = False


class Remembered[K: Hashable, V]:
    """Used by any thread. `seconds` is the clock and `worked` that of the thread's work, so that tests can pass them in."""

    def __init__(
        self,
        compute: Callable[[K], V],
        kept_s: float,
        seconds: Callable[[], float] = monotonic_s,
        worked: Callable[[], float] = worked_s,
    ) -> None:
        self._compute = compute
        self._kept_s = kept_s
        self._seconds = seconds
        self._worked = worked
        self._lock = threading.Lock()
        self._entries: dict[K, _Entry[V]] = {}
        self._making: dict[K, threading.Lock] = {}

    def get(self, key: K) -> V:
        """The value: kept, or computed now. Raises what computing raises."""
        found = self._kept(key)
        if found is not None:
            return found.value
        with self._lock:
            making = self._making.setdefault(key, threading.Lock())
        # Whoever has waited for somebody else's sums takes those.
        with making:
            try:
                found = self._kept(key)
                return self._make(key) if found is None else found.value
            finally:
                with self._lock:
                    if self._making.get(key) is making:
                        del self._making[key]

    def _kept(self, key: K) -> _Entry[V] | None:
        with self._lock:
            entry = self._entries.pop(key, None)
            if entry is not None:
                # Put back at the end: the first entry is always the one that was not asked for the longest.
                self._entries[key] = entry
                is_old = self._seconds() - entry.made_at_s > entry.kept_s
                if is_old and not entry.is_refreshing:
                    entry.is_refreshing = True
                    threading.Thread(target=self._refresh, args=(key,), daemon=True).start()
            return entry

    def _make(self, key: K) -> V:
        started_s, idle_s = self._seconds(), self._worked()
        value = self._compute(key)
        ended_s, busy_s = self._seconds(), self._worked() - idle_s
        with self._lock:
            self._entries.pop(key, None)
            took_s = ended_s - started_s
            if busy_s > SLOW_S or took_s > WAIT_S:
                self._entries[key] = _Entry(value, ended_s, max(self._kept_s, took_s * _KEPT_TIMES))
            while len(self._entries) > ENTRIES_MAX:
                del self._entries[next(iter(self._entries))]
        return value

    def _refresh(self, key: K) -> None:
        try:
            self._make(key)
        except StoreError:
            # The next reader tries again; until then the old sums are better than none.
            with self._lock:
                entry = self._entries.get(key)
                if entry is not None:
                    entry.is_refreshing = False
