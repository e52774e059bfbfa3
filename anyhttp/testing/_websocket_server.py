"""The server's side of a WebSocket (:rfc:`6455`, :rfc:`7692`), on the package ``websockets``."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from typing import Any, Final, Self

import anyio
from anyio.lowlevel import checkpoint
from multidict import CIMultiDictProxy
from websockets.datastructures import Headers as HandshakeHeaders
from websockets.exceptions import ProtocolError
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Close, CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from yarl import URL

from ._client_stream import ClientDisconnected, ClientStream
from ._http1_server import RequestHead

__all__ = ("WebSocketClosed", "WebSocketPeer", "answer_handshake")

#: The code that stands for "there was no CLOSE frame" (RFC 6455 §7.1.5).
_NO_CLOSE: Final = 1006
#: Those fields of the response that belong to the handshake.
_HANDSHAKE: Final = ("Upgrade", "Connection", "Sec-WebSocket-Accept", "Sec-WebSocket-Extensions")


class WebSocketClosed(ClientDisconnected):
    """The WebSocket is closed: by the client, or because the client broke the protocol.

    :param code: the code of the CLOSE frame; 1005 if the frame had none, 1006 if no frame came
    :param reason: the text of the CLOSE frame
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"the WebSocket is closed: {code} {reason}".rstrip())
        self.code: int = code
        self.reason: str = reason


class HandshakeAnswer:
    """The answer to the request that begins a WebSocket.

    :param refusal: why the request is none; empty if it is accepted
    """

    __slots__ = ("headers", "protocol", "refusal", "status")

    def __init__(
        self, protocol: ServerProtocol, status: int, headers: list[tuple[str, str]], refusal: str
    ) -> None:
        self.protocol = protocol
        self.status = status
        self.headers = headers
        self.refusal = refusal


def answer_handshake(
    head: RequestHead, *, protocol: str | None = None, compress: bool = False
) -> HandshakeAnswer:
    """Accept or refuse the request *head* as the handshake of a WebSocket, without I/O.

    :param protocol: the subprotocol to choose, whether the client has offered it or not
    :param compress: compress messages, if the client offers that
    """
    extensions = [ServerPerMessageDeflateFactory()] if compress else None
    server = ServerProtocol(extensions=extensions, state=State.OPEN, max_size=None)
    fields = HandshakeHeaders(head.headers.items())
    request = Request(head.target, fields, head.method, f"HTTP/{head.version}")
    response = server.accept(request)
    if response.status_code != 101:
        refusal = (response.body or b"").decode().strip()
        return HandshakeAnswer(server, response.status_code, [], refusal)
    headers = [(name, response.headers[name]) for name in _HANDSHAKE if name in response.headers]
    if protocol is not None:
        headers.append(("Sec-WebSocket-Protocol", protocol))
    return HandshakeAnswer(server, 101, headers, "")


class WebSocketPeer:
    """The server's end of a WebSocket.

    PINGs of the client are answered, and its CLOSE is, while a task receives.  One task at a time
    may receive; any number may send.
    """

    def __init__(
        self,
        stream: ClientStream,
        protocol: ServerProtocol,
        url: URL,
        headers: CIMultiDictProxy[str],
        received: bytes = b"",
    ) -> None:
        self._stream = stream
        self._protocol = protocol
        self._received = received  # after the handshake, with its bytes
        self._messages: deque[str | bytes] = deque()
        self._fragments: list[bytes | bytearray | memoryview] = []
        self._is_text = False
        self._sending = anyio.Lock()
        self._is_gone = False
        #: the URL of the request
        self.url: URL = url
        #: header fields of the request
        self.headers: CIMultiDictProxy[str] = headers
        #: what the named parts of the route's URL stand for in this request
        self.path_params: Mapping[str, str] = {}
        #: what PONG frames of the client have carried
        self.pongs: list[bytes] = []

    @property
    def close_code(self) -> int | None:
        """The code with which the WebSocket was closed; ``None`` while it is open.

        It is the client's code; 1006 if the client went without one; and that of the server if the
        client broke the protocol.
        """
        close = self._close()
        if close is not None:
            return int(close.code)
        return _NO_CLOSE if self._is_gone else None

    @property
    def close_reason(self) -> str:
        """The reason with which the WebSocket was closed, as :attr:`close_code`."""
        close = self._close()
        return "" if close is None else close.reason

    def _close(self) -> Close | None:
        protocol = self._protocol
        return protocol.close_rcvd if protocol.parser_exc is None else protocol.close_sent

    async def receive(self) -> str | bytes:
        """Return the next message, a text as ``str``.

        :raises WebSocketClosed: the client has closed the WebSocket, or is gone, or broke the
            protocol
        """
        while not self._messages:
            self._check_open()
            await self._receive_more()
        await checkpoint()
        return self._messages.popleft()

    async def receive_json(self) -> Any:
        """Return what the next message holds as JSON.

        :raises WebSocketClosed: as for :meth:`receive`
        """
        return json.loads(await self.receive())

    def __aiter__(self) -> Self:
        """Return the peer, which yields messages until the WebSocket is closed."""
        return self

    async def __anext__(self) -> str | bytes:
        try:
            return await self.receive()
        except WebSocketClosed:
            raise StopAsyncIteration from None

    async def send(self, message: str | bytes) -> None:
        """Send a text message (``str``) or a binary one (``bytes``).

        :raises WebSocketClosed: the WebSocket is closed
        """
        self._check_open()
        if isinstance(message, str):
            self._protocol.send_text(message.encode())
        else:
            self._protocol.send_binary(message)
        await self._flush()

    async def send_json(self, value: object) -> None:
        """Send *value* as a text message in JSON.

        :raises TypeError: JSON cannot express it
        :raises WebSocketClosed: the WebSocket is closed
        """
        await self.send(json.dumps(value))

    async def send_raw(self, data: bytes) -> None:
        """Send bytes as they are, whatever frames they are.

        :raises WebSocketClosed: the client is gone
        """
        async with self._sending:
            await self._send(data)

    async def ping(self, data: bytes = b"") -> None:
        """Send a PING; :attr:`pongs` gets the answer, while a task receives.

        :raises WebSocketClosed: the WebSocket is closed
        """
        self._check_open()
        self._protocol.send_ping(data)
        await self._flush()

    async def send_close(self, code: int = 1000, reason: str = "") -> None:
        """Send a CLOSE frame, unless one has been sent; do not wait for the answer.

        :raises ValueError: *code* must not be sent
        :raises WebSocketClosed: the client is gone
        """
        if self._protocol.state is State.OPEN and not self._is_gone:
            try:
                self._protocol.send_close(code, reason)
            except ProtocolError as exc:
                raise ValueError(f"code {code} or reason {reason!r}: {exc}") from None
        await self._flush()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the WebSocket, and wait until the client has done so too, or is gone.

        Messages that come meanwhile are dropped.  Closing again does nothing.

        :raises ValueError: *code* must not be sent
        """
        try:
            await self.send_close(code, reason)
            while self.close_code is None:
                await self._receive_more()
        except WebSocketClosed:
            pass
        await self._stream.aclose()

    async def abort(self) -> None:
        """End the connection by a reset, without a CLOSE frame."""
        self._is_gone = True
        await self._stream.reset()

    def _check_open(self) -> None:
        if self._is_gone or self._protocol.state is not State.OPEN:
            raise self._closed()

    def _closed(self) -> WebSocketClosed:
        code = self.close_code
        closed = WebSocketClosed(_NO_CLOSE if code is None else code, self.close_reason)
        closed.__cause__ = self._protocol.parser_exc
        return closed

    async def _receive_more(self) -> None:
        """Receive bytes and take what frames they hold.

        :raises WebSocketClosed: there are no more, or they break the protocol
        """
        protocol = self._protocol
        data, self._received = self._received, b""
        if not data:
            try:
                data = await self._stream.receive()
            except ClientDisconnected as exc:
                self._is_gone = True
                raise self._closed() from exc.__cause__
        protocol.receive_data(data)
        for event in protocol.events_received():
            assert isinstance(event, Frame)
            self._take(event)
        await self._flush()

    def _take(self, frame: Frame) -> None:
        if frame.opcode in {Opcode.TEXT, Opcode.BINARY, Opcode.CONT}:
            if frame.opcode is not Opcode.CONT:
                self._is_text = frame.opcode is Opcode.TEXT
            self._fragments.append(frame.data)
            if frame.fin:
                self._take_message(b"".join(self._fragments))
                self._fragments.clear()
        elif frame.opcode is Opcode.PONG:
            self.pongs.append(bytes(frame.data))

    def _take_message(self, data: bytes) -> None:
        if not self._is_text:
            self._messages.append(data)
            return
        try:
            self._messages.append(data.decode())
        except UnicodeDecodeError as exc:
            self._protocol.fail(CloseCode.INVALID_DATA, "a text is not UTF-8")
            self._protocol.parser_exc = exc

    async def _flush(self) -> None:
        """Send what the protocol has to send."""
        async with self._sending:
            pieces = self._protocol.data_to_send()
            await self._send(b"".join(pieces))
            if pieces and not pieces[-1]:  # it sends no more
                await self._stream.send_eof()

    async def _send(self, data: bytes) -> None:
        try:
            await self._stream.send(data)
        except ClientDisconnected as exc:
            self._is_gone = True
            raise self._closed() from exc
