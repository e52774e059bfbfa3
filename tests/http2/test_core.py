"""One connection of HTTP/2 without I/O: what it sends, and what it makes of what it receives."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

pytest.importorskip("h2", reason="the peers are made with h2")

from h2.events import DataReceived, RequestReceived, StreamEnded, StreamReset
from h2.settings import SettingCodes

from anyhttp import ClientConnectionResetError, ServerDisconnectedError
from anyhttp._http2 import ErrorCode, Http2Core, Http2Options
from tests.support.http2_core import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    FIELDS,
    GOAWAY,
    HEADERS,
    LIMITS,
    PADDED,
    PING,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Pair,
    RawPeer,
    get,
    number,
)


def test_the_connection_begins_with_settings() -> None:
    """RFC 9113 §3.4, and push is refused from the beginning (§8.4)."""
    pair = Pair(Http2Options(stream_window=70_000, connection_window=100_000))
    settings = pair.server.remote_settings
    assert not settings.enable_push
    assert settings.initial_window_size == 70_000
    assert settings.max_frame_size == 64 * 1024
    assert settings.max_header_list_size == 64 * 1024
    assert pair.server.outbound_flow_control_window == 100_000


def test_get() -> None:
    """A request arrives as it was meant, and so does the response."""
    pair = Pair()
    state = pair.request()
    (request,) = [event for event in pair.events if isinstance(event, RequestReceived)]
    received: list[Any] = [tuple(field) for field in request.headers]
    assert received == [
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
    assert state.head.length == 5
    assert list(state.pieces) == [b"hello"]
    assert state.complete
    assert state.is_closed
    assert state.failure is None


def test_the_face_of_an_engine() -> None:
    """What HTTP/1.1 would send as bytes is kept, or goes without framing."""
    core = Http2Core(Http2Options(), "https")
    state = core.open(LIMITS)
    assert state.send_head("POST", "/", FIELDS, chunked=True) == b""
    assert state.send_data(b"piece") == b"piece"
    assert state.frame(5) == (b"", b"")
    assert not state.is_ended
    assert not state.can_send
    assert state.send_end() == b""
    assert state.is_ended
    state.receive(b"anything")
    assert not state.has_started
    assert repr(state) == "<StreamState 0>"


def test_a_body_is_sent_in_windows() -> None:
    """It is sent as far as the windows allow, and goes on when there is room."""
    pair = Pair()
    body = bytes(range(256)) * 1024
    state = pair.request("POST", "/", (*FIELDS, ("Content-Length", str(len(body)))), end=False)
    sent = pair.core.send_data(state, memoryview(body), end=True)
    assert sent == 65535
    received = bytearray()
    while sent < len(body):
        state.has_news = False
        pair.exchange()
        assert not state.has_news
        for event in pair.events:
            if isinstance(event, DataReceived):
                received += event.data
                pair.server.acknowledge_received_data(event.flow_controlled_length, 1)
        pair.events.clear()
        assert state in pair.exchange()
        assert state.has_news
        sent += pair.core.send_data(state, body[sent:], end=True)
    pair.exchange()
    received += b"".join(event.data for event in pair.events if isinstance(event, DataReceived))
    assert received == body
    assert any(isinstance(event, StreamEnded) for event in pair.events)
    assert state.end_sent
    assert not pair.core.send_data(state, b"more", end=False)


def test_the_end_of_a_body_needs_no_window() -> None:
    """An empty frame is sent whatever the window is (RFC 9113 §6.9.1)."""
    peer = RawPeer(settings=b"\0\4" + number(0))
    state = get(peer.core, "POST", end=False)
    assert peer.core.send_data(state, b"x", end=False) == 0
    assert peer.core.send_data(state, b"", end=False) == 0
    assert [frame.type for frame in peer.sent()] == [HEADERS]
    assert peer.core.send_data(state, b"", end=True) == 0
    (frame,) = peer.sent()
    assert (frame.type, frame.data, "END_STREAM" in frame.flags) == (DATA, b"", True)
    assert state.end_sent


def test_a_smaller_initial_window_makes_windows_negative() -> None:
    """What has been sent counts against the new one (RFC 9113 §6.9.2)."""
    peer = RawPeer()
    state = get(peer.core, "POST", end=False)
    assert peer.core.send_data(state, bytes(60_000), end=False) == 60_000
    peer.send(SETTINGS, 0, 0, b"\0\4" + number(10_000))
    assert peer.core.send_data(state, b"more", end=False) == 0
    assert not peer.send(WINDOW_UPDATE, 0, 1, number(50_000))
    assert peer.core.send_data(state, b"more", end=False) == 0
    assert peer.send(WINDOW_UPDATE, 0, 1, number(1)) == [state]
    assert peer.core.send_data(state, b"more", end=False) == 1
    assert peer.send(SETTINGS, 0, 0, b"\0\4" + number(10_002)) == [state]
    assert peer.core.send_data(state, b"more"[1:], end=False) == 2


def test_room_on_the_connection_is_told_to_all_that_wait() -> None:
    """The first to send takes it."""
    peer = RawPeer(settings=b"\0\4" + number(2**31 - 1))
    first, second, third = (get(peer.core, "POST", end=False) for _ in range(3))
    assert peer.core.send_data(first, bytes(65535), end=True) == 65535
    assert peer.core.send_data(second, b"second", end=True) == 0
    assert peer.core.send_data(third, b"third", end=True) == 0
    assert peer.send(WINDOW_UPDATE, 0, 0, number(6)) == [second, third]
    assert peer.core.send_data(second, b"second", end=True) == 6
    assert peer.core.send_data(third, b"third", end=True) == 0


def test_frames_are_as_large_as_the_server_allows() -> None:
    """RFC 9113 §4.2, for heads as for bodies."""
    peer = RawPeer(settings=b"\0\5" + number(20_000))
    state = get(peer.core, "POST", "/" + "a" * 45_000, end=False)
    peer.core.send_data(state, bytes(40_001), end=True)
    frames = peer.sent()
    assert [frame.body_len for frame in frames[:2]] == [20_000, 20_000]
    assert [frame.type for frame in frames] == [HEADERS, 9, 9, DATA, DATA, DATA]
    assert ["END_HEADERS" in frame.flags for frame in frames[:3]] == [False, False, True]
    assert [frame.body_len for frame in frames[3:]] == [20_000, 20_000, 1]
    assert ["END_STREAM" in frame.flags for frame in frames[3:]] == [False, False, True]


def test_informational_heads() -> None:
    """Each is looked at before the next (RFC 9113 §8.1)."""
    peer = RawPeer()
    state = get(peer.core)
    peer.head(1, status="100")
    peer.head(1, ("link", "</style.css>"), status="103")
    peer.head(1, status="200", ends=True)
    statuses = []
    while state.head is not None:
        assert state.has_started
        statuses.append(state.head.status)
        state.next_response()
    assert statuses == [100, 103, 200]
    assert state.has_started
    assert state.complete


@pytest.mark.parametrize(
    ("method", "status", "length"),
    [("HEAD", "200", "1000"), ("GET", "304", "1000"), ("GET", "204", "0"), ("GET", "200", "0")],
)
@pytest.mark.parametrize("with_frame", [False, True])
def test_responses_without_a_body(method: str, status: str, length: str, with_frame: bool) -> None:
    """RFC 9110 §6.4.1; the end may come in a frame of its own."""
    peer = RawPeer()
    state = get(peer.core, method)
    peer.head(1, ("content-length", length), status=status, ends=not with_frame)
    if with_frame:
        assert not state.complete
        peer.data(1, b"", ends=True)
    assert state.complete
    assert state.head is not None
    assert state.head.length == 0
    assert state.failure is None
    assert peer.sent()[1:] == []


def test_trailers() -> None:
    """They come after the body, and end it."""
    peer = RawPeer()
    state = get(peer.core)
    peer.head(1, ("content-length", "4"))
    peer.data(1, b"body")
    peer.head(1, ("x-checksum", "abc"), status=None, ends=True)
    assert state.complete
    assert list(state.trailers) == [(b"x-checksum", b"abc")]


def test_a_tunnel() -> None:
    """CONNECT has neither scheme nor path (RFC 9113 §8.5), and a length would mean nothing."""
    peer = RawPeer()
    state = get(peer.core, "CONNECT", "example.org:443", end=False)
    (request,) = peer.requests()
    assert request[:2] == [(":method", "CONNECT"), (":authority", "example.org:443")]
    assert not {":scheme", ":path"} & {name for name, _ in request}
    peer.head(1, ("content-length", "3"))
    peer.data(1, b"four")
    assert state.failure is None
    assert peer.core.send_data(state, b"up", end=False) == 2
    peer.data(1, b"", ends=True)
    assert state.complete
    assert not state.is_closed
    assert peer.core.send_data(state, b"", end=True) == 0
    assert state.is_closed


def test_an_extended_connect() -> None:
    """RFC 8441 §4"""
    peer = RawPeer(settings=b"\0\x08" + number(1))
    assert peer.core.allows_connect_protocol
    state = peer.core.open(LIMITS)
    state.protocol = "websocket"
    state.send_head("CONNECT", "/chat", (*FIELDS, ("Sec-WebSocket-Version", "13")))
    peer.core.start(state, end=False)
    (request,) = peer.requests()
    assert request[:5] == [
        (":path", "/chat"),
        (":method", "CONNECT"),
        (":scheme", "https"),
        (":authority", "example.org"),
        (":protocol", "websocket"),
    ]


def test_padding_is_dropped_and_given_back() -> None:
    """It counts as read at once (RFC 9113 §6.9.1)."""
    peer = RawPeer(Http2Options(stream_window=1000))
    state = get(peer.core)
    peer.sent()
    peer.head(1)
    peer.send(DATA, PADDED, 1, bytes([255]) + b"body" + bytes(255))
    peer.send(DATA, PADDED, 1, bytes([255]) + bytes(255))
    assert list(state.pieces) == [b"body"]
    peer.core.consumed(state)
    (frame,) = peer.sent()
    assert (frame.type, frame.stream_id, frame.window_increment) == (WINDOW_UPDATE, 1, 512)


def test_a_stream_window_follows_what_the_program_reads() -> None:
    """Nothing is given back before half of it has been read."""
    peer = RawPeer(Http2Options(stream_window=1000))
    state = get(peer.core)
    peer.head(1)
    peer.sent()
    peer.data(1, bytes(600))
    peer.core.consumed(state)
    assert peer.sent() == []
    state.pieces[0] = b"unread"
    peer.core.consumed(state)
    peer.core.consumed(state)
    assert [frame.window_increment for frame in peer.sent()] == [594]
    peer.data(1, bytes(994))
    assert state.failure is None
    assert peer.data(1, b"x") == [state]
    assert peer.resets() == [(1, ErrorCode.FLOW_CONTROL_ERROR)]
    assert "window" in str(state.failure)


def test_the_window_of_a_body_that_is_waited_for_grows() -> None:
    """It doubles whenever all has been read that has come, up to 16 times its first size."""
    peer = RawPeer(Http2Options(stream_window=1000))
    state = get(peer.core)
    peer.head(1)
    peer.sent()
    left = 1000
    sizes = []
    for _ in range(8):
        peer.data(1, bytes(left))
        state.pieces.clear()
        peer.core.consumed(state)
        (frame,) = [frame for frame in peer.sent() if frame.stream_id == 1]
        left = frame.window_increment
        sizes.append(left)
    assert sizes == [2000, 4000, 8000, 16000, 16000, 16000, 16000, 16000]
    assert state.failure is None
    assert peer.data(1, bytes(left + 1)) == [state]
    assert "window" in str(state.failure)


def test_the_window_of_the_connection_is_given_back_on_receipt() -> None:
    """So one that is not read does not stop the others."""
    peer = RawPeer(Http2Options(stream_window=2**20, connection_window=100_000))
    get(peer.core)
    peer.head(1)
    peer.sent()
    peer.data(1, bytes(49_999))
    assert peer.sent() == []
    peer.data(1, bytes(10_000))
    (frame,) = peer.sent()
    assert (frame.stream_id, frame.window_increment) == (0, 59_999)


def test_small_pieces_are_joined() -> None:
    """The objects for small pieces would take much more memory than what is in them."""
    peer = RawPeer()
    state = get(peer.core)
    peer.head(1)
    for _ in range(10_000):
        peer.data(1, b"x")
    assert b"".join(state.pieces) == b"x" * 10_000
    assert len(state.pieces) == 3


def test_a_reset_by_the_server() -> None:
    """The code is kept, and in the text of the failure."""
    peer = RawPeer()
    state = get(peer.core)
    assert peer.send(RST_STREAM, 0, 1, number(2)) == [state]
    assert state.reset_code == 2
    assert isinstance(state.failure, ClientConnectionResetError)
    assert str(state.failure).endswith("the server reset the stream: INTERNAL_ERROR (2)")
    assert not state.is_unprocessed
    assert not state.can_send
    assert state.is_closed
    assert peer.core.error is None


@pytest.mark.parametrize("started", [False, True])
def test_a_refused_stream(started: bool) -> None:
    """Nothing has been done for it (RFC 9113 §8.7), unless the server has answered already."""
    peer = RawPeer()
    state = get(peer.core)
    if started:
        peer.head(1)
    peer.send(RST_STREAM, 0, 1, number(7))
    assert state.is_unprocessed is not started


def test_an_unknown_error_code() -> None:
    """It has no special meaning (RFC 9113 §7)."""
    peer = RawPeer()
    state = get(peer.core)
    peer.send(RST_STREAM, 0, 1, number(0xBEEF))
    assert str(state.failure).endswith("error code 48879")


def test_a_reset_after_the_response() -> None:
    """The response is complete, and no more of the request is wanted (RFC 9113 §8.1)."""
    peer = RawPeer()
    state = get(peer.core, "POST", end=False)
    peer.head(1, ends=True)
    assert state.complete
    assert state.can_send
    assert peer.send(RST_STREAM, 0, 1, number(0)) == [state]
    assert state.complete
    assert state.failure is None
    assert state.reset_code == 0
    assert not state.can_send


def test_late_frames_of_a_cancelled_exchange_are_dropped() -> None:
    """Their heads are decompressed, their data is given back to the connection (§5.1, §6.9)."""
    peer = RawPeer(Http2Options(connection_window=100_000))
    first = get(peer.core)
    second = get(peer.core)
    peer.core.reset(first, ErrorCode.CANCEL)
    peer.core.reset(first, ErrorCode.CANCEL)
    assert peer.resets() == [(1, ErrorCode.CANCEL)]
    assert first.is_closed
    assert not peer.head(1, ("x-new", "in the table"))
    assert not peer.data(1, bytes(60_000), ends=True)
    assert [frame.window_increment for frame in peer.sent()] == [60_000]
    assert not peer.send(WINDOW_UPDATE, 0, 1, number(1))
    assert not peer.send(RST_STREAM, 0, 1, number(8))
    assert peer.head(3, ("x-new", "in the table"), ends=True) == [second]
    assert second.head is not None
    assert second.head.raw_headers == [(b"x-new", b"in the table")]
    assert not first.pieces
    assert first.failure is None


def test_an_exchange_that_has_not_been_started_is_just_dropped() -> None:
    """There is nothing to tell the server."""
    peer = RawPeer()
    state = peer.core.open(LIMITS)
    state.send_head("GET", "/", FIELDS)
    peer.core.reset(state, ErrorCode.CANCEL)
    assert peer.sent() == []
    with pytest.raises(RuntimeError, match="cannot be started"):
        peer.core.start(state, end=True)


def test_goaway() -> None:
    """Those below its number go on, the others were not looked at (RFC 9113 §6.8)."""
    peer = RawPeer()
    states = [get(peer.core) for _ in range(3)]
    assert peer.core.can_open
    news = peer.send(GOAWAY, 0, 0, number(2**31 - 1) + number(0))
    assert not news
    assert not peer.core.can_open
    assert peer.core.is_leaving
    with pytest.raises(RuntimeError, match="cannot be started"):
        get(peer.core)
    assert peer.send(GOAWAY, 0, 0, number(3) + number(0) + b"so long") == [states[2]]
    assert [state.is_unprocessed for state in states] == [False, False, True]
    assert "ended the connection before the request" in str(states[2].failure)
    assert peer.head(1, ends=True) == [states[0]]
    assert states[0].complete
    assert peer.core.receive_eof() == [states[1]]
    assert isinstance(states[1].failure, ServerDisconnectedError)
    assert not states[1].is_unprocessed
    assert peer.core.error is None


def test_goaway_with_an_error() -> None:
    """What the server says of it is in the errors of its exchanges."""
    peer = RawPeer()
    first, second = get(peer.core), get(peer.core)
    peer.send(GOAWAY, 0, 0, number(1) + number(11) + b"too many\r\n")
    peer.core.receive_eof()
    assert str(second.failure).endswith(r": ENHANCE_YOUR_CALM (11), 'too many\r\n'")
    assert str(first.failure) == r"Server disconnected: ENHANCE_YOUR_CALM (11), 'too many\r\n'"


def test_the_end_of_the_connection() -> None:
    """All exchanges fail that are not complete, and nothing more is made of bytes."""
    peer = RawPeer()
    first, second = get(peer.core), get(peer.core)
    peer.head(1, ends=True)
    assert peer.core.receive_eof() == [second]
    assert first.failure is None
    assert isinstance(second.failure, ServerDisconnectedError)
    assert not peer.core.can_open
    assert peer.head(3) == []
    assert peer.core.receive_eof() == []
    peer.sent()
    peer.core.reset(second, ErrorCode.CANCEL)
    peer.core.close()
    assert peer.sent() == []


def test_leaving() -> None:
    """A GOAWAY is sent, and what is open goes on."""
    pair = Pair()
    state = pair.request()
    pair.core.close()
    assert not pair.core.can_open
    pair.server.send_headers(1, [(":status", "200")], end_stream=True)
    assert pair.core.receive(pair.server.data_to_send()) == [state]
    assert state.complete


def test_ping() -> None:
    """An answer is noted; a PING of the server is answered (RFC 9113 §6.7)."""
    pair = Pair()
    pair.core.ping(b"12345678")
    assert pair.core.ping_acked is None
    pair.exchange()
    assert pair.core.ping_acked == b"12345678"
    peer = RawPeer()
    peer.send(PING, 0, 0, b"abcdefgh")
    (frame,) = peer.sent()
    assert (frame.type, frame.opaque_data, set(frame.flags)) == (PING, b"abcdefgh", {"ACK"})
    with pytest.raises(ValueError, match="8 bytes"):
        peer.core.ping(b"1")


def test_how_many_exchanges_the_server_allows() -> None:
    """There is a usual number until it has said, and an own bound in any case."""
    core = Http2Core(Http2Options(), "https")
    assert core.max_exchanges == 100
    assert RawPeer().core.max_exchanges == 256
    peer = RawPeer(settings=b"\0\3" + number(7))
    assert peer.core.max_exchanges == 7
    peer.send(SETTINGS, 0, 0)
    assert peer.core.max_exchanges == 7
    peer.send(SETTINGS, ACK, 0)
    assert peer.core.error is None


def test_numbers_of_streams_come_to_an_end() -> None:
    """Then another connection is needed (RFC 9113 §5.1.1)."""
    peer = RawPeer()
    peer.core._streams._next = 2**31 - 1
    state = get(peer.core)
    assert state.stream_id == 2**31 - 1
    assert not peer.core.can_open
    peer.head(2**31 - 1, ends=True)
    assert state.complete


def test_the_size_of_the_compressor_s_table() -> None:
    """The server's bound is kept, and told in the next head (RFC 7541 §4.2)."""
    pair = Pair()
    for size in (4096, 0, 100, 4096, 10_000, 50):
        pair.server.update_settings({SettingCodes.HEADER_TABLE_SIZE: size})
        if size in {0, 4096, 50}:
            pair.exchange()
        if size in {4096, 50}:
            pair.request("GET", f"/{size}", (*FIELDS, ("X-Repeated", "value")))
            pair.request("GET", f"/{size}", (*FIELDS, ("X-Repeated", "value")))
    requests: list[Any] = [event for event in pair.events if isinstance(event, RequestReceived)]
    assert [("x-repeated", "value") in list(map(tuple, event.headers)) for event in requests] == (
        [True] * 6
    )
    assert not any(isinstance(event, StreamReset) for event in pair.events)


def test_options_are_checked() -> None:
    """The error names the option."""
    with pytest.raises(ValueError, match="connection_window must be at least 65535"):
        Http2Options(connection_window=65534)
    with pytest.raises(ValueError, match="max_frame_size must be at most 16777215, got 16777216"):
        Http2Options(max_frame_size=2**24)
    with pytest.raises(TypeError, match="stream_window"):
        Http2Options(stream_window="large")  # type: ignore[arg-type]


def test_heads_in_several_frames() -> None:
    """CONTINUATION goes on with a head (RFC 9113 §6.10)."""
    peer = RawPeer()
    state = get(peer.core)
    block = peer.encoder.encode([(":status", "200"), ("x-long", "a" * 1000)])
    assert not peer.send(HEADERS, END_STREAM, 1, block[:5])
    assert not peer.send(9, 0, 1, block[5:100])
    assert peer.send(9, END_HEADERS, 1, block[100:]) == [state]
    assert state.complete
    assert state.head is not None
    assert state.head.raw_headers == [(b"x-long", b"a" * 1000)]


def test_what_is_known_of_cancelled_exchanges_is_bounded() -> None:
    """Late frames are dropped also for those that are not known any more."""
    peer = RawPeer()
    for _ in range(5000):
        peer.core.reset(get(peer.core), ErrorCode.CANCEL)
    peer.sent()
    assert len(peer.core._streams._resets) == 4096
    assert not peer.data(1, b"x" * 2000)
    assert not peer.head(9999, ends=True)
    state = get(peer.core)
    peer.head(10001, ends=True)
    assert state.complete
    peer.data(10001, b"after the end")
    assert peer.ended() == (5, "a frame for an exchange that has ended")


def test_data_for_a_cancelled_exchange_is_bounded_by_its_window() -> None:
    """The window of the connection alone would be given back for ever."""
    peer = RawPeer(Http2Options(stream_window=5000))
    get(peer.core)
    peer.core.reset(get(peer.core), ErrorCode.CANCEL)
    peer.data(3, bytes(5000))
    assert peer.core.error is None
    peer.data(3, b"x")
    assert peer.ended() == (3, "more data than the window allows")


def test_a_connection_ends_once() -> None:
    """What is found wrong after its end changes nothing, and is not told to the server."""
    peer = RawPeer()
    state = get(peer.core)
    peer.core.receive_eof()
    failure = state.failure
    peer.core.fail(ErrorCode.PROTOCOL_ERROR, "too late")
    assert peer.core.error is None
    assert peer.ended() is None
    assert state.failure is failure


def test_an_exchange_that_has_ended_cannot_be_left() -> None:
    """It does not count among those that the server has yet to end."""
    peer = RawPeer()
    state = get(peer.core, end=False)
    peer.send(RST_STREAM, 0, 1, number(ErrorCode.CANCEL))
    assert state.is_closed
    room = peer.core.max_exchanges
    peer.sent()
    peer.core.leave(state)
    assert (peer.core.max_exchanges, peer.sent()) == (room, [])
    assert not peer.core._left


def test_a_connection_is_freed_at_once() -> None:
    """There is no reference cycle that only the garbage collector could free."""
    peer = RawPeer()
    state = get(peer.core)
    peer.head(1, ends=True)
    gone = weakref.ref(peer.core)
    gc.disable()
    try:
        del peer.core
        assert gone() is None
    finally:
        gc.enable()
    assert state.complete
