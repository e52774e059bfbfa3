"""Reading a body in every way there is, from a source and fed by hand."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import Any, SupportsIndex

import anyio
import anyio.lowlevel
import pytest

from anyhttp import EMPTY_PAYLOAD, ClientPayloadError, StreamReader
from anyhttp.http_exceptions import LineTooLong
from anyhttp.streams import MAX_CHUNK_ENDS
from tests.support.cancel import cancel_when


class Source:
    """Feeds one piece for each pull: bytes, ``None`` for the end of a chunk, an exception."""

    def __init__(self, pieces: Iterable[bytes | Exception | None] = (), limit: int = 2**16) -> None:
        self.reader = StreamReader(self, limit)
        self.pulls = 0
        self._pieces = list(pieces)
        self.blocks = False

    async def pull(self) -> bool:
        """Feed the next piece, or the end, or wait for ever for that."""
        await anyio.lowlevel.checkpoint()
        if self.blocks and not self._pieces:
            await anyio.sleep_forever()
        self.pulls += 1
        piece = self._pieces.pop(0) if self._pieces else b""
        if isinstance(piece, Exception):
            self.reader.set_exception(piece)
        elif piece is None:
            self.reader.end_chunk()
        elif piece:
            self.reader.feed_data(piece)
        else:
            self.reader.feed_eof()
        return True


class Counted(bytes):
    """Bytes that count how often they were searched and how much of them was copied."""

    searched = 0
    copied = 0

    def find(
        self,
        sub: object,
        start: SupportsIndex | None = None,
        end: SupportsIndex | None = None,
        /,
    ) -> int:
        """Count and search."""
        Counted.searched += len(self)
        return super().find(sub, start, end)  # type: ignore[arg-type]

    def __getitem__(self, index: SupportsIndex | slice) -> bytes:  # type: ignore[override]
        """Count and copy."""
        if isinstance(index, slice):
            Counted.copied += len(range(*index.indices(len(self))))
            return super().__getitem__(index)
        raise TypeError("not used here")


def reader_of(*pieces: bytes, eof: bool = True, limit: int = 2**16) -> StreamReader:
    """Return a reader that was fed by hand."""
    reader = StreamReader(limit=limit)
    for piece in pieces:
        reader.feed_data(piece)
    if eof:
        reader.feed_eof()
    return reader


Read = Callable[[StreamReader], Coroutine[Any, Any, object]]
READS: dict[str, Read] = {
    "read": lambda reader: reader.read(),
    "read(n)": lambda reader: reader.read(5),
    "readany": lambda reader: reader.readany(),
    "readexactly": lambda reader: reader.readexactly(2),
    "readline": lambda reader: reader.readline(),
    "readuntil": lambda reader: reader.readuntil(b"--"),
    "readchunk": lambda reader: reader.readchunk(),
    "wait_eof": lambda reader: reader.wait_eof(),
}
each_read = pytest.mark.parametrize("read", READS.values(), ids=READS.keys())


class TestRead:
    async def test_everything(self) -> None:
        """``read()`` returns all to the end, then nothing."""
        reader = Source([b"ab", b"c", b"def"]).reader
        assert await reader.read() == b"abcdef"
        assert await reader.read() == b""
        assert reader.at_eof()

    async def test_at_most_some(self) -> None:
        """``read(n)`` returns what is there, pulls only if nothing is, and joins no pieces."""
        source = Source([b"abcde", b"fg"])
        assert [await source.reader.read(3) for _ in range(4)] == [b"abc", b"de", b"fg", b""]
        assert source.pulls == 3
        assert await reader_of(b"ab", eof=False).read(0) == b""

    async def test_any(self) -> None:
        """``readany`` returns everything that is there, however many pieces it is."""
        source = Source([b"de"])
        source.reader.feed_data(b"abc")
        source.reader.feed_data(b"")
        source.reader.feed_data(b"x")
        assert await source.reader.read(1) == b"a"
        assert await source.reader.readany() == b"bcx"
        assert source.pulls == 0
        assert [await source.reader.readany() for _ in range(2)] == [b"de", b""]

    async def test_exactly(self) -> None:
        """Across pieces; at the end what there was comes with the exception."""
        reader = Source([b"abc", b"de", b"fgh"]).reader
        assert await reader.readexactly(1) == b"a"
        assert await reader.readexactly(5) == b"bcdef"
        assert await reader.readexactly(0) == b""
        with pytest.raises(asyncio.IncompleteReadError) as caught:
            await reader.readexactly(3)
        assert (caught.value.partial, caught.value.expected) == (b"gh", 3)
        with pytest.raises(ValueError, match="negative"):
            await reader.readexactly(-1)

    def test_without_waiting(self) -> None:
        """``read_nowait`` returns what is there of what is asked for."""
        reader = reader_of(b"abc", b"def", eof=False)
        assert reader.read_nowait(4) == b"abcd"
        assert reader.read_nowait(9) == b"ef"
        assert reader.read_nowait() == b""
        reader.feed_data(b"x")
        assert reader.read_nowait() == b"x"

    async def test_cancelling_loses_nothing(self) -> None:
        """What had arrived for a ``read()`` that was cancelled is there for the next one."""
        reader = reader_of(b"abc", eof=False)
        for read in (reader.read, partial(reader.readexactly, 9), reader.readline):
            assert await cancel_when(read, anyio.wait_all_tasks_blocked)
        reader.feed_eof()
        assert await reader.read() == b"abc"

    async def test_a_large_body_is_held_once(self) -> None:
        """Its pieces are gone when the whole is there."""
        source = Source([bytes(2**16)] * 128)
        source.reader.feed_data(b"xy")
        assert await source.reader.read(1) == b"x"
        tracemalloc.start()
        try:
            data = await source.reader.read()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert data == b"y" + bytes(2**23)
        assert peak < 1.5 * 2**23
        assert source.reader.at_eof()

    @pytest.mark.parametrize("way", ["cancel", "fail"])
    async def test_what_has_come_of_a_large_body_stays(self, way: str) -> None:
        """Up to the chunks in it."""
        pieces: list[bytes | Exception | None] = [b"a" * 2**20, None, b"b", None]
        source = Source([*pieces, ClientPayloadError("no more")] if way == "fail" else pieces)
        reader = source.reader
        if way == "fail":
            with pytest.raises(ClientPayloadError):
                await reader.read()
            assert reader._size == 2**20 + 1
            return
        source.blocks = True
        assert await cancel_when(reader.read, anyio.wait_all_tasks_blocked)
        source.blocks = False
        assert await reader.readchunk() == (b"a" * 2**20, True)
        assert await reader.readchunk() == (b"b", True)
        assert await reader.read() == b""

    @each_read
    async def test_every_read_gives_way(self, read: Read) -> None:
        """Also one that does not wait: a loop over what is there can be cancelled, and a
        cancelled scope takes nothing.
        """
        reader = reader_of(b"ab\n--")
        with anyio.CancelScope() as scope:
            scope.cancel()
            await read(reader)
        assert scope.cancelled_caught
        assert await reader.read() == b"ab\n--"


class TestLines:
    async def test_lines(self) -> None:
        """Each with its end; the last may have none; then nothing."""
        reader = Source([b"a\nb", b"c", b"\n\nd"]).reader
        assert [await reader.readline() for _ in range(5)] == [b"a\n", b"bc\n", b"\n", b"d", b""]

    @pytest.mark.parametrize("size", range(1, 9))
    async def test_a_separator_across_pieces(self, size: int) -> None:
        """It is found wherever the pieces begin and end, and at its first occurrence."""
        body = b"aa-b-----c--a--end"
        pieces = [body[i : i + size] for i in range(0, len(body), size)]
        expected = [b"aa-b---", b"--c--a--end"]
        reader = Source(pieces).reader
        assert [await reader.readuntil(b"---") for _ in range(2)] == expected
        reader = reader_of(*pieces)
        assert await reader.read(1) == b"a"  # from within a piece
        assert [await reader.readuntil(b"---") for _ in range(2)] == [b"a-b---", expected[1]]

    async def test_a_separator_needs_bytes(self) -> None:
        """An empty one would be everywhere."""
        with pytest.raises(ValueError, match="separator"):
            await reader_of(b"x").readuntil(b"")

    @pytest.mark.parametrize("body", [b"x" * 300, b"x" * 300 + b"\n"])
    async def test_a_line_that_is_too_long(self, body: bytes) -> None:
        """The high-water mark bounds it, or what the caller says, whether or not its end is
        there; no more is pulled, and the line can still be read.
        """
        source = Source([body[:250], body[250:], b""], limit=100)
        with pytest.raises(LineTooLong) as caught:
            await source.reader.readline()
        assert len(str(caught.value)) < 300
        assert source.pulls == 1
        with pytest.raises(LineTooLong):
            await source.reader.readline(max_line_length=299)
        assert await source.reader.readline(max_line_length=301) == body

    async def test_limits(self) -> None:
        """The high-water mark is twice the low one; a line of just that length is taken."""
        reader = reader_of(b"123456789\n", limit=5)
        assert reader.get_read_buffer_limits() == (5, 10)
        assert await reader.readline() == b"123456789\n"

    @pytest.mark.parametrize("separator", [b"\n", b"----"])
    async def test_many_small_pieces_cost_no_more_than_few(
        self, monkeypatch: pytest.MonkeyPatch, separator: bytes
    ) -> None:
        """A peer that sends a long line byte by byte makes nobody search or copy what was
        searched before.
        """
        monkeypatch.setattr(Counted, "searched", 0)
        monkeypatch.setattr(Counted, "copied", 0)
        count = 2000
        pieces = [Counted(b"x")] * count + [Counted(b"-"), Counted(b"---")]
        source = Source([*pieces, Counted(b"\n"), b""])
        line = await source.reader.readuntil(separator)
        assert len(line) == count + 4 + (separator == b"\n")
        assert count <= Counted.searched <= 2 * count
        # a tail as long as the separator is kept for each piece
        assert Counted.copied <= 20 * count * len(separator)


class TestChunks:
    async def test_chunks(self) -> None:
        """Each piece comes with whether an HTTP chunk ends there."""
        reader = Source([b"ab", b"c", None, b"de", None, b"f"]).reader
        found = []
        async for data, ends in reader.iter_chunks():
            found.append((data, ends))
        assert found == [
            (b"ab", False), (b"c", False), (b"", True), (b"de", False), (b"", True), (b"f", False)
        ]  # fmt: skip
        assert await reader.readchunk() == (b"", False)

    async def test_what_is_buffered_is_divided_as_it_was_sent(self) -> None:
        """One chunk at a time, whatever its pieces; reading in another way moves on."""
        reader = StreamReader()
        for chunk in (b"ab", b"cd", b"ef", b"gh"):
            reader.feed_data(chunk[:1])
            reader.feed_data(chunk[1:])
            reader.end_chunk()
            reader.end_chunk()  # an empty one ends where the one before did
        reader.feed_eof()
        assert await reader.readchunk() == (b"ab", True)
        assert await reader.read(1) == b"c"
        assert await reader.readchunk() == (b"d", True)
        assert await reader.readexactly(3) == b"efg"
        assert await reader.readchunk() == (b"h", True)
        assert await reader.readchunk() == (b"", False)

    @pytest.mark.parametrize("size", [1, 2, 3])
    async def test_tiny_chunks_take_no_more_memory(self, size: int) -> None:
        """A server that sends a byte per chunk must not take fifty times the memory."""
        reader = StreamReader()
        pieces: list[bytes] = []
        tracemalloc.start()
        try:
            for number in range(10):
                start = reader.total_bytes
                pieces = [bytes([number, place % 256, 0][:size]) for place in range(10_000)]
                ends = range(start + size, start + 10_000 * size + 1, size)
                reader.feed_pieces(pieces, 10_000 * size, list(ends))
            pieces.clear()
            held = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        assert held < reader.total_bytes + 45 * MAX_CHUNK_ENDS
        # The first chunks keep their ends, and so does the last; others count as one.
        await reader.readexactly((MAX_CHUNK_ENDS - 11) * size)
        assert await reader.readchunk() == (b"", True)  # the end of the last one that was read
        for _ in range(10):
            piece, ended = await reader.readchunk()
            assert ended
            assert len(piece) == size
        reader.feed_eof()
        piece, ended = await reader.readchunk()
        assert ended
        assert len(piece) == (100_000 - MAX_CHUNK_ENDS + 1) * size
        assert await reader.readchunk() == (b"", False)

    @pytest.mark.parametrize("feed", ["feed_data", "feed_pieces"])
    async def test_tiny_pieces_take_no_more_memory(self, feed: str) -> None:
        """A server that sends two bytes at a time must not take thirty times the memory."""
        reader = StreamReader()
        tracemalloc.start()
        try:
            for number in range(2**15):
                piece = number.to_bytes(3, "big")
                if feed == "feed_data":
                    reader.feed_data(piece)
                else:
                    reader.feed_pieces([piece], 3, [])
            held = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        assert held < 1.5 * reader.total_bytes
        reader.feed_eof()
        assert await reader.readexactly(6) == bytes((0, 0, 0, 0, 0, 1))
        assert await reader.read() == b"".join(n.to_bytes(3, "big") for n in range(2, 2**15))

    async def test_ends_of_chunks_that_are_marked_one_by_one(self) -> None:
        """The same for those of a body that is decoded."""
        reader = StreamReader()
        for _ in range(2 * MAX_CHUNK_ENDS):
            reader.feed_data(b"x")
            reader.end_chunk()
        assert reader._chunk_ends is not None
        assert len(reader._chunk_ends) == MAX_CHUNK_ENDS

    async def test_pieces_with_their_chunks(self) -> None:
        """As a connection feeds them; chunks that were read in another way are forgotten."""
        reader = StreamReader()
        reader.feed_pieces([b"ab", b"c", b"d"], 4, [2, 4])
        assert await reader.readchunk() == (b"ab", True)
        assert await reader.readany() == b"cd"
        for _ in range(100):
            reader.feed_pieces([b"e", b"f"], 2, [reader.total_bytes + 1, reader.total_bytes + 2])
            assert await reader.readexactly(2) == b"ef"
        assert reader._chunk_ends is not None
        assert len(reader._chunk_ends) < 5
        reader.feed_pieces([], 0, [])
        reader.feed_eof()
        assert await reader.readchunk() == (b"", True)
        assert await reader.readchunk() == (b"", False)


class TestIterating:
    async def test_in_every_way(self) -> None:
        """Lines, pieces of a size, and whatever there is."""
        pieces = [b"a\nbcd", b"ef\n"]
        assert [line async for line in Source(pieces).reader] == [b"a\n", b"bcdef\n"]
        chunked = Source(pieces).reader.iter_chunked(4)
        assert [piece async for piece in chunked] == [b"a\nbc", b"d", b"ef\n"]
        assert [piece async for piece in Source(pieces).reader.iter_any()] == pieces
        with pytest.raises(ValueError, match="at least 1"):
            reader_of().iter_chunked(0)


class TestUnread:
    @pytest.mark.filterwarnings("ignore:unread_data")
    async def test_what_was_put_back_comes_first(self) -> None:
        """In all ways of reading, also when the first piece was read in part."""
        reader = reader_of(b"abcdef", b"gh")
        assert await reader.read(3) == b"abc"
        reader.unread_data(b"")
        reader.unread_data(b"XY")
        assert await reader.read(9) == b"XY"
        reader.unread_data(b"Z")
        assert await reader.readexactly(3) == b"Zde"
        assert await reader.read() == b"fgh"
        reader.unread_data(b"last")
        assert not reader.at_eof()
        assert reader.is_eof()
        assert await reader.readline() == b"last"

    async def test_it_is_deprecated(self) -> None:
        """A program that needs it has read too much."""
        reader = reader_of(b"ab")
        with pytest.warns(DeprecationWarning, match="unread_data"):
            reader.unread_data(b"x")
        assert await reader.read() == b"xab"

    @pytest.mark.filterwarnings("ignore:unread_data")
    async def test_the_reader_without_bytes_takes_none(self) -> None:
        """It is shared by all who have nothing to read."""
        EMPTY_PAYLOAD.unread_data(b"x")
        assert await EMPTY_PAYLOAD.read() == b""


class TestState:
    async def test_the_end(self) -> None:
        """It may have been received before everything is read; callbacks are called once."""
        reader = reader_of(b"ab", eof=False)
        called: list[str] = []
        reader.on_eof(lambda: called.append("first"))
        reader.on_eof(lambda: called.append("second"))
        assert (reader.is_eof(), reader.at_eof(), called) == (False, False, [])
        reader.feed_eof()
        assert called == ["first", "second"]
        assert (reader.is_eof(), reader.at_eof()) == (True, False)
        await reader.wait_eof()
        await reader.read()
        assert reader.at_eof()
        reader.on_eof(lambda: called.append("late"))
        assert called == ["first", "second", "late"]
        with pytest.raises(RuntimeError, match="feed_eof"):
            reader.feed_data(b"x")

    async def test_waiting_for_the_end_reads_nothing(self) -> None:
        """What comes before it stays."""
        reader = Source([b"ab", b"c"]).reader
        await reader.wait_eof()
        assert await reader.read() == b"abc"

    @each_read
    async def test_an_exception_ends_every_way_of_reading(self, read: Read) -> None:
        """One that comes instead of bytes is raised, again and again."""
        error = ValueError("broken")
        reader = Source([error]).reader
        assert reader.exception() is None
        for _ in range(2):
            with pytest.raises(ValueError, match="broken"):
                await read(reader)
        assert reader.exception() is error
        with pytest.raises(ValueError, match="broken"):
            await reader.read(0)
        with pytest.raises(ValueError, match="broken"):
            reader.read_nowait()

    @each_read
    async def test_after_an_exception_nobody_waits(self, read: Read) -> None:
        """Nothing else will come: a read that begins later raises it at once."""
        reader = StreamReader()
        reader.set_exception(ValueError("broken"))
        with pytest.raises(ValueError, match="broken"), anyio.fail_after(5):
            await read(reader)

    def test_repr(self) -> None:
        """It shows what there is to read."""
        assert repr(StreamReader()) == "<StreamReader>"
        reader = reader_of(b"abc")
        reader.set_exception(ValueError("broken"))
        assert repr(reader) == "<StreamReader 3 bytes eof e=ValueError('broken')>"

    async def test_bytes_are_counted(self) -> None:
        """Those fed, whether they have been read or not."""
        reader = reader_of(b"abc", b"de")
        await reader.read(1)
        assert reader.total_bytes == 5

    @pytest.mark.once
    async def test_the_empty_reader(self) -> None:
        """It is shared: nothing that one does with it is seen by another."""
        EMPTY_PAYLOAD.set_exception(ValueError("mine"))
        assert EMPTY_PAYLOAD.exception() is None
        assert await EMPTY_PAYLOAD.read() == b""
        assert EMPTY_PAYLOAD.at_eof()
        with pytest.raises(RuntimeError):
            EMPTY_PAYLOAD.feed_data(b"x")


class TestByHand:
    @each_read
    async def test_a_reader_waits_for_who_feeds(self, read: Read) -> None:
        """Bytes, the end and an exception wake it."""
        reader = StreamReader()
        async with anyio.create_task_group() as group:
            group.start_soon(read, reader)
            await anyio.wait_all_tasks_blocked()
            reader.feed_data(b"ab\n--")
            await anyio.wait_all_tasks_blocked()
            reader.feed_eof()

        async def fail() -> None:
            with pytest.raises(ValueError, match="broken"):
                await read(reader)

        reader = StreamReader()
        async with anyio.create_task_group() as group:
            group.start_soon(fail)
            await anyio.wait_all_tasks_blocked()
            reader.set_exception(ValueError("broken"))

    @each_read
    async def test_one_reader_at_a_time(self, read: Read) -> None:
        """Two that wait would steal each other's bytes: the second is told."""
        reader = StreamReader()
        async with anyio.create_task_group() as group:
            group.start_soon(reader.read)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(RuntimeError, match="another task"):
                await read(reader)
            with pytest.raises(RuntimeError, match="another task"):
                reader.read_nowait()
            reader.feed_eof()
        assert await reader.read() == b""


class Shouting(StreamReader):
    """A reader with methods of its own."""

    async def read(self, n: int = -1) -> bytes:
        """Return what the method of the class above returns, in capitals."""
        return (await super().read(n)).upper()

    async def readany(self) -> bytes:
        """Do the same."""
        return (await super().readany()).upper()

    async def readline(self, *, max_line_length: int | None = None) -> bytes:
        """Do the same."""
        return (await super().readline(max_line_length=max_line_length)).upper()

    async def readchunk(self) -> tuple[bytes, bool]:
        """Do the same."""
        data, ends = await super().readchunk()
        return data.upper(), ends


@pytest.mark.parametrize(
    "iterate",
    [aiter, lambda reader: reader.iter_chunked(2), lambda reader: reader.iter_any(),
     lambda reader: reader.iter_chunks()],
    ids=["lines", "chunked", "any", "chunks"],
)  # fmt: skip
async def test_a_subclass_reads_for_its_iterators(iterate: Callable[[StreamReader], Any]) -> None:
    """Each step of an iterator is a call of the method it is about, which may be overridden."""
    reader = Shouting()
    for line in (b"a\n", b"b\n", b"c\n"):
        reader.feed_data(line)
    reader.feed_eof()
    found = [item if isinstance(item, bytes) else item[0] async for item in iterate(reader)]
    assert b"".join(found) == b"A\nB\nC\n"


@pytest.mark.parametrize("n", ["5", None, 1.5, b"5"])
@pytest.mark.parametrize("method", ["read", "readexactly", "read_nowait", "iter_chunked"])
async def test_a_number_of_bytes_that_is_none(method: str, n: Any) -> None:
    """The error names the argument and says what it must be, and nothing is read."""
    stream = StreamReader()
    stream.feed_data(b"bytes")
    stream.feed_eof()
    with pytest.raises(TypeError, match=f"^n must be an int, not {type(n).__name__}$"):
        await getattr(stream, method)(n)
    assert await stream.read() == b"bytes"
