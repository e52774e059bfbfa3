"""A byte stream that sits directly on a socket under trio.

It does what anyio's ``SocketStream`` does, with fewer layers in between.  It adds two things
that the stream on asyncio adds too: a wait ends at a deadline, and the stream can be closed
without awaiting.
"""

from __future__ import annotations

import math
import socket
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from threading import get_ident
from typing import Final, NoReturn

import anyio
import trio
from trio.lowlevel import (
    cancel_shielded_checkpoint,
    checkpoint,
    checkpoint_if_cancelled,
    current_trio_token,
    in_trio_run,
    notify_closing,
    wait_readable,
    wait_writable,
)

from .._tasks import Expired, TimedStream
from .gathering import after, size_of
from .inherited import leave_to_parent

__all__ = ("TrioStream",)

#: Most bytes that one call receives by default.
RECEIVE_SIZE: Final = 128 * 1024


class TrioStream(TimedStream):
    """A connected, non-blocking socket on trio; see :class:`anyio.abc.SocketStream`."""

    checkpoint_if_cancelled = staticmethod(checkpoint_if_cancelled)

    def __init__(self, raw_socket: socket.socket) -> None:
        super().__init__()
        self._sock = raw_socket
        self._thread = get_ident()
        self._token = current_trio_token()
        self._reading = False
        self._writing = False
        self._waiting_for_either = False
        self._interrupted = False
        # What send_nowait() could not send; drain() sends it.
        self._unsent: deque[memoryview] = deque()
        # Set after a request was sent, as the response takes a while, and when everything that has
        # come was received.  An attempt to receive at once would only cost a system call then.
        self._expects_delay = False
        # The system tells of a reset once, even if that was by sending; after that it is an end.
        self._reset: ConnectionResetError | None = None

    @property
    def _raw_socket(self) -> socket.socket:
        return self._sock

    async def receive(self, max_bytes: int = RECEIVE_SIZE) -> bytes:
        if max_bytes < 1:
            raise ValueError("max_bytes must be a positive integer")
        if self._reading:
            raise anyio.BusyResourceError("reading from")
        if self.expired or (not self.watched and trio.current_time() >= self.deadline):
            # Even if bytes have arrived: a peer that sends fast must not extend the deadline.
            raise Expired
        self._reading = self.has_waited = True
        data: bytes | None = None
        try:
            if self._expects_delay:
                self._expects_delay = False
            else:
                data = await self._receive_at_once(max_bytes)
            while data is None:
                if self.watched and not self.expired:
                    await wait_readable(self._sock)
                else:
                    await self._wait(wait_readable)
                try:
                    data = self._sock.recv(max_bytes)
                    self._expects_delay = len(data) < max_bytes
                except BlockingIOError:
                    continue
        except (OSError, trio.ClosedResourceError) as exc:
            if self._interrupted:
                raise Expired from None
            self._fail(exc)
        finally:
            self._reading = self._interrupted = False
        if not data:
            self._raise_end()
        return data

    async def _receive_at_once(self, max_bytes: int) -> bytes | None:
        """Return what has arrived already; ``None`` if nothing has."""
        await checkpoint_if_cancelled()
        try:
            data = self._sock.recv(max_bytes)
        except BlockingIOError:
            return None
        await cancel_shielded_checkpoint()
        return data

    @property
    def is_receiving(self) -> bool:
        return self._reading

    def receive_nowait(self, max_bytes: int) -> bytes | None:
        if self._reading:
            raise anyio.BusyResourceError("reading from")
        try:
            data = self._sock.recv(max_bytes)
        except BlockingIOError:
            return None
        except OSError as exc:
            self._fail(exc)
        if not data:
            self._raise_end()
        return data

    def send_nowait(self, item: bytes | memoryview) -> bool:
        if self._writing:
            raise anyio.BusyResourceError("writing to")
        if self.expired:
            raise Expired
        if self._unsent:
            self._unsent.append(memoryview(item))
            return False
        try:
            sent = self._sock.send(item)
        except BlockingIOError:
            sent = 0
        except OSError as exc:
            self._fail(exc)
        self._expects_delay = True
        if sent == len(item):
            return True
        self._unsent.append(memoryview(item)[sent:])
        return False

    if sys.platform != "win32":  # pragma: no branch  (Windows has no sendmsg())

        def send_together_nowait(self, *items: bytes | memoryview) -> bool:
            if self._writing:
                raise anyio.BusyResourceError("writing to")
            if self.expired:
                raise Expired
            if self._unsent:
                self._unsent.extend(map(memoryview, items))
                return False
            try:
                sent = self._sock.sendmsg(items)
            except BlockingIOError:
                sent = 0
            except OSError as exc:
                self._fail(exc)
            self._expects_delay = True
            if sent == size_of(items):
                return True
            self._unsent.extend(after(items, sent))
            return False

    @property
    def has_unsent(self) -> bool:
        return bool(self._unsent)

    def send_left_nowait(self) -> bool:
        if self._writing:
            raise anyio.BusyResourceError("writing to")
        if self.expired:
            raise Expired
        try:
            self._send_left()
        except OSError as exc:
            self._fail(exc)
        return not self._unsent

    def _send_left(self) -> None:
        unsent = self._unsent
        with suppress(BlockingIOError):
            while unsent:
                item = unsent[0]
                sent = self._sock.send(item)
                if sent == len(item):
                    unsent.popleft()
                else:
                    unsent[0] = item[sent:]

    async def drain(self) -> None:
        if self._writing or self._waiting_for_either:
            raise anyio.BusyResourceError("writing to")
        self._writing = True
        try:
            while self._unsent:
                await self._wait_writable()
                self._send_left()
        except (OSError, trio.ClosedResourceError) as exc:
            self._fail(exc)
        finally:
            self._writing = False

    async def wait_for_either(self) -> None:
        if self._reading:
            raise anyio.BusyResourceError("reading from")
        if self._writing:
            raise anyio.BusyResourceError("writing to")
        self._reading = self._waiting_for_either = True
        try:
            # What is wrong with the socket comes out of what the caller does with it next.
            with suppress(OSError, trio.ClosedResourceError):
                await self._wait(_until_either if self._unsent else wait_readable)
            if self._interrupted or self.expired:
                raise Expired
        finally:
            self._reading = self._waiting_for_either = self._interrupted = False

    async def _wait(self, wait: Callable[[socket.socket], Awaitable[None]]) -> None:
        if self.expired:
            raise Expired
        if self.watched or self.deadline == math.inf:
            await wait(self._sock)
            return
        with trio.CancelScope(deadline=self.deadline) as scope:
            await wait(self._sock)
        if scope.cancelled_caught:
            raise Expired

    async def _wait_writable(self) -> None:
        try:
            await self._wait(wait_writable)
        except trio.ClosedResourceError:
            # interrupt() is meant for the reader, but notify_closing() wakes the writer too.
            if self.expired or self._sock.fileno() < 0:
                raise

    def _fail(self, exc: OSError | trio.ClosedResourceError) -> NoReturn:
        if self.expired:
            raise Expired from None
        if self._sock.fileno() < 0:
            raise anyio.ClosedResourceError from exc
        if isinstance(exc, ConnectionResetError):
            self._reset = ConnectionResetError(*exc.args)  # without frames, which keep the stream
        raise anyio.BrokenResourceError from exc

    def _raise_end(self) -> NoReturn:
        """Raise the error that says why nothing more can be received."""
        if self._reset is not None:
            raise anyio.BrokenResourceError from self._reset
        raise anyio.EndOfStream

    async def send_eof(self) -> None:
        await checkpoint_if_cancelled()
        self._sock.shutdown(socket.SHUT_WR)

    async def aclose(self) -> None:
        self.abort()
        if in_trio_run():
            await checkpoint()

    def expire(self) -> None:
        """End every wait, now and until a new deadline is set."""
        if self._sock.fileno() >= 0:
            self.expired = True
            notify_closing(self._sock)  # wakes the waiting tasks; the socket stays open

    def interrupt(self) -> None:
        """End the wait of the task that receives at this moment."""
        if self._reading and self._sock.fileno() >= 0:
            self._interrupted = True
            notify_closing(self._sock)

    def abort(self) -> None:
        """Close the socket at once; tasks that wait for it get ``ClosedResourceError``.

        Another thread leaves that to the thread of the stream, if trio still runs there.
        """
        if get_ident() != self._thread:
            with suppress(trio.RunFinishedError):
                self._token.run_sync_soon(self._abort)
                return
        self._abort()

    def _abort(self) -> None:
        if self._sock.fileno() >= 0:
            if in_trio_run():
                notify_closing(self._sock)
            self._sock.close()
            self._expects_delay = False  # trio cannot wait for a socket without a descriptor

    @property
    def loop(self) -> object:
        return self._token

    @property
    def is_gone(self) -> bool:
        return self._sock.fileno() < 0

    def leave_to_parent(self) -> None:
        leave_to_parent(self._sock)
        self._sock.close()
        self._expects_delay = False  # as in _abort()

    def has_unread(self) -> bool:
        # trio receives only on request.  Outside of trio the stream cannot be used: report data.
        return self._sock.fileno() < 0 or not in_trio_run()


async def _until_either(raw_socket: socket.socket) -> None:
    """Wait until *raw_socket* can be received from, or sent to, or is closed.

    Trio lets a task wait for one of the two, so this takes a second task.
    """

    async def wait(condition: Callable[[socket.socket], Awaitable[None]]) -> None:
        with suppress(OSError, trio.ClosedResourceError):
            await condition(raw_socket)
        tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait, wait_writable)
        await wait(wait_readable)
