"""``anyhttp demo``, and what it is made of."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

import anyhttp

pytest.importorskip("click")
pytest.importorskip("h2")
pytest.importorskip("rich")
pytest.importorskip("trio")

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, DataReceived, Event, StreamEnded
from rich.console import Console
from websockets.client import ClientProtocol
from websockets.protocol import State
from websockets.uri import parse_uri

from anyhttp._cli import _certificate
from anyhttp._cli._commands import run
from anyhttp._cli._demo import (
    Board,
    DemoContext,
    DemoFailure,
    cancel,
    check,
    count_sockets,
    find_leaks,
    reason,
    share_connection,
    time_out,
    use_tls,
)
from anyhttp._cli._demo_http2 import Http2Connection
from anyhttp._cli._demo_server import TABLE, DemoServer
from tests.support.canned import Canned
from tests.support.command import (
    BACKENDS,
    COLOUR,
    Peer,
    Terminal,
)
from tests.support.http2_probe import frames_of
from tests.support.waiting import DEADLINE
from tests.support.websocket import TEXT, close, frame


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> ssl.SSLObject:
    """Let two contexts shake hands in memory, and return the client's side."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for end in [*ends, *ends]:
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            pass
    return ends[0]


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_the_throw_away_certificate_verifies(name: str) -> None:
    """Both of its names pass a client that verifies strictly, as Python 3.13 does by default."""
    server, client = _certificate.throw_away_contexts()
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    assert client.verify_mode is ssl.CERT_REQUIRED
    connection = handshake(server, client, name)
    peer = connection.getpeercert()
    assert peer is not None
    assert peer["subjectAltName"] == (("DNS", "localhost"), ("IP Address", "127.0.0.1"))
    not_before, not_after = (parsedate(peer[field]) for field in ("notBefore", "notAfter"))
    now = datetime.now(UTC)
    assert now - timedelta(hours=2) < not_before < now
    assert now < not_after <= now + timedelta(days=1)


def parsedate(field: object) -> datetime:
    """Return a date of ``getpeercert()``."""
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(field)), UTC)


def test_the_throw_away_certificate_is_good_for_nothing_else() -> None:
    """Other names are refused, and so is another certificate of the same name."""
    server, client = _certificate.throw_away_contexts()
    with pytest.raises(ssl.SSLCertVerificationError, match="example"):
        handshake(server, client, "example.com")
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server, _certificate.throw_away_contexts()[1], "localhost")


def test_the_private_key_leaves_no_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The file that ``load_cert_chain`` needs is gone when the contexts are there."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    _certificate.throw_away_contexts()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_demonstration_passes(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every check holds, one line each, and the exit status says so."""
    assert run(["demo", "--backend", backend]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum("✓" in line or "ok" in line for line in lines) == 12
    assert lines[-1].startswith("all 12 checks passed in ")


def test_the_demonstration_runs_on_both_backends_and_a_terminal(on_terminal: Terminal) -> None:
    """Without ``--backend``: asyncio first, then trio, with a bar while the download runs."""
    status, shown = on_terminal("demo")
    assert status == 0
    plain = COLOUR.sub(b"", shown).decode()
    assert plain.index("asyncio") < plain.index("trio")
    assert "all 24 checks passed" in plain
    assert "━" in plain


def test_a_failed_check_fails_the_demonstration() -> None:
    """It is shown with its reason, out of its group, and the ones after it still run."""
    out = io.StringIO()
    board = Board(Console(file=out, width=100))

    async def bad() -> str:
        raise ExceptionGroup("outer", [ExceptionGroup("inner", [DemoFailure("3 bytes\ninstead")])])

    async def good() -> str:
        return "as [it] should be"

    async def both() -> None:
        with board:
            await board.step("first", bad)
            await board.step("second", good)

    anyio.run(both)
    assert board.summarize(1.0) == 1
    text = out.getvalue()
    assert "DemoFailure: 3 bytes instead\n" in text
    assert "as [it] should be\n" in text
    assert "1 of 2 checks failed in 1.0 s" in text


def test_a_demonstration_that_can_not_start_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a place for the temporary file there is no TLS to show: one line, status 1."""
    monkeypatch.setattr("tempfile.tempdir", "/no/such/place")
    assert run(["demo", "--backend", "asyncio"]) == 1
    assert capsys.readouterr().err.startswith("anyhttp: /no/such/place/")


@pytest.mark.parametrize("step", [time_out, cancel])
def test_an_answer_where_none_should_come_fails_the_check(
    peer: Peer, step: Callable[[DemoContext], Awaitable[str]]
) -> None:
    """The demonstration of a timeout and of a cancellation can fail."""
    peer.stalls = False

    async def run_step() -> None:
        server = DemoServer(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        server.url = peer.url  # where another one answers
        async with anyhttp.ClientSession(server.url) as session:
            trust = ssl.create_default_context()
            await step(DemoContext(server, session, trust, "", lambda done, total: None))

    with pytest.raises((DemoFailure, ExceptionGroup)) as caught:
        anyio.run(run_step)
    assert "DemoFailure: a stalled request was answered" in reason(caught.value)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_answer_over_http2_where_none_should_come_fails_the_check(backend: str) -> None:
    """So can that of a connection that is shared."""
    server_tls, trust = _certificate.throw_away_contexts()

    class Ready(DemoServer):
        def _answer(self, method: str, path: str) -> bytes:
            return b"{}"

    async def run_step() -> None:
        server = Ready(server_tls)
        async with anyio.create_task_group() as tasks:
            await tasks.start(server.serve)
            async with anyhttp.ClientSession() as session:
                demo = DemoContext(server, session, trust, "", lambda done, total: None)
                with pytest.raises(ExceptionGroup) as caught:
                    await share_connection(demo)
            assert reason(caught.value) == "DemoFailure: a stalled request was answered"
            tasks.cancel_scope.cancel()

    anyio.run(run_step, backend=backend)


def test_accepting_an_unknown_certificate_fails_the_check() -> None:
    """The demonstration of TLS can fail: here the session does not verify."""
    server_tls, trust = _certificate.throw_away_contexts()

    async def run_step() -> None:
        server = DemoServer(server_tls)
        async with anyio.create_task_group() as tasks:
            await tasks.start(server.serve)
            connector = anyhttp.TCPConnector(ssl=False)
            async with anyhttp.ClientSession(connector=connector) as session:
                with pytest.raises(DemoFailure, match="unknown certificate"):
                    await use_tls(DemoContext(server, session, trust, "", lambda done, total: None))
            tasks.cancel_scope.cancel()

    anyio.run(run_step)


def test_a_check_that_does_not_hold_says_what_was_seen() -> None:
    """The message is the observation."""
    check(True, "nothing")
    with pytest.raises(DemoFailure, match="3 bytes"):
        check(False, "3 bytes")


def test_sockets_are_counted_where_the_system_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more socket is one more; without ``/dev/fd``, as on Windows, nothing is claimed."""
    before = count_sockets()
    if before is not None:
        with socket.socket():
            assert count_sockets() == before + 1

    def no_such_directory(path: str) -> list[str]:
        raise FileNotFoundError(path)

    monkeypatch.setattr(os, "listdir", no_such_directory)
    assert count_sockets() is None


def test_a_socket_about_to_be_closed_is_no_leak() -> None:
    """A transport of asyncio is closed a moment before its socket is."""

    async def look() -> None:
        server = DemoServer(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        before = count_sockets()
        late = socket.socket()

        async def close_late() -> None:
            late.close()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(close_late)
            assert (await find_leaks(server, before)).startswith("0 connections closed")

    anyio.run(look)


def test_the_demonstration_compresses_only_on_request() -> None:
    """A client that does not offer gzip gets the table in the clear."""
    server_tls, _ = _certificate.throw_away_contexts()

    async def fetch_table() -> None:
        server = DemoServer(server_tls)
        async with anyio.create_task_group() as tasks:
            await tasks.start(server.serve)
            async with anyhttp.ClientSession(server.url) as session:
                async with session.get("/table", headers={"Accept-Encoding": "br"}) as response:
                    assert "Content-Encoding" not in response.headers
                    assert await response.json() == TABLE
            tasks.cancel_scope.cancel()

    anyio.run(fetch_table)


def http2_client() -> H2Connection:
    """A client that has nothing but its preface to send yet."""
    client = H2Connection(H2Configuration(header_encoding="utf-8"))
    client.initiate_connection()
    return client


def seen_over_http2(client: H2Connection, more: bytes = b"") -> tuple[list[Event], list[str]]:
    """Let the demonstration answer *client*, which closes then: what it sees, and the requests.

    :param more: bytes that are no more than bytes
    """
    stream, asked = Canned(client.data_to_send() + more), []

    def answer(method: str, path: str) -> bytes | None:
        asked.append(f"{method} {path}")
        return None if path == "/stall" else b"{}"

    def on_stall(change: int) -> None:
        asked.append(f"{change:+}")

    async def serve() -> None:
        with contextlib.suppress(anyio.EndOfStream):
            await Http2Connection(stream, answer, on_stall).serve()
        asked.append("end")

    anyio.run(serve)
    return client.receive_data(stream.sent), asked


def fields(method: str, path: str, **more: str) -> list[tuple[str, str]]:
    """The head of a request of HTTP/2."""
    pseudo = {"method": method, "scheme": "https", "authority": "a.test", "path": path, **more}
    return [(f":{name}", value) for name, value in pseudo.items()]


def test_the_server_of_the_demonstration_takes_bodies_over_http2() -> None:
    """A request is answered when its body has come, and not as a WebSocket would be."""
    client = http2_client()
    client.send_headers(1, fields("POST", "/upload"))
    client.send_data(1, b"body", end_stream=True)
    events, asked = seen_over_http2(client)
    assert asked == ["POST /upload", "end"]
    assert [each.data for each in events if isinstance(each, DataReceived)] == [b"{}"]
    assert isinstance(events[-1], StreamEnded)


def test_a_websocket_over_http2_ends_with_its_stream() -> None:
    """The server answers CLOSE, and ends its side of the stream when the client has ended its."""
    client = http2_client()
    websocket = ClientProtocol(parse_uri("wss://a.test/"), state=State.OPEN)
    websocket.send_text(b"hello")
    websocket.send_close(1000)
    client.send_headers(1, fields("CONNECT", "/websocket", protocol="websocket"))
    for piece in websocket.data_to_send():
        client.send_data(1, piece)
    client.end_stream(1)
    events, asked = seen_over_http2(client)
    assert asked == ["end"]
    sent = [each.data for each in events if isinstance(each, DataReceived)]
    assert sent == [frame(TEXT, b"hello"), close(1000), b""]
    assert isinstance(events[-1], StreamEnded)


def test_a_connection_that_ends_leaves_no_request_without_an_answer() -> None:
    """What the demonstration counts as stalled is over when its connection is."""
    client = http2_client()
    for number in (1, 3):
        client.send_headers(number, fields("GET", "/stall"), end_stream=True)
    assert seen_over_http2(client)[1] == ["GET /stall", "+1", "GET /stall", "+1", "-1", "-1", "end"]


def test_a_mistake_ends_the_connection_of_the_demonstration() -> None:
    """The client is told which one, by GOAWAY."""
    too_short = bytes([0, 0, 1, 8, 0, 0, 0, 0, 1, 0])  # WINDOW_UPDATE without a window
    events, asked = seen_over_http2(http2_client(), too_short)
    assert asked == ["end"]
    assert isinstance(events[-1], ConnectionTerminated)
    assert events[-1].error_code == ErrorCodes.FRAME_SIZE_ERROR


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_demonstration_hangs_up_after_a_mistake(backend: str) -> None:
    """Nothing that comes after it is taken for HTTP/1.1."""
    server_tls, trust = _certificate.throw_away_contexts()
    trust.set_alpn_protocols(["h2"])

    async def make_mistake() -> bytes:
        received = b""
        server = DemoServer(server_tls)
        async with anyio.create_task_group() as tasks:
            await tasks.start(server.serve)
            port = int(server.tls_url.rpartition(":")[2])
            async with await anyio.connect_tcp(
                "localhost", port, ssl_context=trust, tls_standard_compatible=False
            ) as stream:
                await stream.send(b"GET / HTTP/1.1\r\n\r\n" * 3)
                with contextlib.suppress(anyio.EndOfStream), anyio.fail_after(DEADLINE):
                    while True:
                        received += await stream.receive()
            tasks.cancel_scope.cancel()
        return received

    received = anyio.run(make_mistake, backend=backend)
    kinds = [type(each).__name__ for each in frames_of(received)]
    assert kinds == ["SettingsFrame"]  # and no answer
