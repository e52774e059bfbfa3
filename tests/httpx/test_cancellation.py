"""Wherever a request is cancelled, no connection is held, no socket open, no task running."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from typing import Any

import anyio
import pytest

from tests.support.cancel import How, cancel_at_every_checkpoint
from tests.support.census import assert_no_tokens
from tests.support.httpx_libraries import Library, need_for
from tests.support.peer import STALL, Flag, Head, Script, Tell
from tests.support.proxies import Proxies
from tests.support.server import Server
from tests.support.tls import Authority
from tests.support.waiting import until

Act = Callable[[Any, str], Coroutine[Any, Any, object]]


async def get(client: Any, url: str) -> object:
    """Make one request, and one more on the same connection."""
    await client.get(url + "json")
    return await client.get(url + "json")


async def stream(client: Any, url: str) -> object:
    """Read a body piece by piece."""
    async with client.stream("GET", url + "lines") as response:
        return [piece async for piece in response.aiter_raw()]


class Pieces:
    """A body of some pieces; no generator, which httpx would not close."""

    def __init__(self) -> None:
        self.left = 3

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        await anyio.lowlevel.checkpoint()
        if not self.left:
            raise StopAsyncIteration
        self.left -= 1
        return b"x" * 70_000


async def upload(client: Any, url: str) -> object:
    """Send a streamed body."""
    return await client.post(url + "echo-body", content=Pieces())


async def traced(client: Any, url: str) -> object:
    """Have a callback that waits itself told of each step, that of closing too."""

    async def trace(name: str, info: dict[str, Any]) -> None:
        await anyio.lowlevel.checkpoint()

    extensions = {"trace": trace}
    await client.post(url + "echo-body", content=Pieces(), extensions=extensions)
    async with client.stream("GET", url + "lines", extensions=extensions) as response:
        return response.status_code


ACTS: dict[str, Act] = {"get": get, "stream": stream, "upload": upload, "traced": traced}


@pytest.mark.parametrize("how", ["scope", "every-task", "native"])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
@pytest.mark.parametrize("library", ["httpx2"], indirect=True)
async def test_nothing_is_left_of_a_cancelled_request(
    library: Library, server: Server, tls_ca: Authority, act: Act, tls: bool, how: How
) -> None:
    """At each await of connecting, sending, waiting, reading and closing."""
    url = str(server.https_url if tls else server.url)
    transport = library.ours(verify=tls_ca.client)
    connector = transport._connector

    async def operation() -> None:
        async with library.package.AsyncClient(transport=NotClosed(library, transport)) as client:
            await act(client, url)

    async def after() -> None:
        await connector.finish_closing()
        assert_no_tokens(connector)

    try:
        assert await cancel_at_every_checkpoint(operation, after=after, how=how) > 1
    finally:
        await transport.aclose()


@pytest.mark.parametrize("how", ["scope", "native"])
@pytest.mark.parametrize("scheme", ["http", "socks5"])
@pytest.mark.parametrize("library", ["httpx2"], indirect=True)
async def test_nothing_is_left_of_a_cancelled_way_through_a_proxy(
    library: Library, server: Server, tls_ca: Authority, proxies: Proxies, scheme: str, how: How
) -> None:
    """At each await of the tunnel, and of TLS in it."""
    need_for(scheme)
    proxy = f"{scheme}://127.0.0.1:{proxies(scheme).port}"
    transport = library.ours(verify=tls_ca.client, proxy=proxy)
    connector = transport._connector

    async def operation() -> None:
        async with library.package.AsyncClient(transport=NotClosed(library, transport)) as client:
            await traced(client, str(server.https_url))

    async def after() -> None:
        await connector.finish_closing()
        assert_no_tokens(connector)

    try:
        assert await cancel_at_every_checkpoint(operation, after=after, how=how) > 1
    finally:
        await transport.aclose()


@pytest.mark.parametrize("how", ["scope", "native"])
@pytest.mark.parametrize("library", ["httpx2"], indirect=True)
async def test_nothing_is_left_of_a_cancelled_tunnel_of_ones_own(
    library: Library, server: Server, tls_ca: Authority, proxies: Proxies, how: How
) -> None:
    """At each await of ``CONNECT``, of TLS inside, and of what is said there."""
    proxy = f"http://127.0.0.1:{proxies('http').port}"
    transport = library.ours(verify=False)
    connector = transport._connector
    extensions = {"target": f"localhost:{server.https_url.port}".encode()}

    async def operation() -> None:
        async with library.package.AsyncClient(transport=NotClosed(library, transport)) as client:
            async with client.stream("CONNECT", proxy, extensions=extensions) as response:
                plain = response.extensions["network_stream"]
                stream = await plain.start_tls(tls_ca.client, "localhost")
                await stream.write(b"GET /json HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert await stream.read(1000)

    async def after() -> None:
        await connector.finish_closing()
        assert_no_tokens(connector)

    try:
        assert await cancel_at_every_checkpoint(operation, after=after, how=how) > 1
    finally:
        await transport.aclose()


@pytest.mark.parametrize("how", ["raise", "cancel"])
async def test_a_trace_callback_that_fails_when_a_response_is_closed(
    library: Library, script: Script, how: str
) -> None:
    """The connection is closed none the less."""
    peer = await script(
        [(Head(b"GET / "), [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", STALL])]
    )
    transport = library.ours(verify=False)

    async def trace(name: str, info: dict[str, Any]) -> None:
        if name == "http11.response_closed.started":
            if how == "raise":
                raise LookupError
            await anyio.lowlevel.checkpoint()

    request = library.package.Request("GET", str(peer.url), extensions={"trace": trace})
    response = await transport.handle_async_request(request)
    with anyio.CancelScope() as scope:
        if how == "cancel":
            scope.cancel()
            await response.aclose()
        else:
            with pytest.raises(LookupError):
                await response.aclose()
    assert_no_tokens(transport._connector)
    await transport.aclose()


def NotClosed(library: Library, transport: Any) -> Any:  # noqa: N802  (it returns an object of a class)
    """Return a transport that stays open when its client is closed."""

    class Wrapper(library.package.AsyncBaseTransport):  # type: ignore[name-defined,misc]
        async def handle_async_request(self, request: Any) -> Any:
            return await transport.handle_async_request(request)

    return Wrapper()


@pytest.mark.parametrize("how", ["scope", "native"])
@pytest.mark.parametrize("library", ["httpx2"], indirect=True)
async def test_closing_can_be_cancelled(library: Library, server: Server, how: How) -> None:
    """``aclose()`` closes all sockets before it awaits anything."""
    made: list[Any] = []

    async def operation() -> None:
        transport = library.ours(verify=False)
        made.append(transport)
        client = library.package.AsyncClient(transport=transport)
        try:
            await client.get(str(server.url / "json"))
        finally:
            await transport.aclose()

    async def after() -> None:
        await made[-1].aclose()
        assert made[-1]._connector.statistics().idle == 0

    await cancel_at_every_checkpoint(operation, after=after, how=how)


async def test_a_cancelled_wait_for_a_slot_gives_it_back(library: Library, script: Script) -> None:
    """The next in the queue gets the connection, whoever has left it."""
    asked = Flag()
    peer = await script(
        [(b"GET /a ", [Tell(asked), STALL])],
        [(b"GET /c ", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")],
    )
    transport = library.ours(verify=False, limits=library.package.Limits(max_connections=1))
    url = str(peer.url)
    async with library.package.AsyncClient(transport=transport, timeout=None) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.get, url + "a")
            await asked.until_set()
            tasks.start_soon(client.get, url + "b")
            statistics = transport._connector.statistics
            await until(lambda: statistics().waiting == 1, "the second request to wait")
            tasks.cancel_scope.cancel()
        assert (await client.get(url + "c")).status_code == 200
        assert_no_tokens(transport._connector, idle=1)


async def test_closing_ends_what_is_in_flight(library: Library, script: Script) -> None:
    """Another task closes the client: requests fail, and do not wait for ever."""
    asked = Flag()
    peer = await script([(b"GET / ", [Tell(asked), STALL])])
    transport = library.ours(verify=False)
    client = library.package.AsyncClient(transport=transport, timeout=None)
    caught: list[type[BaseException]] = []

    async def request() -> None:
        try:
            await client.get(str(peer.url))
        except library.package.TransportError as exc:
            caught.append(type(exc))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(request)
        await asked.until_set()
        await client.aclose()
    assert caught == [library.package.ReadError]


async def test_entered_in_one_task_and_closed_in_another(library: Library, server: Server) -> None:
    """As fixtures of tests and start handlers of frameworks do."""
    client = library.package.AsyncClient(transport=library.ours(verify=False))

    async def enter() -> None:
        await client.__aenter__()
        await client.post(str(server.url / "echo-body"), content=Pieces())

    async def leave() -> None:
        await client.__aexit__(None, None, None)

    for step in (enter, leave):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(step)


async def test_a_transport_that_is_never_closed_is_reported(
    library: Library, server: Server
) -> None:
    """And its sockets are closed."""
    transports = [library.ours(verify=False)]
    request = library.package.Request("GET", str(server.url / "json"))
    await (await transports[0].handle_async_request(request)).aread()
    with pytest.warns(ResourceWarning, match="Unclosed connector"):
        transports.clear()


async def test_a_body_that_is_forgotten_frees_its_connection(
    library: Library, script: Script
) -> None:
    """A response that nobody closes is closed when it is collected."""
    peer = await script(
        [(Head(b"GET / "), [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", STALL])]
    )
    transport = library.ours(verify=False)
    request = library.package.Request("GET", str(peer.url))
    response = await transport.handle_async_request(request)
    del response
    gc.collect()
    assert_no_tokens(transport._connector)
    await transport.aclose()


class Pause:
    """Waits for ever, in no event loop."""

    def __await__(self) -> Generator[None]:
        yield


@pytest.mark.parametrize("step", ["receive_response_body", "response_closed"])
async def test_a_coroutine_that_is_closed_closes_the_connection(
    library: Library, server: Server, step: str
) -> None:
    """It cannot await any more, so that the connection is closed at once."""

    async def trace(name: str, details: dict[str, Any]) -> None:
        if name == f"http11.{step}.started":
            await Pause()

    transport = library.ours(verify=False)
    async with library.package.AsyncClient(transport=transport) as client:
        request = client.build_request(
            "GET", str(server.url / "bytes" / "1000000"), extensions={"trace": trace}
        )
        # Not by the client, which reads in generators of its own: before Python 3.13 closing
        # them does not reach what they wait for.
        stream = (await transport.handle_async_request(request)).stream
        wait = stream.aclose() if step == "response_closed" else anext(aiter(stream))
        wait.send(None)
        assert transport._connector.statistics().in_use == 1
        with pytest.raises(GeneratorExit):
            wait.throw(GeneratorExit)
        assert transport._connector.statistics().in_use == 0
