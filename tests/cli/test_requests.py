"""``anyhttp URL``: what is sent, and what comes back."""

from __future__ import annotations

import io
import os
import sys
import threading
from pathlib import Path

import pytest

pytest.importorskip("click")
pytest.importorskip("h2")
pytest.importorskip("rich")
pytest.importorskip("trio")


from anyhttp._cli import _arguments
from anyhttp._cli._commands import run
from tests.support.command import PNG, POLITE, Fetch, Peer, closed_port


def test_a_body_in_a_pipe_is_what_the_server_sent(peer: Peer, fetch: Fetch) -> None:
    """Neither indented nor coloured nor decoded: a pipe gets the bytes as they are."""
    assert fetch(f"{peer.url}/json") == (0, POLITE, "")
    assert fetch(f"{peer.url}/png") == (0, PNG, "")
    assert fetch(f"{peer.url}/page")[1].endswith(b"red \x1b[31m, over\rwritten")


def test_a_url_without_a_scheme_is_http(peer: Peer, fetch: Fetch) -> None:
    """A bare host is enough; a scheme inside the query is none of the URL's own."""
    assert fetch(f"{peer.address}/json")[1] == POLITE
    assert fetch(f"//{peer.address}/json")[1] == POLITE
    assert fetch(f"{peer.address}/?next=http://example.com")[0] == 0
    assert peer.received[-1].path == "/?next=http://example.com"


def test_include_shows_the_head_as_received(peer: Peer, fetch: Fetch) -> None:
    """``-i`` in a pipe: status line and fields in wire case, CRLF, then the body."""
    status, out, _ = fetch("-i", f"{peer.url}/missing")
    assert status == 0
    assert out == (
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 14\r\nContent-Type: text/plain\r\n\r\n"
        b"no such thing\n"
    )


def test_fail_turns_an_error_status_into_an_exit_status(peer: Peer, fetch: Fetch) -> None:
    """Then its body is not printed, unless ``--fail-with-body`` asks for it."""
    body, said = b"no such thing\n", "anyhttp: 404 Not Found\n"
    assert fetch(f"{peer.url}/missing") == (0, body, "")
    assert fetch("-f", f"{peer.url}/missing") == (1, b"", said)
    assert fetch("--fail-with-body", f"{peer.url}/missing") == (1, body, said)
    status, out, _ = fetch("-f", "-i", f"{peer.url}/missing")
    assert (status, out[:14], out[-4:]) == (1, b"HTTP/1.1 404 N", b"\r\n\r\n")
    for option in ("-f", "--fail-with-body"):
        assert fetch(option, f"{peer.url}/json") == (0, POLITE, "")


def test_data_is_posted_as_a_form(peer: Peer, fetch: Fetch) -> None:
    """``-d`` implies POST and the content type of a form."""
    fetch("-d", "a=1&b=2", peer.url)
    sent = peer.received[-1]
    assert (sent.method, sent.body) == ("POST", b"a=1&b=2")
    assert sent.headers["content-type"] == "application/x-www-form-urlencoded"


def test_method_and_headers_are_the_users(peer: Peer, fetch: Fetch) -> None:
    """``-X`` and ``-H`` win over what a body implies, and fields may repeat."""
    fields = ("content-type: text/csv", "X-A: 1", "X-A:2")
    fetch("-X", "PUT", "-d", "1,2", *(arg for field in fields for arg in ("-H", field)), peer.url)
    sent = peer.received[-1]
    assert sent.method == "PUT"
    assert sent.headers.get_all("Content-Type") == ["text/csv"]
    assert sent.headers.get_all("X-A") == ["1", "2"]
    assert fetch("-X", "HEAD", "-i", f"{peer.url}/other")[1].startswith(b"HTTP/1.1 200 OK\r\n")


def test_data_from_a_file_has_the_type_of_its_name(
    peer: Peer, fetch: Fetch, tmp_path: Path
) -> None:
    """``-d @FILE`` sends the file as it is."""
    path = tmp_path / "page.html"
    path.write_bytes(b"<p>\r\n")
    fetch("-d", f"@{path}", peer.url)
    sent = peer.received[-1]
    assert (sent.body, sent.headers["content-type"]) == (b"<p>\r\n", "text/html")


@pytest.mark.parametrize("source", ["-", "@-"])
def test_data_from_standard_input(
    peer: Peer, fetch: Fetch, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    """``-`` and ``@-`` read the body from standard input."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"piped")))
    assert fetch("-d", source, peer.url)[1] == b"fine\n"
    assert peer.received[-1].body == b"piped"


def test_ctrl_c_amid_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading the body may be what is interrupted, before any event loop runs."""

    class Interrupted(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise KeyboardInterrupt

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Interrupted()))
    assert run(["-d", "-", "http://127.0.0.1:1/"]) == 130


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes in the file system")
def test_data_from_a_pipe_in_the_file_system(peer: Peer, fetch: Fetch, tmp_path: Path) -> None:
    """Process substitution, ``-d @<(…)``, gives the name of a pipe."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(b"substituted",))
    writer.start()
    fetch("-d", f"@{path}", peer.url)
    writer.join()
    assert peer.received[-1].body == b"substituted"


@pytest.mark.parametrize("option", ["-d@/dev/zero", "-Ffield=@/dev/zero", "-d@-"])
def test_what_can_be_read_only_once_has_a_limit(
    peer: Peer, fetch: Fetch, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    """It is held in memory, for redirects; a device may have no end."""
    monkeypatch.setattr(_arguments, "LARGEST_PIPED", 5)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"123456")))
    status, _, err = fetch(option, peer.url)
    assert status == 2
    assert "more than 5 bytes from a pipe or a device; put them into a file first" in err
    assert peer.received == []
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"12345")))
    assert fetch("-d@-", peer.url)[0] == 0
    assert peer.received[-1].body == b"12345"


def test_json_is_sent_as_written_and_asked_for(peer: Peer, fetch: Fetch, tmp_path: Path) -> None:
    """``--json`` sets Content-Type and Accept, and leaves spelling alone."""
    path = tmp_path / "body.txt"
    path.write_bytes(b'{"a":  1.0}')
    for value in ('{"a":  1.0}', f"@{path}"):
        fetch("--json", value, peer.url)
        sent = peer.received[-1]
        assert (sent.method, sent.body) == ("POST", b'{"a":  1.0}')
        assert sent.headers["content-type"] == sent.headers["accept"] == "application/json"


def test_json_that_is_nested_too_deeply_is_no_json(capsys: pytest.CaptureFixture[str]) -> None:
    """What Python cannot check is a mistake in the command line, not one of the command."""
    assert run(["--json", "[" * 100_000, "http://127.0.0.1:1/"]) == 2
    assert "this is not valid JSON" in capsys.readouterr().err


def test_redirects_are_followed_up_to_a_limit(peer: Peer, fetch: Fetch) -> None:
    """``--max-redirects N`` follows N of them; with 0 the redirect itself is the answer."""
    assert fetch(f"{peer.url}/moved")[1] == POLITE
    assert fetch("--max-redirects", "1", f"{peer.url}/moved")[1] == POLITE
    assert fetch("--max-redirects", "0", f"{peer.url}/moved") == (0, b"moved\n", "")
    status, _, err = fetch("--max-redirects", "3", f"{peer.url}/again")
    assert (status, err) == (1, "anyhttp: more than 3 redirects\n")


def test_parameters_join_the_query(peer: Peer, fetch: Fetch) -> None:
    """``-q`` adds them after what the URL has, encoded; a redirect does not repeat them."""
    args = ["-q", "b=2&3", "-q", "a=", "-q", "c=x=y \u00e9"]
    assert fetch(*args, f"{peer.url}/?a=1")[0] == 0
    assert peer.received[-1].path == "/?a=1&b=2%263&a=&c=x%3Dy+%C3%A9"
    peer.elsewhere = "/json"
    assert fetch("-q", "a=1", f"{peer.url}/elsewhere?")[0] == 0
    assert fetch("ws", "-q", "a=1", f"{peer.address}/")[0] == 1  # it is no WebSocket
    assert peer.received[-1].path == "/?a=1"


def test_a_parameter_needs_a_name_and_a_value(capsys: pytest.CaptureFixture[str]) -> None:
    """The value is not shown, as it may be a secret."""
    for value in ("s3cret", "=s3cret"):
        assert run(["-q", value, "http://127.0.0.1:1/"]) == 2
        err = " ".join(capsys.readouterr().err.split())
        assert "NAME=VALUE" in err
        assert "s3cret" not in err


def test_head_asks_for_the_head_alone(peer: Peer, fetch: Fetch) -> None:
    """``-I`` sends HEAD, and shows what comes."""
    status, out, err = fetch("-I", f"{peer.url}/json")
    assert (status, err) == (0, "")
    assert out.startswith(b"HTTP/1.1 200 OK\r\nContent-Length: 44\r\n")
    assert out.endswith(b"\r\n\r\n")
    assert peer.received[-1].method == "HEAD"
    assert fetch("-I", "-f", f"{peer.url}/missing")[0] == 1


@pytest.mark.parametrize("others", [["-X", "GET"], ["-d", "a=1"], ["-F", "a=1"], ["-o", "file"]])
def test_head_excludes_what_it_has_no_use_for(
    capsys: pytest.CaptureFixture[str], others: list[str]
) -> None:
    """Neither another method, nor a body in either direction."""
    assert run(["-I", *others, "http://127.0.0.1:1/"]) == 2
    assert "--head cannot be used with" in capsys.readouterr().err


def test_servers_may_compress_unless_told_otherwise(peer: Peer, fetch: Fetch) -> None:
    """By default, and with ``--compressed``, which is what curl needs for it; the body is plain."""
    for args in ([], ["--compressed"]):
        assert fetch(*args, f"{peer.url}/gzip")[1] == POLITE
        assert "gzip" in peer.received[-1].headers["accept-encoding"]
    assert fetch("--no-compressed", f"{peer.url}/gzip")[1] == POLITE  # what comes all the same
    assert peer.received[-1].headers["accept-encoding"] == "identity"
    assert fetch("--no-compressed", "-H", "Accept-Encoding: br", peer.url)[0] == 0
    assert peer.received[-1].headers["accept-encoding"] == "br"


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the pauses between attempts end at once."""
    monkeypatch.setattr("anyhttp._common.Backoff.delay", lambda self, number: 0.0)


@pytest.mark.usefixtures("no_pauses")
def test_a_busy_server_is_asked_again(peer: Peer, fetch: Fetch) -> None:
    """``--retry N`` does so N times at most, and says so; the last answer is the answer."""
    peer.busy = 2
    note = "anyhttp: 503 Service Unavailable; trying again in 0.0 s\n"
    assert fetch("--retry", "3", f"{peer.url}/busy") == (0, b"fine\n", note * 2)
    peer.busy = 2
    assert fetch("--retry", "1", f"{peer.url}/busy") == (0, b"busy\n", note)
    peer.busy = 1
    assert fetch("--retry", "1", "-d", "a=1", f"{peer.url}/busy") == (0, b"busy\n", "")


@pytest.mark.usefixtures("no_pauses")
def test_a_connection_that_cannot_be_made_is_tried_again(fetch: Fetch) -> None:
    """Also for a POST, of which nothing was sent."""
    url = f"http://127.0.0.1:{closed_port()}/"
    status, out, err = fetch("--retry", "2", "-d", "a=1", url)
    assert (status, out) == (1, b"")
    first, second, last = err.splitlines()
    assert first == second == f"{last}; trying again in 0.0 s"


@pytest.mark.usefixtures("no_pauses")
def test_a_file_is_sent_again(peer: Peer, fetch: Fetch, tmp_path: Path) -> None:
    """Another attempt reads it from its beginning."""
    path = tmp_path / "file"
    path.write_bytes(b"content")
    peer.busy = 1
    assert fetch("--retry", "1", "-X", "PUT", "-d", f"@{path}", f"{peer.url}/busy")[:2] == (
        0,
        b"fine\n",
    )
    assert [each.body for each in peer.received] == [b"content", b"content"]
