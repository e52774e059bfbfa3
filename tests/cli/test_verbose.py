"""``anyhttp --verbose URL``: what is sent and received, on stderr."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("click")
pytest.importorskip("h2")
pytest.importorskip("rich")
pytest.importorskip("trio")

from anyhttp import RetryMiddleware
from anyhttp._cli._verbose import masked
from tests.support.command import POLITE, Fetch, Peer, closed_port
from tests.support.http2_server import Http2Server
from tests.support.peer import CLOSE, Peer as ScriptedPeer
from tests.support.proxies import Proxies
from tests.support.server import Server
from tests.support.tls import Authority


def test_every_head_is_shown(peer: Peer, fetch: Fetch) -> None:
    """Those of redirects, too, in the order in which they are sent; the body goes to stdout."""
    status, out, err = fetch("-v", f"{peer.url}/moved", "-H", "X-A: b")
    assert (status, out) == (0, POLITE)
    lines = err.splitlines()
    assert lines[0] == f"* new connection to {peer.address}"
    assert lines[1:4] == ["> GET /moved HTTP/1.1", f"> Host: {peer.address}", "> X-A: b"]
    begin = lines.index("< HTTP/1.1 302 Found")
    assert lines[begin - 1] == "> "
    assert "< Location: /json" in lines[begin:]
    again = lines.index(f"* reusing the connection to {peer.address}")
    times = lines[again - 1]
    assert re.fullmatch(r"\* GET \S+/moved: connect [\d.]+ ms, first byte [\d.]+ ms", times)
    assert lines[again - 2] == "< "
    assert lines[again + 1] == "> GET /json HTTP/1.1"
    assert "< HTTP/1.1 200 OK" in lines[again:]
    times = lines[-1]
    assert re.fullmatch(r"\* GET \S+/json: first byte [\d.]+ ms, body [\d.]+ ms", times)


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("Authorization", "Basic c2VjcmV0", "Basic ***"),
        ("authorization", "secret", "***"),
        ("Authorization", 'Digest username="secret"', "Digest ***"),
        ("Proxy-Authorization", "Bearer secret", "Bearer ***"),
        ("Cookie", "a=secret; b=secret;c=secret", "a=***; b=***;c=***"),
        ("Cookie", "secret", "***"),
        ("Set-Cookie", "a=secret; Path=/; HttpOnly", "a=***; Path=/; HttpOnly"),
        ("Set-Cookie", "secret", "***"),
        ("Set-Cookie", "a=secret=secret", "a=***"),
        ("Cookie", "a=secret=secret; b=", "a=***; b=***"),
        ("X-Name", "a=b", "a=b"),
        ("Location", "http://u:p@ss@host/a@b?c=d", "http://***@host/a@b?c=d"),
        ("Location", "//token@host", "//***@host"),
        ("Location", "http://host/a@b", "http://host/a@b"),
        ("Refresh", "1; url=http://u:p@host/", "1; url=http://***@host/"),
    ],
)
def test_secrets_are_masked(name: str, value: str, shown: str) -> None:
    """The kind of a login and the names of cookies help to find a mistake, and stay."""
    assert masked(name, value) == shown


def test_no_secret_is_shown(server: Server, proxies: Proxies, fetch: Fetch) -> None:
    """Neither those that are sent, also to a proxy, nor those that come, nor those of a URL."""
    proxy = proxies("http", login=("ann", "hidden"))
    url = str(server.url.with_user("bob").with_password("hidden") / "cookies/set") + "?a=hidden"
    status, _, err = fetch("-v", url, "-b", "b=hidden", "-x", str(proxy.login_url))
    assert status == 0
    assert f"> GET {server.url}cookies/set?a=hidden HTTP/1.1" in err  # the line as it is sent
    for line in (
        f"* new connection to 127.0.0.1:{proxy.port}, the proxy, for 127.0.0.1",
        "> Authorization: Basic ***",
        "> Cookie: b=***",
        "> Proxy-Authorization: Basic ***",
        "< Set-Cookie: a=***; Path=/",
    ):
        assert line in err.splitlines()
    shown = err.replace("?a=hidden", "")
    assert "hidden" not in shown
    assert "Basic " not in shown.replace("Basic ***", "")


def test_tls_is_described(server: Server, tls_ca: Authority, fetch: Fetch, tmp_path: Path) -> None:
    """Version and cipher, and of a verified certificate whose it is and when it expires."""
    (tmp_path / "ca.pem").write_bytes(tls_ca.ca_pem)
    url = str(server.https_url / "json")
    _, _, err = fetch("-v", url, "--cacert", str(tmp_path / "ca.pem"))
    assert re.search(r"^\* TLS: TLSv1\.\d, \w+, ALPN: none$", err, re.MULTILINE)
    assert re.search(r"^\* certificate of .*trustme.*, issued by .*trustme", err, re.MULTILINE)
    assert re.search(r"^\* certificate expires on \w+ .* GMT$", err, re.MULTILINE)
    assert "certificate not verified" in fetch("-v", "-k", url)[2]


def test_the_version_is_that_of_the_connection(http2_server: Http2Server, fetch: Fetch) -> None:
    """Both heads say HTTP/2 if it is spoken."""
    _, _, err = fetch("-v", "-k", "--http2", str(http2_server.https_url / "json"))
    assert "ALPN: h2" in err
    assert "> GET /json HTTP/2\n" in err
    assert "< HTTP/2 200 OK\n" in err


def test_a_unix_socket_is_named(fetch: Fetch, server: Server) -> None:
    """There is no address and no port."""
    _, _, err = fetch("-v", "localhost/json", "--unix-socket", str(server.unix_path))
    assert err.startswith(f"* new connection to the Unix socket {server.unix_path} for localhost\n")


def test_what_is_shown_cannot_command_the_terminal(peer: Peer, fetch: Fetch) -> None:
    """Neither escapes nor characters that change the direction of writing."""
    _, _, err = fetch("-v", f"{peer.url}/backwards", "-H", "X-B: \u202e")
    assert "> X-B: \ufffd" in err.splitlines()
    assert "< HTTP/1.1 404 \ufffdgp\ufffd" in err.splitlines()
    assert "\u202e" not in err


def test_a_failure_comes_last(fetch: Fetch) -> None:
    """What was measured before it is shown, too."""
    address = f"127.0.0.1:{closed_port()}"
    status, _, err = fetch("-v", address)
    assert status == 1
    times, failure = err.splitlines()
    assert re.fullmatch(rf"\* GET http://{address}: connect [\d.]+ ms", times)
    assert failure.startswith("anyhttp: cannot connect")


def test_a_redirect_that_is_not_followed_has_no_times(peer: Peer, fetch: Fetch) -> None:
    """Nothing was sent any more."""
    _, _, err = fetch("-v", f"{peer.url}/again", "--max-redirects", "1")
    assert len(re.findall(r"^\* GET .* ms$", err, re.MULTILINE)) == 2
    assert err.count("\n* GET ") == 2


def test_each_attempt_is_shown(fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the response that it has brought, if any."""
    assert RetryMiddleware.__init__.__kwdefaults__ is not None
    monkeypatch.setitem(RetryMiddleware.__init__.__kwdefaults__, "random", lambda: 0.0)
    busy = b"HTTP/1.1 503 Later\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    last = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    scripted = ScriptedPeer([[(b"GET / ", busy), CLOSE], [(b"GET / ", CLOSE)], [(b"GET / ", last)]])
    try:
        status, _, err = fetch("-v", str(scripted.url), "--retry", "2")
    finally:
        scripted.stop()
    assert status == 0
    shown = [line for line in err.splitlines() if re.match("> GET|< HTTP|anyhttp: ", line)]
    assert [line[:8] for line in shown] == [
        "> GET / ", "< HTTP/1", "anyhttp:", "> GET / ", "anyhttp:", "> GET / ", "< HTTP/1",
    ]  # fmt: skip


def test_behind_a_tunnel_is_the_server(server: Server, proxies: Proxies, fetch: Fetch) -> None:
    """First comes how the proxy was asked for it, and what it has answered; then all is the
    server's: TLS, and a head without the login of the proxy.
    """
    proxy = proxies("http", login=("ann", "hidden"))
    status, _, err = fetch("-v", "-k", str(server.https_url / "json"), "-x", str(proxy.login_url))
    assert status == 0
    target = f"localhost:{server.https_url.port}"
    place = f"127.0.0.1:{proxy.port}, the proxy, for localhost"
    tunnel, begin, rest = err.partition(f"* new connection to {place}\n* TLS")
    assert begin
    assert tunnel.splitlines()[:4] == [
        f"* tunnel to {target} through the proxy {proxy.url}",
        f"> CONNECT {target} HTTP/1.1",
        f"> Host: {target}",
        "> Proxy-Authorization: Basic ***",
    ]
    assert re.search(r"^> \n< HTTP/1\.1 200 .*\n(?:< .+\n)*< \n\Z", tunnel, re.MULTILINE)
    assert "> GET /json HTTP/1.1\n" in rest
    assert "Proxy" not in rest


def test_a_refused_tunnel_is_shown(server: Server, proxies: Proxies, fetch: Fetch) -> None:
    """The answer of the proxy may tell how it wants to be asked."""
    proxy = proxies("http", login=("ann", "hidden"))
    status, _, err = fetch("-v", "-k", str(server.https_url / "json"), "-x", str(proxy.url))
    assert status == 1
    assert "\n< HTTP/1.1 407 " in err
    assert "\n< X-Proxy: yes\n" in err
    assert "anyhttp: the proxy refused the request: 407" in err
