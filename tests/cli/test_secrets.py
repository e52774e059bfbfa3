"""Secrets stay out of arguments and messages."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

pytest.importorskip("click")
pytest.importorskip("h2")
pytest.importorskip("rich")
pytest.importorskip("trio")


from anyhttp._cli._commands import run
from tests.support.command import POLITE, Fetch, Peer, closed_port
from tests.support.proxies import Proxies
from tests.support.server import Server


def test_header_fields_are_read_from_a_file(peer: Peer, fetch: Fetch, tmp_path: Path) -> None:
    """``-H @FILE`` as with curl, one field a line; ``-H NAME:@FILE`` as with HTTPie."""
    lines, key = tmp_path / "lines", tmp_path / "key"
    lines.write_bytes(b"Authorization: Bearer s3cret\r\n\nX-A: @key\n")
    key.write_bytes(b"k3y\r\n")
    args = ["-H", f"@{lines}", "-H", f"X-Key:@{key}", "-H", f"X-Text: @{key}", "-H", "X-B: 1"]
    assert fetch(*args, peer.url)[0] == 0
    headers = peer.received[-1].headers
    assert headers["authorization"] == "Bearer s3cret"
    assert (headers["x-a"], headers["x-b"]) == ("@key", "1")
    assert (headers["x-key"], headers["x-text"]) == ("k3y", f"@{key}")


@pytest.mark.parametrize(
    ("option", "value", "field", "sent", "source"),
    [
        (*case, source)
        for case in [
            ("-u", "us\u00e9r:pass:word", "authorization", "Basic dXPDqXI6cGFzczp3b3Jk"),
            ("--bearer", "t0ken", "authorization", "Bearer t0ken"),
            ("-H", "X-Key: k3y", "x-key", "k3y"),
            ("-d", "a=1", "content-type", "application/x-www-form-urlencoded"),
            ("--json", "[1]", "content-type", "application/json"),
        ]
        for source in ["@{file}", "@-", "@env:SECRET"]
        if (case[0], source) != ("-d", "@{file}")  # the type is then that of the file
    ],
)
def test_a_secret_is_read_from_where_nobody_sees_it(
    peer: Peer,
    fetch: Fetch,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    option: str,
    value: str,
    field: str,
    sent: str,
    source: str,
) -> None:
    """A file, standard input or the environment: arguments are shown to every user."""
    path = tmp_path / "secret"
    path.write_bytes(f"{value}\n".encode())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes())))
    monkeypatch.setenv("SECRET", value)
    assert fetch(option, source.format(file=path), peer.url)[0] == 0
    assert peer.received[-1].headers[field] == sent
    if option in {"-d", "--json"}:
        assert peer.received[-1].body.decode().strip() == value


def test_the_proxy_is_read_from_a_file(
    server: Server, proxies: Proxies, fetch: Fetch, tmp_path: Path
) -> None:
    """Its URL may hold a password."""
    proxy = proxies("http", login=("user", "secret"))
    path = tmp_path / "proxy"
    path.write_text(f"user:secret@localhost:{proxy.port}\n")
    assert fetch("-x", f"@{path}", str(server.url / "json"))[0] == 0
    assert len(proxy.seen) == 1


@pytest.mark.parametrize(
    "option", [["-u", "user:secret"], ["--bearer", "t0ken"], ["-H", "Authorization: own"]]
)
def test_credentials_are_for_the_first_origin(
    peer: Peer, fetch: Fetch, option: Sequence[str]
) -> None:
    """A redirect to another one does not get them."""
    with Peer() as other:
        thread = threading.Thread(target=other.serve_forever, args=(0.01,))
        thread.start()
        peer.elsewhere = f"{other.url}/json"
        assert fetch(*option, f"{peer.url}/elsewhere")[1] == POLITE
        other.shutdown()
        thread.join()
    assert peer.received[-1].headers["authorization"]
    assert other.received[-1].headers["authorization"] is None


def test_a_password_is_asked_for(peer: Peer, fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal, without showing it; elsewhere the argument is wrong."""
    assert fetch("-u", "user", peer.url)[0] == 2
    monkeypatch.setattr("click.termui.hidden_prompt_func", lambda prompt: "s3cret")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    status, out, err = fetch("-u", "user", peer.url)
    assert (status, out) == (0, b"fine\n")
    assert "s3cret" not in err
    assert peer.received[-1].headers["authorization"] == "Basic dXNlcjpzM2NyZXQ="


def test_ctrl_c_at_a_password_sends_nothing(
    peer: Peer, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Status 130, as Ctrl-C is at any other time."""

    def interrupted(prompt: str) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("click.termui.hidden_prompt_func", interrupted)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    status, out, _ = fetch("-u", "user", peer.url)
    assert (status, out) == (130, b"")
    assert not peer.received


@pytest.mark.parametrize("command", [[], ["ws"]])
@pytest.mark.parametrize(
    "args",
    [
        ["-H", "s3cret"],
        ["-H", "Bearer s3cret:more"],
        ["-H", "@s3cret"],
        ["-H", "X-Key:@s3cret"],
        ["-H", "@{file}"],
        ["-H", "Authorization:", "Bearer", "s3cret"],
        ["-H", "X-Key: s3cret", "s3cret"],
        ["-H", "X-Key: s3cret\x01"],
        ["-u", "s3cret"],
        ["-u", "@s3cret:more"],
        ["-u", "@s3cret\0"],
        ["-u", "user:s3cret", "--bearer", "s3cret"],
        ["-u", "user:s3cret", "-H", "Authorization: s3cret"],
        ["--bearer", "s3cret", "-H", "authorization: s3cret"],
        ["--bearer", "not s3cret"],
        ["--bearer", ""],
        ["--bearer", "@/dev/zero"],
        ["--bearer", "s3cret\udcff\x7f"],
        ["--bearer=s3cret", "--tokken=s3cret"],
        ["-x", "http://user:s3cret@localhost:x"],
        ["-x", "ftp://user:s3cret@localhost"],
        ["-x", "@s3cret"],
        ["--json", "s3cret"],
    ],
)
def test_no_message_shows_a_secret(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, command: Sequence[str], args: list[str]
) -> None:
    """Messages end up in logs, be they about a secret or about what stands beside one."""
    path = tmp_path / "fields"
    path.write_text("X-A: 1\ns3cret\n")
    url = f"127.0.0.1:{closed_port()}"
    assert run([*command, *(arg.format(file=path) for arg in args), url]) in {1, 2}
    out, err = capsys.readouterr()
    assert err
    assert "s3cret" not in out + err


@pytest.mark.parametrize("url", ["http://u:s3cret@127.1/", "ftp://u:s3cret@h/", "u:s3cret@h:x"])
def test_no_message_shows_the_password_of_a_url(
    capsys: pytest.CaptureFixture[str], url: str
) -> None:
    """A URL is shown without it."""
    for command in [[], ["ws"]]:
        assert run([*command, url]) == 2
    assert "s3cret" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--bearer", "@-", "-d", "-"], "standard input is used for --bearer"),
        (["ws", "-u", "@-"], "standard input is used for the messages"),
        (["-u", "@env:NO_SUCH_VARIABLE"], "the environment has no variable 'NO_SUCH_VARIABLE'"),
        (["--json", "@env:NO_SUCH_VARIABLE"], "has no variable 'NO_SUCH_VARIABLE'"),
        (["-H", "@{tmp}/none"], "the file after '@': No such file or directory"),
        (["-H", "two", "words"], "a field is not of the form"),
        (["one", "more"], "2 unexpected arguments"),
        (["demo", "--backend", "asyncio"], "an unexpected argument"),
    ],
)
def test_what_is_wrong_with_a_value_is_said(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    args: Sequence[str],
    message: str,
) -> None:
    """Without the value, where it may be a secret."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"t0ken")))
    assert run([*(arg.format(tmp=tmp_path) for arg in args), "http://127.0.0.1:1/"]) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_a_handshake_has_credentials(peer: Peer, fetch: Fetch, tmp_path: Path) -> None:
    """``anyhttp ws`` reads them in the same ways."""
    path = tmp_path / "secret"
    path.write_text("t0ken\n")
    for option, sent in (
        (["-u", "user:s3cret"], "Basic dXNlcjpzM2NyZXQ="),
        (["--bearer", f"@{path}"], "Bearer t0ken"),
        (["-H", f"Authorization:@{path}"], "t0ken"),
    ):
        assert fetch("ws", *option, peer.address)[0] == 1  # it is no WebSocket
        assert peer.received[-1].headers["authorization"] == sent
