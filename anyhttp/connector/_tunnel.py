"""Connects to an origin through a proxy: ``CONNECT`` or SOCKS, and TLS inside the tunnel.

The functions that speak to a proxy return when the next byte on the stream comes from the origin.
If one of them raises, its caller closes the stream.  They have no time limits: the connector sets
those, by cancel scopes around the whole dialing.
"""

from __future__ import annotations

import errno
import ipaddress
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ssl import SSLContext
from typing import Final

import anyio
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from .. import hdrs
from .._common import ConnectionKey, ProxyKey, RequestInfo, SupportsFingerprint, without_zone
from .._http1 import Engine, Head, Limits, ParseError
from .._network import HTTP1, NetworkStream, Protocols, SSLOption, TlsSessions
from .._targets import HTTP_PROXIES, BasicAuth
from .._tasks import Expired
from ..abc import ResolveResult
from ..client_exceptions import (
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientHttpProxyError,
    ClientOSError,
    ClientProxyConnectionError,
    ClientSSLError,
)
from ..client_reqrep import ClientRequest
from ..tracing import Trace, TraceConnectionTunnelParams, tell
from ._dial import ConnectLimit, TcpOptions, dial_tcp
from ._encryption import encrypt

__all__ = (
    "ConnectRequest",
    "ProxyRequest",
    "Way",
    "dial_through_proxy",
    "open_http_tunnel",
    "require_socks",
)

#: Heads with status 1xx that may come before the answer to ``CONNECT``.
MAX_INFORMATIONAL: Final = 32

#: How much of the body of a proxy's refusal is read, in bytes, and for how long, in seconds.
REFUSAL_BYTES: Final = 8 * 1024
REFUSAL_SECONDS: Final = 1.0


def _broken(text: str) -> OSError:
    return OSError(errno.EPROTO, text)


# -- proxy and origin together ---------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Way:
    """How a connector reaches a proxy and an origin behind it: its resolver and settings."""

    resolve: Callable[[ConnectionKey, str, int], Awaitable[list[ResolveResult]]]
    options: TcpOptions
    #: how the certificates of the origin and of the proxy are verified
    tls: SSLContext | bool | SupportsFingerprint
    proxy_tls: SSLContext | bool | SupportsFingerprint
    tls_sessions: TlsSessions
    engine_class: type[Engine]
    limit: ConnectLimit
    traces: Sequence[Trace]
    #: what the TLS handshake with the origin offers; that with a proxy never offers HTTP/2
    alpn: Protocols | None = None


@dataclass(slots=True)
class ProxyRequest:
    """How a proxy is asked for a connection: what a subclass of the connector may change.

    :param url: URL of the proxy
    :param headers: for the proxy, credentials included
    :param ssl: how the certificate of the proxy is verified
    """

    url: URL
    headers: CIMultiDict[str]
    ssl: SSLOption

    def is_ssl(self) -> bool:
        """Whether TLS is spoken with the proxy."""
        return self.url.scheme == "https"

    @property
    def _ssl(self) -> SSLOption:
        return self.ssl

    @_ssl.setter
    def _ssl(self, value: SSLOption) -> None:
        self.ssl = value  # in aiohttp, the public name cannot be set


async def dial_through_proxy(
    req: ClientRequest, way: Way, headers: CIMultiDict[str]
) -> NetworkStream:
    """Return a stream for *req* through its proxy, TLS to the origin included.

    :param headers: for an HTTP proxy that is asked for a tunnel
    :raises ClientProxyConnectionError: the proxy cannot be reached, ends the connection or
        does not speak its protocol; a SOCKS proxy refuses
    :raises ClientHttpProxyError: an HTTP proxy refuses
    :raises ClientConnectorDNSError: a name that has to be resolved here cannot be resolved
    :raises ClientSSLError: TLS with the proxy or the origin failed; the error names which
    :raises Expired: the time for each address of the proxy or the origin is over

    After cancellation no socket is open.
    """
    key = req.connection_key._replace(ssl=way.tls)
    proxy = key.proxy
    assert proxy is not None
    proxy_key = ProxyKey(
        proxy.raw_host or "", proxy.port, proxy.scheme == "https", way.proxy_tls, None, None, None
    )
    if proxy.scheme not in HTTP_PROXIES:
        stream = await _dial_through_socks(req, proxy.scheme, key, proxy_key, way)
    else:
        stream = await _dial_proxy(proxy_key, way)
        if not req.is_forwarded:
            try:
                await _open_told(stream, ConnectRequest(req, headers), proxy_key, way)
            except BaseException:
                await stream.aclose()
                raise
    if not key.is_ssl:
        return stream
    alpn = way.alpn
    if stream.for_one_exchange and alpn is not None:
        alpn = HTTP1  # a connection of HTTP/2 is for many
    inner = await encrypt(stream, key, way.tls_sessions, way.traces, alpn=alpn)
    inner.for_one_exchange = stream.for_one_exchange
    return inner


async def _open_told(
    stream: NetworkStream, request: ConnectRequest, key: ConnectionKey, way: Way
) -> None:
    """Open the tunnel that *request* asks for, and tell of the answer of the proxy *key*."""
    try:
        with _proxy_errors(key, reached=True):
            await open_http_tunnel(stream, request, way.engine_class)
    except ClientHttpProxyError:
        await _tell(way.traces, request)
        raise
    await _tell(way.traces, request)


async def _tell(traces: Sequence[Trace], request: ConnectRequest) -> None:
    if traces:
        await tell(traces, request.answered())


async def _dial_proxy(key: ConnectionKey, way: Way) -> NetworkStream:
    """Return a stream to the proxy *key*."""
    with _proxy_errors(key):
        assert key.port is not None
        addresses = await way.resolve(key, key.host, key.port)
        stream = await dial_tcp(addresses, way.options, way.limit)
    if not key.is_ssl:
        return stream
    return await encrypt(stream, key, way.tls_sessions, way.traces, _proxy_errors(key))


async def _dial_through_socks(
    req: ClientRequest, scheme: str, key: ConnectionKey, proxy_key: ConnectionKey, way: Way
) -> NetworkStream:
    """Return a stream to the origin, through a SOCKS proxy."""
    require_socks(scheme)
    assert key.port is not None
    hosts = [key.host]
    if scheme in {"socks4", "socks5"}:
        # These protocols are used with an address here.  The proxy tries only that one, so the
        # other addresses of the host are tried in this loop.
        hosts = [found["host"] for found in await way.resolve(key, key.host, key.port)]
    errors: list[OSError] = []
    with _proxy_errors(proxy_key, reached=True):
        for host in hosts:
            if scheme == "socks4" and ":" in host:
                continue
            way.limit.restart()
            stream = await _dial_proxy(proxy_key, way)
            try:
                await way.limit.attempt(
                    open_socks_tunnel(stream, scheme, host, key.port, req.proxy_auth)
                )
            except BaseException as exc:
                await stream.aclose()
                error = way.limit.timed_out() if isinstance(exc, Expired) else exc
                if not (isinstance(error, OSError) and _another_may_do(error)):
                    raise
                errors.append(error)
            else:
                return stream
        if not errors:
            raise OSError(errno.EAFNOSUPPORT, f"SOCKS4 has no IPv6, and {key.host} has no IPv4")
        if all(error.errno == errno.ETIMEDOUT for error in errors):
            raise Expired
        text = "; ".join(error.strerror or str(error) for error in errors)
        raise OSError(errors[0].errno, text)


@contextmanager
def _proxy_errors(key: ConnectionKey, *, reached: bool = False) -> Iterator[None]:
    """Translate errors of the connection to the proxy *key* into our exceptions.

    :param reached: whether there is a connection to it already
    """
    try:
        yield
    except (ClientConnectorDNSError, ClientProxyConnectionError, ClientSSLError):
        raise
    except OSError as exc:
        reason = exc.os_error if isinstance(exc, ClientConnectorError) else exc
        error = ClientProxyConnectionError(key, reason)
        error.is_reached = reached
        raise error from exc


# -- CONNECT (RFC 9110 §9.3.6) ---------------------------------------------------------


class ConnectRequest:
    """The ``CONNECT`` request for a tunnel to the host of *req*.

    It contains neither the headers of *req* nor those of the session, except those for the proxy.
    """

    def __init__(self, req: ClientRequest, headers: CIMultiDict[str]) -> None:
        self.authority: str = req.authority
        self.headers: CIMultiDict[str] = CIMultiDict({hdrs.HOST: self.authority})
        self.headers.update(headers)
        self._req = req
        #: the head of the proxy's answer, when it is there
        self.head: Head | None = None

    def answered(self) -> TraceConnectionTunnelParams:
        """Return what is told of the proxy's answer."""
        head, proxy = self.head, self._req.proxy
        assert head is not None
        assert proxy is not None
        sent, received = CIMultiDictProxy(self.headers), _headers_of(head)
        return TraceConnectionTunnelParams(
            proxy, self.authority, sent, head.version, head.status, head.reason, received
        )

    def refused(self, head: Head, body: bytes) -> ClientHttpProxyError:
        """Return the error that holds the proxy's answer."""
        sent = CIMultiDictProxy(self.headers)
        error = ClientHttpProxyError(
            RequestInfo(self._req.url, hdrs.METH_CONNECT, sent, self._req.original_url),
            (),
            status=head.status,
            message=head.reason,
            headers=_headers_of(head),
        )
        error.body = body
        return error


def _headers_of(head: Head) -> CIMultiDictProxy[str]:
    headers = CIMultiDict(
        (name.decode("utf-8", "surrogateescape"), value.decode("utf-8", "surrogateescape"))
        for name, value in head.raw_headers
    )
    return CIMultiDictProxy(headers)


async def open_http_tunnel(
    stream: NetworkStream, request: ConnectRequest, engine_class: type[Engine]
) -> None:
    """Ask the proxy on *stream* for a tunnel.

    If the answer violates the grammar in a tolerated way, or the proxy is asked to close the
    connection, the tunnel is for one exchange only.

    :raises ClientHttpProxyError: the proxy refuses; ``body`` has the beginning of its answer
    :raises OSError: the proxy closed the connection, or its answer is not HTTP/1.1
    """
    engine = engine_class(Limits())
    data = engine.send_head(hdrs.METH_CONNECT, request.authority, tuple(request.headers.items()))
    try:
        await stream.send(data + engine.send_end())
    except ClientOSError:
        pass  # the proxy may have refused without reading the request; its answer follows
    request.head = head = await _read_head(stream, engine)
    if not 200 <= head.status < 300:
        raise request.refused(head, await _read_refusal(stream, engine))
    if engine.surplus:
        # The client speaks first in the tunnel, so the origin cannot have sent these bytes.
        raise _broken("the proxy sent bytes of its own into the tunnel")
    stream.for_one_exchange = engine.for_one_exchange


async def _read_head(stream: NetworkStream, engine: Engine) -> Head:
    """Return the head of the final answer."""
    try:
        for _ in range(MAX_INFORMATIONAL + 1):
            while engine.head is None:
                data = await stream.receive()
                if not data:
                    raise OSError(errno.ECONNRESET, "the proxy closed the connection")
                engine.receive(data)
            if engine.head.status >= 200 or engine.head.status == 101:
                return engine.head
            engine.next_response()
    except ParseError as exc:
        raise _broken(f"the proxy's answer to CONNECT is not HTTP/1.1: {exc}") from exc
    raise _broken(f"more than {MAX_INFORMATIONAL} informational heads")


async def _read_refusal(stream: NetworkStream, engine: Engine) -> bytes:
    """Return the beginning of the body, as far as it arrives within a short time.

    That is at most half of what is left of the limits of the request: the refusal is to be raised,
    and not the end of a limit.
    """
    body = b""
    left = anyio.current_effective_deadline() - anyio.current_time()
    with anyio.move_on_after(min(REFUSAL_SECONDS, left / 2)):
        try:
            while True:
                body += b"".join(engine.pieces)
                engine.pieces.clear()
                if engine.complete or engine.error is not None or len(body) >= REFUSAL_BYTES:
                    break
                engine.receive(await stream.receive())
        except (ParseError, ClientOSError):
            pass  # an incomplete body is no error here: the caller raises the refusal
    return body[:REFUSAL_BYTES]


# -- SOCKS -----------------------------------------------------------------------------


def require_socks(scheme: str) -> None:
    """Raise an error unless the library for SOCKS is installed.

    :raises RuntimeError: it is not; the message names the extra to install
    """
    try:
        import socksio  # noqa: F401
    except ImportError as exc:
        raise RuntimeError(
            f"{scheme}:// proxies need socksio: pip install 'anyhttp-client[socks]'"
        ) from exc


class _Replies:
    """Reads exactly the bytes of a reply: the bytes after it come from the origin."""

    def __init__(self, stream: NetworkStream) -> None:
        self._stream = stream

    async def take(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = await self._stream.receive(count - len(data))
            if not piece:
                raise OSError(errno.ECONNRESET, "the SOCKS proxy closed the connection")
            data += piece
        return data


async def open_socks_tunnel(
    stream: NetworkStream, scheme: str, host: str, port: int, auth: BasicAuth | None
) -> None:
    """Ask the SOCKS proxy on *stream* to connect to *host*, a name or an address.

    :param scheme: of the proxy's URL, which selects the version of the protocol
    :raises OSError: the proxy refuses, or cannot connect, or does not speak SOCKS
    """
    replies = _Replies(stream)
    host = without_zone(host)
    if scheme in {"socks4", "socks4a"}:
        await _speak_socks4(stream, replies, host, port, auth)
    else:
        await _speak_socks5(stream, replies, host, port, auth)


_SOCKS4_REASONS: Final = {
    0x5B: (errno.ECONNREFUSED, "request rejected or failed"),
    0x5C: (errno.ECONNREFUSED, "it cannot reach identd on this machine"),
    0x5D: (errno.EACCES, "identd on this machine reports another user"),
}


async def _speak_socks4(
    stream: NetworkStream, replies: _Replies, host: str, port: int, auth: BasicAuth | None
) -> None:
    from socksio import ProtocolError, SOCKS4ARequest, SOCKS4Command, SOCKS4Reply, SOCKS4Request

    user = b"" if auth is None else _credential("user name", auth.login)
    if b"\0" in user:
        raise OSError(errno.EINVAL, "the user name for a SOCKS4 proxy cannot hold a NUL")
    if _is_ipv4(host):
        data = SOCKS4Request.from_address(SOCKS4Command.CONNECT, (host, port), user).dumps()
    else:
        data = SOCKS4ARequest(SOCKS4Command.CONNECT, port, host.encode("ascii"), user).dumps()
    await stream.send(data)
    data = await replies.take(8)
    reason = _SOCKS4_REASONS.get(data[1])
    if data[0] == 0 and reason is not None:
        raise _socks_refusal(host, port, *reason)
    try:
        SOCKS4Reply.loads(data)
    except ProtocolError as exc:
        raise _broken("the proxy does not speak SOCKS4") from exc


_SOCKS5_REASONS: Final = {
    0x01: (errno.EIO, "general failure"),
    0x02: (errno.EACCES, "not allowed by its rules"),
    0x03: (errno.ENETUNREACH, "network unreachable"),
    0x04: (errno.EHOSTUNREACH, "host unreachable"),
    0x05: (errno.ECONNREFUSED, "connection refused"),
    0x06: (errno.EHOSTUNREACH, "TTL expired"),
    0x07: (errno.EOPNOTSUPP, "command not supported"),
    0x08: (errno.EAFNOSUPPORT, "address type not supported"),
}

#: Size in bytes of the address in a reply, by address type (RFC 1928 §6); a name is preceded by
#: its length.
_ADDRESS_SIZES: Final = {0x01: 4, 0x04: 16}


async def _speak_socks5(
    stream: NetworkStream, replies: _Replies, host: str, port: int, auth: BasicAuth | None
) -> None:
    from socksio import (
        ProtocolError,
        SOCKS5AuthMethod,
        SOCKS5AuthMethodsRequest,
        SOCKS5AuthReply,
        SOCKS5Command,
        SOCKS5CommandRequest,
        SOCKS5Reply,
    )

    methods = [SOCKS5AuthMethod.NO_AUTH_REQUIRED]
    if auth is not None:
        methods.append(SOCKS5AuthMethod.USERNAME_PASSWORD)
    try:
        await stream.send(SOCKS5AuthMethodsRequest(methods).dumps())
        method = SOCKS5AuthReply.loads(_of_version(5, await replies.take(2))).method
        if method not in methods:
            raise OSError(errno.EACCES, _no_method(auth))
        if auth is not None and method is SOCKS5AuthMethod.USERNAME_PASSWORD:
            await _log_in(stream, replies, auth)
        address = (host if _is_address(host) else _name(host), port)
        request = SOCKS5CommandRequest.from_address(SOCKS5Command.CONNECT, address)
        await stream.send(request.dumps())
        SOCKS5Reply.loads(await _take_socks5_reply(replies, host, port))
    except ProtocolError as exc:
        raise _broken("the proxy does not speak SOCKS5") from exc


async def _log_in(stream: NetworkStream, replies: _Replies, auth: BasicAuth) -> None:
    """Send user name and password (:rfc:`1929`)."""
    from socksio import SOCKS5UsernamePasswordRequest

    login = _credential("user name", auth.login)
    password = _credential("password", auth.password)
    await stream.send(SOCKS5UsernamePasswordRequest(login, password).dumps())
    if _of_version(1, await replies.take(2))[1]:
        raise OSError(errno.EACCES, "the SOCKS proxy does not accept the user name and password")


async def _take_socks5_reply(replies: _Replies, host: str, port: int) -> bytes:
    """Return the reply of a proxy that has connected to the host.

    :raises OSError: the proxy reports a failure.  The rest of the reply is not read then, because
        some proxies do not send it.
    """
    head = _of_version(5, await replies.take(2))
    if head[1]:
        code, text = _SOCKS5_REASONS.get(head[1], (errno.EIO, f"unknown failure {head[1]}"))
        raise _socks_refusal(host, port, code, text)
    head += await replies.take(2)
    size = _ADDRESS_SIZES.get(head[3])
    if size is None:
        head += await replies.take(1)
        size = head[4]
    return head + await replies.take(size + 2)


def _of_version(version: int, data: bytes) -> bytes:
    if data[0] != version:
        raise _broken(f"the proxy does not speak SOCKS5: its reply starts with {data!r}")
    return data


def _no_method(auth: BasicAuth | None) -> str:
    if auth is None:
        return "the SOCKS proxy wants credentials, and there are none for it"
    return "the SOCKS proxy wants another way to log in than user name and password"


def _socks_refusal(host: str, port: int, code: int, reason: str) -> OSError:
    shown = f"[{host}]" if ":" in host else host
    return OSError(code, f"the SOCKS proxy could not connect to {shown}:{port}: {reason}")


def _credential(what: str, text: str) -> bytes:
    data = text.encode("utf-8", "surrogateescape")
    if len(data) > 255:
        raise OSError(errno.EINVAL, f"the {what} for a SOCKS proxy may have 255 bytes at most")
    return data


def _name(host: str) -> str:
    if len(host) > 255:
        raise OSError(errno.ENAMETOOLONG, "a name for a SOCKS5 proxy may have 255 bytes at most")
    return host


def _is_address(host: str) -> bool:
    return ":" in host or _is_ipv4(host)


def _is_ipv4(host: str) -> bool:
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True


def _another_may_do(error: OSError) -> bool:
    """Whether *error* may be limited to one address, so that another address may work.

    A proxy that refuses by its own rules would refuse the other addresses, too.
    """
    codes = {errno.ETIMEDOUT, *(code for code, _ in _SOCKS5_REASONS.values())}
    return error.errno in codes - {errno.EACCES}
