"""What is left of several pieces that one call of the operating system has sent in part."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ("after", "size_of")


def size_of(pieces: Sequence[bytes | memoryview]) -> int:
    """Return how many bytes *pieces* are together."""
    size = 0
    for piece in pieces:
        size += len(piece)
    return size


def after(pieces: Sequence[bytes | memoryview], sent: int) -> list[memoryview]:
    """Return *pieces* without their first *sent* bytes; no byte is copied."""
    rest: list[memoryview] = []
    for piece in pieces:
        size = len(piece)
        if sent < size:
            rest.append(memoryview(piece)[sent:])
        sent = max(0, sent - size)
    return rest
