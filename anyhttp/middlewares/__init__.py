"""Middlewares that programs need often: pass them to a session or a request."""

from __future__ import annotations

__all__: tuple[str, ...] = ()
