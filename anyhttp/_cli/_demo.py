"""``anyhttp demo``: shows and checks on loopback what the client can do.

Every step checks its result and prints what it saw.  If a step fails, the others still run.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import ssl
import stat
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Self

import anyio
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn

from anyhttp import (
    ClientConnectorCertificateError,
    ClientSession,
    ClientTimeout,
    CookieJar,
    HttpVersion,
    TCPConnector,
)

from ._demo_server import (
    COOKIE,
    DOWNLOAD_PIECE,
    DOWNLOAD_PIECES,
    TABLE,
    DemoServer,
    download_sha256,
)

STEP_DEADLINE: Final = 30.0  # seconds; a step that hangs has failed
# Seconds.  asyncio closes a socket one iteration after its transport, the peer a little later.
LEAK_GRACE: Final = 2.0
MEBIBYTE: Final = 1024 * 1024
UPLOAD_SIZE: Final = 32 * MEBIBYTE
MESSAGES: Final = 100
MESSAGE_SIZE: Final = 8 * MEBIBYTE
REQUESTS: Final = 200
POOL: Final = 10
STALLED: Final = 5


class DemoFailure(Exception):
    """A step saw another result than expected."""


def check(holds: bool, otherwise: str) -> None:
    """Raise :exc:`DemoFailure` unless *holds*; unlike ``assert``, this also works under ``-O``."""
    if not holds:
        raise DemoFailure(otherwise)


@dataclass(slots=True)
class DemoContext:
    """The objects that every step uses."""

    server: DemoServer
    session: ClientSession
    trust: ssl.SSLContext
    download_sha256: str
    report: Callable[[int, int], None]  # done, total


async def get_json(demo: DemoContext) -> str:
    """Get a small JSON response and decode it."""
    async with demo.session.get("/hello", params={"name": "world"}) as response:
        answer = await response.json()
    check(response.status == 200, f"status {response.status}")
    check(answer["path"] == "/hello?name=world", f"the server saw {answer['path']}")
    return f"GET /hello?name=world, {response.status} {response.reason}"


async def download(demo: DemoContext) -> str:
    """Hash a large body while it arrives."""
    received, sha256 = 0, hashlib.sha256()
    expected = len(DOWNLOAD_PIECE) * DOWNLOAD_PIECES
    async with demo.session.get("/download") as response:
        async for piece in response.content.iter_chunked(len(DOWNLOAD_PIECE)):
            sha256.update(piece)
            received += len(piece)
            demo.report(received, expected)
    check(received == expected, f"{received} bytes instead of {expected}")
    check(sha256.hexdigest() == demo.download_sha256, "the bytes differ from what was sent")
    return f"{received // MEBIBYTE} MiB as it came, SHA-256 as sent"


async def upload(demo: DemoContext) -> str:
    """Send a body whose length is not announced."""
    sha256 = hashlib.sha256()

    async def pieces() -> AsyncIterator[bytes]:
        for sent in range(0, UPLOAD_SIZE, len(DOWNLOAD_PIECE)):
            demo.report(sent, UPLOAD_SIZE)
            sha256.update(DOWNLOAD_PIECE)
            yield DOWNLOAD_PIECE

    async with demo.session.post("/upload", data=pieces()) as response:
        answer = await response.json()
    check(answer["size"] == UPLOAD_SIZE, f"the server got {answer['size']} bytes")
    check(answer["sha256"] == sha256.hexdigest(), "the server got other bytes")
    return f"{UPLOAD_SIZE // MEBIBYTE} MiB from a generator, SHA-256 as sent"


async def follow_redirect(demo: DemoContext) -> str:
    """Follow a redirect, and send the cookie that it set."""
    async with demo.session.get("/login") as response:
        answer = await response.json()
    statuses = [earlier.status for earlier in response.history]
    check(statuses == [302], f"redirects: {statuses}")
    check(response.url.path == "/welcome", f"ended at {response.url.path}")
    check(answer["cookie"] == COOKIE, f"the server got the cookie {answer['cookie']!r}")
    return "302 to /welcome, which got the cookie"


async def decompress(demo: DemoContext) -> str:
    """Get a compressed response, and read it decompressed."""
    async with demo.session.get("/table") as response:
        text = await response.text()
        table = await response.json()
    encoding, length = response.headers.get("Content-Encoding"), response.content_length or 0
    check(encoding == "gzip", f"Content-Encoding: {encoding}")
    check(table == TABLE, "the table differs from what was sent")
    return f"gzip, {length / 1024:.0f} KiB became {len(text) / 1024:.0f} KiB"


async def use_tls(demo: DemoContext) -> str:
    """Use TLS with a trusted certificate, and refuse the same certificate without that trust."""
    url = f"{demo.server.tls_url}/secret"
    async with demo.session.get(url, ssl=demo.trust) as response:
        answer = await response.json()
    check(answer["tls"] in {"TLSv1.2", "TLSv1.3"}, f"the server speaks {answer['tls']}")
    try:
        async with demo.session.get(url):
            raise DemoFailure("an unknown certificate was accepted")
    except ClientConnectorCertificateError:
        return f"{answer['tls']}, verified; refused when unknown"


async def share_pool(demo: DemoContext) -> str:
    """Send many requests at once over a few connections."""
    before = demo.server.opened
    answers = 0

    async def get(session: ClientSession, path: str) -> None:
        nonlocal answers
        async with session.get(path) as response:
            answer = await response.json()
        check(answer["path"] == path, f"{path} got the answer to {answer['path']}")
        answers += 1
        demo.report(answers, REQUESTS)

    async with ClientSession(demo.server.url, connector=TCPConnector(limit=POOL)) as session:
        async with anyio.create_task_group() as tasks:
            for number in range(REQUESTS):
                tasks.start_soon(get, session, f"/{number}")
    connections = demo.server.opened - before
    check(answers == REQUESTS, f"{answers} answers")
    check(connections <= POOL, f"the server saw {connections} connections")
    return f"{answers} answers, server saw {connections} connections"


async def time_out(demo: DemoContext) -> str:
    """Time out on a server that does not respond."""
    limit = 0.25
    start = anyio.current_time()
    try:
        async with demo.session.get("/stall", timeout=ClientTimeout(total=limit)):
            raise DemoFailure("a stalled request was answered")
    except TimeoutError:
        elapsed = anyio.current_time() - start
    check(limit * 0.9 <= elapsed < limit + 2, f"raised after {elapsed:.2f} s")
    await demo.server.wait_until(lambda: demo.server.stalled == 0)
    return f"TimeoutError after {elapsed:.2f} s, socket closed"


async def cancel(demo: DemoContext) -> str:
    """Cancel requests that wait for a response, and requests that wait for a connection."""

    async def stall(session: ClientSession) -> None:
        async with session.get("/stall"):
            raise DemoFailure("a stalled request was answered")

    async with ClientSession(demo.server.url, connector=TCPConnector(limit=STALLED)) as session:
        async with anyio.create_task_group() as tasks:
            for _ in range(2 * STALLED):
                tasks.start_soon(stall, session)
            await demo.server.wait_until(lambda: demo.server.stalled == STALLED)
            tasks.cancel_scope.cancel()
        await demo.server.wait_until(lambda: demo.server.stalled == 0)
        # If a cancelled request had kept its slot, this would wait for ever.
        async with session.get("/next") as response:
            check(response.status == 200, f"status {response.status}")
    return f"{2 * STALLED} requests gone, the next one answered"


async def use_websocket(demo: DemoContext) -> str:
    """Send messages to an echo server: small ones, and one in pieces."""
    sha256, echoed = hashlib.sha256(), hashlib.sha256()

    async def pieces() -> AsyncIterator[bytes]:
        for sent in range(0, MESSAGE_SIZE, len(DOWNLOAD_PIECE)):
            demo.report(sent, MESSAGE_SIZE)
            sha256.update(DOWNLOAD_PIECE)
            yield DOWNLOAD_PIECE

    async with demo.session.ws_connect("/websocket", compress=15) as websocket:
        for number in range(MESSAGES):
            await websocket.send_json({"number": number})
            answer = await websocket.receive_json()
            check(answer["number"] == number, f"{number} came back as {answer['number']}")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(websocket.send_stream, pieces())
            async for piece in await websocket.receive_stream():
                echoed.update(piece)
    check(echoed.digest() == sha256.digest(), "the server returned other bytes")
    check(websocket.close_code == 1000, f"closed with {websocket.close_code}")
    return f"{MESSAGES} messages and {MESSAGE_SIZE // MEBIBYTE} MiB in pieces came back"


async def share_connection(demo: DemoContext) -> str:
    """Send everything over one connection of HTTP/2, while some of it is cancelled."""
    before, version = demo.server.opened, HttpVersion(2, 0)
    answers = 0

    async def get(session: ClientSession, path: str) -> None:
        nonlocal answers
        async with session.get(path) as response:
            answer = await response.json()
        check(response.version == version, f"the version is {response.version}")
        check(answer["path"] == path, f"{path} got the answer to {answer['path']}")
        answers += 1
        demo.report(answers, REQUESTS)

    async def stall(session: ClientSession) -> None:
        async with session.get("/stall"):
            raise DemoFailure("a stalled request was answered")

    connector = TCPConnector(http2=True, limit=1, ssl=demo.trust)
    async with ClientSession(demo.server.tls_url, connector=connector) as session:
        async with anyio.create_task_group() as stalling:
            for _ in range(STALLED):
                stalling.start_soon(stall, session)
            await demo.server.wait_until(lambda: demo.server.stalled == STALLED)
            async with session.ws_connect("/websocket") as websocket:
                async with anyio.create_task_group() as tasks:
                    for number in range(REQUESTS):
                        tasks.start_soon(get, session, f"/{number}")
                    for number in range(MESSAGES):
                        await websocket.send_json({"number": number})
                        answer = await websocket.receive_json()
                        check(answer["number"] == number, f"{number} came back as {answer}")
                    stalling.cancel_scope.cancel()
        await demo.server.wait_until(lambda: demo.server.stalled == 0)
    connections = demo.server.opened - before
    check(answers == REQUESTS, f"{answers} answers")
    check(connections == 1, f"the server saw {connections} connections")
    return f"{answers} answers, {STALLED} requests cancelled, {MESSAGES} messages"


STEPS: Final[Sequence[tuple[str, Callable[[DemoContext], Awaitable[str]]]]] = (
    ("JSON", get_json),
    ("streamed download", download),
    ("streamed upload", upload),
    ("redirect and cookie", follow_redirect),
    ("compression", decompress),
    ("TLS", use_tls),
    ("WebSocket", use_websocket),
    (f"{REQUESTS} over a pool of {POOL}", share_pool),
    ("HTTP/2, 1 connection", share_connection),
    ("timeout", time_out),
    ("cancellation", cancel),
)


def count_sockets() -> int | None:
    """Return how many sockets this process has open, or ``None`` if that cannot be known."""
    try:
        descriptors = [int(name) for name in os.listdir("/dev/fd")]
    except OSError:  # Windows
        return None
    sockets = 0
    for descriptor in descriptors:
        with contextlib.suppress(OSError):  # the descriptor that listdir() itself used
            sockets += stat.S_ISSOCK(os.fstat(descriptor).st_mode)
    return sockets


async def find_leaks(server: DemoServer, before: int | None) -> str:
    """Check that the client has closed everything, on both ends."""
    with anyio.move_on_after(LEAK_GRACE):
        await server.wait_until(lambda: server.closed == server.opened)
        while count_sockets() != before:  # noqa: ASYNC110 - no event tells
            await anyio.sleep(0.01)
    check(server.closed == server.opened, f"{server.opened - server.closed} connections are open")
    left = count_sockets()
    check(left == before, f"{left} sockets are open, before there were {before}")
    return f"{server.opened} connections closed" + ("" if left is None else ", no socket left")


def reason(failure: BaseException) -> str:
    """Say in one line why a step failed."""
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return " ".join(f"{type(failure).__name__}: {failure}".split())


class Board:
    """Shows each step while it runs, and one line with its outcome afterwards."""

    def __init__(self, console: Console) -> None:
        self.passed = 0
        self.failed = 0
        self.console = console
        self._good, self._bad = ("ok", "FAILED") if console.options.ascii_only else ("✓", "✗")
        self._progress = Progress(
            TextColumn(" "),
            SpinnerColumn(style="cyan"),
            TextColumn("{task.description:<21}"),
            BarColumn(),
            TaskProgressColumn(),
            console=console,
            transient=True,
            refresh_per_second=20,  # most steps are over in a few frames
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._progress.stop()

    def report(self, done: int, total: int) -> None:
        """Move the bar of the step that runs."""
        self._progress.update(self._progress.task_ids[-1], completed=done, total=total)

    async def step(self, name: str, work: Callable[[], Awaitable[str]]) -> None:
        """Run one step and show its result."""
        current = self._progress.add_task(name, total=None)
        start = time.perf_counter()
        failure: Exception | None = None
        try:
            with anyio.fail_after(STEP_DEADLINE):
                detail = await work()
        except Exception as exc:  # noqa: BLE001 - a step fails by any exception, and the others still run
            failure, detail = exc, reason(exc)
        seconds = time.perf_counter() - start
        self._progress.remove_task(current)
        self.passed += failure is None
        self.failed += failure is not None
        mark, style = (self._bad, "red") if failure else (self._good, "green")
        self.console.print(
            f"  [{style}]{mark}[/] {name:<21} [dim]{seconds * 1000:7.1f} ms[/]  {escape(detail)}",
            soft_wrap=True,
        )

    def summarize(self, seconds: float) -> int:
        """Print a summary, and return the exit status."""
        total = self.passed + self.failed
        if self.failed:
            verdict = f"[bold red]{self.failed} of {total} checks failed[/]"
        else:
            verdict = f"[bold green]all {total} checks passed[/]"
        self.console.print(f"\n{verdict} in {seconds:.1f} s")
        return 1 if self.failed else 0


async def demonstrate(
    board: Board, backend: str, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> int:
    """Run every step on *backend*, which must be the running one.

    It returns 0 even if steps fail: :class:`Board` counts the failures, and the other backend
    still runs.
    """
    board.console.print(f"\n[bold cyan]{backend}[/]")
    server = DemoServer(server_tls)
    async with anyio.create_task_group() as tasks:
        await tasks.start(server.serve)
        before = count_sockets()
        with board:
            # The jar ignores cookies of bare addresses unless told otherwise.
            async with ClientSession(server.url, cookie_jar=CookieJar(unsafe=True)) as session:
                demo = DemoContext(server, session, client_tls, download_sha256(), board.report)
                for name, work in STEPS:
                    await board.step(name, partial(work, demo))
            await board.step("nothing left open", partial(find_leaks, server, before))
        tasks.cancel_scope.cancel()
    return 0
