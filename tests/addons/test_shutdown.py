"""SIGTERM: no new connections, time for the calls in flight, then what is left is settled, and nothing hangs."""

import asyncio
import threading

import pytest

from addons import settling
from addons.calls import Call
from metering.usage import Usage
from scripts.standin import Answer, Received, StandIn
from tests.addons.proxy import Proxied
from tests.addons.wire import COST_NANOUSD, EVENTS, chat, delta, json_answer, pieces


async def test_a_call_in_flight_finishes_and_is_settled(proxy: Proxied, upstream: StandIn) -> None:
    limiter = proxy.limiter(upstream)
    may_answer = asyncio.Event()

    async def later(_: Received) -> Answer:
        await may_answer.wait()
        return json_answer()

    upstream.handler = later
    async with proxy.connected() as client, proxy.connected() as idle:
        await client.send(chat(limiter.code))
        await proxy.until(lambda: bool(upstream.received))
        stopping = asyncio.create_task(proxy.stop())
        await proxy.until(lambda: proxy.run.is_closing)
        assert await idle.is_closed()
        with pytest.raises(ConnectionRefusedError):
            await proxy.send(chat(limiter.code))
        may_answer.set()
        reply = await client.reply()
        assert await client.is_closed()
        await stopping

    assert reply.status == 200
    assert reply.headers["connection"] == "close"
    assert proxy.rows("state, cost_nanousd")[0]["cost_nanousd"] == COST_NANOUSD


async def test_what_is_not_done_within_the_grace_time_is_charged_by_estimate(
    proxy: Proxied, upstream: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted, really_count = threading.Event(), settling._count

    def count_slowly(call: Call) -> Usage:
        # The proxy does everything else that it does when it stops, and then waits for this.
        asyncio.run_coroutine_threadsafe(opened_later(counted), loop)
        counted.wait(10)
        return really_count(call)

    async def opened_later(event: threading.Event) -> None:
        asyncio.get_running_loop().call_later(0.05, event.set)

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(settling, "_count", count_slowly)
    await proxy.stop()
    proxy.set(shutdown_grace_s=0.1)
    await proxy.start()
    limiter = proxy.limiter(upstream)

    async def stalled() -> object:
        async for part in pieces(delta("one two three four five")):
            yield part
        await asyncio.Event().wait()

    upstream.handler = lambda _: Answer(headers=EVENTS, chunks=stalled())  # type: ignore[arg-type]
    async with proxy.connected() as client:
        await client.send(chat(limiter.code, stream=True))
        await client.head()
        await client.chunk()
        async with asyncio.timeout(10):
            await proxy.stop()

    (row,) = proxy.rows()
    assert (row["state"], row["basis"], row["output_tokens"]) == ("settled", "estimated", 6)


async def test_a_silent_call_is_charged_at_its_hold_when_the_grace_time_is_over(
    proxy: Proxied, upstream: StandIn
) -> None:
    await proxy.stop()
    proxy.set(shutdown_grace_s=0)
    await proxy.start()
    limiter = proxy.limiter(upstream)

    async def never(_: Received) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError

    upstream.handler = never
    async with proxy.connected() as client:
        await client.send(chat(limiter.code))
        await proxy.until(lambda: bool(upstream.received))
        async with asyncio.timeout(10):
            await proxy.stop()

    (row,) = proxy.rows()
    assert (row["state"], row["cost_nanousd"]) == ("settled", row["hold_nanousd"])


async def test_the_hold_of_a_client_who_left_while_it_was_written_is_given_back(
    proxy: Proxied, upstream: StandIn
) -> None:
    limiter = proxy.limiter(upstream)
    with proxy.database.write_lock():
        async with proxy.connected() as client:
            await client.send(chat(limiter.code))
            await proxy.until(lambda: proxy.run.desk.deciding == 1)
        await proxy.until(lambda: len(proxy.run.peers) == 0)
        stopping = asyncio.create_task(proxy.stop())
        await proxy.until(lambda: proxy.run.is_closing)
    async with asyncio.timeout(10):
        await stopping

    assert [row["state"] for row in proxy.rows()] == ["released"]
    assert upstream.received == []


async def test_a_start_keeps_all_figures(proxy: Proxied, upstream: StandIn) -> None:
    limiter = proxy.limiter(upstream)
    await proxy.chat(limiter)
    await proxy.at_rest(limiter)
    before = proxy.window(limiter)

    await proxy.stop()
    await proxy.start()

    assert proxy.window(limiter) == before
    assert before.spent_nanousd == COST_NANOUSD


async def test_nothing_is_left_behind(proxy: Proxied) -> None:
    await proxy.stop()

    locks = [path.name for path in proxy.database.locks.iterdir()]
    assert [name for name in locks if name.startswith("worker-")] == []
