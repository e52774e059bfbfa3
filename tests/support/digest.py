"""A peer that requires Digest authentication (RFC 7616) and verifies it.

It implements the formulas once more, from the RFC, and parses the header with the standard
library: testing a client against its own formulas would prove little.
"""

from __future__ import annotations

import hashlib
import itertools
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit
from urllib.request import parse_http_list, parse_keqv_list

from .routes import Exchange
from .server import Server

HASHES = {
    "MD5": "md5",
    "SHA": "sha1",
    "SHA-256": "sha256",
    "SHA256": "sha256",
    "SHA-512": "sha512",
    "SHA512": "sha512",
    "SHA-512-256": "sha512_256",
}


@dataclass
class Policy:
    """What the server requires and offers."""

    algorithm: str | None = "SHA-256"
    qop: str | None = "auth"
    realm: str = "the realm"
    login: str = "Mufasa"
    password: str = "Circle of Life"
    opaque: str | None = "op=,aque"
    userhash: bool = False
    charset: str | None = None
    domain: str | None = None
    #: how many requests may use a nonce
    uses: int = 1000
    #: whether concurrent requests get the same nonce
    shared_nonce: bool = False
    #: ``WWW-Authenticate`` lines before and after the server's own line
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    #: whether ``Authentication-Info`` names the next nonce
    announces: bool = False


class Guard:
    """Responds ``200`` to requests that are signed correctly, and ``401`` to others."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.nonces: dict[str, set[int]] = {}
        self._numbers = itertools.count(1)
        self._one_at_a_time = threading.Lock()
        #: why requests were refused, in order
        self.complaints: list[str] = []
        #: the Authorization header of each request
        self.signatures: list[str | None] = []

    def answer(self, exchange: Exchange) -> None:
        """Respond to a request."""
        head = exchange.head
        headers = head.all("authorization")
        body = b"".join(exchange.body())
        with self._one_at_a_time:
            self.signatures.append(headers[-1] if headers else None)
            complaint = self._complaint(head.method, head.target, headers, body)
            if complaint is not None:
                self.complaints.append(complaint)
        if complaint is None:
            info: list[tuple[str, str]] = []
            if self.policy.announces:
                info.append(("Authentication-Info", f'nextnonce="{self._new_nonce()}"'))
            exchange.respond(body or b"welcome", *info)
        else:
            exchange.respond(b"denied", *self._challenges(complaint), status="401 Unauthorized")

    # -- requiring a signature

    def _new_nonce(self) -> str:
        nonce = f"nonce {next(self._numbers)}"
        self.nonces[nonce] = set()
        return nonce

    def _challenges(self, complaint: str) -> list[tuple[str, str]]:
        policy = self.policy
        if policy.shared_nonce and self.nonces:
            nonce = next(reversed(self.nonces))
        else:
            nonce = self._new_nonce()
        fields = [f"realm={quoted(policy.realm)}", f"nonce={quoted(nonce)}"]
        for name in ("opaque", "domain", "qop"):
            value = getattr(policy, name)
            if value is not None:
                fields.append(f"{name}={quoted(value)}")
        if policy.algorithm is not None:
            fields.append(f"algorithm={policy.algorithm}")
        if policy.charset is not None:
            fields.append(f"charset={policy.charset}")
        if policy.userhash:
            fields.append("userhash=true")
        if complaint == "stale":
            fields.append("stale=true")
        lines = (*policy.before, "Digest " + ", ".join(fields), *policy.after)
        return [("WWW-Authenticate", line) for line in lines]

    # -- verifying a signature

    def _complaint(self, method: str, target: str, headers: list[str], body: bytes) -> str | None:
        """Return what is wrong with a request, if anything."""
        policy = self.policy
        if len(headers) != 1:
            return "no signature" if not headers else "several signatures"
        scheme, _, rest = headers[0].partition(" ")
        if scheme.lower() != "digest":
            return "another scheme"
        fields = parse_keqv_list(parse_http_list(rest))
        name = (policy.algorithm or "MD5").upper()
        session = name.endswith("-SESS")
        digest = hasher(name.removesuffix("-SESS"))
        if policy.userhash:
            user = digest(f"{policy.login}:{policy.realm}".encode())
            if fields.get("userhash") != "true" or fields.get("username") != user:
                return "another user"
        elif "username*" in fields:
            if unquote(fields["username*"].removeprefix("UTF-8''")) != policy.login:
                return "another user"
        # The header was decoded as Latin-1, which preserves every byte.
        elif fields["username"].encode("latin-1").decode() != policy.login:
            return "another user"
        if fields["realm"] != policy.realm:
            return "another realm"
        if fields.get("algorithm", "MD5") != (policy.algorithm or "MD5"):
            return "another algorithm"
        if fields.get("opaque") != policy.opaque:
            return "another opaque"
        if fields["uri"] != target or not urlsplit(target).path:
            return "another target"
        nonce = fields["nonce"]
        key = digest(f"{policy.login}:{policy.realm}:{policy.password}".encode())
        if session:
            key = digest(f"{key}:{nonce}:{fields['cnonce']}".encode())
        request = f"{method}:{target}"
        if policy.qop is None:
            if "qop" in fields:
                return "a qop"
            wanted = digest(f"{key}:{nonce}:{digest(request.encode())}".encode())
        else:
            qop = fields["qop"]
            if qop not in [offer.strip() for offer in policy.qop.split(",")]:
                return "another qop"
            if qop == "auth-int":
                request += f":{digest(body)}"
            count, cnonce = fields["nc"], fields["cnonce"]
            if len(count) != 8:
                return "a malformed count"
            wanted = digest(
                f"{key}:{nonce}:{count}:{cnonce}:{qop}:{digest(request.encode())}".encode()
            )
        if fields["response"] != wanted:
            return "another digest"
        return self._complaint_about_nonce(nonce, fields)

    def _complaint_about_nonce(self, nonce: str, fields: dict[str, str]) -> str | None:
        uses = self.nonces.get(nonce)
        if uses is None or len(uses) >= self.policy.uses:
            return "stale"
        count = int(fields.get("nc", "0"), 16) or len(uses) + 1
        if count in uses:
            return "a replay"
        if count > len(uses) + 50:
            return "a count out of all order"
        uses.add(count)
        return None


class DigestServer(Guard, Server):
    """A guard that listens on loopback."""

    def __init__(self, tls: ssl.SSLContext, policy: Policy) -> None:
        Guard.__init__(self, policy)
        Server.__init__(self, tls)


def hasher(name: str) -> Callable[[bytes], str]:
    """Return the hash function called *name* in a challenge."""

    def digest(data: bytes) -> str:
        return hashlib.new(HASHES[name], data).hexdigest()

    return digest


def quoted(text: str) -> str:
    """Return *text* as a quoted-string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
