"""The default headers of a session may be changed at any time."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest
from multidict import CIMultiDict

from anyhttp import ClientConnectionError, ClientRequest, ClientSession, TraceConfig
from tests.support.api import Api
from tests.support.client import client


async def sent(session: ClientSession, **options: Any) -> dict[str, str]:
    """Return the headers of one request, as the server has got them."""
    async with session.get("/echo", **options) as response:
        echoed = await response.json()
    return {name.lower(): value for name, value in echoed["headers"]}


async def test_a_change_is_noticed_by_the_next_request(http1: str, api: Api) -> None:
    """Headers are rendered once, and anew when the program has changed them."""
    async with client(http1, base_url=api.url, headers={"X-One": "1"}) as session:
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


async def test_a_request_may_replace_them(http1: str, api: Api) -> None:
    """Its own headers go beside those of the session, or in place of those of the same name."""
    async with client(http1, base_url=api.url, headers={"X-One": "1"}) as session:
        now = await sent(session, headers={"X-Two": "2"})
        assert (now["x-one"], now["x-two"]) == ("1", "2")
        assert (await sent(session, headers={"x-ONE": "3"}))["x-one"] == "3"
        assert (await sent(session, skip_auto_headers={"accept"})).get("accept") is None
        assert (await sent(session))["x-one"] == "1"


async def test_a_change_before_a_request_is_awaited(http1: str, api: Api) -> None:
    """The headers are those that the session has when the call begins."""
    async with client(http1, base_url=api.url, headers={"X-One": "1"}) as session:
        call = session.get("/echo")
        session.headers["X-One"] = "2"
        async with call as response:
            echoed = await response.json()
    assert ["X-One", "2"] in echoed["headers"]


async def test_changed_automatic_headers(http1: str, api: Api) -> None:
    """``ClientRequest.DEFAULT_HEADERS`` may be changed in place, for sessions that are open too."""
    defaults = ClientRequest.DEFAULT_HEADERS
    async with client(http1, base_url=api.url) as session:
        before = await sent(session)
        with patch.dict(defaults, {"User-Agent": "mine", "X-One": "1"}):
            now = await sent(session)
            assert (now["user-agent"], now["x-one"]) == ("mine", "1")
            assert (await sent(session, headers={"A": "b"}))["user-agent"] == "mine"
            async with client(http1, base_url=api.url, headers={"A": "b"}) as another:
                assert (await sent(another))["user-agent"] == "mine"
                defaults["User-Agent"] = before["user-agent"]
                del defaults["X-One"]
                assert "x-one" not in await sent(another)
        assert await sent(session) == before


@pytest.mark.parametrize("signal", ["request_start", "request_redirect"])
async def test_trace_handlers_change_the_headers_of_their_request_alone(
    http1: str, api: Api, signal: str
) -> None:
    """What they change is sent from the next hop on, and the session keeps its headers."""
    seen: list[CIMultiDict[str]] = []

    async def change(_session: ClientSession, _context: object, params: Any) -> None:
        params.headers["X-One"] = "changed"

    async def keep(_session: ClientSession, _context: object, params: Any) -> None:
        params.headers["X-End"] = "1"
        seen.append(params.headers)

    config = TraceConfig()
    getattr(config, f"on_{signal}").append(change)
    config.on_request_end.append(keep)
    config.on_request_exception.append(keep)
    headers = {"X-One": "1"}
    async with client(http1, base_url=api.url, headers=headers, trace_configs=[config]) as each:
        api.mock.get("http://127.0.0.1:1/", exception=ConnectionRefusedError)
        target = str(api.url / "echo")
        async with each.get("/redirect-to", params={"url": target}) as response:
            echoed = await response.json()
        assert ["X-One", "changed"] in echoed["headers"]
        with pytest.raises(ClientConnectionError):
            await each.get("http://127.0.0.1:1/")
        assert len(seen) == 2
        assert dict(each.headers) == headers
