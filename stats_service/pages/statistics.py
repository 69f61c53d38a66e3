"""The statistics page: totals against the range before, spend over time, and tables by limiter, by user and by model.

Each table has its own order and page in the address; the range is shared.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from metering.clock import DAY_US
from metering.reports import Sums, UserKey
from stats_service.pages import charts, formats
from stats_service.pages.query import Pages, Query
from stats_service.pages.ranges import RANGES, Range, read_range
from stats_service.pages.report import Report, Row, Stacking
from stats_service.pages.site import Site

SIZE = 25
_DEFAULTS = {
    "range": "30d",
    "from": "",
    "to": "",
    "by": "limiter",
    **{f"{table}_{what}": default for table in ("limiters", "users", "models") for what, default in (("sort", "cost"), ("dir", ""), ("page", "1"))},
}  # fmt: skip
_BY: tuple[tuple[Stacking, str], ...] = (("limiter", "Limiter"), ("model", "Model"), ("user", "User"))
_FIGURES = ("requests", "input", "output", "cost")
_WORDS = ("name", "limiter")
_HEADS = {
    "limiter": "Limiter",
    "requests": "Requests",
    "input": "Prompt tokens",
    "output": "Completion tokens",
    "cost": "Cost",
    "last": "Last request",
}
_CSS = {"limiter": "x", "requests": "n", "input": "n x", "output": "n x", "cost": "n", "last": "x when"}
_ORDERS: dict[str, Callable[[Row], Any]] = {
    "name": lambda row: row.name.casefold(),
    "requests": lambda row: row.requests,
    "input": lambda row: row.prompt_tokens,
    "output": lambda row: row.completion_tokens,
    "cost": lambda row: row.cost_nanousd,
    "last": lambda row: row.last_us or 0,
}


@dataclass(frozen=True, slots=True)
class Choice:
    """A link of a row of choices."""

    text: str
    href: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class Total:
    """A card: a number, all its digits, and its change against the range before."""

    name: str
    value: str
    exact: str
    change: str | None


@dataclass(frozen=True, slots=True)
class Column:
    """A head that sorts."""

    key: str
    text: str
    css: str


@dataclass(frozen=True, slots=True)
class Table:
    """One of the three tables, its page of rows already cut."""

    id: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    pages: Pages
    query: Query
    sort: str
    descending: bool

    @property
    def has_limiter(self) -> bool:
        return any(column.key == "limiter" for column in self.columns)

    @property
    def has_last(self) -> bool:
        return any(column.key == "last" for column in self.columns)

    @property
    def total(self) -> int:
        return self.pages.total

    def href(self, key: str) -> str:
        """Sort by this; the other way round when it is the order already. Figures start with the largest."""
        natural = key not in _WORDS
        descending = not self.descending if key == self.sort else natural
        names = {
            f"{self.id}_sort": key,
            f"{self.id}_dir": None if descending == natural else _DIRECTION[descending],
        }
        return f"{self.query.href(**names, **{f'{self.id}_page': None})}#{self.id}"


_DIRECTION = {True: "desc", False: "asc"}


@dataclass(frozen=True, slots=True)
class StatisticsPage:
    """What the template shows."""

    query: Query
    range_text: str
    before_text: str
    ranges: Sequence[Choice]
    from_date: str
    to_date: str
    error: str
    totals: Sequence[Total]
    stackings: Sequence[Choice]
    stacking_text: str
    over_time: charts.StackedBars
    tables: Sequence[Table]
    export_query: str


def page(site: Site, request: Request) -> Response:
    """The range that the address asks for."""
    query = Query.read("/statistics", request.query_params, _DEFAULTS)
    now_us = site.now_us()
    span, error = read_range(query, now_us)
    by = _stacking(query)
    before = Range(span.from_us - (span.to_us - span.from_us), span.from_us, "")
    report = site.report(span.from_us, span.to_us, now_us)
    earlier = site.report(before.from_us, before.to_us, now_us)
    shown = StatisticsPage(
        query=query,
        range_text=span.text,
        before_text="day before" if span.days == 1 else f"{span.days} days before",
        ranges=[
            Choice(text, query.href(range=name, **{"from": None, "to": None}), span.name == name)
            for name, text, _ in RANGES
        ],
        from_date=formats.iso_date(span.from_us),
        to_date=formats.iso_date(span.to_us - DAY_US),
        error=error,
        totals=_totals(report, earlier),
        stackings=[Choice(text, query.href(by=name), name == by) for name, text in _BY],
        stacking_text=f"by {by}",
        over_time=charts.stacked_bars(report.starts(by), report.bucket_us(by), report.over_time(by)),
        tables=[
            _table("limiters", "By limiter", query, report.limiters, ("name", *_FIGURES, "last")),
            _table("models", "By model", query, report.models, ("name", *_FIGURES)),
            _users(query, report),
        ],
        export_query=f"?from={formats.iso_date(span.from_us)}&to={formats.iso_date(span.to_us - DAY_US)}",
    )
    return site.page(request, "statistics.html", section="Statistics", page=shown, now_us=now_us)


def _stacking(query: Query) -> Stacking:
    asked = query.get("by")
    return next((name for name, _ in _BY if name == asked), "limiter")


def _totals(report: Report, earlier: Report) -> list[Total]:
    now, before = report.totals, earlier.totals
    return [
        Total("Total requests", formats.count(now.requests), formats.count(now.requests), formats.change(now.requests, before.requests)),
        Total("Total tokens", formats.compact(now.tokens), formats.count(now.tokens), formats.change(now.tokens, before.tokens)),
        Total("Total cost", formats.money(now.cost_nanousd), formats.exact(now.cost_nanousd), formats.change(now.cost_nanousd, before.cost_nanousd)),
        Total("Active users", formats.count(now.active_users), formats.count(now.active_users), formats.change(now.active_users, before.active_users)),
    ]  # fmt: skip


def _table(name: str, title: str, query: Query, rows: Sequence[Row], keys: Sequence[str]) -> Table:
    sort, descending = _order(name, query, keys)
    ranked = sorted(sorted(rows, key=lambda row: row.name), key=_ORDERS[sort], reverse=descending)
    pages = Pages.of(query, len(ranked), SIZE, f"{name}_page")
    return Table(name, title, _columns(name, keys), ranked[pages.part], pages, query, sort, descending)


def _users(query: Query, report: Report) -> Table:
    """There may be tens of thousands: they are ordered by their sums, and only a page of them is made."""
    keys = ("name", "limiter", *_FIGURES, "last")
    sort, descending = _order("users", query, keys)
    if (sort, descending) == ("cost", True):
        ranked = report.users_by_cost
    else:
        ranked = sorted(report.sums.users, key=_user_order(sort, report), reverse=descending)
    pages = Pages.of(query, len(ranked), SIZE, "users_page")
    rows = [report.user_row(key, report.largest_user_cost) for key in ranked[pages.part]]
    return Table("users", "By user", _columns("users", keys), rows, pages, query, sort, descending)


def _user_order(sort: str, report: Report) -> Callable[[UserKey], Any]:
    users: dict[UserKey, Sums] = report.sums.users
    if sort in _FIGURES:
        place = _FIGURES.index(sort)
        return lambda key: users[key][place]
    if sort == "last":
        return lambda key: report.sums.last_us[key]
    if sort == "limiter":
        return lambda key: (report.names[key[0]][1].casefold(), key[1])
    return lambda key: (key[1].casefold(), key[0])


def _order(name: str, query: Query, keys: Sequence[str]) -> tuple[str, bool]:
    sort = query.one_of(f"{name}_sort", keys)
    natural = sort not in _WORDS
    return sort, {"asc": False, "desc": True}.get(query.get(f"{name}_dir"), natural)


def _columns(name: str, keys: Sequence[str]) -> list[Column]:
    heads = _HEADS | {"name": {"limiters": "Limiter", "users": "User", "models": "Model"}[name]}
    return [Column(key, heads[key], _CSS.get(key, "")) for key in keys]
