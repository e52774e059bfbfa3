"""Turns bytes into messages (:rfc:`6455#section-5`).

This is not left to ``websockets``, for two reasons.  Its parser needs a whole frame in memory,
while messages of any size can be read in pieces here.  And nearly every frame is of one simple kind
that can be read much faster (:meth:`FrameReader._read_short`).
"""

from __future__ import annotations

import codecs
import enum
import sys
from io import BytesIO
from typing import Final, Literal

from ..client_exceptions import WebSocketError
from .deflate import TAIL, Inflater
from .frame_writer import MAX_CONTROL
from .models import WSCloseCode, WSMessage, WSMsgType

__all__ = ("END", "FRAMES_IN_A_ROW", "MESSAGES_IN_A_ROW", "FrameReader")

#: Longest payload of a short frame, in bytes: the largest length that fits into two bytes.
MAX_SHORT: Final = 65535

#: Largest piece that is returned of a compressed message, in bytes.
INFLATED_PIECE: Final = 64 * 1024

#: Compressed bytes that are inflated at a time: the output may be a thousand times as large.
DEFLATED_PIECE: Final = 4 * 1024

#: Most bytes that are allocated because a frame header announces them.  A header alone must not
#: make us allocate much memory.
RESERVED: Final = 256 * 1024

#: Frames that are read before other tasks have to run, those of short messages not counted.
#: Reading them takes a few milliseconds.  One call of ``receive()`` may return thirty times as many
#: frames, of two bytes each.
FRAMES_IN_A_ROW: Final = 4096

#: Messages that are returned before other tasks have to run, unless they have more bytes than
#: :data:`BYTES_IN_A_ROW`.
MESSAGES_IN_A_ROW: Final = 64
BYTES_IN_A_ROW: Final = 64 * 1024

#: Most bytes that are inflated only to be thrown away, of one message: later messages may refer to
#: its last bytes.  A compressed megabyte may inflate to a gigabyte, so a peer could keep us busy.
MAX_SKIPPED: Final = 64 * 1024 * 1024

#: As how many frames a piece counts that is inflated to be thrown away.
SKIPPED_PIECE_FRAMES: Final = 64


class _End(enum.Enum):
    END = "no piece follows"


#: Returned by :meth:`FrameReader.next_piece` after the last piece of a message.
END: Final = _End.END


_BETWEEN: Final = -1  # value of FrameReader.left between two frames
_KINDS: Final = {1: WSMsgType.TEXT, 2: WSMsgType.BINARY}
_CONTROL_KINDS: Final = {9: WSMsgType.PING, 10: WSMsgType.PONG}
_TEXT: Final = WSMsgType.TEXT
_BINARY: Final = WSMsgType.BINARY


def _no_utf8(exc: UnicodeDecodeError) -> WebSocketError:
    return WebSocketError(WSCloseCode.INVALID_TEXT, f"a text is not UTF-8: {exc}")


def _violation(message: str) -> WebSocketError:
    return WebSocketError(WSCloseCode.PROTOCOL_ERROR, message)


class FrameReader:
    """Takes received bytes, and returns messages.

    A message is returned as a whole by :meth:`next_message`, or in pieces by :meth:`next_start`
    and then :meth:`next_piece`.  If the peer broke the protocol, these raise
    :exc:`WebSocketError` with the code to close with; no method may be called after that.

    :param max_size: most bytes of a message that is returned whole; 0 for any number
    :param inflater: decompresses messages, if compression was negotiated
    :param decode_text: return the text of TEXT messages as ``str``
    """

    __slots__ = ("_compressed", "_decode_text", "_decoder", "_inflater", "_last", "_max_short",
                 "_max_size", "_opcode", "_pos", "_size", "_skipped", "_whole", "data",
                 "frames_left", "is_inflating", "left", "messages_left", "ready")  # fmt: skip

    def __init__(self, max_size: int, inflater: Inflater | None, *, decode_text: bool) -> None:
        self._max_size = max_size
        self._inflater = inflater
        self._decode_text = decode_text
        # The longest message that _read_short() reads.
        self._max_short = min(MAX_SHORT, max_size or MAX_SHORT)
        #: messages that have been read ahead; the last one is the next
        self.ready: Final[list[WSMessage]] = []
        #: received bytes, empty when all have been read
        self.data: bytes = b""
        self._pos = 0  # of the first one that has not been read
        #: messages that may be returned before other tasks have to run; the receiver sets this
        #: again
        self.messages_left: int = MESSAGES_IN_A_ROW
        #: frames that may be read before other tasks have to run.  At 0 each method returns
        #: ``None`` ("more bytes are needed"), until the receiver sets this again
        self.frames_left: int = FRAMES_IN_A_ROW
        # The frame being read, and the message that it belongs to.
        #: bytes of payload of the frame being read that are missing; -1 between two frames
        self.left: int = _BETWEEN
        self._last = True
        self._opcode = 0
        self._compressed = False
        self._whole: BytesIO | None = None  # parts of the message, if it comes in several pieces
        self._size = 0
        # Finds out what is not UTF-8 in a text that comes in several pieces.
        self._decoder: codecs.IncrementalDecoder | None = None
        self._skipped = 0  # bytes of the message that were inflated and thrown away
        #: whether the next piece may come out of bytes that have been received already
        self.is_inflating: bool = False

    def feed(self, data: bytes) -> None:
        """Take bytes from the peer."""
        if self.ready:
            self._put_back()
        if self.data:
            data = self.data[self._pos :] + data
            self._pos = 0
        self.data = data

    @property
    def buffered(self) -> int:
        """How many bytes have been received and not been read."""
        return len(self.data) - self._pos

    # -- whole messages

    def next_message(self) -> WSMessage | None:
        """Return the next message or control frame; ``None``: more bytes are needed.

        :raises WebSocketError: the peer broke the protocol, or sent too large a message
        """
        ready = self.ready
        if not ready:
            if not self.data:
                return None
            if not self._opcode:
                self._read_short()
        return ready.pop() if ready else self._next_message()

    def _read_short(self) -> None:
        """Read ahead the messages that are short, whole and not compressed, as most are.

        This ends at any other frame, and when other tasks have to run.
        """
        data, pos, room = self.data, self._pos, self.messages_left
        ready, size, longest = self.ready, len(data), self._max_short
        bytes_left = BYTES_IN_A_ROW
        new = tuple.__new__  # WSMessage's own takes twice as long
        while room > 0 and (start := pos + 2) <= size:
            if (length := data[pos + 1]) >= 126:
                start = pos + 4
                if length > 126:
                    break
                length = int.from_bytes(data[pos + 2 : start])
                if length < 126 or start + length > size:
                    break
                bytes_left -= length
                if bytes_left < 0:
                    room = 0
                    break
            if length > longest or (end := start + length) > size:
                break
            payload = data[start:end]
            if (first := data[pos]) == 0x82:
                ready.append(new(WSMessage, (_BINARY, payload, "")))
            elif first == 0x81:
                try:
                    text = payload.decode()
                except UnicodeDecodeError:
                    break
                found = text if self._decode_text else payload
                ready.append(new(WSMessage, (_TEXT, found, "")))
            else:
                break
            pos = end
            room -= 1
        self.messages_left = room
        ready.reverse()
        if pos == size:
            self.data, self._pos = b"", 0
        else:
            self._pos = pos

    def _put_back(self) -> None:
        """Make bytes of the messages that have been read ahead."""
        wire = [self.data[self._pos :]]
        for message in self.ready:
            payload = message.data.encode() if isinstance(message.data, str) else message.data
            size = len(payload)
            head = bytes((size,)) if size < 126 else b"\x7e" + size.to_bytes(2)
            wire += payload, head, bytes((0x80 | message.type,))
        self.ready.clear()
        self.data, self._pos = b"".join(reversed(wire)), 0

    def _next_message(self) -> WSMessage | None:
        """Return the next message of any kind."""
        while True:
            if self.left < 0:
                found = self._read_header(self._max_size)
                if found is not True:
                    return found
            whole = self._whole
            if whole is None:
                if self._last and self.buffered >= self.left:
                    piece, self.left = self._take(self.left), _BETWEEN
                    return self._finish(piece)
                # getvalue() returns the message without another copy.  A list of pieces would need
                # more memory than the bytes themselves, if the pieces are small.
                whole = self._whole = BytesIO(bytes(min(self.left, RESERVED)))
            self._move_payload(whole)
            if self.left:
                return None
            self.left = _BETWEEN
            if self._last:
                self._whole = self._decoder = None
                return self._finish(whole.getvalue())

    def _move_payload(self, whole: BytesIO) -> None:
        """Move the received payload of the frame to *whole*.

        :raises WebSocketError: it belongs to a text, and is not UTF-8
        """
        data, pos = self.data, self._pos
        end = min(pos + self.left, len(data))
        piece = memoryview(data)[pos:end]
        whole.write(piece)
        self.left -= end - pos
        self._pos = end
        if end == len(data):
            self.data, self._pos = b"", 0
        if self._opcode == 1 and not self._compressed:
            # The end of the message may never come, so fail at the first wrong byte.
            if self._decoder is None:
                self._decoder = codecs.getincrementaldecoder("utf-8")()
            self._decode(self._decoder, piece, last=False)

    def _take(self, count: int) -> bytes:
        """Take up to *count* of the received bytes."""
        data, pos = self.data, self._pos
        end = pos + count
        if end < len(data):
            self._pos = end
            return data[pos:end]
        self.data, self._pos = b"", 0
        return data[pos:] if pos else data

    def _finish(self, payload: bytes) -> WSMessage:
        opcode = self._opcode
        self._opcode = self._size = 0
        self.messages_left -= 1 if len(payload) < BYTES_IN_A_ROW else MESSAGES_IN_A_ROW
        if self._compressed:
            assert self._inflater is not None
            payload = self._inflater.inflate(payload, self._max_size)
        if opcode == 1:
            return self._text(payload)
        return tuple.__new__(WSMessage, (_BINARY, payload, ""))

    def _text(self, payload: bytes) -> WSMessage:
        try:
            text = payload.decode()
        except UnicodeDecodeError as exc:
            raise _no_utf8(exc) from exc
        data = text if self._decode_text else payload
        return tuple.__new__(WSMessage, (_TEXT, data, ""))

    # -- messages in pieces

    def next_start(self) -> WSMessage | WSMsgType | None:
        """Return the type of the next message, whose pieces follow, or a control frame.

        ``None``: more bytes are needed.

        :raises WebSocketError: the peer broke the protocol
        """
        if self.ready:
            self._put_back()
        if not self._opcode:
            found = self._read_header(0)
            if found is not True:
                return found
        if self._whole is not None:  # an earlier next_message() has collected a part of the message
            self._whole.truncate()
            self._whole.seek(0)
        self._skipped = 0
        if self._opcode == 1:
            self._decoder = codecs.getincrementaldecoder("utf-8")()
        return _KINDS[self._opcode]

    def next_piece(self) -> bytes | str | WSMessage | _End | None:
        """Return the next piece, :data:`END` after the last one, or a control frame.

        ``None``: more bytes are needed.

        :raises WebSocketError: the peer broke the protocol
        """
        while True:
            if self.is_inflating:
                assert self._inflater is not None
                piece = self._inflater.read(INFLATED_PIECE)
                if not piece:
                    self.is_inflating = False
                    if not self._compressed:
                        self._inflater.end_message()
                    continue
            else:
                found = self._next_payload()
                if found is END:
                    if self._compressed:
                        self._feed_inflater(TAIL)
                        self._compressed = False
                        continue
                    return self._decoded(b"", last=True) or END
                if not isinstance(found, bytes):
                    return found
                if self._compressed:
                    self._feed_inflater(found)
                    continue
                piece = found
            if decoded := self._decoded(piece, last=False):
                return decoded

    def skip_pieces(self) -> WSMessage | _End | None:
        """Discard pieces, and return :data:`END` after the last one, or a control frame.

        ``None``: more bytes are needed, or other tasks have to run.

        :raises WebSocketError: the peer broke the protocol, or the message is compressed and
            larger than :data:`MAX_SKIPPED`
        """
        while self.frames_left:
            piece = self.next_piece()
            if not isinstance(piece, (bytes, str)):
                return piece
            if self.is_inflating:
                self._skipped += len(piece)
                if self._skipped > MAX_SKIPPED:
                    raise WebSocketError(
                        WSCloseCode.MESSAGE_TOO_BIG,
                        f"the unread rest of a message inflates to more than {MAX_SKIPPED} bytes",
                    )
                self.frames_left = max(self.frames_left - SKIPPED_PIECE_FRAMES, 0)
        return None

    def _next_payload(self) -> bytes | WSMessage | _End | None:
        """Return bytes of payload, not decompressed; otherwise the same as :meth:`next_piece`."""
        while True:
            most = DEFLATED_PIECE if self._compressed else sys.maxsize
            if self._whole is not None:
                if piece := self._whole.read(most):
                    return piece
                self._whole = None
            if self.left > 0:
                piece = self._take(min(self.left, most))
                self.left -= len(piece)
                return piece or None
            if self.left == 0:
                self.left = _BETWEEN
                if self._last:
                    self._opcode = self._size = 0
            if not self._opcode:
                return END
            found = self._read_header(0)
            if found is not True:
                return found

    def _feed_inflater(self, data: bytes) -> None:
        assert self._inflater is not None
        self._inflater.feed(data)
        self.is_inflating = True

    def _decoded(self, piece: bytes, *, last: bool) -> bytes | str:
        """Return *piece*; for a text message as text, with incomplete characters kept for later."""
        decoder = self._decoder
        if decoder is None:
            return piece
        text = self._decode(decoder, piece, last=last)
        if last:
            self._decoder = None
        return text if self._decode_text else piece

    @staticmethod
    def _decode(
        decoder: codecs.IncrementalDecoder, piece: bytes | memoryview, *, last: bool
    ) -> str:
        try:
            text: str = decoder.decode(piece, last)
        except UnicodeDecodeError as exc:
            raise _no_utf8(exc) from exc
        # Python waits for the third byte of a surrogate, which UTF-8 does not allow (RFC 3629 §3).
        pending = decoder.getstate()[0]
        if pending.startswith(b"\xed") and pending[1:] >= b"\xa0":
            raise WebSocketError(WSCloseCode.INVALID_TEXT, "a text is not UTF-8: a surrogate")
        return text

    # -- control frames, and discarding

    def next_control(self) -> WSMessage | None:
        """Return the next frame if it is a PING or PONG, else ``None``."""
        if self.left >= 0 or self.buffered < 2 or self.data[self._pos] not in {0x89, 0x8A}:
            return None
        found = self._read_header(0)
        return found if isinstance(found, WSMessage) else None

    def skip_to_close(self) -> WSMessage | None:
        """Discard all frames up to a CLOSE, and return that; ``None``: more bytes are needed.

        :raises WebSocketError: the peer broke the protocol
        """
        self._whole = None
        self.ready.clear()
        while True:
            if self.left < 0:
                found = self._read_header(0)
                if found is not True:
                    if found is None or found.type is WSMsgType.CLOSE:
                        return found
                    continue
            self.left -= len(self._take(self.left))
            if self.left:
                return None
            self.left = _BETWEEN
            if self._last:
                self._opcode = self._size = 0

    # -- headers

    def _read_header(self, limit: int) -> WSMessage | Literal[True] | None:
        """Read the header of a data frame and return ``True``, or return a whole control frame.

        ``None``: more bytes are needed.

        :param limit: most bytes of a message; 0 for any number
        """
        data, pos = self.data, self._pos
        have = len(data) - pos
        if have < 2 or not self.frames_left:
            return None
        self.frames_left -= 1
        first, length = data[pos], data[pos + 1]
        if length & 0x80:
            raise _violation("a frame from a server is masked")
        if first & 0x08:
            return self._read_control(first, length)
        self._check_data(first)
        pos += 2
        if length >= 126:
            size = 2 if length == 126 else 8
            if have < 2 + size:
                return None
            length = _long_length(data[pos : pos + size])
            pos += size
        opcode = first & 0x0F
        size = length + (0 if opcode else self._size)
        if limit and size > limit:
            raise WebSocketError(
                WSCloseCode.MESSAGE_TOO_BIG,
                f"a message of {size} bytes or more exceeds the limit of {limit} bytes",
            )
        self._pos = pos
        self._size = size
        self.left = length
        self._last = first >= 0x80
        if opcode:
            self._opcode = opcode
            self._compressed = bool(first & 0x40)
        return True

    def _check_data(self, first: int) -> None:
        """Check the first byte of a frame that carries data."""
        opcode, reserved = first & 0x0F, first & 0x70
        if opcode > 2:
            raise _violation(f"the opcode {opcode} is reserved")
        if opcode and self._opcode:
            raise _violation("a message begins inside another one")
        if not opcode and not self._opcode:
            raise _violation("a message is continued that has not begun")
        if reserved and (reserved != 0x40 or not opcode or self._inflater is None):
            raise _violation("a reserved bit is set")

    def _read_control(self, first: int, length: int) -> WSMessage | None:
        opcode = first & 0x0F
        if opcode > 10:
            raise _violation(f"the opcode {opcode} is reserved")
        if first & 0x70:
            raise _violation("a reserved bit is set in a control frame")
        if first < 0x80:
            raise _violation("a control frame is fragmented")
        if length > MAX_CONTROL:
            raise _violation(f"a control frame is longer than {MAX_CONTROL} bytes")
        start = self._pos + 2
        if len(self.data) < start + length:
            return None
        self._pos = start
        payload = self._take(length)
        if opcode != 8:
            return WSMessage(_CONTROL_KINDS[opcode], payload, "")
        return _close_message(payload)


def _long_length(data: bytes) -> int:
    """Return the length of a frame that is written in 2 or 8 bytes (:rfc:`6455#section-5.2`)."""
    length = int.from_bytes(data, "big")
    if length < (126 if len(data) == 2 else 65536) or length >> 63:
        raise _violation("the length of a frame is not in its shortest form")
    return length


def _close_message(payload: bytes) -> WSMessage:
    """Return the CLOSE message with *payload* (:rfc:`6455#section-5.5.1`)."""
    if not payload:
        return WSMessage(WSMsgType.CLOSE, 0, "")
    if payload == b"\x03\xe8":  # as in nearly every CLOSE frame
        return WSMessage(WSMsgType.CLOSE, 1000, "")
    from websockets.exceptions import ProtocolError
    from websockets.frames import Close

    try:
        close = Close.parse(payload)
    except ProtocolError as exc:
        raise _violation(f"a CLOSE frame is wrong: {exc}") from exc
    except UnicodeDecodeError as exc:
        raise WebSocketError(
            WSCloseCode.INVALID_TEXT, f"the reason of a CLOSE frame is not UTF-8: {exc}"
        ) from exc
    return WSMessage(WSMsgType.CLOSE, int(close.code), close.reason)
