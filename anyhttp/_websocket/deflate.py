"""Compression and decompression of messages: permessage-deflate (:rfc:`7692#section-7.2`)."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

from ..client_exceptions import WebSocketError
from .models import WSCloseCode

__all__ = ("Deflater", "Inflater")

#: The last bytes of a sync flush; the sender removes them at the end of a message.
TAIL: Final = b"\x00\x00\xff\xff"

#: Bytes that are compressed at a time; it takes a millisecond, after which other tasks may run.
COMPRESS_PIECE: Final = 64 * 1024

#: Most DEFLATE streams in one message.  Each needs a new decompressor, so a few megabytes of
#: empty streams would take minutes of CPU time; no known sender makes more than one.
MAX_STREAMS: Final = 64

#: How much longer than needed a window may become before it is cut, in bytes.
WINDOW_SLACK: Final = 4 * 1024


class Deflater:
    """Compresses what is sent.

    :param bits: size of the window, as a power of two
    :param takes_over: whether later messages may refer to earlier ones (context takeover)
    """

    __slots__ = ("_bits", "_compressor", "_takes_over")

    def __init__(self, bits: int, *, takes_over: bool) -> None:
        self._bits = bits
        self._takes_over = takes_over
        self._compressor = self._new()

    def _new(self) -> zlib._Compress:
        # The fastest level: slower ones save few more bytes.
        return zlib.compressobj(zlib.Z_BEST_SPEED, wbits=-self._bits)

    def compress(self, data: bytes | bytearray | memoryview, *, last: bool = True) -> bytes:
        """Return a whole message, or one fragment of it, compressed.

        :param last: whether the message ends with it
        """
        return self._compressor.compress(data) + self._flush(last)

    def pieces(self, data: bytes | bytearray | memoryview, *, last: bool = True) -> Iterator[bytes]:
        """Yield the result of :meth:`compress` in pieces; between them other tasks may run."""
        view = memoryview(data)
        for start in range(0, len(data), COMPRESS_PIECE):
            yield self._compressor.compress(view[start : start + COMPRESS_PIECE])
        yield self._flush(last)

    def _flush(self, last: bool) -> bytes:
        """Return the end of a message, or of a fragment of it."""
        flushed = self._compressor.flush(zlib.Z_SYNC_FLUSH)
        if last:
            # A second flush in a row returns nothing from zlib, so there is no tail to remove.
            # The message is then an empty block (RFC 7692 §7.2.3.6).
            flushed = flushed[:-4] if flushed.endswith(TAIL) else flushed + b"\x00"
            if not self._takes_over:
                self._compressor = self._new()
        return flushed


class Inflater:
    """Decompresses what is received.

    :param bits: size of the window, as a power of two
    :param takes_over: whether later messages may refer to earlier ones (context takeover)
    """

    __slots__ = ("_bits", "_decompressor", "_input", "_streams", "_takes_over", "_window")

    def __init__(self, bits: int, *, takes_over: bool) -> None:
        self._bits = bits
        self._takes_over = takes_over
        self._input = b""
        self._streams = 1
        self._decompressor = zlib.decompressobj(-bits)
        # The last bytes of the output.  The next DEFLATE stream may refer to them, and zlib gives
        # no access to its own window.
        self._window = bytearray()

    def inflate(self, data: bytes, limit: int) -> bytes:
        """Return a whole message.

        :param limit: most bytes that the message may have, 0 for any number
        :raises WebSocketError: it has more, or its compression is invalid
        """
        self._input = data + TAIL
        output = self.read(limit + 1 if limit else 0)
        if limit and len(output) > limit:
            raise WebSocketError(
                WSCloseCode.MESSAGE_TOO_BIG, f"the message inflates to more than {limit} bytes"
            )
        self.end_message()
        return output

    def feed(self, data: bytes) -> None:
        """Take compressed bytes."""
        self._input = self._input + data if self._input else data

    def read(self, limit: int) -> bytes:
        """Return the output for the fed bytes; fewer than *limit* bytes mean that it was all.

        :param limit: most bytes to return, 0 for any number
        :raises WebSocketError: the compression is invalid
        """
        output = self._inflate(limit)
        while self._decompressor.eof:
            # RFC 7692 §7.2.3.4: a message may end its DEFLATE stream and begin another one.
            self._streams += 1
            if self._streams > MAX_STREAMS:
                raise WebSocketError(
                    WSCloseCode.PROTOCOL_ERROR, "the message has too many DEFLATE streams"
                )
            self._input = self._decompressor.unused_data
            self._decompressor = zlib.decompressobj(-self._bits, zdict=self._window)
            if limit and len(output) >= limit:
                break
            if self._input:
                output += self._inflate(limit - len(output) if limit else 0)
        return output

    def _inflate(self, limit: int) -> bytes:
        data, self._input = self._input, b""
        try:
            output = self._decompressor.decompress(data, limit)
        except zlib.error as exc:
            raise WebSocketError(
                WSCloseCode.PROTOCOL_ERROR, f"the message is not well compressed: {exc}"
            ) from exc
        self._input = self._decompressor.unconsumed_tail
        size = 1 << self._bits
        self._window += output[-size:]
        if len(self._window) > size + WINDOW_SLACK:
            del self._window[:-size]
        return output

    def end_message(self) -> None:
        """Begin the next message."""
        self._input = b""
        self._streams = 1
        if not self._takes_over:
            self._decompressor = zlib.decompressobj(-self._bits)
            self._window.clear()
