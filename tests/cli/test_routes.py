"""How the command reaches a server: proxies, TLS, HTTP/2."""

from __future__ import annotations

import ssl
import sys
from pathlib import Path

import pytest
import trustme

pytest.importorskip("click")
pytest.importorskip("h2")
pytest.importorskip("rich")
pytest.importorskip("trio")


from tests.support.command import COLOUR, POLITE, Fetch, Peer, Terminal
from tests.support.http2_server import Http2Server
from tests.support.proxies import Proxies
from tests.support.server import Server
from tests.support.tls import Authority


@pytest.mark.parametrize("scheme", ["http", "https", "socks4a", "socks5h"])
def test_a_proxy_is_gone_through(
    server: Server, tls_ca: Authority, proxies: Proxies, fetch: Fetch, tmp_path: Path, scheme: str
) -> None:
    """``-x`` names it, credentials included; TLS to the origin is verified behind it."""
    if scheme.startswith("socks"):
        pytest.importorskip("socksio", reason="socksio is not installed (anyhttp-client[socks])")
    (tmp_path / "ca.pem").write_bytes(tls_ca.ca_pem)
    proxy = proxies(scheme, login=("user", "secret"))
    through = ["--cacert", str(tmp_path / "ca.pem"), "-x"]
    status, out, err = fetch(str(server.https_url / "bytes/5"), *through, str(proxy.login_url))
    assert (status, out, err) == (0, bytes(range(5)), "")
    assert len(proxy.seen) == 1
    if scheme == "http":
        status, out, _ = fetch(str(server.url), *through, f"user:secret@localhost:{proxy.port}")
        assert (status, out) == (0, b"no such route")
        assert len(proxy.seen) == 2


def test_a_proxy_of_the_environment(
    server: Server, proxies: Proxies, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is gone through unless another one is named."""
    proxy, other = proxies("http"), proxies("http")
    monkeypatch.setenv("http_proxy", str(proxy.url))
    assert fetch(str(server.url / "json"))[0] == 0
    assert fetch(str(server.url / "json"), "--proxy", str(other.url))[0] == 0
    assert (len(proxy.seen), len(other.seen)) == (1, 1)


def test_a_proxy_that_refuses(server: Server, proxies: Proxies, fetch: Fetch) -> None:
    """The message is about the proxy, and shows no password."""
    proxy = proxies("http", login=("user", "secret"))
    url = proxy.url.with_user("user").with_password("wrong")
    status, out, err = fetch(str(server.https_url), "-x", str(url))
    assert (status, out) == (1, b"")
    assert err == "anyhttp: the proxy refuses: 407 Proxy Authentication Required\n"


def test_a_missing_extra_for_a_proxy_is_named(
    server: Server, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line says what to install."""
    monkeypatch.setitem(sys.modules, "socksio", None)
    status, _, err = fetch(str(server.url), "-x", "socks5h://localhost:1")
    assert status == 1
    assert err.count("\n") == 1
    assert "anyhttp-client[socks]" in err


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate, its key and its authority, in one file."""
    path = tmp_path_factory.mktemp("tls") / "all.pem"
    authority = trustme.CA()
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(path)
    authority.cert_pem.write_to_path(path, append=True)
    return path


def test_certificates_are_verified_unless_told_otherwise(
    peer: Peer, fetch: Fetch, certificate: Path
) -> None:
    """By default against the system's, with ``--cacert`` against those, with ``-k`` not at all."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    peer.socket = context.wrap_socket(peer.socket, server_side=True)
    url = f"https://{peer.address}/json"
    status, out, err = fetch(url)
    assert (status, out, err.count("\n")) == (1, b"", 1)
    assert fetch("--cacert", str(certificate), url) == (0, POLITE, "")
    assert fetch("-k", url) == (0, POLITE, "")


def test_http2(http2_server: Http2Server, tls_ca: Authority, fetch: Fetch, tmp_path: Path) -> None:
    """``--http2`` lets a server over TLS choose it, and the status line says whether it did."""
    authority = tmp_path / "ca.pem"
    authority.write_bytes(tls_ca.ca_pem)
    url = str(http2_server.https_url / "json")
    status, out, err = fetch("--http2", "-i", "--cacert", str(authority), url)
    assert (status, err) == (0, "")
    assert out.startswith(b"HTTP/2 200 OK\r\n")
    out = fetch("-i", "--cacert", str(authority), url)[1]
    assert out.startswith(b"HTTP/1.1 200 OK\r\n")


def test_http2_without_tls(http2_server: Http2Server, fetch: Fetch) -> None:
    """No server can choose it there, so the option is to know that it speaks it."""
    url = str(http2_server.url / "json")
    assert fetch("--http2", "-i", url)[1].startswith(b"HTTP/1.1 200 OK\r\n")
    out = fetch("--http2-prior-knowledge", "-i", url)[1]
    assert out.startswith(b"HTTP/2 200 OK\r\n")


def test_http2_on_a_terminal(http2_server: Http2Server, on_terminal: Terminal) -> None:
    """The status line is the same there."""
    url = str(http2_server.url / "json")
    shown = on_terminal("--http2-prior-knowledge", "-i", url)[1]
    assert COLOUR.sub(b"", shown).startswith(b"HTTP/2 200 OK\n")


def test_http2_needs_an_extra(monkeypatch: pytest.MonkeyPatch, fetch: Fetch) -> None:
    """Without it the message names it."""
    monkeypatch.setattr("anyhttp.connector._http2_mode.find_spec", lambda name: None)
    status, out, err = fetch("--http2", "https://localhost/")
    assert (status, out) == (1, b"")
    assert "pip install 'anyhttp-client[http2]'" in err
