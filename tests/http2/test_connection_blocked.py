"""Connections whose peers read nothing for a while: who sends the rest, and who still receives."""

from __future__ import annotations

import io
import threading
from collections.abc import AsyncIterator

import anyio
import anyio.lowlevel
import pytest

pytest.importorskip("h2", reason="h2 is not installed (anyhttp-client[http2])")

from hyperframe.frame import SettingsFrame

from anyhttp._http2 import Http2Options
from tests.support.http2_client import one_connection
from tests.support.http2_peer import FRAME_SIZE, Http2Connection as Peer, Http2Script
from tests.support.waiting import until

pytestmark = pytest.mark.uvloop

MB = 1024 * 1024
#: What both sides may send before the other one reads.
WINDOW = 32 * MB
WIDE = {SettingsFrame.INITIAL_WINDOW_SIZE: WINDOW}
OPTIONS = Http2Options(stream_window=WINDOW, connection_window=WINDOW)
SIZE = 12 * MB  # more than both sockets take


async def pieces(size: int = SIZE) -> AsyncIterator[bytes]:
    """A body that is written piece by piece."""
    for _ in range(size // 100_000):
        yield b"x" * 100_000
        await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_peer_that_sends_before_it_reads(http2_script: Http2Script, streamed: bool) -> None:
    """Both directions are full: the client reads while it waits to send, so it goes on."""

    def play(peer: Peer) -> None:
        peer.give_window(WINDOW)
        request = peer.request()
        peer.send(*peer.head(request))
        for _ in range(SIZE // FRAME_SIZE):
            peer.send(peer.data(request, b"y" * FRAME_SIZE))
        peer.until(lambda: request.ended)
        peer.send(peer.data(request, b"end", end=True))
        received.append(len(request.body))

    received: list[int] = []
    peer = await http2_script(play, settings=WIDE)
    async with one_connection(peer.port, OPTIONS) as (session, _):
        data = pieces() if streamed else io.BytesIO(b"x" * SIZE)
        with anyio.fail_after(20):
            async with session.post(peer.url, data=data) as response:
                assert len(await response.read()) == SIZE + 3
            await until(lambda: received, "the peer to count")
    assert received == [SIZE // 100_000 * 100_000 if streamed else SIZE]


async def test_others_wait_behind_what_the_peer_does_not_read(http2_script: Http2Script) -> None:
    """Their heads are sent in their turn, and what comes for them is received at once."""
    flag = threading.Event()

    def play(peer: Peer) -> None:
        peer.give_window(WINDOW)
        early = peer.request()
        large = peer.request()
        peer.pause(flag)
        peer.respond(early, body=b"early")
        peer.until(lambda: large.ended)
        assert len(large.body) == SIZE
        late = peer.request()
        peer.respond(late, body=b"late")
        peer.respond(large, body=b"large")

    peer = await http2_script(play, settings=WIDE)
    done: list[bytes] = []

    async def use(data: io.BytesIO | None = None) -> None:
        async with session.post(peer.url, data=data) as response:
            done.append(await response.read())

    async with one_connection(peer.port, OPTIONS) as (session, connector):
        http2 = await connector.open()
        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                group.start_soon(use)
                await anyio.wait_all_tasks_blocked()
                group.start_soon(use, io.BytesIO(b"x" * SIZE))
                await until(lambda: http2._is_blocked, "the socket to be full")
                group.start_soon(use)
                await anyio.wait_all_tasks_blocked()
                flag.set()
        assert not http2._is_blocked
    assert done[0] == b"early"
    assert sorted(done) == [b"early", b"large", b"late"]
