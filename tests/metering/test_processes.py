"""Two real processes on one database share one limit."""

import os
import subprocess
import sys

from metering.verify import verify
from tests.metering.books import Books
from tests.metering.test_database import ROOT

SPEND = """
import asyncio, sys
from pathlib import Path
from metering.database import Database
from metering.entries import Admission, Admitted, Settlement
from metering.liveness import Worker
from metering.usage import Usage
from metering.writer import LedgerWriter
database = Database(Path(sys.argv[1]))
mode = sys.argv[2]
call = Admission(limiter_key=1, limiter_version=1, user="u", model="m", endpoint="e", hold_nanousd=7, mode=mode)
async def main():
    worker = Worker.start(database, "spender")
    writer = LedgerWriter(database, worker.name)
    writer.start(asyncio.get_running_loop())
    admitted = 0
    async def client():
        nonlocal admitted
        while True:
            answer = await writer.admit(call)
            if not isinstance(answer, Admitted):
                return
            admitted += 1
            settlement = Settlement(request_id=answer.request_id, cost_nanousd=7, basis="reported", usage=Usage())
            writer.settle(settlement)
    print("ready", flush=True)
    sys.stdin.readline()
    await asyncio.gather(*[client() for _ in range(8)])
    await writer.drain(10)
    worker.stop()
    print(admitted)
asyncio.run(main())
"""


def spend_in_two_processes(books: Books, mode: str) -> list[int]:
    """How many calls each of two processes was granted."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SPEND, str(books.database.path), mode],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return [int(process.communicate(timeout=60)[0]) for process in processes]


def test_two_processes_never_spend_more_than_the_one_strict_budget(books: Books) -> None:
    # A day on the real clock may end in the middle of this test; a year will not.
    limiter = books.limiter(7 * 1_500 + 6, "year")
    counts = spend_in_two_processes(books, "strict")
    assert sum(counts) == 1_500
    assert min(counts) > 0
    assert books.rows("select spent_nanousd, held_nanousd from windows where limiter = ?", limiter.key) == [
        (10_500, 0)
    ]
    assert verify(books.database) == []


def test_two_processes_share_the_one_soft_budget(books: Books) -> None:
    limiter = books.limiter(7 * 500 + 6, "year")
    assert sum(spend_in_two_processes(books, "soft")) == 501
    assert books.rows("select spent_nanousd, held_nanousd from windows where limiter = ?", limiter.key) == [
        (3_507, 0)
    ]
