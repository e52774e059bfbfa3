"""Which kind of pool a connector has, and what that has to know of a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._common import ConnectionKey
from ._http2_mode import Http2Mode, needs_http1
from ._pool import ConnectionPool

if TYPE_CHECKING:
    from ..client_reqrep import ClientRequest

__all__ = ("make_pool", "pool_key")


def make_pool(
    mode: Http2Mode,
    limit: int,
    limit_per_host: int,
    keepalive_timeout: float,
    *,
    uses_network: bool,
) -> ConnectionPool:
    """Return the pool of a connector.

    Most connectors speak HTTP/1.1 alone, so what the others need is only imported for them.
    """
    if mode is Http2Mode.OFF:
        return ConnectionPool(limit, limit_per_host, keepalive_timeout, uses_network=uses_network)
    from ._multiplexed import MultiplexedPool

    return MultiplexedPool(
        limit,
        limit_per_host,
        keepalive_timeout,
        uses_network=uses_network,
        speaks_without_tls=mode is Http2Mode.PRIOR_KNOWLEDGE,
    )


def pool_key(pool: ConnectionPool, request: ClientRequest) -> ConnectionKey:
    """Return the key by which *pool* finds a connection for *request*."""
    key = request.connection_key
    if not (pool.is_multiplexed and needs_http1(request)):
        return key
    from ._origin import HandshakeKey, Http1Key

    return HandshakeKey(*key) if request.is_handshake else Http1Key(*key)
