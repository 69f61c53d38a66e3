"""One running product for all end-to-end tests of a worker process; an upstream for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.standin import StandIn, ThreadedStandIn
from scripts.standin_openai import FakeOpenAI
from tests.end_to_end.stack import Admin, Stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    running = Stack(Path(tmp_path_factory.mktemp("product")))
    try:
        yield running.start()
    finally:
        running.stop()


@pytest.fixture(scope="session")
def admin(stack: Stack) -> Iterator[Admin]:
    with stack.admin() as signed_in:
        yield signed_in


@pytest.fixture
def upstream() -> Iterator[StandIn]:
    with ThreadedStandIn(FakeOpenAI()) as standin:
        yield standin
