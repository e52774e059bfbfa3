"""A WebSocket in use: who may send, who may receive, and how it ends.

Nothing runs in the background: whoever calls :meth:`~ClientWebSocketResponse.receive` reads from
the connection and answers pings.  Only a ``heartbeat`` has a task.  What is true of the bytes on
the wire is in :mod:`anyhttp._websocket`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import AsyncIterable, Callable
from types import TracebackType
from typing import Any, Final, Self, TypeVar, cast

import anyio
from anyio.lowlevel import checkpoint

from ._tasks import Expired
from ._websocket import (
    CLOSED_MESSAGE,
    CLOSING_MESSAGE,
    END,
    FRAMES_IN_A_ROW,
    Accepted,
    ClientWSTimeout,
    FrameReader,
    Heartbeat,
    Link,
    Sender,
    WSCloseCode,
    WSMessage,
    WSMessageStream,
    WSMsgType,
    as_bytes,
    close_payload,
    data_of,
    reason_text,
    shortened,
    weakly,
)
from .client_exceptions import (
    ClientConnectionError,
    ServerDisconnectedError,
    ServerTimeoutError,
    WebSocketError,
)
from .typedefs import (
    DEFAULT_JSON_DECODER,
    DEFAULT_JSON_ENCODER,
    JSONBytesEncoder,
    JSONDecoder,
    JSONEncoder,
)

__all__ = (
    "ClientWSTimeout",
    "ClientWebSocketResponse",
    "WSCloseCode",
    "WSMessage",
    "WSMessageStream",
    "WSMsgType",
)

#: How long closing takes at most unless ``ws_close`` says otherwise, in seconds.
CLOSE_SECONDS: Final = 10.0

#: Bytes asked of the stream at once, for a message that has some to come.
LARGE_RECEIVE: Final = 256 * 1024

#: Bytes that a heartbeat reads ahead of the application, at most.
READ_AHEAD: Final = 64 * 1024

_TEXT: Final = WSMsgType.TEXT
_BINARY: Final = WSMsgType.BINARY
_DATA: Final = frozenset({_TEXT, _BINARY})
_ENDS: Final = frozenset({WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED})

_Found = TypeVar("_Found")


class ClientWebSocketResponse:
    """An open WebSocket; :meth:`ClientSession.ws_connect` makes it.

    One task may receive while any number of others send.  Messages that are cut short by
    cancellation are dealt with like this: receiving loses nothing, and sending leaves the message
    whole, or not begun, or the WebSocket closed.

    :param link: holds the connection, until it is closed
    :param accepted: what the handshake agreed on
    """

    __slots__ = ("__weakref__", "_accepted", "_autoclose", "_autoping", "_close_code",
                 "_close_received", "_closed", "_closing", "_ending", "_exception", "_heartbeat",
                 "_link", "_over", "_pending", "_reader", "_reader_left", "_reading",
                 "_receive_size", "_sender", "_standing_by", "_stream", "_streaming", "_timeout",
                 "_unread")  # fmt: skip

    def __init__(
        self,
        link: Link,
        accepted: Accepted,
        *,
        timeout: ClientWSTimeout,
        autoclose: bool = True,
        autoping: bool = True,
        heartbeat: float | None = None,
        max_msg_size: int = 4 * 1024 * 1024,
        decode_text: bool = True,
    ) -> None:
        self._stream, surplus = link.lend_away()
        self._receive_size = self._stream.receive_size
        self._link = link
        self._accepted = accepted
        self._timeout = timeout
        self._autoclose = autoclose
        self._autoping = autoping
        self._sender = Sender(self._stream, link, accepted.deflater())
        self._heartbeat: Heartbeat | None = None
        if heartbeat is not None:
            beats = Heartbeat(heartbeat, self._sender, self._listen, self._give_up)
            self._heartbeat, self._sender.on_progress = beats, beats.hear
        self._reader = FrameReader(max_msg_size, accepted.inflater(), decode_text=decode_text)
        self._reader.feed(surplus)
        # Who reads, and who waits for them to stop.
        self._reading = False
        self._standing_by = False  # it is the heartbeat who reads
        self._reader_left: anyio.Event | None = None
        self._streaming: WSMessageStream | None = None
        # How it ends: what was seen is delivered once, then CLOSED for ever.
        self._pending: WSMessage | None = None
        self._unread = False  # the connection is gone, but not all that came before has been read
        self._ending = False  # any of the three that follow
        self._closing = False
        self._close_received = False
        self._close_code: int | None = None
        self._exception: BaseException | None = None
        self._over = anyio.Event()
        self._closed = False
        link.on_end = weakly(self._lost)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'closed' if self.closed else 'open'}>"

    def __del__(self) -> None:
        # A subclass may raise before there is anything to close.
        if not getattr(self, "_closed", True):
            warnings.warn(
                f"Unclosed websocket {self!r}: use 'async with' or await ws.close()",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )
            self._link.close()

    # -- what it is

    @property
    def closed(self) -> bool:
        """Whether it is closed, or being closed."""
        return self._closed or self._closing

    @property
    def close_code(self) -> int | None:
        """The peer's close code, or our own for what went wrong; ``None`` until it is known.

        1006 (:rfc:`6455#section-7.1.5`) where the connection ended without one.
        """
        return self._close_code

    @property
    def protocol(self) -> str | None:
        """The subprotocol that the server chose, if it was offered."""
        return self._accepted.protocol

    @property
    def compress(self) -> int:
        """Window of the negotiated compression, as a power of two; 0 without compression."""
        return self._accepted.window_bits

    @property
    def client_notakeover(self) -> bool:
        """Whether each message that is sent is compressed by itself."""
        return self._accepted.no_takeover

    def exception(self) -> BaseException | None:
        """Return what broke the connection, if something did."""
        return self._exception

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return something about the connection by asyncio's name for it.

        ``socket``, ``peername``, ``sockname``, ``ssl_object``, ``sslcontext``, ``peercert``,
        ``cipher`` or ``compression``; *default* for others, and once it is closed.
        """
        return default if self._closed else self._stream.extra_info(name, default)

    # -- sending

    async def send_str(self, data: str, compress: int | None = None) -> None:
        """Send a text message.

        :param compress: 0 sends this message uncompressed, 9 to 15 as was negotiated
        :raises TypeError: *data* is not a ``str``
        :raises ClientConnectionResetError: the WebSocket is closed, or was while waiting
        :raises ClientConnectionError: the connection broke

        After cancellation the message was not begun, or it is whole, or the WebSocket is closed.
        """
        if not isinstance(data, str):
            raise TypeError(f"data must be a str, not {type(data).__name__}")
        await self._sender.send_message(_TEXT, data.encode(), compress)

    async def send_bytes(
        self, data: bytes | bytearray | memoryview, compress: int | None = None
    ) -> None:
        """Send a binary message; see :meth:`send_str`."""
        await self._sender.send_message(_BINARY, as_bytes("data", data), compress)

    async def send_json(
        self, data: Any, compress: int | None = None, *, dumps: JSONEncoder = DEFAULT_JSON_ENCODER
    ) -> None:
        """Send *data* as JSON in a text message; see :meth:`send_str`."""
        await self.send_str(dumps(data), compress)

    async def send_json_bytes(
        self, data: Any, compress: int | None = None, *, dumps: JSONBytesEncoder
    ) -> None:
        """Send *data* as JSON in a binary message; see :meth:`send_str`."""
        await self.send_bytes(dumps(data), compress)

    async def send_frame(
        self,
        message: bytes | bytearray | memoryview,
        opcode: WSMsgType,
        compress: int | None = None,
    ) -> None:
        """Send a whole message whose payload is encoded already; see :meth:`send_str`.

        :param opcode: TEXT (*message* is UTF-8), BINARY, PING or PONG
        :raises ValueError: another opcode
        """
        await self._sender.send_frame(opcode, as_bytes("message", message), compress)

    async def ping(self, message: bytes | str = b"") -> None:
        """Send a ping with up to 125 bytes; see :meth:`send_str`."""
        await self._sender.send_control(WSMsgType.PING, message)

    async def pong(self, message: bytes | str = b"") -> None:
        """Send a pong with up to 125 bytes; see :meth:`send_str`."""
        await self._sender.send_control(WSMsgType.PONG, message)

    async def send_stream(
        self,
        pieces: AsyncIterable[str] | AsyncIterable[bytes],
        compress: int | None = None,
    ) -> None:
        """Send one message that is too large for memory, or not yet complete.

        Each piece goes out as a fragment when *pieces* yields it.  The first one decides: ``str``
        makes a text message, bytes a binary one.  Pings, pongs and the answers to them go in
        between; other messages wait.

        :param compress: as for :meth:`send_str`
        :raises TypeError: a piece is neither, or not of the first one's type
        :raises ClientConnectionResetError: the WebSocket is closed, or was meanwhile
        :raises ClientConnectionError: the connection broke

        A message cannot be taken back: what *pieces* raises passes through, but once a piece has
        been sent the WebSocket is closed with code 1011.  After cancellation in the middle it is
        closed without a code.
        """
        await self._sender.send_stream(
            pieces, compress, lambda exc: self._fail(WSCloseCode.INTERNAL_ERROR, "", exc)
        )

    # -- receiving

    async def receive(self, timeout: float | None = None) -> WSMessage:
        """Return the next message.

        CLOSE is what the peer sends, ERROR that it broke the protocol, CLOSING that
        :meth:`close` was called meanwhile; CLOSED follows for ever, and also says that the
        connection was lost.

        :param timeout: seconds to wait; ``ws_receive`` if it is ``None`` or 0
        :raises TimeoutError: no message arrived in that time; the WebSocket can be used on
        :raises RuntimeError: another task is receiving

        Cancellation loses no message: the next call returns it.  Either of them closes the
        WebSocket if a pong was being sent that the peer does not take.
        """
        sender, reader = self._sender, self._reader
        if (
            reader.buffered
            and sender.calls_left
            and not (self._reading or self._streaming or self._ending or sender.pongs)
        ):
            # In a burst most messages are here already, and nothing comes before them.
            await sender.checkpoint_if_cancelled()
            if (message := reader.glance()) is not None:
                sender.calls_left -= 1
                return message
        limit = timeout or self._timeout.ws_receive
        if not limit:
            return await self._receive_by(reader.next_message)
        with anyio.CancelScope(deadline=_after(limit)):
            return await self._receive_by(reader.next_message)
        self._close_code = WSCloseCode.ABNORMAL_CLOSURE
        raise TimeoutError(f"no message arrived within {limit} s")

    async def receive_str(self, *, timeout: float | None = None) -> str:
        """Return the text of the next message; see :meth:`receive`.

        :raises WSMessageTypeError: it is not TEXT
        """
        text: str = data_of(_TEXT, await self.receive(timeout))
        return text

    async def receive_bytes(self, *, timeout: float | None = None) -> bytes:
        """Return the bytes of the next message; see :meth:`receive`.

        :raises WSMessageTypeError: it is not BINARY
        """
        data: bytes = data_of(_BINARY, await self.receive(timeout))
        return data

    async def receive_json(
        self, *, loads: JSONDecoder = DEFAULT_JSON_DECODER, timeout: float | None = None
    ) -> Any:
        """Return the next message, which is TEXT, parsed as JSON; see :meth:`receive`."""
        return loads(await self.receive_str(timeout=timeout))

    async def receive_stream(self, timeout: float | None = None) -> WSMessageStream:
        """Wait until a message begins, and return it to be read in pieces.

        ``max_msg_size`` does not hold for it.  What is not read of it is thrown away by the next
        call that receives.

        :param timeout: seconds to wait for the beginning; ``ws_receive`` if ``None`` or 0
        :raises TimeoutError: no message began in that time
        :raises RuntimeError: another task is receiving

        It has the type and data of a message without pieces, too: CLOSE, CLOSED and so on.
        """
        limit = timeout or self._timeout.ws_receive
        with anyio.CancelScope(deadline=_after(limit)):
            found = await self._receive_by(self._reader.next_start)
            if isinstance(found, WSMessage):
                return WSMessageStream(found, self._next_piece)
            kind = cast("WSMsgType", found)
            self._streaming = WSMessageStream(WSMessage(kind, None, ""), self._next_piece)
            return self._streaming
        self._close_code = WSCloseCode.ABNORMAL_CLOSURE
        raise TimeoutError(f"no message began within {limit} s")

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> WSMessage:
        message = await self.receive()
        if message.type in _ENDS:
            raise StopAsyncIteration
        return message

    async def _receive_by(self, step: Callable[[], _Found | None]) -> _Found | WSMessage:
        """Return what *step*, a method of the reader, finds, or the message that ends it all."""
        while self._reading:
            if not self._standing_by:
                raise RuntimeError("another task is receiving from this websocket already")
            await self._stop_reading()
        self._reading = True
        reader, sender = self._reader, self._sender
        try:
            if sender.pongs:
                await sender.send_pongs()
            if reader.buffered:
                await sender.pace()
            if self._ending and not self._unread:
                return await self._end()
            behind = self._streaming is not None and step != reader.next_piece
            while True:
                found = self._step_behind(step) if behind else step()
                if found is None:
                    await self._fill()
                elif not isinstance(found, WSMessage) or found.type in _DATA:
                    return found
                elif (message := await self._control(found)) is not None:
                    return message
                if self._ending and not self._unread:
                    return self._last_message()
        except WebSocketError as exc:
            self._unread = False
            self._pending = WSMessage(WSMsgType.ERROR, exc, None)
            await self._fail(exc.code, str(exc), exc)
            return self._last_message()
        finally:
            self._stopped_reading()

    def _step_behind(self, step: Callable[[], _Found | None]) -> _Found | WSMessage | None:
        """Throw away the rest of a message that was to be read in pieces, and do *step*."""
        while self._streaming is not None:
            found = self._reader.next_piece()
            if found is END:
                self._streaming = None
            elif found is None or isinstance(found, WSMessage):
                return found
        return step()

    async def _next_piece(self, stream: WSMessageStream) -> bytes | str:
        """Return the next piece of a message that is being read in pieces."""
        if self._streaming is not stream:
            raise StopAsyncIteration
        found = await self._receive_by(self._reader.next_piece)
        if isinstance(found, (bytes, str)):
            return found
        self._streaming = None
        if not isinstance(found, WSMessage):
            raise StopAsyncIteration
        if isinstance(found.data, Exception):
            raise found.data
        raise ClientConnectionError("the websocket was closed in the middle of a message")

    async def _fill(self) -> None:
        """Wait for bytes, or for the end of the connection; or only let others run."""
        if not self._reader.frames_left:
            await checkpoint()
            self._reader.frames_left = FRAMES_IN_A_ROW
            return
        if self._closed:
            self._unread = False  # that was all
            await checkpoint()
            return
        size = LARGE_RECEIVE if self._reader.left > 0 else self._receive_size
        try:
            data = await self._stream.receive(size)
        except Expired:  # close() wants to read for itself
            return
        except ClientConnectionError as exc:
            self._peer_left(exc)
            return
        if not data:
            self._peer_left(ServerDisconnectedError())
            return
        self._sender.has_waited()
        if self._heartbeat is not None:
            self._heartbeat.hear()
        self._reader.feed(data)

    def _peer_left(self, exc: Exception) -> None:
        """Drop the connection, unless the heartbeat has read ahead: that is not to be lost."""
        if self._standing_by and self._reader.buffered and self._heartbeat is not None:
            self._heartbeat.stop()  # whoever receives finds the end after the rest
        else:
            self._drop(WSCloseCode.ABNORMAL_CLOSURE, exc)

    async def _control(self, message: WSMessage) -> WSMessage | None:
        """Do what a control frame asks for; return it if the caller is to have it."""
        kind = message.type
        if kind is WSMsgType.CLOSE:
            self._close_code = message.data
            self._close_received = self._ending = True
            self._unread = False
            if self._autoclose:
                self._pending = message
                await self._fail(message.data, "", None)
                return self._last_message()
            return message
        # The pieces of a message leave no room for other messages in between.
        if not self._autoping and self._streaming is None:
            return message
        if kind is WSMsgType.PING:
            self._sender.note_ping(message.data)
            await self._sender.pace()
            await self._sender.send_pongs()
        return None

    async def _end(self) -> WSMessage:
        """Return what a receive() that comes too late gets."""
        if self._pending is not None:
            await checkpoint()
            return self._last_message()
        if self._close_received and not self.closed:
            self._stopped_reading()
            await self.close()
        else:
            await checkpoint()
        return CLOSED_MESSAGE

    def _last_message(self) -> WSMessage:
        """Return what is to be told of the end, which is told once, or that it is over."""
        message, self._pending = self._pending, None
        if message is not None:
            return message
        return CLOSED_MESSAGE if self._closed else CLOSING_MESSAGE

    async def _stop_reading(self) -> None:
        """Make whoever waits for bytes stop, and wait until they have."""
        if self._reader_left is None:
            self._reader_left = anyio.Event()
        self._stream.interrupt()
        await self._reader_left.wait()

    def _stopped_reading(self) -> None:
        self._reading = False
        left, self._reader_left = self._reader_left, None
        if left is not None:
            left.set()
        if self._heartbeat is not None:
            self._heartbeat.look_up()

    # -- closing

    async def close(self, *, code: int = WSCloseCode.OK, message: bytes | str = b"") -> bool:
        """Close the WebSocket with a CLOSE frame, and wait for the peer's.

        A :meth:`receive` that waits returns CLOSING.  All of it takes ``ws_close`` seconds at
        most, whatever the peer does: after that, as after any failure, the connection is dropped,
        :attr:`close_code` is 1006 and :meth:`exception` tells why.

        :param message: reason, of up to 123 bytes
        :returns: whether this call closed it; ``False`` if it was closed already, or by another
            task meanwhile
        :raises ValueError: *code* may not be sent (:rfc:`6455#section-7.4`), or *message* is too
            long or not UTF-8

        After cancellation the connection is dropped.
        """
        payload = close_payload(code, reason_text(message))
        self._unread = False
        if self.closed:
            await self._over.wait()
            return False
        self._closing = self._ending = True
        if self._heartbeat is not None:
            self._heartbeat.finish()
        limit = self._timeout.ws_close or CLOSE_SECONDS
        scope = anyio.CancelScope(deadline=_after(limit))
        try:
            with scope:
                return await self._close(payload)
        except BaseException:
            self._drop(WSCloseCode.ABNORMAL_CLOSURE)
            raise
        finally:
            if scope.cancelled_caught:
                late = TimeoutError(f"the peer did not close the websocket within {limit} s")
                self._drop(WSCloseCode.ABNORMAL_CLOSURE)
                self._exception = self._exception or late
        return True

    async def _close(self, payload: bytes) -> bool:
        if self._reading:
            await self._stop_reading()
        if self._closed:
            return False
        try:
            await self._sender.send_close(payload)
            if self._close_received:
                self._drop(self._close_code)
            while not self._closed:
                found = self._reader.skip_to_close()
                if found is None:
                    await self._fill()
                else:
                    self._drop(found.data)
        except (ClientConnectionError, WebSocketError) as exc:
            self._drop(WSCloseCode.ABNORMAL_CLOSURE, exc)
        return True

    async def _fail(self, code: int, reason: str, exc: Exception | None) -> None:
        """Send CLOSE, not waiting for an answer, and drop the connection."""
        payload = b"" if not code else close_payload(code, shortened(reason))
        try:
            with anyio.CancelScope(deadline=_after(self._timeout.ws_close or CLOSE_SECONDS)):
                await self._sender.send_close(payload)
        except ClientConnectionError:
            pass  # there is worse to tell
        finally:
            self._drop(code, exc)
            self._close_code = code
            self._exception = exc or self._exception

    def _lost(self) -> None:
        """Called when somebody else closes the connection: the session, or who tore a frame."""
        failure = self._sender.failure
        if failure is not None and not (self._ending or self._pending):
            self._unread = True  # nobody wanted an end, so what came before is not to be lost
        self._drop(WSCloseCode.ABNORMAL_CLOSURE, failure)

    def _drop(self, code: int | None, exc: BaseException | None = None) -> None:
        """Close the connection at once, unless it is closed, and wake everybody."""
        if self._closed:
            return
        self._closed = self._ending = self._sender.closed = True
        self._close_code = code
        self._exception = self._exception or exc
        self._link.close()
        if self._heartbeat is not None:
            self._heartbeat.stop()
        self._over.set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self.close()
        except BaseException:
            # What the block raised is the news; whoever cancels says so again.
            if exc is None:
                raise

    # -- heartbeat

    async def run_heartbeat(self) -> None:
        """Ping a peer that keeps silent, until the WebSocket is closed; the body of a task."""
        assert self._heartbeat is not None
        await self._heartbeat.run()

    def _give_up(self, exc: ServerTimeoutError) -> None:
        """Drop the connection of a peer that does not answer, unless it ended otherwise.

        What has come before is not to be lost: whoever receives finds the end behind it.
        """
        if self._exception is not None:
            return
        if self._reading and not self._standing_by:
            self._pending = WSMessage(WSMsgType.ERROR, exc, None)
        self._unread = True
        self._drop(WSCloseCode.ABNORMAL_CLOSURE)
        self._exception = exc

    async def _listen(self, heartbeat: Heartbeat) -> None:
        """Wait until the peer may have shown a sign of life."""
        if self._reading:
            await heartbeat.wait_news()
            return
        reader = self._reader
        if reader.buffered >= READ_AHEAD or self._close_received:
            # There is more to read than we may keep, so that nothing can be known.
            heartbeat.hear()
            return
        self._reading = self._standing_by = True
        try:
            await self._fill()
            while self._autoping and (control := reader.next_control()) is not None:
                await self._control(control)
        except WebSocketError:
            pass  # whoever receives finds the same
        finally:
            self._standing_by = False
            wanted = self._reader_left is not None
            self._stopped_reading()
        if wanted:
            await checkpoint()  # whoever wants to read, and is still there, comes first


def _after(seconds: float | None) -> float:
    return anyio.current_time() + seconds if seconds else math.inf
