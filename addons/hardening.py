"""Makes a public reverse proxy of a mitmproxy: options, addon chain, hooks, listening. Both ways in use it.

Options are allowed, not forbidden: whatever somebody has set that is not known to be harmless keeps the proxy from
starting. mitmproxy is left without its regular proxy on port 8080, without its script reloading, without a default
upstream, and without the addons that nobody here needs.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import SimpleNamespace

from mitmproxy.addons.errorcheck import ErrorCheck
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.addons.tlsconfig import TlsConfig
from mitmproxy.master import Master
from mitmproxy.net.http.http1 import assemble_response
from mitmproxy.options import Options
from mitmproxy.proxy import mode_servers, mode_specs
from mitmproxy.proxy.layers import http as http_layers
from mitmproxy.proxy.layers.http import _http1

from addons import refusals
from addons.connections import proxyserver_of
from addons.dispatch import Dispatch
from addons.exposure import Peer
from addons.sockets import ACCEPTED_AT_ONCE
from addons.upstream_side import UpstreamSide
from metering.errors import SettingError

MODE = "reverse:http://127.0.0.1:9"
"""A default upstream where nothing listens: a flow that nobody has directed goes nowhere."""

OPTIONS: Mapping[str, object] = {
    "mode": [MODE],
    "connection_strategy": "lazy",
    "block_global": False,
    "block_private": False,
    "rawtcp": False,
    "websocket": False,
    "http2": False,
    "http3": False,
    "onboarding": False,
    "keep_host_header": False,
    "validate_inbound_headers": True,
    "flow_detail": 0,
    "ssl_insecure": False,
    "upstream_cert": False,
}
"""What both ways in set. `tcp_timeout` comes on top, far above the silence that we allow ourselves."""

HARMLESS = frozenset(
    [
        "confdir",
        "termlog_verbosity",
        "flow_detail",
        "dumper_default_contentview",
        "connect_addr",
        "ssl_verify_upstream_trusted_ca",
        "tls_version_server_min",
        "tls_version_server_max",
        "ciphers_server",
        "scripts",
        "tcp_timeout",
        "content_view_lines_cutoff",
        "http_connect_send_host_header",
    ]
)
"""What a user may have set."""

_NEEDED = (Proxyserver, TlsConfig, ErrorCheck)
_FOREVER_S = 7 * 86_400


def check_options(options: Options) -> None:
    """Refuse what is mistyped or not known to be harmless. Call it before `set_options`. Raises SettingError."""
    for name in options.deferred:
        raise SettingError(name, "is not an option of mitmproxy: --set knows no such name.")
    for name, option in options.items():
        if option.has_changed() and name not in HARMLESS:
            given = option.current()
            if name in OPTIONS and given == OPTIONS[name]:
                continue
            reason = "cannot be set with this addon: use HOST and PORT" if name in _OF_LISTENING else _UNSAFE
            raise SettingError(name, f"{reason}.")


def set_options(options: Options) -> None:
    """Set what this proxy needs."""
    # mitmproxy's server warns of an addon that it misses, whose work ours does.
    logging.getLogger("mitmproxy.addons.proxyserver").setLevel(logging.ERROR)
    # A master of our own lacks the addons that some of them belong to.
    known = {name: value for name, value in OPTIONS.items() if name in options}
    options.update(**known, tcp_timeout=_FOREVER_S)


def prevent_regular_proxy() -> None:
    """Cancel mitmdump's own bind: the script is loaded before it is done."""
    for task in asyncio.all_tasks():
        if task.get_name().startswith("setup_servers"):
            task.cancel()


def stop_reloading(master: Master) -> None:
    """Cancel the watcher of the script: a moved file or a syntax error would unload us while the proxy serves on."""
    loader = master.addons.get("scriptloader")
    for script in getattr(loader, "addons", []):
        if script.reloadtask is not None and script.reloadtask is not asyncio.current_task():
            script.reloadtask.cancel()


def trim(master: Master, addon: object) -> None:
    """Leave the needed addons and ours on the chain, and send hooks through a table. Options stay registered."""
    needed = [entry for entry in master.addons.chain if isinstance(entry, _NEEDED)]
    master.addons.chain = [*needed, addon]
    Dispatch([*(_without_unneeded_hooks(entry) for entry in needed), addon]).take_over(master.addons)


def _without_unneeded_hooks(entry: object) -> object:
    """Mitmproxy's TLS would also answer requests, with a list of revoked certificates."""
    if isinstance(entry, TlsConfig):
        return SimpleNamespace(tls_start_server=entry.tls_start_server)
    return entry


def replace_parts(find_peer: Callable[[str], Peer | None]) -> None:
    """Put our parts where mitmproxy would use its own: upstream connections, error pages."""
    vars(http_layers)["Http1Client"] = partial(UpstreamSide, find_peer)
    vars(_http1)["make_error_response"] = _error_response


async def listen(master: Master, sockets: Sequence[socket.socket]) -> None:
    """Accept connections on these sockets, and on nothing else."""
    proxyserver = proxyserver_of(master)
    servers = proxyserver.servers
    for instance in servers:
        if instance.is_running:
            await instance.stop()
    servers._instances.clear()  # noqa: SLF001  # mitmproxy cannot be given sockets otherwise.
    mode = mode_specs.ProxyMode.parse(MODE)
    instance = mode_servers.ServerInstance.make(mode, proxyserver)
    if not isinstance(instance, mode_servers.AsyncioServerInstance):
        raise TypeError("the reverse mode has no asyncio server")
    instance._servers = [  # noqa: SLF001
        await asyncio.start_server(instance.handle_stream, sock=one, backlog=ACCEPTED_AT_ONCE)
        for one in sockets
    ]
    servers._instances[mode] = instance  # noqa: SLF001


async def stop_listening(master: Master) -> None:
    """Accept no connection any more; those that are open stay."""
    await proxyserver_of(master).servers.update([])


def _error_response(status: int, _message: str = "") -> bytes:
    """In place of mitmproxy's HTML page, which repeats what went wrong inside."""
    known = {
        400: refusals.invalid_request("The request is not valid HTTP/1.1."),
        413: refusals.body_too_large(0),
    }
    answer = refusals.answer(known.get(status) or refusals.upstream_unreachable())
    answer.headers["connection"] = "close"
    raw: bytes = assemble_response(answer)
    return raw


_OF_LISTENING = frozenset({"mode", "listen_host", "listen_port", "server"})
_UNSAFE = "is not safe with this addon, or not known to be"
