"""The ledger as the event loop sees it: admissions are awaited, ends of calls are queued, nothing blocks the loop.

One thread behind it commits in groups. An admission waits no longer than its time-out; if it turns out later that it was
committed all the same, its hold is released. The ends of calls are never refused and never dropped while the thread lives.
All methods belong to the loop's thread.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from metering.clock import Clock, now_us
from metering.database import Database
from metering.entries import Admission, Admitted, Figures, Refused, Settlement
from metering.errors import StoreError
from metering.figures import FigureBoard
from metering.inbox import (
    REFUSAL_PATIENCE_S,
    SETTLE_PATIENCE_S,
    AdmitJob,
    BarrierJob,
    EndJob,
    Inbox,
    Job,
    KeyJob,
    NudgeJob,
    RefusalCounts,
)
from metering.ledger import Ledger
from metering.writer_thread import Report, WriterThread

log = logging.getLogger(__name__)

_HINT = "The cause is in the log; calls are refused until it is gone."


class LedgerWriter:
    """Writes for one worker. `start`, use, `drain`."""

    def __init__(
        self,
        database: Database,
        worker: str,
        clock: Clock = now_us,
        *,
        admit_timeout_s: float = 10.0,
        look_every_s: float | None = 2.0,
        waiting_max: int = 10_000,
        on_death: Callable[[], None] | None = None,
    ) -> None:
        """`look_every_s`: how often dead workers are looked for, None for never; `on_death` runs on the loop."""
        self._database = database
        self._worker = worker
        self._clock = clock
        self._admit_timeout_s = admit_timeout_s
        self._look_every_s = look_every_s
        self._waiting_max = waiting_max
        self._on_death = on_death
        self._inbox = Inbox()
        self._refusals = RefusalCounts()
        self._board = FigureBoard()
        self._waiting: dict[AdmitJob, float] = {}
        """Admissions that are not answered, with the moment at which each is given up; the oldest first."""
        self._patience: asyncio.TimerHandle | None = None
        self._barriers: set[BarrierJob] = set()
        self._waker: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: WriterThread | None = None
        self._finished: asyncio.Future[int] | None = None
        self._is_closing = False

    @property
    def alive(self) -> bool:
        """Whether calls can be admitted."""
        return self._is_writing and not self._is_closing

    @property
    def _is_writing(self) -> bool:
        # The thread says that it ends a moment before it is gone: what is queued in between nobody would read.
        ended = self._finished is None or self._finished.done()
        return self._thread is not None and not ended and self._thread.is_alive()

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Open the ledger and start the thread. Raises StoreError."""
        self._loop = loop
        self._finished = loop.create_future()
        self._thread = WriterThread(
            Ledger(self._database, self._worker),
            self._inbox,
            self._refusals,
            self._clock,
            self._look_every_s,
            deliver=lambda report: self._on_loop(self._deliver, report),
            ended=lambda failure, lost: self._on_loop(self._end, failure, lost),
        )
        self._thread.start()

    async def admit(self, call: Admission) -> Admitted | Refused:
        """Hold money for a call, durably, or say why not. Raises StoreError: the call must not go upstream."""
        if self._loop is None or not self.alive:
            raise StoreError("admit a call", "the ledger is not being written", _HINT)
        if len(self._waiting) >= self._waiting_max:
            raise StoreError("admit a call", f"{self._waiting_max} calls wait for the database", _HINT)
        job = AdmitJob(call, self._loop.create_future())
        self._waiting[job] = self._loop.time() + self._admit_timeout_s
        if self._patience is None:
            self._patience = self._loop.call_later(self._admit_timeout_s, self._give_up, self._loop)
        self._inbox.put(job)
        try:
            return await job.future
        except asyncio.CancelledError:
            # The answer may have come in the same turn of the loop in which the caller was cancelled.
            if job.future.done() and not job.future.cancelled() and job.future.exception() is None:
                self._take_back(job.future.result())
            raise

    def settle(self, settlement: Settlement) -> None:
        """Queue the real cost of a call. Never refuses; written within milliseconds, tried again until it is."""
        self._queue_end(EndJob(settlement.request_id, settlement, settlement.status))

    def release(self, request_id: int, status: int | None = None) -> None:
        """Queue the release of a hold: the call consumed nothing."""
        self._queue_end(EndJob(request_id, None, status))

    def know_key(self, limiter_key: int, key: str) -> None:
        """Queue that an upstream has taken a client key. Written with the next batch."""
        if self.alive:
            self._add(KeyJob(limiter_key, key))

    def refused(self, limiter_key: int, code: str, model: str | None = None) -> None:
        """Count a refusal, whoever refused; `model` is one without a price. Written within about a second."""
        if self._refusals.add(limiter_key, code, model) and self.alive and self._loop is not None:
            self._loop.call_later(REFUSAL_PATIENCE_S, self._inbox.put, NudgeJob())

    def figures(self, limiter_key: int) -> Figures | None:
        """The latest figures known in this process, queued ends included; for headers."""
        return self._board.latest(limiter_key)

    async def written(self) -> None:
        """Wait until all that was queued before is committed. Raises StoreError where it never will be."""
        if self._loop is None or not self.alive:
            raise StoreError("write to the ledger", "the ledger is not being written", _HINT)
        job = BarrierJob(self._loop.create_future())
        self._barriers.add(job)
        self._inbox.put(job)
        await job.future

    async def drain(self, deadline_s: float) -> bool:
        """Admit nothing more, write what is queued, end. False where something could not be written in time."""
        if self._thread is None or self._finished is None:
            return True
        if not self._is_closing:
            self._is_closing = True
            self._thread.stop(deadline_s)
        with suppress(TimeoutError):
            # A second more than the thread has: it ends by itself unless it is stuck in the kernel.
            lost = await asyncio.wait_for(asyncio.shield(self._finished), deadline_s + 1.0)
            return lost == 0
        log.error("The writer thread did not end within %g s.", deadline_s)
        return False

    def _queue_end(self, job: EndJob) -> None:
        if not self._is_writing:
            log.error("Request %d cannot be resolved: the ledger is not being written.", job.request_id)
            return
        self._board.queued(job)
        self._add(job)

    def _add(self, job: Job) -> None:
        """For the next batch, or for one of its own where none comes in time."""
        self._inbox.add(job)
        if self._waker is None and self._loop is not None:
            self._waker = self._loop.call_later(SETTLE_PATIENCE_S, self._wake)

    def _wake(self) -> None:
        self._waker = None
        self._inbox.wake()

    def _give_up(self, loop: asyncio.AbstractEventLoop) -> None:
        """Answer the admissions that have waited for too long. One timer serves all of them."""
        self._patience = None
        reason = f"the database did not answer within {self._admit_timeout_s:g} s"
        for job, due_s in self._waiting.items():
            if job.future.done():
                continue
            if due_s > loop.time():
                self._patience = loop.call_at(due_s, self._give_up, loop)
                return
            job.future.set_exception(StoreError("admit a call", reason, _HINT))

    def _take_back(self, answer: object) -> None:
        if isinstance(answer, Admitted):
            self.release(answer.request_id)

    def _deliver(self, report: Report) -> None:
        self._board.committed(report.figures)
        for job, answer in report.answers:
            if isinstance(job, AdmitJob):
                self._answer(job, answer)
            elif isinstance(job, EndJob):
                self._board.written(job)
            elif isinstance(job, BarrierJob):
                self._barriers.discard(job)
                if not job.future.done():
                    job.future.set_result(None)

    def _answer(self, job: AdmitJob, answer: object) -> None:
        self._waiting.pop(job, None)
        if isinstance(answer, Admitted):
            self._board.held(job.call.limiter_key, answer)
        if job.future.done():
            self._take_back(answer)
        elif isinstance(answer, Admitted | Refused):
            job.future.set_result(answer)
        elif isinstance(answer, StoreError):
            job.future.set_exception(answer)

    def _end(self, failure: BaseException | None, lost: int) -> None:
        if lost:
            log.error("%d ends of calls could not be written: their holds will expire.", lost)
        error = StoreError("write to the ledger", "the writer thread has ended", _HINT)
        jobs: list[Job] = [*self._waiting, *self._barriers]
        for job in jobs:
            if isinstance(job, AdmitJob | BarrierJob) and not job.future.done():
                job.future.set_exception(error)
        self._waiting.clear()
        for timer in (self._patience, self._waker):
            if timer is not None:
                timer.cancel()
        self._barriers.clear()
        if self._finished is not None and not self._finished.done():
            self._finished.set_result(lost)
        if failure is not None and self._on_death is not None:
            self._on_death()

    def _on_loop[*Facts](self, tell: Callable[[*Facts], None], *facts: *Facts) -> None:
        # A loop that was closed without draining has nobody left to tell.
        with suppress(RuntimeError):
            if self._loop is not None:
                self._loop.call_soon_threadsafe(tell, *facts)
