"""The WebSocket protocol (:rfc:`6455`, :rfc:`7692`): handshake, sending, receiving, closing.

``handshake``, ``frames``, ``frame_writer``, ``deflate`` and ``outgoing`` do no I/O: they make and
check headers, turn bytes into messages and messages into bytes, and compress.  ``lifecycle`` holds
the state and closes the connection; ``sender`` and ``receiver`` use the connection; ``heartbeat``
is the task that pings.  This package is the only user of ``websockets``: of its masking, its close
payloads, and its negotiation of permessage-deflate.
"""

from __future__ import annotations

from .deflate import Deflater, Inflater
from .frame_writer import COMPRESSED, FINAL, BytesLike, FrameWriter, close_payload
from .frames import END, FRAMES_IN_A_ROW, FrameReader
from .handshake import Accepted, HandshakeRefused, Offer, new_key
from .heartbeat import Heartbeat
from .lifecycle import Lifecycle, WSState
from .models import (
    CLOSED_MESSAGE,
    CLOSING_MESSAGE,
    ClientWSTimeout,
    WSCloseCode,
    WSMessage,
    WSMessageStream,
    WSMsgType,
    data_of,
    foreign_ws_timeout,
)
from .outgoing import Fragments, as_bytes, checked_bits, control_payload, reason_text, shortened
from .receiver import Receiver
from .sender import Sender
from .settings import WSSettings

__all__ = (
    "CLOSED_MESSAGE",
    "CLOSING_MESSAGE",
    "COMPRESSED",
    "END",
    "FINAL",
    "FRAMES_IN_A_ROW",
    "Accepted",
    "BytesLike",
    "ClientWSTimeout",
    "Deflater",
    "Fragments",
    "FrameReader",
    "FrameWriter",
    "HandshakeRefused",
    "Heartbeat",
    "Inflater",
    "Lifecycle",
    "Offer",
    "Receiver",
    "Sender",
    "WSCloseCode",
    "WSMessage",
    "WSMessageStream",
    "WSMsgType",
    "WSSettings",
    "WSState",
    "as_bytes",
    "checked_bits",
    "close_payload",
    "control_payload",
    "data_of",
    "foreign_ws_timeout",
    "new_key",
    "reason_text",
    "shortened",
)
