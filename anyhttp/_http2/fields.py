"""Heads of requests as fields of HTTP/2, and fields of HTTP/2 as heads of responses.

:rfc:`9113#section-8.2` and §8.3
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import Final, NamedTuple

from .._common import Fields, HttpVersion
from .._headers import HeaderBlock
from .._http1 import CHUNKED, Head, Limits, ParseError, StatusLine, read_content_length
from .compression import CodedFields, never_indexed
from .errors import ErrorCode, StreamFault

__all__ = ("RequestHead", "RequestHeads", "check_trailers", "read_head", "websocket_fields")

HTTP2: Final = HttpVersion(2, 0)

#: Fields that say something of a connection, which HTTP/2 says otherwise (§8.2.2).
_OF_CONNECTION: Final = frozenset({
    b"connection", b"http2-settings", b"keep-alive", b"proxy-connection", b"transfer-encoding",
    b"upgrade",
})  # fmt: skip

#: Values that must not be guessed by how well a head is compressed (:rfc:`7541#section-7.1.3`).
#: They are not kept for the next request either.
_SECRET: Final = frozenset({"authorization", "proxy-authorization", "cookie"})

_NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]++")
_VALUE: Final = re.compile(rb"(?:[^\x00\r\n\t ](?:[^\x00\r\n]*+(?<![\t ]))?)?")
_BROKEN: Final = re.compile(rb"[\x00\r\n]")
_PLAIN: Final = re.compile(rb"(?>(?:%b\n%b(?:\n|$))*)" % (_NAME.pattern, _VALUE.pattern))
_STATUS: Final = re.compile(rb"[1-9][0-9][0-9]")

_SPACE: Final = " \t"

#: How many different heads of requests are remembered, and the longest of them, in fields.
_KEPT_HEADS: Final = 64
_KEPT_FIELDS: Final = 64


class RequestHead:
    """The head of a request, ready to be compressed."""

    __slots__ = ("coded", "credentials", "length", "method", "path")

    def __init__(
        self,
        method: bytes,
        path: bytes | None,
        length: bytes | None,
        credentials: bytes,
        coded: CodedFields,
    ) -> None:
        self.method = method
        #: ``:path``, and ``Content-Length``: sent apart from the fields that come again
        self.path = path
        self.length = length
        #: the fields with secrets, as they are sent
        self.credentials = credentials
        #: the other fields
        self.coded = coded


class _Known(NamedTuple):
    """Fields of requests that may come again."""

    coded: CodedFields
    length: bytes | None
    #: names of fields that are meant for a connection only
    named: frozenset[bytes]


class RequestHeads:
    """Makes heads of requests for one connection, and remembers those that come again.

    :param scheme: of the URLs of all requests
    """

    __slots__ = ("_known", "_scheme")

    def __init__(self, scheme: str) -> None:
        self._scheme = scheme.encode("ascii")
        self._known: dict[object, _Known] = {}

    def make(
        self,
        method: str,
        target: str,
        headers: HeaderBlock | Sequence[tuple[str, str]],
        protocol: str | None = None,
    ) -> RequestHead:
        """Return the head of a request.

        What the caller's headers say of the connection is left out, as HTTP/2 says it otherwise.

        :param target: a path, ``*``, or the host and port of a tunnel
        :param headers: with a ``Host``, which becomes ``:authority``
        :param protocol: the one that an extended ``CONNECT`` asks for (:rfc:`8441#section-4`)
        :raises ValueError: a name or a value is one that HTTP/2 does not allow
        """
        fields = headers.fields if isinstance(headers, HeaderBlock) else tuple(headers)
        secrets: Fields = ()
        if _have_secrets(tuple([name for name, _ in fields])):
            secrets = tuple([field for field in fields if field[0].lower() in _SECRET])
            fields = tuple([field for field in fields if field[0].lower() not in _SECRET])
        is_tunnel = method == "CONNECT" and protocol is None
        key = (method, protocol, fields, target if is_tunnel else None)
        known = self._known.get(key)
        if known is None:
            known = self._make(method, target, fields, protocol)
            if len(fields) <= _KEPT_FIELDS:
                if len(self._known) >= _KEPT_HEADS:
                    self._known.clear()
                self._known[key] = known
        coded = known.coded
        path = None if is_tunnel else _checked_path(target)
        credentials = _credentials(secrets, known.named) if secrets else b""
        return RequestHead(coded.fields[0][1], path, known.length, credentials, coded)

    def _make(
        self,
        method: str,
        target: str,
        fields: Iterable[tuple[str, str]],
        protocol: str | None,
    ) -> _Known:
        pairs = [(name.lower().encode("utf-8", "surrogateescape"), value) for name, value in fields]
        named = _named_options(value for name, value in pairs if name == b"connection")
        authority, length, regular = _regular_fields(pairs, named)
        pseudo = [(b":method", _checked(b":method", method))]
        if method == "CONNECT" and protocol is None:
            authority = _checked(b":authority", target)
        else:
            pseudo.append((b":scheme", self._scheme))
        if authority is not None:
            pseudo.append((b":authority", authority))
        if protocol is not None:
            pseudo.append((b":protocol", _checked(b":protocol", protocol)))
        return _Known(CodedFields(pseudo + regular), length, named)


# Only names in requests are cached, so no peer chooses what is stored.
@lru_cache(maxsize=256)
def _have_secrets(names: tuple[str, ...]) -> bool:
    return any(name.lower() in _SECRET for name in names)


def _credentials(secrets: Fields, named: frozenset[bytes]) -> bytes:
    """Return the fields with *secrets* as they are sent."""
    fields: list[tuple[bytes, bytes]] = []
    for name, text in secrets:
        lowered = name.lower().encode("ascii")
        if lowered not in named:
            fields.append((lowered, _checked(lowered, text)))
    return never_indexed(fields)


def websocket_fields(block: HeaderBlock) -> Fields | None:
    """Return the fields of an extended ``CONNECT`` if *block* asks for a WebSocket, else ``None``.

    There is no key, as the server need not prove that it knows the protocol
    (:rfc:`8441#section-5`).
    """
    if not block.upgrades:
        return None
    fields = block.fields
    if not any(
        name.lower() == "upgrade" and value.strip(_SPACE).lower() == "websocket"
        for name, value in fields
    ):
        return None
    return tuple([field for field in fields if field[0].lower() != "sec-websocket-key"])


def _regular_fields(
    pairs: Iterable[tuple[bytes, str]], named: frozenset[bytes]
) -> tuple[bytes | None, bytes | None, list[tuple[bytes, bytes]]]:
    """Return the ``Host``, the ``Content-Length`` and the other fields that are sent."""
    authority = length = None
    regular: list[tuple[bytes, bytes]] = []
    for name, text in pairs:
        if _NAME.fullmatch(name) is None:
            raise ValueError(f"headers: {name!r} is not a valid header name")
        value = _checked(name, text)
        if name == b"host":
            if not value:
                raise ValueError("headers: Host must not be empty with HTTP/2")
            authority = value
        elif name == b"content-length":
            length = value
        elif name in _OF_CONNECTION or name in named:
            continue
        elif name == b"te":
            # Nothing but this is allowed, and nothing else would mean anything.
            if b"trailers" in {part.strip().lower() for part in value.split(b",")}:
                regular.append((name, b"trailers"))
        else:
            regular.append((name, value))
    return authority, length, regular


def _named_options(values: Iterable[str]) -> frozenset[bytes]:
    """Return the names of fields that are meant for a connection by ``Connection``."""
    options = {option.strip().lower() for value in values for option in value.split(",")}
    # "TE" is always named there by HTTP/1.1, and has a rule of its own.
    return frozenset(
        [option.encode("utf-8", "surrogateescape") for option in options if option != "te"]
    )


def _checked(name: bytes, text: str) -> bytes:
    """Return a value as it is sent.

    :raises ValueError: it holds a NUL or a line break; callers should have checked that before
    """
    value = text.strip(_SPACE).encode("utf-8", "surrogateescape")
    if _BROKEN.search(value) is not None:
        raise ValueError(
            f"the request head is not valid HTTP/2: the value of {name.decode()} "
            "holds a NUL or a line break"
        )
    return value


def _checked_path(target: str) -> bytes:
    path = target.encode("utf-8", "surrogateescape")
    if not path or _BROKEN.search(path) is not None:
        raise ValueError(f"the request head is not valid HTTP/2: the path is {target!r}")
    return path


# -- responses


def _phrases() -> dict[int, str]:
    """Return the standard phrase of each status: HTTP/2 does not send any (§8.3.2)."""
    return {int(status): status.phrase for status in HTTPStatus}


_PHRASES: Final = _phrases()


def read_head(
    fields: list[tuple[bytes, bytes]], method: bytes, limits: Limits, max_size: int
) -> Head:
    """Return the head of a response to a *method* request.

    :param max_size: most bytes of all fields
    :raises StreamFault: the fields are not those of a response, or too many or too large
    """
    if not fields or fields[0][0] != b":status" or _STATUS.fullmatch(fields[0][1]) is None:
        raise _malformed("the head does not begin with a status")
    status = int(fields[0][1])
    if status == 101:  # §8.6
        raise _malformed("101 Switching Protocols, which HTTP/2 does not have")
    regular = fields[1:]
    _check_fields(regular, "header", limits, max_size)
    head = Head(StatusLine(HTTP2, status, _PHRASES.get(status, ""), False))
    head.take_fields(regular)
    head.keep_alive = True
    try:
        head.length = CHUNKED if head.lengths is None else read_content_length(head.lengths)
    except ParseError as exc:
        raise _malformed(str(exc)) from None
    if method == b"CONNECT" and 200 <= status < 300:
        head.length = CHUNKED  # a tunnel: Content-Length has no meaning
        head.switches = True
    elif status < 200 or status in {204, 304} or method == b"HEAD":
        head.length = 0
    return head


def check_trailers(fields: list[tuple[bytes, bytes]], limits: Limits, max_size: int) -> None:
    """Refuse *fields* that cannot be the trailers of a response (§8.1).

    :raises StreamFault: there is a pseudo header, or another field that is not allowed
    """
    _check_fields(fields, "trailer", limits, max_size)


def _are_plain(fields: list[tuple[bytes, bytes]], limits: Limits, max_size: int) -> bool:
    """Whether *fields* are surely right: it is faster to look at all of them at once.

    Those that are not plain may be right.
    """
    joined = b"\n".join([part for field in fields for part in field])
    return (
        len(joined) <= limits.max_field_size
        and len(fields) <= limits.max_headers
        and len(joined) + 32 * len(fields) <= max_size
        and joined.count(b"\n") == max(0, 2 * len(fields) - 1)  # there is none in a field
        and _PLAIN.fullmatch(joined) is not None
        and _OF_CONNECTION.isdisjoint([name for name, _ in fields])
    )


def _check_fields(
    fields: list[tuple[bytes, bytes]], kind: str, limits: Limits, max_size: int
) -> None:
    if _are_plain(fields, limits, max_size):
        return
    if len(fields) > limits.max_headers:
        raise _too_large(f"more than {limits.max_headers} {kind} lines")
    total = 0
    for name, value in fields:
        size = len(name) + len(value)
        total += size + 32
        if size > limits.max_field_size:
            raise _too_large(f"a {kind} line is longer than {limits.max_field_size} bytes")
        if _NAME.fullmatch(name) is None:
            raise _malformed(f"a {kind} has the name {name[:100]!r}")
        if name in _OF_CONNECTION:
            raise _malformed(f"the {kind} {name.decode()} belongs to HTTP/1.1")
        if _VALUE.fullmatch(value) is None:
            raise _malformed(f"the value of the {kind} {name.decode()[:100]} is malformed")
    if total > max_size:
        raise _too_large(f"the {kind} lines have more than {max_size} bytes")


def _malformed(text: str) -> StreamFault:
    return StreamFault(ErrorCode.PROTOCOL_ERROR, text)


def _too_large(text: str) -> StreamFault:
    return StreamFault(ErrorCode.ENHANCE_YOUR_CALM, text)
