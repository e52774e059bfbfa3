"""Small immutable values that every room may use: they import nothing else of the package."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, Self, TypeVar

from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from .arguments import class_has
from .urls import without_user_info

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from anyio.abc import ByteStream
    from multidict import MultiMapping

__all__ = (
    "ConnectionKey",
    "ETag",
    "FieldsMemo",
    "HttpVersion",
    "HttpVersion10",
    "HttpVersion11",
    "PastResponse",
    "ProxyKey",
    "RequestInfo",
    "foreign_version",
    "make_connection_key",
    "shown_headers",
    "with_plain_zone",
    "without_zone",
)


class HttpVersion(NamedTuple):
    """Version of the HTTP protocol, compared as numbers (:rfc:`9110#section-2.5`)."""

    major: int
    minor: int


def foreign_version(value: object) -> HttpVersion | None:
    """Return the version in *value*, if it is like aiohttp's object, else ``None``."""
    if isinstance(value, tuple) and len(value) == 2 and class_has(value, "major", "minor"):
        return HttpVersion(*value)
    return None


HttpVersion10: Final = HttpVersion(1, 0)
HttpVersion11: Final = HttpVersion(1, 1)


@dataclass(frozen=True, slots=True)
class ETag:
    """An entity tag, which identifies a state of a resource (:rfc:`9110#section-8.8.3`).

    :param value: the text between the quotes
    :param is_weak: whether states with this tag may differ in their bytes
    """

    value: str
    is_weak: bool = False


# Fields whose values are never shown in messages and logs; in lower case.
SECRET_HEADERS: Final = frozenset(
    {"authorization", "proxy-authorization", "cookie", "set-cookie", "authentication-info"}
)

# A URL percent-encodes the percent sign before the zone as "%25" (RFC 6874 §2).  Browsers and
# curl also accept a plain "%", so "%25" with nothing behind it is the zone with the number 25.
_ZONE: Final = re.compile(r"%(?:25(?=[^\]]))?([^\]]*)")


def without_zone(host: str) -> str:
    """Return *host* without the zone that a link-local IPv6 address may name (:rfc:`6874`).

    A zone is valid on this machine only, so it is never sent to a peer.
    """
    return _ZONE.sub("", host) if "%" in host else host


def with_plain_zone(host: str) -> str:
    """Return *host*, and its zone if it has one, as the operating system writes it."""
    return _ZONE.sub(r"%\1", host) if "%" in host else host


# Fields whose value is a URL; in other fields a URL stands in "<>", behind "url=" or anywhere.
_URL_HEADERS: Final = frozenset({"location", "content-location", "uri", "referer"})
_URLS_INSIDE: Final = re.compile(r"(?<=<)[^<>]++|(?i:(?<=url=))[^<>]++")
_USER_INFO: Final = re.compile(r"//[^/?#\s<>\"@]*+(?:@[^/?#\s<>\"@]*+)*@")


def shown_headers(headers: MultiMapping[str]) -> str:
    """Return the ``repr`` of *headers*, with the values of credentials and cookies masked.

    Of the URLs in other values, the user info is left out.
    """
    pairs = ", ".join(
        f"{str(name)!r}: {_shown_value(name.lower(), value)}" for name, value in headers.items()
    )
    return f"<{type(headers).__name__}({pairs})>"


def _shown_value(name: str, value: str) -> str:
    if name in SECRET_HEADERS:
        return "'***'"
    if "@" not in value:
        return repr(value)
    if name in _URL_HEADERS:
        value = without_user_info(value)
    else:
        value = _URLS_INSIDE.sub(lambda url: without_user_info(url[0]), value)
    return repr(_USER_INFO.sub("//", value))


Fields = tuple[tuple[str, str], ...]
T = TypeVar("T")


class FieldsMemo(dict[Fields, T]):
    """A cache of values that are computed from header fields.

    Most requests of a program have the same fields as an earlier one.  The cache outlives every
    session, so it stores nothing for fields with credentials or cookies: their value is computed
    each time.  Nor does it for the key of a WebSocket, which no other request repeats.

    :param make: computes the value
    """

    __slots__ = ("_make",)

    #: most values that are stored
    SIZE: Final = 256

    def __init__(self, make: Callable[[Fields], T]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, fields: Fields) -> T:
        made = self._make(fields)
        if not _are_for_once(tuple([name for name, _ in fields])):
            if len(self) >= self.SIZE:
                self.clear()
            self[fields] = made
        return made


@lru_cache(maxsize=256)
def _are_for_once(names: tuple[str, ...]) -> bool:
    return any(
        name.lower() in SECRET_HEADERS or name.lower() == "sec-websocket-key" for name in names
    )


class _RequestInfo(NamedTuple):
    url: URL
    method: str
    headers: CIMultiDictProxy[str]
    real_url: URL


class RequestInfo(_RequestInfo):
    """The URL, method and headers of a request, as kept by responses and errors.

    :param url: the requested URL without its fragment
    :param method: the HTTP method in upper case
    :param headers: the headers as they were sent
    :param real_url: the URL with its fragment; *url* when left out

    The ``repr`` shows neither user info nor the values of credential headers.
    """

    __slots__ = ()

    def __new__(
        cls,
        url: URL,
        method: str,
        headers: CIMultiDictProxy[str],
        real_url: URL | None = None,
    ) -> Self:
        return tuple.__new__(cls, (url, method, headers, url if real_url is None else real_url))

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(url={without_user_info(self.url)!r}, method={self.method!r}, "
            f"headers={shown_headers(self.headers)}, "
            f"real_url={without_user_info(self.real_url)!r})"
        )

    def __reduce__(
        self,
    ) -> tuple[
        Callable[..., RequestInfo], tuple[type[RequestInfo], URL, str, CIMultiDict[str], URL]
    ]:
        # The read-only view of a multidict cannot be pickled; a copy can.
        return _restored, (type(self), self.url, self.method, CIMultiDict(self.headers), self[3])


def _restored(
    cls: type[RequestInfo], url: URL, method: str, headers: CIMultiDict[str], real_url: URL
) -> RequestInfo:
    return cls(url, method, CIMultiDictProxy(headers), real_url)


class PastResponse(Protocol):
    """What can be read from a response of the history, such as a redirect."""

    @property
    def status(self) -> int: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def method(self) -> str: ...
    @property
    def url(self) -> URL: ...
    @property
    def real_url(self) -> URL: ...
    @property
    def headers(self) -> CIMultiDictProxy[str]: ...


class SupportsFingerprint(Protocol):
    """The part of ``Fingerprint`` that making a connection needs."""

    @property
    def fingerprint(self) -> bytes: ...
    def check(
        self, stream: ByteStream, host: str | None = None, port: int | None = None
    ) -> None: ...


class SupportsBasicAuth(Protocol):
    """The part of ``BasicAuth`` that a connection key needs: it tells two logins apart."""

    @property
    def login(self) -> str: ...


class ConnectionKey(NamedTuple):
    """Everything that must be equal for two requests to share a connection: a named tuple.

    :param host: host of the URL
    :param port: its port
    :param is_ssl: whether TLS is used
    :param ssl: how the certificate is verified
    :param proxy: URL of the proxy, ``None`` without one
    :param proxy_auth: credentials for the proxy
    :param proxy_headers_hash: hash of the headers for the proxy
    :param server_hostname: the name that the certificate must have, if it is not *host*
    """

    # It is a tuple because it is hashed for every request.

    host: str
    port: int | None
    is_ssl: bool
    ssl: ssl.SSLContext | bool | SupportsFingerprint
    proxy: URL | None
    proxy_auth: SupportsBasicAuth | None
    proxy_headers_hash: int | None
    server_hostname: str | None = None

    def __repr__(self) -> str:
        proxy = None if self.proxy is None else without_user_info(self.proxy)
        return (
            f"{type(self).__name__}(host={self.host!r}, port={self.port!r}, "
            f"is_ssl={self.is_ssl!r}, ssl={self.ssl!r}, proxy={proxy!r}, "
            f"proxy_auth={'None' if self.proxy_auth is None else '***'}, "
            f"proxy_headers_hash={self.proxy_headers_hash!r}, "
            f"server_hostname={self.server_hostname!r})"
        )


#: Makes a key, which each request needs; this is faster than the constructor.
make_connection_key: Final[Callable[[tuple[object, ...]], ConnectionKey]] = partial(
    tuple.__new__, ConnectionKey
)


class ProxyKey(ConnectionKey):
    """The key of a proxy itself, so that errors can say that they are about the proxy."""

    __slots__ = ()
