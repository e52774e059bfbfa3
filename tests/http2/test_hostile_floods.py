"""Floods and tricks with windows: whatever a server repeats, work and memory are bounded.

The chapter "HTTP/2" of ``docs/explanation/trust.md`` says what must happen; each test names a rule.
"""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable

import pytest

pytest.importorskip("h2", reason="h2 is not installed (anyhttp-client[http2])")

from hyperframe.frame import DataFrame

from anyhttp._http2 import Http2Options
from anyhttp._http2.state import StreamState
from tests.support.cost import calls_of
from tests.support.http2_probe import (
    ALTSVC,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    ORIGIN,
    PRIORITY,
    Probe,
    data,
    frame,
    number,
    ping,
    reset,
    settings,
    window_update,
)

FLOW_CONTROL_ERROR, CANCEL, ENHANCE_YOUR_CALM = 3, 8, 11
OK = (":status", "200")
#: What one read of a socket gives.
READ = 65_536


def answers(probe: Probe, state: StreamState) -> None:
    """Check that the server can answer."""
    probe.feed(probe.head(state.stream_id), data(state.stream_id, b"whole", end=True))
    assert state.complete
    assert probe.core.error is None


FLOODS: dict[str, Callable[[Probe], bytes]] = {
    "settings": lambda probe: settings((4, 65_535)),  # CVE-2019-9515
    "empty settings": lambda probe: settings(),
    "settings acks": lambda probe: settings(flags=1),
    "ping": lambda probe: ping(),  # CVE-2019-9512
    "ping acks": lambda probe: ping(ack=True),
    "priority": lambda probe: frame(PRIORITY, 0, 1, number(0) + b"\x10"),  # CVE-2019-9513
    "resets": lambda probe: reset(3, CANCEL),  # CVE-2019-9514
    "small windows": lambda probe: window_update(0, 1),
    "small windows of a stream": lambda probe: window_update(1, 1),
    "windows of a stream that is closed": lambda probe: window_update(3, 1),
    "empty data": lambda probe: data(1),  # CVE-2019-9518
    "padding": lambda probe: data(1, padding=255),
    "data of a stream that is closed": lambda probe: data(3, b"x"),
    "heads of a stream that is closed": lambda probe: probe.head(3, 103),
    "unknown frames": lambda probe: frame(0x50, 0, 0),
    "large unknown frames": lambda probe: frame(0x50, 0, 1, bytes(4000)),
    "alternative services": lambda probe: frame(ALTSVC, 0, 0, b'\x00\x05a.testh2=":443"'),
    "origins": lambda probe: frame(ORIGIN, 0, 0, b"\x00\x05a.test"),
}


class TestFloods:
    @pytest.mark.parametrize("kind", FLOODS)
    def test_a_flood_ends_the_connection(self, kind: str) -> None:
        """ENHANCE_YOUR_CALM, little kept, little sent.

        CVE-2019-9511, CVE-2019-9512, CVE-2019-9513, CVE-2019-9514, CVE-2019-9515, CVE-2019-9518.
        """
        probe = Probe()
        state, closed = probe.request(), probe.request()
        probe.feed(probe.head(1))
        probe.core.reset(closed, CANCEL)
        probe.read()
        one = FLOODS[kind](probe)
        many = one * (READ // len(one))
        before = len(probe.frames)
        tracemalloc.start()
        for _ in range(1000):
            if probe.core.error is not None:
                break
            probe.core.receive(many)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert probe.went_away == ENHANCE_YOUR_CALM
        assert state.failure is not None
        assert most < 4 * 2**20
        assert len(probe.frames) - before < 3000

    @pytest.mark.parametrize("kind", sorted(set(FLOODS) - {"data of a stream that is closed"}))
    def test_what_comes_seldom_is_no_flood(self, kind: str) -> None:
        """Servers ping for days, while an exchange waits."""
        probe = Probe()
        state, closed = probe.request(), probe.request()
        if kind in {"empty data", "padding"}:
            probe.feed(probe.head(1))
        probe.core.reset(closed, CANCEL)
        for _ in range(3000):
            probe.core.receive(FLOODS[kind](probe))
            probe.core.consumed(state)
        assert probe.core.error is None
        if kind not in {"empty data", "padding"}:
            answers(probe, state)

    @pytest.mark.parametrize("together", [False, True])
    def test_informational_heads_are_counted(self, together: bool) -> None:
        """Before anybody reads them: each costs as much as a response."""
        probe = Probe()
        state, other = probe.request(), probe.request()
        heads = [probe.head(1, 103, ("link", "</a>; rel=preload")) for _ in range(200)]
        if together:
            heads = [b"".join(heads)]
        probe.feed(*heads)
        assert state.error is not None or state.failure is not None
        assert probe.reset_of(state) in {1, ENHANCE_YOUR_CALM}
        answers(probe, other)

    def test_so_is_what_they_hold(self) -> None:
        """A byte stands for a large field that is in the table, and each head has many of these."""
        probe = Probe()
        state, other = probe.request(), probe.request()
        large = [("link", "x" * 3000)] * 6
        first, *heads = [probe.head(1, 103, *large) for _ in range(8)]
        probe.feed(first, *heads[:2])
        assert state.failure is None
        assert max(map(len, heads)) < 20
        probe.feed(b"".join(heads[2:]))
        assert state.error is not None
        assert probe.reset_of(state) == ENHANCE_YOUR_CALM
        answers(probe, other)

    def test_trailers_come_once(self) -> None:
        """Empty HEADERS as well (CVE-2019-9518)."""
        probe = Probe()
        state, other = probe.request(), probe.request()
        probe.feed(probe.head(1))
        probe.feed(frame(HEADERS, END_HEADERS, 1) * 100)
        assert state.error is not None
        answers(probe, other)

    def test_large_heads_on_a_stream_that_is_closed_are_dear(self) -> None:
        """They have to be decompressed, for the table: a few thousand bytes cost milliseconds."""
        probe = Probe()
        state, closed = probe.request(), probe.request()
        probe.core.reset(closed, CANCEL)
        one = frame(HEADERS, END_HEADERS, 3, b"\x88" + b"\x82" * 1400)
        taken = 0
        while probe.core.error is None:
            probe.core.receive(one)
            taken += 1
        assert probe.went_away == ENHANCE_YOUR_CALM
        assert state.failure is not None
        assert taken < 150

    def test_a_flood_costs_little_for_each_frame(self) -> None:
        """No look at all streams, or at all frames before."""
        costs = []
        for streams in (1, 100):
            probe = Probe(Http2Options(max_exchanges=100))
            for _ in range(streams):
                probe.request()
            pings = ping() * 500
            costs.append(calls_of(lambda p=probe, f=pings: p.core.receive(f)))  # type: ignore[misc]
        assert costs[1] < 1.2 * costs[0]

    def test_many_settings_cost_little_for_each_stream(self) -> None:
        """A new INITIAL_WINDOW_SIZE concerns all streams (RFC 9113 §6.9.2): it is dear."""
        probe = Probe(Http2Options(max_exchanges=100))
        for _ in range(100):
            probe.request("POST", end=False)
        both = settings((4, 1)) + settings((4, 2))
        calls = 0
        while probe.core.error is None:
            calls += calls_of(lambda: probe.core.receive(both * 2000))
        assert probe.went_away == ENHANCE_YOUR_CALM
        assert calls < 3_000_000


class TestMemory:
    def test_data_of_one_byte_takes_little_more(self) -> None:
        """Each piece alone would take 50 times its size."""
        probe = Probe()
        state = probe.request()
        probe.feed(probe.head(1))
        one = data(1, b"x")
        tracemalloc.start()
        sent = 0
        while sent < 10_000:
            probe.core.receive(one * 5000)
            sent += 5000
        kept, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert sum(map(len, state.pieces)) == sent
        assert kept < 4 * sent
        assert probe.core.error is None

    def test_a_response_that_nobody_reads_stops_at_its_window(self) -> None:
        """RFC 9113 §6.9: what comes beyond ends the connection; the others' windows are open."""
        probe = Probe(Http2Options(stream_window=100_000))
        state, other = probe.request(), probe.request()
        probe.feed(probe.head(1))
        for _ in range(6):
            probe.feed(data(1, bytes(16_000)))
        assert probe.credited(1) == 0
        answers(probe, other)
        probe.feed(data(1, bytes(16_000)))
        assert sum(map(len, state.pieces)) <= 100_000
        assert FLOW_CONTROL_ERROR in {probe.went_away, probe.reset_of(state)}

    def test_padding_is_credited(self) -> None:
        """It counts for both windows, and nobody reads it."""
        probe = Probe(Http2Options(stream_window=100_000))
        state = probe.request()
        probe.feed(probe.head(1))
        size = 0
        while size < 1000:
            probe.feed(data(1, b"x", padding=255))
            probe.core.consumed(state)
            size += 1
        assert b"".join(state.pieces) == b"x" * 1000
        assert probe.core.error is None

    def test_padding_alone_is_credited_at_once(self) -> None:
        """The program waits for data, and does not read before there are any."""
        probe = Probe(Http2Options(stream_window=1000))
        state = probe.request()
        probe.feed(probe.head(1))
        for _ in range(500):
            probe.feed(data(1, padding=255))
        probe.feed(data(1, b"whole", end=True))
        assert state.complete
        assert probe.core.error is None

    def test_streams_that_are_over_are_forgotten(self) -> None:
        """A connection that lives long keeps nothing of them."""
        probe = Probe()

        def exchange() -> None:
            state = probe.request()
            probe.feed(probe.head(state.stream_id), data(state.stream_id, b"x", end=True))
            probe.frames.clear()

        for _ in range(10):
            exchange()
        tracemalloc.start()
        for _ in range(500):
            exchange()
        kept, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert kept < 50_000

    def test_so_are_those_that_were_reset(self) -> None:
        """By either side, whether the server says anything more or not."""
        probe = Probe()
        probe.request()
        tracemalloc.start()
        for each in range(1000):
            state = probe.request()
            if each % 2:
                probe.core.reset(state, CANCEL)
            else:
                probe.feed(reset(state.stream_id, CANCEL))
            del state
            probe.read()
            probe.news.clear()
            probe.frames.clear()
        kept, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert kept < 200_000

    def test_half_a_frame_is_all_that_waits(self) -> None:
        """The bytes before it are gone, whatever the pieces."""
        probe = Probe()
        state = probe.request()
        probe.feed(probe.head(1))
        whole = data(1, bytes(10_000))
        tracemalloc.start()
        for _ in range(300):
            for start in range(0, len(whole), 3001):
                probe.core.receive(whole[start : start + 3001])
            state.pieces.clear()
            probe.core.consumed(state)
            probe.core.take_output()
        kept, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert kept < 50_000
        assert probe.core.error is None

    @pytest.mark.parametrize("size", [1, 2, 7])
    def test_bytes_that_come_alone_cost_no_more_than_linear(self, size: int) -> None:
        """A frame in pieces of a few bytes."""
        probe = Probe()
        probe.request()
        probe.feed(probe.head(1))
        costs = []
        for length in (2000, 16_000):
            whole = data(1, bytes(length))

            def feed(whole: bytes = whole) -> None:
                for start in range(0, len(whole), size):
                    probe.core.receive(whole[start : start + size])

            costs.append(calls_of(feed))
        assert costs[1] < 10 * costs[0]


class TestWindows:
    def test_a_window_that_overflows_ends_its_stream(self) -> None:
        """RFC 9113 §6.9.1: FLOW_CONTROL_ERROR."""
        probe = Probe()
        state, other = probe.request("POST", end=False), probe.request()
        probe.feed(window_update(1, 2**31 - 1))
        assert probe.reset_of(state) == FLOW_CONTROL_ERROR
        assert state.failure is not None or state.error is not None
        answers(probe, other)

    @pytest.mark.parametrize("over", [0, 1])
    def test_more_data_than_the_window_of_the_connection(self, over: int) -> None:
        """RFC 9113 §6.9: one frame may be too much, where frames may be as large as the window."""
        probe = Probe(Http2Options(connection_window=65_535, max_frame_size=65_536))
        state = probe.request()
        probe.feed(probe.head(1) + data(1, bytes(65_535 + over)))
        assert probe.went_away == (FLOW_CONTROL_ERROR if over else None)
        assert (state.failure is not None) == bool(over)

    def test_one_that_overflows_ends_the_connection(self) -> None:
        """RFC 9113 §6.9.1."""
        probe = Probe()
        state = probe.request()
        probe.feed(window_update(0, 2**31 - 1))
        assert probe.went_away == FLOW_CONTROL_ERROR
        assert state.failure is not None

    def test_one_that_overflows_by_settings(self) -> None:
        """RFC 9113 §6.9.2: the same."""
        probe = Probe()
        state = probe.request("POST", end=False)
        probe.feed(window_update(1, 2**30), settings((4, 2**31 - 1)))
        assert probe.went_away == FLOW_CONTROL_ERROR
        assert state.failure is not None

    @pytest.mark.parametrize("stream", [0, 1])
    def test_an_increment_of_zero_is_an_error(self, stream: int) -> None:
        """RFC 9113 §6.9: PROTOCOL_ERROR, of the stream or of the connection."""
        probe = Probe()
        state = probe.request("POST", end=False)
        probe.feed(window_update(stream, 0))
        assert 1 in {probe.went_away, probe.reset_of(state)}
        assert state.failure is not None or state.error is not None

    def test_the_reserved_bit_of_an_increment_means_nothing(self) -> None:
        """RFC 9113 §6.9: it is ignored, and 2**31 is zero then."""
        probe = Probe(settings={4: 10})
        state = probe.request("POST", end=False)
        assert probe.core.send_data(state, bytes(100), end=False) == 10
        probe.feed(window_update(1, 2**31 | 5))
        assert probe.core.send_data(state, bytes(90), end=False) == 5

    def test_a_window_may_be_negative(self) -> None:
        """RFC 9113 §6.9.2: nothing is sent before it is positive again."""
        probe = Probe(settings={4: 1000})
        state = probe.request("POST", end=False)
        assert probe.core.send_data(state, bytes(5000), end=False) == 1000
        probe.feed(settings((4, 100)))  # 100 - 1000
        assert probe.core.send_data(state, bytes(4000), end=False) == 0
        probe.feed(window_update(1, 900))
        assert probe.core.send_data(state, bytes(4000), end=False) == 0
        probe.feed(window_update(1, 1))
        assert state.has_news
        assert probe.core.send_data(state, bytes(4000), end=False) == 1
        probe.feed(settings((4, 0)), settings((4, 1000)))
        assert probe.core.send_data(state, bytes(3999), end=False) == 900

    def test_the_end_needs_no_window(self) -> None:
        """RFC 9113 §6.9: a frame of DATA without data."""
        probe = Probe(settings={4: 3})
        state = probe.request("POST", end=False)
        assert probe.core.send_data(state, b"abc", end=False) == 3
        probe.core.send_data(state, b"", end=True)
        last = probe.sent(DataFrame, 1)[-1]
        assert "END_STREAM" in last.flags
        assert not last.data

    def test_no_window_is_exceeded(self) -> None:
        """Neither the stream's nor the connection's, whichever is smaller; the rest waits."""
        probe = Probe(settings={4: 2**20})
        state = probe.request("POST", end=False)
        taken = probe.core.send_data(state, bytes(2**20), end=True)
        assert taken == 65_535 == probe.uploaded(1)
        assert not [one for one in probe.sent(DataFrame) if "END_STREAM" in one.flags]
        assert probe.core.send_data(state, bytes(10), end=True) == 0

    def test_frames_are_no_larger_than_allowed(self) -> None:
        """MAX_FRAME_SIZE of the server, which may change."""
        probe = Probe(settings={4: 2**20})
        probe.feed(window_update(0, 2**20))
        state = probe.request("POST", end=False)
        probe.core.send_data(state, bytes(40_000), end=False)
        assert max(len(one.data) for one in probe.sent(DataFrame)) <= 16_384
        probe.feed(settings((5, 2**24 - 1)))
        probe.core.send_data(state, bytes(100_000), end=False)
        assert probe.uploaded(1) == 140_000
        probe.feed(settings((5, 16_384)))
        before = len(probe.sent(DataFrame))
        probe.core.send_data(state, bytes(40_000), end=False)
        assert max(len(one.data) for one in probe.sent(DataFrame)[before:]) <= 16_384

    def test_a_window_of_one_byte_costs_little(self) -> None:
        """A large upload, and a server that opens the window byte by byte: a flood after a while,
        and nothing is copied for each byte.
        """
        probe = Probe(settings={4: 1})
        state = probe.request("POST", end=False)
        body = memoryview(bytes(2**20))
        sent = probe.core.send_data(state, body, end=False)
        calls = 0
        while probe.core.error is None and sent < 10_000:
            probe.core.receive(window_update(1, 1) * 1000)
            before = sent
            calls += calls_of(
                lambda: None if probe.core.error else probe.core.send_data(state, body, end=False)
            )
            sent += 1000
            assert calls < 100_000
            assert before < sent
        assert probe.went_away == ENHANCE_YOUR_CALM

    @pytest.mark.parametrize("step", [512, 4096])
    def test_windows_may_open_as_the_server_s_program_reads(self, step: int) -> None:
        """Many servers tell of each small read, for the stream and for the connection."""
        window = 2**20
        probe = Probe(settings={4: window})
        probe.feed(window_update(0, window - 65_535))
        state = probe.request("POST", end=False)
        credit = (window_update(0, step) + window_update(1, step)) * (window // step)
        for _ in range(10):
            assert probe.core.send_data(state, bytes(window), end=False) == window
            for start in range(0, len(credit), READ):
                probe.feed(credit[start : start + READ])
            assert probe.core.error is None

    def test_news_of_windows_wake_those_who_wait(self) -> None:
        """The connection's window, opened again, is news for every upload."""
        probe = Probe(settings={4: 2**20})
        first, second = probe.request("POST", end=False), probe.request("POST", end=False)
        probe.core.send_data(first, bytes(2**17), end=False)
        assert probe.core.send_data(second, b"x", end=False) == 0
        first.has_news = second.has_news = False
        probe.feed(window_update(0, 10))
        assert {first, second} <= set(probe.news)


def test_recursion_is_not_needed() -> None:
    """For as many frames as one read can hold."""
    probe = Probe()
    state = probe.request()
    one = frame(0x50, END_STREAM, 1)
    limit = sys.getrecursionlimit()
    probe.core.receive(one * min(limit * 2, 900))
    answers(probe, state)
