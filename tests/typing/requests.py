"""What type checkers know of sessions, requests and responses; read by them, and never run."""
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from http.cookies import SimpleCookie
from typing import Any, assert_type

from multidict import CIMultiDict, CIMultiDictProxy, MultiDictProxy
from yarl import URL

import anyhttp
from anyhttp import (
    BaseConnector,
    BasicAuth,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    ContentDisposition,
    CookieJar,
    EventSource,
    Fingerprint,
    FormData,
    HttpVersion,
    HttpVersion10,
    RequestInfo,
    ServerSentEvent,
    StreamReader,
    TCPConnector,
)
from anyhttp.abc import AbstractCookieJar
from anyhttp.client import RequestContextManager
from anyhttp.typedefs import StrOrURL


async def body() -> AsyncIterator[bytes]:
    """Be a body."""
    yield b""


async def verbs(session: ClientSession) -> None:
    """Each is awaited or entered, and gives a response."""
    assert_type(session.get("http://host/"), RequestContextManager)
    assert_type(await session.get(URL("http://host/")), ClientResponse)
    for call in (session.get, session.options, session.head, session.delete):
        async with call("/", params={"a": 1}, timeout=3) as response:
            assert_type(response, ClientResponse)
    for write in (session.post, session.put, session.patch):
        async with write("/", data=body(), compress="gzip", timeout=None) as response:
            assert_type(response, ClientResponse)
    async with session.request("GET", "/", allow_redirects=False) as response:
        assert_type(response, ClientResponse)
    async with anyhttp.request("GET", "/", version=HttpVersion10) as response:
        assert_type(response, ClientResponse)
    async with AsyncExitStack() as stack:
        assert_type(await stack.enter_async_context(session.get("/")), ClientResponse)
        lone = anyhttp.request("GET", "/")
        assert_type(await stack.enter_async_context(lone), ClientResponse)


async def options(session: ClientSession) -> None:
    """Every option, the old ones too."""
    await session.request(
        "POST",
        "/",
        params=[("a", "b")],
        json={"a": 1},
        cookies={"a": "b"},
        headers={"A": "b"},
        skip_auto_headers=["User-Agent"],
        auth=BasicAuth("user"),
        allow_redirects=True,
        max_redirects=3,
        compress=True,
        chunked=None,
        expect100=True,
        raise_for_status=True,
        read_until_eof=False,
        timeout=ClientTimeout(total=1),
        ssl=Fingerprint(b""),
        server_hostname="host",
        read_bufsize=1,
        auto_decompress=False,
        max_line_size=1,
        max_field_size=1,
        max_headers=1,
        max_body_size=1,
    )
    await session.post("/", data=FormData({"a": "b"}), headers=[("A", "b"), ("A", "c")])
    await session.get("/", encoding="utf-8", version=HttpVersion10, verify_ssl=False)
    await anyhttp.request("GET", "/", files={"a": "b"}, fingerprint=b"")


async def mistakes(session: ClientSession) -> None:
    """What is no option, or of a wrong type, is found before anything runs."""
    session.get("/", nonsense=3)  # type: ignore[call-arg]
    session.get("/", timeout="3")  # type: ignore[arg-type]
    session.get("/", headers={"A": 1})  # type: ignore[arg-type]
    session.get("/", auth=("user", "password"))  # type: ignore[arg-type]
    session.get("/", ssl="yes")  # type: ignore[arg-type]
    session.get(b"/")  # type: ignore[arg-type]
    session.post("/", b"body")  # type: ignore[call-arg]
    session.get("/", raise_for_status="yes")  # type: ignore[arg-type]
    anyhttp.request("GET", "/", chunked="no")  # type: ignore[arg-type]
    ClientSession(connector=ClientTimeout())  # type: ignore[arg-type]
    ClientSession(timeout=3)  # type: ignore[arg-type]


async def sessions() -> None:
    """What a session says of itself, and what ``async with`` gives."""
    async with ClientSession("http://host/", connector=TCPConnector(), cookie_jar=CookieJar()) as s:
        assert_type(s, ClientSession)
        assert_type(s.closed, bool)
        assert_type(s.connector, BaseConnector | None)
        assert_type(s.cookie_jar, AbstractCookieJar)
        assert_type(s.headers, CIMultiDict[str])
        assert_type(s.timeout, ClientTimeout)
        assert_type(s.version, HttpVersion)
        assert_type(s.auth, BasicAuth | None)
        assert_type(s.cookies, SimpleCookie)
        assert_type(await s.close(), None)

    class Mine(ClientSession):
        async def _request(
            self, method: str, str_or_url: StrOrURL, **kwargs: Any
        ) -> ClientResponse:
            return await super()._request(method, str_or_url, **kwargs)

    async with Mine() as mine:
        assert_type(mine, Mine)


async def responses(response: ClientResponse) -> None:
    """Head and body."""
    assert_type(response.status, int)
    assert_type(response.reason, str)
    assert_type(response.ok, bool)
    assert_type(response.method, str)
    assert_type(response.version, HttpVersion)
    assert_type(response.url, URL)
    assert_type(response.real_url, URL)
    assert_type(response.headers, CIMultiDictProxy[str])
    assert_type(response.raw_headers, tuple[tuple[bytes, bytes], ...])
    assert_type(response.cookies, SimpleCookie)
    assert_type(response.content_type, str)
    assert_type(response.charset, str | None)
    assert_type(response.content_length, int | None)
    assert_type(response.content_disposition, ContentDisposition | None)
    assert_type(response.links, MultiDictProxy[MultiDictProxy[str | URL]])
    assert_type(response.history, tuple[ClientResponse, ...])
    assert_type(response.request_info, RequestInfo)
    assert_type(await response.read(), bytes)
    assert_type(await response.text(), str)
    assert_type(await response.json(), Any)
    assert_type(response.raise_for_status(), None)
    async for line in response.lines(max_line_length=100):
        assert_type(line, str)
    async for value in response.json_lines():
        assert_type(value, Any)
    events = response.events()
    assert_type(events.last_event_id, str)
    assert_type(events.reconnection_time, int | None)
    async for event in events:
        assert_type(event, ServerSentEvent)
        assert_type(event.data, str)
        assert_type(event.retry, int | None)
        assert_type(event.json(), Any)

    response.release()
    await response.release()


async def event_source(session: ClientSession) -> None:
    """It takes the options of a request beside its own."""
    async with session.sse("/", method="POST", json={}, attempts=None, timeout=3) as source:
        assert_type(source, EventSource)
        assert_type(source.response, ClientResponse | None)
        async for event in source:
            assert_type(event, ServerSentEvent)
    session.sse("/", attempt=3)  # type: ignore[call-arg]


async def streams(content: StreamReader) -> None:
    """All ways to read a body."""
    assert_type(await content.read(10), bytes)
    assert_type(await content.readany(), bytes)
    assert_type(await content.readexactly(10), bytes)
    assert_type(await content.readline(), bytes)
    assert_type(await content.readuntil(b"\n"), bytes)
    assert_type(await content.readchunk(), tuple[bytes, bool])
    assert_type(content.read_nowait(), bytes)
    assert_type(content.at_eof(), bool)
    async for line in content:
        assert_type(line, bytes)
    async for piece in content.iter_chunked(10):
        assert_type(piece, bytes)
    async for piece in content.iter_any():
        assert_type(piece, bytes)
    async for data, end in content.iter_chunks():
        assert_type(data, bytes)
        assert_type(end, bool)
