"""The servers of the operations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.support.tls import Authority

from .server import StageServer, http2_server
from .stage import Stage, silent

if TYPE_CHECKING:
    from tests.support.nameserver import NameServer

    from .server import StageHttp2Server


@pytest.fixture
def stage(request: pytest.FixtureRequest) -> Stage:
    """What operations have at hand."""
    return Stage(request)


@pytest.fixture(scope="session")
def stage_server_of_session(tls_ca: Authority) -> Iterator[StageServer]:
    """The server that all operations share."""
    server = StageServer(tls_ca.server)
    yield server
    server.stop()


@pytest.fixture
def stage_server(stage_server_of_session: StageServer) -> StageServer:
    """The same, when the connections of the last test are closed."""
    stage_server_of_session.reset()
    return stage_server_of_session


@pytest.fixture(scope="session")
def stage_http2_server_of_session(tls_ca: Authority) -> Iterator[StageHttp2Server]:
    """The server of HTTP/2 that all operations share."""
    server = http2_server(tls_ca.server_with("h2", "http/1.1"))
    yield server
    server.stop()


@pytest.fixture
def stage_http2_server(stage_http2_server_of_session: StageHttp2Server) -> StageHttp2Server:
    """The same, when the connections of the last test are closed."""
    stage_http2_server_of_session.reset()
    return stage_http2_server_of_session


@pytest.fixture
def silent_address(stage_server: StageServer) -> Iterator[str]:
    """An address on which the port of the server answers no attempt to connect."""
    with silent(stage_server.url.port or 0) as address:
        yield address


@pytest.fixture
def stage_name_server() -> Iterator[NameServer]:
    """A server of names, one of whose answers is too long for UDP."""
    from tests.support.nameserver import LONG, NameServer  # imports dns

    server = NameServer({"a.test": ["A 192.0.2.1"], "long.test": [LONG, "A 192.0.2.7"]})
    yield server
    server.stop()
