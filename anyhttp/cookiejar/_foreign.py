"""The option ``cookie_jar``, which may be a jar of aiohttp."""

from __future__ import annotations

from typing import Any, Final

from .._common import check_instance, class_has
from ..abc import AbstractCookieJar

__all__ = ("checked_jar",)

#: What is used of a jar.
_INTERFACE: Final = (
    "__iter__",
    "__len__",
    "clear",
    "clear_domain",
    "filter_cookies",
    "quote_cookie",
    "update_cookies",
    "update_cookies_from_headers",
)


def checked_jar(jar: Any) -> AbstractCookieJar:
    """Return *jar* if it is an :class:`AbstractCookieJar` or has the interface of one.

    :raises TypeError: it is something else
    """
    if not isinstance(jar, AbstractCookieJar) and class_has(jar, *_INTERFACE):
        foreign: AbstractCookieJar = jar
        return foreign
    check_instance("cookie_jar", jar, AbstractCookieJar)
    own: AbstractCookieJar = jar
    return own
