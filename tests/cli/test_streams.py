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
from anyhttp._cli._commands import run
from anyhttp._cli._run import finished
from tests.support.command import POLITE, Peer

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no shell of POSIX")

FULL = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")


def shell(line: str, *args: str) -> subprocess.CompletedProcess[bytes]:
    """Run *line* in a shell; ``"$@"`` is the command with *args*."""
    command = ["sh", "-c", line, "sh", sys.executable, "-m", "anyhttp", *args]
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False
    )


def test_a_command_that_prints_needs_standard_output(peer: Peer) -> None:
    """If that is closed, one line says so, and nothing is sent."""
    done = shell('"$@" >&-', f"{peer.url}/json")
    assert (done.returncode, done.stderr) == (1, b"anyhttp: standard output is closed\n")
    assert peer.received == []


@pytest.mark.parametrize(
    "args",
    [
        ["{url}/json"],
        ["{url}/json", "-i", "-o", "/dev/null"],
        ["{url}/json", "-o", "-"],
        *(["ws", "{url}"], ["sse", "{url}"], ["bench", "{url}"], ["demo"]),
        *(["--help"], ["ws", "--help"], ["--version"]),
    ],
)
def test_every_command_prints(
    peer: Peer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], args: list[str]
) -> None:
    """Each looks at standard output first, and so do help and version."""
    with open(os.devnull, "wb") as devnull:
        monkeypatch.setattr(sys, "stdout", _streams.ClosedOutput(devnull.fileno()))
        assert run([arg.format(url=peer.url) for arg in args]) == 1
        assert capsys.readouterr().err == "anyhttp: standard output is closed\n"
        monkeypatch.undo()
    assert peer.received == []


def test_a_file_needs_no_standard_stream(peer: Peer, tmp_path: Path) -> None:
    """``-o FILE`` does not, and no connection gets the number of one."""
    path = tmp_path / "file"
    done = shell('"$@" <&- >&- 2>&-', f"{peer.url}/json", "-o", str(path))
    assert (done.returncode, path.read_bytes()) == (0, POLITE)


def test_messages_are_lost_without_standard_error(peer: Peer) -> None:
    """They go neither to standard output, nor to the server that has the number otherwise."""
    done = shell('"$@" 2>&-', f"{peer.url}/missing", "--fail")
    assert (done.returncode, done.stdout) == (1, b"")


def test_a_body_is_not_read_from_a_closed_stream(
    peer: Peer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty body must not be sent in place of one that is missing."""
    # Descriptor 0 stands for that of the null device, and is not closed with the stream.
    monkeypatch.setattr(sys, "stdin", _streams.ClosedStream(0))
    assert run([peer.url, "-d", "@-"]) == 2
    assert "standard input is closed" in capsys.readouterr().err
    assert peer.received == []


@FULL
@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["{url}/large"], "standard output: No space left on device"),
        (["demo"], "standard output: No space left on device"),
        (["bench", "{url}/", "-n", "1", "-c", "1"], "standard output: No space left on device"),
        (["--help"], "standard output: No space left on device"),
        (["--version"], "standard output: No space left on device"),
        (["-o", "/dev/full", "{url}/large"], "/dev/full: No space left on device"),
    ],
)
def test_a_full_disk_is_said_in_one_line(
    peer: Peer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    args: list[str],
    message: str,
) -> None:
    """Whatever is printed there, also what is left for the end."""
    with open("/dev/full", "w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert finished(run([arg.format(url=peer.url) for arg in args])) == 1
        assert capsys.readouterr().err == f"anyhttp: {message}\n"


@FULL
def test_the_end_of_the_output_counts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A success is none if the last of it cannot be written."""
    with open("/dev/full", "w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        full.write("rest")
        assert finished(0) == 1
        assert capsys.readouterr().err == "anyhttp: standard output: No space left on device\n"


@FULL
def test_a_message_that_cannot_be_written_is_lost(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exit status still tells."""
    with open("/dev/full", "w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stderr", full)
        assert finished(run([f"{peer.url}/missing", "--fail"])) == 1
        assert finished(run(["--no-such-option"])) == 2


@FULL
@pytest.mark.parametrize("option", ["-v", "--trace"])
def test_what_is_shown_of_a_request_is_lost(
    peer: Peer,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
    option: str,
) -> None:
    """A request does not fail because nothing can be said about it."""
    with open("/dev/full", "w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stderr", full)
        assert finished(run([f"{peer.url}/json", option])) == 0
        assert capfdbinary.readouterr().out == POLITE


@pytest.mark.parametrize(("before", "after"), [(0, 1), (22, 22)])
def test_output_that_nobody_reads_any_more_is_a_failure_without_a_word(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    before: int,
    after: int,
) -> None:
    """As with ``anyhttp URL | head -1``; a failure that was there before stays what it is."""
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w", encoding="utf-8") as stdout:
        stdout.write("rest")
        monkeypatch.setattr(sys, "stdout", stdout)
        assert finished(before) == after
        assert capsys.readouterr().err == ""


def test_output_that_is_left_at_the_end_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be written then is reported, and not tried again by the interpreter."""
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w", encoding="utf-8") as stdout:
        stdout.write("rest")
        monkeypatch.setattr(sys, "stdout", stdout)
        assert isinstance(_streams.flushed_stdout(), BrokenPipeError)
        assert _streams.flushed_stdout() is None
