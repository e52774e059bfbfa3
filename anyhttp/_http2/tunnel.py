"""The bytes of another protocol on one stream of HTTP/2, such as those of a WebSocket.

:rfc:`8441`, :rfc:`9113#section-8.5`
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from .._http1 import ParseError
from ..client_exceptions import ClientConnectionError, ClientConnectionResetError, ClientOSError

if TYPE_CHECKING:
    from .._http1 import ExchangeStream
    from .state import StreamState

__all__ = ("Http2Tunnel",)

#: Bytes to ask for when the caller does not know how many will come.
RECEIVE_SIZE: Final = 64 * 1024


class Http2Tunnel:
    """A stream after the answer that lets another protocol begin.

    One task may receive while another sends.  What is sent waits for the windows of the stream and
    of its connection, and the peer waits until what it has sent is received here.

    :param stream: its exchange goes on to hold it, and ends it
    :param state: gets what the peer sends
    :param poll: takes what has come for the connection.  If no task waits for that, nobody would
        notice otherwise that the peer has ended the stream.
    """

    __slots__ = ("_poll", "_state", "_stream", "has_sent_all")

    #: whether :meth:`send_nowait` sends at once, if there is room for it
    sends_nowait: bool = True
    receive_size: int = RECEIVE_SIZE

    def __init__(
        self, stream: ExchangeStream, state: StreamState, poll: Callable[[], None]
    ) -> None:
        self._stream = stream
        self._state = state
        self._poll = poll
        #: whether nothing more will be sent, and the peer has to end the stream
        self.has_sent_all: bool = False

    @property
    def checkpoint_if_cancelled(self) -> Callable[[], Awaitable[None]]:
        """As in :mod:`anyio.lowlevel`."""
        return self._stream.checkpoint_if_cancelled

    async def receive(self, max_bytes: int = RECEIVE_SIZE) -> bytes:
        """Return the next bytes from the peer, ``b""`` when the peer sends no more.

        :raises ClientConnectionError: the peer has reset the stream, or the connection has ended
        :raises Expired: the wait was interrupted
        """
        try:
            await self._stream.receive()
        except ParseError as exc:
            raise ClientConnectionError(str(exc)) from exc
        except ClientConnectionResetError as exc:
            if self._state.reset_code is None:
                raise
            # It stands for the reset of a socket (RFC 8441 §5), so it is the same exception.
            raise ClientOSError(exc.errno, exc.strerror) from exc
        pieces = self._state.pieces
        if not pieces:
            return b""
        piece = pieces.popleft()
        if len(piece) > max_bytes:
            pieces.appendleft(piece[max_bytes:])
            piece = piece[:max_bytes]
        return piece

    def send_nowait(self, data: bytes | memoryview) -> bool:
        """Send *data* as far as that needs no waiting; return whether all of it has been sent.

        If not, :meth:`drain` has to be awaited before anything else is sent.

        :raises ClientConnectionError: the peer takes no more, or the connection has ended
        """
        self._poll()
        return self._stream.send_nowait(data)

    def drain(self) -> Awaitable[None]:
        """Return what waits until all that :meth:`send_nowait` left over has been sent.

        It raises the same exceptions.
        """
        return self._stream.drain()

    def send_last(self, data: bytes) -> None:
        """Send *data* as far as that needs no waiting; the stream is ended afterwards."""
        self._stream.send_last(data)
        self.has_sent_all = True

    def finish_sending(self) -> None:
        """Note that nothing more will be sent, and that the peer ends the stream."""
        self.has_sent_all = True

    def interrupt(self) -> None:
        """End the wait of the task that receives at this moment with :exc:`Expired`."""
        self._stream.interrupt()

    def is_failure(self, exc: BaseException) -> bool:
        """Whether *exc* is a failure that a program's own stream tells by this attribute."""
        return self._stream.is_failure(exc)

    def extra_info(self, name: str, default: Any = None) -> Any:
        """Return what asyncio's transports call *name*; *default* if there is no such value."""
        return self._stream.extra_info(name, default)
