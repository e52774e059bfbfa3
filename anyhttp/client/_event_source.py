"""Server-sent events over as many connections as it takes: what ``session.sse()`` returns."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import anyio
from multidict import CIMultiDict

from .. import hdrs
from .._common import (
    AsyncWithOnly,
    Backoff,
    check_callable,
    check_count,
    check_seconds,
    check_str,
    checked_size,
)
from .._event_stream import ServerSentEvent
from .._headers import header_pairs, parse_retry_after
from .._tasks import ClientTimeout, closable_scope
from ..client_exceptions import (
    CONNECTION_FAILURES,
    LASTING_FAILURES,
    BodyTooLargeError,
    ClientPayloadError,
    ClientResponseError,
)
from ..client_reqrep import ClientResponse, EventIterator, read_error_body
from ..http_exceptions import LineTooLong
from ..payload import Payload
from ._context_managers import RequestContextManager
from ._session_scope import SessionScope

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ("EventRequest", "EventSource")

logger: Final = logging.getLogger("anyhttp.client")

EVENT_STREAM: Final = "text/event-stream"

#: Statuses of a server that is busy, or is being replaced by another: they may pass.
PASSING_STATUSES: Final = frozenset({408, 429, 500, 502, 503, 504})

_PASSING: Final = (*CONNECTION_FAILURES, ClientPayloadError, TimeoutError)

#: Those of them that the next connection would meet again.
_LASTING: Final = (*LASTING_FAILURES, BodyTooLargeError, LineTooLong)

#: Longest id that is sent back, in bytes: what many servers accept as a header.
LONGEST_ID: Final = 4096


def _may_pass(error: Exception) -> bool:
    """Whether another connection may do better than the one that failed with *error*."""
    if isinstance(error, ClientResponseError):
        return error.status in PASSING_STATUSES
    return isinstance(error, _PASSING) and not isinstance(error, _LASTING)


def _is_sendable(event_id: str) -> bool:
    """Whether a header can carry *event_id*, which the server has chosen."""
    try:
        header_pairs("headers", {hdrs.LAST_EVENT_ID: event_id})
    except ValueError:
        return False
    return event_id.strip(" \t") == event_id and len(event_id.encode()) <= LONGEST_ID


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class EventRequest:
    """The requests of ``session.sse()``, and when they are made.

    :param shown_url: for the log
    :param given: options of each request, as the caller gives them
    :param body: what is sent with each request
    :param session_timeout: for requests without a timeout of their own
    :raises TypeError: an option has the wrong type
    :raises ValueError: an option has a value that is not allowed, or that only one request can have
    """

    shown_url: str
    given: Mapping[str, Any]
    body: Payload | None
    session_timeout: ClientTimeout
    last_event_id: str
    max_event_size: int
    attempts: int | None
    backoff: float
    max_backoff: float
    max_retry_after: float
    random: Callable[[], float]

    def __post_init__(self) -> None:
        check_str("last_event_id", self.last_event_id)
        if not _is_sendable(self.last_event_id):
            raise ValueError(
                f"last_event_id must be text that a header can carry, of at most {LONGEST_ID} bytes"
            )
        checked_size("max_event_size", self.max_event_size)
        check_count("attempts", self.attempts, least=1, optional=True)
        for name in ("backoff", "max_backoff", "max_retry_after"):
            check_seconds(name, getattr(self, name), optional=False, finite=True)
        check_callable("random", self.random)
        if self.body is not None and self.body.in_memory() is None:
            raise ValueError(
                "data must be in memory, as each connection sends it again: "
                "bytes, text, or a form without files"
            )
        if self.given.get("upload_tracker") is not None:
            raise ValueError("upload_tracker is for one request, and sse() makes several")
        header_pairs("headers", self.given.get("headers"))

    def options(self, last_event_id: str) -> dict[str, Any]:
        """Return the options of the next request."""
        headers = CIMultiDict(header_pairs("headers", self.given.get("headers")))
        headers.setdefault(hdrs.ACCEPT, EVENT_STREAM)
        headers.setdefault(hdrs.CACHE_CONTROL, "no-store")
        if last_event_id and _is_sendable(last_event_id):
            headers[hdrs.LAST_EVENT_ID] = last_event_id
        # The whole of a stream may take for ever, but none of its silences.
        limits = self.session_timeout
        silence = limits.sock_read or limits.total
        timeout = ClientTimeout(None, limits.connect, silence, limits.sock_connect)
        return {"timeout": timeout, **self.given, "headers": headers, "data": self.body}


class EventSource(AsyncWithOnly):
    """Iterates over the events of a server, and reconnects when the connection is lost.

    :meth:`ClientSession.sse` returns it: enter it by ``async with``, and iterate over it.  The
    first step connects.  A step that is cancelled loses no event: the next one goes on.  The
    iteration ends when the server says so, by the status 204.  It fails when another connection
    would not help; a step after that tries again.
    """

    def __init__(
        self,
        scope: SessionScope,
        connect: Callable[..., RequestContextManager],
        request: EventRequest,
    ) -> None:
        self._scope = scope
        self._connect = connect
        self._request = request
        self._backoff = Backoff(
            first=request.backoff, longest=request.max_backoff, random=request.random
        )
        self._last_event_id: str = request.last_event_id
        self._reconnection_time = 0.0  # what the server wants to pass, in seconds
        self._failures = 0  # in a row
        self._connect_at = -math.inf  # on anyio's clock, and so is the next
        self._connected_at = 0.0
        self._opening: anyio.CancelScope | None = None  # of a step that makes a connection
        self._is_entered = False
        self._is_busy = False
        self._is_over = False
        # The connection, if there is one; without events, a step was cancelled before it had them.
        self._manager: RequestContextManager | None = None
        self._response: ClientResponse | None = None
        self._events: EventIterator | None = None

    @property
    def last_event_id(self) -> str:
        """The last ``id`` of the server, which the next connection sends back."""
        return self._last_event_id if self._events is None else self._events.last_event_id

    @property
    def response(self) -> ClientResponse | None:
        """The response that is being read; ``None`` while there is no connection."""
        return self._response

    async def __aenter__(self) -> Self:
        self._is_entered = True
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_entered = False
        if self._opening is not None:
            self._opening.cancel()
        await self._disconnect(exc)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ServerSentEvent:
        """Return the next event; connect and wait as long as it takes.

        :raises ClientResponseError: the server refuses
        :raises ContentTypeError: what the server sends are no events
        :raises LineTooLong: an event is too large
        :raises ClientError: connections failed, too often or in a way that does not pass
        :raises TimeoutError: so did a limit of the timeout
        :raises RuntimeError: the block has not been entered, or has been left; or another task
            waits for an event
        """
        if self._is_busy:
            raise RuntimeError("another task is waiting for an event of this source")
        self._is_busy = True
        try:
            while not self._is_over:
                if not self._is_entered:  # or not any more: another task may have left the block
                    await self._disconnect()
                    raise RuntimeError("use 'async with' around the iteration over the events")
                if self._events is None:
                    await self._open()
                elif (event := await self._next(self._events)) is not None:
                    return event
        finally:
            self._is_busy = False
        raise StopAsyncIteration

    async def _next(self, events: EventIterator) -> ServerSentEvent | None:
        """Return the next event of the connection; ``None`` if it is over, and another follows."""
        try:
            event = await anext(events)
        except StopAsyncIteration:
            self._failures = 0
            self._wait_for(0.0, "the stream has ended")
        except Exception as exc:
            if anyio.current_time() - self._connected_at >= self._request.max_backoff:
                self._failures = 0
            if not self._goes_on_after(exc):
                await self._disconnect(exc)
                raise
        else:
            self._failures = 0
            return event
        await self._disconnect()
        return None

    async def _open(self) -> None:
        """Try to open a stream, unless another task leaves the block."""
        with closable_scope() as self._opening:
            try:
                await self._try_to_open()
            finally:
                self._opening = None

    async def _try_to_open(self) -> None:
        """Try to open a stream; if that fails in a way that may pass, the next try waits."""
        await self._disconnect()
        with self._scope.waits.leaving():  # if the session is closed, connecting raises that
            await anyio.sleep_until(self._connect_at)
        try:
            manager = self._connect(**self._request.options(self._last_event_id))
            response = await manager.__aenter__()
            self._manager, self._response = manager, response
            if response.status == 204:
                self._is_over = True
                return
            self._events = await self._events_of(response)
            self._connected_at = anyio.current_time()
        except Exception as exc:
            if not self._goes_on_after(exc):
                await self._disconnect(exc)
                raise

    async def _events_of(self, response: ClientResponse) -> EventIterator:
        """Return the events of *response*.

        :raises ClientResponseError: it has another status, or another media type
        """
        if not response.ok:
            await read_error_body(response, math.inf)
            response.raise_for_status()
        if response.status != 200:
            raise ClientResponseError(
                response.request_info,
                response.history,
                status=response.status,
                message=f"{response.reason}, instead of events",
                headers=response.headers,
            )
        return response.events(
            max_event_size=self._request.max_event_size, last_event_id=self._last_event_id
        )

    async def _disconnect(self, error: BaseException | None = None) -> None:
        """Give the connection back, if there is one; *error* is that of the block, if any."""
        self._take_over()
        self._events = self._response = None
        manager, self._manager = self._manager, None
        if manager is not None:
            traceback = None if error is None else error.__traceback__
            await manager.__aexit__(None if error is None else type(error), error, traceback)

    def _take_over(self) -> None:
        """Take from the connection what the next one needs to know."""
        events = self._events
        if events is not None:
            self._last_event_id = events.last_event_id
            if events.reconnection_time is not None:
                self._reconnection_time = events.reconnection_time / 1000

    # -- when to connect again

    def _goes_on_after(self, error: Exception) -> bool:
        """Whether another connection is tried after *error*; if so, it waits."""
        if not _may_pass(error):
            return False
        self._failures += 1
        if self._failures == self._request.attempts:
            error.add_note(f"{self._failures} connections in a row have failed: sse() gives up")
            self._failures = 0
            return False
        asked = None
        if isinstance(error, ClientResponseError) and error.headers is not None:
            asked = parse_retry_after(error.headers, time.time())
        self._wait_for(asked or 0.0, type(error).__name__)
        return True

    def _wait_for(self, asked: float, reason: str) -> None:
        """Let the next connection wait.

        :param asked: for how many seconds the server has asked just now
        :param reason: why there is a next one, for the log
        """
        self._take_over()
        asked = min(max(asked, self._reconnection_time), self._request.max_retry_after)
        delay = asked + self._backoff.delay(max(self._failures, 1))
        self._connect_at = anyio.current_time() + delay
        logger.debug("connecting to %s again in %.3f s: %s", self._request.shown_url, delay, reason)
