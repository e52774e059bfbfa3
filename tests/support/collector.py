"""A writer that collects what a payload writes."""

from __future__ import annotations


class Collector:
    """Stores the pieces that are written."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    async def write(self, chunk: bytes) -> None:
        """Store one piece."""
        assert type(chunk) is bytes
        self.pieces.append(chunk)

    @property
    def data(self) -> bytes:
        """All pieces together."""
        return b"".join(self.pieces)
