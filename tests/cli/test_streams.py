"""The command when its standard streams are closed, or cannot be written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("click")
pytest.importorskip("h2")
pytest.importorskip("rich")
pytest.importorskip("trio")


from anyhttp._cli import _streams
from tests.support.command import POLITE, Peer

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no shell of POSIX")

FULL = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")


def shell(line: str, *args: str) -> subprocess.CompletedProcess[bytes]:
    """Run *line* in a shell; ``"$@"`` is the command with *args*."""
    command = ["sh", "-c", line, "sh", sys.executable, "-m", "anyhttp", *args]
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False
    )


@pytest.mark.parametrize(
    "args",
    [
        ["{url}/json"],
        ["{url}/json", "-i", "-o", "/dev/null"],
        ["ws", "{url}"],
        ["demo"],
        ["--help"],
        ["--version"],
    ],
)
def test_a_command_that_prints_needs_standard_output(peer: Peer, args: list[str]) -> None:
    """If that is closed, one line says so, and nothing is sent."""
    done = shell('"$@" >&-', *(arg.format(url=peer.url) for arg in args))
    assert done.stderr == b"anyhttp: standard output is closed\n"
    assert done.returncode == 1
    assert peer.received == []


def test_a_file_needs_no_standard_stream(peer: Peer, tmp_path: Path) -> None:
    """``-o FILE`` does not, and no connection gets the number of one."""
    path = tmp_path / "file"
    done = shell('"$@" <&- >&- 2>&-', f"{peer.url}/json", "-o", str(path))
    assert (done.returncode, path.read_bytes()) == (0, POLITE)


def test_messages_are_lost_without_standard_error(peer: Peer) -> None:
    """They go neither to standard output, nor to the server that has the number otherwise."""
    done = shell('"$@" 2>&-', f"{peer.url}/missing", "--fail")
    assert (done.returncode, done.stdout) == (1, b"no such thing\n")
    done = shell('"$@" 2>&-', f"{peer.url}/cut")
    assert (done.returncode, done.stdout) == (1, b"half")


def test_a_body_is_not_read_from_a_closed_stream(peer: Peer) -> None:
    """An empty body must not be sent in place of one that is missing."""
    done = shell('"$@" <&-', peer.url, "-d", "@-")
    assert done.returncode == 2
    assert b"standard input is closed" in done.stderr
    assert peer.received == []


@FULL
@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["{url}/large"], b"standard output: No space left on device"),
        (["demo"], b"No space left on device"),
        (["--help"], b"No space left on device"),
    ],
)
def test_a_full_disk_is_said_in_one_line(peer: Peer, args: list[str], message: bytes) -> None:
    """Whatever is printed there."""
    done = shell('"$@" > /dev/full', *(arg.format(url=peer.url) for arg in args))
    assert (done.returncode, done.stderr) == (1, b"anyhttp: " + message + b"\n")


@FULL
def test_a_message_that_cannot_be_written_is_lost(peer: Peer) -> None:
    """The exit status still tells."""
    assert shell('"$@" 2> /dev/full', f"{peer.url}/missing", "--fail").returncode == 1


def test_output_that_is_left_at_the_end_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be written then is reported, and not tried again by the interpreter."""
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w", encoding="utf-8") as stdout:
        stdout.write("rest")
        monkeypatch.setattr(sys, "stdout", stdout)
        assert isinstance(_streams.flushed_stdout(), BrokenPipeError)
        assert _streams.flushed_stdout() is None
