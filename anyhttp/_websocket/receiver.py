"""Receiving from a WebSocket, by one task at a time: the application's or the heartbeat's."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import anyio
from anyio.lowlevel import checkpoint

from .._tasks import Expired
from ..client_exceptions import (
    ClientConnectionError,
    ServerDisconnectedError,
    ServerTimeoutError,
    WebSocketError,
)
from .frames import END, FRAMES_IN_A_ROW, MESSAGES_IN_A_ROW, FrameReader
from .heartbeat import Heartbeat
from .lifecycle import Lifecycle, WSState
from .models import (
    CLOSED_MESSAGE,
    CLOSING_MESSAGE,
    WSCloseCode,
    WSMessage,
    WSMessageStream,
    WSMsgType,
)
from .sender import CALLS_IN_A_ROW, Sender

if TYPE_CHECKING:
    from .._http1 import LentStream

__all__ = ("Receiver",)

#: Bytes to ask of the stream if the rest of a frame is missing.
LARGE_RECEIVE: Final = 256 * 1024

#: Most bytes that the heartbeat reads while the application does not receive.
READ_AHEAD: Final = 64 * 1024

_DATA: Final = (WSMsgType.TEXT, WSMsgType.BINARY)  # enum members are slow to hash

# Reading a global is faster than reading a member of an enum.
_OPEN: Final = WSState.OPEN
_DRAINING: Final = WSState.DRAINING

_Found = TypeVar("_Found")


class _ReadBy(enum.Enum):
    """Which task is reading at this moment."""

    APPLICATION = "receive() and its like"
    HEARTBEAT = "the heartbeat, while the application does not receive"


_APPLICATION: Final = _ReadBy.APPLICATION


class Receiver:
    """Reads from the connection, answers pings, and returns messages.

    The reason for the end of the WebSocket (CLOSE or ERROR) is returned once, then CLOSED for ever.

    :param autoclose: answer the peer's CLOSE, and end the WebSocket, before it is returned
    :param autoping: answer pings, and do not return pings and pongs
    """

    __slots__ = ("_autoclose", "_autoping", "_heartbeat", "_is_awaited", "_last_message", "_life",
                 "_receive_bytes", "_receive_size", "_released", "_sender", "_stream", "frames",
                 "read_by", "streaming")  # fmt: skip

    def __init__(
        self,
        stream: LentStream,
        frames: FrameReader,
        sender: Sender,
        life: Lifecycle,
        *,
        autoclose: bool,
        autoping: bool,
    ) -> None:
        self._stream = stream
        self._receive_bytes: Callable[[int], Awaitable[bytes]] = stream.receive
        self._receive_size = stream.receive_size
        self._sender = sender
        self._life = life
        self._autoclose = autoclose
        self._autoping = autoping
        self.frames: Final = frames
        self._heartbeat: Heartbeat | None = None
        #: which task is reading; ``None`` if no task is
        self.read_by: _ReadBy | None = None
        # Set when the reading task stops; made by a task that waits for that.
        self._released: anyio.Event | None = None
        # Whether anything waits for that: such a task, or the heartbeat.
        self._is_awaited = False
        #: the message that is being read in pieces
        self.streaming: WSMessageStream | None = None
        # Returned once, before CLOSED: the peer's CLOSE, or an ERROR.
        self._last_message: WSMessage | None = None

    # -- for the application

    async def receive(self, step: Callable[[], _Found | None]) -> _Found | WSMessage:
        """Call *step*, a method of :attr:`frames`, with new bytes until it returns something.

        :returns: that result, or the message that says why the WebSocket has ended
        :raises RuntimeError: another task is receiving
        """
        frames, sender, life = self.frames, self._sender, self._life
        if self.read_by is not None or not life.state.can_receive:
            return await self._receive_next(step)
        self.read_by = _APPLICATION
        try:
            if sender.pongs:
                await sender.send_pongs()
            if frames.data or frames.messages_left <= 0:
                await self._checkpoint()
            find = step if self.streaming is None else self._behind_pieces(step)
            while life.state.can_receive:
                found = find()
                if found is None:
                    try:
                        self._take(await self._next_bytes())
                    except Expired:  # by interrupt()
                        pass
                elif not isinstance(found, WSMessage) or found.type in _DATA:
                    return found
                elif (message := await self._handle_control(found)) is not None:
                    return message
        except (WebSocketError, ClientConnectionError) as exc:
            await self._fail(exc)
        finally:
            self.read_by = None
            if self._is_awaited:
                self._tell_released()
        return self._end_message()

    async def _checkpoint(self) -> None:
        """Raise a pending cancellation; after many messages in a row also let other tasks run.

        Whether the stream has waited for bytes does not count: it may have had them already.
        """
        frames = self.frames
        if frames.messages_left > 0:
            await self._stream.checkpoint_if_cancelled()
        else:
            frames.messages_left = MESSAGES_IN_A_ROW
            await checkpoint()

    async def next_piece(self, stream: WSMessageStream) -> bytes | str:
        """Return the next piece of a message that is being read in pieces."""
        if self.streaming is not stream:
            raise StopAsyncIteration
        self.frames.messages_left -= 1
        if self.frames.is_inflating:
            await self._checkpoint()  # a little input may inflate to many pieces
        found = await self.receive(self.frames.next_piece)
        if isinstance(found, (bytes, str)):
            return found
        self.streaming = None
        if not isinstance(found, WSMessage):
            raise StopAsyncIteration
        if isinstance(found.data, Exception):
            raise found.data
        raise ClientConnectionError("the websocket was closed in the middle of a message")

    def _behind_pieces(
        self, step: Callable[[], _Found | None]
    ) -> Callable[[], _Found | WSMessage | None]:
        """Return what finds the same as *step*, behind the message that is read in pieces."""
        return step if step == self.frames.next_piece else partial(self._skip_pieces, step)

    def _skip_pieces(self, step: Callable[[], _Found | None]) -> _Found | WSMessage | None:
        """Discard the rest of the message that was being read in pieces, and then do *step*."""
        if self.streaming is not None:
            found = self.frames.skip_pieces()
            if found is not END:
                return found
            self.streaming = None
        return step()

    async def _receive_next(self, step: Callable[[], _Found | None]) -> _Found | WSMessage:
        """Do what :meth:`receive` does, while a task is reading or when all is over."""
        if self.read_by is None:
            await checkpoint()
            return self._last_message_or(CLOSED_MESSAGE)
        if self._life.state is WSState.CLOSING:  # close() has told that task to stop
            await checkpoint()
            return CLOSED_MESSAGE
        await self._take_over()
        return await self.receive(step)

    async def _take_over(self) -> None:
        """Make the heartbeat stop reading."""
        while self.read_by is not None:
            if self.read_by is _APPLICATION:
                raise RuntimeError("another task is receiving from this websocket already")
            await self.interrupt()

    def _end_message(self) -> WSMessage:
        """Return the message that says why the WebSocket ended while this call was receiving."""
        closing = self._life.state is WSState.CLOSING
        return self._last_message_or(CLOSING_MESSAGE if closing else CLOSED_MESSAGE)

    def _last_message_or(self, default: WSMessage) -> WSMessage:
        message, self._last_message = self._last_message, None
        return message or default

    # -- for closing

    async def interrupt(self) -> None:
        """If a task waits for bytes, make it stop, and wait until it has stopped."""
        if self.read_by is None:
            return
        released = self._released = self._released or anyio.Event()
        self._is_awaited = True
        self._stream.interrupt()
        await released.wait()

    async def wait_closed(self) -> int:
        """Discard all frames until the peer's CLOSE, and return its code.

        1006 if another task closed the connection meanwhile.

        :raises ClientConnectionError: the connection ended without a CLOSE
        :raises WebSocketError: the peer broke the protocol
        """
        while self._life.state.connected:
            found = self.frames.skip_to_close()
            if found is not None:
                return int(found.data)
            await self._fill()
        return WSCloseCode.ABNORMAL_CLOSURE

    # -- for the heartbeat

    def attach(self, heartbeat: Heartbeat) -> None:
        """Tell *heartbeat* from now on of the peer's activity, and when reading has stopped."""
        self._heartbeat = heartbeat
        self._is_awaited = True

    async def read_ahead(self, heartbeat: Heartbeat) -> None:
        """Wait until bytes may have arrived; if the application does not read, read some bytes."""
        if self.read_by is not None:
            await heartbeat.wait_changed()
            return
        frames = self.frames
        if frames.buffered >= READ_AHEAD or self._life.state is WSState.PEER_CLOSED:
            # The heartbeat must not read here, so it cannot check the peer.  Assume it is alive.
            heartbeat.note_activity()
            return
        self.read_by = _ReadBy.HEARTBEAT
        try:
            await self._fill()
            while self._autoping and (control := frames.next_control()) is not None:
                await self._handle_control(control)
        except WebSocketError:
            pass  # the next call of receive() meets the same error, and reports it
        except ClientConnectionError as exc:
            # The messages that are buffered can still be received.
            self._life.end(WSCloseCode.ABNORMAL_CLOSURE, exc)
            if not (frames.ready or frames.data):
                self._life.drained()
        except Exception as exc:
            if not self._stream.is_failure(exc):
                raise
            heartbeat.stop()  # the next call of receive() meets the same error, and raises it
        finally:
            wanted = self._released is not None
            self.read_by = None
            self._tell_released()
        if wanted:
            await checkpoint()  # let the task that wants to read run first

    def ping_while_receiving(self) -> None:
        """Let the task that receives ping the peer: the heartbeat has no task."""
        self._receive_bytes = self._receive_and_ping

    async def _receive_and_ping(self, max_bytes: int) -> bytes:
        heartbeat = self._heartbeat
        assert heartbeat is not None
        while self._life.state.can_send:
            with anyio.move_on_after(heartbeat.seconds_left):
                return await self._stream.receive(max_bytes)
            await heartbeat.beat()
        return await self._stream.receive(max_bytes)

    def time_out(self, exc: ServerTimeoutError) -> None:
        """End the WebSocket because the peer did not answer a ping."""
        if self.read_by is _APPLICATION:
            self._last_message = WSMessage(WSMsgType.ERROR, exc, None)
        self._life.end(WSCloseCode.ABNORMAL_CLOSURE, exc)

    # -- reading

    async def _fill(self) -> None:
        """Receive bytes for the frame reader; after many frames in a row, only let others run.

        :raises ClientConnectionError: the connection ended
        """
        with suppress(Expired):  # by interrupt()
            self._take(await self._next_bytes())

    def _next_bytes(self) -> Awaitable[bytes | None]:
        """Return what is awaited by :meth:`_fill`; its result is for :meth:`_take`."""
        frames, life = self.frames, self._life
        if not frames.frames_left:
            frames.frames_left = FRAMES_IN_A_ROW
            return checkpoint()
        if life.state is _DRAINING:
            life.drained()
            return checkpoint()
        return self._receive_bytes(LARGE_RECEIVE if frames.left > 0 else self._receive_size)

    def _take(self, data: bytes | None) -> None:
        """Give received bytes to the frame reader; ``None`` if none were received."""
        if data is None:
            return
        if not data:
            raise ServerDisconnectedError
        self._sender.calls_left = CALLS_IN_A_ROW
        if self._heartbeat is not None:
            self._heartbeat.note_activity()
        self.frames.feed(data)

    async def _handle_control(self, message: WSMessage) -> WSMessage | None:
        """Handle a control frame; return it if the application should get it, else ``None``."""
        kind = message.type
        if kind is WSMsgType.CLOSE:
            return await self._handle_close(message)
        # While a message is read in pieces, no other message can be returned.
        if not self._autoping and self.streaming is None:
            return message
        if kind is WSMsgType.PING:
            self._sender.note_ping(message.data)
            await self._checkpoint()
            await self._sender.send_pongs()
        return None

    async def _handle_close(self, message: WSMessage) -> WSMessage:
        life = self._life
        life.close_code = message.data
        if self._autoclose:
            self._last_message = message
            await self._sender.fail(message.data, "", None)
            return self._last_message_or(CLOSED_MESSAGE)
        if life.state is _OPEN:
            life.move(WSState.PEER_CLOSED)
        life.drained()
        return message

    async def _fail(self, exc: WebSocketError | ClientConnectionError) -> None:
        """End the WebSocket, when no buffered message is left that could be received."""
        if isinstance(exc, WebSocketError):
            self._last_message = WSMessage(WSMsgType.ERROR, exc, None)
            await self._sender.fail(exc.code, str(exc), exc)
        else:
            self._life.end(WSCloseCode.ABNORMAL_CLOSURE, exc)
            self._life.drained()

    def _tell_released(self) -> None:
        """Wake the tasks that wait until no task reads."""
        released, self._released = self._released, None
        if released is not None:
            released.set()
        self._is_awaited = self._heartbeat is not None
        if self._heartbeat is not None:
            self._heartbeat.wake()
