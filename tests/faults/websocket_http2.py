"""Conversations by WebSocket on a stream of HTTP/2 (RFC 8441)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

import h2.events
import h2.exceptions
from h2.connection import H2Connection
from h2.settings import SettingCodes, Settings

from anyhttp import BaseConnector, TCPConnector
from tests.support.tls import Authority

from .breaches import goaway
from .conversation import Program
from .http1 import ANY_NAME, Parts
from .http2 import asked, new_connection
from .model import Fault, Outcome, Plan
from .server import FaultyServer
from .websocket import WebSocket
from .wire import Over, Wire


class Http2WebSocket(WebSocket):
    """A WebSocket on a stream, whose connection carries the next requests as well."""

    has_readers = False
    has_waiters = False

    def leaves_nothing(self, outcome: Outcome) -> bool:
        return False  # the connection may live

    def connector(self, reader: str, authority: Authority, **options: Any) -> BaseConnector:
        return TCPConnector(http2="prior-knowledge", **options)

    def sizes(self, part: str, fault: Fault) -> list[int]:
        if part == "handshake":
            return [len(data) for _, data in self.answer(ANY_NAME)]
        return super().sizes(part, fault)

    def answer(self, name: str) -> Parts:
        """Return the head that accepts the first handshake of a connection."""
        _, connection = asked(1)
        connection.send_headers(1, [(":status", "200")])
        return [("handshake", connection.data_to_send())]

    async def call(self, program: Program) -> None:
        if program.name == program.server.plan.name:
            await self.call_before(program)  # the server says that it takes WebSockets
        await super().call(program)

    def serve(self, wire: Wire, server: FaultyServer) -> None:
        with suppress(h2.exceptions.ProtocolError):  # a limit was over before the fault
            self._serve(wire)

    def _serve(self, wire: Wire) -> None:
        connection = new_connection()
        allowed = {SettingCodes.ENABLE_CONNECT_PROTOCOL: 1}
        connection.local_settings = Settings(client=False, initial_values=allowed)
        connection.initiate_connection()
        wire.send(connection.data_to_send())
        while wire.inbox or wire.fill():
            events = connection.receive_data(bytes(wire.inbox))
            wire.inbox.clear()
            wire.send(connection.data_to_send())
            for event in events:
                self._take(event, wire, connection)

    def _take(self, event: h2.events.Event, wire: Wire, connection: H2Connection) -> None:
        match event:
            case h2.events.RequestReceived(stream_id=int(stream), headers=list(headers)):
                fields = dict(headers)
                name = fields[b":path"].decode()[1:]
                if fields[b":method"] == b"CONNECT":
                    self._open(wire, connection, stream, name)
                    return
                connection.send_headers(stream, [(":status", "200"), ("x-name", name)])
                connection.send_data(stream, self.content(name), end_stream=True)
                wire.send(connection.data_to_send())

    def _open(self, wire: Wire, connection: H2Connection, stream: int, name: str) -> None:
        plan = wire.plan
        if plan is not None and plan.fault is Fault.REFUSE and not plan.is_over:
            plan.has_happened = plan.is_over = True
            connection.send_headers(stream, [(":status", "403")], end_stream=True)
            wire.send(connection.data_to_send())
            return
        connection.send_headers(stream, [(":status", "200")])
        wire.say("handshake", connection.data_to_send())

        def take_other(event: h2.events.Event) -> None:
            self._take(event, wire, connection)

        with suppress(Over):
            self._talk(_StreamWire(wire, connection, stream, take_other), name)
        with suppress(h2.exceptions.ProtocolError):  # the stream has ended
            connection.end_stream(stream)
            wire.send(connection.data_to_send())


class _StreamWire(Wire):
    """One stream of HTTP/2 on a wire.

    :param take_other: takes what comes for the others
    """

    def __init__(
        self,
        below: Wire,
        connection: H2Connection,
        stream: int,
        take_other: Callable[[h2.events.Event], None],
    ) -> None:
        super().__init__(below.link, below.plan)
        self._connection = connection
        self._stream = stream
        self._take_other = take_other

    def send(self, data: bytes) -> None:
        """Send *data* as far as the window of the client allows."""
        connection, stream = self._connection, self._stream
        data = data[: connection.local_flow_control_window(stream)]
        most = connection.max_outbound_frame_size
        for start in range(0, len(data), most):
            connection.send_data(stream, data[start : start + most])
        self.link.send(connection.data_to_send())

    def until_gone(self) -> NoReturn:
        """Read and ignore what comes for the stream until it or the connection has ended.

        :raises Over: always
        """
        while self._fill():
            self.inbox.clear()
        raise Over

    def _commit(self, plan: Plan, before: bytes, after: bytes) -> None:
        match plan.fault:
            case Fault.CANCEL:
                plan.has_happened = plan.is_over = True
                self.send(before)
                self._connection.reset_stream(self._stream)
                self.send(b"")
                raise Over
            case Fault.GO_AWAY:
                plan.has_happened = plan.is_over = True
                self.link.send(goaway(self._stream))
                self.send(before + after)
            case _:
                super()._commit(plan, before, after)

    def _fill(self) -> bool:
        while self.link.fill():
            events = self._connection.receive_data(bytes(self.link.inbox))
            self.link.inbox.clear()
            self.link.send(self._connection.data_to_send())
            is_ended = False
            for event in events:
                if getattr(event, "stream_id", 0) != self._stream:
                    self._take_other(event)
                elif isinstance(event, h2.events.DataReceived):
                    self._feed(event.data or b"")
                elif isinstance(event, (h2.events.StreamReset, h2.events.StreamEnded)):
                    is_ended = True
            if self.inbox or is_ended:
                return bool(self.inbox)
        return False
