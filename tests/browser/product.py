"""The real stats service on a database of its own, with a clock that can be moved, and the ledger to make calls with."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import uvicorn

from metering.clock import HOUR_US, now_us
from metering.liveness import Worker
from metering.settings import Settings
from stats_service.app import create_app
from tests.prices import price_book_file
from tests.stats_service.pages_site import PASSWORD, ROOT, Site


class Server(uvicorn.Server):
    """As the product's own, but in a thread, which gets no signals."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.config.app.state.stop_streams()  # type: ignore[union-attr]
        await super().shutdown(sockets)


@dataclass
class Product(Site):
    """The application as `python -m stats_service` has it."""

    url: str = ""
    ahead_us: int = 0
    alive: Worker = field(init=False)

    def __post_init__(self) -> None:
        self.settings = Settings(
            database_path=self.folder / "usage.db",
            pricing_file=ROOT / "pricing.yaml",
            public_proxy_url="http://localhost:8000",
            admin_password=PASSWORD,
        )
        self.app = create_app(self.settings, self.clock, prices=price_book_file())
        parts = self.app.state.parts
        self.database, self.limiters, self.prices = parts.database, parts.limiters, parts.prices
        # The service charges the calls of workers who are dead at their holds.
        self.alive = Worker.start(self.database, "browser")
        self.worker = self.alive.name

    def clock(self) -> int:
        return now_us() + self.ahead_us

    @contextlib.contextmanager
    def later(self, hours: int) -> Iterator[None]:
        """So many hours pass in the service, none in the browser."""
        self.ahead_us = hours * HOUR_US
        try:
            yield
        finally:
            self.ahead_us = 0

    @contextlib.contextmanager
    def served(self, port: int = 0) -> Iterator[str]:
        config = uvicorn.Config(
            self.app, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=5
        )
        server = Server(config)
        listener = config.bind_socket()
        # Whoever comes before the server does waits, and is not refused.
        listener.listen()
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            yield self.url
        finally:
            server.should_exit = True
            thread.join(10)
            listener.close()
            self.alive.stop()

    def price_row(self, model: str) -> str:
        """The key of the price that is in force for a model."""
        row = self.prices.current().find(model, self.clock())
        return row.key if row else ""

    def clear(self) -> None:
        """No limiter is left; what was spent stays in the statistics."""
        for limiter in self.limiters.list():
            self.limiters.delete(limiter.id)
