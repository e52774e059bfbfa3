"""Reads along the messages of a WebSocket, on the package ``websockets``."""

from __future__ import annotations

import time

from websockets.exceptions import InvalidHeaderFormat
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.headers import parse_extension
from websockets.protocol import CLIENT, SERVER, Protocol, State

from ._har_messages import RecordedClose, RecordedMessage, RecordedSocket
from ._redaction import Filters

__all__ = ("WebSocketObserver",)


class WebSocketObserver:
    """Reads the frames of both sides.

    :param extensions: the value of ``Sec-WebSocket-Extensions`` in the response
    """

    def __init__(self, extensions: str) -> None:
        self._messages: list[RecordedMessage] = []
        self._close: RecordedClose | None = None
        # Each reads what the other side has sent, and what it would answer is not sent.
        self._sent = _Reader(Protocol(SERVER, state=State.OPEN, max_size=None))
        self._received = _Reader(Protocol(CLIENT, state=State.OPEN, max_size=None))
        try:
            self._use(extensions)
        except (InvalidHeaderFormat, ValueError):
            self._sent.is_lost = True

    def _use(self, extensions: str) -> None:
        """Decompress messages as the handshake says (:rfc:`7692#section-7.1`)."""
        for name, pairs in parse_extension(extensions) if extensions else ():
            if name == "permessage-deflate":
                parameters = dict(pairs)
                for reader, side in ((self._sent, "client"), (self._received, "server")):
                    resets = f"{side}_no_context_takeover" in parameters
                    bits = int(parameters.get(f"{side}_max_window_bits") or 15)
                    deflate = PerMessageDeflate(resets, False, bits, 15)
                    reader.protocol.extensions.append(deflate)

    @property
    def is_lost(self) -> bool:
        """Whether something passed that is no WebSocket."""
        return self._sent.is_lost or self._received.is_lost

    @property
    def is_closed(self) -> bool:
        """Whether there was a CLOSE frame."""
        return self._close is not None

    def sent(self, data: bytes) -> None:
        """Take bytes that the client is about to send."""
        self._take(self._sent, data, is_sent=True)

    def received(self, data: bytes) -> None:
        """Take bytes that the client has received."""
        self._take(self._received, data, is_sent=False)

    def _take(self, reader: _Reader, data: bytes, *, is_sent: bool) -> None:
        if self.is_lost or not data:
            return
        now = time.time()
        for message in reader.messages(data):
            self._messages.append(RecordedMessage(is_sent=is_sent, data=message, time=now))
        close = reader.protocol.close_rcvd
        if close is not None and self._close is None:
            self._close = RecordedClose(is_sent=is_sent, code=int(close.code), reason=close.reason)

    def socket(self, filters: Filters) -> RecordedSocket:
        """Return what has passed, without secrets."""
        return RecordedSocket(
            messages=tuple(
                RecordedMessage(
                    is_sent=each.is_sent,
                    data=filters.message(each.data, is_sent=each.is_sent),
                    time=each.time,
                )
                for each in self._messages
            ),
            close=self._close,
        )


class _Reader:
    """Reads the messages of one side."""

    def __init__(self, protocol: Protocol) -> None:
        self.protocol: Protocol = protocol
        #: whether the bytes are none of a WebSocket
        self.is_lost: bool = False
        self._parts: list[bytes] = []
        self._is_text = False

    def messages(self, data: bytes) -> list[str | bytes]:
        """Return the messages that end with *data*."""
        protocol = self.protocol
        protocol.receive_data(data)
        found: list[str | bytes] = []
        for frame in protocol.events_received():
            assert isinstance(frame, Frame)
            if frame.opcode in {Opcode.TEXT, Opcode.BINARY, Opcode.CONT}:
                found += self._take(frame)
        protocol.data_to_send()
        self.is_lost = self.is_lost or protocol.parser_exc is not None
        return found

    def _take(self, frame: Frame) -> list[str | bytes]:
        if frame.opcode is not Opcode.CONT:
            self._is_text = frame.opcode is Opcode.TEXT
        self._parts.append(bytes(frame.data))
        if not frame.fin:
            return []
        whole = b"".join(self._parts)
        self._parts.clear()
        if not self._is_text:
            return [whole]
        try:
            return [whole.decode()]
        except UnicodeDecodeError:
            self.is_lost = True
            return []
