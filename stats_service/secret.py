"""The key of the tokens: the setting, or a random one that is kept beside the database for its owner alone."""

import os
import secrets
from pathlib import Path

from metering.database import storing
from metering.errors import SettingError
from metering.settings import SECRET_MIN, Settings

_RANDOM_BYTES = 32


def jwt_secret(settings: Settings) -> str:
    """Raises SettingError, StoreError."""
    if settings.jwt_secret is not None:
        return settings.jwt_secret
    path = settings.database_path.with_name(f"{settings.database_path.name}.jwt-secret")
    with storing("read the secret of the tokens"):
        if not path.exists():
            _make(path)
        # A copy or a restored backup may have become readable by others.
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
        secret = path.read_text("ascii", "replace").strip()
    if len(secret) < SECRET_MIN:
        raise SettingError(
            "JWT_SECRET", f"cannot be read from {path}: delete the file, and a new one is made."
        )
    return secret


def _make(path: Path) -> None:
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(6)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, secrets.token_hex(_RANDOM_BYTES).encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        # Two services may start at once: the first link wins, and both read the same file.
        os.link(fresh, path)
    except FileExistsError:
        pass
    finally:
        fresh.unlink()
