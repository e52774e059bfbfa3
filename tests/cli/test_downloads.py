"""The command saves a body in a file."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

pytest.importorskip("click")
pytest.importorskip("h2")
pytest.importorskip("rich")
pytest.importorskip("trio")


from anyhttp._cli._save import Target
from tests.support.command import COLOUR, POLITE, Fetch, Peer, Terminal, closed_port


def test_output_saves_the_body(peer: Peer, fetch: Fetch, tmp_path: Path) -> None:
    """``-o FILE`` holds the body, stdout and stderr nothing, and no partial file is left."""
    path = tmp_path / "large.txt"
    assert fetch("-o", str(path), f"{peer.url}/large") == (0, b"", "")
    assert path.read_bytes() == b"0123456789abcdef" * 65536
    assert list(tmp_path.iterdir()) == [path]


def test_output_to_a_dash_is_stdout(peer: Peer, fetch: Fetch) -> None:
    """``-o -`` prints, as without the option."""
    assert fetch("-o", "-", f"{peer.url}/json")[1] == POLITE


def test_output_of_unknown_size(peer: Peer, tmp_path: Path, on_terminal: Terminal) -> None:
    """Content-Length counts encoded bytes, so the bar of an encoded body learns its end there."""
    path = tmp_path / "file"
    status, shown = on_terminal("-o", str(path), f"{peer.url}/gzip")
    assert status == 0
    assert path.read_bytes() == POLITE
    assert f"{len(POLITE)}/{len(POLITE)} bytes".encode() in COLOUR.sub(b"", shown)


@pytest.mark.parametrize("args", [("/cut",), ("/missing", "-f"), ("/drip", "--timeout", "0.2")])
def test_a_failed_download_leaves_the_file_alone(
    peer: Peer, fetch: Fetch, tmp_path: Path, args: Sequence[str]
) -> None:
    """An incomplete or refused body never replaces the file, and leaves no part behind."""
    path = tmp_path / "kept"
    path.write_bytes(b"older")
    status, _, err = fetch("-o", str(path), f"{peer.url}{args[0]}", *args[1:])
    assert status == 1
    assert err.count("\n") == 1
    assert path.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions and links")
def test_output_keeps_permissions_and_links(peer: Peer, fetch: Fetch, tmp_path: Path) -> None:
    """Replacing a file neither opens it to others nor breaks the link it was named by."""
    path, link = tmp_path / "secret", tmp_path / "link"
    path.write_bytes(b"older")
    path.chmod(0o600)
    link.symlink_to(path)
    assert fetch("-o", str(link), f"{peer.url}/json")[0] == 0
    assert link.is_symlink()
    assert path.read_bytes() == POLITE
    assert path.stat().st_mode & 0o777 == 0o600


def make_link(path: Path) -> None:
    """Make a link to the user's own file."""
    (path.parent / "mine").write_text("mine")
    path.symlink_to(path.parent / "mine")


@pytest.mark.skipif(os.name == "nt", reason="names may be as long as paths")
def test_a_name_without_room_for_its_part(peer: Peer, fetch: Fetch, tmp_path: Path) -> None:
    """The file itself could be made, so this shows only when the part is."""
    status, out, err = fetch("-o", str(tmp_path / ("n" * 255)), f"{peer.url}/")
    assert (status, out) == (1, b"")
    assert "File name too long" in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="POSIX links and pipes")
@pytest.mark.parametrize(
    "occupy",
    [
        lambda path: path.write_text("mine"),
        make_link,
        lambda path: path.symlink_to(path.parent / "missing"),
        os.mkfifo,
        os.mkdir,
    ],
    ids=["file", "link", "dangling link", "pipe", "directory"],
)
@pytest.mark.parametrize("route", ["/json", "/cut"])
def test_the_part_takes_nobodys_place(
    peer: Peer, fetch: Fetch, tmp_path: Path, occupy: Callable[[Path], object], route: str
) -> None:
    """Whatever has the name ``FILE.part`` is left alone, and not waited for; others are free."""
    path = tmp_path / "file"
    occupy(tmp_path / "file.part")
    (tmp_path / "file.1.part").write_text("another download")
    before = {entry.name: entry.lstat() for entry in tmp_path.iterdir()}
    assert fetch("-o", str(path), f"{peer.url}{route}")[0] == (route == "/cut")
    if route == "/json":
        assert path.read_bytes() == POLITE
        path.unlink()
    after = {entry.name: entry.lstat() for entry in tmp_path.iterdir()}
    assert {name: (s.st_ino, s.st_size, s.st_mtime_ns) for name, s in after.items()} == {
        name: (s.st_ino, s.st_size, s.st_mtime_ns) for name, s in before.items()
    }
    assert (tmp_path / "file.1.part").read_text() == "another download"


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
@pytest.mark.parametrize(("mode", "expected"), [(None, 0o640), (0o600, 0o600), (0o444, 0o444)])
def test_the_part_is_as_private_as_the_file(
    tmp_path: Path, mode: int | None, expected: int
) -> None:
    """Also while it is written; a new file is as private as the user's files are."""
    path = tmp_path / "file"
    if mode is not None:
        path.touch()
        path.chmod(mode)

    async def begin() -> None:
        target = Target(path)
        await target.open()
        await target.write(b"x")
        assert (tmp_path / "file.part").stat().st_mode & 0o777 == expected
        target.finish()

    umask = os.umask(0o027)
    try:
        anyio.run(begin)
    finally:
        os.umask(umask)
    assert path.read_bytes() == b"x"
    assert path.stat().st_mode & 0o777 == expected


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes in the file system")
@pytest.mark.parametrize("path", ["/json", "/cut"])
def test_output_to_a_pipe_writes_into_it(
    peer: Peer, fetch: Fetch, tmp_path: Path, path: str
) -> None:
    """What is no regular file is not replaced: ``-o /dev/null`` must not destroy the device."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    status, _, _ = fetch("-o", str(pipe), f"{peer.url}{path}")
    reader.join()
    assert pipe.is_fifo()
    assert status == (path == "/cut")
    assert (POLITE if path == "/json" else b"half").startswith(read[0])


def test_output_shows_progress_on_a_terminal(
    peer: Peer, tmp_path: Path, on_terminal: Terminal
) -> None:
    """The bar ends full, beside the name of the file."""
    path = tmp_path / "large.txt"
    status, shown = on_terminal("-o", str(path), f"{peer.url}/large")
    assert status == 0
    assert path.stat().st_size == 1024 * 1024
    assert b"large.txt" in shown
    assert b"1.0/1.0 MiB" in COLOUR.sub(b"", shown)


def test_the_head_is_printed_beside_a_file(peer: Peer, fetch: Fetch, tmp_path: Path) -> None:
    """``-i`` with ``-o FILE`` prints the head; the file has the body alone."""
    path = tmp_path / "file"
    status, out, err = fetch("-i", "-o", str(path), f"{peer.url}/json")
    assert (status, err) == (0, "")
    assert out.startswith(b"HTTP/1.1 200 OK\r\n")
    assert out.endswith(b"\r\n\r\n")
    assert path.read_bytes() == POLITE


def test_there_is_no_bar_where_it_could_not_move(
    peer: Peer,
    fetch: Fetch,
    on_terminal: Terminal,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither in a log whose colours are forced, nor on a terminal that can only print lines."""
    path, body = tmp_path / "file", tmp_path / "body"
    body.write_bytes(b"x")
    args = ["-o", str(path), "-F", f"f=@{body}", f"{peer.url}/json"]
    with monkeypatch.context() as patch:
        patch.setenv("FORCE_COLOR", "1")
        assert fetch(*args) == (0, b"", "")
    monkeypatch.setenv("TERM", "dumb")
    assert on_terminal(*args) == (0, b"")
    assert path.read_bytes() == POLITE


def test_an_error_page_is_saved_if_that_is_asked_for(
    peer: Peer, fetch: Fetch, tmp_path: Path
) -> None:
    """``--fail-with-body`` is about the exit status alone."""
    path = tmp_path / "file"
    args = ["--fail-with-body", "-o", str(path), f"{peer.url}/missing"]
    assert fetch(*args) == (1, b"", "anyhttp: 404 Not Found\n")
    assert path.read_bytes() == b"no such thing\n"


def test_a_full_disk_is_said_of_the_file(
    peer: Peer, fetch: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system does not say which one it is; a broken connection is not that of the file."""

    def fail(self: object, piece: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("anyhttp._downloads.part_file.PartFile.write", fail)
    path = tmp_path / "file"
    status, _, err = fetch("-C", "-o", str(path), f"{peer.url}/json")
    assert (status, err) == (1, f"anyhttp: {path}: No space left on device\n")
    status, _, err = fetch("-C", "-o", str(path), f"127.0.0.1:{closed_port()}")
    assert (status, str(path) in err) == (1, False)
