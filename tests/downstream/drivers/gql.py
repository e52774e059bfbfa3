"""gql over HTTP and over a WebSocket, both with aiohttp."""

from __future__ import annotations

from tests.downstream.expect import raises
from tests.downstream.package import Package
from tests.downstream.stub import Peer, Request, Stub


async def drive(stub: Stub) -> None:
    """Query, upload a file, be refused, and subscribe."""
    from gql import Client, FileVar, gql
    from gql.transport.aiohttp import AIOHTTPTransport
    from gql.transport.exceptions import TransportQueryError

    stub.on("POST /graphql", _answer)
    transport = AIOHTTPTransport(url=f"{stub.url}/graphql", headers={"Authorization": "token"})
    async with Client(transport=transport) as session:
        assert await session.execute(gql("query { name }")) == {"name": "one"}
        upload = gql("mutation ($file: Upload!) { upload(file: $file) }")
        upload.variable_values = {"file": FileVar(b"text", filename="a.txt")}
        assert await session.execute(upload, upload_files=True) == {"upload": True}
        with raises(TransportQueryError):
            await session.execute(gql("query { wrong }"))
    assert stub.requests[0].headers["Authorization"] == "token"
    await drive_subscription(stub)


async def drive_subscription(stub: Stub) -> None:
    """Take what a subscription sends, to its end."""
    from gql import Client, gql
    from gql.transport.aiohttp_websockets import AIOHTTPWebsocketsTransport

    def talk(peer: Peer) -> None:
        assert peer.receive_json()["type"] == "connection_init"
        peer.send_json({"type": "connection_ack"})
        asked = peer.receive_json()
        for number in (1, 2):
            data = {"data": {"count": number}}
            peer.send_json({"type": "next", "id": asked["id"], "payload": data})
        peer.send_json({"type": "complete", "id": asked["id"]})
        while peer.receive() is not None:
            pass

    stub.on_websocket("/graphql", talk)
    transport = AIOHTTPWebsocketsTransport(
        url=f"ws{stub.url[4:]}/graphql", subprotocols=["graphql-transport-ws"]
    )
    async with Client(transport=transport) as session:
        counted = [one async for one in session.subscribe(gql("subscription { count }"))]
    assert counted == [{"count": 1}, {"count": 2}]


def _answer(request: Request) -> object:
    if request.headers["Content-Type"].startswith("multipart/form-data"):
        assert b'filename="a.txt"' in request.body
        return {"data": {"upload": True}}
    if "wrong" in request.json["query"]:
        return {"errors": [{"message": "no such field"}]}
    return {"data": {"name": "one"}}


PACKAGES = (
    Package(
        name="gql",
        version="4.4.0",
        extras="aiohttp",
        drive=drive,
        driven="queries, an upload, an error, a subscription over a WebSocket",
        asyncio_only="calls asyncio's locks, tasks and queues",
    ),
)
