"""The report of a range: totals, tables and spend over time, as the statistics page and its files show them."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from metering.clock import DAY_US
from metering.reports import Names, RangeSums, Sums, UserKey, bucket_us
from stats_service.pages.charts import Series

UNNAMED = "(none)"
Stacking = Literal["limiter", "model", "user"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of a table."""

    name: str
    requests: int
    prompt_tokens: int
    completion_tokens: int
    cost_nanousd: int
    permille: int
    """Of the largest cost in the table."""
    href: str = ""
    mark: str = ""
    limiter_id: str = ""
    """Of the limiter that the row is, or that its user belongs to."""
    limiter_name: str = ""
    limiter_href: str = ""
    limiter_mark: str = ""
    last_us: int | None = None


@dataclass(frozen=True, slots=True)
class Totals:
    """The sums of a range."""

    requests: int
    tokens: int
    cost_nanousd: int
    active_users: int


@dataclass(frozen=True)
class Report:
    """Sums with the names of their limiters. Tables are made when they are asked for."""

    sums: RangeSums
    names: Names
    days: tuple[int, int]
    user_costs: Callable[[], Mapping[tuple[str, int], int]]
    """Read only when they are asked for."""
    _over_time: dict[Stacking, list[Series]] = field(default_factory=dict)

    def prepare(self) -> None:
        """Make what the page shows first, so that a report that is kept is quick to show."""
        _ = self.totals, self.limiters, self.models, self.users_by_cost, self.over_time("limiter")

    @cached_property
    def totals(self) -> Totals:
        requests, prompt, completion, cost = self.sums.total
        return Totals(requests, prompt + completion, cost, len(self.sums.active_users))

    @cached_property
    def limiters(self) -> list[Row]:
        last_us = self.sums.last_by_limiter
        rows = []
        for key, sums, permille in _ranked(self.sums.limiters.items()):
            href, name, mark = self._limiter(key)
            identity = self.names[key][0]
            last = last_us.get(key)
            rows.append(_row(name, sums, permille, href=href, mark=mark, limiter_id=identity, last_us=last))
        return rows

    @cached_property
    def models(self) -> list[Row]:
        return [_row(model, sums, permille) for model, sums, permille in _ranked(self.sums.models.items())]

    def user_row(self, key: UserKey, most: int) -> Row:
        """The line of one user; all of them at once would be too many."""
        limiter, user = key
        href, name, mark = self._limiter(limiter)
        sums = self.sums.users[key]
        permille = sums[3] * 1000 // most if most else 0
        return _row(
            user or UNNAMED,
            sums,
            permille,
            limiter_id=self.names[limiter][0],
            limiter_name=name,
            limiter_href=href,
            limiter_mark=mark,
            last_us=self.sums.last_us[key],
        )

    @cached_property
    def users_by_cost(self) -> list[UserKey]:
        """The largest first."""
        users = self.sums.users
        return sorted(users, key=lambda key: (-users[key][3], key[1], key[0]))

    @cached_property
    def largest_user_cost(self) -> int:
        return max((sums[3] for sums in self.sums.users.values()), default=0)

    def bucket_us(self, by: Stacking) -> int:
        """How far apart the buckets of the costs over time are; users are known by the day."""
        bucket = bucket_us(*self.days)
        return max(bucket, DAY_US) if by == "user" else bucket

    def starts(self, by: Stacking) -> Sequence[int]:
        """Where they begin."""
        return range(self.days[0], self.days[1], self.bucket_us(by))

    def over_time(self, by: Stacking) -> list[Series]:
        """Cost by bucket of each limiter, model or user."""
        if by not in self._over_time:
            self._over_time[by] = self._made_over_time(by)
        return self._over_time[by]

    def _made_over_time(self, by: Stacking) -> list[Series]:
        starts = self.starts(by)
        if by == "user":
            return _series(self.user_costs(), starts, lambda user: user or UNNAMED)
        if by == "model":
            return _series(self.sums.model_costs, starts, str)
        return _series(self.sums.limiter_costs, starts, lambda key: self._limiter(key)[1])

    def _limiter(self, key: int) -> tuple[str, str, str]:
        identity, name, deleted = self.names[key]
        return ("", name, "deleted") if deleted else (f"/limiters/{identity}", name, "")


def _series[K](
    costs: Mapping[tuple[K, int], int], starts: Sequence[int], name: Callable[[K], str]
) -> list[Series]:
    values: dict[K, list[int]] = {}
    for (key, start), cost in costs.items():
        into = values.get(key)
        if into is None:
            into = values[key] = [0] * len(starts)
        into[bisect_right(starts, start) - 1] += cost
    return [Series(name(key), found) for key, found in values.items()]


def _ranked[K](every: Iterable[tuple[K, Sums]]) -> list[tuple[K, Sums, int]]:
    found = sorted(every, key=lambda one: -one[1][3])
    most = found[0][1][3] if found else 0
    return [(key, sums, sums[3] * 1000 // most if most else 0) for key, sums in found]


def _row(
    name: str,
    sums: Sums,
    permille: int,
    *,
    href: str = "",
    mark: str = "",
    limiter_id: str = "",
    limiter_name: str = "",
    limiter_href: str = "",
    limiter_mark: str = "",
    last_us: int | None = None,
) -> Row:
    return Row(
        name=name,
        requests=sums[0],
        prompt_tokens=sums[1],
        completion_tokens=sums[2],
        cost_nanousd=sums[3],
        permille=permille,
        href=href,
        mark=mark,
        limiter_id=limiter_id,
        limiter_name=limiter_name,
        limiter_href=limiter_href,
        limiter_mark=limiter_mark,
        last_us=last_us,
    )
