"""Test programs that make requests, without a network.

Requests go through the real client: cookies, redirects, decoding, time limits, tracing and
middlewares work as they do in production.  Only the network is replaced.
"""

from __future__ import annotations

from ._answers import Answer, drip, garbage, reset, stall
from ._asgi import ASGIConnector
from ._asgi_call import ASGIProtocolError
from ._cassette import Matcher, RecordMode, UnrecordedRequest
from ._clock import AutojumpEventLoop
from ._har import CassetteError, RecordedRequest
from ._lifespan import LifespanError
from ._mock import MockConnector, RequestMock
from ._mock_requests import MockedRequests as MockedRequests, mock_requests
from ._no_network import ForbiddenConnection, NoNetwork, no_network as no_network
from ._record_requests import RecordedRequests as RecordedRequests, record_requests
from ._recorder import Recorder
from ._redaction import Filters
from ._requests import ReceivedRequest
from ._routes import Route, UnansweredRequest
from ._serve import LoopbackServer, serve
from ._swallowed import note_swallowed as note_swallowed
from ._websocket_server import WebSocketClosed, WebSocketPeer
from ._wsgi import WSGIConnector, WSGIProtocolError

__all__ = (
    "ASGIConnector",
    "ASGIProtocolError",
    "Answer",
    "AutojumpEventLoop",
    "CassetteError",
    "Filters",
    "ForbiddenConnection",
    "LifespanError",
    "LoopbackServer",
    "Matcher",
    "MockConnector",
    "NoNetwork",
    "ReceivedRequest",
    "RecordMode",
    "RecordedRequest",
    "Recorder",
    "RequestMock",
    "Route",
    "UnansweredRequest",
    "UnrecordedRequest",
    "WebSocketClosed",
    "WSGIConnector",
    "WSGIProtocolError",
    "WebSocketPeer",
    "drip",
    "garbage",
    "mock_requests",
    "record_requests",
    "reset",
    "serve",
    "stall",
)

# Failures of tests show errors by the names that programs import.
for _error in (
    ASGIProtocolError,
    CassetteError,
    ForbiddenConnection,
    LifespanError,
    UnansweredRequest,
    UnrecordedRequest,
    WebSocketClosed,
    WSGIProtocolError,
):
    _error.__module__ = __name__
