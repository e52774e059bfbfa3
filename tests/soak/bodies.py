"""What answers are made of: each is another one, so that no two can be taken for each other."""

from __future__ import annotations

from typing import Final

LARGE: Final = 300_000
PACKED: Final = 100_000
UNTIL_EOF: Final = 20_000
FILE: Final = 200_000
LINES: Final = 500
EVENTS: Final = 20


def body_of(ident: str, size: int) -> bytes:
    """Return *size* bytes that belong to a request."""
    piece = ident.encode() + b"\n"
    return (piece * (size // len(piece) + 1))[:size]


def lines_of(ident: str, count: int) -> list[bytes]:
    """Return lines that belong to a request."""
    return [f"{ident} {number}\n".encode() for number in range(count)]


def cookies_of(ident: str) -> list[str]:
    """Return the names of the cookies that belong to a request."""
    return [f"{ident}-{number}" for number in range(10)]


def file_of(ident: str) -> bytes:
    """Return the content of a file that belongs to a request."""
    return body_of(f"file of {ident}", FILE)
