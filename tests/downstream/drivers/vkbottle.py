"""vkbottle, for VK's bots."""

from __future__ import annotations

from tests.downstream.expect import raises
from tests.downstream.package import Package
from tests.downstream.stub import Request, Stub


async def drive(stub: Stub) -> None:
    """Call methods, and be refused."""
    from vkbottle import API, VKAPIError

    def users(request: Request) -> object:
        assert request.query["access_token"] == "token"
        return {"response": [{"id": 1, "first_name": "A", "last_name": "B"}]}

    stub.on("POST /method/users.get", users)
    refused = {"error_code": 5, "error_msg": "User authorization failed", "request_params": []}
    stub.on("POST /method/messages.send", {"error": refused})
    api = API("token")
    api.API_URL = f"{stub.url}/method/"
    assert [one.first_name for one in await api.users.get(user_ids=[1])] == ["A"]
    with raises(VKAPIError):
        await api.messages.send(peer_id=1, random_id=0, message="Hello")
    await api.http_client.close()


PACKAGES = (
    Package(
        name="vkbottle",
        version="4.11.0",
        drive=drive,
        driven="methods, an error",
        asyncio_only="asks for asyncio's running loop",
    ),
)
