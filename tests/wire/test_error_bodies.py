"""``ClientResponseError.body``: what a server says about an error, and how long it may take."""

from __future__ import annotations

import copy
import gzip
import pickle
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from anyhttp import (
    ClientHandlerType,
    ClientPayloadError,
    ClientRequest,
    ClientResponse,
    ClientResponseError,
    ClientTimeout,
    TraceConfig,
)
from anyhttp.client_reqrep import read_error_body
from tests.support.cancel import cancel_at_every_checkpoint
from tests.support.client import assert_free, client, opened
from tests.support.peer import CLOSE, DEAF, STALL, Action, Flag, Head, Script, Wait
from tests.support.responses import OK

BAD = b"HTTP/1.1 400 Bad Request\r\n"
LONG = b"0123456789abcdef" * 1024  # 16 KiB


async def pass_on(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Be a middleware that changes nothing."""
    return await handler(request)


def chunked(*pieces: bytes) -> bytes:
    """Return *pieces* as chunks, with the last chunk."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (*pieces, b""))


class TestTheOption:
    @pytest.mark.parametrize(
        ("reply", "body"),
        [
            ([BAD + b"Content-Length: 3\r\n\r\nwhy"], b"why"),
            ([BAD + b"Content-Length: 3\r\n\r\n", b"w", b"hy"], b"why"),
            ([BAD + b"Transfer-Encoding: chunked\r\n\r\n", chunked(b"w", b"hy")], b"why"),
            ([BAD + b"Content-Length: 0\r\n\r\n"], b""),
            ([BAD + b"Content-Length: 16384\r\n\r\n", LONG], LONG[:8192]),
        ],
    )
    async def test_the_error_has_its_body(
        self, reply: list[Action], body: bytes, http1: str, script: Script
    ) -> None:
        """``raise_for_status=True`` reads up to 8 KiB of it, in whatever pieces it comes."""
        peer = await script([(b"GET ", reply)])
        async with client(http1, raise_for_status=True) as session:
            with pytest.raises(ClientResponseError) as caught:
                await session.get(peer.url)
            assert caught.value.status == 400
            assert caught.value.body == body
            assert_free(session)

    async def test_the_connection_goes_on_if_the_body_ended(
        self, http1: str, script: Script
    ) -> None:
        """It was received to its end, so the next request uses the connection."""
        peer = await script(
            [(b"GET /a ", [BAD + b"Content-Length: 3\r\n\r\n", b"why"]), (b"GET /b ", OK)]
        )
        async with client(http1) as session:
            with pytest.raises(ClientResponseError, match="400, message='Bad Request'"):
                await session.get(peer.url / "a", raise_for_status=True)
            assert_free(session, idle=1)
            async with session.get(peer.url / "b") as response:
                assert await response.read() == b"ok"

    async def test_the_connection_is_closed_if_it_did_not(self, http1: str, script: Script) -> None:
        """What is left of it would be in the way of the next response."""
        head = BAD + b"Content-Length: 1000000\r\n\r\n"
        peer = await script([(b"GET ", [head, LONG, STALL])])
        async with client(http1, raise_for_status=True) as session:
            with pytest.raises(ClientResponseError) as caught:
                await session.get(peer.url)
            assert caught.value.body == LONG[:8192]
            assert_free(session, idle=0)
            await peer.wait_closed()

    async def test_it_is_decoded(self, http1: str, script: Script) -> None:
        """What is asked for is the text, not its coding."""
        coded = gzip.compress(LONG)
        head = BAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(coded)
        peer = await script([(b"GET ", [head, coded[:20], coded[20:]])])
        async with client(http1, raise_for_status=True) as session:
            with pytest.raises(ClientResponseError) as caught:
                await session.get(peer.url)
            assert caught.value.body == LONG[:8192]

    @pytest.mark.parametrize("timeout", [ClientTimeout(), ClientTimeout(total=0.5)])
    async def test_it_is_not_waited_for_long(
        self, timeout: ClientTimeout, http1: str, script: Script
    ) -> None:
        """A second at most, and no longer than ``total``; what has come by then is there."""
        peer = await script([(b"GET ", [BAD + b"Content-Length: 99\r\n\r\n", b"half", STALL])])
        async with client(http1, raise_for_status=True, timeout=timeout) as session:
            with anyio.fail_after(5), pytest.raises(ClientResponseError) as caught:
                await session.get(peer.url)
            assert caught.value.body == b"half"
            assert_free(session, idle=0)
            await peer.wait_closed()

    @pytest.mark.parametrize(
        "options", [{"trace_configs": [TraceConfig()]}, {"middlewares": [pass_on]}]
    )
    async def test_total_ends_the_wait_whatever_code_of_the_program_runs(
        self, options: dict[str, Any], entered: bool, http1: str, script: Script
    ) -> None:
        """With trace handlers or middlewares, too, the error is raised when ``total`` is over."""
        peer = await script([(b"GET ", [BAD + b"Content-Length: 99\r\n\r\n", b"half", STALL])])
        session = client(http1, raise_for_status=True, timeout=ClientTimeout(total=0.9), **options)
        async with opened(session, entered=entered):
            with pytest.raises(ClientResponseError, match="400") as caught:
                await session.get(peer.url)
            assert caught.value.body == b"half"
            assert_free(session, idle=0)
            await peer.wait_closed()

    @pytest.mark.parametrize(
        "reply",
        [
            [BAD + b"Content-Length: 99\r\n\r\n", b"half", CLOSE],
            pytest.param(
                [BAD + b"Transfer-Encoding: chunked\r\n\r\n", b"4\r\nhalf\r\n", b"zz\r\n"],
                marks=pytest.mark.http1_only("HTTP/2 has no chunks"),
            ),
        ],
    )
    async def test_a_body_that_breaks_does_not_hide_the_error(
        self, reply: list[Action], http1: str, script: Script
    ) -> None:
        """The status is the news; as much of the body as came is there."""
        peer = await script([(b"GET ", reply)])
        async with client(http1, raise_for_status=True) as session:
            with pytest.raises(ClientResponseError) as caught:
                await session.get(peer.url)
            assert caught.value.body == b"half"
            assert_free(session, idle=0)

    async def test_the_body_limit_holds(self, http1: str, script: Script) -> None:
        """``max_body_size`` is not exceeded for the sake of an error."""
        peer = await script([(b"GET ", [BAD + b"Content-Length: 99\r\n\r\n", b"x" * 99])])
        async with client(http1, raise_for_status=True, max_body_size=9) as session:
            with pytest.raises(ClientResponseError) as caught:
                await session.get(peer.url)
            assert caught.value.body is None

    async def test_cancelling_is_not_delayed_by_it(self, http1: str, script: Script) -> None:
        """At each point of it the slot is free and the socket closed afterwards."""
        reply = [BAD + b"Transfer-Encoding: chunked\r\n\r\n", chunked(b"w", b"hy")]
        peer = await script([(b"GET ", reply)], repeat=True, partial=True)
        async with client(http1, force_close=True, raise_for_status=True) as session:

            async def operation() -> None:
                with pytest.raises(ClientResponseError):
                    await session.get(peer.url)

            async def after() -> None:
                assert_free(session, idle=0)

            assert await cancel_at_every_checkpoint(operation, after=after) > 2

    @pytest.mark.parametrize("entered", [True, False])
    async def test_while_the_body_of_the_request_goes_out(
        self, entered: bool, http1: str, script: Script
    ) -> None:
        """A refusal that comes early is told with its reason, and ends the upload."""
        refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 9\r\n\r\n"
        peer = await script([(Head(b"POST "), [refusal, b"too large", DEAF])])

        async def body() -> AsyncIterator[bytes]:
            while True:
                yield bytes(100_000)

        session = client(http1, raise_for_status=True)
        try:
            if entered:
                await session.__aenter__()
            with anyio.fail_after(5), pytest.raises(ClientResponseError) as caught:
                await session.post(peer.url, data=body())
            assert caught.value.status == 413
            assert caught.value.body == b"too large"
            assert_free(session, idle=0)
        finally:
            if entered:
                await session.__aexit__(None, None, None)
            await session.close()

    async def test_a_judge_reads_for_itself(self, http1: str, script: Script) -> None:
        """An async callable gets the response with its body unread."""
        peer = await script([(b"GET ", [BAD + b"Content-Length: 3\r\n\r\n", b"why"])])

        async def judge(response: object) -> None:
            raise LookupError(await response.text())  # type: ignore[attr-defined]

        async with client(http1, raise_for_status=judge) as session:
            with pytest.raises(LookupError, match="why"):
                await session.get(peer.url)
            assert_free(session, idle=1)


class TestTheMethod:
    async def test_it_takes_what_is_there(self, http1: str, script: Script) -> None:
        """A plain call cannot wait; what came with the head stays to be read, too."""
        peer = await script([(b"GET ", BAD + b"Content-Length: 3\r\n\r\nwhy")])
        async with client(http1) as session, session.get(peer.url) as response:
            with pytest.raises(ClientResponseError) as caught:
                response.raise_for_status()
            assert caught.value.body == b"why"
            assert await response.read() == b"why"

    async def test_it_decodes_what_is_there(self, http1: str, script: Script) -> None:
        """Also in chunks and with a coding."""
        head = BAD + b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
        peer = await script([(b"GET ", head + chunked(gzip.compress(b"why")))])
        async with client(http1) as session, session.get(peer.url) as response:
            with pytest.raises(ClientResponseError) as caught:
                response.raise_for_status()
            assert caught.value.body == b"why"
            assert await response.text() == "why"

    async def test_it_decodes_no_more_than_the_beginning(self, http1: str, script: Script) -> None:
        """However much of the body is there."""
        body = bytes(400_000)
        small = gzip.compress(body)
        head = BAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(small)
        peer = await script([(b"GET ", head + small)])
        async with client(http1) as session, session.get(peer.url) as response:
            with pytest.raises(ClientResponseError) as caught:
                response.raise_for_status()
            assert caught.value.body == bytes(8192)
            assert response.content.total_bytes <= response.content.get_read_buffer_limits()[0]
            assert await response.read() == body

    async def test_a_coding_that_is_none_is_told_to_the_reader(
        self, http1: str, script: Script
    ) -> None:
        """The status is what is raised here."""
        head = BAD + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\n"
        peer = await script([(b"GET ", head + b"why")])
        async with client(http1) as session, session.get(peer.url) as response:
            with pytest.raises(ClientResponseError) as caught:
                response.raise_for_status()
            assert caught.value.body is None
            with pytest.raises(ClientPayloadError, match="gzip"):
                await response.read()

    async def test_none_if_nothing_is_there(self, http1: str, script: Script) -> None:
        """It is not the same as an empty body."""
        go_on = Flag()
        peer = await script([(b"GET ", [BAD + b"Content-Length: 3\r\n\r\n", Wait(go_on), b"why"])])
        async with client(http1) as session, session.get(peer.url) as response:
            with pytest.raises(ClientResponseError) as caught:
                response.raise_for_status()
            assert caught.value.body is None
            go_on.set()
            assert await response.read() == b"why"

    async def test_what_was_read_before(self, http1: str, script: Script) -> None:
        """The beginning of it, after ``read()``; not the middle, after a part was taken."""
        head = BAD + b"Content-Length: 16384\r\n\r\n"
        peer = await script([(b"GET ", [head, LONG])], [(b"GET ", [head, LONG])])
        async with client(http1, force_close=True) as session:
            async with session.get(peer.url) as response:
                await response.read()
                with pytest.raises(ClientResponseError) as caught:
                    response.raise_for_status()
                assert caught.value.body == LONG[:8192]
            async with session.get(peer.url) as response:
                await response.content.readexactly(5)
                with pytest.raises(ClientResponseError) as caught:
                    response.raise_for_status()
                assert caught.value.body is None

    async def test_outside_a_block_it_releases_first(self, http1: str, script: Script) -> None:
        """And a second call, after the release, has no body to tell of."""
        peer = await script([(b"GET ", [BAD + b"Content-Length: 3\r\n\r\nwhy"])])
        async with client(http1) as session:
            response = await session.get(peer.url)
            for body in (b"why", None):
                with pytest.raises(ClientResponseError) as caught:
                    response.raise_for_status()
                assert caught.value.body == body
            assert_free(session, idle=1)

    async def test_somebody_else_is_reading(self, http1: str, script: Script) -> None:
        """Their read goes on undisturbed."""
        go_on = Flag()
        peer = await script([(b"GET ", [BAD + b"Content-Length: 3\r\n\r\n", Wait(go_on), b"why"])])
        async with client(http1) as session, session.get(peer.url) as response:
            bodies: list[bytes] = []

            async def read() -> None:
                bodies.append(await response.read())

            async with anyio.create_task_group() as group:
                group.start_soon(read)
                await anyio.wait_all_tasks_blocked()
                with pytest.raises(ClientResponseError) as caught:
                    response.raise_for_status()
                assert caught.value.body is None
                await read_error_body(response, float("inf"))  # returns at once
                go_on.set()
            assert bodies == [b"why"]


async def test_the_text_of_the_error_is_as_before_and_it_can_be_pickled(script: Script) -> None:
    """The body may hold anything, so it is shown only to those who ask for it."""
    peer = await script([(b"GET ", [BAD + b"Content-Length: 6\r\n\r\nsecret"])])
    async with client("auto", raise_for_status=True) as session:
        with pytest.raises(ClientResponseError) as caught:
            await session.get(peer.url)
    error = caught.value
    assert str(error) == f"400, message='Bad Request', url='{peer.url}'"
    assert "secret" not in repr(error)
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert other.body == b"secret"
        assert str(other) == str(error)
