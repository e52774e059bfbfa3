"""Sessions, and what one call of a session does: options, middlewares, redirects, response."""

from __future__ import annotations

from yarl import URL as URL

from .. import client_exceptions, hdrs as hdrs
from .._common import RequestInfo
from .._network import Fingerprint
from .._tasks import DEFAULT_TIMEOUT as DEFAULT_TIMEOUT, ClientTimeout
from .._websocket import ClientWSTimeout
from ..client_exceptions import *  # noqa: F403  (listed below)
from ..client_reqrep import ClientRequest, ClientResponse
from ..connector import NamedPipeConnector, TCPConnector, UnixConnector
from ._context_managers import (
    AwaitableOrEntered as AwaitableOrEntered,
    RequestContextManager as RequestContextManager,
)
from ._deprecated_options import OldOptions as OldOptions
from ._event_source import LONGEST_ID as LONGEST_ID, EventSource
from ._options import RequestOptions as RequestOptions
from ._session import ClientSession, pause as pause
from ._without_session import request, ws_connect
from ._ws_connect import WSOptions as WSOptions, WSRequestContextManager

__all__ = [
    "ClientRequest",
    "ClientResponse",
    "ClientSession",
    "ClientTimeout",
    "ClientWSTimeout",
    "EventSource",
    "Fingerprint",
    "NamedPipeConnector",
    "RequestInfo",
    "TCPConnector",
    "UnixConnector",
    "request",
    "ws_connect",
]
__all__ += client_exceptions.__all__  # which older programs import from here

# Programs for aiohttp use these names in annotations: aiohttp has no public ones for them.
_RequestContextManager = RequestContextManager
_WSRequestContextManager = WSRequestContextManager
_RequestOptions = RequestOptions
