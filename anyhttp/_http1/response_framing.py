"""Where a response ends, and whether another may follow (:rfc:`9112#section-6.3`, §9.3)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from .._common import HttpVersion, HttpVersion11
from .grammar import ParseError
from .heads import CHUNKED, UNTIL_EOF, Head

__all__ = (
    "announced_length",
    "announces_identity",
    "has_body",
    "is_tunnel",
    "keeps_alive",
    "read_content_length",
    "read_framing",
)

_SPACE: Final = b" \t"
_DIGITS: Final = re.compile(rb"[0-9]{1,19}")

_LENGTH: Final = b"content-length"
_CODING: Final = b"transfer-encoding"
_FRAMING: Final = frozenset((_LENGTH, _CODING))

#: Fields that say something about body, connection and cookies.
_CONCERNING: Final = frozenset(
    (_LENGTH, _CODING, b"connection", b"content-encoding", b"set-cookie")
)


class _Concerns(dict[bytes, bytes]):
    """A field name in lower case if it is one of those, else ``b""``; servers use few names."""

    def __missing__(self, name: bytes) -> bytes:
        field = name.lower()
        concern = field if field in _CONCERNING else b""
        if len(name) <= 64:  # a peer must not fill the memory
            if len(self) >= 256:
                self.clear()
            self[name] = concern
        return concern


_concerns: Final = _Concerns()


def read_framing(head: Head, method: str, asked_upgrade: bool) -> None:
    """Fill in what *head*, the answer to a *method* request, says of body and connection.

    :param asked_upgrade: whether the request offered another protocol
    :raises ParseError: lengths that contradict each other or the transfer coding, or a switch
        of protocols that was not offered
    """
    said = _read_fields(head)
    status = head.status
    if status == 101 and not asked_upgrade:
        raise ParseError("101 Switching Protocols without having been asked to")
    if is_tunnel(method, status):
        return  # its fields say nothing of what goes through it
    lengths, coding = said.get(_LENGTH), said.get(_CODING)
    if coding is not None and is_identity(coding):
        head.tolerated = True
    length = announced_length(lengths, coding)
    if lengths is not None and not lengths.isdigit():  # it is repeated, as it was read
        head.raw_headers = _with_one_length(head, lengths)
    if has_body(method, status):
        head.length = length
    # From a switch on it speaks something else.
    if head.length != UNTIL_EOF and status != 101 and not head.tolerated:
        head.keep_alive = keeps_alive(head.version, said.get(b"connection"), coding)


def _read_fields(head: Head) -> dict[bytes, bytes]:
    """Return the values of the fields that concern the framing; put others where they go."""
    said: dict[bytes, bytes] = {}
    for name, value in head.raw_headers:
        field = _concerns[name]
        if not field:
            continue
        if field == b"set-cookie":
            head.set_cookies = (*head.set_cookies, value.decode("utf-8", "surrogateescape"))
        else:  # a list of them means their values in a row
            said[field] = said[field] + b"," + value if field in said else value
    if b"content-encoding" in said:
        head.content_encoding = said[b"content-encoding"].decode("latin-1")
    return said


def is_tunnel(method: str, status: int) -> bool:
    """Whether what follows the head is a tunnel's, and framing fields mean nothing.

    :rfc:`9110#section-9.3.6`
    """
    return method == "CONNECT" and 200 <= status < 300


def has_body(method: str, status: int) -> bool:
    """Whether a body may follow, whatever the fields announce (:rfc:`9112#section-6.3`)."""
    return status >= 200 and status not in {204, 304} and method != "HEAD"


def is_identity(coding: bytes) -> bool:
    """Whether the values of ``Transfer-Encoding`` say that there is none."""
    return coding.strip(_SPACE).lower() == b"identity"


def announces_identity(head: Head) -> bool:
    """Whether *head* has a ``Transfer-Encoding`` that says that there is none, and no length."""
    concerning = [field for field in head.raw_headers if _concerns[field[0]] in _FRAMING]
    return (
        len(concerning) == 1
        and _concerns[concerning[0][0]] == _CODING
        and is_identity(concerning[0][1])
    )


def announced_length(lengths: bytes | None, coding: bytes | None) -> int:
    """Return how many bytes of body are announced, :data:`CHUNKED` or :data:`UNTIL_EOF`.

    :param lengths: the values of ``Content-Length``
    :param coding: the values of ``Transfer-Encoding``
    :raises ParseError: they contradict each other, or are not understood
    """
    length = UNTIL_EOF if lengths is None else read_content_length(lengths)
    if coding is None:
        return length
    if lengths is not None:  # this is how responses are smuggled
        raise ParseError("both Content-Length and Transfer-Encoding")
    if is_identity(coding):
        return UNTIL_EOF
    if coding.strip(_SPACE).lower() != b"chunked":
        raise ParseError(f"unsupported Transfer-Encoding {coding[:60]!r}")
    return CHUNKED


def read_content_length(lengths: bytes) -> int:
    """Return the one length of *lengths*, which may repeat it: ``42`` or ``42, 42``.

    :raises ParseError: anything but ASCII digits, or two different lengths
    """
    if _DIGITS.fullmatch(lengths):
        return int(lengths)
    first, *others = [part.strip(_SPACE) for part in lengths.split(b",")]
    if not others or any(other != first for other in others) or not _DIGITS.fullmatch(first):
        raise ParseError(f"invalid Content-Length {lengths[:60]!r}")
    return int(first)


def _with_one_length(head: Head, lengths: bytes) -> list[tuple[bytes, bytes]]:
    """Return *head*'s fields with a length that is repeated said once (:rfc:`9110#section-8.6`)."""
    value = lengths.partition(b",")[0].strip(_SPACE)
    fields: list[tuple[bytes, bytes]] = []
    for name, said in head.raw_headers:
        if _concerns[name] != _LENGTH:
            fields.append((name, said))
        elif value:
            fields.append((name, value))
            value = b""
    return fields


def keeps_alive(version: HttpVersion, connection: bytes | None, coding: bytes | None) -> bool:
    """Whether the peer will read another request after this response.

    :param connection: the values of ``Connection``
    :param coding: those of ``Transfer-Encoding``: a peer of version 1.0 that sends any has
        faulty framing (:rfc:`9112#section-6.1`)
    """
    new = version is HttpVersion11
    if not new and coding is not None:
        return False
    if connection is None:
        return new
    if len(connection) > 64:
        return _says_keep.__wrapped__(connection, new)
    return _says_keep(connection, new)


@lru_cache(maxsize=64)
def _says_keep(connection: bytes, new: bool) -> bool:
    options = {option.strip(_SPACE).lower() for option in connection.split(b",")}
    return b"close" not in options and (new or b"keep-alive" in options)
