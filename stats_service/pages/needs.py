"""What the pages need of the service around them. The application hands in one object that has all of it."""

from collections.abc import Mapping
from typing import Literal, Protocol

from starlette.requests import Request
from starlette.responses import Response

from metering.clock import Clock
from metering.database import Database
from metering.errors import PriceBookError
from metering.limiters import Limiters
from metering.pricing import PriceBook
from metering.settings import Settings
from stats_service.sums import RangeReader

Verdict = Literal["welcome", "wrong", "throttled"]


class Session(Protocol):
    """Who is signed in."""

    @property
    def username(self) -> str: ...

    @property
    def csrf(self) -> str:
        """What each form of this session carries."""
        ...


class Sessions(Protocol):
    """Signing in and out by cookie."""

    def of(self, request: Request) -> Session | None:
        """The session of the request's cookie, or None where there is none, or it has expired."""
        ...

    def is_own_form(self, request: Request, typed: Mapping[str, str]) -> bool:
        """Whether a form came from a page of this session; before signing in, whether it came from this site."""
        ...

    def check(self, request: Request, username: str, password: str) -> Verdict:
        """Whether the password is right. Slow on purpose, so it runs in a thread."""
        ...

    def begin(self, request: Request, response: Response, username: str) -> None:
        """Sign in: set the cookie."""
        ...

    def end(self, request: Request, response: Response) -> None:
        """Sign out: take the cookie away. May wait for the disk, so it runs in a thread."""
        ...


class Prices(Protocol):
    """The price book in force."""

    def current(self) -> PriceBook: ...

    @property
    def fault(self) -> PriceBookError | None:
        """Why the file as it is now is not the book in force."""
        ...


class Services(Protocol):
    """The service as the pages see it."""

    @property
    def clock(self) -> Clock: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def database(self) -> Database: ...
    @property
    def limiters(self) -> Limiters: ...
    @property
    def prices(self) -> Prices: ...
    @property
    def sessions(self) -> Sessions: ...
    @property
    def ranges(self) -> RangeReader: ...
