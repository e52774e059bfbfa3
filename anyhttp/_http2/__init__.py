"""Many exchanges at a time on one connection (:rfc:`9113`)."""

from __future__ import annotations

from .core import Http2Core
from .errors import ErrorCode
from .options import Http2Options
from .state import StreamState

__all__ = (
    "ErrorCode",
    "Http2Core",
    "Http2Options",
    "StreamState",
)
