"""Errors of reading lines; what the parsers refuse is told by ``client_exceptions``.

The other classes are what programs for aiohttp name in an ``except`` clause.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ("BadHttpMessage", "BadStatusLine", "HttpProcessingError", "LineTooLong")


class HttpProcessingError(Exception):
    """What aiohttp calls errors of its parsers; here only :exc:`LineTooLong` is one."""

    code = 0
    message = ""
    headers: Mapping[str, str] | None = None


class BadHttpMessage(HttpProcessingError):
    """A message that breaks the rules of HTTP."""

    code = 400
    message = "Bad Request"


class BadStatusLine(BadHttpMessage):
    """Never raised: a head that cannot be parsed is a :exc:`ClientResponseError`."""


class LineTooLong(BadHttpMessage):
    """A line, or what was read in search of a separator, is longer than allowed.

    :param line: the beginning of what was read
    :param limit: how many bytes were allowed
    :param actual_size: how many bytes there were, where that is known
    """

    def __init__(
        self, line: bytes | str, limit: int | str = "Unknown", actual_size: int | str = "Unknown"
    ) -> None:
        self.line = line
        self.limit = limit
        self.actual_size = actual_size
        self.message: str = f"Got more than {limit} bytes when reading: {line!r}."
        super().__init__(line, limit, actual_size)

    def __str__(self) -> str:
        return self.message
