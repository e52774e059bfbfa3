"""However messages are framed, compressed and cut into packets: the same messages."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, strategies as st

from anyhttp import WebSocketError, WSMessage
from anyhttp._websocket import END, Deflater, FrameReader, Inflater
from tests.support.websocket import PING, frame


@dataclass(frozen=True)
class Sent:
    """One message, and how it goes out."""

    data: str | bytes
    compressed: bool
    cuts: tuple[int, ...]
    pings: bool


contents = st.one_of(
    st.text(max_size=300), st.binary(max_size=300), st.sampled_from([bytes(5000), "ü" * 3000])
)
in_frames = st.builds(
    Sent,
    contents,
    st.booleans(),
    st.lists(st.integers(0, 400), max_size=4).map(lambda cuts: tuple(sorted(cuts))),
    st.booleans(),
)
# Where the length takes more bytes.
edges_of_length: list[str | bytes] = [bytes(125), bytes(126), "a" * 126]
edges = st.sampled_from(edges_of_length).map(
    lambda data: Sent(data, compressed=False, cuts=(), pings=False)
)
messages = st.lists(st.one_of(in_frames, edges), max_size=5)
packets = st.lists(st.one_of(st.integers(1, 200), st.just(2000)), min_size=1, max_size=20)


def wire(sent: list[Sent], *, takes_over: bool) -> bytes:
    """Return the frames of a server that sends all of *sent*."""
    deflater = Deflater(15, takes_over=takes_over)
    out = b""
    for message in sent:
        text = isinstance(message.data, str)
        raw = message.data.encode() if isinstance(message.data, str) else message.data
        if message.compressed:
            raw = deflater.compress(raw)
        ends = [*(min(cut, len(raw)) for cut in message.cuts), len(raw)]
        start = 0
        for number, end in enumerate(ends):
            opcode = (1 if text else 2) if number == 0 else 0
            reserved = 4 if message.compressed and number == 0 else 0
            last = number == len(ends) - 1
            out += frame(opcode, raw[start:end], last=last, reserved=reserved)
            if message.pings and not last:
                out += frame(PING, b"?")
            start = end
    return out


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    """Return *data* in packets, whose sizes repeat."""
    found, start, number = [], 0, 0
    while start < len(data):
        size = sizes[number % len(sizes)]
        found.append(data[start : start + size])
        start += size
        number += 1
    return found


@given(messages, packets, st.booleans())
def test_whole_messages(sent: list[Sent], sizes: list[int], takes_over: bool) -> None:
    """Messages come out as they went in, pings apart."""
    reader = FrameReader(0, Inflater(15, takes_over=takes_over), decode_text=True)
    received = []
    for packet in cut(wire(sent, takes_over=takes_over), sizes):
        reader.feed(packet)
        while (message := reader.next_message()) is not None:
            if message.type != PING:
                received.append(message.data)
    assert received == [message.data for message in sent]
    assert reader.buffered == 0


@given(messages, packets, st.booleans(), st.integers(0, 3))
def test_messages_in_pieces(
    sent: list[Sent], sizes: list[int], takes_over: bool, whole: int
) -> None:
    """The same in pieces, or some this way and some the other."""
    reader = FrameReader(0, Inflater(15, takes_over=takes_over), decode_text=True)
    waiting = cut(wire(sent, takes_over=takes_over), sizes)

    def more() -> None:
        reader.feed(waiting.pop(0))

    for number, message in enumerate(sent):
        if number % 4 == whole:
            found = None
            while found is None or found.type == PING:
                found = reader.next_message()
                if found is None:
                    more()
            assert found.data == message.data
            continue
        while (kind := reader.next_start()) is None or isinstance(kind, WSMessage):
            if kind is None:
                more()
        pieces: list[str | bytes] = []
        while (piece := reader.next_piece()) is not END:
            if piece is None:
                more()
            elif isinstance(piece, (str, bytes)):
                assert piece
                pieces.append(piece)
        if isinstance(message.data, str):
            assert "".join(map(str, pieces)) == message.data
        else:
            assert b"".join(piece for piece in pieces if isinstance(piece, bytes)) == message.data
    assert not waiting
    assert reader.buffered == 0


@given(st.binary(max_size=200), packets)
def test_garbage_is_refused_or_understood_however_it_is_cut(data: bytes, sizes: list[int]) -> None:
    """Any bytes give the same messages and the same refusal, in one packet or in many."""
    answers = []
    for pieces in ([data], cut(data, sizes)):
        reader = FrameReader(50, Inflater(15, takes_over=True), decode_text=True)
        answer: list[object] = []
        try:
            for piece in pieces:
                reader.feed(piece)
                while (message := reader.next_message()) is not None:
                    answer.append(message)
        except WebSocketError as exc:
            answer.append((exc.code, str(exc)))
        answers.append(answer)
    assert answers[0] == answers[1]
