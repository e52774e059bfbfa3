from __future__ import annotations

import json
from types import ModuleType

from multidict import CIMultiDict, MultiDict
from yarl import URL

from tests.compat.comparison import compared, headers_seen, read, request_seen, seen


@compared
async def test_each_verb_is_a_method(client: ModuleType, base: URL) -> object:
    """A session has a method for each verb, and request() for all of them."""
    async with client.ClientSession() as session:
        named = [
            await seen(getattr(session, verb)(base / "echo"))
            for verb in ("get", "options", "post", "put", "patch", "delete")
        ]
        spelled = [
            await seen(session.request(verb, base / "echo"))
            for verb in ("GET", "post", "TRACE", "PROPFIND", "X-OWN")
        ]
        async with session.head(base / "json") as response:
            head = response.status, response.method, await response.read(), response.content_length
    return named, spelled, head


@compared
async def test_a_request_without_a_session(client: ModuleType, base: URL) -> object:
    """request() needs no session."""
    async with client.request("PUT", base / "echo", data=b"text", params={"a": "b"}) as response:
        put = request_seen(await response.json())
    async with client.request("GET", base / "echo", cookies={"a": "b"}) as response:
        get = request_seen(await response.json())
    return put, get


@compared
async def test_a_url_is_text_or_an_object(client: ModuleType, base: URL) -> object:
    """Either form is requoted, except a URL that says that it is encoded."""
    results: list[object] = []
    async with client.ClientSession() as session:
        for url in (
            f"{base}echo/a b?c=d e#fragment",
            f"{base}echo/gr\N{LATIN SMALL LETTER U WITH DIAERESIS}n?x=\N{SNOWMAN}",
            f"{base}echo/%41%2F%2f%7e?q=%20+%2B",
            f"{base}echo?a=1&a=2&b&c=",
            base / "echo" / "%41" / "a/b",
            base.with_path("/echo").with_query({"a": "b&c=d"}),
            URL(f"{base}echo/%41%7e?q=%61", encoded=True),
        ):
            async with session.get(url) as response:
                echo = await response.json()
                results.append((echo["target"], str(response.url), str(response.real_url)))
    return results


@compared
async def test_params_in_each_form(client: ModuleType, base: URL) -> object:
    """Parameters are a mapping, pairs, or text, and extend the query that the URL has."""
    results: list[object] = []
    async with client.ClientSession() as session:
        for params in (
            {"key1": "value1", "key2": "value 2"},
            [("key", "value1"), ("key", "value2")],
            {"number": 1, "real": 2.5, "list": ["a", "b"], "tuple": (1, 2)},
            MultiDict([("a", "1"), ("b", "2"), ("a", "3")]),
            {"gr\N{LATIN SMALL LETTER U WITH DIAERESIS}n": "&=+ %/?#"},
            "key=value+1",
            {},
            "",
            None,
        ):
            for url in (base / "echo", (base / "echo").with_query("have=1"), f"{base}echo?a=%2B"):
                async with session.get(url, params=params) as response:
                    results.append(((await response.json())["target"], str(response.url)))
    return results


@compared
async def test_headers_in_each_form(client: ModuleType, base: URL) -> object:
    """Headers are a mapping or pairs; names may repeat, and are sent as they are spelled."""
    async with client.ClientSession() as session:
        return [
            await headers_seen(session.get(base / "echo", headers=headers))
            for headers in (
                {"X-One": "1", "x-two": "2"},
                [("X-One", "1"), ("X-One", "2")],
                CIMultiDict([("x-one", "1"), ("x-one", "2")]),
                MultiDict({"accept": "text/plain"}),
                {"ACCEPT": "application/json", "X-Empty": ""},
                {"Host": "example.test"},
                {"X-Text": "gr\N{LATIN SMALL LETTER U WITH DIAERESIS}n\tand more"},
            )
        ]


@compared
async def test_headers_of_a_session_and_of_a_request(client: ModuleType, base: URL) -> object:
    """Those of the request take the place of the session's of the same name."""
    headers = CIMultiDict([("X-Common", "session"), ("X-Common", "twice"), ("X-Other", "yes")])
    async with client.ClientSession(headers=headers) as session:
        results = [
            await headers_seen(session.get(base / "echo", headers=own))
            for own in (None, {"x-common": "request"}, [("X-COMMON", "a"), ("X-COMMON", "b")])
        ]
        session.headers["X-Later"] = "added"
        del session.headers["x-other"]
        results.append(await headers_seen(session.get(base / "echo")))
        return results, list(session.headers.items())


@compared
async def test_headers_that_are_not_added(client: ModuleType, base: URL) -> object:
    """skip_auto_headers of session and request together leave out what would be added."""
    results: list[object] = []
    async with client.ClientSession(skip_auto_headers=["user-agent"]) as session:
        for skip in (None, ["Accept"], ["Accept-Encoding", "content-type"], {"User-Agent"}):
            async with session.post(base / "echo", data=b"x", skip_auto_headers=skip) as response:
                echo = await response.json()
                results.append(sorted(name for name, _ in echo["headers"]))
        results.append(sorted(session.skip_auto_headers))
    return results


@compared
async def test_a_base_url(client: ModuleType, base: URL) -> object:
    """A relative URL is joined to it; one with a host takes its place."""
    results: list[object] = []
    async with client.ClientSession(base / "echo" / "v1" / "") as session:
        for url in ("users", "/echo/users", "../up", "a/b?c=d", URL("users?x=1"), base / "echo"):
            async with session.get(url) as response:
                results.append(((await response.json())["target"], str(response.url)))
    async with client.ClientSession(base_url=str(base)) as session:
        async with session.get("echo") as response:
            results.append(((await response.json())["target"], str(response.url)))
    return results


@compared
async def test_credentials(client: ModuleType, base: URL) -> object:
    """They come from the request, from the URL, or from the session, and in this order."""
    url, auth = base / "echo", client.BasicAuth("session", "secret")
    async with client.ClientSession() as session:
        results: list[object] = [
            await headers_seen(session.get(url, auth=client.BasicAuth("user", "pass"))),
            await headers_seen(session.get(url, auth=client.BasicAuth("only"))),
            await headers_seen(session.get(url.with_user("user").with_password("p@ss"))),
            await headers_seen(session.get(url.with_user("nobody"))),
            await headers_seen(session.get(url, headers={"Authorization": "Bearer token"})),
        ]
        async with session.get(url.with_user("user").with_password("pass")) as response:
            results.append(str(response.url))
    async with client.ClientSession(auth=auth) as session:
        results += [
            await headers_seen(session.get(url)),
            await headers_seen(session.get(url, auth=client.BasicAuth("user", "pass"))),
            await headers_seen(session.get(url.with_user("u").with_password("p"))),
            tuple(session.auth),
        ]
    return results


@compared
async def test_what_credentials_open(client: ModuleType, base: URL) -> object:
    """A server that asks for credentials answers to the right ones."""
    url = base / "basic-auth" / "user" / "pass"
    async with client.ClientSession() as session:
        return [
            await read(session.get(url)),
            await read(session.get(url, auth=client.BasicAuth("user", "wrong"))),
            await read(session.get(url, auth=client.BasicAuth("user", "pass"))),
        ]


@compared
async def test_basic_auth_alone(client: ModuleType, base: URL) -> object:
    """BasicAuth encodes, decodes, and reads the credentials of a URL."""
    auth = client.BasicAuth("J\N{LATIN SMALL LETTER O WITH DIAERESIS}rg", "p:w", "utf-8")
    return [
        auth.encode(),
        tuple(client.BasicAuth.decode(auth.encode(), "utf-8")),
        tuple(client.BasicAuth.decode("basic YTpi")),
        tuple(client.BasicAuth.from_url(URL("http://a:b@c/"))),
        client.BasicAuth.from_url(URL("http://c/")),
        client.encode_basic_auth("login", "password"),
    ]


@compared
async def test_a_serializer_of_ones_own(client: ModuleType, base: URL) -> object:
    """json_serialize of a session turns what is given as json into text."""

    def dumps(value: object) -> str:
        return json.dumps(value, separators=(",", ":"), sort_keys=True)

    async with client.ClientSession(json_serialize=dumps) as session:
        return await seen(session.post(base / "echo", json={"b": 1, "a": [1, 2]}))


@compared
async def test_a_serializer_to_bytes(client: ModuleType, base: URL) -> object:
    """json_serialize_bytes goes before json_serialize."""

    def dumps(value: object) -> bytes:
        return repr(value).encode()

    async with client.ClientSession(json_serialize_bytes=dumps) as session:
        return await seen(session.post(base / "echo", json={"b": 1}))


@compared
async def test_http_1_0(client: ModuleType, base: URL) -> object:
    """The version of a session is the version of its requests."""
    async with client.ClientSession(version=client.HttpVersion10) as session:
        get = await seen(session.get(base / "echo"))
        post = await seen(session.post(base / "echo", data=b"body"))
        return get, post, tuple(session.version)


@compared
async def test_a_body_that_waits_for_100(client: ModuleType, base: URL) -> object:
    """With expect100 the body is sent after the server has asked for it."""
    async with client.ClientSession() as session:
        return [
            await seen(session.post(base / "echo", data=b"body", expect100=True)),
            await seen(session.put(base / "echo", data=b"x", headers={"Expect": "100-continue"})),
            await read(session.post(base / "json", data=b"never sent", expect100=True)),
        ]


@compared
async def test_a_request_may_be_awaited(client: ModuleType, base: URL) -> object:
    """Without a block the caller releases the response."""
    async with client.ClientSession() as session:
        response = await session.get(base / "bytes" / "10")
        body = await response.read()
        unread = await session.get(base / "bytes" / "10")
        open_before = unread.closed
        unread.release()
        return body, response.closed, open_before, unread.closed


@compared
async def test_a_session_that_is_not_entered(client: ModuleType, base: URL) -> object:
    """A session works without a block, until it is closed."""
    session = client.ClientSession()
    try:
        before = session.closed
        result = await read(session.get(base / "json"))
    finally:
        await session.close()
    await session.close()
    return before, result, session.closed


@compared
async def test_what_a_request_was(client: ModuleType, base: URL) -> object:
    """request_info tells the URL, the method, and the headers as they were sent."""
    async with client.ClientSession() as session:
        async with session.get(f"{base}json?a=b#c", headers={"X-One": "1"}) as response:
            info = response.request_info
            return (
                str(info.url),
                str(info.real_url),
                info.method,
                info.headers["x-one"],
                info.headers["Host"],
                type(info.headers).__name__,
            )
