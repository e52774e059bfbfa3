"""The state of a WebSocket, and its end: only this module closes the connection."""

from __future__ import annotations

import enum
from collections.abc import Callable

import anyio
from anyio.lowlevel import checkpoint

from .models import WSCloseCode, WSMessage

__all__ = ("Lifecycle", "WSState")


class WSState(enum.Enum):
    """State of one WebSocket; the values say what each means."""

    OPEN = "messages go both ways"
    PEER_CLOSED = "the peer's CLOSE was received, and the application has to answer it"
    CLOSING = "our CLOSE is being sent, or was sent and the peer's is awaited"
    DRAINING = "the connection is closed, but messages that came before can still be received"
    CLOSED = "the connection is closed, and there is nothing left to receive"

    #: the states that can follow; a tuple, as searching it is faster than hashing an enum member
    moves: tuple[WSState, ...]
    #: whether messages can be sent
    can_send: bool
    #: whether messages can be received
    can_receive: bool
    #: whether the connection is still held
    connected: bool


WSState.OPEN.moves = (WSState.PEER_CLOSED, WSState.CLOSING, WSState.DRAINING, WSState.CLOSED)
WSState.PEER_CLOSED.moves = (WSState.CLOSING, WSState.CLOSED)
WSState.CLOSING.moves = (WSState.CLOSED,)
WSState.DRAINING.moves = (WSState.CLOSED,)
WSState.CLOSED.moves = ()

for _state in WSState:
    _state.can_send = _state in {WSState.OPEN, WSState.PEER_CLOSED}
    _state.can_receive = _state in {WSState.OPEN, WSState.DRAINING}
    _state.connected = _state not in {WSState.DRAINING, WSState.CLOSED}


class Lifecycle:
    """Holds the state of a WebSocket, and closes its connection.

    :param close_connection: called once, when the connection is to be closed
    :param ready: messages that can be received at once; cleared when none can be received any more
    """

    __slots__ = ("_close_connection", "_over", "_ready", "close_code", "exception", "on_end",
                 "state")  # fmt: skip

    def __init__(self, close_connection: Callable[[], None], ready: list[WSMessage]) -> None:
        self._close_connection: Callable[[], None] | None = close_connection
        self._ready = ready
        self.state: WSState = WSState.OPEN
        #: the peer's close code, or ours; ``None`` until it is known
        self.close_code: int | None = None
        #: the exception that broke the connection
        self.exception: BaseException | None = None
        #: called once, after the connection was closed
        self.on_end: Callable[[], None] | None = None
        # Set when the connection is closed; made by a task that waits for that.
        self._over: anyio.Event | None = None

    def move(self, to: WSState) -> None:
        """Enter another state.

        :raises RuntimeError: that state cannot follow this one
        """
        if to not in self.state.moves:
            raise RuntimeError(f"a WebSocket cannot go from {self.state.name} to {to.name}")
        self.state = to
        if not to.can_receive:
            self._ready.clear()

    def end(
        self, code: int = WSCloseCode.ABNORMAL_CLOSURE, error: BaseException | None = None
    ) -> None:
        """Close the connection at once, unless it is closed, and wake the tasks that wait.

        If an open WebSocket fails, the messages that were received before can still be returned.

        :param code: the new :attr:`close_code`; 1006 (:rfc:`6455#section-7.1.5`) if the connection
            ended without a close code
        :param error: the exception that broke the connection; ``None`` if we close it
        """
        if self.state.connected:
            failed = self.state is WSState.OPEN and error is not None
            self.move(WSState.DRAINING if failed else WSState.CLOSED)
            self.close_code = code
            self.exception = error
            self._release()
        elif code != WSCloseCode.ABNORMAL_CLOSURE:
            # A code that was sent or received replaces 1006, which only says that the connection
            # has ended.
            self.drained()
            self.close_code = code
            self.exception = error or self.exception

    def drained(self) -> None:
        """If the connection is closed, note that no message is left to receive."""
        if self.state is WSState.DRAINING:
            self.move(WSState.CLOSED)

    def _release(self) -> None:
        # Drop the callbacks first: their objects may refer to this one, in a reference cycle.
        close, self._close_connection = self._close_connection, None
        on_end, self.on_end = self.on_end, None
        assert close is not None
        close()
        if on_end is not None:
            on_end()
        if self._over is not None:
            self._over.set()

    async def wait_over(self) -> None:
        """Wait until the connection is closed."""
        if not self.state.connected:
            await checkpoint()
            return
        self._over = self._over or anyio.Event()
        await self._over.wait()
