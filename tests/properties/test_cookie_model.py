"""A jar beside a small model of RFC 6265bis: whatever servers set, and however time passes."""

from __future__ import annotations

import tempfile
from email.utils import formatdate
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import example, given, strategies as st
from yarl import URL

from anyhttp._headers.set_cookie import parse_date
from anyhttp.cookiejar import CookieJar, cookie_header
from tests.support.cookie_model import ModelJar, model_date
from tests.support.examples import examples

NOW = 1_700_000_000.0

# What comes often, so that cookies meet each other, and what comes now and then.
HOSTS = [
    *("example.com", "www.example.com", "www.example.com"),
    *("a.www.example.com", "evilexample.com", "WWW.example.com:8080", "com"),
]
PATHS = [*("/a/b", "/a/b", "/"), *("", "/a", "/a/", "/ab", "/a/b/c?/d/")]
USUAL = [
    *("Secure", "Secure; Path=/", "Path=/", "Path=/a", "Domain=example.com", "Max-Age=60"),
]
UNUSUAL = [
    *("secure=no", "HttpOnly", "SameSite=None", "", " ", "Unknown=1"),
    *("path = /a/", "Path=/a/b", "Path=a", "Path=", "Path"),
    *("domain=.EXAMPLE.com", "Domain=www.example.com", "Domain=example.com."),
    *("Domain=com", "Domain=", "Domain=.", "Domain=ample.com"),
    *("Max-Age=0", "Max-Age=1", "max-age=60", "Max-Age=-1", "Max-Age=", "Max-Age=+5"),
    *("Max-Age=5x", "Max-Age=-", "Max-Age=00060", "Max-Age=\u0665"),
    *("Expires=never", "Expires=1 jan 2001 0:0:0"),
    *(f"Expires={formatdate(NOW + seconds, usegmt=True)}" for seconds in (-1, 0, 1, 60, 10**9)),
]
NAMES = ["a", "a", "a", "b", "b", "__Host-a", "__Secure-a", "A"]
PAIRS = [
    *("{}=1", "{}=2", "{}=3", "{}=", " {} = 4 ", '{}="5 6"', "{}=7=8", "{}=\udce4"),
    *("{}", "={}", "{}=\x01", "{}=8\t9", f"{{}}={4096 * 'x'}"),
]

urls = st.one_of(
    st.sampled_from([URL("https://www.example.com/a/b"), URL("http://www.example.com/a/b")]),
    st.builds(
        lambda scheme, host, path: URL(f"{scheme}://{host}{path}", encoded=True),
        st.sampled_from(["http", "https", "ws", "wss"]),
        st.sampled_from(HOSTS),
        st.sampled_from(PATHS),
    ),
)
fields = st.builds(
    lambda pair, name, between, more: between.join([pair.format(name), *more]),
    st.one_of(st.just(PAIRS[0]), st.sampled_from(PAIRS)),
    st.sampled_from(NAMES),
    st.sampled_from(["; ", ";", " ;\t"]),
    st.one_of(
        st.lists(st.sampled_from(USUAL), max_size=1),
        st.lists(st.one_of(st.sampled_from(USUAL), st.sampled_from(UNUSUAL)), max_size=3),
    ),
)
responses = st.tuples(st.just("respond"), urls, st.lists(fields, min_size=1, max_size=4))
events = st.one_of(
    *[responses] * 6,
    st.tuples(st.just("wait"), st.sampled_from([0.5, 1.0, 59.0, 60.0, 60.0, 10.0**9]), st.none()),
    st.tuples(st.sampled_from(["forget", "restart"]), st.sampled_from(HOSTS), st.none()),
)


class Run:
    """A jar and a model, with one clock for both."""

    def __init__(self) -> None:
        self.jar = CookieJar()
        self.model = ModelJar()
        self.now = NOW

    def happen(self, what: str, where: Any, fields: list[str]) -> None:
        """Let something happen to both."""
        match what:
            case "respond":
                self.jar.update_cookies_from_headers(fields, where)
                for field in fields:
                    self.model.receive(field, where, self.now)
                self.model.expire(self.now)
            case "wait":
                self.now += where
                self.model.expire(self.now)
            case "forget":
                self.jar.clear_domain(where)
                kept = [
                    cookie
                    for cookie in self.model.cookies
                    if not f".{cookie.domain}".endswith(f".{where}")
                ]
                self.model.cookies = kept
            case _:
                with tempfile.TemporaryDirectory() as directory:
                    path = Path(directory) / "jar"
                    self.jar.save(path)
                    self.jar = CookieJar()
                    self.jar.load(path)

    def check(self) -> None:
        """Compare what is stored, and what is sent where."""
        stored = {(cookie.name, cookie.domain, cookie.path) for cookie in self.model.cookies}
        assert {(each.key, each["domain"], each["path"]) for each in self.jar} == stored
        assert len(self.jar) == len(self.model.cookies) == len(stored)
        for url in ASKED:
            assert (cookie_header(self.jar, url) or "") == self.model.header(url), url


ASKED = [
    URL(f"{origin}{path}", encoded=True)
    for origin in ("http://example.com", "https://www.example.com", "wss://a.www.example.com")
    for path in ("/", "/a/b", "/ab")
] + [URL("http://com/a/"), URL("https://evilexample.com/"), URL("https://www.example.com:8080/a")]


@examples(80)
@given(happening=st.lists(events, min_size=8, max_size=30))
def test_a_jar_is_that_of_the_document(happening: list[tuple[Any, ...]]) -> None:
    """RFC 6265bis §5: whatever servers set, however time passes, and over restarts."""
    run = Run()
    with mock.patch("time.time", side_effect=lambda: run.now):
        for event in happening:
            run.happen(*event)
            run.check()


PARTS = [
    ["06", "6", "31", "29", "0", "00", "30th", "1"],
    ["Nov", "nov", "February", "feb", "Decem", "JAN"],
    ["1994", "94", "1600", "1601", "2024", "69", "70", "99", "00", "099", "12345", "1900"],
    ["08:49:37", "8:4:3", "24:00:00", "23:59:60", "23:60:00", "23:59:59", "08:49:377", "1:2:3x"],
]
NOISE = ["Sun,", "GMT", " ", "-", "/", ",", ":", "1a", "\u0663", "06", "70", "1:1", "feb"]


@st.composite
def dates(draw: st.DrawFn) -> str:
    """Return the parts of a date in any order, with other things between them."""
    parts = [draw(st.sampled_from(part)) for part in PARTS if draw(st.integers(0, 19))]
    parts = draw(st.permutations(parts))
    for word in draw(st.lists(st.sampled_from(NOISE), max_size=2)):
        parts.insert(draw(st.integers(0, len(parts))), word)
    return draw(st.sampled_from([" ", " ", "-", ", "])).join(parts)


@examples(150)
@given(text=dates())
@example(text="Sun, 06 Nov 1994 08:49:37 GMT")
@example(text="Sun, 06-Nov-70 08:49:37 GMT")
@example(text="29 Feb 2024 23:59:59")
@example(text="29 Feb 1900 0:0:0")
def test_dates_are_those_of_the_document(text: str) -> None:
    """RFC 6265bis §5.1.1: in any order, with anything between."""
    assert parse_date(text) == model_date(text)
