"""The whole service on a database of its own, with a clock that tests move, and the ledger that a proxy would write."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
from starlette.applications import Starlette
from starlette.testclient import TestClient

from metering.clock import parse_time
from metering.database import Database
from metering.entries import Admission, Admitted, Settlement
from metering.ledger import Ledger
from metering.limiters import Limiters
from metering.liveness import Worker
from metering.money import NANO
from metering.settings import Settings
from metering.usage import Usage
from stats_service.app import create_app
from tests.prices import price_book_file

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "correct horse battery staple"
SECRET = "0123456789abcdef0123456789abcdef-of-the-tests"
NOON = parse_time("2026-11-24T12:00:00Z")
USAGE = Usage(input_tokens=1_000, cached_tokens=100, output_tokens=200, reasoning_tokens=50)


def settings_in(folder: Path, **more: Any) -> Settings:
    """Settings that are safe to serve with."""
    known = Settings(
        database_path=folder / "usage.db",
        pricing_file=ROOT / "pricing.yaml",
        port=8000,
        public_proxy_url="http://localhost:8000",
        admin_password=PASSWORD,
        jwt_secret=SECRET,
    )
    return replace(known, **more)


@dataclass
class Service:
    """Its clients come from `client`; time stands still unless a test moves it."""

    folder: Path
    changes: Mapping[str, Any] = field(default_factory=dict)
    now: int = NOON
    settings: Settings = field(init=False)
    app: Starlette = field(init=False)
    worker: Worker | None = None
    clients: int = 0

    def __post_init__(self) -> None:
        self.settings = settings_in(self.folder, **self.changes)
        self.app = create_app(self.settings, lambda: self.now, prices=price_book_file())

    @property
    def database(self) -> Database:
        return Database(self.settings.database_path)

    @property
    def limiters(self) -> Limiters:
        return Limiters(self.database, lambda: self.now)

    @contextlib.contextmanager
    def client(self, address: str = "127.0.0.1", base_url: str = "http://localhost") -> Iterator[TestClient]:
        """Somebody who has not signed in, with the lifespan running."""
        self.worker = self.worker or Worker.start(self.database, "proxy")
        self.clients += 1
        try:
            with TestClient(
                self.app,
                base_url=base_url,
                follow_redirects=False,
                client=(address, 50_000),
                raise_server_exceptions=False,
            ) as client:
                yield client
        finally:
            self.clients -= 1
            if not self.clients:
                self.worker.stop()
                self.worker = None

    @contextlib.contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """The books of a proxy that lives as long as the clients do: the service expires what the dead hold."""
        assert self.worker is not None
        with Ledger(self.database, self.worker.name) as ledger:
            yield ledger

    def hold(self, limiter_id: str, nanousd: int = NANO, at_us: int | None = None, **more: Any) -> int:
        """A call in flight; returns its id."""
        limiter = self.limiters.get(limiter_id)
        call = Admission(
            limiter_key=limiter.key,
            limiter_version=limiter.version,
            hold_nanousd=nanousd,
            mode="observe",
            **{
                "user": "ann",
                "model": "gpt-4o",
                "endpoint": "chat/completions",
                "price_row": "gpt-4o",
                **more,
            },
        )
        with self.ledger() as ledger:
            answer = ledger.admit(call, self.now if at_us is None else at_us)
        assert isinstance(answer, Admitted)
        return answer.request_id

    def spend(self, limiter_id: str, nanousd: int = NANO, at_us: int | None = None, **more: Any) -> int:
        """A call that was charged; returns its id."""
        at_us = self.now if at_us is None else at_us
        settled = Settlement(
            request_id=self.hold(limiter_id, nanousd, at_us, **more),
            cost_nanousd=nanousd,
            basis="reported",
            usage=USAGE,
            status=200,
            model_served=f"{more.get('model', 'gpt-4o')}-2024-08-06",
        )
        with self.ledger() as ledger:
            ledger.settle(settled, at_us + 1_500_000)
        return settled.request_id

    def release(self, limiter_id: str) -> int:
        """A call that consumed nothing; returns its id."""
        request_id = self.hold(limiter_id)
        with self.ledger() as ledger:
            ledger.release(request_id, 500, self.now)
        return request_id


def login(client: TestClient, password: str = PASSWORD, username: str = "admin") -> httpx2.Response:
    return client.post("/api/auth/login", json={"username": username, "password": password})


def signed_in(client: TestClient) -> TestClient:
    """The same client, with a token in each of its requests from now on."""
    answer = login(client)
    assert answer.status_code == 200, answer.text
    client.headers["authorization"] = f"Bearer {answer.json()['token']}"
    return client


def exact(answer: httpx2.Response) -> Any:
    """The body with its numbers as they are written."""
    return json.loads(answer.text, parse_float=Decimal)


def create(client: TestClient, budget: str = "20", **fields: Any) -> dict[str, Any]:
    """A limiter; `budget` is the text of a JSON number."""
    body = json.dumps({"name": "Customer A", "period_type": "day", **fields})
    answer = client.post("/api/limiters", content=f'{body[:-1]}, "budget_limit": {budget}}}')
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = exact(answer)
    return found


def refused(answer: httpx2.Response, status: int, code: str, field: str | None = None) -> str:
    """Check the one shape of errors; returns the message."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert list(body) == ["error"]
    assert body["error"]["code"] == code
    assert body["error"].get("field") == field
    assert set(body["error"]) == ({"code", "message"} if field is None else {"code", "message", "field"})
    assert body["error"]["message"].endswith(".")
    return str(body["error"]["message"])
