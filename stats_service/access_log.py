"""One line for each request: who, what, status, duration. Never a query, a token, a cookie or a limiter's code."""

import logging
import re
from collections.abc import Sequence

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from metering.clock import monotonic_s
from metering.setting_values import Network
from stats_service.callers import address_of

_log = logging.getLogger(__name__)
_CODE = re.compile(r"(?<![a-z2-7])[a-z2-7]{26}(?![a-z2-7])")
_PATH_MAX = 200
_QUIET = ("/healthz", "/static/")


class AccessLog:
    """Logs at INFO; what asks all the time (liveness, static files) at DEBUG."""

    def __init__(self, app: ASGIApp, trusted: Sequence[Network]) -> None:
        self._app = app
        self._trusted = trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        started_s = monotonic_s()

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            took_ms = round((monotonic_s() - started_s) * 1000)
            level = logging.DEBUG if scope["path"].startswith(_QUIET) else logging.INFO
            address = address_of(Request(scope), self._trusted)
            _log.log(
                level, "%s %s %s %d %d ms", address, scope["method"], shown(scope["path"]), status, took_ms
            )


def shown(path: str) -> str:
    """The path as it may stand in a log: on one line, and without what may be a code."""
    return ascii(_CODE.sub("...", path[:_PATH_MAX]))[1:-1]
