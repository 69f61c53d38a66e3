"""Signed tokens: who it is, since when and until when. HS256 alone, and each of `exp`, `iat` and `sub` is required.

Tokens of the API and cookies of the pages are signed with different keys, so that neither can be used as the other.
"""

import hashlib
import hmac
import math
from dataclasses import dataclass

import jwt

from metering.clock import SECOND_US

_ALGORITHM = "HS256"
_REQUIRED = ("exp", "iat", "sub")
_HOUR_S = 3600
TOKEN_MAX = 4_096
_EARLY_S = 60
"""How far ahead the clock of whoever signed a token may be."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a valid token says."""

    subject: str
    expires_s: int
    identity: str | None = None


class Tokens:
    """Makes and reads the tokens of one key."""

    def __init__(self, key: str | bytes, expire_hours: int) -> None:
        self._key = key
        self._expire_s = expire_hours * _HOUR_S

    def issue(self, subject: str, now_us: int, identity: str | None = None) -> str:
        """A token that is valid from now on."""
        now_s = now_us // SECOND_US
        claims: dict[str, object] = {"sub": subject, "iat": now_s, "exp": now_s + self._expire_s}
        if identity is not None:
            claims["jti"] = identity
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM)

    def read(self, token: str, now_us: int) -> Claims | None:
        """What the token says, or None where it is not one of ours or its time is over."""
        if len(token) > TOKEN_MAX:
            return None
        try:
            # The times are compared here, because the library would read a clock of its own.
            found = jwt.decode(
                token,
                self._key,
                algorithms=[_ALGORITHM],
                options={"require": list(_REQUIRED), "verify_exp": False, "verify_iat": False},
            )
        except (jwt.PyJWTError, ValueError):
            return None
        subject, issued, expires = found["sub"], found["iat"], found["exp"]
        if not isinstance(subject, str) or not _is_time(issued) or not _is_time(expires):
            return None
        now_s = now_us / SECOND_US
        if not issued - _EARLY_S <= now_s < expires:
            return None
        identity = found.get("jti")
        return Claims(subject, int(expires), identity if isinstance(identity, str) else None)


def derived(secret: str, purpose: str) -> bytes:
    """A key of its own for a purpose."""
    return hmac.digest(secret.encode(), purpose.encode(), hashlib.sha256)


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
