"""The command line of a verification; see `metering/verify.py`.

Exit code 0: everything agrees, or agrees after a repair. 1: it does not. 2: it could not be looked at.
"""

import argparse
import sys
from collections.abc import Sequence
from os import environ
from pathlib import Path

from metering.database import Database
from metering.errors import MeteringError, StoreError
from metering.settings import Settings
from metering.verify import verify

ROOT = Path(__file__).resolve().parents[1]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the verdict, or the differences and the verdict."""
    parser = argparse.ArgumentParser(
        prog="scripts/verify", description="Compute every total again from the rows and compare."
    )
    parser.add_argument(
        "database", nargs="?", type=Path, metavar="DB", help="default: the one of DATABASE_URL"
    )
    parser.add_argument("--repair", action="store_true", help="correct the totals; rows are never changed")
    chosen = parser.parse_args(arguments)
    try:
        path = chosen.database or Settings.load(environ, ROOT).database_path
        if not path.is_file():
            raise StoreError("verify the database", f"there is no {path}", "DATABASE_URL names the file.")
        return _verdict(Database(path), repair=chosen.repair)
    except MeteringError as wrong:
        sys.stderr.write(f"{wrong}\n")
        return 2


def _verdict(database: Database, *, repair: bool) -> int:
    if repair:
        database.migrate()
    # A look changes nothing, neither in a backup nor in a database that another version serves.
    database.refuse_older()
    differences = verify(database, repair=repair)
    for difference in differences:
        print(difference)
    if not differences:
        print(f"{database.path}: every total agrees with the rows.")
        return 0
    if repair:
        left = verify(database)
        print(f"{database.path}: {len(differences)} differences found, {len(left)} left after the repair.")
        return 1 if left else 0
    print(f"{database.path}: {len(differences)} differences. scripts/verify --repair corrects the totals.")
    return 1


if __name__ == "__main__":
    sys.exit(main())
