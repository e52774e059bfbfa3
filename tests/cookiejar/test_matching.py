"""Which domains, paths and times match, as functions alone."""

from __future__ import annotations

from datetime import UTC, datetime
from http.cookies import SimpleCookie

import pytest
from yarl import URL

from anyhttp.cookiejar import _jar
from anyhttp.cookiejar._matching import Cookie, Place, is_ip, is_secure, path_matches, scoped
from anyhttp.cookiejar._store import _prefixes
from tests.support.cookies import SITE, jar_with, sent

NOW = 1_700_000_000.0


def cookie(header: str) -> Cookie:
    """Return what ``https://example.com/`` sets now."""
    (morsel,) = SimpleCookie(header).values()
    made = scoped(morsel, Place("example.com", "/", secure=True), NOW)
    assert made is not None
    return made


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.0.0.1.", True),
        ("::1", True),
        ("a.1", True),
        ("a.1x", False),
        ("a.1X", False),
        ("1.a", False),
        ("", False),
    ],
)
def test_what_is_an_address(host: str, expected: bool) -> None:
    """A colon, or a number as the last label."""
    assert is_ip(host) is expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://example.com/", True),
        ("wss://example.com/", True),
        ("http://dev.test:8080/x", True),
        ("http://dev.test/x", False),
        ("/x", False),
        ("", False),
    ],
)
def test_which_urls_are_secure(url: str, expected: bool) -> None:
    """Those with TLS, and those of an origin that is trusted; a path has no origin."""
    assert is_secure(URL(url), {URL("http://dev.test:8080")}) is expected
    assert is_secure(URL(url), frozenset()) is (expected and "dev" not in url)


@pytest.mark.parametrize(
    ("host", "unsafe", "domains"),
    [
        ("www.example.com", False, ("", "com", "example.com", "www.example.com")),
        (".example.com", False, ("", "com", "example.com", ".example.com")),
        ("localhost", False, ("", "localhost")),
        ("127.0.0.1", False, ("",)),
        ("127.0.0.1", True, ("", "127.0.0.1")),
        (None, False, ("",)),
    ],
)
def test_domains_whose_cookies_a_host_gets(
    host: str | None, unsafe: bool, domains: tuple[str, ...]
) -> None:
    """The closest one last; an address has only its own."""
    assert _jar._domains(host, unsafe) == domains


def test_the_domains_of_long_hosts_are_not_kept() -> None:
    """A server could fill the memory by redirects to many of them."""
    for length, is_kept in ((64, True), (65, False)):
        host = "www." + "x" * (length - 8) + ".com"
        assert len(host) == length
        jar = jar_with("a=1", url=f"https://{host}/")
        _jar._domains.cache_clear()
        assert sent(jar, f"https://{host}/") == "a=1"
        assert _jar._domains.cache_info().currsize == is_kept


@pytest.mark.parametrize("path", ["/", "/a", "/a/", "/a/bc/d", "/a//b", "/a/bc/", "//"])
def test_paths_above_a_path(path: str) -> None:
    """RFC 6265bis §5.1.4: they are those that match it."""
    beginnings = {path[:end] for end in range(1, len(path) + 1)}
    above = {prefix for prefix in _prefixes(path) if prefix}
    assert above == {prefix for prefix in beginnings if path_matches(path, prefix)}


def test_paths_are_shown_without_slashes_at_their_end() -> None:
    """All other characters stay."""
    jar = jar_with("a=1; Path=/aX/", "b=1; Path=/")
    assert set(jar.cookies) == {("example.com", "/aX"), ("example.com", "")}


@pytest.mark.parametrize(
    ("age", "expires"),
    [
        ("1", NOW + 1),
        ("1000", NOW + 1000),
        ("100000000000", NOW + 10**11),
        ("100000000001", NOW + 10**11),
        ("9" * 30, NOW + 10**11),
    ],
)
def test_when_a_cookie_expires(age: str, expires: float) -> None:
    """After ``Max-Age`` seconds; one that lasts for thousands of years is no less a date."""
    made = cookie(f"a=1; Max-Age={age}")
    assert made.expires == expires
    assert datetime.fromtimestamp(expires, UTC).year < 6000
    assert not made.is_expired(expires - 0.5)
    assert made.is_expired(expires)


@pytest.mark.parametrize("age", ["0", "-1", "-" + "9" * 30])
def test_a_cookie_that_has_expired_as_it_is_set(age: str) -> None:
    """No time is left to it."""
    assert cookie(f"a=1; Max-Age={age}").is_expired(NOW)


def test_what_is_sent_has_the_value_as_the_program_reads_it() -> None:
    """And the text as the server has sent it."""
    found = jar_with('a="x y"; Path=/').filter_cookies(SITE)
    assert (found["a"].value, found["a"].coded_value) == ("x y", '"x y"')
