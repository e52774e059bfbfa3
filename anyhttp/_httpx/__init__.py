"""What the transports for httpx and for httpx2 have in common; it imports neither of them."""

from __future__ import annotations

from .library import Library
from .transport import ResponseBody, Transport

__all__ = (
    "Library",
    "ResponseBody",
    "Transport",
)
