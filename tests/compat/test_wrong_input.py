from __future__ import annotations

from functools import partial
from types import ModuleType
from typing import Any

from yarl import URL

from tests.compat.comparison import compared, failure, failures


@compared
async def test_urls_that_cannot_be_requested(client: ModuleType, base: URL) -> object:
    """Without a host, with a scheme of something else, or no URL at all."""
    async with client.ClientSession() as session:
        return [
            (url, await failure(session.get(url)))
            for url in (
                "",
                "/relative",
                "example.test",
                "http://",
                "http:///path",
                "http://:80/",
                "ftp://example.test/",
                "file:///etc/hosts",
                "mailto:user@example.test",
                "http://host:port/",
                "http://host:99999/",
                "http://[::1/",
                "http://127.1/",
                "http://2130706433/",
            )
        ]


@compared
async def test_what_an_invalid_url_tells(client: ModuleType, base: URL) -> object:
    """InvalidURL has the URL and is a ValueError."""
    async with client.ClientSession() as session:
        try:
            await session.get("http://")
        except client.InvalidURL as exc:
            return str(exc.url), isinstance(exc, ValueError), isinstance(exc, client.ClientError)
    return "nothing raised"


@compared
async def test_options_that_contradict_each_other(client: ModuleType, base: URL) -> object:
    """Two of them that cannot both be meant are a ValueError."""
    url = base / "echo"
    auth = client.BasicAuth("user", "pass")
    async with client.ClientSession() as session:
        return await failures(
            lambda **options: session.post(**{"url": url, **options}),
            {"data": b"a", "json": 1},
            {"auth": auth, "headers": {"Authorization": "Bearer x"}},
            {"auth": auth, "url": url.with_user("other").with_password("pass")},
            {"data": b"a", "compress": True, "headers": {"Content-Encoding": "gzip"}},
            {"data": b"a", "chunked": True, "headers": {"Content-Length": "1"}},
        )


@compared
async def test_options_of_a_wrong_type(client: ModuleType, base: URL) -> object:
    """What cannot be sent is refused before anything is sent."""
    url = base / "echo"
    async with client.ClientSession() as session:
        return await failures(
            lambda **options: session.post(url, **options),
            {"data": 1},
            {"data": object()},
            {"data": [1, 2]},
            {"json": object()},
            {"json": {1, 2}},
            {"params": {"a": None}},
            {"params": {"a": True}},
            {"params": {"a": object()}},
            {"params": 5},
            {"auth": ("user", "pass")},
            {"ssl": "yes"},
            {"ssl": 1.5},
            {"nonsense": 1},
        )


@compared
async def test_text_that_would_break_the_framing(client: ModuleType, base: URL) -> object:
    """Control characters are refused in methods, header names, and values."""
    url = base / "echo"
    async with client.ClientSession() as session:
        results = [
            (verb, await failure(session.request(verb, url)))
            for verb in (
                "GET\r\nX: y",
                "G ET",
                "GET\x00",
                "G\N{LATIN SMALL LETTER E WITH ACUTE}T",
            )
        ]
        results += await failures(
            lambda **options: session.get(url, **options),
            {"headers": {"X-A": "a\r\nX-B: b"}},
            {"headers": {"X-A": "a\nb"}},
            {"headers": {"X-A": "a\x00b"}},
            {"headers": {"X-A\r\nX-B": "b"}},
        )
        return results


@compared
async def test_sessions_that_cannot_be_made(client: ModuleType, base: URL) -> object:
    """Options of a session are checked when it is made."""

    async def make(**options: Any) -> None:
        await client.ClientSession(**options).close()

    return await failures(
        make,
        {"base_url": "/relative"},
        {"base_url": "http://example.test/path"},
        {"timeout": 5},
        {"nonsense": 1},
    )


@compared
async def test_connectors_that_cannot_be_made(client: ModuleType, base: URL) -> object:
    """Options of a connector are checked when it is made."""

    async def make(**options: Any) -> None:
        await client.TCPConnector(**options).close()

    return await failures(
        make,
        {"force_close": True, "keepalive_timeout": 5},
        {"ssl": "yes"},
        {"ssl": 5},
        {"nonsense": 1},
    )


@compared
async def test_values_that_cannot_be_made(client: ModuleType, base: URL) -> object:
    """Credentials with a colon, digests of a wrong length, fields of wrong types."""
    return [
        await failures(
            lambda **options: client.BasicAuth(**options),
            {"login": None},
            {"login": "a:b"},
            {"login": "a", "password": None},
        ),
        [
            await failure(partial(client.BasicAuth.decode, text))
            for text in ("", "Bearer x", "Basic", "Basic ???", "Basic YQ==")
        ],
        await failure(lambda: client.BasicAuth.from_url("http://a:b@c/")),
        await failure(lambda: client.encode_basic_auth("a:b")),
        [await failure(partial(client.Fingerprint, bytes(size))) for size in (0, 16, 20, 31)],
        await failures(
            lambda **options: client.FormData().add_field(**options),
            {"name": "a", "value": "b", "content_type": 1},
            {"name": "a", "value": "b", "filename": 1},
            {"name": "a", "value": "b", "content_type": "a/b\r\nX: y"},
        ),
        await failure(lambda: client.FormData(["text"])),
        await failure(lambda: client.FormData(5)),
        await failure(lambda: client.MultipartWriter().append(object())),
        await failure(lambda: client.MultipartWriter(boundary="gr\N{SNOWMAN}n")),
        await failure(lambda: client.CookieJar().filter_cookies(5)),
    ]


@compared
async def test_blocks_that_must_be_async(client: ModuleType, base: URL) -> object:
    """A plain with block around a session is a TypeError."""
    session = client.ClientSession()

    def enter() -> None:
        with session:
            pass

    try:
        return await failure(enter)
    finally:
        await session.close()
