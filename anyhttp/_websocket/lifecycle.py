"""The state of a WebSocket, and the one place where it is decided that it is over."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Final

import anyio

from .models import WSCloseCode

__all__ = ("Lifecycle", "WSState")


class WSState(enum.Enum):
    """State of one WebSocket; the values say what each means."""

    OPEN = "messages go both ways"
    PEER_CLOSED = "the peer's CLOSE was received, and the application has to answer it"
    CLOSING = "our CLOSE is being sent, or was sent and the peer's is awaited"
    DRAINING = "the connection is closed, but messages that came before can still be received"
    CLOSED = "the connection is closed, and there is nothing left to receive"

    #: the states that can follow; tuples, as an enum's hash would cost more than the search
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
    """Knows the state of a WebSocket, and closes its connection.

    :param close_connection: called once, when the connection is to be closed
    """

    __slots__ = ("_close_connection", "close_code", "exception", "on_end", "over", "state")

    def __init__(self, close_connection: Callable[[], None]) -> None:
        self._close_connection: Callable[[], None] | None = close_connection
        self.state: WSState = WSState.OPEN
        #: the peer's code, or ours; ``None`` until it is known
        self.close_code: int | None = None
        #: what broke the connection
        self.exception: BaseException | None = None
        #: called once, after the connection was closed
        self.on_end: Callable[[], None] | None = None
        #: set when the connection is closed
        self.over: Final = anyio.Event()

    def move(self, to: WSState) -> None:
        """Enter another state.

        :raises RuntimeError: that state cannot follow this one
        """
        if to not in self.state.moves:
            raise RuntimeError(f"a WebSocket cannot go from {self.state.name} to {to.name}")
        self.state = to

    def end(
        self, code: int = WSCloseCode.ABNORMAL_CLOSURE, error: BaseException | None = None
    ) -> None:
        """Close the connection at once, if that has not happened, and wake whoever waits.

        When an open WebSocket fails, the messages that came before can still be received.

        :param code: what :attr:`close_code` becomes; 1006 (:rfc:`6455#section-7.1.5`) where the
            connection ended without one
        :param error: what broke the connection; ``None`` if we close it
        """
        if self.state.connected:
            failed = self.state is WSState.OPEN and error is not None
            self.move(WSState.DRAINING if failed else WSState.CLOSED)
            self.close_code = code
            self.exception = error
            self._release()
        elif code != WSCloseCode.ABNORMAL_CLOSURE:
            # A code that was sent or received tells more than how the connection ended.
            self.drained()
            self.close_code = code
            self.exception = error or self.exception

    def drained(self) -> None:
        """Note that nothing is left to receive, if the connection is closed."""
        if self.state is WSState.DRAINING:
            self.move(WSState.CLOSED)

    def _release(self) -> None:
        # Nothing is held any longer than it is needed: whoever calls us on_end may hold us.
        close, self._close_connection = self._close_connection, None
        on_end, self.on_end = self.on_end, None
        assert close is not None
        close()
        if on_end is not None:
            on_end()
        self.over.set()
