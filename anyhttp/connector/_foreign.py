"""Streams that a program makes, such as those of subclasses of the connectors."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, TypeVar

from .._common import shown_class
from .._network import NetworkStream
from ..client_exceptions import ConnectionTimeoutError, ServerTimeoutError

if TYPE_CHECKING:
    from anyio.abc import ByteStream

    from ..client_reqrep import ClientRequest

__all__ = ("foreign_stream", "made_by_program", "timed_out")

T = TypeVar("T")


def timed_out(req: ClientRequest) -> ConnectionTimeoutError:
    """Return the error of a connection that has not been made in time."""
    return ConnectionTimeoutError(f"Connection timeout to host {req.shown_url}")


async def made_by_program(req: ClientRequest, work: Awaitable[T]) -> T:
    """Return what *work* returns, which makes a stream for *req*.

    :raises ConnectionTimeoutError: a time limit of the program's own has run out
    """
    try:
        return await work
    except TimeoutError as exc:
        # What the operating system reports has a number, and says that the host is unreachable.
        if isinstance(exc, ServerTimeoutError) or exc.errno is not None:
            raise
        raise timed_out(req) from exc


def foreign_stream(made: NetworkStream | ByteStream, method: str) -> NetworkStream:
    """Return *made*, which a program has made, as a stream of this package.

    A stream says by a true attribute ``for_one_exchange`` that it serves one request and no more.

    :param method: what has returned it, for the message
    :raises TypeError: it is no stream; subclasses for aiohttp return protocols
    """
    if isinstance(made, NetworkStream):
        return made
    if not all(hasattr(made, name) for name in ("receive", "send", "aclose", "extra")):
        raise TypeError(f"{method} must return an anyio ByteStream, not {shown_class(type(made))}")
    stream = NetworkStream(made)
    stream.for_one_exchange = bool(getattr(made, "for_one_exchange", False))
    return stream
