"""One call from its start to its end: deadlines, redirects, and what is cleaned up when."""

from __future__ import annotations

import socket
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import anyio
import anyio.lowlevel
import pytest

import anyhttp
from anyhttp import (
    ClientConnectionError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    StreamReader,
    TCPConnector,
)
from anyhttp.abc import AbstractResolver, ResolveResult
from tests.support.canned import Canned, CannedConnector
from tests.support.census import assert_no_tokens
from tests.support.client import assert_free, client, opened
from tests.support.peer import STALL, Flag, Script, Step, Tell, Wait
from tests.support.responses import OK
from tests.support.server import Server
from tests.support.waiting import DEADLINE, until

pytestmark = pytest.mark.uvloop

SHORT = 0.05


async def waiting(connector: TCPConnector, count: int) -> None:
    """Wait until that many requests queue for a slot."""
    await until(lambda: connector.statistics().waiting >= count, f"{count} requests to queue")


class TestDeadlines:
    async def test_total_holds_in_a_shielded_request(self, script: Script) -> None:
        """It does not matter that the scope around the session has been cancelled."""
        peer = await script([(b"GET / ", STALL)])
        with anyio.CancelScope() as outer:
            async with ClientSession() as session:
                outer.cancel()
                with anyio.CancelScope(shield=True):
                    await anyio.wait_all_tasks_blocked()  # what the cancellation ends has ended
                    with pytest.raises(TimeoutError, match="total timeout"):
                        with anyio.fail_after(5):
                            await session.get(peer.url, timeout=4 * SHORT)
                    assert_free(session)

    async def test_a_deadline_that_passed_with_the_response_is_forgotten(
        self, script: Script, entered: bool
    ) -> None:
        """When both are there at once the request may end either way, but the next one on
        the connection begins without a deadline of the past.
        """
        asked, answer = Flag(), Flag()
        exchange: Step = (b"GET ", [Tell(asked), Wait(answer), OK])
        peer = await script([exchange] * 20, repeat=True, partial=True)

        async def ask() -> None:
            try:
                async with session.get(peer.url, timeout=SHORT) as response:
                    await response.read()
            except TimeoutError:
                pass

        async with opened(ClientSession(), entered=entered) as session:
            for _ in range(4):
                asked.clear()
                answer.clear()
                async with anyio.create_task_group() as group:
                    group.start_soon(ask)
                    await asked.until_set()
                    answer.set()
                    time.sleep(2 * SHORT)  # noqa: ASYNC251 (the event loop sees both late)
                async with session.get(peer.url, timeout=5) as response:
                    assert await response.read() == b"ok"

    async def test_sock_read_leaves_a_slow_reader_his_time(
        self, server: Server, entered: bool
    ) -> None:
        """It limits how long the peer is waited for, and nobody waits while nobody reads."""
        session = ClientSession(server.url, timeout=ClientTimeout(sock_read=4 * SHORT))
        async with opened(session, entered=entered):
            async with session.get("/bytes/200000") as response:
                await anyio.sleep(6 * SHORT)
                first = await response.content.readany()
                await anyio.sleep(6 * SHORT)
                assert len(first + await response.read()) == 200_000

    async def test_total_covers_the_callable_that_judges_the_status(
        self, server: Server, entered: bool
    ) -> None:
        """An ``async`` *raise_for_status* is part of the call."""

        async def judge(response: ClientResponse) -> None:
            await anyio.sleep_forever()

        async with opened(ClientSession(server.url), entered=entered) as session:
            with pytest.raises(TimeoutError, match="total timeout"):
                await session.get("/json", timeout=SHORT, raise_for_status=judge)


class TestLeaving:
    @pytest.mark.parametrize("how", ["block", "close", "detach"])
    async def test_a_session_takes_its_requests_along(self, script: Script, how: str) -> None:
        """Those of other tasks end when the session does, and the connector that it shared or
        let go of has all its slots.
        """
        asked = Flag()
        peer = await script([(b"GET / ", [Tell(asked), STALL])])

        async def ask() -> None:
            with pytest.raises(ClientConnectionError):
                await session.get(peer.url)

        async with TCPConnector() as connector, AsyncExitStack() as stack:
            group = await stack.enter_async_context(anyio.create_task_group())
            with anyio.fail_after(5):
                session = ClientSession(connector=connector, connector_owner=how == "detach")
                if how == "close":
                    group.start_soon(ask)
                    await asked.until_set()
                    await peer.settled()
                    await session.close()
                else:
                    async with session:
                        group.start_soon(ask)
                        await asked.until_set()
                        await peer.settled()
                        if how == "detach":
                            session.detach()
                assert_no_tokens(connector)
                assert not connector.closed
                await peer.wait_closed()

    @pytest.mark.parametrize("streamed", [False, True])
    async def test_a_request_that_queues_learns_that_its_session_was_left(
        self, server: Server, streamed: bool
    ) -> None:
        """It gets a :exc:`ClientConnectionError`, its body is not begun, the slot is free."""
        begun = False

        async def body() -> AsyncIterator[bytes]:
            nonlocal begun
            begun = True
            yield b"x"

        async def post() -> None:
            with pytest.raises(ClientConnectionError):
                await session.post(server.url / "upload", data=body() if streamed else b"x")

        async with TCPConnector(limit=1) as connector:
            async with ClientSession(connector=connector, connector_owner=False) as holder:
                held = await holder.get(server.url / "bytes/3000000")
                with anyio.fail_after(5):
                    async with anyio.create_task_group() as group:
                        async with ClientSession(
                            connector=connector, connector_owner=False
                        ) as session:
                            group.start_soon(post)
                            await waiting(connector, 1)
                        held.close()
                assert_no_tokens(connector)
                async with holder.get(server.url / "json") as response:
                    await response.read()
        assert not begun
        assert "POST /upload" not in server.requests

    async def test_two_tasks_may_close_a_connector_at_once(self, script: Script) -> None:
        """Both return when it is closed, also while a connection is being made."""
        peer = await script([STALL])
        connector = TCPConnector(ssl=False)

        async def ask() -> None:
            with pytest.raises(ClientConnectionError):
                await session.get(peer.url.with_scheme("https"))

        async with ClientSession(connector=connector) as session:
            with anyio.fail_after(5):
                async with anyio.create_task_group() as group:
                    group.start_soon(ask)
                    await peer.wait_connections(1)
                    await peer.settled()
                    group.start_soon(connector.close)
                    group.start_soon(connector.close)
            assert_no_tokens(connector, idle=0)

    async def test_closing_a_response_wakes_its_reader(self, script: Script, http1: str) -> None:
        """A task that reads it is told, whatever had arrived by then and however far it was."""
        more, sent = Flag(), Flag()
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n"
        steps: Step = (b"GET ", [head, Wait(more), b"1\r\nb\r\n", Tell(sent), STALL])
        peer = await script([steps], repeat=True)

        async def read(response: ClientResponse) -> None:
            with pytest.raises(ClientConnectionError):
                await response.read()

        for rounds in range(4):
            more.clear()
            sent.clear()
            async with client(http1) as session:
                response = await session.get(peer.url)
                with anyio.fail_after(5):
                    async with anyio.create_task_group() as group:
                        group.start_soon(read, response)
                        await peer.settled()
                        await anyio.wait_all_tasks_blocked()
                        more.set()
                        assert sent.wait(DEADLINE)  # and the event loop has not looked
                        for _ in range(rounds):
                            await anyio.lowlevel.checkpoint()
                        response.close()
                assert_free(session)

    @pytest.mark.parametrize("what", ["response", "session"])
    async def test_bytes_that_come_when_the_response_has_just_been_closed(self, what: str) -> None:
        """The reader is told that it is closed, and does not get them, even if they are all."""
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha"
        stream = ClosingStream(head, b"lf")
        async with ClientSession(connector=CannedConnector(lambda: stream)) as session:
            response = await session.get("http://host.test/")
            stream.closes = response.wait_for_close if what == "response" else session.close
            with pytest.raises(ClientConnectionError, match="Connection closed"):
                await response.read()
            assert response.content.total_bytes == 2
            assert_free(session)

    @pytest.mark.parametrize(("target", "status"), [("/anything", 200), ("/status/404", 404)])
    async def test_a_redirect_without_the_body_of_the_request(
        self, server: Server, entered: bool, target: str, status: int
    ) -> None:
        """A streamed body is sent once, and the last response needs none to be ended, whatever
        its status says of bodies.
        """

        async def body() -> AsyncIterator[bytes]:
            yield b"x"
            await anyio.lowlevel.checkpoint()

        params = {"url": target, "status_code": "303"}
        async with opened(ClientSession(server.url), entered=entered) as session:
            response = await session.post("/redirect-to", params=params, data=body())
            assert (response.status, response.method) == (status, "GET")
            assert len(response.history) == 1
            await response.read()

    async def test_nothing_is_awaited_of_a_body_that_has_broken(self) -> None:
        """The connection of a redirect is closed at the first bytes that are wrong."""
        head = b"HTTP/1.1 302 Found\r\nLocation: /\r\nTransfer-Encoding: chunked\r\n\r\n"
        streams = [Canned(head + b"1\r\na", b"\r\nwrong\r\n", b"0\r\n\r\n"), Canned(OK)]
        left = iter(streams)
        async with ClientSession(connector=CannedConnector(lambda: next(left))) as session:
            async with session.get("http://host.test/") as response:
                assert await response.read() == b"ok"
            assert streams[0]._pieces == [b"0\r\n\r\n"]
            assert_free(session)


class ClosingStream(Canned):
    """Closes a response, or its session, when its bytes come."""

    closes: Callable[[], Awaitable[None]] | None = None

    async def receive(self, max_bytes: int = 65536) -> bytes:
        if self.closes is not None:
            await self.closes()
        return await super().receive(max_bytes)


class NoNames(AbstractResolver):
    """Knows no host at all."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Fail."""
        await anyio.lowlevel.checkpoint()
        raise OSError(socket.EAI_NONAME, "no such host")

    async def close(self) -> None:
        """Do nothing."""


# Targets that cannot be requested, whether their percent-encoding is normalised or not.
NO_TARGETS = {
    "colon in the login": b"http://a%3Ab:c@127.0.0.1:1/",
    "login beyond latin-1": b"http://%E2%82%AC:x@127.0.0.1:1/",
    "host that is no UTF-8": b"http://\xff/",
    "port beyond 65535": b"http://h:99999/",
    "open bracket": b"http://[::1",
    "host that is half a number": b"http://127.1/",
    "host of 3000 letters": b"http://" + b"\xc3\xa9" * 3000 + b"/",
    "no host": b"http://user@/",
}
# Those that cannot be only when they are taken as they are.
NO_TARGETS_RAW = {"space": b"/a b", "path that is no UTF-8": b"/\xff"}
# Odd, but what they lead to is a URL: what follows is a :exc:`ClientError` of any kind.
ODD_TARGETS = [
    b"//", b"http:///x", b"http:x", b"?", b"/%", b"/\tx", b"http://x\t/", b"http://a..b/",
    b"http://-a/", b"http://%00/", b"http://%2f/", b"http://" + b"a" * 300 + b"/",
    b"http://127.0.0.1:1/\xe2\x82\xac", "http://ß.de:1/".encode(), b"http://127.0.0.1:0/",
    b"http://[::1%25lo]:1/", b"http://[v1.x]/", b"HTTP://127.0.0.1:1/",
]  # fmt: skip


class TestRedirects:
    async def follow(self, script: Script, location: bytes, *, requote: bool) -> None:
        """Ask a peer that always redirects to *location*."""
        response = b"HTTP/1.1 302 Found\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % location
        peer = await script([(b"GET ", response)] * 4, repeat=True, partial=True)
        connector = TCPConnector(resolver=NoNames())
        async with ClientSession(connector=connector, requote_redirect_url=requote) as session:
            try:
                await session.get(peer.url, max_redirects=3)
            finally:
                assert_free(session)

    @pytest.mark.parametrize("requote", [True, False])
    @pytest.mark.parametrize("location", NO_TARGETS.values(), ids=NO_TARGETS.keys())
    async def test_a_target_that_cannot_be_requested(
        self, script: Script, location: bytes, requote: bool
    ) -> None:
        """Whatever is wrong with it, one exception says that the server sent it."""
        with pytest.raises(anyhttp.InvalidUrlRedirectClientError):
            await self.follow(script, location, requote=requote)

    @pytest.mark.parametrize("location", NO_TARGETS_RAW.values(), ids=NO_TARGETS_RAW.keys())
    async def test_a_target_that_needs_quoting(self, script: Script, location: bytes) -> None:
        """Without ``requote_redirect_url`` it cannot be requested; with it, it can."""
        with pytest.raises(anyhttp.InvalidUrlRedirectClientError):
            await self.follow(script, location, requote=False)
        with pytest.raises(anyhttp.TooManyRedirects):
            await self.follow(script, location, requote=True)

    async def test_bytes_that_are_no_utf8_are_escaped(self, script: Script) -> None:
        """A path is bytes to the server that named it, and is asked for with the same."""
        moved = b"HTTP/1.1 302 Found\r\nLocation: /\xff\xc3\xbc\r\nContent-Length: 0\r\n\r\n"
        peer = await script([(b"GET /a ", moved), (b"GET /%FF%C3%BC ", OK)])
        async with ClientSession(peer.url) as session, session.get("/a") as response:
            assert await response.text() == "ok"

    @pytest.mark.once
    @pytest.mark.parametrize("requote", [True, False])
    @pytest.mark.parametrize("location", ODD_TARGETS)
    async def test_an_odd_target(self, script: Script, location: bytes, requote: bool) -> None:
        """Following it fails as any request may fail, and not as a bug would."""
        with pytest.raises(anyhttp.ClientError):
            await self.follow(script, location, requote=requote)

    async def test_an_explicit_host_stays_with_its_origin(
        self, script: Script, server: Server
    ) -> None:
        """A ``Host`` header set by the caller goes along within the origin, never beyond it."""
        other = await script([(b"GET /there ", OK)])
        here: Any
        async with ClientSession(server.url, headers={"Host": "name.test"}) as session:
            async with session.get("/redirect/1") as here:
                assert ["host", "name.test"] in [
                    [name.lower(), value] for name, value in (await here.json())["headers"]
                ]
            target = str(other.url / "there")
            async with session.get("/redirect-to", params={"url": target}) as there:
                assert await there.read() == b"ok"
        assert b"name.test" not in other.requests[0]
        assert b"Host: 127.0.0.1:%d\r\n" % other.port in other.requests[0]


async def test_a_stream_that_a_program_puts_in_the_place_of_a_body(
    script: Script, http1: str
) -> None:
    """An error looks for its beginning there, where nothing has come."""
    peer = await script([(b"GET / ", b"HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nno")])
    async with client(http1) as session, session.get(peer.url) as response:
        response.content = StreamReader()
        with pytest.raises(anyhttp.ClientResponseError) as caught:
            response.raise_for_status()
        assert caught.value.body is None


class TestHeads:
    async def test_informational_heads_are_bounded(self, script: Script, http1: str) -> None:
        """A few may come before the final one (RFC 9110 section 15.2); a peer that sends them
        without end is refused.
        """
        hint = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
        peer = await script([(b"GET / ", [hint * 32 + OK]), (b"GET /more ", [hint * 33 + OK])])
        async with client(http1) as session:
            async with session.get(peer.url) as response:
                assert await response.read() == b"ok"
            with pytest.raises(anyhttp.ClientResponseError):
                await session.get(peer.url / "more")
            assert_free(session, idle=0)

    async def test_connect_asks_for_an_authority(self, script: Script, http1: str) -> None:
        """RFC 9112 section 3.2.3: CONNECT names host and port, and nothing else."""
        refusal = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
        peer = await script([(b"CONNECT ", refusal)])
        async with client(http1) as session:
            async with session.request("CONNECT", peer.url) as response:
                assert response.status == 403
        assert peer.requests[0].startswith(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n" % peer.port)

    async def test_http_1_0_knows_no_chunks(self, script: Script, http1: str) -> None:
        """RFC 9112 section 6.1: a body to be chunked is refused before anything is sent."""
        peer = await script([(b"GET / HTTP/1.0\r\n", OK)])
        async with client(http1, version=anyhttp.HttpVersion10) as session:
            with pytest.raises(ValueError, match=r"1\.0"):
                await session.post(peer.url, chunked=True)
            async with session.get(peer.url) as response:
                await response.read()

    @pytest.mark.once
    @pytest.mark.parametrize(
        "value",
        [
            b"attachment; filename*=bogus''x",
            b"attachment; filename*=undefined''x%ff",
            b"attachment; filename*=idna''xn--a",
            b"attachment; filename*=utf-8''%ff%fe",
            b"attachment; filename*=utf-8'x",
            b'attachment; filename="\xff',
            b";;=",
            b"",
        ],
    )
    async def test_content_disposition_never_raises(self, script: Script, value: bytes) -> None:
        """What cannot be understood is left out: the server chose it, not the caller."""
        head = b"HTTP/1.1 200 OK\r\nContent-Disposition: %b\r\nContent-Length: 0\r\n\r\n"
        peer = await script([(b"GET ", head % value)])
        async with ClientSession() as session, session.get(peer.url) as response:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # which say what was left out
                disposition = response.content_disposition
            assert disposition is None or disposition.filename != ""
