"""Trials too long for the test suite: workers killed at random moments under load, properties under many seeds.

`scripts/torture kill [--times 100]` runs the product with two workers, keeps clients calling it,
and ends a random worker with SIGKILL again and again. Afterwards every answer that a client saw
whole must be settled or expired, nothing may be held, `verify` must find nothing, and the stats
service must have answered all the time. Every process it ends is one that it started.

`scripts/torture fuzz [--times 20]` runs every property test of the suite (the ledger's state machine
among them) again and again, each time with another seed, which a failure names.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from metering.database import Database
from metering.verify import verify
from scripts import bench_load as load

ROOT = Path(__file__).resolve().parents[1]
CLIENTS = 8


@dataclass(slots=True)
class Witness:
    """What the clients saw: the name of each call and whether its answer came whole."""

    complete: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def saw(self, name: str, whole: bool) -> None:
        """Note how one call ended for its client."""
        with self.lock:
            (self.complete if whole else self.broken).add(name)


def main() -> int:
    """Run the chosen trial; exit code 1 when anything that was promised did not hold."""
    parser = argparse.ArgumentParser(description="Try to break the product for longer than a test may.")
    parser.add_argument("trial", choices=["kill", "fuzz"])
    parser.add_argument("--times", type=int, help="how many workers are killed (100), or how many seeds (20)")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    if chosen.trial == "fuzz":
        return fuzz(chosen.seed, chosen.times or 20)
    problems, summary = kill_trial(chosen.times or 100, random.Random(chosen.seed))
    print(summary)
    for problem in problems:
        print(f"PROBLEM: {problem}")
    return 1 if problems else 0


def fuzz(first_seed: int, times: int) -> int:
    """Run the property tests under so many seeds; stops at the first that fails."""
    tests = sorted(
        str(path) for path in (ROOT / "tests").rglob("test_*.py") if "hypothesis" in path.read_text()
    )
    for seed in range(first_seed, first_seed + times):
        print(f"Seed {seed}:", flush=True)
        command = [
            sys.executable,
            "-m",
            "pytest",
            "--quiet",
            "-n",
            "auto",
            "--hypothesis-profile=fuzz",
            f"--hypothesis-seed={seed}",
            *tests,
        ]
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            print(f"PROBLEM: a property does not hold; --seed {seed} --times 1 shows it again")
            return 1
    return 0


def kill_trial(times: int, dice: random.Random) -> tuple[list[str], str]:
    """Kill workers `times` times under load; returns what went wrong and a line of figures."""
    with tempfile.TemporaryDirectory() as folder, load.upstream(words=16, pace_ms=1) as url:
        code = load.create_limiter(Path(folder), url)
        service_port = load.free_port()
        witness, stop = Witness(), threading.Event()
        service_failures: list[str] = []
        with _product(Path(folder), service_port) as (supervisor, port):
            threads = [
                threading.Thread(target=_client, args=(port, code, number, witness, stop))
                for number in range(CLIENTS)
            ]
            threads.append(
                threading.Thread(target=_watch_service, args=(service_port, stop, service_failures))
            )
            for thread in threads:
                thread.start()
            kills = _kill_workers(supervisor, times, dice)
            stop.set()
            for thread in threads:
                thread.join(60)
            held = _settle_down(Path(folder) / "usage.db")
        problems = _audit(Path(folder) / "usage.db", witness)
        problems += [f"the service did not answer: {text}" for text in service_failures[:3]]
        problems += [f"{held} calls were still held at the end"] if held else []
        problems += [f"only {kills} of {times} kills could be done"] if kills < times else []
        states: Counter[str] = Counter(
            dict(_rows(Path(folder) / "usage.db", "select state, count(*) from requests group by state"))
        )
    return (
        problems,
        f"{kills} kills; {len(witness.complete)} answers whole, {len(witness.broken)} broken; rows: {dict(states)}",
    )


def _audit(database: Path, witness: Witness) -> list[str]:
    states: dict[str, str] = dict(_rows(database, "select user, state from requests"))
    problems = [
        f"the client of {name} saw its whole answer, but the call is {states.get(name)}"
        for name in sorted(witness.complete)
        if states.get(name) not in ("settled", "expired")
    ]
    problems += [
        f"the call {name} broke, but is {states[name]}"
        for name in sorted(witness.broken)
        if name in states and states[name] not in ("settled", "expired", "released")
    ]
    return problems + [f"verify: {difference}" for difference in verify(Database(database))]


def _client(port: int, code: str, number: int, witness: Witness, stop: threading.Event) -> None:
    call = 0
    while not stop.is_set():
        call += 1
        name = f"client-{number}-call-{call}"
        ask = {
            "model": "gpt-4o-mini",
            "stream": call % 2 == 0,
            "user": name,
            "max_tokens": 64,
            "messages": [{"role": "user", "content": "hello"}],
        }
        witness.saw(name, _call(port, code, json.dumps(ask), streamed=call % 2 == 0))


def _call(port: int, code: str, body: str, *, streamed: bool) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", f"/v1/{code}/chat/completions", body, {"Content-Type": "application/json"})
        with connection.getresponse() as answer:
            text = answer.read()
        return answer.status == 200 and (not streamed or text.endswith(b"data: [DONE]\n\n"))
    except (OSError, http.client.HTTPException):
        time.sleep(0.01)
        return False
    finally:
        connection.close()


def _watch_service(port: int, stop: threading.Event, failures: list[str]) -> None:
    while not stop.wait(0.1):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", "/healthz")
            with connection.getresponse() as answer:
                if answer.status != 200:
                    failures.append(f"status {answer.status}")
        except (OSError, http.client.HTTPException) as error:
            failures.append(repr(error))
        finally:
            connection.close()


def _kill_workers(supervisor: int, times: int, dice: random.Random) -> int:
    kills = 0
    deadline = time.monotonic() + 60 + times * 15
    while kills < times and time.monotonic() < deadline:
        time.sleep(dice.uniform(0.05, 1.0))
        workers = [pid for pid in load.family(supervisor)[1:] if b"addons.worker" in _command(pid)]
        if len(workers) == 2:
            os.kill(dice.choice(workers), signal.SIGKILL)
            kills += 1
    return kills


def _command(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def _settle_down(database: Path) -> int:
    """Wait until nothing is held; returns how many calls still are when the patience ends."""
    deadline = time.monotonic() + 30
    while True:
        ((held,),) = _rows(database, "select count(*) from requests where state = 'held'")
        if held == 0 or time.monotonic() > deadline:
            return int(held)
        time.sleep(0.1)


def _rows(database: Path, sql: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(Database(database).open_reader()) as connection:
        return [tuple(row) for row in connection.execute(sql)]


@contextlib.contextmanager
def _product(folder: Path, service_port: int) -> Iterator[tuple[int, int]]:
    port = load.free_port()
    settings = {
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "STATS_HOST": "127.0.0.1",
        "STATS_PORT": str(service_port),
        "DATABASE_URL": f"sqlite:{folder / 'usage.db'}",
        "WORKERS": "2",
        "LOG_LEVEL": "warning",
    }
    # Here dying is the purpose, and no sign of a worker that cannot live.
    command = [sys.executable, "-O", "-m", "addons.serve", "--deaths-per-minute", "1000000"]
    with load.running(command, settings, service_port) as process:
        load.until_healthy(port)
        yield process.pid, port


if __name__ == "__main__":
    sys.exit(main())
