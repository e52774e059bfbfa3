"""Starting the servers that ``test_servers`` talks to; each offers the routes of ``asgi_app``."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.real.asgi_app import LARGE, LINES
from tests.support.programs import free_port, program, running
from tests.support.tls import Authority

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Place:
    """Where a running server is."""

    url: str
    tls_url: str
    #: None for a server that listens on no Unix socket
    unix_path: str | None = None


@contextmanager
def directory(tls_ca: Authority) -> Iterator[Path]:
    """Make a directory that other users may read, with the certificate of the tests in it.

    Not pytest's, which is private, and whose path is too long for a Unix socket.
    """
    root = Path(tempfile.mkdtemp(prefix="anyhttp-"))
    root.chmod(0o755)
    (root / "certificate.pem").write_bytes(tls_ca.server_pem)
    (root / "key.pem").write_bytes(tls_ca.server_key_pem)
    try:
        yield root
    finally:
        shutil.rmtree(root)


# -- ASGI ------------------------------------------------------------------------------


@contextmanager
def hypercorn(root: Path) -> Iterator[Place]:
    """Hypercorn: pure Python, with h11 below."""
    port, tls_port, path = free_port(), free_port(), root / "socket"
    command: list[str | Path] = [
        sys.executable, "-m", "hypercorn",
        "--bind", f"127.0.0.1:{tls_port}",
        "--insecure-bind", f"127.0.0.1:{port}",
        "--insecure-bind", f"unix:{path}",
        "--certfile", root / "certificate.pem",
        "--keyfile", root / "key.pem",
        "asgi_app:app",
    ]  # fmt: skip
    with running(command, port, tls_port, path, cwd=HERE):
        yield Place(f"http://127.0.0.1:{port}", f"https://localhost:{tls_port}", str(path))


@contextmanager
def granian(root: Path) -> Iterator[Place]:
    """Granian: hyper, which is written in Rust, below; one process for each way to listen."""
    port, tls_port, path = free_port(), free_port(), root / "socket"
    base = [sys.executable, "-m", "granian", "--interface", "asgi", "--no-ws", "asgi_app:app"]
    tls = ["--ssl-certificate", root / "certificate.pem", "--ssl-keyfile", root / "key.pem"]
    with ExitStack() as stack:
        for listening, options in (
            (port, ["--port", str(port)]),
            (tls_port, ["--port", str(tls_port), *tls]),
            (path, ["--uds", path]),
        ):
            stack.enter_context(running([*base, *options], listening, cwd=HERE))
        yield Place(f"http://127.0.0.1:{port}", f"https://localhost:{tls_port}", str(path))


# -- HAProxy ---------------------------------------------------------------------------

HAPROXY = """
global
    maxconn 200
defaults
    mode http
    timeout connect 10s
    timeout client 30s
    timeout server 30s
frontend all
    bind 127.0.0.1:{port}
    bind 127.0.0.1:{tls_port} ssl crt {root}/certificate.pem alpn http/1.1
    bind {root}/front
    acl refused path /refused
    acl last path /close
    http-request return status 413 content-type text/plain string "too much" if refused
    http-request return content-type text/plain string bye hdr Connection close if last
    http-request wait-for-body time 20s if {{ req.hdr(expect) -m found }}
    filter compression
    compression algo gzip
    compression type application/json
    default_backend app
backend app
    http-request set-path /chunked if {{ path /packed }}
    server one 127.0.0.1:{origin}
"""


@contextmanager
def haproxy(root: Path) -> Iterator[Place]:
    """HAProxy in front of hypercorn."""
    command = program("haproxy", "haproxy")
    with hypercorn(root) as origin:
        port, tls_port = free_port(), free_port()
        config = root / "haproxy.cfg"
        config.write_text(
            HAPROXY.format(
                root=root, port=port, tls_port=tls_port, origin=origin.url.rpartition(":")[2]
            )
        )
        front = root / "front"
        with running([command, "-db", "-f", config], port, tls_port, front):
            yield Place(f"http://127.0.0.1:{port}", f"https://localhost:{tls_port}", str(front))


# -- Apache ----------------------------------------------------------------------------

APACHE = """
ServerRoot {root}
ServerName localhost
PidFile {root}/pid
ErrorLog {root}/error.log
DefaultRuntimeDir {root}
Mutex posixsem
Listen 127.0.0.1:{port}
Listen 127.0.0.1:{tls_port}
{modules}
<IfModule unixd_module>
    User {user}
    Group {group}
</IfModule>
DocumentRoot {root}/files
<Directory {root}>
    Require all granted
</Directory>
TypesConfig /dev/null
ForceType text/plain
<Files json>
    ForceType application/json
</Files>
<Location /packed>
    SetOutputFilter DEFLATE
</Location>
RewriteEngine on
RewriteRule ^/empty$ - [R=204]
SetEnvIf Request_URI ^/close$ nokeepalive
<Location /long-header>
    Header set X-Long {long}
</Location>
<Location /too-long-header>
    Header set X-Long {too_long}
</Location>
ScriptSock {root}/cgi.sock
ScriptAlias /chunked {root}/cgi/chunked
ScriptAlias /upload {root}/cgi/upload
ScriptAlias /refused {root}/cgi/upload
<Location /refused>
    LimitRequestBody 1000
</Location>
<VirtualHost 127.0.0.1:{tls_port}>
    SSLEngine on
    SSLCertificateFile {root}/certificate.pem
    SSLCertificateKeyFile {root}/key.pem
</VirtualHost>
"""
MODULES = (
    "mpm_event", "unixd", "authz_core", "mime", "dir", "alias", "rewrite", "setenvif", "headers",
    "filter", "deflate", "cgid", "ssl",
)  # fmt: skip
SCRIPTS = {
    "chunked": "printf 'Content-Type: application/json\\r\\n\\r\\n'; cat {root}/files/lines",
    "upload": 'printf \'Content-Type: application/json\\r\\n\\r\\n{{"sha256": "%s"}}\' '
    "$(sha256sum | cut -c1-64)",
}


@contextmanager
def apache(root: Path) -> Iterator[Place]:
    """Apache httpd, with static files and CGI."""
    command = program("apache2", "apache2-bin")
    library = Path("/usr/lib/apache2/modules")
    modules = "\n".join(
        f"LoadModule {name}_module {library}/mod_{name}.so"
        for name in MODULES
        if (library / f"mod_{name}.so").exists()  # some may be built in
    )
    files, cgi = root / "files", root / "cgi"
    files.mkdir()
    cgi.mkdir()
    for name, content in {
        "json": b'{"ok": true}',
        "large": LARGE,
        "packed": LARGE,
        "close": b"bye",
        "long-header": b"long",
        "too-long-header": b"too long",
        "lines": b"".join(LINES),
    }.items():
        (files / name).write_bytes(content)
    for name, script in SCRIPTS.items():
        (cgi / name).write_text("#!/bin/sh\n" + script.format(root=root))
        (cgi / name).chmod(stat.S_IRWXU | stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH)
    port, tls_port = free_port(), free_port()
    config = root / "apache.conf"
    config.write_text(
        APACHE.format(
            root=root,
            port=port,
            tls_port=tls_port,
            modules=modules,
            # it refuses to serve as root
            user="www-data" if os.geteuid() == 0 else f"#{os.geteuid()}",
            group="www-data" if os.geteuid() == 0 else f"#{os.getegid()}",
            long="a" * 6000,
            too_long="a" * 9000,
        )
    )
    with running([command, "-X", "-f", config], port, tls_port):
        yield Place(f"http://127.0.0.1:{port}", f"https://localhost:{tls_port}")
