"""The cookies of a jar as a mapping."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from http.cookies import SimpleCookie

from ._store import Store

__all__ = ("CookiesByPlace",)


class CookiesByPlace(Mapping[tuple[str, str], SimpleCookie]):
    """The cookies by domain and path, as they are at the moment of asking.

    :param store: returns the jar's store, which ``clear()`` and ``load()`` exchange
    """

    def __init__(self, store: Callable[[], Store]) -> None:
        self._store = store

    def __getitem__(self, place: tuple[str, str]) -> SimpleCookie:
        found = SimpleCookie()
        match place:
            case (str(domain), str(path)):
                for cookie in self._store().sites.get(domain, {}).values():
                    if cookie.shown_path == path:
                        # Call dict's method: SimpleCookie's own refuses some names.
                        dict.__setitem__(found, cookie.name, cookie.morsel)
        if not found:
            raise KeyError(place)
        return found

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(dict.fromkeys((cookie.domain, cookie.shown_path) for cookie in self._store()))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def copy(self) -> dict[tuple[str, str], SimpleCookie]:
        """Return a dictionary that does not follow later changes."""
        return dict(self)
