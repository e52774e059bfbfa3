"""What the command says when it fails."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

pytest.importorskip("click")
pytest.importorskip("h2")
pytest.importorskip("rich")
pytest.importorskip("trio")


from anyhttp._cli._commands import run
from tests.support.command import POLITE, Fetch, Peer, Start, closed_port


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["{url}/hang-up"], "the connection was closed before there was an answer"),
        (["{url}/cut"], ""),
        (["{url}/nonsense"], "invalid HTTP response: "),
        (["{url}/stall", "--timeout", "0.2"], "no complete answer within 0.2 seconds"),
    ],
)
def test_a_failure_is_one_line_and_status_1(
    peer: Peer, fetch: Fetch, tmp_path: Path, args: Sequence[str], message: str
) -> None:
    """No traceback: one line on stderr that begins with the program's name."""
    values = {"url": peer.url, "closed": closed_port(), "tmp": tmp_path}
    status, _, err = fetch(*(arg.format(**values) for arg in args))
    assert status == 1
    assert err.startswith(f"anyhttp: {message.format(**values)}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["--no-such-option", "http://localhost/"],
        ["-H", "no colon", "http://localhost/"],
        ["-H", ": no name", "http://localhost/"],
        ["-d", "@{tmp}/missing", "http://localhost/"],
        ["--json", "{{", "http://localhost/"],
        ["--json", "1", "-d", "1", "http://localhost/"],
        ["-k", "--cacert", "{tmp}/empty", "http://localhost/"],
        ["--cacert", "{tmp}/empty", "http://localhost/"],
        ["--timeout", "0", "http://localhost/"],
        ["--backend", "twisted", "http://localhost/"],
        ["-x", "ftp://localhost", "http://localhost/"],
        ["-x", "http://localhost:x", "http://localhost/"],
        ["demo", "http://localhost/"],
        [""],
        [" \n"],
        ['"http://localhost/"'],
        ["http://localhost/>"],
        ["ws", "\N{LEFT DOUBLE QUOTATION MARK}localhost"],
    ],
)
def test_misuse_is_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], args: Sequence[str]
) -> None:
    """Wrong arguments are answered with its usage; nothing is sent."""
    (tmp_path / "empty").touch()
    assert run([arg.format(tmp=tmp_path) for arg in args]) == 2
    assert capsys.readouterr().err.startswith("Usage: anyhttp ")


@pytest.mark.parametrize("url", [" {url}/json", "\ufeff{url}/json\n", "\t{address}/json "])
def test_blanks_around_a_url_are_left_out(peer: Peer, fetch: Fetch, url: str) -> None:
    """They come with a URL that is copied from a text."""
    assert fetch(url.format(url=peer.url, address=peer.address)) == (0, POLITE, "")
    assert peer.received[-1].path == "/json"


def test_a_reader_that_leaves_is_no_error(peer: Peer, start: Start) -> None:
    """``anyhttp URL | head``: quiet, whatever is still to come."""
    process = start(f"{peer.url}/large")
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.read(3) == b"012"
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 1


@pytest.mark.parametrize("args", [["{url}/large"], ["demo"]])
def test_nobody_reads_from_the_start(
    peer: Peer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, args: list[str]
) -> None:
    """The first write fails; the status is 1 and stderr stays empty."""
    reading, writing = os.pipe()
    os.close(reading)
    stdout = open(writing, "w", encoding="utf-8")  # noqa: SIM115 - closing it may fail
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stdout)
        assert run([arg.format(url=peer.url) for arg in args]) == 1
    with contextlib.suppress(BrokenPipeError):
        stdout.close()
    assert capsys.readouterr().err == ""


def test_a_reader_that_leaves_the_demo_is_no_error(start: Start) -> None:
    """``anyhttp demo | head``: quiet, too."""
    process = start("demo")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 1
