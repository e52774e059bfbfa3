"""What the command says when there is no connection."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

pytest.importorskip("click")
pytest.importorskip("h2")
pytest.importorskip("rich")
pytest.importorskip("trio")


from anyhttp import (
    ClientConnectorCertificateError,
    ClientConnectorSSLError,
    ClientOSError,
    ClientProxyConnectionError,
)
from anyhttp._cli._connect_failures import not_connected
from anyhttp._cli._failures import describe
from anyhttp._common import ProxyKey
from tests.support.command import Fetch, Peer, closed_port
from tests.support.links import Gone, Link, LinkThreads, Listener
from tests.support.proxies import Proxies
from tests.support.tls import Authority

TRUST = "--cacert FILE names issuers to trust, -k connects without verification"
SKIP = "-k connects without verification"


@contextmanager
def answering(tls: ssl.SSLContext | None) -> Iterator[int]:
    """A server, whose port this yields, that speaks *tls* or none; it does not like requests."""

    def serve(link: Link) -> None:
        with suppress(Gone):
            link.handshake()
            link.fill()
            link.send(b"HTTP/1.0 400 Bad Request\r\n\r\n")

    links = LinkThreads(serve)
    listener = Listener(links.start, tls=tls)
    try:
        yield listener.port
    finally:
        listener.stop()
        links.stop()


def expired(authority: Authority) -> ssl.SSLContext:
    """A server's context whose certificate was valid until yesterday."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    yesterday = datetime.now(UTC) - timedelta(days=1)
    authority.issue("localhost", not_after=yesterday).configure_cert(context)
    return context


def demanding(authority: Authority, version: ssl.TLSVersion) -> ssl.SSLContext:
    """A server's context that demands a certificate of its client."""
    context = authority.server_for("localhost")
    context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    authority.trust(context)
    return context


def old(authority: Authority) -> ssl.SSLContext:
    """A server's context that speaks nothing newer than TLS 1.1."""
    context = authority.server_for("localhost")
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.deprecated_call():
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


@pytest.mark.parametrize(
    ("server", "words"),
    [
        (lambda authority: authority.server_for("a.test"), f"is for other hosts; {SKIP}"),
        (expired, f"has expired; {SKIP}"),
        (lambda authority: None, "it does not speak TLS; try http:// (or ws://)"),
        (old, "it speaks no version of TLS that is accepted here"),
        (
            lambda authority: demanding(authority, ssl.TLSVersion.TLSv1_3),
            "it asks for a client certificate; give one with --cert FILE",
        ),
        (
            lambda authority: demanding(authority, ssl.TLSVersion.TLSv1_2),
            "perhaps it asks for a client certificate (--cert FILE)",
        ),
    ],
    ids=["host", "expired", "plain", "old", "client certificate", "client certificate, TLS 1.2"],
)
@pytest.mark.parametrize("command", [[], ["ws"]])
def test_a_failure_of_tls_is_said_in_words(
    tls_ca: Authority,
    fetch: Fetch,
    tmp_path: Path,
    command: list[str],
    server: Callable[[Authority], ssl.SSLContext | None],
    words: str,
) -> None:
    """With the option that helps, and with the server, but without objects of Python."""
    path = tmp_path / "ca.pem"
    path.write_bytes(tls_ca.ca_pem)
    with answering(server(tls_ca)) as port:
        url = f"{'wss' if command else 'https'}://localhost:{port}/"
        status, _, err = fetch(*command, url, "--cacert", str(path))
    subject = "the certificate of" if SKIP in words else "no TLS with"
    assert status == 1
    assert err.startswith(f"anyhttp: {subject} localhost:{port}")
    assert err.endswith(f"{words}\n")
    assert err.count("\n") == 1


def test_an_unknown_issuer_can_be_trusted(tls_ca: Authority, fetch: Fetch) -> None:
    """The message names the options for that, and for going without."""
    with answering(tls_ca.server) as port:
        assert fetch(f"https://localhost:{port}/") == (
            1,
            b"",
            f"anyhttp: the certificate of localhost:{port} is not from a trusted issuer; {TRUST}\n",
        )
        assert fetch(f"https://localhost:{port}/", "-k")[0] == 0


def test_the_certificate_of_a_proxy_is_called_that(proxies: Proxies, fetch: Fetch) -> None:
    """The options are the same."""
    proxy = proxies("https")
    err = fetch("http://127.0.0.1:1/", "-x", str(proxy.url))[2]
    assert err.startswith(
        f"anyhttp: the certificate of the proxy localhost:{proxy.port} (--proxy) is not from a "
    )
    assert fetch("http://127.0.0.1:1/", "-k", "-x", str(proxy.url))[0] == 0


def test_tls_failures_that_are_not_in_the_tables() -> None:
    """They are said in OpenSSL's words, or in those of the system that verifies."""
    odd = ssl.SSLError(1, "[SSL: NO_SUCH_THING] no such thing (_ssl.c:1)")
    odd.reason = "NO_SUCH_THING"
    assert not_connected(ClientConnectorSSLError(None, odd)) == "no TLS with : no such thing"
    nameless = ssl.SSLError(1, "a text")
    assert not_connected(ClientConnectorSSLError(None, nameless)) == "no TLS with : a text"
    certificate = ssl.SSLCertVerificationError("revoked")
    assert not_connected(ClientConnectorCertificateError(None, certificate)) == (
        f"the certificate of  cannot be verified: revoked; {SKIP}"
    )


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            ["http://127.0.0.1:{closed}/"],
            "cannot connect to 127.0.0.1:{closed}: Connection refused",
        ),
        (["http://a.invalid/"], "no address found for a.invalid: "),
        (
            ["{url}", "-x", "localhost:{closed}"],
            "cannot connect to the proxy localhost:{closed} (--proxy): Connection refused",
        ),
        (["{url}", "-x", "a.invalid"], "no address found for the proxy a.invalid (--proxy): "),
        (
            ["{url}", "-x", "https://a.invalid"],
            "no address found for the proxy a.invalid (--proxy)",
        ),
        (
            ["{url}", "--unix-socket", "{tmp}/none"],
            "cannot connect to the Unix socket {tmp}/none: No such file or directory",
        ),
    ],
)
def test_whoever_cannot_be_reached_is_named(
    peer: Peer, fetch: Fetch, tmp_path: Path, args: list[str], message: str
) -> None:
    """A proxy is called a proxy, and nobody hears of TLS who did not ask for it."""
    values = {"url": peer.url, "closed": closed_port(), "tmp": tmp_path}
    status, _, err = fetch(*(arg.format(**values) for arg in args))
    assert status == 1
    assert err.startswith(f"anyhttp: {message.format(**values)}")
    assert "ssl" not in err.lower()


@pytest.mark.parametrize("name", ["http_proxy", "ALL_PROXY"])
def test_the_variable_that_names_the_proxy_is_named(
    peer: Peer, fetch: Fetch, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Who set it long ago has forgotten it; it is not blamed where the option precedes it."""
    port = closed_port()
    monkeypatch.setenv("HTTPS_PROXY", "http://other.test:3128")
    monkeypatch.setenv("WS_PROXY", "not a proxy")
    monkeypatch.setenv(name, f"http://user:s3cret@localhost:{port}")
    err = fetch(peer.url)[2]
    assert f"the proxy localhost:{port} (from the variable {name}): " in err
    assert "s3cret" not in err
    err = fetch(peer.url, "-x", f"localhost:{port}")[2]
    assert f"the proxy localhost:{port} (--proxy): " in err


def test_a_proxy_that_nobody_seems_to_have_named_has_no_source() -> None:
    """As one of the settings of the desktop, which are asked on macOS and Windows."""
    key = ProxyKey("proxy.test", 3128, False, True, None, None, None, None)
    refused = ClientProxyConnectionError(key, OSError(111, "Connection refused"))
    assert not_connected(refused) == (
        "cannot connect to the proxy proxy.test:3128: Connection refused"
    )


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (ClientOSError(104, "Connection reset by peer"), "Connection reset by peer"),
        (ClientOSError("a text"), "a text"),
    ],
)
def test_a_connection_that_fails_later_is_called_that(failure: Exception, message: str) -> None:
    """Without the number of the error."""
    assert describe(failure) == f"the connection failed: {message}"


def test_an_answer_in_tls_has_a_hint(fetch: Fetch) -> None:
    """A server of TLS may answer a request without TLS by an alert (RFC 8446 §6)."""

    def serve(link: Link) -> None:
        link.fill()
        link.send(b"\x15\x03\x01\x00\x02\x02\x46")
        link.half_close()

    links = LinkThreads(serve)
    listener = Listener(links.start)
    err = fetch(f"http://127.0.0.1:{listener.port}/")[2]
    assert err.endswith("; this looks like TLS: try https:// (or wss://)\n")
    listener.stop()
    links.stop()
