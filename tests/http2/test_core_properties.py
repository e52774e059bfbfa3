"""What has to hold of a connection of HTTP/2 whatever comes in whatever order."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, strategies as st

pytest.importorskip("h2", reason="the peers are made with h2")

from h2.events import DataReceived, RequestReceived, StreamEnded

from anyhttp._http2 import ErrorCode, Http2Options, StreamState
from tests.support.examples import examples
from tests.support.http2_core import (
    DATA,
    END_HEADERS,
    END_STREAM,
    FIELDS,
    HEADERS,
    PADDED,
    RST_STREAM,
    WINDOW_UPDATE,
    Pair,
    RawPeer,
    get,
    number,
    raw_frame,
)

VALUES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x2FF), max_size=20)
REQUESTS = st.lists(
    st.tuples(
        st.sampled_from(["/", "/path?query=1", "/%C3%A4", "/" + "long" * 200]),
        st.lists(st.tuples(st.sampled_from(["X-A", "x-a", "X-B", "Accept"]), VALUES), max_size=3),
        st.one_of(st.none(), st.binary(max_size=3000)),
        st.integers(1, 700),  # size of the pieces of the body
    ),
    min_size=1,
    max_size=6,
)


@given(requests=REQUESTS, order=st.randoms(use_true_random=False), window=st.integers(100, 5000))
@examples(60)
def test_the_server_receives_what_was_meant(requests: list[Any], order: Any, window: int) -> None:
    """Requests of all kinds, whose bodies take turns in any order, in any windows."""
    pair = Pair()
    pair.server.update_settings({4: window, 5: 16384})
    pair.exchange()
    left: dict[StreamState, tuple[bytes, int]] = {}
    meant = {}
    for target, fields, body, size in requests:
        more = () if body is None else (("Content-Length", str(len(body))),)
        state = pair.request("POST", target, (*FIELDS, *fields, *more), end=body is None)
        meant[state.stream_id] = target, fields, body or b""
        if body is not None:
            left[state] = body, size
    bodies = dict.fromkeys(meant, b"")
    ended = set()
    while True:
        for event in pair.events:
            if isinstance(event, DataReceived):
                bodies[event.stream_id] += event.data
                pair.server.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, StreamEnded):
                ended.add(event.stream_id)
            elif isinstance(event, RequestReceived):
                target, fields, _ = meant[event.stream_id]
                received: list[Any] = [tuple(field) for field in event.headers]
                assert received[0] == (":path", target)
                wanted = [(name.lower(), value) for name, value in fields]
                assert [field for field in received if field in wanted] == wanted
        pair.events.clear()
        pair.exchange()
        if pair.events:
            continue
        if not left:
            break
        state = order.choice(list(left))
        body, size = left[state]
        taken = pair.core.send_data(state, body[:size], end=len(body) <= size)
        left[state] = body[taken:], size
        if state.end_sent:
            del left[state]
        pair.exchange()
    assert bodies == {stream: body for stream, (_, _, body) in meant.items()}
    assert ended == set(meant)


def state_of(state: StreamState) -> dict[str, Any]:
    """Return what programs can see of an exchange."""
    heads = []
    while state.head is not None:
        heads.append((state.head.status, list(state.head.raw_headers), state.head.length))
        state.next_response()
    seen = ("complete", "reset_code", "is_unprocessed", "is_closed", "received", "send_window")
    return {
        "heads": heads,
        "body": b"".join(state.pieces),
        "pieces": len(state.pieces),
        "trailers": list(state.trailers),
        "failure": repr(state.failure),
        **{name: getattr(state, name) for name in seen},
    }


SERVER_FRAMES = st.lists(
    st.one_of(
        st.tuples(
            st.just("head"),
            st.sampled_from([1, 3, 5]),
            st.sampled_from(["100", "103", "200", "204", "304", "404", None]),
            st.booleans(),
        ),
        st.tuples(
            st.just("data"), st.sampled_from([1, 3, 5]), st.binary(max_size=30), st.booleans()
        ),
        st.tuples(st.just("padded"), st.sampled_from([1, 3, 5]), st.binary(max_size=9), st.just(0)),
        st.tuples(
            st.just("reset"), st.sampled_from([1, 3, 5]), st.sampled_from([0, 2, 7]), st.just(0)
        ),
        st.tuples(st.just("window"), st.sampled_from([0, 1, 3]), st.integers(0, 9), st.just(0)),
        st.tuples(st.just("goaway"), st.sampled_from([1, 3, 99]), st.just(0), st.just(0)),
    ),
    max_size=14,
)


def bytes_of(peer: RawPeer, frames: list[Any]) -> bytes:
    """Return the bytes of a server's frames, which need not be right."""
    sent = b""
    for kind, stream, value, ends in frames:
        end = END_STREAM if ends else 0
        if kind == "head":
            pseudo = [] if value is None else [(":status", value)]
            block = peer.encoder.encode([*pseudo, ("x-name", f"value {value}")])
            sent += raw_frame(HEADERS, END_HEADERS | end, stream, block)
        elif kind == "data":
            sent += raw_frame(DATA, end, stream, value)
        elif kind == "padded":
            sent += raw_frame(DATA, PADDED, stream, b"\x05" + value)
        elif kind == "reset":
            sent += raw_frame(RST_STREAM, 0, stream, number(value))
        elif kind == "window":
            sent += raw_frame(WINDOW_UPDATE, 0, stream, number(value))
        else:
            sent += raw_frame(7, 0, 0, number(stream) + number(0))
    return sent


@given(frames=SERVER_FRAMES, cuts=st.lists(st.integers(0, 400), max_size=8))
def test_any_split_of_bytes_has_the_same_outcome(frames: list[Any], cuts: list[int]) -> None:
    """Also byte by byte; and what is sent in answer is the same."""
    outcomes = []
    for split in ([], cuts, range(1000)):
        peer = RawPeer()
        states = [get(peer.core, end=number != 1) for number in range(3)]
        peer.sent()
        received = bytes_of(peer, frames)
        places = sorted({0, *(cut for cut in split if cut < len(received)), len(received)})
        news: set[int] = set()
        for start, stop in pairwise(places):
            for state in peer.core.receive(received[start:stop]):
                assert state.has_news
                news.add(state.stream_id)
        sent = peer.core.take_output()
        outcomes.append(([state_of(state) for state in states], sent, news, repr(peer.core.error)))
    assert outcomes[0] == outcomes[1] == outcomes[2]


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["data", "padded", "read", "piece", "consumed", "reset"]),
            st.sampled_from([1, 3]),
            st.integers(0, 400),
        ),
        max_size=60,
    )
)
def test_windows_are_given_back(steps: list[tuple[str, int, int]]) -> None:
    """What is given back is what has been received, and not what waits to be read.

    Beside that, a window may have grown.
    """
    options = Http2Options(stream_window=1000, connection_window=65535)
    peer = RawPeer(options)
    states = {state.stream_id: state for state in (get(peer.core), get(peer.core))}
    for stream in states:
        peer.head(stream)
    peer.sent()
    windows = {0: 65535, 1: 1000, 3: 1000}  # as the server sees them
    received, given = dict.fromkeys(windows, 0), dict.fromkeys(windows, 0)
    for kind, stream, size in steps:
        state = states[stream]
        if kind in {"data", "padded"}:
            padding = min(size, 255) if kind == "padded" else 0
            total = size + (1 + padding if kind == "padded" else 0)
            if total > min(windows[stream], windows[0]):
                continue
            flags = PADDED if kind == "padded" else 0
            start = bytes([padding]) if kind == "padded" else b""
            peer.send(DATA, flags, stream, start + bytes(size) + bytes(padding))
            for window in (0, stream):
                windows[window] -= total
                received[window] += total
        elif kind == "read":
            state.pieces.clear()
        elif kind == "piece" and state.pieces:
            state.pieces.popleft()
        elif kind == "consumed":
            peer.core.consumed(state)
        elif kind == "reset":
            peer.core.reset(state, ErrorCode.CANCEL)
        for frame in peer.sent():
            if frame.type == WINDOW_UPDATE:
                windows[frame.stream_id] += frame.window_increment
                given[frame.stream_id] += frame.window_increment
        assert peer.core.error is None
        assert received[0] - given[0] < 65535 / 2
        assert windows[0] == 65535 - received[0] + given[0]
        if not state.is_closed:
            unread = sum(map(len, state.pieces))
            given_back = given[stream] - (state.window_size - options.stream_window)
            assert given_back <= received[stream] - unread
            assert state.window == windows[stream]
            if kind == "consumed":
                assert received[stream] - unread - given_back < state.window_size / 2
