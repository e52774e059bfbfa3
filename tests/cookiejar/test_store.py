"""What a jar takes, keeps and drops, at the very limits, and what it logs of that."""

from __future__ import annotations

import json
import logging
from http.cookies import Morsel, SimpleCookie
from pathlib import Path

import pytest

from anyhttp.cookiejar import CookieJar
from tests.support.cookies import SITE, Clock, jar_with, sent

PLAIN = "http://example.com/"


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Keep all that is logged."""
    caplog.set_level(logging.DEBUG)
    return caplog


def test_which_cookies_count_as_refused(log: pytest.LogCaptureFixture) -> None:
    """Those that must not be set, and not those that only delete or replace others."""
    jar = jar_with("a=1", "b=1; Secure")
    jar_with("a=2", "a=; Max-Age=0", "a=; Max-Age=0", "never=; Max-Age=0", jar=jar)
    assert log.messages == []
    jar_with("b=2", "c=1", jar=jar, url=PLAIN)
    assert log.messages == ["refused 1 cookies of example.com"]
    log.clear()
    given = SimpleCookie("d=1; e=1")
    jar.update_cookies(given, SITE)
    assert log.messages == []
    given["d"]["domain"] = "other.org"
    jar.update_cookies(given, SITE)
    assert log.messages == ["refused 1 cookies of example.com"]


def test_a_cookie_that_finds_no_room_counts_as_refused(log: pytest.LogCaptureFixture) -> None:
    """Only better protected ones could give way to it."""
    jar = CookieJar()
    for number in range(180):
        jar_with(f"c{number}=1; Secure", jar=jar)
    assert log.messages == []
    jar_with("plain=1", jar=jar)
    assert log.messages == ["refused 1 cookies of example.com"]
    assert len(jar) == 180


def test_a_request_that_is_just_full(log: pytest.LogCaptureFixture) -> None:
    """150 cookies, or 8190 octets with the name of the header: nothing is left out."""
    jar = CookieJar()
    for number in range(150):
        jar_with(f"c{number}=1", jar=jar)
    assert sent(jar).count("=") == 150
    jar = jar_with("a=" + "x" * 4085, "b=" + "x" * 4091)
    assert len("Cookie: " + sent(jar)) == 8190
    assert log.messages == []


def test_what_is_chosen_for_a_full_request_may_fill_it(log: pytest.LogCaptureFixture) -> None:
    """To the last octet; how many are left out is logged."""
    jar = jar_with(
        "a=" + "x" * 4088 + "; Secure", "b=" + "x" * 4088 + "; Secure", "c=1", "d=1", "e=1"
    )
    header = sent(jar)
    assert len("Cookie: " + header) == 8190
    assert [pair[:2] for pair in header.split("; ")] == ["a=", "b="]
    assert log.messages == ["left out 3 cookies of a request"]


def test_the_cookie_of_the_closest_domain_keeps_its_place_in_a_full_request() -> None:
    """Though there is one of that name which was found before all others."""
    url = "https://www.example.com/"
    jar = jar_with("sid=parent; Domain=example.com", url=url)
    for number in range(150):
        jar_with(f"c{number}=1; Domain=example.com", url=url, jar=jar)
    jar_with("sid=own", url=url, jar=jar)
    pairs = sent(jar, url).split("; ")
    assert len(pairs) == 150
    assert "sid=own" in pairs


def test_nobody_is_asked_about_cookies_that_have_expired(clock: Clock) -> None:
    """They are gone before the predicate of ``clear()`` is called."""
    jar = jar_with("a=1; Max-Age=10", "b=1; Max-Age=20")
    clock.now += 10
    seen = []

    def ask(morsel: Morsel[str]) -> bool:
        seen.append(morsel.key)
        return False

    jar.clear(ask)
    assert seen == ["b"]


def test_a_cookie_that_was_deleted_may_have_been_the_last_of_its_domain(clock: Clock) -> None:
    """When its time has come, nothing is left of it."""
    jar = jar_with("a=1; Max-Age=10", url="https://gone.test/")
    jar_with("b=1", jar=jar)
    jar_with("a=; Max-Age=0", url="https://gone.test/", jar=jar)
    clock.now += 10
    assert [morsel.key for morsel in jar] == ["b"]


def test_how_long_a_cookie_of_a_file_lasts(tmp_path: Path, clock: Clock) -> None:
    """``max-age``, which others may have written, counts from loading."""
    file = tmp_path / "cookies.json"
    record = {"key": "a", "value": "1", "coded_value": "1", "max-age": "10"}
    file.write_text(json.dumps({"example.com|/": {"a": record}}))
    jar = CookieJar()
    jar.load(file)
    clock.now += 9.5
    assert sent(jar) == "a=1"
    clock.now += 0.5
    assert sent(jar) == ""


class TestOverlay:
    """RFC 6265bis §5.7: which Secure cookies a response without TLS must leave alone."""

    def test_of_several_domains_the_longest_counts(self) -> None:
        """Whichever of them is looked at first."""
        jar = jar_with("x=1; Secure; Path=/", url="https://www.example.com/")
        for number in range(30):
            jar_with("x=1; Secure; Path=/", url=f"https://h{number}.example.com/", jar=jar)
        for domain in ("", "; Domain=example.com"):
            jar_with(f"x=2; Path=/a{domain}", url="http://www.example.com/", jar=jar)
        assert len(jar) == 31

    @pytest.mark.parametrize(
        ("host", "is_kept"),
        [("c.example.com", False), ("example.com", False), ("example.org", True)],
    )
    def test_of_a_host_that_is_far_below(self, host: str, is_kept: bool) -> None:
        """A cookie of a domain above both of them would be sent to both."""
        jar = jar_with("x=1; Secure; Path=/", url="https://a.b.example.com/")
        domain = host.partition(".")[2] if host.count(".") > 1 else host
        jar_with(f"x=2; Path=/; Domain={domain}", url=f"http://{host}/", jar=jar)
        assert len(jar) == 1 + is_kept

    def test_an_address_has_no_domain_above_it(self) -> None:
        """A host that looks like the end of it has nothing to do with it."""
        jar = jar_with("x=1; Secure; Path=/", url="https://10.0.0.1/", jar=CookieJar(unsafe=True))
        jar_with("x=2; Path=/", url="http://0.0.1/", jar=jar)
        assert len(jar) == 2

    def test_of_many_paths_those_above_count(self) -> None:
        """More than the path of the new cookie has parts: these are looked at instead."""
        jar = CookieJar()
        for number in range(20):
            jar_with(f"x=1; Secure; Path=/{number}/a", url="https://h/", jar=jar)
        kept = {"/", "/1", "/1/ab", "/2/b", "/x"}
        for path in (*kept, "/1/a", "/1/a/", "/1/a/b"):
            before = len(jar)
            jar_with(f"x=2; Path={path}", url="http://h/", jar=jar)
            assert len(jar) == before + (path in kept), path
