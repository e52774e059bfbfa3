"""The WebSocket of a program: sending, receiving, closing.

Nothing runs in the background: the task that calls :meth:`~ClientWebSocketResponse.receive` reads
from the connection and answers pings.  Only a ``heartbeat`` has a task of its own.  The locks for
sending and receiving, and the states of a WebSocket, are in :mod:`anyhttp._websocket`.
"""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterable, Callable
from types import TracebackType
from typing import Any, ClassVar, Final, Self, TypeVar, cast

import anyio

from ._http1 import Exchange
from ._tasks import (
    HelperTasks,
    call_in,
    current_loop,
    deadline_after,
    ends_at_once,
    is_raised_again,
)
from ._websocket import (
    CLOSED_MESSAGE,
    Accepted,
    ClientWSTimeout,
    FrameReader,
    Heartbeat,
    Lifecycle,
    Receiver,
    Sender,
    WSCloseCode,
    WSMessage,
    WSMessageStream,
    WSMsgType,
    WSSettings,
    WSState,
    as_bytes,
    close_payload,
    data_of,
    reason_text,
)
from .client_exceptions import ClientConnectionError, WebSocketError
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

_TEXT: Final = WSMsgType.TEXT
_BINARY: Final = WSMsgType.BINARY
_ENDS: Final = (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED)

# Reading a global is faster than reading a member of an enum.
_PEER_CLOSED: Final = WSState.PEER_CLOSED

_Found = TypeVar("_Found")


class ClientWebSocketResponse:
    """An open WebSocket; :meth:`ClientSession.ws_connect` makes it.

    One task may receive while any number of others send.  If receiving is cancelled, no message
    is lost.  If sending is cancelled, the message was sent completely, or not begun, or the
    WebSocket is closed.
    """

    __slots__ = ("__weakref__", "_accepted", "_frames", "_heartbeat", "_items", "_life", "_loop",
                 "_ready", "_receiver", "_response", "_sender", "_settings",
                 "_stream")  # fmt: skip

    #: aiohttp has the connection here; packages that look for it take ``None`` for a closed one
    _conn: ClassVar[None] = None

    def __init__(self, exchange: Exchange, accepted: Accepted, settings: WSSettings) -> None:
        """Take over the connection of *exchange*, with what the handshake has *accepted*."""
        self._stream, surplus = exchange.lend_away()
        self._accepted = accepted
        self._settings = settings
        self._loop = current_loop()
        # These objects do not refer to this one, nor do the session and the heartbeat's task.  So
        # when a program drops a WebSocket without closing it, __del__() runs and warns.
        self._frames = frames = FrameReader(
            settings.max_msg_size, accepted.inflater(), decode_text=settings.decode_text
        )
        frames.feed(surplus)
        self._ready = frames.ready
        # What __anext__() returns without receive(): nothing, if a subclass has its own.
        is_ours = type(self).receive is ClientWebSocketResponse.receive
        self._items: list[WSMessage] = frames.ready if is_ours else []
        self._life = life = Lifecycle(exchange.close, frames.ready)
        exchange.on_end = life.end
        self._sender = sender = Sender(
            self._stream, life, accepted.deflater(), settings.close_seconds
        )
        self._receiver = receiver = Receiver(
            self._stream,
            frames,
            sender,
            life,
            autoclose=settings.autoclose,
            autoping=settings.autoping,
        )
        self._response: Any = None
        self._heartbeat: Heartbeat | None = None
        if settings.heartbeat is not None:
            self._heartbeat = heartbeat = Heartbeat(
                settings.heartbeat, life, sender, receiver.read_ahead, receiver.time_out
            )
            receiver.attach(heartbeat)
            life.on_end = heartbeat.stop
            sender.on_progress = heartbeat.note_activity

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'closed' if self.closed else 'open'}>"

    def __del__(self) -> None:
        # Missing if the constructor of a subclass has raised.
        life = getattr(self, "_life", None)
        if life is not None and life.state.connected:
            warnings.warn(
                f"Unclosed websocket {self!r}: use 'async with' or await ws.close()",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )
            call_in(self._loop, life.end)

    # -- its state and what was negotiated

    @property
    def closed(self) -> bool:
        """Whether the WebSocket is closed, or being closed."""
        return not self._life.state.can_send

    @property
    def close_code(self) -> int | None:
        """The peer's close code, or our own after an error; ``None`` until it is known.

        1006 (:rfc:`6455#section-7.1.5`) if the connection ended without a close code.
        """
        return self._life.close_code

    @property
    def protocol(self) -> str | None:
        """The subprotocol that the server chose among the offered ones; ``None`` if it did not."""
        return self._accepted.protocol

    @property
    def compress(self) -> int:
        """Window of the negotiated compression, as a power of two; 0 without compression."""
        return self._accepted.window_bits

    @property
    def client_notakeover(self) -> bool:
        """Whether each sent message is compressed without reference to earlier messages."""
        return self._accepted.no_takeover

    def exception(self) -> BaseException | None:
        """Return the exception that broke the connection, ``None`` if there was none."""
        return self._life.exception

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return information about the connection, by the names that asyncio uses.

        ``socket``, ``peername``, ``sockname``, ``ssl_object``, ``sslcontext``, ``peercert``,
        ``cipher`` or ``compression``; *default* for other names, and after the end.
        """
        if not self._life.state.connected:
            return default
        return self._stream.extra_info(name, default)

    # -- sending

    async def send_str(self, data: str, compress: int | None = None) -> None:
        """Send a text message.

        :param compress: 0 sends this message uncompressed; 9 to 15 compress it as negotiated
        :raises TypeError: *data* is not a ``str``
        :raises ClientConnectionResetError: the WebSocket is closed, or was closed meanwhile
        :raises ClientConnectionError: the connection broke

        After cancellation the message was not begun, or was sent completely, or the WebSocket is
        closed.
        """
        if not isinstance(data, str):
            raise TypeError(f"data must be a str, not {type(data).__name__}")
        await self._sender.send_message(_TEXT, data.encode(), compress)

    async def send_bytes(
        self, data: bytes | bytearray | memoryview, compress: int | None = None
    ) -> None:
        """Send a binary message; see :meth:`send_str`."""
        if type(data) is not bytes:
            data = as_bytes("data", data)
        await self._sender.send_message(_BINARY, data, compress)

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

        Each piece is sent as one fragment.  If the first piece is a ``str``, the message is a text
        message; if it is bytes, a binary message.  Pings and pongs may be sent between fragments;
        other messages wait.

        :param compress: as for :meth:`send_str`
        :raises TypeError: a piece is neither ``str`` nor bytes, or not of the first piece's type
        :raises ClientConnectionResetError: the WebSocket is closed, or was closed meanwhile
        :raises ClientConnectionError: the connection broke

        An exception of *pieces* is raised here.  If a fragment has been sent before, the WebSocket
        is closed with code 1011, because the rest of the message will not follow.  After
        cancellation in the middle of the message it is closed without a code.
        """
        await self._sender.send_stream(pieces, compress)

    # -- receiving

    async def receive(self, timeout: float | None = None) -> WSMessage:
        """Return the next message.

        The end is a message too.  CLOSE: the peer has closed the WebSocket.  ERROR: the peer broke
        the protocol, or did not answer the heartbeat while this call waited.  CLOSING:
        :meth:`close` was called while this call waited.  CLOSED: the WebSocket has ended, or the
        connection was lost; all further calls return it.

        :param timeout: seconds to wait; ``ws_receive`` if it is ``None`` or 0
        :raises TimeoutError: no message arrived in that time; the WebSocket can still be used
        :raises RuntimeError: another task is receiving

        After cancellation no message is lost: the next call returns it.  But if a pong is just
        being sent and the peer does not take it, cancellation and timeout close the WebSocket.
        """
        if ready := self._ready:
            return ready.pop()  # it has been received already
        limit = timeout or self._settings.timeout.ws_receive
        if not limit and self._life.state is not _PEER_CLOSED:
            return await self._receiver.receive(self._frames.next_message)
        with anyio.CancelScope(deadline=_deadline(limit)):
            return await self._receive(self._frames.next_message)
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

        ``max_msg_size`` does not apply to it.  The next call that receives discards the pieces
        that have not been read, of a compressed message up to 64 MiB.

        :param timeout: seconds to wait for the beginning; ``ws_receive`` if ``None`` or 0
        :raises TimeoutError: no message began in that time
        :raises RuntimeError: another task is receiving

        For a message without pieces (CLOSE, CLOSED and so on) the stream has its type and data.
        """
        limit = timeout or self._settings.timeout.ws_receive
        with anyio.CancelScope(deadline=_deadline(limit)):
            found = await self._receive(self._frames.next_start)
            if isinstance(found, WSMessage):
                return WSMessageStream(found, self._next_piece)
            kind = cast("WSMsgType", found)
            stream = WSMessageStream(WSMessage(kind, None, ""), self._next_piece)
            self._receiver.streaming = stream
            return stream
        raise TimeoutError(f"no message began within {limit} s")

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> WSMessage:
        if items := self._items:
            return items.pop()
        message = await self.receive()
        if message.type in _ENDS:
            raise StopAsyncIteration
        return message

    async def _receive(self, step: Callable[[], _Found | None]) -> _Found | WSMessage:
        """Receive with *step*, a method of the frame reader.

        If the peer has closed and the application has not answered, close the WebSocket instead.
        """
        if self._life.state is _PEER_CLOSED:
            await self.close()
            return CLOSED_MESSAGE
        return await self._receiver.receive(step)

    async def _next_piece(self, stream: WSMessageStream) -> bytes | str:
        """Return the next piece.

        The stream refers to this method, and so keeps the WebSocket alive while it is read.
        """
        return await self._receiver.next_piece(stream)

    # -- closing

    async def close(self, *, code: int = WSCloseCode.OK, message: bytes | str = b"") -> bool:
        """Close the WebSocket with a CLOSE frame, and wait for the peer's CLOSE frame.

        A task that waits in :meth:`receive` gets CLOSING.  Closing takes ``ws_close`` seconds at
        most.  After that time, and after any failure, the connection is closed,
        :attr:`close_code` is 1006 and :meth:`exception` returns the reason.

        :param message: reason, of up to 123 bytes
        :returns: whether this call closed the WebSocket; ``False`` if it was closed already, or by
            another task meanwhile
        :raises ValueError: *code* may not be sent (:rfc:`6455#section-7.4`), or *message* is too
            long or not UTF-8

        After cancellation the connection is closed.
        """
        payload = close_payload(code, reason_text(message))
        try:
            return await self._close_once(payload)
        finally:
            if self._heartbeat is not None and not self._life.state.connected:
                await self._heartbeat.wait_over()

    async def _close_once(self, payload: bytes) -> bool:
        """Close the WebSocket; if it is closed, or being closed, wait for its end."""
        life = self._life
        life.drained()
        if self.closed:
            await life.wait_over()
            return False
        peer_code = life.close_code if life.state is _PEER_CLOSED else None
        life.move(WSState.CLOSING)
        limit = self._settings.close_seconds
        scope = anyio.CancelScope(deadline=deadline_after(limit))
        try:
            with scope:
                return await self._close(payload, peer_code)
        except BaseException:
            life.end()
            raise
        finally:
            if scope.cancelled_caught:
                late = TimeoutError(f"the peer did not close the websocket within {limit} s")
                life.end()
                life.exception = life.exception or late
        return True

    async def _close(self, payload: bytes, peer_code: int | None) -> bool:
        """Exchange CLOSE frames, and close the connection.

        :param peer_code: code of the peer's CLOSE, if that has been received before
        """
        life = self._life
        await self._receiver.interrupt()
        if not life.state.connected:
            return False
        try:
            await self._sender.send_close(payload)
            if peer_code is None:
                peer_code = await self._receiver.wait_closed()
        except (ClientConnectionError, WebSocketError) as exc:
            life.end(WSCloseCode.ABNORMAL_CLOSURE, exc)
        else:
            life.end(peer_code)
        return True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if ends_at_once(exc):
            self._sender.send_close_nowait(close_payload(WSCloseCode.OK, ""))
            self._life.end()
            return
        try:
            await self.close()
        except BaseException as ending:
            if exc is None:
                raise
            if not is_raised_again(ending):
                # Python does not always set the context of an exception that the event loop
                # throws into a task.
                ending.__context__ = ending.__context__ or exc
                raise


def keep_response(websocket: ClientWebSocketResponse, response: object) -> None:
    """Keep the response to the handshake, in whose headers packages look."""
    websocket._response = response


def start_heartbeat(websocket: ClientWebSocketResponse, tasks: HelperTasks | None) -> None:
    """Start the heartbeat of *websocket*, if it has one.

    :param tasks: get its task; without them it has a task of its own on asyncio, and none on
        trio, where the task that receives does the pinging
    """
    heartbeat = websocket._heartbeat
    if heartbeat is None:
        return
    if tasks is not None:
        tasks.start_soon(heartbeat.run)
    elif not heartbeat.start_task():
        websocket._receiver.ping_while_receiving()


def _deadline(timeout: float | None) -> float:
    """Return the end of a wait that begins now.

    :raises TypeError: *timeout* is no number
    """
    try:
        return deadline_after(timeout)
    except TypeError:
        raise TypeError(f"timeout must be a number of seconds or None, not {timeout!r}") from None
