"""Whatever bytes a server sends: nothing is raised, and each exchange ends or goes on."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, strategies as st

pytest.importorskip("h2", reason="h2 is not installed (anyhttp-client[http2])")

from tests.support.examples import examples
from tests.support.http2_hostile import asked, check, seen
from tests.support.http2_probe import (
    DATA,
    END_HEADERS,
    HEADERS,
    PADDED,
    Probe,
    data,
    frame,
    settings,
)

PROTOCOL_ERROR = 1

#: Compressed sections, right and wrong, that change no table.
BLOCKS = [
    b"\x88",  # :status 200
    b"\x89",  # 204
    b"\x08\x03103",
    b"\x88\x0f\x0d\x015",  # content-length: 5
    b"\x00\x01a\x01b",
    b"\x00\x01A\x01b",
    b"\xff\x80\x01",
    b"",
]
streams = st.sampled_from([0, 1, 1, 1, 3, 3, 5, 2, 7, 2**31 - 1])
payloads = st.one_of(
    st.sampled_from(BLOCKS),
    st.binary(max_size=40),
    st.binary(min_size=4, max_size=4),
    st.binary(min_size=8, max_size=8),
    st.integers(0, 3000).map(bytes),
)
frames_of_any_kind = st.builds(
    frame, st.integers(0, 13), st.sampled_from([0, 1, 4, 5, 5, 8, 13, 0x25]), streams, payloads
)
heads = st.builds(frame, st.just(1), st.sampled_from([0, 4, 5]), streams, st.sampled_from(BLOCKS))
bodies = st.builds(data, streams, st.binary(max_size=20), end=st.booleans())
known_settings = st.tuples(
    st.integers(0, 9), st.sampled_from([0, 1, 100, 16_384, 65_535, 2**31 - 1, 2**31, 2**32 - 1])
)
setups = st.lists(known_settings, max_size=3).map(lambda values: settings(*values))
SERVERS = st.lists(st.one_of(heads, heads, bodies, bodies, setups, frames_of_any_kind), max_size=12)


@examples(120)
@given(SERVERS, st.randoms(use_true_random=False))
def test_any_frames_in_any_pieces(sent: list[bytes], chance: random.Random) -> None:
    """The outcome does not depend on how the bytes are divided."""
    whole = b"".join(sent)
    at_once, apart = asked(), asked()
    at_once[0].feed(whole)
    position = 0
    while position < len(whole):
        size = chance.choice([1, 2, 8, 9, 10, 100, len(whole)])
        apart[0].feed(whole[position : position + size])
        position += size
    assert seen(*at_once) == seen(*apart)
    check(*at_once, len(whole))
    check(*apart, len(whole))


sizes = st.one_of(st.none(), st.integers(0, 3))


@examples(60)
@given(
    parts=st.lists(
        st.tuples(
            st.binary(max_size=6), st.one_of(st.none(), st.integers(0, 3)), st.integers(0, 3)
        ),
        max_size=4,
    ),
    padding=st.one_of(st.none(), st.integers(0, 255)),
)
def test_padding_is_no_part_of_what_is_padded(
    parts: list[tuple[bytes, int | None, int]], padding: int | None
) -> None:
    """RFC 9113 §6.1, §6.2: as much is left out as the frame says, if that is not more than it has.

    A head has its *padding*; a part of the body has some bytes of it, and says how many.
    """
    probe = Probe()
    state = probe.request()
    payload = b"\x88" if padding is None else bytes([padding]) + b"\x88" + bytes(padding)
    probe.feed(frame(HEADERS, END_HEADERS | (0 if padding is None else PADDED), 1, payload))
    body = b""
    for part, said, size in parts:
        payload = part + b"p" * size
        if said is None:
            probe.feed(data(1, payload))
            body += payload
            continue
        probe.feed(frame(DATA, PADDED, 1, bytes([said]) + payload))
        if said > len(payload):
            assert probe.went_away == PROTOCOL_ERROR
            return
        body += payload[: len(payload) - said]
    assert (state.head and state.head.status, b"".join(state.pieces)) == (200, body)
    assert probe.core.error is None


@examples(80)
@given(st.lists(st.binary(max_size=60), max_size=8), st.booleans())
def test_any_bytes(sent: list[bytes], greeted: bool) -> None:
    """Frames or not, from the first byte or later."""
    probe = Probe(greeted=greeted)
    states = [probe.request() for _ in range(3)]
    probe.feed(*sent)
    check(probe, states, sum(map(len, sent)))
