"""The one administrator: is this he? In memory there is only a hash of his password.

Name and password are always both compared, so that the time of an answer tells nothing about either.
"""

import hmac
import threading

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from metering.settings import DEFAULT_PASSWORD, Settings

# The smallest parameters that OWASP recommends: the hash never leaves this process, and each attempt takes its memory.
_MEMORY_KIB = 19 * 1024
_ROUNDS = 2
_AT_ONCE = 4
PASSWORD_MAX = 1_024


class Admin:
    """Compares what was typed. Slow on purpose; used by any thread."""

    def __init__(self, settings: Settings) -> None:
        self.username = settings.admin_username
        self._hasher = PasswordHasher(time_cost=_ROUNDS, memory_cost=_MEMORY_KIB, parallelism=1)
        self._hash = self._hasher.hash(settings.admin_password or DEFAULT_PASSWORD)
        self._at_once = threading.BoundedSemaphore(_AT_ONCE)

    def is_it(self, username: str, password: str) -> bool:
        """Whether both are right."""
        if len(password) > PASSWORD_MAX:
            return False
        with self._at_once:
            is_right = self._verifies(password)
        named = username.encode("utf-8", "surrogatepass")
        return hmac.compare_digest(named, self.username.encode()) and is_right

    def _verifies(self, password: str) -> bool:
        try:
            return self._hasher.verify(self._hash, password.encode("utf-8", "surrogatepass"))
        except VerificationError:
            return False
