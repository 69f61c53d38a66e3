"""Who made a call inside a limiter: attribution only, since everybody can name anybody.

In order: what the body says, the `X-User-Id` header, a short fingerprint of the API key. The fingerprint is keyed by a
file beside the database, so that a stolen database does not tell which of some known keys was used.
"""

import os
import secrets
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path

from metering.database import storing

USER_MAX = 128
_SECRET_BYTES = 32
_CREDENTIALS = ("authorization", "api-key", "x-api-key", "x-goog-api-key")
NOBODY = "anonymous"


def load_secret(path: Path) -> bytes:
    """The key of the fingerprints; made on first use, readable by its owner only. Raises StoreError."""
    with storing("read the key of the user fingerprints"):
        fresh = path.with_name(f"{path.name}.{secrets.token_hex(6)}")
        if not path.exists():
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                os.write(descriptor, secrets.token_bytes(_SECRET_BYTES))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            try:
                # Two workers may be here at once: the first link wins, and both read the same file.
                os.link(fresh, path)
            except FileExistsError:
                pass
            finally:
                fresh.unlink()
        return path.read_bytes()


def fingerprint(headers: Mapping[str, str], secret: bytes) -> str:
    """`key-` and 12 hex digits of a keyed hash of the API key; `anonymous` without one."""
    for name in _CREDENTIALS:
        value = headers.get(name)
        if value:
            key = value.strip()
            if key[:7].lower() == "bearer ":
                key = key[7:].strip()
            digest = blake2b(key.encode("utf-8", "surrogateescape"), key=secret, digest_size=6)
            return f"key-{digest.hexdigest()}"
    return NOBODY


def user_of(named: str | None, header: str | None, fallback: str) -> str:
    """The name that a call is recorded under."""
    return _clean(named) or _clean(header) or fallback


def _clean(name: str | None) -> str:
    if not name:
        return ""
    if not name.isprintable():
        name = "".join(letter for letter in name if letter.isprintable())
    return name.strip()[:USER_MAX]
