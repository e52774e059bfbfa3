"""Frames of HTTP/2, and the compressed fields in them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hyperframe.exceptions import InvalidDataError, InvalidFrameError, InvalidPaddingError
from hyperframe.frame import Frame

from anyhttp._http2 import StreamState
from tests.fuzz.target import target
from tests.support.engines import splits
from tests.support.http2_hostile import asked, check, seen
from tests.support.http2_probe import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Probe,
    frame,
)

#: What a byte stands for: streams that are there, that have ended, and that cannot be.
_STREAMS: Final = (0, 1, 3, 5, 7, 2, 9, 2**31 - 1)

_RAW: Final = b"r"

#: The outcome begins with the error of the connection.
_NO_ERROR: Final = "None"

#: Kinds of frames that end the connection if their size is wrong, or less than their padding.
_EXACT: Final = frozenset({DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE})


def _frames(data: bytes) -> bytes:
    """Return the frames that *data* stands for: kind, flags, stream, size, payload, and so on."""
    made = b""
    while len(data) >= 4:
        kind, flags, stream, size = data[:4]
        payload = data[4 : 4 + size]
        made += frame(kind & 15, flags, _STREAMS[stream % 8], payload)
        data = data[4 + size :]
    return made + data


def _has_broken_frame(raw: bytes) -> bool:
    """Whether hyperframe sees a frame that is shorter than its parts, or longer (§4.2, §6)."""
    while len(raw) >= 9:
        size = int.from_bytes(raw[:3])
        if raw[3] in _EXACT and len(raw) >= 9 + size:
            try:
                one, _ = Frame.parse_frame_header(memoryview(raw[:9]))
                one.parse_body(memoryview(raw[9 : 9 + size]))
            except InvalidFrameError:
                return True
            except InvalidPaddingError:  # also for all of a head, which is allowed (§6.2)
                if raw[9] >= size:
                    return True
            except InvalidDataError:  # a number that is too large or too small
                pass
        raw = raw[9 + size :]
    return False


def _without_padding(raw: bytes) -> bytes:
    """Return *raw* with the same frames, of which none is padded (§6.1, §6.2)."""
    made = b""
    while len(raw) >= 9:
        end = 9 + int.from_bytes(raw[:3])
        one, raw = raw[:end], raw[end:]
        if end > 9 and len(one) == end and one[3] in {DATA, HEADERS} and one[4] & PADDED:
            stop = end - one[9]
            if stop > 9:
                one = frame(one[3], one[4] - PADDED, int.from_bytes(one[5:9]), one[10:stop])
        made += one
    return made + raw


def _fed(pieces: Iterable[bytes], raw: bytes) -> list[object]:
    probe, states = asked()
    for piece in pieces:
        probe.feed(piece)
    found = seen(probe, states)
    check(probe, states, len(raw))
    assert probe.core.error is not None or not _has_broken_frame(raw)
    return found


@target(calls=3000, memory=3000)
def http2_frames(data: bytes) -> None:
    """Any split has the same outcome, in which each exchange ends or goes on, and so has the same
    without padding.

    The first byte tells whether the others are frames as they are, or stand for some.
    """
    raw = data[1:] if data[:1] == _RAW else _frames(data[1:])
    if raw:
        first, *others = [_fed(pieces, raw) for pieces in splits(raw, 1)]
        for other in others:
            assert other == first
        plain = _without_padding(raw)
        if plain != raw and (found := _fed([plain], plain))[0] == _NO_ERROR:
            assert first == found


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
