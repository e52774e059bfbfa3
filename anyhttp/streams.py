"""The body of a response as a stream: reading it makes the connection receive more bytes."""

from __future__ import annotations

import math
import operator
import warnings
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable
from typing import Any, Final, Protocol, TypeVar

import anyio
from anyio.lowlevel import checkpoint

from ._common import AsyncStreamIterator, BufferedStreamIterator, GrowingBytes
from .http_exceptions import LineTooLong

__all__ = ("EMPTY_PAYLOAD", "AsyncStreamIterator", "BodySource", "StreamReader")

T = TypeVar("T")

#: A body with more bytes than this is joined while it arrives.  Keeping all pieces until the end
#: would take twice the memory, and getting memory from the operating system is slow.
LARGE: Final = 2**20

#: Received pieces that have fewer bytes than this on average are joined.  A tiny piece takes some
#: twenty times as much memory as its bytes.
SMALL: Final = 1024

#: From this number of pieces in the buffer on, small ones that come one by one are joined, too.
MANY: Final = 32

#: Most ends of HTTP chunks that a reader holds, far more than arrive before :meth:`readchunk`
#: is called again.  Beyond that, chunks count as one: an end takes as much memory as 40 bytes.
MAX_CHUNK_ENDS: Final = 2**16

#: How many bytes the reads of one reader hand out, at most, before one of them lets other tasks
#: run.  Doing so with each read would make a stream of short lines ten times as dear.
CHECKPOINT_BYTES: Final = 2**16

#: How many of these bytes a read uses up, at least; so it is also at most 64 reads.
READ_BYTES: Final = CHECKPOINT_BYTES // 64

# What sets the longest line, and the most bytes before a separator, for the error about them.
_LINES: Final = "max_line_length= of readline(), and for iteration by read_bufsize= of the request"
_PARTS: Final = "max_size= of readuntil()"

#: Default low-water mark of a reader, in bytes.
DEFAULT_LIMIT: Final = 2**16


class BodySource(Protocol):
    """Where a reader gets more bytes from."""

    async def pull(self) -> bool:
        """Give the reader at least one piece, the end, or an exception.

        Return whether other tasks could run meanwhile.
        """
        ...


class StreamReader:
    """A buffer of received bytes, with methods to read them in different ways.

    The reader of a response receives from the connection only when it is read: a slow reader
    slows the server down, and the buffer is bounded.  An application can also make a reader,
    feed it by :meth:`feed_data`, and use it as the body of a request.

    A read that finds in the buffer what it needs does not let other tasks run each time.  It does
    at least once for every 64 KiB that are handed out, and for every 64 reads; it is a checkpoint
    then, where a pending cancellation is raised.  A cancelled read takes nothing.

    :param protocol: where the bytes come from, if it has the method of a ``BodySource``;
        anything else is for a reader that the application feeds, and not used
    :param limit: low-water mark in bytes; the high-water mark, which also bounds lines,
        is twice that
    :param timer: no effect; accepted for compatibility with aiohttp
    :param loop: no effect; accepted for compatibility with aiohttp
    """

    __slots__ = ("__weakref__", "_buffer", "_chunk_ends", "_clock", "_deadline", "_eof",
                 "_eof_callbacks", "_exception", "_fed", "_length", "_limit", "_may_fail",
                 "_offset", "_reading", "_size", "_source", "_takes_all", "_until_checkpoint",
                 "total_bytes", "total_raw_bytes")  # fmt: skip

    # Python calls a constructor without keyword-only parameters faster, if it gets all of them.
    def __init__(
        self,
        protocol: object = None,
        limit: int = DEFAULT_LIMIT,
        timer: object = None,
        loop: object = None,
    ) -> None:
        self._source: BodySource | None = None
        # The class is asked, as an object of unittest.mock has any attribute.
        if hasattr(type(protocol), "pull"):
            self._source = protocol  # type: ignore[assignment]  # it has what a source has
        self._limit = limit
        self._buffer: deque[bytes] = deque()
        self._offset = 0  # bytes of the first piece that have been read
        self._size = 0  # bytes in the buffer, also those of the first piece that have been read
        self._chunk_ends: deque[int] | None = None
        self._eof = False
        self._eof_callbacks: list[Callable[[], object]] | None = None
        self._exception: BaseException | None = None
        self._fed: anyio.Event | None = None
        self._reading = False
        self._length = 0  # of the body, if it is known
        self._takes_all = False  # whether a read hands out the whole body, whatever its size
        self._until_checkpoint = 0  # bytes to hand out before the next checkpoint
        self._deadline = math.inf  # of the request, on anyio's clock
        self._clock: Callable[[], float] | None = None  # None if reads need not look at the time
        self._may_fail = False  # whether reads have to call _raise_if_failed()
        #: bytes of the body received so far, decoded
        self.total_bytes: int = 0
        #: bytes of the body received so far, as they came over the wire
        self.total_raw_bytes: int = 0

    def __repr__(self) -> str:
        parts = [type(self).__name__]
        if size := self._size - self._offset:
            parts.append(f"{size} bytes")
        if self._eof:
            parts.append("eof")
        if self._exception is not None:
            parts.append(f"e={self._exception!r}")
        return f"<{' '.join(parts)}>"

    # -- state

    def get_read_buffer_limits(self) -> tuple[int, int]:
        """Return the low-water and the high-water mark, in bytes."""
        return (self._limit, self._limit * 2)

    def set_read_chunk_size(self, n: int) -> None:
        """Do nothing: pieces are given as they came.  aiohttp's test tools call it."""

    def exception(self) -> BaseException | None:
        """Return the exception that reads raise, if there is one."""
        return self._exception

    @property
    def _buffer_offset(self) -> int:  # packages use it with _buffer, after an error
        return self._offset

    def set_exception(self, exc: BaseException) -> None:
        """Make every later read, and a read that waits now, raise *exc*."""
        self._exception = exc
        self._may_fail = True
        self._wake()

    def is_eof(self) -> bool:
        """Whether the end has been received; there may be bytes left to read."""
        return self._eof

    def at_eof(self) -> bool:
        """Whether the end has been received and everything has been read."""
        return self._eof and not self._buffer

    def on_eof(self, callback: Callable[[], object]) -> None:
        """Call *callback* when the end is received, or at once if it has been received."""
        if self._eof:
            callback()
        else:
            self._eof_callbacks = [*(self._eof_callbacks or ()), callback]

    # -- feeding

    def feed_data(self, data: bytes) -> None:
        """Add *data* to the buffer."""
        if self._eof:
            raise RuntimeError("feed_data() after feed_eof()")
        if not data:
            return
        self._buffer.append(data)
        if len(self._buffer) > MANY:
            self._join_last()
        self._size += len(data)
        self.total_bytes += len(data)
        self._wake()

    def feed_pieces(
        self, pieces: Collection[bytes], size: int, chunk_ends: Collection[int]
    ) -> None:
        """Add *pieces*, none of them empty, and the positions where HTTP chunks end.

        :param size: total number of bytes in the pieces
        :param chunk_ends: positions, counted in bytes from the beginning of the body
        """
        if size < SMALL * len(pieces) and len(pieces) > 1:
            self._buffer.append(b"".join(pieces))
        else:
            self._buffer.extend(pieces)
        if len(self._buffer) > MANY:
            self._join_last()
        if chunk_ends:
            self._add_chunk_ends(chunk_ends)
        self._size += size
        self.total_bytes += size
        self._wake()

    def _join_last(self) -> None:
        """Join the last piece of the buffer to the one before, if both are small."""
        buffer = self._buffer
        if len(buffer[-1]) < SMALL and len(buffer[-2]) < SMALL:
            last = buffer.pop()
            buffer[-1] += last

    def _add_chunk_ends(self, chunk_ends: Iterable[int]) -> None:
        ends = self._chunk_ends
        if ends is None:
            self._chunk_ends = ends = deque()
        read = self.total_bytes - self._size + self._offset
        while ends and ends[0] < read:
            ends.popleft()  # this chunk was read by another method than readchunk()
        ends.extend(chunk_ends)
        if len(ends) > MAX_CHUNK_ENDS:
            last = ends[-1]
            while len(ends) >= MAX_CHUNK_ENDS:
                ends.pop()
            ends.append(last)

    def feed_eof(self) -> None:
        """Mark the end of the body: no more data follows."""
        self._eof = True
        self._source = self._clock = None
        self._wake()
        callbacks, self._eof_callbacks = self._eof_callbacks, None
        for callback in callbacks or ():
            callback()

    def end_chunk(self) -> None:
        """Mark that an HTTP chunk ends after the data fed so far."""
        if not self._chunk_ends or self._chunk_ends[-1] != self.total_bytes:
            self._add_chunk_ends((self.total_bytes,))

    def unread_data(self, data: bytes) -> None:
        """Put *data* back at the front of the buffer.

        Deprecated: read fewer bytes, by :meth:`readexactly` or :meth:`readuntil`.
        """
        warnings.warn(
            "unread_data() is deprecated: read no more than is wanted",
            DeprecationWarning,
            stacklevel=2,
        )
        self._put_back(data)

    def _put_back(self, data: bytes) -> None:
        if not data:
            return
        self._cut_first()
        self._buffer.appendleft(data)
        self._size += len(data)

    def _cut_first(self) -> None:
        """Forget the bytes of the first piece that have been read."""
        if self._offset:
            self._buffer[0] = self._buffer[0][self._offset :]
            self._size -= self._offset
            self._offset = 0

    def _wake(self) -> None:
        if self._fed is not None:
            self._fed.set()
            self._fed = None

    # -- reading

    async def read(self, n: int = -1) -> bytes:
        """Return up to *n* bytes as soon as any have arrived; for -1, everything up to the end.

        ``b""`` means the end (or that *n* is 0).

        :raises ClientPayloadError: the body ended early or could not be decoded
        :raises SocketTimeoutError: nothing arrived for ``sock_read`` seconds
        :raises TimeoutError: the request's ``total`` time has passed

        If ``read(-1)`` is cancelled, the bytes that have arrived stay in the buffer.
        """
        if type(n) is not int:
            _check_index(n)
        if n < 0:
            return await self._read_all()
        if n == 0:
            self._raise_if_failed()
            await checkpoint()
            return b""
        data = self._take_some(n)
        if data is None:
            await self._wait_readable()
            data = self._take(n) if self._buffer else b""
        return data

    async def readany(self) -> bytes:
        """Return all bytes in the buffer; wait only if there are none; ``b""`` at the end."""
        data = self._take_any()
        if data is None:
            await self._wait_readable()
            data = self._take_all()
        return data

    async def readexactly(self, n: int) -> bytes:
        """Return exactly *n* bytes.

        :raises asyncio.IncompleteReadError: the end came first; ``partial`` has the bytes before it
        """
        if type(n) is not int:
            _check_index(n)
        if n <= 0:
            if n:
                raise ValueError(f"n must not be negative, got {n}")
            return await self.read(0)
        if self._may_fail:
            self._raise_if_failed()
        if self._size - self._offset < n or self._until_checkpoint <= 0:
            await self._begin()
        while self._size - self._offset < n:
            if self._eof:
                # A program on trio has not imported asyncio.
                from asyncio import IncompleteReadError

                raise IncompleteReadError(self._take_all(), n)
            await self._wait()
        data = self._take(n)
        return data if len(data) == n else self._add_to(data, n)

    async def readline(self, *, max_line_length: int | None = None) -> bytes:
        r"""Return the next line with its ``b"\n"``; at the end the rest, then ``b""``.

        :param max_line_length: in bytes; the high-water mark when left out
        :raises LineTooLong: the line is longer than that
        """
        line = self._take_until(max_size=max_line_length)
        return await self._read_until(b"\n", max_line_length, _LINES) if line is None else line

    async def readuntil(self, separator: bytes = b"\n", *, max_size: int | None = None) -> bytes:
        """Return the bytes up to and including *separator*; at the end the rest, then ``b""``.

        :param max_size: in bytes; the high-water mark when left out
        :raises ValueError: *separator* is empty
        :raises LineTooLong: *separator* does not come within that many bytes
        """
        if not separator:
            raise ValueError("separator must hold at least one byte")
        data = self._take_until(separator, max_size)
        return await self._read_until(separator, max_size, _PARTS) if data is None else data

    async def _read_until(self, separator: bytes, max_size: int | None, option: str) -> bytes:
        limit = self._limit * 2 if max_size is None else max_size
        found: list[bytes] = []  # searched pieces without a separator
        size = 0
        tail = b""
        await self._begin()
        try:
            while True:
                self._raise_if_failed()
                while self._buffer:
                    end = self._find(separator, tail)
                    if size + (end or len(self._buffer[0]) - self._offset) > limit:
                        begun = b"".join([*found, self._buffer[0][self._offset :]])[:100]
                        raise LineTooLong(begun + b"...", limit, option=option)
                    if end:
                        found.append(self._take(end))
                        return b"".join(found)
                    piece = self._take_piece()
                    found.append(piece)
                    size += len(piece)
                    tail = (tail + piece)[-len(separator) + 1 :] if len(separator) > 1 else b""
                if self._eof:
                    return b"".join(found)
                await self._wait()
        except BaseException:
            self._put_back(b"".join(found))
            raise

    def _find(self, separator: bytes, tail: bytes) -> int:
        """Return how many bytes the first piece has up to the end of *separator*; 0 without one.

        *tail* holds the bytes before that piece, because a separator may begin in them.
        """
        piece, start = self._buffer[0], self._offset
        if tail:
            across = (tail + piece[start : start + len(separator) - 1]).find(separator)
            if across >= 0:
                return across + len(separator) - len(tail)
        at = piece.find(separator, start)
        return at - start + len(separator) if at >= 0 else 0

    async def readchunk(self) -> tuple[bytes, bool]:
        """Return the next piece, and whether an HTTP chunk ends with it.

        ``(b"", False)`` means the end.  ``(b"", True)`` means the end of a chunk whose data have
        already been returned.
        """
        chunk = self._take_chunk()
        if chunk is None:
            await self._begin()
            while (chunk := self._next_chunk()) is None:
                await self._wait()
        return chunk

    def read_nowait(self, n: int = -1) -> bytes:
        """Return up to *n* bytes of the buffer without waiting; all of them for -1.

        :raises RuntimeError: a task is waiting in another read
        """
        if type(n) is not int:
            _check_index(n)
        self._raise_if_failed()
        if self._reading:
            raise RuntimeError("another task is waiting to read from this stream")
        return self._take_all() if n < 0 else self._add_to(b"", min(n, self._size - self._offset))

    async def wait_eof(self) -> None:
        """Wait until the end has been received; the bytes before it stay in the buffer."""
        await self._begin()
        while not self._eof:
            await self._wait()

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterate over the lines."""
        return self._iterate(self._take_until, self.readline, b"")

    def iter_chunked(self, n: int) -> AsyncStreamIterator[bytes]:
        """Iterate over pieces of at most *n* bytes."""
        if type(n) is not int:
            _check_index(n)
        if n < 1:
            raise ValueError(f"n must be at least 1, got {n}")
        return self._iterate(lambda: self._take_some(n), lambda: self.read(n), b"")

    def iter_any(self) -> AsyncStreamIterator[bytes]:
        """Iterate over the received bytes, in pieces as they arrive."""
        return self._iterate(self._take_any, self.readany, b"")

    def iter_chunks(self) -> AsyncStreamIterator[tuple[bytes, bool]]:
        """Iterate over pieces, each with a flag that tells whether an HTTP chunk ends with it."""
        return self._iterate(self._take_chunk, self.readchunk, (b"", False))

    def _iterate(
        self, take: Callable[[], T | None], read: Callable[[], Awaitable[T]], end: T
    ) -> AsyncStreamIterator[T]:
        if type(self) is StreamReader:
            return BufferedStreamIterator(take, read, end)
        return AsyncStreamIterator(read, end)  # a subclass may have a *read* of its own

    # -- waiting

    def _raise_if_failed(self) -> None:
        if self._exception is None and self._clock is not None and self._clock() >= self._deadline:
            self.set_exception(total_timeout())
        if self._exception is not None:
            raise self._exception

    async def _begin(self) -> None:
        """Begin a read that cannot be answered by a plain call: see the docstring of the class."""
        self._raise_if_failed()
        # If nothing is there, _wait() sees to that.
        if self._until_checkpoint <= 0 and (self._buffer or self._eof):
            await checkpoint()
            self._until_checkpoint = CHECKPOINT_BYTES
            self._raise_if_failed()
        self._until_checkpoint -= READ_BYTES

    async def _wait_readable(self) -> None:
        await self._begin()
        while not (self._buffer or self._eof):
            await self._wait()

    async def _read_all(self) -> bytes:
        await self._begin()
        self._takes_all = True
        try:
            while not self._eof:
                if self._size > LARGE:
                    await self._read_large()
                else:
                    await self._wait()
        finally:
            self._takes_all = False
        return self._take_all()

    async def _read_large(self) -> None:
        """Wait for the end, and join the pieces while they arrive."""
        whole = GrowingBytes(self._length)
        try:
            while True:
                self._cut_first()
                whole.extend(self._buffer)
                self._buffer.clear()
                if self._eof:
                    break
                await self._wait()
        finally:
            self._buffer.appendleft(whole.getvalue())

    async def _wait(self) -> None:
        """Wait until there is more to read."""
        if self._reading:
            raise RuntimeError("another task is waiting to read from this stream")
        self._reading = True
        try:
            if self._source is not None:
                waited = await self._source.pull()
            else:
                if self._fed is None:
                    self._fed = anyio.Event()
                await self._fed.wait()
                waited = True
        finally:
            self._reading = False
        if not waited and self._until_checkpoint <= 0:
            await checkpoint()
            waited = True
        if waited:
            self._until_checkpoint = CHECKPOINT_BYTES
        if self._may_fail:
            self._raise_if_failed()

    # -- taking, if no checkpoint is due; ``None``: the read has to wait or to begin with one

    def _take_some(self, n: int) -> bytes | None:
        if self._may_fail:
            self._raise_if_failed()
        return self._take(n) if self._buffer and self._until_checkpoint > 0 else None

    def _take_any(self) -> bytes | None:
        if self._may_fail:
            self._raise_if_failed()
        return self._take_all() if self._buffer and self._until_checkpoint > 0 else None

    def _take_until(self, separator: bytes = b"\n", max_size: int | None = None) -> bytes | None:
        """Take the bytes up to and including *separator* if they lie within the first piece."""
        if self._may_fail:
            self._raise_if_failed()
        if self._until_checkpoint <= 0 or not self._buffer:
            return None
        piece, start = self._buffer[0], self._offset
        longest = self._limit * 2 if max_size is None else max_size
        at = piece.find(separator, start, start + longest)
        return self._take(at + len(separator) - start) if at >= 0 else None

    def _take_chunk(self) -> tuple[bytes, bool] | None:
        if self._may_fail:
            self._raise_if_failed()
        return self._next_chunk() if self._buffer and self._until_checkpoint > 0 else None

    # -- taking

    def _next_chunk(self) -> tuple[bytes, bool] | None:
        """Take a piece, and tell whether an HTTP chunk ends with it; ``None``: nothing is there."""
        ends = self._chunk_ends
        while ends:
            size = ends.popleft() - self.total_bytes + self._size - self._offset
            if size >= 0:
                data = self._take(size) if self._buffer else b""
                return data if len(data) == size else self._add_to(data, size), True
        return (self._take_piece(), False) if self._buffer or self._eof else None

    def _take_piece(self) -> bytes:
        if not self._buffer:
            return b""
        piece = self._buffer.popleft()
        self._size -= len(piece)
        if self._offset:
            piece, self._offset = piece[self._offset :], 0
        self._until_checkpoint -= max(len(piece), READ_BYTES)
        return piece

    def _take(self, n: int) -> bytes:
        """Return up to *n* bytes of the first piece, which there has to be."""
        piece, start = self._buffer[0], self._offset
        end = start + n
        if end >= len(piece):
            return self._take_piece()
        self._offset = end
        self._until_checkpoint -= n if n > READ_BYTES else READ_BYTES  # noqa: FURB136  (quicker)
        return piece[start:end]

    def _add_to(self, data: bytes, n: int) -> bytes:
        """Return *data*, which have been taken, and the next bytes, *n* together."""
        parts = [data]
        left = n - len(data)
        while left:
            data = self._take(left)
            parts.append(data)
            left -= len(data)
        return b"".join(parts)

    def _take_all(self) -> bytes:
        if len(self._buffer) <= 1:
            return self._take_piece()
        self._cut_first()
        data = b"".join(self._buffer)
        self._buffer.clear()
        self._size = 0
        self._until_checkpoint -= max(len(data), READ_BYTES)
        if self._chunk_ends:
            last = self._chunk_ends[-1]
            self._chunk_ends.clear()
            self._chunk_ends.append(last)
        return data


# -- the time limit of a request


def begin_response(
    reader: StreamReader, deadline: float, *, clock: Callable[[], float] | None = None
) -> None:
    """Make *reader* the one of a response that has just come, which was a checkpoint.

    :param deadline: when its request's time is over, on anyio's clock.  Each read that waits for
        the network ends then in any case.
    :param clock: makes each read look at the time before the end has been received; bytes that
        have arrived could be read one by one for ever without that, unless somebody calls
        :meth:`StreamReader.set_exception` at the deadline
    """
    reader._deadline = deadline
    reader._until_checkpoint = CHECKPOINT_BYTES
    if clock is not None:
        reader._clock = clock
        reader._may_fail = True


def expect_length(reader: StreamReader, length: int) -> None:
    """Tell *reader* how many bytes the body will have."""
    reader._length = length


def takes_all(reader: StreamReader) -> bool:
    """Whether a read of *reader* waits that hands out the whole body, however large it is."""
    return reader._takes_all


def total_timeout() -> TimeoutError:
    """Return the error for reads of a body after the request's ``total`` time."""
    return TimeoutError("the request's total timeout ran out while its body was being read")


def raise_if_overdue(reader: StreamReader) -> None:
    """Raise if the time of the request has passed: for long work on bytes that have been read.

    :raises TimeoutError: it has passed
    """
    if anyio.current_time() >= reader._deadline:
        raise total_timeout()


def raise_if_failed(reader: StreamReader) -> None:
    """Raise what the next read of *reader* would raise: for a caller that has read ahead."""
    reader._raise_if_failed()


# -- looking at the beginning of a body, for the error that describes a response


async def read_ahead(reader: StreamReader, size: int) -> None:
    """Receive until *size* bytes or the end are in the buffer; they stay there to be read.

    It does nothing while another task reads.  If receiving fails, it returns early: the next
    read raises the error.
    """
    if reader._reading:
        return
    while reader._size - reader._offset < size and not reader._eof and reader._exception is None:
        try:
            await reader._wait()
        except Exception:  # noqa: BLE001  (the reader keeps it, for the next read)
            return


def _check_index(n: Any) -> None:
    """Refuse what is no integer, such as text: comparing it would not say which argument it is.

    :raises TypeError: *n* is none
    """
    try:
        operator.index(n)
    except TypeError:
        raise TypeError(f"n must be an int, not {type(n).__name__}") from None


def peek(reader: StreamReader, size: int) -> bytes | None:
    """Return up to *size* bytes of the beginning of the body; they stay in the buffer.

    ``None`` means that nothing has arrived yet, or that the beginning has been read already.
    """
    if reader._size - reader._offset != reader.total_bytes or not (reader._buffer or reader._eof):
        return None
    found = bytearray()
    for piece in reader._buffer:
        found += piece[: size - len(found)]
        if len(found) == size:
            break
    return bytes(found)


class _EmptyReader(StreamReader):
    """A reader that has no bytes, is always at its end, and stores nothing."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__()
        self._eof = True

    def set_exception(self, exc: BaseException) -> None:
        """Do nothing: all responses without a body share this reader."""

    def _put_back(self, data: bytes) -> None:
        """Do nothing: all responses without a body share this reader."""


#: A reader without any bytes.
EMPTY_PAYLOAD: Final[StreamReader] = _EmptyReader()
