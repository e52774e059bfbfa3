"""Connectors: who may have a connection, in which order, and how it is made."""

from __future__ import annotations

from .._common import ConnectionKey
from .._http1 import Connection
from .._network import AddrInfoType, SocketFactoryType
from ._base import BaseConnector, ConnectorStatistics
from ._connectors import (
    NamedPipeConnector,
    ProxyConnector,
    TCPConnector,
    UnixConnector,
)
from ._for_sessions import default_proxy as default_proxy
from ._for_sessions import finish_closing as finish_closing
from ._for_sessions import forget_warning as forget_warning
from ._for_sessions import sweep_in as sweep_in
from ._for_sessions import sweep_no_more_in as sweep_no_more_in
from ._for_sessions import uses_proxies as uses_proxies
from ._lending import LendingTerms as LendingTerms
from ._lending import lend as lend
from ._lending import lend_nowait as lend_nowait

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
