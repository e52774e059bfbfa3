"""How the command ends: Ctrl-C, and the exit status."""

from __future__ import annotations

import errno
import io
import os
import select
import signal
import sys
import threading
from pathlib import Path
from types import ModuleType

import anyio
import anyio.lowlevel
import pytest

pytest.importorskip("click")
pytest.importorskip("h2")
pytest.importorskip("rich")
pytest.importorskip("trio")


from anyhttp._cli import main
from anyhttp._cli._commands import run
from anyhttp._cli._run import exit_at_once, run as run_on
from tests.support.command import (
    BACKENDS,
    INTERRUPTIBLE,
    Fetch,
    Peer,
    Start,
    Terminal,
    interrupt_when_stalled,
)
from tests.support.waiting import until_in_thread


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT for one process")
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("path", ["/stall", "/drip"])
def test_ctrl_c_leaves_at_once(
    peer: Peer, tmp_path: Path, backend: str, path: str, start: Start
) -> None:
    """Status 130, not a word, and no partial file: before the head and amid the body."""
    output = tmp_path / "file"
    process = start(
        f"{peer.url}{path}",
        "--backend",
        backend,
        "-o",
        str(output),
        python=["-c", INTERRUPTIBLE.format(prelude="")],
    )
    assert peer.stalled.wait(30)
    if path == "/drip":  # a sign that the body is being received
        part = output.with_name("file.part")
        until_in_thread(lambda: part.exists() or process.poll() is not None, "a part", seconds=30)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=10) == (b"", b"")
    assert process.returncode == 130
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT for one process")
@pytest.mark.parametrize("backend", BACKENDS)
def test_ctrl_c_does_not_wait_for_a_slow_reader(peer: Peer, backend: str, start: Start) -> None:
    """``anyhttp URL | less``: a pipe that is full holds up the output, not the leaving."""
    reading, writing = os.pipe()
    process = start(
        f"{peer.url}/large",
        "--backend",
        backend,
        python=["-c", INTERRUPTIBLE.format(prelude="")],
        stdout=writing,
    )
    until_in_thread(
        lambda: not select.select([], [writing], [], 0)[1] or process.poll() is not None,
        "the pipe to be full",
        seconds=30,
    )
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=10)[1] == b""
    assert process.returncode == 130
    os.close(reading)
    os.close(writing)


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT for one process")
@pytest.mark.usefixtures("handled_sigint")
def test_ctrl_c_cancels_the_request(peer: Peer, fetch: Fetch) -> None:
    """It is a cancellation like any other: the connection is closed behind it."""
    thread = threading.Thread(target=interrupt_when_stalled, args=(peer,))
    thread.start()
    assert fetch(f"{peer.url}/stall") == (130, b"", "")
    thread.join()


@pytest.mark.usefixtures("handled_sigint")
def test_ctrl_c_ends_the_line_on_a_terminal(peer: Peer, on_terminal: Terminal) -> None:
    """The terminal shows "^C"; what the shell says next goes below that."""
    thread = threading.Thread(target=interrupt_when_stalled, args=(peer,))
    thread.start()
    assert on_terminal(f"{peer.url}/stall") == (130, b"\n")
    thread.join()


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT for one process")
@pytest.mark.usefixtures("handled_sigint")
@pytest.mark.parametrize("backend", BACKENDS)
def test_ctrl_c_ends_the_demonstration(monkeypatch: pytest.MonkeyPatch, backend: str) -> None:
    """Neither the next step nor the verdict is shown."""

    class Output(io.StringIO):
        def write(self, text: str) -> int:
            if "JSON" in text:
                os.kill(os.getpid(), signal.SIGINT)
            return super().write(text)

    output = Output()
    monkeypatch.setattr(sys, "stdout", output)
    assert run(["demo", "--backend", backend]) == 130
    assert "JSON" in output.getvalue()
    assert "passed" not in output.getvalue()


@pytest.mark.usefixtures("handled_sigint")
def test_a_background_job_stays_deaf_to_ctrl_c() -> None:
    """A shell starts those with SIGINT ignored, and so it stays."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    async def work() -> int:
        await anyio.lowlevel.checkpoint()
        return int(signal.getsignal(signal.SIGINT) != signal.SIG_IGN)

    assert run_on(work, "asyncio", None) == 0


STUCK_LOOKUP = """
import socket, threading
def getaddrinfo(*args, **kwargs):
    if threading.current_thread() is threading.main_thread():
        raise socket.gaierror(socket.EAI_NONAME, "")  # trio asks first whether this is an address
    print("looking up", flush=True)
    threading.Event().wait()
socket.getaddrinfo = getaddrinfo
"""


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT for one process")
@pytest.mark.parametrize("backend", BACKENDS)
def test_ctrl_c_does_not_wait_for_a_name_lookup(backend: str, start: Start) -> None:
    """The system's resolver can't be interrupted; it is left behind in its thread."""
    process = start(
        "http://slow.example/",
        "--backend",
        backend,
        python=["-c", INTERRUPTIBLE.format(prelude=STUCK_LOOKUP)],
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == 130


def test_ctrl_c_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Importing takes a moment, too; Ctrl-C then is status 130 as at any other time."""

    class Interrupted(ModuleType):
        def __getattr__(self, name: str) -> object:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "anyhttp._cli._commands", Interrupted("_commands"))
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 130


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("raised", "status"),
    [
        (KeyboardInterrupt(), 130),
        (BaseExceptionGroup("", [KeyboardInterrupt()]), 130),
        (BrokenPipeError(), 1),
        (BaseExceptionGroup("", [SystemExit(1)]), 1),
    ],
)
def test_every_way_of_being_ended_is_a_status(
    backend: str, raised: BaseException, status: int
) -> None:
    """Ctrl-C and a closed stdout may arrive in a group; leaving is prompt in each case."""
    left: list[int] = []

    async def work() -> int:
        raise raised

    assert run_on(work, backend, left.append) == status
    assert left == [status]


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_first_failure_of_a_group_is_told(
    backend: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """However deep it is in groups of tasks: one line, and status 1."""

    async def work() -> int:
        full = OSError(errno.ENOSPC, "No space left on device")
        raise ExceptionGroup("of a task", [ExceptionGroup("of its own", [full])])

    assert run_on(work, backend, None) == 1
    error = capsys.readouterr().err
    assert error.startswith("anyhttp: ")
    assert "No space left on device" in error
    assert error.count("\n") == 1


def test_a_cancelled_main_task_is_ctrl_c() -> None:
    """So asyncio reports it where no signal can be waited for, as on Windows."""

    async def work() -> int:
        raise anyio.get_cancelled_exc_class()

    assert run_on(work, "asyncio", None) == 130


def test_success_does_not_leave_in_a_hurry() -> None:
    """Only failures and Ctrl-C skip the end of the event loop."""

    async def work() -> int:
        return 0

    left: list[int] = []
    assert run_on(work, "asyncio", left.append) == 0
    assert left == []


def test_leaving_at_once_flushes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was printed is seen, as far as anyone still reads it."""
    statuses: list[int] = []
    monkeypatch.setattr(os, "_exit", statuses.append)
    reading, writing = os.pipe()
    os.close(reading)
    error = io.TextIOWrapper(io.BytesIO())
    error.write("said")
    broken = open(writing, "w", encoding="utf-8")  # noqa: SIM115 - closing it fails
    broken.write("lost")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", broken)
        patch.setattr(sys, "stderr", error)
        exit_at_once(3)
    with pytest.raises(BrokenPipeError):
        broken.close()
    assert statuses == [3]
    assert error.buffer.getvalue() == b"said"
