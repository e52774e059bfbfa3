"""Conversations in HTTP/2: requests, and their answers in frames."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions

from anyhttp import BaseConnector, TCPConnector
from tests.support.tls import Authority

from .breaches import goaway, ping, reset
from .http1 import Exchange, Parts
from .model import Fault, Outcome
from .server import FaultyServer
from .wire import Wire

#: How many frames an answer has: its head, and two parts of the body.
FRAMES: Final = 3


class Http2(Exchange):
    """A request and its answer, on a connection that may carry others.

    :param pings: send PING after PING while a stream stalls
    """

    has_readers = False
    has_waiters = False

    def __init__(self, *, pings: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self._pings = pings

    def leaves_nothing(self, outcome: Outcome) -> bool:
        return False  # other calls go on with the connection of one that has failed

    def connector(self, reader: str, authority: Authority, **options: Any) -> BaseConnector:
        return TCPConnector(http2="prior-knowledge", **options)

    def answer(self, name: str) -> Parts:
        """Return the frames of an answer on the first stream."""
        settings, connection = asked(1)
        return [("settings", settings), *self._frames(connection, 1, name)]

    def _frames(
        self, connection: h2.connection.H2Connection, stream: int, name: str
    ) -> Iterator[tuple[str, bytes]]:
        """Yield the frames of an answer; each is made when it is to be sent."""
        content = self.content(name)
        half = len(content) // 2
        size = str(len(content))
        fields = [(":status", "200"), ("x-name", name), ("content-length", size)]
        connection.send_headers(stream, fields)
        yield "head", connection.data_to_send()
        for piece, ends in ((content[:half], False), (content[half:], True)):
            connection.send_data(stream, piece, end_stream=ends)
            yield "body", connection.data_to_send()

    def sizes(self, part: str, fault: Fault) -> list[int]:
        if part == "frames":
            return [1] * FRAMES
        return super().sizes(part, fault)

    def serve(self, wire: Wire, server: FaultyServer) -> None:
        with suppress(h2.exceptions.StreamClosedError):  # a limit was over before the fault
            self._serve(wire, server)

    def _serve(self, wire: Wire, server: FaultyServer) -> None:
        connection = new_connection()
        connection.initiate_connection()
        wire.say("settings", connection.data_to_send())
        names: dict[int, str] = {}
        while wire.inbox or wire.fill():
            events = connection.receive_data(bytes(wire.inbox))
            wire.inbox.clear()
            wire.send(connection.data_to_send())
            for event in events:
                if isinstance(event, h2.events.RequestReceived):
                    assert event.headers is not None
                    assert event.stream_id is not None
                    names[event.stream_id] = dict(event.headers)[b":path"].decode()[1:]
                elif isinstance(event, h2.events.StreamEnded):
                    assert event.stream_id is not None
                    name = names.pop(event.stream_id)
                    self._respond(wire, connection, event.stream_id, name, server)
            if self._pings and wire.plan is not None and wire.plan.is_over:
                wire.send(ping())

    def _respond(
        self,
        wire: Wire,
        connection: h2.connection.H2Connection,
        stream: int,
        name: str,
        server: FaultyServer,
    ) -> None:
        plan = wire.plan
        is_faulty = plan is not None and plan.name == name
        frames = self._frames(connection, stream, name)
        for place in range(FRAMES):
            if is_faulty and self._ends_stream(wire, stream, place):
                return
            part, data = next(frames)
            wire.say(part if is_faulty else "", data)

    @staticmethod
    def _ends_stream(wire: Wire, stream: int, place: int) -> bool:
        """Do a fault that concerns one stream; return whether nothing more is said on it."""
        plan = wire.plan
        if plan is None or plan.is_over or (plan.part, plan.position) != ("frames", place):
            return False
        plan.has_happened = plan.is_over = True
        if plan.fault is Fault.REFUSE:
            wire.send(reset(stream, h2.errors.ErrorCodes.REFUSED_STREAM))
        elif plan.fault is Fault.CANCEL:
            wire.send(reset(stream, h2.errors.ErrorCodes.INTERNAL_ERROR))
        elif plan.fault is Fault.GO_AWAY:
            wire.send(goaway(0))
            wire.link.half_close()
            wire.until_gone()
        else:
            assert plan.fault in {Fault.STALL, Fault.STALL_TOTAL}
        return True


def asked(streams: int) -> tuple[bytes, h2.connection.H2Connection]:
    """Return the settings of a server, and its connection with requests on so many streams."""
    connection = new_connection()
    connection.initiate_connection()
    settings = connection.data_to_send()
    client = h2.connection.H2Connection()
    client.initiate_connection()
    names = (":method", ":scheme", ":authority", ":path")
    for number in range(streams):
        fields = zip(names, ("GET", "http", "a.test", "/"), strict=True)
        client.send_headers(2 * number + 1, fields, True)
    connection.receive_data(client.data_to_send())
    connection.clear_outbound_data_buffer()
    return settings, connection


def new_connection() -> h2.connection.H2Connection:
    """Return the server's side of a connection."""
    config = h2.config.H2Configuration(client_side=False, validate_inbound_headers=False)
    return h2.connection.H2Connection(config)
