"""What the benchmark runs: the upstream, the proxies under test, and `wrk` against them.

Every figure is read from outside: requests and latency from `wrk`, CPU time and memory of the
proxy's processes from `/proc`. The upstream is a stand-in in a process of its own, without
remembering anything.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy under test: the process to measure (with its children) and the URL to load."""

    process: subprocess.Popen[bytes]
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What `wrk` saw in one run, and what the proxy spent on it."""

    per_second: float
    p50_ms: float
    p99_ms: float
    requests: int
    failed: int
    cpu_us_per_call: float
    memory_mb: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One kind of call: streamed or not, how large the request body is."""

    name: str
    stream: bool
    body_bytes: int

    def body(self) -> str:
        """A chat call whose one message fills the body up to `body_bytes`."""
        ask = {
            "model": "gpt-4o-mini",
            "stream": self.stream,
            "max_tokens": 64,
            "messages": [{"role": "user", "content": ""}],
        }
        ask["messages"] = [
            {"role": "user", "content": "word " * ((self.body_bytes - len(json.dumps(ask))) // 5)}
        ]
        return json.dumps(ask)


def run_wrk(proxy: Proxy, shape: Shape, *, connections: int, seconds: float) -> Load:
    """Load the proxy with `wrk` and read what it cost. Raises RuntimeError when `wrk` prints no result."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write('wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\n')
        script.write('wrk.headers["Authorization"] = "Bearer sk-bench"\n')
        script.write(f"wrk.body = {json.dumps(shape.body())}\n")
        script.flush()
        before = cpu_s(proxy.process.pid)
        command = [
            "wrk",
            "-t1",
            f"-c{connections}",
            f"-d{seconds:g}s",
            "--timeout",
            "10s",
            "--latency",
            "-s",
            script.name,
        ]
        run = subprocess.run(
            [*command, f"{proxy.url}/chat/completions"],
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        spent = cpu_s(proxy.process.pid) - before
    return _parse(run.stdout, spent, memory_mb(proxy.process.pid))


def _parse(text: str, spent_s: float, memory: float) -> Load:
    def latency(percent: str) -> float:
        found = re.search(rf"{percent}%\s+([\d.]+)(us|ms|s)\b", text)
        if found is None:
            raise RuntimeError(f"wrk printed no latency:\n{text}")
        return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2]]

    total = re.search(r"(\d+) requests in", text)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    if total is None or rate is None:
        raise RuntimeError(f"wrk printed no result:\n{text}")
    failed = sum(int(number) for number in re.findall(r"Non-2xx or 3xx responses: (\d+)", text))
    failed += sum(int(number) for number in re.findall(r"(?:connect|read|write|timeout) (\d+)", text))
    requests = int(total[1])
    return Load(
        per_second=float(rate[1]),
        p50_ms=latency("50"),
        p99_ms=latency("99"),
        requests=requests,
        failed=failed,
        cpu_us_per_call=spent_s / max(1, requests) * 1e6,
        memory_mb=memory,
    )


@contextlib.contextmanager
def upstream(*, words: int = 16, pace_ms: float = 0) -> Iterator[str]:
    """The stand-in upstream as a process of its own; yields its URL."""
    port = free_port()
    command = [sys.executable, "-m", "scripts.bench_upstream", str(port), str(words), str(pace_ms)]
    with running(command, {}, port) as process:
        yield f"http://127.0.0.1:{port}"
        process.terminate()


@contextlib.contextmanager
def stock(upstream_url: str) -> Iterator[Proxy]:
    """`mitmdump -q` in reverse mode without any addon: what everything is compared with."""
    port = free_port()
    command = [str(BIN / "mitmdump"), "-q", "--mode", f"reverse:{upstream_url}", "-p", str(port)]
    with (
        tempfile.TemporaryDirectory() as own,
        running([*command, "--set", f"confdir={own}"], {}, port) as process,
    ):
        yield Proxy(process, f"http://127.0.0.1:{port}/v1")


@contextlib.contextmanager
def literal(upstream_url: str, folder: Path) -> Iterator[Proxy]:
    """`mitmdump -s addons/limiter.py`, nothing else."""
    port = free_port()
    code = create_limiter(folder, upstream_url)
    with running(
        [str(BIN / "mitmdump"), "-s", "addons/limiter.py"], _settings(folder, port), port
    ) as process:
        yield Proxy(process, f"http://127.0.0.1:{port}/v1/{code}")


@contextlib.contextmanager
def served(upstream_url: str, folder: Path, workers: int, *, service: bool = True) -> Iterator[Proxy]:
    """`scripts/serve` with so many workers; the stats service beside it, where there is one, is not loaded."""
    port = free_port()
    code = create_limiter(folder, upstream_url)
    settings = _settings(folder, port) | {"WORKERS": str(workers), "STATS_PORT": str(free_port())}
    command = [sys.executable, "-O", "-m", "addons.serve", *([] if service else ["--proxy-only"])]
    with running(command, settings, port) as process:
        # The supervisor listens before its workers can answer.
        until_healthy(port)
        yield Proxy(process, f"http://127.0.0.1:{port}/v1/{code}")


def create_limiter(folder: Path, upstream_url: str) -> str:
    """A limiter with an endless budget in the folder's database; returns its code."""
    from metering.clock import now_us
    from metering.database import Database
    from metering.limiters import Limiters

    database = Database(folder / "usage.db")
    database.migrate()
    limiter = Limiters(database, now_us).create(
        name="bench", budget_limit=1_000_000_000, period_type="month", base_url=upstream_url
    )
    return limiter.code


def require_wrk() -> None:
    """Install `wrk` where the machine lets us, or say what to do."""
    if shutil.which("wrk"):
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "-y", "-q", "wrk"], check=False, stdout=subprocess.DEVNULL)
    if not shutil.which("wrk"):
        sys.exit("The benchmark needs wrk: install it with your package manager and run again.")


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    found = [int(child) for child in children.read_text().split()] if children.exists() else []
    return [pid, *(one for child in found for one in family(child))]


def cpu_s(pid: int) -> float:
    """User and system time that a process family has spent so far."""
    total = 0.0
    for one in family(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            total += (int(fields[11]) + int(fields[12])) * TICK_S
    return total


def memory_mb(pid: int) -> float:
    """Resident memory of a process family."""
    total = 0
    for one in family(pid):
        with contextlib.suppress(OSError):
            found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{one}/status").read_text())
            total += int(found[1]) if found else 0
    return total / 1024


def _settings(folder: Path, port: int) -> dict[str, str]:
    return {
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "STATS_HOST": "127.0.0.1",
        "DATABASE_URL": f"sqlite:{folder / 'usage.db'}",
        "LOG_LEVEL": "warning",
        "MAX_REQUESTS_PER_CONNECTION": "1000000",
    }


@contextlib.contextmanager
def running(
    command: Sequence[str], settings: Mapping[str, str], port: int
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that listens on `port` for as long as the block lasts."""
    process = subprocess.Popen(
        command, cwd=ROOT, env=os.environ | settings, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    try:
        _until_listening(process, port)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def until_healthy(port: int) -> None:
    """Wait until `/healthz` answers. Raises RuntimeError when it does not within 30 s."""
    stop = time.monotonic() + 30
    while time.monotonic() < stop:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
            connection.request("GET", "/healthz")
            with connection.getresponse() as answer:
                if answer.status == HTTPStatus.OK:
                    return
        time.sleep(0.05)
    raise RuntimeError(f"Nothing on port {port} was healthy within 30 s.")


def _until_listening(process: subprocess.Popen[bytes], port: int) -> None:
    stop = time.monotonic() + 30
    while time.monotonic() < stop:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended at start with {process.returncode}.")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"{process.args!r} did not listen on {port} within 30 s.")
