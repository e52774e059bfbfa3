"""Requests as bytes: what a scripted peer has received, and bodies to send to one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from anyhttp._codings.compression import accept_encoding
from anyhttp.http import SERVER_SOFTWARE

#: What is added to every request, in this order, when nothing else is said.
AUTOMATIC: Final = (
    b"Accept: */*\r\n"
    b"Accept-Encoding: " + accept_encoding().encode() + b"\r\n"
    b"User-Agent: " + SERVER_SOFTWARE.encode() + b"\r\n"
)


def fields(request: bytes) -> dict[str, str]:
    """Return the header fields of a request by name in lower case; none may be repeated."""
    lines = request.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    pairs = [line.split(": ", 1) for line in lines]
    found = {name.lower(): value for name, value in pairs}
    assert len(found) == len(pairs)
    return found


def requests_of(received: bytes) -> list[bytes]:
    """Return the requests without body that one connection received."""
    return [part + b"\r\n\r\n" for part in received.split(b"\r\n\r\n")[:-1]]


async def pieces(*chunks: bytes) -> AsyncIterator[bytes]:
    """Be a body of unknown length, which cannot be had twice."""
    for chunk in chunks:
        yield chunk
