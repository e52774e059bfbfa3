"""A server refuses the client's certificate by an alert, after the client has begun to send.

In TLS 1.3 the client's part of the handshake ends before the server has read the certificate.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import anyio
import pytest
from anyio.abc import ByteStream

from anyhttp import ClientConnectorSSLError, ClientSession, TCPConnector, TraceConfig
from anyhttp._common import ConnectionKey
from anyhttp._network import NetworkStream, start_tls
from anyhttp._network.tls_stream import TlsRefused, TlsStream
from tests.support.client import assert_free
from tests.support.links import Gone, Link, LinkThreads, Listener
from tests.support.tls import Authority
from tests.support.waiting import until

pytestmark = pytest.mark.uvloop


class RefusingServer:
    """Does the handshake, sends the alert, and resets the connection."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.resets = 0
        self._links = LinkThreads(self._serve)
        self._listener = Listener(self._links.start, tls=context)

    def _serve(self, link: Link) -> None:
        with suppress(Gone):
            link.handshake()
        link.reset()
        self.resets += 1

    @property
    def url(self) -> str:
        """The root URL."""
        return f"https://localhost:{self._listener.port}/"

    def stop(self) -> None:
        """Stop listening."""
        self._listener.stop()
        self._links.stop()


@pytest.fixture
def server_context(tls_ca: Authority) -> ssl.SSLContext:
    """The context of a server that wants a certificate of the client."""
    context = tls_ca.server_for("localhost")
    context.verify_mode = ssl.CERT_REQUIRED
    tls_ca.trust(context)
    return context


@pytest.fixture
def refusing(server_context: ssl.SSLContext) -> Iterator[RefusingServer]:
    """A server that refuses every client."""
    server = RefusingServer(server_context)
    yield server
    server.stop()


async def pieces() -> AsyncIterator[bytes]:
    """A body that is sent by a task."""
    for _ in range(50):
        yield b"x" * 16384


def session_for(tls_ca: Authority, http1: str, refusing: RefusingServer) -> ClientSession:
    """Return a session that sends only when the connection has been reset."""

    async def on_created(*_: object) -> None:
        await until(lambda: refusing.resets == 1, "the server to reset the connection")

    traces = TraceConfig()
    traces.on_connection_create_end.append(on_created)
    connector = TCPConnector(http1=http1, ssl=tls_ca.client)
    return ClientSession(connector=connector, trace_configs=[traces])


def says_why(error: ClientConnectorSSLError) -> bool:
    """Whether *error* shows the alert."""
    return "CERTIFICATE_REQUIRED" in str(error) and isinstance(error.os_error, ssl.SSLError)


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("GET", {}),
        ("POST", {"data": b"x" * 500_000}),
        ("POST", {"data": pieces}),
    ],
    ids=["get", "large body", "upload"],
)
@pytest.mark.parametrize("entered", [True, False])
async def test_the_alert_is_the_error(
    tls_ca: Authority,
    refusing: RefusingServer,
    http1: str,
    method: str,
    options: dict[str, Any],
    entered: bool,
) -> None:
    """Sending fails with a reset, but the alert had come before."""
    options = {name: value() if callable(value) else value for name, value in options.items()}
    session = session_for(tls_ca, http1, refusing)
    try:
        if entered:
            await session.__aenter__()
        with pytest.raises(ClientConnectorSSLError, match=r"to host localhost:\d+") as caught:
            await session.request(method, refusing.url, **options)
        assert says_why(caught.value)
        assert_free(session, idle=0)
    finally:
        if entered:
            await session.__aexit__(None, None, None)
        await session.close()


async def test_a_websocket_handshake(
    tls_ca: Authority, refusing: RefusingServer, http1: str
) -> None:
    """It is a request like any other."""
    async with session_for(tls_ca, http1, refusing) as session:
        with pytest.raises(ClientConnectorSSLError) as caught:
            await session.ws_connect(refusing.url)
        assert says_why(caught.value)


@pytest.mark.parametrize("url", ["http://origin.test/", "https://origin.test/"])
async def test_an_https_proxy(
    tls_ca: Authority, refusing: RefusingServer, http1: str, url: str
) -> None:
    """The error names the proxy, whether a request or ``CONNECT`` was sent."""
    async with session_for(tls_ca, http1, refusing) as session:
        with pytest.raises(ClientConnectorSSLError, match=r"through proxy localhost") as caught:
            await session.get(url, proxy=refusing.url)
        assert says_why(caught.value)
        assert_free(session, idle=0)


class Broken(ByteStream):
    """A stream of which the last *sends* fail, with a server below that answers the others.

    :param sends: how many sends succeed
    :param objects: whether the server receives a wrong record instead, and sends an alert
    """

    def __init__(self, context: ssl.SSLContext, sends: int, *, objects: bool = False) -> None:
        self._objects = objects
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._sends = sends
        self.last_words = b""

    async def send(self, item: bytes) -> None:
        """Let the server see *item*, or fail."""
        if not self._sends:
            if self._objects:
                self._incoming.write(b"\x17\x03\x03\x00\x05wrong")
                with pytest.raises(ssl.SSLError):
                    self._tls.do_handshake()
            raise anyio.BrokenResourceError from ConnectionResetError(104, "reset")
        self._sends -= 1
        self._incoming.write(item)
        with suppress(ssl.SSLWantReadError):
            self._tls.do_handshake()

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Return what the server says, and at last an alert."""
        data = self._outgoing.read()
        if not data:
            data, self.last_words = self.last_words, b""
        if not data:
            raise anyio.EndOfStream
        return data

    async def send_eof(self) -> None:
        """Do nothing."""

    async def aclose(self) -> None:
        """Do nothing."""


#: A fatal alert, unencrypted as it is in the beginning: handshake_failure (RFC 8446 §6)
ALERT = b"\x15\x03\x03\x00\x02\x02\x28"


async def test_an_alert_before_the_last_send_of_tls12(tls_ca: Authority) -> None:
    """The client's certificate cannot be sent any more; the alert that has come is the error."""
    context = tls_ca.server_for("localhost")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    below = Broken(context, sends=1)
    below.last_words = ALERT
    with pytest.raises(ssl.SSLError, match="ALERT_HANDSHAKE_FAILURE"):
        await TlsStream.wrap(below, tls_ca.client, "localhost")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_handshake_that_cannot_be_sent(tls_ca: Authority, version: ssl.TLSVersion) -> None:
    """Without an alert, the failed sending is the error."""
    context = tls_ca.server_for("localhost")
    context.maximum_version = version
    with pytest.raises(anyio.BrokenResourceError) as caught:
        await TlsStream.wrap(Broken(context, sends=1), tls_ca.client, "localhost")
    assert isinstance(caught.value.__cause__, ConnectionResetError)
    assert not isinstance(caught.value, TlsRefused)


async def test_an_alert_before_the_last_send_of_tls13(tls_ca: Authority) -> None:
    """The handshake is over for the client, which cannot send that; the alert is the error."""
    below = Broken(tls_ca.server_for("localhost"), sends=1, objects=True)
    with pytest.raises(TlsRefused) as caught:
        await TlsStream.wrap(below, tls_ca.client, "localhost")
    assert "ALERT" in str(caught.value.__cause__)


async def test_a_refusal_while_a_connection_is_made(tls_ca: Authority) -> None:
    """Whoever connects learns which host refused, and by which alert."""
    below = Broken(tls_ca.server_for("localhost"), sends=1, objects=True)
    key = ConnectionKey("name.test", 443, True, tls_ca.client, None, None, None)
    with pytest.raises(ClientConnectorSSLError, match=r"name\.test:443") as caught:
        await start_tls(NetworkStream(below), "localhost", key)
    assert "ALERT" in str(caught.value.os_error)
