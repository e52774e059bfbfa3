"""Through proxies that nobody here wrote: squid, tinyproxy, dante and microsocks.

Debian's packages bring them; a program that is absent is skipped with the name of its package.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest
from yarl import URL

from anyhttp import (
    BasicAuth,
    ClientConnectorCertificateError,
    ClientHttpProxyError,
    ClientProxyConnectionError,
    ClientSession,
    HttpVersion,
    TCPConnector,
)
from tests.support import programs
from tests.support.census import assert_no_tokens
from tests.support.peer import Script
from tests.support.server import Server
from tests.support.targets import ANSWERS, exchange, make_origin
from tests.support.tls import Authority

if TYPE_CHECKING:
    from tests.support.http2_server import Http2Server

LOGIN = BasicAuth("user", "secret")
WRONG = BasicAuth("user", "wrong-password")
#: ``LOGIN`` for squid, as ``openssl passwd -apr1`` writes it
PASSWORDS = "user:$apr1$anyhttp$yBXvWwbbaZwSMFE2oqBB/1\n"
NCSA = Path("/usr/lib/squid/basic_ncsa_auth")

SQUID = """
http_port 127.0.0.1:{port}
https_port 127.0.0.1:{tls_port} tls-cert={root}/proxy.pem
pid_filename {root}/squid.pid
cache_log {root}/squid.log
access_log none
cache deny all
server_persistent_connections off
coredump_dir {root}
shutdown_lifetime 0 seconds
auth_param basic program {ncsa} {root}/passwords
acl known proxy_auth REQUIRED
acl blocked dstdomain blocked.test
http_upgrade_request_protocols websocket allow all
http_access deny blocked
http_access allow known
http_access deny all
"""
TINYPROXY = """
Listen 127.0.0.1
Port {port}
BasicAuth user secret
PidFile "{root}/tinyproxy.pid"
LogFile "{root}/tinyproxy.log"
MaxClients 20
"""
DANTE = """
logoutput: {root}/dante.log
internal: 127.0.0.1 port = {port}
external: lo
socksmethod: none
clientmethod: none
client pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}
socks pass {{ from: 127.0.0.0/8 to: 127.0.0.1/32 command: connect }}
"""


@dataclass(frozen=True)
class Program:
    """A running proxy."""

    name: str
    port: int
    tls_port: int

    def url(self, scheme: str) -> URL:
        """Where it is."""
        port = self.tls_port if scheme == "https" else self.port
        return URL(f"{scheme}://localhost:{port}")


StartProgram = Callable[[str], Program]


def command_for(name: str, root: Path, port: int, tls_port: int) -> list[str]:
    """Write the configuration of a program, and return the command that runs it."""
    config = root / f"{name}.conf"
    if name == "squid":
        path = programs.program("squid", "squid")
        config.write_text(SQUID.format(root=root, port=port, tls_port=tls_port, ncsa=NCSA))
        return [path, "-N", "-f", str(config)]
    if name == "tinyproxy":
        path = programs.program("tinyproxy", "tinyproxy")
        config.write_text(TINYPROXY.format(root=root, port=port))
        return [path, "-d", "-c", str(config)]
    if name == "danted":
        path = programs.program("danted", "dante-server")
        config.write_text(DANTE.format(root=root, port=port))
        return [path, "-f", str(config)]
    path = programs.program("microsocks", "microsocks")
    return [path, "-i", "127.0.0.1", "-p", str(port), "-u", LOGIN.login, "-P", LOGIN.password]


@pytest.fixture(scope="module")
def start(tls_ca: Authority) -> Iterator[StartProgram]:
    """Start a program by its name, once for all tests."""
    started: dict[str, Program] = {}
    with contextlib.ExitStack() as at_end:

        def start(name: str) -> Program:
            if name not in started:
                # not pytest's: squid gives up its rights before it reads its passwords
                root = Path(tempfile.mkdtemp(prefix="anyhttp-"))
                at_end.callback(shutil.rmtree, root)
                root.chmod(0o755)
                (root / "proxy.pem").write_bytes(tls_ca.server_pem)
                (root / "passwords").write_text(PASSWORDS)
                new = Program(name, programs.free_port(), programs.free_port())
                command = command_for(name, root, new.port, new.tls_port)
                at_end.enter_context(programs.running(command, new.port, cwd=root, logs=root))
                started[name] = new
            return started[name]

        yield start


HTTP_PROGRAMS = pytest.mark.parametrize(
    ("name", "scheme"), [("squid", "http"), ("squid", "https"), ("tinyproxy", "http")]
)


async def fetch(session: ClientSession, url: URL) -> None:
    """Fetch a document from the test server, and check it."""
    async with session.get(url / "bytes/100000") as response:
        assert response.status == 200
        assert await response.read() == (bytes(range(256)) * 400)[:100000]


@HTTP_PROGRAMS
async def test_an_http_proxy_with_a_password(
    server: Server, tls_ca: Authority, start: StartProgram, http1: str, name: str, scheme: str
) -> None:
    """Forwarded and tunnelled; both connections are kept, and used again."""
    program = start(name)
    connector = TCPConnector(ssl=tls_ca.client, http1=http1)
    async with ClientSession(
        connector=connector, proxy=program.url(scheme), proxy_auth=LOGIN
    ) as session:
        for _ in range(3):
            await fetch(session, server.https_url)
        assert_no_tokens(connector, idle=1)
        for _ in range(2):
            await fetch(session, server.url)
        async with session.post(server.https_url / "upload", data=b"x" * 300_000) as response:
            assert (await response.json())["length"] == 300_000
    tunnels = [request for request in server.requests if "upload" in request]
    assert len(tunnels) == 1


@pytest.mark.parametrize(
    ("name", "scheme", "target"),
    [
        ("squid", "http", "ws"),
        ("squid", "http", "wss"),
        ("squid", "https", "ws"),
        ("squid", "https", "wss"),
        ("tinyproxy", "http", "ws"),
        ("tinyproxy", "http", "wss"),
        ("microsocks", "socks5h", "ws"),
        ("microsocks", "socks5h", "wss"),
    ],
)
async def test_a_websocket(
    script: Script, tls_ca: Authority, start: StartProgram, name: str, scheme: str, target: str
) -> None:
    """Messages go both ways."""
    if scheme.startswith("socks"):
        pytest.importorskip("socksio", reason="socksio is not installed (anyhttp-client[socks])")
    program = start(name)
    origin = await make_origin(script, target, tls_ca)
    url = URL(f"{target}://localhost:{origin.port}/path")
    connector = TCPConnector(ssl=tls_ca.client)
    async with ClientSession(connector=connector, proxy_auth=LOGIN) as session:
        assert await exchange(session, url, program.url(scheme)) == ANSWERS[target]


@HTTP_PROGRAMS
async def test_a_password_that_is_wrong_or_missing(
    server: Server, tls_ca: Authority, start: StartProgram, http1: str, name: str, scheme: str
) -> None:
    """The refusal is the proxy's own page; a forwarded request gets it as its response."""
    program = start(name)
    connector = TCPConnector(ssl=tls_ca.client, http1=http1)
    async with ClientSession(connector=connector, proxy=program.url(scheme)) as session:
        for auth in (None, WRONG):
            with pytest.raises(ClientHttpProxyError) as caught:
                await session.get(server.https_url / "json", proxy_auth=auth)
            error = caught.value
            assert error.status in {401, 407}
            assert error.body
            assert b"html" in error.body.lower()
            assert error.headers is not None
            assert error.headers.keys() & {"Proxy-Authenticate", "WWW-Authenticate"}
            assert WRONG.password not in f"{error} {error!r}"
            async with session.get(server.url / "json", proxy_auth=auth) as response:
                assert response.status == error.status
        assert_no_tokens(connector)
    assert server.requests == []


@HTTP_PROGRAMS
async def test_an_origin_that_cannot_be_reached(
    tls_ca: Authority, start: StartProgram, http1: str, name: str, scheme: str
) -> None:
    """It is the proxy that says so."""
    program = start(name)
    connector = TCPConnector(ssl=tls_ca.client, http1=http1)
    async with ClientSession(
        connector=connector, proxy=program.url(scheme), proxy_auth=LOGIN
    ) as session:
        with pytest.raises(ClientHttpProxyError) as caught:
            await session.get("https://localhost:1/")
        assert caught.value.status in {500, 502, 503}
        assert caught.value.body


async def test_a_host_that_the_rules_forbid(
    tls_ca: Authority, start: StartProgram, http1: str
) -> None:
    """Squid answers 403 and says why."""
    program = start("squid")
    connector = TCPConnector(ssl=tls_ca.client, http1=http1)
    async with ClientSession(
        connector=connector, proxy=program.url("http"), proxy_auth=LOGIN
    ) as session:
        with pytest.raises(ClientHttpProxyError) as caught:
            await session.get("https://blocked.test/")
    assert caught.value.status == 403
    assert caught.value.body
    assert b"blocked.test" in caught.value.body


async def test_the_certificate_of_the_proxy_is_verified(
    server: Server, start: StartProgram, http1: str
) -> None:
    """Squid's is by an authority that this machine does not know."""
    program = start("squid")
    connector = TCPConnector(http1=http1)
    async with ClientSession(connector=connector, proxy=program.url("https")) as session:
        with pytest.raises(ClientConnectorCertificateError) as caught:
            await session.get(server.url)
    assert caught.value.port == program.tls_port


SOCKS_PROGRAMS = pytest.mark.parametrize(
    ("name", "scheme"),
    [
        ("danted", "socks4"),
        # dante has no SOCKS4a: it takes the address that announces a name for one to connect to
        ("danted", "socks5"),
        ("danted", "socks5h"),
        ("microsocks", "socks5"),
        ("microsocks", "socks5h"),
    ],
)


@SOCKS_PROGRAMS
async def test_a_socks_proxy(
    server: Server, tls_ca: Authority, start: StartProgram, http1: str, name: str, scheme: str
) -> None:
    """Dante lets everybody in, microsocks wants a user name and a password."""
    pytest.importorskip("socksio", reason="socksio is not installed (anyhttp-client[socks])")
    program = start(name)
    auth = LOGIN if name == "microsocks" else None
    connector = TCPConnector(ssl=tls_ca.client, http1=http1)
    async with ClientSession(
        connector=connector, proxy=program.url(scheme), proxy_auth=auth
    ) as session:
        for _ in range(2):
            await fetch(session, server.https_url)
            await fetch(session, server.url)
        assert_no_tokens(connector, idle=2)
    assert server.connections == 2


@SOCKS_PROGRAMS
async def test_a_socks_proxy_that_refuses(
    tls_ca: Authority, start: StartProgram, http1: str, name: str, scheme: str
) -> None:
    """For a wrong password, or an origin where nobody listens."""
    pytest.importorskip("socksio", reason="socksio is not installed (anyhttp-client[socks])")
    program = start(name)
    auth = LOGIN if name == "microsocks" else None
    async with ClientSession(
        connector=TCPConnector(http1=http1), proxy=program.url(scheme)
    ) as session:
        with pytest.raises(ClientProxyConnectionError, match=r"127\.0\.0\.1:1|localhost:1"):
            await session.get("http://localhost:1/", proxy_auth=auth)
        if name == "microsocks":
            with pytest.raises(ClientProxyConnectionError, match="wants credentials"):
                await session.get("http://localhost:1/")
            with pytest.raises(ClientProxyConnectionError, match="does not accept"):
                await session.get("http://localhost:1/", proxy_auth=WRONG)


@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        ("squid", "http"),
        ("squid", "https"),
        ("tinyproxy", "http"),
        ("danted", "socks5h"),
        ("microsocks", "socks5"),
    ],
)
async def test_http2_in_a_tunnel(
    http2_server: Http2Server, tls_ca: Authority, start: StartProgram, name: str, scheme: str
) -> None:
    """ALPN is the origin's: one tunnel carries all requests, and the proxy speaks HTTP/1.1."""
    if scheme.startswith("socks"):
        pytest.importorskip("socksio", reason="socksio is not installed (anyhttp-client[socks])")
    program = start(name)
    connector = TCPConnector(ssl=tls_ca.client, http2=True)
    auth = None if name == "danted" else LOGIN
    sent = bytes(20_000)

    async def exchange_both_ways() -> None:
        async with session.post(http2_server.https_url / "echo-body", data=sent) as response:
            assert await response.read() == sent
            assert response.version == HttpVersion(2, 0)

    async with ClientSession(
        connector=connector, proxy=program.url(scheme), proxy_auth=auth
    ) as session:
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(exchange_both_ways)
        await fetch(session, http2_server.https_url)
        assert http2_server.connections == http2_server.http2_connections == 1
        await fetch(session, http2_server.url)  # forwarded, or in a tunnel without ALPN
        assert http2_server.http2_connections == 1
        assert_no_tokens(connector, idle=2)
