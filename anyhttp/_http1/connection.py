"""A connection that speaks HTTP/1.1, and the right to use it.

Three classes use one socket; each object lives for a different time:

==========================  ==========================================================
:class:`Http1Connection`    the socket, from when it is open until it is closed; the
                            pool keeps it between requests
:class:`Connection`         the right to use it, from when the connector lends it until
                            it is given back
:class:`~.Exchange`         one request and its response, sent and received on it
==========================  ==========================================================
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Protocol

from .._common import ConnectionKey, EventLoop, running_loop
from .response_grammar import Limits

if TYPE_CHECKING:
    from anyio.abc import ByteStream

    from .._network import NetworkStream
    from .engine import Engine, KnownHead
    from .interfaces import ExchangeEngine, ExchangeStream, LentStream

__all__ = (
    "BUSY",
    "IDLE",
    "Connection",
    "ExchangeProtocol",
    "Http1Connection",
    "Phase",
    "close_as_forgotten",
    "is_forgotten",
    "leave_to_parent",
)


class Phase(enum.Enum):
    """Life of one pooled connection; the values are what ``repr`` shows."""

    FRESH = "connected, nothing sent"
    BUSY = "one exchange in flight"
    IDLE = "kept alive, waiting (RFC 9112 §9.3)"
    LENT_AWAY = "after 101 or CONNECT; the bytes are someone else's"
    CLOSED = "socket gone"

    #: the phases that can follow; a tuple, as searching it is faster than hashing an enum member
    moves: tuple[Phase, ...]


Phase.FRESH.moves = (Phase.BUSY, Phase.CLOSED)
Phase.BUSY.moves = (Phase.IDLE, Phase.LENT_AWAY, Phase.CLOSED)
Phase.IDLE.moves = (Phase.BUSY, Phase.CLOSED)
Phase.LENT_AWAY.moves = (Phase.CLOSED,)
Phase.CLOSED.moves = ()

# Each request reads these two, and reading a global is faster than reading an enum member.
BUSY: Final = Phase.BUSY
IDLE: Final = Phase.IDLE


class Http1Connection:
    """A connection as the pool keeps it: a stream, and the class of its engines."""

    __slots__ = ("_engine_class", "_known", "phase", "stream", "unread", "usable_until")

    #: exchanges that the connection can carry at a time; HTTP/2 would allow more
    max_exchanges: Final = 1
    #: whether other exchanges use the connection at the same time
    is_shared: bool = False

    def __init__(self, stream: NetworkStream, engine_class: type[Engine]) -> None:
        self.stream: NetworkStream = stream
        self._engine_class = engine_class
        self._known: KnownHead | None = None
        self.phase: Phase = Phase.FRESH
        #: bytes for another protocol, which have come with the head of a 101
        self.unread: bytes = b""
        #: when the peer may close the idle connection, as far as it has said so, on the clock of
        #: :func:`time.monotonic`
        self.usable_until: float = math.inf

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.phase.name}: {self.phase.value}>"

    def move(self, to: Phase) -> None:
        """Enter another phase.

        :raises RuntimeError: that phase cannot follow this one
        """
        if to not in self.phase.moves:
            raise RuntimeError(f"a connection cannot go from {self.phase.name} to {to.name}")
        self.phase = to

    def public_stream(self) -> ByteStream:
        """Return the anyio stream; what came with the head of a 101 is received from it first."""
        if self.unread:
            self.stream.unread(self.unread)
            self.unread = b""
        return self.stream.stream

    @property
    def transport(self) -> ByteStream:
        """The anyio stream, by the name that aiohttp's protocols have for what they write to."""
        return self.stream.stream

    @property
    def is_usable(self) -> bool:
        """Whether the next exchange can begin: the phase is IDLE, and the peer has sent nothing."""
        return self.phase is IDLE and self.stream.is_quiet()

    def start(self, limits: Limits) -> Engine:
        """Begin an exchange, and return its engine."""
        self.move(BUSY)
        return self._engine_class(limits, self._known)

    def keep(self, engine: Engine) -> None:
        """End the exchange of *engine*, after which the connection is kept."""
        self.move(IDLE)
        self._known = engine.known
        if engine.keep_alive is not True:
            self.usable_until = monotonic() + engine.keep_alive

    def lend_away(self, engine: Engine) -> tuple[NetworkStream, bytes]:
        """Return the stream for another protocol, and what *engine* has received for it."""
        self.move(Phase.LENT_AWAY)
        surplus, engine.surplus = engine.surplus, b""
        self.unread = b""
        return self.stream, surplus

    def abort(self) -> None:
        """Close the socket at once."""
        if self.phase is not Phase.CLOSED:
            self.move(Phase.CLOSED)
            self.stream.abort()

    def leave_to_parent(self) -> None:
        """Let go of the socket in a forked child, whose parent goes on using it."""
        self.phase = Phase.CLOSED
        self.stream.leave_to_parent()


class ExchangeProtocol(Protocol):
    """What is lent for one exchange: a connection of HTTP/1.1, or a stream of one of HTTP/2."""

    #: bytes for another protocol, which have come with the head of a 101
    unread: bytes

    @property
    def stream(self) -> ExchangeStream:
        """The way to the peer."""
        ...

    @property
    def phase(self) -> Phase:
        """How far its life is."""
        ...

    @property
    def is_shared(self) -> bool:
        """Whether other exchanges use the connection at the same time."""
        ...

    @property
    def transport(self) -> ByteStream:
        """The anyio stream."""
        ...

    def public_stream(self) -> ByteStream:
        """Return the anyio stream."""
        ...

    def start(self, limits: Limits, /) -> ExchangeEngine:
        """Begin an exchange, and return its engine."""
        ...

    def keep(self, engine: Any, /) -> None:
        """End the exchange of *engine*, which was complete."""

    def lend_away(self, engine: Any, /) -> tuple[LentStream, bytes]:
        """Return the stream for another protocol, and what *engine* has received for it."""
        ...

    def abort(self) -> None:
        """End an exchange that was not complete, or the connection."""

    def leave_to_parent(self) -> None:
        """Let go of the socket in a forked child, whose parent goes on using it."""


class Place(Protocol):
    """What a lender stores a connection as."""

    @property
    def key(self) -> ConnectionKey: ...


class Lender(Protocol):
    """Who takes connections back."""

    def take_back(self, place: Any, protocol: Any, /) -> None:
        """Take the connection back that was lent from *place*; ``None`` if it was detached."""


class Connection:
    """The right to use one connection, which counts under the limits of its connector.

    It is ended by :meth:`release`, :meth:`close` or :meth:`detach`.  The first of these calls
    counts; later ones do nothing.
    """

    # There is one for each request, and CPython makes objects without slots faster.
    _callbacks: list[Callable[[], None]] | None = None
    # Whether it is closed because the program has forgotten the response.
    _is_forgotten: bool = False

    def __init__(self, protocol: ExchangeProtocol, place: Place, lender: Lender) -> None:
        self._protocol: ExchangeProtocol | None = protocol
        self._place = place
        self._lender = lender
        self._reused = protocol.phase is IDLE

    def __repr__(self) -> str:
        key = self._place.key
        return f"<{type(self).__name__} {key.host}:{key.port} {self._protocol}>"

    def __bool__(self) -> bool:
        """Return true always, so that ``if connection`` only tests for ``None``."""
        return True

    @property
    def closed(self) -> bool:
        """Whether the connection is no longer in use here."""
        return self._protocol is None or self._protocol.phase is Phase.CLOSED

    @property
    def reused(self) -> bool:
        """Whether the connection has carried a request before."""
        return self._reused

    @property
    def transport(self) -> ByteStream | None:
        """The anyio stream, ``None`` once it has been given back.

        After a 101 that was asked for, its bytes are those of the other protocol, from the first
        one on.
        """
        return None if self._protocol is None else self._protocol.public_stream()

    @property
    def loop(self) -> EventLoop | None:
        """Deprecated: asyncio's running event loop, ``None`` on trio."""
        return running_loop()

    @property
    def protocol(self) -> ExchangeProtocol | None:
        """What speaks the protocol on it, ``None`` once it has been given back."""
        return self._protocol

    def add_callback(self, callback: Callable[[], None]) -> None:
        """Call *callback* when the connection is given back or closed."""
        if self._callbacks is None:
            self._callbacks = []
        self._callbacks.append(callback)

    def release(self) -> None:
        """Give the connection back; it is kept if its exchange is complete, otherwise closed."""
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            self._lender.take_back(self._place, protocol)
            if self._callbacks is not None:
                self._call_back()

    def close(self) -> None:
        """Close the connection and free its slot."""
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            protocol.abort()
            self._lender.take_back(self._place, protocol)
            self._call_back()

    def detach(self) -> ByteStream | None:
        """Return the stream, which the caller has to close, and free the slot."""
        protocol, self._protocol = self._protocol, None
        if protocol is None:
            return None
        self._lender.take_back(self._place, None)
        self._call_back()
        return protocol.public_stream()

    def _call_back(self) -> None:
        callbacks, self._callbacks = self._callbacks, None
        for callback in callbacks or ():
            callback()


def close_as_forgotten(connection: Connection) -> None:
    """Close *connection*, as the program has forgotten the response before its end."""
    connection._is_forgotten = True
    connection.close()


def is_forgotten(connection: Connection) -> bool:
    """Whether *connection* has been closed because the program has forgotten the response."""
    return connection._is_forgotten


def leave_to_parent(connection: Connection) -> None:
    """End the right in a forked child; nothing is given back, and nobody is told."""
    protocol, connection._protocol = connection._protocol, None
    connection._callbacks = None
    if protocol is not None:
        protocol.leave_to_parent()
