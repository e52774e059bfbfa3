"""Where a response ends, and whether another may follow (:rfc:`9112#section-6.3`, §9.3)."""

from __future__ import annotations

import math
from functools import lru_cache

from .._common import HttpVersion, HttpVersion11
from .heads import CHUNKED, UNTIL_EOF, Head
from .response_grammar import SPACE, ParseError

__all__ = (
    "announced_length",
    "announces_identity",
    "body_length",
    "has_odd_framing",
    "idle_seconds",
    "is_tunnel",
    "keeps_alive",
    "read_content_length",
    "read_framing",
)


def read_framing(head: Head, method: str, asked_upgrade: bool) -> None:
    """Set the attributes of *head*, the response to a *method* request, for body and connection.

    :param asked_upgrade: whether the request offered another protocol
    :raises ParseError: lengths that contradict each other or the transfer coding, or a switch
        of protocols that was not offered
    """
    status = head.status
    if status == 101:
        if not asked_upgrade:
            raise ParseError("101 Switching Protocols without having been asked to")
        head.switches = True
    if is_tunnel(method, status):
        return
    lengths, coding = head.lengths, head.coding
    head.length = length = body_length(method, status, lengths, coding)
    # A repeated length.  Looking for the comma would be slower: ``in`` takes bytes for a number
    # first, and drops the error.
    if lengths is not None and not lengths.isdigit():
        head.take_fields(_with_one_length(head, lengths))
    if length <= 0 and has_odd_framing(status, lengths, coding):
        head.tolerated = True
    # After 101 the connection is used for another protocol.
    if length != UNTIL_EOF and status != 101 and not head.tolerated:
        head.keep_alive = keeps_alive(head.version, head.connection, coding, head.idle_options)


def is_tunnel(method: str, status: int) -> bool:
    """Whether a tunnel begins after the head, so that framing fields have no meaning.

    :rfc:`9110#section-9.3.6`
    """
    return method == "CONNECT" and 200 <= status < 300


def body_length(method: str, status: int, lengths: bytes | None, coding: bytes | None) -> int:
    """Return how many bytes of body follow, :data:`CHUNKED` or :data:`UNTIL_EOF`.

    :param lengths: the values of ``Content-Length``
    :param coding: the values of ``Transfer-Encoding``
    :raises ParseError: the values contradict each other, or are not understood; this is checked
        even if no body follows
    """
    length = announced_length(lengths, coding)
    if status < 200 or status == 204 or status == 304 or method == "HEAD":
        return 0
    return length


def has_odd_framing(status: int, lengths: bytes | None, coding: bytes | None) -> bool:
    """Whether the framing is read although it breaks the grammar.

    The coding is ``identity``, or a body is announced although the *status* does not allow one.
    A client must not read a body then (:rfc:`9112#section-6.3`), and a server must not announce
    one (:rfc:`9110#section-8.6`).  A server that does may also send it.
    """
    if coding is not None and is_identity(coding):
        return True
    if status == 101 or not (status < 200 or status == 204):
        return False
    return coding is not None or (lengths is not None and read_content_length(lengths) > 0)


def announced_length(lengths: bytes | None, coding: bytes | None) -> int:
    """Return how many bytes of body are announced, :data:`CHUNKED` or :data:`UNTIL_EOF`.

    :raises ParseError: the fields contradict each other, or are not understood
    """
    if coding is None:
        return UNTIL_EOF if lengths is None else read_content_length(lengths)
    if lengths is not None:  # used for response smuggling: readers disagree about the end
        raise ParseError("both Content-Length and Transfer-Encoding")
    if is_identity(coding):
        return UNTIL_EOF
    if coding.strip(SPACE).lower() != b"chunked":
        raise ParseError(f"unsupported Transfer-Encoding {coding[:60]!r}")
    return CHUNKED


def is_identity(coding: bytes) -> bool:
    """Whether ``Transfer-Encoding`` is ``identity``, which means no transfer coding."""
    return coding.strip(SPACE).lower() == b"identity"


def announces_identity(head: Head) -> bool:
    """Whether *head* has ``Transfer-Encoding: identity``, and no ``Content-Length``."""
    return head.lengths is None and head.coding is not None and is_identity(head.coding)


def read_content_length(lengths: bytes) -> int:
    """Return the one length of *lengths*, which may repeat it: ``42`` or ``42, 42``.

    :raises ParseError: anything but ASCII digits, or two different lengths
    """
    if lengths.isdigit() and len(lengths) <= 19:
        return int(lengths)
    first, *others = [part.strip(SPACE) for part in lengths.split(b",")]
    if not others or any(other != first for other in others):
        raise ParseError(f"invalid Content-Length {lengths[:60]!r}")
    return read_content_length(first)


def _with_one_length(head: Head, lengths: bytes) -> list[tuple[bytes, bytes]]:
    """Return the fields of *head* with one ``Content-Length`` only (:rfc:`9110#section-8.6`)."""
    value = lengths.partition(b",")[0].strip(SPACE)
    fields: list[tuple[bytes, bytes]] = []
    for name, said in head.raw_headers:
        if name.lower() != b"content-length":
            fields.append((name, said))
        elif value:
            fields.append((name, value))
            value = b""
    return fields


def keeps_alive(
    version: HttpVersion,
    connection: bytes | None,
    coding: bytes | None,
    keep_alive: bytes | None = None,
) -> bool | float:
    """Whether the peer will read another request after this response, or for how many seconds.

    :param connection: the values of ``Connection``
    :param coding: those of ``Transfer-Encoding``; if a peer of version 1.0 sends it, the framing
        must be treated as faulty (:rfc:`9112#section-6.1`)
    :param keep_alive: those of ``Keep-Alive``
    """
    new = version == HttpVersion11
    if not new and coding is not None:
        return False
    keeps = new
    if connection is not None:
        # Long values are not cached, so that a peer cannot fill the memory.
        say = _says_keep if len(connection) <= 64 else _says_keep.__wrapped__
        keeps = say(connection, new)
    return keeps if keep_alive is None else keeps and idle_seconds(keep_alive)


def idle_seconds(keep_alive: bytes) -> float | bool:
    """Return how long a connection may be idle, in seconds, by the values of ``Keep-Alive``.

    It is ``True`` if they do not say.

    The server counts ``timeout`` from the end of its response to the arrival of the next request.
    Both are on their way for some time, so a second less is used, or half of a short time.  After
    a response with ``max=0`` the server reads no further request.
    """
    read = _read_idle_seconds if len(keep_alive) <= 64 else _read_idle_seconds.__wrapped__
    return read(keep_alive)


@lru_cache(maxsize=64)
def _read_idle_seconds(keep_alive: bytes) -> float | bool:
    seconds = math.inf
    for option in keep_alive.lower().split(b","):
        name, _, value = option.partition(b"=")
        value = value.strip(SPACE).strip(b'"')
        if not value.isdigit() or len(value) > 9:
            continue
        number = int(value)
        name = name.strip(SPACE)
        if name == b"timeout":
            seconds = min(seconds, number - min(1.0, number / 2))
        elif name == b"max" and not number:
            seconds = 0.0
    return seconds if seconds < math.inf else True


@lru_cache(maxsize=64)
def _says_keep(connection: bytes, new: bool) -> bool:
    options = {option.strip(SPACE).lower() for option in connection.split(b",")}
    return b"close" not in options and (new or b"keep-alive" in options)
