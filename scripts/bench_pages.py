"""How long the dashboard's pages take and what they weigh: `python -m scripts.bench_pages FILE`.

Starts the stats service on a database with history (`scripts/bench seed FILE` writes one), signs in and asks for every page
several times. `measure` does the same with a service that runs already. Sums that take long are kept for a while, so how
long they take is told apart, and so is the first answer of each page.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode, urlsplit

ROOT = Path(__file__).resolve().parents[1]
USERNAME = "admin"
PASSWORD = "changeme"
WITHIN_MS = 100
BYTES_MAX = 200_000
TIMES = 15
_STARTS_WITHIN_S = 60
_ASSET = re.compile(r'(?:src|href)="(/static/[^"]+)"')
_LIMITER = re.compile(r'href="(/limiters/[0-9a-f-]{36})"')
_CALL = re.compile(r'href="(/limiters/[0-9a-f-]{36}/calls/\d+)"')


@dataclass(frozen=True, slots=True)
class Page:
    """What was seen of a page. Its weight is that of the page and everything that it loads, uncompressed."""

    path: str
    status: int
    bytes: int
    first_ms: float
    median_ms: float
    worst_ms: float

    @property
    def is_within(self) -> bool:
        """Whether it keeps what is promised, the first answer included."""
        return self.status == 200 and self.bytes < BYTES_MAX and max(self.first_ms, self.worst_ms) < WITHIN_MS


def main() -> int:
    """Print the table; the exit code says whether every page is within its limits."""
    parser = argparse.ArgumentParser(
        prog="bench_pages", description="Time and weight of the dashboard's pages."
    )
    parser.add_argument("file", type=Path, help="a database with history")
    parser.add_argument("--times", type=int, default=TIMES, help="how often each page is asked for")
    chosen = parser.parse_args()
    with service(chosen.file) as address:
        print(
            f"Sums added up once after the start, beside the work: {warm_up(address, USERNAME, PASSWORD):.1f} s.\n"
        )
        pages = measure(address, USERNAME, PASSWORD, chosen.times)
    for line in table(pages):
        print(line, flush=True)
    return 0 if all(page.is_within for page in pages) else 1


def table(pages: Sequence[Page]) -> Iterator[str]:
    """The lines of a table in Markdown."""
    yield "| page | first ms | median ms | worst ms | kB with all it loads |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    for page in pages:
        mark = "" if page.is_within else " (!)"
        times = f"{page.first_ms:.1f} | {page.median_ms:.1f} | {page.worst_ms:.1f}"
        yield f"| `{page.path}`{mark} | {times} | {page.bytes / 1000:.0f} |"


def warm_up(address: str, username: str, password: str) -> float:
    """Look at the list, which starts the adding up of the ranges that can be clicked, and wait for them: seconds."""
    with contextlib.closing(Visitor(address)) as visitor:
        visitor.sign_in(username, password)
        began = time.perf_counter()
        for path in ("/", *(path for path in _LISTS if path.startswith("/statistics"))):
            visitor.get(path)
        return time.perf_counter() - began


def measure(address: str, username: str, password: str, times: int = TIMES) -> list[Page]:
    """Every page of the service at that address. The limiter that is looked at is the one that has spent the most."""
    with contextlib.closing(Visitor(address)) as visitor:
        visitor.sign_in(username, password)
        seen = [_seen(visitor, path, times) for path in _LISTS]
        limiter = _found(_LIMITER, visitor.get("/?sort=spent")[1])
        seen += [_seen(visitor, limiter + more, times) for more in _OF_A_LIMITER]
        call = _found(_CALL, visitor.get(limiter)[1])
        return [*seen, _seen(visitor, call, times)]


@dataclass(slots=True)
class Visitor:
    """A browser without eyes: one connection, one cookie."""

    address: str
    cookie: str = ""
    connection: http.client.HTTPConnection = field(init=False)
    assets: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        place = urlsplit(self.address)
        self.connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)

    def sign_in(self, username: str, password: str) -> None:
        """Exits where the password is wrong."""
        body = urlencode({"username": username, "password": password})
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        self.connection.request("POST", "/login", body, headers)
        answer = self.connection.getresponse()
        answer.read()
        if answer.status != 303:
            sys.exit(f"Signing in was answered with {answer.status}.")
        self.cookie = answer.headers.get("Set-Cookie", "").partition(";")[0]

    def get(self, path: str) -> tuple[int, str]:
        self.connection.request("GET", path, headers={"Cookie": self.cookie})
        answer = self.connection.getresponse()
        return answer.status, answer.read().decode()

    def weight(self, page: str) -> int:
        """Bytes of a page and of the files that it names."""
        for asset in _ASSET.findall(page):
            if asset not in self.assets:
                self.assets[asset] = len(self.get(asset)[1].encode())
        return len(page.encode()) + sum(self.assets[asset] for asset in set(_ASSET.findall(page)))

    def close(self) -> None:
        self.connection.close()


def _seen(visitor: Visitor, path: str, times: int) -> Page:
    took = []
    status, text = 0, ""
    for _ in range(times + 1):
        began = time.perf_counter()
        status, text = visitor.get(path)
        took.append((time.perf_counter() - began) * 1000)
    first, *others = took
    shown = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "…", path)
    return Page(shown, status, visitor.weight(text), first, statistics.median(others), max(others))


def _found(pattern: re.Pattern[str], page: str) -> str:
    found = pattern.search(page)
    if found is None:
        sys.exit("The database has no limiter with calls.")
    return found[1]


@contextlib.contextmanager
def service(database: Path) -> Iterator[str]:
    """The stats service alone on this database, with the default password; yields its address."""
    from scripts.demo import free_port

    port = free_port()
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TMPDIR"}}
    settings = {
        "STATS_HOST": "127.0.0.1",
        "STATS_PORT": str(port),
        "DATABASE_URL": f"sqlite:{database.resolve()}",
        "LOG_LEVEL": "error",
    }
    command = [sys.executable, "-O", "-m", "stats_service"]
    process = subprocess.Popen(command, cwd=ROOT, env=kept | settings)
    try:
        _wait(process, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    for _ in range(_STARTS_WITHIN_S * 20):
        if process.poll() is not None:
            sys.exit("The service has ended.")
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            with contextlib.closing(connection):
                connection.request("GET", "/healthz")
                if connection.getresponse().status == 200:
                    return
        time.sleep(0.05)
    sys.exit(f"Nothing answers on port {port}.")


_LISTS = (
    "/", "/?view=table&sort=usage", "/?q=Customer+01&status=active", "/?page=20&sort=name", "/limiters/new",
    "/statistics", "/statistics?by=model", "/statistics?by=user", "/statistics?range=today", "/statistics?range=7d",
    "/statistics?range=90d", "/statistics?range=365d", "/statistics?users_page=40&users_sort=requests", "/prices", "/prices?q=gpt-4o",
)  # fmt: skip
_OF_A_LIMITER = ("", "?by=hour", "?by=month", "/stats", "/connect", "/edit", "/delete", "/rotate-code")


if __name__ == "__main__":
    sys.exit(main())
