"""One exchange on one connection, spoken by an engine: h11, or llhttp through httptools."""

from __future__ import annotations

from functools import cache

from ._connection import Exchange, Http1Connection, MalformedResponse, Phase
from ._engine import Engine
from ._strict import Head, Limits, ParseError
from ._upload import Outgoing, Upload, goes_inline

__all__ = (
    "Engine",
    "Exchange",
    "Head",
    "Http1Connection",
    "Limits",
    "MalformedResponse",
    "Outgoing",
    "ParseError",
    "Phase",
    "Upload",
    "engine_class",
    "goes_inline",
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
            from ._httptools import HttptoolsEngine
        except ImportError as exc:
            if name == "httptools":
                raise RuntimeError(
                    "http1='httptools' needs httptools: pip install 'anyhttp[speedups]'"
                ) from exc
        else:
            return HttptoolsEngine
    from ._h11 import H11Engine

    return H11Engine
