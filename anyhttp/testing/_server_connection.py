"""The server's side of one connection: it serves requests over any byte stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from anyio.abc import ByteStream, SocketAttribute
from anyio.lowlevel import checkpoint
from anyio.streams.buffered import BufferedByteStream
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from .._common import parsed_url
from ._client_stream import ClientDisconnected, ClientStream
from ._http1_server import (
    Headers,
    Http1Server,
    MalformedRequest,
    RequestEnd,
    RequestHead,
    header_pairs,
)

if TYPE_CHECKING:
    from ._websocket_server import WebSocketPeer

__all__ = ("ServerConnection", "ServerExchange")


class ServerConnection:
    """Serves the requests that come in over *stream*, one after another.

    :param scheme: of the URLs of the requests
    :param client: the client's address; by default the one that the stream knows
    """

    def __init__(
        self, stream: ByteStream, *, scheme: str = "http", client: tuple[str, int] | None = None
    ) -> None:
        self.stream: ClientStream = ClientStream(stream)
        self.scheme: str = scheme
        if client is None:
            address = stream.extra(SocketAttribute.remote_address, None)
            client = address[:2] if isinstance(address, tuple) else None
        self.client: tuple[str, int] | None = client
        #: the protocol, whose methods make the bytes of responses
        self.protocol: Http1Server = Http1Server()

    async def next_request(self) -> ServerExchange | None:
        """Return the next request, as soon as its head is there.

        What the handler has left of the last request's body is received and dropped.

        :returns: ``None`` if there will be no other request: the client has closed the connection,
            or the last response ended it, or was not finished
        :raises MalformedRequest: the client sent what is no request
        :raises ClientDisconnected: the client left in the middle of a request
        """
        protocol = self.protocol
        if protocol.head is not None:
            if self.stream.is_torn or not (protocol.can_go_on and protocol.response_is_over):
                return None
            while not protocol.request_is_over:
                if protocol.next_event() is None:
                    await self.receive_more()
            protocol.next_exchange()
        while (head := protocol.next_event()) is None:
            try:
                await self.receive_more()
            except ClientDisconnected:
                if protocol.is_idle:
                    return None
                raise
        assert isinstance(head, RequestHead)
        return ServerExchange(self, head)

    async def receive_more(self) -> None:
        """Receive bytes for :attr:`protocol`.

        :raises ClientDisconnected: there are no more
        """
        self.protocol.receive_data(await self.stream.receive())

    async def send(self, data: bytes) -> None:
        """Send bytes of a response.

        After a cancellation there will be no other request, because a part may be missing.

        :raises ClientDisconnected: the client is gone
        """
        await self.stream.send(data)

    async def reset(self) -> None:
        """End the connection by a reset, which the client sees as a failure."""
        self.protocol.can_go_on = False
        await self.stream.reset()

    async def aclose(self) -> None:
        """Close the connection."""
        await self.stream.aclose()


class ServerExchange:
    """A request that has come in, and the methods to respond to it.

    Every method that waits raises :exc:`ClientDisconnected` if the client has gone.
    """

    def __init__(self, connection: ServerConnection, head: RequestHead) -> None:
        self.connection: ServerConnection = connection
        #: first line and header fields of the request
        self.head: RequestHead = head
        self._body: bytes | None = None  # when read() has returned
        self._ahead = b""  # what read_ahead() has returned, until receive() returns it
        #: what came after a body in chunks, once the body has been received
        self.trailers: CIMultiDictProxy[str] = CIMultiDictProxy(CIMultiDict())

    @property
    def method(self) -> str:
        """The method of the request."""
        return self.head.method

    @property
    def target(self) -> str:
        """What the first line of the request asks for, as the client wrote it."""
        return self.head.target

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """The header fields of the request."""
        return self.head.headers

    @property
    def url(self) -> URL:
        """The URL of the request; of CONNECT, host and port alone.

        :raises MalformedRequest: it is none
        """
        try:
            url = self._url()
            _ = url.port  # which is checked when somebody asks for it
        except ValueError as exc:
            raise MalformedRequest(f"not a URL: {exc}") from None
        return url

    def _url(self) -> URL:
        target = self.head.target
        if self.head.method == "CONNECT":
            return parsed_url(f"//{target}", encoded=True)
        if not target.startswith(("/", "*")):
            return parsed_url(target, encoded=True)  # as a proxy gets it
        host = self.head.headers.get("Host", "")
        path = "" if target == "*" else target
        return parsed_url(f"{self.connection.scheme}://{host}{path}", encoded=True)

    @property
    def is_for_proxy(self) -> bool:
        """Whether the client took this server for a proxy: it asked for a whole URL or a tunnel."""
        return self.head.method == "CONNECT" or not self.head.target.startswith(("/", "*"))

    # -- the request's body

    async def receive(self) -> bytes:
        """Return the next part of the body, as soon as it comes; ``b""`` at the end.

        :raises MalformedRequest: the client broke the protocol
        """
        connection = self.connection
        protocol = connection.protocol
        if self._ahead:
            await checkpoint()
            ahead, self._ahead = self._ahead, b""
            return ahead
        if protocol.expects_continue:
            await connection.send(protocol.go_on())
        while not protocol.request_is_over:
            event = protocol.next_event()
            if isinstance(event, bytes):
                return event
            if isinstance(event, RequestEnd):
                self.trailers = event.trailers
            else:
                await connection.receive_more()
        await checkpoint()
        return b""

    async def read(self) -> bytes:
        """Return the body, or the rest of it; later calls return the same.

        :raises MalformedRequest: the client broke the protocol
        """
        if self._body is None:
            self._body = b"".join([piece async for piece in self])
        return self._body

    async def read_ahead(self) -> bytes:
        """Return the body, which :meth:`receive` then returns all the same.

        :raises MalformedRequest: the client broke the protocol
        """
        self._ahead = await self.read()
        return self._ahead

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if piece := await self.receive():
            return piece
        raise StopAsyncIteration

    # -- the response

    async def inform(self, status: int, headers: Headers = ()) -> None:
        """Send an interim response, such as 103 (Early Hints); see :meth:`Http1Server.inform`."""
        await self.connection.send(self.connection.protocol.inform(status, headers))

    async def start(
        self, status: int = 200, headers: Headers = (), reason: str | None = None
    ) -> None:
        """Send the head of the response; see :meth:`Http1Server.start`."""
        await self.connection.send(self.connection.protocol.start(status, headers, reason))

    async def send(self, data: bytes) -> None:
        """Send a part of the body."""
        await self.connection.send(self.connection.protocol.send_data(data))

    async def finish(self, trailers: Headers = ()) -> None:
        """End the response; see :meth:`Http1Server.finish`."""
        await self.connection.send(self.connection.protocol.finish(trailers))

    async def respond(
        self,
        status: int = 200,
        headers: Headers = (),
        body: bytes = b"",
        reason: str | None = None,
    ) -> None:
        """Send a whole response; see :meth:`Http1Server.respond`."""
        await self.connection.send(self.connection.protocol.respond(status, headers, body, reason))

    async def send_raw(self, data: bytes) -> None:
        """Send bytes as they are, whatever they mean; no other request follows."""
        self.connection.protocol.can_go_on = False
        await self.connection.send(data)

    async def reset(self) -> None:
        """End the connection by a reset, which the client sees as a failure."""
        await self.connection.reset()

    async def wait_disconnect(self) -> None:
        """Wait until the client closes the connection, or it breaks.

        What the client sends meanwhile is kept.
        """
        try:
            while True:
                await self.connection.receive_more()
        except ClientDisconnected:
            pass

    def detach(self) -> ByteStream:
        """Return the stream, after a status 101 or a tunnel: what follows is no HTTP."""
        stream = BufferedByteStream(self.connection.stream.stream)
        stream.feed_data(self.connection.protocol.take_rest())
        return stream

    async def accept_websocket(
        self, *, protocol: str | None = None, headers: Headers = (), compress: bool = False
    ) -> WebSocketPeer:
        """Accept the request as the handshake of a WebSocket.

        :param protocol: the subprotocol to choose
        :param headers: further fields of the response
        :param compress: compress messages, if the client offers that
        :raises MalformedRequest: the request is no such handshake; it has been refused
        """
        # Imported here, as the import is slow and most programs open no WebSocket.
        from ._websocket_server import WebSocketPeer, answer_handshake

        http = self.connection.protocol
        answer = answer_handshake(self.head, protocol=protocol, compress=compress)
        if answer.refusal:
            await self.respond(answer.status, headers, answer.refusal.encode())
            raise MalformedRequest(answer.refusal)
        await self.read()  # the request has no body, but its end has to be taken
        await self.start(101, [*answer.headers, *header_pairs(headers)])
        return WebSocketPeer(
            self.connection.stream, answer.protocol, self.url, self.headers, http.take_rest()
        )
