"""Signing in: the password against the throttle, for the pages and the API alike, and the tokens of the API."""

from starlette.requests import HTTPConnection

from metering.clock import Clock
from metering.settings import Settings
from stats_service.admin import Admin
from stats_service.callers import address_of
from stats_service.pages.needs import Verdict
from stats_service.throttle import Throttle
from stats_service.tokens import Tokens

_SCHEME = "bearer"


class Auth:
    """Used by any thread."""

    def __init__(self, settings: Settings, secret: str, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._admin = Admin(settings)
        self._throttle = Throttle()
        self._tokens = Tokens(secret, settings.jwt_expire_hours)

    def check(self, request: HTTPConnection, username: str, password: str) -> Verdict:
        """Whether the password is right. Takes some hundredths of a second, so it runs in a thread."""
        address = address_of(request, self._settings.trusted_proxies)
        now_us = self._clock()
        if not self._throttle.begin(address, now_us):
            return "throttled"
        if not self._admin.is_it(username, password):
            return "wrong"
        self._throttle.succeeded(address, now_us)
        return "welcome"

    def wait_s(self, request: HTTPConnection) -> int:
        """Seconds until a throttled address may try again."""
        return self._throttle.wait_s(address_of(request, self._settings.trusted_proxies), self._clock())

    def issue(self, username: str) -> str:
        """A token of the API."""
        return self._tokens.issue(username, self._clock())

    def username_of(self, request: HTTPConnection) -> str | None:
        """Whose token the request carries, or None where it carries none that is valid."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != _SCHEME:
            return None
        claims = self._tokens.read(token.strip(), self._clock())
        # Whoever was the administrator under another name is not so any more.
        return claims.subject if claims and claims.subject == self._admin.username else None
