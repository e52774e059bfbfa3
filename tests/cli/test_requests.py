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


from anyhttp._cli._commands import run
from tests.support.command import PNG, POLITE, Fetch, Peer


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
    """The body of an error is printed either way; only ``--fail`` makes it a failure."""
    assert fetch(f"{peer.url}/missing") == (0, b"no such thing\n", "")
    assert fetch("-f", f"{peer.url}/missing") == (1, b"no such thing\n", "anyhttp: 404 Not Found\n")
    assert fetch("-f", f"{peer.url}/json")[0] == 0


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
    assert "this is not JSON" in capsys.readouterr().err


def test_redirects_are_followed_up_to_a_limit(peer: Peer, fetch: Fetch) -> None:
    """``--max-redirects N`` follows N of them; with 0 the redirect itself is the answer."""
    assert fetch(f"{peer.url}/moved")[1] == POLITE
    assert fetch("--max-redirects", "1", f"{peer.url}/moved")[1] == POLITE
    assert fetch("--max-redirects", "0", f"{peer.url}/moved") == (0, b"moved\n", "")
    status, _, err = fetch("--max-redirects", "3", f"{peer.url}/again")
    assert (status, err) == (1, "anyhttp: more than 3 redirects\n")
