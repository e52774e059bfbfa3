"""The other end: nginx in a process of its own, and a Python server for the rest.

Where there is no nginx the Python server does everything but HTTP/2.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import trustme

from .answers import CHUNK, CHUNKS, SMALL

LARGE_SIZE: Final = 100_000_000
UPLOAD_SIZE: Final = 10_000_000
PATIENCE: Final = 10.0

# One process and no privilege dropping, so that there is one process to pin to a core, and it
# can read the temporary directory.  Nothing is written but errors, to standard error.
CONFIGURATION: Final = """\
daemon off;
master_process off;
pid nginx.pid;
error_log stderr error;
events {{ worker_connections 16384; }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    default_type application/json;
    ssl_certificate certificate.pem;
    ssl_certificate_key key.pem;
    root files;
    {servers}
}}
"""

STATIC: Final = """\
server {{
        listen 127.0.0.1:{port} backlog=4096;
        listen 127.0.0.1:{tls_port} ssl backlog=4096;
        location = /json {{ return 200 '{small}'; }}
    }}
"""

# HTTP/2 over TLS, and HTTP/1.1 for those that offer no other.  What nginx itself does not do is
# done by the Python server behind it.  ``/connection`` tells a client what it speaks, on which
# connection, and the how manieth request there this one is.
HTTP2: Final = """\
upstream python {{
        server 127.0.0.1:{python};
        keepalive 1024;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port} ssl http2 backlog=4096;
        client_max_body_size 0;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_max_temp_file_size 0;
        location = /connection {{
            return 200 '$server_protocol $connection $connection_requests';
        }}
        location {passed_on} {{ proxy_pass http://python; }}
    }}
"""


@dataclass(frozen=True, slots=True)
class Resource:
    """A body the server sends, and how to recognise it."""

    url: str
    size: int
    checksum: int


@dataclass(frozen=True, slots=True)
class Server:
    """A running server.

    :ivar name: what it is, with its version
    :ivar resources: what it sends, by the names that workloads use
    :ivar certificate: file with the certificate to trust
    :ivar upload: a large file that the client may send
    """

    name: str
    resources: Mapping[str, Resource]
    certificate: Path
    upload: Path


def _write_certificate(directory: Path) -> Path:
    """Create the files that a server of TLS needs; return the one that a client needs."""
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    issued.private_key_pem.write_to_path(directory / "key.pem")
    issued.cert_chain_pems[0].write_to_path(directory / "certificate.pem")
    authority.cert_pem.write_to_path(directory / "authority.pem")
    return directory / "authority.pem"


def _write_files(directory: Path) -> tuple[int, int]:
    """Create the two files to serve; return their checksums."""
    directory.mkdir()
    (directory / "json").write_bytes(SMALL)
    block, checksum = os.urandom(1_000_000), 0
    with (directory / "100mb").open("wb") as file:
        for _ in range(LARGE_SIZE // len(block)):
            file.write(block)
            checksum = zlib.crc32(block, checksum)
    return zlib.crc32(SMALL), checksum


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def find_nginx() -> str | None:
    """Return the executable, or None where it is not installed."""
    # Most systems keep it out of the PATH of ordinary users.
    places = [os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"]
    return shutil.which("nginx", path=os.pathsep.join(places))


def _nginx_name(executable: str) -> str:
    banner = subprocess.run([executable, "-v"], capture_output=True, text=True, check=True).stderr
    version = re.search(r"nginx/(\S+)", banner)
    return f"nginx {version[1]}" if version else "nginx"


def _python_command(directory: Path, ports: tuple[int, int], delay: float) -> list[str]:
    module = f"{__package__}.python_server"
    return [sys.executable, "-m", module, str(directory), *map(str, (*ports, delay))]


def websocket_command(port: int, delay: float = 0.0) -> list[str]:
    """Return how the server of WebSockets is started."""
    return [sys.executable, "-m", f"{__package__}.ws_server", str(port), str(delay)]


def _nginx_command(executable: str, directory: Path, *servers: str) -> list[str]:
    configuration = CONFIGURATION.format(servers="    ".join(servers))
    (directory / "nginx.conf").write_text(configuration)
    return [executable, "-p", f"{directory}/", "-c", "nginx.conf", "-e", "stderr"]


def _wait_until_it_answers(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError(f"the server did not start: {process.args!r}")


@contextmanager
def running(command: Sequence[str], ports: Sequence[int], core: int | None) -> Iterator[None]:
    """Run one server process on *core* for the duration of the block."""
    root = Path(__file__).parent.parent
    with subprocess.Popen(command, cwd=root) as process:
        try:
            if core is not None:
                os.sched_setaffinity(process.pid, {core})
            for port in ports:
                _wait_until_it_answers(process, port)
            yield
        finally:
            process.terminate()


def _resources(
    origins: Mapping[str, str], python: str, checksums: tuple[int, int]
) -> dict[str, Resource]:
    """Describe what there is.

    :param origins: of the faster server, by what the names of its resources begin with
    """
    small, large = checksums
    chunks = CHUNK * CHUNKS
    resources = {
        "chunks": Resource(f"{python}/chunks", len(chunks), zlib.crc32(chunks)),
        "upload": Resource(f"{python}/upload", LARGE_SIZE, large),
    }
    for prefix, origin in origins.items():
        resources[f"{prefix}json"] = Resource(f"{origin}/json", len(SMALL), small)
        resources[f"{prefix}100mb"] = Resource(f"{origin}/100mb", LARGE_SIZE, large)
    if http2 := origins.get("http2-"):
        resources["http2-upload"] = Resource(f"{http2}/upload", LARGE_SIZE, large)
    return resources


def _origins(port: int, tls_port: int) -> dict[str, str]:
    return {"": f"http://127.0.0.1:{port}", "tls-": f"https://127.0.0.1:{tls_port}"}


@contextmanager
def serve(core: int | None) -> Iterator[Server]:
    """Run the servers on *core* (on any, if None) for the duration of the block.

    :raises RuntimeError: one does not start
    """
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="anyhttp-bench-")))
        certificate = _write_certificate(directory)
        checksums = _write_files(directory / "files")
        ports = (free_port(), free_port())
        stack.enter_context(running(_python_command(directory, ports, 0.0), ports, core))
        python = f"http://127.0.0.1:{ports[0]}"
        name = "the Python server of the benchmarks (nginx is not installed)"
        origins = _origins(*ports)
        if nginx := find_nginx():
            port, tls_port, http2_port = (free_port() for _ in range(3))
            static = STATIC.format(port=port, tls_port=tls_port, small=SMALL.decode())
            http2 = HTTP2.format(port=http2_port, python=ports[0], passed_on="/upload")
            command = _nginx_command(nginx, directory, static, http2)
            stack.enter_context(running(command, (port, tls_port, http2_port), core))
            name = _nginx_name(nginx)
            origins = {**_origins(port, tls_port), "http2-": f"https://127.0.0.1:{http2_port}"}
        upload = directory / "files" / "100mb"
        yield Server(name, _resources(origins, python, checksums), certificate, upload)


@dataclass(frozen=True, slots=True)
class SlowServer:
    """Servers that answer late, so that any client waits for each answer.

    :ivar ports: of those for ``plain`` HTTP, ``tls``, ``websocket``, and ``http2`` over TLS where
        nginx is installed
    :ivar certificate: file with the certificate to trust
    :ivar upload: a file of 10 MB that the client may send
    """

    ports: Mapping[str, int]
    certificate: str
    upload: str


@contextmanager
def serve_slowly(delay: float) -> Iterator[SlowServer]:
    """Run servers whose answers come after *delay* seconds, for the duration of the block.

    :raises RuntimeError: one does not start
    """
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="anyhttp-bench-")))
        certificate = _write_certificate(directory)
        (directory / "files").mkdir()
        upload = directory / "upload"
        upload.write_bytes(bytes(UPLOAD_SIZE))
        ports = (free_port(), free_port())
        stack.enter_context(running(_python_command(directory, ports, delay), ports, None))
        websocket = free_port()
        command = websocket_command(websocket, delay)
        stack.enter_context(running(command, (websocket,), None))
        names = {"plain": ports[0], "tls": ports[1], "websocket": websocket}
        if nginx := find_nginx():
            names["http2"] = free_port()
            http2 = HTTP2.format(port=names["http2"], python=ports[0], passed_on="/")
            command = _nginx_command(nginx, directory, http2)
            stack.enter_context(running(command, (names["http2"],), None))
        yield SlowServer(names, str(certificate), str(upload))
