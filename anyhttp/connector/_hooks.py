"""The steps of aiohttp's connectors that programs override, and that are missing here."""

from __future__ import annotations

from typing import Final

__all__ = ("BASE_UNUSED", "TCP_REFUSED", "TCP_UNUSED")

_DIAL: Final = (
    "requests would be sent directly. Override _create_connection() or connect(); for a SOCKS "
    "proxy give proxy='socks5://...' to the session or to the request (anyhttp-client[socks]); "
    "for options of the socket give socket_factory to the connector"
)
_ADDRESSES: Final = (
    "hosts would be connected to at any address. Override _resolve_host(), or give resolver to "
    "the connector"
)
_VERIFY: Final = (
    "servers would be verified in the usual way. Give ssl, a context or a Fingerprint, to the "
    "connector or to the request"
)
_SOCKET: Final = "sockets would be made without it. Give it to the constructor of the connector"

#: what a :class:`TCPConnector` would have lost
TCP_REFUSED: Final = {
    "_wrap_create_connection": _DIAL,
    "_wrap_existing_connection": _DIAL,
    "_create_direct_connection": _DIAL,
    "_create_proxy_connection": _DIAL,
    "_start_tls_connection": _VERIFY,
    "_get_fingerprint": _VERIFY,
    "_convert_hosts_to_addr_infos": _ADDRESSES,
    "_resolve_host_with_throttle": _ADDRESSES,
    "_cached_hosts": _ADDRESSES,
    "_socket_factory": _SOCKET,
    "_local_addr_infos": _SOCKET,
}

_NO_TLS_IN_TLS: Final = "TLS inside TLS works with each event loop"

TCP_UNUSED: Final = {
    "_check_loop_for_start_tls": _NO_TLS_IN_TLS,
    "_fail_on_no_start_tls": _NO_TLS_IN_TLS,
    "_loop_supports_start_tls": _NO_TLS_IN_TLS,
    "_warn_about_tls_in_tls": _NO_TLS_IN_TLS,
    "_happy_eyeballs_delay": "give it to the constructor",
    "_interleave": "give it to the constructor",
    "_ssl_shutdown_timeout": "TLS is never closed by a handshake",
}

_POOL: Final = "override connect(), which may close the connection that it gets"

BASE_UNUSED: Final = {
    "_factory": "there are no protocols; override _create_connection(), which returns a stream",
    "_available_connections": "give limit and limit_per_host to the constructor",
    "_wait_for_available_connection": "give limit and limit_per_host to the constructor",
    "_cleanup": "the connector closes idle connections when they expire",
    "_cleanup_closed": "no connection is left that would have to be cleaned up",
    "_close": "override close()",
    "_get": _POOL,
    "_release": _POOL,
    "_release_acquired": _POOL,
    "_release_waiter": "waiting requests get the connections in the order in which they came",
}
