"""Records that nobody changes, and that are made for every call.

A frozen dataclass takes six times as long to make as an ordinary one: 7 µs against 1 µs for the fields of a usage. So what
is made many times for each call is frozen for the type checker alone, which refuses an assignment just the same.
"""

from dataclasses import dataclass
from typing import dataclass_transform


@dataclass_transform(frozen_default=True, kw_only_default=True)
def fact[Kind](kind: type[Kind]) -> type[Kind]:
    """A dataclass with slots and fields by name, to be treated as frozen."""
    return dataclass(slots=True, kw_only=True, unsafe_hash=True)(kind)
