"""The calls of one write transaction: admitted, settled, released, expired.

Two calls in one batch see each other. Windows and hourly sums are kept in memory and written once, at the end; a call's
own row is written at once, by a single statement, and what is in memory changes only after it. So one faulty
call leaves no trace in its batch, without a savepoint for each. Admitting may refuse; settling never does.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, replace

from metering import refused, rows
from metering.entries import Admission, Admitted, Figures, Outcome, Refused, Settlement
from metering.periods import Period, window_at
from metering.rollups import Rollups, tally
from metering.usage import Usage
from metering.windows import WindowFigures, Windows

KNOWN_KEYS_MAX = 10_000
"""Fingerprints of client keys kept of one limiter."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What decides an admission, as the transaction reads it."""

    version: int
    is_active: bool
    is_deleted: bool
    budget_nanousd: int
    period: Period


class Batch:
    """One transaction. `now_us` is the moment of everything in it."""

    def __init__(self, connection: sqlite3.Connection, worker: str, now_us: int) -> None:
        self.now_us = now_us
        self._connection = connection
        self._worker = worker
        self._windows = Windows(connection)
        self._rollups = Rollups(connection)
        self._terms: dict[int, Terms | None] = {}
        self._learned: dict[tuple[int, str], tuple[int, int]] = {}

    def admit(self, call: Admission) -> Admitted | Refused:
        """Hold money for a call, or say why not."""
        terms = self._terms_of(call.limiter_key)
        if terms is None or terms.is_deleted:
            return Refused(code="limiter_not_found", at_us=self.now_us)
        if not terms.is_active:
            return Refused(code="limiter_inactive", at_us=self.now_us)
        if terms.version != call.limiter_version:
            return Refused(code="limiter_changed", at_us=self.now_us)
        figures = self._current(call.limiter_key, terms)
        used = figures.used_nanousd
        hold = _hold(call, used, terms.budget_nanousd)
        if hold is None:
            return Refused(
                code="budget_exceeded",
                budget_nanousd=terms.budget_nanousd,
                used_nanousd=used,
                period=terms.period,
                window=figures.window,
                hold_nanousd=call.hold_nanousd,
                at_least_nanousd=call.at_least_nanousd,
                mode=call.mode,
                at_us=self.now_us,
            )
        over = call.mode == "observe" and used >= terms.budget_nanousd
        identity = rows.insert_held(self._connection, call, self._worker, hold, over, self.now_us)
        figures.held_nanousd += hold
        figures.requests += 1
        figures.is_changed = True
        return Admitted(
            request_id=identity,
            admitted_at_us=self.now_us,
            window=figures.window,
            period=terms.period,
            budget_nanousd=terms.budget_nanousd,
            used_nanousd=figures.used_nanousd,
            held_nanousd=hold,
            over_budget=over,
        )

    def settle(self, settlement: Settlement) -> Outcome:
        """Replace a hold by the real cost, whatever it is. An expired hold yields to reported usage of its owner."""
        row = rows.read(self._connection, settlement.request_id)
        if row is None:
            return Outcome.UNKNOWN
        late = row.state == "expired" and settlement.basis == "reported" and row.worker == self._worker
        if row.state != "held" and not late:
            return Outcome.UNCHANGED
        usage = rows.bounded(settlement.usage)
        cost = min(max(settlement.cost_nanousd, 0), rows.AMOUNT_MAX_NANOUSD)
        grouped = row.grouped if late else self._is_grouped(row)
        figures = self._windows.containing(row.limiter, row.admitted_at_us)
        counted = tally(usage, cost, settlement.basis)
        averages = _averages(settlement)
        if usage is not settlement.usage:
            settlement = replace(settlement, usage=usage)
        rows.settle(self._connection, settlement, row, grouped, cost, self.now_us)
        # From here on nothing can fail: the row is written and the sums follow in memory.
        if late:
            expired = tally(Usage(), row.hold_nanousd, row.basis or "estimated")
            self._rollups.take_back(row.limiter, row.admitted_at_us, row.model, row.user, grouped, expired)
        model = settlement.model_served or row.model
        self._rollups.add(row.limiter, row.admitted_at_us, model, row.user, grouped, counted)
        if figures is not None:
            if late:
                figures.spent_nanousd -= row.hold_nanousd
            else:
                figures.held_nanousd -= row.hold_nanousd
            figures.spent_nanousd += cost
            figures.tokens += usage.total_tokens
            figures.is_changed = True
        if averages is not None:
            self._learned[row.limiter, row.model] = averages
        return Outcome.SETTLED_LATE if late else Outcome.SETTLED

    def release(self, request_id: int, status: int | None) -> Outcome:
        """Give a hold back: nothing was consumed."""
        row = rows.read(self._connection, request_id)
        if row is None:
            return Outcome.UNKNOWN
        if row.state != "held":
            return Outcome.UNCHANGED
        figures = self._windows.containing(row.limiter, row.admitted_at_us)
        rows.release(self._connection, request_id, status, self.now_us)
        if figures is not None:
            figures.held_nanousd -= row.hold_nanousd
            figures.requests -= 1
            figures.is_changed = True
        return Outcome.RELEASED

    def expire(self, request_id: int) -> bool:
        """Charge a held call at its hold, for whoever will never settle it."""
        row = rows.read(self._connection, request_id)
        if row is None or row.state != "held":
            return False
        basis = row.basis or "estimated"
        grouped = self._is_grouped(row)
        figures = self._windows.containing(row.limiter, row.admitted_at_us)
        rows.expire(self._connection, request_id, basis, grouped, self.now_us)
        counted = tally(Usage(), row.hold_nanousd, basis)
        self._rollups.add(row.limiter, row.admitted_at_us, row.model, row.user, grouped, counted)
        if figures is not None:
            figures.held_nanousd -= row.hold_nanousd
            figures.spent_nanousd += row.hold_nanousd
            figures.is_changed = True
        return True

    def expire_worker(self, worker: str) -> int:
        """Expire all that a worker holds; returns how many. The caller knows that the worker is dead."""
        return sum(self.expire(identity) for identity in rows.held_of(self._connection, worker))

    def count_refusals(
        self, by_code: Mapping[tuple[int, str], int], by_model: Mapping[tuple[int, str], int] | None = None
    ) -> None:
        """Add up refusals by limiter and code, and those for the want of a price by limiter and model."""
        refused.count_codes(self._connection, by_code, self.now_us)
        refused.count_models(self._connection, by_model or {}, self.now_us)

    def know_key(self, limiter: int, key: str) -> None:
        """Keep that an upstream has taken a client key. A limiter with very many of them learns no more."""
        self._connection.execute(_KNOW_KEY, (limiter, key, limiter, KNOWN_KEYS_MAX))

    def figures(self) -> dict[int, Figures]:
        """The current windows of the limiters that this batch has touched, for response headers."""
        current = {}
        for limiter in self._windows.touched():
            terms = self._terms_of(limiter)
            figures = self._windows.containing(limiter, self.now_us)
            if terms is not None and figures is not None:
                current[limiter] = Figures(terms.budget_nanousd, figures.used_nanousd, figures.window)
        return current

    def flush(self) -> None:
        """Write the sums. Belongs right before the commit."""
        self._rollups.flush()
        self._windows.flush()
        if self._learned:
            self._connection.executemany(
                _LEARN, [(*key, *averages) for key, averages in self._learned.items()]
            )
            self._learned.clear()

    def _terms_of(self, limiter: int) -> Terms | None:
        if limiter not in self._terms:
            found = self._connection.execute(_TERMS, (limiter,)).fetchone()
            self._terms[limiter] = (
                None
                if found is None
                else Terms(found[0], bool(found[1]), found[2] is not None, found[3], Period(found[4]))
            )
        return self._terms[limiter]

    def _current(self, limiter: int, terms: Terms) -> WindowFigures:
        figures = self._windows.containing(limiter, self.now_us)
        if figures is None:
            # The new window is computed from the sums in the database, so they have to be there.
            self._rollups.flush()
            figures = self._windows.create(limiter, window_at(terms.period, self.now_us))
        return figures

    def _is_grouped(self, row: rows.Row) -> bool:
        return not self._rollups.has_own_row(row.limiter, row.admitted_at_us, row.user)


def _hold(call: Admission, used_nanousd: int, budget_nanousd: int) -> int | None:
    """What is to be held, or None where the budget refuses."""
    rest = budget_nanousd - used_nanousd
    if call.mode == "strict":
        if call.hold_nanousd <= rest:
            return call.hold_nanousd
        if call.at_least_nanousd is not None and call.at_least_nanousd <= rest:
            return rest
        return None
    if call.mode == "soft" and rest <= 0:
        return None
    return min(call.hold_nanousd, rows.HOLD_MAX_NANOUSD)


def _averages(settlement: Settlement) -> tuple[int, int] | None:
    learned = settlement.learned
    if learned is None:
        return None
    return (
        min(max(learned.output_tokens, 0), rows.COUNT_MAX),
        min(max(learned.input_ratio_ppm, 0), rows.COUNT_MAX),
    )


_TERMS = "select version, is_active, deleted_at_us, budget_nanousd, period from limiters where key = ?"
_LEARN = """
    insert into learned (limiter, model, output_tokens, input_ratio_ppm) values (?, ?, ?, ?)
    on conflict (limiter, model) do update set
        output_tokens = excluded.output_tokens, input_ratio_ppm = excluded.input_ratio_ppm"""
_KNOW_KEY = """
    insert or ignore into known_keys (limiter, key)
    select ?, ? where (select count(*) from known_keys where limiter = ?) < ?"""
