"""The handshake of a WebSocket on a stream of HTTP/2 (:rfc:`8441`), without I/O."""

from __future__ import annotations

import pytest

pytest.importorskip("hpack")
pytest.importorskip("h2")

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import Event, RequestReceived, StreamEnded, StreamReset
from h2.settings import SettingCodes, Settings

from anyhttp._headers import header_block
from anyhttp._http1 import Limits
from anyhttp._http2 import Http2Core, Http2Options, StreamState

HANDSHAKE = (
    ("Host", "example.org"),
    ("Upgrade", "WebSocket"),
    ("Connection", "keep-alive, Upgrade"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Protocol", "a,b"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("Origin", "https://example.org"),
)


class Pair:
    """A core, and a server of h2 that allows WebSockets."""

    def __init__(self) -> None:
        self.core = Http2Core(Http2Options(), "https")
        self.server = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        allowed = {SettingCodes.ENABLE_CONNECT_PROTOCOL: 1}
        self.server.local_settings = Settings(client=False, initial_values=allowed)
        self.events: list[Event] = []
        assert not self.core.allows_connect_protocol, "RFC 8441 §3: before it has been told so"
        self.server.initiate_connection()
        self.exchange()

    def exchange(self) -> None:
        """Carry bytes both ways."""
        self.events += self.server.receive_data(self.core.take_output())
        self.core.receive(self.server.data_to_send())

    def start(self, fields: tuple[tuple[str, str], ...]) -> tuple[StreamState, RequestReceived]:
        """Send the head of a request for ``/chat?a=1``; return it as it was received."""
        state = self.core.open(Limits())
        state.send_head("GET", "/chat?a=1", header_block(fields))
        state.send_end()
        self.core.start(state, end=state.is_ended)
        self.exchange()
        received = [event for event in self.events if isinstance(event, RequestReceived)]
        return state, received[-1]


def text_of(received: RequestReceived) -> list[tuple[str, str]]:
    """Return the fields of a request."""
    return [(str(name), str(value)) for name, value in received.headers]


@pytest.mark.parametrize("status", ["200", "204"])
def test_a_handshake_is_an_extended_connect(status: str) -> None:
    """RFC 8441 §4 and §5: the fields of HTTP/1.1's upgrade and the key are not sent."""
    both = Pair()
    assert both.core.allows_connect_protocol
    state, received = both.start(HANDSHAKE)
    assert received.stream_ended is None
    assert sorted(text_of(received)) == [
        (":authority", "example.org"),
        (":method", "CONNECT"),
        (":path", "/chat?a=1"),
        (":protocol", "websocket"),
        (":scheme", "https"),
        ("origin", "https://example.org"),
        ("sec-websocket-protocol", "a,b"),
        ("sec-websocket-version", "13"),
    ]
    fields = [(":status", status), ("content-length", "7"), ("sec-websocket-protocol", "b")]
    both.server.send_headers(state.stream_id, fields)
    both.exchange()
    assert state.head is not None
    assert state.head.switches
    assert not state.complete, "what its Content-Length says has no meaning (RFC 9110 §9.3.6)"
    both.server.send_data(state.stream_id, b"more than seven bytes")
    assert both.core.send_data(state, b"up", end=False) == 2
    both.exchange()
    assert b"".join(state.pieces) == b"more than seven bytes"
    both.server.end_stream(state.stream_id)
    both.exchange()
    assert state.complete


def test_a_refusal_is_a_response_like_any_other() -> None:
    """It has a body, and an end."""
    both = Pair()
    state, _ = both.start(HANDSHAKE)
    both.server.send_headers(state.stream_id, [(":status", "403"), ("content-length", "2")])
    both.server.send_data(state.stream_id, b"no", end_stream=True)
    both.exchange()
    assert state.head is not None
    assert not state.head.switches
    assert (state.complete, b"".join(state.pieces)) == (True, b"no")


def test_leaving_waits_for_the_server() -> None:
    """A reset at once could make the server drop the last frame of the WebSocket unread."""
    both = Pair()
    state, _ = both.start(HANDSHAKE)
    both.server.send_headers(state.stream_id, [(":status", "200")])
    both.exchange()
    room = both.core.max_exchanges
    both.core.leave(state)
    both.exchange()
    assert not [event for event in both.events if isinstance(event, (StreamEnded, StreamReset))]
    assert both.core.max_exchanges == room - 1
    both.server.send_data(state.stream_id, b"late", end_stream=True)
    both.exchange()
    both.exchange()
    assert state.is_closed
    assert both.core.max_exchanges == room
    assert [event.error_code for event in both.events if isinstance(event, StreamReset)] == [0]


def test_leaving_what_the_server_has_ended() -> None:
    """There is nothing to wait for."""
    both = Pair()
    state, _ = both.start(HANDSHAKE)
    both.server.send_headers(state.stream_id, [(":status", "200")], end_stream=True)
    both.exchange()
    both.core.leave(state)
    both.exchange()
    assert [event.error_code for event in both.events if isinstance(event, StreamReset)] == [0]


def test_a_server_that_ends_nothing_gets_resets() -> None:
    """The oldest of those that have been left is reset when there are more than eight."""
    both = Pair()
    states = [both.start(HANDSHAKE)[0] for _ in range(9)]
    for state in states:
        both.core.leave(state)
    both.exchange()
    assert [event.stream_id for event in both.events if isinstance(event, StreamReset)] == [1]
    assert states[0].is_closed
    assert not states[1].is_closed


@pytest.mark.parametrize(("allowed", "kept"), [(1, 0), (2, 1), (5, 2)])
def test_what_was_left_does_not_take_all_room(allowed: int, kept: int) -> None:
    """Of few exchanges that a server allows, at most half wait for it to end them."""
    both = Pair()
    both.server.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: allowed})
    both.exchange()
    both.exchange()
    for _ in range(allowed):
        both.core.leave(both.start(HANDSHAKE)[0])
        both.exchange()
    assert both.core.max_exchanges == allowed - kept


def test_another_upgrade_is_left_out() -> None:
    """RFC 9113 §8.6: HTTP/2 has no ``Upgrade``."""
    _, received = Pair().start((("Host", "a"), ("Upgrade", "h2c"), ("Connection", "Upgrade")))
    assert received.stream_ended is not None
    assert {name for name, _ in text_of(received)} == {
        ":authority", ":method", ":path", ":scheme",
    }  # fmt: skip
