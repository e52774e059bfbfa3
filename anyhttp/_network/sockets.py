"""Opens sockets; no other module of the package does."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.lowlevel
import anyio.to_thread

from .._tasks import on_asyncio
from .stream import NetworkStream

if TYPE_CHECKING:
    from .asyncio_stream import AsyncioStream
    from .trio_stream import TrioStream

__all__ = (
    "AddrInfoType",
    "SocketFactoryType",
    "SocketOption",
    "connect_tcp",
    "connect_unix",
    "set_options",
    "sockets_with",
)

#: ``(family, type, proto, canonname, sockaddr)``, as ``socket.getaddrinfo`` returns it.
AddrInfoType = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[Any, ...]]
SocketFactoryType = Callable[[AddrInfoType], socket.socket]

#: The arguments of :meth:`socket.socket.setsockopt`.
SocketOption = (
    tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]
)


#: Seconds without traffic before the operating system probes whether the peer is still there,
#: and seconds between its probes.  A NAT forgets a silent connection after a few minutes;
#: without probes, a request without ``sock_read`` would then wait for ever.
KEEPALIVE_AFTER: Final = 60
KEEPALIVE_INTERVAL: Final = 15

#: Seconds before the next attempt at a Unix socket whose queue of connections is full.
UNIX_RETRY: Final = 0.01


# -- sockets ---------------------------------------------------------------------------


async def connect_tcp(
    address: AddrInfoType,
    local_address: tuple[str, int] | None = None,
    socket_factory: SocketFactoryType | None = None,
) -> NetworkStream:
    """Connect to one resolved address.

    :raises OSError: the address cannot be reached, or *local_address* cannot be bound

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
        # A small request must not wait until the peer has acknowledged the one before.
        raw_socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if local_address is not None:
            raw_socket.bind(local_address)
        await _finish_connect(raw_socket, sockaddr)
    except BaseException:
        raw_socket.close()
        raise
    return await _stream_from(raw_socket)


def _keep_alive(raw_socket: socket.socket) -> None:
    """Have the operating system notice a peer that has vanished, as after a power failure."""
    raw_socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", KEEPALIVE_AFTER),
        ("TCP_KEEPALIVE", KEEPALIVE_AFTER),  # the option's name on macOS
        ("TCP_KEEPINTVL", KEEPALIVE_INTERVAL),
    ):
        if (option := getattr(socket, name, None)) is not None:
            raw_socket.setsockopt(socket.IPPROTO_TCP, option, value)


def set_options(raw_socket: socket.socket, options: Sequence[SocketOption]) -> None:
    """Set *options*.

    :raises OSError: the operating system refuses one
    """
    set_option: Callable[..., None] = raw_socket.setsockopt
    for option in options:
        set_option(*option)


def sockets_with(options: Sequence[SocketOption]) -> SocketFactoryType | None:
    """Return what makes sockets with *options*; ``None``, which is the default, for none."""
    if not options:
        return None

    def make(address: AddrInfoType) -> socket.socket:
        raw_socket = socket.socket(*address[:3])
        try:
            set_options(raw_socket, options)
        except BaseException:
            raw_socket.close()
            raise
        return raw_socket

    return make


async def connect_unix(path: str | bytes) -> NetworkStream:
    """Connect to the Unix socket at *path*.

    :raises OSError: nobody listens at *path*, or permission is denied
    """
    raw_socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        raw_socket.setblocking(False)
        while (code := raw_socket.connect_ex(path)) == errno.EAGAIN:  # noqa: ASYNC110
            await anyio.sleep(UNIX_RETRY)  # no event tells when the queue has room
        if code:
            raise OSError(code, os.strerror(code))
    except BaseException:
        raw_socket.close()
        raise
    return await _stream_from(raw_socket)


async def _finish_connect(raw_socket: socket.socket, sockaddr: tuple[Any, ...]) -> None:
    code = raw_socket.connect_ex(sockaddr)
    if code in {errno.EINPROGRESS, errno.EWOULDBLOCK}:
        if on_asyncio():
            await _for_asyncio()[0](raw_socket)
        else:
            await anyio.wait_writable(raw_socket)
        code = raw_socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))


async def _stream_from(raw_socket: socket.socket) -> NetworkStream:
    """Make a stream of a connected socket; close the socket if that fails."""
    if on_asyncio():
        return NetworkStream(await _for_asyncio()[1].wrap(raw_socket))
    return NetworkStream(_for_trio()(raw_socket))


@cache
def _for_asyncio() -> tuple[Callable[[socket.socket], Awaitable[None]], type[AsyncioStream]]:
    # Imported only where asyncio already runs, and once, as an import takes 4000 instructions.
    from .asyncio_stream import AsyncioStream
    from .asyncio_wait import wait_writable

    return wait_writable, AsyncioStream


@cache
def _for_trio() -> type[TrioStream]:
    from .trio_stream import TrioStream  # imported only where trio already runs

    return TrioStream
