"""A command line that is wrong: it is noticed before anything is sent."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

pytest.importorskip("click")
pytest.importorskip("h2")
pytest.importorskip("rich")
pytest.importorskip("trio")


from anyhttp._cli._commands import run
from tests.support.command import Fetch, Peer

URL = "http://127.0.0.1:1/"
COMMANDS: Sequence[Sequence[str]] = ([], ["ws"], ["sse"], ["bench"])


@pytest.fixture(autouse=True)
def no_event_loop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can be sent without one."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the command has started an event loop")

    if "fetch" not in request.fixturenames:
        monkeypatch.setattr("anyhttp._cli._run.anyio.run", refuse)


def refused(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    """Run the command line *args*, which is wrong, and return what is said about it."""
    assert run(args) == 2
    out, err = capsys.readouterr()
    usage, _, problem = err.partition("Error: ")
    assert usage.startswith("Usage: anyhttp ")
    assert out == ""
    return " ".join(problem.split())


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://[bad/", "Invalid IPv6 URL"),
        ("http://localhost:99999/", "Port out of range"),
        ("http://localhost:x/", "port can't be converted to integer"),
        ("http:///path", "the URL has no host"),
        ("http://a..b/", "two dots in a row"),
        ("http://1.2.3/", "neither a name nor an IPv4 address"),
        ("ftp://localhost/", "not a URL of http, https, ws or wss: ftp://localhost/"),
        ("http://a%3Ab:s3cret@localhost/", 'login must not hold a ":"'),
        ("http://\u2603:s3cret@localhost/", "login or password cannot be encoded"),
    ],
)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_url_that_cannot_be_requested(
    capsys: pytest.CaptureFixture[str], command: Sequence[str], url: str, problem: str
) -> None:
    """The message says which argument it is, and shows no password."""
    said = refused(capsys, *command, url)
    assert said.startswith("Invalid value for 'URL")
    assert problem in said
    assert "s3cret" not in said


def test_one_wrong_url_among_downloads(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of the others is downloaded."""
    monkeypatch.chdir(tmp_path)
    said = refused(capsys, "--download", URL, "http://u:s3cret@h:x/")
    assert said.startswith("Invalid value for 'URL")
    assert "s3cret" not in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("method", ["", "GE T", "GET\n", "\u00e9"])
@pytest.mark.parametrize("command", [[], ["sse"], ["bench"]])
def test_what_is_no_method(
    capsys: pytest.CaptureFixture[str], command: Sequence[str], method: str
) -> None:
    """An empty one does not stand for GET."""
    said = refused(capsys, *command, "-X", method, URL)
    assert "'--request': " in said
    assert said.endswith("is not a method of HTTP")


@pytest.mark.parametrize(
    "args",
    [
        ["--timeout", "nan"],
        ["ws", "--wait", "nan"],
        ["bench", "--duration", "nan"],
        ["bench", "--timeout", "nan"],
    ],
)
def test_seconds_are_a_number(capsys: pytest.CaptureFixture[str], args: Sequence[str]) -> None:
    """Python takes "nan" for one, which is neither less nor more than any limit."""
    said = refused(capsys, *args, URL)
    assert f"'{args[-2]}': 'nan' is not a number of seconds" in said


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (["-F", "a=@{file};type=x\ny"], "'--form': the type of a file is not of the form"),
        (["-F", "a=@{file};type="], "'--form': the type of a file is not of the form"),
        (["-F", "a=@{file};type=text"], "'--form': the type of a file is not of the form"),
        (
            ["-F", "a=@{file};type=text/plain;charset=\0"],
            "'--form': type holds a control character",
        ),
        (["-F", "a=@{file};filename=x\ny"], "'--form': filename holds a control character"),
        (["-F", "a\nb=c"], "'--form': name holds a control character"),
        (["-F", "a=s3cret\udcff"], "'--form': a name or a text is not in UTF-8"),
        (["-F", "s3cret\udcff=b"], "'--form': a name or a text is not in UTF-8"),
        (["-F", "a=@{file};filename=s3cret\udcff"], "'--form': a name or a text is not in UTF-8"),
        (["--json", "[NaN]"], "'--json': this is not valid JSON: NaN is not a value of JSON"),
        (["--json", "-Infinity"], "'--json': this is not valid JSON: -Infinity is not a value"),
        (["-H", "X: s3cret\1"], "'--header': the value of X holds a control character"),
        (["-H", "Content-Length: 5"], "--header: Content-Length announces a body"),
        (["-H", "Host:"], "'--header': the field Host cannot be left out"),
        (["-H", "sec-websocket-key:"], "the field sec-websocket-key cannot be left out"),
        (["-b", "a=s3cret\1"], "'--cookie': the value of Cookie holds a control character"),
        (["-q", "a=s3cret\udcff"], "'--query': a value is not in UTF-8"),
        (["-u", "s3cret\udcff:s3cret"], "'--user': user or password is not in UTF-8"),
        (["--bearer", "s3cret\1"], "'--bearer': the value of Authorization holds a control"),
        (["--resolve", "a b:1:127.0.0.1"], "'--resolve': 'a b:1:127.0.0.1' is not of the form"),
        (["--unix-socket", ""], "'--unix-socket': the path is empty"),
        (["--cookie-jar", ""], "'--cookie-jar': the path is empty"),
        (["--cookie-jar", "{tmp}/none/jar"], "'--cookie-jar': {tmp}/none: No such file"),
        (["--cookie-jar", "{file}/jar"], "'--cookie-jar': {file}/jar: Not a directory"),
        (["-o", ""], "'--output': the path is empty"),
        (["-o", "{tmp}/none/file"], "--output: {tmp}/none: No such file or directory"),
        (["-o", "{file}/file"], "--output: {file}/file: Not a directory"),
        (["-o", "{link}"], "--output: {tmp}/none: No such file or directory"),
        (["-C", "-o", "{tmp}/none/file"], "--output: {tmp}/none: No such file or directory"),
        (["-C", "-o", os.devnull], f"--continue needs a regular file; {os.devnull} is none"),
        (["-O", "-H", "Range: bytes=1-"], "--header: a download sets Range by itself"),
        (["-O", "-H", "Accept-Encoding:"], "--header: a download sets accept-encoding by itself"),
        (["ws", "-p", ""], "'--protocol': '' is not the name of a subprotocol"),
        (["ws", "-p", "a,b"], "'--protocol': 'a,b' is not the name of a subprotocol"),
        (["ws", "-p", "a", "-p", "a"], "'--protocol': 'a' is offered twice"),
        (["sse", "--last-event-id", "a\nb"], "'--last-event-id': the value of Last-Event-ID"),
        (["sse", "--last-event-id", "\udcff"], "'--last-event-id': this cannot be the ID"),
        (["sse", "--last-event-id", 4097 * "a"], "'--last-event-id': this cannot be the ID"),
        (["bench", "-c", "10001"], "'--concurrency': 10001 is not in the range"),
    ],
)
def test_what_cannot_be_sent_or_saved(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, args: Sequence[str], problem: str
) -> None:
    """The message names the option, and shows nothing that may be a secret."""
    file, link = tmp_path / "file", tmp_path / "link"
    file.touch()
    link.symlink_to("none/file")
    values = {"file": file, "tmp": tmp_path, "link": link}
    said = refused(capsys, *(arg.format(**values) for arg in args), URL)
    assert problem.format(**values) in said
    assert "s3cret" not in said
    assert sorted(tmp_path.iterdir()) == [file, link]


@pytest.mark.parametrize(
    "args",
    [["-o", "{tmp}/file"], ["--cookie-jar", "{tmp}/file"], ["--download", "-o", "{tmp}"]],
)
def test_a_directory_that_may_not_be_written_to(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    args: Sequence[str],
) -> None:
    """A file that could not be made is not asked for."""
    may = os.access  # root may do everything
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK and may(path, mode))
    said = refused(capsys, *(arg.format(tmp=tmp_path) for arg in args), URL)
    assert said.endswith(f"{tmp_path}: Permission denied")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("args", [["-u", "a:b"], ["--bearer", "a"], ["-H", "Authorization: a"]])
def test_a_second_login(
    capsys: pytest.CaptureFixture[str], command: Sequence[str], args: Sequence[str]
) -> None:
    """The user in the URL is one, too."""
    said = refused(capsys, *command, *args, "http://u:s3cret@localhost/")
    assert said.endswith("a header field Authorization and the user in the URL")


@pytest.mark.parametrize("args", [["nothing"], ["ws", "sse"], ["http://localhost/"]])
def test_help_is_about_one_command(capsys: pytest.CaptureFixture[str], args: Sequence[str]) -> None:
    """The help of another command than the one that was asked for would mislead."""
    assert run(["help", *args]) == 2
    assert "takes the name of one command: bench, demo, sse, ws" in capsys.readouterr().err


def test_what_is_said_changes_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """A URL may be copied from anywhere; its control characters are shown as pictures."""
    said = refused(capsys, "ftp://\x1b[31mred\u202e/")
    assert "\x1b" not in said
    assert "\u202e" not in said


def test_without_an_end_is_a_number_of_seconds(peer: Peer, fetch: Fetch) -> None:
    """``--timeout inf`` sets no limit."""
    assert fetch("--timeout", "inf", peer.url)[:2] == (0, b"fine\n")


def test_bytes_of_another_charset_are_sent_as_they_are(peer: Peer, fetch: Fetch) -> None:
    """Fields and cookies may hold them; Python shows them as surrogates."""
    assert fetch("-H", "X: \udce9", "-b", "a=\udce9", peer.url)[0] == 0
    sent = peer.received[-1].headers
    assert [sent[name].encode("latin-1") for name in ("X", "Cookie")] == [b"\xe9", b"a=\xe9"]
