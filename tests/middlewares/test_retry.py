"""``RetryMiddleware``: which failures are followed by another attempt, and when."""

from __future__ import annotations

import gc
import io
import itertools
import logging
import re
import ssl
import time
import weakref
from collections.abc import AsyncIterator, Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any

import anyio
import pytest
from trio.testing import MockClock
from yarl import URL

from anyhttp import (
    ClientConnectionError,
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientHandlerType,
    ClientHttpProxyError,
    ClientOSError,
    ClientPayloadError,
    ClientRequest,
    ClientResponse,
    ClientResponseError,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    DigestAuthMiddleware,
    FormData,
    RetryAttempt,
    RetryMiddleware,
    ServerDisconnectedError,
    SocketTimeoutError,
    TraceConfig,
    TraceRequestHeadersSentParams,
    TraceRequestRetryParams,
    UploadAbortedError,
    WSServerHandshakeError,
)
from anyhttp.testing import Answer, AutojumpEventLoop, MockConnector, WebSocketPeer, stall
from tests.support.cancel import cancel_at_every_checkpoint
from tests.support.client import assert_free, client, get
from tests.support.peer import CLOSE, DEAF, STALL, Head, Script, Until
from tests.support.responses import OK

API = "https://api.test/"

#: Clocks that jump to the next thing to do, so that waiting takes no time.
jumping = pytest.mark.parametrize(
    "anyio_backend",
    [
        pytest.param(("asyncio", {"loop_factory": AutojumpEventLoop}), id="asyncio"),
        pytest.param(("trio", {"clock": MockClock(autojump_threshold=0)}), id="trio"),
    ],
)


def retry(**options: Any) -> RetryMiddleware:
    """Return a middleware that waits for the whole of each bound: 10, 20, 40 seconds and so on."""
    return RetryMiddleware(**{"backoff": 10, "max_backoff": 1000, "random": lambda: 1.0, **options})


def answering(*answers: Any, **options: Any) -> MockConnector:
    """Return a connector that answers any request with one after the other of *answers*."""
    mock = MockConnector(**options)
    mock.fallback(answers=list(answers))
    return mock


def busy(after: str | None = None, status: int = 503) -> Answer:
    """Return the answer of a server that is too busy."""
    return Answer(status, headers={} if after is None else {"Retry-After": after}, text="busy")


class Stopwatch:
    """How many seconds have passed, by the clock of the event loop; on asyncio, it also runs."""

    def __init__(self) -> None:
        self._began = anyio.current_time()

    def __call__(self) -> int:
        return round(anyio.current_time() - self._began)


async def status_of(mock: MockConnector, method: str = "GET", **options: Any) -> int:
    """Return the status of the response to a request that is sent to *mock*."""
    middlewares = options.pop("middlewares", [retry()])
    async with ClientSession(API, connector=mock, middlewares=middlewares) as session:
        async with session.request(method, "/", **options) as response:
            await response.read()
            return response.status


async def error_of(mock: MockConnector, method: str = "GET", **options: Any) -> Exception:
    """Return what a request that is sent to *mock* raises."""
    with pytest.raises(Exception) as raised:
        await status_of(mock, method, **options)
    return raised.value


def notes_of(error: BaseException) -> str:
    """Return the notes of *error*."""
    return "\n".join(getattr(error, "__notes__", ()))


@jumping
class TestWhichFailures:
    @pytest.mark.parametrize("status", [429, 502, 503, 504])
    async def test_statuses_that_may_pass(self, status: int) -> None:
        mock = answering(status, 200)
        assert await status_of(mock) == 200
        assert len(mock.calls) == 2

    @pytest.mark.parametrize("status", [200, 304, 400, 404, 408, 500, 501, 505])
    async def test_other_statuses_are_final(self, status: int) -> None:
        mock = answering(status, 200)
        assert await status_of(mock) == status
        assert len(mock.calls) == 1

    @pytest.mark.parametrize(
        ("fault", "kind"),
        [
            (ConnectionRefusedError, ClientConnectorError),
            (ClientConnectorDNSError, ClientConnectorDNSError),
            (ConnectionTimeoutError, ConnectionTimeoutError),
            (ConnectionResetError, ClientOSError),
            (ServerDisconnectedError, ServerDisconnectedError),
            (SocketTimeoutError, SocketTimeoutError),
        ],
    )
    async def test_failures_of_the_connection(
        self, fault: type[Exception], kind: type[Exception]
    ) -> None:
        """Whether there is none, it breaks, or nothing arrives before the head."""
        options: Any = {"timeout": ClientTimeout(sock_read=5, connect=5)}
        assert await status_of(answering(fault, fault, 200), **options) == 200
        error = await error_of(answering(fault, fault, fault, fault, 200), **options)
        assert isinstance(error, kind)
        assert "this was attempt 4 of 4, after " in notes_of(error)

    @pytest.mark.parametrize(
        "fault",
        [ClientConnectorCertificateError, ssl.SSLError, UploadAbortedError, ValueError],
    )
    async def test_failures_that_would_come_again(self, fault: type[Exception]) -> None:
        """Whom a certificate does not convince, no further attempt will."""
        mock = answering(fault, 200)
        assert not notes_of(await error_of(mock))
        assert len(mock.calls) <= 1

    async def test_a_body_that_breaks_off_is_not_sent_for_again(self) -> None:
        """The program has the response by then."""
        mock = answering(Answer(body=b"half", exception=ConnectionResetError), 200)
        async with ClientSession(API, connector=mock, middlewares=[retry()]) as session:
            async with session.get("/") as response:
                with pytest.raises(ClientPayloadError):
                    await response.read()
        assert len(mock.calls) == 1

    @pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])
    async def test_idempotent_methods(self, method: str) -> None:
        """RFC 9110 §9.2.2: they may be sent twice."""
        assert await status_of(answering(503, 200), method) == 200
        assert await status_of(answering(ServerDisconnectedError, 200), method) == 200

    @pytest.mark.parametrize("method", ["POST", "PATCH"])
    async def test_other_methods(self, method: str) -> None:
        """The server may have done what they say."""
        assert await status_of(answering(503, 200), method) == 503
        error = await error_of(answering(ServerDisconnectedError, 200), method)
        assert isinstance(error, ServerDisconnectedError)

    @pytest.mark.parametrize("fault", [ConnectionRefusedError, ConnectionTimeoutError])
    async def test_what_was_not_sent_is_sent_again_whatever_its_method(
        self, fault: type[Exception]
    ) -> None:
        options: Any = {"timeout": ClientTimeout(connect=5)}
        assert await status_of(answering(fault, 201), "POST", data=b"x", **options) == 201

    @pytest.mark.parametrize(
        ("options", "answers", "status"),
        [
            ({"statuses": [500]}, [500, 503, 200], 503),
            ({"statuses": range(500, 600)}, [500, 503, 200], 200),
            ({"statuses": ()}, [503, 200], 503),
            ({"methods": ["post"]}, [503, 200], 200),
            ({"methods": None}, [503, 200], 200),
            ({"methods": {"POST"}}, [ServerDisconnectedError, 200], 200),
            ({"attempts": 2}, [503, 502, 200], 502),
            ({"attempts": 1}, [503, 200], 503),
            ({"attempts": 9, "backoff": 0.1}, [503] * 8 + [200], 200),
        ],
    )
    async def test_options(self, options: Any, answers: list[Any], status: int) -> None:
        method = "POST" if "methods" in options else "GET"
        mock = answering(*answers)
        assert await status_of(mock, method, middlewares=[retry(**options)]) == status

    async def test_exceptions(self) -> None:
        """Any may be named; those of TLS are final nevertheless."""
        middlewares = [retry(exceptions=[LookupError, ClientConnectionError])]
        assert await status_of(answering(KeyError, 200), middlewares=middlewares) == 200
        mock = answering(ClientConnectorCertificateError, 200)
        error = await error_of(mock, middlewares=middlewares)
        assert isinstance(error, ClientConnectorCertificateError)
        middlewares = [retry(exceptions=())]
        error = await error_of(answering(ServerDisconnectedError), middlewares=middlewares)
        assert isinstance(error, ServerDisconnectedError)

    @pytest.mark.parametrize("owner", [True, False])
    async def test_a_closed_session(self, owner: bool) -> None:
        """Nothing can be sent any more, so nobody waits."""
        passed = Stopwatch()
        options: Any = {"connector": answering(503, 200), "connector_owner": owner}
        async with ClientSession(API, middlewares=[retry()], **options) as session:

            async def close() -> None:
                await anyio.sleep(0.1)
                await session.close()

            async with anyio.create_task_group() as group:
                group.start_soon(close)
                with pytest.raises(ClientConnectionError, match="Session is closed"):
                    await session.get("/")
        assert passed() == 0

    async def test_a_closed_session_and_a_predicate_that_wants_more(self) -> None:
        """There is no other attempt, or all of them would follow at once."""
        asked: list[RetryAttempt] = []

        def always(attempt: RetryAttempt) -> bool:
            asked.append(attempt)
            return True

        middlewares = [retry(attempts=1000, retry_if=always)]
        async with ClientSession(API, connector=answering(503), middlewares=middlewares) as session:
            async with anyio.create_task_group() as group:

                async def get() -> None:
                    with pytest.raises(ClientConnectionError, match="Session is closed"):
                        await session.get("/")

                group.start_soon(get)
                await anyio.sleep(0.1)
                await session.close()
        assert [attempt.number for attempt in asked] == [1]


@jumping
class TestPredicate:
    async def test_it_is_asked_first(self) -> None:
        """It may want another attempt after a success, and none after a failure."""
        seen: list[tuple[int, object]] = []

        def judge(attempt: RetryAttempt) -> bool | None:
            assert attempt.request.method == "POST"
            if attempt.response is None:
                seen.append((attempt.number, type(attempt.exception)))
                return True
            seen.append((attempt.number, attempt.response.status))
            return {200: True, 503: None, 502: False}[attempt.response.status]

        mock = answering(200, ServerDisconnectedError, 503, 200)
        middlewares = [retry(retry_if=judge)]
        assert await status_of(mock, "POST", middlewares=middlewares) == 503
        assert seen == [(1, 200), (2, ServerDisconnectedError), (3, 503)]
        assert await status_of(answering(502, 200), "POST", middlewares=middlewares) == 502

    async def test_it_may_be_async_and_read_the_body(self) -> None:
        """The program that gets the response reads the same body."""

        async def is_pending(attempt: RetryAttempt) -> bool:
            assert attempt.response is not None
            return bool((await attempt.response.json())["state"] == "pending")

        pending, done = Answer(json={"state": "pending"}), Answer(json={"state": "done"})
        mock = answering(pending, pending, done)
        middlewares = [retry(retry_if=is_pending)]
        async with ClientSession(API, connector=mock, middlewares=middlewares) as session:
            async with session.get("/") as response:
                assert await response.json() == {"state": "done"}
        assert len(mock.calls) == 3

    async def test_it_is_not_asked_when_there_is_no_attempt_left(self) -> None:
        asked: list[int] = []

        def always(attempt: RetryAttempt) -> bool:
            asked.append(attempt.number)
            return True

        middlewares = [retry(attempts=2, retry_if=always)]
        assert await status_of(answering(200, 200, 200), middlewares=middlewares) == 200
        assert asked == [1]

    async def test_its_exception_comes_out(self) -> None:
        """And the response is not left open."""

        def fail(attempt: RetryAttempt) -> bool:
            raise LookupError("no")

        error = await error_of(answering(200), middlewares=[retry(retry_if=fail)])
        assert isinstance(error, LookupError)


@jumping
class TestWaits:
    async def test_they_grow(self) -> None:
        passed = Stopwatch()
        assert await status_of(answering(503, 503, 503, 200)) == 200
        assert passed() == 10 + 20 + 40

    async def test_they_are_capped_and_random(self) -> None:
        passed = Stopwatch()
        numbers = iter([1.0, 0.5, 0.25])
        middlewares = [retry(backoff=40, max_backoff=60, random=lambda: next(numbers))]
        assert await status_of(answering(503, 503, 503, 200), middlewares=middlewares) == 200
        assert passed() == 40 + 0.5 * 60 + 0.25 * 60

    @pytest.mark.parametrize(
        ("after", "wait"),
        [
            ("7", 17), ("0", 10), ("soon", 10), ("-3", 10), ("60", 70),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 10),
        ],
    )  # fmt: skip
    async def test_retry_after(self, after: str, wait: int) -> None:
        """Clients that are told the same do not come back at the same moment."""
        passed = Stopwatch()
        assert await status_of(answering(busy(after), 200)) == 200
        assert passed() == wait

    async def test_retry_after_as_a_date(self) -> None:
        """It counts from the date of the response, whatever the clock here says."""
        headers = {
            "Date": "Sun, 06 Nov 1994 08:49:37 GMT",
            "Retry-After": "Sun, 06 Nov 1994 08:50:07 GMT",
        }
        passed = Stopwatch()
        assert await status_of(answering(Answer(429, headers=headers), 200)) == 200
        assert passed() == 40

    async def test_retry_after_as_a_date_without_that_of_the_response(self) -> None:
        passed = Stopwatch()
        date = formatdate(time.time() + 30, usegmt=True)
        assert await status_of(answering(busy(date), 200)) == 200
        assert 35 < passed() <= 41

    @pytest.mark.parametrize("after", ["61", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"])
    async def test_a_server_that_asks_for_too_long_is_not_asked_again(
        self, after: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The program learns at once that it is too long."""
        caplog.set_level(logging.DEBUG, "anyhttp.client")
        passed = Stopwatch()
        mock = answering(busy(after), 200)
        assert await status_of(mock, params={"token": "secret"}) == 503
        assert passed() == 0
        assert "is not sent again after status 503: the server asks to wait for" in caplog.text
        assert "secret" not in caplog.text

    async def test_the_limit_of_retry_after_can_be_chosen(self) -> None:
        passed = Stopwatch()
        middlewares = [retry(max_retry_after=3600)]
        mock = answering(busy("3000"), 200)
        timeout = ClientTimeout(total=4000)
        assert await status_of(mock, middlewares=middlewares, timeout=timeout) == 200
        assert passed() == 3010

    @pytest.mark.parametrize("total", [50, 70])
    async def test_the_time_of_the_request(self, total: float) -> None:
        """What there is comes at once if the wait would not leave any time."""
        passed = Stopwatch()
        timeout = ClientTimeout(total=total)
        mock = answering(Answer(503, delay=10, headers={"Retry-After": "40"}), 200)
        assert await status_of(mock, timeout=timeout) == (503 if total == 50 else 200)
        assert passed() == (10 if total == 50 else 60)

    async def test_the_time_of_the_request_after_an_exception(self) -> None:
        passed = Stopwatch()
        mock = answering(ConnectionRefusedError, ConnectionRefusedError, 200)
        error = await error_of(mock, timeout=ClientTimeout(total=29.9))
        assert isinstance(error, ClientConnectorError)
        assert passed() == 10
        assert re.fullmatch(
            "the request is not sent again: the next attempt would begin in 20.0 s, and 19[.]. s "
            "are left of the total timeout of the request",
            notes_of(error),
        )

    async def test_the_time_of_the_middleware(self) -> None:
        """It ends no attempt that has begun."""
        passed = Stopwatch()
        mock = answering(busy("4"), Answer(503, delay=100), 200)
        assert await status_of(mock, middlewares=[retry(total=20)]) == 503
        assert passed() == 114
        error = await error_of(
            answering(ConnectionRefusedError, 200), middlewares=[retry(total=9.5)]
        )
        assert notes_of(error) == (
            "the request is not sent again: the next attempt would begin 10.0 s after the first "
            "one, and the total of RetryMiddleware is 9.5 s"
        )

    async def test_a_timeout_says_what_it_interrupted(self) -> None:
        """A wait that should have fitted may be cut short, as handlers take their time."""

        async def dawdle(session: object, context: object, params: object) -> None:
            await anyio.sleep(7)

        config = TraceConfig()
        config.on_request_retry.append(dawdle)
        timeout = ClientTimeout(total=15)
        async with ClientSession(
            API,
            connector=answering(503, 200),
            middlewares=[retry()],
            trace_configs=[config],
            timeout=timeout,
        ) as session:
            with pytest.raises(TimeoutError, match="ran out while waiting before another attempt"):
                await session.get("/")

    async def test_a_server_that_never_answers(self) -> None:
        """The time of the request is not a failure that passes."""
        mock = answering(stall(), 200)
        error = await error_of(mock, timeout=ClientTimeout(total=50))
        assert type(error) is TimeoutError
        assert len(mock.calls) == 1


class OnceOnly:
    """A body that can be read once."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"x" * 100_000
        yield b"y"


@jumping
class TestBodies:
    @pytest.mark.parametrize(
        "make",
        [
            lambda: b"bytes",
            lambda: "text",
            lambda: io.BytesIO(b"in memory"),
            lambda: io.StringIO("text in memory"),
            lambda: {"form": "field"},
            lambda: FormData([("file", io.BytesIO(b"of a form")), ("name", "value")]),
        ],
    )
    @pytest.mark.parametrize("first", [503, ConnectionRefusedError, ServerDisconnectedError])
    async def test_those_that_can_be_sent_again(self, make: Callable[[], Any], first: Any) -> None:
        mock = answering(first, 201)
        assert await status_of(mock, "PUT", data=make()) == 201
        bodies = [call.body for call in mock.calls if call.is_complete]
        assert bodies[-1]
        assert bodies == [bodies[-1]] * len(bodies)

    async def test_one_that_can_be_read_once(self, caplog: pytest.LogCaptureFixture) -> None:
        """The first response is the result, and the log says why."""
        caplog.set_level(logging.DEBUG, "anyhttp.client")
        mock = answering(503, 201)
        assert await status_of(mock, "PUT", data=OnceOnly()) == 503
        assert (
            "PUT https://api.test/ is not sent again after status 503: its body could be read only "
            "once; give bytes, or a file that can be rewound, to have it sent again"
        ) in caplog.text

    async def test_one_that_can_be_read_once_and_an_exception(self) -> None:
        error = await error_of(answering(ServerDisconnectedError, 201), "PUT", data=OnceOnly())
        assert isinstance(error, ServerDisconnectedError)
        assert "not sent again: its body could be read only once" in notes_of(error)

    async def test_one_that_can_be_read_once_and_has_not_been_read(self) -> None:
        """There was no connection."""
        mock = answering(ConnectionRefusedError, 201)
        assert await status_of(mock, "POST", data=OnceOnly()) == 201
        assert len(mock.calls[-1].body) == 100_001


@jumping
class TestBesideOthers:
    async def test_each_redirect_has_attempts_of_its_own(self) -> None:
        mock = MockConnector()
        moved = Answer(302, headers={"Location": "/b"})
        mock.get(f"{API}a", answers=[503, moved])
        mock.get(f"{API}b", answers=[503, 200])
        middlewares = [retry(attempts=2)]
        async with ClientSession(API, connector=mock, middlewares=middlewares) as session:
            async with session.get("/a") as response:
                assert (response.status, response.url.path) == (200, "/b")

    async def test_raise_for_status_looks_at_the_last_one(self) -> None:
        assert await status_of(answering(503, 200), raise_for_status=True) == 200
        error = await error_of(answering(*[busy()] * 4), raise_for_status=True)
        assert isinstance(error, ClientResponseError)
        assert error.body == b"busy"

    async def test_those_behind_it_see_each_attempt(self) -> None:
        """Each is signed with a count of its own."""
        challenge = {"WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth"'}
        mock = answering(Answer(401, headers=challenge), 503, 200)
        middlewares = [retry(), DigestAuthMiddleware("ada", "secret")]
        assert await status_of(mock, middlewares=middlewares) == 200
        counts = ["nc=" in call.headers.get("Authorization", "") for call in mock.calls]
        assert counts == [False, True, True]
        assert "nc=00000002" in mock.calls[2].headers["Authorization"]

    async def test_those_around_it_see_the_last_one(self) -> None:
        seen: list[int] = []

        async def watch(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            response = await handler(request)
            seen.append(response.status)
            return response

        assert await status_of(answering(503, 200), middlewares=[watch, retry()]) == 200
        assert seen == [200]

    async def test_a_response_of_another_middleware(self) -> None:
        """It is released, too, if it is not good enough."""
        made: list[ClientResponse] = []

        async def full(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            if made:
                return await handler(request)
            made.append(ClientResponse.for_request(request, status=503))
            return made[0]

        assert await status_of(answering(200), middlewares=[retry(), full]) == 200
        with pytest.raises(ClientConnectionError, match="released"):
            await made[0].read()

    async def test_a_websocket_handshake(self) -> None:
        async def serve(peer: WebSocketPeer) -> None:
            await peer.send("hello")

        mock = MockConnector()
        mock.ws(f"{API}ws", answers=[503, ConnectionRefusedError, serve])
        async with ClientSession(API, connector=mock, middlewares=[retry()]) as session:
            async with session.ws_connect("ws") as socket:
                assert await socket.receive_str() == "hello"
            mock.ws(f"{API}other", answers=[503] * 4)
            with pytest.raises(WSServerHandshakeError):
                await session.ws_connect("other")

    async def test_a_request_of_no_session(self) -> None:
        """A middleware may be called by another one, with a request that it has made itself."""
        request = ClientRequest("GET", URL(API))
        statuses = iter([503, 200])

        async def answer(request: ClientRequest) -> ClientResponse:
            return ClientResponse.for_request(request, status=next(statuses))

        assert (await retry()(request, answer)).status == 200

    async def test_trace_handlers_and_phases(self) -> None:
        """They are told before the wait, and may read the response that is given up."""
        told: list[TraceRequestRetryParams] = []
        bodies: list[bytes] = []

        async def tell(session: object, context: object, params: TraceRequestRetryParams) -> None:
            told.append(params)
            if params.response is not None:
                bodies.append(await params.response.read())

        config = TraceConfig()
        config.on_request_retry.append(tell)
        mock = answering(ConnectionRefusedError, busy("3"), 200)
        async with ClientSession(
            API, connector=mock, middlewares=[retry()], trace_configs=[config]
        ) as session:
            assert await get(session, "/") == b""
        assert [(each.attempt, each.delay) for each in told] == [(2, 10), (3, 23)]
        assert isinstance(told[0].exception, ClientConnectorError)
        assert told[1].exception is None
        assert bodies == [b"busy"]

    async def test_one_object_serves_requests_at_once(self) -> None:
        """And sessions one after the other."""
        middleware = retry()
        for _ in range(2):
            mock = MockConnector()
            for name in "ab":
                mock.get(f"{API}{name}", answers=[503, 503, 200])
            passed = Stopwatch()
            async with ClientSession(API, connector=mock, middlewares=[middleware]) as session:
                async with anyio.create_task_group() as group:
                    for name in "ab":
                        group.start_soon(get, session, f"/{name}")
            assert passed() == 30


@jumping
class TestWhatIsHeld:
    async def test_nothing_during_the_wait(self) -> None:
        """A connector that has one connection lends it to others."""
        mock = MockConnector(limit=1)
        mock.get(f"{API}a", answers=[busy("30"), 200])
        mock.get(f"{API}b", text="b")
        async with ClientSession(API, connector=mock, middlewares=[retry()]) as session:
            async with anyio.create_task_group() as group:
                group.start_soon(get, session, "/a")
                await anyio.sleep(10)
                passed = Stopwatch()
                assert await get(session, "/b") == b"b"
                assert passed() == 0
                assert_free(session)

    async def test_cancelled_during_the_wait(self) -> None:
        mock = answering(busy("30"), 200)
        async with ClientSession(API, connector=mock, middlewares=[retry()]) as session:
            with anyio.move_on_after(10) as scope:
                await get(session, "/")
            assert scope.cancelled_caught
            assert_free(session)
        assert len(mock.calls) == 1

    async def test_exceptions_are_freed_at_once(self) -> None:
        """No cycle of references leaves them, and all that they refer to, to the collector."""
        refs: list[weakref.ref[BaseException]] = []
        middlewares = [retry(attempts=2)]
        mock = answering(OSError, OSError)
        async with ClientSession(API, connector=mock, middlewares=middlewares) as session:
            gc.collect()
            gc.disable()
            try:
                try:
                    await session.get("/")
                except ClientOSError as exc:
                    refs.append(weakref.ref(exc))
                assert [ref() for ref in refs] == [None]
            finally:
                gc.enable()


async def test_a_file_from_where_it_began(tmp_path: Path) -> None:
    """It is closed at the end, not before."""
    path = tmp_path / "body"
    path.write_bytes(b"0123456789" * 50_000)
    file = path.open("rb")
    file.seek(3)
    mock = answering(503, 502, 201)
    assert await status_of(mock, "PUT", data=file, middlewares=[retry(backoff=0)]) == 201
    assert [len(call.body) for call in mock.calls] == [499_997] * 3
    assert file.closed


@pytest.mark.uvloop
@pytest.mark.parametrize("how", ["scope", "every-task", "native"])
async def test_cancelled_at_every_checkpoint(how: Any) -> None:
    """Nothing is left open, and nobody waits; the next request is answered."""
    mock = MockConnector(limit=1)
    mock.get(f"{API}b")
    runs = itertools.count()
    async with ClientSession(API, connector=mock, middlewares=[retry(backoff=0)]) as session:

        async def operation() -> None:
            url = f"{API}{next(runs)}"
            mock.put(url, answers=[busy(), ConnectionRefusedError, 200])
            async with session.put(url, data=io.BytesIO(b"x" * 100_000)) as response:
                await response.read()

        async def after() -> None:
            await get(session, "/b")
            assert_free(session)

        assert await cancel_at_every_checkpoint(operation, after=after, how=how) > 3


@pytest.mark.uvloop
class TestConnections:
    async def test_the_rest_of_a_short_body_is_read(self, script: Script, http1: str) -> None:
        """The connection is used for the next attempt."""
        peer = await script(
            [
                (b"GET ", [b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbu", b"sy"]),
                (b"GET ", OK),
            ]
        )
        async with client(http1, middlewares=[retry(backoff=0)]) as session:
            assert await get(session, peer.url)

    async def test_a_kept_connection_that_was_closed_is_no_failure(
        self, script: Script, http1: str
    ) -> None:
        """The request is sent again at once, and that is not counted."""
        told: list[TraceRequestRetryParams] = []

        async def tell(session: object, context: object, params: TraceRequestRetryParams) -> None:
            told.append(params)

        config = TraceConfig()
        config.on_request_retry.append(tell)
        peer = await script([(b"GET /a ", OK), (b"GET /b ", CLOSE)], [(b"GET /b ", OK)])
        options: Any = {"middlewares": [retry(backoff=0)], "trace_configs": [config]}
        async with client(http1, **options) as session:
            await get(session, peer.url / "a")
            await get(session, peer.url / "b")
        assert not told

    @pytest.mark.parametrize("where", ["server", "trace handler"])
    async def test_another_failure_on_a_kept_connection_is_one(
        self, where: str, script: Script, http1: str
    ) -> None:
        """Only a connection that the server closed is replaced: not silence, or code that fails."""

        async def fail(
            session: object, context: object, params: TraceRequestHeadersSentParams
        ) -> None:
            if params.url.path == "/b" and where == "trace handler":
                raise ValueError("the handler's own")

        config = TraceConfig()
        config.on_request_headers_sent.append(fail)
        peer = await script([(b"GET /a ", OK), (b"GET /b ", STALL)], partial=True)
        options: Any = {"middlewares": [RetryMiddleware(attempts=1)], "trace_configs": [config]}
        async with client(http1, **options) as session:
            await get(session, peer.url / "a")
            with pytest.raises(SocketTimeoutError if where == "server" else ValueError):
                await get(session, peer.url / "b", timeout=ClientTimeout(sock_read=0.05))
            assert_free(session, idle=0)
        assert peer.connections == 1

    async def test_a_stale_connection_is_replaced_once(self, script: Script, http1: str) -> None:
        """The session does not begin anew behind the middleware's back."""
        peer = await script([(b"GET /a ", OK), (b"GET /b ", CLOSE)], [(b"GET /b ", CLOSE)])
        async with client(http1, middlewares=[RetryMiddleware(attempts=1)]) as session:
            await get(session, peer.url / "a")
            with pytest.raises(ServerDisconnectedError):
                await get(session, peer.url / "b")
            assert_free(session, idle=0)

    async def test_a_second_stale_connection_is_a_failure(self, script: Script, http1: str) -> None:
        """The server has closed two that were kept."""
        peer = await script(
            [(b"GET /a ", OK), (b"GET /b ", CLOSE)], [(b"GET /a ", OK), (b"GET /b ", CLOSE)]
        )
        async with client(http1, middlewares=[RetryMiddleware(attempts=1)]) as session:
            async with anyio.create_task_group() as group:
                for _ in range(2):
                    group.start_soon(get, session, peer.url / "a")
            with pytest.raises(ServerDisconnectedError):
                await get(session, peer.url / "b")

    async def test_an_early_answer_ends_an_upload(
        self, script: Script, http1: str, tmp_path: Path
    ) -> None:
        """Before the wait; the next attempt sends all of the file."""
        path = tmp_path / "file"
        path.write_bytes(b"x" * 3_000_000)
        early = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        peer = await script([(Head(b"PUT / "), [early, DEAF])], [(b"PUT / ", OK)])
        async with client(http1, middlewares=[retry(backoff=0)]) as session:
            async with session.put(peer.url, data=path.open("rb")) as response:
                assert response.status == 200
        assert peer.requests[1].count(b"x" * 1000) == 3000

    async def test_a_body_that_was_not_asked_for(self, script: Script, http1: str) -> None:
        """With ``Expect: 100-continue``, a server that refuses leaves it unread."""
        early = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        go_on = b"HTTP/1.1 100 Continue\r\n\r\n"
        peer = await script(
            [(Head(b"PUT / "), early)], [(Head(b"PUT / "), go_on), (Until(b"0\r\n\r\n"), OK)]
        )
        async with client(http1, middlewares=[retry(backoff=0)]) as session:
            async with session.put(peer.url, data=OnceOnly(), expect100=True) as response:
                assert response.status == 200
        assert len(peer.requests[1]) > 100_000


async def test_a_proxy_that_cannot_reach_the_server(script: Script) -> None:
    """It has sent nothing, so a POST is repeated too, when the proxy says."""
    waits: list[float] = []

    async def note(session: object, context: object, params: TraceRequestRetryParams) -> None:
        waits.append(params.delay)

    config = TraceConfig()
    config.on_request_retry.append(note)
    refusal = b"HTTP/1.1 503 Busy\r\nRetry-After: 0.01\r\nContent-Length: 0\r\n\r\n"
    proxy = await script([(b"CONNECT ", refusal)], [(b"CONNECT ", refusal)])
    async with ClientSession(
        middlewares=[retry(backoff=0, attempts=2)], trace_configs=[config]
    ) as session:
        with pytest.raises(ClientHttpProxyError):
            await session.post("https://api.test/", data=b"x", proxy=proxy.url)
    assert waits == [0.01]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"attempts": 0}, ValueError, "attempts must be at least 1, got 0"),
        ({"attempts": "3"}, TypeError, "attempts must be an int, not str"),
        ({"total": -1}, ValueError, "total must not be negative or NaN"),
        ({"backoff": None}, TypeError, "backoff must be a number of seconds, not None"),
        ({"backoff": "1"}, TypeError, "backoff must be a number of seconds, not '1'"),
        ({"max_backoff": float("inf")}, ValueError, "max_backoff must be finite"),
        ({"max_retry_after": float("nan")}, ValueError, "max_retry_after must not be negative"),
        ({"statuses": 503}, TypeError, "statuses must be a collection of status codes, not 503"),
        ({"statuses": "503"}, TypeError, "statuses must be a collection of status codes"),
        ({"statuses": ["503"]}, TypeError, "statuses must be .* but has '503'"),
        ({"statuses": [True]}, TypeError, "statuses must be .* but has True"),
        ({"statuses": [50]}, ValueError, "statuses must be .* but has 50"),
        ({"methods": "POST"}, TypeError, "methods must be a collection of methods, not 'POST'"),
        ({"methods": [1]}, TypeError, "methods must be a collection of methods, but has 1"),
        ({"methods": ["P T"]}, ValueError, "holds characters that no HTTP method has"),
        ({"exceptions": OSError}, TypeError, "exceptions must be a collection of classes of"),
        ({"exceptions": ["OSError"]}, TypeError, "exceptions must be .* but has 'OSError'"),
        ({"exceptions": [BaseException]}, TypeError, "exceptions must be .* but has"),
        ({"retry_if": 1}, TypeError, "retry_if must be a callable, not int"),
        ({"random": 0.5}, TypeError, "random must be a callable, not float"),
    ],
)
def test_options_are_checked_when_it_is_made(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    """The message names the argument."""
    with pytest.raises(error, match=message):
        RetryMiddleware(**options)
