"""Requests as bytes: parsing what a scripted peer received, and bodies to send."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from anyhttp._codings.compression import accept_encoding
from anyhttp.http import SERVER_SOFTWARE

#: Header fields that are added to every request, in this order, unless they are given.
AUTOMATIC: Final = (
    b"Accept: */*\r\n"
    b"Accept-Encoding: " + accept_encoding().encode() + b"\r\n"
    b"User-Agent: " + SERVER_SOFTWARE.encode() + b"\r\n"
)


def fields(request: bytes) -> dict[str, str]:
    """Return the header fields of a request, by name in lower case; no name may be repeated."""
    lines = request.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    pairs = [line.split(": ", 1) for line in lines]
    found = {name.lower(): value for name, value in pairs}
    assert len(found) == len(pairs)
    return found


def requests_of(received: bytes) -> list[bytes]:
    """Return the requests, all without a body, that one connection received."""
    return [part + b"\r\n\r\n" for part in received.split(b"\r\n\r\n")[:-1]]


async def pieces(*chunks: bytes) -> AsyncIterator[bytes]:
    """Yield a body of unknown length, which can be sent only once."""
    for chunk in chunks:
        yield chunk
