"""The product as `scripts/serve` runs it, as a subprocess on free ports, with its output line by line."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRICES = ROOT / "tests" / "addons" / "prices.yaml"
"""A small book, since each process reads it: the one that ships takes longer than all else in its start."""
PASSWORD = "correct horse battery staple"


def environ(folder: Path, **settings: str) -> dict[str, str]:
    """Free ports and a database in the folder, whatever the settings of this machine are."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "TMPDIR")}
    kept |= {name: value for name, value in os.environ.items() if name.startswith("COV")}
    return kept | {
        "HOME": str(folder),
        "HOST": "127.0.0.1",
        "PORT": "0",
        "STATS_PORT": "0",
        "DATABASE_URL": f"sqlite:{folder / 'usage.db'}",
        "PRICING_FILE": str(PRICES),
        "ADMIN_PASSWORD": PASSWORD,
        "WORKERS": "1",
        **settings,
    }


class Product:
    """A running product."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []

    def until(self, pattern: str) -> re.Match[str]:
        """Read lines until one fits; fails where the output ends before."""
        stream = self.process.stdout
        while stream is not None and (line := stream.readline()):
            self.lines.append(line.rstrip("\n"))
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"no line like {pattern!r} in:\n" + "\n".join(self.lines))

    def rest(self) -> str:
        """What it still writes until its end."""
        return self.process.communicate(timeout=60)[0]

    def children(self, part: str) -> list[int]:
        """Its processes whose command line has this part."""
        listed = subprocess.run(
            ["ps", "-A", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True
        ).stdout
        rows = [line.split(None, 2) for line in listed.splitlines()]
        return [int(pid) for pid, parent, args in rows if int(parent) == self.process.pid and part in args]


@contextmanager
def product(folder: Path, *arguments: str, **settings: str) -> Iterator[Product]:
    process = subprocess.Popen(
        [sys.executable, "-O", "-m", "addons.serve", *arguments],
        cwd=ROOT,
        env=environ(folder, **settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        try:
            yield Product(process)
        finally:
            process.terminate()
            try:
                process.communicate(timeout=60)
            finally:
                process.kill()
