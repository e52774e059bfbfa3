"""One socket that several tasks use: who reads it for all, and who sends what is left over.

No task belongs to the connection, as nothing may run behind a session that has not been entered.
So a task that waits for its response reads the socket, and takes what comes for the others too.
It is *the reader* until its own wait is over.  Then it chooses another waiting task, which reads
from then on.

A task that has something to send queues whole frames, and all that is queued is sent in a plain
call.  If the system does not take all of that, *the drainer* sends the rest: another waiting task
than the reader, or the reader itself if nobody else waits.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final

import anyio

from .._network import NetworkStream
from .._tasks import Expired, Waiter, make_waiter
from ..client_exceptions import ClientConnectionError

__all__ = ("SharedIO", "Wait", "without_frames")

#: Most bytes of answers to the peer, such as to its PINGs, that wait for it to read what it has
#: been sent.
MAX_OWED: Final = 64 * 1024

#: More bytes than these wait for such a peer: no request is begun whose head would wait as well.
MAX_UNSENT: Final = 128 * 1024


class Wait:
    """The wait of one task for something that another one may have to receive for it."""

    #: whether it has ended; set by :meth:`SharedIO.wake`
    is_over: bool = True
    #: whether other tasks could run during the wait
    has_waited: bool = False
    #: what the task awaits if it neither reads nor drains
    waiter: Waiter | None = None


def without_frames(error: BaseException) -> BaseException:
    """Remove the tracebacks of *error* and its causes, whose frames lead to what keeps it."""
    link: BaseException | None = error
    while link is not None:
        link.__traceback__ = None
        link = link.__cause__ or link.__context__
    return error


class SharedIO(ABC):
    """A network stream that several tasks receive from and send to."""

    #: the frames that have been queued
    _output: Sequence[bytes]

    def __init__(self, stream: NetworkStream) -> None:
        #: the connection below, used by nobody else
        self.stream: NetworkStream = stream
        #: why nothing more can be sent
        self.send_error: Exception | None = None
        self._reader: Wait | None = None  # who reads, or has been chosen and will do so soon
        self._receives = False  # whether the reader waits for bytes at this moment
        self._drainer: Wait | None = None
        self._drain_scope: anyio.CancelScope | None = None  # of a drainer that is not the reader
        #: the others, in the order in which they began to wait
        self._sleepers: dict[Wait, None] = {}
        #: whether the system has not taken all that was sent
        self._is_blocked = False
        self._unsent: list[bytes] = []  # what was queued since
        self._unsent_size = 0
        self._owed = 0  # bytes of answers among that
        stream.set_deadline(math.inf, None)

    # -- what a connection adds

    @abstractmethod
    def _take_output(self) -> bytes:
        """Return the frames that have been queued, which are no longer kept then."""

    @abstractmethod
    def _take(self, data: bytes) -> None:
        """Take received bytes, or ``b""`` at the end, and wake those who wait for them."""

    @abstractmethod
    def _lose(self, error: Exception) -> None:
        """Let all exchanges fail: nothing more can be received, because of *error*."""

    @abstractmethod
    def _send_bodies(self) -> None:
        """Queue and send what is left of bodies, as far as windows and the system take it."""

    # -- waiting

    async def wait(self, wait: Wait) -> None:
        """Wait until :meth:`wake` ends *wait*, whose :attr:`Wait.is_over` is false.

        Meanwhile the caller may be the one that receives for all, or sends for all.  When it
        leaves, whatever the reason, another waiting task goes on with that.
        """
        wait.has_waited = False
        try:
            while not wait.is_over:
                if self._reader is None:
                    self._reader = wait
                if self._reader is wait:
                    await self._read(wait)
                elif self._is_blocked and self._drainer is None:
                    await self._drain(wait)
                else:
                    await self._sleep(wait)
        finally:
            wait.is_over = True
            if self._reader is wait:
                self._reader = None
                self._choose_reader()
            else:
                self._have_drained()

    async def _sleep(self, wait: Wait) -> None:
        wait.has_waited = True
        self._sleepers[wait] = None
        wait.waiter = make_waiter()
        try:
            await wait.waiter
        finally:
            wait.waiter = None
            self._sleepers.pop(wait, None)

    def wake(self, wait: Wait) -> None:
        """End *wait*."""
        if wait.is_over:
            return
        wait.is_over = True
        if wait.waiter is not None:
            self._resume(wait)
        elif wait is self._reader:
            if self._receives:
                self.stream.interrupt()
        elif wait is self._drainer and self._drain_scope is not None:
            self._drain_scope.cancel()

    def _resume(self, wait: Wait) -> None:
        self._sleepers.pop(wait, None)
        waiter = wait.waiter
        if waiter is not None and not waiter.done():
            try:
                waiter.set_result(None)
            except RuntimeError:
                pass  # its event loop has ended, so the task will never run again

    def _choose_reader(self) -> None:
        """Let another task read, if one waits.

        The one that came last will probably wait longest.
        """
        if self._sleepers:
            self._reader = wait = next(reversed(self._sleepers))
            self._resume(wait)
        else:
            if self._drain_scope is not None:
                self._drain_scope.cancel()  # the drainer has to read as well from now on
            self.flush()

    # -- reading

    async def _read(self, wait: Wait) -> None:
        """Receive once, and take what has come; send what is left over meanwhile."""
        self._send_queued()
        stream = self.stream
        data: bytes | None
        drains = self._is_blocked and self._drainer is None
        self._receives = True
        if drains:
            self._drainer = wait
        try:
            if drains:
                data = await stream.receive_draining(stream.receive_size)
            else:
                data = await stream.receive(stream.receive_size)
        except Expired:
            return  # it was interrupted
        except Exception as exc:  # noqa: BLE001  (each exchange raises it)
            self._lose(exc)
            return
        finally:
            self._receives = False
            if stream.has_waited:
                wait.has_waited = True
            if drains:
                self._drainer = None
        if data is None:
            self._go_on_sending()
        else:
            self._take(data)

    # -- sending

    def flush(self) -> None:
        """Send what has been queued.

        If the next reader has been chosen and will run soon, it does that: so what several tasks
        send is sent together.
        """
        if self._reader is None or self._receives:
            self._send_queued()
            self._have_drained()

    def _have_drained(self) -> None:
        """Let the reader send what the system has not taken, if nobody else does."""
        if self._is_blocked and self._receives and self._drainer is None:
            self.stream.interrupt()

    def _send_queued(self) -> None:
        if not self._output:
            return
        data = self._take_output()
        if self._is_blocked:
            self._keep(data)
        elif self.send_error is None:
            self._send(data)

    def _keep(self, data: bytes) -> None:
        """Keep *data* until the system takes more."""
        self._unsent.append(data)
        self._unsent_size += len(data)

    @property
    def has_backlog(self) -> bool:
        """Whether so much waits for the peer to read that no request should be added."""
        return self._unsent_size > MAX_UNSENT

    def _send(self, data: bytes) -> None:
        try:
            self._is_blocked = not self.stream.send_nowait(data)
        except (ClientConnectionError, Expired) as exc:
            self._fail_sending(exc)

    def _fail_sending(self, error: Exception) -> None:
        """Send nothing more; the reader will learn why, or at least that the peer is gone."""
        without_frames(error)
        self.send_error = error
        self._is_blocked = False
        self._unsent.clear()
        self._unsent_size = 0
        self._send_bodies()  # wakes the tasks that send

    def _owe(self) -> bool:
        """Keep answers for a peer that does not read; return whether there are too many."""
        data = self._take_output()
        if data:
            self._keep(data)
            self._owed += len(data)
        return self._owed > MAX_OWED

    async def _drain(self, wait: Wait) -> None:
        """Send what is left over, until that is done or *wait* is over."""
        wait.has_waited = True
        self._drainer = wait
        self._drain_scope = scope = anyio.CancelScope()
        is_done = False
        try:
            with scope:
                await self.stream.drain()
                is_done = True
        except (ClientConnectionError, Expired) as exc:
            self._fail_sending(exc)
        finally:
            self._drainer = self._drain_scope = None
        if is_done:
            self._go_on_sending()

    def _go_on_sending(self) -> None:
        """Send what was queued while the system took nothing, then bodies."""
        self._is_blocked = False
        self._owed = 0
        unsent, self._unsent, self._unsent_size = self._unsent, [], 0
        if unsent:
            self._send(b"".join(unsent))
        self._send_queued()
        self._send_bodies()
