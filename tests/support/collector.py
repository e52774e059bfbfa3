"""A writer for payloads that goes nowhere."""

from __future__ import annotations


class Collector:
    """Keeps the pieces it is given."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    async def write(self, chunk: bytes) -> None:
        """Keep one piece."""
        assert type(chunk) is bytes
        self.pieces.append(chunk)

    @property
    def data(self) -> bytes:
        """All pieces together."""
        return b"".join(self.pieces)
