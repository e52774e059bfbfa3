"""Every operation: importing its module puts it into the list."""

from __future__ import annotations

from .operations import (  # noqa: F401
    bodies,
    connecting,
    http2,
    httpx,
    middlewares,
    requests,
    testing,
    tracing,
    uploads,
    websockets,
)
from .stage import OPERATIONS

__all__ = ("OPERATIONS",)
