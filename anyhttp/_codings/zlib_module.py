"""The module for gzip and deflate, which an application may replace by a faster one."""

from __future__ import annotations

import zlib
from typing import Any, Protocol

__all__ = ("Compressor", "ZlibBackend", "set_zlib_backend", "zlib_backend")


class Compressor(Protocol):
    """What ``zlib.compressobj()`` returns."""

    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


class ZlibBackend(Protocol):
    """The part of the module ``zlib`` that is used: ``isal_zlib`` and ``zlib_ng`` have it too."""

    @property
    def error(self) -> type[Exception]: ...

    @property
    def compressobj(self) -> Any: ...

    @property
    def decompressobj(self) -> Any: ...


_backend: ZlibBackend = zlib


def set_zlib_backend(module: ZlibBackend) -> None:
    """Use *module* for gzip and deflate from now on.

    :param module: one with the interface of ``zlib``, such as ``isal.isal_zlib`` or
        ``zlib_ng.zlib_ng``
    :raises TypeError: it lacks part of that interface

    The setting is for the whole process.  Bodies in progress keep the module that they have.
    """
    global _backend
    missing = [
        name for name in ("compressobj", "decompressobj", "error") if not hasattr(module, name)
    ]
    if missing:
        raise TypeError(f"module must have the interface of zlib: it has no {missing[0]}")
    _backend = module


def zlib_backend() -> ZlibBackend:
    """Return the module in use."""
    return _backend
