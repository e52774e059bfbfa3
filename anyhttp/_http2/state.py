"""One exchange on an HTTP/2 connection, with the face of an engine of HTTP/1.1."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import ClassVar, Final

from .._headers import HeaderBlock
from .._http1 import CHUNKED, Head, Limits, ParseError
from .compression import OVERHEAD
from .errors import ErrorCode, StreamFault
from .fields import RequestHead, RequestHeads, websocket_fields

__all__ = ("StreamState",)

#: A body of this size or more is received in large pieces, in bytes.
LARGE: Final = 256 * 1024

#: Informational heads that may wait for the program to look at them.
MAX_INFORMATIONAL: Final = 32

#: Most bytes of the fields of all informational heads of one exchange, as those of one head are
#: counted.  A few bytes on the way can stand for many fields that are in a table.
MAX_INFORMATIONAL_SIZE: Final = 64 * 1024

#: A piece of a body is joined with the one before if both together have at most so many bytes.  So
#: a server cannot fill the memory with the objects for many small pieces.
JOINED_SIZE: Final = 4096

_NO_ENDS: Final[deque[int]] = deque(maxlen=0)


# Without __slots__, like all objects that each call makes: Python creates them faster then.
class StreamState:
    """One request and its responses, as far as the bytes of the connection have told of them.

    :class:`Http2Core` makes these objects and changes them.
    """

    name: ClassVar[str] = "http2"
    #: whether the stream has to be told of the end of a body, which is no bytes
    ends_apart: bool = True

    #: its number on the connection, 0 until the request has been started
    stream_id: int = 0
    #: whether anything has changed since somebody set this to ``False``: a head, a piece, the end,
    #: a reset, or room in a window for which the body waits
    has_news: bool = False
    #: the error code with which the server has reset the stream
    reset_code: int | None = None
    #: whether the server has surely done nothing for the request (:rfc:`9113#section-8.7`)
    is_unprocessed: bool = False
    #: whether the server has said that it wants HTTP/1.1 for the request
    needs_http1: bool = False
    #: why nothing more will come, if the response is not complete
    failure: Exception | None = None
    #: the same, if the response is malformed
    error: ParseError | None = None
    #: the final head of the request, once :meth:`send_head` has been called
    request: RequestHead | None = None
    #: the protocol that an extended ``CONNECT`` asks for
    protocol: str | None = None
    #: whether :meth:`send_end` has been called
    is_ended: bool = False
    #: whether the end of the request has been sent
    end_sent: bool = False
    #: whether nothing more is sent or received
    is_closed: bool = False
    #: head of the response received last; :meth:`next_response` removes an informational one (1xx)
    head: Head | None = None
    #: whether the response has been received to its end
    complete: bool = False
    #: the fields after the body
    trailers: Sequence[tuple[bytes, bytes]] = ()

    # What HTTP/1.1 has besides.
    surplus: bytes = b""
    chunk_ends: deque[int] = _NO_ENDS
    keep_alive: bool | float = True
    for_one_exchange: bool = False

    _informed = False
    _has_final_head = False
    _left = CHUNKED  # bytes of the body that have been announced and not received
    _later_heads: deque[Head] | None = None
    _informational_size = 0

    #: bytes that the server may send before the program reads, what is left of them, what it has
    #: sent, and what it has been given back
    window_size: int = 0
    window: int = 0
    received: int = 0
    credited: int = 0
    #: bytes that may still be sent
    send_window: int = 0

    def __init__(self, limits: Limits, heads: RequestHeads) -> None:
        self.limits: Limits = limits
        self._heads = heads
        #: body pieces received and not yet consumed, in order
        self.pieces: deque[bytes] = deque()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.stream_id}>"

    # -- sending

    def send_head(
        self,
        method: str,
        target: str,
        headers: HeaderBlock | Sequence[tuple[str, str]],
        *,
        http10: bool = False,
        chunked: bool = False,
    ) -> bytes:
        """Take the head of the request; :meth:`Http2Core.start` sends it.

        If it asks for a WebSocket, as HTTP/1.1 does, it becomes an extended ``CONNECT``.

        :raises ValueError: a name or a value is one that HTTP/2 does not allow
        """
        if isinstance(headers, HeaderBlock) and (fields := websocket_fields(headers)) is not None:
            method, headers, self.protocol = "CONNECT", fields, "websocket"
        self.request = self._heads.make(method, target, headers, self.protocol)
        return b""

    def send_data(self, data: bytes) -> bytes:
        """Return *data*: frames are made when it is known how large they may be."""
        return data

    def frame(self, size: int) -> tuple[bytes, bytes]:
        """Return what is sent before and after a piece: nothing."""
        return b"", b""

    def send_end(self) -> bytes:
        """Note that the request ends here, unless another protocol is to follow."""
        self.is_ended = self.request is None or self.request.method != b"CONNECT"
        return b""

    @property
    def can_send(self) -> bool:
        """Whether the server takes more of the request."""
        return self.stream_id != 0 and not self.end_sent and not self.is_closed

    # -- receiving

    def receive(self, data: bytes) -> None:
        """Do nothing: the connection has received *data* for this object."""

    def next_response(self) -> None:
        """Forget an informational head and go on with the response that follows it."""
        self._informed = True
        self.head = self._later_heads.popleft() if self._later_heads else None

    @property
    def wanted(self) -> int:
        """How many bytes to ask of the stream: more if the rest of the body is large."""
        known = self.received if self._left == CHUNKED else self._left
        return LARGE if known >= LARGE else 64 * 1024

    @property
    def has_started(self) -> bool:
        """Whether any byte of a response has arrived, an informational one included."""
        return self._informed or self.head is not None

    @property
    def has_final_head(self) -> bool:
        """Whether the head of the final response has been received."""
        return self._has_final_head

    def take_head(self, head: Head, *, ends: bool) -> None:
        """Take a head of the response; *ends* if there is neither a body nor trailers.

        :raises StreamFault: it cannot come here
        """
        if head.status < 200:
            if ends:
                raise _malformed("the response ends with an informational head")
            self._take_informational(head)
        else:
            self._has_final_head = True
            self._left = head.length
            if ends:
                self._end(head.length)
        if self.head is None:
            self.head = head
            return
        if self._later_heads is None:
            self._later_heads = deque()
        if len(self._later_heads) >= MAX_INFORMATIONAL:
            raise StreamFault(
                ErrorCode.ENHANCE_YOUR_CALM, f"more than {MAX_INFORMATIONAL} informational heads"
            )
        self._later_heads.append(head)

    def _take_informational(self, head: Head) -> None:
        self._informational_size += sum(
            [len(name) + len(value) + OVERHEAD for name, value in head.raw_headers]
        )
        if self._informational_size > MAX_INFORMATIONAL_SIZE:
            raise StreamFault(
                ErrorCode.ENHANCE_YOUR_CALM,
                f"more than {MAX_INFORMATIONAL_SIZE} bytes of informational heads",
            )

    def take_data(self, data: bytes, *, ends: bool) -> None:
        """Take a piece of the body.

        :raises StreamFault: it cannot come here, or its length contradicts ``Content-Length``
        """
        if not self._has_final_head:
            raise _malformed("a body without a head")
        if data:
            if self._left != CHUNKED:
                self._left -= len(data)
                if self._left < 0:
                    raise _malformed("the body is longer than Content-Length announces")
            pieces = self.pieces
            if pieces and len(pieces[-1]) + len(data) <= JOINED_SIZE:
                pieces[-1] += data
            else:
                pieces.append(data)
        if ends:
            self._end(self._left)

    def take_trailers(self, fields: Sequence[tuple[bytes, bytes]]) -> None:
        """Take the fields after the body, with which the response ends.

        :raises StreamFault: the body is shorter than ``Content-Length``
        """
        self._end(self._left)
        self.trailers = fields

    def _end(self, left: int) -> None:
        if left > 0:
            raise _malformed(f"the response ended {left} bytes before the body's end")
        self.complete = True

    def fail(self, failure: Exception) -> None:
        """Note that nothing more will come, and why, unless the response is complete."""
        self.is_closed = True
        if not self.complete and self.failure is None:
            self.failure = failure
            if isinstance(failure, ParseError):
                self.error = failure


def _malformed(text: str) -> StreamFault:
    return StreamFault(ErrorCode.PROTOCOL_ERROR, text)
