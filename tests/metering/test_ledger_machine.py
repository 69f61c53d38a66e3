"""Any order of operations over two ledgers on one database keeps Σ rows = windows = rollups.

Hypothesis picks the order: holds, settles, releases, expiries, late settles, several of them in one transaction, transactions
that fail, crashes, restarts, changed periods and budgets, retention, and a clock that goes on and steps back. A model in
plain Python says what has to come out.
"""

import tempfile
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from metering import rollups
from metering.batch import Batch
from metering.clock import DAY_US, HOUR_US, MINUTE_US
from metering.entries import Admitted, Basis, Mode, Outcome, Refused
from metering.expiry import expire_dead
from metering.ledger import Ledger
from metering.liveness import Worker
from metering.periods import Period, window_at
from metering.retention import prune
from metering.verify import verify
from tests.metering.books import Books

IN_MEMORY = Path("/dev/shm")
"""Thousands of transactions, each on its way to the disk, would take long where others use it, too."""
DICE = st.randoms(use_true_random=True)
"""Seeded by what Hypothesis draws. Drawn one by one, the choices of an example are too much alike to get anywhere."""
STRICT = 2
"""The limiter that admits in strict alone, and keeps its period."""
WORKERS = st.integers(min_value=0, max_value=1)
AMOUNT_MAX = 400
NAMED_USERS = 2
MODES: list[Mode] = ["soft", "strict", "observe", "free"]
USERS = ["alice", "bob", "carol", rollups.OTHERS]
SERVED = [None, "gpt-4o-2024-08-06"]
BASES: list[Basis] = ["reported", "reported", "estimated"]
CALLS = ["admit", "admit", "admit", "settle", "settle", "release"]
FATES = ["taken for dead", "taken for dead", "ends", "dies", "all die", "reopens"]
EVENTS = ["period", "budget", "code", "later", "later", "later", "earlier", "retention", "retention", "file"]


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


class Failure(Exception):
    """What makes a transaction fail in the end."""


class TwoLedgers(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory(dir=IN_MEMORY if IN_MEMORY.is_dir() else None)
        self.users_a_day, rollups.USERS_A_DAY = rollups.USERS_A_DAY, NAMED_USERS
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

    # Few rules, so that every other step is calls of one worker in one transaction

    @rule(dice=DICE)
    def the_left_writes(self, dice: Random) -> None:
        self.write(0, dice)

    @rule(dice=DICE)
    def the_right_writes(self, dice: Random) -> None:
        self.write(1, dice)

    @rule(side=WORKERS, dice=DICE)
    def workers_come_and_go(self, side: int, dice: Random) -> None:
        event = dice.choice(FATES)
        if event == "taken for dead":
            # What must not happen may happen: the owner comes back, and settles late.
            self.expired(self.sides[side].worker.name)
            self.sides[1 - side].ledger.expire_worker(self.sides[side].worker.name, self.books.now_us)
        elif event == "reopens":
            self.sides[side].ledger.reopen()
        elif event == "all die":
            for each in (0, 1):
                self.close(each, in_order=False)
            self.sides = [self.start("again"), self.start("again")]
            self.look(0)
        else:
            self.close(side, in_order=event == "ends")
            self.look(1 - side)
            self.books.database.migrate()
            self.sides[side] = self.start("again")

    @rule(dice=DICE)
    def everything_around_them_changes(self, dice: Random) -> None:
        limiter = dice.randrange(3)
        before = self.limiters[limiter]
        match dice.choice(EVENTS):
            case "period" if limiter != STRICT:
                # Several windows that were within the budget may together make a longer one that is not.
                period = dice.choice([*Period])
                self.limiters[limiter] = self.books.limiters.update(before.id, period_type=period.value)
            case "budget":
                budget = dice.choice([0, dice.randint(0, 2_000)])
                self.limiters[limiter] = self.books.limiters.update(
                    before.id, budget_limit=Decimal(budget).scaleb(-9)
                )
                self.budgets[limiter] = budget
            case "code":
                self.limiters[limiter] = self.books.limiters.rotate_code(before.id)
                answer = self.sides[0].ledger.admit(self.books.call(before), self.books.now_us)
                assert isinstance(answer, Refused)
                assert answer.code == "limiter_changed"
            case "later":
                step = dice.choice([1, MINUTE_US, HOUR_US, DAY_US, 7 * DAY_US, 32 * DAY_US])
                self.books.now_us += step
                self.latest_us = max(self.latest_us, self.books.now_us)
            case "earlier":
                # No further than retention leaves the rows: a minute that is gone cannot be added up again.
                step = dice.choice([1, MINUTE_US, HOUR_US, DAY_US])
                if self.books.now_us - step >= self.latest_us - DAY_US:
                    self.books.now_us -= step
            case "retention":
                self.prune()
            case "file":
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
    def nothing_is_below_zero(self) -> None:
        below = "select count(*) from windows where min(spent_nanousd, held_nanousd, requests, tokens) < 0"
        assert self.rows(below) == [(0,)]

    @invariant()
    def only_so_many_users_a_day_have_a_name(self) -> None:
        named = "select count(*) from user_days where user <> ? group by limiter, day_us"
        assert all(count <= NAMED_USERS for (count,) in self.rows(named, rollups.OTHERS))

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
        for request, known in self.model.items():
            if known.state == "held":
                with self.sides[0].ledger.batch(self.books.clock) as batch:
                    self.settled(batch, 0, request, known.hold, "reported", None)
        assert self.rows("select coalesce(sum(held_nanousd), 0) from windows") == [(0,)]
        self.sums_agree_with_rows()
        for side in self.sides:
            side.ledger.close()
            side.worker.stop()
        self.books.stack.close()
        self.directory.cleanup()
        rollups.USERS_A_DAY = self.users_a_day

    # What the rules share: each step does it and says what has to come of it

    def write(self, side: int, dice: Random) -> None:
        before = deepcopy((self.model, self.strict_budgets))
        steps = dice.choices(CALLS, k=dice.randint(1, 6))
        with suppress(Failure), self.sides[side].ledger.batch(self.books.clock) as batch:
            for step in steps:
                if step == "admit":
                    self.admit(batch, side, dice)
                elif step == "settle" and self.model:
                    self.settle(batch, side, dice)
                elif self.model:
                    self.release(batch, side, dice)
            if dice.random() < 0.2:
                self.model, self.strict_budgets = before
                raise Failure

    def admit(self, batch: Batch, side: int, dice: Random) -> None:
        limiter = dice.randrange(3)
        mode: Mode = "strict" if limiter == STRICT else dice.choice(MODES)
        at_least = dice.choice([None, dice.randint(1, 50)])
        used, budget = self.used(limiter), self.budgets[limiter]
        hold = self.hold(dice, budget - used)
        call = self.books.call(self.limiters[limiter], hold, mode, at_least, dice.choice(USERS))
        answer = batch.admit(call)
        fits = used + hold <= budget or (at_least is not None and used + at_least <= budget)
        wanted = {"soft": used < budget, "strict": fits, "observe": True, "free": True}[mode]
        assert isinstance(answer, Admitted if wanted else Refused)
        assert answer.used_nanousd == used + (answer.held_nanousd if isinstance(answer, Admitted) else 0)
        if isinstance(answer, Refused):
            assert answer.code == "budget_exceeded"
            return
        if mode == "strict":
            assert answer.used_nanousd <= budget
            assert answer.held_nanousd == min(hold, budget - used)
            if limiter == STRICT:
                self.admitted_in_strict(budget)
        assert answer.over_budget == (mode == "observe" and used >= budget)
        self.model[answer.request_id] = Modelled(
            limiter, self.sides[side].worker.name, mode, self.books.now_us, answer.held_nanousd
        )

    def settle(self, batch: Batch, side: int, dice: Random) -> None:
        request, cost = self.one(side, dice), dice.randint(0, AMOUNT_MAX)
        self.settled(batch, side, request, cost, dice.choice(BASES), dice.choice(SERVED))
        if dice.random() < 0.5:
            self.settled(batch, side, request, cost + 1, "reported", None)

    def settled(
        self, batch: Batch, side: int, request: int, cost: int, basis: Basis, served: str | None
    ) -> None:
        known = self.model[request]
        cost = min(cost, known.hold) if known.mode == "strict" else cost
        outcome = batch.settle(self.books.settlement(request, cost, basis, served))
        is_own = known.worker == self.sides[side].worker.name
        late = known.state == "expired" and basis == "reported" and is_own
        if known.is_deleted:
            assert outcome is Outcome.UNKNOWN
        elif known.state == "held" or late:
            assert outcome is (Outcome.SETTLED_LATE if late else Outcome.SETTLED)
            known.state, known.cost = "settled", cost
        else:
            assert outcome is Outcome.UNCHANGED

    def release(self, batch: Batch, side: int, dice: Random) -> None:
        request = self.one(side, dice)
        known = self.model[request]
        outcome = batch.release(request, 500)
        if known.is_deleted:
            assert outcome is Outcome.UNKNOWN
        elif known.state == "held":
            assert outcome is Outcome.RELEASED
            known.state = "released"
        else:
            assert outcome is Outcome.UNCHANGED

    def prune(self) -> None:
        prune(self.books.database, 2, self.latest_us, step_rows=3)
        before_us = self.latest_us - 2 * DAY_US
        before_us -= before_us % DAY_US
        for identity, known in self.model.items():
            old = known.admitted_at_us < before_us and known.state != "held"
            known.is_deleted |= old and identity != max(self.model)

    def one(self, side: int, dice: Random) -> int:
        """A request in a state that is drawn, or any where there is none."""
        state = dice.choice(["held", "expired", "its own, expired", "any"])
        mine = self.sides[side].worker.name
        found = [
            request
            for request, known in self.model.items()
            if known.state == state or (state.endswith(known.state) and known.worker == mine)
        ]
        return dice.choice(found or [*self.model])

    def hold(self, dice: Random, left: int) -> int:
        """Any amount, just what is left, or a nanodollar more."""
        return dice.choice(
            [dice.randint(0, AMOUNT_MAX), dice.randint(0, AMOUNT_MAX), max(0, left), max(0, left) + 1]
        )

    def close(self, side: int, in_order: bool) -> None:
        lost = self.sides[side]
        lost.ledger.close()
        if in_order:
            lost.worker.stop()
        else:
            lost.worker._lock.close()
        self.expired(lost.worker.name)

    def look(self, side: int) -> None:
        missing: set[str] = set()
        for _ in range(2):
            expire_dead(self.sides[side].ledger, self.books.clock, missing)

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

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.sides[0].ledger.connection.execute(query, values).fetchall()


TwoLedgers.TestCase.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestTwoLedgers = TwoLedgers.TestCase
