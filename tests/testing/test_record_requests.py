"""Recording what sessions do that the program makes by itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import pytest
from yarl import URL

from anyhttp import ClientSession, TCPConnector
from anyhttp.testing import (
    ASGIConnector,
    MockConnector,
    Recorder,
    UnrecordedRequest,
    mock_requests,
    record_requests,
)
from tests.support.server import Server
from tests.support.tls import Authority


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Where the cassette is."""
    return str(tmp_path / "some.har")


def urls(path: str) -> list[str]:
    """The URLs in a file."""
    log = json.loads(Path(path).read_text("utf-8"))["log"]
    return [entry["request"]["url"] for entry in log["entries"]]


async def program(url: URL | str, **options: Any) -> bytes:
    """Code under test, which makes its own session."""
    async with ClientSession() as session, session.get(url, **options) as response:
        return await response.read()


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_sessions_of_the_program_are_recorded_and_replayed(
    path: str, server: Server, asynchronous: bool
) -> None:
    """Without a word of the program."""

    async def run() -> bytes:
        if asynchronous:
            async with record_requests(path) as recorder:
                body = await program(server.url / "json")
        else:
            with record_requests(path) as recorder:
                body = await program(server.url / "json")
        assert isinstance(recorder, Recorder)
        return body

    assert await run() == await run()
    assert server.requests == ["GET /json"]
    assert urls(path) == [str(server.url / "json")]


async def test_real_connections_are_made_by_the_given_connector(
    path: str, server: Server, tls_ca: Authority
) -> None:
    """It knows which certificates to trust."""
    url = server.https_url / "json"
    for connector in (TCPConnector(ssl=tls_ca.client), None):
        async with record_requests(path, connector=connector, mode="once"):
            assert b"anyhttp" in await program(url)
    assert server.requests == ["GET /json"]


async def test_recording_inside_of_a_mock(path: str) -> None:
    """The real connection of the recorder is that of the outer block."""
    calls = []
    for _ in range(2):
        with mock_requests(assert_all_called=False) as mock:
            mock.get("http://api.test/a", text="hello")
            with record_requests(path):
                assert await program("http://api.test/a") == b"hello"
        calls.append(len(mock.calls))
    assert calls == [1, 0]


async def test_another_task_outside_of_the_block_is_not_recorded(path: str, server: Server) -> None:
    """Tests that run side by side do not meet."""
    begun, goes_on = anyio.Event(), anyio.Event()

    async def other() -> None:
        begun.set()
        await goes_on.wait()
        await program(server.url / "json")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(other)
        await begun.wait()
        with record_requests(path):
            await program(server.url / "echo")
            goes_on.set()
            await anyio.wait_all_tasks_blocked()
    assert urls(path) == [str(server.url / "echo")]


async def test_hosts_that_pass_through_are_connected_to_by_the_program(
    path: str, server: Server
) -> None:
    """As if there were no recorder."""
    with record_requests(path) as recorder:
        recorder.pass_through("127.0.0.1")
        assert await program(server.url / "json")
    with pytest.raises(FileNotFoundError):
        urls(path)


async def test_transports_for_httpx_are_recorded(path: str, server: Server) -> None:
    """Their connections are made by connectors, too."""
    httpx = pytest.importorskip("httpx")
    from anyhttp.httpx import AnyhttpTransport

    for _ in range(2):
        with record_requests(path):
            async with httpx.AsyncClient(transport=AnyhttpTransport()) as client:
                answer = await client.post(str(server.url / "echo"), json={"a": 1})
                assert answer.json()["method"] == "POST"
    assert server.requests == ["POST /echo"]


async def test_the_end_of_an_async_block_closes_the_connector(path: str) -> None:
    """An application whose requests are recorded is shut down."""
    events = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for _ in range(2):
                events.append((await receive())["type"])
                await send({"type": f"{events[-1]}.complete"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello"})

    async with record_requests(path, connector=ASGIConnector(application)):
        assert await program("http://app.test/") == b"hello"
    assert events == ["lifespan.startup", "lifespan.shutdown"]


async def test_the_whole_process(path: str, server: Server) -> None:
    """For fixtures that run in another context than their tests."""
    with record_requests(path, whole_process=True):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(program, server.url / "json")
    assert urls(path) == [str(server.url / "json")]


async def test_what_is_open_at_the_end_is_recorded_as_far_as_it_came(
    path: str, server: Server
) -> None:
    """Sessions may outlive the block."""
    async with ClientSession() as session:
        with record_requests(path):
            response = await session.get(server.url / "bytes/300000")
        assert urls(path) == [str(server.url / "bytes/300000")]
        assert len(await response.read()) == 300000
        assert urls(path) == [str(server.url / "bytes/300000")]


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_block_that_fails_makes_no_cassette(
    path: str, tmp_path: Path, asynchronous: bool
) -> None:
    """But the traffic is written."""
    mock = MockConnector()
    mock.get("http://api.test/a")
    har = tmp_path / "traffic.har"

    async def run() -> None:
        block = record_requests(path, connector=mock, har=har)
        if asynchronous:
            async with block:
                await program("http://api.test/a")
                raise ZeroDivisionError
        with block:
            await program("http://api.test/a")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await run()
    assert urls(str(har)) == ["http://api.test/a"]
    with pytest.raises(FileNotFoundError):
        urls(path)


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_refusal_that_the_program_catches_is_raised_at_the_end(
    path: str, asynchronous: bool
) -> None:
    """The test has to hear of it."""
    mock = MockConnector()
    mock.get("http://api.test/a")
    with record_requests(path, connector=mock):
        await program("http://api.test/a")

    async def careless() -> None:
        try:
            await program("http://api.test/b")
        except AssertionError:
            pass

    async def run() -> None:
        if asynchronous:
            async with record_requests(path):
                await careless()
            return
        with record_requests(path):
            await careless()

    with pytest.raises(UnrecordedRequest, match=r"has no entry for GET http://api.test/b"):
        await run()


def test_options_are_checked_when_it_is_called() -> None:
    """And not when the block is entered."""
    wrong: Any = 1
    with pytest.raises(TypeError, match="whole_process"):
        record_requests("a.har", whole_process=wrong)
    with pytest.raises(ValueError, match="mode must be one of"):
        record_requests("a.har", mode=wrong)
