"""Heads of responses out of frames."""

from __future__ import annotations

from typing import Final, NamedTuple

from .._common import Http2Options
from .._http1 import Head, Limits
from . import frames
from .compression import FieldDecoder
from .errors import ConnectionFault, ErrorCode
from .fields import read_head
from .guards import MAX_CONTINUATIONS

__all__ = ("Block", "BlockReader", "ResponseHeads")

#: How many heads of responses are remembered, and the longest of them, in bytes.
_KEPT_HEADS: Final = 16
_KEPT_SIZE: Final = 1024


class Block(NamedTuple):
    """A compressed head, or trailers."""

    data: bytes
    ends: bool  # whether it is the last of its stream


class BlockReader:
    """Joins HEADERS and CONTINUATION (:rfc:`9113#section-4.3`).

    :param max_size: most bytes of fields that the server has been told to send
    """

    __slots__ = ("_begun", "_frames", "_max_size", "stream")

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._begun = Block(b"", ends=False)
        self._frames = 0
        #: number of the stream whose head has begun, and not ended; else 0
        self.stream: int = 0

    def begin(self, flags: int, stream: int, payload: bytes) -> Block | None:
        """Take HEADERS; return the block, or ``None`` if CONTINUATION has to follow.

        :raises ConnectionFault: the frame is malformed
        """
        if flags & frames.PADDED:
            payload = frames.without_padding(payload)
        if flags & frames.PRIORITY_GIVEN:
            if len(payload) < 5:
                raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "HEADERS without a priority")
            payload = payload[5:]
        self.check_size(payload)
        block = Block(payload, ends=bool(flags & frames.END_STREAM))
        if flags & frames.END_HEADERS:
            return block
        self._begun, self.stream, self._frames = block, stream, 0
        return None

    def go_on(self, flags: int, stream: int, payload: bytes) -> Block | None:
        """Take CONTINUATION; return the block, or ``None`` if more of these have to follow.

        :raises ConnectionFault: there is no such head, or it has too many frames or bytes
        """
        if not self.stream or stream != self.stream:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "CONTINUATION without HEADERS")
        self._frames += 1
        block = self._begun._replace(data=self._begun.data + payload)
        self.check_size(block.data)
        if self._frames > MAX_CONTINUATIONS:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "a head in too many frames")
        if flags & frames.END_HEADERS:
            self._begun, self.stream = Block(b"", ends=False), 0
            return block
        self._begun = block
        return None

    def check_size(self, data: bytes) -> None:
        """Refuse a compressed head that is too large.

        :raises ConnectionFault: it is
        """
        # No head gets larger by being compressed, if it is done well.
        if len(data) > self._max_size:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "a head that is too large")


class _Known(NamedTuple):
    """A head that may come again, and what it depends on."""

    head: Head
    state: int  # of the table of the decoder
    method: bytes
    limits: Limits


class ResponseHeads:
    """Reads the heads of responses, and remembers those that may come again."""

    __slots__ = ("_decoder", "_known", "_max_size")

    def __init__(self, options: Http2Options) -> None:
        self._max_size = options.max_header_list_size
        self._decoder = FieldDecoder(options.max_header_list_size, options.header_table_size)
        self._known: dict[bytes, _Known] = {}

    def read(self, block: bytes, method: bytes, limits: Limits) -> Head:
        """Return the head of a response to a *method* request.

        :raises ConnectionFault: it cannot be decompressed
        :raises StreamFault: the fields are not those of a response, or too many or too large
        """
        before = self._decoder.state
        known = self._known.get(block)
        if (
            known is not None
            and known.state == before
            and known.method == method
            and known.limits is limits
        ):
            return known.head
        head = read_head(self._decoder.decode(block), method, limits, self._max_size)
        # A cookie is seldom set twice.
        if before == self._decoder.state and len(block) <= _KEPT_SIZE and not head.set_cookies:
            if len(self._known) >= _KEPT_HEADS:
                self._known.clear()
            self._known[block] = _Known(head, before, method, limits)
        return head

    def decode(self, block: bytes) -> list[tuple[bytes, bytes]]:
        """Return the fields of trailers, or of a head that is not used: later ones depend on it.

        :raises ConnectionFault: it cannot be decompressed
        """
        return self._decoder.decode(block)
