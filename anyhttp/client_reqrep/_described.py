"""What the header fields of a response say about it."""

from __future__ import annotations

from typing import Any, NamedTuple

from multidict import CIMultiDict, CIMultiDictProxy, MultiDict, MultiDictProxy

from .. import hdrs
from .._common import RequestInfo
from .._headers import content_disposition_filename, parse_content_disposition
from .._http1 import ResponseHead, text_fields
from ..client_exceptions import ContentTypeError

__all__ = (
    "ContentDisposition",
    "announced_length",
    "content_disposition_of",
    "headers_of",
    "wrong_type",
)


class ContentDisposition(NamedTuple):
    """A parsed ``Content-Disposition`` header (:rfc:`6266`): a named tuple.

    :param type: ``"attachment"`` or another type, in lower case
    :param parameters: all parameters by name
    :param filename: the name of the file, ``None`` if there is none
    """

    type: str | None
    parameters: MultiDictProxy[str]
    filename: str | None


def headers_of(head: ResponseHead) -> CIMultiDictProxy[str]:
    """Return the fields of *head* as text."""
    return CIMultiDictProxy(CIMultiDict(text_fields(head)))


def announced_length(headers: CIMultiDictProxy[str]) -> int | None:
    """Return the ``Content-Length``; ``None`` if it is absent or no number."""
    length = headers.get(hdrs.CONTENT_LENGTH)
    return int(length) if length and length.isascii() and length.isdigit() else None


def content_disposition_of(headers: CIMultiDictProxy[str]) -> ContentDisposition | None:
    """Return the parsed ``Content-Disposition``; ``None`` if it is absent."""
    raw = headers.get(hdrs.CONTENT_DISPOSITION)
    if raw is None:
        return None
    kind, parameters = parse_content_disposition(raw)
    return ContentDisposition(
        kind,
        MultiDictProxy(MultiDict(parameters)),
        content_disposition_filename(parameters),
    )


def wrong_type(
    request: RequestInfo,
    history: tuple[Any, ...],
    status: int,
    headers: CIMultiDictProxy[str],
    wanted: str,
    body: bytes | None,
) -> ContentTypeError:
    """Return the error of a response whose media type is not that of what is *wanted*.

    :param body: the beginning of what it holds in place of that, if it has come
    """
    found = headers.get(hdrs.CONTENT_TYPE, "")
    error = ContentTypeError(
        request,
        history,
        status=status,
        message=f"Attempt to decode {wanted} with unexpected mimetype: {found}",
        headers=headers,
    )
    error.body = body
    return error
