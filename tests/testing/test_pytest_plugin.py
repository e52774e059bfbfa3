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


@pytest.fixture(params=["anyio, auto", "asyncio, auto", "trio, auto"])
def folder_without_marks(tmp_path: Path, request: pytest.FixtureRequest) -> Folder:
    """The same with the settings by which these plugins run all async tests."""
    return Folder(tmp_path, request.param)


#: What several tests below write.
FETCH: Final = """
URL = "https://api.test/users"

async def fetch(url=URL):
    async with ClientSession() as session, session.get(url) as response:
        return await response.text()

async def swallow(url=URL):
    try:
        await fetch(url)
    except Exception:
        pass
"""


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


def test_requests_of_tests_fixtures_and_threads_are_answered(folder_without_marks: Folder) -> None:
    """By the mock, whatever runs them, and in which context."""
    reports = folder_without_marks.run(
        FETCH
        + """
import threading

@mark_fixture
async def user(anyhttp_mock):
    anyhttp_mock.get(URL, text="Ann")
    assert await fetch() == "Ann"
    yield await fetch()
    assert await fetch() == "Ann"
    assert len(anyhttp_mock.calls) == 5

@mark
async def test_async(user, anyhttp_mock):
    assert user == await fetch() == "Ann"
    thread = threading.Thread(target=lambda: anyio.run(fetch))
    thread.start()
    await anyio.to_thread.run_sync(thread.join)

@mark
async def test_function_that_still_answers(anyhttp_mock):
    begun = anyio.Event()

    async def never(request):
        begun.set()
        await anyio.sleep_forever()

    anyhttp_mock.get(URL, answer=never)
    async with anyio.create_task_group() as group:
        group.start_soon(fetch)
        await begun.wait()
        group.cancel_scope.cancel()

def test_plain(anyhttp_mock):
    anyhttp_mock.get(URL, text="Bob")
    assert anyio.run(fetch) == "Bob"
"""
    )
    assert set(endings(reports).values()) == {"passed"}


def test_fixtures_of_a_module(anyio_folder: Folder) -> None:
    """With one, anyio's plugin runs all tests in a context that was made before."""
    reports = anyio_folder.run("""
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
    """)
    assert set(endings(reports).values()) == {"passed"}
    assert len(reports) == 4


#: How tests end, and what the text of that end contains.
ENDS: Final = {
    "test_mock": ("failed in call", "anyhttp.testing.UnansweredRequest: no route answers GET "),
    "test_mock_route": ("failed in teardown", "GET https://api.test/users"),
    "test_mock_caught": ("failed in teardown", "no route answers GET https://api.test/users"),
    "test_mock_fails": ("failed in call", "no route answers GET https://api.test/users"),
    "test_mock_script_fails": ("failed in call", "has raised LookupError('in the script')"),
    "test_mock_skipped": ("skipped in call", "Skipped"),
    "test_mock_mark": ("passed", ""),
    "test_mock_setup": ("failed in setup", "what the fixture wants"),
    "test_network": (
        "failed in call",
        "may not connect to api.test:443, as GET https://api.test/u",
    ),
    "test_network_caught": ("failed in teardown", "may not connect to 127.0.0.1:1"),
    "test_network_fails": ("failed in call", "may not connect to 127.0.0.1:1"),
    "test_serve_function": ("failed in teardown", "in the function"),
    "test_serve_caught": ("failed in teardown", "no route answers GET http://127.0.0.1"),
    "test_serve_fails": ("failed in call", "no route answers GET http://127.0.0.1"),
    "test_serve_function_fails": ("failed in call", "LookupError: in the function"),
    "test_asgi_open": ("failed in teardown", "async with anyhttp_asgi(app)"),
    "test_asgi_fails": ("failed in call", ""),
}


def test_what_the_ends_of_tests_find(folder: Folder) -> None:
    """A test that passed fails at its end; one that failed says why itself, and once."""
    reports = folder.run(
        FETCH
        + """
@mark
async def test_mock(anyhttp_mock):
    await fetch()

@mark
async def test_mock_route(anyhttp_mock):
    anyhttp_mock.get(URL)

@mark
async def test_mock_caught(anyhttp_mock):
    await swallow()

@mark
async def test_mock_fails(anyhttp_mock):
    anyhttp_mock.get("https://api.test/other")
    await swallow()
    assert not "what the test wants"

@mark
async def test_mock_skipped(anyhttp_mock):
    anyhttp_mock.get(URL)
    pytest.skip("this has a reason")

@mark
@pytest.mark.anyhttp_mock(assert_all_called=False)
async def test_mock_mark(anyhttp_mock):
    anyhttp_mock.get(URL)
    with pytest.raises(AssertionError):
        await fetch("https://api.test/other")
    anyhttp_mock.unanswered.clear()

@pytest.fixture
def fails(anyhttp_mock):
    anyhttp_mock.get(URL)
    anyio.run(swallow, "https://api.test/other")
    raise LookupError("what the fixture wants")

def test_mock_setup(fails): ...

@mark
async def test_network(anyhttp_no_network):
    await fetch()

@mark
async def test_network_caught(anyhttp_no_network):
    await swallow("http://127.0.0.1:1/")

@mark
async def test_network_fails(anyhttp_no_network):
    await swallow("http://127.0.0.1:1/")
    assert not "what the test wants"

@mark
async def test_serve_function(anyhttp_serve):
    def function(request):
        raise LookupError("in the function")

    await swallow(anyhttp_serve(function).url)

@mark
async def test_serve_caught(anyhttp_serve):
    await swallow(anyhttp_serve().url)

@mark
async def test_serve_fails(anyhttp_serve):
    await swallow(anyhttp_serve().url)
    assert not "what the test wants"

@mark
async def test_serve_function_fails(anyhttp_serve):
    def function(request):
        raise LookupError("in the function")

    await swallow(anyhttp_serve(function).url)
    assert not "what the test wants"

@mark
async def test_mock_script_fails(anyhttp_mock):
    async def script(peer):
        await peer.receive()
        raise LookupError("in the script")

    anyhttp_mock.ws("/feed", script)
    async with ClientSession("http://api.test") as session:
        with anyio.CancelScope() as scope:
            async with session.ws_connect("/feed") as websocket:
                await websocket.send_str("a message")
                scope.cancel()
        await anyio.wait_all_tasks_blocked()
        assert not "what the test wants"

async def app(scope, receive, send):
    raise NotImplementedError

@mark
async def test_asgi_open(anyhttp_asgi):
    anyhttp_asgi(app)

@mark
async def test_asgi_fails(anyhttp_asgi):
    anyhttp_asgi(app)
    assert not "what the test wants"
""",
        # two tests close no session, which the garbage collector may find in any later one
        "-W",
        "ignore:Unclosed client session:ResourceWarning",
        returns=1,
    )
    assert {name.partition("[")[0] for name in reports} == ENDS.keys()
    for name, parts in reports.items():
        plain = name.partition("[")[0]
        how, expected = ENDS[plain]
        assert ending(parts) == how, name
        text = "".join(part.text for part in parts.values())
        assert expected in text, name
        if how != "failed in teardown":
            assert parts["teardown"].outcome == "passed", name
        assert ("what the test wants" in text) is plain.endswith("_fails"), name
        if plain in {"test_mock", "test_network"}:  # told once
            assert "Besides" not in text, name
        if plain == "test_mock_setup":
            assert "no route answers GET https://api.test/other" in text
        if plain == "test_mock_route":  # without lines of the plugin, and once
            assert text.startswith("not all routes were called")
            assert text.count("not all") == 1
        if plain == "test_network":
            assert f"test_it.py::{name} may not connect" in text


def test_failures_of_test_cases_and_of_their_parts(one_folder: Folder) -> None:
    """They are failures of the test, too, although nothing is raised where pytest runs it."""
    reports = one_folder.run(
        FETCH
        + """
import unittest

class WithMock:
    @pytest.fixture(autouse=True)
    def routes(self, anyhttp_mock):
        anyhttp_mock.get(URL, text="Ann")

class TestPlain(WithMock, unittest.TestCase):
    def test_passes(self):
        self.assertEqual(anyio.run(fetch), "Ann")

    def test_does_not_call(self): ...

    def test_fails(self):
        anyio.run(swallow, "https://api.test/other")
        self.fail("what the test wants")

    def test_fails_in_a_part(self):
        for part in range(2):
            with self.subTest(part=part):
                self.assertEqual(part, 1)

    def test_is_skipped(self):
        self.skipTest("this has a reason")

    @unittest.expectedFailure
    def test_is_expected_to_fail(self):
        self.fail("what the test wants")

class TestAsync(WithMock, unittest.IsolatedAsyncioTestCase):
    async def test_passes_on_asyncio(self):
        self.assertEqual(await fetch(), "Ann")

    async def test_fails_on_asyncio(self):
        self.fail("what the test wants")
""",
        returns=1,
    )
    found = {name: parts["teardown"].outcome for name, parts in reports.items()}
    assert found.pop("test_does_not_call") == "failed"
    assert len(found) == 7
    assert set(found.values()) == {"passed"}
    text = reports["test_fails"]["call"].text
    assert text.index("what the test wants") < text.index("answers GET https://api.test/other")


def test_marks_that_are_wrong(one_folder: Folder) -> None:
    """The setup of the test says so."""
    reports = one_folder.run(
        """
        @pytest.mark.anyhttp_mock(False)
        def test_position(anyhttp_mock): ...

        @pytest.mark.anyhttp_mock(assert_all_called="no")
        def test_value(anyhttp_mock): ...

        @pytest.mark.anyhttp_mock(whole_process=False)
        def test_name(anyhttp_mock): ...

        @pytest.mark.anyhttp_recorder(modes="once")
        def test_recorder(anyhttp_recorder): ...
        """,
        "--strict-markers",
        returns=1,
    )
    assert set(endings(reports).values()) == {"failed in setup"}
    assert "assert_all_called must be a bool" in reports["test_value"]["setup"].text
    assert "'modes'" in reports["test_recorder"]["setup"].text


class TestNoNetwork:
    """``anyhttp_no_network``."""

    def test_what_is_refused_and_what_is_allowed(self, folder: Folder, server: Server) -> None:
        """In all contexts and threads, by host and port; Unix sockets and proxies are, too."""
        url = server.url / "json"
        reports = folder.run(
            f"""
            import threading
            from anyhttp.testing import ForbiddenConnection

            async def refused(url="http://api.test/", text="may not connect to", **options):
                async with ClientSession() as session:
                    with pytest.raises(ForbiddenConnection, match=text):
                        await session.get(url, **options)

            @mark_fixture
            async def asks(anyhttp_no_network):
                await refused()
                yield
                await refused()
                anyhttp_no_network.refused.clear()

            @mark
            async def test_contexts(asks):
                await refused()
                thread = threading.Thread(target=lambda: anyio.run(refused))
                thread.start()
                await anyio.to_thread.run_sync(thread.join)

            def test_plain(anyhttp_no_network):
                anyio.run(refused)
                assert len(anyhttp_no_network.refused) == 1
                anyhttp_no_network.refused.clear()

            @mark
            async def test_allowed(anyhttp_no_network):
                anyhttp_no_network.allow("127.0.0.1:{url.port}", "[::1]:80", "a.test")
                async with ClientSession() as session, session.get("{url}") as response:
                    assert response.status == 200
                for other in ("http://127.0.0.1:1/", "http://[::1]:81/", "http://b.test"):
                    await refused(other)
                await refused("http://a.test", "to the proxy p.test:3128", proxy="http://p.test:3128")
                async with ClientSession(connector=UnixConnector("/tmp/no")) as session:
                    with pytest.raises(ForbiddenConnection, match="localhost:80"):
                        await session.get("http://localhost/")
                anyhttp_no_network.refused.clear()

            @mark
            async def test_forbidden_again(anyhttp_no_network):
                await refused("{url}")
                anyhttp_no_network.refused.clear()
            """
        )
        assert set(endings(reports).values()) == {"passed"}

    def test_beside_other_fixtures(self, one_folder: Folder) -> None:
        """What a mock answers is no connection, what it passes through is one; servers are let in.

        A setting of pytest has all tests of a project use the fixture.
        """
        reports = one_folder.run(
            FETCH
            + """
from anyhttp.testing import ForbiddenConnection

@mark
async def test_refused():
    await fetch()

async def check(mock, guard):
    mock.get(URL, text="from the mock")
    mock.pass_through("real.test")
    assert await fetch() == "from the mock"
    with pytest.raises(ForbiddenConnection, match="real.test"):
        await fetch("https://real.test")
    guard.refused.clear()

@mark
async def test_before_the_mock(anyhttp_no_network, anyhttp_mock):
    await check(anyhttp_mock, anyhttp_no_network)

@mark
async def test_after_the_mock(anyhttp_mock, anyhttp_no_network):
    await check(anyhttp_mock, anyhttp_no_network)

@mark
async def test_server(anyhttp_serve):
    assert await fetch(anyhttp_serve("from the server").url) == "from the server"

@mark
async def test_server_and_mock(anyhttp_serve, anyhttp_mock, anyhttp_no_network):
    assert await fetch(anyhttp_serve("from the server").url) == "from the server"
    await check(anyhttp_mock, anyhttp_no_network)
""",
            settings="usefixtures = anyhttp_no_network",
            returns=1,
        )
        found = endings(reports)
        assert found.pop("test_refused") == "failed in call"
        assert "ForbiddenConnection" in reports["test_refused"]["call"].text
        assert set(found.values()) == {"passed"}


class TestRecorder:
    """``anyhttp_recorder``."""

    def test_a_test_is_recorded_and_replayed(self, anyio_folder: Folder, server: Server) -> None:
        """In a file that is named after it, and is the same for each backend."""
        url = server.url / "json"
        tests = FETCH + dedent(f"""
            class TestIt:
                @mark
                async def test_it(self, anyhttp_recorder):
                    assert await fetch("{url}")
                    assert anyhttp_recorder.unplayed == []

            LONG = pytest.param("", id="x" * 200)

            @mark
            @pytest.mark.parametrize("text", ["Ann", "trio", "a/b", "a?b", LONG])
            async def test_names(anyhttp_recorder, text):
                await fetch("{url}")

            @mark
            @pytest.mark.parametrize("anyio_backend", [pytest.param("trio", id="other")])
            async def test_backend(anyhttp_recorder):
                await fetch("{url}")

            @mark
            @pytest.mark.parametrize("anyio_backend", [("asyncio", {{}}), ("trio", {{}})])
            @pytest.mark.parametrize("text", ["asyncio_a", "trio_b"])
            async def test_names_of_backends(anyhttp_recorder, text):
                await fetch("{url}")

            @mark
            @pytest.mark.parametrize("anyio_backend", [pytest.param("asyncio", id="asyncio+x")])
            async def test_longer_name_of_backend(anyhttp_recorder):
                await fetch("{url}")

            @pytest.mark.parametrize("text", ["Ann"])
            def test_plain(anyhttp_recorder, text):
                anyio.run(fetch, "{url}")

            def test_{"ö" * 140}(anyhttp_recorder):
                anyio.run(fetch, "{url}")

            @mark
            async def test_fails(anyhttp_recorder):
                await fetch("{url}")
                assert not "what the test wants"
        """)
        for requests in (14, 16):  # those of the tests that fail are never recorded
            found = endings(anyio_folder.run(tests, returns=1))
            assert {found.pop(f"test_fails[{name}]") for name in ("asyncio", "trio")} == {
                "failed in call"
            }
            assert set(found.values()) == {"passed"}
            assert server.requests == ["GET /json"] * requests
        cassettes = anyio_folder.path / "cassettes" / "test_it"
        names = "\n".join(sorted(path.name for path in cassettes.iterdir()))
        digest = "-[0-9a-f]{8}"
        assert re.fullmatch(
            rf"""TestIt\.test_it\.har
test_backend-other\.har
test_longer_name_of_backend\.har
test_names-Ann\.har
test_names-a_b{digest}\.har
test_names-a_b{digest}\.har
test_names-trio\.har
test_names-x{{89}}{digest}\.har
test_names_of_backends-asyncio_a\.har
test_names_of_backends-trio_b\.har
test_plain-Ann\.har
test_ö{{47}}{digest}\.har""",
            names,
        )

    def test_the_mode_and_further_options(self, one_folder: Folder, server: Server) -> None:
        """By the command line, and by a mark; nothing is recorded by mistake."""
        url = server.url / "json"
        tests = FETCH + dedent(f"""
            import os

            @mark
            @pytest.mark.anyhttp_recorder(match_on=["method", "path"], mode="none")
            async def test_mode(anyhttp_recorder):
                await fetch("{url}?now=" + os.urandom(4).hex())

            @mark
            async def test_no_network(anyhttp_recorder, anyhttp_no_network):
                await fetch("{url}")

            @mark
            async def test_unrecorded(anyhttp_recorder):
                if not anyhttp_recorder.records:
                    await swallow("{url}?other")
                await fetch("{url}")
        """)
        reports = one_folder.run(tests, returns=1)
        assert endings(reports) == {
            "test_mode": "failed in setup",
            "test_no_network": "failed in call",
            "test_unrecorded": "passed",
        }
        assert "test_mode.har" in reports["test_mode"]["setup"].text
        assert "ForbiddenConnection" in reports["test_no_network"]["call"].text
        assert len(server.requests) == 1
        one_folder.run(tests, "--anyhttp-record=all")
        assert len(server.requests) == 4
        reports = one_folder.run(tests, "--anyhttp-record=none", returns=1)
        assert endings(reports) == {
            "test_mode": "passed",
            "test_no_network": "passed",
            "test_unrecorded": "failed in teardown",
        }
        assert "?other" in reports["test_unrecorded"]["teardown"].text
        assert len(server.requests) == 4

    def test_the_modes_are_those_of_a_recorder(self) -> None:
        """They are repeated in the plugin, which imports nothing for its options."""
        parser = pytest.Parser(_ispytest=True)
        pytest_anyhttp.pytest_addoption(parser)
        (option,) = parser.getgroup("anyhttp").options
        assert {*option.attrs()["choices"]} == {*get_args(RecordMode)}


def test_an_application_in_memory(anyio_folder: Folder) -> None:
    """It is started and shut down by the session."""
    reports = anyio_folder.run("""
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
    """)
    assert set(endings(reports).values()) == {"passed"}


def test_servers_on_loopback(folder: Folder) -> None:
    """They run on the backend of the test, in another thread; a plain test can use them, too."""
    reports = folder.run("""
        import sniffio, threading, urllib.request

        async def function(request):
            await anyio.sleep(0)
            return [sniffio.current_async_library(), threading.get_ident()]

        @mark
        async def test_async(anyhttp_serve):
            server = anyhttp_serve(function)
            other = anyhttp_serve(tls=True)
            other.get("/path", text="encrypted")
            async with ClientSession() as session:
                async with session.get(server.url) as response:
                    library, thread = await response.json()
                    assert library == sniffio.current_async_library()
                    assert thread != threading.get_ident()
                url, context = other.url / "path", other.client_context
                async with session.get(url, ssl=context) as response:
                    assert await response.text() == "encrypted"
            assert len(server.calls) == len(other.calls) == 1

        def test_plain(anyhttp_serve):
            server = anyhttp_serve("hello")
            with urllib.request.urlopen(str(server.url)) as response:
                assert response.read() == b"hello"
    """)
    assert set(endings(reports).values()) == {"passed"}


def test_its_hooks_are_known_to_each_pluggy() -> None:
    """Every run of pytest loads the plugin, also with a pluggy that knows no new wrappers."""
    hooks = [each for each in vars(pytest_anyhttp).values() if hasattr(each, "pytest_impl")]
    assert not any(each.pytest_impl["wrapper"] for each in hooks)
    assert hooks
