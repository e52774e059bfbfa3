"""Other people's servers, started on loopback for the time of a test."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

# How long a server may take to listen; this machine may be busy.
STARTING = 30.0  # seconds

# Servers are not always where an ordinary user's shell looks.
_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


def program(name: str, package: str) -> str:
    """Return the path of a program, or skip the test, with the Debian package that brings it."""
    found = shutil.which(name, path=_PATH)
    if found is None:
        pytest.skip(f"{name} is not installed (Debian: apt-get install {package})")
    return found


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """Return a port on loopback that nobody listens on."""
    with socket.socket(type=kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(
    command: Sequence[str | Path], *listening: int | Path, cwd: Path | None = None
) -> Iterator[None]:
    """Run *command* until the block is left.

    :param listening: TCP ports and Unix sockets that accept connections when it is ready
    """
    with subprocess.Popen(
        command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        try:
            deadline = time.monotonic() + STARTING
            for place in listening:
                while not _accepts(place):
                    if process.poll() is not None or time.monotonic() > deadline:
                        process.kill()
                        output = process.communicate()[0].decode(errors="replace")
                        raise AssertionError(f"{command[0]} does not listen at {place}:\n{output}")
                    time.sleep(0.02)
            yield
        finally:
            process.terminate()
            try:
                process.communicate(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()


def _accepts(place: int | Path) -> bool:
    if isinstance(place, Path):
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(place)) == 0
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", place)) == 0
