"""The examples run as they stand, as scripts and on both backends, against a server on loopback.

``examples/test_examples.py`` tests them without one, as a user would.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support import websocket
from tests.support.jobs import FILES as JOBS

if TYPE_CHECKING:
    from tests.support.http2_server import Http2Server

EXAMPLES: Final = Path(__file__).parent.parent / "examples"

GREETING: Final = "200 application/json\n{'hello': 'world'}\n"
PRINTED: Final = {
    "answers": "200 5 euro\n200 {\"hello\": \"world\"}\n['GET /price', 'GET /']\n",
    "cache": "200 application/json 18\n" * 2,
    "chat": "hello\nhow are you\nbye\nclosed with 1000\n",
    "check_links": "0 links, 0 dead\n",  # tests/test_tutorial.py has a page with links
    "cookies": "[303] /me\nhello ada\n",
    "digest": "200 hello ada\n",
    "download": "1000000 bytes\n",
    "errors": (
        "the server said 404 Not Found b'nothing here'\n"
        "no connection to 127.0.0.1\n"
        "not sent: InvalidUrlClientError\n"
    ),
    "get": GREETING,
    "get_on_trio": GREETING,
    "many_at_once": "0, 1, 2, 3, 4, 5, 6, 7, 8, 9\n",
    "middlewares": "GET /token 200\nGET /private 200\nfor you\nGET /private 200\nfor you\n",
    "own_connector": "200 hello\nClientConnectorError\n",
    "own_resolver": "200 shop.test\n",
    "post_json": "201 /items?copies=2\n{'name': 'pencil', 'copies': 2}\n",
    "proxies": "http://example.test/ 200\nhttps://example.test/ refused by the proxy: 501\n",
    "timeouts": "timed out\ncancelled\nstill usable: 200\n",
    "tracing": (
        "first: GET / 200 on a new connection in less than a minute\n"
        "second: GET / 200 on a connection used before in less than a minute\n"
    ),
    "upload": "8890 bytes\n",
    "upload_tracker": "sent 8890 bytes\n",
}

HTTP2_PRINTED: Final = "4950 bytes by HTTP/2, 1 connection\n"


class Handler(BaseHTTPRequestHandler):
    """What the examples ask for: a few fixed answers."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/":
            self.answer(200, json.dumps({"hello": "world"}), "application/json")
        elif url.path == "/echo":
            self.answer(200, parse_qs(url.query)["number"][0])
        elif url.path == "/file":
            self.answer(200, "x" * 1_000_000, "application/octet-stream")
        elif url.path == "/me":
            self.answer(200, f"hello {self.headers['Cookie'].removeprefix('user=')}")
        elif url.path == "/private" or url.path == "/digest":
            self.answer_authorized(url.path)
        elif url.path == "/token":
            self.answer(200, "fresh")
        elif url.path == "/chat":
            self.chat()
        elif url.path == "/never":
            cast(Server, self.server).over.wait()
        else:
            self.answer(404, "nothing here")

    def answer_authorized(self, path: str) -> None:
        """Ask for a token, or a digest, and believe it if there is one."""
        given = self.headers.get("Authorization", "")
        if given == "Bearer fresh":
            self.answer(200, "for you")
        elif given.startswith('Digest username="ada", realm="examples"'):
            self.answer(200, "hello ada")
        else:
            scheme = "Bearer" if path == "/private" else 'Digest nonce="1", qop="auth",'
            challenge = f'{scheme} realm="examples"'
            self.answer(401, "who are you?", headers={"WWW-Authenticate": challenge})

    def chat(self) -> None:
        """Return what comes over a WebSocket, and close after "bye"."""
        head = "".join(f"\r\n{name}: {value}" for name, value in self.headers.items())
        self.wfile.write(websocket.Accept().data(head.encode()))
        while (came := websocket.take_frame(self)).opcode != websocket.CLOSE:
            self.wfile.write(websocket.frame(came.opcode, came.data))
            if came.data == b"bye":
                self.wfile.write(websocket.close(1000))
        self.close_connection = True

    def take(self, count: int) -> bytes:
        """Read exactly *count* bytes."""
        return self.rfile.read(count)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        url = urlsplit(self.path)
        if url.path == "/login":
            self.answer(303, "", headers={"Location": "/me", "Set-Cookie": "user=ada"})
        else:
            item = json.loads(body) | {"copies": int(parse_qs(url.query)["copies"][0])}
            self.answer(201, json.dumps(item), "application/json")

    def do_PUT(self) -> None:
        count = 0
        while size := int(self.rfile.readline(), 16):
            count += len(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        self.answer(200, f"{count} bytes")

    def answer(
        self,
        status: int,
        text: str,
        content_type: str = "text/plain",
        headers: dict[str, str] | None = None,
    ) -> None:
        body = text.encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep what the examples print free of the server's log."""


class Server(ThreadingHTTPServer):
    """Serves until it is closed; then lets go of the requests that it never answers."""

    daemon_threads = False  # so that closing waits for all of them: a stuck one is a failure

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.over = threading.Event()
        self.errors: list[BaseException] = []

    def handle_error(self, request: object, client_address: object) -> None:
        """Remember what went wrong, unless the client only went away."""
        error = sys.exception()
        if error is not None and not isinstance(error, ConnectionError):
            self.errors.append(error)


@pytest.fixture
def base_url() -> Iterator[str]:
    """The address of a server on loopback, which must not have failed in the end."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.over.set()
        server.shutdown()
        thread.join()
    assert not server.errors


def load(name: str) -> ModuleType:
    """Import one example from its file."""
    spec = importlib.util.spec_from_file_location(f"examples.{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_example_is_tested() -> None:
    """An example that nobody runs is soon wrong."""
    files = {path.stem for path in EXAMPLES.glob("*.py")}
    tests = {name for name in files if name.startswith("test_")}
    alone = {"api"}  # a service, which asks for nothing by itself
    of_http2 = {"http2"}  # which needs a server of its own
    assert files - tests - alone - of_http2 - set(JOBS) == PRINTED.keys()
    assert {f"test_{name}" for name in alone} < tests


@pytest.mark.parametrize("name", PRINTED)
async def test_an_example_works_on_both_backends(
    name: str, base_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing in ``main()`` depends on the backend, whichever the script starts."""
    main = cast(Callable[[str], Awaitable[None]], load(name).main)
    await main(base_url)
    assert capsys.readouterr().out == PRINTED[name]


async def test_that_of_http2_works_on_both_backends(
    http2_server: Http2Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """All requests share the connection."""
    await load("http2").main(str(http2_server.url))
    assert capsys.readouterr().out == HTTP2_PRINTED
    assert http2_server.http2_connections == 1


def test_that_of_http2_runs_as_a_script(http2_server: Http2Server, tmp_path: Path) -> None:
    """As the others do."""
    ended = run_as_scripts(["http2"], str(http2_server.url), tmp_path)
    assert ended == {"http2": (0, HTTP2_PRINTED, "")}


@pytest.mark.timeout(300)  # they run one after the other, which may take long on a busy machine
def test_the_examples_run_as_scripts(base_url: str, tmp_path: Path) -> None:
    """They end well, print what they should, and leave no warning behind."""
    ended = run_as_scripts(PRINTED, base_url, tmp_path)
    assert ended == {name: (0, printed, "") for name, printed in PRINTED.items()}


# Each script is a fork of one process, which has imported what they all import: that takes longest.
RUN_SCRIPTS: Final = """
import os, runpy, sys
import anyhttp, anyio._backends._asyncio
base_url, *scripts = sys.argv[1:]
for script in scripts:
    child = os.fork()
    if not child:
        for number, kind in ((1, "printed"), (2, "said")):
            name = os.path.basename(script) + "." + kind
            os.dup2(os.open(name, os.O_CREAT | os.O_WRONLY), number)
        sys.argv = [script, base_url]
        runpy.run_path(script, run_name="__main__")
        break
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(status, flush=True)
"""


def run_as_scripts(
    names: Iterable[str], base_url: str, folder: Path
) -> dict[str, tuple[int, str, str]]:
    """Run examples, each in a process of its own.

    :param folder: where what they print is kept
    :return: the status that each ended with, what it printed, and what it said besides
    """
    scripts = [EXAMPLES / f"{name}.py" for name in names]
    command: list[str | Path] = [
        sys.executable, "-X", "dev", "-W", "error", "-c", RUN_SCRIPTS, base_url, *scripts,
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(EXAMPLES.parent)}
    done = subprocess.run(
        command, cwd=folder, stdout=subprocess.PIPE, text=True, check=True, env=environment
    )
    ended = {}
    for script, status in zip(scripts, done.stdout.split(), strict=True):
        printed, said = (
            (folder / f"{script.name}.{kind}").read_text("utf-8") for kind in ("printed", "said")
        )
        # asyncio's debug mode also tells of slow steps, which a busy machine has.
        said = re.sub(r"(?m)^Executing <.*> took [\d.]+ seconds\n", "", said)
        ended[script.stem] = int(status), printed, said
    return ended
