"""What replaces the network for the connectors to it, in one context of the program."""

from __future__ import annotations

import contextvars
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest

from anyhttp import (
    BaseConnector,
    ClientConnectionError,
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    TCPConnector,
    TraceConfig,
    UnixClientConnectorError,
    UnixConnector,
)
from anyhttp.connector import (
    ProxyConnector,
    is_network_replaced,
    open_stream,
    replaced_network,
)
from tests.support.cancel import cancel_at_every_checkpoint
from tests.support.canned import Canned, CannedConnector, CannedSource
from tests.support.census import assert_no_tokens
from tests.support.client import get
from tests.support.httpx_libraries import library
from tests.support.names import Names
from tests.support.responses import EMPTY, OK
from tests.support.server import Server

KINDS: dict[str, Callable[[], BaseConnector]] = {
    "tcp": TCPConnector,
    "unix": lambda: UnixConnector("/no/such/socket"),
}
by_kind = pytest.mark.parametrize("kind", KINDS)


@by_kind
@pytest.mark.parametrize("url", ["http://host.test/a", "https://host.test/a"])
async def test_a_request_is_answered_by_the_source(kind: str, url: str) -> None:
    """The request is the one that the network would have got; TLS is left out."""
    source = CannedSource()
    async with ClientSession(connector=KINDS[kind]()) as session:
        with replaced_network(source):
            assert await get(session, url) == b"ok"
            assert await get(session, url) == b"ok"
        assert session.connector is not None
        assert_no_tokens(session.connector, idle=0)
    first, second = source.sent
    assert first == second
    assert first.startswith(b"GET /a HTTP/1.1\r\nHost: host.test\r\n")
    assert b"Connection" not in first
    assert [str(request.url) for request in source.requests] == [url, url]
    assert all(stream.closed for stream in source.streams)


async def test_blocks_that_end_in_the_order_in_which_they_began() -> None:
    """Each holds until it is left itself."""
    sources = [CannedSource(lambda: None), CannedSource()]
    blocks = [replaced_network(source) for source in sources]
    for block in blocks:
        block.__enter__()
    blocks[0].__exit__(None, None, None)
    async with ClientSession() as session:
        assert await get(session, "http://host.test/") == b"ok"
    blocks[1].__exit__(None, None, None)
    assert not is_network_replaced()
    assert [len(source.requests) for source in sources] == [0, 1]


async def test_a_connector_of_its_own_is_not_replaced() -> None:
    """It is in memory already."""
    source, connector = CannedSource(), CannedConnector()
    async with ClientSession(connector=connector) as session:
        with replaced_network(source):
            await get(session, "http://host.test/")
    assert source.requests == []
    assert len(connector.source.requests) == 1


async def test_idle_connections_are_left_alone(server: Server) -> None:
    """The block takes nothing from the network; what was idle before is used after it."""
    source = CannedSource()
    async with ClientSession(server.url) as session:
        await get(session)
        with replaced_network(source):
            assert await get(session) == b"ok"
        assert len(source.requests) == 1
        await get(session)
    assert server.connections == 1


async def test_idle_connections_in_memory_are_used() -> None:
    """Those of a connector that does not use the network are no connections of the network."""
    connector = CannedConnector(lambda: _KeptStream(OK, OK))
    async with ClientSession(connector=connector) as session:
        with replaced_network(CannedSource()):
            await get(session, "http://host.test/")
            await get(session, "http://host.test/")
    assert len(connector.source.requests) == 1


class _KeptStream(Canned):
    for_one_exchange = False


async def test_the_network_is_used_if_the_source_has_nothing(server: Server) -> None:
    """As for a server on loopback that a test has started."""
    source = CannedSource(lambda: None)
    async with ClientSession(server.url) as session:
        with replaced_network(source):
            await get(session)
    assert server.connections == len(source.requests) == 1


async def test_an_inner_block_is_asked_first(server: Server) -> None:
    """An outer one gets what the inner one has nothing for."""
    outer, nothing, inner = CannedSource(), CannedSource(lambda: None), CannedSource()
    async with ClientSession() as session:
        with replaced_network(outer):
            with replaced_network(inner):
                await get(session, "http://host.test/1")
            with replaced_network(nothing):
                await get(session, "http://host.test/2")
            await get(session, "http://host.test/3")
    assert [request.url.path for request in inner.requests] == ["/1"]
    assert [request.url.path for request in nothing.requests] == ["/2"]
    assert [request.url.path for request in outer.requests] == ["/2", "/3"]


async def test_other_tasks_do_not_meet() -> None:
    """Each task has its own source, also with one session; tasks that it starts have it too."""
    sources = [CannedSource(), CannedSource()]
    inside = [anyio.Event(), anyio.Event()]

    async def ask(number: int) -> None:
        with replaced_network(sources[number]):
            inside[number].set()
            await inside[1 - number].wait()
            async with anyio.create_task_group() as group:
                group.start_soon(get, session, f"http://host.test/{number}")

    async with ClientSession() as session, anyio.create_task_group() as both:
        both.start_soon(ask, 0)
        both.start_soon(ask, 1)
    for number, source in enumerate(sources):
        assert [request.url.path for request in source.requests] == [f"/{number}"]


async def test_a_task_that_outlives_the_block_has_the_network(server: Server) -> None:
    """What it was started with is over."""
    source, over = CannedSource(), anyio.Event()

    async def ask() -> None:
        await over.wait()
        await get(session)

    async with ClientSession(server.url) as session, anyio.create_task_group() as group:
        with replaced_network(source):
            group.start_soon(ask)
        with replaced_network(CannedSource()):  # of somebody else
            over.set()
            await anyio.wait_all_tasks_blocked()
    assert source.requests == []


async def test_threads_have_it_too() -> None:
    """A worker thread gets the context of the task."""
    source = CannedSource()

    def ask() -> bytes:
        async def run() -> bytes:
            async with ClientSession() as session:
                return await get(session, "http://host.test/")

        return anyio.run(run)

    with replaced_network(source):
        assert await anyio.to_thread.run_sync(ask) == b"ok"
    assert len(source.requests) == 1


def in_new_thread(work: Callable[[], object]) -> None:
    """Run *work* in a thread that gets no context of the caller."""
    thread = threading.Thread(target=contextvars.Context().run, args=[work])
    thread.start()
    thread.join()


def test_a_block_for_the_whole_process() -> None:
    """It holds in contexts and threads that know nothing of it, until it is left."""
    source, error = CannedSource(), ConnectionRefusedError()
    outer = CannedSource(error)

    async def ask() -> None:
        async with ClientSession() as session:
            with suppress(ClientConnectorError):
                await get(session, "http://host.test/")

    with replaced_network(outer, whole_process=True):
        with replaced_network(source, whole_process=True):
            in_new_thread(lambda: anyio.run(ask))
            assert len(source.requests) == 1
        in_new_thread(lambda: anyio.run(ask))
    assert (len(source.requests), len(outer.requests)) == (1, 1)


async def test_a_block_of_a_context_is_inside_those_for_the_whole_process() -> None:
    """It does not matter which of the two began first."""
    here, everywhere = CannedSource(), CannedSource()
    nothing = CannedSource(lambda: None)
    async with ClientSession() as session:
        with replaced_network(here), replaced_network(everywhere, whole_process=True):
            await get(session, "http://host.test/1")
            with replaced_network(nothing, whole_process=True):
                await get(session, "http://host.test/2")
        with replaced_network(everywhere, whole_process=True), replaced_network(nothing):
            await get(session, "http://host.test/3")
    assert [request.url.path for request in here.requests] == ["/1", "/2"]
    assert [request.url.path for request in everywhere.requests] == ["/3"]
    assert [request.url.path for request in nothing.requests] == ["/3"]


def test_a_block_may_be_left_in_another_context() -> None:
    """Some test runners leave a fixture in another context than the one they entered it in."""
    source = CannedSource()
    block = replaced_network(source)
    before, after = contextvars.copy_context(), contextvars.copy_context()
    before.run(block.__enter__)
    after.run(block.__exit__, None, None, None)

    async def refused() -> None:
        async with ClientSession() as session:
            with pytest.raises(ClientConnectorError):
                await get(session, "http://127.0.0.1:1/")

    before.run(anyio.run, refused)
    assert source.requests == []


@pytest.mark.parametrize(
    ("url", "target"),
    [("http://host.test/a", b"http://host.test/a"), ("https://host.test/a", b"/a")],
)
@pytest.mark.parametrize("proxy", ["http://proxy.test:8080", "https://proxy.test", "socks5h://p"])
async def test_a_proxy_is_not_connected_to(url: str, target: bytes, proxy: str) -> None:
    """What is forwarded has a whole URL as its target; a tunnel is there already."""
    source, names = CannedSource(), Names()
    async with ClientSession(connector=TCPConnector(resolver=names)) as session:
        with replaced_network(source):
            assert await get(session, url, proxy=proxy) == b"ok"
    (sent,) = source.sent
    assert sent.startswith(b"GET %b HTTP/1.1" % (b"/a" if proxy.startswith("socks") else target))
    assert source.requests[0].proxy.host in {"proxy.test", "p"}
    assert names.asked == []


async def test_the_proxy_of_a_connector() -> None:
    """A ``ProxyConnector`` is a connector to the network, too."""
    source = CannedSource()
    with pytest.warns(DeprecationWarning, match="give proxy"):
        connector = ProxyConnector("http://proxy.test")
    async with ClientSession(connector=connector) as session:
        with replaced_network(source):
            await get(session, "http://host.test/")
    assert source.sent[0].startswith(b"GET http://host.test/ HTTP/1.1")


@pytest.mark.parametrize("name", ["httpx", "httpx2"])
@pytest.mark.parametrize("options", [{}, {"uds": "/no/such/socket"}], ids=["tcp", "unix"])
async def test_the_transports_of_other_clients(name: str, options: dict[str, Any]) -> None:
    """Their connectors are connectors to the network."""
    source, made = CannedSource(), library(name)
    async with made.package.AsyncClient(transport=made.ours(**options)) as client:
        with replaced_network(source):
            response = await client.get("https://host.test/a")
            assert response.text == "ok"
    assert source.sent[0].startswith(b"GET /a HTTP/1.1\r\n")


async def test_overridden_steps_are_taken() -> None:
    """A subclass's own method runs, and what it calls of its base is replaced."""

    class Mine(TCPConnector):
        asked = 0

        async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> Any:
            self.asked += 1
            return await super()._create_connection(req, traces, timeout)

    source, connector = CannedSource(), Mine()
    async with ClientSession(connector=connector) as session:
        with replaced_network(source):
            await get(session, "http://host.test/")
    assert (connector.asked, len(source.requests)) == (1, 1)


async def test_limits_and_traces_of_the_connector_hold() -> None:
    """Only the making of the stream is replaced."""
    told: list[str] = []
    config = TraceConfig()

    async def tell(name: str) -> None:
        told.append(name)

    config.on_connection_queued_start.append(lambda *_: tell("queued"))
    config.on_connection_create_start.append(lambda *_: tell("create"))
    config.on_connection_create_end.append(lambda *_: tell("created"))
    config.on_dns_resolvehost_start.append(lambda *_: tell("dns"))
    options: dict[str, Any] = {"trace_configs": [config], "connector": TCPConnector(limit=1)}
    async with ClientSession(**options) as session:
        with replaced_network(CannedSource()):
            async with anyio.create_task_group() as group:
                group.start_soon(get, session, "http://host.test/1")
                group.start_soon(get, session, "http://host.test/2")
        assert session.connector is not None
        assert_no_tokens(session.connector, idle=0)
    assert sorted(told) == ["create", "create", "created", "created", "queued"]


REFUSED = ConnectionRefusedError(111, "refused")
ERRORS: dict[str, tuple[BaseException, type[BaseException]]] = {
    "refused": (REFUSED, ClientConnectorError),
    "without a number": (ConnectionRefusedError(), ClientConnectorError),
    "name": (socket.gaierror(socket.EAI_NONAME, "no name"), ClientConnectorDNSError),
    "certificate": (ssl.SSLCertVerificationError(1, "bad"), ClientConnectorCertificateError),
    "tls": (ssl.SSLError(1, "bad"), ClientConnectorSSLError),
    "timeout": (TimeoutError(), ConnectionTimeoutError),
    "timeout with a number": (TimeoutError(110, "timed out"), ClientConnectorError),
    "ours": (ConnectionTimeoutError("mine"), ConnectionTimeoutError),
    "broken": (anyio.BrokenResourceError(), ClientConnectorError),
    "odd": (LookupError("odd"), LookupError),
}


@by_kind
@pytest.mark.parametrize("name", ERRORS)
async def test_errors_of_the_source(kind: str, name: str) -> None:
    """Those of the operating system and of TLS become what the network's would become."""
    error, expected = ERRORS[name]
    if kind == "unix" and expected is ClientConnectorError:
        expected = UnixClientConnectorError
    async with ClientSession(connector=KINDS[kind]()) as session:
        with replaced_network(CannedSource(error)):
            with pytest.raises(expected) as caught:
                await get(session, "https://host.test/")
        assert type(caught.value) is expected
        assert error in (caught.value, caught.value.__cause__)
        assert session.connector is not None
        assert_no_tokens(session.connector, idle=0)


async def test_a_source_that_returns_no_stream() -> None:
    """The message says which method was wrong."""
    source: Any = CannedSource()
    source.stream_for = _not_a_stream
    async with ClientSession() as session:
        with replaced_network(source), pytest.raises(TypeError, match=r"stream_for\(\) must ret"):
            await get(session, "http://host.test/")


async def _not_a_stream(*_: object) -> object:
    return object()


async def test_cancelled_at_each_checkpoint() -> None:
    """No stream is left open, and no slot taken."""
    source = CannedSource(lambda: Canned(EMPTY))
    connector = TCPConnector(limit=1)
    async with ClientSession(connector=connector) as session:
        with replaced_network(source):

            async def ask() -> None:
                await get(session, "http://host.test/")

            async def check() -> None:
                assert_no_tokens(connector, idle=0)
                assert all(stream.aborts for stream in source.streams)

            assert await cancel_at_every_checkpoint(ask, after=check) >= 3


async def test_the_time_to_connect_covers_the_source() -> None:
    """``sock_connect`` ends a source that takes too long."""

    class Slow:
        async def stream_for(self, req: Any, traces: Any, timeout: Any) -> None:
            await anyio.sleep_forever()

    timeout = ClientTimeout(sock_connect=0.01)
    async with ClientSession(timeout=timeout) as session:
        with replaced_network(Slow()), pytest.raises(ConnectionTimeoutError, match=r"host\.test"):
            await get(session, "http://host.test/")


class TestStreamsForConnectors:
    """``open_stream()``, by which a connector around another one gets the other one's streams."""

    async def test_the_stream_is_the_caller_s(self, server: Server) -> None:
        class Around(BaseConnector):
            async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> Any:
                return await open_stream(real, req, traces, timeout)

        async with TCPConnector(limit=1) as real:
            async with ClientSession(server.url, connector=Around()) as session:
                await get(session)
                await get(session)
                assert session.connector is not None
                assert_no_tokens(session.connector, idle=1)
            assert_no_tokens(real, idle=0)
        assert server.connections == 1

    async def test_errors(self, tmp_path: Path) -> None:
        class Around(BaseConnector):
            async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> Any:
                return await open_stream(real, req, traces, timeout)

        async with UnixConnector(tmp_path / "none") as real:
            async with ClientSession(connector=Around()) as session:
                with pytest.raises(UnixClientConnectorError):
                    await get(session, "http://host.test/")
                await real.close()
                with pytest.raises(ClientConnectionError, match=r"Connector is closed"):
                    await get(session, "http://host.test/")
