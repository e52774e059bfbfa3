"""Server-sent events: the format ``text/event-stream`` of the HTML standard, section 9.2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from ..typedefs import DEFAULT_JSON_DECODER, JSONDecoder
from .lines import TextLines

__all__ = ("EventStream", "ServerSentEvent")

#: Most digits of a ``retry`` field that count.  A longer one means more than 31 years, and takes
#: Python a time that grows with the square of its length.
MOST_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """An event that a server has sent.

    :param type: the ``event`` field, ``"message"`` if there is none
    :param data: the ``data`` fields, with a line feed between two of them
    :param id: the ``id`` field of this event, or else of the last event that had one
    :param retry: the ``retry`` field: how many milliseconds to wait before a reconnection
    """

    type: str = "message"
    data: str = ""
    id: str = ""
    retry: int | None = None

    def json(self, *, loads: JSONDecoder = DEFAULT_JSON_DECODER) -> Any:
        """Return ``data``, which is JSON, as Python objects.

        :param loads: turns text into objects
        :raises ValueError: the data are no JSON
        """
        return loads(self.data)


class EventStream:
    """Parses a ``text/event-stream``; how its bytes are split when they arrive does not matter.

    :param max_event_size: most characters of the data of an event, and of any line
    :param option: what sets this limit, for the error
    :param last_event_id: the ``id`` that counts until the server sends another
    """

    __slots__ = ("_data", "_id", "_lines", "_max_size", "_retry", "_size", "_started", "_type",
                 "last_event_id", "reconnection_time")  # fmt: skip

    def __init__(self, max_event_size: int, option: str, last_event_id: str = "") -> None:
        # The standard asks for UTF-8 whatever the headers say, and for U+FFFD in place of what is
        # no UTF-8.
        self._lines = TextLines("utf-8", "replace", max_event_size, option)
        self._max_size = max_event_size
        self._started = False
        self._data: list[str] = []
        self._size = 0  # of the data, with a line end for each piece
        self._type = ""
        self._id = last_event_id
        self._retry: int | None = None
        #: the ``id`` that counts since the last event; a reconnection sends it
        self.last_event_id: str = last_event_id
        #: the last ``retry`` field, in milliseconds
        self.reconnection_time: int | None = None

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream.

        At the end of the stream nothing is to be done: an event without the empty line that ends
        it does not count.
        """
        self._lines.feed(data)

    def next_event(self) -> ServerSentEvent | None:
        """Return the next event; ``None`` if more bytes are needed.

        :raises LineTooLong: the event, or a line, is larger than allowed; each further call raises
            this again
        """
        while (line := self._lines.next_line()) is not None:
            if not self._started:
                self._started = True
                line = line.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")  # a byte order mark
            if line:
                self._take_field(line)
            elif (event := self._end_event()) is not None:
                return event
        return None

    def _take_field(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "data":
                size = self._size + len(value) + 1
                if size > self._max_size + 1:
                    self._lines.put_back(line)
                    raise self._lines.too_long("\n".join([*self._data, value]))
                self._data.append(value)
                self._size = size
            case "event":
                self._type = value
            case "id" if "\0" not in value:
                self._id = value
            case "retry" if value.isascii() and value.isdigit() and len(value) <= MOST_DIGITS:
                self._retry = self.reconnection_time = int(value)
        # A comment has an empty name.  The standard says that other names are to be ignored, too.

    def _end_event(self) -> ServerSentEvent | None:
        """Return the event that an empty line ends, if it has data."""
        self.last_event_id = self._id
        event = None
        if self._data:
            event = ServerSentEvent(
                self._type or "message", "\n".join(self._data), self._id, self._retry
            )
            self._data = []
            self._size = 0
        self._type = ""
        self._retry = None
        return event
