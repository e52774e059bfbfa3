"""A core of HTTP/2 with some exchanges, for servers that send anything: what must hold after it."""

from __future__ import annotations

from hyperframe.frame import GoAwayFrame, RstStreamFrame

from anyhttp._http1 import ParseError
from anyhttp._http2.state import StreamState
from tests.support.http2_probe import Probe

__all__ = ("asked", "check", "seen")


def asked() -> tuple[Probe, list[StreamState]]:
    """Return a core with three exchanges, of which one still sends, and one was reset."""
    probe = Probe()
    states = [probe.request(), probe.request("POST", end=False), probe.request("HEAD")]
    probe.core.send_data(states[1], b"some", end=False)
    gone = probe.request()
    probe.core.reset(gone, 8)
    return probe, states


def seen(probe: Probe, states: list[StreamState]) -> list[object]:
    """Return all that can be seen of the outcome."""
    found: list[object] = [str(probe.core.error), probe.core.can_open, probe.went_away]
    for state in states:
        found += [
            state.complete,
            state.is_unprocessed,
            state.reset_code,
            str(state.failure),
            state.head and (state.head.status, state.head.raw_headers),
            b"".join(state.pieces),
            list(state.trailers),
            probe.reset_of(state),
        ]
    return found


def check(probe: Probe, states: list[StreamState], received: int) -> None:
    """Check what has to hold whatever was received."""
    core = probe.core
    assert core.error is None or type(core.error) is ParseError
    assert (core.error is None) == (not probe.sent(GoAwayFrame))
    assert len(probe.sent(RstStreamFrame)) <= 5
    assert sum(one.body_len + 9 for one in probe.frames) < 2 * received + 5000
    for state in states:
        assert state.complete or state.failure is not None or core.error is None
        assert not (state.complete and state.failure)
        assert state.error is None or state.error is state.failure
    probe.core.receive_eof()
    assert all(state.complete or state.failure is not None for state in states)
