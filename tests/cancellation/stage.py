"""What operations have at hand, the list of them, and the check after each cancellation."""

from __future__ import annotations

import os
import socket
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterator,
    Set as AbstractSet,
)
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from anyhttp import ClientSession, TCPConnector
from tests.support import census
from tests.support.census import ROUNDS_OF_GRACE, assert_no_tokens, open_sockets, running_tasks
from tests.support.client import get
from tests.support.proxies import Proxies, Proxy
from tests.support.tls import Authority
from tests.support.waiting import comes_true, until

from .server import StageHttp2Server, StageServer
from .ways import Check


class Stage:
    """The servers and places of one test; each is there once it is asked for."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._request = request
        self._servers: dict[str, Any] = {}
        self._proxies: dict[str, Proxy] = {}

    def _fixture(self, name: str) -> Any:
        return self._request.getfixturevalue(name)

    async def settled(self) -> None:
        """Wait until the servers and proxies have seen that each connection is closed."""
        places = [*self._servers.values(), *self._proxies.values()]
        await until(lambda: not any(each.open_connections for each in places), "servers left alone")

    @property
    def server(self) -> StageServer:
        """A server of HTTP/1.1."""
        server: StageServer = self._fixture("stage_server")
        self._servers["server"] = server
        return server

    @property
    def http2(self) -> StageHttp2Server:
        """A server of HTTP/2."""
        server: StageHttp2Server = self._fixture("stage_http2_server")
        self._servers["http2_server"] = server
        return server

    @property
    def ca(self) -> Authority:
        """Who has signed the certificates of the servers."""
        authority: Authority = self._fixture("tls_ca")
        return authority

    def proxy(self, scheme: str) -> Proxy:
        """Return a proxy that requires credentials."""
        if scheme not in self._proxies:
            proxies: Proxies = self._fixture("proxies")
            self._proxies[scheme] = proxies(scheme, login=("user", "secret"))
        return self._proxies[scheme]

    @property
    def name_server(self) -> Any:
        """A server of names, one of whose answers is too long for UDP."""
        return self._fixture("stage_name_server")

    @property
    def folder(self) -> Path:
        """A directory for files."""
        path: Path = self._fixture("tmp_path")
        return path

    @property
    def monkeypatch(self) -> pytest.MonkeyPatch:
        """Changes of the environment."""
        patch: pytest.MonkeyPatch = self._fixture("monkeypatch")
        return patch

    @property
    def silent_address(self) -> str:
        """An address on which the port of the server answers no attempt to connect."""
        address: str = self._fixture("silent_address")
        return address


#: What is cancelled.  It gets the session that is checked, and may make others.
Deed = Callable[[Stage, ClientSession], Awaitable[object]]
MakeSession = Callable[[Stage], ClientSession]


@dataclass(frozen=True)
class Operation:
    """Something that a program does with the package.

    :param session: makes the session that is checked
    :param unentered: also with a session that is only closed, not entered
    :param needs: a module that has to be installed
    :param grace: how many turns of the event loop the tasks may take to end
    """

    name: str
    deed: Deed
    session: MakeSession
    unentered: bool
    needs: str
    grace: int


OPERATIONS: dict[str, Operation] = {}


def new_session(stage: Stage, **options: Any) -> ClientSession:
    """Return a session for the server of HTTP/1.1."""
    return ClientSession(stage.server.url, **options)


def reconnecting(stage: Stage) -> ClientSession:
    """Return a session that makes a connection for each request."""
    return new_session(stage, connector=TCPConnector(keepalive_timeout=0))


def add(
    name: str,
    deed: Deed,
    session: MakeSession = new_session,
    *,
    unentered: bool = False,
    needs: str = "",
    grace: int = ROUNDS_OF_GRACE,
) -> None:
    """Add an operation to the list."""
    assert name not in OPERATIONS
    OPERATIONS[name] = Operation(name, deed, session, unentered, needs, grace)


def operation(
    session: MakeSession = new_session,
    *,
    unentered: bool = False,
    needs: str = "",
    grace: int = ROUNDS_OF_GRACE,
) -> Callable[[Deed], Deed]:
    """Add the function to the list, by its name."""

    def register(deed: Deed) -> Deed:
        name: str = deed.__name__
        add(name, deed, session, unentered=unentered, needs=needs, grace=grace)
        return deed

    return register


@asynccontextmanager
async def checked(
    operation: Operation, stage: Stage, *, entered: bool
) -> AsyncIterator[tuple[Callable[[], Coroutine[Any, Any, object]], Check]]:
    """Yield a function that does *operation*, and a check that nothing is left of it."""
    session = operation.session(stage)
    connector = session.connector
    assert connector is not None

    async def after(*, patient: bool = False) -> None:
        """Look at what is left.

        :param patient: a task may still wait for a thread, as its own wait cannot be shielded from
            a second cancellation by asyncio
        """
        # What a thread was doing when its task was cancelled, it does to the end, and the task that
        # has sent a file waits for the thread that closes it.
        patient |= bool(open_files(stage.folder))
        sockets = dict[int, int]()
        for _ in range(operation.grace):
            sockets = connections(known=sockets_before)
            if len(sockets) == connector.statistics().idle and running_tasks() <= tasks_before:
                break
            await anyio.lowlevel.checkpoint()
        if patient:
            await comes_true(lambda: running_tasks() <= tasks_before, seconds=5)
        assert_no_tokens(connector)
        assert len(sockets) == connector.statistics().idle
        assert running_tasks() <= tasks_before
        assert await comes_true(lambda: not open_files(stage.folder), seconds=5)
        assert await comes_true(
            lambda: open_sockets(known=sockets_before | sockets.keys()) == {}, seconds=5
        )
        with anyio.fail_after(5):
            assert b'"anyhttp"' in await get(session, "/json")
        assert_no_tokens(connector)

    async def run() -> None:
        await operation.deed(stage, session)

    sockets_before = open_sockets().keys()
    async with AsyncExitStack() as stack:
        if entered:
            await stack.enter_async_context(session)
        else:
            stack.push_async_callback(session.close)
        await get(session, "/json")
        # the task that cancels is one more
        tasks_before = running_tasks()
        yield run, after
    await stage.settled()
    assert open_sockets().keys() <= sockets_before


def connections(*, known: AbstractSet[int]) -> dict[int, int]:
    """Return the open sockets that are connections; a thread that asks for a name has others."""
    return {inode: fd for inode, fd in open_sockets(known=known).items() if _is_connection(fd)}


def _is_connection(fd: int) -> bool:
    try:
        sock = socket.socket(fileno=fd)
    except OSError:  # closed meanwhile
        return False
    try:
        return sock.type == socket.SOCK_STREAM
    finally:
        sock.detach()  # the descriptor belongs to others


def open_files(directory: Path) -> list[str]:
    """Return the files of *directory* that this process has open."""
    found = []
    for name in os.listdir(census.FILE_DESCRIPTORS):
        try:
            found.append(os.readlink(f"{census.FILE_DESCRIPTORS}/{name}"))
        except OSError:  # closed meanwhile
            continue
    return [path for path in found if path.startswith(f"{directory}/")]


@contextmanager
def silent(port: int) -> Iterator[str]:
    """Yield an address on which *port* answers no attempt to connect."""
    address = ("127.0.0.7", port)
    with census.lock:
        listener, *fillers = (socket.socket() for _ in range(3))
        for sock in (listener, *fillers):
            census.adopt(sock)
    listener.bind(address)
    listener.listen(0)
    for filler in fillers:  # the queue of connections is full then
        filler.setblocking(False)
        filler.connect_ex(address)
    yield address[0]
    for sock in (listener, *fillers):
        census.close(sock)


async def pieces(count: int = 3) -> AsyncIterator[bytes]:
    """Yield a body that is not known beforehand."""
    for number in range(count):
        yield b"%d" % number * 1000
        await anyio.lowlevel.checkpoint()
