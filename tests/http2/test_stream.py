"""One exchange of several on a connection: its deadline, its end, and what the peer does to it."""

from __future__ import annotations

import gc
import threading
import warnings
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from anyio.abc import SocketAttribute

pytest.importorskip("h2", reason="h2 is not installed (anyhttp-client[http2])")

from hyperframe.frame import DataFrame, GoAwayFrame, RstStreamFrame

from anyhttp import (
    ClientConnectionError,
    ClientConnectionResetError,
    ClientOSError,
    ClientPayloadError,
    ClientResponse,
    ClientResponseError,
    ClientSession,
    ClientTimeout,
    ServerDisconnectedError,
    SocketTimeoutError,
)
from tests.support.http2_client import one_connection
from tests.support.http2_peer import Http2Connection as Peer, Http2Script
from tests.support.waiting import until

pytestmark = pytest.mark.uvloop

CANCEL, NO_ERROR, INTERNAL_ERROR, REFUSED = 8, 0, 2, 7


async def pieces(count: int, size: int = 1000) -> AsyncIterator[bytes]:
    """A body that is written piece by piece."""
    for _ in range(count):
        yield b"x" * size
        await anyio.lowlevel.checkpoint()


def forget(box: list[ClientResponse]) -> None:
    """Let the garbage collector find a response."""
    box.clear()
    gc.collect()


class TestDeadlines:
    @pytest.mark.parametrize("entered", [True, False])
    async def test_the_end_of_one_leaves_the_others_alone(
        self, http2_script: Http2Script, entered: bool
    ) -> None:
        """RFC 9113 §5.4.2: the one is reset with CANCEL, the other goes on."""
        flag = threading.Event()

        def play(peer: Peer) -> None:
            late, other = peer.request(), peer.request()
            reset = peer.frame(RstStreamFrame, late.stream_id)
            assert reset.error_code == CANCEL
            peer.respond(late, body=b"too late")  # the client drops it
            peer.pause(flag)
            peer.respond(other, body=b"other")

        peer = await http2_script(play)

        async def late() -> None:
            with pytest.raises(TimeoutError):
                await session.get(peer.url, timeout=ClientTimeout(total=0.05))
            flag.set()

        async def other() -> None:
            async with session.get(peer.url) as response:
                assert await response.read() == b"other"

        async with one_connection(peer.port, entered=entered) as (session, connector):
            await connector.open()
            async with anyio.create_task_group() as group:
                group.start_soon(late)
                await anyio.wait_all_tasks_blocked()
                group.start_soon(other)

    @pytest.mark.parametrize("entered", [True, False])
    async def test_sock_read_counts_the_silence_of_one_stream(
        self, http2_script: Http2Script, entered: bool
    ) -> None:
        """What comes for others is no sign of life of this one."""
        over = threading.Event()

        def play(peer: Peer) -> None:
            silent, busy = peer.request(), peer.request()
            peer.send(*peer.head(busy))
            while not over.wait(0.01):
                peer.send(peer.data(busy, b"."))
            peer.send(peer.data(busy, b".", end=True))
            peer.frame(RstStreamFrame, silent.stream_id)

        peer = await http2_script(play)

        async def silent() -> None:
            with pytest.raises(SocketTimeoutError):
                await session.get(peer.url, timeout=ClientTimeout(sock_read=0.1))
            over.set()

        async def busy() -> None:
            async with session.get(peer.url) as response:
                assert set(await response.read()) == {ord(".")}

        async with one_connection(peer.port, entered=entered) as (session, connector):
            await connector.open()
            async with anyio.create_task_group() as group:
                group.start_soon(silent)
                await anyio.wait_all_tasks_blocked()
                group.start_soon(busy)

    async def test_the_deadline_ends_the_reading_of_a_body(self, http2_script: Http2Script) -> None:
        """The response is there, and its body does not come."""

        def play(peer: Peer) -> None:
            request = peer.request()
            peer.send(*peer.head(request), peer.data(request, b"some"))
            assert peer.frame(RstStreamFrame).error_code == CANCEL

        peer = await http2_script(play)
        async with one_connection(peer.port) as (session, _):
            async with session.get(peer.url, timeout=ClientTimeout(total=0.1)) as response:
                with pytest.raises(TimeoutError):
                    await response.read()


class TestResets:
    async def test_before_the_head(self, http2_script: Http2Script) -> None:
        """The error names the code; the connection goes on."""

        def play(peer: Peer) -> None:
            peer.reset_stream(peer.request(), INTERNAL_ERROR)
            peer.respond(peer.request(), body=b"next")

        peer = await http2_script(play)
        async with one_connection(peer.port) as (session, _):
            with pytest.raises(ClientConnectionResetError, match=r"INTERNAL_ERROR \(2\)"):
                await session.post(peer.url)
            async with session.get(peer.url) as response:
                assert await response.read() == b"next"

    async def test_in_the_body(self, http2_script: Http2Script) -> None:
        """What came before it can be read."""

        def play(peer: Peer) -> None:
            request = peer.request()
            peer.send(*peer.head(request), peer.data(request, b"some"))
            peer.reset_stream(request, INTERNAL_ERROR)

        peer = await http2_script(play)
        async with one_connection(peer.port) as (session, connector):
            async with session.get(peer.url) as response:
                assert await response.content.readexactly(4) == b"some"
                with pytest.raises(ClientPayloadError, match="INTERNAL_ERROR"):
                    await response.content.read()
            assert connector.http2 is not None
            assert connector.http2.phase.name == "IDLE"

    async def test_a_malformed_response(self, http2_script: Http2Script) -> None:
        """RFC 9113 §8.1.1: the stream is reset with PROTOCOL_ERROR, and no other."""

        def play(peer: Peer) -> None:
            request = peer.request()
            peer.send(*peer.headers(request, [("server", "without status")]))
            assert peer.frame(RstStreamFrame).error_code == 1
            peer.respond(peer.request(), body=b"next")

        peer = await http2_script(play)
        async with one_connection(peer.port) as (session, _):
            with pytest.raises(ClientResponseError) as caught:
                await session.get(peer.url)
            assert caught.value.status == 400
            async with session.get(peer.url) as response:
                assert await response.read() == b"next"

    async def test_an_answer_before_the_end_of_the_upload(self, http2_script: Http2Script) -> None:
        """RFC 9113 §8.1: RST_STREAM(NO_ERROR) asks to stop the upload; the response counts."""

        def play(peer: Peer) -> None:
            peer.credits = False
            request = peer.request()
            peer.until(lambda: request.body)
            peer.send(
                *peer.head(request, 413),
                peer.data(request, b"too large", end=True),
                RstStreamFrame(request.stream_id, error_code=NO_ERROR),
            )
            peer.respond(peer.request(), body=b"next")

        peer = await http2_script(play)
        async with one_connection(peer.port) as (session, _):
            async with session.post(peer.url, data=pieces(1000)) as response:
                assert response.status == 413
                assert await response.read() == b"too large"
            async with session.get(peer.url) as response:
                assert await response.read() == b"next"
        assert not peer.connections[0].all(RstStreamFrame)

    async def test_a_body_that_fails(self, http2_script: Http2Script) -> None:
        """The stream is reset, and END_STREAM never sent."""
        seen: list[bool] = []

        async def failing() -> AsyncIterator[bytes]:
            yield b"some"
            await anyio.lowlevel.checkpoint()
            raise ZeroDivisionError

        def play(peer: Peer) -> None:
            request = peer.request()
            assert peer.frame(RstStreamFrame).error_code == CANCEL
            assert not request.ended
            assert bytes(request.body) in {b"", b"some"}
            seen.append(True)

        peer = await http2_script(play, partial=True)
        async with one_connection(peer.port) as (session, _):
            with pytest.raises(ClientConnectionError):
                await session.post(peer.url, data=failing())
            await until(lambda: seen, "the reset")


class TestEnds:
    async def test_trailers(self, http2_script: Http2Script) -> None:
        """RFC 9113 §8.1."""

        def play(peer: Peer) -> None:
            peer.respond(peer.request(), body=b"body", trailers=[("x-sum", "1")])

        peer = await http2_script(play)
        async with one_connection(peer.port) as (session, _):
            async with session.get(peer.url) as response:
                assert await response.read() == b"body"
                assert response.trailers == {"x-sum": "1"}

    async def test_a_response_that_is_left(self, http2_script: Http2Script) -> None:
        """It is reset, and what still comes for it is dropped but counted."""

        def play(peer: Peer) -> None:
            request = peer.request()
            peer.send(*peer.head(request), peer.data(request, b"x" * 10_000))
            peer.frame(RstStreamFrame)
            peer.send(peer.data(request, b"x" * 10_000), peer.data(request, b"x" * 5_000, end=True))
            peer.respond(peer.request(), body=b"next")

        peer = await http2_script(play)
        async with one_connection(peer.port) as (session, connector):
            async with session.get(peer.url):
                pass
            async with session.get(peer.url) as response:
                assert await response.read() == b"next"
            assert connector.http2 is not None
            core = connector.http2._core
            connection = peer.connections[0]
            assert core._window + core._unconfirmed == core._options.connection_window
            assert core._unconfirmed == 25_004
            await until(lambda: connection.link.quiet, "the peer to read")
            assert connection.window - 25_000 == core._window  # that of frames sent by hand

    @pytest.mark.parametrize("elsewhere", [False, True])
    async def test_a_response_that_is_forgotten(
        self, http2_script: Http2Script, elsewhere: bool
    ) -> None:
        """The garbage collector may run in another thread; the exchange is reset in any case."""

        def play(peer: Peer) -> None:
            request = peer.request()
            peer.send(*peer.head(request), peer.data(request, b"some"))
            assert peer.frame(RstStreamFrame).error_code == CANCEL
            peer.respond(peer.request(), body=b"next")

        peer = await http2_script(play)
        async with one_connection(peer.port) as (session, connector):
            box: list[ClientResponse] = [await session.get(peer.url)]
            assert connector.http2 is not None
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ResourceWarning)
                if elsewhere:
                    await anyio.to_thread.run_sync(forget, box)
                else:
                    forget(box)
                await until(lambda: connector.lent == 0, "the stream to be given back")
            async with session.get(peer.url) as response:
                assert await response.read() == b"next"

    async def test_what_a_response_tells_of_its_connection(self, http2_script: Http2Script) -> None:
        """The bytes of the connection are those of all exchanges, so programs do not get them."""
        flag = threading.Event()

        def play(peer: Peer) -> None:
            request = peer.request()
            peer.send(*peer.head(request))
            peer.pause(flag)
            peer.send(peer.data(request, b"body", end=True))

        peer = await http2_script(play)
        async with one_connection(peer.port) as (session, _):
            async with session.get(peer.url) as response:
                connection: Any = response.connection
                assert connection is not None
                for transport in (connection.transport, connection.protocol.transport):
                    assert transport.extra(SocketAttribute.remote_port) == peer.port
                    uses = (transport.receive, partial(transport.send, b""), transport.send_eof)
                    for use in (*uses, transport.aclose):
                        with pytest.raises(RuntimeError, match="HTTP/2"):
                            await use()
                flag.set()
                assert await response.read() == b"body"

    async def test_closing_the_session_in_the_middle(self, http2_script: Http2Script) -> None:
        """Each exchange ends with an error, and its stream is reset."""

        def play(peer: Peer) -> None:
            peer.credits = False
            peer.request()
            peer.request()
            half = peer.request()
            peer.send(*peer.head(half), peer.data(half, b"some"))
            peer.until(lambda: len(peer.all(RstStreamFrame)) == 3)

        peer = await http2_script(play)
        failures: list[BaseException] = []

        async def use(call: Callable[[ClientSession], AsyncIterator[object]]) -> None:
            try:
                async for _ in call(session):
                    pass
            except ClientConnectionError as exc:
                failures.append(exc)

        async def get(session: ClientSession) -> AsyncIterator[object]:
            async with session.get(peer.url) as response:
                yield response
                await response.read()

        async def post(session: ClientSession) -> AsyncIterator[object]:
            async with session.post(peer.url, data=pieces(1000)) as response:
                yield response

        async with one_connection(peer.port, entered=False) as (session, connector):
            async with anyio.create_task_group() as group:
                for call in (get, post, get):
                    group.start_soon(use, call)
                    await anyio.wait_all_tasks_blocked()
                http2 = await connector.open()
                await until(lambda: http2._core._unconfirmed, "the head of the last response")
                await anyio.wait_all_tasks_blocked()
                await session.close()
        assert len(failures) == 3


class TestMisuse:
    async def test_two_tasks_read_one_body(self, http2_script: Http2Script) -> None:
        """The second gets an error, as with HTTP/1.1; it does not wait for ever."""

        def play(peer: Peer) -> None:
            request = peer.request()
            peer.send(*peer.head(request))
            peer.frame(RstStreamFrame)

        peer = await http2_script(play)
        errors: list[Exception] = []

        async def read() -> None:
            try:
                await response.content.readany()
            except (ClientConnectionError, ClientPayloadError, RuntimeError) as exc:
                errors.append(exc)

        async with one_connection(peer.port) as (session, _):
            async with session.get(peer.url) as response:
                with anyio.fail_after(5):
                    async with anyio.create_task_group() as group:
                        group.start_soon(read)
                        group.start_soon(read)
                        await until(lambda: errors, "an error")
                        group.cancel_scope.cancel()


class TestLostConnections:
    async def lose(
        self, http2_script: Http2Script, end: Callable[[Peer], None]
    ) -> list[BaseException | bytes]:
        """Return what three exchanges come to: waiting for a head, sending, and in the body."""

        def play(peer: Peer) -> None:
            peer.credits = False
            peer.request()
            sending = peer.request()
            peer.until(lambda: len(sending.body) > 65_000)
            half = peer.request()
            peer.send(*peer.head(half), peer.data(half, b"some"))
            end(peer)

        peer = await http2_script(play, partial=True)
        results: list[BaseException | bytes] = []

        async def use(data: object) -> None:
            try:
                async with session.post(peer.url, data=data) as response:
                    results.append(await response.read())
            except (ClientConnectionError, ClientPayloadError, ClientResponseError) as exc:
                results.append(exc)

        async with one_connection(peer.port) as (session, connector):
            async with anyio.create_task_group() as group:
                for data in (None, pieces(1000), None):
                    group.start_soon(use, data)
                    await anyio.wait_all_tasks_blocked()
            assert connector.http2 is not None
            assert connector.http2.phase.name == "CLOSED"
            assert not connector.http2.is_usable
        assert len(results) == 3
        return results

    async def test_the_peer_closes_it(self, http2_script: Http2Script) -> None:
        """Whose head has not come gets ServerDisconnectedError."""
        results = await self.lose(http2_script, lambda peer: peer.close())
        kinds = sorted(type(result).__name__ for result in results)
        assert kinds == ["ClientPayloadError", "ServerDisconnectedError", "ServerDisconnectedError"]
        assert len({id(result) for result in results}) == 3

    async def test_it_breaks(self, http2_script: Http2Script) -> None:
        """Each exchange has an exception of its own."""
        results = await self.lose(http2_script, lambda peer: peer.reset())
        assert sum(isinstance(result, ClientPayloadError) for result in results) == 1
        assert sum(isinstance(result, ClientOSError) for result in results) == 2
        assert len({id(result) for result in results}) == 3

    async def test_the_peer_breaks_the_protocol(self, http2_script: Http2Script) -> None:
        """RFC 9113 §5.4.1: the client says why in a GOAWAY."""
        codes: list[int] = []

        def end(peer: Peer) -> None:
            peer.send(DataFrame(2, b"of no stream"))
            codes.append(peer.frame(GoAwayFrame).error_code)

        results = await self.lose(http2_script, end)
        assert codes in ([1], [])  # the end of the connection may overtake it
        assert sum(isinstance(result, ClientResponseError) for result in results) == 2
        assert sum(isinstance(result, ClientPayloadError) for result in results) == 1


class TestGoAway:
    async def test_what_was_not_processed_is_told(self, http2_script: Http2Script) -> None:
        """RFC 9113 §6.8: lower streams go on; the connection ends with the last of them."""
        flag = threading.Event()

        def play(peer: Peer) -> None:
            first, _ = peer.request(), peer.request()
            peer.go_away(first.stream_id)
            peer.pause(flag)
            peer.respond(first, body=b"first")

        peer = await http2_script(play)
        done: list[object] = []

        async def first() -> None:
            async with session.get(peer.url) as response:
                done.append(await response.read())

        async def second() -> None:
            with pytest.raises((ClientConnectionError, ServerDisconnectedError)):
                await session.post(peer.url)
            done.append("second")

        async with one_connection(peer.port, retry_connections=False) as (session, connector):
            http2 = await connector.open()
            async with anyio.create_task_group() as group:
                group.start_soon(first)
                await anyio.wait_all_tasks_blocked()
                group.start_soon(second)
                await until(lambda: done, "the second to fail")
                assert not http2.has_room
                assert http2.phase.name == "BUSY"
                flag.set()
            assert done == ["second", b"first"]
            assert http2.phase.name == "CLOSED"


class TestChecks:
    async def test_a_living_peer(self, http2_script: Http2Script) -> None:
        """RFC 9113 §6.7: it answers PING, and several at a time."""
        peer = await http2_script(lambda peer: None)
        results: list[bool] = []
        async with one_connection(peer.port) as (_, connector):
            http2 = await connector.open()

            async def check() -> None:
                results.append(await http2.check())

            async with anyio.create_task_group() as group:
                for _ in range(3):
                    group.start_soon(check)
        assert results == [True] * 3

    async def test_a_peer_that_is_gone(
        self, http2_script: Http2Script, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """No answer comes within the time."""
        monkeypatch.setattr("anyhttp._http2.connection.CHECK_SECONDS", 0.05)

        def play(peer: Peer) -> None:
            peer.acknowledges = False
            peer.wait_closed()

        peer = await http2_script(play)
        async with one_connection(peer.port) as (_, connector):
            http2 = await connector.open()
            assert not await http2.check()
            with anyio.move_on_after(0):
                await http2.check()
            assert not http2._pings

    async def test_a_sign_of_life_after_a_limit(self, http2_script: Http2Script) -> None:
        """A peer that has let one wait in vain is to be asked, unless it has spoken since then."""

        def play(peer: Peer) -> None:
            peer.request()
            peer.respond(peer.request(), body=b"other")

        peer = await http2_script(play)
        async with one_connection(peer.port) as (session, connector):
            http2 = await connector.open()
            with pytest.raises(SocketTimeoutError):
                await session.get(peer.url, timeout=ClientTimeout(sock_read=0.05))
            assert http2.needs_check
            async with session.get(peer.url) as response:
                assert await response.read() == b"other"
            assert not http2.needs_check
