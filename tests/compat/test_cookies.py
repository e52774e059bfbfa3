from __future__ import annotations

from http.cookies import Morsel, SimpleCookie
from pathlib import Path
from types import ModuleType
from typing import Any

from yarl import URL

from tests.compat.comparison import compared, failure, headers_seen

SITE = URL("http://example.com/")


def sent(jar: Any, url: str | URL) -> list[tuple[str, str]]:
    """Return the cookies that *jar* would send to *url*."""
    return sorted((name, morsel.value) for name, morsel in jar.filter_cookies(URL(url)).items())


async def received(request: Any) -> object:
    """Make *request*, one to ``/cookies``, and return the cookies that arrived there."""
    async with request as response:
        return (await response.json())["cookies"]


@compared
async def test_cookies_of_a_session(client: ModuleType, base: URL) -> object:
    """They are sent to every host, and those of a request with them, once."""
    async with client.ClientSession(cookies={"a": "1", "b": "2"}) as session:
        return [
            await received(session.get(base / "cookies")),
            await received(session.get(base / "cookies", cookies={"b": "own", "c": "3"})),
            await received(session.get(base / "cookies")),
            await received(session.get(base / "cookies", headers={"Cookie": "d=4"})),
            await headers_seen(session.get(base / "echo", cookies={"z": "26"})),
        ]


@compared
async def test_cookies_in_each_form(client: ModuleType, base: URL) -> object:
    """Cookies are a mapping, pairs, morsels, or a SimpleCookie."""
    simple = SimpleCookie("one=1; two=2")
    results: list[object] = []
    for cookies in (
        {"name": "value"},
        [("a", "1"), ("b", "2")],
        simple,
        {"one": simple["one"]},
        {"another name": simple["one"]},
        {"text": "needs quotes, really", "number": "7"},
    ):
        async with client.ClientSession(cookies=cookies) as session:
            results.append(await headers_seen(session.get(base / "echo")))
        async with client.ClientSession() as session:
            results.append(await headers_seen(session.get(base / "echo", cookies=cookies)))
    return results


def morsel(name: str, value: str, **attributes: Any) -> Morsel[str]:
    """Return a morsel with *attributes*."""
    made: Morsel[str] = Morsel()
    made.set(name, value, value)
    made.update({name.replace("_", "-"): text for name, text in attributes.items()})
    return made


@compared
async def test_morsels(client: ModuleType, base: URL) -> object:
    """The name in one is sent, and its attributes decide where."""
    cookies = {
        "other": morsel("inner", "1", httponly=True, max_age="1000"),
        "tls": morsel("tls", "2", secure=True),
        "site": morsel("site", "3", domain="example.com"),
        "deep": morsel("deep", "4", path="/deep"),
        "gone": morsel("gone", "6", max_age="0"),
    }
    results = []
    for jar in (
        client.CookieJar(unsafe=True),
        client.CookieJar(unsafe=True, treat_as_secure_origin=base),
        client.CookieJar(unsafe=True, treat_as_secure_origin="http://example.com"),
    ):
        async with client.ClientSession(cookie_jar=jar) as session:
            results.append(await received(session.get(base / "cookies", cookies=cookies)))
            session.cookie_jar.update_cookies(cookies)
            results.append(await received(session.get(base / "cookies")))
    return results


@compared
async def test_the_view_of_a_jar_follows_it(
    client: ModuleType, base: URL, tmp_path: Path
) -> object:
    """What is stored, cleared and loaded later shows in ``cookies``."""

    def shown() -> list[tuple[tuple[str, str], list[str]]]:
        return sorted((place, sorted(cookies)) for place, cookies in view.items() if cookies)

    saved = client.CookieJar()
    saved.update_cookies({"saved": "1"}, SITE / "x/y")
    saved.save(tmp_path / "cookies")
    jar = client.CookieJar()
    view = jar.cookies
    results = [shown()]
    jar.update_cookies({"a": "1"}, SITE)
    results.append(shown())
    jar.load(tmp_path / "cookies")
    results.append(shown())
    jar.clear()
    return [*results, shown(), type(view).__name__]


@compared
async def test_cookies_that_are_received(client: ModuleType, base: URL) -> object:
    """They are in the response that set them, and in later requests."""
    url = (base / "cookies" / "set").with_query({"x": "1", "y": "2"})
    async with client.ClientSession(cookie_jar=client.CookieJar(unsafe=True)) as session:
        async with session.get(url, allow_redirects=False) as response:
            first = {name: (m.value, m["path"]) for name, m in response.cookies.items()}
        second = await received(session.get(base / "cookies"))
        async with session.get(url.with_query({"x": "changed"})) as response:
            third = await response.json(), dict(response.cookies)
            history = [name for each in response.history for name in each.cookies]
        jar = [(m.key, m.value, m["domain"], m["path"]) for m in session.cookie_jar]
        return first, second, third, history, sorted(jar), len(session.cookie_jar)


@compared
async def test_cookies_and_ip_addresses(client: ModuleType, base: URL) -> object:
    """Without unsafe=True a jar takes none from a host that is an address."""
    url = (base / "cookies" / "set").with_query({"x": "1"})
    async with client.ClientSession() as session:
        answer = await received(session.get(url))
        return answer, len(session.cookie_jar)


@compared
async def test_sessions_that_share_a_jar(client: ModuleType, base: URL) -> object:
    """What one session received another one sends."""
    jar = client.CookieJar(unsafe=True)
    async with client.ClientSession(cookie_jar=jar) as session:
        await received(session.get((base / "cookies" / "set").with_query({"x": "1"})))
    async with client.ClientSession(cookie_jar=jar) as session:
        return await received(session.get(base / "cookies")), session.cookie_jar is jar


@compared
async def test_a_jar_that_keeps_nothing(client: ModuleType, base: URL) -> object:
    """DummyCookieJar neither stores nor sends."""
    jar = client.DummyCookieJar()
    jar.update_cookies({"a": "b"})
    async with client.ClientSession(cookie_jar=jar) as session:
        await received(session.get((base / "cookies" / "set").with_query({"x": "1"})))
        return await received(session.get(base / "cookies")), len(jar), list(jar)


@compared
async def test_quotes_around_values(client: ModuleType, base: URL) -> object:
    """quote_cookie=False sends values as they are."""
    results: list[object] = []
    for quote in (True, False):
        jar = client.CookieJar(quote_cookie=quote, unsafe=True)
        jar.update_cookies({"spaced": "a b", "plain": "c", "special": "d:e/f=g"})
        async with client.ClientSession(cookie_jar=jar) as session:
            results.append(await headers_seen(session.get(base / "echo")))
        results.append(jar.quote_cookie)
    return results


@compared
async def test_domains_and_paths(client: ModuleType, base: URL) -> object:
    """A cookie goes to its domain and path, and to no other."""
    jar = client.CookieJar()
    for cookie, url in (
        ("host=1", "http://example.com/"),
        ("domain=2; Domain=example.com", "http://www.example.com/"),
        ("dotted=3; Domain=.example.com", "http://example.com/"),
        ("foreign=4; Domain=other.example", "http://example.com/"),
        ("path=5; Path=/deep", "http://example.com/deep/er"),
        ("default=6", "http://example.com/some/where"),
        ("same=root; Path=/", "http://example.com/"),
        ("same=deep; Path=/deep", "http://example.com/"),
        ("gone=7; Max-Age=0", "http://example.com/"),
        ("old=8; Expires=Mon, 01 Jan 1990 00:00:00 GMT", "http://example.com/"),
        ("secure=9; Secure", "https://example.com/"),
        ("odd=10; Max-Age=soon; HttpOnly", "http://example.com/"),
    ):
        jar.update_cookies_from_headers([cookie], URL(url))
    jar.update_cookies({"shared": "all"})
    urls = (
        "http://example.com/",
        "https://example.com/",
        "http://www.example.com/",
        "http://example.com/deep",
        "http://example.com/deep/er/still",
        "http://example.com/deeper",
        "http://example.com/some/thing",
        "http://other.example/",
        "http://badexample.com/",
        "http://127.0.0.1/",
    )
    return [(url, sent(jar, url)) for url in urls], len(jar)


@compared
async def test_a_jar_that_is_cleared(client: ModuleType, base: URL) -> object:
    """clear() and clear_domain() take cookies out, all of them or some."""

    def filled() -> Any:
        jar = client.CookieJar()
        jar.update_cookies({"a": "1", "b": "2"}, SITE)
        jar.update_cookies({"c": "3"}, URL("http://www.example.com/"))
        jar.update_cookies({"d": "4"}, URL("http://other.example/"))
        return jar

    def names(jar: Any) -> list[str]:
        return sorted(morsel.key for morsel in jar)

    some, domain, every = filled(), filled(), filled()
    some.clear(lambda morsel: morsel.key in "ac")
    domain.clear_domain("example.com")
    every.clear()
    return names(some), names(domain), names(every), sent(every, SITE)


@compared
async def test_a_jar_in_a_file(client: ModuleType, base: URL, tmp_path: Path) -> object:
    """load() takes back what save() wrote."""
    jar = client.CookieJar()
    jar.update_cookies_from_headers(["a=1; Path=/; Max-Age=3600", "b=2; Path=/x"], SITE)
    jar.save(tmp_path / "cookies")
    again = client.CookieJar()
    again.load(tmp_path / "cookies")
    return sent(again, SITE), sent(again, SITE / "x"), len(again)


@compared
async def test_a_jar_without_a_file(client: ModuleType, base: URL, tmp_path: Path) -> object:
    """load() of a file that is not there, or that is no jar, raises."""
    (tmp_path / "text").write_text("nonsense")
    jar = client.CookieJar()
    missing = await failure(lambda: jar.load(tmp_path / "absent"))
    nonsense = await failure(lambda: jar.load(tmp_path / "text"))
    return missing, nonsense != ["nothing raised"]


@compared
async def test_secure_cookies_and_trusted_origins(client: ModuleType, base: URL) -> object:
    """treat_as_secure_origin names origins that get Secure cookies over http."""
    results: list[object] = []
    for origins in (None, "http://example.com", [SITE], ["http://other.example"]):
        jar = client.CookieJar(treat_as_secure_origin=origins)
        jar.update_cookies_from_headers(["s=1; Secure"], URL("https://example.com/"))
        results.append((sent(jar, SITE), sent(jar, "https://example.com/")))
    return results
