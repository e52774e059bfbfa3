"""The connection of a request that has none yet, for a program that wraps the sending."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

from ._response import ClientResponse

__all__ = ("UnopenedConnection",)


class UnopenedConnection:
    """What ``ClientRequest.send()`` gets in the place of a connection, which is not chosen yet.

    :param handler: sends the request that it is given; awaiting the call returns the response
    """

    __slots__ = ("handler",)

    def __init__(self, handler: Callable[[Any], Awaitable[ClientResponse]]) -> None:
        self.handler: Callable[[Any], Awaitable[ClientResponse]] = handler

    def __getattr__(self, name: str) -> NoReturn:
        # Not an AttributeError: getattr() with a default would pass over it, and a program that
        # looks at the connection may do so to judge it.
        raise RuntimeError(
            f"ClientRequest.send() gets no connection here, so that it has no {name!r}: "
            "give socket_factory or ssl to the connector, or override its _create_connection()"
        )
