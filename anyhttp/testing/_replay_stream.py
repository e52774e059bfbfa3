"""The client's end of a connection that is answered from a cassette."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, ClassVar, Final, Protocol

import anyio
from anyio.abc import ByteStream
from anyio.lowlevel import checkpoint, checkpoint_if_cancelled

from .._tasks import Waiter, make_waiter, wake
from ._cassette import Cassette
from ._har import CassetteError, HarEntry, RecordedRequest
from ._http1_server import Http1Server, MalformedRequest, RequestHead
from ._memory import broken_by
from ._observed import ObservedStream
from ._replay import response_bytes

__all__ = ("Player", "ReplayStream")

#: Most bytes that are received at once, as from a socket.
_PIECE: Final = 64 * 1024


class Player(Protocol):
    """What a stream asks for the answer to its request."""

    @property
    def cassette(self) -> Cassette: ...

    def request(self, head: RequestHead, body: bytes) -> RecordedRequest:
        """Return the request without secrets, to be compared with those of the cassette."""
        ...

    def refuse(self, request: RecordedRequest) -> Exception:
        """Return the error for a request that nothing answers."""
        ...

    def connect(self) -> Awaitable[ObservedStream]:
        """Make a connection for a request that has no entry."""
        ...


class ReplayStream(ByteStream):
    """Answers one request from a cassette.

    The answer is there when all of the request has been sent, or at once if it was so when it was
    recorded.  If the cassette has none after all, because another request has used it up or the
    body is another one, the request goes to the network, where that is allowed.
    """

    for_one_exchange: ClassVar[bool] = True

    def __init__(self, player: Player) -> None:
        self._player = player
        self._server = Http1Server()
        self._head: RequestHead | None = None
        self._body: list[bytes] = []
        self._is_answered = False
        self._ready: deque[bytes] = deque()
        # What receive() raises when nothing is ready any more.
        self._failure: Exception | None = None
        self._sent: list[bytes] = []
        self._real: ObservedStream | None = None
        self._reader: Waiter | None = None
        self._is_closed = False

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        return {} if self._real is None else self._real.extra_attributes

    async def send(self, item: bytes) -> None:
        """Take bytes of the request; errors come out of :meth:`receive`, as they are its answer."""
        await checkpoint_if_cancelled()
        if self._is_closed:
            raise anyio.ClosedResourceError
        if self._real is not None:
            await self._real.send(item)
            return
        if not self._is_answered:
            self._sent.append(bytes(item))
        self._server.receive_data(item)
        try:
            for request in self._requests():
                await self._find_answer(request)
        except MalformedRequest as exc:
            self._fail(exc)

    def _requests(self) -> Iterable[RecordedRequest]:
        """Read what has been sent; yield the request when all of it has."""
        while (event := self._server.next_event()) is not None:
            if isinstance(event, bytes):
                self._body.append(event)
            elif isinstance(event, RequestHead):
                self._head = event
                self._begin(event)
            elif not self._is_answered:
                assert self._head is not None  # the end comes after it
                yield self._player.request(self._head, b"".join(self._body))

    def _begin(self, head: RequestHead) -> None:
        """Answer a request before its body if that was so when it was recorded."""
        player = self._player
        request = player.request(head, b"")
        candidates = player.cassette.candidates(request)
        if candidates and candidates[0].response is not None and candidates[0].response.is_early:
            entry = player.cassette.take(request, with_body=False)
            assert entry is not None  # one of the candidates
            self._answer(entry, head.method)
        elif self._server.expects_continue:
            self._ready.append(self._server.go_on())
            self._wake_reader()

    async def _find_answer(self, request: RecordedRequest) -> None:
        player = self._player
        entry = player.cassette.take(request)
        if entry is not None:
            self._answer(entry, request.method)
        elif not player.cassette.records:
            self._fail(player.refuse(request))
        else:
            await self._go_on_for_real()

    def _answer(self, entry: HarEntry, method: str) -> None:
        self._is_answered = True
        self._sent = []
        response = entry.response
        assert response is not None  # else it could not be replayed
        try:
            data = response_bytes(response, method)
        except ValueError as exc:
            path = self._player.cassette.path
            self._fail(CassetteError(path, str(exc), entry=entry.name))
            return
        self._ready += [data[start : start + _PIECE] for start in range(0, len(data), _PIECE)]
        self._fail(broken_by(ConnectionResetError) if response.is_cut else anyio.EndOfStream())

    def _fail(self, failure: Exception) -> None:
        self._failure = failure
        self._wake_reader()

    async def _go_on_for_real(self) -> None:
        try:
            real = await self._player.connect()
        except Exception as exc:  # noqa: BLE001  (raised by receive())
            self._fail(exc)
            return
        if self._is_closed:
            await real.aclose()
            raise anyio.ClosedResourceError
        self._real = real
        sent, self._sent = self._sent, []
        self._wake_reader()
        await real.send(b"".join(sent))

    def _wake_reader(self) -> None:
        if self._reader is not None:
            wake(self._reader)

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Return bytes of the answer as soon as there are some.

        :raises UnrecordedRequest: the cassette has no answer
        :raises CassetteError: the answer cannot be replayed
        :raises anyio.EndOfStream: the answer is over
        :raises anyio.BrokenResourceError: the answer was cut when it was recorded
        :raises anyio.ClosedResourceError: the stream is closed
        """
        await checkpoint()
        while not self._is_closed:
            if self._ready:
                data = self._ready.popleft()
                if len(data) > max_bytes:
                    self._ready.appendleft(data[max_bytes:])
                return data[:max_bytes]
            if self._real is not None:
                return await self._real.receive(max_bytes)
            if self._failure is not None:
                raise self._failure
            self._reader = waiter = make_waiter()
            try:
                await waiter
            finally:
                self._reader = None
        raise anyio.ClosedResourceError

    async def send_eof(self) -> None:
        await checkpoint()

    def abort(self) -> None:
        """Close at once; a task that receives gets :exc:`anyio.ClosedResourceError`."""
        self._is_closed = True
        self._wake_reader()
        if self._real is not None:
            self._real.abort()

    async def aclose(self) -> None:
        self.abort()
        if self._real is not None:
            await self._real.aclose()
        else:
            await checkpoint()
