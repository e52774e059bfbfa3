"""What a verb returns: a request that has not begun, to be awaited or entered."""

from __future__ import annotations

import math
from collections.abc import Coroutine, Generator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .._common import AsyncWithOnly
from ..client_reqrep import ClientResponse
from ._call import Call

if TYPE_CHECKING:
    from types import TracebackType

__all__ = (
    "AwaitableOrEntered",
    "RequestContextManager",
    "deadline_of",
    "missing_attribute",
    "refused",
)

T = TypeVar("T")


def missing_attribute(manager: object, name: str) -> AttributeError:
    """Return the error for *name*, which what *manager* stands for may have, and it has not."""
    return AttributeError(
        f"{type(manager).__name__} has no {name!r}: await it, or use 'async with', first",
        name=name,
        obj=manager,
    )


class AwaitableOrEntered(AsyncWithOnly, Coroutine[Any, Any, T], Generic[T]):
    """A coroutine that can be entered with ``async with``, too."""

    __slots__ = ()

    _coroutine: Coroutine[Any, Any, T]

    def send(self, value: Any) -> Any:
        """Be a coroutine."""
        return self._coroutine.send(value)

    def throw(self, *args: Any) -> Any:
        """Be a coroutine."""
        return self._coroutine.throw(*args)

    def close(self) -> None:
        """Be a coroutine."""
        self._coroutine.close()

    def __await__(self) -> Generator[Any, None, T]:
        return self._coroutine.__await__()

    if not TYPE_CHECKING:  # it would make each name an attribute for a type checker

        def __getattr__(self, name):
            raise missing_attribute(self, name)


class RequestContextManager(AwaitableOrEntered[ClientResponse]):
    """A request that has not begun: await it, or enter it with ``async with``.

    Awaiting returns a response that the caller releases; ``async with`` releases it at the
    end of the block.
    """

    _response: ClientResponse | None = None

    def __init__(
        self, coroutine: Coroutine[Any, Any, ClientResponse], call: Call | None = None
    ) -> None:
        self._coroutine = coroutine
        self._call = call  # None if the coroutine is not that of Call.run()

    @property
    def _resp(self) -> ClientResponse | None:
        """The response, in the block of ``async with``; the tests of vcrpy look at it."""
        return self._response if self._call is None else self._call.entered

    # These return coroutines instead of being "async def".  A coroutine that only awaits another
    # would cost time at each step of the task.

    def _begin(self) -> Coroutine[Any, Any, ClientResponse]:
        call = self._call
        if call is None:
            return self._enter()
        call.in_block = True
        return self._coroutine

    async def _enter(self) -> ClientResponse:
        self._response = await self._coroutine
        return await self._response.__aenter__()

    def _end(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> Coroutine[Any, Any, None]:
        call = self._call
        if call is None:
            response, self._response = self._response, None
        else:
            response, call.entered = call.entered, None
        assert response is not None
        leaving = response.__aexit__(exc_type, exc, traceback)
        return leaving if call is None or call.scope.owner is None else _leave(leaving, call, exc)

    if TYPE_CHECKING:  # pyright accepts only "async def" methods in an AsyncExitStack

        async def __aenter__(self) -> ClientResponse:
            raise NotImplementedError

        async def __aexit__(
            self,
            exc_type: type[BaseException] | None,
            exc: BaseException | None,
            traceback: TracebackType | None,
        ) -> None:
            raise NotImplementedError

    else:
        __aenter__ = _begin
        __aexit__ = _end


async def _leave(
    leaving: Coroutine[Any, Any, None], call: Call, raised: BaseException | None
) -> None:
    """Leave the response, and then end the helper tasks of the call."""
    try:
        await leaving
    finally:
        await call.scope.end_tasks(raised)


def deadline_of(request: object) -> float:
    """Return when the ``total`` time of *request*, which a verb has returned, is over.

    It is on anyio's clock, and never for what a subclass returns.
    """
    call = request._call if isinstance(request, RequestContextManager) else None
    return math.inf if call is None else call.scope.total_at


async def refused(error: Exception) -> ClientResponse:
    """Stand for a request that cannot be made: raise *error* where it is awaited."""
    try:
        raise error
    finally:
        del error  # its traceback refers to this frame, so the two would be a reference cycle


# Python's warning about a request that is never awaited shows this name.
Call.run.__qualname__ = refused.__qualname__ = "ClientSession.request"
