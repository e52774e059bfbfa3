"""Moves the body of a response from the engine to the reader, decodes it and counts its bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from .._codings import ContentDecoder, DecodingError, decoder_for
from ..client_exceptions import BodyTooLargeError, ClientPayloadError
from ..streams import StreamReader, expect_length, takes_all
from .heads import CHUNKED, Head

if TYPE_CHECKING:
    from .interfaces import ExchangeEngine

__all__ = ("BodyOptions", "ResponseBody", "whole_body")

#: How many bytes to decode before other tasks may run, counted as :attr:`ContentDecoder.work`.
#: That takes about as long as switching tasks ten times.
DECODING_STEP: Final = 64 * 1024


class BodyOptions(Protocol):
    """How a call wants the body of its response."""

    #: low-water mark of the reader, in bytes
    @property
    def read_bufsize(self) -> int: ...
    @property
    def auto_decompress(self) -> bool: ...

    #: whether a body may end with the connection (:rfc:`9112#section-6.3`)
    @property
    def read_until_eof(self) -> bool: ...

    #: most bytes that the decoded body may have
    @property
    def max_body_size(self) -> int | None: ...


def whole_body(engine: ExchangeEngine, head: Head, max_size: int | None) -> bytes | None:
    """Return the body if it came with *head* as plain bytes; ``None``: use a reader.

    :param engine: has received the whole response
    """
    pieces = engine.pieces
    if not pieces:
        return b""
    if head.length <= 0 or head.content_encoding:
        return None
    if max_size is not None and head.length > max_size:
        return None
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


class ResponseBody:
    """Feeds a reader with the parts of one body that the engine has received.

    :param head: of the response, which says how the body is framed and encoded
    :param max_size: most bytes that the decoded body may have

    Methods with a parameter *on_received* call it when the engine has received the whole body,
    before the reader is told of the end.  The callback is a method of the exchange, which refers
    to this object.  So it is passed to each call and not stored: the two objects would be a
    reference cycle, which only the garbage collector could free.
    """

    __slots__ = ("_coding", "_decoded", "_engine", "_length", "_max_size", "decoder",
                 "is_decoding", "reader")  # fmt: skip

    def __init__(
        self,
        engine: ExchangeEngine,
        head: Head,
        reader: StreamReader,
        *,
        max_size: int | None,
    ) -> None:
        self._engine = engine
        self._coding = head.content_encoding
        self._length = head.length
        self._max_size = max_size
        self._decoded = 0
        #: undoes the content codings; ``None`` if there are none
        self.decoder: ContentDecoder | None = None
        #: whether :meth:`feed` has to be called again to decode what has been received
        self.is_decoding: bool = False
        #: the reader from which programs get the body
        self.reader = reader

    def start(self, on_received: Callable[[], object], *, decode: bool) -> None:
        """Begin with the bytes that came together with the head.

        :param decode: whether to undo the content codings
        :raises ClientPayloadError: a coding is not supported, or the body is too large
        """
        if decode and self._coding:
            try:
                self.decoder = decoder_for(self._coding)
            except DecodingError as exc:
                raise ClientPayloadError(f"Cannot decode the response: {exc}") from None
        elif self._length != CHUNKED:
            if self._length > 0:
                expect_length(self.reader, self._length)
            self._move_pieces(on_received)

    @property
    def wanted(self) -> int:
        """How many bytes to ask of the stream."""
        wanted = self._engine.wanted
        if takes_all(self.reader):
            return 4 * wanted  # the fewer pieces the cheaper
        return min(wanted, self.reader.get_read_buffer_limits()[1])

    def feed(self, on_received: Callable[[], object]) -> bool:
        """Feed the reader; return ``False`` if it has got nothing.

        More bytes have to be received then, or, if :attr:`is_decoding` is set, this has to be
        called again: one call does a bounded amount of work.

        :raises ClientPayloadError: the body cannot be decoded, or is too large
        """
        if self.reader.is_eof() or self.reader.exception() is not None:
            return True
        if self.decoder is None:
            return self._move_pieces(on_received)
        try:
            return self._decode(self.decoder, on_received)
        except DecodingError as exc:
            raise ClientPayloadError(f"Can not decode content-encoding: {self._coding}") from exc

    def _move_pieces(self, on_received: Callable[[], object]) -> bool:
        """Move the received pieces of a body that is not encoded to the reader."""
        engine, reader = self._engine, self.reader
        pieces, ends = engine.pieces, engine.chunk_ends
        moved = bool(pieces or ends)
        if moved:
            size = sum(map(len, pieces))
            reader.total_raw_bytes += size
            if self._max_size is not None:
                self._count(size)
            reader.feed_pieces(pieces, size, ends)
            pieces.clear()
            ends.clear()
        if engine.complete:
            on_received()
            reader.feed_eof()
            return True
        return moved

    def _decode(self, decoder: ContentDecoder, on_received: Callable[[], object]) -> bool:
        """Decode until there is output for the reader, more bytes are needed, or it takes long."""
        engine, reader = self._engine, self.reader
        limit = min(reader.get_read_buffer_limits()[0], DECODING_STEP)
        end = decoder.work + DECODING_STEP
        self.is_decoding = False
        output = b""
        while not output:
            if not decoder.needs_input:
                if decoder.work >= end:
                    self.is_decoding = True
                    return False
                output = decoder.step(limit)
            elif engine.pieces:
                self._end_chunk()
                piece = engine.pieces.popleft()
                reader.total_raw_bytes += len(piece)
                decoder.feed(piece)
            elif engine.complete:
                decoder.finish()
                self._end(on_received)
                return True
            else:
                self._end_chunk()
                return False
        self._count(len(output))
        reader.feed_data(output)
        if engine.complete and not engine.pieces and decoder.needs_input and decoder.may_end:
            self._end(on_received)
        return True

    def _end(self, on_received: Callable[[], object]) -> None:
        """Tell of the end of a body that has been decoded.

        If decoding fails, the connection is not given back: the body may have been cut wrongly.
        """
        self._end_chunk()
        on_received()
        self.reader.feed_eof()

    def _end_chunk(self) -> None:
        """Tell the reader if an HTTP chunk ends with what has been decoded so far."""
        ends, reader = self._engine.chunk_ends, self.reader
        if ends and ends[0] == reader.total_raw_bytes:
            ends.popleft()
            reader.end_chunk()

    def _count(self, size: int) -> None:
        """Count decoded bytes against ``max_body_size``."""
        self._decoded += size
        if self._max_size is not None and self._decoded > self._max_size:
            raise BodyTooLargeError(
                f"the response body is larger than max_body_size ({self._max_size} bytes)"
            )
