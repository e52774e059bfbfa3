"""``mock_requests()``: a mock for sessions that the program makes by itself."""

from __future__ import annotations

import contextvars
import inspect
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
import pytest
from yarl import URL

import anyhttp
from anyhttp import (
    ClientConnectionError,
    ClientSession,
    ConnectionTimeoutError,
    TCPConnector,
    UnixConnector,
)
from anyhttp.testing import (
    MockConnector,
    ReceivedRequest,
    RequestMock,
    UnansweredRequest,
    mock_requests,
)
from tests.support.client import get
from tests.support.httpx_libraries import library
from tests.support.server import Server

USERS = "http://api.test/users"


async def fetch(url: str = USERS) -> Any:
    """What a program does: it makes a session of its own."""
    async with ClientSession() as session:
        async with session.get(url) as response:
            return await response.json()


async def fetch_carelessly(url: str = USERS) -> Any:
    """The same, in a program that takes any error for no answer."""
    with suppress(Exception):
        return await fetch(url)


def by_itself(session: Callable[[], ClientSession]) -> Callable[[], Awaitable[Any]]:
    """Return a program that makes its session by *session*."""

    async def run() -> Any:
        async with session() as made, made.get(USERS) as response:
            return await response.json()

    return run


async def by_request() -> Any:
    """Without a session."""
    async with anyhttp.request("GET", USERS) as response:
        return await response.json()


PROGRAMS = {
    "ClientSession()": fetch,
    "TCPConnector()": by_itself(lambda: ClientSession(connector=TCPConnector(limit=1))),
    "UnixConnector()": by_itself(lambda: ClientSession(connector=UnixConnector("/no/such"))),
    "request()": by_request,
}


class TestWhatIsCovered:
    """Everything that would connect to a network."""

    @pytest.mark.parametrize("name", PROGRAMS)
    async def test_sessions_and_connectors(self, name: str) -> None:
        """Whoever made them."""
        with mock_requests() as mock:
            route = mock.get(USERS, json=["Ann"])
            assert await PROGRAMS[name]() == ["Ann"]
            assert mock.calls == route.calls
        assert str(route.calls[0].url) == USERS

    async def test_a_session_that_was_there_before(self, server: Server) -> None:
        """Also one with an idle connection to the host; after the block it has its network."""
        url = str(server.url / "json")
        async with ClientSession() as session:
            before = await get(session, url)
            with mock_requests() as mock:
                mock.get(url, json=["mocked"])
                assert await get(session, url) == b'["mocked"]'
            assert await get(session, url) == before
        assert server.connections == 1

    @pytest.mark.parametrize("name", ["httpx", "httpx2"])
    async def test_transports_for_other_clients(self, name: str) -> None:
        """The mock knows their requests as well as those of sessions."""

        async def pieces() -> AsyncIterator[bytes]:
            yield b"Bob"

        made = library(name)
        url = "https://api.test/users/{id}"
        async with made.package.AsyncClient(transport=made.ours()) as client:
            with mock_requests() as mock:
                mock.get(url, json=["Ann"], match_query={"q": "a b"}, match_headers={"X": "y"})
                mock.post(url, status=201, match_json={"name": "Ann"})
                mock.post(url, status=202, match_body="Bob")
                mock.delete(url, exception=ConnectionRefusedError)
                options: dict[str, Any] = {"params": {"q": "a b"}, "headers": {"X": "y"}}
                response = await client.get("https://api.test/users/1", **options)
                assert response.json() == ["Ann"]
                response = await client.post("https://api.test/users/2", json={"name": "Ann"})
                assert response.status_code == 201
                response = await client.post("https://api.test/users/3", content=pieces())
                assert response.status_code == 202
                with pytest.raises(made.package.ConnectError):
                    await client.delete("https://api.test/users/4")
                assert [call.path_params["id"] for call in mock.calls] == ["1", "2", "3", "4"]

    @pytest.mark.parametrize(
        ("given", "name"),
        [
            (ConnectionRefusedError, "ConnectError"),
            (ConnectionTimeoutError, "ConnectTimeout"),
            (TimeoutError, "ReadTimeout"),
            (ConnectionResetError, "ReadError"),
            (EOFError, "RemoteProtocolError"),
        ],
    )
    async def test_failures_for_other_clients(self, given: type[Exception], name: str) -> None:
        """They are brought about, so the exception is one of the other library."""
        made = library("httpx")
        async with made.package.AsyncClient(transport=made.ours()) as client:
            with mock_requests() as mock:
                mock.get(USERS, exception=given)
                with pytest.raises(getattr(made.package, name)):
                    await client.get(USERS)

    @pytest.mark.parametrize("target", [None, b"*", b"/other"])
    @pytest.mark.parametrize("proxy", [None, "http://user:secret@proxy.test:3128"])
    async def test_targets_and_proxies_of_other_clients(
        self, target: bytes | None, proxy: str | None
    ) -> None:
        """The USERS is the one that is asked for, whoever forwards it."""
        made = library("httpx")
        extensions = {} if target is None else {"target": target}
        async with made.package.AsyncClient(transport=made.ours(proxy=proxy)) as client:
            with mock_requests() as mock:
                mock.fallback()
                await client.get("http://api.test/path?q=1", extensions=extensions)
            (call,) = mock.calls
        paths = {None: "/path?q=1", b"*": "/", b"/other": "/other"}
        assert call.url == URL(f"http://api.test{paths[target]}")
        assert str(call.proxy) == ("None" if proxy is None else "http://proxy.test:3128")

    async def test_websockets(self) -> None:
        """A session asks for them with the same connectors."""

        async def echo(peer: Any) -> None:
            await peer.send(await peer.receive())

        with mock_requests() as mock:
            mock.ws("ws://api.test/feed", echo)
            async with ClientSession() as session:
                async with session.ws_connect("ws://api.test/feed") as ws:
                    await ws.send_str("hello")
                    assert await ws.receive_str() == "hello"

    async def test_a_connector_in_memory_is_not_covered(self) -> None:
        """It has nothing of the network's to be replaced."""
        own = MockConnector()
        own.get(USERS, json=["own"])
        with mock_requests(assert_all_called=False) as mock:
            mock.get(USERS, json=["mocked"])
            async with ClientSession(connector=own) as session:
                assert await get(session, USERS) == b'["own"]'
            assert mock.calls == []


class TestTheEnd:
    """What the end of a block finds."""

    async def test_a_route_that_was_never_called(self) -> None:
        """The error names it."""
        with pytest.raises(AssertionError, match=r"GET http://api\.test/users"):
            with mock_requests() as mock:
                mock.get(USERS)

    async def test_a_route_that_need_not_be_called(self) -> None:
        """As the option says."""
        with mock_requests(assert_all_called=False) as mock:
            mock.get(USERS)

    async def test_a_request_that_nothing_answers(self) -> None:
        """It fails where it is made, with the error of the mock."""
        with pytest.raises(UnansweredRequest, match=r"GET http://api\.test/users") as caught:
            with mock_requests():
                await fetch()
        assert not hasattr(caught.value, "__notes__")

    @pytest.mark.parametrize("is_async", [False, True])
    async def test_an_error_that_the_program_has_caught(self, is_async: bool) -> None:
        """It is raised again; a route that was not called may be the one that it lacked."""
        block, mock = mock_requests(), RequestMock()
        with pytest.raises(UnansweredRequest, match=r"GET http://api\.test/users") as caught:  # noqa: PT012
            if is_async:
                async with block as mock:
                    mock.get("http://api.test/other")
                    await fetch_carelessly()
            else:
                with block as mock:
                    mock.get("http://api.test/other")
                    await fetch_carelessly()
        assert caught.value is mock.unanswered[0]

    async def test_an_error_of_the_block_comes_out(self) -> None:
        """Nothing hides it: what the program has caught is a note."""

        async def run() -> None:
            with mock_requests() as mock:
                mock.get("http://api.test/other")
                await fetch_carelessly()
                raise LookupError

        with pytest.raises(LookupError) as caught:
            await run()
        assert "no route answers GET http://api.test/users" in caught.value.__notes__[0]

    async def test_a_cancellation_of_the_block_comes_out(self) -> None:
        """It is no matter of the test, and what else there is would hide it."""
        with anyio.CancelScope() as scope:
            async with mock_requests() as mock:
                mock.get(USERS)
                await fetch_carelessly("http://api.test/other")
                scope.cancel()
                await anyio.sleep_forever()
        assert scope.cancelled_caught

    @pytest.mark.parametrize("is_async", [False, True])
    async def test_what_still_answers_is_ended(self, is_async: bool) -> None:
        """The census of tasks finds nothing after the test, nor does the client wait for it."""
        ended, begun = anyio.Event(), anyio.Event()

        async def never(request: object) -> int:
            begun.set()
            try:
                await anyio.sleep_forever()
            finally:
                ended.set()
            return 500

        async def run(session: ClientSession) -> None:
            with suppress(ClientConnectionError):
                await get(session, USERS)

        async with ClientSession() as session, anyio.create_task_group() as group:
            block = mock_requests()
            mock = block.__enter__() if not is_async else await block.__aenter__()
            mock.get(USERS, answer=never)
            group.start_soon(run, session)
            await begun.wait()
            if is_async:
                await block.__aexit__(None, None, None)
                assert ended.is_set()
            else:
                block.__exit__(None, None, None)
                await ended.wait()

    @pytest.mark.parametrize("is_async", [False, True])
    @pytest.mark.parametrize("fails", [False, True])
    async def test_a_function_that_fails_unheard(self, is_async: bool, fails: bool) -> None:
        """The client had left before; the error is raised at the end, or is a note there."""

        async def answer(request: object) -> int:
            asked.set()
            try:
                await anyio.sleep_forever()
            finally:
                raise LookupError("in the function")

        async def run() -> None:
            async with AsyncExitStack() as stack:
                block = mock_requests()
                if is_async:
                    mock = await stack.enter_async_context(block)
                else:
                    mock = stack.enter_context(block)
                mock.get(USERS, answer=answer)
                async with anyio.create_task_group() as group:
                    group.start_soon(fetch)
                    await asked.wait()
                    group.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    await anyio.wait_all_tasks_blocked()
                if fails:
                    raise ValueError

        asked = anyio.Event()
        with pytest.raises(ValueError if fails else LookupError) as caught:
            await run()
        assert not fails or "in the function" in caught.value.__notes__[0]

    def test_entered_twice(self) -> None:
        """Each block has a mock of its own."""
        block = mock_requests()
        with block:
            with pytest.raises(RuntimeError, match=r"call mock_requests\(\) for each"):
                block.__enter__()
        with pytest.raises(RuntimeError, match=r"call mock_requests\(\) for each"):
            block.__enter__()

    @pytest.mark.parametrize("name", ["assert_all_called", "whole_process"])
    def test_a_flag_that_is_none(self, name: str) -> None:
        """The error names it."""
        options: Any = {name: "no"}
        with pytest.raises(TypeError, match=f"{name} must be a bool, not str"):
            mock_requests(**options)


class TestNested:
    """A block in a block."""

    async def test_the_inner_one_answers(self) -> None:
        """The outer one does, after it."""
        with mock_requests() as outer:
            outer.get(USERS, json=["outer"])
            with mock_requests() as inner:
                inner.get(USERS, json=["inner"])
                assert await fetch() == ["inner"]
            assert await fetch() == ["outer"]

    async def test_what_the_inner_one_does_not_answer(self) -> None:
        """It fails; the outer one is not asked."""
        with mock_requests(assert_all_called=False) as outer:
            outer.get(USERS, json=["outer"])
            with pytest.raises(UnansweredRequest), mock_requests():
                await fetch()
            assert outer.calls == []

    async def test_what_the_inner_one_passes_through(self) -> None:
        """It is answered as if the inner block were not there."""
        with mock_requests() as outer:
            outer.get(USERS, json=["outer"])
            with mock_requests() as inner:
                inner.pass_through("api.test")
                assert await fetch() == ["outer"]


async def test_hosts_that_are_passed_through(server: Server) -> None:
    """Their requests go over the network, with whatever connector the session has."""
    with mock_requests() as mock:
        mock.pass_through("127.0.0.1")
        mock.get(USERS, json=["mocked"])
        async with ClientSession() as session:
            await get(session, server.url / "json")
            assert await get(session, USERS) == b'["mocked"]'
    assert server.connections == 1


class TestTasksAndThreads:
    """Who has the mock of a block."""

    async def test_two_tests_side_by_side(self) -> None:
        """Each has its own, in one event loop and with one session."""
        inside = [anyio.Event(), anyio.Event()]

        async def test(number: int) -> None:
            with mock_requests() as mock:
                mock.get(USERS, json=number)
                inside[number].set()
                await inside[1 - number].wait()
                async with anyio.create_task_group() as group:
                    for _ in range(2):
                        group.start_soon(check, number)
                assert len(mock.calls) == 2

        async def check(number: int) -> None:
            assert await get(session, USERS) == b"%d" % number

        async with ClientSession() as session, anyio.create_task_group() as group:
            group.start_soon(test, 0)
            group.start_soon(test, 1)

    async def test_a_task_that_goes_on_after_the_block(self, server: Server) -> None:
        """It has the network again."""
        over = anyio.Event()

        async def run() -> None:
            await over.wait()
            async with ClientSession(server.url) as session:
                await get(session)

        async with anyio.create_task_group() as group:
            with mock_requests():
                group.start_soon(run)
            over.set()
        assert server.connections == 1

    async def test_worker_threads(self) -> None:
        """They get the context of who starts them."""
        with mock_requests() as mock:
            mock.get(USERS, json=["Ann"])
            assert await anyio.to_thread.run_sync(lambda: anyio.run(fetch)) == ["Ann"]

    @pytest.mark.parametrize("whole_process", [False, True])
    def test_threads_without_the_context(self, whole_process: bool) -> None:
        """They need the option."""
        results = []

        def run() -> None:
            # what a Python gives a thread that is told not to inherit a context
            context = contextvars.Context()
            results.append(context.run(anyio.run, fetch_carelessly, "http://127.0.0.1:1/"))

        with mock_requests(assert_all_called=False, whole_process=whole_process) as mock:
            mock.get("http://127.0.0.1:1/", json=["Ann"])
            thread = threading.Thread(target=run)
            thread.start()
            thread.join()
        assert results == [["Ann"] if whole_process else None]

    @pytest.mark.parametrize("is_async", [False, True])
    async def test_functions_that_still_answer_in_threads(self, is_async: bool) -> None:
        """They end with the block, each in its event loop."""
        begun, outcomes = [threading.Event(), threading.Event()], []

        async def never(request: ReceivedRequest) -> int:
            begun[int(request.path_params["number"])].set()
            await anyio.sleep_forever()
            return 500

        async def ask(number: int) -> None:
            try:
                await fetch(f"http://api.test/{number}")
            except ClientConnectionError as exc:
                outcomes.append(type(exc).__name__)

        threads = [
            threading.Thread(target=partial(anyio.run, ask, number, backend=backend))
            for number, backend in enumerate(("asyncio", "trio"))
        ]
        async with AsyncExitStack() as stack:
            block = mock_requests(whole_process=True)
            if is_async:
                mock = await stack.enter_async_context(block)
            else:
                mock = stack.enter_context(block)
            mock.get("http://api.test/{number}", answer=never)
            for thread, event in zip(threads, begun, strict=True):
                thread.start()
                await anyio.to_thread.run_sync(event.wait)
        for thread in threads:
            await anyio.to_thread.run_sync(thread.join)
        assert outcomes == ["ServerDisconnectedError"] * 2


class TestDecorator:
    """As a decorator of functions."""

    async def test_async_functions(self) -> None:
        """Each call has a mock of its own."""
        mocks = []

        @mock_requests()
        async def function(name: str, mock: RequestMock) -> Any:
            mocks.append(mock)
            mock.get(USERS, json=[name])
            return await fetch()

        assert await function("Ann") == ["Ann"]
        assert await function(name="Bob") == ["Bob"]
        assert mocks[0] is not mocks[1]

    async def test_calls_side_by_side(self) -> None:
        """They do not meet."""
        waiting = [anyio.Event(), anyio.Event()]

        @mock_requests()
        async def function(number: int, *, mock: RequestMock) -> None:
            mock.get(USERS, json=number)
            waiting[number].set()
            await waiting[1 - number].wait()
            assert await fetch() == number

        async with anyio.create_task_group() as group:
            group.start_soon(function, 0)
            group.start_soon(function, 1)

    def test_plain_functions(self) -> None:
        """A program that starts its event loop by itself."""

        @mock_requests()
        def function(mock: RequestMock) -> Any:
            mock.get(USERS, json=["Ann"])
            return anyio.run(fetch)

        assert function() == ["Ann"]

    async def test_methods(self) -> None:
        """They have one argument more."""

        class Tests:
            @mock_requests()
            async def run(self, mock: RequestMock) -> Any:
                mock.get(USERS, json=["Ann"])
                return await fetch()

        assert await Tests().run() == ["Ann"]

    async def test_a_function_that_takes_no_mock(self) -> None:
        """It may make no request at all."""

        @mock_requests()
        async def function(*args: str) -> None:
            await fetch_carelessly()

        with pytest.raises(UnansweredRequest):
            await function("an argument")

    async def test_the_end_is_that_of_a_block(self) -> None:
        """With the options of the decorator."""

        @mock_requests()
        async def strict(mock: RequestMock) -> None:
            mock.get(USERS)

        @mock_requests(assert_all_called=False)
        async def lenient(mock: RequestMock) -> None:
            mock.get(USERS)

        with pytest.raises(AssertionError, match=r"GET http://api\.test/users"):
            await strict()
        await lenient()

    def test_what_the_decorated_function_is(self) -> None:
        """The signature lacks the mock, as pytest would look for a fixture of that name."""

        async def function(first: int, mock: RequestMock, *, last: str = "") -> None:
            """Do something."""

        decorated = mock_requests()(function)
        assert str(inspect.signature(decorated)) == "(first: 'int', *, last: 'str' = '') -> 'None'"
        assert inspect.iscoroutinefunction(decorated)
        assert (decorated.__name__, decorated.__doc__) == ("function", "Do something.")

    def test_a_mock_that_is_given_by_the_caller(self) -> None:
        """There would be two."""

        @mock_requests()
        def function(mock: object) -> None: ...

        with pytest.raises(TypeError, match="multiple values"):
            function(mock=1)

    def test_generators(self) -> None:
        """Their blocks would end before they begin; the error says what to write."""

        def generator() -> Iterator[None]:
            yield

        async def asynchronous() -> AsyncIterator[None]:
            yield

        for function in (generator, asynchronous):
            with pytest.raises(TypeError, match=rf"the generator function .*\.{function.__name__}"):
                mock_requests()(function)

    @pytest.mark.parametrize("what", [ClientSession, 1, None])
    def test_what_is_no_function(self, what: Any) -> None:
        """A class has no end."""
        with pytest.raises(TypeError, match=r"mock_requests\(\) decorates functions"):
            mock_requests()(what)

    async def test_a_function_that_returns_an_awaitable(self) -> None:
        """The block would end before anything is done; a coroutine is closed, so no one warns."""

        @mock_requests()
        def function() -> Awaitable[Any]:
            return fetch()

        @mock_requests()
        def other() -> Awaitable[Any]:
            return _Awaitable()

        for each in (function, other):
            with pytest.raises(TypeError, match="which returns an awaitable"):
                await each()

    async def test_a_partial_function(self) -> None:
        """It has no name of its own."""

        async def function(name: str, mock: RequestMock) -> Any:
            mock.get(USERS, json=[name])
            return await fetch()

        assert await mock_requests()(partial(function, "Ann"))() == ["Ann"]


class _Awaitable:
    def __await__(self) -> Generator[Any, Any, Any]:
        raise NotImplementedError
