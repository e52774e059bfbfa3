"""One exchange on one connection, spoken by an engine: h11, or llhttp through httptools."""

from __future__ import annotations

from functools import cache

from .connection import IDLE, Connection, Http1Connection
from .engine import Engine
from .exchange import Exchange, MalformedResponse
from .framing import NO_BODY, Framing, framing_fields, request_framing
from .strict import Head, Limits, ParseError
from .upload import Outgoing, Upload, goes_inline
from .upload_tracker import UploadComplete, UploadProgress, UploadTracker, upload_progress

__all__ = (
    "Connection",
    "NO_BODY",
    "Engine",
    "Exchange",
    "Framing",
    "Head",
    "Http1Connection",
    "IDLE",
    "Limits",
    "MalformedResponse",
    "Outgoing",
    "ParseError",
    "Upload",
    "UploadComplete",
    "UploadProgress",
    "UploadTracker",
    "engine_class",
    "framing_fields",
    "goes_inline",
    "request_framing",
    "upload_progress",
)


@cache
def engine_class(name: str) -> type[Engine]:
    """Return the engine called *name*: ``"h11"``, ``"httptools"``, or ``"auto"`` for the best.

    :raises ValueError: there is no such engine
    :raises RuntimeError: it is not installed
    """
    if name not in {"auto", "h11", "httptools"}:
        raise ValueError(f'http1 must be "auto", "h11" or "httptools", not {name!r}')
    if name != "h11":
        try:
            from .httptools_engine import HttptoolsEngine
        except ImportError as exc:
            if name == "httptools":
                raise RuntimeError(
                    "http1='httptools' needs httptools: pip install 'anyhttp[speedups]'"
                ) from exc
        else:
            return HttptoolsEngine
    from .h11_engine import H11Engine

    return H11Engine
