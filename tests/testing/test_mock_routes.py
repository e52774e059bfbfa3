"""Which requests a route takes, what is refused when one is made, and what a failure says."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Awaitable, Callable
from time import process_time
from typing import Any
from unittest.mock import ANY

import pytest
from yarl import URL

from anyhttp import ClientSession, FormData
from anyhttp.testing import Answer, MockConnector, ReceivedRequest, UnansweredRequest, drip

API = "https://api.test"

Ask = Callable[..., Awaitable[ReceivedRequest]]


async def is_answered(mock: MockConnector, url: str, method: str = "GET", **options: Any) -> bool:
    """Make a request, and return whether a route has answered it."""
    session = ClientSession(connector=mock, connector_owner=False)
    try:
        await session.request(method, url, **options)
    except UnansweredRequest:
        return False
    finally:
        await session.close()
    return True


@pytest.mark.parametrize(
    ("pattern", "url", "params"),
    [
        (f"{API}/a", f"{API}/a", {}),
        (f"{API}:443/a", f"{API}/a", {}),
        ("https://API.test/a", f"{API}/a", {}),
        (f"{API}/a", f"{API}/a#part", {}),
        (API, f"{API}/", {}),
        (f"{API}/ü b", f"{API}/%C3%BC%20b", {}),
        ("http://bücher.test/a", "http://xn--bcher-kva.test/a", {}),
        (f"{API}/a?x=1&y=2", f"{API}/a?y=2&x=1", {}),
        (f"{API}/a?x=1&x=2", f"{API}/a?x=2&x=1", {}),
        (f"{API}/a?x={{n}}", f"{API}/a?x=%7Bn%7D", {}),
        ("/a", f"{API}/a", {}),
        ("/a", "http://other.test:8080/a", {}),
        (URL("/a"), f"{API}/a", {}),
        (URL(f"{API}/{{a}}"), f"{API}/%7Ba%7D", {}),
        (f"{API}/users/{{id}}", f"{API}/users/7", {"id": "7"}),
        (f"{API}/users/{{id}}", f"{API}/users/a%2Fb%20c", {"id": "a/b c"}),
        (f"{API}/{{a}}/x/{{b}}", f"{API}/1/x/2", {"a": "1", "b": "2"}),
        (f"{API}/v{{version}}.json", f"{API}/v2.json", {"version": "2"}),
        (f"{API}/files/{{rest:path}}", f"{API}/files/a/b.txt", {"rest": "a/b.txt"}),
        (f"{API}/files/{{rest:path}}", f"{API}/files/", {"rest": ""}),
        ("/{name}", f"{API}/a", {"name": "a"}),
        (re.compile(r"https://[a-z]+\.test/(?P<what>\w+)"), f"{API}/a?x=1", {"what": "a"}),
        (re.compile(r".*"), f"{API}/whatever", {}),
        (re.compile(r"^HTTPS?:\/\/API", re.IGNORECASE), f"{API}/a", {}),
        (re.compile(r"ftp|https"), f"{API}/a", {}),
        (re.compile("https:  # a comment", re.VERBOSE), f"{API}/a", {}),
    ],
)
async def test_a_route_takes(pattern: Any, url: str, params: dict[str, str]) -> None:
    """Patterns of each kind."""
    mock = MockConnector()
    mock.get(pattern)
    assert await is_answered(mock, url)
    assert mock.calls[0].path_params == params


@pytest.mark.parametrize(
    ("pattern", "url"),
    [
        (f"{API}/a", f"{API}/b"),
        (f"{API}/a", f"{API}/a/"),
        (f"{API}/a", "http://api.test/a"),
        (f"{API}/a", f"{API}:444/a"),
        (f"{API}/a", f"{API}/a?x=1"),
        (f"{API}/a?x=1", f"{API}/a"),
        (f"{API}/a?x=1", f"{API}/a?x=1&x=1"),
        (f"{API}/users/{{id}}", f"{API}/users/"),
        (f"{API}/users/{{id}}", f"{API}/users/1/2"),
        (f"{API}/users/{{id}}", f"{API}/users/1?x=1"),
        (re.compile(r"http://"), f"{API}/a"),
        (re.compile(r"[^:]+api\.test"), f"{API}/a"),
    ],
)
async def test_a_route_does_not_take(pattern: Any, url: str) -> None:
    """Patterns of each kind."""
    mock = MockConnector()
    mock.get(pattern)
    assert not await is_answered(mock, url)
    assert mock.calls == []


@pytest.mark.parametrize(
    ("options", "request_options", "answered"),
    [
        ({"match_query": {"page": 2}}, {"params": {"page": "2"}}, True),
        ({"match_query": {"page": 2}}, {"params": {"page": "2", "more": "1"}}, True),
        ({"match_query": {"page": 2}}, {"params": {"page": "3"}}, False),
        ({"match_query": {"id": ["1", "2"]}}, {"params": [("id", "2"), ("id", "1")]}, True),
        ({"match_query": {"id": ["1", "2"]}}, {"params": {"id": "1"}}, False),
        ({"match_query": {}}, {"params": {"any": "thing"}}, True),
        ({}, {"params": {"any": "thing"}}, False),
        ({"match_headers": {"X-A": "1"}}, {"headers": {"x-a": "1"}}, True),
        ({"match_headers": {"X-A": "1"}}, {"headers": [("X-A", "0"), ("X-A", "1")]}, True),
        ({"match_headers": {"X-A": "1"}}, {"headers": {"X-A": "11"}}, False),
        ({"match_headers": {"X-A": "1"}}, {}, False),
        ({"match_headers": {"X-A": re.compile("[0-9]+$")}}, {"headers": {"X-A": "11"}}, True),
        ({"match_headers": {"X-A": re.compile("[0-9]+$")}}, {"headers": {"X-A": "1a"}}, False),
        ({"match_json": {"a": [1, 2]}}, {"json": {"a": [1, 2]}}, True),
        ({"match_json": {"a": ANY}}, {"json": {"a": [1, 2]}}, True),
        ({"match_json": {"a": 1}}, {"json": {"a": 2}}, False),
        ({"match_json": {"a": 1}}, {"data": b"no JSON"}, False),
        ({"match_json": None}, {"data": b"null"}, True),
        ({"match_json": {1: ("a", "b")}}, {"json": {"1": ["a", "b"]}}, True),
        ({"match_json": {"a": 1}}, {"data": b'{"a": 1}', "compress": "gzip"}, True),
        ({"match_body": b"abc"}, {"data": b"abc"}, True),
        ({"match_body": b"abc"}, {"data": b"abcd"}, False),
        ({"match_body": "ü"}, {"data": "ü"}, True),
        ({"match_body": "a=1"}, {"data": FormData({"a": "1"})}, True),
        ({"match_body": "a"}, {"data": b"\xff"}, False),
        ({"match_body": re.compile(b"a+$")}, {"data": b"aaa"}, True),
        ({"match_body": re.compile("ü+$")}, {"data": "üü"}, True),
        ({"match_body": re.compile("a+$")}, {"data": "ab"}, False),
    ],
)
async def test_conditions(options: Any, request_options: Any, answered: bool) -> None:
    """What a request must have besides its method and URL."""
    mock = MockConnector()
    mock.post(f"{API}/a", **options)
    assert await is_answered(mock, f"{API}/a", "POST", **request_options) == answered


async def test_conditions_on_a_body_that_is_streamed() -> None:
    """They are asked when all of it has been received; the routes before and after still hold."""

    async def body(text: bytes) -> Any:
        yield text[:3]
        yield text[3:]

    mock = MockConnector()
    first = mock.post(f"{API}/a", match_json={"a": 1}, text="first")
    second = mock.post(f"{API}/a", match_body=b"second", text="second")
    mock.post(f"{API}/b", text="b")
    other = mock.post(f"{API}/a", exception=ConnectionRefusedError())
    async with ClientSession(connector=mock) as session:
        for data, text in ((b'{"a": 1}', "first"), (b"second", "second")):
            async with session.post(f"{API}/a", data=body(data)) as response:
                assert await response.text() == text
        async with session.post(f"{API}/b", data=body(b"whatever")) as response:
            assert await response.text() == "b"
        # What fails to connect is decided by then, so the connection breaks instead.
        with pytest.raises(OSError, match="refused"):
            await session.post(f"{API}/a", data=body(b"other"))
    assert [route.call_count for route in (first, second, other)] == [1, 1, 1]
    assert other.calls[0].body == b"other"


async def test_no_route_takes_a_streamed_body() -> None:
    """The error comes out of the request, as if it had been known before."""

    async def body() -> Any:
        yield b"[1]"

    mock = MockConnector()
    mock.post(f"{API}/a", match_json=[2])
    async with ClientSession(connector=mock) as session:
        with pytest.raises(UnansweredRequest, match=r"JSON at \$\[0\]: expected 2, got 1"):
            await session.post(f"{API}/a", data=body())
    assert len(mock.unanswered) == 1


def test_methods() -> None:
    """Each has its own verb, and any has ``request()``."""
    mock = MockConnector()
    verbs = ("get", "post", "put", "patch", "delete", "head", "options")
    routes = [getattr(mock, verb)("/") for verb in verbs]
    routes.append(mock.request("propfind", "/"))
    assert [route.pattern.method for route in routes] == [*map(str.upper, verbs), "PROPFIND"]
    assert mock.routes == tuple(routes)


# -- mistakes are told where the route is made


@pytest.mark.parametrize(
    ("arguments", "options", "error", "text"),
    [
        (("users",), {}, ValueError, "url must be absolute, or a path from its root"),
        (("ftp://api.test/",), {}, ValueError, "the scheme must be http, https, ws or wss"),
        (("api.test:80/a",), {}, ValueError, "url must be absolute"),
        (("",), {}, ValueError, "url must be absolute"),
        ((None,), {}, TypeError, "url must be a str, a yarl.URL or a compiled pattern, not None"),
        ((b"/a",), {}, TypeError, "url must be a str, a yarl.URL or a compiled pattern, not bytes"),
        ((re.compile(b"a"),), {}, TypeError, "a pattern for str"),
        ((re.compile("/users"),), {}, ValueError, "url: '/users' matches no URL"),
        ((re.compile(r"^api\.test"),), {}, ValueError, "such as https://: begin it with .*"),
        ((re.compile("HTTPS://"),), {}, ValueError, "matches no URL"),
        (("/a",), {"match_json": object()}, TypeError, "match_json: JSON cannot hold object"),
        (("/a",), {"match_json": [b"a"]}, TypeError, "match_json: JSON cannot hold bytes"),
        (("/a",), {"match_json": {(): 1}}, TypeError, "match_json: keys must be str"),
        (("/a",), {"match_json": float("nan")}, ValueError, "match_json: Out of range"),
        (("/{}",), {}, ValueError, "'{}' must be {name} or {name:path}"),
        (("/{a-b}",), {}, ValueError, "'{a-b}' must be"),
        (("/{a:int}",), {}, ValueError, "'{a:int}' must be"),
        (("/{a}/{a}",), {}, ValueError, "two parts of the path have the name 'a'"),
        (("/{a:path}/b",), {}, ValueError, "{name:path} must be the last part"),
        (("https://{tenant}.test/",), {}, ValueError, "only the path can have named parts"),
        (("/a",), {"times": 0}, ValueError, "times must be at least 1"),
        (("/a",), {"times": "1"}, TypeError, "times must be an int or None"),
        (("/a",), {"status": 99}, ValueError, "status must be from 200 to 999"),
        (("/a",), {"status": "200"}, TypeError, "status must be an int"),
        (("/a",), {"status": 101}, ValueError, r"mock.ws\(\)"),
        (("/a",), {"reason": "a\r\nb"}, ValueError, "reason must be printable"),
        (("/a",), {"headers": {"A B": "1"}}, ValueError, "not a valid header name"),
        (("/a",), {"headers": {"A": "1\n"}}, ValueError, "the value of A holds a control"),
        (("/a",), {"headers": {"A": 1}}, TypeError, "A must be a str, not int"),
        (
            ("/a",),
            {"json": object()},
            TypeError,
            "json cannot be serialised: Object of type object",
        ),
        (("/a",), {"json": {"a": float("nan")}}, ValueError, "json cannot be serialised"),
        (("/a",), {"text": b"a"}, TypeError, "text must be a str"),
        (("/a",), {"body": "a"}, TypeError, "text= takes a str"),
        (("/a",), {"body": {"a": 1}}, TypeError, "json= takes a dict"),
        (("/a",), {"body": 5}, TypeError, "body must be bytes or an iterable of bytes, not int"),
        (("/a",), {"raw": "a"}, TypeError, "raw must be bytes"),
        (("/a",), {"text": "a", "json": 1}, ValueError, "json= and text="),
        (("/a",), {"raw": b"a", "status": 404}, ValueError, "raw= is all that is sent"),
        (("/a",), {"status": 204, "text": "a"}, ValueError, "status 204 has no body"),
        (("/a",), {"delay": -1}, ValueError, "delay must not be negative"),
        (("/a",), {"exception": KeyboardInterrupt}, TypeError, "exception must be an Exception"),
        (("/a",), {"exception": "refused"}, TypeError, "exception must be an Exception"),
        (("/a",), {"exception": UnansweredRequest}, TypeError, "UnansweredRequest needs arguments"),
        (
            ("/a",),
            {"exception": ConnectionRefusedError(), "body": b"half"},
            ValueError,
            "ConnectionRefusedError happens before anything is sent",
        ),
        (("/a",), {"answer": None}, TypeError, "answer must be an Answer"),
        (("/a",), {"answer": 3.5}, TypeError, "answer must be an Answer"),
        (("/a",), {"answer": 404, "json": 1}, ValueError, "answer= is the whole answer"),
        (("/a",), {"answer": 404, "answers": [1]}, ValueError, "answer= is the whole answer"),
        (("/a",), {"answers": []}, ValueError, "answers is empty"),
        (("/a",), {"answers": "abc"}, TypeError, "answers must be a sequence"),
        (("/a",), {"answers": [200, None]}, TypeError, "an item of answers must be an Answer"),
        (("/a",), {"answers": [200], "times": 2}, ValueError, "answers are used once each"),
        (("/a",), {"match_json": 1, "match_body": b""}, ValueError, "match_json and match_body"),
        (("/a",), {"match_body": 1}, TypeError, "match_body must be bytes, str or a pattern"),
        (("/a",), {"match_headers": {"A": 1}}, TypeError, "match_headers: A must be a str"),
        (("/a",), {"match_headers": {"A B": "1"}}, ValueError, "match_headers: 'A B' is not"),
        (("/a",), {"match_query": {"a": object()}}, TypeError, "match_query"),
        (("/a",), {"stream_request": 1}, TypeError, "stream_request must be a bool"),
        (("/a",), {"stream_request": True, "match_json": 1}, ValueError, "stream_request=True"),
        (("/a",), {"payload": 1}, TypeError, "there is no option 'payload'"),
    ],
)
def test_a_mistake_is_told_where_the_route_is_made(
    arguments: Any, options: Any, error: type[Exception], text: str
) -> None:
    """The error names the call and the argument; the route does not come into being."""
    mock = MockConnector()
    with pytest.raises(error, match=text.replace("{", r"\{").replace("}", r"\}")) as caught:
        mock.get(*arguments, **options)
    assert str(caught.value).startswith("mock.get(")
    assert mock.routes == ()


def test_a_bad_method_is_refused() -> None:
    """No request can have it."""
    with pytest.raises(ValueError, match="method 'A B' holds characters"):
        MockConnector().request("A B", "/")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((f"{API}/a", {}), (f"{API}/a", {})),
        ((f"{API}/a", {}), (f"{API}/a", {"match_json": 1})),
        ((f"{API}/a", {}), (f"{API}/a", {"times": 1})),
        (("/a", {}), (f"{API}/a", {})),
        (("/{name}", {}), ("/a", {})),
        (("/{name}", {}), ("/{other}", {})),
        (("/{rest:path}", {}), ("/{name}", {})),
        (("/{rest:path}", {}), ("/a/{more:path}", {})),
        ((re.compile("https://api"), {}), (f"{API}/a", {})),
        ((re.compile("https://a"), {}), (re.compile("https://a"), {})),
        ((f"{API}/a", {"match_query": {}}), (f"{API}/a?x=1", {})),
        ((f"{API}/a", {"match_query": {"x": 1}}), (f"{API}/a?x=1", {})),
        (("/a", {"match_headers": {"A": "1"}}), ("/a", {"match_headers": {"a": "1", "B": "2"}})),
        (("/a", {"match_json": {"a": 1}}), ("/a", {"match_json": {"a": 1}})),
        (("/a", {"match_body": b"a"}), ("/a", {"match_body": b"a"})),
    ],
)
def test_a_route_that_could_never_answer_is_refused(first: Any, second: Any) -> None:
    """One that was made before takes all of its requests; the error names it."""
    mock = MockConnector()
    earlier = mock.get(first[0], **first[1])
    with pytest.raises(ValueError, match="could never answer") as caught:
        mock.get(second[0], **second[1])
    assert f"the route {earlier}, which was made before" in str(caught.value)
    assert mock.routes == (earlier,)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((f"{API}/a", {"times": 1}), (f"{API}/a", {})),
        ((f"{API}/a", {"answers": [1000 - 1]}), (f"{API}/a", {})),
        ((f"{API}/a", {}), ("/a", {})),
        ((f"{API}/a", {}), (f"{API}/a?x=1", {})),
        ((f"{API}/a?x=1", {}), (f"{API}/a", {"match_query": {}})),
        (("/a", {}), ("/{name}", {})),
        (("/{name}", {}), ("/{rest:path}", {})),
        (("/{name}/b", {}), ("/a/{name}", {})),
        ((re.compile("https://a"), {}), (re.compile("https://b"), {})),
        ((re.compile("https://api"), {}), ("/a", {})),
        (("/a", {}), (re.compile("https://a"), {})),
        (("/a", {"match_headers": {"A": "1"}}), ("/a", {"match_headers": {"A": "2"}})),
        (("/a", {"match_headers": {"A": "1"}}), ("/a", {})),
        (("/a", {"match_json": {"a": 1}}), ("/a", {"match_json": {"a": 2}})),
        (("/a", {"match_json": 1}), ("/a", {"match_body": b"1"})),
        (("/a", {"match_body": b"1"}), ("/a", {"match_json": 1})),
        (("/a", {"match_json": 1}), ("/a", {})),
    ],
)
def test_a_route_that_may_answer_is_made(first: Any, second: Any) -> None:
    """There is a request that the route before does not take."""
    mock = MockConnector()
    mock.get(first[0], **first[1])
    mock.get(second[0], **second[1])
    assert len(mock.routes) == 2


async def test_a_route_can_be_removed() -> None:
    """Another one can be made in its place."""
    mock = MockConnector()
    route = mock.get("/a", status=500)
    fallback = mock.fallback(status=404)
    mock.remove(route)
    mock.remove(fallback)
    with pytest.raises(ValueError, match="is not a route of this mock"):
        mock.remove(route)
    assert not await is_answered(mock, f"{API}/a")
    mock.get("/a")
    assert await is_answered(mock, f"{API}/a")


# -- requests that no route answers


async def test_the_nearest_of_long_urls_is_found_soon() -> None:
    """Comparing all of them would take minutes."""
    mock = MockConnector()
    mock.get(f"{API}/{'a' * 20_000}")
    started = process_time()
    async with ClientSession(connector=mock) as session:
        with pytest.raises(UnansweredRequest):
            await session.get(f"{API}/{'ab' * 20_000}")
    assert process_time() - started < 10


async def test_an_unanswered_request_names_the_routes_and_why_they_did_not_match() -> None:
    """The nearest one comes first, with the differences."""
    mock = MockConnector()
    mock.get(f"{API}/users", status=200)
    mock.post(f"{API}/users", match_json={"name": "Ada", "tags": [1, 2]})
    mock.get(f"{API}/once", times=1)
    async with ClientSession(connector=mock) as session:
        await session.get(f"{API}/once")
        with pytest.raises(UnansweredRequest) as caught:
            await session.post(f"{API}/users", json={"name": "Bob", "tags": [1], "age": 7})
        assert str(caught.value) == textwrap.dedent(f"""\
            no route answers POST {API}/users
            The nearest of 3 is POST {API}/users:
              JSON at $.name: expected 'Ada', got 'Bob'
              JSON at $.tags: expected 2 items, got 1
              JSON at $.age: is not expected, got 7
            The others:
              GET {API}/users: method: expected GET, got POST
              GET {API}/once: path: expected /once, got /users; method: expected GET, got POST; \
it is used up: it answers one request""")
        assert caught.value.request.json() == {"name": "Bob", "tags": [1], "age": 7}
        assert mock.unanswered == [caught.value]
        with pytest.raises(UnansweredRequest):
            mock.assert_all_answered()


@pytest.mark.parametrize(
    ("route", "request_options", "reason"),
    [
        ((f"{API}/a", {}), {"url": "http://api.test/a"}, "scheme: expected https, got http"),
        ((f"{API}/a", {}), {"url": "https://other.test/a"}, "host: expected api.test, got other"),
        ((f"{API}/a", {}), {"url": f"{API}:444/a"}, "port: expected 443, got 444"),
        ((f"{API}/a/{{id}}", {}), {"url": f"{API}/b"}, r"path: expected /a/\{id\}, got /b"),
        ((f"{API}/ü", {}), {"url": f"{API}/b"}, "path: expected /ü, got /b"),
        ((f"{API}/a?x=1", {}), {"url": f"{API}/a?y=2"}, "query: lacks x=1, has also y=2"),
        (("/a", {"match_query": {"x": 1}}), {"url": f"{API}/a"}, "query: lacks x=1$"),
        ((re.compile("http:"), {}), {"url": f"{API}/a"}, r"re.compile\('http:'\) does not match"),
        (("/a", {"match_headers": {"X": "1"}}), {"url": f"{API}/a"}, "header x is missing"),
        (
            ("/a", {"match_headers": {"X": "1"}}),
            {"url": f"{API}/a", "headers": {"X": "2"}},
            "header x: expected '1', got '2'",
        ),
        (
            ("/a", {"match_headers": {"X": re.compile("1")}}),
            {"url": f"{API}/a", "headers": {"X": "2"}},
            "header x: expected a match of '1', got '2'",
        ),
        (
            ("/a", {"match_headers": {"Authorization": "secret"}}),
            {"url": f"{API}/a", "headers": {"Authorization": "other"}},
            "header authorization has another value$",
        ),
        (
            ("/a", {"match_json": 1}),
            {"url": f"{API}/a", "data": b"x"},
            "the body is not JSON: b'x'",
        ),
        (("/a", {"match_json": [1]}), {"url": f"{API}/a", "json": 1}, r"JSON at \$: expected"),
        (
            ("/a", {"match_json": {"a": 1}}),
            {"url": f"{API}/a", "json": {}},
            r"JSON at \$.a: is missing, expected 1",
        ),
        (
            ("/a", {"match_json": {"a b": [1]}}),
            {"url": f"{API}/a", "json": {"a b": [2]}},
            r"JSON at \$\['a b'\]\[0\]: expected 1, got 2",
        ),
        (
            ("/a", {"match_json": [1]}),
            {"url": f"{API}/a", "data": b"[" * 200_000},
            "the body is not JSON: ",
        ),
        (
            ("/a", {"match_json": list(range(9))}),
            {"url": f"{API}/a", "json": [-1] * 9},
            "JSON: there are more differences",
        ),
        (
            ("/a", {"match_body": b"a" * 200}),
            {"url": f"{API}/a", "data": b"b"},
            r"body: expected b'a+'... \(200 bytes\), got b'b'",
        ),
    ],
)
async def test_the_reason_why_a_route_does_not_take_a_request(
    route: Any, request_options: Any, reason: str
) -> None:
    """Each kind of difference has its words; secrets are not shown."""
    mock = MockConnector()
    mock.get(route[0], **route[1])
    async with ClientSession(connector=mock) as session:
        with pytest.raises(UnansweredRequest, match=rf"(?m)^  {reason}") as caught:
            await session.request("GET", **request_options)
    assert "secret" not in str(caught.value)


async def test_without_routes_the_error_says_so() -> None:
    """And shows no password of the URL."""
    mock = MockConnector()
    async with ClientSession(connector=mock) as session:
        with pytest.raises(UnansweredRequest, match="There are no routes") as caught:
            await session.get("https://user:secret@api.test/a")
    assert "secret" not in str(caught.value)


# -- asserts


async def made(*, method: str = "POST", url: str = f"{API}/a", **options: Any) -> MockConnector:
    """Return a mock that has got one request."""
    mock = MockConnector()
    mock.request(method, re.compile(".*"))
    assert await is_answered(mock, url, method, **options)
    return mock


async def test_what_was_sent_can_be_asserted() -> None:
    """Each method is of the mock and of its routes."""
    mock = await made(json={"a": 1}, params={"x": "1"}, headers={"X-A": "1"})
    route = mock.routes[0]
    mock.assert_all_called()
    mock.assert_all_answered()
    mock.assert_called()
    mock.assert_called_once()
    route.assert_called()
    route.assert_called_once()
    as_sent: Any = {"json": {"a": 1}, "query": {"x": 1}, "headers": {"X-A": re.compile("1")}}
    call = mock.assert_called_once_with("post", f"{API}/a", **as_sent)
    assert call is mock.calls[0]
    assert mock.assert_called_with("POST", "/a?x=1", body=re.compile('{"a": ?1}')) is call
    assert mock.assert_any_call("POST", "/a", **as_sent) is call
    assert route.assert_called_once_with(**as_sent) is call
    assert route.assert_called_with(**as_sent) is call
    assert route.assert_any_call(**as_sent) is call


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (lambda mock: mock.assert_not_called(), "mock: expected no request, got 1:\n  POST https"),
        (lambda mock: mock.routes[0].assert_not_called(), "expected no request, got 1:\n  POST"),
        (
            lambda mock: mock.assert_called_once_with("POST", f"{API}/a", json={"a": 2}),
            "is not as expected:\n  JSON at $.a: expected 2, got 1",
        ),
        (
            lambda mock: mock.assert_called_once_with("POST", f"{API}/b"),
            f"expected a request like POST {API}/b, got \n  POST {API}/a\n    path: expected /b",
        ),
        (
            lambda mock: mock.assert_called_with("POST", "/a", headers={"X-B": "1"}),
            "is not as expected:\n  header x-b is missing",
        ),
        (
            lambda mock: mock.assert_any_call("GET", "/a"),
            f"expected a request like GET /a, got \n  POST {API}/a\n    method: expected GET",
        ),
        (
            lambda mock: mock.routes[0].assert_any_call(query={"x": 1}),
            f"expected a request, got \n  POST {API}/a\n    query: lacks x=1",
        ),
        (
            lambda mock: mock.routes[0].assert_called_once_with(query={"x": 1}),
            "is not as expected:\n  query: lacks x=1",
        ),
        (lambda mock: mock.routes[0].assert_called_with(body=b"x"), "  body: expected b'x', got"),
        (
            lambda mock: mock.routes[0].assert_any_call(json=1),
            "JSON at $: expected 1, got {'a': 1}",
        ),
    ],
)
async def test_an_assertion_that_fails_tells_the_difference(check: Any, text: str) -> None:
    """As text of the :exc:`AssertionError`."""
    mock = await made(json={"a": 1})
    with pytest.raises(AssertionError, match=re.escape(text)):
        check(mock)


def test_an_assertion_without_requests() -> None:
    """None is not one."""
    mock = MockConnector()
    route = mock.get("/a")
    mock.assert_not_called()
    route.assert_not_called()
    for check in (mock.assert_called, route.assert_called):
        with pytest.raises(AssertionError, match="expected a request, got none"):
            check()
    for check in (mock.assert_called_once, route.assert_called_once):
        with pytest.raises(AssertionError, match="expected one request, got 0: none"):
            check()
    with pytest.raises(AssertionError, match="expected a request like GET /a, got none"):
        mock.assert_any_call("GET", "/a")
    with pytest.raises(AssertionError, match=r"not all routes were called:\n  GET /a: no request"):
        mock.assert_all_called()


async def test_a_sequence_that_is_not_used_up_is_not_all_called() -> None:
    """The program was expected to go on."""
    mock = MockConnector()
    mock.get("/a", answers=[500, 500, 200])
    mock.get("/b", times=3)
    assert await is_answered(mock, f"{API}/a")
    assert await is_answered(mock, f"{API}/b")
    with pytest.raises(AssertionError, match=r"called:\n  GET /a: 1 of 3 answers$"):
        mock.assert_all_called()


async def test_a_message_lists_not_more_requests_than_can_be_read() -> None:
    """The rest is counted."""
    mock = MockConnector()
    mock.get("/a")
    for _ in range(25):
        assert await is_answered(mock, f"{API}/a")
    with pytest.raises(AssertionError, match=r"and 5 more$"):
        mock.assert_called_once()


def test_what_is_shown_of_objects() -> None:
    """Short, and enough to know them by."""
    mock = MockConnector()
    assert repr(mock.get("/a", times=1)) == "<Route GET /a>"
    assert repr(mock.fallback()) == "<Route any method any URL>"
    assert repr(Answer(404, text="no")) == "<Answer status=404 body=b'no'>"
    assert repr(Answer(raw=b"x", exception=EOFError)) == "<Answer raw=b'x' fault=END>"
    assert repr(Answer(body=drip(b"a"))) == "<Answer status=200 body=...>"
    assert repr(Answer(body=[b"a"])) == "<Answer status=200 body=...>"
    assert repr(ReceivedRequest("GET", URL(API))) == f"<ReceivedRequest GET {API}>"


@pytest.mark.parametrize(
    "name", ["assert_called_once_with", "assert_called_with", "assert_any_call"]
)
def test_an_assertion_refuses_what_it_does_not_know(name: str) -> None:
    """A misspelt option would otherwise make the assertion weaker."""
    mock = MockConnector()
    route = mock.get("/a", text="a")
    text = "there is no option 'jsn'; there are body, headers, json, query"
    with pytest.raises(TypeError, match=f"^{text}$"):
        getattr(mock, name)("GET", "/a", jsn=1)
    with pytest.raises(TypeError, match=f"^{text}$"):
        getattr(route, name)(jsn=1)
