"""The default headers of a session may be changed at any time."""

from __future__ import annotations

from typing import Any

from anyhttp import ClientSession
from tests.support.client import client
from tests.support.server import Server


async def sent(session: ClientSession, **options: Any) -> dict[str, str]:
    """Return the headers of one request, as the server has got them."""
    async with session.get("/echo", **options) as response:
        echoed = await response.json()
    return {name.lower(): value for name, value in echoed["headers"]}


async def test_a_change_is_noticed_by_the_next_request(http1: str, server: Server) -> None:
    """Headers are rendered once, and anew when the program has changed them."""
    async with client(http1, base_url=server.url, headers={"X-One": "1"}) as session:
        assert (await sent(session))["x-one"] == "1"
        session.headers["X-One"] = "2"
        session.headers["X-Two"] = "b"
        for _ in range(2):
            now = await sent(session)
            assert (now["x-one"], now["x-two"]) == ("2", "b")
        del session.headers["x-one"]
        session.headers["User-Agent"] = "mine"
        now = await sent(session)
        assert "x-one" not in now
        assert now["user-agent"] == "mine"
        session.headers["Cookie"] = "a=b"
        assert (await sent(session))["cookie"] == "a=b"
        session.headers.clear()
        now = await sent(session)
        assert now.keys().isdisjoint({"x-two", "cookie"})
        assert now["user-agent"] != "mine"


async def test_a_request_may_replace_them(http1: str, server: Server) -> None:
    """Its own headers go beside those of the session, or in place of those of the same name."""
    async with client(http1, base_url=server.url, headers={"X-One": "1"}) as session:
        now = await sent(session, headers={"X-Two": "2"})
        assert (now["x-one"], now["x-two"]) == ("1", "2")
        assert (await sent(session, headers={"x-ONE": "3"}))["x-one"] == "3"
        assert (await sent(session, skip_auto_headers={"accept"})).get("accept") is None
        assert (await sent(session))["x-one"] == "1"
