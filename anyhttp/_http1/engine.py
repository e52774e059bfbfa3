"""Our own engine, which is also the base class of the other one; each exchange has an engine.

An engine does no I/O.  Its ``send_*`` methods return the bytes of a request.  Its method
``receive()`` takes received bytes and sets :attr:`~Engine.head`, :attr:`~Engine.pieces` and
:attr:`~Engine.complete`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import ClassVar, Final, TypeAlias

from .._headers import HeaderBlock, header_block
from .chunks import ChunkReader
from .heads import CHUNKED, UNTIL_EOF, Head, HeadReader, read_plain_head
from .response_framing import read_framing
from .response_grammar import Limits, ParseError

__all__ = ("Engine",)

#: A body of this size or more is received in large pieces, in bytes.
LARGE: Final = 256 * 1024

#: Longest head that is remembered, in bytes: longer ones seldom come twice, and it is kept as long
#: as an idle connection.
KNOWN_SIZE: Final = 1024

#: A head, and the method and the limits with which it was read.
KnownHead: TypeAlias = tuple[Head, str, Limits]

# Engines share these until a head has been received.
_NO_PIECES: Final[deque[bytes]] = deque(maxlen=0)
_NO_ENDS: Final[deque[int]] = deque(maxlen=0)


# Without __slots__, like all objects that each call makes: Python creates them faster then.
class Engine:
    """One request and its responses."""

    name: ClassVar[str] = "auto"
    #: whether the stream has to be told of the end of a body, which is no bytes
    ends_apart: bool = False
    #: whether the peer has said that it did nothing with the request, as it can in HTTP/2
    is_unprocessed: bool = False
    #: whether it has said that it wants HTTP/1.1
    needs_http1: bool = False

    #: an error in the body that was received together with a valid head.  It is raised when
    #: the body is read, as it would be if the body had been received later.
    error: ParseError | None = None
    #: bytes after the end of the response; after a switch they belong to another protocol
    surplus: bytes = b""
    #: offsets in the body at which chunks end, received and not yet consumed
    chunk_ends: deque[int] = _NO_ENDS

    _reader: HeadReader | None = None  # for a head that read_plain_head() cannot read
    _informed = False
    _chunks: ChunkReader | None = None
    _left = 0

    # What each response changes is set here: setting what only the class has is slower.
    def __init__(self, limits: Limits, known: KnownHead | None = None) -> None:
        self._limits = limits
        #: the last head of the connection, as far as it is worth remembering: servers often send
        #: the same bytes again, for a second or more if there is a ``Date``
        self.known: KnownHead | None = known
        self._method = ""
        self._chunked = False
        self._upgrade = False
        #: the head received last; :meth:`next_response` removes an informational one (1xx)
        self.head: Head | None = None
        #: body pieces received and not yet consumed, in order
        self.pieces: deque[bytes] = _NO_PIECES
        #: whether the connection must not be reused.  The request asks to close it
        #: (:rfc:`9112#section-9.6`), or something was read that the grammar does not allow, in
        #: this head or in an informational one before it.
        self.for_one_exchange: bool = False
        #: whether the connection may carry another request, as :attr:`Head.keep_alive`
        self.keep_alive: bool | float = False
        #: whether the response has been received to its end
        self.complete: bool = False

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
        """Return the bytes of a request head whose parts have been checked by the caller."""
        self._method = method
        self._chunked = chunked
        block = headers if isinstance(headers, HeaderBlock) else header_block(tuple(headers))
        self._upgrade, self.for_one_exchange = block.upgrades, block.closes
        version = "HTTP/1.0" if http10 else "HTTP/1.1"
        start = f"{method} {target} {version}\r\n"
        return start.encode("utf-8", "surrogateescape") + block.lines

    def send_data(self, data: bytes) -> bytes:
        """Return the bytes to send for one piece of the body."""
        if self._chunked:
            return b"%x\r\n%b\r\n" % (len(data), data)
        return data

    def frame(self, size: int) -> tuple[bytes, bytes]:
        """Return the bytes to send before and after a piece of *size* bytes."""
        return (b"%x\r\n" % size, b"\r\n") if self._chunked else (b"", b"")

    def send_end(self) -> bytes:
        """Return the bytes that end the body; empty unless it is chunked."""
        return b"0\r\n\r\n" if self._chunked else b""

    # -- receiving

    def receive(self, data: bytes) -> None:
        """Take bytes from the peer; ``b""`` means that the peer has closed its side.

        :raises ParseError: :rfc:`9112` does not allow them at this place
        """
        if self.head is not None:
            if data:
                self._receive_body(data)
            else:
                self._receive_eof()
            return
        if not data:
            raise ParseError("the connection was closed in the middle of the head")
        read = self._read_head(data)
        if read is None:
            return
        head, end = read
        if head.tolerated:
            self.for_one_exchange = True
        self.keep_alive = False if self.for_one_exchange else head.keep_alive
        self.head = head
        data = data[end:]
        self.pieces = deque()
        if data and head.length == len(data):  # true for nearly every small body
            self.pieces.append(data)
            self.complete = True
            return
        self._start_body(head)
        if data:
            try:
                self._receive_body(data)
            except ParseError as exc:
                self.error = exc

    def _read_head(self, data: bytes) -> tuple[Head, int] | None:
        """Return the head and where in *data* it ends; ``None``: more bytes are needed.

        :raises ParseError: it breaks the grammar, or its framing is not understood
        """
        if self._reader is None:
            if self.known is not None:
                head, method, limits = self.known
                if data.startswith(head.raw) and method == self._method and limits is self._limits:
                    return head, len(head.raw)
            read = read_plain_head(data, self._limits)
            if read is not None:
                head, end = read
                self._read_framing(head, data, end)
                if end <= KNOWN_SIZE and head.status >= 200 and not head.set_cookies:
                    self.known = head, self._method, self._limits
                return read
            self._reader = HeadReader(self._limits)
        read = self._reader.feed(data)
        if read is not None:
            self._read_framing(read[0], data, read[1])
        return read

    def _read_framing(self, head: Head, data: bytes, end: int) -> None:
        """Set the framing and connection attributes of *head*, which ends at *end* in *data*."""
        read_framing(head, self._method, self._upgrade)

    def _receive_body(self, data: bytes) -> None:
        if self.complete:
            self.surplus += data
        elif self._chunks is not None:
            pieces, ends, taken = self._chunks.feed(data)
            self.pieces.extend(pieces)
            self.chunk_ends.extend(ends)
            self.surplus = data[taken:]
            if self._chunks.complete:
                self.complete = True
                if self._chunks.tolerated:
                    self.for_one_exchange = True
                    self.keep_alive = False
        else:
            self._receive_identity(data)

    def next_response(self) -> None:
        """Forget an informational head and go on with the response that follows it."""
        self._informed = True
        left, self.surplus = self.surplus, b""
        self.head = None
        self.complete = False
        self._reader = None
        if left:
            self.receive(left)

    @property
    def wanted(self) -> int:
        """How many bytes to ask of the stream: more if the rest of the body is large."""
        if self._left == UNTIL_EOF:
            return LARGE
        # The length of a chunked body is not known.  One that has been large so far will probably
        # go on.
        known = self._left if self._chunks is None else self._chunks.total
        return LARGE if known >= LARGE else 64 * 1024

    @property
    def trailers(self) -> Sequence[tuple[bytes, bytes]]:
        """The fields after the last chunk of a body (:rfc:`9112#section-7.1.2`)."""
        return () if self._chunks is None else self._chunks.trailers

    @property
    def has_started(self) -> bool:
        """Whether any byte of a response has arrived, an informational one included."""
        return self._informed or self.head is not None or self._reader is not None

    def _start_body(self, head: Head) -> None:
        if head.length == CHUNKED:
            self.chunk_ends = deque()
            self._chunks = ChunkReader(self._limits, len(head.raw_headers))
        elif head.length == 0:
            self.complete = True
        else:
            self._left = head.length

    def _receive_identity(self, data: bytes) -> None:
        if self._left == UNTIL_EOF:
            self.pieces.append(data)
        elif len(data) < self._left:
            self._left -= len(data)
            self.pieces.append(data)
        else:
            self.surplus = data[self._left :]
            self.pieces.append(data[: self._left] if self.surplus else data)
            self._left = 0
            self.complete = True

    def _receive_eof(self) -> None:
        if self._left == UNTIL_EOF:
            self.complete = True
        elif self._chunks is not None:
            raise ParseError("the connection was closed in the middle of a chunked body")
        else:
            raise ParseError(f"the connection was closed {self._left} bytes before the body's end")
