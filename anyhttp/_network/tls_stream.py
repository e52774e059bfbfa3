"""TLS on top of any byte stream.

anyio's own ``TLSStream`` returns one record, of at most 16 KiB, for each call.  This stream
decrypts everything that has arrived, so that a large body costs little more than its decryption.
One task can send while another receives, even when TLS itself has to send in order to receive,
or to receive in order to send.
"""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Final, NoReturn

import anyio
import anyio.to_thread
import idna
from anyio.abc import ByteStream
from anyio.lowlevel import checkpoint_if_cancelled
from anyio.streams.tls import TLSAttribute

from .._common import Unbuffered
from .._tasks import TimedStream
from .alpn import Protocols, make_ssl_object
from .tls_sessions import Resumption

__all__ = ("TlsRefused", "TlsStream")

#: Most payload bytes of one TLS record (RFC 8446 section 5.1).
RECORD: Final = 16 * 1024

#: Fewest encrypted bytes to ask the stream below for.
RECEIVE_SIZE: Final = 64 * 1024


class TlsRefused(anyio.BrokenResourceError):
    """The peer refused TLS by an alert, which is the cause, before it sent any data.

    In TLS 1.3 the client may send before the server has read the client's certificate.  So an
    alert about that certificate comes when the handshake is over for the client.
    """


class TlsStream(Unbuffered, ByteStream):
    """The client's side of TLS over another stream; :meth:`wrap` makes one.

    There is no closing handshake, because a peer could make us wait for it.  A connection that
    the peer cuts is reported as the end of the stream: HTTP's own framing tells whether a
    message is complete.  A manipulated record is an error, for this and every later call.
    """

    def __init__(
        self,
        transport_stream: ByteStream,
        ssl_object: ssl.SSLObject,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
    ) -> None:
        #: the stream that carries the encrypted bytes
        self.transport_stream: ByteStream = transport_stream
        #: what encrypts and decrypts
        self.ssl_object: ssl.SSLObject = ssl_object
        #: where :meth:`keep_session` leaves the session
        self.resumption: Resumption | None = None
        #: whether the peer has asked for a certificate of the client, also if it got none
        self.asked_for_certificate: bool = False
        self._incoming = incoming
        self._outgoing = outgoing
        timed = transport_stream if isinstance(transport_stream, TimedStream) else None
        # the stream below, if it is one of ours
        self._below: TimedStream | TlsStream | None = timed
        if isinstance(transport_stream, TlsStream):
            self._below = transport_stream
        self._receive_size = RECEIVE_SIZE if timed is None else timed.receive_size
        self._checkpoint_if_cancelled: Callable[[], Awaitable[None]] = (
            checkpoint_if_cancelled if timed is None else timed.checkpoint_if_cancelled
        )
        self._unread = False  # whether OpenSSL may have bytes to decrypt or an end to report
        self._at_end = False
        self._has_data = False  # whether the peer has sent any data
        self._failure: ssl.SSLError | None = None
        self._send_failed = False  # a record was sent only in part, or not at all
        self._receiving = False
        self._sending = False
        # What send_nowait() was given while something was left, or TLS had to receive first.
        self._unencrypted: deque[bytes | memoryview] = deque()
        # Whether a task is receiving from the stream below, or sending to it.  A second task that
        # needs the same waits for the event; a waiting task makes the event.
        self._feeding = False
        self._flushing = False
        self._fed: anyio.Event | None = None
        self._flushed: anyio.Event | None = None

    @classmethod
    async def wrap(
        cls,
        transport_stream: ByteStream,
        context: ssl.SSLContext,
        hostname: str,
        session: ssl.SSLSession | None = None,
        alpn: Protocols | None = None,
    ) -> TlsStream:
        """Do the handshake.

        :param hostname: the name to send and to verify in the certificate
        :param session: one of *context* to resume, if the peer still knows it
        :param alpn: the protocols to offer; ``None`` for those that *context* is set to
        :raises ssl.SSLError: the handshake failed
        :raises TlsRefused: the peer refused the connection after its part of the handshake
        :raises anyio.EndOfStream: the peer closed the connection
        :raises anyio.BrokenResourceError: the connection broke

        The stream below stays open whatever happens.
        """
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        # Pass bytes: the ssl module would encode text by IDNA 2003.
        name = hostname.encode("ascii") if hostname.isascii() else idna.encode(hostname, uts46=True)
        if type(context) is ssl.SSLContext:
            ssl_object = make_ssl_object(context, incoming, outgoing, name, session, alpn)
        else:
            # A context that uses the operating system's trust store may read files.
            ssl_object = await anyio.to_thread.run_sync(
                make_ssl_object, context, incoming, outgoing, name, None, alpn
            )
        stream = cls(transport_stream, ssl_object, incoming, outgoing)
        await stream._do_handshake()
        return stream

    async def _do_handshake(self) -> None:
        while True:
            try:
                self.ssl_object.do_handshake()
            except ssl.SSLWantReadError:
                self._look_for_certificate()
                await self._feed()
            except ssl.SSLError as exc:
                if _is_end(exc):
                    raise anyio.EndOfStream from None
                raise
            else:
                self._look_for_certificate()
                await self._finish_handshake()
                return

    def _look_for_certificate(self) -> None:
        """Note whether the bytes to send next answer a request for a certificate.

        The :mod:`ssl` module does not tell.
        """
        flight = self._outgoing.read()
        self._outgoing.write(flight)
        if flight.startswith(b"\x16"):  # TLS 1.2, where these messages are not encrypted
            found = flight[5:6] == b"\x0b"
        else:  # TLS 1.3, where the last message has a record of its own
            found = _count_encrypted(flight) > 1
        self.asked_for_certificate = self.asked_for_certificate or found

    async def _finish_handshake(self) -> None:
        """Send the last bytes of the handshake."""
        try:
            await self._flush()
        except anyio.BrokenResourceError:
            # The peer has closed the connection, and may have said why.
            with suppress(anyio.EndOfStream):
                await self.receive()
            raise
        self._unread = self._incoming.pending > 0

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        ssl_object = self.ssl_object
        names: Any = TLSAttribute  # anyio annotates them with their values' types
        return {
            **self.transport_stream.extra_attributes,
            names.alpn_protocol: ssl_object.selected_alpn_protocol,
            names.channel_binding_tls_unique: ssl_object.get_channel_binding,
            names.cipher: ssl_object.cipher,
            names.peer_certificate: ssl_object.getpeercert,
            names.peer_certificate_binary: lambda: ssl_object.getpeercert(True),
            names.server_side: lambda: False,
            names.shared_ciphers: lambda: None,
            names.standard_compatible: lambda: False,
            names.ssl_object: lambda: ssl_object,
            names.tls_version: ssl_object.version,
        }

    # -- what the caller asks for

    async def receive(self, max_bytes: int = 65536) -> bytes:
        if max_bytes < 1:
            raise ValueError("max_bytes must be a positive integer")
        if self._receiving:
            raise anyio.BusyResourceError("reading from")
        self._receiving = True
        try:
            if self._unread:
                await self._checkpoint_if_cancelled()
            else:
                await self._feed(max_bytes)
            while not (data := self._decrypt(max_bytes)):
                await self._feed(max_bytes)
        finally:
            self._receiving = False
        return data

    @property
    def is_receiving(self) -> bool:
        """Whether a task is receiving, or what is sent waits for bytes of the peer."""
        return self._receiving or self._feeding

    def receive_nowait(self, max_bytes: int) -> bytes | None:
        """Return what has arrived already, decrypted; ``None`` if no whole record has.

        What TLS has to say to it is sent when something else is.  The exceptions are those of
        :meth:`receive`.
        """
        if self.is_receiving:
            raise anyio.BusyResourceError("reading from")
        while not (self._unread and (data := self._decrypt(max_bytes))):
            if self._below is None:
                return None
            try:
                encrypted = self._below.receive_nowait(self._receive_size)
            except anyio.EndOfStream:
                self._incoming.write_eof()
            else:
                if encrypted is None:
                    return None
                self._incoming.write(encrypted)
            self._unread = True
        return data

    async def send(self, item: bytes | memoryview) -> None:
        if self._sending:
            raise anyio.BusyResourceError("writing to")
        self._sending = True
        try:
            await self._checkpoint_if_cancelled()
            if self._unencrypted or self._has_left_below:
                await self._send_left()
            while not self._encrypt(item):
                await self._feed()  # the peer wants to renegotiate
            while self._flushing:
                # The receiving task is sending already, and sends what is encrypted now as well.
                await self._until_flushed()
            self._check_writable()
            await self._flush()
        finally:
            self._sending = False

    def send_nowait(self, item: bytes | memoryview) -> bool:
        """Send *item* as far as that needs no waiting; return whether all of it has been sent.

        If not, :meth:`drain` has to be awaited.  What is sent before that is put behind what is
        left.
        """
        if self._sending:
            raise anyio.BusyResourceError("writing to")
        below = self._below
        if (
            below is None
            or self._flushing
            or self._unencrypted
            or below.has_unsent
            or not self._encrypt(item)
        ):
            self._check_writable()
            self._unencrypted.append(item)
            return False
        return self._pass_on(below)

    @property
    def has_unsent(self) -> bool:
        """Whether something is left of what :meth:`send_nowait` was given."""
        return bool(self._unencrypted) or self._has_left_below

    @property
    def _has_left_below(self) -> bool:
        """Whether the stream below has not sent all of a record."""
        return self._below is not None and self._below.has_unsent

    def send_left_nowait(self) -> bool:
        """Send of what is left as much as needs no waiting; return whether nothing is left."""
        below = self._below
        if below is None or self._flushing:
            return not self.has_unsent
        while below.send_left_nowait():
            self._check_writable()
            if self._unencrypted and self._encrypt(self._unencrypted[0]):
                self._unencrypted.popleft()
            elif not self._outgoing.pending:
                return not self._unencrypted
            self._pass_on(below)
        return False

    async def drain(self) -> None:
        """Wait until the operating system has taken what :meth:`send_nowait` left over.

        After a cancellation any task may call it again, unless the stream below cannot do that.
        """
        if self._sending:
            raise anyio.BusyResourceError("writing to")
        self._sending = True
        try:
            await self._send_left()
        finally:
            self._sending = False

    async def _send_left(self) -> None:
        below = self._below
        while not self.send_left_nowait():
            if self._flushing:
                await self._until_flushed()
            elif below is not None and below.has_unsent:
                await self._flush(left=True)
            elif below is None and self._encrypt(self._unencrypted[0]):
                self._unencrypted.popleft()
                await self._flush()
            else:
                await self._feed()  # the peer wants to renegotiate

    async def _until_flushed(self) -> None:
        """Wait for the task that is sending what TLS has to say."""
        self._flushed = self._flushed or anyio.Event()
        await self._flushed.wait()

    def send_last(self, item: bytes) -> None:
        """Send *item* if no task is sending, as far as that needs no waiting."""
        below = self._below
        busy = self._sending or self._flushing or self._unencrypted
        if below is not None and not busy and self._encrypt(item):
            self._send_failed = True  # later records could not be decrypted, see _flush()
            below.send_nowait(self._outgoing.read())

    async def send_eof(self) -> None:
        raise NotImplementedError("a TLS stream is closed in both directions or not at all")

    async def aclose(self) -> None:
        await self.transport_stream.aclose()

    def has_unread(self) -> bool:
        """Whether something has been received that :meth:`receive_nowait` has not returned."""
        below = self.transport_stream
        if isinstance(below, TlsStream) and below.has_unread():
            return True
        return self._unread or self._at_end or self._failure is not None

    def keep_session(self) -> None:
        """Leave the session to a later connection; also that of a TLS stream below.

        A session is left once.  It is best done after the first response: by then the peer's
        tickets have come, and the session can shorten the next handshake soon.
        """
        resumption = self.resumption
        if resumption is not None and resumption.wants_session:
            self.resumption = None
            if self._failure is None:  # RFC 5246 §7.2.2: none is resumed after a fatal alert
                resumption.keep(self.ssl_object)
        if isinstance(self.transport_stream, TlsStream):
            self.transport_stream.keep_session()

    # -- between OpenSSL and the stream below

    def _decrypt(self, max_bytes: int) -> bytes:
        """Return up to *max_bytes* decrypted bytes; ``b""`` if more must be received first."""
        before = self._outgoing.pending
        pieces: list[bytes] = []
        left, size = max_bytes, RECORD
        incoming = self._incoming
        read, pending = self.ssl_object.read, self.ssl_object.pending
        try:
            while left and self._failure is None:
                if left < size:
                    size = left
                piece = read(size)
                if not piece:
                    self._at_end = True
                    break
                pieces.append(piece)
                left -= len(piece)
                if not incoming.pending and not pending():
                    self._unread = False
                    break
        except ssl.SSLWantReadError:
            self._unread = False
        except ssl.SSLError as exc:
            if _is_end(exc):
                self._at_end = True
            else:
                # Remember it: a second call of OpenSSL would report an end instead.
                self._failure = exc
        if self._outgoing.pending != before:
            # The peer wanted an answer, which may be a certificate: see start_tls().
            self.resumption = None
        if pieces:
            self._has_data = True
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if self._failure is not None:
            self._raise_failure(self._failure)
        if self._at_end:
            raise anyio.EndOfStream
        return b""

    def _encrypt(self, item: bytes | memoryview) -> bool:
        """Encrypt *item*; return false if TLS has to receive something first."""
        self._check_writable()
        try:
            if item:
                self.ssl_object.write(item)
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as exc:
            raise anyio.BrokenResourceError from exc
        return True

    def _check_writable(self) -> None:
        if self._failure is not None:
            self._raise_failure(self._failure)
        if self._send_failed:
            raise anyio.BrokenResourceError

    def _raise_failure(self, failure: ssl.SSLError) -> NoReturn:
        if not self._has_data and "ALERT" in (failure.reason or ""):
            raise TlsRefused from failure
        raise anyio.BrokenResourceError from failure

    async def _feed(self, max_bytes: int = RECEIVE_SIZE) -> None:
        """Wait until OpenSSL has been given more bytes, or the end of the stream."""
        broken: anyio.BrokenResourceError | None = None
        if self._outgoing.pending and not (
            self._flushing or self._send_failed or self._has_left_below
        ):
            await self._checkpoint_if_cancelled()
            try:
                await self._flush()
            except anyio.BrokenResourceError as exc:
                broken = exc  # the peer may have said why before it closed the connection
        if self._feeding:
            self._fed = self._fed or anyio.Event()
            await self._fed.wait()
            return
        self._feeding = True
        try:
            data = await self.transport_stream.receive(max(max_bytes, self._receive_size))
        except anyio.EndOfStream:
            if broken is not None:
                raise broken from broken.__cause__
            self._incoming.write_eof()
            self._unread = True
        else:
            self._incoming.write(data)
            self._unread = True
        finally:
            self._feeding = False
            if self._fed is not None:
                self._fed.set()
                self._fed = None

    async def _flush(self, *, left: bool = False) -> None:
        """Send what OpenSSL has encrypted, including what it encrypts during the sending.

        :param left: send first what the stream below has not sent all of
        """
        below = self._below
        self._flushing = True
        try:
            if below is None:
                await self._flush_foreign()
            else:
                if left:
                    await below.drain()
                while self._outgoing.pending:
                    if not self._pass_on(below):
                        await below.drain()
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            self._send_failed = True
            raise
        finally:
            self._flushing = False
            if self._flushed is not None:
                self._flushed.set()
                self._flushed = None

    async def _flush_foreign(self) -> None:
        try:
            while self._outgoing.pending:
                await self.transport_stream.send(self._outgoing.read())
        except BaseException:
            self._send_failed = True
            raise

    def _pass_on(self, below: TimedStream | TlsStream) -> bool:
        """Give what OpenSSL has encrypted to the stream *below*; return whether it is all sent."""
        try:
            return below.send_nowait(self._outgoing.read())
        except BaseException:
            # TLS numbers its records: without this one, the peer cannot decrypt the following ones.
            self._send_failed = True
            raise


def _count_encrypted(flight: bytes) -> int:
    """Return the number of records with encrypted data in *flight* (:rfc:`8446#section-5.1`)."""
    count = position = 0
    while position < len(flight):
        count += flight[position] == 23
        position += 5 + int.from_bytes(flight[position + 3 : position + 5])
    return count


def _is_end(exc: ssl.SSLError) -> bool:
    """Whether *exc* means that the peer sends no more."""
    return isinstance(exc, (ssl.SSLEOFError, ssl.SSLZeroReturnError)) or (
        "UNEXPECTED_EOF_WHILE_READING" in (exc.strerror or "")
    )
