"""The list of limiters: search, filter, order, pages of 50, as cards or as a table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stats_service.pages.query import Pages, Query
from stats_service.pages.standing import Standing

SIZE = 50
DEFAULTS = {"q": "", "status": "all", "sort": "newest", "dir": "", "view": "cards", "page": "1"}
SORTS = (
    ("newest", "Newest first"),
    ("name", "Name"),
    ("usage", "Most used"),
    ("spent", "Most spent"),
    ("budget", "Largest budget"),
    ("remaining", "Least remaining"),
    ("requests", "Most requests"),
    ("last", "Last call"),
)
_FILTERS: tuple[tuple[str, str, Callable[[Standing], bool]], ...] = (
    ("all", "All", lambda one: True),
    ("active", "Active", lambda one: one.is_active),
    ("near", "Near budget", lambda one: one.status == "warn"),
    ("over", "Used up", lambda one: one.status == "over"),
    ("inactive", "Inactive", lambda one: not one.is_active),
)
_ORDERS: dict[str, tuple[Callable[[Standing], tuple[object, ...]], bool]] = {
    # What it goes by, and whether the largest comes first unless the address says otherwise.
    "newest": (lambda one: (one.limiter.created_at_us, one.key), True),
    "name": (lambda one: (one.name.casefold(), one.key), False),
    "usage": (lambda one: (one.used_permille, one.used_nanousd, one.key), True),
    "spent": (lambda one: (one.spent_nanousd, one.key), True),
    "budget": (lambda one: (one.budget_nanousd, one.key), True),
    "remaining": (lambda one: (one.remaining_nanousd, one.key), False),
    "requests": (lambda one: (one.requests, one.key), True),
    "last": (lambda one: (one.last_call_us or 0, one.key), True),
}


@dataclass(frozen=True, slots=True)
class Pill:
    """A filter to choose."""

    text: str
    href: str
    is_current: bool
    count: int


@dataclass(frozen=True, slots=True)
class LimitersPage:
    """What the template shows. `any` says whether there is a limiter at all."""

    query: Query
    any: bool
    pills: Sequence[Pill]
    pages: Pages
    limiters: Sequence[Standing]
    sorts: Sequence[tuple[str, str]] = SORTS

    @property
    def sort(self) -> str:
        return self.query.one_of("sort", tuple(_ORDERS))

    @property
    def descending(self) -> bool:
        return _descending(self.query)

    def href(self, key: str) -> str:
        """The address of a column's head: its own order first, the other way round when it is the order already."""
        natural = _ORDERS[key][1]
        if self.sort != key:
            return self.query.href(sort=key, dir=None)
        turned = not self.descending
        return self.query.href(sort=key, dir=None if turned == natural else "desc" if turned else "asc")


def choose(query: Query, everything: Sequence[Standing]) -> LimitersPage:
    """Search first, so that the filters count what the search has found; then filter, order and cut."""
    wanted = query.q.casefold()
    found = [
        one for one in everything if wanted in one.name.casefold() or query.q in (one.limiter.code, one.id)
    ]
    names = [name for name, _, _ in _FILTERS]
    chosen = query.one_of("status", names)
    keep = next(rule for name, _, rule in _FILTERS if name == chosen)
    order, _ = _ORDERS[query.one_of("sort", tuple(_ORDERS))]
    kept = sorted((one for one in found if keep(one)), key=order, reverse=_descending(query))
    pages = Pages.of(query, len(kept), SIZE)
    pills = [
        Pill(text, query.href(status=name), name == chosen, sum(map(rule, found)))
        for name, text, rule in _FILTERS
    ]
    return LimitersPage(query, bool(everything), pills, pages, kept[pages.part])


def _descending(query: Query) -> bool:
    natural = _ORDERS[query.one_of("sort", tuple(_ORDERS))][1]
    return {"asc": False, "desc": True}.get(query.get("dir"), natural)
