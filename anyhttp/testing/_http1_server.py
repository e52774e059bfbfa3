"""The server's side of HTTP/1.1 (:rfc:`9112`), without I/O.

It shares no code with the client's side, so that a mistake of the client is seen.  It refuses
requests that a careful server refuses.  Of responses it sends what it is told to, as long as that
has the form of a response: programs have to be tested with servers that make mistakes.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import Final, NamedTuple, TypeAlias, cast

from multidict import CIMultiDict, CIMultiDictProxy

__all__ = (
    "Headers",
    "Http1Server",
    "MalformedRequest",
    "RequestEnd",
    "RequestHead",
    "WholeResponse",
    "header_pairs",
    "whole_response",
)

#: Header fields of a response or of trailers, in their order.
Headers: TypeAlias = Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]]

_TOKEN: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REQUEST_LINE: Final = re.compile(rf"({_TOKEN}) ([^\s\x00-\x1f\x7f]+) HTTP/(1\.[01])")
_NAME: Final = re.compile(_TOKEN)
# What no value may hold: it would end the line, or does for some readers (RFC 9110 §5.5).
_NO_VALUE: Final = re.compile(r"[\r\n\x00]")
_CHUNK_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\r\n]*)?")
#: Longest line that gives the size of a chunk, in bytes.
_LONGEST_LINE: Final = 16 * 1024
_BODILESS: Final = frozenset((204, 304))
_LENGTH_FIELDS: Final = frozenset(("content-length", "transfer-encoding"))
_FRAMING_FIELDS: Final = _LENGTH_FIELDS | {"connection"}


class MalformedRequest(ValueError):
    """The client sent what is no request of HTTP/1.1; the text says what is wrong with it."""


class RequestHead(NamedTuple):
    """The first line and the header fields of a request.

    :param version: ``"1.1"`` or ``"1.0"``
    """

    method: str
    target: str
    version: str
    headers: CIMultiDictProxy[str]


@dataclass(frozen=True, slots=True)
class RequestEnd:
    """The end of a request's body.

    :param trailers: the fields after a body in chunks
    """

    trailers: CIMultiDictProxy[str]


class WholeResponse(NamedTuple):
    """A response with its body, as :func:`whole_response` returns it.

    :param framing: what its headers tell of its end, by their names in lower case
    """

    status: int
    framing: Mapping[str, str]
    head: bytes
    body: bytes


_NO_FIELDS: Final[CIMultiDictProxy[str]] = CIMultiDictProxy(CIMultiDict())
_END: Final = RequestEnd(_NO_FIELDS)


class _Reading(enum.Enum):
    """What is received next."""

    HEAD = enum.auto()
    LENGTH = enum.auto()  # a body whose length is known
    CHUNK_SIZE = enum.auto()
    CHUNK = enum.auto()
    CHUNK_END = enum.auto()
    TRAILERS = enum.auto()
    END = enum.auto()  # the end of the request, which has not been told yet
    OVER = enum.auto()  # nothing, until the next exchange


class _Body(enum.Enum):
    """How the body of the response is sent."""

    UNSTARTED = enum.auto()  # the head has not been sent
    LENGTH = enum.auto()
    CHUNKS = enum.auto()
    TO_THE_END = enum.auto()  # of the connection
    NONE = enum.auto()  # the response has no body, as those to HEAD
    OVER = enum.auto()


class Http1Server:
    """The server's side of one connection: requests come in, responses go out, one at a time.

    :meth:`receive_data` takes bytes, and :meth:`next_event` tells what they mean.  The methods that
    answer return the bytes to send.  When request and response are over, :meth:`next_exchange`
    begins anew, if :attr:`can_go_on`.
    """

    __slots__ = ("_buffer", "_left", "_reading", "_searched", "_sending", "_to_send", "can_go_on",
                 "expects_continue", "head", "is_switched", "status")  # fmt: skip

    def __init__(self) -> None:
        # Deleting from the front of a bytearray does not move the rest.
        self._buffer = bytearray()
        self._searched = 0  # so many of these bytes hold no end of what is being read
        #: the head of the request, when it has been received
        self.head: RequestHead | None = None
        #: the status of the response, when it has been started
        self.status: int | None = None
        #: whether the client waits for a sign that it may send the body (``Expect: 100-continue``)
        self.expects_continue: bool = False
        #: whether the connection may serve another request after this one
        self.can_go_on: bool = True
        #: whether the connection has left HTTP, by a status 101 or an answer to CONNECT
        self.is_switched: bool = False
        self._reading = _Reading.HEAD
        self._left = 0  # bytes of the body, or of the chunk, that are missing
        self._sending = _Body.UNSTARTED
        self._to_send = 0  # bytes that Content-Length announces and that have not been sent

    # -- receiving

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the client."""
        self._buffer += data

    @property
    def is_idle(self) -> bool:
        """Whether nothing has come of the next request."""
        return self._reading is _Reading.HEAD and not self._buffer

    @property
    def request_is_over(self) -> bool:
        """Whether the whole request has been received, and :meth:`next_event` has told its end."""
        return self._reading is _Reading.OVER

    @property
    def response_is_over(self) -> bool:
        """Whether the whole response has been made."""
        return self._sending is _Body.OVER

    def next_event(self) -> RequestHead | bytes | RequestEnd | None:
        """Return the head, the next part of the body, or the end of the request.

        :returns: ``None`` if more bytes are needed, or the request is over
        :raises MalformedRequest: the client broke the protocol
        """
        reading = self._reading
        if reading is _Reading.HEAD:
            return self._read_head()
        if reading is _Reading.END:
            self._reading = _Reading.OVER
            return _END
        if reading is _Reading.OVER:
            return None
        if reading is _Reading.LENGTH:
            return self._read_payload(_Reading.END)
        return self._read_chunks()

    def take_rest(self) -> bytes:
        """Return the bytes that belong to no request, after the connection has left HTTP."""
        return self._take(len(self._buffer))

    def _take(self, size: int, *, skip: int = 0) -> bytes:
        """Take *size* bytes, and drop the next *skip* bytes."""
        taken = bytes(self._buffer[:size])
        del self._buffer[: size + skip]
        self._searched = 0
        return taken

    def _take_until(self, end: bytes) -> bytes | None:
        """Take the bytes up to *end*, and drop that; ``None`` if it has not come."""
        at = self._buffer.find(end, self._searched)
        if at < 0:
            self._searched = max(len(self._buffer) - len(end) + 1, 0)
            return None
        return self._take(at, skip=len(end))

    def _read_head(self) -> RequestHead | None:
        buffer = self._buffer
        if buffer.startswith((b"\r", b"\n")):
            # Empty lines before a request are ignored (RFC 9112 §2.2).
            self._take(len(buffer) - len(buffer.lstrip(b"\r\n")))
        received = self._take_until(b"\r\n\r\n")
        if received is None:
            return None
        first, *lines = received.decode("utf-8", "surrogateescape").split("\r\n")
        matched = _REQUEST_LINE.fullmatch(first)
        if matched is None:
            raise MalformedRequest(f"not a request line: {first!r}")
        method, target, version = matched.groups()
        headers = _fields(lines)
        self.head = head = RequestHead(method, target, version, CIMultiDictProxy(headers))
        self._frame_request(headers, version)
        return head

    def _frame_request(self, headers: CIMultiDict[str], version: str) -> None:
        """Find out how long the body is (:rfc:`9112#section-6.3`)."""
        if len(headers.getall("Host", ())) != 1 and (version == "1.1" or "Host" in headers):
            raise MalformedRequest(f"needs one Host header, not {headers.getall('Host', [])}")
        connection = _tokens(headers, "Connection")
        self.can_go_on = version == "1.1" and "close" not in connection
        self.expects_continue = (
            version == "1.1" and headers.get("Expect", "").lower() == "100-continue"
        )
        lengths = headers.getall("Content-Length", ())
        if "Transfer-Encoding" in headers:
            codings = headers.getall("Transfer-Encoding")
            if lengths or version == "1.0":
                raise MalformedRequest("Transfer-Encoding with Content-Length, or in HTTP/1.0")
            if ",".join(codings).rpartition(",")[2].strip().lower() != "chunked":
                raise MalformedRequest(f"the last transfer coding must be chunked: {codings}")
            self._reading = _Reading.CHUNK_SIZE
            return
        if not lengths:
            self._left = 0
        elif len(set(lengths)) == 1 and re.fullmatch(r"[0-9]{1,18}", lengths[0]):
            self._left = int(lengths[0])
        else:
            raise MalformedRequest(f"bad Content-Length: {', '.join(lengths)!r}")
        self._reading = _Reading.LENGTH if self._left else _Reading.END

    def _read_payload(self, after: _Reading) -> bytes | RequestEnd | None:
        """Return the next part of a body or a chunk, after which comes *after*."""
        if not self._buffer:
            return None
        piece = self._take(self._left)
        self._left -= len(piece)
        if not self._left:
            self._reading = after
        return piece

    def _read_chunks(self) -> bytes | RequestEnd | None:
        """Do what :meth:`next_event` does in a body of chunks (:rfc:`9112#section-7.1`)."""
        if self._reading is _Reading.CHUNK:
            return self._read_payload(_Reading.CHUNK_END)
        if self._reading is _Reading.CHUNK_END:
            end = bytes(self._buffer[:20])
            if not b"\r\n".startswith(end[:2]):
                raise MalformedRequest(f"no end of line after a chunk: {end!r}")
            if len(end) < 2:
                return None
            self._take(2)
            self._reading = _Reading.CHUNK_SIZE
        if self._reading is _Reading.CHUNK_SIZE:
            line = self._take_until(b"\r\n")
            if line is None:
                if len(self._buffer) > _LONGEST_LINE:
                    begun = bytes(self._buffer[:20])
                    raise MalformedRequest(f"not the size of a chunk: {begun!r}...")
                return None
            matched = _CHUNK_SIZE.fullmatch(line)
            if matched is None:
                raise MalformedRequest(f"not the size of a chunk: {line[:100]!r}")
            self._left = int(matched[1], 16)
            if self._left:
                self._reading = _Reading.CHUNK
                return self._read_payload(_Reading.CHUNK_END)
            self._reading = _Reading.TRAILERS
        return self._read_trailers()

    def _read_trailers(self) -> RequestEnd | None:
        if self._buffer.startswith(b"\r\n"):
            self._take(2)
            self._reading = _Reading.OVER
            return _END
        lines = self._take_until(b"\r\n\r\n")
        if lines is None:
            return None
        self._reading = _Reading.OVER
        fields = _fields(lines.decode("utf-8", "surrogateescape").split("\r\n"))
        return RequestEnd(CIMultiDictProxy(fields))

    # -- responding

    def go_on(self) -> bytes:
        """Return what tells the client to send the body, if it waits for that."""
        if not self.expects_continue or self.status is not None:
            return b""
        self.expects_continue = False
        return b"HTTP/1.1 100 Continue\r\n\r\n"

    def inform(self, status: int, headers: Headers = ()) -> bytes:
        """Return an interim response, such as 103 (Early Hints).

        :raises ValueError: *status* is no interim one, or 101, or a header has no proper form
        :raises RuntimeError: the response has been started
        """
        if status == 101 or status not in range(100, 200):
            raise ValueError(f"status must be from 100 to 199 and not 101, not {status!r}")
        if self._sending is not _Body.UNSTARTED:
            raise RuntimeError("interim responses come before the response")
        if status == 100:
            self.expects_continue = False
        return _head(status, None, header_pairs(headers))

    def start(self, status: int, headers: Headers = (), reason: str | None = None) -> bytes:
        """Return the head of the response.

        The body is sent in chunks, unless *headers* have a ``Content-Length``.  After the status
        101, and a successful one to CONNECT, the connection no longer speaks HTTP.

        :raises ValueError: *status* or a header has no proper form
        :raises RuntimeError: the response has been started, or there is no request
        """
        pairs = header_pairs(headers)
        framing = _framing_of(pairs)
        self._frame_response(status, framing)
        if self._sending is _Body.CHUNKS and "transfer-encoding" not in framing:
            pairs.append(("Transfer-Encoding", "chunked"))
        return _head(status, reason, pairs)

    def respond(
        self,
        status: int = 200,
        headers: Headers = (),
        body: bytes = b"",
        reason: str | None = None,
    ) -> bytes:
        """Return a whole response, with its ``Content-Length`` if *headers* have no framing.

        :raises ValueError: *status* or a header has no proper form
        :raises RuntimeError: the response has been started, or there is no request
        """
        self._request_to_answer(status)  # raises the errors about these first
        return self.respond_with(whole_response(status, headers, body, reason))

    def respond_with(self, response: WholeResponse) -> bytes:
        """Do what :meth:`respond` does with a response that has been made before.

        :raises ValueError: its status has no proper form
        :raises RuntimeError: the response has been started, or there is no request
        """
        status, framing, head, body = response
        self._frame_response(status, framing)
        if self.is_switched:
            return head
        if self._sending is _Body.LENGTH and len(body) == self._to_send:
            self._sending = _Body.OVER
            return head + body
        return head + self.send_data(body) + self.finish()

    def refuse(self, reason: str) -> bytes:
        """Return the response to what is no request; the connection ends with it."""
        self.can_go_on = False
        body = reason.encode("utf-8", "backslashreplace")
        pairs = [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
        ]
        return _head(400, None, pairs) + body

    def _frame_response(self, status: int, framing: Mapping[str, str]) -> None:
        """Begin the response, and find out how its body is sent.

        :param framing: what :func:`_framing_of` tells of its headers
        """
        head = self._request_to_answer(status)
        self.status = status
        if self.expects_continue or "close" in framing.get("connection", "").lower():
            self.can_go_on = False  # without 100 Continue, the body may come, or not
        if status == 101 or (head.method == "CONNECT" and 200 <= status < 300):
            self._sending, self.is_switched, self.can_go_on = _Body.OVER, True, False
            return
        self._sending = sending = _body_of(head, status, framing)
        if sending is _Body.LENGTH:
            self._to_send = int(framing["content-length"])
        elif sending is _Body.TO_THE_END:
            self.can_go_on = False

    def _request_to_answer(self, status: int) -> RequestHead:
        """Return the head of the request, if a response with *status* may begin.

        :raises ValueError: *status* is none of a response
        :raises RuntimeError: the response has been started, or there is no request
        """
        if self.head is None:
            raise RuntimeError("there is no request to respond to")
        if self._sending is not _Body.UNSTARTED:
            raise RuntimeError("the response has been started already")
        if status.__class__ is not int or not (status == 101 or 200 <= status <= 999):
            raise ValueError(f"status must be a number from 200 to 999, or 101, not {status!r}")
        return self.head

    def send_data(self, data: bytes) -> bytes:
        """Return the bytes that carry a part of the body.

        A body that does not fit its ``Content-Length`` is sent as it is; then the connection ends
        with this response.

        :raises RuntimeError: the response has not been started, or is over
        """
        sending = self._sending
        if sending is _Body.LENGTH:
            self._to_send -= len(data)
            return data
        if sending is _Body.CHUNKS:
            return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
        if sending is _Body.TO_THE_END:
            return data
        if sending is _Body.NONE:
            return b""
        raise RuntimeError(
            "the response has not been started"
            if sending is _Body.UNSTARTED
            else "the response is over"
        )

    def finish(self, trailers: Headers = ()) -> bytes:
        """Return the bytes that end the response.

        :param trailers: fields after the body; only a body that is sent in chunks can have them
        :raises ValueError: a field has no proper form, or the body is not sent in chunks
        :raises RuntimeError: the response has not been started, or is over
        """
        sending = self._sending
        pairs = header_pairs(trailers) if trailers else []
        if pairs and sending in {_Body.LENGTH, _Body.TO_THE_END}:
            raise ValueError("trailers need a body that is sent in chunks")
        self.send_data(b"")  # raises the errors
        self._sending = _Body.OVER
        if sending is _Body.LENGTH and self._to_send:
            self.can_go_on = False
        if sending is not _Body.CHUNKS:
            return b""
        return b"0\r\n" + "".join([*(_line(*pair) for pair in pairs), "\r\n"]).encode(
            "utf-8", "surrogateescape"
        )

    def next_exchange(self) -> bool:
        """Begin the next exchange; return whether there may be one.

        :raises RuntimeError: request or response are not over
        """
        if not self.can_go_on:
            return False
        if self._reading is not _Reading.OVER or self._sending is not _Body.OVER:
            raise RuntimeError("the request or the response is not over")
        self._reading, self._sending = _Reading.HEAD, _Body.UNSTARTED
        self.head = self.status = None
        return True


def _fields(lines: list[str]) -> CIMultiDict[str]:
    """Return the fields that stand in *lines*.

    :raises MalformedRequest: one is no field
    """
    return CIMultiDict([_field(line) for line in lines])


@lru_cache(maxsize=512)
def _field(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or _NAME.fullmatch(name) is None or _NO_VALUE.search(value):
        raise MalformedRequest(f"not a header line: {line!r}")
    return name, value.strip(" \t")


def _tokens(headers: CIMultiDict[str], name: str) -> list[str]:
    if name not in headers:
        return []
    return [token.strip().lower() for token in ",".join(headers.getall(name)).split(",")]


# -- writing


def whole_response(
    status: int = 200, headers: Headers = (), body: bytes = b"", reason: str | None = None
) -> WholeResponse:
    """Return a response, with its ``Content-Length`` if *headers* have no framing.

    :raises ValueError: *reason* or a header has no proper form
    """
    pairs = header_pairs(headers)
    framing = _framing_of(pairs)
    if status not in _BODILESS and status != 101 and not _LENGTH_FIELDS & framing.keys():
        framing["content-length"] = length = str(len(body))
        pairs.append(("Content-Length", length))
    return WholeResponse(status, framing, _head(status, reason, pairs), body)


def header_pairs(headers: Headers) -> list[tuple[str, str]]:
    """Return header fields as text."""
    items = headers.items() if isinstance(headers, Mapping) else headers
    pairs = cast("Iterable[tuple[str | bytes, str | bytes]]", items)
    return [(_text(name), _text(value)) for name, value in pairs]


def _text(value: str | bytes) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (bytes, bytearray)):
        return value.decode("utf-8", "surrogateescape")
    raise TypeError(f"headers must be str or bytes, not {type(value).__name__}")


def _framing_of(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Return the fields that tell where a response and its connection end, in lower case."""
    return {lower: value for name, value in pairs if (lower := name.lower()) in _FRAMING_FIELDS}


def _body_of(head: RequestHead, status: int, framing: Mapping[str, str]) -> _Body:
    """Return how the body of a response is sent (:rfc:`9112#section-6.3`)."""
    if head.method == "HEAD" or status in _BODILESS:
        return _Body.NONE
    if framing.get("transfer-encoding", "").lower().endswith("chunked"):
        return _Body.CHUNKS
    length = framing.get("content-length", "")
    if length.isascii() and length.isdecimal():
        return _Body.LENGTH
    if head.version == "1.0" or _LENGTH_FIELDS & framing.keys():
        return _Body.TO_THE_END
    return _Body.CHUNKS


def _head(status: int, reason: str | None, pairs: list[tuple[str, str]]) -> bytes:
    lines = [_status_line(status, reason), *[_line(*pair) for pair in pairs], "\r\n"]
    return "".join(lines).encode("utf-8", "surrogateescape")


@lru_cache(maxsize=128)
def _status_line(status: int, reason: str | None) -> str:
    if reason is None:
        try:
            reason = HTTPStatus(status).phrase
        except ValueError:
            reason = ""
    elif _NO_VALUE.search(reason):
        raise ValueError(f"the reason must be one line: {reason!r}")
    return f"HTTP/1.1 {status} {reason}\r\n"


@lru_cache(maxsize=512)
def _line(name: str, value: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"not the name of a header: {name!r}")
    if _NO_VALUE.search(value):
        raise ValueError(f"the header {name} must have a value of one line: {value!r}")
    return f"{name}: {value}\r\n"
