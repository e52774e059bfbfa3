"""Steps of aiohttp's requests and responses that programs override, and that are missing here."""

from __future__ import annotations

from typing import Final

__all__ = ("REQUEST_REFUSED", "REQUEST_UNUSED", "RESPONSE_REFUSED", "RESPONSE_UNUSED")

_SENT: Final = (
    "requests would be sent without it. Write a middleware, which may change a request or answer it"
)
_MADE: Final = (
    "requests would be made without it. Do it in the constructor, after super().__init__(), "
    "or in a middleware"
)

#: what would have changed where a request goes, what it says, or with which credentials
REQUEST_REFUSED: Final = {
    "port": "requests would be sent to another port. Change url in the constructor",
    "send": _SENT,
    "write_bytes": _SENT,
    "update_auth": _MADE,
    "update_body_from_data": _MADE,
    "update_cookies": _MADE,
    "update_headers": _MADE,
    "update_host": _MADE,
    "update_proxy": _MADE,
}

_FRAMED: Final = "the body and the options of the request say how it is sent"

REQUEST_UNUSED: Final = {
    "terminate": "leave the block of the response, or cancel its task",
    "update_auto_headers": "give skip_auto_headers to the session, or set headers in a middleware",
    "update_content_encoding": _FRAMED,
    "update_expect_continue": _FRAMED,
    "update_transfer_encoding": _FRAMED,
    "update_version": "give version to the session",
    "_on_chunk_request_sent": "give trace_configs to the session",
    "_on_headers_request_sent": "give trace_configs to the session",
}

#: what may have judged the response or its connection
RESPONSE_REFUSED: Final = {
    "start": "responses would be used without it. Write a middleware, which gets each response",
}

_ENDS: Final = "override release() and close(), which the end of a block calls"

RESPONSE_UNUSED: Final = {
    "_cleanup_writer": _ENDS,
    "_notify_content": _ENDS,
    "_release_connection": _ENDS,
    "_response_eof": _ENDS,
    "_wait_released": _ENDS,
}
