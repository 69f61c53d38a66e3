"""What waits for the writer thread, and when a batch is complete.

An admission is written at once, together with all that arrived while the last commit ran. A settle or a release may wait
a few milliseconds for an admission to ride along with, because its hold is durable already; counts of refusals wait a second.
"""

import asyncio
import queue
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field

from metering.clock import monotonic_s
from metering.entries import Admission, Admitted, Refused, Settlement

BATCH_MAX = 512
SETTLE_PATIENCE_S = 0.010
REFUSAL_PATIENCE_S = 1.0
MODELS_MAX = 1_000
"""Names of models without a price that wait to be written."""


@dataclass(slots=True, eq=False)
class AdmitJob:
    """An admission that somebody waits for. His future is touched on the event loop alone, but for a look at it."""

    call: Admission
    future: "asyncio.Future[Admitted | Refused]"


@dataclass(slots=True, eq=False)
class EndJob:
    """The end of a call: a settlement, or a release where there is none."""

    request_id: int
    settlement: Settlement | None
    status: int | None


@dataclass(slots=True, eq=False)
class KeyJob:
    """An upstream has taken a client key, of which this is the fingerprint."""

    limiter_key: int
    key: str


@dataclass(slots=True, eq=False)
class BarrierJob:
    """Somebody wants to know when all that was queued before is written."""

    future: "asyncio.Future[None]"


@dataclass(slots=True, eq=False)
class NudgeJob:
    """There are refusals to be counted."""


@dataclass(slots=True, eq=False)
class StopJob:
    """Write everything and end."""


Job = AdmitJob | EndJob | KeyJob | BarrierJob | NudgeJob | StopJob


class Inbox:
    """The queue between the event loop and the writer thread, and beside it what is in no hurry.

    To wake the thread costs as much as to write a call, so nobody wakes it for the end of one.
    """

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._patient: deque[Job] = deque()

    def put(self, job: Job) -> None:
        """Queue a job that cannot wait; never blocks."""
        self._queue.put(job)

    def add(self, job: Job) -> None:
        """Lay a job beside the queue, for the next batch. Whoever does so calls `wake` within its patience."""
        self._patient.append(job)

    def wake(self) -> None:
        """Have what lies beside the queue written, if it still lies there."""
        if self._patient:
            self._queue.put(None)

    def collect(self, wake_at_s: float) -> list[Job]:
        """The next batch, ends of calls first; whatever there is, possibly nothing, once `wake_at_s` has passed."""
        urgent: list[Job | None] = []
        with suppress(queue.Empty):
            urgent.append(self._queue.get(timeout=max(0.0, wake_at_s - monotonic_s())))
            while len(urgent) < BATCH_MAX:
                urgent.append(self._queue.get_nowait())
        jobs: list[Job] = []
        # What was laid there before an admission was queued is seen here, so that the admission sees it as well.
        while self._patient:
            jobs.append(self._patient.popleft())
        return jobs + [job for job in urgent if job is not None]


@dataclass(slots=True)
class Refusals:
    """How often a limiter refused with a code, and for the want of which model's price."""

    by_code: dict[tuple[int, str], int] = field(default_factory=dict)
    by_model: dict[tuple[int, str], int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.by_code)


class RefusalCounts:
    """Refusals that are not written yet. A row for each would let a refused client write to our disk at will."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = Refusals()

    def add(self, limiter_key: int, code: str, model: str | None = None) -> bool:
        """Count; True where this is the first since the last `take`. `model` is one that has no price."""
        with self._lock:
            is_first = not self._counts
            self._add(self._counts.by_code, (limiter_key, code), 1)
            if model is not None:
                self._add_model((limiter_key, model), 1)
            return is_first

    def take(self) -> Refusals:
        """All counts; the caller writes them or puts them back."""
        with self._lock:
            counts, self._counts = self._counts, Refusals()
            return counts

    def put_back(self, counts: Refusals) -> None:
        """Undo a `take` whose write failed."""
        with self._lock:
            for key, count in counts.by_code.items():
                self._add(self._counts.by_code, key, count)
            for key, count in counts.by_model.items():
                self._add_model(key, count)

    def _add_model(self, key: tuple[int, str], count: int) -> None:
        # Names are the clients': whoever makes them up must not fill the memory.
        if key in self._counts.by_model or len(self._counts.by_model) < MODELS_MAX:
            self._add(self._counts.by_model, key, count)

    @staticmethod
    def _add(into: dict[tuple[int, str], int], key: tuple[int, str], count: int) -> None:
        into[key] = into.get(key, 0) + count
