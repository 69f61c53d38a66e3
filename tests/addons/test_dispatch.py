"""Hooks through a table."""

import asyncio
from types import SimpleNamespace
from typing import Any

from mitmproxy import exceptions, hooks
from mitmproxy.proxy.server_hooks import ClientConnectedHook

from addons.dispatch import Dispatch


def trigger(chain: list[object], event: Any) -> None:
    asyncio.run(Dispatch(chain).trigger(event))


def test_each_addon_that_has_a_hook_is_called_in_order() -> None:
    heard: list[object] = []

    async def later(client: object) -> None:
        await asyncio.sleep(0)
        heard.append(("second", client))

    first = SimpleNamespace(client_connected=lambda client: heard.append(("first", client)))
    trigger([first, SimpleNamespace(), SimpleNamespace(client_connected=later)], ClientConnectedHook("c"))  # type: ignore[arg-type]

    assert heard == [("first", "c"), ("second", "c")]


def test_addons_of_addons_are_called_too() -> None:
    heard: list[str] = []
    inner = SimpleNamespace(running=lambda: heard.append("inner"))
    trigger([SimpleNamespace(addons=[inner])], hooks.RunningHook())

    assert heard == ["inner"]


def test_an_addon_that_raises_is_passed_over_and_one_that_halts_ends_it() -> None:
    heard: list[str] = []

    def fails() -> None:
        raise RuntimeError

    def halts() -> None:
        raise exceptions.AddonHalt

    chain: list[object] = [
        SimpleNamespace(running=fails),
        SimpleNamespace(running=lambda: heard.append("second")),
        SimpleNamespace(running=halts),
        SimpleNamespace(running=lambda: heard.append("last")),
    ]
    trigger(chain, hooks.RunningHook())

    assert heard == ["second"]


def test_what_an_addon_returns_by_the_way_is_no_reason_to_wait() -> None:
    trigger([SimpleNamespace(running=lambda: 5)], hooks.RunningHook())
