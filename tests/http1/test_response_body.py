"""From an engine to the reader: pieces, chunks, codings and the limit, without a network."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence

import anyio
import pytest

from anyhttp import StreamReader
from anyhttp._http1 import Engine
from anyhttp._http1.response_body import DECODING_STEP, ResponseBody, whole_body
from anyhttp.client_exceptions import BodyTooLargeError, ClientPayloadError
from anyhttp.streams import takes_all
from tests.support.engines import started

OK = b"HTTP/1.1 200 OK\r\n"


def fields(*, length: int | None = None, coding: str = "") -> bytes:
    """Return a head; without a length the body goes in chunks."""
    framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    also = f"\r\nContent-Encoding: {coding}" if coding else ""
    return OK + f"{framing}{also}\r\n\r\n".encode()


def in_chunks(*chunks: bytes) -> bytes:
    """Return a body in chunks."""
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))


class Received:
    """A response as it arrives, and its body."""

    def __init__(
        self,
        http1: str,
        *pieces: bytes,
        decode: bool = True,
        max_size: int | None = None,
        limit: int = 2**16,
        engine: Engine | None = None,
    ) -> None:
        self.engine = started(http1) if engine is None else engine
        for piece in pieces:
            self.engine.receive(piece)
        assert self.engine.head is not None
        self.reader = StreamReader(limit=limit)
        self.body = ResponseBody(self.engine, self.engine.head, self.reader, max_size=max_size)
        self.ends = 0  # how often it was told that the engine has received the whole body
        self.body.start(self.note_end, decode=decode)

    def note_end(self) -> None:
        assert not self.reader.is_eof()  # first the connection is given back
        self.ends += 1

    def feed(self, *pieces: bytes) -> bool:
        for piece in pieces:
            self.engine.receive(piece)
        return self.body.feed(self.note_end)

    def decoded(self) -> bytes:
        """Decode to the end, and return what comes."""
        found = []
        while not self.reader.is_eof():
            if self.feed():
                found.append(self.reader.read_nowait())
            else:
                assert self.body.is_decoding
        assert self.ends == 1
        return b"".join(found)


class TestWhole:
    """A body that came with its head needs no reader."""

    @staticmethod
    def whole(http1: str, *pieces: bytes, max_size: int | None = None) -> bytes | None:
        engine = started(http1)
        for piece in pieces:
            engine.receive(piece)
        assert engine.head is not None
        return whole_body(engine, engine.head, max_size)

    @pytest.mark.parametrize("pieces", [(b"a",), (b"hello",), (b"he", b"l", b"lo")])
    def test_as_it_is(self, http1: str, pieces: Sequence[bytes]) -> None:
        """In one piece or several, all of it."""
        body = b"".join(pieces)
        first, *rest = pieces
        assert self.whole(http1, fields(length=len(body)) + first, *rest) == body

    def test_none(self, http1: str) -> None:
        """Whatever the head says of it."""
        assert self.whole(http1, fields(length=0)) == b""
        assert self.whole(http1, fields(length=0, coding="gzip")) == b""

    def test_one_that_has_to_be_decoded_or_put_together(self, http1: str) -> None:
        """Takes a reader."""
        assert self.whole(http1, fields(length=5, coding="gzip") + b"hello") is None
        assert self.whole(http1, fields() + in_chunks(b"hello")) is None

    def test_the_limit(self, http1: str) -> None:
        """Is the length that a body may just have."""
        for size, body in ((4, None), (5, b"hello"), (6, b"hello")):
            assert self.whole(http1, fields(length=5) + b"hello", max_size=size) == body


class TestPlain:
    """A body without a coding."""

    def test_with_its_head(self, http1: str) -> None:
        """It is read at once."""
        got = Received(http1, fields(length=5) + b"hello")
        assert got.ends == 1
        assert got.reader.is_eof()
        assert got.reader.read_nowait() == b"hello"
        assert got.reader.total_raw_bytes == got.reader.total_bytes == 5

    @pytest.mark.parametrize("decode", [False, True])
    @pytest.mark.parametrize("coding", ["", "gzip"])
    def test_piece_by_piece(self, http1: str, decode: bool, coding: str) -> None:
        """What has come is fed; a body that is not to be decoded stays what it is."""
        if decode and coding:
            return
        got = Received(http1, fields(length=8, coding=coding) + b"he", decode=decode)
        assert got.body.decoder is None
        assert got.body.is_decoding is False
        assert got.reader.read_nowait() == b"he"
        assert got.feed() is False
        assert got.feed(b"llo") is True
        assert got.reader.total_raw_bytes == 5
        assert got.reader.read_nowait() == b"llo"
        assert (got.ends, got.reader.is_eof()) == (0, False)
        assert got.feed(b" yo") is True
        assert (got.ends, got.reader.is_eof()) == (1, True)
        assert got.feed() is True  # there is nothing to wait for
        assert (got.ends, got.reader.total_raw_bytes) == (1, 8)

    async def test_chunks(self, http1: str) -> None:
        """The reader knows where they end, wherever a piece does."""
        got = Received(http1, fields())
        assert not got.reader.total_raw_bytes
        raw = in_chunks(b"one", b"three", b"x")
        assert got.feed(raw[:5], raw[5:12]) is True
        assert await got.reader.readchunk() == (b"one", True)
        assert got.feed(raw[12:]) is True
        assert await got.reader.readchunk() == (b"three", True)
        assert await got.reader.readchunk() == (b"x", True)
        assert await got.reader.readchunk() == (b"", False)

    def test_an_end_without_bytes(self, http1: str) -> None:
        """Is something new, too."""
        got = Received(http1, fields() + b"2\r\nhe\r\n")
        assert got.feed(b"0\r\n\r\n") is True
        assert got.ends == 1

    def test_a_reader_that_has_failed(self, http1: str) -> None:
        """Gets nothing any more."""
        got = Received(http1, fields(length=8) + b"he")
        got.reader.set_exception(ClientPayloadError("over"))
        assert got.feed(b"llo") is True
        assert got.reader.total_raw_bytes == 2

    @pytest.mark.parametrize("length", [None, 6])
    def test_the_limit(self, http1: str, length: int | None) -> None:
        """It holds for all pieces together, and does not for the bytes of chunks."""
        one, two = (b"3\r\none\r\n", b"3\r\ntwo\r\n") if length is None else (b"one", b"two")
        assert Received(http1, fields(length=length) + one + two, max_size=6)
        got = Received(http1, fields(length=length) + one, max_size=5)
        with pytest.raises(BodyTooLargeError, match=r"max_body_size \(5 bytes\)"):
            got.feed(two)
        assert got.ends == 0


class TestDecoded:
    """A body that is decoded on its way."""

    def test_what_came_with_the_head(self, http1: str) -> None:
        """Is decoded when somebody reads, and no sooner."""
        raw = gzip.compress(b"hello")
        got = Received(http1, fields(length=len(raw), coding="gzip") + raw)
        assert got.body.decoder is not None
        assert got.reader.total_raw_bytes == 0
        assert got.feed() is True
        assert got.reader.read_nowait() == b"hello"
        assert (got.ends, got.reader.is_eof()) == (1, True)
        assert got.reader.total_raw_bytes == len(raw)
        assert got.reader.total_bytes == 5

    def test_piece_by_piece(self, http1: str) -> None:
        """More is needed as long as nothing comes out; all of it comes out in the end."""
        text = bytes(range(256)) * 4
        raw = gzip.compress(text)
        got = Received(http1, fields(length=len(raw), coding="gzip"))
        assert got.feed(raw[:3], raw[3:6]) is False
        assert got.reader.total_raw_bytes == 6
        assert not got.body.is_decoding
        assert got.feed(raw[6:-2]) is True
        assert not got.reader.is_eof()
        assert got.feed(raw[-2:]) is True
        assert got.reader.is_eof()
        assert got.ends == 1
        assert got.reader.read_nowait() == text
        assert got.reader.total_raw_bytes == len(raw)

    @pytest.mark.parametrize("pieces", [1, 3])
    async def test_chunks(self, http1: str, pieces: int) -> None:
        """They end where what was in them ends."""
        compressor = zlib.compressobj(wbits=31)
        one = compressor.compress(b"one") + compressor.flush(zlib.Z_SYNC_FLUSH)
        two = compressor.compress(b"two") + compressor.flush()
        raw = in_chunks(one, two)
        got = Received(http1, fields(coding="gzip"))
        size = -(-len(raw) // pieces)
        for start in range(0, len(raw), size):
            got.engine.receive(raw[start : start + size])
        while not got.reader.is_eof():
            got.feed()
        assert await got.reader.readchunk() == (b"one", True)
        assert await got.reader.readchunk() == (b"two", True)
        assert await got.reader.readchunk() == (b"", False)

    def test_the_end_of_a_chunk_that_comes_late(self, http1: str) -> None:
        """It is told when it comes, with whatever has been read until then."""
        raw = gzip.compress(b"hello")
        got = Received(http1, fields(coding="gzip"), b"%x\r\n%b" % (len(raw), raw))
        assert got.feed() is True
        assert not got.reader.is_eof()
        assert list(got.reader._chunk_ends or ()) == []
        assert got.feed(b"\r\n") is False
        assert list(got.reader._chunk_ends or ()) == [5]
        assert got.feed(b"0\r\n\r\n") is True
        assert got.reader.is_eof()

    def test_little_at_a_time(self, http1: str) -> None:
        """One call gives no more than the reader wants, however much there is."""
        raw = gzip.compress(bytes(100_000))
        got = Received(http1, fields(length=len(raw), coding="gzip") + raw, limit=1000)
        sizes = []
        while not got.reader.is_eof():
            assert got.feed() is True
            sizes.append(len(got.reader.read_nowait()))
        assert max(sizes) == 1000
        assert sum(sizes) == 100_000

    def test_much_at_a_time(self, http1: str) -> None:
        """And no more than a step, if the reader would take everything."""
        raw = gzip.compress(bytes(5 * DECODING_STEP))
        got = Received(http1, fields(length=len(raw), coding="gzip") + raw, limit=2**30)
        assert got.feed() is True
        assert len(got.reader.read_nowait()) <= DECODING_STEP
        rest = got.decoded()
        assert got.reader.total_bytes == 5 * DECODING_STEP
        assert not rest.strip(b"\0")

    def test_what_decodes_to_nothing_is_left_to_the_caller_now_and_then(self, http1: str) -> None:
        """So that other tasks run; and a call goes on where the one before has ended."""
        raw = gzip.compress(b"") * 250 + gzip.compress(b"hello")
        got = Received(http1, fields(length=len(raw), coding="gzip") + raw)
        calls = 0
        while not got.feed():
            assert got.body.is_decoding is True
            calls += 1
        assert calls >= 2
        assert got.body.is_decoding is False
        assert got.reader.read_nowait() == b"hello"
        assert got.reader.is_eof()

    @pytest.mark.parametrize("cut", [1, 8, 12])
    def test_a_body_that_is_cut(self, http1: str, cut: int) -> None:
        """Is an error, and the connection is not given back."""
        raw = gzip.compress(b"hello" * 100)[:-cut]
        got = Received(http1, fields(length=len(raw), coding="gzip") + raw)
        with pytest.raises(ClientPayloadError, match="Can not decode content-encoding: gzip"):
            got.decoded()
        assert got.ends == 0
        assert not got.reader.is_eof()

    def test_too_many_codings(self, http1: str) -> None:
        """Are refused with the head, unless nobody wants them undone."""
        head = fields(length=5, coding=", ".join(["gzip"] * 6))
        with pytest.raises(ClientPayloadError, match="Cannot decode the response"):
            Received(http1, head + b"hello")
        assert Received(http1, head + b"hello", decode=False).reader.read_nowait() == b"hello"

    def test_an_empty_body(self, http1: str) -> None:
        """Is one in any coding."""
        got = Received(http1, fields(length=0, coding="gzip"))
        assert got.feed() is True
        assert (got.ends, got.reader.is_eof(), got.reader.total_bytes) == (1, True, 0)

    @pytest.mark.parametrize(("limit", "calls"), [(1500, 2), (1499, 1), (999, 0)])
    def test_the_limit_is_of_decoded_bytes(self, http1: str, limit: int, calls: int) -> None:
        """Of all together, and it is noticed before more than one step is over it."""
        raw = gzip.compress(bytes(1500))
        got = Received(
            http1, fields(length=len(raw), coding="gzip") + raw, limit=1000, max_size=limit
        )
        for _ in range(calls):
            got.feed()
        if limit < 1500:
            with pytest.raises(BodyTooLargeError):
                got.feed()
        assert got.ends == (limit == 1500)


async def test_how_much_is_asked_of_the_stream(http1: str) -> None:
    """No more than the reader may keep, unless somebody waits for the whole body."""
    got = Received(http1, fields(length=10_000_000), limit=1000)
    assert got.body.wanted == 2000
    large = Received(http1, fields(length=10_000_000), limit=2**30)
    assert large.body.wanted == large.engine.wanted
    async with anyio.create_task_group() as group:
        group.start_soon(got.reader.read)
        await anyio.wait_all_tasks_blocked()
        assert takes_all(got.reader)
        assert got.body.wanted == 4 * got.engine.wanted
        group.cancel_scope.cancel()


def test_the_reader_knows_the_length(http1: str) -> None:
    """If there is one."""
    for length in (1, 8):
        assert Received(http1, fields(length=length)).reader._length == length
    assert Received(http1, fields()).reader._length == 0
