"""The dashboard on a database of its own, with the plainest sessions there can be: for tests of pages, not of signing in."""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from metering.clock import now_us
from metering.database import Database
from metering.entries import Admission, Admitted, Settlement
from metering.ledger import Ledger
from metering.limiters import Limiter, Limiters
from metering.money import NANO
from metering.pricing import PriceBookFile
from metering.settings import Settings
from metering.usage import Usage
from stats_service.pages import fault_page, routes
from stats_service.pages.needs import Verdict
from stats_service.sums import RangeReader
from tests.prices import price_book_file

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "open sesame"
POLICY = "default-src 'self'"


@dataclass(frozen=True)
class PlainSession:
    username: str
    csrf: str


class PlainSessions:
    """A cookie and a dictionary; five wrong passwords are enough."""

    def __init__(self) -> None:
        self.known: dict[str, PlainSession] = {}
        self.wrong = 0

    def of(self, request: Request) -> PlainSession | None:
        return self.known.get(request.cookies.get("session", ""))

    def is_own_form(self, request: Request, typed: Mapping[str, str]) -> bool:
        session = self.of(request)
        return session is None or secrets.compare_digest(typed.get("csrf", ""), session.csrf)

    def check(self, request: Request, username: str, password: str) -> Verdict:
        if self.wrong >= 5:
            return "throttled"
        if (username, password) == ("admin", PASSWORD):
            return "welcome"
        self.wrong += 1
        return "wrong"

    def begin(self, request: Request, response: Response, username: str) -> None:
        key = secrets.token_hex(16)
        self.known[key] = PlainSession(username, secrets.token_hex(16))
        response.set_cookie("session", key, httponly=True, samesite="lax")

    def end(self, request: Request, response: Response) -> None:
        self.known.pop(request.cookies.get("session", ""), None)
        response.delete_cookie("session")


@dataclass
class Site:
    """Services for the pages, and the few things that tests do to them."""

    folder: Path
    now: int | None = None
    database: Database = field(init=False)
    limiters: Limiters = field(init=False)
    settings: Settings = field(init=False)
    worker: str = "worker"
    sessions: PlainSessions = field(default_factory=PlainSessions)
    prices: PriceBookFile = field(init=False)
    ranges: RangeReader = field(init=False)
    app: Starlette = field(init=False)

    def __post_init__(self) -> None:
        self.database = Database(self.folder / "usage.db")
        self.database.migrate(self.clock)
        self.limiters = Limiters(self.database, self.clock)
        self.ranges = RangeReader(self.database)
        self.settings = Settings(
            database_path=self.folder / "usage.db",
            pricing_file=ROOT / "pricing.yaml",
            public_proxy_url="http://localhost:8000",
            admin_password=PASSWORD,
        )
        self.prices = price_book_file()
        self.app = Starlette(
            routes=routes(self),
            middleware=[Middleware(Policy)],
            exception_handlers={404: lambda request, _: fault_page(request, 404)},
        )

    def clock(self) -> int:
        return now_us() if self.now is None else self.now

    def create(self, name: str = "Acme", budget: str = "20", period: str = "day", **more: object) -> Limiter:
        return self.limiters.create(name=name, budget_limit=Decimal(budget), period_type=period, **more)

    def hold(
        self,
        limiter: Limiter,
        nanousd: int = NANO,
        *,
        at_us: int | None = None,
        user: str = "ann",
        model: str = "gpt-4o",
        price_row: str = "",
    ) -> int:
        """A call in flight; returns its id."""
        at_us = self.clock() if at_us is None else at_us
        call = Admission(
            limiter_key=limiter.key,
            limiter_version=self.limiters.get(limiter.id).version,
            user=user,
            model=model,
            endpoint="chat/completions",
            hold_nanousd=nanousd,
            mode="observe",
            price_row=price_row or model,
        )
        with Ledger(self.database, self.worker) as ledger:
            answer = ledger.admit(call, at_us)
        assert isinstance(answer, Admitted)
        return answer.request_id

    def spend(
        self,
        limiter: Limiter,
        nanousd: int = NANO,
        *,
        at_us: int | None = None,
        basis: str = "reported",
        usage: Usage | None = None,
        **more: str,
    ) -> int:
        """A call that was charged; returns its id."""
        at_us = self.clock() if at_us is None else at_us
        request_id = self.hold(limiter, nanousd, at_us=at_us, **more)
        settled = Settlement(
            request_id=request_id,
            cost_nanousd=nanousd,
            basis=basis,  # type: ignore[arg-type]
            usage=usage or Usage(input_tokens=1_000, output_tokens=200),
            status=200,
        )
        with Ledger(self.database, self.worker) as ledger:
            ledger.settle(settled, at_us + 1_500_000)
        return request_id

    @contextlib.contextmanager
    def served(self, port: int = 0) -> Iterator[str]:
        """On a free loopback port; yields the address."""
        config = uvicorn.Config(
            self.app, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        socket = config.bind_socket()
        # Whoever comes before the server does waits, and is not refused.
        socket.listen()
        thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{socket.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)
            socket.close()


class Policy:
    """The Content-Security-Policy that the service sends with every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((b"content-security-policy", POLICY.encode()))
            await send(message)

        await self.app(scope, receive, with_policy)
