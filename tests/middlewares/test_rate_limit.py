"""``RateLimitMiddleware``: who is sent when, and how many at a time."""

from __future__ import annotations

import gc
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable
from threading import Thread
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from trio.testing import MockClock
from yarl import URL

from anyhttp import (
    ClientConnectionError,
    ClientHandlerType,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DigestAuthMiddleware,
    RateLimitMiddleware,
    RetryMiddleware,
)
from anyhttp.middlewares import _rate_limit
from anyhttp.testing import Answer, AutojumpEventLoop, MockConnector, WebSocketPeer
from tests.support.cancel import cancel_at_every_checkpoint
from tests.support.client import get

API = "https://api.test/"

JUMPING = [
    pytest.param(("asyncio", {"loop_factory": AutojumpEventLoop}), id="asyncio"),
    pytest.param(("trio", {"clock": MockClock(autojump_threshold=0)}), id="trio"),
]
#: Clocks that jump to the next thing to do, so that waiting takes no time.
jumping = pytest.mark.parametrize("anyio_backend", JUMPING)


class Log:
    """When each request was sent: a connector's answers, and what they have noted."""

    def __init__(self, **options: Any) -> None:
        self.began = anyio.current_time()
        self.sent: list[tuple[str, int]] = []
        self.mock = MockConnector(**options)
        self.mock.fallback(answer=self._answer)

    def _answer(self, request: Any) -> Answer:
        self.sent.append((request.url.path[1:], self.now))
        return Answer(text="x")

    @property
    def now(self) -> int:
        """How many seconds have passed; on asyncio, the clock also runs between its jumps."""
        return round(anyio.current_time() - self.began)

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.sent]

    @property
    def times(self) -> list[int]:
        return [at for _, at in self.sent]

    def session(self, *middlewares: Any, **options: Any) -> ClientSession:
        return ClientSession(API, connector=self.mock, middlewares=middlewares, **options)


async def steps() -> None:
    """Let other tasks run, but no time pass."""
    for _ in range(5):
        await anyio.lowlevel.checkpoint()


async def answer_at_once(request: ClientRequest) -> ClientResponse:
    """Do what a handler does, without a session."""
    return ClientResponse.for_request(request)


async def get_all(session: ClientSession, urls: Iterable[Any]) -> None:
    """Ask for all *urls* at once; each task comes to the middleware before the next one."""
    async with anyio.create_task_group() as group:
        for url in urls:
            group.start_soon(get, session, str(url))
            await steps()


@jumping
class TestRate:
    @pytest.mark.parametrize(
        ("limit", "times"),
        [
            ((0.1,), [0, 10, 20, 30, 40, 50]),
            ((0.5, 10), [0, 20, 40, 60, 80, 100]),
            ((6, 60), [0, 10, 20, 30, 40, 50]),
            ((3, 60, 3), [0, 0, 0, 20, 40, 60]),
            ((3, 3, 9), [0] * 6),
        ],
    )
    async def test_requests_that_come_at_once(
        self, limit: tuple[float, ...], times: list[int]
    ) -> None:
        """They are sent in the order in which they came."""
        log = Log()
        rate, per, burst = (*limit, 1, 1)[:3]
        middleware = RateLimitMiddleware(rate, per, burst=int(burst))
        async with log.session(middleware) as session:
            await get_all(session, range(6))
        assert log.names == list("012345")
        assert log.times == times

    async def test_after_a_pause_there_may_be_a_burst_again(self) -> None:
        """As large as the pause was long, and no larger than the burst."""
        log = Log()
        async with log.session(RateLimitMiddleware(1, 10, burst=3)) as session:
            for pause in (0, 20, 100):
                await anyio.sleep(pause)
                await get_all(session, range(4))
        assert log.times == [0, 0, 0, 10, 30, 30, 40, 50, 150, 150, 150, 160]

    async def test_one_after_the_other(self) -> None:
        """A program that is slower than the limit never waits."""
        log = Log()
        async with log.session(RateLimitMiddleware(0.1)) as session:
            for _ in range(3):
                await get(session, "/")
                await anyio.sleep(10)
            await get(session, "/")
            await get(session, "/")
        assert log.times == [0, 10, 20, 30, 40]

    async def test_many(self) -> None:
        """No rounding adds up, and none makes the clock stand still."""
        log = Log()
        limit = RateLimitMiddleware(300, per=700)
        async with log.session(limit, timeout=ClientTimeout()) as session:
            await get_all(session, range(301))
        assert log.times[0::3] == list(range(0, 701, 7))

    async def test_each_host_has_its_own(self) -> None:
        log = Log()
        urls = ["https://a.test/1", "https://b.test/1", "https://A.test/2", "http://b.test:81/2"]
        async with log.session(RateLimitMiddleware(1, 10)) as session:
            await get_all(session, urls)
        assert log.sent == [("1", 0), ("1", 0), ("2", 10), ("2", 10)]

    async def test_one_for_all(self) -> None:
        """Also for several sessions."""
        log = Log()
        limit = RateLimitMiddleware(1, 10, per_host=False)
        async with log.session(limit) as session, Log().session(limit) as other:
            await get(other, "https://c.test/0")
            await get_all(session, ["https://a.test/1", "https://b.test/2"])
        assert log.sent == [("1", 10), ("2", 20)]

    async def test_who_is_cancelled_gives_up_the_place(self) -> None:
        """Wherever it stands in the queue."""
        log = Log()
        scopes = {number: anyio.CancelScope() for number in (1, 3, 5)}

        async def ask(session: ClientSession, number: int) -> None:
            with scopes.get(number, anyio.CancelScope()):
                await get(session, f"/{number}")

        async with log.session(RateLimitMiddleware(1, 10)) as session:
            async with anyio.create_task_group() as group:
                for number in range(6):
                    group.start_soon(ask, session, number)
                    await steps()
                await anyio.sleep(5)
                for scope in scopes.values():
                    scope.cancel()
            await get(session, "/6")
        assert log.sent == [("0", 0), ("2", 10), ("4", 20), ("6", 30)]

    async def test_nobody_goes_before_those_that_wait(self) -> None:
        """Even who comes at the very moment at which the next turn begins."""

        async def come_then(session: ClientSession) -> None:
            await anyio.sleep(10)
            await get(session, "/late")

        for _ in range(20):  # trio runs tasks that wake up at the same moment in any order
            log = Log()
            async with log.session(RateLimitMiddleware(0.1)) as session:
                async with anyio.create_task_group() as group:
                    group.start_soon(come_then, session)
                    group.start_soon(get_all, session, ["/0", "/1"])
            assert log.names == ["0", "1", "late"]

    async def test_the_time_of_the_request(self) -> None:
        """A timeout says what the request waited for."""
        log = Log()
        timeout = ClientTimeout(total=50)
        message = "50 s ran out while waiting for its turn under the rate limit"
        async with log.session(RateLimitMiddleware(0.01), timeout=timeout) as session:
            await get(session, "/")
            with pytest.raises(TimeoutError, match=message):
                await get(session, "/")
            await anyio.sleep(50)
            await get(session, "/")
        assert log.times == [0, 100]

    @pytest.mark.parametrize("concurrency", [None, 1])
    async def test_a_closed_session(self, concurrency: int | None) -> None:
        """Nobody waits for a turn in which nothing could be sent."""
        log = Log()
        log.mock.fallback(answer=Answer(text="x", delay=0 if concurrency is None else 1000))
        limit = RateLimitMiddleware(0.01, concurrency=concurrency)
        failures = []

        async def ask(session: ClientSession) -> None:
            try:
                await get(session, "/")
            except ClientConnectionError as exc:
                failures.append(str(exc))

        async with log.session(limit) as session, anyio.create_task_group() as group:
            for _ in range(4):
                group.start_soon(ask, session)
            await anyio.sleep(10)
            await session.close()
        assert log.now == 10
        assert failures[-3:] == ["Session is closed"] * 3

    async def test_redirects_and_attempts_take_turns(self) -> None:
        log = Log()
        log.mock.get(f"{API}moved", status=302, headers={"Location": "/there"})
        log.mock.get(f"{API}busy", answers=[503, 200])
        retry = RetryMiddleware(random=lambda: 0.0)
        async with log.session(retry, RateLimitMiddleware(1, 10)) as session:
            await get(session, "/moved")
            assert log.now == 10
            await get(session, "/busy")
            assert log.now == 30


@jumping
class TestConcurrency:
    async def test_until_the_response_is_over(self) -> None:
        """Read to its end, or released."""
        log = Log()
        log.mock.get(f"{API}slow", answer=lambda request: Answer(body=slow()))

        async def slow() -> AsyncIterator[bytes]:
            yield b"x"
            await anyio.sleep(10)
            yield b"y"

        async with log.session(RateLimitMiddleware(1000, concurrency=2)) as session:
            first = await session.get("/slow")
            async with anyio.create_task_group() as group:
                group.start_soon(get, session, "/slow")
                await steps()
                group.start_soon(get, session, "/1")
                group.start_soon(get, session, "https://other.test/2")
                await anyio.sleep(5)
                assert log.names == ["2"]
                first.release()
                await anyio.sleep(1)
                assert log.names == ["2", "1"]
            assert log.now == 10

    @pytest.mark.parametrize("concurrency", [1, 3])
    async def test_no_more_than_so_many(self, concurrency: int) -> None:
        """And in the order in which they came."""
        log = Log()
        log.mock.fallback(answer=lambda request: Answer(text="x", delay=10))
        limit = RateLimitMiddleware(1000, burst=1000, concurrency=concurrency)
        async with log.session(limit) as session:
            await get_all(session, range(6))
        assert log.now == 60 / concurrency

    async def test_failures_and_responses_without_a_connection(self) -> None:
        """Their places are free afterwards."""
        log = Log()
        log.mock.get(f"{API}broken", exception=ConnectionRefusedError)
        log.mock.get(f"{API}late", answer=Answer(delay=100))

        async def made(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            if request.url.path == "/made":
                return ClientResponse.for_request(request, text="made")
            return await handler(request)

        async with log.session(RateLimitMiddleware(1000, concurrency=1), made) as session:
            for path in ("/broken", "/made", "/late"):
                with anyio.move_on_after(5):
                    try:
                        await get(session, path)
                    except OSError:
                        pass
            await get(session, "/")
        assert log.now == 5

    async def test_a_middleware_around_it_may_send_twice(self) -> None:
        """It still holds the first response then."""
        challenge = {"WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth"'}
        log = Log(limit=1)
        refusal = Answer(401, headers=challenge, body=iter([b"no"]))
        log.mock.fallback(answers=[refusal, "welcome"])
        digest = DigestAuthMiddleware("ada", "secret")
        async with log.session(digest, RateLimitMiddleware(1, 10, concurrency=1)) as session:
            assert await get(session, "/") == b"welcome"
            assert log.now == 10

    async def test_a_websocket_counts_until_its_handshake_is_over(self) -> None:
        """An open one keeps nobody waiting."""

        async def serve(peer: WebSocketPeer) -> None:
            await peer.receive()

        log = Log()
        log.mock.ws(f"{API}ws", serve)
        async with log.session(RateLimitMiddleware(1000, concurrency=1)) as session:
            async with session.ws_connect("ws"):
                await get(session, "/")
        assert log.sent == [("", 0)]


@pytest.mark.uvloop
@pytest.mark.parametrize("how", ["scope", "every-task", "native"])
async def test_cancelled_at_every_checkpoint(how: Any) -> None:
    """No place is lost, and no turn is taken by nobody."""
    mock = MockConnector()
    mock.fallback(text="x")
    limit = RateLimitMiddleware(1e4, concurrency=1)
    async with ClientSession(API, connector=mock, middlewares=[limit]) as session:

        async def operation() -> None:
            await get(session, "/1")
            await get(session, "/2")  # waits for the time

        async def after() -> None:
            await get(session, "/after")

        assert await cancel_at_every_checkpoint(operation, after=after, how=how) > 1


def run(backend: str, main: Callable[[], Awaitable[Any]]) -> Any:
    """Run *main* with a clock that jumps."""
    options: dict[str, Any] = {"clock": MockClock(autojump_threshold=0)}
    if backend == "asyncio":
        options = {"loop_factory": AutojumpEventLoop}
    return anyio.run(main, backend=backend, backend_options=options)


class TestEventLoops:
    def test_one_after_the_other(self) -> None:
        """The limit holds on."""
        limit = RateLimitMiddleware(1, per=10, concurrency=1)
        times = []

        async def main() -> None:
            log = Log()
            async with log.session(limit) as session:
                await get(session, "/")
            times.extend(log.times)

        for backend in ("asyncio", "trio", "trio", "asyncio"):
            run(backend, main)
        assert times == [0, 10, 10, 10]

    def test_one_that_was_left_while_a_request_was_under_way(self) -> None:
        """It does not come back, so it is forgotten."""
        limit = RateLimitMiddleware(1, per=10, concurrency=1)
        entered = False

        @types.coroutine
        def hang(request: ClientRequest) -> Generator[None, None, ClientResponse]:
            nonlocal entered
            entered = True
            while True:
                yield

        abandoned = limit(ClientRequest("GET", URL(API)), hang)

        async def leave() -> None:
            while not entered:
                abandoned.send(None)

        async def main() -> None:
            async with Log().session(limit) as session:
                await get(session, "/")

        run("asyncio", leave)
        for backend in ("trio", "asyncio"):
            run(backend, main)
        abandoned.close()
        run("trio", main)

    @pytest.mark.parametrize("backend", ["asyncio", "trio"])
    def test_another_one_at_the_same_time(self, backend: str) -> None:
        """Its clock and its hosts are not those of who waits here."""
        limit = RateLimitMiddleware(1, per=10)

        async def there() -> None:
            await limit(ClientRequest("GET", URL("https://other.test/")), answer_at_once)

        async def here() -> None:
            log = Log()
            async with log.session(limit) as session, anyio.create_task_group() as group:
                await get(session, "/")
                group.start_soon(get, session, "/")
                await steps()
                thread = Thread(target=anyio.run, args=(there,))
                thread.start()
                thread.join()
                await anyio.sleep(100)
                assert log.times == [0, 10]
                await get(session, "/")
            assert log.names == [""] * 3

        run(backend, here)

    def test_one_that_was_left_with_a_queue(self) -> None:
        """The tasks that wait are cancelled at its end."""
        limit = RateLimitMiddleware(1, per=10)

        async def main() -> None:
            log = Log()
            async with log.session(limit) as session:
                with anyio.move_on_after(1):
                    await get_all(session, range(3))

        for backend in ("asyncio", "trio"):
            run(backend, main)


class TestMemory:
    """A crawler that sees each host once needs no more memory with each."""

    @pytest.fixture(autouse=True)
    def few(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Remember fewer hosts than usual, so that it takes fewer to be too many."""
        monkeypatch.setattr(_rate_limit, "MAX_HOSTS", 1000)

    @staticmethod
    async def visit(limit: RateLimitMiddleware, hosts: int) -> None:
        """Send a request to each of so many hosts."""
        request = ClientRequest("GET", URL(API))
        for number in range(hosts):
            request.url = URL.build(scheme="https", host=f"{number}.test", path="/")
            await limit(request, answer_at_once)

    @staticmethod
    async def must_wait(limit: RateLimitMiddleware) -> bool:
        """Whether a request to a host that was seen before has to wait."""
        with anyio.move_on_after(0.01) as scope:
            await limit(ClientRequest("GET", URL(API)), answer_at_once)
        return scope.cancelled_caught

    @pytest.mark.once
    @pytest.mark.parametrize(("per", "hosts", "most"), [(3600, 1500, 1000), (1e-9, 1000, 100)])
    async def test_many_hosts(self, per: float, hosts: int, most: int) -> None:
        """Those at rest are forgotten soon, and others if there are too many."""
        limit = RateLimitMiddleware(1, per)
        await self.visit(limit, hosts)
        remembered = [each for each in gc.get_objects() if type(each).__name__ == "_Host"]
        assert 0 < len(remembered) <= most

    @pytest.mark.once
    async def test_the_host_that_is_farthest_from_rest_is_remembered(self) -> None:
        limit = RateLimitMiddleware(1, 3600, burst=2)
        for _ in range(2):
            await limit(ClientRequest("GET", URL(API)), answer_at_once)
        await self.visit(limit, 1100)
        assert await self.must_wait(limit)

    async def test_a_host_with_a_request_under_way_is_remembered(self) -> None:
        limit = RateLimitMiddleware(1e9, concurrency=1)

        async def hang(request: ClientRequest) -> ClientResponse:
            await anyio.sleep_forever()
            raise AssertionError

        async with anyio.create_task_group() as group:
            group.start_soon(limit, ClientRequest("GET", URL(API)), hang)
            await steps()
            await self.visit(limit, 1000)
            assert await self.must_wait(limit)
            group.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"rate": 0}, ValueError, "rate must be greater than 0 and finite, got 0"),
        ({"rate": "5"}, TypeError, "rate must be a number, not '5'"),
        ({"rate": 10**400}, ValueError, "rate must be greater than 0 and finite"),
        ({"rate": True}, TypeError, "rate must be a number, not True"),
        ({"rate": float("nan")}, ValueError, "rate must be greater than 0 and finite"),
        ({"rate": 1, "per": -1}, ValueError, "per must be greater than 0 and finite"),
        (
            {"rate": 1e-200, "per": 1e200},
            ValueError,
            "per / rate must be greater than 0 and finite",
        ),
        (
            {"rate": 1e200, "per": 1e-200},
            ValueError,
            "per / rate must be greater than 0 and finite",
        ),
        ({"rate": 1, "burst": 10**400}, ValueError, "burst must be greater than 0 and finite"),
        ({"rate": 1, "burst": 0}, ValueError, "burst must be at least 1, got 0"),
        ({"rate": 1, "burst": 1.5}, TypeError, "burst must be an int, not float"),
        ({"rate": 1, "per_host": "no"}, TypeError, "per_host must be a bool, not str"),
        ({"rate": 1, "concurrency": 0}, ValueError, "concurrency must be at least 1, got 0"),
        ({"rate": 1, "concurrency": "2"}, TypeError, "concurrency must be an int or None"),
    ],
)
def test_options_are_checked_when_it_is_made(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    """The message names the argument."""
    with pytest.raises(error, match=message):
        RateLimitMiddleware(**options)
