"""LiveKit's server SDK."""

from __future__ import annotations

from tests.downstream.expect import raises
from tests.downstream.package import Package
from tests.downstream.stub import Answer, Request, Stub, json_answer


async def drive(stub: Stub) -> None:
    """Create a room, list rooms, and be refused."""
    from livekit import api

    def create(request: Request) -> Answer:
        asked = api.CreateRoomRequest.FromString(request.body)
        room = api.Room(sid="R1", name=asked.name)
        return Answer(room.SerializeToString(), headers={"Content-Type": "application/protobuf"})

    rooms = api.ListRoomsResponse(rooms=[api.Room(name="one")]).SerializeToString()
    stub.on("POST /twirp/livekit.RoomService/CreateRoom", create)
    stub.on("POST /twirp/livekit.RoomService/ListRooms", Answer(rooms))
    refused = json_answer({"code": "not_found", "msg": "no such room"}, 404)
    stub.on("POST /twirp/livekit.RoomService/DeleteRoom", refused)
    async with api.LiveKitAPI(stub.url, "key", "secret" * 8) as client:
        room = await client.room.create_room(api.CreateRoomRequest(name="one"))
        assert (room.sid, room.name) == ("R1", "one")
        listed = await client.room.list_rooms(api.ListRoomsRequest())
        assert [one.name for one in listed.rooms] == ["one"]
        with raises(api.TwirpError) as caught:
            await client.room.delete_room(api.DeleteRoomRequest(room="none"))
        assert caught.error.code == "not_found"
    assert stub.requests[0].headers["Authorization"].startswith("Bearer ")


PACKAGES = (
    Package(
        name="livekit-api",
        version="1.2.2",
        drive=drive,
        driven="creating and listing rooms, an error",
    ),
)
