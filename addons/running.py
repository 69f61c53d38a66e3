"""Start and stop of a proxy process, and what goes on in it meanwhile.

Start: settings and options first, then the books, then the doors. Whatever cannot be used ends the process with one
sentence. Stop: doors first, then the calls in flight get their time, then the rest is settled, then the books close.
"""

import asyncio
import logging
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from ipaddress import ip_address
from os import environ
from pathlib import Path
from typing import NoReturn, cast

from mitmproxy.connection import Client
from mitmproxy.master import Master

from addons import connections, descriptors, hardening, logs
from addons.admission import Desk
from addons.books import Books
from addons.calls import Call, End
from addons.exposure import Bounds, Overdue, Peers, Phase
from addons.forwarding import Bodies
from addons.lighter import lighten
from addons.lines import write_line
from addons.settling import Settling
from addons.sockets import bind, port_of
from metering.base_urls import http_url
from metering.clock import Clock, monotonic_s
from metering.entries import Figures
from metering.errors import MeteringError, SettingError
from metering.setting_values import Network
from metering.settings import Settings

log = logging.getLogger(__name__)

_SWEEP_EVERY_S = 1.0
_LOOK_EVERY_S = 0.05
_WRITE_WITHIN_S = 10.0
_WORKING = (Phase.BODY, Phase.BUSY, Phase.CONNECTING, Phase.WAITING)


class Running:
    """One proxy process."""

    desk: Desk
    settling: Settling

    def __init__(
        self, master: Master, settings: Settings, sockets: Sequence[socket.socket] | None, clock: Clock
    ) -> None:
        self.settings = settings
        self.peers = Peers(bounds_of(settings), partial(is_within, settings.trusted_proxies))
        self.bodies = Bodies()
        self.is_closing = False
        self._master = master
        self._sockets = sockets
        self._clock = clock
        self._books: Books | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    def prepare(
        cls,
        master: Master,
        root: Path,
        settings: Settings | None,
        sockets: Sequence[socket.socket] | None,
        clock: Clock,
    ) -> "Running":
        """Before anything listens. Ends the process where a setting or an option cannot be used."""
        is_script = master.addons.get("scriptloader") is not None
        try:
            settings = settings or Settings.load(environ, root)
            if is_script:
                hardening.check_options(master.options)
        except MeteringError as wrong:
            stop_at_start(wrong)
        hardening.set_options(master.options)
        if is_script:
            hardening.prevent_regular_proxy()
        return cls(master, settings, sockets, clock)

    async def start(self, addon: object) -> None:
        """Open the books, then the doors. Ends the process with one sentence where that cannot be done."""
        logs.set_up(self.settings.log_level, self.settings.log_format)
        descriptors.make_room(self.settings.max_connections)
        hardening.stop_reloading(self._master)
        hardening.trim(self._master, addon)
        hardening.replace_parts(self.peers.find)
        lighten(self._master.options)
        try:
            if self._master.options.deferred:
                raise SettingError(
                    next(iter(self._master.options.deferred)), "is not an option of mitmproxy."
                )
            sockets = self._sockets
            if sockets is None:
                sockets = bind(self.settings.host, self.settings.port)
            self._books = books = Books(self.settings, self._clock)
            self._writer = books.start(on_death=_die)
            self.desk = Desk(books)
            self.settling = Settling(books, write_line)
            await hardening.listen(self._master, sockets)
            if self._sockets is None:
                # Under the supervisor it is the supervisor who says so.
                log.info("Proxy: %s", http_url(self.settings.host, port_of(sockets[0])))
        except MeteringError as wrong:
            stop_at_start(wrong)
        self._tasks = [asyncio.create_task(self._sweep()), asyncio.create_task(books.keep_retention())]

    async def stop(self) -> None:
        """Let calls in flight finish within the grace time, settle the rest, write everything."""
        self.is_closing = True
        if self._books is None:
            return
        deadline_s = monotonic_s() + self.settings.shutdown_grace_s
        await hardening.stop_listening(self._master)
        for _, peer in self.peers:
            peer.is_last = True
        # A hold may still be on its way for a client who is gone: it is given back only while the books are open.
        while (self._close_idle() or self.desk.deciding) and monotonic_s() < deadline_s:  # noqa: ASYNC110  # No one event says it.
            await asyncio.sleep(_LOOK_EVERY_S)
        for identity, peer in self.peers:
            if peer.call is not None and not peer.call.is_over:
                peer.call.is_sent = peer.call.is_sent or peer.is_sent
                self.settling.finish(peer.call, End.SHUTDOWN)
            connections.close_client(self._master, identity)
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await self.settling.drain(_WRITE_WITHIN_S)
        await self._books.close(_WRITE_WITHIN_S)
        self._books = None

    def figures(self, call: Call) -> Figures | None:
        """The budget as it stands, the call's own end included."""
        return self._writer.figures(call.limiter.key)

    def has_unsent_bytes(self, client: Client) -> bool:
        """Whether a part of the client's request is still with us."""
        return connections.has_unsent_bytes(self._master, client.id)

    def cut_upstream(self, client: Client) -> None:
        """Close the upstream connections of a client."""
        connections.cut_upstream(self._master, client.id)

    def enter(self, client: Client) -> bool:
        """A client has connected; whether there is room for one more."""
        # Who is gone already has no name, whatever its type says.
        name = cast("tuple[str, int] | None", client.peername)
        peer = None if name is None else self.peers.admit(client.id, name[0])
        if peer is not None:
            peer.transport = connections.transport_of(self._master, client.id)
        return peer is not None

    def leave(self, client: Client) -> None:
        """A client is gone: resolve what no other hook has resolved."""
        peer = self.peers.remove(client.id)
        connections.close_leftovers(self._master, client.id, None if peer is None else peer.transport)
        if peer is not None and peer.call is not None and not peer.call.is_over:
            peer.call.is_sent = peer.call.is_sent or peer.is_sent
            self.settling.finish(peer.call, End.CLIENT_LEFT)

    def sweep(self, now_s: float) -> None:
        """Close what is over its time."""
        for identity, peer, remedy in self.peers.overdue(now_s):
            if remedy is Overdue.CUT_UPSTREAM:
                # A connection that cannot be made is unreachable; one that is made and silent is too late.
                peer.timed_out = peer.phase is Phase.WAITING
                peer.enter(Phase.BUSY)
                connections.cut_upstream(self._master, identity)
            else:
                connections.close_client(self._master, identity)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_EVERY_S)
            try:
                self.sweep(monotonic_s())
            except Exception:
                log.exception("Slow connections cannot be closed.")
            try:
                if self._books is not None:
                    self._books.worker.stay()
            except MeteringError as failure:
                log.error("%s", failure)  # noqa: TRY400  # The sentence says it all; it is tried again.

    def _close_idle(self) -> bool:
        """Close the connections without a request; whether there are others."""
        working = False
        for identity, peer in self.peers:
            if peer.phase in _WORKING:
                working = True
            elif peer.phase is not Phase.LINGERING:
                connections.close_client(self._master, identity)
        return working


def bounds_of(settings: Settings) -> Bounds:
    """The bounds on clients that the settings say."""
    return Bounds(
        connections=settings.max_connections,
        connections_per_address=settings.max_connections_per_address,
        requests_per_connection=settings.max_requests_per_connection,
        header_bytes=settings.max_header_bytes,
        body_bytes=settings.max_body_mb * 1_048_576,
        header_timeout_s=settings.header_timeout_s,
        body_timeout_s=settings.body_timeout_s,
        idle_timeout_s=settings.idle_timeout_s,
        upstream_timeout_s=settings.upstream_timeout_s,
    )


def is_within(networks: Sequence[Network], address: str) -> bool:
    """Whether an address is in one of these networks."""
    try:
        return any(ip_address(address) in network for network in networks)
    except ValueError:
        return False


def stop_at_start(wrong: MeteringError) -> NoReturn:
    """One sentence, and an exit code that is not zero."""
    sys.stderr.write(f"{wrong}\n")
    raise SystemExit(1)


def _die() -> NoReturn:
    """Without a writer nothing can be admitted: end, loudly, so that somebody starts us again."""
    log.critical("The ledger cannot be written any more: this process ends.")
    raise SystemExit(1)
