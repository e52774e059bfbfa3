"""Stores cookies and limits their number; "§" means RFC 6265bis."""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Iterator
from typing import Final

from ._matching import Cookie, domain_matches, is_ip, path_matches

__all__ = ("SecureCookies", "Store")

# The limits are Firefox's.  When a domain has reached the first number, cookies are evicted until
# there are as many as the second number, including the new cookie.
MAX_COOKIES_PER_DOMAIN: Final = 180
DOMAIN_QUOTA: Final = 150
MAX_COOKIES: Final = 3300
TOTAL_QUOTA: Final = 3000


class Store:
    """Stores cookies by domain and limits their number; it knows nothing of requests."""

    def __init__(self) -> None:
        # By domain, so that a request does not have to search other sites' cookies.
        self.sites: dict[str, dict[tuple[str, str], Cookie]] = {}
        self.count = 0
        self._ticks = 0
        # All cookies by their protection, so that a full jar is not searched for each new one.
        self._kinds: tuple[dict[Cookie, None], ...] = ({}, {}, {})
        #: the Secure cookies by name, for the one rule that looks at all domains
        self.secure: dict[str, set[Cookie]] = {}
        # A heap of (expiry, tick, cookie); a removed cookie stays in it until its expiry.
        self._expiries: list[tuple[float, int, Cookie]] = []

    def __iter__(self) -> Iterator[Cookie]:
        for site in self.sites.values():
            yield from site.values()

    def tick(self) -> int:
        """Return the next number of a counter; eviction and sending use it to order cookies."""
        self._ticks += 1
        return self._ticks

    def put(self, cookie: Cookie, now: float) -> bool:
        """Store *cookie*, replacing the one with the same key; False if there is no room for it."""
        old = self.sites.get(cookie.domain, {}).get(cookie.key)
        expired = cookie.is_expired(now)
        if old is None:
            if expired:
                return True  # an expired cookie only deletes, so no cookie must be evicted for it
            if not self._make_room(cookie, now):
                return False
        else:
            self.remove(old)
        if expired:
            return True
        cookie.used = self.tick()
        # §5.7: a cookie that replaces another keeps its creation time, and so its place.
        cookie.created = cookie.used if old is None else old.created
        self.sites.setdefault(cookie.domain, {})[cookie.key] = cookie
        self._kinds[cookie.protection][cookie] = None
        self.count += 1
        if cookie.secure:
            self.secure.setdefault(cookie.name, set()).add(cookie)
        if cookie.expires is not None:
            heapq.heappush(self._expiries, (cookie.expires, cookie.used, cookie))
        return True

    def remove(self, cookie: Cookie) -> None:
        """Remove *cookie*, which must be in the store."""
        site = self.sites[cookie.domain]
        del site[cookie.key]
        if not site:
            del self.sites[cookie.domain]
        del self._kinds[cookie.protection][cookie]
        self.count -= 1
        if cookie.secure:
            namesakes = self.secure[cookie.name]
            namesakes.remove(cookie)
            if not namesakes:
                del self.secure[cookie.name]

    def _holds(self, cookie: Cookie) -> bool:
        return self.sites.get(cookie.domain, {}).get(cookie.key) is cookie

    def expire(self, now: float) -> None:
        """Remove the cookies that have expired."""
        expiries = self._expiries
        while expiries and expiries[0][0] <= now:
            cookie = heapq.heappop(expiries)[2]
            if self._holds(cookie):
                self.remove(cookie)
        # Limit the heap: a server may set the same cookie again and again.
        if len(expiries) > 100 + 2 * self.count:
            expiries[:] = [entry for entry in expiries if self._holds(entry[2])]
            heapq.heapify(expiries)

    def _make_room(self, cookie: Cookie, now: float) -> bool:
        """Evict as many cookies as *cookie* needs; False if *cookie* must be refused instead.

        Expired cookies are removed first.
        """
        if self._is_full(cookie.domain):
            self.expire(now)
        if self._is_full(cookie.domain):
            site = self.sites[cookie.domain].values()
            least = min(other.protection for other in site)
            stale = [other for other in site if other.protection == least]
            if not self._evict(stale, len(site) - (DOMAIN_QUOTA - 1), cookie):
                return False
        if self.count >= MAX_COOKIES:
            self.expire(now)
        if self.count >= MAX_COOKIES:
            least_protected = next(kind for kind in self._kinds if kind)
            return self._evict(least_protected, self.count - (TOTAL_QUOTA - 1), cookie)
        return True

    def _is_full(self, domain: str) -> bool:
        return len(self.sites.get(domain, ())) >= MAX_COOKIES_PER_DOMAIN

    def _evict(self, stale: Collection[Cookie], surplus: int, newcomer: Cookie) -> bool:
        """Remove up to *surplus* of *stale*, the least recently used first.

        :param stale: cookies of one kind, the one with the least protection
        :return: False if they have more protection than *newcomer*
        """
        if next(iter(stale)).protection > newcomer.protection:
            return False
        for cookie in heapq.nsmallest(surplus, stale, key=lambda cookie: cookie.used):
            self.remove(cookie)
        return True


class SecureCookies:
    """The Secure cookies that no cookie of one response without TLS may overlay (§5.7).

    All that have the name of a cookie are looked at once, whatever number of cookies the response
    sets by that name.

    :param host: that has sent the response
    """

    def __init__(self, store: Store, host: str) -> None:
        self._store = store
        self._host = host
        self._found: dict[str, dict[str, float]] = {}  # by name, then by path

    def forbid(self, cookie: Cookie) -> bool:
        """Whether *cookie* would overlay one of them."""
        found = self._found.get(cookie.name)
        if found is None:
            found = self._found[cookie.name] = self._longest_domains(cookie.name)
        size, path = len(cookie.domain), cookie.path
        if path.count("/") < len(found):
            return any(size <= found.get(prefix, -1) for prefix in _prefixes(path))
        return any(size <= most and path_matches(path, prefix) for prefix, most in found.items())

    def _longest_domains(self, name: str) -> dict[str, float]:
        """Return how long the domain of a cookie may be that overlays one with a path."""
        found: dict[str, float] = {}
        for cookie in self._store.secure.get(name, ()):
            most = self._longest_domain(cookie.domain)
            if most:
                found[cookie.path] = max(most, found.get(cookie.path, 0))
        return found

    def _longest_domain(self, domain: str) -> float:
        """Return how long a domain of the host may be that is above or below *domain*."""
        if domain_matches(self._host, domain):
            return math.inf
        rest = "" if is_ip(domain) else domain.partition(".")[2]
        while rest and not domain_matches(self._host, rest):
            rest = rest.partition(".")[2]
        return len(rest)


def _prefixes(path: str) -> Iterator[str]:
    """Yield the paths that match *path* (§5.1.4)."""
    yield path
    for end, char in enumerate(path):
        if char == "/":
            yield path[:end]
            yield path[: end + 1]
