"""Calls from the database: pages of a limiter's newest, and one with all that is known of it."""

import dataclasses
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from metering.limiters import Limiter
from metering.report_calls import COLUMNS, CallRow, call_of, page_of_calls
from metering.usage import Usage
from stats_service.pages.calls import Call

_ID_DIGITS = 18
_USAGE = tuple(one.name for one in dataclasses.fields(Usage))


@dataclass(frozen=True, slots=True)
class FullCall:
    """A call and what its cost was made of."""

    call: Call
    usage: Usage
    price_row: str
    provider_cost_nanousd: int | None


def newest(
    connection: sqlite3.Connection, limiter: Limiter, limit: int, before: int | None = None
) -> tuple[list[Call], int | None]:
    """Newest first, and the id that older ones are asked for with, if there are any."""
    page = page_of_calls(connection, limiter, limit, before)
    return [_shown(limiter, row) for row in page.calls], page.following


def known_id(text: str) -> int | None:
    """The id of a call as an address tells it, or None where it cannot be one."""
    if not (text.isascii() and text.isdigit() and len(text) <= _ID_DIGITS):
        return None
    return int(text)


def one(connection: sqlite3.Connection, limiter: Limiter, call_id: int) -> FullCall | None:
    """The call of this limiter with this id, if there is one."""
    row = connection.execute(_ONE, (call_id, limiter.key)).fetchone()
    if row is None:
        return None
    price_row, provider, *others = row
    counted: Mapping[str, object] = dict(zip(_USAGE, others, strict=False))
    call = call_of(tuple(others[len(_USAGE) :]))
    return FullCall(_shown(limiter, call), Usage(**counted), price_row, provider)  # type: ignore[arg-type]  # The table is STRICT.


def _shown(limiter: Limiter, row: CallRow) -> Call:
    values = {name: getattr(row, name) for name in CallRow.__dataclass_fields__}
    return Call(limiter_id=limiter.id, **values | {"cost_nanousd": row.cost_nanousd or 0})


_ONE = f"select price_row, provider_cost_nanousd, {', '.join(_USAGE)}, {COLUMNS} from requests where id = ? and limiter = ?"
