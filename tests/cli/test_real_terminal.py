"""The command in a terminal that controls it: what is typed, signals, and a size that changes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

pytest.importorskip("click")
pytest.importorskip("h2")
pytest.importorskip("rich")
pytest.importorskip("trio")
pytest.importorskip("pty", reason="no terminals here")


from tests.support.command import Peer
from tests.support.terminal import COLUMNS, RealTerminal, frames, visible

HIDDEN, SHOWN = "\x1b[?25l", "\x1b[?25h"  # the cursor


class Open(Protocol):
    """Opens a terminal in which the command runs."""

    def __call__(self, *args: str) -> RealTerminal: ...


@pytest.fixture
def terminal() -> Iterator[Open]:
    """Open terminals, which do not outlive the test."""
    terminals = []

    def start(*args: str) -> RealTerminal:
        terminals.append(RealTerminal(sys.executable, "-m", "anyhttp", *args))
        return terminals[-1]

    yield start
    for each in terminals:
        each.close()


@pytest.mark.usefixtures("handled_sigint")
def test_progress_follows_the_size_and_ends_by_ctrl_c(
    peer: Peer, terminal: Open, tmp_path: Path
) -> None:
    """A line is never longer than the terminal is wide; at the end the cursor is there again."""
    path = tmp_path / "a file with a long name.bin"
    opened = terminal(f"{peer.url}/drip", "-o", str(path))
    begun = opened.wait_for(r"name\.bin [^\r]+[\r\n]")
    assert HIDDEN in begun
    assert COLUMNS // 2 < max(map(len, frames(begun))) <= COLUMNS
    opened.resize(COLUMNS // 2)
    narrow = opened.wait_for("\N{HORIZONTAL ELLIPSIS}[^\r\n]*[\r\n]")
    assert 0 < len(frames(narrow)[-1]) <= COLUMNS // 2
    assert narrow.endswith("\r")  # one line is enough
    opened.type("\x03")
    status, rest = opened.wait()
    assert status == 130
    assert SHOWN in rest
    assert rest.endswith("\r\n")
    assert "Traceback" not in rest
    assert list(tmp_path.iterdir()) == []


def test_a_password_is_not_shown(peer: Peer, terminal: Open) -> None:
    """Neither while it is typed nor later; the body is not paged, however long it is."""
    opened = terminal("-u", "user", f"{peer.url}/large")
    opened.wait_for("Password of user: ")
    opened.type("s3cret\n")
    status, rest = opened.wait()
    assert status == 0
    assert "s3cret" not in rest
    assert rest.replace("\r\n", "") == "0123456789abcdef" * 65536
    assert visible(rest) == rest
    assert peer.received[-1].headers["authorization"] == "Basic dXNlcjpzM2NyZXQ="
