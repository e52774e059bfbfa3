"""Windows and floods of HTTP/2 to the byte and to the frame, and exchanges that are left."""

from __future__ import annotations

import errno

import pytest

pytest.importorskip("h2", reason="the peers are made with h2")

from anyhttp import ClientConnectionResetError
from anyhttp._http2 import ErrorCode, Http2Core, Http2Options
from anyhttp._http2.settings import own_settings
from tests.support.http2_core import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    FIELDS,
    GOAWAY,
    HEADERS,
    LIMITS,
    PADDED,
    PING,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    RawPeer,
    get,
    number,
    raw_frame,
)

LARGEST = 2**31 - 1
#: What the window of a connection is at first.
FIRST = 65_535


def initial_window(value: int) -> bytes:
    """Return the payload of SETTINGS with INITIAL_WINDOW_SIZE."""
    return b"\0\4" + number(value)


def most_exchanges(value: int) -> bytes:
    """Return the payload of SETTINGS with MAX_CONCURRENT_STREAMS."""
    return b"\0\3" + number(value)


def increments(peer: RawPeer) -> list[tuple[int, int]]:
    """Return stream and increment of each WINDOW_UPDATE that the core has sent."""
    return [
        (frame.stream_id, frame.window_increment)
        for frame in peer.sent()
        if frame.type == WINDOW_UPDATE
    ]


class TestReceiving:
    @pytest.mark.parametrize("missing", [0, 1])
    def test_half_of_a_window_is_given_back(self, missing: int) -> None:
        """RFC 9113 §6.9: not a byte before; for the stream when the program has read it."""
        peer = RawPeer(Http2Options(stream_window=1000))
        state = get(peer.core)
        peer.head(1)
        peer.data(1, bytes(500 - missing))
        peer.sent()
        peer.core.consumed(state)
        assert increments(peer) == []
        state.pieces.clear()
        peer.core.consumed(state)
        # All that has come was read, so that the window grows as well.
        assert increments(peer) == ([] if missing else [(1, 500 + 1000)])

    @pytest.mark.parametrize("missing", [0, 1])
    def test_half_of_the_connection_s_window_is_given_back(self, missing: int) -> None:
        """RFC 9113 §6.9: when it has come, whoever reads it; and counted anew from there."""
        peer = RawPeer(Http2Options(connection_window=100_000))
        get(peer.core)
        peer.head(1)
        peer.sent()
        peer.data(1, bytes(50_000 - missing))
        assert increments(peer) == ([] if missing else [(0, 50_000)])
        peer.data(1, bytes(49_999 + missing))
        assert increments(peer) == ([(0, 99_999)] if missing else [])
        peer.data(1, bytes(50_000))
        assert increments(peer) == [(0, 50_000 if missing else 99_999)]
        assert peer.core.error is None

    def test_what_is_unread_is_not_given_back(self) -> None:
        """What is given back is what the program has taken, and the window does not grow."""
        peer = RawPeer(Http2Options(stream_window=1000))
        state = get(peer.core)
        peer.head(1)
        peer.data(1, bytes(1000))
        peer.sent()
        state.pieces[0] = bytes(400)
        peer.core.consumed(state)
        assert increments(peer) == [(1, 600)]
        state.pieces[0] = bytes(1)
        peer.core.consumed(state)
        assert increments(peer) == []
        assert (state.window, state.window_size, state.credited) == (600, 1000, 600)

    def test_nothing_is_given_back_after_the_end(self) -> None:
        """The server sends nothing more, whether our half goes on or the exchange is closed."""
        for end in (False, True):
            peer = RawPeer(Http2Options(stream_window=1000))
            state = get(peer.core, "POST", end=end)
            peer.head(1)
            peer.data(1, bytes(1000), ends=True)
            state.pieces.clear()
            peer.sent()
            peer.core.consumed(state)
            assert peer.sent() == []
        state = get(peer.core)
        peer.head(3)
        peer.data(3, bytes(1000))
        peer.send(RST_STREAM, 0, 3, number(2))
        state.pieces.clear()
        peer.sent()
        peer.core.consumed(state)
        assert peer.sent() == []

    def test_no_window_grows_beyond_the_largest(self) -> None:
        """RFC 9113 §6.9.1: 2**31 - 1."""
        peer = RawPeer(Http2Options(stream_window=2**30, connection_window=LARGEST))
        state = get(peer.core)
        peer.head(1)
        peer.sent()
        state.received = 2**29  # as if so much had come and been read
        state.window -= 2**29
        peer.core.consumed(state)
        assert increments(peer) == [(1, 2**29 + LARGEST - 2**30)]
        assert state.window == state.window_size == LARGEST

    def test_padding_is_given_back_as_it_comes(self) -> None:
        """RFC 9113 §6.1: it counts, and no program reads it."""
        peer = RawPeer(Http2Options(stream_window=1000))
        get(peer.core)
        peer.head(1)
        peer.sent()
        for _ in range(2):
            peer.send(DATA, PADDED, 1, bytes([255]) + bytes(255))
        assert increments(peer) == [(1, 512 + 1000)]


class TestSending:
    @pytest.mark.parametrize("over", [0, 1])
    @pytest.mark.parametrize("stream", [0, 1])
    def test_the_largest_window(self, stream: int, over: int) -> None:
        """RFC 9113 §6.9.1: 2**31 - 1 is none too many, for the connection as for a stream."""
        peer = RawPeer()
        state = get(peer.core, "POST", end=False)
        peer.sent()
        peer.send(WINDOW_UPDATE, 0, stream, number(LARGEST - FIRST + over))
        answers = [(f.type, f.error_code) for f in peer.sent()]
        kind = RST_STREAM if stream else GOAWAY
        assert answers == [(kind, ErrorCode.FLOW_CONTROL_ERROR)] * over
        assert (state.failure is not None) == bool(over)

    @pytest.mark.parametrize("over", [0, 1])
    def test_the_largest_window_by_settings(self, over: int) -> None:
        """RFC 9113 §6.9.2: the same for each stream that is open."""
        peer = RawPeer()
        get(peer.core, "POST", end=False)
        peer.send(WINDOW_UPDATE, 0, 1, number(1 + over))
        peer.send(SETTINGS, 0, 0, initial_window(LARGEST - 1))
        assert peer.ended() == ((3, "a window beyond its limit") if over else None)

    def test_a_byte_of_room_on_the_connection_is_news(self) -> None:
        """For each that has room of its own, and for no other; room of a stream alone is none."""
        peer = RawPeer(settings=initial_window(FIRST))
        first, second, third = (get(peer.core, "POST", end=False) for _ in range(3))
        assert peer.core.send_data(first, bytes(FIRST), end=False) == FIRST
        for state in (first, second, third):
            assert peer.core.send_data(state, b"xy", end=False) == 0
        assert peer.send(WINDOW_UPDATE, 0, 3, number(10)) == []
        assert peer.send(SETTINGS, 0, 0, initial_window(FIRST - 1)) == []
        assert peer.send(SETTINGS, 0, 0, initial_window(FIRST)) == []
        assert peer.send(WINDOW_UPDATE, 0, 0, number(1)) == [second, third]
        assert first.has_news is False
        assert peer.core.send_data(third, b"xy", end=False) == 1
        assert peer.send(WINDOW_UPDATE, 0, 1, number(1)) == []
        assert peer.send(WINDOW_UPDATE, 0, 0, number(1)) == [first, third]

    def test_a_byte_of_room_of_a_stream_is_news(self) -> None:
        """Where the connection has a byte of room."""
        peer = RawPeer(settings=initial_window(FIRST - 1))
        state = get(peer.core, "POST", end=False)
        assert peer.core.send_data(state, bytes(FIRST), end=False) == FIRST - 1
        assert peer.send(WINDOW_UPDATE, 0, 1, number(1)) == [state]
        assert peer.core.send_data(state, b"x", end=False) == 1

    @pytest.mark.parametrize("end", ["reset by us", "reset by the server", "wrong", "goaway"])
    def test_room_is_no_news_for_one_that_has_ended(self, end: str) -> None:
        """It does not wait any more."""
        peer = RawPeer()
        state = get(peer.core, "POST", end=False)
        assert peer.core.send_data(state, bytes(FIRST + 1), end=False) == FIRST
        if end == "reset by us":
            peer.core.reset(state, ErrorCode.CANCEL)
        elif end == "reset by the server":
            assert peer.send(RST_STREAM, 0, 1, number(0)) == [state]
        elif end == "wrong":
            assert peer.data(1, b"no head") == [state]
        else:
            assert peer.send(GOAWAY, 0, 0, number(0) + number(0)) == [state]
        assert state.is_closed
        state.send_window = 1
        assert peer.send(WINDOW_UPDATE, 0, 0, number(1)) == []
        assert peer.core.send_data(state, b"x", end=False) == 0

    def test_a_connection_that_has_ended_takes_no_room(self) -> None:
        """Nor anything else."""
        peer = RawPeer()
        state = get(peer.core, "POST", end=False)
        peer.core.send_data(state, bytes(FIRST + 1), end=False)
        peer.core.room_changed = False
        assert peer.core.receive_eof() == [state]
        assert peer.core.room_changed is True
        assert peer.core.can_open is False
        assert peer.send(WINDOW_UPDATE, 0, 0, number(1)) == []


FLOODS = {
    "of unknown types": raw_frame(0x50, 0, 0),
    "SETTINGS": raw_frame(SETTINGS, ACK, 0),
    "PING": raw_frame(PING, ACK, 0, bytes(8)),
    "GOAWAY": raw_frame(GOAWAY, 0, 0, number(LARGEST) + number(0)),
    "PRIORITY": raw_frame(PRIORITY, 0, 1, bytes(5)),
    "WINDOW_UPDATE": raw_frame(WINDOW_UPDATE, 0, 0, number(1)),
    "DATA without data": raw_frame(DATA, 0, 1),
    "RST_STREAM": raw_frame(RST_STREAM, 0, 3, number(0)),
    "for exchanges that have been reset": raw_frame(DATA, 0, 3, bytes(1023)),
}
#: How many are too many after two requests, each of which forgives 20.
ALLOWED = 1040


class TestFloods:
    @pytest.mark.parametrize("kind", FLOODS)
    def test_so_many_frames_and_no_more(self, kind: str) -> None:
        """In one read; the end says which it were."""
        peer = RawPeer(Http2Options(stream_window=2**22))
        get(peer.core)
        peer.core.reset(get(peer.core), ErrorCode.CANCEL)
        peer.head(1)
        peer.core._guard._count = -40  # what has come so far is forgiven
        peer.sent()
        peer.core.receive(FLOODS[kind] * ALLOWED)
        assert peer.core.error is None
        peer.core._guard._count = -40
        peer.core.receive(FLOODS[kind] * (ALLOWED + 1))
        assert peer.ended() == (ErrorCode.ENHANCE_YOUR_CALM, f"a flood of frames: {kind}")

    @pytest.mark.parametrize(("size", "taken"), [(63, 1040), (64, 520), (639, 104), (640, 94)])
    def test_late_heads_count_by_their_size(self, size: int, taken: int) -> None:
        """As one more for each 64 bytes, as they have to be decompressed."""
        late = raw_frame(HEADERS, END_HEADERS, 3, b"\x88" * size)
        for more in (0, 1):
            peer = RawPeer()
            get(peer.core)
            peer.core.reset(get(peer.core), ErrorCode.CANCEL)
            peer.core._guard._count = -40
            peer.core.receive(late * (taken + more))
            text = "a flood of frames: for exchanges that have been reset"
            assert peer.ended() == ((ErrorCode.ENHANCE_YOUR_CALM, text) if more else None)

    def test_data_are_none(self) -> None:
        """However small: their window bounds them."""
        peer = RawPeer()
        state = get(peer.core)
        peer.head(1)
        peer.core.receive(raw_frame(DATA, 0, 1, b"x") * 1100)
        assert peer.core.error is None
        assert b"".join(state.pieces) == b"x" * 1100

    def test_late_data_of_a_kilobyte_are_none(self) -> None:
        """They were on their way, and their window bounds them."""
        peer = RawPeer(Http2Options(stream_window=2**22))
        get(peer.core)
        peer.core.reset(get(peer.core), ErrorCode.CANCEL)
        peer.core.receive(raw_frame(DATA, 0, 3, bytes(1024)) * 1100)
        assert peer.core.error is None


class TestLeaving:
    def test_one_that_is_complete_is_reset(self) -> None:
        """Without an error: the response was there."""
        peer = RawPeer()
        state = get(peer.core, "POST", end=False)
        peer.head(1, ends=True)
        peer.core.leave(state)
        assert peer.resets() == [(1, ErrorCode.NO_ERROR)]
        assert state.is_closed
        peer.core.leave(state)
        assert peer.resets() == []
        assert peer.core.max_exchanges == 256

    @pytest.mark.parametrize("trailers", [False, True])
    def test_the_server_ends_its_half(self, trailers: bool) -> None:
        """Then ours is ended by a reset; until then it counts among those that are open."""
        peer = RawPeer(settings=most_exchanges(10))
        state = get(peer.core, "POST", end=False)
        peer.head(1)
        peer.core.room_changed = False
        peer.core.leave(state)
        assert peer.core.room_changed is True
        assert peer.core.max_exchanges == 9
        peer.core.room_changed = False
        peer.data(1, b"dropped")
        assert peer.resets() == []
        assert peer.core.room_changed is False
        if trailers:
            peer.head(1, ("x-end", "1"), status=None, ends=True)
        else:
            peer.data(1, b"", ends=True)
        assert peer.resets() == [(1, ErrorCode.NO_ERROR)]
        assert state.is_closed
        assert peer.core.room_changed is True
        assert peer.core.max_exchanges == 10

    def test_one_that_the_server_resets(self) -> None:
        """It is no longer open then."""
        peer = RawPeer(settings=most_exchanges(10))
        state = get(peer.core, "POST", end=False)
        peer.core.leave(state)
        peer.core.room_changed = False
        peer.send(RST_STREAM, 0, 1, number(0))
        assert peer.core.room_changed is True
        assert peer.core.max_exchanges == 10
        peer.core.leave(state)
        assert peer.core.max_exchanges == 10
        assert peer.resets() == []

    @pytest.mark.parametrize(("most", "kept"), [(100, 8), (16, 8), (15, 7), (3, 1), (2, 1), (1, 0)])
    def test_no_more_than_some_are_left(self, most: int, kept: int) -> None:
        """At most 8, and half of what the server allows: the oldest are reset."""
        peer = RawPeer()
        states = [get(peer.core, "POST", end=False) for _ in range(10)]
        peer.send(SETTINGS, 0, 0, most_exchanges(most))
        for state in states:
            peer.core.leave(state)
        assert peer.resets() == [
            (state.stream_id, ErrorCode.CANCEL) for state in states[: 10 - kept]
        ]
        assert peer.core.max_exchanges == most - kept

    def test_fewer_than_none_are_never_allowed(self) -> None:
        """The server may change its mind while some are left."""
        peer = RawPeer(settings=most_exchanges(10))
        for _ in range(3):
            peer.core.leave(get(peer.core, "POST", end=False))
        peer.send(SETTINGS, 0, 0, most_exchanges(2))
        assert peer.core.max_exchanges == 0


class TestEnds:
    def test_what_a_goaway_of_ours_says(self) -> None:
        """RFC 9113 §6.8: no stream of the server was looked at, as it opens none."""
        peer = RawPeer()
        peer.core.close()
        peer.core.close(ErrorCode.INTERNAL_ERROR, "so long")
        said = [(f.last_stream_id, f.error_code, f.additional_data) for f in peer.sent()]
        assert said == [(0, 0, b""), (0, 2, b"so long")]
        assert peer.core.is_leaving is True

    def test_after_a_fault_there_is_one_goaway(self) -> None:
        """The first tells the reason."""
        peer = RawPeer()
        peer.core.room_changed = False
        peer.core.fail(ErrorCode.INTERNAL_ERROR, "first")
        assert peer.core.is_leaving is True
        peer.core.fail(ErrorCode.PROTOCOL_ERROR, "second")
        peer.core.close(ErrorCode.NO_ERROR, "third")
        said = [(f.last_stream_id, f.error_code, f.additional_data) for f in peer.sent()]
        assert said == [(0, 2, b"first")]
        assert str(peer.core.error) == "first"
        assert peer.core.room_changed is True
        assert peer.core.can_open is False

    def test_any_bytes_may_be_the_text_of_a_goaway(self) -> None:
        """RFC 9113 §6.8: they need not be UTF-8; and any number of 32 bits may be its code."""
        peer = RawPeer()
        state = get(peer.core)
        peer.send(GOAWAY, 0, 0, number(0) + number(2**32 - 2) + b"a\xff")
        assert str(state.failure).endswith(r"request: error code 4294967294, 'a\\xff'")

    @pytest.mark.parametrize("size", [99, 100, 101])
    def test_so_much_of_a_goaway_s_text_is_shown(self, size: int) -> None:
        """A hundred bytes."""
        peer = RawPeer()
        state = get(peer.core)
        peer.core.room_changed = False
        peer.send(GOAWAY, 0, 0, number(0) + number(2) + b"x" * size)
        text = "x" * min(size, 100)
        assert str(state.failure).endswith(f"request: INTERNAL_ERROR (2), {text!r}")
        assert peer.core.room_changed is True

    def test_a_goaway_with_an_error_and_without_a_text(self) -> None:
        """There is only the code to tell; one without an error tells nothing."""
        peer = RawPeer()
        state = get(peer.core)
        peer.send(GOAWAY, 0, 0, number(0) + number(2))
        assert isinstance(state.failure, ClientConnectionResetError)
        assert state.failure.errno == errno.ECONNRESET
        assert str(state.failure).endswith("before the request: INTERNAL_ERROR (2)")
        peer = RawPeer()
        state = get(peer.core)
        peer.send(GOAWAY, 0, 0, number(0) + number(0) + b"restart")
        assert str(state.failure).endswith("before the request")

    @pytest.mark.parametrize(
        ("code", "needs_http1", "is_unprocessed"),
        [(13, True, True), (7, False, True), (8, False, False)],
    )
    def test_what_a_reset_says_of_the_request(
        self, code: int, needs_http1: bool, is_unprocessed: bool
    ) -> None:
        """RFC 9113 §8.7, and HTTP_1_1_REQUIRED (§7)."""
        peer = RawPeer()
        state = get(peer.core)
        peer.send(RST_STREAM, 0, 1, number(code))
        assert isinstance(state.failure, ClientConnectionResetError)
        assert state.failure.errno == errno.ECONNRESET
        assert state.needs_http1 is needs_http1
        assert state.is_unprocessed is is_unprocessed

    def test_what_an_end_without_a_goaway_says(self) -> None:
        """No more than that."""
        peer = RawPeer()
        state = get(peer.core)
        peer.core.receive_eof()
        assert str(state.failure) == "Server disconnected"

    def test_each_exchange_fails_with_the_fault_of_the_connection(self) -> None:
        """As malformed, each with an exception of its own."""
        peer = RawPeer()
        states = [get(peer.core), get(peer.core)]
        assert peer.send(PING, 0, 1, bytes(8)) == states
        failures = [state.failure for state in states]
        assert [str(failure) for failure in failures] == ["a PING for a stream"] * 2
        assert failures[0] is not failures[1]
        assert [state.error for state in states] == failures


class TestBeginning:
    def test_what_is_sent_first_waits_from_the_beginning(self) -> None:
        """``output`` tells whether there is anything to send, and is empty when it was taken."""
        core = Http2Core(Http2Options(), "https")
        assert core.room_changed is False
        output = core.output
        assert len(output) == 2
        preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        assert core.take_output() == preface + own_settings(Http2Options())
        assert not output
        assert core.take_output() == b""
        core.ping(bytes(8))
        assert core.output is output
        assert len(output) == 1
        assert core.take_output() == raw_frame(PING, 0, 0, bytes(8))
        assert not output

    @pytest.mark.parametrize("end", [True, False])
    def test_a_head_says_whether_a_body_follows(self, end: bool) -> None:
        """RFC 9113 §8.1, END_STREAM; its length and its credentials are in the head."""
        peer = RawPeer()
        more = (("Content-Length", "5"), ("Authorization", "Basic secret"))
        get(peer.core, "POST", "/", (*FIELDS, *more), end=end)
        (frame,) = peer.sent()
        assert (frame.type, "END_STREAM" in frame.flags) == (HEADERS, end)
        fields = {str(name): str(value) for name, value in peer.decoder.decode(frame.data)}
        assert (fields["content-length"], fields["authorization"]) == ("5", "Basic secret")

    def test_frames_behind_one_of_an_unknown_type(self) -> None:
        """RFC 9113 §5.5: only that one is ignored."""
        peer = RawPeer()
        state = get(peer.core)
        head = raw_frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x88")
        assert peer.core.receive(raw_frame(0x50, 0, 0) + head) == [state]
        assert state.complete

    @pytest.mark.parametrize("step", [1, 2, 3, 4, 5, 8, 9])
    def test_settings_that_come_in_pieces(self, step: int) -> None:
        """They greet when they are whole, and answers are sent then."""
        core = Http2Core(Http2Options(), "https")
        core.take_output()
        core.room_changed = False
        wire = raw_frame(SETTINGS, 0, 0, most_exchanges(7))
        for start in range(0, len(wire), step):
            assert not core.is_greeted
            core.receive(wire[start : start + step])
        assert core.is_greeted is True
        assert core.room_changed is True
        assert core.max_exchanges == 7
        assert core.take_output() == raw_frame(SETTINGS, ACK, 0)

    def test_an_acknowledgement_is_no_greeting(self) -> None:
        """Which its fifth byte shows."""
        core = Http2Core(Http2Options(), "https")
        wire = raw_frame(SETTINGS, ACK, 0)
        core.receive(wire[:4])
        assert core.error is None
        core.receive(wire[4:5])
        assert core.error is not None

    def test_nothing_comes_in_the_middle_of_a_head(self) -> None:
        """RFC 9113 §4.3: not even a frame of an unknown type."""
        for frame in (raw_frame(PING, 0, 0, bytes(8)), raw_frame(0x50, 0, 0)):
            peer = RawPeer()
            get(peer.core)
            peer.send(HEADERS, END_STREAM, 1, b"\x88")
            peer.core.receive(frame)
            assert peer.ended() == (1, "a frame in the middle of a head")

    @pytest.mark.parametrize("ends", [False, True])
    def test_where_a_head_in_several_frames_ends_its_stream(self, ends: bool) -> None:
        """HEADERS say it, and CONTINUATION cannot (RFC 9113 §6.10)."""
        peer = RawPeer()
        state = get(peer.core)
        peer.send(HEADERS, END_STREAM if ends else 0, 1, b"")
        peer.send(CONTINUATION, END_HEADERS | END_STREAM, 1, b"\x88")
        assert state.has_final_head
        assert state.complete is ends

    def test_no_head_follows_the_end_of_a_response(self) -> None:
        """RFC 9113 §5.1: STREAM_CLOSED, also while the request goes on."""
        peer = RawPeer()
        get(peer.core, "POST", end=False)
        peer.head(1, ends=True)
        peer.head(1, ("x-more", "1"), status=None, ends=True)
        assert peer.ended() == (5, "a head after the end of a response")

    def test_trailers_end_a_response(self) -> None:
        """RFC 9113 §8.1: those that do not make it malformed, and no other one."""
        peer = RawPeer()
        state, other = get(peer.core), get(peer.core)
        peer.head(1)
        assert peer.head(1, ("x-more", "1"), status=None) == [state]
        assert peer.resets() == [(1, ErrorCode.PROTOCOL_ERROR)]
        assert str(state.error) == "trailers before the end of the body"
        assert peer.head(3, ends=True) == [other]

    def test_what_cannot_be_started(self) -> None:
        """One without a head, one that has been, and any when the numbers are used up."""
        peer = RawPeer()
        empty = peer.core.open(LIMITS)
        begun = get(peer.core)
        for state in (empty, begun):
            with pytest.raises(RuntimeError, match="cannot be started"):
                peer.core.start(state, end=True)
        peer.core._streams._next = LARGEST - 2
        peer.core.room_changed = False
        get(peer.core)
        assert peer.core.room_changed is False
        get(peer.core)
        assert peer.core.room_changed is True
        with pytest.raises(RuntimeError, match="cannot be started"):
            get(peer.core)
