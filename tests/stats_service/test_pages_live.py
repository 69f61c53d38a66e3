"""The live stream: one query for all viewers, only what moved, and an end."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from metering.clock import HOUR_US, parse_time
from metering.money import NANO
from stats_service.pages.live import _QUEUED, Hub, Viewer
from stats_service.pages.readings import hourly_costs
from stats_service.pages.site import Site as PagesSite
from stats_service.pages.standing import Standing
from stats_service.remembered import Remembered
from tests.stats_service.pages_site import Site

NOON = parse_time("2026-11-24T12:00:00Z")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, now=NOON)


async def following(events: AsyncIterator[bytes], name: str) -> Any:
    """The body of the next event of this name."""
    async with asyncio.timeout(10):
        async for event in events:
            head, _, body = event.decode().partition("\ndata: ")
            if head == f"event: {name}":
                return json.loads(body)
    raise AssertionError(f"The stream ended without {name}.")


def test_all_viewers_share_one_query(site: Site) -> None:
    limiter = site.create()

    async def look() -> None:
        hub = Hub(PagesSite(site), every_s=0)
        streams = [hub.stream(None, lambda: True) for _ in range(20)]
        for stream in streams:
            await anext(stream)
        looks = hub.looks
        site.spend(limiter)
        bodies = await asyncio.gather(*(following(stream, "figures") for stream in streams))
        assert all(body == bodies[0] for body in bodies)
        assert hub.looks - looks < 20
        hub.close()
        for stream in streams:
            await stream.aclose()

    asyncio.run(look())


def test_only_limiters_that_moved_are_told_in_the_words_of_the_page(site: Site) -> None:
    limiter, _ = site.create("Moves", "20"), site.create("Rests", "20")

    async def look() -> None:
        hub = Hub(PagesSite(site), every_s=0.001)
        stream = hub.stream(None, lambda: True)
        await anext(stream)
        while not hub.looks:
            await asyncio.sleep(0)
        site.spend(limiter, 15 * NANO)
        site.hold(limiter, 2 * NANO)
        body = await following(stream, "figures")
        while body[0]["held"] != "$2.00":
            body = await following(stream, "figures")
        assert [one["id"] for one in body] == [limiter.id]
        assert (body[0]["spent"], body[0]["remaining"], body[0]["percent"]) == ("$15.00", "$3.00", "85%")
        assert (body[0]["status"], body[0]["status_text"]) == ("warn", "Near its budget")
        hub.close()
        await stream.aclose()

    asyncio.run(look())


class CountingSite(PagesSite):
    """Knows whose sparklines were read."""

    def __init__(self, services: Site) -> None:
        super().__init__(services)
        self.read: list[str] = []

    def with_sparks(
        self, connection: sqlite3.Connection, shown: Sequence[Standing], now_us: int
    ) -> list[Standing]:
        self.read += [one.id for one in shown]
        return super().with_sparks(connection, shown, now_us)


def test_the_sparkline_is_told_with_the_figures_and_read_only_where_they_moved(site: Site) -> None:
    limiter, rests = site.create("Moves", "20"), site.create("Rests", "20")
    site.spend(limiter, NANO, at_us=NOON - 2 * HOUR_US)
    site.spend(rests, NANO, at_us=NOON - 2 * HOUR_US)

    async def look() -> None:
        pages = CountingSite(site)
        hub = Hub(pages, every_s=0.001)
        stream = hub.stream(None, lambda: True)
        await anext(stream)
        while not hub.looks:
            await asyncio.sleep(0)
        site.spend(limiter, 2 * NANO)
        body = await following(stream, "figures")
        while body[0]["spent"] != "$3.00":
            body = await following(stream, "figures")
        # The 22nd and the 24th of 24 columns, half as high and as high as there is room.
        assert body[0]["spark"] == "M86 28v-13M94 28v-26"
        assert body[0]["spark_text"] == "$3.00 in the last 24 hours"
        assert set(pages.read) == {limiter.id}
        hub.close()
        await stream.aclose()

    asyncio.run(look())


def test_a_newcomer_is_told_the_sparkline_of_a_call_just_before(site: Site) -> None:
    limiter = site.create()
    site.spend(limiter, 2 * NANO)

    async def look() -> None:
        hub = Hub(PagesSite(site), every_s=0.001)
        stream = hub.stream(None, lambda: True)
        body = await following(stream, "figures")
        assert [(one["id"], one["spark"]) for one in body] == [(limiter.id, "M94 28v-26")]
        hub.close()
        await stream.aclose()

    asyncio.run(look())


def test_a_sparkline_moves_on_when_the_hour_turns_until_it_is_empty(site: Site) -> None:
    limiter = site.create(period="year")
    site.spend(limiter)

    async def look() -> None:
        hub = Hub(PagesSite(site), every_s=0.001)
        stream = hub.stream(None, lambda: True)
        await following(stream, "figures")
        for hours, path in ((1, "M90 28v-26"), (23, "M2 28v-26"), (24, "")):
            site.now = NOON + hours * HOUR_US
            body = await following(stream, "figures")
            assert body[0]["spark"] == path, hours
        looks = hub.looks
        site.now = NOON + 48 * HOUR_US
        while hub.looks < looks + 2:
            await asyncio.sleep(0.001)
        site.spend(limiter)
        # Nothing was told in between.
        assert (await following(stream, "figures"))[0]["spark"] == "M94 28v-26"
        hub.close()
        await stream.aclose()

    asyncio.run(look())


def test_the_last_hours_of_more_limiters_than_a_statement_has_places_are_read_at_once(site: Site) -> None:
    limiter = site.create()
    site.spend(limiter, 2 * NANO)
    with site.ranges.reader() as connection:
        places = connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
        found = hourly_costs(connection, range(limiter.key, limiter.key + places + 1), NOON)
    assert found == {limiter.key: {NOON: 2 * NANO}}


def test_the_first_limiter_of_all_is_told_to_who_looked_at_an_empty_page(site: Site) -> None:
    async def look() -> None:
        hub = Hub(PagesSite(site), every_s=0.001)
        stream = hub.stream(None, lambda: True)
        await anext(stream)
        while not hub.looks:
            await asyncio.sleep(0)
        # An hour ago, so that it is told because it is new, not because its call is.
        site.spend(site.create(period="month"), NANO, at_us=site.clock() - HOUR_US)
        body = await following(stream, "figures")
        assert body[0]["spent"] == "$1.00"
        hub.close()
        await stream.aclose()

    asyncio.run(look())


def test_the_calls_of_a_limiter_go_to_who_looks_at_it_and_change_once_they_end(site: Site) -> None:
    limiter, other = site.create("One"), site.create("Other")
    site.spend(other)

    async def look() -> None:
        hub = Hub(PagesSite(site), every_s=0.001)
        stream = hub.stream(limiter.id, lambda: True)
        await anext(stream)
        call = site.hold(limiter, user="<b>")
        body = await following(stream, "calls")
        assert body["limiter"] == limiter.id
        assert [row["id"] for row in body["rows"]] == [call]
        assert "in flight" in body["rows"][0]["html"]
        assert "<b>" not in body["rows"][0]["html"]
        second = site.spend(limiter)
        body = await following(stream, "calls")
        assert second in [row["id"] for row in body["rows"]]
        hub.close()
        await stream.aclose()

    asyncio.run(look())


def test_streams_end_when_the_service_stops(site: Site) -> None:
    async def look() -> None:
        hub = Hub(PagesSite(site), every_s=30)
        stream = hub.stream(None, lambda: True)
        await anext(stream)
        waiting = asyncio.ensure_future(anext(stream, None))
        await asyncio.sleep(0)
        hub.close()
        async with asyncio.timeout(5):
            assert await waiting is None

    asyncio.run(look())


def test_a_stream_ends_with_its_session(site: Site) -> None:
    limiter = site.create()

    async def look() -> None:
        valid = True
        hub = Hub(PagesSite(site), every_s=0.001)
        stream = hub.stream(None, lambda: valid)
        await anext(stream)
        valid = False
        site.spend(limiter)
        assert await following(stream, "signed-out") == {}
        assert await anext(stream, None) is None
        hub.close()

    asyncio.run(look())


def test_nobody_looking_means_no_query(site: Site) -> None:
    async def look() -> None:
        hub = Hub(PagesSite(site), every_s=0)
        stream = hub.stream(None, lambda: True)
        await anext(stream)
        await stream.aclose()
        assert hub._task is not None
        async with asyncio.timeout(10):
            await hub._task
        hub.close()

    asyncio.run(look())


def test_a_viewer_who_does_not_read_keeps_only_the_newest(site: Site) -> None:
    viewer = Viewer(None)
    for number in range(_QUEUED + 5):
        viewer.send(str(number).encode())
    assert viewer.queue.qsize() == _QUEUED
    assert viewer.queue.get_nowait() == b"5"


def test_what_is_quick_is_computed_each_time_and_what_is_slow_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stats_service.remembered.SLOW_S", 0.02)
    computed: list[str] = []
    now = [0.0]

    def compute(key: str) -> int:
        computed.append(key)
        now[0] += 1.0 if key == "slow" else 0.001
        return len(computed)

    sums = Remembered[str, int](compute, 60, lambda: now[0], lambda: now[0])
    assert [sums.get("quick"), sums.get("quick")] == [1, 2]
    assert [sums.get("slow"), sums.get("slow")] == [3, 3]


@pytest.mark.parametrize(("took_s", "is_kept"), [(0.9, False), (1.1, True)])
def test_little_work_is_kept_only_where_it_was_waited_for_long(
    monkeypatch: pytest.MonkeyPatch, took_s: float, is_kept: bool
) -> None:
    """A busy machine takes its time over little work; only a disk takes a second."""
    monkeypatch.setattr("stats_service.remembered.SLOW_S", 0.02)
    now, values = [0.0], iter((1, 2))

    def compute(_: str) -> int:
        now[0] += took_s
        return next(values)

    sums = Remembered[str, int](compute, 60, lambda: now[0], lambda: now[0] / 100)
    assert [sums.get("a"), sums.get("a")] == [1, 1 if is_kept else 2]


def test_what_is_old_is_served_once_more_and_refreshed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stats_service.remembered.SLOW_S", 0.02)
    now = [0.0]
    values = iter((1, 2))

    def compute(_: str) -> int:
        now[0] += 1
        return next(values)

    sums = Remembered[str, int](compute, 60, lambda: now[0], lambda: now[0])
    assert sums.get("a") == 1
    now[0] += 100
    assert sums.get("a") == 1
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join(5)
    assert sums.get("a") == 2
