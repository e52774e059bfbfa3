"""TwitchIO, for Twitch's bots."""

from __future__ import annotations

from tests.downstream.package import Package
from tests.downstream.stub import Request, Stub


async def drive(stub: Stub) -> None:
    """Log in by a token of the application, and look users up."""
    import twitchio
    from twitchio.http import Route

    Route.BASE = f"{stub.url}/helix/"
    Route.ID_BASE = f"{stub.url}/id/"
    user = {
        "id": "1",
        "login": "someone",
        "display_name": "Someone",
        "type": "",
        "broadcaster_type": "",
        "description": "",
        "profile_image_url": "https://example.com/a.png",
        "offline_image_url": "",
        "created_at": "2026-01-01T00:00:00Z",
    }

    def users(request: Request) -> object:
        assert request.headers["Authorization"] == "Bearer t1"
        assert request.headers["Client-Id"] == "id"
        return {"data": [user]}

    token = {"access_token": "t1", "expires_in": 3600, "token_type": "bearer"}
    valid = {"client_id": "id", "expires_in": 3600, "login": None, "scopes": []}
    stub.on("POST /id/oauth2/token", token)
    stub.on("GET /id/oauth2/validate", valid)
    stub.on("GET /helix/users", users)
    client = twitchio.Client(client_id="id", client_secret="secret")
    await client.login(load_tokens=False, save_tokens=False)
    (found,) = await client.fetch_users(logins=["someone"])
    assert found.display_name == "Someone"
    await client.close(save_tokens=False)


PACKAGES = (
    Package(
        name="twitchio",
        version="3.3.2",
        drive=drive,
        driven="a token of the application, users",
        asyncio_only="calls asyncio's tasks, events and locks",
    ),
)
