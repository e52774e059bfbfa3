"""TLS sessions are resumed by later connections: once, for a while, and in no other way."""

from __future__ import annotations

import os
import ssl
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
import trustme
import truststore
from anyio.streams.tls import TLSAttribute

from anyhttp import (
    ClientConnectorCertificateError,
    ClientSession,
    Fingerprint,
    ServerFingerprintMismatch,
    TCPConnector,
    UnixConnector,
)
from anyhttp._common import ConnectionKey
from anyhttp._network import tls_sessions
from anyhttp._network.tls_sessions import MOST_OF_ONE_PEER, MOST_PEERS, MOST_SECONDS, TlsSessions
from anyhttp._network.trust import _verified_context
from tests.support.client import get
from tests.support.forks import in_child
from tests.support.names import Names
from tests.support.peer import Peer, Script
from tests.support.proxies import Proxies
from tests.support.tls import Authority

pytestmark = pytest.mark.usefixtures("resumption")

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
CLOSING = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def leaf(tls_ca: Authority) -> trustme.LeafCert:
    """The certificate of the server."""
    return tls_ca.issue("localhost", "127.0.0.1", "other.test")


@pytest.fixture
def context(leaf: trustme.LeafCert) -> ssl.SSLContext:
    """A server's, which counts what is resumed."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    leaf.configure_cert(context)
    return context


@pytest.fixture
async def peer(script: Script, context: ssl.SSLContext) -> Peer:
    """One that answers one request on each connection, and then closes it."""
    return await script([(b"GET / ", CLOSING)], tls=context, repeat=True, partial=True)


def resumed(context: ssl.SSLContext) -> int:
    """Return how many connections of *context*, a server's, have resumed a session."""
    return context.session_stats()["hits"]


async def ask(session: ClientSession, peer: Peer, times: int = 1, **options: Any) -> None:
    """Make *times* requests, each over a connection of its own."""
    for _ in range(times):
        await get(session, peer.url, **options)


class TestResumption:
    """What connections of a session do."""

    @pytest.mark.parametrize("version", VERSIONS)
    async def test_later_connections_resume(
        self, peer: Peer, context: ssl.SSLContext, tls_ca: Authority, version: ssl.TLSVersion
    ) -> None:
        """From the third on: the second one shows that sessions of this peer are worth keeping."""
        context.maximum_version = version
        async with ClientSession(connector=TCPConnector(ssl=tls_ca.client)) as session:
            await ask(session, peer, 2)
            assert resumed(context) == 0
            await ask(session, peer, 3)
        assert resumed(context) == 3

    async def test_a_user_can_see_it(self, script: Script, tls_ca: Authority) -> None:
        """By ``session_reused`` of the connection's TLS object."""
        head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n"
        steps = [(b"GET / ", [head, b"o", b"k"])]
        peer = await script(*[steps] * 3, tls=tls_ca.server_for("127.0.0.1"))
        seen: list[bool | None] = []
        async with ClientSession(connector=TCPConnector(ssl=tls_ca.client)) as session:
            for _ in range(3):
                async with session.get(peer.url) as response:
                    connection: Any = response.connection
                    stream = connection.transport
                    assert stream is not None
                    tls = stream.extra(TLSAttribute.ssl_object)
                    assert tls.getpeercert()
                    seen.append(cast(ssl.SSLObject, tls).session_reused)
                    await response.read()
        assert seen == [False, False, True]

    async def test_a_kept_connection_leaves_its_session_while_it_is_used(
        self, script: Script, context: ssl.SSLContext, tls_ca: Authority
    ) -> None:
        """A burst of requests need not wait until the first connections are closed."""
        slow = (b"GET ", [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", b"o", b"k"])
        peer = await script([slow] * 3, tls=context, repeat=True, partial=True)
        connector = TCPConnector(ssl=tls_ca.client)
        async with ClientSession(peer.url, connector=connector) as session:
            async with session.get("/") as first, session.get("/") as second:
                await first.read()
                await second.read()
            async with session.get("/"), session.get("/"), session.get("/"), session.get("/"):
                assert peer.connections == 4
        assert resumed(context) == 2

    @pytest.mark.parametrize("form", ["false", "fingerprint"])
    async def test_with_other_settings(
        self, peer: Peer, context: ssl.SSLContext, leaf: trustme.LeafCert, form: str
    ) -> None:
        """Unverified ones too, and those whose certificate is pinned."""
        option = False if form == "false" else Fingerprint(Authority.digest(leaf))
        async with ClientSession(connector=TCPConnector(ssl=option)) as session:
            await ask(session, peer, 4)
        assert resumed(context) == 2

    @pytest.mark.skipif(sys.platform in {"win32", "darwin"}, reason="verified after the handshake")
    async def test_with_the_systems_trust_store(
        self,
        peer: Peer,
        context: ssl.SSLContext,
        tls_ca: Authority,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Any,
    ) -> None:
        """Where OpenSSL verifies by it; the store is read once."""
        store = tmp_path / "ca.pem"
        store.write_bytes(tls_ca.ca_pem)
        monkeypatch.setenv("SSL_CERT_FILE", str(store))
        _verified_context.cache_clear()  # made once in a process, and maybe before
        try:
            async with ClientSession() as session:
                await ask(session, peer)
                store.unlink()
                await ask(session, peer, 3)
        finally:
            _verified_context.cache_clear()
        assert resumed(context) == 2

    async def test_over_a_unix_socket(
        self, script: Script, context: ssl.SSLContext, tls_ca: Authority
    ) -> None:
        """As over TCP."""
        peer = await script([(b"GET / ", CLOSING)], tls=context, repeat=True, unix=True)
        async with ClientSession(connector=UnixConnector(peer.unix_path)) as session:
            await ask(session, peer, 3, ssl=tls_ca.client)
        assert resumed(context) == 1

    async def test_in_a_tunnel(
        self, peer: Peer, context: ssl.SSLContext, tls_ca: Authority, proxies: Proxies
    ) -> None:
        """Of the TLS to the origin, and of that to the proxy; other credentials resume nothing."""
        proxy = proxies("https")
        connector = TCPConnector(ssl=tls_ca.client)
        async with ClientSession(connector=connector) as session:
            await ask(session, peer, 3, proxy=proxy.url)
            assert resumed(context) == 1
            assert len(connector._pool.tls_sessions) == 2
            await ask(session, peer, 2, proxy=proxy.url.with_user("other").with_password("one"))
            assert resumed(context) == 1


class TestSeparation:
    """A session is resumed where the same would have been verified, and nowhere else."""

    async def test_other_verification(
        self, peer: Peer, context: ssl.SSLContext, leaf: trustme.LeafCert, tls_ca: Authority
    ) -> None:
        """Neither by other options nor by another context; what was refused is refused again."""
        right = Fingerprint(Authority.digest(leaf))
        async with ClientSession() as session:
            await ask(session, peer, 3, ssl=False)
            assert resumed(context) == 1
            with pytest.raises(ClientConnectorCertificateError):
                await ask(session, peer)
            with pytest.raises(ServerFingerprintMismatch):
                await ask(session, peer, ssl=Fingerprint(bytes(32)))
            await ask(session, peer, ssl=right)
            await ask(session, peer, ssl=tls_ca.new_client())
            await ask(session, peer, ssl=tls_ca.new_client())
        assert resumed(context) == 1

    async def test_another_name(
        self, peer: Peer, context: ssl.SSLContext, tls_ca: Authority
    ) -> None:
        """What the certificate does not name is refused, however often it was right before."""
        connector = TCPConnector(ssl=tls_ca.client, resolver=Names())
        async with ClientSession(connector=connector) as session:
            await ask(session, peer, 3)
            assert resumed(context) == 1
            for _ in range(2):
                with pytest.raises(ClientConnectorCertificateError, match="mismatch"):
                    await get(session, peer.url.with_host("wrong.test"))
                with pytest.raises(ClientConnectorCertificateError, match="mismatch"):
                    await ask(session, peer, server_hostname="wrong.test")
            await get(session, peer.url.with_host("other.test"))
            await ask(session, peer, server_hostname="other.test")
        assert resumed(context) == 1

    @pytest.mark.parametrize(
        "change",
        [
            lambda context: setattr(context, "check_hostname", False),
            lambda context: setattr(context, "verify_flags", ssl.VERIFY_X509_PARTIAL_CHAIN),
            lambda context: setattr(context, "hostname_checks_common_name", False),
            lambda context: setattr(context, "minimum_version", ssl.TLSVersion.TLSv1_3),
            lambda context: setattr(context, "options", context.options | ssl.OP_NO_TICKET),
        ],
    )
    async def test_a_context_that_is_changed(
        self,
        peer: Peer,
        context: ssl.SSLContext,
        tls_ca: Authority,
        change: Callable[[ssl.SSLContext], None],
    ) -> None:
        """The next connection verifies by what the context says then."""
        ours = tls_ca.new_client()
        async with ClientSession(connector=TCPConnector(ssl=ours)) as session:
            await ask(session, peer, 3)
            change(ours)
            await ask(session, peer)
        assert resumed(context) == 1

    @pytest.mark.parametrize("version", VERSIONS)
    @pytest.mark.parametrize("is_given", [True, False])
    async def test_a_certificate_of_the_client(
        self,
        peer: Peer,
        context: ssl.SSLContext,
        tls_ca: Authority,
        version: ssl.TLSVersion,
        *,
        is_given: bool,
    ) -> None:
        """The context may get another one, and a server would still see the one of the session."""
        context.maximum_version = version
        context.verify_mode = ssl.CERT_OPTIONAL
        tls_ca.trust(context)
        ours = tls_ca.new_client()
        if is_given:
            tls_ca.issue("client").configure_cert(ours)
        async with ClientSession(connector=TCPConnector(ssl=ours)) as session:
            await ask(session, peer, 4)
        assert resumed(context) == 0

    async def test_a_context_that_verifies_again(self, peer: Peer, context: ssl.SSLContext) -> None:
        """The sessions of its careless days are not resumed."""
        ours = ssl.create_default_context()
        ours.check_hostname = False
        ours.verify_mode = ssl.CERT_NONE
        async with ClientSession(connector=TCPConnector(ssl=ours)) as session:
            await ask(session, peer, 3)
            ours.verify_mode = ssl.CERT_REQUIRED
            with pytest.raises(ClientConnectorCertificateError):
                await ask(session, peer)
        assert resumed(context) == 1

    async def test_no_ticket(self, peer: Peer, context: ssl.SSLContext, tls_ca: Authority) -> None:
        """This option of a context switches resumption off."""
        ours = tls_ca.new_client()
        ours.options |= ssl.OP_NO_TICKET
        async with ClientSession(connector=TCPConnector(ssl=ours)) as session:
            await ask(session, peer, 4)
        assert resumed(context) == 0

    async def test_another_connector(
        self, peer: Peer, context: ssl.SSLContext, tls_ca: Authority
    ) -> None:
        """Each has its own; one that is closed has none."""
        connector = TCPConnector(ssl=tls_ca.client)
        async with ClientSession(connector=connector) as session:
            await ask(session, peer, 2)
            assert len(connector._pool.tls_sessions) == 1
        assert len(connector._pool.tls_sessions) == 0
        async with ClientSession(connector=TCPConnector(ssl=tls_ca.client)) as session:
            await ask(session, peer, 2)
        assert resumed(context) == 0

    async def test_a_connector_that_is_closed_during_its_first_handshake(self) -> None:
        """It keeps nothing of what the handshake leaves."""
        connector = TCPConnector()
        await connector.close()
        assert not connector._pool.tls_sessions.is_usable

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="the operating system cannot fork")
    @pytest.mark.filterwarnings("ignore:.* use of fork:DeprecationWarning")
    async def test_a_forked_child(
        self, peer: Peer, context: ssl.SSLContext, tls_ca: Authority, anyio_backend: Any
    ) -> None:
        """Both would use a ticket that is for one of them."""
        connector = TCPConnector(ssl=tls_ca.client)

        async def kept() -> bytes:
            return str(len(connector._pool.tls_sessions)).encode()

        async with ClientSession(connector=connector) as session:
            await ask(session, peer, 2)
            assert "0" in await in_child(anyio_backend, kept)
            await ask(session, peer)
        assert resumed(context) == 1


KEY = ConnectionKey("localhost", 443, True, True, None, None, None)


class TestSessions:
    """What is kept, without a network."""

    def test_none_is_looked_at_where_python_leaks_it(
        self, monkeypatch: pytest.MonkeyPatch, pair: Pair
    ) -> None:
        """It would lose some KiB for each connection."""
        monkeypatch.setattr(tls_sessions, "LEAKS_SESSIONS", True)
        assert pair.sessions.resumption(*pair.whom) is None
        assert pair.sessions.resumption(*pair.whom) is None
        assert not len(pair.sessions)

    def test_a_session_is_resumed_once(self, pair: Pair) -> None:
        """RFC 8446 appendix C.4: who sees a ticket twice knows that it is the same client."""
        pair.connect()
        pair.connect()
        first, second = pair.sessions.resumption(*pair.whom), pair.sessions.resumption(*pair.whom)
        assert first is not None
        assert second is not None
        assert (first.session is None, second.session is None) == (False, True)

    def test_a_list_of_revoked_certificates(
        self, tls_ca: Authority, pair: Pair, tmp_path: Path
    ) -> None:
        """One that has come meanwhile counts at once."""
        lists = tmp_path / "revoked.pem"
        pair.client.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
        lists.write_bytes(tls_ca.revocation_list(1))
        pair.client.load_verify_locations(lists)
        pair.connect()
        pair.connect()
        assert pair.connect()
        lists.write_bytes(tls_ca.revocation_list(2))
        pair.client.load_verify_locations(lists)
        assert not pair.connect()

    @pytest.mark.parametrize("version", VERSIONS)
    def test_ciphers_that_are_changed(self, pair: Pair, version: ssl.TLSVersion) -> None:
        """RFC 5246 §7.4.1.2: a peer refuses to resume with a cipher that is not offered again."""
        pair.server.maximum_version = version
        pair.connect()
        pair.connect()
        assert pair.connect()
        pair.client.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
        assert pair.connect() is (version is ssl.TLSVersion.TLSv1_3)

    def test_nothing_is_kept_for_a_single_connection(self, pair: Pair) -> None:
        """A copy of the session takes time that a program which visits many hosts has not."""
        pair.connect()
        assert len(pair.sessions) == 0

    def test_the_certificate_is_verified_again_after_a_while(self, pair: Pair) -> None:
        """Counted from the full handshake, however often it was resumed since."""
        pair.connect()
        pair.connect()
        for _ in range(3):
            pair.now += MOST_SECONDS / 4
            assert pair.connect()
        pair.now += MOST_SECONDS / 4
        assert not pair.connect()
        assert pair.connect()

    def test_a_certificate_that_expires(self, tls_ca: Authority) -> None:
        """Its sessions are not resumed after that, so that the next handshake refuses it."""
        expiry = int(datetime.now(UTC).timestamp()) + 600
        pair = Pair(tls_ca, not_after=datetime.fromtimestamp(expiry, UTC))
        pair.connect()
        pair.connect()
        pair.now = expiry - 1
        assert pair.connect()
        pair.now = expiry
        assert not pair.connect()
        assert len(pair.sessions) == 0

    def test_a_connection_that_outlives_its_session(self, pair: Pair) -> None:
        """Nothing is kept of it."""
        pair.connect()
        resumption = pair.sessions.resumption(*pair.whom)
        assert resumption is not None
        ours = pair.handshake(None)
        pair.now += MOST_SECONDS
        resumption.keep(ours)
        assert len(pair.sessions) == 0

    def test_without_a_ticket(self, pair: Pair) -> None:
        """The peer lets nothing be resumed, or its ticket has not come yet."""
        pair.server.num_tickets = 0
        for _ in range(3):
            pair.connect()
        assert len(pair.sessions) == 0

    def test_how_many_are_kept(self, pair: Pair) -> None:
        """Of one peer a few, the newest; of peers, those that were used last."""
        waiting = [pair.sessions.resumption(*pair.whom) for _ in range(MOST_OF_ONE_PEER + 3)]
        for resumption in waiting:
            assert resumption is not None
            resumption.keep(pair.handshake(None))
        assert len(pair.sessions) == MOST_OF_ONE_PEER
        for number in range(MOST_PEERS - 1):
            pair.sessions.resumption(KEY._replace(port=number), "localhost", pair.client)
        pair.sessions.resumption(*pair.whom)
        pair.sessions.resumption(KEY._replace(port=5000), "localhost", pair.client)
        assert len(pair.sessions) == MOST_OF_ONE_PEER - 1
        for number in range(MOST_PEERS):
            pair.sessions.resumption(KEY._replace(port=number), "localhost", pair.client)
        assert len(pair.sessions) == 0

    def test_another_thread(self, pair: Pair) -> None:
        """It neither keeps nor resumes what is of this one."""
        pair.connect()
        pair.connect()
        resumption = pair.sessions.resumption(*pair.whom)
        assert resumption is not None
        wanted: list[bool] = [resumption.wants_session]
        later: list[Any] = []

        def elsewhere() -> None:
            wanted.append(resumption.wants_session)
            later.append(pair.sessions.resumption(*pair.whom))

        resumption.keep(pair.handshake(None))
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        assert wanted == [True, False]
        assert later[0].session is None
        assert not resumption.wants_session

    @pytest.mark.parametrize("kind", ["subclass", "truststore", "objects"])
    def test_a_context_with_a_verification_of_its_own(self, pair: Pair, kind: str) -> None:
        """It may want the certificates after the handshake, and then there are none."""

        class Own(ssl.SSLContext):
            pass

        class OwnObject(ssl.SSLObject):
            pass

        context: ssl.SSLContext = {"subclass": Own, "truststore": truststore.SSLContext}.get(
            kind, ssl.SSLContext
        )(ssl.PROTOCOL_TLS_CLIENT)
        if kind == "objects":
            context.sslobject_class = OwnObject
        assert pair.sessions.resumption(KEY, "localhost", context) is None

    def test_closed(self, pair: Pair) -> None:
        """Nothing is kept any more."""
        pair.connect()
        resumption = pair.sessions.resumption(*pair.whom)
        assert resumption is not None
        assert resumption.wants_session
        pair.sessions.close()
        assert not resumption.wants_session


class Pair:
    """A client and a server in one process, with a clock."""

    def __init__(self, authority: Authority, not_after: datetime | None = None) -> None:
        self.now = datetime.now(UTC).timestamp()
        self.sessions = TlsSessions(lambda: self.now)
        self.server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue("localhost", not_after=not_after).configure_cert(self.server)
        self.client = authority.new_client()
        self.whom = (KEY, "localhost", self.client)

    def connect(self) -> bool:
        """Make a connection, and end it; return whether it has resumed a session."""
        resumption = self.sessions.resumption(*self.whom)
        assert resumption is not None
        ours = self.handshake(resumption.session)
        if resumption.wants_session:
            resumption.keep(ours)
        return bool(ours.session_reused)

    def handshake(self, session: ssl.SSLSession | None) -> ssl.SSLObject:
        """Return the client's end of a new connection."""
        there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
        ours = self.client.wrap_bio(back, there, False, "localhost", session)
        theirs = self.server.wrap_bio(there, back, server_side=True)
        for _ in range(3):  # more than either of them needs
            for end in (ours, theirs):
                with suppress(ssl.SSLWantReadError):
                    end.do_handshake()
        theirs.write(b"x")
        assert ours.read(1) == b"x"
        return ours


@pytest.fixture
def pair(tls_ca: Authority) -> Pair:
    """A client and a server, which have not met yet."""
    return Pair(tls_ca)
