"""A request as the other side gets it: what callables are given, and what ``calls`` holds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from multidict import CIMultiDict, CIMultiDictProxy, MultiDict, MultiDictProxy
from yarl import URL

from .. import hdrs
from .._codings import DecodingError, decoder_for
from .._common import without_user_info
from .._headers import parse_content_type
from ..typedefs import LooseHeaders
from ._json import json_value

__all__ = ("ReceivedRequest",)

_NO_PARAMS: Final[Mapping[str, str]] = MappingProxyType({})

#: How many bytes of a decoded body one step makes.
_STEP: Final = 256 * 1024


class ReceivedRequest:
    """A request as it was sent, after redirects, middlewares and cookies of the session.

    :param method: in upper case
    :param url: without a fragment
    :param headers: header fields as they were sent
    :param body: the body as it was sent, without chunks; ``None``: it has not been received yet
    :param proxy: URL of the proxy that the client was told to use
    """

    def __init__(
        self,
        method: str,
        url: URL,
        headers: LooseHeaders = (),
        body: bytes | None = b"",
        *,
        proxy: URL | None = None,
    ) -> None:
        self.method: str = method
        self.url: URL = url
        #: URL of the proxy that the client was told to use, without credentials; ``None`` for none
        self.proxy: URL | None = proxy
        #: what the named parts of the route's URL stand for in this request
        self.path_params: Mapping[str, str] = _NO_PARAMS
        self._headers: LooseHeaders | CIMultiDictProxy[str] = headers
        self._body: bytes | None = body
        self._pieces: list[bytes] = []
        self._incoming: AsyncIterator[bytes] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"

    def __str__(self) -> str:
        return f"{self.method} {without_user_info(self.url)}"

    # -- for those who receive it

    def receive_head(self, headers: LooseHeaders) -> None:
        """Take *headers* in the place of those that were known before; a body is to follow."""
        self._headers = headers
        self._body = None

    def receive_body(self, body: bytes) -> None:
        """Take *body* as all of the body."""
        self._body = body

    def receive_from(self, incoming: AsyncIterator[bytes]) -> None:
        """Let :meth:`stream` and :meth:`read` take the pieces of the body from *incoming*."""
        self._incoming = incoming

    @property
    def is_complete(self) -> bool:
        """Whether all of the body has been received."""
        return self._body is not None

    # -- the head

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """The header fields as they were sent."""
        headers = self._headers
        if not isinstance(headers, CIMultiDictProxy):
            self._headers = headers = CIMultiDictProxy(CIMultiDict(headers))
        return headers

    @property
    def query(self) -> MultiDictProxy[str]:
        """The query of the URL."""
        return self.url.query

    @property
    def cookies(self) -> Mapping[str, str]:
        """The cookies that were sent, by their names."""
        pairs = "; ".join(self.headers.getall(hdrs.COOKIE, ())).split(";")
        named = (pair.partition("=") for pair in pairs if "=" in pair)
        return MappingProxyType({name.strip(): value.strip() for name, _, value in named})

    @property
    def is_handshake(self) -> bool:
        """Whether the request asks for a WebSocket."""
        return self.headers.get(hdrs.UPGRADE, "").lower() == "websocket"

    @property
    def content_type(self) -> str:
        """The media type of the body in lower case; empty if the request names none."""
        return parse_content_type(self.headers.get(hdrs.CONTENT_TYPE)).media_type

    # -- the body

    async def stream(self) -> AsyncIterator[bytes]:
        """Return the pieces of the body as they arrive.

        They come only once, unless the body has been received before: then it is one piece.

        :raises RuntimeError: another iterator gets them, or got some
        """
        if self._body is not None:
            if self._body:
                yield self._body
            return
        incoming, self._incoming = self._incoming, None
        if incoming is None:
            raise RuntimeError(f"the body of {self} is being received, or was not all sent")
        async for piece in incoming:
            self._pieces.append(piece)
            yield piece
        self._body = b"".join(self._pieces)

    async def read(self) -> bytes:
        """Receive the rest of the body, and return all of it."""
        if self._body is None:
            async for _ in self.stream():
                pass
        return self.body

    @property
    def body(self) -> bytes:
        """The body as it was sent, without chunks.

        :raises RuntimeError: it has not been received to its end
        """
        if self._body is None:
            raise RuntimeError(
                f"the body of {self} has not been received to its end: `await request.read()` does"
            )
        return self._body

    @property
    def content(self) -> bytes:
        """The body with the codings undone that ``Content-Encoding`` names.

        :raises ValueError: it cannot be decoded
        :raises RuntimeError: it has not been received to its end
        """
        body = self.body
        coding = self.headers.get(hdrs.CONTENT_ENCODING)
        return _decoded(body, coding, self) if coding and body else body

    @property
    def text(self) -> str:
        """The body as text, in the charset that ``Content-Type`` names, else in UTF-8.

        :raises ValueError: it cannot be decoded
        :raises RuntimeError: it has not been received to its end
        """
        kind = parse_content_type(self.headers.get(hdrs.CONTENT_TYPE))
        return self.content.decode(kind.encoding or "utf-8")

    def json(self) -> Any:
        """Return the body parsed as JSON, whatever ``Content-Type`` says.

        :raises ValueError: it is not JSON
        :raises RuntimeError: it has not been received to its end
        """
        return json_value(self.content)

    @property
    def form(self) -> MultiDictProxy[str]:
        """The fields of a body that is ``application/x-www-form-urlencoded``.

        :raises ValueError: the body is something else
        :raises RuntimeError: it has not been received to its end
        """
        if self.content_type != "application/x-www-form-urlencoded":
            raise ValueError(
                f"the body of {self} is not a form, but {self.content_type or 'untyped'}"
            )
        return MultiDictProxy(MultiDict(form_fields(self.content)))


def form_fields(content: bytes) -> Iterable[tuple[str, str]]:
    """Return the fields of a form that is encoded as a query."""
    return URL.build(query_string=content.decode("ascii"), encoded=True).query.items()


def _decoded(body: bytes, coding: str, request: ReceivedRequest) -> bytes:
    try:
        decoder = decoder_for(coding)
        if decoder is None:
            return body
        decoder.feed(body)
        pieces = []
        while not decoder.needs_input:
            pieces.append(decoder.step(_STEP))
        decoder.finish()
    except DecodingError as exc:
        raise ValueError(f"cannot decode the body of {request}: {exc}") from exc
    return b"".join(pieces)
