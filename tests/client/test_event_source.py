"""``session.sse()``: events over several connections, and when another one follows."""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator
from functools import partial
from io import BytesIO
from typing import Any

import anyio
import pytest
from trio.testing import MockClock

from anyhttp import (
    BodyTooLargeError,
    ClientConnectionError,
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorSSLError,
    ClientHandlerType,
    ClientPayloadError,
    ClientRequest,
    ClientResponse,
    ClientResponseError,
    ClientSession,
    ClientTimeout,
    ContentTypeError,
    EventSource,
    FormData,
    InvalidURL,
    ServerDisconnectedError,
    ServerSentEvent,
    SocketTimeoutError,
    UploadTracker,
)
from anyhttp.http_exceptions import LineTooLong
from anyhttp.testing import Answer, AutojumpEventLoop, MockConnector, ReceivedRequest, reset, stall
from tests.support.cancel import How, cancel_at_every_checkpoint
from tests.support.client import assert_free, client
from tests.support.errors import BAD_CERTIFICATE
from tests.support.peer import Script
from tests.support.responses import OK_LINE as OK

API = "https://api.test/"
STOP = Answer(204)
TYPE = {"Content-Type": "text/event-stream"}

#: Clocks that jump to the next thing to do, so that waiting takes no time.
jumping = pytest.mark.parametrize(
    "anyio_backend",
    [
        pytest.param(("asyncio", {"loop_factory": AutojumpEventLoop}), id="asyncio"),
        pytest.param(("trio", {"clock": MockClock(autojump_threshold=0)}), id="trio"),
    ],
)


def stream(*events: str, exception: Any = None) -> Answer:
    """Return a stream with *events*, each of which an empty line follows; then it ends."""
    body = "".join(f"{event}\n\n" for event in events).encode()
    return Answer(headers=TYPE, body=body, exception=exception)


def talking(pause: float, count: int) -> Answer:
    """Return a stream with *count* events, with pauses between them; then it ends."""

    async def body() -> AsyncIterator[bytes]:
        for number in range(count):
            if number:
                await anyio.sleep(pause)
            yield b"data: %d\n\n" % number

    return Answer(headers=TYPE, body=body())


def quiet() -> Answer:
    """Return a stream that brings nothing, and does not end."""
    return stall(b"", headers=TYPE)


def answering(*answers: Any) -> MockConnector:
    """Return a connector that answers any request with one after the other of *answers*."""
    mock = MockConnector()
    mock.fallback(answers=list(answers))
    return mock


def source(session: ClientSession, url: str = "/events", **options: Any) -> EventSource:
    """Return a source that waits for the whole of each bound: 1, 2, 4 seconds and so on."""
    settings: dict[str, Any] = {"random": lambda: 1.0, **options}
    return session.sse(url, **settings)


async def received(mock: MockConnector, **options: Any) -> list[str]:
    """Return the data of all events."""
    async with ClientSession(API, connector=mock) as session:
        async with source(session, **options) as events:
            return [event.data async for event in events]


async def generated() -> AsyncIterator[bytes]:
    """Yield a body that cannot be sent again."""
    yield b"x"


async def error_of(mock: MockConnector, **options: Any) -> Exception:
    """Return what ends the iteration."""
    with pytest.raises(Exception) as raised:
        await received(mock, **options)
    return raised.value


class Stopwatch:
    """How many seconds have passed, by the clock of the event loop; on asyncio, it also runs."""

    def __init__(self) -> None:
        self._began = anyio.current_time()

    def __call__(self) -> int:
        return round(anyio.current_time() - self._began)


@jumping
class TestConnections:
    """What is sent when, and when the iteration ends."""

    async def test_events_of_several_connections(self) -> None:
        """Each stream that ends is followed by another, until the server says 204."""
        mock = answering(stream("data: 1", "data: 2"), stream("data: 3"), STOP)
        seconds = Stopwatch()
        assert await received(mock) == ["1", "2", "3"]
        assert seconds() == 2  # of each wait the first bound, as no connection failed
        first, *_ = mock.calls
        assert first.headers["Accept"] == "text/event-stream"
        assert first.headers["Cache-Control"] == "no-store"
        assert "Last-Event-ID" not in first.headers

    async def test_the_last_id_is_sent(self) -> None:
        """It counts also without an event, and stays until another comes; empty, it is none."""
        mock = answering(
            stream("id: a\ndata: 1", "id: b"), stream(), stream("data: 2"),
            stream("data: 3", "id: \u20ac"), stream("id"), STOP,
        )  # fmt: skip
        async with ClientSession(API, connector=mock) as session:
            async with source(session, last_event_id="0") as events:
                assert events.last_event_id == "0"
                assert await anext(events) == ServerSentEvent(data="1", id="a")
                assert events.last_event_id == "b" or events.last_event_id == "a"
                assert [(event.data, event.id) async for event in events] == [
                    ("2", "b"),
                    ("3", "b"),
                ]
                assert events.last_event_id == ""
        sent = [call.headers.get("Last-Event-ID") for call in mock.calls]
        assert sent == ["0", "b", "b", "b", "\u20ac", None]

    @pytest.mark.parametrize("event_id", ["a\x01b", "x" * 5000, "a "])
    async def test_an_id_that_no_header_carries(self, event_id: str) -> None:
        """It is not sent; the events have it nevertheless."""
        mock = answering(stream(f"id: {event_id}\ndata: 1"), STOP)
        assert await received(mock, headers={"X": "y"}) == ["1"]
        assert "Last-Event-ID" not in mock.calls[1].headers
        assert mock.calls[1].headers["X"] == "y"

    async def test_each_connection_sends_the_same(self) -> None:
        """The body, the headers that were given in place of ours, and the other options."""
        mock = answering(stream(), stream(), STOP)
        options: dict[str, Any] = {
            "method": "post",
            "json": {"stream": True},
            "params": {"a": "b"},
            "headers": [("accept", "*/*"), ("X", "y")],
        }
        assert await received(mock, **options) == []
        assert len(mock.calls) == 3
        for call in mock.calls:
            assert (call.method, call.url.raw_path_qs) == ("POST", "/events?a=b")
            assert call.body == b'{"stream": true}'
            assert call.headers["Content-Type"] == "application/json"
            assert call.headers.getall("Accept") == ["*/*"]

    @pytest.mark.parametrize("data", ["text", b"bytes", {"a": "b"}, FormData({"a": "b"})])
    async def test_bodies_that_can_be_sent_again(self, data: Any) -> None:
        """Text, bytes and forms."""
        mock = answering(stream(), STOP)
        await received(mock, method="POST", data=data)
        first, second = [call.body for call in mock.calls]
        assert first == second != b""

    async def test_middlewares_cookies_and_redirects(self) -> None:
        """Each connection is a request of the session; a redirect counts for one of them."""
        mock = MockConnector()
        away = Answer(307, headers={"Location": "/other", "Set-Cookie": "a=b"})
        mock.get(f"{API}events", answers=[away, STOP])
        mock.get(f"{API}other", answer=stream("data: 1"))
        seen: list[str] = []

        async def middleware(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            seen.append(request.url.path)
            return await handler(request)

        assert await received(mock, middlewares=[middleware]) == ["1"]
        assert seen == ["/events", "/other", "/events"]
        assert mock.calls[2].headers["Cookie"] == "a=b"

    async def test_the_server_says_how_long_to_wait(self) -> None:
        """What is random comes on top; a server cannot make a client wait for ever."""
        mock = answering(
            stream("retry: 5000", "data: 1"), stream(), stream("retry: 999999999"), STOP
        )
        seconds = Stopwatch()
        assert await received(mock) == ["1"]
        assert seconds() == (5 + 1) + (5 + 1) + (300 + 1)

    async def test_failures_are_followed_by_longer_waits(self) -> None:
        """An event counts as a success, and so does a stream that the server ends."""
        mock = answering(
            reset(), Answer(503), ConnectionRefusedError(), stream("data: 1"), Answer(502), STOP
        )
        seconds = Stopwatch()
        assert await received(mock) == ["1"]
        assert seconds() == (1 + 2 + 4) + 1 + 1

    async def test_retry_after_is_respected(self) -> None:
        """As the time of a ``retry`` field is, whichever is longer."""
        mock = answering(
            stream("retry: 3000"),
            Answer(503, headers={"Retry-After": "7"}),
            Answer(429, headers={"Retry-After": "2"}),
            STOP,
        )
        seconds = Stopwatch()
        assert await received(mock, max_retry_after=5) == []
        assert seconds() == (3 + 1) + (5 + 1) + (3 + 2)

    async def test_the_wait_is_random_and_bounded(self) -> None:
        """Full jitter: clients that lost a server together do not come back together."""
        numbers = iter([0.5, 0.0, 0.25])
        mock = answering(Answer(503), Answer(503), Answer(503), STOP)
        seconds = Stopwatch()
        options = {"backoff": 8, "max_backoff": 16, "random": lambda: next(numbers)}
        assert await received(mock, **options) == []
        assert seconds() == 4 + 0 + 4

    async def test_the_last_attempt_raises(self) -> None:
        """Its error says that it is the last; a step after that begins anew."""
        mock = answering(*[Answer(503, text="busy")] * 3, stream("data: 1"))
        async with ClientSession(API, connector=mock) as session:
            async with source(session, attempts=3) as events:
                with pytest.raises(ClientResponseError) as raised:
                    await anext(events)
                assert (raised.value.status, raised.value.body) == (503, b"busy")
                assert raised.value.__notes__ == [
                    "3 connections in a row have failed: sse() gives up"
                ]
                assert (await anext(events)).data == "1"

    async def test_any_number_of_attempts(self) -> None:
        """For a program that has nothing better to do."""
        mock = answering(*[Answer(503)] * 30, stream("data: 1"), STOP)
        assert await received(mock, attempts=None, max_backoff=10) == ["1"]

    async def test_streams_that_break_off(self) -> None:
        """They are failures, unless they have brought an event or have lasted long enough."""
        broken = [stream(exception=ClientPayloadError) for _ in range(3)]
        error = await error_of(answering(*broken), attempts=3)
        assert isinstance(error, ClientPayloadError)
        assert "3 connections" in error.__notes__[0]
        good = [stream("data: 1", exception=ClientPayloadError) for _ in range(3)]
        assert await received(answering(*good, STOP), attempts=2) == ["1"] * 3


@jumping
@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (Answer(404, text="no such"), ClientResponseError, "404"),
        (Answer(401), ClientResponseError, "401"),
        (Answer(501), ClientResponseError, "501"),
        (Answer(206), ClientResponseError, "206, message='Partial Content, instead of events'"),
        (Answer(304), ClientResponseError, "304"),
        (Answer(text="<html>"), ContentTypeError, "decode events"),
        (stream("data: 12345678901"), LineTooLong, "max_event_size"),
        (stream(":\n" * 600), BodyTooLargeError, "max_body_size"),
        (BAD_CERTIFICATE, ClientConnectorCertificateError, "certificate"),
        (ssl.SSLError(1, "wrong version number"), ClientConnectorSSLError, "version"),
    ],
)
async def test_what_another_connection_would_meet_again(
    answer: Any, error: type[Exception], message: str
) -> None:
    """It is raised at once."""
    mock = answering(answer)
    seconds = Stopwatch()
    found = await error_of(mock, max_event_size=10, max_body_size=1000)
    assert isinstance(found, error)
    assert message in str(found)
    assert (len(mock.calls), seconds()) == (1, 0)


@jumping
@pytest.mark.parametrize(
    "failure",
    [
        Answer(408), Answer(429), Answer(500), Answer(502), Answer(503), Answer(504),
        ServerDisconnectedError(), ConnectionResetError(), ClientConnectorDNSError,
    ],
    ids=str,
)  # fmt: skip
async def test_what_may_pass(failure: Any) -> None:
    """Another connection follows."""
    if failure is ClientConnectorDNSError:
        failure = OSError(-3, "Temporary failure in name resolution")
    assert await received(answering(failure, stream("data: 1"), STOP)) == ["1"]


@jumping
class TestTimes:
    """A stream may last for ever."""

    async def test_the_total_time_of_the_session_is_that_of_a_silence(self) -> None:
        """It would end the stream after five minutes; so a silence of this length ends it."""
        mock = answering(talking(200, 5), stream("data: end"), STOP)
        seconds = Stopwatch()
        assert await received(mock) == ["0", "1", "2", "3", "4", "end"]
        assert 802 <= seconds() <= 804

        mock = answering(stall(), stream("data: 1"), STOP)
        seconds = Stopwatch()
        assert await received(mock) == ["1"]
        assert 301 <= seconds() <= 303

    async def test_the_limits_of_the_session(self) -> None:
        """Those of a connection count, and its own ``sock_read``."""
        mock = answering(stall(), stream("data: 1"), STOP)
        timeout = ClientTimeout(total=60, sock_read=20)
        seconds = Stopwatch()
        async with ClientSession(API, connector=mock, timeout=timeout) as session:
            async with source(session, attempts=2) as events:
                assert [event.data async for event in events] == ["1"]
        assert 21 <= seconds() <= 23

    async def test_a_total_time_that_is_given(self) -> None:
        """It ends one connection, and another follows; nothing ends silently."""
        mock = answering(talking(40, 9), stream("data: end"), STOP)
        assert await received(mock, timeout=100) == ["0", "1", "2", "end"]
        error = await error_of(answering(stall()), timeout=ClientTimeout(total=100), attempts=1)
        assert isinstance(error, TimeoutError)
        error = await error_of(answering(stall()), timeout=ClientTimeout(sock_read=9), attempts=1)
        assert isinstance(error, SocketTimeoutError)

    async def test_a_stream_that_lasts_is_a_success(self) -> None:
        """A proxy that ends each idle stream after a while does not end the iteration."""
        mock = answering(*[quiet()] * 4, stream("data: 1"), STOP)
        options = {"attempts": 2, "max_backoff": 30, "timeout": ClientTimeout(sock_read=30)}
        assert await received(mock, **options) == ["1"]
        error = await error_of(answering(*[quiet()] * 2), **{**options, "max_backoff": 40})
        assert isinstance(error, SocketTimeoutError)


@jumping
@pytest.mark.parametrize("doing", ["waiting", "connecting", "reading"])
async def test_another_task_leaves_the_block(doing: str) -> None:
    """The task that waits for an event ends at once; it keeps no connection, and makes no other."""
    answer = {"waiting": Answer(503), "connecting": stall(), "reading": quiet()}[doing]
    mock = answering(answer, stream("data: 1"))
    seconds = Stopwatch()
    async with ClientSession(API, connector=mock) as session:
        async with anyio.create_task_group() as group:
            async with source(session, backoff=100) as events:

                async def wait() -> None:
                    error = ClientConnectionError if doing == "reading" else RuntimeError
                    with pytest.raises(error):
                        await anext(events)

                group.start_soon(wait)
                await anyio.sleep(1)
        assert seconds() == 1
        assert len(mock.calls) == 1
        assert_free(session)


@jumping
async def test_a_session_that_is_closed_ends_the_wait() -> None:
    """No connection follows, and the task that waits learns it at once; so does a later step."""
    mock = answering(Answer(503))
    seconds = Stopwatch()
    async with ClientSession(API, connector=mock) as session:
        async with source(session, backoff=100) as events:

            async def wait() -> None:
                with pytest.raises(RuntimeError, match="Session is closed"):
                    await anext(events)

            async with anyio.create_task_group() as group:
                group.start_soon(wait)
                await anyio.sleep(1)
                await session.close()
            await wait()
            assert seconds() == 1


class TestBlock:
    """``async with``."""

    async def test_it_is_needed(self) -> None:
        """Without it, nobody would give the connection back."""
        async with ClientSession(API, connector=answering(STOP)) as session:
            events = session.sse("/")
            for _ in range(2):
                with pytest.raises(RuntimeError, match="use 'async with'"):
                    await anext(events)
                async with events:
                    pass
            with pytest.raises(TypeError, match="use 'async with'"):
                events.__enter__()

    async def test_leaving_it_gives_the_connection_back(self, http1: str, script: Script) -> None:
        """In the middle of a stream, by an error or not; nothing is said of it."""
        head = OK + b"Content-Type: text/event-stream\r\n\r\n"
        peer = await script(*[[(b"GET ", [head + b"data: 1\n\ndata: 2\n\n"])]] * 2)
        async with client(http1) as session:
            async with session.sse(peer.url) as events:
                async for event in events:
                    assert event.data == "1"
                    assert events.response is not None
                    break
            assert events.response is None
            assert_free(session)
            with pytest.raises(ZeroDivisionError):
                await fail_at_an_event(session.sse(peer.url))
            assert_free(session)

    async def test_two_tasks(self) -> None:
        """They would both connect."""
        mock = answering(stall())
        async with ClientSession(API, connector=mock) as session:
            async with session.sse("/") as events, anyio.create_task_group() as group:
                group.start_soon(anext, events)
                await anyio.wait_all_tasks_blocked()
                with pytest.raises(RuntimeError, match="another task"):
                    await anext(events)
                group.cancel_scope.cancel()

    async def test_a_session_that_closes(self) -> None:
        """No connection follows."""
        mock = answering(quiet())
        async with ClientSession(API, connector=mock) as session:
            async with session.sse("/") as events:
                async with anyio.create_task_group() as group:

                    async def close() -> None:
                        await anyio.wait_all_tasks_blocked()
                        await session.close()

                    group.start_soon(close)
                    with pytest.raises(ClientConnectionError):
                        await anext(events)
                with pytest.raises(RuntimeError, match="Session is closed"):
                    await anext(events)


@pytest.mark.uvloop
@pytest.mark.parametrize("how", ["scope", "native"])
async def test_cancelled_steps_leave_nothing(how: How) -> None:
    """Whichever step is cancelled: leaving the block closes all, and going on finds all events."""
    options: dict[str, Any] = {"backoff": 0, "random": lambda: 0.0}

    def mock() -> MockConnector:
        return answering(
            *(stream("id: 1\ndata: 1", exception=ClientPayloadError), Answer(503, text="busy")),
            *(stream("data: 2"), STOP),
        )

    found: list[str] = []

    async def iterate(events: EventSource) -> None:
        async for event in events:
            found.append(event.data)  # noqa: PERF401  (a cancelled loop keeps what it has)

    async def operation() -> None:
        found.clear()
        connector = mock()
        async with ClientSession(API, connector=connector) as session:
            try:
                async with session.sse("/", **options) as events:
                    await iterate(events)
            finally:
                assert_free(session)

    async def after() -> None:
        assert found == ["1", "2"][: len(found)]

    assert await cancel_at_every_checkpoint(operation, after=after, how=how) > 5
    assert found == ["1", "2"]

    def after_the_last(request: ReceivedRequest) -> Answer:
        number = int(request.headers.get("Last-Event-ID", "0")) + 1
        return STOP if number > 5 else stream(f"id: {number}\ndata: {number}")

    found.clear()
    connector = MockConnector()
    connector.fallback(answer=after_the_last)
    async with ClientSession(API, connector=connector) as session:
        async with session.sse("/", **options) as events:
            await cancel_at_every_checkpoint(partial(iterate, events), after=nothing, how=how)
        assert found == ["1", "2", "3", "4", "5"]
        assert_free(session)


async def fail_at_an_event(source: EventSource) -> None:
    """Fail in the block of *source*."""
    async with source as events:
        async for _ in events:
            raise ZeroDivisionError


async def nothing() -> None:
    """Check nothing."""


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"method": "G T"}, ValueError, "method"),
        ({"last_event_id": 7}, TypeError, "last_event_id must be a str"),
        ({"last_event_id": "a\nb"}, ValueError, "last_event_id must be text that a header"),
        ({"last_event_id": "\ud800"}, ValueError, "last_event_id must be text that a header"),
        ({"last_event_id": "x" * 4097}, ValueError, "last_event_id must be .* 4096 bytes"),
        ({"max_event_size": 0}, ValueError, "max_event_size must be at least 1"),
        ({"attempts": 0}, ValueError, "attempts must be at least 1"),
        ({"attempts": 1.5}, TypeError, "attempts must be an int or None"),
        ({"backoff": -1}, ValueError, "backoff must not be negative"),
        ({"max_backoff": None}, TypeError, "max_backoff must be a number of seconds, not None"),
        ({"max_retry_after": float("inf")}, ValueError, "max_retry_after must be finite"),
        ({"random": 0.5}, TypeError, "random must be a callable"),
        ({"data": BytesIO(b"x")}, ValueError, "data must be in memory"),
        ({"data": generated()}, ValueError, "data must be in memory"),
        ({"data": "x", "json": 1}, ValueError, "data and json"),
        ({"upload_tracker": UploadTracker()}, ValueError, "upload_tracker is for one request"),
        ({"headers": {"a b": "c"}}, ValueError, "headers: 'a b' is not a valid header name"),
        ({"no_such": 1}, TypeError, r"sse\(\) got an unexpected keyword argument 'no_such'"),
    ],
)
async def test_wrong_options(options: dict[str, Any], error: type[Exception], message: str) -> None:
    """Each is named where the source is made."""
    async with ClientSession(API, connector=answering(STOP)) as session:
        with pytest.raises(error, match=message):
            session.sse("/", **options)


async def test_other_wrong_options_are_those_of_a_request() -> None:
    """They are named before anything is sent."""
    mock = answering(stream())
    async with ClientSession(connector=mock) as session:
        wrong: list[tuple[str, dict[str, Any], type[Exception]]] = [
            ("/relative", {}, InvalidURL),
            (API, {"max_redirects": -1}, ValueError),
            (API, {"proxy": 7}, TypeError),
        ]
        for url, options, error in wrong:
            async with session.sse(url, **options) as events:
                with pytest.raises(error):
                    await anext(events)
    assert not mock.calls


@jumping
@pytest.mark.parametrize("end", ["?key=secret", "#secret"])
async def test_the_log(caplog: pytest.LogCaptureFixture, end: str) -> None:
    """It says why there is another connection; it shows no query, fragment and user info."""
    caplog.set_level(logging.DEBUG, "anyhttp.client")
    mock = answering(stream("data: 1"), Answer(503), STOP)
    assert await received(mock, url=f"https://user:secret@api.test/e{end}") == ["1"]
    said = [record.getMessage() for record in caplog.records if " again " in record.getMessage()]
    assert said == [
        "connecting to https://api.test/e again in 1.000 s: the stream has ended",
        "connecting to https://api.test/e again in 1.000 s: ClientResponseError",
    ]
    assert "secret" not in caplog.text


async def test_request_is_called() -> None:
    """So a subclass, or a tool that wraps the method, sees each connection."""
    asked: list[tuple[str, str]] = []

    class Session(ClientSession):
        async def _request(self, method: str, str_or_url: Any, **options: Any) -> ClientResponse:
            asked.append((method, str(str_or_url)))
            return await super()._request(method, str_or_url, **options)

    async with Session(connector=answering(stream("data: 1"), STOP)) as session:
        async with source(session, API, backoff=0) as events:
            assert [event.data async for event in events] == ["1"]
    assert asked == [("GET", API)] * 2
