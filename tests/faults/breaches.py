"""Frames of HTTP/2 that break a rule: of one stream, or of the whole connection."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntFlag
from typing import Final

Breach = Callable[[int], bytes]


class _Kind:
    """Types of frames (RFC 9113 §6)."""

    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


class _Flag(IntFlag):
    """Flags of frames."""

    NONE = 0
    END_STREAM = 1
    ACK = 1
    END_HEADERS = 4
    PADDED = 8


def frame(kind: int, stream: int, payload: bytes, flags: int = 0) -> bytes:
    """Return a frame."""
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


def reset(stream: int, code: int) -> bytes:
    """Return ``RST_STREAM``."""
    return frame(_Kind.RST_STREAM, stream, code.to_bytes(4))


def goaway(last: int, code: int = 0) -> bytes:
    """Return ``GOAWAY``."""
    return frame(_Kind.GOAWAY, 0, last.to_bytes(4) + code.to_bytes(4))


def widening(stream: int, size: int) -> bytes:
    """Return ``WINDOW_UPDATE``."""
    return frame(_Kind.WINDOW_UPDATE, stream, size.to_bytes(4))


def settings(number: int, value: int) -> bytes:
    """Return ``SETTINGS`` with one setting."""
    return frame(_Kind.SETTINGS, 0, number.to_bytes(2) + value.to_bytes(4))


def ping() -> bytes:
    """Return ``PING``."""
    return frame(_Kind.PING, 0, bytes(8))


def _head(*fields: tuple[bytes, bytes], ends: bool = False) -> Breach:
    """Return what makes ``HEADERS`` with *fields*, none of which goes into a table."""
    block = b"".join(
        b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value for name, value in fields
    )
    flags = _Flag.END_HEADERS | (_Flag.END_STREAM if ends else 0)
    return lambda stream: frame(_Kind.HEADERS, stream, block, flags)


_OK: Final = (b":status", b"200")

#: What one stream ends with, before its head has come.
OF_STREAM: Final[tuple[Breach, ...]] = (
    _head((b"x-name", b"x")),
    _head((b"x-name", b"x"), _OK),
    _head((b":status", b"101")),
    _head((b":status", b"20")),
    _head((b":status", b"100"), ends=True),
    _head(_OK, (b"X-Name", b"x")),
    _head(_OK, (b"x-name", b"x\ny")),
    _head(_OK, (b"connection", b"close")),
    _head(_OK, (b"transfer-encoding", b"chunked")),
    _head(_OK, (b"content-length", b"-1")),
    _head(_OK, (b"content-length", b"5"), ends=True),
    lambda stream: frame(_Kind.DATA, stream, b"x"),
    lambda stream: frame(_Kind.DATA, stream, b"", _Flag.END_STREAM),
    lambda stream: frame(_Kind.PRIORITY, stream, b"1234"),
    lambda stream: widening(stream, 0),
    lambda stream: widening(stream, 2**31 - 1),
)

#: The same, when its head has come, which announces more than 20 bytes and less than 200.
OF_BODY: Final[tuple[Breach, ...]] = (
    _head(_OK),
    _head((b"x-sum", b"1")),
    _head((b"x-sum", b"1"), ends=True),
    _head(_OK, ends=True),
    lambda stream: frame(_Kind.DATA, stream, bytes(200)),
    lambda stream: frame(_Kind.DATA, stream, bytes(20), _Flag.END_STREAM),
    lambda stream: frame(_Kind.PRIORITY, stream, b"1234"),
    lambda stream: widening(stream, 0),
    lambda stream: widening(stream, 2**31 - 1),
)

#: What the whole connection ends with.
OF_CONNECTION: Final[tuple[Breach, ...]] = (
    lambda stream: frame(_Kind.DATA, 0, b"x"),
    lambda stream: frame(_Kind.DATA, stream + 1, b"x"),
    lambda stream: frame(_Kind.DATA, stream + 100, b"x"),
    lambda stream: frame(_Kind.DATA, stream, b"", _Flag.PADDED),
    lambda stream: frame(_Kind.DATA, stream, b"\x09x", _Flag.PADDED),
    lambda stream: frame(_Kind.DATA, stream, bytes(2**20)),
    lambda stream: _head(_OK)(0),
    lambda stream: _head(_OK)(stream + 1),
    lambda stream: _head(_OK)(stream + 100),
    lambda stream: frame(_Kind.HEADERS, stream, b"\xff\xff\xff\x7f", _Flag.END_HEADERS),
    lambda stream: frame(_Kind.HEADERS, stream, b"\x80", _Flag.END_HEADERS),
    lambda stream: frame(_Kind.HEADERS, stream, b"\x88") + ping(),
    lambda stream: frame(_Kind.HEADERS, stream, b"") + frame(_Kind.CONTINUATION, stream, b"") * 100,
    lambda stream: frame(_Kind.CONTINUATION, stream, b"\x88", _Flag.END_HEADERS),
    lambda stream: frame(_Kind.PRIORITY, 0, b"12345"),
    lambda stream: frame(_Kind.RST_STREAM, stream, b"123"),
    lambda stream: reset(stream + 100, 0),
    lambda stream: frame(_Kind.SETTINGS, stream, b""),
    lambda stream: frame(_Kind.SETTINGS, 0, b"12345"),
    lambda stream: frame(_Kind.SETTINGS, 0, bytes(6), _Flag.ACK),
    lambda stream: settings(2, 1),
    lambda stream: settings(4, 2**31),
    lambda stream: settings(5, 2**14 - 1),
    lambda stream: settings(8, 2),
    lambda stream: widening(stream, 2**31 - 1 - 65535) + settings(4, 65536),
    lambda stream: frame(_Kind.PUSH_PROMISE, stream, b"\0\0\0\x02\x82"),
    lambda stream: frame(_Kind.PING, stream, bytes(8)),
    lambda stream: frame(_Kind.PING, 0, bytes(7)),
    lambda stream: frame(_Kind.GOAWAY, stream, bytes(8)),
    lambda stream: frame(_Kind.GOAWAY, 0, bytes(7)),
    lambda stream: frame(_Kind.WINDOW_UPDATE, stream, bytes(3)),
    lambda stream: widening(0, 0),
    lambda stream: widening(0, 2**31 - 1),
    lambda stream: ping() * 2000,
    lambda stream: settings(4, 65535) * 2000,
    lambda stream: widening(0, 1) * 2000,
    lambda stream: frame(0xFF, 0, b"") * 2000,
)
