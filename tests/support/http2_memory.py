"""An HTTP/2 server in memory, below a connection that would otherwise have a socket.

The test says when the system takes what is sent and when it does not.  So every scheduling point
can be reached again and again, and the rules for those who share the stream are checked at each:
one task receives at a time, one sends what is left over, and nothing is sent out of order.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any, cast

import anyio
import anyio.lowlevel
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, RequestReceived, StreamEnded, StreamReset
from h2.settings import SettingCodes, Settings

from anyhttp import ClientConnectionResetError
from anyhttp._network import NetworkStream
from anyhttp._tasks import Expired

__all__ = ("KeepingServer", "MemoryServer")

#: What the client may send before the server has read it.
WINDOW = 2**24


class MemoryServer:
    """What a connection needs of its stream, with a server behind it.

    The server answers each request with its body, or with its path if it has none.  It holds back
    the answers to ``/held`` until :meth:`let_go`.
    """

    receive_size = 65536
    for_one_exchange = False
    has_waited = True
    is_gone = False
    stream = None

    def __init__(self) -> None:
        self._h2 = H2Connection(H2Configuration(client_side=False, header_encoding="latin-1"))
        values = {SettingCodes.INITIAL_WINDOW_SIZE: WINDOW, SettingCodes.MAX_CONCURRENT_STREAMS: 99}
        self._h2.local_settings = Settings(client=False, initial_values=values)
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(WINDOW)
        self._changed = anyio.Event()
        self._output = bytearray(self._h2.data_to_send())
        self._left = bytearray()
        self._paths: dict[int, str] = {}
        self._bodies: dict[int, bytearray] = {}
        self._held: list[int] = []
        self._is_interrupted = False
        self.is_full = False
        """Whether the system takes no more bytes."""
        self.has_ended = False
        """Whether the server has closed the connection."""
        self.is_broken = False
        """Whether the system refuses to send."""
        self.receiving = self.draining = 0
        """How many tasks do so."""
        self.resets = 0

    def as_stream(self) -> NetworkStream:
        """Return it as the stream for a connection."""
        return cast("NetworkStream", self)

    # -- what the test does

    def take_more(self) -> None:
        """Let the system take bytes again."""
        self.is_full = False
        self._change()

    def let_go(self) -> None:
        """Answer the requests that were held back."""
        held, self._held = self._held, []
        for number in held:
            self._respond(number, b"held")
        self._change()

    @property
    def held(self) -> int:
        """How many requests are held back."""
        return len(self._held)

    def _change(self) -> None:
        self._output += self._h2.data_to_send()
        changed, self._changed = self._changed, anyio.Event()
        changed.set()

    def _deliver(self, data: bytes) -> None:
        events = self._h2.receive_data(data)
        gone = {event.stream_id for event in events if isinstance(event, StreamReset)}
        for event in events:
            if isinstance(event, StreamReset) or getattr(event, "stream_id", 0) not in gone:
                self._handle(event)
        self._change()

    def _handle(self, event: Event) -> None:
        match event:
            case RequestReceived():
                headers = dict(cast("Any", event.headers))
                self._paths[event.stream_id] = headers[":path"]
                self._bodies[event.stream_id] = bytearray()
                if headers.get("expect") == "100-continue":
                    self._h2.send_headers(event.stream_id, [(":status", "100")])
            case DataReceived():
                self._bodies[event.stream_id] += event.data
                size = event.flow_controlled_length
                self._h2.acknowledge_received_data(size, event.stream_id)
            case StreamReset():
                self.resets += 1
                self._bodies.pop(event.stream_id, None)
                if event.stream_id in self._held:
                    self._held.remove(event.stream_id)
            case StreamEnded():
                path = self._paths[event.stream_id]
                if path == "/held":
                    self._held.append(event.stream_id)
                else:
                    body = bytes(self._bodies.pop(event.stream_id))
                    self._respond(event.stream_id, body or path.encode())

    def _respond(self, number: int, body: bytes) -> None:
        self._h2.send_headers(number, [(":status", "200")])
        size = self._h2.max_outbound_frame_size
        for start in range(0, len(body), size):
            self._h2.send_data(number, body[start : start + size])
        self._h2.end_stream(number)

    # -- what the connection uses

    @property
    def checkpoint_if_cancelled(self) -> Callable[[], Awaitable[None]]:
        return anyio.lowlevel.checkpoint_if_cancelled

    def set_deadline(self, deadline: float, watchdog: object) -> None:
        assert deadline == math.inf

    def send_nowait(self, data: bytes) -> bool:
        assert not self._left, "a frame would be torn"
        if self.is_broken:
            raise ClientConnectionResetError("broken")
        if self.is_full:
            self._left += data
            return False
        self._deliver(data)
        return True

    def _send_left(self) -> bool:
        if not self.is_full:
            data, self._left = bytes(self._left), bytearray()
            self._deliver(data)
        return not self._left

    async def drain(self) -> None:
        self.draining += 1
        assert self.draining == 1
        try:
            while not self._send_left():
                await self._changed.wait()
        finally:
            self.draining -= 1

    async def receive(self, max_bytes: int) -> bytes:
        self.receiving += 1
        self._is_interrupted = False
        assert self.receiving == 1
        try:
            await anyio.lowlevel.checkpoint()
            while (data := self.receive_nowait()) is None:
                if self._is_interrupted:
                    raise Expired
                await self._changed.wait()
            return data
        finally:
            self.receiving -= 1

    async def receive_draining(self, max_bytes: int) -> bytes | None:
        self.receiving += 1
        self.draining += 1
        self._is_interrupted = False
        assert (self.receiving, self.draining) == (1, 1)
        try:
            await anyio.lowlevel.checkpoint()
            while (data := self.receive_nowait()) is None:
                if self._send_left():
                    return None
                if self._is_interrupted:
                    raise Expired
                await self._changed.wait()
            return data
        finally:
            self.receiving -= 1
            self.draining -= 1

    def receive_nowait(self) -> bytes | None:
        if self._output:
            data = bytes(self._output[:500])
            del self._output[:500]
            return data
        return b"" if self.has_ended else None

    def interrupt(self) -> None:
        self._is_interrupted = True
        self._change()

    def is_failure(self, exc: BaseException) -> bool:
        return False

    def call_in_loop(self, function: Callable[[], object]) -> None:
        function()

    def extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def abort(self) -> None:
        self.is_gone = self.has_ended = True
        self._change()

    async def aclose(self) -> None:
        self.abort()
        await anyio.lowlevel.checkpoint()


class KeepingServer(MemoryServer):
    """Keeps what h2 has read of requests; h2 raises an error for what is none."""

    def __init__(self) -> None:
        super().__init__()
        self.fields: list[list[tuple[bytes, bytes]]] = []
        """The fields of each head."""
        self.body = b""

    def _handle(self, event: Event) -> None:
        if isinstance(event, RequestReceived):
            fields = cast("list[tuple[str, str]]", list(event.headers))
            self.fields.append([(n.encode("latin-1"), v.encode("latin-1")) for n, v in fields])
        elif isinstance(event, DataReceived):
            self.body += event.data
        super()._handle(event)
