"""HTTP/2 for the demo server, by the library h2: small answers, and an echo over WebSocket."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from anyio.abc import ByteStream
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, RequestReceived, StreamEnded, StreamReset
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from websockets.frames import Frame
from websockets.protocol import State
from websockets.server import ServerProtocol

from ._demo_websocket import echo

__all__ = ("Http2Connection",)


class Http2Connection:
    """One connection of the client.

    :param answer: returns the body of the response to a method and a path; ``None``: there is
        no response until the client resets the stream
    :param on_stall: called with 1 when a request is left without a response, and with -1 when it
        is over
    """

    def __init__(
        self,
        stream: ByteStream,
        answer: Callable[[str, str], bytes | None],
        on_stall: Callable[[int], None],
    ) -> None:
        self._stream = stream
        self._answer = answer
        self._on_stall = on_stall
        self._h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        # RFC 8441: clients may open WebSockets on streams.
        settings = {
            SettingCodes.ENABLE_CONNECT_PROTOCOL: 1,
            SettingCodes.MAX_CONCURRENT_STREAMS: 100,
        }
        self._h2.local_settings = Settings(client=False, initial_values=settings)
        self._requests: dict[int, Mapping[str, str]] = {}
        self._websockets: dict[int, ServerProtocol] = {}
        self._stalled: set[int] = set()

    async def serve(self) -> None:
        """Answer requests until the client closes the connection.

        :raises anyio.EndOfStream: it has
        """
        self._h2.initiate_connection()
        try:
            while True:
                if data := self._h2.data_to_send():
                    await self._stream.send(data)
                for event in self._h2.receive_data(await self._stream.receive()):
                    self._handle(event)
        except ProtocolError:  # the connection ends, and the step of the demonstration fails
            await self._stream.send(self._h2.data_to_send())
        finally:
            for _ in self._stalled:
                self._on_stall(-1)

    def _handle(self, event: Event) -> None:
        match event:
            case RequestReceived(stream_id=number, headers=fields):
                request = {str(name): str(value) for name, value in fields}
                self._requests[number] = request
                if request.get(":protocol") == "websocket":
                    self._websockets[number] = ServerProtocol(state=State.OPEN)
                    self._h2.send_headers(number, [(":status", "200")])
            case DataReceived(stream_id=number, data=data):
                self._h2.acknowledge_received_data(event.flow_controlled_length, number)
                if number in self._websockets:
                    self._talk(number, data)
            case StreamEnded(stream_id=number) if number in self._websockets:
                del self._websockets[number]
                self._h2.end_stream(number)
            case StreamEnded(stream_id=number):
                self._respond(number)
            case StreamReset(stream_id=number):
                self._websockets.pop(number, None)
                if number in self._stalled:
                    self._stalled.discard(number)
                    self._on_stall(-1)

    def _respond(self, number: int) -> None:
        request = self._requests.pop(number)
        body = self._answer(request[":method"], request[":path"])
        if body is None:
            self._stalled.add(number)
            self._on_stall(1)
            return
        fields = [
            (":status", "200"),
            ("content-type", "application/json"),
            ("content-length", str(len(body))),
        ]
        self._h2.send_headers(number, fields)
        self._h2.send_data(number, body, end_stream=True)

    def _talk(self, number: int, data: bytes) -> None:
        protocol = self._websockets[number]
        protocol.receive_data(data)
        for event in protocol.events_received():
            assert isinstance(event, Frame)
            echo(protocol, event)
        for piece in protocol.data_to_send():
            if piece:  # an empty piece means: end the connection, as the client does
                self._h2.send_data(number, piece)
