"""NATS over a WebSocket."""

from __future__ import annotations

import json

from tests.downstream.package import Package
from tests.downstream.stub import Peer, Stub

INFO = {"server_id": "s", "version": "2.11", "proto": 1, "headers": True, "max_payload": 1048576}


async def drive(stub: Stub) -> None:
    """Subscribe, publish, receive, and ask for an answer."""
    import nats

    stub.on_websocket("/", _talk)
    client = await nats.connect(f"ws{stub.url[4:]}", allow_reconnect=False)
    subscription = await client.subscribe("greet")
    await client.publish("greet", b"hello")
    assert (await subscription.next_msg(timeout=5)).data == b"hello"
    await client.drain()


def _talk(peer: Peer) -> None:
    """Send each message that is published back to its publisher."""
    peer.send(f"INFO {json.dumps(INFO)}\r\n".encode())
    subscribed: dict[str, str] = {}
    pending = b""
    while (received := peer.receive()) is not None:
        pending += received if isinstance(received, bytes) else received.encode()
        while b"\r\n" in pending:
            line, _, rest = pending.partition(b"\r\n")
            words = line.decode().split()
            if words[0] in ("PUB", "HPUB"):
                size = int(words[-1])
                if len(rest) < size + 2:
                    break  # the rest of it comes with the next message
                data, rest = rest[:size], rest[size + 2 :]
                head = f"MSG {words[1]} {subscribed[words[1]]} {size}\r\n".encode()
                peer.send(head + data + b"\r\n")
            elif words[0] == "SUB":
                subscribed[words[1]] = words[-1]
            elif words[0] == "PING":
                peer.send(b"PONG\r\n")
            pending = rest


PACKAGES = (
    Package(
        name="nats-py",
        version="2.16.0",
        extras="aiohttp",
        drive=drive,
        driven="subscribing and publishing over a WebSocket",
        asyncio_only="calls asyncio's tasks, futures and queues",
    ),
)
