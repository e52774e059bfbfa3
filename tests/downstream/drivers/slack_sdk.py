"""Slack's SDK: its Web API, webhooks, and Socket Mode over a WebSocket."""

from __future__ import annotations

import threading
from typing import Any

from tests.downstream.expect import raises, wait_until
from tests.downstream.package import Package
from tests.downstream.stub import Peer, Request, Stub, json_answer, text_answer


async def drive(stub: Stub) -> None:
    """Call methods, upload a file, send by a webhook, and answer an event on the socket."""
    from slack_sdk.errors import SlackApiError
    from slack_sdk.web.async_client import AsyncWebClient
    from slack_sdk.webhook.async_client import AsyncWebhookClient

    stub.on("POST /api/chat.postMessage", lambda request: _message(request))
    stub.on("POST /api/auth.test", {"ok": False, "error": "invalid_auth"})
    stub.on("POST /api/files.getUploadURLExternal", _upload_url(stub))
    stub.on("POST /upload", text_answer("OK"))
    stub.on("POST /api/files.completeUploadExternal", {"ok": True, "files": [{"id": "F1"}]})
    stub.on("POST /hook", text_answer("ok"))
    client = AsyncWebClient(token="xoxb-token", base_url=f"{stub.url}/api/")
    answer = await client.chat_postMessage(channel="#random", text="Hello world!")
    assert answer["message"]["text"] == "Hello world!"
    sent = await client.files_upload_v2(channel="C1", content="text", filename="a.txt")
    assert sent["files"][0]["id"] == "F1"
    with raises(SlackApiError) as caught:
        await client.auth_test()
    assert caught.error.response["error"] == "invalid_auth"
    hooked = await AsyncWebhookClient(f"{stub.url}/hook").send(text="by webhook")
    assert (hooked.status_code, hooked.body) == (200, "ok")
    await drive_socket_mode(stub, client)


async def drive_socket_mode(stub: Stub, client: Any) -> None:
    """Receive an event on the socket and acknowledge it."""
    from slack_sdk.socket_mode.aiohttp import SocketModeClient
    from slack_sdk.socket_mode.response import SocketModeResponse

    acknowledged = threading.Event()

    def talk(peer: Peer) -> None:
        peer.send_json({"type": "hello", "num_connections": 1})
        peer.send_json({"type": "events_api", "envelope_id": "e1", "payload": {"event": {}}})
        assert peer.receive_json() == {"envelope_id": "e1"}
        acknowledged.set()
        while peer.receive() is not None:
            pass

    stub.on("POST /api/apps.connections.open", {"ok": True, "url": f"ws{stub.url[4:]}/socket"})
    stub.on_websocket("/socket", talk)
    socket = SocketModeClient(app_token="xapp-token", web_client=client)

    async def acknowledge(given: Any, request: Any) -> None:
        await given.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))

    socket.socket_mode_request_listeners.append(acknowledge)
    await socket.connect()
    await wait_until(acknowledged.is_set)
    await socket.close()


def _message(request: Request) -> object:
    assert request.headers["Authorization"] == "Bearer xoxb-token"
    return json_answer({"ok": True, "message": {"text": request.json["text"]}})


def _upload_url(stub: Stub) -> object:
    return {"ok": True, "upload_url": f"{stub.url}/upload", "file_id": "F1"}


PACKAGES = (
    Package(
        name="slack_sdk",
        version="3.48.0",
        beside=("aiohttp==3.14.*",),
        drive=drive,
        driven="Web API, upload of a file, webhook, Socket Mode",
        asyncio_only="calls asyncio's loop, tasks and queues",
    ),
)
