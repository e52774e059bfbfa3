"""Iterators over the body of a response: lines of text, values of JSON, server-sent events.

They are classes, not generators: an iterator that a loop leaves by ``break`` holds nothing that
would have to be closed.
"""

from __future__ import annotations

import codecs
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, Self, TypeVar

from anyio.lowlevel import checkpoint

from .._common import check_charset, check_str, checked_size
from .._event_stream import EventStream, ServerSentEvent, TextLines, is_linear
from .._headers import codec_name
from ..client_exceptions import ClientPayloadError
from ..streams import StreamReader, raise_if_failed
from ..typedefs import JSONDecoder

__all__ = ("EventIterator", "JsonLineIterator", "LineIterator", "LineOptions", "reader_of")

T = TypeVar("T")

#: How many bytes are read and parsed at once.  Other tasks have to wait meanwhile.
STEP: Final = 2**14

#: How many items are handed out before other tasks run, if none has to be waited for.  This is what
#: :class:`StreamReader` does, too.
ITEMS_BEFORE_CHECKPOINT: Final = 64

# What some programs write around a value: white space, and a byte order mark before the first.
_AROUND_JSON: Final = " \t\N{ZERO WIDTH NO-BREAK SPACE}"


def reader_of(body: bytes) -> StreamReader:
    """Return a reader of a body that has been read already."""
    reader = StreamReader()
    reader.feed_data(body)
    reader.feed_eof()
    return reader


class BodyIterator(ABC, Generic[T]):
    """Hands out what is found in a body, and reads more of it when there is nothing to hand out.

    It reads ahead.  A step that is cancelled loses nothing: the next one goes on.
    """

    __slots__ = ("_content", "_until_checkpoint")

    def __init__(self, content: StreamReader) -> None:
        self._content = content
        self._until_checkpoint = ITEMS_BEFORE_CHECKPOINT

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        content = self._content
        while True:
            if self._until_checkpoint <= 0:
                await checkpoint()
                self._until_checkpoint = ITEMS_BEFORE_CHECKPOINT
            raise_if_failed(content)
            item = self._take()
            if item is not None:
                self._until_checkpoint -= 1
                return item
            data = await content.read(STEP)
            try:
                if data:
                    self._feed(data)
                    continue
                self._feed_eof()
            except Exception as exc:
                content.set_exception(exc)  # the next steps cannot go on behind that
                raise
            item = self._take()
            if item is None:
                raise StopAsyncIteration
            return item

    @abstractmethod
    def _feed(self, data: bytes) -> None:
        """Take the next bytes of the body."""

    @abstractmethod
    def _feed_eof(self) -> None:
        """Take the end of the body; it may come more than once."""

    @abstractmethod
    def _take(self) -> T | None:
        """Return the next item; ``None`` if more bytes are needed."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LineOptions:
    """The options of ``lines()`` and ``json_lines()``.

    :param method: which of the two it is
    :raises TypeError: an option has the wrong type
    :raises ValueError: an option has a value that is not allowed
    """

    method: str
    encoding: str | None
    errors: str
    max_line_length: int

    def __post_init__(self) -> None:
        checked_size("max_line_length", self.max_line_length)
        check_str("errors", self.errors)
        try:
            codecs.lookup_error(self.errors)
        except (LookupError, ValueError):  # the latter for one that no name can hold
            raise ValueError("errors must be an error handler that Python knows") from None
        if self.encoding is None:
            return
        check_charset("encoding", self.encoding)
        if codec_name(self.encoding) is None or not is_linear(self.encoding):
            raise ValueError("encoding must be a charset that can be decoded in pieces")


class LineIterator(BodyIterator[str]):
    """Iterates over the lines of a text.

    :param encoding_of: returns the charset if the options name none; gets the first bytes
    """

    __slots__ = ("_encoding_of", "_lines", "_options")

    def __init__(
        self, content: StreamReader, encoding_of: Callable[[bytes], str], options: LineOptions
    ) -> None:
        super().__init__(content)
        self._encoding_of = encoding_of
        self._options = options
        self._lines: TextLines | None = None

    def _feed(self, data: bytes) -> None:
        if self._lines is None:
            self._lines = self._begin(data)
        self._lines.feed(data)

    def _begin(self, data: bytes) -> TextLines:
        options = self._options
        encoding = options.encoding or self._encoding_of(data)
        if not is_linear(encoding):
            raise ClientPayloadError(f"a body in {encoding} cannot be decoded in pieces")
        limit, option = options.max_line_length, f"max_line_length= of {options.method}()"
        return TextLines(encoding, options.errors, limit, option)

    def _feed_eof(self) -> None:
        if self._lines is not None:
            self._lines.feed_eof()

    def _take(self) -> str | None:
        return None if self._lines is None else self._lines.next_line()


class JsonLineIterator:
    """Iterates over the values of a text with one in each line; empty lines are left out."""

    __slots__ = ("_lines", "_loads")

    def __init__(self, lines: LineIterator, loads: JSONDecoder) -> None:
        self._lines = lines
        self._loads = loads

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        while not (text := (await self._lines.__anext__()).strip(_AROUND_JSON)):
            pass
        return self._loads(text)


class EventIterator(BodyIterator[ServerSentEvent]):
    """Iterates over the events of a response, which ``response.events()`` returns.

    The end of the iteration is that of the body.  An event that the body ends in does not count.
    """

    __slots__ = ("_stream",)

    def __init__(self, content: StreamReader, max_event_size: int, last_event_id: str) -> None:
        super().__init__(content)
        option = "max_event_size= of events() or sse()"
        self._stream = EventStream(max_event_size, option, last_event_id)

    @property
    def last_event_id(self) -> str:
        """The last ``id`` that the server has sent; a reconnection sends it back."""
        return self._stream.last_event_id

    @property
    def reconnection_time(self) -> int | None:
        """How many milliseconds the server wants to pass before a reconnection, if it says so."""
        return self._stream.reconnection_time

    def _feed(self, data: bytes) -> None:
        self._stream.feed(data)

    def _feed_eof(self) -> None:
        """Do nothing: an event needs the empty line at its end."""

    def _take(self) -> ServerSentEvent | None:
        return self._stream.next_event()
