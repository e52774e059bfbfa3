"""The tools of the tests themselves: what they must notice, and what they must let pass."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import json
import socket
import ssl
import threading
import zlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel
import anyio.to_thread
import pytest
import trio
from anyio.abc import SocketAttribute
from anyio.streams.tls import TLSAttribute, TLSStream
from yarl import URL

from anyhttp import BasicAuth, ClientSession
from anyhttp.connector._slots import Slot, Slots
from tests.support import programs, server as server_module, vectors
from tests.support.api import Api
from tests.support.cancel import How, cancel_at_every_checkpoint, cancel_when
from tests.support.census import Census, Leak, assert_no_tokens, open_sockets
from tests.support.keys import A
from tests.support.peer import (
    CLOSE,
    CUT,
    DEAF,
    RESET,
    STALL,
    Exact,
    Flag,
    Head,
    Peer,
    PeerFailed,
    Script,
    SendUnasked,
    Step,
    Tell,
    Until,
    Wait,
)
from tests.support.responses import OK
from tests.support.routes import DOCUMENT
from tests.support.server import Server
from tests.support.tls import Authority
from tests.support.waiting import until, until_full

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parent.parent


async def connect(peer_port: int) -> anyio.abc.SocketStream:
    """Open a connection to a port on loopback."""
    return await anyio.connect_tcp("127.0.0.1", peer_port)


async def receive_all(stream: anyio.abc.ByteReceiveStream) -> bytes:
    """Return everything up to the end of the stream."""
    received = b""
    try:
        while True:
            received += await stream.receive()
    except anyio.EndOfStream:
        return received


class TestBackends:
    async def test_async_tests_need_no_decorator(self) -> None:
        """A coroutine function is run, not skipped or warned about."""
        await anyio.lowlevel.checkpoint()

    @pytest.mark.uvloop
    async def test_uvloop_runs_where_it_is_asked_for(
        self, anyio_backend: tuple[str, dict[str, bool]]
    ) -> None:
        """The parameter names the event loop that really runs."""
        name, options = anyio_backend
        assert trio.lowlevel.in_trio_run() is (name == "trio")
        if name == "asyncio":
            module = type(asyncio.get_running_loop()).__module__
            assert module.startswith("uvloop") is options["use_uvloop"]

    @pytest.mark.once
    async def test_one_backend_can_be_enough(self) -> None:
        """``once`` leaves asyncio alone."""
        assert not trio.lowlevel.in_trio_run()

    def test_backends_and_engines_give_the_ids(self, pytester: pytest.Pytester) -> None:
        """Each async test has two backends, three in ``tests/wire`` or with ``--uvloop``."""
        collected = collect(pytester, "async def test_it(http1): ...")
        assert collected == [
            f"test_it[{ids}]" for ids in ("asyncio-auto", "asyncio-h11", "trio-auto", "trio-h11")
        ]
        collected = collect(pytester, "async def test_it(): ...", "--uvloop")
        assert collected == ["test_it[asyncio]", "test_it[uvloop]", "test_it[trio]"]

    def test_a_backend_that_is_missing_is_skipped_with_a_reason(
        self, pytester: pytest.Pytester
    ) -> None:
        """Without uvloop the tests still run, and say what they left out."""
        pytester.makeconftest(
            "import importlib.util\n"
            "find = importlib.util.find_spec\n"
            "importlib.util.find_spec = lambda name, *rest: (\n"
            "    None if name == 'uvloop' else find(name, *rest)\n"
            ")\n" + CONFTEST
        )
        pytester.makepyfile("async def test_it(http1): ...")
        result = run(pytester, "--uvloop", "-rs")
        result.assert_outcomes(passed=4, skipped=2)
        result.stdout.fnmatch_lines(["*uvloop is not installed*"])


CONFTEST = "from tests.conftest import *\n"


def run(pytester: pytest.Pytester, *args: str) -> pytest.RunResult:
    """Run the tests of *pytester* in a process of their own, with this project's settings."""
    pytester.copy_example(str(ROOT / "pyproject.toml"))
    # in the order of the file, also where the plugin is installed that shuffles
    options = ("-p", "no:randomly", f"--override-ini=pythonpath={ROOT}")
    return pytester.runpytest_subprocess(*options, ".", *args)


def collect(pytester: pytest.Pytester, source: str, *args: str) -> list[str]:
    """Return the names of the tests that *source* makes."""
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(source)
    lines = run(pytester, "--collect-only", "-q", *args).outlines
    return [line.partition("::")[2] for line in lines if "::" in line]


LEAKS = """
import asyncio, socket, warnings
import anyio, anyio.lowlevel, pytest, trio

KEPT = []


def pair():
    listener = socket.create_server(("127.0.0.1", 0))
    return listener, socket.create_connection(listener.getsockname())


def test_sync_socket():
    KEPT.append(pair())


async def test_socket():
    KEPT.append(pair())


async def test_stream():
    listener = socket.create_server(("127.0.0.1", 0))
    KEPT.append([listener, await anyio.connect_tcp(*listener.getsockname())])


async def test_task(anyio_backend):
    async def spin():
        await anyio.sleep_forever()

    if anyio_backend[0] == "asyncio":
        KEPT.append(asyncio.create_task(spin(), name="spinner"))
    else:
        trio.lowlevel.spawn_system_task(trio.sleep_forever, name="spinner")


def test_garbage():
    cycle = list(pair())
    cycle.append(cycle)


def test_dropped():
    pair()


def test_thread():
    import threading
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start()
    thread.join()


async def test_clean():
    listener, client = pair()
    listener.close()
    client.close()
"""


class TestCensus:
    def test_each_leak_fails_its_own_test(self, pytester: pytest.Pytester) -> None:
        """The report names the socket and its peer, the task, or the warning, and comes once.

        The tests before and after are left alone.
        """
        pytester.makeconftest(CONFTEST)
        pytester.makepyfile(LEAKS)
        result = run(pytester, "--uvloop", "-rA")
        reports = [
            line.split("::")[1].partition(" - ")[::2]
            for line in result.outlines
            if line.startswith(("ERROR ", "FAILED "))
        ]
        guilty = {
            "test_sync_socket",
            "test_garbage",
            "test_dropped",
            "test_thread",
            *(f"{test}[asyncio]" for test in ("test_socket", "test_stream", "test_task")),
            *(f"{test}[uvloop]" for test in ("test_socket", "test_stream", "test_task")),
            *(f"{test}[trio]" for test in ("test_socket", "test_stream", "test_task")),
        }
        assert {name for name, _ in reports} == guilty
        assert len(reports) == len(guilty), "a leak was reported twice"
        output = result.stdout.str()
        # Only the reports count: with CI in the environment the summary repeats them in full.
        report = "\n".join(line for line in result.outlines if line.startswith("E  "))
        assert report.count("connected to ('127.0.0.1', ") == 1 + 3 + 3 + 1
        assert report.count("task 'spinner'") == 3
        assert "from the garbage: ResourceWarning: unclosed <socket.socket" in output

    def test_sockets_that_were_open_before_do_not_count(self) -> None:
        """A fixture of a wider scope keeps its sockets."""
        with socket.socket() as before:
            census = Census()
            with socket.socket() as after:
                assert len(open_sockets()) >= 2
                with pytest.raises(Leak, match=f"fd={after.fileno()} AF_INET"):
                    census.check()
            assert before.fileno() not in Census()._new_sockets().values()
        Census().check()

    async def test_worker_threads_do_not_count(self) -> None:
        """An idle worker thread is kept by the event loop for the next call."""
        await anyio.to_thread.run_sync(threading.get_ident)

    async def test_servers_of_the_tests_do_not_count(self, server: Server) -> None:
        """Their sockets are in this process, and are not the library's."""
        census = Census()
        port = server.url.port
        assert port
        stream = await connect(port)
        client = stream.extra(anyio.abc.SocketAttribute.raw_socket)
        await stream.send(b"GET /json HTTP/1.1\r\n\r\n")
        await stream.receive()
        assert list(census._new_sockets().values()) == [client.fileno()]
        await stream.aclose()
        await census.settle_and_check()

    async def test_tokens_in_use_or_wanted_are_noticed(self) -> None:
        """Idle connections matter only to the test that counts them."""

        @dataclass
        class Counts:
            in_use: int = 0
            idle: int = 0
            waiting: int = 0
            streams: int = 0
            limit: int = 0
            limit_per_host: int = 0

            def __post_init__(self) -> None:
                slots = Slots(self.limit, self.limit_per_host, lambda: False)
                self._pool = SimpleNamespace(slots=slots, kept_slots=0)

            def statistics(self) -> Counts:
                return self

        assert_no_tokens(Counts(idle=3))
        assert_no_tokens(Counts(idle=3), idle=3)
        for bad in (Counts(in_use=1), Counts(waiting=1), Counts(streams=1)):
            with pytest.raises(AssertionError, match="lent or wanted"):
                assert_no_tokens(bad)
        with pytest.raises(AssertionError, match="2 idle"):
            assert_no_tokens(Counts(idle=3), idle=2)
        for leaky, complaint in (
            (Counts(limit=1), "of the limit"),
            (Counts(limit_per_host=1), "hosts"),
        ):
            lost = Slot(A)
            assert leaky._pool.slots.take(lost)
            with pytest.raises(AssertionError, match=complaint):
                assert_no_tokens(leaky)
            leaky._pool.kept_slots = 1
            assert_no_tokens(leaky)


class TestPeer:
    async def test_each_connection_plays_its_own_steps(self, script: Script) -> None:
        """Requests are read whole, body included, before the answer is sent."""
        chunked = b"POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
        sized = b"POST /c HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"
        peer = await script(
            [(b"GET /a ", OK), (b"POST /b ", OK), (sized, OK)], [(b"GET /d ", [OK, CLOSE])]
        )
        first, second = await connect(peer.port), await connect(peer.port)
        async with first:
            for request in (b"GET /a HTTP/1.1\r\n\r\n", chunked, sized):
                for piece in (request[:-1], request[-1:]):
                    await first.send(piece)
                    await peer.settled()
                assert await first.receive() == OK
        async with second:
            await second.send(b"GET /d HTTP/1.1\r\n\r\n")
            assert await receive_all(second) == OK
        await peer.wait_closed(1)
        assert peer.connections == 2
        assert peer.requests == [
            b"GET /a HTTP/1.1\r\n\r\n" + chunked + sized,
            b"GET /d HTTP/1.1\r\n\r\n",
        ]
        assert str(peer.url) == f"http://127.0.0.1:{peer.port}/"

    @pytest.mark.uvloop
    async def test_pieces_arrive_one_by_one(self, script: Script) -> None:
        """The client's receive calls see the split that the script has."""
        pieces = [bytes([byte]) for byte in OK]
        peer = await script([*pieces, CLOSE])
        async with await connect(peer.port) as stream:
            received = [await stream.receive() for _ in pieces]
            with pytest.raises(anyio.EndOfStream):
                await stream.receive()
        assert received == pieces

    async def test_a_reset_is_not_an_end(self, script: Script) -> None:
        """RESET breaks the connection, CLOSE ends it."""
        peer = await script([(b"GET ", [b"HTTP", RESET])])
        async with await connect(peer.port) as stream:
            await stream.send(b"GET / HTTP/1.1\r\n\r\n")
            with pytest.raises(anyio.BrokenResourceError):
                await receive_all(stream)

    async def test_the_test_and_the_peer_wait_for_each_other(self, script: Script) -> None:
        """``Wait`` holds the peer, ``Tell`` the test; unasked bytes come on their own."""
        go, told = Flag(), Flag()
        peer = await script([(b"GET ", OK), Wait(go), SendUnasked(b"surprise"), Tell(told), STALL])
        async with await connect(peer.port) as stream:
            await stream.send(b"GET / HTTP/1.1\r\n\r\n")
            assert await stream.receive() == OK
            await peer.settled()
            assert not told.is_set()
            go.set()
            await told.until_set()
            assert await stream.receive() == b"surprise"
            await stream.send(b"whatever")
            await peer.settled()

    async def test_a_head_can_be_answered_before_the_body(self, script: Script) -> None:
        """For 100-continue and early refusals."""
        peer = await script(
            [(Head(b"POST "), b"HTTP/1.1 100 Continue\r\n\r\n"), (Until(b"end"), OK), STALL]
        )
        async with await connect(peer.port) as stream:
            await stream.send(b"POST / HTTP/1.1\r\nContent-Length: 6\r\n\r\n")
            assert await stream.receive() == b"HTTP/1.1 100 Continue\r\n\r\n"
            await stream.send(b"theend")
            assert await stream.receive() == OK

    async def test_a_deaf_peer_lets_the_client_run_into_full_buffers(self, script: Script) -> None:
        """DEAF reads nothing, so that sending blocks; it ends when the client closes."""
        peer = await script([(Head(b"POST "), DEAF)])
        async with await connect(peer.port) as stream:
            await stream.send(b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n")
            await peer.settled()
            full = partial(until_full, stream.extra(SocketAttribute.raw_socket))
            assert await cancel_when(partial(stream.send, bytes(64 * 2**20)), full)
            await anyio.aclose_forcefully(stream)
            await peer.wait_closed()

    async def test_tls_can_end_with_and_without_notice(
        self, script: Script, tls_ca: Authority
    ) -> None:
        """CLOSE sends close-notify, CUT does not."""
        context = ssl.create_default_context(cadata=tls_ca.ca_pem.decode())
        context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF  # which early versions of Python 3.11 set
        for end in (CLOSE, CUT):
            peer = await script([(b"GET ", [OK, end])], tls=tls_ca.server)
            assert peer.url.scheme == "https"
            stream = await anyio.connect_tcp("127.0.0.1", peer.port, ssl_context=context)
            await stream.send(b"GET / HTTP/1.1\r\n\r\n")
            assert await stream.receive() == OK
            error = anyio.EndOfStream if end is CLOSE else anyio.BrokenResourceError
            with pytest.raises(error):
                await stream.receive()
            await anyio.aclose_forcefully(stream)

    async def test_a_certificate_can_be_refused(self, script: Script, tls_ca: Authority) -> None:
        """A connection without steps is content with a handshake that fails."""
        peer = await script([], tls=tls_ca.server_for("elsewhere.test"))
        with pytest.raises(ssl.SSLCertVerificationError):
            await anyio.connect_tcp("127.0.0.1", peer.port, ssl_context=tls_ca.client)
        await peer.wait_closed()

    async def test_a_peer_can_listen_on_a_unix_socket(self, script: Script) -> None:
        """Steps and pieces are the same as on TCP."""
        peer = await script([(b"GET ", [b"HTTP", b"/1.1 ", CLOSE])], unix=True)
        async with await anyio.connect_unix(peer.unix_path) as stream:
            await stream.send(b"GET / HTTP/1.1\r\n\r\n")
            assert [await stream.receive() for _ in range(2)] == [b"HTTP", b"/1.1 "]
        assert str(peer.url) == "http://localhost/"

    @pytest.mark.parametrize(
        ("steps", "sent", "complaint"),
        [
            ([(b"GET /a ", OK)], b"GET /b", r"expected b'GET /a ', got b'GET /b'"),
            ([(Exact(b"\x05\x01"), OK)], b"\x05\x02", "expected"),
            ([(Until(b"end"), OK)], b"middle", r"client closed .*, before Until"),
            ([], b"x", "unexpected bytes after the last step: b'x'"),
            ([(b"GET ", OK)], b"GET / HTTP/1.1\r\n\r\nGET", "unexpected bytes .*: b'GET'"),
            ([(b"GET ", OK), CLOSE], b"GET / HTTP/1.1\r\n\r\nGET", "unexpected bytes"),
            ([(b"GET ", OK), (b"PUT ", OK)], b"GET / HTTP/1.1\r\n\r\n", r"before b'PUT '"),
            ([(b"GET ", OK)], b"GET / HTTP/1.1\r\nNo header\r\n\r\n", "not a header line"),
            ([(b"G", OK)], b"GET\r\n\r\n", "not a request line"),
            ([(b"P", OK)], b"P / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "chunk"),
        ],
    )
    async def test_a_client_that_leaves_the_script_fails_the_test(
        self, steps: list[Step], sent: bytes, complaint: str
    ) -> None:
        """The failure says what was expected and what came."""
        script = Script()
        peer = await script(steps)
        async with await connect(peer.port) as stream:
            await stream.send(sent)
            await peer.settled()
        await peer.wait_closed()
        with pytest.raises(PeerFailed, match=complaint):
            script.stop()

    async def test_the_number_of_connections_is_part_of_the_script(self) -> None:
        """One too many is closed, one too few fails the test at its end."""
        script = Script()
        peer = await script([], [])
        script_of_none = Script()
        other = await script_of_none()
        async with await connect(peer.port), await connect(other.port) as stream:
            with pytest.raises(anyio.EndOfStream):
                await stream.receive()
        with pytest.raises(PeerFailed, match="1 of 2 connections never came"):
            script.stop()
        with pytest.raises(PeerFailed, match="connection 1 is one too many"):
            script_of_none.stop()

    async def test_a_loose_script_lets_the_client_go_at_any_point(self, script: Script) -> None:
        """``repeat`` and ``partial`` are for tests that cancel over and over."""
        peer = await script([(b"GET ", OK), (b"GET ", OK)], repeat=True, partial=True)
        for _ in range(3):
            async with await connect(peer.port) as stream:
                await stream.send(b"GET / HTTP/1.1\r\n")
        await peer.wait_connections(3)

    def test_nothing_can_follow_the_end_of_a_connection(self) -> None:
        """A script that can't be played is refused at once."""
        with pytest.raises(ValueError, match="follows the end"):
            Peer([[CLOSE, (b"GET ", OK)]])


async def get(
    server: Server, target: str, head: str = "", body: bytes = b"", method: str = "GET"
) -> tuple[int, bytes, bytes]:
    """Return status, head and body of one exchange on a connection of its own."""
    assert server.url.port
    async with await connect(server.url.port) as stream:
        start = f"{method} {target} HTTP/1.1\r\nConnection: close\r\n{head}\r\n"
        await stream.send(start.encode() + body)
        answer = await receive_all(stream)
    top, _, rest = answer.partition(b"\r\n\r\n")
    if b"Transfer-Encoding: chunked" in top:
        rest = dechunk(rest)
    return int(top.split()[1]), top, rest


def dechunk(data: bytes) -> bytes:
    """Return the content of a chunked body."""
    body = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        body, data = body + data[: int(size, 16)], data[int(size, 16) + 2 :]
    return body


@pytest.mark.once
class TestServer:
    async def test_bodies(self, server: Server) -> None:
        """Fixed, chunked and slow bodies come whole."""
        assert (await get(server, "/bytes/1000"))[2] == (bytes(range(256)) * 4)[:1000]
        assert json.loads((await get(server, "/json"))[2]) == DOCUMENT
        lines = (await get(server, "/stream/3"))[2].splitlines()
        assert [json.loads(line) for line in lines] == [{"id": 0}, {"id": 1}, {"id": 2}]
        assert (await get(server, "/drip?n=3&delay=0"))[2] == b"***"

    async def test_encodings(self, server: Server) -> None:
        """Each is labelled as what it is; raw deflate is what some servers send."""
        for target, decode in (
            ("/gzip", gzip.decompress),
            ("/deflate", zlib.decompress),
            ("/deflate-raw", lambda data: zlib.decompress(data, wbits=-15)),
        ):
            _, head, body = await get(server, target)
            assert json.loads(decode(body)) == DOCUMENT
            assert f"Content-Encoding: {target[1:].removesuffix('-raw')}".encode() in head
        for target in ("/br", "/zstd"):
            assert (await get(server, target))[0] in (200, 501)

    async def test_what_arrives_is_told(self, server: Server) -> None:
        """``/echo`` and ``/upload`` see every byte, in either framing."""
        _, _, answer = await get(
            server, "/echo?a=1&a=2", "X-One: 1\r\nContent-Length: 3\r\n", b"abc", "PUT"
        )
        told = json.loads(answer)
        assert (told["method"], told["path"], told["query"], told["length"]) == (
            *("PUT", "/echo", [["a", "1"], ["a", "2"]]),
            3,
        )
        assert ["X-One", "1"] in told["headers"]
        assert base64.b64decode(told["body"]) == b"abc"
        chunks = b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: x\r\n\r\n"
        chunks = chunks.replace(b";x=y", b"")
        _, _, answer = await get(server, "/upload", "Transfer-Encoding: chunked\r\n", chunks, "PUT")
        assert json.loads(answer) == {
            "length": 5,
            "sha256": hashlib.sha256(b"abcde").hexdigest(),
        }

    async def test_statuses(self, server: Server) -> None:
        """Redirects, cookies, credentials, and statuses without a body."""
        status, head, _ = await get(server, "/redirect/2")
        assert (status, b"Location: /redirect/1" in head) == (302, True)
        assert (await get(server, "/redirect/0"))[0] == 200
        status, head, _ = await get(server, "/redirect-to?url=http://x.test/%3Fa&status=307")
        assert (status, b"Location: http://x.test/?a" in head) == (307, True)
        _, head, _ = await get(server, "/cookies/set?a=1&b=2")
        assert head.count(b"Set-Cookie") == 2
        _, _, body = await get(server, "/cookies", "Cookie: a=1; b=2\r\n")
        assert json.loads(body) == {"cookies": {"a": "1", "b": "2"}}
        assert json.loads((await get(server, "/cookies"))[2]) == {"cookies": {}}
        for code in (204, 304, 404, 500):
            status, _, body = await get(server, f"/status/{code}")
            assert (status, bool(body)) == (code, code >= 400)
        assert (await get(server, "/basic-auth/u/p"))[0] == 401
        token = base64.b64encode(b"u:p").decode()
        assert (await get(server, "/basic-auth/u/p", f"Authorization: Basic {token}\r\n"))[0] == 200
        assert (await get(server, "/nothing"))[0] == 404
        assert (await get(server, "/json", method="HEAD"))[2] == b""
        assert (await get(server, "/json", "bad\r\n"))[0] == 400
        assert server.url.port
        async with await connect(server.url.port) as stream:
            await stream.send(b"GET /close HTTP/1.1\r\n\r\n")
            assert await receive_all(stream) == b""

    async def test_connections_are_kept_and_counted(self, server: Server) -> None:
        """One connection serves many requests; the counts start at zero in each test."""
        assert server.url.port
        assert (server.connections, server.peak_connections, server.requests) == (0, 0, [])
        async with await connect(server.url.port) as stream:
            for _ in range(2):
                await stream.send(b"GET /status/204 HTTP/1.1\r\n\r\n")
                assert (await stream.receive()).startswith(b"HTTP/1.1 204")
            assert server.open_connections == 1
        server.reset()
        assert (server.open_connections, server.connections, server.requests) == (0, 0, [])

    async def test_a_connection_of_an_earlier_test_does_not_count(
        self, monkeypatch: pytest.MonkeyPatch, server: Server
    ) -> None:
        """It may be open for a while, as its thread does not look whether the client has left."""
        monkeypatch.setattr(server_module, "SETTLING", 0)
        assert server.url.port
        async with await connect(server.url.port) as earlier:
            await earlier.send(b"GET /status/204 HTTP/1.1\r\n\r\n")
            assert (await earlier.receive()).startswith(b"HTTP/1.1 204")
            server.reset()
            assert (server.open_connections, server.peak_connections) == (0, 0)
            async with await connect(server.url.port) as stream:
                await stream.send(b"GET /status/204 HTTP/1.1\r\n\r\n")
                assert (await stream.receive()).startswith(b"HTTP/1.1 204")
                assert (server.open_connections, server.peak_connections) == (1, 1)
        await until(lambda: not server.open_connections, "the connection to be over")
        assert server.connections == 1

    async def test_the_body_comes_back_while_it_is_sent(self, server: Server) -> None:
        """``/echo-body`` is full duplex, and asks for the body if the client wants to be asked."""
        assert server.url.port
        async with await connect(server.url.port) as stream:
            await stream.send(
                b"POST /echo-body HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
                b"Expect: 100-continue\r\n\r\n"
            )
            received = await stream.receive()
            while not received.endswith(b"100 Continue\r\n\r\n"):
                received += await stream.receive()
            assert b"200 OK" in received
            for word in (b"one", b"two"):
                await stream.send(b"3\r\n%b\r\n" % word)
                assert await stream.receive() == b"3\r\n%b\r\n" % word
            await stream.send(b"0\r\n\r\n")
            assert await stream.receive() == b"0\r\n\r\n"

    async def test_hang_waits_for_the_client_to_close(self, server: Server) -> None:
        """A request to ``/hang`` has no answer, and leaves no thread behind."""
        assert server.url.port
        async with await connect(server.url.port) as stream:
            await stream.send(b"GET /hang HTTP/1.1\r\n\r\n")
            assert await cancel_when(stream.receive, partial(server.until_asked, "/hang"))
        server.reset()
        assert server.open_connections == 0

    async def test_tls_and_unix(self, server: Server, tls_ca: Authority) -> None:
        """The same routes are there over TLS and on a Unix socket."""
        assert server.https_url.port
        plain = await anyio.connect_tcp("127.0.0.1", server.https_url.port)
        request = b"GET /status/204 HTTP/1.1\r\n\r\n"
        secure = await TLSStream.wrap(plain, hostname="localhost", ssl_context=tls_ca.client)
        async with secure, await anyio.connect_unix(server.unix_path) as local:
            for stream in (secure, local):
                await stream.send(request)
                assert (await stream.receive()).startswith(b"HTTP/1.1 204")
            certificate = secure.extra(TLSAttribute.peer_certificate_binary)
            assert certificate is not None
            assert hashlib.sha256(certificate).digest() == tls_ca.fingerprint


class TestApi:
    ASKED: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("GET", "json", {}),
        ("HEAD", "json", {}),
        ("GET", "bytes/1000", {}),
        ("GET", "stream/3", {}),
        ("GET", "gzip", {}),
        ("GET", "br", {}),
        ("GET", "zstd", {}),
        ("GET", "status/204", {}),
        ("GET", "status/304", {}),
        ("GET", "status/503", {}),
        ("GET", "nothing", {}),
        ("GET", "redirect/2", {"allow_redirects": False}),
        ("GET", "redirect-to?url=/caf%C3%A9&status=307", {"allow_redirects": False}),
        ("GET", "cookies/set?a=1&b=2", {"allow_redirects": False}),
        ("GET", "cookies", {"cookies": {"a": "1"}}),
        ("GET", "basic-auth/u/p", {}),
        ("GET", "basic-auth/u/p", {"auth": BasicAuth("u", "p")}),
        ("GET", "send?text=%C3%BC&charset=latin-1&X-One=1", {}),
        ("GET", "echo?a=b%20c#part", {"headers": {"Host": "h.test", "X": "\u00fc \udcff"}}),
        ("POST", "anything", {"data": {"a": "b"}, "headers": {"Host": "h.test"}}),
        ("PUT", "upload", {"data": b"x" * 100_000}),
        ("PUT", "echo-body", {"data": b"body", "headers": {"Content-Type": "a/b"}}),
        ("POST", "upload", {"data": b"chunked", "chunked": True}),
        ("POST", "upload", {"data": b"asked", "expect100": True}),
    )

    @pytest.mark.parametrize(("method", "target", "options"), ASKED)
    async def test_it_answers_as_the_server_does(
        self, server: Server, api: Api, method: str, target: str, options: dict[str, Any]
    ) -> None:
        """But for connections, which are not kept."""
        api.leave_alone(server.url)
        found = []
        async with ClientSession() as session:
            for base in (server.url, api.url):
                url = base.join(URL(target, encoded=True))
                async with session.request(method, url, **options) as response:
                    headers = {**response.headers}
                    headers.pop("Connection", None)
                    found.append((response.status, headers, await response.read()))
        assert found[0] == found[1]
        assert api.requests == server.requests
        assert (api.connections, server.connections) == (1, 1)

    async def test_it_answers_at_other_origins(self, api: Api) -> None:
        """Each may have answers of its own."""
        other = URL("https://other.test/")
        api.answer_at(other, lambda exchange: exchange.respond(exchange.path.encode()))
        async with ClientSession() as session:
            for url, body in ((other / "json", "/json"), (api.url / "status/503", "status 503")):
                async with session.get(url) as response:
                    assert await response.text() == body

    async def test_what_takes_time_or_breaks_off_needs_the_server(self, api: Api) -> None:
        """A test that asks for it is told."""
        async with ClientSession(api.url) as session:
            for target in ("drip", "hang", "close"):
                with pytest.raises(NotImplementedError):
                    await session.get(target)


HOWS: list[How] = ["scope", "every-task", "native"]


@pytest.mark.uvloop
class TestCancelling:
    @pytest.mark.parametrize("how", HOWS)
    async def test_each_point_is_hit_once(self, how: How) -> None:
        """The operation stops at its first point, then at its second, and so on to its end."""
        reached: list[int] = []
        runs: list[list[int]] = []

        async def operation() -> None:
            for number in range(4):
                await anyio.lowlevel.checkpoint()
                reached.append(number)

        async def after() -> None:
            runs.append(reached.copy())
            reached.clear()

        assert await cancel_at_every_checkpoint(operation, after=after, how=how) == 4
        assert runs == [[], [0], [0, 1], [0, 1, 2], [0, 1, 2, 3]]

    @pytest.mark.parametrize("how", HOWS)
    async def test_a_point_that_waits_is_interrupted(self, how: How) -> None:
        """An event that will never come can be cancelled like a checkpoint."""
        events = [anyio.Event(), anyio.Event()]
        events[1].set()

        async def operation() -> None:
            for event in reversed(events):
                await event.wait()

        async def after() -> None:
            assert not events[0].statistics().tasks_waiting
            if not runs:
                events[0].set()
            runs.append(None)

        runs: list[None] = []
        # anyio makes a checkpoint of waiting for an event that is set
        assert await cancel_at_every_checkpoint(operation, after=after, how=how) == 2

    async def test_tasks_of_the_operation_count_if_asked(self) -> None:
        """``every-task`` also cancels while only a child of the operation is at work."""
        progress: list[int] = []
        runs: list[int] = []

        async def child() -> None:
            for number in range(3):
                await anyio.lowlevel.checkpoint()
                progress.append(number)

        async def operation() -> None:
            async with anyio.create_task_group() as group:
                group.start_soon(child)

        async def after() -> None:
            runs.append(len(progress))
            progress.clear()

        own = await cancel_at_every_checkpoint(operation, after=after)
        assert set(runs) < {0, 1, 2, 3}
        runs.clear()
        every = await cancel_at_every_checkpoint(operation, after=after, how="every-task")
        assert every >= own + 3
        assert set(runs) == {0, 1, 2, 3}

    @pytest.mark.parametrize("how", HOWS)
    async def test_a_cancelled_exchange_is_interrupted_everywhere(
        self, how: How, script: Script
    ) -> None:
        """Connecting, sending and receiving are points of their own."""
        peer = await script(
            [(b"GET ", [b"HTTP/1.1 ", b"200 OK", CLOSE])], repeat=True, partial=True
        )
        census = Census()

        async def operation() -> None:
            async with await connect(peer.port) as stream:
                await stream.send(b"GET / HTTP/1.1\r\n\r\n")
                assert await receive_all(stream) == b"HTTP/1.1 200 OK"

        points = await cancel_at_every_checkpoint(operation, after=census.settle_and_check, how=how)
        assert points >= 3

    @pytest.mark.parametrize("how", HOWS)
    async def test_the_failing_point_is_named(self, how: How) -> None:
        """An error in the operation or in the check after it says where it was cancelled."""

        async def operation() -> None:
            await anyio.lowlevel.checkpoint()
            try:
                await anyio.lowlevel.checkpoint()
            except BaseException as exc:
                raise ValueError("not what was asked for") from exc

        with pytest.raises(ValueError, match="asked for") as caught:
            await cancel_at_every_checkpoint(operation, after=anyio.lowlevel.checkpoint, how=how)
        assert caught.value.__notes__ == [f"cancelled at suspension point 2 ({how})"]

    async def test_a_native_cancellation_must_not_be_swallowed(self) -> None:
        """``asyncio.timeout`` would not work around such an operation."""

        async def operation() -> None:
            try:
                await anyio.lowlevel.checkpoint()
            except asyncio.CancelledError:
                pass

        with pytest.raises(AssertionError, match="swallowed"):
            await cancel_at_every_checkpoint(
                operation, after=anyio.lowlevel.checkpoint, how="native"
            )


class TestVectors:
    def test_line_ends_and_escapes_become_the_bytes_they_stand_for(self) -> None:
        """A line ends with CRLF, a backslash joins lines, escapes are bytes of their own."""
        text = "A: 1\n\\\nB:\\t2\\r\nx\\n\\\n\\f"
        assert vectors._unescape(text) == b"A: 1\r\nB:\t2\r\r\nx\n\f"

    def test_every_span_of_the_log_is_where_the_log_says(self) -> None:
        """So the bytes are those that llhttp itself was given."""
        spans = 0
        for path in (vectors.DATA / "llhttp").glob("*.md"):
            for case in vectors._CASE.finditer(path.read_text(encoding="utf-8")):
                raw = vectors._unescape(case["text"])
                for event in vectors._EVENT.finditer(case["log"]):
                    if event["span"] and event["rest"].startswith('"'):
                        text = event["rest"][1:-1].replace("\\t", "\t").encode()
                        assert raw[int(event["off"]) :].startswith(text)
                        spans += 1
        assert spans > 500

    def test_the_expectation_is_that_of_the_first_final_response(self) -> None:
        """Interim responses go before it, whatever follows is ``rest``."""
        found = {vector.name: vector for vector in vectors.llhttp()}
        assert len(found) == 64
        assert sum(vector.accepted for vector in found.values()) == 38
        assert found["connection-http-100-first-then-400"].status == 404
        pipelined = found["pipelining-should-parse-multiple-events"]
        assert (pipelined.body, pipelined.headers) == (b"AAA", [(b"Content-Length", b"3")])
        assert pipelined.rest.startswith(b"\r\nHTTP/1.1 201 Created")
        upgraded = found["connection-http-101-response-with-upgrade-and-content-length-header"]
        assert (upgraded.status, upgraded.rest) == (101, b"bodyproto")
        short = found["sample-google-301"]
        assert (short.accepted, short.error) == (False, "the connection ended within the body")
        tabs = found["content-length-tabs-in-content-length-surrounding"]
        assert tabs.headers == [(b"Content-Length", b"42")]

    def test_the_cases_of_web_platform_tests_are_whole(self) -> None:
        """Line ends become CRLF, and a lone CR stays alone."""
        lengths = list(vectors.wpt_content_lengths())
        assert all(vector.raw.count(b"\r\n") == vector.raw.count(b"\n") for vector in lengths)
        assert {len(vector.raw.partition(b"\r\n\r\n")[2]) for vector in lengths} == {42}
        assert all(raw.replace(b"\r\n", b"").count(b"\r") for raw in vectors.wpt_lone_cr())
        assert len(vectors.wpt_incomplete()) == 4
        assert {str(vector): vector.browser for vector in vectors.wpt_status_codes()}[
            "'099 HELLO'"
        ] == (99, "HELLO")


class TestPrograms:
    """What :mod:`tests.support.programs` gives to servers of other projects."""

    def test_a_port_is_handed_out_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Not to two places of one program, nor to two processes of one run of tests."""
        offered = iter([40_001, 40_001, 40_003, 40_005, 40_013])

        class Probe(socket.socket):
            def bind(self, _address: Any) -> None:
                """Take no port."""

            def getsockname(self) -> Any:
                return "127.0.0.1", next(offered)

        monkeypatch.setattr(programs, "socket", SimpleNamespace(socket=Probe))
        monkeypatch.setattr(programs, "_PORTS", set())
        monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "3")
        monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw2")
        assert [programs.free_port(), programs.free_port()] == [40_001, 40_013]
