"""Cookies of the command: those that are given, and those in a file."""

from __future__ import annotations

import errno
import json
import os
import threading
from pathlib import Path

import pytest

pytest.importorskip("click")
pytest.importorskip("h2")
pytest.importorskip("rich")
pytest.importorskip("trio")

from anyhttp import CookieJar
from anyhttp._cli._commands import run
from tests.support.command import Fetch, Peer, closed_port, interrupt_when_stalled
from tests.support.server import Server


def cookies(answer: bytes) -> dict[str, str]:
    """Return the cookies that the server says it got."""
    got: dict[str, str] = json.loads(answer)["cookies"]
    return got


def test_cookies_are_sent(peer: Peer, fetch: Fetch, tmp_path: Path) -> None:
    """``-b`` names one, several with ``;`` between them, or a file; a field ``Cookie`` stays."""
    path = tmp_path / "cookies"
    path.write_text("c=3\nd=4; e=5\n")
    args = ["-b", "a=1;;b=x=y;", "-b", f"@{path}", "-H", "Cookie: f=6"]
    assert fetch(*args, peer.url)[0] == 0
    assert peer.received[-1].headers.get_all("Cookie") == ["f=6; a=1; b=x=y; c=3; d=4; e=5"]
    assert fetch("ws", "-b", "a=1", peer.address)[0] == 1  # it is no WebSocket
    assert peer.received[-1].headers["cookie"] == "a=1"


def test_a_redirect_elsewhere_does_not_get_them(
    peer: Peer, server: Server, fetch: Fetch, tmp_path: Path
) -> None:
    """Those that are given are for the first origin, as credentials are."""
    peer.elsewhere = str(server.url / "cookies")
    status, out, _ = fetch("-b", "a=1", f"{peer.url}/elsewhere")
    assert (status, cookies(out)) == (0, {})
    assert peer.received[-1].headers["cookie"] == "a=1"


@pytest.mark.parametrize("value", ["s3cret", "=s3cret", "a b=s3cret", "@/no/s3cret"])
def test_what_is_no_cookie_is_not_shown(capsys: pytest.CaptureFixture[str], value: str) -> None:
    """It may be a secret."""
    assert run(["-b", value, "http://127.0.0.1:1/"]) == 2
    err = capsys.readouterr().err
    assert "--cookie" in err
    assert "s3cret" not in err


def test_a_jar_keeps_cookies_between_commands(server: Server, fetch: Fetch, tmp_path: Path) -> None:
    """A new file is a ``cookies.txt`` that only its owner can read; redirects count, too."""
    path = tmp_path / "jar"
    jar = ["--cookie-jar", str(path)]
    status, out, err = fetch(*jar, str(server.url / "cookies/set") + "?a=1&b=2")
    assert (status, cookies(out), err) == (0, {"a": "1", "b": "2"}, "")
    assert path.read_text().startswith("# Netscape HTTP Cookie File\n")
    if os.name != "nt":
        assert path.stat().st_mode & 0o777 == 0o600
    assert cookies(fetch(*jar, str(server.url / "cookies"))[1]) == {"a": "1", "b": "2"}
    out = fetch(*jar, "-b", "c=3", str(server.url / "cookies"))[1]
    assert cookies(out) == {"a": "1", "b": "2", "c": "3"}
    assert "\tc\t" not in path.read_text()  # only what servers set is saved


def test_a_jar_keeps_its_format(server: Server, fetch: Fetch, tmp_path: Path) -> None:
    """A file of JSON, as ``CookieJar.save()`` writes it, stays one."""
    path = tmp_path / "jar"
    CookieJar().save(path)
    assert fetch("--cookie-jar", str(path), str(server.url / "cookies/set") + "?a=1")[0] == 0
    assert json.loads(path.read_text())
    jar = CookieJar(unsafe=True)
    jar.load(path)
    assert [each.key for each in jar] == ["a"]


@pytest.mark.parametrize("content", [b"{", b"no cookies\n", b"\xff\xfe", b"[1]"])
def test_a_damaged_jar_is_left_alone(
    peer: Peer, fetch: Fetch, tmp_path: Path, content: bytes
) -> None:
    """Nothing is sent, and the file stays as it is: it may be another one of the user's."""
    path = tmp_path / "jar"
    path.write_bytes(content)
    for command in [[], ["ws"]]:
        status, out, err = fetch(*command, "--cookie-jar", str(path), peer.address)
        assert (status, out) == (2, b"")
        assert "'--cookie-jar': " in err
        assert str(path) in err
    assert path.read_bytes() == content
    assert peer.received == []


def test_a_jar_is_a_regular_file(peer: Peer, fetch: Fetch, tmp_path: Path) -> None:
    """A pipe has no other end that writes cookies, and Ctrl-C could not end the wait for one."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    status, out, err = fetch("--cookie-jar", str(path), peer.url)
    assert (status, out) == (2, b"")
    assert err.endswith(f"'--cookie-jar': {path} is not a regular file\n")
    assert peer.received == []


@pytest.mark.skipif(os.name == "nt", reason="symbolic links need a privilege")
def test_a_jar_may_be_a_symbolic_link(server: Server, fetch: Fetch, tmp_path: Path) -> None:
    """The link stays, and the file that it points to gets the cookies, be it there or not."""
    (tmp_path / "elsewhere").mkdir()
    target, link = tmp_path / "elsewhere" / "jar", tmp_path / "link"
    link.symlink_to(Path("elsewhere") / "jar")
    jar = ["--cookie-jar", str(link)]
    for query, expected in [("a=1", {"a": "1"}), ("b=2", {"a": "1", "b": "2"})]:
        status, out, err = fetch(*jar, f"{server.url / 'cookies/set'}?{query}")
        assert (status, cookies(out), err) == (0, expected, "")
        assert link.is_symlink()
        assert not target.is_symlink()
        assert "\ta\t1\n" in target.read_text()
    assert [each.name for each in (tmp_path / "elsewhere").iterdir()] == ["jar"]


def test_cookies_are_saved_after_a_failure(peer: Peer, fetch: Fetch, tmp_path: Path) -> None:
    """A response that is refused, and one that a failure follows, have set theirs."""
    path = tmp_path / "jar"
    jar = ["--cookie-jar", str(path)]
    assert fetch(*jar, "--fail", f"{peer.url}/refused-with-cookie")[0] == 1
    assert "\ta\t1\n" in path.read_text()
    path.unlink()
    peer.elsewhere = f"http://127.0.0.1:{closed_port()}/"
    assert fetch(*jar, f"{peer.url}/elsewhere-with-cookie")[0] == 1
    assert "\ta\t1\n" in path.read_text()


def test_a_jar_that_cannot_be_written_is_a_failure(
    peer: Peer, address: str, fetch: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has come is printed; one line says which file it is about."""

    def fail(path: str, content: bytes, *, mode: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), f"{path}.new")

    monkeypatch.setattr("anyhttp.cookiejar._file.replace_file", fail)
    path = tmp_path / "jar"
    status, out, err = fetch("--cookie-jar", str(path), f"{peer.url}/")
    assert (status, out) == (1, b"fine\n")
    assert err == f"anyhttp: {path}: {os.strerror(errno.ENOSPC)}\n"
    status, _, err = fetch("--cookie-jar", str(path), f"127.0.0.1:{closed_port()}")
    assert status == 1
    assert "cannot connect" in err  # an earlier failure is the one that is told
    assert err.count("\n") == 1
    monkeypatch.chdir(tmp_path)
    status, out, err = fetch("--cookie-jar", str(path), "--download", f"{peer.url}/file/a")
    assert (status, out) == (1, b"a\n")
    assert err == f"anyhttp: {path}: {os.strerror(errno.ENOSPC)}\n"
    status, out, err = fetch("ws", "--cookie-jar", str(path), f"{address}/count/1")
    assert status == 1
    assert err.endswith(f"anyhttp: {path}: {os.strerror(errno.ENOSPC)}\n")


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT for one process")
@pytest.mark.usefixtures("handled_sigint")
def test_ctrl_c_saves_cookies(peer: Peer, fetch: Fetch, tmp_path: Path) -> None:
    """Those that came until then; if that is not possible, it is Ctrl-C all the same."""
    path = tmp_path / "jar"
    peer.elsewhere = "/stall"
    gone = tmp_path / "gone"
    gone.mkdir()

    def interrupt(jar: Path) -> None:
        if peer.stalled.wait(10) and jar.parent == gone:
            gone.rmdir()
        interrupt_when_stalled(peer)

    for jar in (path, gone / "jar"):
        peer.stalled.clear()
        thread = threading.Thread(target=interrupt, args=(jar,))
        thread.start()
        url = f"{peer.url}/elsewhere-with-cookie"
        assert fetch("--cookie-jar", str(jar), url) == (130, b"", "")
        thread.join()
    assert "\ta\t1\n" in path.read_text()
