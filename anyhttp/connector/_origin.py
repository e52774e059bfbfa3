"""Shares HTTP/2 connections among the requests to one origin, and decides who opens another one.

A request gets a stream of a connection that has room for it.  If there is none, it waits in the
queue of its origin.  One of those who wait may make room: by opening a connection, or by checking
one of which nothing has been heard for some time.  Nobody else does so meanwhile, as the new
connection may have room for all.

While there is a connection, and all its streams are used, those who wait get the streams that
become free.  Another connection is opened only when the queue has not moved for about as long as it
takes to open one: short requests stay on one connection (:rfc:`9113#section-9.1`), and streams that
are used for long, such as those of events, do not hold up the others.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from itertools import takewhile
from typing import Final, Protocol

import anyio

from .._common import ConnectionKey, make_connection_key
from .._http1 import Connection, ExchangeProtocol, Phase, leave_to_parent
from .._tasks import clock, current_loop
from ._slots import Slot, Slots

__all__ = (
    "HandshakeKey",
    "Http1Key",
    "MultiplexedConnection",
    "Origin",
    "OriginSlot",
    "SharedConnection",
)

#: How many times as many requests may open a connection at the same time after one has failed.
#: A host that does not answer must not let a hundred requests wait one after the other.
MORE_AFTER_FAILURE: Final = 10

#: How many failures in a row are counted.
MOST_FAILURES: Final = 4

#: The least and the most seconds that the queue waits for a stream before another connection is
#: opened.  Between them, it is the time that the last connection took.
LEAST_PATIENCE: Final = 0.05
MOST_PATIENCE: Final = 1.0

#: How many seconds a server may take to say what it allows.  If the first exchange ends later than
#: that, and it has not, nobody else waits for it.
MOST_SILENCE: Final = 1.0


class MultiplexedStream(ExchangeProtocol, Protocol):
    """What an origin needs of one stream."""

    @property
    def was_refused(self) -> bool: ...


class MultiplexedConnection(Protocol):
    """What an origin needs of an HTTP/2 connection."""

    #: called when there may be more or less room than before, and when the connection is closed
    on_change: Callable[[], None] | None

    @property
    def phase(self) -> Phase: ...
    @property
    def exchanges(self) -> int: ...
    @property
    def answers(self) -> int: ...
    @property
    def max_exchanges(self) -> int: ...
    @property
    def has_room(self) -> bool: ...
    @property
    def is_open(self) -> bool: ...
    @property
    def is_greeted(self) -> bool: ...
    @property
    def needs_check(self) -> bool: ...
    @property
    def allows_connect_protocol(self) -> bool: ...
    def open_stream(self) -> MultiplexedStream: ...
    async def check(self) -> bool: ...


class Http1Key(ConnectionKey):
    """The key of a request that cannot be sent by HTTP/2; equal to that of others."""

    __slots__ = ()


class HandshakeKey(Http1Key):
    """That of a WebSocket's handshake, for which some HTTP/2 connections have a way (RFC 8441)."""

    __slots__ = ()


class OriginSlot(Slot):
    """A slot for a request that may be sent by HTTP/2, and its place in the queue of its origin.

    While the request waits, it may be in the queue for slots as well.  What comes first ends the
    wait: :attr:`connection`, a slot that is held, or :attr:`unchecked`.
    """

    __slots__ = (
        "connection",
        "is_first",
        "is_opener",
        "opens_since",
        "origin",
        "refusals",
        "scope",
        "unchecked",
    )

    def __init__(
        self, key: ConnectionKey, origin: Origin, refusals: int, *, is_first: bool = False
    ) -> None:
        super().__init__(key)
        #: whether the request has been the first in the queue before
        self.is_first: bool = is_first
        self.origin: Origin = origin
        #: how many times the server has refused the request
        self.refusals: int = refusals
        #: the right to one exchange, if the request has got one while it waited
        self.connection: Connection | None = None
        #: whether the request may open or check a connection
        self.is_opener: bool = False
        #: when it began to open one
        self.opens_since: float = 0.0
        #: what it has to check
        self.unchecked: SharedConnection | None = None
        #: that of the check
        self.scope: anyio.CancelScope | None = None

    def expire(self) -> None:
        """End the wait; do nothing if the request has got what it waits for."""
        if self.scope is not None:
            self.scope.cancel()
        elif self.waits:
            self._leave()
            self._wake()

    cancel = expire

    @property
    def waits(self) -> bool:
        """Whether the request has not got anything yet."""
        return self._queue is not None or self in self.origin.queue

    def look_again(self) -> bool:
        """Wake the task, which goes on waiting; return false if it will never run."""
        return self._waiter is None or super()._wake()

    def _wake(self) -> bool:
        """Wake the waiting task, which leaves the queue; return false if it will never run."""
        self.origin.queue.pop(self, None)
        return self._waiter is None or super()._wake()


class SharedConnection:
    """An HTTP/2 connection in use: lends its streams, and takes them back.

    :param whole: the right to use all of it, which is given back when the last stream has been
    """

    __slots__ = (
        "_answers_before",
        "_made_at",
        "_most",
        "_origin",
        "_whole",
        "http2",
        "is_being_checked",
        "is_retired",
        "key",
        "leases",
    )

    def __init__(self, origin: Origin, http2: MultiplexedConnection, whole: Connection) -> None:
        self._origin = origin
        self._whole = whole
        self._answers_before = http2.answers  # when it was idle
        self._made_at = clock()()
        self.key: ConnectionKey = origin.key
        self.http2: MultiplexedConnection = http2
        #: the rights to use a stream that somebody has at this moment
        self.leases: dict[MultiplexedStream, Connection] = {}
        # How many exchanges there may be, because the server has refused others.
        self._most = math.inf
        #: whether a request is waiting for a sign of life
        self.is_being_checked: bool = False
        #: whether it takes no more exchanges, because it has given no sign of life
        self.is_retired: bool = False
        http2.on_change = self.changed

    @property
    def answers(self) -> int:
        """To how many requests the server has responded since the connection is in use."""
        return self.http2.answers - self._answers_before

    @property
    def will_have_room(self) -> bool:
        """Whether another exchange can begin, at the latest when one of the present ones ends."""
        return self.http2.is_greeted and self.http2.is_open and not self.is_retired

    @property
    def has_room(self) -> bool:
        """Whether another exchange can begin on the connection.

        Until the server has said how many it allows, that is one.  It may treat one too many as a
        fault (:rfc:`9113#section-5.1.2`), after which not every request can be sent again.
        """
        http2 = self.http2
        most = self._most if http2.is_greeted else 1
        return http2.has_room and http2.exchanges < most and not self.is_retired

    def lend(self) -> Connection:
        """Return the right to use a new stream."""
        stream = self.http2.open_stream()
        connection = self.leases[stream] = Connection(stream, self, self)
        if not self.has_room:
            self._origin.with_room.pop(self, None)
        return connection

    def take_back(self, place: object, stream: MultiplexedStream | None) -> None:
        """End the exchange on *stream*; ``None``: the stream was detached, and is used further."""
        if stream is None:
            for each in [each for each, lease in self.leases.items() if lease.protocol is None]:
                del self.leases[each]
        else:
            stream.abort()
            del self.leases[stream]
            # A refused request is sent again, when one of those that the server carries has ended.
            self._most = max(1, self.http2.exchanges) if stream.was_refused else self._most + 1
        if not self.http2.is_greeted and clock()() - self._made_at >= MOST_SILENCE:
            self.is_retired = True  # nobody else should wait for a server that may be mute
        origin, exchanges = self._origin, self.http2.exchanges
        if not (exchanges or origin.queue or self.is_being_checked):
            self._end()  # what follows would do no more, and each request of a loop comes here
        elif self not in origin.with_room or exchanges in {0, self._most}:
            origin.note_progress()
            self.changed()

    def changed(self) -> None:
        """Find out whether there is room now, and whether anybody still uses the connection."""
        http2, origin = self.http2, self._origin
        if http2.phase is Phase.CLOSED:
            self._end()
        elif self.has_room:
            origin.note_room(self)
        else:
            origin.with_room.pop(self, None)
        origin.serve()
        if not http2.exchanges and not self.is_being_checked:
            self._end()
            origin.serve()

    def leave_to_parent(self) -> None:
        """End all rights in a forked child, without giving anything back."""
        self.http2.on_change = None
        for lease in self.leases.values():
            leave_to_parent(lease)

    def _end(self) -> None:
        """Give the whole connection back, for which nobody has a use any more."""
        self._origin.discard(self)
        self.http2.on_change = None
        if self.has_room:
            self._whole.release()
        else:  # it will take no exchange later either
            self._whole.close()


class OriginPool(Protocol):
    """What an origin needs of the pool."""

    @property
    def closed(self) -> bool: ...
    @property
    def slots(self) -> Slots: ...
    def take_kept(self, origin: Origin) -> SharedConnection | None: ...


class Origin:
    """One key of connections: those by HTTP/2 that are in use, and the requests that wait.

    :param pool: whose connections they are
    """

    __slots__ = (
        "_answers_before",
        "_failures",
        "_is_serving",
        "_is_stalled",
        "_moved_at",
        "_patience",
        "_pool",
        "_timed",
        "in_use",
        "kept_as",
        "key",
        "loop",
        "openers",
        "queue",
        "speaks_http1",
        "with_room",
    )  # fmt: skip

    def __init__(self, key: ConnectionKey, pool: OriginPool) -> None:
        self.key: ConnectionKey = key
        #: the key of idle connections by HTTP/2, which equals no key of a request: one that needs
        #: HTTP/1.1 must not get them
        self.kept_as: ConnectionKey = make_connection_key((*key, "h2"))
        self._pool = pool
        #: the event loop that the connections belong to
        self.loop: object = current_loop()
        #: whether its last connection speaks HTTP/1.1: each request makes its own then
        self.speaks_http1: bool = False
        #: requests that wait, first come first
        self.queue: OrderedDict[OriginSlot, None] = OrderedDict()
        #: the requests that may make room.  Those that still wait for a slot are in the queue too.
        self.openers: set[OriginSlot] = set()
        #: connections in use, and those among them that take another exchange
        self.in_use: dict[SharedConnection, None] = {}
        self.with_room: dict[SharedConnection, None] = {}
        self._failures = 0  # to connect, since a connection was made
        self._answers_before = 0  # on connections that are no longer in use
        self._is_serving = False
        self._patience = LEAST_PATIENCE
        self._moved_at = 0.0  # when the queue last got something
        self._is_stalled = False  # whether that is so long ago that a connection may be opened
        # The request whose wait ends when that is so: the last in the queue when it was chosen, so
        # that it need not be replaced often.
        self._timed: OriginSlot | None = None

    @property
    def is_used(self) -> bool:
        """Whether anybody uses a connection, or waits for one."""
        return bool(self.in_use or self.queue or self.openers)

    @property
    def answers(self) -> int:
        """To how many requests the server has responded, or has begun to."""
        return self._answers_before + sum(shared.answers for shared in self.in_use)

    # -- connections

    def ready(self) -> SharedConnection | None:
        """Return a connection in use that takes another exchange, the oldest first."""
        for shared in self.with_room:
            if not shared.http2.needs_check:
                return shared
        return None

    def share(self, http2: MultiplexedConnection, whole: Connection) -> SharedConnection:
        """Return a connection, which is new or was idle, as one that requests share."""
        shared = SharedConnection(self, http2, whole)
        self.speaks_http1 = False
        self.in_use[shared] = None
        self.note_room(shared)
        self.note_progress()
        return shared

    def note_room(self, shared: SharedConnection) -> None:
        """Note that *shared* takes another exchange."""
        self.with_room[shared] = None
        if shared.http2.is_greeted:
            self._failures = 0

    def discard(self, shared: SharedConnection) -> None:
        """Forget a connection that is no longer in use."""
        self.with_room.pop(shared, None)
        if shared in self.in_use:
            del self.in_use[shared]
            self._answers_before += shared.answers
            self._failures += not (shared.http2.is_greeted or shared.has_room)

    # -- requests that wait

    def may_open(self) -> bool:
        """Whether a request that comes now may open a connection, ahead of nobody."""
        return not (self.queue or self.with_room) and self._coming() < self._wanted()

    def _coming(self) -> int:
        """Return how many connections are being made or checked, or have yet to say their room."""
        return len(self.openers) + sum(not shared.http2.is_greeted for shared in self.in_use)

    def _will_have_room(self) -> bool:
        """Whether there is a connection with room, at the latest when an exchange on it ends."""
        return any(shared.will_have_room for shared in self.in_use)

    def has_other(self) -> bool:
        """Whether a request that has failed to open a connection can wait for another one."""
        return bool(self.with_room) or self._will_have_room()

    def _wanted(self) -> int:
        """Return how many requests may open a connection at the same time."""
        if self._will_have_room():
            return int(self._is_stalled)
        at_once: int = MORE_AFTER_FAILURE ** min(self._failures, MOST_FAILURES)
        return at_once

    def enter(self, slot: OriginSlot) -> bool:
        """Put *slot* into the queue; return whether it has got at once what it would wait for."""
        was_empty = not self.queue
        self.queue[slot] = None
        if was_empty:
            self.note_progress()
        elif slot.is_first:
            self.queue.move_to_end(slot, last=False)
        elif slot.refusals:
            self._put_forward(slot)
        self.serve()
        return not slot.waits

    def _put_forward(self, slot: OriginSlot) -> None:
        """Let *slot* overtake those that have been refused less often.

        Else chance decided how often a request is refused while a server changes connections.
        """
        ahead = [*takewhile(lambda each: each.refusals >= slot.refusals, self.queue), slot]
        for each in reversed(ahead):
            self.queue.move_to_end(each, last=False)

    def enter_again(self, slot: OriginSlot) -> None:
        """Put *slot*, which has been the first, into the queue again; call :meth:`serve` then."""
        slot._waiter = None
        self.queue[slot] = None
        self.queue.move_to_end(slot, last=False)

    # -- a queue that does not move

    def note_progress(self) -> None:
        """Note that somebody in the queue gets something, or that the queue begins."""
        if self.queue:
            self._moved_at = clock()()
            self._is_stalled = False

    def deadline_of(self, slot: OriginSlot) -> float:
        """Return when the wait for *slot* is to be interrupted, on anyio's clock."""
        return self._moved_at + self._patience if slot is self._timed else math.inf

    def look(self) -> None:
        """Let the first in the queue open a connection if the queue has not moved."""
        if clock()() >= self._moved_at + self._patience:
            self.note_progress()
            self._is_stalled = True
            self.serve()

    def _choose_timed(self) -> None:
        """Let another request look at the clock, if the one that did has left the queue."""
        while self.queue and self._timed not in self.queue and self._will_have_room():
            self._timed = next(reversed(self.queue))
            if not self._timed.look_again():
                self.drop(self._timed)

    # -- who opens connections

    def note_opening(self, slot: OriginSlot) -> None:
        """Note that the request of *slot* begins to open a connection."""
        slot.opens_since = clock()()

    def note_opened(self, slot: OriginSlot) -> None:
        """Note that it has opened one."""
        seconds = clock()() - slot.opens_since
        self._patience = min(max(seconds, LEAST_PATIENCE), MOST_PATIENCE)
        self.end_opening(slot)

    def make_opener(self, slot: OriginSlot) -> None:
        """Let the request of *slot* open or check a connection."""
        self._is_stalled = False
        slot.is_opener = True
        self.openers.add(slot)

    def end_opening(self, slot: OriginSlot, *, failed: bool = False) -> None:
        """Undo :meth:`make_opener`; call :meth:`serve` afterwards."""
        if slot.is_opener:
            slot.is_opener = False
            self.openers.discard(slot)
            if failed and self._will_have_room():  # those who wait need not try so soon again
                self._patience = min(2 * self._patience, MOST_PATIENCE)
            else:
                self._failures += failed

    def serve(self) -> None:
        """Give what there is to those who wait, first come first served."""
        if self._is_serving or not self.queue or self._pool.closed:
            return
        self._is_serving = True  # what is given back meanwhile is given to the next by the loops
        try:
            while self.queue and (shared := self.ready()) is not None:
                slot = next(iter(self.queue))
                self._pool.slots.release(slot)
                self.end_opening(slot)
                if slot._wake():
                    slot.connection = shared.lend()
            while self._let_one_check() or self._let_one_open():
                pass
            self._choose_timed()
        finally:
            self._is_serving = False

    def _first(self) -> OriginSlot | None:
        """Return the first in the queue that may not make room yet."""
        return next((slot for slot in self.queue if not slot.is_opener), None)

    def _let_one_check(self) -> bool:
        """Let the first check a connection; return ``False`` if there is nothing to do."""
        slot = self._first()
        if slot is None or self._coming():
            return False
        shared = self._unchecked()
        if shared is None:
            return False
        self.make_opener(slot)
        slot.unchecked = shared
        shared.is_being_checked = True
        if not slot._wake():
            self.drop(slot)
        return True

    def _let_one_open(self) -> bool:
        """Let the first open a connection when there is a slot; return the same."""
        slot = self._first()
        if slot is None or self._coming() >= self._wanted():
            return False
        self.make_opener(slot)
        if self._pool.slots.request(slot) and not slot._wake():
            self.drop(slot)
        return True

    def _unchecked(self) -> SharedConnection | None:
        """Return a connection that would have room if it gives a sign of life."""
        # None of these is being checked: whoever does that is one of the openers.
        return next(iter(self.with_room), None) or self._pool.take_kept(self)

    def drop(self, slot: OriginSlot) -> None:
        """Take everything back that *slot* has got; call :meth:`serve` afterwards."""
        self.queue.pop(slot, None)
        self.end_opening(slot)
        self._pool.slots.release(slot)
        connection, slot.connection = slot.connection, None
        if connection is not None:
            connection.release()
        shared, slot.unchecked = slot.unchecked, None
        if shared is not None:
            shared.is_being_checked = False
            shared.changed()

    def turn_to_http1(self) -> None:
        """Let those who wait go the way of HTTP/1.1, in their order: each needs a slot."""
        self.speaks_http1 = True
        slots = self._pool.slots
        for slot in list(self.queue):
            if slot.is_opener:  # it is in the queue for slots already
                self.end_opening(slot)
                del self.queue[slot]
            elif slots.request(slot):
                slot._wake()  # in this event loop, as the caller runs in that of the origin
            else:
                del self.queue[slot]
