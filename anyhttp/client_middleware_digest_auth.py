"""A middleware for Digest authentication (:rfc:`7616`)."""

from __future__ import annotations

import hashlib
import secrets
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final
from urllib.parse import quote

from yarl import URL

from . import hdrs
from ._common import Hooks, check_flag, check_str, parsed_url
from ._headers import (
    CONTROL_BUT_TAB,
    SURROGATE,
    Challenge,
    parse_challenges,
    parse_parameters,
    quoted_string,
)
from ._targets import Origin, OriginCredentials, origin_of
from .client_exceptions import ClientError, ClientPayloadError
from .client_middlewares import ClientHandlerType, give_back
from .client_reqrep import ClientRequest, ClientResponse
from .payload import AsyncIterablePayload

__all__ = ("DigestAuthMiddleware", "DigestChallenge", "Nonce", "authorization", "digest_challenge")

#: The names of algorithms in challenges, and their names in :mod:`hashlib`.
_NAMES: Final = {
    "MD5": "md5",
    "SHA": "sha1",
    "SHA-256": "sha256",
    "SHA256": "sha256",
    "SHA-512": "sha512",
    "SHA512": "sha512",
    "SHA-512-256": "sha512_256",  # if OpenSSL has it
}

#: How many URLs of the ``domain`` of a challenge are looked at: each request is compared with them.
MAX_DOMAIN: Final = 64

Hash = Callable[[bytes], "hashlib._Hash"]

# MD5 and SHA-1 are for old servers; they are available even if Python does not trust them.
ALGORITHMS: Final[dict[str, Hash]] = {
    name: partial(hashlib.new, function, usedforsecurity=False)
    for name, function in _NAMES.items()
    if function in hashlib.algorithms_available
}


@dataclass(slots=True)
class Nonce:
    """How many requests used a nonce, and the client's own nonce (cnonce) for it."""

    count: int = 0
    #: cnonce of the first request; the -sess algorithms compute the session's key with it
    cnonce: str = field(default_factory=lambda: secrets.token_hex(8))

    def use(self, *, session: bool) -> tuple[str, str]:
        """Return the count and the cnonce for the next request."""
        self.count += 1
        # With a -sess algorithm, a server should compute the key with the cnonce of the first
        # request; some use the cnonce of each request.  An unchanged cnonce works with both.
        fresh = not session and self.count > 1
        return f"{self.count:08x}", secrets.token_hex(8) if fresh else self.cnonce


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestChallenge:
    """The parameters of a Digest challenge of a server."""

    realm: str
    nonce: str
    opaque: str | None
    algorithm: str
    qop: frozenset[str]
    userhash: bool
    utf8: bool
    domain: str
    use: Nonce = field(default_factory=Nonce, compare=False)

    @property
    def hash(self) -> Hash:
        """The hash function of the algorithm."""
        return ALGORITHMS[self.algorithm.upper().removesuffix("-SESS")]

    @property
    def has_session(self) -> bool:
        """Whether the key is computed once and used for many requests (-sess)."""
        return self.algorithm.upper().endswith("-SESS")


def digest_challenge(challenge: Challenge) -> DigestChallenge:
    """Return the checked parameters of *challenge*.

    :raises ClientError: a parameter is missing or not supported
    """
    given = challenge.parameters
    for name in ("realm", "nonce"):
        if name not in given:
            raise ClientError(f"the server's Digest challenge has no {name}")
    if not given["nonce"]:
        raise ClientError("the server's Digest challenge has an empty nonce")
    for name in ("realm", "nonce", "opaque"):
        # The client sends them back, and a request with a control character is refused.
        if CONTROL_BUT_TAB.search(given.get(name, "")):
            raise ClientError(
                f"the server's Digest challenge has a control character in its {name}"
            )
    offered = [value.strip().lower() for value in given.get("qop", "").split(",")]
    qop = frozenset(offered) & {"auth", "auth-int"}
    if any(offered) and not qop:
        raise ClientError(f"the server's Digest challenge has an unknown qop: {given['qop']!r}")
    algorithm = given.get("algorithm", "MD5")
    known = algorithm.isascii() and algorithm.upper().removesuffix("-SESS") in ALGORITHMS
    if not known:
        raise ClientError(f"the server's Digest challenge has an unknown algorithm: {algorithm!r}")
    return DigestChallenge(
        realm=given["realm"],
        nonce=given["nonce"],
        opaque=given.get("opaque"),
        algorithm=algorithm,
        qop=qop,
        userhash=given.get("userhash", "").lower() == "true",
        utf8=given.get("charset", "").lower() == "utf-8",
        domain=given.get("domain", ""),
    )


def authorization(
    challenge: DigestChallenge,
    login: str,
    password: str,
    *,
    method: str,
    uri: str,
    qop: str,
    body_hash: str,
    count: str,
    cnonce: str,
) -> str:
    """Return the value of the ``Authorization`` header (:rfc:`7616#section-3.4`).

    :param qop: ``"auth"``, ``"auth-int"``, or an empty string for :rfc:`2069`
    :param body_hash: digest of the body, for ``"auth-int"``
    :param count: number of requests with the nonce, eight hexadecimal digits
    """

    def digest(*parts: str) -> str:
        # Keep octets of the server that are not UTF-8 as the server sent them.
        return challenge.hash(":".join(parts).encode("utf-8", "surrogateescape")).hexdigest()

    if challenge.utf8:
        login, password = (unicodedata.normalize("NFC", text) for text in (login, password))
    key = digest(login, challenge.realm, password)
    if challenge.has_session:
        key = digest(key, challenge.nonce, cnonce)
    request = digest(method, uri, body_hash) if qop == "auth-int" else digest(method, uri)
    if qop:
        response = digest(key, challenge.nonce, count, cnonce, qop, request)
    else:
        response = digest(key, challenge.nonce, request)

    if challenge.userhash:
        pairs = [f'username="{digest(login, challenge.realm)}"']
    elif challenge.utf8 and not login.isascii():
        pairs = [f"username*=UTF-8''{quote(login, safe='')}"]
    else:
        pairs = [f"username={quoted_string(login)}"]
    pairs += [
        f"realm={quoted_string(challenge.realm)}",
        f"nonce={quoted_string(challenge.nonce)}",
        f"uri={quoted_string(uri)}",
        f'response="{response}"',
        f"algorithm={challenge.algorithm}",
    ]
    if challenge.opaque is not None:
        pairs.append(f"opaque={quoted_string(challenge.opaque)}")
    if qop:
        pairs += [f"qop={qop}", f"nc={count}", f'cnonce="{cnonce}"']
    if challenge.userhash:
        pairs.append("userhash=true")
    return "Digest " + ", ".join(pairs)


class _Signature(OriginCredentials):
    """An ``Authorization`` value made by this module."""

    __slots__ = ()


class DigestAuthMiddleware:
    """Signs requests when a server answers ``401`` with ``WWW-Authenticate: Digest``.

    Pass it as one of the ``middlewares`` of a session or a request.  It belongs to the origin
    (scheme, host and port) of the first request that it sees.  Requests to other origins are
    not signed, unless that origin has named them in the ``domain`` of its challenge
    (CVE-2026-54276).

    It sends each request at most once more; the response to the signed request is the result.

    :param login: user name, without a colon
    :param password: password
    :param preemptive: sign later requests at once, without waiting for another 401; on by default
    :raises ValueError: *login* or *password* is ``None`` or holds a lone surrogate, or *login*
        holds a colon
    :raises TypeError: an argument has the wrong type

    Calling it raises :exc:`ClientError` for a challenge that it does not support, and
    :exc:`ClientPayloadError` if a body that can be sent only once was sent before the 401 came.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _HOOKS.check_subclass(cls)

    def __init__(self, login: str, password: str, preemptive: bool = True) -> None:
        if login is None:
            raise ValueError("login must be a str, not None")
        if password is None:
            raise ValueError("password must be a str, not None")
        for name, text in (("login", login), ("password", password)):
            check_str(name, text)
            if SURROGATE.search(text):
                raise ValueError(f"{name} holds a lone surrogate")
        if ":" in login:
            raise ValueError('login must not hold a ":" (RFC 7616 section 3.4)')
        check_flag("preemptive", preemptive)
        _HOOKS.check_patches(type(self))
        self._login = login
        self._password = password
        self._preemptive = preemptive
        self._origin: Origin | None = None
        # The protection space: origins and paths for which the first origin accepts the same
        # credentials.  And the last challenge of each origin.
        self._space: list[tuple[Origin, str]] = []
        self._challenges: dict[Origin, DigestChallenge] = {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}(login={self._login!r}, password='***')"

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Send *request* by *handler*, and once more, signed, after a 401."""
        url = URL(request.url)
        if self._origin is None:
            self._origin = origin_of(url)
        if not self._may_sign(url):
            if isinstance(request.headers.get(hdrs.AUTHORIZATION), _Signature):
                # Another middleware has changed the URL since the request was signed.
                del request.headers[hdrs.AUTHORIZATION]
            return await handler(request)
        signed_for = self._challenge_for(url) if self._preemptive else None
        if signed_for is not None:
            await self._sign(request, signed_for)
        response = await handler(request)
        challenge = await self._sign_anew(request, response)
        if challenge is not None:
            signed_for = challenge
            response = await handler(request)
            with suppress(ClientError):
                self._challenge_in(response)
        if signed_for is not None and response.status != 401:
            self._look_for_next_nonce(response, signed_for)
        return response

    # -- where the credentials may go

    def _may_sign(self, url: URL) -> bool:
        return origin_of(url) == self._origin or self._is_in_space(url)

    def _is_in_space(self, url: URL) -> bool:
        """Whether *url* lies below a URL of the protection space (§3.3)."""
        origin, path = origin_of(url), url.raw_path
        return any(
            origin == known and (path == prefix or path.startswith(prefix.rstrip("/") + "/"))
            for known, prefix in self._space
        )

    def _protection_space(self, url: URL, domain: str) -> list[tuple[Origin, str]]:
        """Return the origins and paths in the ``domain`` of a challenge for *url*."""
        space = []
        for text in domain.split(maxsplit=MAX_DOMAIN)[:MAX_DOMAIN]:
            with suppress(ValueError):
                named = parsed_url(text)
                if text.startswith("/"):
                    named = url.join(named)
                origin = origin_of(named)
                # Credentials for TLS are not sent without TLS.
                if named.raw_host and origin[0] in {"https", origin_of(url)[0]}:
                    space.append((origin, named.raw_path))
        return space

    # -- the challenges of the server

    def _challenge_for(self, url: URL) -> DigestChallenge | None:
        """Return the challenge for signing a request for *url* before the server asks for it."""
        if not self._is_in_space(url):
            return None
        assert self._origin is not None
        return self._challenges.get(origin_of(url)) or self._challenges.get(self._origin)

    def _challenge_in(self, response: ClientResponse) -> DigestChallenge | None:
        """Return the challenge to answer, ``None`` if there is none.

        :raises ClientError: no challenge of the response is supported
        """
        if response.status != 401 or not self._may_sign(response.url):
            return None
        # A server that supports several algorithms lists them in order of preference (§3.7).
        failure: ClientError | None = None
        for challenge in parse_challenges(response.headers.getall(hdrs.WWW_AUTHENTICATE, ())):
            if challenge.scheme.lower() == "digest" and challenge.parameters:
                try:
                    return self._remember(response.url, digest_challenge(challenge))
                except ClientError as exc:
                    failure = failure or exc
        if failure is not None:
            raise failure
        return None

    def _remember(self, url: URL, challenge: DigestChallenge) -> DigestChallenge:
        origin = origin_of(url)
        before = self._challenges.get(origin)
        if before is not None and before.nonce == challenge.nonce:
            # Concurrent requests have got the same nonce: go on counting their uses.
            challenge = replace(challenge, use=before.use)
        if origin == self._origin:
            self._space = self._protection_space(url, challenge.domain) or [(origin, "/")]
            self._challenges.clear()
        self._challenges[origin] = challenge
        return challenge

    def _look_for_next_nonce(self, response: ClientResponse, challenge: DigestChallenge) -> None:
        """Store the nonce that the server wants for the next request (§3.5)."""
        origin = origin_of(response.url)
        info = response.headers.get(hdrs.AUTHENTICATION_INFO)
        if info and origin in self._challenges:
            nonce = parse_parameters(info).get("nextnonce")
            if not nonce or not nonce.isascii() or CONTROL_BUT_TAB.search(nonce):
                return
            if nonce != self._challenges[origin].nonce:
                self._challenges[origin] = replace(challenge, nonce=nonce, use=Nonce())

    # -- signing

    async def _sign_anew(
        self, request: ClientRequest, response: ClientResponse
    ) -> DigestChallenge | None:
        """Sign *request* by the challenge of *response*, which is released, and return that.

        ``None``: there is none to answer.

        :raises ClientError: no challenge of the response is supported
        :raises ClientPayloadError: the body cannot be sent again
        """
        try:
            challenge = self._challenge_in(response)
            if challenge is None or not self._may_sign(URL(request.url)):
                return None
            await self._sign(request, challenge)
            await give_back(request)
        except BaseException:
            response.release()
            raise
        response.release()  # if another middleware has made the request
        return challenge

    async def _sign(self, request: ClientRequest, challenge: DigestChallenge) -> None:
        qop, body_hash = "", ""
        if challenge.qop:
            qop = "auth"
            # A compressed body is known only after sending, so no digest of it can be sent first.
            if "auth-int" in challenge.qop and request.compress is None:
                qop, body_hash = "auth-int", await _body_hash(request, challenge.hash)
            elif "auth" not in challenge.qop:
                raise ClientError(
                    "the server wants the body to be signed (qop=auth-int), which cannot be "
                    "done for a body that is compressed while it is sent"
                )
        count, cnonce = challenge.use.use(session=challenge.has_session)
        url = URL(request.url)
        signature = authorization(
            challenge,
            self._login,
            self._password,
            method=request.method.upper(),
            uri=url.raw_path_qs,
            qop=qop,
            body_hash=body_hash,
            count=count,
            cnonce=cnonce,
        )
        request.headers[hdrs.AUTHORIZATION] = _Signature(signature, frozenset({origin_of(url)}))


class _Hasher:
    """A writer that computes a digest and drops the bytes."""

    def __init__(self, function: Hash) -> None:
        self.digest = function(b"")

    async def write(self, chunk: bytes) -> None:
        self.digest.update(chunk)


async def _body_hash(request: ClientRequest, function: Hash) -> str:
    """Return the digest of the body that will be sent.

    :raises ClientPayloadError: after computing the digest, the body could not be sent any more
    """
    payload = request.payload
    hasher = _Hasher(function)
    if payload is not None:
        if payload.consumed:
            raise ClientPayloadError(
                "the body has been used up and cannot be signed (qop=auth-int) and sent again"
            )
        if isinstance(payload, AsyncIterablePayload):
            await payload.as_bytes()  # keeps the bytes for sending
        await payload.write_with_length(hasher, request.content_length)
        if payload.consumed:
            raise ClientPayloadError(
                "the server wants the body to be signed (qop=auth-int), but it can be read only "
                "once: give bytes or a file that can be rewound"
            )
    return hasher.digest.hexdigest()


_SIGNED: Final = (
    "requests would be signed without it. Override __call__(), or write a middleware that calls "
    "this one for some requests only"
)

#: how programs change aiohttp's middleware, and not this one
_HOOKS: Final = Hooks(
    DigestAuthMiddleware,
    {"_authenticate": _SIGNED, "_encode": _SIGNED, "_in_protection_space": _SIGNED},
)
