"""How the command reaches a server: proxies, TLS, HTTP/2."""

from __future__ import annotations

import socket
import ssl
import sys
import threading
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

pytest.importorskip("click")
pytest.importorskip("h2")
pytest.importorskip("rich")
pytest.importorskip("trio")

from anyhttp._cli._commands import run
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
    assert err == (
        "anyhttp: the proxy refused the request: 407 Proxy Authentication Required; "
        "--proxy takes a URL with user and password\n"
    )


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


def test_a_chosen_address_is_connected_to(server: Server, fetch: Fetch) -> None:
    """``--resolve`` gives that of a host, whose name is not looked up, for one port alone."""
    url = server.url.with_host("shop.example.test") / "json"
    chosen = ["--resolve", f"Shop.example.test:{url.port}:127.0.0.1"]
    status, _, err = fetch(*chosen, "--resolve", "other.test:80:[::1]", str(url))
    assert (status, err) == (0, "")
    assert fetch("ws", *chosen, str(url))[0] == 1  # it is no WebSocket
    assert server.requests == ["GET /json", "GET /json"]
    elsewhere = str(server.url.with_host("localhost") / "json")
    status, _, err = fetch("--resolve", "localhost:1:192.0.2.1", elsewhere)
    assert (status, err) == (0, "")  # others are looked up as always


def test_a_chosen_address_is_for_a_name_in_any_script(server: Server, fetch: Fetch) -> None:
    """The name may be written as the URL has it, or as DNS knows it."""
    url = server.url.with_host("b\u00fccher.test") / "json"
    for name in ("B\u00fccher.test", "xn--bcher-kva.test"):
        assert fetch("--resolve", f"{name}:{url.port}:127.0.0.1", str(url))[::2] == (0, "")


@pytest.mark.parametrize("address", ["::1", "[::1]"])
def test_a_chosen_address_may_be_ipv6(fetch: Fetch, address: str) -> None:
    """With or without the brackets that URLs need."""
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:  # pragma: no cover
        pytest.skip("no IPv6 here")

    def answer() -> None:
        with listener, listener.accept()[0] as client:
            client.recv(65536)
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nsix")

    thread = threading.Thread(target=answer)
    thread.start()
    port = listener.getsockname()[1]
    chosen = f"six.example.test:{port}:{address}"
    assert fetch("--resolve", chosen, f"http://six.example.test:{port}/") == (0, b"six", "")
    thread.join()


@pytest.mark.parametrize(
    "value",
    ["", "host", "host:80", ":80:127.0.0.1", "host:http:127.0.0.1", "host:0:127.0.0.1",
     "host:65536:127.0.0.1", "host:80:localhost", "host:80:", "host:80:[::1"],
)  # fmt: skip
def test_a_wrong_address_is_status_2(capsys: pytest.CaptureFixture[str], value: str) -> None:
    """The message says what it should look like."""
    for command in [[], ["ws"]]:
        assert run([*command, "--resolve", value, "http://127.0.0.1:1/"]) == 2
        assert "HOST:PORT:ADDRESS" in " ".join(capsys.readouterr().err.split())


def test_a_proxy_looks_names_up_by_itself(server: Server, proxies: Proxies, fetch: Fetch) -> None:
    """The address is that of the proxy, if it is the proxy that is chosen one for."""
    proxy = proxies("http")
    url = str(server.url / "json")
    there = f"http://proxy.example.test:{proxy.port}"
    chosen = ["--resolve", f"proxy.example.test:{proxy.port}:127.0.0.1"]
    assert fetch("-x", there, *chosen, url)[0] == 0
    assert len(proxy.seen) == 1


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")
def test_a_unix_socket_is_connected_to(
    server: Server, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The URL says what is asked for there; a proxy of the environment is not for that."""
    for name in ("http_proxy", "ws_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    there = ["--unix-socket", server.unix_path]
    status, out, err = fetch(*there, "http://service/bytes/5")
    assert (status, out, err) == (0, bytes(range(5)), "")
    assert fetch("ws", *there, "service/json")[0] == 1  # it is no WebSocket
    assert server.requests == ["GET /bytes/5", "GET /json"]


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")
def test_a_unix_socket_that_nobody_listens_on(fetch: Fetch, tmp_path: Path) -> None:
    """The message names it."""
    path = tmp_path / "none"
    for command in [[], ["ws"]]:
        status, out, err = fetch(*command, "--unix-socket", str(path), "localhost")
        assert (status, out, err.count("\n")) == (1, b"", 1)
        assert str(path) in err


@pytest.mark.parametrize("others", [["-x", "localhost:1"], ["--resolve", "h:1:127.0.0.1"]])
def test_a_unix_socket_excludes_other_ways(
    capsys: pytest.CaptureFixture[str], others: list[str]
) -> None:
    """There is nothing that they could be for."""
    for command in [[], ["ws"]]:
        assert run([*command, "--unix-socket", "/none", *others, "http://localhost/"]) == 2
        assert "--unix-socket cannot be used with" in capsys.readouterr().err


@pytest.fixture
def asking(peer: Peer, tls_ca: Authority, tmp_path: Path) -> list[str]:
    """Let the peer ask for a certificate; return the options to trust it, and its URL."""
    context = tls_ca.server_for("127.0.0.1")
    context.verify_mode = ssl.CERT_REQUIRED
    tls_ca.trust(context)
    peer.socket = context.wrap_socket(peer.socket, server_side=True)
    (tmp_path / "ca.pem").write_bytes(tls_ca.ca_pem)
    return ["--cacert", str(tmp_path / "ca.pem"), f"https://{peer.address}/json"]


def test_a_certificate_is_shown_to_a_server_that_asks(
    tls_ca: Authority, fetch: Fetch, tmp_path: Path, asking: list[str]
) -> None:
    """``--cert`` names it, with its key or beside ``--key``; without one the server refuses."""
    client = tls_ca.issue("client")
    both, certificate, key = tmp_path / "both", tmp_path / "cert", tmp_path / "key"
    client.private_key_and_cert_chain_pem.write_to_path(both)
    client.cert_chain_pems[0].write_to_path(certificate)
    client.private_key_pem.write_to_path(key)
    assert fetch("--cert", str(both), *asking) == (0, POLITE, "")
    assert fetch("--cert", str(certificate), "--key", str(key), *asking) == (0, POLITE, "")
    insecure = ["-k", *asking[2:], "--cert", str(both)]
    assert fetch(*insecure) == (0, POLITE, "")  # it is shown to a server that is not verified, too
    secure = asking[2].replace("https", "wss")
    status, _, err = fetch("ws", "--cert", str(both), *asking[:2], secure)
    assert (status, "(200)" in err) == (1, True)  # it is no WebSocket, but it has answered
    status, out, err = fetch(*asking)
    assert (status, out, err.count("\n")) == (1, b"", 1)


def test_the_password_of_a_key_is_asked_for(
    tls_ca: Authority,
    fetch: Fetch,
    tmp_path: Path,
    asking: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a terminal, without showing it; elsewhere the message says why that is not possible."""
    client = tls_ca.issue("client")
    certificate, key = tmp_path / "cert", tmp_path / "key"
    client.cert_chain_pems[0].write_to_path(certificate)
    plain = serialization.load_pem_private_key(client.private_key_pem.bytes(), None)
    key.write_bytes(
        plain.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"s3cret"),
        )
    )
    args = ["--cert", str(certificate), "--key", str(key), *asking]
    status, out, err = fetch(*args)
    assert (status, out) == (2, b"")
    assert "no terminal to ask for its password" in " ".join(err.split())
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.termui.hidden_prompt_func", lambda prompt: "s3cret")
    status, out, err = fetch(*args)
    assert (status, out) == (0, POLITE)
    assert "s3cret" not in err
    monkeypatch.setattr("click.termui.hidden_prompt_func", lambda prompt: "wr0ng")
    status, out, err = fetch(*args)
    assert (status, out) == (2, b"")
    assert "cannot be read with this password" in " ".join(err.split())
    assert "wr0ng" not in err


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--key", "{key}"], "--key can only be used with --cert"),
        (["--cert", "{tmp}/none"], "does not exist"),
        (
            ["--cert", "{empty}"],
            "cannot be used as client certificate and private key in PEM format",
        ),
        (
            ["--cert", "{cert}"],
            "cannot be used as client certificate and private key in PEM format",
        ),
        (
            ["--cert", "{cert}", "--key", "{other}"],
            "cannot be used as client certificate and private key in PEM",
        ),
        (
            ["--cert", "{cert}", "--key", "{empty}"],
            "cannot be used as client certificate and private key in PEM",
        ),
    ],
)
def test_a_wrong_certificate_is_status_2(
    tls_ca: Authority,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    args: list[str],
    message: str,
) -> None:
    """Nothing is sent, and the message names the files."""
    files = {name: str(tmp_path / name) for name in ("cert", "key", "other", "empty")}
    client = tls_ca.issue("client")
    client.cert_chain_pems[0].write_to_path(files["cert"])
    client.private_key_pem.write_to_path(files["key"])
    tls_ca.issue("client").private_key_pem.write_to_path(files["other"])
    Path(files["empty"]).touch()
    given = [arg.format(tmp=tmp_path, **files) for arg in args]
    assert run([*given, "https://127.0.0.1:1/"]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
