"""A throw-away certificate for loopback, made with the standard library alone.

An ECDSA key on the curve P-256 (FIPS 186-5) signs its own X.509 certificate (:rfc:`5280`), written
in DER by hand: the ``cli`` extra brings no cryptography package, and a demonstration of TLS needs
nothing more.  The arithmetic is not constant-time, so nothing here may guard a key that lives
longer than one run of the program.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from typing import Final, NamedTuple

HOST: Final = "localhost"
ADDRESS: Final = IPv4Address("127.0.0.1")
LIFETIME: Final = timedelta(days=1)
# Certificates are compared with a clock that may lag behind ours, so they start in the past.
HEAD_START: Final = timedelta(hours=1)

# The domain parameters of P-256: SP 800-186, section 3.2.1.3.  The curve is y² = x³ - 3x + b over
# the integers modulo P, N is the order of the base point, and b is needed only to check points.
P: Final = 2**256 - 2**224 + 2**192 + 2**96 - 1
N: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
COORDINATE_BYTES: Final = 32


class Point(NamedTuple):
    """An affine point of the curve; the point at infinity is ``None``."""

    x: int
    y: int


BASE: Final = Point(
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)


def add(left: Point | None, right: Point | None) -> Point | None:
    """Return the sum of two points."""
    if left is None or right is None:
        return left or right
    if left.x == right.x:
        if (left.y + right.y) % P == 0:
            return None
        slope = (3 * left.x * left.x - 3) * pow(2 * left.y, -1, P)
    else:
        slope = (right.y - left.y) * pow(right.x - left.x, -1, P)
    x = (slope * slope - left.x - right.x) % P
    return Point(x, (slope * (left.x - x) - left.y) % P)


def multiply(scalar: int) -> Point:
    """Return the base point added to itself *scalar* times, ``0 < scalar < N``."""
    total: Point | None = None
    addend: Point | None = BASE
    while scalar:
        if scalar & 1:
            total = add(total, addend)
        addend = add(addend, addend)
        scalar >>= 1
    assert total is not None  # only multiples of N reach infinity
    return total


def random_scalar() -> int:
    """Return a fresh secret between 1 and N - 1."""
    return secrets.randbelow(N - 1) + 1


def sign(key: int, message: bytes) -> tuple[int, int]:
    """Return the signature ``(r, s)`` of *message* with SHA-256 (FIPS 186-5, section 6.4)."""
    digest = int.from_bytes(hashlib.sha256(message).digest())
    nonce = random_scalar()
    r = multiply(nonce).x % N
    # The standard asks for another nonce if r or s is 0, which has a chance of one in 2**255.
    return r, pow(nonce, -1, N) * (digest + r * key) % N


# DER (X.690): tag, length, contents.

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING = 0x01, 0x02, 0x03, 0x04
OBJECT_IDENTIFIER, UTF8_STRING, UTC_TIME = 0x06, 0x0C, 0x17
SEQUENCE, SET = 0x30, 0x31
EXPLICIT, IMPLICIT = 0xA0, 0x80  # plus the number of the field


def der(tag: int, *contents: bytes) -> bytes:
    """Return one DER element around *contents*."""
    body = b"".join(contents)
    if len(body) < 0x80:
        return bytes((tag, len(body))) + body
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(length))) + length + body


def integer(value: int) -> bytes:
    """Return a non-negative INTEGER; the extra bit keeps its sign bit clear."""
    return der(INTEGER, value.to_bytes(value.bit_length() // 8 + 1))


def oid(dotted: str) -> bytes:
    """Return an OBJECT IDENTIFIER: base 128, the first two numbers in one."""
    first, second, *rest = (int(number) for number in dotted.split("."))
    encoded = bytearray()
    for number in (40 * first + second, *rest):
        groups = [number & 0x7F]
        while number := number >> 7:
            groups.append(0x80 | number & 0x7F)
        encoded += bytes(reversed(groups))
    return der(OBJECT_IDENTIFIER, bytes(encoded))


def bits(content: bytes) -> bytes:
    """Return a BIT STRING of whole bytes."""
    return der(BIT_STRING, b"\x00", content)


def extension(identifier: str, *value: bytes, critical: bool = False) -> bytes:
    """Return one X.509 extension (:rfc:`5280#section-4.2`)."""
    flag = der(BOOLEAN, b"\xff") if critical else b""
    return der(SEQUENCE, oid(identifier), flag, der(OCTET_STRING, *value))


PRIME256V1: Final = oid("1.2.840.10045.3.1.7")
KEY_ALGORITHM: Final = der(SEQUENCE, oid("1.2.840.10045.2.1"), PRIME256V1)
SIGNATURE_ALGORITHM: Final = der(SEQUENCE, oid("1.2.840.10045.4.3.2"))  # ecdsa-with-SHA256
SERVER_AUTH: Final = oid("1.3.6.1.5.5.7.3.1")
VERSION_3: Final = der(EXPLICIT | 0, integer(2))
NAME: Final = der(
    SEQUENCE, der(SET, der(SEQUENCE, oid("2.5.4.3"), der(UTF8_STRING, HOST.encode())))
)
# subjectAltName: a dNSName is field 2 of GeneralName, an iPAddress field 7.
ALTERNATIVE_NAMES: Final = der(
    SEQUENCE, der(IMPLICIT | 2, HOST.encode()), der(IMPLICIT | 7, ADDRESS.packed)
)


def utc_time(moment: datetime) -> bytes:
    """Return *moment* as UTCTime, which reaches to 2049 (:rfc:`5280#section-4.1.2.5.1`)."""
    return der(UTC_TIME, moment.strftime("%y%m%d%H%M%SZ").encode())


def pem(label: str, content: bytes) -> str:
    """Return *content* in PEM armour (:rfc:`7468`)."""
    text = base64.b64encode(content).decode()
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return "\n".join((f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""))


def issue() -> tuple[str, str]:
    """Return a self-signed certificate for localhost and 127.0.0.1, and its key, both in PEM."""
    now = datetime.now(UTC)
    key = random_scalar()
    public = multiply(key)
    # The uncompressed form of a point: SEC 1, section 2.3.3.
    public_bits = b"\x04" + b"".join(part.to_bytes(COORDINATE_BYTES) for part in public)
    key_identifier = hashlib.sha1(public_bits, usedforsecurity=False).digest()
    # OpenSSL's strict mode, Python 3.13's default, asks for all but the third.
    extensions = (
        extension("2.5.29.19", der(SEQUENCE), critical=True),  # basicConstraints: not a CA
        extension("2.5.29.15", der(BIT_STRING, b"\x07\x80"), critical=True),  # digitalSignature
        extension("2.5.29.37", der(SEQUENCE, SERVER_AUTH)),
        extension("2.5.29.17", ALTERNATIVE_NAMES),
        extension("2.5.29.14", der(OCTET_STRING, key_identifier)),
        extension("2.5.29.35", der(SEQUENCE, der(IMPLICIT | 0, key_identifier))),
    )
    to_sign = der(
        SEQUENCE,
        VERSION_3,
        integer(secrets.randbits(64) | 1),  # serial number: positive, at most 20 octets
        SIGNATURE_ALGORITHM,
        NAME,
        der(SEQUENCE, utc_time(now - HEAD_START), utc_time(now + LIFETIME)),
        NAME,
        der(SEQUENCE, KEY_ALGORITHM, bits(public_bits)),
        der(EXPLICIT | 3, der(SEQUENCE, *extensions)),
    )
    r, s = sign(key, to_sign)
    signature = bits(der(SEQUENCE, integer(r), integer(s)))
    private = der(  # ECPrivateKey (:rfc:`5915#section-3`)
        SEQUENCE,
        integer(1),
        der(OCTET_STRING, key.to_bytes(COORDINATE_BYTES)),
        der(EXPLICIT | 0, PRIME256V1),
        der(EXPLICIT | 1, bits(public_bits)),
    )
    certificate = der(SEQUENCE, to_sign, SIGNATURE_ALGORITHM, signature)
    return pem("CERTIFICATE", certificate), pem("EC PRIVATE KEY", private)


def throw_away_contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return a server's context with a fresh certificate, and a client's that trusts only that.

    ``load_cert_chain`` reads files only: the key spends that one call in a temporary file that
    nobody else can read, and is forgotten with this call.
    """
    certificate, key = issue()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    handle, path = tempfile.mkstemp(suffix=".pem")  # mode 0600
    try:
        with open(handle, "w", encoding="ascii") as file:
            file.write(certificate + key)
        server.load_cert_chain(path)
    finally:
        os.unlink(path)
    return server, ssl.create_default_context(cadata=certificate)
