"""What a request is answered with, and how that is sent."""

from __future__ import annotations

import enum
import json as json_module
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import anyio

from .. import hdrs
from .._common import check_count, check_seconds, check_str, shown_class
from .._headers import header_pairs
from ..client_exceptions import ClientPayloadError
from ..typedefs import LooseHeaders
from ._faults import STALL, ExceptionOrClass, Fault, FaultKind, fault_of
from ._http1_server import WholeResponse, whole_response
from ._requests import ReceivedRequest

if TYPE_CHECKING:
    from ._http1_server import Http1Server
    from ._server_connection import ServerExchange

__all__ = (
    "MISSING",
    "Answer",
    "AnswerSource",
    "Body",
    "Missing",
    "Step",
    "as_answer",
    "called_answer",
    "checked_source",
    "drip",
    "garbage",
    "play",
    "reset",
    "stall",
)


class Missing(enum.Enum):
    """Stands for an argument that was not given, where ``None`` means something."""

    MISSING = enum.auto()


MISSING: Final = Missing.MISSING

#: What a step of an answer is: bytes to send, seconds to wait, or the failure it ends with.
Step: TypeAlias = "bytes | float | Fault"

#: Statuses whose responses have no body (:rfc:`9110#section-6.4.1`).
_BODILESS: Final = frozenset((204, 304))


@dataclass(frozen=True, slots=True)
class Drip:
    """A body that is sent in pieces; made by :func:`drip`."""

    body: bytes
    size: int
    seconds: float

    def pieces(self) -> Iterator[bytes]:
        """Return the body in pieces."""
        for start in range(0, len(self.body), self.size):
            yield self.body[start : start + self.size]


#: A body: in memory, dripping, or made while it is sent.
Body: TypeAlias = "bytes | bytearray | memoryview | Drip | Iterable[bytes] | AsyncIterable[bytes]"


class Answer:
    """The answer to a request.

    Give at most one of *json*, *text*, *body* and *raw*.

    :param status: from 200 to 999
    :param reason: the text after the status; by default the usual one
    :param headers: header fields.  They replace those that would be added: ``Content-Type``, and
        ``Content-Length`` or ``Transfer-Encoding``.  They are sent as they are, so a wrong length
        is possible; then the connection is closed after the body.  With ``Content-Encoding``, the
        body must be encoded already
    :param json: an object to send as JSON
    :param text: a text to send in UTF-8
    :param body: the body: bytes, an iterable or async iterable of bytes, or what :func:`drip`
        returns.  The items of an iterable are sent as chunks, each as soon as it is there
    :param exception: an exception, or a class of exceptions, that happens instead of a response, or
        after the body if there is one.  An :exc:`OSError`, an exception of TLS or one of this
        package is made to happen by its usual cause, so the client may raise another one in its
        place.  The request raises any other exception as it is
    :param raw: bytes to send instead of a response; the connection is closed after them
    :param delay: how long to wait before anything is sent, in seconds
    :raises TypeError: an argument has the wrong type
    :raises ValueError: an argument has a value that cannot be sent, or contradicts another
    """

    __slots__ = ("_content", "_is_spent", "_pieces", "_raw", "_response", "delay", "fault",
                 "headers", "reason", "status")  # fmt: skip

    def __init__(
        self,
        status: int = 200,
        *,
        reason: str | None = None,
        headers: LooseHeaders | None = None,
        json: object = MISSING,
        text: str | None = None,
        body: Body | None = None,
        exception: ExceptionOrClass | None = None,
        raw: bytes | None = None,
        delay: float = 0,
    ) -> None:
        _check_status(status)
        if reason is not None:
            _check_reason(reason)
        check_seconds("delay", delay, finite=True)
        self.status: int = status
        self.reason: str | None = reason
        self.delay: float = delay
        self.headers: tuple[tuple[str, str], ...] = tuple(header_pairs("headers", headers))
        #: what happens instead of a response, or after its body
        self.fault: Fault | None = None if exception is None else fault_of(exception)
        self._raw: bytes | None = None
        self._content: bytes | Drip | None = None
        self._pieces: Iterable[bytes] | AsyncIterable[bytes] | None = None
        self._response: WholeResponse | None = None  # made for the first request
        self._is_spent = False  # whether the iterator that is the body has been taken
        bodies = {"json": json is not MISSING, "text": text is not None, "body": body is not None}
        bodies["raw"] = raw is not None
        names = [f"{name}=" for name, is_given in bodies.items() if is_given]
        if len(names) > 1:
            raise ValueError(f"an answer has only one body, but it was given {' and '.join(names)}")
        if raw is not None:
            self._take_raw(raw)
        elif text is not None:
            self._take_text(text)
        elif json is not MISSING:
            self._content = json_bytes(json)
            self._add_header(hdrs.CONTENT_TYPE, "application/json")
        elif body is not None:
            self._take_body(body)
        if status in _BODILESS and (self._content or self._pieces is not None):
            raise ValueError(f"a response with status {status} has no body (RFC 9110 §6.4.1)")
        if exception is not None:
            self._check_fault(exception)

    def _take_raw(self, raw: bytes) -> None:
        if self.headers or self.reason is not None or self.status != 200:
            raise ValueError("raw= is all that is sent, so it has no status, reason or headers")
        self._raw = _checked_bytes("raw", raw)

    def _take_text(self, text: str) -> None:
        check_str("text", text)
        self._content = text.encode()
        self._add_header(hdrs.CONTENT_TYPE, "text/plain; charset=utf-8")

    def _take_body(self, body: Body) -> None:
        if isinstance(body, (bytes, bytearray, memoryview)):
            self._content = bytes(body)
        elif isinstance(body, Drip):
            self._content = body
        elif isinstance(body, (str, dict)):
            right = "text=" if isinstance(body, str) else "json="
            name = shown_class(type(body))
            raise TypeError(f"body must be bytes or an iterable of bytes: {right} takes a {name}")
        elif isinstance(body, (Iterable, AsyncIterable)):
            self._pieces = cast("Iterable[bytes] | AsyncIterable[bytes]", body)
        else:
            hint = "; answer= takes a function, which returns an answer" if callable(body) else ""
            raise TypeError(
                f"body must be bytes or an iterable of bytes, not {shown_class(type(body))}{hint}"
            )

    def _check_fault(self, exception: ExceptionOrClass) -> None:
        fault = self.fault
        assert fault is not None
        is_connecting = fault.kind is FaultKind.CONNECTING
        if is_connecting and (self.has_body or self._raw is not None):
            name = (exception if isinstance(exception, type) else type(exception)).__name__
            raise ValueError(f"{name} happens before anything is sent, so no body can come before")
        about_body = exception is ClientPayloadError or type(exception) is ClientPayloadError
        if about_body and not self.has_body and self._raw is None:
            self._content = b""  # so that there is a head

    def _add_header(self, name: str, value: str) -> None:
        if all(given.lower() != name.lower() for given, _ in self.headers):
            self.headers = (*self.headers, (name, value))

    def __repr__(self) -> str:
        parts = [f"status={self.status}"]
        if isinstance(self._content, bytes):
            parts.append(f"body={shown_body(self._content)}")
        elif self._content is not None or self._pieces is not None:
            parts.append("body=...")
        if self._raw is not None:
            parts = [f"raw={shown_body(self._raw)}"]
        if self.fault is not None:
            parts.append(f"fault={self.fault.kind.name}")
        return f"<Answer {' '.join(parts)}>"

    @property
    def has_body(self) -> bool:
        """Whether a body was given, which may be empty."""
        return self._content is not None or self._pieces is not None

    @property
    def is_iterated(self) -> bool:
        """Whether code of the program makes the body while it is sent."""
        return self._pieces is not None

    def pieces(self) -> Iterable[bytes] | AsyncIterable[bytes]:
        """Return what makes the body.

        :raises RuntimeError: it is an iterator that has been used up
        """
        pieces = self._pieces
        assert pieces is not None
        if isinstance(pieces, (Iterator, AsyncIterator)):
            if self._is_spent:
                raise RuntimeError(
                    "the body of this answer is an iterator, which an earlier request has used up: "
                    "give a function that returns a new answer for each request"
                )
            self._is_spent = True
        return pieces

    def steps(self, protocol: Http1Server) -> Iterator[Step]:
        """Return how the answer is sent, if its body is not iterated.

        :param protocol: of the connection; it has received the head of the request
        """
        if self.delay:
            yield self.delay
        content, fault = self._content, self.fault
        if self._raw is not None:
            protocol.can_go_on = False
            yield self._raw
        elif isinstance(content, Drip):
            yield from self._dripping(content, protocol)
        elif fault is None:
            if self._response is None:
                self._response = whole_response(
                    self.status, self.headers, content or b"", self.reason
                )
            yield protocol.respond_with(self._response)
        elif content is not None:
            head = protocol.start(self.status, self.headers, self.reason)
            yield head + protocol.send_data(content)
        if fault is not None:
            yield fault

    def _dripping(self, drip: Drip, protocol: Http1Server) -> Iterator[Step]:
        headers = list(self.headers)
        if self.fault is None and not _has_framing(headers):
            headers.append((hdrs.CONTENT_LENGTH, str(len(drip.body))))
        yield protocol.start(self.status, headers, self.reason)
        for piece in drip.pieces():
            yield drip.seconds
            yield protocol.send_data(piece)
        if self.fault is None:
            yield protocol.finish()


def _has_framing(headers: Iterable[tuple[str, str]]) -> bool:
    return any(name.lower() in {"content-length", "transfer-encoding"} for name, _ in headers)


def _check_status(status: int) -> None:
    check_count("status", status)
    if status == 101:
        raise ValueError("status 101 begins another protocol: mock.ws() answers with a WebSocket")
    if not 200 <= status <= 999:
        raise ValueError(f"status must be from 200 to 999, got {status}")


def _check_reason(reason: str) -> None:
    check_str("reason", reason)
    if not reason.isprintable():
        raise ValueError(f"reason must be printable text in one line, got {reason!r}")


def _checked_bytes(name: str, value: bytes) -> bytes:
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise TypeError(f"{name} must be bytes, not {shown_class(type(value))}")
    return bytes(value)


def json_bytes(value: object) -> bytes:
    """Return *value* as JSON.

    :raises TypeError: it holds an object that has no form in JSON
    :raises ValueError: it holds itself, or a number that JSON does not have
    """
    try:
        return json_module.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as exc:
        kind = TypeError if isinstance(exc, TypeError) else ValueError
        raise kind(f"json cannot be serialised: {exc}") from exc


#: Most characters of a body that messages show.
_SHOWN: Final = 100


def shown_body(body: bytes) -> str:
    """Return the beginning of *body* for messages."""
    shown = repr(body[:_SHOWN])
    return shown if len(body) <= _SHOWN else f"{shown}... ({len(body)} bytes)"


# -- answers that are slow or broken


def drip(body: bytes, *, size: int = 1, seconds: float = 0.0) -> Drip:
    """Return a ``body=`` that comes in pieces, after the head.

    :param size: bytes of each piece
    :param seconds: the pause before each piece
    """
    check_count("size", size, least=1)
    check_seconds("seconds", seconds, finite=True)
    return Drip(_checked_bytes("body", body), size, seconds)


def stall(
    after: bytes | None = None, *, status: int = 200, headers: LooseHeaders | None = None
) -> Answer:
    """Return an answer after which nothing comes, until the client gives up.

    :param after: what is sent of the body before, and the head; ``None``: not even the head
    """
    answer = Answer(status, headers=headers, body=after)
    answer.fault = STALL
    return answer


def reset(
    after: bytes | None = None, *, status: int = 200, headers: LooseHeaders | None = None
) -> Answer:
    """Return an answer in which the connection is reset.

    :param after: what is sent of the body before, and the head; ``None``: not even the head
    """
    return Answer(status, headers=headers, body=after, exception=ConnectionResetError)


def garbage(raw: bytes = b"\x00 this is no HTTP \xff\r\n\r\n") -> Answer:
    """Return an answer that sends *raw* in the place of a response, and closes the connection."""
    return Answer(raw=raw)


# -- what a route answers with


#: What a callable may return, and ``answers=`` may hold: an answer, or what one is made of: a
#: status, text, the body in bytes, what becomes JSON, or an exception.
Answerable: TypeAlias = (
    "Answer | int | str | bytes | dict[str, Any] | list[Any] | Exception | type[Exception]"
)

#: Gets the request, and returns what it is answered with.
AnswerCallable: TypeAlias = Callable[[ReceivedRequest], "Answerable | Awaitable[Answerable]"]

#: What ``answer=`` may be, and each of ``answers=``.
AnswerSource: TypeAlias = "Answerable | AnswerCallable"


def as_answer(value: object, what: str = "answer") -> Answer:
    """Return *value* as an answer.

    :param what: what *value* is, for the message
    :raises TypeError: it is nothing of which an answer can be made
    """
    if isinstance(value, Answer):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Answer(value)
    if isinstance(value, str):
        return Answer(text=value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return Answer(body=value)
    if isinstance(value, (dict, list)):
        return Answer(json=value)
    if isinstance(value, Exception) or (isinstance(value, type) and issubclass(value, Exception)):
        return Answer(exception=value)
    raise TypeError(
        f"{what} must be an Answer, a status, str, bytes, a dict or list for JSON, "
        f"or an exception, not {shown_class(type(value))}"
    )


def checked_source(value: AnswerSource, what: str) -> Answer | AnswerCallable:
    """Return *value* as an answer or a callable.

    :raises TypeError: it is neither
    """
    is_class = isinstance(value, type)
    if callable(value) and not (is_class or isinstance(value, Exception)):
        return cast("AnswerCallable", value)
    return as_answer(value, what)


async def called_answer(function: AnswerCallable, request: ReceivedRequest) -> Answer:
    """Return what *function* answers *request* with.

    :raises TypeError: it returns nothing of which an answer can be made
    """
    returned = function(request)
    if isinstance(returned, Awaitable):
        returned = await returned
    name = getattr(function, "__qualname__", repr(function))
    return as_answer(returned, f"what {name}() returns")


# -- sending


async def play(answer: Answer, exchange: ServerExchange) -> Fault | None:
    """Send *answer*; return the failure that has to follow, if there is one.

    :raises ClientDisconnected: the client is gone
    """
    if answer.is_iterated:
        await _play_iterated(answer, exchange)
        return answer.fault
    for step in answer.steps(exchange.connection.protocol):
        if isinstance(step, bytes):
            await exchange.connection.send(step)
        elif isinstance(step, Fault):
            return step
        else:
            await anyio.sleep(step)
    return None


async def _play_iterated(answer: Answer, exchange: ServerExchange) -> None:
    """Send an answer whose body is made while it is sent."""
    if answer.delay:
        await anyio.sleep(answer.delay)
    pieces = answer.pieces()
    await exchange.start(answer.status, answer.headers, answer.reason)
    if exchange.method != hdrs.METH_HEAD:
        if isinstance(pieces, AsyncIterable):
            iterator = aiter(pieces)
            if hasattr(iterator, "aclose"):
                async with aclosing(cast("Any", iterator)):
                    await _send_each(iterator, exchange)
            else:
                await _send_each(iterator, exchange)
        else:
            for piece in pieces:
                await exchange.send(_checked_bytes("a piece of the body", piece))
    if answer.fault is None:
        await exchange.finish()


async def _send_each(iterator: AsyncIterator[bytes], exchange: ServerExchange) -> None:
    async for piece in iterator:
        await exchange.send(_checked_bytes("a piece of the body", piece))
