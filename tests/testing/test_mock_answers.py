"""What a mock answers, and what the client makes of it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from yarl import URL

from anyhttp import ClientResponseError, ClientSession, CookieJar
from anyhttp.testing import Answer, MockConnector, ReceivedRequest, drip, garbage
from tests.support.census import assert_no_tokens

API = "https://api.test"


def test_a_mock_is_made_without_an_event_loop() -> None:
    """So fixtures and modules can make it."""
    mock = MockConnector()
    mock.get(API, text="fine")
    assert mock.calls == []


@pytest.mark.parametrize(
    ("options", "status", "content_type", "body"),
    [
        ({}, 200, "application/octet-stream", b""),
        ({"status": 404}, 404, "application/octet-stream", b""),
        (
            {"json": {"a": [1, None, "ü"]}},
            200,
            "application/json",
            '{"a": [1, null, "ü"]}'.encode(),
        ),
        ({"json": None}, 200, "application/json", b"null"),
        ({"text": "ü", "status": 201}, 201, "text/plain", "ü".encode()),
        ({"body": b"\x00\xff"}, 200, "application/octet-stream", b"\x00\xff"),
        ({"body": bytearray(b"ab")}, 200, "application/octet-stream", b"ab"),
        ({"body": memoryview(b"ab")}, 200, "application/octet-stream", b"ab"),
        ({"body": drip(b"abcdef", size=4)}, 200, "application/octet-stream", b"abcdef"),
        ({"text": "{}", "headers": {"content-type": "text/x"}}, 200, "text/x", b"{}"),
        ({"status": 204}, 204, "application/octet-stream", b""),
    ],
)
async def test_an_answer_reads_like_one_of_a_server(
    options: Any, status: int, content_type: str, body: bytes, http1: str
) -> None:
    """Status, media type and body arrive as they were given."""
    mock = MockConnector(http1=http1)
    mock.get(f"{API}/a", **options)
    async with ClientSession(connector=mock) as session:
        async with session.get(f"{API}/a") as response:
            assert response.status == status
            assert response.content_type == content_type
            assert await response.read() == body
        assert_no_tokens(mock, idle=0)


async def test_the_reason_and_headers_are_those_of_the_answer() -> None:
    """A field may come twice."""
    mock = MockConnector()
    headers = [("X-A", "1"), ("X-A", "2")]
    mock.get(API, reason="Done", headers=headers)
    async with ClientSession(connector=mock) as session:
        async with session.get(API) as response:
            assert response.reason == "Done"
            assert response.headers.getall("x-a") == ["1", "2"]


async def test_nothing_is_sent_that_a_real_server_would_not_get() -> None:
    """The mock asks for no ``Connection: close``, although each of its connections serves once."""
    mock = MockConnector()
    mock.get(f"{API}/a")
    async with ClientSession(connector=mock) as session:
        await session.get(f"{API}/a")
    assert list(mock.calls[0].headers) == ["Host", "Accept", "Accept-Encoding", "User-Agent"]


@pytest.mark.parametrize("status", [200, 404])
async def test_head_gets_the_length_and_no_body(status: int, http1: str) -> None:
    """RFC 9110 §9.3.2."""
    mock = MockConnector(http1=http1)
    mock.head(API, status=status, body=b"12345")
    async with ClientSession(connector=mock) as session:
        async with session.head(API) as response:
            assert response.headers["Content-Length"] == "5"
            assert await response.read() == b""


async def test_the_client_decodes_a_body_that_the_answer_has_encoded() -> None:
    """A ``Content-Encoding`` is a header like any other: the body is given encoded."""
    mock = MockConnector()
    mock.get(API, body=gzip.compress(b"text"), headers={"Content-Encoding": "gzip"})
    async with ClientSession(connector=mock) as session:
        async with session.get(API) as response:
            assert await response.read() == b"text"


async def test_cookies_and_redirects_are_those_of_the_client() -> None:
    """The mock answers what the client asks for, hop by hop."""
    mock = MockConnector()
    mock.get(f"{API}/a", status=302, headers={"Location": "/b", "Set-Cookie": "k=v"})
    mock.get(f"{API}/b", answer=lambda request: Answer(json=dict(request.cookies)))
    async with ClientSession(connector=mock, cookie_jar=CookieJar()) as session:
        async with session.get(f"{API}/a") as response:
            assert await response.json() == {"k": "v"}
            assert [str(past.url) for past in response.history] == [f"{API}/a"]
    assert [str(call) for call in mock.calls] == [f"GET {API}/a", f"GET {API}/b"]


async def test_raise_for_status_shows_the_body() -> None:
    """An error answer is one for the client."""
    mock = MockConnector()
    mock.get(API, status=500, text="what went wrong")
    async with ClientSession(connector=mock, raise_for_status=True) as session:
        with pytest.raises(ClientResponseError) as caught:
            await session.get(API)
    assert caught.value.body == b"what went wrong"


async def test_a_request_through_a_proxy_is_answered() -> None:
    """The target is a whole URL if a proxy forwards it; for https there would be a tunnel."""
    mock = MockConnector()
    mock.get("http://api.test/a", text="plain")
    mock.get("https://api.test/a", text="tls")
    proxy = "http://user:secret@proxy.test:3128"
    async with ClientSession(connector=mock) as session:
        for scheme, text in (("http", "plain"), ("https", "tls")):
            async with session.get(f"{scheme}://api.test/a", proxy=proxy) as response:
                assert await response.text() == text
    plain, tls = mock.calls
    assert plain.proxy == tls.proxy == URL("http://proxy.test:3128")
    assert "Proxy-Authorization" in plain.headers
    assert "Proxy-Authorization" not in tls.headers


def plain_function(request: ReceivedRequest) -> object:
    """Return what becomes JSON."""
    return {"method": request.method, "params": dict(request.path_params)}


async def async_function(request: ReceivedRequest) -> object:
    """Do the same."""
    return plain_function(request)


@pytest.mark.parametrize("function", [plain_function, async_function])
async def test_a_function_gets_the_request(function: Callable[[ReceivedRequest], Any]) -> None:
    """Whether it is asynchronous or not."""
    mock = MockConnector()
    mock.get(f"{API}/users/{{id}}", answer=function)
    async with ClientSession(connector=mock) as session:
        async with session.get(f"{API}/users/7") as response:
            assert await response.json() == {"method": "GET", "params": {"id": "7"}}


@pytest.mark.parametrize(
    ("value", "status", "body"),
    [
        (Answer(status=201, text="a"), 201, b"a"),
        (404, 404, b""),
        ("text", 200, b"text"),
        (b"bytes", 200, b"bytes"),
        ({"a": 1}, 200, b'{"a": 1}'),
        ([1], 200, b"[1]"),
    ],
)
async def test_an_answer_is_made_of_a_plain_value(value: Any, status: int, body: bytes) -> None:
    """As ``answer=``, in ``answers=``, and from a function."""
    mock = MockConnector()
    mock.get(f"{API}/value", answer=value)
    mock.get(f"{API}/items", answers=[value])
    mock.get(f"{API}/function", answer=lambda request: value)
    async with ClientSession(connector=mock) as session:
        for path in ("value", "items", "function"):
            async with session.get(f"{API}/{path}") as response:
                assert (response.status, await response.read()) == (status, body)


async def test_answers_are_given_one_after_the_other() -> None:
    """Then the route is used up."""
    mock = MockConnector()
    route = mock.get(API, answers=[500, lambda request: {"a": 1}])
    async with ClientSession(connector=mock) as session:
        async with session.get(API) as response:
            assert response.status == 500
        async with session.get(API) as response:
            assert await response.json() == {"a": 1}
    assert route.call_count == 2
    assert route.is_used_up


async def test_a_later_route_answers_when_an_earlier_one_is_used_up() -> None:
    """``times=`` limits a route."""
    mock = MockConnector()
    mock.get(API, status=503, times=2)
    mock.get(API, status=200)
    async with ClientSession(connector=mock) as session:
        statuses = [(await session.get(API)).status for _ in range(4)]
    assert statuses == [503, 503, 200, 200]


async def test_a_fallback_answers_what_no_route_does() -> None:
    """Any method, any URL."""
    mock = MockConnector()
    mock.get(f"{API}/a", text="a")
    fallback = mock.fallback(status=404)
    async with ClientSession(connector=mock) as session:
        assert (await session.get(f"{API}/a")).status == 200
        assert (await session.delete("http://other.test/b")).status == 404
    assert [str(call) for call in fallback.calls] == ["DELETE http://other.test/b"]


async def test_raw_bytes_are_all_that_is_sent(http1: str) -> None:
    """They may be a response, or not."""
    mock = MockConnector(http1=http1)
    mock.get(API, raw=b"HTTP/1.0 200 Old\r\n\r\nuntil the end")
    mock.get(f"{API}/garbage", answer=garbage())
    async with ClientSession(connector=mock) as session:
        async with session.get(API) as response:
            assert response.reason == "Old"
            assert await response.text() == "until the end"
        with pytest.raises(ClientResponseError):
            await session.get(f"{API}/garbage")
        assert_no_tokens(mock, idle=0)


async def test_a_body_longer_than_any_buffer_arrives() -> None:
    """The client takes it in parts."""
    mock = MockConnector()
    body = bytes(range(256)) * 8192
    mock.get(API, body=body)
    async with ClientSession(connector=mock) as session:
        async with session.get(API) as response:
            assert await response.read() == body


async def test_many_requests_at_once_get_each_its_own_answer() -> None:
    """More of them than the connector has slots."""
    mock = MockConnector()
    mock.get(f"{API}/{{number}}", answer=lambda request: request.path_params["number"])
    async with ClientSession(connector=mock) as session:

        async def fetch(number: int) -> None:
            async with session.get(f"{API}/{number}") as response:
                texts[number] = await response.text()

        texts: dict[int, str] = {}
        async with anyio.create_task_group() as group:
            for number in range(200):
                group.start_soon(fetch, number)
    assert texts == {number: str(number) for number in range(200)}
    assert len(mock.calls) == 200


async def test_a_mock_can_be_used_without_a_session_block() -> None:
    """``session.close()`` closes the mock."""
    mock = MockConnector()
    mock.get(API, json=[1])
    session = ClientSession(connector=mock)
    async with session.get(API) as response:
        assert json.loads(await response.text()) == [1]
    await session.close()
    assert mock.closed
