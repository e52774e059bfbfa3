from __future__ import annotations

import json
import tempfile
from pathlib import Path

from hypothesis import given, strategies as st
from yarl import URL

from anyhttp._headers.set_cookie import parse_date
from anyhttp.cookiejar import CookieJar, cookie_header, response_cookies

SITE = URL("https://www.example.com/a/b")

# What a parser decodes from the wire with "surrogateescape", and pieces that mean something.
wire_text = st.binary(max_size=60).map(lambda data: data.decode("utf-8", "surrogateescape"))
pieces = st.sampled_from(
    [
        *("a=1", "b=", "=c", "d", "", "\t", " ", "=", '"', '"x;y"', "\0", "\r\n", "é", "\ud800"),
        *("Path=/", "path", "Domain=example.com", "Domain=.", "Domain=..", "Secure", "HttpOnly"),
        *("Max-Age=5", "Max-Age=-", "Max-Age=" + "9" * 400, "Expires=1 jan 2999 0:0:0"),
        *("Expires=0", "__Host-x=1", "__Secure-y=2", "SameSite=None"),
    ]
)
headers = st.one_of(st.text(max_size=60), wire_text, st.lists(pieces, max_size=8).map(";".join))
urls = st.sampled_from(
    [
        SITE,
        URL("http://example.com/"),
        URL("ws://localhost:80/x/"),
        URL("http://127.0.0.1/"),
        URL("http://[::1]/"),
        URL("/relative"),
        URL(),
    ]
)
plain_names = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1)
plain_values = st.text(st.sampled_from("abcXYZ019!#$%&'*+-./:<=>?@[]^_`{|}~\", \\"), max_size=20)


@given(before=st.lists(headers, max_size=5), after=st.lists(headers, max_size=5))
def test_good_cookies_survive_any_neighbours(before: list[str], after: list[str]) -> None:
    """RFC 6265bis §5.6: a malformed field is ignored alone, and never raises."""
    fields = [*before, "good-name=good value; Path=/a", *after]
    jar = CookieJar()
    jar.update_cookies_from_headers(fields, SITE)
    assert "good-name=good value" in (cookie_header(jar, SITE) or "").split("; ")
    assert response_cookies(fields)["good-name"].value == "good value"


names = st.sampled_from(["a", "b", "__Host-a", "__Secure-a", "__host-b"])
scopes = st.sampled_from(
    ["", "; Path=/", "; Path=/a", "; Path=/a/b", "; Domain=example.com", "; Max-Age=0"]
)
fields_of = st.lists(st.builds("{}=1{}{}".format, names, scopes, scopes), max_size=6)
hosts = st.sampled_from(["www.example.com", "example.com", "evil.example.com"])
crowds = st.sampled_from([0, 149, 179])


@given(kept=fields_of, attacks=st.lists(st.tuples(hosts, fields_of), max_size=4), crowd=crowds)
def test_without_tls_no_secure_cookie_is_touched(
    kept: list[str], attacks: list[tuple[str, list[str]]], crowd: int
) -> None:
    """RFC 6265bis §5.7: neither in the jar nor in a request, whatever is set before and after."""
    jar = CookieJar()
    for number in range(crowd):
        jar.update_cookies_from_headers([f"x{number}=1; Path=/a"], URL("http://www.example.com/"))
    for host, fields in attacks[::2]:
        jar.update_cookies_from_headers(fields, URL(f"http://{host}/a/b"))
    jar.update_cookies_from_headers([f"{field}; Secure" for field in kept], SITE)
    secure = {(cookie.key, cookie["domain"], cookie["path"]) for cookie in jar if cookie["secure"]}
    before = [pair for pair in jar.filter_cookies(SITE) if pair in {name for name, _, _ in secure}]
    for host, fields in attacks:
        attack = [field.replace("=1", "=evil") for field in fields]
        jar.update_cookies_from_headers(
            [*attack, "new=1", "new=1; Path=/a"], URL(f"http://{host}/a/b")
        )
    assert secure <= {(cookie.key, cookie["domain"], cookie["path"]) for cookie in jar}
    after = jar.filter_cookies(SITE)
    assert {name: after[name].value for name in before} == dict.fromkeys(before, "1")


@given(fields=st.lists(headers, max_size=8), origin=urls, target=urls)
def test_what_is_sent_can_be_written(fields: list[str], origin: URL, target: URL) -> None:
    """Whatever a server sets, the next request is one header without control characters."""
    jar = CookieJar(unsafe=True)
    jar.update_cookies_from_headers(fields, origin)
    header = cookie_header(jar, target) or ""
    header.encode("utf-8", "surrogateescape")
    assert header.isprintable() or not any(char < " " or char == "\x7f" for char in header)
    assert len(header) <= 8190
    assert all("=" in pair for pair in header.split("; ") if header)
    assert len(jar) == len(list(jar)) == sum(map(len, jar.cookies.values()))


@given(name=plain_names, value=plain_values)
def test_values_come_back_as_they_were_set(name: str, value: str) -> None:
    """RFC 6265bis §5.8.3: octet for octet, blanks around the value apart."""
    jar = CookieJar()
    jar.update_cookies_from_headers([f"{name}={value}"], SITE)
    assert cookie_header(jar, SITE) == f"{name}={value.strip()}"


@given(fields=st.lists(headers, max_size=8), target=urls)
def test_a_jar_survives_its_file(fields: list[str], target: URL) -> None:
    """What is loaded sends what was saved."""
    jar = CookieJar(unsafe=True)
    jar.update_cookies_from_headers(fields, SITE)
    again = CookieJar(unsafe=True)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "jar"
        jar.save(path)
        json.loads(path.read_bytes())
        again.load(path)
    assert again.filter_cookies(target) == jar.filter_cookies(target)
    assert again.host_only_cookies == jar.host_only_cookies


@given(name=st.text(max_size=5), value=st.text(max_size=10))
def test_given_cookies_are_refused_or_one_pair(name: str, value: str) -> None:
    """No text that an application passes on can add a pair or a header."""
    try:
        header = cookie_header(CookieJar(quote_cookie=False), SITE, None, {name: value}) or ""
    except ValueError:
        return
    assert header == f"{name}={value}"
    assert ";" not in header
    assert not any(char < " " or char == "\x7f" for char in header)


@given(text=st.text())
def test_dates_never_raise(text: str) -> None:
    """RFC 6265bis §5.1.1: what is no date is no error."""
    assert parse_date(text) is None or isinstance(parse_date(text), float)
