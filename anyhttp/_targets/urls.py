"""Checks whether a URL can be requested."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import Final

import idna
from yarl import URL

from .._common import check_str, parsed_url, shortened, with_plain_zone
from .._headers import CONTROL_RANGE, SURROGATE
from ..client_exceptions import InvalidUrlClientError, NonHttpUrlClientError
from ..typedefs import StrOrURL

__all__ = (
    "NO_PORT",
    "REQUESTS_OF",
    "checked_server_hostname",
    "checked_url",
    "host_error",
    "is_loopback",
    "is_secure",
    "is_upgrade",
    "origin_of",
    "parse_error",
    "target_error",
)

#: Longest host, in characters, for which the result of the check is cached.
MAX_KNOWN_HOST: Final = 64

#: What is wrong with a URL whose scheme has no default port.
NO_PORT: Final = "the URL has no port, and its scheme has no default one"

# A host with a port, such as "localhost:8080/path", looks like a scheme with a path.
_HOST_AND_PORT: Final = re.compile(r"[A-Za-z0-9\-.]+:[0-9]+(?:[/?#]|\Z)")

_NOT_IN_TARGET: Final = re.compile(rf"[ {CONTROL_RANGE}]")


#: Scheme, host and port of a URL (:rfc:`6454#section-4`).
Origin = tuple[str, str, int | None]

#: The schemes of WebSockets, whose handshakes are requests, and the schemes of such requests.
REQUESTS_OF: Final = {"ws": "http", "wss": "https"}


def origin_of(url: URL) -> Origin:
    """Return the origin of *url*: credentials for a URL may go to every URL with its origin.

    Unlike ``yarl.URL.origin()``, a default port is the same whether it is written or not, and
    ``wss`` is the same as ``https``.  ``host`` and ``host.`` are different: DNS may know them as
    different hosts.
    """
    scheme = url.scheme
    return REQUESTS_OF.get(scheme, scheme), (url.raw_host or "").lower(), url.port


def is_secure(url: URL) -> bool:
    """Whether the host of *url* is reached by TLS."""
    return url.scheme in {"https", "wss"}


def is_loopback(host: str) -> bool:
    """Whether *host* is this computer: what is sent there crosses no network (:rfc:`6761`)."""
    name = host.rstrip(".").lower()
    try:
        return ipaddress.ip_address(with_plain_zone(host)).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


def is_upgrade(url: URL, target: URL) -> bool:
    """Whether *target* is the same host as *url*, reached by TLS, and both have default ports."""
    plain, host, _ = origin_of(url)
    secure, target_host, _ = origin_of(target)
    return (
        (plain, secure) == ("http", "https")
        and host == target_host
        and url.is_default_port()
        and target.is_default_port()
    )


def checked_url(url: StrOrURL, schemes: frozenset[str], base_url: URL | None = None) -> URL:
    """Return *url* as an absolute URL that can be requested.

    :param schemes: the schemes that the connector supports
    :raises InvalidUrlClientError: the URL cannot be parsed, has no host, or its host is neither
        a name nor a well-formed address
    :raises NonHttpUrlClientError: its scheme is not among *schemes*
    :raises TypeError: it is neither a ``str`` nor a URL
    """
    if isinstance(url, str):
        return _parse(url, schemes, base_url)
    if not isinstance(url, URL):
        raise TypeError(f"url must be a str or a yarl.URL, not {type(url).__name__}")
    return _absolute(url, schemes, base_url)


def _parse(text: str, schemes: frozenset[str], base_url: URL | None) -> URL:
    try:
        url = parsed_url(text)
    except ValueError as exc:
        raise InvalidUrlClientError(shortened(text), parse_error(exc)) from None
    return _absolute(url, schemes, base_url)


def _absolute(given: URL, schemes: frozenset[str], base_url: URL | None) -> URL:
    url = given
    if base_url is not None and not url.absolute:
        url = base_url.join(url)
    if not url.scheme:
        raise InvalidUrlClientError(
            given, "the URL is relative: it has no scheme, and the session has no base_url"
        )
    if url.scheme not in schemes:
        if _HOST_AND_PORT.match(str(given)):
            raise NonHttpUrlClientError(given, "the scheme is missing: write http:// before it")
        raise NonHttpUrlClientError(given)
    reason = host_error(url.raw_host)
    if reason is None and not url.raw_path_qs.isascii() and SURROGATE.search(url.raw_path_qs):
        reason = "the URL holds a lone surrogate"  # as it was made with encoded=True
    if reason is not None:
        raise InvalidUrlClientError(given, reason)
    return url


def parse_error(error: ValueError) -> str:
    """Return the text of *error*, raised by URL parsing, unless it quotes the user info."""
    if isinstance(error, UnicodeError):  # its text is another one in each version of Python
        return "the host cannot be encoded by IDNA"
    text = str(error)
    return "the URL cannot be parsed" if "@" in text else text


#: Characters that no host has (RFC 3986 §3.2.2).  A URL made with ``encoded=True`` may hold any
#: character, and a resolver might then look up another host than the one that was checked.
_NOT_IN_HOST: Final = re.compile(r"[^A-Za-z0-9\-._~!$&'()*+,;=%:]")
_NUMERIC_LABEL: Final = re.compile(r"(?:[0-9]+|0[xX][0-9A-Fa-f]*)")


def host_error(host: str | None) -> str | None:
    """Return what is wrong with *host*, ``None`` if it is valid.

    Other programs read ``127.1``, ``0177.0.0.1`` and ``2130706433`` as addresses.  If an
    application checks such a host, it checks another host than the one that is connected to.
    The same goes for names with escapes, such as ``%61.test``: some programs decode them.
    """
    if not host or not host.strip("."):
        return "the URL has no host"
    # Redirects choose hosts too, and long ones must not fill the memory of the cache.
    return _known_host_error(host) if len(host) <= MAX_KNOWN_HOST else _host_error(host)


def _host_error(host: str) -> str | None:
    is_name = ":" not in host
    if _NOT_IN_HOST.search(host) or (is_name and "%" in host):
        return "the host holds characters that no host name has"
    if not is_name:
        return _ipv6_error(host)
    if _has_empty_label(host):
        return "the host begins with a dot, or has two dots in a row"
    last = host.rstrip(".").rpartition(".")[2]
    if _NUMERIC_LABEL.fullmatch(last):
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            return "the host is neither a name nor an IPv4 address in its usual form"
    return None


_known_host_error: Final = lru_cache(maxsize=256)(_host_error)


def _ipv6_error(host: str) -> str | None:
    try:
        ipaddress.IPv6Address(with_plain_zone(host))
    except ValueError:
        return "the host is not an IPv6 address"
    return None


def target_error(target: str) -> str | None:
    """Return what is wrong with a request target, if anything (:rfc:`9112#section-3.2`)."""
    if _NOT_IN_TARGET.search(target):
        return "the URL holds spaces or control characters"
    return None


def checked_server_hostname(name: str) -> str:
    """Return *name* if it can be the host name in a TLS certificate.

    :raises TypeError: it is not a ``str``
    :raises ValueError: it cannot
    """
    check_str("server_hostname", name)
    fits = bool(name.strip(".")) and name.isprintable() and " " not in name
    if fits and not name.isascii():
        try:
            idna.encode(name, uts46=True)
        except idna.IDNAError:
            fits = False
    if not fits or _has_empty_label(name):
        raise ValueError(f"server_hostname is not the name of a host: {name!r}")
    return name


def _has_empty_label(host: str) -> bool:
    """Whether no name of DNS looks like *host* (:rfc:`1035#section-3.1`); TLS refuses some too."""
    return host.startswith(".") or ".." in host
