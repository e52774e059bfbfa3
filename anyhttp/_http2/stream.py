"""One stream of an HTTP/2 connection: the way of one exchange to the peer."""

from __future__ import annotations

import copy
import errno
import math
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol

import anyio
from anyio.abc import ByteStream

from .._http1 import BUSY, LentStream, Limits, Phase
from .._tasks import Expired, clock
from ..client_exceptions import (
    ClientConnectionError,
    ClientConnectionResetError,
    ClientOSError,
)
from .errors import ErrorCode
from .shared_io import Wait
from .tunnel import Http2Tunnel

if TYPE_CHECKING:
    from .._network import NetworkStream
    from .._tasks import Watchdog
    from .core import Http2Core
    from .state import StreamState

__all__ = ("Http2Stream", "SharedBytes")

#: What :meth:`Http2Stream.receive` returns when there is news: the state has the bytes already.
NEWS: Final = b"news"


class Carrier(Protocol):
    """What a stream needs of its connection."""

    stream: NetworkStream
    send_error: Exception | None
    carried: int

    @property
    def phase(self) -> Phase: ...
    @property
    def is_open(self) -> bool: ...

    async def wait(self, wait: Wait, /) -> None:
        """Wait until *wait* is over."""

    def wake(self, wait: Wait, /) -> None:
        """End *wait*."""

    def doubt(self, *, cancelled: bool = False) -> None:
        """Check the connection before it is used again, unless something comes from the peer."""

    def flush(self) -> None:
        """Send what has been queued."""

    def poll(self) -> None:
        """Take what has come, without waiting, unless a task waits for it."""

    def begin(self, stream: Http2Stream, limits: Limits, /) -> StreamState:
        """Return the state of the exchange on *stream*."""
        ...

    def start(self, state: StreamState, /, *, end: bool) -> None:
        """Queue the head of the request."""

    def consumed(self, state: StreamState, /) -> None:
        """Let the peer send more, as a part of the body has been taken."""

    def send_body(self, stream: Http2Stream, /, *, will_wait: bool) -> bool:
        """Send what *stream* has left as far as that needs no waiting."""
        ...

    def end(self, stream: Http2Stream, /) -> None:
        """End the exchange of *stream*."""

    def public_stream(self) -> ByteStream:
        """Return a stream with the attributes of the connection."""
        ...

    def leave_to_parent(self) -> None:
        """Let go of the socket in a forked child."""


# Without __slots__, like all objects that each call makes: Python creates them faster then.
class Http2Stream(Wait):
    """One stream, with what an exchange needs of a connection of HTTP/1.1 and of its bytes.

    The object is also the wait of the task that receives.
    """

    #: whether other exchanges use the connection at the same time
    is_shared: bool = True
    for_one_exchange: bool = False
    #: bytes for another protocol: never, as they are in the body
    unread: bytes = b""

    state: StreamState  # set by start()

    #: whether :meth:`start` has been called
    is_begun: bool = False
    _upload: Wait | None = None  # the wait of the task that sends
    _tunnel: Http2Tunnel | None = None
    _unsent: bytes | memoryview = b""
    _ends = False  # whether the body ends with what is left: more may be on its way to this object
    _seen: object = None  # the head that receive() has told of
    _deadline = math.inf
    _is_watched = True  # whether a watchdog ends the waits
    _is_expired = False
    _is_interrupted = False
    _is_receiving = False

    def __init__(self, connection: Carrier) -> None:
        #: what the stream is a part of
        self.connection: Carrier = connection
        #: IDLE before the exchange, if the connection has carried another one
        self.phase: Phase = Phase.IDLE if connection.carried else Phase.FRESH

    def __repr__(self) -> str:
        number = self.state.stream_id if self.is_begun else 0
        return f"<{type(self).__name__} {number} {self.phase.name}: {self.phase.value}>"

    # -- as what is lent for one exchange

    @property
    def stream(self) -> Http2Stream:
        """The stream itself: it also sends and receives."""
        return self

    @property
    def was_refused(self) -> bool:
        """Whether the server had no room for the exchange (:rfc:`9113#section-8.7`)."""
        return self.is_begun and self.state.reset_code == ErrorCode.REFUSED_STREAM

    def public_stream(self) -> ByteStream:
        """Return a stream with the attributes of the connection; its bytes are no program's."""
        return self.connection.public_stream()

    @property
    def transport(self) -> ByteStream:
        """The same."""
        return self.public_stream()

    def start(self, limits: Limits) -> StreamState:
        """Begin the exchange, and return its engine."""
        self.phase = BUSY
        self.state = state = self.connection.begin(self, limits)
        self.is_begun = True
        return state

    def keep(self, engine: StreamState) -> None:
        """End the exchange, whose response has been received."""
        self.phase = Phase.IDLE
        self.connection.carried += 1
        self.connection.end(self)

    def lend_away(self, engine: StreamState) -> tuple[LentStream, bytes]:
        """Return the stream for another protocol, which gets what *engine* has received for it."""
        self.phase = Phase.LENT_AWAY
        self._tunnel = Http2Tunnel(self, engine, self.connection.poll)
        return self._tunnel, b""

    def takes_leave(self) -> bool:
        """Whether another protocol has used the stream, and all of that has been sent."""
        tunnel, self._tunnel = self._tunnel, None
        return tunnel is not None and tunnel.has_sent_all and not self._unsent

    def abort(self) -> None:
        """End the exchange, complete or not; the others on the connection go on."""
        if self.phase is Phase.CLOSED:
            return
        is_open = self.phase is not Phase.IDLE or not self.is_begun
        self.phase = Phase.CLOSED
        if is_open:
            if self.is_begun and self.state.has_started:
                self.connection.carried += 1
            self.connection.end(self)

    def leave_to_parent(self) -> None:
        """Let go of the connection in a forked child, whose parent goes on using it."""
        self.phase = Phase.CLOSED
        self.connection.leave_to_parent()

    # -- deadlines

    def set_deadline(self, deadline: float, watchdog: Watchdog | None) -> None:
        """Let every later wait end with :exc:`Expired` at *deadline*.

        :param watchdog: ends the waits at the deadline; ``None``: each wait uses its own timer
        """
        self._deadline = deadline
        self._is_watched = watchdog is not None or deadline == math.inf
        self._is_expired = False
        if watchdog is not None and deadline != math.inf:
            watchdog.watch(self, deadline)

    def end_deadline(self, watchdog: Watchdog | None) -> None:
        """Make *watchdog* forget this stream."""
        if watchdog is not None:
            watchdog.forget(self)

    def expire(self) -> None:
        """End the present waits, and all later ones, with :exc:`Expired`."""
        self._is_expired = True
        self.wake_all()

    def interrupt(self) -> None:
        """End the wait of the task that receives at this moment with :exc:`Expired`."""
        if not self.is_over:
            self._is_interrupted = True
            self.connection.wake(self)

    def wake_all(self) -> None:
        """Let the tasks that receive and send look at what has changed."""
        self.connection.wake(self)
        if self._upload is not None:
            self.connection.wake(self._upload)

    def _check_deadline(self) -> None:
        if self._is_expired or (not self._is_watched and clock()() >= self._deadline):
            self._give_up()

    async def _wait(self, wait: Wait) -> None:
        """Wait until something has changed.

        :raises Expired: the deadline has passed
        """
        wait.is_over = False
        if self._is_watched:
            await self.connection.wait(wait)
        else:
            with anyio.CancelScope(deadline=self._deadline) as scope:
                await self.connection.wait(wait)
            self._is_expired |= scope.cancelled_caught
        if self._is_expired:
            self._give_up()

    def _give_up(self) -> NoReturn:
        """End the exchange: nobody knows whether only this one is stuck, or the peer gone.

        :raises Expired: always
        """
        self.connection.doubt()
        raise Expired

    # -- receiving

    async def receive(self, max_bytes: int = 0) -> bytes:
        """Return when there is news for the exchange, which its state has got.

        :raises ClientConnectionError: the exchange has failed, or the connection
        :raises ParseError: the response breaks the protocol
        :raises Expired: the deadline passed, or the wait was interrupted
        """
        self._check_deadline()
        state = self.state
        if state.received:
            self.connection.consumed(state)
        if self._has_arrived(state):
            self.has_waited = False
            await self.checkpoint_if_cancelled()
        elif self._is_receiving:
            raise ClientConnectionError("another task is using the connection at the same time")
        else:
            self._is_receiving = True
            self._is_interrupted = False
            try:
                while not self._has_arrived(state):
                    self._raise_if_ended(state)
                    if self._is_watched:  # as _wait() does
                        self.is_over = False
                        await self.connection.wait(self)
                        self._check_deadline()
                    else:
                        await self._wait(self)
                    if self._is_interrupted:
                        raise Expired
            except BaseException as exc:
                if not isinstance(exc, Exception):
                    self.connection.doubt(cancelled=True)
                raise
            finally:
                self._is_receiving = False
        self._seen = state.head
        return NEWS

    def _has_arrived(self, state: StreamState) -> bool:
        """Whether the state has something for the exchange."""
        head = state.head
        return bool(state.complete or state.pieces or (head is not None and head is not self._seen))

    def _raise_if_ended(self, state: StreamState) -> None:
        """Raise the reason why nothing more will come, if there is one."""
        if state.failure is not None:
            raise copy.copy(state.failure) from state.failure.__cause__
        if self.phase is Phase.CLOSED or self.connection.phase is Phase.CLOSED:
            raise _closed()

    def take_news(self) -> None:
        """Wake the tasks for which there is news; the connection calls this."""
        state = self.state
        if not self.is_over and (state.failure is not None or self._has_arrived(state)):
            self.connection.wake(self)
        if self._upload is not None and not state.can_send:
            self.connection.wake(self._upload)

    # -- sending

    @property
    def checkpoint_if_cancelled(self) -> Callable[[], Awaitable[None]]:
        """As in :mod:`anyio.lowlevel`."""
        return self.connection.stream.checkpoint_if_cancelled

    async def send(self, data: bytes) -> None:
        """Send the head that the state has, and *data*, which is the body if that is small.

        What the windows do not allow yet is sent while tasks wait for responses.

        :raises ClientOSError: the connection has ended
        :raises Expired: the deadline passed
        """
        await self.checkpoint_if_cancelled()
        self._check_deadline()
        state, connection = self.state, self.connection
        if self.phase is Phase.CLOSED or not connection.is_open:
            failure = self._send_failure()
            state.is_unprocessed = True
            state.fail(failure)
            raise copy.copy(failure)
        connection.start(state, end=state.is_ended and not data)
        if data:
            self._unsent, self._ends = data, state.is_ended
            connection.send_body(self, will_wait=False)
        else:
            connection.flush()

    def send_nowait(self, data: bytes | memoryview) -> bool:
        """Send *data*, and the end if that is due, as far as that needs no waiting.

        Return whether all of it has been sent.  If not, :meth:`drain` has to be awaited before
        anything else is sent.

        :raises ClientOSError: the peer takes no more of the body, or the connection has ended
        :raises Expired: the deadline passed
        """
        self._check_deadline()
        self._check_sendable()
        self._unsent = b"".join((self._unsent, data)) if self._unsent else data
        self._ends = self.state.is_ended
        if self._is_all_sent:
            return True
        return self.connection.send_body(self, will_wait=True)

    def send_together_nowait(self, *pieces: bytes | memoryview) -> bool:
        """Do what :meth:`send_nowait` does with *pieces*."""
        return self.send_nowait(b"".join(pieces))

    async def drain(self) -> None:
        """Wait until all that :meth:`send_nowait` left over has been sent.

        The windows of the stream and of the connection have to allow it, and the system to take
        it.  This raises the same exceptions.
        """
        self._upload = wait = Wait()
        try:
            while not self._is_all_sent:
                self._check_sendable()
                await self._wait(wait)
        finally:
            self._upload = None

    def send_last(self, data: bytes) -> None:
        """Send *data* as far as that needs no waiting; the stream is closed afterwards."""
        if self.state.can_send:
            self._unsent = b"".join((self._unsent, data))
            self.connection.send_body(self, will_wait=False)

    def send_share(self, core: Http2Core, size: int) -> tuple[bool, bool]:
        """Queue a part of what is left; return whether it is any, and whether it was all.

        :param size: most bytes to take
        """
        state, data = self.state, self._unsent
        if not state.can_send:
            self._unsent = b""
            is_any, is_all = False, True
        else:
            is_last = len(data) <= size
            part = data if is_last else memoryview(data)[:size]
            taken = core.send_data(state, part, end=is_last and self._ends)
            is_any = taken > 0 or state.end_sent
            self._unsent = memoryview(data)[taken:] if taken < len(data) else b""
            is_all = self._is_all_sent
        if is_all and self._upload is not None:
            self.connection.wake(self._upload)
        return is_any, is_all

    @property
    def _is_all_sent(self) -> bool:
        return not self._unsent and (self.state.end_sent or not self._ends)

    def _check_sendable(self) -> None:
        if not self.state.can_send or self.connection.send_error is not None:
            raise self._send_failure()

    def _send_failure(self) -> Exception:
        """Return why nothing more can be sent."""
        failure = self.connection.send_error
        if failure is not None:
            return copy.copy(failure)
        if self.phase is Phase.CLOSED or self.connection.phase is Phase.CLOSED:
            return _closed()
        return ClientOSError(errno.EPIPE, os.strerror(errno.EPIPE))

    # -- of the connection below

    def extra_info(self, name: str, default: Any = None) -> Any:
        """Return what asyncio's transports call *name*; *default* if there is no such value."""
        return self.connection.stream.extra_info(name, default)

    def is_failure(self, exc: BaseException) -> bool:
        """Whether *exc* is a failure that a program's own stream tells by this attribute."""
        return self.connection.stream.is_failure(exc)

    def call_in_loop(self, function: Callable[[], object]) -> None:
        """Call *function* in the event loop of the connection: soon, if this is another thread."""
        self.connection.stream.call_in_loop(function)


def _closed() -> ClientConnectionResetError:
    return ClientConnectionResetError(errno.ECONNRESET, "the connection has been closed")


class SharedBytes(ByteStream):
    """The attributes of a connection whose bytes belong to several exchanges.

    :param below: the connection
    """

    def __init__(self, below: ByteStream) -> None:
        self._below = below

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        return self._below.extra_attributes

    async def receive(self, max_bytes: int = 65536) -> bytes:
        self._refuse()

    async def send(self, item: bytes) -> None:
        self._refuse()

    async def send_eof(self) -> None:
        self._refuse()

    async def aclose(self) -> None:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise RuntimeError("the connection speaks HTTP/2, and its bytes belong to all exchanges")
