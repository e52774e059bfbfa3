"""Starting the servers that ``test_http2`` talks to, each with HTTP/2 by ALPN and in clear text.

nginx, Apache and HAProxy stand in front of the tests' own server, and pass its answers on; the
others offer the same routes, as far as they can.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.real.servers import HERE
from tests.support.programs import free_port, program, running
from tests.support.routes import DOCUMENT


@dataclass(frozen=True, kw_only=True)
class Http2Place:
    """Where a running server is, and what it can do."""

    name: str
    tls_port: int
    #: speaks HTTP/2 in clear text to a client that begins with it
    clear_port: int
    #: what is at /json
    document: object = field(default_factory=lambda: DOCUMENT, repr=False)
    #: whether the response to /trailers has some
    has_trailers: bool = False
    #: whether it says 100 Continue to a request that asks for it
    continues: bool = True
    #: whether there are the routes of an application, and not only files
    has_routes: bool = True


def ports() -> tuple[int, int]:
    """Return a port for TLS and one for clear text."""
    return free_port(), free_port()


# -- ASGI ------------------------------------------------------------------------------


@contextmanager
def hypercorn(root: Path, _: int) -> Iterator[Http2Place]:
    """Hypercorn, with the library h2 below."""
    tls_port, port = ports()
    command: list[str | Path] = [
        sys.executable, "-m", "hypercorn",
        "--bind", f"127.0.0.1:{tls_port}",
        "--insecure-bind", f"127.0.0.1:{port}",
        "--certfile", root / "certificate.pem",
        "--keyfile", root / "key.pem",
        "http2_app:app",
    ]  # fmt: skip
    with running(command, port, tls_port, cwd=HERE):
        yield Http2Place(
            name="hypercorn",
            continues=False,
            tls_port=tls_port,
            clear_port=port,
            document={"ok": True},
            has_trailers=True,
        )


@contextmanager
def granian(root: Path, _: int) -> Iterator[Http2Place]:
    """Granian, with hyper below; one process for each way to listen."""
    tls_port, port = ports()
    base = [sys.executable, "-m", "granian", "--interface", "asgi", "--no-ws", "http2_app:app"]
    tls: list[str | Path] = [
        "--ssl-certificate",
        root / "certificate.pem",
        "--ssl-keyfile",
        root / "key.pem",
    ]
    with ExitStack() as stack:
        for listening, options in ((port, []), (tls_port, tls)):
            command: list[str | Path] = [*base, "--port", str(listening), *options]
            stack.enter_context(running(command, listening, cwd=HERE))
        yield Http2Place(
            name="granian",
            tls_port=tls_port,
            clear_port=port,
            document={"ok": True},
            continues=False,
        )


# -- Node ------------------------------------------------------------------------------


@contextmanager
def node(root: Path, _: int) -> Iterator[Http2Place]:
    """Node's http2, with the library nghttp2 below."""
    tls_port, port = ports()
    command: list[str | Path] = [
        program("node", "nodejs"),
        HERE / "http2_server.mjs",
        str(port),
        str(tls_port),
        root / "certificate.pem",
    ]
    with running(command, port, tls_port):
        yield Http2Place(
            name="node",
            tls_port=tls_port,
            clear_port=port,
            document={"ok": True},
            has_trailers=True,
        )


# -- nghttpd ---------------------------------------------------------------------------


@contextmanager
def nghttpd(root: Path, _: int) -> Iterator[Http2Place]:
    """The server of nghttp2: files, and uploads that come back; padded frames and trailers."""
    tls_port, port = ports()
    files = root / "files"
    (files / "bytes").mkdir(parents=True)
    (files / "json").write_text(json.dumps(DOCUMENT))
    (files / "trailers").write_text("with trailers")
    for size in (1, 1000, 16_384, 65_535, 100_000, 5_000_000):
        content = (bytes(range(256)) * (size // 256 + 1))[:size]
        (files / "bytes" / str(size)).write_bytes(content)
    command: list[str | Path] = [
        program("nghttpd", "nghttp2-server"),
        *("-a", "127.0.0.1", "--htdocs", files, "--echo-upload"),
        *("--trailer", "x-sum: 42", "--padding", "50"),
    ]
    with ExitStack() as stack:
        stack.enter_context(running([*command, "--no-tls", str(port)], port))
        pem = root / "certificate.pem"
        stack.enter_context(running([*command, str(tls_port), pem, pem], tls_port))
        yield Http2Place(
            name="nghttpd",
            tls_port=tls_port,
            clear_port=port,
            has_trailers=True,
            has_routes=False,
        )


# -- those in front of the tests' own server -------------------------------------------

NGINX = """
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
    client_max_body_size 0;
    keepalive_requests 5000;
    ssl_certificate {root}/certificate.pem;
    ssl_certificate_key {root}/certificate.pem;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_request_buffering off;
    server {{
        listen 127.0.0.1:{tls_port} ssl http2;
        listen 127.0.0.1:{port} http2;
        location / {{ proxy_pass http://127.0.0.1:{origin}; proxy_redirect default; }}
        location /refused {{
            client_max_body_size 1000;
            proxy_pass http://127.0.0.1:{origin}/upload;
        }}
    }}
    server {{
        listen 127.0.0.1:{few_port} ssl http2;
        http2_max_concurrent_streams 3;
        keepalive_requests 10;
        location / {{ proxy_pass http://127.0.0.1:{origin}; }}
    }}
}}
"""


@dataclass(frozen=True, kw_only=True)
class Nginx(Http2Place):
    """Nginx has a second server, with three streams at a time and ten requests a connection."""

    few_port: int


@contextmanager
def nginx(root: Path, origin: int) -> Iterator[Nginx]:
    """Nginx: it ends a connection with GOAWAY, and answers early."""
    command = program("nginx", "nginx")
    (tls_port, port), few_port = ports(), free_port()
    config = root / "nginx.conf"
    config.write_text(
        NGINX.format(root=root, tls_port=tls_port, port=port, few_port=few_port, origin=origin)
    )
    listening = (tls_port, port, few_port)
    with running([command, "-c", config, "-p", root], *listening, logs=root):
        yield Nginx(
            name="nginx",
            continues=False,
            tls_port=tls_port,
            clear_port=port,
            few_port=few_port,
        )


HAPROXY = """
global
    maxconn 500
defaults
    mode http
    timeout connect 10s
    timeout client 30s
    timeout server 30s
frontend all
    bind 127.0.0.1:{tls_port} ssl crt {root}/certificate.pem alpn h2,http/1.1
    bind 127.0.0.1:{port}
    default_backend origin
backend origin
    server one 127.0.0.1:{origin}
"""


@contextmanager
def haproxy(root: Path, origin: int) -> Iterator[Http2Place]:
    """HAProxy: it takes the preface of HTTP/2 on any port."""
    command = program("haproxy", "haproxy")
    tls_port, port = ports()
    config = root / "haproxy.cfg"
    config.write_text(HAPROXY.format(root=root, tls_port=tls_port, port=port, origin=origin))
    with running([command, "-db", "-f", config], port, tls_port):
        yield Http2Place(name="haproxy", tls_port=tls_port, clear_port=port)


APACHE = """
ServerRoot {root}
ServerName localhost
PidFile {root}/pid
ErrorLog {root}/error.log
DefaultRuntimeDir {root}
Mutex posixsem
Listen 127.0.0.1:{tls_port}
Listen 127.0.0.1:{port}
{modules}
<IfModule unixd_module>
    User {user}
    Group {group}
</IfModule>
Protocols h2 h2c http/1.1
ProxyPass / http://127.0.0.1:{origin}/
ProxyPassReverse / http://127.0.0.1:{origin}/
<VirtualHost 127.0.0.1:{tls_port}>
    SSLEngine on
    SSLCertificateFile {root}/certificate.pem
    SSLCertificateKeyFile {root}/key.pem
    ProxyPass / http://127.0.0.1:{origin}/
    ProxyPassReverse / http://127.0.0.1:{origin}/
</VirtualHost>
"""
MODULES = ("mpm_event", "unixd", "authz_core", "proxy", "proxy_http", "http2", "ssl")


@contextmanager
def apache(root: Path, origin: int) -> Iterator[Http2Place]:
    """Apache httpd with mod_http2."""
    command = program("apache2", "apache2-bin")
    library = Path("/usr/lib/apache2/modules")
    tls_port, port = ports()
    config = root / "apache.conf"
    config.write_text(
        APACHE.format(
            root=root,
            tls_port=tls_port,
            port=port,
            origin=origin,
            modules="\n".join(
                f"LoadModule {name}_module {library}/mod_{name}.so"
                for name in MODULES
                if (library / f"mod_{name}.so").exists()  # some may be built in
            ),
            # it refuses to serve as root
            user="www-data" if os.geteuid() == 0 else f"#{os.geteuid()}",
            group="www-data" if os.geteuid() == 0 else f"#{os.getegid()}",
        )
    )
    with running([command, "-X", "-f", config], port, tls_port, logs=root):
        yield Http2Place(name="apache", tls_port=tls_port, clear_port=port)
