"""All the HTTP of one client connection: its requests, and the upstream connections that they go to.

It is mitmproxy's layer with shorter ways. There, each event and each command passes through a generator for every layer
that it crosses; here they are handed over by calls, in the same order. A hook between the headers and the body that is
done on the spot does not pause its request. Whatever is no everyday event takes mitmproxy's own way.
"""
# ruff: noqa: SLF001  # A layer's pauses are its own and no part of any interface.

from collections.abc import Generator
from typing import Any, Protocol

from mitmproxy.connection import Server
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import (
    DropStream,
    GetHttpConnection,
    HttpClient,
    HttpLayer,
    HTTPMode,
    HttpStream,
    RegisterHttpConnection,
    SendHttp,
)
from mitmproxy.proxy.layers.http._base import ReceiveHttp
from mitmproxy.proxy.layers.http._events import RequestHeaders
from mitmproxy.proxy.layers.http._hooks import HttpRequestHeadersHook, HttpResponseHeadersHook
from mitmproxy.proxy.layers.http._http1 import Http1Connection

_BEFORE_A_BODY = (HttpRequestHeadersHook, HttpResponseHeadersHook)


class Doer(Protocol):
    """Does what layers command."""

    def do(self, command: commands.Command) -> None:
        """Do it; a hook's completion is an event for later."""

    def hook(self, hook: commands.StartHook) -> bool:
        """Call a hook. True: it is done, and no event will say so. False: an event will."""

    def later(self, event: events.Event) -> None:
        """An event for as soon as this one is through."""


class Conversation(HttpLayer):
    """One client connection's."""

    def __init__(self, context: Context, client: Http1Connection) -> None:
        super().__init__(context, HTTPMode.transparent)
        self.connections[context.client] = client

    def take(self, event: events.Event, doer: Doer) -> None:
        """Handle an event; what is commanded is done before this returns."""
        child: layer.Layer | None = None
        if isinstance(event, events.ConnectionEvent):
            child = self.connections.get(event.connection)
        elif isinstance(event, events.CommandCompleted):
            child = self.command_sources.pop(event.command)
        if child is None:
            for command in self.handle_event(event):
                doer.do(command)
        else:
            self._hand(child, event, doer)
            if isinstance(event, events.ConnectionClosed) and event.connection is not self.context.client:
                # Its last request and answer go with it: a client may ask a thousand times where each answer closes.
                self.connections.pop(event.connection, None)

    def _hand(self, child: layer.Layer, event: events.Event, doer: Doer) -> None:
        if isinstance(child, HttpStream):
            self._advance(child, event, doer)
            return
        for command in child.handle_event(event):
            self._obey(child, command, doer)

    def _advance(self, stream: HttpStream, event: events.Event, doer: Doer) -> None:
        """What `Layer.handle_event` does."""
        paused = stream._paused
        if paused is None:
            self._run(stream, stream._handle_event(event), None, doer)
        elif isinstance(event, events.CommandCompleted) and event.command is paused.command:
            stream._paused = None
            self._run(stream, paused.generator, event.reply, doer)
            self._catch_up(stream, doer)
        else:
            stream._paused_event_queue.append(event)

    def _catch_up(self, stream: HttpStream, doer: Doer) -> None:
        while stream._paused is None and stream._paused_event_queue:
            self._run(stream, stream._handle_event(stream._paused_event_queue.popleft()), None, doer)

    def _run(
        self, stream: HttpStream, steps: Generator[commands.Command, Any, None], reply: object, doer: Doer
    ) -> None:
        while True:
            try:
                command = steps.send(reply)
            except StopIteration:
                return
            reply = None
            if command.blocking is not True:
                self._obey(stream, command, doer)
                continue
            if isinstance(command, GetHttpConnection) and (server := self._open_to(command)):
                reply = server, None
                continue
            command.blocking = stream
            stream._paused = layer.Paused(command, steps)
            self.command_sources[command] = stream
            if not isinstance(command, commands.StartHook):
                self._obey(stream, command, doer)
            elif doer.hook(command):
                if isinstance(command, _BEFORE_A_BODY) and stream.flow.error is None:
                    stream._paused = None
                    del self.command_sources[command]
                    continue
                doer.later(events.HookCompleted(command))
            return

    def _obey(self, child: layer.Layer, command: commands.Command, doer: Doer) -> None:
        """What `HttpLayer.event_to_child` does with a command."""
        if isinstance(command, ReceiveHttp):
            event = command.event
            if isinstance(event, RequestHeaders):
                self._begin(event.stream_id)
            # Data may come for a request that has ended.
            if (stream := self.streams.get(event.stream_id)) is not None:
                self._advance(stream, event, doer)
        elif isinstance(command, SendHttp):
            if (side := self.connections.get(command.connection)) is not None:
                self._hand(side, command.event, doer)
        elif isinstance(command, commands.SendData):
            doer.do(command)
        elif isinstance(command, DropStream):
            self.streams.pop(command.stream_id, None)
        else:
            self._connect(child, command, doer)

    def _connect(self, child: layer.Layer, command: commands.Command, doer: Doer) -> None:
        if isinstance(command, GetHttpConnection):
            for step in self.get_connection(command):
                doer.do(step)
        elif isinstance(command, RegisterHttpConnection):
            if isinstance(child, HttpClient) and command.err is None:
                # From now on it would only pass on what comes.
                self.connections[command.connection] = child.child_layer
            for step in self.register_connection(command):
                doer.do(step)
        else:
            if command.blocking:
                self.command_sources[command] = child
            if isinstance(command, commands.OpenConnection):
                self.connections[command.connection] = child
            doer.do(command)

    def _begin(self, stream_id: int) -> None:
        stream = self.streams[stream_id] = HttpStream(self.context.fork(), stream_id)
        # All that its start does.
        stream.client_state = stream.state_wait_for_request_headers

    def _open_to(self, wanted: GetHttpConnection) -> Server | None:
        """The open connection to that upstream, if there is one."""
        for connection in self.connections:
            if isinstance(connection, Server) and wanted.connection_spec_matches(connection):
                is_ready = connection.connected and connection not in self.waiting_for_establishment
                return connection if is_ready and not connection.error else None
        return None
