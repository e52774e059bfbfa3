"""The limits of what a connection of HTTP/2 keeps and does: at each, one below, and one above."""

from __future__ import annotations

from contextlib import nullcontext, suppress

import pytest

pytest.importorskip("h2", reason="the tests speak HTTP/2 by means of h2")

from anyhttp._http1 import Limits
from anyhttp._http2 import Http2Options
from anyhttp._http2.compression import (
    MAX_NAMES,
    MAX_VALUES,
    TABLE_SIZE,
    CodedFields,
    FieldDecoder,
    FieldEncoder,
)
from anyhttp._http2.core import Http2Core
from anyhttp._http2.errors import ConnectionFault
from anyhttp._http2.fields import _KEPT_FIELDS, RequestHeads
from anyhttp._http2.guards import _ALLOWED, _SAVED, MAX_CONTINUATIONS, FloodGuard
from anyhttp._http2.heads import _KEPT_HEADS, _KEPT_SIZE, ResponseHeads
from anyhttp._http2.state import MAX_INFORMATIONAL, MAX_INFORMATIONAL_SIZE
from anyhttp._http2.streams import _KEPT_RESETS
from tests.support.http2_probe import (
    CONTINUATION,
    END_HEADERS,
    HEADERS,
    Probe,
    data,
    frame,
)

CANCEL, ENHANCE_YOUR_CALM = 8, 11

#: One below the limit, at it, and one above.
around = pytest.mark.parametrize("over", [-1, 0, 1])


@around
def test_frames_of_a_head(over: int) -> None:
    """CVE-2019-9516: the last one of too many is refused, whatever their size."""
    probe = Probe()
    state = probe.request()
    probe.feed(frame(HEADERS, 0, 1, probe.block((":status", "200"))))
    for _ in range(MAX_CONTINUATIONS + over - 1):
        probe.feed(frame(CONTINUATION, 0, 1))
    probe.feed(frame(CONTINUATION, END_HEADERS, 1))
    assert probe.went_away == (ENHANCE_YOUR_CALM if over > 0 else None)
    assert (state.head is None) == (over > 0)


@around
def test_the_compressed_size_of_a_head(over: int) -> None:
    """CVE-2024-27316: a section that never ends is refused when it is too large."""
    probe = Probe(Http2Options(max_header_list_size=2000))
    probe.request()
    probe.feed(frame(HEADERS, 0, 1, bytes(1500)))
    probe.feed(frame(CONTINUATION, 0, 1, bytes(500 + over)))
    assert probe.went_away == (ENHANCE_YOUR_CALM if over > 0 else None)


@around
def test_the_size_of_the_fields_of_a_head(over: int) -> None:
    """RFC 9113 §6.5.2: name, value and 32 bytes of each; the exchange fails, and no other."""
    probe = Probe(Http2Options(max_header_list_size=2000))
    state = probe.request()
    rest = 2000 + over - (len("x-a") + 32) - (len("x-b") + 32)
    probe.feed(probe.head(1, 200, ("x-a", "v" * 1000), ("x-b", "v" * (rest - 1000)), end=True))
    assert probe.reset_of(state) == (ENHANCE_YOUR_CALM if over > 0 else None)
    assert probe.went_away is None


@around
def test_the_number_of_fields_of_a_head(over: int) -> None:
    """CVE-2026-34516: ``max_headers`` of the session."""
    probe = Probe()
    state = probe.request(limits=Limits(max_headers=10))
    probe.feed(probe.head(1, 200, *[("x-a", "b")] * (10 + over), end=True))
    assert probe.reset_of(state) == (ENHANCE_YOUR_CALM if over > 0 else None)


@around
def test_informational_heads(over: int) -> None:
    """So many wait for whoever reads them; the first one is not among those that wait."""
    probe = Probe()
    state = probe.request()
    for _ in range(1 + MAX_INFORMATIONAL + over):
        probe.feed(probe.head(1, 103, ("link", "<a>")))
    assert probe.reset_of(state) == (ENHANCE_YOUR_CALM if over > 0 else None)


@around
def test_the_size_of_informational_heads(over: int) -> None:
    """Also of those that have been read."""
    probe = Probe()
    state = probe.request(limits=Limits(max_field_size=2**20))
    size = MAX_INFORMATIONAL_SIZE // 4
    for number in range(4):
        # The status is no field.
        value = "v" * (size - len("link") - 32 + (over if number == 3 else 0))
        probe.feed(probe.head(1, 103, ("link", value)))
        if number < 3:
            state.next_response()
    assert probe.reset_of(state) == (ENHANCE_YOUR_CALM if over > 0 else None)


@around
def test_frames_of_no_use(over: int) -> None:
    """CVE-2019-9512: a thousand, besides those that are forgiven."""
    guard = FloodGuard()
    for _ in range(_ALLOWED - 1):
        guard.count("PING")
    with pytest.raises(ConnectionFault, match="PING") if over > 0 else nullcontext():
        guard.count("PING", over)


@around
def test_numbers_of_exchanges_that_were_reset(over: int) -> None:
    """What comes for the last ones is dropped, and counts for their windows."""
    core = Http2Core(Http2Options(), "https")
    for _ in range(_KEPT_RESETS + over):
        state = core.open(Limits())
        state.send_head("GET", "/", [("Host", "a.test")])
        core.start(state, end=True)
        core.reset(state, CANCEL)
        core.take_output()
    assert len(core._streams._resets) == min(_KEPT_RESETS + over, _KEPT_RESETS)


@around
def test_heads_that_are_remembered(over: int) -> None:
    """Those of a connection, which begin anew when there are too many."""
    heads = ResponseHeads(Http2Options())
    for number in range(_KEPT_HEADS + over):
        block = b"\x88\x0f\x10\x02" + b"%02d" % number
        assert heads.read(block, b"GET", Limits()).status == 200
    assert len(heads._known) == (1 if over > 0 else _KEPT_HEADS + over)


@around
def test_long_heads_are_not_remembered(over: int) -> None:
    """They are kept as long as the connection."""
    heads = ResponseHeads(Http2Options())
    start = b"\x88\x0f\x10\x7f"  # a field with the length 127 and more
    size = _KEPT_SIZE + over - len(start) - 2
    length = size - 127
    block = start + bytes([length & 127 | 128, length >> 7]) + b"x" * size
    assert len(block) == _KEPT_SIZE + over
    heads.read(block, b"GET", Limits())
    assert len(heads._known) == (0 if over > 0 else 1)


@around
def test_names_in_the_table_for_requests(over: int) -> None:
    """Of so many names entries are made."""
    encoder = FieldEncoder()
    for number in range(MAX_NAMES + over):
        encoder.encode(CodedFields([(b"x-%d" % number, b"v")]), None, None)
    assert len(encoder._values) == min(MAX_NAMES + over, MAX_NAMES)


@around
def test_values_in_the_table_for_requests(over: int) -> None:
    """Of so many values of one name entries are made: it will have others again."""
    encoder = FieldEncoder()
    for number in range(MAX_VALUES + over):
        encoder.encode(CodedFields([(b"x-name", b"v%d" % number)]), None, None)
    assert encoder._values == {b"x-name": min(MAX_VALUES + over, MAX_VALUES)}
    assert len(encoder._entries) == min(MAX_VALUES + over, MAX_VALUES)


@around
def test_the_table_for_requests(over: int) -> None:
    """RFC 7541 §4: 4096 bytes, with 32 for each entry; the oldest goes."""
    encoder = FieldEncoder()
    half = TABLE_SIZE // 2 - 32 - 1
    encoder.encode(CodedFields([(b"a", b"v" * half)]), None, None)
    encoder.encode(CodedFields([(b"b", b"v" * (half + over))]), None, None)
    assert len(encoder._entries) == (1 if over > 0 else 2)
    assert encoder._used <= TABLE_SIZE


@around
def test_the_window_of_a_body_that_nobody_reads(over: int) -> None:
    """RFC 9113 §6.9: more than that fails the exchange."""
    probe = Probe(Http2Options(stream_window=1000))
    state = probe.request()
    probe.feed(probe.head(1), data(1, bytes(1000 + over)))
    assert (probe.reset_of(state) is None) == (over <= 0)
    assert sum(map(len, state.pieces)) <= 1000


@around
def test_heads_of_many_fields_are_not_remembered(over: int) -> None:
    """What a program sends may differ each time."""
    heads = RequestHeads("https")
    heads.make("GET", "/", [("Host", "a.test")] + [("X", "y")] * (_KEPT_FIELDS + over - 1))
    assert len(heads._known) == (0 if over > 0 else 1)


@around
def test_steps_of_the_huffman_code(over: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a byte does in a state is remembered of so many; the server chooses which."""
    steps: dict[int, tuple[int, bytes, bool]] = {}
    monkeypatch.setattr("anyhttp._http2.compression._steps", steps)
    text = b"\x1c\x64"
    monkeypatch.setattr("anyhttp._http2.compression._MAX_STEPS", 2 - over)
    with suppress(ConnectionFault):
        FieldDecoder(65536, 4096).decode(b"\x00\x82" + text + b"\x00")
    assert len(steps) == (1 if over > 0 else 2)


@around
def test_frames_that_are_forgiven_before_they_come(over: int) -> None:
    """What the program does forgives a number of frames in advance, and no more."""
    guard = FloodGuard()
    for _ in range(_SAVED):
        guard.take_request()
    guard.count("PING", _SAVED + _ALLOWED - 2)
    with pytest.raises(ConnectionFault) if over > 0 else nullcontext():
        guard.count("PING", over)
