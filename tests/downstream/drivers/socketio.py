"""Engine.IO and Socket.IO clients: long polling, and the change to a WebSocket."""

from __future__ import annotations

import json
import queue
import threading
from typing import Any

from tests.downstream.expect import wait_until
from tests.downstream.package import Package
from tests.downstream.stub import Answer, Peer, Request, Stub, text_answer

OPEN = {"sid": "s1", "upgrades": ["websocket"], "pingInterval": 25000, "pingTimeout": 20000}


class Polled:
    """The server's end of one client that begins by polling and goes on with a WebSocket."""

    def __init__(self, stub: Stub, path: str) -> None:
        self.upgraded = threading.Event()
        self.received: queue.Queue[str] = queue.Queue()
        self.to_send: queue.Queue[str] = queue.Queue()
        stub.on(f"GET {path}", self.poll)
        stub.on(f"POST {path}", self.take)
        stub.on_websocket(path, self.talk)

    def poll(self, request: Request) -> Answer:
        """Open a session, or send what waits."""
        if "sid" not in request.query:
            return text_answer(f"0{json.dumps(OPEN)}")
        return text_answer(self.to_send.get(timeout=5))

    def take(self, request: Request) -> Answer:
        """Take packets."""
        for packet in request.body.decode().split("\x1e"):
            self.received.put(packet)
            self.reply(packet, self.to_send.put)
        return text_answer("ok")

    def talk(self, peer: Peer) -> None:
        """Change over to the WebSocket, then take packets from it."""
        assert peer.receive() == "2probe"
        peer.send("3probe")
        self.to_send.put("6")  # ends the poll that waits
        assert peer.receive() == "5"
        self.upgraded.set()
        while (packet := peer.receive()) is not None:
            assert isinstance(packet, str)
            self.received.put(packet)
            self.reply(packet, peer.send)

    def reply(self, packet: str, send: Any) -> None:
        """Answer as Socket.IO's server does: to a connection, and to an event."""
        if packet.startswith("40"):
            send('40{"sid":"s2"}')
        elif packet.startswith('421["ask"'):
            send('431["answer"]')
            send('42["told",{"a":1}]')
        elif packet == "4echo":
            send("4echo")


async def drive_engineio(stub: Stub) -> None:
    """Connect, change to a WebSocket, send, and receive."""
    import engineio

    server = Polled(stub, "/engine.io/")
    client = engineio.AsyncClient()
    told: list[object] = []
    client.on("message", told.append)
    await client.connect(stub.url)
    await wait_until(server.upgraded.is_set)
    await client.send("echo")
    await wait_until(lambda: told)
    assert (told, client.transport()) == (["echo"], "websocket")
    await client.disconnect()


async def drive_socketio(stub: Stub) -> None:
    """Connect, ask with an acknowledgement, and be told an event."""
    import socketio

    Polled(stub, "/socket.io/")
    client = socketio.AsyncClient()
    told: list[object] = []
    client.on("told", told.append)
    await client.connect(stub.url)
    assert await client.call("ask", {"b": 2}, timeout=5) == "answer"
    await wait_until(lambda: told)
    assert told == [{"a": 1}]
    await client.disconnect()


PACKAGES = (
    Package(
        name="python-engineio",
        version="4.15.1",
        extras="asyncio-client",
        drive=drive_engineio,
        driven="long polling, the change to a WebSocket, messages both ways",
        asyncio_only="calls asyncio's tasks, events and queues",
    ),
    Package(
        name="python-socketio",
        version="5.18.1",
        extras="asyncio-client",
        drive=drive_socketio,
        driven="an event with an acknowledgement, an event of the server",
        asyncio_only="calls asyncio's tasks, events and queues",
    ),
)
