"""The stream that leads to a client, as a server uses it."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from typing import Final

import anyio
from anyio.abc import ByteStream, SocketAttribute
from anyio.lowlevel import checkpoint

from ._memory import MemoryStream

__all__ = ("ClientDisconnected", "ClientStream")

#: What a stream raises when its peer has gone.
_GONE: Final = (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)


class ClientDisconnected(ConnectionError):
    """The client has closed the connection, or it broke."""


class ClientStream:
    """Bytes from and to a client."""

    __slots__ = ("is_closed", "is_torn", "stream")

    def __init__(self, stream: ByteStream) -> None:
        self.stream: ByteStream = stream
        #: whether something may have been sent in part only
        self.is_torn: bool = False
        #: whether this side has closed it
        self.is_closed: bool = False

    async def receive(self) -> bytes:
        """Return the next bytes.

        :raises ClientDisconnected: there are no more
        """
        try:
            return await self.stream.receive()
        except anyio.EndOfStream:
            raise ClientDisconnected("the client has closed the connection") from None
        except _GONE as exc:
            raise ClientDisconnected("the connection to the client broke") from exc

    async def send(self, data: bytes) -> None:
        """Send bytes; after a cancellation the stream is torn.

        :raises ClientDisconnected: the client is gone
        """
        if not data:
            await checkpoint()
            return
        was_torn, self.is_torn = self.is_torn, True
        try:
            await self.stream.send(data)
        except _GONE as exc:
            raise ClientDisconnected("the connection to the client broke") from exc
        self.is_torn = was_torn

    async def send_eof(self) -> None:
        """Tell the client that no more bytes come, if it is still there; TLS cannot tell it."""
        # uvloop raises RuntimeError if the connection has been reset.
        with suppress(NotImplementedError, RuntimeError, *_GONE):
            await self.stream.send_eof()

    async def reset(self) -> None:
        """End the connection by a reset, which the client sees as a failure."""
        self.is_closed = True
        stream = self.stream
        if isinstance(stream, MemoryStream):
            stream.abort()
            await checkpoint()
            return
        theirs = stream.extra(SocketAttribute.raw_socket)
        # Closing then sends RST.  A duplicate, as what uvloop gives out as a socket has no options.
        with socket.fromfd(theirs.fileno(), theirs.family, theirs.type) as raw_socket:
            linger = struct.pack("ii", 1, 0)
            raw_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        await anyio.aclose_forcefully(stream)

    async def aclose(self) -> None:
        """Close the connection."""
        self.is_closed = True
        await self.stream.aclose()
