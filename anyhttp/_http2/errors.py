"""Error codes of HTTP/2, and how the parts of this room tell each other of a peer's faults."""

from __future__ import annotations

from enum import IntEnum

__all__ = ("ConnectionFault", "ErrorCode", "StreamFault", "shown_code")


class ErrorCode(IntEnum):
    """Why a stream or a connection is ended (:rfc:`9113#section-7`)."""

    NO_ERROR = 0x0
    PROTOCOL_ERROR = 0x1
    INTERNAL_ERROR = 0x2
    FLOW_CONTROL_ERROR = 0x3
    SETTINGS_TIMEOUT = 0x4
    STREAM_CLOSED = 0x5
    FRAME_SIZE_ERROR = 0x6
    REFUSED_STREAM = 0x7
    CANCEL = 0x8
    COMPRESSION_ERROR = 0x9
    CONNECT_ERROR = 0xA
    ENHANCE_YOUR_CALM = 0xB
    INADEQUATE_SECURITY = 0xC
    HTTP_1_1_REQUIRED = 0xD


def shown_code(code: int) -> str:
    """Return *code* for messages: its name, if it has one, and its number."""
    try:
        return f"{ErrorCode(code).name} ({code})"
    except ValueError:
        return f"error code {code}"


class _Fault(Exception):
    """The peer has broken a rule; what is ended for that is said by the derived classes."""

    def __init__(self, code: ErrorCode, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class ConnectionFault(_Fault):
    """The peer has broken a rule of the whole connection (:rfc:`9113#section-5.4.1`)."""


class StreamFault(_Fault):
    """The peer has broken a rule of one stream; others go on (:rfc:`9113#section-5.4.2`)."""
