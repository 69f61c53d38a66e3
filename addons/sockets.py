"""Listening sockets: bound once, by whoever runs the proxy, and inherited by its workers.

Never with SO_REUSEPORT, which would let a second instance bind the same port in silence. All workers wake up for each new
connection, and asyncio would let the first of them take all that are waiting: here it takes few at a time.
"""

import errno
import os
import socket
from contextlib import ExitStack

from metering.errors import SettingError

BACKLOG = 1_024
ACCEPTED_AT_ONCE = 1
"""What asyncio is told the backlog is, since it accepts as many connections at a time as that."""

_Found = tuple[int, int, int, tuple[object, ...]]


class Listener(socket.socket):
    """Keeps its own backlog, whatever asyncio asks for."""

    def listen(self, _backlog: int = 0, /) -> None:
        super().listen(BACKLOG)


def bind(host: str, port: int) -> list[Listener]:
    """Sockets that listen on every address of the host; port 0 takes one free port for all. Raises SettingError."""
    with ExitStack() as opened:
        sockets: list[Listener] = []
        for found in _addresses(host, port):
            if (one := _bound(found, host, port)) is not None:
                sockets.append(opened.enter_context(one))
                port = port_of(one)
        if not sockets:
            raise SettingError("HOST", f"cannot be used: this machine has no {host!r}.")
        opened.pop_all()
    return sockets


def port_of(one: socket.socket) -> int:
    """The port that a socket is bound to."""
    return int(one.getsockname()[1])


def _addresses(host: str, port: int) -> list[_Found]:
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as failure:
        raise SettingError("HOST", f"cannot be used: {host!r} is not an address.") from failure
    return list(dict.fromkeys((family, kind, protocol, place) for family, kind, protocol, _, place in found))


def _bound(found: _Found, host: str, port: int) -> Listener | None:
    """None where the machine does not know this family of addresses."""
    family, kind, protocol, (address, _, *more) = found
    try:
        return _listener(family, kind, protocol, (address, port, *more))
    except OSError as failure:
        if failure.errno in {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL} and family == socket.AF_INET6:
            return None
        if failure.errno == errno.EADDRINUSE:
            raise SettingError("PORT", f"{port} is in use on {host or '*'}.") from failure
        if failure.errno == errno.EADDRNOTAVAIL:
            raise SettingError("HOST", f"cannot be used: {host} is no address of this machine.") from failure
        # asyncio and the standard library repeat the address in the text of the error.
        reason = os.strerror(failure.errno) if failure.errno else str(failure)
        raise SettingError("PORT", f"{port} cannot be used on {host}: {reason}.") from failure


def _listener(family: int, kind: int, protocol: int, address: tuple[object, ...]) -> Listener:
    one = Listener(family, kind, protocol)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind(address)
        one.listen()
        one.setblocking(False)
    except BaseException:
        one.close()
        raise
    return one
