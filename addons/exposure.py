"""Who is connected, what he is doing, and for how long he may go on doing it.

mitmproxy has no limits of its own on connections, header bytes, pipelining or slow peers. Each client connection has a
`Peer` here, which the HTTP/1 layer keeps up to date; a sweep each second finds those that are over their time. Pure
but for the moment that is passed in: the sweep says what to do, the addon does it.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache

from addons.calls import Call
from metering.clock import monotonic_s

CONNECT_TIMEOUT_S = 30.0
LINGER_S = 2.0
HEAD_MAX_BYTES_OF_AN_ANSWER = 262_144
PIPELINED_BYTES_MAX = 1_048_576
LINGERED_BYTES_MAX = 16_777_216


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much of everything a client may have; seconds, bytes and counts."""

    connections: int = 1_024
    connections_per_address: int = 256
    requests_per_connection: int = 1_000
    header_bytes: int = 65_536
    body_bytes: int = 64 * 1_048_576
    header_timeout_s: float = 30
    body_timeout_s: float = 300
    idle_timeout_s: float = 120
    upstream_timeout_s: float = 600


class Phase(Enum):
    """What a client connection is doing."""

    IDLE = "idle"
    HEADERS = "headers"
    BODY = "body"
    BUSY = "busy"
    """A request is whole, and it is our turn."""
    CONNECTING = "connecting"
    WAITING = "waiting"
    """The upstream's turn."""
    LINGERING = "lingering"
    """We are done with it, and wait a moment for the client to hear that."""


class Overdue(Enum):
    """What to do about a connection that is over its time."""

    CLOSE = "close"
    CUT_UPSTREAM = "cut upstream"


@dataclass(slots=True, eq=False)
class Peer:
    """One client connection."""

    bounds: Bounds
    address: str = ""
    phase: Phase = Phase.IDLE
    since_s: float = field(default_factory=monotonic_s)
    requests: int = 0
    is_sent: bool = False
    """The current request has gone to the upstream as a whole."""
    timed_out: bool = False
    """We cut the upstream of the current request because it was silent for too long."""
    is_last: bool = False
    """The connection is to be closed after the current request."""
    upstream: tuple[str, int, bool] | None = None
    """Host, port and TLS of the one upstream that may be dialled for this client now."""
    transport: asyncio.WriteTransport | None = None
    """Where its bytes go out."""
    call: Call | None = None
    """The call that is on its way, for whoever has to resolve it when the client is gone."""

    def enter(self, phase: Phase) -> None:
        """The connection does something else from now on."""
        self.phase = phase
        self.since_s = monotonic_s()

    def heard(self) -> None:
        """The upstream has sent something."""
        self.since_s = monotonic_s()

    def begin_request(self) -> None:
        """The headers of a request are whole."""
        self.requests += 1
        self.is_sent = self.timed_out = False
        self.upstream = None
        if self.requests >= self.bounds.requests_per_connection:
            self.is_last = True
        self.enter(Phase.BODY)

    def overdue(self, now_s: float) -> Overdue | None:
        """What is to be done about it, if anything."""
        limit_s, remedy = self._limit()
        return remedy if now_s - self.since_s > limit_s else None

    def _limit(self) -> tuple[float, Overdue | None]:
        bounds = self.bounds
        match self.phase:
            case Phase.IDLE:
                return bounds.idle_timeout_s, Overdue.CLOSE
            case Phase.HEADERS:
                return bounds.header_timeout_s, Overdue.CLOSE
            case Phase.BODY:
                return bounds.body_timeout_s, Overdue.CLOSE
            case Phase.CONNECTING:
                return min(CONNECT_TIMEOUT_S, bounds.upstream_timeout_s), Overdue.CUT_UPSTREAM
            case Phase.WAITING:
                return bounds.upstream_timeout_s, Overdue.CUT_UPSTREAM
            case Phase.LINGERING:
                return LINGER_S, Overdue.CLOSE
            case Phase.BUSY:
                return float("inf"), None


class Peers:
    """All client connections of this process, by mitmproxy's id."""

    def __init__(
        self, bounds: Bounds | None = None, is_trusted: Callable[[str], bool] = lambda _: False
    ) -> None:
        """`is_trusted` says of which addresses many clients come: proxies in front of us."""
        self.bounds = bounds or Bounds()
        self._is_trusted = lru_cache(maxsize=10_000)(is_trusted)
        self._peers: dict[str, Peer] = {}
        self._by_address: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._peers)

    def __iter__(self) -> Iterator[tuple[str, Peer]]:
        return iter(list(self._peers.items()))

    def admit(self, identity: str, address: str) -> Peer | None:
        """A new connection, or None where there are too many."""
        count = self._by_address.get(address, 0)
        if len(self._peers) >= self.bounds.connections:
            return None
        if count >= self.bounds.connections_per_address and not self._is_trusted(address):
            return None
        self._by_address[address] = count + 1
        peer = self._peers[identity] = Peer(self.bounds, address)
        return peer

    def find(self, identity: str) -> Peer | None:
        """The connection with this id."""
        return self._peers.get(identity)

    def remove(self, identity: str) -> Peer | None:
        """The connection is gone."""
        peer = self._peers.pop(identity, None)
        if peer is not None:
            count = self._by_address.pop(peer.address) - 1
            if count:
                self._by_address[peer.address] = count
        return peer

    def overdue(self, now_s: float) -> list[tuple[str, Peer, Overdue]]:
        """The connections that are over their time."""
        found = ((identity, peer, peer.overdue(now_s)) for identity, peer in self)
        return [(identity, peer, remedy) for identity, peer, remedy in found if remedy is not None]
