"""One exchange of HTTP/2: what has been received of its response, and what may follow."""

from __future__ import annotations

import pytest

pytest.importorskip("hpack", reason="hpack is not installed (anyhttp-client[http2])")

from anyhttp._http1 import Head, Limits, ParseError
from anyhttp._http2 import ErrorCode, StreamState
from anyhttp._http2.errors import StreamFault
from anyhttp._http2.fields import RequestHeads, read_head
from tests.support.http2_core import FIELDS, LIMITS

#: Without a bound for one field.
WIDE = Limits(max_field_size=2**20)

LARGE, USUAL = 256 * 1024, 64 * 1024


def exchange() -> StreamState:
    """Return one that has sent no head."""
    return StreamState(LIMITS, RequestHeads("https"))


def head(status: int, *fields: tuple[bytes, bytes]) -> Head:
    """Return a head of a response."""
    return read_head([(b":status", b"%d" % status), *fields], b"GET", WIDE, 2**20)


def code_of(state: StreamState, data: bytes, *, ends: bool) -> ErrorCode:
    """Return the code of the fault with which *data* are refused."""
    with pytest.raises(StreamFault) as caught:
        state.take_data(data, ends=ends)
    return caught.value.code


def take_all(state: StreamState, pieces: list[bytes]) -> None:
    """Let a body come in *pieces*, and end with the last."""
    for piece in pieces[:-1]:
        state.take_data(piece, ends=False)
        assert not state.complete
    state.take_data(pieces[-1], ends=True)


class TestSending:
    def test_the_end_of_a_request(self) -> None:
        """CONNECT has none: what follows is another protocol's."""
        assert not exchange().is_ended
        state = exchange()
        state.send_end()
        assert state.is_ended
        for method, ends in (("GET", True), ("CONNECT", False)):
            state = exchange()
            assert state.send_head(method, "example.org:443", FIELDS) == b""
            assert state.send_end() == b""
            assert state.is_ended is ends

    @pytest.mark.parametrize(
        ("changed", "can_send"),
        [
            ({}, True),
            ({"stream_id": 0}, False),
            ({"end_sent": True}, False),
            ({"is_closed": True}, False),
            ({"end_sent": True, "is_closed": True}, False),
        ],
    )
    def test_when_it_can_send(self, changed: dict[str, object], can_send: bool) -> None:
        """Between its head and its end, while it is not closed."""
        state = exchange()
        vars(state).update({"stream_id": 1} | changed)
        assert state.can_send is can_send


class TestBody:
    def test_before_a_head_there_is_none(self) -> None:
        """RFC 9113 §8.1: malformed, also after an informational head."""
        state = exchange()
        assert code_of(state, b"x", ends=False) == ErrorCode.PROTOCOL_ERROR
        state.take_head(head(103), ends=False)
        assert not state.has_final_head
        assert code_of(state, b"", ends=True) == ErrorCode.PROTOCOL_ERROR
        state.take_head(head(200), ends=False)
        assert state.has_final_head
        state.take_data(b"x", ends=True)
        assert state.complete

    @pytest.mark.parametrize("cut", ["whole", "in bytes", "before its end"])
    @pytest.mark.parametrize("size", [4, 5, 6])
    def test_it_is_as_long_as_was_announced(self, size: int, cut: str) -> None:
        """RFC 9113 §8.1.1: neither shorter nor longer, in one piece or in several."""
        pieces = {
            "whole": [bytes(size)],
            "in bytes": [b"\0"] * size,
            "before its end": [bytes(size), b""],
        }[cut]
        state = exchange()
        state.take_head(head(200, (b"content-length", b"5")), ends=False)
        if size == 5:
            take_all(state, pieces)
            assert state.complete is True
            assert b"".join(state.pieces) == bytes(5)
        else:
            with pytest.raises(StreamFault) as caught:
                take_all(state, pieces)
            assert caught.value.code == ErrorCode.PROTOCOL_ERROR
            assert not state.complete

    @pytest.mark.parametrize("length", [b"0", b"1"])
    def test_a_head_with_which_the_response_ends(self, length: bytes) -> None:
        """A body that was announced is missing then."""
        state = exchange()
        if length == b"0":
            state.take_head(head(200, (b"content-length", length)), ends=True)
        else:
            with pytest.raises(StreamFault):
                state.take_head(head(200, (b"content-length", length)), ends=True)
        assert state.complete is (length == b"0")

    @pytest.mark.parametrize("missing", [0, 1])
    def test_trailers_come_after_the_whole_body(self, missing: int) -> None:
        """Else the response has ended before its end."""
        state = exchange()
        state.take_head(head(200, (b"content-length", b"5")), ends=False)
        state.take_data(bytes(5 - missing), ends=False)
        fields = [(b"x-checksum", b"1")]
        if missing:
            with pytest.raises(StreamFault, match="ended 1 bytes before"):
                state.take_trailers(fields)
            assert not state.complete
        else:
            state.take_trailers(fields)
            assert state.complete
            assert state.trailers == fields

    def test_pieces_are_joined_up_to_a_size(self) -> None:
        """4096 bytes together: the objects for small pieces would take much memory."""
        state = exchange()
        state.take_head(head(200), ends=False)
        for size in (1, 4095, 1, 4096, 4000, 96, 5000, 1):
            state.take_data(bytes([size % 256]) * size, ends=False)
        assert list(map(len, state.pieces)) == [4096, 1, 4096, 4096, 5000, 1]
        assert state.pieces[0] == b"\x01" + b"\xff" * 4095

    @pytest.mark.parametrize("size", [LARGE - 1, LARGE])
    def test_a_large_body_is_asked_for_in_large_pieces(self, size: int) -> None:
        """By what is left of it, and where that is not known by what has come."""
        state = exchange()
        wanted = LARGE if size == LARGE else USUAL
        assert state.wanted == USUAL
        state.received = size
        assert state.wanted == wanted
        state.take_head(head(200, (b"content-length", b"%d" % size)), ends=False)
        state.received = 0
        assert state.wanted == wanted
        state.received = LARGE
        state.take_data(b"x", ends=False)
        assert state.wanted == USUAL


class TestHeads:
    def test_each_is_the_head_until_it_is_passed(self) -> None:
        """RFC 9110 §15.2: any number of informational heads before the final one."""
        state = exchange()
        assert not state.has_started
        heads = [head(100), head(103), head(200)]
        for each in heads:
            state.take_head(each, ends=False)
        for each in heads:
            assert state.head is each
            assert state.has_started
            state.next_response()
        assert state.head is None
        assert state.has_started
        state.take_head(last := head(200), ends=False)
        assert state.head is last

    @pytest.mark.parametrize(("status", "is_final"), [(199, False), (200, True), (201, True)])
    def test_which_are_final(self, status: int, is_final: bool) -> None:
        """RFC 9110 §15: those of 200 and above; a response does not end with another one."""
        state = exchange()
        state.take_head(head(status), ends=False)
        assert state.has_final_head is is_final
        state = exchange()
        if is_final:
            state.take_head(head(status), ends=True)
        else:
            with pytest.raises(StreamFault) as caught:
                state.take_head(head(status), ends=True)
            assert caught.value.code == ErrorCode.PROTOCOL_ERROR
        assert state.complete is is_final

    def test_so_many_may_wait(self) -> None:
        """The one that is looked at, and 32 behind it."""
        state = exchange()
        for _ in range(33):
            state.take_head(head(103), ends=False)
        with pytest.raises(StreamFault, match="more than 32 informational heads") as caught:
            state.take_head(head(103), ends=False)
        assert caught.value.code == ErrorCode.ENHANCE_YOUR_CALM

    @pytest.mark.parametrize("over", [0, 1])
    def test_so_large_may_all_of_them_be(self, over: int) -> None:
        """64 KiB, counted as the fields of one head are: 32 bytes more for each."""
        state = exchange()
        # The first has 3 fields of 1 + 2 + 32 bytes, the second one field that fills the rest.
        state.take_head(head(103, *[(b"a", b"bc")] * 3), ends=False)
        state.next_response()
        rest = head(103, (b"a", b"x" * (USUAL - 3 * 35 - 33 + over)))
        if over:
            with pytest.raises(StreamFault, match="more than 65536 bytes") as caught:
                state.take_head(rest, ends=False)
            assert caught.value.code == ErrorCode.ENHANCE_YOUR_CALM
        else:
            state.take_head(rest, ends=False)
            state.take_head(head(200, (b"a", b"not counted")), ends=True)
            assert state.complete


class TestFailure:
    def test_the_first_is_kept(self) -> None:
        """What comes later follows from it."""
        state = exchange()
        first = ConnectionResetError()
        state.fail(first)
        assert state.is_closed is True
        assert (state.failure, state.error) == (first, None)
        state.fail(ParseError("later"))
        assert (state.failure, state.error) == (first, None)

    def test_a_malformed_response_is_told_apart(self) -> None:
        """Its error is that of an engine of HTTP/1.1."""
        state = exchange()
        state.fail(error := ParseError("malformed"))
        assert state.failure is state.error is error

    def test_a_complete_response_has_not_failed(self) -> None:
        """Whatever becomes of the connection."""
        state = exchange()
        state.take_head(head(200), ends=True)
        state.fail(ParseError("late"))
        assert state.is_closed is True
        assert (state.failure, state.error) == (None, None)
