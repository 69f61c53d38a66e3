"""Keeps programs running: starts them, says when all answer, restarts whoever dies, stops them in order.

Programs come in stages, which start together and stop one after the other. Whoever dies is started again after a pause that
doubles with each of its deaths in the last minute; too many deaths within a minute stop everything, because what
cannot live is not to be tried for ever. Who gives up before everything answered has said why: that stops everything, too.
"""

import asyncio
import os
import signal
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress

from addons.child import Child, Program
from addons.health import until_healthy
from addons.output import Write
from metering import lifeline
from metering.clock import monotonic_s

NAME = "serve"
"""Marks the supervisor's own lines."""
DEATHS_PER_MINUTE = 5
START_WITHIN_S = 60.0
_MINUTE_S = 60.0
_PAUSE_MIN_S = 0.1
_PAUSE_MAX_S = 1.0

Address = tuple[str, int]


class Supervisor:
    """Runs once."""

    def __init__(
        self,
        stages: Sequence[Sequence[Program]],
        *,
        environ: Mapping[str, str],
        write: Write,
        addresses: Sequence[Address] = (),
        announcement: Sequence[str] = (),
        deaths_per_minute: int = DEATHS_PER_MINUTE,
        start_within_s: float = START_WITHIN_S,
    ) -> None:
        """`announcement`: the lines that are written when each of the addresses answers."""
        self._stages = stages
        self._environ = environ
        self._write = write
        self._addresses = addresses
        self._announcement = announcement
        self._deaths_per_minute = deaths_per_minute
        self._start_within_s = start_within_s
        self._deaths: deque[float] = deque()
        self._asked_to_stop = 0
        self._is_up = False
        self._exit_code = 0
        self._children: list[list[Child]] = []
        self._stopping = asyncio.Event()

    async def run(self) -> int:
        """Keep everything running until SIGTERM, Ctrl-C or too many deaths; returns the exit code."""
        loop = asyncio.get_running_loop()
        for sign in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(sign, self._ask_to_stop)
        their_end, our_end = os.pipe()
        try:
            environ = {**self._environ, lifeline.VARIABLE: str(their_end)}
            self._children = [
                [Child(program, environ, their_end, self._write) for program in stage]
                for stage in self._stages
            ]
            keepers = [asyncio.create_task(self._keep(child)) for stage in self._children for child in stage]
            announcing = asyncio.create_task(self._announce())
            await self._stopping.wait()
            announcing.cancel()
            await self._stop_all()
            await asyncio.gather(announcing, *keepers, return_exceptions=True)
        finally:
            os.close(our_end)
            os.close(their_end)
            for sign in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(sign)
        return self._exit_code

    def _ask_to_stop(self) -> None:
        self._asked_to_stop += 1
        if self._asked_to_stop == 1:
            self._say("Stopping. Calls in flight may finish; once more stops at once.")
            self._stopping.set()
            return
        self._exit_code = 1
        for child in self._all():
            child.kill()

    def _fail(self, sentence: str) -> None:
        if not self._stopping.is_set():
            self._say(sentence)
            self._exit_code = 1
            self._stopping.set()

    async def _keep(self, child: Child) -> None:
        deaths: deque[float] = deque()
        while not self._stopping.is_set():
            try:
                code = await child.run()
            except OSError as failure:
                self._fail(f"{child.program.name} cannot be started: {failure}.")
                return
            if self._stopping.is_set():
                return
            if code > 0 and not self._is_up:
                self._fail(f"{child.program.name} gave up at start, so everything stops.")
                return
            pause_s = self._pause_s(deaths)
            if self._is_too_much():
                self._fail(f"{child.program.name} {_ended(code)}. That is too often: everything stops.")
                return
            self._say(f"{child.program.name} {_ended(code)}. It is started again.")
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._stopping.wait()

    def _pause_s(self, deaths: deque[float]) -> float:
        """How long to wait after this death of a program."""
        _count(deaths)
        return min(_PAUSE_MIN_S * 2.0 ** min(len(deaths) - 1, 10), _PAUSE_MAX_S)

    def _is_too_much(self) -> bool:
        _count(self._deaths)
        return len(self._deaths) >= self._deaths_per_minute

    async def _announce(self) -> None:
        try:
            async with asyncio.timeout(self._start_within_s):
                await asyncio.gather(*(until_healthy(host, port) for host, port in self._addresses))
        except TimeoutError:
            self._fail(f"Not everything answers after {self._start_within_s:g} s, so everything stops.")
            return
        self._is_up = True
        for line in self._announcement:
            self._say(line)

    async def _stop_all(self) -> None:
        for stage in self._children:
            ended = await asyncio.gather(*(child.end() for child in stage))
            for child, by_itself in zip(stage, ended, strict=True):
                if not by_itself:
                    self._say(f"{child.program.name} did not stop in time and was ended.")

    def _all(self) -> list[Child]:
        return [child for stage in self._children for child in stage]

    def _say(self, text: str) -> None:
        self._write(NAME, text.encode())


def _count(deaths: deque[float]) -> None:
    """Note one more death now, and forget those of more than a minute ago."""
    now_s = monotonic_s()
    deaths.append(now_s)
    while deaths[0] < now_s - _MINUTE_S:
        deaths.popleft()


def _ended(code: int) -> str:
    if code >= 0:
        return f"ended with code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
