"""A YAML file as entries that know their line, so that every complaint can say where.

Scalars stay text until somebody asks for a number, which then is an exact Decimal: no price is ever a float.
Duplicate keys and unknown keys are refused. (ruamel's composer alone, without its constructors, reads a book
of a thousand rows in about a second and keeps the lines.)
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from metering.errors import PriceBookError

_NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{1,15})?")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_BYTES_MAX = 8 * 1024 * 1024


def read_document(path: Path) -> "Entry":
    """The root entry of a file. Raises PriceBookError where it cannot be read or is not one YAML mapping."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise PriceBookError(str(path), None, f"cannot be read: {error.strerror or error}.") from error
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise PriceBookError(str(path), line, "the file is not UTF-8.") from error
    if len(raw) > _BYTES_MAX:
        raise PriceBookError(str(path), None, "the file is larger than 8 MB.")
    try:
        root = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        at = None if mark is None else int(mark.line) + 1
        raise PriceBookError(str(path), at, f"not valid YAML: {error.problem or error.context}.") from error
    except (YAMLError, RecursionError) as error:
        raise PriceBookError(str(path), None, "not valid YAML.") from error
    if root is None:
        raise PriceBookError(str(path), None, "the file is empty.")
    return Entry(str(path), "the price book", root)


@dataclass(frozen=True, slots=True)
class Entry:
    """A node of the file, with the words that an error calls it by."""

    path: str
    name: str
    node: Node
    owner: str = ""
    key: Node | None = None
    """The key of a field, whose line is the one to name: a block starts a line below it."""

    @property
    def what(self) -> str:
        """The entry in words: its name, and what it stands in."""
        return f"{self.name} in {self.owner}" if self.owner else self.name

    @property
    def line(self) -> int:
        """Where the entry starts, counted from 1."""
        return int((self.key or self.node).start_mark.line) + 1

    def refuse(self, reason: str) -> NoReturn:
        """Raise PriceBookError at this line; the reason completes a sentence that starts with the entry."""
        raise PriceBookError(self.path, self.line, f"{self.what} {reason}.")

    @property
    def is_mapping(self) -> bool:
        """Whether the entry has fields."""
        return isinstance(self.node, MappingNode)

    def items(self) -> Iterator[tuple[str, "Entry"]]:
        """The fields of a mapping in order, each key once."""
        if not isinstance(self.node, MappingNode):
            self.refuse("must be a mapping")
        seen: dict[str, int] = {}
        for key, value in self.node.value:
            name = Entry(self.path, "a key", key, self.name).text()
            if name in seen:
                line = key.start_mark.line + 1
                reason = f"{self.what} has {name} twice; the first is in line {seen[name]}."
                raise PriceBookError(self.path, line, reason)
            seen[name] = key.start_mark.line + 1
            yield name, Entry(self.path, name, value, self.name, key)

    def fields(self, allowed: Iterable[str], *, required: Iterable[str] = ()) -> dict[str, "Entry"]:
        """The fields of a mapping, none of them unknown and none of the required missing."""
        known = frozenset(allowed) | frozenset(required)
        found = {}
        for name, entry in self.items():
            if name not in known:
                raise PriceBookError(self.path, entry.line, f"{self.what} has an unknown key {name}.")
            found[name] = entry
        for name in required:
            if name not in found:
                self.refuse(f"has no {name}")
        return found

    def without(self, key: str) -> "Entry":
        """The mapping without one of its keys, for a reader that does not know it."""
        if not isinstance(self.node, MappingNode):
            self.refuse("must be a mapping")
        pairs = [(name, value) for name, value in self.node.value if name.value != key]
        node = MappingNode(self.node.tag, pairs, self.node.start_mark, self.node.end_mark)
        return Entry(self.path, self.name, node, self.owner, self.key)

    def entries(self) -> list["Entry"]:
        """The entries of a sequence."""
        if not isinstance(self.node, SequenceNode):
            self.refuse("must be a list")
        return [Entry(self.path, f"an entry of {self.name}", node, self.owner) for node in self.node.value]

    def text(self) -> str:
        """A scalar as written, not empty."""
        if not isinstance(self.node, ScalarNode):
            self.refuse("must be a single value")
        value = str(self.node.value).strip()
        if not value:
            self.refuse("is empty")
        return value

    def number(self) -> Decimal:
        """An exact number, 0 or more, written in plain digits."""
        written = self.text().replace("_", "")
        if not _NUMBER.fullmatch(written):
            self.refuse(f"must be a number in plain digits, not {self.text()!r}")
        value = Decimal(written)
        if value < 0:
            self.refuse("must not be negative")
        return value

    def count(self) -> int:
        """A whole number above 0."""
        value = self.number()
        if value != int(value) or value == 0:
            self.refuse("must be a whole number above 0")
        return int(value)

    def day(self) -> date:
        """A date, `YYYY-MM-DD`."""
        written = self.text()
        try:
            # fromisoformat alone would take 20261123 and 2026-W48-1 as well.
            return date.fromisoformat(written if _DATE.fullmatch(written) else "")
        except ValueError:
            self.refuse(f"must be a date like 2026-11-23, not {written!r}")

    def flag(self) -> bool:
        """`true` or `false`."""
        written = self.text()
        if written not in ("true", "false"):
            self.refuse("must be true or false")
        return written == "true"

    def choice(self, *options: str) -> str:
        """One of the options."""
        written = self.text()
        if written not in options:
            self.refuse(f"must be one of {', '.join(options)}")
        return written
