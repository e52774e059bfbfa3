from __future__ import annotations

import copy
import pickle
from typing import NamedTuple

import pytest
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from anyhttp._common.values import (
    ConnectionKey,
    ETag,
    HttpVersion,
    HttpVersion10,
    HttpVersion11,
    RequestInfo,
    shown_headers,
)


class Login(NamedTuple):
    """Looks like ``BasicAuth`` and has its ``repr``."""

    login: str
    password: str


def headers(**fields: str) -> CIMultiDictProxy[str]:
    """Make the read-only headers of a request."""
    return CIMultiDictProxy(CIMultiDict(fields))


def test_versions_are_ordered_tuples() -> None:
    """RFC 9110 §2.5: major before minor."""
    assert HttpVersion10 == (1, 0) < HttpVersion11 == HttpVersion(1, 1)
    assert (HttpVersion11.major, HttpVersion11.minor) == (1, 1)


def test_an_etag_is_a_value() -> None:
    """Equal by its parts, which do not change; strong unless told otherwise."""
    assert ETag("abc") == ETag(value="abc", is_weak=False) != ETag("abc", is_weak=True)
    assert {ETag("abc"): 1}[ETag("abc")] == 1
    assert repr(ETag("abc", True)) == "ETag(value='abc', is_weak=True)"
    with pytest.raises(AttributeError):
        ETag("abc").value = "other"  # type: ignore[misc]  # that is what is tested


def test_real_url_defaults_to_url() -> None:
    """``real_url`` may be left out and is the URL then."""
    url = URL("http://host/")
    assert RequestInfo(url, "GET", headers()).real_url is url
    assert RequestInfo(url, "GET", headers(), URL("http://host/#f")).real_url.fragment == "f"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_request_info_survives_pickling(protocol: int) -> None:
    """A read-only multidict cannot be pickled, a request info that holds one can."""
    info = RequestInfo(URL("http://host/"), "GET", headers(A="1"), URL("http://host/#f"))
    restored = pickle.loads(pickle.dumps(info, protocol))
    assert restored == info
    assert type(restored) is RequestInfo
    assert type(restored.headers) is CIMultiDictProxy
    assert copy.copy(info) == info


def test_request_info_shows_no_secret() -> None:
    """Neither user info nor the value of a credential header stands in a ``repr``."""
    url = URL("http://user:secret@host/path")
    info = RequestInfo(url, "GET", headers(Authorization="secret", cookie="secret", Accept="a/b"))
    assert "secret" not in repr(info)
    assert "'http://host/path'" in repr(info)
    assert "'Accept': 'a/b'" in repr(info)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Location", "http://user:secret@host/"),
        ("location", "//user:secret@host/"),
        ("Location", "http://user:sec/ret/secret@host/"),
        ("Location", "http://user:secret@" + "h" * 600 + "/"),
        ("Content-Location", "http://user:secret@[/"),
        ("Referer", "http://user:secret@host/"),
        ("Refresh", "5; url=http://user:secret@host/"),
        ("Refresh", "5;URL='http://user:se/secret@host/'"),
        ("Link", "<http://user:secret@host/>; rel=next, <//a:secret@b>; rel=x"),
        ("Link", "<http://user:se/secret@host/>; rel=next"),
        ("X-Any", "see http://user:secret@host/ and ftp://secret@host/"),
        ("Set-Cookie", "a=secret"),
    ],
)
def test_headers_show_no_secret(name: str, value: str) -> None:
    """A URL in any field may have user info."""
    shown = shown_headers(CIMultiDict({name: value}))
    assert "secret" not in shown
    assert f"'{name}': " in shown


def test_other_headers_are_shown() -> None:
    """As they are, but printable."""
    headers = CIMultiDict(
        {"From": "me@host.test", "Link": "<mailto:a>; title=@x", "X": "http://h/?a@b", "Y": "\x9b"}
    )
    assert shown_headers(headers) == (
        "<CIMultiDict('From': 'me@host.test', 'Link': '<mailto:a>; title=@x', "
        "'X': 'http://h/?a@b', 'Y': '\\x9b')>"
    )


def test_connection_key_shows_no_secret() -> None:
    """Neither the proxy's URL nor its login stands in clear in a ``repr``."""
    key = ConnectionKey(
        "host", 443, True, True, URL("http://u:secret@proxy"), Login("u", "secret"), None
    )
    assert "secret" not in repr(key)
    assert "http://proxy" in repr(key)
    assert "proxy=None, proxy_auth=None" in repr(key._replace(proxy=None, proxy_auth=None))


def test_everything_in_a_connection_key_counts() -> None:
    """CVE-2024-35195, CVE-2026-54275: what makes a connection different is in its key."""
    key = ConnectionKey("host", 443, True, True, None, None, None)
    others = {
        key._replace(host="other"),
        key._replace(port=444),
        key._replace(is_ssl=False),
        key._replace(ssl=False),
        key._replace(proxy=URL("http://proxy")),
        key._replace(proxy_auth=Login("u", "p")),
        key._replace(proxy_headers_hash=1),
        key._replace(server_hostname="name"),
    }
    assert len(others | {key}) == 9
    assert key == ConnectionKey("host", 443, True, True, None, None, None, None)
