"""One call of an ASGI application for one WebSocket."""

from __future__ import annotations

import enum
from typing import Any, ClassVar, Final

import anyio
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from ._application import respond_failed
from ._asgi_call import ASGIApplication, CallSettings, Message, ServerCall
from ._asgi_http import HTTPResponse, ResponseStage
from ._client_stream import ClientDisconnected
from ._http1_server import MalformedRequest
from ._server_connection import ServerExchange
from ._websocket_server import WebSocketClosed, WebSocketPeer

__all__ = ("WebSocketCall",)

#: Schemes of URLs, as the scope has them.
_SCHEMES: Final = {"http": "ws", "https": "wss"}
#: The code that stands for the end of a connection without a CLOSE frame (RFC 6455 §7.1.5).
_ABNORMAL: Final = 1006
_INTERNAL_ERROR: Final = 1011
_ACCEPT: Final = "websocket.accept"
_CLOSE: Final = "websocket.close"
_DENIAL: Final = "websocket.http.response."


class Stage(enum.Enum):
    """How far the WebSocket is; the values are words for messages."""

    UNDECIDED = "before websocket.accept"
    OPEN = "after websocket.accept"
    REFUSED = "after it had refused the WebSocket"
    CLOSED = "after websocket.close"


class WebSocketCall(ServerCall):
    """One call of an application for one WebSocket."""

    _spec_version: ClassVar[str] = "2.5"  # sending fails when the client has gone

    def __init__(
        self, app: ASGIApplication, exchange: ServerExchange, settings: CallSettings
    ) -> None:
        super().__init__(app, exchange, settings)
        self._stage = Stage.UNDECIDED
        self._has_begun = False  # websocket.connect has been given to the application
        self._peer: WebSocketPeer | None = None
        self._response = HTTPResponse(self, exchange, _DENIAL)
        self._handshake = anyio.Lock()  # one task at a time reads before it is over
        # The task that reads hands over one message at a time.
        self._into, self._messages = anyio.create_memory_object_stream[str | bytes](0)
        self._group: TaskGroup | None = None
        self._end: tuple[int, str] = (_ABNORMAL, "")  # how the client has closed the WebSocket

    def _scope(self) -> dict[str, Any]:
        scope = super()._scope()
        offered = ",".join(self._exchange.headers.getall("Sec-WebSocket-Protocol", ()))
        names = (name.strip() for name in offered.split(","))
        return {
            "type": "websocket",
            **scope,
            "scheme": _SCHEMES.get(scope["scheme"], scope["scheme"]),
            "subprotocols": [name for name in names if name],
            "extensions": {"websocket.http.response": {}},
        }

    @property
    def is_over(self) -> bool:
        return self._stage in {Stage.REFUSED, Stage.CLOSED}

    @property
    def is_delivered(self) -> bool:
        return self.is_over and not self._response.is_held

    async def _call_application(self) -> None:
        failure: BaseException | None = None
        async with anyio.create_task_group() as self._group:
            with self._messages:
                try:
                    await super()._call_application()
                except BaseException as exc:
                    if _is_cancellation(exc):
                        raise
                    failure = exc  # raised outside, where it is not put into a group
            self._group.cancel_scope.cancel()
        self._into.close()  # if there was no task that has done it
        if failure is not None:
            raise failure

    # -- receiving

    async def receive(self) -> Message:
        async with self._turn:
            if not self._has_begun:
                self._has_begun = True
                await checkpoint()
                return {"type": "websocket.connect"}
            message = await self._next()
            while message is None and not (self.is_disconnected or self.is_over):
                message = await self._next()  # it has been accepted while this waited
            if message is None:
                self.was_told = True
                code, reason = self._end
                message = {"type": "websocket.disconnect", "code": code, "reason": reason}
            return message

    async def _next_message(self) -> Message | None:
        if self._peer is None:
            async with self._handshake:
                if self._peer is None:
                    await self._exchange.wait_disconnect()
                    return None
        try:
            data = await self._messages.receive()
        except anyio.EndOfStream:
            return None
        if isinstance(data, str):
            return {"type": "websocket.receive", "text": data}
        return {"type": "websocket.receive", "bytes": data}

    async def _read(self, peer: WebSocketPeer) -> None:
        """Read messages, one ahead of the application, until the client closes the WebSocket.

        The client's CLOSE and its PINGs are answered, whether the application receives or not.
        """
        with self._into:
            try:
                while True:
                    message = await peer.receive()
                    if self._stage is Stage.OPEN:
                        await self._into.send(message)
            except WebSocketClosed as exc:
                self._end = exc.code, exc.reason
                self.is_disconnected = True

    # -- sending

    async def send(self, message: Message) -> None:
        kind = self._kind(message)
        if self.is_disconnected:
            await checkpoint()
            self._raise_gone()
        try:
            await self._send(kind, message)
        except ClientDisconnected as exc:
            if isinstance(exc, WebSocketClosed):
                self._end = exc.code, exc.reason
            self.is_disconnected = self.was_told = True
            self._end_wait()
            raise
        await checkpoint()

    def _raise_gone(self) -> None:
        self.was_told = True
        raise WebSocketClosed(*self._end)

    async def _send(self, kind: str, message: Message) -> None:
        stage = self._stage
        if kind == "websocket.send" and stage is Stage.OPEN:
            assert self._peer is not None
            await self._peer.send(self._data(message))
        elif kind == _CLOSE and stage is Stage.OPEN:
            await self._close(message)
        elif kind == _CLOSE and stage is Stage.UNDECIDED and not self._is_denying:
            self._stage = Stage.REFUSED
            await self._exchange.respond(403)
            self._end_wait()
        elif kind == _ACCEPT and stage is Stage.UNDECIDED and not self._is_denying:
            await self._accept(message)
        elif kind.startswith(_DENIAL) and stage is Stage.UNDECIDED:
            await self._deny(kind, message)
        elif kind.startswith("websocket."):
            raise self.broken_rule(f"sent {kind} {stage.value}")
        else:
            raise self.broken_rule(f"sent {kind!r}, which is not a message for a WebSocket")

    @property
    def _is_denying(self) -> bool:
        return self._response.stage is not ResponseStage.UNANSWERED

    def _data(self, message: Message) -> str | bytes:
        text, data = message.get("text"), message.get("bytes")
        if (text is None) is (data is None):
            raise self.broken_rule(
                "sent websocket.send that must have either 'text' or 'bytes', and has "
                + ("neither" if text is None else "both")
            )
        if text is None:
            return self.bytes_of(message, "bytes")
        if not isinstance(text, str):
            raise self.broken_rule(
                f"sent websocket.send whose 'text' is a {type(text).__name__}, not a str"
            )
        return text

    async def _accept(self, message: Message) -> None:
        subprotocol = message.get("subprotocol")
        if not isinstance(subprotocol, str | None):
            raise self.broken_rule(
                f"sent {_ACCEPT} whose 'subprotocol' is a {type(subprotocol).__name__}, not a str"
            )
        headers = self.headers(message)
        self._end_wait()
        try:
            async with self._handshake:
                self._peer = await self._exchange.accept_websocket(
                    protocol=subprotocol, headers=headers, compress=True
                )
        except MalformedRequest:
            self._stage = Stage.REFUSED  # by a response that says why
            self.is_disconnected = True
            self._raise_gone()
        except ValueError as exc:
            raise self.broken_rule(f"sent {_ACCEPT} with a bad header: {exc}") from exc
        self._stage = Stage.OPEN
        assert self._group is not None
        assert self._peer is not None
        self._group.start_soon(self._read, self._peer)

    async def _close(self, message: Message) -> None:
        assert self._peer is not None
        code, reason = message.get("code", 1000), message.get("reason") or ""
        if not isinstance(code, int) or not isinstance(reason, str):
            raise self.broken_rule(f"sent {_CLOSE} with the code {code!r} and reason {reason!r}")
        self._stage = Stage.CLOSED
        try:
            await self._peer.send_close(code, reason)
        except ValueError as exc:
            raise self.broken_rule(f"sent {_CLOSE} with what may not be sent: {exc}") from None
        self._end_wait()

    async def _deny(self, kind: str, message: Message) -> None:
        """Take a message of the response that refuses the WebSocket."""
        response = self._response
        if kind == f"{_DENIAL}start":
            response.start(message)
        elif kind == f"{_DENIAL}body":
            await response.send_body(message)
            if response.stage is ResponseStage.OVER:
                self._stage = Stage.REFUSED
                if not self._settings.holds_end:
                    await response.send_rest()
                self._end_wait()
        else:
            raise self.broken_rule(f"sent {kind!r}, which is not a message for a WebSocket")

    # -- the end

    async def _application_returned(self) -> None:
        if self._is_denying:
            missing = self._response.missing()
            if missing is not None:
                raise self.broken_rule(missing)
            await self._response.send_rest()
        elif self._stage is Stage.UNDECIDED:
            raise self.broken_rule("returned without accepting or refusing the WebSocket")
        elif self._peer is not None:
            await self._peer.close()

    async def _answer_failure(self) -> None:
        if self._peer is not None:
            await self._peer.close(_INTERNAL_ERROR)
        elif self._response.is_held:
            await self._response.send_rest()
        elif self._response.is_sent or self._stage is Stage.REFUSED:
            await self._exchange.reset()
        else:
            await respond_failed(self._exchange)


def _is_cancellation(exc: BaseException) -> bool:
    """Whether *exc* has to reach the scope that has been cancelled."""
    kinds = (GeneratorExit, anyio.get_cancelled_exc_class())
    if isinstance(exc, BaseExceptionGroup):
        return exc.subgroup(kinds) is not None
    return isinstance(exc, kinds)
