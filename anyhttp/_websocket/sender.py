"""Who sends on a WebSocket: one task after the other, each frame as a whole."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, Awaitable, Callable
from typing import TYPE_CHECKING, Final

import anyio
import anyio.lowlevel
from anyio.lowlevel import cancel_shielded_checkpoint, checkpoint, checkpoint_if_cancelled

from .._tasks import CLEAN_UP_SECONDS, deadline_after
from ..client_exceptions import ClientConnectionError, ClientConnectionResetError
from .deflate import Deflater
from .frames import close_payload, frame
from .lifecycle import Lifecycle, WSState
from .models import WSCloseCode, WSMsgType
from .outgoing import Fragments, checked_bits, control_payload, shortened

if TYPE_CHECKING:
    from .._network import NetworkStream
    from .frames import BytesLike

__all__ = ("CALLS_IN_A_ROW", "Sender")

#: Calls that return without waiting for the network before other tasks run.
CALLS_IN_A_ROW: Final = 32

#: Pings that are remembered while somebody else is sending.  Answering the last one would do
#: (RFC 6455 §5.5.3).
MAX_PONGS: Final = 16

#: A larger message is compressed in pieces, between which other tasks run, in bytes.
LARGE_SEND: Final = 64 * 1024

#: Bytes handed to the stream at once, at most.
SEND_PIECE: Final = 256 * 1024


class _FifoLock:
    """A lock that tasks get in the order in which they asked for it."""

    __slots__ = ("_waiting", "locked")

    def __init__(self) -> None:
        #: somebody has it; set it directly to take it when it is free
        self.locked: bool = False
        self._waiting: deque[anyio.Event] | None = None

    async def wait(self) -> None:
        """Wait until it is ours; after cancellation it is not."""
        if self._waiting is None:
            self._waiting = deque()
        handed_over = anyio.Event()
        self._waiting.append(handed_over)
        try:
            await handed_over.wait()
            await checkpoint_if_cancelled()  # nothing has been sent yet
        except BaseException:
            if handed_over.is_set():
                self.release()
            else:
                self._waiting.remove(handed_over)
            raise

    def release(self) -> None:
        """Hand it to the task that has waited longest."""
        if self._waiting:
            self._waiting.popleft().set()
        else:
            self.locked = False


class Sender:
    """Sends messages and control frames, in the order of the calls.

    A frame that is cut short, by failure or by cancellation, ends the WebSocket: the peer could
    not tell the next frame from the rest of this one.

    :param life: ended when a frame is cut short
    :param deflater: compresses messages, if that was negotiated
    :param close_seconds: how long sending CLOSE may take where nobody waits for the peer's
    """

    __slots__ = ("_close_seconds", "_deflater", "_frames", "_life", "_messages", "_stream",
                 "calls_left", "checkpoint_if_cancelled", "on_progress", "pongs")  # fmt: skip

    def __init__(
        self,
        stream: NetworkStream,
        life: Lifecycle,
        deflater: Deflater | None,
        close_seconds: float,
    ) -> None:
        self._stream = stream
        self._life = life
        self._deflater = deflater
        self._close_seconds = close_seconds
        # A message may be several frames, and control frames go in between.
        self._messages = _FifoLock()
        self._frames = _FifoLock()
        #: payloads of the pings that have to be answered
        self.pongs: deque[bytes] = deque(maxlen=MAX_PONGS)
        #: anyio's, or a faster one
        self.checkpoint_if_cancelled = stream.checkpoint_if_cancelled
        #: how many calls may still return before other tasks have to run; who waited for the
        #: network sets it anew
        self.calls_left: int = CALLS_IN_A_ROW
        #: called when the peer has taken a part of a large frame
        self.on_progress: Callable[[], None] | None = None

    # -- checkpoints

    async def checkpoint(self) -> None:
        """Let other tasks run if they could not for a while; be cancelled in any case."""
        if self.calls_left:
            self.calls_left -= 1
            await self.checkpoint_if_cancelled()
        else:
            self.calls_left = CALLS_IN_A_ROW
            await checkpoint()

    def _begin_call(self) -> Awaitable[None]:
        """Be the checkpoint of a call that may not have to wait for the network, when awaited."""
        return self.checkpoint() if self._life.state.can_send else self._refuse()

    async def _refuse(self) -> None:
        await checkpoint()
        self._check_open()

    def _check_open(self) -> None:
        if not self._life.state.can_send:
            raise ClientConnectionResetError("Cannot write to closing transport")

    # -- messages

    async def send_stream(
        self, pieces: AsyncIterable[str] | AsyncIterable[bytes], compress: int | None
    ) -> None:
        """Send one message in fragments; if *pieces* fails between two, close with code 1011."""
        compresses = checked_bits(compress) != 0
        await self._begin_call()
        lock = self._messages
        await self._acquire(lock)
        fragments = Fragments(self._deflater if compresses else None)
        try:
            await self._send_fragments(pieces, fragments)
        except Exception as exc:
            if fragments.begun and self._life.state.can_send:
                await self.fail(WSCloseCode.INTERNAL_ERROR, "", exc)
            raise
        except BaseException:
            # Whoever is closing ends it too, but first waits for the peer's CLOSE.
            if fragments.begun and self._life.state.can_send:
                self._life.end()
            raise
        finally:
            lock.release()
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
        lock = self._frames
        await self._acquire(lock)
        try:
            self._check_open()
            await self._transmit(fragments.make(data, last=last))
        finally:
            lock.release()

    async def send_message(self, opcode: int, data: BytesLike, compress: int | None) -> None:
        """Send a whole message."""
        compresses = checked_bits(compress) != 0
        # Cancellation has to come here: once the frame is being sent, it would cut it short.
        await self._begin_call()
        messages, frames = self._messages, self._frames
        if messages.locked:
            await messages.wait()
        else:
            messages.locked = True
        try:
            if frames.locked:
                await frames.wait()
            else:
                frames.locked = True
            try:
                self._check_open()
                if compresses and self._deflater is not None:
                    data = await self._compressed(self._deflater, data)
                    await self._transmit(frame(opcode, data, compressed=True))
                else:
                    await self._transmit(frame(opcode, data))
            finally:
                frames.release()
        finally:
            messages.release()

    async def _compressed(self, deflater: Deflater, data: BytesLike) -> bytes:
        """Compress a message.

        Cancellation has to wait: the peer's window would lack what was compressed and not sent.
        """
        if len(data) <= LARGE_SEND:
            return deflater.compress(data)
        pieces = []
        try:
            for piece in deflater.pieces(data):
                pieces.append(piece)
                await cancel_shielded_checkpoint()
        except BaseException:
            self._life.end()  # a native cancellation of asyncio does not wait
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
        lock = self._frames
        await self._acquire(lock)
        try:
            self._check_open()
            await self._transmit(frame(opcode, data))
        finally:
            lock.release()

    # -- the last frame

    async def send_close(self, payload: bytes) -> None:
        """Send CLOSE behind the frame that is being sent; the state has to be CLOSING."""
        await checkpoint_if_cancelled()
        lock = self._frames
        await self._acquire(lock)
        try:
            if self._life.state.connected:
                await self._transmit(frame(WSMsgType.CLOSE, payload))
        finally:
            lock.release()

    async def fail(self, code: int, reason: str, error: Exception | None) -> None:
        """Send CLOSE, not waiting for the peer's, and end the WebSocket.

        If the connection is closed already, only *code* and *error* are noted.

        :param code: what is sent, and becomes :attr:`Lifecycle.close_code`; 0 to send none
        :param error: what broke the connection; ``None`` if the peer has closed it
        """
        life = self._life
        payload = close_payload(code, shortened(reason)) if code else b""
        try:
            if life.state.can_send:
                life.move(WSState.CLOSING)
                with anyio.CancelScope(deadline=deadline_after(self._close_seconds)):
                    await self.send_close(payload)
        except ClientConnectionError:
            pass  # what is noted below tells more
        finally:
            life.end(code, error)

    # -- frames

    async def _acquire(self, lock: _FifoLock) -> None:
        if lock.locked:
            await lock.wait()
        else:
            lock.locked = True

    async def _transmit(self, data: bytes) -> None:
        """Send whole frames, holding the lock; failure and cancellation end the WebSocket."""
        try:
            if len(data) <= SEND_PIECE:
                await self._stream.transmit(data)
            else:
                await self._transmit_pieces(data)
            while self.pongs and self._life.state.can_send:
                await self._stream.transmit(self._take_pongs())
        except BaseException as exc:
            # A part of a frame may have been sent, and nobody could send the rest.
            error = exc if isinstance(exc, Exception) else None
            self._life.end(WSCloseCode.ABNORMAL_CLOSURE, error)
            raise

    async def _transmit_pieces(self, data: bytes) -> None:
        """Send large frames so that the heartbeat learns what the peer takes of them."""
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
        """Answer the noted pings; a task that is sending does that behind its own frame."""
        await checkpoint_if_cancelled()
        lock = self._frames
        if lock.locked or not self._life.state.can_send:
            return
        lock.locked = True
        try:
            await self._transmit(self._take_pongs())
        except ClientConnectionError:
            pass  # whoever receives notices that too
        finally:
            lock.release()


async def _close_iterable(pieces: object) -> None:
    """End a generator that was not read to its end; nobody else would."""
    aclose = getattr(pieces, "aclose", None)
    if aclose is not None:
        with anyio.move_on_after(CLEAN_UP_SECONDS, shield=True):
            await aclose()
