"""Responses that scripted peers give most often."""

from __future__ import annotations

from typing import Final

#: The status line of a success; fields follow.
OK_LINE: Final = b"HTTP/1.1 200 OK\r\n"
#: A complete head; chunks follow.
CHUNKS: Final = OK_LINE + b"Transfer-Encoding: chunked\r\n\r\n"
#: A complete response without a body.
EMPTY: Final = OK_LINE + b"Content-Length: 0\r\n\r\n"
#: A complete response with the body ``ok``.
OK: Final = OK_LINE + b"Content-Length: 2\r\n\r\nok"


def redirect(target: object, status: int = 302, *more: bytes) -> bytes:
    """Return a redirect to *target*, with *more* fields."""
    lines = [f"Location: {target}".encode(), b"Content-Length: 0", *more]
    return b"HTTP/1.1 %d Elsewhere\r\n%b\r\n\r\n" % (status, b"\r\n".join(lines))
