"""Which URLs can be requested, before they are parsed and afterwards."""

from __future__ import annotations

import pytest
from yarl import URL

from anyhttp._targets import (
    authority_end,
    host_error,
    host_is_too_long,
    is_upgrade,
    origin_of,
    target_error,
)


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("http://host:80/path", "/path"),
        ("http://user:word@host?query", "?query"),
        ("//host#fragment", "#fragment"),
        ("http://host", ""),
        ("/path//more", "/path//more"),
        ("path?x=http://host/", "path?x=http://host/"),
        ("a/b://host/", "a/b://host/"),
        ("\x01 //host/path", "/path"),
        ("\x1fhttp://host/path", "/path"),
        ("ht\ttp:\t/\n/\r/path", "/path"),
        ("\t/path//more", "\t/path//more"),
        ("", ""),
    ],
)
def test_where_the_authority_ends(text: str, rest: str) -> None:
    """RFC 3986 §3.2: it begins with two slashes and goes up to the next slash, "?" or "#"."""
    assert text[authority_end(text) :] == rest


def test_long_hosts_are_noticed_before_they_are_parsed() -> None:
    """CVE-2026-45409: IDNA takes quadratic time; a path may be as long as it likes."""
    assert host_is_too_long("http://" + "a" * 1025 + "/")
    assert not host_is_too_long("http://a/" + "a" * 10_000)


@pytest.mark.parametrize("start", ["\x01//", "\x0b http://", "h\tttp://", "http:\t//", "/\t/"])
def test_control_characters_do_not_hide_a_long_host(start: str) -> None:
    """They are dropped where a URL is parsed, and IDNA is given the host behind them."""
    text = start + "\N{LATIN SMALL LETTER E WITH ACUTE}" * 2
    assert URL("http://asked/").join(URL(text)).host == "\N{LATIN SMALL LETTER E WITH ACUTE}" * 2
    assert host_is_too_long(start + "a" * 1025 + "/")


@pytest.mark.parametrize(
    ("first", "second", "equal"),
    [
        ("http://h/a", "http://h:80/b?c#d", True),
        ("https://h/", "https://h:443/", True),
        ("https://h/", "wss://h/", True),
        ("http://h:8/", "ws://h:8/", True),
        ("http://h/", "http://H/", True),
        ("http://user:word@h/", "http://h/", True),
        ("http://h/", "https://h/", False),
        ("http://h:443/", "https://h/", False),
        ("ws://h/", "wss://h/", False),
        ("http://h/", "http://h:81/", False),
        ("http://h/", "http://g/", False),
        ("http://h/", "http://h./", False),
    ],
)
def test_origins(first: str, second: str, equal: bool) -> None:
    """RFC 6454 §4: scheme, host and port, however the URL writes them."""
    for encoded in (False, True):
        origins = [origin_of(URL(url, encoded=encoded)) for url in (first, second)]
        assert (origins[0] == origins[1]) is equal


@pytest.mark.parametrize(
    ("url", "target", "upgrade"),
    [
        ("http://h/", "https://h/", True),
        ("http://h:80/", "https://H:443/b", True),
        ("ws://h/", "wss://h/", True),
        ("http://h:8/", "https://h/", False),
        ("http://h/", "https://h:8/", False),
        ("http://h/", "https://g/", False),
        ("https://h/", "http://h/", False),
    ],
)
def test_upgrades(url: str, target: str, upgrade: bool) -> None:
    """The same host, on the ports where each scheme is expected."""
    assert is_upgrade(URL(url), URL(target)) is upgrade


@pytest.mark.parametrize(
    ("host", "fits"),
    [
        ("example.com", True),
        ("example.com.", True),
        ("127.0.0.1", True),
        ("::1", True),
        ("fe80::1%eth0", True),
        (None, False),
        ("", False),
        (".", False),
        ("127.1", False),
        ("0177.0.0.1", False),
        ("2130706433", False),
        ("0x7f.1", False),
        ("%61.test", False),
        ("a b", False),
        ("a/b", False),
        ("1:2", False),
    ],
)
def test_hosts(host: str | None, fits: bool) -> None:
    """Names, and addresses in the one form that all programs read alike."""
    assert (host_error(host) is None) is fits


@pytest.mark.parametrize(
    ("target", "fits"),
    [
        ("/a?b", True),
        ("/ä", True),
        ("/a b", False),
        ("/\t", False),
        ("/\n", False),
        ("/\x7f", False),
    ],
)
def test_targets(target: str, fits: bool) -> None:
    """RFC 9112 §3.2: white space would end the target, a line break the request line."""
    assert (target_error(target) is None) is fits
