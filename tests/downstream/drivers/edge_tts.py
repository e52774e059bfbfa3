"""edge-tts: text to speech over a WebSocket."""

from __future__ import annotations

import struct

from tests.downstream.package import Package
from tests.downstream.stub import Peer, Stub


async def drive(stub: Stub) -> None:
    """List the voices, and have a text spoken."""
    import edge_tts
    import edge_tts.communicate
    import edge_tts.voices

    voice = {"ShortName": "one", "Gender": "Female", "Locale": "en-US"}
    stub.on("GET /voices", [voice])
    stub.on_websocket("/speak", _speak)
    edge_tts.voices.VOICE_LIST = f"{stub.url}/voices?a=b"
    edge_tts.communicate.WSS_URL = f"ws{stub.url[4:]}/speak?a=b"
    assert [one["ShortName"] for one in await edge_tts.list_voices()] == ["one"]
    spoken = [chunk async for chunk in edge_tts.Communicate("Hello World!").stream()]
    assert b"".join(one["data"] for one in spoken if one["type"] == "audio") == b"some sound"


def _speak(peer: Peer) -> None:
    assert "speech.config" in str(peer.receive())
    assert "Hello World!" in str(peer.receive())
    peer.send("X-RequestId:1\r\nPath:turn.start\r\n\r\n{}")
    head = b"X-RequestId:1\r\nContent-Type:audio/mpeg\r\nPath:audio\r\n"
    for piece in (b"some ", b"sound"):
        peer.send(struct.pack(">H", len(head)) + head + piece)
    peer.send("X-RequestId:1\r\nPath:turn.end\r\n\r\n{}")
    while peer.receive() is not None:
        pass


PACKAGES = (
    Package(
        name="edge-tts",
        version="7.3.1",
        drive=drive,
        driven="the list of voices, speech over a WebSocket",
    ),
)
