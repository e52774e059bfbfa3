"""One request and its response on one connection."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

import anyio
from anyio.lowlevel import checkpoint

from .._tasks import Expired, deadline_after
from ..client_exceptions import (
    ClientConnectionError,
    ClientConnectionResetError,
    ClientError,
    ClientOSError,
    ClientPayloadError,
    ServerDisconnectedError,
    SocketTimeoutError,
)
from ..streams import DEFAULT_LIMIT, EMPTY_PAYLOAD, StreamReader
from .connection import BUSY, IDLE, Connection, Http1Connection, Phase
from .heads import UNTIL_EOF, Head
from .response_body import ResponseBody
from .response_grammar import Limits, ParseError
from .upload import Outgoing, Upload, goes_inline

if TYPE_CHECKING:
    from .._network import NetworkStream
    from .._tasks import Watchdog

__all__ = (
    "Exchange",
    "MalformedResponse",
)

#: What is read and thrown away to keep a connection: bytes, and seconds.
DRAIN_BYTES: Final = 64 * 1024


DRAIN_SECONDS: Final = 1.0


#: Heads with status 1xx that may come before the final one.
MAX_INFORMATIONAL: Final = 32


_READ_TIMEOUT: Final = "Timeout on reading data from socket"


class MalformedResponse(ClientError):
    """The response head breaks HTTP/1.1; whoever knows the request says for which one."""


class Exchange:
    """One request and its response, from the head that is sent to the last byte received.

    It owns the connection from its first byte to one synchronous :meth:`release` or
    :meth:`close`, and it is what a response's :class:`StreamReader` pulls from.
    """

    __slots__ = ("_body", "_engine", "_head", "_heads", "_http1", "_outgoing", "_read_size",
                 "_registry", "_scope", "_send_error", "_sock_read", "_total_at", "_watchdog",
                 "connection", "on_end", "read_limit", "reused", "upload")  # fmt: skip

    def __init__(
        self,
        connection: Connection,
        outgoing: Outgoing,
        limits: Limits,
        total_at: float = math.inf,
        sock_read: float | None = None,
        watchdog: Watchdog | None = None,
        registry: set[Exchange] | None = None,
    ) -> None:
        #: the connection in use, ``None`` once it has been given back
        self.connection: Connection | None = connection
        #: whether the connection had carried a request before
        self.reused: bool = connection.reused
        http1 = connection.protocol
        assert http1 is not None  # it has not been given back before it is used
        self._http1: Http1Connection = http1
        self._outgoing = outgoing
        self._engine = http1.start(limits)
        self._total_at = total_at
        self._watchdog = watchdog
        self._registry = registry
        if registry is not None:
            registry.add(self)
        self._send_error: ClientOSError | None = None
        self._sock_read = sock_read
        #: the writer of a streamed body
        self.upload: Upload | None = None
        self._scope: anyio.CancelScope | None = None
        self._heads = 0
        self._head: Head | None = None  # the final one
        self._body: ResponseBody | None = None  # if there is one that did not come with the head
        self._read_size = 0
        #: low-water mark of the reader, once :meth:`open_body` has been told
        self.read_limit: int = DEFAULT_LIMIT
        #: called once, when the connection has been given back
        self.on_end: Callable[[], None] | None = None

    # -- sending, and the head of the response

    @property
    def is_received(self) -> bool:
        """Whether the response has been received to its end."""
        return self._engine.complete

    @property
    def has_response(self) -> bool:
        """Whether any byte of a response has arrived."""
        return self._engine.has_started

    @property
    def send_error(self) -> ClientOSError | None:
        """What sending the head, and a small body with it, failed with."""
        return self._send_error

    async def send(self, target: str, fields: Sequence[tuple[str, str]]) -> Upload | None:
        """Send the head, and the body if it is small; else return the writer to be run.

        A peer that does not take the request may have answered already, so its refusal is
        kept for :meth:`receive_head`.
        """
        outgoing, engine = self._outgoing, self._engine
        payload, framing = outgoing.payload, outgoing.framing
        stream = self._http1.stream
        data = engine.send_head(
            outgoing.method, target, fields, http10=outgoing.http10, chunked=framing.chunked
        )
        upload: Upload | None = None
        if payload is None:
            data += engine.send_end()
        elif goes_inline(payload, framing.compress, framing.expect_continue):
            if body := payload.in_memory():
                data += engine.send_data(body[: framing.content_length])
            data += engine.send_end()
        else:
            upload = Upload(payload, framing, engine, stream)
        stream.set_deadline(self._total_at, self._watchdog)
        try:
            await stream.send(data)
        except ClientOSError as exc:
            self._send_error = exc
        return upload

    def attach(self, upload: Upload) -> None:
        """Wait from now on for *upload* too, whose task has been started."""
        self.upload = upload
        upload.when_over.append(self._upload_ended)

    def receive_head(self) -> Awaitable[Head]:
        """Return the head of the final response, when awaited.

        :raises ServerDisconnectedError: the connection was closed before
        :raises ClientOSError: it broke before
        :raises MalformedResponse: the response is not HTTP/1.1
        :raises SocketTimeoutError: nothing arrived for ``sock_read`` seconds
        :raises Expired: the ``total`` time is over
        :raises ClientConnectionError: the body to send failed
        """
        upload = self.upload
        return self._read_head() if upload is None else self._read_head_beside(upload)

    async def _read_head_beside(self, upload: Upload) -> Head:
        # Whatever ends the upload has to reach the one who waits here.
        with anyio.CancelScope() as self._scope:
            return await self._read_head()
        if upload.error is not None:
            await checkpoint()  # what cancelled the upload may have cancelled this task too
            raise upload.failure()
        raise SocketTimeoutError(_READ_TIMEOUT)

    def _upload_ended(self) -> None:
        """Called in the writer's task."""
        upload = self.upload
        assert upload is not None
        if self._head is not None and self._engine.complete:
            self._finish()
        elif not upload.is_broken:
            self._limit_wait()
        elif self._scope is not None:
            self._scope.cancel()

    def _limit_wait(self) -> None:
        """Count ``sock_read`` from now."""
        if self._scope is not None and self._sock_read:
            self._scope.deadline = deadline_after(self._sock_read)

    async def _read_head(self) -> Head:
        engine = self._engine
        stream = self._http1.stream
        while True:
            try:
                if self._sock_read:
                    data = await self._receive_timed()
                else:
                    data = await stream.receive()
                if not data:
                    self._raise_if_unsent()
                    raise ServerDisconnectedError
                if self.connection is None:
                    raise ClientConnectionResetError("the connection has been closed")
                engine.receive(data)
                if engine.head is not None and (head := self._final_head()) is not None:
                    return head
            except ClientOSError:
                self._raise_if_unsent()
                raise
            except ParseError as exc:
                raise MalformedResponse(str(exc)) from exc

    def _final_head(self) -> Head | None:
        """Return the head of the final response if it has come, after those with status 1xx.

        :raises ParseError: the head that follows one of them is not HTTP/1.1
        """
        engine, upload = self._engine, self.upload
        while (head := engine.head) is not None:
            self._heads += 1
            if self._heads > MAX_INFORMATIONAL:
                raise MalformedResponse(f"more than {MAX_INFORMATIONAL} informational heads")
            if head.status >= 200 or head.status == 101:
                self._head = head
                if upload is not None:
                    upload.cancel_unless_started()
                return head
            if head.status == 100 and upload is not None:
                upload.start_writing()
            engine.next_response()
        return None

    async def _receive_timed(self) -> bytes:
        """Receive bytes within ``total`` and, once the body is sent, ``sock_read``.

        :raises Expired: the ``total`` time is over
        :raises SocketTimeoutError: nothing arrived for ``sock_read`` seconds
        """
        stream = self._http1.stream
        if self.upload is not None:
            # The end of the upload, in another task, begins the time of this wait.
            if self.upload.is_sent:
                self._limit_wait()
            return await stream.receive()
        read_at = deadline_after(self._sock_read)
        if read_at >= self._total_at:
            stream.set_deadline(self._total_at, self._watchdog)
            return await stream.receive()
        stream.set_deadline(read_at, self._watchdog)
        try:
            return await stream.receive()
        except Expired:
            raise SocketTimeoutError(_READ_TIMEOUT) from None
        finally:
            # The peer's time runs only while it is waited for.
            stream.set_deadline(self._total_at, self._watchdog)

    def _raise_if_unsent(self) -> None:
        """Raise what sending ended with: without a response, that is the news."""
        if self._send_error is not None:
            raise self._send_error
        if self.upload is not None and self.upload.error is not None:
            raise self.upload.failure()

    # -- the body of the response

    def open_body(
        self,
        *,
        limit: int,
        auto_decompress: bool,
        read_until_eof: bool = True,
        max_body_size: int | None = None,
    ) -> StreamReader | bytes:
        """Return the reader of the body, or the body itself if it came with the head.

        Call it once, after :meth:`receive_head`.
        """
        head = self._head
        assert head is not None
        if head.status == 101:
            return EMPTY_PAYLOAD
        self.read_limit = limit
        if self._engine.complete:
            whole = self._whole_body(head, max_body_size)
            if whole is not None:
                self._finish()
                return whole or EMPTY_PAYLOAD
        if head.length == UNTIL_EOF and not read_until_eof:
            self.close()
            return EMPTY_PAYLOAD
        reader = StreamReader(self, limit)
        self._read_size = reader.get_read_buffer_limits()[1]
        self._body = body = ResponseBody(self._engine, head, reader, max_size=max_body_size)
        try:
            body.start(self._finish, decode=auto_decompress)
        except ClientPayloadError as exc:
            self._fail(exc)
        return reader

    def _whole_body(self, head: Head, max_size: int | None) -> bytes | None:
        """Return the body that came with the head, ``None`` if it takes more to read it."""
        pieces = self._engine.pieces
        if not pieces:
            return b""
        if head.length <= 0 or head.content_encoding:
            return None
        if max_size is not None and head.length > max_size:
            return None
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def pull(self) -> None:
        """Feed the reader: at least one piece, the end, or an exception."""
        upload = self.upload
        if upload is not None and upload.is_broken:
            await self._fail_by_upload(upload)
            return
        if upload is None:
            await self._pull()
            return
        with anyio.CancelScope() as self._scope:
            await self._pull()
        if self._scope.cancelled_caught:
            await self._fail_by_upload(upload)

    def pull_nowait(self) -> None:
        """Feed the reader with what has been received already, which may be nothing."""
        if self._body is not None:
            try:
                self._body.feed(self._finish)
            except ClientPayloadError as exc:
                self._fail(exc, exc.__cause__)

    async def _fail_by_upload(self, upload: Upload) -> None:
        """Say what ended the wait: the upload, or the time that its end began."""
        await checkpoint()  # what cancelled the upload may have cancelled this task too
        if upload.error is None:
            self._fail(SocketTimeoutError(_READ_TIMEOUT))
        elif isinstance(upload.error, Expired):
            self._fail(_total_timeout())
        else:
            failure = upload.failure()
            self._fail(failure, failure.__cause__)

    async def _pull(self) -> None:
        body, stream = self._body, self._http1.stream
        assert body is not None
        try:
            while not body.feed(self._finish):
                if self._engine.error is not None:
                    raise self._engine.error
                if self._sock_read:
                    data = await self._receive_timed()
                else:
                    data = await stream.receive(min(self._engine.wanted, self._read_size))
                if self.connection is None:
                    break
                self._engine.receive(data)
        except Expired:
            self._fail(_total_timeout())
        except SocketTimeoutError as exc:
            self._fail(exc)
        except ClientPayloadError as exc:
            self._fail(exc, exc.__cause__)
        except ParseError as exc:
            self._fail(ClientPayloadError(f"Response payload is not completed: {exc}"), exc)
        except ClientConnectionError as exc:
            if self.connection is not None:
                self._fail(ClientPayloadError(f"Response payload is not completed: {exc}"), exc)
        closed = self.connection is None and not self._engine.complete
        if closed and body.reader.exception() is None:
            # by another task, while this one was waiting
            body.reader.set_exception(ClientConnectionError("Connection closed"))

    def _fail(self, error: Exception, cause: BaseException | None = None) -> None:
        error.__cause__ = cause
        self.close()
        assert self._body is not None
        self._body.reader.set_exception(error)

    def also_on_end(self, callback: Callable[[], None]) -> None:
        """Call *callback* when the connection has been given back, after what is called already."""
        before = self.on_end

        def both() -> None:
            if before is not None:
                before()
            callback()

        self.on_end = both

    def lend_away(self) -> tuple[NetworkStream, bytes]:
        """After a 101: return the stream for another protocol, and the bytes that came of it.

        The connection stays held until :meth:`close`; none of the request's time limits holds
        for it any more.

        :raises ClientConnectionResetError: it has been closed meanwhile, with the session
        """
        if self.connection is None:
            raise ClientConnectionResetError("the connection has been closed")
        stream, engine = self._http1.stream, self._engine
        self._http1.move(Phase.LENT_AWAY)
        stream.set_deadline(math.inf, self._watchdog)
        stream.end_deadline(self._watchdog)
        surplus, engine.surplus = engine.surplus, b""
        return stream, surplus

    # -- the end

    def _finish(self) -> None:
        """The response has been received: give the connection back, unless a body goes out."""
        if self.connection is None:
            return
        upload = self.upload
        if upload is not None and not upload.is_over:
            return  # _upload_ended comes back here
        engine, head = self._engine, self._head
        assert head is not None
        if (
            head.keep_alive
            and self._outgoing.keep_alive
            and not engine.surplus
            and (upload is None or upload.is_sent)
            and self._http1.phase is BUSY
            and not self._http1.stream.for_one_exchange
        ):
            self._http1.move(IDLE)
            self._end(self.connection.release)
        else:
            self.close()

    def release(self) -> None:
        """Give the connection back if the response was received, else close it."""
        if self.connection is None:
            return
        upload = self.upload
        if self._engine.complete and (upload is None or upload.is_over):
            self._finish()
        elif self._engine.complete and upload is not None and upload.is_ending:
            upload.cancel_after(DRAIN_SECONDS)  # _upload_ended gives the connection back
        else:
            self.close()

    def close(self) -> None:
        """Close the connection and free its slot at once; a body going out is cut short."""
        if self.connection is None:
            return
        if self.upload is not None and not self.upload.is_over:
            self.upload.cancel()
        self._end(self.connection.close)

    def _end(self, give_back: Callable[[], None]) -> None:
        self.connection = None
        self._http1.stream.end_deadline(self._watchdog)
        if self._registry is not None:
            self._registry.discard(self)
        give_back()
        if self.on_end is not None:
            self.on_end()

    @property
    def is_sending(self) -> bool:
        """Whether a task writes the body."""
        return self.upload is not None and not self.upload.is_over

    def checkpoint_if_cancelled(self) -> Awaitable[None]:
        """Let the caller be cancelled, if there is cause to, in the cheapest way there is."""
        stream = self._http1.stream
        return stream.checkpoint_if_cancelled()

    async def wait_sent(self) -> None:
        """Wait until the body has been sent.

        :raises TimeoutError: the ``total`` time is over; the connection is closed then
        """
        with anyio.CancelScope(deadline=self._total_at) as scope:
            await self.wait_stopped()
        if scope.cancelled_caught:
            self.close()
            raise TimeoutError("the request's total timeout ran out while its body was being sent")

    async def wait_stopped(self) -> None:
        """Wait until no task writes the body any more, after it has been sent or cut short."""
        if self.upload is not None:
            await self.upload.wait_over()

    async def drain(self) -> None:
        """Throw the rest of the body away: undecoded, and only if that is quick.

        :raises Expired: the ``total`` time is over
        """
        engine = self._engine
        engine.pieces.clear()
        if self.upload is not None and not self.upload.is_ending:
            self.close()
        left = DRAIN_BYTES if engine.error is None else 0
        with anyio.move_on_after(DRAIN_SECONDS):
            while self.connection is not None and not engine.complete and left > 0:
                try:
                    data = await self._http1.stream.receive()
                    engine.receive(data)
                except (ParseError, ClientConnectionError):
                    break
                engine.pieces.clear()
                left -= len(data)
        self.release()
        await self.wait_stopped()


def _total_timeout() -> TimeoutError:
    return TimeoutError("the request's total timeout ran out while its body was being read")
