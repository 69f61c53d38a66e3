"""The turns of a connection: an event goes into its layers, and what they command is done at once.

mitmproxy takes a lock for each event and a task for each hook. Here a connection has a queue: an event that comes up while
another one has its turn waits until that one is through, which is the same order. A hook that has nothing to wait for
is called on the spot; only one that waits becomes a task.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine

from mitmproxy.proxy import commands, events
from mitmproxy.proxy.layer import NextLayer
from mitmproxy.proxy.layers.modes import ReverseProxy
from mitmproxy.proxy.mode_servers import ProxyConnectionHandler
from mitmproxy.proxy.server import ConnectionIO

from addons.conversation import Conversation
from addons.dispatch import begin

log = logging.getLogger(__name__)

_running: set[asyncio.Task[None]] = set()


class Turns:
    """One connection's."""

    def __init__(self, handler: ProxyConnectionHandler) -> None:
        self._handler = handler
        self._waiting: deque[events.Event] = deque()
        self._has_turn = False
        self._conversation: Conversation | None = None

    def take(self, event: events.Event) -> None:
        """The event's turn, now or as soon as the others are through."""
        self._waiting.append(event)
        if self._has_turn:
            return
        self._has_turn = True
        self._handler.timeout_watchdog.register_activity()
        try:
            while self._waiting:
                self._turn(self._waiting.popleft())
        finally:
            self._has_turn = False

    def _turn(self, event: events.Event) -> None:
        try:
            if self._conversation is None:
                for command in self._handler.layer.handle_event(event):
                    self.do(command)
                self._conversation = _conversation_of(self._handler)
            else:
                self._conversation.take(event, self)
        except Exception:
            log.exception("A connection's event cannot be handled: it is closed.")
            self._close()

    def _close(self) -> None:
        """A part of what came is lost, and whoever waits for it would wait for ever."""
        stream = self._handler.transports.get(self._handler.client)
        if stream is not None and stream.handler is not None:
            self._handler.close_connection(self._handler.client)

    def do(self, command: commands.Command) -> None:
        """What a layer has commanded."""
        handler = self._handler
        if isinstance(command, commands.SendData):
            stream = handler.transports.get(command.connection)
            if stream is not None and stream.writer is not None and not stream.writer.is_closing():
                stream.writer.write(command.data)
        elif isinstance(command, commands.StartHook):
            if self.hook(command) and command.blocking:
                self.later(events.HookCompleted(command))
        elif isinstance(command, commands.OpenConnection):
            task = asyncio.create_task(handler.open_connection(command))
            handler.transports.setdefault(command.connection, ConnectionIO()).handler = task
        elif isinstance(command, commands.CloseConnection):
            if command.connection in handler.transports:
                half_close = isinstance(command, commands.CloseTcpConnection) and command.half_close
                handler.close_connection(command.connection, half_close)
        elif isinstance(command, commands.Log):
            handler.log(command.message, command.level)
        else:
            raise TypeError(f"unexpected command: {command}")

    def hook(self, hook: commands.StartHook) -> bool:
        """Call a hook. True: it is done, and no event will say so. False: an event will."""
        rest = begin(self._handler.master.addons, hook)
        if rest is None:
            return True
        run(self._finish(hook, rest))
        return False

    def later(self, event: events.Event) -> None:
        """An event for as soon as this one is through."""
        self._waiting.append(event)

    async def _finish(self, hook: commands.StartHook, rest: Coroutine[object, object, None]) -> None:
        await rest
        if hook.blocking:
            self.take(events.HookCompleted(hook))


def _conversation_of(handler: ProxyConnectionHandler) -> Conversation | None:
    """The layer that has taken the connection over, once mitmproxy has passed it all that came before."""
    first = handler.layer.child_layer if isinstance(handler.layer, ReverseProxy) else handler.layer
    if not isinstance(first, NextLayer) or first._handle is None:  # noqa: SLF001  # Nothing else tells.
        return None
    return first.layer if isinstance(first.layer, Conversation) else None


def run(coroutine: Coroutine[object, object, None]) -> None:
    """In a task of its own, which is kept until it is done: the event loop alone would not keep it."""
    task = asyncio.create_task(coroutine)
    if not task.done():
        _running.add(task)
        task.add_done_callback(_running.discard)


def turns_of(handler: ProxyConnectionHandler) -> Turns:
    """The connection's turns."""
    turns: Turns | None = vars(handler).get("turns")
    if turns is None:
        turns = vars(handler)["turns"] = Turns(handler)
    return turns


async def server_event(handler: ProxyConnectionHandler, event: events.Event) -> None:
    """In place of the method of the same name."""
    turns_of(handler).take(event)
