"""Who is alive, and whose holds expire."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from metering.errors import StoreError
from metering.expiry import expire_dead
from metering.liveness import Worker, dead_workers, remove_stale_files
from metering.locks import LockFile
from metering.verify import verify
from tests.metering.books import Books
from tests.metering.test_database import ROOT

HOLD_AND_WAIT = """
import sys
from pathlib import Path
from metering.database import Database
from metering.entries import Admission
from metering.ledger import Ledger
from metering.liveness import Worker
database = Database(Path(sys.argv[1]))
worker = Worker.start(database, "doomed")
ledger = Ledger(database, worker.name)
call = Admission(limiter_key=1, limiter_version=1, user="u", model="m", endpoint="e", hold_nanousd=30)
ledger.admit(call, int(sys.argv[2]))
ledger.admit(call, int(sys.argv[2]))
print("held", flush=True)
sys.stdin.readline()
"""


def test_a_living_worker_is_left_alone_and_a_stopped_one_is_dead(books: Books) -> None:
    killed = Worker.start(books.database, "killed")
    names = [books.worker.name, killed.name]
    assert list(dead_workers(books.database, names, set())) == []
    killed._lock.close()
    assert list(dead_workers(books.database, names, set())) == [killed.name]


def test_the_holds_of_a_killed_process_expire_at_their_amount(books: Books) -> None:
    limiter = books.limiter()
    mine = books.admit(limiter, 5)
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD_AND_WAIT, str(books.database.path), str(books.now_us)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert expire_dead(books.ledger, books.clock, set()) == {}
        process.kill()
    (count,) = expire_dead(books.ledger, books.clock, set()).values()
    assert count == 2
    assert books.figures(limiter) == (60, 5, 3, 0)
    assert books.rows("select distinct state, basis from requests where worker <> ?", books.worker.name) == [("expired", "estimated")]  # fmt: skip
    assert expire_dead(books.ledger, books.clock, set()) == {}
    assert [path.name for path in books.database.locks.glob("worker-doomed-*")] == []
    books.settle(mine.request_id, 5)
    assert verify(books.database) == []


def test_two_that_look_at_once_charge_a_hold_once(books: Books) -> None:
    limiter = books.limiter()
    lost = Worker.start(books.database, "lost")
    ledger = books.open_ledger(lost)
    ledger.admit(books.call(limiter, 30), books.now_us)
    lost.stop()
    other = books.open_ledger(books.start_worker("other"))
    looks = dead_workers(books.database, [lost.name], {lost.name})
    assert next(looks) == lost.name
    assert expire_dead(other, books.clock, {lost.name}) == {lost.name: 1}
    assert books.ledger.expire_worker(lost.name, books.now_us) == 0
    looks.close()
    assert books.figures(limiter) == (30, 0, 1, 0)


def test_a_new_worker_never_has_the_name_of_an_old_one(books: Books) -> None:
    assert len({books.start_worker("same").name for _ in range(20)}) == 20


def test_files_of_dead_workers_are_removed_and_those_of_living_ones_stay(books: Books) -> None:
    stale = books.database.locks / "worker-gone"
    stale.touch()
    assert expire_dead(books.ledger, books.clock, set()) == {}
    assert not stale.exists()
    assert (books.database.locks / f"worker-{books.worker.name}").exists()


def test_a_worker_that_starts_while_stale_files_are_removed_is_alive(books: Books) -> None:
    stop = threading.Event()

    def remove() -> None:
        while not stop.is_set():
            remove_stale_files(books.database, list)

    remover = threading.Thread(target=remove)
    remover.start()
    workers = [books.start_worker("new") for _ in range(200)]
    stop.set()
    remover.join()
    assert list(dead_workers(books.database, [worker.name for worker in workers], set())) == []


def test_a_worker_whose_file_is_removed_as_it_starts_makes_another(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    really_take = LockFile.try_take
    removed: list[Path] = []

    def taken_too_late(lock: LockFile) -> bool:
        if not removed:
            lock.path.unlink()
            removed.append(lock.path)
        return really_take(lock)

    monkeypatch.setattr(LockFile, "try_take", taken_too_late)
    worker = books.start_worker("new")
    assert (books.database.locks / f"worker-{worker.name}").exists()
    assert removed != [books.database.locks / f"worker-{worker.name}"]


def test_files_that_somebody_deleted_are_made_again_before_anybody_is_taken_for_dead(books: Books) -> None:
    limiter = books.limiter()
    other = books.start_worker("other")
    theirs = books.open_ledger(other)
    theirs.admit(books.call(limiter, 30), books.now_us)
    shutil.rmtree(books.database.locks)
    missing: set[str] = set()

    with pytest.raises(StoreError, match="No such file"):
        expire_dead(books.ledger, books.clock, missing)
    for worker in (books.worker, other):
        worker.stay()
        worker.stay()
    for ledger in (books.ledger, theirs):
        ledger.relock()
    assert expire_dead(books.ledger, books.clock, missing) == {}
    assert expire_dead(books.ledger, books.clock, missing) == {}
    assert books.figures(limiter) == (0, 30, 1, 0)
    with books.database.write_lock(), LockFile(books.database.locks / "write") as lock:
        assert not lock.try_take()
        assert not any(lock.try_take() for lock in (books.ledger._lock, theirs._lock))

    other._lock.close()
    assert expire_dead(books.ledger, books.clock, missing) == {other.name: 1}


def test_whoever_holds_something_and_has_no_file_is_dead_at_the_second_look(books: Books) -> None:
    """As after a backup was restored: its workers are gone, and their lock files were never there."""
    limiter = books.limiter()
    lost = Worker.start(books.database, "lost")
    books.open_ledger(lost).admit(books.call(limiter, 30), books.now_us)
    lost.stop()
    books.admit(limiter, 5)
    (books.database.locks / f"worker-{books.worker.name}").unlink()
    missing: set[str] = set()
    assert expire_dead(books.ledger, books.clock, missing) == {}
    assert expire_dead(books.ledger, books.clock, missing) == {lost.name: 1}
    assert missing == set()
    # Who looks lives.
    assert books.figures(limiter)[1] == 5


def test_the_file_of_a_dead_worker_stays_until_its_holds_are_expired(books: Books) -> None:
    limiter = books.limiter()
    lost = Worker.start(books.database, "lost")
    books.open_ledger(lost).admit(books.call(limiter, 30), books.now_us)
    lost._lock.close()
    remove_stale_files(books.database, lambda: [lost.name])
    assert expire_dead(books.ledger, books.clock, set()) == {lost.name: 1}
    assert not (books.database.locks / f"worker-{lost.name}").exists()
