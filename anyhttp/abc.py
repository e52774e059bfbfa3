"""What callers may implement: resolvers, cookie jars, writers of bodies, streams."""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from http.cookies import BaseCookie, Morsel, SimpleCookie
from typing import Protocol, TypedDict

from yarl import URL

from ._common import warn_about_loop
from ._headers import read_all
from .payload import Writer as AbstractStreamWriter
from .typedefs import LooseCookies

__all__ = (
    "AbstractCookieJar",
    "AbstractResolver",
    "AbstractStreamWriter",
    "ClearCookiePredicate",
    "ConnectorStream",
    "ResolveResult",
)

ClearCookiePredicate = Callable[["Morsel[str]"], bool]


class ResolveResult(TypedDict):
    """One address of a host, as a resolver returns it: a dictionary with these keys.

    ``hostname``
        the name that was looked up
    ``host``
        the address, as text
    ``port``
        the port that was asked for
    ``family``, ``proto``, ``flags``
        as :func:`socket.getaddrinfo` returns and takes them
    """

    hostname: str
    host: str
    port: int
    family: int
    proto: int
    flags: int


class AbstractResolver(ABC):
    """Turns host names into addresses."""

    @abstractmethod
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of *host*, the preferred one first.

        :param family: ``AF_INET``, ``AF_INET6``, or ``AF_UNSPEC`` for both
        :raises OSError: the name cannot be resolved
        """

    @abstractmethod
    async def close(self) -> None:
        """Free what the resolver holds."""


class ConnectorStream(Protocol):
    """What the stream of an own connector may have besides the methods of anyio's ``ByteStream``.

    A stream may have each of them, or not.
    """

    #: whether the stream serves one request, after which its connection is not kept
    for_one_exchange: bool

    #: what the program at the other end has failed with; when ``receive()`` raises this very
    #: exception, it comes out of the request unchanged, also if it looks like one of the network
    failure: BaseException | None

    def abort(self) -> None:
        """Tell the other side at once that nothing more is sent or received; do not wait.

        It is called once at most, also while a task waits in ``receive()`` or ``send()``, whose
        result does not count any more.  ``aclose()`` is awaited afterwards.
        """


class AbstractCookieJar(Sized, Iterable["Morsel[str]"], ABC):
    """Stores cookies from responses and chooses those that go with a request.

    :param loop: no effect; accepted for compatibility with aiohttp
    """

    def __init__(self, *, loop: object = None) -> None:
        warn_about_loop(loop)

    @property
    @abstractmethod
    def quote_cookie(self) -> bool:
        """Whether values that need quotes are quoted when sent."""

    @property
    @abstractmethod
    def unsafe(self) -> bool:
        """Whether cookies of IP addresses are accepted."""

    @property
    def treat_as_secure_origin(self) -> frozenset[URL]:
        """Origins without TLS that still get ``Secure`` cookies."""
        return frozenset()

    @property
    @abstractmethod
    def cookies(self) -> Mapping[tuple[str, str], SimpleCookie]:
        """The stored cookies by (domain, path)."""

    @property
    @abstractmethod
    def host_only_cookies(self) -> frozenset[tuple[str, str, str]]:
        """(domain, path, name) of the cookies that are not sent to subdomains."""

    @abstractmethod
    def clear(self, predicate: ClearCookiePredicate | None = None) -> None:
        """Remove all cookies, or those for which *predicate* is true."""

    @abstractmethod
    def clear_domain(self, domain: str) -> None:
        """Remove the cookies of *domain* and its subdomains."""

    @abstractmethod
    def update_cookies(self, cookies: LooseCookies, response_url: URL = URL()) -> None:
        """Store *cookies* as if the response from *response_url* had set them."""

    def update_cookies_from_headers(self, headers: Sequence[str], response_url: URL) -> None:
        """Store the cookies that the ``Set-Cookie`` values *headers* of one response set.

        It calls :meth:`update_cookies` once, with pairs of name and ``Morsel``: a name may occur
        several times, for different paths.
        """
        cookies, _ = read_all(headers)
        if cookies:
            self.update_cookies([(morsel.key, morsel) for morsel in cookies], response_url)

    @abstractmethod
    def filter_cookies(self, request_url: URL) -> BaseCookie[str]:
        """Return the cookies to send to *request_url*."""

    @abstractmethod
    def __iter__(self) -> Iterator[Morsel[str]]: ...
