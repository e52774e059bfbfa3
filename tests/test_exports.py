"""What objects show to programs: a name without an underscore is part of the API."""

from __future__ import annotations

import socket

import pytest

import anyhttp
from anyhttp import ClientSession, ClientWebSocketResponse, connector
from anyhttp.connector import BaseConnector, Connection, TCPConnector, UnixConnector
from tests.support.server import Server

CONNECTOR = {
    "allowed_protocol_schema_set",
    "close",
    "closed",
    "connect",
    "force_close",
    "limit",
    "limit_per_host",
    "statistics",
}


def public_names(thing: object) -> set[str]:
    """Return the names of *thing* that do not begin with an underscore."""
    return {name for name in dir(thing) if not name.startswith("_")}


def test_what_every_connector_shows() -> None:
    """Subclasses override ``_create_connection()`` besides, which is documented."""
    assert public_names(BaseConnector()) == CONNECTOR


def test_what_a_tcp_connector_shows() -> None:
    """What it was made with, the DNS cache, and some older names of the same."""
    assert public_names(TCPConnector()) == CONNECTOR | {
        "cached_hosts",
        "clear_dns_cache",
        "clear_resolved_hosts",
        "dns_cache",
        "family",
        "fingerprint",
        "resolve",
        "resolved_hosts",
        "ssl_context",
        "use_dns_cache",
        "verify_ssl",
    }


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="needs Unix sockets")
def test_what_a_unix_connector_shows() -> None:
    """Its path."""
    assert public_names(UnixConnector("/run/a.sock")) == CONNECTOR | {"path"}


def test_what_a_connection_shows() -> None:
    """The stream, what speaks HTTP on it, and the ways out."""
    assert public_names(Connection) == {
        "add_callback",
        "close",
        "closed",
        "detach",
        "loop",
        "protocol",
        "release",
        "reused",
        "transport",
    }


def test_what_a_websocket_shows() -> None:
    """Aiohttp's names, ``close_code``, and what sends and receives in pieces or as encoded."""
    assert public_names(ClientWebSocketResponse) == {
        "client_notakeover",
        "close",
        "close_code",
        "closed",
        "compress",
        "exception",
        "get_extra_info",
        "ping",
        "pong",
        "protocol",
        "receive",
        "receive_bytes",
        "receive_json",
        "receive_str",
        "receive_stream",
        "send_bytes",
        "send_frame",
        "send_json",
        "send_json_bytes",
        "send_str",
        "send_stream",
    }


def test_a_public_room_lists_what_programs_may_import() -> None:
    """What it exports to other rooms besides can be imported, but is not promised."""
    inside = {"LendingTerms", "lend", "lend_nowait", "finish_closing", "forget_warning"}
    assert inside <= vars(connector).keys()
    assert not inside & set(connector.__all__)
    assert not inside & set(anyhttp.__all__)


async def test_what_a_session_shows() -> None:
    """What aiohttp's shows, ``sse``, and ``cookies``, which is an older one of them."""
    async with ClientSession() as session:
        names = sorted(public_names(session))
    assert names == [
        "auth",
        "auto_decompress",
        "close",
        "closed",
        "connector",
        "connector_owner",
        "cookie_jar",
        "cookies",
        "delete",
        "detach",
        "get",
        "head",
        "headers",
        "json_serialize",
        "loop",
        "options",
        "patch",
        "post",
        "put",
        "raise_for_status",
        "request",
        "requote_redirect_url",
        "skip_auto_headers",
        "sse",
        "timeout",
        "trace_configs",
        "trust_env",
        "version",
        "ws_connect",
    ]


async def test_what_a_response_shows(server: Server) -> None:
    """What aiohttp's shows, and a few more; calls use functions of its room."""
    async with ClientSession() as session, session.get(server.url) as response:
        names = sorted(public_names(response))
    assert names == [
        "charset",
        "close",
        "closed",
        "connection",
        "content",
        "content_disposition",
        "content_length",
        "content_type",
        "cookies",
        "elapsed",
        "events",
        "for_request",
        "get_encoding",
        "headers",
        "history",
        "host",
        "json",
        "json_lines",
        "lines",
        "links",
        "method",
        "ok",
        "raise_for_status",
        "raw_headers",
        "read",
        "real_url",
        "reason",
        "release",
        "request_info",
        "status",
        "text",
        "trailers",
        "url",
        "version",
        "wait_for_close",
    ]
