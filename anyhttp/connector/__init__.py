"""Connectors: they make connections, keep idle ones, and lend them within limits, in order."""

from __future__ import annotations

from ssl import SSLContext as SSLContext

from .._common import ConnectionKey
from .._http1 import Connection
from .._network import AddrInfoType, SocketFactoryType
from ._base import BaseConnector, ConnectorStatistics
from ._connectors import NamedPipeConnector, ProxyConnector, TCPConnector, UnixConnector
from ._http2_mode import http2_mode as http2_mode
from ._lending import answers_to as answers_to, lend as lend, lend_nowait as lend_nowait
from ._session_interface import (
    check_hooks as check_hooks,
    check_uses_proxies as check_uses_proxies,
    close_owned as close_owned,
    default_proxy as default_proxy,
    finish_closing as finish_closing,
    forget_warning as forget_warning,
    is_closing as is_closing,
    loop_of as loop_of,
    needs_start as needs_start,
    open_stream as open_stream,
    start as start,
    sweep_by as sweep_by,
    sweep_no_more_by as sweep_no_more_by,
    uses_proxies as uses_proxies,
)
from ._substitute import (
    StreamSource as StreamSource,
    is_network_replaced as is_network_replaced,
    replaced_network as replaced_network,
)
from ._terms import LendingTerms as LendingTerms
from ._transport_connectors import (
    NoSlotInTime as NoSlotInTime,
    TlsDone as TlsDone,
    TlsStarting as TlsStarting,
    TransportConnector as TransportConnector,
    TransportOptions as TransportOptions,
    TransportTCPConnector as TransportTCPConnector,
    TransportUnixConnector as TransportUnixConnector,
    http1_key as http1_key,
)
from ._tunnel import require_socks as require_socks

__all__ = (
    "AddrInfoType",
    "BaseConnector",
    "Connection",
    "ConnectionKey",
    "ConnectorStatistics",
    "NamedPipeConnector",
    "ProxyConnector",
    "SocketFactoryType",
    "TCPConnector",
    "UnixConnector",
)
