"""How many frames without use a server may send, to the frame."""

from __future__ import annotations

import pytest

pytest.importorskip("hpack", reason="hpack is not installed (anyhttp-client[http2])")

from anyhttp._http2 import ErrorCode
from anyhttp._http2.errors import ConnectionFault
from anyhttp._http2.guards import FloodGuard

#: How many may come that nothing forgives, and how many more may be forgiven before they come.
ALLOWED, SAVED = 1000, 10_000


def room(guard: FloodGuard) -> int:
    """Count frames until there are too many; return how many were not."""
    counted, fault = flood(guard)
    assert fault.code == ErrorCode.ENHANCE_YOUR_CALM
    assert fault.text == "a flood of frames: PING"
    return counted


def flood(guard: FloodGuard) -> tuple[int, ConnectionFault]:
    """Count frames until there are too many; return how many were not, and the fault."""
    counted = 0
    try:
        while True:
            guard.count("PING")
            counted += 1
    except ConnectionFault as fault:
        return counted, fault


def test_a_thousand_frames_are_no_flood() -> None:
    """One more is."""
    assert room(FloodGuard()) == ALLOWED


def test_a_frame_may_count_as_several() -> None:
    """It is one, and as many more as are said."""
    guard = FloodGuard()
    guard.count("heads", 9)
    assert room(guard) == ALLOWED - 10
    guard = FloodGuard()
    guard.count("heads", ALLOWED - 1)
    assert room(guard) == 0


@pytest.mark.parametrize(("frames", "left"), [(100, 92), (9, 1), (8, 0), (7, 0), (1, 0), (0, 0)])
def test_a_read_forgives_eight(frames: int, left: int) -> None:
    """But none that have not come yet: a server that sends nothing would save up a flood."""
    guard = FloodGuard()
    for _ in range(frames):
        guard.count("PING")
    guard.take_read()
    assert room(guard) == ALLOWED - left


def test_a_request_forgives_twenty() -> None:
    """Also those that have not come yet, as answers to it; a read takes nothing of that away."""
    guard = FloodGuard()
    guard.take_request()
    guard.take_read()
    assert room(guard) == ALLOWED + 20


@pytest.mark.parametrize(("size", "more"), [(0, 4), (127, 4), (128, 5), (255, 5), (12_800, 104)])
def test_a_piece_of_a_body_forgives_by_its_size(size: int, more: int) -> None:
    """Four, and one for each 128 bytes."""
    guard = FloodGuard()
    guard.take_sent(size)
    assert room(guard) == ALLOWED + more


def test_what_is_left_of_a_size_forgives_nothing() -> None:
    """Nor does what is left of several sizes together."""
    guard = FloodGuard()
    for _ in range(10):
        guard.take_sent(127)
    assert room(guard) == ALLOWED + 40


def test_what_is_forgiven_before_has_a_bound() -> None:
    """Whether by requests or by bodies."""
    guard = FloodGuard()
    for _ in range(SAVED // 20):
        guard.take_request()
    assert room(guard) == ALLOWED + SAVED
    guard = FloodGuard()
    for _ in range(SAVED // 20 + 1):
        guard.take_request()
    assert room(guard) == ALLOWED + SAVED
    guard = FloodGuard()
    guard.take_sent(2**30)
    assert room(guard) == ALLOWED + SAVED
