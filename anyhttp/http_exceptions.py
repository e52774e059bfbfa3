"""The error of reading a line that is too long; all others are in ``client_exceptions``.

The other classes are those of aiohttp's module.  Programs name them in ``except`` clauses, and
raise them in their tests.
"""

from __future__ import annotations

from textwrap import indent
from typing import TYPE_CHECKING, Any

from .client_exceptions import ClientPayloadError

if TYPE_CHECKING:
    from multidict import CIMultiDict

__all__ = (
    "BadHttpMessage",
    "BadHttpMethod",
    "BadStatusLine",
    "ContentEncodingError",
    "ContentLengthError",
    "DecompressSizeError",
    "HttpBadRequest",
    "HttpProcessingError",
    "InvalidHeader",
    "InvalidURLError",
    "LineTooLong",
    "PayloadEncodingError",
    "TransferEncodingError",
)


class HttpProcessingError(Exception):
    """Base of aiohttp's parser errors; of its subclasses only :exc:`LineTooLong` is raised here.

    :param code: a status, of the class when left out
    :param message: description of the error
    :param headers: those of a response that reports the error
    """

    code: int = 0
    message: str = ""
    headers: CIMultiDict[str] | None = None

    def __init__(
        self,
        *,
        code: int | None = None,
        message: str = "",
        headers: CIMultiDict[str] | None = None,
    ) -> None:
        super().__init__()
        if code is not None:
            self.code = code
        self.headers = headers
        self.message = message

    def __str__(self) -> str:
        return f"{self.code}, message:\n{indent(self.message, '  ')}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.code}, message={self.message!r}>"


class BadHttpMessage(HttpProcessingError):
    """A message that breaks the rules of HTTP.

    :param message: description of the error
    :param headers: those of a response that reports the error
    """

    code = 400
    message = "Bad Request"

    def __init__(self, message: str, *, headers: CIMultiDict[str] | None = None) -> None:
        super().__init__(message=message, headers=headers)
        self.args: tuple[Any, ...] = (message,)


class HttpBadRequest(BadHttpMessage):
    """Never raised here: a server raises it."""


class PayloadEncodingError(BadHttpMessage):
    """Never raised: a body that cannot be read is a :exc:`ClientPayloadError`."""


class ContentEncodingError(PayloadEncodingError):
    """Never raised, as its base is not."""


class TransferEncodingError(PayloadEncodingError):
    """Never raised, as its base is not."""


class ContentLengthError(PayloadEncodingError):
    """Never raised, as its base is not."""


class DecompressSizeError(PayloadEncodingError):
    """Never raised, as its base is not."""


class LineTooLong(BadHttpMessage, ClientPayloadError):
    """A line, or the data before a separator, is longer than allowed.

    :param line: the beginning of the data
    :param limit: how many bytes were allowed
    :param actual_size: number of bytes read, if known
    :param unit: what the limit counts
    :param option: what sets the limit, if the caller can set it; the text of the error names it
    """

    def __init__(
        self,
        line: bytes | str,
        limit: int | str = "Unknown",
        actual_size: int | str = "Unknown",
        *,
        unit: str = "bytes",
        option: str = "",
    ) -> None:
        message = f"Got more than {limit} {unit} when reading: {line!r}."
        super().__init__(f"{message} The limit is set by {option}." if option else message)
        self.line = line
        self.limit = limit
        self.actual_size = actual_size
        self.args: tuple[Any, ...] = (line, limit, actual_size)

    def __str__(self) -> str:
        return self.message


class InvalidHeader(BadHttpMessage):
    """Never raised: a head that cannot be parsed is a :exc:`ClientResponseError`.

    :param hdr: the header line
    """

    def __init__(self, hdr: bytes | str) -> None:
        super().__init__(f"Invalid HTTP header: {hdr!r}")
        self.hdr: str = hdr if isinstance(hdr, str) else hdr.decode(errors="backslashreplace")
        self.args: tuple[Any, ...] = (hdr,)


class BadStatusLine(BadHttpMessage):
    """Never raised: a head that cannot be parsed is a :exc:`ClientResponseError`.

    :param line: the line
    :param error: description of the error; one that shows the line when left out
    """

    def __init__(self, line: str = "", error: str | None = None) -> None:
        line = line if isinstance(line, str) else repr(line)
        super().__init__(error or f"Bad status line {line!r}")
        self.line = line
        self.args: tuple[Any, ...] = (line,)


class BadHttpMethod(BadStatusLine):
    """Never raised here: a server raises it."""

    def __init__(self, line: str = "", error: str | None = None) -> None:
        super().__init__(line, error or f"Bad HTTP method in status line {line!r}")


class InvalidURLError(BadHttpMessage):
    """Never raised here: a server raises it."""
