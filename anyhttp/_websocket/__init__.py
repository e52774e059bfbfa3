"""How a WebSocket speaks (:rfc:`6455`, :rfc:`7692`), without any I/O.

``_handshake`` makes the headers of the request and judges those of the answer, ``_frames``
turns bytes into messages and messages into bytes, ``_deflate`` compresses them.  This package is
the only user of ``websockets``: of its frames, its close payloads, and its negotiation of
permessage-deflate.
"""

from __future__ import annotations

from ._deflate import Deflater, Inflater
from ._frames import END, FRAMES_IN_A_ROW, BytesLike, FrameReader, close_payload, frame
from ._handshake import Accepted, HandshakeRefused, Offer
from ._models import (
    CLOSED_MESSAGE,
    CLOSING_MESSAGE,
    ClientWSTimeout,
    WSCloseCode,
    WSMessage,
    WSMessageStream,
    WSMsgType,
    data_of,
)
from ._outgoing import (
    Fragments,
    as_bytes,
    checked_bits,
    control_payload,
    reason_text,
    shortened,
)

__all__ = (
    "CLOSED_MESSAGE",
    "CLOSING_MESSAGE",
    "END",
    "FRAMES_IN_A_ROW",
    "Accepted",
    "BytesLike",
    "ClientWSTimeout",
    "Deflater",
    "Fragments",
    "FrameReader",
    "HandshakeRefused",
    "Inflater",
    "Offer",
    "WSCloseCode",
    "WSMessage",
    "WSMessageStream",
    "WSMsgType",
    "as_bytes",
    "checked_bits",
    "close_payload",
    "control_payload",
    "data_of",
    "frame",
    "reason_text",
    "shortened",
)
