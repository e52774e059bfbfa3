"""Text that others wrote as a URL: how it is parsed, and how it is shown."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, strategies as st
from yarl import URL

from anyhttp._common import authority_end, parsed_url, printable, shortened, without_user_info


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


@pytest.mark.parametrize("encoded", [True, False])
@pytest.mark.parametrize("text", ["http://[]@/", "//[:]\x01@/x", "http://[::1]a:b@?x", "ws://u[]@"])
def test_brackets_without_a_host(text: str, encoded: bool) -> None:
    """It has no host, or is no URL, whatever yarl makes of brackets in the user info."""
    with suppress(ValueError):  # an old yarl can parse some of them
        assert not parsed_url(text, encoded=encoded).raw_host
    assert "@" not in without_user_info(text)


def test_long_hosts_are_noticed_before_they_are_parsed() -> None:
    """CVE-2026-45409: IDNA takes quadratic time; a path may be as long as it likes."""
    for host in ("a" * 513, "a" * 513 + ":80", "user:word@" + "\N{SNOWMAN}" * 513):
        with pytest.raises(ValueError, match="the host is too long"):
            parsed_url(f"http://{host}/")
    for text in ("http://a/" + "a" * 10_000, "http://user:" + "a" * 10_000 + "@a/", "a" * 10_000):
        assert str(parsed_url(text)) == text


@pytest.mark.parametrize("start", ["\x01//", "\x0b http://", "h\tttp://", "http:\t//", "/\t/"])
def test_control_characters_do_not_hide_a_long_host(start: str) -> None:
    """They are dropped where a URL is parsed, and IDNA is given the host behind them."""
    text = start + "\N{LATIN SMALL LETTER E WITH ACUTE}" * 2
    assert URL("http://asked/").join(URL(text)).host == "\N{LATIN SMALL LETTER E WITH ACUTE}" * 2
    with pytest.raises(ValueError, match="the host is too long"):
        parsed_url(start + "a" * 513 + "/")


PIECES = [
    "h",
    ":",
    "//",
    "/",
    "\t",
    "\n",
    "\r",
    " ",
    "\x00",
    "\x1f",
    "@",
    "?",
    "#",
    "\\",
    "http",
    "[",
]


@given(
    before=st.lists(st.sampled_from(PIECES), max_size=8).map("".join),
    after=st.lists(st.sampled_from(PIECES), max_size=3).map("".join),
)
def test_no_long_host_reaches_the_parser(before: str, after: str) -> None:
    """Whatever stands around it: what is parsed has no host that is too long."""
    for encoded in (False, True):
        try:
            url = parsed_url(f"{before}{'a' * 600}{after}", encoded=encoded)
            host = url.raw_host or ""
        except ValueError:
            continue
        assert len(host) <= 512


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text", "plain text"),
        (
            "gr\N{LATIN SMALL LETTER U WITH DIAERESIS}n",
            "gr\N{LATIN SMALL LETTER U WITH DIAERESIS}n",
        ),
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("a\x9bb\x7f", "a\\x9bb\\x7f"),
        ("a\r\nb\tc", "a\\r\\nb\\tc"),
        ("\u202e\u2066\u200f", "\\u202e\\u2066\\u200f"),
        ("\u2028\ufeff", "\\u2028\\ufeff"),
        ("\ud800\udcff", "\\ud800\\udcff"),
        ("\U000e0001", "\\U000e0001"),
    ],
)
def test_text_that_can_be_printed(text: str, shown: str) -> None:
    """What a terminal obeys, what turns the direction round, and what cannot be encoded."""
    assert printable(text) == shown
    shown.encode()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://host/@user", "http://host/@user"),
        ("http://user:pw@host/p?q=1#f", "http://host/p?q=1#f"),
        ("http://user@host/", "http://host/"),
        ("//user:pw@host/", "//host/"),
        ("http://:pw@host/", "http://host/"),
        # no URL, so whatever could be a password goes
        ("http://user:p/w@host/", "http://host/"),
        ("http://user:p@w@[/", "http://[/"),
        ("user:pw@host/", "host/"),
        ("http://user:pw@/", "http:///"),
        ("host/path", "host/path"),
        ("", ""),
    ],
)
def test_user_info_is_left_out(url: str, shown: str) -> None:
    """Text for messages has neither user nor password, even if the URL is broken."""
    assert without_user_info(url) == shown


def test_user_info_of_url_objects_is_left_out() -> None:
    """A parsed URL is treated as its text would be."""
    assert without_user_info(URL("https://u:p@host:8443/x?y")) == "https://host:8443/x?y"
    assert without_user_info(URL("https://host/x")) == "https://host/x"
    assert without_user_info(URL("/relative")) == "/relative"
    assert without_user_info(URL("user:pw@host/")) == "host/"
    assert without_user_info(URL("http:/user:pw@host/")) == "http://host/"


def test_urls_are_shown_printable() -> None:
    """With user info and without, parsed or not."""
    for text in ("ftp://u:p@h:x/\x9b\u202e", "u:p@\x9b\u202e", "\x9b\u202e"):
        assert without_user_info(text).endswith("\\x9b\\u202e")
        assert "p@" not in without_user_info(text)
    assert without_user_info(URL("http://u:p@h/\x9b", encoded=True)) == "http://h/\\x9b"


def test_long_urls_are_shortened() -> None:
    """What is left out cannot hide where the user info ends."""
    assert shortened("http://host/path") == "http://host/path"
    assert shortened("http://u:p@host/") == "http://u:p@host/"
    shown = shortened("http://user:" + "secret" * 300 + "@host/path")
    assert shown == "http://host/path..."
    assert shortened("x" * 2000) == "x" * 100 + "..."
