"""The other end of a connection: a socket with any number of TLS layers, driven by the test."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import anyio
import anyio.lowlevel

from anyhttp._common import ConnectionKey
from anyhttp._network import NetworkStream, connect_tcp, start_tls

#: Bytes that the sockets of both ends ask the operating system to hold, which it doubles.
SMALL = 4096


class Layers:
    """A socket without threads: it does something only when a test calls it.

    :ivar received: what has come, decrypted
    """

    def __init__(self, raw_socket: socket.socket) -> None:
        raw_socket.setblocking(False)
        raw_socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = raw_socket
        self.received = bytearray()
        self.has_ended = False
        self._layers: list[tuple[ssl.MemoryBIO, ssl.MemoryBIO, ssl.SSLObject]] = []
        self._ready = 0  # how many layers have done their handshake
        self._unsent = bytearray()

    def add_layer(self, context: ssl.SSLContext) -> None:
        """Speak TLS from now on, inside of the layers that there are."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._layers.append((incoming, outgoing, context.wrap_bio(incoming, outgoing, True)))

    @property
    def is_ready(self) -> bool:
        """Whether all handshakes are over."""
        return self._ready == len(self._layers)

    def read(self, most: int = 1 << 20) -> bool:
        """Receive what has come, up to *most* bytes of the socket; return whether there was any."""
        try:
            data = self.socket.recv(most)
        except BlockingIOError:
            return False
        if not data:
            self.has_ended = True
            return False
        for number, (incoming, _, tls) in enumerate(self._layers):
            incoming.write(data)
            data = b""
            with suppress(ssl.SSLWantReadError):
                if number == self._ready:
                    tls.do_handshake()
                    self._ready += 1
                while True:
                    data += tls.read()
            self._flush(number)
            if not data:
                return True
        self.received += data
        return True

    def seal(self, data: bytes | bytearray) -> bytes:
        """Return *data* as it is sent."""
        for _, outgoing, tls in reversed(self._layers):
            tls.write(data)
            data = outgoing.read()
        return bytes(data)

    def send(self, data: bytes | bytearray) -> None:
        """Send *data*, as far as there is room; :meth:`write` sends the rest."""
        self._unsent += self.seal(data)
        self.write()

    def write(self) -> bool:
        """Send what is left; return whether nothing is left any more."""
        with suppress(BlockingIOError):
            while self._unsent:
                del self._unsent[: self.socket.send(self._unsent)]
        return not self._unsent

    def _flush(self, number: int) -> None:
        """Send what a layer has to say by itself."""
        data = self._layers[number][1].read()
        if data:
            for _, outgoing, tls in reversed(self._layers[:number]):
                tls.write(data)
                data = outgoing.read()
            self._unsent += data
            self.write()


@asynccontextmanager
async def connected(
    client: ssl.SSLContext, servers: Sequence[ssl.SSLContext] = ()
) -> AsyncIterator[tuple[NetworkStream, Layers]]:
    """Yield a stream and its peer, with a layer of TLS for each of *servers*, and small buffers."""

    def small(address: object = None) -> socket.socket:
        made = socket.socket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        return made

    with small() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        place = listener.getsockname()
        address = (socket.AF_INET, socket.SOCK_STREAM, 0, "", place)
        stream = await connect_tcp(address, socket_factory=small)
        peer = Layers(listener.accept()[0])
    key = ConnectionKey("localhost", place[1], True, client, None, None, None)
    for server in servers:
        peer.add_layer(server)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_shake_hands, peer)
            stream = await start_tls(stream, "localhost", key)
    try:
        yield stream, peer
    finally:
        await stream.aclose()
        peer.socket.close()


async def _shake_hands(peer: Layers) -> None:
    while not peer.is_ready:
        peer.read()
        await anyio.lowlevel.checkpoint()
