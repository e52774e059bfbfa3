"""mautrix and matrix-nio, clients of Matrix."""

from __future__ import annotations

from typing import Any

from tests.downstream.expect import raises
from tests.downstream.package import Package
from tests.downstream.stub import Answer, Request, Stub, json_answer

CLIENT = "/_matrix/client/v3"
ROOM = "!r:one.example"


def serve(stub: Stub) -> None:
    """Answer as a homeserver does."""

    def login(request: Request) -> object:
        if request.json["password"] != "right":
            return json_answer({"errcode": "M_FORBIDDEN", "error": "wrong password"}, 403)
        return {"user_id": "@a:one.example", "access_token": "t1", "device_id": "D"}

    def sync(request: Request) -> object:
        event = {
            "type": "m.room.message",
            "event_id": "$1",
            "sender": "@b:one.example",
            "origin_server_ts": 1,
            "content": {"msgtype": "m.text", "body": "ping"},
        }
        timeline = {"events": [event], "limited": False, "prev_batch": "p"}
        room = {"timeline": timeline, "state": {"events": []}, "ephemeral": {"events": []}}
        room |= {"account_data": {"events": []}, "summary": {}, "unread_notifications": {}}
        rooms = {"join": {ROOM: room}, "invite": {}, "leave": {}}
        empty: dict[str, Any] = {name: {"events": []} for name in ("presence", "to_device")}
        return {"next_batch": "n", "rooms": rooms, **empty, "device_one_time_keys_count": {}}

    stub.on("GET /_matrix/client/versions", {"versions": ["v1.11"]})
    stub.on(f"POST {CLIENT}/login", login)
    stub.on(f"GET {CLIENT}/sync", sync)
    stub.on(f"PUT {CLIENT}/rooms/{{room}}/send/m.room.message/{{number}}", {"event_id": "$2"})
    stub.on("POST /_matrix/media/v3/upload", {"content_uri": "mxc://one.example/m"})
    stub.on("GET /_matrix/client/v1/media/download/one.example/m", Answer(b"some bytes"))


async def drive_mautrix(stub: Stub) -> None:
    """Log in, send a message, upload and download, and be refused."""
    from mautrix.api import HTTPAPI
    from mautrix.client import ClientAPI
    from mautrix.errors import MForbidden
    from mautrix.types import RoomID, UserID

    serve(stub)
    client = ClientAPI(mxid=UserID("@a:one.example"), api=HTTPAPI(stub.url))
    with raises(MForbidden):
        await client.login("a", password="wrong")
    assert (await client.login("a", password="right")).access_token == "t1"
    assert await client.send_text(RoomID(ROOM), "pong") == "$2"
    assert await client.upload_media(b"some bytes", mime_type="text/plain")
    assert await client.download_media("mxc://one.example/m") == b"some bytes"
    await client.api.session.close()


async def drive_nio(stub: Stub) -> None:
    """Be refused at its import, as that imports aiohttp-socks."""
    serve(stub)
    with raises(TypeError) as caught:
        import nio  # noqa: F401
    assert "proxy='socks5://...'" in str(caught.error), caught.error


PACKAGES = (
    Package(
        name="matrix-nio",
        version="0.26.0",
        drive=drive_nio,
        driven="its import",
        refused="it imports aiohttp-socks, whose connectors would be passed over",
    ),
    Package(
        name="mautrix",
        version="0.21.1",
        drive=drive_mautrix,
        driven="logging in, sending, upload and download, an error",
    ),
)
