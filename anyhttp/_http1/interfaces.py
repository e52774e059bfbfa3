"""What an exchange needs of a request, and of what speaks HTTP/1.1 or HTTP/2 for it."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from .._headers import HeaderBlock
from .heads import Head
from .response_grammar import ParseError

if TYPE_CHECKING:
    from .._tasks import Watchdog
    from .request_framing import Framing

__all__ = ("ExchangeEngine", "ExchangeStream", "LentStream", "Outgoing", "SendableBody")


class SendableBody(Protocol):
    """What an exchange needs of the body of a request."""

    def in_memory(self) -> bytes | None:
        """Return the whole body if it is in memory, else ``None``."""
        ...

    async def write_with_length(self, writer: Any, content_length: int | None, /) -> None:
        """Write the body, but no more than *content_length* bytes of it."""


class Outgoing(Protocol):
    """What an exchange needs of a request, checked and ready to be sent."""

    method: str
    framing: Framing
    keep_alive: bool

    @property
    def payload(self) -> SendableBody | None: ...
    @property
    def http10(self) -> bool: ...


class ExchangeEngine(Protocol):
    """The messages of one exchange, without I/O.

    That of HTTP/1.1 makes the bytes of the request and reads those of the response.  In HTTP/2
    all streams of a connection share its bytes: what makes and reads them keeps the parts of each
    exchange in an object like this.
    """

    error: ParseError | None
    head: Head | None
    pieces: deque[bytes]
    chunk_ends: deque[int]
    keep_alive: bool | float
    complete: bool
    surplus: bytes

    @property
    def ends_apart(self) -> bool:
        """Whether the stream has to be told of the end of a body, which is no bytes."""
        ...

    def send_head(
        self,
        method: str,
        target: str,
        headers: HeaderBlock | Sequence[tuple[str, str]],
        *,
        http10: bool = False,
        chunked: bool = False,
    ) -> bytes:
        """Return the bytes of a request head."""
        ...

    def send_data(self, data: bytes, /) -> bytes:
        """Return the bytes to send for one piece of the body."""
        ...

    def frame(self, size: int, /) -> tuple[bytes, bytes]:
        """Return the bytes to send before and after a piece of *size* bytes."""
        ...

    def send_end(self) -> bytes:
        """Return the bytes that end the body."""
        ...

    def receive(self, data: bytes, /) -> None:
        """Take what the stream has received.

        :raises ParseError: it breaks the protocol
        """

    def next_response(self) -> None:
        """Forget an informational head."""

    @property
    def wanted(self) -> int:
        """How many bytes to ask of the stream."""
        ...

    @property
    def trailers(self) -> Sequence[tuple[bytes, bytes]]:
        """The fields after the body."""
        ...

    @property
    def has_started(self) -> bool:
        """Whether any byte of a response has arrived."""
        ...

    @property
    def is_unprocessed(self) -> bool:
        """Whether the peer has said that it did nothing with the request."""
        ...

    @property
    def needs_http1(self) -> bool:
        """Whether the peer has said that it answers the request by HTTP/1.1 alone."""
        ...


class ExchangeStream(Protocol):
    """The way to the peer: a connection of HTTP/1.1, or one stream of a connection of HTTP/2."""

    @property
    def for_one_exchange(self) -> bool:
        """Whether no other exchange can follow."""
        ...

    @property
    def has_waited(self) -> bool:
        """Whether it is certain that other tasks could run during the last :meth:`receive`."""
        ...

    @property
    def checkpoint_if_cancelled(self) -> Callable[[], Awaitable[None]]:
        """As in :mod:`anyio.lowlevel`."""
        ...

    def set_deadline(self, deadline: float, watchdog: Watchdog | None, /) -> None:
        """Let every later wait end with ``Expired`` at *deadline*."""

    def end_deadline(self, watchdog: Watchdog | None, /) -> None:
        """Make *watchdog* forget this stream."""

    async def receive(self, max_bytes: int = ..., /) -> bytes:
        """Return what the engine has to be given; ``b""`` when the peer sends no more."""
        ...

    async def send(self, data: bytes, /) -> None:
        """Send *data*, the first bytes of the request."""

    def send_nowait(self, data: bytes | memoryview, /) -> bool:
        """Send *data* as far as that needs no waiting; return whether all of it has been sent."""
        ...

    def send_together_nowait(self, *pieces: bytes | memoryview) -> bool:
        """Do what :meth:`send_nowait` does with *pieces*."""
        ...

    async def drain(self) -> None:
        """Wait until what :meth:`send_nowait` left over has been sent."""

    def send_last(self, data: bytes, /) -> None:
        """Send *data* as far as that needs no waiting; the stream is closed afterwards."""

    def interrupt(self) -> None:
        """End the wait of the task that receives at this moment with ``Expired``."""

    def is_failure(self, exc: BaseException, /) -> bool:
        """Whether *exc* is a failure that a program's own stream tells by this attribute."""
        ...

    def extra_info(self, name: str, default: Any = None, /) -> Any:
        """Return what asyncio's transports call *name*."""
        ...

    def call_in_loop(self, function: Callable[[], object], /) -> None:
        """Call *function* in the event loop of the stream."""


class LentStream(Protocol):
    """The way to the peer for another protocol, which follows a response."""

    @property
    def sends_nowait(self) -> bool:
        """Whether :meth:`send_nowait` sends at once, if there is room for it."""
        ...

    @property
    def receive_size(self) -> int:
        """How many bytes to ask for when the caller does not know how many will come."""
        ...

    @property
    def checkpoint_if_cancelled(self) -> Callable[[], Awaitable[None]]:
        """As in :mod:`anyio.lowlevel`."""
        ...

    def receive(self, max_bytes: int = ..., /) -> Awaitable[bytes]:
        """Return what waits for bytes; ``b""`` when the peer sends no more."""
        ...

    def send_nowait(self, data: bytes | memoryview, /) -> bool:
        """Send *data* as far as that needs no waiting; return whether all of it has been sent."""
        ...

    def drain(self) -> Awaitable[None]:
        """Return what waits until what :meth:`send_nowait` left over has been sent."""
        ...

    def send_last(self, data: bytes, /) -> None:
        """Send *data* as far as that needs no waiting; the stream is closed afterwards."""

    def finish_sending(self) -> None:
        """Note that nothing more will be sent, and that the peer ends the protocol."""

    def interrupt(self) -> None:
        """End the wait of the task that receives at this moment with ``Expired``."""

    def is_failure(self, exc: BaseException, /) -> bool:
        """Whether *exc* is a failure that a program's own stream tells by this attribute."""
        ...

    def extra_info(self, name: str, default: Any = None, /) -> Any:
        """Return what asyncio's transports call *name*."""
        ...
