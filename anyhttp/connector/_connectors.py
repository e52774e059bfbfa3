"""The connectors: how a connection to a host, a proxy or a Unix socket is made."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from ssl import CERT_NONE, SSLContext
from types import EllipsisType
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypedDict, Unpack

from yarl import URL

from .._common import (
    ConnectionKey,
    Hooks,
    Http2Options,
    SupportsFingerprint,
    check_callable,
    check_count,
    check_flag,
    check_local_addr,
    check_seconds,
    checked_path,
    is_own_method,
    shown_class,
    warn_deprecated,
    warn_without_effect,
)
from .._network import (
    Fingerprint,
    NetworkStream,
    Protocols,
    SocketFactoryType,
    SSLOption,
    connect_unix,
    context_of,
    dial_errors,
    fold_ssl,
    ssl_option,
)
from .._targets import NO_PORT, BasicAuth, ProxyOptions, checked_proxy, proxy_options
from .._tasks import ClientTimeout, Expired
from ..abc import AbstractResolver, ResolveResult
from ..client_exceptions import (
    ClientConnectorDNSError,
    InvalidUrlClientError,
    UnixClientConnectorError,
)
from ..resolver import DefaultResolver, DnsCache, literal_address
from ..tracing import (
    Trace,
    TraceDnsCacheHitParams,
    TraceDnsCacheMissParams,
    TraceDnsResolveHostEndParams,
    TraceDnsResolveHostStartParams,
    tell,
)
from ..typedefs import StrOrURL
from ._base import BaseConnector
from ._dial import ConnectLimit, TcpOptions, dial_tcp
from ._encryption import encrypt
from ._foreign import timed_out
from ._hooks import TCP_REFUSED, TCP_UNUSED
from ._http2_mode import Http2Mode, Http2Option, http2_mode, offered_protocols
from ._substitute import OPEN_BLOCKS, substitute_at_once, substitute_for
from ._tunnel import ProxyRequest, Way, dial_through_proxy

if TYPE_CHECKING:
    from ..client_reqrep import ClientRequest

__all__ = (
    "NamedPipeConnector",
    "ProxyConnector",
    "TCPConnector",
    "UnixConnector",
)


class TCPConnector(BaseConnector):
    """Connects over TCP, with TLS for https.

    If a host has several addresses, it tries the next one while the first has not answered.  All
    sockets of these attempts count as one connection: when the first of them has connected, the
    others are closed before it is used.

    :param ssl: ``True`` verifies certificates with the operating system's trust store, ``False``
        not at all.  An :class:`ssl.SSLContext` is used as it is.  A :class:`Fingerprint` accepts
        only the certificate that it names
    :param use_dns_cache: keep the answers of the resolver
    :param ttl_dns_cache: how long an answer is kept, in seconds: 10 by default, ``None`` for ever
    :param dns_cache_max_size: how many answers are kept: 1000 by default
    :param family: family of the addresses, such as ``AF_INET``; both families by default
    :param local_addr: local (host, port) to connect from; the operating system's choice by default
    :param resolver: turns host names into addresses; a :class:`DefaultResolver` by default
    :param happy_eyeballs_delay: how long to wait for one address before the next one is tried,
        too (:rfc:`8305`), in seconds: a quarter of a second by default.  ``None`` waits until an
        address has failed
    :param interleave: how many addresses of the first family come before one of the other family:
        1 by default, and 0, the order of the resolver, if *happy_eyeballs_delay* is ``None``
    :param socket_factory: makes the socket for an address
    :param ssl_shutdown_timeout: no effect; accepted for compatibility with aiohttp
    :param verify_ssl: deprecated; use ``ssl=False``
    :param ssl_context: deprecated; use *ssl*
    :param fingerprint: deprecated; use ``ssl=Fingerprint(fingerprint)``
    :param resolve: deprecated; use *use_dns_cache*
    :param keepalive_timeout: how long an idle connection is kept, in seconds: 15 by default; see
        :class:`BaseConnector` for this and the other parameters that are not listed here
    :param limit: largest number of open connections: 100 by default
    :param limit_per_host: largest number of connections in use to one endpoint; no limit by default
    :param http2: ``False``, the default, speaks HTTP/1.1 only.  ``True`` offers HTTP/2 to servers
        over TLS, also through proxies; ``"prior-knowledge"`` speaks HTTP/2 with every server, also
        without TLS.  An :class:`ssl.SSLContext` given as *ssl* then offers both for each
        connection, and HTTP/1.1 alone afterwards
    :param http2_options: windows and limits of its HTTP/2 connections; the defaults of
        :class:`Http2Options`
    :raises TypeError: an argument has the wrong type
    :raises ValueError: a value is not allowed, or *ssl* is given together with one of its
        deprecated names
    :raises RuntimeError: *http2* needs the extra ``anyhttp-client[http2]``
    """

    allowed_protocol_schema_set: ClassVar[frozenset[str]] = (
        BaseConnector.allowed_protocol_schema_set | {"tcp"}
    )
    _uses_proxies: ClassVar[bool] = True
    _uses_network: ClassVar[bool] = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        TCP_HOOKS.check_subclass(cls)

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
        http2: Http2Option = False,
        http2_options: Http2Options | None = None,
    ) -> None:
        tls = fold_ssl(ssl, verify_ssl=verify_ssl, ssl_context=ssl_context, fingerprint=fingerprint)
        if (mode := http2_mode(http2, http2_options)) is not Http2Mode.OFF:
            self._http2, self._http2_options = mode, http2_options
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
        if ssl_shutdown_timeout is not None:
            warn_without_effect(ssl_shutdown_timeout=ssl_shutdown_timeout)
        if resolve is not None:
            check_flag("resolve", resolve)
            warn_deprecated("resolve is deprecated: it is named use_dns_cache now")
            use_dns_cache = resolve
        check_flag("use_dns_cache", use_dns_cache)
        check_seconds("ttl_dns_cache", ttl_dns_cache)
        if family is not socket.AF_UNSPEC:
            check_count("family", family)
        if resolver is None:
            resolver = _DEFAULT_RESOLVER
        elif not callable(getattr(resolver, "resolve", None)):
            raise TypeError(f"resolver must be a resolver, not {type(resolver).__name__}")
        self._ssl = tls
        self._family = family
        self._resolver = resolver
        self._use_dns_cache = use_dns_cache
        self._dns_cache = DnsCache(ttl_dns_cache, dns_cache_max_size)
        self._options = _tcp_options(local_addr, socket_factory, happy_eyeballs_delay, interleave)

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
        """Whether certificates are verified by trusted authorities; ``False`` for a fingerprint."""
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
        """Forget addresses; other name of :meth:`clear_dns_cache`."""
        self.clear_dns_cache(host, port)

    async def _create_connection(
        self, req: ClientRequest, traces: Sequence[Trace], timeout: ClientTimeout
    ) -> NetworkStream:
        # Called by the methods of subclasses; the connector itself calls _make_stream().
        limit = ConnectLimit(timeout.sock_connect)
        with suppress(Expired), limit.scope:
            return await self._connect_within(limit, req, traces, timeout)
        raise timed_out(req)

    def _stream_at_once(self, req: ClientRequest, timeout: ClientTimeout) -> NetworkStream | None:
        if OPEN_BLOCKS and is_own_method(self, "_create_connection", _CREATE_CONNECTION):
            TCP_HOOKS.check_patches(type(self))
            return substitute_at_once(req, timeout)
        return None

    async def _make_stream(
        self,
        req: ClientRequest,
        traces: Sequence[Trace],
        timeout: ClientTimeout,
        limit: ConnectLimit,
    ) -> NetworkStream:
        if not is_own_method(self, "_create_connection", _CREATE_CONNECTION):
            return await super()._make_stream(req, traces, timeout, limit)
        return await self._connect_within(limit, req, traces, timeout)

    async def _connect_within(
        self,
        limit: ConnectLimit,
        req: ClientRequest,
        traces: Sequence[Trace],
        timeout: ClientTimeout,
    ) -> NetworkStream:
        TCP_HOOKS.check_patches(type(self))  # which may have changed since the session was made
        key = req.connection_key
        if OPEN_BLOCKS:
            with dial_errors(key):
                replaced = await substitute_for(req, traces, timeout)
            if replaced is not None:
                return replaced
        if key.port is None:
            raise InvalidUrlClientError(req.url, NO_PORT)
        if key.proxy is not None:
            asked = self._update_proxy_auth_header_and_build_proxy_req(req)
            way = self._way_for(req, asked, self._way(key, traces, limit))
            return await dial_through_proxy(req, way, asked.headers)
        effective = key
        if key.is_ssl:
            option = self._verification(req, self._ssl if key.ssl is True else key.ssl)
            effective = key._replace(ssl=option)
        addresses = await self._resolve(key, key.host, key.port, traces)
        with dial_errors(key):
            stream = await dial_tcp(addresses, self._options, limit)
        if not key.is_ssl:
            return stream
        alpn = offered_protocols(self._http2, req)
        return await self._encrypt(stream, effective, traces, alpn)

    async def _encrypt(
        self,
        stream: NetworkStream,
        key: ConnectionKey,
        traces: Sequence[Trace],
        alpn: Protocols | None,
    ) -> NetworkStream:
        """Start TLS with the origin *key* on *stream*, which has no proxy."""
        return await encrypt(stream, key, self._pool.tls_sessions, traces, alpn=alpn)

    def _verification(
        self, req: ClientRequest | ProxyRequest, option: SSLOption | SupportsFingerprint
    ) -> SSLOption | SupportsFingerprint:
        """Return how the peer of *req* is verified: by *option*, unless a subclass has a context.

        :raises ValueError: it has one, and *option* is a fingerprint
        :raises TypeError: what it has is no context
        """
        if not req.is_ssl() or is_own_method(self, "_get_ssl_context", _GET_SSL_CONTEXT):
            return option
        context = self._get_ssl_context(req)
        if context is None:
            return option
        if not isinstance(context, SSLContext):
            # False would stand for no verification, as it does in the option ssl.
            name = shown_class(type(context))
            raise TypeError(f"_get_ssl_context() must return an ssl.SSLContext, not {name}")
        if not isinstance(option, (bool, SSLContext)):
            raise ValueError("_get_ssl_context() cannot be combined with a fingerprint")
        return context

    def _get_ssl_context(self, req: ClientRequest | ProxyRequest) -> SSLContext | None:
        """Return the TLS context for *req*; what a subclass returns is used.

        :param req: that of the program, or what stands for the request to its proxy
        """
        if not req.is_ssl():
            return None
        return context_of(self._ssl if req.ssl is True else req.ssl)

    def _update_proxy_auth_header_and_build_proxy_req(self, req: ClientRequest) -> ProxyRequest:
        """Return how the proxy of *req* is asked; a subclass may change ``headers`` and ``ssl``."""
        assert req.proxy is not None
        return ProxyRequest(req.proxy, req.headers_for_proxy(), req.ssl)

    def _way_for(self, req: ClientRequest, asked: ProxyRequest, way: Way) -> Way:
        """Return *way*, changed by what a subclass wants for *req* and its proxy.

        :raises ValueError: it wants another proxy
        """
        if asked.url != req.proxy:
            raise ValueError("the URL of a proxy cannot be changed here: give proxy to the request")
        proxy_tls = way.proxy_tls if asked.ssl is req.ssl else ssl_option(asked.ssl)
        tls = self._verification(req, way.tls)
        alpn = offered_protocols(self._http2, req)
        return replace(way, tls=tls, proxy_tls=self._verification(asked, proxy_tls), alpn=alpn)

    def _way(self, key: ConnectionKey, traces: Sequence[Trace], limit: ConnectLimit) -> Way:
        """Return how to reach the proxy of *key*, and the origin behind the proxy."""
        tls = proxy_tls = self._ssl if key.ssl is True else key.ssl
        if key.is_ssl and not isinstance(tls, (bool, SSLContext)):
            # The fingerprint is that of the origin's certificate.  The certificate of the proxy
            # is another one, so the connector's setting verifies it.
            proxy_tls = True if isinstance(self._ssl, Fingerprint) else self._ssl
        resolve = partial(self._resolve, traces=traces)
        sessions = self._pool.tls_sessions
        engine = self._engine_class
        return Way(resolve, self._options, tls, proxy_tls, sessions, engine, limit, traces)

    async def _resolve(
        self, key: ConnectionKey, host: str, port: int, traces: Sequence[Trace] = ()
    ) -> list[ResolveResult]:
        if traces and literal_address(host, port) is None:
            return await self._resolve_traced(key, host, port, traces)
        return await self._look_up(key, host, port, traces)

    async def _resolve_traced(
        self, key: ConnectionKey, host: str, port: int, traces: Sequence[Trace]
    ) -> list[ResolveResult]:
        # The handlers are called here and not by the lookup: other requests may wait for the
        # same lookup, and a handler that is slow or fails concerns this request alone.
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
        """Return the addresses of *host*; if *host* is an address, return that one.

        A subclass may override this to refuse some addresses, as aiohttp's cookbook does.

        :param traces: not used, as the caller awaits their handlers
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


_CREATE_CONNECTION: Final = TCPConnector._create_connection
_GET_SSL_CONTEXT: Final = TCPConnector._get_ssl_context

#: how programs change aiohttp's connector, and not this one
TCP_HOOKS: Final = Hooks(TCPConnector, TCP_REFUSED, TCP_UNUSED)


#: Shared by all connectors: it holds nothing, so there is nothing to close either.
_DEFAULT_RESOLVER: Final = DefaultResolver()

#: Those of most connectors.
_DEFAULT_OPTIONS: Final = TcpOptions(happy_eyeballs_delay=0.25, interleave=1)


def _tcp_options(
    local_addr: tuple[str, int] | None,
    socket_factory: SocketFactoryType | None,
    happy_eyeballs_delay: float | None,
    interleave: int | None,
) -> TcpOptions:
    """Return these arguments of a connector, checked."""
    if (local_addr, socket_factory, happy_eyeballs_delay, interleave) == (None, None, 0.25, None):
        return _DEFAULT_OPTIONS
    check_local_addr(local_addr)
    check_seconds("happy_eyeballs_delay", happy_eyeballs_delay)
    check_count("interleave", interleave, optional=True)
    if socket_factory is not None:
        check_callable("socket_factory", socket_factory)
    if interleave is None:
        interleave = 1 if happy_eyeballs_delay is not None else 0
    return TcpOptions(local_addr, socket_factory, happy_eyeballs_delay, interleave)


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
    http2: Http2Option
    http2_options: Http2Options | None


class ProxyConnector(TCPConnector):
    """A :class:`TCPConnector` whose requests go through *proxy* unless they name another proxy.

    It is deprecated: give ``proxy`` to the session or to the request.

    :param proxy: URL of the proxy
    :param proxy_auth: credentials for the proxy
    :param force_close: close every connection after its request; on by default
    :param options: those of :class:`TCPConnector`
    :raises InvalidURL: *proxy* is not the URL of a proxy
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
        self._proxy_options: ProxyOptions | None = proxy_options(self._proxy, self._proxy_auth)

    @property
    def proxy(self) -> URL:
        """URL of the proxy, without credentials."""
        return self._proxy

    @property
    def proxy_auth(self) -> BasicAuth | None:
        """Credentials for the proxy."""
        return self._proxy_auth


class UnixConnector(BaseConnector):
    """Connects to a Unix socket; the host of a URL is sent as ``Host``, and not resolved.

    :param path: path of the socket; on Linux, a path that begins with NUL is the name of an
        abstract socket, which has no file
    :param http2: as for a :class:`TCPConnector`
    :param http2_options: the same.  For the other parameters see :class:`BaseConnector`
    :raises TypeError: an argument has the wrong type
    :raises ValueError: *path* is empty, or holds NUL elsewhere
    :raises RuntimeError: the operating system has no Unix sockets, or *http2* needs the extra
        ``anyhttp-client[http2]``
    """

    allowed_protocol_schema_set: ClassVar[frozenset[str]] = (
        BaseConnector.allowed_protocol_schema_set | {"unix"}
    )
    _uses_network: ClassVar[bool] = True

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
        http2: Http2Option = False,
        http2_options: Http2Options | None = None,
    ) -> None:
        if (mode := http2_mode(http2, http2_options)) is not Http2Mode.OFF:
            self._http2, self._http2_options = mode, http2_options
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
        with dial_errors(key, partial(UnixClientConnectorError, self._path)):
            replaced = await substitute_for(req, traces, timeout)
            if replaced is not None:
                return replaced
            stream = await connect_unix(os.fsencode(self._path))
        if not key.is_ssl:
            return stream
        alpn = offered_protocols(self._http2, req)
        return await encrypt(stream, key, self._pool.tls_sessions, traces, alpn=alpn)


class NamedPipeConnector(BaseConnector):
    """Not supported: in aiohttp this connects to a named pipe of Windows.

    :raises RuntimeError: always, as anyio has no transport for named pipes
    """

    def __init__(self, path: str, *args: object, **kwargs: object) -> None:
        raise RuntimeError("named pipes are not available: anyio has no transport for them")
