"""The request's body on its way out: at once with the head, or beside the response."""

from __future__ import annotations

import enum
import math
import zlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, Protocol

import anyio
from anyio.lowlevel import checkpoint

from .._codings import Compressor, zlib_backend
from .._tasks import Expired, deadline_after
from ..client_exceptions import ClientConnectionError, ClientOSError, ClientPayloadError

if TYPE_CHECKING:
    from .._network import NetworkStream
    from ..payload import Payload
    from .engine import Engine
    from .request_framing import Framing

__all__ = ("Outgoing", "Upload", "UploadState", "goes_inline")

#: A body up to this size, in bytes, goes out together with the head, in one send.  It fits
#: into every socket's send buffer, so a peer that answers before reading cannot block it.
INLINE_BODY: Final = 64 * 1024

#: How long ``Expect: 100-continue`` waits for a word of the server before the body is sent
#: all the same, in seconds (RFC 9110 §10.1.1 forbids to wait for ever).
CONTINUE_SECONDS: Final = 5.0


class Outgoing(Protocol):
    """What an exchange needs to know of a request, checked and in its final form."""

    method: str
    framing: Framing
    keep_alive: bool

    @property
    def payload(self) -> Payload | None: ...
    @property
    def http10(self) -> bool: ...


def goes_inline(body: Payload | None, compress: str | None, expect100: bool) -> bool:
    """Whether *body* goes out together with the head, without a task that writes it."""
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

    #: the states that can follow; tuples, as an enum's hash would cost more than the search
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
    """Writes a streamed body in a task of its own, beside the reading of the response.

    It never raises: what goes wrong is kept for whoever waits for the response.
    """

    __slots__ = ("_callback_error", "_compressor", "_continued", "_engine", "_framing", "_over",
                 "_payload", "_scope", "_send_error", "_stream", "_written", "error", "on_chunk",
                 "on_written", "state", "when_over")  # fmt: skip

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
        #: changed by :meth:`_move` only
        self.state: UploadState = _WAITING if framing.expect_continue else _WRITING
        #: what stopped it, other than :meth:`cancel`; known when it is over
        self.error: BaseException | None = None
        #: called in this order when it is over, well or badly
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
        """Whether no task writes it any more, or will."""
        return not self.state.moves

    @property
    def is_sent(self) -> bool:
        """Whether all of the body has been sent."""
        return self.state is _SENT

    @property
    def is_ending(self) -> bool:
        """Whether all that is left is to send the last bytes, if anything is."""
        return self.state is _ENDING or self.state is _SENT

    @property
    def is_broken(self) -> bool:
        """Whether the body itself failed; a peer that stops listening may still answer."""
        return self.error is not None and self.state is not _PEER_LEFT

    def failure(self) -> Exception:
        """Return what the request fails with as this has failed.

        What ends programs, such as :exc:`KeyboardInterrupt`, is raised as it is.
        """
        assert self.error is not None
        if not isinstance(self.error, Exception):
            raise self.error
        failure = self.error if self._callback_error is not None else _request_error(self.error)
        if failure is not self.error:
            failure.__cause__ = self.error
        return failure

    def failure_for_tracker(self) -> Exception | None:
        """Return what those are told who watch the upload and not the response.

        That is ``None`` if all was sent, or if sending was ended by somebody else.
        """
        if self.state is _CANCELLED:
            return None
        if isinstance(self.error, Expired):
            return TimeoutError("the request's total timeout ran out while its body was being sent")
        return _request_error(self.error) if isinstance(self.error, Exception) else None

    def start_writing(self) -> None:
        """Send the body now if it waits for ``100 Continue``, which has come."""
        if self.state is _WAITING:
            self._move(_WRITING)
            if self._continued is not None:
                self._continued.set()

    def cancel(self) -> None:
        """Stop writing; the connection is of no more use then."""
        self._scope.cancel()

    def cancel_after(self, seconds: float) -> None:
        """Stop writing if it is not over within *seconds*."""
        self._scope.deadline = min(self._scope.deadline, deadline_after(seconds))

    def cancel_unless_started(self) -> None:
        """Give up if ``100 Continue`` is still awaited: a final response came instead."""
        if self.state is _WAITING:
            self._scope.cancel()

    def fail_unstarted(self) -> None:
        """Fail, as the task has been cancelled before it could begin to :meth:`run` this."""
        self.error = ClientConnectionError("the body of the request was cancelled")
        self._end(_FAILED)

    async def wait_over(self) -> None:
        """Wait until it is over, well or badly."""
        await self._over.wait()

    async def run(self) -> None:
        """Write the body to its end."""
        final = _CANCELLED  # unless it comes to an end by itself
        try:
            with self._scope:
                if self.state is _WAITING:
                    self._continued = anyio.Event()
                    with anyio.move_on_after(CONTINUE_SECONDS):
                        await self._continued.wait()
                    self.start_writing()
                await self._write()
                final = _SENT
        except Exception as exc:  # noqa: BLE001  (kept for the one who awaits the response)
            self.error = exc
            final = _FAILED if self._send_error is None else _PEER_LEFT
        except anyio.get_cancelled_exc_class() as exc:
            # Whoever waits for the response need not have been cancelled too.
            self.error = ClientConnectionError("the body of the request was cancelled")
            self.error.__cause__ = exc
            if anyio.current_effective_deadline() == -math.inf:
                raise
            # Nobody has cancelled this task: the body waited for one of asyncio's that was.
            # Let out, it would cancel whoever has entered the session.
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
        callbacks, self.when_over = self.when_over, []  # whose objects hold this one
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
        # A socket that takes everything at once must not starve the other tasks.
        await checkpoint()

    async def _call_back(self, on_chunk: Callable[[bytes], Awaitable[None]], chunk: bytes) -> None:
        try:
            await on_chunk(chunk)
        except Exception as exc:
            self._callback_error = exc  # which is not one of the body
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


def _compressor(name: str | None) -> Compressor | None:
    if name is None:
        return None
    made: Compressor = zlib_backend().compressobj(
        wbits=zlib.MAX_WBITS + (16 if name == "gzip" else 0)
    )
    return made


def _request_error(error: Exception) -> Exception:
    """Return what a failed upload means for the request."""
    if isinstance(error, (ClientConnectionError, ClientPayloadError, Expired)):
        return error
    if isinstance(error, OSError):
        return ClientOSError(error.errno, f"the body of the request cannot be read: {error}")
    return ClientConnectionError(f"the body of the request failed: {error!r}")
