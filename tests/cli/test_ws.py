"""``anyhttp ws``, from the outside."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
from io import FileIO
from pathlib import Path
from types import SimpleNamespace

import anyio
import pytest
from multidict import CIMultiDict

from anyhttp import (
    ClientConnectionResetError,
    ClientSession,
    ClientWebSocketResponse,
    WSMessage,
    WSMsgType,
)
from anyhttp.testing import MockConnector, WebSocketPeer
from tests.support.command import BACKENDS, Talk
from tests.support.peer import CLOSE, STALL, Step
from tests.support.websocket import BINARY, PING, PONG, Accept, CloseWith, Frame, close, frame

pytest.importorskip("click")
pytest.importorskip("rich")
pytest.importorskip("trio")

from anyhttp._cli._commands import run
from anyhttp._cli._lines import Lines
from anyhttp._cli._options import Route, Sender, Watch
from anyhttp._cli._ws import Conversation, End, Options, shown

ROOT = Path(__file__).parent.parent.parent
WAIT = ("--wait", "0.3")
SENDER = Sender(headers=CIMultiDict(), left_out=frozenset(), query=(), login=None, cookie_jar=None)
ROUTE = Route(proxy=None, addresses={}, unix_socket=None, http2=False, tls=True)


def ws(*args: str, lines: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run the command with *lines* on its standard input."""
    command = [sys.executable, "-m", "anyhttp", "ws", *args]
    return subprocess.run(
        command, cwd=ROOT, input=lines, capture_output=True, timeout=30, check=False
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_lines_are_sent_and_messages_printed(address: str, backend: str) -> None:
    """The scheme may be left out; a last line need not end."""
    done = ws(f"{address}/echo", *WAIT, "--backend", backend, lines="one\r\nzwö\nthree".encode())
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == "one\nzwö\nthree\n".encode()


@pytest.mark.parametrize("backend", BACKENDS)
def test_lines_of_a_plain_file(address: str, backend: str, tmp_path: Path) -> None:
    """A file cannot be waited for as a pipe can."""
    path = tmp_path / "lines"
    path.write_bytes(b"a\nb\n")
    command = [sys.executable, "-m", "anyhttp", "ws", f"ws://{address}/echo", *WAIT]
    with path.open("rb") as lines:
        done = subprocess.run(
            [*command, "--backend", backend],
            cwd=ROOT, stdin=lines, capture_output=True, timeout=30, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, b"a\nb\n")


def test_verbose_shows_opening_and_closing(address: str) -> None:
    """On stderr, with the heads of the handshake and what was agreed on."""
    done = ws(f"{address}/echo", *WAIT, "-v", "-z", "-p", "chat", "-H", "X-A: b", "-u", "a:b")
    assert done.returncode == 0
    assert done.stdout == b""
    assert f"* new connection to {address}\n> GET /echo HTTP/1.1\n".encode() in done.stderr
    assert b"\n> X-A: b\n" in done.stderr
    assert b"\n> Authorization: Basic ***\n" in done.stderr
    assert b"\n< HTTP/1.1 101 Switching Protocols\n" in done.stderr
    assert b"body" not in done.stderr
    assert b"* open, protocol None, compress" in done.stderr
    assert b"* closed, code 1000" in done.stderr


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_lost_connection_is_an_error(address: str, backend: str) -> None:
    """One line on stderr, and status 1, though the input has not ended."""
    command = [sys.executable, "-m", "anyhttp", "ws", f"{address}/die/0.1", "--backend", backend]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        assert b"the connection was lost" in process.stderr.read()
        assert process.wait(30) == 1


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["ws://127.0.0.1:1/"], b"cannot connect to 127.0.0.1:1: "),
        (
            ["{address}/echo", "-H", "Sec-WebSocket-Version: 8"],
            b"the WebSocket was not opened: Invalid response",
        ),
    ],
)
def test_what_does_not_open_is_an_error(address: str, args: list[str], message: bytes) -> None:
    """One line on stderr, and status 1."""
    done = ws(*(arg.replace("{address}", address) for arg in args))
    assert done.returncode == 1
    assert done.stdout == b""
    assert message in done.stderr
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("compress", [[], ["-z"]])
def test_a_message_that_is_too_large_is_an_error(
    address: str, backend: str, compress: list[str]
) -> None:
    """A server cannot fill the memory; one line says which limit it was."""
    args = [f"{address}/echo", *WAIT, "--max-size", "1000", "--backend", backend, *compress]
    done = ws(*args, lines=b"a" * 1000 + b"\n" + b"b" * 1001 + b"\n")
    assert done.returncode == 1
    assert done.stdout == b"a" * 1000 + b"\n"
    assert done.stderr.count(b"\n") == 1
    assert b"1000" in done.stderr


def test_messages_have_a_limit_that_can_be_left_out(address: str) -> None:
    """Some megabytes go without ``--max-size``, more do not."""
    line = b"a" * 4_200_000
    done = ws(f"{address}/echo", "--wait", "5", lines=line + b"\n" + line * 4)
    assert (done.returncode, done.stdout) == (1, line + b"\n")


def test_a_reader_that_leaves_is_no_error_worth_a_word(address: str) -> None:
    """``anyhttp ws … | head``."""
    command = [sys.executable, "-m", "anyhttp", "ws", f"{address}/count/100000"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"0\n"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(30) == 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_ctrl_d_closes_at_once_on_a_terminal(address: str, backend: str) -> None:
    """Whoever types has seen the answers; what is printed cannot command the terminal."""
    main, theirs = pty.openpty()
    command = [sys.executable, "-m", "anyhttp", "ws", f"{address}/echo", "--wait", "60"]
    with subprocess.Popen(
        [*command, "--backend", backend], cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        os.write(main, b"a\x1bb\n")
        seen = b""
        while "a\u241bb".encode() not in seen:
            seen += os.read(main, 1000)
        os.write(main, b"\x04")
        assert process.wait(30) == 0
    os.close(main)


@pytest.mark.parametrize(
    ("last", "answer", "status", "said"),
    [
        (close(1000, b"bye"), 1000, 0, ""),
        (close(1001), 1001, 0, ""),
        (close(1008, b"too \x1b[31mred"), 1008, 1, "1008 too \u241b[31mred"),
    ],
)
def test_the_close_code_of_the_server_is_the_exit_status(
    talk: Talk, last: bytes, answer: int, status: int, said: str
) -> None:
    """It is an error unless the server has nothing more to say, or goes away."""
    shown = talk([(b"GET / ", Accept(last)), (CloseWith(answer), CLOSE)])
    assert shown == (status, b"", f"anyhttp: closed by the server: {said}\n" if said else "")


def test_pings_and_pongs_are_shown_on_request(talk: Talk) -> None:
    """With ``--verbose``, on stderr; a PING is answered with what it holds."""
    begin = (b"GET / ", Accept(frame(PING, b"\x1b1") + frame(PONG, b"2")))
    steps: list[Step] = [begin, (Frame(PONG, b"\x1b1"), close(1000)), (CloseWith(1000), CLOSE)]
    status, out, err = talk(steps, "-v")
    assert (status, out) == (0, b"")
    lines = err.splitlines()
    assert lines[lines.index("* open, protocol None, compress 0") + 1 :] == [
        r"< ping b'\x1b1'", "< pong b'2'", "* closed, code 1000",
    ]  # fmt: skip
    assert talk(steps) == (0, b"", "")


def test_bytes_are_printed_as_they_are(talk: Talk) -> None:
    """Nothing is added to a binary message on its way into a file or a pipe."""
    begin = (b"GET / ", Accept(frame(BINARY, b"\x1b\n\xff") + frame(BINARY, b"\0") + close(1000)))
    assert talk([begin, (CloseWith(1000), CLOSE)]) == (0, b"\x1b\n\xff\0", "")


def test_bytes_are_only_counted_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They could command it."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert shown(WSMessage(WSMsgType.BINARY, b"\x1b[31m", None)) == b"[5 bytes]\n"


async def test_a_line_that_comes_too_late_is_no_error(
    typed: FileIO, capfd: pytest.CaptureFixture[str]
) -> None:
    """The task that receives tells why the WebSocket is closed, if that is worth a word."""

    async def serve(peer: WebSocketPeer) -> None:
        await peer.close(1000)

    mock = MockConnector()
    mock.ws("ws://a.test/", serve)
    options = Options(
        url="ws://a.test/", sender=SENDER, route=ROUTE, protocols=(), compress=False,
        watch=Watch(verbose=True, trace=False), wait=0, max_size=0, reconnect=False,
    )  # fmt: skip
    async with ClientSession(connector=mock) as session:
        async with session.ws_connect(options.url) as websocket:
            lines = Lines()
            conversation = Conversation(websocket, options, lines)
            assert await conversation.show() == End(0)
            typed.write(b"too late\n")
            with pytest.raises(ClientConnectionResetError):
                await websocket.send_str("too late, too")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(lines.read)
                await conversation.send_lines()
                tasks.cancel_scope.cancel()
            assert select.select([sys.stdin], [], [], 0)[0] == []  # the line has been read
    assert capfd.readouterr() == ("", "")


def test_a_pong_that_cannot_be_sent_is_an_error(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line on stderr, whichever task it happens in."""

    async def pong(*_: object) -> None:
        raise ClientConnectionResetError("cannot write any more")

    monkeypatch.setattr(ClientWebSocketResponse, "pong", pong)
    steps: list[Step] = [(b"GET / ", Accept(frame(PING))), STALL]
    assert talk(steps) == (1, b"", "anyhttp: cannot write any more\n")


@pytest.mark.parametrize("backend", BACKENDS)
def test_standard_input_that_cannot_be_read_has_ended(
    address: str, backend: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A directory, for instance; one line says so."""
    directory = os.open(".", os.O_RDONLY)
    stdin = SimpleNamespace(fileno=lambda: directory, isatty=lambda: False)
    monkeypatch.setattr(sys, "stdin", stdin)
    try:
        status = run(["ws", f"{address}/echo", "--wait", "0", "--backend", backend])
    finally:
        os.close(directory)
    assert status == 0
    assert capfd.readouterr().err == "anyhttp: standard input cannot be read: Is a directory\n"


def test_a_file_of_cookies_that_is_none_is_an_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nothing is sent."""
    path = tmp_path / "cookies.txt"
    path.write_text("no cookies\n")
    assert run(["ws", "localhost:1", "--cookie-jar", str(path)]) == 2
    assert "is not a file of cookies" in capfd.readouterr().err
