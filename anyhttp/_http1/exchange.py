"""One request and its response on one connection."""

from __future__ import annotations

import errno
import math
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

import anyio
from anyio.lowlevel import checkpoint

from .._headers import HeaderBlock
from .._tasks import Expired, clock, deadline_after
from ..client_exceptions import (
    ClientConnectionError,
    ClientConnectionResetError,
    ClientError,
    ClientOSError,
    ClientPayloadError,
    ClientSSLError,
    ServerDisconnectedError,
    SocketTimeoutError,
)
from ..streams import (
    DEFAULT_LIMIT,
    EMPTY_PAYLOAD,
    StreamReader,
    begin_response,
    total_timeout,
)
from .connection import BUSY, Connection, ExchangeProtocol
from .heads import UNTIL_EOF, Head
from .response_body import BodyOptions, ResponseBody, whole_body
from .response_grammar import Limits, ParseError
from .unread import OpenExchanges, UnreadBody
from .upload import Upload, inline_body

if TYPE_CHECKING:
    from .._tasks import HelperTasks, Watchdog
    from .interfaces import LentStream, Outgoing

__all__ = (
    "Exchange",
    "MalformedResponse",
)

#: How much of a body is discarded to keep its connection, in bytes, and for how long, in seconds.
DRAIN_BYTES: Final = 64 * 1024


DRAIN_SECONDS: Final = 1.0


#: Heads with status 1xx that may come before the final one.
MAX_INFORMATIONAL: Final = 32


#: How often to try to decode the beginning of a body in a plain call.
MAX_DECODING_STEPS: Final = 8


_READ_TIMEOUT: Final = "Timeout on reading data from socket"


class _UploadBroken(Exception):
    """The body of the request failed, so the response is not awaited any longer."""


class MalformedResponse(ClientError):
    """The response head is not HTTP/1.1; the caller translates this, adding the request."""


# Without __slots__, like all objects that each call makes: Python creates them faster then.
class Exchange:
    """One request and its response, from the head that is sent to the last byte received.

    An exchange owns its connection until :meth:`release` or :meth:`close`, which are plain calls.
    The :class:`StreamReader` of a response gets its data by :meth:`pull`.
    """

    #: the writer of a streamed body
    upload: Upload | None = None

    _send_error: ClientOSError | None = None
    _informational = 0  # heads with status 1xx
    _body: ResponseBody | None = None  # None also if the whole body came with the head

    # What each exchange changes is set here: setting what only the class has is slower.
    def __init__(
        self,
        connection: Connection,
        outgoing: Outgoing,
        limits: Limits,
        total_at: float = math.inf,
        sock_read: float | None = None,
        watchdog: Watchdog | None = None,
        registry: OpenExchanges[Exchange] | None = None,
    ) -> None:
        #: the connection in use, ``None`` once it has been given back
        self.connection: Connection | None = connection
        #: called once, when the connection has been given back
        self.on_end: Callable[[], None] | None = None
        #: whether the connection had carried a request before
        self.reused: bool = connection.reused
        protocol = connection.protocol
        assert protocol is not None  # a connection that has just been lent has not been given back
        self._protocol: ExchangeProtocol = protocol
        self._outgoing = outgoing
        self._engine = protocol.start(limits)
        #: when the ``total`` time is over, on anyio's clock
        self.total_at: float = total_at
        self._watchdog = watchdog
        # The session's, while the program reads the body that of one body.
        self._registry: OpenExchanges[Exchange] | UnreadBody[Exchange] | None = registry
        if registry is not None:
            registry.add(self)
        self._sock_read = sock_read
        self._head: Head | None = None  # the final one
        #: low-water mark of the reader, set by :meth:`open_body`
        self.read_limit: int = DEFAULT_LIMIT

    # -- sending, and the head of the response

    @property
    def is_received(self) -> bool:
        """Whether the response has been received to its end."""
        return self._engine.complete

    @property
    def switches(self) -> bool:
        """Whether another protocol follows the head of the response."""
        return self._head is not None and self._head.switches

    @property
    def trailers(self) -> Sequence[tuple[bytes, bytes]]:
        """The trailer fields of the response, as far as it has been received to its end."""
        return self._engine.trailers

    @property
    def has_response(self) -> bool:
        """Whether any byte of a response has arrived."""
        return self._engine.has_started

    @property
    def is_unprocessed(self) -> bool:
        """Whether the peer has said that it did nothing with the request: it is safe to repeat."""
        return self._engine.is_unprocessed

    @property
    def needs_http1(self) -> bool:
        """Whether the peer has said that it answers the request by HTTP/1.1 alone."""
        return self._engine.needs_http1

    @property
    def peer(self) -> object:
        """The address of the peer, as its socket tells it: a host and a port, or a path.

        ``None`` if there is none, or the connection has been closed.
        """
        return self._protocol.stream.extra_info("peername")

    @property
    def send_error(self) -> ClientOSError | None:
        """The error of sending the head and a small body, if there was one."""
        return self._send_error

    async def send(
        self, target: str, fields: HeaderBlock | Sequence[tuple[str, str]]
    ) -> Upload | None:
        """Send the head, and the body if it is small; else return the upload, to be run in a task.

        If sending fails, the peer may still have sent a response.  So the error is kept, and
        :meth:`receive_head` raises it if there is no response.
        """
        outgoing, engine = self._outgoing, self._engine
        payload, framing = outgoing.payload, outgoing.framing
        stream = self._protocol.stream
        data = engine.send_head(
            outgoing.method, target, fields, http10=outgoing.http10, chunked=framing.chunked
        )
        upload: Upload | None = None
        if payload is None:
            data += engine.send_end()
        else:
            body = inline_body(payload, framing.compress, framing.expect_continue)
            if body is None:
                upload = Upload(payload, framing, engine, stream)
            else:
                if body:
                    data += engine.send_data(body[: framing.content_length])
                data += engine.send_end()
        stream.set_deadline(self.total_at, self._watchdog)
        try:
            await stream.send(data)
        except ClientOSError as exc:
            self._send_error = exc
            if engine.is_unprocessed:
                return None  # the whole body is left for another connection
        return upload

    def attach(self, upload: Upload, tasks: HelperTasks) -> None:
        """Take *upload*, which one of *tasks* is to run, as part of this exchange."""
        self.upload = upload
        upload.tasks, upload.scope = tasks, tasks.make_scope()
        upload.when_over.append(self._upload_ended)

    def receive_head(self) -> Awaitable[Head]:
        """Return an awaitable for the head of the final response.

        :raises ServerDisconnectedError: the connection was closed before
        :raises ClientOSError: the connection broke before
        :raises ClientConnectorSSLError: the server refused TLS by an alert
        :raises MalformedResponse: the response is not HTTP/1.1
        :raises SocketTimeoutError: nothing arrived for ``sock_read`` seconds
        :raises Expired: the ``total`` time is over
        :raises ClientConnectionError: the body of the request failed
        """
        return self._read_head()

    def _upload_ended(self) -> None:
        """Give the connection back, or wake the receiving task; the upload's task calls this."""
        upload = self.upload
        assert upload is not None
        if self._head is not None and self.connection is None:
            self.forget_errors()
        elif self._head is not None and self._engine.complete:
            self._finish()
        elif upload.is_broken or self._sock_read:
            self._protocol.stream.interrupt()  # see _receive_beside()

    async def _read_head(self) -> Head:
        engine = self._engine
        stream = self._protocol.stream
        while True:
            try:
                if self.upload is not None:
                    data = await self._receive_beside(self.upload, engine.wanted)
                elif self._sock_read:
                    data = await self._receive_timed()
                else:
                    data = await stream.receive()
                if self.connection is None:
                    raise ClientConnectionResetError(
                        errno.ECONNRESET, "the connection has been closed"
                    )
                if not data:
                    self._raise_if_unsent()
                    raise ServerDisconnectedError
                engine.receive(data)
                if engine.head is not None and (head := self._final_head()) is not None:
                    return head
            except ClientOSError as exc:
                # The alert of a server that refuses TLS says more than a failed sending.
                if not isinstance(exc, ClientSSLError):
                    self._raise_if_unsent()
                raise
            except ParseError as exc:
                raise MalformedResponse(str(exc)) from exc
            except _UploadBroken:
                break
        assert self.upload is not None
        await checkpoint()  # if this task has been cancelled together with the upload, raise
        raise self.upload.failure()

    def _final_head(self) -> Head | None:
        """Return the head of the final response if it has been received; skip 1xx responses.

        :raises ParseError: the head that follows one of them is not HTTP/1.1
        """
        engine, upload = self._engine, self.upload
        while (head := engine.head) is not None:
            if head.status >= 200 or head.status == 101:
                self._head = head
                if upload is not None:
                    upload.cancel_unless_started()
                return head
            self._informational += 1
            if self._informational > MAX_INFORMATIONAL:
                raise MalformedResponse(f"more than {MAX_INFORMATIONAL} informational heads")
            if head.status == 100 and upload is not None:
                upload.start_writing()
            engine.next_response()
        return None

    async def _receive_beside(self, upload: Upload, size: int) -> bytes:
        """Receive bytes while the body is being sent.

        If the upload fails, so does the request, and the time of ``sock_read`` begins when the
        upload has ended.  So its end interrupts this wait.

        :raises _UploadBroken: the body failed, or a callback that is told of its pieces
        :raises Expired: the ``total`` time is over
        :raises SocketTimeoutError: nothing arrived for ``sock_read`` seconds
        """
        while not upload.is_over:
            try:
                return await self._protocol.stream.receive(size)
            except Expired:
                if not upload.is_over:
                    raise
        if upload.is_broken:
            raise _UploadBroken
        if self._sock_read:
            return await self._receive_timed()
        return await self._protocol.stream.receive(size)

    async def _receive_timed(self) -> bytes:
        """Receive bytes within ``total`` and ``sock_read``.

        :raises Expired: the ``total`` time is over
        :raises SocketTimeoutError: nothing arrived for ``sock_read`` seconds
        """
        stream = self._protocol.stream
        read_at = deadline_after(self._sock_read)
        if read_at >= self.total_at:
            stream.set_deadline(self.total_at, self._watchdog)
            return await stream.receive()
        stream.set_deadline(read_at, self._watchdog)
        try:
            return await stream.receive()
        except Expired:
            raise SocketTimeoutError(_READ_TIMEOUT) from None
        finally:
            # ``sock_read`` limits only the waits for the peer.
            stream.set_deadline(self.total_at, self._watchdog)

    def _raise_if_unsent(self) -> None:
        """Raise the error of sending, if there is one: it explains why there is no response."""
        if self._send_error is not None:
            raise self._send_error
        if self.upload is not None and self.upload.error is not None:
            raise self.upload.failure()

    # -- the body of the response

    def open_body(self, options: BodyOptions) -> StreamReader | bytes:
        """Return the reader of the body, or the body itself if it came with the head.

        Call it once, after :meth:`receive_head`.
        """
        head = self._head
        assert head is not None
        if head.switches:
            # The connection is for another protocol now, for as long as the program wants.
            self._protocol.unread = self._engine.surplus
            self.end_limits()
            return EMPTY_PAYLOAD
        self.read_limit = options.read_bufsize
        if self._engine.complete:
            whole = whole_body(self._engine, head, options.max_body_size)
            if whole is not None:
                self._finish()
                return whole or EMPTY_PAYLOAD
        if head.length == UNTIL_EOF and not options.read_until_eof:
            self.close()
            return EMPTY_PAYLOAD
        timed = self.total_at != math.inf and self._watchdog is None
        reader = StreamReader(self, options.read_bufsize, None, None)
        begin_response(reader, self.total_at, clock=clock() if timed else None)
        self._body = body = ResponseBody(self._engine, head, reader, max_size=options.max_body_size)
        try:
            body.start(self._finish, decode=options.auto_decompress)
        except ClientPayloadError as exc:
            self._fail(exc)
        if self.connection is not None:
            assert not isinstance(self._registry, UnreadBody)
            self._registry = UnreadBody(self, self.connection, self._watchdog, self._registry)
        return reader

    def expire(self) -> None:
        """Make reads of the body fail: the ``total`` time is over; the watchdog calls this."""
        assert self._body is not None
        if not self._body.reader.is_eof():
            self._fail(total_timeout())

    async def pull(self) -> bool:
        """Wait for data, and feed the reader at least one piece, the end, or an exception.

        Return whether other tasks could run meanwhile.
        """
        if self.upload is None:
            return await self._pull()
        try:
            if not self.upload.is_broken:
                return await self._pull()
        except _UploadBroken:
            pass
        await self._fail_by_upload(self.upload)
        return True

    def pull_nowait(self) -> None:
        """Feed the reader with what has been received already, which may be nothing."""
        body = self._body
        if body is not None:
            try:
                # This is a plain call, so it must not decode for long.
                for _ in range(MAX_DECODING_STEPS):
                    if body.feed(self._finish) or not body.is_decoding:
                        break
            except ClientPayloadError as exc:
                self._fail(exc, exc.__cause__)

    async def _fail_by_upload(self, upload: Upload) -> None:
        """Fail with the error of *upload*."""
        await checkpoint()  # if this task has been cancelled together with the upload, raise
        if self.connection is None:
            self._fail_if_closed()
        elif isinstance(upload.error, Expired):
            self._fail(total_timeout())
        else:
            failure = upload.failure()
            self._fail(failure, failure.__cause__)

    async def _pull(self) -> bool:
        body, stream = self._body, self._protocol.stream
        assert body is not None
        waited = body.decoder is not None
        try:
            if waited:
                await self._before_decoding()
            while not body.feed(self._finish):
                if body.is_decoding:
                    await self._before_decoding()
                    continue
                if self._engine.error is not None:
                    raise self._engine.error
                data = await self._receive_body()
                waited = waited or stream.has_waited
                if self.connection is None:
                    break
                self._engine.receive(data)
        except Expired:
            self._fail(total_timeout())
        except SocketTimeoutError as exc:
            self._fail(exc)
        except ClientPayloadError as exc:
            self._fail(exc, exc.__cause__)
        except ParseError as exc:
            self._fail(ClientPayloadError(f"Response payload is not completed: {exc}"), exc)
        except ClientConnectionError as exc:
            if stream.is_failure(exc):
                raise
            if self.connection is not None:
                self._fail(ClientPayloadError(f"Response payload is not completed: {exc}"), exc)
        self._fail_if_closed()
        return waited

    def _fail_if_closed(self) -> None:
        """Make reads of the body fail if another task has closed the connection meanwhile."""
        assert self._body is not None
        reader = self._body.reader
        closed = self.connection is None and not self._engine.complete
        if closed and reader.exception() is None:
            reader.set_exception(ClientConnectionError("Connection closed"))

    def _receive_body(self) -> Awaitable[bytes]:
        assert self._body is not None
        size = self._body.wanted
        if self.upload is not None:
            return self._receive_beside(self.upload, size)
        if self._sock_read:
            return self._receive_timed()
        return self._protocol.stream.receive(size)

    async def _before_decoding(self) -> None:
        """Let other tasks run before a step of decoding, which takes time and waits for nothing.

        :raises Expired: the ``total`` time is over
        """
        await checkpoint()
        if anyio.current_time() >= self.total_at:
            raise Expired

    def _fail(self, error: Exception, cause: BaseException | None = None) -> None:
        error.__cause__ = cause
        assert self._body is not None
        self._body.reader.set_exception(error)
        self.close()

    def also_on_end(self, callback: Callable[[], None]) -> None:
        """Call *callback* after the present ``on_end``, when the connection has been given back."""
        before = self.on_end

        def both() -> None:
            if before is not None:
                before()
            callback()

        self.on_end = both

    def lend_away(self) -> tuple[LentStream, bytes]:
        """After a switch: return the stream for another protocol, and the bytes received for it.

        The exchange still holds the connection until :meth:`close`.

        :raises ClientConnectionResetError: the connection was closed meanwhile, with the session
            or the connector
        """
        if self.connection is None or self.connection.closed:
            raise ClientConnectionResetError(errno.ECONNRESET, "the connection has been closed")
        return self._protocol.lend_away(self._engine)

    def end_limits(self) -> None:
        """End the ``total`` time; ``sock_read`` goes on."""
        self.total_at = math.inf
        stream = self._protocol.stream
        stream.set_deadline(math.inf, self._watchdog)
        stream.end_deadline(self._watchdog)

    # -- the end

    def _finish(self) -> None:
        """Give the connection back after the response, unless the upload is still running."""
        if self.connection is None:
            return
        upload = self.upload
        if upload is not None and not upload.is_over:
            return  # _upload_ended() calls this again
        engine = self._engine
        if (
            engine.keep_alive
            and self._outgoing.keep_alive
            and not engine.surplus
            and (upload is None or upload.is_sent)
            and self._protocol.phase is BUSY
            and not self._protocol.stream.for_one_exchange
        ):
            self._protocol.keep(engine)
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
        """Close the connection and free its slot at once; cancel the upload if it is running."""
        if self.connection is None:
            return
        if self.upload is not None and not self.upload.is_over:
            self.upload.cancel()
        self._end(self.connection.close)

    def _end(self, give_back: Callable[[], None]) -> None:
        self.connection = None
        self._protocol.stream.end_deadline(self._watchdog)
        if self.upload is not None and self._head is not None:
            self.forget_errors()  # without a head the request fails, and needs them for that
        if self._registry is not None:
            self._registry.discard(self)
        give_back()
        on_end, self.on_end = self.on_end, None
        if on_end is not None:
            on_end()

    @property
    def is_sending(self) -> bool:
        """Whether a task is sending the body."""
        return self.upload is not None and not self.upload.is_over

    def checkpoint_if_cancelled(self) -> Awaitable[None]:
        """Raise a pending cancellation of the caller; other tasks do not run."""
        stream = self._protocol.stream
        return stream.checkpoint_if_cancelled()

    async def wait_sent(self) -> None:
        """Wait until the body has been sent.

        :raises TimeoutError: the ``total`` time is over; the connection is closed then
        """
        with anyio.CancelScope(deadline=self.total_at) as scope:
            await self.wait_stopped()
        if scope.cancelled_caught:
            self.close()
            raise TimeoutError("the request's total timeout ran out while its body was being sent")

    def forget_errors(self) -> None:
        """Forget the errors of sending, as nobody will ask for them; see :class:`Upload`."""
        self._send_error = None
        if self.upload is not None and self.upload.is_over:
            self.upload.forget_error()

    def stop_if_refused(self) -> None:
        """Stop sending the body if the final response says that the peer wants no more of it.

        It may say so as an error, or by ending the connection (:rfc:`9112#section-9.5`).  What is
        left of the response can be read.
        """
        head = self._head
        if self.upload is not None and head is not None:
            leaves = self._engine.complete and not self._engine.keep_alive
            if head.status >= 300 or leaves:
                self.upload.cancel()

    async def wait_stopped(self) -> None:
        """Wait until the task that sends the body has ended, whether or not all was sent."""
        if self.upload is not None:
            await self.upload.wait_over()

    async def drain(self) -> None:
        """Discard the rest of the body without decoding it, and give the connection back.

        If the rest is large or slow, the connection is closed instead.  An exchange that shares it
        with others just ends.

        :raises Expired: the ``total`` time is over
        """
        engine = self._engine
        engine.pieces.clear()
        if self.upload is not None and not self.upload.is_ending:
            self.close()
        left = DRAIN_BYTES
        if engine.error is not None or self._protocol.is_shared:
            left = 0
        with anyio.move_on_after(DRAIN_SECONDS):
            while self.connection is not None and not engine.complete and left > 0:
                try:
                    data = await self._protocol.stream.receive()
                    engine.receive(data)
                except (ParseError, ClientConnectionError):
                    break
                engine.pieces.clear()
                left -= len(data)
        self.release()
        await self.wait_stopped()
