"""Where requests of a transport go: the connections they can use, and through which proxy."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from ssl import SSLContext
from typing import Final

from multidict import CIMultiDict
from yarl import URL

from .. import hdrs
from .._common import ConnectionKey
from .._targets import BasicAuth, ProxyOptions, checked_proxy, encode_basic_auth, host_error
from ..client_reqrep import ClientRequest
from ..connector import http1_key
from .library import Proxy
from .outgoing import Outgoing, RawFields

__all__ = ("SCHEMES", "ProxyRoute", "Route", "Routes", "proxy_route")

#: Schemes that have connections, and whether these are encrypted.
SCHEMES: Final = {"http": False, "https": True, "ws": False, "wss": True}

#: Most routes that are remembered.
_MOST: Final = 1024


@dataclass(frozen=True, slots=True)
class ProxyRoute:
    """A proxy, and what only the proxy gets.

    :param fields: header fields, credentials included
    """

    options: ProxyOptions
    fields: RawFields


def proxy_route(proxy: Proxy) -> ProxyRoute:
    """Return how to use *proxy*.

    :raises ValueError: it is no proxy that can be used
    """
    url = proxy.url
    scheme = url.scheme
    if scheme not in {"http", "https", "socks5", "socks5h"}:
        raise ValueError(
            "Proxy protocol must be either 'http', 'https', 'socks5', or 'socks5h', "
            f"but got {scheme!r}."
        )
    auth: BasicAuth | None = None
    fields = list(proxy.headers.raw)
    credentials = proxy.raw_auth
    if credentials is not None:
        login, password = (part.decode("utf-8", "surrogateescape") for part in credentials)
        if scheme.startswith("socks"):
            auth = BasicAuth(login, password, "utf-8")
        else:
            value = encode_basic_auth(login, password, "utf-8")
            fields.insert(0, (b"Proxy-Authorization", value.encode("ascii")))
    # httpx lets the proxy look up the host names in both kinds of SOCKS5.
    scheme = "socks5h" if scheme == "socks5" else scheme
    where = URL.build(scheme=scheme, host=url.raw_host.decode("ascii"), port=url.port)
    headers: CIMultiDict[str] = CIMultiDict({hdrs.ACCEPT: "*/*"})
    headers.update((name.decode("ascii"), value.decode("utf-8")) for name, value in fields)
    return ProxyRoute(ProxyOptions(checked_proxy(where)[0], auth, headers), fields)


@dataclass(frozen=True, slots=True)
class Route:
    """How requests to one origin are sent.

    :param request: stands for all of them when a connection is made
    :param key: of connections that they can use
    :param prefix: what comes before the path in the target, if a proxy forwards them
    """

    request: ClientRequest
    key: ConnectionKey
    prefix: bytes | None


class Routes:
    """The routes of a transport, which are made once for each origin.

    :param tls: for the origins
    """

    def __init__(self, tls: SSLContext, proxy: ProxyRoute | None) -> None:
        self._tls = tls
        #: the proxy, if there is one
        self.proxy: ProxyRoute | None = proxy
        self._known: dict[tuple[str, bytes, int | None, str | None], Route] = {}

    def find(self, scheme: str, host: bytes, port: int | None, name: str | None) -> Route:
        """Return the route to an origin.

        :param scheme: one of :data:`SCHEMES`
        :param name: the name to send and to verify instead of *host* when TLS is started
        :raises ValueError: *host* is no host
        """
        known = self._known
        route = known.get((scheme, host, port, name))
        if route is None:
            if len(known) >= _MOST:
                known.clear()
            route = known[scheme, host, port, name] = self._make(scheme, host, port, name)
        return route

    def _make(self, scheme: str, host: bytes, port: int | None, name: str | None) -> Route:
        text = host.decode("ascii")
        complaint = host_error(text)
        if complaint is not None:
            raise ValueError(complaint)
        url = URL.build(scheme=scheme, host=text, port=port)
        tls = self._tls if scheme in {"https", "wss"} else True
        request = ClientRequest(hdrs.METH_GET, url, CIMultiDict(), ssl=tls, server_hostname=name)
        request.is_handshake = scheme in {"ws", "wss"}
        if self.proxy is not None:
            request.use_proxy(self.proxy.options)
        prefix = str(url.origin()).encode("ascii") if request.is_forwarded else None
        return Route(request, request.connection_key, prefix)

    def by_http1(self, route: Route) -> Route:
        """Return *route* for a request that HTTP/2 has not got, such as one with ``Upgrade``."""
        request = copy.copy(route.request)
        request.needs_http1 = True
        return replace(route, request=request, key=http1_key(route.key))

    def for_one(self, route: Route, outgoing: Outgoing, fields: RawFields) -> Route:
        """Return *route* for one request alone, which stands for itself.

        What takes the place of the network decides by the request what it answers.

        :param fields: header fields of the request, without those for a proxy
        """
        origin = route.request
        target = outgoing.target.removeprefix((route.prefix or b"").decode("ascii"))
        url = origin.url
        if target.startswith("/"):
            url = URL(f"{url.origin()}{target}", encoded=True)
        body = outgoing.payload
        data: object = None
        if body is not None:
            data = body.in_memory()
            if data is None:
                data = body.stream
        request = ClientRequest(
            outgoing.method,
            url,
            [(name.decode("ascii"), value.decode("latin-1")) for name, value in fields],
            (*ClientRequest.DEFAULT_HEADERS, hdrs.CONTENT_TYPE),
            data,
            ssl=origin.ssl,
            server_hostname=origin.server_hostname,
        )
        request.is_handshake = origin.is_handshake
        request.needs_http1 = origin.needs_http1
        if self.proxy is not None:
            request.use_proxy(self.proxy.options)
        return replace(route, request=request)
