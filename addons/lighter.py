"""Lighter stand-ins for what mitmproxy does again and again for each request, with the same results.

A header look-up without converting every name of the message, hooks without a watchdog and names for their tasks,
options as plain attributes. Our own mitmproxy and `mitmdump -s` both profit; nothing here decides anything.
"""

from functools import lru_cache, partial
from itertools import count
from types import SimpleNamespace

from mitmproxy import flow, http
from mitmproxy.hooks import Hook
from mitmproxy.options import Options
from mitmproxy.proxy import commands
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.mode_servers import ProxyConnectionHandler

from addons.arrivals import handle_connection
from addons.turns import server_event


def lighten(options: Options) -> None:
    """Put everything in place, for connections from now on. The options do not change any more."""
    for name, method in _OF_HEADERS.items():
        setattr(http.Headers, name, method)
    setattr(http.MessageData, "__post_init__", _unchecked)  # noqa: B010  # It is not declared where there is `-O`.
    for method in (server_event, handle_connection):
        setattr(ProxyConnectionHandler, method.__name__, method)
    setattr(ProxyConnectionHandler, "handle_hook", _handle_hook)  # noqa: B010  # It is a method, not a field.
    setattr(Hook, "__new__", _new)  # noqa: B010  # It is a method, not a field.
    setattr(Context, "fork", _fork)  # noqa: B010  # It is a method, not a field.
    vars(flow)["uuid"] = SimpleNamespace(uuid4=partial(next, count(1)))
    vars(_plain).update({name: getattr(options, name) for name, _ in options.items()}, proxy_debug=False)


def with_plain_options(context: Context) -> None:
    """Let the layers of a connection read options as attributes: mitmproxy copies the value for each look."""
    vars(context)["options"] = _plain


def _unchecked(_message: http.MessageData) -> None:
    """In place of type checks of each message, which mitmproxy makes by itself. Half of what `-O` gains is this."""


def _get_all(headers: http.Headers, name: str | bytes) -> list[str]:
    wanted = _lowered(name)
    return [
        value.decode("utf-8", "surrogateescape") for key, value in headers.fields if key.lower() == wanted
    ]


@lru_cache(maxsize=1_024)
def _lowered(name: str | bytes) -> bytes:
    return (name if isinstance(name, bytes) else name.encode("utf-8", "surrogateescape")).lower()


def _get(headers: http.Headers, name: str | bytes, default: object = None) -> object:
    """Headers that are repeated are joined, as mitmproxy does."""
    return ", ".join(found) if (found := _get_all(headers, name)) else default


def _getitem(headers: http.Headers, name: str | bytes) -> str:
    if found := _get_all(headers, name):
        return ", ".join(found)
    raise KeyError(name)


def _contains(headers: http.Headers, name: object) -> bool:
    if not isinstance(name, str | bytes):
        return False
    wanted = _lowered(name)
    for key, _ in headers.fields:  # noqa: SIM110  # A generator would take longer than the look.
        if key.lower() == wanted:
            return True
    return False


_OF_HEADERS = {"get_all": _get_all, "get": _get, "__getitem__": _getitem, "__contains__": _contains}


async def _handle_hook(handler: ProxyConnectionHandler, hook: commands.StartHook) -> None:
    """Nobody here holds flows back, and the sweep of slow peers is ours."""
    await handler.master.addons.handle_lifecycle(hook)


def _new(kind: type[Hook], *_: object, **__: object) -> Hook:
    """Without asking whether it is a dataclass."""
    return object.__new__(kind)


def _fork(context: Context) -> Context:
    """Without a server that is replaced in the next line."""
    fork: Context = object.__new__(Context)
    fork.client, fork.options, fork.server = context.client, context.options, context.server
    fork.layers = context.layers.copy()
    return fork


_plain = SimpleNamespace()
