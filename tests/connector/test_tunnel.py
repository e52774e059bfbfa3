"""Ways through proxies: who is told which credentials, and which tunnels are used again."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import ByteStream
from multidict import CIMultiDict
from yarl import URL

from anyhttp import (
    BasicAuth,
    ClientConnectorCertificateError,
    ClientHttpProxyError,
    ClientProxyConnectionError,
    ClientRequest,
    ClientSession,
    ClientTimeout,
    Fingerprint,
    ProxyConnector,
    ServerFingerprintMismatch,
    TCPConnector,
    TraceConfig,
    UnixConnector,
    encode_basic_auth,
)
from anyhttp._http1 import engine_class
from anyhttp._network.stream import NetworkStream
from anyhttp.connector._tunnel import ConnectRequest, open_http_tunnel
from tests.support.census import assert_no_tokens
from tests.support.proxies import REFUSAL, Proxies, Proxy
from tests.support.server import Server
from tests.support.tls import Authority

pytest.importorskip("socksio", reason="socksio is not installed (anyhttp-client[socks])")

A = ("alice", "secret-a")
B = ("bob", "secret-b")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start from an environment without any."""
    for scheme in ("http", "https", "ws", "wss", "all", "no"):
        monkeypatch.delenv(f"{scheme}_proxy", raising=False)
        monkeypatch.delenv(f"{scheme}_proxy".upper(), raising=False)
    monkeypatch.setenv("NETRC", "/dev/null")


def connector(tls: Authority, **options: Any) -> TCPConnector:
    """Return a connector that trusts the test authority."""
    return TCPConnector(ssl=tls.client, **options)


async def echo(session: ClientSession, url: URL, **options: Any) -> dict[str, str]:
    """Return the headers that arrived at the origin, by name in lower case."""
    async with session.get(url, **options) as response:
        assert response.status == 200
        headers = json.loads(await response.read())["headers"]
    found = {name.lower(): value for name, value in headers}
    assert len(found) == len(headers)
    return found


def told(proxy: Proxy) -> list[dict[str, str]]:
    """Return the headers of each request that a proxy saw, by name in lower case."""
    return [
        {name.lower(): value for name, value in seen.head.headers}
        for seen in proxy.seen
        if seen.head is not None
    ]


# -- credentials -----------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["http", "https", "socks5h"])
@pytest.mark.parametrize("tls", [False, True], ids=["to-http", "to-https"])
async def test_credentials_go_to_the_proxy_and_nowhere_else(
    server: Server, proxies: Proxies, tls_ca: Authority, scheme: str, tls: bool
) -> None:
    """Nor do the origin's go to the proxy, where there is a tunnel."""
    proxy = proxies(scheme, login=A)
    async with ClientSession(
        connector=connector(tls_ca),
        headers={"Authorization": "Bearer origin", "Proxy-Authorization": "Bearer stray"},
    ) as session:
        origin = (server.https_url if tls else server.url) / "echo"
        headers = await echo(
            session,
            origin,
            proxy=proxy.url,
            proxy_auth=BasicAuth(*A),
            proxy_headers={"X-Proxy": "1"},
        )
    assert headers["authorization"] == "Bearer origin"
    assert "proxy-authorization" not in headers
    (seen,) = proxy.seen
    if scheme == "socks5h":
        assert (seen.user, seen.password) == A
        assert "x-proxy" not in headers
        return
    (heard,) = told(proxy)
    assert heard["proxy-authorization"] == encode_basic_auth(*A)
    assert heard["x-proxy"] == "1"
    assert heard.get("authorization") == (None if tls else "Bearer origin")
    assert ("x-proxy" in headers) is not tls


@pytest.mark.parametrize("session_level", [True, False], ids=["session", "request"])
async def test_a_redirect_across_schemes_with_one_proxy(
    server: Server, proxies: Proxies, tls_ca: Authority, session_level: bool
) -> None:
    """The proxy is told its credentials for both hops, the two origins neither."""
    proxy = proxies("http", login=A)
    given: dict[str, Any] = {"proxy": proxy.login_url}
    async with ClientSession(
        connector=connector(tls_ca), **(given if session_level else {})
    ) as session:
        for first, second in [(server.url, server.https_url), (server.https_url, server.url)]:
            url = (first / "redirect-to").with_query(url=str(second / "echo"))
            headers = await echo(session, url, **({} if session_level else given))
            assert "proxy-authorization" not in headers
    assert [seen.asked.split()[0] for seen in proxy.seen] == ["GET", "CONNECT", "GET"]
    # the second request for https found the tunnel of the first
    assert {heard["proxy-authorization"] for heard in told(proxy)} == {encode_basic_auth(*A)}


async def test_a_redirect_across_proxies(
    server: Server, proxies: Proxies, tls_ca: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment is asked for each hop; what one proxy is told, no other one hears."""
    plain, secure = proxies("http", login=A), proxies("https", login=B)
    monkeypatch.setenv("HTTP_PROXY", str(plain.login_url))
    monkeypatch.setenv("https_proxy", str(secure.login_url))
    async with ClientSession(
        connector=connector(tls_ca), trust_env=True, auth=BasicAuth("origin", "secret-o")
    ) as session:
        last = server.url / "echo"
        middle = (server.https_url / "redirect-to").with_query(url=str(last))
        first = (server.url / "redirect-to").with_query(url=str(middle))
        headers = await echo(session, first, headers={"Proxy-Authorization": "Basic stray"})
        assert "proxy-authorization" not in headers
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        headers = await echo(session, last, headers={"Proxy-Authorization": "Basic stray"})
        assert "proxy-authorization" not in headers
    assert [seen.asked.split()[0] for seen in plain.seen] == ["GET", "GET"]
    assert [heard["proxy-authorization"] for heard in told(plain)] == [encode_basic_auth(*A)] * 2
    (heard,) = told(secure)
    assert heard == {
        "host": f"localhost:{server.https_url.port}",
        "proxy-authorization": encode_basic_auth(*B),
    }


async def test_a_request_that_names_another_proxy(
    server: Server, proxies: Proxies, tls_ca: Authority
) -> None:
    """It takes nothing along that the session has for its own."""
    own, other = proxies("http", login=A), proxies("http")
    async with ClientSession(
        connector=connector(tls_ca),
        proxy=own.url,
        proxy_auth=BasicAuth(*A),
        proxy_headers={"X-Token": "secret"},
    ) as session:
        for url in (server.url / "echo", server.https_url / "echo"):
            await echo(session, url, proxy=other.url)
            await echo(session, url, proxy=own.url)
    assert [heard.keys() & {"proxy-authorization", "x-token"} for heard in told(other)] == [
        set(),
        set(),
    ]
    assert all("x-token" in heard for heard in told(own))


async def test_the_environment_with_netrc(
    server: Server,
    proxies: Proxies,
    tls_ca: Authority,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Credentials of the proxy's host, for the proxy; an explicit proxy has none of them."""
    proxy, explicit = proxies("http", login=A), proxies("http")
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine localhost login {A[0]} password {A[1]}\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("ALL_PROXY", str(proxy.url))
    async with ClientSession(connector=connector(tls_ca), trust_env=True) as session:
        await echo(session, server.https_url / "echo")
        await echo(session, server.https_url / "echo", proxy=explicit.url)
    assert [heard["proxy-authorization"] for heard in told(proxy)] == [encode_basic_auth(*A)]
    assert ["proxy-authorization" in heard for heard in told(explicit)] == [False]


async def test_the_environment_with_credentials_of_the_session(
    server: Server, proxies: Proxies, tls_ca: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``proxy_auth`` goes before what the environment says; so do headers for the proxy."""
    proxy = proxies("http", login=A)
    monkeypatch.setenv("ALL_PROXY", str(proxy.url.with_user(B[0]).with_password(B[1])))
    async with ClientSession(
        connector=connector(tls_ca),
        trust_env=True,
        proxy_auth=BasicAuth(*A),
        proxy_headers={"X-Proxy": "1"},
    ) as session:
        await echo(session, server.https_url / "echo")
    (heard,) = told(proxy)
    assert heard["proxy-authorization"] == encode_basic_auth(*A)
    assert heard["x-proxy"] == "1"


async def test_the_lookup_is_within_the_time_limit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A file can keep its reader waiting for ever, but not the request."""
    fifo = tmp_path / "netrc"
    os.mkfifo(fifo)
    monkeypatch.setenv("NETRC", str(fifo))
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    try:
        # with credentials for the origin, so that it is only asked for those of the proxy
        async with ClientSession(trust_env=True, auth=BasicAuth(*B)) as session:
            with pytest.raises(TimeoutError, match="looking for a proxy"):
                await session.get("http://origin.test/", timeout=ClientTimeout(total=0.2))
            assert session.connector is not None
            assert_no_tokens(session.connector)
    finally:
        os.close(os.open(fifo, os.O_WRONLY))  # lets the reader go


@pytest.mark.parametrize("scheme", ["socks4", "socks4a", "socks5", "socks5h"])
async def test_socks_from_the_environment(
    server: Server,
    proxies: Proxies,
    tls_ca: Authority,
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
) -> None:
    """With user and password, for every scheme that has no variable of its own."""
    proxy = proxies(scheme, login=A)
    monkeypatch.setenv("ALL_PROXY", str(proxy.login_url))
    async with ClientSession(connector=connector(tls_ca), trust_env=True) as session:
        for url in (server.url, server.https_url):
            await echo(session, url / "echo")
    password = "" if scheme.startswith("socks4") else A[1]
    assert [(seen.user, seen.password) for seen in proxy.seen] == [(A[0], password)] * 2


async def test_a_connector_without_proxies_is_not_sent_to_one(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Unix socket is where it is, whatever the environment says."""
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    unix = UnixConnector(server.unix_path)
    async with ClientSession("http://name.test/", connector=unix, trust_env=True) as session:
        assert await echo(session, URL("echo"))
    assert server.requests == ["GET /echo"]


@pytest.mark.parametrize("scheme", ["http", "https", "socks4a", "socks5h"])
async def test_wrong_credentials(
    server: Server, proxies: Proxies, tls_ca: Authority, scheme: str
) -> None:
    """The error is the proxy's, its text shows none of them, and nothing stays open."""
    proxy = proxies(scheme, login=A)
    expected = ClientProxyConnectionError if scheme.startswith("socks") else ClientHttpProxyError
    async with ClientSession(connector=connector(tls_ca)) as session:
        with pytest.raises(expected) as caught:
            await session.get(server.https_url, proxy=proxy.url, proxy_auth=BasicAuth(*B))
        assert session.connector is not None
        assert_no_tokens(session.connector, idle=0)
    assert B[1] not in f"{caught.value} {caught.value!r}"
    if isinstance(caught.value, ClientHttpProxyError):
        assert (caught.value.status, caught.value.body) == (407, REFUSAL)
    assert server.connections == 0


async def test_an_origin_that_the_proxy_cannot_reach(proxies: Proxies, tls_ca: Authority) -> None:
    """An HTTP proxy says so with a status, in a tunnel and without."""
    proxy = proxies("http")
    async with ClientSession(connector=connector(tls_ca), proxy=proxy.url) as session:
        with pytest.raises(ClientHttpProxyError) as caught:
            await session.get("https://localhost:1/")
        assert (caught.value.status, caught.value.message) == (502, "Bad Gateway")
        assert caught.value.headers is not None
        assert caught.value.headers["X-Proxy"] == "yes"
        async with session.get("http://localhost:1/") as response:
            assert (response.status, await response.read()) == (502, REFUSAL)


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: identity\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: five\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\n\n", False),
        (b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\nX: \x7f\r\n\r\n", False),
        (b"\r\nHTTP/1.2 200 OK\r\n\r\n", False),
        (b"HTTP/1.1 100 Continue\n\nHTTP/1.1 200 OK\r\n\r\n", False),
    ],
)
async def test_an_answer_that_breaks_the_grammar_opens_a_tunnel_for_one_request(
    server: Server, proxies: Proxies, tls_ca: Authority, http1: str, answer: bytes, kept: bool
) -> None:
    """It is closed then; framing fields are ignored, and break nothing (RFC 9110 §9.3.6)."""
    proxy = proxies("http")
    proxy.established = answer
    async with ClientSession(connector=connector(tls_ca, http1=http1), proxy=proxy.url) as session:
        for _ in range(2):
            await echo(session, server.https_url / "echo")
    assert len(proxy.seen) == (1 if kept else 2)


class Gone(ByteStream):
    """A proxy that has refused and closed before it was asked."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = list(pieces)

    async def send(self, item: bytes) -> None:
        """Fail."""
        await anyio.lowlevel.checkpoint()
        raise anyio.BrokenResourceError

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Return what it had sent, then the end."""
        await anyio.lowlevel.checkpoint()
        if not self._pieces:
            raise anyio.EndOfStream
        return self._pieces.pop(0)

    async def send_eof(self) -> None:
        """Do nothing."""

    async def aclose(self) -> None:
        """Do nothing."""


async def test_a_refusal_that_came_too_early(http1: str) -> None:
    """It tells more than that the connection is broken."""
    request = ClientRequest("GET", URL("https://origin.test/"), CIMultiDict())
    stream = NetworkStream(Gone(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno"))
    with pytest.raises(ClientHttpProxyError) as caught:
        await open_http_tunnel(
            stream, ConnectRequest(request, request.headers_for_proxy()), engine_class(http1)
        )
    assert (caught.value.status, caught.value.body) == (403, b"no")
    with pytest.raises(OSError, match="closed the connection"):
        await open_http_tunnel(
            NetworkStream(Gone()),
            ConnectRequest(request, request.headers_for_proxy()),
            engine_class(http1),
        )


# -- TLS -------------------------------------------------------------------------------


async def test_a_fingerprint_is_the_origins(
    server: Server, proxies: Proxies, tls_ca: Authority
) -> None:
    """The proxy has a certificate of its own, which is verified as it is elsewhere."""
    pin = Fingerprint(tls_ca.fingerprint)
    proxy = proxies("https", "localhost")
    async with ClientSession(connector=connector(tls_ca), proxy=proxy.url) as session:
        await echo(session, server.https_url / "echo", ssl=pin)
        with pytest.raises(ServerFingerprintMismatch) as caught:
            await echo(session, server.https_url / "echo", ssl=Fingerprint(bytes(32)))
        assert caught.value.port == server.https_url.port
        # with no other TLS it can only mean the proxy's
        with pytest.raises(ServerFingerprintMismatch) as caught:
            await echo(session, server.url / "echo", ssl=pin)
        assert caught.value.port == proxy.port
    async with ClientSession(connector=TCPConnector(ssl=pin), proxy=proxy.url) as session:
        with pytest.raises(ClientConnectorCertificateError) as untrusted:
            await echo(session, server.https_url / "echo")
        assert untrusted.value.port == proxy.port


async def test_verification_can_be_switched_off(server: Server, proxies: Proxies) -> None:
    """``ssl=False`` holds for both, as there is one option for both."""
    proxy = proxies("https", "other.test")
    async with ClientSession(proxy=proxy.url) as session:
        await echo(session, server.https_url / "echo", ssl=False)


async def test_server_hostname_is_the_origins(
    server: Server, proxies: Proxies, tls_ca: Authority
) -> None:
    """The proxy is still known by its own name."""
    proxy = proxies("https")
    origin = server.https_url.with_host("127.0.0.1") / "echo"
    async with ClientSession(connector=connector(tls_ca), proxy=proxy.url) as session:
        await echo(session, origin, server_hostname="localhost")
        with pytest.raises(ClientConnectorCertificateError) as caught:
            await echo(session, origin, server_hostname="other.test")
        assert caught.value.port == origin.port
    assert len(proxy.seen) == 2


# -- keeping tunnels -------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["http", "https", "socks5h"])
async def test_a_tunnel_is_used_again(
    server: Server, proxies: Proxies, tls_ca: Authority, scheme: str
) -> None:
    """By requests that differ in nothing that it was made by."""
    proxy, other = proxies(scheme), proxies(scheme)
    url = server.https_url / "echo"
    async with ClientSession(connector=connector(tls_ca)) as session:
        for _ in range(3):
            await echo(session, url, proxy=proxy.url)
        assert len(proxy.seen) == 1
        await echo(session, url, proxy=proxy.url, proxy_auth=BasicAuth(*A))
        await echo(session, url, proxy=proxy.url, proxy_auth=BasicAuth(*B))
        await echo(session, url, proxy=proxy.url, proxy_headers={"a": "b"})
        assert len(proxy.seen) == 4
        await echo(session, url, proxy=other.url)
        await echo(session, url)
        assert (len(proxy.seen), len(other.seen)) == (4, 1)
        assert session.connector is not None
        assert_no_tokens(session.connector, idle=6)


async def test_traces_see_the_proxy(server: Server, proxies: Proxies, tls_ca: Authority) -> None:
    """Its name is what is resolved, and all of the way is the making of a connection."""
    told: list[str] = []

    async def resolve(session: ClientSession, context: object, params: Any) -> None:
        told.append(f"resolve {params.host}")

    async def start(session: ClientSession, context: object, params: Any) -> None:
        told.append("start")

    async def end(session: ClientSession, context: object, params: Any) -> None:
        told.append("end")

    config = TraceConfig()
    config.on_dns_resolvehost_start.append(resolve)
    config.on_connection_create_start.append(start)
    config.on_connection_create_end.append(end)
    proxy = proxies("https")
    async with ClientSession(
        connector=connector(tls_ca), proxy=proxy.url, trace_configs=[config]
    ) as session:
        url = server.https_url.with_host("127.0.0.1") / "echo"
        for _ in range(2):
            await echo(session, url)
    assert told == ["start", "resolve localhost", "end"]


async def test_many_tunnels_at_once(server: Server, proxies: Proxies, tls_ca: Authority) -> None:
    """Within the limit of the connector, which a tunnel counts against as one connection."""
    proxy = proxies("https")
    async with ClientSession(connector=connector(tls_ca, limit=3), proxy=proxy.url) as session:
        async with anyio.create_task_group() as group:
            for _ in range(12):
                group.start_soon(echo, session, server.https_url / "echo")
    assert len(proxy.seen) <= 3
    assert server.peak_connections <= 3


async def test_a_large_body_both_ways(server: Server, proxies: Proxies, tls_ca: Authority) -> None:
    """TLS inside TLS is a stream like any other."""
    proxy = proxies("https")
    async with ClientSession(connector=connector(tls_ca), proxy=proxy.url) as session:
        body = bytes(range(256)) * 4000
        async with session.post(server.https_url / "upload", data=body) as response:
            assert (await response.json())["length"] == len(body)
        async with session.get(server.https_url / "bytes/1024000") as response:
            assert await response.read() == body
        assert session.connector is not None
        assert_no_tokens(session.connector, idle=1)


async def test_a_proxy_connector(server: Server, proxies: Proxies, tls_ca: Authority) -> None:
    """Its requests go through the proxy, each on a connection of its own."""
    proxy = proxies("http", login=A)
    with pytest.warns(DeprecationWarning, match="ProxyConnector"):
        through = ProxyConnector(proxy.url, proxy_auth=BasicAuth(*A), ssl=tls_ca.client)
    async with ClientSession(connector=through) as session:
        for _ in range(2):
            await echo(session, server.https_url / "echo")
    assert [seen.asked.split()[0] for seen in proxy.seen] == ["CONNECT", "CONNECT"]


@pytest.mark.parametrize("scheme", ["socks4", "socks4a", "socks5", "socks5h"])
async def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    """Before anything is sent."""
    monkeypatch.setitem(sys.modules, "socksio", None)
    async with ClientSession() as session:
        with pytest.raises(RuntimeError, match=r"anyhttp-client\[socks\]"):
            await session.get("http://origin.test/", proxy=f"{scheme}://127.0.0.1:1")
        assert session.connector is not None
        assert_no_tokens(session.connector, idle=0)
