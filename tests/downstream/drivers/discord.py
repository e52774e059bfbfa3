"""Packages for Discord's bots: the HTTP API, and events of the gateway over a WebSocket."""

from __future__ import annotations

from typing import Any

from tests.downstream.expect import raises
from tests.downstream.package import Package
from tests.downstream.stub import Stub
from tests.downstream.wire_of_discord import TOKEN, Discord


async def drive_discord(stub: Stub) -> None:
    """Log in, be told of a message, answer it, and be refused."""
    import discord
    import yarl
    from discord.gateway import DiscordWebSocket
    from discord.http import Route

    service = Discord(stub)
    Route.BASE = f"{stub.url}/api/v10"
    DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(service.gateway)
    await drive_bot(service, discord, discord.Client(intents=discord.Intents.all()))


async def drive_disnake(stub: Stub) -> None:
    """Log in, be told of a message, answer it, and be refused."""
    import disnake
    from disnake.http import Route

    service = Discord(stub)
    Route.BASE = f"{stub.url}/api/v10"
    await drive_bot(service, disnake, disnake.Client(intents=disnake.Intents.all()))


async def drive_nextcord(stub: Stub) -> None:
    """Log in, be told of a message, answer it, and be refused."""
    import nextcord
    from nextcord.http import Route

    service = Discord(stub)
    Route.BASE = f"{stub.url}/api/v10"
    await drive_bot(service, nextcord, nextcord.Client(intents=nextcord.Intents.all()))


async def drive_bot(service: Discord, package: Any, client: Any) -> None:
    """Run a bot with the interface that these packages have in common."""

    @client.event
    async def on_message(message: Any) -> None:
        if message.content == "ping":
            await message.channel.send("pong")
            with raises(package.NotFound):
                await client.fetch_user(9)
            await client.close()

    await client.start(TOKEN)
    assert service.said == ["pong"]
    assert service.identified[0]["token"] == TOKEN


async def drive_hikari(stub: Stub) -> None:
    """Log in, be told of a message, answer it, and be refused."""
    import hikari

    service = Discord(stub)
    bot = hikari.GatewayBot(
        TOKEN, rest_url=f"{stub.url}/api/v10", intents=hikari.Intents.ALL, banner=None
    )

    @bot.listen(hikari.DMMessageCreateEvent)
    async def answer(event: Any) -> None:
        if event.content == "ping":
            await event.message.respond("pong")
            with raises(hikari.NotFoundError):
                await bot.rest.fetch_user(9)
            await bot.close()

    await bot.start(check_for_updates=False)
    await bot.join()
    assert service.said == ["pong"]


DRIVEN = "logging in, events of the gateway, a message, an error"
ASYNCIO_ONLY = "calls asyncio's tasks, events and locks"

PACKAGES = (
    Package(
        name="discord.py",
        version="2.7.1",
        drive=drive_discord,
        driven=DRIVEN,
        asyncio_only=ASYNCIO_ONLY,
    ),
    Package(
        name="disnake",
        version="2.12.2",
        drive=drive_disnake,
        driven=DRIVEN,
        asyncio_only=ASYNCIO_ONLY,
    ),
    Package(
        name="nextcord",
        version="3.2.0",
        drive=drive_nextcord,
        driven=DRIVEN,
        asyncio_only=ASYNCIO_ONLY,
    ),
    Package(
        name="hikari",
        version="2.7.0",
        drive=drive_hikari,
        driven=DRIVEN,
        asyncio_only=ASYNCIO_ONLY,
    ),
)
