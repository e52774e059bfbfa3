"""Time limits that callers set, and the deadlines that are derived from them."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import copy_context
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

from anyio.abc import SocketStream
from anyio.lowlevel import checkpoint_if_cancelled

from .._common import AttrsFields, EventLoop, Unbuffered, check_seconds, class_has
from .event_loop import (
    TaskScope,
    asyncio_loop,
    call_elsewhere,
    call_in,
    clock,
    clock_of,
    current_loop,
    make_trio_alarm,
)

if TYPE_CHECKING:
    from types import TracebackType

    from .event_loop import TimerHandle, TrioAlarm

__all__ = (
    "CLEAN_UP_SECONDS",
    "DEFAULT_TIMEOUT",
    "ClientTimeout",
    "Expirable",
    "Expired",
    "TimedStream",
    "WatchedScope",
    "Watchdog",
    "deadline_after",
    "foreign_timeout",
)


@dataclass(frozen=True, slots=True)
class ClientTimeout:
    """Time limits of one request, in seconds; ``None`` or 0 sets no limit.

    :param total: the whole request, redirects and reading of the body included; its
        expiry is :exc:`TimeoutError`
    :param connect: waiting for a free connection and making one; its expiry, and that of
        *sock_connect*, is :exc:`ConnectionTimeoutError`
    :param sock_read: the gap between two pieces received, counted from the end of sending;
        its expiry is :exc:`SocketTimeoutError`
    :param sock_connect: making one new connection, TLS included; it counts anew for each address
        of the host
    :param ceil_threshold: no effect; accepted for compatibility with aiohttp
    """

    total: float | None = None
    connect: float | None = None
    sock_read: float | None = None
    sock_connect: float | None = None
    ceil_threshold: float = 5

    __attrs_attrs__: ClassVar[AttrsFields] = AttrsFields()

    def __post_init__(self) -> None:
        for name in ("total", "connect", "sock_read", "sock_connect"):
            check_seconds(name, getattr(self, name))


def foreign_timeout(value: Any) -> ClientTimeout | None:
    """Return the time limits in *value*, if it is like aiohttp's object, else ``None``.

    :raises TypeError: a limit is no number
    :raises ValueError: a limit is negative or NaN
    """
    if not class_has(value, "total", "connect", "sock_read", "sock_connect"):
        return None
    return ClientTimeout(value.total, value.connect, value.sock_read, value.sock_connect)


#: The default time limits of a session, as aiohttp documents them.
DEFAULT_TIMEOUT: Final = ClientTimeout(total=5 * 60, sock_connect=30)


#: How long cleaning up may take where no other limit applies, in seconds: closing a generator of
#: the application, stopping a helper task, closing sockets.  Cleaning up is shielded from
#: cancellation, so without a limit, code that never ends would block the caller for ever.  Five
#: seconds are enough for an application to send a last message to a peer.
CLEAN_UP_SECONDS: Final = 5.0


#: How much later a watchdog may look for overdue waits, for each wait that it has to look at.  A
#: look takes about a twentieth of that.
SECONDS_PER_WAIT: Final = 1e-6


class Expired(Exception):
    """A deadline has passed; the code that set it knows which time limit that was."""


class Expirable(Protocol):
    """A wait that can be ended at its deadline."""

    def expire(self) -> None:
        """End the wait: its deadline has passed."""


class TimedStream(Unbuffered, SocketStream):
    """A socket whose waits end at a deadline."""

    #: anyio's function, or a faster one of asyncio or trio
    checkpoint_if_cancelled: Callable[[], Awaitable[None]] = staticmethod(checkpoint_if_cancelled)
    #: bytes to ask for if it is not known how many will come: a stream that reads ahead would
    #: have to copy the received bytes in order to return fewer
    receive_size: ClassVar[int] = 64 * 1024

    def __init__(self) -> None:
        # Not defaults of the class: Python stores and loads an attribute that the class has, too,
        # in a slower way.
        #: when waiting ends with :exc:`Expired`, on anyio's clock
        self.deadline: float = math.inf
        #: whether a :class:`Watchdog` ends the wait; else the wait itself must
        self.watched: bool = False
        #: whether :meth:`expire` has been called since the deadline was set
        self.expired: bool = False
        #: whether other tasks could run during the last :meth:`receive`
        self.has_waited: bool = False

    async def send(self, item: bytes) -> None:
        await self.checkpoint_if_cancelled()
        await self.transmit(item)

    async def transmit(self, item: bytes | memoryview) -> None:
        """Do what :meth:`send` does, without the checkpoint: the caller has just had one."""
        if not self.send_nowait(item):
            await self.drain()

    @abstractmethod
    def send_nowait(self, item: bytes | memoryview) -> bool:
        """Send *item*; return whether the operating system has taken all of it.

        If something is left of earlier items, *item* is put behind it.

        :raises BusyResourceError: another task is sending
        :raises ClosedResourceError: the stream has been closed
        :raises BrokenResourceError: the peer is gone
        :raises Expired: the deadline has passed
        """

    @property
    def is_receiving(self) -> bool:
        """Whether a task is receiving, as far as that is known."""
        return False

    def receive_nowait(self, max_bytes: int) -> bytes | None:
        """Return what has arrived already; ``None`` if nothing has, or if that is not known.

        :raises EndOfStream: the peer sends no more
        :raises BrokenResourceError: the connection broke
        :raises ClosedResourceError: the stream has been closed
        :raises BusyResourceError: a task is receiving
        """
        return None

    def send_together_nowait(self, *items: bytes | memoryview) -> bool:
        """Do what :meth:`send_nowait` does with *items*, by one call of the operating system."""
        return self.send_nowait(b"".join(items))

    @property
    @abstractmethod
    def has_unsent(self) -> bool:
        """Whether something is left of what :meth:`send_nowait` was given."""

    def send_left_nowait(self) -> bool:
        """Send of what is left as much as needs no waiting; return whether nothing is left.

        The exceptions are those of :meth:`send_nowait`.
        """
        return not self.has_unsent

    @abstractmethod
    async def drain(self) -> None:
        """Wait until the operating system has taken what was sent.

        This raises the same exceptions as :meth:`send_nowait`.  After a cancellation any task may
        call it again: no byte is lost, and none is sent twice.
        """

    async def wait_for_either(self) -> None:
        """Wait until something can be received, or something of what is left can be sent.

        It also returns if the connection is broken or closed.

        :raises BusyResourceError: another task receives or drains
        :raises Expired: the deadline has passed, or the wait was interrupted
        """
        await self.drain()  # by default, as a stream may have nothing left ever

    @property
    @abstractmethod
    def loop(self) -> object:
        """The event loop of the stream, as :func:`call_in` takes it."""

    @property
    @abstractmethod
    def is_gone(self) -> bool:
        """Whether the descriptor is closed: after :meth:`abort`, that may take a while."""

    @abstractmethod
    def has_unread(self) -> bool:
        """Whether the stream has read ahead bytes, the end or an error that nobody has received.

        It is also true of a stream that has been closed.
        """

    @abstractmethod
    def abort(self) -> None:
        """Close without waiting; a task that waits for bytes gets ``ClosedResourceError``."""

    @abstractmethod
    def leave_to_parent(self) -> None:
        """Let go of a connection that the parent of this process goes on using."""

    @abstractmethod
    def expire(self) -> None:
        """End the present waits, and all later ones, with :exc:`Expired`."""

    @abstractmethod
    def interrupt(self) -> None:
        """End the wait of the task that is receiving with :exc:`Expired`; no byte is lost."""


StartAlarm = Callable[[Callable[[], Coroutine[Any, Any, None]], Callable[[], object]], object]


class Watchdog:
    """Ends many waits at their deadlines, by one timer for all of them.

    A cancel scope, or a timer, for each wait would cost more than the rest of the wait.  The
    watchdog's timer is set to the earliest deadline.  As most limits are equal, the deadline of
    a new wait is mostly later than that, and the timer stays as it is.

    On asyncio the timer is one of the event loop, not a task.  A program that shuts down may
    cancel all tasks of the loop and then make last requests, whose deadlines still have to hold.
    Trio has no timers, so a task sleeps there; no other task can cancel it.

    :param start: starts the task, when there is something to watch; gets what the task runs and
        what ends it
    """

    __slots__ = (
        "_alarm",
        "_alarm_at",
        "_context",
        "_deadlines",
        "_start",
        "_timer",
        "asyncio_loop",
        "clock",
        "loop",
    )  # fmt: skip

    def __init__(self, start: StartAlarm) -> None:
        self._start: StartAlarm | None = start
        loop = asyncio_loop()
        #: the running event loop, if it is asyncio's
        self.asyncio_loop: EventLoop | None = loop
        #: the running event loop, as :func:`current_loop` returns it
        self.loop: object = current_loop() if loop is None else loop
        #: anyio's clock, or a faster one of asyncio or trio
        self.clock: Callable[[], float] = clock_of(loop)
        self._timer: TimerHandle | None = None
        # For the timer, which would otherwise keep the context of a request alive.
        self._context = copy_context()
        self._alarm: TrioAlarm | None = None  # made for the first deadline
        self._deadlines: dict[Expirable, float] = {}
        self._alarm_at = math.inf

    def watch(self, wait: Expirable, deadline: float) -> None:
        """End *wait* at *deadline*, which replaces an earlier deadline of the same wait."""
        self._deadlines[wait] = deadline
        if deadline < self._alarm_at:
            self._set_alarm(deadline)

    def forget(self, wait: Expirable) -> None:
        """Remove the deadline of *wait*."""
        self._deadlines.pop(wait, None)

    def stop(self) -> None:
        """End no more waits but those in a :class:`WatchedScope`; the timer is cancelled."""
        self._start = None
        for wait in tuple(self._deadlines):
            if isinstance(wait, WatchedScope):
                wait.watch_by_itself()
        if self._timer is not None:
            self._timer.cancel()
        if self._alarm is not None:
            call_in(self.loop, self._alarm.stop)
            self._alarm = None

    def _set_alarm(self, deadline: float) -> None:
        """Set the timer to *deadline*, which is earlier than any before."""
        self._alarm_at = deadline
        start = self._start
        if start is None:
            return
        if self.asyncio_loop is not None:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self.asyncio_loop.call_at(deadline, self._on_timer, context=self._context)
        elif self._alarm is not None:
            self._alarm.set(deadline)
        else:
            self._alarm = alarm = make_trio_alarm(deadline, self._on_alarm)
            start(alarm.run, alarm.stop)

    def _on_timer(self) -> None:
        self._end_overdue()
        if self._alarm_at < math.inf:
            self._set_alarm(self._alarm_at)

    def _on_alarm(self) -> float:
        self._end_overdue()
        return self._alarm_at

    def _end_overdue(self) -> None:
        """End the waits whose time is over."""
        now = self.clock()
        deadlines = self._deadlines
        for wait in [wait for wait, at in deadlines.items() if at <= now]:
            if deadlines.pop(wait, None) is not None:  # the end of one may have ended others
                wait.expire()
        # With thousands of waits whose deadlines pass one after the other, to look through all for
        # each would take most of the time.  So the alarm may be late, by a microsecond for each.
        earliest = min(deadlines.values(), default=math.inf)
        self._alarm_at = max(earliest, now + len(deadlines) * SECONDS_PER_WAIT)


class WatchedScope:
    """A block that *watchdog* cancels at *deadline*.

    A cancel scope that has a deadline, and a timer, takes twice as long.

    :param scope: has not been entered yet
    """

    __slots__ = ("_deadline", "_scope", "_watchdog")

    def __init__(self, scope: TaskScope, watchdog: Watchdog, deadline: float) -> None:
        self._scope = scope
        self._watchdog = watchdog
        self._deadline = deadline

    def __enter__(self) -> None:
        self._scope.__enter__()
        self._watchdog.watch(self, self._deadline)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        self._watchdog.forget(self)
        return self._scope.__exit__(exc_type, exc, traceback)

    def expire(self) -> None:
        """Cancel what runs in the block."""
        self._scope.cancel()

    def watch_by_itself(self) -> None:
        """Keep the deadline after the watchdog has stopped."""
        loop = self._watchdog.loop
        try:
            is_here = current_loop() is loop
        except RuntimeError:
            is_here = False
        if is_here:
            self._set_deadline()
        else:
            call_elsewhere(loop, self._set_deadline)

    def _set_deadline(self) -> None:
        self._scope.deadline = self._deadline


def deadline_after(seconds: float | None) -> float:
    """Return the moment *seconds* from now on anyio's clock; without a limit, infinity."""
    return clock()() + seconds if seconds else math.inf
