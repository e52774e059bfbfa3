"""Against HTTP/2 servers that nobody here wrote: the same questions to each."""

from __future__ import annotations

import hashlib
import io
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from anyhttp import ClientPayloadError, ClientSession, HttpVersion, TCPConnector
from tests.real import http2_servers, servers
from tests.real.http2_servers import Http2Place, Nginx
from tests.support.busy_program import BusyProgram
from tests.support.census import assert_no_tokens
from tests.support.server import Server
from tests.support.sockets import Sockets
from tests.support.tls import Authority

pytest.importorskip("h2", reason="h2 is not installed (anyhttp-client[http2])")

Starter = Callable[[Path, int], AbstractContextManager[Http2Place]]
STARTERS: dict[str, Starter] = {
    "apache": http2_servers.apache,
    "granian": http2_servers.granian,
    "haproxy": http2_servers.haproxy,
    "hypercorn": http2_servers.hypercorn,
    "nghttpd": http2_servers.nghttpd,
    "nginx": http2_servers.nginx,
    "node": http2_servers.node,
}
HTTP2 = HttpVersion(2, 0)
SIZES = (1, 16_384, 65_535, 5_000_000)
LARGE = random.Random(2).randbytes(5_000_000)

#: How much of a body nginx lets a client send at first, in bytes.
NGINX_WINDOW = 65_536


def echoed(place: Http2Place, size: int) -> bytes:
    """Return a body of *size* bytes, or as much of it as *place* can be trusted to echo.

    nginx now and then stops to open the window of a body while the response to it is being sent,
    although all that it had given was used.
    """
    return LARGE[: min(size, NGINX_WINDOW) if isinstance(place, Nginx) else size]


def started(name: str, tls_ca: Authority, origin: int) -> Iterator[Http2Place]:
    """Run a server as long as the fixture lives that yields from this."""
    for module in {"granian", "hypercorn"} & {name}:
        pytest.importorskip(module, reason=f"{module} is not installed (pip install {module})")
    with servers.directory(tls_ca) as root, STARTERS[name](root, origin) as place:
        yield place


@pytest.fixture(scope="session", params=STARTERS)
def place(
    request: pytest.FixtureRequest, tls_ca: Authority, server_of_session: Server
) -> Iterator[Http2Place]:
    """A running server."""
    origin = server_of_session.url.port
    assert origin is not None
    yield from started(request.param, tls_ca, origin)


@pytest.fixture
def sockets() -> Sockets:
    """Counts the connections that a session makes."""
    return Sockets()


@pytest.fixture(params=["tls", "clear"])
async def session(
    request: pytest.FixtureRequest, place: Http2Place, sockets: Sockets, tls_ca: Authority
) -> AsyncIterator[ClientSession]:
    """A session with the server as its base, by ALPN or by prior knowledge."""
    if request.param == "tls":
        url = f"https://localhost:{place.tls_port}/"
        connector = TCPConnector(http2=True, ssl=tls_ca.client, socket_factory=sockets)
    else:
        url = f"http://127.0.0.1:{place.clear_port}/"
        connector = TCPConnector(http2="prior-knowledge", socket_factory=sockets)
    async with ClientSession(url, connector=connector) as session:
        yield session
        assert_no_tokens(connector)


def counting(size: int) -> bytes:
    """Return what is at ``/bytes/N``."""
    return (bytes(range(256)) * (size // 256 + 1))[:size]


async def pieces(body: bytes) -> AsyncIterator[bytes]:
    """Yield a body in pieces of odd sizes."""
    size, position = 1, 0
    while position < len(body):
        yield body[position : position + size]
        await anyio.lowlevel.checkpoint()
        position += size
        size = size * 2 % 300_000 + 1


async def read(session: ClientSession, path: str) -> bytes:
    """Fetch *path*, which must be there, by HTTP/2."""
    async with session.get(path) as response:
        assert (response.status, response.version) == (200, HTTP2)
        return await response.read()


async def test_bodies_down(session: ClientSession, sockets: Sockets) -> None:
    """Small and large ones, one after the other, over one connection."""
    for size in SIZES:
        assert await read(session, f"bytes/{size}") == counting(size)
    async with session.get("bytes/5000000") as response:
        chunks = [chunk async for chunk in response.content.iter_chunked(7_777)]
        assert b"".join(chunks) == counting(5_000_000)
    assert len(sockets.made) == 1


async def test_bodies_up_and_down(
    session: ClientSession, place: Http2Place, sockets: Sockets
) -> None:
    """Of a known length and of none; what comes back is the same."""
    for size in SIZES:
        body = echoed(place, size)
        # the large one is read while it is sent: that takes the servers longest
        for data in (pieces(body), io.BytesIO(body))[: 1 if size == len(LARGE) else 2]:
            async with session.post("echo-body", data=data) as response:
                assert (response.status, response.version) == (200, HTTP2)
                assert await response.read() == body
    if place.has_routes:
        digest = hashlib.sha256(LARGE).hexdigest()
        async with session.post("upload", data=io.BytesIO(LARGE)) as response:
            answer = await response.json(content_type=None)
        assert answer == {"length": len(LARGE), "sha256": digest}
    assert len(sockets.made) == 1


async def test_responses_without_a_body(
    session: ClientSession, place: Http2Place, sockets: Sockets
) -> None:
    """To HEAD, and with 204; the connection goes on."""
    async with session.head("bytes/1000") as response:
        assert (response.status, response.content_length) == (200, 1000)
        assert await response.read() == b""
    if place.has_routes:
        async with session.get("status/204") as response:
            assert (response.status, await response.read()) == (204, b"")
    async with session.get("json") as response:
        assert await response.json(content_type=None) == place.document
    assert len(sockets.made) == 1


async def test_redirects_and_codings(
    session: ClientSession, place: Http2Place, sockets: Sockets
) -> None:
    """They are followed and decoded as ever."""
    if not place.has_routes:
        pytest.skip(f"{place.name} serves only files")
    async with session.get("redirect/1") as response:
        assert (response.status, response.version) == (200, HTTP2)
        assert [past.status for past in response.history] == [302]
        await response.read()
    async with session.get("gzip") as response:
        assert response.headers["Content-Encoding"] == "gzip"
        assert await response.json(content_type=None) == place.document
    assert len(sockets.made) == 1


async def test_trailers(session: ClientSession, place: Http2Place) -> None:
    """RFC 9113 §8.1: fields after the body."""
    if not place.has_trailers:
        pytest.skip(f"{place.name} sends no trailers")
    async with session.get("trailers", headers={"TE": "trailers"}) as response:
        assert await response.read() == b"with trailers"
        assert response.trailers is not None
        assert response.trailers["X-Sum"] == "42"


async def test_an_upload_that_asks_before(session: ClientSession, place: Http2Place) -> None:
    """RFC 9110 §10.1.1: the body goes out when the server says 100."""
    if not place.continues:
        pytest.skip(f"{place.name} says no 100 over HTTP/2")
    digest = hashlib.sha256(LARGE[:300_000]).hexdigest()
    for data in (LARGE[:300_000], pieces(LARGE[:300_000])):
        async with session.post("upload", data=data, expect100=True) as response:
            assert response.status == 200
            if place.has_routes:
                answer = await response.json(content_type=None)
                assert answer == {"length": 300_000, "sha256": digest}
            else:
                assert await response.read() == LARGE[:300_000]


async def test_a_hundred_at_a_time(
    session: ClientSession, place: Http2Place, sockets: Sockets
) -> None:
    """Up, down and small ones beside each other, over one connection."""
    body = echoed(place, 200_000)
    done: list[int] = []

    async def ask(number: int) -> None:
        if number % 10 == 0:
            async with session.post("echo-body", data=pieces(body)) as response:
                assert await response.read() == body
        elif number % 10 == 1:
            assert await read(session, "bytes/100000") == counting(100_000)
        else:
            assert await read(session, "bytes/1000") == counting(1000)
        done.append(number)

    async with anyio.create_task_group() as group:
        for number in range(100):
            group.start_soon(ask, number)
    assert sorted(done) == list(range(100))
    assert len(sockets.made) == 1


async def test_a_slow_reader_holds_up_nobody(
    session: ClientSession, place: Http2Place, sockets: Sockets
) -> None:
    """Others go on, up and down, while a large response is not read."""
    body = echoed(place, 1_000_000)
    async with session.get("bytes/5000000") as slow:
        assert await slow.content.readexactly(1000) == counting(1000)
        for _ in range(3):
            async with session.post("echo-body", data=io.BytesIO(body)) as response:
                assert await response.read() == body
        assert 1000 + len(await slow.read()) == 5_000_000
    assert len(sockets.made) == 1


async def test_a_tenth_is_cancelled(
    session: ClientSession, place: Http2Place, sockets: Sockets
) -> None:
    """Whoever is cancelled, up or down, the others do not notice."""
    if place.name == "apache":
        # If it has a head queued for that stream, it takes the reset for a failure of its own.
        pytest.skip("Apache 2.4 may close the connection, with code -902, when a stream is reset")
    chance = random.Random(17)
    body = echoed(place, 100_000)
    done: set[int] = set()
    cancelled: set[int] = set()

    async def ask(number: int, rounds: int) -> None:
        with anyio.CancelScope() as scope:
            if number in cancelled:
                group.start_soon(cancel_later, scope, rounds)
            if number % 5 == 0:
                async with session.post("echo-body", data=pieces(body)) as response:
                    assert await response.read() == body
            else:
                assert await read(session, "bytes/100000") == counting(100_000)
            done.add(number)

    async def cancel_later(scope: anyio.CancelScope, rounds: int) -> None:
        for _ in range(rounds):
            await anyio.lowlevel.checkpoint()
        scope.cancel()

    for start in range(0, 200, 50):
        numbers = range(start, start + 50)
        cancelled.update(chance.sample(numbers, 5))
        async with anyio.create_task_group() as group:
            for number in numbers:
                group.start_soon(ask, number, chance.randrange(1, 60))
    assert done | cancelled == set(range(200))
    assert len(sockets.made) == 1


# -- one server and its ways -----------------------------------------------------------


@pytest.fixture(scope="session")
def nginx(tls_ca: Authority, server_of_session: Server) -> Iterator[Http2Place]:
    """Nginx alone."""
    origin = server_of_session.url.port
    assert origin is not None
    yield from started("nginx", tls_ca, origin)


@pytest.fixture(scope="session")
def node(tls_ca: Authority) -> Iterator[Http2Place]:
    """Node alone."""
    yield from started("node", tls_ca, 0)


async def test_nginx_says_goaway(nginx: Nginx, tls_ca: Authority, sockets: Sockets) -> None:
    """After its tenth request a connection ends; no request notices, alone or beside others."""
    connector = TCPConnector(http2=True, ssl=tls_ca.client, socket_factory=sockets)
    async with ClientSession(f"https://localhost:{nginx.few_port}", connector=connector) as session:
        for _ in range(25):
            assert await read(session, "/bytes/1000") == counting(1000)
        alone = len(sockets.made)
        assert 3 <= alone <= 4
        done: list[bytes] = []

        async def ask() -> None:
            async with session.post("/echo-body", data=LARGE[:50_000]) as response:
                done.append(await response.read())

        async with anyio.create_task_group() as group:
            for _ in range(60):
                group.start_soon(ask)
        assert done == [LARGE[:50_000]] * 60
        assert_no_tokens(connector)


@pytest.mark.parametrize("limit", [1, 4])
async def test_more_requests_than_streams(
    nginx: Nginx, tls_ca: Authority, sockets: Sockets, limit: int
) -> None:
    """Beyond SETTINGS_MAX_CONCURRENT_STREAMS they open connections up to the limit, or wait."""
    connector = TCPConnector(http2=True, ssl=tls_ca.client, socket_factory=sockets, limit=limit)
    sizes: list[int] = []
    url = f"https://localhost:{nginx.few_port}"
    async with ClientSession(url, connector=connector) as session:

        async def ask() -> None:
            sizes.append(len(await read(session, "/bytes/100000")))

        async with anyio.create_task_group() as group:
            for _ in range(30):
                group.start_soon(ask)
        assert_no_tokens(connector)
    assert sizes == [100_000] * 30
    assert sockets.peak <= limit


async def test_nginx_refuses_an_upload(nginx: Nginx, tls_ca: Authority, sockets: Sockets) -> None:
    """413 before the body is up; the stream ends with it, and not the connection."""
    connector = TCPConnector(http2=True, ssl=tls_ca.client, socket_factory=sockets)
    async with ClientSession(f"https://localhost:{nginx.tls_port}", connector=connector) as session:
        variants: list[dict[str, Any]] = [
            {"data": io.BytesIO(LARGE)},
            {"data": pieces(LARGE), "headers": {"Content-Length": str(len(LARGE))}},
            {"data": pieces(LARGE)},
        ]
        for options in variants:
            async with session.post("/refused", **options) as response:
                assert (response.status, response.version) == (413, HTTP2)
            assert await read(session, "/bytes/1000") == counting(1000)
    assert len(sockets.made) == 1


async def test_node_resets_a_stream(node: Http2Place, sockets: Sockets) -> None:
    """The response breaks off, and the connection goes on."""
    connector = TCPConnector(http2="prior-knowledge", socket_factory=sockets)
    url = f"http://127.0.0.1:{node.clear_port}"
    async with ClientSession(url, connector=connector) as session:
        async with session.get("/broken") as response:
            with pytest.raises(ClientPayloadError, match="INTERNAL_ERROR"):
                await response.read()
        assert await read(session, "/json")
        assert await read(session, "/push") == b"false"
    assert len(sockets.made) == 1


async def test_node_says_goaway(node: Http2Place, sockets: Sockets) -> None:
    """The response that is the last one is complete, and the next request dials."""
    connector = TCPConnector(http2="prior-knowledge", socket_factory=sockets)
    url = f"http://127.0.0.1:{node.clear_port}"
    async with ClientSession(url, connector=connector) as session:
        for _ in range(3):
            assert await read(session, "/goaway") == b"the last one"
    assert len(sockets.made) == 3


async def test_fields_as_node_sees_them(node: Http2Place) -> None:
    """RFC 9113 §8: pseudo-header fields, names in lower case, one cookie field or several."""
    connector = TCPConnector(http2="prior-knowledge")
    host = f"127.0.0.1:{node.clear_port}"
    async with (
        ClientSession(f"http://{host}", connector=connector) as session,
        session.get(
            "/headers?a=%20b",
            headers={"X-Mixed-Case": "Value", "Connection": "keep-alive", "TE": "trailers"},
            cookies={"one": "1", "two": "2"},
        ) as response,
    ):
        seen = await response.json(content_type=None)
    assert {name: value for name, value in seen.items() if name[0] == ":"} == {
        ":method": "GET",
        ":scheme": "http",
        ":path": "/headers?a=%20b",
        ":authority": host,
    }
    assert (seen["x-mixed-case"], seen["te"]) == ("Value", "trailers")
    assert sorted(seen["cookie"].split("; ")) == ["one=1", "two=2"]
    assert not {"connection", "host", "transfer-encoding"} & seen.keys()


@pytest.mark.parametrize("name", ["nginx", "nghttpd"])
async def test_a_thousand_requests(
    name: str, tls_ca: Authority, server_of_session: Server, sockets: Sockets
) -> None:
    """A tenth of them cancelled, on one TLS connection; every other one succeeds."""
    origin = server_of_session.url.port
    assert origin is not None
    connector = TCPConnector(http2=True, ssl=tls_ca.client, socket_factory=sockets)
    with servers.directory(tls_ca) as root, STARTERS[name](root, origin) as place:
        url = f"https://localhost:{place.tls_port}"
        async with ClientSession(url, connector=connector) as session:
            outcome = await BusyProgram(session).run()
            assert_no_tokens(connector)
    assert outcome.succeeded | outcome.cancelled == set(range(1000))
    assert outcome.versions == {(2, 0)}
    assert len(sockets.made) == 1
