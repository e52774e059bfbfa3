"""TLS as a session's user sees it: what is verified, by which name, and how it ends."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from anyio.abc import ByteStream
from anyio.streams.tls import TLSAttribute

from anyhttp import (
    ClientConnectorCertificateError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ClientOSError,
    ClientPayloadError,
    ClientSession,
    Fingerprint,
    ServerFingerprintMismatch,
    TCPConnector,
    UnixConnector,
)
from anyhttp._network.trust import _unverified_context
from anyhttp.connector import Connection
from tests.support.census import assert_no_tokens
from tests.support.client import get
from tests.support.names import Names
from tests.support.peer import CUT, DEAF, STALL, Script
from tests.support.responses import OK
from tests.support.server import Server
from tests.support.tls import Authority


def named(server: Server, host: str) -> str:
    """Return the URL of a file on *server* under another name."""
    return f"https://{host}:{server.https_url.port}/json"


@pytest.fixture
def asked_names(tls_ca: Authority) -> Iterator[list[str | None]]:
    """The names that clients of ``tls_ca.server`` have sent."""
    names: list[str | None] = []

    def note(stream: object, name: str | None, context: object) -> None:
        names.append(name)

    tls_ca.server.sni_callback = note
    yield names
    tls_ca.server.sni_callback = None


class TestOption:
    """The forms of ``ssl=``, on a connector and on a request."""

    async def test_true_verifies(self, server: Server) -> None:
        """The default: a certificate that nobody vouches for is refused, with the reason."""
        async with ClientSession(server.https_url) as session:
            for options in ({}, {"ssl": True}):
                with pytest.raises(
                    ClientConnectorCertificateError,
                    match=r"localhost:.*certificate verify failed: unable to get local issuer",
                ) as caught:
                    await get(session, "/json", **options)
                assert isinstance(caught.value.certificate_error, ssl.SSLCertVerificationError)
                assert isinstance(caught.value, ssl.CertificateError)
            assert session.connector is not None
            assert_no_tokens(session.connector, idle=0)

    @pytest.mark.parametrize("on", ["connector", "request"])
    @pytest.mark.parametrize("form", ["false", "context", "fingerprint"])
    async def test_other_forms(self, server: Server, tls_ca: Authority, on: str, form: str) -> None:
        """What a request says counts for it, what a connector says for all that say nothing."""
        value: Any = {
            "false": False,
            "context": tls_ca.client,
            "fingerprint": Fingerprint(tls_ca.fingerprint),
        }[form]
        connector = TCPConnector(ssl=value) if on == "connector" else TCPConnector()
        options = {"ssl": value} if on == "request" else {}
        async with ClientSession(server.https_url, connector=connector) as session:
            for _ in range(2):
                assert await get(session, "/json", **options)
            assert connector.statistics().idle == 1

    async def test_a_request_overrides_its_connector(
        self, server: Server, tls_ca: Authority
    ) -> None:
        """In both directions."""
        connector = TCPConnector(ssl=Fingerprint(bytes(32)))
        async with ClientSession(server.https_url, connector=connector) as session:
            assert await get(session, "/json", ssl=False)
            assert await get(session, "/json", ssl=tls_ca.client)
            with pytest.raises(ServerFingerprintMismatch):
                await get(session, "/json")

    async def test_none_is_deprecated(self, server: Server) -> None:
        """It means ``True``."""
        with pytest.warns(DeprecationWarning, match="ssl=None"):
            connector = TCPConnector(ssl=None)
        async with ClientSession(server.https_url, connector=connector) as session:
            with (
                pytest.warns(DeprecationWarning, match="ssl=None"),
                pytest.raises(ClientConnectorCertificateError),
            ):
                await session.get("/json", ssl=None)

    @pytest.mark.parametrize("value", ["yes", 1, b"\0" * 32, object])
    async def test_anything_else_is_a_type_error(self, value: Any) -> None:
        """The message says what may be given."""
        with pytest.raises(
            TypeError, match=r"ssl must be True, False, an ssl.SSLContext or an anyhttp.Fi"
        ):
            TCPConnector(ssl=value)
        async with ClientSession() as session:
            with pytest.raises(TypeError, match="ssl must be"):
                await session.get("https://localhost/", ssl=value)

    async def test_an_unverified_connection_is_never_lent_to_a_verified_request(
        self, server: Server, tls_ca: Authority
    ) -> None:
        """CVE-2024-35195: nor one that was verified in another way."""
        connector = TCPConnector()
        async with ClientSession(server.https_url, connector=connector) as session:
            await get(session, "/json", ssl=False)
            with pytest.raises(ClientConnectorCertificateError):
                await get(session, "/json")
            await get(session, "/json", ssl=tls_ca.client)
            await get(session, "/json", ssl=Fingerprint(tls_ca.fingerprint))
            with pytest.raises(ServerFingerprintMismatch):
                await get(session, "/json", ssl=Fingerprint(bytes(32)))
            await get(session, "/json", ssl=tls_ca.client, server_hostname="127.0.0.1")
            assert connector.statistics().idle == 4
            for value in (False, tls_ca.client, Fingerprint(tls_ca.fingerprint)):
                await get(session, "/json", ssl=value)
            assert connector.statistics().idle == 4

    async def test_over_a_unix_socket(self, script: Script, tls_ca: Authority) -> None:
        """The name in the URL is what the certificate is for."""
        peer = await script([(b"GET /a ", OK)], [], tls=tls_ca.server, unix=True, partial=True)
        async with ClientSession(connector=UnixConnector(peer.unix_path)) as session:
            assert await get(session, "https://localhost/a", ssl=tls_ca.client) == b"ok"
            with pytest.raises(ClientConnectorCertificateError, match="Hostname mismatch"):
                await get(session, "https://other.test/a", ssl=tls_ca.client)


class TestFingerprint:
    @pytest.mark.parametrize("size", [0, 16, 20, 31, 33, 64])
    def test_only_sha256(self, size: int) -> None:
        """Digests of MD5 and SHA-1 have other lengths, and those can be forged."""
        with pytest.raises(ValueError, match=f"SHA-256 digest of 32 bytes, not {size} bytes"):
            Fingerprint(bytes(size))

    def test_equal_pins_share_connections(self, tls_ca: Authority) -> None:
        """They are part of the pool's key by value."""
        one, two = Fingerprint(b"1" * 32), Fingerprint(b"1" * 32)
        assert one == two
        assert hash(one) == hash(two)
        assert one != Fingerprint(b"2" * 32)
        assert one != b"1" * 32
        assert two.fingerprint == b"1" * 32
        assert b"1".hex() * 32 in repr(one)

    async def test_a_mismatch_names_the_host(self, server: Server, tls_ca: Authority) -> None:
        """And both digests, so that a renewed certificate can be told from an attack."""
        async with ClientSession(server.https_url) as session:
            with pytest.raises(ServerFingerprintMismatch) as caught:
                await get(session, "/json", ssl=Fingerprint(bytes(32)))
            assert str(caught.value) == (
                f"certificate of localhost:{server.https_url.port} has fingerprint "
                f"{tls_ca.fingerprint.hex()}, expected {'00' * 32}"
            )
            assert session.connector is not None
            assert_no_tokens(session.connector, idle=0)

    async def test_check_looks_at_any_stream(self, server: Server, tls_ca: Authority) -> None:
        """Called by hand it names the address of the peer; without TLS there is nothing to see."""
        right, wrong = Fingerprint(tls_ca.fingerprint), Fingerprint(bytes(32))

        def stream_of(response: Any) -> ByteStream:
            stream: ByteStream = response.connection.transport
            return stream

        async with ClientSession() as session:
            async with session.get(server.https_url / "bytes/1000000", ssl=False) as response:
                right.check(stream_of(response))
                with pytest.raises(ServerFingerprintMismatch) as caught:
                    wrong.check(stream_of(response))
                assert (caught.value.host, caught.value.port) == (
                    "127.0.0.1",
                    server.https_url.port,
                )
            async with session.get(server.url / "bytes/1000000") as response:
                wrong.check(stream_of(response))

    async def test_check_over_a_unix_socket(self, script: Script, tls_ca: Authority) -> None:
        """Its peer has no address; the error says what it can."""
        peer = await script([], tls=tls_ca.server, unix=True)
        async with ClientSession(connector=UnixConnector(peer.unix_path)) as session:
            with pytest.raises(ServerFingerprintMismatch, match="localhost:443"):
                await get(session, "https://localhost/a", ssl=Fingerprint(bytes(32)))


class TestNames:
    """Which name is sent (SNI) and looked for in the certificate."""

    async def test_the_host_of_the_url(
        self, server: Server, tls_ca: Authority, asked_names: list[str | None]
    ) -> None:
        """An address is verified too, but not sent (RFC 6066 §3)."""
        async with ClientSession() as session:
            for host in ("localhost", "127.0.0.1"):
                await get(session, named(server, host), ssl=tls_ca.client)
        assert asked_names == ["localhost", None]

    async def test_the_wrong_host(self, server: Server, tls_ca: Authority) -> None:
        """The certificate is good, but somebody else's."""
        connector = TCPConnector(ssl=tls_ca.client, resolver=Names())
        async with ClientSession(connector=connector) as session:
            with pytest.raises(
                ClientConnectorCertificateError,
                match=r"Hostname mismatch, certificate is not valid for 'other\.test'",
            ):
                await get(session, named(server, "other.test"))

    async def test_server_hostname_takes_its_place(
        self, server: Server, tls_ca: Authority, asked_names: list[str | None]
    ) -> None:
        """For a server that is reached by another name than its own."""
        connector = TCPConnector(ssl=tls_ca.client, resolver=Names())
        async with ClientSession(connector=connector) as session:
            url = named(server, "other.test")
            assert await get(session, url, server_hostname="localhost")
            assert await get(session, url, server_hostname="localhost.")
            with pytest.raises(ClientConnectorCertificateError, match="Hostname mismatch"):
                await get(session, named(server, "localhost"), server_hostname="other.test")
        assert asked_names == ["localhost", "localhost", "other.test"]

    async def test_a_trailing_dot_is_dropped(
        self, server: Server, tls_ca: Authority, asked_names: list[str | None]
    ) -> None:
        """RFC 6066 §3 sends no dot, and certificates name hosts without it; DNS is given it."""
        connector = TCPConnector(ssl=tls_ca.client, resolver=Names())
        async with ClientSession(connector=connector) as session:
            assert await get(session, named(server, "localhost."))
            assert set(connector.cached_hosts) == {("localhost.", server.https_url.port)}
        assert asked_names == ["localhost"]

    async def test_an_international_host(self, script: Script, tls_ca: Authority) -> None:
        """It is an A-label wherever a machine reads it (RFC 5890 §2.3.2.1)."""
        names: list[str | None] = []
        context = tls_ca.server_for("bücher.test")
        context.sni_callback = lambda stream, name, context: names.append(name)
        peer = await script([(b"GET /a ", OK)], tls=context)
        connector = TCPConnector(ssl=tls_ca.client, resolver=Names())
        async with ClientSession(connector=connector) as session:
            await get(session, f"https://bücher.test:{peer.port}/a")
        assert names == ["xn--bcher-kva.test"]
        assert f"Host: xn--bcher-kva.test:{peer.port}".encode() in peer.requests[0]


class TestCertificates:
    async def test_the_reason_is_in_the_message(self, script: Script, tls_ca: Authority) -> None:
        """An expired certificate is called so."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        past = datetime(2020, 1, 1, tzinfo=UTC)
        tls_ca.issue("localhost", "127.0.0.1", not_after=past).configure_cert(context)
        peer = await script([], tls=context)
        async with ClientSession(peer.url) as session:
            with pytest.raises(ClientConnectorCertificateError, match="certificate has expired"):
                await get(session, "/", ssl=tls_ca.client)

    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    async def test_of_the_client(
        self, script: Script, tls_ca: Authority, version: ssl.TLSVersion
    ) -> None:
        """A context may hold one; without it such a server ends the connection, and says why."""
        context = tls_ca.server_for("127.0.0.1")
        context.verify_mode = ssl.CERT_REQUIRED
        context.maximum_version = version
        tls_ca.trust(context)
        ours = ssl.create_default_context()
        tls_ca.trust(ours)
        tls_ca.issue("client.test").configure_cert(ours)
        peer = await script([(b"GET /a ", OK)], [], tls=context, partial=True)
        async with ClientSession(peer.url) as session:
            assert await get(session, "/a", ssl=ours) == b"ok"
            # TLS 1.3 tells it after the handshake, when the answer is waited for
            with pytest.raises(ClientOSError):
                await get(session, "/a", ssl=tls_ca.client)
            assert session.connector is not None
            assert_no_tokens(session.connector)

    async def test_tls_1_2_is_the_oldest(self, script: Script, tls_ca: Authority) -> None:
        """RFC 8996: older versions are refused, with verification and without."""
        context = tls_ca.server_for("127.0.0.1")
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        with pytest.deprecated_call():
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
        peer = await script([], [], tls=context)
        async with ClientSession(peer.url) as session:
            for value in (True, False):
                with pytest.raises(ClientConnectorSSLError, match=r"(?i)protocol.version"):
                    await get(session, "/", ssl=value)

    async def test_the_protocol_is_agreed_on(self, script: Script, tls_ca: Authority) -> None:
        """ALPN (RFC 7301) offers http/1.1 alone, so a server cannot choose HTTP/2."""
        context = tls_ca.server_for("127.0.0.1")
        context.set_alpn_protocols(["h2", "http/1.1"])
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
        peer = await script([(b"GET /a ", [head, STALL])], tls=context)
        async with ClientSession(peer.url) as session:
            async with session.get("/a", ssl=False) as response:
                assert isinstance(response.connection, Connection)
                stream = response.connection.transport
                assert stream is not None
                assert stream.extra(TLSAttribute.alpn_protocol) == "http/1.1"

    async def test_a_protocol_that_nobody_here_speaks(
        self, script: Script, tls_ca: Authority
    ) -> None:
        """A context that offers HTTP/2 may be another client's; the error says what to change."""
        context = tls_ca.server_for("127.0.0.1")
        context.set_alpn_protocols(["h2"])
        ours = ssl.create_default_context()
        tls_ca.trust(ours)
        ours.set_alpn_protocols(["h2", "http/1.1"])
        peer = await script([], tls=context)
        async with ClientSession(peer.url) as session:
            with pytest.raises(ClientConnectorSSLError, match=r"'h2'.*offer http/1.1 alone"):
                await get(session, "/", ssl=ours)
            assert session.connector is not None
            assert_no_tokens(session.connector, idle=0)

    @pytest.mark.parametrize("backend", ["asyncio", "trio"])
    def test_the_default_is_the_systems_trust_store(
        self, server: Server, tls_ca: Authority, tmp_path: Path, backend: str
    ) -> None:
        """With OpenSSL ``SSL_CERT_FILE`` names it; ``SSLKEYLOGFILE`` names a file for the keys."""
        store, keys = tmp_path / "ca.pem", tmp_path / "keys"
        store.write_bytes(tls_ca.ca_pem)
        output = subprocess.run(
            [sys.executable, "-c", FETCH, str(server.https_url / "json"), backend],
            env={**os.environ, "SSL_CERT_FILE": str(store), "SSLKEYLOGFILE": str(keys)},
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert (output.stdout.split(), output.stderr) == ([b"200"], b"")
        logged = {line.split()[0] for line in keys.read_text().splitlines() if line[:1] != "#"}
        assert "CLIENT_TRAFFIC_SECRET_0" in logged

    async def test_a_key_log_that_cannot_be_written(
        self, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It was asked for, so a connection without it is refused, by its name."""
        monkeypatch.setenv("SSLKEYLOGFILE", "/no/such/directory/keys")
        _unverified_context.cache_clear()  # made once in a process, and maybe before
        async with ClientSession(server.https_url) as session:
            with pytest.raises(ClientConnectorError, match="SSLKEYLOGFILE=/no/such/directory"):
                await get(session, "/json", ssl=False)
            monkeypatch.delenv("SSLKEYLOGFILE")
            assert await get(session, "/json", ssl=False)


class TestEnd:
    """A connection that is cut is told from one that ends by HTTP's framing, not by TLS."""

    @pytest.mark.parametrize(
        "response",
        [
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\nhi",
        ],
        ids=["length", "chunked", "until-eof"],
    )
    async def test_a_whole_body_without_close_notify(
        self, script: Script, tls_ca: Authority, http1: str, response: bytes
    ) -> None:
        """Many servers cut TLS short behind their answer; nothing is missing then."""
        peer = await script([(b"GET /a ", [response, CUT])], tls=tls_ca.server)
        connector = TCPConnector(ssl=tls_ca.client, http1=http1)
        async with ClientSession(peer.url, connector=connector) as session:
            assert await get(session, "/a") == b"hi"

    @pytest.mark.parametrize(
        "response",
        [
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
        ],
        ids=["length", "chunked"],
    )
    async def test_a_body_that_was_cut(
        self, script: Script, tls_ca: Authority, http1: str, response: bytes
    ) -> None:
        """RFC 9112 §9.8: an incomplete close makes an incomplete message an error."""
        peer = await script([(b"GET /a ", [response, CUT])], tls=tls_ca.server)
        connector = TCPConnector(ssl=tls_ca.client, http1=http1)
        async with ClientSession(peer.url, connector=connector) as session:
            with pytest.raises(ClientPayloadError):
                await get(session, "/a")
            assert_no_tokens(connector, idle=0)

    @pytest.mark.uvloop
    async def test_leaving_does_not_wait_for_close_notify(
        self, script: Script, tls_ca: Authority
    ) -> None:
        """Neither for an idle connection nor for one in use, whatever its peer does."""
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
        peer = await script(
            [(b"GET /a ", [head, DEAF])], [(b"GET /b ", [OK, DEAF])], tls=tls_ca.server
        )
        connector = TCPConnector(ssl=tls_ca.client)
        with anyio.fail_after(5):
            async with ClientSession(peer.url, connector=connector) as session:
                unread = await session.get("/a")
                await get(session, "/b")
                assert (connector.statistics().in_use, connector.statistics().idle) == (1, 1)
        assert unread.closed
        assert_no_tokens(connector, idle=0)


# Asked with the operating system's trust store, in a process where nothing has been cached.
FETCH = """
import sys, anyio, anyhttp

async def main():
    async with anyhttp.ClientSession() as session, session.get(sys.argv[1]) as response:
        print(response.status)

anyio.run(main, backend=sys.argv[2])
"""


async def test_a_record_that_was_tampered_with_is_no_end(tls_ca: Authority) -> None:
    """RFC 8446 §5.2: also when it comes together with good ones, and nothing but the end of the
    connection tells the end of the body.
    """

    def serve(listener: socket.socket) -> None:
        link, _ = listener.accept()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = tls_ca.server.wrap_bio(incoming, outgoing, server_side=True)
        with link:
            for step in (tls.do_handshake, tls.read):
                while True:
                    try:
                        step()
                        break
                    except ssl.SSLWantReadError:
                        link.sendall(outgoing.read())
                        incoming.write(link.recv(65536))
            tls.write(b"HTTP/1.1 200 OK\r\n\r\n")
            link.sendall(outgoing.read())
            tls.write(b"x" * 2**14)
            good = outgoing.read()
            tls.write(b"y" * 2**14)
            bad = bytearray(outgoing.read())
            bad[-5] ^= 1
            link.sendall(good + bytes(bad))
            while link.recv(65536):
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        peer = threading.Thread(target=serve, args=(listener,), daemon=True)
        peer.start()
        url = f"https://localhost:{listener.getsockname()[1]}/"
        async with ClientSession(connector=TCPConnector(ssl=tls_ca.client)) as session:
            with pytest.raises(ClientPayloadError):
                async with session.get(url) as response:
                    await response.read()
        await anyio.to_thread.run_sync(peer.join)
