"""Fail closed: a hook that raises refuses its request.

mitmproxy logs an exception in a hook and goes on, which forwards the request; and it waits for ever for a hook that a
BaseException leaves. So nothing leaves a guarded hook but the wish to end the process.
"""

import logging
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Protocol

from mitmproxy import http

from metering.errors import MeteringError

log = logging.getLogger(__name__)


class FailsClosed(Protocol):
    """An addon that knows how to refuse a flow."""

    def fail(self, flow: http.HTTPFlow) -> None: ...


def guarded[Addon: FailsClosed](
    hook: Callable[[Addon, http.HTTPFlow], None],
) -> Callable[[Addon, http.HTTPFlow], None]:
    """Wrap a hook."""

    @wraps(hook)
    def closed(addon: Addon, flow: http.HTTPFlow) -> None:
        try:
            hook(addon, flow)
        except BaseException as fault:  # noqa: BLE001  # mitmproxy would forward what is not refused here.
            _refuse(addon, flow, hook.__name__, fault)

    return closed


def guarded_async[Addon: FailsClosed](
    hook: Callable[[Addon, http.HTTPFlow], Awaitable[None]],
) -> Callable[[Addon, http.HTTPFlow], Awaitable[None]]:
    """Wrap a hook that waits."""

    @wraps(hook)
    async def closed(addon: Addon, flow: http.HTTPFlow) -> None:
        try:
            await hook(addon, flow)
        except BaseException as fault:  # noqa: BLE001  # mitmproxy would forward what is not refused here.
            _refuse(addon, flow, hook.__name__, fault)

    return closed


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
