"""The benchmark: figures as ratios within one run, since machines are noisy.

`scripts/bench` loads stock mitmdump and our proxies in turn and prints one table;
`scripts/bench delay` measures how long a streamed event is on its way; `scripts/bench history`
compares an empty database with one of ten million rows; `scripts/bench memory` watches the
memory over 200,000 calls; `scripts/bench metering` feeds the stream reader alone; `scripts/bench
pages FILE` times the dashboard; `scripts/bench seed FILE` writes such a database. With `--write` the
result goes into docs/BENCHMARKS.md.
"""

from __future__ import annotations

import argparse
import http.client
import json
import platform
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

from metering.asks import Family
from scripts import bench_load as load
from scripts.bench_load import Load, Proxy, Shape

ROOT = Path(__file__).resolve().parents[1]
REPORT = ROOT / "docs" / "BENCHMARKS.md"
PLAIN = Shape(name="plain 1 kB", stream=False, body_bytes=1000)
LARGE = Shape(name="plain 100 kB", stream=False, body_bytes=100_000)
STREAM = Shape(name="stream 1 kB", stream=True, body_bytes=1000)
Report = Iterator[str]


def main() -> int:
    """Run the chosen measurement, print it, and write it down when asked to."""
    parser = argparse.ArgumentParser(description="Measure the proxy against stock mitmdump.")
    parser.add_argument("what", nargs="?", default="proxy", choices=[*MEASUREMENTS, "seed"])
    parser.add_argument(
        "file", nargs="?", type=Path, help="the database that `seed` writes, or `history` and `pages` read"
    )
    parser.add_argument("--seconds", type=float, default=5, help="how long each load lasts")
    parser.add_argument("--rows", type=int, default=10_000_000, help="how many request rows `seed` writes")
    parser.add_argument("--write", action="store_true", help="put the result into docs/BENCHMARKS.md")
    chosen = parser.parse_args()
    if chosen.what == "seed":
        from scripts.bench_seed import seed

        seed(chosen.file or Path("bench-history.db"), chosen.rows)
        return 0
    lines = []
    for line in MEASUREMENTS[chosen.what](chosen):
        print(line, flush=True)
        lines.append(line)
    if chosen.write:
        write_down(chosen.what, lines)
    return 0


def measure_proxy(chosen: argparse.Namespace) -> Report:
    """Requests per second, latency, CPU and memory of each proxy under each load."""
    load.require_wrk()
    yield "| proxy | load | connections | requests/s | ratio | p50 ms | p99 ms | CPU µs/call | MB | failed |"
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    loads = [(PLAIN, 1), (PLAIN, 16), (PLAIN, 64), (LARGE, 16), (STREAM, 16), (STREAM, 64)]
    stock: dict[tuple[str, int], float] = {}
    with load.upstream() as url, tempfile.TemporaryDirectory() as folder:
        for name, start in variants(url, Path(folder)):
            with start() as proxy:
                load.run_wrk(proxy, PLAIN, connections=4, seconds=1)
                for shape, connections in loads:
                    seen = load.run_wrk(proxy, shape, connections=connections, seconds=chosen.seconds)
                    base = stock.setdefault((shape.name, connections), seen.per_second)
                    yield row(name, shape, connections, seen, seen.per_second / base)


def variants(url: str, folder: Path) -> list[tuple[str, Callable[[], AbstractContextManager[Proxy]]]]:
    """The proxies in the order of the table; the first is what the others are compared with."""
    return [
        ("stock mitmdump", lambda: load.stock(url)),
        ("mitmdump -s limiter", lambda: load.literal(url, folder)),
        ("serve, 1 worker", lambda: load.served(url, folder, 1)),
        ("serve, 2 workers", lambda: load.served(url, folder, 2)),
    ]


def row(name: str, shape: Shape, connections: int, seen: Load, ratio: float) -> str:
    """One line of the table."""
    return (
        f"| {name} | {shape.name} | {connections} | {seen.per_second:,.0f} | {ratio:.2f} | {seen.p50_ms:.1f} | "
        f"{seen.p99_ms:.1f} | {seen.cpu_us_per_call:,.0f} | {seen.memory_mb:.0f} | {seen.failed} |"
    )


def measure_history(chosen: argparse.Namespace) -> Report:
    """The same load on an empty database and on one with a long history, in turns."""
    load.require_wrk()
    if chosen.file is None or not chosen.file.exists():
        sys.exit("Name a database with history: write one with `scripts/bench seed FILE` first.")
    yield "| database | round | requests/s | p50 ms | p99 ms |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    with load.upstream() as url, tempfile.TemporaryDirectory() as folder:
        long = Path(folder) / "long"
        long.mkdir()
        # A copy: a write-ahead log beside a link would be lost with this folder, and the original damaged.
        shutil.copyfile(chosen.file, long / "usage.db")
        medians: dict[str, list[float]] = {"empty": [], "history": []}
        for turn in range(3):
            for name, place in (("empty", Path(folder)), ("history", long)):
                # Without the service, which adds up a long history once after its start.
                with load.served(url, place, 1, service=False) as proxy:
                    load.run_wrk(proxy, PLAIN, connections=4, seconds=1)
                    seen = load.run_wrk(proxy, PLAIN, connections=16, seconds=chosen.seconds)
                medians[name].append(seen.p50_ms)
                yield f"| {name} | {turn + 1} | {seen.per_second:,.0f} | {seen.p50_ms:.2f} | {seen.p99_ms:.1f} |"
        ratio = statistics.median(medians["history"]) / statistics.median(medians["empty"])
        yield f"\nMedian latency with history: {ratio:.2f} × the empty database's."


def measure_delay(chosen: argparse.Namespace) -> Report:
    """How long after its sending an event arrives, directly and through the proxy."""
    yield "| path | events | p50 ms | p99 ms |"
    yield "| --- | ---: | ---: | ---: |"
    with load.upstream(words=200, pace_ms=10) as url, tempfile.TemporaryDirectory() as folder:
        yield _delay_row("direct", f"{url}/v1")
        with load.served(url, Path(folder), 1) as proxy:
            yield _delay_row("through the proxy", proxy.url)


def _delay_row(name: str, url: str) -> str:
    delays = sorted(event_delays_ms(url))
    return (
        f"| {name} | {len(delays)} | {delays[len(delays) // 2]:.2f} | {delays[len(delays) * 99 // 100]:.2f} |"
    )


def event_delays_ms(url: str) -> list[float]:
    """Milliseconds between the sending and the arrival of each event of one stream."""
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port)
    ask = {"model": "gpt-4o-mini", "stream": True, "messages": [{"role": "user", "content": "word " * 20}]}
    headers = {"Content-Type": "application/json", "Authorization": "Bearer sk-bench"}
    connection.request("POST", f"{place.path}/chat/completions", json.dumps(ask), headers)
    answer = connection.getresponse()
    delays = []
    while line := answer.readline():
        arrived = time.monotonic_ns()
        if b'"sent":' in line:
            delays.append((arrived - int(line.rpartition(b'"sent":')[2].split(b"}")[0])) / 1e6)
    connection.close()
    return delays


def measure_memory(chosen: argparse.Namespace) -> Report:
    """Resident memory of one worker after each 25,000 of 200,000 calls."""
    load.require_wrk()
    yield "| calls | MB |"
    yield "| ---: | ---: |"
    calls = 0
    with (
        load.upstream() as url,
        tempfile.TemporaryDirectory() as folder,
        load.served(url, Path(folder), 1) as proxy,
    ):
        mark = 0
        while calls < 200_000:
            seen = load.run_wrk(proxy, PLAIN, connections=16, seconds=5)
            calls += seen.requests
            if calls >= mark:
                mark = calls + 25_000
                yield f"| {calls:,} | {seen.memory_mb:.0f} |"


def measure_metering(chosen: argparse.Namespace) -> Report:
    """Bytes per second of the stream reader alone, and its share of what a streamed call costs the proxy."""
    from scripts.bench_streams import chat_stream, responses_stream

    load.require_wrk()
    yield "| stream | MB/s | events/s | withheld usage |"
    yield "| --- | ---: | ---: | --- |"
    for family, stream in ((Family.CHAT, chat_stream()), (Family.RESPONSES, responses_stream())):
        for withhold in (False, True):
            spent = _reading_s(family, stream, chosen.seconds, withhold=withhold)
            rate, events = len(stream) / spent / 1e6, stream.count(b"\n\n") / spent
            yield f"| {family} | {rate:,.0f} | {events:,.0f} | {'yes' if withhold else 'no'} |"
    for words in (16, 500):
        spent = _reading_s(Family.CHAT, chat_stream(words), chosen.seconds, withhold=True)
        with (
            load.upstream(words=words) as url,
            tempfile.TemporaryDirectory() as folder,
            load.served(url, Path(folder), 1) as proxy,
        ):
            load.run_wrk(proxy, STREAM, connections=4, seconds=1)
            seen = load.run_wrk(proxy, STREAM, connections=16, seconds=chosen.seconds)
        share = spent * 1e6 / seen.cpu_us_per_call
        cost = f"{spent * 1e6:,.0f} of {seen.cpu_us_per_call:,.0f} µs of CPU"
        yield f"\nOf a streamed call of {words} words through one worker the reader takes {share:.0%}: {cost}."


def _reading_s(family: Family, stream: bytes, seconds: float, *, withhold: bool) -> float:
    """How long the reader takes for one such stream, in pieces as they come from a socket."""
    from metering.reading import StreamReader

    pieces = [stream[at : at + 1400] for at in range(0, len(stream), 1400)]
    rounds, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < seconds:
        reader = StreamReader(family, withhold_usage=withhold)
        for piece in pieces:
            reader.feed(piece)
        reader.end()
        rounds += 1
    return spent / rounds


def measure_pages(chosen: argparse.Namespace) -> Report:
    """How long the dashboard's pages take on a long history, and what they weigh."""
    from scripts import bench_pages

    if chosen.file is None or not chosen.file.exists():
        sys.exit("Name a database with history: write one with `scripts/bench seed FILE` first.")
    with bench_pages.service(chosen.file) as address:
        took_s = bench_pages.warm_up(address, bench_pages.USERNAME, bench_pages.PASSWORD)
        yield f"Sums added up once after the start, beside the work: {took_s:.1f} s.\n"
        pages = bench_pages.measure(address, bench_pages.USERNAME, bench_pages.PASSWORD)
    yield from bench_pages.table(pages)


MEASUREMENTS: dict[str, Callable[[argparse.Namespace], Report]] = {
    "proxy": measure_proxy,
    "history": measure_history,
    "delay": measure_delay,
    "memory": measure_memory,
    "metering": measure_metering,
    "pages": measure_pages,
}


def write_down(what: str, lines: list[str]) -> None:
    """Replace the section of this measurement in docs/BENCHMARKS.md, with machine and versions."""
    text = REPORT.read_text() if REPORT.exists() else "# Benchmarks\n"
    start, end = f"<!-- {what} -->", f"<!-- end of {what} -->"
    section = "\n".join([start, f"## {what}", "", machine(), "", *lines, end])
    if start in text:
        before, _, rest = text.partition(start)
        text = before + section + rest.partition(end)[2]
    else:
        text = f"{text.rstrip()}\n\n{section}\n"
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(text)


def machine() -> str:
    """One line that says where and with what a figure was measured."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    cores = len(
        [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("processor")]
    )
    return (
        f"{time.strftime('%Y-%m-%d')}, {cores} cores ({model}), Python {platform.python_version()}, "
        f"mitmproxy {version('mitmproxy')}, SQLite {sqlite3.sqlite_version}. Load generator, upstream and proxy share the cores."
    )


if __name__ == "__main__":
    sys.exit(main())
