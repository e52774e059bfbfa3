"""Compression of heads (:rfc:`7541`), by the library :mod:`hpack`, with a memo for equal heads.

Most heads of a connection repeat: a program sends the same fields again, and a server answers with
the same ones, for a second at least.  Such a head is coded only once, if coding it again would
neither depend on a change of the compressor's table nor change it.

The table of a compressor changes only by new entries at its front, each an object of its own.
So it is unchanged if the first entry is the same object and their number is the same.  New entries,
which would not leave it so, are not made for values that seldom come again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import hpack
from hpack.exceptions import HPACKError, OversizedHeaderListError

from .errors import ConnectionFault, ErrorCode

if TYPE_CHECKING:
    from hpack.table import HeaderTable

__all__ = ("CodedFields", "FieldDecoder", "FieldEncoder", "TableMark", "never_indexed")

# The library logs each field with its value at DEBUG, and the whole head.  A program that lets
# everything be logged does not want its passwords there; one that sets this level does.
_log: Final = logging.getLogger("hpack")
if _log.level == logging.NOTSET:
    _log.setLevel(logging.WARNING)

#: Most bytes of fields that are remembered for a server, however many it allows.
MAX_TABLE_SIZE: Final = 4096

#: A list of fields that is larger than allowed is decoded up to this multiple of what is allowed,
#: so that it ends its stream only: without having decoded it, no later head could be read.
OVERSIZE: Final = 2

# Names with a number in the static table (RFC 7541, appendix A) whose values are sent as they are:
# in no table of this connection, and the last ones in none of any connection after it (§6.2.3).
_NUMBERS: Final = {
    b":path": b"\x04",
    b"content-length": b"\x0f\x0d",
    b"authorization": b"\x1f\x08",
    b"cookie": b"\x1f\x11",
    b"proxy-authorization": b"\x1f\x22",
}


class TableMark(NamedTuple):
    """What a table of a compressor is recognised by."""

    first: object
    number: int
    size: int

    @classmethod
    def of(cls, table: HeaderTable) -> TableMark:
        """Return the mark of *table*."""
        entries = table.dynamic_entries
        return cls(entries[0] if entries else None, len(entries), table.maxsize)

    def fits(self, table: HeaderTable) -> bool:
        """Whether *table* has not changed since."""
        entries = table.dynamic_entries
        if len(entries) != self.number or table.maxsize != self.size:
            return False
        return not entries or entries[0] is self.first


class CodedFields:
    """Fields of requests that are sent again, and the bytes they have been coded to."""

    __slots__ = ("block", "fields", "mark")

    def __init__(self, fields: Sequence[tuple[bytes, bytes]]) -> None:
        self.fields = fields
        self.block = b""
        #: the table with which :attr:`block` can be sent again
        self.mark: TableMark | None = None


def _literal(name: bytes, value: bytes) -> bytes:
    """Return a field that is coded without the table (:rfc:`7541#section-6.2.2`)."""
    size = len(value)
    if size < 127:
        return b"%b%c%b" % (_NUMBERS[name], size, value)
    length = bytearray(b"\x7f")
    size -= 127
    while size >= 128:
        length.append(size & 127 | 128)
        size >>= 7
    length.append(size)
    return _NUMBERS[name] + length + value


def never_indexed(fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return credentials as they are sent: in no table (:rfc:`7541#section-7.1.3`).

    :param fields: ``Authorization``, ``Proxy-Authorization`` and ``Cookie``
    """
    return b"".join([_literal(name, value) for name, value in fields])


class FieldEncoder:
    """Codes the heads that are sent on one connection."""

    __slots__ = ("_encoder", "_least_size", "_size")

    def __init__(self) -> None:
        self._encoder = hpack.Encoder()
        self._size = self._least_size = self._encoder.header_table_size

    def resize(self, least: int, last: int) -> None:
        """Keep to the sizes of the table that the server has allowed, one after the other."""
        self._size = min(last, MAX_TABLE_SIZE)
        self._least_size = min(self._least_size, least, MAX_TABLE_SIZE)

    def encode(
        self,
        coded: CodedFields,
        path: bytes | None,
        length: bytes | None,
        credentials: bytes = b"",
    ) -> bytes:
        """Return a head as bytes, which have to be sent in the order of these calls.

        :param path: value of ``:path``, which comes before all other fields
        :param length: value of ``Content-Length``
        :param credentials: what :func:`never_indexed` has returned
        """
        changes = b""
        if self._size != self._least_size or self._size != self._encoder.header_table_size:
            changes = self._size_changes()
        block = self._coded(coded)
        if path is not None:
            block = _literal(b":path", path) + block
        if length is not None:
            block += _literal(b"content-length", length)
        return changes + block + credentials

    def _size_changes(self) -> bytes:
        """Change the size of the table, and return what tells the server of it.

        However often it has changed, the smallest and the last size are told
        (:rfc:`7541#section-4.2`).
        """
        encoder = self._encoder
        encoder.header_table_size = self._least_size
        if self._size != self._least_size:
            encoder.header_table_size = self._least_size = self._size
        changes: bytes = encoder.encode([])
        return changes

    def _coded(self, coded: CodedFields) -> bytes:
        table = self._encoder.header_table
        if coded.mark is not None and coded.mark.fits(table):
            return coded.block
        before = TableMark.of(table)
        block: bytes = self._encoder.encode(coded.fields)
        if before.fits(table):
            coded.block, coded.mark = block, before
        return block


class FieldDecoder:
    """Decodes the heads that are received on one connection.

    :param max_size: most bytes of the fields of one head
    :param table_size: most bytes that the peer may make this remember
    """

    __slots__ = ("_decoder", "table")

    def __init__(self, max_size: int, table_size: int) -> None:
        self._decoder = hpack.Decoder(max_header_list_size=OVERSIZE * max_size)
        self._decoder.max_allowed_table_size = table_size
        if table_size < self._decoder.header_table_size:
            self._decoder.header_table_size = table_size
        #: the table, for :class:`TableMark`
        self.table: HeaderTable = self._decoder.header_table

    def decode(self, block: bytes) -> list[tuple[bytes, bytes]]:
        """Return the fields of *block*.

        :raises ConnectionFault: it cannot be decoded, so that no later one can be either
        """
        try:
            return self._decoder.decode(block, raw=True)  # type: ignore[return-value]
        except OversizedHeaderListError:
            raise ConnectionFault(
                ErrorCode.ENHANCE_YOUR_CALM, "a head that is much larger than allowed"
            ) from None
        except (HPACKError, ValueError, IndexError, TypeError):
            # The library's own text may hold all of the head, cookies among it.
            raise ConnectionFault(
                ErrorCode.COMPRESSION_ERROR, "a head that cannot be decompressed"
            ) from None
