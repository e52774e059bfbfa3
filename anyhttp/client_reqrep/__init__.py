"""One request, as it is sent, and the response to it."""

from __future__ import annotations

from types import MappingProxyType as MappingProxyType

from .._common import RequestInfo
from .._event_stream import ServerSentEvent
from .._headers import header_pairs
from .._network import Fingerprint, ssl_option
from ._charset import guess_charset
from ._client_request import REQUEST_HOOKS as REQUEST_HOOKS, ClientRequest
from ._described import ContentDisposition
from ._make_request import (
    class_to_call as class_to_call,
    make_request as make_request,
    sending_steps as sending_steps,
    steps_at_end as steps_at_end,
)
from ._prepared import (
    PreparedHeaders as PreparedHeaders,
    prepared_headers as prepared_headers,
)
from ._response import (
    RESPONSE_HOOKS as RESPONSE_HOOKS,
    ClientResponse,
)
from ._running_call import (
    RunningCall as RunningCall,
    call_of as call_of,
    set_call as set_call,
)
from ._session_functions import (
    adopt as adopt,
    exchange_of as exchange_of,
    make_response as make_response,
    peer_of as peer_of,
    read_error_body as read_error_body,
    set_history as set_history,
    take_exchange as take_exchange,
    watch_body as watch_body,
)
from ._settings import DEFAULT_SETTINGS as DEFAULT_SETTINGS, RequestSettings as RequestSettings
from ._single_fields import (
    authorization_of as authorization_of,
    authorize as authorize,
    cookies_of as cookies_of,
)
from ._streaming import EventIterator
from ._when_over import when_over as when_over

__all__ = (
    "ClientRequest",
    "ClientResponse",
    "ContentDisposition",
    "EventIterator",
    "Fingerprint",
    "RequestInfo",
    "ServerSentEvent",
    "guess_charset",
    "header_pairs",
    "ssl_option",
)
