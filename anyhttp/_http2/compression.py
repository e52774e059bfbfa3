"""Compression of heads (:rfc:`7541`), with a memo for equal ones.

The tables, the bounds and the order of things are here, as these decide how long a head takes, and
what a server can make the client keep and do.  The Huffman code and the static table are those of
the library :mod:`hpack`.

Most heads of a connection repeat: a program sends the same fields again, and a server answers with
the same ones, for a second at least.  If coding a head has not changed a table, and the table has
not changed since, coding it again would have the same result.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

from hpack.huffman_table import (
    HUFFMAN_COMPLETE,
    HUFFMAN_EMIT_SYMBOL,
    HUFFMAN_FAIL,
    HUFFMAN_TABLE,
)
from hpack.table import HeaderTable

from .errors import ConnectionFault, ErrorCode

__all__ = ("CodedFields", "FieldDecoder", "FieldEncoder", "never_indexed")

#: Size of a table until the peers have told of another, and what an entry counts for besides its
#: name and its value (§4.1).
TABLE_SIZE: Final = 4096
OVERHEAD: Final = 32

#: A list of fields that is larger than allowed is decoded up to this multiple of what is allowed,
#: so that it ends its stream only: without having decoded it, no later head could be read.
OVERSIZE: Final = 2

#: Most bytes that a number may have behind the first: enough for 28 bits.
NUMBER_SIZE: Final = 4

#: Of how many values of one name entries are made.  If it has had more, it will have others again.
MAX_VALUES: Final = 8

#: Of how many names this is known.
MAX_NAMES: Final = 256

_STATIC: Final[tuple[tuple[bytes, bytes], ...]] = HeaderTable.STATIC_TABLE
_DYNAMIC: Final = len(_STATIC) + 1  # number of the newest entry of the other table

# The first of equal names has the number that is used.
_PAIRS: Final = {pair: number for number, pair in enumerate(_STATIC, 1) if pair[1]}
_NAMES: Final = {name: number for number, (name, _) in reversed(list(enumerate(_STATIC, 1)))}

# The kinds of fields, as bits before a number, and how large a number fits beside them (§6).
_INDEXED: Final = 0x80
_ADDED: Final = 0x40
_RESIZED: Final = 0x20
_NEVER_ADDED: Final = 0x10
_NOT_ADDED: Final = 0x00
_HUFFMAN: Final = 0x80


def _number(kind: int, largest: int, number: int) -> bytes:
    """Return *number* as it is sent (§5.1).

    :param kind: the bits before it
    :param largest: the number with all bits of the first byte
    """
    if number < largest:
        return bytes((kind | number,))
    sent = bytearray((kind | largest,))
    number -= largest
    while number >= 128:
        sent.append(number & 127 | 128)
        number >>= 7
    sent.append(number)
    return bytes(sent)


def _literal(kind: int, largest: int, number: int, name: bytes, value: bytes) -> bytes:
    """Return a field that is sent with its value, and with its name if *number* is 0 (§6.2)."""
    start = _number(kind, largest, number)
    if not number:
        start += _number(0, 127, len(name)) + name
    return start + _number(0, 127, len(value)) + value


def never_indexed(fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return credentials as they are sent: in no table of any connection (§7.1.3).

    :param fields: ``Authorization``, ``Proxy-Authorization`` and ``Cookie``
    """
    return b"".join(
        [_literal(_NEVER_ADDED, 15, _NAMES[name], name, value) for name, value in fields]
    )


class CodedFields:
    """Fields of requests that are sent again, and the bytes they have been coded to."""

    __slots__ = ("block", "fields", "state")

    def __init__(self, fields: Sequence[tuple[bytes, bytes]]) -> None:
        self.fields = fields
        self.block = b""
        #: :attr:`FieldEncoder.state` with which :attr:`block` can be sent again
        self.state: int | None = None


class FieldEncoder:
    """Codes the heads that are sent on one connection.

    Strings are sent as they are: the Huffman code would save a quarter of those that are not in a
    table, and take most of the time.
    """

    __slots__ = ("_entries", "_inserted", "_least_size", "_names", "_next_size", "_numbers",
                 "_size", "_used", "_values", "state")  # fmt: skip

    def __init__(self) -> None:
        self._size = self._next_size = self._least_size = TABLE_SIZE
        self._used = 0
        self._entries: deque[tuple[bytes, bytes]] = deque()  # the oldest first
        self._inserted = 0
        # how many had been inserted before each entry, and before the last one of each name
        self._numbers: dict[tuple[bytes, bytes], int] = {}
        self._names: dict[bytes, int] = {}
        self._values: dict[bytes, int] = {}  # how many values each name has had
        #: changes whenever the table does
        self.state: int = 0

    def resize(self, least: int, last: int) -> None:
        """Keep to the sizes of the table that the server has allowed, one after the other."""
        self._next_size = min(last, TABLE_SIZE)
        self._least_size = min(self._least_size, least, TABLE_SIZE)

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
        start = b""
        if self._next_size != self._size or self._least_size != self._size:
            start = self._size_changes()
        if path is not None:
            start += _literal(_NOT_ADDED, 15, _NAMES[b":path"], b":path", path)
        if coded.state == self.state:
            block = coded.block
        else:
            before = self.state
            block = b"".join([self._field(field) for field in coded.fields])
            if before == self.state:
                coded.block, coded.state = block, before
        if length is not None:
            block += _literal(_NOT_ADDED, 15, _NAMES[b"content-length"], b"", length)
        return start + block + credentials

    def _size_changes(self) -> bytes:
        """Change the size of the table, and return what tells the server of it.

        However often it has changed, the smallest and the last size are told (§4.2).
        """
        told = b""
        for size in dict.fromkeys((self._least_size, self._next_size)):
            self._size = size
            self._shrink(size)
            told += _number(_RESIZED, 31, size)
        self._least_size = self._size
        self.state += 1
        return told

    def _field(self, field: tuple[bytes, bytes]) -> bytes:
        number = _PAIRS.get(field)
        if number is None and (before := self._numbers.get(field)) is not None:
            number = _DYNAMIC - 1 + self._inserted - before
        if number is not None:
            return _number(_INDEXED, 127, number)
        name, value = field
        number = _NAMES.get(name, 0)
        if not number and (before := self._names.get(name)) is not None:
            number = _DYNAMIC - 1 + self._inserted - before
        if self._add(field):
            return _literal(_ADDED, 63, number, name, value)
        return _literal(_NOT_ADDED, 15, number, name, value)

    def _add(self, field: tuple[bytes, bytes]) -> bool:
        """Make an entry for *field*, unless it would be of no use."""
        name, value = field
        size = len(name) + len(value) + OVERHEAD
        values = self._values.get(name, 0)
        if values >= MAX_VALUES or size > self._size or len(self._values) >= MAX_NAMES:
            return False
        self._values[name] = values + 1
        self._shrink(self._size - size)
        self._entries.append(field)
        self._numbers[field] = self._names[name] = self._inserted
        self._inserted += 1
        self._used += size
        self.state += 1
        return True

    def _shrink(self, size: int) -> None:
        """Remove the oldest entries until the others have at most *size* bytes (§4.3)."""
        while self._used > size:
            field = self._entries.popleft()
            name, value = field
            before = self._numbers.pop(field)
            if self._names[name] == before:
                del self._names[name]
            self._used -= len(name) + len(value) + OVERHEAD


class FieldDecoder:
    """Decodes the heads that are received on one connection.

    :param max_size: most bytes of the fields of one head, as :data:`OVERSIZE` says
    :param table_size: most bytes that the peer may make this remember
    """

    __slots__ = ("_allowed", "_entries", "_max_size", "_size", "_used", "state")

    def __init__(self, max_size: int, table_size: int) -> None:
        self._max_size = OVERSIZE * max_size
        self._allowed = table_size
        self._size = min(TABLE_SIZE, table_size)
        self._used = 0
        self._entries: deque[tuple[bytes, bytes]] = deque()  # the newest first
        #: changes whenever the table does
        self.state: int = 0

    def decode(self, block: bytes) -> list[tuple[bytes, bytes]]:
        """Return the fields of *block*.

        :raises ConnectionFault: it cannot be decoded, so that no later one can be either
        """
        fields: list[tuple[bytes, bytes]] = []
        position, end, total = 0, len(block), 0
        try:
            while position < end:
                first = block[position]
                if first & _INDEXED:
                    number, position = _read_number(block, position, 127)
                    field = self._entry(number)
                elif first & 0xE0 == _RESIZED:
                    if fields:
                        raise _cannot_decode()
                    size, position = _read_number(block, position, 31)
                    self._resize(size)
                    continue
                else:
                    field, position = self._read_literal(block, position, first)
                total += len(field[0]) + len(field[1]) + OVERHEAD
                if total > self._max_size:
                    raise ConnectionFault(
                        ErrorCode.ENHANCE_YOUR_CALM, "a head that is much larger than allowed"
                    )
                fields.append(field)
        except IndexError:
            raise _cannot_decode() from None
        return fields

    def _read_literal(
        self, block: bytes, position: int, first: int
    ) -> tuple[tuple[bytes, bytes], int]:
        """Return a field that has come with its value, and where it ends (§6.2)."""
        is_added = first & _ADDED
        number, position = _read_number(block, position, 63 if is_added else 15)
        if number:
            name = self._entry(number)[0]
        else:
            name, position = _read_string(block, position)
        value, position = _read_string(block, position)
        field = (name, value)
        if is_added:
            self._add(field)
        return field, position

    def _entry(self, number: int) -> tuple[bytes, bytes]:
        """Return a field of a table (§2.3.3)."""
        if number >= _DYNAMIC:
            return self._entries[number - _DYNAMIC]
        if not number:
            raise _cannot_decode()
        return _STATIC[number - 1]

    def _add(self, field: tuple[bytes, bytes]) -> None:
        """Make an entry; if it is larger than the table, this is emptied (§4.4)."""
        size = len(field[0]) + len(field[1]) + OVERHEAD
        if size > self._size and not self._entries:
            return  # nothing changes: so it is with servers that have no use for a table
        self._shrink(max(0, self._size - size))
        if size <= self._size:
            self._entries.appendleft(field)
            self._used += size
        self.state += 1

    def _resize(self, size: int) -> None:
        if size > self._allowed:
            raise _cannot_decode()
        if size != self._size:
            self._size = size
            self._shrink(size)
            self.state += 1

    def _shrink(self, size: int) -> None:
        while self._used > size:
            name, value = self._entries.pop()
            self._used -= len(name) + len(value) + OVERHEAD


def _read_number(block: bytes, position: int, largest: int) -> tuple[int, int]:
    """Return the number at *position*, and where it ends (§5.1)."""
    number = block[position] & largest
    position += 1
    if number < largest:
        return number, position
    for shift in range(0, 7 * NUMBER_SIZE, 7):
        byte = block[position]
        position += 1
        number += (byte & 127) << shift
        if byte < 128:
            return number, position
    raise _cannot_decode()


def _read_string(block: bytes, position: int) -> tuple[bytes, int]:
    """Return the string at *position*, and where it ends (§5.2)."""
    is_huffman = block[position] & _HUFFMAN
    size, position = _read_number(block, position, 127)
    end = position + size
    if end > len(block):
        raise _cannot_decode()
    data = block[position:end]
    return (_without_huffman(data) if is_huffman else data), end


# What a byte does in a state of the Huffman decoder: the next state, what is decoded, and whether
# the string may end here.  The library has this for halves of bytes; a byte at a time is five times
# as fast.  Few of all that are possible come, so they are made when they do: 1500 for hexadecimal
# numbers, 14 500 for Base64.  So many take 3 MB.
_steps: Final[dict[int, tuple[int, bytes, bool]]] = {}
_MAX_STEPS: Final = 16 * 1024


def _without_huffman(data: bytes) -> bytes:
    """Undo the Huffman code (§5.2)."""
    state, may_end = 0, True
    decoded: list[bytes] = []
    for byte in data:
        step = _steps.get(state | byte) or _make_step(state, byte)
        state, symbols, may_end = step
        decoded.append(symbols)
    if not may_end:
        raise _cannot_decode()
    return b"".join(decoded)


def _make_step(state: int, byte: int) -> tuple[int, bytes, bool]:
    """Return what *byte* does in *state*, which is the number of a node times 256."""
    symbols = bytearray()
    node, flags = state >> 8, 0
    for half in (byte >> 4, byte & 15):
        node, flags, symbol = HUFFMAN_TABLE[16 * node + half]
        if flags & HUFFMAN_FAIL:
            raise _cannot_decode()
        if flags & HUFFMAN_EMIT_SYMBOL:
            symbols.append(symbol)
    if len(_steps) >= _MAX_STEPS:
        _steps.clear()
    step = node << 8, bytes(symbols), bool(flags & HUFFMAN_COMPLETE)
    _steps[state | byte] = step
    return step


def _cannot_decode() -> ConnectionFault:
    return ConnectionFault(ErrorCode.COMPRESSION_ERROR, "a head that cannot be decompressed")
