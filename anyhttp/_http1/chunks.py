"""Chunked framing (:rfc:`9112#section-7.1`)."""

from __future__ import annotations

from typing import Final

from .lines import FieldReader, LineReader, Longest
from .response_grammar import Limits, ParseError, read_chunk_size, read_plain_size, shown_line

__all__ = ("ChunkReader",)

# Fields that a trailer must not have: it comes after the body that they frame (RFC 9110 §6.5.1).
_FRAMING: Final = frozenset((b"content-length", b"transfer-encoding"))


class ChunkReader:
    """Decodes chunked framing, and refuses bytes that another reader might read differently."""

    __slots__ = ("_headers", "_limits", "_lines", "_longest_plain", "_skip", "_trailer",
                 "complete", "tolerated", "total")  # fmt: skip

    def __init__(self, limits: Limits, headers: int) -> None:
        """Count *headers*, the number of header lines, and the trailer lines under one limit."""
        self._limits = limits
        self._longest_plain = min(limits.max_line_size, 16) + 2
        self._lines = LineReader()
        self._skip = 0  # bytes that are missing of the chunk being read, with its CRLF
        self._headers = headers
        self._trailer: FieldReader | None = None
        #: bytes of data so far
        self.total = 0
        #: whether the last chunk and the trailer have been read
        self.complete = False
        #: whether something was read that the grammar does not allow
        self.tolerated = False

    @property
    def trailers(self) -> list[tuple[bytes, bytes]]:
        """The fields of the trailer, once it is complete."""
        return self._trailer.fields if self._trailer is not None and self.complete else []

    def feed(self, data: bytes) -> tuple[list[bytes], list[int], int]:
        """Return pieces of the body, the offsets in it at which chunks end, and the bytes read.

        :raises ParseError: malformed framing, or a line over its limit
        """
        pieces: list[bytes] = []
        ends: list[int] = []
        position = 0
        while position < len(data) and not self.complete:
            if self._skip:
                position = self._read_data(data, position, pieces)
                if not self._skip:
                    ends.append(self.total)
            elif self._trailer is not None:
                position = self._read_trailer(data, position, self._trailer)
            elif self._lines.begun:
                position = self._read_size(data, position)
            else:
                position = self._read_whole_chunks(data, position, pieces, ends)
                if position < len(data):
                    position = self._read_size(data, position)
        return pieces, ends, position

    def _read_whole_chunks(
        self, data: bytes, position: int, pieces: list[bytes], ends: list[int]
    ) -> int:
        """Read the chunks of which *data* has all bytes, fast, as there may be many small ones."""
        longest, total = self._longest_plain, self.total
        while (end := data.find(b"\r\n", position, position + longest)) > 0:
            size = read_plain_size(data[position:end])
            start = end + 2
            end = start + size
            # The last chunk, chunks with an extension and malformed ones are left to _read_size().
            if not size or not data.startswith(b"\r\n", end):
                break
            total += size
            pieces.append(data[start:end])
            ends.append(total)
            position = end + 2
        self.total = total
        return position

    def _read_data(self, data: bytes, position: int, pieces: list[bytes]) -> int:
        """Read chunk data and the CRLF after it."""
        if self._skip > 2:
            piece = data[position : position + self._skip - 2]
            pieces.append(piece)
            step = len(piece)
            self.total += step
        else:
            step = 1
            if data[position] != (13 if self._skip == 2 else 10):
                raise ParseError("chunk data is not followed by CRLF")
        self._skip -= step
        return position + step

    def _read_size(self, data: bytes, position: int) -> int:
        limit = self._limits.max_line_size
        read = self._lines.read(data, position, Longest(limit, "a chunk-size line", limit))
        if read is None:
            return len(data)
        line, position = read
        # Only CRLF may end this line: a bare LF is tolerated in heads, but not in chunk framing.
        size, tolerated = read_chunk_size(line[:-2] if line.endswith(b"\r\n") else line)
        if tolerated:
            self.tolerated = True
        if size:
            self._skip = size + 2
        else:
            self._trailer = FieldReader(self._limits, self._lines, "trailer", self._headers)
        return position

    def _read_trailer(self, data: bytes, position: int, trailer: FieldReader) -> int:
        before = len(trailer.fields)
        position = trailer.feed(data, position)
        for name, _ in trailer.fields[before:]:
            if name.lower() in _FRAMING:
                raise ParseError(f"a trailer that speaks of framing: {shown_line(name + b':')}")
        self.complete = trailer.complete
        if trailer.tolerated:
            self.tolerated = True
        return position
