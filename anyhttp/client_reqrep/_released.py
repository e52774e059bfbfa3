"""What remains of a response that has been released."""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

__all__ = ("RELEASED", "RELEASED_UNREAD")


class _Released:
    """Returned by ``release()``, so that ``await response.release()`` works too."""

    __slots__ = ()

    def __await__(self) -> Generator[None, None, None]:
        return
        yield


RELEASED: Final = _Released()

#: The message for who reads the body then.
RELEASED_UNREAD: Final = (
    "Connection closed: the response was released before; read its body inside the block of "
    "'async with', and before release() or close()"
)
