"""Against servers that nobody here wrote: the same questions to each, over each engine."""

from __future__ import annotations

import gzip
import hashlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

import anyhttp
from anyhttp import ClientSession, TCPConnector, UnixConnector
from anyhttp.connector import AddrInfoType
from tests.real import servers
from tests.real.asgi_app import LARGE, LINES
from tests.support.census import assert_no_tokens
from tests.support.tls import Authority

STARTERS: dict[str, Callable[[Path], AbstractContextManager[servers.Place]]] = {
    "apache": servers.apache,
    "granian": servers.granian,
    "haproxy": servers.haproxy,
    "hypercorn": servers.hypercorn,
}


@pytest.fixture(scope="session", params=STARTERS)
def place(request: pytest.FixtureRequest, tls_ca: Authority) -> Iterator[servers.Place]:
    """A running server."""
    for module in {"granian", "hypercorn"} & {request.param}:
        pytest.importorskip(module, reason=f"{module} is not installed (pip install {module})")
    with servers.directory(tls_ca) as root, STARTERS[request.param](root) as place:
        yield place


class Sockets:
    """A socket factory that counts."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, address: AddrInfoType) -> socket.socket:
        """Make a socket for *address*."""
        self.count += 1
        return socket.socket(*address[:3])


@pytest.fixture
def sockets() -> Sockets:
    """Counts the connections that a session makes."""
    return Sockets()


@pytest.fixture
async def session(
    place: servers.Place, http1: str, sockets: Sockets
) -> AsyncIterator[ClientSession]:
    """A session with the server as its base; afterwards nothing may be in use."""
    connector = TCPConnector(http1=http1, socket_factory=sockets)
    session = ClientSession(place.url, connector=connector)
    yield session
    assert_no_tokens(connector)
    await session.close()


async def read(session: ClientSession, path: str, **options: Any) -> bytes:
    """Fetch *path*, which must be there."""
    async with session.get(path, **options) as response:
        assert response.status == 200
        return await response.read()


def sha256(body: bytes) -> dict[str, str]:
    """Return what a server says of an upload."""
    return {"sha256": hashlib.sha256(body).hexdigest()}


async def pieces(count: int) -> AsyncIterator[bytes]:
    """Yield a body in pieces of 64 KiB."""
    for _ in range(count):
        yield b"x" * 65536
        await anyio.lowlevel.checkpoint()


async def test_one_connection_carries_many_requests(
    session: ClientSession, sockets: Sockets
) -> None:
    """RFC 9112 §9.3: it stays open on both sides."""
    for _ in range(5):
        async with session.get("/json") as response:
            assert await response.json() == {"ok": True}
            assert response.version == anyhttp.HttpVersion11
    assert sockets.count == 1


async def test_many_at_once(session: ClientSession, sockets: Sockets) -> None:
    """Answers are not mixed up, and connections are shared."""
    bodies: list[bytes] = []

    async def ask(path: str) -> None:
        bodies.extend([await read(session, path) for _ in range(5)])

    async with anyio.create_task_group() as group:
        for path in ("/json", "/large", "/chunked") * 3:
            group.start_soon(ask, path)
    assert sorted(map(len, bodies)) == sorted(
        [len(b'{"ok": true}'), len(LARGE), len(b"".join(LINES))] * 15
    )
    assert sockets.count <= 9


async def test_bodies_in_every_framing(session: ClientSession, sockets: Sockets) -> None:
    """With a length, in chunks, and packed."""
    async with session.get("/large") as response:
        assert response.content_length == len(LARGE)
        assert await response.read() == LARGE
    framings = set()
    async with session.get("/chunked", headers={"Accept-Encoding": "identity"}) as response:
        framings.add(response.headers.get("Transfer-Encoding"))
        assert await response.read() == b"".join(LINES)
    async with session.get("/packed") as response:
        framings.add(response.headers.get("Transfer-Encoding"))
        assert response.headers["Content-Encoding"] == "gzip"
        unpacked = await response.read()
    # Apache finds out the length of a script's short answer if it ends soon enough
    assert "chunked" in framings
    assert unpacked in {LARGE, b"".join(LINES)}
    packed = await read(session, "/packed", auto_decompress=False)
    assert gzip.decompress(packed) == unpacked
    assert sockets.count == 1


async def test_responses_without_a_body(session: ClientSession, sockets: Sockets) -> None:
    """RFC 9112 §6.3: to HEAD, and with 204 and 304, whatever their headers say."""
    for _ in range(2):
        async with session.head("/large") as response:
            assert response.status == 200
            assert response.headers["Content-Length"] == str(len(LARGE))
            assert await response.read() == b""
        async with session.get("/empty") as response:
            assert (response.status, await response.read()) == (204, b"")
        async with session.get("/json", headers={"If-None-Match": "*"}) as response:
            assert (response.status, await response.read()) == (304, b"")
        assert await read(session, "/json") == b'{"ok": true}'
    assert sockets.count == 1


async def test_a_server_that_closes(session: ClientSession, sockets: Sockets) -> None:
    """RFC 9112 §9.6: the next request goes over another connection."""
    for _ in range(3):
        async with session.get("/close") as response:
            assert response.headers["Connection"].lower() == "close"
            assert await response.read() == b"bye"
    assert sockets.count == 3


async def test_uploads(session: ClientSession, sockets: Sockets) -> None:
    """Of a known length, in chunks, and with leave asked for (RFC 9110 §10.1.1)."""
    body = b"x" * 65536 * 20
    variants: list[dict[str, Any]] = [
        {"data": body[:300_000]},
        {"data": pieces(20)},
        {"data": pieces(20), "headers": {"Content-Length": str(len(body))}},
        {"data": body[:300_000], "expect100": True},
        {"data": pieces(20), "expect100": True},
    ]
    for options in variants:
        async with session.post("/upload", **options) as response:
            assert response.status == 200
            expected = body[:300_000] if isinstance(options["data"], bytes) else body
            assert await response.json() == sha256(expected)
    assert sockets.count <= 3  # some servers close after "100 Continue"


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("form", ["length", "chunked", "expect"])
async def test_an_upload_that_is_refused(
    session: ClientSession, place: servers.Place, tls_ca: Authority, form: str, tls: bool
) -> None:
    """The answer arrives, though the body is not at its end or was never sent."""
    options: dict[str, Any] = {"data": pieces(100), "ssl": tls_ca.client}
    if form == "length":
        options["headers"] = {"Content-Length": str(100 * 65536)}
    elif form == "expect":
        options["expect100"] = True
    url = f"{place.tls_url if tls else place.url}/refused"
    async with session.post(url, **options) as response:
        assert response.status == 413
    assert await read(session, "/json") == b'{"ok": true}'


async def test_long_headers(session: ClientSession) -> None:
    """Up to the limit they are read, beyond it the response is refused."""
    async with session.get("/long-header") as response:
        assert response.headers["X-Long"] == "a" * 6000
    with pytest.raises(anyhttp.ClientResponseError, match=r"(?i)header") as caught:
        await session.get("/too-long-header")
    assert caught.value.status == 400
    async with session.get("/too-long-header", max_field_size=10_000) as response:
        assert response.headers["X-Long"] == "a" * 9000
        assert await response.read() == b"too long"


async def test_a_request_head_that_is_too_long(session: ClientSession) -> None:
    """The server says so, or is content; either way the answer is read."""
    async with session.get("/json", headers={"X-Long": "a" * 40_000}) as response:
        assert response.status in {200, 400, 431}
    assert await read(session, "/json") == b'{"ok": true}'


async def test_tls(place: servers.Place, http1: str, sockets: Sockets, tls_ca: Authority) -> None:
    """Verified, and used again; unverified it is refused."""
    connector = TCPConnector(ssl=tls_ca.client, http1=http1, socket_factory=sockets)
    async with ClientSession(place.tls_url, connector=connector) as session:
        for path in ("/large", "/chunked", "/json", "/large"):
            assert await read(session, path)
        async with session.post("/upload", data=pieces(20)) as response:
            assert await response.json() == sha256(b"x" * 65536 * 20)
        assert sockets.count == 1
        with pytest.raises(anyhttp.ClientConnectorCertificateError):
            await session.get("/json", ssl=ssl.create_default_context())


async def test_a_unix_socket(place: servers.Place, http1: str) -> None:
    """As over TCP."""
    if place.unix_path is None:
        pytest.skip("this server listens on no Unix socket")
    connector = UnixConnector(place.unix_path, http1=http1)
    async with ClientSession("http://any.test/", connector=connector) as session:
        for path in ("/large", "/chunked", "/json"):
            assert await read(session, path)
        async with session.post("/refused", data=pieces(100)) as response:
            assert response.status == 413
