"""Which proxy a request goes through, and with which credentials.

The decisions are made by plain functions.  Only :func:`environment_proxy` awaits, where asking
the operating system or reading a file could block.
"""

from __future__ import annotations

import ipaddress
import logging
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import anyio.to_thread
from multidict import CIMultiDict
from yarl import URL

from .. import hdrs
from .._common import UnparsedURL, parsed_url, shortened, shown_class
from ..client_exceptions import InvalidURL
from ..typedefs import StrOrURL
from .auth import BasicAuth, foreign_auth, netrc_auth
from .urls import REQUESTS_OF, host_error, is_secure

__all__ = (
    "HTTP_PROXIES",
    "ProxyOptions",
    "bypasses",
    "checked_proxy",
    "chosen_entry",
    "environment_proxy",
    "proxy_options",
)

logger: Final = logging.getLogger("anyhttp.client")

#: The schemes of a proxy's URL, each with its default port.
DEFAULT_PORTS: Final = {
    "http": 80,
    "https": 443,
    "socks4": 1080,
    "socks4a": 1080,
    "socks5": 1080,
    "socks5h": 1080,
}

#: The schemes of proxies that read HTTP themselves; other proxies only forward bytes.
HTTP_PROXIES: Final = frozenset({"http", "https"})

# Whether desktop settings can name proxies, which are used when no variable is set.
_HAS_SYSTEM_PROXIES: Final = sys.platform in {"darwin", "win32"}


@dataclass(frozen=True, slots=True)
class ProxyOptions:
    """What a session or a request sets for its proxy; ``None`` where it sets nothing."""

    url: URL | None
    auth: BasicAuth | None = None
    #: headers that only the proxy gets
    headers: CIMultiDict[str] | None = field(default=None, repr=False)


def proxy_options(
    proxy: StrOrURL | None,
    auth: BasicAuth | None,
    headers: CIMultiDict[str] | None = None,
    default: ProxyOptions | None = None,
) -> ProxyOptions:
    """Return what the arguments ``proxy``, ``proxy_auth`` and ``proxy_headers`` mean together.

    :param default: the session's options, used for arguments that are not given; the session's
        credentials and headers are used only for the session's own proxy
    :raises InvalidURL: *proxy* is no URL of a proxy
    :raises ValueError: *auth* is no ``BasicAuth``, or *headers* contain credentials too
    """
    if auth is not None and not isinstance(auth, BasicAuth):
        converted = foreign_auth(auth)
        if converted is None:
            name = shown_class(type(auth))
            raise ValueError(f"proxy_auth must be an anyhttp.BasicAuth, not {name}")
        auth = converted
    if auth is not None and headers is not None and hdrs.PROXY_AUTHORIZATION in headers:
        raise ValueError("proxy_auth cannot be combined with a Proxy-Authorization header")
    url = None
    if proxy is not None:
        url, found = checked_proxy(proxy)
        auth = found if auth is None else auth
    if default is not None and (url is None or default.url in {None, url}):
        url = default.url if url is None else url
        auth = default.auth if auth is None else auth
        headers = default.headers if headers is None else headers
    _check_credentials(url, auth)
    return ProxyOptions(url, auth, headers)


def _check_credentials(url: URL | None, auth: BasicAuth | None) -> None:
    """Refuse credentials that cannot be sent to the proxy *url*, before there is a connection."""
    if url is None or auth is None:
        return
    # SOCKS sends UTF-8, whatever the encoding of Basic authentication is.
    encoding = auth.encoding if url.scheme in HTTP_PROXIES else "utf-8"
    try:
        f"{auth.login}:{auth.password}".encode(encoding, "surrogateescape")
    except UnicodeEncodeError:
        text = f"proxy_auth: login or password cannot be encoded as {encoding}"
        raise ValueError(text) from None


def checked_proxy(proxy: StrOrURL) -> tuple[URL, BasicAuth | None]:
    """Return the normalized URL of *proxy*, and the credentials that the URL contained.

    :raises InvalidURL: it is no URL of a proxy
    :raises TypeError: it is neither a ``str`` nor a URL
    """
    if not isinstance(proxy, (str, URL)):
        raise TypeError(f"proxy must be a str or a yarl.URL, not {type(proxy).__name__}")
    try:
        url = parsed_url(proxy) if isinstance(proxy, str) else proxy
        port = url.port
        if url.scheme not in DEFAULT_PORTS:
            raise InvalidURL(
                proxy, f"proxy must be a URL of one of the schemes {', '.join(DEFAULT_PORTS)}"
            )
        reason = host_error(url.raw_host)
        if reason is not None:
            raise InvalidURL(proxy, f"proxy: {reason}")
        auth = BasicAuth.from_url(url)
    except InvalidURL:
        raise
    except UnparsedURL as exc:
        raise InvalidURL(shortened(str(proxy)), f"proxy: {exc}") from None
    except ValueError:  # the message of this error may contain a piece of the password
        raise InvalidURL(proxy, "proxy: this is not a valid URL") from None
    url = url.origin()
    if port is None:
        url = url.with_port(DEFAULT_PORTS[url.scheme])
    elif url.is_default_port():
        url = url.with_port(None)  # the same proxy with and without its default port
    return url, auth


# -- the environment -------------------------------------------------------------------


async def environment_proxy(url: URL, *, websocket: bool = False) -> ProxyOptions | None:
    """Return the proxy that the environment sets for *url*, ``None`` for no proxy.

    :param websocket: *url*, of whatever scheme, is that of a WebSocket

    Credentials come from the proxy's URL, else from netrc.
    """
    # Imported here: it imports a large part of the standard library, and only this needs it.
    from urllib.request import getproxies_environment

    if websocket:
        url = url.with_scheme("wss" if is_secure(url) else "ws")
    entries = getproxies_environment()
    if entries:
        entry = chosen_entry(url, entries)
    elif _HAS_SYSTEM_PROXIES:
        entry = await anyio.to_thread.run_sync(_system_entry, url, abandon_on_cancel=True)
    else:
        entry = None
    if entry is None:
        return None
    try:
        proxy, auth = checked_proxy(entry if "://" in entry else f"http://{entry}")
    except InvalidURL as exc:
        logger.warning("a proxy of the environment cannot be used, so it is not: %s", exc)
        return None
    if auth is None:
        auth = await netrc_auth(proxy)
    return ProxyOptions(proxy, auth)


def chosen_entry(url: URL, entries: Mapping[str, str]) -> str | None:
    """Return the proxy for *url* among the *entries* of the environment, ``None`` for no proxy.

    :param entries: values of the ``*_PROXY`` variables by the word before the underscore, in
        lower case; ``no`` lists the hosts to reach without a proxy, ``all`` is for every scheme
        without an entry of its own; ``http`` is for ws and ``https`` for wss, too
    """
    entry = _entry_of(url.scheme, entries) or entries.get("all")
    if not entry or bypasses(url.raw_host or "", url.port, entries.get("no", "")):
        return None
    return entry


def _entry_of(scheme: str, entries: Mapping[str, str]) -> str | None:
    """Return the entry for URLs with *scheme*.

    A WebSocket without an entry of its own has that of requests, as curl has it.
    """
    return entries.get(scheme) or entries.get(REQUESTS_OF.get(scheme, ""))


def _system_entry(url: URL) -> str | None:
    """Return the proxy in the settings of the operating system; this may block."""
    from urllib.request import getproxies, proxy_bypass

    host = url.raw_host or ""
    entry = _entry_of(url.scheme, getproxies())
    return None if not entry or proxy_bypass(host) else entry


_ENTRY: Final = re.compile(r"(?:\[(?P<literal>[^\]]+)\]|(?P<host>[^:]*))(?::(?P<port>[0-9]+))?")

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def bypasses(host: str, port: int | None, no_proxy: str) -> bool:
    """Whether the list *no_proxy* names *host*.

    Commas or spaces separate its entries.  An entry is a host name, which includes its
    subdomains, with or without ``.`` or ``*.`` before it; an address; a network such as
    ``10.0.0.0/8`` or ``fd00::/8``; or ``*`` for every host.  Any entry but a network may end
    with a port; it then matches only that port.
    """
    host = host.lower().rstrip(".")
    address = _address(host)
    return any(
        _names(entry, host, address, port) for entry in no_proxy.lower().replace(",", " ").split()
    )


def _names(entry: str, host: str, address: _Address | None, port: int | None) -> bool:
    """Whether this *entry* of the list names the host."""
    if entry == "*":
        return True
    if "/" in entry:
        try:
            network = ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
        return address is not None and address in network
    if (literal := _address(entry)) is not None:  # IPv6 without a port needs no brackets
        return literal == address
    match = _ENTRY.fullmatch(entry)
    if match is None or (match["port"] and int(match["port"]) != port):
        return False
    name = match["literal"] or match["host"]
    if address is not None:
        return _address(name) == address
    name = name.removeprefix("*").removeprefix(".").rstrip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _address(host: str) -> _Address | None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    # An IPv4 address in IPv6 notation (IPv4-mapped) is the same host.
    return getattr(address, "ipv4_mapped", None) or address
