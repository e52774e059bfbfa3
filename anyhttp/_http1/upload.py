"""The request's body on its way out: at once with the head, or beside the response."""

from __future__ import annotations

import math
import zlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, Protocol

import anyio
from anyio.lowlevel import checkpoint

from .._codings import (
    Compressor,
    zlib_backend,
)
from .._tasks import (
    Expired,
    deadline_after,
)
from ..client_exceptions import (
    ClientConnectionError,
    ClientOSError,
    ClientPayloadError,
)

if TYPE_CHECKING:
    from .._network import NetworkStream
    from ..payload import Payload
    from .engine import Engine
    from .upload_tracker import UploadTracker

__all__ = ("Outgoing", "Upload", "goes_inline", "upload_error")

#: A body up to this size, in bytes, goes out together with the head, in one send.  It fits
#: into every socket's send buffer, so a peer that answers before reading cannot block it.
INLINE_BODY: Final = 64 * 1024

#: How long ``Expect: 100-continue`` waits for a word of the server before the body is sent
#: all the same, in seconds (RFC 9110 §10.1.1 forbids to wait for ever).
CONTINUE_SECONDS: Final = 5.0


class Outgoing(Protocol):
    """What an exchange needs to know of a request, checked and in its final form."""

    method: str
    chunked: bool | None
    compress: str | None
    expect100: bool
    keep_alive: bool

    @property
    def payload(self) -> Payload | None: ...
    @property
    def content_length(self) -> int | None: ...
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


class Upload:
    """Writes a streamed body in a task of its own, beside the reading of the response.

    It never raises: what goes wrong is kept for whoever waits for the response.
    """

    __slots__ = ("_cancelled", "_compressor", "_engine", "_go_ahead", "_on_end", "_outgoing",
                 "_peer_left", "_scope", "_stream", "_watcher_failed", "_written", "done", "ending",
                 "error", "finished", "on_chunk", "tracker")  # fmt: skip

    def __init__(self, outgoing: Outgoing, engine: Engine, stream: NetworkStream) -> None:
        self._outgoing = outgoing
        self._engine = engine
        self._stream = stream
        self._scope = anyio.CancelScope()
        self._go_ahead = anyio.Event() if outgoing.expect100 else None
        self._on_end: Callable[[], None] | None = None
        self._written = 0
        self._peer_left = False
        self._cancelled = False  # the task that writes
        self._compressor = _compressor(outgoing.compress)
        #: all that is left is to send the last bytes, and to notice that they were sent
        self.ending = False
        #: the whole body is on its way
        self.finished = False
        #: what stopped it, other than :meth:`cancel`
        self.error: BaseException | None = None
        self.done = anyio.Event()
        #: awaited with each piece of the body before it is sent
        self.on_chunk: Callable[[bytes], Awaitable[None]] | None = None
        self._watcher_failed = False
        #: what the caller watches it by
        self.tracker: UploadTracker | None = None

    @property
    def broken(self) -> bool:
        """Whether the body itself failed; a peer that stops listening may still answer."""
        return self.error is not None and not self._peer_left

    def failure(self) -> Exception:
        """Return what the request fails with as this has failed.

        What ends programs, such as :exc:`KeyboardInterrupt`, is raised as it is.
        """
        assert self.error is not None
        if not isinstance(self.error, Exception):
            raise self.error
        failure = self.error if self._watcher_failed else upload_error(self.error)
        if failure is not self.error:
            failure.__cause__ = self.error
        return failure

    def watch(self, on_end: Callable[[], None] | None) -> None:
        """Have *on_end* called when this is over, well or badly."""
        self._on_end = on_end

    def cancel(self) -> None:
        """Stop writing; the connection is of no more use then."""
        self._scope.cancel()

    def hurry(self, seconds: float) -> None:
        """Come to the end within *seconds*, or be cancelled."""
        self._scope.deadline = min(self._scope.deadline, deadline_after(seconds))

    def go_ahead(self) -> None:
        """Start writing after ``100 Continue``."""
        if self._go_ahead is not None:
            self._go_ahead.set()

    def refuse(self) -> None:
        """Give up if ``100 Continue`` is still awaited: a final response came instead."""
        if self._go_ahead is not None and not self._go_ahead.is_set():
            self._scope.cancel()

    async def run(self) -> None:
        """Write the body to its end."""
        try:
            with self._scope:
                if self._go_ahead is not None:
                    with anyio.move_on_after(CONTINUE_SECONDS):
                        await self._go_ahead.wait()
                    self._go_ahead.set()
                await self._write()
                self.finished = True
        except Exception as exc:  # noqa: BLE001  (kept for the one who awaits the response)
            self.error = exc
        except anyio.get_cancelled_exc_class() as exc:
            # Whoever waits for the response need not have been cancelled too.
            self.error = ClientConnectionError("the body of the request was cancelled")
            self.error.__cause__ = exc
            if anyio.current_effective_deadline() == -math.inf:
                self._cancelled = True
                raise
            # Nobody has cancelled this task: the body waited for one of asyncio's that was.
            # Let out, it would cancel whoever has entered the session.
        except BaseException as exc:
            self.error = exc
            raise
        finally:
            self._end()

    def cancelled_early(self) -> None:
        """Fail, as the task has been cancelled before it could begin to :meth:`run` this."""
        self.error = ClientConnectionError("the body of the request was cancelled")
        self._end()

    def _end(self) -> None:
        self.done.set()
        if self.tracker is not None:
            self.tracker._end_attempt(sent=self.finished, error=self._shown_error())
        if self._on_end is not None:
            self._on_end()

    def _shown_error(self) -> Exception | None:
        """Return the error for those who do not wait for the response."""
        if self._cancelled:
            return None
        if isinstance(self.error, Expired):
            return TimeoutError("the request's total timeout ran out while its body was being sent")
        return upload_error(self.error) if isinstance(self.error, Exception) else None

    async def _write(self) -> None:
        outgoing = self._outgoing
        length = outgoing.content_length
        assert outgoing.payload is not None
        await outgoing.payload.write_with_length(self, length)
        if self._compressor is not None:
            await self._send(self._compressor.flush())
        if length is not None and self._written < length:
            raise ClientPayloadError(
                f"the body ended after {self._written} bytes, but Content-Length announces {length}"
            )
        self.ending = True
        if end := self._engine.send_end():
            await self._send_bytes(end)

    async def write(self, chunk: bytes) -> None:
        """Send one piece of the body; called by the payload."""
        if self.on_chunk is not None and chunk:
            await self._tell(self.on_chunk, chunk)
        size = len(chunk)
        if self._compressor is not None:
            chunk = self._compressor.compress(chunk)
        await self._send(chunk)
        if self.tracker is not None:
            self.tracker._wrote(size)
        # A socket that takes everything at once must not starve the other tasks.
        await checkpoint()

    async def _tell(self, on_chunk: Callable[[bytes], Awaitable[None]], chunk: bytes) -> None:
        try:
            await on_chunk(chunk)
        except Exception:
            self._watcher_failed = True  # its error is not one of the body
            raise

    async def _send(self, chunk: bytes) -> None:
        if chunk:  # an empty chunk would end a chunked body
            self._written += len(chunk)
            length = self._outgoing.content_length
            if length is not None and self._written > length:
                raise ClientPayloadError(
                    f"the body is longer than the {length} bytes that Content-Length announces"
                )
            self.ending = self._written == self._outgoing.content_length
            await self._send_bytes(self._engine.send_data(chunk))

    async def _send_bytes(self, data: bytes) -> None:
        try:
            await self._stream.send(data)
        except ClientConnectionError:
            self._peer_left = True
            raise


def _compressor(name: str | None) -> Compressor | None:
    if name is None:
        return None
    made: Compressor = zlib_backend().compressobj(
        wbits=zlib.MAX_WBITS + (16 if name == "gzip" else 0)
    )
    return made


def upload_error(error: Exception | None) -> Exception:
    """Return what a failed upload means for the request."""
    if isinstance(error, (ClientConnectionError, ClientPayloadError, Expired)):
        return error
    if isinstance(error, OSError):
        return ClientOSError(error.errno, f"the body of the request cannot be read: {error}")
    return ClientConnectionError(f"the body of the request failed: {error!r}")
