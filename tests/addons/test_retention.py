"""RETENTION_DAYS while the proxy serves: old rows go, totals stay, and nobody has to wait for it."""

import asyncio

import pytest

from addons import books
from metering import retention
from metering.verify import verify
from scripts.standin import StandIn
from tests.addons.proxy import Proxied
from tests.addons.wire import COST_NANOUSD


async def spend(proxy: Proxied, upstream: StandIn, days: list[str]) -> object:
    """A limiter with a call on each of these days."""
    limiter = proxy.limiter(upstream, period_type="year")
    for day in days:
        proxy.at(f"2026-11-{day}T12:00:00Z")
        assert (await proxy.chat(limiter)).status == 200
        await proxy.until(proxy.is_at_rest)
    return limiter


async def test_old_calls_are_deleted_at_start_and_the_totals_stay(proxy: Proxied, upstream: StandIn) -> None:
    limiter = await spend(proxy, upstream, ["01", "02", "22", "24"])
    await proxy.stop()
    proxy.set(retention_days=2)
    await proxy.start()

    await proxy.until(lambda: len(proxy.rows("id")) == 2)

    window = proxy.window(limiter)  # type: ignore[arg-type]
    assert (window.spent_nanousd, window.requests) == (4 * COST_NANOUSD, 4)
    assert verify(proxy.database) == []


async def test_without_a_retention_every_call_is_kept(proxy: Proxied, upstream: StandIn) -> None:
    await spend(proxy, upstream, ["01", "24"])
    await proxy.stop()
    await proxy.start()

    assert len(proxy.rows("id")) == 2


async def test_whoever_stops_the_proxy_waits_for_one_step_only(
    proxy: Proxied, upstream: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = 0

    def endless(*_: object) -> int:
        nonlocal steps
        steps += 1
        return retention.STEP_ROWS

    monkeypatch.setattr(books.retention, "prune_step", endless)
    await proxy.stop()
    proxy.set(retention_days=2)
    await proxy.start()
    await proxy.until(lambda: steps > 3)

    assert (await proxy.chat(proxy.limiter(upstream))).status == 200
    async with asyncio.timeout(10):
        await proxy.stop()
    done = steps
    await asyncio.sleep(0)
    assert steps == done
