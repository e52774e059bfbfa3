from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import SocketAttribute

from anyhttp import BaseConnector, ClientConnectionError, ClientSession
from anyhttp.testing._memory import MemoryStream, memory_connection
from tests.support.cancel import cancel_at_every_checkpoint


async def receive_all(stream: MemoryStream) -> bytes:
    """Receive until the end."""
    received = b""
    try:
        while True:
            received += await stream.receive()
    except anyio.EndOfStream:
        return received


async def test_bytes_come_in_order_and_in_both_directions() -> None:
    """What one end sends is what the other end receives, however it is cut."""
    client, server = memory_connection()
    await client.send(b"one")
    await client.send(b"two")
    await server.send(b"other")
    assert [await server.receive(2), await server.receive(2)] == [b"on", b"e"]
    assert await server.receive() == b"two"
    assert await client.receive() == b"other"


async def test_an_empty_piece_is_no_end() -> None:
    """Sending nothing sends nothing."""
    client, server = memory_connection()
    await client.send(b"")
    await client.send(b"x")
    assert await server.receive() == b"x"


async def test_a_sender_waits_while_much_is_on_its_way() -> None:
    """Backpressure: a sender goes on when the other end has received."""
    client, server = memory_connection(buffer_size=10)
    await client.send(b"0123456789")
    sent = anyio.Event()

    async def send() -> None:
        await client.send(b"abc")
        sent.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send)
        await anyio.wait_all_tasks_blocked()
        assert not sent.is_set()
        assert await server.receive(2) == b"01"
        await anyio.wait_all_tasks_blocked()
        assert not sent.is_set()
        assert await server.receive(1) == b"2"
        await sent.wait()
    assert await server.receive() == b"3456789"
    assert await server.receive() == b"abc"


async def test_the_end_of_one_direction_leaves_the_other() -> None:
    """As with sockets: after the end of a request comes the response."""
    client, server = memory_connection()
    await client.send(b"x")
    await client.send_eof()
    assert await receive_all(server) == b"x"
    await server.send(b"y")
    assert await client.receive() == b"y"
    with pytest.raises(anyio.ClosedResourceError):
        await client.send(b"more")


async def test_closing_keeps_what_has_been_sent() -> None:
    """The other end receives it, and then the end; what it sends itself fails."""
    client, server = memory_connection()
    await client.send(b"last")
    await client.aclose()
    await client.aclose()
    assert await receive_all(server) == b"last"
    with pytest.raises(anyio.BrokenResourceError) as caught:
        await server.send(b"x")
    assert isinstance(caught.value.__cause__, BrokenPipeError)
    assert caught.value.__cause__.errno == errno.EPIPE


@pytest.mark.parametrize(
    "use", [MemoryStream.receive, lambda end: end.send(b"x"), MemoryStream.send_eof]
)
async def test_a_closed_end_is_not_used(use: Callable[[MemoryStream], Awaitable[object]]) -> None:
    """As anyio says of its streams."""
    client, _ = memory_connection()
    await client.aclose()
    with pytest.raises(anyio.ClosedResourceError):
        await use(client)


async def test_a_reset_comes_after_what_has_been_sent() -> None:
    """Linux hands out the bytes that came before it, too."""
    client, server = memory_connection()
    await server.send(b"half")
    server.abort()
    assert await client.receive() == b"half"
    with pytest.raises(anyio.BrokenResourceError) as caught:
        await client.receive()
    assert isinstance(caught.value.__cause__, ConnectionResetError)
    assert caught.value.__cause__.errno == errno.ECONNRESET
    with pytest.raises(anyio.BrokenResourceError):
        await client.send(b"x")


async def test_a_reset_after_closing_is_none() -> None:
    """A client's abort() is followed by aclose(), and may come after it as well."""
    client, server = memory_connection()
    await client.aclose()
    client.abort()
    with pytest.raises(anyio.EndOfStream):
        await server.receive()


@pytest.mark.parametrize("end", ["abort", "aclose"])
@pytest.mark.parametrize("who", ["client", "server"])
async def test_the_end_wakes_who_waits(end: str, who: str) -> None:
    """Nobody waits for an end that is gone, on neither side."""
    client, server = memory_connection(buffer_size=1)
    raised: list[type[Exception]] = []

    async def fails(wait: Callable[[], Awaitable[object]]) -> None:
        with pytest.raises(Exception) as caught:
            await wait()
        raised.append(caught.type)

    async def send(stream: MemoryStream) -> None:
        await stream.send(b"many")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(fails, client.receive)
        tasks.start_soon(fails, lambda: send(client))
        await anyio.wait_all_tasks_blocked()
        ending = client if who == "client" else server
        if end == "abort":
            ending.abort()
        else:
            await ending.aclose()
    if who == "client":
        assert raised == [anyio.ClosedResourceError] * 2
    else:
        first = anyio.BrokenResourceError if end == "abort" else anyio.EndOfStream
        assert set(raised) == {first, anyio.BrokenResourceError}


async def test_one_task_at_a_time_in_each_direction() -> None:
    """A second one is told so; the first goes on."""
    client, server = memory_connection(buffer_size=1)

    async def send() -> None:
        await client.send(b"xx")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.receive)
        tasks.start_soon(send)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(anyio.BusyResourceError):
            await client.receive()
        with pytest.raises(anyio.BusyResourceError):
            await client.send(b"y")
        await server.send(b"z")
        assert await server.receive() == b"xx"


async def test_cancelling_loses_no_bytes() -> None:
    """A cancelled receive takes nothing; a cancelled send has sent all."""

    async def exchange() -> None:
        client, server = memory_connection(buffer_size=1)
        received = bytearray()

        async def receive() -> None:
            while True:
                received.extend(await server.receive(1))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(receive)
            await client.send(b"abc")
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        assert received == b"abc"

    async def nothing() -> None:
        await anyio.lowlevel.checkpoint()

    assert await cancel_at_every_checkpoint(exchange, after=nothing)

    client, server = memory_connection()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await server.receive()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await client.send(b"never")
    await client.send(b"x")
    assert await server.receive() == b"x"


async def test_a_large_piece_in_small_parts_is_not_copied_each_time() -> None:
    """The cost is that of the bytes received."""
    client, server = memory_connection(buffer_size=1 << 30)
    await client.send(bytes(1 << 24))
    total = 0
    for _ in range(1 << 12):
        total += len(await server.receive(1 << 12))
    assert total == 1 << 24


async def test_addresses() -> None:
    """Each end tells its own address and the other's."""
    client, server = memory_connection(client=("::1", 5), server=("10.0.0.1", 443))
    assert client.extra(SocketAttribute.remote_address) == ("10.0.0.1", 443)
    assert client.extra(SocketAttribute.local_port) == 5
    assert server.extra(SocketAttribute.remote_address) == ("::1", 5)
    assert server.extra(SocketAttribute.remote_port) == 5
    assert server.extra(SocketAttribute.local_address) == ("10.0.0.1", 443)
    assert client.extra(SocketAttribute.family) != server.extra(SocketAttribute.family)


class Memory(BaseConnector):
    """Gives the server's end of its one connection to the test."""

    server: MemoryStream

    async def _create_connection(
        self, req: object, traces: object, timeout: object
    ) -> MemoryStream:
        client, self.server = memory_connection()
        return client


async def test_a_response_that_is_closed_resets_the_connection() -> None:
    """The server's end learns of it at once, without another step of the client."""
    connector = Memory()

    async def serve() -> None:
        await anyio.wait_all_tasks_blocked()
        await connector.server.receive()
        await connector.server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")

    async with ClientSession(connector=connector) as session, anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        response = await session.get("http://a.test/")
        response.close()
        with pytest.raises(anyio.BrokenResourceError):
            await connector.server.receive()


async def test_a_reset_is_an_error_of_the_client() -> None:
    """The documented exception comes out of the request."""
    connector = Memory()

    async def serve() -> None:
        await anyio.wait_all_tasks_blocked()
        connector.server.abort()

    async with ClientSession(connector=connector) as session, anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        with pytest.raises(ClientConnectionError):
            await session.get("http://a.test/")
