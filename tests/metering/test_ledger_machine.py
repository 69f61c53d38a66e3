"""Any order of operations over two ledgers on one database keeps Σ rows = windows = rollups.

Hypothesis picks the order: holds, settles, releases, expiries, late settles, crashes, restarts, changed periods and
budgets, retention, and a clock that goes on and steps back. A model in plain Python says what has to come out.
"""

import tempfile
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from metering.clock import DAY_US, HOUR_US, MINUTE_US
from metering.entries import Admitted, Basis, Mode, Outcome, Refused
from metering.expiry import expire_dead
from metering.ledger import Ledger
from metering.liveness import Worker
from metering.periods import Period, window_at
from metering.retention import prune
from metering.verify import verify
from tests.metering.books import Books

LIMITERS = st.integers(min_value=0, max_value=2)
STRICT = 2
"""The limiter that admits in strict alone, and keeps its period."""
WORKERS = st.integers(min_value=0, max_value=1)
AMOUNTS = st.integers(min_value=0, max_value=400)


@dataclass
class Modelled:
    """A request as the model knows it."""

    limiter: int
    worker: str
    mode: Mode
    admitted_at_us: int
    hold: int
    state: str = "held"
    cost: int = 0
    is_deleted: bool = False


@dataclass
class Side:
    """A worker and its ledger."""

    worker: Worker
    ledger: Ledger


class TwoLedgers(RuleBasedStateMachine):
    requests = Bundle("requests")

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.books = Books(Path(self.directory.name) / "usage_data.db")
        self.limiters = [
            self.books.limiter(1_000, "day"),
            self.books.limiter(700, "hour"),
            self.books.limiter(900, "day", enforcement="strict"),
        ]
        self.budgets = [1_000, 700, 900]
        self.strict_budgets: dict[int, int] = {}
        self.sides = [self.start("left"), self.start("right")]
        self.model: dict[int, Modelled] = {}
        self.latest_us = self.books.now_us

    def start(self, kind: str) -> Side:
        worker = Worker.start(self.books.database, kind)
        return Side(worker, Ledger(self.books.database, worker.name))

    @rule(
        target=requests,
        side=WORKERS,
        limiter=LIMITERS,
        hold=AMOUNTS,
        mode=st.sampled_from(["soft", "strict", "observe", "free"]),
        at_least=st.none() | st.integers(min_value=1, max_value=50),
        user=st.sampled_from(["alice", "bob"]),
    )
    def admit(
        self, side: int, limiter: int, hold: int, mode: Mode, at_least: int | None, user: str
    ) -> object:
        mode = "strict" if limiter == STRICT else mode
        call = self.books.call(self.limiters[limiter], hold, mode, at_least, user)
        used, budget = self.used(limiter), self.budgets[limiter]
        answer = self.sides[side].ledger.admit(call, self.books.now_us)
        fits = used + hold <= budget or (at_least is not None and used + at_least <= budget)
        wanted = {"soft": used < budget, "strict": fits, "observe": True, "free": True}[mode]
        assert isinstance(answer, Admitted if wanted else Refused)
        assert answer.used_nanousd == used + (answer.held_nanousd if isinstance(answer, Admitted) else 0)
        if isinstance(answer, Refused):
            assert answer.code == "budget_exceeded"
            return multiple()
        if mode == "strict":
            assert answer.used_nanousd <= budget
            assert answer.held_nanousd == min(hold, budget - used)
            if limiter == STRICT:
                self.admitted_in_strict(budget)
        assert answer.over_budget == (mode == "observe" and used >= budget)
        self.model[answer.request_id] = Modelled(
            limiter, self.sides[side].worker.name, mode, self.books.now_us, answer.held_nanousd
        )
        return answer.request_id

    @rule(
        request=requests,
        side=WORKERS,
        cost=AMOUNTS,
        basis=st.sampled_from(["reported", "estimated"]),
        served=st.sampled_from([None, "gpt-4o-2024-08-06"]),
    )
    def settle(self, request: int, side: int, cost: int, basis: Basis, served: str | None) -> None:
        known, ledger = self.model[request], self.sides[side].ledger
        cost = min(cost, known.hold) if known.mode == "strict" else cost
        outcome = ledger.settle(self.books.settlement(request, cost, basis, served), self.books.now_us)
        late = known.state == "expired" and basis == "reported" and known.worker == ledger.worker
        if known.is_deleted:
            assert outcome is Outcome.UNKNOWN
        elif known.state == "held" or late:
            assert outcome is (Outcome.SETTLED_LATE if late else Outcome.SETTLED)
            known.state, known.cost = "settled", cost
        else:
            assert outcome is Outcome.UNCHANGED

    @rule(request=requests, side=WORKERS)
    def release(self, request: int, side: int) -> None:
        known = self.model[request]
        outcome = self.sides[side].ledger.release(request, 500, self.books.now_us)
        if known.is_deleted:
            assert outcome is Outcome.UNKNOWN
        elif known.state == "held":
            assert outcome is Outcome.RELEASED
            known.state = "released"
        else:
            assert outcome is Outcome.UNCHANGED

    @rule(request=consumes(requests), side=WORKERS, cost=AMOUNTS)
    def settle_twice(self, request: int, side: int, cost: int) -> None:
        self.settle(request, side, cost, "reported", None)
        self.settle(request, side, cost + 1, "reported", None)

    @rule(side=WORKERS)
    def expire_a_living_worker(self, side: int) -> None:
        """What must not happen may happen: the owner comes back, and settles late."""
        self.expired(self.sides[side].worker.name)
        self.sides[1 - side].ledger.expire_worker(self.sides[side].worker.name, self.books.now_us)

    @rule(side=WORKERS)
    def crash(self, side: int) -> None:
        lost = self.sides[side]
        lost.ledger.close()
        lost.worker._lock.close()
        self.expired(lost.worker.name)
        expire_dead(self.sides[1 - side].ledger, self.books.clock, set())
        self.books.database.migrate()
        self.sides[side] = self.start("again")

    @rule(side=WORKERS)
    def restart_without_expiry(self, side: int) -> None:
        """The same worker opens its ledger again, as after an error of the disk."""
        self.sides[side].ledger.reopen()

    @rule(limiter=LIMITERS, period=st.sampled_from(Period))
    def change_period(self, limiter: int, period: Period) -> None:
        # Several windows that were within the budget may together make a longer one that is not.
        if limiter != STRICT:
            before = self.limiters[limiter]
            self.limiters[limiter] = self.books.limiters.update(before.id, period_type=period.value)

    @rule(limiter=LIMITERS, budget=st.integers(min_value=0, max_value=2_000))
    def edit_budget(self, limiter: int, budget: int) -> None:
        before = self.limiters[limiter]
        self.limiters[limiter] = self.books.limiters.update(
            before.id, budget_limit=Decimal(budget).scaleb(-9)
        )
        self.budgets[limiter] = budget

    @rule(limiter=LIMITERS)
    def rotate_code(self, limiter: int) -> None:
        self.limiters[limiter] = self.books.limiters.rotate_code(self.limiters[limiter].id)

    @rule(step=st.sampled_from([1, MINUTE_US, HOUR_US, DAY_US, 7 * DAY_US, 32 * DAY_US]))
    def clock_goes_on(self, step: int) -> None:
        self.books.now_us += step
        self.latest_us = max(self.latest_us, self.books.now_us)

    @rule(step=st.sampled_from([1, MINUTE_US, HOUR_US, DAY_US]))
    def clock_steps_back(self, step: int) -> None:
        # No further than retention leaves the rows: a minute that is gone cannot be added up again.
        if self.books.now_us - step >= self.latest_us - DAY_US:
            self.books.now_us -= step

    @rule()
    def prune(self) -> None:
        prune(self.books.database, 2, self.latest_us, step_rows=3)
        before_us = self.latest_us - 2 * DAY_US
        before_us -= before_us % DAY_US
        for identity, known in self.model.items():
            old = known.admitted_at_us < before_us and known.state != "held"
            known.is_deleted |= old and identity != max(self.model)

    @rule()
    def checkpoint(self) -> None:
        self.sides[0].ledger.checkpoint()

    @invariant()
    def sums_agree_with_rows(self) -> None:
        assert verify(self.books.database, integrity=False) == []

    @invariant()
    def strict_never_exceeds(self) -> None:
        """Whatever else happened: what a window spent and holds is within a budget that it was admitted under."""
        limiter = self.limiters[STRICT]
        rows = self.sides[0].ledger.connection.execute(
            "select start_us, spent_nanousd + held_nanousd from windows where limiter = ?", (limiter.key,)
        )
        for start_us, used_nanousd in rows.fetchall():
            assert used_nanousd <= self.strict_budgets.get(start_us, 0)

    @invariant()
    def windows_agree_with_the_model(self) -> None:
        for number, limiter in enumerate(self.limiters):
            window = self.sides[0].ledger.window(limiter.key, self.books.now_us)
            inside = [
                known
                for known in self.model.values()
                if known.limiter == number
                and known.admitted_at_us in window.window
                and known.state != "released"
            ]
            assert window.window == window_at(limiter.period, self.books.now_us)
            assert window.held_nanousd == sum(known.hold for known in inside if known.state == "held")
            assert window.spent_nanousd == sum(known.cost for known in inside)
            assert window.requests == len(inside)

    @invariant()
    def rows_are_in_the_state_of_the_model(self) -> None:
        stored = dict(self.sides[0].ledger.connection.execute("select id, state from requests").fetchall())
        assert stored == {
            identity: known.state for identity, known in self.model.items() if not known.is_deleted
        }

    def teardown(self) -> None:
        for identity, known in self.model.items():
            if known.state == "held":
                self.settle(identity, 0, known.hold, "reported", None)
        held = self.sides[0].ledger.connection.execute("select coalesce(sum(held_nanousd), 0) from windows")
        assert held.fetchone() == (0,)
        self.sums_agree_with_rows()
        for side in self.sides:
            side.ledger.close()
            side.worker.stop()
        self.books.stack.close()
        self.directory.cleanup()

    def used(self, limiter: int) -> int:
        window = window_at(self.limiters[limiter].period, self.books.now_us)
        return sum(
            known.hold if known.state == "held" else known.cost
            for known in self.model.values()
            if known.limiter == limiter and known.admitted_at_us in window
        )

    def admitted_in_strict(self, budget: int) -> None:
        start_us = window_at(self.limiters[STRICT].period, self.books.now_us).start_us
        self.strict_budgets[start_us] = max(budget, self.strict_budgets.get(start_us, 0))

    def expired(self, worker: str) -> None:
        for known in self.model.values():
            if known.state == "held" and known.worker == worker:
                known.state, known.cost = "expired", known.hold


TwoLedgers.TestCase.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestTwoLedgers = TwoLedgers.TestCase
