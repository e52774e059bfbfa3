"""HAProxy wants a certificate of the client, and says by an alert why it refuses one."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator

import pytest

from anyhttp import ClientConnectorSSLError, ClientSession, TCPConnector
from tests.real.servers import directory
from tests.support.client import assert_free
from tests.support.programs import free_port, program, running
from tests.support.tls import Authority

HAPROXY = """
global
    crt-base {root}
    ca-base {root}
defaults
    mode http
    timeout connect 10s
    timeout client 30s
    timeout server 30s
frontend all
    bind 127.0.0.1:{port} ssl crt certificate.pem ca-file ca.pem {versions} verify required
    http-request return content-type text/plain string welcome
"""


@pytest.fixture(scope="module", params=["ssl-max-ver TLSv1.2", "ssl-min-ver TLSv1.3"])
def url(request: pytest.FixtureRequest, tls_ca: Authority) -> Iterator[str]:
    """Where HAProxy listens; it speaks one version of TLS."""
    command, port = program("haproxy", "haproxy"), free_port()
    with directory(tls_ca) as root:
        (root / "ca.pem").write_bytes(tls_ca.ca_pem)
        config = root / "haproxy.cfg"
        config.write_text(HAPROXY.format(root=root, port=port, versions=request.param))
        with running([command, "-db", "-f", config], port):
            yield f"https://localhost:{port}/"


def context_for(tls_ca: Authority, issuer: Authority | None) -> ssl.SSLContext:
    """Return a context that trusts *tls_ca*, with a certificate by *issuer*."""
    context = ssl.create_default_context()
    tls_ca.trust(context)
    if issuer is not None:
        issuer.issue("client.test").configure_cert(context)
    return context


async def pieces() -> AsyncIterator[bytes]:
    """A body that is sent by a task."""
    for _ in range(50):
        yield b"x" * 16384


async def test_a_certificate_that_is_accepted(url: str, tls_ca: Authority, http1: str) -> None:
    """Nothing is in the way."""
    connector = TCPConnector(http1=http1, ssl=context_for(tls_ca, tls_ca))
    async with ClientSession(connector=connector) as session:
        async with session.get(url) as response:
            assert await response.text() == "welcome"


@pytest.mark.parametrize("certificate", ["none", "of somebody else"])
async def test_a_client_that_is_refused(
    url: str, tls_ca: Authority, http1: str, certificate: str
) -> None:
    """Each request fails with the alert, also one that sends much or opens a WebSocket."""
    issuer = None if certificate == "none" else Authority()
    context = context_for(tls_ca, issuer)
    async with ClientSession(connector=TCPConnector(http1=http1, ssl=context)) as session:
        for _ in range(5):
            for attempt in (
                session.get(url),
                session.post(url, data=b"x" * 500_000),
                session.post(url, data=pieces()),
                session.ws_connect(url),
            ):
                with pytest.raises(ClientConnectorSSLError, match="ALERT"):
                    await attempt
        assert_free(session, idle=0)
