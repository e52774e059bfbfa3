"""Content codings: decoding in steps, each with a bounded amount of work.

A few compressed bytes may decode to gigabytes, or, with one coding on top of another, to
gigabytes that decode to nothing.  So a step takes a bounded number of bytes and returns a bounded
number, and the caller decides whether to go on with the next one.
"""

from __future__ import annotations

import importlib
import zlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cache
from types import ModuleType
from typing import Any, Final

from .zlib_module import zlib_backend

__all__ = ("ContentDecoder", "DecodingError", "accept_encoding", "decoder_for")

#: Most codings that a response may have applied on top of each other (CVE-2022-32206).
MAX_CODINGS: Final = 5

#: Most bytes that one step takes.  A decompressor copies the bytes that it does not use.
STEP: Final = 32 * 1024

#: Most bytes that a coding may take without decoding to anything.  All codings decode to
#: something after some hundred kilobytes at most.
MAX_WITHOUT_OUTPUT: Final = 1024 * 1024

#: Most members of gzip, or frames of zstd, without content that may follow one another.  Making a
#: decompressor for each takes longer than sending them.
MAX_EMPTY_MEMBERS: Final = 256

#: What :attr:`ContentDecoder.work` counts for a step besides its bytes.
STEP_COST: Final = 2 * 1024

#: Largest window of zstd, as a power of two: 8 MiB (:rfc:`9659#section-3`).  A frame may ask for
#: much more, which would be allocated for each response.
MAX_ZSTD_WINDOW: Final = 23

# What a member of gzip begins with, and a frame of zstd; the last 16 are of frames to be skipped.
_GZIP_MAGIC: Final = b"\x1f\x8b"
_ZSTD_MAGICS: Final = (
    b"\x28\xb5\x2f\xfd",
    *(bytes((0x50 + number, 0x2A, 0x4D, 0x18)) for number in range(16)),
)


class DecodingError(Exception):
    """The bytes are not valid in their content coding, or end early."""


class _Stage(ABC):
    """The decoder of one coding: bytes are fed to it, and decoded in steps."""

    def __init__(self) -> None:
        # Compressed bytes that have not been given to the decompressor yet.
        self._data = b""
        self._position = 0
        self._without_output = 0
        self._empty_members = 0
        self._started = False
        #: whether no step can do anything before more bytes have been fed
        self.needs_input: bool = True
        #: whether bytes were found that do not belong to the compressed data.  They and all bytes
        #: after them are ignored: some servers append line breaks or zeros.
        self.ended: bool = False
        #: bytes taken and returned so far
        self.work: int = 0

    def feed(self, data: bytes) -> None:
        """Add compressed bytes."""
        self._data = self._data[self._position :] + data
        self._position = 0
        self.needs_input = not self._data

    def step(self, limit: int) -> bytes:
        """Decode some bytes, and return at most *limit* bytes; ``b""`` does not mean the end.

        :raises DecodingError: the bytes do not follow the coding, or never decode to anything
        """
        before = self._position
        if self.ended:
            self._take()
            self.needs_input = not self._has_data()
            output = b""
        else:
            output = self._decode(limit)
        taken = self._position - before
        self.work += taken + len(output) + STEP_COST
        self._without_output = 0 if output else self._without_output + taken
        if self._without_output > MAX_WITHOUT_OUTPUT:
            raise DecodingError(f"{MAX_WITHOUT_OUTPUT} bytes decode to nothing")
        return output

    @property
    def may_end(self) -> bool:
        """Whether the compressed data may end with what has been decoded so far."""
        return self.ended or not self._started or self._is_complete()

    @abstractmethod
    def _decode(self, limit: int) -> bytes:
        """Do one step, and set :attr:`needs_input`."""

    @abstractmethod
    def _is_complete(self) -> bool:
        """Whether the last member has been decoded to its end."""

    def _take(self) -> bytes:
        data = self._data[self._position : self._position + STEP]
        self._position += len(data)
        return data

    def _put_back(self, data: bytes) -> None:
        self._position -= len(data)

    def _has_data(self) -> bool:
        return self._position < len(self._data)

    def _next_member(self, *magics: bytes) -> bool:
        """Whether another member follows, which begins with one of *magics*, all of one length.

        If not, either more bytes are needed to tell, or the compressed data have ended.
        """
        start = self._data[self._position : self._position + len(magics[0])]
        if start in magics:
            return True
        if any(magic.startswith(start) for magic in magics):
            self.needs_input = True  # what follows will tell
        else:
            self.ended = True
        return False

    def _count(self, output: bytes, *, ended: bool) -> None:
        """Count the members without content that follow one another.

        :param ended: whether a member has ended
        :raises DecodingError: there are too many
        """
        if output:
            self._empty_members = 0
        elif ended:
            self._empty_members += 1
            if self._empty_members > MAX_EMPTY_MEMBERS:
                raise DecodingError(f"more than {MAX_EMPTY_MEMBERS} members without content")


class _ZlibStage(_Stage):
    """gzip with any number of members (:rfc:`1952`), or deflate in both of its formats."""

    def __init__(self, *, gzip: bool) -> None:
        super().__init__()
        self._gzip = gzip
        self._zlib = zlib_backend()
        self._inflate: Any = self._zlib.decompressobj(wbits=16 + zlib.MAX_WBITS) if gzip else None

    def _decode(self, limit: int) -> bytes:
        if self._inflate is None:
            self._started = True
            if len(self._data) < 2:
                self.needs_input = True
                return b""
            self._inflate = self._zlib.decompressobj(wbits=_deflate_window_bits(self._data))
        elif self._inflate.eof:
            if not self._gzip:
                self.ended = True
                return b""
            if not self._next_member(_GZIP_MAGIC):
                return b""
            self._inflate = self._zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        self._started = True
        try:
            output: bytes = self._inflate.decompress(self._take(), limit)
        except self._zlib.error as exc:
            raise DecodingError(str(exc)) from exc
        self._put_back(self._inflate.unconsumed_tail or self._inflate.unused_data)
        # If the output has reached its limit, the decompressor may hold more of it.
        held = len(output) == limit and not self._inflate.eof
        self.needs_input = not (held or self._has_data())
        self._count(output, ended=self._inflate.eof)
        return output

    def _is_complete(self) -> bool:
        return self._inflate is not None and bool(self._inflate.eof)


def _deflate_window_bits(start: bytes) -> int:
    """Tell the zlib format, the correct one for "deflate", from raw deflate, which some send.

    The two-byte header of :rfc:`1950` says compression method 8 and is a multiple of 31.
    """
    wrapped = start[0] & 15 == 8 and (start[0] << 8 | start[1]) % 31 == 0
    return zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS


class _BrotliStage(_Stage):
    """br (:rfc:`7932`), by the module Brotli or brotlicffi."""

    def __init__(self, module: ModuleType) -> None:
        super().__init__()
        self._error: type[Exception] = module.error
        self._decompressor: Any = module.Decompressor()
        # The decompressor keeps to a limit in whole blocks only: it returns up to twice as much,
        # and never less than 32 KiB.  This is what it has returned, and how much of it is used.
        self._output = b""
        self._used = 0

    def _decode(self, limit: int) -> bytes:
        self._started = True
        if self._used == len(self._output):
            self._output, self._used = self._decompress(limit), 0
        output = self._output[self._used : self._used + limit]
        self._used += len(output)
        # After output, the decompressor may hold more of it, even if it has used all input.
        self.needs_input = not (output or self._has_data())
        return output

    def _decompress(self, limit: int) -> bytes:
        # While it holds output, the decompressor may accept no new input.
        data = self._take() if self._decompressor.can_accept_more_data() else b""
        try:
            return bytes(self._decompressor.process(data, output_buffer_limit=limit))
        except self._error as exc:
            raise DecodingError(str(exc)) from exc

    def _is_complete(self) -> bool:
        return bool(self._decompressor.is_finished())


class _ZstdStage(_Stage):
    """zstd (:rfc:`8878`) with any number of frames, by ``compression.zstd`` or a backport of it."""

    def __init__(self, module: ModuleType) -> None:
        super().__init__()
        self._module = module
        self._decompressor = self._new_decompressor()

    def _new_decompressor(self) -> Any:
        window = self._module.DecompressionParameter.window_log_max
        return self._module.ZstdDecompressor(options={window: MAX_ZSTD_WINDOW})

    def _decode(self, limit: int) -> bytes:
        if self._decompressor.eof:
            if not self._next_member(*_ZSTD_MAGICS):
                return b""
            self._decompressor = self._new_decompressor()
        self._started = True
        data = self._take() if self._decompressor.needs_input else b""
        try:
            output: bytes = self._decompressor.decompress(data, limit)
        except self._module.ZstdError as exc:
            raise DecodingError(str(exc)) from exc
        ended = self._decompressor.eof
        if ended:
            self._put_back(self._decompressor.unused_data)
        holds = not ended and not self._decompressor.needs_input
        self.needs_input = not (holds or self._has_data())
        self._count(output, ended=ended)
        return output

    def _is_complete(self) -> bool:
        return bool(self._decompressor.eof)


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


def _make(coding: str) -> _Stage | None:
    if coding in {"gzip", "x-gzip"}:
        return _ZlibStage(gzip=True)
    if coding == "deflate":
        return _ZlibStage(gzip=False)
    if coding == "br" and (brotli := _brotli()) is not None:
        return _BrotliStage(brotli)
    if coding == "zstd" and (zstd := _zstd()) is not None:
        return _ZstdStage(zstd)
    return None


class ContentDecoder:
    """Decodes one or more content codings; the coding applied last is decoded first."""

    __slots__ = ("_stages", "work")

    def __init__(self, stages: Sequence[_Stage]) -> None:
        self._stages = stages
        #: bytes that all steps so far have taken and returned, with something for each step.
        #: Callers go by it to let other tasks run now and then.
        self.work: int = 0

    @property
    def needs_input(self) -> bool:
        """Whether no step can do anything before more bytes have been fed."""
        return all(stage.needs_input for stage in self._stages)

    def feed(self, data: bytes) -> None:
        """Add encoded bytes."""
        self._stages[0].feed(data)

    def step(self, limit: int) -> bytes:
        """Do one step of decoding, and return at most *limit* bytes.

        ``b""`` is no end: :attr:`needs_input` tells whether another step makes sense.

        :raises DecodingError: the bytes do not follow their coding, or never decode to anything
        """
        stages = self._stages
        last = index = len(stages) - 1
        while index and stages[index].needs_input:
            index -= 1
        stage = stages[index]
        before = stage.work
        output = stage.step(limit)
        self.work += stage.work - before
        if index == last:
            return output
        if output:
            stages[index + 1].feed(output)
        return b""

    @property
    def may_end(self) -> bool:
        """Whether the encoded data may end with what has been decoded so far."""
        return all(stage.may_end for stage in self._stages)

    def finish(self) -> None:
        """Check that the encoded data were complete.

        :raises DecodingError: the encoded data were incomplete
        """
        if not self.may_end:
            raise DecodingError("the compressed data end early")


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
