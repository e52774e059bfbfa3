"""The base of all connectors: lends idle or new connections, takes them back, closes them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import Parameter, signature
from types import EllipsisType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

import anyio
import anyio.lowlevel

from .._common import (
    AsyncWithOnly,
    Hooks,
    Http2Options,
    check_count,
    check_flag,
    check_seconds,
    warn_about_loop,
    warn_deprecated,
    warn_without_effect,
)
from .._http1 import Connection, Http1Connection, engine_class
from .._network import NetworkStream, dial_errors
from .._targets import ProxyOptions
from .._tasks import (
    CLEAN_UP_SECONDS,
    ClientTimeout,
    Expired,
    PendingWaits,
    current_loop,
    deadline_after,
)
from ..client_exceptions import ClientConnectorError, ConnectionTimeoutError
from ..tracing import (
    Trace,
    TraceConnectionCreateEndParams,
    TraceConnectionCreateStartParams,
    TraceConnectionQueuedEndParams,
    TraceConnectionQueuedStartParams,
    TraceConnectionReuseconnParams,
    TraceParams,
    tell,
)
from ._dial import ConnectLimit
from ._foreign import foreign_stream, made_by_program, timed_out
from ._hooks import BASE_UNUSED
from ._http2_mode import Http2Mode, speaks_http2
from ._making_pools import make_pool, pool_key
from ._package_names import PackageNames
from ._slots import Slot
from ._sweeping import Sweeper
from ._terms import LendingTerms

if TYPE_CHECKING:
    from types import TracebackType

    from anyio.abc import ByteStream

    from .._http2 import Http2Connection
    from ..client_reqrep import ClientRequest

__all__ = ("BaseConnector", "ConnectorStatistics")

#: Schemes of URLs that every connector accepts.
HTTP_SCHEMES: Final = frozenset({"", "http", "https"})
_NO_TIMEOUT: Final = ClientTimeout()


@dataclass(frozen=True, slots=True)
class ConnectorStatistics:
    """What a connector holds at one moment.

    :param in_use: number of connections that requests use, or that are being made
    :param idle: number of connections that are kept for later requests
    :param waiting: number of requests that wait for a connection, or until they may make one
    :param streams: number of requests that HTTP/2 connections carry at this moment
    """

    in_use: int
    idle: int
    waiting: int
    streams: int = 0


class BaseConnector(PackageNames, AsyncWithOnly):
    """Base class of connectors: makes connections within limits, keeps idle ones, closes them.

    A subclass makes the streams in :meth:`_create_connection`.  If it needs something that runs
    beside them, it starts that in :meth:`_start_up`, and ends it in :meth:`close`.

    :param keepalive_timeout: how long an idle connection is kept, in seconds: 15 by default.
        ``None`` keeps it for ever, and 0 not at all
    :param force_close: close every connection after its request; off by default
    :param limit: largest number of open connections, idle ones included: 100 by default.  0 or
        ``None`` sets no limit
    :param limit_per_host: largest number of connections in use to one endpoint, which is a host,
        a port, and whether TLS is used.  0, the default, or ``None`` sets no limit
    :param conn_timeout: deprecated; use ``ClientTimeout(sock_connect=...)``
    :param enable_cleanup_closed: no effect; accepted for compatibility with aiohttp
    :param disable_cleanup_closed: the same
    :param share_cookies: the same
    :param loop: the same
    :param timeout_ceil_threshold: the same
    :param http1: what reads HTTP/1.1 responses: ``"auto"``, anyhttp's own reader, or ``"h11"``,
        a slower one that gives the same results
    :raises ValueError: a value is not allowed, or *force_close* is given together with a
        *keepalive_timeout*
    """

    allowed_protocol_schema_set: ClassVar[frozenset[str]] = HTTP_SCHEMES | {"ws", "wss"}

    #: whether it can make a connection through a proxy
    _uses_proxies: ClassVar[bool] = False

    #: whether its connections are replaced where the network is
    _uses_network: ClassVar[bool] = False

    #: whether :meth:`close`, if a subclass overrides it, sets itself a time limit; it must then end
    #: soon when it is cancelled, with nothing left open
    _limits_closing: ClassVar[bool] = False

    #: whether it speaks HTTP/2, and where
    _http2: Http2Mode = Http2Mode.OFF
    _http2_options: Http2Options | None = None

    #: the proxy of requests that name none
    _proxy_options: ProxyOptions | None = None

    #: how many of its arguments a subclass's :meth:`_create_connection` takes
    _create_arguments: ClassVar[int] = 3

    #: whether a subclass overrides :meth:`_start_up`
    _has_start_up: ClassVar[bool] = False
    _is_started = False
    _starting: anyio.Lock | None = None  # made when it is needed

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _HOOKS.check_subclass(cls)
        cls._has_start_up = cls._start_up is not BaseConnector._start_up
        cls._create_arguments = _positional_arguments(cls._create_connection)

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
        check_flag("force_close", force_close)
        if force_close and keepalive_timeout is not ... and keepalive_timeout:
            raise ValueError("keepalive_timeout cannot be set if force_close is True")
        if keepalive_timeout is ...:
            keepalive_timeout = 15.0
        check_seconds("keepalive_timeout", keepalive_timeout)
        if loop is not None:
            warn_about_loop(loop)
        if not (enable_cleanup_closed is disable_cleanup_closed is share_cookies is False):
            _check_without_effect(
                enable_cleanup_closed=enable_cleanup_closed,
                disable_cleanup_closed=disable_cleanup_closed,
                share_cookies=share_cookies,
            )
        if conn_timeout is not None:
            check_seconds("conn_timeout", conn_timeout)
            warn_deprecated("conn_timeout is deprecated: ClientTimeout(sock_connect=...) does it")
        self._conn_timeout = conn_timeout
        check_count("limit", limit, optional=True)
        check_count("limit_per_host", limit_per_host, optional=True)
        self._engine_class = engine_class(http1)
        seconds = math.inf if keepalive_timeout is None else keepalive_timeout
        self._pool = make_pool(
            self._http2,
            limit or 0,
            limit_per_host or 0,
            0 if force_close else seconds,
            uses_network=self._uses_network,
        )
        self._chosen_keepalive = seconds
        self._closes_all = force_close
        self._sweeper = Sweeper(self._pool)
        self._dialing = PendingWaits()

    def __del__(self) -> None:
        pool = getattr(self, "_pool", None)  # missing if the constructor has raised
        if pool is None or pool.closed:
            return
        if not pool.is_empty:
            warnings.warn(
                f"Unclosed connector {self!r}", ResourceWarning, stacklevel=2, source=self
            )
        pool.close_idle()  # an event loop of asyncio would keep their sockets open

    async def __aenter__(self) -> Self:
        if self._has_start_up:
            try:
                await self._start_once()
            except BaseException as exc:
                if not isinstance(exc, GeneratorExit):  # then the coroutine is being closed
                    await self.close()
                raise
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
        return self._pool.closed

    @property
    def force_close(self) -> bool:
        """Whether every connection is closed after its request."""
        return self._closes_all

    @property
    def limit(self) -> int:
        """How many connections may be open in all; 0 for no limit."""
        return self._pool.limit

    @property
    def limit_per_host(self) -> int:
        """How many connections to one endpoint may be in use; 0 for no limit."""
        return self._pool.limit_per_host

    def statistics(self) -> ConnectorStatistics:
        """Return how many connections are in use and idle, and how many requests wait."""
        pool = self._pool
        waiting = pool.slots.waiting
        return ConnectorStatistics(pool.in_use, len(pool.idle), waiting, pool.streams)

    # -- what runs beside the connections

    async def _start_up(self) -> None:
        """Start what the connector needs; does nothing unless a subclass overrides it.

        It is awaited once: when a session with the connector is entered, when the connector is
        entered itself, or else for the first connection, within the time limits of that request.
        Others wait meanwhile.  An exception comes out of the ``async with``, which closes the
        session or the connector, or out of the request.  If it was raised, or the caller was
        cancelled, nothing may be left running: the next connection calls it again.

        A subclass ends what it has started in :meth:`close`, in a ``finally`` after ``await
        super().close()``.  That cancels a call that has not returned, and waits for its end.
        """

    async def _start_once(self) -> None:
        """Await :meth:`_start_up`, unless it has succeeded before.

        :raises ClientConnectionError: the connector is closed
        """
        self._pool.check_open()
        if self._is_started:
            return  # the lock belongs to the event loop that it was made in
        if self._starting is None:
            self._starting = anyio.Lock(fast_acquire=True)
        async with self._starting:
            self._pool.check_open()
            if self._is_started:
                return
            with anyio.CancelScope() as scope:
                self._dialing.add(scope)
                try:
                    await self._start_up()
                    self._is_started = True
                finally:
                    self._dialing.discard(scope)
            self._pool.check_open()

    # -- lending

    async def connect(
        self,
        req: ClientRequest,
        traces: Sequence[Trace] = (),
        timeout: ClientTimeout = _NO_TIMEOUT,
    ) -> Connection:
        """Return a connection for *req*: an idle one, or a new one when a slot is free.

        :param traces: their handlers are awaited; an exception that one raises is raised here
        :raises ClientConnectionError: the connector is closed
        :raises ClientConnectorError: no connection could be made
        :raises ConnectionTimeoutError: ``timeout.connect`` or ``timeout.sock_connect`` ran out

        Waiting is first come, first served.  After cancellation no slot is taken and no
        socket is open.
        """
        pool = self._pool
        key = pool_key(pool, req)
        with anyio.CancelScope(deadline=deadline_after(timeout.connect)):
            connection = pool.take_idle(key)
            if connection is None:
                slot = pool.reserve(key, req.refusals)
                terms = LendingTerms(traces=traces, timeout=timeout)
                return await self._open(req, slot, terms)
            await self._tell_of(connection, traces, TraceConnectionReuseconnParams())
            try:
                await anyio.lowlevel.checkpoint()
                pool.check_open()
            except BaseException:
                connection.release()
                raise
            return connection
        raise timed_out(req)

    async def _open(self, req: ClientRequest, slot: Slot, terms: LendingTerms) -> Connection:
        """Return a connection that takes *slot*; wait for the slot first if it is not held.

        A connection in use may have room later for a request that has failed to open another one.
        """
        try:
            return await self._open_once(req, slot, terms)
        except (ClientConnectorError, ConnectionTimeoutError):
            again = self._pool.reserve_again(slot)
            if again is None:
                raise
        return await terms.within(self._go_on_waiting(req, again, terms))

    async def _go_on_waiting(
        self, req: ClientRequest, slot: Slot, terms: LendingTerms
    ) -> Connection:
        while True:
            try:
                return await self._open_once(req, slot, terms)
            except (ClientConnectorError, ConnectionTimeoutError):
                again = self._pool.reserve_again(slot)
                if again is None:
                    raise
                slot = again

    async def _open_once(self, req: ClientRequest, slot: Slot, terms: LendingTerms) -> Connection:
        pool, traces = self._pool, terms.traces
        try:
            if not slot.is_held:
                await self._queue(slot, traces)
                connection = pool.take_idle(slot.key, slot)
                if connection is not None:
                    await self._tell_of(connection, traces, TraceConnectionReuseconnParams())
                    return connection
            return await self._dial(req, slot, terms)
        except BaseException as exc:
            pool.release_slot(slot, failed=isinstance(exc, Exception))
            raise

    async def _queue(self, slot: Slot, traces: Sequence[Trace]) -> None:
        """Wait until *slot* is held."""
        if traces:
            with self._pool.slots.about_to_wait():
                await tell(traces, TraceConnectionQueuedStartParams())
        held = await self._pool.wait(slot)
        assert held  # only close() ends this wait early, and then wait() raises
        if traces:
            await tell(traces, TraceConnectionQueuedEndParams())

    async def _dial(self, req: ClientRequest, slot: Slot, terms: LendingTerms) -> Connection:
        """Return a new connection that takes *slot*.

        One that needs no waiting needs no scope.  Else one scope ends it for all reasons there are,
        as each scope costs asyncio some per cent of the whole: the time limits, and the end of the
        connector and of the session.
        """
        pool, traces, timeout, waits = self._pool, terms.traces, terms.timeout, terms.waits
        pool.check_open()
        terms.check_open()
        self._sweeper.start()
        if not (traces or self._has_start_up) and pool.has_room:
            at_once = self._stream_at_once(req, timeout)
            if at_once is not None:
                return pool.lend(Http1Connection(at_once, self._engine_class), slot)
        seconds = _shorter(timeout.sock_connect, self._conn_timeout)
        limit = ConnectLimit(seconds, terms.total_at)
        with limit.scope as scope:
            loop = current_loop()
            self._dialing.add(scope, loop)
            if waits is not None:
                waits.add(scope, loop)
            try:
                if self._has_start_up:
                    await self._start_once()
                await pool.make_room()
                if traces:
                    await tell(traces, TraceConnectionCreateStartParams())
                stream = await self._make_stream(req, traces, timeout, limit)
                connection = pool.lend(self._protocol_on(stream, req), slot)
                await self._tell_of(connection, traces, TraceConnectionCreateEndParams())
                return connection
            except Expired:
                raise terms.ended() or timed_out(req) from None
            finally:
                self._dialing.discard(scope)
                if waits is not None:
                    waits.discard(scope)
        if not terms.session_is_closed:
            pool.check_open()  # close() cancels the scope too, and then this raises
        raise terms.ended() or timed_out(req)

    def _protocol_on(
        self, stream: NetworkStream, req: ClientRequest
    ) -> Http1Connection | Http2Connection:
        """Return what speaks the protocol of *stream*, a new one to the endpoint of *req*."""
        if speaks_http2(self._http2, req, stream):
            from .._http2 import Http2Connection  # few connectors need it

            options = self._http2_options or Http2Options()
            return Http2Connection(stream, options, "https" if req.is_ssl() else "http")
        return Http1Connection(stream, self._engine_class)

    def _stream_at_once(self, req: ClientRequest, timeout: ClientTimeout) -> NetworkStream | None:
        """Return a stream to the endpoint of *req* if that needs no waiting.

        ``None``: :meth:`_make_stream` makes it; then nothing has been changed by this call.
        """
        return None

    async def _make_stream(
        self,
        req: ClientRequest,
        traces: Sequence[Trace],
        timeout: ClientTimeout,
        limit: ConnectLimit,
    ) -> NetworkStream:
        """Return what :meth:`_create_connection` returns, in the scope of *limit*.

        :raises ClientConnectorError: it raises an error of the operating system or of TLS
        :raises Expired: the limit has run out for every address
        """
        arguments: tuple[Any, ...] = (req, traces, timeout)
        work = self._create_connection(*arguments[: self._create_arguments])
        with dial_errors(req.connection_key):
            made = await made_by_program(req, work)
        return foreign_stream(made, "_create_connection()")

    async def _create_connection(
        self, req: ClientRequest, traces: Sequence[Trace], timeout: ClientTimeout
    ) -> NetworkStream | ByteStream:
        """Return a stream to the endpoint of *req*, TLS included.

        It is an anyio ``ByteStream``, which may have what a :class:`.ConnectorStream` has.  The
        call is cancelled at the end of the time to connect.  A subclass's method may also take
        *req* alone, as in the first versions of aiohttp.

        :raises OSError: it cannot be reached; the request raises :exc:`ClientConnectorError`, the
            :exc:`ClientConnectorDNSError` for a :exc:`socket.gaierror`, and one of the
            :exc:`ClientSSLError` for an :exc:`ssl.SSLError`
        :raises TimeoutError: it took too long; the request raises :exc:`ConnectionTimeoutError`

        Any other exception comes out of the request as it is; so does one that the stream raises.
        """
        raise NotImplementedError

    async def _tell_of(
        self, connection: Connection, traces: Sequence[Trace], params: TraceParams
    ) -> None:
        """Tell *traces* of *connection*.

        If a handler fails or the connector is closed, the connection is given back and the error
        is raised.
        """
        try:
            self._pool.check_open()
            if traces:
                await tell(traces, params)
                self._pool.check_open()
        except BaseException:
            connection.release()
            raise

    async def close(self, *, abort_ssl: bool = False) -> None:
        """Close all connections, also those in use; further calls do nothing.

        :param abort_ssl: no effect; accepted for compatibility with aiohttp

        After this call, also if it is cancelled, no socket is open.
        """
        self._pool.close()
        self._dialing.cancel()
        try:
            await anyio.lowlevel.checkpoint()  # meanwhile asyncio closes aborted sockets
        except GeneratorExit:
            raise  # the coroutine is being closed, so it cannot await
        except BaseException:
            await self._finish_closing()
            raise
        await self._finish_closing()

    async def _finish_closing(self) -> None:
        """Wait for the ends of what :meth:`close` has cancelled and aborted, if it takes time."""
        if self._dialing.cancel():
            with anyio.move_on_after(CLEAN_UP_SECONDS, shield=True):
                await self._dialing.cancel_all()
        if self._pool.is_closing:
            with anyio.move_on_after(CLEAN_UP_SECONDS, shield=True):
                await self._pool.finish_closing()


_HOOKS: Final = Hooks(BaseConnector, refused={}, unused=BASE_UNUSED)


def _check_without_effect(**flags: bool) -> None:
    for name, flag in flags.items():
        check_flag(name, flag)
    warn_without_effect(**flags)


def _positional_arguments(method: Callable[..., object]) -> int:
    """Return how many of three arguments *method*, a function of a class, takes besides self."""
    parameters = signature(method).parameters.values()
    if any(each.kind is Parameter.VAR_POSITIONAL for each in parameters):
        return 3
    kinds = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    return min(3, sum(each.kind in kinds for each in parameters) - 1)


def _shorter(first: float | None, second: float | None) -> float | None:
    """Return the shorter of two time limits; ``None`` and 0 stand for no limit."""
    return min((limit for limit in (first, second) if limit), default=None)
