"""One program that the supervisor keeps running, and its process of the moment.

Its output is read line by line. It has a process group of its own, so that a Ctrl-C of the terminal reaches the supervisor
alone, which then stops everything in order.
"""

import asyncio
import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from addons.output import Lines, Write

LAST_WORDS_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What is to be run."""

    name: str
    """Marks its lines."""
    command: tuple[str, ...]
    sockets: tuple[int, ...] = ()
    """Numbers of open files that it inherits."""
    stop_within_s: float = 10.0
    """How long it may take to end after SIGTERM."""


class Child:
    """A program and its process, if it has one now."""

    def __init__(self, program: Program, environ: Mapping[str, str], lifeline: int, write: Write) -> None:
        self.program = program
        self._environ = environ
        self._lifeline = lifeline
        self._write = write
        self._process: asyncio.subprocess.Process | None = None
        self._is_ending = False
        self._idle = asyncio.Event()
        self._idle.set()

    async def run(self) -> int:
        """Start it, pass its lines on, and wait for its end; returns its exit code, negative for a signal."""
        self._idle.clear()
        try:
            return await self._run()
        finally:
            self._process = None
            self._idle.set()

    async def _run(self) -> int:
        # A pipe of our own: asyncio would wait for the end of the output before it told of the end of the process.
        reads, writes = os.pipe()
        reading = _Reading(Lines(self.program.name, self._write))
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(lambda: reading, os.fdopen(reads, "rb", 0))
        try:
            self._process = process = await self._start(writes)
            if self._is_ending:
                self._send(signal.SIGTERM)
            code = await process.wait()
            # A process that it left behind may hold the output open for ever.
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORDS_S):
                    await reading.ended.wait()
        finally:
            transport.close()
            await reading.ended.wait()
        return code

    async def _start(self, output: int) -> asyncio.subprocess.Process:
        try:
            return await asyncio.create_subprocess_exec(
                *self.program.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._environ,
                pass_fds=(*self.program.sockets, self._lifeline),
                process_group=0,
            )
        finally:
            os.close(output)

    async def end(self) -> bool:
        """Ask it to end, and end it by force when its time is over; returns whether it went by itself."""
        self._is_ending = True
        self._send(signal.SIGTERM)
        try:
            async with asyncio.timeout(self.program.stop_within_s):
                await self._idle.wait()
        except TimeoutError:
            self.kill()
            await self._idle.wait()
            return False
        return True

    def kill(self) -> None:
        """End it by force."""
        self._is_ending = True
        self._send(signal.SIGKILL)

    def _send(self, sign: signal.Signals) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(sign)


class _Reading(asyncio.Protocol):
    """Passes on what comes through the pipe."""

    def __init__(self, lines: Lines) -> None:
        self.ended = asyncio.Event()
        self._lines = lines

    def data_received(self, data: bytes) -> None:
        self._lines.feed(data)

    def connection_lost(self, _failure: Exception | None) -> None:
        self._lines.end()
        self.ended.set()
