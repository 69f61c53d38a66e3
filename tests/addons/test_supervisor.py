"""The supervisor on small programs of its own kind: it starts, says so, restarts, gives up, and stops in order."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import pytest

from addons import supervisor as supervision
from addons.child import Program
from addons.sockets import bind, port_of
from addons.supervisor import Supervisor

ROOT = Path(__file__).resolve().parents[2]
WAITS = "import os, signal; print(os.getpid(), flush=True); signal.pause()"
LINGERS = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(print("ends", flush=True)))
print("runs", flush=True)
while True:
    signal.pause()
"""
DEAF = """
import os, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("runs", flush=True)
while True:
    signal.pause()
"""
ANSWERS = """
import socket, sys
listener = socket.socket(fileno=int(sys.argv[1]))
listener.setblocking(True)
for status in (503, 404, 200):
    connection, _ = listener.accept()
    connection.recv(65536)
    print("answers", status, flush=True)
    connection.sendall(f"HTTP/1.1 {status} x\\r\\n\\r\\n".encode())
    connection.close()
listener.accept()
"""


PAUSES_S = (supervision._PAUSE_MIN_S, supervision._PAUSE_MAX_S)


@pytest.fixture(autouse=True)
def nobody_waits_between_deaths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "_PAUSE_MIN_S", 0.0)
    monkeypatch.setattr(supervision, "_PAUSE_MAX_S", 0.0)


class Watch:
    """The lines of a run, to be waited for."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self._more = asyncio.Event()

    def __call__(self, name: str, line: bytes) -> None:
        self.lines.append((name, line.decode()))
        self._more.set()

    async def until(self, fits: Callable[[str, str], bool], count: int = 1) -> str:
        """The text of the line that fits, or of the `count`th one."""
        async with asyncio.timeout(30):
            while len(found := [text for name, text in self.lines if fits(name, text)]) < count:
                self._more.clear()
                await self._more.wait()
        return found[count - 1]

    def of(self, name: str) -> list[str]:
        return [text for who, text in self.lines if who == name]


def program(
    name: str, code: str, *more: object, stop_within_s: float = 20, sockets: Sequence[int] = ()
) -> Program:
    return Program(
        name=name,
        command=(sys.executable, "-c", code, *map(str, more)),
        sockets=tuple(sockets),
        stop_within_s=stop_within_s,
    )


def supervise(
    stages: Sequence[Sequence[Program]],
    meanwhile: Callable[[Watch], Coroutine[Any, Any, None]] | None = None,
    **more: Any,
) -> tuple[int, Watch]:
    """Run a supervisor, do something meanwhile, and return its exit code and what was written."""

    async def run() -> tuple[int, Watch]:
        watch = Watch()
        supervisor = Supervisor(stages, environ=os.environ, write=watch, **more)
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            running = group.create_task(supervisor.run())
            if meanwhile is not None:
                await meanwhile(watch)
        return running.result(), watch

    return asyncio.run(run())


def ask_to_stop() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_addresses_are_announced_when_they_answer_and_not_before() -> None:
    with bind("127.0.0.1", 0)[0] as listener:

        async def meanwhile(watch: Watch) -> None:
            await watch.until(lambda name, text: (name, text) == ("serve", "all answer"))
            ask_to_stop()

        code, watch = supervise(
            [[program("proxy", ANSWERS, listener.fileno(), sockets=[listener.fileno()])]],
            meanwhile,
            addresses=[("127.0.0.1", port_of(listener))],
            announcement=["all answer"],
        )
    assert code == 0
    assert [text for _, text in watch.lines][:4] == [
        "answers 503",
        "answers 404",
        "answers 200",
        "all answer",
    ]


def test_who_dies_is_started_again() -> None:
    async def meanwhile(watch: Watch) -> None:
        first = await watch.until(lambda name, _: name == "proxy")
        os.kill(int(first), signal.SIGKILL)
        second = await watch.until(lambda name, _: name == "proxy", 2)
        assert second != first
        ask_to_stop()

    code, watch = supervise([[program("proxy", WAITS)], [program("service", WAITS)]], meanwhile)
    assert code == 0
    assert len(watch.of("service")) == 1
    assert "proxy was ended by SIGKILL. It is started again." in watch.of("serve")


def test_five_deaths_in_a_minute_stop_everything() -> None:
    code, watch = supervise([[program("proxy", LINGERS)], [program("service", "print('hello')")]])
    assert code == 1
    assert watch.of("service") == ["hello"] * 5
    assert watch.of("serve")[-1] == "service ended with code 0. That is too often: everything stops."


def test_each_death_in_a_minute_doubles_the_pause_up_to_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "_PAUSE_MIN_S", PAUSES_S[0])
    monkeypatch.setattr(supervision, "_PAUSE_MAX_S", PAUSES_S[1])
    now_s = [0.0]
    monkeypatch.setattr(supervision, "monotonic_s", lambda: now_s[0])
    idle = Supervisor([], environ={}, write=Watch())
    deaths: deque[float] = deque()
    assert [idle._pause_s(deaths) for _ in range(6)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    now_s[0] = 61.0
    assert idle._pause_s(deaths) == 0.1


def test_the_bound_on_deaths_can_be_raised() -> None:
    code, watch = supervise([[program("service", "print('hello')")]], deaths_per_minute=7)
    assert code == 1
    assert watch.of("service") == ["hello"] * 7


def test_who_gives_up_at_start_is_not_tried_again() -> None:
    with bind("127.0.0.1", 0)[0] as listener:
        code, watch = supervise(
            [[program("proxy", WAITS)], [program("service", "import sys; sys.exit('STATS_PORT is bad.')")]],
            addresses=[("127.0.0.1", port_of(listener))],
            announcement=["all answer"],
        )
    assert code == 1
    assert watch.of("service") == ["STATS_PORT is bad."]
    assert watch.of("serve") == ["service gave up at start, so everything stops."]


def test_a_program_that_is_missing_stops_everything() -> None:
    missing = Program(name="service", command=("/no/such/program",))
    code, watch = supervise([[program("proxy", WAITS)], [missing]])
    assert code == 1
    assert "service cannot be started: " in watch.of("serve")[0]


def test_who_never_answers_stops_everything() -> None:
    with bind("127.0.0.1", 0)[0] as listener:
        code, watch = supervise(
            [[program("proxy", WAITS)]],
            addresses=[("127.0.0.1", port_of(listener))],
            start_within_s=0.3,
        )
    assert code == 1
    assert watch.of("serve") == ["Not everything answers after 0.3 s, so everything stops."]


def test_stages_stop_one_after_the_other() -> None:
    async def meanwhile(watch: Watch) -> None:
        await watch.until(lambda _, text: text == "runs", 3)
        ask_to_stop()

    code, watch = supervise(
        [[program("proxy-1", LINGERS), program("proxy-2", LINGERS)], [program("service", LINGERS)]], meanwhile
    )
    assert code == 0
    ends = [name for name, text in watch.lines if text == "ends"]
    assert sorted(ends[:2]) == ["proxy-1", "proxy-2"]
    assert ends[2:] == ["service"]


def test_who_does_not_stop_in_time_is_ended() -> None:
    async def meanwhile(watch: Watch) -> None:
        await watch.until(lambda _, text: text == "runs")
        ask_to_stop()

    code, watch = supervise([[program("proxy", DEAF, stop_within_s=0.2)]], meanwhile)
    assert code == 0
    assert watch.of("serve")[-1] == "proxy did not stop in time and was ended."


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_stops_at_once(sign: signal.Signals) -> None:
    async def meanwhile(watch: Watch) -> None:
        await watch.until(lambda _, text: text == "runs", 2)
        os.kill(os.getpid(), sign)
        await watch.until(lambda name, text: name == "serve" and text.startswith("Stopping."))
        os.kill(os.getpid(), sign)

    code, watch = supervise(
        [[program("proxy", DEAF, stop_within_s=3_000)], [program("service", DEAF, stop_within_s=3_000)]],
        meanwhile,
    )
    assert code == 1
    assert not any("in time" in text for text in watch.of("serve"))


def test_a_process_that_is_left_behind_does_not_keep_the_supervisor_waiting() -> None:
    leaves = (
        "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'input()']).pid, flush=True)"
    )
    reads, writes = os.pipe()
    try:
        leaves = leaves.replace("'input()']", f"'import os; os.read({reads}, 1)'], pass_fds=[{reads}]")
        code, watch = supervise([[program("proxy", leaves, sockets=[reads])]], deaths_per_minute=1)
    finally:
        os.close(writes)
        os.close(reads)
    assert code == 1
    assert len(watch.of("proxy")) == 1


SUPERVISES = """
import asyncio, os, sys
from addons.child import Program
from addons.output import Output
from addons.supervisor import Supervisor
child = Program(name="proxy", command=(sys.executable, "-c", sys.argv[2]), sockets=(int(sys.argv[1]),))
asyncio.run(Supervisor([[child]], environ=os.environ, write=Output(sys.stdout.buffer, width=5)).run())
"""
TIED = """
import os, signal
from metering import lifeline
lifeline.stop_with_starter(os.environ)
assert lifeline.VARIABLE not in os.environ
print("runs", flush=True)
while True:
    signal.pause()
"""


def test_a_child_whose_supervisor_is_killed_ends_by_itself() -> None:
    reads, writes = os.pipe()
    try:
        supervisor = subprocess.Popen(
            [sys.executable, "-c", SUPERVISES, str(writes), TIED],
            stdout=subprocess.PIPE,
            pass_fds=(writes,),
            cwd=ROOT,
        )
        os.close(writes)
        with supervisor:
            assert supervisor.stdout is not None
            assert supervisor.stdout.readline() == b"proxy | runs\n"
            supervisor.kill()
        # The kernel closes the last writing end when the child is gone.
        assert os.read(reads, 1) == b""
    finally:
        os.close(reads)
