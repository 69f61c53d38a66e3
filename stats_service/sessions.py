"""Sessions of the pages: a signed cookie that no script can read, and a token that each form of a session carries.

A form from before signing in has no token: there the browser says which site it came from. A session that was ended is
remembered until its time is over, so that a stolen cookie ends with it.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from metering.clock import Clock
from metering.settings import Settings
from stats_service.auth import Auth
from stats_service.callers import is_https
from stats_service.ended import EndedSessions
from stats_service.pages.needs import Verdict
from stats_service.tokens import Tokens, derived

COOKIE = "usage_limiter_session"
_LOGIN = "/login"


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who is signed in."""

    username: str
    csrf: str
    identity: str
    expires_s: int


class CookieSessions:
    """Used by any thread."""

    def __init__(
        self, settings: Settings, secret: str, auth: Auth, clock: Clock, ended: EndedSessions
    ) -> None:
        self._settings = settings
        self._auth = auth
        self._clock = clock
        # Whoever changes the password wants those out who knew the old one.
        sessions = derived(secret, "sessions of the pages").hex()
        self._tokens = Tokens(derived(sessions, settings.admin_password or ""), settings.jwt_expire_hours)
        self._csrf_key = derived(secret, "forms of the pages")
        self._ended = ended

    def of(self, request: Request) -> SignedIn | None:
        """The session of the request's cookie, or None where there is none, or it is over."""
        claims = self._tokens.read(request.cookies.get(COOKIE, ""), self._clock())
        if claims is None or claims.identity is None or claims.subject != self._settings.admin_username:
            return None
        if claims.identity in self._ended:
            return None
        csrf = hmac.new(self._csrf_key, claims.identity.encode(), hashlib.sha256).hexdigest()
        return SignedIn(claims.subject, csrf, claims.identity, claims.expires_s)

    def is_own_form(self, request: Request, typed: Mapping[str, str]) -> bool:
        """Whether a form is one of this session; before signing in, whether it came from this site."""
        session = self.of(request)
        # The form of the login is older than the session that another tab may have begun since.
        if session is None or request.url.path == _LOGIN:
            return is_same_site(request)
        return hmac.compare_digest(typed.get("csrf", "").encode("utf-8", "replace"), session.csrf.encode())

    def check(self, request: Request, username: str, password: str) -> Verdict:
        """Whether the password is right. Slow on purpose, so it runs in a thread."""
        return self._auth.check(request, username, password)

    def begin(self, request: Request, response: Response, username: str) -> None:
        """Sign in: set the cookie."""
        token = self._tokens.issue(username, self._clock(), secrets.token_urlsafe(18))
        response.set_cookie(
            COOKIE,
            token,
            max_age=self._settings.jwt_expire_hours * 3600,
            path="/",
            httponly=True,
            samesite="lax",
            secure=is_https(request, self._settings.trusted_proxies),
        )

    def end(self, request: Request, response: Response) -> None:
        """Sign out: take the cookie away, and never take it again. Waits for the disk, so it runs in a thread."""
        session = self.of(request)
        if session is not None:
            self._ended.add(session.identity, session.expires_s)
        response.delete_cookie(
            COOKIE,
            path="/",
            httponly=True,
            samesite="lax",
            secure=is_https(request, self._settings.trusted_proxies),
        )


def is_same_site(request: HTTPConnection) -> bool:
    """Whether the browser says that a request came from this site, or it is no browser's.

    Old browsers, and all of them on plain http, name the origin alone; programs name neither.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc.lower() == request.headers.get("host", "").lower()
