"""Connectors for the transports of other clients, with the limits and options that those have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from ssl import SSLContext
from typing import TYPE_CHECKING, ClassVar, Protocol

import anyio

from .._common import ConnectionKey
from .._http1 import Connection
from .._network import NetworkStream, Protocols, SocketOption, set_options, sockets_with
from .._tasks import ClientTimeout, deadline_after
from ..client_exceptions import UnixClientConnectorError
from ..tracing import Trace, TraceParams
from ._base import BaseConnector
from ._connectors import TCPConnector, UnixConnector
from ._dial import ConnectLimit
from ._encryption import tell_or_close
from ._http2_mode import Http2Mode, Http2Option
from ._terms import LendingTerms
from ._tunnel import Way

if TYPE_CHECKING:
    from ..client_reqrep import ClientRequest

__all__ = (
    "NoSlotInTime",
    "TlsDone",
    "TlsStarting",
    "TransportConnector",
    "TransportOptions",
    "TransportTCPConnector",
    "TransportUnixConnector",
    "http1_key",
)


class NoSlotInTime(Exception):
    """As many connections as are allowed are in use, and none was given back in time."""


@dataclass(frozen=True, slots=True)
class TlsStarting(TraceParams):
    """The socket is connected, and the TLS handshake begins.

    :param stream: the connection without TLS
    """

    _signal: ClassVar[str] = "on_tls_start"

    stream: NetworkStream


@dataclass(frozen=True, slots=True)
class TlsDone(TraceParams):
    """The TLS handshake has succeeded.

    :param stream: the connection with TLS
    """

    _signal: ClassVar[str] = "on_tls_end"

    stream: NetworkStream


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportOptions:
    """What the options of a transport mean to its connector.

    :param limit: open connections in all, idle ones included; ``None`` for no limit
    :param max_idle: idle connections; ``None`` for no limit
    :param keepalive_timeout: seconds an idle connection is kept; ``None`` for ever
    :param proxy_tls: how a proxy that is reached over TLS is verified
    :param local_addr: (host, port) to connect from
    :param socket_options: arguments of :meth:`socket.socket.setsockopt`
    :param http2: as of a :class:`TCPConnector`
    """

    limit: int | None
    max_idle: int | None
    keepalive_timeout: float | None
    proxy_tls: SSLContext | None = None
    local_addr: tuple[str, int] | None = None
    socket_options: Sequence[SocketOption] = ()
    http2: Http2Option = False


class TransportConnector(Protocol):
    """What a transport needs of its connector."""

    def take_idle(self, key: ConnectionKey) -> Connection | None: ...
    async def lend(
        self,
        request: ClientRequest,
        key: ConnectionKey,
        *,
        wait_seconds: float | None,
        timeout: ClientTimeout,
        traces: Sequence[Trace],
    ) -> Connection: ...
    def trim_idle(self) -> None: ...
    @property
    def closed(self) -> bool: ...
    @property
    def is_closing(self) -> bool: ...
    async def finish_closing(self) -> None: ...
    async def close(self) -> None: ...


class _Lending(BaseConnector):
    """The methods that both kinds of connectors have in common."""

    _max_idle: int | None

    def take_idle(self, key: ConnectionKey) -> Connection | None:
        """Return an idle connection; ``None``: call :meth:`lend`.

        :raises ClientConnectionError: the connector is closed
        """
        return self._pool.take_idle(key)

    async def lend(
        self,
        request: ClientRequest,
        key: ConnectionKey,
        *,
        wait_seconds: float | None,
        timeout: ClientTimeout,
        traces: Sequence[Trace],
    ) -> Connection:
        """Wait for a connection for *request*, after :meth:`take_idle` has returned ``None``.

        :param key: of the connections that it can use
        :param wait_seconds: how long to wait until another connection may be opened
        :param timeout: ``sock_connect`` limits the opening
        :raises NoSlotInTime: *wait_seconds* are over
        :raises ClientConnectionError: the connector is closed
        :raises ClientConnectorError: no connection could be made
        :raises ConnectionTimeoutError: ``sock_connect`` ran out

        After cancellation no slot is taken and no socket is open.
        """
        pool = self._pool
        pool.check_open()
        slot = pool.reserve(key)
        if not slot.is_held:
            with anyio.CancelScope(deadline=deadline_after(wait_seconds)) as scope:
                await pool.wait(slot)
            if scope.cancelled_caught:
                raise NoSlotInTime
            connection = pool.take_idle(slot.key, slot)
            if connection is not None:
                return connection
        return await self._open(request, slot, LendingTerms(traces=traces, timeout=timeout))

    def trim_idle(self) -> None:
        """Close the connections that have been idle longest until no more than allowed are left."""
        pool, most = self._pool, self._max_idle
        while most is not None and len(pool.idle) > most:
            pool.evict_idle()

    @property
    def is_closing(self) -> bool:
        """Whether there is something for :meth:`finish_closing` to wait for."""
        return self._pool.is_closing

    async def finish_closing(self) -> None:
        """Wait until the sockets of aborted connections are closed."""
        await self._pool.finish_closing()


def http1_key(key: ConnectionKey) -> ConnectionKey:
    """Return the key of those connections to the same endpoint that speak HTTP/1.1."""
    from ._origin import Http1Key

    return Http1Key(*key)


def _offer_http1(key: ConnectionKey, mode: Http2Mode) -> None:
    """Offer HTTP/1.1 alone, as another client may have added HTTP/2 to a context that both use."""
    if mode is Http2Mode.OFF and isinstance(key.ssl, SSLContext):
        key.ssl.set_alpn_protocols(["http/1.1"])


class TransportTCPConnector(_Lending, TCPConnector):
    """Connects over TCP, and through proxies."""

    def __init__(self, options: TransportOptions) -> None:
        super().__init__(
            limit=options.limit,
            keepalive_timeout=options.keepalive_timeout,
            local_addr=options.local_addr,
            socket_factory=sockets_with(options.socket_options),
            http2=options.http2,
        )
        self._max_idle = options.max_idle
        self._proxy_tls = options.proxy_tls

    def _way(self, key: ConnectionKey, traces: Sequence[Trace], limit: ConnectLimit) -> Way:
        _offer_http1(key, self._http2)
        return replace(super()._way(key, traces, limit), proxy_tls=self._proxy_tls or True)

    async def _encrypt(
        self,
        stream: NetworkStream,
        key: ConnectionKey,
        traces: Sequence[Trace],
        alpn: Protocols | None,
    ) -> NetworkStream:
        await tell_or_close(stream, traces, TlsStarting(stream))
        _offer_http1(key, self._http2)
        stream = await super()._encrypt(stream, key, traces, alpn)
        await tell_or_close(stream, traces, TlsDone(stream))
        return stream


class TransportUnixConnector(_Lending, UnixConnector):
    """Connects to a Unix socket."""

    def __init__(self, path: str, options: TransportOptions) -> None:
        super().__init__(
            path,
            limit=options.limit,
            keepalive_timeout=options.keepalive_timeout,
            http2=options.http2,
        )
        self._max_idle = options.max_idle
        self._socket_options = options.socket_options

    async def _create_connection(
        self, req: ClientRequest, traces: Sequence[Trace], timeout: ClientTimeout
    ) -> NetworkStream:
        _offer_http1(req.connection_key, self._http2)
        stream = await super()._create_connection(req, traces, timeout)
        if stream.extra_info("socket") is None:
            return stream  # one in the place of the network's
        try:
            set_options(stream.extra_info("socket"), self._socket_options)
        except OSError as exc:
            await stream.aclose()
            raise UnixClientConnectorError(self._path, req.connection_key, exc) from exc
        return stream
