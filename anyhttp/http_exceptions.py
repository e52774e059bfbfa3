"""Errors of reading lines; what the parsers refuse is told by ``client_exceptions``."""

from __future__ import annotations

__all__ = ("LineTooLong",)


class LineTooLong(Exception):
    """A line, or what was read in search of a separator, is longer than allowed.

    :param line: the beginning of what was read
    :param limit: how many bytes were allowed
    :param actual_size: how many bytes there were, where that is known
    """

    code = 400

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
