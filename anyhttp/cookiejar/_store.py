"""Which hosts and paths a cookie is for, and the store that keeps cookies within limits.

The rules are those of RFC 6265bis; "§" below means it.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from http.cookies import Morsel
from typing import Final, NamedTuple

from .._headers import MAX_AGE, make_morsel, octets, parse_date

__all__ = ("Cookie", "Place", "Store", "domain_matches", "is_ip", "scoped")

# -- what a cookie belongs to, and where it goes (§5.1, §5.7) --------------------------------


class Place(NamedTuple):
    """Where cookies come from or go to; *host* is None where they belong to all hosts."""

    host: str | None
    path: str
    secure: bool


@dataclass(slots=True, eq=False)
class Cookie:
    """A cookie in its scope; *text* is its value as it is sent."""

    name: str
    text: str
    morsel: Morsel[str]
    domain: str
    path: str
    host_only: bool
    secure: bool
    expires: float | None
    octets: int
    created: int = 0
    used: int = 0
    bare: Morsel[str] = field(init=False)

    def __post_init__(self) -> None:
        self.bare = make_morsel(self.name, self.morsel.value, self.text)

    @property
    def key(self) -> tuple[str, str]:
        return self.path, self.name

    @property
    def shown_path(self) -> str:
        """The path as the views of the jar show it: without a slash at its end."""
        return self.path.rstrip("/")

    def matches(self, path: str, secure: bool) -> bool:
        """Whether it goes along with a request for *path* of its domain."""
        return (secure or not self.secure) and path_matches(path, self.path)

    def is_expired(self, now: float) -> bool:
        return self.expires is not None and self.expires <= now


def is_ip(host: str) -> bool:
    """Whether *host* is an address: a last label of digits makes one, as URL parsers have it."""
    return ":" in host or host.rstrip(".").rpartition(".")[2].isdigit()


def domain_matches(host: str, domain: str) -> bool:
    """§5.1.3."""
    return host == domain or (host.endswith("." + domain) and not is_ip(host))


def path_matches(path: str, prefix: str) -> bool:
    """§5.1.4."""
    return path.startswith(prefix) and (
        prefix[-1] == "/" or len(path) == len(prefix) or path[len(prefix)] == "/"
    )


def _scope(attribute: str, host: str | None) -> tuple[str, bool] | None:
    """Return the domain of a cookie, and whether it is for that host only; None to refuse it."""
    domain = attribute.lower().removeprefix(".")
    if not domain or domain.endswith("."):
        return ("", False) if host is None else (host, True)
    if host is None:
        return domain, False
    if not domain_matches(host, domain):
        return None
    if "." not in domain:
        # The default rule of the public suffix list, for which no list is needed: a name
        # without a dot is a suffix, and a cookie can be for it alone (§5.7).
        return (host, True) if domain == host else None
    return domain, False


def _deadline(morsel: Morsel[str], now: float) -> float | None:
    """Return when the cookie ends; None at the end of the session.  ``Max-Age`` goes first."""
    age = str(morsel["max-age"])
    if MAX_AGE.fullmatch(age):
        seconds = int(age)
        # As much as a datetime can hold, since float cannot hold all that an int can.
        return now + min(seconds, 10**11) if seconds > 0 else -math.inf
    return parse_date(str(morsel["expires"]))


def _obeys_prefix(name: str, morsel: Morsel[str]) -> bool:
    """Whether a cookie is what the prefix of its *name*, in lower case, promises (§4.1.3).

    The prefixes that promise ``HttpOnly`` are those of the successor of RFC 6265bis.
    """
    if name.startswith("__host-") and (morsel["domain"] or morsel["path"] != "/"):
        return False
    if name.startswith(("__http-", "__host-http-")) and not morsel["httponly"]:
        return False
    return bool(morsel["secure"]) or not name.startswith(("__secure-", "__host-", "__http-"))


def scoped(morsel: Morsel[str], origin: Place, now: float) -> Cookie | None:
    """Give a cookie its domain and path, also in *morsel*; None if *origin* may not set it."""
    name, text = morsel.key, morsel.coded_value
    scope = _scope(morsel["domain"], origin.host)
    size = octets(f"{name}={text}")
    if scope is None or size is None:
        return None
    domain, host_only = scope
    secure = bool(morsel["secure"])
    if origin.host is not None:
        if secure and not origin.secure:
            return None
        if not _obeys_prefix(name.lower(), morsel):
            return None
    path = morsel["path"]
    if not path.startswith("/"):
        # §5.1.4: the directory of what was asked for
        path = origin.path[: origin.path.rfind("/")] or "/"
    morsel["domain"] = domain
    morsel["path"] = path
    expires = _deadline(morsel, now)
    return Cookie(name, text, morsel, domain, path, host_only, secure, expires, size)


# -- the store -------------------------------------------------------------------------------

# Firefox has the same limits: beyond the first number it evicts down to the second, which
# counts the cookie that comes.
MAX_COOKIES_PER_DOMAIN: Final = 180
DOMAIN_QUOTA: Final = 150
MAX_COOKIES: Final = 3300
TOTAL_QUOTA: Final = 3000


class Store:
    """Cookies by domain, within their limits; it knows nothing of requests."""

    def __init__(self) -> None:
        # By domain, so that other sites' cookies cost a request nothing.
        self.sites: dict[str, dict[tuple[str, str], Cookie]] = {}
        self.count = 0
        self._ticks = 0
        # Secure cookies by name, for the one rule that looks at all domains.
        self._secure: dict[str, set[Cookie]] = {}
        # A heap of (expiry, tick, cookie), in which removed cookies stay until their expiry.
        self._expiries: list[tuple[float, int, Cookie]] = []

    def __iter__(self) -> Iterator[Cookie]:
        for site in self.sites.values():
            yield from site.values()

    def tick(self) -> int:
        """Count one more use; the order of uses is what eviction and sending go by."""
        self._ticks += 1
        return self._ticks

    def put(self, cookie: Cookie, now: float) -> bool:
        """Store *cookie* in place of its predecessor; False if there is no room for it."""
        old = self.sites.get(cookie.domain, {}).get(cookie.key)
        expired = cookie.is_expired(now)
        if old is None:
            if expired:
                return True  # it only deletes, so no other has to be evicted for it
            if not self._make_room(cookie, now):
                return False
        else:
            self.remove(old)
        if expired:
            return True
        cookie.used = self.tick()
        # §5.7: a successor keeps the place in the order.
        cookie.created = cookie.used if old is None else old.created
        self.sites.setdefault(cookie.domain, {})[cookie.key] = cookie
        self.count += 1
        if cookie.secure:
            self._secure.setdefault(cookie.name, set()).add(cookie)
        if cookie.expires is not None:
            heapq.heappush(self._expiries, (cookie.expires, cookie.used, cookie))
        return True

    def remove(self, cookie: Cookie) -> None:
        """Forget *cookie*, which is in the store."""
        site = self.sites[cookie.domain]
        del site[cookie.key]
        if not site:
            del self.sites[cookie.domain]
        self.count -= 1
        if cookie.secure:
            namesakes = self._secure[cookie.name]
            namesakes.remove(cookie)
            if not namesakes:
                del self._secure[cookie.name]

    def _holds(self, cookie: Cookie) -> bool:
        return self.sites.get(cookie.domain, {}).get(cookie.key) is cookie

    def expire(self, now: float) -> None:
        """Forget the cookies whose time is over."""
        expiries = self._expiries
        while expiries and expiries[0][0] <= now:
            cookie = heapq.heappop(expiries)[2]
            if self._holds(cookie):
                self.remove(cookie)
        # A server that sets the same cookie again and again must not fill the memory.
        if len(expiries) > 100 + 2 * self.count:
            expiries[:] = [entry for entry in expiries if self._holds(entry[2])]
            heapq.heapify(expiries)

    def overlaid(self, cookie: Cookie) -> bool:
        """Whether *cookie*, set without TLS, would shadow one that is Secure (§5.7)."""
        return any(
            (
                domain_matches(cookie.domain, other.domain)
                or domain_matches(other.domain, cookie.domain)
            )
            and path_matches(cookie.path, other.path)
            for other in self._secure.get(cookie.name, ())
        )

    def _make_room(self, cookie: Cookie, now: float) -> bool:
        """Evict what it takes to add *cookie*; False if the cookie is refused instead.

        Expired cookies go first.
        """
        if self._is_full(cookie.domain):
            self.expire(now)
        if self._is_full(cookie.domain):
            site = self.sites[cookie.domain].values()
            # A site without TLS must not be able to evict Secure ones.
            stale = [other for other in site if not other.secure]
            if not stale:
                if not cookie.secure:
                    return False
                stale = list(site)
            self._evict(stale, len(site) - (DOMAIN_QUOTA - 1))
        if self.count >= MAX_COOKIES:
            self.expire(now)
        if self.count >= MAX_COOKIES:
            self._evict(self, self.count - (TOTAL_QUOTA - 1))
        return True

    def _is_full(self, domain: str) -> bool:
        return len(self.sites.get(domain, ())) >= MAX_COOKIES_PER_DOMAIN

    def _evict(self, cookies: Iterable[Cookie], surplus: int) -> None:
        """Forget *surplus* of *cookies*, least recently used first."""
        for cookie in heapq.nsmallest(surplus, cookies, key=lambda cookie: cookie.used):
            self.remove(cookie)
