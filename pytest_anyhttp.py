"""The plugin for pytest: fixtures for tests of programs that make requests.

It stands beside the package, and imports the package in its fixtures only: pytest loads this module
in every run, also where no test uses anyhttp.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from yarl import URL

    from anyhttp import ClientSession
    from anyhttp.testing import LoopbackServer, NoNetwork, Recorder, RequestMock

#: for each run of the code of a test, or of a part of it, whether that has passed
_PASSED: Final = pytest.StashKey[list[bool]]()

#: functions that add what the fixtures of a test have found to the exception with which it fails
_NOTES: Final = pytest.StashKey[list["Callable[[BaseException], object]"]]()


class _TestHasNotPassed(Exception):
    """Raised in the block of a fixture, so that the block ends without looking for failures."""


@contextmanager
def _end_of_test() -> Iterator[None]:
    """Show what the block of a fixture has found at its end."""
    try:
        yield
    except _TestHasNotPassed:
        pass
    except AssertionError as exc:
        if type(exc) is AssertionError:  # of no request, so the text says all
            raise pytest.fail.Exception(str(exc), pytrace=False) from None
        raise


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option for cassettes."""
    parser.getgroup("anyhttp").addoption(
        "--anyhttp-record",
        metavar="MODE",
        choices=("once", "new_episodes", "none", "all"),
        help="what the fixture anyhttp_recorder does: once (the default) records where there is no "
        "cassette, new_episodes also what a cassette lacks, all everything anew; none replays only",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marks."""
    for line in (
        "anyhttp_mock(*, assert_all_called=True): whether the test has to call all of its routes",
        "anyhttp_recorder(**options): the options of the fixture, which are those of a Recorder",
    ):
        config.addinivalue_line("markers", line)


# None is a wrapper: pytest loads this module in every run, also with a pluggy before 1.2, which
# refuses those of the newer kind.


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Forget what was found when the test ran before."""
    item.stash[_PASSED] = []
    item.stash[_NOTES] = []


def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Remember whether the test has passed, and show with its failure what may be the reason.

    The hooks that run a test do not see how a ``unittest.TestCase`` or a subtest has failed.
    """
    if call.when == "call":
        item.stash.setdefault(_PASSED, []).append(call.excinfo is None)
    if call.excinfo is not None and call.when != "teardown":
        for note in item.stash.get(_NOTES, []):
            note(call.excinfo.value)


def _watch(request: pytest.FixtureRequest, errors: Sequence[AssertionError]) -> None:
    """Show *errors*, which the program has caught, with the failure of the test, if it fails."""
    from anyhttp.testing import note_swallowed

    request.node.stash[_NOTES].append(lambda exc: note_swallowed(exc, errors))


def _check_passed(request: pytest.FixtureRequest) -> None:
    """Raise an error unless the test has passed."""
    passed = request.node.stash[_PASSED]
    if not (passed and all(passed)):
        raise _TestHasNotPassed


def _guard_of(request: pytest.FixtureRequest) -> NoNetwork | None:
    """Return what forbids connections, if the test wants that.

    This also makes it begin before other fixtures, whose answers are asked for first then.
    """
    if "anyhttp_no_network" not in request.fixturenames:
        return None
    guard: NoNetwork = request.getfixturevalue("anyhttp_no_network")
    return guard


def _marked(request: pytest.FixtureRequest, name: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of the mark with that name."""
    mark = request.node.get_closest_marker(name)
    return ((), {}) if mark is None else (mark.args, dict(mark.kwargs))


@pytest.fixture
def anyhttp_mock(request: pytest.FixtureRequest) -> Iterator[RequestMock]:
    """Let a mock answer the requests of the test, by whatever session they are made.

    It does what :func:`~anyhttp.testing.mock_requests` does, for the whole process.  With
    ``@pytest.mark.anyhttp_mock(assert_all_called=False)``, a test may leave routes without a
    request.
    """
    from anyhttp.testing import mock_requests

    _guard_of(request)
    args, options = _marked(request, "anyhttp_mock")
    with _end_of_test(), mock_requests(*args, whole_process=True, **options) as mock:
        _watch(request, mock.unanswered)
        request.node.stash[_NOTES].append(mock.note_failures)
        yield mock
        _check_passed(request)


@pytest.fixture
def anyhttp_recorder(request: pytest.FixtureRequest) -> Iterator[Recorder]:
    """Record the requests of the test in a cassette, or replay them from it.

    It does what :func:`~anyhttp.testing.record_requests` does, for the whole process.  The cassette
    of ``test_users`` in ``test_api.py`` is ``cassettes/test_api/test_users.har`` beside that file.
    ``--anyhttp-record=MODE`` chooses the mode, and other options are those of
    ``@pytest.mark.anyhttp_recorder(match_on=["method", "path"])``.  A test that fails records
    nothing.
    """
    from anyhttp.testing import record_requests

    guard = _guard_of(request)
    args, options = _marked(request, "anyhttp_recorder")
    mode: Any = request.config.getoption("--anyhttp-record")
    if mode is not None:
        options["mode"] = mode
        if guard is not None and mode != "none":
            guard.allow_all()  # that is what the command line asks for
    path = _cassette_of(request.node)
    with (
        _end_of_test(),
        record_requests(path, *args, whole_process=True, **options) as made,
    ):
        _watch(request, made.unrecorded)
        yield made
        _check_passed(request)


def _cassette_of(item: pytest.Item) -> Path:
    """Return the path of the cassette of a test, which is the same for each backend of anyio."""
    names = [node.name for node in item.listchain() if isinstance(node, pytest.Class)]
    names.append(getattr(item, "originalname", None) or item.name)
    name = ".".join(names)
    call = getattr(item, "callspec", None)
    if call is not None:
        parts: list[str] = call.id.split("-")
        backend = call.params.get("anyio_backend")
        if backend is not None:
            shown = backend if isinstance(backend, str) else backend[0]
            # "asyncio", or "anyio_backend0" where nobody has named it, or "asyncio+uvloop"
            for pattern in (rf"{shown}|anyio_backend\d+", rf"{shown}.*"):
                found = [part for part in parts if re.fullmatch(pattern, part)]
                if found:
                    parts.remove(found[0])
                    break
        name = "-".join([name, *parts])
    # A name that no file may have, or one that is too long, is told from others by a digest.
    safe = re.sub(r"[^\w.-]+", "_", name).encode()[:100].decode(errors="ignore")
    if safe != name:
        safe = f"{safe}-{sha256(name.encode()).hexdigest()[:8]}"
    return item.path.with_name("cassettes") / item.path.stem / f"{safe}.har"


@pytest.fixture
def anyhttp_asgi(request: pytest.FixtureRequest) -> Iterator[Callable[..., ClientSession]]:
    """Make sessions that an ASGI application answers, in memory.

    ``async with anyhttp_asgi(app) as session:`` starts the application and shuts it down.  URLs are
    relative to the option ``base_url``, by default ``"http://testserver"``.  All others are those
    of :class:`~anyhttp.testing.ASGIConnector`.
    """
    from anyhttp import ClientSession
    from anyhttp.testing import ASGIConnector

    sessions: list[ClientSession] = []

    def make(
        app: Any, *, base_url: str | URL = "http://testserver", **options: Any
    ) -> ClientSession:
        session = ClientSession(base_url, connector=ASGIConnector(app, **options))
        sessions.append(session)
        return session

    with _end_of_test():
        yield make
        _check_passed(request)
        if not all(session.closed for session in sessions):
            raise AssertionError(
                "a session was not closed: write `async with anyhttp_asgi(app) as session:`"
            )


@pytest.fixture
def anyhttp_serve(request: pytest.FixtureRequest) -> Iterator[Callable[..., LoopbackServer]]:
    """Start servers on loopback, which run until the test ends.

    ``server = anyhttp_serve(app)`` takes what :func:`~anyhttp.testing.serve` takes, and returns the
    server when it listens.  The servers run in a thread of their own, on asyncio, or on trio if the
    test does; so a plain test can use them, and any client.  ``anyhttp_no_network`` and
    ``anyhttp_mock`` let requests to them through.
    """
    from concurrent.futures import ThreadPoolExecutor

    from anyio.from_thread import start_blocking_portal

    from anyhttp.testing import serve

    open_to = [guard.allow] if (guard := _guard_of(request)) is not None else []
    if "anyhttp_mock" in request.fixturenames:
        open_to.append(request.getfixturevalue("anyhttp_mock").pass_through)
    with (
        _end_of_test(),
        ThreadPoolExecutor(1) as executor,
        start_blocking_portal(_backend_of(request)) as portal,
        ExitStack() as servers,
    ):

        def start(source: Any = None, **options: Any) -> LoopbackServer:
            made = portal.wrap_async_context_manager(serve(source, **options))
            # trio lets no thread wait for another one in which a trio of its own runs
            server = executor.submit(servers.enter_context, made).result()
            _watch(request, server.unanswered)
            request.node.stash[_NOTES].append(server.note_failures)
            for let_through in open_to:
                let_through(f"{server.url.host}:{server.port}")
            return server

        yield start
        _check_passed(request)


def _backend_of(request: pytest.FixtureRequest) -> str:
    """Return the backend that the test runs on; ``"asyncio"`` if it is not asynchronous."""
    if request.node.get_closest_marker("trio") is not None:
        return "trio"
    if "anyio_backend" not in request.fixturenames:
        return "asyncio"
    name: str = request.getfixturevalue("anyio_backend_name")
    return name


@pytest.fixture
def anyhttp_no_network(request: pytest.FixtureRequest) -> Iterator[NoNetwork]:
    """Forbid connections to anything real in this process, loopback and Unix sockets included.

    A request that would open one raises :exc:`~anyhttp.testing.ForbiddenConnection`; if the
    program catches that, the end of the test raises it.  Exceptions are made by
    ``anyhttp_no_network.allow("localhost")``.
    """
    from anyhttp.testing import no_network

    with _end_of_test(), no_network(request.node.nodeid) as guard:
        _watch(request, guard.refused)
        yield guard
        _check_passed(request)
