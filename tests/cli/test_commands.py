"""The ``anyhttp`` command, from the outside wherever that is possible."""

from __future__ import annotations

import contextlib
import gzip
import importlib
import io
import json
import os
import re
import select
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import NamedTuple, Protocol

import anyio
import anyio.lowlevel
import pytest
import trustme

import anyhttp

pytest.importorskip("click")
pytest.importorskip("h2")
pytest.importorskip("rich")
pytest.importorskip("trio")

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, DataReceived, Event, StreamEnded
from rich.console import Console
from websockets.client import ClientProtocol
from websockets.protocol import State
from websockets.uri import parse_uri

from anyhttp._cli import _certificate, main
from anyhttp._cli._commands import run
from anyhttp._cli._demo import (
    Board,
    DemoContext,
    DemoFailure,
    cancel,
    check,
    count_sockets,
    find_leaks,
    reason,
    share_connection,
    time_out,
    use_tls,
)
from anyhttp._cli._demo_http2 import Http2Connection
from anyhttp._cli._demo_server import TABLE, DemoServer
from anyhttp._cli._run import exit_at_once, run as run_on
from anyhttp._cli._save import Target
from tests.support.canned import Canned
from tests.support.http2_probe import frames_of
from tests.support.http2_server import Http2Server
from tests.support.proxies import Proxies
from tests.support.server import Server
from tests.support.tls import Authority
from tests.support.waiting import DEADLINE, until_in_thread
from tests.support.websocket import TEXT, close, frame

BACKENDS = ("asyncio", "trio")
COLOUR = re.compile(rb"\x1b\[[0-9;]*m")
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
# 6 kB, which take megabytes when they are indented.
DEEP = b"[" + b",".join([b"[" * 300 + b"]" * 300] * 10) + b"]"
POLITE = b'{"greeting": "hello", "n": [1, 2.50, null]}\n'


class Received(NamedTuple):
    """One request as the peer saw it."""

    method: str
    path: str
    headers: Message
    body: bytes


class Peer(ThreadingHTTPServer):
    """A loopback server that remembers its requests."""

    daemon_threads = False  # closing the server waits for them

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.received: list[Received] = []
        self.stalled = threading.Event()
        self.stalls = True
        self.elsewhere = ""
        self.address = f"127.0.0.1:{self.server_port}"
        self.url = f"http://{self.address}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay quiet: half of these clients hang up on purpose."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet."""

    def reply(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response_only(status)
        for name, value in {"Content_Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self) -> None:
        peer = self.server
        assert isinstance(peer, Peer)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        peer.received.append(Received(self.command, self.path, self.headers, body))
        match self.path:
            case "/json":
                self.reply(200, POLITE, Content_Type="application/json")
            case "/problem":
                self.reply(200, POLITE, Content_Type="application/problem+json")
            case "/not-json":
                self.reply(200, b"[1, 2", Content_Type="application/json")
            case "/deep":
                self.reply(200, DEEP, Content_Type="application/json")
            case "/page":
                body = "<p>caf\xe9\r\nbell \x07, red \x1b[31m, over\rwritten".encode("latin-1")
                self.reply(200, body, Content_Type="text/html; charset=latin-1")
            case "/odd-charset":
                self.reply(200, "é".encode(), Content_Type="text/plain; charset=hex")
            case "/png":
                self.reply(200, PNG, Content_Type="image/png")
            case "/bytes":
                self.reply(200, b"\xff\xfe\xfd", Content_Type="application/octet-stream")
            case "/large":
                self.reply(200, b"0123456789abcdef" * 65536, Content_Type="text/plain")
            case "/gzip":
                self.reply(200, gzip.compress(POLITE), Content_Encoding="gzip")
            case "/backwards":
                # The base class writes Latin-1; the client reads UTF-8.
                text = "\u202egp\u2066".encode().decode("latin-1")
                self.wfile.write(f"HTTP/1.1 404 {text}\r\n".encode("latin-1"))
                self.send_header("X-Name", text)
                self.send_header("Content-Length", "0")
                self.end_headers()
            case "/missing":
                self.reply(404, b"no such thing\n", Content_Type="text/plain")
            case "/again":
                self.reply(302, b"", Location="/again")
            case "/elsewhere":
                self.reply(302, b"", Location=peer.elsewhere)
            case "/moved":
                self.reply(302, b"moved\n", Location="/json")
            case "/cut":
                self.reply(200, b"half", Content_Length="8")
                self.close_connection = True
            case "/nonsense":
                self.wfile.write(b"HTTP/1.1 two hundred\r\n\r\n")
                self.close_connection = True
            case "/stall" if peer.stalls:
                peer.stalled.set()
                self.connection.recv(1)  # until the client hangs up
                self.close_connection = True
            case "/drip":
                self.reply(200, b"begun", Content_Length="1000000")
                peer.stalled.set()
                self.connection.recv(1)
                self.close_connection = True
            case _:
                self.reply(200, b"fine\n", Content_Type="text/plain")

    do_POST = do_PUT = do_HEAD = do_GET  # noqa: N815 - the names are BaseHTTPRequestHandler's


@pytest.fixture
def peer() -> Iterator[Peer]:
    """A running server."""
    with Peer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep this machine's colours and proxies out of the tests, and this package in the path."""
    proxies = [f"{scheme}_proxy" for scheme in ("http", "https", "ws", "wss", "all", "no")]
    for name in ("NO_COLOR", "FORCE_COLOR", *proxies, *map(str.upper, proxies)):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", os.devnull)
    monkeypatch.setenv("PYTHONPATH", str(Path(anyhttp.__file__).parents[1]))


class Start(Protocol):
    """Starts the command in a process of its own."""

    def __call__(
        self, *args: str, python: Sequence[str] = ..., stdin: int | None = ..., stdout: int = ...
    ) -> subprocess.Popen[bytes]: ...


@pytest.fixture
def start() -> Iterator[Start]:
    """Start the command in a process of its own, which does not outlive the test."""
    with contextlib.ExitStack() as processes:

        def start(
            *args: str,
            python: Sequence[str] = ("-m", "anyhttp"),
            stdin: int | None = None,
            stdout: int = subprocess.PIPE,
        ) -> subprocess.Popen[bytes]:
            process = subprocess.Popen(
                [sys.executable, *python, *args],
                stdin=stdin,
                stdout=stdout,
                stderr=subprocess.PIPE,
            )
            processes.enter_context(process)
            processes.callback(process.kill)  # before waiting for it
            return process

        yield start


Fetch = Callable[..., tuple[int, bytes, str]]


@pytest.fixture(params=BACKENDS)
def fetch(request: pytest.FixtureRequest, capfdbinary: pytest.CaptureFixture[bytes]) -> Fetch:
    """Run the command line in this process: exit status, stdout, stderr."""

    def fetch(*args: str) -> tuple[int, bytes, str]:
        status = run([*args, "--backend", request.param])
        sys.stderr.flush()
        out, err = capfdbinary.readouterr()
        return status, out, err.decode()

    return fetch


Terminal = Callable[..., tuple[int, bytes]]


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Run the command line with a terminal for its output: exit status, what is shown."""
    pty = pytest.importorskip("pty", reason="no terminals here")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")

    def on_terminal(*args: str) -> tuple[int, bytes]:
        ours, theirs = pty.openpty()
        shown = bytearray()

        def read() -> None:
            try:
                while piece := os.read(ours, 65536):
                    shown.extend(piece)
            except OSError:  # how Linux reports that the other side is closed
                pass

        reader = threading.Thread(target=read)
        reader.start()
        with open(theirs, "w", encoding="utf-8") as terminal, monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", terminal)
            patch.setattr(sys, "stderr", terminal)
            status = run(args)
        reader.join()
        os.close(ours)
        return status, bytes(shown).replace(b"\r\n", b"\n")

    return on_terminal


# -- fetching


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


# -- secrets


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
    """On a terminal, without showing it; elsewhere the command line makes no sense."""
    assert fetch("-u", "user", peer.url)[0] == 2
    monkeypatch.setattr("click.termui.hidden_prompt_func", lambda prompt: "s3cret")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    status, out, err = fetch("-u", "user", peer.url)
    assert (status, out) == (0, b"fine\n")
    assert "s3cret" not in err
    assert peer.received[-1].headers["authorization"] == "Basic dXNlcjpzM2NyZXQ="


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
        assert run([*command, url]) == 1
    assert "s3cret" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--bearer", "@-", "-d", "-"], "standard input is for --bearer"),
        (["ws", "-u", "@-"], "standard input is for the messages"),
        (["-u", "@env:NO_SUCH_VARIABLE"], "no variable 'NO_SUCH_VARIABLE' in the environment"),
        (["--json", "@env:NO_SUCH_VARIABLE"], "no variable 'NO_SUCH_VARIABLE'"),
        (["-H", "@{tmp}/none"], "the file after '@': No such file or directory"),
        (["-H", "two", "words"], "a field is not of the form"),
        (["one", "more"], "2 arguments too many"),
        (["demo", "--backend", "asyncio"], "one argument too many"),
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


# -- redirects


def test_redirects_are_followed_up_to_a_limit(peer: Peer, fetch: Fetch) -> None:
    """``--max-redirects N`` follows N of them; with 0 the redirect itself is the answer."""
    assert fetch(f"{peer.url}/moved")[1] == POLITE
    assert fetch("--max-redirects", "1", f"{peer.url}/moved")[1] == POLITE
    assert fetch("--max-redirects", "0", f"{peer.url}/moved") == (0, b"moved\n", "")
    status, _, err = fetch("--max-redirects", "3", f"{peer.url}/again")
    assert (status, err) == (1, "anyhttp: more than 3 redirects\n")


# -- into a file


@pytest.mark.parametrize("scheme", ["http", "https", "socks4a", "socks5h"])
def test_a_proxy_is_gone_through(
    server: Server, tls_ca: Authority, proxies: Proxies, fetch: Fetch, tmp_path: Path, scheme: str
) -> None:
    """``-x`` names it, credentials included; TLS to the origin is verified behind it."""
    if scheme.startswith("socks"):
        pytest.importorskip("socksio", reason="socksio is not installed (anyhttp-client[socks])")
    (tmp_path / "ca.pem").write_bytes(tls_ca.ca_pem)
    proxy = proxies(scheme, login=("user", "secret"))
    through = ["--cacert", str(tmp_path / "ca.pem"), "-x"]
    status, out, err = fetch(str(server.https_url / "bytes/5"), *through, str(proxy.login_url))
    assert (status, out, err) == (0, bytes(range(5)), "")
    assert len(proxy.seen) == 1
    if scheme == "http":
        status, out, _ = fetch(str(server.url), *through, f"user:secret@localhost:{proxy.port}")
        assert (status, out) == (0, b"no such route")
        assert len(proxy.seen) == 2


def test_a_proxy_of_the_environment(
    server: Server, proxies: Proxies, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is gone through unless another one is named."""
    proxy, other = proxies("http"), proxies("http")
    monkeypatch.setenv("http_proxy", str(proxy.url))
    assert fetch(str(server.url / "json"))[0] == 0
    assert fetch(str(server.url / "json"), "--proxy", str(other.url))[0] == 0
    assert (len(proxy.seen), len(other.seen)) == (1, 1)


def test_a_proxy_that_refuses(server: Server, proxies: Proxies, fetch: Fetch) -> None:
    """The message is about the proxy, and shows no password."""
    proxy = proxies("http", login=("user", "secret"))
    url = proxy.url.with_user("user").with_password("wrong")
    status, out, err = fetch(str(server.https_url), "-x", str(url))
    assert (status, out) == (1, b"")
    assert err == "anyhttp: the proxy refuses: 407 Proxy Authentication Required\n"


def test_a_missing_extra_for_a_proxy_is_named(
    server: Server, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line says what to install."""
    monkeypatch.setitem(sys.modules, "socksio", None)
    status, _, err = fetch(str(server.url), "-x", "socks5h://localhost:1")
    assert status == 1
    assert err.count("\n") == 1
    assert "anyhttp-client[socks]" in err


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


# -- on a terminal


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
    """``NO_COLOR`` is honoured; see https://no-color.org."""
    monkeypatch.setenv("NO_COLOR", "1")
    _, shown = on_terminal(f"{peer.url}/not-json")
    assert shown == b"[1, 2\n"


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


# -- failures


def closed_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["http://127.0.0.1:{closed}/"], "Cannot connect to host 127.0.0.1:{closed}"),
        (["http:///path"], "not a proper URL: "),
        (["ftp://localhost/"], "not a URL of http, https, ws or wss: ftp://localhost/"),
        (
            ["{url}/", "-x", "localhost:{closed}"],
            "the proxy cannot be reached: Cannot connect through",
        ),
        (["{url}/cut"], ""),
        (["{url}/nonsense"], "not a proper HTTP response: "),
        (["{url}/stall", "--timeout", "0.2"], "no complete answer within 0.2 seconds"),
        (["{url}/", "-X", "NOT A METHOD"], ""),
        (["{url}/", "-H", "X: a\nb"], ""),
        (["{url}/", "-o", "{tmp}/missing/file"], "{tmp}/missing/file.part: No such file"),
    ],
)
def test_a_failure_is_one_line_and_status_1(
    peer: Peer, fetch: Fetch, tmp_path: Path, args: Sequence[str], message: str
) -> None:
    """No traceback: one line on stderr that begins with the program's name."""
    values = {"url": peer.url, "closed": closed_port(), "tmp": tmp_path}
    status, _, err = fetch(*(arg.format(**values) for arg in args))
    assert status == 1
    assert err.startswith(f"anyhttp: {message.format(**values)}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["--no-such-option", "http://localhost/"],
        ["-H", "no colon", "http://localhost/"],
        ["-H", ": no name", "http://localhost/"],
        ["-d", "@{tmp}/missing", "http://localhost/"],
        ["--json", "{{", "http://localhost/"],
        ["--json", "1", "-d", "1", "http://localhost/"],
        ["-k", "--cacert", "{tmp}/empty", "http://localhost/"],
        ["--cacert", "{tmp}/empty", "http://localhost/"],
        ["--timeout", "0", "http://localhost/"],
        ["--backend", "twisted", "http://localhost/"],
        ["-x", "ftp://localhost", "http://localhost/"],
        ["-x", "http://localhost:x", "http://localhost/"],
        ["demo", "http://localhost/"],
    ],
)
def test_misuse_is_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], args: Sequence[str]
) -> None:
    """A command line that makes no sense is answered with its usage; nothing is sent."""
    (tmp_path / "empty").touch()
    assert run([arg.format(tmp=tmp_path) for arg in args]) == 2
    assert capsys.readouterr().err.startswith("Usage: anyhttp ")


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    """Both say it on stdout and succeed."""
    assert run(["--help"]) == 0
    assert "anyhttp demo" in capsys.readouterr().out
    assert run(["--version"]) == 0
    assert re.fullmatch(r"anyhttp \d+\.\S+\n", capsys.readouterr().out)


def test_a_reader_that_leaves_is_no_error(peer: Peer, start: Start) -> None:
    """``anyhttp URL | head``: quiet, whatever is still to come."""
    process = start(f"{peer.url}/large")
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.read(3) == b"012"
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 1


@pytest.mark.parametrize("args", [["{url}/large"], ["demo"]])
def test_nobody_reads_from_the_start(
    peer: Peer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, args: list[str]
) -> None:
    """The first write fails; the status is 1 and stderr stays empty."""
    reading, writing = os.pipe()
    os.close(reading)
    stdout = open(writing, "w", encoding="utf-8")  # noqa: SIM115 - closing it may fail
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stdout)
        assert run([arg.format(url=peer.url) for arg in args]) == 1
    with contextlib.suppress(BrokenPipeError):
        stdout.close()
    assert capsys.readouterr().err == ""


def test_a_reader_that_leaves_the_demo_is_no_error(start: Start) -> None:
    """``anyhttp demo | head``: quiet, too."""
    process = start("demo")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 1


INTERRUPTIBLE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's "&" may have disabled it
{prelude}
from anyhttp._cli import main
main()
"""


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT for one process")
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("path", ["/stall", "/drip"])
def test_ctrl_c_leaves_at_once(
    peer: Peer, tmp_path: Path, backend: str, path: str, start: Start
) -> None:
    """Status 130, not a word, and no partial file: before the head and amid the body."""
    output = tmp_path / "file"
    process = start(
        f"{peer.url}{path}",
        "--backend",
        backend,
        "-o",
        str(output),
        python=["-c", INTERRUPTIBLE.format(prelude="")],
    )
    assert peer.stalled.wait(30)
    if path == "/drip":  # a sign that the body is being received
        part = output.with_name("file.part")
        until_in_thread(lambda: part.exists() or process.poll() is not None, "a part", seconds=30)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=10) == (b"", b"")
    assert process.returncode == 130
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT for one process")
@pytest.mark.parametrize("backend", BACKENDS)
def test_ctrl_c_does_not_wait_for_a_slow_reader(peer: Peer, backend: str, start: Start) -> None:
    """``anyhttp URL | less``: a pipe that is full holds up the output, not the leaving."""
    reading, writing = os.pipe()
    process = start(
        f"{peer.url}/large",
        "--backend",
        backend,
        python=["-c", INTERRUPTIBLE.format(prelude="")],
        stdout=writing,
    )
    until_in_thread(
        lambda: not select.select([], [writing], [], 0)[1] or process.poll() is not None,
        "the pipe to be full",
        seconds=30,
    )
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=10)[1] == b""
    assert process.returncode == 130
    os.close(reading)
    os.close(writing)


def interrupt_when_stalled(peer: Peer) -> None:
    """Press Ctrl-C once the peer has seen the request that it never answers."""
    if peer.stalled.wait(10):
        os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def handled_sigint() -> Iterator[None]:
    """Handle SIGINT as usual, even if these tests run in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT for one process")
@pytest.mark.usefixtures("handled_sigint")
def test_ctrl_c_cancels_the_request(peer: Peer, fetch: Fetch) -> None:
    """It is a cancellation like any other: the connection is closed behind it."""
    thread = threading.Thread(target=interrupt_when_stalled, args=(peer,))
    thread.start()
    assert fetch(f"{peer.url}/stall") == (130, b"", "")
    thread.join()


@pytest.mark.usefixtures("handled_sigint")
def test_ctrl_c_ends_the_line_on_a_terminal(peer: Peer, on_terminal: Terminal) -> None:
    """The terminal shows "^C"; what the shell says next goes below that."""
    thread = threading.Thread(target=interrupt_when_stalled, args=(peer,))
    thread.start()
    assert on_terminal(f"{peer.url}/stall") == (130, b"\n")
    thread.join()


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT for one process")
@pytest.mark.usefixtures("handled_sigint")
@pytest.mark.parametrize("backend", BACKENDS)
def test_ctrl_c_ends_the_demonstration(monkeypatch: pytest.MonkeyPatch, backend: str) -> None:
    """Neither the next step nor the verdict is shown."""

    class Output(io.StringIO):
        def write(self, text: str) -> int:
            if "JSON" in text:
                os.kill(os.getpid(), signal.SIGINT)
            return super().write(text)

    output = Output()
    monkeypatch.setattr(sys, "stdout", output)
    assert run(["demo", "--backend", backend]) == 130
    assert "JSON" in output.getvalue()
    assert "passed" not in output.getvalue()


@pytest.mark.usefixtures("handled_sigint")
def test_a_background_job_stays_deaf_to_ctrl_c() -> None:
    """A shell starts those with SIGINT ignored, and so it stays."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    async def work() -> int:
        await anyio.lowlevel.checkpoint()
        return int(signal.getsignal(signal.SIGINT) != signal.SIG_IGN)

    assert run_on(work, "asyncio", None) == 0


STUCK_LOOKUP = """
import socket, threading
def getaddrinfo(*args, **kwargs):
    if threading.current_thread() is threading.main_thread():
        raise socket.gaierror(socket.EAI_NONAME, "")  # trio asks first whether this is an address
    print("looking up", flush=True)
    threading.Event().wait()
socket.getaddrinfo = getaddrinfo
"""


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT for one process")
@pytest.mark.parametrize("backend", BACKENDS)
def test_ctrl_c_does_not_wait_for_a_name_lookup(backend: str, start: Start) -> None:
    """The system's resolver can't be interrupted; it is left behind in its thread."""
    process = start(
        "http://slow.example/",
        "--backend",
        backend,
        python=["-c", INTERRUPTIBLE.format(prelude=STUCK_LOOKUP)],
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == 130


@pytest.mark.parametrize(
    ("module", "result"),
    [
        ("click", "anyhttp: click is not installed; try: pip install 'anyhttp-client[cli]'"),
        ("rich.console", "anyhttp: rich is not installed; try: pip install 'anyhttp-client[cli]'"),
        ("trustme", "anyhttp: trustme is not installed; try: pip install 'anyhttp-client[cli]'"),
    ],
)
def test_a_missing_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, module: str, result: str
) -> None:
    """Without what it needs the command says in one line how to get it, and exits with 1."""
    without(monkeypatch, module)
    monkeypatch.setattr(sys, "argv", ["anyhttp", "demo"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == result  # which Python prints on stderr, exiting with 1


def test_another_missing_module_is_not_blamed_on_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken installation is shown as what it is."""
    without(monkeypatch, "anyhttp._cli._demo")
    with pytest.raises(ModuleNotFoundError):
        main()


def without(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    """Let the command be imported afresh, and *module* be missing."""
    for name in list(sys.modules):
        if name.startswith("anyhttp._cli."):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)


def test_ctrl_c_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Importing takes a moment, too; Ctrl-C then is status 130 as at any other time."""

    class Interrupted(ModuleType):
        def __getattr__(self, name: str) -> object:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "anyhttp._cli._commands", Interrupted("_commands"))
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 130


def test_the_exit_status_is_the_commands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``main`` takes the arguments of the process and exits."""
    monkeypatch.setattr(sys, "argv", ["anyhttp", "--version"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("anyhttp ")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("raised", "status"),
    [
        (KeyboardInterrupt(), 130),
        (BaseExceptionGroup("", [KeyboardInterrupt()]), 130),
        (BrokenPipeError(), 1),
        (BaseExceptionGroup("", [SystemExit(1)]), 1),
    ],
)
def test_every_way_of_being_ended_is_a_status(
    backend: str, raised: BaseException, status: int
) -> None:
    """Ctrl-C and a closed stdout may arrive in a group; leaving is prompt in each case."""
    left: list[int] = []

    async def work() -> int:
        raise raised

    assert run_on(work, backend, left.append) == status
    assert left == [status]


def test_a_cancelled_main_task_is_ctrl_c() -> None:
    """So asyncio reports it where no signal can be waited for, as on Windows."""

    async def work() -> int:
        raise anyio.get_cancelled_exc_class()

    assert run_on(work, "asyncio", None) == 130


def test_success_does_not_leave_in_a_hurry() -> None:
    """Only failures and Ctrl-C skip the end of the event loop."""

    async def work() -> int:
        return 0

    left: list[int] = []
    assert run_on(work, "asyncio", left.append) == 0
    assert left == []


def test_leaving_at_once_flushes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was printed is seen, as far as anyone still reads it."""
    statuses: list[int] = []
    monkeypatch.setattr(os, "_exit", statuses.append)
    reading, writing = os.pipe()
    os.close(reading)
    error = io.TextIOWrapper(io.BytesIO())
    error.write("said")
    broken = open(writing, "w", encoding="utf-8")  # noqa: SIM115 - closing it fails
    broken.write("lost")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", broken)
        patch.setattr(sys, "stderr", error)
        exit_at_once(3)
    with pytest.raises(BrokenPipeError):
        broken.close()
    assert statuses == [3]
    assert error.buffer.getvalue() == b"said"


def test_a_missing_backend_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``--backend trio`` without trio is a usage error that says how to get it."""
    monkeypatch.setitem(sys.modules, "trio", None)
    assert run(["--backend", "trio", "http://localhost/"]) == 2
    assert "pip install 'anyhttp-client[trio]'" in capsys.readouterr().err


def test_the_module_is_the_command(peer: Peer, start: Start) -> None:
    """``python -m anyhttp`` does what ``anyhttp`` does."""
    process = start("--json", "@-", peer.url, stdin=subprocess.PIPE)
    assert process.communicate(b"[1]") == (b"fine\n", b"")
    assert process.returncode == 0
    assert peer.received[-1].body == b"[1]"


def test_the_library_does_not_import_the_command(peer: Peer, start: Start) -> None:
    """``import anyhttp`` needs no extra, and the command only the backend it runs on."""
    code = """
import sys, anyhttp
assert not {"anyhttp._cli", "click", "rich"} & sys.modules.keys()
from anyhttp._cli._commands import run
run(sys.argv[1:])
assert "trio" not in sys.modules
"""
    process = start(peer.url, python=["-c", code])
    assert process.communicate() == (b"fine\n", b"")


# -- TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate, its key and its authority, in one file."""
    path = tmp_path_factory.mktemp("tls") / "all.pem"
    authority = trustme.CA()
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(path)
    authority.cert_pem.write_to_path(path, append=True)
    return path


def test_certificates_are_verified_unless_told_otherwise(
    peer: Peer, fetch: Fetch, certificate: Path
) -> None:
    """By default against the system's, with ``--cacert`` against those, with ``-k`` not at all."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    peer.socket = context.wrap_socket(peer.socket, server_side=True)
    url = f"https://{peer.address}/json"
    status, out, err = fetch(url)
    assert (status, out, err.count("\n")) == (1, b"", 1)
    assert fetch("--cacert", str(certificate), url) == (0, POLITE, "")
    assert fetch("-k", url) == (0, POLITE, "")


def test_http2(http2_server: Http2Server, tls_ca: Authority, fetch: Fetch, tmp_path: Path) -> None:
    """``--http2`` lets a server over TLS choose it, and the status line says whether it did."""
    authority = tmp_path / "ca.pem"
    authority.write_bytes(tls_ca.ca_pem)
    url = str(http2_server.https_url / "json")
    status, out, err = fetch("--http2", "-i", "--cacert", str(authority), url)
    assert (status, err) == (0, "")
    assert out.startswith(b"HTTP/2 200 OK\r\n")
    out = fetch("-i", "--cacert", str(authority), url)[1]
    assert out.startswith(b"HTTP/1.1 200 OK\r\n")


def test_http2_without_tls(http2_server: Http2Server, fetch: Fetch) -> None:
    """No server can choose it there, so the option is to know that it speaks it."""
    url = str(http2_server.url / "json")
    assert fetch("--http2", "-i", url)[1].startswith(b"HTTP/1.1 200 OK\r\n")
    out = fetch("--http2-prior-knowledge", "-i", url)[1]
    assert out.startswith(b"HTTP/2 200 OK\r\n")


def test_http2_on_a_terminal(http2_server: Http2Server, on_terminal: Terminal) -> None:
    """The status line is the same there."""
    url = str(http2_server.url / "json")
    shown = on_terminal("--http2-prior-knowledge", "-i", url)[1]
    assert COLOUR.sub(b"", shown).startswith(b"HTTP/2 200 OK\n")


def test_http2_needs_an_extra(monkeypatch: pytest.MonkeyPatch, fetch: Fetch) -> None:
    """Without it the message names it."""
    monkeypatch.setattr("anyhttp.connector._http2_mode.find_spec", lambda name: None)
    status, out, err = fetch("--http2", "https://localhost/")
    assert (status, out) == (1, b"")
    assert "pip install 'anyhttp-client[http2]'" in err


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> ssl.SSLObject:
    """Let two contexts shake hands in memory, and return the client's side."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for end in [*ends, *ends]:
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            pass
    return ends[0]


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_the_throw_away_certificate_verifies(name: str) -> None:
    """Both of its names pass a client that verifies strictly, as Python 3.13 does by default."""
    server, client = _certificate.throw_away_contexts()
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    assert client.verify_mode is ssl.CERT_REQUIRED
    connection = handshake(server, client, name)
    peer = connection.getpeercert()
    assert peer is not None
    assert peer["subjectAltName"] == (("DNS", "localhost"), ("IP Address", "127.0.0.1"))
    not_before, not_after = (parsedate(peer[field]) for field in ("notBefore", "notAfter"))
    now = datetime.now(UTC)
    assert now - timedelta(hours=2) < not_before < now
    assert now < not_after <= now + timedelta(days=1)


def parsedate(field: object) -> datetime:
    """Return a date of ``getpeercert()``."""
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(field)), UTC)


def test_the_throw_away_certificate_is_good_for_nothing_else() -> None:
    """Other names are refused, and so is another certificate of the same name."""
    server, client = _certificate.throw_away_contexts()
    with pytest.raises(ssl.SSLCertVerificationError, match="example"):
        handshake(server, client, "example.com")
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server, _certificate.throw_away_contexts()[1], "localhost")


def test_the_private_key_leaves_no_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The file that ``load_cert_chain`` needs is gone when the contexts are there."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    _certificate.throw_away_contexts()
    assert list(tmp_path.iterdir()) == []


# -- the demonstration


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_demonstration_passes(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every check holds, one line each, and the exit status says so."""
    assert run(["demo", "--backend", backend]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum("✓" in line or "ok" in line for line in lines) == 12
    assert lines[-1].startswith("all 12 checks passed in ")


def test_the_demonstration_runs_on_both_backends_and_a_terminal(on_terminal: Terminal) -> None:
    """Without ``--backend``: asyncio first, then trio, with a bar while the download runs."""
    status, shown = on_terminal("demo")
    assert status == 0
    plain = COLOUR.sub(b"", shown).decode()
    assert plain.index("asyncio") < plain.index("trio")
    assert "all 24 checks passed" in plain
    assert "━" in plain


def test_a_failed_check_fails_the_demonstration() -> None:
    """It is shown with its reason, out of its group, and the ones after it still run."""
    out = io.StringIO()
    board = Board(Console(file=out, width=100))

    async def bad() -> str:
        raise ExceptionGroup("outer", [ExceptionGroup("inner", [DemoFailure("3 bytes\ninstead")])])

    async def good() -> str:
        return "as [it] should be"

    async def both() -> None:
        with board:
            await board.step("first", bad)
            await board.step("second", good)

    anyio.run(both)
    assert board.summarize(1.0) == 1
    text = out.getvalue()
    assert "DemoFailure: 3 bytes instead\n" in text
    assert "as [it] should be\n" in text
    assert "1 of 2 checks failed in 1.0 s" in text


def test_a_demonstration_that_can_not_start_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a place for the temporary file there is no TLS to show: one line, status 1."""
    monkeypatch.setattr("tempfile.tempdir", "/no/such/place")
    assert run(["demo", "--backend", "asyncio"]) == 1
    assert capsys.readouterr().err.startswith("Error: FileNotFoundError: ")


@pytest.mark.parametrize("step", [time_out, cancel])
def test_an_answer_where_none_should_come_fails_the_check(
    peer: Peer, step: Callable[[DemoContext], Awaitable[str]]
) -> None:
    """The demonstration of a timeout and of a cancellation can fail."""
    peer.stalls = False

    async def run_step() -> None:
        server = DemoServer(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        server.url = peer.url  # where another one answers
        async with anyhttp.ClientSession(server.url) as session:
            trust = ssl.create_default_context()
            await step(DemoContext(server, session, trust, "", lambda done, total: None))

    with pytest.raises((DemoFailure, ExceptionGroup)) as caught:
        anyio.run(run_step)
    assert "DemoFailure: a stalled request was answered" in reason(caught.value)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_answer_over_http2_where_none_should_come_fails_the_check(backend: str) -> None:
    """So can that of a connection that is shared."""
    server_tls, trust = _certificate.throw_away_contexts()

    class Ready(DemoServer):
        def _answer(self, method: str, path: str) -> bytes:
            return b"{}"

    async def run_step() -> None:
        server = Ready(server_tls)
        async with anyio.create_task_group() as tasks:
            await tasks.start(server.serve)
            async with anyhttp.ClientSession() as session:
                demo = DemoContext(server, session, trust, "", lambda done, total: None)
                with pytest.raises(ExceptionGroup) as caught:
                    await share_connection(demo)
            assert reason(caught.value) == "DemoFailure: a stalled request was answered"
            tasks.cancel_scope.cancel()

    anyio.run(run_step, backend=backend)


def test_accepting_an_unknown_certificate_fails_the_check() -> None:
    """The demonstration of TLS can fail: here the session does not verify."""
    server_tls, trust = _certificate.throw_away_contexts()

    async def run_step() -> None:
        server = DemoServer(server_tls)
        async with anyio.create_task_group() as tasks:
            await tasks.start(server.serve)
            connector = anyhttp.TCPConnector(ssl=False)
            async with anyhttp.ClientSession(connector=connector) as session:
                with pytest.raises(DemoFailure, match="unknown certificate"):
                    await use_tls(DemoContext(server, session, trust, "", lambda done, total: None))
            tasks.cancel_scope.cancel()

    anyio.run(run_step)


def test_a_check_that_does_not_hold_says_what_was_seen() -> None:
    """The message is the observation."""
    check(True, "nothing")
    with pytest.raises(DemoFailure, match="3 bytes"):
        check(False, "3 bytes")


def test_sockets_are_counted_where_the_system_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more socket is one more; without ``/dev/fd``, as on Windows, nothing is claimed."""
    before = count_sockets()
    if before is not None:
        with socket.socket():
            assert count_sockets() == before + 1

    def no_such_directory(path: str) -> list[str]:
        raise FileNotFoundError(path)

    monkeypatch.setattr(os, "listdir", no_such_directory)
    assert count_sockets() is None


def test_a_socket_about_to_be_closed_is_no_leak() -> None:
    """A transport of asyncio is closed a moment before its socket is."""

    async def look() -> None:
        server = DemoServer(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        before = count_sockets()
        late = socket.socket()

        async def close_late() -> None:
            late.close()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(close_late)
            assert (await find_leaks(server, before)).startswith("0 connections closed")

    anyio.run(look)


def test_the_demonstration_compresses_only_on_request() -> None:
    """A client that does not offer gzip gets the table in the clear."""
    server_tls, _ = _certificate.throw_away_contexts()

    async def fetch_table() -> None:
        server = DemoServer(server_tls)
        async with anyio.create_task_group() as tasks:
            await tasks.start(server.serve)
            async with anyhttp.ClientSession(server.url) as session:
                async with session.get("/table", headers={"Accept-Encoding": "br"}) as response:
                    assert "Content-Encoding" not in response.headers
                    assert await response.json() == TABLE
            tasks.cancel_scope.cancel()

    anyio.run(fetch_table)


def http2_client() -> H2Connection:
    """A client that has nothing but its preface to send yet."""
    client = H2Connection(H2Configuration(header_encoding="utf-8"))
    client.initiate_connection()
    return client


def seen_over_http2(client: H2Connection, more: bytes = b"") -> tuple[list[Event], list[str]]:
    """Let the demonstration answer *client*, which closes then: what it sees, and the requests.

    :param more: bytes that are no more than bytes
    """
    stream, asked = Canned(client.data_to_send() + more), []

    def answer(method: str, path: str) -> bytes | None:
        asked.append(f"{method} {path}")
        return None if path == "/stall" else b"{}"

    def on_stall(change: int) -> None:
        asked.append(f"{change:+}")

    async def serve() -> None:
        with contextlib.suppress(anyio.EndOfStream):
            await Http2Connection(stream, answer, on_stall).serve()
        asked.append("end")

    anyio.run(serve)
    return client.receive_data(stream.sent), asked


def fields(method: str, path: str, **more: str) -> list[tuple[str, str]]:
    """The head of a request of HTTP/2."""
    pseudo = {"method": method, "scheme": "https", "authority": "a.test", "path": path, **more}
    return [(f":{name}", value) for name, value in pseudo.items()]


def test_the_server_of_the_demonstration_takes_bodies_over_http2() -> None:
    """A request is answered when its body has come, and not as a WebSocket would be."""
    client = http2_client()
    client.send_headers(1, fields("POST", "/upload"))
    client.send_data(1, b"body", end_stream=True)
    events, asked = seen_over_http2(client)
    assert asked == ["POST /upload", "end"]
    assert [each.data for each in events if isinstance(each, DataReceived)] == [b"{}"]
    assert isinstance(events[-1], StreamEnded)


def test_a_websocket_over_http2_ends_with_its_stream() -> None:
    """The server answers CLOSE, and ends its side of the stream when the client has ended its."""
    client = http2_client()
    websocket = ClientProtocol(parse_uri("wss://a.test/"), state=State.OPEN)
    websocket.send_text(b"hello")
    websocket.send_close(1000)
    client.send_headers(1, fields("CONNECT", "/websocket", protocol="websocket"))
    for piece in websocket.data_to_send():
        client.send_data(1, piece)
    client.end_stream(1)
    events, asked = seen_over_http2(client)
    assert asked == ["end"]
    sent = [each.data for each in events if isinstance(each, DataReceived)]
    assert sent == [frame(TEXT, b"hello"), close(1000), b""]
    assert isinstance(events[-1], StreamEnded)


def test_a_connection_that_ends_leaves_no_request_without_an_answer() -> None:
    """What the demonstration counts as stalled is over when its connection is."""
    client = http2_client()
    for number in (1, 3):
        client.send_headers(number, fields("GET", "/stall"), end_stream=True)
    assert seen_over_http2(client)[1] == ["GET /stall", "+1", "GET /stall", "+1", "-1", "-1", "end"]


def test_a_mistake_ends_the_connection_of_the_demonstration() -> None:
    """The client is told which one, by GOAWAY."""
    too_short = bytes([0, 0, 1, 8, 0, 0, 0, 0, 1, 0])  # WINDOW_UPDATE without a window
    events, asked = seen_over_http2(http2_client(), too_short)
    assert asked == ["end"]
    assert isinstance(events[-1], ConnectionTerminated)
    assert events[-1].error_code == ErrorCodes.FRAME_SIZE_ERROR


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_demonstration_hangs_up_after_a_mistake(backend: str) -> None:
    """Nothing that comes after it is taken for HTTP/1.1."""
    server_tls, trust = _certificate.throw_away_contexts()
    trust.set_alpn_protocols(["h2"])

    async def make_mistake() -> bytes:
        server = DemoServer(server_tls)
        async with anyio.create_task_group() as tasks:
            await tasks.start(server.serve)
            port = int(server.tls_url.rpartition(":")[2])
            async with await anyio.connect_tcp(
                "localhost", port, ssl_context=trust, tls_standard_compatible=False
            ) as stream:
                await stream.send(b"GET / HTTP/1.1\r\n\r\n" * 3)
                received = b""
                with contextlib.suppress(anyio.EndOfStream), anyio.fail_after(DEADLINE):
                    while True:
                        received += await stream.receive()
            tasks.cancel_scope.cancel()
        return received

    received = anyio.run(make_mistake, backend=backend)
    kinds = [type(each).__name__ for each in frames_of(received)]
    assert kinds == ["SettingsFrame"]  # and no answer


def test_importing_the_command_runs_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    """What lists the modules of a package may import ``anyhttp.__main__``, too."""
    module = importlib.import_module("anyhttp.__main__")
    assert module.main is main
    assert capfd.readouterr() == ("", "")
