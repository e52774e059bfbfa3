"""Encodes and decodes the parts of a multipart, piece by piece.

A part may have a transfer encoding (:rfc:`2045#section-6`) on top of a content encoding.
"""

from __future__ import annotations

import binascii
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, Protocol

from .._codings import Compressor, ContentDecoder, DecodingError, decoder_for, zlib_backend
from .._common import printable
from ..client_exceptions import ClientPayloadError
from ..payload import Writer

__all__ = ("DECODED_ALONE", "ENCODERS", "STEP", "EncodingWriter", "PLAIN", "PartDecoder", "encode")

#: Most bytes that one step decodes, and most bytes that one step returns.
STEP: Final = 64 * 1024

#: Transfer encodings that leave the bytes as they are (:rfc:`2045#section-6.2`).
PLAIN: Final = frozenset({"", "binary", "8bit", "7bit"})


class _Coder(Protocol):
    """One step of encoding or decoding, which gets the bytes in any number of pieces."""

    def feed(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes:
        """Return the bytes held back so far; called at the end of the input."""
        ...


class _Compressor:
    def __init__(self, window_bits: int) -> None:
        self._compressor: Compressor = zlib_backend().compressobj(wbits=window_bits)

    def feed(self, data: bytes) -> bytes:
        return self._compressor.compress(data)

    def flush(self) -> bytes:
        return self._compressor.flush()


class _Base64Encoder:
    """base64 without line breaks: HTTP folds no lines (:rfc:`9112#appendix-B.6`)."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        data = self._rest + data
        whole = len(data) // 3 * 3
        self._rest = data[whole:]
        return binascii.b2a_base64(data[:whole], newline=False)

    def flush(self) -> bytes:
        return binascii.b2a_base64(self._rest, newline=False)


class _QuotedPrintableEncoder:
    """quoted-printable (:rfc:`2045#section-6.7`) without soft line breaks.

    A line break is CR LF.  A CR or LF alone is data, and is encoded as data.
    """

    _ESCAPED = re.compile(rb"\r\n|[ \t](?=\r\n)|[^\t !-<>-~]")
    _ESCAPED_AT_END = re.compile(rb"[ \t]\Z|[^\t !-<>-~]")
    _UNDECIDED = re.compile(rb"[ \t]?\r?\Z")

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        data = self._rest + data
        undecided = self._UNDECIDED.search(data, max(len(data) - 2, 0))
        end = len(data) if undecided is None else undecided.start()
        # The next byte decides how the bytes held back are encoded.
        self._rest = data[end:]
        return self._ESCAPED.sub(self._escape, data[:end])

    def flush(self) -> bytes:
        return self._ESCAPED_AT_END.sub(self._escape, self._rest)

    @staticmethod
    def _escape(match: re.Match[bytes]) -> bytes:
        return match[0] if match[0] == b"\r\n" else b"=%02X" % match[0][0]


class _Base64Decoder:
    """base64 as in MIME: characters outside of the alphabet are skipped, padding ends the data."""

    def __init__(self) -> None:
        self._rest = b""
        self._ended = False

    def feed(self, data: bytes) -> bytes:
        if self._ended:
            return b""
        data = self._rest + data.translate(None, _NOT_BASE64)
        whole = len(data) // 4 * 4
        padding = data.find(b"=", 0, whole)
        if padding >= 0:
            self._ended = True
            whole = padding // 4 * 4 + 4
        self._rest = b"" if self._ended else data[whole:]
        try:
            return binascii.a2b_base64(data[:whole])
        except binascii.Error as exc:
            raise ClientPayloadError(f"a part is not base64: {exc}") from exc

    def flush(self) -> bytes:
        if self._rest:
            raise ClientPayloadError("a part is not base64: it ends early")
        return b""


_NOT_BASE64: Final = bytes(
    byte
    for byte in range(256)
    if byte not in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
)


class _QuotedPrintableDecoder:
    """quoted-printable; a character that starts no valid escape stands for itself."""

    _ESCAPE = re.compile(rb"=(?:([0-9A-Fa-f]{2})|\r?\n)")

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        data = self._rest + data
        end, self._rest = _whole_quoted(data)
        return self._unescaped(data[:end])

    def flush(self) -> bytes:
        return self._unescaped(self._rest)

    def _unescaped(self, data: bytes) -> bytes:
        return self._ESCAPE.sub(lambda match: bytes.fromhex((match[1] or b"").decode()), data)


def _whole_quoted(data: bytes) -> tuple[int, bytes]:
    """Return the number of bytes before an incomplete escape, and the bytes from there on."""
    found = data.rfind(b"=", max(len(data) - 2, 0))
    end = len(data) if found < 0 else found
    return end, data[end:]


def _whole_base64(data: bytes) -> tuple[int, bytes]:
    """Return the number of bytes before an incomplete group of four, and the rest.

    The rest holds only characters of the alphabet, so at most three bytes.
    """
    end = len(data)
    left = len(data.translate(None, _NOT_BASE64)) % 4
    while left:
        end -= 1
        left -= data[end] not in _NOT_BASE64
    return end, data[end:].translate(None, _NOT_BASE64)


#: Each makes an encoder, which can encode one part.
ENCODERS: Final[Mapping[str, Callable[[], _Coder]]] = {
    "gzip": lambda: _Compressor(16 + zlib.MAX_WBITS),
    "deflate": lambda: _Compressor(-zlib.MAX_WBITS),
    "base64": _Base64Encoder,
    "quoted-printable": _QuotedPrintableEncoder,
}


def encode(data: bytes, encodings: Iterable[str]) -> bytes:
    """Return *data* with encodings applied in their order."""
    for encoding in encodings:
        coder = ENCODERS[encoding]()
        data = coder.feed(data) + coder.flush()
    return data


class EncodingWriter:
    """Applies encodings, in their order, to what is written to it."""

    def __init__(self, writer: Writer, encodings: Iterable[str]) -> None:
        self._writer = writer
        self._coders = [ENCODERS[encoding]() for encoding in encodings]

    async def write(self, chunk: bytes) -> None:
        """Write the bytes of *chunk* that can be encoded already."""
        for coder in self._coders:
            chunk = coder.feed(chunk)
        if chunk:
            await self._writer.write(chunk)

    async def finish(self) -> None:
        """Write the bytes that were held back."""
        chunk = b""
        for coder in self._coders:
            chunk = coder.feed(chunk) + coder.flush()
        if chunk:
            await self._writer.write(chunk)


#: Functions that return how many bytes can be decoded without the following ones, and the rest
#: that must be put in front of those.
DECODED_ALONE: Final[Mapping[str, Callable[[bytes], tuple[int, bytes]]]] = {
    "base64": _whole_base64,
    "quoted-printable": _whole_quoted,
}


class PartDecoder:
    """Decodes a transfer encoding, then the content encodings, in pieces of bounded size.

    :raises RuntimeError: an encoding is unknown
    """

    def __init__(self, transfer_encoding: str, content_encoding: str) -> None:
        self._transfer: _Coder | None = None
        self._content: ContentDecoder | None = None
        if transfer_encoding == "base64":
            self._transfer = _Base64Decoder()
        elif transfer_encoding == "quoted-printable":
            self._transfer = _QuotedPrintableDecoder()
        elif transfer_encoding not in PLAIN:
            raise RuntimeError(f"unknown content transfer encoding: {printable(transfer_encoding)}")
        if content_encoding.strip().lower() not in {"", "identity"}:
            try:
                self._content = decoder_for(content_encoding)
            except DecodingError as exc:
                raise ClientPayloadError(f"a part cannot be decoded: {exc}") from exc
            if self._content is None:
                raise RuntimeError(f"unknown content encoding: {printable(content_encoding)}")

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the decoded bytes of *data* and of the input held back before.

        Each item is the result of a bounded amount of work, and may be empty.
        """
        for start in range(0, len(data), STEP):
            piece = data[start : start + STEP]
            yield from self._decoded(
                piece if self._transfer is None else self._transfer.feed(piece)
            )

    def finish(self) -> Iterator[bytes]:
        """Yield the rest of the decoded bytes, at the end of the input, as :meth:`feed` does.

        :raises ClientPayloadError: the input is incomplete
        """
        if self._transfer is not None:
            yield from self._decoded(self._transfer.flush())
        if self._content is not None:
            try:
                self._content.finish()
            except DecodingError as exc:
                raise ClientPayloadError(f"a part cannot be decoded: {exc}") from exc

    def _decoded(self, data: bytes) -> Iterator[bytes]:
        if self._content is None:
            yield data
            return
        self._content.feed(data)
        while not self._content.needs_input:
            try:
                piece = self._content.step(STEP)
            except DecodingError as exc:
                raise ClientPayloadError(f"a part cannot be decoded: {exc}") from exc
            yield piece
