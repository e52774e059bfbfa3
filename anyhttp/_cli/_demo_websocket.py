"""An echo over WebSocket for the demo server, by the protocol class of the package websockets."""

from __future__ import annotations

import anyio
from anyio.abc import ByteReceiveStream, ByteStream
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

__all__ = ("echo", "serve_echo")


async def serve_echo(head: bytes, reader: ByteReceiveStream, stream: ByteStream) -> None:
    """Accept the handshake in *head*, and send every message back until the client closes.

    :raises anyio.EndOfStream: the client closed the connection
    """
    protocol = ServerProtocol(extensions=[ServerPerMessageDeflateFactory()], max_size=None)
    data = head
    while True:
        protocol.receive_data(data)
        for event in protocol.events_received():
            if isinstance(event, Request):
                protocol.send_response(protocol.accept(event))
            else:
                assert isinstance(event, Frame)
                echo(protocol, event)
        for piece in protocol.data_to_send():
            if not piece:  # an empty piece means: end the connection
                raise anyio.EndOfStream
            await stream.send(piece)
        data = await reader.receive()


def echo(protocol: ServerProtocol, frame: Frame) -> None:
    """Send a frame of a message back."""
    if frame.opcode is Opcode.TEXT:
        protocol.send_text(frame.data, frame.fin)
    elif frame.opcode is Opcode.BINARY:
        protocol.send_binary(frame.data, frame.fin)
    elif frame.opcode is Opcode.CONT:
        protocol.send_continuation(frame.data, frame.fin)
