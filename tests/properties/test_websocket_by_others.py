"""WebSockets beside the ``websockets`` library: what either side sends is what the other receives.

Its server has no I/O, so each byte can be a packet of its own, in both directions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import anyio
import pytest
from hypothesis import given, strategies as st
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from anyhttp import ClientSession, WSMsgType
from tests.support.canned import Canned, CannedConnector
from tests.support.engines import NAMES
from tests.support.examples import examples

CLOSE_CODE = 4001


@dataclass(frozen=True)
class Sent:
    """A message, and where the server cuts its echo into frames; a ping goes before each."""

    data: str | bytes
    cuts: tuple[int, ...]
    pings: bool


class EchoServer(Canned):
    """The server's side of a connection; it gets and sends packets of the sizes given."""

    def __init__(self, protocol: ServerProtocol, sizes: list[int], script: list[Sent]) -> None:
        super().__init__()
        self._protocol = protocol
        self._sizes = sizes
        self._script = list(script)
        self._output = bytearray()
        self._has_output = anyio.Event()
        self._is_over = False
        self._packets = 0
        self._message = b""
        self.received: list[tuple[bool, bytes]] = []
        """Whether a message was text, and its bytes."""
        self.pongs: list[bytes] = []
        self.close_code: int | None = None

    def _size(self) -> int:
        self._packets += 1
        return self._sizes[self._packets % len(self._sizes)]

    async def send(self, item: bytes) -> None:
        await anyio.lowlevel.checkpoint()
        data = bytes(item)
        while data:
            size = self._size()
            self._protocol.receive_data(data[:size])
            data = data[size:]
            for event in self._protocol.events_received():
                self._handle(event)
        self._flush()

    async def receive(self, max_bytes: int = 65536) -> bytes:
        await anyio.lowlevel.checkpoint()
        while not self._output:
            if self._is_over:
                raise anyio.EndOfStream
            self._has_output = anyio.Event()
            await self._has_output.wait()
        size = min(self._size(), max_bytes)
        data = bytes(self._output[:size])
        del self._output[:size]
        return data

    def _flush(self) -> None:
        for piece in self._protocol.data_to_send():
            self._output += piece
            self._is_over = self._is_over or not piece
        self._has_output.set()

    def _handle(self, event: Any) -> None:
        if isinstance(event, Request):
            self._protocol.send_response(self._protocol.accept(event))
            return
        assert isinstance(event, Frame)
        match event.opcode:
            case Opcode.TEXT | Opcode.BINARY:
                self._is_text = event.opcode is Opcode.TEXT
                self._message = bytes(event.data)
            case Opcode.CONT:
                self._message += event.data
            case Opcode.PONG:
                self.pongs.append(bytes(event.data))
                return
            case Opcode.CLOSE:
                assert self._protocol.close_rcvd is not None
                self.close_code = self._protocol.close_rcvd.code
                return
        if event.fin:
            self.received.append((self._is_text, self._message))
            self._echo(self._script.pop(0))

    def _echo(self, sent: Sent) -> None:
        data = self._message
        places = [0, *sorted(min(cut, len(data)) for cut in sent.cuts), len(data)]
        for number in range(len(places) - 1):
            piece = data[places[number] : places[number + 1]]
            last = number == len(places) - 2
            if sent.pings:
                self._protocol.send_ping(b"%d" % number)
            if number:
                self._protocol.send_continuation(piece, last)
            elif self._is_text:
                self._protocol.send_text(piece, last)
            else:
                self._protocol.send_binary(piece, last)


messages = st.builds(
    Sent,
    st.one_of(
        st.text(max_size=200),
        st.binary(max_size=200),
        st.sampled_from(["again and again", "again and again", bytes(70000), "ü" * 3000]),
    ),
    st.lists(st.integers(0, 300), max_size=4).map(tuple),
    st.booleans(),
)
compressed = st.builds(
    ServerPerMessageDeflateFactory,
    st.booleans(),
    st.booleans(),
    st.one_of(st.none(), st.integers(9, 15)),
    st.one_of(st.none(), st.integers(9, 15)),
)
extensions = st.one_of(st.none(), compressed, compressed, compressed)


@pytest.mark.parametrize("http1", NAMES)
@examples(20)
@given(
    script=st.lists(messages, max_size=5),
    extension=extensions,
    compress=st.sampled_from([0, 9, 15, 15]),
    sizes=st.lists(st.sampled_from([1, 2, 7, 100, 10**6]), min_size=1, max_size=5),
)
async def test_both_receive_what_the_other_sends(
    http1: str, script: list[Sent], extension: Any, compress: int, sizes: list[int]
) -> None:
    """RFC 6455 and RFC 7692: in any frames and packets, compressed or not, and to the end."""
    if any(len(sent.data) > 1000 for sent in script):
        sizes = [1000, *sizes[:1]]
    servers: list[EchoServer] = []

    def make() -> EchoServer:
        protocol = ServerProtocol(extensions=[extension] if extension else None, max_size=None)
        servers.append(EchoServer(protocol, sizes, script))
        return servers[-1]

    connector = CannedConnector(make, http1=http1)
    async with ClientSession(connector=connector) as session:
        async with session.ws_connect("ws://host.test/", compress=compress) as ws:
            for sent in script:
                if isinstance(sent.data, str):
                    await ws.send_str(sent.data)
                else:
                    await ws.send_bytes(sent.data)
                message = await ws.receive()
                is_text = isinstance(sent.data, str)
                assert message.type is (WSMsgType.TEXT if is_text else WSMsgType.BINARY)
                assert message.data == sent.data
            await ws.close(code=CLOSE_CODE)
            assert ws.close_code == CLOSE_CODE
    (server,) = servers
    assert server.received == [
        (
            isinstance(sent.data, str),
            sent.data.encode() if isinstance(sent.data, str) else sent.data,
        )
        for sent in script
    ]
    assert server.close_code == CLOSE_CODE
    expected = [b"%d" % n for sent in script if sent.pings for n in range(len(sent.cuts) + 1)]
    assert server.pongs == expected
