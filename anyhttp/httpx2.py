"""A transport for httpx2: its clients send their requests over connections of this package."""

from __future__ import annotations

from typing import ClassVar

try:
    import httpx2
except ImportError as _exc:
    raise ImportError("anyhttp.httpx2 needs httpx2: pip install 'anyhttp-client[httpx2]'") from _exc

from ._httpx import Library, ResponseBody, Transport

__all__ = ("AnyhttpTransport",)


class _ResponseStream(ResponseBody, httpx2.AsyncByteStream):
    """The body of a response."""


class AnyhttpTransport(Transport[httpx2.Request, httpx2.Response], httpx2.AsyncBaseTransport):
    """Sends requests of httpx2 over connections of this package, on asyncio and trio.

    It has the options of :class:`!httpx2.AsyncHTTPTransport` and raises the same exceptions; the
    exception of this package is their ``__cause__``.  It needs no ``async with``: the client, or
    :meth:`aclose`, closes it, in any task.

    :param verify: how certificates are verified, as in httpx2, which makes the TLS context
    :param cert: certificate of the client; none by default
    :param trust_env: use the variables of the environment that name trusted certificates
    :param http1: offer HTTP/1.1; if ``False``, servers must speak HTTP/2, also without TLS
    :param http2: offer HTTP/2 over TLS; off by default
    :param limits: limits of connections; those of httpx2 by default
    :param proxy: URL of a proxy, or a :class:`!httpx2.Proxy`; none by default
    :param uds: path of a Unix socket to make all connections to
    :param local_address: address to connect from
    :param retries: how often to try again if a connection cannot be made; never by default
    :param socket_options: arguments of :meth:`socket.socket.setsockopt` for each connection
    :raises ValueError: an option has a value that is not allowed
    :raises ImportError: *proxy* is a SOCKS proxy and ``anyhttp-client[socks]`` is not installed, or
        *http2* is true and ``anyhttp-client[http2]`` is not installed
    """

    _library: ClassVar[Library] = Library(httpx2, "httpcore2", _ResponseStream)
