from __future__ import annotations

import errno
import io
import json
import logging
import os
import pickle
import stat
from concurrent.futures import ThreadPoolExecutor
from http.cookies import BaseCookie, CookieError, Morsel, SimpleCookie
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import pytest
from yarl import URL

from anyhttp.cookiejar import CookieJar, DummyCookieJar, cookie_header, response_cookies
from tests.support.cookies import SITE, Clock, jar_with, sent
from tests.support.cost import calls_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyhttp.abc import AbstractCookieJar
    from anyhttp.typedefs import LooseCookies

DATA = Path(__file__).parent.parent / "data" / "cookies"


# -- public vectors ---------------------------------------------------------------------------

NO_NAME = "cookies without a name are ignored, as in http-state"
ONE_PER_NAME = "filter_cookies() returns a mapping: of one name the most specific is sent"
TRAILING_DOT = "a Domain with a dot at its end counts as absent, as in aiohttp"
ANSWERED_DIFFERENTLY = {
    "ORDERING0001": ONE_PER_NAME,
    "PATH0032": ONE_PER_NAME,
    "DOMAIN0014": TRAILING_DOT,
    "DOMAIN0015": TRAILING_DOT,
    "DOMAIN0016": TRAILING_DOT,
    "DOMAIN0018": TRAILING_DOT,
    "attributes/invalid#22": NO_NAME,
    "attributes/invalid#23": NO_NAME,
    "attributes/invalid#24": NO_NAME,
    "attributes/invalid#25": NO_NAME,
    "attributes/max-age#9": NO_NAME,
    "value/value#7": NO_NAME,
    "value/value#8": NO_NAME,
    "value/value#10": NO_NAME,
    "size/name-and-value#8": NO_NAME,
}


def vectors(name: str) -> list[Any]:
    """Read the cases of one file that its authors did not give up."""
    return [
        pytest.param(case, id=case["test"])
        for case in json.loads((DATA / name).read_text("utf-8"))
        if not case["test"].startswith("DISABLED_")
    ]


def assert_sent(case: dict[str, Any], setter: URL, target: URL) -> None:
    """Check one case; one that is answered differently must not pass unnoticed."""
    expected = case["sent"]
    if isinstance(expected, list):
        expected = "; ".join(f"{pair['name']}={pair['value']}" for pair in expected)
    headers = [
        text.replace("2019", "2091").replace("2027", "2097").replace("{host}", "home.example.org")
        for text in case["received"]
    ]
    answered = sent(jar_with(*headers, url=setter), target)
    assert (answered == expected) is (case["test"] not in ANSWERED_DIFFERENTLY)


@pytest.mark.parametrize("case", vectors("http-state.json"))
def test_http_state(case: dict[str, Any]) -> None:
    """RFC 6265: the cases of its working group, but for those listed above."""
    base = URL("http://home.example.org:8888/cookie-parser?test")
    assert_sent(case, base, base.join(URL(case.get("sent-to", "/cookie-parser-result"))))


@pytest.mark.parametrize("case", vectors("wpt.json"))
def test_web_platform(case: dict[str, Any]) -> None:
    """RFC 6265bis: the cases that browsers share, but for those listed above."""
    target = URL("http://home.example.org:8888/").join(URL(case["sent-to"]))
    assert_sent(case, target, target)


# -- reading Set-Cookie -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        "",
        "a",
        "=b",
        "a\0=b",
        "a=b\x01",
        "a=b; Path=/\x7f",
        "a=b\r\nc=d",
        "a=b\tc",
        "a\tb=c",
        "a=\ud800",
        "a=" + "b" * 4096,
    ],
)
def test_a_malformed_cookie_is_ignored_and_costs_no_other(header: str) -> None:
    """RFC 6265bis §5.6: such a field is ignored entirely; the fields beside it are not."""
    assert sent(jar_with("x=1", header, "y=2")) == "x=1; y=2"
    assert list(response_cookies(["x=1", header, "y=2"])) == ["x", "y"]


@pytest.mark.parametrize(
    "pair",
    [
        'a="b c"',
        "a=b c",
        'a="b',
        'a="\\012"',
        "a=b,c",
        "a=%20",
        "a=b=c",
        "a={}[]<>",
        "a=é",
        "a=\udce9",
        "a[b]=c",
        "path=x",
        "expires=x",
        "$Version=1",
        "a b=c",
    ],
)
@pytest.mark.parametrize("quote_cookie", [True, False])
def test_a_value_goes_back_octet_for_octet(pair: str, quote_cookie: bool) -> None:
    """RFC 6265bis §5.8.3: name, equals sign and value as they came."""
    assert sent(jar_with(pair, jar=CookieJar(quote_cookie=quote_cookie))) == pair


def test_same_site_is_kept() -> None:
    """A client without pages cannot apply ``SameSite``, but passes on what it says."""
    (cookie,) = jar_with("a=1; SameSite=Strict")
    assert cookie["samesite"] == "Strict"


def test_the_last_valid_attribute_counts() -> None:
    """RFC 6265bis §5.6: an attribute that cannot be parsed is as if it were not there."""
    jar = jar_with(
        "a=1; Max-Age=0; Max-Age=x", "b=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Expires=0"
    )
    assert sent(jar) == ""
    assert response_cookies(["a=1; Expires=never"])["a"]["expires"] == "never"


def test_a_response_sets_at_most_fifty_cookies() -> None:
    """CVE-2026-34513 and its like: what one response can do is bounded."""
    headers = [f"c{number}=1" for number in range(60)]
    assert len(jar_with(*headers)) == 50
    assert len(response_cookies(headers)) == 50


def test_bad_cookies_cost_one_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """CVE-2025-69230: a response cannot flood the log, nor put values into it."""
    caplog.set_level(logging.DEBUG)
    jar_with(*["secret"] * 100, *["a=secret; Domain=other.org"] * 40, "a=1")
    assert [record.getMessage() for record in caplog.records] == [
        "refused 140 cookies of example.com"
    ]


# -- scope ------------------------------------------------------------------------------------


def test_a_cookie_without_domain_is_for_its_host_only() -> None:
    """RFC 6265bis §5.7: no Domain attribute makes a host-only cookie."""
    jar = jar_with("a=1", "b=2; Domain=example.com")
    assert sent(jar, "https://sub.example.com/") == "b=2"
    assert jar.host_only_cookies == {("example.com", "", "a")}


@pytest.mark.parametrize("domain", ["other.org", "sub.example.com", "xample.com", "example.com:80"])
def test_a_domain_that_does_not_match_is_refused(domain: str) -> None:
    """RFC 6265bis §5.7: nobody sets cookies for others."""
    assert not jar_with(f"a=1; Domain={domain}")


def test_a_cookie_for_a_top_level_domain_is_refused() -> None:
    """The default rule of the public suffix list: a name without a dot is a suffix."""
    assert not jar_with("a=1; Domain=com")
    jar = jar_with("a=1; Domain=localhost", url="http://localhost/")
    assert sent(jar, "http://localhost/") == "a=1"
    assert sent(jar, "http://other.localhost/") == ""


def test_a_domain_with_a_trailing_dot_counts_as_absent() -> None:
    """As in aiohttp: the cookie is kept, for its host only."""
    jar = jar_with("a=1; Domain=example.com.")
    assert sent(jar) == "a=1"
    assert sent(jar, "https://sub.example.com/") == ""


def test_a_domain_cookie_replaces_the_host_only_one() -> None:
    """RFC 6265 §5.3 step 11: name, domain and path tell cookies apart."""
    jar = jar_with("a=1", "a=2; Domain=example.com")
    assert (len(jar), jar.host_only_cookies) == (1, frozenset())
    assert sent(jar) == "a=2"


def test_the_host_is_compared_without_case() -> None:
    """RFC 6265bis §5.1.2: hosts are canonical before they are compared."""
    jar = jar_with("a=1; Domain=EXAMPLE.com", url=URL("https://Example.COM/", encoded=True))
    assert sent(jar, "https://www.example.com/") == "a=1"


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "127.0.0.1."])
def test_addresses_have_no_cookies_unless_unsafe(host: str) -> None:
    """Cookies of addresses are accepted and sent with ``unsafe=True`` only."""
    url = URL(f"http://{host}/")
    jar = jar_with("a=1", url=url)
    assert len(jar) == 0
    jar = jar_with("a=1", url=url, jar=CookieJar(unsafe=True))
    assert sent(jar, url) == "a=1"
    assert sent(jar, "http://1/") == ""


def test_an_address_is_no_subdomain() -> None:
    """RFC 6265bis §5.1.3: suffixes of addresses do not match."""
    jar = CookieJar(unsafe=True)
    jar.update_cookies(SimpleCookie("a=1; Domain=0.0.1"))
    assert sent(jar, "http://127.0.0.1/") == ""
    assert not jar_with("a=1; Domain=0.0.1", url="http://127.0.0.1/", jar=CookieJar(unsafe=True))


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://example.com", "/"),
        ("https://example.com/a", "/"),
        ("https://example.com/a/", "/a"),
        ("https://example.com/a/b?c=/d/", "/a"),
        ("https://example.com/caf%C3%A9/x", "/caf%C3%A9"),
    ],
)
def test_the_path_defaults_to_the_directory(url: str, path: str) -> None:
    """RFC 6265bis §5.1.4: up to the last slash, as it is written in the URL."""
    (cookie,) = jar_with("a=1; Path=relative", url=url)
    assert cookie["path"] == path


def test_paths_match_by_segments() -> None:
    """RFC 6265bis §5.1.4: a prefix matches where a segment ends."""
    jar = jar_with("a=1; Path=/foo", "b=2; Path=/foo/", "c=3; Path=/caf%C3%A9")
    assert sent(jar, "https://example.com/foo") == "a=1"
    assert sent(jar, "https://example.com/foo/x") == "b=2; a=1"
    assert sent(jar, "https://example.com/food") == ""
    assert sent(jar, "https://example.com/café/x") == "c=3"


def test_of_one_name_the_most_specific_is_sent() -> None:
    """The closest domain counts before the longest path, a shared cookie last of all."""
    jar = CookieJar()
    jar.update_cookies({"a": "shared"})
    url = "https://www.example.com/x/y"
    assert sent(jar, url) == "a=shared"
    jar_with("a=domain; Domain=example.com; Path=/x/y", url=url, jar=jar)
    assert sent(jar, url) == "a=domain"
    jar_with("a=root; Path=/", "a=deep; Path=/x", url=url, jar=jar)
    assert sent(jar, url) == "a=deep"
    assert sent(jar, "https://www.example.com/z") == "a=root"


def test_cookies_are_sent_in_order() -> None:
    """RFC 6265bis §5.8.3: longer paths first, then older ones; a successor keeps its place."""
    jar = jar_with("a=1; Path=/", "b=1; Path=/", "c=1; Path=/x", "a=2; Path=/")
    assert sent(jar, "https://example.com/x") == "c=1; a=2; b=1"


# -- Secure and prefixes ----------------------------------------------------------------------


def test_secure_cookies_need_tls() -> None:
    """RFC 6265bis §5.7, §5.8.3: they come and go over https and wss only."""
    jar = jar_with("a=1; Secure")
    assert sent(jar, "wss://example.com/") == "a=1"
    assert sent(jar, "http://example.com/") == sent(jar, "ws://example.com/") == ""
    assert not jar_with("a=1; Secure", url="http://example.com/")


@pytest.mark.parametrize(
    "origins",
    [
        "http://dev.test:8080",
        URL("http://dev.test:8080/x"),
        ["http://a.test", "http://dev.test:8080"],
    ],
)
def test_an_origin_can_be_treated_as_secure(origins: Any) -> None:
    """``treat_as_secure_origin`` names origins: another port is another one."""
    jar = CookieJar(treat_as_secure_origin=origins)
    jar_with("a=1; Secure", url="http://dev.test:8080/", jar=jar)
    assert sent(jar, "http://dev.test:8080/y") == "a=1"
    assert sent(jar, "http://dev.test/") == ""
    assert URL("http://dev.test:8080") in jar.treat_as_secure_origin
    assert sent(jar, "/relative") == ""


def test_a_secure_cookie_is_left_alone_by_plain_http() -> None:
    """RFC 6265bis §5.7: without TLS nobody can shadow or delete a Secure cookie."""
    jar = jar_with("a=1; Secure; Path=/x; Domain=example.com")
    for host in ("example.com", "sub.example.com"):
        jar_with(
            "a=2; Path=/x",
            "a=2; Path=/x/y",
            "a=; Max-Age=0; Path=/x",
            url=f"http://{host}/",
            jar=jar,
        )
    assert [cookie.value for cookie in jar] == ["1"]
    # another path, name or host is no shadow
    jar_with("a=2; Path=/", "b=2; Path=/x", url="http://example.com/", jar=jar)
    jar_with("a=2; Path=/x", url="http://example.org/", jar=jar)
    assert len(jar) == 4
    jar_with("a=3; Path=/x; Domain=example.com", jar=jar)
    assert sent(jar, "https://example.com/x") == "a=3; b=2"


def test_another_path_than_those_of_secure_cookies_is_free() -> None:
    """Whatever number of them there is by the same name."""
    jar = jar_with(*(f"a=1; Secure; Path=/{name}" for name in ("x", "y", "z", "z/z")))
    jar_with("a=2; Path=/", "a=2; Path=/w/x", "a=2; Path=/z/y", url="http://example.com/", jar=jar)
    assert sorted((cookie["path"], cookie.value) for cookie in jar) == [
        ("/", "2"), ("/w/x", "2"), ("/x", "1"), ("/y", "1"), ("/z", "1"), ("/z/z", "1"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("header", "kept"),
    [
        ("__Secure-a=1; Secure", True),
        ("__Secure-a=1", False),
        ("__SECURE-a=1", False),
        ("__Host-a=1; Secure; Path=/", True),
        ("__Host-a=1; Path=/", False),
        ("__Host-a=1; Secure", False),
        ("__Host-a=1; Secure; Path=/x", False),
        ("__Host-a=1; Secure; Path=/; Domain=example.com", False),
        ("__host-a=1; Secure; Path=/; Domain=example.com", False),
        ("__Hosta=1; Domain=example.com", True),
        ("__Http-a=1; Secure; HttpOnly; Domain=example.com", True),
        ("__Http-a=1; Secure", False),
        ("__http-a=1; HttpOnly", False),
        ("__Host-Http-a=1; Secure; Path=/; HttpOnly", True),
        ("__Host-Http-a=1; Secure; Path=/", False),
        ("__host-http-a=1; Secure; HttpOnly", False),
    ],
)
def test_prefixes_are_promises(header: str, kept: bool) -> None:
    """RFC 6265bis §4.1.3, and its successor: a name that starts so vouches for the attributes."""
    assert len(jar_with(header)) == kept
    assert len(jar_with(header, url="http://example.com/")) == (kept and "Secure" not in header)


# -- time -------------------------------------------------------------------------------------


def test_max_age_beats_expires(clock: Clock) -> None:
    """RFC 6265bis §5.7: Max-Age counts, whatever Expires says."""
    past, future = "Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 31 Dec 9999 00:00:00 GMT"
    jar = jar_with(f"a=1; Max-Age=60; Expires={past}", f"b=1; Max-Age=0; Expires={future}")
    assert sent(jar) == "a=1"
    clock.now += 59.5
    assert sent(jar) == "a=1"
    clock.now += 0.5
    assert sent(jar) == ""
    assert len(jar) == 0


@pytest.mark.parametrize("age", ["x", "5,0", "", "-", "1.5", "+5", "٣"])
def test_invalid_max_age_is_ignored(clock: Clock, age: str) -> None:
    """RFC 6265bis §5.6.2: then Expires counts."""
    jar = jar_with(f"a=1; Max-Age={age}; Expires=Tue, 14 Nov 2023 22:13:21 GMT")
    assert sent(jar) == "a=1"
    clock.now += 1
    assert sent(jar) == ""


def test_a_huge_max_age_is_no_overflow() -> None:
    """A number with a thousand digits means "long"."""
    assert sent(jar_with("a=1; Max-Age=" + "9" * 1000)) == "a=1"


def test_an_expired_cookie_deletes_its_predecessor() -> None:
    """RFC 6265bis §5.7: that is how a server deletes a cookie, and only that one."""
    jar = jar_with("a=1; Path=/x", "a=2; Path=/", "a=; Path=/; Max-Age=0", "c=1; Max-Age=-1")
    assert sent(jar, "https://example.com/x") == "a=1"
    assert len(jar) == 1


def test_a_successor_does_not_inherit_the_expiry(clock: Clock) -> None:
    """RFC 6265bis §5.7: the new cookie takes the place of the old one whole."""
    jar = jar_with("a=1; Max-Age=5", "a=2")
    clock.now += 10
    assert sent(jar) == "a=2"


def test_setting_a_cookie_again_and_again_does_not_fill_memory(clock: Clock) -> None:
    """Nothing grows without a bound, bookkeeping of expiries included."""
    jar = CookieJar()
    for _ in range(1000):
        jar_with("a=1; Max-Age=100", jar=jar)
        clock.now += 0.01
    assert len(jar._store._expiries) < 200
    clock.now += 100
    assert len(jar) == 0
    assert not jar._store._expiries


# -- limits -----------------------------------------------------------------------------------


def fill(jar: CookieJar, count: int, suffix: str = "", url: str = "https://example.com/") -> None:
    """Store *count* cookies, one response each."""
    for number in range(count):
        jar_with(f"c{number}=1{suffix}", url=url, jar=jar)


def names(jar: CookieJar) -> set[str]:
    """Tell what is in the jar."""
    return {cookie.key for cookie in jar}


def test_a_full_domain_loses_its_least_recently_used_cookies() -> None:
    """180 per domain, then down to 150; sending a cookie is using it."""
    jar = jar_with("used=1; Path=/used")
    fill(jar, 179, "; Path=/other")
    assert len(jar) == 180
    assert sent(jar, "https://example.com/used") == "used=1"
    jar_with("new=1", jar=jar)
    assert len(jar) == 150
    assert {"used", "new", "c31"} <= names(jar)
    assert "c30" not in names(jar)


def test_expired_cookies_go_first(clock: Clock) -> None:
    """No cookie is evicted while expired ones take its room."""
    jar = CookieJar()
    fill(jar, 140)
    fill(jar, 40, "; Max-Age=5; Path=/short")
    clock.now += 5
    jar_with("new=1", jar=jar)
    assert len(jar) == 141


@pytest.mark.parametrize("live", [148, 149, 150, 151, 179])
def test_no_cookie_goes_for_room_that_expired_ones_make(clock: Clock, live: int) -> None:
    """However few of them there are: the domain is not over its limit any more."""
    jar = CookieJar()
    fill(jar, live)
    fill(jar, 180 - live, "; Max-Age=5; Path=/short")
    clock.now += 5
    jar_with("new=1", jar=jar)
    assert names(jar) == {"new", *(f"c{number}" for number in range(live))}


@pytest.mark.parametrize("live", [2999, 3000, 3299])
def test_no_cookie_of_the_jar_goes_for_room_that_expired_ones_make(clock: Clock, live: int) -> None:
    """The same holds for all domains together."""
    jar = CookieJar()
    for number in range(3300):
        suffix = "" if number < live else "; Max-Age=5"
        jar_with(f"a=1{suffix}", url=f"https://h{number}.test/", jar=jar)
    clock.now += 5
    jar_with("a=1", url="https://new.test/", jar=jar)
    assert len(jar) == live + 1


def test_cookies_without_secure_go_before_secure_ones() -> None:
    """A site without TLS cannot push out what was set with it."""
    jar = CookieJar()
    fill(jar, 160, "; Secure")
    fill(jar, 20, "; Path=/plain")
    jar_with("new=1", jar=jar)
    assert len(jar) == 161
    assert not any(cookie["path"] == "/plain" for cookie in jar)


def test_secure_cookies_are_evicted_for_secure_ones_only() -> None:
    """A domain full of Secure cookies takes no other."""
    jar = CookieJar()
    fill(jar, 180, "; Secure")
    jar_with("plain=1", jar=jar)
    assert len(jar) == 180
    jar_with("c0=changed; Secure", "new=1; Secure", jar=jar)
    assert len(jar) == 150
    assert {"c0", "new"} <= names(jar)
    assert "c1" not in names(jar)


def test_room_that_expiry_makes_in_a_secure_domain_can_be_used(clock: Clock) -> None:
    """Only a domain that is full still refuses."""
    jar = CookieJar()
    fill(jar, 170, "; Secure")
    fill(jar, 10, "; Secure; Max-Age=5; Path=/short")
    clock.now += 5
    jar_with("plain=1", jar=jar)
    assert len(jar) == 171


def test_a_deletion_evicts_nobody() -> None:
    """A cookie that is over before it is stored needs no room."""
    jar = CookieJar()
    fill(jar, 180)
    jar_with("gone=; Max-Age=0", jar=jar)
    assert len(jar) == 180


def test_the_whole_jar_is_bounded() -> None:
    """CVE-2026-34513: 3300 cookies in all, then down to 3000, least recently used first."""
    jar = CookieJar()
    for number in range(3300):
        jar_with("a=1", url=f"https://h{number}.test/", jar=jar)
    assert len(jar) == 3300
    assert sent(jar, "https://h0.test/") == "a=1"
    jar_with("a=1", url="https://new.test/", jar=jar)
    assert len(jar) == 3000
    assert sent(jar, "https://h0.test/") == sent(jar, "https://new.test/") == "a=1"
    assert sent(jar, "https://h1.test/") == ""


def test_a_request_carries_at_most_150_cookies() -> None:
    """The most specific ones are taken: a parent domain cannot crowd out the host's own."""
    jar = CookieJar()
    url = "https://www.example.com/"
    fill(jar, 150, "; Domain=example.com", url=url)
    jar_with("own=1", url=url, jar=jar)
    header = sent(jar, url)
    assert header.count("=") == 150
    assert header.endswith("own=1")


def test_a_cookie_header_has_at_most_8190_octets() -> None:
    """The name of the header counts, and so do the separators."""
    jar = jar_with("a=" + "x" * 4085, "b=" + "x" * 4091)
    assert len("Cookie: " + sent(jar)) == 8190
    jar_with("b=" + "x" * 4092, jar=jar)
    assert len(sent(jar)) == len("b=" + "x" * 4092)
    jar_with("c=1", jar=jar)
    assert sent(jar).endswith("; c=1")


HOST = "https://www.example.com/account"
PLAIN = "http://www.example.com/account"


@pytest.mark.parametrize("filler", ["x{}=y", "x{}=" + "y" * 80, "x{}=" + "y" * 4000])
def test_a_secure_cookie_is_sent_before_others_of_a_full_request(filler: str) -> None:
    """Who can only write to the clear text does not keep a Secure cookie from being sent."""
    jar = jar_with("sid=good; Secure; Path=/; Domain=example.com", url=HOST)
    for number in range(170):
        jar_with(filler.format(number) + "; Path=/account", url=PLAIN, jar=jar)
    header = sent(jar, HOST)
    assert "sid=good" in header.split("; ")
    assert len("Cookie: " + header) <= 8190
    assert header.count("=") <= 150


def test_a_host_prefix_is_sent_before_others_of_a_full_request() -> None:
    """A host's own deep paths, and its parents, come after what only the host itself could set."""
    jar = jar_with("__Host-sid=good; Secure; Path=/", url=HOST)
    for number in range(160):
        jar_with(f"x{number}=y; Secure; Path=/account", url=HOST, jar=jar)
    assert "__Host-sid=good" in sent(jar, HOST)


@pytest.mark.parametrize("first", [True, False])
def test_a_secure_cookie_is_sent_rather_than_its_namesake(first: bool) -> None:
    """Of one name the Secure cookie is sent, though the other is of a closer domain or path."""
    secure = ("sid=good; Secure; Path=/account; Domain=example.com", HOST)
    plain = ("sid=evil; Path=/", PLAIN)
    jar = CookieJar()
    for header, url in (secure, plain) if first else (plain, secure):
        jar_with(header, url=url, jar=jar)
    assert sent(jar, HOST) == "sid=good"
    assert sent(jar, PLAIN) == "sid=evil"
    jar_with("sid=own; Secure; Path=/", url=HOST, jar=jar)
    assert sent(jar, HOST) == "sid=own"


def test_a_full_domain_keeps_what_only_the_host_could_set() -> None:
    """Cookies of other hosts of the domain do not evict ``__Host-`` cookies."""
    jar = jar_with("__Host-sid=1; Secure; Path=/")
    fill(jar, 400, "; Secure; Domain=example.com", url="https://evil.example.com/")
    assert "__Host-sid" in names(jar)
    assert sent(jar, SITE).startswith("__Host-sid=1")


def fill_jar(jar: CookieJar, scheme: str, suffix: str = "", count: int = 3300) -> None:
    """Let *count* sites set a cookie each."""
    for number in range(count):
        jar_with(f"a=1{suffix}", url=f"{scheme}://h{number}.test/", jar=jar)


def test_the_whole_jar_keeps_secure_cookies() -> None:
    """However many sites without TLS there are, what was set with it stays."""
    jar = jar_with("sid=1; Secure")
    fill_jar(jar, "http")
    assert len(jar) == 3000
    assert sent(jar) == "sid=1"


def test_a_jar_full_of_secure_cookies_takes_no_other() -> None:
    """A cookie that only better protected ones could give way to is refused."""
    jar = CookieJar()
    fill_jar(jar, "https", "; Secure")
    jar_with("plain=1", url="http://new.test/", jar=jar)
    assert len(jar) == 3300
    assert sent(jar, "http://new.test/") == ""
    jar_with("sid=1; Secure", jar=jar)
    assert len(jar) == 3000
    assert sent(jar) == "sid=1"


@pytest.mark.parametrize("plain", [0, 1])
def test_a_full_jar_is_not_searched_for_each_new_cookie(plain: int) -> None:
    """CVE-2026-34513: a response costs as much as it sets, however much the jar holds."""
    jar = CookieJar()
    fill_jar(jar, "https", "; Secure", 3300 - plain)
    fill(jar, plain, url="http://old.test/")
    headers = [f"x{number}=1" for number in range(50)]
    assert calls_of(lambda: jar_with(*headers, url="http://new.test/", jar=jar)) < 50 * 100
    assert len(jar) == 3300


def test_many_secure_cookies_of_a_name_cost_no_more_than_few() -> None:
    """CVE-2026-34513: they are looked at once for a response, and not for each of its cookies."""
    jar = CookieJar()
    for number in range(1500):
        url = f"https://h{number}.example.com/"
        jar_with(f"x=1; Secure; Path=/{number}", "y=1; Secure", url=url, jar=jar)
    url = "http://example.com/"

    def cost(count: int) -> int:
        headers = [f"x=1; Path=/{number}{'/a' * 10}" for number in range(count)]
        return calls_of(lambda: jar_with(*headers, url=url, jar=jar))

    assert cost(50) < cost(1) + 50 * 300
    assert {cookie.key for cookie in jar if not cookie["secure"]} == set()


@pytest.mark.parametrize(
    ("domain", "path", "is_kept"),
    [
        ("example.com", "/a", False),
        ("example.com", "/a/", False),
        ("example.com", "/a/b/c", False),
        ("example.com", "/ab", True),
        ("example.com", "/", True),
        ("www.example.com", "/a/b", False),
        ("sub.www.example.com", "/a/b", False),
        ("other.example.com", "/a/b", True),
        ("", "/a/b", True),
    ],
)
def test_a_cookie_overlays_one_of_the_same_line_of_hosts(
    domain: str, path: str, is_kept: bool
) -> None:
    """RFC 6265bis §5.7: of a host above it or below it, and at its path or below that."""
    jar = jar_with("x=1; Secure; Path=/a", url="https://www.example.com/a")
    url = f"http://{domain or 'far.example.org'}/a"
    jar_with(f"x=2; Path={path}{f'; Domain={domain}' if domain else ''}", url=url, jar=jar)
    assert len(jar) == 1 + is_kept


def test_what_the_application_gives_has_no_limits() -> None:
    """``Cookie`` headers and ``cookies=`` are exempt from the limits."""
    given = {f"c{number}": "x" * 100 for number in range(200)}
    assert cookie_header(CookieJar(), SITE, "a=" + "x" * 9000, given) == "; ".join(
        ["a=" + "x" * 9000, *(f"{name}={value}" for name, value in given.items())]
    )


# -- the jar as a container -------------------------------------------------------------------


def test_cookies_given_without_url_are_shared() -> None:
    """They go to every host, addresses included."""
    jar = CookieJar()
    jar.update_cookies({"a": "1"})
    for url in ("http://example.com/x", "https://127.0.0.1/", "http://[::1]/"):
        assert sent(jar, url) == "a=1"
    assert list(jar.cookies) == [("", "")]


@pytest.mark.parametrize(
    "cookies",
    [
        {"a": "1", "b": "2"},
        [("a", "1"), ("b", "2")],
        SimpleCookie("a=1; b=2"),
        {"a": "1", "b": SimpleCookie("b=2")["b"]},
        BaseCookie({"a": "1", "b": "2"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_update_cookies_takes_what_callers_have(cookies: LooseCookies) -> None:
    """Mappings, pairs and ``SimpleCookie``, with strings or morsels."""
    jar = CookieJar()
    jar.update_cookies(cookies, SITE)
    assert sent(jar) == "a=1; b=2"


def test_the_callers_morsels_are_not_changed() -> None:
    """The jar keeps copies: it writes the scope into them."""
    cookies = SimpleCookie("a=1; Max-Age=5; SameSite=Lax")
    jar = CookieJar()
    jar.update_cookies(cookies, SITE)
    assert cookies["a"]["domain"] == cookies["a"]["path"] == ""
    (stored,) = jar
    assert (stored["domain"], stored["path"], stored["samesite"]) == ("example.com", "/", "Lax")


@pytest.mark.parametrize(
    ("quote", "text"), [(True, 'a="b c"; d="x\\073y"; e="q"'), (False, "a=b c; e=q")]
)
def test_quote_cookie_is_for_what_the_application_gives(quote: bool, text: str) -> None:
    """Special characters are quoted, or sent verbatim if that cannot break the header."""
    jar = CookieJar(quote_cookie=quote)
    jar.update_cookies({"a": "b c"}, SITE)
    if quote:
        jar.update_cookies({"d": "x;y"}, SITE)
    else:
        with pytest.raises(ValueError, match="'d'"):
            jar.update_cookies({"d": "x;y"}, SITE)
    jar.update_cookies(SimpleCookie('e="q"'), SITE)
    assert sent(jar) == text
    assert jar.quote_cookie is quote


def test_the_name_in_a_morsel_counts() -> None:
    """The key beside it is the caller's own, as in aiohttp."""
    morsel = SimpleCookie("inner=1")["inner"]
    jar = CookieJar()
    jar.update_cookies({"outer": morsel}, SITE)
    assert sent(jar) == "inner=1"
    assert cookie_header(CookieJar(), SITE, None, {"outer": morsel}) == "inner=1"
    assert cookie_header(jar, SITE, "inner=0; outer=0", {"outer": morsel}) == "outer=0; inner=1"


def test_a_jar_of_ones_own_may_have_other_keys() -> None:
    """What it returns is sent under the names in the morsels."""

    class Jar(CookieJar):
        def filter_cookies(self, request_url: URL | str = SITE) -> BaseCookie[str]:
            found: BaseCookie[str] = BaseCookie()
            found["outer"] = SimpleCookie("inner=1")["inner"]
            return found

    assert cookie_header(Jar(), SITE) == "inner=1"


@pytest.mark.parametrize("empty", [Morsel(), BaseCookie(), SimpleCookie()], ids=repr)
def test_an_empty_morsel_is_no_cookie(empty: Any) -> None:
    """It has neither name nor value; the cookies beside it are stored and sent."""
    for cookies in ({"a": empty, "b": "2"}, [("a", empty), ("b", "2")]):
        jar = CookieJar()
        jar.update_cookies(cookies, SITE)
        assert sent(jar) == "b=2"
        assert cookie_header(CookieJar(), SITE, None, cookies) == "b=2"
        assert cookie_header(CookieJar(), SITE, None, {"a": empty}) is None


def test_a_cookie_object_stands_for_its_cookies() -> None:
    """Its text, which begins with ``Set-Cookie:``, is nobody's value."""
    jar = CookieJar()
    cookies: dict[str, str | BaseCookie[str]] = {"any": SimpleCookie("a=1; b=2"), "c": "3"}
    jar.update_cookies(cookies, SITE)
    assert sent(jar) == "a=1; b=2; c=3"


@pytest.mark.parametrize("attribute", ["domain", "path"])
def test_a_scope_that_is_no_text_is_a_type_error(attribute: str) -> None:
    """Nothing counts as absent, anything else has to be text."""
    cookies = SimpleCookie("a=1")
    cookies["a"][attribute] = None
    jar = CookieJar()
    jar.update_cookies(cookies, SITE)
    assert sent(jar) == "a=1"
    cookies["a"][attribute] = 5
    with pytest.raises(TypeError, match=attribute):
        jar.update_cookies(cookies, SITE)


@pytest.mark.parametrize("url", [None, "", URL()])
def test_no_url_makes_shared_cookies(url: Any) -> None:
    """``response_url=None`` is how it is documented."""
    jar = CookieJar()
    jar.update_cookies({"a": "1"}, url)
    assert sent(jar, "http://anywhere.test/") == "a=1"
    DummyCookieJar().update_cookies({"a": "1"}, url)


def test_what_is_no_url() -> None:
    """The error names the argument."""
    jar = CookieJar()
    jar.update_cookies({"a": "1"})
    url: Any = 5
    with pytest.raises(TypeError, match=r"^response_url must be a str or a yarl.URL, not int"):
        jar.update_cookies({"a": "1"}, url)
    with pytest.raises(TypeError, match=r"^response_url must be a str or a yarl.URL, not int"):
        jar.update_cookies_from_headers(["a=1"], url)
    with pytest.raises(TypeError, match=r"^request_url must be a str or a yarl.URL, not int"):
        jar.filter_cookies(url)
    with pytest.raises(TypeError, match=r"^treat_as_secure_origin must be a str or a yarl.URL"):
        CookieJar(treat_as_secure_origin=[url])


@pytest.mark.parametrize("name", ["unsafe", "quote_cookie"])
def test_flags_are_bools(name: str) -> None:
    """A word such as "no" would count as true."""
    options: dict[str, Any] = {name: "no"}
    with pytest.raises(TypeError, match=f"^{name} must be a bool, not str$"):
        CookieJar(**options)


def test_a_url_may_be_text() -> None:
    """For all that a jar is asked."""
    jar = CookieJar()
    jar.update_cookies({"a": "1"}, "https://example.com/x/")
    jar.update_cookies_from_headers(["b=2; Secure"], "https://example.com/")
    assert sent(jar, "https://example.com/x/") == "a=1; b=2"
    assert sent(jar, "https://other.test/") == ""
    with pytest.warns(DeprecationWarning, match="URL"):
        assert set(jar.filter_cookies("https://example.com/x/")) == {"a", "b"}
    dummy = DummyCookieJar()
    dummy.update_cookies({"a": "1"}, "https://example.com/")
    dummy.update_cookies_from_headers(["b=2"], "https://example.com/")
    assert not dummy.filter_cookies("https://example.com/")


BAD_PAIRS = [
    ("", "v"),
    (" a", "v"),
    ("a;b", "v"),
    ("a=b", "v"),
    ("a\r\nb", "v"),
    ("a", "secret\r\nX: y"),
    ("a", "secret\0"),
    ("a", "secret\t"),
    ("a", "secret\ud800"),
]


@pytest.mark.parametrize(("name", "value"), BAD_PAIRS)
def test_a_pair_that_would_split_the_header_is_refused(name: str, value: str) -> None:
    """CVE-2023-49081 and its like: control characters raise, before anything is stored or sent."""
    jar = CookieJar()
    with pytest.raises(ValueError) as caught:
        jar.update_cookies([("good", "1"), (name, value)], SITE)
    assert "secret" not in str(caught.value)
    assert len(jar) == 0
    with pytest.raises(ValueError):
        cookie_header(jar, SITE, None, [(name, value)])


def test_a_morsel_is_checked_like_text() -> None:
    """What ``http.cookies`` lets through must not split the header either."""
    morsel: Morsel[str] = Morsel()
    try:
        morsel.set("a", "x", "x\r\nSet-Cookie: b=1")
    except CookieError:
        pytest.skip("this Python refuses it already")
    with pytest.raises(ValueError):
        CookieJar().update_cookies({"a": morsel})
    morsel.set("a", "x;y", '"x;y"')
    with pytest.raises(ValueError):
        cookie_header(CookieJar(), SITE, None, {"a": morsel})


def test_the_views_show_what_is_stored() -> None:
    """Keys are (domain, path without a slash at its end), values are complete morsels."""
    jar = jar_with("a=1", "b=2; Path=/x/; Domain=example.com; HttpOnly")
    assert set(jar.cookies) == {("example.com", ""), ("example.com", "/x")}
    morsel = jar.cookies["example.com", "/x"]["b"]
    assert (morsel.value, morsel["path"], morsel["httponly"]) == ("2", "/x/", True)
    with pytest.raises(TypeError):
        jar.cookies["example.com", ""] = SimpleCookie()  # type: ignore[index]  # that is the point


def test_the_view_follows_the_jar(tmp_path: Path) -> None:
    """What is stored, deleted, cleared and loaded later shows in it."""
    saved = tmp_path / "jar"
    jar_with("saved=1; Path=/x").save(saved)
    jar = CookieJar()
    view = jar.cookies
    assert (len(view), dict(view), ("example.com", "") in view) == (0, {}, False)
    jar_with("a=1", "b=2; Path=/x", jar=jar)
    assert {place: set(cookies) for place, cookies in view.items()} == {
        ("example.com", ""): {"a"},
        ("example.com", "/x"): {"b"},
    }
    before = view.copy()
    jar_with("a=; Max-Age=0", jar=jar)
    assert list(view) == [("example.com", "/x")]
    jar.clear()
    assert not view
    jar.load(saved)
    assert [set(cookies) for cookies in view.values()] == [{"saved"}]
    assert len(before) == 2
    assert view.get(("example.com", "/y")) is None
    assert cast("object", "example.com") not in view


def test_what_is_sent_is_bare() -> None:
    """A request carries names and values only (RFC 6265bis §5.8.3)."""
    found = jar_with("a=1; Path=/; HttpOnly").filter_cookies(SITE)
    assert type(found) is BaseCookie
    assert found["a"].OutputString() == "a=1"
    assert not any(found["a"].values())


def test_clear() -> None:
    """Without a predicate everything goes, with one what it is true for."""
    jar = jar_with("a=1", "b=2", "c=3; Secure")
    jar.clear(lambda morsel: morsel.key == "a")
    assert sent(jar) == "b=2; c=3"
    jar.clear()
    assert len(jar) == 0
    assert sent(jar) == ""


def test_clear_domain() -> None:
    """A domain and its subdomains are cleared, no other, and no shared cookie."""
    jar = CookieJar()
    jar.update_cookies({"shared": "1"})
    for host in ("example.com", "sub.example.com", "badexample.com", "com.org"):
        jar_with("a=1", url=f"https://{host}/", jar=jar)
    jar.clear_domain("Example.com")
    assert {cookie["domain"] for cookie in jar} == {"", "badexample.com", "com.org"}


def test_the_jar_can_be_changed_while_it_is_iterated() -> None:
    """Iteration goes over what was there when it began."""
    jar = jar_with("a=1", "b=2")
    for cookie in jar:
        jar.clear(lambda morsel, key=cookie.key: morsel.key == key)  # type: ignore[misc]  # default binds the name
    assert len(jar) == 0


def test_deprecated_spellings() -> None:
    """They work, with a warning."""
    with pytest.warns(DeprecationWarning, match="unsafe="):
        assert CookieJar(True).unsafe
    assert not CookieJar().unsafe
    for jar_class in (CookieJar, DummyCookieJar):
        with pytest.warns(DeprecationWarning, match="loop"):
            jar_class(loop=object())
    with pytest.warns(DeprecationWarning, match="URL"):
        assert "a" in jar_with("a=1").filter_cookies("https://example.com/")


def test_no_set_cookie_changes_nothing() -> None:
    """A response without cookies costs nothing."""
    jar = jar_with()
    assert (len(jar), list(jar)) == (0, [])


def test_other_sites_cookies_cost_a_request_nothing() -> None:
    """Only the cookies of the host and its parents are looked at."""
    jar = jar_with("a=1")
    looked_at: list[str] = []

    class Sites(dict[str, Any]):
        def get(self, key: str, default: Any = None) -> Any:
            looked_at.append(key)
            return super().get(key, default)

    for number in range(100):
        jar_with("b=1", url=f"https://h{number}.test/", jar=jar)
    jar._store.sites = Sites(jar._store.sites)
    assert sent(jar, "https://www.example.com/x") == ""
    assert looked_at == ["", "com", "example.com", "www.example.com"]


# -- files ------------------------------------------------------------------------------------


def test_a_saved_jar_comes_back_whole(tmp_path: Path, clock: Clock) -> None:
    """CVE-2026-54279: scope, expiry and octets survive; Max-Age does not start again."""
    jar = jar_with(
        'a="q"; HttpOnly; SameSite=Lax',
        "b=\udce9; Domain=example.com; Path=/x/; Secure",
        "c=3; Max-Age=60",
        "path=4; Path=/x",
        "__Host-e=5; Secure; Path=/",
        "\xa0=6",
        url="https://example.com/y",
    )
    jar.update_cookies({"shared": "1"})
    jar.save(tmp_path / "jar")
    loaded = jar_with("old=1")
    loaded.load(str(tmp_path / "jar"))
    url = "https://example.com/x/"
    assert sent(loaded, url) == sent(jar, url)
    assert sent(loaded, url).count("=") == 7
    assert loaded.host_only_cookies == jar.host_only_cookies
    assert sent(loaded, "https://sub.example.com/x/") == "b=\udce9; shared=1"
    assert loaded.cookies["example.com", ""]["a"]["samesite"] == "Lax"
    clock.now += 60
    assert "c=3" not in sent(loaded, url)


@pytest.mark.parametrize("file_format", ["json", "netscape"])
def test_a_saved_jar_sends_in_the_same_order(
    tmp_path: Path, file_format: Literal["json", "netscape"]
) -> None:
    """RFC 6265bis §5.8.3: of equal paths, what was set first; also what was replaced since."""
    url = "https://www.example.com/"
    fields = ("d=1; Domain=example.com", "a=1", "c=1; Domain=example.com", "b=1", "a=2")
    jar = jar_with(*fields, url=url)
    jar.save(tmp_path / "jar", format=file_format)
    loaded = CookieJar()
    loaded.load(tmp_path / "jar")
    assert sent(loaded, url) == sent(jar, url) == "d=1; a=2; c=1; b=1"


def test_older_files_have_no_order(tmp_path: Path) -> None:
    """Their cookies are sent as they stand there."""
    path, url = tmp_path / "jar", "https://www.example.com/"
    fields = ("a=1; Domain=example.com", "b=1", "c=1; Domain=example.com")
    jar_with(*fields, url=url).save(path)
    data = json.loads(path.read_text())
    for records in data.values():
        for record in records.values():
            del record["order"]
    path.write_text(json.dumps(data))
    jar = CookieJar()
    jar.load(path)
    assert sent(jar, url) == "a=1; c=1; b=1"


def test_attributes_that_are_numbers_are_saved(tmp_path: Path) -> None:
    """``SimpleCookie`` takes them as they are, and what was saved can be loaded."""
    cookies = SimpleCookie("a=1")
    cookies["a"]["version"] = 1
    jar = CookieJar()
    jar.update_cookies(cookies, URL("https://example.com/"))
    jar.save(tmp_path / "jar")
    loaded = CookieJar()
    loaded.load(tmp_path / "jar")
    assert sent(loaded, "https://example.com/") == "a=1"


def test_a_saved_jar_is_json_for_its_owner(tmp_path: Path) -> None:
    """CVE-2026-34993: no pickle; a new file has mode 0600."""
    path = tmp_path / "jar"
    jar_with("a=1").save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (records,) = json.loads(path.read_text()).values()
    assert records["a"]["value"] == "1"


POSIX = pytest.mark.skipif(os.name == "nt", reason="POSIX permissions and links")


@POSIX
def test_saving_takes_a_file_back_from_others(tmp_path: Path) -> None:
    """An older file that everybody can read has mode 0600 afterwards."""
    path = tmp_path / "jar"
    path.touch()
    path.chmod(0o644)
    jar_with("a=1").save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


@POSIX
def test_saving_does_not_write_through_a_link(tmp_path: Path) -> None:
    """The link is replaced by the file; what it points to is left alone, existing or not."""
    path, target = tmp_path / "jar", tmp_path / "target"
    for content in (None, "mine"):
        if content:
            target.write_text(content)
        path.symlink_to(target)
        jar_with("a=1").save(path)
        assert not path.is_symlink()
        assert path.stat().st_mode & 0o777 == 0o600
        assert (target.read_text() if target.exists() else None) == content
        path.unlink()


@POSIX
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "directory"])
def test_saving_replaces_regular_files_only(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """A device is not destroyed, and a pipe not waited for."""
    path = tmp_path / "jar"
    make(path)
    for name in (path, tmp_path / "link"):
        if name != path:
            name.symlink_to(path)
        with pytest.raises(OSError, match="not a regular file"):
            jar_with("a=1").save(name)
    assert not path.is_file()
    assert {entry.name for entry in tmp_path.iterdir()} == {"jar", "link"}


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "disk full"), KeyboardInterrupt()])
def test_saving_that_fails_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException
) -> None:
    """The old file stays as it was, and nothing else is left behind."""
    path = tmp_path / "jar"
    jar_with("a=1").save(path)
    before = path.read_bytes()

    def fail(*args: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        if step == "write":
            patch.setattr("builtins.open", lambda *args: FullDisk(*args, error=error))
        else:
            patch.setattr(os, step, fail)
        with pytest.raises(type(error)):
            jar_with("b=2").save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


class FullDisk(io.FileIO):
    """A file that takes no more."""

    def __init__(self, descriptor: int, mode: str, *, error: BaseException) -> None:
        super().__init__(descriptor, mode)
        self.error = error

    def write(self, data: object) -> int:
        raise self.error


def test_saving_and_loading_at_once(tmp_path: Path) -> None:
    """Whoever loads gets the jar of one of those who save, whole."""
    path = tmp_path / "jar"
    jars = [jar_with(*(f"{name}{number}=1" for number in range(40))) for name in "ab"]
    jars[0].save(path)
    whole = [names(jar) for jar in jars]
    with ThreadPoolExecutor() as pool:
        savings = [pool.submit(jar.save, path) for _ in range(20) for jar in jars]
        while not all(saving.done() for saving in savings):
            loaded = CookieJar()
            loaded.load(path)
            assert names(loaded) in whole
    for saving in savings:
        saving.result()
    assert list(tmp_path.iterdir()) == [path]


def test_attributes_of_any_kind_are_saved(tmp_path: Path) -> None:
    """``SimpleCookie`` takes them as they are; what is saved is what can be loaded."""
    cookies = SimpleCookie("a=1")
    cookies["a"]["version"] = float("nan")
    cookies["a"]["comment"] = URL("https://example.com/")
    jar = CookieJar()
    jar.update_cookies(cookies, SITE)
    jar.save(tmp_path / "jar")
    loaded = CookieJar()
    loaded.load(tmp_path / "jar")
    assert sent(loaded) == "a=1"


def test_the_domain_in_a_file_is_compared_without_case(tmp_path: Path) -> None:
    """As that of a URL is."""
    (tmp_path / "jar").write_text(json.dumps({"Example.COM|/": {"a": GOOD_RECORD}}))
    jar = CookieJar()
    jar.load(tmp_path / "jar")
    assert sent(jar) == "a=1"


def test_addresses_are_loaded_by_unsafe_jars_only(tmp_path: Path) -> None:
    """A file does not go around what the jar accepts."""
    unsafe = jar_with("a=1", url="http://[::1]/", jar=CookieJar(unsafe=True))
    jar_with("b=1", url="http://127.0.0.1/", jar=unsafe)
    unsafe.save(tmp_path / "jar")
    jar = CookieJar()
    jar.load(tmp_path / "jar")
    assert len(jar) == 0
    again = CookieJar(unsafe=True)
    again.load(tmp_path / "jar")
    assert len(again) == 2


def test_expired_and_foreign_cookies_are_not_loaded(tmp_path: Path) -> None:
    """What would not be accepted from the host is left out, and nothing else with it."""
    record = {"key": "a", "value": "1", "coded_value": "1"}
    data = {
        "example.com|/": {"a": record | {"expires_timestamp": 5}},
        "example.com|/x": {"a": record | {"path": "/x", "domain": "other.org"}},
        "example.com|": {"b": record | {"key": "b"}},
    }
    (tmp_path / "jar").write_text(json.dumps(data))
    jar = CookieJar()
    jar.load(tmp_path / "jar")
    assert [cookie.key for cookie in jar] == ["b"]


GOOD_RECORD = {"key": "a", "value": "1", "coded_value": "1"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\x80\x04.",
        "[]",
        "7",
        '{"example.com": {}}',
        '{"example.com|/": []}',
        '{"example.com|/": {"a": 1}}',
        '{"example.com|/": {"a": {}}}',
        json.dumps({"h|/": {"b": GOOD_RECORD, "a": GOOD_RECORD | {"value": 1}}}),
        json.dumps({"h|/": {"b": GOOD_RECORD, "a": GOOD_RECORD | {"key": None}}}),
        json.dumps({"h|/": {"b": GOOD_RECORD, "a": GOOD_RECORD | {"coded_value": "x\r\nsecret"}}}),
        json.dumps({"h|/": {"a": GOOD_RECORD | {"path": []}}}),
        json.dumps({"h|/": {"a": GOOD_RECORD | {"expires_timestamp": "soon"}}}),
        json.dumps({"h|/": {"a": GOOD_RECORD | {"order": "first"}}}),
        '{"h|/": {"a": {"key": "a", "value": "", "coded_value": "", "expires_timestamp": NaN}}}',
        json.dumps({"h|/": {"a": GOOD_RECORD | {"expires_timestamp": 10**400}}}),
        '{"h|/": {"a": {"key": "a", "value": "", "coded_value": "", "version": NaN}}}',
        json.dumps({"h|/": {"a": GOOD_RECORD | {"coded_value": None}}}),
        json.dumps({"h|/": {"a": GOOD_RECORD | {"domain": 7}}}),
        json.dumps({"h|/": {"a": GOOD_RECORD | {"domain": "\ud800"}}}),
        json.dumps({"h|/": {"a": GOOD_RECORD | {"path": "/\ud800"}}}),
        json.dumps({"h|/": {"a": GOOD_RECORD | {"value": "\ud800", "coded_value": "\ud800"}}}),
        json.dumps({"\ud800|/": {"a": GOOD_RECORD}}),
        '{"h|/": {"a": {"expires_timestamp": ' + "9" * 5000 + "}}}",
        "[" * 200_000,
        '{"h|/": ' * 100_000,
        "[" * 100_000 + "]" * 100_000,
        "\xff",
    ],
    ids=lambda text: text[:40],
)
def test_a_bad_file_raises_and_changes_nothing(tmp_path: Path, text: str) -> None:
    """The jar keeps what it had unless the whole file is good; no value is shown."""
    (tmp_path / "jar").write_bytes(text.encode("latin-1"))
    jar = jar_with("old=1")
    with pytest.raises(ValueError, match=r"is not a file of cookies|is a pickle") as caught:
        jar.load(tmp_path / "jar")
    assert "secret" not in str(caught.value)
    assert sent(jar) == "old=1"


def test_a_pickle_is_refused_by_name(tmp_path: Path) -> None:
    """CVE-2026-34993: loading one can run code, so all that is told of it is what it is."""
    path = tmp_path / "jar"
    path.write_bytes(pickle.dumps({}))
    with pytest.raises(ValueError, match="is a pickle, and loading one could run code"):
        CookieJar().load(path)


def test_a_missing_file_raises(tmp_path: Path) -> None:
    """The error is the operating system's own."""
    with pytest.raises(FileNotFoundError):
        CookieJar().load(tmp_path / "none")


# -- the header -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("explicit", "given", "header"),
    [
        (None, None, "j=1; k=2"),
        ("e=1", None, "e=1; j=1; k=2"),
        ("e=1; j=x;k=y", None, "e=1; j=1; k=2"),
        ("j=x; e=1;", None, "e=1; j=1; k=2"),
        ("j=x", None, "j=1; k=2"),
        ("", None, "j=1; k=2"),
        ('e="a,b" ;  f ; e=2', None, 'e="a,b" ;  f ; e=2; j=1; k=2'),
        (None, {"k": "given", "g": "3"}, "j=1; k=given; g=3"),
        ("g=x; e=1", {"g": "3", "j": "y"}, "e=1; j=y; k=2; g=3"),
    ],
)
def test_one_header_is_made_of_all(
    explicit: str | None, given: LooseCookies | None, header: str
) -> None:
    """The explicit header, overlaid by the jar's cookies, overlaid by the request's."""
    assert cookie_header(jar_with("j=1", "k=2"), SITE, explicit, given) == header


def test_without_cookies_there_is_no_header() -> None:
    """And an explicit one stays as it is."""
    assert cookie_header(CookieJar(), SITE) is None
    assert cookie_header(CookieJar(), SITE, given={}) is None
    assert cookie_header(CookieJar(), SITE, " a ;; b=1;") == " a ;; b=1;"


@pytest.mark.parametrize(
    ("morsel", "url", "goes"),
    [
        ("a=1", SITE, True),
        ("a=1; Domain=example.com", SITE, True),
        ("a=1; Domain=example.com", URL("https://sub.example.com"), True),
        ("a=1; Domain=other.org", SITE, False),
        ("a=1; Path=/x", SITE, False),
        ("a=1; Path=/x", SITE / "x", True),
        ("a=1; Secure", SITE, True),
        ("a=1; Secure", URL("http://example.com"), False),
        ("a=1; Max-Age=0", SITE, False),
    ],
)
def test_morsels_of_a_request_keep_their_scope(morsel: str, url: URL, goes: bool) -> None:
    """Cookies of one response can be handed to a request without reaching strangers."""
    header = cookie_header(CookieJar(), url, "e=1", SimpleCookie(morsel))
    assert header == ("e=1; a=1" if goes else "e=1")


class TrustingJar(DummyCookieJar):
    """A jar of one's own that trusts an origin."""

    @property
    def treat_as_secure_origin(self) -> frozenset[URL]:
        """Where somebody develops."""
        return frozenset({URL("http://dev.test:8080")})


@pytest.mark.parametrize(
    ("trusting", "plain"),
    [
        (CookieJar(treat_as_secure_origin="http://dev.test:8080/"), CookieJar()),
        (TrustingJar(), DummyCookieJar()),
    ],
)
def test_secure_cookies_of_a_request_follow_the_jar(
    trusting: AbstractCookieJar, plain: AbstractCookieJar
) -> None:
    """An origin that the jar treats as secure gets them without TLS, and no other one does."""
    morsel = SimpleCookie("a=1; Secure")
    for url, header in (
        ("http://dev.test:8080/x", "a=1"),
        ("http://dev.test/x", None),
        ("https://other.test/", "a=1"),
    ):
        assert cookie_header(trusting, URL(url), None, morsel) == header
    assert cookie_header(plain, URL("http://dev.test:8080/x"), None, morsel) is None


def test_morsels_of_a_session_keep_their_scope() -> None:
    """Cookies for all hosts are filtered by what is said in them, too."""
    jar = CookieJar(treat_as_secure_origin="http://dev.test")
    jar.update_cookies(
        SimpleCookie("s=1; Secure; d=2; Domain=example.com; p=3; Path=/x; HttpOnly; Max-Age=9")
    )
    for url, header in (
        ("http://example.com/", "d=2"),
        ("https://sub.example.com/x", "p=3; s=1; d=2"),
        ("http://dev.test/", "s=1"),
        ("http://other.test/x/y", "p=3"),
    ):
        assert sent(jar, url) == header


def test_cookies_of_a_request_are_not_stored() -> None:
    """``cookies=`` is for the one request."""
    jar = CookieJar()
    cookie_header(jar, SITE, None, {"a": "1"})
    assert len(jar) == 0


def test_cookies_of_a_request_are_quoted_as_the_jar_says() -> None:
    """``quote_cookie`` is the one switch for what the application gives."""
    assert cookie_header(CookieJar(), SITE, None, {"a": "b c"}) == 'a="b c"'
    assert cookie_header(CookieJar(quote_cookie=False), SITE, None, {"a": "b c"}) == "a=b c"
    assert cookie_header(DummyCookieJar(), SITE, None, {"a": "b c"}) == 'a="b c"'


@pytest.mark.parametrize("on_class", [True, False])
def test_a_jar_whose_filter_is_replaced(monkeypatch: pytest.MonkeyPatch, on_class: bool) -> None:
    """Tests of programs do that, and monitoring tools: what they put there is asked."""
    jar = CookieJar()
    jar.update_cookies({"a": "1"}, SITE)
    chosen = SimpleCookie({"b": "2"})
    target: Any = CookieJar if on_class else jar
    monkeypatch.setattr(target, "filter_cookies", lambda *args: chosen)
    assert cookie_header(jar, SITE) == "b=2"


def test_a_subclass_with_a_step_of_aiohttp() -> None:
    """Nothing calls it, so cookies that it keeps from a host would be sent there."""
    for name in (
        "_update_cookies",
        "_can_send",
        "_filter_cookies_within_limits",
        "_is_domain_match",
    ):
        with pytest.raises(TypeError, match=rf"Mine\.{name} would be passed over"):
            type("Mine", (CookieJar,), {name: lambda *args: True})
    with pytest.warns(RuntimeWarning, match=r"Mine\._do_expiration would be passed over"):
        type("Mine", (CookieJar,), {"_do_expiration": lambda self: None})


def test_a_step_of_aiohttp_that_is_put_onto_the_class(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is seen when a jar is made."""
    monkeypatch.setattr(CookieJar, "_is_domain_match", lambda *args: False, raising=False)
    with pytest.raises(TypeError, match=r"CookieJar\._is_domain_match would be passed over"):
        CookieJar()


# -- the dummy --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda jar: jar.update_cookies({"a": "1"}, SITE),
        lambda jar: jar.update_cookies_from_headers(["a=1"], SITE),
        lambda jar: jar.clear(),
        lambda jar: jar.clear_domain("example.com"),
    ],
)
def test_a_dummy_jar_stays_empty(change: Callable[[DummyCookieJar], None]) -> None:
    """It keeps nothing and sends nothing."""
    jar = DummyCookieJar()
    change(jar)
    assert (len(jar), list(jar), len(jar.filter_cookies(SITE))) == (0, [], 0)
    assert (dict(jar.cookies), jar.host_only_cookies) == ({}, frozenset())
    assert (jar.unsafe, jar.quote_cookie, jar.treat_as_secure_origin) == (False, True, frozenset())
    assert cookie_header(jar, SITE) is None
