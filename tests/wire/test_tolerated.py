"""What is read although it breaks the grammar: the connection is closed after each of them."""

from __future__ import annotations

import pytest

from tests.support import websocket
from tests.support.client import assert_free, client
from tests.support.peer import CLOSE, STALL, Script
from tests.support.tolerated import OK, TOLERATED, TWO
from tests.support.websocket import TEXT, Accept, Frame

pytestmark = pytest.mark.http1_only("broken grammar of HTTP/1.1")

GOOD = OK + TWO


@pytest.mark.parametrize("reply", TOLERATED.values(), ids=TOLERATED)
async def test_it_is_read_and_its_connection_closed(
    reply: bytes, http1: str, script: Script
) -> None:
    """Another reader may see its end elsewhere, so the next request gets a new connection."""
    peer = await script([(b"GET /a ", [reply, STALL])], [(b"GET /b ", GOOD)])
    async with client(http1) as session:
        async with session.get(peer.url / "a") as response:
            assert await response.read() == b"hi"
            assert response.headers.get("X", "a b") == "a b"
            assert response.headers.get("Y", "\x01\x0b\x0c\x1b\x7f") == "\x01\x0b\x0c\x1b\x7f"
        await peer.wait_closed()
        assert_free(session, idle=0)
        async with session.get(peer.url / "b") as response:
            assert await response.read() == b"hi"
        assert_free(session, idle=1)


@pytest.mark.parametrize("together", [True, False])
async def test_identity_is_no_coding(together: bool, http1: str, script: Script) -> None:
    """It was one in RFC 2616; alone it leaves the end of the body to the connection."""
    head = OK + b"Transfer-Encoding: identity\r\n\r\n"
    peer = await script(
        [(b"HEAD /a ", [head, STALL])],
        [(b"GET /b ", [head + b"hi", CLOSE] if together else [head, b"hi", CLOSE])],
    )
    async with client(http1) as session:
        await session.head(peer.url / "a")
        await peer.wait_closed()
        async with session.get(peer.url / "b") as response:
            assert await response.read() == b"hi"
            assert response.headers["Transfer-Encoding"] == "identity"
        assert_free(session, idle=0)


async def test_a_response_that_is_not_read_is_not_kept_either(http1: str, script: Script) -> None:
    """Releasing it drains what is left of the body, and then closes."""
    peer = await script(
        [(b"GET /a ", [OK + b"X: a\n" + TWO[:-1], STALL])], [(b"GET /b ", GOOD)], partial=True
    )
    async with client(http1) as session:
        async with session.get(peer.url / "a"):
            pass
        await peer.wait_closed()
        assert await (await session.get(peer.url / "b")).read() == b"hi"


@pytest.mark.parametrize("field", ["X: a\r\n b", "X: \x7f", "X: a\nY: b"])
async def test_a_switch_to_websocket(field: str, http1: str, script: Script) -> None:
    """The same lines are read in a 101, whose connection is never pooled anyway."""
    peer = await script(
        [
            (b"GET / HTTP/1.1\r\n", Accept(websocket.frame(TEXT, b"x"), fields=(field,))),
            (Frame(websocket.CLOSE, b"\x03\xe8"), websocket.close(1000)),
        ]
    )
    async with client(http1) as session:
        async with session.ws_connect(peer.url) as ws:
            assert await ws.receive_str() == "x"
        assert_free(session, idle=0)
