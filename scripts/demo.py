"""`scripts/demo`: the whole product with a stand-in upstream, two months of plausible traffic, and more as you watch.

Everything lives in a folder of its own that is gone afterwards (or stays, with `--keep`). The proxy and the service are
the real ones, started by `scripts/serve`; only the upstream is made up.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from metering.clock import now_us
from metering.database import Database
from metering.limiters import Limiter, Limiters
from metering.pricing import PriceBook
from scripts import demo_traffic as traffic
from scripts.demo_traffic import Call, Tenant
from scripts.standin import StandIn, ThreadedStandIn
from scripts.standin_openai import FakeOpenAI

ROOT = Path(__file__).resolve().parents[1]
PASSWORD = "changeme"
_STARTS_WITHIN_S = 60
_ANSWERS_WITHIN_S = 120
_KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "TERM", "PUBLIC_PROXY_URL")
Pairs = Sequence[tuple[Tenant, Limiter]]


@dataclass(frozen=True, slots=True)
class Demo:
    """What is running."""

    folder: Path
    proxy_port: int
    service_port: int
    pairs: Pairs
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.service_port}"


def main() -> int:
    """Run until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="demo", description="Look at the product in one command.")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the database in this folder")
    parser.add_argument("--quiet", action="store_true", help="no live traffic")
    parser.add_argument("--port", type=int, default=8000, help="the proxy's port; default: %(default)s")
    parser.add_argument(
        "--stats-port", type=int, default=3000, help="the dashboard's port; default: %(default)s"
    )
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, _interrupt)
    with contextlib.ExitStack() as stack, contextlib.suppress(KeyboardInterrupt):
        folder = chosen.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="demo-")))
        demo = stack.enter_context(running(folder, chosen.port, chosen.stats_port))
        print(
            f"\nOpen {demo.url} and sign in as admin with the password {PASSWORD}. Ctrl-C ends the demo.\n",
            flush=True,
        )
        if not chosen.quiet:
            stack.enter_context(live_traffic(demo))
        return demo.process.wait()
    return 0


@contextlib.contextmanager
def running(
    folder: Path,
    proxy_port: int,
    service_port: int,
    *,
    tenants: Sequence[Tenant] = traffic.TENANTS,
    days: int = 60,
) -> Iterator[Demo]:
    """Stand-in, database with history, proxy and service; all of it ends with the block."""
    with ThreadedStandIn(FakeOpenAI(pace=_pace)) as upstream:
        upstream.remember = False
        pairs = prepare(folder, upstream, tenants, days)
        process = subprocess.Popen(
            [ROOT / "scripts" / "serve"], cwd=ROOT, env=_settings(folder, proxy_port, service_port)
        )
        try:
            for port in (proxy_port, service_port):
                _wait_for(process, port)
            yield Demo(folder, proxy_port, service_port, pairs, process)
        finally:
            process.terminate()
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()


def prepare(folder: Path, upstream: StandIn, tenants: Sequence[Tenant], days: int) -> Pairs:
    """A database with limiters and their history; a kept one is used as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    database = Database(folder / "usage.db")
    database.migrate()
    limiters = Limiters(database)
    known = {limiter.name: limiter for limiter in limiters.list()}
    if known:
        return [
            (tenant, limiters.update(known[tenant.name].id, base_url=upstream.url))
            for tenant in tenants
            if tenant.name in known
        ]
    print("Making up two months of traffic …", flush=True)
    pairs = traffic.create(limiters, tenants, upstream.url)
    traffic.seed(database, PriceBook.load(ROOT / "pricing.yaml"), pairs, now_us(), days=days)
    traffic.fit(limiters, database, pairs, now_us())
    return pairs


@contextlib.contextmanager
def live_traffic(demo: Demo, callers: int = 4) -> Iterator[None]:
    """Callers who go on until the end of the block."""
    ended = threading.Event()
    active = [(tenant, limiter) for tenant, limiter in demo.pairs if tenant.is_active]
    threads = [
        threading.Thread(
            target=_call_on,
            args=(demo.proxy_port, active, ended, number),
            name=f"caller {number}",
            daemon=True,
        )
        for number in range(callers)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join(5)


def _call_on(port: int, pairs: Pairs, ended: threading.Event, seed: int) -> None:
    chance = random.Random(seed)
    weights = [tenant.calls_a_day for tenant, _ in pairs]
    while not ended.wait(traffic.pause_us(chance) / 1_000_000):
        tenant, limiter = chance.choices(pairs, weights)[0]
        # A proxy that restarts is not the demo's end.
        with contextlib.suppress(OSError, http.client.HTTPException):
            send(port, limiter.code, traffic.one_call(chance, tenant, limiter, now_us()))


def send(port: int, code: str, call: Call) -> int:
    """One call through the proxy; returns the status. Stops reading nothing: a stream is read to its end."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWERS_WITHIN_S)
    headers = {"Authorization": "Bearer sk-demo", "Content-Type": "application/json"}
    with contextlib.closing(connection):
        connection.request("POST", f"/v1/{code}/{call.endpoint}", json.dumps(_body(call)), headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status


def _body(call: Call) -> dict[str, object]:
    """A request for which the stand-in reports the usage of the call: a token for each word."""
    words = "word " * min(call.usage.input_tokens, 20_000)
    asked = {
        "words": str(min(call.usage.output_tokens - call.usage.reasoning_tokens, 3_000)),
        "reasoning": str(call.usage.reasoning_tokens),
        "cached": str(call.usage.cached_tokens),
    }
    body: dict[str, object] = {"model": call.model, "user": call.user}
    if call.endpoint == "embeddings":
        return body | {"input": words}
    body |= {"metadata": asked, "stream": call.streamed}
    if call.endpoint == "responses":
        return body | {"input": words}
    return body | {"messages": [{"role": "user", "content": words}]}


async def _pace(number: int) -> None:
    """A stream takes a few seconds, as a real one does, so that holds can be seen."""
    import asyncio

    await asyncio.sleep(0.5 if number == 0 else 0.004)


def _settings(folder: Path, proxy_port: int, service_port: int) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name in _KEPT} | {
        "HOST": "127.0.0.1",
        "PORT": str(proxy_port),
        "STATS_HOST": "127.0.0.1",
        "STATS_PORT": str(service_port),
        "DATABASE_URL": f"sqlite:{folder / 'usage.db'}",
        "ADMIN_PASSWORD": "",
        "WORKERS": "1",
    }


def _wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    for _ in range(_STARTS_WITHIN_S * 10):
        if process.poll() is not None:
            sys.exit(process.returncode or 1)
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                return
        time.sleep(0.1)
    sys.exit(f"Nothing answers on port {port}.")


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
