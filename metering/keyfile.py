"""Random keys that are kept in a file beside the database, for its owner alone.

Several processes may start at once on a new folder: the first link wins, and all of them read the same file.
"""

import os
import secrets
from pathlib import Path

from metering.database import storing

_RANDOM_BYTES = 32


def beside(database: Path, name: str) -> Path:
    """Where the key of this name is kept."""
    return database.with_name(f"{database.name}.{name}")


def read_or_make(path: Path) -> str:
    """64 random hex digits, made at the first call. Raises StoreError."""
    with storing(f"read {path.name}"):
        if not path.exists():
            _make(path)
        # A copy or a restored backup may have become readable by others.
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
        return path.read_text("ascii", "replace").strip()


def _make(path: Path) -> None:
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(6)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, secrets.token_hex(_RANDOM_BYTES).encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        os.link(fresh, path)
    except FileExistsError:
        pass
    finally:
        fresh.unlink()
