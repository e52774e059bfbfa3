"""The connection of a response, as httpx offers it to whoever needs more than HTTP."""

from __future__ import annotations

from ssl import SSLContext
from typing import TYPE_CHECKING, Any, Final, NoReturn

import anyio

from .._common import ConnectionKey
from .._network import NetworkStream, start_tls
from ..client_exceptions import ClientConnectionError
from .library import Library

if TYPE_CHECKING:
    from .._http1 import ExchangeStream

__all__ = ("SharedTransportStream", "TransportStream")

_NAMES: Final = {
    "ssl_object": "ssl_object",
    "client_addr": "sockname",
    "server_addr": "peername",
    "socket": "socket",
}


class TransportStream:
    """The value of ``response.extensions["network_stream"]``.

    After ``101 Switching Protocols`` or ``CONNECT`` it carries the other protocol.  Its methods
    raise the exceptions of httpcore, as the streams of httpx's own transport do.

    :param received: bytes of the other protocol that came together with the head
    """

    def __init__(self, library: Library, stream: NetworkStream, received: bytes = b"") -> None:
        self._library = library
        self._stream = stream
        self._received = received

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return the next bytes, ``b""`` when the peer sends no more.

        :raises ReadTimeout: nothing came for *timeout* seconds
        :raises ReadError: the connection broke
        """
        if self._received:
            data = self._received[:max_bytes]
            self._received = self._received[max_bytes:]
            await anyio.lowlevel.checkpoint()
            return data
        try:
            with anyio.move_on_after(timeout):
                return await self._stream.receive(max_bytes)
        except ClientConnectionError as exc:
            raise self._library.core_error("ReadError", str(exc)) from exc
        raise self._library.core_error("ReadTimeout", "nothing has been received in time")

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send *buffer*.

        :raises WriteTimeout: the peer did not take it within *timeout* seconds
        :raises WriteError: the connection broke
        """
        if not buffer:
            return
        try:
            with anyio.move_on_after(timeout):
                await self._stream.send(buffer)
                return
        except ClientConnectionError as exc:
            raise self._library.core_error("WriteError", str(exc)) from exc
        raise self._library.core_error("WriteTimeout", "the peer has not taken the bytes in time")

    async def aclose(self) -> None:
        """Close the connection."""
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> TransportStream:
        """Start TLS on the connection, and return the encrypted stream.

        :raises ConnectTimeout: it took longer than *timeout* seconds
        :raises ConnectError: the handshake failed; the connection is closed
        """
        name = server_hostname or ""
        key = ConnectionKey(name, None, True, ssl_context, None, None, None)
        try:
            with anyio.move_on_after(timeout):
                stream = await start_tls(self._stream, name, key)
                return TransportStream(self._library, stream)
        except ClientConnectionError as exc:
            raise self._library.core_error("ConnectError", str(exc)) from exc
        raise self._library.core_error("ConnectTimeout", "TLS has not started in time")

    def get_extra_info(self, info: str) -> Any:
        """Return ``ssl_object``, ``client_addr``, ``server_addr``, ``socket``, ``is_readable``."""
        if info == "is_readable":
            return not self._stream.is_quiet()
        name = _NAMES.get(info)
        return None if name is None else self._stream.extra_info(name)


class SharedTransportStream:
    """The same value for a response of HTTP/2: it tells of the connection, which others use too."""

    def __init__(self, stream: ExchangeStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Raise an error.

        :raises RuntimeError: the bytes belong to all requests on the connection
        """
        self._refuse()

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Raise an error, as :meth:`read` does."""
        self._refuse()

    async def aclose(self) -> None:
        """Raise an error, as :meth:`read` does."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise RuntimeError("the connection speaks HTTP/2, and its bytes belong to all requests")

    def get_extra_info(self, info: str) -> Any:
        """Return ``ssl_object``, ``client_addr``, ``server_addr`` or ``socket``."""
        name = _NAMES.get(info)
        return None if name is None else self._stream.extra_info(name)
