"""One call of an ASGI application for one HTTP request."""

from __future__ import annotations

import enum
from typing import Any, ClassVar

from anyio.lowlevel import checkpoint

from ._application import respond_failed
from ._asgi_call import (
    ASGIApplication,
    ASGIProtocolError,
    CallSettings,
    Message,
    RawHeaders,
    ServerCall,
)
from ._client_stream import ClientDisconnected
from ._server_connection import ServerExchange

__all__ = ("HTTPCall", "HTTPResponse", "ResponseStage")


class ResponseStage(enum.Enum):
    """How far the response is; the values are words for messages."""

    UNANSWERED = "before {}start"
    STARTED = "after {}start"
    TRAILERS = "after the last {}body, before the trailers"
    OVER = "after the end of the response"


class HTTPResponse:
    """The messages by which an application sends a response, and what has become of them.

    The head is sent with the first part of the body, so that a failure in between is a status 500.

    :param call: what the response is sent for
    :param prefix: ``"http.response."``, or that for a WebSocket that is refused
    """

    def __init__(self, call: ServerCall, exchange: ServerExchange, prefix: str) -> None:
        self._call = call
        self._exchange = exchange
        self._prefix = prefix
        self.stage: ResponseStage = ResponseStage.UNANSWERED
        #: whether something has been sent to the client
        self.is_sent: bool = False
        self._status = 0
        self._headers: RawHeaders = []
        self._has_trailers = False
        self._trailers: RawHeaders = []
        self._left: int | None = None  # what is missing of the Content-Length, if there is one
        self._completing = b""  # a part that completes the Content-Length before the last message
        self._last: bytes | None = None  # the last part, until it is sent

    def start(self, message: Message) -> None:
        """Take the head."""
        call = self._call
        if self.stage is not ResponseStage.UNANSWERED:
            raise self.too_early_or_late(message)
        self._status, self._headers = call.status(message), call.headers(message)
        self._has_trailers = bool(message.get("trailers", False))
        for name, value in self._headers:
            if name.lower() == b"content-length":
                if not value.isdigit():
                    raise call.broken_rule(f"sent the Content-Length {value!r}, not a number")
                self._left = int(value)
        self.stage = ResponseStage.STARTED

    async def send_body(self, message: Message) -> None:
        """Take a part of the body, and send it unless it is the last."""
        call = self._call
        if self.stage is not ResponseStage.STARTED:
            raise self.too_early_or_late(message)
        body, more = call.bytes_of(message, "body"), bool(message.get("more_body", False))
        self._check_length(len(body), more=more)
        if more and self._left == 0:
            self._completing += body
        elif more:
            await self._send_head()
            await self._exchange.send(body)
        if more:
            return
        self._last = self._completing + body
        self.stage = ResponseStage.TRAILERS if self._has_trailers else ResponseStage.OVER

    def take_trailers(self, message: Message) -> None:
        """Take fields that come after the body."""
        if self.stage is not ResponseStage.TRAILERS:
            where = self.stage.value.format(self._prefix)
            if self.stage is ResponseStage.OVER and not self._has_trailers:
                where = "without announcing them by 'trailers': True in http.response.start"
            raise self._call.broken_rule(f"sent {message['type']} {where}")
        if self._left is not None:
            raise self._call.broken_rule(f"sent {message['type']} for a body with Content-Length")
        self._trailers += self._call.headers(message)
        if not message.get("more_trailers", False):
            self.stage = ResponseStage.OVER

    async def send_rest(self) -> None:
        """Send what has been held back."""
        last, self._last = self._last, None
        if last is None:
            return
        await self._send_head()
        if last:
            await self._exchange.send(last)
        try:
            await self._exchange.finish(self._trailers)
        except ValueError as exc:
            raise self._call.broken_rule(
                f"sent {self._prefix}trailers with a bad header: {exc}"
            ) from exc

    def too_early_or_late(self, message: Message) -> ASGIProtocolError:
        """Return the error of an application that has sent *message* at the wrong time."""
        where = self.stage.value.format(self._prefix)
        return self._call.broken_rule(f"sent {message['type']} {where}")

    @property
    def is_held(self) -> bool:
        """Whether the whole response is there, and its end has not been sent."""
        return self.stage is ResponseStage.OVER and self._last is not None

    def missing(self) -> str | None:
        """Return what an application that returns now has failed to do."""
        return {
            ResponseStage.UNANSWERED: "returned without sending a response",
            ResponseStage.STARTED: "returned before the end of the response: it has sent no "
            f"{self._prefix}body without 'more_body'",
            ResponseStage.TRAILERS: "returned without the trailers that it had announced",
            ResponseStage.OVER: None,
        }[self.stage]

    async def _send_head(self) -> None:
        if self.is_sent:
            return
        self.is_sent = True
        try:
            await self._exchange.start(self._status, self._headers)
        except ValueError as exc:
            self.is_sent = False
            raise self._call.broken_rule(
                f"sent {self._prefix}start with a bad header: {exc}"
            ) from exc

    def _check_length(self, size: int, *, more: bool) -> None:
        """Compare the body with what the head says of it."""
        call = self._call
        if self._exchange.method == "HEAD":
            return  # the body is not sent
        if self._status in {204, 304}:
            if size:
                raise call.broken_rule(
                    f"sent {size} bytes of body with the status {self._status}, which has none"
                )
        elif self._left is not None:
            self._left -= size
            if self._left < 0:
                raise call.broken_rule(f"sent {-self._left} bytes more than its Content-Length")
            if self._left and not more:
                raise call.broken_rule(f"sent {self._left} bytes less than its Content-Length")


class HTTPCall(ServerCall):
    """One call of an application for one HTTP request."""

    # What uvicorn says: sending does nothing when the client has gone.  Frameworks that are told of
    # a later version learn of the end of an idle stream only when they send.
    _spec_version: ClassVar[str] = "2.3"

    def __init__(
        self, app: ASGIApplication, exchange: ServerExchange, settings: CallSettings
    ) -> None:
        super().__init__(app, exchange, settings)
        self._response = HTTPResponse(self, exchange, "http.response.")
        self._is_received = False  # the whole request

    def _scope(self) -> dict[str, Any]:
        return {
            "type": "http",
            "method": self._exchange.method,
            **super()._scope(),
            "extensions": {"http.response.trailers": {}, "http.response.early_hint": {}},
        }

    @property
    def is_over(self) -> bool:
        return self._response.stage is ResponseStage.OVER

    @property
    def is_delivered(self) -> bool:
        return self.is_over and not self._response.is_held

    async def receive(self) -> Message:
        async with self._turn:
            message = await self._next()
            if message is None:
                self.was_told = True
                message = {"type": "http.disconnect"}
            return message

    async def _next_message(self) -> Message | None:
        exchange = self._exchange
        if self._is_received:
            await exchange.wait_disconnect()
            return None
        protocol = exchange.connection.protocol
        pieces = [await exchange.receive()]
        # What has come with this piece goes into one message.
        while (event := protocol.next_event()) is not None:
            if isinstance(event, bytes):
                pieces.append(event)
        self._is_received = protocol.request_is_over
        return {
            "type": "http.request",
            "body": b"".join(pieces),
            "more_body": not self._is_received,
        }

    async def send(self, message: Message) -> None:
        kind = self._kind(message)
        if self.is_disconnected:
            await checkpoint()
            return
        try:
            await self._send(kind, message)
        except ClientDisconnected:
            self.is_disconnected = True
            self._end_wait()

    async def _send(self, kind: str, message: Message) -> None:
        response = self._response
        if kind == "http.response.start":
            response.start(message)
        elif kind == "http.response.body":
            await response.send_body(message)
        elif kind == "http.response.trailers":
            response.take_trailers(message)
        elif kind == "http.response.early_hint":
            await self._send_hint(message)
        else:
            raise self.broken_rule(f"sent {kind!r}, which is not a message for an HTTP response")
        if self.is_over:
            if not self._settings.holds_end:
                await response.send_rest()  # before a task that receives may cancel this one
            self._end_wait()
        await checkpoint()

    async def _send_hint(self, message: Message) -> None:
        """Send a status 103 (:rfc:`8297`)."""
        if self._response.stage is not ResponseStage.UNANSWERED:
            raise self._response.too_early_or_late(message)
        links = message.get("links", ())
        if isinstance(links, (str, bytes)) or not all(isinstance(link, bytes) for link in links):
            raise self.broken_rule(f"sent {message['type']} whose 'links' is not a list of bytes")
        await self._exchange.inform(103, [(b"Link", link) for link in links])

    async def _application_returned(self) -> None:
        missing = self._response.missing()
        if missing is not None:
            raise self.broken_rule(missing)
        await self._response.send_rest()

    async def _answer_failure(self) -> None:
        if self._response.is_held:
            await self._response.send_rest()
        elif not self._response.is_sent:
            await respond_failed(self._exchange)
        else:
            await self._exchange.reset()
