"""Sums of a range of whole days, from the rollups: by limiter, by model, by user, and each of them by day or hour.

Everything is grouped by SQLite, which lets other threads run meanwhile, so that few rows are left to Python. Sums of two
ranges can be added, so that the days that are over can be kept and today's be read afresh.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from metering.clock import DAY_US, HOUR_US

Stacking = Literal["limiter", "model", "user"]
Sums = tuple[int, int, int, int]
"""Requests, prompt tokens, completion tokens, cost in nanodollars."""
NOTHING: Sums = (0, 0, 0, 0)
UserKey = tuple[int, str]
_DAILY_UP_TO = 62


@dataclass(frozen=True, slots=True)
class RangeSums:
    """The sums of a range. Costs over time are by name (or limiter's key) and start of hour or day."""

    limiters: dict[int, Sums] = field(default_factory=dict)
    models: dict[str, Sums] = field(default_factory=dict)
    users: dict[UserKey, Sums] = field(default_factory=dict)
    last_us: dict[UserKey, int] = field(default_factory=dict)
    limiter_costs: dict[tuple[int, int], int] = field(default_factory=dict)
    model_costs: dict[tuple[str, int], int] = field(default_factory=dict)

    @property
    def total(self) -> Sums:
        return added(self.limiters.values())

    @property
    def active_users(self) -> set[str]:
        """Their names: a user of two limiters is one."""
        return {user for _, user in self.users}


def read_sums(connection: sqlite3.Connection, from_us: int, to_us: int) -> RangeSums:
    """The sums of a range of whole days."""
    step_us = bucket_us((to_us - from_us) // DAY_US)
    found = RangeSums()
    for limiter, start, *values in connection.execute(_LIMITERS, (step_us, from_us, to_us)):
        _add(found.limiters, limiter, (values[0], values[1], values[2], values[3]))
        found.limiter_costs[limiter, start] = values[3]
    for model, start, *values in connection.execute(_MODELS, (step_us, from_us, to_us)):
        _add(found.models, model, (values[0], values[1], values[2], values[3]))
        found.model_costs[model, start] = values[3]
    for limiter, user, last_us, *values in connection.execute(_USERS, (from_us, to_us)):
        found.users[limiter, user] = (values[0], values[1], values[2], values[3])
        found.last_us[limiter, user] = last_us
    return found


def read_user_costs(connection: sqlite3.Connection, from_us: int, to_us: int) -> dict[tuple[str, int], int]:
    """The cost of each user by the start of a day or week; users of the same name in several limiters are one."""
    step_us = max(bucket_us((to_us - from_us) // DAY_US), DAY_US)
    return {
        (user, start): cost for user, start, cost in connection.execute(_USER_DAYS, (step_us, from_us, to_us))
    }


def bucket_us(days: int) -> int:
    """How far apart the costs of so many days are: an hour, a day, or a week, counted from the start of the range."""
    return HOUR_US if days <= 2 else DAY_US if days <= _DAILY_UP_TO else 7 * DAY_US


def joined_costs[K](one: dict[K, int], other: dict[K, int]) -> dict[K, int]:
    """Two lists of costs in one."""
    both = dict(one)
    for key, cost in other.items():
        both[key] = both.get(key, 0) + cost
    return both


def joined(one: RangeSums, other: RangeSums) -> RangeSums:
    """The sums of two ranges that do not overlap."""
    both = RangeSums(*(dict(getattr(one, name)) for name in RangeSums.__slots__))
    for name in ("limiters", "models", "users"):
        into = getattr(both, name)
        for key, sums in getattr(other, name).items():
            _add(into, key, sums)
    for key, last_us in other.last_us.items():
        both.last_us[key] = max(last_us, both.last_us.get(key, last_us))
    for key, cost in other.limiter_costs.items():
        both.limiter_costs[key] = both.limiter_costs.get(key, 0) + cost
    for of_model, cost in other.model_costs.items():
        both.model_costs[of_model] = both.model_costs.get(of_model, 0) + cost
    return both


def added(every: Iterable[Sums]) -> Sums:
    """All of them in one."""
    requests = prompt = completion = cost = 0
    for sums in every:
        requests += sums[0]
        prompt += sums[1]
        completion += sums[2]
        cost += sums[3]
    return (requests, prompt, completion, cost)


def _add[K](into: dict[K, Sums], key: K, sums: Sums) -> None:
    old = into.get(key, NOTHING)
    into[key] = (old[0] + sums[0], old[1] + sums[1], old[2] + sums[2], old[3] + sums[3])


# The cross join makes SQLite look up each limiter's range in the primary key, instead of reading the whole table.
_SUMS = "sum(requests), sum(input_tokens), sum(output_tokens), sum(cost_nanousd)"
_LIMITERS = f"""
    select limiter, hour_us - (hour_us - ?2) % ?1 as start, {_SUMS}
    from limiters cross join model_hours on limiter = key
    where hour_us >= ?2 and hour_us < ?3 group by limiter, start having sum(requests) > 0"""
_MODELS = f"""
    select model, hour_us - (hour_us - ?2) % ?1 as start, {_SUMS}
    from limiters cross join model_hours on limiter = key
    where hour_us >= ?2 and hour_us < ?3 group by model, start having sum(requests) > 0"""
_USERS = f"""
    select limiter, user, max(last_request_at_us), {_SUMS}
    from limiters cross join user_days on limiter = key
    where day_us >= ?1 and day_us < ?2 group by limiter, user having sum(requests) > 0"""
_USER_DAYS = """
    select user, day_us - (day_us - ?2) % ?1 as start, sum(cost_nanousd)
    from limiters cross join user_days on limiter = key
    where day_us >= ?2 and day_us < ?3 group by user, start"""
