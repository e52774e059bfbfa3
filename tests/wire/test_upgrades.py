"""Another protocol than WebSocket after a 101: its bytes, from the first one on."""

from __future__ import annotations

import math

import pytest
from anyio.abc import ByteStream, SocketAttribute

from anyhttp import ClientResponse, ClientTimeout, Connection, TCPConnector
from anyhttp._network import NetworkStream
from anyhttp._tasks import TimedStream
from tests.support.client import assert_free, client
from tests.support.peer import CLOSE, Exact, Script
from tests.support.tls import Authority

pytestmark = pytest.mark.http1_only("HTTP/2 has no Upgrade (RFC 9113 §8.6)")

SWITCH = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
ASKED = {"Connection": "Upgrade", "Upgrade": "tcp"}


def connection_of(response: ClientResponse) -> Connection:
    """Return the connection that *response* holds."""
    assert isinstance(response.connection, Connection)
    return response.connection


async def received(stream: ByteStream, count: int) -> bytes:
    """Return the next *count* bytes."""
    data = b""
    while len(data) < count:
        data += await stream.receive(count - len(data))
    return data


@pytest.mark.parametrize("tls", [True, False], ids=["tls", "plain"])
@pytest.mark.parametrize(
    "pieces",
    [[SWITCH + b"first", b" second"], [SWITCH, b"first second"], [SWITCH[:-1], b"\nfirst second"]],
    ids=["with the head", "after it", "with its end"],
)
async def test_no_byte_is_lost(
    script: Script, http1: str, tls_ca: Authority, tls: bool, pieces: list[bytes]
) -> None:
    """What came with the head is received first, then the rest, and both sides can speak."""
    peer = await script(
        [(b"POST ", pieces), (Exact(b"ping"), [b"pong", CLOSE])],
        tls=tls_ca.server if tls else None,
    )
    async with client(http1) as session:
        async with session.post(peer.url, json={}, headers=ASKED, ssl=tls_ca.client) as response:
            assert response.status == 101
            stream = connection_of(response).transport
            assert stream is not None
            assert await received(stream, 12) == b"first second"
            await stream.send(b"ping")
            assert await received(stream, 4) == b"pong"
            assert connection_of(response).transport is stream
            assert stream.extra(SocketAttribute.remote_port) == peer.port
        assert_free(session, idle=0)


async def test_in_small_pieces(script: Script, http1: str) -> None:
    """As many bytes are returned as are asked for."""
    peer = await script([(b"GET ", [SWITCH + b"abc", CLOSE])])
    async with client(http1) as session:
        async with session.get(peer.url, headers=ASKED) as response:
            stream = connection_of(response).transport
            assert stream is not None
            with pytest.raises(ValueError, match="positive"):
                await stream.receive(0)
            assert await stream.receive(1) == b"a"
            assert await stream.receive(9) == b"bc"


async def test_a_detached_stream(script: Script, http1: str) -> None:
    """It is the program's, with the bytes that came with the head."""
    peer = await script([(b"GET ", [SWITCH + b"abc"]), (Exact(b"x"), CLOSE)])
    async with client(http1) as session:
        response = await session.get(peer.url, headers=ASKED)
        stream = connection_of(response).detach()
        assert stream is not None
        response.close()
        assert_free(session, idle=0)
        assert await received(stream, 3) == b"abc"
        await stream.send(b"x")
        await stream.send_eof()
        await stream.aclose()


async def test_the_limits_of_the_request_end(script: Script, http1: str) -> None:
    """The other protocol takes as long as it takes."""
    peer = await script([(b"GET ", [SWITCH + b"abc"])])
    limits = ClientTimeout(total=100, sock_read=100)
    async with client(http1, timeout=limits) as session:
        async with session.get(peer.url, headers=ASKED) as response:
            connection = connection_of(response)
            assert connection.protocol is not None
            stream = connection.protocol.stream
            assert isinstance(stream, NetworkStream)
            timed = stream.stream
            assert isinstance(timed, TimedStream)
            assert timed.deadline == math.inf
            assert not timed.expired
            assert connection.transport is not None


async def test_a_forced_close_is_not_in_the_way(script: Script, http1: str) -> None:
    """A connector that keeps nothing lends the connection all the same."""
    peer = await script([(b"GET ", [SWITCH + b"abc"])])
    async with client(http1, force_close=True) as session:
        assert isinstance(session.connector, TCPConnector)
        async with session.get(peer.url, headers=ASKED) as response:
            stream = connection_of(response).transport
            assert stream is not None
            assert await received(stream, 3) == b"abc"
