"""The request that opens a WebSocket: its key, its redirects, its proxies, and its refusal."""

from __future__ import annotations

import re

import anyio.lowlevel
import pytest
from yarl import URL

from anyhttp import (
    ClientHandlerType,
    ClientHttpProxyError,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    InvalidUrlRedirectClientError,
    NonHttpUrlRedirectClientError,
    TCPConnector,
    WSServerHandshakeError,
)
from tests.support import websocket
from tests.support.cancel import cancel_at_every_checkpoint
from tests.support.client import assert_free, client
from tests.support.peer import CLOSE, STALL, Peer, Script, Step
from tests.support.proxies import Proxies
from tests.support.tls import Authority
from tests.support.websocket import Accept, Frame

pytestmark = pytest.mark.http1_only("handshakes of HTTP/1.1; RFC 8441 has its own tests")

GET = b"GET / HTTP/1.1\r\n"
BYE = Frame(websocket.CLOSE, b"\x03\xe8")
FAREWELL: Step = (BYE, websocket.close(1000))
WEBSOCKET: list[Step] = [(GET, Accept()), FAREWELL]
PROXY_VARIABLES = [
    name
    for scheme in ("http", "https", "ws", "wss", "all", "no")
    for name in (f"{scheme}_proxy", f"{scheme}_proxy".upper())
]


def keys(*peers: Peer) -> list[bytes]:
    """Return the key of each handshake that *peers* have received, which are all well formed."""
    found = [
        key
        for peer in peers
        for request in peer.requests
        for key in re.findall(rb"\r\nSec-WebSocket-Key: (\S+)\r\n", request)
    ]
    assert {len(key) for key in found} == {24}
    return found


def moved(location: object) -> bytes:
    """Return a redirect."""
    return b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % (
        str(location).encode()
    )


class TestKey:
    """RFC 6455 §4.1: "The nonce MUST be selected randomly for each connection"."""

    async def test_of_a_redirected_handshake(self, script: Script, http1: str) -> None:
        """Each request of the chain has a key of its own, and the last one is checked."""
        peer = await script([(GET, moved("/a")), (b"GET /a ", Accept()), FAREWELL])
        async with client(http1) as session, session.ws_connect(peer.url):
            pass
        assert len({*keys(peer)}) == 2

    async def test_of_a_handshake_on_a_connection_that_was_stale(
        self, script: Script, http1: str
    ) -> None:
        """The second attempt is another handshake."""
        response = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        peer = await script([(b"GET /x ", response), (GET, CLOSE)], WEBSOCKET)
        async with client(http1) as session:
            async with session.get(peer.url / "x"):
                pass
            async with session.ws_connect(peer.url):
                pass
        assert len({*keys(peer)}) == 2

    @pytest.mark.parametrize("own", [False, True])
    async def test_of_a_handshake_that_a_middleware_repeats(
        self, script: Script, http1: str, own: bool
    ) -> None:
        """As one for digest authentication does; a key of the caller's is replaced."""

        async def repeat(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            await handler(request)
            return await handler(request)

        refusal = b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n"
        peer = await script([(GET, refusal), *WEBSOCKET])
        headers = {"sec-websocket-key": "x" * 24} if own else None
        async with client(http1, middlewares=[repeat]) as session:
            async with session.ws_connect(peer.url, headers=headers):
                pass
        assert len({*keys(peer)}) == 2


class TestRedirects:
    async def test_to_a_url_of_a_websocket(self, script: Script, http1: str) -> None:
        """Servers name the scheme of the URL that they were called by."""
        there = await script([(b"GET /there ", Accept()), FAREWELL])
        target = there.url.with_scheme("ws") / "there"
        here = await script([(GET, moved(target))])
        async with client(http1) as session:
            async with session.ws_connect(here.url.with_scheme("ws")) as ws:
                assert not ws.closed

    async def test_to_tls(self, script: Script, http1: str, tls_ca: Authority) -> None:
        """From ws to wss, and from there to https."""
        last = await script([(b"GET /b ", Accept()), FAREWELL], tls=tls_ca.server)
        then = await script([(b"GET /a ", moved(last.url / "b"))], tls=tls_ca.server)
        first = await script([(GET, moved(then.url.with_scheme("wss") / "a"))])
        connector = TCPConnector(ssl=tls_ca.client, http1=http1)
        async with ClientSession(connector=connector) as session:
            async with session.ws_connect(first.url.with_scheme("ws")) as ws:
                assert ws.get_extra_info("ssl_object") is not None

    @pytest.mark.parametrize("start", ["wss", "https"])
    @pytest.mark.parametrize("scheme", ["ws", "http"])
    async def test_from_tls_to_none_is_refused(
        self, script: Script, http1: str, tls_ca: Authority, start: str, scheme: str
    ) -> None:
        """What was to be encrypted is not sent in the clear."""
        here = await script([(GET, moved(f"{scheme}://127.0.0.1:1/"))], tls=tls_ca.server)
        connector = TCPConnector(ssl=tls_ca.client, http1=http1)
        async with ClientSession(connector=connector) as session:
            with pytest.raises(InvalidUrlRedirectClientError, match="without TLS"):
                await session.ws_connect(here.url.with_scheme(start))
            assert_free(session)

    async def test_of_another_request_go_to_no_websocket(self, script: Script, http1: str) -> None:
        """Only a handshake can be sent there."""
        here = await script([(GET, moved("ws://127.0.0.1:1/"))])
        async with client(http1) as session:
            with pytest.raises(NonHttpUrlRedirectClientError):
                await session.get(here.url)


class TestRefusal:
    REPLY = b"HTTP/1.1 403 No\r\nContent-Length: 12\r\n\r\nnot for you!"

    async def test_has_the_body(self, script: Script, http1: str) -> None:
        """It says why, and the connection is closed."""
        peer = await script([(GET, self.REPLY)])
        async with client(http1) as session:
            with pytest.raises(WSServerHandshakeError) as caught:
                await session.ws_connect(peer.url)
            assert (caught.value.status, caught.value.body) == (403, b"not for you!")
            assert_free(session)

    async def test_has_the_beginning_of_a_body_that_does_not_end(
        self, script: Script, http1: str
    ) -> None:
        """For as long as the request's time lasts, but a second at most."""
        peer = await script([(GET, [self.REPLY[:-5], STALL])])
        async with client(http1, timeout=ClientTimeout(total=0.3)) as session:
            with pytest.raises(WSServerHandshakeError) as caught:
                await session.ws_connect(peer.url)
            assert caught.value.body == b"not for"
            assert_free(session)

    async def test_can_be_cancelled(self, script: Script, http1: str) -> None:
        """The connection is closed."""
        reply = self.REPLY.replace(b"No\r\n", b"No\r\nConnection: close\r\n")
        peer = await script([(GET, [reply[:-5], reply[-5:]])], repeat=True, partial=True)
        async with client(http1) as session:

            async def connect() -> None:
                with pytest.raises(WSServerHandshakeError):
                    await session.ws_connect(peer.url)

            async def check() -> None:
                await anyio.lowlevel.checkpoint()
                assert_free(session)

            assert await cancel_at_every_checkpoint(connect, after=check)

    @pytest.mark.parametrize("theirs", ["c", "a, c"])
    async def test_by_a_subprotocol_that_was_not_offered(
        self, script: Script, http1: str, theirs: str
    ) -> None:
        """RFC 6455 §4.1: the client fails the connection."""
        peer = await script([(GET, Accept(fields=(f"Sec-WebSocket-Protocol: {theirs}",)))])
        async with client(http1) as session:
            with pytest.raises(WSServerHandshakeError, match="Invalid subprotocol 'c'"):
                await session.ws_connect(peer.url, protocols=["a", "b"])

    async def test_not_by_a_subprotocol_that_a_header_offered(
        self, script: Script, http1: str
    ) -> None:
        """Kubernetes' client, for one, writes the field itself; the server may choose from it."""
        peer = await script([(GET, Accept(fields=("Sec-WebSocket-Protocol: c",))), FAREWELL])
        async with client(http1) as session:
            headers = {"sec-websocket-protocol": "b, c"}
            async with session.ws_connect(peer.url, headers=headers) as websocket:
                assert websocket.protocol == "c"


class TestProxy:
    @pytest.fixture(autouse=True)
    def without_proxies(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Set no variables."""
        for name in PROXY_VARIABLES:
            monkeypatch.delenv(name, raising=False)

    @pytest.mark.parametrize("scheme", ["ws", "http"])
    async def test_opens_a_tunnel(
        self, script: Script, proxies: Proxies, http1: str, scheme: str
    ) -> None:
        """RFC 6455 §4.1, whatever the URL is called; the origin gets nothing for the proxy."""
        origin = await script(WEBSOCKET)
        proxy = proxies("http", login=("user", "secret"))
        async with client(http1) as session:
            url = origin.url.with_scheme(scheme)
            async with session.ws_connect(url, proxy=proxy.login_url):
                pass
            assert_free(session, idle=0)
        (seen,) = proxy.seen
        assert seen.asked == f"CONNECT 127.0.0.1:{origin.port}"
        assert b"proxy-authorization" not in origin.requests[0].lower()

    async def test_its_tunnel_is_not_for_requests_that_are_forwarded(
        self, script: Script, http1: str
    ) -> None:
        """Nor the other way round: inside a tunnel the target has another form."""
        ok = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        proxy = await script(
            [(b"GET http://a.test/b ", ok), (b"GET http://a.test/d ", ok)],
            [
                (b"CONNECT a.test:80 ", b"HTTP/1.1 200 OK\r\n\r\n"),
                (b"GET /c ", moved("/")),
                *WEBSOCKET,
            ],
        )
        async with client(http1, proxy=proxy.url) as session:
            async with session.get("http://a.test/b"):
                pass
            async with session.ws_connect("http://a.test/c"):
                pass
            async with session.get("http://a.test/d"):
                pass

    async def test_that_refuses(self, script: Script, http1: str) -> None:
        """The error is the proxy's."""
        peer = await script([(b"CONNECT a.test:80 ", TestRefusal.REPLY)])
        async with client(http1) as session:
            with pytest.raises(ClientHttpProxyError) as caught:
                await session.ws_connect("ws://a.test/", proxy=peer.url)
            assert caught.value.body == b"not for you!"

    @pytest.mark.parametrize(
        ("variables", "scheme", "used"),
        [
            (["WS_PROXY", "HTTP_PROXY"], "ws", "WS_PROXY"),
            (["WS_PROXY", "HTTP_PROXY"], "http", "WS_PROXY"),
            (["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"], "ws", "HTTP_PROXY"),
            (["HTTPS_PROXY", "WSS_PROXY", "ALL_PROXY"], "ws", "ALL_PROXY"),
            (["WSS_PROXY", "HTTPS_PROXY"], "wss", "WSS_PROXY"),
            (["WSS_PROXY", "HTTPS_PROXY"], "https", "WSS_PROXY"),
            (["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"], "wss", "HTTPS_PROXY"),
            (["WS_PROXY", "HTTP_PROXY", "ALL_PROXY"], "wss", "ALL_PROXY"),
        ],
    )
    async def test_of_the_environment(
        self,
        script: Script,
        http1: str,
        monkeypatch: pytest.MonkeyPatch,
        variables: list[str],
        scheme: str,
        used: str,
    ) -> None:
        """That of the WebSocket's own scheme, else that of its requests, else that of all."""
        port = 80 if scheme in {"ws", "http"} else 443
        peer = await script([(b"CONNECT a.test:%d " % port, TestRefusal.REPLY)])
        for name in variables:
            monkeypatch.setenv(name, str(peer.url if name == used else URL("http://127.0.0.1:1")))
        async with client(http1, trust_env=True) as session:
            with pytest.raises(ClientHttpProxyError):
                await session.ws_connect(f"{scheme}://a.test/")

    @pytest.mark.parametrize("variable", ["WS_PROXY", "HTTP_PROXY", "ALL_PROXY"])
    async def test_of_the_environment_is_bypassed(
        self, script: Script, http1: str, monkeypatch: pytest.MonkeyPatch, variable: str
    ) -> None:
        """``NO_PROXY`` holds for WebSockets, too."""
        monkeypatch.setenv(variable, "http://127.0.0.1:1")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        peer = await script(WEBSOCKET)
        async with client(http1, trust_env=True) as session:
            async with session.ws_connect(peer.url.with_scheme("ws")):
                pass
