"""Which protocols a TLS handshake offers, and what comes of the peer's choice."""

from __future__ import annotations

import socket
import ssl
import sys
import threading
from collections.abc import Sequence
from functools import partial
from typing import Any

import anyio.to_thread
import pytest
import truststore
from yarl import URL

from anyhttp import (
    ClientConnectorSSLError,
    ClientSession,
    Fingerprint,
    Http2Options,
    HttpVersion10,
    TCPConnector,
    UnixConnector,
)
from anyhttp._network import NetworkStream
from anyhttp._tasks import ClientTimeout
from anyhttp.client_reqrep import ClientRequest
from anyhttp.connector import BaseConnector
from tests.support.client import get
from tests.support.peer import Peer, Script, Step
from tests.support.proxies import Proxies
from tests.support.tls import Authority

pytest.importorskip("hpack", reason="hpack is not installed (anyhttp-client[http2])")

BOTH = ("h2", "http/1.1")
OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"


def server_context(tls_ca: Authority, protocols: Sequence[str] = BOTH) -> ssl.SSLContext:
    """Return a server's context that chooses from *protocols*, the first one best."""
    context = tls_ca.server_for("localhost", "127.0.0.1")
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


async def peer_with(script: Script, context: ssl.SSLContext | None, **options: Any) -> Peer:
    """Start a peer that accepts connections, and does nothing else."""
    nothing: list[Step] = []
    return await script(nothing, tls=context, repeat=True, partial=True, **options)


async def dial(connector: BaseConnector, url: URL | str, **options: Any) -> NetworkStream:
    """Return a new stream of *connector* to the endpoint of *url*."""
    return await made(connector, ClientRequest("GET", URL(url), **options))


async def made(connector: BaseConnector, request: ClientRequest) -> NetworkStream:
    """Return a new stream of *connector* for *request*."""
    stream = await connector._create_connection(request, (), ClientTimeout())
    assert isinstance(stream, NetworkStream)
    return stream


async def chosen(connector: BaseConnector, url: URL | str, **options: Any) -> str | None:
    """Return what the peer at *url* chooses."""
    stream = await dial(connector, url, **options)
    await stream.aclose()
    return stream.alpn


class TestChoice:
    @pytest.mark.uvloop
    @pytest.mark.parametrize(
        ("spoken", "with_http2", "without"),
        [
            (BOTH, "h2", "http/1.1"),
            (("http/1.1", "h2"), "http/1.1", "http/1.1"),
            (("http/1.1",), "http/1.1", "http/1.1"),
            ((), None, None),
        ],
        ids=["both", "rather-1.1", "only-1.1", "none"],
    )
    async def test_the_peer_chooses(
        self,
        script: Script,
        tls_ca: Authority,
        spoken: Sequence[str],
        with_http2: str | None,
        without: str | None,
    ) -> None:
        """HTTP/2 is offered where it is asked for, and then HTTP/1.1 is offered too."""
        leaf = tls_ca.issue("127.0.0.1")
        context = server_context(tls_ca, spoken)
        leaf.configure_cert(context)
        peer = await peer_with(script, context)
        for verified in (False, Fingerprint(tls_ca.digest(leaf)), tls_ca.new_client()):
            connector = TCPConnector(http2=True, ssl=verified)
            assert await chosen(connector, peer.url) == with_http2
        assert await chosen(TCPConnector(ssl=False), peer.url) == without

    async def test_no_tls_no_choice(self, script: Script) -> None:
        """There is nothing to choose by."""
        peer = await peer_with(script, None)
        assert await chosen(TCPConnector(http2=True), peer.url) is None

    async def test_requests_that_need_http_1_1(self, script: Script, tls_ca: Authority) -> None:
        """A WebSocket, HTTP/1.0, and what a server wants by HTTP/1.1: no HTTP/2 is offered."""
        peer = await peer_with(script, server_context(tls_ca))
        connector = TCPConnector(http2=True, ssl=tls_ca.new_client())
        assert await chosen(connector, peer.url, version=HttpVersion10) == "http/1.1"
        context = tls_ca.new_client()
        context.set_alpn_protocols(["h2", "http/1.1"])
        connector = TCPConnector(http2=True, ssl=context)
        for name in ("is_handshake", "needs_http1"):
            request = ClientRequest("GET", peer.url)
            setattr(request, name, True)
            stream = await made(connector, request)
            await stream.aclose()
            assert stream.alpn == "http/1.1"

    @pytest.mark.parametrize("scheme", ["http", "https", "socks5", "socks4a"])
    async def test_through_a_proxy(
        self, script: Script, tls_ca: Authority, proxies: Proxies, scheme: str
    ) -> None:
        """The origin is offered HTTP/2; the proxy is not, even if it speaks that."""
        if scheme.startswith("socks"):
            pytest.importorskip("socksio", reason="socksio is not installed")
        peer = await peer_with(script, server_context(tls_ca))
        proxy = proxies(scheme, context=server_context(tls_ca) if scheme == "https" else None)
        url = peer.url.with_host("localhost")
        for connector in (
            TCPConnector(http2=True, ssl=tls_ca.new_client()),
            TCPConnector(http2=True, ssl=False),
        ):
            stream = await dial(connector, url, proxy=proxy.url)
            await stream.aclose()
            assert stream.alpn == "h2"
            assert proxy.seen[-1].asked

    async def test_a_tunnel_for_one_exchange(
        self, script: Script, tls_ca: Authority, proxies: Proxies
    ) -> None:
        """A proxy that is asked to close the connection gets no HTTP/2 through it."""
        peer = await peer_with(script, server_context(tls_ca))
        connector = TCPConnector(http2=True, ssl=tls_ca.new_client())
        options = {"proxy": proxies("http").url, "proxy_headers": {"Connection": "close"}}
        assert await chosen(connector, peer.url, **options) == "http/1.1"

    async def test_of_a_unix_socket(self, script: Script, tls_ca: Authority) -> None:
        """As over TCP."""
        peer = await peer_with(script, server_context(tls_ca), unix=True)
        for http2, wanted in ((True, "h2"), (False, "http/1.1")):
            connector = UnixConnector(peer.unix_path, http2=http2)
            assert await chosen(connector, "https://localhost/", ssl=False) == wanted


class TestContexts:
    """Those of programs, which know one list of protocols for all connections."""

    async def test_it_offers_http_1_1_afterwards(self, script: Script, tls_ca: Authority) -> None:
        """So other users of the context do not get HTTP/2, which they may not speak."""
        peer = await peer_with(script, server_context(tls_ca))
        context = tls_ca.new_client()
        assert await chosen(TCPConnector(http2=True, ssl=context), peer.url) == "h2"
        assert await chosen(TCPConnector(ssl=context), peer.url) == "http/1.1"
        assert await chosen(TCPConnector(http2=True), peer.url, ssl=context) == "h2"
        with socket.create_connection(("127.0.0.1", peer.port)) as plain:
            with context.wrap_socket(plain, server_hostname="localhost") as theirs:
                assert theirs.selected_alpn_protocol() == "http/1.1"

    @pytest.mark.skipif(sys.platform in {"win32", "darwin"}, reason="it asks the system there")
    @pytest.mark.parametrize("http2", [True, False])
    async def test_of_a_class_of_its_own(
        self, script: Script, tls_ca: Authority, http2: bool
    ) -> None:
        """Such as truststore's."""
        peer = await peer_with(script, server_context(tls_ca))
        context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        tls_ca.trust(context)
        for _ in range(2):
            alpn = await chosen(TCPConnector(http2=http2, ssl=context), peer.url)
            assert alpn == ("h2" if http2 else None)

    async def test_one_that_a_subclass_chooses(self, script: Script, tls_ca: Authority) -> None:
        """Also one of ours, which other connectors share."""

        class Own(TCPConnector):
            def _get_ssl_context(self, req: Any) -> ssl.SSLContext | None:
                return super()._get_ssl_context(req)

        peer = await peer_with(script, server_context(tls_ca))
        assert await chosen(Own(http2=True, ssl=False), peer.url) == "h2"
        assert await chosen(TCPConnector(ssl=False), peer.url) == "http/1.1"

    @pytest.mark.once
    async def test_threads_do_not_disturb_each_other(
        self, script: Script, tls_ca: Authority
    ) -> None:
        """Each handshake offers what its connector wants, although they share a context."""
        peer = await peer_with(script, server_context(tls_ca))
        context = tls_ca.new_client()
        assert await chosen(TCPConnector(http2=True, ssl=context), peer.url) == "h2"
        seen: dict[bool, set[str | None]] = {True: set(), False: set()}

        def run(http2: bool) -> None:
            async def dial_often() -> None:
                for _ in range(15):
                    connector = TCPConnector(http2=http2, ssl=context)
                    seen[http2].add(await chosen(connector, peer.url))

            anyio.run(dial_often)

        threads = [threading.Thread(target=run, args=[http2]) for http2 in (True, False)]
        for thread in threads:
            thread.start()
        for thread in threads:
            await anyio.to_thread.run_sync(thread.join)
        assert seen == {True: {"h2"}, False: {"http/1.1"}}

    async def test_what_was_not_asked_for_is_refused(
        self, script: Script, tls_ca: Authority
    ) -> None:
        """A context of a program may offer anything; what is not spoken here is an error."""
        peer = await peer_with(script, server_context(tls_ca, ("spdy/3", "h2")))
        context = tls_ca.new_client()
        context.set_alpn_protocols(["spdy/3", "h2"])
        with pytest.raises(ClientConnectorSSLError, match=r"'spdy/3'.*offer http/1\.1 alone"):
            await chosen(TCPConnector(ssl=context), peer.url)
        context.set_alpn_protocols(["h2"])
        with pytest.raises(ClientConnectorSSLError, match=r"'h2'.*offer http/1\.1 alone"):
            await chosen(TCPConnector(ssl=context), peer.url)
        assert await chosen(TCPConnector(http2=True, ssl=context), peer.url) == "h2"


@pytest.mark.usefixtures("resumption")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_sessions_are_kept_apart(
    script: Script, tls_ca: Authority, version: ssl.TLSVersion
) -> None:
    """No connection resumes the session of one that offered other protocols."""
    server = server_context(tls_ca, ("http/1.1",))
    server.maximum_version = version
    peer = await script([(b"GET / ", OK)], tls=server, repeat=True, partial=True)
    context = tls_ca.new_client()
    connector = TCPConnector(ssl=context, http2=True)
    async with (
        ClientSession(connector=connector) as session,
        ClientSession(connector=connector, version=HttpVersion10) as older,
    ):
        for client, resumed in ((session, 0), (session, 2), (older, 2), (older, 4), (session, 6)):
            for _ in range(2):
                await get(client, peer.url)
            assert server.session_stats()["hits"] == resumed


class TestOption:
    @pytest.mark.once
    async def test_wrong_values(self) -> None:
        """The message says what can be given."""
        values: tuple[tuple[Any, type[Exception]], ...] = (
            (None, TypeError),
            (1, TypeError),
            ("yes", ValueError),
            ("h2", ValueError),
        )
        value: Any
        for value, error in values:
            for make in (TCPConnector, partial(UnixConnector, "/x")):
                with pytest.raises(error, match='http2 must be True, False or "prior-knowledge"'):
                    make(http2=value)

    @pytest.mark.once
    @pytest.mark.parametrize("value", [True, "prior-knowledge"])
    async def test_without_the_library(self, monkeypatch: pytest.MonkeyPatch, value: Any) -> None:
        """The error names what to install."""
        monkeypatch.setitem(sys.modules, "hpack", None)
        with pytest.raises(RuntimeError, match=r"pip install 'anyhttp-client\[http2\]'"):
            TCPConnector(http2=value)
        TCPConnector(http2=False)

    @pytest.mark.once
    async def test_settings(self) -> None:
        """They are checked, and need the option that they belong to."""
        options = Http2Options(stream_window=70_000)
        TCPConnector(http2=True, http2_options=options)
        UnixConnector("/x", http2="prior-knowledge", http2_options=options)
        with pytest.raises(ValueError, match="http2_options without http2"):
            TCPConnector(http2_options=options)
        with pytest.raises(TypeError, match="http2_options must be"):
            TCPConnector(http2=True, http2_options={"stream_window": 70_000})  # type: ignore[arg-type]
