"""Trailers of HTTP/2 (RFC 9113 §8.1), also after a body that has a length."""

from __future__ import annotations

import pytest

from anyhttp import ClientSession, TCPConnector

pytest.importorskip("h2", reason="h2 is not installed")

from tests.support.http2_peer import Http2Connection, Http2Script


@pytest.mark.parametrize("fields", [[], [("content-length", "4")]], ids=["no-length", "length"])
@pytest.mark.parametrize("body", [b"", b"body"])
@pytest.mark.parametrize("together", [True, False])
async def test_after_the_body(
    http2_script: Http2Script, fields: list[tuple[str, str]], body: bytes, together: bool
) -> None:
    """They are there when the body has been read, and not before."""
    if fields and not body:
        fields = [("content-length", "0")]

    def play(peer: Http2Connection) -> None:
        request = peer.request()
        frames = [*peer.head(request, 200, fields)]
        sent = [*frames, peer.data(request, body)] if body else frames
        sent += peer.headers(request, [("x-sum", "42")], end=True)
        if together:
            peer.send(*sent)
        else:
            peer.send_apart(*sent)

    peer = await http2_script(play)
    async with (
        ClientSession(connector=TCPConnector(http2="prior-knowledge")) as session,
        session.get(peer.url) as response,
    ):
        if body:
            assert not response.trailers
        assert await response.read() == body
        assert list(response.trailers.items()) == [("x-sum", "42")]
