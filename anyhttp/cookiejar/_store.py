"""Stores cookies and limits their number; "§" means RFC 6265bis."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator
from typing import Final

from ._matching import Cookie, domain_matches, path_matches

__all__ = ("Store",)

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
        # Secure cookies by name, for overlaid(), the one rule that looks at all domains.
        self._secure: dict[str, set[Cookie]] = {}
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
            self._secure.setdefault(cookie.name, set()).add(cookie)
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
            namesakes = self._secure[cookie.name]
            namesakes.remove(cookie)
            if not namesakes:
                del self._secure[cookie.name]

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

    def overlaid(self, cookie: Cookie) -> bool:
        """Whether *cookie*, set without TLS, would overlay a Secure cookie (§5.7)."""
        return any(
            (
                domain_matches(cookie.domain, other.domain)
                or domain_matches(other.domain, cookie.domain)
            )
            and path_matches(cookie.path, other.path)
            for other in self._secure.get(cookie.name, ())
        )

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
