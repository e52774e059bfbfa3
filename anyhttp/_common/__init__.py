"""What every room may use: values, checks of arguments, deprecations, the version."""

from __future__ import annotations

from .arguments import (
    check_callable,
    check_charset,
    check_class,
    check_count,
    check_flag,
    check_instance,
    check_local_addr,
    check_seconds,
    check_str,
    checked_path,
    checked_size,
    class_has,
    is_number,
    pairs_of,
    shown_class,
)
from .attributes import computed
from .attrs_fields import AttrsFields
from .backoff import Backoff
from .deprecation import (
    AsyncWithOnly,
    EventLoop,
    public_call,
    running_loop,
    warn_about_loop,
    warn_deprecated,
    warn_without_effect,
)
from .files import replace_file
from .growing_bytes import GrowingBytes
from .hooks import Hooks
from .http2_options import Http2Options
from .maps import ChainMapProxy
from .overriding import is_own_method
from .placeholders import ResponseHandler, TimerNoop, Unbuffered, is_left_out, sentinel
from .stream_iterator import AsyncStreamIterator, BufferedStreamIterator
from .urls import (
    UnparsedURL,
    authority_end,
    has_surrogate,
    parsed_url,
    printable,
    shortened,
    without_user_info,
)
from .values import (
    ConnectionKey,
    ETag,
    Fields,
    FieldsMemo,
    HttpVersion,
    HttpVersion10,
    HttpVersion11,
    PastResponse,
    ProxyKey,
    RequestInfo,
    SupportsFingerprint,
    foreign_version,
    make_connection_key,
    shown_headers,
    with_plain_zone,
    without_zone,
)
from .version import SERVER_SOFTWARE, __version__

__all__ = (
    "AsyncStreamIterator",
    "BufferedStreamIterator",
    "AsyncWithOnly",
    "AttrsFields",
    "Backoff",
    "ChainMapProxy",
    "ConnectionKey",
    "ETag",
    "EventLoop",
    "Fields",
    "FieldsMemo",
    "GrowingBytes",
    "Hooks",
    "Http2Options",
    "HttpVersion",
    "HttpVersion10",
    "HttpVersion11",
    "PastResponse",
    "ProxyKey",
    "RequestInfo",
    "ResponseHandler",
    "SERVER_SOFTWARE",
    "SupportsFingerprint",
    "TimerNoop",
    "Unbuffered",
    "UnparsedURL",
    "authority_end",
    "check_callable",
    "check_charset",
    "check_class",
    "check_count",
    "check_flag",
    "check_instance",
    "check_local_addr",
    "check_seconds",
    "check_str",
    "foreign_version",
    "has_surrogate",
    "checked_path",
    "checked_size",
    "class_has",
    "computed",
    "is_left_out",
    "is_number",
    "is_own_method",
    "pairs_of",
    "make_connection_key",
    "parsed_url",
    "printable",
    "public_call",
    "replace_file",
    "running_loop",
    "sentinel",
    "shortened",
    "shown_class",
    "shown_headers",
    "warn_about_loop",
    "warn_deprecated",
    "warn_without_effect",
    "with_plain_zone",
    "without_user_info",
    "without_zone",
    "__version__",
)
