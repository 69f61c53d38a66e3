"""The open connections of a mitmproxy: closed from outside, and closed where mitmproxy forgets to.

A connection is known by the id of its client; its upstreams belong to it. mitmproxy leaves a socket open whose task was
cancelled while it waited for its turn, and it waits for ever for a client that does not read what is still to be sent.
"""

import asyncio
from collections.abc import Mapping
from functools import partial

from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.master import Master
from mitmproxy.proxy import mode_servers

from addons.exposure import LINGER_S


def proxyserver_of(master: Master) -> Proxyserver:
    """The part of mitmproxy that listens. Raises TypeError where there is none."""
    found = master.addons.get("proxyserver")
    if not isinstance(found, Proxyserver):
        raise TypeError("this mitmproxy has no proxy server")
    return found


def connections(master: Master) -> Mapping[tuple[object, ...] | str, mode_servers.ProxyConnectionHandler]:
    """The open client connections, by id."""
    return proxyserver_of(master).connections


def close_client(master: Master, identity: str) -> None:
    """Close a client's connection and all that belongs to it."""
    handler = connections(master).get(identity)
    if handler is not None and handler.client in handler.transports:
        handler.close_connection(handler.client)


def cut_upstream(master: Master, identity: str) -> None:
    """Close the upstream connections of a client, so that the call that waits on one ends."""
    handler = connections(master).get(identity)
    if handler is not None:
        for connection in [one for one in handler.transports if one is not handler.client]:
            handler.close_connection(connection)


def has_unsent_bytes(master: Master, identity: str) -> bool:
    """Whether a part of what goes to this client's upstream is still with us."""
    handler = connections(master).get(identity)
    if handler is None:
        return False
    writers = (
        stream.writer for connection, stream in handler.transports.items() if connection is not handler.client
    )
    return any(
        isinstance(writer, asyncio.StreamWriter) and writer.transport.get_write_buffer_size() > 0
        for writer in writers
    )


def close_leftovers(master: Master, identity: str, client: asyncio.WriteTransport | None) -> None:
    """The client is gone for us: close whatever is left of its connection, and of its upstreams once they are done."""
    if client is not None:
        client.close()
        if client.get_write_buffer_size() > 0:
            asyncio.get_running_loop().call_later(LINGER_S, client.abort)
    handler = connections(master).get(identity)
    for stream in [] if handler is None else list(handler.transports.values()):
        if stream.handler is not None and isinstance(stream.writer, asyncio.StreamWriter):
            stream.handler.add_done_callback(partial(_close, stream.writer))


def transport_of(master: Master, identity: str) -> asyncio.WriteTransport | None:
    """What bytes go to the client through."""
    handler = connections(master).get(identity)
    stream = None if handler is None else handler.transports.get(handler.client)
    if stream is None or not isinstance(stream.writer, asyncio.StreamWriter):
        return None
    return stream.writer.transport


def _close(writer: asyncio.StreamWriter, _task: object) -> None:
    writer.close()
