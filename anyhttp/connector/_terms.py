"""On what terms a request waits for a connection."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import anyio

from .._tasks import ClientTimeout, Expired, PendingWaits, Watchdog
from ..client_exceptions import ClientConnectionError
from ..tracing import Trace

__all__ = ("LendingTerms",)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class LendingTerms:
    """Trace handlers and limits that apply while a request waits for a connection.

    :param traces: their handlers are awaited
    :param timeout: only ``connect`` and ``sock_connect`` apply here
    :param total_at: when the ``total`` time of the request is over, on anyio's clock
    :param watchdog: of an entered session; ends the wait for a slot without a cancel scope
    :param waits: of the session, which cancels them when it is closed; ``None`` without one
    """

    traces: Sequence[Trace]
    timeout: ClientTimeout
    total_at: float = math.inf
    watchdog: Watchdog | None = None
    waits: PendingWaits | None = None

    @property
    def session_is_closed(self) -> bool:
        """Whether the session has been closed, and has ended its waits."""
        return self.waits is not None and self.waits.cancelled

    def check_open(self) -> None:
        """Raise an error if the session has been closed.

        :raises ClientConnectionError: it is closed
        """
        if self.session_is_closed:
            raise ClientConnectionError("Session is closed")

    def ended(self) -> Exception | None:
        """Return the error of a wait that the session or ``total`` ended; ``None`` if neither."""
        if self.session_is_closed:
            return ClientConnectionError("Session is closed")
        return Expired() if anyio.current_time() >= self.total_at else None

    async def within(self, work: Awaitable[T]) -> T:
        """Await *work* within the ``total`` time and the life of the session.

        :raises ClientConnectionError: the session is closed
        :raises Expired: the ``total`` time is over
        """
        with anyio.CancelScope(deadline=self.total_at) as scope:
            if self.waits is not None:
                self.waits.add(scope)
            try:
                return await work
            finally:
                if self.waits is not None:
                    self.waits.discard(scope)
        raise self.ended() or Expired
