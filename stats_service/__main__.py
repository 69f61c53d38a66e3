"""`python -m stats_service`: the service on STATS_HOST and STATS_PORT, until SIGTERM or Ctrl-C.

What cannot be used (a setting, the database, the price book, a port) is said in one sentence, with exit code 2.
"""

import contextlib
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from metering import lifeline
from metering.base_urls import http_url
from metering.errors import MeteringError, SettingError
from metering.settings import Settings
from stats_service import logs
from stats_service.app import create_app

_log = logging.getLogger("stats_service")
_ROOT = Path(__file__).resolve().parent.parent
_UNUSABLE = 2
_FINISH_WITHIN_S = 5
_WAITING_MAX = 128


class Server(uvicorn.Server):
    """Says where it answers once it does, ends the live streams before it waits for connections, and ends by itself."""

    def __init__(self, config: uvicorn.Config, stop_streams: Callable[[], None], address: str) -> None:
        super().__init__(config)
        self._stop_streams = stop_streams
        self._address = address

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            _log.info("Dashboard and API: %s", self._address)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stop_streams()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {one: signal.signal(one, self.handle_exit) for one in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)


def main() -> int:
    """Serve; returns the exit code."""
    lifeline.stop_with_starter(os.environ)
    try:
        settings = Settings.load(os.environ, _ROOT)
        logs.set_up(settings.log_level, settings.log_format)
        listener = listen(settings.stats_host, settings.stats_port)
        with listener:
            app = create_app(settings)
            _serve(app, listener)
    except MeteringError as wrong:
        sys.stderr.write(f"{wrong}\n")
        return _UNUSABLE
    return 0


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises SettingError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # With the protocol unnamed, asyncio would not turn off the delay of small packets, 40 ms an answer.
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(_WAITING_MAX)
        except OSError:
            listener.close()
            raise
    except OSError as failure:
        raise SettingError(
            "STATS_PORT", f"{port} on {host} cannot be used: {failure.strerror or failure}."
        ) from failure
    return listener


def _serve(app: Starlette, listener: socket.socket) -> None:
    config = uvicorn.Config(
        app,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        # Whom to believe is decided by TRUSTED_PROXIES.
        proxy_headers=False,
        timeout_graceful_shutdown=_FINISH_WITHIN_S,
    )
    gc.freeze()
    host, port = listener.getsockname()[:2]
    Server(config, app.state.stop_streams, http_url(host, port)).run(sockets=[listener])


if __name__ == "__main__":
    sys.exit(main())
