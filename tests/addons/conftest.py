"""What the tests of the proxy have in common: asynchronous tests, a running proxy, an upstream."""

import asyncio
import inspect
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from scripts.standin import Answer, Received, StandIn
from tests.addons.proxy import Proxied
from tests.addons.wire import json_answer

DEADLINE_S = 60


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an asynchronous test, within what its arguments open, and end one that hangs."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}

    async def body() -> None:
        async with asyncio.timeout(DEADLINE_S), AsyncExitStack() as opened:
            for argument in arguments.values():
                if hasattr(argument, "__aenter__"):
                    await opened.enter_async_context(argument)
            await pyfuncitem.obj(**arguments)

    asyncio.run(body())
    return True


@pytest.fixture
def proxy(tmp_path: Path) -> Proxied:
    """A proxy on a database of its own; asynchronous tests have it running."""
    return Proxied(tmp_path)


@pytest.fixture
def upstream() -> StandIn:
    """An upstream that answers each call with ten tokens in and five out; set its `handler` for anything else."""

    def answer(_received: Received) -> Answer:
        return json_answer()

    return StandIn(answer)
