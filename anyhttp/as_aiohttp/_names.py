"""What each module of aiohttp 3.14 is here: a room of this package, or the installed aiohttp's.

All names of modules are without the ``aiohttp.`` or ``anyhttp.`` in front; the empty ones are those
of the packages themselves.
"""

from __future__ import annotations

from typing import Final

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

#: Names that the client's modules have for servers, and functions of no use to this client that
#: programs call; the installed aiohttp gives them.
SERVER_NAMES: Final = {
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
    "helpers": frozenset(
        {
            "AppKey",
            "ETAG_ANY",
            "RequestKey",
            "ResponseKey",
            "basicauth_from_netrc",
            "ceil_timeout",
            "content_disposition_header",
            "get_env_proxy_for_url",
            "guess_filename",
            "is_ip_address",
            "netrc_from_env",
            "noop",
            "proxies_from_env",
            "quoted_string",
            "reify",
            "set_exception",
            "set_result",
        }
    ),
    "http": frozenset({"HttpRequestParser", "RawRequestMessage", "WS_KEY"}),
    "streams": frozenset({"DataQueue", "EofStream", "FlowControlDataQueue"}),
    "typedefs": frozenset({"Handler", "Middleware"}),
}
