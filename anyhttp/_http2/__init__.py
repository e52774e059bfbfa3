"""Many exchanges at a time on one connection (:rfc:`9113`)."""

from __future__ import annotations

from .._common import Http2Options
from .connection import Http2Connection
from .core import Http2Core
from .errors import ErrorCode
from .state import StreamState
from .stream import Http2Stream

__all__ = (
    "ErrorCode",
    "Http2Connection",
    "Http2Core",
    "Http2Options",
    "Http2Stream",
    "StreamState",
)
