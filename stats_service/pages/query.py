"""What a list shows, as its address says it: search, filter, order, page. Links change one thing and keep the rest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode


@dataclass(frozen=True, slots=True)
class Query:
    """The parameters of a list's address that are not at their default."""

    path: str
    given: Mapping[str, str]
    defaults: Mapping[str, str]

    @classmethod
    def read(cls, path: str, params: Mapping[str, str], defaults: Mapping[str, str]) -> "Query":
        """Unknown parameters are dropped; the longest search is 200 characters."""
        given = {name: params[name].strip()[:200] for name in defaults if params.get(name, "").strip()}
        return cls(path, given, defaults)

    def get(self, name: str) -> str:
        return self.given.get(name, self.defaults[name])

    def one_of(self, name: str, choices: Sequence[str]) -> str:
        """The parameter if it is one of the choices, or its default."""
        value = self.get(name)
        return value if value in choices else self.defaults[name]

    @property
    def q(self) -> str:
        return self.get("q")

    @property
    def sort(self) -> str:
        return self.get("sort")

    @property
    def view(self) -> str:
        return self.get("view")

    def href(self, **changes: str | None) -> str:
        """The address with some parameters changed. A change of anything but the page starts at the first page."""
        kept = {name: value for name, value in self.given.items() if name != "page" or not changes}
        for name, value in changes.items():
            if value is None or value == self.defaults[name]:
                kept.pop(name, None)
            else:
                kept[name] = value
        return f"{self.path}?{urlencode(kept)}" if kept else self.path

    def others(self, *names: str) -> list[tuple[str, str]]:
        """The hidden fields of a form that changes these."""
        return [(name, value) for name, value in self.given.items() if name not in {*names, "page"}]


@dataclass(frozen=True, slots=True)
class Pages:
    """Which part of a list is shown."""

    query: Query
    total: int
    number: int
    size: int
    parameter: str = "page"

    @classmethod
    def of(cls, query: Query, total: int, size: int, parameter: str = "page") -> "Pages":
        """The page that the address names, or the nearest there is."""
        text = query.get(parameter)
        wanted = int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 1
        last = max(-(-total // size), 1)
        return cls(query, total, min(max(wanted, 1), last), size, parameter)

    @property
    def last(self) -> int:
        return max(-(-self.total // self.size), 1)

    @property
    def first_item(self) -> int:
        return min((self.number - 1) * self.size + 1, self.total)

    @property
    def last_item(self) -> int:
        return min(self.number * self.size, self.total)

    @property
    def part(self) -> slice:
        return slice((self.number - 1) * self.size, self.number * self.size)

    def href(self, number: int) -> str:
        return self.query.href(**{self.parameter: str(number) if number > 1 else None})
