"""Objects of aiohttp that do something for a session here: jars, resolvers and middlewares."""

from __future__ import annotations

import json
import socket
from http.cookies import SimpleCookie
from types import SimpleNamespace
from typing import Any, cast

import pytest
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

import anyhttp
from anyhttp import ClientSession, TCPConnector
from tests.compat.comparison import aiohttp
from tests.support import websocket
from tests.support.client import get
from tests.support.digest import DigestServer, Policy
from tests.support.peer import Peer
from tests.support.server import Server
from tests.support.tls import Authority
from tests.support.websocket import TEXT, Accept, Frame


def jar(kind: type | None = None, **options: Any) -> Any:
    """Return a jar of aiohttp, which wants a loop and does not use it."""
    made: Any = (aiohttp.CookieJar if kind is None else kind)(loop=object(), **options)
    return made


# -- cookie jars ---------------------------------------------------------------------------


async def test_a_jar_keeps_cookies(server: Server) -> None:
    """Those of servers, of the session and of the program, which goes on using the jar."""
    given = jar(unsafe=True)
    given.update_cookies({"mine": 'a "b"'}, server.url)
    async with ClientSession(cookie_jar=given, cookies={"all": "1"}) as session:
        assert session.cookie_jar is given
        url = (server.url / "cookies" / "set").with_query(theirs="2")
        seen = json.loads(await get(session, url, cookies={"all": "3"}))
    assert seen["cookies"] == {"mine": r'"a \"b\""', "theirs": "2", "all": "3"}
    assert {morsel.key for morsel in given} == {"mine", "theirs", "all"}


async def test_a_jar_that_keeps_nothing(server: Server) -> None:
    """Cookies of a request are sent nevertheless."""
    async with ClientSession(cookie_jar=jar(aiohttp.DummyCookieJar)) as session:
        await get(session, (server.url / "cookies" / "set").with_query(a="1"))
        assert json.loads(await get(session, server.url / "cookies")) == {"cookies": {}}
        seen = await get(session, server.url / "cookies", cookies={"b": "2"})
    assert json.loads(seen) == {"cookies": {"b": "2"}}


async def test_a_jar_of_an_older_aiohttp(server: Server) -> None:
    """It cannot say which origins are secure: none without TLS is."""
    names = (
        "__iter__",
        "__len__",
        "clear",
        "clear_domain",
        "filter_cookies",
        "quote_cookie",
        "update_cookies",
        "update_cookies_from_headers",
    )
    older = type("Jar", (), {name: getattr(aiohttp.DummyCookieJar, name) for name in names})
    options: Any = {"cookie_jar": older()}
    secure = SimpleCookie("a=1; b=2")
    secure["b"]["secure"] = True
    async with ClientSession(**options) as session:
        seen = await get(session, server.url / "cookies", cookies=secure)
    assert json.loads(seen) == {"cookies": {"a": "1"}}


@pytest.mark.parametrize(
    ("value", "complaint"),
    [("1; admin=1", "'name' holds a semicolon"), ("1\r\nX: y", "control character")],
)
async def test_a_cookie_that_would_be_more(value: str, complaint: str) -> None:
    """What a jar of others chooses is checked before it is sent."""

    class Jar(aiohttp.CookieJar):  # type: ignore[misc, name-defined]
        def filter_cookies(self, request_url: URL) -> SimpleCookie:
            cookies = SimpleCookie()
            # Newer versions of Python make no such morsel.
            cookie = SimpleNamespace(key="name", value=value, coded_value=value)
            dict.__setitem__(cookies, "name", cast(Any, cookie))
            return cookies

    async with ClientSession(cookie_jar=jar(Jar)) as session:
        with pytest.raises(ValueError, match=complaint) as caught:
            await get(session, "http://host/")
    assert value not in str(caught.value)


# -- resolvers -----------------------------------------------------------------------------


async def test_a_resolver_of_ones_own(server: Server) -> None:
    """One that is derived from aiohttp's base."""

    class Resolver(aiohttp.abc.AbstractResolver):  # type: ignore[misc, name-defined]
        async def resolve(
            self, host: str, port: int = 0, family: int = socket.AF_INET
        ) -> list[dict[str, object]]:
            return [
                {
                    "hostname": host,
                    "host": "127.0.0.1",
                    "port": port,
                    "family": socket.AF_INET,
                    "proto": 0,
                    "flags": 0,
                }
            ]

        async def close(self) -> None:
            """Do nothing."""

    async with ClientSession(connector=TCPConnector(resolver=Resolver())) as session:
        seen = json.loads(await get(session, (server.url / "echo").with_host("name.test")))
    assert seen["target"] == "/echo"


@pytest.mark.once
async def test_the_threaded_resolver(server: Server) -> None:
    """It uses threads of asyncio."""
    resolver = aiohttp.ThreadedResolver()
    async with ClientSession(connector=TCPConnector(resolver=resolver)) as session:
        seen = json.loads(await get(session, (server.url / "echo").with_host("localhost")))
    assert seen["target"] == "/echo"


# -- middlewares ---------------------------------------------------------------------------


async def test_a_middleware_typed_for_aiohttp(server: Server) -> None:
    """It gets our request and our handler, and its errors are its own."""

    async def middleware(request: Any, handler: Any) -> Any:
        request.headers["X-Seen"] = "1"
        try:
            response = await handler(request)
            response.raise_for_status()
        except aiohttp.ClientResponseError as exc:
            raise aiohttp.ClientError(f"status {exc.status}") from exc
        return response

    async with ClientSession(middlewares=[middleware]) as session:
        seen = json.loads(await get(session, server.url / "echo"))
        with pytest.raises(aiohttp.ClientError, match="status 418"):
            await get(session, server.url / "status" / "418")
    assert ["X-Seen", "1"] in seen["headers"]


async def test_digest_authentication(tls_ca: Authority) -> None:
    """Aiohttp's middleware signs requests, their bodies left out."""
    server = DigestServer(tls_ca.server, Policy())
    try:
        digest = aiohttp.DigestAuthMiddleware("Mufasa", "Circle of Life")
        async with ClientSession(middlewares=[digest]) as session:
            for data in (None, b"body"):
                async with session.post(server.url / "echo", data=data) as response:
                    assert response.status == 200
    finally:
        server.stop()


# -- WebSockets ----------------------------------------------------------------------------


async def test_messages_of_a_websocket() -> None:
    """Types, codes and time limits of aiohttp."""
    steps: Any = [
        (b"GET / ", Accept(websocket.frame(TEXT, b"[1]"))),
        (Frame(TEXT, b"go"), []),
        (Frame(websocket.CLOSE, b"\x03\xe9"), websocket.close(1001)),
    ]
    peer = Peer([steps])
    try:
        async with ClientSession() as session:
            limits = aiohttp.ClientWSTimeout(ws_receive=5.0, ws_close=3.0)
            ws = await session.ws_connect(peer.url, timeout=limits)
            message = await ws.receive()
            assert message.type == aiohttp.WSMsgType.TEXT
            assert message.type in {aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY}
            await ws.send_str("go")
            await ws.close(code=aiohttp.WSCloseCode.GOING_AWAY)
            assert (await ws.receive()).type == aiohttp.WSMsgType.CLOSED
            with pytest.raises(TypeError, match=r"timeout must be an anyhttp\.ClientWSTimeout"):
                await session.ws_connect(peer.url, timeout=aiohttp.ClientTimeout())
    finally:
        peer.stop()


@pytest.mark.once
def test_types_and_codes_are_equal() -> None:
    """They are numbers in both."""
    for name in ("WSMsgType", "WSCloseCode"):
        theirs, ours = getattr(aiohttp, name), getattr(anyhttp, name)
        assert {each.name: each for each in theirs} == {each.name: each for each in ours}


# -- errors that a program makes -----------------------------------------------------------


@pytest.mark.once
def test_the_request_of_an_error() -> None:
    """An error here may be made with aiohttp's description of the request."""
    url = URL("http://user:secret@host/")
    info = aiohttp.RequestInfo(url, "GET", CIMultiDictProxy(CIMultiDict()), url)
    error = anyhttp.ClientResponseError(info, (), status=404, message="Not Found")
    assert str(error) == "404, message='Not Found', url='http://host/'"
    with pytest.raises(aiohttp.ClientResponseError) as caught:
        raise error
    assert caught.value.request_info is info


# -- handlers of events --------------------------------------------------------------------


async def test_a_trace_config_of_aiohttp(server: Server, tls_ca: Authority) -> None:
    """Its handlers are told all that they would be told there, and it is frozen."""
    config: Any = aiohttp.TraceConfig()
    told: list[str] = []

    async def note(session: object, context: SimpleNamespace, params: object) -> None:
        assert context.trace_request_ctx == "mine"
        told.append(type(params).__name__)

    signals = [name for name in dir(config) if name.startswith("on_")]
    for name in signals:
        getattr(config, name).append(note)
    assert len(signals) == 16
    connector = TCPConnector(ssl=tls_ca.client)
    async with ClientSession(
        server.https_url, connector=connector, trace_configs=[config]
    ) as session:
        assert config.on_request_end.frozen
        await get(session, "redirect/1", trace_request_ctx="mine")
        with pytest.raises(anyhttp.ServerDisconnectedError):
            await session.get("close", trace_request_ctx="mine")
    assert told == [
        "TraceRequestStartParams",
        "TraceConnectionCreateStartParams",
        "TraceDnsCacheMissParams",
        "TraceDnsResolveHostStartParams",
        "TraceDnsResolveHostEndParams",
        "TraceConnectionCreateEndParams",
        "TraceRequestHeadersSentParams",
        "TraceRequestRedirectParams",
        "TraceConnectionReuseconnParams",
        "TraceRequestHeadersSentParams",
        "TraceRequestEndParams",
        "TraceResponseChunkReceivedParams",
        "TraceRequestStartParams",
        "TraceConnectionReuseconnParams",
        "TraceRequestHeadersSentParams",
        "TraceConnectionCreateStartParams",
        "TraceDnsCacheHitParams",
        "TraceConnectionCreateEndParams",
        "TraceRequestHeadersSentParams",
        "TraceRequestExceptionParams",
    ]
