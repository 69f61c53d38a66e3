"""One proxy process under the supervisor: `python -O -m addons.worker FD…`, the numbers of the listening sockets.

A mitmproxy of our own with nothing in it but what a reverse proxy needs: no scripts, no replay, no flow that anything but
our addon touches. It opens no port by itself and makes no certificate authority.
"""

import argparse
import asyncio
import gc
import signal
import socket
import sys
from collections.abc import Sequence
from os import environ

from mitmproxy.addons.errorcheck import ErrorCheck
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.addons.tlsconfig import TlsConfig
from mitmproxy.master import Master
from mitmproxy.options import Options

from addons.limiter import ROOT, Limiter
from addons.sockets import Listener
from metering import lifeline
from metering.clock import Clock, now_us
from metering.errors import MeteringError
from metering.settings import Settings

YOUNG_OBJECTS = 5_000
"""How many new objects there may be before the collector looks at the young ones: a hundred requests' worth or so.
Ten times as many halt all calls for twice as long as the slowest of a hundred takes now."""


class UpstreamTls(TlsConfig):
    """TLS towards upstreams alone: mitmproxy's own would make a certificate authority in the home directory."""

    name = "tlsconfig"

    def configure(self, _updated: set[str]) -> None: ...

    def running(self) -> None: ...


class Proxy(Master):
    """mitmproxy with our addon."""

    def __init__(self, settings: Settings, sockets: Sequence[socket.socket], clock: Clock = now_us) -> None:
        super().__init__(Options(server=False))
        self.addons.add(Proxyserver(), UpstreamTls(), ErrorCheck(), Limiter(settings, sockets, clock))

    async def running(self) -> None:
        await super().running()
        # What is there now stays for good: looking at it again and again is what long pauses come from.
        gc.collect()
        gc.freeze()
        gc.set_threshold(YOUNG_OBJECTS, 20, 50)


async def serve(settings: Settings, sockets: Sequence[socket.socket]) -> None:
    """Run until SIGTERM or SIGINT, and let the calls in flight finish."""
    proxy = Proxy(settings, sockets)
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, proxy.shutdown)
    lifeline.stop_with_starter(environ)
    await proxy.run()


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve on inherited sockets. The exit code is not zero where that cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m addons.worker", description="One proxy process.")
    parser.add_argument("sockets", nargs="+", type=int, help="numbers of inherited listening sockets")
    numbers = parser.parse_args(arguments).sockets
    try:
        settings = Settings.load(environ, ROOT)
    except MeteringError as wrong:
        sys.stderr.write(f"{wrong}\n")
        return 1
    asyncio.run(serve(settings, [Listener(fileno=number) for number in numbers]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
