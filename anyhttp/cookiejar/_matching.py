"""Which hosts, paths and schemes a cookie is for, and whether it matches a request.

The rules are those of RFC 6265bis; "§" below means that document.
"""

from __future__ import annotations

import math
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from http.cookies import Morsel
from typing import Final, NamedTuple

from yarl import URL

from .._headers import MAX_AGE, make_morsel, octets, parse_date

__all__ = (
    "Cookie",
    "Place",
    "domain_matches",
    "is_ip",
    "is_secure",
    "path_matches",
    "scoped",
)

_SECURE_SCHEMES: Final = frozenset({"https", "wss"})


class Place(NamedTuple):
    """Where a cookie is set or sent; *host* is None for cookies that belong to all hosts."""

    host: str | None
    path: str
    secure: bool


@dataclass(slots=True, eq=False)
class Cookie:
    """A cookie with its scope; *text* is its value as sent.

    *protection* says who could have set it: 0, anybody between client and server; 1, ``Secure``,
    only hosts of the domain, with TLS; 2, ``__Host-``, only the very host.  Where there is room
    for some cookies only, none gives way to one with less protection.
    """

    name: str
    text: str
    morsel: Morsel[str]
    domain: str
    path: str
    host_only: bool
    secure: bool
    expires: float | None
    octets: int
    protection: int
    created: int = 0
    used: int = 0
    _bare: Morsel[str] | None = None

    @property
    def bare(self) -> Morsel[str]:
        """The cookie without attributes, as it is sent."""
        if self._bare is None:
            self._bare = make_morsel(self.name, self.morsel.value, self.text)
        return self._bare

    @property
    def key(self) -> tuple[str, str]:
        return self.path, self.name

    @property
    def shown_path(self) -> str:
        """The path as the jar's public properties show it: without a trailing slash."""
        return self.path.rstrip("/")

    def matches(self, path: str, secure: bool) -> bool:
        """Whether the cookie is sent with a request for *path* of its domain."""
        return (secure or not self.secure) and path_matches(path, self.path)

    def is_expired(self, now: float) -> bool:
        return self.expires is not None and self.expires <= now


def is_ip(host: str) -> bool:
    """Whether *host* is an IP address: like URL parsers, a numeric last label decides it."""
    return ":" in host or host.rstrip(".").rpartition(".")[2].isdigit()


def is_secure(url: URL, origins: AbstractSet[URL]) -> bool:
    """Whether ``Secure`` cookies may be exchanged with *url*: over TLS, or as *origins* say."""
    if url.scheme in _SECURE_SCHEMES:
        return True
    if not origins:
        return False
    try:
        return url.origin() in origins
    except ValueError:  # not an absolute URL
        return False


def domain_matches(host: str, domain: str) -> bool:
    """Whether *host* is *domain* or one of its subdomains (§5.1.3)."""
    return host == domain or (host.endswith("." + domain) and not is_ip(host))


def path_matches(path: str, prefix: str) -> bool:
    """Whether *path* is *prefix* or lies below it (§5.1.4)."""
    return path.startswith(prefix) and (
        prefix[-1] == "/" or len(path) == len(prefix) or path[len(prefix)] == "/"
    )


def _scope(attribute: str, host: str | None) -> tuple[str, bool] | None:
    """Return a cookie's domain and whether it is for one host only; None to refuse the cookie."""
    domain = attribute.lower().removeprefix(".")
    if not domain or domain.endswith("."):
        return ("", False) if host is None else (host, True)
    if host is None:
        return domain, False
    if not domain_matches(host, domain):
        return None
    if "." not in domain:
        # This is the default rule of the public suffix list, which works without the list: a name
        # without a dot is a public suffix, and a cookie for it is for that host only (§5.7).
        return (host, True) if domain == host else None
    return domain, False


def _deadline(morsel: Morsel[str], now: float) -> float | None:
    """Return when the cookie expires; None for a session cookie.  ``Max-Age`` has precedence."""
    age = str(morsel["max-age"])
    if age and MAX_AGE.fullmatch(age):
        seconds = int(age)
        # Limited, because a float cannot hold every int, nor a datetime every float.
        return now + min(seconds, 10**11) if seconds > 0 else -math.inf
    expires = morsel["expires"]
    return parse_date(str(expires)) if expires else None


def _obeys_prefix(name: str, morsel: Morsel[str]) -> bool:
    """Whether a cookie meets the conditions of the prefix of its *name*, in lower case (§4.1.3).

    The prefixes that require ``HttpOnly`` are from the successor of RFC 6265bis.
    """
    if name.startswith("__host-") and (morsel["domain"] or morsel["path"] != "/"):
        return False
    if name.startswith(("__http-", "__host-http-")) and not morsel["httponly"]:
        return False
    return bool(morsel["secure"]) or not name.startswith(("__secure-", "__host-", "__http-"))


def scoped(morsel: Morsel[str], origin: Place, now: float) -> Cookie | None:
    """Set domain and path, also in *morsel*; return None if *origin* may not set the cookie."""
    name, text = morsel.key, morsel.coded_value
    host = origin.host
    scope = _scope(morsel["domain"], host)
    size = octets(f"{name}={text}")
    if scope is None or size is None:
        return None
    domain, host_only = scope
    secure = bool(morsel["secure"])
    if host is not None:
        if secure and not origin.secure:
            return None
        if name.startswith("__") and not _obeys_prefix(name.lower(), morsel):
            return None
    path = morsel["path"]
    if not path.startswith("/"):
        # §5.1.4: the default path is the directory of the requested path.
        path = origin.path[: origin.path.rfind("/")] or "/"
    # Call dict's method: Morsel's own checks the names.
    dict.update(morsel, domain=domain, path=path)
    return Cookie(
        name=name,
        text=text,
        morsel=morsel,
        domain=domain,
        path=path,
        host_only=host_only,
        secure=secure,
        expires=_deadline(morsel, now),
        octets=size,
        protection=secure + (secure and name.lower().startswith("__host-")),
    )
