"""Frames with something wrong in their heads are refused, and all others read, by RFC 6455.

The rules are written a second time here, for whole frames that are listed.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from itertools import pairwise

from hypothesis import given, strategies as st

from anyhttp import WebSocketError, WSMessage
from anyhttp._websocket import END, Deflater, FrameReader, FrameWriter, Inflater
from tests.support.examples import examples
from tests.support.websocket import PING

TEXT, BINARY, CLOSE = 1, 2, 8

Found = tuple[list[tuple[int, bytes]], bool]
"""What was read, and whether something was refused in the end."""


@dataclass(frozen=True)
class Frame:
    """A frame, also one that is against the rules."""

    first: int
    payload: bytes
    longer: int = 0
    """By how many steps its length is longer than it must be."""
    masked: bool = False

    @property
    def width(self) -> int:
        """The bytes of its length, without the first."""
        size = len(self.payload)
        needed = 0 if size < 126 else 1 if size < 65536 else 2
        return (0, 2, 8)[min(needed + self.longer, 2)]

    @property
    def is_shortest(self) -> bool:
        return self.width == replace(self, longer=0).width

    @property
    def raw(self) -> bytes:
        """Its bytes; a mask of zeros changes none of the payload."""
        size = len(self.payload)
        second = {0: size, 2: 126, 8: 127}[self.width] | self.masked << 7
        length = size.to_bytes(self.width) if self.width else b""
        return bytes([self.first, second]) + length + bytes(4 * self.masked) + self.payload


places_to_cut: st.SearchStrategy[list[int]] = st.one_of(
    st.just([]), st.lists(st.one_of(st.integers(0, 20), st.integers(0, 140)), max_size=3)
)
edges = st.sampled_from([125, 126, 65535, 65536])
others = st.sampled_from([0, 1, 124, 127, 128, 300, 65537])
contents = st.one_of(
    st.text(max_size=20).map(str.encode),
    st.binary(max_size=20),
    st.one_of(edges, others).map(lambda size: b"a" * size),
)


@st.composite
def messages(draw: st.DrawFn) -> list[Frame]:
    """Return the frames of a message; pings may be between them."""
    data = draw(contents)
    reserved = draw(st.sampled_from([0, 0, 0x40]))
    if reserved:
        data = Deflater(15, takes_over=False).compress(data)
    cuts = sorted(min(cut, len(data)) for cut in draw(places_to_cut))
    places = [0, *cuts, len(data)]
    first = draw(st.sampled_from([TEXT, BINARY, BINARY])) | reserved
    frames: list[Frame] = []
    for start, end in pairwise(places):
        if draw(st.booleans()) and frames:
            frames.append(Frame(0x80 | PING, draw(contents)[:125]))
        frames.append(Frame(0 if start or len(frames) else first, data[start:end]))
    frames[-1] = replace(frames[-1], first=frames[-1].first | 0x80)
    return frames


CHANGES = ["no", "bit", "bit", "bit", "longer", "mask", "ping", "ping", "skip", "repeat"]
bits = st.sampled_from([0x80, 0x40, 0x40, 0x20, 0x10, 8, 4, 2, 1])


@st.composite
def altered(draw: st.DrawFn) -> list[Frame]:
    """Return the frames of some messages, one of which may be changed, left out or repeated."""
    frames = [each for message in draw(st.lists(messages(), min_size=1, max_size=3))
              for each in message]  # fmt: skip
    later = [place for place, each in enumerate(frames) if not each.first & 0x0F]
    every = list(range(len(frames)))
    place = draw(st.sampled_from(draw(st.sampled_from([every, later or every]))))
    changed = frames[place]
    match draw(st.sampled_from(CHANGES)):
        case "bit":
            changed = replace(changed, first=changed.first ^ draw(bits))
        case "longer":
            changed = replace(changed, longer=draw(st.integers(1, 2)))
        case "mask":
            changed = replace(changed, masked=True)
        case "ping":
            first = draw(st.sampled_from([0x89, 0x89, 0x8A, 0x09, 0xC9, 0x8B]))
            changed = Frame(first, bytes(draw(st.sampled_from([0, 125, 126]))))
        case "skip":
            return frames[:place] + frames[place + 1 :]
        case "repeat":
            return frames[: place + 1] + frames[place:]
    return [*frames[:place], changed, *frames[place + 1 :]]


def is_wrong(text: bytes) -> bool:
    """Whether *text* cannot be the beginning of UTF-8."""
    try:
        text.decode()
    except UnicodeDecodeError as exc:
        rest = text[exc.start :]
        ends_early = exc.reason == "unexpected end of data"
        return not ends_early or (rest[:1] == b"\xed" and rest[1:2] >= b"\xa0")
    return False


class Model:
    """A reader of whole frames."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.found: list[tuple[int, bytes]] = []
        self.begun: int | None = None  # the first byte of the message that has begun
        self.data = b""

    def read(self, frames: list[Frame]) -> Found:
        """Read *frames*, up to the first that is refused."""
        return self.found, not all(map(self._accepts, frames))

    @property
    def begins_wrongly(self) -> bool:
        """Whether a compressed message that has begun is refused, whatever its rest may be."""
        if self.begun is None or not self.begun & 0x40:
            return False
        try:
            text = zlib.decompressobj(-15).decompress(self.data)
        except zlib.error:
            return True
        return self.begun & 0x0F == TEXT and is_wrong(text)

    def _accepts(self, frame: Frame) -> bool:
        opcode, reserved = frame.first & 0x0F, frame.first & 0x70
        if frame.masked:
            return False
        if opcode >= 8:
            self.found.append((opcode, frame.payload))
            is_right = opcode <= 10 and not reserved and frame.first >= 0x80 and not frame.width
            if not is_right:
                self.found.pop()
            return is_right
        if opcode > 2 or reserved & 0x30 or not frame.is_shortest:
            return False
        if (opcode == 0) != (self.begun is not None) or (opcode == 0 and reserved):
            return False
        if opcode:
            self.begun, self.data = frame.first, b""
        self.data += frame.payload
        assert self.begun is not None
        is_plain_text = self.begun & 0x4F == TEXT
        if (self.limit and len(self.data) > self.limit) or (is_plain_text and is_wrong(self.data)):
            return False
        return frame.first < 0x80 or self._ends(self.begun)

    def _ends(self, first: int) -> bool:
        self.begun = None
        if first & 0x40:
            try:
                self.data = Inflater(15, takes_over=False).inflate(self.data, self.limit)
            except WebSocketError:
                return False
        opcode = first & 0x0F
        if opcode == TEXT:
            try:
                self.data.decode()
            except UnicodeDecodeError:
                return False
        self.found.append((opcode, self.data))
        return True


def longest(frames: list[Frame]) -> int:
    """Return the size of the longest message, as it is on the wire."""
    found = [0]
    for frame in frames:
        if frame.first & 0x0F in {TEXT, BINARY}:
            found.append(0)
        if frame.first & 0x0F < CLOSE:
            found[-1] += len(frame.payload)
    return max(found)


def by_messages(reader: FrameReader, packets: list[bytes]) -> Found:
    """Read messages as a whole."""
    found: list[tuple[int, bytes]] = []
    try:
        for packet in packets:
            reader.feed(packet)
            while (message := reader.next_message()) is not None:
                found.append((int(message.type), message.data))
    except WebSocketError:
        return found, True
    return found, False


def by_pieces(reader: FrameReader, packets: list[bytes]) -> Found:
    """Read messages in pieces."""
    found: list[tuple[int, bytes]] = []
    kind, data = 0, b""
    try:
        for packet in packets:
            reader.feed(packet)
            while True:
                got = reader.next_piece() if kind else reader.next_start()
                if got is None:
                    break
                if isinstance(got, WSMessage):
                    found.append((int(got.type), got.data))
                elif got is END:
                    found.append((kind, data))
                    kind = 0
                elif isinstance(got, bytes):
                    data += got
                else:
                    assert isinstance(got, int)
                    kind, data = int(got), b""
    except WebSocketError:
        return found, True
    return found, False


def without_pings(found: list[tuple[int, bytes]], is_refused: bool) -> list[tuple[int, bytes]]:
    """Return the messages; and the control frames, if nothing was refused."""
    return [each for each in found if each[0] < CLOSE or not is_refused]


@examples(250)
@given(
    frames=altered().filter(lambda all_: all(each.first & 0x0F != CLOSE for each in all_)),
    under=st.sampled_from([None, 0, 1]),
    size=st.sampled_from([1, 2, 3, 5, 1000, 10**6]),
)
def test_each_frame_is_read_or_refused_by_the_rules(
    frames: list[Frame], under: int | None, size: int
) -> None:
    """RFC 6455 §5, RFC 7692 §6: in packets of any size, as a whole and in pieces."""
    limit = 0 if under is None else max(longest(frames) - under, 1)
    raw = b"".join(frame.raw for frame in frames)
    size = max(size, len(raw) // 200)
    packets = [raw[start : start + size] for start in range(0, len(raw), size)]
    model = Model(limit)
    expected = model.read(frames)
    reader = FrameReader(limit, Inflater(15, takes_over=False), decode_text=False)
    assert by_messages(reader, packets) == expected
    if not limit:
        reader = FrameReader(0, Inflater(15, takes_over=False), decode_text=False)
        found, is_refused = by_pieces(reader, packets)
        # What cannot be decompressed is refused before the rest of its message comes.
        assert is_refused == (expected[1] or model.begins_wrongly)
        assert without_pings(found, is_refused) == without_pings(expected[0], is_refused)


@examples(60)
@given(payloads=st.lists(contents, min_size=1, max_size=70), first=st.sampled_from([0x81, 0x02]))
def test_each_frame_is_written_by_the_rules(payloads: list[bytes], first: int) -> None:
    """RFC 6455 §5.2 and §5.3: the length in its shortest form, and a key with each frame."""
    writer = FrameWriter()
    for payload in payloads:
        raw = writer.frame(first, payload)
        head = Frame(first, payload, masked=True).raw[: -4 - len(payload) or None]
        assert raw[: len(head)] == head
        key, masked = raw[len(head) :][:4], raw[len(head) + 4 :]
        whole_key = (key * (len(payload) // 4 + 1))[: len(payload)]
        plain = int.from_bytes(masked) ^ int.from_bytes(whole_key)
        assert plain.to_bytes(len(payload)) == payload
        assert len(masked) == len(payload)
