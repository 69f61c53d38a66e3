"""The fields of a limiter that an administrator may set: what is acceptable, and what it is stored as.

Names and values are those of the management API; what comes out are columns. Unknown fields are refused, not ignored.
Each refusal is a FieldError that names the field and completes the sentence.
"""

import json
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal

from metering.base_urls import Address, base_url
from metering.errors import FieldError
from metering.money import NANO, parse_dollars
from metering.periods import Period

Column = int | str
BUDGET_MAX_NANOUSD = 1_000_000_000 * NANO
NAME_MAX = 200
MAP_ENTRIES_MAX = 1_000
ENFORCEMENTS = ("soft", "strict", "observe")
UNPRICED = ("reject", "fallback")
_JOINERS = {0x200C: None, 0x200D: None}
"""They have no width of their own, but Persian and many emoji cannot be written without them."""


def read_fields(given: Mapping[str, object], own_addresses: Collection[Address] = ()) -> dict[str, Column]:
    """The columns of the fields that were given. Raises FieldError at the first that is not acceptable."""
    columns: dict[str, Column] = {}
    for field, value in given.items():
        if field == "base_url":
            columns["base_url"] = base_url(field, value, own_addresses)
            continue
        reading = _FIELDS.get(field)
        if reading is None:
            raise FieldError(field, "is not a field of a limiter")
        column, read = reading
        columns[column] = read(field, value)
    return columns


def _name(field: str, value: object) -> str:
    if not isinstance(value, str):
        raise FieldError(field, "must be text")
    name = value.strip()
    if not 1 <= len(name) <= NAME_MAX:
        raise FieldError(field, f"must have 1 to {NAME_MAX} characters")
    return _printable(field, name)


def _budget(field: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, Decimal | int):
        raise FieldError(field, "must be a number of dollars")
    try:
        budget = parse_dollars(value)
    except ValueError as wrong:
        raise FieldError(field, str(wrong)) from wrong
    if not 0 <= budget <= BUDGET_MAX_NANOUSD:
        raise FieldError(field, "must be from 0 to 1000000000 dollars")
    return budget


def _flag(field: str, value: object) -> int:
    if not isinstance(value, bool):
        raise FieldError(field, "must be true or false")
    return int(value)


def _one_of(choices: Collection[str]) -> Callable[[str, object], str]:
    def read(field: str, value: object) -> str:
        if not isinstance(value, str) or value not in choices:
            raise FieldError(field, f"must be one of {', '.join(choices)}")
        return str(value)

    return read


def _model_map(field: str, value: object) -> str:
    if not isinstance(value, Mapping):
        raise FieldError(field, "must be an object that maps deployments to models")
    if len(value) > MAP_ENTRIES_MAX:
        raise FieldError(field, f"must have at most {MAP_ENTRIES_MAX} entries")
    for text in (*value.keys(), *value.values()):
        if not isinstance(text, str) or not 1 <= len(text) <= NAME_MAX:
            raise FieldError(field, f"must map text to text, each of 1 to {NAME_MAX} characters")
        _printable(field, text)
    return json.dumps(dict(value), ensure_ascii=False, sort_keys=True)


def _printable(field: str, text: str) -> str:
    # Lone surrogates and control characters come in as JSON escapes; neither can be stored or shown.
    if not text.translate(_JOINERS).isprintable():
        raise FieldError(field, "must not contain control characters")
    return text


_FIELDS: dict[str, tuple[str, Callable[[str, object], Column]]] = {
    "name": ("name", _name),
    "budget_limit": ("budget_nanousd", _budget),
    "period_type": ("period", _one_of([period.value for period in Period])),
    "is_active": ("is_active", _flag),
    "enforcement": ("enforcement", _one_of(ENFORCEMENTS)),
    "unpriced": ("unpriced", _one_of(UNPRICED)),
    "allow_unmetered": ("allow_unmetered", _flag),
    "hide_amounts": ("hide_amounts", _flag),
    "model_map": ("model_map", _model_map),
}
