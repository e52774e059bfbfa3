"""The only opener of sockets and TLS, and the place where their errors change names.

A :class:`NetworkStream` is an anyio byte stream together with what a connection pool needs
of it: whether it is still quiet, and a way to close it without awaiting.
"""

from __future__ import annotations

import errno
import math
import os
import select
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, Final, cast

import anyio
import anyio.lowlevel
import anyio.to_thread
import truststore
from anyio.abc import AnyByteStream, ByteStream, SocketAttribute
from anyio.lowlevel import checkpoint_if_cancelled
from anyio.streams.tls import TLSAttribute, TLSStream

from ._backend import asyncio_loop
from ._timeouts import Expired, TimedStream, Watchdog
from ._tls_stream import TlsStream
from ._values import ConnectionKey, without_zone
from .client_exceptions import (
    ClientConnectionResetError,
    ClientConnectorCertificateError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ClientOSError,
)

__all__ = (
    "AddrInfoType",
    "NetworkStream",
    "SocketFactoryType",
    "connect_tcp",
    "connect_unix",
    "dial_errors",
    "on_asyncio",
    "socket_errors",
    "start_tls",
)

#: ``(family, type, proto, canonname, sockaddr)``, as ``socket.getaddrinfo`` returns it.
AddrInfoType = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[Any, ...]]
SocketFactoryType = Callable[[AddrInfoType], socket.socket]

#: Bytes asked of a stream at once.  More would make the allocator ask the operating system
#: for memory each time, which costs more than it brings unless a body is large.
RECEIVE_SIZE: Final = 64 * 1024

#: Seconds of silence before the operating system asks whether the peer is still there, and
#: between its questions.  A NAT forgets a quiet connection after a few minutes, and then a
#: request without ``sock_read`` would wait for ever.
KEEPALIVE_AFTER: Final = 60
KEEPALIVE_INTERVAL: Final = 15

#: Wait before a Unix socket whose queue of connections is full is tried again, in seconds.
UNIX_RETRY: Final = 0.01


# -- errors ----------------------------------------------------------------------------


@contextmanager
def dial_errors(key: ConnectionKey) -> Iterator[None]:
    """Raise our exception for whatever setting up a connection to *key* raised."""
    try:
        yield
    except ssl.SSLCertVerificationError as exc:
        raise ClientConnectorCertificateError(key, exc) from exc
    except ssl.SSLError as exc:
        raise ClientConnectorSSLError(key, exc) from exc
    except OSError as exc:
        if isinstance(exc, ClientOSError):
            raise
        raise ClientConnectorError(key, exc) from exc
    except (anyio.EndOfStream, anyio.BrokenResourceError) as exc:
        reason = OSError(errno.ECONNRESET, "the peer closed the connection during the handshake")
        raise ClientConnectorError(key, _os_error(exc, reason)) from exc


def socket_errors(exc: Exception) -> Exception:
    """Return our exception for one of a stream in use."""
    if isinstance(exc, anyio.ClosedResourceError):
        return ClientConnectionResetError("the connection has been closed")
    fallback = OSError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
    cause = _os_error(exc, fallback)
    return ClientOSError(cause.errno, cause.strerror or str(cause))


def _os_error(exc: BaseException, fallback: OSError) -> OSError:
    """Find the operating system's error below anyio's."""
    below: BaseException | None = exc
    while below is not None:
        if isinstance(below, OSError):
            return below
        below = below.__cause__
    return fallback


#: Names that asyncio's transports have for typed attributes.
_EXTRA_INFO: Final[Mapping[str, Any]] = {
    "socket": SocketAttribute.raw_socket,
    "peername": SocketAttribute.remote_address,
    "sockname": SocketAttribute.local_address,
    "ssl_object": TLSAttribute.ssl_object,
    "peercert": TLSAttribute.peer_certificate,
    "cipher": TLSAttribute.cipher,
}

_STREAM_ERRORS: Final = (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)


# -- streams ---------------------------------------------------------------------------


class NetworkStream:
    """A byte stream to a peer, with the socket below it."""

    __slots__ = ("_bare", "_poll", "_raw_socket", "_ssl_objects", "_timed", "_transport",
                 "checkpoint_if_cancelled", "stream")  # fmt: skip

    def __init__(self, stream: ByteStream) -> None:
        #: the anyio stream, which callers may be given after an upgrade
        self.stream: ByteStream = stream
        #: outermost first: there is another one below in a tunnel through an https proxy
        self._ssl_objects: tuple[ssl.SSLObject, ...] = _ssl_objects_of(stream)
        self._transport = transport = _transport_of(stream)
        if isinstance(transport, _Foreign) and not self._ssl_objects:
            self.stream = transport
        self._poll: select.poll | None = None
        # Asked once, as isinstance() is slow for abstract classes.
        self._timed = timed = transport if isinstance(transport, TimedStream) else None
        self._bare = timed if stream is transport else None  # without TLS
        #: as in :mod:`anyio.lowlevel`
        self.checkpoint_if_cancelled: Callable[[], Awaitable[None]] = (
            checkpoint_if_cancelled if timed is None else timed.checkpoint_if_cancelled
        )
        self._raw_socket: socket.socket | None = (
            stream.extra(SocketAttribute.raw_socket, None) if timed is None else timed._raw_socket
        )

    def set_deadline(self, deadline: float, watchdog: Watchdog | None) -> None:
        """Let every later wait end with :exc:`Expired` at *deadline*.

        :param watchdog: what is to end it; each wait by itself when there is none
        """
        self._transport.deadline = deadline
        if (timed := self._timed) is not None:
            timed.watched = watchdog is not None
            timed.expired = False
            if watchdog is not None and deadline != math.inf:
                watchdog.watch(timed, deadline)

    def end_deadline(self, watchdog: Watchdog | None) -> None:
        """Have *watchdog* forget this stream."""
        if watchdog is not None and self._timed is not None:
            watchdog.forget(self._timed)

    async def receive(self, max_bytes: int = RECEIVE_SIZE) -> bytes:
        """Return the next bytes from the peer, ``b""`` when it sends no more.

        :raises ClientOSError: the connection broke
        :raises Expired: the deadline passed
        """
        try:
            return await self.stream.receive(max_bytes)
        except anyio.EndOfStream:
            return b""
        except _STREAM_ERRORS as exc:
            raise socket_errors(exc) from exc

    async def send(self, data: bytes) -> None:
        """Hand all of *data* to the operating system.

        :raises ClientOSError: the peer is gone
        :raises Expired: the deadline passed

        A cancelled send may have sent a part: the stream must not be used again.
        Other tasks run only if it has to wait; who sends on and on must see to them.
        """
        bare = self._bare
        try:
            if bare is None:
                await self.stream.send(data)
            else:
                await self.checkpoint_if_cancelled()
                if not bare.send_nowait(data):
                    await bare.drain()
        except _STREAM_ERRORS as exc:
            raise socket_errors(exc) from exc

    @property
    def receive_size(self) -> int:
        """How many bytes to ask for where nobody knows how many will come."""
        return RECEIVE_SIZE if self._bare is None else self._bare.receive_size

    async def transmit(self, data: bytes | memoryview) -> None:
        """Do what :meth:`send` does, for a caller who has just been at a checkpoint.

        A cancellation that is already there does not keep it from beginning.
        """
        bare = self._bare
        try:
            if bare is None:
                # TLS over our own streams takes any buffer.
                item = data if self._timed is not None else bytes(data)
                await self.stream.send(cast("bytes", item))
            elif not bare.send_nowait(data):
                await bare.drain()
        except _STREAM_ERRORS as exc:
            raise socket_errors(exc) from exc

    def interrupt(self) -> None:
        """End the wait of whoever receives at this moment with :exc:`Expired`."""
        self._transport.interrupt()

    def extra_info(self, name: str, default: Any = None) -> Any:
        """Return what asyncio's transports call *name*, *default* if there is no such thing."""
        attribute = _EXTRA_INFO.get(name)
        if attribute is not None:
            return self.stream.extra(attribute, default)
        if not self._ssl_objects:
            return default
        ssl_object = self._ssl_objects[0]
        if name == "sslcontext":
            return ssl_object.context
        return ssl_object.compression() if name == "compression" else default

    def is_quiet(self) -> bool:
        """Whether the peer has neither spoken nor left since the last answer was read."""
        if self._timed is not None and self._timed.has_news():
            return False
        if self._ssl_objects and not self._is_tls_quiet():
            return False
        raw_socket = self._raw_socket
        if raw_socket is None:
            return True
        if raw_socket.fileno() < 0:
            return False
        if self._poll is None:
            if sys.platform == "win32":  # pragma: no cover
                return not select.select([raw_socket], [], [], 0)[0]
            self._poll = select.poll()
            self._poll.register(raw_socket, select.POLLIN)
        return not self._poll.poll(0)

    def _is_tls_quiet(self) -> bool:
        for ssl_object in self._ssl_objects:
            try:
                ssl_object.read(1)
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError:
                pass
            return False
        return True

    def abort(self) -> None:
        """Close the socket at once; :meth:`aclose` has still to be awaited some time."""
        self._transport.abort()

    async def aclose(self) -> None:
        """Close the socket; it is gone when this returns, even if it is cancelled.

        TLS is cut without the closing handshake, for which a peer could make us wait.
        HTTP's own framing tells a whole message from a cut one.
        """
        self.abort()
        if self._timed is not None:
            await self._timed.aclose()
        else:
            await anyio.aclose_forcefully(self.stream)


class _Foreign(ByteStream):
    """A stream that a caller's connector made, with a deadline."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self.deadline: float = math.inf
        self._receiving: anyio.CancelScope | None = None

    async def receive(self, max_bytes: int = 65536) -> bytes:
        with anyio.CancelScope(deadline=self.deadline) as self._receiving:
            return await self._stream.receive(max_bytes)
        raise Expired

    def interrupt(self) -> None:
        """End the wait of whoever receives at this moment."""
        if self._receiving is not None:
            self._receiving.cancel()

    async def send(self, item: bytes) -> None:
        with anyio.CancelScope(deadline=self.deadline) as scope:
            await self._stream.send(item)
        if scope.cancelled_caught:
            raise Expired

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        return self._stream.extra_attributes

    def abort(self) -> None:
        """Shut the socket down, if there is one; only awaiting can close the stream."""
        theirs = self._stream.extra(SocketAttribute.raw_socket, None)
        if theirs is not None and theirs.fileno() >= 0:
            # A copy, as what uvloop calls a socket has no shutdown().
            with socket.fromfd(theirs.fileno(), theirs.family, theirs.type) as raw_socket:
                with suppress(OSError):
                    raw_socket.shutdown(socket.SHUT_RDWR)


def _ssl_objects_of(stream: AnyByteStream) -> tuple[ssl.SSLObject, ...]:
    """Return what decrypts the bytes of *stream*, the last first."""
    if isinstance(stream, TimedStream):
        return ()
    if isinstance(stream, TlsStream):
        return (stream.ssl_object, *_ssl_objects_of(stream.transport_stream))
    ssl_object = stream.extra(TLSAttribute.ssl_object, None)
    if ssl_object is None:
        return ()
    below = _ssl_objects_of(stream.transport_stream) if isinstance(stream, TLSStream) else ()
    return (ssl_object, *below)


def _transport_of(stream: AnyByteStream) -> TimedStream | _Foreign:
    """Return the stream below TLS, with a deadline."""
    if isinstance(stream, (TimedStream, _Foreign)):
        return stream
    if isinstance(stream, TlsStream):
        return _transport_of(stream.transport_stream)
    if isinstance(stream, TLSStream):  # of a caller's own connector
        below = _transport_of(stream.transport_stream)
        if isinstance(below, _Foreign) and not isinstance(stream.transport_stream, TLSStream):
            stream.transport_stream = below
        return below
    return _Foreign(cast("ByteStream", stream))


def on_asyncio() -> bool:
    """Whether the running event loop is asyncio's, and not trio's."""
    return asyncio_loop() is not None


def clock() -> Callable[[], float]:
    """Return what tells the time of the running event loop: :func:`anyio.current_time`."""
    loop = asyncio_loop()
    if loop is not None:
        return loop.time
    import trio  # only where it runs already

    return trio.lowlevel.current_clock().current_time


# -- sockets ---------------------------------------------------------------------------


async def connect_tcp(
    address: AddrInfoType,
    local_address: tuple[str, int] | None = None,
    socket_factory: SocketFactoryType | None = None,
) -> NetworkStream:
    """Connect to one resolved address.

    :raises OSError: it cannot be reached, or *local_address* cannot be bound

    After cancellation the socket is closed.
    """
    family, kind, proto, _, sockaddr = address
    if socket_factory is None:
        raw_socket = socket.socket(family, kind, proto)
        _keep_alive(raw_socket)
    else:
        raw_socket = socket_factory(address)
    try:
        raw_socket.setblocking(False)
        # Small requests must not wait for the acknowledgement of the one before.
        raw_socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if local_address is not None:
            raw_socket.bind(local_address)
        await _finish_connect(raw_socket, sockaddr)
    except BaseException:
        raw_socket.close()
        raise
    return await _stream_from(raw_socket)


def _keep_alive(raw_socket: socket.socket) -> None:
    """Notice a peer that is gone without a word, as after a power failure."""
    raw_socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", KEEPALIVE_AFTER),
        ("TCP_KEEPALIVE", KEEPALIVE_AFTER),  # its name on macOS
        ("TCP_KEEPINTVL", KEEPALIVE_INTERVAL),
    ):
        if (option := getattr(socket, name, None)) is not None:
            raw_socket.setsockopt(socket.IPPROTO_TCP, option, value)


async def connect_unix(path: str | bytes) -> NetworkStream:
    """Connect to the Unix socket at *path*.

    :raises OSError: nobody listens there, or it may not be opened
    """
    raw_socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        raw_socket.setblocking(False)
        while (code := raw_socket.connect_ex(path)) == errno.EAGAIN:  # noqa: ASYNC110
            await anyio.sleep(UNIX_RETRY)  # nothing tells when the queue has room
        if code:
            raise OSError(code, os.strerror(code))
    except BaseException:
        raw_socket.close()
        raise
    return await _stream_from(raw_socket)


async def _finish_connect(raw_socket: socket.socket, sockaddr: tuple[Any, ...]) -> None:
    code = raw_socket.connect_ex(sockaddr)
    if code in {errno.EINPROGRESS, errno.EWOULDBLOCK}:
        await anyio.wait_writable(raw_socket)
        code = raw_socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))


async def _stream_from(raw_socket: socket.socket) -> NetworkStream:
    """Make a stream of a connected socket, or close the socket."""
    if on_asyncio():
        from ._asyncio_stream import AsyncioStream  # only where asyncio runs already

        return NetworkStream(await AsyncioStream.wrap(raw_socket))
    from ._trio_stream import TrioStream  # only where trio runs already

    return NetworkStream(TrioStream(raw_socket))


# -- TLS -------------------------------------------------------------------------------


@cache
def _verified_context() -> ssl.SSLContext:
    """Return the default context: the operating system's trust store, TLS 1.2 or newer."""
    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _set_defaults(context)
    return context


@cache
def _unverified_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    _set_defaults(context)
    return context


def _set_defaults(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    _log_keys(context)


def _log_keys(context: ssl.SSLContext) -> None:
    """Write session keys to the file named by ``SSLKEYLOGFILE``, as other programs do."""
    path = os.environ.get("SSLKEYLOGFILE")
    if not path or sys.flags.ignore_environment:
        return
    try:
        context.keylog_filename = path
    except OSError as exc:
        raise OSError(exc.errno, f"SSLKEYLOGFILE={path}: {exc.strerror}") from exc


async def _context_for(option: object) -> ssl.SSLContext:
    if isinstance(option, ssl.SSLContext):
        return option
    if option is True:
        if not _verified_context.cache_info().currsize:
            # Reading the trust store blocks, so not on the event loop's thread.
            await anyio.to_thread.run_sync(_verified_context)
        return _verified_context()
    return _unverified_context()


def _check_protocol(stream: TlsStream) -> None:
    """Refuse a protocol that a caller's context offered and we do not speak.

    Other clients add "h2" to a context that is shared with them; what a server says then
    would look like rubbish.
    """
    chosen = stream.ssl_object.selected_alpn_protocol()
    if chosen not in {None, "http/1.1", "http/1.0"}:
        reason = f"the server chose {chosen!r} by ALPN; the SSLContext must offer http/1.1 alone"
        raise ssl.SSLError(ssl.SSLErrorNumber.SSL_ERROR_SSL, reason)


async def start_tls(below: NetworkStream, hostname: str, key: ConnectionKey) -> NetworkStream:
    """Do the TLS handshake over *below*, which is closed when that fails or is cancelled.

    :param hostname: the name to send and to verify, but for a last dot or a zone
    :raises ClientConnectorSSLError: the handshake failed
    :raises ClientConnectorCertificateError: the certificate is not to be trusted
    :raises ServerFingerprintMismatch: it is not the pinned one
    """
    try:
        with dial_errors(key):
            context = await _context_for(key.ssl)
            name = without_zone(hostname).rstrip(".")
            stream = await TlsStream.wrap(below.stream, context, name)
            _check_protocol(stream)
        if not isinstance(key.ssl, (bool, ssl.SSLContext)):
            key.ssl.check(stream, key.host, key.port)
    except BaseException:
        await below.aclose()
        raise
    return NetworkStream(stream)
