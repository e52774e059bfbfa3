"""What cannot be meant is refused by its name, with the documented exception, unsent."""

from __future__ import annotations

import io
import json
import re
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from anyhttp import (
    AsyncIterablePayload,
    BasicAuth,
    BytesPayload,
    ClientHandlerType,
    ClientPayloadError,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    CookieJar,
    DigestAuthMiddleware,
    DummyCookieJar,
    Fingerprint,
    FormData,
    HttpVersion,
    HttpVersion10,
    InvalidUrlClientError,
    MultipartWriter,
    NonHttpUrlClientError,
    StreamReader,
    TCPConnector,
    TraceConfig,
    UnixConnector,
    request,
)
from tests.support.api import Api
from tests.support.client import assert_free, client
from tests.support.peer import Script
from tests.support.requests import pieces
from tests.support.responses import EMPTY as OK

CONTROL = ("\r\nEvil: 1", "\n", "\r", "\x00", "\x01", "\x1b", "\x7f")

# "127.0.0.1" in digits that IDNA makes into those.
FULLWIDTH = "".join(chr(ord(char) + 0xFEE0) if char.isdigit() else char for char in "127.0.0.1")


async def refused(
    api: Api, error: type[Exception], words: str, method: str = "POST", **options: Any
) -> None:
    """Make a request; assert that it raises that error with these words, and sends nothing.

    :param options: those of the request; ``url`` is joined to that of the API
    """
    url = options.pop("url", api.url)
    if isinstance(url, URL) and not url.absolute:
        url = api.url.join(url)
    async with client("auto") as session:
        with pytest.raises(error, match=words) as caught:
            await session.request(method, url, **options)
        assert type(caught.value) is error
        assert_free(session, idle=0)
    assert api.connections == 0


_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def case(error: type[Exception], words: str, **options: Any) -> Any:
    """Return a row of a table, named after its options."""
    shown = {key: _ADDRESS.sub("", repr(value)) for key, value in options.items()}
    name = "-".join(f"{key}={value:.40}" for key, value in shown.items())
    return pytest.param(error, words, options, id=name.encode("ascii", "replace").decode())


# -- making things ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "words", "options"),
    [
        case(TypeError, "base_url", base_url=5),
        case(TypeError, "base_url", base_url=b"http://host/"),
        case(ValueError, "base_url", base_url="path/"),
        case(ValueError, "base_url", base_url="//host/"),
        case(ValueError, "base_url", base_url="http:///path/"),
        case(ValueError, "base_url", base_url="http://host/path"),
        case(ValueError, "base_url", base_url="http://host:port/"),
        case(ValueError, "base_url", base_url="http://127.1/"),
        case(TypeError, "connector", connector=object()),
        case(TypeError, "connector", connector=TCPConnector),
        case(TypeError, "cookies", cookies=5),
        case(TypeError, "cookies", cookies=["name"]),
        case(TypeError, "cookies", cookies="name=value"),
        case(TypeError, "cookies", cookies={5: "value"}),
        case(ValueError, "cookie", cookies={"a b\n": "value"}),
        case(ValueError, "cookie", cookies={"name": "value\r\n"}),
        case(TypeError, "cookie_jar", cookie_jar={}),
        case(TypeError, "cookie_jar", cookie_jar=CookieJar),
        case(TypeError, "headers", headers=5),
        case(TypeError, "headers", headers="Name: value"),
        case(TypeError, "headers", headers=["Name: value"]),
        case(TypeError, "headers", headers=[("Name", "value", "more")]),
        case(TypeError, "headers: Name", headers={"Name": 5}),
        case(TypeError, "headers: Name", headers={"Name": b"value"}),
        case(TypeError, "headers: Name", headers={"Name": None}),
        case(TypeError, "headers", headers={b"Name": "value"}),
        case(ValueError, "headers", headers={"Name ": "value"}),
        case(ValueError, "headers", headers={"": "value"}),
        case(ValueError, "headers", headers={"Näme": "value"}),
        case(ValueError, "headers", headers={"Name": "value\n"}),
        case(TypeError, "skip_auto_headers", skip_auto_headers="User-Agent"),
        case(TypeError, "skip_auto_headers", skip_auto_headers=5),
        case(TypeError, "skip_auto_headers", skip_auto_headers=[5]),
        case(TypeError, "auth", auth=("user", "password")),
        case(TypeError, "auth", auth="Basic abc"),
        case(TypeError, "json_serialize", json_serialize="json"),
        case(TypeError, "json_serialize_bytes", json_serialize_bytes=5),
        case(TypeError, "request_class", request_class=object),
        case(TypeError, "request_class", request_class=5),
        case(TypeError, "response_class", response_class=object),
        case(TypeError, "response_class", response_class="ClientResponse"),
        case(TypeError, "version", version="1.1"),
        case(TypeError, "version", version=1.1),
        case(ValueError, "version", version=HttpVersion(2, 0)),
        case(ValueError, "version", version=HttpVersion(0, 9)),
        case(TypeError, "raise_for_status", raise_for_status=5),
        case(TypeError, "raise_for_status", raise_for_status="yes"),
        case(ValueError, "timeout", timeout=5),
        case(TypeError, "timeout", timeout="5"),
        case(TypeError, "read_bufsize", read_bufsize="5"),
        case(ValueError, "read_bufsize", read_bufsize=0),
        case(TypeError, "max_line_size", max_line_size=1.5),
        case(ValueError, "max_line_size", max_line_size=-1),
        case(TypeError, "max_field_size", max_field_size=True),
        case(ValueError, "max_field_size", max_field_size=0),
        case(TypeError, "max_headers", max_headers="many"),
        case(ValueError, "max_headers", max_headers=0),
        case(TypeError, "max_body_size", max_body_size="1MB"),
        case(ValueError, "max_body_size", max_body_size=-1),
        case(TypeError, "fallback_charset_resolver", fallback_charset_resolver="utf-8"),
        case(TypeError, "trace_configs must be an iterable", trace_configs=TraceConfig()),
        case(TypeError, "connector_owner must be a bool, not int", connector_owner=1),
        case(TypeError, "auto_decompress must be a bool, not str", auto_decompress="no"),
        case(TypeError, "trust_env must be a bool, not NoneType", trust_env=None),
        case(TypeError, "requote_redirect_url must be a bool", requote_redirect_url="yes"),
        case(TypeError, "retry_connections must be a bool", retry_connections=0),
        case(TypeError, "nonsense", nonsense=1),
    ],
)
def test_sessions_that_cannot_be_made(
    error: type[Exception], words: str, options: dict[str, Any]
) -> None:
    """Each argument is judged when the session is made, and nothing has to be closed then."""
    with pytest.raises(error, match=words) as caught:
        ClientSession(**options)
    assert type(caught.value) is error


@pytest.mark.parametrize(
    ("error", "words", "options"),
    [
        case(TypeError, "ssl", ssl="yes"),
        case(TypeError, "ssl", ssl=5),
        case(TypeError, "ssl", ssl=b"x" * 32),
        case(TypeError, "keepalive_timeout", keepalive_timeout="5"),
        case(ValueError, "keepalive_timeout", keepalive_timeout=-1),
        case(ValueError, "keepalive_timeout", keepalive_timeout=float("nan")),
        case(ValueError, "keepalive_timeout", keepalive_timeout=5, force_close=True),
        case(TypeError, "limit", limit="5"),
        case(TypeError, "limit", limit=1.5),
        case(TypeError, "limit", limit=True),
        case(ValueError, "limit", limit=-1),
        case(TypeError, "limit_per_host", limit_per_host="5"),
        case(ValueError, "limit_per_host", limit_per_host=-1),
        case(ValueError, "http1", http1="http2"),
        case(ValueError, "http1", http1=5),
        case(TypeError, "ttl_dns_cache", ttl_dns_cache="10"),
        case(ValueError, "ttl_dns_cache", ttl_dns_cache=-1),
        case(TypeError, "dns_cache_max_size", dns_cache_max_size="10"),
        case(ValueError, "dns_cache_max_size", dns_cache_max_size=0),
        case(TypeError, "family", family="inet"),
        case(TypeError, "local_addr", local_addr="127.0.0.1"),
        case(TypeError, "local_addr", local_addr=("127.0.0.1", "0")),
        case(TypeError, "local_addr", local_addr=("127.0.0.1",)),
        case(TypeError, "resolver", resolver="8.8.8.8"),
        case(TypeError, "resolver", resolver=5),
        case(TypeError, "happy_eyeballs_delay", happy_eyeballs_delay="0.1"),
        case(ValueError, "happy_eyeballs_delay", happy_eyeballs_delay=-1),
        case(TypeError, "interleave", interleave="1"),
        case(ValueError, "interleave", interleave=-1),
        case(TypeError, "socket_factory", socket_factory=5),
        case(TypeError, "conn_timeout must be a number of seconds", conn_timeout="5"),
        case(ValueError, "conn_timeout must not be negative", conn_timeout=-1),
        case(TypeError, "force_close must be a bool", force_close="no"),
        case(TypeError, "use_dns_cache must be a bool", use_dns_cache=None),
        case(TypeError, "resolve must be a bool", resolve="no"),
        case(TypeError, "verify_ssl must be a bool", verify_ssl="no"),
        case(TypeError, "enable_cleanup_closed must be a bool", enable_cleanup_closed="no"),
        case(TypeError, "disable_cleanup_closed must be a bool", disable_cleanup_closed=1),
        case(TypeError, "share_cookies must be a bool", share_cookies="no"),
        case(TypeError, "nonsense", nonsense=1),
    ],
)
def test_tcp_connectors_that_cannot_be_made(
    error: type[Exception], words: str, options: dict[str, Any]
) -> None:
    """Each argument is judged when the connector is made."""
    with pytest.raises(error, match=words) as caught:
        TCPConnector(**options)
    assert type(caught.value) is error


@pytest.mark.parametrize(
    ("error", "words", "options"),
    [
        case(TypeError, "path", path=5),
        case(TypeError, "path", path=None),
        case(ValueError, "path", path=""),
        case(ValueError, "path", path="/run/so\x00cket"),
        case(TypeError, "limit", path="/run/socket", limit="5"),
        case(ValueError, "limit_per_host", path="/run/socket", limit_per_host=-1),
        case(TypeError, "keepalive_timeout", path="/run/socket", keepalive_timeout="5"),
        case(TypeError, "force_close must be a bool", path="/run/socket", force_close="no"),
        case(TypeError, "share_cookies must be a bool", path="/run/socket", share_cookies="no"),
    ],
)
def test_unix_connectors_that_cannot_be_made(
    error: type[Exception], words: str, options: dict[str, Any]
) -> None:
    """Each argument is judged when the connector is made."""
    with pytest.raises(error, match=words) as caught:
        UnixConnector(**options)
    assert type(caught.value) is error


@pytest.mark.parametrize(
    ("error", "words", "make"),
    [
        (ValueError, "login", lambda: BasicAuth(None)),  # type: ignore[arg-type]  # on purpose
        (ValueError, "login", lambda: BasicAuth("a:b")),
        (ValueError, "password", lambda: BasicAuth("a", None)),  # type: ignore[arg-type]  # same
        (TypeError, "login", lambda: BasicAuth(b"a")),  # type: ignore[arg-type]  # same
        (TypeError, "password", lambda: BasicAuth("a", 5)),  # type: ignore[arg-type]  # same
        (ValueError, "encoding", lambda: BasicAuth("a", "b", "no-such-charset")),
        (ValueError, "fingerprint", lambda: Fingerprint(b"x" * 16)),
        (ValueError, "fingerprint", lambda: Fingerprint(b"x" * 20)),
        (TypeError, "fingerprint", lambda: Fingerprint("x" * 32)),  # type: ignore[arg-type]  # same
        (TypeError, "total", lambda: ClientTimeout("5")),  # type: ignore[arg-type]  # same
        (ValueError, "sock_read", lambda: ClientTimeout(sock_read=-1)),
        (ValueError, "connect", lambda: ClientTimeout(connect=float("nan"))),
        (ValueError, "charset", lambda: FormData(charset="no-such-charset")),
        (ValueError, "charset", lambda: FormData(charset="utf-8\r\nEvil: 1")),
        (TypeError, "charset", lambda: FormData(charset=5)),  # type: ignore[arg-type]  # same
        (ValueError, "boundary", lambda: MultipartWriter(boundary="b\r\n")),
        (TypeError, "boundary", lambda: MultipartWriter(boundary=b"b")),  # type: ignore[arg-type]  # same
        (ValueError, "subtype", lambda: MultipartWriter("mixed\r\nEvil: 1")),
    ],
)
def test_values_that_cannot_be_made(
    error: type[Exception], words: str, make: Callable[[], object]
) -> None:
    """So are the arguments of everything that is given to a session or a request."""
    with pytest.raises(error, match=words) as caught:
        make()
    assert type(caught.value) is error


# -- requests --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "words", "options"),
    [
        case(TypeError, "method", method=5),
        case(TypeError, "method", method=b"GET"),
        case(TypeError, "method", method=None),
        case(ValueError, "method", method=""),
        case(ValueError, "method", method="G T"),
        case(ValueError, "method", method="GÉT"),
        case(TypeError, "url", url=5),
        case(TypeError, "url", url=b"http://host/"),
        case(TypeError, "url", url=None),
        case(InvalidUrlClientError, "relative", url="/path"),
        case(InvalidUrlClientError, "no host|host", url="http:///path"),
        case(InvalidUrlClientError, "port|http", url="http://host:port/"),
        case(InvalidUrlClientError, "IPv4", url="http://127.1/"),
        case(InvalidUrlClientError, "IPv4", url="http://0177.0.0.1/"),
        case(InvalidUrlClientError, "IPv4", url="http://2130706433/"),
        case(InvalidUrlClientError, "IPv4", url="http://0x7f.1/"),
        case(InvalidUrlClientError, "host", url="http://" + "a" * 100_000 + "/"),
        case(InvalidUrlClientError, "host", url=URL("http://ho st/", encoded=True)),
        case(InvalidUrlClientError, "host", url=URL(f"http://{FULLWIDTH}/", encoded=True)),
        case(InvalidUrlClientError, "host", url=URL("http://ho\x00st/", encoded=True)),
        case(NonHttpUrlClientError, "ftp", url="ftp://host/"),
        case(NonHttpUrlClientError, "javascript", url="javascript:alert(1)"),
        case(NonHttpUrlClientError, "file", url="file:///etc/passwd"),
        case(TypeError, "params", params=5),
        case(TypeError, "params", params=object()),
        case(TypeError, "params", params=[5]),
        case(ValueError, "params", params={"a": float("inf")}),
        case(TypeError, "params", params={"a": None}),
        case(TypeError, "params", params={"a": True}),
        case(TypeError, "params", params={"a": object()}),
        case(TypeError, "data", data=5),
        case(TypeError, "data", data=object()),
        case(TypeError, "data", data=[1, 2]),
        case(TypeError, "JSON|json", json=object()),
        case(ValueError, "data and json", data=b"", json={}),
        case(ValueError, "data and json", data={}, json=0),
        case(TypeError, "cookies", cookies=5),
        case(TypeError, "cookies", cookies="name=value"),
        case(TypeError, "cookies", cookies=["name"]),
        case(TypeError, "cookies", cookies={5: "value"}),
        case(TypeError, "cookies: name", cookies={"name": None}),
        case(TypeError, "cookies: name", cookies={"name": b"value"}),
        case(TypeError, "headers", headers=5),
        case(TypeError, "headers", headers="Name: value"),
        case(TypeError, "headers", headers=["Name: value"]),
        case(TypeError, "headers: Name", headers={"Name": 5}),
        case(TypeError, "headers: Name", headers={"Name": b"value"}),
        case(TypeError, "skip_auto_headers", skip_auto_headers="User-Agent"),
        case(TypeError, "skip_auto_headers", skip_auto_headers=5),
        case(TypeError, "skip_auto_headers", skip_auto_headers=[5]),
        case(TypeError, "auth", auth=("user", "password")),
        case(TypeError, "auth", auth="Basic abc"),
        case(ValueError, "auth", auth=BasicAuth("ключ", "x", "latin1")),
        case(TypeError, "max_redirects", max_redirects="3"),
        case(TypeError, "max_redirects", max_redirects=None),
        case(ValueError, "max_redirects", max_redirects=-1),
        case(TypeError, "compress", compress=5),
        case(ValueError, "compress", compress="br"),
        case(ValueError, "compress", compress="zstd"),
        case(ValueError, "compress", compress="gzip\r\nEvil: 1"),
        case(TypeError, "raise_for_status", raise_for_status=5),
        case(TypeError, "timeout", timeout="5"),
        case(TypeError, "timeout", timeout=(1, 2)),
        case(TypeError, "timeout", timeout=True),
        case(ValueError, "total", timeout=-1),
        case(ValueError, "total", timeout=float("nan")),
        case(TypeError, "ssl", ssl="yes"),
        case(TypeError, "ssl", ssl=5),
        case(TypeError, "server_hostname", server_hostname=5),
        case(TypeError, "server_hostname", server_hostname=b"host"),
        case(ValueError, "server_hostname", server_hostname=""),
        case(ValueError, "server_hostname", server_hostname="ho\x00st"),
        case(TypeError, "read_bufsize", read_bufsize="5"),
        case(ValueError, "read_bufsize", read_bufsize=0),
        case(TypeError, "max_line_size", max_line_size="5"),
        case(ValueError, "max_field_size", max_field_size=0),
        case(TypeError, "max_headers", max_headers=1.5),
        case(TypeError, "max_body_size", max_body_size="5"),
        case(ValueError, "max_body_size", max_body_size=0),
        case(TypeError, "allow_redirects must be a bool, not str", allow_redirects="no"),
        case(TypeError, "allow_redirects must be a bool, not int", allow_redirects=0),
        case(TypeError, "expect100 must be a bool", expect100=1),
        case(TypeError, "read_until_eof must be a bool", read_until_eof="no"),
        case(TypeError, "auto_decompress must be a bool or None", auto_decompress="no"),
        case(TypeError, "nonsense", nonsense=1),
        case(ValueError, "headers: the value of X holds a lone surrogate", headers={"X": "\ud800"}),
        case(ValueError, "headers: the value of X", headers={"X": "ok\udc7f"}),
        case(ValueError, "proxy_headers: the value of X", proxy_headers={"X": "\udfff"}),
        case(ValueError, "method", method="G\ud800T"),
        case(InvalidUrlClientError, "lone surrogate", url="http://127.0.0.1:1/\ud800"),
        case(InvalidUrlClientError, "lone surrogate", url="http://u:\ud800@127.0.0.1:1/"),
        case(InvalidUrlClientError, "lone surrogate", url="http://127.0.0.1\udce9/"),
        case(InvalidUrlClientError, "lone surrogate", url=URL("/\ud800", encoded=True)),
        case(ValueError, "params: a lone surrogate", params="a=\ud800"),
        case(ValueError, "params: a lone surrogate", params={"a": "\ud800"}),
        case(ValueError, "params: a lone surrogate", params=[("\udce9", 1)]),
        case(ValueError, "params: a lone surrogate", params={"a": ["b", "\ud800"]}),
        case(ValueError, "data: the text at 1", data="a\ud800"),
        case(ValueError, "data: the text at 1", data={"a": "b\ud800"}),
        case(ValueError, "data: the text at 1", data={"a\ud800": "b"}),
        case(ValueError, "cookie 'a'", cookies={"a": "\ud800"}),
        case(ValueError, "auth", auth=BasicAuth("a", "\ud800", "utf-8")),
        case(
            ValueError,
            "proxy_auth: login or password",
            proxy="http://127.0.0.1:1/",
            proxy_auth=BasicAuth("a", "\N{SNOWMAN}"),
        ),
        case(
            ValueError,
            "proxy_auth: login or password",
            proxy="socks5://127.0.0.1:1/",
            proxy_auth=BasicAuth("a", "\ud800"),
        ),
        case(ValueError, "server_hostname", server_hostname="a\ud800"),
        case(ValueError, "server_hostname", server_hostname=".host"),
        case(ValueError, "server_hostname", server_hostname="a..b"),
        case(InvalidUrlClientError, "begins with a dot", url="https://.host/"),
        case(InvalidUrlClientError, "two dots in a row", url="https://a..b/"),
    ],
)
async def test_options_that_cannot_be_meant(
    error: type[Exception], words: str, options: dict[str, Any], api: Api
) -> None:
    """Each option of a request is judged before there is a connection."""
    await refused(api, error, words, **options)


@pytest.mark.parametrize(
    ("error", "words", "options"),
    [
        case(ValueError, "chunked", chunked=True, headers={"Content-Length": "2"}),
        case(ValueError, "chunked", chunked=True, headers={"Transfer-Encoding": "chunked"}),
        case(
            ValueError,
            "chunked",
            headers={"Content-Length": "2", "Transfer-Encoding": "chunked"},
        ),
        case(ValueError, "compress", compress=True, headers={"Content-Encoding": "gzip"}),
        case(ValueError, "compress", compress="gzip", headers={"Content-Length": "2"}),
        case(ValueError, "Transfer-Encoding", headers={"Transfer-Encoding": "gzip, chunked"}),
        case(ValueError, "Transfer-Encoding", headers={"Transfer-Encoding": "identity"}),
        case(ValueError, "Transfer-Encoding", headers={"Transfer-Encoding": ""}),
        case(ValueError, "Content-Length", headers={"Content-Length": "-2"}),
        case(ValueError, "Content-Length", headers={"Content-Length": "+2"}),
        case(ValueError, "Content-Length", headers={"Content-Length": "0x2"}),
        case(ValueError, "Content-Length", headers={"Content-Length": "2_0"}),
        case(ValueError, "Content-Length", headers={"Content-Length": "²"}),
        case(ValueError, "Content-Length", headers={"Content-Length": " 2"}),
        case(ValueError, "Content-Length", headers={"Content-Length": "2, 2"}),
        case(ValueError, "Content-Length", headers={"Content-Length": ""}),
        case(ValueError, "Content-Length", headers={"Content-Length": "3"}),
        case(ValueError, "Content-Length", headers=[("Content-Length", "2")] * 2),
        case(ValueError, "Content-Length", data=None, headers={"Content-Length": "2"}),
        case(
            ValueError, "Content-Length", method="GET", data=None, headers={"Content-Length": "2"}
        ),
        case(ValueError, "auth", auth=BasicAuth("a", "b"), headers={"Authorization": "Bearer x"}),
        case(ValueError, "auth", auth=BasicAuth("a", "b"), headers={"authorization": "Bearer x"}),
        case(ValueError, "auth", auth=BasicAuth("a", "b"), url=URL("http://c:d@127.0.0.1/")),
        case(
            ValueError,
            "[Aa]uth",
            url=URL("http://c:d@127.0.0.1/"),
            headers={"Authorization": "Bearer x"},
        ),
    ],
)
async def test_combinations_that_contradict_themselves(
    error: type[Exception], words: str, options: dict[str, Any], api: Api
) -> None:
    """CVE-2026-84380 among others: what has two meanings is not sent with either."""
    await refused(api, error, words, **{"data": b"hi", **options})


async def test_what_http_1_0_does_not_have(api: Api) -> None:
    """RFC 9112 §7.1: no chunks, asked for or needed."""
    async with client("auto", version=HttpVersion10) as session:
        options: dict[str, Any]
        for options in (
            {"data": b"hi", "chunked": True},
            {"data": b"hi", "compress": True},
            {"data": pieces(b"hi")},
            {"headers": {"Transfer-Encoding": "chunked"}, "data": b"hi"},
        ):
            with pytest.raises(ValueError, match=r"HTTP/1\.0"):
                await session.post(api.url, **options)
    assert api.connections == 0


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("chunked must be a bool", {"chunked": "no"}),
        ("verify_ssl must be a bool", {"verify_ssl": "no"}),
    ],
)
async def test_flags_that_are_folded(words: str, options: dict[str, Any]) -> None:
    """They are refused where the request is made, as an unknown option is."""
    async with client("auto") as session:
        with pytest.raises(TypeError, match=words):
            session.post("http://host/", **options)


@pytest.mark.parametrize("flag", ["autoclose", "autoping", "decode_text"])
async def test_flags_of_a_websocket(flag: str, api: Api) -> None:
    """``"no"`` would count as true."""
    options: Any = {flag: "no"}
    async with client("auto") as session:
        with pytest.raises(TypeError, match=f"{flag} must be a bool, not str"):
            await session.ws_connect(api.url, **options)
    assert api.connections == 0


def test_flags_of_digest_authentication() -> None:
    """So are those of what is given to a session."""
    wrong: Any = "no"
    with pytest.raises(TypeError, match="preemptive must be a bool"):
        DigestAuthMiddleware("user", "word", wrong)


async def test_a_flag_that_is_set_later() -> None:
    """The attribute of a session is judged as the argument is."""
    wrong: Any = "no"
    async with client("auto") as session:
        with pytest.warns(DeprecationWarning, match="requote"):
            with pytest.raises(TypeError, match="requote_redirect_url must be a bool"):
                session.requote_redirect_url = wrong


async def test_what_cannot_be_encoded_is_not_shown(api: Api) -> None:
    """Nothing else of the request is in the error: no header, no text of the body."""
    secret = "nobody-may-read-this"
    wrong: list[dict[str, Any]] = [
        {"headers": {"X": f"{secret}\ud800"}},
        {"data": f"{secret}\ud800"},
        {"data": {"field": f"{secret}\ud800"}},
        {"json": f"{secret}\ud800"},
        {"params": {"a": f"{secret}\ud800"}},
        {"cookies": {"a": f"{secret}\ud800"}},
    ]
    authorization = {"Authorization": f"Bearer {secret}"}
    plain = partial(json.dumps, ensure_ascii=False)
    async with client("auto", headers=authorization, json_serialize=plain) as session:
        for options in wrong:
            with pytest.raises(ValueError) as caught:
                await session.post(api.url, **options)
            assert secret not in "".join(traceback.format_exception(caught.value))
            assert secret not in repr(caught.value)
            assert not isinstance(caught.value, UnicodeError)
        session.headers["X"] = f"{secret}\ud800"
        with pytest.raises(ValueError, match="headers: the value of X holds a lone") as caught:
            await session.post(api.url)
        assert secret not in repr(caught.value)
    assert api.connections == 0


async def test_bytes_that_are_no_utf8_are_sent(http1: str, script: Script) -> None:
    """Such as in a name of a file, or a header that came from elsewhere: as ``os.fsdecode()``."""
    peer = await script([(b"GET /a%FFb ", OK)])
    async with client(http1) as session:
        await session.get(f"{peer.url}a\udcffb", headers={"X": "c\udcff"})
    assert b"\r\nX: c\xff\r\n" in peer.requests[0]


@pytest.mark.parametrize("text", ["\ud800", "a\ud800b"])
def test_texts_of_values_that_cannot_be_encoded(text: str) -> None:
    """They are judged where the value is made."""
    for login, word in ((text, "word"), ("user", text)):
        with pytest.raises(ValueError, match="holds a lone surrogate") as caught:
            DigestAuthMiddleware(login, word)
        assert "word" not in repr(caught.value).replace("password", "")
    with pytest.raises(ValueError, match="path"):
        UnixConnector(f"/run/{text}")


async def test_a_middleware_that_sets_what_tls_cannot_send(api: Api) -> None:
    """It is judged as an argument is."""

    async def set_name(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        request.server_hostname = ".host"
        return await handler(request)

    async with client("auto", middlewares=[set_name]) as session:
        with pytest.raises(ValueError, match="server_hostname"):
            await session.get(api.url)
    assert api.connections == 0


async def test_the_module_level_request_judges_alike(api: Api) -> None:
    """Its private session is closed again: the census would find it."""
    attempts: list[tuple[type[Exception], dict[str, Any]]] = [
        (TypeError, {"connector": object()}),
        (TypeError, {"version": "1.1"}),
        (TypeError, {"cookies": 5}),
        (TypeError, {"data": 5}),
        (ValueError, {"data": b"", "json": 1}),
        (ValueError, {"headers": {"X": "a\r\nb"}}),
    ]
    for error, options in attempts:
        with pytest.raises(error):
            await request("POST", api.url, **options)
        with pytest.raises(error):
            async with request("POST", api.url, **options):
                pass
    assert api.connections == 0


# -- control characters ----------------------------------------------------------------


def _payload(**options: Any) -> Any:
    return {"data": BytesPayload(b"hi", **options)}


def _appended(headers: Any, data: object = b"hi") -> Any:
    writer = MultipartWriter()
    writer.append(data, headers)
    return {"data": writer}


def _field(**options: Any) -> Any:
    form = FormData()
    form.add_field(**{"name": "name", "value": "value", **options})
    return {"data": form}


def _changed(field: str, value: str, *parts: object) -> Any:
    """Return a multipart one of whose parts was given a bad header after it was added."""
    writer = MultipartWriter()
    for part in parts:
        writer.append(part)
    writer.append(b"hi").headers[field] = value
    return {"data": writer}


def _file_named(name: str) -> Any:
    file = io.BytesIO(b"hi")
    file.name = name
    return file


ENTRIES: dict[str, Callable[[str], dict[str, Any]]] = {
    "method": lambda text: {"method": f"GE{text}T"},
    "name": lambda text: {"headers": {f"X{text}": "value"}},
    "value": lambda text: {"headers": {"X": f"a{text}b"}},
    "end of a value": lambda text: {"headers": {"X": f"a{text}"}},
    "pairs": lambda text: {"headers": [("A", "b"), ("X", f"a{text}b")]},
    "Host": lambda text: {"headers": {"Host": f"a{text}b"}},
    "Content-Type": lambda text: {"headers": {"Content-Type": f"a/b{text}"}, "data": b""},
    "Content-Length": lambda text: {"headers": {"Content-Length": f"0{text}"}},
    "Transfer-Encoding": lambda text: {"headers": {"Transfer-Encoding": f"chunked{text}"}},
    "Connection": lambda text: {"headers": {"Connection": f"close{text}"}},
    "Cookie": lambda text: {"headers": {"Cookie": f"a=b{text}"}},
    "cookie name": lambda text: {"cookies": {f"a{text}": "b"}},
    "cookie value": lambda text: {"cookies": {"a": f"b{text}"}},
    "compress": lambda text: {"compress": f"gzip{text}", "data": b"hi"},
    "target": lambda text: {"url": URL.build(path=f"/a{text}b", encoded=True)},
    "query": lambda text: {"url": URL.build(path="/", query_string=f"a{text}b", encoded=True)},
    "content_type": lambda text: _payload(content_type=f"a/b{text}"),
    "headers of a payload": lambda text: _payload(headers={"X": f"a{text}b"}),
    "names of a payload": lambda text: _payload(headers={f"X{text}": "a"}),
    "header of a part": lambda text: _appended({"X": f"a{text}b"}),
    "name of a header of a part": lambda text: _appended({f"X{text}": "a"}),
    "type of a part": lambda text: _appended({"Content-Type": f"a/b{text}"}),
    "header of a payload as part": lambda text: _appended({"X": f"a{text}b"}, BytesPayload(b"hi")),
    "content_type of a payload as part": lambda text: _appended(
        None, BytesPayload(b"hi", content_type=f"a/b{text}")
    ),
    "header changed after adding": lambda text: _changed("X", f"a{text}b"),
    "the same behind a stream": lambda text: _changed("X", f"a{text}b", pieces(b"hi")),
    "disposition changed": lambda text: _changed("Content-Disposition", f'a; name="{text}"'),
    "name of a field": lambda text: _field(name=f"na{text}me"),
    "file name of a field": lambda text: _field(filename=f"a{text}.txt"),
    "content type of a field": lambda text: _field(content_type=f"a/b{text}"),
    "name in a mapping": lambda text: {"data": {f"na{text}me": io.BytesIO(b"hi")}},
    "name of a file": lambda text: {"data": {"name": _file_named(f"a{text}.txt")}},
    "server_hostname": lambda text: {"server_hostname": f"ho{text}st"},
    "boundary": lambda text: {"data": MultipartWriter(boundary=f"b{text}b")},
    "subtype": lambda text: {"data": MultipartWriter(f"mixed{text}")},
}


@pytest.mark.parametrize("text", CONTROL)
@pytest.mark.parametrize("entry", ENTRIES)
async def test_control_characters_are_refused_everywhere(entry: str, text: str, api: Api) -> None:
    """CVE-2023-49081, -49082, CVE-2026-34514, -50269, -84379: ``ValueError``, unsent."""
    async with client("auto") as session:
        with pytest.raises(ValueError) as caught:  # noqa: PT012  (some raise when they are made)
            options = ENTRIES[entry](text)
            method = options.pop("method", "POST")
            url = api.url.join(options.pop("url", URL("/")))
            await session.request(method, url, **options)
        assert "Evil: 1" not in str(caught.value).split("\n")[1:]
        assert_free(session, idle=0)
    assert api.connections == 0


@pytest.mark.parametrize("text", CONTROL)
@pytest.mark.parametrize("where", ["headers", "names", "changed", "base_url", "cookies", "jar"])
async def test_nor_do_they_come_in_by_the_session(where: str, text: str, api: Api) -> None:
    """Its defaults may be changed at any time, so they are looked at for each request."""
    session = client("auto")
    try:
        with pytest.raises(ValueError):  # noqa: PT012  (some raise when they are made)
            if where == "headers":
                ClientSession(headers={"X": f"a{text}b"})
            elif where == "names":
                ClientSession(headers={f"X{text}": "a"})
            elif where == "changed":
                session.headers["X"] = f"a{text}b"
            elif where == "base_url":
                base = URL.build(
                    scheme="http",
                    host="127.0.0.1",
                    port=api.url.port,
                    path=f"/{text}/",
                    encoded=True,
                )
                async with ClientSession(base) as other:
                    await other.get("a")
            elif where == "cookies":
                ClientSession(cookies={"a": f"b{text}"})
            else:
                session.cookie_jar.update_cookies({"a": f"b{text}"}, api.url)
            await session.get(api.url)
    finally:
        await session.close()
    assert api.connections == 0


@pytest.mark.parametrize("text", CONTROL)
def test_nor_by_a_disposition(text: str) -> None:
    """``set_content_disposition`` judges its type, the names and the values."""
    payload = BytesPayload(b"hi")
    for kind, params in (
        (f"form-data{text}", {"name": "a"}),
        ("form-data", {f"name{text}": "a"}),
        ("form-data", {"name": f"a{text}"}),
        ("attachment", {"filename": f"a{text}"}),
    ):
        for quote in (True, False):
            with pytest.raises(ValueError):
                payload.set_content_disposition(kind, quote, **params)
    assert "Content-Disposition" not in payload.headers


# -- bodies that are used up -----------------------------------------------------------


@pytest.mark.parametrize("kind", ["generator", "reader", "payload", "multipart"])
async def test_a_body_that_was_used_up_is_not_sent_as_an_empty_one(
    kind: str, http1: str, api: Api
) -> None:
    """Neither after a redirect that keeps the method, nor in a second request."""
    reader = StreamReader()
    reader.feed_data(b"hi")
    reader.feed_eof()
    body: object = pieces(b"hi")
    if kind == "reader":
        body = reader
    elif kind == "payload":
        body = AsyncIterablePayload(pieces(b"hi"))
    elif kind == "multipart":
        body = MultipartWriter()
        body.append(pieces(b"hi"))
    api.mock.post(api.url / "a", status=307, headers={"Location": "/b"})
    async with client(http1) as session:
        with pytest.raises(ClientPayloadError, match="used up"):
            await session.post(api.url / "a", data=body)
        if kind != "reader":
            with pytest.raises(ClientPayloadError, match="used up"):
                await session.post(api.url / "b", data=body)
        assert_free(session)
    assert api.requests == ["POST /a"]


# -- what looks odd and is allowed -----------------------------------------------------


async def test_odd_but_documented_input_is_accepted(http1: str, api: Api) -> None:
    """A tab and other text in a value, numbers in ``params``, 0 for no limit, False and None."""
    options: list[dict[str, Any]] = [
        {"headers": {"X": "a\tb", "Y": "grüße", "Z": ""}},
        {"params": {"a": 1, "b": 1.5, "c": ["1", "2"]}},
        {"params": ""},
        {"params": {}},
        {"max_redirects": 0},
        {"timeout": None},
        {"timeout": 0},
        {"chunked": False},
        {"chunked": None, "compress": False},
        {"data": None, "json": None, "cookies": None, "headers": None, "auth": None},
        {"headers": {"Content-Length": "0"}, "data": None},
        {"skip_auto_headers": ()},
    ]
    api.mock.post(api.url, match_query={})
    jar = DummyCookieJar()
    async with client(http1, cookie_jar=jar, raise_for_status=False) as session:
        for option in options:
            async with session.post(api.url, **option) as response:
                assert response.status == 200


async def test_a_path_object_is_a_path(tmp_path: Path, script: Script) -> None:
    """``UnixConnector`` takes what ``open()`` takes."""
    peer = await script([(b"GET ", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")], unix=True)
    connector = UnixConnector(Path(peer.unix_path))
    async with ClientSession(connector=connector) as session:
        async with session.get(peer.url) as response:
            assert response.status == 200
