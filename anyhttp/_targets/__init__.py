"""The target of a request: its URL, its proxy, and the credentials for both."""

from __future__ import annotations

from .auth import (
    BasicAuth,
    NetrcCredentials,
    OriginCredentials,
    checked_auth,
    encode_basic_auth,
    netrc_auth,
    strip_auth_from_url,
)
from .destination import Destination, destination_of
from .proxies import HTTP_PROXIES, ProxyOptions, checked_proxy, environment_proxy, proxy_options
from .query import with_params
from .urls import (
    NO_PORT,
    Origin,
    checked_server_hostname,
    checked_url,
    host_error,
    is_loopback,
    is_secure,
    is_upgrade,
    origin_of,
    parse_error,
    target_error,
)

__all__ = (
    "BasicAuth",
    "Destination",
    "HTTP_PROXIES",
    "NO_PORT",
    "NetrcCredentials",
    "Origin",
    "OriginCredentials",
    "ProxyOptions",
    "checked_auth",
    "checked_proxy",
    "checked_server_hostname",
    "checked_url",
    "destination_of",
    "encode_basic_auth",
    "environment_proxy",
    "host_error",
    "is_loopback",
    "is_secure",
    "is_upgrade",
    "netrc_auth",
    "origin_of",
    "parse_error",
    "proxy_options",
    "strip_auth_from_url",
    "target_error",
    "with_params",
)
