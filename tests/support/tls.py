"""A certificate authority for the tests."""

from __future__ import annotations

import hashlib
import ssl
from datetime import UTC, datetime, timedelta

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

NAMES = ("localhost", "127.0.0.1", "::1")


class Authority:
    """Issues certificates, and makes server contexts with them and client contexts."""

    def __init__(self) -> None:
        self._ca = trustme.CA()
        self._certificate = self._ca.issue_cert(*NAMES)
        self.server = self._context(self._certificate)
        """What a server on loopback speaks."""
        self.client = ssl.create_default_context()
        """What a client that trusts this authority speaks; shared, so nobody changes it."""
        self._ca.configure_trust(self.client)

    def new_client(self) -> ssl.SSLContext:
        """Return a context like ``client`` to be changed, as httpx does with what ALPN offers."""
        context = ssl.create_default_context()
        self._ca.configure_trust(context)
        return context

    @property
    def fingerprint(self) -> bytes:
        """The SHA-256 digest of the certificate in ``server``."""
        return self.digest(self._certificate)

    @staticmethod
    def digest(certificate: trustme.LeafCert) -> bytes:
        """Return the SHA-256 digest of *certificate*."""
        pem = certificate.cert_chain_pems[0].bytes().decode()
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).digest()

    @property
    def ca_pem(self) -> bytes:
        """The authority's own certificate."""
        return self._ca.cert_pem.bytes()

    @property
    def server_pem(self) -> bytes:
        """Key and certificate of ``server``, for servers in other processes."""
        return self._certificate.private_key_and_cert_chain_pem.bytes()

    @property
    def server_key_pem(self) -> bytes:
        """The key of ``server`` in PKCS #8, for programs that accept no other format."""
        pem = self._certificate.private_key_pem.bytes()
        return serialization.load_pem_private_key(pem, None).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    def server_for(self, *names: str) -> ssl.SSLContext:
        """Return a server context with a certificate for other *names*."""
        return self._context(self._ca.issue_cert(*names))

    def server_with(self, *protocols: str) -> ssl.SSLContext:
        """Return a context like ``server`` that chooses the first of *protocols* by ALPN.

        A client that offers none of them is answered without ALPN.
        """
        context = self._context(self._certificate)
        context.set_alpn_protocols(list(protocols))
        return context

    def issue(self, *names: str, not_after: datetime | None = None) -> trustme.LeafCert:
        """Return a certificate of this authority for *names*, of a client or a server."""
        return self._ca.issue_cert(*names, not_after=not_after)

    def revocation_list(self, number: int) -> bytes:
        """Return an empty list of revoked certificates."""
        key = serialization.load_pem_private_key(self._ca.private_key_pem.bytes(), None)
        assert isinstance(key, EllipticCurvePrivateKey)
        own = x509.load_pem_x509_certificate(self.ca_pem)
        now = datetime.now(UTC)
        revoked = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(own.subject)
            .last_update(now - timedelta(days=1))
            .next_update(now + timedelta(days=1))
            .add_extension(x509.CRLNumber(number), critical=False)
            .sign(key, hashes.SHA256())
        )
        return revoked.public_bytes(serialization.Encoding.PEM)

    def trust(self, context: ssl.SSLContext) -> None:
        """Make *context* trust this authority."""
        self._ca.configure_trust(context)

    def _context(self, certificate: trustme.LeafCert) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        certificate.configure_cert(context)
        return context
