"""The other end: nginx in a process of its own, and a Python server for the rest.

Where there is no nginx the Python server does everything.
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
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        listen 127.0.0.1:{tls_port} ssl backlog=4096;
        ssl_certificate certificate.pem;
        ssl_certificate_key key.pem;
        root files;
        location = /json {{ return 200 '{small}'; }}
    }}
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


def _find_nginx() -> str | None:
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


def _nginx_command(executable: str, directory: Path, ports: tuple[int, int]) -> list[str]:
    configuration = CONFIGURATION.format(port=ports[0], tls_port=ports[1], small=SMALL.decode())
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
    origins: tuple[str, str], python: str, checksums: tuple[int, int]
) -> dict[str, Resource]:
    """Describe what there is; *origins* are those of the faster server, without and with TLS."""
    small, large = checksums
    chunks = CHUNK * CHUNKS
    resources = {
        "chunks": Resource(f"{python}/chunks", len(chunks), zlib.crc32(chunks)),
        "upload": Resource(f"{python}/upload", LARGE_SIZE, large),
    }
    for prefix, origin in zip(("", "tls-"), origins, strict=True):
        resources[f"{prefix}json"] = Resource(f"{origin}/json", len(SMALL), small)
        resources[f"{prefix}100mb"] = Resource(f"{origin}/100mb", LARGE_SIZE, large)
    return resources


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
        if nginx := _find_nginx():
            ports = (free_port(), free_port())
            stack.enter_context(running(_nginx_command(nginx, directory, ports), ports, core))
            name = _nginx_name(nginx)
        origins = (f"http://127.0.0.1:{ports[0]}", f"https://127.0.0.1:{ports[1]}")
        upload = directory / "files" / "100mb"
        yield Server(name, _resources(origins, python, checksums), certificate, upload)


@dataclass(frozen=True, slots=True)
class SlowServer:
    """Servers that answer late, so that any client waits for each answer.

    :ivar ports: of those for ``plain`` HTTP, ``tls`` and ``websocket``
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
        yield SlowServer(names, str(certificate), str(upload))
