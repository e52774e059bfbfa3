"""The client's end of a connection to a mock, by itself."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import SocketAttribute
from yarl import URL

from anyhttp import ClientConnectionError, ClientSession, ClientTimeout
from anyhttp._tasks import Expired, current_loop
from anyhttp.testing import Answer, MockConnector, ReceivedRequest, drip, reset, stall
from anyhttp.testing._http1_server import MalformedRequest
from anyhttp.testing._memory import memory_connection
from anyhttp.testing._mock_streams import CannedStream, ScriptedStream
from tests.support.census import assert_no_tokens

REQUEST = b"POST / HTTP/1.1\r\nHost: api.test\r\nContent-Length: 2\r\n\r\nab"


def canned(answer: Answer) -> CannedStream:
    """Return a stream that gives *answer*."""
    request = ReceivedRequest("POST", URL("http://api.test/"))
    return CannedStream(request, answer, ClientTimeout(), lambda: None)


class Limited:
    """Receives at most seven bytes at a time."""

    def __init__(self, stream: CannedStream) -> None:
        self._stream = stream

    def __aiter__(self) -> Limited:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await self._stream.receive(7)
        except anyio.EndOfStream:
            raise StopAsyncIteration from None


async def test_an_answer_comes_when_the_request_is_complete() -> None:
    """In pieces that are no larger than asked for, and then the end."""
    stream = canned(Answer(body=b"0123456789"))
    for index in range(len(REQUEST)):
        await stream.send(REQUEST[index : index + 1])
    await stream.send_eof()
    got = [piece async for piece in Limited(stream)]
    assert max(map(len, got)) == 7
    assert b"".join(got) == b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789"
    await stream.aclose()
    assert stream.is_gone


async def test_receiving_waits_for_the_request() -> None:
    """And one task at a time may do it."""
    stream = canned(Answer())
    got: list[bytes] = []

    async def receive() -> None:
        got.append(await stream.receive())

    async with anyio.create_task_group() as group:
        group.start_soon(receive)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(anyio.BusyResourceError):
            await stream.receive()
        await stream.send(REQUEST)
    assert got[0].startswith(b"HTTP/1.1 200 OK\r\n")


async def test_a_closed_stream() -> None:
    """Neither direction works, and a task that receives learns of it."""
    stream = canned(stall())

    async def receive() -> None:
        with pytest.raises(anyio.ClosedResourceError):
            await stream.receive()

    async with anyio.create_task_group() as group:
        group.start_soon(receive)
        await anyio.wait_all_tasks_blocked()
        stream.abort()
    for call in (lambda: stream.receive(), lambda: stream.send(REQUEST)):
        with pytest.raises(anyio.ClosedResourceError):
            await call()
    stream = canned(Answer())
    stream.leave_to_parent()
    assert stream.is_gone


async def test_a_deadline() -> None:
    """Whether a watchdog tells of it, or the wait has to end by itself."""
    stream = canned(stall())
    await stream.send(REQUEST)
    stream.deadline = anyio.current_time() + 0.01
    with pytest.raises(Expired):
        await stream.receive()
    with pytest.raises(Expired):
        await stream.receive()
    stream = canned(stall())
    stream.watched = True

    async def receive() -> None:
        with pytest.raises(Expired):
            await stream.receive()

    async with anyio.create_task_group() as group:
        group.start_soon(receive)
        await anyio.wait_all_tasks_blocked()
        stream.expire()
    with pytest.raises(Expired):
        await stream.send(REQUEST)


async def test_an_interrupted_wait_loses_nothing() -> None:
    """The exchange interrupts a wait when the upload beside it has ended."""
    stream = canned(Answer())
    stream.interrupt()  # nobody waits

    async def receive() -> None:
        with pytest.raises(Expired):
            await stream.receive()

    async with anyio.create_task_group() as group:
        group.start_soon(receive)
        await anyio.wait_all_tasks_blocked()
        stream.interrupt()
    await stream.send(REQUEST)
    assert (await stream.receive()).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_after_a_break_nothing_can_be_sent() -> None:
    """As on a socket."""
    stream = canned(reset())
    await stream.send(REQUEST)
    with pytest.raises(anyio.BrokenResourceError) as caught:
        await stream.receive()
    assert isinstance(caught.value.__cause__, ConnectionResetError)
    with pytest.raises(anyio.BrokenResourceError):
        await stream.send(REQUEST)


async def test_a_body_that_is_sent_although_it_was_refused() -> None:
    """RFC 9110 §10.1.1: a client need not wait for 100.  The refusal comes once."""
    stream = canned(Answer(status=413))
    head, _, body = REQUEST.partition(b"\r\n\r\n")
    await stream.send(head + b"\r\nExpect: 100-continue\r\n\r\n")
    first = await stream.receive(9)
    await stream.send(body)
    assert (first + await stream.receive()).startswith(b"HTTP/1.1 413 ")
    with pytest.raises(anyio.EndOfStream):
        await stream.receive()


async def test_an_answer_of_no_bytes() -> None:
    """It is the end, and nothing else."""
    stream = canned(Answer(raw=b""))
    await stream.send(REQUEST)
    with pytest.raises(anyio.EndOfStream):
        await stream.receive()


async def test_what_is_no_request_is_told() -> None:
    """A mistake of the client comes out."""
    stream = canned(Answer())
    with pytest.raises(MalformedRequest):
        await stream.send(b"no request\r\n\r\n")


async def test_what_a_stream_tells_of_itself() -> None:
    """Addresses, the event loop, and that it serves one exchange."""
    stream = canned(Answer())
    assert stream.extra(SocketAttribute.remote_address) == ("127.0.0.1", 80)
    assert stream.extra(SocketAttribute.raw_socket, None) is None
    assert stream.loop is current_loop() or stream.loop == current_loop()
    assert stream.has_unread()
    assert not stream.has_unsent
    assert stream.for_one_exchange
    await stream.drain()


async def test_a_response_tells_the_addresses() -> None:
    """Programs log them."""
    mock = MockConnector()
    mock.get("/", body=drip(b"ab"))
    mock.get("/function", answer=lambda request: Answer(body=drip(b"ab")))
    async with ClientSession(connector=mock) as session:
        for path in ("", "function"):
            async with session.get(f"http://api.test/{path}") as response:
                connection: Any = response.connection
                assert connection.transport.extra(SocketAttribute.remote_address) == (
                    "127.0.0.1",
                    80,
                )
                await response.read()


@pytest.mark.parametrize("answer", [stall(), stall(b"half")])
async def test_a_function_may_stall_too(answer: Answer) -> None:
    """Until the client goes."""
    mock = MockConnector()
    mock.get("/", answer=lambda request: answer)
    async with ClientSession(connector=mock, timeout=ClientTimeout(sock_read=0.01)) as session:
        with pytest.raises(TimeoutError):
            await (await session.get("http://api.test/")).read()
        assert_no_tokens(mock, idle=0)


async def test_a_function_may_read_the_body_itself() -> None:
    """All of it at once, whether it has come or not."""

    async def body() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    async def answer(request: ReceivedRequest) -> Any:
        return await request.read()

    mock = MockConnector()
    mock.post("/", answer=answer, stream_request=True)
    async with ClientSession(connector=mock) as session:
        async with session.post("http://api.test/", data=body()) as response:
            assert await response.read() == b"ab"


async def test_an_upload_that_fails_beside_a_mock() -> None:
    """The mistake in the body comes out; the mock has got the head and a part."""

    async def body() -> AsyncIterator[bytes]:
        yield b"a"
        raise LookupError("in the body")

    mock = MockConnector()
    mock.post("/", text="never")
    async with ClientSession(connector=mock) as session:
        with pytest.raises(Exception, match="body") as caught:
            await session.post("http://api.test/", data=body())
        assert_no_tokens(mock, idle=0)
    assert isinstance(caught.value.__cause__ or caught.value, LookupError)
    assert not mock.calls or not mock.calls[0].is_complete


async def test_closing_a_mock_that_is_cancelled_ends_its_tasks() -> None:
    """They are cancelled, not given more time."""
    mock = MockConnector()

    async def answer(request: ReceivedRequest) -> Answer:
        await anyio.sleep_forever()
        raise AssertionError

    mock.get("/", answer=answer)
    session = ClientSession(connector=mock)

    async def ask() -> None:
        with pytest.raises(ClientConnectionError):
            await session.get("http://api.test/")

    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        with anyio.CancelScope() as scope:
            scope.cancel()
            await mock.aclose()
        await session.close()


async def test_a_stream_to_a_task_has_deadlines() -> None:
    """For each direction: a request may be larger than the connection has room for."""
    client, server = memory_connection(buffer_size=10)
    stream = ScriptedStream(client, is_websocket=False)
    assert not stream.send_nowait(bytes(11))
    stream.deadline = anyio.current_time()
    with pytest.raises(Expired):
        await stream.drain()
    stream.deadline = math.inf
    assert await server.receive() == bytes(11)
    await stream.drain()
    stream.expire()
    with pytest.raises(Expired):
        stream.send_nowait(b"late")
    await stream.send_eof()
    with pytest.raises(anyio.EndOfStream):
        await server.receive()


async def test_a_function_may_answer_by_an_exception_of_the_program() -> None:
    """It comes out of the request as it is, after what has been sent."""
    mock = MockConnector()
    error = LookupError("the program's own")
    mock.get("/", answer=lambda request: Answer(body=b"half", exception=error))
    async with ClientSession(connector=mock) as session:
        response = await session.get("http://api.test/")
        with pytest.raises(LookupError) as caught:
            await response.read()
        assert caught.value is error
        assert_no_tokens(mock, idle=0)
