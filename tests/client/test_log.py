"""The log of requests: what its lines say, what they never show, and what cannot go wrong by it."""

from __future__ import annotations

import gc
import logging
import re
from collections.abc import Iterator, Sequence
from typing import Any

import anyio
import pytest
from yarl import URL

import anyhttp
from anyhttp import (
    BaseConnector,
    BasicAuth,
    ClientHandlerType,
    ClientPayloadError,
    ClientRequest,
    ClientResponse,
    ClientResponseError,
    ClientSession,
    ClientTimeout,
    NonHttpUrlClientError,
    ServerDisconnectedError,
    TCPConnector,
    TraceConnectionTlsEndParams,
)
from anyhttp.client_middlewares import tell_of_retry
from anyhttp.tracing import Trace, tell
from tests.support.api import Api
from tests.support.canned import Canned
from tests.support.client import assert_free, get
from tests.support.names import Names
from tests.support.peer import CLOSE, STALL, Script
from tests.support.server import Server
from tests.support.tls import Authority

LOGGER = "anyhttp.client"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
LONG = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234"


class Lines(logging.Handler):
    """Keeps what is logged, with times as ``T``."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one line."""
        line = f"{record.levelname} {record.getMessage()}"
        self.seen.append(re.sub(r"\d+\.\d{3} s", "T s", line))


@pytest.fixture
def lines() -> Iterator[Lines]:
    """The lines at INFO."""
    logger = logging.getLogger(LOGGER)
    lines = Lines()
    level = logger.level
    logger.addHandler(lines)
    logger.setLevel(logging.INFO)
    yield lines
    logger.removeHandler(lines)
    logger.setLevel(level)


class TestAtInfo:
    async def test_one_line_for_each_request(self, api: Api, lines: Lines) -> None:
        """Method, URL, status, bytes of the body, and the time until its end."""
        async with ClientSession(api.url) as session:
            await get(session, "bytes/10")
            await get(session, "redirect/2", allow_redirects=True)
            async with session.post("status/404", data=b"x"):
                pass
        assert lines.seen[0] == f"INFO GET {api.url}bytes/10 200, 10 bytes in T s"
        assert re.fullmatch(rf"INFO GET {api.url}\S+ 200, \d+ bytes in T s", lines.seen[1])
        assert re.fullmatch(rf"INFO POST {api.url}status/404 404, \d+ bytes in T s", lines.seen[2])
        assert len(lines.seen) == 3

    async def test_without_a_session(self, api: Api, lines: Lines) -> None:
        """Such a request is logged, too."""
        async with anyhttp.request("GET", api.url / "bytes/10") as response:
            await response.read()
        assert lines.seen == [f"INFO GET {api.url}bytes/10 200, 10 bytes in T s"]

    async def test_a_streamed_body(self, script: Script, lines: Lines) -> None:
        """The line comes when it has been read; if it fails, it says how."""
        peer = await script([(b"GET /", [LONG, CLOSE])])
        async with ClientSession(peer.url) as session, session.get("/") as response:
            assert not lines.seen
            with pytest.raises(ClientPayloadError):
                await response.read()
        assert lines.seen == [f"INFO GET {peer.url} 200, 5 bytes in T s: ClientPayloadError"]

    async def test_a_request_that_fails(self, server: Server, lines: Lines) -> None:
        """The line names the exception."""
        async with ClientSession(server.url) as session:
            with pytest.raises(ServerDisconnectedError):
                await session.get("close")
            with pytest.raises(ClientResponseError):
                await session.get("status/404", raise_for_status=True)
        assert lines.seen == [
            f"INFO GET {server.url}close failed after T s: ServerDisconnectedError",
            f"INFO GET {server.url}status/404 failed after T s: ClientResponseError, status 404",
        ]

    async def test_a_request_that_takes_too_long(self, script: Script, lines: Lines) -> None:
        """The line says for what."""
        peer = await script([(b"GET /", OK), (b"GET /", STALL)])
        async with ClientSession(peer.url) as session:
            await get(session, "/")  # on a busy machine, connecting takes longer than the limit
            lines.seen.clear()
            with pytest.raises(TimeoutError):
                await session.get("/", timeout=ClientTimeout(total=0.05))
        assert lines.seen == [
            f"INFO GET {peer.url} failed after T s: TimeoutError while waiting for the response"
        ]

    async def test_a_request_that_is_cancelled(self, script: Script, lines: Lines) -> None:
        """So is that one."""
        peer = await script([(b"GET /", OK), (b"GET /", STALL)])
        async with ClientSession(peer.url) as session:
            await get(session, "/")
            lines.seen.clear()
            with anyio.move_on_after(0.05):
                await session.get("/")
        assert lines.seen == [
            f"INFO GET {peer.url} cancelled after T s while waiting for the response"
        ]

    async def test_a_request_that_is_refused(self, lines: Lines) -> None:
        """Nothing has begun, so nothing is logged."""
        async with ClientSession() as session:
            with pytest.raises(NonHttpUrlClientError):
                await session.get("ftp://host.test/")
        assert not lines.seen


class TestWhatIsShown:
    async def test_no_user_info_no_query_no_fragment(self, api: Api, lines: Lines) -> None:
        """They may hold credentials."""
        url = api.url.with_user("me").with_password("secret") / "json"
        async with ClientSession() as session:
            await get(session, url.with_query(token="secret").with_fragment("secret"))
            lines.seen.append(repr(session))
        assert "secret" not in "".join(lines.seen)
        assert lines.seen[0].startswith(f"INFO GET {api.url}json 200")

    async def test_the_query_on_demand(self, api: Api, lines: Lines) -> None:
        """An option of the session shows it."""
        url = api.url.with_user("me").with_password("secret") / "json"
        async with ClientSession(log_query=True) as session:
            await get(session, url.with_query(page="2"))
        assert "secret" not in lines.seen[0]
        assert lines.seen[0].startswith(f"INFO GET {api.url}json?page=2 200")

    def test_the_option_is_checked(self) -> None:
        """It is true or false."""
        with pytest.raises(TypeError, match="log_query"):
            ClientSession(log_query="yes")  # type: ignore[arg-type]  # the error is the test

    async def test_no_headers_and_no_bodies(self, api: Api, lines: Lines) -> None:
        """At no level."""
        logging.getLogger(LOGGER).setLevel(logging.DEBUG)
        async with ClientSession(api.url, auth=BasicAuth("me", "secret")) as session:
            async with session.post(
                "echo", data=b"secret", headers={"X-Key": "secret"}, cookies={"a": "secret"}
            ) as response:
                assert b"secret" in await response.read()
        assert lines.seen
        assert "secret" not in "".join(lines.seen)

    async def test_no_line_is_forged(self, api: Api, lines: Lines) -> None:
        """Control characters of a URL are escaped: the request fails, and says so in one line."""
        url = URL(f"{api.url}a\x85INFO GET http://forged/ 200\x1b[2J", encoded=True)
        async with ClientSession() as session:
            with pytest.raises(anyhttp.InvalidUrlClientError):
                await session.get(url)
        [line] = lines.seen
        assert line.isprintable()
        assert "\\x1b" in line


class TestAtDebug:
    @pytest.fixture(autouse=True)
    def _at_debug(self, lines: Lines) -> None:
        logging.getLogger(LOGGER).setLevel(logging.DEBUG)

    async def test_a_new_connection_and_a_kept_one(
        self, server: Server, tls_ca: Authority, lines: Lines
    ) -> None:
        """Each step has a line, in order."""
        url = server.https_url / "json"
        connector = TCPConnector(ssl=tls_ca.client, resolver=Names())
        async with ClientSession(connector=connector) as session:
            await get(session, url)
            first = [line.partition(f"{url} ")[2] for line in lines.seen]
            lines.seen.clear()
            await get(session, url)
        assert first[:-1] == [
            "opens a connection",
            "looks up localhost",
            "has found the addresses",
            "starts TLS with localhost",
            "has TLS",
            "has a new connection",
            "is sent",
            "is answered after T s, status 200",
        ]
        assert [line.partition(f"{url} ")[2] for line in lines.seen][:-1] == [
            "uses a kept connection",
            "is sent",
            "is answered after T s, status 200",
        ]
        assert lines.seen[0].startswith("DEBUG GET ")
        assert lines.seen[-1].startswith(f"INFO GET {url} 200, ")

    async def test_redirects(self, api: Api, lines: Lines) -> None:
        """The lines of each hop show its URL."""
        async with ClientSession(api.url) as session:
            await get(session, "redirect/1")
        sent = [line for line in lines.seen if line.endswith("is sent")]
        assert len(sent) == 2
        assert sent[0] == f"DEBUG GET {api.url}redirect/1 is sent"
        assert f"DEBUG GET {api.url}redirect/1 is redirected, status 302" in lines.seen

    async def test_waits(self, server: Server, lines: Lines) -> None:
        """Waiting for a free connection, and for names that are known."""
        url = server.url.with_host("name.test")
        connector = TCPConnector(resolver=Names(), limit=1, force_close=True)
        async with ClientSession(url, connector=connector) as session:
            await get(session)
            async with anyio.create_task_group() as group:
                for _ in range(2):
                    group.start_soon(get, session)
        text = "\n".join(lines.seen)
        assert "waits for a free connection" in text
        assert "knows the addresses of name.test" in text

    async def test_retries(self, api: Api, lines: Lines) -> None:
        """The reason is a status, the name of an exception, or unknown."""

        async def again(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            response = await handler(request)
            await tell_of_retry(request, attempt=2, delay=0.5, response=response)
            await tell_of_retry(request, attempt=3, delay=0.5, exception=LookupError("secret"))
            await tell_of_retry(request, attempt=4, delay=0.5)
            return response

        async with ClientSession(api.url, middlewares=[again]) as session:
            await get(session, "json")
        assert [line.partition("json ")[2] for line in lines.seen if "again" in line] == [
            "is sent again in T s, attempt 2: status 200",
            "is sent again in T s, attempt 3: LookupError",
            "is sent again in T s, attempt 4",
        ]

    async def test_what_is_told_too_late(self, lines: Lines) -> None:
        """The log keeps no call alive, and says nothing of one that is gone."""
        kept: list[Sequence[Trace]] = []

        class Keeping(BaseConnector):
            async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> Any:
                kept.append(traces)
                await tell(traces, TraceConnectionTlsEndParams("a.test"))
                return Canned(OK)

        async with ClientSession(connector=Keeping()) as session:
            await get(session, "http://a.test/")
        gc.collect()
        before = list(lines.seen)
        assert "DEBUG GET http://a.test/ has TLS" in before
        (traces,) = kept
        assert len(traces) == 1
        await tell(traces, TraceConnectionTlsEndParams("a.test"))
        assert lines.seen == before


class Broken(logging.Handler):
    """A handler that does not handle its own errors."""

    def emit(self, record: logging.LogRecord) -> None:
        """Fail."""
        raise LookupError("mine")


class TestNothingGoesWrong:
    @pytest.mark.parametrize("shows", [True, False])
    async def test_a_handler_that_fails(
        self,
        server: Server,
        lines: Lines,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
        shows: bool,
    ) -> None:
        """The error is shown as logging shows those of its own handlers; the request goes on."""
        monkeypatch.setattr(logging, "raiseExceptions", shows)
        logger, broken = logging.getLogger(LOGGER), Broken()
        logger.setLevel(logging.DEBUG)
        logger.addHandler(broken)
        try:
            async with ClientSession(server.url) as session:
                assert len(await get(session, "bytes/10")) == 10
                with pytest.raises(ServerDisconnectedError):
                    await session.get("close")
                assert_free(session)
        finally:
            logger.removeHandler(broken)
        assert ("LookupError: mine" in capsys.readouterr().err) is shows

    async def test_the_level_may_change(self, api: Api, lines: Lines) -> None:
        """It is looked at for each request."""
        logger = logging.getLogger(LOGGER)
        async with ClientSession(api.url) as session:
            for level in logging.WARNING, logging.INFO, logging.WARNING:
                logger.setLevel(level)
                await get(session, "json")
        assert len(lines.seen) == 1
