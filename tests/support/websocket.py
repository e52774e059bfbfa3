"""WebSocket frames from the server's side, for scripted peers."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha1
from typing import Protocol

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def frame(opcode: int, data: bytes = b"", *, last: bool = True, reserved: int = 0) -> bytes:
    """Return an unmasked frame.

    :param reserved: the three reserved bits, 4 for the first of them
    """
    first = bytes([last << 7 | reserved << 4 | opcode])
    if len(data) < 126:
        return first + bytes([len(data)]) + data
    if len(data) < 65536:
        return first + b"\x7e" + len(data).to_bytes(2, "big") + data
    return first + b"\x7f" + len(data).to_bytes(8, "big") + data


def close(code: int, reason: bytes = b"") -> bytes:
    """Return a CLOSE frame."""
    return frame(CLOSE, code.to_bytes(2, "big") + reason)


def accept_key(head: bytes) -> str:
    """Return the ``Sec-WebSocket-Accept`` for the request *head* (:rfc:`6455#section-4.2.2`).

    Earlier requests of the same connection may precede it.
    """
    keys = re.findall(rb"(?i)\r\nSec-WebSocket-Key: *(\S+)", head)
    assert keys, f"there is no key in {head!r}"
    digest = sha1(keys[-1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    return b64encode(digest).decode()


@dataclass(frozen=True)
class Accept:
    """A reply: the 101 response that accepts the handshake, and bytes directly after it."""

    more: bytes = b""
    fields: tuple[str, ...] = ()

    def data(self, head: bytes) -> bytes:
        """Return the bytes of the reply to the request *head*."""
        lines = [
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Accept: {accept_key(head)}",
            *self.fields,
        ]
        return "\r\n".join([*lines, "", ""]).encode() + self.more


@dataclass(frozen=True)
class Frame:
    """An expected frame: masked, with exactly this content."""

    opcode: int
    data: bytes = b""
    last: bool = True
    reserved: int = 0


@dataclass(frozen=True)
class CloseWith:
    """An expected CLOSE frame with this code and any reason."""

    code: int


class Source(Protocol):
    """An object that bytes can be taken from."""

    def take(self, count: int) -> bytes: ...


def take_frame(link: Source) -> Frame:
    """Take one frame of a client."""
    first, second = link.take(2)
    assert second & 0x80, "a client must mask its frames"
    length = second & 0x7F
    if length >= 126:
        length = int.from_bytes(link.take(2 if length == 126 else 8), "big")
    mask = link.take(4)
    data = link.take(length)
    plain = int.from_bytes(data, "big") ^ int.from_bytes((mask * (length // 4 + 1))[:length], "big")
    return Frame(first & 15, plain.to_bytes(length, "big"), bool(first & 0x80), first >> 4 & 7)
