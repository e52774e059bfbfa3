"""The opening handshake: makes the header fields of the request, and checks the response."""

from __future__ import annotations

import re
import secrets
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha1
from typing import TYPE_CHECKING, Final

from multidict import MultiMapping

from .. import hdrs
from .._headers import TOKEN, is_token
from .deflate import Deflater, Inflater

if TYPE_CHECKING:
    from websockets.extensions.permessage_deflate import (
        ClientPerMessageDeflateFactory,
        PerMessageDeflate,
    )

__all__ = ("Accepted", "HandshakeRefused", "Offer", "new_key")

#: The server proves that it speaks WebSocket by a hash of the client's key and this constant
#: (:rfc:`6455#section-1.3`).
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

_PARAMETER: Final = re.compile(rf'[ \t]*;[ \t]*({TOKEN})(?:[ \t]*=[ \t]*("?)({TOKEN})\2)?')
_NAME: Final = re.compile(rf"[ \t]*({TOKEN})")


def new_key() -> str:
    """Return a value for ``Sec-WebSocket-Key``; each attempt needs a new one."""
    return b64encode(secrets.token_bytes(16)).decode()


class HandshakeRefused(Exception):
    """The response does not accept the offer; the text says why."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The result of the handshake: subprotocol and compression."""

    protocol: str | None
    compression: PerMessageDeflate | None = None
    #: size of the window that we compress with, as a power of two; 0 without compression
    window_bits: int = 0

    @property
    def no_takeover(self) -> bool:
        """Whether each sent message is compressed without reference to earlier messages."""
        return self.compression is not None and self.compression.local_no_context_takeover

    def deflater(self) -> Deflater | None:
        """Return a compressor for what is sent, if that was agreed on."""
        if self.compression is None:
            return None
        return Deflater(self.window_bits, takes_over=not self.no_takeover)

    def inflater(self) -> Inflater | None:
        """Return a decompressor for what is received, if that was agreed on."""
        agreed = self.compression
        if agreed is None:
            return None
        # zlib does not support windows of 8 bits here, but a larger window can be used instead.
        bits = max(9, agreed.remote_max_window_bits)
        return Inflater(bits, takes_over=not agreed.remote_no_context_takeover)


class Offer:
    """The subprotocols and the compression that a client offers in its request.

    :param protocols: subprotocols, the preferred one first
    :param compress: size of the windows of both sides, as a power of two from 9 to 15; 0 for no
        compression
    :raises TypeError: *protocols* is a ``str``, or contains something that is not a ``str``
    :raises ValueError: *compress* is another number, or a protocol is not a token
    """

    __slots__ = ("_compress", "_extension", "_protocols")

    def __init__(self, protocols: Sequence[str], compress: int) -> None:
        if isinstance(protocols, str):
            raise TypeError("protocols must be a sequence of names, not a str")
        self._protocols = tuple(protocols)
        for protocol in self._protocols:
            if not isinstance(protocol, str):
                raise TypeError(f"protocols must be str, not {type(protocol).__name__}")
            if not is_token(protocol):
                raise ValueError(f"protocols: {protocol!r} is not a valid name")
        if compress and (compress is True or compress not in range(9, 16)):
            raise ValueError(f"compress must be 0, or window bits from 9 to 15, not {compress!r}")
        self._compress = compress
        self._extension = _deflate_offer(compress) if compress else None

    def headers(self) -> list[tuple[str, str]]:
        """Return the fields to send, except the key (:rfc:`6455#section-4.1`)."""
        fields: list[tuple[str, str]] = [
            (hdrs.UPGRADE, "websocket"),
            (hdrs.CONNECTION, "Upgrade"),
            (hdrs.SEC_WEBSOCKET_VERSION, "13"),
        ]
        if self._protocols:
            fields.append((hdrs.SEC_WEBSOCKET_PROTOCOL, ",".join(self._protocols)))
        if self._extension is not None:
            offer = str(self._extension.name)
            # In the order that other clients use.
            for name, value in reversed(self._extension.get_request_params()):
                offer += f"; {name}" if value is None else f"; {name}={value}"
            fields.append((hdrs.SEC_WEBSOCKET_EXTENSIONS, offer))
        return fields

    def check(
        self, status: int, headers: MultiMapping[str], key: str, named: Sequence[str] = ()
    ) -> Accepted:
        """Check a response of HTTP/1.1, and return the result of the handshake.

        :param key: the ``Sec-WebSocket-Key`` of the request
        :param named: the lines of ``Sec-WebSocket-Protocol`` in the request: its caller may have
            written that header, and so have offered more than this offer does
        :raises HandshakeRefused: the response does not accept this offer as RFC 6455 demands
        """
        if status != 101:
            raise HandshakeRefused("Invalid response status")
        if _tokens(headers, hdrs.UPGRADE) != {"websocket"}:
            raise HandshakeRefused("Invalid upgrade header")
        if "upgrade" not in _tokens(headers, hdrs.CONNECTION):
            raise HandshakeRefused("Invalid connection header")
        digest = b64encode(sha1(key.encode() + _GUID, usedforsecurity=False).digest()).decode()
        if headers.getall(hdrs.SEC_WEBSOCKET_ACCEPT, ()) != [digest]:
            raise HandshakeRefused("Invalid challenge response")
        return self.agreed(headers, named)

    def agreed(self, headers: MultiMapping[str], named: Sequence[str] = ()) -> Accepted:
        """Return what the fields of a response that accepts the WebSocket agree on.

        It is all that HTTP/2 leaves to check (:rfc:`8441#section-5`).

        :param named: as for :meth:`check`
        :raises HandshakeRefused: they name what has not been offered
        """
        compression = self._negotiated(headers)
        bits = 0
        if compression is not None:
            bits = min(self._compress, compression.local_max_window_bits)
        return Accepted(self._protocol(headers, named), compression, bits)

    def _protocol(self, headers: MultiMapping[str], named: Sequence[str]) -> str | None:
        """Return the subprotocol that the server has chosen; ``None`` if it has chosen none."""
        if hdrs.SEC_WEBSOCKET_PROTOCOL not in headers:
            return None
        offered = (*self._protocols, *_members(named))
        chosen = _members(headers.getall(hdrs.SEC_WEBSOCKET_PROTOCOL))
        for name in chosen:
            if name not in offered:
                raise HandshakeRefused(f"Invalid subprotocol {name!r}, which was not offered")
        # Some servers repeat the list of the client; it is in the order of preference.
        return chosen[0] if chosen else None

    def _negotiated(self, headers: MultiMapping[str]) -> PerMessageDeflate | None:
        """Return the compression that the server accepted (:rfc:`7692#section-7.1`)."""
        if hdrs.SEC_WEBSOCKET_EXTENSIONS not in headers:
            return None
        from websockets.exceptions import NegotiationError

        lines = headers.getall(hdrs.SEC_WEBSOCKET_EXTENSIONS)
        offered = self._extension
        agreed: PerMessageDeflate | None = None
        for name, parameters in _extensions(",".join(lines)):
            if offered is None or name != offered.name or agreed is not None:
                raise HandshakeRefused(f"Invalid extension {name}, which was not offered")
            try:
                agreed = offered.process_response_params(parameters, ())
            except NegotiationError as exc:
                what = "window size" if "window_bits" in str(exc) else "extension parameters"
                raise HandshakeRefused(f"Invalid {what}: {exc}") from exc
        return agreed


def _deflate_offer(bits: int) -> ClientPerMessageDeflateFactory:
    """Return the offer to compress with windows of so many bits."""
    # Imported here, as the import is slow and most programs compress nothing.
    from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

    return ClientPerMessageDeflateFactory(
        server_max_window_bits=bits if bits < 15 else None, client_max_window_bits=True
    )


def _members(lines: Sequence[str]) -> list[str]:
    """Return the members of a list that a field of several lines holds."""
    return [name.strip() for name in ",".join(lines).split(",") if name.strip()]


def _tokens(headers: MultiMapping[str], name: str) -> set[str]:
    """Return the members of a list of tokens, in lower case."""
    lines = headers.getall(name, ())
    return {token.strip().lower() for line in lines for token in line.split(",")}


def _extensions(line: str) -> list[tuple[str, list[tuple[str, str | None]]]]:
    """Parse a ``Sec-WebSocket-Extensions`` header (:rfc:`6455#section-9.1`)."""
    found = []
    pos = 0
    while pos < len(line):
        name = _NAME.match(line, pos)
        if name is None:
            raise HandshakeRefused("Invalid extensions header")
        pos = name.end()
        parameters: list[tuple[str, str | None]] = []
        while (parameter := _PARAMETER.match(line, pos)) is not None:
            parameters.append((parameter[1], parameter[3]))
            pos = parameter.end()
        found.append((name[1], parameters))
        rest = line[pos:].lstrip(" \t")
        if rest and not rest.startswith(","):
            raise HandshakeRefused("Invalid extensions header")
        pos = len(line) - len(rest) + 1
    return found
