"""What waits for the writer thread, and when a batch is complete.

An admission is written at once, together with all that arrived while the last commit ran. A settle or a release may wait
a few milliseconds for an admission to ride along with, because its hold is durable already; counts of refusals wait a second.
"""

import asyncio
import queue
import threading
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
    patience_s: float = 0.0


@dataclass(slots=True, eq=False)
class EndJob:
    """The end of a call: a settlement, or a release where there is none."""

    request_id: int
    settlement: Settlement | None
    status: int | None
    patience_s: float = SETTLE_PATIENCE_S


@dataclass(slots=True, eq=False)
class KeyJob:
    """An upstream has taken a client key, of which this is the fingerprint."""

    limiter_key: int
    key: str
    patience_s: float = SETTLE_PATIENCE_S


@dataclass(slots=True, eq=False)
class BarrierJob:
    """Somebody wants to know when all that was queued before is written."""

    future: "asyncio.Future[None]"
    patience_s: float = 0.0


@dataclass(slots=True, eq=False)
class NudgeJob:
    """There are refusals to be counted."""

    patience_s: float = REFUSAL_PATIENCE_S


@dataclass(slots=True, eq=False)
class StopJob:
    """Write everything and end."""

    patience_s: float = 0.0


Job = AdmitJob | EndJob | KeyJob | BarrierJob | NudgeJob | StopJob


class Inbox:
    """The queue between the event loop and the writer thread."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Job] = queue.SimpleQueue()

    def put(self, job: Job) -> None:
        """Queue a job; never blocks."""
        self._queue.put(job)

    def collect(self, wake_at_s: float) -> list[Job]:
        """The next batch in order of arrival; whatever there is, possibly nothing, once `wake_at_s` has passed."""
        jobs: list[Job] = []
        due_s = wake_at_s
        while True:
            try:
                job = self._queue.get(timeout=max(0.0, due_s - monotonic_s()))
            except queue.Empty:
                return jobs
            jobs.append(job)
            if job.patience_s == 0 or len(jobs) >= BATCH_MAX:
                break
            due_s = min(due_s, monotonic_s() + job.patience_s)
        while len(jobs) < BATCH_MAX:
            try:
                jobs.append(self._queue.get_nowait())
            except queue.Empty:
                break
        return jobs


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
