"""What the client makes of a response: framing, early ends, garbage, stalls, keep-alive, coding."""

from __future__ import annotations

import gzip
import importlib
import zlib
from collections.abc import Callable, Coroutine
from itertools import cycle
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import TaskGroup
from yarl import URL

from anyhttp import (
    ClientOSError,
    ClientPayloadError,
    ClientResponseError,
    ClientSession,
    ClientTimeout,
    ServerDisconnectedError,
    SocketTimeoutError,
    StreamReader,
)
from tests.support.cancel import How, cancel_at_every_checkpoint
from tests.support.client import assert_free, client, opened
from tests.support.peer import (
    CLOSE,
    RESET,
    STALL,
    Action,
    Flag,
    Peer,
    Script,
    SendUnasked,
    Tell,
    Wait,
)
from tests.support.responses import CHUNKS, EMPTY, OK_LINE as OK
from tests.support.waiting import until

TWO = OK + b"Content-Length: 2\r\n\r\nhi"


def length(body: bytes, *fields: bytes) -> bytes:
    """Return a response with a Content-Length."""
    lines = [OK[:-2], *fields, b"Content-Length: %d" % len(body)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


# -- framing ---------------------------------------------------------------------------


class TestFraming:
    @pytest.mark.parametrize(
        ("reply", "body"),
        [
            ([TWO], b"hi"),
            ([TWO[:9], TWO[9:-2], b"h", b"i"], b"hi"),
            ([EMPTY], b""),
            ([CHUNKS, b"2\r\nh", b"i\r\n", b"1\r\n!\r\n0\r", b"\n\r\n"], b"hi!"),
            ([CHUNKS + b"2;a=b\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n"], b"hi"),
            ([CHUNKS + b"0\r\n\r\n"], b""),
        ],
    )
    async def test_a_body_that_tells_its_end(
        self, reply: list[Action], body: bytes, http1: str, script: Script
    ) -> None:
        """RFC 9112 §6: the connection is used again, whatever pieces the body came in."""
        peer = await script([(b"GET /a ", reply), (b"GET /b ", EMPTY)])
        async with client(http1) as session:
            async with session.get(peer.url / "a") as response:
                assert response.status == 200
                assert await response.read() == body
                assert response.closed
            async with session.get(peer.url / "b") as response:
                assert await response.read() == b""

    async def test_a_body_until_the_end_of_the_connection(self, http1: str, script: Script) -> None:
        """RFC 9112 §6.3, rule 8."""
        peer = await script(
            [(b"GET /a ", [OK + b"\r\nhi", b" there", CLOSE])], [(b"GET /b ", EMPTY)]
        )
        async with client(http1) as session:
            async with session.get(peer.url / "a") as response:
                assert await response.content.readexactly(2) == b"hi"
                assert await response.read() == b" there"
            async with session.get(peer.url / "b") as response:
                assert await response.read() == b""

    @pytest.mark.http1_only("HTTP/2 tells the end of every body")
    async def test_read_until_eof_false_takes_such_a_body_for_none(
        self, http1: str, script: Script
    ) -> None:
        """The connection is closed at once: what follows on it has no end."""
        peer = await script([(b"GET ", [OK + b"\r\n", STALL])])
        async with client(http1) as session:
            async with session.get(peer.url, read_until_eof=False) as response:
                assert await response.read() == b""
                await peer.wait_closed()

    @pytest.mark.parametrize(
        ("method", "reply"),
        [
            ("HEAD", OK + b"Content-Length: 10\r\n\r\n"),
            ("HEAD", CHUNKS),
            ("HEAD", OK + b"\r\n"),
            ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
            ("DELETE", b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"),
            ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n"),
        ],
    )
    async def test_responses_without_body(
        self, method: str, reply: bytes, http1: str, script: Script
    ) -> None:
        """RFC 9112 §6.3, rule 1: nothing is waited for, and the connection goes on."""
        peer = await script([(method.encode(), reply), (b"GET ", EMPTY)])
        async with client(http1) as session:
            async with session.request(method, peer.url) as response:
                assert await response.read() == b""
                assert response.closed
            async with session.get(peer.url) as response:
                assert response.status == 200

    @pytest.mark.http1_only("what follows cannot be a next response")
    @pytest.mark.parametrize(
        "reply",
        [
            b"HTTP/1.1 204 No Content\r\nContent-Length: 10\r\n\r\n",
            b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"HTTP/1.1 103 Early\r\nContent-Length: 10\r\n\r\n" + EMPTY,
        ],
    )
    async def test_a_body_that_must_not_be_announced(
        self, reply: bytes, http1: str, script: Script
    ) -> None:
        """RFC 9112 §6.3: it is not read, and what the server sends for it is no next response."""
        peer = await script([(b"DELETE ", reply)], [(b"GET ", EMPTY)])
        async with client(http1) as session:
            async with session.delete(peer.url) as response:
                assert await response.read() == b""
            await peer.wait_closed()
            async with session.get(peer.url) as response:
                assert response.status == 200

    async def test_informational_responses_are_passed_over(
        self, http1: str, script: Script
    ) -> None:
        """RFC 9110 §15.2: a client parses them even if it does not expect any."""
        interim = b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\n"
        peer = await script(
            [(b"GET /a ", [*interim, TWO]), (b"GET /b ", b"".join((*interim, TWO)))]
        )
        async with client(http1) as session:
            for path in ("a", "b"):
                async with session.get(peer.url / path) as response:
                    assert (response.status, await response.read()) == (200, b"hi")
                    assert "Link" not in response.headers

    async def test_a_switch_of_protocols_must_be_asked_for(
        self, http1: str, script: Script
    ) -> None:
        """RFC 9110 §7.8."""
        peer = await script(
            [(b"GET ", b"HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")]
        )
        async with client(http1) as session:
            with pytest.raises(ClientResponseError) as caught:
                await session.get(peer.url)
            assert caught.value.status == 400

    @pytest.mark.http1_only("status line and names are not like that in HTTP/2")
    async def test_the_head_is_shown_as_it_came(self, http1: str, script: Script) -> None:
        """``raw_headers`` has order, case and bytes of the wire; ``headers`` has text."""
        head = b"HTTP/1.0 299 Sehr gr\xc3\xbcn\r\nx-ONE: 1\r\nX-Two:\t2 \r\nx-one: \xff\r\n"
        peer = await script([(b"GET ", head + b"Content-Length: 0\r\n\r\n")])
        async with client(http1) as session:
            async with session.get(peer.url) as response:
                assert (response.version, response.status) == ((1, 0), 299)
                assert response.reason == "Sehr grün"
                assert response.raw_headers == (
                    (b"x-ONE", b"1"),
                    (b"X-Two", b"2"),
                    (b"x-one", b"\xff"),
                    (b"Content-Length", b"0"),
                )
                assert response.headers.getall("X-One") == ["1", "\udcff"]

    @pytest.mark.http1_only("frames of DATA are no chunks")
    async def test_chunks_can_be_told_apart(self, http1: str, script: Script) -> None:
        """``iter_chunks`` gives the pieces and says which of them end a chunk."""
        go = Flag()
        peer = await script(
            [(b"GET ", [CHUNKS + b"5\r\nhel", Wait(go), b"lo\r\n1\r\n!\r\n0\r\n\r\n"])]
        )
        async with client(http1) as session:
            async with session.get(peer.url) as response:
                assert await response.content.readchunk() == (b"hel", False)
                go.set()
                rest = [chunk async for chunk in response.content.iter_chunks()]
                assert rest == [(b"lo", True), (b"!", True)]

    async def test_a_body_can_be_read_as_it_arrives(self, http1: str, script: Script) -> None:
        """Nothing is held back until more comes."""
        go = Flag()
        peer = await script([(b"GET ", [CHUNKS + b"1\r\na\r\n", Wait(go), b"0\r\n\r\n"])])
        async with client(http1) as session:
            async with session.get(peer.url) as response:
                assert await response.content.readany() == b"a"
                go.set()
                assert await response.content.readany() == b""


# -- ends that come too early ----------------------------------------------------------


class TestEarlyEnd:
    @pytest.mark.parametrize("end", [CLOSE, RESET])
    async def test_before_the_head(self, end: Action, http1: str, script: Script) -> None:
        """A POST is not sent again: nobody knows whether it was received."""
        peer = await script([(b"POST ", end)])
        async with client(http1) as session:
            with pytest.raises((ServerDisconnectedError, ClientOSError)) as caught:
                await session.post(peer.url)
            if end is CLOSE or http1 != "http2":  # else an acknowledgement may meet the reset first
                assert isinstance(
                    caught.value, ServerDisconnectedError if end is CLOSE else OSError
                )
            assert_free(session, idle=0)

    @pytest.mark.parametrize("start", [b"H", OK, TWO[:-4]])
    async def test_within_the_head(self, start: bytes, http1: str, script: Script) -> None:
        """Nothing of it is shown."""
        peer = await script([(b"GET ", [start, CLOSE])])
        async with client(http1) as session:
            with pytest.raises(ServerDisconnectedError):
                await session.get(peer.url)
            assert_free(session, idle=0)

    @pytest.mark.parametrize(
        ("head", "part"),
        [
            (OK + b"Content-Length: 6\r\n\r\n", b"hello"),
            (OK + b"Content-Length: 6\r\n\r\n", b""),
            (CHUNKS, b""),
            (CHUNKS, b"5\r\nhel"),
            (CHUNKS, b"5\r\nhello"),
            (CHUNKS, b"5\r\nhello\r\n"),
            (CHUNKS, b"5\r\nhello\r\n0\r\n"),
            (CHUNKS, b"5\r\nhello\r\n0\r\nX: y\r\n"),
        ],
    )
    @pytest.mark.parametrize("end", [CLOSE, RESET])
    async def test_within_a_body_that_tells_its_end(
        self, head: bytes, part: bytes, end: Action, http1: str, script: Script
    ) -> None:
        """RFC 9112 §8: an incomplete message is an error, in every framing that can tell."""
        reply = [head, part, end] if part else [head, end]
        peer = await script([(b"GET ", reply)])
        async with client(http1) as session:
            async with session.get(peer.url) as response:
                with pytest.raises(ClientPayloadError, match="payload is not completed"):
                    await response.read()
                assert response.closed
            assert_free(session, idle=0)

    async def test_what_came_before_can_be_read(self, http1: str, script: Script) -> None:
        """The error comes where the bytes are missing, not before."""
        peer = await script([(b"GET ", [OK + b"Content-Length: 6\r\n\r\nhello", CLOSE])])
        async with client(http1) as session:
            async with session.get(peer.url) as response:
                assert await response.content.readexactly(5) == b"hello"
                with pytest.raises(ClientPayloadError):
                    await response.content.read(1)

    async def test_a_reset_ends_a_body_without_length_badly(
        self, http1: str, script: Script
    ) -> None:
        """RFC 9112 §8: only an orderly end of the connection ends such a body."""
        go = Flag()
        peer = await script([(b"GET ", [OK + b"\r\nhi", Wait(go), RESET])])
        async with client(http1) as session:
            async with session.get(peer.url) as response:
                assert await response.content.read(2) == b"hi"
                go.set()
                with pytest.raises(ClientPayloadError):
                    await response.read()


# -- garbage ---------------------------------------------------------------------------


class TestGarbage:
    @pytest.mark.http1_only("bytes of HTTP/1.1")
    @pytest.mark.parametrize(
        "reply",
        [
            b"SSH-2.0-OpenSSH_9.2\r\n",
            b"\x15\x03\x01\x00\x02\x02\x50",
            b"HTTP/2.0 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\rContent-Length: 0\r\r",
            OK + b"X : y\r\n\r\n",
            OK + b"X: \x00\r\n\r\n",
            OK + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
            OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\ngarbage",
        ],
    )
    async def test_a_malformed_head(self, reply: bytes, http1: str, script: Script) -> None:
        """Status 400 and what was wrong, at once and not at a timeout; the connection is closed."""
        peer = await script([(b"GET ", [reply, STALL])])
        async with client(http1) as session:
            with pytest.raises(ClientResponseError) as caught:
                await session.get(peer.url, headers={"X": "y"})
            assert caught.value.status == 400
            assert caught.value.message
            assert caught.value.request_info.headers["X"] == "y"
            await peer.wait_closed()
            assert_free(session, idle=0)

    @pytest.mark.http1_only("bytes of HTTP/1.1")
    @pytest.mark.parametrize(
        "body", [b"g\r\n", b"-2\r\nhi", b"2\r\nhixx", b"2\n", b"0\r\nX : y\r\n", b"2 2\r\n"]
    )
    @pytest.mark.parametrize("together", [False, True])
    async def test_malformed_chunks(
        self, body: bytes, together: bool, http1: str, script: Script
    ) -> None:
        """The head was fine and is there; it is reading the body that fails.

        Whether the bad bytes come in the same packet as the head must not matter.
        """
        reply: list[Action] = [CHUNKS + body, STALL] if together else [CHUNKS, body, STALL]
        peer = await script([(b"GET ", reply)])
        async with client(http1) as session:
            async with session.get(peer.url) as response:
                with pytest.raises(ClientPayloadError):
                    await response.read()
                await peer.wait_closed()

    @pytest.mark.http1_only("bytes of HTTP/1.1")
    async def test_chunks_before_the_malformed_one_can_be_read(
        self, http1: str, script: Script
    ) -> None:
        """They were received."""
        peer = await script([(b"GET ", [CHUNKS, b"2\r\nhi\r\n", b"no\r\n", STALL])])
        async with client(http1) as session:
            async with session.get(peer.url) as response:
                assert await response.content.readexactly(2) == b"hi"
                with pytest.raises(ClientPayloadError):
                    await response.content.readany()


# -- stalls ----------------------------------------------------------------------------

SHORT = 0.05  # seconds


Read = Callable[[StreamReader], Coroutine[Any, Any, object]]
READS: dict[str, Read] = {
    "read": lambda content: content.read(),
    "read(n)": lambda content: content.read(5),
    "readany": lambda content: content.readany(),
    "readexactly": lambda content: content.readexactly(7),
    "readline": lambda content: content.readline(),
    "readuntil": lambda content: content.readuntil(b"--"),
    "readchunk": lambda content: content.readchunk(),
    "wait_eof": lambda content: content.wait_eof(),
}


#: The time of a request that is let pass: enough for a response on a slow machine.
TOTAL = 0.4


async def fetch(session: ClientSession, url: URL) -> bytes:
    """Return the body of a response."""
    async with session.get(url) as response:
        return await response.read()


class TestStall:
    @pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200", b"HTTP/1.1 100 Continue\r\n\r\n"])
    async def test_sock_read_before_the_head(
        self, start: bytes, http1: str, script: Script
    ) -> None:
        """§2.9 of the reference: the gap between two pieces."""
        peer = await script([(b"GET ", [start, STALL] if start else STALL)])
        async with client(http1, timeout=ClientTimeout(sock_read=SHORT)) as session:
            with pytest.raises(SocketTimeoutError, match="Timeout on reading data from socket"):
                await session.get(peer.url)
            await peer.wait_closed()
            assert_free(session, idle=0)

    @pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200", b"HTTP/1.1 100 Continue\r\n\r\n"])
    async def test_total_before_the_head(self, start: bytes, http1: str, script: Script) -> None:
        """The builtin ``TimeoutError``, and no other; it says what was being waited for."""
        peer = await script([(b"GET ", [start, STALL] if start else STALL)])
        async with client(http1, timeout=ClientTimeout(total=4 * SHORT)) as session:
            with pytest.raises(TimeoutError, match="waiting for the response") as caught:
                await session.get(peer.url)
            assert type(caught.value) is TimeoutError
            await peer.wait_closed()
            assert_free(session, idle=0)

    @pytest.mark.parametrize(
        "start",
        [
            OK + b"Content-Length: 3\r\n\r\nhi",
            CHUNKS + b"2\r\nhi\r\n",
            OK + b"\r\nhi",
            OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"hi", mtime=0)[:5],
        ],
    )
    @pytest.mark.parametrize("kind", ["sock_read", "total"])
    async def test_within_the_body(
        self, start: bytes, kind: str, http1: str, script: Script
    ) -> None:
        """Both limits hold while the body is read, by their own exceptions."""
        peer = await script([(b"GET ", [start, STALL])])
        async with client(http1, timeout=ClientTimeout(**{kind: 0.2})) as session:
            with pytest.raises(TimeoutError) as caught:
                await fetch(session, peer.url)
            assert isinstance(caught.value, SocketTimeoutError) is (kind == "sock_read")
            await peer.wait_closed()
            assert_free(session, idle=0)

    async def test_each_piece_starts_sock_read_anew(self, http1: str, script: Script) -> None:
        """A slow peer is not a dead one."""
        flags = [Flag() for _ in range(4)]
        actions: list[Action] = [CHUNKS]
        for flag in flags:
            actions += [Wait(flag), b"1\r\na\r\n"]
        peer = await script([(b"GET ", [*actions, b"0\r\n\r\n"])])
        async with client(http1, timeout=ClientTimeout(sock_read=0.6)) as session:
            async with session.get(peer.url) as response:
                for flag in flags:
                    await anyio.sleep(0.2)
                    flag.set()
                    assert await response.content.readany() == b"a"
                assert await response.read() == b""

    async def test_total_is_not_extended_by_a_peer_that_drips(
        self, http1: str, script: Script
    ) -> None:
        """A slow peer cannot outlast ``total`` (slowloris on clients)."""
        drops: list[Action] = [b"%d" % (number % 10) for number in range(200)]
        flag = Flag()
        peer = await script([(b"GET ", [OK + b"\r\n", *drops, Wait(flag), STALL])], partial=True)
        async with client(http1, timeout=ClientTimeout(total=0.3)) as session:
            with pytest.raises(TimeoutError):
                await fetch(session, peer.url)
        flag.set()

    @pytest.mark.parametrize("entered", [True, False], ids=["entered", "not-entered"])
    @pytest.mark.parametrize("coding", ["identity", "gzip"])
    async def test_total_ends_reads_of_what_has_arrived(
        self, coding: str, entered: bool, http1: str, script: Script
    ) -> None:
        """Else they could go on for ever, byte by byte; the connection is closed."""
        body = b"ab--\n" * 100
        body = body if coding == "identity" else gzip.compress(body)
        fields = b"Content-Encoding: %b\r\nContent-Length: 1000\r\n\r\n" % coding.encode()
        peer = await script([(b"GET ", [OK + fields + body, STALL])])
        session = client(http1, timeout=ClientTimeout(total=TOTAL))
        async with opened(session, entered=entered), session.get(peer.url) as response:
            deadline = anyio.current_time() + TOTAL
            content = response.content
            assert await content.read(1) == b"a"
            await anyio.sleep_until(deadline)
            for read in READS.values():
                with pytest.raises(TimeoutError, match="total"):
                    await read(content)
            with pytest.raises(TimeoutError, match="total"):
                content.read_nowait()
            with pytest.raises(TimeoutError, match="total"):
                await response.read()
            assert response.closed

    async def test_total_frees_a_connection_that_nobody_reads(
        self, http1: str, script: Script
    ) -> None:
        """Its body cannot be read any more."""
        peer = await script([(b"GET ", [OK + b"Content-Length: 3\r\n\r\nhi", STALL])])
        async with client(http1, timeout=ClientTimeout(total=TOTAL)) as session:
            response = await session.get(peer.url)
            await until(lambda: response.closed, "the connection to be closed")
            assert_free(session, idle=0)

    @pytest.mark.parametrize("entered", [True, False], ids=["entered", "not-entered"])
    async def test_a_whole_body_can_be_read_after_total(
        self, entered: bool, http1: str, script: Script
    ) -> None:
        """The time is that of the request, which is over when the body has arrived."""
        peer = await script([(b"GET ", [OK + b"Content-Length: 4\r\n\r\nab", b"cd"])])
        session = client(http1, timeout=ClientTimeout(total=TOTAL))
        async with opened(session, entered=entered), session.get(peer.url) as response:
            deadline = anyio.current_time() + TOTAL
            await response.content.wait_eof()
            await anyio.sleep_until(deadline)
            assert await response.content.read(1) == b"a"
            assert await response.read() == b"bcd"


# -- the connection afterwards ---------------------------------------------------------


async def ask_twice(peer: Peer, http1: str, **options: Any) -> None:
    """Make two requests, one after the other, each of which must succeed."""
    async with client(http1, **options) as session:
        for path in ("a", "b"):
            async with session.get(peer.url / path) as response:
                assert response.status == 200
                await response.read()


class TestKeepAlive:
    @pytest.mark.parametrize(
        "head",
        [
            OK,
            OK + b"Connection: keep-alive\r\n",
            OK + b"Connection: Keep-Alive, x\r\n",
            b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n",
            b"HTTP/1.0 200 OK\r\nConnection: x, Keep-Alive\r\n",
        ],
    )
    async def test_reused(self, head: bytes, http1: str, script: Script) -> None:
        """RFC 9112 §9.3: persistent by default in 1.1, by agreement in 1.0."""
        reply = head + b"Content-Length: 2\r\n\r\nhi"
        await ask_twice(await script([(b"GET /a ", reply), (b"GET /b ", EMPTY)]), http1)

    @pytest.mark.http1_only("HTTP/2 has no field Connection")
    @pytest.mark.parametrize(
        "reply",
        [
            OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nhi",
            OK + b"Connection: x, Close\r\nContent-Length: 2\r\n\r\nhi",
            OK + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
            CHUNKS.replace(b"1.1", b"1.0") + b"0\r\n\r\n",
            b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" + CHUNKS[17:] + b"0\r\n\r\n",
        ],
    )
    async def test_not_reused(self, reply: bytes, http1: str, script: Script) -> None:
        """After ``Connection: close`` nothing more is sent on it (RFC 9112 §9.6)."""
        await ask_twice(await script([(b"GET /a ", reply)], [(b"GET /b ", EMPTY)]), http1)

    @pytest.mark.http1_only("streams have no such bytes")
    @pytest.mark.parametrize(
        "reply",
        [
            EMPTY + b"x",
            TWO + b"\r\n",
            TWO + OK + b"Content-Length: 4\r\n\r\nevil",
            CHUNKS + b"0\r\n\r\n" + TWO,
            b"HTTP/1.1 204 No Content\r\n\r\n" + TWO,
        ],
    )
    async def test_bytes_after_the_response_end_the_connection(
        self, reply: bytes, http1: str, script: Script
    ) -> None:
        """Response smuggling: they never become the answer to the next request."""
        peer = await script([(b"GET /a ", reply)], [(b"GET /b ", EMPTY)])
        async with client(http1) as session:
            async with session.get(peer.url / "a") as response:
                await response.read()
            assert_free(session, idle=0)
            async with session.get(peer.url / "b") as response:
                assert (response.status, await response.read()) == (200, b"")

    @pytest.mark.http1_only("bytes of HTTP/1.1")
    @pytest.mark.parametrize("news", [SendUnasked(TWO), SendUnasked(b"x"), CLOSE, RESET])
    async def test_news_on_an_idle_connection_end_it(
        self, news: Action, http1: str, script: Script
    ) -> None:
        """The same for bytes that nobody asked for, and of course for its end."""
        go, done = Flag(), Flag()
        last = [news, Tell(done)] if isinstance(news, SendUnasked) else [Tell(done), news]
        peer = await script([(b"POST /a ", [TWO, Wait(go), *last])], [(b"POST /b ", EMPTY)])
        async with client(http1) as session:
            async with session.post(peer.url / "a") as response:
                await response.read()
            assert_free(session, idle=1)
            go.set()
            await done.until_set()
            await peer.settled()
            async with session.post(peer.url / "b") as response:
                assert (response.status, await response.read()) == (200, b"")

    async def test_a_body_that_was_not_read_ends_the_connection(
        self, http1: str, script: Script
    ) -> None:
        """Its rest would be in the way of the next response."""
        peer = await script(
            [(b"GET /a ", [OK + b"Content-Length: 3\r\n\r\nhi", STALL])], [(b"GET /b ", EMPTY)]
        )
        async with client(http1) as session:
            async with session.get(peer.url / "a"):
                pass
            await peer.wait_closed()
            async with session.get(peer.url / "b") as response:
                assert response.status == 200

    async def test_release_keeps_a_connection_whose_body_has_arrived(
        self, http1: str, script: Script
    ) -> None:
        """Reading is not needed for that; ``close`` closes in any case."""
        peer = await script([(b"GET /a ", TWO), (b"GET /b ", EMPTY)])
        async with client(http1) as session:
            async with session.get(peer.url / "a"):
                pass
            async with session.get(peer.url / "b"):
                pass

    @pytest.mark.http1_only("HTTP/2 has no field Connection")
    async def test_force_close(self, http1: str, script: Script) -> None:
        """The request says so, and no connection is kept."""
        peer = await script([(b"GET /a ", TWO)], [(b"GET /b ", TWO)])
        await ask_twice(peer, http1, force_close=True)
        assert all(b"\r\nConnection: close\r\n" in request for request in peer.requests)


# -- content codings -------------------------------------------------------------------


def raw_deflate(data: bytes) -> bytes:
    """Encode without the header that "deflate" is meant to have."""
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()


def br(data: bytes) -> bytes:
    """Encode, or skip the test."""
    return bytes(pytest.importorskip("brotli").compress(data))


def zstd(data: bytes) -> bytes:
    """Encode, or skip the test."""
    try:
        module = importlib.import_module("compression.zstd")
    except ImportError:
        module = pytest.importorskip("backports.zstd")
    return bytes(module.compress(data))


TEXT = b"All work and no play makes Jack a dull boy. " * 100
CODINGS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("gzip", gzip.compress),
    ("x-gzip", gzip.compress),
    ("GZip", gzip.compress),
    ("deflate", zlib.compress),
    ("deflate", raw_deflate),
    ("br", br),
    ("zstd", zstd),
]
coding_ids = ["gzip", "x-gzip", "GZip", "deflate-zlib", "deflate-raw", "br", "zstd"]
each_coding = pytest.mark.parametrize(("coding", "encode"), CODINGS, ids=coding_ids)


def encoded(coding: str, body: bytes) -> bytes:
    """Return a response whose body is labelled as *coding*."""
    return length(body, b"Content-Encoding: " + coding.encode())


async def read_on(content: StreamReader, read: Read) -> None:
    """Read until the end, which does not come."""
    while True:
        await read(content)


READS_ON: dict[str, Read] = {
    "read": lambda content: content.read(),
    "readexactly": lambda content: content.readexactly(2**34),
    "readany": lambda content: read_on(content, READS["readany"]),
    "readchunk": lambda content: read_on(content, READS["readchunk"]),
    "read(1)": lambda content: read_on(content, lambda content: content.read(1)),
}

# 20 GB: as many members of a megabyte as fit into 20 MB
BOMB = gzip.compress(gzip.compress(bytes(2**20), mtime=0) * 20_000, 1)


class Beats:
    """Counts how often another task runs."""

    def __init__(self, group: TaskGroup) -> None:
        self.number = 0
        group.start_soon(self._run)

    async def _run(self) -> None:
        while True:
            self.number += 1
            await anyio.lowlevel.checkpoint()


class TestDecoding:
    @each_coding
    async def test_bodies_are_decoded(
        self, coding: str, encode: Callable[[bytes], bytes], http1: str, script: Script
    ) -> None:
        """RFC 9110 §8.4: in whatever pieces the bytes come; the connection goes on."""
        whole = encoded(coding, encode(TEXT))
        peer = await script(
            [(b"GET /a ", whole), (b"GET /b ", [whole[:-30], whole[-30:-1], whole[-1:]])]
        )
        async with client(http1) as session:
            for path in ("a", "b"):
                async with session.get(peer.url / path) as response:
                    assert await response.read() == TEXT
                    assert response.content.total_bytes == len(TEXT)
                    assert response.content.total_raw_bytes == len(encode(TEXT))
                    assert response.headers["Content-Encoding"] == coding

    @each_coding
    async def test_truncated(
        self, coding: str, encode: Callable[[bytes], bytes], http1: str, script: Script
    ) -> None:
        """HTTP's framing is complete, the coding's is not."""
        peer = await script([(b"GET ", encoded(coding, encode(TEXT)[:-3]))])
        async with client(http1) as session:
            async with session.get(peer.url) as response:
                with pytest.raises(ClientPayloadError, match="Can not decode content-encoding"):
                    await response.read()

    @each_coding
    async def test_garbage(
        self, coding: str, encode: Callable[[bytes], bytes], http1: str, script: Script
    ) -> None:
        """Bytes that are not what they are called."""
        encode(b"")  # skips what is not installed
        peer = await script([(b"GET ", encoded(coding, b"\xff" * 100))])
        async with client(http1) as session:
            async with session.get(peer.url) as response:
                with pytest.raises(ClientPayloadError, match="Can not decode content-encoding"):
                    await response.read()

    @each_coding
    async def test_garbage_after_the_end(
        self, coding: str, encode: Callable[[bytes], bytes], http1: str, script: Script
    ) -> None:
        """It is ignored, as browsers do.  Brotli's module cannot tell it from broken data."""
        peer = await script([(b"GET ", encoded(coding, encode(TEXT) + b"garbage"))])
        async with client(http1) as session:
            async with session.get(peer.url) as response:
                if coding == "br":
                    with pytest.raises(ClientPayloadError, match="Can not decode content-enc"):
                        await response.read()
                else:
                    assert await response.read() == TEXT

    @pytest.mark.http1_only("it ends no other stream in HTTP/2")
    @pytest.mark.parametrize("body", [b"\xff" * 100, gzip.compress(TEXT)[:-1]], ids=["bad", "cut"])
    @pytest.mark.parametrize("framed", ["length", "chunked"])
    async def test_a_body_that_cannot_be_decoded_ends_the_connection(
        self, body: bytes, framed: str, http1: str, script: Script
    ) -> None:
        """Perhaps it was framed wrongly, and its rest would become the next response."""
        reply = encoded("gzip", body)
        if framed == "chunked":
            chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
            reply = CHUNKS[:-2] + b"Content-Encoding: gzip\r\n\r\n" + chunks
        peer = await script([(b"GET /a ", reply)], [(b"GET /b ", EMPTY)])
        async with client(http1) as session:
            async with session.get(peer.url / "a") as response:
                with pytest.raises(ClientPayloadError, match="Can not decode content-encoding"):
                    await response.read()
            assert_free(session, idle=0)
            async with session.get(peer.url / "b") as response:
                assert response.status == 200

    @pytest.mark.parametrize("read", READS.values(), ids=READS.keys())
    async def test_every_read_gives_way(self, read: Read, http1: str, script: Script) -> None:
        """Also one that only has to decode what came with the head."""
        peer = await script([(b"GET ", encoded("gzip", gzip.compress(b"ab--\n" * 10)))])
        async with client(http1) as session:
            async with session.get(peer.url) as response:
                with anyio.CancelScope() as scope:
                    scope.cancel()
                    await read(response.content)
                assert scope.cancelled_caught
                await read(response.content)

    @pytest.mark.parametrize("how", ["scope", "native"])
    async def test_cancelled_at_every_checkpoint(
        self, how: How, http1: str, script: Script
    ) -> None:
        """Also between the steps of decoding: afterwards nothing is held."""
        body = zlib.compress(gzip.compress(TEXT * 50))
        reply = encoded("gzip, deflate", body)
        peer = await script([(b"GET ", [reply[:-20], reply[-20:]])] * 2, repeat=True, partial=True)
        async with client(http1) as session:

            async def ask() -> None:
                async with session.get(peer.url) as response:
                    assert await response.read() == TEXT * 50

            async def free() -> None:
                assert_free(session)

            assert await cancel_at_every_checkpoint(ask, after=free, how=how) > 3

    @pytest.mark.parametrize(
        ("read", "entered"),
        # Each test takes half a second of work, so a way to read is tried in one kind of session.
        [*zip(READS_ON.values(), cycle([True, False]))],
        ids=READS_ON.keys(),
    )
    async def test_total_ends_a_body_that_is_being_decoded(
        self, read: Read, entered: bool, http1: str, script: Script
    ) -> None:
        """Some kilobytes decode to gigabytes; other tasks run meanwhile."""
        peer = await script([(b"GET ", encoded("gzip, gzip", BOMB))], partial=True)
        session = client(http1, timeout=ClientTimeout(total=0.5))
        async with opened(session, entered=entered), anyio.create_task_group() as group:
            async with session.get(peer.url) as response:
                beats = Beats(group)  # not before: it would take time from the peer's thread
                with pytest.raises(TimeoutError, match="total"):
                    await read(response.content)
            assert beats.number >= 10
            group.cancel_scope.cancel()

    @pytest.mark.parametrize("option", [True, False])
    async def test_an_error_body_that_decodes_to_nothing(
        self, option: bool, http1: str, script: Script
    ) -> None:
        """What the server says about an error cannot be read, but the error is raised at once."""
        nothing = gzip.compress(gzip.compress(gzip.compress(b"", mtime=0) * 100_000))
        reply = encoded("gzip, gzip, gzip", nothing).replace(b"200 OK", b"404 Gone")
        peer = await script([(b"GET ", reply)])
        async with client(http1, raise_for_status=option) as session:
            with pytest.raises(ClientResponseError, match="404") as caught:
                async with session.get(peer.url) as response:
                    response.raise_for_status()
            assert not caught.value.body
            assert_free(session)

    @pytest.mark.parametrize(
        ("coding", "encode"), [("gzip", gzip.compress), ("zstd", zstd)], ids=["gzip", "zstd"]
    )
    async def test_several_members(
        self, coding: str, encode: Callable[[bytes], bytes], http1: str, script: Script
    ) -> None:
        """RFC 1952 §2.2 and RFC 8878 §3.1: their contents are joined."""
        body = encode(b"one ") + encode(b"") + encode(b"two")
        head = encoded(coding, body)[: -len(body)]
        pieces = [bytes([byte]) for byte in body]
        peer = await script([(b"GET /a ", head + body), (b"GET /b ", [head, *pieces])])
        async with client(http1) as session:
            for path in ("a", "b"):
                async with session.get(peer.url / path) as response:
                    assert await response.read() == b"one two"

    async def test_stacked_codings(self, http1: str, script: Script) -> None:
        """RFC 9110 §8.4: they are undone in reverse, one field or several."""
        body = zlib.compress(gzip.compress(TEXT))
        fields = b"Content-Encoding: gzip", b"Content-Encoding: deflate"
        peer = await script(
            [
                (b"GET /a ", encoded("gzip, identity, deflate", body)),
                (b"GET /b ", length(body, *fields)),
            ]
        )
        async with client(http1) as session:
            for path in ("a", "b"):
                async with session.get(peer.url / path) as response:
                    assert await response.read() == TEXT

    @pytest.mark.parametrize("layers", [5, 6])
    async def test_more_than_five_codings_are_refused(
        self, layers: int, http1: str, script: Script
    ) -> None:
        """CVE-2025-66418: each layer can multiply the size."""
        body = b"hi"
        for _ in range(layers):
            body = gzip.compress(body)
        peer = await script([(b"GET ", encoded(", ".join(["gzip"] * layers), body))])
        async with client(http1) as session:
            async with session.get(peer.url) as response:
                if layers == 5:
                    assert await response.read() == b"hi"
                else:
                    with pytest.raises(ClientPayloadError, match="5"):
                        await response.read()

    async def test_unknown_codings_are_left_alone(self, http1: str, script: Script) -> None:
        """The caller may know them."""
        peer = await script(
            [(b"GET ", encoded("gzip, rot13", b"hi")), (b"GET ", encoded("identity", b"hi"))]
        )
        async with client(http1) as session:
            for _ in range(2):
                async with session.get(peer.url) as response:
                    assert await response.read() == b"hi"

    async def test_decoding_can_be_switched_off(self, http1: str, script: Script) -> None:
        """Per session or per request."""
        body = gzip.compress(TEXT)
        peer = await script([(b"GET ", encoded("gzip", body)), (b"GET ", encoded("gzip", body))])
        async with client(http1, auto_decompress=False) as session:
            async with session.get(peer.url) as response:
                assert await response.read() == body
            async with session.get(peer.url, auto_decompress=True) as response:
                assert await response.read() == TEXT

    async def test_an_empty_body_is_no_stream_of_any_coding(
        self, http1: str, script: Script
    ) -> None:
        """Servers label those too; there is nothing to decode."""
        head = b"Content-Encoding: gzip\r\n"
        peer = await script(
            [
                (b"GET /a ", encoded("gzip", b"")),
                (b"GET /b ", OK + head + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
                (b"HEAD /c ", OK + head + b"Content-Length: 100\r\n\r\n"),
            ]
        )
        async with client(http1) as session:
            for method, path in (("GET", "a"), ("GET", "b"), ("HEAD", "c")):
                async with session.request(method, peer.url / path) as response:
                    assert await response.read() == b""

    async def test_a_coded_body_until_the_end_of_the_connection(
        self, http1: str, script: Script
    ) -> None:
        """The end of the coding and that of the connection are both needed."""
        head = OK + b"Content-Encoding: gzip\r\n\r\n"
        peer = await script(
            [(b"GET /a ", [head + gzip.compress(TEXT), CLOSE])],
            [(b"GET /b ", [head + gzip.compress(TEXT)[:-9], CLOSE])],
        )
        async with client(http1) as session:
            async with session.get(peer.url / "a") as response:
                assert await response.read() == TEXT
            async with session.get(peer.url / "b") as response:
                with pytest.raises(ClientPayloadError):
                    await response.read()
