"""What type checkers know of values, connectors and errors; read by them, and never run."""
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

import ssl
import zlib
from typing import assert_type

from multidict import MultiMapping
from yarl import URL

import anyhttp
from anyhttp import (
    BasicAuth,
    BearerAuthMiddleware,
    BearerToken,
    ChainMapProxy,
    ClientConnectorError,
    ClientMiddlewareType,
    ClientResponseError,
    ConnectionKey,
    CookieJar,
    ETag,
    FormData,
    HttpVersion,
    InvalidURL,
    Payload,
    RequestInfo,
    ServerFingerprintMismatch,
    TCPConnector,
    ThreadedResolver,
    UnixConnector,
    set_zlib_backend,
)
from anyhttp.abc import ResolveResult
from anyhttp.client import ServerTimeoutError
from anyhttp.connector import ConnectorStatistics
from anyhttp.tracing import Signal


class Mine(BasicAuth):
    """Credentials of an application."""


def credentials(url: URL) -> None:
    """The alternative constructors keep the class."""
    assert_type(BasicAuth("user", "password").encode(), str)
    assert_type(BasicAuth.from_url(url), BasicAuth | None)
    assert_type(Mine.from_url(url), Mine | None)
    assert_type(Mine.decode("Basic dTpw"), Mine)
    assert_type(anyhttp.encode_basic_auth("user"), str)
    BasicAuth(None)  # type: ignore[arg-type]


async def fetched() -> BearerToken:
    """Return a token."""
    return BearerToken("a", expires_in=60)


async def text() -> str:
    """Return a token as text."""
    return "a"


def tokens(answer: dict[str, object]) -> None:
    """A source returns a token or its text, when it is awaited."""
    assert_type(BearerToken("a").expires_at, float | None)
    assert_type(BearerToken.from_oauth2(answer), BearerToken)
    middleware: ClientMiddlewareType = BearerAuthMiddleware(fetched, origins="https://a.test")
    BearerAuthMiddleware(text, origins=[URL("https://a.test"), "https://b.test"])
    BearerAuthMiddleware(lambda: "a")  # type: ignore[arg-type, return-value]
    anyhttp.ClientSession(middlewares=[middleware])


def jars() -> None:
    """A jar is saved in one of two formats."""
    jar = CookieJar()
    jar.save("cookies.txt", format="netscape")
    jar.save("cookies.txt", format="pickle")  # type: ignore[arg-type]


def small_things() -> None:
    """Values."""
    tag = ETag("value")
    assert_type(tag.value, str)
    assert_type(tag.is_weak, bool)
    tag.value = "other"  # type: ignore[misc]
    chain = ChainMapProxy([{"a": 1}, {"b": 2}])
    assert_type(chain, ChainMapProxy[str, int])
    assert_type(chain["a"], int)
    assert_type(chain.get("a"), int | None)
    chain["a"] = 1  # type: ignore[index]
    assert_type(HttpVersion(1, 1).major, int)
    assert_type(FormData({"a": "b"})(), Payload)
    set_zlib_backend(zlib)
    set_zlib_backend(ssl)  # type: ignore[arg-type]


async def connectors(context: ssl.SSLContext) -> None:
    """Arguments and attributes, the old ones too."""
    async with TCPConnector(ssl=context, limit=None, resolver=ThreadedResolver()) as tcp:
        assert_type(tcp, TCPConnector)
        assert_type(tcp.limit, int)
        assert_type(tcp.cached_hosts, dict[tuple[str, int], list[ResolveResult]])
        assert_type(tcp.statistics(), ConnectorStatistics)
        assert_type(tcp.verify_ssl, bool)
        assert_type(tcp.ssl_context, ssl.SSLContext | None)
        assert_type(tcp.fingerprint, bytes | None)
        tcp.verify_ssl = False  # type: ignore[misc]
    TCPConnector(verify_ssl=False, conn_timeout=3, resolve=True)
    assert_type(UnixConnector("/path").path, str)


def errors(
    response: ClientResponseError,
    connector: ClientConnectorError,
    mismatch: ServerFingerprintMismatch,
    invalid: InvalidURL,
) -> None:
    """What an error knows."""
    assert_type(response.status, int)
    assert_type(response.message, str)
    assert_type(response.headers, MultiMapping[str] | None)
    assert_type(response.request_info, RequestInfo)
    assert_type(response.body, bytes | None)
    assert_type(connector.os_error, OSError)
    assert_type(connector.host, str)
    assert_type(connector.port, int | None)
    assert_type(mismatch.expected, bytes)
    assert_type(invalid.url, str | URL)
    assert_type(ServerTimeoutError(), anyhttp.ServerTimeoutError)
    ClientConnectorError(ConnectionKey("h", 1, False, True, None, None, None), OSError())
    ClientConnectorError("host", OSError())  # type: ignore[arg-type]


def signals(config: anyhttp.TraceConfig) -> None:
    """Each signal knows what its handlers are told, and cannot be replaced."""
    assert_type(config.on_request_start, Signal[anyhttp.TraceRequestStartParams])
    assert_type(config.on_dns_cache_miss, Signal[anyhttp.TraceDnsCacheMissParams])

    async def handler(session: object, ctx: object, params: anyhttp.TraceRequestEndParams) -> None:
        assert_type(params.response, anyhttp.ClientResponse)

    config.on_request_end.append(handler)
    config.on_request_start.append(handler)  # type: ignore[arg-type]  # as it should be
    config.on_request_end = Signal()  # type: ignore[assignment]  # likewise
