"""A connection that speaks HTTP/1.1, and one exchange on it."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final, Protocol

from .strict import (
    Limits,
)

if TYPE_CHECKING:
    from .._network import NetworkStream
    from .engine import Engine

__all__ = (
    "Http1Connection",
    "Lease",
    "Phase",
)


class Phase(enum.Enum):
    """Life of one pooled connection; the values are what ``repr`` shows."""

    FRESH = "connected, nothing sent"
    BUSY = "one exchange in flight"
    IDLE = "kept alive, waiting (RFC 9112 §9.3)"
    LENT_AWAY = "after 101 or CONNECT; the bytes are someone else's"
    CLOSED = "socket gone"

    #: the phases that can follow; tuples, as an enum's hash would cost more than the search
    moves: tuple[Phase, ...]


Phase.FRESH.moves = (Phase.BUSY, Phase.CLOSED)
Phase.BUSY.moves = (Phase.IDLE, Phase.LENT_AWAY, Phase.CLOSED)
Phase.IDLE.moves = (Phase.BUSY, Phase.CLOSED)
Phase.LENT_AWAY.moves = (Phase.CLOSED,)
Phase.CLOSED.moves = ()

# To look a member up in an enum's class takes longer than to read a global.
_BUSY: Final = Phase.BUSY
_IDLE: Final = Phase.IDLE


class Http1Connection:
    """What the pool holds: a stream, and the engine that speaks each exchange on it."""

    __slots__ = ("_engine_class", "phase", "stream")

    #: exchanges it can carry at a time, for a pool that will know HTTP/2 too
    max_exchanges: Final = 1

    def __init__(self, stream: NetworkStream, engine_class: type[Engine]) -> None:
        self.stream: NetworkStream = stream
        self._engine_class = engine_class
        self.phase: Phase = Phase.FRESH

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.phase.name}: {self.phase.value}>"

    def move(self, to: Phase) -> None:
        """Enter another phase of its life.

        :raises RuntimeError: that phase cannot follow this one
        """
        if to not in self.phase.moves:
            raise RuntimeError(f"a connection cannot go from {self.phase.name} to {to.name}")
        self.phase = to

    @property
    def is_usable(self) -> bool:
        """Whether the next exchange can begin: idle, and the peer kept quiet."""
        return self.phase is _IDLE and self.stream.is_quiet()

    def start(self, limits: Limits) -> Engine:
        """Begin an exchange."""
        self.move(_BUSY)
        return self._engine_class(limits)

    def abort(self) -> None:
        """Close the socket at once."""
        if self.phase is not Phase.CLOSED:
            self.move(Phase.CLOSED)
            self.stream.abort()


class Lease(Protocol):
    """The right to use a connection, with two ways out of which the first counts."""

    def release(self) -> None:
        """Give the connection back; it is pooled if its phase is idle."""

    def close(self) -> None:
        """Close the connection and give its slot back."""
