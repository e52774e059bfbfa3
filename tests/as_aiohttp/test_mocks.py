"""What mocking libraries do, by the names that they import from aiohttp."""

from __future__ import annotations

import importlib
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import Mock, patch

from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

import anyhttp
from anyhttp.testing import mock_requests
from tests.support.server import Server


def imported(name: str) -> ModuleType:
    """Return a module of aiohttp, as a library imports it."""
    return importlib.import_module(name)


def answer(method: str, url: URL, body: bytes) -> Any:
    """Return a response that a library has made."""
    aiohttp = imported("aiohttp")
    reader = aiohttp.StreamReader(
        imported("aiohttp.client_proto").ResponseHandler(loop=Mock()), limit=2**16, loop=Mock()
    )
    reader.feed_data(body)
    reader.feed_eof()
    response = aiohttp.ClientResponse(
        method,
        url,
        writer=None,
        continue100=None,
        timer=imported("aiohttp.helpers").TimerNoop(),
        request_info=aiohttp.RequestInfo(url, method, CIMultiDictProxy(CIMultiDict()), url),
        traces=[],
        loop=Mock(),
        session=None,
        stream_writer=SimpleNamespace(output_size=0),
    )
    response._headers = CIMultiDictProxy(CIMultiDict({"Content-Type": "application/json"}))
    response.status = 200
    response.reason = imported("aiohttp.http").RESPONSES[200][0]
    response.content = reader
    return response


async def test_an_answer_in_the_place_of_each_request(stand_in: None, server: Server) -> None:
    """The method of all sessions is replaced by its name; some requests are passed on."""
    aiohttp = imported("aiohttp")

    async def ask(session: Any, method: str, url: Any, **options: Any) -> Any:
        asked = session._build_url(url)
        headers = session._prepare_headers(options.pop("headers", None))
        if asked.host != "mocked.test":
            return await patcher.temp_original(session, method, url, headers=headers, **options)
        return answer(method, asked, b'{"key": "%b"}' % headers["X-Key"].encode())

    patcher = patch("aiohttp.client.ClientSession._request", autospec=True, side_effect=ask)
    with patcher:
        async with aiohttp.ClientSession(headers={"X-Key": "of the session"}) as session:
            async with session.get("http://mocked.test/path") as response:
                assert isinstance(response, anyhttp.ClientResponse)
                assert (response.status, response.reason) == (200, "OK")
                assert await response.json() == {"key": "of the session"}
            async with session.get(server.url / "json", headers={"X-Key": "2"}) as response:
                assert response.request_info.headers["X-Key"] == "2"
                assert (await response.json())["title"]
    assert len(server.requests) == 1


async def test_a_session_with_a_store(stand_in: None, server: Server) -> None:
    """A subclass takes options of its own, and lets a body be read that it has read before."""
    aiohttp = imported("aiohttp")

    class Kept(aiohttp.StreamReader):  # type: ignore[misc, name-defined]
        def __init__(self, body: bytes) -> None:
            super().__init__(Mock(_reading_paused=False), limit=2**16, loop=Mock())
            self.feed_data(body)
            self.feed_eof()

    class Session(aiohttp.ClientSession):  # type: ignore[misc, name-defined]
        store: dict[str, Any]

        async def _request(
            self, method: str, url: Any, expire_after: float | None = None, **options: Any
        ) -> Any:
            if expire_after is None:
                return await super()._request(method, url, **options)
            if str(url) not in self.store:
                response = await super()._request(method, url, **options)
                await response.read()
                response.content = Kept(response._body)
                self.store[str(url)] = response._body, response._released
                return response
            return answer(method, url, self.store[str(url)][0])

    url = server.url / "json"
    async with Session() as session:
        session.store = {}
        async with session.get(url) as response:
            plain = await response.read()
        for _ in range(2):
            async with session.get(url, expire_after=60) as response:
                assert await response.content.read() == plain
    assert len(server.requests) == 2
    assert session.store == {str(url): (plain, False)}


async def test_requests_are_mocked_as_those_of_this_package(stand_in: None) -> None:
    """What a program for aiohttp gets is the same session."""
    aiohttp = imported("aiohttp")
    with mock_requests() as mock:
        mock.get("http://api.test/users", json=["Ann"])
        async with aiohttp.ClientSession() as session:
            async with session.get("http://api.test/users") as response:
                assert await response.json() == ["Ann"]
