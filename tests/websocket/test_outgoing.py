"""What is sent: the arguments of sending calls as bytes, and the frames of messages in pieces."""

from __future__ import annotations

from array import array

import pytest

from anyhttp import WSMsgType
from anyhttp._websocket import (
    COMPRESSED,
    FINAL,
    Deflater,
    Fragments,
    FrameWriter,
    Inflater,
    frame_writer,
    outgoing,
)
from tests.support.websocket import BINARY, TEXT


class TestPieces:
    def test_texts_are_encoded(self) -> None:
        """A text is sent as UTF-8, and what is bytes as it is."""
        assert Fragments(None).check("ü") == b"\xc3\xbc"
        data = bytearray(b"xy")
        assert Fragments(None).check(data) is data

    @pytest.mark.parametrize(("first", "kind"), [("a", TEXT), (b"a", BINARY)])
    def test_all_are_of_the_type_of_the_first(self, first: str | bytes, kind: int) -> None:
        """RFC 6455 §5.4: a message has one type; the frames after the first continue it."""
        message = Fragments(None)
        other: str | bytes = b"b" if isinstance(first, str) else "b"
        assert not message.begun
        assert message.make(message.check(first), last=False) == (kind, b"a")
        assert message.begun is True
        with pytest.raises(TypeError, match="pieces must be all str or all bytes"):
            message.check(other)
        assert message.make(message.check(first), last=False) == (0, b"a")
        assert message.make(message.check(first), last=True) == (FINAL, b"a")

    def test_other_types_are_refused(self) -> None:
        """And leave the type of the message open."""
        message = Fragments(None)
        with pytest.raises(TypeError, match="a piece must be bytes-like, not int"):
            message.check(1)
        assert message.check("text") == b"text"

    def test_a_compressed_message_is_compressed_as_a_whole(self) -> None:
        """RFC 7692 §6.1: only its first frame says so; §7.2.1: only its end is cut off."""
        message = Fragments(Deflater(15, takes_over=True))
        made = [message.make(message.check(b"hello"), last=last) for last in (False, False, True)]
        assert [first for first, _ in made] == [BINARY | COMPRESSED, 0, FINAL]
        assert [bytes(data).endswith(b"\0\0\xff\xff") for _, data in made] == [True, True, False]
        whole = b"".join(bytes(data) for _, data in made)
        assert Inflater(15, takes_over=True).inflate(whole, 0) == b"hello" * 3


class TestBytes:
    def test_what_is_bytes_like(self) -> None:
        """The length of each is its number of bytes."""
        for data in (b"abcd", bytearray(b"abcd")):
            assert outgoing.as_bytes("data", data) is data
        numbers = memoryview(array("H", [1, 2, 3]))
        made = outgoing.as_bytes("data", numbers)
        assert len(made) == 6
        assert bytes(made) == numbers.tobytes()
        every_second = memoryview(b"a-b-c-")[::2]
        assert outgoing.as_bytes("data", every_second) == b"abc"

    @pytest.mark.parametrize("data", ["text", None, 5, [1]])
    def test_what_is_not(self, data: object) -> None:
        """The error names the argument, and the type that it has."""
        with pytest.raises(TypeError, match=f"data must be bytes-like, not {type(data).__name__}"):
            outgoing.as_bytes("data", data)


class TestControl:
    @pytest.mark.parametrize("message", [b"x" * 125, "x" * 125, "ü" * 62])
    def test_the_longest_payload(self, message: bytes | str) -> None:
        """RFC 6455 §5.5: 125 bytes."""
        expected = message if isinstance(message, bytes) else message.encode()
        assert outgoing.control_payload(message) == expected

    @pytest.mark.parametrize("message", [b"x" * 126, "ü" * 63])
    def test_one_that_is_too_long(self, message: bytes | str) -> None:
        """The bytes count, and not the characters."""
        with pytest.raises(ValueError, match="message must be at most 125 bytes, got 126"):
            outgoing.control_payload(message)

    def test_other_types_are_refused(self) -> None:
        """The error names the argument."""
        with pytest.raises(TypeError, match="message must be bytes-like, not int"):
            outgoing.control_payload(1)  # type: ignore[arg-type]


class TestReasons:
    def test_bytes_are_read_as_text(self) -> None:
        """RFC 6455 §5.5.1: as UTF-8; a text stays as it is."""
        for reason in ("grüß", "grüß".encode()):
            assert outgoing.reason_text(reason) == "grüß"

    def test_bytes_that_are_no_text(self) -> None:
        """They are refused before anything is sent."""
        with pytest.raises(ValueError, match="message must be UTF-8"):
            outgoing.reason_text(b"\xff")
        with pytest.raises(TypeError, match="message must be bytes-like, not NoneType"):
            outgoing.reason_text(None)  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("reason", "kept"),
        [
            ("x" * 123, "x" * 123),
            ("x" * 124, "x" * 123),
            ("ü" * 62, "ü" * 61),
            ("x" + "ü" * 62, "x" + "ü" * 61),
        ],
    )
    def test_a_reason_is_shortened_to_whole_characters(self, reason: str, kept: str) -> None:
        """123 bytes: two of the 125 of a control frame are the code."""
        assert outgoing.shortened(reason) == kept


class TestCompressOfOneMessage:
    @pytest.mark.parametrize("compress", [None, 0, False, *range(9, 16)])
    def test_what_it_may_be(self, compress: int | None) -> None:
        """Nothing, no compression, or the bits of a window."""
        assert outgoing.checked_bits(compress) is compress

    @pytest.mark.parametrize("compress", [True, 1, 8, 16, -9])
    def test_what_it_may_not(self, compress: int) -> None:
        """``True`` is no number of bits."""
        with pytest.raises(ValueError, match=f"window bits from 9 to 15, not {compress!r}"):
            outgoing.checked_bits(compress)


class TestKeys:
    def test_each_frame_has_the_next_four_random_bytes(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """RFC 6455 §10.3: none is used twice, and each comes from the system's source."""
        given: list[bytes] = []

        def source(size: int) -> bytes:
            given.append(bytes((len(given) * size + i) * 7 % 251 for i in range(size)))
            return given[-1]

        monkeypatch.setattr(frame_writer, "urandom", source)
        write = FrameWriter().frame
        keys = b"".join(write(FINAL | BINARY, b"")[2:] for _ in range(130))
        assert len(keys) == 130 * 4
        assert [len(each) for each in given] == [256] * 3
        assert b"".join(given).startswith(keys)

    def test_two_websockets_share_no_keys(self) -> None:
        """A forked child has the random bytes of its parent: those of new WebSockets are new."""
        first, second = FrameWriter(), FrameWriter()
        keys = {write.frame(FINAL | BINARY, b"")[2:] for write in (first, second) * 50}
        assert len(keys) > 95


def test_types_of_messages_are_the_opcodes() -> None:
    """RFC 6455 §11.8."""
    assert (WSMsgType.CONTINUATION, WSMsgType.TEXT, WSMsgType.BINARY) == (0, 1, 2)
