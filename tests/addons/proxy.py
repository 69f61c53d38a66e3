"""The proxy in this process: a real mitmproxy of ours on a free port, a real database, and a clock that the test turns."""

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

from addons.limiter import Limiter as Addon
from addons.running import Running
from addons.sockets import bind, port_of
from addons.worker import Proxy
from metering.clock import parse_time
from metering.database import Database
from metering.limiters import Limiter, Limiters
from metering.settings import Settings
from metering.windows import WindowFigures, read_window
from scripts.standin import StandIn
from tests.addons.wire import Connection, Reply, chat, connected

PRICES = Path(__file__).with_name("prices.yaml")


class Proxied:
    """One proxy process without the process. Change `settings` before it is entered."""

    def __init__(self, folder: Path) -> None:
        self.now_us = parse_time("2026-11-24T08:30:00Z")
        self.settings = Settings(
            database_path=folder / "usage.db",
            pricing_file=PRICES,
            host="127.0.0.1",
            port=0,
            shutdown_grace_s=5,
            trusted_proxies=(),
            log_level="error",
        )
        self.database = Database(self.settings.database_path)
        self.limiters = Limiters(self.database, self.clock)
        self.port = 0
        self._ended: asyncio.Task[None] | None = None

    def clock(self) -> int:
        return self.now_us

    def at(self, text: str) -> None:
        """Turn the clock."""
        self.now_us = parse_time(text)

    def set(self, **settings: Any) -> None:
        """Change settings of a proxy that does not run yet."""
        self.settings = replace(self.settings, **settings)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Open the doors."""
        self.database.migrate(self.clock)
        root = logging.getLogger()
        self._logging = root.level, root.handlers[:]
        sockets = bind(self.settings.host, 0)
        self.port = port_of(sockets[0])
        self.master = Proxy(self.settings, sockets, self.clock)
        addon = self.master.addons.get("limiter")
        if not isinstance(addon, Addon):
            raise TypeError("the addon is not there")
        self.addon = addon
        self._ended = asyncio.create_task(self.master.run())
        health = asyncio.create_task(
            self.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        )
        await asyncio.wait([self._ended, health], return_when=asyncio.FIRST_COMPLETED)
        if self._ended.done():
            health.cancel()
            self._ended.result()
        await health

    async def stop(self) -> None:
        """As SIGTERM does."""
        if self._ended is not None:
            self.master.shutdown()
            await self._ended
            self._ended = None
            root = logging.getLogger()
            root.level, root.handlers[:] = self._logging

    @property
    def run(self) -> Running:
        """What the process keeps."""
        return self.addon.run

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Let the loop run until something is so."""
        async with asyncio.timeout(20):
            while not is_so():
                await asyncio.sleep(0.001)

    def limiter(self, upstream: StandIn | str, budget: object = 1, **fields: object) -> Limiter:
        """A limiter; its budget in dollars or decimal text."""
        url = upstream if isinstance(upstream, str) else upstream.url
        amount = Decimal(budget) if isinstance(budget, str) else budget
        named = {"name": "Customer A", "period_type": "day", "base_url": url, **fields}
        return self.limiters.create(budget_limit=amount, **named)

    def connected(self) -> contextlib.AbstractAsyncContextManager[Connection]:
        """A client's connection."""
        return connected(self.port)

    async def send(self, data: bytes, *, has_body: bool = True) -> Reply:
        """Send bytes on a connection of their own, and read one answer."""
        async with self.connected() as client:
            # Who is refused early may not get everything sent.
            with suppress(ConnectionError):
                await client.send(data)
            return await client.reply(has_body=has_body)

    async def chat(self, limiter: Limiter, *headers: str, **fields: object) -> Reply:
        """Make a chat call."""
        return await self.send(chat(limiter.code, *headers, **fields))

    def window(self, limiter: Limiter) -> WindowFigures:
        """The figures of the current window, as stored."""
        with closing(self.database.open_reader()) as connection:
            period = self.limiters.get(limiter.id).period
            return read_window(connection, limiter.key, period, self.now_us)

    def rows(self, columns: str = "*") -> list[sqlite3.Row]:
        """All requests, oldest first."""
        return self.query(f"select {columns} from requests order by id")

    def query(self, sql: str) -> list[sqlite3.Row]:
        """What the database holds."""
        with closing(self.database.open_reader()) as connection:
            connection.row_factory = sqlite3.Row
            return connection.execute(sql).fetchall()

    async def at_rest(self, limiter: Limiter) -> WindowFigures:
        """The figures once nothing is on its way any more."""
        await self.until(lambda: self.is_at_rest())
        return self.window(limiter)

    def is_at_rest(self) -> bool:
        """Whether no call holds money."""
        return not self.query("select 1 from requests where state = 'held' limit 1")

    async def row(self) -> sqlite3.Row:
        """The only request there is, once it is resolved."""
        await self.until(self.is_at_rest)
        (row,) = self.rows()
        return row

    def refusals(self) -> dict[str, int]:
        """How many refusals there were, by code, as far as they are written."""
        return {
            row["code"]: row["count"]
            for row in self.query("select code, sum(count) count from refusals group by code")
        }
