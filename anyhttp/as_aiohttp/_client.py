"""Names of ``aiohttp.client`` that only other modules of aiohttp use, such as its test client."""

from __future__ import annotations

from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, TypeVar

from ..client import AwaitableOrEntered

__all__ = ("_BaseRequestContextManager", "_WSRequestContextManager")

T = TypeVar("T", bound=AbstractAsyncContextManager[Any])


class EnteredWhenAwaited(AwaitableOrEntered[T]):
    """What a coroutine returns, to be awaited or entered.

    :param coroutine: returns a response or a WebSocket
    """

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._coroutine = coroutine

    async def __aenter__(self) -> T:
        self._entered: T = await self._coroutine
        await self._entered.__aenter__()
        return self._entered

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._entered.__aexit__(exc_type, exc, traceback)


_BaseRequestContextManager = EnteredWhenAwaited
_WSRequestContextManager = EnteredWhenAwaited
