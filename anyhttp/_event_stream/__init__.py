"""Lines of text, and server-sent events, from bytes that arrive in pieces; without I/O."""

from __future__ import annotations

from .events import EventStream, ServerSentEvent
from .lines import TextLines, is_linear

__all__ = ("EventStream", "ServerSentEvent", "TextLines", "is_linear")
