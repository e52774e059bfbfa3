"""The declared table: what a program sees of each fault in each phase.

A row is a :class:`~tests.faults.model.Phase`; the modules ``rows_…`` have those of one group each.
"""

from __future__ import annotations

from typing import Final

from .model import Phase
from .rows_calls import CALLS
from .rows_connecting import CONNECTING, HTTP_PROXIES, SOCKS_PROXIES, TLS
from .rows_http1 import HTTP1
from .rows_http2 import HTTP2
from .rows_multiplexed import MULTIPLEXED
from .rows_websocket import WEBSOCKET, WEBSOCKET_VARIANTS
from .rows_websocket_http2 import WEBSOCKET_HTTP2
from .rows_windows import WINDOWS

#: The groups of rows, in the order of the page.
TABLE: Final[tuple[Phase, ...]] = (
    *CONNECTING,
    *TLS,
    *HTTP_PROXIES,
    *SOCKS_PROXIES,
    *HTTP1,
    *WEBSOCKET,
    *HTTP2,
    *MULTIPLEXED,
    *WINDOWS,
    *WEBSOCKET_VARIANTS,
    *WEBSOCKET_HTTP2,
    *CALLS,
)
