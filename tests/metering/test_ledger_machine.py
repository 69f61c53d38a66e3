"""Any order of operations over two ledgers on one database keeps Σ rows = windows = rollups.

Hypothesis picks the order: holds, settles, releases, expiries, late settles, several of them in one transaction, transactions
that fail, crashes, restarts, changed periods and budgets, retention, and a clock that goes on and steps back. A model in
plain Python says what has to come out.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

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
LIMITERS = st.integers(min_value=0, max_value=2)
STRICT = 2
"""The limiter that admits in strict alone, and keeps its period."""
WORKERS = st.integers(min_value=0, max_value=1)
AMOUNTS = st.integers(min_value=0, max_value=400)
ALL_THAT_IS_LEFT, ONE_MORE = "all that is left", "one more"
HOLDS = AMOUNTS | st.sampled_from([ALL_THAT_IS_LEFT, ONE_MORE])
MODES = st.sampled_from(["soft", "strict", "observe", "free"])
NAMED_USERS = 2
USERS = st.sampled_from(["alice", "bob", "carol", rollups.OTHERS])
SERVED = st.sampled_from([None, "gpt-4o-2024-08-06"])
BASES = st.sampled_from(["reported", "reported", "estimated"])


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

    # One call in one transaction

    @rule(side=WORKERS, data=st.data())
    def admit(self, side: int, data: st.DataObject) -> None:
        with self.batch(side) as batch:
            self.admit_one(batch, side, data)

    @precondition(lambda self: self.model)
    @rule(side=WORKERS, data=st.data())
    def settle(self, side: int, data: st.DataObject) -> None:
        with self.batch(side) as batch:
            self.settle_one(batch, side, data)

    @precondition(lambda self: self.late())
    @rule(data=st.data(), cost=AMOUNTS, served=SERVED)
    def settle_late(self, data: st.DataObject, cost: int, served: str | None) -> None:
        """The owner was taken for dead, and comes back with what the call did cost."""
        side, request = data.draw(st.sampled_from(self.late()))
        with self.batch(side) as batch:
            self.settled(batch, side, request, cost, "reported", served)

    @precondition(lambda self: self.model)
    @rule(side=WORKERS, data=st.data())
    def release(self, side: int, data: st.DataObject) -> None:
        with self.batch(side) as batch:
            self.release_one(batch, side, data)

    @rule(side=WORKERS, limiter=LIMITERS)
    def admit_on_old_terms(self, side: int, limiter: int) -> None:
        call = self.books.call(self.limiters[limiter])
        self.limiters[limiter] = self.books.limiters.rotate_code(self.limiters[limiter].id)
        answer = self.sides[side].ledger.admit(call, self.books.now_us)
        assert isinstance(answer, Refused)
        assert answer.code == "limiter_changed"

    # Many calls in one transaction

    @rule(side=WORKERS, data=st.data(), count=st.integers(min_value=2, max_value=6), fails=st.booleans())
    def several_at_once(self, side: int, data: st.DataObject, count: int, fails: bool) -> None:
        before = deepcopy((self.model, self.strict_budgets))
        steps: list[Callable[[Batch, int, st.DataObject], None]]
        steps = [self.admit_one, self.admit_one, self.settle_one, self.settle_one, self.release_one]
        with suppress(Failure), self.batch(side) as batch:
            for step in data.draw(st.lists(st.sampled_from(steps), min_size=count, max_size=count)):
                if self.model or step == self.admit_one:
                    step(batch, side, data)
            if fails:
                self.model, self.strict_budgets = before
                raise Failure

    # Workers come and go

    @rule(side=WORKERS)
    def expire_a_living_worker(self, side: int) -> None:
        """What must not happen may happen: the owner comes back, and settles late."""
        self.expired(self.sides[side].worker.name)
        self.sides[1 - side].ledger.expire_worker(self.sides[side].worker.name, self.books.now_us)

    @rule(side=WORKERS, in_order=st.booleans())
    def end(self, side: int, in_order: bool) -> None:
        self.close(side, in_order)
        self.look(1 - side)
        self.books.database.migrate()
        self.sides[side] = self.start("again")

    @rule()
    def all_crash(self) -> None:
        for side in (0, 1):
            self.close(side, in_order=False)
        self.sides = [self.start("again"), self.start("again")]
        self.look(0)

    @rule(side=WORKERS)
    def restart_without_expiry(self, side: int) -> None:
        """The same worker opens its ledger again, as after an error of the disk."""
        self.sides[side].ledger.reopen()

    # Everything around them changes

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
                with self.batch(0) as batch:
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

    def admit_one(self, batch: Batch, side: int, data: st.DataObject) -> None:
        limiter = data.draw(LIMITERS)
        mode: Mode = "strict" if limiter == STRICT else data.draw(MODES)
        at_least = data.draw(st.none() | st.integers(min_value=1, max_value=50))
        used, budget = self.used(limiter), self.budgets[limiter]
        hold = self.hold(data.draw(HOLDS), budget - used)
        call = self.books.call(self.limiters[limiter], hold, mode, at_least, data.draw(USERS))
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

    def settle_one(self, batch: Batch, side: int, data: st.DataObject) -> None:
        request, cost = self.one(data), data.draw(AMOUNTS)
        self.settled(batch, side, request, cost, data.draw(BASES), data.draw(SERVED))
        if data.draw(st.booleans()):
            self.settled(batch, side, request, cost + 1, "reported", None)

    def settled(
        self, batch: Batch, side: int, request: int, cost: int, basis: Basis, served: str | None
    ) -> None:
        known = self.model[request]
        cost = min(cost, known.hold) if known.mode == "strict" else cost
        outcome = batch.settle(self.books.settlement(request, cost, basis, served))
        late = (
            known.state == "expired"
            and basis == "reported"
            and known.worker == self.sides[side].worker.name
            and not known.is_deleted
        )
        if known.is_deleted:
            assert outcome is Outcome.UNKNOWN
        elif known.state == "held" or late:
            assert outcome is (Outcome.SETTLED_LATE if late else Outcome.SETTLED)
            known.state, known.cost = "settled", cost
        else:
            assert outcome is Outcome.UNCHANGED

    def release_one(self, batch: Batch, _side: int, data: st.DataObject) -> None:
        request = self.one(data)
        known = self.model[request]
        outcome = batch.release(request, 500)
        if known.is_deleted:
            assert outcome is Outcome.UNKNOWN
        elif known.state == "held":
            assert outcome is Outcome.RELEASED
            known.state = "released"
        else:
            assert outcome is Outcome.UNCHANGED

    @contextmanager
    def batch(self, side: int) -> Iterator[Batch]:
        with self.sides[side].ledger.batch(self.books.clock) as batch:
            yield batch

    def one(self, data: st.DataObject) -> int:
        """A request, preferably one that is held."""
        held = [request for request, known in self.model.items() if known.state == "held"]
        return int(data.draw(st.sampled_from(held if held and data.draw(st.booleans()) else [*self.model])))

    def late(self) -> list[tuple[int, int]]:
        """The requests that expired although their owner lives: his side, and their ids."""
        names = [side.worker.name for side in self.sides]
        return [
            (names.index(known.worker), request)
            for request, known in self.model.items()
            if known.state == "expired" and not known.is_deleted and known.worker in names
        ]

    def hold(self, drawn: int | str, left: int) -> int:
        if drawn == ALL_THAT_IS_LEFT:
            return max(0, left)
        return max(0, left) + 1 if drawn == ONE_MORE else int(drawn)

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
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestTwoLedgers = TwoLedgers.TestCase
