"""Content codings: decoding in steps, each with bounded output.

A few compressed bytes may decode to gigabytes.  So a decoder returns at most as many bytes as it
is asked for, and keeps the rest of its input for the next call.
"""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Sequence
from functools import cache
from types import ModuleType
from typing import Any, Final, Protocol

from .zlib_module import zlib_backend

__all__ = ("ContentDecoder", "DecodingError", "accept_encoding", "decoder_for")

#: Most codings that a response may have applied on top of each other (CVE-2022-32206).
MAX_CODINGS: Final = 5

#: Compressed bytes given to a decompressor at once; it copies the bytes that it does not use.
STEP: Final = 16 * 1024


class DecodingError(Exception):
    """The bytes are not valid in their content coding, or end early."""


class _Decoder(Protocol):
    def feed(self, data: bytes) -> None: ...

    def read(self, limit: int) -> bytes:
        """Return at most *limit* decoded bytes, ``b""`` when more input is needed."""
        ...

    def finish(self) -> None:
        """Check that the input was complete."""


class _Input:
    """Compressed bytes that have not been given to the decompressor yet."""

    __slots__ = ("_data", "_position")

    def __init__(self) -> None:
        self._data = b""
        self._position = 0

    def feed(self, data: bytes) -> None:
        self._data = self._data[self._position :] + data
        self._position = 0

    def take(self) -> bytes:
        data = self._data[self._position : self._position + STEP]
        self._position += len(data)
        return data

    def put_back(self, data: bytes) -> None:
        self._position -= len(data)


class _ZlibDecoder:
    """gzip with any number of members (:rfc:`1952`), or deflate in both of its formats."""

    def __init__(self, *, gzip: bool) -> None:
        self._gzip = gzip
        self._zlib = zlib_backend()
        self._input = _Input()
        self._undecided = b""
        self._inflate: Any = self._zlib.decompressobj(wbits=16 + zlib.MAX_WBITS) if gzip else None
        self._started = False
        self._full = False  # the last output reached its limit: the decompressor may hold more

    def feed(self, data: bytes) -> None:
        self._started = True
        if self._inflate is None:
            data = self._undecided + data
            if len(data) < 2:
                self._undecided = data
                return
            self._inflate = self._zlib.decompressobj(wbits=_deflate_window_bits(data))
        self._input.feed(data)

    def read(self, limit: int) -> bytes:
        while True:
            data = self._input.take()
            if self._inflate is None or not (data or self._full):
                return b""
            if self._inflate.eof and not self._next_member(data):
                return b""
            try:
                output: bytes = self._inflate.decompress(data, limit)
            except self._zlib.error as exc:
                raise DecodingError(str(exc)) from exc
            self._input.put_back(self._inflate.unconsumed_tail or self._inflate.unused_data)
            self._full = len(output) == limit
            if output:
                return output

    def finish(self) -> None:
        if self._started and (self._inflate is None or not self._inflate.eof):
            raise DecodingError("the compressed data end early")

    def _next_member(self, data: bytes) -> bool:
        """Start another gzip member if *data* begins with one; ignore anything else."""
        if not data:
            return False
        if self._gzip and data[:1] == b"\x1f":
            self._inflate = self._zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
            return True
        raise DecodingError("there are bytes after the end of the compressed data")


def _deflate_window_bits(start: bytes) -> int:
    """Tell the zlib format, the correct one for "deflate", from raw deflate, which some send.

    The two-byte header of :rfc:`1950` says compression method 8 and is a multiple of 31.
    """
    wrapped = start[0] & 15 == 8 and (start[0] << 8 | start[1]) % 31 == 0
    return zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS


class _BrotliDecoder:
    """br (:rfc:`7932`), by the module Brotli or brotlicffi."""

    def __init__(self, module: ModuleType) -> None:
        self._error: type[Exception] = module.error
        self._decompressor: Any = module.Decompressor()
        self._input = _Input()
        self._started = False
        self._held = False  # the decompressor may hold output even when it has used all input

    def feed(self, data: bytes) -> None:
        self._input.feed(data)

    def read(self, limit: int) -> bytes:
        while True:
            # While it holds output, the decompressor may accept no new input.
            accepts = self._decompressor.can_accept_more_data()
            data = self._input.take() if accepts else b""
            if accepts and not (data or self._held):
                return b""
            self._started = True
            try:
                output: bytes = self._decompressor.process(data, output_buffer_limit=limit)
            except self._error as exc:
                raise DecodingError(str(exc)) from exc
            self._held = bool(output)
            if output:
                return output

    def finish(self) -> None:
        if self._started and not self._decompressor.is_finished():
            raise DecodingError("the compressed data end early")


class _ZstdDecoder:
    """zstd (:rfc:`8878`) with any number of frames, by ``compression.zstd`` or a backport of it."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._decompressor: Any = module.ZstdDecompressor()
        self._input = _Input()
        self._started = False

    def feed(self, data: bytes) -> None:
        self._input.feed(data)

    def read(self, limit: int) -> bytes:
        while True:
            if self._decompressor.eof:
                self._input.put_back(self._decompressor.unused_data)
                self._decompressor = self._module.ZstdDecompressor()
                self._started = False
            data = self._input.take() if self._decompressor.needs_input else b""
            if not data and self._decompressor.needs_input:
                return b""
            self._started = True
            try:
                output: bytes = self._decompressor.decompress(data, limit)
            except self._module.ZstdError as exc:
                raise DecodingError(str(exc)) from exc
            if output:
                return output

    def finish(self) -> None:
        if self._started and not self._decompressor.eof:
            raise DecodingError("the compressed data end early")


@cache
def _brotli() -> ModuleType | None:
    """Return a Brotli module that can limit its output."""
    for name in ("brotli", "brotlicffi"):
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        if hasattr(module.Decompressor, "can_accept_more_data"):
            return module
    return None


@cache
def _zstd() -> ModuleType | None:
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


@cache
def accept_encoding() -> str:
    """Return the ``Accept-Encoding`` for the supported codings (:rfc:`9110#section-12.5.3`)."""
    codings = ["gzip", "deflate"]
    if _brotli() is not None:
        codings.append("br")
    if _zstd() is not None:
        codings.append("zstd")
    return ", ".join(codings)


def _make(coding: str) -> _Decoder | None:
    if coding in {"gzip", "x-gzip"}:
        return _ZlibDecoder(gzip=True)
    if coding == "deflate":
        return _ZlibDecoder(gzip=False)
    if coding == "br" and (brotli := _brotli()) is not None:
        return _BrotliDecoder(brotli)
    if coding == "zstd" and (zstd := _zstd()) is not None:
        return _ZstdDecoder(zstd)
    return None


class ContentDecoder:
    """Decodes one or more content codings; the coding applied last is decoded first."""

    __slots__ = ("_stages",)

    def __init__(self, stages: Sequence[_Decoder]) -> None:
        self._stages = stages

    def feed(self, data: bytes) -> None:
        """Add encoded bytes; before adding more, call :meth:`read` until it returns ``b""``."""
        self._stages[0].feed(data)

    def read(self, limit: int) -> bytes:
        """Return at most *limit* decoded bytes, ``b""`` when more input is needed.

        :raises DecodingError: the bytes do not follow their coding
        """
        return self._read_stage(len(self._stages) - 1, limit)

    def finish(self) -> None:
        """Check that the encoded data were complete.

        :raises DecodingError: the encoded data were incomplete
        """
        for stage in self._stages:
            stage.finish()

    def _read_stage(self, index: int, limit: int) -> bytes:
        stage = self._stages[index]
        while True:
            output = stage.read(limit)
            if output or index == 0:
                return output
            below = self._read_stage(index - 1, limit)
            if not below:
                return b""
            stage.feed(below)


def decoder_for(content_encoding: str) -> ContentDecoder | None:
    """Return a decoder for a ``Content-Encoding`` value; ``None`` if there is nothing to decode.

    With an unknown coding the body stays as it is, for the caller to decode.

    :raises DecodingError: more than five codings
    """
    codings = [coding.strip().lower() for coding in content_encoding.split(",")]
    codings = [coding for coding in codings if coding and coding != "identity"]
    if not codings:
        return None
    if len(codings) > MAX_CODINGS:
        raise DecodingError(f"more than {MAX_CODINGS} content codings")
    stages = [_make(coding) for coding in reversed(codings)]
    known = [stage for stage in stages if stage is not None]
    if len(known) < len(stages):
        return None
    return ContentDecoder(known)
