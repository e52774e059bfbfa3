"""Fixtures for every test: backends, engines, peers, and the check for leaked resources."""

from __future__ import annotations

import gc
import importlib.util
import inspect
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

# An example may take as long as it likes: a test depends on no speed.
hypothesis.settings.register_profile(
    "no deadline",
    hypothesis.settings(),
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
# For long runs: --hypothesis-profile=thorough --timeout=0, and perhaps --hypothesis-seed=NUMBER.
hypothesis.settings.register_profile(
    "thorough",
    hypothesis.settings.get_profile("no deadline"),
    max_examples=2000,
    derandomize=False,
    print_blob=True,
)
hypothesis.settings.load_profile("no deadline")

pytest.register_assert_rewrite("tests.support")

from anyhttp.connector import replaced_network  # noqa: E402
from tests.support.api import Api  # noqa: E402
from tests.support.census import Census  # noqa: E402 (the line above comes first)
from tests.support.peer import Script  # noqa: E402
from tests.support.proxies import Proxies  # noqa: E402
from tests.support.server import Server  # noqa: E402
from tests.support.tls import Authority  # noqa: E402

if TYPE_CHECKING:
    from tests.support.http2_peer import Http2Script
    from tests.support.http2_server import Http2Server

WIRE = Path(__file__).parent / "wire"


def param(value: object, name: str, *, needs: str = "") -> Any:
    """Return a parameter; its tests are skipped, with a reason, if a module is not installed."""
    missing = bool(needs) and importlib.util.find_spec(needs) is None
    marks = [pytest.mark.skip(reason=f"{needs} is not installed")] if missing else []
    return pytest.param(value, id=name, marks=marks)


ASYNCIO = param(("asyncio", {"use_uvloop": False}), "asyncio")
UVLOOP = param(("asyncio", {"use_uvloop": True}), "uvloop", needs="uvloop")
TRIO = param(("trio", {}), "trio")
ENGINES = [param("auto", "auto"), param("h11", "h11")]
# In the place of an engine: the same test over HTTP/2, if it is not about HTTP/1.1 alone.
HTTP2 = param("http2", "http2", needs="h2")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add options for how much is run."""
    parser.addoption(
        "--uvloop",
        action="store_true",
        help="run each async test on uvloop too, not only those of tests/wire",
    )
    parser.addoption(
        "--every-fault",
        action="store_true",
        help="in tests/faults, let each fault happen at every byte, on every backend",
    )
    parser.addoption(
        "--every-point",
        action="store_true",
        help="in tests/cancellation, cancel at each point, in each way",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers for the backends."""
    config.addinivalue_line("markers", "once: one backend (asyncio) says enough")
    config.addinivalue_line("markers", "uvloop: also run on uvloop")
    config.addinivalue_line("markers", "own_backends: the module chooses the backends itself")
    config.addinivalue_line(
        "markers", "http1_only(reason): not over HTTP/2, as the other tests of tests/wire are"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish() -> None:
    """Undo ``gc.freeze()``, so that other code (hypothesis) can use the garbage collector."""
    gc.unfreeze()


@pytest.hookimpl(tryfirst=True)  # so that its name comes first in the test's
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test on the backends and with the engines that it is meant for."""
    test = metafunc.definition
    own = {str(mark.args[0]) for mark in test.iter_markers("parametrize")}  # parameters of the test
    is_wire = WIRE in test.path.parents
    if (
        "anyio_backend" in metafunc.fixturenames
        and not test.get_closest_marker("own_backends")
        and not any("anyio_backend" in each for each in own)
    ):
        backends = [ASYNCIO, TRIO]
        if test.get_closest_marker("once"):
            backends = [ASYNCIO]
        elif test.get_closest_marker("uvloop") or is_wire or metafunc.config.getoption("--uvloop"):
            backends = [ASYNCIO, UVLOOP, TRIO]
        metafunc.parametrize("anyio_backend", backends, indirect=True, scope="module")
    if "http1" in metafunc.fixturenames and "http1" not in own:
        engines = [*ENGINES, HTTP2] if is_wire else ENGINES
        metafunc.parametrize("http1", engines, indirect=True)


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(
    collector: pytest.Module | pytest.Class, name: str, obj: object
) -> None:
    """Check an async test for leaks inside its event loop."""
    if collector.istestfunction(obj, name):
        # hypothesis puts a plain function around the test
        function = getattr(getattr(obj, "hypothesis", None), "inner_test", obj)
        if inspect.iscoroutinefunction(function):
            pytest.mark.usefixtures("anyio_backend", "census_in_loop")(obj)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what has no meaning over HTTP/2: whole tests, or some of their parameters.

    And leave out uvloop there: its sockets are the same for both versions.
    """
    left_out = {item for item in items if _is_left_out(item)}
    if left_out:
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]


def _is_left_out(item: pytest.Item) -> bool:
    callspec = getattr(item, "callspec", None)
    if callspec is None or item.path.parent != WIRE:
        return False
    is_on_uvloop = "[uvloop-" in item.name
    if callspec.params.get("http1") == "http2":
        return is_on_uvloop or item.get_closest_marker("http1_only") is not None
    return is_on_uvloop and callspec.params.get("carried_by") == "h2"


@pytest.fixture(scope="module")
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Backend and options, for anyio's plugin: asyncio, asyncio with uvloop, or trio."""
    return request.param


@pytest.fixture
def http1(request: pytest.FixtureRequest) -> str:
    """Each engine, to be given to ``TCPConnector(http1=...)``; in tests/wire also ``http2``.

    Sessions of :func:`tests.support.client.client` speak HTTP/2 then, and the peers of the
    fixture ``script`` play to them what they play over HTTP/1.1.
    """
    engine: str = request.param
    return engine


@pytest.fixture(params=["http1", param("h2", "h2", needs="h2")])
def carried_by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The version of HTTP that carries the WebSockets of a test: each one in turn.

    For HTTP/2, the test gets sessions whose requests all go to a gateway, by the names of those
    that it makes.
    """
    if request.param == "h2":
        from tests.support.http2_gateway import Gateway

        gateway = Gateway(request.getfixturevalue("tls_ca").server)
        monkeypatch.setattr(request.module, "ClientSession", gateway.session)
        yield "h2"
        gateway.stop()
    else:
        yield "http1"


def is_over_http2(request: pytest.FixtureRequest) -> bool:
    """Whether the sessions of a test of tests/wire speak HTTP/2."""
    return "http1" in request.fixturenames and request.getfixturevalue("http1") == "http2"


@pytest.fixture(autouse=True)
def census() -> Iterator[None]:
    """Fail a test that leaves a socket open, or drops one without closing it."""
    # Objects that exist before a test are no garbage of it: each search is among few objects.
    gc.collect()
    gc.freeze()
    before = Census()
    yield
    before.check()


@pytest.fixture
async def census_in_loop() -> AsyncIterator[None]:
    """Fail an async test that leaves a socket open or a task running; check inside the loop.

    After the test, the event loop would cancel the task and the garbage collector close the
    socket.
    """
    before = Census()
    yield
    await before.settle_and_check()


@pytest.fixture(params=["entered", "unentered"])
def entered(request: pytest.FixtureRequest) -> bool:
    """Whether the session is used in ``async with``; see :func:`tests.support.client.opened`."""
    return bool(request.param == "entered")


@pytest.fixture
def api() -> Iterator[Api]:
    """The answers of the general server without a network; see :mod:`tests.support.api`."""
    api = Api()
    with replaced_network(api, whole_process=True):
        yield api
    api.mock.end()


@pytest.fixture
def script(request: pytest.FixtureRequest) -> Iterator[Script]:
    """Start scripted peers; see :mod:`tests.support.peer`."""
    script = Script(http2=is_over_http2(request))
    yield script
    script.stop()


@pytest.fixture
def http2_script() -> Iterator[Http2Script]:
    """Start scripted peers that speak HTTP/2; see :mod:`tests.support.http2_peer`."""
    pytest.importorskip("h2", reason="h2 is not installed (anyhttp-client[http2])")
    from tests.support.http2_peer import Http2Script  # imports parts of h2

    script = Http2Script()
    yield script
    script.stop()


@pytest.fixture(scope="session")
def http2_server_of_session(tls_ca: Authority) -> Iterator[Http2Server]:
    """The HTTP/2 server that all tests share."""
    pytest.importorskip("h2", reason="h2 is not installed (anyhttp-client[http2])")
    from tests.support.http2_server import Http2Server  # imports h2

    server = Http2Server(tls_ca.server_with("h2", "http/1.1"))
    yield server
    server.stop()


@pytest.fixture
def http2_server(http2_server_of_session: Http2Server) -> Iterator[Http2Server]:
    """The general server, which speaks HTTP/2 too; see :mod:`tests.support.http2_server`."""
    http2_server_of_session.reset()
    yield http2_server_of_session
    assert not http2_server_of_session.errors
    http2_server_of_session.errors.clear()


@pytest.fixture
def proxies(tls_ca: Authority) -> Iterator[Proxies]:
    """Start proxies; see :mod:`tests.support.proxies`."""
    proxies = Proxies(tls_ca)
    yield proxies
    proxies.stop()


@pytest.fixture(scope="session")
def tls_ca() -> Authority:
    """A certificate authority: ``.server`` and ``.client`` are contexts."""
    return Authority()


@pytest.fixture(scope="session")
def server_of_session(tls_ca: Authority) -> Iterator[Server]:
    """The server that all tests share."""
    server = Server(tls_ca.server)
    yield server
    server.stop()


@pytest.fixture
def server(request: pytest.FixtureRequest, server_of_session: Server) -> Server:
    """A general HTTP server, with its counters at zero; see :mod:`tests.support.server`."""
    if is_over_http2(request):
        http2_server: Server = request.getfixturevalue("http2_server")
        return http2_server
    server_of_session.reset()
    return server_of_session
