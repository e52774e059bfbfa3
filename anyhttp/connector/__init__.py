"""Connectors: who may have a connection, in which order, and how it is made."""

from __future__ import annotations

from .._common import ConnectionKey
from .._network import AddrInfoType, SocketFactoryType
from ._base import BaseConnector, Connection, ConnectorStatistics
from ._connectors import (
    NamedPipeConnector,
    ProxyConnector,
    TCPConnector,
    UnixConnector,
)

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
