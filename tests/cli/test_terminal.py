"""What the command shows on a terminal."""

from __future__ import annotations

import json
import os
import re
import signal

import pytest

pytest.importorskip("click")
pytest.importorskip("h2")
pytest.importorskip("rich")
pytest.importorskip("trio")


from tests.support.command import (
    BACKENDS,
    COLOUR,
    DEEP,
    INTERRUPTIBLE,
    POLITE,
    Peer,
    Start,
    Terminal,
)


def test_json_is_indented_and_coloured_on_a_terminal(peer: Peer, on_terminal: Terminal) -> None:
    """Any JSON media type (RFC 6839 §3.1) is shown for reading."""
    for path in ("/json", "/problem"):
        status, shown = on_terminal(f"{peer.url}{path}")
        assert status == 0
        assert COLOUR.search(shown)
        plain = COLOUR.sub(b"", shown)
        assert plain.startswith(b'{\n  "greeting": "hello",\n')
        assert json.loads(plain) == json.loads(POLITE)


def test_deeply_nested_json_is_shown_as_it_is(peer: Peer, on_terminal: Terminal) -> None:
    """A few kilobytes must not become megabytes of blanks, nor half a minute of colouring."""
    assert on_terminal(f"{peer.url}/deep") == (0, DEEP + b"\n")


BLOCKED_COLOURS = """
import os, threading
from rich.highlighter import JSONHighlighter
def highlight(self, text):
    os.write(2, b"colouring")
    threading.Event().wait()
JSONHighlighter.highlight = highlight
"""


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT for one process")
@pytest.mark.parametrize("backend", BACKENDS)
def test_ctrl_c_does_not_wait_for_colours(peer: Peer, backend: str, start: Start) -> None:
    """However long it takes to show JSON, the command can be left."""
    pty = pytest.importorskip("pty", reason="no terminals here")
    ours, theirs = pty.openpty()
    process = start(
        f"{peer.url}/json",
        "--backend",
        backend,
        python=["-c", INTERRUPTIBLE.format(prelude=BLOCKED_COLOURS)],
        stdout=theirs,
    )
    assert process.stderr is not None
    assert process.stderr.read(9) == b"colouring"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=10)[1] == b""
    assert process.returncode == 130
    os.close(ours)
    os.close(theirs)


def test_headers_are_coloured_on_a_terminal(peer: Peer, on_terminal: Terminal) -> None:
    """``-i`` on a terminal says the same as in a pipe, in colour."""
    _, shown = on_terminal("-i", f"{peer.url}/missing")
    assert COLOUR.search(shown)
    assert COLOUR.sub(b"", shown).startswith(b"HTTP/1.1 404 Not Found\nContent-Length: 14\n")
    assert shown.endswith(b"\n\nno such thing\n")


def test_the_environment_can_refuse_colours(
    peer: Peer, monkeypatch: pytest.MonkeyPatch, on_terminal: Terminal
) -> None:
    """``NO_COLOR`` is honoured; see https://no-color.org, which leaves bold letters alone."""
    monkeypatch.setenv("NO_COLOR", "1")
    assert on_terminal(f"{peer.url}/not-json")[1] == b"[1, 2\n"
    shown = on_terminal("-i", f"{peer.url}/json")[1]
    assert re.search(rb"\x1b\[([0-9]*;)*[349][0-9]", shown) is None
    assert b'"greeting": "hello"' in COLOUR.sub(b"", shown)


def test_text_can_not_command_the_terminal(peer: Peer, on_terminal: Terminal) -> None:
    """Control characters are shown, not obeyed; the charset is the response's."""
    _, shown = on_terminal(f"{peer.url}/page")
    assert shown.decode() == "<p>café\nbell ␇, red ␛[31m, over\nwritten\n"


def test_a_peer_cannot_turn_our_lines_around(peer: Peer, on_terminal: Terminal) -> None:
    """Characters that change the direction of writing would change the order of our words, too."""
    status, shown = on_terminal("-i", "--fail", f"{peer.url}/backwards")
    lines = COLOUR.sub(b"", shown).decode().splitlines()
    assert (status, lines[0]) == (1, "HTTP/1.1 404 \ufffdgp\ufffd")
    assert "X-Name: \ufffdgp\ufffd" in lines
    assert lines[-1] == "anyhttp: 404 \ufffdgp\ufffd"


def test_an_unusable_charset_falls_back_to_utf_8(peer: Peer, on_terminal: Terminal) -> None:
    """Python knows "hex", but not as an encoding of text."""
    assert on_terminal(f"{peer.url}/odd-charset") == (0, "é\n".encode())


def test_large_text_is_shown_as_it_comes(peer: Peer, on_terminal: Terminal) -> None:
    """Every piece arrives, in order."""
    _, shown = on_terminal(f"{peer.url}/large")
    assert shown == b"0123456789abcdef" * 65536 + b"\n"


@pytest.mark.parametrize("path", ["/png", "/bytes"])
def test_binary_is_kept_from_a_terminal(peer: Peer, path: str, on_terminal: Terminal) -> None:
    """It would garble the terminal; the message says what to do instead."""
    status, shown = on_terminal(f"{peer.url}{path}")
    assert status == 1
    assert shown.startswith(b"anyhttp: the body is binary (")
    assert shown.endswith(b"); save it with -o FILE\n")
