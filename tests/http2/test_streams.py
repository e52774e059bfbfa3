"""Which exchanges of a connection are open, and what may still come for those that ended."""

from __future__ import annotations

import pytest

pytest.importorskip("hpack", reason="hpack is not installed (anyhttp-client[http2])")

from anyhttp._http2 import ErrorCode, StreamState
from anyhttp._http2.errors import ConnectionFault
from anyhttp._http2.fields import RequestHeads
from anyhttp._http2.streams import Streams
from tests.support.http2_core import LIMITS

#: Of how many that the client has reset late frames are told from wrong ones.
KEPT = 4096


def begun(streams: Streams, window: int = 0) -> StreamState:
    """Begin an exchange, whose window has so many bytes left."""
    state = StreamState(LIMITS, RequestHeads("https"))
    number = streams.add(state)
    assert state.stream_id == number
    state.window = window
    return state


def code_of(call: object, *args: int) -> ErrorCode:
    """Return the code of the fault that a *call* raises."""
    assert callable(call)
    with pytest.raises(ConnectionFault) as caught:
        call(*args)
    return caught.value.code


def test_numbers_are_odd_and_grow() -> None:
    """RFC 9113 §5.1.1: those of a client."""
    streams = Streams()
    states = [begun(streams) for _ in range(3)]
    assert [state.stream_id for state in states] == [1, 3, 5]
    assert [streams.find(number) for number in (1, 3, 5)] == states
    assert streams.open == {1: states[0], 3: states[1], 5: states[2]}


def test_the_last_number_is_used() -> None:
    """RFC 9113 §5.1.1: 2**31 - 1, and there are none after it."""
    streams = Streams()
    assert streams.has_numbers
    streams._next = 2**31 - 1
    assert streams.has_numbers
    assert begun(streams).stream_id == 2**31 - 1
    assert not streams.has_numbers


def test_a_frame_for_a_number_that_was_not_used() -> None:
    """RFC 9113 §5.1: a server opens none itself, so PROTOCOL_ERROR."""
    streams = Streams()
    assert code_of(streams.find, 1) == ErrorCode.PROTOCOL_ERROR
    begun(streams)
    for number in (0, 2, 3, 4):
        assert code_of(streams.find, number) == ErrorCode.PROTOCOL_ERROR
        assert code_of(streams.check_begun, number) == ErrorCode.PROTOCOL_ERROR
    streams.check_begun(1)


def test_a_frame_for_one_that_has_ended() -> None:
    """RFC 9113 §5.1: STREAM_CLOSED, unless the client has reset it; the first as any other."""
    streams = Streams()
    first, second = begun(streams), begun(streams)
    streams.remove(first)
    assert first.is_closed
    assert streams.open == {3: second}
    assert code_of(streams.find, 1) == ErrorCode.STREAM_CLOSED
    streams.remove(first)  # which it does not mind
    streams.remove_reset(second)
    assert second.is_closed
    assert not streams.open
    assert streams.find(3) is None


def test_late_data_are_bounded_by_the_window() -> None:
    """What was left of it when the exchange was reset; none of it is given back."""
    streams = Streams()
    state = begun(streams, 10)
    streams.remove_reset(state)
    streams.take_late(1, 4)
    streams.take_late(1, 6)
    streams.take_late(1, 0)
    assert code_of(streams.take_late, 1, 1) == ErrorCode.FLOW_CONTROL_ERROR


@pytest.mark.parametrize("window", [0, -5])
def test_a_window_that_was_used_up_has_no_room(window: int) -> None:
    """Nor one that the server has exceeded, for which it was reset."""
    streams = Streams()
    streams.remove_reset(begun(streams, window))
    streams.take_late(1, 0)
    assert code_of(streams.take_late, 1, 1) == ErrorCode.FLOW_CONTROL_ERROR


def test_resets_are_forgotten_in_their_order() -> None:
    """The oldest first; what comes for those is dropped, and not counted any longer."""
    streams = Streams()
    states = [begun(streams) for _ in range(KEPT + 3)]
    # The first to be forgotten is not the one with the smallest number.
    order = [states[1], states[0], *states[3:]]
    for state in order[:KEPT]:
        streams.remove_reset(state)
    assert code_of(streams.take_late, 3, 1) == ErrorCode.FLOW_CONTROL_ERROR
    streams.remove_reset(order[KEPT])  # forgets 3
    streams.take_late(3, 1)
    assert code_of(streams.take_late, 1, 1) == ErrorCode.FLOW_CONTROL_ERROR
    streams.remove_reset(order[KEPT + 1])  # forgets 1
    streams.take_late(1, 1)
    assert code_of(streams.take_late, 7, 1) == ErrorCode.FLOW_CONTROL_ERROR
    assert [streams.find(number) for number in (1, 3, 7)] == [None] * 3
    # Numbers above the last forgotten one are told apart still.
    streams.remove(states[2])
    assert code_of(streams.find, 5) == ErrorCode.STREAM_CLOSED
