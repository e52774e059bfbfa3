"""One connection of HTTP/2 without I/O, with the server side of h2 as its peer."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

pytest.importorskip("hpack")

from anyhttp._http1 import Limits
from anyhttp._http2 import Http2Core, Http2Options, StreamState

h2_config = pytest.importorskip("h2.config")
h2_connection = pytest.importorskip("h2.connection")
h2_events = pytest.importorskip("h2.events")

LIMITS = Limits()
FIELDS = (("Host", "example.org"), ("Accept", "*/*"), ("User-Agent", "test"))


class Pair:
    """A core and the server side of h2, which get each other's bytes."""

    def __init__(self, options: Http2Options | None = None) -> None:
        self.core = Http2Core(options or Http2Options(), "https")
        config = h2_config.H2Configuration(client_side=False, header_encoding="utf-8")
        self.server = h2_connection.H2Connection(config)
        self.server.initiate_connection()
        self.events: list[object] = []
        self.exchange()

    def exchange(self) -> list[StreamState]:
        """Carry bytes both ways until there are none; return the states with news."""
        news: list[StreamState] = []
        while True:
            up = self.core.take_output()
            if up:
                self.events += self.server.receive_data(up)
            down = self.server.data_to_send()
            if down:
                news += self.core.receive(down)
            if not up and not down:
                return news

    def request(
        self,
        method: str = "GET",
        target: str = "/",
        fields: Sequence[tuple[str, str]] = FIELDS,
        *,
        end: bool = True,
    ) -> StreamState:
        """Start an exchange, and let the server receive it."""
        state = self.core.open(LIMITS)
        state.send_head(method, target, fields)
        self.core.start(state, end=end)
        self.exchange()
        return state


def test_get() -> None:
    """A request arrives as it was meant, and so does the response."""
    pair = Pair()
    state = pair.request()
    received = [event for event in pair.events if isinstance(event, h2_events.RequestReceived)]
    assert [tuple(field) for field in received[0].headers] == [
        (":path", "/"),
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "example.org"),
        ("accept", "*/*"),
        ("user-agent", "test"),
    ]
    pair.server.send_headers(1, [(":status", "200"), ("content-length", "5")])
    pair.server.send_data(1, b"hello", end_stream=True)
    assert pair.exchange() == [state]
    assert state.head is not None
    assert (state.head.status, state.head.reason, state.head.version) == (200, "OK", (2, 0))
    assert list(state.pieces) == [b"hello"]
    assert state.complete
    assert state.is_closed
    assert state.failure is None


def test_post_in_windows() -> None:
    """A body is sent as far as the windows allow, and goes on when there is room."""
    pair = Pair()
    body = bytes(range(256)) * 1024
    state = pair.request("POST", "/", (*FIELDS, ("Content-Length", str(len(body)))), end=False)
    sent = 0
    while sent < len(body):
        taken = pair.core.send_data(state, body[sent:], end=True)
        sent += taken
        assert taken <= 65535
        pair.events.clear()
        pair.exchange()
        for event in pair.events:
            if isinstance(event, h2_events.DataReceived):
                pair.server.acknowledge_received_data(event.flow_controlled_length, 1)
        if sent < len(body):
            assert state in pair.exchange()
    assert any(isinstance(event, h2_events.StreamEnded) for event in pair.events)
    assert not pair.core.send_data(state, b"more", end=False)
