"""The turns of a connection: one event after the other, whatever comes up meanwhile."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.server_hooks import ClientConnectedHook

from addons.dispatch import Dispatch
from addons.turns import Turns

Script = dict[str, list[commands.Command]]


class Layers:
    """Layers that answer each event with the commands that stand in a script, and write down what they hear."""

    def __init__(self, script: Script, heard: list[str]) -> None:
        self._script = script
        self._heard = heard

    def handle_event(self, event: events.Event) -> Iterator[commands.Command]:
        name = type(event).__name__
        self._heard.append(f"{name} begins")
        yield from self._script.get(name, [])
        self._heard.append(f"{name} ends")


def turns(script: Script, heard: list[str], **hooks: Callable[..., object]) -> Turns:
    addons: Any = SimpleNamespace()
    Dispatch([SimpleNamespace(**hooks)]).take_over(addons)
    handler: Any = SimpleNamespace(
        layer=Layers(script, heard),
        master=SimpleNamespace(addons=addons),
        timeout_watchdog=SimpleNamespace(register_activity=lambda: None),
        client="client",
        transports={"client": SimpleNamespace(handler=object())},
        close_connection=lambda connection: heard.append(f"{connection} is closed"),
    )
    return Turns(handler)


def hook() -> ClientConnectedHook:
    found = ClientConnectedHook(None)  # type: ignore[arg-type]
    found.blocking = True
    return found


async def test_a_hook_that_has_nothing_to_wait_for_is_done_on_the_spot() -> None:
    heard: list[str] = []
    script: Script = {"Start": [hook()]}

    turns(script, heard, client_connected=lambda _: heard.append("hook")).take(events.Start())

    assert heard == ["Start begins", "hook", "Start ends", "HookCompleted begins", "HookCompleted ends"]


async def test_a_hook_that_waits_is_completed_by_an_event_of_its_own() -> None:
    heard: list[str] = []
    go = asyncio.Event()

    async def waits(_: object) -> None:
        await go.wait()

    turns({"Start": [hook()]}, heard, client_connected=waits).take(events.Start())
    assert heard == ["Start begins", "Start ends"]
    go.set()
    async with asyncio.timeout(5):
        while "HookCompleted ends" not in heard:
            await asyncio.sleep(0)


async def test_an_event_that_comes_up_in_a_turn_has_the_next_one() -> None:
    heard: list[str] = []
    one: list[Turns] = []

    def more(_: object) -> None:
        if len(heard) == 1:
            one[0].take(events.Start())

    one.append(turns({"Start": [hook()]}, heard, client_connected=more))
    one[0].take(events.Start())

    starts = [line for line in heard if line.startswith("Start")]
    assert starts == ["Start begins", "Start ends", "Start begins", "Start ends"]


async def test_a_fault_in_a_turn_closes_the_client_and_the_next_event_has_its_own(
    caplog: pytest.LogCaptureFixture,
) -> None:
    heard: list[str] = []
    # Nobody here knows how to do that.
    one = turns({"Start": [commands.RequestWakeup(1)]}, heard)

    with caplog.at_level(logging.ERROR):
        one.take(events.Start())
    one.take(events.Event())

    assert "cannot be handled" in caplog.text
    assert heard == ["Start begins", "client is closed", "Event begins", "Event ends"]


async def test_what_is_sent_to_a_connection_that_is_gone_is_dropped() -> None:
    heard: list[str] = []
    gone: Any = object()

    turns({"Start": [commands.SendData(gone, b"x"), commands.CloseConnection(gone)]}, heard).take(
        events.Start()
    )

    assert heard == ["Start begins", "Start ends"]
