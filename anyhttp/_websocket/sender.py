"""Who sends on a WebSocket: one after the other, and each frame whole or the last one."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, Awaitable, Callable
from typing import TYPE_CHECKING, Final, Protocol
from weakref import WeakMethod

import anyio
import anyio.lowlevel
from anyio.lowlevel import (
    cancel_shielded_checkpoint,
    checkpoint,
    checkpoint_if_cancelled,
)

from .._tasks import CLEAN_UP_SECONDS
from ..client_exceptions import (
    ClientConnectionError,
    ClientConnectionResetError,
)
from .deflate import Deflater
from .frames import frame
from .models import WSMsgType
from .outgoing import (
    Fragments,
    checked_bits,
    control_payload,
)

if TYPE_CHECKING:
    from .._network import NetworkStream
    from .frames import BytesLike

__all__ = ("Link", "Sender", "weakly")

#: Calls that return without waiting for the network before other tasks get their turn.
UNBROKEN_CALLS: Final = 32

#: Pings that are remembered while somebody else is sending.  Answering the last one would do
#: (RFC 6455 §5.5.3).
MAX_PONGS: Final = 16

#: A larger message is compressed in pieces, between which other tasks run, in bytes.
LARGE_SEND: Final = 64 * 1024

#: Bytes handed to the stream at once, at most.
SEND_PIECE: Final = 256 * 1024


class Link(Protocol):
    """What a WebSocket needs of the exchange that its connection came from."""

    on_end: Callable[[], None] | None

    def lend_away(self) -> tuple[NetworkStream, bytes]: ...

    def close(self) -> None: ...


def weakly(method: Callable[[], None]) -> Callable[[], None]:
    """Return what calls *method* if its object is still there.

    The session holds the link: a WebSocket that is forgotten has to be found by the collector.
    """
    weak = WeakMethod(method)

    def call() -> None:
        if (found := weak()) is not None:
            found()

    return call


class _Turn:
    """Something that one task has at a time, and the others wait for in the order of coming."""

    __slots__ = ("_waiting", "taken")

    def __init__(self) -> None:
        #: somebody has it; set it directly to take it when it is free
        self.taken: bool = False
        self._waiting: deque[anyio.Event] | None = None

    async def wait(self) -> None:
        """Wait until it is ours; after cancellation it is not."""
        if self._waiting is None:
            self._waiting = deque()
        handed_over = anyio.Event()
        self._waiting.append(handed_over)
        try:
            await handed_over.wait()
            await checkpoint_if_cancelled()  # nothing of ours has begun yet
        except BaseException:
            if handed_over.is_set():
                self.end()
            else:
                self._waiting.remove(handed_over)
            raise

    def end(self) -> None:
        """Hand it to whoever has waited longest."""
        if self._waiting:
            self._waiting.popleft().set()
        else:
            self.taken = False


class Sender:
    """Sends messages and control frames, in the order of the calls.

    A frame that is cut short, by failure or by cancellation, closes the link: the peer could
    not tell the next frame from the rest of this one.

    :param link: closed when a frame is torn
    :param deflater: compresses messages, if that was negotiated
    """

    __slots__ = ("_deflater", "_frames", "_link", "_messages", "_stream", "calls_left",
                 "checkpoint_if_cancelled", "close_sent", "closed", "failure", "on_progress",
                 "pongs")  # fmt: skip

    def __init__(self, stream: NetworkStream, link: Link, deflater: Deflater | None) -> None:
        self._stream = stream
        self._link = link
        self._deflater = deflater
        # A message may be several frames, and control frames go in between.
        self._messages = _Turn()
        self._frames = _Turn()
        #: what the pings said that have to be answered
        self.pongs: deque[bytes] = deque(maxlen=MAX_PONGS)
        #: anyio's, or a faster one
        self.checkpoint_if_cancelled = stream.checkpoint_if_cancelled
        #: how many calls may still return without having waited
        self.calls_left: int = UNBROKEN_CALLS
        #: the connection is closed
        self.closed: bool = False
        #: CLOSE has been sent, or is next
        self.close_sent: bool = False
        #: what tore a frame
        self.failure: Exception | None = None
        #: called when the peer has taken a part of a large frame
        self.on_progress: Callable[[], None] | None = None

    # -- pace

    def has_waited(self) -> None:
        """Take note that other tasks had their turn."""
        self.calls_left = UNBROKEN_CALLS

    async def pace(self) -> None:
        """Let others run if that has not happened for a while; be cancelled in any case."""
        if self.calls_left:
            self.calls_left -= 1
            await self.checkpoint_if_cancelled()
        else:
            self.calls_left = UNBROKEN_CALLS
            await checkpoint()

    async def _begin_call(self) -> None:
        """Be the checkpoint of a call that may do without the network's."""
        if self.closed or self.close_sent:
            await checkpoint()
            self._check_open()
        await self.pace()

    def _check_open(self) -> None:
        if self.closed or self.close_sent:
            raise ClientConnectionResetError("Cannot write to closing transport")

    # -- messages

    async def send_stream(
        self,
        pieces: AsyncIterable[str] | AsyncIterable[bytes],
        compress: int | None,
        fail: Callable[[Exception], Awaitable[None]],
    ) -> None:
        """Send one message in fragments.

        :param fail: awaited with what *pieces* raised when a part has been sent
        """
        compresses = checked_bits(compress) != 0
        await self._begin_call()
        turn = self._messages
        await self._take(turn)
        fragments = Fragments(self._deflater if compresses else None)
        try:
            await self._send_fragments(pieces, fragments)
        except Exception as exc:
            if fragments.begun and not (self.closed or self.close_sent):
                await fail(exc)
            raise
        except BaseException:
            # Who sends CLOSE closes the link too, but first waits for the peer's.
            if fragments.begun and not self.close_sent:
                self._link.close()
            raise
        finally:
            turn.end()
            await _close_iterable(pieces)

    async def _send_fragments(
        self, pieces: AsyncIterable[str] | AsyncIterable[bytes], fragments: Fragments
    ) -> None:
        # One piece is held back, as only the end of them tells which was the last.
        held: BytesLike | None = None
        async for piece in pieces:
            data = fragments.check(piece)
            if held is not None:
                await self._send_fragment(fragments, held, last=False)
            held = data
        if held is None:
            fragments.check(b"")
        await self._send_fragment(fragments, held or b"", last=True)

    async def _send_fragment(self, fragments: Fragments, data: BytesLike, *, last: bool) -> None:
        await self._begin_call()
        turn = self._frames
        await self._take(turn)
        try:
            self._check_open()
            await self._transmit(fragments.make(data, last=last))
        finally:
            turn.end()

    async def send_message(self, opcode: int, data: BytesLike, compress: int | None) -> None:
        """Send a whole message."""
        compresses = checked_bits(compress) != 0
        # From here on cancellation would tear the frame.
        await self._begin_call()
        messages, frames = self._messages, self._frames
        if messages.taken:
            await messages.wait()
        else:
            messages.taken = True
        try:
            if frames.taken:
                await frames.wait()
            else:
                frames.taken = True
            try:
                self._check_open()
                if compresses and self._deflater is not None:
                    data = await self._compressed(self._deflater, data)
                    await self._transmit(frame(opcode, data, compressed=True))
                else:
                    await self._transmit(frame(opcode, data))
            finally:
                frames.end()
        finally:
            messages.end()

    async def _compressed(self, deflater: Deflater, data: BytesLike) -> bytes:
        """Compress a message; cancellation has to wait, as the peer's window follows ours."""
        if len(data) <= LARGE_SEND:
            return deflater.compress(data)
        pieces = []
        try:
            for piece in deflater.pieces(data):
                pieces.append(piece)
                await cancel_shielded_checkpoint()
        except BaseException:
            self._link.close()  # a native cancellation of asyncio does not wait
            raise
        self._check_open()
        return b"".join(pieces)

    async def send_frame(self, opcode: int, data: BytesLike, compress: int | None) -> None:
        """Send a whole message, or a PING or PONG.

        :raises ValueError: *opcode* is none of these
        """
        if opcode in {WSMsgType.PING, WSMsgType.PONG}:
            await self.send_control(opcode, data)
        elif opcode in {WSMsgType.TEXT, WSMsgType.BINARY}:
            await self.send_message(opcode, data, compress)
        else:
            raise ValueError(f"opcode must be TEXT, BINARY, PING or PONG, not {opcode!r}")

    async def send_control(self, opcode: int, message: BytesLike | str) -> None:
        """Send a PING or PONG, between the frames of a message if need be.

        :raises ValueError: *message* is too long for a control frame
        """
        data = control_payload(message)
        await self._begin_call()
        turn = self._frames
        await self._take(turn)
        try:
            self._check_open()
            await self._transmit(frame(opcode, data))
        finally:
            turn.end()

    async def send_close(self, payload: bytes) -> None:
        """Send CLOSE, after the frame that is being sent and before all others."""
        if self.close_sent or self.closed:
            return
        self.close_sent = True
        await checkpoint_if_cancelled()
        turn = self._frames
        await self._take(turn)
        try:
            if not self.closed:
                await self._transmit(frame(WSMsgType.CLOSE, payload))
        finally:
            turn.end()

    # -- frames

    async def _take(self, turn: _Turn) -> None:
        if turn.taken:
            await turn.wait()
        else:
            turn.taken = True

    async def _transmit(self, data: bytes) -> None:
        """Send whole frames, in one's turn; a failure or cancellation closes the WebSocket."""
        try:
            if len(data) <= SEND_PIECE:
                await self._stream.transmit(data)
            else:
                await self._transmit_pieces(data)
            while self.pongs and not self.close_sent:
                await self._stream.transmit(self._take_pongs())
        except BaseException as exc:
            # Some bytes of a frame may be on their way, and nobody could send the rest.
            self.failure = exc if isinstance(exc, Exception) else None
            self._link.close()
            raise

    async def _transmit_pieces(self, data: bytes) -> None:
        """Send large frames so that what the peer takes of them is known to the heartbeat."""
        view = memoryview(data)
        for start in range(0, len(data), SEND_PIECE):
            await self._stream.transmit(view[start : start + SEND_PIECE])
            if self.on_progress is not None:
                self.on_progress()

    def note_ping(self, payload: bytes) -> None:
        """Remember a ping that has to be answered."""
        self.pongs.append(payload)

    def _take_pongs(self) -> bytes:
        answers = b"".join(frame(WSMsgType.PONG, payload) for payload in self.pongs)
        self.pongs.clear()
        return answers

    async def send_pongs(self) -> None:
        """Answer pings that were noted, unless somebody is sending: they will."""
        await checkpoint_if_cancelled()
        turn = self._frames
        if turn.taken or self.closed or self.close_sent:
            return
        turn.taken = True
        try:
            await self._transmit(self._take_pongs())
        except ClientConnectionError:
            pass  # whoever receives finds out by receiving
        finally:
            turn.end()


async def _close_iterable(pieces: object) -> None:
    """End a generator that was not read to its end; nobody else would."""
    aclose = getattr(pieces, "aclose", None)
    if aclose is not None:
        with anyio.move_on_after(CLEAN_UP_SECONDS, shield=True):
            await aclose()
