"""Sending on a WebSocket: one task at a time, and only whole frames."""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import AsyncIterable, Awaitable, Callable
from typing import TYPE_CHECKING, Final

import anyio
import anyio.lowlevel
from anyio.lowlevel import cancel_shielded_checkpoint, checkpoint, checkpoint_if_cancelled

from .._tasks import CLEAN_UP_SECONDS, deadline_after
from ..client_exceptions import ClientConnectionError, ClientConnectionResetError
from .deflate import Deflater
from .frame_writer import COMPRESSED, FINAL, FrameWriter, close_payload
from .lifecycle import Lifecycle, WSState
from .models import WSCloseCode, WSMsgType
from .outgoing import Fragments, checked_bits, control_payload, shortened

if TYPE_CHECKING:
    from .._http1 import LentStream
    from .frame_writer import BytesLike

__all__ = ("CALLS_IN_A_ROW", "Sender")

#: How many calls in a row may return without letting other tasks run.  A call that sends some
#: kibibytes counts as so many more.
CALLS_IN_A_ROW: Final = 64

#: Most pings that are kept to be answered while another task is sending.  It would be enough to
#: answer the last one (RFC 6455 §5.5.3).
MAX_PONGS: Final = 16

#: A message larger than this, in bytes, is compressed in pieces; other tasks run between them.
LARGE_SEND: Final = CALLS_IN_A_ROW * 1024

#: Most bytes that are given to the stream in one call.
SEND_PIECE: Final = 256 * 1024


class _FifoLock:
    """A lock that tasks get in the order in which they asked for it."""

    __slots__ = ("_waiting", "locked")

    def __init__(self) -> None:
        #: whether a task has the lock; to take a free lock, set this directly
        self.locked: bool = False
        self._waiting: deque[anyio.Event] | None = None

    async def wait(self) -> None:
        """Wait until the calling task has the lock; after cancellation it does not have it."""
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
        """Give the lock to the task that has waited longest, or unlock it."""
        if self._waiting:
            self._waiting.popleft().set()
        else:
            self.locked = False


class Sender:
    """Sends messages and control frames, in the order of the calls.

    If only a part of a frame is sent, because of a failure or a cancellation, the WebSocket ends:
    the peer would take the next frame for the rest of this one.

    :param life: ended when only a part of a frame was sent
    :param deflater: compresses messages, if that was negotiated
    :param close_seconds: how long :meth:`fail` may take to send CLOSE
    """

    __slots__ = ("_close_seconds", "_deflater", "_frame", "_frames", "_life", "_messages",
                 "_sends_nowait", "_stream", "calls_left", "on_progress", "pongs")  # fmt: skip

    def __init__(
        self,
        stream: LentStream,
        life: Lifecycle,
        deflater: Deflater | None,
        close_seconds: float,
    ) -> None:
        self._stream = stream
        self._sends_nowait = stream.sends_nowait
        self._life = life
        self._deflater = deflater
        self._frame: Final = FrameWriter().frame
        self._close_seconds = close_seconds
        # Two locks, for messages and for frames: control frames may be sent between the frames of
        # a message.
        self._messages = _FifoLock()
        self._frames = _FifoLock()
        #: payloads of the pings that have to be answered
        self.pongs: deque[bytes] = deque(maxlen=MAX_PONGS)
        #: how many calls may still return without letting other tasks run; set anew after a wait
        #: for the network, during which other tasks have run
        self.calls_left: int = CALLS_IN_A_ROW
        #: called when the peer has taken a part of a large frame
        self.on_progress: Callable[[], None] | None = None

    # -- checkpoints

    async def checkpoint(self) -> None:
        """Raise a pending cancellation; after many calls in a row also let other tasks run."""
        if self.calls_left > 0:
            self.calls_left -= 1
            await self._stream.checkpoint_if_cancelled()
        else:
            self.calls_left = CALLS_IN_A_ROW
            await checkpoint()

    def _begin_call(self, size: int = 0) -> Awaitable[None]:
        """Return an awaitable: a checkpoint, or an error if the WebSocket is closed.

        A sending call needs its own checkpoint, as it may not have to wait for the network.

        :param size: bytes that are to be sent
        """
        self.calls_left -= size >> 10
        return self.checkpoint() if self._life.state.can_send else self._refuse()

    async def _refuse(self) -> None:
        await checkpoint()
        self._check_open()

    def _check_open(self) -> None:
        if not self._life.state.can_send:
            raise ClientConnectionResetError(errno.ECONNRESET, "Cannot write to closing transport")

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
            # If close() is running in another task, do not end the WebSocket here: close() does
            # that after the peer's CLOSE.
            if fragments.begun and self._life.state.can_send:
                self._life.end()
            raise
        finally:
            lock.release()
            await _close_iterable(pieces)

    async def _send_fragments(
        self, pieces: AsyncIterable[str] | AsyncIterable[bytes], fragments: Fragments
    ) -> None:
        # Keep one piece back: only the end of the iterable tells which piece was the last one.
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
        await self._begin_call(len(data))
        lock = self._frames
        await self._acquire(lock)
        try:
            self._check_open()
            await self._transmit(self._frame(*fragments.make(data, last=last)))
        finally:
            lock.release()

    async def send_message(self, opcode: int, data: BytesLike, compress: int | None) -> None:
        """Send a whole message."""
        deflater = self._deflater
        if compress is not None and not checked_bits(compress):
            deflater = None
        calls = self.calls_left - 1 - (len(data) >> 10)
        if (
            calls < 0
            or not self._sends_nowait
            or self.pongs
            or self._frames.locked
            or self._messages.locked
            or not self._life.state.can_send
        ):
            await self._send_in_turn(opcode, data, deflater)
            return
        # Nothing has to be waited for, so nobody can come in between: no lock is needed.
        self.calls_left = calls
        if deflater is None:
            wire = self._frame(FINAL | opcode, data)
        else:
            wire = self._frame(FINAL | COMPRESSED | opcode, deflater.compress(data))
        try:
            if self._stream.send_nowait(wire):
                return
        except BaseException as exc:
            self._tear(exc)
            raise
        self._frames.locked = True
        try:
            await self._finish(self._stream.drain())
        finally:
            self._frames.release()

    async def _send_in_turn(self, opcode: int, data: BytesLike, deflater: Deflater | None) -> None:
        """Send a whole message after those that are being sent, and let other tasks run."""
        # Check for cancellation here: later it would interrupt the frame that is being sent.
        await self._begin_call(len(data))
        messages, frames = self._messages, self._frames
        await self._acquire(messages)
        try:
            await self._acquire(frames)
            try:
                self._check_open()
                if deflater is None:
                    await self._transmit(self._frame(FINAL | opcode, data))
                else:
                    data = await self._compressed(deflater, data)
                    await self._transmit(self._frame(FINAL | COMPRESSED | opcode, data))
            finally:
                frames.release()
        finally:
            messages.release()

    async def _compressed(self, deflater: Deflater, data: BytesLike) -> bytes:
        """Compress a message.

        This is shielded from cancellation.  A message that has been compressed must be sent,
        because later messages may refer to its bytes in the window.
        """
        if len(data) <= LARGE_SEND:
            return deflater.compress(data)
        pieces = []
        try:
            for piece in deflater.pieces(data):
                pieces.append(piece)
                await cancel_shielded_checkpoint()
        except BaseException:
            self._life.end()  # a shield does not stop task.cancel() of asyncio
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
        """Send a PING or PONG, also between the frames of a message.

        :raises ValueError: *message* is too long for a control frame
        """
        data = control_payload(message)
        await self._begin_call()
        lock = self._frames
        await self._acquire(lock)
        try:
            self._check_open()
            await self._transmit(self._frame(FINAL | opcode, data))
        finally:
            lock.release()

    # -- the last frame

    async def send_close(self, payload: bytes) -> None:
        """Send CLOSE after the frame that is being sent; the state has to be CLOSING."""
        await checkpoint_if_cancelled()
        lock = self._frames
        await self._acquire(lock)
        try:
            if self._life.state.connected:
                await self._transmit(self._frame(FINAL | WSMsgType.CLOSE, payload))
                self._stream.finish_sending()
        finally:
            lock.release()

    def send_close_nowait(self, payload: bytes) -> None:
        """Send CLOSE if that needs no waiting; the caller then ends the WebSocket."""
        if self._life.state.can_send and not self._frames.locked:
            self._stream.send_last(self._frame(FINAL | WSMsgType.CLOSE, payload))

    async def fail(self, code: int, reason: str, error: Exception | None) -> None:
        """Send CLOSE, and end the WebSocket without waiting for the peer's CLOSE.

        If the connection is closed already, only *code* and *error* are noted.

        :param code: sent, and kept as :attr:`Lifecycle.close_code`; 0 sends CLOSE without a code
        :param error: the exception for the end; ``None`` if the peer has closed the WebSocket
        """
        life = self._life
        payload = close_payload(code, shortened(reason)) if code else b""
        try:
            if life.state.can_send:
                life.move(WSState.CLOSING)
                with anyio.CancelScope(deadline=deadline_after(self._close_seconds)):
                    await self.send_close(payload)
        except ClientConnectionError:
            pass  # *code* and *error* are the reason for the end, and not this failure
        finally:
            life.end(code, error)

    # -- frames

    async def _acquire(self, lock: _FifoLock) -> None:
        if lock.locked:
            await lock.wait()
        else:
            lock.locked = True

    async def _transmit(self, data: bytes) -> None:
        """Send whole frames, then answer pings; the caller has the lock.

        Failure and cancellation end the WebSocket.
        """
        await self._finish(self._send_all(data))

    async def _finish(self, sending: Awaitable[None]) -> None:
        """Do what :meth:`_transmit` does, with frames whose sending may have begun."""
        try:
            await sending
            while self.pongs and self._life.state.can_send:
                await self._send_all(self._take_pongs())
        except BaseException as exc:
            self._tear(exc)
            raise

    def _tear(self, exc: BaseException) -> None:
        """End the WebSocket: a part of a frame may have been sent, and the rest never will."""
        error = exc if isinstance(exc, Exception) else None
        self._life.end(WSCloseCode.ABNORMAL_CLOSURE, error)

    async def _send_all(self, data: bytes) -> None:
        """Send large frames in pieces, and tell the heartbeat of each piece that is sent."""
        view = data if len(data) <= SEND_PIECE else memoryview(data)
        for start in range(0, len(data), SEND_PIECE):
            if not self._stream.send_nowait(view[start : start + SEND_PIECE]):
                await self._stream.drain()
            if view is not data and self.on_progress is not None:
                self.on_progress()

    def note_ping(self, payload: bytes) -> None:
        """Remember a ping that has to be answered."""
        self.pongs.append(payload)

    def _take_pongs(self) -> bytes:
        first = FINAL | WSMsgType.PONG
        answers = b"".join(self._frame(first, payload) for payload in self.pongs)
        self.pongs.clear()
        return answers

    async def send_pongs(self) -> None:
        """Answer the noted pings; if another task is sending, it answers them after its frame."""
        await checkpoint_if_cancelled()
        lock = self._frames
        if lock.locked or not self._life.state.can_send:
            return
        lock.locked = True
        try:
            await self._send_all(self._take_pongs())
        except ClientConnectionError:
            pass  # receive() meets the same failure, behind what has come before, and reports it
        except BaseException as exc:
            self._tear(exc)
            raise
        finally:
            lock.release()


async def _close_iterable(pieces: object) -> None:
    """Close *pieces* if it is a generator: it may not have been read to its end."""
    aclose = getattr(pieces, "aclose", None)
    if aclose is not None:
        with anyio.move_on_after(CLEAN_UP_SECONDS, shield=True):
            await aclose()
