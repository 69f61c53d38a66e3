"""Two real proxy processes on one socket and one database, and 200 SDK calls at once against room for 25."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI, RateLimitError

from metering.database import Database
from metering.verify import verify
from scripts.standin import ThreadedStandIn
from scripts.standin_openai import FakeOpenAI
from tests.end_to_end.stack import Admin, Stack, until

CALLS = 200
ROOM = 25
ASK: Any = {
    "model": "gpt-4o",
    "messages": [{"role": "user", "content": "What is the capital of France?"}],
    "max_tokens": 16,
    "stream": True,
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """What `scripts/serve` runs, with two proxy processes."""
    running = Stack(tmp_path_factory.mktemp("workers"), {"WORKERS": "2"})
    try:
        yield running.serve()
    finally:
        running.stop()


@pytest.fixture
def served_admin(served: Stack) -> Iterator[Admin]:
    with served.admin() as signed_in:
        yield signed_in


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of the calls: how many passed and were refused, and what each held and cost."""

    passed: int
    refused: int
    holds: list[int]
    costs: list[int]


def call_at_once(
    served: Stack, admin: Admin, limiter: Mapping[str, Any], ask: Any = ASK, words: int = 8
) -> Seen:
    """No call is answered before each of them has been admitted or refused."""
    doors = threading.Event()

    async def pace(_event: int) -> None:
        await asyncio.to_thread(doors.wait, 60)

    upstream = ThreadedStandIn(FakeOpenAI(words=words, pace=pace))
    with upstream as standin:
        admin.update(limiter["id"], base_url=standin.url)

        async def one(client: AsyncOpenAI) -> bool:
            try:
                async for _ in await client.chat.completions.create(**ask):
                    pass
            except RateLimitError:
                return False
            return True

        async def all_of_them() -> list[bool]:
            async with AsyncOpenAI(
                api_key="sk-a-client", base_url=served.base_url(limiter), timeout=120
            ) as client:
                jobs = [asyncio.create_task(one(client)) for _ in range(CALLS)]
                while sum(job.done() for job in jobs) + len(standin.received) < CALLS:
                    await asyncio.sleep(0.01)
                doors.set()
                return list(await asyncio.gather(*jobs))

        try:
            passed = asyncio.run(all_of_them())
        finally:
            doors.set()
        served.at_rest(limiter["id"], admin)
        assert len(standin.received) == sum(passed)
    rows = served.rows(
        """select hold_nanousd, cost_nanousd from requests
           where limiter = (select key from limiters where id = ?) order by id""",
        limiter["id"],
    )
    return Seen(
        passed.count(True),
        passed.count(False),
        [row["hold_nanousd"] for row in rows],
        [row["cost_nanousd"] for row in rows],
    )


def hold_of_one(served: Stack, admin: Admin, enforcement: str, ask: Any = ASK) -> int:
    """What a single such call holds."""
    with ThreadedStandIn(FakeOpenAI()) as standin:
        limiter = admin.create(standin.url, enforcement=enforcement)
        answer = httpx.post(f"{served.base_url(limiter)}/chat/completions", json=ask).raise_for_status()
        assert answer.text.endswith("data: [DONE]\n\n")
        served.at_rest(limiter["id"], admin)
    (row,) = served.rows(
        "select hold_nanousd from requests where limiter = (select key from limiters where id = ?)",
        limiter["id"],
    )
    return int(row["hold_nanousd"])


def dollars(nanousd: int) -> str:
    return f"{nanousd // 10**9}.{nanousd % 10**9:09}"


def report(enforcement: str, seen: Seen, budget: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Seen by `scripts/test tests/end_to_end/test_workers.py -n 0`."""
    spent = sum(seen.costs)
    with capsys.disabled():
        print(
            f"\n{enforcement}: {seen.passed} of {CALLS} calls admitted, held ${dollars(sum(seen.holds))} and spent "
            f"${dollars(spent)} of ${dollars(budget)}: ${dollars(max(0, spent - budget))} above the budget"
        )


def test_both_processes_take_calls(served: Stack, served_admin: Admin) -> None:
    with ThreadedStandIn(FakeOpenAI()) as standin:
        limiter = served_admin.create(standin.url)

        def workers() -> int:
            httpx.post(f"{served.base_url(limiter)}/chat/completions", json=ASK).raise_for_status()
            return int(served.rows("select count(distinct worker) from requests")[0][0])

        assert until(workers, lambda count: count >= 2) == 2


def test_strict_admits_exactly_what_fits_and_never_spends_a_nanodollar_more(
    served: Stack, served_admin: Admin, capsys: pytest.CaptureFixture[str]
) -> None:
    hold = hold_of_one(served, served_admin, "strict")
    budget = ROOM * hold + hold - 1
    limiter = served_admin.create(
        "http://127.0.0.1:9", dollars(budget), period_type="year", enforcement="strict"
    )
    seen = call_at_once(served, served_admin, limiter)
    # The first are held at the bound by bytes. Where that no longer fits, tokens are counted, which holds a little less.
    assert seen.holds[:ROOM] == [hold] * ROOM
    assert sum(seen.holds) <= budget < sum(seen.holds) + min(seen.holds)
    assert (seen.passed, seen.refused) == (len(seen.holds), CALLS - len(seen.holds))
    assert sum(seen.costs) <= budget
    report("strict", seen, budget, capsys)


def test_soft_exceeds_by_no_more_than_the_estimation_error_of_the_calls_in_flight(
    served: Stack, served_admin: Admin, capsys: pytest.CaptureFixture[str]
) -> None:
    # Nothing is known of such calls yet, and their answers are longer than what is expected then.
    ask = {name: value for name, value in ASK.items() if name != "max_tokens"}
    hold = hold_of_one(served, served_admin, "soft", ask)
    budget = ROOM * hold
    limiter = served_admin.create("http://127.0.0.1:9", dollars(budget), period_type="year")
    seen = call_at_once(served, served_admin, limiter, ask, words=600)
    assert (seen.passed, seen.refused) == (ROOM, CALLS - ROOM)
    error = sum(cost - held for cost, held in zip(seen.costs, seen.holds, strict=True))
    assert 0 < sum(seen.costs) - budget <= error
    spent = served_admin.stats(limiter["id"])["current_spend"]
    assert spent * 10**9 == sum(seen.costs)
    report("soft", seen, budget, capsys)


def test_after_all_that_every_sum_agrees_with_the_rows(served: Stack, served_admin: Admin) -> None:
    until(
        lambda: served.rows("select count(*) from requests where state = 'held'")[0][0],
        lambda held: held == 0,
    )
    assert verify(Database(served.database)) == []
