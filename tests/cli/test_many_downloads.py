"""``--download`` and ``-C``: files that go on after an interruption, and many at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

pytest.importorskip("click")
pytest.importorskip("h2")
pytest.importorskip("rich")
pytest.importorskip("trio")

from anyhttp._cli._commands import run
from anyhttp._cli._file_names import reserved, safe_name
from tests.support.command import (
    COLOUR,
    FILE,
    POLITE,
    Fetch,
    Peer,
    Terminal,
    closed_port,
)
from tests.support.http2_server import Http2Server
from tests.support.waiting import until_in_thread


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory, which is the current one."""
    path = tmp_path / "here"
    path.mkdir()
    monkeypatch.chdir(path)
    return path


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the pauses between attempts end at once."""
    monkeypatch.setattr("anyhttp._common.Backoff.delay", lambda self, number: 0.0)


def names(path: Path) -> set[str]:
    """Return the names of all files in *path*."""
    return {entry.name for entry in path.iterdir()}


def ranges(peer: Peer) -> list[str | None]:
    """Return which bytes the requests asked for."""
    return [each.headers["range"] for each in peer.received]


def test_an_interrupted_download_goes_on(peer: Peer, fetch: Fetch, here: Path) -> None:
    """``-C -o FILE`` keeps what has come, and asks only for the rest; FILE appears complete."""
    peer.cuts = 1
    status, out, err = fetch("-C", "-o", "file", f"{peer.url}/file")
    assert (status, out, err.count("\n")) == (1, b"", 1)
    assert names(here) == {"file.part", "file.part.json"}
    assert fetch("-C", "-o", "file", f"{peer.url}/file") == (0, b"", "")
    assert names(here) == {"file"}
    assert (here / "file").read_bytes() == FILE
    assert ranges(peer) == [None, "bytes=1000-"]


def test_a_broken_download_is_mended(peer: Peer, fetch: Fetch, here: Path) -> None:
    """With ``--retry`` it goes on within the same command."""
    peer.cuts = 2
    assert fetch("-C", "-o", "file", "--retry", "2", f"{peer.url}/file") == (0, b"", "")
    assert (here / "file").read_bytes() == FILE
    assert ranges(peer) == [None, "bytes=1000-", "bytes=2000-"]


def test_a_download_that_is_refused_leaves_all_alone(peer: Peer, fetch: Fetch, here: Path) -> None:
    """The status is told, as with ``--fail``; the file that is there stays."""
    (here / "file").write_bytes(b"older")
    for url, message in (
        (f"{peer.url}/missing", "404 Not Found"),
        (f"{peer.url}/nonsense", "invalid HTTP response: "),
        (f"{peer.url}/again", "more than 10 redirects"),
    ):
        status, out, err = fetch("-C", "-o", "file", url)
        assert (status, out, err.count("\n")) == (1, b"", 1)
        assert err.startswith(f"anyhttp: {message}")
    assert names(here) == {"file"}
    assert (here / "file").read_bytes() == b"older"


def test_files_are_named_by_their_urls(peer: Peer, fetch: Fetch, here: Path) -> None:
    """Each is printed when it is complete; names that are there twice get numbers."""
    (here / "json").write_bytes(b"older")
    urls = [f"{peer.url}/json", f"{peer.url}/file/a.bin", f"{peer.url}/file/b/a.bin", peer.address]
    status, out, err = fetch("--download", *urls, "-q", "q=1", "-H", "X-A: 1")
    assert (status, err) == (0, "")
    assert set(out.decode().split()) == names(here) == {"json", "a.bin", "a-1.bin", "index.html"}
    assert (here / "json").read_bytes() == POLITE
    assert (here / "a.bin").read_bytes() == (here / "a-1.bin").read_bytes() == FILE
    assert {each.headers["x-a"] for each in peer.received} == {"1"}
    assert all(each.path.endswith("?q=1") for each in peer.received)


def test_files_are_named_by_the_server(peer: Peer, fetch: Fetch, here: Path) -> None:
    """By the last component of what it says; nothing outside of the directory, nor hidden."""
    (here / "into").mkdir()
    peer.disposition = 'attachment; filename="../../.report 1.pdf"'
    args = ["-O", "-o", "into", f"{peer.url}/file?id=1"]
    assert fetch(*args) == (0, f"into{os.sep}report 1.pdf\n".encode(), "")
    assert names(here) == {"into"}
    assert (here / "into" / "report 1.pdf").read_bytes() == FILE


def test_a_malformed_name_is_left_out(peer: Peer, fetch: Fetch, here: Path) -> None:
    """Without a warning of Python on stderr."""
    peer.disposition = "attachment; filename*=UTF-8''a[b.txt"
    assert fetch("-O", f"{peer.url}/file") == (0, b"file\n", "")
    assert names(here) == {"file"}


def test_a_server_replaces_nothing(peer: Peer, fetch: Fetch, here: Path) -> None:
    """A file may be called like that for another reason; the message says what to do."""
    (here / "notes").write_bytes(b"mine")
    peer.disposition = "attachment; filename=notes"
    status, out, err = fetch("--download", f"{peer.url}/file")
    assert (status, out) == (1, b"")
    assert err.startswith("anyhttp: notes: it is there already, and the server chose this name")
    assert names(here) == {"notes"}
    assert (here / "notes").read_bytes() == b"mine"


def test_an_interrupted_one_of_many_goes_on(peer: Peer, fetch: Fetch, here: Path) -> None:
    """Without another option: the same command again asks only for what is missing."""
    peer.cuts = 1
    assert fetch("--download", f"{peer.url}/file/a")[0] == 1
    assert names(here) == {"a.part", "a.part.json"}
    assert fetch("--download", f"{peer.url}/file/a") == (0, b"a\n", "")
    assert (here / "a").read_bytes() == FILE
    assert ranges(peer) == ["bytes=0-0", None, "bytes=0-0", "bytes=1000-"]


def test_a_failure_is_told_and_the_others_go_on(peer: Peer, fetch: Fetch, here: Path) -> None:
    """One line for each, with its URL but without what may be a secret; the status is 1."""
    port = closed_port()
    urls = [f"http://u:s3cret@{peer.address}/missing?key=s3cret", f"{peer.url}/json"]
    urls += [f"http://127.0.0.1:{port}/"]
    status, out, err = fetch("--download", *urls)
    assert (status, out) == (1, b"json\n")
    lines = sorted(err.splitlines())
    assert len(lines) == 2
    assert f"anyhttp: http://{peer.address}/missing: 404 Not Found" in lines
    assert any(line.startswith(f"anyhttp: http://127.0.0.1:{port}/: ") for line in lines)
    assert "s3cret" not in err
    assert names(here) == {"json"}


def test_no_more_than_that_many_at_once(peer: Peer, here: Path) -> None:
    """``--jobs N`` bounds how many are under way; the next begins when one has ended."""
    peer.stalls = False
    most = 0
    now = 0
    lock = threading.Lock()

    class Counting:
        def __enter__(self) -> None:
            nonlocal most, now
            with lock:
                now += 1
                most = max(most, now)

        def __exit__(self, *exc: object) -> None:
            nonlocal now
            with lock:
                now -= 1

    peer.around = Counting()
    urls = [f"{peer.url}/file/{number}" for number in range(8)]
    assert run(["--download", "--jobs", "2", *urls]) == 0
    assert names(here) == {str(number) for number in range(8)}
    assert 1 <= most <= 2


def test_a_retry_is_for_names_too(peer: Peer, fetch: Fetch, here: Path) -> None:
    """The server may be busy when it is asked for the name."""
    peer.busy = 1
    status, out, err = fetch("--download", "--retry", "1", f"{peer.url}/busy")
    assert (status, out) == (0, b"busy\n")
    assert err == "anyhttp: 503 Service Unavailable; trying again in 0.0 s\n"
    assert (here / "busy").read_bytes() == b"fine\n"


def test_many_show_their_progress_together(peer: Peer, here: Path, on_terminal: Terminal) -> None:
    """On a terminal there is a bar for each that is under way, and a line for each complete one."""
    status, shown = on_terminal("--download", *(f"{peer.url}/file/{name}" for name in "abc"))
    assert status == 0
    lines = [line.strip() for line in COLOUR.sub(b"", shown).decode().splitlines()]
    assert {"a", "b", "c"} <= {line.split("\x1b[2K")[-1] for line in lines}
    assert any("bytes" in line or "kB" in line or "KiB" in line for line in lines)


def test_a_reader_that_leaves_ends_the_downloads(
    peer: Peer, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody wants the names any more: quiet, with status 1."""
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb", 0) as stdout, monkeypatch.context() as patch:
        patch.setattr("sys.stdout", stdout)
        assert run(["--download", "--jobs", "1", f"{peer.url}/file/a", f"{peer.url}/file/b"]) == 1
    assert capsys.readouterr().err == ""
    assert names(here) == {"a"}


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT for one process")
@pytest.mark.usefixtures("handled_sigint")
def test_ctrl_c_keeps_what_can_go_on(peer: Peer, fetch: Fetch, here: Path) -> None:
    """Status 130, not a word; there is a part with its notes, and no half file."""
    part = here / "endless.part"

    def interrupt() -> None:
        until_in_thread(lambda: part.exists() and part.stat().st_size > 0, "a part", seconds=30)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    assert fetch("--download", f"{peer.url}/endless", f"{peer.url}/json", "-j", "1") == (
        130,
        b"",
        "",
    )
    thread.join()
    assert names(here) == {"endless.part", "endless.part.json"}
    assert part.read_bytes() == b"begun"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["-C"], "--continue needs --output FILE, or --download"),
        (["-C", "-o", "-"], "--continue needs --output FILE, or --download"),
        (["-j", "2"], "--jobs needs --download"),
        (["-O", "-j", "0"], "0 is not in the range"),
        (["-O", "-o", "{tmp}/none"], "--output is the directory, with --download"),
        (["-o", "{tmp}"], "--output is a file, without --download"),
        (["-O", "-d", "a=1"], "--continue and --download cannot be used with --request"),
        (["-O", "-F", "a=1"], "--continue and --download cannot be used with --request"),
        (["-O", "-X", "GET"], "--continue and --download cannot be used with --request"),
        (["-O", "-I"], "--continue and --download cannot be used with --request"),
        (["-C", "-o", "{tmp}/f", "-i"], "--continue and --download cannot be used with --request"),
        (["http://localhost/"], "for several URLs, add --download"),
        (["-C", "-o", "{tmp}/f", "http://localhost/"], "for several URLs, add --download"),
    ],
)
def test_what_makes_no_sense_together_is_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], args: Sequence[str], message: str
) -> None:
    """Nothing is sent or written."""
    assert run([*(arg.format(tmp=tmp_path) for arg in args), "http://127.0.0.1:1/"]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert names(tmp_path) == set()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("plain.txt", "plain.txt"),
        ("/etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("..", ""),
        (".", ""),
        ("a/..", ""),
        (" a b. ", "a b"),
        ("a\x1b[31m\u202eb\udcff", "a_[31m_b_"),
        ('<>:"|?*', "_______"),
        ("nul.txt", "_nul.txt"),
        ("COM1", "_COM1"),
        ("console", "console"),
        ("\u00fc" * 200 + ".tar.gz", "\u00fc" * 118 + ".gz"),
        ("a." + "b" * 300, "a." + "b" * 238),
    ],
)
def test_a_name_is_harmless(text: str, name: str) -> None:
    """Whatever a server says, it is a name in the directory, on every system and terminal."""
    assert safe_name(text) == name
    assert len(name.encode()) <= 240


def test_no_two_downloads_use_the_same_files() -> None:
    """Neither those that many file systems take for one, nor one that another uses meanwhile."""
    taken: set[str] = set()
    asked = ["a.tar", "A.tar", "a.tar", "b", "b.part", "c.part.json", "c"]
    got = ["a.tar", "A-1.tar", "a-2.tar", "b", "b-1.part", "c.part.json", "c-1"]
    assert [reserved(name, taken) for name in asked] == got


def test_downloads_over_http2(http2_server: Http2Server, fetch: Fetch, here: Path) -> None:
    """They share a connection."""
    urls = [str(http2_server.url / f"bytes/{size}") for size in (3, 5)]
    status, out, err = fetch("--http2-prior-knowledge", "--download", *urls)
    assert (status, sorted(out.split()), err) == (0, [b"3", b"5"], "")
    assert (here / "5").read_bytes() == bytes(range(5))
    assert http2_server.connections == 1


def test_an_empty_file_is_downloaded(peer: Peer, fetch: Fetch, here: Path) -> None:
    """It has no first byte, which is no failure."""
    assert fetch("--download", f"{peer.url}/empty") == (0, b"empty\n", "")
    assert (here / "empty").read_bytes() == b""


def test_a_damaged_jar_stops_all_downloads(peer: Peer, fetch: Fetch, here: Path) -> None:
    """Nothing is sent without the cookies that are meant to be."""
    (here / "jar").write_bytes(b"{")
    status, out, err = fetch("--cookie-jar", "jar", "--download", f"{peer.url}/file/a")
    assert (status, out) == (2, b"")
    assert "'jar' is not a file of cookies" in err
    assert names(here) == {"jar"}
    assert peer.received == []
