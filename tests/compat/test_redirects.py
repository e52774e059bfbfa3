from __future__ import annotations

from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

from yarl import URL

from tests.compat.comparison import compared, failure, headers_seen, seen


def elsewhere(base: URL, target: object, status: int = 302) -> URL:
    """Return a URL that redirects to *target*."""
    return (base / "redirect-to").with_query(url=str(target), status=status)


@compared
async def test_redirects_are_followed(client: ModuleType, base: URL) -> object:
    """The response is the last one; those before it are its history."""
    async with client.ClientSession() as session:
        async with session.get(base / "redirect" / "3") as response:
            return (
                response.status,
                str(response.url),
                [(each.status, str(each.url), each.method) for each in response.history],
                [each.headers["Location"] for each in response.history],
                str(response.request_info.url),
                (await response.json())["target"],
                type(response.history).__name__,
            )


@compared
async def test_redirects_may_be_left_alone(client: ModuleType, base: URL) -> object:
    """With allow_redirects=False the redirect is the response; HEAD does so by itself."""
    url = base / "redirect" / "1"
    results: list[object] = []
    async with client.ClientSession() as session:
        for request in (
            session.get(url, allow_redirects=False),
            session.request("GET", url, allow_redirects=False),
            session.post(url, allow_redirects=False),
            session.head(url),
            session.head(url, allow_redirects=True),
            session.options(url),
        ):
            async with request as response:
                results.append(
                    (
                        response.status,
                        response.headers.get("location"),
                        response.history != (),
                        await response.read() == b"elsewhere",
                    )
                )
    return results


@compared
async def test_which_redirects_keep_verb_and_body(client: ModuleType, base: URL) -> object:
    """303 becomes GET, and so does POST with 301 or 302; 307 and 308 change nothing."""
    results: list[object] = []
    async with client.ClientSession() as session:
        for status in (301, 302, 303, 307, 308):
            for verb in ("GET", "HEAD", "POST", "PUT", "DELETE"):
                url = elsewhere(base, "/echo", status)
                async with session.request(verb, url, data=b"body") as response:
                    echo = await response.json() if verb != "HEAD" else {"method": "", "body": ""}
                    results.append((status, verb, response.method, echo["method"], echo["body"]))
        for status in (300, 304, 305, 306):
            async with session.get(elsewhere(base, "/echo", status)) as response:
                results.append((status, response.status, len(response.history)))
    return results


@compared
async def test_where_redirects_lead(client: ModuleType, base: URL) -> object:
    """A target is absolute, or relative to the URL that redirected."""
    results: list[object] = []
    async with client.ClientSession() as session:
        for target in (
            base / "echo",
            "/echo?a=b",
            "echo/relative",
            "./echo",
            "../echo",
            f"//{base.host}:{base.port}/echo",
            "?url=/echo&status=302",
            "/echo/a b",
            "/echo/%7E%2f",
            "/echo#fragment",
            "http:echo",
            "HTTP:/echo?c=d",
            "http:../echo",
        ):
            async with session.get(f"{elsewhere(base, target)}#first") as response:
                line = (await response.json())["target"]
                results.append((line, str(response.url), str(response.real_url)))
        async with session.get(elsewhere(base, "/echo"), params={"once": "1"}) as response:
            results.append(((await response.json())["target"], str(response.url), ""))
    return results


@compared
async def test_redirects_that_go_nowhere(client: ModuleType, base: URL) -> object:
    """A target that is no URL, or none of http, is an error of the redirect."""
    async with client.ClientSession() as session:
        return [
            (target, await failure(session.get(elsewhere(base, target))))
            for target in ("ftp://example.test/", "mailto:a@b.test", "data:,x", "http://h:port/")
        ]


@compared
async def test_redirects_to_no_host(client: ModuleType, base: URL) -> object:
    """A target with a scheme is absolute (RFC 3986 §5.2.2), and without a host no URL of http."""
    async with client.ClientSession() as session:
        return [
            (target, await failure(session.get(elsewhere(base, target))))
            for target in ("http://", "http:///echo", "https://?a=b", "https:echo", "https:/echo")
        ]


@compared
async def test_redirects_without_end(client: ModuleType, base: URL) -> object:
    """max_redirects bounds how many are followed; the error tells where they began."""
    results: list[object] = []
    async with client.ClientSession() as session:
        for many, options in (
            (2, {"max_redirects": 2}),
            (2, {"max_redirects": 3}),
            (10, {}),
            (9, {}),
        ):
            url = base / "redirect" / str(many)
            results.append(await failure(session.get(url, **options)))
        try:
            await session.get(base / "redirect" / "20", max_redirects=4)
        except client.TooManyRedirects as exc:
            results += [exc.status, str(exc.request_info.url), len(exc.history)]
            results.append([str(each.url) for each in exc.history])
    return results


@compared
async def test_credentials_and_other_origins(client: ModuleType, base: URL) -> object:
    """They are kept on the same origin; on another one they are dropped."""
    away = base.with_host("localhost")
    headers = {"Authorization": "Bearer token", "X-Other": "kept", "Cookie": "a=b"}
    async with client.ClientSession() as session:
        return [
            await headers_seen(session.get(elsewhere(base, target), **options))
            for target in (base / "echo", away / "echo")
            for options in (
                {"headers": headers},
                {"auth": client.BasicAuth("user", "pass")},
                {"cookies": {"own": "cookie"}},
            )
        ]


@compared
async def test_credentials_in_a_target(client: ModuleType, base: URL) -> object:
    """Credentials in the URL of a redirect are used for it."""
    target = (base / "echo").with_user("user").with_password("pass")
    async with client.ClientSession() as session:
        async with session.get(elsewhere(base, target)) as response:
            headers = dict((await response.json())["headers"])
            return headers.get("Authorization"), str(response.url)


@compared
async def test_cookies_on_the_way(client: ModuleType, base: URL) -> object:
    """What one hop sets the next one sends."""
    jar = client.CookieJar(unsafe=True)
    async with client.ClientSession(cookie_jar=jar) as session:
        async with session.get((base / "cookies" / "set").with_query(a="1")) as response:
            return await response.json()


@compared
async def test_bodies_that_are_sent_again(client: ModuleType, base: URL) -> object:
    """307 sends the body again if there is one to be sent; a generator is used up."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"piece"

    url = elsewhere(base, "/echo", 307)
    async with client.ClientSession() as session:
        results: list[Any] = [
            await seen(session.post(url, data=data)) for data in (b"bytes", {"a": "b"}, "text")
        ]
        results.append(await seen(session.post(url, json={"a": 1})))
        results.append(await failure(session.post(url, data=pieces())))
        return results


@compared
async def test_statuses_that_raise_after_redirects(client: ModuleType, base: URL) -> object:
    """raise_for_status judges the last response, and none of those before it."""
    async with client.ClientSession(raise_for_status=True) as session:
        return [
            await failure(session.get(elsewhere(base, "/status/404"))),
            await failure(session.get(elsewhere(base, "/status/200"))),
        ]
