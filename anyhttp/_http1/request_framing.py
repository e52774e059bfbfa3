"""How the body of a request is framed, and the header fields that say so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from multidict import CIMultiDict

from .. import hdrs
from .._common import HttpVersion, HttpVersion10, HttpVersion11

if TYPE_CHECKING:
    from ..payload import Payload

__all__ = ("NO_BODY", "Framing", "framing_fields", "framing_of_request")

_CONTINUE: Final = "100-continue"


# Not frozen: a frozen dataclass is slower to create, and each request with a body makes one.
@dataclass(slots=True)
class Framing:
    """How the body of a request is framed (:rfc:`9112#section-6`).

    :param content_length: number of its bytes; ``None`` if it is sent in chunks, or if there is
        neither a body nor a header field about it
    :param chunked: whether the body is sent in chunks
    :param compress: content coding with which the body is compressed while it is sent
    :param expect_continue: whether ``100 Continue`` is awaited before the body is sent
    """

    content_length: int | None = None
    chunked: bool = False
    compress: str | None = None
    expect_continue: bool = False


#: No body, and no header field about it.
NO_BODY: Final = Framing()


def framing_of_request(
    payload: Payload | None,
    headers: CIMultiDict[str],
    chunked: bool | None = None,
    compress: str | None = None,
    expect100: bool = False,
    version: HttpVersion = HttpVersion11,
    anticipates_content: bool = True,
) -> Framing:
    """Return how *payload* is sent.

    :param headers: given by the caller; if they describe the framing, that is used
    :param chunked: whether the caller asked for chunks
    :param compress: the content coding that the caller asked for
    :param expect100: whether the caller asked to wait for ``100 Continue``
    :param version: version of HTTP of the request
    :param anticipates_content: whether requests with this method usually have a body, so that
        ``Content-Length: 0`` is sent for an empty one (:rfc:`9110#section-8.6`)
    :raises ValueError: the headers and the options contradict each other or the body, or
        cannot be sent
    """
    length: int | None = None
    if hdrs.CONTENT_LENGTH in headers or hdrs.TRANSFER_ENCODING in headers or compress is not None:
        length, chunked = _given_framing(headers, chunked, compress)
    if payload is None:  # there is nothing to compress, and nothing to wait for
        compress, expect100 = None, False
        length = _length_of_nothing(length, anticipates_content and not chunked)
    else:
        expect100 = expect100 or _expects_continue(headers)
        size = payload.size
        if size == 0:
            compress = None
        if length is not None:
            _check_length(length, size)
        elif chunked or compress is not None or size is None:
            chunked = True
        else:
            length = size
    if chunked and version == HttpVersion10:
        raise ValueError("a body of unknown length needs chunks, which HTTP/1.0 does not have")
    return Framing(length, bool(chunked), compress, expect100)


def _given_framing(
    headers: CIMultiDict[str], chunked: bool | None, compress: str | None
) -> tuple[int | None, bool | None]:
    """Return the ``Content-Length`` that was given, and whether chunks were asked for."""
    length = _given_length(headers) if hdrs.CONTENT_LENGTH in headers else None
    if hdrs.TRANSFER_ENCODING in headers:
        _check_coding(headers)
        if chunked:
            raise ValueError("chunked cannot be set if there is a Transfer-Encoding header")
        chunked = True
    if chunked and length is not None:
        raise ValueError("chunked cannot be set if there is a Content-Length header")
    if compress is not None:
        for name in (hdrs.CONTENT_ENCODING, hdrs.CONTENT_LENGTH):
            if name in headers:
                raise ValueError(f"compress cannot be set if there is a {name} header")
    return length, chunked


def _length_of_nothing(given: int | None, announced: bool) -> int | None:
    """Return the ``Content-Length`` of a request without a body."""
    if given:
        raise ValueError("headers: Content-Length announces a body, but there is none")
    return 0 if given is None and announced else given


def _check_length(given: int, size: int | None) -> None:
    if size is not None and given > size:
        raise ValueError(
            f"headers: Content-Length announces {given} bytes, but the body has {size}"
        )


def framing_fields(framing: Framing, headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the header fields for *framing*, without those that are in *headers* already."""
    fields: list[tuple[str, str]] = []
    if framing.expect_continue and not _expects_continue(headers):
        fields.append((hdrs.EXPECT, _CONTINUE))
    if framing.compress is not None:
        fields.append((hdrs.CONTENT_ENCODING, framing.compress))
    if framing.chunked:
        if hdrs.TRANSFER_ENCODING not in headers:
            fields.append((hdrs.TRANSFER_ENCODING, "chunked"))
    elif framing.content_length is not None and hdrs.CONTENT_LENGTH not in headers:
        fields.append((hdrs.CONTENT_LENGTH, str(framing.content_length)))
    return tuple(fields)


def _expects_continue(headers: Mapping[str, str]) -> bool:
    return hdrs.EXPECT in headers and headers[hdrs.EXPECT].lower() == _CONTINUE


def _only_one(headers: CIMultiDict[str], name: str) -> str:
    first, *others = headers.getall(name)
    if others:
        raise ValueError(f"headers: {name} can be given only once")
    return first


def _given_length(headers: CIMultiDict[str]) -> int:
    length = _only_one(headers, hdrs.CONTENT_LENGTH)
    if not (length.isascii() and length.isdigit()):
        raise ValueError(f"headers: Content-Length must be a number, not {length!r}")
    return int(length)


def _check_coding(headers: CIMultiDict[str]) -> None:
    coding = _only_one(headers, hdrs.TRANSFER_ENCODING)
    if coding.strip().lower() != "chunked":
        raise ValueError(f"headers: Transfer-Encoding can only be chunked, not {coding!r}")
