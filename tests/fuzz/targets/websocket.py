"""Frames of a WebSocket, compressed or not, as whole messages and in pieces."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from anyhttp import WebSocketError, WSMessage
from anyhttp._websocket import END, FrameReader, Inflater
from tests.fuzz.target import target
from tests.support.engines import splits

#: Largest message, in bytes; also how much is inflated of one that is read in pieces.
_LIMIT: Final = 100_000
_SMALL: Final = 20

#: The bits of the first byte.
_COMPRESSED: Final = 1
_NO_TAKEOVER: Final = 2
_IN_BYTES: Final = 4
_LIMITED: Final = 8


def _reader(how: int, limit: int) -> FrameReader:
    inflater = None
    if how & _COMPRESSED:
        inflater = Inflater(9 if how & _NO_TAKEOVER else 15, takes_over=not how & _NO_TAKEOVER)
    return FrameReader(limit, inflater, decode_text=not how & _IN_BYTES)


def _whole(pieces: Iterable[bytes], how: int, limit: int) -> list[object]:
    """Return the messages, and the code of the error if there is one."""
    reader = _reader(how, limit)
    found: list[object] = []
    try:
        for piece in pieces:
            reader.feed(piece)
            while (message := reader.next_message()) is not None:
                found.append(message)
    except WebSocketError as exc:
        found.append(exc.code)
    return found


def _in_pieces(pieces: Iterable[bytes], how: int) -> list[object]:
    """Return the same of messages that are read in pieces."""
    reader = _reader(how, 0)
    found: list[object] = []
    parts: list[str | bytes] | None = None
    kind: object = None
    try:
        for data in pieces:
            reader.feed(data)
            while True:
                if parts is None:
                    start = reader.next_start()
                    if start is None:
                        break
                    if isinstance(start, WSMessage):
                        found.append(start)
                    else:
                        kind, parts = start, []
                    continue
                piece = reader.next_piece()
                if piece is None:
                    break
                if piece is END:
                    empty: str | bytes = "" if kind == 1 and not how & _IN_BYTES else b""
                    whole = empty.join(parts)  # type: ignore[arg-type]  # all are of one type
                    found.append(WSMessage(kind, whole, ""))  # type: ignore[arg-type]
                    parts = None
                elif isinstance(piece, WSMessage):
                    found.append(piece)
                else:
                    assert piece
                    parts.append(piece)
                    if sum(map(len, parts)) > _LIMIT:
                        return found
    except WebSocketError as exc:
        found.append(exc.code)
    return found


@target(calls=600, memory=5000)
def websocket_frames(data: bytes) -> None:
    """Any split gives the same messages and the same error; the first byte tells the options."""
    how, raw = (data[:1] or b"\0")[0], data[1:]
    if not raw:
        return
    limit = _SMALL if how & _LIMITED else _LIMIT
    first, *others = [_whole(pieces, how, limit) for pieces in splits(raw, 1)]
    for other in others:
        assert other == first
    for message in first:
        if isinstance(message, WSMessage) and message.type in {1, 2}:
            size = len(message.data.encode() if isinstance(message.data, str) else message.data)
            assert size <= limit
    if how & _LIMITED or first[-1:] == [1009]:
        return
    for pieces in splits(raw, 1):
        found = _in_pieces(pieces, how)[: len(first)]
        if how & _COMPRESSED and first and isinstance(first[-1], int):
            # It may be seen that a text is not UTF-8 before it is that it is not well compressed.
            assert isinstance(found.pop(), int)
            assert found == first[:-1]
        else:
            assert found == first
    _discarded(raw, how)


def _discarded(raw: bytes, how: int) -> None:
    """What is thrown away on the way to the end may break the protocol, and nothing else."""
    reader = _reader(how, 0)
    try:
        reader.feed(raw)
        while (control := reader.next_control()) is not None:
            assert isinstance(control, WSMessage)
        reader.skip_to_close()
    except WebSocketError:
        pass
