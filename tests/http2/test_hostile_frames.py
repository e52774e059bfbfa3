"""Frames that a hostile server sends: wrong sizes, wrong streams, settings and farewells.

The chapter "HTTP/2" of ``docs/explanation/trust.md`` says what must happen; each test names a rule.
"""

from __future__ import annotations

import tracemalloc

import pytest

pytest.importorskip("h2", reason="h2 is not installed (anyhttp-client[http2])")

from hyperframe.frame import GoAwayFrame, RstStreamFrame

from anyhttp._http1 import ParseError
from anyhttp._http2 import Http2Options
from anyhttp._http2.state import StreamState
from tests.support.cost import calls_of
from tests.support.http2_probe import (
    ACK,
    ALTSVC,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    ORIGIN,
    PADDED,
    PING,
    PRIORITIZED,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Probe,
    data,
    frame,
    goaway,
    number,
    ping,
    reset,
    settings,
    window_update,
)

NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR = 0, 1, 2, 3
STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR = 5, 6, 7, 8, 9
ENHANCE_YOUR_CALM = 11


def has_failed(probe: Probe, *states: StreamState) -> bool:
    """Return whether the connection is over, for each of the exchanges as well."""
    return (
        probe.core.error is not None
        and not probe.core.can_open
        and all(state.failure is not None or state.error is not None for state in states)
    )


def answers(probe: Probe, *states: StreamState) -> None:
    """Check that the server can answer all of them still."""
    for state in states:
        probe.feed(probe.head(state.stream_id), data(state.stream_id, b"whole", end=True))
        assert state.head is not None
        assert state.head.status == 200
        assert b"".join(state.pieces) == b"whole"
        assert state.complete
    assert probe.core.error is None
    assert probe.went_away is None


class TestHello:
    @pytest.mark.parametrize(
        "first",
        [
            b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 ",
            b"\x15\x03\x03\x00\x02\x02\x50\x00\x00",  # an alert of TLS
            b"SSH-2.0-OpenSSH_9.2\r\n",
            b"\x00" * 9,
            ping(),
            settings(flags=ACK),
            goaway(0),
            frame(SETTINGS, 0, 1),
            window_update(0, 1),
        ],
        ids=[
            "http1",
            "http1-start",
            "tls",
            "ssh",
            "zeros",
            "ping",
            "ack",
            "goaway",
            "stream",
            "window",
        ],
    )
    def test_the_first_frame_has_to_be_settings(self, first: bytes) -> None:
        """RFC 9113 §3.4: whatever else a server begins with ends the connection at once."""
        probe = Probe(greeted=False)
        state = probe.request()
        probe.feed(first)
        assert has_failed(probe, state)
        assert probe.went_away == PROTOCOL_ERROR

    def test_a_server_that_speaks_http1_is_named(self) -> None:
        """Not waited for: its first bytes would be a frame of 4 MB."""
        probe = Probe(greeted=False)
        probe.request()
        probe.feed(b"HTTP/1.1 400 Bad")
        assert "HTTP/1" in str(probe.core.error)

    @pytest.mark.parametrize("size", range(1, 9))
    def test_its_first_bytes_are_enough(self, size: int) -> None:
        """Each byte of HTTP/1.1 may come alone; no more than nine are needed."""
        probe = Probe(greeted=False)
        state = probe.request()
        start = b"HTTP/1.1 "
        probe.feed(start[:size], start[size:])
        assert has_failed(probe, state)

    @pytest.mark.parametrize(
        "received", [b"", b"\x00", settings()[:-1], settings() + b"\x00\x00\x05"]
    )
    def test_an_end_is_an_end(self, received: bytes) -> None:
        """Also within a frame."""
        probe = Probe(greeted=False)
        state = probe.request()
        if received:
            probe.feed(received)
        news = probe.core.receive_eof()
        assert state in news
        assert state.failure is not None
        assert not probe.core.can_open


class TestSizes:
    @pytest.mark.parametrize("kind", [DATA, HEADERS, SETTINGS, GOAWAY, CONTINUATION, ALTSVC, 0x50])
    def test_a_frame_that_is_too_large_is_refused_at_its_header(self, kind: int) -> None:
        """RFC 9113 §4.2: 16 MB of it are not waited for."""
        probe = Probe()
        state = probe.request()
        largest = 2**24 - 1
        probe.feed(frame(kind, 0, 1 if kind in {DATA, HEADERS} else 0, length=largest))
        assert has_failed(probe, state)
        assert probe.went_away == FRAME_SIZE_ERROR

    @pytest.mark.parametrize(
        "wrong",
        [
            frame(PING, 0, 0, b"1234567"),
            frame(PING, ACK, 0, b"123456789"),
            frame(HEADERS, END_HEADERS | PRIORITIZED, 1, b"1234"),
            frame(RST_STREAM, 0, 1, b"123"),
            frame(RST_STREAM, 0, 1, b"12345"),
            frame(SETTINGS, 0, 0, b"12345"),
            frame(SETTINGS, 0, 0, b"1234567"),
            frame(WINDOW_UPDATE, 0, 0, b"123"),
            frame(WINDOW_UPDATE, 0, 1, b"12345"),
            frame(GOAWAY, 0, 0, b"1234567"),
            settings((4, 1), flags=ACK),
        ],
    )
    def test_a_frame_of_the_wrong_size_ends_the_connection(self, wrong: bytes) -> None:
        """RFC 9113 §6, each at its frame."""
        probe = Probe()
        state = probe.request()
        probe.feed(wrong)
        assert has_failed(probe, state)
        assert probe.went_away == FRAME_SIZE_ERROR

    @pytest.mark.parametrize("wrong", [b"", b"1234", b"123456"])
    def test_a_priority_of_the_wrong_size_ends_its_exchange(self, wrong: bytes) -> None:
        """RFC 9113 §6.3: it is an error of that stream alone."""
        probe = Probe()
        state, other = probe.request(), probe.request()
        probe.feed(frame(PRIORITY, 0, state.stream_id, wrong))
        assert state.error is not None or state.failure is not None
        answers(probe, other)

    @pytest.mark.parametrize(
        "wrong",
        [
            frame(DATA, PADDED, 1, b"\x05pad"),
            frame(DATA, PADDED, 1, b"\xff"),
            frame(HEADERS, END_HEADERS | PADDED, 1, b"\x05\x88"),
        ],
    )
    def test_padding_is_not_larger_than_its_frame(self, wrong: bytes) -> None:
        """RFC 9113 §6.1 and §6.2."""
        probe = Probe()
        state = probe.request()
        if wrong[3] == DATA:
            probe.feed(probe.head(1))
        probe.feed(wrong)
        assert has_failed(probe, state)
        assert probe.went_away == PROTOCOL_ERROR

    def test_padding_has_its_length(self) -> None:
        """A padded frame without the byte for it."""
        probe = Probe()
        state = probe.request()
        probe.feed(probe.head(1), frame(DATA, PADDED, 1))
        assert has_failed(probe, state)
        assert probe.went_away in {PROTOCOL_ERROR, FRAME_SIZE_ERROR}

    @pytest.mark.parametrize("payload", [b"", b"\x05pad"], ids=["no length", "too much"])
    def test_padding_of_what_nobody_wants_is_looked_at_too(self, payload: bytes) -> None:
        """The frame is malformed, also if it is for an exchange that was reset."""
        probe = Probe()
        first, second = probe.request(), probe.request()
        probe.core.reset(first, CANCEL)
        probe.feed(frame(DATA, PADDED, 1, payload))
        assert has_failed(probe, second)
        assert probe.went_away in {PROTOCOL_ERROR, FRAME_SIZE_ERROR}

    def test_nothing_is_kept_of_a_frame_that_is_too_large(self) -> None:
        """What comes after the error is not even looked at."""
        probe = Probe()
        probe.request()
        probe.feed(frame(DATA, 0, 1, length=2**20))
        tracemalloc.start()
        for _ in range(64):
            assert not probe.core.receive(bytes(2**16))
        kept, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert kept < 2**16
        assert len(probe.sent(GoAwayFrame)) == 1


class TestStreams:
    @pytest.mark.parametrize(
        "wrong",
        [
            data(0, b"x"),
            frame(HEADERS, END_HEADERS, 0, b"\x88"),
            frame(PRIORITY, 0, 0, bytes(5)),
            reset(0, CANCEL),
            frame(CONTINUATION, END_HEADERS, 0, b"\x88"),
            frame(SETTINGS, 0, 1),
            frame(PING, 0, 1, bytes(8)),
            frame(GOAWAY, 0, 1, bytes(8)),
            frame(PUSH_PROMISE, END_HEADERS, 0, number(2)),
        ],
    )
    def test_a_frame_belongs_to_a_stream_or_not(self, wrong: bytes) -> None:
        """RFC 9113 §6: PROTOCOL_ERROR."""
        probe = Probe()
        state = probe.request()
        probe.feed(wrong)
        assert has_failed(probe, state)
        assert probe.went_away == PROTOCOL_ERROR

    @pytest.mark.parametrize(
        "stream", [3, 2**31 - 1, 2, 2**31 - 2], ids=["odd", "last", "even", "even-last"]
    )
    @pytest.mark.parametrize(
        "kind", ["headers", "request", "data", "reset", "window", "continuation"]
    )
    def test_nothing_comes_on_a_stream_that_nobody_opened(self, kind: str, stream: int) -> None:
        """RFC 9113 §5.1: PROTOCOL_ERROR.  A server opens none itself."""
        probe = Probe()
        state = probe.request()
        made = {
            "headers": probe.head(stream),
            "request": probe.headers(
                stream,
                (":method", "GET"),
                (":scheme", "https"),
                (":authority", "a"),
                (":path", "/"),
            ),
            "data": data(stream, b"x"),
            "reset": reset(stream, CANCEL),
            "window": window_update(stream, 1),
            "continuation": frame(CONTINUATION, END_HEADERS, stream, b"\x88"),
        }
        probe.feed(made[kind])
        assert has_failed(probe, state)
        assert probe.went_away == PROTOCOL_ERROR

    @pytest.mark.parametrize("reserved", [0, 2**31])
    def test_the_reserved_bit_means_nothing(self, reserved: int) -> None:
        """RFC 9113 §4.1."""
        probe = Probe()
        state = probe.request()
        probe.feed(probe.headers(1 | reserved, (":status", "200"), end=True))
        assert state.complete

    def test_priority_on_any_stream_means_nothing(self) -> None:
        """RFC 9113 §5.3.2: it is deprecated, and may come at any time."""
        probe = Probe()
        state = probe.request()
        for stream in (1, 2, 3, 2**31 - 1):
            probe.feed(frame(PRIORITY, 0, stream, number(stream ^ 4) + b"\x10"))
        priority = number(0) + b"\xff"
        block = priority + probe.block((":status", "200"))
        probe.feed(frame(HEADERS, END_HEADERS | PRIORITIZED | END_STREAM, 1, block))
        assert state.complete
        assert probe.core.error is None

    @pytest.mark.parametrize("kind", [ALTSVC, ORIGIN, 0x0B, 0x50, 0xFF])
    @pytest.mark.parametrize("stream", [0, 1, 2, 99])
    def test_frames_of_unknown_types_are_ignored(self, kind: int, stream: int) -> None:
        """RFC 9113 §5.5; alternative services and origins are not used (RFC 7838, RFC 8336)."""
        probe = Probe()
        state = probe.request()
        probe.feed(frame(kind, 0xFF, stream, b'\x00\x0ahttps://evil.test, h2=":443"'))
        answers(probe, state)

    @pytest.mark.parametrize("again", ["head", "data", "end", "empty"])
    def test_nothing_follows_the_end_of_a_response(self, again: str) -> None:
        """RFC 9113 §5.1: STREAM_CLOSED, for the whole connection."""
        probe = Probe()
        first, second = probe.request(), probe.request()
        probe.feed(probe.head(1, end=True))
        assert first.complete
        follows = {
            "head": probe.head(1),
            "data": data(1, b"x"),
            "end": data(1, b"x", end=True),
            "empty": data(1),
        }
        probe.feed(follows[again])
        assert has_failed(probe, second)
        assert probe.went_away == STREAM_CLOSED
        assert first.complete
        assert first.failure is None

    def test_nor_while_the_request_goes_on(self) -> None:
        """The stream is half closed then; the same (RFC 9113 §5.1)."""
        probe = Probe()
        state = probe.request("POST", end=False)
        probe.feed(probe.head(1, end=True), data(1, b"x"))
        assert probe.core.error is not None or probe.reset_of(state) == STREAM_CLOSED
        assert probe.went_away in {None, STREAM_CLOSED}

    def test_late_resets_and_windows_are_ignored(self) -> None:
        """RFC 9113 §5.1: they may have crossed the end."""
        probe = Probe()
        first, second = probe.request(), probe.request()
        probe.feed(probe.head(1, end=True), reset(1, NO_ERROR), window_update(1, 100))
        assert first.complete
        answers(probe, second)

    def test_what_comes_after_our_reset_is_dropped_without_an_answer(self) -> None:
        """A server counts what we reset (CVE-2023-44487): one RST_STREAM is enough."""
        probe = Probe()
        first, second = probe.request(), probe.request()
        probe.feed(probe.head(1))
        probe.core.reset(first, CANCEL)
        for _ in range(64):
            probe.feed(data(1, bytes(16_384)))
        probe.feed(probe.headers(1, ("x-trailer", "y"), end=True))
        probe.feed(reset(1, NO_ERROR), window_update(1, 9))
        assert len(probe.sent(RstStreamFrame)) == 1
        assert not first.pieces
        answers(probe, second)

    def test_its_fields_are_taken_into_the_table(self) -> None:
        """HPACK has one table for all streams: what is dropped is decoded all the same."""
        probe = Probe()
        first, second = probe.request(), probe.request()
        probe.core.reset(first, CANCEL)
        probe.feed(probe.head(1, 200, ("x-first", "value of the first"), end=True))
        probe.feed(probe.head(3, 200, ("x-first", "value of the first"), end=True))
        assert second.complete
        assert second.head is not None
        assert dict(second.head.raw_headers)[b"x-first"] == b"value of the first"

    def test_its_data_counts_for_the_connection(self) -> None:
        """Else the window of the connection would be used up for ever."""
        probe = Probe(Http2Options(connection_window=200_000))
        first, second = probe.request(), probe.request()
        probe.feed(probe.head(1))
        probe.core.reset(first, CANCEL)
        before = probe.credited(0)
        probe.feed(*[data(1, bytes(16_384))] * 60)
        assert probe.credited(0) - before > 60 * 16_384 // 2
        answers(probe, second)

    def test_no_more_data_than_its_window_comes_for_it(self) -> None:
        """A server that goes on for ever has not heard of flow control."""
        probe = Probe(Http2Options(stream_window=100_000))
        first, second = probe.request(), probe.request()
        probe.feed(probe.head(1))
        probe.core.reset(first, CANCEL)
        probe.feed(*[data(1, bytes(16_384))] * 7)
        assert has_failed(probe, second)
        assert probe.went_away == FLOW_CONTROL_ERROR

    @pytest.mark.parametrize("code", [NO_ERROR, PROTOCOL_ERROR, CANCEL, 99, 2**32 - 1])
    def test_a_reset_ends_one_exchange(self, code: int) -> None:
        """Whatever its code, known or not, and not the others."""
        probe = Probe()
        first, second = probe.request(), probe.request()
        probe.feed(reset(1, code))
        assert first.failure is not None
        assert first.reset_code == code
        assert not first.is_unprocessed
        assert probe.reset_of(first) is None
        answers(probe, second)

    def test_pushes_are_refused(self) -> None:
        """RFC 9113 §8.4: push is off from the first byte on, acknowledged or not."""
        for greeted in (False, True):
            probe = Probe(greeted=greeted)
            state = probe.request()
            if not greeted:
                probe.feed(settings())
            pushed = probe.block((":method", "GET"), (":scheme", "https"), (":path", "/"))
            probe.feed(frame(PUSH_PROMISE, END_HEADERS, 1, number(2) + pushed))
            assert has_failed(probe, state)
            assert probe.went_away == PROTOCOL_ERROR


class TestSettings:
    @pytest.mark.parametrize(
        ("setting", "value", "code"),
        [
            (2, 1, PROTOCOL_ERROR),  # ENABLE_PUSH
            (2, 2, PROTOCOL_ERROR),
            (4, 2**31, FLOW_CONTROL_ERROR),  # INITIAL_WINDOW_SIZE
            (4, 2**32 - 1, FLOW_CONTROL_ERROR),
            (5, 16_383, PROTOCOL_ERROR),  # MAX_FRAME_SIZE
            (5, 0, PROTOCOL_ERROR),
            (5, 2**24, PROTOCOL_ERROR),
            (8, 2, PROTOCOL_ERROR),  # ENABLE_CONNECT_PROTOCOL
        ],
    )
    def test_values_out_of_range_end_the_connection(
        self, setting: int, value: int, code: int
    ) -> None:
        """RFC 9113 §6.5.2, RFC 8441 §3."""
        probe = Probe()
        state = probe.request()
        probe.feed(settings((setting, value)))
        assert has_failed(probe, state)
        assert probe.went_away == code

    def test_unknown_settings_are_not_kept(self) -> None:
        """65 536 of them would take 50 MB, and a look at each one with every SETTINGS frame."""
        probe = Probe()
        state = probe.request()
        sent = [
            settings(*((one, 2**32 - 1) for one in range(first, min(first + 10_000, 65_536))))
            for first in range(16, 65_536, 10_000)
        ]
        tracemalloc.start()
        for each in sent:
            probe.core.receive(each)
        kept, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert kept < 2**18
        answers(probe, state)

    def test_many_windows_in_one_frame_cost_one(self) -> None:
        """INITIAL_WINDOW_SIZE concerns each stream; a frame has room for thousands of it."""
        costs = []
        for streams in (1, 100):
            probe = Probe()
            for _ in range(streams):
                probe.request("POST", end=False)
            many = settings(*[(4, 1000 + each % 2) for each in range(10_000)])
            costs.append(calls_of(lambda p=probe, f=many: p.core.receive(f)))  # type: ignore[misc]
        assert costs[1] < costs[0] + 1000

    def test_a_huge_table_is_not_filled(self) -> None:
        """HEADER_TABLE_SIZE is what we may use: we use 4096 bytes of it at most."""
        probe = Probe(settings={1: 2**32 - 1})
        probe.decoder.max_allowed_table_size = 2**32 - 1
        for each in range(100):
            state = probe.request(fields=[(f"x-field-{each}", "v" * 100)])
            fields = dict(probe.fields_of(state.stream_id))
            assert fields[b"x-field-%d" % each] == b"v" * 100
        assert probe.decoder.header_table_size <= 4096

    def test_a_table_may_be_forbidden(self) -> None:
        """HEADER_TABLE_SIZE 0, at the start or later."""
        probe = Probe()
        probe.fields_of(probe.request(fields=[("x-a", "b")]).stream_id)
        probe.feed(settings((1, 0)))
        probe.decoder.max_allowed_table_size = 0
        for _ in range(3):
            fields = dict(probe.fields_of(probe.request(fields=[("x-a", "b")]).stream_id))
            assert fields[b"x-a"] == b"b"

    def test_changes_of_the_table_are_told_in_few_bytes(self) -> None:
        """However often it changed since the last request (RFC 7541 §4.2: twice is enough)."""
        probe = Probe()
        probe.fields_of(probe.request(fields=[("x-a", "b")]).stream_id)
        for each in range(200):
            probe.feed(settings((1, each % 2 * 4096)))
        state = probe.request(fields=[("x-a", "b")])
        assert dict(probe.fields_of(state.stream_id))[b"x-a"] == b"b"
        block = probe.frames[-1]
        assert block.body_len < 100

    def test_the_same_setting_twice(self) -> None:
        """The last value counts (RFC 9113 §6.5)."""
        probe = Probe()
        probe.feed(settings((3, 1), (3, 7)))
        assert probe.core.max_exchanges == 7

    @pytest.mark.parametrize("count", [0, 1, 2**32 - 1])
    def test_the_number_of_streams_may_be_anything(self, count: int) -> None:
        """None of them harms the exchanges that are under way."""
        probe = Probe()
        states = [probe.request(), probe.request()]
        probe.feed(settings((3, count)))
        assert probe.core.max_exchanges == min(count, Http2Options().max_exchanges)
        answers(probe, *states)

    def test_an_acknowledgement_that_nobody_asked_for(self) -> None:
        """It changes nothing."""
        probe = Probe()
        state = probe.request()
        probe.feed(*[settings(flags=ACK)] * 10)
        answers(probe, state)


class TestGoAway:
    def test_the_last_stream_divides_them(self) -> None:
        """RFC 9113 §6.8: what is above was not processed, what is below goes on."""
        probe = Probe()
        states = [probe.request() for _ in range(3)]
        probe.feed(goaway(3))
        assert [state.is_unprocessed for state in states] == [False, False, True]
        assert states[2].failure is not None
        assert not probe.core.can_open
        answers(probe, *states[:2])

    @pytest.mark.parametrize("last", [1, 2, 99, 2**31 - 1, 2**31 | 1, 2**32 - 1])
    def test_a_last_stream_that_was_not_used(self, last: int) -> None:
        """Servers send 2**31-1 first on purpose; the reserved bit means nothing."""
        probe = Probe()
        state = probe.request()
        probe.feed(goaway(last))
        assert not state.is_unprocessed
        answers(probe, state)

    def test_one_that_comes_down(self) -> None:
        """RFC 9113 §6.8: as graceful servers do it."""
        probe = Probe()
        states = [probe.request() for _ in range(3)]
        probe.feed(goaway(2**31 - 1), goaway(5), goaway(1), goaway(1))
        assert [state.is_unprocessed for state in states] == [False, True, True]
        answers(probe, states[0])

    def test_one_that_goes_up_again_is_no_promise(self) -> None:
        """RFC 9113 §6.8 forbids it: what was called unprocessed has perhaps been sent again."""
        probe = Probe()
        states = [probe.request() for _ in range(3)]
        probe.feed(goaway(1), goaway(2**31 - 1))
        assert [state.is_unprocessed for state in states] == [False, True, True]
        probe.feed(probe.head(3, end=True))
        assert states[1].head is None
        assert states[1].failure is not None

    def test_what_comes_above_the_last_stream_is_dropped(self) -> None:
        """The exchange has been given up, and those below it go on."""
        probe = Probe()
        first, second = probe.request(), probe.request()
        probe.feed(goaway(1))
        assert second.is_unprocessed
        probe.feed(probe.head(3, 200, ("x-late", "value")), data(3, b"late", end=True))
        assert not second.complete
        probe.feed(probe.head(1, 200, ("x-late", "value")), data(1, b"whole", end=True))
        assert first.complete
        assert first.head is not None
        assert dict(first.head.raw_headers)[b"x-late"] == b"value"
        assert probe.core.error is None

    def test_zero_is_for_all(self) -> None:
        """None was processed."""
        probe = Probe()
        states = [probe.request() for _ in range(3)]
        probe.feed(goaway(0, ENHANCE_YOUR_CALM))
        assert all(state.is_unprocessed for state in states)
        assert not probe.core.can_open

    @pytest.mark.parametrize("farewell", [goaway(0), reset(1, REFUSED_STREAM)])
    @pytest.mark.parametrize("status", [103, 200])
    def test_one_that_was_answered_is_not_sent_again(self, status: int, farewell: bytes) -> None:
        """Although the server says that it was not processed."""
        probe = Probe()
        state = probe.request()
        probe.feed(probe.head(1, status), farewell)
        assert not state.is_unprocessed
        assert state.failure is not None

    def test_debug_data_is_not_kept(self) -> None:
        """Nor shown, beyond a few printable characters."""
        probe = Probe()
        state = probe.request()
        tracemalloc.start()
        for _ in range(50):
            probe.feed(goaway(0, PROTOCOL_ERROR, b"\x1b[31m\r\nSECRET" + b"x" * 16_000))
        kept, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert kept < 2**16
        assert state.failure is not None
        shown = f"{state.failure} {probe.core.error}"
        assert len(shown) < 1000
        assert shown.isprintable()

    def test_settings_and_pings_are_answered_after_it(self) -> None:
        """The exchanges that remain need them."""
        probe = Probe()
        state = probe.request("POST", end=False)
        probe.feed(goaway(1))
        before = probe.acknowledged
        probe.feed(settings((4, 10)), ping())
        assert probe.acknowledged == before + 2
        assert probe.core.send_data(state, b"0123456789abcdef", end=False) > 0
        probe.core.send_data(state, b"", end=True)
        answers(probe, state)


def test_errors_of_the_library_stay_inside() -> None:
    """A program sees the exceptions of this package, whatever the bytes are."""
    for wrong in (frame(HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff\xff\xff"), settings((2, 1))):
        probe = Probe()
        state = probe.request()
        probe.feed(wrong)
        for error in (probe.core.error, state.failure, state.error):
            assert error is None or not type(error).__module__.startswith(("h2", "hpack", "hyper"))
        assert not isinstance(probe.core.error, ParseError) or str(probe.core.error)
