"""The limiters: tenants with a code, a budget and a period.

Every change is one transaction under the write lock, and raises `version`, by which an admission notices that it was
priced on old terms: an edit is in force on the next admission. A code is 130 random bits and is never used twice.
Deleting is soft: history stays.
"""

import builtins
import json
import re
import secrets
import sqlite3
import uuid
from base64 import b32encode
from collections.abc import Collection, Mapping
from contextlib import closing
from dataclasses import dataclass

from metering.base_urls import Address
from metering.clock import Clock, now_us
from metering.database import Database, storing
from metering.errors import FieldError, LimiterNotFound
from metering.limiter_fields import Column, read_fields
from metering.periods import Period
from metering.windows import rebuild

_CODE = re.compile(r"[a-z2-7]{26}\Z")
_DEFAULTS: dict[str, Column] = {
    "is_active": 1,
    "enforcement": "soft",
    "unpriced": "reject",
    "allow_unmetered": 0,
    "hide_amounts": 0,
    "model_map": "{}",
}
_REQUIRED = ("name", "budget_limit", "period_type")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limiter:
    """A limiter as stored."""

    key: int
    id: str
    code: str
    name: str
    budget_nanousd: int
    period: Period
    base_url: str
    is_active: bool
    enforcement: str
    unpriced: str
    allow_unmetered: bool
    hide_amounts: bool
    model_map: Mapping[str, str]
    """Azure deployment to model."""
    created_at_us: int
    updated_at_us: int
    deleted_at_us: int | None
    version: int


_COLUMNS = ", ".join(Limiter.__dataclass_fields__)


class Limiters:
    """Reading and changing limiters. Holds no connection between calls, so that any thread may use it."""

    def __init__(
        self,
        database: Database,
        clock: Clock = now_us,
        *,
        default_base_url: str = "https://api.openai.com",
        own_addresses: Collection[Address] = (),
    ) -> None:
        self._database = database
        self._clock = clock
        self._default_base_url = default_base_url
        self._own_addresses = own_addresses

    def create(self, **fields: object) -> Limiter:
        """A new limiter from the fields of the API (`name`, `budget_limit`, `period_type`, …).

        Raises FieldError, StoreError.
        """
        for field in _REQUIRED:
            if field not in fields:
                raise FieldError(field, "is required")
        given = {"base_url": self._default_base_url, **fields}
        columns = _DEFAULTS | read_fields(given, self._own_addresses)
        with self._database.transaction("create a limiter") as connection:
            at_us = self._clock()
            columns |= {"id": str(uuid.uuid4()), "code": _new_code(connection)}
            columns |= {"created_at_us": at_us, "updated_at_us": at_us, "version": 1}
            names = ", ".join(columns)
            places = ", ".join(f":{name}" for name in columns)
            key = connection.execute(f"insert into limiters ({names}) values ({places})", columns).lastrowid
            connection.execute(_RESERVE, (columns["code"], key, at_us))
            return _by_id(connection, str(columns["id"]))

    def get(self, limiter_id: str) -> Limiter:
        """The limiter. Raises LimiterNotFound where there is none or it was deleted, StoreError."""
        with storing("read a limiter"), closing(self._database.open_reader()) as connection:
            return _by_id(connection, limiter_id)

    def list(self, search: str | None = None) -> builtins.list[Limiter]:
        """All limiters that were not deleted, in the order of their creation; `search` is a part of the name."""
        with storing("list the limiters"), closing(self._database.open_reader()) as connection:
            found = connection.execute(
                f"select {_COLUMNS} from limiters where deleted_at_us is null order by key"
            )
            limiters = [_limiter(row) for row in found]
        # SQLite folds the case of ASCII letters alone.
        wanted = (search or "").strip().casefold()
        return [limiter for limiter in limiters if wanted in limiter.name.casefold()]

    def update(self, limiter_id: str, **changes: object) -> Limiter:
        """Change some fields. A new period recomputes the current window from what was charged and is held.

        Raises FieldError, LimiterNotFound, StoreError.
        """
        columns = read_fields(changes, self._own_addresses)
        return self._change(limiter_id, "change a limiter", columns)

    def rotate_code(self, limiter_id: str) -> Limiter:
        """Give the limiter a new code; the old one is refused from now on, and all figures stay.

        Raises LimiterNotFound, StoreError.
        """
        return self._change(limiter_id, "rotate a code", {}, rotate=True)

    def delete(self, limiter_id: str) -> None:
        """Refuse all its calls from now on, and hide it; its history stays. Raises LimiterNotFound, StoreError."""
        with self._database.transaction("delete a limiter") as connection:
            limiter = _by_id(connection, limiter_id)
            at_us = self._clock()
            connection.execute(
                "update limiters set deleted_at_us = ?, updated_at_us = ?, version = version + 1 where key = ?",
                (at_us, at_us, limiter.key),
            )

    def _change(
        self, limiter_id: str, operation: str, columns: dict[str, Column], rotate: bool = False
    ) -> Limiter:
        with self._database.transaction(operation) as connection:
            before = _by_id(connection, limiter_id)
            at_us = self._clock()
            if rotate:
                columns["code"] = _new_code(connection)
                connection.execute(_RESERVE, (columns["code"], before.key, at_us))
            stored = dict(zip(columns, _raw(connection, before.key, columns), strict=True))
            if stored == columns:
                return before
            settings = ", ".join(f"{name} = :{name}" for name in columns)
            connection.execute(
                f"update limiters set {settings}, updated_at_us = :at_us, version = version + 1 where key = :key",
                {**columns, "at_us": at_us, "key": before.key},
            )
            after = _by_id(connection, limiter_id)
            if after.period is not before.period:
                rebuild(connection, after.key, after.period, at_us)
            return after


def by_code(connection: sqlite3.Connection, code: str) -> Limiter | None:
    """The limiter with this code, unless it was deleted: one indexed read, for the proxy."""
    if not _CODE.match(code):
        return None
    row = connection.execute(_BY_CODE, (code,)).fetchone()
    return _limiter(row) if row else None


def _by_id(connection: sqlite3.Connection, limiter_id: str) -> Limiter:
    row = connection.execute(_BY_ID, (limiter_id,)).fetchone()
    if row is None:
        raise LimiterNotFound(limiter_id)
    return _limiter(row)


def _raw(connection: sqlite3.Connection, key: int, columns: Mapping[str, Column]) -> tuple[Column, ...]:
    if not columns:
        return ()
    found: tuple[Column, ...] = connection.execute(
        f"select {', '.join(columns)} from limiters where key = ?", (key,)
    ).fetchone()
    return found


def _limiter(row: tuple[object, ...]) -> Limiter:
    values = dict(zip(Limiter.__dataclass_fields__, row, strict=True))
    for flag in ("is_active", "allow_unmetered", "hide_amounts"):
        values[flag] = bool(values[flag])
    values["period"] = Period(str(values["period"]))
    values["model_map"] = json.loads(str(values["model_map"]))
    return Limiter(**values)  # type: ignore[arg-type]  # The table is STRICT: each column has its type.


def _new_code(connection: sqlite3.Connection) -> str:
    while True:
        # 17 bytes are 136 bits; the first 26 of their 28 characters carry 130.
        code = b32encode(secrets.token_bytes(17)).decode().lower()[:26]
        if connection.execute("select 1 from codes where code = ?", (code,)).fetchone() is None:
            return code


_BY_CODE = f"select {_COLUMNS} from limiters where code = ? and deleted_at_us is null"
_BY_ID = f"select {_COLUMNS} from limiters where id = ? and deleted_at_us is null"
_RESERVE = "insert into codes (code, limiter, issued_at_us) values (?, ?, ?)"
