"""Lines of a text whose bytes arrive in pieces."""

from __future__ import annotations

import codecs
from collections import deque
from io import StringIO
from typing import Final

from ..http_exceptions import LineTooLong

__all__ = ("TextLines", "is_linear")

#: How much of a line that is too long its error shows, in characters.
SHOWN: Final = 100

# Python decodes a long base64 section of UTF-7 from its beginning with each piece.  For a peer that
# sends it byte by byte, the time would grow with the square of the length.
_NOT_LINEAR: Final = frozenset({"utf-7"})


def is_linear(encoding: str) -> bool:
    """Whether decoding piece by piece takes a time that is linear in the number of bytes."""
    return codecs.lookup(encoding).name not in _NOT_LINEAR


class TextLines:
    """The lines of a text; how its bytes are split when they arrive makes no difference.

    CR LF, LF and CR each end a line, as in Python's text files.  A CR ends it at once: if an LF
    follows, it is dropped when it comes.

    :param encoding: charset of the bytes, for which :func:`is_linear` holds
    :param errors: how to treat bytes that cannot be decoded, as for ``bytes.decode()``
    :param limit: most characters of a line, without its end
    :param option: what sets the limit, for the error
    """

    __slots__ = ("_after_cr", "_begun", "_complete", "_decoder", "_limit", "_option", "_size")

    def __init__(self, encoding: str, errors: str, limit: int, option: str) -> None:
        self._decoder = codecs.getincrementaldecoder(encoding)(errors)
        self._limit = limit
        self._option = option
        self._complete: deque[str] = deque()
        # Tiny pieces take less memory here than in a list.
        self._begun = StringIO()  # the line whose end has not come
        self._size = 0  # of that line
        self._after_cr = False

    def feed(self, data: bytes) -> None:
        """Take the next piece.

        :raises UnicodeDecodeError: it cannot be decoded, if *errors* says so
        """
        self._add(self._decoder.decode(data))

    def feed_eof(self) -> None:
        """Take the end: what follows the last line end is a line, unless it is empty.

        :raises UnicodeDecodeError: the text ends inside of a character
        """
        self._add(self._decoder.decode(b"", final=True))
        if self._size:
            self._end_line()

    def _add(self, text: str) -> None:
        if self._after_cr and text:
            self._after_cr = False
            text = text.removeprefix("\n")
        if not text:
            return
        if "\r" in text:
            self._after_cr = text[-1] == "\r"
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        first, *lines = text.split("\n")
        self._begun.write(first)
        self._size += len(first)
        if lines:
            self._end_line()
            last = lines.pop()
            self._complete += lines
            self._begun.write(last)
            self._size = len(last)

    def _end_line(self) -> None:
        self._complete.append(self._begun.getvalue())
        self._begun = StringIO()
        self._size = 0

    def next_line(self) -> str | None:
        """Return the next line without its end; ``None`` if more bytes are needed.

        :raises LineTooLong: the line has more characters than allowed, whether or not its end has
            come; each further call raises this again
        """
        if self._complete:
            line = self._complete.popleft()
            if len(line) <= self._limit:
                return line
            self.put_back(line)
            raise self.too_long(line)
        if self._size > self._limit:
            raise self.too_long(self._begun.getvalue())
        return None

    def put_back(self, line: str) -> None:
        """Have :meth:`next_line` return *line*, which it has returned, again."""
        self._complete.appendleft(line)

    def too_long(self, text: str) -> LineTooLong:
        """Return the error about *text*, which is longer than allowed."""
        shown = text[:SHOWN] + "..."
        return LineTooLong(shown, self._limit, unit="characters", option=self._option)
