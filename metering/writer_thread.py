"""The one thread that writes: it takes what has arrived, commits it with one fsync, and tells the event loop once.

A fault of one call costs that call alone. When the database as a whole fails (locked, full, read-only), admissions are
answered by StoreError and the ends of calls are kept, in order, and tried again until the cause is gone. Between batches it expires the
holds of dead workers and checkpoints. Whatever else ends this thread is reported: there is no silent hang.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from metering.batch import Batch
from metering.clock import Clock, monotonic_s
from metering.database import is_of_the_store, store_error
from metering.entries import Admitted, Figures, Outcome, Refused, Settlement
from metering.errors import MeteringError, StoreError
from metering.expiry import expire_dead
from metering.inbox import (
    REFUSAL_PATIENCE_S,
    AdmitJob,
    BarrierJob,
    EndJob,
    Inbox,
    Job,
    KeyJob,
    NudgeJob,
    RefusalCounts,
    Refusals,
    StopJob,
)
from metering.ledger import Ledger

log = logging.getLogger(__name__)

Answer = Admitted | Refused | Outcome | StoreError | None
_FIRST_RETRY_S = 0.05
_LAST_RETRY_S = 1.0
_CHECKPOINT_CALLS = 1_000
_FOREVER_S = 3_600.0


@dataclass(slots=True)
class Report:
    """What the event loop is told about a batch."""

    answers: list[tuple[Job, Answer]] = field(default_factory=list)
    figures: dict[int, Figures] = field(default_factory=dict)


class WriterThread:
    """Owns the ledger while it runs, and closes it at its end."""

    def __init__(
        self,
        ledger: Ledger,
        inbox: Inbox,
        refusals: RefusalCounts,
        clock: Clock,
        look_every_s: float | None,
        deliver: Callable[[Report], None],
        ended: Callable[[BaseException | None, int], None],
    ) -> None:
        """`deliver` and `ended` are called in this thread; `ended` gets the failure and how many ends were lost."""
        self._ledger = ledger
        self._inbox = inbox
        self._refusals = refusals
        self._clock = clock
        self._look_every_s = look_every_s
        self._deliver = deliver
        self._ended = ended
        self._kept: list[Job] = []
        self._retry_at_s = 0.0
        self._retry_in_s = _FIRST_RETRY_S
        self._look_at_s = 0.0
        self._missing: set[str] = set()
        self._counted_at_s = monotonic_s()
        self._said_at_s = 0.0
        self._calls = 0
        self._stopping = False
        self._counts_now = False
        self._give_up_at_s = float("inf")
        self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def is_alive(self) -> bool:
        """Whether it can still write."""
        return self._thread.is_alive()

    def stop(self, deadline_s: float) -> None:
        """Write what is queued, then end; what cannot be written within the deadline is given up."""
        self._give_up_at_s = monotonic_s() + deadline_s
        self._inbox.put(StopJob())

    def _run(self) -> None:
        failure: BaseException | None = None
        try:
            while not self._stopping or (self._kept and monotonic_s() < self._give_up_at_s):
                self._turn()
        except BaseException as death:
            failure = death
            log.critical("The writer thread has died: no call is admitted any more.", exc_info=True)
        finally:
            self._ledger.close()
            self._ended(failure, sum(isinstance(job, EndJob) for job in self._kept))

    def _turn(self) -> None:
        jobs = self._inbox.collect(self._wake_at_s())
        self._stopping = self._stopping or any(isinstance(job, StopJob) for job in jobs)
        self._counts_now = any(isinstance(job, NudgeJob) for job in jobs)
        if jobs or (self._kept and monotonic_s() >= self._retry_at_s):
            kept, self._kept = self._kept, []
            self._write([*kept, *jobs])
        self._upkeep()

    def _wake_at_s(self) -> float:
        wake_at_s = self._retry_at_s if self._kept else monotonic_s() + _FOREVER_S
        return wake_at_s if self._look_every_s is None else min(wake_at_s, self._look_at_s)

    def _write(self, jobs: list[Job]) -> None:
        # Nobody waits any more for an admission that timed out: it must not hold money.
        wanted = [job for job in jobs if not (isinstance(job, AdmitJob) and job.future.done())]
        if len(wanted) < len(jobs):
            self._deliver(
                Report([(job, None) for job in jobs if isinstance(job, AdmitJob) and job.future.done()])
            )
        report = Report()
        refusals = self._refusals_due()
        try:
            with self._ledger.batch(self._clock) as batch:
                for job in wanted:
                    report.answers.append((job, self._apply(batch, job)))
                if refusals:
                    self._count(batch, refusals)
                report.figures = batch.figures()
        except Exception as failure:  # noqa: BLE001  # Whatever it is, each job is answered.
            self._refusals.put_back(refusals)
            self._undone(wanted, failure)
            return
        self._retry_in_s = _FIRST_RETRY_S
        self._calls += len(wanted)
        self._deliver(report)

    def _apply(self, batch: Batch, job: Job) -> Answer:
        try:
            if isinstance(job, AdmitJob):
                return batch.admit(job.call)
            if isinstance(job, EndJob):
                if job.settlement is None:
                    return batch.release(job.request_id, job.status)
                return _told(job.settlement, batch.settle(job.settlement))
            if isinstance(job, KeyJob):
                batch.know_key(job.limiter_key, job.key)
        except Exception as fault:
            if is_of_the_store(fault):
                raise
            return self._faulty(batch, job, fault)
        return None

    def _faulty(self, batch: Batch, job: Job, fault: Exception) -> Answer:
        """One call cannot be written as it is. An admission is refused; an end is charged at its hold."""
        log.error("A call cannot be recorded as it is (%s).", type(job).__name__, exc_info=fault)
        if isinstance(job, EndJob):
            batch.expire(job.request_id)
            return Outcome.UNCHANGED
        return store_error("admit a call", fault)

    def _count(self, batch: Batch, refusals: Refusals) -> None:
        try:
            batch.count_refusals(refusals.by_code, refusals.by_model)
        except Exception as fault:
            if is_of_the_store(fault):
                raise
            log.exception("Refusals could not be counted: %s", refusals)
        self._counted_at_s = monotonic_s()

    def _refusals_due(self) -> Refusals:
        if self._stopping or self._counts_now or monotonic_s() - self._counted_at_s >= REFUSAL_PATIENCE_S:
            return self._refusals.take()
        return Refusals()

    def _undone(self, jobs: list[Job], failure: Exception) -> None:
        """Nothing of the batch was kept."""
        if is_of_the_store(failure):
            self._keep(jobs, failure)
        elif len(jobs) > 1:
            for job in jobs:
                self._write([job])
        else:
            # Alone and still faulty: it would fail for ever, and everything behind it with it.
            log.error("A call cannot be recorded; what it holds stays held.", exc_info=failure)
            self._deliver(Report([(job, store_error("write to the ledger", failure)) for job in jobs]))

    def _keep(self, jobs: list[Job], failure: Exception) -> None:
        """Refuse the admissions; keep the rest, in order, for a later try on a fresh connection."""
        error = failure if isinstance(failure, StoreError) else store_error("write to the ledger", failure)
        self._kept.extend(job for job in jobs if isinstance(job, EndJob | KeyJob | BarrierJob))
        if monotonic_s() - self._said_at_s >= 1.0:
            self._said_at_s = monotonic_s()
            log.error("%s (%d ends of calls wait to be written)", error, len(self._kept))
        self._retry_at_s = monotonic_s() + self._retry_in_s
        self._retry_in_s = min(2 * self._retry_in_s, _LAST_RETRY_S)
        self._deliver(Report([(job, error) for job in jobs if isinstance(job, AdmitJob)]))
        try:
            self._ledger.reopen()
        except MeteringError:
            log.debug("The database cannot be opened again yet.", exc_info=True)

    def _upkeep(self) -> None:
        look = self._look_every_s is not None and monotonic_s() >= self._look_at_s
        if not look and self._calls < _CHECKPOINT_CALLS:
            return
        try:
            # Others write, too: retention does, while nobody calls.
            if self._calls or self._ledger.database.is_wal_large():
                self._ledger.checkpoint()
                self._calls = 0
            if look:
                self._ledger.relock()
                for worker, count in expire_dead(self._ledger, self._clock, self._missing).items():
                    log.warning(
                        "Worker %s is dead: %d calls in flight are charged at their holds.", worker, count
                    )
        except MeteringError as failure:
            log.error("%s", failure)  # noqa: TRY400  # The sentence says it all; it is tried again.
        finally:
            if look and self._look_every_s is not None:
                self._look_at_s = monotonic_s() + self._look_every_s


def _told(settlement: Settlement, outcome: Outcome) -> Outcome:
    """A cost that cannot be charged is an alarm, never silence."""
    if outcome in (Outcome.UNKNOWN, Outcome.UNCHANGED):
        log.error(
            "Request %d %s: its cost of %d nanodollars (%s) is not charged.",
            settlement.request_id,
            "has no row" if outcome is Outcome.UNKNOWN else "was resolved by somebody else",
            settlement.cost_nanousd,
            settlement.basis,
        )
    return outcome
