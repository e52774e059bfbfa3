"""Server programs from other projects, started on loopback during a test."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from .waiting import comes_true_in_thread

ROOT = Path(__file__).parent.parent.parent

# How long a server may take until it listens; the machine may be busy.
STARTING = 30.0  # seconds

# Servers are often in directories that are not in an ordinary user's PATH.
_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


def find_program(name: str) -> str | None:
    """Return the path of a program, or nothing if it is not installed."""
    return shutil.which(name, path=_PATH)


def program(name: str, package: str) -> str:
    """Return the path of a program; without it, skip the test and name its Debian package."""
    found = find_program(name)
    if found is None:
        pytest.skip(f"{name} is not installed (Debian: apt-get install {package})")
    return found


#: The ports that have been handed out.
_PORTS: set[int] = set()


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """Return a port on loopback that nobody listens on.

    No port is returned twice, not even to another process of the same run of tests: programs that
    set ``SO_REUSEPORT`` would share its connections, HAProxy also with itself.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    while True:
        with socket.socket(type=kind) as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        # Linux hands out odd ports alone as long as it can.
        if port not in _PORTS and port // 2 % workers == worker:
            _PORTS.add(port)
            return port


@contextmanager
def running(
    command: Sequence[str | Path],
    *listening: int | Path,
    cwd: Path | None = None,
    logs: Path | None = None,
    said: Path | None = None,
) -> Iterator[None]:
    """Run *command* until the block ends.

    :param listening: TCP ports and Unix sockets; the program is ready when all accept connections
    :param logs: directory of log files, shown with the output if the program does not start
    :param said: file that the output is added to, instead of being dropped
    """
    with (
        # not a pipe, which could fill up
        open(said, "a+b") if said else tempfile.TemporaryFile() as output,
        subprocess.Popen(
            command,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # with a process group of its own
        ) as process,
    ):
        try:
            for place in listening:
                if not _comes_to_listen(process, place):
                    process.kill()
                    process.wait()
                    output.seek(0)
                    texts = [output.read().decode(errors="replace")]
                    texts += [path.read_text("utf-8", "replace") for path in _files_in(logs)]
                    text = "\n".join(texts)
                    raise AssertionError(f"{command[0]} does not listen at {place}:\n{text}")
            yield
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
            with suppress(ProcessLookupError):  # else workers are left that did not end
                os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def websocket_server() -> Iterator[int]:
    """Run :mod:`tests.support.websocket_server` in its own process, and yield its port."""
    command = [sys.executable, "-m", "tests.support.websocket_server"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def _comes_to_listen(process: subprocess.Popen[bytes], place: int | Path) -> bool:
    """Wait until *process* listens at *place*; return false if it does not."""
    comes_true_in_thread(
        lambda: _accepts(place) or process.poll() is not None, seconds=STARTING, pause=0.02
    )
    return process.poll() is None and _accepts(place)


def _files_in(logs: Path | None) -> list[Path]:
    return sorted(logs.glob("*.log")) if logs else []


def _accepts(place: int | Path) -> bool:
    if isinstance(place, Path):
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(place)) == 0
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", place)) == 0
