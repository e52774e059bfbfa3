"""A transport for httpx: its clients send their requests over connections of this package."""

from __future__ import annotations

from typing import ClassVar

try:
    import httpx
except ImportError as _exc:
    raise ImportError("anyhttp.httpx needs httpx: pip install 'anyhttp-client[httpx]'") from _exc

from ._httpx import Library, ResponseBody, Transport

__all__ = ("AnyhttpTransport",)


class _ResponseStream(ResponseBody, httpx.AsyncByteStream):
    """The body of a response."""


class AnyhttpTransport(Transport[httpx.Request, httpx.Response], httpx.AsyncBaseTransport):
    """Sends requests of httpx over connections of this package, on asyncio and trio.

    It has the options of :class:`!httpx.AsyncHTTPTransport` and raises the same exceptions; the
    exception of this package is their ``__cause__``.  It needs no ``async with``: the client, or
    :meth:`aclose`, closes it, in any task.

    :param verify: how certificates are verified, as in httpx, which makes the TLS context
    :param cert: certificate of the client; none by default
    :param trust_env: use the variables of the environment that name trusted certificates
    :param http1: offer HTTP/1.1; if ``False``, servers must speak HTTP/2, also without TLS
    :param http2: offer HTTP/2 over TLS; off by default
    :param limits: limits of connections; those of httpx by default
    :param proxy: URL of a proxy, or a :class:`!httpx.Proxy`; none by default
    :param uds: path of a Unix socket to make all connections to
    :param local_address: address to connect from
    :param retries: how often to try again if a connection cannot be made; never by default
    :param socket_options: arguments of :meth:`socket.socket.setsockopt` for each connection
    :raises ValueError: an option has a value that is not allowed
    :raises ImportError: *proxy* is a SOCKS proxy and ``anyhttp-client[socks]`` is not installed, or
        *http2* is true and ``anyhttp-client[http2]`` is not installed
    """

    _library: ClassVar[Library] = Library(httpx, "httpcore", _ResponseStream)
