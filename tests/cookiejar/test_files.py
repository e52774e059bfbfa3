"""What is in the files of a jar, to the last attribute, and what is read from them."""

from __future__ import annotations

import json
import logging
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from anyhttp.cookiejar import CookieJar
from tests.support.cookies import SITE, Clock, jar_with, sent


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file that is not there yet."""
    return tmp_path / "cookies"


def loaded(file: Path, content: str | None = None) -> CookieJar:
    """Return a jar with the cookies of a file, which gets *content* before."""
    if content is not None:
        file.write_text(content, "utf-8")
    jar = CookieJar()
    jar.load(file)
    return jar


def test_the_record_of_a_cookie(file: Path, clock: Clock) -> None:
    """When it expires is a time; attributes that are not there are not written."""
    jar = jar_with(
        'a="x y"; Max-Age=10; Expires=Wed, 01 Jan 2098 00:00:00 GMT; Path=/; HttpOnly',
        "b=2; Path=/x|y; Domain=example.com; Secure; SameSite=Lax",
    )
    jar.save(file)
    assert json.loads(file.read_text()) == {
        "example.com|/": {
            "a": {
                "key": "a",
                "value": "x y",
                "coded_value": '"x y"',
                "domain": "example.com",
                "path": "/",
                "httponly": True,
                "host_only": True,
                "expires_timestamp": clock.now + 10,
                "order": 0,
            }
        },
        "example.com|/x|y": {
            "b": {
                "key": "b",
                "value": "2",
                "coded_value": "2",
                "domain": "example.com",
                "path": "/x|y",
                "secure": True,
                "samesite": "Lax",
                "order": 1,
            }
        },
    }
    again = loaded(file)
    url = URL("https://example.com/x|y", encoded=True)
    assert sent(again, url) == sent(jar, url) == 'b=2; a="x y"'


def test_attributes_of_the_program(file: Path) -> None:
    """A number stays one; of an object its text is written."""

    class Policy:
        def __str__(self) -> str:
            return "Strict"

    given: Any = SimpleCookie("a=1")
    given["a"]["version"] = 1
    given["a"]["samesite"] = Policy()
    jar = CookieJar()
    jar.update_cookies(given, SITE)
    jar.save(file)
    (records,) = json.loads(file.read_text()).values()
    assert (records["a"]["version"], records["a"]["samesite"]) == (1, "Strict")


def test_white_space_before_json(file: Path) -> None:
    """Editors of text leave it there."""
    jar_with("a=1").save(file)
    assert sent(loaded(file, "\n \t" + file.read_text())) == "a=1"


def test_what_a_cookies_txt_leaves_out_is_logged(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """If there is something."""
    caplog.set_level(logging.DEBUG)
    jar = jar_with("a=1")
    jar.save(file, format="netscape")
    assert caplog.messages == []
    jar.update_cookies({"b": "2", "c": "3"})
    jar.save(file, format="netscape")
    assert caplog.messages == ["left out 2 cookies that cookies.txt has no place for"]


@pytest.mark.parametrize(
    ("fields", "path", "header"),
    [
        ((".example.com", "TRUE", "/", "FALSE", "0", "a", "1"), "", "a=1"),
        ((" example.com ", "FALSE ", " / ", " FALSE", " 0 ", " a ", " 1 "), "", "a=1"),
        (("example.com", "FALSE", "x", "FALSE", "0", "a", "1"), "", "a=1"),
        (("example.com", "FALSE", "", "FALSE", "0", "a", "1"), "", "a=1"),
        (("example.com", "FALSE", "/x/", "FALSE", "0", "a", "1"), "/x", "a=1"),
        (("example.com", "FALSE", "/", "FALSE", "0", "\xa0a", "\xa01\xa0"), "", "\xa0a=\xa01\xa0"),
    ],
)
def test_a_line_of_a_cookies_txt(
    file: Path, fields: tuple[str, ...], path: str, header: str
) -> None:
    """Spaces around a field are no part of it, other white space is; a path begins with a slash."""
    jar = loaded(file, "# Netscape HTTP Cookie File\n" + "\t".join(fields) + "\n")
    assert list(jar.cookies) == [("example.com", path)]
    assert sent(jar, SITE / "x/y") == header
