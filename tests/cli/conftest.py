"""Fixtures for the command: ways to run it, and a server."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from io import FileIO
from pathlib import Path

import pytest

import anyhttp
from tests.support.command import (
    BACKENDS,
    Fetch,
    Peer,
    Start,
    Talk,
    Terminal,
)
from tests.support.peer import Peer as ScriptedPeer, Step
from tests.support.programs import websocket_server


@pytest.fixture
def peer() -> Iterator[Peer]:
    """A running server."""
    with Peer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep this machine's colours and proxies out of the tests, and this package in the path."""
    proxies = [f"{scheme}_proxy" for scheme in ("http", "https", "ws", "wss", "all", "no")]
    for name in ("NO_COLOR", "FORCE_COLOR", *proxies, *map(str.upper, proxies)):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", os.devnull)
    monkeypatch.setenv("PYTHONPATH", str(Path(anyhttp.__file__).parents[1]))


@pytest.fixture
def start() -> Iterator[Start]:
    """Start the command in a process of its own, which does not outlive the test."""
    with contextlib.ExitStack() as processes:

        def start(
            *args: str,
            python: Sequence[str] = ("-m", "anyhttp"),
            stdin: int | None = None,
            stdout: int = subprocess.PIPE,
        ) -> subprocess.Popen[bytes]:
            process = subprocess.Popen(
                [sys.executable, *python, *args],
                stdin=stdin,
                stdout=stdout,
                stderr=subprocess.PIPE,
            )
            processes.enter_context(process)
            processes.callback(process.kill)  # before waiting for it
            return process

        yield start


@pytest.fixture(params=BACKENDS)
def fetch(request: pytest.FixtureRequest, capfdbinary: pytest.CaptureFixture[bytes]) -> Fetch:
    """Run the command line in this process: exit status, stdout, stderr."""
    from anyhttp._cli._commands import run  # here, as the packages that it needs may be missing

    def fetch(*args: str) -> tuple[int, bytes, str]:
        status = run([*args, "--backend", request.param])
        sys.stderr.flush()
        out, err = capfdbinary.readouterr()
        return status, out, err.decode()

    return fetch


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Run the command line with a terminal for its output: exit status, what is shown."""
    from anyhttp._cli._commands import run  # here, as the packages that it needs may be missing

    pty = pytest.importorskip("pty", reason="no terminals here")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")

    def on_terminal(*args: str) -> tuple[int, bytes]:
        ours, theirs = pty.openpty()
        shown = bytearray()

        def read() -> None:
            try:
                while piece := os.read(ours, 65536):
                    shown.extend(piece)
            except OSError:  # how Linux reports that the other side is closed
                pass

        reader = threading.Thread(target=read)
        reader.start()
        with open(theirs, "w", encoding="utf-8") as terminal, monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", terminal)
            patch.setattr(sys, "stderr", terminal)
            status = run(args)
        reader.join()
        os.close(ours)
        return status, bytes(shown).replace(b"\r\n", b"\n")

    return on_terminal


@pytest.fixture
def handled_sigint() -> Iterator[None]:
    """Handle SIGINT as usual, even if these tests run in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Host and port of a WebSocket server of the package websockets."""
    with websocket_server() as port:
        yield f"127.0.0.1:{port}"


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileIO]:
    """A pipe that is the standard input of this process: what is written here can be read there."""
    ours, theirs = os.pipe()
    with open(ours, encoding="utf-8") as stdin, FileIO(theirs, "w") as pipe:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield pipe


@pytest.fixture(params=BACKENDS)
def talk(
    request: pytest.FixtureRequest, typed: FileIO, capfdbinary: pytest.CaptureFixture[bytes]
) -> Talk:
    """Talk, in this process, with a peer that plays *steps*: exit status, stdout, stderr.

    ``lines`` are typed before, and ``then`` are the steps of further connections.
    """
    from anyhttp._cli._commands import run  # here, as the packages that it needs may be missing

    def talk(
        steps: Sequence[Step],
        *args: str,
        then: Sequence[Sequence[Step]] = (),
        lines: bytes = b"",
    ) -> tuple[int, bytes, str]:
        typed.write(lines)
        peer = ScriptedPeer([steps, *then])
        try:
            url = str(peer.url.with_scheme("ws"))
            status = run(["ws", url, *args, "--backend", request.param])
        finally:
            peer.stop()
        sys.stderr.flush()
        out, err = capfdbinary.readouterr()
        return status, out, err.decode()

    return talk
