"""lavalink, a client of the audio server of that name."""

from __future__ import annotations

import threading

from tests.downstream.expect import wait_until
from tests.downstream.package import Package
from tests.downstream.stub import Peer, Stub


async def drive(stub: Stub) -> None:
    """Open the WebSocket, be told that the server is ready, and search for a track."""
    import lavalink

    track = {
        "encoded": "x",
        "info": {
            "identifier": "i",
            "isSeekable": True,
            "author": "someone",
            "length": 1000,
            "isStream": False,
            "position": 0,
            "title": "a song",
            "uri": None,
            "artworkUrl": None,
            "isrc": None,
            "sourceName": "local",
        },
        "pluginInfo": {},
        "userData": {},
    }
    greeted = threading.Event()

    def talk(peer: Peer) -> None:
        assert peer.request.headers["Authorization"] == "secret"
        peer.send_json({"op": "ready", "resumed": False, "sessionId": "s"})
        greeted.set()
        while peer.receive() is not None:
            pass

    stub.on_websocket("/v4/websocket", talk)
    stub.on("GET /v4/loadtracks", {"loadType": "search", "data": [track]})
    client = lavalink.Client(1)
    node = client.add_node(stub.host, stub.port, "secret", "eu")
    await wait_until(greeted.is_set)
    await wait_until(lambda: node.session_id)
    found = await node.get_tracks("search:a song")
    assert [one.title for one in found.tracks] == ["a song"]
    await client.close()


PACKAGES = (
    Package(
        name="lavalink",
        version="5.11.1",
        drive=drive,
        driven="the WebSocket, a search",
        asyncio_only="calls asyncio's tasks and loop",
    ),
)
