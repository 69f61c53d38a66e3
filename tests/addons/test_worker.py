"""A worker as the supervisor starts it: a process of its own, on a socket that somebody else has bound."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from addons.sockets import Listener, bind, port_of
from metering import lifeline
from tests.addons.proxy import PRICES

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def worker(folder: Path, listener: Listener, *more: int, **settings: str) -> Iterator[subprocess.Popen[str]]:
    """A worker; `more` are open files that it inherits."""
    environ = os.environ | {
        "HOME": str(folder),
        "DATABASE_URL": f"sqlite:{folder / 'usage.db'}",
        "PORT": str(port_of(listener)),
        "STATS_PORT": "0",
        "PRICING_FILE": str(PRICES),
        **settings,
    }
    process = subprocess.Popen(
        [sys.executable, "-O", "-m", "addons.worker", str(listener.fileno())],
        cwd=ROOT,
        env=environ,
        pass_fds=(listener.fileno(), *more),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def answers(listener: Listener) -> bool:
    """Whether it serves; the connection waits in the queue until it does."""
    return httpx.get(f"http://127.0.0.1:{port_of(listener)}/healthz", timeout=30).status_code == 200


def test_a_worker_serves_on_an_inherited_socket_and_stops_when_it_is_asked(tmp_path: Path) -> None:
    with bind("127.0.0.1", 0)[0] as listener, worker(tmp_path, listener) as process:
        assert answers(listener)
        process.terminate()
        assert process.communicate(timeout=30)[0] == ""
        assert process.returncode == 0


def test_a_worker_makes_no_certificate_authority(tmp_path: Path) -> None:
    with bind("127.0.0.1", 0)[0] as listener, worker(tmp_path, listener) as process:
        assert answers(listener)
        assert [path.name for path in tmp_path.iterdir() if not path.name.startswith("usage.db")] == []
        process.terminate()


def test_a_worker_ends_by_itself_when_its_supervisor_is_gone(tmp_path: Path) -> None:
    reads, writes = os.pipe()
    try:
        with (
            bind("127.0.0.1", 0)[0] as listener,
            worker(tmp_path, listener, reads, **{lifeline.VARIABLE: str(reads)}) as process,
        ):
            assert answers(listener)
            os.close(writes)
            assert process.wait(30) == 0
    finally:
        os.close(reads)


def test_a_worker_that_is_killed_leaves_the_socket_to_the_others(tmp_path: Path) -> None:
    with bind("127.0.0.1", 0)[0] as listener, worker(tmp_path, listener) as first:
        assert answers(listener)
        with worker(tmp_path, listener):
            first.send_signal(signal.SIGKILL)
            first.wait(30)
            assert answers(listener)


def test_a_setting_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    with (
        bind("127.0.0.1", 0)[0] as listener,
        worker(tmp_path, listener, MAX_BODY_MB="many") as process,
    ):
        said = process.communicate(timeout=30)[0]
    assert said == "MAX_BODY_MB must be a whole number from 1 to 2047, and is 'many'.\n"
    assert process.returncode == 1
