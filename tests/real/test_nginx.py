"""Against nginx: a server that nobody here wrote.  Debian's package ``nginx`` brings it."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest

from anyhttp import BaseConnector, BasicAuth, ClientSession, TCPConnector, UnixConnector
from tests.support.programs import free_port, running
from tests.support.server import Server
from tests.support.tls import Authority

NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + os.pathsep + "/usr/sbin")
pytestmark = pytest.mark.skipif(
    NGINX is None, reason="nginx is not installed (Debian: apt-get install nginx)"
)

LARGE = 3_000_000
CONFIG = """
daemon off;
master_process off;
pid {root}/pid;
error_log {root}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {root}/body;
    proxy_temp_path {root}/proxy;
    fastcgi_temp_path {root}/fastcgi;
    uwsgi_temp_path {root}/uwsgi;
    scgi_temp_path {root}/scgi;
    client_max_body_size 1m;
    server {{
        listen 127.0.0.1:{port};
        listen 127.0.0.1:{tls_port} ssl;
        listen unix:{root}/nginx.sock;
        ssl_certificate {root}/certificate.pem;
        ssl_certificate_key {root}/certificate.pem;
        root {root}/files;
        location = /json {{ default_type application/json; return 200 '{{"ok": true}}'; }}
        location = /moved {{ return 301 /json; }}
        location = /missing {{ return 404 "no"; }}
        location /packed {{
            gzip on;
            gzip_types *;
            rewrite .* /large.txt break;
        }}
        location = /few {{ keepalive_requests 2; return 200 "few"; }}
        location = /close {{ keepalive_timeout 0; return 200 "bye"; }}
        location /files/ {{
            root {root};
            client_max_body_size 0;
            dav_methods PUT DELETE;
            gzip on;
            gzip_types *;
            gzip_min_length 1000;
        }}
        location /private/ {{
            auth_basic "tests";
            auth_basic_user_file {root}/passwords;
            rewrite .* /large.txt break;
        }}
        location /buffered/ {{
            client_max_body_size 0;
            proxy_pass http://127.0.0.1:{upstream}/;
        }}
        location /unbuffered/ {{
            client_max_body_size 0;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_request_buffering off;
            proxy_buffering off;
            proxy_pass http://127.0.0.1:{upstream}/;
        }}
        location /limited/ {{ proxy_pass http://127.0.0.1:{upstream}/; }}
        location /rarely/ {{
            client_max_body_size 0;
            keepalive_requests 3;
            proxy_pass http://127.0.0.1:{upstream}/;
        }}
    }}
}}
"""


@dataclass(frozen=True)
class Nginx:
    """Where the running server is."""

    url: str
    tls_url: str
    unix_path: str
    ca_file: Path


@pytest.fixture(scope="module")
def nginx(
    tls_ca: Authority, server_of_session: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Nginx]:
    """A running nginx, with TLS by the test authority, in front of the tests' own server."""
    root = tmp_path_factory.mktemp("nginx")
    (root / "files").mkdir()
    (root / "files" / "large.txt").write_bytes(b"0123456789" * (LARGE // 10))
    (root / "certificate.pem").write_bytes(tls_ca.server_pem)
    (root / "ca.pem").write_bytes(tls_ca.ca_pem)
    (root / "passwords").write_text("user:{PLAIN}pass word\n")
    port, tls_port = free_port(), free_port()
    config = root / "nginx.conf"
    upstream = server_of_session.url.port
    config.write_text(CONFIG.format(root=root, port=port, tls_port=tls_port, upstream=upstream))
    assert NGINX is not None
    path = root / "nginx.sock"
    with running([NGINX, "-c", config, "-p", root], port, tls_port, path, logs=root):
        yield Nginx(
            f"http://127.0.0.1:{port}/",
            f"https://localhost:{tls_port}/",
            str(path),
            root / "ca.pem",
        )


async def test_one_connection_carries_many_requests(nginx: Nginx, http1: str) -> None:
    """RFC 9112 §9.3: nginx keeps the connection, and so does the client."""
    async with ClientSession(nginx.url, connector=TCPConnector(http1=http1)) as session:
        for _ in range(5):
            async with session.get("json") as response:
                assert await response.json() == {"ok": True}
        assert session.connector is not None
        assert session.connector.statistics().idle == 1


async def test_a_server_that_ends_keep_alive_is_followed(nginx: Nginx, http1: str) -> None:
    """Nginx closes after ``keepalive_requests``, or at once; no request notices."""
    async with ClientSession(nginx.url, connector=TCPConnector(http1=http1)) as session:
        for path in ("few", "few", "few", "close", "close", "few"):
            async with session.get(path) as response:
                assert response.status == 200


async def test_a_large_file_arrives_plain_and_packed(nginx: Nginx, http1: str) -> None:
    """With a length, and compressed in chunks."""
    async with ClientSession(nginx.url, connector=TCPConnector(http1=http1)) as session:
        async with session.get("large.txt") as response:
            assert response.content_length == LARGE
            plain = await response.read()
        async with session.get("packed") as response:
            assert response.headers["Content-Encoding"] == "gzip"
            assert response.headers["Transfer-Encoding"] == "chunked"
            packed = await response.read()
        async with session.get("packed", auto_decompress=False) as response:
            raw = await response.read()
    assert plain == packed == gzip.decompress(raw)


async def test_tls_is_verified(nginx: Nginx, http1: str, tls_ca: Authority) -> None:
    """A certificate of the authority that the context trusts is accepted."""
    connector = TCPConnector(ssl=tls_ca.client, http1=http1)
    async with ClientSession(nginx.tls_url, connector=connector) as session:
        for _ in range(3):
            async with session.get("large.txt") as response:
                assert len(await response.read()) == LARGE
        assert connector.statistics().idle == 1


async def test_a_unix_socket_answers(nginx: Nginx, http1: str) -> None:
    """The host of the URL is only a name then."""
    connector = UnixConnector(nginx.unix_path, http1=http1)
    async with (
        ClientSession("http://nginx/", connector=connector) as session,
        session.get("moved") as response,
    ):
        assert await response.json() == {"ok": True}
        assert [past.status for past in response.history] == [301]


# -- up and down, in every way ---------------------------------------------------------

CONTENT = bytes(range(251)) * 20_000  # about 5 MB
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(params=["plain", "tls", "unix"])
async def session(
    request: pytest.FixtureRequest, nginx: Nginx, http1: str, tls_ca: Authority
) -> AsyncIterator[ClientSession]:
    """A session whose relative URLs are those of nginx, by one of the ways to it."""
    url = nginx.tls_url if request.param == "tls" else nginx.url
    connector: BaseConnector = TCPConnector(http1=http1, ssl=tls_ca.client)
    if request.param == "unix":
        connector = UnixConnector(nginx.unix_path, http1=http1)
    async with ClientSession(url, connector=connector, raise_for_status=True) as session:
        yield session


async def content() -> AsyncIterator[bytes]:
    """Be a body of unknown length, in pieces of odd sizes."""
    size = 1
    position = 0
    while position < len(CONTENT):
        yield CONTENT[position : position + size]
        position += size
        size = size * 2 % 300_000 + 1


@pytest.mark.parametrize("proxy", ["buffered", "unbuffered"])
@pytest.mark.parametrize("body", ["file", "chunks", "announced", "expected", "compressed"])
async def test_an_upload_through_a_proxy(
    session: ClientSession, body: str, proxy: str, tmp_path: Path
) -> None:
    """Every byte arrives behind nginx, and the connection is kept."""
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    for _ in range(2):
        options: dict[str, Any] = {"data": content()}
        if body == "file":
            options = {"data": path.open("rb")}
        elif body == "announced":
            options["headers"] = {"Content-Length": str(len(CONTENT))}
        elif body == "expected":
            options["expect100"] = True
        elif body == "compressed":
            options["compress"] = "gzip"
        if body == "compressed":
            async with session.post(f"{proxy}/echo-body", **options) as response:
                assert gzip.decompress(await response.read()) == CONTENT
        else:
            async with session.post(f"{proxy}/upload", **options) as response:
                assert await response.json() == {"length": len(CONTENT), "sha256": DIGEST}
    assert session.connector is not None
    assert session.connector.statistics().idle == 1


@pytest.mark.parametrize("proxy", ["buffered", "unbuffered"])
async def test_a_download_through_a_proxy(session: ClientSession, proxy: str) -> None:
    """With a length, and in chunks that nginx makes or passes on."""
    for _ in range(2):
        async with session.get(f"{proxy}/bytes/3000000") as response:
            pieces = [piece async for piece in response.content.iter_chunked(100_000)]
        assert b"".join(pieces) == (bytes(range(256)) * (3_000_000 // 256 + 1))[:3_000_000]
        async with session.get(f"{proxy}/stream/2000") as response:
            lines = [line async for line in response.content]
        assert lines == [b'{"id": %d}\n' % number for number in range(2000)]
    assert session.connector is not None
    assert session.connector.statistics().idle == 1


async def test_a_file_goes_up_and_comes_down(session: ClientSession) -> None:
    """Stored by nginx itself; whole, compressed on the way, in part, and gone."""
    async with session.put("files/content", data=content()) as response:
        assert response.status in {201, 204}
    async with session.get("files/content") as response:
        assert response.headers["Content-Encoding"] == "gzip"
        assert await response.read() == CONTENT
    async with session.get("files/content", headers={"Accept-Encoding": "identity"}) as response:
        assert response.content_length == len(CONTENT)
        assert await response.read() == CONTENT
    headers = {"Range": "bytes=1000-1999", "Accept-Encoding": "identity"}
    async with session.get("files/content", headers=headers) as response:
        assert (response.status, await response.read()) == (206, CONTENT[1000:2000])
    async with session.head("files/content") as response:
        assert (response.status, await response.read()) == (200, b"")
    async with session.delete("files/content") as response:
        assert response.status == 204
    async with session.get("files/content", raise_for_status=False) as response:
        assert response.status == 404


async def test_connection_close_is_followed(session: ClientSession) -> None:
    """RFC 9112 §9.6: whichever side says it, the connection is not used again."""
    connector = session.connector
    assert connector is not None
    async with session.get("json", headers={"Connection": "close"}) as response:
        assert response.headers["Connection"] == "close"
        assert await response.json() == {"ok": True}
    assert connector.statistics().idle == 0
    async with session.post("close", data=content(), raise_for_status=False) as response:
        await response.read()
    async with session.get("json") as response:
        assert await response.json() == {"ok": True}
    assert connector.statistics().idle == 1


async def test_uploads_outlive_the_limit_of_requests(session: ClientSession) -> None:
    """Nginx ends a connection after its third request; none is lost, none is sent twice."""
    for _ in range(8):
        async with session.post("rarely/upload", data=content()) as response:
            assert (await response.json())["sha256"] == DIGEST


async def test_many_at_once(session: ClientSession, server: Server) -> None:
    """Up and down beside each other, over fewer connections than requests."""
    done: list[str] = []

    async def up_and_down() -> None:
        async with session.post("unbuffered/upload", data=content()) as response:
            done.append((await response.json())["sha256"])
        async with session.get("buffered/bytes/100000") as response:
            assert len(await response.read()) == 100_000

    async with anyio.create_task_group() as group:
        for _ in range(12):
            group.start_soon(up_and_down)
    assert done == [DIGEST] * 12
    assert len(server.requests) == 24


async def test_credentials(session: ClientSession) -> None:
    """RFC 7617, as nginx reads it; a wrong password is a 401."""
    for auth, status in (
        (BasicAuth("user", "pass word"), 200),
        (BasicAuth("user", "wrong"), 401),
        (None, 401),
    ):
        async with session.get("private/", auth=auth, raise_for_status=False) as response:
            assert response.status == status
    assert response.headers["WWW-Authenticate"] == 'Basic realm="tests"'


@pytest.mark.parametrize("how", ["announced", "chunks", "expected"])
async def test_an_upload_that_is_too_large(session: ClientSession, how: str) -> None:
    """413, whenever nginx notices, and the session goes on."""
    options: dict[str, Any] = {"data": content()}
    if how == "announced":
        options["headers"] = {"Content-Length": str(len(CONTENT))}
    elif how == "expected":
        options |= {"expect100": True, "headers": {"Content-Length": str(len(CONTENT))}}
    async with session.post("limited/upload", raise_for_status=False, **options) as response:
        assert response.status == 413
    async with session.get("json") as response:
        assert await response.json() == {"ok": True}


async def test_a_refused_upload_still_answers(nginx: Nginx, http1: str) -> None:
    """Nginx refuses by its length a body that it does not want, and closes."""

    async def body() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b"x" * 65536

    async with (
        ClientSession(nginx.url, connector=TCPConnector(http1=http1)) as session,
        session.post("json", data=body(), headers={"Content-Length": str(64 * 65536)}) as response,
    ):
        assert response.status == 413


def test_the_command_fetches_over_tls(nginx: Nginx) -> None:
    """``anyhttp https://…`` prints the body, and refuses a certificate it does not know."""
    command = [sys.executable, "-m", "anyhttp", nginx.tls_url + "json"]
    trusted = subprocess.run(
        [*command, "--cacert", str(nginx.ca_file)], capture_output=True, timeout=60, check=False
    )
    assert (trusted.returncode, trusted.stdout) == (0, b'{"ok": true}')
    unknown = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert unknown.returncode == 1
    assert unknown.stdout == b""
    assert len(unknown.stderr.splitlines()) == 1
