"""JSON in and out without a float: what has a point or an exponent is a Decimal, and amounts leave as exact numbers.

Coming in, NaN and Infinity become Decimals too, so that whoever wanted a number of dollars refuses them by the field's name. An
object that names a field twice is refused, because nobody can tell which of them was meant.
"""

import json
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from metering.money import dollars

_DIGITS_MAX = 100

type Json = dict[str, Json] | list[Json] | str | int | float | bool | None
"""What a document is made of that has no amounts."""


@dataclass(frozen=True, slots=True)
class Dollars:
    """An amount, written as a number of dollars with each digit that it has."""

    nanousd: int


def read(text: bytes) -> object:
    """The value. Raises ValueError with the end of a sentence about the body."""
    try:
        return json.loads(
            text.decode("utf-8"),
            parse_int=_whole,
            parse_float=Decimal,
            parse_constant=Decimal,
            object_pairs_hook=_once,
        )
    except UnicodeDecodeError as wrong:
        raise ValueError("is not UTF-8") from wrong
    except json.JSONDecodeError as wrong:
        raise ValueError(f"is not JSON: {wrong.msg} in line {wrong.lineno}, column {wrong.colno}") from wrong
    except RecursionError as wrong:
        raise ValueError("is nested too deeply") from wrong
    except InvalidOperation as wrong:
        raise ValueError("has a number that is too large") from wrong


def write(value: object) -> bytes:
    """Text of dictionaries, lists, text, whole numbers, booleans, None, `Dollars` and Decimals."""
    return orjson.dumps(value, default=_exact, option=orjson.OPT_PASSTHROUGH_DATACLASS)


def _exact(value: Any) -> orjson.Fragment:
    if isinstance(value, Dollars):
        return orjson.Fragment(dollars(value.nanousd))
    if isinstance(value, Decimal) and value.is_finite():
        return orjson.Fragment(f"{value:f}")
    raise TypeError


def _whole(text: str) -> int:
    if len(text) > _DIGITS_MAX:
        raise ValueError("has a number that is too large")
    return int(text)


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("names a field twice")
    return found
