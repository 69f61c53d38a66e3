"""The lines of all processes in one output, each marked with the process that wrote it.

As text: `proxy-1 | …`. As JSON a field `process` goes in front, so that each line stays one object.
"""

import json
from collections.abc import Callable
from typing import IO

from metering.clock import Clock, now_us, rfc3339

LINE_BYTES_MAX = 65_536

Write = Callable[[str, bytes], None]
"""Writes a line, without its end, of the process with this name."""


def marked(name: str, line: bytes, width: int, at_us: int, *, as_json: bool) -> bytes:
    """The line with the name of its process; as JSON also with the time, where it is not JSON by itself."""
    if not as_json:
        return b"%s | %s\n" % (name.ljust(width).encode(), line)
    mark = json.dumps({"process": name}).encode()
    if line.startswith(b'{"'):
        return b"%s, %s\n" % (mark[:-1], line[1:])
    fields = {"process": name, "time": rfc3339(at_us), "message": line.decode(errors="replace")}
    return json.dumps(fields).encode() + b"\n"


class Output:
    """One stream for all processes. A reader who has gone does not stop the program."""

    def __init__(
        self, stream: IO[bytes], *, width: int, as_json: bool = False, clock: Clock = now_us
    ) -> None:
        self._stream = stream
        self._clock = clock
        self._width = width
        self._as_json = as_json

    def __call__(self, name: str, line: bytes) -> None:
        try:
            self._stream.write(marked(name, line, self._width, self._clock(), as_json=self._as_json))
            self._stream.flush()
        except (OSError, ValueError):
            return


class Lines:
    """Cuts what a process writes into lines."""

    def __init__(self, name: str, write: Write) -> None:
        self._name = name
        self._write = write
        self._rest = b""

    def feed(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._write(self._name, line)
        if len(self._rest) > LINE_BYTES_MAX:
            self.end()

    def end(self) -> None:
        """Write what has no end of line."""
        if self._rest:
            self._write(self._name, self._rest)
        self._rest = b""
