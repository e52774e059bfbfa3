"""Sending the body of a request: together with the head, or in a task beside the response."""

from __future__ import annotations

import enum
import errno
import math
import zlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

import anyio
from anyio.lowlevel import checkpoint

from .._codings import Compressor, zlib_backend
from .._tasks import Expired, deadline_after
from ..client_exceptions import ClientConnectionError, ClientOSError, ClientPayloadError

if TYPE_CHECKING:
    from .._network import NetworkStream
    from .._tasks import HelperTasks
    from ..payload import Payload
    from .engine import Engine
    from .request_framing import Framing

__all__ = ("Outgoing", "Upload", "UploadState", "goes_inline")

#: A body up to this size, in bytes, is sent together with the head, in one call.  It fits into
#: the send buffer of every socket, so a peer that answers before reading cannot block the call.
INLINE_BODY: Final = 64 * 1024

#: How long to wait for ``100 Continue`` before the body is sent without it, in seconds
#: (RFC 9110 §10.1.1 forbids waiting for ever).
CONTINUE_SECONDS: Final = 5.0


class Outgoing(Protocol):
    """What an exchange needs of a request, checked and ready to be sent."""

    method: str
    framing: Framing
    keep_alive: bool

    @property
    def payload(self) -> Payload | None: ...
    @property
    def http10(self) -> bool: ...


def goes_inline(body: Payload | None, compress: str | None, expect100: bool) -> bool:
    """Whether *body* is sent together with the head, without a task of its own."""
    if body is None:
        return True
    if expect100 or compress is not None:
        return False
    data = body.in_memory()
    return data is not None and len(data) <= INLINE_BODY


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


class Upload:
    """Sends a streamed body in a task of its own, while another task reads the response.

    Errors do not leave that task: they are kept in :attr:`error` for the task that reads the
    response.  Only exceptions that end programs and cancellations of the task itself are raised.
    """

    __slots__ = ("_callback_error", "_compressor", "_continued", "_engine", "_failure", "_framing",
                 "_over", "_payload", "_scope", "_send_error", "_stream", "_written", "error",
                 "on_chunk", "on_written", "state", "tasks", "when_over")  # fmt: skip

    def __init__(
        self, payload: Payload, framing: Framing, engine: Engine, stream: NetworkStream
    ) -> None:
        self._payload = payload
        self._framing = framing
        self._engine = engine
        self._stream = stream
        self._compressor = _compressor(framing.compress)
        self._scope = anyio.CancelScope()
        self._continued: anyio.Event | None = None  # made by the task that waits for it
        self._over = anyio.Event()
        self._written = 0
        self._send_error: ClientConnectionError | None = None
        self._callback_error: Exception | None = None
        self._failure: Exception | None = None  # the exception that the tracker has got
        #: changed by :meth:`_move` only
        self.state: UploadState = _WAITING if framing.expect_continue else _WRITING
        #: the error that ended the upload, set at its end; ``None`` after :meth:`cancel`
        self.error: BaseException | None = None
        #: the helper tasks of which one calls :meth:`run`; ``None`` until it has been started
        self.tasks: HelperTasks | None = None
        #: called in this order when the upload has ended, with or without success
        self.when_over: list[Callable[[], object]] = []
        #: awaited with each piece of the body before it is sent
        self.on_chunk: Callable[[bytes], Awaitable[None]] | None = None
        #: called with the size of each piece, before compression, after it has been sent
        self.on_written: Callable[[int], object] | None = None

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
            told = self._callback_error is not None
            failure = self.error if told else _request_error(self.error)
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
        self.error = self._send_error = self._callback_error = self._failure = None

    def start_writing(self) -> None:
        """Send the body now, if the upload is waiting for ``100 Continue``."""
        if self.state is _WAITING:
            self._move(_WRITING)
            if self._continued is not None:
                self._continued.set()

    def cancel(self) -> None:
        """Stop sending; the connection cannot be used again then."""
        self._call_task(self._scope.cancel)

    def cancel_after(self, seconds: float) -> None:
        """Stop sending if the upload does not end within *seconds*."""
        self._call_task(partial(self._limit, seconds))

    def _limit(self, seconds: float) -> None:
        self._scope.deadline = min(self._scope.deadline, deadline_after(seconds))

    def _call_task(self, function: Callable[[], object]) -> None:
        """Call *function* in the event loop of the task; a session may be closed in another one."""
        assert self.tasks is not None
        self.tasks.call(function)

    def cancel_unless_started(self) -> None:
        """Stop if ``100 Continue`` is still awaited: the final response has come instead."""
        if self.state is _WAITING:
            self._scope.cancel()

    def fail_unstarted(self) -> None:
        """Fail, because the task was cancelled before it could call :meth:`run`."""
        self.error = ClientConnectionError("the body of the request was cancelled")
        self._end(_FAILED)

    async def wait_over(self) -> None:
        """Wait until the upload has ended, with or without success."""
        await self._over.wait()

    async def run(self) -> None:
        """Send the whole body."""
        final = _CANCELLED  # stays if the scope swallows a cancellation
        try:
            with self._scope:
                if self.state is _WAITING:
                    self._continued = anyio.Event()
                    with anyio.move_on_after(CONTINUE_SECONDS):
                        await self._continued.wait()
                    self.start_writing()
                await self._write()
                final = _SENT
        except Exception as exc:  # noqa: BLE001  (kept for the task that awaits the response)
            self.error = exc
            final = _FAILED
            if self._send_error is not None:
                final = _PEER_LEFT
                _forget_frames(exc)
        except anyio.get_cancelled_exc_class() as exc:
            # The task that waits for the response may not have been cancelled: it gets this error.
            self.error = ClientConnectionError("the body of the request was cancelled")
            self.error.__cause__ = exc
            if anyio.current_effective_deadline() == -math.inf:
                raise
            # This task was not cancelled: the body awaited another asyncio task, which was.  If
            # the exception left this task, it would cancel the block that entered the session.
            final = _FAILED
        except BaseException as exc:
            self.error = exc
            final = _FAILED
            raise
        finally:
            self._end(final)

    def _end(self, state: UploadState) -> None:
        self._move(state)
        self._over.set()
        callbacks, self.when_over = self.when_over, []  # ends reference cycles with their objects
        for callback in callbacks:
            callback()

    async def _write(self) -> None:
        length = self._framing.content_length
        await self._payload.write_with_length(self, length)
        if self._compressor is not None:
            await self._send(self._compressor.flush())
        if length is not None and self._written < length:
            raise ClientPayloadError(
                f"the body ended after {self._written} bytes, but Content-Length announces {length}"
            )
        if self.state is _WRITING:
            self._move(_ENDING)
        if end := self._engine.send_end():
            await self._send_bytes(end)

    async def write(self, chunk: bytes) -> None:
        """Send one piece of the body; called by the payload."""
        if self.on_chunk is not None and chunk:
            await self._call_back(self.on_chunk, chunk)
        size = len(chunk)
        if self._compressor is not None:
            chunk = self._compressor.compress(chunk)
        await self._send(chunk)
        if self.on_written is not None:
            self.on_written(size)
        # If the socket takes everything at once, sending does not wait: let other tasks run here.
        await checkpoint()

    async def _call_back(self, on_chunk: Callable[[bytes], Awaitable[None]], chunk: bytes) -> None:
        try:
            await on_chunk(chunk)
        except Exception as exc:
            self._callback_error = exc  # to tell it from an error of the body
            raise

    async def _send(self, chunk: bytes) -> None:
        if chunk:  # an empty chunk would end a chunked body
            self._written += len(chunk)
            length = self._framing.content_length
            if length is not None and self._written > length:
                raise ClientPayloadError(
                    f"the body is longer than the {length} bytes that Content-Length announces"
                )
            if self._written == length:
                self._move(_ENDING)
            await self._send_bytes(self._engine.send_data(chunk))

    async def _send_bytes(self, data: bytes) -> None:
        try:
            await self._stream.send(data)
        except ClientConnectionError as exc:
            self._send_error = exc
            raise


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
