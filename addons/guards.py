"""Fail closed: a hook that raises refuses its request.

mitmproxy logs an exception in a hook and goes on, which forwards the request; and it waits for ever for a hook that a
BaseException leaves. So nothing leaves a guarded hook but the wish to end the process.
"""

import logging
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Protocol

from mitmproxy import http

from metering.errors import MeteringError

log = logging.getLogger(__name__)


class FailsClosed(Protocol):
    """An addon that knows how to refuse a flow."""

    def fail(self, flow: http.HTTPFlow) -> None: ...


Hook = Callable[[Any, http.HTTPFlow], Coroutine[object, object, None] | None]


def guarded(hook: Hook) -> Hook:
    """Wrap a hook. What it returns is awaited, under the same guard: a hook that has nothing to wait for returns None."""

    @wraps(hook)
    def closed(addon: FailsClosed, flow: http.HTTPFlow) -> Coroutine[object, object, None] | None:
        try:
            rest = hook(addon, flow)
        except BaseException as fault:  # noqa: BLE001  # mitmproxy would forward what is not refused here.
            _refuse(addon, flow, hook.__name__, fault)
            return None
        return None if rest is None else _guard(addon, flow, hook.__name__, rest)

    return closed


async def _guard(
    addon: FailsClosed, flow: http.HTTPFlow, name: str, rest: Coroutine[object, object, None]
) -> None:
    try:
        await rest
    except BaseException as fault:  # noqa: BLE001  # As above.
        _refuse(addon, flow, name, fault)


def _refuse(addon: FailsClosed, flow: http.HTTPFlow, name: str, fault: BaseException) -> None:
    try:
        addon.fail(flow)
    except BaseException:
        log.exception("A flow cannot even be refused; it is killed.")
        flow.kill()
    if isinstance(fault, MeteringError):
        log.error("A request is refused in %s. %s", name, fault)
    else:
        log.error("The hook %s has failed: the request is refused.", name, exc_info=fault)
    if isinstance(fault, SystemExit | KeyboardInterrupt):
        raise fault
