"""Processes end: by SIGTERM in order, by SIGKILL at any moment. No cent is lost, no budget is exceeded."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.standin import StandIn, ThreadedStandIn
from scripts.standin_openai import FakeOpenAI
from tests.end_to_end.stack import Admin, Stack, free_ports, until

ASK: Any = {
    "model": "gpt-4o",
    "messages": [{"role": "user", "content": "What is the capital of France?"}],
    "max_tokens": 8,
}


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Stack]:
    """A product of this test's own, since its processes will end."""
    running = Stack(tmp_path, {"SHUTDOWN_GRACE_S": "20"})
    try:
        yield running.start()
    finally:
        running.stop()


@pytest.fixture
def own_admin(own: Stack) -> Iterator[Admin]:
    with own.admin() as signed_in:
        yield signed_in


class Doors:
    """An upstream's pace: the first event waits until the doors open."""

    def __init__(self) -> None:
        self.opened = threading.Event()

    async def __call__(self, event: int) -> None:
        await asyncio.to_thread(self.opened.wait, 30)


@pytest.fixture
def doors() -> Iterator[Doors]:
    closed = Doors()
    yield closed
    closed.opened.set()


def test_sigterm_lets_a_call_in_flight_finish_and_settles_it(
    own: Stack, own_admin: Admin, doors: Doors
) -> None:
    with ThreadedStandIn(FakeOpenAI(pace=doors)) as upstream, ThreadPoolExecutor(1) as pool:
        limiter = own_admin.create(upstream.url)
        call = pool.submit(
            httpx.post, f"{own.base_url(limiter)}/chat/completions", json=ASK | {"stream": True}, timeout=30
        )
        until(lambda: own_admin.stats(limiter["id"])["held"], lambda held: held > 0)
        own.processes["proxy"].send_signal(signal.SIGTERM)
        doors.opened.set()
        assert call.result().text.endswith("data: [DONE]\n\n")
        assert own.processes["proxy"].wait(25) is not None
    stats = own_admin.stats(limiter["id"])
    assert (stats["held"], stats["total_requests"]) == (0, 1)
    assert own_admin.usage(limiter["id"])[0]["basis"] == "reported"


def test_after_a_kill_the_call_in_flight_is_charged_at_its_hold_by_somebody_else(
    own: Stack, own_admin: Admin, doors: Doors
) -> None:
    with ThreadedStandIn(FakeOpenAI(pace=doors)) as upstream, ThreadPoolExecutor(1) as pool:
        limiter = own_admin.create(upstream.url)
        call = pool.submit(
            httpx.post, f"{own.base_url(limiter)}/chat/completions", json=ASK | {"stream": True}, timeout=30
        )
        held = until(lambda: own_admin.stats(limiter["id"])["held"], lambda held: held > 0)
        own.processes["proxy"].kill()
        with pytest.raises(httpx.TransportError):
            call.result()
        stats = own.at_rest(limiter["id"], own_admin)
    assert stats["current_spend"] == held
    (row,) = own_admin.usage(limiter["id"])
    assert (row["state"], row["basis"]) == ("expired", "estimated")


def test_a_restart_keeps_every_figure(own: Stack, own_admin: Admin) -> None:
    with ThreadedStandIn(FakeOpenAI()) as upstream:
        limiter = own_admin.create(upstream.url)
        httpx.post(f"{own.base_url(limiter)}/chat/completions", json=ASK).raise_for_status()
        before = own.at_rest(limiter["id"], own_admin)
        for process in own.processes.values():
            process.kill()
            process.wait()
        own.start_proxy()
        own.start_service()
        with own.admin() as again:
            assert again.stats(limiter["id"]) == before


def test_two_proxy_processes_share_one_budget(own: Stack, own_admin: Admin, tmp_path: Path) -> None:
    other = Stack(tmp_path, own.settings, *free_ports(2))
    other.service_port = own.service_port
    gate = Doors()
    with ThreadedStandIn(FakeOpenAI(pace=gate)) as upstream:
        # A call holds $0.0001 or so; nothing is answered until all forty have been admitted or refused.
        limiter = own_admin.create(upstream.url, "0.001", period_type="year")
        try:
            other.start_proxy()
            with ThreadPoolExecutor(40) as pool:
                jobs = [
                    pool.submit(
                        httpx.post,
                        f"{stack.base_url(limiter)}/chat/completions",
                        json=ASK | {"stream": True},
                        timeout=60,
                    )
                    for _ in range(20)
                    for stack in (own, other)
                ]
                until(
                    lambda: sum(job.done() for job in jobs) + len(upstream.received),
                    lambda count: count >= 40,
                )
                admitted = len(upstream.received)
                gate.opened.set()
                codes = [job.result().status_code for job in jobs]
        finally:
            other.stop()
        stats = own.at_rest(limiter["id"], own_admin)
    assert codes.count(200) == admitted
    assert codes.count(429) == 40 - admitted
    holds = [row["hold_nanousd"] for row in own.rows("select hold_nanousd from requests order by id")]
    # Exactly as many as the holds allow: the last one admitted found the budget not yet used up.
    assert sum(holds[:-1]) < 1_000_000 <= sum(holds)
    assert stats["total_requests"] == admitted
    spent = sum(row["cost_nanousd"] for row in own.rows("select cost_nanousd from requests"))
    assert stats["current_spend"] * 10**9 == spent


@pytest.fixture
def upstream() -> Iterator[StandIn]:
    with ThreadedStandIn(FakeOpenAI()) as standin:
        yield standin
