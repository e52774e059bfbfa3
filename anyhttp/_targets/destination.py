"""Where a request goes: its URL, and what is derived from the URL for each request."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from yarl import URL

from .. import hdrs
from .._common import ConnectionKey, Fields, without_zone
from ..typedefs import StrOrURL
from .urls import checked_url, target_error

__all__ = ("Destination", "destination_of")

_TLS_SCHEMES: Final = frozenset({"https", "wss"})

#: Longest URL that is kept, in characters; of a :class:`URL` all but the origin counts.  Long ones
#: seldom come again, and thousands of them would take much memory.
LONGEST_KEPT: Final = 1024


class Destination:
    """A URL, and what requests to it send of it.

    Most programs request the same few URLs again and again, so this is made once for each.

    :param is_tls: whether requests are sent over TLS; when left out, the scheme says it
    """

    __slots__ = ("complaint", "has_credentials", "host", "host_field", "is_tls", "key",
                 "original_url", "target", "url")  # fmt: skip

    def __init__(self, url: URL, is_tls: bool | None = None) -> None:
        #: with the fragment
        self.original_url: URL = url
        #: without the fragment
        self.url: URL = url.with_fragment(None) if url.raw_fragment else url
        self.has_credentials: bool = url.raw_user is not None or url.raw_password is not None
        #: value of the ``Host`` field
        self.host: str = without_zone(url.host_port_subcomponent or "")
        self.host_field: Fields = ((hdrs.HOST, self.host),)
        self.is_tls: bool = url.scheme in _TLS_SCHEMES if is_tls is None else is_tls
        #: the key of a connection without a proxy, with TLS as it is by default
        self.key: ConnectionKey = ConnectionKey(
            url.raw_host or "", url.port, self.is_tls, True, None, None, None
        )
        #: path and query, the target of a request without a proxy
        self.target: str = url.raw_path_qs
        #: what is wrong with the target, if it cannot be sent
        self.complaint: str | None = target_error(self.target)


def destination_of(
    url: StrOrURL, schemes: frozenset[str], base_url: URL | None = None
) -> Destination:
    """Return the destination of requests to *url*.

    It is kept, unless it holds credentials or is longer than :data:`LONGEST_KEPT`.

    This raises what :func:`checked_url` raises.
    """
    if isinstance(url, str):
        # With an "@" it may hold a password, which must not be kept.
        if "@" not in url and len(url) <= LONGEST_KEPT:
            return _known_destination(url, schemes, base_url)
    elif (
        isinstance(url, URL)
        and url.raw_user is None
        and url.raw_password is None
        and len(url.raw_path) + len(url.raw_query_string) + len(url.raw_fragment) <= LONGEST_KEPT
    ):
        return _known_destination(url, schemes, base_url)
    return _destination(url, schemes, base_url)


def _destination(url: StrOrURL, schemes: frozenset[str], base_url: URL | None) -> Destination:
    return Destination(checked_url(url, schemes, base_url))


_known_destination: Final = lru_cache(maxsize=2048)(_destination)
