"""The call that a request belongs to, while the request goes through middlewares."""

from __future__ import annotations

from typing import Protocol

from .._targets import Origin
from .._tasks import PendingWaits
from ._client_request import ClientRequest
from ._response import ClientResponse

__all__ = ("RunningCall", "call_of", "set_call")


class RunningCall(Protocol):
    """What a middleware of this package can do with the call that runs it."""

    @property
    def phase(self) -> str:
        """What the call is doing, for the message of a timeout."""
        ...

    @phase.setter
    def phase(self, phase: str, /) -> None: ...

    @property
    def total_at(self) -> float:
        """When the ``total`` time is over, on anyio's clock."""
        ...

    @property
    def sent(self) -> int:
        """How many requests middlewares have sent for the call."""
        ...

    @property
    def base_origin(self) -> Origin | None:
        """The origin of the ``base_url`` of the session, if it has one."""
        ...

    @property
    def waits(self) -> PendingWaits:
        """The waits that are ended when the session is closed."""
        ...

    def timed_out(self) -> TimeoutError:
        """Return the error for the caller when the ``total`` time is over."""
        ...

    async def tell_of_retry(
        self,
        request: ClientRequest,
        attempt: int,
        delay: float,
        response: ClientResponse | None,
        exception: BaseException | None,
    ) -> None:
        """Tell trace handlers and the log that *request* will be sent again."""

    async def give_back(self) -> None:
        """Give back the connections of the responses so far."""
        ...

    def take_stale(self, error: BaseException) -> bool:
        """Whether the call would begin anew because of *error*; it will not if this is true."""
        ...


def call_of(request: ClientRequest) -> RunningCall | None:
    """Return the call that *request* belongs to; ``None`` if it is in no middleware."""
    call: RunningCall | None = request._call
    return call


def set_call(request: ClientRequest, call: RunningCall | None) -> None:
    """Set the call of *request*; ``None`` when the middlewares have answered.

    An exchange refers to its request, and a call to its exchanges.  If requests went on referring
    to their calls, only the garbage collector could free a response that a program forgets.
    """
    request._call = call
