"""Conversations by WebSocket, over HTTP/1.1."""

from __future__ import annotations

import zlib
from typing import Any, Final

from anyhttp import ClientWebSocketResponse, ClientWSTimeout, WSMsgType
from tests.support.websocket import CLOSE, PING, TEXT, Accept, close, frame, take_frame

from .conversation import LONG, Program
from .http1 import ANY_NAME, Exchange, Parts
from .model import Fault
from .server import FaultyServer
from .wire import Over, Wire

_REFUSAL: Final = b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n"
_WRONG_KEY: Final = b"GET / HTTP/1.1\r\nSec-WebSocket-Key: of another handshake\r\n\r\n"


class WebSocket(Exchange):
    """A WebSocket on which the server sends its content in messages; other calls are requests.

    :param client_closes: the client closes it after the messages, and not the server
    :param compressed: with permessage-deflate
    :param heartbeat: the client pings a peer that stalls
    """

    def __init__(
        self,
        *,
        client_closes: bool = False,
        compressed: bool = False,
        heartbeat: bool = False,
    ) -> None:
        super().__init__()
        self._client_closes = client_closes
        self._compressed = compressed
        self._heartbeat = heartbeat

    def messages(self, name: str) -> Parts:
        """Return what the server says after the handshake: the second message is fragmented."""
        content = self.content(name)
        third = len(content) // 3
        first, second = content[:third], content[third:]
        if self._compressed:
            first, second = _deflated(first, second)
        half = len(second) // 2
        reserved = 4 if self._compressed else 0
        frames = [
            frame(TEXT, first, reserved=reserved),
            frame(PING, b"here?"),
            frame(TEXT, second[:half], last=False, reserved=reserved),
            frame(0, second[half:]),
        ]
        return [("frames", data) for data in frames]

    def sizes(self, part: str, fault: Fault) -> list[int]:
        match part:
            case "handshake":
                return [len(self._answer(_WRONG_KEY))]
            case "close" | "answer to close":
                return [len(close(1000))]
        return [len(data) for name, data in self.messages(ANY_NAME) if name == part]

    def serve(self, wire: Wire, server: FaultyServer) -> None:
        while True:
            raw = wire.take_until(b"\r\n\r\n")
            name = raw.split(b" ")[1].decode().rpartition("/")[2]
            if b"Sec-WebSocket-Key" not in raw:
                self.respond(wire, name, server)
                continue
            self._accept(wire, raw)
            self._talk(wire, name)

    def _talk(self, wire: Wire, name: str) -> None:
        """Say all after the handshake."""
        assert take_frame(wire).opcode == TEXT
        for part, data in self.messages(name):
            wire.say(part, data)
        self._close(wire)

    def _answer(self, raw: bytes) -> bytes:
        fields = ("Sec-WebSocket-Extensions: permessage-deflate",) if self._compressed else ()
        return Accept(fields=fields).data(raw)

    def _accept(self, wire: Wire, raw: bytes) -> None:
        plan = wire.plan
        if plan is not None and plan.part == "handshake":
            if plan.fault is Fault.REFUSE:
                plan.has_happened = plan.is_over = True
                wire.send(_REFUSAL)
                wire.link.half_close()
                wire.until_gone()
            if plan.fault is Fault.WRONG_KEY:
                plan.has_happened = plan.is_over = True
                raw = _WRONG_KEY
        wire.say("handshake", self._answer(raw))

    def _close(self, wire: Wire) -> None:
        if not self._client_closes:
            wire.say("close", close(1000))
        while take_frame(wire).opcode != CLOSE:
            pass
        if self._client_closes:
            wire.say("answer to close", close(1000))
        raise Over

    async def call(self, program: Program) -> None:
        plan = program.server.plan
        if program.name != plan.name:
            await self.send(program)
            return
        stalls = plan.fault is Fault.STALL
        limits = ClientWSTimeout(
            ws_receive=program.short if stalls and plan.part != "answer to close" else LONG,
            ws_close=program.short if stalls and plan.part == "answer to close" else LONG,
        )
        options: dict[str, Any] = {"compress": 15 if self._compressed else 0}
        if self._heartbeat:
            limits = ClientWSTimeout(ws_receive=LONG, ws_close=LONG)
            options["heartbeat"] = program.short if stalls else LONG
        url = self.url(program)
        async with program.session.ws_connect(url, timeout=limits, **options) as ws:
            await ws.send_str("begin")
            await self._receive(ws, program)

    async def _receive(self, ws: ClientWebSocketResponse, program: Program) -> None:
        whole = self.content(program.name)
        while True:
            if self._client_closes and bytes(program.got) == whole:
                await ws.close()
                program.sees = _end_of(ws, "")
                return
            message = await ws.receive()
            if message.type is not WSMsgType.TEXT:
                program.sees = _end_of(ws, f"`{message.type.name}`")
                return
            program.got += message.data.encode()


def _deflated(*messages: bytes) -> list[bytes]:
    """Compress *messages*, one after the other in one context."""
    deflate = zlib.compressobj(wbits=-15)
    return [
        (deflate.compress(each) + deflate.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\0\0\xff\xff")
        for each in messages
    ]


def _end_of(ws: ClientWebSocketResponse, message: str) -> str:
    """Return what the program has seen of the end; empty if it is that of a good server."""
    error = ws.exception()
    if ws.close_code == 1000 and error is None:
        return ""
    names = [message, f"`close_code` {ws.close_code}"]
    if error is not None:
        names.append(f"`exception()` {type(error).__name__}")
    return ", ".join(filter(None, names))
