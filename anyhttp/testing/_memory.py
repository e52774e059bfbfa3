"""The two ends of a connection in memory."""

from __future__ import annotations

import errno
import os
import socket
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

import anyio
from anyio.abc import ByteStream, SocketAttribute
from anyio.lowlevel import checkpoint, checkpoint_if_cancelled

from .._tasks import Waiter, make_waiter, wake

__all__ = ("CLIENT_ADDRESS", "SERVER_ADDRESS", "MemoryStream", "broken_by", "memory_connection")

#: Bytes on their way in one direction before a sender has to wait: as many as in a socket of Linux.
BUFFER_SIZE: Final = 64 * 1024

#: What the two ends of a connection tell of themselves.  Nobody listens there.
CLIENT_ADDRESS: Final = ("127.0.0.1", 50000)
SERVER_ADDRESS: Final = ("127.0.0.1", 80)


class _Pipe:
    """The bytes on their way in one direction."""

    __slots__ = ("ended", "is_left", "is_reset", "pieces", "reader", "room", "size", "writer")

    def __init__(self, room: int) -> None:
        self.room = room
        self.pieces: deque[memoryview | bytes] = deque()
        self.size = 0  # of all pieces
        self.ended = False  # the sender sends no more
        self.is_reset = False  # by the sender
        self.is_left = False  # by the receiver
        self.reader: Waiter | None = None
        self.writer: Waiter | None = None

    def take(self, max_bytes: int) -> bytes:
        """Return the next bytes, of which there are some."""
        piece = self.pieces.popleft()
        if len(piece) > max_bytes:
            view = memoryview(piece)  # so that many small parts of a large piece are cheap
            self.pieces.appendleft(view[max_bytes:])
            piece = view[:max_bytes]
        self.size -= len(piece)
        if self.writer is not None and self.size <= self.room:
            wake(self.writer)
        return bytes(piece)

    def put(self, data: bytes) -> None:
        """Add bytes at the end."""
        self.pieces.append(data)
        self.size += len(data)
        if self.reader is not None:
            wake(self.reader)

    def wake_both(self) -> None:
        """Let those who wait look at what has happened."""
        for waiter in (self.reader, self.writer):
            if waiter is not None:
                wake(waiter)


class MemoryStream(ByteStream):
    """One end of a connection in memory, made by :func:`memory_connection`.

    One task at a time may receive, and one may send.  What has been sent can be received until it
    is used up, whatever the sender did afterwards.
    """

    def __init__(
        self, incoming: _Pipe, outgoing: _Pipe, attributes: Mapping[Any, Callable[[], Any]]
    ) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._closed = False
        self._attributes = attributes

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        return self._attributes

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Return some bytes that the other end has sent, as soon as there are any.

        :raises anyio.EndOfStream: the other end sends no more
        :raises anyio.BrokenResourceError: the other end has aborted the connection
        :raises anyio.ClosedResourceError: this end is closed
        """
        await checkpoint_if_cancelled()
        pipe = self._incoming
        if pipe.reader is not None:
            raise anyio.BusyResourceError("receiving from")
        while (data := self.receive_nowait(max_bytes)) is None:
            pipe.reader = waiter = make_waiter()
            try:
                await waiter
            finally:
                pipe.reader = None
        return data

    def receive_nowait(self, max_bytes: int = 65536) -> bytes | None:
        """Return bytes that the other end has sent; ``None`` if there are none yet.

        This raises what :meth:`receive` does.
        """
        pipe = self._incoming
        if self._closed:
            raise anyio.ClosedResourceError
        if pipe.pieces:
            return pipe.take(max_bytes)
        if pipe.is_reset:
            raise broken_by(ConnectionResetError)
        if pipe.ended:
            raise anyio.EndOfStream
        return None

    def wake_reader(self, waiter: Waiter | None) -> None:
        """Wake *waiter* when :meth:`receive_nowait` may have something else to say; once."""
        self._incoming.reader = waiter

    async def send(self, item: bytes) -> None:
        """Send bytes; wait while more are on their way than the connection has room for.

        A cancelled call has sent all of them.

        :raises anyio.BrokenResourceError: the other end is closed or has aborted the connection
        :raises anyio.ClosedResourceError: this end is closed
        """
        await checkpoint_if_cancelled()
        if not self.send_nowait(item):
            await self.drain()

    def send_nowait(self, item: bytes | memoryview) -> bool:
        """Send bytes; return whether the connection has room for more.

        This raises what :meth:`send` does.
        """
        pipe = self._outgoing
        if pipe.writer is not None:
            raise anyio.BusyResourceError("sending to")
        self._check_may_send()
        if item:
            pipe.put(bytes(item))
        return pipe.size <= pipe.room

    async def drain(self) -> None:
        """Wait until the connection has room for more.

        This raises what :meth:`send` does.
        """
        pipe = self._outgoing
        while pipe.size > pipe.room:
            pipe.writer = waiter = make_waiter()
            try:
                await waiter
            finally:
                pipe.writer = None
            self._check_may_send()

    def _check_may_send(self) -> None:
        if self._closed or self._outgoing.ended:
            raise anyio.ClosedResourceError
        if self._incoming.is_reset:
            raise broken_by(ConnectionResetError)
        if self._outgoing.is_left:
            raise broken_by(BrokenPipeError)

    async def send_eof(self) -> None:
        """End what this end sends; the other end gets :exc:`anyio.EndOfStream` after it."""
        await checkpoint_if_cancelled()
        if self._closed:
            raise anyio.ClosedResourceError
        self._outgoing.ended = True
        self._outgoing.wake_both()

    async def aclose(self) -> None:
        """Close this end; the other end can receive what has been sent, and then the end of it."""
        self._leave()
        await checkpoint()

    def abort(self) -> None:
        """Reset the connection: the other end fails by :exc:`anyio.BrokenResourceError`."""
        if not self._closed:
            self._outgoing.is_reset = True
        self._leave()

    def _leave(self) -> None:
        self._closed = self._outgoing.ended = self._incoming.is_left = True
        self._incoming.pieces.clear()
        self._incoming.size = 0
        self._incoming.wake_both()
        self._outgoing.wake_both()


def broken_by(error: type[OSError]) -> anyio.BrokenResourceError:
    """Return what a stream raises if the operating system reports *error*."""
    code = errno.EPIPE if error is BrokenPipeError else errno.ECONNRESET
    broken = anyio.BrokenResourceError()
    broken.__cause__ = error(code, os.strerror(code))
    return broken


def memory_connection(
    *,
    client: tuple[str, int] = CLIENT_ADDRESS,
    server: tuple[str, int] = SERVER_ADDRESS,
    buffer_size: int = BUFFER_SIZE,
) -> tuple[MemoryStream, MemoryStream]:
    """Return the client's and the server's end of a new connection.

    :param client: the address that the client's end has
    :param server: the address that the server's end has
    :param buffer_size: bytes that may be on their way in each direction before a sender waits
    """
    upwards, downwards = _Pipe(buffer_size), _Pipe(buffer_size)
    return (
        MemoryStream(downwards, upwards, _addresses(client, server)),
        MemoryStream(upwards, downwards, _addresses(server, client)),
    )


def _addresses(local: tuple[str, int], remote: tuple[str, int]) -> Mapping[Any, Callable[[], Any]]:
    return {
        SocketAttribute.family: lambda: socket.AF_INET6 if ":" in local[0] else socket.AF_INET,
        SocketAttribute.local_address: lambda: local,
        SocketAttribute.local_port: lambda: local[1],
        SocketAttribute.remote_address: lambda: remote,
        SocketAttribute.remote_port: lambda: remote[1],
    }
