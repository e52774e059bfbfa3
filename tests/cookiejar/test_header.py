"""The ``Cookie`` header: what programs give, and jars of their own."""

from __future__ import annotations

from http.cookies import BaseCookie, SimpleCookie
from typing import Any

import pytest
from yarl import URL

from anyhttp.cookiejar import CookieJar, cookie_header
from tests.support.cookies import SITE, Clock, jar_with, sent


class Foreign:
    """A jar of another library, which has no more than what it needs."""

    quote_cookie = True

    def __init__(self, cookies: BaseCookie[str]) -> None:
        self._cookies = cookies
        self.asked: list[URL] = []

    def filter_cookies(self, request_url: URL) -> BaseCookie[str]:
        self.asked.append(request_url)
        return self._cookies


def test_a_jar_of_another_library() -> None:
    """It is asked for the URL of the request; without TLS it trusts no origin."""
    jar: Any = Foreign(SimpleCookie("a=1"))
    given = SimpleCookie("b=2; Secure")
    assert cookie_header(jar, SITE, None, given) == "a=1; b=2"
    plain = URL("http://example.com/x")
    assert cookie_header(jar, plain, None, given) == "a=1"
    assert jar.asked == [SITE, plain]


def test_a_semicolon_of_another_library() -> None:
    """It would begin a cookie of its own; the value is not shown."""
    cookies: BaseCookie[str] = BaseCookie()
    cookies["a"] = "secret; b=2"
    jar: Any = Foreign(cookies)
    with pytest.raises(ValueError, match=r"^cookie_jar: cookie 'a' holds a semicolon$"):
        cookie_header(jar, SITE)


@pytest.mark.parametrize(
    ("explicit", "header"),
    [
        ("a=b=c; e=1", "e=1; a=1"),
        ("a", "a=1"),
        ("\xa0a=x", "\xa0a=x; a=1"),
        ("\x0ba=x", "\x0ba=x; a=1"),
        ("X=X", "X=X; a=1"),
        (" \t;e=1; \t", "e=1; a=1"),
    ],
)
def test_which_cookies_of_a_header_are_replaced(explicit: str, header: str) -> None:
    """Those of the name, up to the first ``=``, without spaces and tabs around it."""
    assert cookie_header(CookieJar(), SITE, explicit, {"a": "1"}) == header


def test_when_a_cookie_of_a_request_expires(clock: Clock) -> None:
    """At its time it is sent no more."""
    given = SimpleCookie("a=1; Max-Age=10; b=2")
    given["b"]["expires"] = "Tue, 14 Nov 2023 22:13:21 GMT"
    assert cookie_header(CookieJar(), SITE, None, given) == "a=1; b=2"
    clock.now = 1_700_000_001.0
    assert cookie_header(CookieJar(), SITE, None, given) == "a=1"


class TestGiven:
    """Cookies that the program gives."""

    def test_a_cookie_object_stands_beside_others(self) -> None:
        """Before it and after it; its values are quoted as others are."""
        nested: SimpleCookie = SimpleCookie()
        nested["b"] = "x y"
        given: dict[str, Any] = {"a": "1", "any": nested, "c": "3"}
        for quote, text in ((True, '"x y"'), (False, "x y")):
            jar = CookieJar(quote_cookie=quote)
            jar.update_cookies(given, SITE)
            assert sent(jar) == f"a=1; b={text}; c=3"

    @pytest.mark.parametrize(
        ("cookies", "message"),
        [
            (5, r"^cookies must be a mapping or made of \(name, value\) pairs, not int$"),
            ({5: "1"}, "^cookies: a name must be a str, not int$"),
            ({"a": None}, "^cookies: a must be a str, not NoneType$"),
            ({"a": b"1"}, "^cookies: a must be a str, not bytes$"),
            ({"a": bytearray(b"1")}, "^cookies: a must be a str, not bytearray$"),
        ],
    )
    def test_what_is_no_cookie(self, cookies: Any, message: str) -> None:
        """The error says what it should be, and nothing is stored."""
        jar = CookieJar()
        with pytest.raises(TypeError, match=message):
            jar.update_cookies(cookies, SITE)
        assert len(jar) == 0

    def test_other_values_are_written_as_text(self) -> None:
        """As numbers."""
        given: dict[str, Any] = {"a": 5}
        assert cookie_header(CookieJar(), SITE, None, given) == "a=5"


def test_what_a_place_without_cookies_is_called_in_the_error() -> None:
    """As in any mapping; and the number of places is not that of cookies."""
    view = jar_with("a=1", "b=2", "c=3; Path=/x").cookies
    assert len(view) == 2
    with pytest.raises(KeyError) as caught:
        view["other.test", "/"]
    assert caught.value.args == (("other.test", "/"),)


def test_a_step_of_aiohttp_that_is_put_onto_a_subclass_later() -> None:
    """It is seen when a jar of that class is made, and not when others are."""

    class Mine(CookieJar):
        pass

    Mine()
    Mine._can_send = lambda *args: True  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match=r"Mine\._can_send would be passed over"):
        Mine()
    assert len(CookieJar()) == 0


def test_what_deprecated_spellings_warn_of() -> None:
    """The words say what to write instead."""
    with pytest.warns(DeprecationWarning, match="give unsafe= by its name") as given:
        CookieJar(True)
    with pytest.warns(DeprecationWarning, match="takes a yarl.URL") as asked:
        jar_with("a=1").filter_cookies("https://example.com/")
    assert [str(warning.message) for warning in (*given, *asked)] == [
        "give unsafe= by its name",
        "filter_cookies() takes a yarl.URL",
    ]
