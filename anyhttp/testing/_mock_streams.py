"""The client's end of a connection to a mock.

An answer that is known when the connection is made needs no task: its stream reads what the client
sends, and has the answer ready when the client receives.  Answers that run code of the program need
one, which serves the other end of a connection in memory.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Final

import anyio
from anyio.lowlevel import checkpoint

from .._tasks import (
    ClientTimeout,
    Expired,
    TimedStream,
    Waiter,
    asyncio_loop,
    checkpoints,
    current_loop,
    make_waiter,
    wake,
)
from ._answers import Answer, Step
from ._faults import Fault, FaultKind
from ._http1_server import Http1Server, RequestHead
from ._memory import MemoryStream, memory_connection
from ._requests import ReceivedRequest

__all__ = ("CannedStream", "ScriptedStream")

#: What the client's end of every connection in memory tells of itself.
_ATTRIBUTES: Final = memory_connection()[0].extra_attributes


class _MockStream(TimedStream):
    """What both kinds of streams have in common.

    As a :class:`TimedStream` it needs no cancel scope for each wait, which would cost more than all
    that is done here.
    """

    for_one_exchange: ClassVar[bool] = True
    _raw_socket: ClassVar[Any] = None

    def __init__(self) -> None:
        super().__init__()
        loop = asyncio_loop()
        self._loop: object = current_loop() if loop is None else loop
        functions = checkpoints(loop)
        self._checkpoint = functions.checkpoint
        self.checkpoint_if_cancelled = functions.checkpoint_if_cancelled
        #: what has to come out of the request as it is
        self.failure: BaseException | None = None
        self._end: BaseException | None = None  # what the answer ends with
        self._is_receiving = False
        self._reader: Waiter | None = None
        self._is_interrupted = False
        self._is_closed = False

    @property
    def loop(self) -> object:
        return self._loop

    @property
    def is_gone(self) -> bool:
        return self._is_closed

    def has_unread(self) -> bool:
        return True  # as it serves no other exchange

    @property
    def has_unsent(self) -> bool:
        return False

    def leave_to_parent(self) -> None:
        self._is_closed = True

    # -- receiving

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Return bytes of the answer as soon as there are some.

        :raises anyio.EndOfStream: the answer is over
        :raises anyio.ClosedResourceError: the stream is closed
        :raises Expired: the deadline has passed
        :raises Exception: what the answer says
        """
        if self._is_receiving:
            raise anyio.BusyResourceError("receiving from")
        self._is_receiving = self.has_waited = True
        try:
            self._check_deadline()
            await self._checkpoint()
            while not self._is_closed:
                if self._is_interrupted:
                    raise Expired
                data = await self._receive(max_bytes)
                if data is not None:
                    return data
        finally:
            self._is_receiving = self._is_interrupted = False
        raise anyio.ClosedResourceError

    @abstractmethod
    async def _receive(self, max_bytes: int) -> bytes | None:
        """Return bytes, or ``None`` after a wait, or a step."""

    def _check_deadline(self) -> None:
        if self.expired or (
            not self.watched and self.deadline != math.inf and anyio.current_time() >= self.deadline
        ):
            raise Expired

    async def _wait(self, waiter: Waiter, until: float = math.inf) -> None:
        """Wait until something has happened, or until a moment.

        :raises Expired: the deadline has passed
        """
        self._reader = waiter
        end = until if self.watched else min(until, self.deadline)
        try:
            if end == math.inf:
                await waiter
            else:
                with anyio.CancelScope(deadline=end):
                    await waiter
        finally:
            self._reader = None
        self._check_deadline()

    def _wake_reader(self) -> None:
        if self._reader is not None:
            wake(self._reader)

    def expire(self) -> None:
        self.expired = True
        self._wake_reader()

    def interrupt(self) -> None:
        if self._is_receiving:
            self._is_interrupted = True
            self._wake_reader()


class CannedStream(_MockStream):
    """Answers one request, without a task.

    :param request: gets what is sent
    :param timeout: the limits of the request
    :param on_head: called when the head has been received
    """

    def __init__(
        self,
        request: ReceivedRequest,
        answer: Answer,
        timeout: ClientTimeout,
        on_head: Callable[[], object],
    ) -> None:
        super().__init__()
        self._request = request
        self._answer = answer
        self._timeout = timeout
        self._on_head = on_head
        self._protocol = Http1Server()
        self._body: list[bytes] = []
        self._ready: deque[bytes] = deque()
        self._steps: Iterator[Step] | None = None  # from when the answer has begun
        self._goes_on_at = -math.inf  # on anyio's clock

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        return _ATTRIBUTES

    # -- the request

    def send_nowait(self, item: bytes | memoryview) -> bool:
        """Take bytes of the request.

        :raises anyio.BrokenResourceError: the answer has broken the connection
        :raises MalformedRequest: the client sent what is no request
        """
        if self._is_closed:
            raise anyio.ClosedResourceError
        if self.expired:
            raise Expired
        if self._end is not None:
            raise anyio.BrokenResourceError from self._end
        protocol = self._protocol
        protocol.receive_data(bytes(item))
        while (event := protocol.next_event()) is not None:
            if isinstance(event, bytes):
                self._body.append(event)
            elif isinstance(event, RequestHead):
                self._receive_head(event)
            else:
                self._request.receive_body(b"".join(self._body))
                self._begin()
        return True

    async def drain(self) -> None:
        await checkpoint()  # nothing is ever left unsent

    def _receive_head(self, head: RequestHead) -> None:
        protocol = self._protocol
        self._request.receive_head(head.headers)
        self._on_head()
        if protocol.expects_continue:
            if self._answer.status >= 400:
                # Refused without its body, which the client has not sent and need not send.
                self._request.receive_body(b"")
                self._begin()
            else:
                self._ready.append(protocol.go_on())
                self._wake_reader()

    def _begin(self) -> None:
        """Begin to answer."""
        if self._steps is None:
            self._steps = self._answer.steps(self._protocol)
            self._wake_reader()

    # -- the answer

    async def _receive(self, max_bytes: int) -> bytes | None:
        if self._ready:
            return self._take(max_bytes)
        if self._end is not None:
            raise self._end
        if self._steps is None:
            await self._wait(make_waiter())
        elif self._goes_on_at > 0 and anyio.current_time() < self._goes_on_at:
            await self._wait(make_waiter(), self._goes_on_at)
        else:
            self._take_step(self._steps)
            if self._ready:
                return self._take(max_bytes)
        return None

    def _take(self, max_bytes: int) -> bytes:
        piece = self._ready.popleft()
        if len(piece) > max_bytes:
            self._ready.appendleft(piece[max_bytes:])
            piece = piece[:max_bytes]
        return piece

    def _take_step(self, steps: Iterator[Step]) -> None:
        step = next(steps, None)
        if step is None:
            self._end = anyio.EndOfStream()
        elif isinstance(step, bytes):
            if step:
                self._ready.append(step)
        elif isinstance(step, Fault):
            if step.kind is FaultKind.STALL:
                self._goes_on_at = math.inf
            else:
                self._end = step.in_exchange(self._timeout)
                if self._end is step.error:
                    self.failure = self._end
        else:
            self._goes_on_at = anyio.current_time() + step

    # -- the end

    async def send_eof(self) -> None:
        await checkpoint()

    def abort(self) -> None:
        """Close at once; a task that receives gets :exc:`anyio.ClosedResourceError`."""
        self._is_closed = True
        self._wake_reader()

    async def aclose(self) -> None:
        self.abort()
        await checkpoint()


class ScriptedStream(_MockStream):
    """Leads to a task that answers.

    :param stream: the client's end of a connection in memory
    :param is_websocket: raise the failure where the client sends, too.  What is received would tell
        of it, but a client of a WebSocket need not receive any more
    """

    def __init__(self, stream: MemoryStream, *, is_websocket: bool) -> None:
        super().__init__()
        self._stream = stream
        self._is_websocket = is_websocket
        #: called when the client closes the connection
        self.on_close: Callable[[], object] | None = None
        #: whether the client has been told of the failure
        self.has_raised: bool = False

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        return self._stream.extra_attributes

    def fail(self, failure: BaseException) -> None:
        """Raise *failure* where the client receives, after what has been sent to it.

        It comes out of the request as it is.
        """
        self._end = self.failure = failure

    def inflict(self, fault: Fault, timeout: ClientTimeout) -> None:
        """Let *fault* happen where the client receives, after what has been sent to it.

        :param timeout: the limits of the request
        """
        self._end = fault.in_exchange(timeout)
        if self._end is fault.error:
            self.failure = self._end

    def send_nowait(self, item: bytes | memoryview) -> bool:
        if self.expired:
            raise Expired
        try:
            return self._stream.send_nowait(item)
        except anyio.BrokenResourceError:
            failure = self.failure
            if failure is None or self.has_raised or not self._is_websocket:
                raise
        self.has_raised = True
        raise failure

    async def drain(self) -> None:
        with anyio.CancelScope(deadline=self.deadline):
            await self._stream.drain()
            return
        raise Expired

    async def _receive(self, max_bytes: int) -> bytes | None:
        stream = self._stream
        end: BaseException | None = None
        data: bytes | None = None
        try:
            data = stream.receive_nowait(max_bytes)
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            end = self._end
            if end is None:
                raise
        if end is not None:  # raised here, so that it gets no other context
            self.has_raised = True
            raise end
        if data is None:
            waiter = make_waiter()
            stream.wake_reader(waiter)
            try:
                await self._wait(waiter)
            finally:
                stream.wake_reader(None)
        return data

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    def abort(self) -> None:
        """Close at once; the task that answers gets to know it."""
        self._is_closed = True
        self._stream.abort()
        self._wake_reader()
        on_close, self.on_close = self.on_close, None
        if on_close is not None:
            on_close()

    async def aclose(self) -> None:
        self.abort()
        await checkpoint()
