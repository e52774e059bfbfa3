"""What few programs meet: other protocols that fail, hosts that are none, failing callbacks."""

from __future__ import annotations

import socket
from importlib import import_module
from typing import Any

import anyio
import pytest

from tests.support.httpx_libraries import Library
from tests.support.peer import CLOSE, DEAF, HELLO, RESET, STALL, Flag, Head, Script, Step, Wait
from tests.support.proxies import Proxies
from tests.support.server import Server
from tests.support.tls import Authority
from tests.support.waiting import until

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
UPGRADE = {"Connection": "upgrade", "Upgrade": "x"}


def core_of(library: Library) -> Any:
    """Return the package below the library."""
    return import_module(library.name.replace("httpx", "httpcore"))


async def test_reading_from_a_connection_that_breaks(library: Library, script: Script) -> None:
    """It raises httpcore's exception, as whoever speaks another protocol expects."""
    flag = Flag()
    peer = await script([(b"GET / ", [SWITCH, Wait(flag), RESET])])
    async with library.package.AsyncClient(transport=library.ours(verify=False)) as client:
        async with client.stream("GET", str(peer.url), headers=UPGRADE) as response:
            stream = response.extensions["network_stream"]
            flag.set()
            error = core_of(library).ReadError
            with pytest.raises(error):
                await stream.read(10, timeout=5)
            with pytest.raises(core_of(library).WriteError):
                await stream.write(b"x" * 20_000_000)
            await stream.aclose()


async def test_writing_to_a_peer_that_takes_nothing(library: Library, script: Script) -> None:
    """It ends in time."""
    peer = await script([(b"GET / ", [SWITCH, DEAF])])
    async with library.package.AsyncClient(transport=library.ours(verify=False)) as client:
        async with client.stream("GET", str(peer.url), headers=UPGRADE) as response:
            stream = response.extensions["network_stream"]
            with pytest.raises(core_of(library).WriteTimeout):
                await stream.write(b"x" * 20_000_000, timeout=0.1)


async def test_tls_inside_a_tunnel_of_ones_own(
    library: Library, server: Server, proxies: Proxies, tls_ca: Authority
) -> None:
    """After ``CONNECT`` a program can start TLS itself."""
    proxy = proxies("http")
    target = f"localhost:{server.https_url.port}".encode()
    async with library.package.AsyncClient(transport=library.ours(verify=False)) as client:
        async with client.stream(
            "CONNECT", str(proxy.url), extensions={"target": target}
        ) as response:
            stream = response.extensions["network_stream"]
            inner = await stream.start_tls(tls_ca.client, "localhost", timeout=5)
            await inner.write(b"GET /json HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await inner.read(1000)).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(("end", "error"), [(CLOSE, "ConnectError"), (STALL, "ConnectTimeout")])
async def test_tls_that_does_not_start(
    library: Library, script: Script, end: Any, error: str
) -> None:
    """The connection is closed."""
    peer = await script([(b"GET / ", SWITCH), (HELLO, end)], partial=True)
    context = Authority().client
    async with library.package.AsyncClient(transport=library.ours(verify=False)) as client:
        async with client.stream("GET", str(peer.url), headers=UPGRADE) as response:
            stream = response.extensions["network_stream"]
            with pytest.raises(getattr(core_of(library), error)):
                await stream.start_tls(context, "localhost", timeout=0.2)


@pytest.mark.parametrize("host", ["127.1", "0177.0.0.1", "2130706433", "a..b"])
async def test_hosts_that_others_read_in_another_way(library: Library, host: str) -> None:
    """They are refused before anything is looked up: a check of them would check another host."""
    async with library.package.AsyncClient(transport=library.ours(verify=False)) as client:
        with pytest.raises((library.package.LocalProtocolError, library.package.InvalidURL)):
            await client.get(f"http://{host}/")


async def test_requests_without_a_host_field(library: Library) -> None:
    """HTTP/1.1 has none such (RFC 9112 §3.2)."""
    request = library.package.Request("GET", "http://localhost/")
    del request.headers["Host"]
    transport = library.ours(verify=False)
    with pytest.raises(library.package.LocalProtocolError, match="Host"):
        await transport.handle_async_request(request)
    await transport.aclose()


async def test_a_body_that_no_header_announces(library: Library) -> None:
    """Its bytes would be taken for the next request."""
    request = library.package.Request("POST", "http://localhost/", content=b"x")
    del request.headers["Content-Length"]
    transport = library.ours(verify=False)
    with pytest.raises(library.package.LocalProtocolError, match="Content-Length"):
        await transport.handle_async_request(request)
    await transport.aclose()


async def test_bodies_that_are_not_asynchronous(library: Library) -> None:
    """Httpx's client does not let them through."""
    transport = library.ours(verify=False)
    request = library.package.Request("POST", "http://localhost/", content=iter([b"x"]))
    message = rf"IteratorByteStream, which is not an {library.name}\.AsyncByteStream"
    with pytest.raises(RuntimeError, match=message):
        await transport.handle_async_request(request)
    await transport.aclose()


def test_proxies_of_other_kinds(library: Library) -> None:
    """Httpx's own class does not take them; one of another kind might."""
    proxy = library.package.Proxy("http://localhost")
    proxy.url = library.package.URL("ftp://localhost")
    with pytest.raises(ValueError, match="ftp"):
        library.ours(proxy=proxy, verify=False)


async def test_another_target_through_a_proxy(library: Library, script: Script) -> None:
    """It is sent as it is; and headers of the request win over those for the proxy."""
    proxy_headers = {"X-Own": "proxy", "X-Other": "1"}
    peer = await script([(b"OPTIONS * HTTP/1.1\r\n", OK)])
    proxy = library.package.Proxy(str(peer.url), headers=proxy_headers)
    transport = library.ours(proxy=proxy, verify=False)
    async with library.package.AsyncClient(transport=transport) as client:
        await client.request(
            "OPTIONS",
            "http://origin.example/",
            headers={"X-Own": "request"},
            extensions={"target": b"*"},
        )
    assert b"X-Own: request" in peer.requests[0]
    assert b"X-Own: proxy" not in peer.requests[0]
    assert b"X-Other: 1" in peer.requests[0]


async def test_many_origins(library: Library, script: Script) -> None:
    """What is remembered of them is bounded."""
    transport = library.ours(verify=False)
    for number in range(1100):
        transport._routes.find("http", b"host-%d.example" % number, None, None)
    assert len(transport._routes._known) <= 1024
    await transport.aclose()


async def test_a_closed_transport(library: Library, server: Server) -> None:
    """Nothing is opened any more."""
    transport = library.ours(verify=False)
    request = library.package.Request("GET", str(server.url / "json"))
    await transport.aclose()
    with pytest.raises(library.package.ConnectError, match="closed"):
        await transport.handle_async_request(request)


@pytest.mark.parametrize(
    "event", ["connect_tcp.complete", "start_tls.started", "start_tls.complete"]
)
async def test_a_trace_callback_that_fails(
    library: Library, server: Server, tls_ca: Authority, event: str
) -> None:
    """Its exception is raised, and the connection closed."""

    async def trace(name: str, details: dict[str, Any]) -> None:
        if name == f"connection.{event}":
            raise KeyError(name)

    transport = library.ours(verify=tls_ca.client)
    async with library.package.AsyncClient(transport=transport) as client:
        with pytest.raises(KeyError):
            await client.get(str(server.https_url / "json"), extensions={"trace": trace})
        await transport._connector.finish_closing()
        assert transport._connector.statistics().in_use == 0


async def test_a_trace_callback_that_fails_without_tls(library: Library, server: Server) -> None:
    """The same."""

    async def trace(name: str, details: dict[str, Any]) -> None:
        if name == "connection.connect_tcp.complete":
            raise KeyError(name)

    transport = library.ours(verify=False)
    async with library.package.AsyncClient(transport=transport) as client:
        with pytest.raises(KeyError):
            await client.get(str(server.url / "json"), extensions={"trace": trace})
        await transport._connector.finish_closing()
        assert transport._connector.statistics().in_use == 0


async def test_socket_options_that_are_refused(library: Library, script: Script) -> None:
    """By the operating system: there is no connection."""
    options = [(socket.SOL_SOCKET, -1, 1)]
    by_tcp = await script([], partial=True)
    by_unix = await script([], unix=True, partial=True)
    for where in ({}, {"uds": by_unix.unix_path}):
        transport = library.ours(verify=False, socket_options=options, **where)
        async with library.package.AsyncClient(transport=transport) as client:
            with pytest.raises(library.package.ConnectError, match=r"available|Invalid"):
                await client.get(str(by_tcp.url))


async def test_a_transport_that_was_closed(library: Library, server: Server) -> None:
    """It stays closed, and says so: another client may have closed it."""
    transport = library.ours(verify=False)
    async with library.package.AsyncClient(transport=transport) as client:
        await client.get(str(server.url / "json"))
    async with library.package.AsyncClient(transport=transport) as client:
        with pytest.raises(library.package.ConnectError, match="the transport has been closed"):
            await client.get(str(server.url / "json"))


async def test_what_an_error_says_of_a_host(library: Library) -> None:
    """Without TLS there is no context to show."""
    async with library.package.AsyncClient(transport=library.ours(verify=False)) as client:
        with pytest.raises(library.package.ConnectError, match="ssl:default"):
            await client.get("http://127.0.0.1:1/")


async def test_a_connection_that_is_given_back_serves_who_waits(
    library: Library, script: Script
) -> None:
    """One connection, two requests at the same time."""
    flag = Flag()
    steps: list[Step] = [(b"GET /a ", [Wait(flag), OK]), (b"GET /b ", OK)]
    peer = await script(steps)
    limits = library.package.Limits(max_connections=1)
    transport = library.ours(verify=False, limits=limits)
    async with library.package.AsyncClient(transport=transport) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.get, str(peer.url / "a"))
            await peer.wait_connections(1)
            tasks.start_soon(client.get, str(peer.url / "b"))
            statistics = transport._connector.statistics
            await until(lambda: statistics().waiting == 1, "the second request to wait")
            flag.set()


async def test_a_body_that_fails_while_the_response_is_read(
    library: Library, script: Script
) -> None:
    """The program gets its exception, and not that of the connection that was closed for it."""
    event = anyio.Event()

    class Failing:
        def __aiter__(self) -> Any:
            return self

        async def __anext__(self) -> bytes:
            if not event.is_set():
                await event.wait()
                return b"x"
            raise KeyError("body")

    peer = await script([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", STALL], partial=True)
    async with library.package.AsyncClient(transport=library.ours(verify=False)) as client:
        async with client.stream("POST", str(peer.url), content=Failing()) as response:
            event.set()
            with pytest.raises(KeyError):
                await response.aread()


@pytest.mark.parametrize("waits", [False, True])
async def test_the_write_timeout_of_small_pieces(
    library: Library, script: Script, waits: bool
) -> None:
    """They are sent together, or by a task of their own while the body waits for more."""

    class Endless:
        def __aiter__(self) -> Any:
            return self

        async def __anext__(self) -> bytes:
            if waits:
                await anyio.sleep(0.0001)
            return b"x" * 60_000

    peer = await script([(Head(b"POST / "), DEAF)])
    limits = library.package.Timeout(None, write=0.2)
    transport = library.ours(verify=False)
    async with library.package.AsyncClient(transport=transport, timeout=limits) as client:
        with pytest.raises(library.package.WriteTimeout):
            await client.post(str(peer.url), content=Endless())


async def test_a_wait_for_the_end_of_a_body_can_be_cancelled(
    library: Library, script: Script
) -> None:
    """When the response is closed, and the rest of the body never comes."""

    class Endless:
        first = True

        async def __anext__(self) -> bytes:
            if self.first:
                self.first = False
                return b"x"
            await anyio.sleep_forever()
            raise AssertionError

        def __aiter__(self) -> Any:
            return self

    peer = await script([OK, STALL], partial=True)
    transport = library.ours(verify=False)
    async with library.package.AsyncClient(transport=transport) as client:
        with anyio.move_on_after(0.3) as scope:
            await client.post(str(peer.url), content=Endless())
        assert scope.cancelled_caught
        assert transport._connector.statistics().in_use == 0


@pytest.mark.parametrize(
    "limits", [{"max_keepalive_connections": -1}, {"keepalive_expiry": -1}], ids=str
)
async def test_negative_limits_of_idle_connections(
    library: Library, server: Server, limits: dict[str, int]
) -> None:
    """No connection is kept."""
    for kind in (library.own, library.ours):
        transport = kind(verify=False, limits=library.package.Limits(**limits))
        async with library.package.AsyncClient(transport=transport) as client:
            for _ in range(2):
                response = await client.get(str(server.url / "json"))
                assert response.status_code == 200
    assert server.connections == 4


@pytest.mark.parametrize("phase", ["connect", "read"])
async def test_negative_time_limits(library: Library, server: Server, phase: str) -> None:
    """They are over at once: what is left of a deadline that has passed is negative."""
    limits = library.package.Timeout(5, **{phase: -1})
    async with library.package.AsyncClient(transport=library.ours(verify=False)) as client:
        with pytest.raises(library.package.TimeoutException) as caught:
            await client.get(str(server.url / "json"), timeout=limits)
    assert type(caught.value).__name__ == f"{phase.title()}Timeout"
