"""What the head of a response says, and what its request was."""

from __future__ import annotations

from http.cookies import SimpleCookie
from typing import ClassVar

from multidict import CIMultiDictProxy, MultiDictProxy
from yarl import URL

from .. import hdrs
from .._common import HttpVersion, HttpVersion11, RequestInfo
from .._headers import ContentType, parse_content_type, parse_links, response_cookies
from .._http1 import ResponseHead, content_type_of
from ..typedefs import RawHeaders
from ._described import (
    ContentDisposition,
    announced_length,
    content_disposition_of,
    headers_of,
)
from ._kept import NO_HEAD, AskedRequest, KeptHead, KeptRequest, raw_fields

__all__ = ("DescribedResponse",)


class DescribedResponse:
    """Base of :class:`ClientResponse`."""

    # Set for each response.  They are attributes of the class, too, so that mock objects with this
    # class as their ``spec`` have them.
    #: method of the request
    method: str = ""
    #: version of HTTP that the peer speaks
    version: HttpVersion = HttpVersion11
    #: status code
    status: int = 0
    #: reason phrase, which may be empty
    reason: str = ""

    # Defaults of what few responses need; Python finds an attribute of the object itself faster.
    _headers: CIMultiDictProxy[str] | None = None
    _cookies: SimpleCookie | None = None

    #: whether a subclass overrides an attribute that describes the type of the body
    _says_more: ClassVar[bool] = False

    # Set for each response, as the attributes above.  A value here would make reading them slow.
    _request: AskedRequest
    _head: ResponseHead

    @property
    def url(self) -> URL:
        """URL of the request, without its fragment."""
        return self._request.url

    @property
    def real_url(self) -> URL:
        """URL of the request, with its fragment."""
        return self._request.original_url

    @property
    def host(self) -> str:
        """Host of the request."""
        return self.url.host or ""

    @property
    def ok(self) -> bool:
        """Whether the status is below 400."""
        return self.status < 400

    @property
    def request_info(self) -> RequestInfo:
        """A summary of the request, as it was sent."""
        return self._request.request_info

    @property
    def _request_info(self) -> RequestInfo:
        return self._request.request_info

    @_request_info.setter
    def _request_info(self, info: RequestInfo) -> None:
        self._request = KeptRequest(self.url, self.method, self.real_url, info)

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """Header fields as text (UTF-8; other bytes are kept as lone surrogates)."""
        if self._headers is None:
            self._headers = headers_of(self._head)
        return self._headers

    @property
    def raw_headers(self) -> RawHeaders:
        """Header fields as the peer sent them."""
        if self._head is NO_HEAD and self._headers is not None:
            return raw_fields(self._headers)
        return tuple(self._head.raw_headers)

    @property
    def _raw_headers(self) -> RawHeaders:
        return self.raw_headers

    @_raw_headers.setter
    def _raw_headers(self, fields: RawHeaders) -> None:
        self._head = KeptHead(self.version, self.status, self.reason, fields)

    @property
    def cookies(self) -> SimpleCookie:
        """Cookies that this response sets; the last of a name wins."""
        if self._cookies is None:
            self._cookies = response_cookies(self.headers.getall(hdrs.SET_COOKIE, ()))
        return self._cookies

    @cookies.setter
    def cookies(self, cookies: SimpleCookie) -> None:
        self._cookies = cookies

    @property
    def content_type(self) -> str:
        """Media type of the body; ``application/octet-stream`` if it is absent or invalid."""
        return self._described_type().media_type or "application/octet-stream"

    @property
    def charset(self) -> str | None:
        """The ``charset`` parameter of the media type."""
        return self._described_type().charset

    def _described_type(self) -> ContentType:
        """Return the parsed ``Content-Type``.

        Many programs need no other header, so this does not make the dictionary of headers.
        """
        if self._headers is not None or self._says_more:
            return parse_content_type(self.headers.get(hdrs.CONTENT_TYPE))
        return parse_content_type(content_type_of(self._head))

    @property
    def content_length(self) -> int | None:
        """The announced length of the body as it is sent, in bytes."""
        return announced_length(self.headers)

    @property
    def content_disposition(self) -> ContentDisposition | None:
        """The parsed ``Content-Disposition`` header."""
        return content_disposition_of(self.headers)

    @property
    def links(self) -> MultiDictProxy[MultiDictProxy[str | URL]]:
        """The ``Link`` headers by relation (:rfc:`8288`), with the parameters of each.

        Those beyond the first 32 KiB of text are left out.
        """
        return parse_links(", ".join(self.headers.getall(hdrs.LINK, ())), self.url)
