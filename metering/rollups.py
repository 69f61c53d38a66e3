"""Sums of what was charged, by limiter, model and hour and by limiter, user and day, inside one write transaction.

They change in the transaction that resolves a call, and count it at the moment of its admission. A limiter has at most
1,000 users a day of its own; the rest are counted together as `(others)`, and each row remembers whether it was.
"""

import sqlite3

from metering.clock import DAY_US, HOUR_US
from metering.entries import Basis
from metering.usage import Usage

OTHERS = "(others)"
USERS_A_DAY = 1_000

Tally = tuple[int, ...]
"""One value for each column of `COUNTED`."""
COUNTED = (
    "requests",
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "reasoning_tokens",
    "cost_nanousd",
    "estimated",
    "fallback",
    "unmetered",
)


def tally(usage: Usage, cost_nanousd: int, basis: Basis | str) -> Tally:
    """What one charged call adds to the sums."""
    return (
        1,
        usage.input_tokens,
        usage.cached_tokens,
        usage.output_tokens,
        usage.reasoning_tokens,
        cost_nanousd,
        int(basis == "estimated"),
        int(basis == "fallback"),
        int(basis == "unmetered"),
    )


class Rollups:
    """The sums that one transaction changes: gathered in memory, written before the commit."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._hours: dict[tuple[int, int, str], list[int]] = {}
        self._days: dict[tuple[int, int, str], list[int]] = {}
        self._last: dict[tuple[int, int, str], int] = {}
        self._users: dict[tuple[int, int], int] = {}

    def has_own_row(self, limiter: int, at_us: int, user: str) -> bool:
        """Whether this user is counted by name on that day. The answer holds only if he is added now."""
        day_us = at_us - at_us % DAY_US
        if (limiter, day_us, user) in self._days:
            return True
        if self._connection.execute(_KNOWN_USER, (limiter, day_us, user)).fetchone():
            return True
        users = self._users.get((limiter, day_us))
        if users is None:
            users = self._connection.execute(_COUNT_USERS, (limiter, day_us, OTHERS)).fetchone()[0]
        apart = user == OTHERS or users < USERS_A_DAY
        self._users[limiter, day_us] = users + int(apart)
        return apart

    def add(self, limiter: int, at_us: int, model: str, user: str, grouped: bool, counted: Tally) -> None:
        """Count a call that was admitted at this moment."""
        self._change(limiter, at_us, model, OTHERS if grouped else user, counted, 1)

    def take_back(
        self, limiter: int, at_us: int, model: str, user: str, grouped: bool, counted: Tally
    ) -> None:
        """Undo an `add` of the same values."""
        self._change(limiter, at_us, model, OTHERS if grouped else user, counted, -1)

    def flush(self) -> None:
        """Write what was gathered, and forget it."""
        if not self._hours:
            return
        self._connection.executemany(_ADD_HOUR, [(*key, *sums) for key, sums in self._hours.items()])
        self._connection.executemany(
            _ADD_DAY, [(*key, *sums, self._last[key]) for key, sums in self._days.items()]
        )
        left = [key for key, sums in self._hours.items() if sums[0] < 0]
        if left:
            # A late settle may have moved the only call of an hour to another model.
            self._connection.executemany(_DROP_EMPTY_HOUR, left)
        self._hours.clear()
        self._days.clear()
        self._last.clear()
        self._users.clear()

    def _change(self, limiter: int, at_us: int, model: str, user: str, counted: Tally, sign: int) -> None:
        hour = (limiter, at_us - at_us % HOUR_US, model)
        day = (limiter, at_us - at_us % DAY_US, user)
        for sums, key in ((self._hours, hour), (self._days, day)):
            into = sums.setdefault(key, [0] * len(COUNTED))
            for place, value in enumerate(counted):
                into[place] += sign * value
        self._last[day] = max(at_us, self._last.get(day, at_us))


def _adding(table: str, key: str, extra: str = "") -> str:
    columns = ", ".join(COUNTED)
    added = ", ".join(f"{column} = {column} + excluded.{column}" for column in COUNTED)
    places = ", ".join("?" * (3 + len(COUNTED) + (1 if extra else 0)))
    if extra:
        columns = f"{columns}, {extra}"
        added = f"{added}, {extra} = max({extra}, excluded.{extra})"
    return (
        f"insert into {table} ({key}, {columns}) values ({places}) on conflict ({key}) do update set {added}"
    )


_ADD_HOUR = _adding("model_hours", "limiter, hour_us, model")
_ADD_DAY = _adding("user_days", "limiter, day_us, user", "last_request_at_us")
_DROP_EMPTY_HOUR = "delete from model_hours where limiter = ? and hour_us = ? and model = ? and requests = 0"
_KNOWN_USER = "select 1 from user_days where limiter = ? and day_us = ? and user = ?"
_COUNT_USERS = "select count(*) from user_days where limiter = ? and day_us = ? and user <> ?"
