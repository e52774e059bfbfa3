"""Small bodies that decode to large ones, made without coding all that they decode to."""

from __future__ import annotations

import zlib

MEGABYTE = 2**20


def gzip_of_zeros(megabytes: int, *, level: int = 9) -> bytes:
    """Return one member of gzip (:rfc:`1952`) that holds so many megabytes of zeros."""
    head = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
    checksum = 0
    for _ in range(megabytes):
        checksum = zlib.crc32(bytes(MEGABYTE), checksum)
    tail = checksum.to_bytes(4, "little") + (megabytes * MEGABYTE % 2**32).to_bytes(4, "little")
    return head + blocks_of_zeros(megabytes, level=level) + b"\x03\x00" + tail


def blocks_of_zeros(megabytes: int, *, level: int = 9) -> bytes:
    """Return so many megabytes of zeros as blocks of DEFLATE, of which none is the last one.

    After a full flush, the same input gives the same blocks again (:rfc:`1951`).
    """
    compressor = zlib.compressobj(level, wbits=-15)
    block = compressor.compress(bytes(MEGABYTE)) + compressor.flush(zlib.Z_FULL_FLUSH)
    return block * megabytes
