"""The command line of a backup; see `metering/backup.py`."""

import argparse
import sys
from collections.abc import Sequence
from os import environ
from pathlib import Path

from metering.backup import backup
from metering.clock import now_us, rfc3339
from metering.database import Database
from metering.errors import MeteringError, StoreError
from metering.settings import Settings

ROOT = Path(__file__).resolve().parents[1]


def main(arguments: Sequence[str] | None = None) -> int:
    """Copy the database, and say where to."""
    parser = argparse.ArgumentParser(
        prog="scripts/backup", description="Take a consistent copy of the database while everything runs."
    )
    parser.add_argument("file", nargs="?", type=Path, help="default: beside the database, with the time")
    chosen = parser.parse_args(arguments)
    try:
        live = Settings.load(environ, ROOT).database_path
        if not live.is_file():
            raise StoreError("back up the database", f"there is no {live}", "DATABASE_URL names the file.")
        file = chosen.file or _beside(live)
        size_bytes = backup(Database(live), file)
    except MeteringError as wrong:
        sys.stderr.write(f"{wrong}\n")
        return 1
    print(f"{file} is a whole copy of {live} ({size_bytes:,} bytes).")
    return 0


def _beside(live: Path) -> Path:
    moment = rfc3339(now_us() // 1_000_000 * 1_000_000).replace(":", "").replace("-", "")
    return live.with_name(f"{live.stem}-{moment}.db")


if __name__ == "__main__":
    sys.exit(main())
