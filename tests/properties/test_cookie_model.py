"""A jar beside a small model of RFC 6265bis: whatever servers set, and however time passes."""

from __future__ import annotations

import tempfile
from email.utils import formatdate
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import example, given, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from yarl import URL

from anyhttp._headers.set_cookie import parse_date
from anyhttp.cookiejar import CookieJar, cookie_header
from tests.support.cookie_model import ModelJar, model_date
from tests.support.examples import examples

NOW = 1_700_000_000.0

urls = st.builds(
    lambda scheme, host, path: URL(f"{scheme}://{host}{path}", encoded=True),
    st.sampled_from(["http", "https", "https", "ws", "wss"]),
    st.sampled_from(
        [
            *("example.com", "www.example.com", "www.example.com", "a.www.example.com"),
            *("evilexample.com", "WWW.example.com:8080", "com", "localhost"),
        ]
    ),
    st.sampled_from(["", "/", "/a", "/a/", "/a/b", "/ab", "/a/b/c?/d/", "/A"]),
)
ages = st.sampled_from([*("0", "1", "60", "-1", "", "+5", "5x", "-", "00060", "\u0665")])
dates = st.sampled_from([-1, 0, 1, 60, 10**9]).map(
    lambda seconds: formatdate(NOW + seconds, usegmt=True)
)
attributes = st.one_of(
    st.sampled_from(
        [
            *("Secure", "secure", "HttpOnly", "Secure=no", "SameSite=None", "", " ", "Unknown=1"),
            *("Path=/", "Path=/a", "path = /a/", "Path=/a/b", "Path=a", "Path=", "Path"),
            *("Domain=example.com", "domain=.EXAMPLE.com", "Domain=www.example.com", "Domain=com"),
            *("Domain=", "Domain=.", "Domain=example.com.", "Domain=ample.com", "Domain=localhost"),
            *("Expires=never", "Expires=1 jan 2001 0:0:0"),
        ]
    ),
    ages.map("Max-Age={}".format),
    dates.map("Expires={}".format),
)  # fmt: skip
names = st.sampled_from(["a", "a", "b", "__Host-a", "__Secure-a", "__host-b", "A", "", " a\t"])
values = st.sampled_from(
    ["", "1", "2", " 3 ", '"4 5"', "6=7", "\x01", "8\t9", "\udce4", "x" * 4096]
)


@st.composite
def fields(draw: st.DrawFn) -> str:
    """Return one value of ``Set-Cookie``."""
    pair = draw(st.sampled_from(["{}={}", "{}={}", "{}={}", "{}{}", " {} = {} "]))
    pieces = [pair.format(draw(names), draw(values)), *draw(st.lists(attributes, max_size=4))]
    return draw(st.sampled_from([";", "; ", " ;\t"])).join(pieces)


class JarModel(RuleBasedStateMachine):
    """A jar, a model, and one clock for both."""

    def __init__(self) -> None:
        super().__init__()
        self.jar = CookieJar()
        self.model = ModelJar()
        self.now = NOW
        self.clock = mock.patch("time.time", side_effect=lambda: self.now)
        self.clock.start()

    def teardown(self) -> None:
        """Give the time back."""
        self.clock.stop()

    @rule(received=st.lists(fields(), min_size=1, max_size=4), url=urls)
    def respond(self, received: list[str], url: URL) -> None:
        """A server sets cookies."""
        self.jar.update_cookies_from_headers(received, url)
        for field in received:
            self.model.receive(field, url, self.now)
            self.model.expire(self.now)

    @rule(seconds=st.sampled_from([0.5, 1.0, 59.0, 60.0, 10.0**9]))
    def wait(self, seconds: float) -> None:
        """Time goes by."""
        self.now += seconds
        self.model.expire(self.now)

    @rule(url=urls)
    def ask(self, url: URL) -> None:
        """The next request has the cookies that the document says, in its order."""
        assert (cookie_header(self.jar, url) or "") == self.model.header(url)

    @rule()
    def ask_everywhere(self) -> None:
        """So does one for each host."""
        for scheme in ("http", "https"):
            for host in ("example.com", "www.example.com", "com", "localhost"):
                self.ask(URL(f"{scheme}://{host}/a/b"))

    @rule(domain=st.sampled_from(["example.com", "www.example.com"]))
    def clear_domain(self, domain: str) -> None:
        """A program forgets what hosts have set."""
        self.jar.clear_domain(domain)
        self.model.cookies = [
            cookie
            for cookie in self.model.cookies
            if not f".{cookie.domain}".endswith(f".{domain}")
        ]

    @rule()
    def restart(self) -> None:
        """A jar that is saved and loaded is the same jar."""
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "jar"
            self.jar.save(path)
            self.jar = CookieJar()
            self.jar.load(path)

    @invariant()
    def has_as_many(self) -> None:
        """Nothing is kept that has expired, and nothing is lost."""
        assert len(self.jar) == len(self.model.cookies)
        assert {(c.key, c["domain"], c["path"]) for c in self.jar} == {
            (c.name, c.domain, c.path) for c in self.model.cookies
        }
        assert len(self.jar.host_only_cookies) == len(
            {(c.domain, c.path.rstrip("/"), c.name) for c in self.model.cookies if c.host_only}
        )


TestJarModel: Any = JarModel.TestCase
TestJarModel.settings = examples(60, stateful_step_count=20)

pieces_of_dates = st.lists(
    st.sampled_from(
        [
            *("Sun,", "06", "6", "31", "29", "Nov", "nov", "February", "feb", "1994", "94", "1600"),
            *("1601", "08:49:37", "8:4:3", "24:00:00", "23:59:60", "23:59:59", "08:49:377", "GMT"),
            *(" ", "-", "/", ",", ":", "0", "00", "2024", "69", "70", "099", "12345", "1a"),
            "\u0663",
        ]
    ),
    max_size=12,
)  # fmt: skip


@examples(300)
@given(pieces=pieces_of_dates, between=st.sampled_from([" ", "-", "", ", "]))
@example(pieces=["Sun,", "06", "Nov", "1994", "08:49:37", "GMT"], between=" ")
@example(pieces=["29", "Feb", "2024", "23:59:59"], between=" ")
@example(pieces=["29", "Feb", "1900", "0:0:0"], between=" ")
def test_dates_are_those_of_the_document(pieces: list[str], between: str) -> None:
    """RFC 6265bis §5.1.1: in any order, with anything between."""
    text = between.join(pieces)
    assert parse_date(text) == model_date(text)
