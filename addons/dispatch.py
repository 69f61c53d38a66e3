"""Hooks through a table: for each, the addons that have it, looked up once.

mitmproxy asks every addon of its chain for every hook, and asks them all again for an `update` that nobody here wants;
half of its time goes there. A hook that has nothing to wait for is called without a task. An addon that raises is logged
and passed over, as mitmproxy does: whoever must not fail open guards his own hooks.
"""

import inspect
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import fields

from mitmproxy import exceptions, hooks
from mitmproxy.addonmanager import AddonManager, traverse

log = logging.getLogger(__name__)

Hook = Callable[..., object]


class Dispatch:
    """Stands in for the two methods of an AddonManager that trigger hooks."""

    def __init__(self, chain: Sequence[object]) -> None:
        self._chain = chain
        self._table: dict[type[hooks.Hook], tuple[tuple[str, ...], tuple[Hook, ...]]] = {}

    def take_over(self, manager: AddonManager) -> None:
        """From now on the manager's hooks come here."""
        vars(manager)["handle_lifecycle"] = self.trigger
        vars(manager)["trigger_event"] = self.trigger
        vars(manager)["begin"] = self.begin

    async def trigger(self, event: hooks.Hook) -> None:
        """Call all hooks of this kind, in the order of the chain."""
        rest = self.begin(event)
        if rest is not None:
            await rest

    def begin(self, event: hooks.Hook) -> Coroutine[object, object, None] | None:
        """The same, up to the first hook that waits: what is to be awaited then, or None where all is done."""
        names, calls = self._table.get(type(event)) or self._look_up(type(event))
        return self._call(event, [getattr(event, name) for name in names], calls)

    def _call(
        self, event: hooks.Hook, arguments: list[object], calls: Sequence[Hook]
    ) -> Coroutine[object, object, None] | None:
        for index, call in enumerate(calls):
            try:
                result = call(*arguments)
                if result is not None and inspect.isawaitable(result):
                    return self._rest(event, result, arguments, calls[index + 1 :])
            except exceptions.AddonHalt:
                return None
            except Exception:
                log.exception("A hook has raised: %s.", event.name)
        return None

    async def _rest(
        self, event: hooks.Hook, begun: Awaitable[object], arguments: list[object], calls: Sequence[Hook]
    ) -> None:
        try:
            await begun
        except exceptions.AddonHalt:
            return
        except Exception:
            log.exception("A hook has raised: %s.", event.name)
        rest = self._call(event, arguments, calls)
        if rest is not None:
            await rest

    def _look_up(self, kind: type[hooks.Hook]) -> tuple[tuple[str, ...], tuple[Hook, ...]]:
        found = (getattr(addon, kind.name, None) for addon in traverse(self._chain))
        entry = (
            tuple(field.name for field in fields(kind)),  # type: ignore[arg-type]  # Every hook is a dataclass.
            tuple(call for call in found if callable(call)),
        )
        self._table[kind] = entry
        return entry


def begin(manager: AddonManager, event: hooks.Hook) -> Coroutine[object, object, None] | None:
    """Trigger a hook of a manager that was taken over; see `Dispatch.begin`."""
    begun: Coroutine[object, object, None] | None = vars(manager)["begin"](event)
    return begun
