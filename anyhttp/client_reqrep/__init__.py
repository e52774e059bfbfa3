"""One request in its final form, and the response to it."""

from __future__ import annotations

from .._common import RequestInfo
from .._headers import header_pairs
from .._network import Fingerprint, ssl_option
from ._charset import guess_charset
from ._request import ClientRequest, request_by_name
from ._response import ClientResponse, ContentDisposition
from ._response import exchange_of as exchange_of
from ._response import read_error_body as read_error_body
from ._response import set_history as set_history
from ._response import take_exchange as take_exchange
from ._response import watch_body as watch_body

__all__ = (
    "ClientRequest",
    "ClientResponse",
    "ContentDisposition",
    "Fingerprint",
    "RequestInfo",
    "guess_charset",
    "header_pairs",
    "request_by_name",
    "ssl_option",
)
