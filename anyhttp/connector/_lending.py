"""How a session gets a connection: at once if one is idle, else after waiting or connecting."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import anyio

from .._http1 import Connection
from .._tasks import ClientTimeout, Expired, PendingWaits, Watchdog
from ..client_exceptions import ClientConnectionError
from ..tracing import Trace
from ._base import BaseConnector

if TYPE_CHECKING:
    from ..client_reqrep import ClientRequest

__all__ = ("LendingTerms", "lend", "lend_nowait")

_CONNECT: Final = BaseConnector.connect


@dataclass(frozen=True, slots=True, kw_only=True)
class LendingTerms:
    """Trace handlers and limits that apply while a request waits for a connection.

    :param traces: their handlers are awaited
    :param timeout: only ``connect`` and ``sock_connect`` apply here
    :param total_at: when the ``total`` time of the request is over, on anyio's clock
    :param watchdog: of an entered session; ends the wait for a slot without a cancel scope
    :param waits: of the session, which cancels them when it is closed
    """

    traces: Sequence[Trace]
    timeout: ClientTimeout
    total_at: float
    watchdog: Watchdog | None
    waits: PendingWaits


def lend_nowait(connector: BaseConnector, request: ClientRequest) -> Connection | None:
    """Return an idle connection for *request*; ``None``: call :func:`lend`.

    Always ``None`` if :meth:`BaseConnector.connect` has been overridden or replaced, because
    :func:`lend` calls it.

    :raises ClientConnectionError: the connector is closed
    """
    if _has_own_connect(connector):
        return None
    return connector._pool.take_idle(request.connection_key)


async def lend(connector: BaseConnector, request: ClientRequest, terms: LendingTerms) -> Connection:
    """Wait for a connection for *request*, after :func:`lend_nowait` has returned ``None``.

    :raises ClientConnectionError: the connector or the session is closed
    :raises ClientConnectorError: no connection could be made
    :raises ConnectionTimeoutError: ``connect`` or ``sock_connect`` ran out
    :raises Expired: the ``total`` time is over

    After cancellation no slot is taken and no socket is open.
    """
    if terms.waits.cancelled:
        raise ClientConnectionError("Session is closed")
    plain = not (terms.traces or terms.timeout.connect or _has_own_connect(connector))
    if plain and terms.watchdog is not None:
        return await _lend_watched(connector, request, terms, terms.watchdog)
    return await _within(terms, connector.connect(request, terms.traces, terms.timeout))


def _has_own_connect(connector: BaseConnector) -> bool:
    return getattr(connector.connect, "__func__", None) is not _CONNECT


async def _lend_watched(
    connector: BaseConnector, request: ClientRequest, terms: LendingTerms, watchdog: Watchdog
) -> Connection:
    """Do what :meth:`BaseConnector.connect` does, but wait for a slot without a cancel scope.

    A cancel scope would cost more than the rest of the wait.
    """
    pool, key = connector._pool, request.connection_key
    pool.check_open()
    slot = pool.reserve(key)
    if not slot.is_held:
        watchdog.watch(slot, terms.total_at)
        terms.waits.add(slot, watchdog.loop)
        try:
            held = await pool.wait(slot)
        finally:
            watchdog.forget(slot)
            terms.waits.discard(slot)
        if not held:
            raise _ended(terms)
        connection = pool.take_idle(key, slot)
        if connection is not None:
            return connection
        if terms.waits.cancelled:  # the session was closed after this wait had got its slot
            pool.release_slot(slot)
            raise ClientConnectionError("Session is closed")
    return await _within(terms, connector._open(request, slot, (), terms.timeout))


async def _within(terms: LendingTerms, work: Awaitable[Connection]) -> Connection:
    """Await *work* within the ``total`` time and the life of the session."""
    with anyio.CancelScope(deadline=terms.total_at) as scope:
        terms.waits.add(scope)
        try:
            return await work
        finally:
            terms.waits.discard(scope)
    raise _ended(terms)


def _ended(terms: LendingTerms) -> Exception:
    """Return the error of a wait that was ended: the session is closed, or the time is over."""
    return ClientConnectionError("Session is closed") if terms.waits.cancelled else Expired()
