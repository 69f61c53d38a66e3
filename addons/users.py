"""Who made a call inside a limiter: attribution only, since everybody can name anybody.

In order: what the body says, the `X-User-Id` header, a short fingerprint of the API key. The fingerprint is keyed by a
file beside the database, so that a stolen database does not tell which of some known keys was used.
"""

from collections.abc import Mapping
from hashlib import blake2b

USER_MAX = 128
_CREDENTIALS = ("authorization", "api-key", "x-api-key", "x-goog-api-key")
NOBODY = "anonymous"


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
