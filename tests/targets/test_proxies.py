"""Which proxy: what is a URL of one, what the environment says, and what netrc adds."""

from __future__ import annotations

import logging
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from multidict import CIMultiDict
from yarl import URL

from anyhttp import (
    BasicAuth,
    ClientRequest,
    ClientSession,
    InvalidURL,
    ProxyConnector,
    TCPConnector,
    UnixConnector,
    request,
)
from anyhttp._targets import proxies
from anyhttp._targets.proxies import (
    ProxyOptions,
    bypasses,
    checked_proxy,
    chosen_entry,
    environment_proxy,
    proxy_options,
)

USER = BasicAuth("user", "secret")
OTHER = BasicAuth("other", "word")
PROXY = URL("http://proxy.test:3128")

SetEnvironment = Callable[..., None]


@pytest.fixture(autouse=True)
def set_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SetEnvironment:
    """Set variables, in an environment that has no proxies and no netrc."""
    for scheme in ("http", "https", "ws", "wss", "all", "no"):
        monkeypatch.delenv(f"{scheme}_proxy", raising=False)
        monkeypatch.delenv(f"{scheme}_proxy".upper(), raising=False)
    monkeypatch.delenv("REQUEST_METHOD", raising=False)
    monkeypatch.delenv("NETRC", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))

    def set_them(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_them


# -- URLs ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "url", "auth"),
    [
        ("http://proxy.test", "http://proxy.test", None),
        ("http://proxy.test:80/", "http://proxy.test", None),
        ("https://proxy.test:443", "https://proxy.test", None),
        ("http://proxy.test:3128/path?query#fragment", "http://proxy.test:3128", None),
        ("http://user:secret@proxy.test:3128", "http://proxy.test:3128", USER),
        ("http://us%65r:s%65cret@proxy.test:3128", "http://proxy.test:3128", USER),
        ("http://user@proxy.test:3128", "http://proxy.test:3128", BasicAuth("user")),
        ("socks4://proxy.test", "socks4://proxy.test:1080", None),
        ("socks4a://proxy.test:1", "socks4a://proxy.test:1", None),
        ("socks5://user:secret@[::1]", "socks5://[::1]:1080", USER),
        ("SOCKS5H://proxy.test", "socks5h://proxy.test:1080", None),
    ],
)
def test_a_url_is_taken_apart(given: str, url: str, auth: BasicAuth | None) -> None:
    """What is left of it names the proxy, in one way however it was written."""
    for proxy in (given, URL(given)):
        assert checked_proxy(proxy) == (URL(url), auth)
    assert checked_proxy(given)[0].port == URL(url).port


@pytest.mark.parametrize(
    "proxy",
    [
        "",
        "proxy.test:3128",
        "user:secret@proxy.test:3128",
        "//user:secret@proxy.test:3128",
        "ftp://user:secret@proxy.test:3128",
        "ws://user:secret@proxy.test:3128",
        "socks://user:secret@proxy.test:3128",
        "http://user:secret@proxy.test:99999",
        "http://user:secret/@proxy.test:3128",
        "http://user:secret@:3128",
        "http://user:secret@127.1:3128",
        "http://us%3Aer:secret@proxy.test:3128",
        "http://user:secret@" + "a" * 2000,
    ],
)
async def test_what_is_no_url_of_a_proxy(proxy: str) -> None:
    """It is refused before anything is sent, and the message keeps the password for itself."""
    with pytest.raises(InvalidURL) as caught:
        ClientSession(proxy=proxy)
    async with ClientSession() as session:
        with pytest.raises(InvalidURL):
            await session.get("http://origin.test/", proxy=proxy)
    assert "secret" not in f"{caught.value} {caught.value!r}"


@pytest.mark.parametrize("host", ["a" * 600, "\N{SNOWMAN}" * 600, "user:word@" + "a" * 600])
async def test_a_proxy_whose_host_is_too_long(host: str) -> None:
    """It is not given to IDNA, and the error does not show all of it."""
    with pytest.raises(InvalidURL, match="proxy: the host is too long") as caught:
        ClientSession(proxy=f"http://{host}{'a' * 600}/")
    assert len(str(caught.value)) < 200
    assert "word" not in str(caught.value)


async def test_arguments_of_other_types() -> None:
    """The message names the argument."""
    wrong: Any = 1
    with pytest.raises(TypeError, match="proxy must be"):
        ClientSession(proxy=wrong)
    with pytest.raises(TypeError, match="proxy_headers"):
        ClientSession(proxy_headers=[("a", wrong)])
    with pytest.raises(ValueError, match=r"proxy_auth must be an anyhttp\.BasicAuth"):
        ClientSession(proxy_auth=wrong)
    for headers in ({"a\n": "b"}, {"a": "b\r\nc: d"}):
        with pytest.raises(ValueError, match="proxy_headers"):
            ClientSession(proxy_headers=headers)
    with pytest.raises(ValueError, match="Proxy-Authorization"):
        ClientSession(proxy_auth=USER, proxy_headers={"Proxy-Authorization": "x"})


# -- session and request ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((None, None, None), (PROXY, USER)),
        ((None, OTHER, None), (PROXY, OTHER)),
        ((PROXY, None, None), (PROXY, USER)),
        ((PROXY.with_user("other").with_password("word"), None, None), (PROXY, OTHER)),
        (("http://elsewhere.test:3128", None, None), (URL("http://elsewhere.test:3128"), None)),
        (("http://proxy.test:3129", None, None), (URL("http://proxy.test:3129"), None)),
        (("https://proxy.test:3128", None, None), (URL("https://proxy.test:3128"), None)),
        (("http://a:b@elsewhere.test", OTHER, None), (URL("http://elsewhere.test"), OTHER)),
    ],
)
def test_credentials_stay_with_their_proxy(given: Any, expected: tuple[URL, BasicAuth]) -> None:
    """Those of the session's proxy are for no other; an argument goes before the URL's."""
    default = ProxyOptions(PROXY, USER, CIMultiDict({"X-Session": "1"}))
    proxy, auth, headers = given
    options = proxy_options(proxy, auth, headers, default)
    assert (options.url, options.auth) == expected
    assert (options.headers == default.headers) is (options.url == PROXY)


def test_credentials_without_a_proxy_are_for_the_one_to_come() -> None:
    """A session may leave it to requests, or to the environment, to name the proxy."""
    default = ProxyOptions(None, USER)
    assert proxy_options(PROXY, None, None, default) == ProxyOptions(PROXY, USER)


def test_connectors_without_proxies(tmp_path: Path) -> None:
    """A Unix socket leads to one place; saying otherwise is a mistake."""
    with pytest.raises(ValueError, match="UnixConnector cannot use one"):
        ClientSession(connector=UnixConnector(str(tmp_path / "socket")), proxy=PROXY)


async def test_a_proxy_connector_is_a_default() -> None:
    """It is deprecated, keeps no connections, and gives way to what session or request say."""
    with pytest.warns(DeprecationWarning, match="ProxyConnector"):
        connector = ProxyConnector("http://user:secret@proxy.test:3128", limit=7)
    assert (connector.proxy, connector.proxy_auth) == (PROXY, USER)
    assert (connector.force_close, connector.limit) == (True, 7)
    assert "secret" not in repr(connector)
    with pytest.warns(DeprecationWarning, match="ProxyC"), pytest.raises(InvalidURL):
        ProxyConnector("nothing")
    async with ClientSession(connector=connector, connector_owner=False) as session:
        assert session._proxy == ProxyOptions(PROXY, USER)
    async with ClientSession(connector=connector, proxy="http://other.test") as session:
        assert session._proxy == ProxyOptions(URL("http://other.test"), None)


def test_the_key_of_a_connection_holds_the_proxy() -> None:
    """Whatever makes two tunnels differ keeps them apart in the pool."""

    def key(url: str, **attributes: Any) -> object:
        made = ClientRequest("GET", URL(url), CIMultiDict())
        for name, value in attributes.items():
            setattr(made, name, value)
        return made.connection_key

    url = "https://origin.test/"
    keys = [
        key(url),
        key(url, proxy=PROXY),
        key(url, proxy="socks5://proxy.test:3128"),
        key(url, proxy=PROXY, proxy_auth=USER),
        key(url, proxy=PROXY, proxy_auth=OTHER),
        key(url, proxy=PROXY, proxy_headers=CIMultiDict({"a": "b"})),
        key(url, proxy=PROXY, proxy_headers=CIMultiDict({"a": "c"})),
    ]
    assert len(set(keys)) == len(keys)
    assert key(url, proxy="http://user:secret@proxy.test:3128/x") == keys[3]
    assert key(url, proxy_auth=USER) == keys[0]
    assert "secret" not in repr(keys)


def test_a_middleware_may_change_the_proxy() -> None:
    """What the request says when it is sent counts; credentials in a URL are taken out."""
    made = ClientRequest("GET", URL("http://origin.test/path"), CIMultiDict())
    assert (made.target(), made.is_forwarded) == ("/path", False)
    made.proxy = "http://user:secret@proxy.test:3128"
    assert (made.proxy, made.proxy_auth) == (PROXY, USER)
    assert made.target() == "http://origin.test/path"
    assert ("Proxy-Authorization", USER.encode()) in made.fields()
    made.proxy = None
    assert (made.target(), made.is_forwarded) == ("/path", False)
    assert "Proxy-Authorization" not in dict(made.fields())
    with pytest.raises(InvalidURL):
        made.proxy = URL("nothing")
    made.proxy_auth = OTHER
    made.proxy = "http://user:secret@proxy.test:3128"
    assert (made.proxy, made.proxy_auth) == (PROXY, OTHER)


# -- NO_PROXY --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "named", "others"),
    [
        ("*", ["a.test", "127.0.0.1", "::1"], []),
        ("", [], ["a.test"]),
        ("a.test", ["a.test", "A.TEST", "a.test.", "b.a.test", "c.b.a.test"], ["ba.test", "test"]),
        (".a.test", ["a.test", "b.a.test"], ["ba.test"]),
        ("*.a.test", ["b.a.test"], ["ba.test"]),
        ("a.test.", ["a.test"], []),
        ("A.Test", ["a.test"], []),
        (".", [], ["a.test"]),
        ("*.", [], ["a.test"]),
        ("a.test:80", ["a.test", "b.a.test"], []),
        ("a.test:81", [], ["a.test"]),
        ("a.test:x", [], ["a.test"]),
        ("x.test, a.test", ["a.test", "x.test"], ["b.test"]),
        ("x.test a.test,,", ["a.test", "x.test"], ["b.test"]),
        ("127.0.0.1", ["127.0.0.1"], ["127.0.0.2", "1.127.0.0.1.test"]),
        ("0.0.1", [], ["127.0.0.1", "1.0.0.1"]),
        ("1", [], ["127.0.0.1"]),
        ("127.0.0.1:80", ["127.0.0.1"], ["127.0.0.2"]),
        ("127.0.0.1:81", [], ["127.0.0.1"]),
        ("10.0.0.0/8", ["10.0.0.1", "10.255.255.255", "::ffff:10.0.0.1"], ["11.0.0.0", "fd00::1"]),
        ("10.1.2.3/8", ["10.0.0.1"], []),
        ("10.0.0.0/33", [], ["10.0.0.1"]),
        ("a.test/8", [], ["a.test"]),
        ("::1", ["::1", "0:0:0:0:0:0:0:1"], ["::2", "127.0.0.1"]),
        ("[::1]", ["::1"], ["::2"]),
        ("[::1]:80", ["::1"], []),
        ("[::1]:81", [], ["::1"]),
        ("fd00::/8", ["fd00::1", "fdff::1"], ["fe80::1", "10.0.0.1"]),
        ("fe80::1", ["fe80::1%eth0"], []),
        ("::ffff:127.0.0.1", ["127.0.0.1"], []),
    ],
)
def test_no_proxy(entry: str, named: list[str], others: list[str]) -> None:
    """Names with their subdomains, addresses, networks, ports, and ``*``."""
    assert [host for host in named if not bypasses(host, 80, entry)] == []
    assert [host for host in others if bypasses(host, 80, entry)] == []


@pytest.mark.parametrize(
    ("url", "entry"),
    [
        ("http://a.test/", "for-http"),
        ("https://a.test/", "for-https"),
        ("ws://a.test/", "for-ws"),
        ("wss://a.test/", "for-https"),
        ("http://direct.test/", None),
        ("wss://direct.test/", None),
        ("http://port.test/", "for-http"),
        ("http://port.test:8080/", None),
    ],
)
def test_the_entry_for_a_url(url: str, entry: str | None) -> None:
    """That of its scheme, else the one for all, unless the host is to be reached directly."""
    entries = {
        "http": "for-http",
        "https": "for-https",
        "ws": "for-ws",
        "wss": "",
        "all": "for-all",
        "no": "direct.test,port.test:8080",
    }
    assert chosen_entry(URL(url), entries) == entry


# -- the environment -------------------------------------------------------------------


@pytest.mark.parametrize("upper", [True, False], ids=["upper", "lower"])
@pytest.mark.parametrize("scheme", ["http", "https", "ws", "wss"])
async def test_variables_of_a_scheme(
    set_environment: SetEnvironment, scheme: str, upper: bool
) -> None:
    """In capitals or not; ``ALL_PROXY`` for those without."""
    names = [f"{scheme}_proxy", "all_proxy", "no_proxy"]
    names = [name.upper() for name in names] if upper else names
    values = ["http://user:secret@proxy.test:3128", "socks5h://all.test", "direct.test"]
    set_environment(**dict(zip(names, values, strict=True)))
    found = await environment_proxy(URL(f"{scheme}://origin.test/"))
    assert found == ProxyOptions(PROXY, USER)
    assert await environment_proxy(URL(f"{scheme}://direct.test/")) is None
    other = "https" if scheme == "http" else "http"
    found = await environment_proxy(URL(f"{other}://origin.test/"))
    assert found == ProxyOptions(URL("socks5h://all.test:1080"))


async def test_small_letters_go_before_capitals(set_environment: SetEnvironment) -> None:
    """Where both are set; an empty value is none."""
    set_environment(HTTP_PROXY="http://capitals.test", http_proxy="http://proxy.test:3128")
    assert await environment_proxy(URL("http://origin.test/")) == ProxyOptions(PROXY)
    set_environment(http_proxy="")
    assert await environment_proxy(URL("http://origin.test/")) is None


async def test_no_variable(set_environment: SetEnvironment) -> None:
    """There is no proxy then."""
    assert await environment_proxy(URL("http://origin.test/")) is None
    set_environment(no_proxy="x.test")
    assert await environment_proxy(URL("http://origin.test/")) is None


async def test_a_cgi_program_does_not_trust_http_proxy(set_environment: SetEnvironment) -> None:
    """CVE-2016-5385: there it is a header of whoever made the request."""
    set_environment(HTTP_PROXY="http://evil.test", REQUEST_METHOD="GET")
    assert await environment_proxy(URL("http://origin.test/")) is None


@pytest.mark.parametrize("value", ["proxy.test:3128", "http://proxy.test:3128"])
async def test_a_value_without_a_scheme_is_http(
    set_environment: SetEnvironment, value: str
) -> None:
    """As every other program reads it."""
    set_environment(https_proxy=value)
    assert await environment_proxy(URL("https://origin.test/")) == ProxyOptions(PROXY)


@pytest.mark.parametrize("value", ["wss://u:secret@proxy.test", "socks://u:secret@proxy.test"])
async def test_a_value_that_cannot_be_used(
    set_environment: SetEnvironment, caplog: pytest.LogCaptureFixture, value: str
) -> None:
    """It is passed over with a warning, which shows no password."""
    set_environment(all_proxy=value)
    with caplog.at_level(logging.WARNING, "anyhttp.client"):
        assert await environment_proxy(URL("https://origin.test/")) is None
    assert "proxy.test" in caplog.text
    assert "secret" not in caplog.text


async def test_settings_of_the_system_are_asked_in_a_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where there are such settings, and no variables; asking may block."""
    threads = set[threading.Thread]()

    def getproxies() -> dict[str, str]:
        threads.add(threading.current_thread())
        return {"http": "http://proxy.test:3128"}

    def proxy_bypass(host: str) -> bool:
        threads.add(threading.current_thread())
        return host == "direct.test"

    monkeypatch.setattr(proxies, "_HAS_SYSTEM_PROXIES", True)
    monkeypatch.setattr(urllib.request, "getproxies", getproxies)
    monkeypatch.setattr(urllib.request, "proxy_bypass", proxy_bypass)
    assert await environment_proxy(URL("http://origin.test/")) == ProxyOptions(PROXY)
    assert await environment_proxy(URL("http://direct.test/")) is None
    assert await environment_proxy(URL("https://origin.test/")) is None
    assert threads
    assert threading.current_thread() not in threads


# -- netrc -----------------------------------------------------------------------------


async def test_netrc_has_credentials_for_the_proxy(
    set_environment: SetEnvironment, tmp_path: Path
) -> None:
    """By its host alone, and only where its URL has none."""
    file = tmp_path / "logins"
    file.write_text("machine proxy.test login user password secret\n")
    set_environment(NETRC=str(file), http_proxy="http://proxy.test:3128")
    url = URL("http://origin.test/")
    assert await environment_proxy(url) == ProxyOptions(PROXY, USER._replace(encoding="utf-8"))
    set_environment(http_proxy="http://other:word@proxy.test:3128")
    assert await environment_proxy(url) == ProxyOptions(PROXY, OTHER)
    set_environment(http_proxy="http://x.proxy.test:3128")
    assert await environment_proxy(url) == ProxyOptions(URL("http://x.proxy.test:3128"))


# -- the options of a call -------------------------------------------------------------


async def test_trust_env_is_off_unless_asked_for(set_environment: SetEnvironment) -> None:
    """Without it the environment says nothing."""
    set_environment(http_proxy="http://127.0.0.1:1")
    async with ClientSession() as session:
        assert session.trust_env is False
    async with ClientSession(trust_env=True, connector=TCPConnector()) as session:
        assert session.trust_env is True


async def test_the_function_takes_them_too() -> None:
    """``request()`` has the options of a session's methods."""
    with pytest.raises(InvalidURL):
        async with request("GET", "http://origin.test/", proxy="nothing"):
            pass
