"""What every room may use: values, checks of arguments, deprecations, the version."""

from __future__ import annotations

from .arguments import (
    check_callable,
    check_charset,
    check_class,
    check_count,
    check_instance,
    check_local_addr,
    check_seconds,
    checked_path,
    pairs_of,
)
from .deprecation import (
    EventLoop,
    public_call,
    running_loop,
    warn_about_loop,
    warn_deprecated,
    warn_of_unused,
    warn_without_effect,
)
from .maps import ChainMapProxy
from .values import (
    ConnectionKey,
    ETag,
    Fields,
    FieldsMemo,
    HttpVersion,
    HttpVersion10,
    HttpVersion11,
    PastResponse,
    RequestInfo,
    SupportsFingerprint,
    shown_headers,
    with_plain_zone,
    without_user_info,
    without_zone,
)
from .version import SERVER_SOFTWARE, __version__

__all__ = (
    "ChainMapProxy",
    "ConnectionKey",
    "ETag",
    "EventLoop",
    "Fields",
    "FieldsMemo",
    "HttpVersion",
    "HttpVersion10",
    "HttpVersion11",
    "PastResponse",
    "RequestInfo",
    "SERVER_SOFTWARE",
    "SupportsFingerprint",
    "check_callable",
    "check_charset",
    "check_class",
    "check_count",
    "check_instance",
    "check_local_addr",
    "check_seconds",
    "checked_path",
    "pairs_of",
    "public_call",
    "running_loop",
    "shown_headers",
    "warn_about_loop",
    "warn_deprecated",
    "warn_of_unused",
    "warn_without_effect",
    "with_plain_zone",
    "without_user_info",
    "without_zone",
    "__version__",
)
