"""The semantic conventions for HTTP clients: names, and how the values are made.

The names of attributes and that of ``http.client.request.duration`` are stable.  Those of the other
metrics are in development: a later version of the conventions may change them.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote_plus

import anyio
from yarl import URL

__all__ = (
    "ACTIVE_REQUESTS",
    "DURATION_BUCKETS",
    "ERROR_TYPE",
    "KNOWN_METHODS",
    "METHOD",
    "METHOD_ORIGINAL",
    "OTHER_METHOD",
    "PEER_ADDRESS",
    "PEER_PORT",
    "PROTOCOL_VERSION",
    "REDACTED_QUERY",
    "REQUEST_BODY_SIZE",
    "REQUEST_DURATION",
    "REQUEST_HEADER",
    "RESEND_COUNT",
    "RESPONSE_BODY_SIZE",
    "RESPONSE_HEADER",
    "SCHEMA_URL",
    "SERVER_ADDRESS",
    "SERVER_PORT",
    "STATUS_CODE",
    "URL_FULL",
    "error_type",
    "full_url",
    "text_of",
)

#: the version of the conventions that this follows
SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.44.0"

ERROR_TYPE: Final = "error.type"
METHOD: Final = "http.request.method"
METHOD_ORIGINAL: Final = "http.request.method_original"
PEER_ADDRESS: Final = "network.peer.address"
PEER_PORT: Final = "network.peer.port"
PROTOCOL_VERSION: Final = "network.protocol.version"
REQUEST_HEADER: Final = "http.request.header"  # and a dot, and the name of the header
RESEND_COUNT: Final = "http.request.resend_count"
RESPONSE_HEADER: Final = "http.response.header"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
STATUS_CODE: Final = "http.response.status_code"
URL_FULL: Final = "url.full"

REQUEST_DURATION: Final = "http.client.request.duration"
REQUEST_BODY_SIZE: Final = "http.client.request.body.size"
RESPONSE_BODY_SIZE: Final = "http.client.response.body.size"
ACTIVE_REQUESTS: Final = "http.client.active_requests"

#: in seconds
DURATION_BUCKETS: Final = (
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
)  # fmt: skip

#: Those of :rfc:`9110`, PATCH (:rfc:`5789`), and QUERY.
KNOWN_METHODS: Final = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"}
)

#: What a method is called that is not known.
OTHER_METHOD: Final = "_OTHER"

#: Names in the query of a URL whose values are not shown, unless a program names others: those of
#: the conventions, which are signatures of storage services, and those that tokens, keys and
#: passwords mostly have.
REDACTED_QUERY: Final = frozenset(
    {
        "AWSAccessKeyId",
        "Signature",
        "X-Amz-Credential",
        "X-Amz-Security-Token",
        "X-Amz-Signature",
        "X-Goog-Credential",
        "X-Goog-Signature",
        "access_token",
        "api_key",
        "apikey",
        "client_secret",
        "id_token",
        "key",
        "password",
        "refresh_token",
        "secret",
        "sig",
        "token",
    }
)

_REDACTED: Final = "REDACTED"


def full_url(url: URL, redacted: frozenset[str]) -> str:
    """Return *url* as text without secrets, and without its fragment, which is not sent.

    :param redacted: names, in lower case, of what the query must not show the values of
    """
    if url.raw_user is not None or url.raw_password is not None:
        url = url.with_user(_REDACTED).with_password(_REDACTED)
    text = str(url).partition("#")[0]
    before, mark, query = text.partition("?")
    if not mark:
        return text
    return f"{before}?{'&'.join(_shown(field, redacted) for field in query.split('&'))}"


def _shown(field: str, redacted: frozenset[str]) -> str:
    name, equals, _ = field.partition("=")
    if equals and unquote_plus(name).lower() in redacted:
        return f"{name}={_REDACTED}"
    return field


def error_type(error: BaseException) -> str:
    """Return the class of *error*, as ``error.type`` names it.

    A cancellation is ``cancelled`` on each backend, and so is the closing of a coroutine.
    """
    if isinstance(error, GeneratorExit) or (
        # the backend is only asked where one is running
        not isinstance(error, Exception) and isinstance(error, anyio.get_cancelled_exc_class())
    ):
        return "cancelled"
    kind = type(error)
    if kind.__module__ == "builtins":
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"


def text_of(value: str) -> str:
    """Return the *value* of a header as text that can be exported.

    What is not UTF-8 in it is kept as lone surrogates, which no exporter can encode.
    """
    return value.encode("utf-8", "replace").decode()
