"""What each module of aiohttp 3.14 is here: a room of this package, or the installed aiohttp's.

All names of modules are without the ``aiohttp.`` or ``anyhttp.`` in front; the empty ones are those
of the packages themselves.
"""

from __future__ import annotations

from typing import Final

from .. import client_exceptions

#: What ``aiohttp.__version__`` says.  Libraries compare it with what they need, as plain digits.
VERSION: Final = "3.14.5"

#: The client's modules, and the room each stands for.  ``import aiohttp`` imports them all.
CLIENT: Final = {
    "": "",
    "_websocket": "http_websocket",
    "_websocket.models": "http_websocket",
    "abc": "abc",
    "client": "client",
    "client_exceptions": "client_exceptions",
    "client_middleware_digest_auth": "client_middleware_digest_auth",
    "client_middlewares": "client_middlewares",
    "client_proto": "client_proto",
    "client_reqrep": "client_reqrep",
    "client_ws": "client_ws",
    "compression_utils": "",
    "connector": "connector",
    "cookiejar": "cookiejar",
    "formdata": "formdata",
    "hdrs": "hdrs",
    "helpers": "helpers",
    "http": "http",
    "http_exceptions": "http_exceptions",
    "http_websocket": "http_websocket",
    "log": "as_aiohttp._log",
    "multipart": "multipart",
    "payload": "payload",
    "payload_streamer": "payload",
    "resolver": "resolver",
    "streams": "streams",
    "tracing": "tracing",
    "typedefs": "typedefs",
}

#: Modules with more names for one of the client; they go before those of the room.
MORE: Final = {"client": "as_aiohttp._client"}

#: Modules that the installed aiohttp gives: its server, and what server and client there share.
INSTALLED: Final = frozenset(
    {
        "_cookie_helpers",
        "_http_parser",
        "_http_writer",
        "_websocket.helpers",
        "_websocket.mask",
        "_websocket.reader",
        "_websocket.reader_c",
        "_websocket.reader_py",
        "_websocket.writer",
        "base_protocol",
        "http_parser",
        "http_writer",
        "tcp_helpers",
        "web",
        "web_app",
        "web_exceptions",
        "web_fileresponse",
        "web_log",
        "web_middlewares",
        "web_protocol",
        "web_request",
        "web_response",
        "web_routedef",
        "web_runner",
        "web_server",
        "web_urldispatcher",
        "web_ws",
        "worker",
    }
)

#: Modules that drive the installed aiohttp's server with this client.
TESTING: Final = frozenset({"pytest_plugin", "test_utils"})

#: Names in the client's modules that the installed aiohttp gives, where the room has none of that
#: name: those for servers, and helpers that have nothing to do with a connection.
INSTALLED_NAMES: Final = {
    "": frozenset(
        {
            "DataQueue",
            "EofStream",
            "FlowControlDataQueue",
            "GunicornUVLoopWebWorker",
            "GunicornWebWorker",
        }
    ),
    "abc": frozenset(
        {
            "AbstractAccessLogger",
            "AbstractMatchInfo",
            "AbstractRouter",
            "AbstractView",
        }
    ),
    "compression_utils": frozenset(
        {
            "BrotliDecompressor",
            "HAS_BROTLI",
            "HAS_ZSTD",
            "ZLibBackend",
            "ZLibCompressor",
            "ZLibDecompressor",
            "ZSTDDecompressor",
        }
    ),
    "helpers": frozenset(
        {
            "AppKey",
            "BaseKey",
            "CHAR",
            "CTL",
            "DEBUG",
            "EMPTY_BODY_METHODS",
            "EMPTY_BODY_STATUS_CODES",
            "ETAG_ANY",
            "NO_EXTENSIONS",
            "RequestKey",
            "ResponseKey",
            "SEPARATORS",
            "TOKEN",
            "basicauth_from_netrc",
            "ceil_timeout",
            "content_disposition_header",
            "get_env_proxy_for_url",
            "guess_filename",
            "is_canonical_ipv4_address",
            "is_ip_address",
            "must_be_empty_body",
            "netrc_from_env",
            "noop",
            "parse_content_type",
            "parse_http_date",
            "parse_mimetype",
            "proxies_from_env",
            "quoted_string",
            "reify",
            "rfc822_formatted_time",
            "sentinel",
            "set_exception",
            "set_result",
            "should_remove_content_length",
            "validate_etag_value",
        }
    ),
    "http": frozenset(
        {
            "HeadersParser",
            "HttpParser",
            "HttpRequestParser",
            "HttpResponseParser",
            "RawRequestMessage",
            "RawResponseMessage",
            "StreamWriter",
            "WS_KEY",
            "WebSocketReader",
            "WebSocketWriter",
            "ws_ext_gen",
            "ws_ext_parse",
        }
    ),
    "http_websocket": frozenset(
        {
            "WS_KEY",
            "WebSocketReader",
            "WebSocketWriter",
            "ws_ext_gen",
            "ws_ext_parse",
        }
    ),
    "streams": frozenset({"DataQueue", "EofStream", "FlowControlDataQueue"}),
    "typedefs": frozenset({"Handler", "Middleware"}),
}

#: Names that programs set to change whom aiohttp trusts, and what to write instead.  Nothing here
#: would look at them, so setting one is refused.
NOT_TO_BE_SET: Final = {
    f"aiohttp.connector.{name}": "TCPConnector(ssl=context), or set the variable SSL_CERT_FILE"
    for name in ("_SSL_CONTEXT_VERIFIED", "_SSL_CONTEXT_UNVERIFIED", "_make_ssl_context")
}

#: What the installed aiohttp's server takes from this package, so that a program that has both
#: meets the same object on both sides: errors that it catches, enumerations that it compares with
#: ``is``, values that the server accepts by their class.
SHARED: Final = {
    "_websocket.models": ("WSCloseCode", "WSMessage", "WSMsgType", "WebSocketError"),
    "client_exceptions": tuple(client_exceptions.__all__),
    "helpers": ("ETag",),
    "payload": (),  # see _bodies
}
