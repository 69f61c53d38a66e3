"""The product as its users run it: a real `mitmdump`, the real stats service, one database file.

`Stack.start` launches both as subprocesses with nothing but environment variables, waits until
`/healthz` answers, and hands out an `Admin` that speaks the management API with plain HTTP.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

import httpx
import orjson

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "correct horse battery staple"
PROXY = (str(Path(sys.executable).parent / "mitmdump"), "-s", "addons/limiter.py")
SERVICE = (sys.executable, "-m", "stats_service")


@dataclass(slots=True)
class Admin:
    """The management API as an administrator's program sees it."""

    url: str
    client: httpx.Client
    token: str = ""

    def login(self) -> Self:
        answer = self.client.post(
            f"{self.url}/api/auth/login", json={"username": "admin", "password": PASSWORD}
        )
        self.token = answer.raise_for_status().json()["token"]
        return self

    def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}", "content-type": "application/json"}
        return self.client.request(method, f"{self.url}{path}", headers=headers, **more)

    def create(self, base_url: str, budget: str = "20", **fields: Any) -> Mapping[str, Any]:
        """Create a limiter; `budget` is decimal text, sent as an exact JSON number."""
        body = {"name": "A customer", "period_type": "month", "base_url": base_url, **fields}
        text = orjson.dumps(body | {"budget_limit": orjson.Fragment(budget.encode())})
        return decimal_json(self.call("POST", "/api/limiters", content=text).raise_for_status())

    def update(self, limiter_id: str, **fields: Any) -> Mapping[str, Any]:
        return decimal_json(self.call("PUT", f"/api/limiters/{limiter_id}", json=fields).raise_for_status())

    def stats(self, limiter_id: str) -> Mapping[str, Any]:
        return decimal_json(self.call("GET", f"/api/limiters/{limiter_id}/stats").raise_for_status())

    def usage(self, limiter_id: str) -> list[Mapping[str, Any]]:
        """The newest calls of a limiter, newest first."""
        return decimal_json(self.call("GET", f"/api/limiters/{limiter_id}/usage").raise_for_status())["data"]  # type: ignore[no-any-return]


def decimal_json(answer: httpx.Response) -> Mapping[str, Any]:
    """A JSON body with its numbers exact."""
    return json.loads(answer.text, parse_float=Decimal)  # type: ignore[no-any-return]


@dataclass(slots=True)
class Stack:
    """Two subprocesses on one database below `folder`."""

    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    proxy_port: int = 0
    service_port: int = 0
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def database(self) -> Path:
        return self.folder / "usage.db"

    @property
    def proxy_url(self) -> str:
        return f"http://127.0.0.1:{self.proxy_port}"

    @property
    def service_url(self) -> str:
        return f"http://127.0.0.1:{self.service_port}"

    def base_url(self, limiter: Mapping[str, Any]) -> str:
        return f"{self.proxy_url}/v1/{limiter['code']}"

    def environment(self) -> dict[str, str]:
        kept = {
            name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")
        }
        return kept | {
            "HOST": "127.0.0.1",
            "PORT": str(self.proxy_port),
            "STATS_HOST": "127.0.0.1",
            "STATS_PORT": str(self.service_port),
            "DATABASE_URL": f"sqlite:{self.database}",
            "ADMIN_PASSWORD": PASSWORD,
            "PYTHONUNBUFFERED": "1",
            **self.settings,
        }

    def start(self) -> Self:
        self.proxy_port, self.service_port = free_ports(2)
        # Both at once, as they start under the supervisor.
        self._launch("proxy", PROXY)
        self._launch("service", SERVICE)
        self._wait("proxy", f"{self.proxy_url}/healthz")
        self._wait("service", f"{self.service_url}/healthz")
        return self

    def serve(self) -> Self:
        """Both under our own supervisor, as `scripts/serve` starts them."""
        self.proxy_port, self.service_port = free_ports(2)
        self._launch("serve", (sys.executable, "-O", "-m", "addons.serve"))
        self._wait("serve", f"{self.proxy_url}/healthz")
        self._wait("serve", f"{self.service_url}/healthz")
        return self

    def start_proxy(self) -> None:
        self._launch("proxy", PROXY)
        self._wait("proxy", f"{self.proxy_url}/healthz")

    def start_service(self) -> None:
        self._launch("service", SERVICE)
        self._wait("service", f"{self.service_url}/healthz")

    def stop(self) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            if process.poll() is None:
                process.kill()
                process.wait(10)

    def log(self, name: str) -> str:
        """What a process has printed so far."""
        return (self.folder / f"{name}.log").read_text()

    @contextlib.contextmanager
    def admin(self) -> Iterator[Admin]:
        with httpx.Client(timeout=20) as client:
            yield Admin(self.service_url, client).login()

    def rows(self, sql: str, *arguments: object) -> list[sqlite3.Row]:
        """Read the database itself, as an auditor would."""
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            return connection.execute(sql, arguments).fetchall()

    def at_rest(self, limiter_id: str, admin: Admin) -> Mapping[str, Any]:
        """The stats once every settle that is on its way has been committed."""
        return until(lambda: admin.stats(limiter_id), lambda stats: stats["held"] == 0)

    def _launch(self, name: str, command: Sequence[str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command,
                cwd=ROOT,
                env=self.environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )

    def _wait(self, name: str, url: str) -> None:
        def answered() -> bool:
            if self.processes[name].poll() is not None:
                raise RuntimeError(f"{name} ended at start:\n{self.log(name)}")
            try:
                return httpx.get(url, timeout=2).status_code == 200
            except httpx.TransportError:
                return False

        until(answered, bool, hint=lambda: self.log(name))


def until[T](read: Any, good: Any, *, deadline_s: float = 30, hint: Any = lambda: "") -> T:
    """Read again until the value is good: a condition with a deadline, never a fixed wait."""
    stop = time.monotonic() + deadline_s
    while True:
        value = read()
        if good(value):
            return value  # type: ignore[no-any-return]
        if time.monotonic() > stop:
            raise TimeoutError(f"Still {value!r} after {deadline_s} s. {hint()}")
        time.sleep(0.01)


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
