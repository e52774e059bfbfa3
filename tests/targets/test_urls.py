"""Which URLs can be requested, before they are parsed and afterwards."""

from __future__ import annotations

import pytest
from yarl import URL

from anyhttp._targets import authority_end, host_error, host_is_too_long, target_error


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
