"""The settings of a WebSocket, from the options of ``ws_connect()``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .models import ClientWSTimeout

__all__ = ("WSSettings",)

#: How long closing takes at most if ``ws_close`` is not set, in seconds.
CLOSE_SECONDS: Final = 10.0

DEFAULT_TIMEOUT: Final = ClientWSTimeout(ws_close=CLOSE_SECONDS)


@dataclass(slots=True, kw_only=True)
class WSSettings:
    """The checked options of ``ws_connect()`` that are needed after the handshake.

    :param heartbeat: seconds without activity after which the peer is pinged; ``None`` for never
    :param max_msg_size: most bytes of a message that is received whole; 0 for any number
    """

    timeout: ClientWSTimeout = DEFAULT_TIMEOUT
    autoclose: bool = True
    autoping: bool = True
    heartbeat: float | None = None
    max_msg_size: int = 4 * 1024 * 1024
    decode_text: bool = True

    @property
    def close_seconds(self) -> float:
        """How long closing may take."""
        return self.timeout.ws_close or CLOSE_SECONDS
