"""Frames of HTTP/2, and the compressed fields in them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from anyhttp._http2 import StreamState
from tests.fuzz.target import target
from tests.support.engines import splits
from tests.support.http2_hostile import asked, check, seen
from tests.support.http2_probe import CONTINUATION, END_HEADERS, HEADERS, Probe, frame

#: What a byte stands for: streams that are there, that have ended, and that cannot be.
_STREAMS: Final = (0, 1, 3, 5, 7, 2, 9, 2**31 - 1)

_RAW: Final = b"r"


def _frames(data: bytes) -> bytes:
    """Return the frames that *data* stands for: kind, flags, stream, size, payload, and so on."""
    made = b""
    while len(data) >= 4:
        kind, flags, stream, size = data[:4]
        payload = data[4 : 4 + size]
        made += frame(kind & 15, flags, _STREAMS[stream % 8], payload)
        data = data[4 + size :]
    return made + data


def _fed(pieces: Iterable[bytes], size: int) -> list[object]:
    probe, states = asked()
    for piece in pieces:
        probe.feed(piece)
    found = seen(probe, states)
    check(probe, states, size)
    return found


@target(calls=3000, memory=3000)
def http2_frames(data: bytes) -> None:
    """Any split has the same outcome, in which each exchange ends or goes on.

    The first byte tells whether the others are frames as they are, or stand for some.
    """
    raw = data[1:] if data[:1] == _RAW else _frames(data[1:])
    if raw:
        first, *others = [_fed(pieces, len(raw)) for pieces in splits(raw, 1)]
        for other in others:
            assert other == first


def _answered(blocks: list[list[bytes]]) -> tuple[Probe, list[StreamState]]:
    """Send each of *blocks* to an exchange of its own, in one frame or in several."""
    probe = Probe()
    states = [probe.request() for _ in blocks]
    for state, pieces in zip(states, blocks, strict=True):
        last = len(pieces) - 1
        for number, piece in enumerate(pieces):
            kind = CONTINUATION if number else HEADERS
            flags = 0 if number < last else END_HEADERS
            probe.feed(frame(kind, flags, state.stream_id, piece))
    return probe, states


@target(calls=3000, memory=3000)
def http2_fields(data: bytes) -> None:
    """Compressed heads, of which the first byte tells the size of the first one.

    It does not matter into how many frames they are divided.
    """
    size, rest = (data[:1] or b"\0")[0], data[1:]
    blocks = [rest[:size], rest[size:]]
    probe, states = _answered([[block] for block in blocks])
    divided = _answered([[block[:3], block[3:5], block[5:]] for block in blocks])
    assert seen(*divided) == seen(probe, states)
    check(probe, states, len(data) + 100)
    for state in states:
        if state.head is not None:
            assert 100 <= state.head.status <= 999
            for name, value in state.head.raw_headers:
                assert name == name.lower()
                assert not {0, 10, 13} & {*name, *value}
                assert not name.startswith(b":")
