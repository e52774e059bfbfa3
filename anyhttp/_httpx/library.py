"""What a transport uses of its library, and the protocols that both libraries fulfil."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from ssl import SSLContext
from typing import Any, Protocol, TypeAlias

__all__ = (
    "CertificateOption",
    "Library",
    "Limits",
    "Proxy",
    "ProxyOption",
    "Request",
    "VerifyOption",
)

VerifyOption: TypeAlias = SSLContext | str | bool
CertificateOption: TypeAlias = str | tuple[str, str] | tuple[str, str, str]


class Url(Protocol):
    """The URL of a request, or of a proxy."""

    @property
    def scheme(self) -> str: ...
    @property
    def raw_host(self) -> bytes: ...
    @property
    def port(self) -> int | None: ...
    @property
    def raw_path(self) -> bytes: ...


class Headers(Protocol):
    """Header fields."""

    @property
    def raw(self) -> list[tuple[bytes, bytes]]: ...


class Request(Protocol):
    """A request, as the client of the library hands it to its transport."""

    @property
    def method(self) -> str: ...
    @property
    def url(self) -> Url: ...
    @property
    def headers(self) -> Headers: ...
    @property
    def stream(self) -> object: ...
    @property
    def extensions(self) -> MutableMapping[str, Any]: ...


class Limits(Protocol):
    """``Limits`` of the library."""

    @property
    def max_connections(self) -> int | None: ...
    @property
    def max_keepalive_connections(self) -> int | None: ...
    @property
    def keepalive_expiry(self) -> float | None: ...


class Proxy(Protocol):
    """``Proxy`` of the library."""

    @property
    def url(self) -> Url: ...
    @property
    def raw_auth(self) -> tuple[bytes, bytes] | None: ...
    @property
    def headers(self) -> Headers: ...
    @property
    def ssl_context(self) -> SSLContext | None: ...


ProxyOption: TypeAlias = str | Url | Proxy


@dataclass(frozen=True, slots=True)
class Library:
    """httpx, or its successor httpx2: two packages with the same names in them.

    :param package: the module ``httpx`` or ``httpx2``
    :param core: name of the package that its own transport stands on
    :param response_stream: the class of response bodies that are received piece by piece
    """

    package: Any
    core: str
    response_stream: type[Any]

    def error(self, name: str, text: str) -> Exception:
        """Return an exception of the library."""
        made: Exception = getattr(self.package, name)(text)
        return made

    def core_error(self, name: str, text: str) -> Exception:
        """Return an exception of the package below, as its network streams raise them."""
        made: Exception = getattr(import_module(self.core), name)(text)
        return made

    def body_in_memory(self, stream: object) -> bytes | None:
        """Return the bytes of a request body that is in memory, else ``None``."""
        if type(stream) is not self.package.ByteStream:
            return None
        pieces: Iterator[bytes] = iter(stream)  # type: ignore[call-overload]  # it is iterable
        return b"".join(pieces)

    def default_limits(self) -> Limits:
        """Return the limits of the library's own transport."""
        made: Limits = self.package.Limits(max_connections=100, max_keepalive_connections=20)
        return made

    def tls_context(
        self,
        *,
        verify: VerifyOption = True,
        cert: CertificateOption | None = None,
        trust_env: bool = True,
    ) -> SSLContext:
        """Return the TLS context that the library makes of these options, for HTTP/1.1."""
        context: SSLContext = self.package.create_ssl_context(
            verify=verify, cert=cert, trust_env=trust_env
        )
        # A context that another client has used as well may offer HTTP/2.
        context.set_alpn_protocols(["http/1.1"])
        return context

    def proxy(self, proxy: ProxyOption) -> Proxy:
        """Return the library's ``Proxy`` for the option *proxy*, which may be a URL."""
        if isinstance(proxy, self.package.Proxy):
            return proxy  # type: ignore[no-any-return]  # the class is known at run time alone
        made: Proxy = self.package.Proxy(url=proxy)
        return made

    def respond(
        self,
        status: int,
        headers: Sequence[tuple[bytes, bytes]],
        stream: object,
        extensions: dict[str, object],
    ) -> Any:
        """Return a response of the library."""
        return self.package.Response(status, headers=headers, stream=stream, extensions=extensions)
