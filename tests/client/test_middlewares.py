"""Requests that go through middlewares: order, changes, several sendings, what is left over."""

from __future__ import annotations

import base64
import gc
import gzip
import io
import json
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from pathlib import Path
from typing import Any, cast

import anyio
import anyio.lowlevel
import pytest
from multidict import CIMultiDict
from yarl import URL

import anyhttp
from anyhttp import (
    ClientHandlerType,
    ClientPayloadError,
    ClientRequest,
    ClientResponse,
    ClientResponseError,
    ClientSession,
    ClientTimeout,
    DigestAuthMiddleware,
    Fingerprint,
    FormData,
    HttpVersion11,
    InvalidUrlClientError,
    JsonPayload,
    MultipartWriter,
    NonHttpUrlClientError,
    ServerDisconnectedError,
    SocketTimeoutError,
    StreamReader,
    TCPConnector,
    TooManyRedirects,
)
from anyhttp._http1 import Exchange
from anyhttp.payload import Payload
from anyhttp.testing import Answer
from tests.support.api import Api
from tests.support.client import assert_free, client, opened, wait_free
from tests.support.peer import CLOSE, DEAF, STALL, Flag, Head, Script, Until, Wait
from tests.support.requests import fields, requests_of
from tests.support.responses import OK
from tests.support.server import Server
from tests.support.tls import Authority
from tests.support.waiting import DEADLINE, until

pytestmark = pytest.mark.uvloop

DENIED = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 6\r\n\r\ndenied"
LONG_DENIAL = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 300000\r\n\r\n" + b"x" * 300_000
LARGE = bytes(range(256)) * 1024  # more than goes out together with the head


class Recorder:
    """A middleware that writes down what it sees."""

    def __init__(self, name: str = "", log: list[str] | None = None) -> None:
        self.name = name
        self.log = [] if log is None else log

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        self.log.append(f"{self.name}>{request.method} {request.url.path}")
        response = await handler(request)
        self.log.append(f"{self.name}<{response.status}")
        return response


class Header:
    """A middleware that sets a header."""

    def __init__(self, name: str, value: Any) -> None:
        self.name, self.value = name, value

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        request.headers[self.name] = self.value
        return await handler(request)


async def login_again(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Send a request that was denied once more, and drop the denial as it is."""
    response = await handler(request)
    if response.status == 401:
        request.headers["Authorization"] = "Bearer fresh"
        response = await handler(request)
    return response


async def again_after_an_error(
    request: ClientRequest, handler: ClientHandlerType
) -> ClientResponse:
    """Send a request that failed once more."""
    try:
        return await handler(request)
    except anyhttp.ClientError:
        return await handler(request)


async def twice(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Send every request two times, and return the second response."""
    await handler(request)
    return await handler(request)


def changing(**attributes: Any) -> anyhttp.ClientMiddlewareType:
    """Return a middleware that sets attributes of the request."""

    async def change(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        for name, value in attributes.items():
            setattr(request, name, value)
        return await handler(request)

    return change


def replacing(body: object, **headers: str) -> anyhttp.ClientMiddlewareType:
    """Return a middleware that puts *body* in the place of the request's."""

    async def replace(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        await request.update_body(body)
        return await handler(request)

    return replace


async def in_brackets(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Make another body of the one that is there."""
    if request.method == "PUT":
        body = await request.body.as_bytes() if isinstance(request.body, Payload) else b""
        await request.update_body(b"[" + body + b"]")
    return await handler(request)


async def echo(session: ClientSession, **options: Any) -> Any:
    """Return what ``/echo`` saw of a POST."""
    async with session.post("echo", **options) as response:
        seen = await response.json()
    seen["headers"] = CIMultiDict(map(tuple, seen["headers"]))
    return seen


def body_of(seen: Any) -> bytes:
    """Return the body that ``/echo`` saw."""
    return base64.b64decode(seen["body"])


@pytest.fixture(params=["block", "bare"])
def in_block(request: pytest.FixtureRequest) -> bool:
    """Whether the request is used with ``async with``."""
    return bool(request.param == "block")


async def fetch(
    session: ClientSession, method: str, url: Any, *, entered: bool, in_block: bool, **options: Any
) -> bytes:
    """Make a request in one of the four ways, and return the body of the response."""

    async def ask() -> bytes:
        if in_block:
            async with session.request(method, url, **options) as response:
                return await response.read()
        response = await session.request(method, url, **options)
        body = await response.read()
        await wait_free(session)  # while it is held, as its upload may be about to end
        return body

    async with opened(session, entered=entered, until_free=True):
        return await ask()


class TestOrder:
    async def test_the_first_is_the_outermost(self, api: Api) -> None:
        """It sees the request first and the response last."""
        log: list[str] = []
        middlewares = [Recorder("a", log), Recorder("b", log)]
        async with ClientSession(api.url, middlewares=middlewares) as session:
            async with session.get("json") as response:
                assert response.status == 200
        assert log == ["a>GET /json", "b>GET /json", "b<200", "a<200"]

    async def test_they_see_each_redirect(self, api: Api) -> None:
        """They run once for each hop."""
        recorder = Recorder()
        async with ClientSession(api.url, middlewares=[recorder]) as session:
            async with session.get("redirect/2") as response:
                assert len(response.history) == 2
        assert recorder.log == [
            ">GET /redirect/2", "<302", ">GET /redirect/1", "<302", ">GET /redirect/0", "<200",
        ]  # fmt: skip

    async def test_those_of_a_request_take_the_place_of_the_sessions(self, api: Api) -> None:
        """An empty sequence means none, ``None`` the session's."""
        own, other = Recorder(), Recorder()
        async with ClientSession(api.url, middlewares=(own,)) as session:
            for middlewares in ([other], (), None):
                async with session.get("json", middlewares=middlewares) as response:
                    assert response.status == 200
        assert len(other.log) == 2
        assert len(own.log) == 2

    async def test_they_see_a_stale_connection_replaced(self, script: Script, http1: str) -> None:
        """What is sent once more goes through them once more: a signature may be used once."""
        recorder = Recorder()
        peer = await script([(b"GET /a ", OK), (b"GET /b ", CLOSE)], [(b"GET /b ", OK)])
        async with client(http1, base_url=peer.url, middlewares=[recorder]) as session:
            for path in ("a", "b"):
                async with session.get(path) as response:
                    assert await response.read() == b"ok"
        assert recorder.log == [">GET /a", "<200", ">GET /b", ">GET /b", "<200"]

    async def test_what_they_catch_is_not_sent_again_behind_their_back(
        self, script: Script, http1: str
    ) -> None:
        """A middleware that retries gets the error, and its own second attempt is the last."""
        peer = await script([(b"GET /a ", OK), (b"GET /b ", CLOSE)], [(b"GET /b ", CLOSE)])
        async with client(http1, base_url=peer.url, middlewares=[again_after_an_error]) as session:
            async with session.get("a") as response:
                await response.read()
            with pytest.raises(ServerDisconnectedError):
                await session.get("b")
            assert_free(session, idle=0)

    async def test_an_error_of_their_own_is_not_taken_for_a_stale_connection(
        self, script: Script
    ) -> None:
        """Only what the connection itself said makes the request be sent again."""

        async def fail(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            await handler(request)
            raise ServerDisconnectedError("not really")

        peer = await script([(b"GET / ", OK), (b"GET / ", OK)])
        async with ClientSession(peer.url) as session:
            async with session.get("") as response:
                await response.read()
            with pytest.raises(ServerDisconnectedError, match="not really"):
                await session.get("", middlewares=[fail])

    async def test_what_must_not_be_sent_twice_is_not(self, script: Script, http1: str) -> None:
        """RFC 9110 §9.2.2: not for the sake of a stale connection that comes after it, either."""

        async def order_and_look(
            request: ClientRequest, handler: ClientHandlerType
        ) -> ClientResponse:
            request.method = "POST"
            await handler(request)
            request.method = "GET"
            return await handler(request)

        peer = await script([(b"GET / ", OK), (b"POST / ", OK), (b"GET / ", CLOSE)])
        async with client(http1, base_url=peer.url) as session:
            async with session.get("") as response:
                await response.read()
            with pytest.raises(ServerDisconnectedError):
                await session.get("", middlewares=[order_and_look])
            assert_free(session, idle=0)

    @pytest.mark.parametrize("body", [b"body", None], ids=["bytes", "none"])
    async def test_a_body_they_have_changed_is_changed_once(
        self, body: bytes | None, script: Script, http1: str
    ) -> None:
        """In place of a stale connection they are given the body that they were given first."""
        peer = await script(
            [(b"GET / ", OK), (b"PUT / ", CLOSE)],
            [(Until(b"\r\n\r\n[" + (body or b"") + b"]"), OK)],
        )
        async with client(http1, base_url=peer.url) as session:
            async with session.get("") as response:
                await response.read()
            async with session.put("", data=body, middlewares=[in_brackets]) as response:
                assert await response.read() == b"ok"

    async def test_a_body_they_have_removed_is_given_back(self, script: Script, http1: str) -> None:
        """It is removed once more, in place of a stale connection."""
        seen: list[object] = []

        async def remove(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            body = request.body
            seen.append(await body.as_bytes() if isinstance(body, Payload) else body)
            await request.update_body(None)
            return await handler(request)

        peer = await script([(b"GET / ", OK), (b"PUT / ", CLOSE)], [(b"PUT / ", OK)])
        async with client(http1, base_url=peer.url) as session:
            async with session.get("") as response:
                await response.read()
            async with session.put("", data=b"body", middlewares=[remove]) as response:
                assert await response.read() == b"ok"
        assert seen == [b"body", b"body"]
        (request,) = requests_of(peer.requests[1])
        assert fields(request)["content-length"] == "0"

    async def test_a_body_they_have_closed_is_not_sent_again(
        self, script: Script, tmp_path: Path
    ) -> None:
        """Neither it, which is gone, nor what has been made of it, which is no body for them."""
        path = tmp_path / "file"
        path.write_bytes(b"body")
        peer = await script([(b"GET / ", OK), (b"PUT / ", CLOSE)])
        async with ClientSession(peer.url) as session:
            async with session.get("") as response:
                await response.read()
            with path.open("rb") as file, pytest.raises(ServerDisconnectedError):
                await session.put("", data=file, middlewares=[in_brackets])
            assert_free(session, idle=0)


class TestAnswers:
    """A middleware may answer without asking the server."""

    async def test_with_a_response_of_its_own(self, api: Api, entered: bool) -> None:
        """Nothing is sent."""

        async def answer(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            response = ClientResponse(request.method, request.url)
            response.content = StreamReader()
            response.content.feed_data(b"from memory")
            response.content.feed_eof()
            return response

        for in_block in (True, False):
            session = ClientSession(api.url, middlewares=[answer])
            body = await fetch(session, "GET", "json", entered=entered, in_block=in_block)
            assert body == b"from memory"
        assert api.requests == []

    async def test_with_one_that_it_got_elsewhere(
        self, api: Api, entered: bool, in_block: bool
    ) -> None:
        """The caller owns it then, as if it were the one that was asked for."""

        async def ask(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            response = await request.session.get("bytes/3000000", middlewares=())
            assert isinstance(response, ClientResponse)
            return response

        session = ClientSession(api.url, middlewares=[ask])
        body = await fetch(
            session, "POST", "echo", entered=entered, in_block=in_block, data=io.BytesIO(LARGE)
        )
        assert len(body) == 3_000_000
        assert api.requests == ["GET /bytes/3000000"]

    async def test_with_one_of_another_session(self, server: Server, in_block: bool) -> None:
        """Its connection goes back to where it came from."""
        async with ClientSession(server.url) as other:

            async def ask(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
                return await other.get("bytes/300000")

            session = ClientSession(server.url, middlewares=[ask])
            body = await fetch(session, "GET", "json", entered=False, in_block=in_block)
            assert len(body) == 300_000
            assert_free(other, idle=1)

    async def test_it_is_closed_when_time_is_over(
        self, script: Script, server: Server, http1: str
    ) -> None:
        """The response from elsewhere is not lost while the one that was asked for is drained."""

        async def ask(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            await handler(request)
            answer: ClientResponse = await request.session.get(
                server.url / "bytes/3000000", middlewares=()
            )
            return answer

        start = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfour"
        peer = await script([(b"GET / ", [start, STALL])])
        async with client(http1, middlewares=[ask]) as session:
            with anyio.fail_after(5), pytest.raises(TimeoutError):
                await session.get(peer.url, timeout=0.5)
            assert_free(session)

    async def test_with_an_error(self, api: Api) -> None:
        """It reaches the caller as the same object, and nothing is left."""
        error = LookupError("no token")

        async def fail(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            await handler(request)
            raise error

        async with ClientSession(api.url, middlewares=[fail]) as session:
            with pytest.raises(LookupError) as caught:
                await session.get("bytes/3000000")
            assert caught.value is error
            assert_free(session)

    async def test_after_calling_another_service(self, server: Server) -> None:
        """A token may be fetched by the same session, without its middlewares."""

        async def sign(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            async with request.session.get("json", middlewares=()) as response:
                request.headers["X-Token"] = (await response.json())["title"]
            return await handler(request)

        connector = TCPConnector(limit=1)
        async with ClientSession(server.url, middlewares=[sign], connector=connector) as session:
            seen = await echo(session, data=b"x")
        assert seen["headers"]["X-Token"] == "anyhttp"

    async def test_a_request_without_a_session_of_its_own(self, api: Api, in_block: bool) -> None:
        """``anyhttp.request`` has middlewares too, and its session ends with the response."""

        async def ask_first(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            async with request.session.get(api.url / "bytes/9", middlewares=()) as response:
                await response.read()
            return await handler(request)

        asked = anyhttp.request(
            "GET", api.url / "bytes/300000", middlewares=[ask_first, login_again]
        )
        if in_block:
            async with asked as response:
                body = await response.read()
        else:
            body = await (await asked).read()
        assert len(body) == 300_000

    @pytest.mark.parametrize("answer", [None, 200, "ok"])
    async def test_with_something_that_is_no_response(self, api: Api, answer: Any) -> None:
        """To forget the ``return`` is an error that says so."""

        async def forget(request: ClientRequest, handler: ClientHandlerType) -> Any:
            await handler(request)
            return answer

        async with ClientSession(api.url, middlewares=[forget]) as session:
            with pytest.raises(TypeError, match="a middleware must return a ClientResponse"):
                await session.get("bytes/3000000")
            assert_free(session)


class TestSeveralTimes:
    """A middleware may call the handler again; nothing of the earlier calls is left."""

    @pytest.mark.parametrize("denial", [DENIED, LONG_DENIAL], ids=["short", "long"])
    async def test_a_dropped_response_gives_its_connection_back(
        self, script: Script, http1: str, denial: bytes, entered: bool
    ) -> None:
        """Also with a limit of one.  The connection is used again if its rest is short."""
        first, second = (b"GET / ", denial), (b"GET / ", OK)
        short = denial is DENIED
        peer = await script([first, second]) if short else await script([first], [second])
        session = ClientSession(
            peer.url, connector=TCPConnector(limit=1, http1=http1), middlewares=[login_again]
        )
        with anyio.fail_after(5):
            assert await fetch(session, "GET", "", entered=entered, in_block=False) == b"ok"
        assert b"Authorization: Bearer fresh" in peer.requests[-1]

    async def test_a_dropped_response_is_not_read_on(self, script: Script) -> None:
        """Who kept it is told that it is closed, and does not get a part for the whole."""
        dropped: list[ClientResponse] = []

        async def keep(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            dropped.append(await handler(request))
            return await handler(request)

        rest = Flag()
        start = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfour"
        peer = await script([(b"GET / ", [start, Wait(rest), b"-five"]), (b"GET / ", OK)])
        async with ClientSession(peer.url, middlewares=[keep]) as session:
            async with anyio.create_task_group() as group:

                async def go_on() -> None:
                    await until(lambda: dropped, "the first response")
                    await anyio.wait_all_tasks_blocked()  # it is being drained
                    rest.set()

                group.start_soon(go_on)
                async with session.get("") as response:
                    assert await response.read() == b"ok"
            with pytest.raises(anyhttp.ClientConnectionError, match="Connection closed"):
                await dropped[0].read()

    async def test_what_was_read_stays(self, api: Api) -> None:
        """The body of an earlier response that was read is there after the next one, too."""
        bodies: list[bytes] = []

        async def compare(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            first = await handler(request)
            await first.read()
            second = await handler(request)
            bodies.extend([await first.read(), await second.read()])
            return first

        async with ClientSession(api.url, middlewares=[compare]) as session:
            async with session.get("bytes/100000") as response:
                assert len(await response.read()) == 100_000
        assert bodies[0] == bodies[1]

    async def test_a_failed_attempt_gives_its_connection_back(
        self, script: Script, http1: str, entered: bool
    ) -> None:
        """A middleware that catches an error can try again, with a limit of one."""
        peer = await script([(b"GET / ", STALL)], [(b"GET / ", OK)])
        session = ClientSession(
            peer.url,
            connector=TCPConnector(limit=1, http1=http1),
            timeout=ClientTimeout(sock_read=0.5),
            middlewares=[again_after_an_error],
        )
        with anyio.fail_after(5):
            assert await fetch(session, "GET", "", entered=entered, in_block=True) == b"ok"

    async def test_the_error_of_an_attempt_reaches_the_middleware(self, script: Script) -> None:
        """As the class that a request without middlewares raises."""
        caught: list[Exception] = []

        async def catch(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            try:
                return await handler(request)
            except Exception as exc:
                caught.append(exc)
                raise

        peer = await script([(b"GET / ", STALL)])
        async with ClientSession(peer.url, middlewares=[catch]) as session:
            with pytest.raises(SocketTimeoutError):
                await session.get("", timeout=ClientTimeout(sock_read=0.05))
        async with ClientSession(middlewares=[catch]) as session:
            with pytest.raises(anyhttp.ClientConnectorError):
                await session.get("http://127.0.0.1:1/")
        assert [type(exc) for exc in caught] == [SocketTimeoutError, anyhttp.ClientConnectorError]

    async def test_many_attempts(self, server: Server) -> None:
        """They keep using one connection."""

        async def persevere(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            for _ in range(19):
                await handler(request)
            return await handler(request)

        async with ClientSession(server.url, middlewares=[persevere]) as session:
            async with session.get("status/503") as response:
                assert response.status == 503
        assert len(server.requests) == 20
        assert server.connections == 1

    async def test_of_many_attempts_nothing_is_kept(self, server: Server) -> None:
        """A middleware may ask again and again, for hours."""
        held: list[int] = []

        async def poll(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            response = await handler(request)
            for _ in range(10):
                response = await handler(request)
                gc.collect()
                held.append(sum(isinstance(each, Exchange) for each in gc.get_objects()))
            return response

        async with ClientSession(server.url, middlewares=[poll]) as session:
            async with session.get("") as response:
                await response.read()
        assert held[-1] == held[2]

    async def test_cookies_of_each_attempt_are_kept(self, api: Api) -> None:
        """Each response that came may set some."""
        denial = Answer(401, headers={"Set-Cookie": "a=1"})
        api.mock.get(api.url, answers=[denial, Answer(headers={"Set-Cookie": "b=2"})])
        jar = anyhttp.CookieJar(unsafe=True)
        async with ClientSession(api.url, middlewares=[login_again], cookie_jar=jar) as session:
            await session.get("")
        assert {cookie.key: cookie.value for cookie in jar} == {"a": "1", "b": "2"}

    async def test_cookies_of_an_attempt_are_sent_with_the_next(self, api: Api, http1: str) -> None:
        """Together with those of the caller; one that a middleware writes itself stays."""

        async def insist(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            await handler(request)
            await handler(request)
            request.headers["Cookie"] = "own=1"
            return await handler(request)

        denial = Answer(401, headers={"Set-Cookie": "a=1"})
        api.mock.get(api.url, answers=[denial, denial, "ok"])
        jar = anyhttp.CookieJar(unsafe=True)
        async with client(http1, middlewares=[insist], cookie_jar=jar) as session:
            async with session.get(api.url, cookies={"b": "2"}) as response:
                assert await response.read() == b"ok"
        sent = [call.headers.getall("Cookie") for call in api.mock.calls]
        assert sent == [["b=2"], ["a=1; b=2"], ["own=1"]]

    async def test_cookies_stay_with_their_host(self, api: Api) -> None:
        """A URL that a middleware changes has the cookies of where it leads."""
        jar = anyhttp.CookieJar(unsafe=True)
        jar.update_cookies({"here": "1"}, api.url)
        jar.update_cookies({"there": "2"}, URL("http://localhost/"))
        target = api.url.with_host("localhost") / "cookies"
        async with ClientSession(cookie_jar=jar, middlewares=[changing(url=target)]) as session:
            async with session.get(api.url) as response:
                assert await response.json() == {"cookies": {"there": "2"}}

    async def test_several_at_once(self, api: Api) -> None:
        """The one that loses is closed, whether it has answered or not."""

        async def hedge(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            responses: list[ClientResponse] = []

            async def ask() -> None:
                responses.append(await handler(request))
                group.cancel_scope.cancel()

            async with anyio.create_task_group() as group:
                group.start_soon(ask)
                group.start_soon(ask)
            return responses[0]

        async with ClientSession(api.url, middlewares=[hedge]) as session:
            async with session.get("bytes/300000") as response:
                assert len(await response.read()) == 300_000
            assert_free(session)

    async def test_several_at_once_after_one_before(self, script: Script) -> None:
        """They let go of the one before, whose rest is still coming, one after the other."""

        async def hedge(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            await handler(request)
            responses: list[ClientResponse] = []

            async def ask() -> None:
                responses.append(await handler(request))

            async with anyio.create_task_group() as group:
                group.start_soon(ask)
                group.start_soon(ask)
                await anyio.wait_all_tasks_blocked()
                rest.set()
                await peer.wait_connections(2)
                both.set()
            return responses[-1]

        rest, both = Flag(), Flag()
        peer = await script(
            [(b"GET / ", [DENIED[:-3], Wait(rest), DENIED[-3:]]), (b"GET / ", [Wait(both), OK])],
            [(b"GET / ", OK)],
        )
        async with ClientSession(peer.url, middlewares=[hedge]) as session:
            async with session.get("") as response:
                assert await response.read() == b"ok"
            assert_free(session)

    async def test_a_stream_is_not_sent_by_two_calls_at_once(
        self, script: Script, tmp_path: Path
    ) -> None:
        """Both would read the same file, each a part of it."""

        async def hedge(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            async def ask() -> None:
                await handler(request)

            async with anyio.create_task_group() as group:
                group.start_soon(ask)
                await peer.wait_connections(1)
                with pytest.raises(RuntimeError, match="at once"):
                    await handler(request)
                group.cancel_scope.cancel()
            raise LookupError

        file = tmp_path / "file"
        file.write_bytes(LARGE)
        peer = await script([STALL], partial=True)
        async with ClientSession(peer.url, middlewares=[hedge]) as session:
            with file.open("rb") as data, pytest.raises(LookupError):
                await session.post("", data=data)
            assert_free(session)

    async def test_the_handler_is_of_no_use_afterwards(self, api: Api) -> None:
        """What it would send belongs to nobody."""
        kept: list[Any] = []

        async def keep(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            kept.extend([request, handler])
            return await handler(request)

        async with ClientSession(api.url, middlewares=[keep]) as session:
            await (await session.get("json")).read()
            request, handler = kept
            with pytest.raises(RuntimeError, match="after its middleware had answered"):
                await handler(request)

    async def test_a_task_left_behind_is_told(self, script: Script) -> None:
        """It waits for a response that the middleware did not wait for; its connection closes."""
        errors: list[BaseException] = []
        answered = anyio.Event()

        async with anyio.create_task_group() as group:

            async def leave(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
                async def ask() -> None:
                    try:
                        await handler(request)
                    except (anyhttp.ClientError, RuntimeError) as exc:
                        errors.append(exc)
                    answered.set()

                group.start_soon(ask)
                await peer.settled()
                await peer.wait_connections(1)
                return await request.session.get(server_url, middlewares=())  # type: ignore[no-any-return]

            peer = await script([(b"GET / ", STALL)])
            other = await script([(b"GET / ", OK)])
            server_url = other.url
            async with ClientSession(peer.url, middlewares=[leave]) as session:
                async with session.get("") as response:
                    assert await response.read() == b"ok"
                with anyio.fail_after(5):
                    await answered.wait()
                assert_free(session)
        assert len(errors) == 1

    async def test_a_task_left_behind_that_queues(self, server: Server) -> None:
        """What it is sent for it in the end is closed: nobody would know of it."""
        errors: list[BaseException] = []
        async with anyio.create_task_group() as group:

            async def leave(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
                async def ask() -> None:
                    with pytest.raises(RuntimeError, match="had answered before") as caught:
                        await handler(request)
                    errors.append(caught.value)

                answer: ClientResponse = await request.session.get("bytes/300000", middlewares=())
                group.start_soon(ask)
                await until(lambda: connector.statistics().waiting, "the other request to queue")
                return answer

            connector = TCPConnector(limit=1)
            async with ClientSession(
                server.url, middlewares=[leave], connector=connector
            ) as session:
                async with session.get("bytes/300000") as response:
                    assert len(await response.read()) == 300_000
                await until(lambda: errors, "the other request to end")
                assert_free(session)

    async def test_the_handler_takes_requests_only(self, api: Api) -> None:
        """An URL, say, is refused with a word."""

        async def mistake(request: ClientRequest, handler: Any) -> Any:
            return await handler(request.url)

        async with ClientSession(api.url, middlewares=[mistake]) as session:
            with pytest.raises(TypeError, match="must be given a ClientRequest, not URL"):
                await session.get("json")


class TestBodies:
    """A body is sent whole each time, or not at all."""

    @pytest.mark.parametrize("size", [10, len(LARGE)], ids=["small", "large"])
    @pytest.mark.parametrize("kind", ["bytes", "memory", "file"])
    async def test_what_can_be_repeated_is(
        self,
        api: Api,
        tmp_path: Path,
        kind: str,
        size: int,
        entered: bool,
        in_block: bool,
    ) -> None:
        """Bytes, and files that can be rewound; a file is closed in the end."""
        (tmp_path / "file").write_bytes(LARGE[:size])
        data: Any = LARGE[:size]
        if kind == "memory":
            data = io.BytesIO(data)
        elif kind == "file":
            data = (tmp_path / "file").open("rb")
        lengths: list[int] = []

        async def thrice(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            lengths.extend([(await (await handler(request)).json())["length"] for _ in range(2)])
            return await handler(request)

        session = ClientSession(api.url, middlewares=[thrice])
        body = await fetch(session, "POST", "upload", entered=entered, in_block=in_block, data=data)
        assert [*lengths, json.loads(body)["length"]] == [size] * 3
        if kind == "file":
            assert data.closed

    async def test_a_used_up_stream_is_refused(
        self, api: Api, entered: bool, in_block: bool
    ) -> None:
        """It is an error, never an empty body."""

        async def data() -> AsyncIterator[bytes]:
            yield b"once"

        session = ClientSession(api.url, middlewares=[twice])
        with pytest.raises(ClientPayloadError, match="used up"):
            await fetch(session, "POST", "echo", entered=entered, in_block=in_block, data=data())
        assert_free(session)
        assert api.requests == ["POST /echo"]

    async def test_a_stream_that_waits_can_be_sent_later(self, script: Script, http1: str) -> None:
        """After a final answer instead of ``100 Continue`` nothing of it has been used."""

        async def data() -> AsyncIterator[bytes]:
            yield b"once"

        denial = b"HTTP/1.1 401 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        peer = await script(
            [(Head(b"PUT / "), denial)],
            [(Head(b"PUT / "), b"HTTP/1.1 100 Continue\r\n\r\n"), (Until(b"0\r\n\r\n"), OK)],
        )
        async with client(http1, base_url=peer.url, middlewares=[login_again]) as session:
            async with session.put("", data=data(), expect100=True) as response:
                assert await response.read() == b"ok"
        assert b"once" not in peer.requests[0]
        assert b"once" in peer.requests[1]

    async def test_an_early_answer_ends_an_upload(self, script: Script, tmp_path: Path) -> None:
        """The handler may be called again; the connection of the upload is closed before."""
        file = tmp_path / "file"
        file.write_bytes(b"x" * 20_000_000)
        peer = await script([(Head(b"PUT / "), [DENIED, DEAF])], [(b"PUT / ", OK)])
        connector = TCPConnector(limit=1)
        async with ClientSession(
            peer.url, middlewares=[login_again], connector=connector
        ) as session:
            with file.open("rb") as data:
                async with session.put("", data=data) as response:
                    assert await response.read() == b"ok"

    async def test_a_redirect_repeats_the_body_of_the_middleware(self, api: Api) -> None:
        """The one that it replaced is gone; this one is sent to the next hop, too."""

        async def once(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            if request.url.path != "/echo":
                await request.update_body(b"replaced")
            return await handler(request)

        async with ClientSession(api.url, middlewares=[once]) as session:
            async with session.post(
                "redirect-to?url=/echo&status=307",
                data=io.BytesIO(b"original, and longer"),
                headers={"Content-Length": "5"},
            ) as response:
                assert body_of(await response.json()) == b"replaced"

    @pytest.mark.parametrize("direct", [False, True])
    async def test_every_file_is_closed(self, api: Api, tmp_path: Path, direct: bool) -> None:
        """That of the caller and that of the middleware."""
        for name in "ab":
            (tmp_path / name).write_bytes(name.encode() * 100_000)
        files = [(tmp_path / name).open("rb") for name in "ab"]

        async def replace(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            if direct:
                request.body = anyhttp.get_payload(files[1])
            else:
                await request.update_body(files[1])
            return await handler(request)

        async with ClientSession(api.url, middlewares=[replace]) as session:
            assert body_of(await echo(session, data=files[0])) == b"b" * 100_000
        assert all(file.closed for file in files)

    async def test_a_file_is_closed_when_nothing_is_sent(self, api: Api, tmp_path: Path) -> None:
        """As after a request that failed."""
        for name in "ab":
            (tmp_path / name).write_bytes(b"x")
        files = [(tmp_path / name).open("rb") for name in "ab"]

        async def fail(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            await request.update_body(files[1])
            raise LookupError

        async with ClientSession(api.url, middlewares=[fail]) as session:
            with pytest.raises(LookupError):
                await session.post("echo", data=files[0])
        assert all(file.closed for file in files)

    async def test_a_body_that_cannot_be_closed(
        self, api: Api, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It has been replaced, so the request goes on; the log says what happened."""

        class Stubborn(anyhttp.BytesIOPayload):
            async def close(self) -> None:
                raise OSError("cannot be closed")

        async with ClientSession(api.url, middlewares=[changing(body=b"new")]) as session:
            assert body_of(await echo(session, data=Stubborn(io.BytesIO(b"old")))) == b"new"
        assert "cannot be closed" in caplog.text

    async def test_a_stream_that_a_middleware_brings(
        self, api: Api, entered: bool, in_block: bool
    ) -> None:
        """A request without a body gets one that needs a task, within a scope of its own."""

        async def data() -> AsyncIterator[bytes]:
            for _ in range(10):
                yield LARGE
                await anyio.lowlevel.checkpoint()

        async def bring(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            await request.update_body(data())
            with anyio.fail_after(5):
                return await handler(request)

        session = ClientSession(api.url, middlewares=[bring])
        body = await fetch(session, "PUT", "upload", entered=entered, in_block=in_block)
        assert json.loads(body)["length"] == 10 * len(LARGE)


class TestUpdateBody:
    """``update_body()`` makes the headers fit."""

    @pytest.mark.parametrize(
        ("body", "sent", "content_type"),
        [
            (b"bytes", b"bytes", "application/octet-stream"),
            ("text", b"text", "text/plain; charset=utf-8"),
            (JsonPayload({"a": 1}), b'{"a": 1}', "application/json"),
            ({"a": "1"}, b"a=1", "application/x-www-form-urlencoded"),
            (FormData({"b": "2"}), b"b=2", "application/x-www-form-urlencoded"),
            (io.BytesIO(b"file"), b"file", "application/octet-stream"),
            (None, b"", "application/octet-stream"),
            (b"", b"", "application/octet-stream"),
        ],
        ids=["bytes", "str", "json", "mapping", "form", "file", "none", "empty"],
    )
    @pytest.mark.parametrize("streamed_before", [False, True])
    async def test_it_takes_any_body(
        self, api: Api, body: Any, sent: bytes, content_type: str, streamed_before: bool
    ) -> None:
        """Its length and, if there is none yet, its type are announced."""

        async def before() -> AsyncIterator[bytes]:
            yield b"never sent"

        if isinstance(body, io.BytesIO):
            body.seek(0)

        async def replace(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            request.headers.popall("Content-Type", None)
            await request.update_body(body)
            return await handler(request)

        async with ClientSession(api.url, middlewares=[replace]) as session:
            seen = await echo(session, data=before() if streamed_before else b"never sent")
        assert body_of(seen) == sent
        assert seen["headers"]["Content-Length"] == str(len(sent))
        assert "Transfer-Encoding" not in seen["headers"]
        assert seen["headers"]["Content-Type"] == content_type

    async def test_a_stream_in_the_place_of_bytes(self, api: Api) -> None:
        """Is sent in chunks."""

        async def data() -> AsyncIterator[bytes]:
            yield b"streamed"

        async with ClientSession(api.url, middlewares=[replacing(data())]) as session:
            seen = await echo(session, data=b"longer than that")
        assert body_of(seen) == b"streamed"
        assert seen["headers"]["Transfer-Encoding"] == "chunked"
        assert "Content-Length" not in seen["headers"]

    async def test_the_type_that_is_there_stays(self, api: Api) -> None:
        """Whether the caller gave it or the body before."""
        middlewares = [replacing(b"[2]")]
        async with ClientSession(api.url, middlewares=middlewares) as session:
            assert (await echo(session, json=[1]))["headers"]["Content-Type"] == "application/json"
            seen = await echo(session, data=b"x", headers={"Content-Type": "text/csv"})
            assert seen["headers"]["Content-Type"] == "text/csv"

    async def test_the_type_that_nobody_chose_goes(self, api: Api) -> None:
        """A POST without a body has one by default; what the middleware sets stays."""

        async def typed(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            request.headers["Content-Type"] = "text/csv"
            await request.update_body("a,b")
            return await handler(request)

        async with ClientSession(api.url) as session:
            seen = await echo(session, middlewares=[replacing("text")])
            assert seen["headers"]["Content-Type"] == "text/plain; charset=utf-8"
            seen = await echo(session, middlewares=[typed])
            assert seen["headers"]["Content-Type"] == "text/csv"

    @pytest.mark.parametrize(
        "option", [{"compress": "gzip"}, {"chunked": True}, {"compress": "gzip", "chunked": True}]
    )
    async def test_how_it_is_sent_stays(self, api: Api, option: Any) -> None:
        """Compression and chunks that the caller asked for are for the new body, too."""
        async with ClientSession(api.url, middlewares=[replacing(b"new")]) as session:
            seen = await echo(session, data=b"old", **option)
        assert seen["headers"].getall("Transfer-Encoding") == ["chunked"]
        body = body_of(seen)
        assert (gzip.decompress(body) if "compress" in option else body) == b"new"
        assert seen["headers"].getall("Content-Encoding", []) == list(
            {"gzip"} if "compress" in option else []
        )

    async def test_it_closes_the_old_one(self, api: Api, tmp_path: Path) -> None:
        """When it returns, the file is closed; that of the present body given again is not."""
        (tmp_path / "file").write_bytes(b"old")
        closed: list[bool] = []

        async def replace(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            await request.update_body(request.body)
            closed.append(file.closed)
            await request.update_body(b"new")
            closed.append(file.closed)
            return await handler(request)

        file = (tmp_path / "file").open("rb")
        async with ClientSession(api.url, middlewares=[replace]) as session:
            assert body_of(await echo(session, data=file)) == b"new"
        assert closed == [False, True]

    async def test_headers_of_the_old_one_go_with_it(self, api: Api) -> None:
        """What described it, such as its disposition, does not describe the new one."""
        old = anyhttp.BytesPayload(b"old", headers={"Content-Disposition": "inline"})
        async with ClientSession(api.url, middlewares=[replacing(b"new")]) as session:
            assert "Content-Disposition" not in (await echo(session, data=old))["headers"]

    async def test_something_that_cannot_be_sent(self, api: Api) -> None:
        """Leaves the request as it was."""

        async def attempt(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            with pytest.raises(TypeError):
                await request.update_body(3.14)
            return await handler(request)

        async with ClientSession(api.url, middlewares=[attempt]) as session:
            assert body_of(await echo(session, data=b"as it was")) == b"as it was"

    @pytest.mark.parametrize("body", [b"old", None])
    @pytest.mark.parametrize("error", [ValueError, anyhttp.ClientPayloadError])
    async def test_one_that_is_refused_changes_nothing(
        self, body: bytes | None, error: type[Exception]
    ) -> None:
        """Neither headers nor attributes are left half-way between the two bodies."""

        async def pieces() -> AsyncGenerator[bytes, None]:
            yield b"new"

        new = pieces()
        if error is anyhttp.ClientPayloadError:
            await new.aclose()
        headers = CIMultiDict({"X-A": "b", "Expect": "100-continue"})
        request = ClientRequest(
            "POST", URL("http://a/"), headers, data=body, version=anyhttp.HttpVersion10
        )
        fields = request.headers.copy()
        attributes = dict(vars(request))
        with pytest.raises(error):
            await request.update_body(new)
        assert request.headers == fields
        assert vars(request) == attributes

    async def test_bytes_put_there_directly(self, api: Api) -> None:
        """Are sent with headers that fit, too."""
        async with ClientSession(api.url, middlewares=[changing(body=b"new!")]) as session:
            seen = await echo(session, data=b"older")
        assert body_of(seen) == b"new!"
        assert seen["headers"]["Content-Length"] == "4"

    async def test_a_part_that_is_added(self, api: Api) -> None:
        """The length of a multipart body follows."""

        async def add(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            assert isinstance(request.body, MultipartWriter)
            request.body.append("second")
            return await handler(request)

        writer = MultipartWriter()
        writer.append("first")
        async with ClientSession(api.url, middlewares=[add]) as session:
            seen = body_of(await echo(session, data=writer))
        assert b"second" in seen
        assert seen.endswith(b"--\r\n")

    @pytest.mark.parametrize("body", [b"new!", bytearray(b"new!"), "new!"])
    async def test_bytes_in_the_place_of_no_body(self, api: Api, body: Any) -> None:
        """They are sent, too, although the headers say that there are none."""
        async with ClientSession(api.url, middlewares=[changing(body=body)]) as session:
            seen = await echo(session)
        assert body_of(seen) == b"new!"
        assert seen["headers"]["Content-Length"] == "4"

    async def test_it_is_a_checkpoint(self) -> None:
        """Whether there is an old body to close or not."""
        request = ClientRequest("POST", URL("http://a/"), CIMultiDict())
        with anyio.CancelScope() as scope:
            scope.cancel()
            await request.update_body(b"new")
        assert scope.cancelled_caught
        assert isinstance(request.body, Payload)


class TestChanges:
    """What the attributes of a request say when the handler is called is what is sent."""

    async def test_method(self, api: Api) -> None:
        """In upper case, with the headers that it needs."""
        async with ClientSession(api.url, middlewares=[changing(method="put")]) as session:
            async with session.get("echo") as response:
                seen = await response.json()
        assert seen["method"] == "PUT"
        assert ["Content-Length", "0"] in seen["headers"]

    async def test_headers(self, api: Api) -> None:
        """Also those that are there by themselves, and those that are taken away."""

        async def change(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            request.headers["User-Agent"] = "other"
            request.headers.add("X-Two", "1")
            request.headers.add("X-Two", "2")
            del request.headers["Accept"]
            request.headers.popall("Content-Type", None)
            return await handler(request)

        async with ClientSession(api.url, middlewares=[change]) as session:
            headers = (await echo(session, data=b"x"))["headers"]
        assert headers["User-Agent"] == "other"
        assert headers.getall("X-Two") == ["1", "2"]
        assert not {"Accept", "Content-Type"} & headers.keys()

    @pytest.mark.parametrize("as_text", [False, True])
    async def test_url(self, server: Server, script: Script, as_text: bool) -> None:
        """Its connection and the ``Host`` header follow; ``real_url`` is what was asked for."""
        peer = await script([], partial=True)
        target = server.url / "echo"
        async with ClientSession(
            middlewares=[changing(url=str(target) if as_text else target)]
        ) as session:
            async with session.get(peer.url / "elsewhere#part") as response:
                seen = await response.json()
                assert response.url == target
                assert response.real_url == peer.url / "elsewhere#part"
        assert seen["path"] == "/echo"
        assert ["Host", f"127.0.0.1:{target.port}"] in seen["headers"]

    async def test_the_same_url_as_a_text(self, api: Api) -> None:
        """It is made a URL again, for whoever looks at the request afterwards."""
        text = str(api.url / "echo")
        async with ClientSession(middlewares=[changing(url=text)]) as session:
            async with session.get(text, cookies={"a": "1"}) as response:
                assert response.url == URL(text)
                seen = await response.json()
        assert ["Cookie", "a=1"] in seen["headers"]

    async def test_a_host_that_was_removed(self, api: Api) -> None:
        """RFC 9112 §3.2: no request goes without one, whatever a middleware does."""

        async def remove(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            del request.headers["Host"]
            return await handler(request)

        async with ClientSession(middlewares=[remove]) as session:
            async with session.get(api.url / "echo") as response:
                headers = dict((await response.json())["headers"])
        assert headers["Host"] == f"127.0.0.1:{api.url.port}"

    async def test_url_twice(self, api: Api) -> None:
        """The header follows each change, unless it was set on purpose."""

        async def change(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            for host in ("127.0.0.1", "localhost"):
                request.url = request.url.with_host(host)
                hosts.append(dict((await (await handler(request)).json())["headers"])["Host"])
            request.headers["Host"] = "own"
            request.url = request.url.with_host("127.0.0.1")
            return await handler(request)

        hosts: list[str] = []
        async with ClientSession("http://a.test/", middlewares=[change]) as session:
            async with session.get(URL(f"http://a.test:{api.url.port}/echo")) as response:
                hosts.append(dict((await response.json())["headers"])["Host"])
        port = api.url.port
        assert hosts == [f"127.0.0.1:{port}", f"localhost:{port}", "own"]

    async def test_tls(self, server: Server, tls_ca: Authority) -> None:
        """``ssl`` and ``server_hostname`` are those of the connection, and of its key."""
        wrong = Fingerprint(b"x" * 32)
        async with ClientSession(server.https_url) as session:
            with pytest.raises(anyhttp.ServerFingerprintMismatch):
                await session.get("json", middlewares=[changing(ssl=wrong)])
            async with session.get("json", middlewares=[changing(ssl=tls_ca.client)]) as response:
                assert response.status == 200
            with pytest.raises(anyhttp.ClientConnectorCertificateError):
                await session.get(
                    "json",
                    middlewares=[changing(ssl=tls_ca.client, server_hostname="other.test")],
                )
        request = ClientRequest("GET", URL("https://a.test/"), CIMultiDict())
        request.ssl, request.server_hostname = wrong, "b.test"
        request.url = URL("https://c.test:444/")
        key = request.connection_key
        assert (key.host, key.port, key.ssl, key.server_hostname) == (
            "c.test", 444, wrong, "b.test",
        )  # fmt: skip
        assert (request.host, request.port, request.is_ssl()) == ("c.test", 444, True)

    async def test_compression_and_chunks(self, api: Api) -> None:
        """May be switched on, and the length that was announced goes."""
        async with ClientSession(api.url) as session:
            seen = await echo(session, data=b"xyz", middlewares=[changing(chunked=True)])
            assert seen["headers"]["Transfer-Encoding"] == "chunked"
            assert body_of(seen) == b"xyz"
            seen = await echo(session, data=b"xyz", middlewares=[changing(compress="deflate")])
            assert seen["headers"]["Content-Encoding"] == "deflate"
            assert zlib.decompress(body_of(seen)) == b"xyz"

    @pytest.mark.parametrize(
        ("middleware", "error", "message"),
        [
            (Header("X-A", "a\r\nX-B: b"), ValueError, "control character"),
            (Header("X A", "a"), ValueError, "not a valid header name"),
            (Header("X-A", b"bytes"), TypeError, "X-A must be a str, not bytes"),
            (Header("Content-Length", "9"), ValueError, "Content-Length"),
            (Header("Transfer-Encoding", "gzip"), ValueError, "can only be chunked"),
            (changing(method="GET /x HTTP/1.1\r\n"), ValueError, "method"),
            (changing(url="/relative"), InvalidUrlClientError, "relative"),
            (changing(url="http://127.1/"), InvalidUrlClientError, "IPv4"),
            (changing(url="file:///etc/passwd"), NonHttpUrlClientError, "file"),
            (
                changing(url=URL("http://localhost/a b", encoded=True)),
                InvalidUrlClientError,
                "spaces",
            ),
            (changing(compress="br"), ValueError, "compress"),
            (changing(ssl="yes"), TypeError, "ssl"),
            (changing(body=3.14), TypeError, "not of float"),
        ],
    )
    async def test_what_could_split_a_request_is_refused(
        self, api: Api, middleware: Any, error: type[Exception], message: str
    ) -> None:
        """Before anything is sent, as when it is an argument (CVE-2023-49081)."""
        async with ClientSession(api.url, middlewares=[middleware]) as session:
            with pytest.raises(error, match=message):
                await session.post("echo", data=b"data")
            assert_free(session, idle=0)
        assert api.connections == 0

    async def test_the_attributes(self, api: Api) -> None:
        """All that a middleware may want to know of a request."""
        seen: list[ClientRequest] = []

        async def look(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            seen.append(request)
            return await handler(request)

        async with ClientSession(api.url, middlewares=[look]) as session:
            async with session.get("json#top", skip_auto_headers=["Accept"]) as response:
                await response.read()
            (request,) = seen
            assert request.session is session
        assert request.method == "GET"
        assert request.url == api.url / "json"
        assert request.original_url == (api.url / "json").with_fragment("top")
        assert "Accept" not in request.headers
        assert request.skip_auto_headers == {"accept"}
        assert request.body == b""
        assert (request.chunked, request.compress) == (None, None)
        assert request.version == HttpVersion11
        assert (request.proxy, request.proxy_auth, request.proxy_headers) == (None, None, None)
        assert (request.ssl, request.server_hostname) == (True, None)
        assert request.response_class is ClientResponse
        assert (request.host, request.port, request.is_ssl()) == (
            "127.0.0.1", api.url.port, False,
        )  # fmt: skip
        assert request.request_info.real_url == request.original_url
        assert request.connection_key.port == api.url.port


class TestTheRestOfTheCall:
    async def test_raise_for_status_judges_what_they_return(self, api: Api) -> None:
        """And not what they saw before."""
        api.mock.get(api.url, answers=[401, "ok", 401])
        async with ClientSession(api.url, raise_for_status=True) as session:
            async with session.get("", middlewares=[login_again]) as response:
                assert await response.read() == b"ok"
            with pytest.raises(ClientResponseError, match="401"):
                await session.get("", middlewares=[Recorder()])

    async def test_redirects_are_counted_outside(self, api: Api) -> None:
        """The limit holds with them, too."""
        async with ClientSession(api.url, middlewares=[twice]) as session:
            with pytest.raises(TooManyRedirects):
                await session.get("redirect/9", max_redirects=3)
            assert_free(session)

    async def test_total_covers_them(self, api: Api, entered: bool, in_block: bool) -> None:
        """What they do takes of the request's time."""
        at_work = False

        async def sleep(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            nonlocal at_work
            await handler(request)
            at_work = True
            await anyio.sleep_forever()
            raise AssertionError

        for total in (0.1, 1, 8):  # the first is enough, unless the machine is busy
            session = ClientSession(api.url, middlewares=[sleep])
            options: dict[str, Any] = {"in_block": in_block, "timeout": total}
            with anyio.fail_after(DEADLINE), pytest.raises(TimeoutError) as caught:
                await fetch(session, "GET", "bytes/300000", entered=entered, **options)
            assert_free(session)
            if at_work:
                break
        assert "a middleware was at work" in str(caught.value)

    async def test_total_holds_for_one_that_retries(self, script: Script) -> None:
        """Catching the error gives it no more time."""
        errors: list[str] = []

        async def persist(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            while True:
                try:
                    return await handler(request)
                except TimeoutError as exc:
                    errors.append(str(exc))

        peer = await script([(b"GET / ", STALL)], repeat=True, partial=True)
        async with ClientSession(peer.url, middlewares=[persist]) as session:
            with (
                anyio.fail_after(5),
                pytest.raises(TimeoutError, match=r"total timeout of 0\.05 s"),
            ):
                await session.get("", timeout=0.05)
            assert_free(session)

    async def test_total_holds_where_it_is_shielded(self, script: Script, entered: bool) -> None:
        """A middleware that lets nobody interrupt it learns that the time is over."""
        errors: list[Exception] = []

        async def shield(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            with anyio.CancelScope(shield=True):
                try:
                    return await handler(request)
                except TimeoutError as exc:
                    errors.append(exc)
                    raise
            raise AssertionError

        peer = await script([(b"GET / ", STALL)])
        session = ClientSession(peer.url, middlewares=[shield])
        with anyio.fail_after(5), pytest.raises(TimeoutError, match="waiting for the response"):
            await fetch(session, "GET", "", entered=entered, in_block=False, timeout=0.2)
        assert len(errors) == 1

    async def test_total_holds_while_an_answer_is_given_back(
        self, script: Script, entered: bool
    ) -> None:
        """A middleware that shields itself learns it there, too, as the same error."""
        errors: list[str] = []

        async def shield(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            with anyio.CancelScope(shield=True):
                await handler(request)
                try:
                    return await handler(request)
                except TimeoutError as exc:
                    errors.append(str(exc))
                    raise
            raise AssertionError

        peer = await script([(b"GET / ", [b"HTTP/1.1 401 No\r\nContent-Length: 9\r\n\r\n", STALL])])
        session = ClientSession(peer.url, middlewares=[shield])
        with anyio.fail_after(5), pytest.raises(TimeoutError):
            await fetch(session, "GET", "", entered=entered, in_block=False, timeout=0.2)
        (error,) = errors
        assert "total timeout of 0.2 s" in error
        assert "a middleware was at work" in error

    async def test_the_task_of_a_body_that_was_dropped_ends(
        self, script: Script, in_block: bool
    ) -> None:
        """A middleware may send no body in the end, after one that needed a task."""
        closed: list[bool] = []

        async def body() -> AsyncIterator[bytes]:
            try:
                yield b"first"
                yield b"second"
            finally:
                closed.append(True)

        async def drop(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            await request.update_body(body())
            await handler(request)
            await request.update_body(None)
            return await handler(request)

        peer = await script([(b"POST / ", OK), (b"POST / ", OK)])
        session = ClientSession(peer.url, middlewares=[drop])
        assert await fetch(session, "POST", "", entered=False, in_block=in_block) == b"ok"
        _, sent, second = requests_of(peer.requests[0])
        assert sent == b"5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n"
        assert fields(second)["content-length"] == "0"
        assert closed == [True]

    async def test_cookies_that_are_gone_are_not_sent(self, script: Script) -> None:
        """The jar is asked once more before each sending; a header that others have set stays."""

        async def forget(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            await handler(request)
            session.cookie_jar.clear()
            return await handler(request)

        peer = await script([(b"GET / ", OK), (b"GET / ", OK)])
        async with ClientSession(peer.url, cookies={"a": "b"}, middlewares=[forget]) as session:
            async with session.get("") as response:
                await response.read()
        first, second = (fields(each) for each in requests_of(peer.requests[0]))
        assert first["cookie"] == "a=b"
        assert "cookie" not in second

    async def test_a_block_may_be_left_elsewhere(self, api: Api) -> None:
        """Without an upload, the block of a session that is not entered has no task group."""
        session = ClientSession(api.url, middlewares=[Recorder()])
        asked = session.put("bytes/300000", data=b"x")
        entered: list[ClientResponse] = []
        async with anyio.create_task_group() as group:
            entered.append(await asked.__aenter__())
            group.cancel_scope.cancel()
        assert len(await entered[0].read()) == 300_000
        await asked.__aexit__(None, None, None)
        await session.close()

    async def test_a_request_class_of_ones_own(self, api: Api) -> None:
        """They get what the session makes."""

        class Request(ClientRequest):
            pass

        seen: list[type] = []

        async def look(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            seen.append(type(request))
            return await handler(request)

        async with ClientSession(api.url, middlewares=[look], request_class=Request) as session:
            async with session.get("json") as response:
                await response.read()
        assert seen == [Request]

    @pytest.mark.parametrize("value", [3, twice, [None], ["login"]])
    async def test_what_is_no_middleware_is_refused(self, value: Any) -> None:
        """By the session and by the request, with the name of the argument."""
        with pytest.raises(TypeError, match="middlewares must be a sequence of callables"):
            ClientSession(middlewares=value)
        async with ClientSession() as session:
            with pytest.raises(TypeError, match="middlewares must be a sequence of callables"):
                await session.get("http://127.0.0.1/", middlewares=value)

    @pytest.mark.once
    async def test_a_class_in_the_place_of_an_object_is_refused(self, api: Api) -> None:
        """Where the session is made, and not by a puzzling error in a request."""
        with pytest.raises(TypeError, match=r"the class DigestAuth.*: make an object"):
            ClientSession(middlewares=cast(Any, [DigestAuthMiddleware]))

        class Handled:
            def __init__(self, request: ClientRequest, handler: ClientHandlerType) -> None:
                self._response = handler(request)

            def __await__(self) -> Generator[Any, Any, ClientResponse]:
                return self._response.__await__()

        async with ClientSession(api.url, middlewares=[cast(Any, Handled)]) as session:
            async with session.get("json") as response:
                assert response.status == 200
