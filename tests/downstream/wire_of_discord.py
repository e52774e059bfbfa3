"""A small Discord: its HTTP API, and its gateway over a WebSocket."""

from __future__ import annotations

import json
import threading
import zlib
from collections.abc import Sequence
from typing import Any

from tests.downstream.stub import Answer, Peer, Request, Stub, json_answer

VERSIONED = "/api/v{version}"
TOKEN = "MQ.a.b"  # begins with the number of the bot, in base64
BOT: dict[str, object] = {
    "id": "1",
    "username": "bot",
    "discriminator": "0",
    "avatar": None,
    "bot": True,
}
BOT |= {"mfa_enabled": False, "flags": 0, "public_flags": 0, "global_name": None}
AUTHOR = {**BOT, "id": "2", "username": "someone", "bot": False}
CHANNEL = {"id": "3", "type": 1, "last_message_id": None, "recipients": [AUTHOR]}
APPLICATION = {
    "id": "1",
    "name": "bot",
    "icon": None,
    "description": "",
    "summary": "",
    "bot_public": True,
    "bot_require_code_grant": False,
    "verify_key": "",
    "flags": 0,
    "hook": True,
    "team": None,
    "owner": AUTHOR,
}
TIMESTAMP = "2026-01-01T00:00:00.000000+00:00"


class Discord:
    """What a bot sees: it is told of one message, and what it says to that is noted."""

    def __init__(self, stub: Stub) -> None:
        self.said: list[str] = []
        self.identified: list[Any] = []
        self.gateway = f"ws{stub.url[4:]}"
        self.answered = threading.Event()
        limits = {"total": 1000, "remaining": 999, "reset_after": 1, "max_concurrency": 1}
        gateway = {"url": self.gateway, "shards": 1, "session_start_limit": limits}
        stub.on(f"GET {VERSIONED}/gateway", {"url": self.gateway})
        stub.on(f"GET {VERSIONED}/gateway/bot", gateway)
        stub.on(f"GET {VERSIONED}/users/@me", BOT)
        stub.on(f"GET {VERSIONED}/oauth2/applications/@me", APPLICATION)
        stub.on(f"GET {VERSIONED}/applications/@me", APPLICATION)
        stub.on(f"GET {VERSIONED}/applications/1/commands", [])
        stub.on(f"PUT {VERSIONED}/applications/1/commands", [])
        stub.on(f"POST {VERSIONED}/users/@me/channels", CHANNEL)
        stub.on(f"GET {VERSIONED}/channels/3", CHANNEL)
        stub.on(f"GET {VERSIONED}/users/2", AUTHOR)
        stub.on(f"GET {VERSIONED}/users/9", json_answer({"message": "Unknown User"}, 404))
        stub.on(f"POST {VERSIONED}/channels/3/messages", self.take)
        stub.on_websocket("/", self.talk)

    def take(self, request: Request) -> Answer:
        """Note a message of the bot."""
        assert request.headers["Authorization"] == f"Bot {TOKEN}"
        self.said.append(request.json["content"])
        self.answered.set()
        return json_answer(message("12", self.said[-1], BOT))

    def talk(self, peer: Peer | Compressing) -> None:
        """Greet, take who it is, tell of a message, and acknowledge every heartbeat."""
        if isinstance(peer, Peer) and "compress" in peer.request.query:
            peer = Compressing(peer, peer.request.query["compress"])
        peer.send_json({"op": 10, "d": {"heartbeat_interval": 41250}, "s": None, "t": None})
        asked = peer.receive_json()
        while asked["op"] != 2:
            asked = peer.receive_json()
        self.identified.append(asked["d"])
        ready = {
            "v": 10,
            "user": BOT,
            "guilds": [],
            "session_id": "s",
            "resume_gateway_url": self.gateway,
            "application": {"id": "1", "flags": 0},
            "private_channels": [],
        }
        tell(peer, 1, "READY", ready)
        tell(peer, 2, "MESSAGE_CREATE", message("11", "ping", AUTHOR))
        while (received := peer.receive()) is not None:
            if b'"op":1,' in _bytes(received).replace(b" ", b""):
                peer.send_json({"op": 11, "d": None, "s": None, "t": None})


class Compressing:
    """A peer that sends one compressed stream, in pieces that end where a message ends."""

    def __init__(self, peer: Peer, form: str) -> None:
        self._peer = peer
        self._compressor: Any = zlib.compressobj()
        self._flush = zlib.Z_SYNC_FLUSH
        if form == "zstd-stream":
            from backports import zstd

            self._compressor = zstd.ZstdCompressor()
            self._flush = zstd.ZstdCompressor.FLUSH_BLOCK
        self.receive, self.receive_json = peer.receive, peer.receive_json

    def send_json(self, value: object) -> None:
        """Send *value* as bytes."""
        data = self._compressor.compress(json.dumps(value).encode())
        self._peer.send(data + self._compressor.flush(self._flush))


def tell(peer: Peer | Compressing, number: int, name: str, data: object) -> None:
    """Send the bot an event."""
    peer.send_json({"op": 0, "s": number, "t": name, "d": data})


def message(number: str, content: str, author: object) -> dict[str, object]:
    """Return a message in the channel."""
    empty: Sequence[str] = ("mentions", "mention_roles", "attachments", "embeds", "reactions")
    return {
        "id": number,
        "channel_id": "3",
        "author": author,
        "content": content,
        "timestamp": TIMESTAMP,
        "edited_timestamp": None,
        "tts": False,
        "mention_everyone": False,
        "pinned": False,
        "type": 0,
        "flags": 0,
        "components": [],
        **{name: [] for name in empty},
    }


def _bytes(received: str | bytes) -> bytes:
    return received.encode() if isinstance(received, str) else received
