"""Who may have a connection: connectors lend, take back and close."""

from __future__ import annotations

import math
import os
import socket
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from ssl import CERT_NONE, SSLContext
from time import monotonic
from types import EllipsisType
from typing import TYPE_CHECKING, ClassVar, Final, Self, TypedDict, Unpack

import anyio
import anyio.lowlevel
from anyio.abc import ByteStream
from yarl import URL

from ._arguments import (
    check_callable,
    check_count,
    check_local_addr,
    check_seconds,
    checked_path,
)
from ._auth import BasicAuth
from ._deprecation import warn_about_loop, warn_deprecated
from ._dial import TcpOptions, dial_tcp
from ._http1 import Http1Connection, Phase, engine_class
from ._network import (
    AddrInfoType,
    NetworkStream,
    SocketFactoryType,
    connect_unix,
    dial_errors,
    start_tls,
)
from ._old_spellings import EventLoop, fold_ssl, running_loop, warn_without_effect
from ._pool import Pool
from ._proxies import ProxyOptions, checked_proxy, proxy_options
from ._timeouts import ClientTimeout, deadline_after
from ._tunnel import Way, dial_through_proxy
from ._values import ConnectionKey
from .abc import AbstractResolver, ResolveResult
from .client_exceptions import (
    ClientConnectionError,
    ClientConnectorDNSError,
    ConnectionTimeoutError,
    UnixClientConnectorError,
)
from .client_reqrep import Fingerprint
from .resolver import DefaultResolver, DnsCache, literal_address
from .tracing import (
    Trace,
    TraceConnectionCreateEndParams,
    TraceConnectionCreateStartParams,
    TraceConnectionQueuedEndParams,
    TraceConnectionQueuedStartParams,
    TraceConnectionReuseconnParams,
    TraceDnsCacheHitParams,
    TraceDnsCacheMissParams,
    TraceDnsResolveHostEndParams,
    TraceDnsResolveHostStartParams,
    tell,
)
from .typedefs import StrOrURL

if TYPE_CHECKING:
    from types import TracebackType

    from ._task_owner import TaskOwner
    from .client_reqrep import ClientRequest

__all__ = (
    "AddrInfoType",
    "BaseConnector",
    "Connection",
    "ConnectionKey",
    "ConnectorStatistics",
    "NamedPipeConnector",
    "ProxyConnector",
    "SocketFactoryType",
    "TCPConnector",
    "UnixConnector",
)

#: How long closing waits for what does not let itself be cancelled, in seconds.
CLOSE_SECONDS: Final = 5.0

#: Schemes every connector speaks.
HTTP_SCHEMES: Final = frozenset({"", "http", "https"})
_NO_TIMEOUT: Final = ClientTimeout()
_IDLE: Final = Phase.IDLE


@dataclass(frozen=True, slots=True)
class ConnectorStatistics:
    """What a connector holds at one moment.

    :param in_use: connections lent, or being made
    :param idle: connections kept for later requests
    :param waiting: requests that wait for a free slot
    """

    in_use: int
    idle: int
    waiting: int


class _Slot:
    """A place for one socket under the limits; the borrower of the limiters' tokens.

    It stays with a socket that becomes idle, unless somebody waits for a place: then a
    request that finds an idle connection has nothing to ask of the limiters.
    """

    __slots__ = ("counted", "host_limiter", "key")

    def __init__(self, key: ConnectionKey) -> None:
        self.key = key
        self.host_limiter: anyio.CapacityLimiter | None = None
        self.counted = False  # under the total limit


class Connection:
    """The right to use one connection: a slot under the connector's limits, then a socket.

    It has three ways out: :meth:`release`, :meth:`close` and :meth:`detach`.  The first
    that is called counts, the others do nothing then.
    """

    __slots__ = ("_callbacks", "_connector", "_http1", "_key", "_reused", "_slot")

    def __init__(self, connector: BaseConnector, key: ConnectionKey) -> None:
        self._connector = connector
        self._key = key
        self._http1: Http1Connection | None = None
        self._slot: _Slot | None = None
        self._reused = False
        self._callbacks: list[Callable[[], None]] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._key.host}:{self._key.port} {self._http1}>"

    def __bool__(self) -> bool:
        """Be true always, so that ``if connection`` asks whether there is one."""
        return True

    @property
    def closed(self) -> bool:
        """Whether the connection is no longer in use here."""
        return self._http1 is None or self._http1.phase is Phase.CLOSED

    @property
    def reused(self) -> bool:
        """Whether it had carried a request before."""
        return self._reused

    @property
    def transport(self) -> ByteStream | None:
        """The anyio stream, ``None`` once it has been given back."""
        return None if self._http1 is None else self._http1.stream.stream

    @property
    def loop(self) -> EventLoop | None:
        """Deprecated: asyncio's running event loop, ``None`` on trio."""
        return running_loop()

    @property
    def protocol(self) -> Http1Connection | None:
        """What speaks HTTP/1.1 on the stream, ``None`` once it has been given back."""
        return self._http1

    def add_callback(self, callback: Callable[[], None]) -> None:
        """Call *callback* when the connection is given back or closed."""
        if self._callbacks is None:
            self._callbacks = []
        self._callbacks.append(callback)

    def release(self) -> None:
        """Give the connection back; it is kept if its exchange is complete, else closed."""
        http1, self._http1 = self._http1, None
        if http1 is not None:
            self._connector._take_back(self, http1)
            if self._callbacks is not None:
                self._call_back()

    def close(self) -> None:
        """Close the connection and free its slot."""
        http1, self._http1 = self._http1, None
        if http1 is not None:
            http1.abort()
            self._connector._take_back(self, http1)
            self._call_back()

    def detach(self) -> ByteStream | None:
        """Take the stream out of the connector: the caller closes it, the slot is free."""
        http1, self._http1 = self._http1, None
        if http1 is None:
            return None
        self._connector._forget(self)
        self._call_back()
        return http1.stream.stream

    def _call_back(self) -> None:
        callbacks, self._callbacks = self._callbacks, None
        for callback in callbacks or ():
            callback()


class BaseConnector:
    """Base of the connectors: limits, the pool of idle connections, closing.

    A subclass makes the streams in :meth:`_create_connection`.

    :param keepalive_timeout: seconds an idle connection is kept; ``None`` for ever, 0 not
        at all
    :param force_close: close every connection after its request
    :param limit: open connections in all, idle ones included; 0 or ``None`` for no limit
    :param limit_per_host: connections in use to one endpoint; 0 or ``None`` for no limit
    :param conn_timeout: deprecated; seconds that making one connection may take, beside the
        ``sock_connect`` of the request
    :param enable_cleanup_closed: accepted for aiohttp's sake, without effect
    :param disable_cleanup_closed: the same
    :param share_cookies: the same
    :param loop: the same
    :param timeout_ceil_threshold: the same
    :param http1: engine that speaks HTTP/1.1: ``"h11"``, ``"httptools"``, or ``"auto"`` for
        httptools where it is installed
    :raises ValueError: *force_close* together with a *keepalive_timeout*, or a bad value
    """

    allowed_protocol_schema_set: ClassVar[frozenset[str]] = HTTP_SCHEMES | {"ws", "wss"}

    #: whether it takes requests to a proxy; one that does not is never given any for one
    uses_proxies: ClassVar[bool] = False

    #: the proxy of requests that name none
    proxy_options: ProxyOptions | None = None

    _closed = True  # for __del__ after a constructor that raised

    def __init__(
        self,
        *,
        keepalive_timeout: float | EllipsisType | None = ...,
        force_close: bool = False,
        limit: int | None = 100,
        limit_per_host: int | None = 0,
        conn_timeout: float | None = None,
        enable_cleanup_closed: bool = False,
        disable_cleanup_closed: bool = False,
        share_cookies: bool = False,
        loop: object = None,
        timeout_ceil_threshold: float = 5,
        http1: str = "auto",
    ) -> None:
        if force_close:
            if keepalive_timeout is not ... and keepalive_timeout:
                raise ValueError("keepalive_timeout cannot be set if force_close is True")
            keepalive_timeout = 0
        elif keepalive_timeout is ...:
            keepalive_timeout = 15.0
        check_seconds("keepalive_timeout", keepalive_timeout)
        warn_about_loop(loop)
        warn_without_effect(
            enable_cleanup_closed=enable_cleanup_closed,
            disable_cleanup_closed=disable_cleanup_closed,
            share_cookies=share_cookies,
        )
        if conn_timeout is not None:
            warn_deprecated("conn_timeout is deprecated: ClientTimeout(sock_connect=...) does it")
        self._conn_timeout = conn_timeout
        self._keepalive_timeout = math.inf if keepalive_timeout is None else keepalive_timeout
        self._force_close = force_close
        self._limit = _checked_limit("limit", limit)
        self._limit_per_host = _checked_limit("limit_per_host", limit_per_host)
        self._engine_class = engine_class(http1)
        self._pool: Pool[Http1Connection] = Pool(self._keepalive_timeout)
        # Limiters belong to the event loop they are made in, and there may be none yet.
        self._limiter: anyio.CapacityLimiter | None = None
        self._host_limiters: dict[ConnectionKey, anyio.CapacityLimiter] = {}
        self._lent: set[Connection] = set()
        self._slots: dict[Http1Connection, _Slot] = {}  # of idle connections
        # Aborted, but the event loop may not have closed the sockets yet; in order.
        self._closing: dict[NetworkStream, None] = {}
        # Connections that are being made: close() cancels them and waits for the last.
        self._dialing: set[anyio.CancelScope] = set()
        self._dial_waiters: list[anyio.Event] = []
        self._waiting = 0
        # Who runs sweep() as soon as there may be an idle connection.
        self._sweepers: list[TaskOwner] = []
        self._closed = False

    def forget_warning(self) -> None:
        """Warn no more: whoever owned the connector has said that it was not closed."""
        self._closed = True

    def __del__(self) -> None:
        if not self._closed and (self._lent or len(self._pool)):
            warnings.warn(
                f"Unclosed connector {self!r}", ResourceWarning, stacklevel=2, source=self
            )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` has been called."""
        return self._closed

    @property
    def force_close(self) -> bool:
        """Whether every connection is closed after its request."""
        return self._force_close

    @property
    def limit(self) -> int:
        """How many connections may be open in all; 0 for no limit."""
        return self._limit

    @property
    def limit_per_host(self) -> int:
        """How many connections to one endpoint may be in use; 0 for no limit."""
        return self._limit_per_host

    def statistics(self) -> ConnectorStatistics:
        """Return how many connections are in use and idle, and how many requests wait."""
        return ConnectorStatistics(len(self._lent), len(self._pool), self._waiting)

    # -- lending

    async def connect(
        self,
        req: ClientRequest,
        traces: Sequence[Trace] = (),
        timeout: ClientTimeout = _NO_TIMEOUT,
    ) -> Connection:
        """Return a connection for *req*: an idle one, or a new one when a slot is free.

        :param traces: are told what happens meanwhile; what their handlers raise passes
        :raises ClientConnectionError: the connector is closed
        :raises ClientConnectorError: no connection could be made
        :raises ConnectionTimeoutError: ``timeout.connect`` or ``timeout.sock_connect`` ran out

        Waiting is first come, first served.  After cancellation no slot is taken and no
        socket is open.
        """
        connection = Connection(self, req.connection_key)
        try:
            if not timeout.connect:
                return await self._connect_slowly(connection, req, traces, timeout)
            with anyio.CancelScope(deadline=deadline_after(timeout.connect)):
                return await self._connect_slowly(connection, req, traces, timeout)
        except BaseException:
            self._give_up(connection)
            raise
        self._give_up(connection)
        raise ConnectionTimeoutError(f"Connection timeout to host {req.shown_url}")

    def connect_nowait(self, req: ClientRequest) -> Connection | None:
        """Return an idle connection for *req* if a slot is free too; ``None`` means: wait.

        :raises ClientConnectionError: the connector is closed

        A subclass with a :meth:`connect` of its own is asked there for every request.
        """
        if self._waiting or type(self).connect is not BaseConnector.connect:
            return None
        connection = Connection(self, req.connection_key)
        return connection if self._take_idle(connection) else None

    async def _connect_slowly(
        self,
        connection: Connection,
        req: ClientRequest,
        traces: Sequence[Trace],
        timeout: ClientTimeout,
    ) -> Connection:
        # Those who wait want nothing that an idle connection has: they would have it.
        queues = not self._take_idle(connection) and not self._acquire_nowait(connection)
        if queues:
            await self._queue(connection, traces)
        if connection._http1 is not None or self._take_idle(connection):
            if traces:
                await tell(traces, TraceConnectionReuseconnParams())
            if not queues:
                await anyio.lowlevel.checkpoint()
            if self._closed:
                raise ClientConnectionError("Connector is closed.")
            return connection
        await self._make_room()
        with self._until_closed(_shorter(timeout.sock_connect, self._conn_timeout)):
            if traces:
                await tell(traces, TraceConnectionCreateStartParams())
            made = await self._create_connection(req, traces, timeout)
            stream = made if isinstance(made, NetworkStream) else NetworkStream(made)
            if not self._closed:
                connection._http1 = Http1Connection(stream, self._engine_class)
                if traces:
                    await tell(traces, TraceConnectionCreateEndParams())
                if not self._closed:
                    return connection
            await stream.aclose()
        if self._closed:
            raise ClientConnectionError("Connector is closed.")
        raise ConnectionTimeoutError(f"Connection timeout to host {req.shown_url}")

    @contextmanager
    def _until_closed(self, seconds: float | None) -> Iterator[None]:
        """Cancel the block, which makes a connection, after *seconds* and by :meth:`close`."""
        with anyio.CancelScope(deadline=deadline_after(seconds)) as scope:
            if self._closed:
                scope.cancel()
            elif self._sweepers:
                self._start_sweepers()
            self._dialing.add(scope)
            try:
                yield
            finally:
                self._dialing.discard(scope)
                for waiter in self._dial_waiters:
                    waiter.set()
                self._dial_waiters.clear()

    async def _create_connection(
        self, req: ClientRequest, traces: Sequence[Trace], timeout: ClientTimeout
    ) -> NetworkStream | ByteStream:
        """Return a stream to the endpoint of *req*, TLS included.

        :raises ClientConnectorError: it cannot be reached
        """
        raise NotImplementedError

    def _acquire_nowait(self, connection: Connection) -> bool:
        """Take a slot if one is free and nobody waits."""
        self._check_open()
        slot = _Slot(connection._key)
        try:
            if self._limit_per_host:
                host_limiter = self._limiter_of(slot.key)
                host_limiter.acquire_on_behalf_of_nowait(slot)
                slot.host_limiter = host_limiter
            if self._limit and not self._count_nowait(slot):
                raise anyio.WouldBlock
        except anyio.WouldBlock:
            self._free(slot)
            return False
        self._lend(connection, slot)
        return True

    def _count_nowait(self, slot: _Slot) -> bool:
        """Count *slot* under the total limit, if need be in the place of an idle connection."""
        limiter = self._total_limiter()
        try:
            limiter.acquire_on_behalf_of_nowait(slot)
        except anyio.WouldBlock:
            if not self._evict():
                return False
            try:
                limiter.acquire_on_behalf_of_nowait(slot)
            except anyio.WouldBlock:  # the place went to somebody who waits
                return False
        slot.counted = True
        return True

    def _evict(self) -> bool:
        """Close the least recently used idle connection that has a slot, if there is one."""
        while self._slots:
            oldest = self._pool.evict()
            assert oldest is not None
            had_slot = oldest in self._slots
            self._discard(oldest)
            if had_slot:
                return True
        return False

    async def _queue(self, connection: Connection, traces: Sequence[Trace]) -> None:
        """Wait for a slot of the endpoint, then for one of all, in the order of asking."""
        slot = _Slot(connection._key)
        self._waiting += 1  # from here on nobody keeps a slot for an idle connection
        try:
            if traces:
                await tell(traces, TraceConnectionQueuedStartParams())
            if self._limit_per_host:
                host_limiter = self._limiter_of(slot.key)
                await host_limiter.acquire_on_behalf_of(slot)
                slot.host_limiter = host_limiter
                # An idle connection may have had a slot before.
                if self._limit:
                    self._count_nowait(slot)
            if self._limit and not slot.counted:
                await self._total_limiter().acquire_on_behalf_of(slot)
                slot.counted = True
        except BaseException:
            self._free(slot)
            self._drop_limiter(slot.key)
            raise
        finally:
            self._waiting -= 1
        self._lend(connection, slot)
        self._check_open()
        if traces:
            await tell(traces, TraceConnectionQueuedEndParams())

    def _lend(self, connection: Connection, slot: _Slot) -> None:
        connection._slot = slot
        self._lent.add(connection)

    def _check_open(self) -> None:
        if self._closed:
            raise ClientConnectionError("Connector is closed.")

    def _total_limiter(self) -> anyio.CapacityLimiter:
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(self._limit)
        return self._limiter

    def _limiter_of(self, key: ConnectionKey) -> anyio.CapacityLimiter:
        limiter = self._host_limiters.get(key)
        if limiter is None:
            limiter = self._host_limiters[key] = anyio.CapacityLimiter(self._limit_per_host)
        return limiter

    def _take_idle(self, connection: Connection) -> bool:
        """Give *connection* the freshest idle socket that is still good, and a slot."""
        if self._closed:
            raise ClientConnectionError("Connector is closed.")
        pool = self._pool
        now = monotonic()
        if now >= pool.due:
            for expired in pool.expire(now):
                self._discard(expired)
        while (http1 := pool.take(connection._key)) is not None:
            if not http1.is_usable:
                self._discard(http1)
                continue
            slot = self._slots.pop(http1, None)
            if slot is None:
                # It was given back while somebody waited for its slot.
                if connection._slot is None and not self._acquire_nowait(connection):
                    pool.put(connection._key, http1, now)
                    return False
            else:
                if connection._slot is not None:
                    self._free(connection._slot)
                connection._slot = slot
                self._lent.add(connection)
            connection._http1 = http1
            connection._reused = True
            return True
        return False

    async def _make_room(self) -> None:
        """Close idle connections until one more may be opened."""
        while self._limit and len(self._lent) + len(self._pool) > self._limit:
            oldest = self._pool.evict()
            assert oldest is not None  # those that are lent never exceed the limit by themselves
            self._discard(oldest)
        await self.finish_closing()

    # -- taking back

    def _take_back(self, connection: Connection, http1: Http1Connection) -> None:
        if http1.phase is _IDLE and self._keepalive_timeout > 0 and not self._closed:
            self._pool.put(connection._key, http1, monotonic())
            if not self._waiting and connection._slot is not None:
                self._slots[http1] = connection._slot
                connection._slot = None
                self._lent.discard(connection)
                return
        else:
            self._discard(http1)
        self._forget(connection)

    def _discard(self, http1: Http1Connection) -> None:
        http1.abort()
        self._closing[http1.stream] = None
        slot = self._slots.pop(http1, None)
        if slot is not None:
            self._free(slot)

    def _forget(self, connection: Connection) -> None:
        """Give the slot back."""
        slot, connection._slot = connection._slot, None
        if slot is not None:
            self._lent.discard(connection)
            self._free(slot)

    def _free(self, slot: _Slot) -> None:
        if slot.counted:
            slot.counted = False
            self._total_limiter().release_on_behalf_of(slot)
        limiter, slot.host_limiter = slot.host_limiter, None
        if limiter is not None:
            limiter.release_on_behalf_of(slot)
            self._drop_limiter(slot.key)

    def _give_up(self, connection: Connection) -> None:
        """Give back what *connection* has got by the time that asking for it is cut short."""
        connection.release()
        self._forget(connection)

    def _drop_limiter(self, key: ConnectionKey) -> None:
        """Forget the limiter of an endpoint that nobody uses or waits for."""
        limiter = self._host_limiters.get(key)
        if limiter is not None:
            statistics = limiter.statistics()
            if not (statistics.borrowed_tokens or statistics.tasks_waiting):
                del self._host_limiters[key]

    async def finish_closing(self) -> None:
        """Await the end of sockets that were closed by plain calls."""
        while self._closing:
            # It stays listed meanwhile: whoever else comes must wait for it as well.
            stream = next(iter(self._closing))
            await stream.aclose()
            self._closing.pop(stream, None)

    async def sweep(self) -> None:
        """Close idle connections as they expire, until cancelled."""
        while 0 < self._keepalive_timeout < math.inf:
            now = monotonic()
            for expired in self._pool.expire(now):
                self._discard(expired)
            await self.finish_closing()
            upcoming = self._pool.next_expiry()
            await anyio.sleep(self._keepalive_timeout if upcoming is None else upcoming - now)

    def sweep_in(self, owner: TaskOwner) -> None:
        """Have *owner* run :meth:`sweep` from when there is, or soon may be, a connection."""
        self._sweepers.append(owner)
        if self._lent or len(self._pool):
            self._start_sweepers()

    def sweep_no_more_in(self, owner: TaskOwner) -> None:
        """Have *owner* start nothing any more."""
        if owner in self._sweepers:
            self._sweepers.remove(owner)

    def _start_sweepers(self) -> None:
        for owner in self._sweepers:
            owner.start(self.sweep)
        self._sweepers.clear()

    async def close(self, *, abort_ssl: bool = False) -> None:
        """Close all connections, those in use included; repeated calls do nothing.

        :param abort_ssl: accepted for aiohttp's sake: TLS is never closed by a handshake

        When it returns, or is cancelled, no socket is open.
        """
        self._closed = True
        for connection in list(self._lent):
            connection.close()
        for http1 in self._pool.clear():
            self._discard(http1)
        for scope in self._dialing:
            scope.cancel()
        with anyio.move_on_after(CLOSE_SECONDS, shield=True):
            while self._dialing:
                waiter = anyio.Event()
                self._dial_waiters.append(waiter)
                await waiter.wait()
        with anyio.move_on_after(CLOSE_SECONDS, shield=True):
            await self.finish_closing()
            await self._close_resolver()
        await anyio.lowlevel.checkpoint()

    async def _close_resolver(self) -> None:
        """Close a resolver that the connector made for itself."""
        return


def _checked_limit(name: str, value: int | None) -> int:
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int or None, not {type(value).__name__}")
    if value < 0:
        raise ValueError(f"{name} must not be negative, got {value}")
    return value


def _shorter(first: float | None, second: float | None) -> float | None:
    """Return the shorter of two time limits, of which ``None`` and 0 are none."""
    return min((limit for limit in (first, second) if limit), default=None)


class TCPConnector(BaseConnector):
    """Connects over TCP, with TLS for https.

    While the addresses of one host are raced, each attempt has a socket.  They count as the
    one connection that comes out of them: before it carries a request the others are closed.

    :param ssl: ``True`` verifies certificates by the operating system's trust store,
        ``False`` not at all; an :class:`ssl.SSLContext` is used as it is; a
        :class:`Fingerprint` accepts the one certificate it names
    :param use_dns_cache: keep answers of the resolver
    :param ttl_dns_cache: for how many seconds; ``None`` for ever
    :param dns_cache_max_size: and how many of them
    :param family: only addresses of this family, 0 for all
    :param local_addr: (host, port) to connect from
    :param resolver: turns host names into addresses
    :param happy_eyeballs_delay: seconds before the next address is tried beside the one
        that has not answered (:rfc:`8305`); ``None`` tries one after the other
    :param interleave: how many addresses of the first family come before one of the
        other; 1 when addresses are raced, else 0
    :param socket_factory: makes the socket for an address
    :param ssl_shutdown_timeout: accepted for aiohttp's sake, without effect
    :param verify_ssl: deprecated; False stands for ``ssl=False``
    :param ssl_context: deprecated; stands for *ssl*
    :param fingerprint: deprecated; stands for ``ssl=Fingerprint(fingerprint)``
    :param resolve: deprecated; stands for *use_dns_cache*
    :raises TypeError: an argument is of a type that it cannot be
    :raises ValueError: more than one of *ssl* and its old names, or a bad value
    """

    allowed_protocol_schema_set: ClassVar[frozenset[str]] = (
        BaseConnector.allowed_protocol_schema_set | {"tcp"}
    )
    uses_proxies: ClassVar[bool] = True

    def __init__(
        self,
        *,
        ssl: SSLContext | bool | Fingerprint | None = True,
        verify_ssl: bool | None = None,
        ssl_context: SSLContext | None = None,
        fingerprint: bytes | None = None,
        resolve: bool | None = None,
        use_dns_cache: bool = True,
        ttl_dns_cache: float | None = 10,
        dns_cache_max_size: int = 1000,
        family: socket.AddressFamily = socket.AddressFamily.AF_UNSPEC,
        local_addr: tuple[str, int] | None = None,
        resolver: AbstractResolver | None = None,
        happy_eyeballs_delay: float | None = 0.25,
        interleave: int | None = None,
        socket_factory: SocketFactoryType | None = None,
        ssl_shutdown_timeout: float | None = None,
        keepalive_timeout: float | EllipsisType | None = ...,
        force_close: bool = False,
        limit: int | None = 100,
        limit_per_host: int | None = 0,
        conn_timeout: float | None = None,
        enable_cleanup_closed: bool = False,
        disable_cleanup_closed: bool = False,
        share_cookies: bool = False,
        loop: object = None,
        timeout_ceil_threshold: float = 5,
        http1: str = "auto",
    ) -> None:
        tls = fold_ssl(ssl, verify_ssl=verify_ssl, ssl_context=ssl_context, fingerprint=fingerprint)
        super().__init__(
            keepalive_timeout=keepalive_timeout,
            force_close=force_close,
            limit=limit,
            limit_per_host=limit_per_host,
            conn_timeout=conn_timeout,
            enable_cleanup_closed=enable_cleanup_closed,
            disable_cleanup_closed=disable_cleanup_closed,
            share_cookies=share_cookies,
            loop=loop,
            timeout_ceil_threshold=timeout_ceil_threshold,
            http1=http1,
        )
        warn_without_effect(ssl_shutdown_timeout=ssl_shutdown_timeout)
        if resolve is not None:
            warn_deprecated("resolve is deprecated: it is named use_dns_cache now")
            use_dns_cache = bool(resolve)
        check_seconds("ttl_dns_cache", ttl_dns_cache)
        check_count("dns_cache_max_size", dns_cache_max_size)
        check_count("family", family)
        check_local_addr(local_addr)
        if resolver is not None and not callable(getattr(resolver, "resolve", None)):
            raise TypeError(f"resolver must be a resolver, not {type(resolver).__name__}")
        check_seconds("happy_eyeballs_delay", happy_eyeballs_delay)
        if interleave is not None:
            check_count("interleave", interleave)
        if socket_factory is not None:
            check_callable("socket_factory", socket_factory)
        self._ssl = tls
        self._family = family
        self._owns_resolver = resolver is None
        self._resolver = DefaultResolver() if resolver is None else resolver
        self._use_dns_cache = use_dns_cache
        self._dns_cache = DnsCache(ttl_dns_cache, dns_cache_max_size)
        if interleave is None:
            interleave = 1 if happy_eyeballs_delay is not None else 0
        self._options = TcpOptions(local_addr, socket_factory, happy_eyeballs_delay, interleave)

    @property
    def family(self) -> socket.AddressFamily:
        """Family of addresses that are used, ``AF_UNSPEC`` for all."""
        return self._family

    @property
    def use_dns_cache(self) -> bool:
        """Whether answers of the resolver are kept."""
        return self._use_dns_cache

    @property
    def dns_cache(self) -> bool:
        """Other name of :attr:`use_dns_cache`."""
        return self._use_dns_cache

    @property
    def cached_hosts(self) -> dict[tuple[str, int], list[ResolveResult]]:
        """The stored answers of the resolver by (host, port)."""
        return self._dns_cache.answers

    def clear_dns_cache(self, host: str | None = None, port: int | None = None) -> None:
        """Forget the addresses of *host* and *port*, or all.

        :raises ValueError: only one of the two is given
        """
        if host is not None and port is not None:
            self._dns_cache.clear((host, port))
        elif host is not None or port is not None:
            raise ValueError("host and port must be given together, or neither of them")
        else:
            self._dns_cache.clear()

    @property
    def verify_ssl(self) -> bool:
        """Whether certificates are verified by whoever signed them; *ssl* says more."""
        if isinstance(self._ssl, SSLContext):
            return self._ssl.verify_mode is not CERT_NONE
        return self._ssl is True

    @property
    def ssl_context(self) -> SSLContext | None:
        """The TLS context given as *ssl*."""
        return self._ssl if isinstance(self._ssl, SSLContext) else None

    @property
    def fingerprint(self) -> bytes | None:
        """The digest of the :class:`Fingerprint` given as *ssl*."""
        return self._ssl.fingerprint if isinstance(self._ssl, Fingerprint) else None

    @property
    def resolve(self) -> bool:
        """Deprecated name of :attr:`use_dns_cache`."""
        warn_deprecated("resolve is deprecated: it is named use_dns_cache now")
        return self._use_dns_cache

    @property
    def resolved_hosts(self) -> dict[tuple[str, int], list[ResolveResult]]:
        """Other name of :attr:`cached_hosts`."""
        return self.cached_hosts

    def clear_resolved_hosts(self, host: str | None = None, port: int | None = None) -> None:
        """Do what :meth:`clear_dns_cache` does."""
        self.clear_dns_cache(host, port)

    async def _create_connection(
        self, req: ClientRequest, traces: Sequence[Trace], timeout: ClientTimeout
    ) -> NetworkStream:
        key = req.connection_key
        if key.proxy is not None:
            return await dial_through_proxy(req, self._way(key, traces))
        assert key.port is not None
        addresses = await self._resolve(key, key.host, key.port, traces)
        with dial_errors(key):
            stream = await dial_tcp(addresses, self._options)
        if not key.is_ssl:
            return stream
        effective = key if key.ssl is not True else key._replace(ssl=self._ssl)
        return await start_tls(stream, key.server_hostname or key.host, effective)

    def _way(self, key: ConnectionKey, traces: Sequence[Trace]) -> Way:
        """Return how the proxy of *key* is reached, and the origin behind it."""
        tls = proxy_tls = self._ssl if key.ssl is True else key.ssl
        if key.is_ssl and not isinstance(tls, (bool, SSLContext)):
            # A fingerprint is the origin's: the certificate of the proxy is verified as usual.
            proxy_tls = True if isinstance(self._ssl, Fingerprint) else self._ssl
        resolve = partial(self._resolve, traces=traces)
        return Way(resolve, self._options, tls, proxy_tls, self._engine_class)

    async def _resolve(
        self, key: ConnectionKey, host: str, port: int, traces: Sequence[Trace] = ()
    ) -> list[ResolveResult]:
        if traces and literal_address(host, port) is None:
            return await self._resolve_traced(key, host, port, traces)
        return await self._look_up(key, host, port, traces)

    async def _resolve_traced(
        self, key: ConnectionKey, host: str, port: int, traces: Sequence[Trace]
    ) -> list[ResolveResult]:
        # The handlers are called here and not by the lookup, which others may wait for too:
        # one that is slow or fails concerns this request alone.
        if self._use_dns_cache:
            if self._dns_cache.knows((host, port)):
                await tell(traces, TraceDnsCacheHitParams(host))
                return await self._look_up(key, host, port, traces)
            await tell(traces, TraceDnsCacheMissParams(host))
        await tell(traces, TraceDnsResolveHostStartParams(host))
        addresses = await self._look_up(key, host, port, traces)
        await tell(traces, TraceDnsResolveHostEndParams(host))
        return addresses

    async def _look_up(
        self, key: ConnectionKey, host: str, port: int, traces: Sequence[Trace]
    ) -> list[ResolveResult]:
        try:
            addresses = await self._resolve_host(host, port, traces)
            if not addresses:
                raise OSError(None, f"the resolver returned no address for {host}")
        except OSError as exc:
            raise ClientConnectorDNSError(key, exc) from exc
        return addresses

    async def _resolve_host(
        self, host: str, port: int, traces: Sequence[Trace] | None = None
    ) -> list[ResolveResult]:
        """Return the addresses of *host*, which may be one already.

        A subclass may override this to refuse some of them, as aiohttp's cookbook does.

        :param traces: for aiohttp's sake; their handlers are told by the caller
        :raises OSError: there is no such name, or the resolver failed
        """
        literal = literal_address(host, port)
        if literal is not None:
            return [literal]

        async def ask() -> list[ResolveResult]:
            return await self._resolver.resolve(host, port, family=self._family)

        if self._use_dns_cache:
            return await self._dns_cache.resolve((host, port), ask)
        return await ask()

    async def _close_resolver(self) -> None:
        if self._owns_resolver:
            await self._resolver.close()


class TCPConnectorOptions(TypedDict, total=False):
    """Options of :class:`TCPConnector`."""

    ssl: SSLContext | bool | Fingerprint | None
    verify_ssl: bool | None
    ssl_context: SSLContext | None
    fingerprint: bytes | None
    resolve: bool | None
    use_dns_cache: bool
    ttl_dns_cache: float | None
    dns_cache_max_size: int
    family: socket.AddressFamily
    local_addr: tuple[str, int] | None
    resolver: AbstractResolver | None
    happy_eyeballs_delay: float | None
    interleave: int | None
    socket_factory: SocketFactoryType | None
    ssl_shutdown_timeout: float | None
    keepalive_timeout: float | EllipsisType | None
    limit: int | None
    limit_per_host: int | None
    conn_timeout: float | None
    enable_cleanup_closed: bool
    disable_cleanup_closed: bool
    share_cookies: bool
    loop: object
    timeout_ceil_threshold: float
    http1: str


class ProxyConnector(TCPConnector):
    """A :class:`TCPConnector` whose requests go through *proxy* unless they name another.

    It is deprecated: give ``proxy`` to the session or to the request.

    :param proxy: URL of the proxy
    :param proxy_auth: credentials for it
    :param force_close: close every connection after its request
    :param options: those of :class:`TCPConnector`
    :raises InvalidURL: *proxy* is no URL of a proxy
    """

    def __init__(
        self,
        proxy: StrOrURL,
        *,
        proxy_auth: BasicAuth | None = None,
        force_close: bool = True,
        **options: Unpack[TCPConnectorOptions],
    ) -> None:
        warn_deprecated("ProxyConnector is deprecated: give proxy to ClientSession()")
        super().__init__(force_close=force_close, **options)
        self._proxy, auth = checked_proxy(proxy)
        self._proxy_auth = auth if proxy_auth is None else proxy_auth
        self.proxy_options: ProxyOptions | None = proxy_options(self._proxy, self._proxy_auth)

    @property
    def proxy(self) -> URL:
        """URL of the proxy, without credentials."""
        return self._proxy

    @property
    def proxy_auth(self) -> BasicAuth | None:
        """Credentials for the proxy."""
        return self._proxy_auth


class UnixConnector(BaseConnector):
    """Connects to a Unix socket; the host of a URL is only sent as ``Host``.

    :param path: of the socket; on Linux one that begins with NUL is a name without a file
        (an "abstract" one)
    :raises TypeError: an argument is of a type that it cannot be
    :raises ValueError: *path* is empty, or holds NUL elsewhere
    :raises RuntimeError: the operating system has no Unix sockets
    """

    allowed_protocol_schema_set: ClassVar[frozenset[str]] = (
        BaseConnector.allowed_protocol_schema_set | {"unix"}
    )

    def __init__(
        self,
        path: str | bytes | os.PathLike[str] | os.PathLike[bytes],
        force_close: bool = False,
        keepalive_timeout: float | EllipsisType | None = ...,
        limit: int | None = 100,
        limit_per_host: int | None = 0,
        loop: object = None,
        *,
        conn_timeout: float | None = None,
        share_cookies: bool = False,
        http1: str = "auto",
    ) -> None:
        if not hasattr(socket, "AF_UNIX"):
            raise RuntimeError("this operating system has no Unix sockets")
        super().__init__(
            force_close=force_close,
            keepalive_timeout=keepalive_timeout,
            limit=limit,
            limit_per_host=limit_per_host,
            conn_timeout=conn_timeout,
            share_cookies=share_cookies,
            loop=loop,
            http1=http1,
        )
        self._path = checked_path(path)

    @property
    def path(self) -> str:
        """Path of the socket; bytes that are no text are escaped as by :func:`os.fsdecode`."""
        return self._path

    async def _create_connection(
        self, req: ClientRequest, traces: Sequence[Trace], timeout: ClientTimeout
    ) -> NetworkStream:
        key = req.connection_key
        try:
            stream = await connect_unix(os.fsencode(self._path))
        except OSError as exc:
            raise UnixClientConnectorError(self._path, key, exc) from exc
        if not key.is_ssl:
            return stream
        return await start_tls(stream, key.server_hostname or key.host, key)


class NamedPipeConnector(BaseConnector):
    """Connects to a named pipe of Windows in aiohttp; here it only says that it cannot.

    :raises RuntimeError: always, as anyio has no transport for named pipes
    """

    def __init__(self, path: str, *args: object, **kwargs: object) -> None:
        raise RuntimeError("named pipes are not available: anyio has no transport for them")
