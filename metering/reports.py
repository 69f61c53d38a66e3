"""Sums of a range of whole days, from the rollups: by limiter, by model, by user, and what was spent over time.

One pass over the hours and one over the users' days, never one over the requests. Each limiter is grouped for itself: its
range is a piece of the primary key, and many small sorts are much quicker than a single one that spills to disk. Sums of
two ranges can be added, so that the days that are over can be kept and today's be read afresh.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from metering.clock import DAY_US, HOUR_US

Sums = tuple[int, int, int, int]
"""Requests, prompt tokens, completion tokens, cost in nanodollars."""
UserKey = tuple[int, str]
"""Limiter's key and name of the user."""
Names = Mapping[int, tuple[str, str, bool]]
"""Limiter's key → id, name, and whether it was deleted."""
_HOURLY_UP_TO_US = 2 * DAY_US
_DAILY_UP_TO_US = 62 * DAY_US
_NOTHING: Sums = (0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class RangeSums:
    """The sums of a range. Limiters are known by their keys; costs over time are by the start of a bucket, too."""

    limiters: dict[int, Sums] = field(default_factory=dict)
    models: dict[str, Sums] = field(default_factory=dict)
    users: dict[UserKey, Sums] = field(default_factory=dict)
    last_us: dict[UserKey, int] = field(default_factory=dict)
    limiter_costs: dict[tuple[int, int], int] = field(default_factory=dict)
    model_costs: dict[tuple[str, int], int] = field(default_factory=dict)

    @property
    def total(self) -> Sums:
        return _added(self.limiters.values())

    @property
    def active_users(self) -> set[str]:
        """Their names: a user of two limiters is one."""
        return {user for _, user in self.users}

    @property
    def costs(self) -> dict[int, int]:
        """Of all together, by the start of a bucket."""
        found: dict[int, int] = {}
        for (_, start), cost in self.model_costs.items():
            found[start] = found.get(start, 0) + cost
        return found

    @property
    def last_by_limiter(self) -> dict[int, int]:
        """The last request of each limiter that had users."""
        found: dict[int, int] = {}
        for (limiter, _), moment in self.last_us.items():
            found[limiter] = max(moment, found.get(limiter, moment))
        return found


def step_us(from_us: int, to_us: int) -> int:
    """Costs of all together are by hour where the range is at most two days, else by day."""
    return HOUR_US if to_us - from_us <= _HOURLY_UP_TO_US else DAY_US


def bucket_us(from_us: int, to_us: int) -> int:
    """How far apart the costs of each limiter and model are: like that, but by week (of the range) in a long range."""
    return step_us(from_us, to_us) if to_us - from_us <= _DAILY_UP_TO_US else 7 * DAY_US


def read_sums(connection: sqlite3.Connection, from_us: int, to_us: int) -> RangeSums:
    """The sums of a range of whole days."""
    found = RangeSums()
    bucket = bucket_us(from_us, to_us)
    for (limiter,) in connection.execute(_KEYS).fetchall():
        own = _NOTHING
        for start, model, *values in connection.execute(_HOURS, (limiter, from_us, to_us, bucket)):
            sums = (values[0], values[1], values[2], values[3])
            own = _plus(own, sums)
            found.models[model] = _plus(found.models.get(model, _NOTHING), sums)
            of_model = (model, start)
            of_limiter = (limiter, start)
            found.model_costs[of_model] = found.model_costs.get(of_model, 0) + sums[3]
            found.limiter_costs[of_limiter] = found.limiter_costs.get(of_limiter, 0) + sums[3]
        if own[0] > 0:
            found.limiters[limiter] = own
        for user, last_us, *values in connection.execute(_USERS, (limiter, from_us, to_us)):
            found.users[limiter, user] = (values[0], values[1], values[2], values[3])
            found.last_us[limiter, user] = last_us
    return found


def read_user_costs(connection: sqlite3.Connection, from_us: int, to_us: int) -> dict[tuple[str, int], int]:
    """The cost of each user by the start of a day or week; users of the same name in several limiters are one."""
    bucket = max(bucket_us(from_us, to_us), DAY_US)
    rows = connection.execute(_USER_COSTS, (bucket, from_us, to_us))
    return {(user, start): cost for user, start, cost in rows}


def read_day_costs(connection: sqlite3.Connection, from_us: int, to_us: int) -> dict[int, int]:
    """The cost of all together by day, however long the range is."""
    found: dict[int, int] = {}
    for (limiter,) in connection.execute(_KEYS).fetchall():
        for start, cost in connection.execute(_DAY_COSTS, (limiter, from_us, to_us)):
            found[start] = found.get(start, 0) + cost
    return found


def joined(one: RangeSums, other: RangeSums) -> RangeSums:
    """The sums of two ranges that do not overlap."""
    return RangeSums(
        limiters=_joined_sums(one.limiters, other.limiters),
        models=_joined_sums(one.models, other.models),
        users=_joined_sums(one.users, other.users),
        last_us=one.last_us
        | {key: max(moment, one.last_us.get(key, moment)) for key, moment in other.last_us.items()},
        limiter_costs=joined_costs(one.limiter_costs, other.limiter_costs),
        model_costs=joined_costs(one.model_costs, other.model_costs),
    )


def joined_costs[K](one: Mapping[K, int], other: Mapping[K, int]) -> dict[K, int]:
    """Two lists of costs in one."""
    both = dict(one)
    for key, cost in other.items():
        both[key] = both.get(key, 0) + cost
    return both


def read_names(connection: sqlite3.Connection) -> Names:
    """All limiters, also those that were deleted."""
    return {
        key: (identity, name, deleted is not None)
        for key, identity, name, deleted in connection.execute(_NAMES)
    }


def _joined_sums[K](one: Mapping[K, Sums], other: Mapping[K, Sums]) -> dict[K, Sums]:
    both = dict(one)
    for key, sums in other.items():
        both[key] = _plus(both.get(key, _NOTHING), sums)
    return both


def _plus(one: Sums, other: Sums) -> Sums:
    return (one[0] + other[0], one[1] + other[1], one[2] + other[2], one[3] + other[3])


def _added(every: Iterable[Sums]) -> Sums:
    total = _NOTHING
    for sums in every:
        total = _plus(total, sums)
    return total


_SUMS = "sum(requests), sum(input_tokens), sum(output_tokens), sum(cost_nanousd)"
_KEYS = "select key from limiters"
_HOURS = f"""
    select hour_us - (hour_us - ?2) % ?4 as start, model, {_SUMS} from model_hours
    where limiter = ?1 and hour_us >= ?2 and hour_us < ?3 group by model, start having sum(requests) > 0"""
_USERS = f"""
    select user, max(last_request_at_us), {_SUMS} from user_days
    where limiter = ?1 and day_us >= ?2 and day_us < ?3 group by user having sum(requests) > 0"""
# Grouped for all limiters at once, since users may be in many. The cross join makes SQLite look up each limiter's range in
# the primary key, instead of reading the whole table.
_USER_COSTS = """
    select user, day_us - (day_us - ?2) % ?1 as start, sum(cost_nanousd)
    from limiters cross join user_days on limiter = key
    where day_us >= ?2 and day_us < ?3 group by user, start"""
_DAY_COSTS = """
    select day_us, sum(cost_nanousd) from user_days
    where limiter = ?1 and day_us >= ?2 and day_us < ?3 group by day_us"""
_NAMES = "select key, id, name, deleted_at_us from limiters"
