"""Makes the bytes of a response from an entry of a cassette."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Final

from .._codings import DecodingError, decoder_for
from ._har import Fields, RecordedResponse

__all__ = ("encoded_body", "response_bytes", "without_codings")

#: Largest body that is decoded before it is written, in bytes: a few bytes may decode to gigabytes.
MAX_DECODED: Final = 64 * 1024 * 1024

_STEP: Final = 256 * 1024

_BODILESS: Final = frozenset((204, 304))


def without_codings(body: bytes, coding: str) -> bytes | None:
    """Return *body* with its content codings undone; ``None``: they cannot be undone.

    :param coding: the value of ``Content-Encoding``
    """
    try:
        decoder = decoder_for(coding)
        if decoder is None:
            return body if _names(coding) == [] else None
        decoder.feed(body)
        decoded = bytearray()
        while not decoder.needs_input:
            decoded += decoder.step(_STEP)
            if len(decoded) > MAX_DECODED:
                return None
        decoder.finish()
    except DecodingError:
        return None
    return bytes(decoded)


def encoded_body(body: bytes, coding: str) -> bytes | None:
    """Return *body* in the content codings of the value *coding*; ``None``: one is not known."""
    for name in _names(coding):
        encode = _ENCODERS.get(name)
        if encode is None:
            return None
        body = encode(body)
    return body


def _names(coding: str) -> list[str]:
    names = [name.strip(" \t").lower() for name in coding.split(",")]
    return [name for name in names if name and name != "identity"]


def _gzip(body: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    return compressor.compress(body) + compressor.flush()


# The libraries for these two may be missing, and only decoding is needed of them elsewhere.  Both
# formats can hold a body as it is.


def _brotli(body: bytes) -> bytes:
    """Return *body* as uncompressed meta-blocks (:rfc:`7932#section-9.2`)."""
    # The stream begins with one bit, a zero for a window of 64 KiB.
    shift = 1
    parts: list[bytes] = []
    for block in _blocks(body, 64 * 1024):
        # From the lowest bit: a zero, as more blocks follow; two zeros for a length of 16 bits;
        # the length less one; a one for "uncompressed".
        bits = (len(block) - 1) << 3 | 1 << 19
        parts += [(bits << shift).to_bytes(3, "little"), block]
        shift = 0
    parts.append(bytes([0b11 << shift]))  # the last block, which is empty
    return b"".join(parts)


def _zstd(body: bytes) -> bytes:
    """Return *body* as a frame of raw blocks (:rfc:`8878#section-3.1.1`)."""
    # A window of 128 KiB, the largest size of a block; no size of the content, no checksum.
    parts = [b"\x28\xb5\x2f\xfd\x00\x38"]
    for block in _blocks(body, 128 * 1024):
        parts += [(len(block) << 3).to_bytes(3, "little"), block]
    parts.append(b"\x01\x00\x00")  # the last block, which is empty
    return b"".join(parts)


def _blocks(body: bytes, size: int) -> Iterator[bytes]:
    return (body[start : start + size] for start in range(0, len(body), size))


_ENCODERS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": zlib.compress,
    "br": _brotli,
    "zstd": _zstd,
}


def response_bytes(response: RecordedResponse, method: str) -> bytes:
    """Return what a server sends for *response*.

    The headers are those that were recorded.  Only what frames and encodes the body is made to fit
    the body again: ``Content-Length``, and ``Content-Encoding`` where nobody could decode it here.

    :param method: of the request, as there is no body in a response to HEAD
    :raises ValueError: the body is missing or damaged
    """
    if method == "HEAD" or response.status in _BODILESS:
        return _head(response, response.headers)
    body = response.content.decoded()
    fields = response.headers
    if not response.is_encoded:
        body, fields = _in_codings(body, fields)
    if any(_is_chunked(*field) for field in fields):
        return _head(response, _without(fields, "content-length")) + _chunked(body, response)
    fields = _without(fields, "transfer-encoding")
    announced = any(name.lower() == "content-length" for name, _ in fields)
    # A body of HTTP/1 that was not announced went on to the end of the connection.
    if not announced and not response.http_version.upper().startswith("HTTP/1"):
        fields = (*fields, ("Content-Length", ""))
    if not response.is_cut:
        fields = _with_length(fields, len(body))
    return _head(response, fields) + body


def _head(response: RecordedResponse, fields: Fields) -> bytes:
    version = "HTTP/1.0" if response.http_version.upper() == "HTTP/1.0" else "HTTP/1.1"
    lines = [f"{version} {response.status} {response.reason}"]
    lines += [f"{name}: {value}" for name, value in fields]
    return "\r\n".join((*lines, "", "")).encode("utf-8", "surrogateescape")


def _in_codings(body: bytes, fields: Fields) -> tuple[bytes, Fields]:
    """Return *body* in the codings that *fields* name, if the client can undo them."""
    codings = [value for name, value in fields if name.lower() == "content-encoding"]
    coding = ", ".join(codings)
    if not body or not _names(coding):
        return body, fields
    encoded = encoded_body(body, coding)
    try:
        if encoded is not None and decoder_for(coding) is not None:
            return encoded, fields
    except DecodingError:
        pass  # too many of them
    return body, _without(fields, "content-encoding")


def _is_chunked(name: str, value: str) -> bool:
    return name.lower() == "transfer-encoding" and value.lower() == "chunked"


def _chunked(body: bytes, response: RecordedResponse) -> bytes:
    chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    if response.is_cut:
        return chunk
    trailers = "".join(f"{name}: {value}\r\n" for name, value in response.trailers)
    return chunk + f"0\r\n{trailers}\r\n".encode("utf-8", "surrogateescape")


def _without(fields: Fields, unwanted: str) -> Fields:
    return tuple(field for field in fields if field[0].lower() != unwanted)


def _with_length(fields: Fields, length: int) -> Fields:
    """Return *fields* with *length* in the first ``Content-Length``, and without others."""
    changed: list[tuple[str, str]] = []
    is_told = False
    for name, value in fields:
        if name.lower() != "content-length":
            changed.append((name, value))
        elif not is_told:
            changed.append((name, str(length)))
            is_told = True
    return tuple(changed)
