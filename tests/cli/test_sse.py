"""``anyhttp sse``: server-sent events as they arrive."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from anyhttp import ClientSession
from tests.support.command import BACKENDS, Fetch, Terminal, closed_port
from tests.support.peer import CLOSE, STALL, Peer, Step

pytest.importorskip("click")
pytest.importorskip("rich")
pytest.importorskip("trio")

from anyhttp._cli._commands import run

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
OVER = b"HTTP/1.1 204 No Content\r\n\r\n"
EVENTS = b": hi\n\nid: 1\nevent: tick\ndata: a\ndata: b\n\nid: 2\ndata: caf\xc3\xa9\n\n"
PRINTED = "event: tick\nid: 1\ndata: a\ndata: b\n\nid: 2\ndata: café\n\n".encode()


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the library connect again at once."""
    assert ClientSession.sse.__kwdefaults__ is not None
    monkeypatch.setitem(ClientSession.sse.__kwdefaults__, "backoff", 0.0)


@contextlib.contextmanager
def running(peer: Peer) -> Iterator[Peer]:
    """Stop the peer at the end of the block."""
    try:
        yield peer
    finally:
        peer.stop()


class Served:
    """The events of a peer, printed by the command: exit status, stdout, stderr."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self.requests: list[str] = []

    def __call__(
        self, *connections: Sequence[Step], args: Sequence[str] = ()
    ) -> tuple[int, bytes, str]:
        with running(Peer(connections)) as peer:
            result = self._fetch("sse", str(peer.url), *args)
        self.requests = [request.decode() for request in peer.requests]
        return result


@pytest.fixture
def served(fetch: Fetch) -> Served:
    """Run the command against a peer."""
    return Served(fetch)


def answer(data: bytes) -> list[Step]:
    """A connection on which the peer sends *data* and closes."""
    return [(b"GET /", data), CLOSE]


def test_events_are_printed_in_the_form_of_the_stream(served: Served) -> None:
    """When a stream ends, another goes on after the last event, until the server says 204."""
    status, out, err = served(
        answer(HEAD + EVENTS), answer(HEAD + b"data: c\n\n"), [(b"GET / ", OVER)]
    )
    assert (status, out) == (0, PRINTED + b"id: 2\ndata: c\n\n")
    assert err == "anyhttp: the stream has ended; connecting again\n" * 2
    assert ["Last-Event-ID: 2" in request for request in served.requests] == [False, True, True]


def test_a_connection_that_fails_is_made_again(served: Served) -> None:
    """The reason is said on stderr."""
    cut = HEAD.replace(b"Connection: close", b"Content-Length: 100") + EVENTS
    busy = b"HTTP/1.1 503 Later\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    status, out, err = served(answer(cut), answer(busy), [(b"GET / ", OVER)])
    assert (status, out) == (0, PRINTED)
    lost, later = err.splitlines()
    assert lost.startswith("anyhttp: the connection was lost: ")
    assert lost.endswith("; connecting again")
    assert later == "anyhttp: the server answered with 503; connecting again"


def test_json_lines_are_for_programs(served: Served) -> None:
    """One object a line, always with the same keys, and data that are always text."""
    events = HEAD + EVENTS + b'data: {"n": 1}\n\n'
    args = ["--json-lines", "--no-reconnect"]
    status, out, err = served(answer(events), args=args)
    assert (status, err) == (0, "")
    assert [json.loads(line) for line in out.splitlines()] == [
        {"event": "tick", "id": "1", "data": "a\nb"},
        {"event": "message", "id": "2", "data": "café"},
        {"event": "message", "id": "2", "data": '{"n": 1}'},
    ]


def test_one_connection_may_be_enough(served: Served) -> None:
    """``--no-reconnect``; it can begin where another has ended."""
    args = ["--no-reconnect", "--last-event-id", "7", "-H", "X-A: b", "-q", "c=d", "-u", "e:f"]
    assert served(answer(HEAD + EVENTS), args=args) == (0, PRINTED, "")
    head = served.requests[0]
    assert head.startswith("GET /?c=d HTTP/1.1\r\n")
    for line in (
        "Last-Event-ID: 7",
        "Accept: text/event-stream",
        "X-A: b",
        "Authorization: Basic ",
    ):
        assert f"\r\n{line}" in head


@pytest.mark.parametrize("args", [[], ["--no-reconnect"]])
def test_events_may_be_the_answer_to_a_body(served: Served, args: list[str]) -> None:
    """It is a POST; ``--json`` says what is sent, and no longer that JSON is asked for."""
    steps: list[Step] = [(b"POST /", HEAD + EVENTS), CLOSE]
    over: list[Step] = [(b"POST /", OVER)]
    connections = [steps] if args else [steps, over]
    status, out, _ = served(*connections, args=[*args, "--json", '{"stream": true}'])
    assert (status, out) == (0, PRINTED)
    for request in served.requests:
        assert request.endswith('\r\n\r\n{"stream": true}')
        assert "\r\nContent-Type: application/json\r\n" in request
        assert "\r\nAccept: text/event-stream\r\n" in request


def test_a_file_is_sent_only_once(served: Served, fetch: Fetch, tmp_path: Path) -> None:
    """Each connection sends the body again, which a file might have changed until then."""
    path = tmp_path / "question.txt"
    path.write_bytes(b"what?")
    steps: list[Step] = [(b"PUT /", HEAD + EVENTS), CLOSE]
    args = ["-d", f"@{path}", "-X", "PUT"]
    status, out, _ = served(steps, args=[*args, "--no-reconnect"])
    assert (status, out) == (0, PRINTED)
    assert served.requests[0].endswith("\r\n\r\nwhat?")
    status, _, err = fetch("sse", "localhost", *args)
    assert status == 2
    assert "--no-reconnect" in err


@pytest.mark.parametrize("args", [[], ["--no-reconnect"]])
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "no events: 404 Not Found"),
        (HEAD.replace(b"event-stream", b"html"), "text/html"),
        (b"HTTP/1.1 ?\r\n\r\n", "invalid HTTP response"),
    ],
)
def test_what_is_no_stream_is_an_error(
    served: Served, data: bytes, message: str, args: list[str]
) -> None:
    """One line on stderr, and status 1: another connection would not help."""
    status, out, err = served(answer(data), args=args)
    assert (status, out) == (1, b"")
    assert message in err
    assert err.count("\n") == 1


def test_a_server_without_events_is_no_error(served: Served) -> None:
    """204, also without another connection."""
    assert served([(b"GET / ", OVER)], args=["--no-reconnect"]) == (0, b"", "")


def test_failures_in_a_row_have_an_end(fetch: Fetch) -> None:
    """That of the library: ten."""
    status, _, err = fetch("sse", f"127.0.0.1:{closed_port()}")
    assert status == 1
    assert err.count("; connecting again\n") == 9
    assert err.splitlines()[-1].startswith("anyhttp: cannot connect")


def test_events_cannot_command_the_terminal(on_terminal: Terminal) -> None:
    """Control characters are made visible, in JSON as well."""
    data = HEAD + b"data: \x1b[31m\xc2\x9b1m\n\n"
    for args, printed in (([], b"data: "), (["--json-lines"], b'"data": ')):
        with running(Peer([answer(data)])) as peer:
            _, shown = on_terminal("sse", str(peer.url), "--no-reconnect", *args)
        assert printed in shown
        assert b"\x1b[31m" not in shown
        assert b"\xc2\x9b" not in shown


@contextlib.contextmanager
def stdout_piped(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.FileIO]:
    """Give the end of a pipe from which one can read what the command prints meanwhile."""
    ours, theirs = os.pipe()
    with io.FileIO(ours) as reader, open(theirs, "w", encoding="utf-8") as writer:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", writer)
            yield reader


@pytest.mark.usefixtures("handled_sigint")
@pytest.mark.parametrize("backend", BACKENDS)
def test_an_event_is_printed_when_it_has_come(
    monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    """Not when the stream ends, which Ctrl-C does here."""
    peer = Peer([[(b"GET / ", HEAD + EVENTS), STALL]], partial=True)
    printed: list[bytes] = []

    def interrupt(stdout: io.FileIO) -> None:
        while not b"".join(printed).endswith(PRINTED):
            printed.append(stdout.read(1000))
        os.kill(os.getpid(), signal.SIGINT)

    with running(peer), stdout_piped(monkeypatch) as stdout:
        thread = threading.Thread(target=interrupt, args=(stdout,))
        thread.start()
        status = run(["sse", str(peer.url), "--backend", backend])
        thread.join()
    assert status == 130
    assert b"".join(printed) == PRINTED


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_reader_that_leaves_ends_it(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], backend: str
) -> None:
    """``anyhttp sse URL | head``: not a word, as for other commands."""
    peer = Peer([[(b"GET / ", HEAD + EVENTS), STALL]], partial=True)
    with running(peer), stdout_piped(monkeypatch) as stdout:
        stdout.close()
        assert run(["sse", str(peer.url), "--backend", backend]) == 1
    assert capfd.readouterr().err == ""
