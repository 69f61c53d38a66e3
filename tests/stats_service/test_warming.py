"""What statistics show first is added up from the start and after each midnight, and never twice at the same time."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from metering.clock import DAY_US, MINUTE_US
from metering.errors import StoreError
from stats_service import remembered, warming
from stats_service.pages.site import Site
from stats_service.remembered import Remembered
from stats_service.warming import Warming
from tests.stats_service.service import NOON, Service

_WITHIN_S = 10


@pytest.fixture(autouse=True)
def _looks_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warming, "_LOOK_EVERY_S", 0.001)


def test_sums_are_made_at_the_start_and_once_after_each_midnight() -> None:
    now = [NOON]
    looks: queue.Queue[int] = queue.Queue()
    warmed: list[int] = []

    def clock() -> int:
        looks.put(now[0])
        return now[0]

    def several_looks() -> None:
        while not looks.empty():
            looks.get_nowait()
        for _ in range(4):
            looks.get(timeout=_WITHIN_S)

    running = Warming(warmed.append, clock)
    running.start()
    several_looks()
    assert warmed == [NOON]
    now[0] = NOON + DAY_US - MINUTE_US
    several_looks()
    running.stop()
    assert warmed == [NOON, NOON + DAY_US - MINUTE_US]


def test_a_database_that_cannot_be_read_is_tried_again() -> None:
    tries: queue.Queue[int] = queue.Queue()

    def warm_up(now_us: int) -> None:
        tries.put(now_us)
        raise StoreError("read the figures", "it is gone", "Look for it.")

    running = Warming(warm_up, lambda: NOON)
    running.start()
    assert [tries.get(timeout=_WITHIN_S) for _ in range(3)] == [NOON] * 3
    running.stop()


def test_the_service_begins_without_a_visitor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warmed: queue.Queue[int] = queue.Queue()
    monkeypatch.setattr(Site, "warm_up", lambda _, now_us: warmed.put(now_us))
    with Service(tmp_path).client():
        assert warmed.get(timeout=_WITHIN_S) == NOON


def test_who_comes_while_sums_are_made_waits_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "SLOW_S", 0.0)
    begun, may_end = threading.Event(), threading.Event()
    made: list[str] = []

    def add_up(key: str) -> str:
        made.append(key)
        begun.set()
        assert may_end.wait(_WITHIN_S)
        return f"sums of {key}"

    sums = Remembered[str, str](add_up, 60)
    with ThreadPoolExecutor(4) as threads:
        first = threads.submit(sums.get, "May")
        assert begun.wait(_WITHIN_S)
        others = [threads.submit(sums.get, "May") for _ in range(3)]
        may_end.set()
        assert {one.result(_WITHIN_S) for one in (first, *others)} == {"sums of May"}
    assert made == ["May"]


def test_a_failure_is_told_to_who_asked_and_leaves_nothing_behind() -> None:
    def fail(_: str) -> str:
        raise StoreError("read the figures", "it is gone", "Look for it.")

    sums = Remembered[str, str](fail, 60)
    for number in range(3):
        with pytest.raises(StoreError):
            sums.get(f"range {number}")
    assert not sums._making
