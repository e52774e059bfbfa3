"""Frames, compression and the handshake, without any I/O."""

from __future__ import annotations

import tracemalloc
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from multidict import CIMultiDict

from anyhttp import WebSocketError, WSMessage, WSMsgType
from anyhttp._websocket import (
    COMPRESSED,
    END,
    FINAL,
    FRAMES_IN_A_ROW,
    Deflater,
    Fragments,
    FrameReader,
    FrameWriter,
    HandshakeRefused,
    Inflater,
    Offer,
    close_payload,
    new_key,
)
from anyhttp._websocket.deflate import MAX_STREAMS
from anyhttp._websocket.frames import MAX_SKIPPED
from tests.support import websocket as peer
from tests.support.websocket import BINARY, CLOSE, PING, PONG, TEXT

TAIL = b"\x00\x00\xff\xff"


def reader(
    limit: int = 0, *, compressed: bool = False, takes_over: bool = True, decode_text: bool = True
) -> FrameReader:
    """Return a reader, which knows compression or does not."""
    inflater = Inflater(15, takes_over=takes_over) if compressed else None
    return FrameReader(limit, inflater, decode_text=decode_text)


def goes_on(target: FrameReader) -> bool:
    """Whether *target* has read many frames, and only lets others run."""
    paused = not target.frames_left
    target.frames_left = FRAMES_IN_A_ROW
    return paused


def read(target: FrameReader, data: bytes, *, step: int = 0) -> Iterator[tuple[int, object]]:
    """Feed *data*, at once or *step* bytes at a time; yield type and data of each message."""
    size = step or max(len(data), 1)
    for start in range(0, len(data), size):
        target.feed(data[start : start + size])
        while (message := target.next_message()) is not None or goes_on(target):
            if message is not None:
                yield message.type, message.data


def pieces(target: FrameReader, data: bytes, step: int = 0) -> list[object]:
    """Return what ``next_start()`` and ``next_piece()`` give for one message."""
    found: list[object] = []
    size = step or max(len(data), 1)
    started = False
    for start in range(0, len(data), size):
        target.feed(data[start : start + size])
        while not started:
            kind = target.next_start()
            if kind is None:
                break
            found.append(kind)
            started = not isinstance(kind, WSMessage)
        while started and ((piece := target.next_piece()) is not None or goes_on(target)):
            if piece is not None:
                found.append(piece)
            if piece is END:
                return found
    return found


def deflate(*parts: bytes, bits: int = 15) -> bytes:
    """Return one compressed message made of flushed parts."""
    compressor = zlib.compressobj(wbits=-bits)
    raw = b"".join(
        compressor.compress(part) + compressor.flush(zlib.Z_SYNC_FLUSH) for part in parts
    )
    return raw.removesuffix(TAIL)


def deflate_streams(window: bytes, *parts: bytes) -> bytes:
    """Return one compressed message, in which each part ends a DEFLATE stream.

    :param window: what each part may refer to, with all parts before it
    """
    raw = b""
    for part in parts:
        compressor = zlib.compressobj(wbits=-15, zdict=window[-(1 << 15) :])
        raw += compressor.compress(part) + compressor.flush(zlib.Z_FINISH)
        window += part
    return raw + b"\x00"


def fragments(raw: bytes, size: int) -> bytes:
    """Return a compressed binary message in frames of *size* bytes."""
    wire = peer.frame(BINARY, raw[:size], last=False, reserved=4)
    for start in range(size, len(raw), size):
        wire += peer.frame(0, raw[start : start + size], last=False)
    return wire + peer.frame(0)


SIZES = (0, 1, 125, 126, 127, 65535, 65536, 70000, 600_000)


class TestWholeMessages:
    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("step", [0, 1, 7, 4096])
    def test_every_form_of_length(self, size: int, step: int) -> None:
        """RFC 6455 §5.2: 7, 16 or 64 bits of length, however the bytes are cut."""
        if size > 1000 and step == 1:
            step = 1000
        data = bytes(range(256)) * (size // 256 + 1)
        wire = peer.frame(BINARY, data[:size]) + peer.frame(TEXT, b"x" * size)
        assert list(read(reader(), wire, step=step)) == [(2, data[:size]), (1, "x" * size)]

    @pytest.mark.parametrize("step", [0, 1])
    def test_fragments_with_control_frames_between(self, step: int) -> None:
        """RFC 6455 §5.4: control frames may come in the middle of a message."""
        wire = (
            peer.frame(TEXT, "grü".encode()[:3], last=False)
            + peer.frame(PING, b"1")
            + peer.frame(0, b"", last=False)
            + peer.frame(PONG, b"2")
            + peer.frame(0, "grü".encode()[3:] + b"!")
        )
        assert list(read(reader(), wire, step=step)) == [(9, b"1"), (10, b"2"), (1, "grü!")]

    def test_text_as_bytes(self) -> None:
        """decode_text=False: TEXT messages are bytes, but must be UTF-8 all the same."""
        target = reader(decode_text=False)
        assert list(read(target, peer.frame(TEXT, "ü".encode()))) == [(1, "ü".encode())]
        with pytest.raises(WebSocketError, match="UTF-8") as caught:
            list(read(target, peer.frame(TEXT, b"\xff")))
        assert caught.value.code == 1007

    @pytest.mark.parametrize("decode_text", [True, False])
    def test_a_text_of_any_frames_is_what_was_asked_for(self, decode_text: bool) -> None:
        """``str`` or bytes, whichever way the message came, and is read."""
        text = "ü"
        raw = text.encode()
        expected = text if decode_text else raw
        for wire in (
            peer.frame(TEXT, raw[:1], last=False) + peer.frame(0, raw[1:]),
            peer.frame(TEXT, deflate(raw), reserved=4),
            peer.frame(TEXT, raw),
        ):
            target = reader(compressed=True, decode_text=decode_text)
            assert list(read(target, wire)) == [(1, expected)]
            _, *rest, end = pieces(target, wire)
            assert (type(expected)().join(rest), end) == (expected, END)  # type: ignore[arg-type]

    def test_characters_that_are_cut_anywhere(self) -> None:
        """What looks like the beginning of a surrogate may be none (:rfc:`3629#section-3`)."""
        text = "\u0800\ud7ff\ue000\u00ff\uffff\U00010000\U0010ffff"
        raw = text.encode()
        for cut in range(1, len(raw)):
            wire = peer.frame(TEXT, raw[:cut], last=False) + peer.frame(0, raw[cut:])
            assert list(read(reader(), wire)) == [(1, text)]
        _, *rest, end = pieces(reader(), peer.frame(TEXT, raw), 1)
        assert ("".join(map(str, rest)), end) == (text, END)

    def test_many_small_pieces_of_a_large_message_take_linear_memory_and_time(self) -> None:
        """A message that comes byte by byte is kept as bytes, not as a list of them."""
        target = reader()
        target.feed(peer.frame(BINARY, bytes(200_000))[:10])
        for _ in range(200_000):
            assert target.next_message() is None
            target.feed(b"\x00")
        message = target.next_message()
        assert message is not None
        assert message.data == bytes(200_000)
        assert type(message.data) is bytes

    @pytest.mark.parametrize(
        ("payload", "data", "extra"),
        [
            (b"", 0, ""),
            (b"\x03\xe8", 1000, ""),
            (b"\x03\xe8bye", 1000, "bye"),
            (b"\x0b\xb8" + "ü".encode() * 61, 3000, "ü" * 61),
            (b"\x13\x87", 4999, ""),
        ],
    )
    def test_close(self, payload: bytes, data: int, extra: str) -> None:
        """RFC 6455 §5.5.1: a code and a reason, or neither."""
        target = reader()
        target.feed(peer.frame(CLOSE, payload))
        assert target.next_message() == WSMessage(WSMsgType.CLOSE, data, extra)


VIOLATIONS = {
    "masked": b"\x81\x82abcdxy",
    "rsv1": peer.frame(TEXT, b"x", reserved=4),
    "rsv2": peer.frame(TEXT, b"x", reserved=2),
    "rsv3": peer.frame(BINARY, b"x", reserved=1),
    "rsv1 of a control frame": peer.frame(PING, b"x", reserved=4),
    **{f"opcode {opcode}": peer.frame(opcode) for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    "fragmented ping": peer.frame(PING, last=False),
    "fragmented close": peer.frame(CLOSE, last=False),
    "long ping": peer.frame(PING, bytes(126)),
    "continuation of nothing": peer.frame(0, b"x"),
    "a message in a message": peer.frame(TEXT, b"x", last=False) + peer.frame(TEXT, b"y"),
    "16 bits for 125": b"\x82\x7e\x00\x7d" + bytes(125),
    "64 bits for 65535": b"\x82\x7f" + (65535).to_bytes(8, "big"),
    "a length of 64 bits": b"\x82\x7f\x80" + bytes(7),
    "half a close code": peer.frame(CLOSE, b"\x03"),
    **{
        f"close code {code}": peer.close(code)
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    },
}
BAD_TEXT = {
    "invalid byte": peer.frame(TEXT, b"\xff"),
    "surrogate": peer.frame(TEXT, b"\xed\xa0\x80"),
    "overlong": peer.frame(TEXT, b"\xc0\xaf"),
    "beyond unicode": peer.frame(TEXT, b"\xf4\x90\x80\x80"),
    "cut": peer.frame(TEXT, b"a\xc3"),
    "fragmented": peer.frame(TEXT, b"\xc3", last=False) + peer.frame(0, b"a"),
    "close reason": peer.close(1000, b"\xff"),
}


class TestViolations:
    @pytest.mark.parametrize("wire", VIOLATIONS.values(), ids=VIOLATIONS)
    @pytest.mark.parametrize("step", [0, 1])
    def test_framing_is_1002(self, wire: bytes, step: int) -> None:
        """RFC 6455 §5: whatever is not allowed fails the connection with 1002."""
        with pytest.raises(WebSocketError) as caught:
            list(read(reader(), wire, step=step))
        assert caught.value.code == 1002

    @pytest.mark.parametrize("wire", VIOLATIONS.values(), ids=VIOLATIONS)
    def test_framing_is_1002_for_one_who_reads_pieces(self, wire: bytes) -> None:
        """Both ways of reading are equally strict; the reader says so again when asked again."""
        if wire[0] & 8 or wire == VIOLATIONS["a message in a message"]:
            return
        target = reader()
        target.feed(wire)
        for _ in range(2):
            with pytest.raises(WebSocketError) as caught:
                target.next_start()
            assert caught.value.code == 1002

    @pytest.mark.parametrize("wire", BAD_TEXT.values(), ids=BAD_TEXT)
    def test_bad_text_is_1007(self, wire: bytes) -> None:
        """RFC 6455 §8.1: text that is not UTF-8 fails the connection with 1007."""
        with pytest.raises(WebSocketError) as caught:
            list(read(reader(), wire))
        assert caught.value.code == 1007

    @pytest.mark.parametrize(
        "wrong", [b"\xff", b"\xc3(", b"\xf4\x90", b"\xed\xa0", b"a\xe2("], ids=bytes.hex
    )
    @pytest.mark.parametrize("decode_text", [True, False])
    def test_bad_text_fails_at_the_byte_that_shows_it(
        self, wrong: bytes, decode_text: bool
    ) -> None:
        """RFC 6455 §8.1, as Autobahn 6.4 asks: the rest of the message may never come."""
        text = "grüß".encode()
        second = peer.frame(0, bytes(20))[:2]
        for before in (
            peer.frame(TEXT, text, last=False) + second,
            peer.frame(TEXT, text[:-1], last=False) + second + text[-1:],  # inside a character
            peer.frame(TEXT, bytes(100_000))[:10],
        ):
            target = reader(decode_text=decode_text)
            target.feed(before)
            assert target.next_message() is None
            for byte in wrong[:-1]:
                target.feed(bytes([byte]))
                assert target.next_message() is None
            target.feed(wrong[-1:])
            with pytest.raises(WebSocketError) as caught:
                target.next_message()
            assert caught.value.code == 1007

    def test_text_in_several_pieces_is_whole(self) -> None:
        """Also after the beginning of one message, and the end of another, were passed over."""
        text = "grüße\U0001f600" * 30_000
        wire = peer.frame(TEXT, text.encode()[:7], last=False) + peer.frame(0, text.encode()[7:])
        for step in (0, 1000, 4099):
            assert list(read(reader(), wire * 2, step=step)) == [(WSMsgType.TEXT, text)] * 2

    @pytest.mark.parametrize("reserved", [2, 1, 3, 6], ids=["rsv2", "rsv3", "rsv2+3", "rsv1+2"])
    def test_only_rsv1_belongs_to_compression(self, reserved: int) -> None:
        """RFC 7692 §6: it uses one bit and leaves the others alone."""
        with pytest.raises(WebSocketError) as caught:
            list(read(reader(compressed=True), peer.frame(TEXT, b"x", reserved=reserved)))
        assert caught.value.code == 1002

    def test_rsv1_belongs_to_the_first_frame_only(self) -> None:
        """RFC 7692 §6.1: a continuation does not have it."""
        wire = peer.frame(TEXT, b"x", last=False, reserved=4) + peer.frame(0, b"x", reserved=4)
        with pytest.raises(WebSocketError) as caught:
            list(read(reader(compressed=True), wire))
        assert caught.value.code == 1002


class TestSize:
    @pytest.mark.parametrize("limit", [5, 125, 126, 1000, 70000])
    def test_exactly_the_limit_passes_and_one_more_fails_at_its_header(self, limit: int) -> None:
        """CVE-2026-59881: it is checked when it is announced, and no byte of it is waited for."""
        assert list(read(reader(limit), peer.frame(BINARY, bytes(limit)))) == [(2, bytes(limit))]
        with pytest.raises(WebSocketError, match="limit") as caught:
            list(read(reader(limit), peer.frame(BINARY, bytes(limit + 1))[: -limit - 1]))
        assert caught.value.code == 1009

    def test_fragments_count_together(self) -> None:
        """The limit holds for the message, not for each frame."""
        wire = peer.frame(TEXT, b"abc", last=False) + peer.frame(0, b"de")
        assert list(read(reader(5), wire)) == [(1, "abcde")]
        with pytest.raises(WebSocketError) as caught:
            list(read(reader(4), wire))
        assert caught.value.code == 1009

    @pytest.mark.parametrize("size", [10, 3000, 100_000])
    def test_the_limit_holds_after_inflating(self, size: int) -> None:
        """CVE-2026-54274: a small frame must not become a large message."""
        wire = peer.frame(BINARY, deflate(bytes(size)), reserved=4)
        limited = max(size, len(wire))
        assert list(read(reader(limited, compressed=True), wire)) == [(2, bytes(size))]
        if size > len(wire):
            with pytest.raises(WebSocketError, match="inflates") as caught:
                list(read(reader(size - 1, compressed=True), wire))
            assert caught.value.code == 1009

    def test_what_is_only_announced_takes_little_memory(self) -> None:
        """A header is cheap to send: what it announces is not there before it comes."""
        target = reader()
        tracemalloc.start()
        try:
            target.feed(b"\x82\x7f" + (1 << 40).to_bytes(8, "big") + b"x")
            assert target.next_message() is None
            assert tracemalloc.get_traced_memory()[1] < 500_000
        finally:
            tracemalloc.stop()

    def test_control_frames_are_not_limited(self) -> None:
        """They have a limit of their own."""
        assert list(read(reader(1), peer.frame(PING, bytes(125)))) == [(9, bytes(125))]


class TestCompression:
    @pytest.mark.parametrize("step", [0, 1])
    @pytest.mark.parametrize("bits", [9, 10, 15])
    def test_messages_that_refer_to_earlier_ones(self, bits: int, step: int) -> None:
        """RFC 7692 §7.2.3.2: context takeover, both ways."""
        deflater, target = Deflater(bits, takes_over=True), reader(compressed=True)
        texts = ["hello hello hello", "", "hello again", "", "", "x" * 5000, "hello"]
        for text in texts:
            wire = peer.frame(TEXT, deflater.compress(text.encode()), reserved=4)
            assert list(read(target, wire, step=step)) == [(1, text)]

    def test_large_fragments(self) -> None:
        """They come to one message."""
        deflater, target = Deflater(15, takes_over=True), reader(compressed=True)
        for data in (bytes(range(256)) * 1000, b"x" * 200_000):
            fragments = Fragments(deflater)
            fragments.check(data)
            wire = b""
            for last in (False, True):
                first, payload = fragments.make(data, last=last)
                wire += peer.frame(
                    first & 15, bytes(payload), last=last, reserved=4 if first & COMPRESSED else 0
                )
            assert len(wire) < len(data)
            assert list(read(target, wire)) == [(BINARY, data * 2)]

    def test_without_context_takeover(self) -> None:
        """RFC 7692 §7.1.1: each message by itself; the same one looks the same."""
        deflater = Deflater(15, takes_over=False)
        target = reader(compressed=True, takes_over=False)
        first, second = (deflater.compress(b"hello hello") for _ in range(2))
        assert first == second
        for _ in range(2):
            assert list(read(target, peer.frame(BINARY, first, reserved=4))) == [
                (2, b"hello hello")
            ]

    def test_fragments_of_a_compressed_message(self) -> None:
        """RFC 7692 §7.2.3.1: compressed as a whole, then cut anywhere."""
        raw = deflate(b"hello hello hello", b"hello", b"")
        wire = peer.frame(BINARY, raw[:1], last=False, reserved=4)
        wire += b"".join(peer.frame(0, raw[i : i + 1], last=False) for i in range(1, len(raw)))
        wire += peer.frame(0, b"")
        assert list(read(reader(compressed=True), wire)) == [(2, b"hello hello hellohello")]

    def test_plain_messages_among_compressed_ones(self) -> None:
        """RFC 7692 §6: each message says for itself whether it is compressed."""
        wire = peer.frame(TEXT, b"plain") + peer.frame(TEXT, deflate(b"not"), reserved=4)
        assert list(read(reader(compressed=True), wire * 1)) == [(1, "plain"), (1, "not")]

    @pytest.mark.parametrize(
        "raw",
        [
            bytes.fromhex("f248cdc9c90700"),  # RFC 7692 §7.2.3.1
            bytes.fromhex("000500faff48656c6c6f00"),  # §7.2.3.3: not compressed
            bytes.fromhex("f348cdc9c9070000"),  # §7.2.3.4: BFINAL is set
            bytes.fromhex("f248050000 00ffffcac9c90700".replace(" ", "")),  # §7.2.3.5: two blocks
        ],
        ids=["fixed", "stored", "final", "two blocks"],
    )
    def test_examples_of_the_rfc(self, raw: bytes) -> None:
        """All of RFC 7692 §7.2.3 says "Hello", and so does what follows it."""
        target = reader(100, compressed=True)
        for _ in range(3):
            assert list(read(target, peer.frame(TEXT, raw, reserved=4))) == [(1, "Hello")]

    def test_an_empty_message(self) -> None:
        """RFC 7692 §7.2.3.6: one byte stands for nothing."""
        assert list(read(reader(compressed=True), peer.frame(TEXT, b"\x00", reserved=4))) == [
            (1, "")
        ]

    def test_garbage_is_1002(self) -> None:
        """What does not inflate breaks the protocol."""
        with pytest.raises(WebSocketError, match="compressed") as caught:
            list(read(reader(compressed=True), peer.frame(BINARY, b"\xff" * 9, reserved=4)))
        assert caught.value.code == 1002

    def test_streams_in_one_message_are_bounded(self) -> None:
        """Each ended DEFLATE stream costs a new decompressor, so there is a limit."""
        fine = b"\x03\x00" * (MAX_STREAMS - 1)
        assert list(read(reader(compressed=True), peer.frame(BINARY, fine, reserved=4))) == [
            (2, b"")
        ]
        with pytest.raises(WebSocketError, match="too many") as caught:
            list(read(reader(compressed=True), peer.frame(BINARY, fine * 2, reserved=4)))
        assert caught.value.code == 1002

    @pytest.mark.parametrize("size", [1, 100, 100_000])
    @pytest.mark.parametrize("in_pieces", [True, False])
    def test_a_stream_may_refer_to_those_before_it(self, size: int, in_pieces: bool) -> None:
        """RFC 7692 §7.2.3.2 and §7.2.3.4: that one ends does not empty the window."""
        texts = [b"".join(f"{start + i:x}".encode() for i in range(4000)) for start in (0, 5000)]
        parts = [texts[0], b"", texts[1] + texts[0], b"x" * 70_000, texts[0]]
        whole = b"".join(parts)
        target = reader(0 if in_pieces else len(whole), compressed=True)
        for window in (b"", whole, whole[-40_000:]):
            if len(window) == 40_000:  # all that is needed came with earlier messages
                parts, whole = [b"", texts[0], b""], texts[0]
            wire = fragments(deflate_streams(window, *parts), size)
            if in_pieces:
                got = [piece for piece in pieces(target, wire, 1000) if isinstance(piece, bytes)]
                assert b"".join(got) == whole
                assert max(map(len, got)) <= 65536
            else:
                assert list(read(target, wire, step=1000)) == [(2, whole)]
        wire = fragments(deflate_streams(b"", *parts), size)
        with pytest.raises(WebSocketError, match="inflates") as caught:
            list(read(reader(len(whole) - 1, compressed=True), wire))
        assert caught.value.code == 1009

    def test_without_context_takeover_the_window_is_emptied(self) -> None:
        """RFC 7692 §7.1.1.1: what refers to an earlier message all the same is garbage."""
        target = reader(compressed=True, takes_over=False)
        text = bytes(range(256))
        wire = peer.frame(BINARY, deflate_streams(b"", text), reserved=4)
        assert list(read(target, wire)) == [(2, text)]
        wire = peer.frame(BINARY, deflate_streams(text, b"", text), reserved=4)
        with pytest.raises(WebSocketError, match="compressed"):
            list(read(target, wire))

    def test_a_large_message_is_compressed_in_pieces(self) -> None:
        """So that other tasks may run in between; the peer sees one message."""
        deflater = Deflater(15, takes_over=True)
        data = bytes(range(256)) * 1000
        made = list(deflater.pieces(data))
        assert len(made) > 3
        inflater = Inflater(15, takes_over=True)
        assert inflater.inflate(b"".join(made), 0) == data


class TestPieces:
    @pytest.mark.parametrize("step", [0, 1, 1000])
    def test_pieces_are_the_message(self, step: int) -> None:
        """A message in frames, read in pieces, is the same message."""
        data = bytes(range(256)) * 10
        wire = peer.frame(BINARY, data[:1000], last=False)
        wire += peer.frame(0, b"", last=False) + peer.frame(0, data[1000:])
        kind, *rest, end = pieces(reader(10), wire, step)
        assert (kind, end) == (WSMsgType.BINARY, END)
        assert b"".join(piece for piece in rest if isinstance(piece, bytes)) == data
        assert all(rest), "no piece is empty"

    @pytest.mark.parametrize("step", [1, 3])
    @pytest.mark.parametrize("compressed", [False, True])
    def test_characters_are_whole(self, step: int, compressed: bool) -> None:
        """A piece of text never ends in the middle of a character."""
        text = "aüß€😀" * 20
        raw = deflate(text.encode()) if compressed else text.encode()
        wire = peer.frame(TEXT, raw, reserved=4 * compressed)
        kind, *rest, end = pieces(reader(compressed=compressed), wire, step)
        assert (kind, end) == (WSMsgType.TEXT, END)
        assert "".join(map(str, rest)) == text

    def test_a_bomb_comes_in_small_pieces(self) -> None:
        """However much a frame inflates to, a piece of it is small."""
        size = 10_000_000
        wire = peer.frame(BINARY, deflate(bytes(size)), reserved=4)
        _, *rest, _ = pieces(reader(10, compressed=True), wire)
        lengths = [len(piece) for piece in rest]  # type: ignore[arg-type]
        assert sum(lengths) == size
        assert max(lengths) <= 65536

    @pytest.mark.parametrize("size", [MAX_SKIPPED, MAX_SKIPPED + 100_000])
    def test_the_rest_of_a_bomb_is_discarded_in_steps_and_up_to_a_limit(self, size: int) -> None:
        """Other tasks run in between: later messages may refer to it, so it has to be inflated."""
        target = reader(compressed=True)
        target.feed(
            peer.frame(BINARY, deflate(bytes(size)), reserved=4)
            + peer.frame(TEXT, deflate(b"x"), reserved=4)
        )
        assert target.next_start() is WSMsgType.BINARY
        steps = 0

        def skip() -> object:
            nonlocal steps
            while (found := target.skip_pieces()) is None:
                assert goes_on(target)
                steps += 1
            return found

        if size == MAX_SKIPPED:
            assert skip() is END
            assert target.next_message() == WSMessage(WSMsgType.TEXT, "x", "")
        else:
            with pytest.raises(WebSocketError) as caught:
                skip()
            assert caught.value.code == 1009
        assert MAX_SKIPPED // 5_000_000 <= steps <= MAX_SKIPPED // 4_000_000 + 1

    def test_the_rest_of_a_plain_message_is_discarded_without_a_limit(self) -> None:
        """It costs no more than to receive it."""
        target = reader(compressed=True)
        target.feed(peer.frame(BINARY, bytes(MAX_SKIPPED + 1)))
        assert target.next_start() is WSMsgType.BINARY
        assert target.skip_pieces() is END

    def test_the_next_message_refers_to_one_read_in_pieces(self) -> None:
        """The window goes on, whichever way a message is read."""
        deflater, target = Deflater(15, takes_over=True), reader(compressed=True)
        for text in ("hello hello", "hello hello!"):
            wire = peer.frame(TEXT, deflater.compress(text.encode()), reserved=4)
            assert "".join(map(str, pieces(target, wire)[1:-1])) == text
        wire = peer.frame(TEXT, deflater.compress(b"hello"), reserved=4)
        assert list(read(target, wire)) == [(1, "hello")]

    def test_without_context_takeover_the_window_is_that_of_the_message(self) -> None:
        """RFC 7692 §7.1.1.1: its frames may refer to each other, and the next one to none."""
        target = reader(compressed=True, takes_over=False)
        text = bytes(range(256)) * 20
        wire = fragments(deflate(text, text, text), 30)
        got = [piece for piece in pieces(target, wire) if isinstance(piece, bytes)]
        assert b"".join(got) == text * 3
        wire = peer.frame(BINARY, deflate_streams(text, b"", text), reserved=4)
        with pytest.raises(WebSocketError, match="compressed"):
            pieces(target, wire)

    def test_streams_are_counted_for_each_message(self) -> None:
        """Their bound is that of one message."""
        target = reader(compressed=True)
        for _ in range(3):
            raw = b"\x03\x00" * (MAX_STREAMS - 1) + b"\0"
            assert pieces(target, fragments(raw, 7)) == [WSMsgType.BINARY, END]
        with pytest.raises(WebSocketError, match="too many"):
            pieces(target, fragments(b"\x03\x00" * MAX_STREAMS, 7))

    def test_an_empty_message_has_no_pieces(self) -> None:
        """Its end follows its start."""
        assert pieces(reader(), peer.frame(TEXT)) == [WSMsgType.TEXT, END]

    @pytest.mark.parametrize(
        "raw", [b"a\xc3", b"\xff", b"ok" * 50 + b"\xc0"], ids=["cut", "invalid", "late"]
    )
    def test_bad_text_is_1007(self, raw: bytes) -> None:
        """Text is checked as it comes, and at the end of the message."""
        with pytest.raises(WebSocketError) as caught:
            pieces(reader(), peer.frame(TEXT, raw), 4)
        assert caught.value.code == 1007

    def test_a_message_of_which_part_was_collected(self) -> None:
        """What a cancelled receive() had collected is the first piece."""
        target = reader()
        wire = peer.frame(TEXT, b"hello")
        target.feed(wire[:4])
        assert target.next_message() is None
        target.feed(wire[4:])
        assert target.next_start() is WSMsgType.TEXT
        assert [target.next_piece() for _ in range(3)] == ["he", "llo", END]

    @pytest.mark.parametrize("announced", [5000, 1_000_000])
    def test_a_compressed_message_of_which_part_was_collected(self, announced: int) -> None:
        """What was put aside is inflated first, and nothing that was only announced."""
        data = "".join(f"{number:x}" for number in range(announced)).encode()
        target = reader(compressed=True)
        raw = deflate(data)
        wire = peer.frame(BINARY, raw, reserved=4)
        target.feed(wire[: len(wire) // 3])
        assert target.next_message() is None
        _, *rest = pieces(target, wire[len(wire) // 3 :], 5000)
        got = [piece for piece in rest if isinstance(piece, bytes)]
        assert b"".join(got) == data
        assert max(map(len, got)) <= 65536

    def test_control_frames_in_between(self) -> None:
        """They are handed out where they come."""
        wire = peer.frame(PING, b"0") + peer.frame(TEXT, b"a", last=False)
        wire += peer.frame(PING, b"1") + peer.frame(0, b"b")
        ping = [WSMessage(WSMsgType.PING, data, "") for data in (b"0", b"1")]
        assert pieces(reader(), wire) == [ping[0], WSMsgType.TEXT, "a", ping[1], "b", END]


class TestReadingAhead:
    """Messages that came at once are read at once, while nothing else is asked for."""

    SENT = ("a", "bü", b"", b"c" * 125, "d" * 126, b"e" * 60_000)

    def target(self, *, behind: bytes = b"") -> FrameReader:
        """Return a reader that has returned one message and read the others ahead."""
        made = reader()
        wire = [
            peer.frame(TEXT, data.encode()) if isinstance(data, str) else peer.frame(BINARY, data)
            for data in ("first", *self.SENT)
        ]
        made.feed(b"".join(wire) + behind)
        assert made.next_message() == WSMessage(WSMsgType.TEXT, "first", "")
        assert [message.data for message in reversed(made.ready)] == list(self.SENT)
        return made

    def test_more_bytes_come_behind_them(self) -> None:
        """Also in the middle of a frame."""
        wire = peer.frame(TEXT, b"last")
        target = self.target(behind=wire[:3])
        rest = list(read(target, wire[3:]))
        assert [data for _, data in rest] == [*self.SENT, "last"]

    def test_they_are_read_in_pieces_after_all(self) -> None:
        """Each can be, and those that are not remain whole."""
        target = self.target(behind=peer.frame(PING, b"?"))
        found: list[object] = []
        for _ in self.SENT[::2]:
            assert target.next_start() in {WSMsgType.TEXT, WSMsgType.BINARY}
            while (piece := target.next_piece()) is not END:
                found.append(piece)
            message = target.next_message()
            assert message is not None
            found.append(message.data)
        assert found == [data for data in self.SENT if data]
        assert target.next_control() == WSMessage(WSMsgType.PING, b"?", "")

    def test_a_ping_behind_them_is_found(self) -> None:
        """It is the next frame that has not been read."""
        target = self.target(behind=peer.frame(PING, b"?"))
        assert target.next_control() == WSMessage(WSMsgType.PING, b"?", "")
        assert [data for _, data in read(target, b"")] == []
        assert len(target.ready) == len(self.SENT)

    def test_they_are_skipped_up_to_close(self) -> None:
        """Nobody wants them any more."""
        target = self.target(behind=peer.close(1000))
        assert target.skip_to_close() == WSMessage(WSMsgType.CLOSE, 1000, "")
        assert not target.ready

    def test_no_more_than_some_are_read_in_a_row(self) -> None:
        """64, or 64 KiB."""
        for size, count in ((0, 64), (125, 64), (2048, 32), (65535, 1)):
            target = reader()
            target.feed(peer.frame(BINARY, bytes(size)) * 100)
            assert target.next_message() is not None
            assert len(target.ready) == count - 1
            assert target.messages_left <= 0

    @pytest.mark.parametrize(
        ("behind", "found"),
        [
            (peer.frame(BINARY, bytes(70_000)), [(2, bytes(70_000))]),
            (peer.frame(BINARY, b"e" * 200)[:50], []),
            (peer.frame(BINARY, b"e" * 20)[:5], []),
            (peer.frame(BINARY, b"e" * 65_535) * 2, [(2, b"e" * 65_535)] * 2),
            (peer.frame(PING, b"1"), [(9, b"1")]),
            (peer.frame(TEXT, b"a", last=False) + peer.frame(0, b"b"), [(1, "ab")]),
            (b"\x82", []),
        ],
        ids=["long", "begun", "begun short", "enough", "control", "fragments", "half a header"],
    )
    def test_what_is_behind_them_costs_no_message(
        self, behind: bytes, found: list[tuple[int, object]]
    ) -> None:
        """Reading ahead stops at it; each message is returned once, with an empty ``extra``."""
        target = reader()
        target.feed(peer.frame(BINARY, b"1") + peer.frame(TEXT, b"2") + behind)
        messages = []
        while (message := target.next_message()) is not None:
            messages.append(message)
        assert [(message.type, message.data) for message in messages] == [
            (2, b"1"), (1, "2"), *found
        ]  # fmt: skip
        assert {message.extra for message in messages} == {""}

    @pytest.mark.parametrize(
        ("behind", "code"),
        [
            (b"\x82\x7e\x00\x7d" + bytes(125), 1002),
            (peer.frame(TEXT, b"\xff"), 1007),
            (peer.frame(3), 1002),
        ],
        ids=["16 bits for 125", "no UTF-8", "reserved"],
    )
    def test_what_is_wrong_behind_them_is_told_after_them(self, behind: bytes, code: int) -> None:
        """Those before it are returned first."""
        target = reader()
        target.feed(peer.frame(BINARY, b"1") + peer.frame(TEXT, b"2") + behind)
        assert target.next_message() == WSMessage(WSMsgType.BINARY, b"1", "")
        assert target.next_message() == WSMessage(WSMsgType.TEXT, "2", "")
        with pytest.raises(WebSocketError) as caught:
            target.next_message()
        assert caught.value.code == code

    def test_a_length_of_64_bits_is_not_taken_for_one_of_16(self) -> None:
        """Its first two bytes may look like one."""
        target = reader()
        target.feed(b"\x82\x7f\x00\x7e" + bytes(6) + b"x" * 200)
        assert target.next_message() is None
        assert not target.ready

    def test_messages_that_are_read_singly_count_as_well(self) -> None:
        """One of 64 KiB as 64 others: so other tasks run in between, whatever the frames."""
        target = reader()
        for size, left in ((0, 63), (65_535, 62), (65_536, -2)):
            target.feed(peer.frame(BINARY, bytes(size), last=False) + peer.frame(0))
            assert target.next_message() == WSMessage(WSMsgType.BINARY, bytes(size), "")
            assert target.messages_left == left


class TestNothingToRead:
    def test_before_the_first_byte(self) -> None:
        """Each method says that more is needed."""
        target = reader()
        assert target.buffered == 0
        found = [target.next_message(), target.next_start(), target.next_control()]
        assert found == [None] * 3
        assert target.skip_to_close() is None

    @pytest.mark.parametrize(
        "wire",
        [
            peer.frame(PING, b"1"),
            peer.frame(BINARY, b"1"),
            peer.frame(TEXT, b"1", last=False) + peer.frame(0, b"2"),
            peer.frame(BINARY, bytes(70_000)),
        ],
        ids=["control", "short", "fragments", "long"],
    )
    def test_no_bytes_are_kept_that_have_been_read(self, wire: bytes) -> None:
        """A WebSocket that is silent for hours would keep what came last."""
        target = reader()
        target.feed(wire)
        assert target.next_message() is not None
        assert target.data == b""


class TestControlAndClose:
    @pytest.mark.parametrize("frames", [b"\x8a\0", b"\0\0", b"\0\1x"])
    def test_no_more_than_some_thousand_frames_are_read_in_a_row(self, frames: bytes) -> None:
        """Their reader lets others run before it goes on."""
        target = reader()
        target.feed(b"\1\0" + frames * 2 * FRAMES_IN_A_ROW + b"\x80\1y")
        pauses = 0
        while (message := target.next_message()) is None or message.type is WSMsgType.PONG:
            if message is None:
                assert goes_on(target)
                pauses += 1
        assert message.data == ("x" * (len(frames) - 2) * 2 * FRAMES_IN_A_ROW + "y")
        assert pauses == 2

    def test_control_frames_are_taken_only_if_they_are_next(self) -> None:
        """A heartbeat answers pings, and leaves messages and CLOSE where they are."""
        target = reader()
        target.feed(peer.frame(PING, b"1") + peer.frame(PONG) + peer.frame(TEXT, b"x"))
        found = [target.next_control() for _ in range(3)]
        assert [message and message.type for message in found] == [9, 10, None]
        assert target.next_message() == WSMessage(WSMsgType.TEXT, "x", "")
        target.feed(peer.close(1000))
        assert target.next_control() is None
        target.feed(b"\x89")
        assert target.next_message() is not None
        assert target.next_control() is None

    @pytest.mark.parametrize("first", [0x89, 0x8A])
    def test_a_control_frame_without_a_payload_is_whole(self, first: int) -> None:
        """It is taken when its two bytes have come."""
        target = reader()
        target.feed(bytes([first]))
        assert target.next_control() is None
        target.feed(b"\0")
        assert target.next_control() == WSMessage(WSMsgType(first & 15), b"", "")
        assert target.next_control() is None

    @pytest.mark.parametrize("is_whole", [True, False])
    def test_a_message_of_which_pieces_were_read_is_skipped(self, is_whole: bool) -> None:
        """Up to its end, of which the reader may not have been told."""
        target = reader()
        rest = b"" if is_whole else b"y" * 5
        target.feed(peer.frame(TEXT, b"x" * 5 + rest)[: 2 + 5])
        assert target.next_start() is WSMsgType.TEXT
        assert target.next_piece() == "x" * 5
        target.feed(rest + peer.frame(BINARY, b"another") + peer.close(1000))
        assert target.skip_to_close() == WSMessage(WSMsgType.CLOSE, 1000, "")

    @pytest.mark.parametrize("step", [0, 1])
    def test_everything_is_skipped_up_to_close(self, step: int) -> None:
        """Large messages that nobody wants any more are not kept."""
        target = reader(10)
        wire = peer.frame(BINARY, bytes(100_000 if not step else 300), last=False)
        wire += peer.frame(PING, b"x") + peer.frame(0, b"y") + peer.close(1001, b"gone")
        size = step or len(wire)
        found = None
        for start in range(0, len(wire), size):
            assert found is None
            target.feed(wire[start : start + size])
            found = target.skip_to_close()
            assert target.buffered < 200
        assert found == WSMessage(WSMsgType.CLOSE, 1001, "gone")


class TestSending:
    @pytest.mark.parametrize("size", SIZES)
    def test_frames_are_masked_and_as_short_as_can_be(self, size: int) -> None:
        """RFC 6455 §5.1: a client masks every frame, each with a new key."""
        data = b"z" * size
        write = FrameWriter().frame
        made = write(FINAL | TEXT, data)
        extra = 0 if size < 126 else 2 if size < 65536 else 8
        assert len(made) == 2 + extra + 4 + size
        assert made[0] == 0x81
        assert made[1] == 0x80 | (size if size < 126 else 126 if size < 65536 else 127)
        mask = made[2 + extra : 6 + extra]
        plain = bytes(byte ^ mask[i % 4] for i, byte in enumerate(made[6 + extra :][:50]))
        assert plain == data[:50]
        assert len({write(TEXT, data)[2 + extra : 6 + extra] for _ in range(200)}) > 190

    def test_bits_of_the_first_byte(self) -> None:
        """FIN for the last frame, RSV1 for the first of a compressed message."""
        for deflater, bits in ((None, 0), (Deflater(15, takes_over=True), COMPRESSED)):
            fragments = Fragments(deflater)
            fragments.check(b"")
            made = [fragments.make(b"x", last=last)[0] for last in (False, False, True)]
            assert made == [bits | BINARY, 0, FINAL]
            whole = Fragments(deflater)
            whole.check("")
            first, payload = whole.make(b"x", last=True)
            assert FrameWriter().frame(first, payload)[0] == FINAL | bits | TEXT

    @pytest.mark.parametrize("code", [1000, 1001, 1003, 1007, 1014, 3000, 4999])
    def test_close_codes_that_may_be_sent(self, code: int) -> None:
        """RFC 6455 §7.4.2 and the registry."""
        assert close_payload(code, "ü") == code.to_bytes(2, "big") + "ü".encode()

    @pytest.mark.parametrize("code", [0, -1, 999, 1004, 1005, 1006, 1015, 2999, 5000, 70000])
    def test_close_codes_that_may_not(self, code: int) -> None:
        """RFC 6455 §7.4.1: some codes are never on the wire."""
        with pytest.raises(ValueError, match="code"):
            close_payload(code, "")

    def test_a_close_code_that_is_no_integer(self) -> None:
        """The error names the argument."""
        code: Any = "1000"
        with pytest.raises(TypeError, match=r"^code must be an int, not str$"):
            close_payload(code, "")

    @pytest.mark.parametrize("code", [1000, 1001, 4999])
    def test_a_close_code_without_a_reason(self, code: int) -> None:
        """RFC 6455 §5.5.1: two bytes."""
        assert close_payload(code, "") == code.to_bytes(2, "big")

    def test_long_reasons_are_refused(self) -> None:
        """A control frame has 125 bytes, two of which are the code."""
        assert len(close_payload(1000, "x" * 123)) == 125
        with pytest.raises(ValueError, match="123"):
            close_payload(1000, "x" * 124)


# -- the handshake ---------------------------------------------------------------------


#: The key of the client.
KEY = "dGhlIHNhbXBsZSBub25jZQ=="


def answer(*fields: tuple[str, str], **changed: str | None) -> CIMultiDict[str]:
    """Return the headers of a server that accepts; ``None`` leaves one out."""
    proof = peer.accept_key(f"\r\nSec-WebSocket-Key: {KEY}".encode())
    usual: dict[str, str | None] = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Accept": proof,
        **{name.replace("_", "-"): value for name, value in changed.items()},
    }
    kept = [(name, value) for name, value in usual.items() if value is not None]
    return CIMultiDict([*kept, *fields])


class TestOffer:
    def test_headers(self) -> None:
        """RFC 6455 §4.1: what asks for a WebSocket."""
        assert dict(Offer(["chat", "v2.chat"], 0).headers()) == {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Protocol": "chat,v2.chat",
        }
        assert len(new_key()) == 24
        assert new_key() != new_key()

    @pytest.mark.parametrize(
        ("bits", "value"),
        [
            (15, "permessage-deflate; client_max_window_bits"),
            (9, "permessage-deflate; client_max_window_bits; server_max_window_bits=9"),
        ],
    )
    def test_compression(self, bits: int, value: str) -> None:
        """RFC 7692 §7.1.2: a window below 15 bits is asked of the server."""
        assert dict(Offer([], bits).headers())["Sec-WebSocket-Extensions"] == value

    @pytest.mark.parametrize("bits", [1, 8, 16, -1, True, "15"])
    def test_other_windows_are_refused(self, bits: int) -> None:
        """There is no window of 8 bits in zlib."""
        with pytest.raises(ValueError, match="compress must be 0"):
            Offer([], bits)

    def test_protocols_are_checked(self) -> None:
        """A string is not a list of names, and a name is a token."""
        with pytest.raises(TypeError, match="not a str"):
            Offer("chat", 0)
        with pytest.raises(TypeError, match="int"):
            Offer([1], 0)  # type: ignore[list-item]
        for name in ("", "a b", "a,b", "a\r\nX: y"):
            with pytest.raises(ValueError, match="protocols"):
                Offer([name], 0)


class TestAnswer:
    def test_all_is_well(self) -> None:
        """Names are compared without case, and Connection is a list."""
        offer = Offer([], 0)
        headers = answer(Upgrade="WebSocket", Connection="keep-alive, upgrade")
        accepted = offer.check(101, headers, KEY)
        assert (accepted.protocol, accepted.window_bits) == (None, 0)
        assert accepted.deflater() is None
        assert accepted.inflater() is None
        assert not accepted.no_takeover

    @pytest.mark.parametrize(
        ("status", "changed", "message"),
        [
            (200, {}, "Invalid response status"),
            (101, {"Upgrade": None}, "Invalid upgrade header"),
            (101, {"Upgrade": "h2c"}, "Invalid upgrade header"),
            (101, {"Upgrade": "websocket, h2c"}, "Invalid upgrade header"),
            (101, {"Connection": None}, "Invalid connection header"),
            (101, {"Connection": "keep-alive"}, "Invalid connection header"),
            (101, {"Sec_WebSocket_Accept": None}, "Invalid challenge response"),
            (101, {"Sec_WebSocket_Accept": "x" * 28}, "Invalid challenge response"),
        ],
    )
    def test_what_is_refused(
        self, status: int, changed: dict[str, str | None], message: str
    ) -> None:
        """RFC 6455 §4.1: each check of the client, in the order in which they are made."""
        offer = Offer([], 0)
        with pytest.raises(HandshakeRefused, match=message):
            offer.check(status, answer(**changed), KEY)

    def test_a_second_protocol_to_switch_to_is_refused(self) -> None:
        """RFC 6455 §4.1: every ``Upgrade`` must be to a WebSocket, in a line of its own or not."""
        offer = Offer([], 0)
        offer.check(101, answer(("Upgrade", "WebSocket")), KEY)
        with pytest.raises(HandshakeRefused, match="Invalid upgrade header"):
            offer.check(101, answer(("Upgrade", "h2c")), KEY)

    @pytest.mark.parametrize(
        ("theirs", "chosen"), [("b", "b"), ("b,a", "b"), ("", None), (None, None)]
    )
    def test_the_first_of_the_servers_protocols(
        self, theirs: str | None, chosen: str | None
    ) -> None:
        """Some servers repeat the list of the client."""
        offer = Offer(["a", "b"], 0)
        assert offer.check(101, answer(Sec_WebSocket_Protocol=theirs), KEY).protocol == chosen

    @pytest.mark.parametrize("theirs", ["c", "a, c", "A"])
    def test_a_protocol_that_was_not_offered(self, theirs: str) -> None:
        """RFC 6455 §4.1: the client fails the connection."""
        for offer in (Offer(["a", "b"], 0), Offer([], 0)):
            with pytest.raises(HandshakeRefused, match="Invalid subprotocol"):
                offer.check(101, answer(Sec_WebSocket_Protocol=theirs), KEY)

    @pytest.mark.parametrize(
        ("offered", "theirs", "bits", "no_takeover"),
        [
            (15, "", 0, False),
            (15, "permessage-deflate", 15, False),
            (15, "permessage-deflate; client_no_context_takeover", 15, True),
            (15, 'permessage-deflate ;client_max_window_bits = "10"', 10, False),
            (15, "permessage-deflate; server_max_window_bits=8", 15, False),
            (9, "permessage-deflate; server_max_window_bits=9", 9, False),
            (12, "permessage-deflate; server_max_window_bits=10; client_max_window_bits=15",
             12, False),
        ],
    )  # fmt: skip
    def test_compression(self, offered: int, theirs: str, bits: int, no_takeover: bool) -> None:
        """RFC 7692 §7.1: what the server may choose."""
        offer = Offer([], offered)
        accepted = offer.check(101, answer(Sec_WebSocket_Extensions=theirs or None), KEY)
        assert (accepted.window_bits, accepted.no_takeover) == (bits, no_takeover)
        deflater, inflater = accepted.deflater(), accepted.inflater()
        assert (deflater is None) == (inflater is None) == (bits == 0)

    @pytest.mark.parametrize(
        ("offered", "theirs", "message"),
        [
            (0, "permessage-deflate", "not offered"),
            (15, "x-webkit-deflate-frame", "not offered"),
            (15, "permessage-deflate, permessage-deflate", "not offered"),
            (15, "permessage-deflate; unknown", "parameters"),
            (15, "permessage-deflate; client_no_context_takeover=1", "parameters"),
            (15, "permessage-deflate; client_max_window_bits", "window size"),
            (15, "permessage-deflate; client_max_window_bits=8", "window size"),
            (15, "permessage-deflate; client_max_window_bits=16", "window size"),
            (15, "permessage-deflate; client_max_window_bits=09", "window size"),
            (9, "permessage-deflate", "window size"),
            (9, "permessage-deflate; server_max_window_bits=10", "window size"),
            (15, "permessage-deflate; ", "Invalid extensions header"),
            (15, "=", "Invalid extensions header"),
            (15, 'permessage-deflate; client_max_window_bits="10', "header|window"),
        ],
    )
    def test_compression_that_was_not_offered(
        self, offered: int, theirs: str, message: str
    ) -> None:
        """RFC 7692 §5.1 and RFC 6455 §9.1: a server cannot choose what was not offered."""
        offer = Offer([], offered)
        with pytest.raises(HandshakeRefused, match=message):
            offer.check(101, answer(Sec_WebSocket_Extensions=theirs), KEY)
