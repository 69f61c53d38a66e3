"""What may be believed of a value on the wire.

Answers come from many servers, and from nobody in particular. A count is a whole number that a call can
reach, written as an integer, an integral float or a numeric string; anything else (negative, NaN, boolean,
absurdly large) is absent.
"""

import re
from collections.abc import Iterator, Mapping
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal, InvalidOperation

Wire = Mapping[str, object]

COUNT_MAX = 10**12
"""No call consumes more of anything; larger figures would not fit beside each other in a database column."""

_NAME_CHARACTERS_MAX = 256
_DOLLARS_MAX = 10**6
_NUMBER_CHARACTERS_MAX = 40
_NUMBER = re.compile(r"\s*(\d{1,13})(?:\.0{0,20})?\s*", re.ASCII)
_EMPTY: Wire = {}


def count(value: object) -> int | None:
    """A count of tokens, calls or images; None where the value is no such thing."""
    if type(value) is int:
        return value if 0 <= value <= COUNT_MAX else None
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, str):
        match = _NUMBER.fullmatch(value)
        value = int(match[1]) if match else None
    elif isinstance(value, float):
        value = int(value) if value.is_integer() else None
    return value if isinstance(value, int) and 0 <= value <= COUNT_MAX else None


def first_count(wire: Wire, *names: str) -> int | None:
    """The first count above zero under one of the names, zero if there are only zeros, None if there is none.

    Gateways that write both spellings of a field leave one of them at zero.
    """
    found: int | None = None
    for name in names:
        if name not in wire:
            continue
        value = count(wire[name])
        if value:
            return value
        found = value if found is None else found
    return found


def milliseconds(seconds: object) -> int | None:
    """Seconds as a number or numeric string, in whole milliseconds."""
    exact = _decimal(seconds)
    if exact is None or not 0 <= exact <= COUNT_MAX // 1000:
        return None
    return int((exact * 1000).to_integral_value(ROUND_HALF_UP))


def nanodollars(dollars: object) -> int | None:
    """An amount of dollars, rounded up to a nanodollar."""
    exact = _decimal(dollars)
    if exact is None or not 0 <= exact <= _DOLLARS_MAX:
        return None
    return int((exact * 10**9).to_integral_value(ROUND_CEILING))


def name(value: object) -> str | None:
    """A name such as a model's: a short printable string; None where it is empty."""
    if not isinstance(value, str) or not value.isprintable():
        return None
    return value.strip()[:_NAME_CHARACTERS_MAX] or None


def record(value: object) -> Wire:
    """The object itself, or an empty one where something else stands."""
    return value if isinstance(value, dict) else _EMPTY


def records(value: object) -> Iterator[Wire]:
    """The objects of an array; nothing where something else stands."""
    if isinstance(value, list):
        for item in value:
            if isinstance(item, dict):
                yield item


def _decimal(value: object) -> Decimal | None:
    """An exact number; floats by their shortest text, which is what the sender wrote."""
    if value is None or isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if len(text := str(value)) > _NUMBER_CHARACTERS_MAX:
        return None
    try:
        exact = Decimal(text)
    except InvalidOperation:
        return None
    return exact if exact.is_finite() else None
