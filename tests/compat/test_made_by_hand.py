"""Responses, streams and requests that mocking libraries make, as aiohttp's are and as here."""

from __future__ import annotations

import copy
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import Mock, patch

from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from tests.compat.comparison import compared, failure

ASKED = URL("http://host.test/dir/file?a=b#part")


def reader(client: ModuleType, *pieces: bytes, limit: int = 2**16) -> Any:
    """Return a stream that a mocking library fills."""
    stream = client.StreamReader(Mock(_reading_paused=False), limit=limit, loop=Mock())
    for piece in pieces:
        stream.feed_data(piece)
    stream.feed_eof()
    return stream


def made(client: ModuleType, *pieces: bytes, status: int = 200, **fields: Any) -> Any:
    """Return a response as mocking libraries make it."""
    headers = CIMultiDict({"Content-Type": "application/json", **fields})
    response = client.ClientResponse(
        "GET",
        ASKED,
        writer=None,
        continue100=None,
        timer=None,
        request_info=client.RequestInfo(
            ASKED, "GET", CIMultiDictProxy(CIMultiDict({"X-Sent": "1"})), ASKED
        ),
        traces=[],
        loop=Mock(),
        session=None,
        stream_writer=SimpleNamespace(output_size=0),
    )
    response._headers = CIMultiDictProxy(headers)
    response._raw_headers = tuple((k.encode(), v.encode()) for k, v in headers.items())
    response.status = status
    response.reason = "Phrase"
    response.content = reader(client, *pieces)
    return response


@compared
async def test_what_a_response_tells(client: ModuleType, base: URL) -> object:
    """It tells what has been set, and what follows from that."""
    response = made(client, Link='</next>; rel="next"')
    response.cookies.load("a=1")
    response._history = (made(client, status=302),)
    return (
        [response.method, response.status, response.reason, response.ok, response.host],
        [response.url, response.real_url, response.request_info.headers, response.closed],
        [dict(response.headers), response.raw_headers, response.content_type, response.charset],
        [response.links["next"]["url"], response.cookies["a"].value, len(response.history)],
        [response.connection, response.get_encoding(), response.content_length],
    )


@compared
async def test_what_is_read_of_it(client: ModuleType, base: URL) -> object:
    """In each way, and again, and after the end."""
    whole, streamed, block = (made(client, b'{"a"', b": \n1}") for _ in range(3))
    results: list[object] = [await whole.read(), await whole.text(), await whole.json()]
    results.append([line async for line in streamed.content])
    results.append(streamed.content.at_eof())
    async with block as response:
        results.append(await response.content.read(3))
    results += [await failure(action) for action in (block.read, block.content.read)]
    set_as_bytes = made(client)
    set_as_bytes._body = b"[]"
    results.append(await set_as_bytes.json())
    shallow = copy.copy(made(client, b"copied"))
    results.append(await shallow.text())
    closed = made(client)
    closed.close()
    closed.content = reader(client, b"set after the end")
    closed.release()
    return [*results, await closed.content.read()]


@compared
async def test_errors_of_it(client: ModuleType, base: URL) -> object:
    """They are told as of any response."""
    results: list[object] = []
    for status in (200, 404):
        try:
            made(client, status=status).raise_for_status()
        except client.ClientResponseError as error:
            results += [error.status, error.message, error.headers["Content-Type"], str(error)]
    try:
        await made(client, b"{}", status=200, **{"Content-Type": "text/plain"}).json()
    except client.ContentTypeError as error:
        results += [error.status, error.request_info.method]
    return results


@compared
async def test_streams_that_are_filled(client: ModuleType, base: URL) -> object:
    """The limit is that of lines; nothing else of the arguments matters."""
    too_long = await failure(reader(client, b"x" * 100 + b"\n", limit=4).readline)
    results: list[object] = [
        await reader(client, b"ab\nc").readline(),
        await reader(client, b"abc").readexactly(2),
        await reader(client, b"ab", b"c").read(),
        # Only here it is a ClientPayloadError, too.
        [name for name in too_long if name not in ("ClientPayloadError", "ClientError")],
    ]
    named = client.StreamReader(protocol=Mock(_reading_paused=False), limit=4, loop=Mock())
    return [*results, named.get_read_buffer_limits()]


@compared
async def test_requests_that_are_answered_by_hand(client: ModuleType, base: URL) -> object:
    """A library puts a function of its own in the place of each session's requests."""
    asked = []

    async def answer(session: Any, method: str, url: Any, **options: Any) -> Any:
        asked.append((method, str(url), sorted(options)))
        return made(client, b'{"mocked": true}', status=500)

    async with client.ClientSession() as session:
        with patch.object(client.ClientSession, "_request", autospec=True, side_effect=answer):
            async with session.get(ASKED, headers={"A": "1"}) as response:
                results = [response.status, await response.json()]
            results.append((await session.post(ASKED, data=b"x")).status)
        async with session.get(base / "json") as response:
            results.append(response.status)
    return results, asked
