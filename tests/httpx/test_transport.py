"""What the options and the extensions of the transport do, beside the plain exchange."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import types
from collections.abc import AsyncIterator, Generator
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from tests.support import websocket
from tests.support.httpx_libraries import (
    Do,
    Library,
    Outcome,
    compare,
    library as library_named,
    need_for,
    outcome,
)
from tests.support.peer import CLOSE, STALL, Exact, Head, Script, SendUnasked, Until
from tests.support.proxies import Proxies
from tests.support.server import Server
from tests.support.tls import Authority
from tests.support.waiting import until
from tests.support.websocket import TEXT, Accept, CloseWith, Frame

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def get(client: Any, url: str) -> Any:
    """Make a request."""
    return await client.get(url)


def test_the_classes_are_transports_of_their_libraries(library: Library) -> None:
    """Type checkers and SDKs ask for that; and a client takes no other."""
    assert issubclass(library.ours, library.package.AsyncBaseTransport)
    assert library.ours.__module__ == f"anyhttp.{library.name}"


def test_each_module_imports_its_own_library_alone(library: Library) -> None:
    """Most environments have one of the two."""
    other = "httpx" if library.name == "httpx2" else "httpx2"
    code = f"import sys, anyhttp.{library.name}; print({other!r} in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


@pytest.mark.parametrize("missing", ["httpx", "httpx2"])
def test_a_missing_library_is_named(missing: str) -> None:
    """The message says what to install."""
    code = f"import sys; sys.modules[{missing!r}] = None; import anyhttp.{missing}"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert f"anyhttp-client[{missing}]" in run.stderr


# -- TLS


async def test_tls_with_a_context_of_ones_own(
    library: Library, server: Server, tls_ca: Authority
) -> None:
    """``verify`` may be a context; the stream of the response shows the handshake."""
    transport = library.ours(verify=tls_ca.client)
    async with library.package.AsyncClient(transport=transport) as client:
        response = await client.get(str(server.https_url / "json"))
        ssl_object = response.extensions["network_stream"].get_extra_info("ssl_object")
        assert ssl_object.version().startswith("TLS")
        assert ssl_object.selected_alpn_protocol() in {"http/1.1", None}


@pytest.mark.parametrize("way", ["direct", "proxy", "unix"])
async def test_a_context_to_which_another_client_adds_http2(
    library: Library, script: Script, tls_ca: Authority, proxies: Proxies, way: str
) -> None:
    """HTTP/1.1 alone is offered on each new connection."""
    serving = tls_ca.server_for("127.0.0.1", "localhost")
    serving.set_alpn_protocols(["h2", "http/1.1"])
    context = ssl.create_default_context()
    tls_ca.trust(context)
    peer = await script([(b"GET / ", OK)], tls=serving, unix=way == "unix")
    options: dict[str, str] = {}
    if way == "proxy":
        options["proxy"] = f"http://127.0.0.1:{proxies('http').port}"
    elif way == "unix":
        options["uds"] = peer.unix_path
    transport = library.ours(verify=context, **options)
    context.set_alpn_protocols(["h2", "http/1.1"])
    async with library.package.AsyncClient(transport=transport) as client:
        assert (await client.get(str(peer.url))).text == "ok"


async def test_certificates_are_verified_by_default(library: Library, script: Script) -> None:
    """A certificate of nobody's authority is refused, by both transports."""
    peer_context = Authority().server
    outcomes, _ = await compare(library, script, [[]], get, tls=peer_context, verify=True)
    assert outcomes == [Outcome(error="ConnectError")] * 2


async def test_verification_can_be_switched_off(library: Library, script: Script) -> None:
    """``verify=False`` is httpx's own option, and its own responsibility."""
    peer_context = Authority().server
    outcomes, _ = await compare(library, script, [[(b"", OK)]], get, tls=peer_context)
    assert outcomes[0] == outcomes[1]
    assert outcomes[1].body == b"ok"


async def test_the_name_of_the_certificate_is_verified(
    library: Library, script: Script, tls_ca: Authority
) -> None:
    """And ``sni_hostname`` says which name is meant."""

    async def named(client: Any, url: str) -> Any:
        return await client.get(url, extensions={"sni_hostname": "named.example"})

    context = tls_ca.server_for("named.example")
    outcomes, _ = await compare(library, script, [[]], get, tls=context, verify=tls_ca.client)
    assert outcomes == [Outcome(error="ConnectError")] * 2
    outcomes, _ = await compare(
        library, script, [[(b"", OK)]], named, tls=context, verify=tls_ca.client
    )
    assert outcomes[0] == outcomes[1]
    assert outcomes[1].body == b"ok"


async def test_one_connection_for_each_name(
    library: Library, server: Server, tls_ca: Authority
) -> None:
    """A connection that was verified for one name is not used for another one."""
    transport = library.ours(verify=tls_ca.client)
    url = str(server.https_url / "json")
    async with library.package.AsyncClient(transport=transport) as client:
        await client.get(url, extensions={"sni_hostname": "localhost"})
        await client.get(url)
        assert transport._connector.statistics().idle == 2


# -- proxies


@pytest.mark.parametrize("scheme", ["http", "https", "socks5", "socks5h"])
@pytest.mark.parametrize("tls", [False, True], ids=["to-http", "to-https"])
async def test_proxies(
    library: Library, server: Server, proxies: Proxies, tls_ca: Authority, scheme: str, tls: bool
) -> None:
    """What a proxy sees is what httpx's own transport shows it, credentials included."""
    need_for(scheme)
    target = str((server.https_url if tls else server.url) / "json")
    seen = []
    for transport in (library.own, library.ours):
        proxy = proxies(scheme, login=("user", "p:w"))
        context = tls_ca.client if scheme == "https" else None
        option = library.package.Proxy(
            f"{scheme}://localhost:{proxy.port}",
            auth=("user", "p:w"),
            headers=None if scheme.startswith("socks") else {"X-Proxy": "1"},
            **({} if context is None else {"ssl_context": context}),
        )
        made = transport(proxy=option, verify=tls_ca.client)
        async with library.package.AsyncClient(transport=made) as client:
            response = await client.get(target)
            assert response.status_code == 200
        (found,) = proxy.seen
        inside = b"" if tls else bytes(found.inside)
        head = None if found.head is None else found.head.headers
        seen.append((found.asked, head, found.user, found.password, inside))
    assert seen[0] == seen[1]


async def test_a_proxy_that_refuses(library: Library, script: Script) -> None:
    """Its answer to ``CONNECT`` is the text of ``ProxyError``."""
    for transport in (library.own, library.ours):
        peer = await script([(b"CONNECT ", [b"HTTP/1.1 403 Not you\r\n\r\n", CLOSE])])
        made = transport(proxy=str(peer.url), verify=False)
        async with library.package.AsyncClient(transport=made) as client:
            with pytest.raises(library.package.ProxyError, match="403 Not you"):
                await client.get("https://origin.example/")


async def test_a_proxy_that_leaves(library: Library, script: Script) -> None:
    """It closes the connection instead of answering ``CONNECT``."""
    for transport in (library.own, library.ours):
        peer = await script([(b"CONNECT ", CLOSE)])
        made = transport(proxy=str(peer.url), verify=False)
        found = await outcome(made, library.package, get, "https://origin.example/")
        assert found.error == "RemoteProtocolError"


async def test_a_proxy_that_does_not_listen(library: Library) -> None:
    """There is no connection."""
    for transport in (library.own, library.ours):
        made = transport(proxy="http://127.0.0.1:1", verify=False)
        found = await outcome(made, library.package, get, "https://origin.example/")
        assert found.error == "ConnectError"


async def test_socks_refusals(library: Library, proxies: Proxies) -> None:
    """A wrong password is ``ProxyError``, as with httpcore, which leaves the socket open."""
    need_for("socks5")
    proxy = proxies("socks5", login=("user", "right"))
    made = library.ours(proxy=f"socks5://user:wrong@localhost:{proxy.port}", verify=False)
    found = await outcome(made, library.package, get, "http://127.0.0.1:1/")
    assert found.error == "ProxyError"


async def test_the_time_of_a_silent_proxy(library: Library, script: Script) -> None:
    """Where ``connect`` sets no limit, ``read`` does."""
    peer = await script([(b"CONNECT ", STALL)])
    made = library.ours(proxy=str(peer.url), verify=False)
    limits = library.package.Timeout(None, read=0.1)
    async with library.package.AsyncClient(transport=made, timeout=limits) as client:
        with pytest.raises(library.package.ConnectTimeout):
            await client.get("https://origin.example/")


# -- limits


async def test_idle_connections_are_limited(library: Library, server: Server) -> None:
    """``max_keepalive_connections``: the ones that were used longest ago are closed."""
    limits = library.package.Limits(max_connections=10, max_keepalive_connections=2)
    transport = library.ours(limits=limits, verify=False)
    async with library.package.AsyncClient(transport=transport) as client:
        async with anyio.create_task_group() as tasks:
            for _ in range(6):
                tasks.start_soon(client.get, str(server.url / "json"))
        assert transport._connector.statistics().idle == 2


@pytest.mark.parametrize("limits", [{"max_keepalive_connections": 0}, {"keepalive_expiry": 0}])
async def test_connections_may_be_closed_after_each_request(
    library: Library, server: Server, limits: dict[str, Any]
) -> None:
    """Nothing is kept."""
    transport = library.ours(limits=library.package.Limits(**limits), verify=False)
    async with library.package.AsyncClient(transport=transport) as client:
        await client.get(str(server.url / "json"))
        assert transport._connector.statistics().idle == 0


async def test_a_connection_that_is_closed_makes_room(library: Library, script: Script) -> None:
    """Whoever has waited for one opens another, as there is none to take over."""
    begun = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
    peer = await script([(b"GET /first ", [begun, STALL])], [(b"GET /second ", [OK])])
    transport = library.ours(limits=library.package.Limits(max_connections=1), verify=False)

    async def get_second() -> None:
        assert (await client.get(str(peer.url / "second"))).content == b"ok"

    async with (
        library.package.AsyncClient(transport=transport) as client,
        anyio.create_task_group() as tasks,
    ):
        async with client.stream("GET", str(peer.url / "first")):
            tasks.start_soon(get_second)
            await until(lambda: transport._connector.statistics().waiting == 1, "the second")


async def test_no_limits(library: Library, server: Server) -> None:
    """``None`` is for no limit."""
    transport = library.ours(limits=library.package.Limits(), verify=False)
    async with library.package.AsyncClient(transport=transport) as client:
        await client.get(str(server.url / "json"))
    assert transport._connector.limit == 0


# -- ways to connect


async def test_unix_sockets(library: Library, script: Script) -> None:
    """``uds``: the host of the URL is only sent as ``Host``."""
    for transport in (library.own, library.ours):
        peer = await script([(b"GET /a HTTP/1.1\r\nHost: x.example\r\n", OK)], unix=True)
        options = [(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)]
        made = transport(uds=peer.unix_path, verify=False, socket_options=options)
        async with library.package.AsyncClient(transport=made) as client:
            assert (await client.get("http://x.example/a")).text == "ok"


async def test_local_address_and_socket_options(library: Library, server: Server) -> None:
    """Both are set before the connection is made."""
    options = [(socket.SOL_SOCKET, socket.SO_RCVBUF, 100_000)]
    transport = library.ours(local_address="127.0.0.1", socket_options=options, verify=False)
    async with library.package.AsyncClient(transport=transport) as client:
        response = await client.get(str(server.url / "json"))
        stream = response.extensions["network_stream"]
        assert stream.get_extra_info("client_addr")[0] == "127.0.0.1"
        assert stream.get_extra_info("server_addr")[1] == server.url.port
        assert stream.get_extra_info("is_readable") is False
        raw_socket = stream.get_extra_info("socket")
        assert raw_socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= 100_000


async def test_retries(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """``retries`` counts attempts to connect; the first pause is none, the second half a second,
    and each later one twice as long.
    """
    events: list[str] = []
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        await anyio.lowlevel.checkpoint()

    async def trace(name: str, details: dict[str, Any]) -> None:
        events.append(name)

    monkeypatch.setattr("anyhttp._httpx.transport.anyio.sleep", sleep)
    transport = library.ours(retries=3, verify=False)
    async with library.package.AsyncClient(transport=transport) as client:
        with pytest.raises(library.package.ConnectError):
            await client.get("http://127.0.0.1:1/", extensions={"trace": trace})
    assert pauses == [0, 0.5, 1]
    failed = ["connection.connect_tcp.started", "connection.connect_tcp.failed"]
    again = ["connection.retry.started", "connection.retry.complete"]
    assert events == (failed + again) * 3 + failed


async def test_no_retry_once_a_proxy_was_reached(library: Library, script: Script) -> None:
    """Only a connection to the proxy itself is tried again."""
    peer = await script([(b"CONNECT ", CLOSE)])
    transport = library.ours(proxy=str(peer.url), retries=2, verify=False)
    async with library.package.AsyncClient(transport=transport) as client:
        with pytest.raises(library.package.RemoteProtocolError):
            await client.get("https://origin.example/")
    assert peer.connections == 1


# -- the extension "trace"


async def events_of(library: Library, transport: Any, url: str, tls_ca: Authority) -> list[Any]:
    """Return the events of two requests, the second one with a body."""
    events: list[Any] = []

    async def trace(name: str, details: dict[str, Any]) -> None:
        assert isinstance(details, dict)
        events.append((name, sorted(details)))

    made = transport(verify=tls_ca.client)
    async with library.package.AsyncClient(transport=made) as client:
        await client.get(url, extensions={"trace": trace})
        await client.post(url, content=b"x" * 100, extensions={"trace": trace})
    return events


async def test_events_of_a_unix_socket(library: Library, script: Script) -> None:
    """They say its path, and no host."""
    told: list[list[Any]] = []
    for transport in (library.own, library.ours):
        peer = await script([(b"GET / ", OK)], unix=True)
        events: list[Any] = []

        async def trace(
            name: str, details: dict[str, Any], peer: Any = peer, events: list[Any] = events
        ) -> None:
            path = details.get("path")
            events.append((name, sorted(details), path is not None and path == peer.unix_path))

        made = transport(uds=peer.unix_path, verify=False)
        async with library.package.AsyncClient(transport=made) as client:
            await client.get("http://x.example/", extensions={"trace": trace})
        told.append([event for event in events if event[0].startswith("connection.")])
    assert told[0] == told[1]
    assert told[1][0][0] == "connection.connect_unix_socket.started"
    assert told[1][0][2]


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_trace(library: Library, server: Server, tls_ca: Authority, tls: bool) -> None:
    """The same events with the same details, as httpcore documents them."""
    url = str((server.https_url if tls else server.url) / "anything")
    own = await events_of(library, library.own, url, tls_ca)
    ours = await events_of(library, library.ours, url, tls_ca)
    assert ours == own
    assert ("connection.start_tls.complete", ["return_value"]) in ours or not tls


async def test_trace_of_a_failed_request(library: Library, script: Script) -> None:
    """Each step that begins ends, by ``complete`` or ``failed``."""
    seen = []
    for transport in (library.own, library.ours):
        events: list[str] = []

        async def trace(name: str, details: dict[str, Any], events: list[str] = events) -> None:
            events.append(name)

        peer = await script([(b"", CLOSE)])
        async with library.package.AsyncClient(transport=transport(verify=False)) as client:
            with pytest.raises(library.package.RemoteProtocolError):
                await client.get(str(peer.url), extensions={"trace": trace})
        seen.append(events)
    assert seen[0] == seen[1]


# -- other protocols on the connection


@pytest.mark.parametrize("method", ["GET", "CONNECT"])
async def test_the_connection_for_another_protocol(
    library: Library, script: Script, method: str
) -> None:
    """After 101, or 200 for ``CONNECT``, the bytes are those of whoever has asked for it."""
    head = b"101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade"
    if method == "CONNECT":
        head = b"200 OK"
    for transport in (library.own, library.ours):
        peer = await script(
            [
                (method.encode() + b" ", b"HTTP/1.1 " + head + b"\r\n\r\nearly"),
                (Exact(b"ping"), b"pong"),
            ]
        )
        made = transport(verify=False)
        headers = {"Connection": "upgrade", "Upgrade": "x"}
        extensions = {"target": b"host:1"} if method == "CONNECT" else {}
        async with library.package.AsyncClient(transport=made) as client:
            async with client.stream(
                method, str(peer.url), headers=headers, extensions=extensions
            ) as response:
                stream = response.extensions["network_stream"]
                assert await stream.read(3) == b"ear"
                assert await stream.read(100) == b"ly"
                await stream.write(b"")
                await stream.write(b"ping", timeout=5)
                assert await stream.read(100, timeout=5) == b"pong"
                core = __import__(
                    library.name.replace("x", "core", 1).replace("httpcore", "httpcore")
                )
                with pytest.raises(core.ReadTimeout):
                    await stream.read(100, timeout=0.05)


async def test_websockets_of_httpx2(script: Script) -> None:
    """They read and write at the same time, in tasks of their own, on the connection."""
    package = library_named("httpx2").package
    if not hasattr(package.AsyncClient, "websocket"):
        pytest.skip("this httpx2 has no WebSockets")
    pytest.importorskip("wsproto")
    peer = await script(
        [
            (b"GET /chat ", Accept()),
            (Frame(TEXT, b"Hello"), websocket.frame(TEXT, b"Hello yourself")),
            (CloseWith(1000), websocket.close(1000)),
        ]
    )
    async with package.AsyncClient(transport=library_named("httpx2").ours(verify=False)) as client:
        url = str(peer.url / "chat").replace("http:", "ws:")
        async with client.websocket(url, keepalive_ping_interval_seconds=None) as ws:
            await ws.send_text("Hello")
            assert await ws.receive_text(timeout=5) == "Hello yourself"


async def test_events_of_httpx2(script: Script) -> None:
    """Server-sent events arrive one by one."""
    package = library_named("httpx2").package
    if not hasattr(package.AsyncClient, "sse"):
        pytest.skip("this httpx2 has no events")
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    peer = await script([(b"GET / ", [head, b"data: a\n\n", b"data: b\n\n", CLOSE])])
    async with package.AsyncClient(transport=library_named("httpx2").ours(verify=False)) as client:
        async with client.sse(str(peer.url)) as events:
            assert [event.data async for event in events] == ["a", "b"]


# -- bodies


async def test_an_early_refusal_is_delivered_while_the_body_is_being_sent(
    library: Library, script: Script
) -> None:
    """The peer reads no more and stays: the response arrives none the less."""

    class Endless:
        def __aiter__(self) -> AsyncIterator[bytes]:
            return self

        async def __anext__(self) -> bytes:
            await anyio.lowlevel.checkpoint()
            return b"x" * 10_000

    reply = b"HTTP/1.1 413 No\r\nContent-Length: 3\r\n\r\nbig"
    peer = await script([(Head(b"POST / "), [reply, STALL])])
    async with library.package.AsyncClient(transport=library.ours(verify=False)) as client:
        response = await client.post(str(peer.url), content=Endless())
    assert (response.status_code, response.text) == (413, "big")


async def test_bodies_flow_in_both_directions(library: Library, script: Script) -> None:
    """The response is read while the request is being sent."""
    answered = anyio.Event()

    class Body:
        def __init__(self) -> None:
            self.pieces = iter([b"hello", b"again"])

        def __aiter__(self) -> AsyncIterator[bytes]:
            return self

        async def __anext__(self) -> bytes:
            piece = next(self.pieces, None)
            if piece is None:
                raise StopAsyncIteration
            if piece == b"again":
                await answered.wait()
            return piece

    peer = await script(
        [
            (Until(b"hello\r\n"), b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab"),
            (Until(b"again\r\n0\r\n\r\n"), b"cd"),
        ]
    )
    async with library.package.AsyncClient(transport=library.ours(verify=False)) as client:
        async with client.stream("POST", str(peer.url), content=Body()) as response:
            pieces = [piece async for piece in started(response.aiter_raw(), answered)]
    assert b"".join(pieces) == b"abcd"


async def started(pieces: AsyncIterator[bytes], event: anyio.Event) -> AsyncIterator[bytes]:
    """Yield *pieces*, and set *event* at the first one."""
    async for piece in pieces:
        event.set()
        yield piece


class Paced:
    """A body whose second piece comes when it is told to, and may be an exception."""

    def __init__(self, second: bytes | Exception) -> None:
        self.go = anyio.Event()
        self._pieces: list[bytes | Exception] = [second, b"first"]

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self._pieces:
            raise StopAsyncIteration
        piece = self._pieces.pop()
        if piece != b"first":
            await self.go.wait()
        if isinstance(piece, Exception):
            raise piece
        return piece


async def test_a_body_is_sent_to_its_end_although_the_response_has_come(
    library: Library, script: Script
) -> None:
    """A server may answer early and read on; closing the response waits for that."""
    body = Paced(b"second")
    peer = await script(
        [(Until(b"first\r\n"), OK), (Until(b"second\r\n0\r\n\r\n"), []), (b"GET / ", OK)]
    )
    async with library.package.AsyncClient(transport=library.ours(verify=False)) as client:
        async with client.stream("POST", str(peer.url), content=body) as response:
            async for piece in response.aiter_raw():
                assert piece == b"ok"
                body.go.set()
        assert (await client.get(str(peer.url))).text == "ok"
    assert peer.connections == 1


async def test_a_body_that_fails_after_the_response(library: Library, script: Script) -> None:
    """The program gets its exception: it must not take the request for done."""
    body = Paced(BodyFailed())
    peer = await script([(Until(b"first\r\n"), [OK, STALL])], partial=True)
    async with library.package.AsyncClient(transport=library.ours(verify=False)) as client:
        request = client.build_request("POST", str(peer.url), content=body)
        response = await client.send(request, stream=True)
        body.go.set()
        with pytest.raises(BodyFailed):
            await response.aread()


@pytest.mark.parametrize("traced", [False, True])
async def test_a_coroutine_that_is_closed(library: Library, server: Server, traced: bool) -> None:
    """As by an event loop that ends: nothing can be awaited, and nothing stays open."""
    transport = library.ours(verify=False)
    steps = 0

    async def trace(name: str, info: dict[str, Any]) -> None:
        await anyio.lowlevel.checkpoint()

    for steps in range(1, 100):
        request = library.package.Request(
            "POST",
            str(server.url / "echo-body"),
            content=Once(),
            extensions={"trace": trace} if traced else {},
        )
        coroutine = transport.handle_async_request(request)
        ended = await some_steps(coroutine, steps)
        coroutine.close()
        await anyio.lowlevel.checkpoint()
        await transport._connector.finish_closing()
        if ended:
            break
        assert transport._connector.statistics().in_use == 0
    assert steps > 2
    await transport.aclose()


class Once:
    """A body of one piece."""

    def __init__(self) -> None:
        self._pieces = [b"x" * 70_000]

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self._pieces:
            raise StopAsyncIteration
        return self._pieces.pop()


@types.coroutine
def some_steps(coroutine: Any, number: int) -> Generator[Any, Any, bool]:
    """Run *coroutine* until it has waited *number* times; return whether it has ended before."""
    answer = None
    for _ in range(number):
        try:
            answer = yield coroutine.send(answer)
        except StopIteration:
            return True
    return False


class BodyFailed(Exception):
    """Raised by the body of a request."""


async def test_an_exception_of_the_body_is_raised_as_it_is(
    library: Library, script: Script
) -> None:
    """Neither wrapped nor changed."""
    cause = KeyError("cause")

    class Failing:
        def __aiter__(self) -> AsyncIterator[bytes]:
            return self

        async def __anext__(self) -> bytes:
            await anyio.lowlevel.checkpoint()
            raise BodyFailed from cause

    peer = await script([STALL], partial=True)
    async with library.package.AsyncClient(transport=library.ours(verify=False)) as client:
        with pytest.raises(BodyFailed) as caught:
            await client.post(str(peer.url), content=Failing())
    assert caught.value.__cause__ is cause


CONTRADICTIONS: dict[str, dict[str, Any]] = {
    "bytes, too long": {"content": b"ab", "headers": {"Content-Length": "1"}},
    "bytes, too short": {"content": b"ab", "headers": {"Content-Length": "3"}},
    "length and chunks": {
        "content": b"ab",
        "headers": {"Content-Length": "2", "Transfer-Encoding": "chunked"},
    },
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
async def test_what_contradicts_itself_is_not_sent(
    library: Library, script: Script, name: str
) -> None:
    """Servers disagree about where such requests end (RFC 9112 §11.2)."""
    peer = await script([], partial=True)
    async with library.package.AsyncClient(transport=library.ours(verify=False)) as client:
        with pytest.raises(library.package.LocalProtocolError):
            await client.post(str(peer.url), **CONTRADICTIONS[name])
    assert peer.requests == []


@pytest.mark.parametrize("data", [b"abcd", b"ab"], ids=["too long", "too short"])
async def test_a_streamed_body_of_another_length(
    library: Library, script: Script, data: bytes
) -> None:
    """It is noticed while it is being sent, and the connection closed."""
    pieces = [data]

    class Body:
        def __aiter__(self) -> AsyncIterator[bytes]:
            return self

        async def __anext__(self) -> bytes:
            await anyio.lowlevel.checkpoint()
            if not pieces:
                raise StopAsyncIteration
            return pieces.pop()

    peer = await script([STALL])
    async with library.package.AsyncClient(transport=library.ours(verify=False)) as client:
        with pytest.raises(library.package.LocalProtocolError):
            await client.post(str(peer.url), content=Body(), headers={"Content-Length": "3"})


# -- options that cannot be


def test_options_that_contradict_each_other(library: Library) -> None:
    """Rather than ignoring one of them, as httpx does."""
    with pytest.raises(ValueError, match="uds"):
        library.ours(uds="/x", proxy="http://localhost")
    with pytest.raises(ValueError, match="max_connections"):
        library.ours(limits=library.package.Limits(max_connections=0))
    for retries, error in ((-1, ValueError), ("2", TypeError)):
        with pytest.raises(error, match="retries"):
            library.ours(retries=retries)
    context = ssl.create_default_context()
    with pytest.raises(RuntimeError, match="https"):
        library.ours(proxy=library.package.Proxy("http://localhost", ssl_context=context))


def test_socks_without_its_library(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with httpx, that is an ``ImportError`` when the transport is made."""
    monkeypatch.setitem(sys.modules, "socksio", None)
    with pytest.raises(ImportError, match=r"anyhttp-client\[socks\]"):
        library.ours(proxy="socks5://localhost", verify=False)


# -- httpx's own features


async def test_features_of_the_client(library: Library, server: Server) -> None:
    """Redirects, cookies, credentials and hooks are httpx's, and work as ever."""
    hooks: list[str] = []

    async def hook(each: Any) -> None:
        hooks.append(type(each).__name__)

    async with library.package.AsyncClient(
        transport=library.ours(verify=False),
        follow_redirects=True,
        event_hooks={"request": [hook], "response": [hook]},
        auth=("user", "password"),
        base_url=str(server.url),
    ) as client:
        response = await client.get("redirect/2")
        assert response.status_code == 200
        assert len(response.history) == 2
        assert hooks == ["Request", "Response"] * 3
        assert (await client.get("json")).json()


async def test_it_is_no_part_of_a_session(library: Library, script: Script) -> None:
    """No jar: a cookie that is set is httpx's to send, and goes out once."""
    do: Do = get
    set_cookie = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"

    async def twice(client: Any, url: str) -> Any:
        await do(client, url)
        return await do(client, url)

    outcomes, received = await compare(library, script, [[(b"", set_cookie), (b"", OK)]], twice)
    assert outcomes[0] == outcomes[1]
    assert received[0] == received[1]
    assert received[1][0].count(b"Cookie: a=b") == 1


async def test_unasked_bytes_close_an_idle_connection(library: Library, script: Script) -> None:
    """They are no response to the next request."""
    for transport in (library.own, library.ours):
        peer = await script([(b"GET /a ", [OK, SendUnasked(OK)])], [(b"GET /b ", OK)])
        async with library.package.AsyncClient(transport=transport(verify=False)) as client:
            await client.get(str(peer.url / "a"))
            await peer.settled()
            assert (await client.get(str(peer.url / "b"))).content == b"ok"
