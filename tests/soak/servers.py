"""The servers of a long run, each in a process of its own: the peer, nginx and squid.

nginx serves some routes itself and passes all others to the peer; squid stands before nginx.  What
is not installed is left out.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.programs import ROOT, find_program, free_port, running
from tests.support.tls import Authority

from .bodies import LARGE

NGINX: Final = """
daemon off;
master_process off;
pid {root}/nginx.pid;
error_log {root}/nginx-error.log;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    client_body_temp_path {root}/body;
    proxy_temp_path {root}/proxy;
    fastcgi_temp_path {root}/fastcgi;
    uwsgi_temp_path {root}/uwsgi;
    scgi_temp_path {root}/scgi;
    default_type application/octet-stream;
    ssl_certificate {root}/certificate.pem;
    ssl_certificate_key {root}/certificate.pem;
    upstream peer {{ server 127.0.0.1:{peer}; keepalive 32; }}
    map $http_upgrade $upgraded {{ default upgrade; "" ""; }}
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        keepalive_requests 300;
        include {root}/routes.conf;
    }}
    server {{
        # An HTTP/2 connection that nginx ends may break while bodies are on their way, which is
        # an error of those requests; the peer waits for them when it ends one.
        listen 127.0.0.1:{tls_port} ssl http2 backlog=1024;
        keepalive_requests 1000000000;
        include {root}/routes.conf;
    }}
}}
"""

ROUTES: Final = """
root {root}/files;
location = /small {{
    default_type application/json;
    add_header X-Id $arg_id;
    return 200 '{{"id": "$arg_id"}}';
}}
location = /static {{ add_header X-Id $arg_id; }}
location = /static-packed {{
    add_header X-Id $arg_id;
    gzip on;
    gzip_types *;
    gzip_comp_level 1;
    gzip_proxied any;
    rewrite .* /static break;
}}
location / {{
    client_max_body_size 0;
    proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $upgraded;
    proxy_buffering off;
    proxy_next_upstream off;
    proxy_pass http://peer;
}}
"""

SQUID: Final = """
http_port 127.0.0.1:{port}
pid_filename {root}/squid.pid
cache_log {root}/squid.log
access_log none
cache deny all
cache_mem 1 MB
coredump_dir {root}
shutdown_lifetime 0 seconds
http_access allow all
"""


@dataclass(frozen=True)
class Ports:
    """Where the servers are; 0 for one that is left out."""

    peer: int
    peer_tls: int
    nginx: int
    nginx_tls: int
    squid: int


class Servers:
    """Running servers, each of which can be restarted."""

    def __init__(self, root: Path) -> None:
        authority = Authority()
        root.chmod(0o755)  # squid gives up its rights
        (root / "certificate.pem").write_bytes(authority.server_pem)
        self.certificate = root / "ca.pem"
        self.certificate.write_bytes(authority.ca_pem)
        (root / "files").mkdir()
        (root / "files" / "static").write_bytes(bytes(range(250)) * (LARGE // 250))
        self._root = root
        nginx = find_program("nginx")
        squid = find_program("squid") if nginx else None
        self.ports = Ports(
            peer=free_port(),
            peer_tls=free_port(),
            nginx=free_port() if nginx else 0,
            nginx_tls=free_port() if nginx else 0,
            squid=free_port() if squid else 0,
        )
        self._commands = self._make_commands(nginx, squid)
        self._running: dict[str, ExitStack] = {}

    @property
    def names(self) -> list[str]:
        """Those that run."""
        return list(self._commands)

    @property
    def missing(self) -> list[str]:
        """Those that are not installed."""
        return [name for name in ("nginx", "squid") if name not in self._commands]

    def start(self, name: str) -> None:
        """Start one, and wait until it listens."""
        command, ports = self._commands[name]
        stack = self._running[name] = ExitStack()
        log = self._root / f"{name}-said.log"
        stack.enter_context(running(command, *ports, cwd=ROOT, logs=self._root, said=log))

    def stop(self, name: str) -> None:
        """End one at once."""
        self._running.pop(name).close()

    def stop_all(self) -> None:
        """End all."""
        for name in list(self._running):
            self.stop(name)

    def complaints(self) -> list[str]:
        """Return what the peer has found wrong with what clients sent."""
        return (self._root / "peer-said.log").read_text("utf-8").splitlines()

    def _make_commands(
        self, nginx: str | None, squid: str | None
    ) -> Mapping[str, tuple[list[str | Path], tuple[int, ...]]]:
        root, ports = self._root, self.ports
        peer: list[str | Path] = [
            sys.executable, "-m", "tests.soak.peer", root / "certificate.pem",
            str(ports.peer), str(ports.peer_tls),
        ]  # fmt: skip
        commands: dict[str, tuple[list[str | Path], tuple[int, ...]]]
        commands = {"peer": (peer, (ports.peer, ports.peer_tls))}
        if nginx:
            text = NGINX.format(
                root=root, peer=ports.peer, port=ports.nginx, tls_port=ports.nginx_tls
            )
            (root / "nginx.conf").write_text(text)
            (root / "routes.conf").write_text(ROUTES.format(root=root))
            (root / "nginx-error.log").touch()
            command: list[str | Path] = [
                nginx, "-c", root / "nginx.conf", "-p", root, "-e", root / "nginx-error.log"
            ]  # fmt: skip
            commands["nginx"] = (command, (ports.nginx, ports.nginx_tls))
        if squid:
            (root / "squid.conf").write_text(SQUID.format(root=root, port=ports.squid))
            commands["squid"] = ([squid, "-N", "-f", root / "squid.conf"], (ports.squid,))
        return commands


@contextmanager
def started(root: Path) -> Iterator[Servers]:
    """Run all servers for the duration of the block."""
    servers = Servers(root)
    try:
        for name in servers.names:
            servers.start(name)
        yield servers
    finally:
        servers.stop_all()
