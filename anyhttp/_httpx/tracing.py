"""The extension ``trace``: a callback of the request is told of each step, as httpcore does it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

from .._network import NetworkStream
from ..connector import TlsDone, TlsStarting
from ..tracing import (
    Trace,
    TraceConfig,
    TraceConnectionCreateStartParams,
    TraceParams,
)
from .library import Library
from .network_stream import TransportStream

__all__ = ("ConnectionTrace", "Step", "TraceCallback")

#: Called with the name of an event, such as ``"http11.send_request_body.complete"``, and details.
TraceCallback = Callable[[str, dict[str, Any]], Awaitable[object]]


class Step:
    """One step of a request; a context manager that tells of its beginning and its end."""

    def __init__(
        self, callback: TraceCallback | None, name: str, details: dict[str, Any] | None = None
    ) -> None:
        self._callback = callback
        self._name = name
        self._details: dict[str, Any] = {} if details is None else details
        #: what the step has returned
        self.result: object = None

    async def __aenter__(self) -> Self:
        if self._callback is not None:
            await self._callback(f"{self._name}.started", self._details)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._callback is None or isinstance(exc, GeneratorExit):
            return  # a coroutine that is being closed cannot await the callback
        if exc is None:
            await self._callback(f"{self._name}.complete", {"return_value": self.result})
        else:
            await self._callback(f"{self._name}.failed", {"exception": exc})


class ConnectionTrace(Trace):
    """Tells the callback of a request how its connection is made.

    :param details: of the first step
    :param tls: details of the second step
    """

    def __init__(
        self,
        callback: TraceCallback,
        library: Library,
        name: str,
        details: dict[str, Any],
        tls: dict[str, Any],
    ) -> None:
        super().__init__(None, TraceConfig(), None)
        self._callback = callback
        self._library = library
        self._step = Step(callback, f"connection.{name}", details)
        self._tls = Step(callback, "connection.start_tls", tls)
        self._present: Step | None = None

    async def send(self, params: TraceParams) -> None:
        """Tell the callback of what *params* are about."""
        if isinstance(params, TraceConnectionCreateStartParams):
            await self._begin(self._step)
        elif isinstance(params, TlsStarting):
            await self.complete(params.stream)
            await self._begin(self._tls)
        elif isinstance(params, TlsDone):
            await self.complete(params.stream)

    async def complete(self, stream: NetworkStream) -> None:
        """Tell the callback that the present step has succeeded, if there is one."""
        present, self._present = self._present, None
        if present is not None:
            present.result = TransportStream(self._library, stream)
            await present.__aexit__(None, None, None)

    async def fail(self, error: BaseException) -> None:
        """Tell the callback that the present step has failed, if there is one."""
        present, self._present = self._present, None
        if present is not None:
            await present.__aexit__(type(error), error, None)

    async def _begin(self, step: Step) -> None:
        self._present = step
        await step.__aenter__()
