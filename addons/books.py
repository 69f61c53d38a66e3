"""What one proxy process keeps open: the ledger's writer, the price book, a reader of limiters, its own liveness.

Limiters and moving averages are remembered, and a decision never rests on it: an admission names the version that it
was priced with, and the ledger answers `limiter_changed` where that is old. What needs no admission reads afresh.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from contextlib import suppress

from metering import keyfile, ledger, retention
from metering.clock import Clock, now_us
from metering.database import Database, store_error
from metering.errors import MeteringError
from metering.estimates import Learned
from metering.limiters import Limiter, by_code
from metering.liveness import Worker
from metering.pricing import PriceBookFile
from metering.settings import Settings
from metering.writer import LedgerWriter

log = logging.getLogger(__name__)

REMEMBERED_MAX = 50_000
RETENTION_EVERY_S = 3_600.0


class Books:
    """Open from its making to `close`; belongs to the event loop's thread."""

    def __init__(self, settings: Settings, clock: Clock = now_us) -> None:
        """Open everything but the writer. Raises MeteringError."""
        self.settings = settings
        self.clock = clock
        self.database = Database(settings.database_path)
        self.database.migrate(clock)
        self.prices = PriceBookFile(
            settings.pricing_file,
            clock=clock,
            on_error=lambda error: log.error("The price book is not reloaded. %s", error),
            on_reload=lambda _: log.warning("The price book was reloaded."),
            start=_in_a_thread,
        )
        self.secret = keyfile.read_or_make(keyfile.beside(self.database.path, "users-key")).encode()
        self._reader = self.database.open_reader()
        self._limiters: dict[str, Limiter] = {}
        self._learned: dict[tuple[int, str], Learned | None] = {}
        self._known_keys: dict[tuple[int, str], None] = {}
        self.worker = Worker.start(self.database, "proxy")
        self.writer: LedgerWriter | None = None

    def start(self, on_death: Callable[[], None]) -> LedgerWriter:
        """Start the writer on the running loop. Raises StoreError."""
        self.writer = LedgerWriter(self.database, self.worker.name, self.clock, on_death=on_death)
        self.writer.start(asyncio.get_running_loop())
        return self.writer

    async def close(self, deadline_s: float) -> None:
        """Write what is queued and close everything; a worker that lost ends of calls stays undeclared."""
        is_written = True
        if self.writer is not None:
            is_written = await self.writer.drain(deadline_s)
        self._reader.close()
        if is_written:
            self.worker.stop()

    def limiter(self, code: str, *, fresh: bool) -> Limiter | None:
        """The limiter with this code; a remembered one unless `fresh`. Raises StoreError."""
        if not fresh and (remembered := self._limiters.get(code)) is not None:
            return remembered
        found = self._read(lambda reader: by_code(reader, code))
        if found is None:
            self._limiters.pop(code, None)
        else:
            _remember(self._limiters, code, found)
        return found

    def learned(self, limiter_key: int, model: str) -> Learned | None:
        """The moving averages of a limiter and model. Raises StoreError."""
        place = (limiter_key, model)
        if place not in self._learned:
            found = self._read(lambda reader: ledger.learned(reader, limiter_key, model))
            averages = None if found is None else Learned(*found)
            _remember(self._learned, place, averages)
        return self._learned[place]

    def learn(self, limiter_key: int, model: str, averages: Learned) -> None:
        """Go on with these averages; the settle stores them."""
        _remember(self._learned, (limiter_key, model), averages)

    def is_known_key(self, limiter_key: int, key: str) -> bool:
        """Whether this client key has ever had a 2xx through this limiter, in whichever process."""
        if (limiter_key, key) in self._known_keys:
            return True
        try:
            return self._read(lambda reader: ledger.knows_key(reader, limiter_key, key))
        except MeteringError as failure:
            # What cannot be known is dear, not free.
            log.error("%s", failure)  # noqa: TRY400  # The sentence says it all.
            return True

    def know_key(self, limiter_key: int, key: str) -> None:
        """The upstream has taken this client key; written once by each process."""
        if (limiter_key, key) not in self._known_keys:
            _remember(self._known_keys, (limiter_key, key), None)
            if self.writer is not None:
                self.writer.know_key(limiter_key, key)

    async def keep_retention(self) -> None:
        """Delete what is older than the retention, now and each hour; runs until it is cancelled."""
        days = self.settings.retention_days
        while days is not None:
            try:
                # Step by step: whoever stops the process waits for one step, however much there is to delete.
                while await asyncio.to_thread(retention.prune_step, self.database, days, self.clock()):
                    pass
            except MeteringError as failure:
                log.error("%s", failure)  # noqa: TRY400  # The sentence says it all; it is tried again.
            await asyncio.sleep(RETENTION_EVERY_S)

    def _read[Found](self, read: Callable[[sqlite3.Connection], Found]) -> Found:
        try:
            return read(self._reader)
        except sqlite3.Error as failure:
            # A connection that has met a fault may keep it; the next reader gets a new one.
            with suppress(MeteringError):
                fresh = self.database.open_reader()
                self._reader.close()
                self._reader = fresh
            raise store_error("read a limiter", failure) from failure


def _remember[Key, Value](known: dict[Key, Value], key: Key, value: Value) -> None:
    """The oldest goes when there are too many."""
    known[key] = value
    if len(known) > REMEMBERED_MAX:
        del known[next(iter(known))]


def _in_a_thread(work: Callable[[], None]) -> None:
    """Reading the price book takes tenths of a second: not on the loop."""
    asyncio.get_running_loop().run_in_executor(None, work)
