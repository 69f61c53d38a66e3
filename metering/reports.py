"""Sums of a range of whole days, from the rollups: by limiter, by model, by user, and what was spent over time.

Two passes over the hours and one over the users' days, never one over the requests. Sums of two ranges can be added, so
that the days that are over can be kept and today's be read afresh.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field

from metering.clock import DAY_US, HOUR_US

Sums = tuple[int, int, int, int]
"""Requests, prompt tokens, completion tokens, cost in nanodollars."""
UserKey = tuple[int, str]
"""Limiter's key and name of the user."""
_HOURLY_UP_TO_US = 2 * DAY_US
_NOTHING: Sums = (0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class RangeSums:
    """The sums of a range. Limiters are known by their keys."""

    limiters: dict[int, Sums] = field(default_factory=dict)
    models: dict[str, Sums] = field(default_factory=dict)
    users: dict[UserKey, Sums] = field(default_factory=dict)
    last_us: dict[UserKey, int] = field(default_factory=dict)
    costs: dict[int, int] = field(default_factory=dict)
    """By the start of an hour or a day."""

    @property
    def total(self) -> Sums:
        return _added(self.limiters.values())

    @property
    def active_users(self) -> set[str]:
        """Their names: a user of two limiters is one."""
        return {user for _, user in self.users}


def step_us(from_us: int, to_us: int) -> int:
    """Costs over time are by hour where the range is at most two days, else by day."""
    return HOUR_US if to_us - from_us <= _HOURLY_UP_TO_US else DAY_US


def read_sums(connection: sqlite3.Connection, from_us: int, to_us: int) -> RangeSums:
    """The sums of a range of whole days."""
    found = RangeSums()
    step = step_us(from_us, to_us)
    for limiter, start, *values in connection.execute(_LIMITERS, (step, from_us, to_us)):
        _add(found.limiters, limiter, _sums(values))
        found.costs[start] = found.costs.get(start, 0) + values[3]
    for model, *values in connection.execute(_MODELS, (from_us, to_us)):
        found.models[model] = _sums(values)
    for limiter, user, last_us, *values in connection.execute(_USERS, (from_us, to_us)):
        found.users[limiter, user] = _sums(values)
        found.last_us[limiter, user] = last_us
    return found


def joined(one: RangeSums, other: RangeSums) -> RangeSums:
    """The sums of two ranges that do not overlap."""
    both = RangeSums(*(dict(getattr(one, name)) for name in RangeSums.__slots__))
    for limiter, sums in other.limiters.items():
        _add(both.limiters, limiter, sums)
    for model, sums in other.models.items():
        _add(both.models, model, sums)
    for user, sums in other.users.items():
        _add(both.users, user, sums)
    for user, last_us in other.last_us.items():
        both.last_us[user] = max(last_us, both.last_us.get(user, last_us))
    for start, cost in other.costs.items():
        both.costs[start] = both.costs.get(start, 0) + cost
    return both


def read_names(connection: sqlite3.Connection) -> dict[int, tuple[str, str, bool]]:
    """Each limiter's key → id, name, and whether it was deleted."""
    return {
        key: (identity, name, deleted is not None)
        for key, identity, name, deleted in connection.execute(_NAMES)
    }


def _sums(values: list[int]) -> Sums:
    return (values[0], values[1], values[2], values[3])


def _add[K](into: dict[K, Sums], key: K, sums: Sums) -> None:
    old = into.get(key, _NOTHING)
    into[key] = (old[0] + sums[0], old[1] + sums[1], old[2] + sums[2], old[3] + sums[3])


def _added(every: Iterable[Sums]) -> Sums:
    requests = prompt = completion = cost = 0
    for sums in every:
        requests += sums[0]
        prompt += sums[1]
        completion += sums[2]
        cost += sums[3]
    return (requests, prompt, completion, cost)


# The cross join makes SQLite look up each limiter's range in the primary key, instead of reading the whole table.
_SUMS = "sum(requests), sum(input_tokens), sum(output_tokens), sum(cost_nanousd)"
_LIMITERS = f"""
    select key, hour_us - hour_us % ?1 as start, {_SUMS} from limiters cross join model_hours on limiter = key
    where hour_us >= ?2 and hour_us < ?3 group by key, start having sum(requests) > 0"""
_MODELS = f"""
    select model, {_SUMS} from limiters cross join model_hours on limiter = key
    where hour_us >= ?1 and hour_us < ?2 group by model having sum(requests) > 0"""
_USERS = f"""
    select key, user, max(last_request_at_us), {_SUMS} from limiters cross join user_days on limiter = key
    where day_us >= ?1 and day_us < ?2 group by key, user having sum(requests) > 0"""
_NAMES = "select key, id, name, deleted_at_us from limiters"
