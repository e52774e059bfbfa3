"""OAuth 2: an access token that lasts minutes, renewed by a refresh token that lasts months."""

from __future__ import annotations

import sys

import anyio

from anyhttp import BearerAuthMiddleware, BearerToken, ClientSession

TOKENS = "https://login.test/oauth2/token"


async def main(api: str, refresh_token: str) -> None:
    """Ask an API that wants an access token."""

    async def renew() -> BearerToken:
        nonlocal refresh_token
        grant = {"grant_type": "refresh_token", "client_id": "app", "refresh_token": refresh_token}
        # Cancelled in the middle, it would lose the new refresh token, and the old one is used up.
        with anyio.fail_after(10, shield=True):
            async with session.post(TOKENS, data=grant) as response:
                answer = await response.json()
        token = BearerToken.from_oauth2(answer)
        refresh_token = answer.get("refresh_token", refresh_token)
        return token

    async with ClientSession(api, middlewares=[BearerAuthMiddleware(renew)]) as session:
        async with session.get("me", raise_for_status=True) as response:
            print(await response.json())


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[2])
