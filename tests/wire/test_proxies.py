"""What a proxy is told, byte by byte, and what comes of each thing that it can answer."""

from __future__ import annotations

import socket
import struct
from typing import Any

import pytest
from yarl import URL

from anyhttp import (
    BasicAuth,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ClientError,
    ClientHandlerType,
    ClientHttpProxyError,
    ClientProxyConnectionError,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    TCPConnector,
    encode_basic_auth,
)
from tests.support.client import assert_free, client
from tests.support.names import Names
from tests.support.peer import (
    CLOSE,
    HELLO,
    RESET,
    STALL,
    Action,
    Exact,
    Peer,
    Reply,
    Script,
    SendUnasked,
    Step,
)
from tests.support.requests import AUTOMATIC
from tests.support.responses import OK
from tests.support.tls import Authority

pytestmark = pytest.mark.http1_only("the way to a proxy is HTTP/1.1")

pytest.importorskip("socksio", reason="socksio is not installed (anyhttp-client[socks])")

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
CREDENTIALS = encode_basic_auth("user", "secret").encode()


def proxy_at(peer: Peer, scheme: str = "http", login: str = "") -> str:
    """Return the URL of the proxy that *peer* plays."""
    return f"{scheme}://{login}{'@' if login else ''}127.0.0.1:{peer.port}"


async def failure(
    peer: Peer, http1: str, *, scheme: str = "http", url: str = "https://origin.test/", **more: Any
) -> Exception:
    """Return what a request through *peer* fails with, which shows no credentials."""
    async with client(http1, proxy=proxy_at(peer, scheme, "user:secret"), **more) as session:
        with pytest.raises((ClientError, TimeoutError)) as caught:
            await session.get(url)
        assert_free(session, idle=0)
        if peer.connections:
            await peer.wait_closed()
    error = caught.value
    for shown in (str(error), repr(error), repr(getattr(error, "request_info", None))):
        assert "secret" not in shown
        assert CREDENTIALS.decode().split()[1] not in shown
    return error


# -- what is said ----------------------------------------------------------------------


async def test_a_request_for_an_http_url_is_in_absolute_form(script: Script, http1: str) -> None:
    """RFC 9112 §3.2.2: without user info or fragment, and ``Host`` is the origin's."""
    peer = await script([(b"GET ", OK), (b"GET ", OK)])
    async with client(http1, proxy=proxy_at(peer)) as session:
        for _ in range(2):
            async with session.get("http://origin.test:8080/path?a=b c#fragment") as response:
                assert await response.read() == b"ok"
                assert response.url == URL("http://origin.test:8080/path?a=b c")
        assert_free(session, idle=1)
    request = (
        b"GET http://origin.test:8080/path?a=b+c HTTP/1.1\r\nHost: origin.test:8080\r\n"
        + AUTOMATIC
        + b"\r\n"
    )
    assert peer.requests == [request * 2]


@pytest.mark.parametrize("zone", ["%eth0", "%25eth0"])
async def test_a_forwarding_proxy_is_told_no_zone(script: Script, http1: str, zone: str) -> None:
    """RFC 6874 §4: a zone means something on this machine only."""
    peer = await script([(b"GET ", OK)])
    async with client(http1, proxy=proxy_at(peer)) as session:
        async with session.get(f"http://[fe80::1{zone}]:81/x") as response:
            assert await response.read() == b"ok"
    head = b"GET http://[fe80::1]:81/x HTTP/1.1\r\nHost: [fe80::1]:81\r\n"
    assert peer.requests == [head + AUTOMATIC + b"\r\n"]


async def test_headers_and_credentials_for_a_forwarding_proxy(script: Script, http1: str) -> None:
    """They come with the request, whose own headers they replace, and do not stay with it."""
    peer = await script([(b"GET ", OK)])
    async with (
        client(http1, headers={"X-Both": "session"}) as session,
        session.get(
            "http://origin.test/",
            proxy=proxy_at(peer),
            proxy_auth=BasicAuth("user", "secret"),
            proxy_headers={"X-Both": "proxy", "X-Proxy": "1"},
        ) as response,
    ):
        assert "Proxy-Authorization" not in response.request_info.headers
    assert peer.requests == [
        b"GET http://origin.test/ HTTP/1.1\r\nHost: origin.test\r\nX-Both: proxy\r\n"
        + AUTOMATIC
        + b"X-Proxy: 1\r\nProxy-Authorization: "
        + CREDENTIALS
        + b"\r\n\r\n"
    ]


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("https://origin.test/", "origin.test:443"),
        ("wss://origin.test:8443/", "origin.test:8443"),
        ("https://[::1]/", "[::1]:443"),
        ("https://[fe80::1%25eth0]/", "[fe80::1]:443"),
        ("https://[fe80::1%eth0]/", "[fe80::1]:443"),
        ("https://bücher.test/", "xn--bcher-kva.test:443"),
    ],
)
async def test_connect_names_the_authority(
    script: Script, http1: str, url: str, authority: str
) -> None:
    """RFC 9112 §3.2.3, with ``Host``, and with nothing of the request that is to come."""
    peer = await script([(b"CONNECT ", b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")])
    session = client(
        http1,
        headers={"Authorization": "Bearer session", "X-Session": "1"},
        cookies={"session": "1"},
        auth=None,
    )
    async with session:
        with pytest.raises(ClientHttpProxyError):
            await session.get(url, proxy=proxy_at(peer), headers={"X-Request": "1"})
    assert peer.requests == [f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode()]


async def test_headers_and_credentials_on_connect(script: Script, http1: str) -> None:
    """``proxy_headers`` replace what is there by itself; credentials of the URL are decoded."""
    peer = await script([(b"CONNECT ", b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")])
    async with client(
        http1,
        proxy=proxy_at(peer, login="us%65r:secret"),
        proxy_headers=[("X-Proxy", "1"), ("X-Proxy", "2"), ("host", "other.test")],
    ) as session:
        with pytest.raises(ClientHttpProxyError) as caught:
            await session.get("https://origin.test/")
    assert peer.requests == [
        b"CONNECT origin.test:443 HTTP/1.1\r\nhost: other.test\r\nX-Proxy: 1\r\nX-Proxy: 2\r\n"
        b"Proxy-Authorization: " + CREDENTIALS + b"\r\n\r\n"
    ]
    info = caught.value.request_info
    assert (info.method, info.url) == ("CONNECT", URL("https://origin.test/"))
    assert "secret" not in repr(caught.value)


# -- what a proxy answers to CONNECT ---------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "body"),
    [
        ([b"HTTP/1.1 407 Log in\r\nX-A: b\r\nContent-Length: 6\r\n\r\n", b"pl", b"ease"],
         b"please"),
        (b"HTTP/1.1 407 Log in\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
         b"hi"),
        ([b"HTTP/1.1 407 Log in\r\nX-A: b\r\n\r\nuntil", b" the end", CLOSE], b"until the end"),
        ([b"HTTP/1.1 407 Log in\r\nX-A: b\r\nContent-Length: 9\r\n\r\nshort", CLOSE], b"short"),
        ([b"HTTP/1.1 407 Log in\r\nX-A: b\r\nContent-Length: 9\r\n\r\nshort", RESET], b"short"),
        (b"HTTP/1.1 407 Log in\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\nno", b""),
        (b"HTTP/1.1 407 Log in\r\nX-A: b\r\nContent-Length: 99999\r\n\r\n" + b"x" * 99999,
         b"x" * 8192),
    ],
    ids=["length", "chunked", "until-eof", "short", "reset", "malformed", "long"],
)  # fmt: skip
async def test_a_refusal_can_be_read(script: Script, http1: str, reply: Reply, body: bytes) -> None:
    """Status, reason and headers are the proxy's, ``body`` the first 8 KiB of what it says."""
    peer = await script([(b"CONNECT ", reply)])
    error = await failure(peer, http1)
    assert isinstance(error, ClientHttpProxyError)
    assert (error.status, error.message, error.body) == (407, "Log in", body)
    assert str(error).startswith("the proxy refused to connect: 407, message='Log in'")
    assert error.headers is not None
    assert error.headers["x-a"] == "b"
    assert error.request_info.headers["Proxy-Authorization"] == CREDENTIALS.decode()


async def test_a_refusal_whose_body_never_ends(script: Script, http1: str) -> None:
    """What came of it in a second is enough."""
    peer = await script(
        [(b"CONNECT ", [b"HTTP/1.1 502 Bad\r\nContent-Length: 9\r\n\r\nhalf", STALL])]
    )
    error = await failure(peer, http1)
    assert isinstance(error, ClientHttpProxyError)
    assert (error.status, error.body) == (502, b"half")


@pytest.mark.parametrize("limit", ["total", "connect", "sock_connect"])
async def test_a_refusal_shortly_before_the_end_of_a_limit(script: Script, limit: str) -> None:
    """The wait for its body is shorter then, so that the refusal is raised, and no timeout."""
    peer = await script(
        [(b"CONNECT ", [b"HTTP/1.1 502 Bad\r\nContent-Length: 9\r\n\r\nhalf", STALL])]
    )
    error = await failure(peer, "auto", timeout=ClientTimeout(**{limit: 0.6}))
    assert isinstance(error, ClientHttpProxyError)
    assert (error.status, error.body) == (502, b"half")


@pytest.mark.parametrize("status", [b"200", b"201"])
async def test_any_success_opens_the_tunnel(script: Script, http1: str, status: bytes) -> None:
    """RFC 9110 §9.3.6: any 2xx, whose framing headers mean nothing; 1xx may come before."""
    peer = await script(
        [
            (
                b"CONNECT ",
                b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 " + status + b" OK\r\n"
                b"Content-Length: 99\r\n\r\n",
            ),
            (HELLO, RESET),
        ]
    )
    error = await failure(peer, http1)
    assert type(error) is ClientConnectorError
    assert (error.host, error.port) == ("origin.test", 443)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (CLOSE, "closed the connection"),
        ([b"HTTP/1.1 200 Conn", CLOSE], "closed the connection"),
        (RESET, ""),
        ([b"HTTP/1.1 200 Conn", RESET], ""),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\nX: \0\r\n\r\n", "not HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 9000, "longer than 8190"),
        (b"HTTP/1.1 200 " + b"x" * 9000, "longer than 8190"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n", "more than 128"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "not HTTP/1.1"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 40, "more than 32"),
        (ESTABLISHED + b"\x15\x03\x03\x00\x02\x02\x28", "bytes of its own"),
    ],
    ids=["close", "close-amid", "reset", "reset-amid", "ssh", "nul", "long-line", "long-status",
         "many-lines", "upgrade", "many-heads", "garbage-after-200"],
)  # fmt: skip
async def test_a_proxy_that_does_not_do_its_part(
    script: Script, http1: str, reply: Reply, reason: str
) -> None:
    """It is the connection to the proxy that fails, and nothing was sent to the origin."""
    peer = await script([(b"CONNECT ", reply)])
    error = await failure(peer, http1)
    assert isinstance(error, ClientProxyConnectionError)
    assert (error.host, error.port) == ("127.0.0.1", peer.port)
    assert f"through proxy 127.0.0.1:{peer.port}" in str(error)
    assert reason in str(error)


async def test_garbage_in_the_tunnel_is_no_tls(script: Script, http1: str) -> None:
    """What comes after the head of the answer is for TLS to judge."""
    peer = await script([(b"CONNECT ", ESTABLISHED), (HELLO, b"HTTP/1.1 400 ")])
    error = await failure(peer, http1)
    assert isinstance(error, ClientConnectorSSLError)
    assert error.host == "origin.test"


@pytest.mark.parametrize("limit", ["total", "connect", "sock_connect"])
@pytest.mark.parametrize(
    "steps",
    [
        [(b"CONNECT ", STALL)],
        [(b"CONNECT ", [b"HTTP/1.1 200", STALL])],
        [(b"CONNECT ", ESTABLISHED), (HELLO, STALL)],
    ],
    ids=["silent", "half-a-head", "silent-tunnel"],
)
async def test_a_proxy_that_hangs(
    script: Script, http1: str, steps: list[Step], limit: str
) -> None:
    """All of the way is connecting, and ends with the time for that."""
    peer = await script(steps, partial=True)
    error = await failure(peer, http1, timeout=ClientTimeout(**{limit: 0.05}))
    assert isinstance(error, TimeoutError)
    assert isinstance(error, ConnectionTimeoutError) is (limit != "total")


async def test_a_proxy_that_does_not_speak_tls(script: Script, http1: str) -> None:
    """It was called an https proxy."""
    peer = await script([(HELLO, b"HTTP/1.1 400 Bad Request\r\n\r\n")])
    error = await failure(peer, http1, scheme="https")
    assert isinstance(error, ClientConnectorSSLError)
    assert f"through proxy 127.0.0.1:{peer.port}" in str(error)


async def test_a_proxy_that_ends_the_handshake(script: Script, http1: str) -> None:
    """It cannot be reached, whatever the layer."""
    peer = await script([(HELLO, RESET)])
    error = await failure(peer, http1, scheme="https")
    assert isinstance(error, ClientProxyConnectionError)
    assert error.port == peer.port


@pytest.mark.parametrize("scheme", ["http", "https", "socks5h"])
@pytest.mark.parametrize("target", ["http", "https"])
async def test_a_proxy_that_is_not_there(http1: str, scheme: str, target: str) -> None:
    """Unreachable and unknown are two exceptions, and both name the proxy."""
    connector = TCPConnector(http1=http1, resolver=Names())
    async with ClientSession(connector=connector) as session:
        with pytest.raises(ClientProxyConnectionError) as unreachable:
            await session.get(f"{target}://origin.test/", proxy=f"{scheme}://u:secret@proxy.test:1")
        with pytest.raises(ClientConnectorDNSError) as unknown:
            await session.get(f"{target}://origin.test/", proxy=f"{scheme}://u:secret@unknown.test")
    assert (unreachable.value.host, unreachable.value.port) == ("proxy.test", 1)
    assert unknown.value.host == "unknown.test"
    assert "through proxy proxy.test:1" in str(unreachable.value)
    assert "through proxy unknown.test" in str(unknown.value)
    assert "secret" not in f"{unreachable.value!r}{unknown.value!r}"


@pytest.mark.parametrize("middlewares", [True, False])
async def test_a_stale_connection_to_the_proxy_of_the_environment(
    script: Script, http1: str, monkeypatch: pytest.MonkeyPatch, middlewares: bool
) -> None:
    """The request that is made once more goes the same way."""

    async def pass_on(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        return await handler(request)

    peer = await script(
        [(b"GET http://origin.test/1 ", OK), (b"GET http://origin.test/2 ", CLOSE)],
        [(b"GET http://origin.test/2 ", OK)],
    )
    monkeypatch.setenv("http_proxy", proxy_at(peer, login="user:secret"))
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    chain = [pass_on] if middlewares else []
    async with client(http1, trust_env=True, middlewares=chain) as session:
        for path in ("1", "2"):
            async with session.get(f"http://origin.test/{path}") as response:
                assert await response.read() == b"ok"
    assert all(b"Proxy-Authorization: " + CREDENTIALS in heard for heard in peer.requests)


# -- tunnels that are kept -------------------------------------------------------------


async def test_bytes_that_an_idle_proxy_sends_end_the_tunnel(
    script: Script, http1: str, tls_ca: Authority
) -> None:
    """The layer of TLS to the proxy is looked at as well as the one inside."""
    peer = await script(
        [(b"GET ", [OK, SendUnasked(b"HTTP/1.1 408 Too late\r\n\r\n")])],
        [(b"GET ", OK)],
        tls=tls_ca.server,
    )
    connector = TCPConnector(http1=http1, ssl=tls_ca.client)
    async with ClientSession(connector=connector, proxy=proxy_at(peer, "https")) as session:
        for _ in range(2):
            async with session.get("http://origin.test/") as response:
                assert await response.read() == b"ok"
            await peer.settled()
    assert peer.connections == 2


# -- SOCKS -----------------------------------------------------------------------------

NO_LOGIN = (Exact(b"\x05\x01\x00"), b"\x05\x00")
LOGIN = (Exact(b"\x05\x02\x00\x02"), b"\x05\x02")
PASSWORD = (Exact(b"\x01\x04user\x06secret"), b"\x01\x00")
NAME = b"\x05\x01\x00\x03\x0borigin.test\x00\x50"
GRANTED5 = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x04\x38"
GRANTED5_NAME = b"\x05\x00\x00\x03\x04name\x04\x38"
GRANTED5_V6 = b"\x05\x00\x00\x04" + bytes(18)
IN_PIECES = [GRANTED5[:1], GRANTED5[1:5], GRANTED5[5:]]
ADDRESS4 = b"\x04\x01\x00\x50\x0a\x00\x00\x01"
ADDRESS5 = b"\x05\x01\x00\x01\x0a\x00\x00\x01\x00\x50"
ADDRESS6 = b"\x05\x01\x00\x04" + bytes(15) + b"\x05\x00\x50"
NAME4 = b"\x04\x01\x00\x50\x00\x00\x00\xffuser\x00origin.test\x00"
GRANTED4 = b"\x00\x5a" + bytes(6)
REQUEST = (b"GET / HTTP/1.1\r\nHost: origin.test\r\n", OK)


@pytest.mark.parametrize(
    ("proxy", "url", "steps"),
    [
        ("socks4", "http://origin.test/", [(Exact(ADDRESS4 + b"\x00"), GRANTED4)]),
        ("socks4a", "http://10.0.0.1/", [(Exact(ADDRESS4 + b"\x00"), GRANTED4)]),
        ("socks5", "http://origin.test/", [NO_LOGIN, (Exact(ADDRESS5), GRANTED5)]),
        ("socks5h", "http://origin.test/", [NO_LOGIN, (Exact(NAME), GRANTED5)]),
        ("socks5h", "http://10.0.0.1/", [NO_LOGIN, (Exact(ADDRESS5), GRANTED5)]),
        ("socks5h", "http://[::5]/", [NO_LOGIN, (Exact(ADDRESS6), GRANTED5)]),
        ("socks5h", "http://origin.test/", [NO_LOGIN, (Exact(NAME), GRANTED5_NAME)]),
        ("socks5h", "http://origin.test/", [NO_LOGIN, (Exact(NAME), GRANTED5_V6)]),
        ("socks5h", "http://origin.test/", [NO_LOGIN, (Exact(NAME), IN_PIECES)]),
    ],
    ids=["4", "4a-address", "5", "5h", "5h-v4", "5h-v6", "bound-name", "bound-v6", "pieces"],
)
async def test_socks_without_a_login(
    script: Script, http1: str, proxy: str, url: str, steps: list[Step]
) -> None:
    """Names are resolved here for socks4 and socks5, by the proxy for socks4a and socks5h."""
    peer = await script([*steps, (b"GET / ", OK)])
    names = Names("10.0.0.1")
    connector = TCPConnector(http1=http1, resolver=names)
    async with ClientSession(connector=connector, proxy=proxy_at(peer, proxy)) as session:
        async with session.get(url) as response:
            assert await response.read() == b"ok"
        assert_free(session, idle=1)
    assert names.asked == (["origin.test"] if proxy in {"socks4", "socks5"} else [])


@pytest.mark.parametrize(
    ("proxy", "steps"),
    [
        ("socks4a", [(Exact(NAME4), GRANTED4)]),
        ("socks5h", [LOGIN, PASSWORD, (Exact(NAME), GRANTED5)]),
        ("socks5h", [(Exact(b"\x05\x02\x00\x02"), b"\x05\x00"), (Exact(NAME), GRANTED5)]),
    ],
    ids=["4a", "5h", "5h-without"],
)
async def test_socks_with_a_login(
    script: Script, http1: str, proxy: str, steps: list[Step]
) -> None:
    """RFC 1929; SOCKS4 has the user name alone.  A proxy may do without."""
    peer = await script([*steps, REQUEST])
    async with (
        client(http1, proxy=proxy_at(peer, proxy, "user:secret")) as session,
        session.get("http://origin.test/") as response,
    ):
        assert await response.read() == b"ok"


@pytest.mark.parametrize(
    ("proxy", "steps", "reason"),
    [
        ("socks4a", [(Exact(NAME4), b"\x00\x5b" + bytes(6))], "origin.test:80: request rejected"),
        ("socks4a", [(Exact(NAME4), b"\x00\x5c" + bytes(6))], "identd"),
        ("socks4a", [(Exact(NAME4), b"\x00\x5d" + bytes(6))], "identd"),
        ("socks4a", [(Exact(NAME4), b"\x00\x00" + bytes(6))], "does not speak SOCKS4"),
        ("socks4a", [(Exact(NAME4), b"\x04\x5b" + bytes(6))], "does not speak SOCKS4"),
        ("socks4a", [(Exact(NAME4), CLOSE)], "closed the connection"),
        ("socks4a", [(Exact(NAME4), [b"\x00\x5a\x00", CLOSE])], "closed the connection"),
        ("socks5h", [(Exact(b"\x05\x02\x00\x02"), b"\x05\xff")], "another way to log in"),
        ("socks5h", [(Exact(b"\x05\x02\x00\x02"), b"\x05\x01")], "another way to log in"),
        ("socks5h", [(Exact(b"\x05\x02\x00\x02"), b"\x05\x80")], "does not speak SOCKS5"),
        ("socks5h", [(Exact(b"\x05\x02\x00\x02"), b"\x04\x00")], "does not speak SOCKS5"),
        ("socks5h", [(Exact(b"\x05\x02\x00\x02"), b"HTTP/1.1 400 Bad")], "does not speak SOCKS5"),
        ("socks5h", [(Exact(b"\x05\x02\x00\x02"), RESET)], ""),
        ("socks5h", [LOGIN, (PASSWORD[0], b"\x01\x01")], "does not accept the user name"),
        ("socks5h", [LOGIN, (PASSWORD[0], b"\x05\x00")], "does not speak SOCKS5"),
        ("socks5h", [LOGIN, PASSWORD, (Exact(NAME), b"\x05\x01")], "general failure"),
        ("socks5h", [LOGIN, PASSWORD, (Exact(NAME), b"\x05\x02")], "not allowed"),
        ("socks5h", [LOGIN, PASSWORD, (Exact(NAME), b"\x05\x04")], "host unreachable"),
        ("socks5h", [LOGIN, PASSWORD, (Exact(NAME), b"\x05\x05")], "connection refused"),
        ("socks5h", [LOGIN, PASSWORD, (Exact(NAME), b"\x05\x63")], "unknown failure 99"),
        ("socks5h", [LOGIN, PASSWORD, (Exact(NAME), b"\x04\x00")], "does not speak SOCKS5"),
        ("socks5h", [LOGIN, PASSWORD, (Exact(NAME), b"\x05\x00\x00\x07" + bytes(99))], "not speak"),
        ("socks5h", [LOGIN, PASSWORD, (Exact(NAME), [b"\x05\x00\x00", CLOSE])], "closed"),
    ],
)  # fmt: skip
async def test_a_socks_proxy_that_does_not_connect(
    script: Script, http1: str, proxy: str, steps: list[Step], reason: str
) -> None:
    """The error is the proxy's, and says what it said."""
    peer = await script(steps)
    error = await failure(peer, http1, scheme=proxy, url="http://origin.test/")
    assert isinstance(error, ClientProxyConnectionError)
    assert f"through proxy 127.0.0.1:{peer.port}" in str(error)
    assert reason in str(error)


async def test_a_socks_proxy_that_wants_a_login(script: Script, http1: str) -> None:
    """There is none to send."""
    peer = await script([(NO_LOGIN[0], b"\x05\xff")])
    async with client(http1, proxy=proxy_at(peer, "socks5")) as session:
        with pytest.raises(ClientProxyConnectionError, match="wants credentials"):
            await session.get("http://127.0.0.1:1/")


@pytest.mark.parametrize("scheme", ["socks4a", "socks5h"])
async def test_a_socks_proxy_that_hangs(script: Script, http1: str, scheme: str) -> None:
    """It hangs within the time for connecting."""
    peer = await script([STALL], partial=True)
    limit = ClientTimeout(sock_connect=0.05)
    error = await failure(peer, http1, scheme=scheme, timeout=limit)
    assert isinstance(error, ConnectionTimeoutError)


def asked(address: str) -> Exact:
    """Return what SOCKS5 says to be connected with port 80 of an address."""
    family, kind = (socket.AF_INET6, 4) if ":" in address else (socket.AF_INET, 1)
    packed = socket.inet_pton(family, address)
    return Exact(bytes([5, 1, 0, kind]) + packed + struct.pack("!H", 80))


async def test_each_address_is_tried_through_a_socks_proxy(script: Script, http1: str) -> None:
    """A proxy that is told an address cannot try the others of the host: here they are."""
    peer = await script(
        [NO_LOGIN, (asked("::1"), b"\x05\x03")],
        [NO_LOGIN, (asked("10.0.0.1"), b"\x05\x05")],
        [NO_LOGIN, (asked("10.0.0.2"), GRANTED5), REQUEST],
    )
    connector = TCPConnector(http1=http1, resolver=Names("::1", "10.0.0.1", "10.0.0.2"))
    async with ClientSession(connector=connector, proxy=proxy_at(peer, "socks5")) as session:
        async with session.get("http://origin.test/") as response:
            assert await response.read() == b"ok"


async def test_an_address_that_a_socks_proxy_waits_for(script: Script, http1: str) -> None:
    """``sock_connect`` counts anew for the next address of the host."""
    peer = await script(
        [NO_LOGIN, (asked("10.0.0.1"), STALL)],
        [NO_LOGIN, (asked("10.0.0.2"), GRANTED5), REQUEST],
    )
    connector = TCPConnector(http1=http1, resolver=Names("10.0.0.1", "10.0.0.2"))
    limits = ClientTimeout(sock_connect=0.5)
    async with ClientSession(
        connector=connector, proxy=proxy_at(peer, "socks5"), timeout=limits
    ) as session:
        async with session.get("http://origin.test/") as response:
            assert await response.read() == b"ok"


@pytest.mark.parametrize("last", [STALL, b"\x05\x05"])
async def test_no_address_in_time_through_a_socks_proxy(
    script: Script, http1: str, last: Reply
) -> None:
    """A timeout, or, if one address was refused, what came of each."""
    peer = await script(
        [NO_LOGIN, (asked("10.0.0.1"), STALL)], [NO_LOGIN, (asked("10.0.0.2"), last)]
    )
    connector = TCPConnector(http1=http1, resolver=Names("10.0.0.1", "10.0.0.2"))
    limits = ClientTimeout(sock_connect=0.2)
    async with ClientSession(
        connector=connector, proxy=proxy_at(peer, "socks5"), timeout=limits
    ) as session:
        if last is STALL:
            with pytest.raises(ConnectionTimeoutError):
                await session.get("http://origin.test/")
        else:
            with pytest.raises(ClientProxyConnectionError, match=r"no answer within 0\.2.*refused"):
                await session.get("http://origin.test/")


async def test_all_addresses_fail_through_a_socks_proxy(script: Script, http1: str) -> None:
    """The error says what came of each."""
    peer = await script(
        [NO_LOGIN, (asked("::1"), b"\x05\x03")], [NO_LOGIN, (asked("10.0.0.1"), b"\x05\x05")]
    )
    connector = TCPConnector(http1=http1, resolver=Names("::1", "10.0.0.1"))
    async with ClientSession(connector=connector, proxy=proxy_at(peer, "socks5")) as session:
        with pytest.raises(ClientProxyConnectionError) as caught:
            await session.get("http://origin.test/")
    assert "[::1]:80: network unreachable" in str(caught.value)
    assert "10.0.0.1:80: connection refused" in str(caught.value)


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
async def test_a_socks_proxy_is_told_no_zone(script: Script, http1: str, scheme: str) -> None:
    """It gets the address alone, which it knows in its own zones, if at all."""
    peer = await script([NO_LOGIN, (asked("fe80::1"), b"\x05\x04")])
    async with client(http1, proxy=proxy_at(peer, scheme)) as session:
        with pytest.raises(ClientProxyConnectionError, match=r"\[fe80::1\]:80: host unreach"):
            await session.get("http://[fe80::1%25lo]/")


async def test_a_refusal_by_rule_is_not_tried_again(script: Script, http1: str) -> None:
    """It is no failure of the address."""
    peer = await script([NO_LOGIN, (asked("10.0.0.1"), b"\x05\x02")])
    connector = TCPConnector(http1=http1, resolver=Names("10.0.0.1", "10.0.0.2"))
    async with ClientSession(connector=connector, proxy=proxy_at(peer, "socks5")) as session:
        with pytest.raises(ClientProxyConnectionError, match="not allowed"):
            await session.get("http://origin.test/")


async def test_socks4_has_no_ipv6(script: Script, http1: str) -> None:
    """Addresses it has no room for are passed over; if there is no other, that is said."""
    steps: list[Step | Action] = [
        (Exact(ADDRESS4 + b"\x00"), GRANTED4),
        REQUEST,
    ]
    peer = await script(steps)
    for addresses in (("::1", "10.0.0.1"), ("::1",)):
        connector = TCPConnector(http1=http1, resolver=Names(*addresses))
        async with ClientSession(connector=connector, proxy=proxy_at(peer, "socks4")) as session:
            if len(addresses) > 1:
                async with session.get("http://origin.test/") as response:
                    assert await response.read() == b"ok"
            else:
                with pytest.raises(ClientProxyConnectionError, match="SOCKS4 has no IPv6"):
                    await session.get("http://origin.test/")


@pytest.mark.parametrize(
    ("scheme", "login", "url", "reason"),
    [
        ("socks5h", f"{'u' * 256}:p", "http://origin.test/", "user name for .* 255 bytes"),
        ("socks5h", f"u:{'p' * 256}", "http://origin.test/", "password for .* 255 bytes"),
        ("socks5h", "u:p", f"http://{'a.' * 150}test/", "a name for .* 255 bytes"),
        ("socks4a", "u%00v", "http://origin.test/", "NUL"),
    ],
    ids=["user", "password", "host", "nul"],
)
async def test_what_socks_has_no_room_for(
    script: Script, http1: str, scheme: str, login: str, url: str, reason: str
) -> None:
    """It is not cut short, nor does it spill into the next field."""
    method = b"\x05\x00" if "a name" in reason else b"\x05\x02"
    peer = await script([(LOGIN[0], method)] if scheme == "socks5h" else [], partial=True)
    async with client(http1, proxy=proxy_at(peer, scheme, login)) as session:
        with pytest.raises(ClientProxyConnectionError, match=reason):
            await session.get(url)
