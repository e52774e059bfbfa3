"""A byte stream to a peer, with what a connection pool needs to know and do."""

from __future__ import annotations

import errno
import math
import select
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Final, Protocol, cast

import anyio
import anyio.lowlevel
import anyio.to_thread
from anyio.abc import AnyByteStream, ByteStream, SocketAttribute
from anyio.lowlevel import checkpoint_if_cancelled
from anyio.streams.buffered import BufferedByteStream
from anyio.streams.tls import TLSAttribute, TLSStream

from .._common import ConnectionKey, EventLoop
from .._tasks import Expired, TimedStream, Watchdog, call_in
from ..client_exceptions import ClientConnectionResetError
from .errors import STREAM_ERRORS, socket_errors
from .inherited import leave_to_parent
from .tls_stream import TlsStream

__all__ = ("NetworkStream",)

#: Most bytes that one call asks a stream for by default, as many as a reader of a body holds.
RECEIVE_SIZE: Final = 128 * 1024


#: What asyncio's transports call each typed attribute.
_EXTRA_INFO: Final[Mapping[str, Any]] = {
    "socket": SocketAttribute.raw_socket,
    "peername": SocketAttribute.remote_address,
    "sockname": SocketAttribute.local_address,
    "ssl_object": TLSAttribute.ssl_object,
    "peercert": TLSAttribute.peer_certificate,
    "cipher": TLSAttribute.cipher,
}


class _Checkpoint(Protocol):
    # A type checker may take a Callable in a slot for a method, which would need a parameter.
    def __call__(self) -> Awaitable[None]: ...


class NetworkStream:
    """A byte stream to a peer, with the socket below it."""

    __slots__ = (
        "_is_torn",
        "_own",
        "_poll",
        "_raw_socket",
        "_ssl_objects",
        "_timed",
        "_tls",
        "_tls_key",
        "_transport",
        "_unencrypted",
        "_unsent",
        "checkpoint_if_cancelled",
        "for_one_exchange",
        "stream",
    )

    def __init__(self, stream: ByteStream, tls_key: ConnectionKey | None = None) -> None:
        """Take over *stream*, on which TLS with the peer *tls_key* has been started, if any."""
        self._tls_key = tls_key
        #: the anyio stream, which callers may get after an upgrade
        self.stream: ByteStream = stream
        #: whether the stream can serve only one exchange
        self.for_one_exchange: bool = False
        #: one for each layer of TLS, the outermost first; an https proxy's tunnel has two
        self._ssl_objects: tuple[ssl.SSLObject, ...] = ()
        self._tls: TlsStream | None = None
        # isinstance() is slow for abstract classes, so most streams are asked once.
        timed = stream if isinstance(stream, TimedStream) else None
        self._unencrypted = timed  # without TLS
        #: the stream if it is one of ours, with TLS or without
        self._own: TimedStream | TlsStream | None = timed
        self._transport: TimedStream | _ForeignStream
        if timed is not None:
            self._transport = timed
        else:
            self._ssl_objects = _ssl_objects_of(stream)
            self._own = self._tls = stream if isinstance(stream, TlsStream) else None
            self._transport = transport = _transport_of(stream)
            if isinstance(transport, TimedStream):
                timed = transport
            elif not self._ssl_objects:
                self.stream = transport
        self._poll: select.poll | None = None
        self._unsent: list[bytes | memoryview] = []  # what drain() sends on a program's own stream
        self._is_torn = False  # whether it has been sent in part, which is not known
        self._timed = timed
        #: as in :mod:`anyio.lowlevel`
        self.checkpoint_if_cancelled: _Checkpoint = (
            checkpoint_if_cancelled if timed is None else timed.checkpoint_if_cancelled
        )
        self._raw_socket: socket.socket | None = (
            stream.extra(SocketAttribute.raw_socket, None) if timed is None else timed._raw_socket
        )

    def set_deadline(self, deadline: float, watchdog: Watchdog | None) -> None:
        """Let every later wait end with :exc:`Expired` at *deadline*.

        :param watchdog: ends the waits at the deadline; ``None``: each wait uses its own timer
        """
        self._transport.deadline = deadline
        if (timed := self._timed) is not None:
            timed.watched = watchdog is not None or deadline == math.inf
            timed.expired = False
            if watchdog is not None and deadline != math.inf:
                watchdog.watch(timed, deadline)

    def end_deadline(self, watchdog: Watchdog | None) -> None:
        """Make *watchdog* forget this stream."""
        if watchdog is not None and self._timed is not None:
            watchdog.forget(self._timed)

    async def receive(self, max_bytes: int = RECEIVE_SIZE) -> bytes:
        """Return the next bytes from the peer, ``b""`` when the peer sends no more.

        :raises ClientOSError: the connection broke
        :raises ClientConnectorSSLError: the peer refused TLS by an alert, before it sent any data
        :raises Expired: the deadline passed
        """
        if self._unencrypted is None and self._timed is not None:
            self._timed.has_waited = False  # TLS may find what it needs without receiving
        try:
            return await self.stream.receive(max_bytes)
        except anyio.EndOfStream as exc:
            if self.is_failure(exc):
                raise
            return b""
        except STREAM_ERRORS as exc:
            if self.is_failure(exc):
                raise
            raise socket_errors(exc, self._tls_key) from exc

    def receive_nowait(self, max_bytes: int = RECEIVE_SIZE) -> bytes | None:
        """Return what has arrived already; ``None`` if nothing has, ``b""`` at the end.

        It is also ``b""`` if the connection is broken or closed.  A program's own stream cannot
        tell, so this is ``None`` for it.

        :raises ClientConnectionError: a task is receiving
        """
        own = self._own
        if own is None:
            return None
        timed = self._timed
        if timed is not None:
            # An attempt in vain costs four times as much as to ask.
            is_receiving = own.is_receiving or timed.is_receiving
            has_some = own.has_unread() or timed.has_unread()
            if not (is_receiving or has_some) and self._is_socket_quiet():
                return None
        try:
            return own.receive_nowait(max_bytes)
        except anyio.BusyResourceError as exc:
            raise socket_errors(exc, self._tls_key) from exc
        except (anyio.EndOfStream, *STREAM_ERRORS):
            return b""

    def is_failure(self, exc: BaseException) -> bool:
        """Whether *exc* is the :attr:`failure` of a program's own stream.

        The program wants to see it as it is, even if it looks like an error of the network.
        """
        return exc is getattr(self._transport, "failure", None)

    @property
    def has_waited(self) -> bool:
        """Whether it is certain that other tasks could run during the last :meth:`receive`."""
        return self._timed is not None and self._timed.has_waited

    async def send(self, data: bytes) -> None:
        """Hand all of *data* to the operating system.

        :raises ClientOSError: the peer has closed the connection
        :raises Expired: the deadline passed

        A cancelled send may have sent a part: the stream must not be used again.  Other tasks
        run only if the send has to wait; a caller that sends in a loop must yield to them.
        """
        unencrypted = self._unencrypted
        try:
            if unencrypted is None:
                await self.stream.send(data)
            else:
                await self.checkpoint_if_cancelled()
                if not unencrypted.send_nowait(data):
                    await unencrypted.drain()
        except STREAM_ERRORS as exc:
            raise socket_errors(exc, self._tls_key) from exc

    @property
    def receive_size(self) -> int:
        """How many bytes to ask for when the caller does not know how many will come."""
        return RECEIVE_SIZE if self._unencrypted is None else self._unencrypted.receive_size

    @property
    def sends_nowait(self) -> bool:
        """Whether :meth:`send_nowait` sends at once, if there is room for it."""
        return self._timed is not None

    def send_nowait(self, data: bytes | memoryview) -> bool:
        """Send *data* as far as that needs no waiting; return whether all of it has been sent.

        If not, :meth:`drain` has to be awaited.  What is sent before that is put behind what is
        left; a caller that does so limits how much that can be.

        :raises ClientOSError: the peer has closed the connection
        :raises ClientConnectionError: another task is sending
        :raises Expired: the deadline passed
        """
        try:
            if self._own is not None:
                return self._own.send_nowait(data)
        except STREAM_ERRORS as exc:
            raise socket_errors(exc, self._tls_key) from exc
        self._unsent.append(data)
        return False

    def send_together_nowait(self, *pieces: bytes | memoryview) -> bool:
        """Do what :meth:`send_nowait` does with *pieces*, which are not copied to join them.

        TLS has to copy them: it encrypts as few records as it can.
        """
        if self._unencrypted is None:
            return self.send_nowait(b"".join(pieces))
        try:
            return self._unencrypted.send_together_nowait(*pieces)
        except STREAM_ERRORS as exc:
            raise socket_errors(exc, self._tls_key) from exc

    @property
    def has_unsent(self) -> bool:
        """Whether something is left of what was sent, so that :meth:`drain` has to be awaited."""
        return bool(self._unsent) if self._own is None else self._own.has_unsent

    async def drain(self) -> None:
        """Wait until the operating system has taken what :meth:`send_nowait` left over.

        This raises the same exceptions.  After a cancellation any task may call it again: no byte
        is lost.  Only a program's own stream cannot be used again, which then is an error:

        :raises ClientConnectionResetError: a program's own stream was left in the middle
        """
        try:
            if self._own is not None:
                await self._own.drain()
                return
            if self._unsent and not self._is_torn:
                data = b"".join(self._unsent)
                self._unsent.clear()
                self._is_torn = True
                await self.stream.send(data)
                self._is_torn = False
        except STREAM_ERRORS as exc:
            raise socket_errors(exc, self._tls_key) from exc
        if self._is_torn:
            text = "a task that was sending on the program's own stream has been cancelled"
            raise ClientConnectionResetError(errno.ECONNRESET, text)

    async def receive_draining(self, max_bytes: int = RECEIVE_SIZE) -> bytes | None:
        """Send what :meth:`send_nowait` left over and receive, whichever can be done first.

        So a reader can go on sending, and cannot be left waiting for a peer that waits for it to
        receive.  No other task may receive or drain meanwhile; one may call :meth:`send_nowait`.

        :return: received bytes, ``b""`` when the peer sends no more; ``None`` if nothing is left

        The exceptions are those of :meth:`receive` and :meth:`drain`.  After a cancellation any
        task may call it again: no byte is lost.  On a program's own stream it only sends.
        """
        own, timed = self._own, self._timed
        if own is None or timed is None:
            await self.drain()
            return None
        timed.has_waited = False
        await self.checkpoint_if_cancelled()
        try:
            while True:
                data = own.receive_nowait(max_bytes)
                if data is not None:
                    return data
                if own.send_left_nowait():
                    return None
                await timed.wait_for_either()
                timed.has_waited = True
        except anyio.EndOfStream:
            return b""
        except STREAM_ERRORS as exc:
            raise socket_errors(exc, self._tls_key) from exc

    def send_last(self, data: bytes) -> None:
        """Send *data* as far as that needs no waiting.

        A part may be missing, so the stream has to be closed afterwards.
        """
        stream = self.stream
        with suppress(*STREAM_ERRORS, Expired):
            if self._unencrypted is not None:
                self._unencrypted.send_nowait(data)
            elif isinstance(stream, TlsStream):
                stream.send_last(data)

    def finish_sending(self) -> None:
        """Do nothing: the peer of a socket learns that nothing more is sent when it is closed."""

    def unread(self, data: bytes) -> None:
        """Make *data* the first bytes that are received from :attr:`stream`."""
        self.stream = stream = BufferedByteStream(self.stream)
        stream.feed_data(data)
        self._unencrypted = self._own = None

    def interrupt(self) -> None:
        """End the wait of the task that receives at this moment with :exc:`Expired`."""
        self._transport.interrupt()

    def extra_info(self, name: str, default: Any = None) -> Any:
        """Return what asyncio's transports call *name*; *default* if there is no such value."""
        attribute = _EXTRA_INFO.get(name)
        if attribute is not None:
            return self.stream.extra(attribute, default)
        if not self._ssl_objects:
            return default
        ssl_object = self._ssl_objects[0]
        if name == "sslcontext":
            return ssl_object.context
        return ssl_object.compression() if name == "compression" else default

    @property
    def alpn(self) -> str | None:
        """The protocol that the peer chose in the TLS handshake; ``None`` if there was none."""
        return self.stream.extra(TLSAttribute.alpn_protocol, None)

    @property
    def asyncio_loop(self) -> EventLoop | None:
        """Asyncio's event loop, if the stream belongs to it; ``None`` if that is not known."""
        loop: Any = None if self._timed is None else self._timed.loop
        return loop if hasattr(loop, "is_closed") else None

    def is_quiet(self) -> bool:
        """Whether the peer has neither sent bytes nor closed since the last response was read."""
        timed, raw_socket = self._timed, self._raw_socket
        if timed is not None and timed.has_unread():
            return False
        if self._ssl_objects and not self._is_tls_quiet():
            return False
        if raw_socket is None:
            return True
        if timed is None and raw_socket.fileno() < 0:
            return False
        return self._is_socket_quiet()

    def _is_socket_quiet(self) -> bool:
        raw_socket, poll = self._raw_socket, self._poll
        if raw_socket is None:
            return False
        if poll is None:
            if sys.platform == "win32":  # pragma: no cover
                return not select.select([raw_socket], [], [], 0)[0]
            self._poll = poll = select.poll()
            poll.register(raw_socket, select.POLLIN)
        return not poll.poll(0)

    def _is_tls_quiet(self) -> bool:
        for ssl_object in self._ssl_objects:
            try:
                ssl_object.read(1)
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError:
                pass
            return False
        if self._tls is not None:
            self._tls.keep_session()
        return True

    def abort(self) -> None:
        """Close the socket at once; :meth:`aclose` must still be awaited later."""
        if self._tls is not None:
            self._tls.keep_session()
        self._transport.abort()

    def call_in_loop(self, function: Callable[[], object]) -> None:
        """Call *function* in the event loop of the stream: soon, if this is another thread."""
        if self._timed is None:  # a stream that anyhttp has not made
            function()
        else:
            call_in(self._timed.loop, function)

    @property
    def closes_by_itself(self) -> bool:
        """Whether the socket is closed some time after :meth:`abort`, without :meth:`aclose`."""
        return self._timed is not None

    @property
    def is_gone(self) -> bool:
        """Whether the socket is closed, so that :meth:`aclose` has nothing left to do."""
        return self._timed is not None and self._timed.is_gone

    def leave_to_parent(self) -> None:
        """Let go of the connection in a forked child, whose parent goes on using it."""
        self._transport.leave_to_parent()

    async def aclose(self) -> None:
        """Close the socket; it is closed when this returns, even if the call is cancelled.

        TLS ends without the closing handshake, because a peer could make us wait for it.
        HTTP's own framing tells whether a message is complete.
        """
        self.abort()
        transport = self._transport
        if isinstance(transport, _ForeignStream):
            with suppress(ssl.SSLError):  # TLS complains of bytes that nobody has read
                await anyio.aclose_forcefully(self.stream)
            transport.raise_abort_error()
        else:
            await transport.aclose()


class _ForeignStream(ByteStream):
    """A stream that the application's own connector made, with a deadline for its waits."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self.deadline: float = math.inf
        self._receiving: anyio.CancelScope | None = None
        self._aborted = False
        self._abort_error: Exception | None = None

    async def receive(self, max_bytes: int = 65536) -> bytes:
        with anyio.CancelScope(deadline=self.deadline) as self._receiving:
            try:
                return await self._stream.receive(max_bytes)
            except anyio.EndOfStream:
                raise
            except Exception:
                self._check_open()
                raise
        raise Expired

    def interrupt(self) -> None:
        """End the wait of the task that receives at this moment."""
        if self._receiving is not None:
            self._receiving.cancel()

    async def send(self, item: bytes) -> None:
        with anyio.CancelScope(deadline=self.deadline):
            try:
                await self._stream.send(item)
            except Exception:
                self._check_open()
                raise
            return
        raise Expired

    def _check_open(self) -> None:
        """Raise what a socket raises that has been closed here, whatever the stream raises then."""
        if self._aborted:
            raise anyio.ClosedResourceError from None

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()

    def raise_abort_error(self) -> None:
        """Raise the error of the stream's own ``abort()``, if there was one: once."""
        error, self._abort_error = self._abort_error, None
        if error is not None:
            raise error

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        return self._stream.extra_attributes

    @property
    def failure(self) -> BaseException | None:
        """What the stream's own attribute of this name says, if it has one."""
        failure: BaseException | None = getattr(self._stream, "failure", None)
        return failure

    def abort(self) -> None:
        """Abort the stream, or shut down its socket; else it only ends by :meth:`aclose`.

        The stream's own method is called once.  Its error is a fault of the program.  It is kept
        until somebody awaits the end, as who aborts a connection may have others to abort.
        """
        if self._aborted:
            return
        self._aborted = True
        if (abort := getattr(self._stream, "abort", None)) is not None:
            try:
                abort()
            except Exception as exc:  # noqa: BLE001  (raised later)
                self._abort_error = exc
            return
        theirs = self._stream.extra(SocketAttribute.raw_socket, None)
        if theirs is not None and theirs.fileno() >= 0:
            # Use a duplicate: what uvloop gives out as a socket has no shutdown().
            with socket.fromfd(theirs.fileno(), theirs.family, theirs.type) as raw_socket:
                with suppress(OSError):
                    raw_socket.shutdown(socket.SHUT_RDWR)

    def leave_to_parent(self) -> None:
        """Let go of the connection in a forked child, whose parent goes on using it."""
        theirs = self._stream.extra(SocketAttribute.raw_socket, None)
        if theirs is not None:
            leave_to_parent(theirs)


def _ssl_objects_of(stream: AnyByteStream) -> tuple[ssl.SSLObject, ...]:
    """Return the TLS objects that decrypt the bytes of *stream*, the outermost layer first."""
    if isinstance(stream, TimedStream):
        return ()
    if isinstance(stream, TlsStream):
        return (stream.ssl_object, *_ssl_objects_of(stream.transport_stream))
    ssl_object = stream.extra(TLSAttribute.ssl_object, None)
    if ssl_object is None:
        return ()
    below = _ssl_objects_of(stream.transport_stream) if isinstance(stream, TLSStream) else ()
    return (ssl_object, *below)


def _transport_of(stream: AnyByteStream) -> TimedStream | _ForeignStream:
    """Return the stream below TLS, as one that has a deadline."""
    if isinstance(stream, (TimedStream, _ForeignStream)):
        return stream
    if isinstance(stream, TlsStream):
        return _transport_of(stream.transport_stream)
    if isinstance(stream, TLSStream):  # made by the application's own connector
        below = _transport_of(stream.transport_stream)
        if isinstance(below, _ForeignStream) and not isinstance(stream.transport_stream, TLSStream):
            stream.transport_stream = below
        return below
    return _ForeignStream(cast("ByteStream", stream))
