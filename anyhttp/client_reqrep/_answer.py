"""The parts of a response that a program makes for a request: its head, its body, its class."""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from multidict import CIMultiDict

from .. import hdrs
from .._common import HttpVersion11, check_str, is_left_out, pairs_of, shown_class
from .._headers import header_pairs, parse_content_type
from .._tasks import asyncio_loop
from ..typedefs import LooseHeaders
from ._kept import AskedRequest, KeptHead, raw_fields

__all__ = ("Answer", "AnsweredRequest", "called_as_in_aiohttp", "class_for", "made_answer")

R = TypeVar("R")

#: Statuses of responses that never have a body (RFC 9110 §6.4.1).
_WITHOUT_BODY: Final = frozenset({204, 304})


class Answer(NamedTuple):
    """What a program answers to a request, checked."""

    head: KeptHead
    body: bytes
    #: the values of ``Set-Cookie``
    set_cookies: list[str]


class AnsweredRequest(AskedRequest, Protocol):
    """What an answer needs of its request: a :class:`ClientRequest`."""

    session: Any  # a ClientSession, which stands above this module

    @property
    def response_class(self) -> type: ...


def class_for(request: AnsweredRequest, wanted: type[R]) -> type[R]:
    """Return the class of responses to *request*: the session's, if that is a *wanted* one.

    :raises TypeError: *request* is no request
    """
    kind: object = getattr(request, "response_class", None)
    if not isinstance(kind, type) or isinstance(request, type):
        name = shown_class(type(request))
        raise TypeError(f"request must be an anyhttp.ClientRequest, not {name}")
    return kind if issubclass(kind, wanted) else wanted


def called_as_in_aiohttp(kind: Callable[..., R], request: AnsweredRequest) -> R:
    """Return what the constructor of *kind* makes, with the arguments that aiohttp gives it."""
    try:
        loop = asyncio_loop()
    except RuntimeError:  # no event loop runs, as in a test that is no coroutine
        loop = None
    return kind(
        request.method,
        request.original_url,
        writer=None,
        continue100=None,
        timer=None,
        request_info=request.request_info,
        traces=[],
        loop=loop,
        session=request.session,
        stream_writer=None,
    )


def made_answer(
    request: AnsweredRequest,
    status: int,
    reason: str | None,
    headers: LooseHeaders | None,
    given: dict[str, Any],
) -> Answer:
    """Return what is answered to *request*.

    :param given: the arguments that stand for a body, by their names, those left out included
    :raises TypeError: an argument has the wrong type
    :raises ValueError: an argument has a value that is not allowed, or there are two bodies
    """
    status = _checked_status(status)
    fields = CIMultiDict(_checked_fields(headers))
    bodies = {name: value for name, value in given.items() if not _is_absent(name, value)}
    if len(bodies) > 1:
        raise ValueError(f"{' and '.join(bodies)} cannot be combined: a response has one body")
    body = b""
    for name, value in bodies.items():
        if status in _WITHOUT_BODY:
            raise ValueError(f"{name} cannot be given: a response with status {status} has no body")
        body, media_type = _ENCODERS[name](value, fields)
        if media_type is not None:
            fields.setdefault(hdrs.CONTENT_TYPE, media_type)
    is_framed = hdrs.CONTENT_LENGTH in fields or hdrs.TRANSFER_ENCODING in fields
    if not (is_framed or status in _WITHOUT_BODY):
        fields[hdrs.CONTENT_LENGTH] = str(len(body))
    head = KeptHead(HttpVersion11, status, _checked_reason(status, reason), raw_fields(fields))
    is_sent = request.method != hdrs.METH_HEAD
    return Answer(head, body if is_sent else b"", fields.getall(hdrs.SET_COOKIE, []))


def _is_absent(name: str, value: object) -> bool:
    return is_left_out(value) if name == "json" else value is None  # None is a value in JSON


def _checked_status(status: int) -> int:
    if isinstance(status, bool) or not isinstance(status, int):
        raise TypeError(f"status must be an int, not {shown_class(type(status))}")
    if not 200 <= status <= 999:
        raise ValueError(f"status must be that of a final response, from 200 to 999, not {status}")
    return int(status)


def _checked_reason(status: int, reason: str | None) -> str:
    if reason is None:
        return HTTPStatus(status).phrase if status in _KNOWN else ""
    check_str("reason", reason)
    if not reason.isprintable():
        raise ValueError("reason holds a control character")
    return reason


_KNOWN: Final = frozenset(map(int, HTTPStatus))


def _checked_fields(headers: LooseHeaders | None) -> list[tuple[str, str]]:
    """Return *headers*, in which bytes that are no UTF-8 are lone surrogates, as in a response."""
    if headers is None:
        return []
    pairs: list[tuple[str, str]] = list(pairs_of("headers", headers))
    header_pairs("headers", [(name, _printable(value)) for name, value in pairs])
    return pairs


def _printable(value: str) -> str:
    if not isinstance(value, str):
        return value
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _json_body(value: object, fields: CIMultiDict[str]) -> tuple[bytes, str]:
    try:
        return json.dumps(value).encode(), "application/json"
    except TypeError as exc:
        raise TypeError(f"json cannot be serialised: {exc}") from None
    except ValueError as exc:
        raise ValueError(f"json cannot be serialised: {exc}") from None


def _text_body(value: str, fields: CIMultiDict[str]) -> tuple[bytes, str]:
    check_str("text", value)
    encoding = parse_content_type(fields.get(hdrs.CONTENT_TYPE)).encoding or "utf-8"
    try:
        return value.encode(encoding), "text/plain; charset=utf-8"
    except UnicodeEncodeError:
        raise ValueError(f"text cannot be encoded as {encoding}") from None


def _bytes_body(
    value: bytes | bytearray | memoryview, fields: CIMultiDict[str]
) -> tuple[bytes, None]:
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise TypeError(f"body must be bytes, not {shown_class(type(value))}")
    return bytes(value), None


_Encoder = Callable[[Any, CIMultiDict[str]], tuple[bytes, str | None]]
_ENCODERS: Final[dict[str, _Encoder]] = {
    "json": _json_body,
    "text": _text_body,
    "body": _bytes_body,
}
