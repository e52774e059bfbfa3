"""The event loop in which waiting for time takes no time."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from textwrap import dedent
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from anyhttp import ClientConnectorDNSError, ClientSession, ClientTimeout
from anyhttp.testing import AutojumpEventLoop, MockConnector
from tests.support.client import get
from tests.support.fresh_python import ROOT
from tests.support.server import Server
from tests.support.waiting import DEADLINE

HOUR = 3600.0


def run(main: Callable[[], Coroutine[Any, Any, Any]], **options: Any) -> Any:
    """Run *main* on the loop, by anyio."""
    factory = partial(AutojumpEventLoop, **options) if options else AutojumpEventLoop
    return anyio.run(main, backend_options={"loop_factory": factory})


def in_real_seconds(main: Callable[[], Coroutine[Any, Any, Any]], **options: Any) -> float:
    """Run *main*, and return how long that took."""
    before = time.monotonic()
    run(main, **options)
    return time.monotonic() - before


@pytest.fixture
def passed() -> Callable[[], float]:
    """How much time has passed on the clock of the loop since the first call."""
    begun: list[float] = []

    def since() -> float:
        begun.append(anyio.current_time())
        return begun[-1] - begun[0]

    return since


class TestTime:
    def test_sleeping(self, passed: Callable[[], float]) -> None:
        async def main() -> None:
            passed()
            await anyio.sleep(HOUR)
            assert passed() == HOUR
            assert asyncio.get_running_loop().time() == anyio.current_time()

        assert in_real_seconds(main) < DEADLINE

    def test_more_than_a_day(self, passed: Callable[[], float]) -> None:
        """Asyncio waits for a day at most before it looks again."""

        async def main() -> None:
            passed()
            await anyio.sleep(100 * 24 * HOUR)
            assert passed() >= 100 * 24 * HOUR

        run(main)

    def test_the_order_is_that_of_real_time(self) -> None:
        order: list[float] = []

        async def wake(seconds: float) -> None:
            await anyio.sleep(seconds)
            order.append(seconds)

        async def main() -> None:
            async with anyio.create_task_group() as group:
                for seconds in (3, HOUR, 0, 1, 2.5, 2 * HOUR, 0.001):
                    group.start_soon(wake, seconds)

        run(main)
        assert order == sorted(order)
        assert len(order) == 7

    def test_it_begins_anew_in_each_loop(self) -> None:
        """So the same program always has the same times, to the last digit; zero is not among them.

        Programs take zero for "never".
        """

        async def main() -> None:
            begun.append(anyio.current_time())
            await anyio.sleep(0.1)

        begun: list[float] = []
        for _ in range(2):
            run(main)
        assert begun[0] == begun[1] > 0

    def test_it_stands_still_while_a_task_works(self, passed: Callable[[], float]) -> None:
        """However long that takes: on a busy machine, no time limit is over sooner."""

        async def main() -> None:
            passed()
            with anyio.move_on_after(0.01) as scope:
                time.sleep(0.05)  # noqa: ASYNC251  (what a busy machine does to a task)
                assert passed() == 0
                await anyio.sleep(0.005)
            assert not scope.cancelled_caught
            assert passed() == pytest.approx(0.005)

        run(main)

    def test_a_task_that_works_keeps_time_from_jumping(self, passed: Callable[[], float]) -> None:
        async def main() -> None:
            with anyio.move_on_after(HOUR) as scope:
                passed()
                for _ in range(1000):
                    await anyio.lowlevel.checkpoint()
            assert not scope.cancelled_caught
            assert passed() == 0

        run(main)

    def test_time_limits(self) -> None:
        """Of anyio and of asyncio: the shorter one is over first."""

        async def main() -> None:
            with anyio.move_on_after(HOUR) as outer, anyio.move_on_after(10) as inner:
                await anyio.sleep_forever()
            assert (outer.cancelled_caught, inner.cancelled_caught) == (False, True)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.Event().wait(), HOUR)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(HOUR):
                    await asyncio.sleep(2 * HOUR)
            assert await asyncio.wait_for(asyncio.sleep(HOUR, "done"), 2 * HOUR) == "done"

        assert in_real_seconds(main) < DEADLINE

    @pytest.mark.parametrize("entered", [True, False])
    def test_the_time_limits_of_a_request(self, entered: bool) -> None:
        """A slow mock, and a client that is in no hurry, or is."""

        async def main() -> None:
            mock = MockConnector()
            mock.get("http://slow.test/", text="late", delay=HOUR)
            session = ClientSession(connector=mock)
            if entered:
                await session.__aenter__()
            with pytest.raises(TimeoutError):
                await get(session, "http://slow.test/")  # 300 seconds, as by default
            with pytest.raises(TimeoutError):
                await get(session, "http://slow.test/", timeout=ClientTimeout(sock_read=60))
            assert await get(session, "http://slow.test/", timeout=ClientTimeout()) == b"late"
            await session.close()

        assert in_real_seconds(main) < DEADLINE

    def test_asyncio_s_runner(self) -> None:
        async def main() -> str:
            await asyncio.sleep(HOUR)
            return "done"

        with asyncio.Runner(loop_factory=AutojumpEventLoop) as runner:
            assert runner.run(main()) == "done"
            assert runner.run(main()) == "done"

    def test_debug_mode(self, caplog: pytest.LogCaptureFixture) -> None:
        """A jump is no slow callback."""

        async def main() -> None:
            await asyncio.sleep(HOUR)

        with asyncio.Runner(debug=True, loop_factory=AutojumpEventLoop) as runner:
            runner.run(main())
        assert "Executing" not in caplog.text


class TestThreads:
    """Time does not jump while a thread works for a task."""

    @pytest.mark.parametrize("kind", ["asyncio", "executor", "anyio"])
    def test_the_result_comes_first(self, kind: str, passed: Callable[[], float]) -> None:
        work = partial(time.sleep, 0.05)

        async def main() -> None:
            passed()
            with anyio.move_on_after(HOUR) as scope:
                if kind == "asyncio":
                    await asyncio.to_thread(work)
                elif kind == "executor":
                    await asyncio.get_running_loop().run_in_executor(None, work)
                else:
                    await anyio.to_thread.run_sync(work)
            assert not scope.cancelled_caught
            assert passed() < HOUR
            await anyio.sleep(HOUR)
            assert passed() >= HOUR

        assert in_real_seconds(main) < DEADLINE

    def test_anyio_s_threads_without_anyio_s_run(self) -> None:
        async def main() -> None:
            async with asyncio.timeout(HOUR):
                await anyio.to_thread.run_sync(time.sleep, 0.05)

        with asyncio.Runner(loop_factory=AutojumpEventLoop) as runner:
            runner.run(main())

    def test_looking_up_a_name(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def slow(*args: Any, **options: Any) -> Any:
            time.sleep(0.05)
            raise socket.gaierror(socket.EAI_NONAME, "no such name")

        async def main() -> None:
            async with ClientSession() as session:
                with pytest.raises(ClientConnectorDNSError, match="no such name"):
                    await get(session, "http://host.test/", timeout=ClientTimeout(HOUR))

        monkeypatch.setattr("socket.getaddrinfo", slow)
        run(main)

    def test_other_tasks_have_real_time_meanwhile(self) -> None:
        order: list[str] = []
        go_on = threading.Event()

        async def wake() -> None:
            await anyio.sleep(0.01)
            order.append("task")
            go_on.set()

        async def main() -> None:
            async with anyio.create_task_group() as group:
                group.start_soon(wake)
                await asyncio.to_thread(go_on.wait)
                order.append("thread")

        run(main)
        assert order == ["task", "thread"]

    def test_an_exception_of_the_thread(self) -> None:
        def fail() -> None:
            raise LookupError("odd")

        async def main() -> None:
            with pytest.raises(LookupError, match="odd"):
                await asyncio.to_thread(fail)
            await anyio.sleep(HOUR)

        assert in_real_seconds(main) < DEADLINE

    def test_threads_at_the_end(self, recwarn: pytest.WarningsRecorder) -> None:
        """``asyncio.Runner`` waits for them within a time limit, which must not be jumped over."""
        ended: list[str] = []

        def work() -> None:
            time.sleep(0.05)
            ended.append("work")

        async def main() -> None:
            asyncio.get_running_loop().run_in_executor(None, work)

        with asyncio.Runner(loop_factory=AutojumpEventLoop) as runner:
            runner.run(main())
        assert ended == ["work"]
        assert [str(warning.message) for warning in recwarn] == []

    def test_a_call_from_another_thread(self) -> None:
        """What has been asked for already comes before the jump."""
        order: list[str] = []

        async def main() -> None:
            loop = asyncio.get_running_loop()
            thread = threading.Thread(
                target=loop.call_soon_threadsafe, args=[order.append, "called"]
            )
            thread.start()
            thread.join()
            await anyio.sleep(HOUR)
            order.append("slept")

        run(main)
        assert order == ["called", "slept"]


class TestSockets:
    """Time does not jump before a socket has had some real time."""

    def test_loopback_in_one_loop(self, passed: Callable[[], float]) -> None:
        """A server and a client in tasks of the loop."""

        async def serve(stream: anyio.abc.SocketStream) -> None:
            async with stream:
                await stream.receive()
                await anyio.sleep(HOUR)
                await stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

        async def main() -> None:
            listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
            port = listener.extra(anyio.abc.SocketAttribute.local_port)
            async with listener, anyio.create_task_group() as group:
                group.start_soon(listener.serve, serve)
                passed()
                async with ClientSession() as session:
                    url = f"http://127.0.0.1:{port}/"
                    assert await get(session, url, timeout=ClientTimeout(2 * HOUR)) == b"ok"
                assert HOUR <= passed() < 2 * HOUR
                group.cancel_scope.cancel()

        assert in_real_seconds(main) < DEADLINE

    def test_a_server_in_a_thread(self, server: Server, passed: Callable[[], float]) -> None:
        """Its answers come before the time limits."""

        async def main() -> None:
            passed()
            async with ClientSession(server.url) as session:
                for _ in range(20):
                    await get(session, timeout=ClientTimeout(HOUR))
                assert passed() < HOUR
                with pytest.raises(TimeoutError):
                    await get(session, "/hang", timeout=ClientTimeout(HOUR))
                assert passed() >= HOUR

        assert in_real_seconds(main, patience=2) < DEADLINE + 2

    def test_patience(self, passed: Callable[[], float]) -> None:
        """How long something may take to arrive is chosen by the program."""

        async def main() -> None:
            ours, theirs = socket.socketpair()
            ours.setblocking(False)
            with ours, theirs:
                passed()
                timer = threading.Timer(0.1, theirs.send, [b"late"])
                timer.start()
                received = b""
                with anyio.move_on_after(HOUR):
                    received = await asyncio.get_running_loop().sock_recv(ours, 9)
                timer.join()
                results.append(received)

        results: list[bytes] = []
        run(main, patience=DEADLINE)
        run(main, patience=0)
        assert results == [b"late", b""]

    def test_short_waits_take_patience_too(self, passed: Callable[[], float]) -> None:
        """What arrives late in real time is not too late for a short time limit."""

        async def main() -> None:
            ours, theirs = socket.socketpair()
            ours.setblocking(False)
            with ours, theirs:
                passed()
                timer = threading.Timer(0.05, theirs.send, [b"late"])
                timer.start()
                with anyio.fail_after(0.001):
                    assert await asyncio.get_running_loop().sock_recv(ours, 9) == b"late"
                timer.join()
                assert passed() == 0

        run(main, patience=DEADLINE)

    def test_time_is_what_was_waited_for(self, passed: Callable[[], float]) -> None:
        """Not the patience, however much of it was needed."""

        async def main() -> None:
            ours, theirs = socket.socketpair()
            ours.setblocking(False)
            with ours, theirs:
                passed()
                for _ in range(3):
                    with anyio.move_on_after(0.001):
                        await asyncio.get_running_loop().sock_recv(ours, 9)
                assert passed() == pytest.approx(0.003)

        run(main, patience=0.02)


@pytest.mark.parametrize(
    ("patience", "error", "message"),
    [
        ("1", TypeError, "patience must be a number"),
        (-1, ValueError, "patience must"),
        (float("inf"), ValueError, "patience must"),
    ],
)
def test_wrong_patience(patience: Any, error: type[Exception], message: str) -> None:
    """It is checked before anything is opened."""
    with pytest.raises(error, match=message):
        AutojumpEventLoop(patience=patience)


PLUGINS = {
    "anyio": """
        @pytest.fixture
        def anyio_backend():
            return "asyncio", {"loop_factory": AutojumpEventLoop}

        pytestmark = pytest.mark.anyio
    """,
    "asyncio": """
        pytestmark = pytest.mark.asyncio
    """,
}
CONFTEST = """
def pytest_asyncio_loop_factories(config, item):
    from anyhttp.testing import AutojumpEventLoop
    return {"autojump": AutojumpEventLoop}
"""


@pytest.mark.parametrize("plugin", PLUGINS)
def test_with_pytest(plugin: str, tmp_path: Path) -> None:
    """The plugins that run async tests take the loop, each in its own way."""
    options = []
    if plugin == "asyncio":
        pytest.importorskip("pytest_asyncio", minversion="1.4")
        options = ["-p", "pytest_asyncio.plugin"]
        (tmp_path / "conftest.py").write_text(CONFTEST, "utf-8")
    lines = f"""
import asyncio, pytest
from anyhttp.testing import AutojumpEventLoop
{dedent(PLUGINS[plugin])}

async def test_it():
    await asyncio.wait_for(asyncio.sleep(3600), 7200)
    assert type(asyncio.get_running_loop()) is AutojumpEventLoop
"""
    (tmp_path / "test_it.py").write_text(lines, "utf-8")
    environment = os.environ | {
        "PYTHONPATH": os.fspath(ROOT),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "anyio", *options, "test_it.py"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert "1 passed" in done.stdout, done.stdout + done.stderr
