"""Digest authentication with servers that nobody here wrote: Apache and Flask-HTTPAuth."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import tempfile
import threading
import wsgiref.simple_server
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from anyhttp import ClientSession, CookieJar, DigestAuthMiddleware, TCPConnector
from tests.support import census
from tests.support.programs import free_port, running

LOGIN, PASSWORD = "Jäger", 'a "password"'

APACHE = shutil.which("apache2", path=os.environ.get("PATH", "") + os.pathsep + "/usr/sbin")
MODULES = Path("/usr/lib/apache2/modules")
apache_is_here = pytest.mark.skipif(
    APACHE is None or not (MODULES / "mod_auth_digest.so").exists(),
    reason="Apache is not installed (Debian: apt-get install apache2)",
)
CONFIG = """
ServerRoot {root}
ServerName localhost
Listen 127.0.0.1:{port}
PidFile {root}/pid
ErrorLog {root}/error.log
DefaultRuntimeDir {root}
User nobody
Group nogroup
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authn_core_module {modules}/mod_authn_core.so
LoadModule authn_file_module {modules}/mod_authn_file.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule authz_user_module {modules}/mod_authz_user.so
LoadModule auth_digest_module {modules}/mod_auth_digest.so
DocumentRoot {root}/files
<Location />
    AuthType Digest
    AuthName "the realm, of this"
    AuthDigestProvider file
    AuthUserFile {root}/users
    Require valid-user
</Location>
<Location /space/>
    AuthDigestDomain /space/
</Location>
<Location /brief/>
    AuthDigestNonceLifetime 1
</Location>
"""


@pytest.fixture(scope="module")
def apache() -> Iterator[str]:
    """The URL of a running Apache."""
    with tempfile.TemporaryDirectory() as directory:
        yield from run_apache(Path(directory))


def run_apache(root: Path) -> Iterator[str]:
    """Run one in an empty directory."""
    root.chmod(0o755)  # its children may be another user's
    for directory in ("all", "space", "brief"):
        (root / "files" / directory).mkdir(parents=True)
        (root / "files" / directory / "a b").write_bytes(b"welcome")
    realm = "the realm, of this"
    key = hashlib.md5(f"{LOGIN}:{realm}:{PASSWORD}".encode()).hexdigest()
    (root / "users").write_text(f"{LOGIN}:{realm}:{key}\n", "utf-8")
    port = free_port()
    config = root / "apache.conf"
    config.write_text(CONFIG.format(root=root, port=port, modules=MODULES))
    assert APACHE is not None
    with running([APACHE, "-D", "FOREGROUND", "-f", config], port, logs=root):
        yield f"http://127.0.0.1:{port}/"


async def statuses(session: ClientSession, *paths: str) -> list[int]:
    """Ask for each of *paths* and return the statuses."""
    found = []
    for path in paths:
        async with session.get(path) as response:
            await response.read()
            found.append(response.status)
    return found


@apache_is_here
class TestApache:
    async def test_it_accepts_the_signatures(self, apache: str, http1: str) -> None:
        """Those of names that have to be quoted, for any path and query."""
        digest = DigestAuthMiddleware(LOGIN, PASSWORD)
        connector = TCPConnector(http1=http1)
        async with ClientSession(apache, connector=connector, middlewares=[digest]) as session:
            assert await statuses(session, "all/a b") == [200]
            assert await statuses(session, "space/a b?c=%2F&d", "all/a b", "space/a b") == [200] * 3

    async def test_it_refuses_others(self, apache: str) -> None:
        """Without a signature, or by another password, it says 401."""
        wrong = DigestAuthMiddleware(LOGIN, "wrong")
        async with ClientSession(apache) as session:
            assert await statuses(session, "space/a b") == [401]
            async with session.get("space/a b", middlewares=[wrong]) as response:
                assert response.status == 401

    async def test_it_says_that_a_nonce_is_stale(self, apache: str) -> None:
        """Then the request is signed once more, with the new one."""
        digest = DigestAuthMiddleware(LOGIN, PASSWORD)
        async with ClientSession(apache, middlewares=[digest]) as session:
            assert await statuses(session, "brief/a b") == [200]
            await anyio.sleep(2.1)  # there is no other way to make its clock go on
            assert await statuses(session, "brief/a b") == [200]

    async def test_many_requests_at_once(self, apache: str) -> None:
        """Each has a signature of its own."""
        digest = DigestAuthMiddleware(LOGIN, PASSWORD)
        found: list[int] = []

        async def ask() -> None:
            found.extend(await statuses(session, "space/a b", "space/a b"))

        async with ClientSession(apache, middlewares=[digest]) as session:
            async with anyio.create_task_group() as group:
                for _ in range(10):
                    group.start_soon(ask)
        assert found == [200] * 20


class Quiet(wsgiref.simple_server.WSGIRequestHandler):
    """Does not write to the terminal."""

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.mark.skipif(
    importlib.util.find_spec("flask_httpauth") is None,
    reason="Flask-HTTPAuth is not installed (pip install Flask-HTTPAuth)",
)
@pytest.mark.parametrize("algorithm", ["MD5", "MD5-Sess"])
async def test_flask_httpauth_accepts_the_signatures(algorithm: str) -> None:
    """It keeps the nonce in a cookie, which the 401 sets and the answer brings."""
    flask: Any = importlib.import_module("flask")
    flask_httpauth: Any = importlib.import_module("flask_httpauth")
    app = flask.Flask(__name__)
    app.secret_key = "secret"
    auth = flask_httpauth.HTTPDigestAuth(algorithm=algorithm, realm="flask")

    @auth.get_password  # type: ignore[untyped-decorator]  # it has no types
    def password_of(login: str) -> str | None:
        return PASSWORD if login == "ada" else None

    @app.route("/<path:path>", methods=["GET", "POST"])  # type: ignore[untyped-decorator]
    @auth.login_required  # type: ignore[untyped-decorator]
    def answer(path: str) -> str:
        return f"{path} {auth.username()} {len(flask.request.data)}"

    with census.lock:
        server = wsgiref.simple_server.make_server("127.0.0.1", 0, app, handler_class=Quiet)
        census.adopt(server.socket)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        digest = DigestAuthMiddleware("ada", PASSWORD)
        async with ClientSession(
            f"http://127.0.0.1:{server.server_port}/",
            middlewares=[digest],
            cookie_jar=CookieJar(unsafe=True),
        ) as session:
            for path in ("a", "b/c"):
                async with session.post(path, data=b"12345") as response:
                    assert await response.text() == f"{path} ada 5"
    finally:
        server.shutdown()
        thread.join()
        census.close(server.socket)
