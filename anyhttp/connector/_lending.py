"""How a session gets a connection: at once if one is idle, else after waiting or connecting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio

from .._common import HttpVersion11
from .._http1 import Connection
from .._tasks import Expired, deadline_after
from ._base import BaseConnector
from ._foreign import timed_out
from ._making_pools import pool_key
from ._slots import Slot
from ._terms import LendingTerms

if TYPE_CHECKING:
    from ..client_reqrep import ClientRequest

__all__ = ("answers_to", "lend", "lend_nowait")

_CONNECT: Final = BaseConnector.connect


def lend_nowait(connector: BaseConnector, request: ClientRequest) -> Connection | None:
    """Return an idle connection for *request*; ``None``: call :func:`lend`.

    Always ``None`` if :meth:`BaseConnector.connect` has been overridden or replaced, because
    :func:`lend` calls it.

    :raises ClientConnectionError: the connector is closed
    """
    if _has_own_connect(connector):
        return None
    pool = connector._pool
    if pool.is_multiplexed:
        return pool.take_idle(pool_key(pool, request))
    return pool.take_idle(request.connection_key)


async def lend(connector: BaseConnector, request: ClientRequest, terms: LendingTerms) -> Connection:
    """Wait for a connection for *request*, after :func:`lend_nowait` has returned ``None``.

    :raises ClientConnectionError: the connector or the session is closed
    :raises ClientConnectorError: no connection could be made
    :raises ConnectionTimeoutError: ``connect`` or ``sock_connect`` ran out
    :raises Expired: the ``total`` time is over

    After cancellation no slot is taken and no socket is open.
    """
    terms.check_open()
    if request.is_handshake and connector._pool.must_ask_for_websockets(request.connection_key):
        return await _lend_to_handshake(connector, request, terms)
    return await _lend(connector, request, terms)


async def _lend_to_handshake(
    connector: BaseConnector, request: ClientRequest, terms: LendingTerms
) -> Connection:
    """Wait for a stream of an HTTP/2 connection, and for the server to say what it takes there.

    If that is no WebSockets (:rfc:`8441`), wait for a connection by HTTP/1.1.
    """
    with anyio.CancelScope(deadline=deadline_after(terms.timeout.connect)):
        request.may_open_http2 = request.version >= HttpVersion11
        try:
            connection = await _lend(connector, request, terms)
        finally:
            request.may_open_http2 = False
        is_taken = False
        try:
            is_taken = await terms.within(connector._pool.takes_websockets(connection))
        finally:
            if not is_taken:
                connection.release()
        return connection if is_taken else await _lend(connector, request, terms)
    raise timed_out(request)


async def _lend(
    connector: BaseConnector, request: ClientRequest, terms: LendingTerms
) -> Connection:
    if terms.traces or terms.timeout.connect or _has_own_connect(connector):
        return await terms.within(connector.connect(request, terms.traces, terms.timeout))
    pool = connector._pool
    pool.check_open()
    slot = pool.reserve(pool_key(pool, request), request.refusals)
    if not slot.is_held:
        if terms.watchdog is None:
            return await terms.within(connector._open(request, slot, terms))
        connection = await _wait_watched(connector, slot, terms)
        if connection is not None:
            return connection
    return await connector._open(request, slot, terms)


def answers_to(connector: BaseConnector, request: ClientRequest) -> int:
    """Return how many requests by HTTP/2 the server of *request* has answered so far."""
    pool = connector._pool
    return pool.answers_of(pool_key(pool, request))


def _has_own_connect(connector: BaseConnector) -> bool:
    # This is is_own_method(), written out as it runs for each request.
    try:
        return type(connector).connect is not _CONNECT or "connect" in connector.__dict__
    except AttributeError:  # the type of a proxy need not have the method
        return True


async def _wait_watched(
    connector: BaseConnector, slot: Slot, terms: LendingTerms
) -> Connection | None:
    """Wait for *slot*, and return an idle connection for it if there is one.

    The wait has no cancel scope, which would cost more than the rest of it.
    """
    pool, watchdog, waits = connector._pool, terms.watchdog, terms.waits
    assert watchdog is not None
    assert waits is not None
    watchdog.watch(slot, terms.total_at)
    waits.add(slot, watchdog.loop)
    try:
        held = await pool.wait(slot)
    finally:
        watchdog.forget(slot)
        waits.discard(slot)
    if not held:
        raise terms.ended() or Expired
    return pool.take_idle(slot.key, slot)
