"""A byte stream that sits directly on an asyncio transport.

anyio's own ``SocketStream`` takes several iterations of the event loop for one exchange; an HTTP
exchange needs one.  This stream keeps what anyio promises: cancellation loses no bytes, one
reader and one writer at a time, typed attributes.  It adds three things that a connection pool
needs.  It receives while no task reads, so the pool sees when the peer of an idle connection has
sent bytes or closed.  A wait ends at a deadline without the cost of a cancel scope.  The stream
can be closed without awaiting.
"""

from __future__ import annotations

import asyncio
import errno
import math
import os
import socket
import sys
import types
from collections import deque
from collections.abc import Coroutine, Generator
from contextvars import Context
from functools import partial
from typing import Any, ClassVar, Final, NoReturn, TypeVar, cast

import anyio
import anyio.lowlevel

from .._tasks import Expired, TimedStream, checkpoints
from .asyncio_wait import Wait
from .gathering import after, size_of
from .inherited import leave_to_parent

__all__ = ("AsyncioStream",)

T = TypeVar("T")

#: Most bytes that are sent directly; of more, the operating system may not take all at once.
DIRECT: Final = 16 * 1024

#: Most bytes that an event loop receives at a time, on asyncio and on uvloop.
RECEIVE_SIZE: Final = 256 * 1024

#: The stream stops receiving when this many received bytes are unread, so that the peer has to
#: wait.  One more piece of :data:`RECEIVE_SIZE` may already have been received by then.
READ_AHEAD: Final = 256 * 1024

#: If a transport has received so many bytes at once, it has probably left some; uvloop's receive
#: up to 256 000 bytes.
MUCH: Final = 250_000

#: Iterations of the event loop in which a transport that was given up closes its socket; it takes
#: one or two.
CLOSING_ROUNDS: Final = 10


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class AsyncioStream(TimedStream, asyncio.Protocol):
    """A connected socket on asyncio (or uvloop); see :class:`anyio.abc.SocketStream`."""

    receive_size: ClassVar[int] = RECEIVE_SIZE

    _transport: asyncio.Transport  # set before wrap() returns

    def __init__(self, raw_socket: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._sock = raw_socket
        self._loop = loop
        self._context = Context()  # of what the event loop calls: it has no variables
        self._pieces: deque[bytes] = deque()
        self._buffered = 0
        self._left_some = False  # whether there is probably more where the last piece came from
        self._reading_paused = False
        self._at_eof = False
        self._closed = False
        self._lost = False
        # Woken when the transport is closed.
        self._close_waiters: tuple[asyncio.Future[None], ...] = ()
        self._error: Exception | None = None
        self._reader = Wait(loop)
        self._writer = Wait(loop)
        self._writing_paused = False
        self._wakes_reader = False  # whether the reader waits for the end of the pause, too
        self.checkpoint_if_cancelled = checkpoints(loop).checkpoint_if_cancelled

    @classmethod
    async def wrap(cls, raw_socket: socket.socket) -> AsyncioStream:
        """Take over a connected, non-blocking socket; it is closed if this fails."""
        loop = asyncio.get_running_loop()
        stream = cls(raw_socket, loop)
        taken = False

        def protocol() -> AsyncioStream:
            nonlocal taken
            taken = True
            return stream

        try:
            # The loop keeps the context in which a socket was opened as long as the socket, with
            # all objects that a web framework has stored in it for one request.
            await _in_context(stream._context, loop.create_connection(protocol, sock=raw_socket))
        except GeneratorExit:
            raise  # the coroutine is being closed, so it cannot await
        except BaseException:
            if taken:
                # The transport owns the descriptor, and closes it soon.
                with anyio.CancelScope(shield=True):
                    for _ in range(CLOSING_ROUNDS):
                        if raw_socket.fileno() >= 0:
                            await anyio.lowlevel.checkpoint()
            raw_socket.close()
            raise
        return stream

    @property
    def _raw_socket(self) -> socket.socket:
        return self._sock

    # -- what the caller asks for

    async def receive(self, max_bytes: int = RECEIVE_SIZE) -> bytes:
        if max_bytes < 1:
            raise ValueError("max_bytes must be a positive integer")
        reader = self._reader
        if reader.is_begun:
            raise anyio.BusyResourceError("reading from")
        if self.expired or (not self.watched and self._loop.time() >= self.deadline):
            # Even if bytes have arrived: a peer that sends fast must not extend the deadline.
            raise Expired
        if max_bytes > RECEIVE_SIZE:
            self._receive_directly(max_bytes)
        self.has_waited = not self._pieces
        if self._pieces or self._at_eof or self._closed:
            await self.checkpoint_if_cancelled()
        elif not await (reader if self.watched else self._wait(reader)):
            raise Expired
        if not self._pieces:
            self._raise_end()
        return self._take(max_bytes)

    @property
    def is_receiving(self) -> bool:
        return self._reader.is_begun

    def receive_nowait(self, max_bytes: int) -> bytes | None:
        if self._reader.is_begun:
            raise anyio.BusyResourceError("reading from")
        if not self.has_unread():
            self._receive_at_once(max_bytes)  # what the event loop has not received yet
        if self._pieces:
            return self._take(max_bytes)
        if self.has_unread():
            self._raise_end()
        return None

    def _take(self, max_bytes: int) -> bytes:
        """Return what has been received first."""
        piece = self._pieces.popleft()
        if len(piece) > max_bytes:
            self._pieces.appendleft(piece[max_bytes:])
            piece = piece[:max_bytes]
        self._buffered -= len(piece)
        if self._reading_paused:
            self._go_on_reading()
        return piece

    def _go_on_reading(self) -> None:
        if not self._pieces:
            self._reading_paused = False
            self._context.run(self._transport.resume_reading)

    def _receive_directly(self, max_bytes: int) -> None:
        """Receive more than the transport does at a time, if it has probably left some.

        Then the event loop does not have to find out four times that there is a megabyte.
        """
        if self._left_some and not self.has_unread():
            self._receive_at_once(max_bytes)

    def _receive_at_once(self, max_bytes: int) -> None:
        """Receive what has arrived, or the end, and not by way of the transport."""
        try:
            piece = self._sock.recv(max_bytes)
        except BlockingIOError:
            self._left_some = False
            return
        except OSError as exc:
            self._error = exc.with_traceback(None)
            self._at_eof = True
            self._transport.abort()
            return
        self._left_some = len(piece) == max_bytes
        if piece:
            self._pieces.append(piece)
            self._buffered += len(piece)
        else:
            self._at_eof = True  # the transport receives the end as well

    def _raise_end(self) -> NoReturn:
        """Raise the error that says why nothing more can be received."""
        if self._closed:
            raise anyio.ClosedResourceError
        if self._error is not None:
            raise anyio.BrokenResourceError from self._error
        raise anyio.EndOfStream

    def _check_sendable(self) -> None:
        if self._writer.is_begun:
            raise anyio.BusyResourceError("writing to")
        if self.expired:
            raise Expired
        if self._closed or self._lost or self._error is not None:
            self._raise_unwritable()

    def send_nowait(self, item: bytes | memoryview) -> bool:
        self._check_sendable()
        if len(item) <= DIRECT and not self._writing_paused:
            # The transport has nothing left to send.  Going through it would take three times as
            # many instructions as sending itself (6 000 more on asyncio).
            try:
                sent = self._sock.send(item)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError as exc:
                self._transport.abort()
                self._receive_rest(exc.with_traceback(None))
                return True
            if sent == len(item):
                return True
            item = memoryview(item)[sent:]
        return self._write(item)

    def _write(self, *items: bytes | memoryview) -> bool:
        for item in items:
            self._transport.write(item)
        if self._transport.is_closing() and not self._closed:
            self._receive_rest(BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)))
        return not self._writing_paused

    if sys.platform != "win32":  # pragma: no branch  (Windows has no sendmsg())

        def send_together_nowait(self, *items: bytes | memoryview) -> bool:
            self._check_sendable()
            sent = 0
            if not self._writing_paused:
                try:
                    sent = self._sock.sendmsg(items)
                except (BlockingIOError, InterruptedError):
                    pass
                except OSError as exc:
                    self._transport.abort()
                    self._receive_rest(exc.with_traceback(None))
                    return True
                if sent == size_of(items):
                    return True
            return self._write(*after(items, sent))

    @property
    def has_unsent(self) -> bool:
        return self._writing_paused

    async def drain(self) -> None:
        if self._writing_paused:
            if self._writer.is_begun or self._wakes_reader:
                raise anyio.BusyResourceError("writing to")
            if self.expired or not await self._wait(self._writer):
                raise Expired
            if self._closed or self._lost or self._error is not None:
                self._raise_unwritable()

    async def wait_for_either(self) -> None:
        if self._reader.is_begun:
            raise anyio.BusyResourceError("reading from")
        if self._writer.is_begun:
            raise anyio.BusyResourceError("writing to")
        if self.expired:
            raise Expired
        if self._pieces or self._at_eof or self._closed:
            await self.checkpoint_if_cancelled()
            return
        self._wakes_reader = self._writing_paused
        try:
            if not await self._wait(self._reader):
                raise Expired
        finally:
            self._wakes_reader = False

    async def _wait(self, waiter: Wait) -> bool:
        """Wait until *waiter* is woken, by an event (true) or by the deadline (false)."""
        if self.watched or self.deadline == math.inf:
            return await waiter
        timer = self._loop.call_at(self.deadline, waiter.wake, False, context=self._context)
        try:
            return await waiter
        finally:
            timer.cancel()

    async def send_eof(self) -> None:
        await self.checkpoint_if_cancelled()
        if self._closed:
            raise anyio.ClosedResourceError
        self._transport.write_eof()

    async def aclose(self) -> None:
        self.abort()
        if self._loop is not _running_loop():
            return  # only the stream's own loop could tell when the transport is closed
        # The transport closes the descriptor later, when the event loop calls connection_lost().
        if not self._lost:
            waiter: asyncio.Future[None] = self._loop.create_future()
            self._close_waiters += (waiter,)
            with anyio.CancelScope(shield=True):
                await waiter
        await self.checkpoint_if_cancelled()

    def abort(self) -> None:
        """Close without waiting; the event loop closes the descriptor in its next iteration."""
        again, self._closed = self._closed, True
        if self._loop.is_closed():
            self._sock.close()  # no task of that loop waits any more
        elif again:
            return
        elif _running_loop() is self._loop:
            self._abort()
        else:  # another thread may be running that loop
            try:
                self._loop.call_soon_threadsafe(self._abort)
            except RuntimeError:  # it was closed just now
                self._sock.close()

    def _abort(self) -> None:
        self._transport.abort()
        self._wake()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    @property
    def is_gone(self) -> bool:
        return self._lost or self._loop.is_closed()

    def leave_to_parent(self) -> None:
        self._closed = self._lost = self._at_eof = True
        self._pieces.clear()
        leave_to_parent(self._sock)

    def expire(self) -> None:
        """End every wait, now and until a new deadline is set."""
        self.expired = True
        self._reader.wake(False)
        self._writer.wake(False)

    def interrupt(self) -> None:
        """End the wait of the task that receives at this moment."""
        self._reader.wake(False)

    def has_unread(self) -> bool:
        if self._pieces or self._at_eof or self._closed:
            return True
        try:
            # In another event loop the stream receives nothing, so it cannot know: say that it has.
            return asyncio.get_running_loop() is not self._loop
        except RuntimeError:
            return True

    # -- what the event loop reports

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not inherit from asyncio.Transport.
        self._transport = cast("asyncio.Transport", transport)
        # With a limit of 0, drain() waits until the operating system has taken all bytes: a slow
        # peer slows the sender down, and the transport buffers nothing.
        self._transport.set_write_buffer_limits(0)

    def data_received(self, data: bytes) -> None:
        self._pieces.append(data)
        self._buffered += len(data)
        self._left_some = len(data) >= MUCH
        if self._buffered > READ_AHEAD and not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()
        self._reader.resume()

    def eof_received(self) -> bool:
        self._at_eof = True
        self._reader.wake()
        return True  # keep the transport open: the request may not have been sent completely

    def pause_writing(self) -> None:
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False
        self._writer.wake()
        if self._wakes_reader:
            self._reader.wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._at_eof = True
        self._writing_paused = False
        if self._error is None:
            self._error = exc
        self._lost = True
        self._wake()
        for waiter in self._close_waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _wake(self) -> None:
        self._reader.wake()
        self._writer.wake()

    def _raise_unwritable(self) -> NoReturn:
        """Raise the error that says why nothing more can be sent."""
        if self._closed:
            raise anyio.ClosedResourceError
        raise anyio.BrokenResourceError from self._error

    def _receive_rest(self, error: OSError) -> None:
        """Receive what the peer sent before it reset the connection, which *error* says of a send.

        A server may refuse an upload: it sends a complete response and resets the connection.
        The next write fails, and the transport closes the socket.  Bytes that the operating
        system has received by then, the response among them, would be lost.
        """
        self._at_eof = True
        try:
            while piece := self._sock.recv(65536):
                self._pieces.append(piece)
                self._buffered += len(piece)
                if self._buffered > READ_AHEAD:
                    break
        except OSError as exc:
            if not isinstance(exc, BlockingIOError):
                self._error = exc.with_traceback(None)  # whose frames would keep the stream
        if self._error is None:
            self._error = error
        self._wake()


@types.coroutine
def _in_context(context: Context, coroutine: Coroutine[Any, Any, T]) -> Generator[Any, None, T]:
    """Return what *coroutine* returns, and run each of its steps in *context*."""
    step = partial(coroutine.send, None)
    while True:
        try:
            waits_for = context.run(step)
        except StopIteration as end:
            result: T = end.value
            return result
        try:
            yield waits_for
        except BaseException as exc:  # noqa: BLE001  (raised where the coroutine waits)
            step = partial(coroutine.throw, exc)
        else:
            step = partial(coroutine.send, None)
