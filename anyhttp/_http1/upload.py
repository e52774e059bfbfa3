"""Sending the body of a request: together with the head, or in a task beside the response."""

from __future__ import annotations

import enum
import errno
import math
import types
import zlib
from collections.abc import Awaitable, Callable, Coroutine, Generator
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NoReturn

import anyio
from anyio.lowlevel import checkpoint

from .._codings import Compressor, zlib_backend
from .._tasks import Expired, deadline_after
from ..client_exceptions import ClientConnectionError, ClientOSError, ClientPayloadError

if TYPE_CHECKING:
    from .._tasks import HelperTasks, TaskScope
    from .interfaces import ExchangeEngine, ExchangeStream, SendableBody
    from .request_framing import Framing

__all__ = (
    "SendTimeout",
    "Upload",
    "UploadState",
    "goes_inline",
    "inline_body",
)

#: A body up to this size, in bytes, is sent together with the head, in one call.  It fits into
#: the send buffer of every socket, so a peer that answers before reading cannot block the call.
INLINE_BODY: Final = 64 * 1024

#: How much of a body is gathered before it is sent, in bytes and in seconds.  A piece counts for at
#: least :data:`SMALLEST_PIECE` bytes, so that 64 pieces are sent in any case.
GATHERED_BYTES: Final = 64 * 1024
SMALLEST_PIECE: Final = 1024
GATHERED_SECONDS: Final = 0.02

#: A piece of this size or more, in bytes, is sent as it is, as copying it would cost more than
#: a call of the operating system.
LARGE_PIECE: Final = 64 * 1024

#: Most bytes of a body that are sent before other tasks run: about what a socket takes at once.
#: Letting them run for each 64 KiB would take a third of all instructions.  A piece counts for at
#: least :data:`SMALLEST_SHARE` bytes, so that other tasks run after 64 pieces in any case.
SENT_BYTES: Final = 256 * 1024
SMALLEST_SHARE: Final = SENT_BYTES // 64

#: Most bytes that are sent, and told to callbacks, at once.
LARGEST_PIECE: Final = 1024 * 1024

#: How long to wait for ``100 Continue`` before the body is sent without it, in seconds
#: (RFC 9110 §10.1.1 forbids waiting for ever).
CONTINUE_SECONDS: Final = 5.0


class SendTimeout(Exception):
    """The peer took no byte of the body for too long; see :attr:`Upload.send_seconds`."""


def goes_inline(body: SendableBody | None, compress: str | None, expect100: bool) -> bool:
    """Whether *body* is sent together with the head, without a task of its own."""
    return body is None or inline_body(body, compress, expect100) is not None


def inline_body(body: SendableBody, compress: str | None, expect100: bool) -> bytes | None:
    """Return the bytes of *body* if they are sent together with the head."""
    if expect100 or compress is not None:
        return None
    data = body.in_memory()
    return None if data is None or len(data) > INLINE_BODY else data


class UploadState(enum.Enum):
    """How far the sending of a body is; the values say what each means."""

    WAITING = "100 Continue is awaited before the body is sent"
    WRITING = "the body is being written"
    ENDING = "all of the body has been written, and its last bytes are being sent"
    SENT = "all of the body has been sent"
    PEER_LEFT = "the peer takes no more of the body; it may have answered before"
    FAILED = "the body failed, or a callback that is told of its pieces"
    CANCELLED = "the sending was ended before the body was"

    #: the states that can follow; a tuple, as searching it is faster than hashing an enum member
    moves: tuple[UploadState, ...]


_WAITING: Final = UploadState.WAITING
_WRITING: Final = UploadState.WRITING
_ENDING: Final = UploadState.ENDING
_SENT: Final = UploadState.SENT
_PEER_LEFT: Final = UploadState.PEER_LEFT
_FAILED: Final = UploadState.FAILED
_CANCELLED: Final = UploadState.CANCELLED

_WAITING.moves = (_WRITING, _FAILED, _CANCELLED)
_WRITING.moves = (_ENDING, _PEER_LEFT, _FAILED, _CANCELLED)
_ENDING.moves = (_SENT, _PEER_LEFT, _FAILED, _CANCELLED)
_SENT.moves = _PEER_LEFT.moves = _FAILED.moves = _CANCELLED.moves = ()


# Without __slots__, like all objects that a request makes: Python creates them faster then.
class Upload:
    """Sends a streamed body in a task of its own, while another task reads the response.

    Small pieces of the body are gathered, and sent by one call of the operating system.  But no
    piece is held back while the body waits for something: that may be an answer to the piece.

    Errors do not leave the task: they are kept in :attr:`error` for the task that reads the
    response.  Only exceptions that end programs and cancellations of the task itself are raised.
    """

    #: the error that ended the upload, set at its end; ``None`` after :meth:`cancel`
    error: BaseException | None = None
    #: the helper tasks of which one calls :meth:`run`, in :attr:`scope`
    tasks: HelperTasks
    scope: TaskScope
    #: awaited with each piece of the body before it is sent
    on_chunk: Callable[[bytes], Awaitable[None]] | None = None
    #: how long the socket may take nothing; ``None`` for no limit
    send_seconds: float | None = None
    #: called with the number of bytes, before compression, after they have been sent
    on_written: Callable[[int], object] | None = None

    _continued: anyio.Event | None = None  # made by the task that waits for it
    _over: anyio.Event | None = None  # the same
    _is_stopped = False  # whether somebody has ended it, or set it a time limit
    _send_error: ClientConnectionError | None = None
    #: an error of a callback, or of a stream that the program has made: it leaves the request as it
    #: is, unlike one of the body
    _unchanged: Exception | None = None
    _failure: Exception | None = None  # the exception that the tracker has got
    _written = 0  # bytes of the body, as they are framed
    _untold = 0  # bytes that on_written has to be called with
    _is_running = False  # whether the payload runs at this moment, and does not wait
    _running_since = 0.0
    _gathered_size = 0
    _sent_size = 0  # what was written since the payload last waited, for SENT_BYTES
    _is_sending = False  # whether a task waits for the socket
    _sent: anyio.Event | None = None  # for tasks that wait for that task
    _is_torn = False  # whether a part of the body is lost, see _tear()
    _rest_scope: TaskScope | None = None  # of a task that sends while the payload waits
    _rest_error: Exception | None = None  # what went wrong while the payload waited

    def __init__(
        self,
        payload: SendableBody,
        framing: Framing,
        engine: ExchangeEngine,
        stream: ExchangeStream,
    ) -> None:
        self._payload = payload
        self._framing = framing
        self._engine = engine
        self._stream = stream
        self._compressor = _compressor(framing.compress)
        self._gathered: list[bytes] = []
        #: changed by :meth:`_move` only
        self.state: UploadState = _WAITING if framing.expect_continue else _WRITING
        #: called in this order when the upload has ended, with or without success
        self.when_over: list[Callable[[], object]] = []

    def _move(self, to: UploadState) -> None:
        if to not in self.state.moves:
            raise RuntimeError(f"an upload cannot go from {self.state.name} to {to.name}")
        self.state = to

    @property
    def is_over(self) -> bool:
        """Whether the upload has ended, with or without success."""
        return not self.state.moves

    @property
    def is_sent(self) -> bool:
        """Whether all of the body has been sent."""
        return self.state is _SENT

    @property
    def is_ending(self) -> bool:
        """Whether at most the last bytes are still to be sent."""
        return self.state is _ENDING or self.state is _SENT

    @property
    def is_broken(self) -> bool:
        """Whether the body failed; not if the peer takes no more of it, as it may still answer."""
        return self.error is not None and self.state is not _PEER_LEFT

    def failure(self) -> Exception:
        """Return the exception for the request, as the upload has failed.

        An exception that ends programs, such as :exc:`KeyboardInterrupt`, is raised unchanged.
        """
        assert self.error is not None
        if not isinstance(self.error, Exception):
            raise self.error
        failure = self._failure
        if failure is None:
            failure = self.error if self.error is self._unchanged else _request_error(self.error)
            if failure is not self.error:
                failure.__cause__ = self.error
        return failure

    def failure_for_tracker(self) -> Exception | None:
        """Return the exception for the upload tracker, which is that of the request.

        It is ``None`` if all was sent, and also after :meth:`cancel`.
        """
        if self.state is _CANCELLED or not isinstance(self.error, Exception):
            return None
        if isinstance(self.error, Expired):
            return TimeoutError("the request's total timeout ran out while its body was being sent")
        self._failure = self.failure()
        return self._failure

    def forget_error(self) -> None:
        """Forget the error that ended the upload, as the request has raised it.

        The frames of its traceback lead to this object, so the two would be a reference cycle.
        """
        self.error = self._send_error = self._unchanged = self._failure = None
        self._rest_error = None

    def start_writing(self) -> None:
        """Send the body now, if the upload is waiting for ``100 Continue``."""
        if self.state is _WAITING:
            self._move(_WRITING)
            if self._continued is not None:
                self._continued.set()

    def cancel(self) -> None:
        """Stop sending; the connection cannot be used again then."""
        self.tasks.call(self._cancel)

    def _cancel(self) -> None:
        if self._gathered and not self._is_sending:  # then the payload itself has called this
            self._stream.send_last(self._take())
        self._stop()

    def _stop(self) -> None:
        self._is_stopped = True
        self.scope.cancel()

    def cancel_after(self, seconds: float) -> None:
        """Stop sending if the upload does not end within *seconds*."""
        self.tasks.call(partial(self._limit, seconds))

    def _limit(self, seconds: float) -> None:
        self._is_stopped = True
        self.scope.deadline = min(self.scope.deadline, deadline_after(seconds))

    def cancel_unless_started(self) -> None:
        """Stop if ``100 Continue`` is still awaited: the final response has come instead."""
        if self.state is _WAITING:
            self._stop()

    def fail_unstarted(self) -> None:
        """Fail, because the task was cancelled before it could call :meth:`run`."""
        self.error = ClientConnectionError("the body of the request was cancelled")
        self._end(_FAILED)

    async def wait_over(self) -> None:
        """Wait until the upload has ended, with or without success."""
        if not self.is_over:
            self._over = self._over or anyio.Event()
            await self._over.wait()

    async def run(self) -> None:
        """Send the whole body, as a task in :attr:`scope`."""
        final = _FAILED
        try:
            if self.state is _WAITING:
                self._continued = anyio.Event()
                with anyio.move_on_after(CONTINUE_SECONDS):
                    await self._continued.wait()
                self.start_writing()
            await self._write()
            final = _SENT
        except Exception as exc:  # noqa: BLE001  (kept for the task that awaits the response)
            final = self._fail(exc)
        except anyio.get_cancelled_exc_class() as exc:
            if self._rest_error is not None:
                final = self._fail(self._rest_error)
                raise
            if self._is_stopped:
                final = _CANCELLED
                raise
            # The task that waits for the response may not have been cancelled: it gets this error.
            self.error = ClientConnectionError("the body of the request was cancelled")
            self.error.__cause__ = exc
            if anyio.current_effective_deadline() == -math.inf:
                raise
            # This task was not cancelled: the body awaited another asyncio task, which was.
        except BaseException as exc:
            self.error = exc
            raise
        finally:
            self._end(final)

    def _fail(self, error: Exception) -> UploadState:
        """Note why the body was not sent, and return the state for that."""
        self.error = error
        if self._send_error is None:
            return _FAILED
        _forget_frames(error)
        return _PEER_LEFT

    def _end(self, state: UploadState) -> None:
        self._move(state)
        if self._rest_scope is not None and state is not _SENT:
            self._rest_scope.cancel()
        if self._over is not None:
            self._over.set()
        callbacks, self.when_over = self.when_over, []  # ends reference cycles with their objects
        for callback in callbacks:
            callback()

    # -- what the payload does

    async def _write(self) -> None:
        length = self._framing.content_length
        try:
            await self._watch(self._write_payload(length))
            if self._compressor is not None and (last := self._compressor.flush()):
                self._gather(last)
            if length is not None and self._written < length:
                raise ClientPayloadError(
                    f"the body ended after {self._written} bytes, "
                    f"but Content-Length announces {length}"
                )
        except Exception:
            # The peer gets what came before the error, which is the one that counts.
            if self._gathered and not self._is_sending:
                self._stream.send_last(self._take())
                self._tell_written()
            raise
        if self.state is _WRITING:
            self._move(_ENDING)
        if end := self._engine.send_end():
            self._gathered.append(end)
        await self._send(self._take())

    async def _write_payload(self, length: int | None) -> None:
        body = self._payload.in_memory()
        if body is None:
            await self._payload.write_with_length(self, length)
        else:
            await self.write(body[:length])

    @types.coroutine
    def _watch(self, coroutine: Coroutine[Any, Any, None]) -> Generator[Any, Any, None]:
        """Await *coroutine*; whenever it waits, send first what has been gathered."""
        answer: Any = None
        error: BaseException | None = None
        while True:
            # Whenever the payload has waited, for the socket too, other tasks have run.
            self._is_running, self._running_since, self._sent_size = True, monotonic(), 0
            try:
                waits_for = coroutine.send(answer) if error is None else coroutine.throw(error)
            except StopIteration:
                return
            finally:
                self._is_running = False
                answer = error = None  # each may lead to a traceback, and that to this frame
            if self._gathered and not self._is_sending:
                self._send_without_waiting()
            try:
                answer = yield waits_for
            except BaseException as exc:  # noqa: BLE001  (raised where the coroutine waits)
                error = exc

    async def write(self, chunk: bytes | memoryview) -> None:
        """Take one piece of the body; the payload calls this.

        A small piece is gathered, and this returns without letting other tasks run.  What is
        gathered is sent when it is 64 KiB, or 64 pieces; a piece of 64 KiB is sent at once.  Other
        tasks run at least once for each 256 KiB, 64 pieces and 20 ms.

        :raises ClientPayloadError: the body has ended already
        """
        size = len(chunk)
        if size > LARGEST_PIECE:
            await self._write_parts(memoryview(chunk))
            return
        if type(chunk) is memoryview and chunk.nbytes != size:
            await self.write(bytes(chunk))  # its items are no bytes
            return
        if self.on_chunk is not None:
            await self._call_back(self.on_chunk, chunk)
        self._untold += size
        self._sent_size += size if size >= LARGE_PIECE else max(size, SMALLEST_SHARE)
        if self._compressor is not None:
            chunk = self._compressor.compress(bytes(chunk))
            size = len(chunk)
        may_go_on = (
            self._sent_size < SENT_BYTES
            and self._is_running  # else a task that the payload has started writes this piece
            and monotonic() - self._running_since < GATHERED_SECONDS
        )
        if size >= LARGE_PIECE:
            waited = await self._send_alone(chunk)
        else:
            if size:  # an empty chunk would end a chunked body
                self._gather(chunk)
            if may_go_on and self._gathered_size < GATHERED_BYTES:
                return
            waited = await self._send(self._take())
        if not (waited or may_go_on):
            await checkpoint()

    async def _write_parts(self, view: memoryview) -> None:
        for start in range(0, len(view), LARGEST_PIECE):
            await self.write(view[start : start + LARGEST_PIECE])

    async def _call_back(
        self, on_chunk: Callable[[bytes], Awaitable[None]], chunk: bytes | memoryview
    ) -> None:
        if not chunk:
            return
        try:
            await on_chunk(bytes(chunk))
        except Exception as exc:
            self._unchanged = exc
            raise

    # -- what the socket gets

    def _count(self, size: int) -> None:
        if self._is_torn:
            self._raise_torn()
        self._written += size
        length = self._framing.content_length
        if length is not None and self._written > length:
            raise ClientPayloadError(
                f"the body is longer than the {length} bytes that Content-Length announces"
            )
        if self.state is not _WRITING:
            # The connection may have the next request already, which these bytes would be part of.
            raise ClientPayloadError("the body has ended, so nothing can be written any more")
        if self._written == length:
            self._move(_ENDING)

    def _gather(self, chunk: bytes | memoryview) -> None:
        size = len(chunk)
        self._count(size)
        # The payload may use a buffer for the next piece again, so bytes are needed.
        self._gathered.append(self._engine.send_data(bytes(chunk)))
        self._gathered_size += max(size, SMALLEST_PIECE)

    def _take(self) -> bytes:
        """Return what has been gathered."""
        gathered, self._gathered = self._gathered, []
        self._gathered_size = 0
        return gathered[0] if len(gathered) == 1 else b"".join(gathered)

    def _send_alone(self, chunk: bytes | memoryview) -> Awaitable[bool]:
        """Send a large piece, after what has been gathered, without copying it."""
        size = len(chunk)
        self._count(size)
        before, after = self._engine.frame(size)
        if self._gathered:
            before = self._take() + before
        return self._send(before, chunk, after) if before else self._send(chunk)

    async def _send(self, *pieces: bytes | memoryview) -> bool:
        """Send *pieces*, one after the other; return whether other tasks could run meanwhile."""
        waited = False
        while self._is_sending:
            waited = True
            self._sent = self._sent or anyio.Event()
            try:
                await self._sent.wait()
            except BaseException:
                self._tear()
                raise
        if self._rest_error is not None:
            raise self._rest_error
        if self._is_torn:
            self._raise_torn()
        stream = self._stream
        self._is_sending = True
        try:
            if len(pieces) == 1:
                sent = not (pieces[0] or self._engine.ends_apart) or stream.send_nowait(pieces[0])
            else:
                sent = stream.send_together_nowait(*pieces)
            if not sent:
                waited = True
                await self._drain()
                await self._send_gathered()
        except ClientConnectionError as exc:
            # If this task has been cancelled, and the socket closed because of that, raise that.
            await stream.checkpoint_if_cancelled()
            self._send_error = exc
            raise
        except BaseException:
            self._tear()
            raise
        finally:
            self._end_sending()
        self._tell_written()
        return waited

    def _tear(self) -> None:
        """Send nothing more, as a write was cancelled after it had taken what was gathered."""
        self._is_torn = True
        self._gathered.clear()

    def _raise_torn(self) -> NoReturn:
        raise ClientConnectionError("a write was cancelled: a part of the body is missing")

    async def _send_gathered(self) -> None:
        """Send what has been gathered while the caller of this waited for the socket."""
        while self._gathered and not self._is_running:
            if not self._stream.send_nowait(self._take()):
                await self._drain()

    async def _drain(self) -> None:
        """Wait until the socket has taken what was left over.

        :raises SendTimeout: it took longer than :attr:`send_seconds`
        """
        try:
            if self.send_seconds is None:
                return await self._stream.drain()
            with anyio.CancelScope(deadline=deadline_after(self.send_seconds)):
                return await self._stream.drain()
        except (ClientConnectionError, Expired):
            raise
        except Exception as exc:
            self._unchanged = exc
            raise
        raise SendTimeout("Timeout on sending data to socket")

    def _send_without_waiting(self) -> None:
        """Send what has been gathered, as the payload is about to wait."""
        try:
            if self._stream.send_nowait(self._take()):
                self._tell_written()
                return
        except (ClientConnectionError, Expired) as exc:
            if not self.scope.cancel_called:  # else the socket was closed because of that
                self._interrupt(exc)
            return
        self._is_sending = True
        self._rest_scope = scope = self.tasks.make_scope()
        self.tasks.start_soon(self._send_rest, scope=scope, unstarted=self._end_sending)

    async def _send_rest(self) -> None:
        """Send what the socket did not take at once, while the payload waits."""
        try:
            await self._drain()
            await self._send_gathered()
            self._tell_written()
        except Exception as exc:  # noqa: BLE001  (the task of the upload raises it)
            self._interrupt(exc)
        finally:
            self._end_sending()

    def _end_sending(self) -> None:
        self._is_sending = False
        if self._sent is not None:
            self._sent.set()
            self._sent = None

    def _interrupt(self, error: Exception) -> None:
        """End the upload, whose payload waits: no more can be sent."""
        self._rest_error = error
        if isinstance(error, ClientConnectionError):
            self._send_error = error
        self.scope.cancel()

    def _tell_written(self) -> None:
        size, self._untold = self._untold, 0
        if size and self.on_written is not None:
            self.on_written(size)


def _forget_frames(error: BaseException | None) -> None:
    """Remove the tracebacks of *error* and of its causes.

    Their frames lead to the upload, which keeps the error: a reference cycle.
    """
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


def _compressor(name: str | None) -> Compressor | None:
    if name is None:
        return None
    made: Compressor = zlib_backend().compressobj(
        wbits=zlib.MAX_WBITS + (16 if name == "gzip" else 0)
    )
    return made


def _request_error(error: Exception) -> Exception:
    """Return the exception of a request whose upload failed with *error*."""
    if isinstance(error, (ClientConnectionError, ClientPayloadError, Expired)):
        return error
    if isinstance(error, OSError):
        if error.errno is None:  # Python's own, such as that of a file open for writing alone
            return ClientOSError(errno.EIO, f"the body of the request cannot be read: {error!r}")
        return ClientOSError(error.errno, f"the body of the request cannot be read: {error}")
    return ClientConnectionError(f"the body of the request failed: {error!r}")
