"""Brings a database to the schema of this version: each migration runs once, in one transaction with its own record.

A database that holds another program's tables, or that a newer version has changed, is refused.
"""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from metering.clock import Clock
from metering.errors import StoreError
from metering.migrations import MIGRATIONS

if TYPE_CHECKING:
    from sqlite_utils import Database as Tables

_RECORD = "metering_migrations"
_FOREIGN_NAMED = 3
_TABLES = "select name from sqlite_master where type = 'table' and name not like 'sqlite\\_%' escape '\\'"


def refuse_foreign(connection: sqlite3.Connection, path: Path) -> None:
    """Raise StoreError where the file is not ours, or belongs to a newer version of us."""
    tables = [name for (name,) in connection.execute(_TABLES)]
    if tables and _RECORD not in tables:
        named = ", ".join(sorted(tables)[:_FOREIGN_NAMED])
        raise StoreError(
            "open the database",
            f"{path} holds another program's tables ({named})",
            "DATABASE_URL must name a file of its own.",
        )
    newer = [name for name in _applied(connection) if name not in {m.__name__ for m in MIGRATIONS}]
    if newer:
        raise StoreError(
            "open the database",
            f"{path} was changed by a newer version of this program ({newer[0]})",
            "Run that version, or restore a backup that is older than it.",
        )


def migrate(connection: sqlite3.Connection, clock: Clock) -> None:
    """Run what has not run yet. The caller holds the write lock."""
    if not (pending := pending_migrations(connection)):
        return
    # Imported only when there is something to build: it costs a third of a second.
    from sqlite_utils import Database as Tables

    for migration in pending:
        connection.execute("begin immediate")
        try:
            tables = Tables(connection, execute_plugins=False, recursive_triggers=False)
            if _RECORD not in tables.table_names():
                tables.create_table(
                    _RECORD,
                    {"name": str, "applied_at_us": int},
                    pk="name",
                    not_null=["applied_at_us"],
                    strict=True,
                )
            migration(tables)
            connection.execute(f"insert into {_RECORD} values (?, ?)", (migration.__name__, clock()))
            connection.execute("commit")
        except BaseException:
            if connection.in_transaction:
                connection.execute("rollback")
            raise


def pending_migrations(connection: sqlite3.Connection) -> list[Callable[["Tables"], None]]:
    """What has not run yet."""
    applied = _applied(connection)
    return [migration for migration in MIGRATIONS if migration.__name__ not in applied]


def _applied(connection: sqlite3.Connection) -> list[str]:
    if not connection.execute("select 1 from sqlite_master where name = ?", (_RECORD,)).fetchone():
        return []
    return [name for (name,) in connection.execute(f"select name from {_RECORD} order by name")]
