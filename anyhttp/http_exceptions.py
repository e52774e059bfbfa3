"""Errors of reading lines; the errors of the parsers are in ``client_exceptions``.

The other classes exist because programs for aiohttp name them in ``except`` clauses.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ("BadHttpMessage", "BadStatusLine", "HttpProcessingError", "LineTooLong")


class HttpProcessingError(Exception):
    """Base of aiohttp's parser errors; of its subclasses only :exc:`LineTooLong` is raised here."""

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
    """A line, or the data before a separator, is longer than allowed.

    :param line: the beginning of the data
    :param limit: how many bytes were allowed
    :param actual_size: number of bytes read, if known
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
