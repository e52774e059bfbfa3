from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from http.cookies import BaseCookie, Morsel, SimpleCookie
from typing import cast

import pytest
from yarl import URL

from anyhttp import ClientSession
from anyhttp.abc import AbstractCookieJar, ClearCookiePredicate
from anyhttp.typedefs import LooseCookies
from tests.support.api import Api


class Jar(AbstractCookieJar):
    """As one is written for aiohttp: it calls ``super().__init__(loop=...)``."""

    def __init__(self, *, loop: object = None) -> None:
        super().__init__(loop=loop)
        self.stored = SimpleCookie()

    @property
    def quote_cookie(self) -> bool:
        """Quote."""
        return True

    @property
    def unsafe(self) -> bool:
        """Accept all."""
        return True

    @property
    def cookies(self) -> Mapping[tuple[str, str], SimpleCookie]:
        """All of them at one place."""
        return {("", ""): self.stored}

    @property
    def host_only_cookies(self) -> frozenset[tuple[str, str, str]]:
        """None."""
        return frozenset()

    def clear(self, predicate: ClearCookiePredicate | None = None) -> None:
        """Forget all."""
        self.stored.clear()

    def clear_domain(self, domain: str) -> None:
        """Forget all."""
        self.stored.clear()

    def update_cookies(self, cookies: LooseCookies, response_url: URL = URL()) -> None:
        """Store all."""
        pairs = cookies.items() if isinstance(cookies, Mapping) else cookies
        for name, morsel in cast("Iterable[tuple[str, Morsel[str]]]", pairs):
            self.stored[name] = morsel

    def filter_cookies(self, request_url: URL) -> BaseCookie[str]:
        """Send all."""
        return self.stored

    def __iter__(self) -> Iterator[Morsel[str]]:
        return iter(self.stored.values())

    def __len__(self) -> int:
        return len(self.stored)


async def test_a_jar_written_for_aiohttp_works(api: Api) -> None:
    """It need not override what has a default there."""
    jar = Jar()
    assert jar.treat_as_secure_origin == frozenset()
    async with ClientSession(cookie_jar=jar) as session:
        async with session.get((api.url / "cookies/set").with_query(a="1")) as response:
            assert await response.json() == {"cookies": {"a": "1"}}
    assert [morsel.key for morsel in jar] == ["a"]


def test_a_jar_written_for_aiohttp_gets_what_was_set() -> None:
    """Also what ``http.cookies`` cannot parse, and more than one cookie of a name."""
    given: list[tuple[str, str, str]] = []

    class Listing(Jar):
        def update_cookies(self, cookies: LooseCookies, response_url: URL = URL()) -> None:
            assert isinstance(cookies, list)
            pairs = cast("list[tuple[str, Morsel[str]]]", cookies)
            given.extend((name, morsel.value, morsel["path"]) for name, morsel in pairs)

    jar = Listing()
    headers = ["a=1; Path=/; Partitioned", "a=2; Path=/x", 'b={"c": 1}; Path=/']
    jar.update_cookies_from_headers(headers, URL("https://example.com/"))
    assert given == [("a", "1", "/"), ("a", "2", "/x"), ("b", '{"c": 1}', "/")]
    jar.update_cookies_from_headers(["", "=;"], URL("https://example.com/"))
    assert len(given) == 3


def test_a_loop_given_to_a_jar_is_ignored() -> None:
    """The warning points at the call, not at the constructor of the subclass."""
    with pytest.warns(DeprecationWarning, match="loop") as caught:
        Jar(loop=object())
    assert caught[0].filename == __file__
