"""A gateway that brings WebSockets over HTTP/2 (:rfc:`8441`) to peers that speak HTTP/1.1.

So what is written for a scripted peer can be run over HTTP/2 as well: the sessions of a gateway
send the requests that it is to pass on over one connection to it, whatever their URL is.
"""

from __future__ import annotations

import base64
import os
import socket
import ssl
import struct
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from h2.errors import ErrorCodes
from h2.settings import SettingCodes

from anyhttp import ClientRequest, ClientSession, ClientTimeout
from anyhttp.connector import Connection
from anyhttp.tracing import Trace

from . import census
from .http2_client import OneConnection
from .http2_server import Http2Exchange, Http2Server
from .links import PATIENCE, Gone
from .waiting import comes_true

#: Fields that belong to one connection, and the answer to a key that only HTTP/1.1 has.
_OF_HTTP1 = {"connection", "sec-websocket-accept", "upgrade"}

_NO_LIMITS: Final = ClientTimeout()


class Gateway:
    """An HTTP/2 server which passes WebSockets on, and whose other answers are empty."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        settings: dict[SettingCodes | int, int] = {SettingCodes.ENABLE_CONNECT_PROTOCOL: 1}
        self.server = Http2Server(tls, self._answer, settings=settings)
        self.tls_ports: set[int] = set()
        """Those of the peers that speak TLS."""
        self.closing: set[Http2Exchange] = set()
        """Those whose last bytes look like a CLOSE frame with a code, or without one."""

    @property
    def port(self) -> int:
        """Where it listens without TLS."""
        port = self.server.url.port
        assert port is not None
        return port

    def stop(self) -> None:
        """Close everything."""
        self.server.stop()

    def session(self, *, force_close: bool = False, **options: Any) -> ClientSession:
        """Return a session whose requests all go over one connection to the gateway.

        :param options: options of :class:`ClientSession`
        """
        return ClientSession(connector=_GatewayConnector(self), **options)

    @property
    def has_all(self) -> bool:
        """Whether it has received the end of each request, or what may be a CLOSE frame."""
        return all(
            each.complete or each.reset_code is not None or each in self.closing
            for each in self.server.exchanges
        )

    def _answer(self, exchange: Http2Exchange) -> None:
        if exchange.protocol is None:
            exchange.respond()
            return
        host, _, port = exchange.head.all("host")[0].rpartition(":")
        with census.lock:
            backend = socket.create_connection((host, int(port)))
            census.adopt(backend)
        tls = int(port) in self.tls_ports
        backend.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            backend = _encrypted(backend)
        forwarding = threading.Thread(target=self._forward, args=[exchange, backend], daemon=True)
        try:
            backend.sendall(_request(exchange))
            head, rest = _take_head(backend)
            forwarding.start()
            _back(exchange, backend, head, rest)
        except OSError:
            with suppress(Gone):
                exchange.reset(ErrorCodes.CANCEL)
        finally:
            with suppress(OSError):
                backend.shutdown(socket.SHUT_RDWR)
            if forwarding.ident is not None:
                forwarding.join()
            census.close(backend)

    def _forward(self, exchange: Http2Exchange, backend: socket.socket) -> None:
        """Pass on what the client sends; its reset becomes one, too."""
        try:
            for piece in exchange.body():
                backend.sendall(piece)
                if b"\x88" in (piece[-8:-7], piece[-6:-5]):
                    self.closing.add(exchange)
            backend.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        except Gone:
            linger = struct.pack("ii", 1, 0)
            with suppress(OSError):
                backend.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                backend.shutdown(socket.SHUT_RDWR)


class _GatewayConnector(OneConnection):
    """Closes its connection, too, and notes which peers speak TLS."""

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(gateway.port)
        self._gateway = gateway

    async def connect(
        self, req: ClientRequest, traces: Sequence[Trace] = (), timeout: ClientTimeout = _NO_LIMITS
    ) -> Connection:
        """Return a stream of the connection."""
        if req.is_ssl():
            self._gateway.tls_ports.add(int(req.port or 443))
        return await super().connect(req, traces, timeout)

    async def close(self, *, abort_ssl: bool = False) -> None:
        """Close the connection when the gateway has what was sent.

        A socket that is closed while bytes in it are unread makes the peer lose what it was sent.
        Here these would be the frames that give back windows.
        """
        try:
            await super().close(abort_ssl=abort_ssl)
            await comes_true(lambda: self._gateway.has_all, seconds=PATIENCE)
        finally:
            await self.close_connection()


def _encrypted(backend: socket.socket) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with census.lock:
        encrypted = context.wrap_socket(backend, do_handshake_on_connect=False)
    encrypted.do_handshake()
    return encrypted


def _request(exchange: Http2Exchange) -> bytes:
    """Return the handshake of HTTP/1.1 that an extended CONNECT stands for."""
    head = exchange.head
    key = base64.b64encode(os.urandom(16)).decode()
    fields = [
        *head.headers, ("Upgrade", "websocket"), ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", key),
    ]  # fmt: skip
    lines = [f"GET {head.target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _take_head(backend: socket.socket) -> tuple[bytes, bytes]:
    """Return the head of the response, and the bytes after it."""
    received = b""
    while b"\r\n\r\n" not in received:
        data = backend.recv(65_536)
        if not data:
            raise ConnectionError("no response")
        received += data
    head, _, rest = received.partition(b"\r\n\r\n")
    return head, rest


def _back(exchange: Http2Exchange, backend: socket.socket, head: bytes, rest: bytes) -> None:
    """Pass the response on, and all that follows."""
    start, *lines = head.decode("latin-1").split("\r\n")
    status = int(start.split()[1])
    pairs = (line.partition(":") for line in lines)
    fields = [(name.lower(), value.strip()) for name, _, value in pairs]
    kept = [pair for pair in fields if pair[0] not in _OF_HTTP1]
    exchange.send_head(200 if status == 101 else status, *kept)
    length = None if status == 101 else int(dict(fields).get("content-length", 0))
    while length is None or length > 0:
        if rest:
            exchange.send(rest)
            length = None if length is None else length - len(rest)
        elif length == 0:
            break
        rest = backend.recv(65_536)
        if not rest:
            break
    exchange.end()
