"""The other side of a WebSocket that was recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ._client_stream import ClientDisconnected
from ._har import HarEntry, RecordedResponse
from ._har_messages import RecordedSocket
from ._memory import memory_connection
from ._mock_streams import ScriptedStream
from ._mock_tasks import MockTasks
from ._redaction import Filters
from ._server_connection import ServerConnection
from ._websocket_server import WebSocketClosed, WebSocketPeer

__all__ = ("WebSocketReplay",)

# Fields of the response that belong to the handshake, which is made anew.
_HANDSHAKE: Final = frozenset({
    "connection",
    "sec-websocket-accept",
    "sec-websocket-extensions",
    "sec-websocket-protocol",
    "upgrade",
})  # fmt: skip

#: A CLOSE frame without a code, which stands for 1005.
_BARE_CLOSE: Final = b"\x88\x00"
_NO_CODE: Final = 1005


class WebSocketReplay:
    """Sends what was received, and expects what was sent, in the recorded order.

    :param refuse: makes the error for a message that was not recorded, of what differs
    """

    def __init__(
        self, entry: HarEntry, filters: Filters, refuse: Callable[[str], Exception]
    ) -> None:
        assert entry.socket is not None
        assert entry.response is not None
        self._socket: RecordedSocket = entry.socket
        self._response: RecordedResponse = entry.response
        self._filters = filters
        self._refuse = refuse

    def start(self, tasks: MockTasks, scheme: str) -> ScriptedStream:
        """Start one of *tasks* that is the other side; return the client's end."""
        client_end, server_end = memory_connection()
        client = ScriptedStream(client_end, is_websocket=True)
        connection = ServerConnection(server_end, scheme=scheme)
        tasks.start(lambda: self._run(client, connection))
        return client

    async def _run(self, client: ScriptedStream, connection: ServerConnection) -> None:
        try:
            exchange = await connection.next_request()
            if exchange is not None:
                fields = self._response.headers
                values = {name.lower(): value for name, value in fields}
                peer = await exchange.accept_websocket(
                    protocol=values.get("sec-websocket-protocol"),
                    headers=[field for field in fields if field[0].lower() not in _HANDSHAKE],
                    compress="permessage-deflate" in values.get("sec-websocket-extensions", ""),
                )
                await self._play(peer)
        except ClientDisconnected:
            pass  # the program went earlier than it did when it was recorded
        except Exception as exc:  # noqa: BLE001  (raised where the client receives)
            client.fail(exc)
        finally:
            await connection.aclose()

    async def _play(self, peer: WebSocketPeer) -> None:
        for number, message in enumerate(self._socket.messages):
            if not message.is_sent:
                await peer.send(message.data)
                continue
            now = self._filters.message(await peer.receive(), is_sent=True)
            if now != message.data:
                raise self._refuse(
                    f"message {number}: recorded {message.data!r:.200}, now {now!r:.200}"
                )
        await self._end(peer)

    async def _end(self, peer: WebSocketPeer) -> None:
        """End as it ended when it was recorded."""
        close = self._socket.close
        if close is None and self._response.is_cut:
            await peer.abort()
        elif close is None or close.is_sent:
            await self._wait_closed(peer)
        elif close.code == _NO_CODE:
            await peer.send_raw(_BARE_CLOSE)
            await self._wait_closed(peer)
        else:
            await peer.close(close.code, close.reason)

    async def _wait_closed(self, peer: WebSocketPeer) -> None:
        """Wait until the client closes the WebSocket.

        :raises Exception: it sends a message instead
        """
        try:
            now = self._filters.message(await peer.receive(), is_sent=True)
        except WebSocketClosed:
            await peer.close()
            return
        raise self._refuse(f"no message was recorded after the last one, now {now!r:.200}")
