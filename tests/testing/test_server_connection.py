from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import SocketAttribute
from yarl import URL

from anyhttp.testing._client_stream import ClientDisconnected
from anyhttp.testing._http1_server import MalformedRequest
from anyhttp.testing._memory import MemoryStream, memory_connection
from anyhttp.testing._server_connection import ServerConnection, ServerExchange
from tests.support.cancel import cancel_at_every_checkpoint

GET = b"GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n"
PUT = b"PUT /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\n"


def connected() -> tuple[MemoryStream, ServerConnection]:
    """Return the client's end of a connection, and what serves it."""
    client, server = memory_connection()
    return client, ServerConnection(server)


async def asked(data: bytes = GET) -> tuple[MemoryStream, ServerExchange]:
    """Return the client's end of a connection, and the request that it has sent."""
    client, connection = connected()
    await client.send(data)
    exchange = await connection.next_request()
    assert exchange is not None
    return client, exchange


async def test_one_request_after_another() -> None:
    """The bytes of the client are requests until it closes the connection."""
    client, connection = connected()
    for path in ("/a", "/b"):
        await client.send(GET.replace(b"/x", path.encode()))
        exchange = await connection.next_request()
        assert exchange is not None
        assert (exchange.method, exchange.target) == ("GET", path)
        assert exchange.headers["host"] == "a.test"
        assert await exchange.read() == b""
        await exchange.respond(200, {"X": "y"}, b"hello", "Fine")
        response = b"HTTP/1.1 200 Fine\r\nX: y\r\nContent-Length: 5\r\n\r\nhello"
        assert await client.receive() == response
    await client.aclose()
    assert await connection.next_request() is None
    await connection.aclose()


async def test_the_address_of_the_client() -> None:
    """It is the stream's, unless the caller tells another."""
    _, server = memory_connection(client=("10.0.0.9", 5))
    assert ServerConnection(server).client == ("10.0.0.9", 5)
    assert ServerConnection(server, client=("::1", 6)).client == ("::1", 6)


@pytest.mark.parametrize(
    ("request_", "url", "is_for_proxy"),
    [
        (
            b"GET /a%2Fb?x=%20 HTTP/1.1\r\nHost: a.test:81\r\n\r\n",
            "https://a.test:81/a%2Fb?x=%20",
            0,
        ),
        (b"OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n", "https://a.test", 0),
        (b"GET http://b.test/c HTTP/1.1\r\nHost: b.test\r\n\r\n", "http://b.test/c", 1),
        (b"CONNECT b.test:443 HTTP/1.1\r\nHost: b.test\r\n\r\n", "//b.test:443", 1),
    ],
)
async def test_the_url_of_a_request(request_: bytes, url: str, is_for_proxy: int) -> None:
    """RFC 9112 §3.2: there are four forms of what a request asks for."""
    client, server = memory_connection()
    await client.send(request_)
    exchange = await ServerConnection(server, scheme="https").next_request()
    assert exchange is not None
    assert exchange.url == URL(url, encoded=True)
    assert str(exchange.url) == url
    assert exchange.is_for_proxy is bool(is_for_proxy)


async def test_the_body_of_a_request_comes_in_pieces() -> None:
    """Each is there as soon as it has come; afterwards the trailers are known."""
    client, exchange = await asked(
        b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n"
    )
    pieces = [await exchange.receive()]
    assert not exchange.trailers
    await client.send(b"3\r\ntwo\r\n0\r\nX-Sum: 7\r\n\r\n")
    pieces += [piece async for piece in exchange]
    assert pieces == [b"one", b"two"]
    assert exchange.trailers == {"X-Sum": "7"}
    assert await exchange.receive() == b""
    assert await exchange.read() == b""


async def test_a_body_that_has_been_read_can_be_read_again() -> None:
    """Several parts of a program may ask for it."""
    _, exchange = await asked(PUT + b"hello")
    assert [await exchange.read(), await exchange.read()] == [b"hello", b"hello"]


async def test_a_body_that_is_read_ahead() -> None:
    """Whoever receives it later gets it as well."""
    _, exchange = await asked(PUT + b"hello")
    assert await exchange.read_ahead() == b"hello"
    assert [piece async for piece in exchange] == [b"hello"]
    assert await exchange.read() == b"hello"
    _, exchange = await asked(GET)
    assert await exchange.read_ahead() == b""
    assert await exchange.receive() == b""


async def test_the_client_gets_the_sign_that_it_waits_for() -> None:
    """RFC 9110 §10.1.1: reading the body asks for it."""
    client, exchange = await asked(PUT.replace(b"Host", b"Expect: 100-continue\r\nHost"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(exchange.read)
        assert await client.receive() == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.send(b"hello")
    assert await exchange.read() == b"hello"
    await exchange.respond(204)


async def test_a_body_that_the_handler_leaves_is_dropped() -> None:
    """The next request begins after it."""
    client, exchange = await asked(PUT)
    await exchange.respond(204)
    await client.send(b"hello" + GET)
    following = await exchange.connection.next_request()
    assert following is not None
    assert following.method == "GET"


async def test_a_response_in_pieces() -> None:
    """Interim response, head, pieces and trailers are sent as they are made."""
    client, exchange = await asked()
    await exchange.inform(103, {"Link": "</a>"})
    assert await client.receive() == b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    await exchange.start(404, [(b"X", b"y")], "Gone")
    head = b"HTTP/1.1 404 Gone\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert await client.receive() == head
    await exchange.send(b"hello")
    assert await client.receive() == b"5\r\nhello\r\n"
    await exchange.send(b"")
    await exchange.finish({"X-Sum": "1"})
    assert await client.receive() == b"0\r\nX-Sum: 1\r\n\r\n"


async def test_a_response_that_is_not_finished_is_the_last_one() -> None:
    """The client could not tell where another one begins."""
    client, exchange = await asked()
    await exchange.start()
    await client.send(GET)
    assert await exchange.connection.next_request() is None


async def test_bytes_as_they_are() -> None:
    """No other request follows them."""
    client, exchange = await asked()
    await exchange.send_raw(b"garbage")
    assert await client.receive() == b"garbage"
    assert await exchange.connection.next_request() is None


async def test_a_reset() -> None:
    """The client sees a failure."""
    client, exchange = await asked()
    await exchange.reset()
    with pytest.raises(anyio.BrokenResourceError):
        await client.receive()
    assert await exchange.connection.next_request() is None


async def test_a_reset_of_a_socket() -> None:
    """The operating system sends RST."""
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        address = ("127.0.0.1", listener.extra(SocketAttribute.local_port))

        async def serve(stream: anyio.abc.SocketStream) -> None:
            async with stream:
                exchange = await ServerConnection(stream).next_request()
                assert exchange is not None
                assert exchange.connection.client == client.getsockname()
                await exchange.reset()
            tasks.cancel_scope.cancel()

        with socket.create_connection(address) as client:
            client.sendall(GET)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(listener.serve, serve)
            with pytest.raises(ConnectionResetError):
                client.recv(1)


async def test_a_malformed_request() -> None:
    """Who serves decides what to do about it."""
    client, connection = connected()
    await client.send(b"what?\r\n\r\n")
    with pytest.raises(MalformedRequest, match="not a request line"):
        await connection.next_request()
    client, exchange = await asked(PUT.replace(b"Content-Length: 5", b"Transfer-Encoding: chunked"))
    await client.send(b"what?\r\n")
    with pytest.raises(MalformedRequest, match="not the size of a chunk"):
        await exchange.read()


@pytest.mark.parametrize(
    "head",
    [
        b"GET http://[::1/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: [\r\n\r\n",
    ],
)
async def test_a_request_without_a_url(head: bytes) -> None:
    """It is malformed, too."""
    exchange = (await asked(head))[1]
    with pytest.raises(MalformedRequest, match="not a URL"):
        _ = exchange.url


@pytest.mark.parametrize("half", [b"GET /x", PUT, PUT + b"he"])
@pytest.mark.parametrize("end", ["close", "reset"])
async def test_a_client_that_leaves_in_the_middle(half: bytes, end: str) -> None:
    """There is one exception for it, however it leaves."""
    client, connection = connected()
    await client.send(half)
    if end == "close":
        await client.aclose()
    else:
        client.abort()
    what = "has closed the connection" if end == "close" else "the connection to the client broke"

    async def read() -> None:
        exchange = await connection.next_request()
        assert exchange is not None
        await exchange.read()

    with pytest.raises(ClientDisconnected, match=what):
        await read()


@pytest.mark.parametrize(
    "use",
    [
        lambda exchange: exchange.respond(),
        lambda exchange: exchange.start(),
        lambda exchange: exchange.inform(103),
        lambda exchange: exchange.send_raw(b"x"),
    ],
)
async def test_responding_to_a_client_that_has_left(
    use: Callable[[ServerExchange], Awaitable[object]],
) -> None:
    """It is the same exception."""
    client, exchange = await asked()
    client.abort()
    with pytest.raises(ClientDisconnected):
        await use(exchange)


async def test_waiting_for_the_client_to_leave() -> None:
    """What it sends meanwhile is kept for the next request."""
    client, exchange = await asked()
    await exchange.respond()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(exchange.wait_disconnect)
        await client.send(GET)
        await anyio.wait_all_tasks_blocked()
        assert tasks.cancel_scope.cancel_called is False
        tasks.cancel_scope.cancel()
    following = await exchange.connection.next_request()
    assert following is not None
    await client.aclose()
    await following.wait_disconnect()


async def test_a_tunnel() -> None:
    """After it is open, the stream belongs to somebody else, with what has come already."""
    client, exchange = await asked(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\nhello")
    await exchange.start(200)
    stream = exchange.detach()
    assert await stream.receive() == b"hello"
    await client.receive()
    await client.send(b"more")
    await stream.send(b"other")
    assert await stream.receive() == b"more"
    assert await client.receive() == b"other"
    assert await exchange.connection.next_request() is None


async def test_cancellation_in_the_middle_of_a_response() -> None:
    """No other request is served: the client would take its response for the rest of this one."""
    _client, exchange = await asked(GET + GET)
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(exchange.respond, 200, {}, bytes(100_000))
            await anyio.wait_all_tasks_blocked()
            scope.cancel()
    assert await exchange.connection.next_request() is None


async def test_cancellation_at_each_step_of_an_exchange() -> None:
    """Whoever serves closes the connection then, and nothing is left open."""

    async def exchange() -> None:
        client, connection = connected()
        async with connection.stream.stream, client:
            await client.send(PUT)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.send, b"hello")
                request = await connection.next_request()
                assert request is not None
                assert await request.read() == b"hello"
                await request.respond()
                await client.receive()

    async def nothing() -> None:
        await anyio.lowlevel.checkpoint()

    assert await cancel_at_every_checkpoint(exchange, after=nothing)
