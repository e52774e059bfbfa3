from __future__ import annotations

import socket
import ssl
from pathlib import Path
from types import ModuleType
from typing import Any

import anyio
from yarl import URL

from tests.compat.comparison import compared, failure, failures, headers_seen, read
from tests.support.server import Server
from tests.support.tls import Authority


def unused_port() -> int:
    """Return a port of this machine on which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


async def at_once(session: Any, url: URL, count: int) -> set[object]:
    """Make *count* requests at the same time and return what they got."""
    results: set[object] = set()

    async def one() -> None:
        results.add(await read(session.get(url)))

    async with anyio.create_task_group() as group:
        for _ in range(count):
            group.start_soon(one)
    return results


@compared
async def test_connections_are_kept(client: ModuleType, base: URL, server: Server) -> object:
    """A response that was read leaves its connection to the next request."""
    async with client.ClientSession() as session:
        for _ in range(3):
            await read(session.get(base / "json"))
        kept = server.connections
        async with session.get(base / "bytes" / "5000000"):
            pass  # not read, so its connection can't be used again
        await read(session.get(base / "json"))
        return kept, server.connections


@compared
async def test_a_connector_that_keeps_none(client: ModuleType, base: URL, server: Server) -> object:
    """force_close says so to the server, and closes after each response."""
    connector = client.TCPConnector(force_close=True)
    async with client.ClientSession(connector=connector) as session:
        headers = await headers_seen(session.get(base / "echo"))
        await read(session.get(base / "json"))
        return headers, server.connections, connector.force_close


@compared
async def test_a_limit(client: ModuleType, base: URL, server: Server) -> object:
    """No more connections are open at once than limit, or limit_per_host, allows."""
    results: list[object] = []
    for options in ({"limit": 2}, {"limit_per_host": 1}, {"limit": 3, "limit_per_host": 2}):
        server.reset()
        connector = client.TCPConnector(**options)
        async with client.ClientSession(connector=connector) as session:
            results.append(await at_once(session, base / "json", 8))
            results.append(server.peak_connections)
            results.append((connector.limit, connector.limit_per_host))
    return results


@compared
async def test_what_a_connector_tells(client: ModuleType, base: URL) -> object:
    """Its options are attributes; closing it twice is harmless."""
    connector = client.TCPConnector(family=socket.AF_INET, use_dns_cache=False)
    results = [
        connector.limit,
        connector.limit_per_host,
        connector.force_close,
        connector.family,
        connector.use_dns_cache,
        connector.closed,
        sorted(connector.allowed_protocol_schema_set),
    ]
    await connector.close()
    await connector.close()
    return results, connector.closed


@compared
async def test_a_connector_of_two_sessions(client: ModuleType, base: URL, server: Server) -> object:
    """A session that does not own its connector leaves it open."""
    async with client.TCPConnector() as connector:
        for _ in range(2):
            async with client.ClientSession(connector=connector, connector_owner=False) as session:
                await read(session.get(base / "json"))
        results = [connector.closed, server.connections]
    return results, connector.closed


@compared
async def test_a_session_that_lets_go(client: ModuleType, base: URL) -> object:
    """detach() ends the session and leaves the connector open."""
    connector = client.TCPConnector()
    session = client.ClientSession(connector=connector)
    session.detach()
    results = session.closed, session.connector, connector.closed
    await connector.close()
    return results


@compared
async def test_a_session_that_is_closed(client: ModuleType, base: URL) -> object:
    """It makes no more requests, and its connector is closed with it."""
    session = client.ClientSession()
    connector = session.connector
    await session.close()
    return session.closed, connector.closed, await failure(session.get(base / "json"))


@compared
async def test_nobody_listens(client: ModuleType, base: URL) -> object:
    """A connection that is refused is an error of the connector, and an OSError."""
    port = unused_port()
    async with client.ClientSession() as session:
        results: list[object] = [await failure(session.get(f"http://127.0.0.1:{port}/"))]
        try:
            await session.get(f"http://127.0.0.1:{port}/")
        except client.ClientConnectorError as exc:
            results += [exc.host, exc.port == port, exc.ssl, exc.errno, type(exc.os_error).__name__]
        return results


@compared
async def test_a_name_that_nobody_has(client: ModuleType, base: URL) -> object:
    """A name that is not resolved is an error of its own."""

    class Resolver(client.abc.AbstractResolver):  # type: ignore[misc, name-defined]
        async def resolve(self, host: str, port: int = 0, family: int = 0) -> Any:
            raise OSError(None, "no such name")

        async def close(self) -> None:
            pass

    connector = client.TCPConnector(resolver=Resolver())
    async with client.ClientSession(connector=connector) as session:
        return await failure(session.get("http://name.test/"))


@compared
async def test_a_resolver_of_ones_own(client: ModuleType, base: URL) -> object:
    """It finds addresses of names; the Host header has the name."""
    asked: list[object] = []

    class Resolver(client.abc.AbstractResolver):  # type: ignore[misc, name-defined]
        async def resolve(
            self, host: str, port: int = 0, family: int = socket.AF_INET
        ) -> list[dict[str, object]]:
            asked.append((host, port == base.port))
            return [
                {
                    "hostname": host,
                    "host": "127.0.0.1",
                    "port": port,
                    "family": socket.AF_INET,
                    "proto": 0,
                    "flags": socket.AI_NUMERICHOST,
                }
            ]

        async def close(self) -> None:
            asked.append("closed")

    connector = client.TCPConnector(resolver=Resolver(), force_close=True)
    async with client.ClientSession(connector=connector) as session:
        url = (base / "echo").with_host("name.test")
        results = [await headers_seen(session.get(url)) for _ in range(2)]
    return results, asked


# -- TLS --------------------------------------------------------------------------------


@compared
async def test_a_certificate_that_is_not_trusted(
    client: ModuleType, base: URL, server: Server
) -> object:
    """Verification is on; what fails it is an error of the certificate."""
    async with client.ClientSession() as session:
        results: list[object] = [await failure(session.get(server.https_url / "json"))]
        try:
            await session.get(server.https_url / "json")
        except client.ClientConnectorCertificateError as exc:
            results += [exc.host, exc.port, bool(exc.ssl), type(exc.certificate_error).__name__]
        return results


@compared
async def test_ways_to_trust(
    client: ModuleType, base: URL, server: Server, tls_ca: Authority
) -> object:
    """The option ssl is False, a context, or a fingerprint, of a request or of a connector."""
    url = server.https_url / "bytes" / "10"
    trusted = (False, tls_ca.client, client.Fingerprint(tls_ca.fingerprint))
    results: list[object] = []
    async with client.ClientSession() as session:
        results += [await read(session.get(url, ssl=option)) for option in trusted]
        results.append(await failure(session.get(url, ssl=True)))
        results.append(await failure(session.get(url, ssl=ssl.create_default_context())))
    for option in trusted:
        connector = client.TCPConnector(ssl=option)
        async with client.ClientSession(connector=connector) as session:
            results.append(await read(session.get(url)))
    return results


@compared
async def test_a_fingerprint_that_differs(client: ModuleType, base: URL, server: Server) -> object:
    """The error tells which digest was expected, and which was found."""
    async with client.ClientSession() as session:
        try:
            await session.get(server.https_url, ssl=client.Fingerprint(b"\0" * 32))
        except client.ServerFingerprintMismatch as exc:
            return exc.expected, exc.got, exc.port
    return "nothing raised"


@compared
async def test_a_name_for_tls(
    client: ModuleType, base: URL, server: Server, tls_ca: Authority
) -> object:
    """server_hostname is verified in the place of the URL's host."""
    url = server.https_url / "bytes" / "3"
    options = {"ssl": tls_ca.client}
    async with client.ClientSession() as session:
        return [
            await read(session.get(url.with_host("127.0.0.1"), **options)),
            await read(session.get(url, server_hostname="127.0.0.1", **options)),
            await failure(session.get(url, server_hostname="other.test", **options)),
        ]


@compared
async def test_a_handshake_that_fails(client: ModuleType, base: URL, server: Server) -> object:
    """Ciphers that the server cannot use are an error of TLS, not of the certificate."""
    context = ssl.create_default_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")  # the server's key is not for RSA
    async with client.ClientSession() as session:
        return await failure(session.get(server.https_url, ssl=context))


# -- Unix sockets -----------------------------------------------------------------------


@compared
async def test_a_unix_socket(client: ModuleType, base: URL, server: Server) -> object:
    """The connector leads to the socket; the host of the URL is only told to the server."""
    connector = client.UnixConnector(server.unix_path)
    async with client.ClientSession(connector=connector) as session:
        headers = await headers_seen(session.get("http://name.test/echo"))
        body = await read(session.post("http://localhost/upload", data=b"body"))
        return headers, body, connector.path == server.unix_path


@compared
async def test_a_unix_socket_that_is_not_there(
    client: ModuleType, base: URL, tmp_path: Path
) -> object:
    """The error has the path."""
    path = str(tmp_path / "absent")
    async with client.ClientSession(connector=client.UnixConnector(path=path)) as session:
        try:
            await session.get("http://localhost/")
        except client.client_exceptions.UnixClientConnectorError as exc:
            return exc.path == path, exc.errno, await failure(session.get("http://localhost/"))
    return "nothing raised"


# -- timeouts ---------------------------------------------------------------------------


@compared
async def test_the_time_of_a_request(client: ModuleType, base: URL) -> object:
    """The total bounds the wait for the response, and the reading of the body."""
    short = client.ClientTimeout(total=0.3)
    async with client.ClientSession() as session:
        results = [await failure(session.get(base / "hang", timeout=short))]
        slow = (base / "drip").with_query(n=2, delay=5)
        async with session.get(slow, timeout=client.ClientTimeout(total=0.5)) as response:
            results.append([response.status == 200, *await failure(response.read)])
    async with client.ClientSession(timeout=short) as session:
        results.append(await failure(session.get(base / "hang")))
    return results


@compared
async def test_the_time_between_pieces(client: ModuleType, base: URL) -> object:
    """sock_read bounds the silence of the server."""
    timeout = client.ClientTimeout(sock_read=0.3)
    async with client.ClientSession(timeout=timeout) as session:
        results = [await failure(session.get(base / "hang"))]
        slow = (base / "drip").with_query(n=2, delay=5)
        async with session.get(slow) as response:
            results.append(await failure(response.read))
        return results


@compared
async def test_the_time_for_a_connection(client: ModuleType, base: URL) -> object:
    """The limit for connecting bounds the wait for a connection that others have."""
    connector = client.TCPConnector(limit=1)
    timeout = client.ClientTimeout(connect=0.3)
    async with client.ClientSession(connector=connector, timeout=timeout) as session:
        async with session.get(base / "bytes" / "5000000"):
            return await failure(session.get(base / "json"))


@compared
async def test_what_a_timeout_is(client: ModuleType, base: URL) -> object:
    """ClientTimeout is a value; the session's is the default."""
    async with client.ClientSession() as session:
        default = session.timeout
    own = client.ClientTimeout(total=60, sock_read=5)
    return [
        (default.total, default.connect, default.sock_read, default.sock_connect),
        (own.total, own.connect, own.sock_read, own.sock_connect),
        own == client.ClientTimeout(total=60, sock_read=5),
        client.ClientTimeout() == client.ClientTimeout(None),
        await failures(client.ClientTimeout, {"total": 1}, {"nonsense": 1}),
        "AttributeError" in await failure(lambda: setattr(own, "total", 1)),
    ]
