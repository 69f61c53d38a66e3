"""What surrounds every answer: headers that tie a browser's hands, and who is let in while the default password is in use.

With the password that everybody knows, only this machine may come in: under one of its own names, so that no web page
can make a name of its own point here, and without a program in between, because behind a reverse proxy loopback is
public.
"""

from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stats_service.callers import is_forwarded

POLICY = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Without any referrer, browsers would not say either which site a form came from.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_PAGES_OF_NOBODY = ("/api", "/metrics", "/healthz")
_HERE = {"localhost", "127.0.0.1", "[::1]"}


class Guard:
    """Adds the headers, and refuses strangers while the default password is in use.

    A bug is answered here, too: the server's own answer to it would come without the headers.
    """

    def __init__(
        self,
        app: ASGIApp,
        uses_default: bool,
        refuse: Callable[[Request], Response],
        apologize: Callable[[Request], Response],
    ) -> None:
        self._app = app
        self._uses_default = uses_default
        self._refuse = refuse
        self._apologize = apologize

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        unkept = scope["path"].startswith(_PAGES_OF_NOBODY)
        has_begun = False

        async def with_headers(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                if unkept:
                    headers["Cache-Control"] = "no-store"
                else:
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        if self._uses_default and not _is_here(Request(scope)):
            await self._refuse(Request(scope))(scope, receive, with_headers)
            return
        try:
            await self._app(scope, receive, with_headers)
        except Exception:
            if not has_begun:
                await self._apologize(Request(scope))(scope, receive, with_headers)
            # The server logs it.
            raise


def _is_here(request: Request) -> bool:
    host = request.headers.get("host", "").lower()
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    return name in _HERE and not is_forwarded(request)
