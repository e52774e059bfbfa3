"""Who waits for the end of a response is told of it once, whatever ends it."""

from __future__ import annotations

import gc
import logging
from collections.abc import Awaitable, Callable
from typing import cast

import pytest

from anyhttp import (
    ClientPayloadError,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    StreamReader,
)
from anyhttp.client_reqrep import when_over
from tests.support.api import Api
from tests.support.client import get
from tests.support.peer import CLOSE, STALL, Flag, Script, Wait
from tests.support.waiting import until

pytestmark = pytest.mark.uvloop

EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
LONG = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234"


class Ends:
    """What the callback was told."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, BaseException | None]] = []

    def __call__(self, size: int, error: BaseException | None) -> None:
        self.seen.append((size, error))


async def test_a_body_that_came_with_the_head(api: Api) -> None:
    """It has been received, so the call is made at once."""
    ends = Ends()
    async with ClientSession(api.url) as session, session.get("bytes/10") as response:
        when_over(response, ends)
        assert ends.seen == [(10, None)]
        await response.read()
    assert ends.seen == [(10, None)]


async def test_a_body_that_is_read_to_its_end(script: Script) -> None:
    """The size is that on the wire, without the framing of chunks."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    go = Flag()
    peer = await script([(b"GET /", [head, b"3\r\nabc\r\n", Wait(go), b"2\r\nde\r\n0\r\n\r\n"])])
    ends = Ends()
    async with ClientSession(peer.url) as session, session.get("/") as response:
        when_over(response, ends)
        assert await response.content.read(3) == b"abc"
        assert not ends.seen
        go.set()
        assert await response.content.read() == b"de"
        assert ends.seen == [(5, None)]
        when_over(response, ends)
    assert ends.seen == [(5, None)] * 2


async def test_a_body_that_ends_early(script: Script) -> None:
    """The error is the one that reading raises; the call comes before it is raised."""
    peer = await script([(b"GET /", [LONG, CLOSE])])
    ends = Ends()
    async with ClientSession(peer.url) as session, session.get("/") as response:
        when_over(response, ends)
        with pytest.raises(ClientPayloadError) as caught:
            await response.read()
        assert ends.seen == [(5, caught.value)]
        when_over(response, ends)
    assert ends.seen == [(5, caught.value)] * 2


async def test_a_body_whose_time_is_over(script: Script, *, entered: bool) -> None:
    """The error says so."""
    peer = await script([(b"GET /", EMPTY), (b"GET /", [LONG, STALL])])
    ends = Ends()
    session = ClientSession(peer.url)
    if entered:
        await session.__aenter__()
    await get(session, "/")  # on a busy machine, connecting takes longer than the limit
    async with session.get("/", timeout=ClientTimeout(total=0.2)) as response:
        when_over(response, ends)
        with pytest.raises(TimeoutError):
            await response.read()
    await session.close()
    [(size, error)] = ends.seen
    assert size == 5
    assert isinstance(error, TimeoutError)


async def leave(response: ClientResponse) -> None:
    """Leave the block."""


async def release(response: ClientResponse) -> None:
    """Release it by a plain call."""
    response.release()


async def close(response: ClientResponse) -> None:
    """Close it by a plain call."""
    response.close()


@pytest.mark.parametrize("end", [leave, release, close])
async def test_a_body_that_is_not_wanted(
    script: Script, end: Callable[[ClientResponse], Awaitable[None]]
) -> None:
    """That is no error; the size counts what has been read."""
    peer = await script([(b"GET /", [LONG, STALL])])
    ends = Ends()
    async with ClientSession(peer.url) as session:
        async with session.get("/") as response:
            when_over(response, ends)
            assert await response.content.read(2) == b"01"
            await end(response)
        assert ends.seen == [(5, None)]
        when_over(response, ends)
        assert ends.seen == [(5, None)] * 2


async def test_the_end_of_the_session(script: Script) -> None:
    """It closes what is open."""
    peer = await script([(b"GET /", [LONG, STALL])])
    ends = Ends()
    async with ClientSession(peer.url) as session:
        response = await session.get("/")
        when_over(response, ends)
        assert not ends.seen
    assert response.closed
    assert ends.seen == [(5, None)]


async def test_a_response_that_is_forgotten(script: Script) -> None:
    """It is closed as if nobody waited for its end."""
    peer = await script([(b"GET /", [LONG, STALL])])
    ends = Ends()

    async def forget() -> None:
        when_over(await session.get("/"), ends)

    async with ClientSession(peer.url) as session:
        with pytest.warns(ResourceWarning, match="Unclosed response"):
            await forget()
        gc.collect()
        await until(lambda: bool(ends.seen), "the call")
        [(size, error)] = ends.seen
        assert size == 0
        assert "forgotten" in str(error)


async def test_a_response_that_a_program_makes(api: Api) -> None:
    """It is over, also while the program feeds its body: perhaps it never ends that."""
    ends = Ends()
    async with ClientSession(api.url) as session, session.get("bytes/0") as response:
        request = ClientRequest("GET", api.url, session=session)
        when_over(ClientResponse.for_request(request, body=b"abc"), ends)
        when_over(ClientResponse.for_request(request), ends)
        when_over(response, ends)
        assert ends.seen == [(3, None), (0, None), (0, None)]
        made = ClientResponse.for_request(request)
        made.content = reader = StreamReader()
        reader.feed_data(b"de")
        when_over(made, ends)
        assert len(ends.seen) == 4
        reader.feed_eof()
        assert len(ends.seen) == 4


async def test_a_stream_of_another_class(api: Api) -> None:
    """A program may have set one as the content; nothing is known of it."""
    ends = Ends()
    async with ClientSession(api.url) as session:
        made = ClientResponse.for_request(ClientRequest("GET", api.url, session=session))
    made.content = cast(StreamReader, object())
    when_over(made, ends)
    assert ends.seen == [(0, None)]


async def test_a_callback_that_fails(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    """Its error is logged: whoever ends the response has nothing to do with it."""

    def fail(size: int, error: BaseException | None) -> None:
        raise LookupError("mine")

    async with ClientSession(api.url) as session, session.get("bytes/10") as response:
        with caplog.at_level(logging.ERROR, "anyhttp.client"):
            when_over(response, fail)
        assert await response.read()
    [record] = caplog.records
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], LookupError)
