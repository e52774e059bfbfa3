"""What every connector does: limits, the pool of idle connections, lending and closing."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from types import EllipsisType
from typing import TYPE_CHECKING, ClassVar, Final, Self

import anyio
import anyio.lowlevel
from anyio.abc import ByteStream

from .._common import (
    ConnectionKey,
    EventLoop,
    check_count,
    check_seconds,
    running_loop,
    warn_about_loop,
    warn_deprecated,
    warn_without_effect,
)
from .._http1 import (
    Http1Connection,
    Phase,
    engine_class,
)
from .._network import NetworkStream
from .._targets import ProxyOptions
from .._tasks import (
    CLEAN_UP_SECONDS,
    ClientTimeout,
    deadline_after,
)
from ..client_exceptions import (
    ClientConnectionError,
    ConnectionTimeoutError,
)
from ..tracing import (
    Trace,
    TraceConnectionCreateEndParams,
    TraceConnectionCreateStartParams,
    TraceConnectionQueuedEndParams,
    TraceConnectionQueuedStartParams,
    TraceConnectionReuseconnParams,
    tell,
)
from ._pool import Pool
from ._slots import (
    Slot,
    Slots,
)

if TYPE_CHECKING:
    from types import TracebackType

    from .._tasks import TaskOwner
    from ..client_reqrep import ClientRequest

__all__ = ("BaseConnector", "Connection", "ConnectorStatistics")

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
        self._slot: Slot | None = None
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
    def waits(self) -> bool:
        """Whether the limits do not allow it a socket yet."""
        return self._slot is None or not self._slot.is_held

    @property
    def slot(self) -> Slot:
        """Its place under the limits, or the one that it waits for."""
        assert self._slot is not None
        return self._slot

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
    _uses_proxies: ClassVar[bool] = False

    #: the proxy of requests that name none
    _proxy_options: ProxyOptions | None = None

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
        check_count("limit", limit, optional=True)
        check_count("limit_per_host", limit_per_host, optional=True)
        self._limit = limit or 0
        self._limit_per_host = limit_per_host or 0
        self._engine_class = engine_class(http1)
        self._pool: Pool[Http1Connection] = Pool(self._keepalive_timeout)
        self._slots = Slots(self._limit, self._limit_per_host, self._evict)
        self._lent: set[Connection] = set()
        # A slot stays with a socket that becomes idle, unless somebody waits for one: then a
        # request that finds an idle connection has nothing to ask of the limits.
        self._idle_slots: dict[Http1Connection, Slot] = {}
        # Aborted, but the event loop may not have closed the sockets yet; in order.
        self._closing: dict[NetworkStream, None] = {}
        # Connections that are being made: close() cancels them and waits for the last.
        self._dialing: set[anyio.CancelScope] = set()
        self._dial_waiters: list[anyio.Event] = []
        # Who runs sweep() as soon as there may be an idle connection.
        self._sweepers: list[TaskOwner] = []
        self._closed = False

    def _forget_warning(self) -> None:
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
        return ConnectorStatistics(len(self._lent), len(self._pool), self._slots.waiting)

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
        return await self._finish(self._begin(req), req, traces, timeout)

    def _take_idle_nowait(self, req: ClientRequest) -> Connection | None:
        connection = Connection(self, req.connection_key)
        return connection if self._take_idle(connection) else None

    def _begin(self, req: ClientRequest) -> Connection:
        """Return a connection that is open, or has a slot, or has to wait for one."""
        connection = Connection(self, req.connection_key)
        if not self._take_idle(connection):
            self._take_slot(connection)
        return connection

    async def _wait(self, connection: Connection) -> bool:
        """Wait until *connection* has a slot; it is open then if an idle one was left.

        :returns: ``False`` if the wait was ended before that
        :raises ClientConnectionError: the connector is closed

        Else, and after cancellation, no slot is taken.
        """
        held = await self._wait_for_slot(connection)
        if held:
            self._take_idle(connection)
        return held

    async def _wait_for_slot(self, connection: Connection) -> bool:
        slot = connection.slot
        held = await self._slots.wait(slot)
        if self._closed:
            self._slots.free(slot)
            raise ClientConnectionError("Connector is closed.")
        if held:
            self._lent.add(connection)
        return held

    async def _finish(
        self,
        connection: Connection,
        req: ClientRequest,
        traces: Sequence[Trace],
        timeout: ClientTimeout,
    ) -> Connection:
        """Do what is left of :meth:`connect`, which raises the same."""
        try:
            if not timeout.connect:
                return await self._open(connection, req, traces, timeout)
            with anyio.CancelScope(deadline=deadline_after(timeout.connect)):
                return await self._open(connection, req, traces, timeout)
        except BaseException:
            self._give_up(connection)
            raise
        self._give_up(connection)
        raise ConnectionTimeoutError(f"Connection timeout to host {req.shown_url}")

    async def _open(
        self,
        connection: Connection,
        req: ClientRequest,
        traces: Sequence[Trace],
        timeout: ClientTimeout,
    ) -> Connection:
        waits = connection.waits
        if waits:
            if traces:
                # As of now, so that no idle connection keeps a slot that this one will need.
                self._slots.waiting += 1
                try:
                    await tell(traces, TraceConnectionQueuedStartParams())
                finally:
                    self._slots.waiting -= 1
            await self._wait_for_slot(connection)
            if traces:
                await tell(traces, TraceConnectionQueuedEndParams())
            self._take_idle(connection)  # after the handlers, which may take their time
        if connection._http1 is not None:
            if traces:
                await tell(traces, TraceConnectionReuseconnParams())
            if not waits:
                await anyio.lowlevel.checkpoint()
            self._check_open()
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
        self._check_open()
        raise ConnectionTimeoutError(f"Connection timeout to host {req.shown_url}")

    @contextmanager
    def _until_closed(self, seconds: float | None) -> Iterator[None]:
        """Cancel the block, which makes a connection, after *seconds* and by :meth:`close`."""
        self._check_open()
        with anyio.CancelScope(deadline=deadline_after(seconds)) as scope:
            if self._sweepers:
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

    def _take_slot(self, connection: Connection) -> bool:
        """Give *connection* a slot if one is free; else one that it has to wait for."""
        if connection._slot is None:
            connection._slot = Slot(connection._key)
        if self._slots.take(connection._slot):
            self._lent.add(connection)
            return True
        return False

    def _evict(self) -> bool:
        """Close the least recently used idle connection that has a slot, if there is one."""
        while self._idle_slots:
            oldest = self._pool.evict()
            assert oldest is not None
            had_slot = oldest in self._idle_slots
            self._discard(oldest)
            if had_slot:
                return True
        return False

    def _check_open(self) -> None:
        if self._closed:
            raise ClientConnectionError("Connector is closed.")

    def _take_idle(self, connection: Connection) -> bool:
        """Give *connection* the freshest idle socket that is still good, and a slot."""
        self._check_open()
        pool = self._pool
        now = monotonic()
        if now >= pool.due:
            for expired in pool.expire(now):
                self._discard(expired)
        while (http1 := pool.take(connection._key)) is not None:
            if not http1.is_usable:
                self._discard(http1)
                continue
            kept = self._idle_slots.pop(http1, None)
            if kept is not None:
                if connection._slot is not None:
                    self._slots.free(connection._slot)
                connection._slot = kept
                self._lent.add(connection)
            elif connection.waits and not self._take_slot(connection):
                # It was given back while somebody waited for its slot.
                pool.put(connection._key, http1, now)
                return False
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
        await self._finish_closing()

    # -- taking back

    def _take_back(self, connection: Connection, http1: Http1Connection) -> None:
        if http1.phase is _IDLE and self._keepalive_timeout > 0 and not self._closed:
            self._pool.put(connection._key, http1, monotonic())
            if not self._slots.waiting and connection._slot is not None:
                self._idle_slots[http1] = connection._slot
                connection._slot = None
                self._lent.discard(connection)
                return
        else:
            self._discard(http1)
        self._forget(connection)

    def _discard(self, http1: Http1Connection) -> None:
        http1.abort()
        self._closing[http1.stream] = None
        slot = self._idle_slots.pop(http1, None)
        if slot is not None:
            self._slots.free(slot)

    def _forget(self, connection: Connection) -> None:
        """Give the slot back."""
        slot, connection._slot = connection._slot, None
        if slot is not None:
            self._lent.discard(connection)
            self._slots.free(slot)

    def _give_up(self, connection: Connection) -> None:
        """Give back what *connection* has got by the time that asking for it is cut short."""
        connection.release()
        self._forget(connection)

    async def _finish_closing(self) -> None:
        """Await the end of sockets that were closed by plain calls."""
        while self._closing:
            # It stays listed meanwhile: whoever else comes must wait for it as well.
            stream = next(iter(self._closing))
            await stream.aclose()
            self._closing.pop(stream, None)

    async def _sweep(self) -> None:
        """Close idle connections as they expire, until cancelled."""
        while 0 < self._keepalive_timeout < math.inf:
            now = monotonic()
            for expired in self._pool.expire(now):
                self._discard(expired)
            await self._finish_closing()
            upcoming = self._pool.next_expiry()
            await anyio.sleep(self._keepalive_timeout if upcoming is None else upcoming - now)

    def _sweep_in(self, owner: TaskOwner) -> None:
        """Have *owner* run :meth:`_sweep` from when there is, or soon may be, a connection."""
        self._sweepers.append(owner)
        if self._lent or len(self._pool):
            self._start_sweepers()

    def _sweep_no_more_in(self, owner: TaskOwner) -> None:
        """Have *owner* start nothing any more."""
        if owner in self._sweepers:
            self._sweepers.remove(owner)

    def _start_sweepers(self) -> None:
        for owner in self._sweepers:
            owner.start(self._sweep)
        self._sweepers.clear()

    async def close(self, *, abort_ssl: bool = False) -> None:
        """Close all connections, those in use included; repeated calls do nothing.

        :param abort_ssl: accepted for aiohttp's sake: TLS is never closed by a handshake

        When it returns, or is cancelled, no socket is open.
        """
        self._closed = True
        self._slots.end_waiting()
        for connection in list(self._lent):
            connection.close()
        for http1 in self._pool.clear():
            self._discard(http1)
        for scope in self._dialing:
            scope.cancel()
        with anyio.move_on_after(CLEAN_UP_SECONDS, shield=True):
            while self._dialing:
                waiter = anyio.Event()
                self._dial_waiters.append(waiter)
                await waiter.wait()
        with anyio.move_on_after(CLEAN_UP_SECONDS, shield=True):
            await self._finish_closing()
            await self._close_resolver()
        await anyio.lowlevel.checkpoint()

    async def _close_resolver(self) -> None:
        """Close a resolver that the connector made for itself."""
        return


def _shorter(first: float | None, second: float | None) -> float | None:
    """Return the shorter of two time limits, of which ``None`` and 0 are none."""
    return min((limit for limit in (first, second) if limit), default=None)
