"""Values of aiohttp that are given to a session here: those that only hold data are taken.

A library that imports aiohttp makes them, and got the session from the program.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from http.cookies import SimpleCookie
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, Mock

import pytest
from yarl import URL

import anyhttp
from anyhttp import ClientSession, TCPConnector
from tests.compat.comparison import aiohttp, class_names
from tests.support.client import client, get
from tests.support.routes import DOCUMENT
from tests.support.server import Server

AUTHORIZATION = "Proxy-Authorization"


def made_by_aiohttp(make: Callable[[], Any]) -> Any:
    """Return what *make* makes; some of it is deprecated there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return make()


def credentials(login: str = "user", password: str = "secret") -> Any:
    """Return what aiohttp's users give as ``auth``."""
    return made_by_aiohttp(lambda: aiohttp.BasicAuth(login, password))


class Timeout:
    """Has some of the attributes that time limits have."""

    total = connect = sock_read = 5


# -- what is still refused -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "make", "expected"),
    [
        ("connector", aiohttp.TCPConnector, "such as anyhttp.TCPConnector(), not aiohttp"),
        ("request_class", lambda: aiohttp.ClientRequest, "anyhttp.ClientRequest"),
        ("response_class", lambda: aiohttp.ClientResponse, "anyhttp.ClientResponse"),
        (
            "ws_response_class",
            lambda: aiohttp.ClientWebSocketResponse,
            "anyhttp.ClientWebSocketResponse",
        ),
        ("timeout", Timeout, "anyhttp.ClientTimeout"),
        ("timeout", Mock, "anyhttp.ClientTimeout"),
        ("timeout", lambda: aiohttp.ClientTimeout, "anyhttp.ClientTimeout"),
        ("auth", MagicMock, "anyhttp.BasicAuth"),
        ("auth", lambda: ("user", "secret", "utf-8"), "anyhttp.BasicAuth"),
        ("proxy_auth", lambda: aiohttp.BasicAuth, "anyhttp.BasicAuth"),
        ("trace_configs", lambda: [MagicMock()], "anyhttp.TraceConfig"),
        ("trace_configs", lambda: [aiohttp.TraceConfig], "anyhttp.TraceConfig"),
        ("version", lambda: (1, 1), "anyhttp.HttpVersion"),
        ("version", lambda: __import__("sys").version_info, "anyhttp.HttpVersion"),
        ("cookie_jar", MagicMock, "anyhttp.AbstractCookieJar"),
        ("cookie_jar", SimpleCookie, "anyhttp.AbstractCookieJar"),
        ("cookie_jar", lambda: aiohttp.CookieJar, "anyhttp.AbstractCookieJar"),
    ],
)
@pytest.mark.once
async def test_what_a_session_refuses(option: str, make: Callable[[], Any], expected: str) -> None:
    """Classes that do something cannot be taken, nor can objects that only look similar."""
    value = make()
    with pytest.raises((TypeError, ValueError)) as caught:
        ClientSession(**{option: value})
    text = str(caught.value)
    assert text.startswith(f"{option} must ")
    assert expected in text
    if option == "connector":
        assert text.endswith(" aiohttp.TCPConnector")
        await value.close()  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("option", "make", "expected"),
    [
        ("timeout", Timeout, "timeout must be an anyhttp.ClientTimeout"),
        ("timeout", lambda: aiohttp.ClientTimeout(total="5"), "total must be a number of seconds"),
        ("timeout", lambda: aiohttp.ClientTimeout(sock_read=-1), "sock_read must not be negative"),
        ("auth", Mock, "auth must be an anyhttp.BasicAuth"),
        ("auth", lambda: credentials("user", b"secret"), "password must be a str, not bytes"),  # type: ignore[arg-type]  # wrong on purpose
        ("proxy_auth", Mock, "proxy_auth must be an anyhttp.BasicAuth"),
        ("ssl", Mock, "ssl must be True, False, an ssl.SSLContext or an anyhttp.Fingerprint"),
        ("data", lambda: aiohttp.FormData, "data: "),
        ("data", lambda: aiohttp.JsonPayload, "data: "),
    ],
)
async def test_what_a_request_refuses(option: str, make: Callable[[], Any], expected: str) -> None:
    """What is taken is checked as if it were ours."""
    options: dict[str, Any] = {option: make()}
    async with client("auto") as session:
        with pytest.raises((TypeError, ValueError), match=expected):
            await session.post("http://host/", **options)


async def test_a_short_fingerprint() -> None:
    """One that is not of SHA-256 is refused, also if a future aiohttp knows another."""
    pinned = aiohttp.Fingerprint(bytes(32))
    pinned._fingerprint = bytes(20)
    async with client("auto") as session:
        with pytest.raises(ValueError, match="SHA-256 digest of 32 bytes, not 20 bytes"):
            await session.get("https://host/", ssl=pinned)


# -- options -------------------------------------------------------------------------------


async def test_time_limits(server: Server) -> None:
    """They are converted once; the program reads ours."""
    async with ClientSession(timeout=aiohttp.ClientTimeout(total=7, sock_read=0.2)) as session:
        assert session.timeout == anyhttp.ClientTimeout(total=7, sock_read=0.2)
        with pytest.raises(aiohttp.SocketTimeoutError):
            await get(session, server.url / "hang")
        with pytest.raises(aiohttp.ServerTimeoutError):
            await get(session, server.url / "hang", timeout=aiohttp.ClientTimeout(sock_read=0.1))


async def test_the_mark_of_a_time_limit_that_is_left_out(server: Server) -> None:
    """A wrapper passes it on, and the default applies."""
    sentinel = aiohttp.helpers.sentinel
    async with ClientSession(timeout=sentinel) as session:
        assert session.timeout == anyhttp.ClientTimeout(total=300, sock_connect=30)
        await get(session, server.url / "json", timeout=sentinel)


async def test_credentials(server: Server) -> None:
    """For the origin, from the session and from a request."""
    url = server.url / "basic-auth" / "user" / "secret"
    async with ClientSession(auth=credentials()) as session:
        assert session.auth == anyhttp.BasicAuth("user", "secret")
        assert type(session.auth) is anyhttp.BasicAuth
        await get(session, url, raise_for_status=True)
        with pytest.raises(aiohttp.ClientResponseError) as caught:
            await get(session, url, raise_for_status=True, auth=credentials("other"))
        assert caught.value.status == 401


async def test_credentials_for_a_proxy(server: Server) -> None:
    """A proxy that forwards gets them."""
    async with ClientSession(proxy=server.url, proxy_auth=credentials()) as session:
        seen = [json.loads(await get(session, "http://host/echo"))]
        options = {"proxy": server.url, "proxy_auth": credentials("other")}
        seen.append(json.loads(await get(session, "http://host/echo", **options)))
    sent = [value for each in seen for name, value in each["headers"] if name == AUTHORIZATION]
    assert sent == ["Basic dXNlcjpzZWNyZXQ=", "Basic b3RoZXI6c2VjcmV0"]


async def test_a_version(server: Server) -> None:
    """Of the two that there are; the connection of the older one is asked to stay."""
    async with ClientSession(version=aiohttp.HttpVersion10) as session:
        assert session.version is not aiohttp.HttpVersion10
        assert isinstance(session.version, anyhttp.HttpVersion)
        seen = json.loads(await get(session, server.url / "echo"))
    assert seen["version"] == "HTTP/1.0"
    assert ["Connection", "keep-alive"] in seen["headers"]
    with pytest.raises(ValueError, match=r"version must be 1\.0 or 1\.1, not 2\.0"):
        ClientSession(version=aiohttp.HttpVersion(2, 0))


async def test_a_fingerprint(server: Server) -> None:
    """It pins the certificate, from a connector and from a request."""
    wrong = aiohttp.Fingerprint(bytes(32))
    async with ClientSession() as session:
        with pytest.raises(aiohttp.ServerFingerprintMismatch) as caught:
            await get(session, server.https_url / "json", ssl=wrong)
        right = aiohttp.Fingerprint(caught.value.got)
        assert json.loads(await get(session, server.https_url / "json", ssl=right)) == DOCUMENT
    async with ClientSession(connector=TCPConnector(ssl=wrong)) as session:
        with pytest.raises(anyhttp.ServerFingerprintMismatch):
            await get(session, server.https_url / "json")


# -- tracing -------------------------------------------------------------------------------


async def test_a_trace_config(server: Server, free_tcp_port: int) -> None:
    """Its handlers get our parameters, and the context that it makes."""
    told: list[Any] = []
    config = aiohttp.TraceConfig(
        trace_config_ctx_factory=lambda trace_request_ctx: SimpleNamespace(mine=trace_request_ctx)
    )

    async def handler(session: object, context: Any, params: Any) -> None:
        if hasattr(params, "exception"):
            assert isinstance(params.exception, aiohttp.ClientConnectorError)
            told.append((context.mine, params.method, params.url, class_names(params.exception)[0]))
        elif hasattr(params, "response"):
            told.append((context.mine, params.url, params.response.status))
        else:
            params.headers["X-Trace"] = "yes"

    config.on_request_start.append(handler)
    config.on_request_end.append(handler)
    config.on_request_exception.append(handler)
    url, dead = server.url / "echo", URL(f"http://127.0.0.1:{free_tcp_port}/")
    async with ClientSession(trace_configs=[config, anyhttp.TraceConfig()]) as session:
        assert [type(each) for each in session.trace_configs] == [anyhttp.TraceConfig] * 2
        with pytest.raises(RuntimeError, match="frozen"):
            config.on_request_end.append(handler)
        seen = json.loads(await get(session, url, trace_request_ctx=1))
        with pytest.raises(anyhttp.ClientConnectorError):
            await get(session, dead)
    assert ["X-Trace", "yes"] in seen["headers"]
    assert told == [(1, url, 200), (None, "GET", dead, "ClientConnectorError")]


async def test_a_trace_config_that_is_added_later(server: Server) -> None:
    """It is converted when a request is made, as ours are frozen then."""
    ended: list[URL] = []
    config = aiohttp.TraceConfig()

    async def on_end(session: object, context: object, params: Any) -> None:
        ended.append(params.url)

    config.on_request_end.append(on_end)
    async with ClientSession() as session:
        session.trace_configs.append(config)
        await get(session, server.url / "json")
    assert ended == [server.url / "json"]
