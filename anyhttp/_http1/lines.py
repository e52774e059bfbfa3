"""Splits bytes into lines, and lines into fields; the bytes may come in pieces of any size.

The time is linear in the number of bytes, even if they come one at a time.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from .response_grammar import Limits, ParseError, read_field, read_fold, without_end

__all__ = (
    "FieldReader",
    "LineReader",
    "Longest",
)

_FOLD: Final = b" \t"


class Longest(NamedTuple):
    """How long a line may be, and the words for the message if it is longer."""

    size: int
    kind: str
    limit: int


class LineReader:
    """Returns one line after another, and keeps the beginning of an incomplete line."""

    __slots__ = ("begun",)

    def __init__(self) -> None:
        #: the beginning of a line whose end has not arrived
        self.begun = bytearray()

    def first(self, data: bytes, position: int) -> int:
        """Return the first byte of the present line, which begins or continues at *position*."""
        return self.begun[0] if self.begun else data[position]

    def read(self, data: bytes, position: int, longest: Longest) -> tuple[bytes, int] | None:
        """Return the line with its end, and where in *data* the next one begins.

        :return: ``None`` if the rest of *data* is only the beginning of a line
        :raises ParseError: the line is too long, or its beginning has a CR without an LF
        """
        end = data.find(b"\n", position) + 1
        begun = self.begun
        if end == 0:
            seen = max(len(begun) - 1, 0)
            begun += data[position:]
            # The last byte may be the CR of a line end whose LF has not been received yet.
            length = len(begun) - (begun[-1] == 13)
            if length > longest.size:
                raise _too_long(longest)
            if begun.find(b"\r", seen, length) >= 0:
                raise ParseError(f"{longest.kind} with a CR that no LF follows")
            return None
        line = data[position:end]
        if begun:
            line = bytes(begun + line)
            begun.clear()
        if len(line) - 1 - line.endswith(b"\r\n") > longest.size:
            raise _too_long(longest)
        return line, end


def _too_long(longest: Longest) -> ParseError:
    return ParseError(f"{longest.kind} is longer than {longest.limit} bytes")


class FieldReader:
    """Reads the field lines of a head or a trailer, up to the empty line after them."""

    __slots__ = ("_counted", "_folds", "_kind", "_limits", "_lines", "_longest", "_size",
                 "complete", "fields", "tolerated")  # fmt: skip

    def __init__(self, limits: Limits, lines: LineReader, kind: str, counted: int = 0) -> None:
        """Make a reader of *kind* lines (for messages), after *counted* other field lines."""
        self._limits = limits
        self._lines = lines
        self._kind = kind
        self._counted = counted
        self._size = 0  # bytes of the last field, with the line ends within it
        self._folds: list[bytes] = []  # the parts of the last field's value, if it is folded
        # 2 more for the colon and the space after it
        self._longest = Longest(limits.max_field_size + 2, f"a {kind} line", limits.max_field_size)
        #: the fields so far
        self.fields: list[tuple[bytes, bytes]] = []
        #: whether something was read that the grammar does not allow
        self.tolerated = False
        #: whether the empty line has been read
        self.complete = False

    def feed(self, data: bytes, position: int) -> int:
        """Read lines from *position* on, and return the position after the last byte read."""
        while position < len(data) and not self.complete:
            longest = self._longest
            folded = self.fields and self._lines.first(data, position) in _FOLD
            if folded:
                longest = longest._replace(size=longest.size - self._size)
            read = self._lines.read(data, position, longest)
            if read is None:
                return len(data)
            line, position = read
            content = without_end(line)
            if not line.endswith(b"\r\n"):
                self.tolerated = True
            if folded:
                self._add_fold(content)
                self._size += len(line)
            else:
                self._add(content)
                self._size = len(line)
        return position

    def _add(self, content: bytes) -> None:
        self._unfold()
        if not content:
            self.complete = True
            return
        name, value, tolerated = read_field(content, self._kind)
        self.fields.append((name, value))
        self._counted += 1
        if tolerated:
            self.tolerated = True
        if self._counted > self._limits.max_headers:
            kinds = "header" if self._kind == "header" else f"header and {self._kind}"
            raise ParseError(f"more than {self._limits.max_headers} {kinds} lines")

    def _add_fold(self, content: bytes) -> None:
        part = read_fold(content, self._kind)
        self.tolerated = True
        if not self._folds:
            self._folds.append(self.fields[-1][1])
        self._folds.append(part)

    def _unfold(self) -> None:
        """Join the parts of a folded field: each fold becomes one space."""
        if self._folds:
            value = b" ".join(part for part in self._folds if part)
            self.fields[-1] = (self.fields[-1][0], value)
            self._folds.clear()
