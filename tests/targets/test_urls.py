"""Which URLs can be requested, before they are parsed and afterwards."""

from __future__ import annotations

import pytest
from yarl import URL

from anyhttp import InvalidUrlClientError
from anyhttp._targets import (
    checked_server_hostname,
    checked_url,
    host_error,
    is_upgrade,
    origin_of,
    target_error,
)


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
        (".host", False),
        ("a..b", False),
        ("host..", False),
        (".127.0.0.1", False),
        (f"{'a' * 64}.test", True),  # a resolver of an application may know it
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


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("host.test", True),
        ("host.test.", True),
        ("127.0.0.1", True),
        ("::1", True),
        ("b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.test", True),
        ("", False),
        (".", False),
        (".host", False),
        ("a..b", False),
        ("ho st", False),
        ("ho\x00st", False),
        ("host\ud800", False),
        ("\N{SNOWMAN}\N{COMBINING ACUTE ACCENT}" * 40, False),
    ],
)
def test_names_for_tls(name: str, fits: bool) -> None:
    """TLS would raise an error of its own, after the connection is made."""
    if fits:
        assert checked_server_hostname(name) == name
        return
    with pytest.raises(ValueError, match="server_hostname is not the name of a host"):
        checked_server_hostname(name)


@pytest.mark.parametrize("host", ["\xe9..test", "\xe9" * 70 + ".test", "user:word@\xe9..test"])
def test_hosts_that_cannot_be_encoded(host: str) -> None:
    """The error says so in all versions of Python, and shows no password."""
    with pytest.raises(InvalidUrlClientError, match="cannot be encoded by IDNA") as caught:
        checked_url(f"http://{host}/", frozenset({"http"}))
    assert "word" not in str(caught.value)
