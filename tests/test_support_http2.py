"""The tests' own HTTP/2 peers, asked by a client that is not ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

pytest.importorskip("h2", reason="h2 is not installed (anyhttp-client[http2])")
httpx2 = pytest.importorskip("httpx2", reason="httpx2 is not installed")

from hyperframe.frame import (  # noqa: E402 (only if it is installed)
    HeadersFrame,
    PingFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from tests.support.http2_peer import Http2Connection, Http2Script  # noqa: E402
from tests.support.peer import CLOSE, Flag, Peer, PeerFailed, Wait  # noqa: E402
from tests.support.responses import CHUNKS, EMPTY, OK, OK_LINE  # noqa: E402
from tests.support.tls import Authority  # noqa: E402

if TYPE_CHECKING:
    from tests.support.http2_server import Http2Server

LARGE = bytes(range(256)) * 4000


def http2_client(**options: Any) -> Any:
    """Return a client that speaks HTTP/2 only."""
    return httpx2.AsyncClient(http1=False, http2=True, **options)


async def test_a_peer_plays_its_function(http2_script: Http2Script, tls_ca: Authority) -> None:
    """Fields, bodies both ways, trailers, windows; the client's frames are kept."""

    def play(peer: Http2Connection) -> None:
        request = peer.whole_request()
        assert (request["method"], request["path"]) == ("POST", "/a")
        assert request.body == LARGE
        peer.respond(request, 200, [("a", "b")], body=LARGE, trailers=[("c", "d")])
        peer.respond(peer.request(), 204)
        peer.go_away(3)

    peer = await http2_script(play, tls=tls_ca.server_with("h2"))
    async with http2_client(verify=tls_ca.new_client()) as client:
        response = await client.post(str(peer.url / "a"), content=LARGE)
        assert (response.status_code, response.headers["a"]) == (200, "b")
        assert response.content == LARGE
        assert (await client.get(str(peer.url))).status_code == 204
        await peer.settled()
    await peer.wait_closed()
    (connection,) = peer.connections
    assert [frame.stream_id for frame in connection.all(HeadersFrame)] == [1, 3]
    assert connection.all(WindowUpdateFrame, 0)
    assert any("ACK" in frame.flags for frame in connection.all(SettingsFrame))


async def test_a_peer_sends_what_is_forbidden(http2_script: Http2Script) -> None:
    """A PING on a stream is a connection error (RFC 9113 §6.7), and the client leaves."""

    def play(peer: Http2Connection) -> None:
        peer.request()
        peer.send(b"\0\0\x08\x06\0\0\0\0\x01abcdefgh")

    peer = await http2_script(play)
    async with http2_client() as client:
        with pytest.raises(httpx2.TransportError):
            await client.get(str(peer.url))


async def test_a_peer_waits_for_the_test(http2_script: Http2Script) -> None:
    """It reads nothing while it is paused; PING is answered afterwards."""
    flag = Flag()

    def play(peer: Http2Connection) -> None:
        request = peer.request()
        peer.send(PingFrame(0, opaque_data=b"12345678"))
        assert "ACK" in peer.frame(PingFrame).flags
        peer.pause(flag)
        peer.respond(request)

    peer = await http2_script(play)
    async with http2_client() as client, anyio.create_task_group() as group:
        group.start_soon(client.get, str(peer.url))
        await peer.settled()
        flag.set()


@pytest.mark.parametrize("fault", ["asserted", "left"])
async def test_a_mistake_is_reported(http2_script: Http2Script, fault: str) -> None:
    """What is wrong in the thread of the peer fails the test at its end."""

    def play(peer: Http2Connection) -> None:
        request = peer.request()
        assert fault == "left"
        peer.respond(request)
        peer.request()

    peer = await http2_script(play)
    async with http2_client() as client:
        try:
            await client.get(str(peer.url))
        except httpx2.TransportError:
            assert fault == "asserted"
    await peer.wait_closed()
    with pytest.raises(PeerFailed, match="connection 1"):
        peer.stop()
    http2_script.forget(peer)


async def test_the_server_answers_many_at_once(
    http2_server: Http2Server, tls_ca: Authority
) -> None:
    """Its routes, by HTTP/2 and by HTTP/1.1, chosen by ALPN."""
    bodies: list[int] = []

    async def fetch(number: int) -> None:
        response = await client.get(str(http2_server.https_url / f"bytes/{number * 1000}"))
        assert response.http_version == "HTTP/2"
        bodies.append(len(response.content))

    async with http2_client(verify=tls_ca.new_client()) as client:
        await client.get(str(http2_server.https_url / "json"))
        async with anyio.create_task_group() as group:
            for number in range(50):
                group.start_soon(fetch, number)
        response = await client.post(str(http2_server.https_url / "echo-body"), content=LARGE)
        assert response.content == LARGE
    assert sorted(bodies) == [number * 1000 for number in range(50)]
    assert http2_server.http2_connections == 1
    async with httpx2.AsyncClient(verify=tls_ca.new_client()) as old:
        response = await old.get(str(http2_server.https_url / "json"))
        assert response.http_version == "HTTP/1.1"
    assert http2_server.connections == 2


async def test_a_script_of_http1_is_played_over_http2() -> None:
    """Heads, bodies in every framing, trailers; the requests look like those of HTTP/1.1."""
    until_the_end = OK_LINE + b"\r\nto the end"
    peer = Peer(
        [
            [
                (b"GET /a?b HTTP/1.1\r\nHost: ", [b"HTTP/1.1 103 Early\r\n\r\n", OK]),
                (b"POST /c ", [CHUNKS + b"2\r\nhi\r\n", b"1\r\n!\r\n0\r\nX-Sum: 1\r\n\r\n"]),
                (b"GET /d ", [until_the_end, CLOSE]),
            ],
            [(b"HEAD /e ", OK[:-2]), (b"GET /f ", OK_LINE + b"Connection: close\r\n" + EMPTY[17:])],
            [(b"GET /g ", CLOSE)],
        ],
        http2=True,
    )
    async with http2_client() as client:
        url = str(peer.url)
        assert (await client.get(f"{url}a?b")).content == b"ok"

        async def body() -> Any:
            yield b"one"
            yield b"twelve bytes"

        assert (await client.post(f"{url}c", content=body())).content == b"hi!"
        assert (await client.get(f"{url}d")).content == b"to the end"
        assert (await client.head(f"{url}e")).headers["content-length"] == "2"
        assert (await client.get(f"{url}f")).status_code == 200
        with pytest.raises(httpx2.RemoteProtocolError):
            await client.get(f"{url}g")
    await peer.wait_closed(2)
    assert peer.requests[0].startswith(b"GET /a?b HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"\r\n\r\n3\r\none\r\nc\r\ntwelve bytes\r\n0\r\n\r\nGET /d " in peer.requests[0]
    peer.stop()


async def test_each_exchange_at_a_time_has_its_own_script() -> None:
    """As in HTTP/1.1, where they have connections."""
    go_on = Flag()
    peer = Peer(
        [[(b"GET /a ", [Wait(go_on), OK]), (b"GET /c ", EMPTY)], [(b"GET /b ", OK)]], http2=True
    )
    statuses: list[int] = []

    async def fetch(path: str) -> None:
        statuses.append((await client.get(str(peer.url / path))).status_code)

    async with http2_client() as client:
        async with anyio.create_task_group() as group:
            group.start_soon(fetch, "a")
            await peer.wait_connections(1)
            await peer.settled()
            await fetch("b")
            go_on.set()
        peer_of_c = peer.requests[0]
        await fetch("c")
    assert statuses == [200, 200, 200]
    assert b"GET /c " in peer.requests[0][len(peer_of_c) :]
    peer.stop()


@pytest.mark.parametrize("reply", [b"SSH-2.0-x\r\n\r\n", OK + b"more"])
async def test_what_cannot_be_translated_fails_the_test(reply: bytes) -> None:
    """Broken framing is a matter of HTTP/1.1."""
    peer = Peer([[(b"GET ", reply)]], http2=True)
    async with http2_client() as client:
        with pytest.raises(httpx2.TransportError):
            await client.get(str(peer.url))
    with pytest.raises(PeerFailed, match="connection 1"):
        peer.stop()
