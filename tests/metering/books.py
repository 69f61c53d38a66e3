"""The books of one test of money-keeping: a database of its own, and a clock that the test turns."""

from contextlib import ExitStack
from pathlib import Path

from metering.clock import parse_time
from metering.database import Database
from metering.entries import Admission, Admitted, Basis, Mode, Outcome, Refused, Settlement
from metering.ledger import Ledger
from metering.limiters import Limiter, Limiters
from metering.liveness import Worker
from metering.usage import Usage
from metering.windows import WindowFigures


class Books:
    """A ledger of one worker on a fresh database, and the short ways to use it. Amounts are nanodollars."""

    def __init__(self, path: Path) -> None:
        self.now_us = parse_time("2026-11-24T08:30:00Z")
        self.database = Database(path, busy_timeout_s=0.05)
        self.database.migrate(self.clock)
        self.limiters = Limiters(self.database, self.clock)
        self.stack = ExitStack()
        self.worker = self.start_worker("first")
        self.ledger = self.open_ledger(self.worker)

    def clock(self) -> int:
        return self.now_us

    def at(self, text: str) -> None:
        self.now_us = parse_time(text)

    def start_worker(self, kind: str) -> Worker:
        worker = Worker.start(self.database, kind)
        self.stack.callback(worker.stop)
        return worker

    def open_ledger(self, worker: Worker) -> Ledger:
        return self.stack.enter_context(Ledger(self.database, worker.name))

    def limiter(self, budget_nanousd: int = 1_000, period: str = "day", **fields: object) -> Limiter:
        limiter = self.limiters.create(name="Customer A", budget_limit=1, period_type=period, **fields)
        with self.database.transaction("set a small budget") as connection:
            connection.execute(
                "update limiters set budget_nanousd = ? where key = ?", (budget_nanousd, limiter.key)
            )
        return self.limiters.get(limiter.id)

    def call(
        self,
        limiter: Limiter,
        hold: int = 100,
        mode: Mode = "soft",
        at_least: int | None = None,
        user: str = "alice",
        model: str = "gpt-4o",
        *,
        unmetered: bool = False,
    ) -> Admission:
        return Admission(
            limiter_key=limiter.key,
            limiter_version=limiter.version,
            user=user,
            model=model,
            endpoint="chat/completions",
            hold_nanousd=hold,
            at_least_nanousd=at_least,
            mode=mode,
            price_row="gpt-4o@2024-10-01",
            unmetered=unmetered,
        )

    def try_admit(
        self, limiter: Limiter, hold: int = 100, mode: Mode = "soft", at_least: int | None = None
    ) -> Admitted | Refused:
        return self.ledger.admit(self.call(limiter, hold, mode, at_least), self.now_us)

    def admit(
        self,
        limiter: Limiter,
        hold: int = 100,
        mode: Mode = "soft",
        user: str = "alice",
        model: str = "gpt-4o",
    ) -> Admitted:
        answer = self.ledger.admit(self.call(limiter, hold, mode, user=user, model=model), self.now_us)
        assert isinstance(answer, Admitted), answer
        return answer

    def settlement(
        self,
        request_id: int,
        cost: int,
        basis: Basis = "reported",
        served: str | None = None,
        tokens: int = 15,
    ) -> Settlement:
        usage = Usage(input_tokens=tokens - tokens // 3, output_tokens=tokens // 3)
        return Settlement(
            request_id=request_id,
            cost_nanousd=cost,
            basis=basis,
            usage=usage,
            model_served=served,
            status=200,
        )

    def settle(
        self, request_id: int, cost: int, basis: Basis = "reported", served: str | None = None
    ) -> Outcome:
        return self.ledger.settle(self.settlement(request_id, cost, basis, served), self.now_us)

    def spend(self, limiter: Limiter, cost: int, user: str = "alice", model: str = "gpt-4o") -> int:
        request_id = self.admit(limiter, cost, user=user, model=model).request_id
        self.settle(request_id, cost)
        return request_id

    def window(self, limiter: Limiter) -> WindowFigures:
        return self.ledger.window(limiter.key, self.now_us)

    def figures(self, limiter: Limiter) -> tuple[int, int, int, int]:
        window = self.window(limiter)
        return (window.spent_nanousd, window.held_nanousd, window.requests, window.tokens)

    def rows(self, query: str, *values: object) -> list[tuple[object, ...]]:
        return self.ledger.connection.execute(query, values).fetchall()

    def row(self, request_id: int, columns: str) -> tuple[object, ...]:
        return self.rows(f"select {columns} from requests where id = ?", request_id)[0]
