"""What a response without a connection knows of its request and its head.

Mocks and caches make such responses by hand, and unpickling makes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from .._common import HttpVersion, HttpVersion11, RequestInfo, shown_class
from ..typedefs import RawHeaders

__all__ = (
    "NO_HEAD",
    "NO_REQUEST",
    "AskedRequest",
    "KeptHead",
    "KeptRequest",
    "kept_request",
    "raw_fields",
)


class AskedRequest(Protocol):
    """What a response needs of its request: a :class:`ClientRequest` or a :class:`KeptRequest`."""

    @property
    def method(self) -> str: ...
    @property
    def url(self) -> URL: ...
    @property
    def original_url(self) -> URL: ...
    @property
    def request_info(self) -> RequestInfo: ...


class KeptRequest(NamedTuple):
    """The part of a request that a response keeps."""

    url: URL
    method: str
    original_url: URL
    request_info: RequestInfo


@dataclass(frozen=True, slots=True)
class KeptHead:
    """The head of a response; a :class:`ResponseHead` of the room ``_http1``."""

    version: HttpVersion = HttpVersion11
    status: int = 0
    reason: str = ""
    raw_headers: RawHeaders = ()


def kept_request(method: str, url: URL, info: RequestInfo | None) -> KeptRequest:
    """Return the request for *url*, which may have a fragment.

    :param info: its summary; one without headers is made if this is ``None``
    :raises TypeError: *url* is no :class:`yarl.URL`
    """
    if not isinstance(url, URL):
        raise TypeError(f"url must be a yarl.URL, not {shown_class(type(url))}")
    without_fragment = url.with_fragment(None)
    if info is None:
        info = RequestInfo(without_fragment, method, CIMultiDictProxy(CIMultiDict()), url)
    return KeptRequest(without_fragment, method, url, info)


def raw_fields(headers: Mapping[str, str]) -> RawHeaders:
    """Return *headers* as bytes, as a peer would have sent them."""
    return tuple((_encoded(name), _encoded(value)) for name, value in headers.items())


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


#: The head of a response until one is set.
NO_HEAD: Final = KeptHead()

#: The request of a response whose class has a constructor that does not call ours.
NO_REQUEST: Final = kept_request("", URL(), None)
