"""The trace signals of TLS handshakes, and of the end of a response."""

from __future__ import annotations

import gc
import logging
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from yarl import URL

from anyhttp import (
    ClientConnectorError,
    ClientHttpProxyError,
    ClientPayloadError,
    ClientResponse,
    ClientResponseError,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    HttpVersion11,
    TCPConnector,
    TraceConfig,
    TraceResponseEndParams,
    UnixConnector,
)
from anyhttp.tracing import TraceParams
from tests.support.api import Api
from tests.support.cancel import cancel_at_every_checkpoint
from tests.support.client import assert_free, get
from tests.support.peer import CLOSE, HELLO, STALL, Script
from tests.support.proxies import Proxies
from tests.support.server import Server
from tests.support.tls import Authority
from tests.support.waiting import until

pytestmark = pytest.mark.uvloop

LONG = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234"
CONNECTING = [
    "on_connection_create_start",
    "on_connection_tls_start",
    "on_connection_tls_end",
    "on_connection_create_end",
    "on_connection_reuseconn",
]
TLS = [name for name in CONNECTING if "tls" in name]


def recording(*names: str) -> tuple[TraceConfig, list[tuple[str, Any]]]:
    """Return a configuration, and the list of what its handlers of these signals are told."""
    config = TraceConfig()
    told: list[tuple[str, Any]] = []

    def handler(name: str) -> Callable[[Any, Any, Any], Awaitable[None]]:
        async def note(session: object, context: object, params: object) -> None:
            told.append((name, params))

        return note

    for name in names:
        getattr(config, name).append(handler(name))
    return config, told


class TestTls:
    async def test_it_comes_between_the_signals_of_the_connection(
        self, server: Server, tls_ca: Authority
    ) -> None:
        """So its time can be told from that of TCP; a connection that is kept has none."""
        config, told = recording(*CONNECTING)
        async with ClientSession(
            server.https_url, connector=TCPConnector(ssl=tls_ca.client), trace_configs=[config]
        ) as session:
            await get(session)
            await get(session)
        assert [name for name, _ in told] == CONNECTING
        assert [params.host for _, params in told[1:3]] == ["localhost"] * 2

    async def test_without_tls(self, server: Server) -> None:
        """There is nothing to tell."""
        config, told = recording(*CONNECTING)
        async with ClientSession(server.url, trace_configs=[config]) as session:
            await get(session)
        assert [name for name, _ in told] == [CONNECTING[0], CONNECTING[3]]

    async def test_over_a_unix_socket(self, script: Script, tls_ca: Authority) -> None:
        """It is told as over TCP."""
        config, told = recording(*CONNECTING)
        peer = await script(
            [(b"GET /", b"HTTP/1.1 204 No Content\r\n\r\n")], tls=tls_ca.server, unix=True
        )
        async with ClientSession(
            connector=UnixConnector(peer.unix_path), trace_configs=[config]
        ) as session:
            async with session.get("https://localhost/", ssl=tls_ca.client):
                pass
        assert [name for name, _ in told] == CONNECTING[:4]

    @pytest.mark.parametrize("scheme", ["http", "https", "socks5"])
    async def test_in_a_tunnel(
        self, server: Server, proxies: Proxies, tls_ca: Authority, scheme: str
    ) -> None:
        """The handshake with the origin is told, after the one with a proxy of TLS."""
        if scheme == "socks5":
            pytest.importorskip(
                "socksio", reason="socksio is not installed (anyhttp-client[socks])"
            )
        config, told = recording(*CONNECTING)
        proxy = proxies(scheme)
        async with ClientSession(
            connector=TCPConnector(ssl=tls_ca.client), trace_configs=[config], proxy=proxy.url
        ) as session:
            await get(session, server.https_url / "json")
        times = 2 if scheme == "https" else 1
        assert [name for name, _ in told] == [CONNECTING[0], *TLS * times, CONNECTING[3]]

    @pytest.mark.parametrize("login", [True, False])
    async def test_the_answer_of_a_proxy(
        self, server: Server, proxies: Proxies, tls_ca: Authority, login: bool
    ) -> None:
        """It is told with both heads, also if it refuses the tunnel, and before TLS begins."""
        config, told = recording("on_connection_tunnel", *CONNECTING)
        proxy = proxies("http", login=("ann", "hidden"))
        url = proxy.login_url if login else proxy.url
        async with ClientSession(
            connector=TCPConnector(ssl=tls_ca.client), trace_configs=[config], proxy=url
        ) as session:
            with nullcontext() if login else pytest.raises(ClientHttpProxyError):
                await get(session, server.https_url / "json")
        rest = [*TLS, CONNECTING[3]] if login else []
        assert [name for name, _ in told] == [CONNECTING[0], "on_connection_tunnel", *rest]
        answer = told[1][1]
        target = f"localhost:{server.https_url.port}"
        assert (answer.proxy, answer.target) == (proxy.url, target)
        assert (answer.version, answer.status) == (HttpVersion11, 200 if login else 407)
        assert answer.headers["host"] == target
        assert ("proxy-authorization" in answer.headers) is login
        assert answer.response_headers.get("x-proxy") == (None if login else "yes")
        assert "Basic" not in repr(answer)

    async def test_a_handler_of_the_answer_that_fails(
        self, server: Server, proxies: Proxies
    ) -> None:
        """Its error is raised, and not taken for one of the connection to the proxy."""
        config = TraceConfig()

        async def fail(*_: object) -> None:
            raise OSError("of the handler")

        config.on_connection_tunnel.append(fail)
        async with ClientSession(trace_configs=[config], proxy=proxies("http").url) as session:
            with pytest.raises(OSError, match="of the handler") as caught:
                await get(session, server.https_url / "json")
            assert type(caught.value) is OSError
            assert_free(session)

    async def test_a_handshake_that_fails(self, script: Script) -> None:
        """It has no end."""
        config, told = recording(*CONNECTING)
        peer = await script([(HELLO, [b"HTTP/1.1 400 Bad Request\r\n\r\n", CLOSE])])
        async with ClientSession(trace_configs=[config]) as session:
            with pytest.raises(ClientConnectorError):
                await session.get(peer.url.with_scheme("https"))
        assert [name for name, _ in told] == CONNECTING[:2]

    @pytest.mark.parametrize("proxied", [False, True], ids=["direct", "proxied"])
    @pytest.mark.parametrize("signal", TLS)
    async def test_what_a_handler_raises(
        self, server: Server, proxies: Proxies, tls_ca: Authority, signal: str, proxied: bool
    ) -> None:
        """It is the error of the request, taken for no error of the network."""
        error = OSError("mine")
        config = TraceConfig()

        async def fail(session: object, context: object, params: object) -> None:
            raise error

        getattr(config, signal).append(fail)
        proxy = proxies("https").url if proxied else None
        async with ClientSession(
            connector=TCPConnector(ssl=tls_ca.client), trace_configs=[config], proxy=proxy
        ) as session:
            with pytest.raises(OSError, match="mine") as caught:
                await session.get(server.https_url)
            assert caught.value is error
            assert_free(session, idle=0)

    @pytest.mark.parametrize("signal", TLS)
    async def test_a_handler_that_takes_too_long(
        self, server: Server, tls_ca: Authority, signal: str
    ) -> None:
        """The limit of connecting covers it."""
        config = TraceConfig()

        async def wait(session: object, context: object, params: object) -> None:
            await anyio.sleep_forever()

        getattr(config, signal).append(wait)
        async with ClientSession(
            connector=TCPConnector(ssl=tls_ca.client),
            trace_configs=[config],
            timeout=ClientTimeout(sock_connect=0.05),
        ) as session:
            with pytest.raises(ConnectionTimeoutError):
                await session.get(server.https_url)
            assert_free(session, idle=0)

    async def test_cancelled_at_every_point(self, server: Server, tls_ca: Authority) -> None:
        """No socket is left open."""
        config = TraceConfig()

        async def wait(session: object, context: object, params: object) -> None:
            await anyio.lowlevel.checkpoint()

        for signal in TLS:
            getattr(config, signal).append(wait)
        connector = TCPConnector(ssl=tls_ca.client, force_close=True)
        async with ClientSession(
            server.https_url, connector=connector, trace_configs=[config]
        ) as session:

            async def after() -> None:
                assert_free(session, idle=0)
                await anyio.lowlevel.checkpoint()

            assert await cancel_at_every_checkpoint(lambda: get(session), after=after) > 4


class TestEndOfResponse:
    async def test_a_small_body(self, api: Api) -> None:
        """It has come with the head, so the signal follows the end of the request at once."""
        config, told = recording("on_request_end", "on_response_end")
        async with ClientSession(api.url, trace_configs=[config]) as session:
            async with session.get("bytes/10#part"):
                assert [name for name, _ in told] == ["on_request_end", "on_response_end"]
        assert told[1][1] == TraceResponseEndParams(
            "GET", URL(f"{api.url}bytes/10#part"), 200, 10, None
        )
        assert len(told) == 2

    async def test_only_the_final_response(self, api: Api) -> None:
        """Redirects have a signal of their own."""
        config, told = recording("on_response_end")
        async with ClientSession(api.url, trace_configs=[config]) as session:
            await get(session, "redirect/2")
        [(_, params)] = told
        assert params.status == 200

    async def test_a_streamed_body(self, script: Script) -> None:
        """The signal comes when its end does."""
        config, told = recording("on_response_end")
        peer = await script([(b"GET /", [LONG, b"56789"])])
        async with ClientSession(peer.url, trace_configs=[config]) as session:
            async with session.get("/") as response:
                assert await response.content.readexactly(10) == b"0123456789"
        assert [(params.size, params.error) for _, params in told] == [(10, None)]

    async def test_a_body_that_fails(self, script: Script) -> None:
        """The error is the reader's."""
        config, told = recording("on_response_end")
        peer = await script([(b"GET /", [LONG, CLOSE])])
        async with ClientSession(peer.url, trace_configs=[config]) as session:
            async with session.get("/") as response:
                with pytest.raises(ClientPayloadError) as caught:
                    await response.read()
        assert [(params.size, params.error) for _, params in told] == [(5, caught.value)]

    @pytest.mark.parametrize("end", [ClientResponse.release, ClientResponse.close])
    async def test_a_plain_call(
        self, script: Script, end: Callable[[ClientResponse], object]
    ) -> None:
        """It is told in that call."""
        config, told = recording("on_response_end")
        peer = await script([(b"GET /", [LONG, STALL])])
        async with ClientSession(peer.url, trace_configs=[config]) as session:
            response = await session.get("/")
            assert not told
            end(response)
            assert [(params.size, params.error) for _, params in told] == [(5, None)]

    async def test_reading_is_cancelled(self, script: Script) -> None:
        """The program wants no more of it."""
        config, told = recording("on_response_end")
        peer = await script([(b"GET /", [LONG, STALL])])
        async with ClientSession(peer.url, trace_configs=[config]) as session:
            async with session.get("/") as response:
                with anyio.move_on_after(0.05):
                    await response.read()
                assert [(params.size, params.error) for _, params in told] == [(5, None)]

    async def test_a_response_that_is_refused(self, api: Api) -> None:
        """The request has failed then, which has a signal of its own."""
        config, told = recording("on_response_end", "on_request_exception")
        async with ClientSession(api.url, trace_configs=[config]) as session:
            with pytest.raises(ClientResponseError):
                await session.get("status/404", raise_for_status=True)
        assert [name for name, _ in told] == ["on_request_exception"]

    async def test_a_response_that_is_forgotten(self, script: Script) -> None:
        """It can still be forgotten, and is told when it is closed for that."""
        config, told = recording("on_response_end")
        peer = await script([(b"GET /", [LONG, STALL])])

        async def forget() -> None:
            await session.get("/")

        async with ClientSession(peer.url, trace_configs=[config]) as session:
            with pytest.warns(ResourceWarning, match="Unclosed response"):
                await forget()
            gc.collect()
            await until(lambda: bool(told), "the signal")
            assert told[0][1].size == 0
            assert "forgotten" in str(told[0][1].error)
            assert_free(session, idle=0)

    async def test_a_handler_that_waits(self, api: Api, caplog: pytest.LogCaptureFixture) -> None:
        """It is ended where it waits, and logged; the others are told, and the request goes on."""
        config, told = recording("on_response_end")
        slow = TraceConfig()
        ended: list[bool] = []

        @slow.on_response_end
        async def wait(session: object, context: object, params: TraceParams) -> None:
            try:
                await anyio.sleep(1)
            finally:
                ended.append(True)

        async with ClientSession(api.url, trace_configs=[slow, config]) as session:
            with caplog.at_level(logging.ERROR, "anyhttp.client"):
                await get(session)
        assert ended == [True]
        assert len(told) == 1
        assert "must not wait" in caplog.text

    async def test_an_awaitable_that_is_no_coroutine(
        self, api: Api, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It is left alone."""

        class Endless:
            def __await__(self) -> Any:
                return iter([None, None])

        config = TraceConfig()
        config.on_response_end.append(lambda session, context, params: Endless())
        async with ClientSession(api.url, trace_configs=[config]) as session:
            with caplog.at_level(logging.ERROR, "anyhttp.client"):
                await get(session)
        assert "must not wait" in caplog.text

    async def test_a_handler_that_fails(self, api: Api, caplog: pytest.LogCaptureFixture) -> None:
        """Its error is logged."""
        config = TraceConfig()

        @config.on_response_end
        async def fail(session: object, context: object, params: TraceParams) -> None:
            raise LookupError("mine")

        async with ClientSession(api.url, trace_configs=[config]) as session:
            with caplog.at_level(logging.ERROR, "anyhttp.client"):
                await get(session)
        [record] = caplog.records
        assert record.getMessage() == "a handler of on_response_end failed"
        assert record.exc_info is not None
        assert isinstance(record.exc_info[1], LookupError)
