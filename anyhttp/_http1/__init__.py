"""HTTP/1.1 on one connection, read by our own engine, or by h11 for comparison."""

from __future__ import annotations

from functools import cache

from .connection import (
    BUSY,
    IDLE,
    Connection,
    ExchangeProtocol,
    Http1Connection,
    Phase,
    is_forgotten,
    leave_to_parent,
)
from .engine import Engine
from .exchange import Exchange, MalformedResponse
from .heads import CHUNKED, Head, ResponseHead, as_text, content_type_of, text_fields
from .interfaces import ExchangeStream, LentStream
from .request_framing import NO_BODY, Framing, framing_fields, framing_of_request
from .response_framing import read_content_length
from .response_grammar import Limits, ParseError, StatusLine
from .unread import OpenExchanges
from .upload import SendTimeout, Upload, goes_inline
from .upload_tracker import (
    UploadComplete,
    UploadProgress,
    UploadTracker,
    abort_unsent,
    upload_progress,
)

__all__ = (
    "BUSY",
    "CHUNKED",
    "Connection",
    "NO_BODY",
    "Engine",
    "Exchange",
    "ExchangeStream",
    "ExchangeProtocol",
    "Framing",
    "Head",
    "Http1Connection",
    "IDLE",
    "LentStream",
    "Limits",
    "MalformedResponse",
    "OpenExchanges",
    "ParseError",
    "Phase",
    "ResponseHead",
    "SendTimeout",
    "StatusLine",
    "Upload",
    "UploadComplete",
    "UploadProgress",
    "UploadTracker",
    "abort_unsent",
    "as_text",
    "content_type_of",
    "engine_class",
    "framing_fields",
    "goes_inline",
    "framing_of_request",
    "is_forgotten",
    "leave_to_parent",
    "read_content_length",
    "text_fields",
    "upload_progress",
)


@cache
def engine_class(name: str) -> type[Engine]:
    """Return the engine called *name*: ``"auto"``, our own, or ``"h11"``, the reference.

    :raises ValueError: there is no such engine
    """
    if name == "auto":
        return Engine
    if name == "h11":
        from .h11_engine import H11Engine

        return H11Engine
    raise ValueError(f'http1 must be "auto" or "h11", not {name!r}')
