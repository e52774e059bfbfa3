"""A server for the tests of the command, and the ways to run the command there."""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Sequence
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple, Protocol

BACKENDS = ("asyncio", "trio")
COLOUR = re.compile(rb"\x1b\[[0-9;]*m")
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
# 6 kB, which take megabytes when they are indented.
DEEP = b"[" + b",".join([b"[" * 300 + b"]" * 300] * 10) + b"]"
POLITE = b'{"greeting": "hello", "n": [1, 2.50, null]}\n'
FILE = bytes(range(256)) * 40

Fetch = Callable[..., tuple[int, bytes, str]]
Talk = Callable[..., tuple[int, bytes, str]]

Terminal = Callable[..., tuple[int, bytes]]


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
        self.busy = 0
        self.cuts = 0
        self.disposition = ""
        self.around: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
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

    def reply_file(self, peer: Peer) -> None:
        """Answer with a file or the rest of it, or cut it off in the middle as *peer* says."""
        begin = int(self.headers.get("Range", "bytes=0-")[6:].partition("-")[0])
        end = 1 if self.headers.get("Range", "").endswith("-0") else len(FILE)
        fields = {"ETag": '"file"', "Content_Length": str(end - begin)}
        if peer.disposition:
            fields["Content_Disposition"] = peer.disposition
        if "Range" in self.headers:
            fields["Content_Range"] = f"bytes {begin}-{end - 1}/{len(FILE)}"
        is_cut = peer.cuts > 0 and end > 1
        peer.cuts -= is_cut
        rest = FILE[begin:end]
        self.reply(
            206 if "Range" in self.headers else 200, rest[:1000] if is_cut else rest, **fields
        )
        self.close_connection = is_cut

    def do_GET(self) -> None:
        peer = self.server
        assert isinstance(peer, Peer)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        peer.received.append(Received(self.command, self.path, self.headers, body))
        match self.path.partition("?")[0]:
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
            case "/elsewhere-with-cookie":
                self.reply(302, b"", Location=peer.elsewhere, Set_Cookie="a=1")
            case "/refused-with-cookie":
                self.reply(404, b"", Set_Cookie="a=1")
            case "/same-elsewhere":
                self.reply(307, b"", Location="/json")
            case "/busy" if peer.busy:
                peer.busy -= 1
                self.reply(503, b"busy\n", Content_Type="text/plain")
            case "/empty":
                self.reply(416 if "Range" in self.headers else 200, b"")
            case "/endless":
                self.reply(200, b"begun", Content_Length="1000000", ETag='"endless"')
                self.connection.recv(1)
                self.close_connection = True
            case path if path.startswith("/file"):
                with peer.around:
                    self.reply_file(peer)
            case "/moved":
                self.reply(302, b"moved\n", Location="/json")
            case "/cut":
                self.reply(200, b"half", Content_Length="8")
                self.close_connection = True
            case "/hang-up":
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


class Start(Protocol):
    """Starts the command in a process of its own."""

    def __call__(
        self, *args: str, python: Sequence[str] = ..., stdin: int | None = ..., stdout: int = ...
    ) -> subprocess.Popen[bytes]: ...


def closed_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


INTERRUPTIBLE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's "&" may have disabled it
{prelude}
from anyhttp._cli import main
main()
"""


def interrupt_when_stalled(peer: Peer) -> None:
    """Press Ctrl-C once the peer has seen the request that it never answers."""
    if peer.stalled.wait(10):
        os.kill(os.getpid(), signal.SIGINT)
