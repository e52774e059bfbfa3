"""Makes a name importable from here too, as mocking libraries import it."""

from __future__ import annotations

from ._common import ResponseHandler

__all__ = ("ResponseHandler",)
