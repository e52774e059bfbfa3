"""Small proxies on loopback that record requests: HTTP, and SOCKS 4, 4a and 5.

They resolve every name to 127.0.0.1.  No other resolver knows names under ``.test``, so a test can
tell whether the proxy or the client has resolved a name.
"""

from __future__ import annotations

import base64
import select
import socket
import ssl
import struct
from contextlib import suppress
from dataclasses import dataclass, field

from yarl import URL

from . import census
from .links import BadRequest, Gone, Head, Link, LinkThreads, Listener, parse_head
from .tls import Authority

REFUSAL = b"go away"


@dataclass
class Seen:
    """What the proxy recorded of one connection."""

    asked: str = ""
    """Where to: ``CONNECT host:port``, ``GET http://…`` or ``SOCKS5 host:port``."""
    head: Head | None = None
    """The request, if it speaks HTTP."""
    user: str = ""
    password: str = ""
    inside: bytearray = field(default_factory=bytearray)
    """What the client sent through the tunnel, or after the first head."""


class Proxy:
    """A proxy that listens until it is stopped.

    :param scheme: scheme of its URL: ``http``, ``https`` or one of ``socks…``
    :param tls: TLS context of an https proxy
    :param login: user name and password that it requires
    """

    def __init__(
        self,
        scheme: str,
        tls: ssl.SSLContext | None = None,
        login: tuple[str, str] | None = None,
    ) -> None:
        self.seen: list[Seen] = []
        #: the response that says that a tunnel is open
        self.established = b"HTTP/1.1 200 Connection established\r\n\r\n"
        self._scheme = scheme
        self._socks = scheme.startswith("socks")
        self._login = login
        self._links = LinkThreads(self._serve)
        self._listener = Listener(self._links.start, tls=tls)

    @property
    def port(self) -> int:
        """The TCP port."""
        return self._listener.port

    @property
    def url(self) -> URL:
        """The URL of the proxy, without credentials."""
        return URL(f"{self._scheme}://localhost:{self.port}")

    @property
    def login_url(self) -> URL:
        """The URL of the proxy, with the credentials that it requires."""
        assert self._login is not None
        return self.url.with_user(self._login[0]).with_password(self._login[1])

    @property
    def open_connections(self) -> int:
        """How many connections from clients are open now."""
        return self._links.open

    def stop(self) -> None:
        """Close everything."""
        self._listener.stop()
        self._links.stop()

    def _serve(self, link: Link) -> None:
        seen = Seen()
        try:
            link.handshake()
            if self._socks:
                self._speak_socks(link, seen)
            else:
                self._speak_http(link, seen)
        except (Gone, BadRequest, OSError, ValueError):
            pass

    # -- HTTP

    def _speak_http(self, link: Link, seen: Seen) -> None:
        head = seen.head = parse_head(link.take_until(b"\r\n\r\n"))
        seen.asked = f"{head.method} {head.target}"
        self.seen.append(seen)
        if self._login is not None:
            wanted = "Basic " + base64.b64encode(":".join(self._login).encode()).decode()
            if head.all("proxy-authorization") != [wanted]:
                link.send(_response("407 Proxy Authentication Required"))
                return
        if head.method == "CONNECT":
            host, _, port = head.target.rpartition(":")
        else:
            url = URL(head.target)
            host, port = url.raw_host or "", str(url.port)
        upstream = _connect(host, int(port))
        if upstream is None:
            link.send(_response("502 Bad Gateway"))
            return
        try:
            if head.method == "CONNECT":
                link.send(self.established)
            else:
                upstream.sendall(_forwarded(head))
            _relay(link, upstream, seen)
        finally:
            census.close(upstream)

    # -- SOCKS

    def _speak_socks(self, link: Link, seen: Seen) -> None:
        version = link.take(1)[0]
        if version == 4:
            host, port = self._read_socks4(link, seen)
        else:
            host, port = self._read_socks5(link, seen)
        seen.asked = f"SOCKS{version} {host}:{port}"
        self.seen.append(seen)
        refused = version == 4 and self._login is not None and seen.user != self._login[0]
        upstream = None if refused else _connect(host, port)
        if version == 4:
            link.send(bytes([0, 91 if upstream is None else 90]) + bytes(6))
        else:
            code = 5 if upstream is None else 0
            link.send(bytes([5, code, 0, 3, 4]) + b"here" + struct.pack("!H", 1080))
        if upstream is not None:
            try:
                _relay(link, upstream, seen)
            finally:
                census.close(upstream)

    @staticmethod
    def _read_socks4(link: Link, seen: Seen) -> tuple[str, int]:
        _, port, address = struct.unpack("!BH4s", link.take(7))
        seen.user = link.take_until(b"\0")[:-1].decode()
        if address[:3] == bytes(3) and address[3]:
            return link.take_until(b"\0")[:-1].decode(), port
        return socket.inet_ntoa(address), port

    def _read_socks5(self, link: Link, seen: Seen) -> tuple[str, int]:
        offered = link.take(link.take(1)[0])
        method = 2 if self._login is not None else 0
        if method not in offered:
            link.send(b"\x05\xff")
            self.seen.append(seen)
            raise Gone("it cannot log in as this proxy wants")
        link.send(bytes([5, method]))
        if self._login is not None:
            link.take(1)
            seen.user = link.take(link.take(1)[0]).decode()
            seen.password = link.take(link.take(1)[0]).decode()
            fits = (seen.user, seen.password) == self._login
            link.send(bytes([1, not fits]))
            if not fits:
                self.seen.append(seen)
                raise Gone("it has the wrong password")
        kind = link.take(4)[3]
        if kind == 3:
            host = link.take(link.take(1)[0]).decode()
        else:
            family = socket.AF_INET if kind == 1 else socket.AF_INET6
            host = socket.inet_ntop(family, link.take(4 if kind == 1 else 16))
        return host, int.from_bytes(link.take(2), "big")


class Proxies:
    """The ``proxies`` fixture: call it to get a :class:`Proxy`."""

    def __init__(self, tls: Authority) -> None:
        self._tls = tls
        self._started: list[Proxy] = []

    def __call__(
        self,
        scheme: str,
        *names: str,
        login: tuple[str, str] | None = None,
        context: ssl.SSLContext | None = None,
    ) -> Proxy:
        """Start a proxy.

        :param names: names in the certificate of an https proxy; ``localhost`` when left out
        :param context: of an https proxy, in the place of one for *names*
        """
        if scheme == "https" and context is None:
            context = self._tls.server_for(*names) if names else self._tls.server
        proxy = Proxy(scheme, context, login)
        self._started.append(proxy)
        return proxy

    def stop(self) -> None:
        """Stop every proxy that was started."""
        for proxy in self._started:
            proxy.stop()


def _response(status: str) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(REFUSAL)}\r\nX-Proxy: yes\r\n\r\n"
    return head.encode() + REFUSAL


def _forwarded(head: Head) -> bytes:
    """Return the request as it is sent to the origin, on a connection for this request only."""
    url = URL(head.target)
    hop = {"proxy-authorization", "proxy-connection"}
    fields = [(name, value) for name, value in head.headers if name.lower() not in hop]
    if not head.has("connection", "upgrade"):
        fields = [(name, value) for name, value in fields if name.lower() != "connection"]
        fields.append(("Connection", "close"))
    lines = [f"{head.method} {url.raw_path_qs} HTTP/1.1", *(f"{n}: {v}" for n, v in fields), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def _connect(host: str, port: int) -> socket.socket | None:
    """Connect to an origin server on loopback."""
    with census.lock:
        upstream = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        census.adopt(upstream)
    try:
        upstream.connect(("::1" if ":" in host else "127.0.0.1", port))
    except OSError:
        census.close(upstream)
        return None
    return upstream


def _relay(link: Link, upstream: socket.socket, seen: Seen) -> None:
    """Forward bytes in both directions until one side ends the connection."""
    seen.inside += link.inbox
    upstream.sendall(link.inbox)
    link.inbox.clear()
    pending = getattr(link.sock, "pending", lambda: 0)
    with suppress(OSError):
        while True:
            sources = [link.sock] if pending() else select.select([link.sock, upstream], [], [])[0]
            for source in sources:
                data = source.recv(65536)
                if not data:
                    return
                if source is upstream:
                    link.sock.sendall(data)
                else:
                    seen.inside += data
                    upstream.sendall(data)
