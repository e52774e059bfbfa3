"""The plugin for pytest, with each of the plugins that run async tests: pytest in subprocesses."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Final, get_args

import pytest

import pytest_anyhttp
from anyhttp.testing import RecordMode
from tests.support.fresh_python import ROOT, output_of
from tests.support.server import Server

_LOOP: Final = "\nasyncio_default_fixture_loop_scope = function"


@dataclass(frozen=True, slots=True)
class Runner:
    """What runs async tests.

    :param plugin: a plugin of pytest
    :param setting: lines for ``pytest.ini``
    :param mark: what stands before an async test
    :param fixture: what stands before an async fixture
    """

    plugin: str
    setting: str
    mark: str = ""
    fixture: str = "@pytest.fixture"


RUNNERS: Final = {
    "anyio": Runner("anyio", "anyio_mode = strict", "@pytest.mark.anyio"),
    "anyio, auto": Runner("anyio", "anyio_mode = auto"),
    "asyncio": Runner(
        "asyncio",
        f"asyncio_mode = strict{_LOOP}",
        "@pytest.mark.asyncio",
        "@__import__('pytest_asyncio').fixture",
    ),
    "asyncio, auto": Runner("asyncio", f"asyncio_mode = auto{_LOOP}"),
    "trio": Runner("trio", "trio_mode = false", "@pytest.mark.trio"),
    "trio, auto": Runner("trio", "trio_mode = true"),
}

CONFTEST: Final = """
import json

def pytest_runtest_logreport(report):
    name = report.nodeid.rpartition("::")[2]
    with open("reports.jsonl", "a") as file:
        print(json.dumps([name, report.when, report.outcome, report.longreprtext]), file=file)
"""

HEADER: Final = """
import anyio, pytest
from anyhttp import ClientSession, UnixConnector
"""


@dataclass(frozen=True, slots=True)
class Report:
    """How a part of a test ended: its setup, the call, or its teardown."""

    outcome: str
    text: str


class Folder:
    """A folder with tests, which are run by a pytest of their own."""

    def __init__(self, path: Path, runner: str) -> None:
        self._runner = RUNNERS[runner]
        self.path: Path = path
        (path / "conftest.py").write_text(CONFTEST)

    def run(
        self, tests: str, *options: str, settings: str = "", returns: int = 0
    ) -> dict[str, dict[str, Report]]:
        """Run *tests*, and return how the parts of each ended.

        :param tests: ``@mark`` stands before async tests, ``@mark_fixture`` before async fixtures
        :param settings: lines for ``pytest.ini``
        :param returns: what pytest has to return: 0 if all tests passed, 1 if some failed
        """
        runner = self._runner
        text = HEADER + dedent(tests)
        text = text.replace("@mark_fixture", runner.fixture).replace("@mark", runner.mark)
        (self.path / "test_it.py").write_text(text)
        lines = ("[pytest]", "filterwarnings = error", runner.setting, dedent(settings))
        (self.path / "pytest.ini").write_text("\n".join(lines))
        reports = self.path / "reports.jsonl"
        reports.unlink(missing_ok=True)
        # Nothing is loaded but what is named, whatever is installed, and whatever runs this test.
        environment = {name: text for name, text in os.environ.items() if "PYTEST" not in name}
        environment |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)}
        command = (sys.executable, "-m", "pytest", "-p", "pytest_anyhttp", "-p", runner.plugin)
        done = subprocess.run(
            [*command, "-p", "no:cacheprovider", *options],
            cwd=self.path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == returns, done.stdout + done.stderr
        found: dict[str, dict[str, Report]] = {}
        for line in reports.read_text().splitlines():
            name, when, outcome, longrepr = json.loads(line)
            found.setdefault(name, {})[when] = Report(outcome, longrepr)
        return found


@pytest.fixture(params=["anyio", "asyncio", "trio"])
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Folder:
    """A folder for tests, for each plugin that runs async ones."""
    return Folder(tmp_path, request.param)


@pytest.fixture(params=RUNNERS)
def folder_of_each_kind(tmp_path: Path, request: pytest.FixtureRequest) -> Folder:
    """The same, also with the settings by which these plugins run all async tests."""
    return Folder(tmp_path, request.param)


@pytest.fixture
def anyio_folder(tmp_path: Path) -> Folder:
    """A folder for tests that anyio's plugin runs."""
    return Folder(tmp_path, "anyio")


@pytest.fixture
def one_folder(tmp_path: Path) -> Folder:
    """A folder for tests to which the plugin that runs them makes no difference."""
    return Folder(tmp_path, "asyncio")


def ending(parts: dict[str, Report]) -> str:
    """How a test ended: its first part that did not pass, with its outcome."""
    bad = [f"{part.outcome} in {when}" for when, part in parts.items() if part.outcome != "passed"]
    return bad[0] if bad else "passed"


def endings(reports: dict[str, dict[str, Report]]) -> dict[str, str]:
    """How each test ended."""
    return {name: ending(parts) for name, parts in reports.items()}


def test_nothing_of_the_package_is_imported_with_the_plugin() -> None:
    """The plugin is loaded in every run of everybody who has installed anyhttp."""
    printed = output_of(
        "import sys, pytest_anyhttp",
        "print(*(name for name in sys.modules if name.partition('.')[0] == 'anyhttp'))",
    )
    assert printed == ""


def test_nothing_is_imported_in_a_run_without_a_fixture(one_folder: Folder) -> None:
    """Neither by the hooks of the plugin."""
    reports = one_folder.run(
        """
        import sys

        def test_passes():
            assert "anyhttp.testing" not in sys.modules

        def test_fails():
            assert "anyhttp.testing" in sys.modules
    """,
        returns=1,
    )
    assert endings(reports) == {"test_passes": "passed", "test_fails": "failed in call"}


class TestMock:
    """``anyhttp_mock``."""

    def test_requests_are_answered(self, folder_of_each_kind: Folder) -> None:
        """In a test, in its async fixtures, and in threads, whatever runs them."""
        reports = folder_of_each_kind.run(
            """
            import threading

            URL = "https://api.test/users"

            async def fetch():
                async with ClientSession() as session, session.get(URL) as response:
                    return await response.json()

            @mark_fixture
            async def user(anyhttp_mock):
                anyhttp_mock.get(URL, json="Ann")
                assert await fetch() == "Ann"
                yield await fetch()
                assert await fetch() == "Ann"
                assert len(anyhttp_mock.calls) == 5

            @mark
            async def test_it(user, anyhttp_mock):
                assert user == await fetch() == "Ann"
                thread = threading.Thread(target=lambda: anyio.run(fetch))
                thread.start()
                await anyio.to_thread.run_sync(thread.join)

            def test_without_a_loop(anyhttp_mock):
                anyhttp_mock.get(URL, json="Bob")
                assert anyio.run(fetch) == "Bob"
            """
        )
        assert set(endings(reports).values()) == {"passed"}

    def test_fixtures_of_a_module(self, anyio_folder: Folder) -> None:
        """With one, anyio's plugin runs all tests in a context that was made before."""
        reports = anyio_folder.run(
            """
            @pytest.fixture(scope="module")
            async def session():
                async with ClientSession() as session:
                    yield session

            @mark
            @pytest.mark.parametrize("name", ["Ann", "Bob"])
            async def test_it(anyhttp_mock, session, name):
                anyhttp_mock.get("https://api.test/users", json=name)
                async with session.get("https://api.test/users") as response:
                    assert await response.json() == name
            """
        )
        assert set(endings(reports).values()) == {"passed"}
        assert len(reports) == 4

    def test_what_the_end_finds(self, folder: Folder) -> None:
        """A test that passed fails at its end; one that failed says why itself."""
        reports = folder.run(
            """
            async def swallow():
                async with ClientSession() as session:
                    try:
                        await session.get("https://api.test/users")
                    except Exception:
                        pass

            @mark
            async def test_route(anyhttp_mock):
                anyhttp_mock.get("https://api.test/users")

            @mark
            async def test_request(anyhttp_mock):
                await swallow()

            @mark
            async def test_fails(anyhttp_mock):
                anyhttp_mock.get("https://api.test/other")
                await swallow()
                assert not "what the test wants"

            @mark
            @pytest.mark.anyhttp_mock(assert_all_called=False)
            async def test_passes(anyhttp_mock):
                anyhttp_mock.get("https://api.test/users")
            """,
            returns=1,
        )
        expected = {
            "test_route": ("failed in teardown", "GET https://api.test/users"),
            "test_request": ("failed in teardown", "no route answers GET https://api.test/users"),
            "test_fails": ("failed in call", "what the test wants"),
            "test_passes": ("passed", ""),
        }
        for name, parts in reports.items():
            how, text = expected[name.partition("[")[0]]
            assert ending(parts) == how
            assert text in "".join(part.text for part in parts.values())
            if how == "failed in call":
                assert "no route answers GET https://api.test/users" in parts["call"].text
                assert parts["teardown"].outcome == "passed"

    def test_a_function_that_still_answers(self, folder: Folder) -> None:
        """It ends with the test, or with the event loop that the test was run in."""
        reports = folder.run(
            """
            @mark
            async def test_it(anyhttp_mock):
                begun = anyio.Event()

                async def never(request):
                    begun.set()
                    await anyio.sleep_forever()

                anyhttp_mock.get("https://api.test/users", answer=never)
                async with ClientSession() as session, anyio.create_task_group() as group:
                    group.start_soon(session.get, "https://api.test/users")
                    await begun.wait()
                    group.cancel_scope.cancel()
            """
        )
        assert set(endings(reports).values()) == {"passed"}

    def test_a_mark_that_is_wrong(self, one_folder: Folder) -> None:
        """The setup of the test says so."""
        reports = one_folder.run(
            """
            @pytest.mark.anyhttp_mock(False)
            def test_position(anyhttp_mock): ...

            @pytest.mark.anyhttp_mock(assert_all_called="no")
            def test_value(anyhttp_mock): ...

            @pytest.mark.anyhttp_mock(whole_process=False)
            def test_name(anyhttp_mock): ...
            """,
            "--strict-markers",
            returns=1,
        )
        assert set(endings(reports).values()) == {"failed in setup"}
        assert "assert_all_called must be a bool" in reports["test_value"]["setup"].text

    def test_a_test_that_catches_what_the_mock_tells(self, one_folder: Folder) -> None:
        """It clears the list, and passes."""
        reports = one_folder.run(
            """
            from anyhttp.testing import UnansweredRequest

            @mark
            async def test_it(anyhttp_mock):
                async with ClientSession() as session:
                    with pytest.raises(UnansweredRequest):
                        await session.get("https://api.test/users")
                anyhttp_mock.unanswered.clear()
            """
        )
        assert endings(reports) == {"test_it": "passed"}

    @pytest.mark.parametrize("fixtures", ["mock, no_network", "no_network, mock"])
    def test_beside_the_fixture_that_forbids_connections(
        self, one_folder: Folder, fixtures: str
    ) -> None:
        """What the mock answers is no connection; what it passes through is one."""
        names = ", ".join(f"anyhttp_{name}" for name in fixtures.split(", "))
        reports = one_folder.run(
            f"""
            from anyhttp.testing import ForbiddenConnection

            @mark
            async def test_it({names}):
                anyhttp_mock.get("https://api.test/users")
                anyhttp_mock.pass_through("real.test")
                async with ClientSession() as session:
                    async with session.get("https://api.test/users"):
                        pass
                    with pytest.raises(ForbiddenConnection, match="real.test"):
                        await session.get("https://real.test")
                anyhttp_no_network.refused.clear()
            """
        )
        assert endings(reports) == {"test_it": "passed"}


class TestRecorder:
    """``anyhttp_recorder``."""

    def test_a_test_is_recorded_and_replayed(self, folder: Folder, server: Server) -> None:
        """In a file that is named after it, and is the same for each backend."""
        url = server.url / "json"
        tests = f"""
            async def fetch():
                async with ClientSession() as session, session.get("{url}") as response:
                    return await response.json()

            class TestIt:
                @mark
                async def test_it(self, anyhttp_recorder):
                    assert await fetch()
                    assert anyhttp_recorder.unplayed == []
        """
        for _ in range(2):
            assert set(endings(folder.run(tests)).values()) == {"passed"}
            assert server.requests == ["GET /json"]
        cassettes = folder.path / "cassettes" / "test_it"
        assert [path.name for path in cassettes.iterdir()] == ["TestIt.test_it.har"]

    def test_names_of_cassettes(self, anyio_folder: Folder, server: Server) -> None:
        """A name that no file may have, or that would be too long, ends with a digest."""
        url = server.url / "json"
        anyio_folder.run(
            f"""
            LONG = pytest.param("", id="x" * 200)

            @mark
            @pytest.mark.parametrize("text", ["Ann", "trio", "a/b", "a?b", LONG])
            async def test_it(anyhttp_recorder, text):
                async with ClientSession() as session, session.get("{url}") as response:
                    await response.read()
            """
        )
        cassettes = anyio_folder.path / "cassettes" / "test_it"
        names = sorted(path.stem for path in cassettes.iterdir())
        assert len(names) == 5
        assert {"test_it-Ann", "test_it-trio"} < {*names}
        for beginning, name in zip(["a_b", "a_b", "x" * 92], names[1:3] + names[4:], strict=True):
            assert re.fullmatch(rf"test_it-{beginning}-[0-9a-f]{{8}}", name)

    def test_the_mode_and_further_options(self, one_folder: Folder, server: Server) -> None:
        """By the command line, and by a mark."""
        url = server.url / "json"
        tests = f"""
            import itertools, os

            @mark
            @pytest.mark.anyhttp_recorder(match_on=["method", "path"], mode="none")
            async def test_it(anyhttp_recorder):
                url = "{url}?now=" + os.urandom(4).hex()
                async with ClientSession() as session, session.get(url) as response:
                    await response.read()
        """
        reports = one_folder.run(tests, returns=1)
        assert ending(reports["test_it"]) == "failed in setup"
        assert "test_it.har" in reports["test_it"]["setup"].text
        for mode, requests in (("once", 1), ("once", 1), ("all", 2), ("none", 2)):
            reports = one_folder.run(tests, f"--anyhttp-record={mode}")
            assert endings(reports) == {"test_it": "passed"}
            assert len(server.requests) == requests

    def test_a_mode_that_is_none(self, one_folder: Folder) -> None:
        """The command line is refused, with those that there are."""
        with pytest.raises(AssertionError, match="new_episodes"):
            one_folder.run("", "--anyhttp-record=some")

    def test_the_modes_are_those_of_a_recorder(self) -> None:
        """They are repeated in the plugin, which imports nothing for its options."""
        parser = pytest.Parser(_ispytest=True)
        pytest_anyhttp.pytest_addoption(parser)
        (option,) = parser.getgroup("anyhttp").options
        assert {*option.attrs()["choices"]} == {*get_args(RecordMode)}

    def test_a_test_that_fails_records_nothing(self, folder: Folder, server: Server) -> None:
        """What it sent is perhaps half of what it would send."""
        url = server.url / "json"
        reports = folder.run(
            f"""
            @mark
            async def test_it(anyhttp_recorder):
                async with ClientSession() as session, session.get("{url}"):
                    assert not "what the test wants"
            """,
            returns=1,
        )
        assert set(endings(reports).values()) == {"failed in call"}
        assert not (folder.path / "cassettes").exists()

    def test_a_request_that_is_not_recorded(self, one_folder: Folder, server: Server) -> None:
        """The end of the test tells of it, if the program has caught the error."""
        url = server.url / "json"
        tests = f"""
            import contextlib

            @mark
            async def test_it(anyhttp_recorder):
                for path in PATHS:
                    async with ClientSession() as session:
                        with contextlib.suppress(Exception):
                            await session.get("{url}" + path)
        """
        one_folder.run(tests.replace("PATHS", "['']"))
        reports = one_folder.run(tests.replace("PATHS", "['', '/other']"), returns=1)
        assert ending(reports["test_it"]) == "failed in teardown"
        assert "/other" in reports["test_it"]["teardown"].text

    def test_beside_the_fixture_that_forbids_connections(
        self, one_folder: Folder, server: Server
    ) -> None:
        """Nothing is recorded by mistake: the command line has to say so."""
        url = server.url / "json"
        tests = f"""
            @mark
            async def test_it(anyhttp_recorder):
                async with ClientSession() as session, session.get("{url}") as response:
                    await response.read()
        """
        settings = "usefixtures = anyhttp_no_network"
        reports = one_folder.run(tests, settings=settings, returns=1)
        assert "ForbiddenConnection" in reports["test_it"]["call"].text
        for mode in ("once", "none"):
            reports = one_folder.run(tests, f"--anyhttp-record={mode}", settings=settings)
            assert endings(reports) == {"test_it": "passed"}
        assert server.requests == ["GET /json"]


APPLICATION: Final = """
    started = []

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            assert (await receive())["type"] == "lifespan.startup"
            started.append(True)
            await send({"type": "lifespan.startup.complete"})
            await receive()
            started.append(False)
            await send({"type": "lifespan.shutdown.complete"})
        else:
            host = dict(scope["headers"])[b"host"]
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": host + scope["path"].encode()})
"""


class TestAsgi:
    """``anyhttp_asgi``."""

    def test_an_application_in_memory(self, folder: Folder) -> None:
        """It is started and shut down by the session."""
        reports = folder.run(
            APPLICATION
            + """
    @mark
    async def test_it(anyhttp_asgi, anyhttp_no_network):
        async with anyhttp_asgi(app) as session, session.get("/path") as response:
            assert await response.text() == "testserver/path"
            assert started == [True]
        assert started == [True, False]
        started.clear()
        options = {"base_url": "https://api.test/v1/", "lifespan": "off"}
        async with anyhttp_asgi(app, **options) as session, session.get("path") as response:
            assert await response.text() == "api.test/v1/path"
        assert started == []
"""
        )
        assert set(endings(reports).values()) == {"passed"}

    def test_a_session_that_is_not_closed(self, one_folder: Folder) -> None:
        """The application has not been shut down."""
        reports = one_folder.run(
            APPLICATION
            + """
    def test_passes(anyhttp_asgi):
        async def run():
            anyhttp_asgi(app)

        anyio.run(run)

    def test_fails(anyhttp_asgi):
        test_passes(anyhttp_asgi)
        assert not "what the test wants"
""",
            returns=1,
        )
        assert endings(reports) == {
            "test_passes": "failed in teardown",
            "test_fails": "failed in call",
        }
        assert "async with anyhttp_asgi(app)" in reports["test_passes"]["teardown"].text
        assert reports["test_fails"]["teardown"].outcome == "passed"


class TestServe:
    """``anyhttp_serve``."""

    def test_a_server_on_loopback(self, folder: Folder) -> None:
        """It runs on the backend of the test, in another thread; a plain test can use it, too."""
        reports = folder.run(
            """
            import threading, urllib.request
            from anyhttp.testing import Answer

            async def handler(request):
                await anyio.sleep(0)
                library = anyio.get_current_task().coro is not None and __import__("sniffio")
                return {
                    "library": library.current_async_library(),
                    "is_here": threading.get_ident() == request_thread,
                }

            request_thread = threading.get_ident()

            @mark
            async def test_it(anyhttp_serve):
                import sniffio

                server = anyhttp_serve(handler)
                other = anyhttp_serve(tls=True)
                other.get("/path", text="encrypted")
                async with ClientSession() as session:
                    async with session.get(server.url) as response:
                        library = sniffio.current_async_library()
                        assert await response.json() == {"library": library, "is_here": False}
                    async with session.get(
                        other.url / "path", ssl=other.client_context
                    ) as response:
                        assert await response.text() == "encrypted"
                assert len(server.calls) == len(other.calls) == 1

            def test_plain(anyhttp_serve):
                server = anyhttp_serve("hello")
                with urllib.request.urlopen(str(server.url)) as response:
                    assert response.read() == b"hello"
            """
        )
        assert set(endings(reports).values()) == {"passed"}

    def test_what_fails_in_the_server(self, folder: Folder) -> None:
        """A test that passed fails at its end; one that failed says why itself."""
        reports = folder.run(
            """
            def handler(request):
                raise LookupError("in the handler")

            async def fetch(server):
                async with ClientSession() as session, session.get(server.url) as response:
                    assert response.status == 500

            @mark
            async def test_handler(anyhttp_serve):
                await fetch(anyhttp_serve(handler))

            @mark
            async def test_request(anyhttp_serve):
                await fetch(anyhttp_serve())

            @mark
            async def test_fails(anyhttp_serve):
                await fetch(anyhttp_serve())
                assert not "what the test wants"
            """,
            returns=1,
        )
        for name, parts in reports.items():
            if name.startswith("test_fails"):
                assert ending(parts) == "failed in call"
                assert parts["teardown"].outcome == "passed"
                assert "what the test wants" in parts["call"].text
                assert "no route answers GET http://127.0.0.1" in parts["call"].text
            else:
                assert ending(parts) == "failed in teardown"
                text = parts["teardown"].text
                assert "in the handler" in text or "no route answers GET" in text

    def test_beside_the_fixtures_that_let_nothing_through(self, one_folder: Folder) -> None:
        """They let requests to the server through."""
        reports = one_folder.run(
            """
            @mark
            async def test_it(anyhttp_serve, anyhttp_mock, anyhttp_no_network):
                server = anyhttp_serve("from the server")
                anyhttp_mock.get("https://api.test/", text="from the mock")
                async with ClientSession() as session:
                    async with session.get(server.url) as response:
                        assert await response.text() == "from the server"
                    async with session.get("https://api.test/") as response:
                        assert await response.text() == "from the mock"
            """
        )
        assert endings(reports) == {"test_it": "passed"}


class TestNoNetwork:
    """``anyhttp_no_network``."""

    def test_a_connection_is_refused(self, folder: Folder) -> None:
        """The error names the host and the test; it is told once."""
        reports = folder.run(
            """
            @mark
            async def test_fails(anyhttp_no_network):
                async with ClientSession() as session:
                    await session.get("https://api.test/users?id=1")
            """,
            returns=1,
        )
        for name, parts in reports.items():
            assert parts["call"].outcome == "failed"
            assert parts["teardown"].outcome == "passed"
            text = parts["call"].text
            assert (
                f"ForbiddenConnection: test_it.py::{name} may not connect to api.test:443" in text
            )
            assert "as GET https://api.test/users?id=1 wants to" in text
            assert "Besides" not in text

    def test_a_program_that_catches_the_error_does_not_hide_it(self, folder: Folder) -> None:
        """The end of the test raises it, or the failure of the test shows it."""
        reports = folder.run(
            """
            async def swallow():
                async with ClientSession() as session:
                    try:
                        await session.get("http://127.0.0.1:1/")
                    except Exception:
                        pass

            @mark
            async def test_passes(anyhttp_no_network):
                await swallow()

            @mark
            async def test_fails(anyhttp_no_network):
                await swallow()
                assert not "what the test wants"

            @mark
            async def test_is_skipped(anyhttp_no_network):
                await swallow()
                pytest.skip("this has a reason")
            """,
            returns=1,
        )
        for name, parts in reports.items():
            if name.startswith("test_passes"):
                assert ending(parts) == "failed in teardown"
                assert "may not connect to 127.0.0.1:1" in parts["teardown"].text
            elif name.startswith("test_fails"):
                assert ending(parts) == "failed in call"
                assert parts["teardown"].outcome == "passed"
                assert "what the test wants" in parts["call"].text
                assert "may not connect to 127.0.0.1:1" in parts["call"].text
            else:
                assert ending(parts) == "skipped in call"
                assert parts["teardown"].outcome == "passed"

    def test_async_fixtures_and_threads_are_refused_too(self, folder: Folder) -> None:
        """Whatever runs them, and in which context."""
        reports = folder.run(
            """
            import contextvars, threading
            from anyhttp.testing import ForbiddenConnection

            async def refused():
                async with ClientSession() as session:
                    with pytest.raises(ForbiddenConnection, match="api.test"):
                        await session.get("http://api.test/")

            @mark_fixture
            async def asks(anyhttp_no_network):
                await refused()
                yield
                await refused()
                anyhttp_no_network.refused.clear()

            @mark
            async def test_it(asks):
                await refused()
                thread = threading.Thread(target=lambda: anyio.run(refused))
                thread.start()
                await anyio.to_thread.run_sync(thread.join)

            def test_without_a_loop(anyhttp_no_network):
                anyio.run(refused)
                assert len(anyhttp_no_network.refused) == 1
                anyhttp_no_network.refused.clear()
            """
        )
        assert set(endings(reports).values()) == {"passed"}

    def test_what_is_allowed(self, folder: Folder, server: Server) -> None:
        """By host, by host and port, or by a URL; other ports are not, nor are Unix sockets."""
        port = server.url.port
        reports = folder.run(
            f"""
            from anyhttp.testing import ForbiddenConnection

            @mark
            async def test_allowed(anyhttp_no_network):
                anyhttp_no_network.allow("127.0.0.1:{port}", "[::1]:80", "a.test")
                async with ClientSession() as session:
                    async with session.get("http://127.0.0.1:{port}/") as response:
                        assert response.status == 404
                    for url in ("http://127.0.0.1:1/", "http://[::1]:81/", "http://b.test"):
                        with pytest.raises(ForbiddenConnection, match="may not connect to"):
                            await session.get(url)
                    with pytest.raises(ForbiddenConnection, match="to the proxy p.test:3128"):
                        await session.get("http://a.test", proxy="http://p.test:3128")
                async with ClientSession(connector=UnixConnector("/tmp/no")) as session:
                    with pytest.raises(ForbiddenConnection, match="localhost:80"):
                        await session.get("http://localhost/")
                anyhttp_no_network.refused.clear()

            @mark
            async def test_forbidden_again(anyhttp_no_network):
                async with ClientSession() as session:
                    with pytest.raises(ForbiddenConnection):
                        await session.get("http://127.0.0.1:{port}/")
                anyhttp_no_network.refused.clear()
            """
        )
        assert set(endings(reports).values()) == {"passed"}

    def test_for_all_tests_of_a_project(self, one_folder: Folder) -> None:
        """By a setting that pytest has."""
        reports = one_folder.run(
            """
            @mark
            async def test_fails():
                async with ClientSession() as session:
                    await session.get("http://api.test/")
            """,
            settings="usefixtures = anyhttp_no_network",
            returns=1,
        )
        assert "ForbiddenConnection" in reports["test_fails"]["call"].text
