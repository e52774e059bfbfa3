"""The transport of httpx and httpx2; :mod:`anyhttp.httpx` and :mod:`anyhttp.httpx2` finish it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ssl import SSLContext
from typing import Any, ClassVar, Final, Generic, Self, TypeVar, cast

import anyio

from .._common import check_count, shown_class
from .._http1 import Exchange, Limits as HeadLimits
from .._network import NetworkStream, SocketOption
from .._tasks import ClientTimeout, deadline_after
from ..client_exceptions import (
    ClientConnectorError,
    ClientProxyConnectionError,
    ConnectionTimeoutError,
)
from ..connector import (
    Connection,
    TransportConnector,
    TransportOptions,
    TransportTCPConnector,
    TransportUnixConnector,
    http2_mode,
    is_network_replaced,
    require_socks,
)
from ..streams import StreamReader
from .errors import CONNECT_ERRORS, connect_error
from .exchanging import Exchanging
from .library import (
    CertificateOption,
    Library,
    Limits,
    Proxy,
    ProxyOption,
    Request,
    VerifyOption,
)
from .outgoing import CannotBeSent, Outgoing, outgoing_request
from .routes import SCHEMES, Route, Routes, proxy_route
from .tracing import ConnectionTrace, Step, TraceCallback

__all__ = ("ResponseBody", "Transport")

RequestT = TypeVar("RequestT", bound=Request)
ResponseT = TypeVar("ResponseT")
Number = TypeVar("Number", int, float)

#: As much as h11 reads of a head, in bytes; the number of fields has no limit there.
_HEAD_LIMITS: Final = HeadLimits(100 * 1024, 100 * 1024, 4096)

#: Seconds before the second retry; each later one waits twice as long as the one before it.
_BACKOFF: Final = 0.5

#: A time limit that is over at once: the package takes 0 for no limit.
_AT_ONCE: Final = 1e-9


class ResponseBody:
    """The body of a response; the base of a class that is also the library's stream.

    It is its own iterator and no generator: one that is not run to its end would have to be
    closed, and httpx does not close it.
    """

    def __init__(self, exchanging: Exchanging, content: StreamReader | bytes) -> None:
        self._exchanging = exchanging
        self._content = content

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        content = self._content
        if isinstance(content, bytes):
            self._content = b""
        piece = await self._exchanging.next_piece(content)
        if not piece:
            raise StopAsyncIteration
        return piece

    async def aclose(self) -> None:
        """Give the connection back, or close it if the response has not been received."""
        await self._exchanging.aclose()


class Transport(Generic[RequestT, ResponseT]):
    """All of a transport but its base class; see :class:`anyhttp.httpx.AnyhttpTransport`."""

    _library: ClassVar[Library]

    def __init__(
        self,
        *,
        verify: VerifyOption = True,
        cert: CertificateOption | None = None,
        trust_env: bool = True,
        http1: bool = True,
        http2: bool = False,
        limits: Limits | None = None,
        proxy: ProxyOption | None = None,
        uds: str | None = None,
        local_address: str | None = None,
        retries: int = 0,
        socket_options: Iterable[SocketOption] | None = None,
    ) -> None:
        if not (http1 or http2):
            raise ValueError("http1=False, http2=False: one of them has to be true")
        if proxy is not None and uds is not None:
            raise ValueError("uds cannot be combined with proxy")
        check_count("retries", retries)
        library = self._library
        chosen = library.default_limits() if limits is None else limits
        if chosen.max_connections == 0:
            raise ValueError("limits: max_connections=0 allows no request; None is for no limit")
        tls = library.tls_context(verify=verify, cert=cert, trust_env=trust_env)
        given = None if proxy is None else library.proxy(proxy)
        self._routes: Routes = Routes(tls, None if given is None else proxy_route(given))
        if http2:
            _require_http2()
        options = TransportOptions(
            limit=chosen.max_connections,
            max_idle=_not_negative(chosen.max_keepalive_connections),
            keepalive_timeout=_not_negative(chosen.keepalive_expiry),
            proxy_tls=None if given is None else _proxy_tls(library, given),
            local_addr=None if local_address is None else (local_address, 0),
            socket_options=tuple(socket_options or ()),
            http2=http2 if http1 else "prior-knowledge",
        )
        self._speaks_http2: bool = http2
        self._retries: int = retries
        # What the events of "trace" show.
        self._shown: dict[str, Any] = {
            "local_address": local_address,
            "socket_options": socket_options,
        }
        self._uds: str | None = uds
        self._connector: TransportConnector = (
            TransportTCPConnector(options) if uds is None else TransportUnixConnector(uds, options)
        )

    async def handle_async_request(self, request: RequestT) -> ResponseT:
        """Send *request*, and return the response when its head has arrived.

        The response holds a connection until its body has been read or closed.  After a
        cancellation, and after every exception, nothing is held.

        :raises PoolTimeout: no connection became free in time
        :raises ConnectTimeout: no connection could be made in time
        :raises ConnectError: no connection could be made
        :raises ProxyError: the proxy refuses
        :raises WriteTimeout: the peer took no byte of the request for too long
        :raises ReadTimeout: no byte of the response came for too long
        :raises ReadError: the connection broke
        :raises RemoteProtocolError: the peer left, or its response breaks the rules of HTTP
        :raises LocalProtocolError: the request cannot be sent, or its body has another length
            than its headers say
        :raises UnsupportedProtocol: the scheme of the URL is not http or https
        """
        library = self._library
        extensions = request.extensions
        try:
            route = self._route_of(request)
            outgoing = self._outgoing_of(request, route)
            if self._speaks_http2 and (outgoing.needs_http1 or route.request.is_handshake):
                route = self._routes.by_http1(route)
        except CannotBeSent as exc:
            raise library.error("LocalProtocolError", str(exc)) from exc
        timeouts = _timeouts(extensions)
        callback: TraceCallback | None = extensions.get("trace")
        try:
            connection = self._connector.take_idle(route.key)
            if connection is None:
                if is_network_replaced():
                    route = self._routes.for_one(route, outgoing, request.headers.raw)
                connection = await self._connect(route, timeouts, callback)
        except CONNECT_ERRORS as exc:
            if self._connector.closed:
                raise library.error("ConnectError", "the transport has been closed") from exc
            raise connect_error(library, exc) from exc
        write = timeouts.write
        exchange = Exchange(
            connection, outgoing, _HEAD_LIMITS, deadline_after(write), timeouts.read
        )
        exchange.on_end = self._connector.trim_idle
        exchanging = Exchanging(
            library,
            self._connector,
            connection,
            exchange,
            write,
            None if callback is None else (callback, request),
        )
        response: ResponseT = await exchanging.respond(outgoing)
        return response

    async def aclose(self) -> None:
        """Close all connections; when this returns, or is cancelled, no socket is open."""
        await self._connector.close()

    # -- the request

    def _route_of(self, request: Request) -> Route:
        """Return the route of *request*.

        :raises CannotBeSent: its URL has no host that a connection can be made to
        """
        url = request.url
        scheme = url.scheme
        if scheme not in SCHEMES:
            raise self._library.error(
                "UnsupportedProtocol",
                f"Request URL has an unsupported protocol '{scheme}://'."
                if scheme
                else "Request URL is missing an 'http://' or 'https://' protocol.",
            )
        name = request.extensions.get("sni_hostname")
        try:
            return self._routes.find(scheme, url.raw_host, url.port, name)
        except ValueError as exc:
            raise CannotBeSent(str(exc)) from exc

    def _outgoing_of(self, request: Request, route: Route) -> Outgoing:
        library = self._library
        stream: Any = request.stream
        if not isinstance(stream, library.package.AsyncByteStream):
            raise RuntimeError(
                f"the body of the request is {shown_class(type(stream))}, which is not an"
                f" {library.package.__name__}.AsyncByteStream: an AsyncClient of"
                f" {library.package.__name__} makes one"
            )
        target = request.extensions.get("target")
        if target is None:
            target = request.url.raw_path
        fields: Sequence[tuple[bytes, bytes]] = request.headers.raw
        proxy = self._routes.proxy
        if route.prefix is not None and proxy is not None:
            if target.startswith(b"/"):
                target = route.prefix + target
            own = {name.lower() for name, _ in fields}
            others = [field for field in proxy.fields if field[0].lower() not in own]
            fields = [*others, *fields]
        data = library.body_in_memory(stream)
        return outgoing_request(request.method, target, fields, stream, data)

    # -- the connection

    async def _connect(
        self, route: Route, timeouts: _Timeouts, callback: TraceCallback | None
    ) -> Connection:
        """Wait for a connection, or make one; try again as often as ``retries`` says."""
        delay, left = 0.0, self._retries
        while True:
            trace = None if callback is None else self._trace(route, timeouts, callback)
            try:
                return await self._lend(route, timeouts, trace)
            except (ClientConnectorError, ConnectionTimeoutError) as exc:
                if left <= 0 or (isinstance(exc, ClientProxyConnectionError) and exc.is_reached):
                    raise
            left -= 1
            async with Step(callback, "connection.retry"):
                await anyio.sleep(delay)
            delay = delay * 2 or _BACKOFF

    async def _lend(
        self, route: Route, timeouts: _Timeouts, trace: ConnectionTrace | None
    ) -> Connection:
        connect = timeouts.connect
        if connect is None and self._routes.proxy is not None:
            connect = timeouts.read  # the proxy has to answer, too
        lending = self._connector.lend(
            route.request,
            route.key,
            wait_seconds=timeouts.pool,
            timeout=ClientTimeout(sock_connect=connect, sock_read=timeouts.read),
            traces=() if trace is None else (trace,),
        )
        if trace is None:
            return await lending
        try:
            connection = await lending
        except BaseException as exc:
            await trace.fail(exc)
            raise
        try:
            assert connection.protocol is not None  # it has just been lent
            stream = connection.protocol.stream
            await trace.complete(cast("NetworkStream", stream))  # as it speaks HTTP/1.1
        except BaseException:
            connection.close()
            raise
        return connection

    def _trace(self, route: Route, timeouts: _Timeouts, callback: TraceCallback) -> ConnectionTrace:
        proxy = route.key.proxy
        shown = {"timeout": timeouts.connect, **self._shown}
        if self._uds is not None:
            name = "connect_unix_socket"
            shown["path"] = self._uds
            del shown["local_address"]
        else:
            name = "connect_tcp"
            shown["host"] = route.key.host if proxy is None else proxy.raw_host
            shown["port"] = route.key.port if proxy is None else proxy.port
        tls = {
            "ssl_context": route.key.ssl,
            "server_hostname": route.key.server_hostname or route.key.host,
            "timeout": timeouts.connect,
        }
        return ConnectionTrace(callback, self._library, name, shown, tls)


@dataclass(slots=True)
class _Timeouts:
    """The extension ``timeout`` of a request, in seconds; ``None`` for no limit."""

    connect: float | None = None
    read: float | None = None
    write: float | None = None
    pool: float | None = None


def _timeouts(extensions: Mapping[str, Any]) -> _Timeouts:
    given = extensions.get("timeout")
    if not given:
        return _Timeouts()
    return _Timeouts(*[_seconds(given.get(name)) for name in ("connect", "read", "write", "pool")])


def _seconds(given: float | None) -> float | None:
    """Return a time limit; one that is not positive is over at once."""
    return _AT_ONCE if given is not None and given <= 0 else given


def _not_negative(limit: Number | None) -> Number | None:
    """Return a limit of idle connections; a negative one keeps none, as in httpx."""
    return type(limit)(0) if limit is not None and limit < 0 else limit


def _proxy_tls(library: Library, proxy: Proxy) -> SSLContext | None:
    """Return how a proxy is verified that is reached over TLS; the own option is its alone."""
    context = proxy.ssl_context
    if proxy.url.scheme.startswith("socks"):
        _require_socks()
        return None
    if proxy.url.scheme == "https":
        return library.tls_context() if context is None else library.tls_context(verify=context)
    if context is not None:
        raise RuntimeError("ssl_context of a proxy needs an https:// URL")
    return None


def _require_http2() -> None:
    try:
        http2_mode(True)
    except RuntimeError as exc:
        raise ImportError(str(exc)) from exc


def _require_socks() -> None:
    try:
        require_socks("socks5")
    except RuntimeError as exc:
        raise ImportError(str(exc)) from exc
