"""``-F``: fields and files of a multipart form."""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Sequence
from email import policy
from email.parser import BytesParser
from pathlib import Path

import pytest

pytest.importorskip("click")
pytest.importorskip("h2")
pytest.importorskip("rich")
pytest.importorskip("trio")

from anyhttp._cli._commands import run
from tests.support.command import COLOUR, POLITE, Fetch, Peer, Received, Terminal


def parts(sent: Received) -> list[tuple[object, object, str, object]]:
    """Return name, file name, type and content of each part."""
    head = f"Content-Type: {sent.headers['content-type']}\r\n\r\n".encode()
    message = BytesParser(policy=policy.HTTP).parsebytes(head + sent.body)
    return [
        (
            part.get_param("name", header="content-disposition"),
            part.get_filename(),
            part.get_content_type(),
            part.get_payload(decode=True),
        )
        for part in message.iter_parts()
    ]


def test_fields_and_files_are_sent(peer: Peer, fetch: Fetch, tmp_path: Path) -> None:
    """A file has its own name and the type of that, unless the option says another."""
    path = tmp_path / "photo.png"
    path.write_bytes(b"\x89PNG\r\n")
    args = ["name=Ada", "empty=", "text=a;type=b=c", f"file=@{path}"]
    args += [f"other=@{path};type=text/csv;filename=my table.csv"]
    assert fetch(*(arg for each in args for arg in ("-F", each)), peer.url)[0] == 0
    sent = peer.received[-1]
    assert sent.method == "POST"
    assert parts(sent) == [
        ("name", None, "text/plain", b"Ada"),
        ("empty", None, "text/plain", b""),
        ("text", None, "text/plain", b"a;type=b=c"),
        ("file", "photo.png", "image/png", b"\x89PNG\r\n"),
        ("other", "my table.csv", "text/csv", b"\x89PNG\r\n"),
    ]


def test_a_type_may_have_parameters(peer: Peer, fetch: Fetch, tmp_path: Path) -> None:
    """Only a semicolon before ``type=`` and ``filename=`` ends what stands before it."""
    path = tmp_path / "a;b.txt"
    path.write_bytes(b"x")
    assert fetch("-F", f"f=@{path};type=text/plain; charset=latin-1", peer.url)[0] == 0
    sent = peer.received[-1]
    assert b"Content-Type: text/plain; charset=latin-1\r\n" in sent.body
    assert parts(sent)[0][1] == "a;b.txt"


def test_the_name_of_a_file_is_sent_as_it_is(peer: Peer, fetch: Fetch, tmp_path: Path) -> None:
    """In UTF-8, as browsers send it: servers do not decode percent signs there."""
    path = tmp_path / "für dich.txt"
    path.write_bytes(b"x")
    assert fetch("-F", f"f=@{path}", peer.url)[0] == 0
    assert 'filename="für dich.txt"'.encode() in peer.received[-1].body


def test_the_value_of_a_field_is_read_from_elsewhere(
    peer: Peer, fetch: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a file, as with curl, or from the environment: arguments are shown to every user."""
    path = tmp_path / "secret"
    path.write_text("@s3cret\n")
    monkeypatch.setenv("SECRET", "other")
    assert fetch("-F", f"a=<{path}", "-F", "b=@env:SECRET", peer.url)[0] == 0
    assert parts(peer.received[-1]) == [
        ("a", None, "text/plain", b"@s3cret"),
        ("b", None, "text/plain", b"other"),
    ]


def test_a_file_is_standard_input(
    peer: Peer, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``@-``, which one option can read."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"piped")))
    assert fetch("-F", "f=@-;filename=a.txt", peer.url)[0] == 0
    assert parts(peer.received[-1]) == [("f", "a.txt", "text/plain", b"piped")]
    assert fetch("-F", "f=@-", "--bearer", "@-", peer.url)[0] == 2


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes in the file system")
def test_a_file_may_be_a_pipe(peer: Peer, fetch: Fetch, tmp_path: Path) -> None:
    """Process substitution, ``-F f=@<(…)``, gives the name of one."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(b"substituted",))
    writer.start()
    assert fetch("-F", f"f=@{path}", peer.url)[0] == 0
    writer.join()
    assert parts(peer.received[-1])[0][1::2] == ("pipe", b"substituted")


def test_the_method_is_the_users(peer: Peer, fetch: Fetch) -> None:
    """``-X`` wins over the POST that a form implies."""
    assert fetch("-X", "PUT", "-F", "a=1", peer.url)[0] == 0
    assert peer.received[-1].method == "PUT"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["-F", "s3cret"], "NAME=VALUE or NAME=@FILE"),
        (["-F", "=s3cret"], "NAME=VALUE or NAME=@FILE"),
        (["-F", "a=@{tmp}/none"], "{tmp}/none: No such file or directory"),
        (["-F", "a=<{tmp}/none"], "the file after '@': No such file or directory"),
        (["-F", "a=@env:NO_SUCH_VARIABLE"], "the environment has no variable 'NO_SUCH_VARIABLE'"),
        (["-F", "a=s3cret", "-d", "b=1"], "use only one of --data, --json and --form"),
        (["-F", "a=s3cret", "--json", "1"], "use only one of --data, --json and --form"),
    ],
)
def test_what_is_wrong_with_a_field_is_said(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, args: Sequence[str], message: str
) -> None:
    """Without its value, which may be a secret."""
    assert run([*(arg.format(tmp=tmp_path) for arg in args), "http://127.0.0.1:1/"]) == 2
    err = " ".join(capsys.readouterr().err.split())
    assert message.format(tmp=tmp_path) in err
    assert "s3cret" not in err


@pytest.mark.parametrize("option", ["-F", "-d"])
def test_the_upload_of_a_file_shows_its_progress(
    peer: Peer, tmp_path: Path, on_terminal: Terminal, option: str
) -> None:
    """On a terminal there is a bar until the response comes, and then none; text needs no bar."""
    path = tmp_path / "large"
    path.write_bytes(bytes(300_000))
    value = f"f=@{path}" if option == "-F" else f"@{path}"
    status, shown = on_terminal(option, value, f"{peer.url}/")
    assert status == 0
    assert len(peer.received[-1].body) >= 300_000
    plain = COLOUR.sub(b"", shown)
    assert b"upload" in plain
    assert plain.endswith(b"fine\n")
    status, shown = on_terminal("-F", "a=b", f"{peer.url}/")
    assert (status, shown) == (0, b"fine\n")


def test_the_bar_of_an_upload_ends_with_a_failure(tmp_path: Path, on_terminal: Terminal) -> None:
    """The message stands alone in its line."""
    path = tmp_path / "file"
    path.write_bytes(b"x")
    with Peer() as peer:
        thread = threading.Thread(target=peer.serve_forever, args=(0.01,))
        thread.start()
        status, shown = on_terminal("-F", f"f=@{path}", f"{peer.url}/nonsense")
        peer.shutdown()
        thread.join()
    assert status == 1
    assert b"\nanyhttp: invalid HTTP response" in b"\n" + shown.split(b"\x1b[2K")[-1]


def test_a_redirect_sends_the_files_again(peer: Peer, fetch: Fetch, tmp_path: Path) -> None:
    """307 asks for the same request elsewhere: each file is read again from its beginning."""
    path = tmp_path / "file.txt"
    path.write_bytes(b"content")
    assert fetch("-F", f"f=@{path}", f"{peer.url}/same-elsewhere")[1] == POLITE
    first, second = peer.received[-2:]
    assert (second.method, second.path, second.body) == ("POST", "/json", first.body)


def test_lines_go_above_the_bar(peer: Peer, tmp_path: Path, on_terminal: Terminal) -> None:
    """``-v`` shows the head of the response while the bar is there: none of its lines is torn."""
    path = tmp_path / "file"
    path.write_bytes(b"x")
    status, shown = on_terminal("-v", "-F", f"f=@{path}", f"{peer.url}/")
    assert status == 0
    lines = [each.split(b"\x1b[2K")[-1] for each in shown.split(b"\n")]
    assert b"< HTTP/1.1 200 OK" in [COLOUR.sub(b"", each).strip() for each in lines]


def test_another_attempt_begins_the_bar_anew(
    peer: Peer, tmp_path: Path, on_terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sends the whole body again; a redirect that sends none shows no bar."""
    monkeypatch.setattr("anyhttp._common.Backoff.delay", lambda self, number: 0.0)
    path = tmp_path / "file"
    path.write_bytes(bytes(3_000_000))
    peer.busy, peer.elsewhere = 1, "/json"
    status, shown = on_terminal("--retry", "1", "-X", "PUT", "-d", f"@{path}", f"{peer.url}/busy")
    assert status == 0
    assert [len(each.body) for each in peer.received] == [3_000_000, 3_000_000]
    plain = COLOUR.sub(b"", shown)
    assert plain.count(b"0.0/2.9 MiB") >= 2
    assert b"5.7" not in plain
    status, shown = on_terminal("-F", f"f=@{path}", f"{peer.url}/elsewhere")
    assert status == 0
    assert peer.received[-1].method == "GET"
